/*
 * Triggers on the users' tables. They run inside whatever transaction changes a
 * row, in any program, so that a bot which still writes to the file itself
 * causes the same events and the same figures as one that calls the server.
 *
 *   tb_events   the outbox: one row for each trade that is closed, numbered 1, 2,
 *               3 ... in commit order. A row is a copy: what happens to the trade
 *               later does not change what subscribers were told.
 *   tb_symbols  the newest event of each symbol.
 *   tb_changes  rows that the figures are made of and that changed other than by
 *               closing a trade, with the time by which they were filed before.
 *   tb_model_tenures
 *               which model was in production, that is promoted and active, from
 *               when to when, in the order of promotion. A tenure is a copy: it
 *               outlives the deployment.
 *
 * The numbers of tb_events and tb_changes are SQLite's own "largest row id + 1",
 * so whoever deletes old rows keeps the newest one. Only SQL that SQLite 3.24 and
 * newer understand: the other program brings its own library.
 */
#include <string.h>

#include "storage/sqlite/sqlite.h"

#define SERIES_TRADES   "1"
#define SERIES_THEORIES "2"
#define SERIES_SIGNALS  "3"

_Static_assert(TBK_SERIES_TRADES == 1 && TBK_SERIES_THEORIES == 2 && TBK_SERIES_SIGNALS == 3,
               "the triggers write these numbers");

/* Plain comparisons: an IN list, a subquery without table and the like would make
 * SQLite open a temporary table each time a trigger runs. */
#define CLOSED(row)     TBK_SQLITE_CLOSED(row)
#define NOT_CLOSED(row) CLOSED(row) " IS NOT 1"

#define CHANGE_OF_TRADE(condition)                                                                                \
    "INSERT INTO tb_changes (series, row, filed_at) SELECT " SERIES_TRADES                                        \
    ", r.id, r.exit_timestamp FROM signal_results r WHERE " condition " AND " CLOSED("+r") ";"

#define UNPUBLISHED "EXISTS (SELECT 1 FROM tb_trades t WHERE t.signal_id=NEW.signal_id AND t.publish=0)"

/* A closed trade enters the outbox. Its terms are there before: whoever opens a trade
 * writes them first. VALUES for the symbol, since SQLite would collect the rows of a
 * SELECT in a temporary table, its table being read above. */
#define PUBLISH_TRADE                                                                                             \
    "INSERT INTO tb_events (previous, created_at, result_id, signal_id, entry_price, entry_timestamp, "           \
    "exit_price, exit_timestamp, exit_reason, pnl_percent, pnl_usd, outcome, hold_duration_minutes, "             \
    "result_created_at, result_updated_at, symbol, direction, strategy, tier, session, model_version, "           \
    "confidence, quantity, fees_usd, mode, r_realized) "                                                          \
    "SELECT y.sequence, strftime('%Y-%m-%d %H:%M:%f000','now'), r.id, r.signal_id, r.entry_price, "               \
    "r.entry_timestamp, r.exit_price, r.exit_timestamp, r.exit_reason, r.pnl_percent, r.pnl_usd, "                \
    "r.outcome, r.hold_duration_minutes, r.created_at, r.updated_at, ifnull(s.symbol,''), s.direction, "          \
    "s.strategy, s.tier, s.session, s.model_version, s.confidence, t.quantity, t.fees_usd, "                      \
    "ifnull(t.mode,k.mode), k.r_realized FROM signal_results r "                                                  \
    "LEFT JOIN signals s ON s.id=r.signal_id "                                                                    \
    "LEFT JOIN tb_trades t ON t.signal_id=r.signal_id "                                                           \
    "LEFT JOIN risk_book_snapshots k ON k.signal_id=CAST(r.signal_id AS TEXT) "                                   \
    "LEFT JOIN tb_symbols y ON y.symbol=ifnull(s.symbol,'') "                                                     \
    "WHERE r.id=NEW.id;"                                                                                          \
    "INSERT INTO tb_symbols (symbol, sequence) VALUES ("                                                          \
    "(SELECT symbol FROM tb_events WHERE sequence=(SELECT max(sequence) FROM tb_events)), "                       \
    "(SELECT max(sequence) FROM tb_events)) ON CONFLICT (symbol) DO UPDATE SET sequence=excluded.sequence;"

/* One that is not to be published enters the changes only. */
#define FOLLOW_TRADE "INSERT INTO tb_changes (series, row, filed_at) VALUES (" SERIES_TRADES ", NEW.id, NULL);"

#define NOW "strftime('%Y-%m-%d %H:%M:%f000','now')"

/* Brings tb_model_tenures up to date with model_deployments: whoever is no longer
 * in production is demoted, whoever is newly so is promoted. Looking at all of the
 * few models in production covers INSERT OR REPLACE as well. A model that is
 * demoted and deactivated at once was rolled back, for the reason that its row
 * then has. */
#define END_TENURES                                                                                               \
    "UPDATE tb_model_tenures SET demoted_at=" NOW ", rollback_reason=(SELECT d.rollback_reason "                  \
    "FROM model_deployments d WHERE d.id=tb_model_tenures.deployment_id "                                         \
    "AND d.version IS tb_model_tenures.version AND d.is_active=0) "                                               \
    "WHERE demoted_at IS NULL AND NOT EXISTS (SELECT 1 FROM model_deployments d "                                 \
    "WHERE d.id=tb_model_tenures.deployment_id AND d.version IS tb_model_tenures.version "                        \
    "AND d.model_type IS tb_model_tenures.model_type AND d.is_promoted=1 AND d.is_active=1);"
#define BEGIN_TENURES(time)                                                                                       \
    "INSERT INTO tb_model_tenures (deployment_id, version, model_type, promoted_at) "                             \
    "SELECT d.id, d.version, d.model_type, " time " FROM model_deployments d "                                    \
    "WHERE d.is_promoted=1 AND d.is_active=1 AND NOT EXISTS (SELECT 1 FROM tb_model_tenures t "                   \
    "WHERE t.deployment_id=d.id AND t.demoted_at IS NULL) ORDER BY d.deployed_at, d.id;"
#define MODELS_CHANGED END_TENURES BEGIN_TENURES(NOW)

struct trigger {
    const char *name;
    const char *rest; /* after CREATE TRIGGER name */
};

static const struct trigger triggers[] = {
    /* A trade is closed, by an update or by inserting it so. */
    {"tb_signal_results_close", "AFTER UPDATE OF outcome ON signal_results WHEN " CLOSED("NEW") " AND " NOT_CLOSED(
                                    "OLD") " AND NOT " UNPUBLISHED " BEGIN " PUBLISH_TRADE " END"},
    {"tb_signal_results_close_unpublished",
     "AFTER UPDATE OF outcome ON signal_results WHEN " CLOSED("NEW") " AND " NOT_CLOSED(
         "OLD") " AND " UNPUBLISHED " BEGIN " FOLLOW_TRADE " END"},
    {"tb_signal_results_insert",
     "AFTER INSERT ON signal_results WHEN " CLOSED("NEW") " AND NOT " UNPUBLISHED " BEGIN " PUBLISH_TRADE " END"},
    {"tb_signal_results_insert_unpublished",
     "AFTER INSERT ON signal_results WHEN " CLOSED("NEW") " AND " UNPUBLISHED " BEGIN " FOLLOW_TRADE " END"},

    /* The id of a deleted signal may be given to another, whose trade has terms
     * of its own. */
    {"tb_signal_results_forget", "AFTER DELETE ON signal_results BEGIN "
                                 "DELETE FROM tb_trades WHERE signal_id=OLD.signal_id; END"},

    /* A closed trade changes or goes. INSERT OR REPLACE deletes without telling
     * the delete trigger. */
    {"tb_signal_results_update", "AFTER UPDATE ON signal_results WHEN " CLOSED(
                                     "OLD") " BEGIN "
                                            "INSERT INTO tb_changes (series, row, filed_at) VALUES (" SERIES_TRADES
                                            ", OLD.id, OLD.exit_timestamp);"
                                            "INSERT INTO tb_changes (series, row, filed_at) SELECT " SERIES_TRADES
                                            ", NEW.id, NULL WHERE NEW.id<>OLD.id; END"},
    {"tb_signal_results_delete", "AFTER DELETE ON signal_results WHEN " CLOSED(
                                     "OLD") " BEGIN "
                                            "INSERT INTO tb_changes (series, row, filed_at) VALUES (" SERIES_TRADES
                                            ", OLD.id, OLD.exit_timestamp); END"},
    {"tb_signal_results_replace",
     "BEFORE INSERT ON signal_results WHEN EXISTS (SELECT 1 FROM signal_results r WHERE "
     "r.signal_id=NEW.signal_id) OR EXISTS (SELECT 1 FROM signal_results r WHERE r.id=NEW.id) "
     "BEGIN " CHANGE_OF_TRADE("(r.signal_id=NEW.signal_id OR r.id=NEW.id)") " END"},

    /* What a closed trade is told apart by changes. */
    {"tb_signals_update", "AFTER UPDATE OF symbol, strategy, session, tier, direction, model_version, confidence "
                          "ON signals BEGIN " CHANGE_OF_TRADE("r.signal_id=NEW.id") " END"},
    {"tb_signals_move",
     "AFTER UPDATE OF id, timestamp, strategy ON signals BEGIN "
     "INSERT INTO tb_changes (series, row, filed_at) VALUES (" SERIES_SIGNALS ", OLD.id, OLD.timestamp);"
     "INSERT INTO tb_changes (series, row, filed_at) SELECT " SERIES_SIGNALS
     ", NEW.id, NULL WHERE NEW.id<>OLD.id; END"},

    /* Inserting a signal, the commonest write of all, has no trigger, which would
     * cost it half as much again: new signals are known by their ids, which grow.
     * One that another program writes over with INSERT OR REPLACE, or puts into a
     * gap of the ids, enters the figures when the server starts next, and so does
     * what its trade is told apart by. The same goes for writing over a theory's
     * record. */
    {"tb_signals_delete", "AFTER DELETE ON signals BEGIN "
                          "INSERT INTO tb_changes (series, row, filed_at) VALUES (" SERIES_SIGNALS
                          ", OLD.id, OLD.timestamp);" CHANGE_OF_TRADE("r.signal_id=OLD.id") " END"},
    /* From the id after the largest that is left, ids may be given again. */
    {"tb_signals_delete_last", "AFTER DELETE ON signals WHEN OLD.id>ifnull((SELECT max(id) FROM signals),0) BEGIN "
                               "INSERT INTO tb_changes (series, row, filed_at) SELECT " SERIES_SIGNALS
                               ", ifnull(max(id),0)+1, NULL FROM signals; END"},
    {"tb_risk_book_snapshots_insert",
     "AFTER INSERT ON risk_book_snapshots WHEN NEW.r_realized IS NOT NULL BEGIN " CHANGE_OF_TRADE(
         "r.signal_id=CAST(NEW.signal_id AS INTEGER)") " END"},
    {"tb_risk_book_snapshots_replace",
     "BEFORE INSERT ON risk_book_snapshots WHEN EXISTS (SELECT 1 FROM risk_book_snapshots k WHERE "
     "k.signal_id=NEW.signal_id AND k.r_realized IS NOT NULL) BEGIN " CHANGE_OF_TRADE(
         "r.signal_id=CAST(NEW.signal_id AS INTEGER)") " END"},
    {"tb_risk_book_snapshots_update",
     "AFTER UPDATE OF r_realized, signal_id ON risk_book_snapshots WHEN NEW.r_realized IS NOT OLD.r_realized OR "
     "NEW.signal_id<>OLD.signal_id BEGIN " CHANGE_OF_TRADE("r.signal_id=CAST(NEW.signal_id AS INTEGER)") " END"},
    {"tb_risk_book_snapshots_move",
     "AFTER UPDATE OF signal_id ON risk_book_snapshots WHEN NEW.signal_id<>OLD.signal_id BEGIN " CHANGE_OF_TRADE(
         "r.signal_id=CAST(OLD.signal_id AS INTEGER)") " END"},
    {"tb_risk_book_snapshots_delete",
     "AFTER DELETE ON risk_book_snapshots WHEN OLD.r_realized IS NOT NULL BEGIN " CHANGE_OF_TRADE(
         "r.signal_id=CAST(OLD.signal_id AS INTEGER)") " END"},

    /* A theory's record is graded, changes or goes. */
    {"tb_theory_performance_insert",
     "AFTER INSERT ON theory_performance WHEN NEW.was_correct IS NOT NULL BEGIN "
     "INSERT INTO tb_changes (series, row, filed_at) VALUES (" SERIES_THEORIES ", NEW.id, NULL); END"},
    {"tb_theory_performance_update",
     "AFTER UPDATE ON theory_performance WHEN OLD.was_correct IS NOT NULL OR NEW.was_correct IS NOT NULL BEGIN "
     "INSERT INTO tb_changes (series, row, filed_at) VALUES (" SERIES_THEORIES ", OLD.id, OLD.created_at);"
     "INSERT INTO tb_changes (series, row, filed_at) SELECT " SERIES_THEORIES
     ", NEW.id, NULL WHERE NEW.id<>OLD.id; END"},
    {"tb_theory_performance_delete",
     "AFTER DELETE ON theory_performance WHEN OLD.was_correct IS NOT NULL BEGIN "
     "INSERT INTO tb_changes (series, row, filed_at) VALUES (" SERIES_THEORIES ", OLD.id, OLD.created_at); END"},

    /* A model enters or leaves production. */
    {"tb_model_deployments_insert", "AFTER INSERT ON model_deployments BEGIN " MODELS_CHANGED " END"},
    {"tb_model_deployments_update",
     "AFTER UPDATE OF id, version, model_type, is_promoted, is_active ON model_deployments "
     "BEGIN " MODELS_CHANGED " END"},
    {"tb_model_deployments_delete", "AFTER DELETE ON model_deployments BEGIN " MODELS_CHANGED " END"},
};

enum { TRIGGER_COUNT = sizeof triggers / sizeof triggers[0] };

/* The statement that the file should hold for a trigger. */
static char *statement_of(const struct trigger *trigger)
{
    return sqlite3_mprintf("CREATE TRIGGER %s %s", trigger->name, trigger->rest);
}

static enum tbk_status is_present(sqlite3 *db, const char *name, const char *sql, bool *ret_present,
                                  struct tbk_error *error)
{
    sqlite3_stmt *statement = NULL;
    const enum tbk_status status = tbk_sqlite_prepare(
        db, "SELECT 1 FROM sqlite_schema WHERE type='trigger' AND name=? AND sql=?", &statement, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, sql, -1, SQLITE_STATIC);
    *ret_present = sqlite3_step(statement) == SQLITE_ROW;
    const int rc = sqlite3_finalize(statement);
    return rc == SQLITE_OK ? TBK_OK : tbk_sqlite_failed(db, rc, "reading the schema", error);
}

/* Sets *made when it was missing or differed. */
static enum tbk_status ensure_trigger(const struct trigger *trigger, const char *sql, sqlite3 *db, bool *made,
                                      struct tbk_error *error)
{
    bool present;
    enum tbk_status status = is_present(db, trigger->name, sql, &present, error);
    if (status != TBK_OK || present) {
        return status;
    }
    *made = true;
    char drop[128];
    sqlite3_snprintf(sizeof drop, drop, "DROP TRIGGER IF EXISTS %s", trigger->name);
    status = tbk_sqlite_exec(db, drop, "replacing a trigger", error);
    return status == TBK_OK ? tbk_sqlite_exec(db, sql, "creating a trigger", error) : status;
}

/* Brings up to date what was not told while triggers were missing.
 *
 * When somebody was promoted then is not known: not before it was deployed, nor
 * while another was seen in production, nor in the future. Terms of trades that
 * are gone would be taken for those of a new one with the same signal id. */
static enum tbk_status catch_up(sqlite3 *db, struct tbk_error *error)
{
    return tbk_sqlite_exec(db,
                           "DELETE FROM tb_trades WHERE NOT EXISTS (SELECT 1 FROM signal_results r "
                           "WHERE r.signal_id=tb_trades.signal_id);" END_TENURES BEGIN_TENURES(
                               "min(" NOW ", max(ifnull(d.deployed_at," NOW
                               "), ifnull((SELECT max(t.demoted_at) FROM tb_model_tenures t "
                               "WHERE t.model_type IS d.model_type),'')))"),
                           "bringing the tables of tradebook up to date", error);
}

enum tbk_status tbk_sqlite_ensure_triggers(sqlite3 *db, struct tbk_error *error)
{
    enum tbk_status status = TBK_OK;
    bool made = false;
    for (int i = 0; status == TBK_OK && i < TRIGGER_COUNT; i++) {
        char *sql = statement_of(&triggers[i]);
        if (sql == NULL) {
            return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while creating the triggers.");
        }
        status = ensure_trigger(&triggers[i], sql, db, &made, error);
        sqlite3_free(sql);
    }
    return status == TBK_OK && made ? catch_up(db, error) : status;
}
