/* What closing a trade touches besides single rows of the six tables. */
#include <string.h>

#include "storage/sqlite/sqlite.h"

/* tb_trades holds the mode as the users' tables do. */
static const struct tbk_column *mode_column(const struct tbk_session *session)
{
    return tbk_table_column(&session->storage->schema->tables[TBK_RISK_BOOK_SNAPSHOTS], "mode", 4);
}

static void read_terms(const struct tbk_session *session, sqlite3_stmt *statement, struct tbk_terms *terms)
{
    const char *mode = (const char *)sqlite3_column_text(statement, 2);
    terms->quantity = sqlite3_column_double(statement, 0);
    terms->fees_usd = sqlite3_column_double(statement, 1);
    terms->mode = mode != NULL ? tbk_column_enum_number(mode_column(session), mode, strlen(mode)) : 0;
    terms->has_breakeven_band = sqlite3_column_type(statement, 3) != SQLITE_NULL;
    terms->breakeven_band_percent = sqlite3_column_double(statement, 3);
    terms->publish = sqlite3_column_int(statement, 4) != 0;
    terms->open_fees_usd = sqlite3_column_double(statement, 5);
}

enum tbk_status tbk_sqlite_terms_get(struct tbk_session *session, int64_t signal_id, struct tbk_terms *ret_terms,
                                     struct tbk_error *error)
{
    enum tbk_status status = tbk_sqlite_prepare(
        session->db,
        "SELECT quantity,fees_usd,mode,breakeven_band,publish,ifnull(open_fees_usd,fees_usd) FROM tb_trades "
        "WHERE signal_id=?",
        &session->terms_get, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_stmt *statement = session->terms_get;
    sqlite3_bind_int64(statement, 1, signal_id);
    const int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        *ret_terms = (struct tbk_terms){.signal_id = signal_id};
        read_terms(session, statement, ret_terms);
    } else if (rc == SQLITE_DONE) {
        status = TBK_NOT_FOUND;
    } else {
        status = tbk_sqlite_failed(session->db, sqlite3_extended_errcode(session->db),
                                   "reading the terms of a trade", error);
    }
    sqlite3_reset(statement);
    return status;
}

enum tbk_status tbk_sqlite_terms_put(struct tbk_session *session, const struct tbk_terms *terms,
                                     struct tbk_error *error)
{
    const enum tbk_status status =
        tbk_sqlite_prepare(session->db,
                           "INSERT OR REPLACE INTO tb_trades "
                           "(signal_id,quantity,fees_usd,mode,breakeven_band,publish,open_fees_usd) "
                           "VALUES (?,?,?,?,?,?,?)",
                           &session->terms_put, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_stmt *statement = session->terms_put;
    sqlite3_bind_int64(statement, 1, terms->signal_id);
    sqlite3_bind_double(statement, 2, terms->quantity);
    sqlite3_bind_double(statement, 3, terms->fees_usd);
    /* No text, and so NULL, for 0. */
    sqlite3_bind_text(statement, 4, tbk_column_enum_text(mode_column(session), terms->mode), -1, SQLITE_STATIC);
    if (terms->has_breakeven_band) {
        sqlite3_bind_double(statement, 5, terms->breakeven_band_percent);
    } else {
        sqlite3_bind_null(statement, 5);
    }
    sqlite3_bind_int(statement, 6, terms->publish);
    sqlite3_bind_double(statement, 7, terms->open_fees_usd);
    sqlite3_step(statement);
    const int rc = sqlite3_reset(statement);
    return rc == SQLITE_OK ? TBK_OK : tbk_sqlite_failed(session->db, rc, "writing the terms of a trade", error);
}

/* Most trades have none, and an UPDATE that finds nothing costs seven times as much. */
static enum tbk_status has_ungraded(struct tbk_session *session, int64_t signal_id, bool *ret_has,
                                    struct tbk_error *error)
{
    const enum tbk_status status = tbk_sqlite_prepare(
        session->db, "SELECT 1 FROM theory_performance WHERE signal_id=? AND was_correct IS NULL",
        &session->theories_ungraded, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_bind_int64(session->theories_ungraded, 1, signal_id);
    *ret_has = sqlite3_step(session->theories_ungraded) == SQLITE_ROW;
    const int rc = sqlite3_reset(session->theories_ungraded);
    return rc == SQLITE_OK ? TBK_OK : tbk_sqlite_failed(session->db, rc, "looking for theories to grade", error);
}

static enum tbk_status grade(struct tbk_session *session, int64_t signal_id, bool was_correct, int64_t *ret_graded,
                             struct tbk_error *error)
{
    const enum tbk_status status = tbk_sqlite_prepare(
        session->db, "UPDATE theory_performance SET was_correct=? WHERE signal_id=? AND was_correct IS NULL",
        &session->theories_grade, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_stmt *statement = session->theories_grade;
    sqlite3_bind_int(statement, 1, was_correct);
    sqlite3_bind_int64(statement, 2, signal_id);
    sqlite3_step(statement);
    const int rc = sqlite3_reset(statement);
    if (rc != SQLITE_OK) {
        return tbk_sqlite_failed(session->db, rc, "grading theories", error);
    }
    *ret_graded = sqlite3_changes(session->db);
    return TBK_OK;
}

enum tbk_status tbk_sqlite_theories_grade(struct tbk_session *session, int64_t signal_id, bool was_correct,
                                          int64_t *ret_graded, struct tbk_error *error)
{
    bool has;
    *ret_graded = 0;
    const enum tbk_status status = has_ungraded(session, signal_id, &has, error);
    return status == TBK_OK && has ? grade(session, signal_id, was_correct, ret_graded, error) : status;
}
