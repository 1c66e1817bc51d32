/*
 * What rows say against each other, as data. A rule that compares numbers allows
 * for the noise of floating point and for rounding; one that compares copies looks
 * at values that are there, because a bot may leave some out. The functions are
 * those of doctor_functions.c.
 */
#include "storage/sqlite/doctor.h"

#define SIDE      "CASE lower(s.direction) WHEN 'long' THEN 1 WHEN 'short' THEN -1 END"
#define IS_CLOSED TBK_SQLITE_CLOSED("+r")
#define IS_OPEN   "lower(r.outcome)='open'"

/* Closed trades with what their prices and terms come to. Of a trade that another
 * program opened quantity and fees are not known; it is held to one unit without
 * fees, as CloseTrade has it, if half of these trades and more are so (strict).
 * Otherwise only its percentage tells that the sign is wrong (inverted). */
#define TRADES                                                                                                    \
    "WITH trade AS (SELECT r.id, lower(s.direction) AS direction, " SIDE " AS side, r.entry_price AS entry, "     \
    "r.exit_price AS exit, r.pnl_usd AS usd, r.pnl_percent AS percent, lower(r.outcome) AS outcome, "             \
    "t.signal_id IS NOT NULL AS known, ifnull(t.quantity,1.0) AS quantity, ifnull(t.fees_usd,0.0) AS fees, "      \
    "t.breakeven_band AS band FROM signal_results r JOIN signals s ON s.id=r.signal_id "                          \
    "LEFT JOIN tb_trades t ON t.signal_id=r.signal_id "                                                           \
    "WHERE " IS_CLOSED " AND r.entry_price>0 AND r.exit_price>0), "                                               \
    "priced AS (SELECT *, side*(exit-entry)*quantity-fees AS right_usd, "                                         \
    "-side*(exit-entry)*quantity-fees AS other_usd, max(entry,exit)*quantity AS scale, "                          \
    "(side*(exit-entry)*quantity-fees)/(entry*quantity)*100 AS right_percent, "                                   \
    "max(entry,exit)/entry*100 AS percent_scale FROM trade WHERE side IS NOT NULL AND quantity>0), "              \
    "habit AS (SELECT ifnull(avg(tbk_agrees(usd,right_usd,scale)),0)>=0.5 AS one_unit FROM priced "               \
    "WHERE NOT known AND usd IS NOT NULL), "                                                                      \
    "judged AS (SELECT *, known OR (SELECT one_unit FROM habit) AS strict FROM priced), "                         \
    "verdict AS (SELECT *, CASE WHEN strict AND usd IS NOT NULL THEN tbk_agrees(usd,right_usd,scale)=0 AND "      \
    "(tbk_agrees(usd,other_usd,scale) OR tbk_agrees(usd,-right_usd,scale)) "                                      \
    "ELSE ifnull(tbk_agrees(percent,right_percent,percent_scale)=0 AND "                                          \
    "tbk_agrees(percent,-right_percent,percent_scale),0) END AS inverted FROM judged) "

#define PNL_DETAIL                                                                                                \
    "direction||' from '||tbk_number(entry)||' to '||tbk_number(exit)||', pnl_usd is '||tbk_number(usd)||"        \
    "' and should be '||tbk_number(right_usd)"

#define MORE_THAN_ONE                                                                                             \
    "Nothing: price, direction and result are each as likely to be wrong. Look at the exchange's record."
#define EITHER_ROW "Nothing: which of the two rows is right is not known."
#define TOLD       "Nothing: what subscribers were told cannot be made again. Restore a backup."

/* What is wrong with the result of a signal as compared with its trade's outcome. */
#define SIGNAL_RESULT                                                                                             \
    "CASE WHEN CASE lower(r.outcome) WHEN 'win' THEN ifnull(lower(s.result),'')<>'win' "                          \
    "WHEN 'loss' THEN ifnull(lower(s.result),'')<>'loss' WHEN 'breakeven' THEN s.result IS NOT NULL "             \
    "WHEN 'open' THEN lower(s.result)<>'pending' END "                                                            \
    "THEN 'result is '||ifnull(s.result,'NULL')||' and '||r.outcome||', ' ELSE '' END"

#define WITHOUT_COMMA "substr(differs,1,length(differs)-2)"

#define HAS_RISK       "k.sl_price IS NOT NULL AND k.entry_price<>k.sl_price"
#define RISK_SCALE     "max(abs(k.entry_price),abs(k.sl_price))/abs(k.entry_price-k.sl_price)"
#define RIGHT_EXPECTED "abs(k.tp_price-k.entry_price)/abs(k.entry_price-k.sl_price)"
#define STOP_SIDE      "CASE WHEN k.sl_price<k.entry_price THEN 1 ELSE -1 END"
#define RIGHT_REALIZED "ifnull(" SIDE "," STOP_SIDE ")*(k.exit_price-k.entry_price)/abs(k.entry_price-k.sl_price)"
/* A snapshot belongs to the signal whose id is its key, if both are of the same pair. */
#define SNAPSHOTS                                                                                                 \
    "FROM risk_book_snapshots k LEFT JOIN signals s ON s.id=CAST(k.signal_id AS INTEGER) AND "                    \
    "CAST(s.id AS TEXT)=k.signal_id AND s.symbol=k.pair "

/* Every row but the first of those that share a value. */
#define TWICE(table, column)                                                                                      \
    "SELECT '" table "', id, '" column " '||" column "||' is that of '||first||' too', 0 "                        \
    "FROM (SELECT id, " column ", first_value(id) OVER same AS first, row_number() OVER same AS n FROM " table    \
    " WHERE " column " IS NOT NULL WINDOW same AS (PARTITION BY " column " ORDER BY id)) WHERE n>1"

const struct tbk_doctor_rule tbk_doctor_rules[] = {
    /* --- profit and loss --- */
    {
        .rule = {"pnl-inverted-short", TBK_SEVERITY_ERROR,
                 "The profit or loss of a short trade has the wrong sign: it is what a long would have made.",
                 MORE_THAN_ONE},
        .find = TRADES "SELECT 'signal_results', id, " PNL_DETAIL ", 0 FROM verdict WHERE side=-1 AND inverted",
    },
    {
        .rule = {"pnl-inverted-long", TBK_SEVERITY_ERROR,
                 "The profit or loss of a long trade has the wrong sign: it is what a short would have made.",
                 MORE_THAN_ONE},
        .find = TRADES "SELECT 'signal_results', id, " PNL_DETAIL ", 0 FROM verdict WHERE side=1 AND inverted",
    },
    {
        .rule = {"pnl-wrong", TBK_SEVERITY_ERROR,
                 "The profit or loss in USD does not follow from direction, prices, quantity and fees.",
                 MORE_THAN_ONE},
        .find = TRADES "SELECT 'signal_results', id, " PNL_DETAIL ", 0 FROM verdict WHERE NOT inverted AND "
                       "CASE WHEN strict THEN tbk_agrees(usd,right_usd,scale)=0 ELSE usd>0 AND right_usd<0 END",
    },
    {
        .rule =
            {"pnl-percent-wrong", TBK_SEVERITY_ERROR,
             "The profit or loss in percent is not that in USD by the value at entry.",
             "Where quantity and fees are known and the USD are right, computes it from them; elsewhere nothing."},
        .find = TRADES
        "SELECT 'signal_results', id, 'pnl_percent is '||tbk_number(percent)||' and should be '||"
        "tbk_number(right_percent), known AND tbk_agrees(usd,right_usd,scale) FROM verdict WHERE NOT inverted AND "
        "CASE WHEN strict THEN tbk_agrees(percent,right_percent,percent_scale)=0 AND "
        "ifnull(tbk_agrees(percent,usd/(entry*quantity)*100,percent_scale),0)=0 "
        "ELSE percent>0 AND right_percent<0 END",
        .repair = "UPDATE signal_results SET pnl_percent=pnl_usd/(entry_price*(SELECT t.quantity FROM tb_trades t "
                  "WHERE t.signal_id=signal_results.signal_id))*100 WHERE id IN (SELECT key FROM doctor_keys)",
    },
    /* Of a trade whose band is not stored a breakeven is held to the users' own 0.5 %,
     * if half of these breakevens and more are within. */
    {
        .rule = {"outcome-wrong", TBK_SEVERITY_ERROR,
                 "The outcome contradicts the profit or loss, given the breakeven band of the trade.",
                 "Nothing: the result may be wrong instead, and subscribers, theories and patterns have been told "
                 "the outcome."},
        .find = TRADES ", result AS (SELECT *, ifnull(percent,right_percent) AS p FROM verdict), "
                       "band_habit AS (SELECT ifnull(avg(abs(p)<=0.5),0)>=0.5 AS small FROM result "
                       "WHERE band IS NULL AND outcome='breakeven') "
                       "SELECT 'signal_results', id, 'outcome is '||outcome||' with '||tbk_number(p)||' percent'||"
                       "ifnull(' and a band of '||band,''), 0 FROM result WHERE CASE "
                       "WHEN band IS NOT NULL AND outcome='win' THEN p<=band-1e-9 OR p<=0 "
                       "WHEN band IS NOT NULL AND outcome='loss' THEN p>=1e-9-band OR p>=0 "
                       "WHEN band IS NOT NULL THEN abs(p)>band+1e-9 "
                       "WHEN outcome='win' THEN p<0 OR (p=0 AND right_percent<=0) "
                       "WHEN outcome='loss' THEN p>0 OR (p=0 AND right_percent>=0) "
                       "ELSE abs(p)>0.5 AND (SELECT small FROM band_habit) END",
    },

    /* --- the life of a trade --- */
    {
        .rule = {"trade-on-hold", TBK_SEVERITY_ERROR, "A trade was made on a signal that says hold.",
                 "Nothing: the trade was made, and what the signal said cannot be known."},
        .find = "SELECT 'signal_results', r.id, 'signal '||s.id||' is a hold, the trade '||r.outcome, 0 "
                "FROM signal_results r JOIN signals s ON s.id=r.signal_id WHERE lower(s.direction)='hold'",
    },
    {
        .rule = {"signal-contradicts-result", TBK_SEVERITY_ERROR,
                 "A signal says another result, exit, profit or execution than its trade, so that pages which "
                 "read one or the other differ.",
                 EITHER_ROW},
        .find = "SELECT 'signals', id, " WITHOUT_COMMA ", 0 FROM (SELECT s.id AS id, " SIGNAL_RESULT
                "||tbk_numbers('exit_price',s.exit_price,r.exit_price,0)"
                "||tbk_numbers('pnl',s.pnl,r.pnl_usd,r.entry_price)"
                "||tbk_times('exit_time',s.exit_time,r.exit_timestamp)"
                "||tbk_numbers('execution_price',s.execution_price,r.entry_price,0)"
                "||CASE WHEN ifnull(s.executed,0)=0 THEN 'executed is not set, ' ELSE '' END AS differs "
                "FROM signal_results r JOIN signals s ON s.id=r.signal_id) WHERE differs<>''",
    },
    {
        .rule = {"snapshot-contradicts-result", TBK_SEVERITY_ERROR,
                 "A risk snapshot says another result, entry or exit than the trade of its signal.", EITHER_ROW},
        .find = "SELECT 'risk_book_snapshots', id, " WITHOUT_COMMA ", 0 FROM (SELECT k.signal_id AS id, "
                "CASE WHEN lower(k.result)<>lower(r.outcome) "
                "THEN 'result is '||k.result||' and '||r.outcome||', ' ELSE '' END"
                "||tbk_numbers('entry_price',k.entry_price,r.entry_price,0)"
                "||tbk_numbers('exit_price',k.exit_price,r.exit_price,0)"
                "||tbk_times('exit_time',k.exit_time,r.exit_timestamp) AS differs "
                "FROM signal_results r JOIN risk_book_snapshots k ON k.signal_id=CAST(r.signal_id AS TEXT) "
                "LEFT JOIN signals s ON s.id=r.signal_id WHERE ifnull(s.symbol=k.pair,1)) WHERE differs<>''",
    },
    {
        .rule = {"executed-without-result", TBK_SEVERITY_ERROR,
                 "A signal is marked as executed, but there is no trade of it.",
                 "Nothing: either the mark is wrong or the trade was lost."},
        .find = "SELECT 'signals', s.id, '', 0 FROM signals s WHERE s.executed=1 AND "
                "NOT EXISTS (SELECT 1 FROM signal_results r WHERE r.signal_id=s.id)",
    },
    {
        .rule = {"closed-without-exit", TBK_SEVERITY_ERROR,
                 "A trade has an outcome, but no exit price, exit time or profit; it is left out of windows of "
                 "time and of averages.",
                 "Nothing: what is missing is not known."},
        .find =
            "SELECT 'signal_results', r.id, r.outcome||' without'||"
            "CASE WHEN r.exit_price IS NULL THEN ' exit_price' ELSE '' END||"
            "CASE WHEN r.exit_timestamp IS NULL THEN ' exit_timestamp' ELSE '' END||"
            "CASE WHEN coalesce(r.pnl_usd,r.pnl_percent) IS NULL THEN ' pnl' ELSE '' END, 0 "
            "FROM signal_results r WHERE " IS_CLOSED " AND (r.exit_price IS NULL OR r.exit_timestamp IS NULL OR "
            "coalesce(r.pnl_usd,r.pnl_percent) IS NULL)",
    },
    {
        .rule = {"open-with-exit", TBK_SEVERITY_ERROR,
                 "A trade is open, but has an exit price, an exit time or a profit.",
                 "Nothing: it may be closed, or the exit may be wrong."},
        .find = "SELECT 'signal_results', r.id, '', 0 FROM signal_results r WHERE " IS_OPEN " AND "
                "coalesce(r.exit_price,r.exit_timestamp,r.pnl_usd,r.pnl_percent) IS NOT NULL",
    },
    {
        .rule = {"exit-before-entry", TBK_SEVERITY_ERROR, "A trade ends before it begins.",
                 "Nothing: either time may be wrong."},
        .find =
            "SELECT 'signal_results', r.id, 'entry '||r.entry_timestamp||', exit '||r.exit_timestamp, 0 "
            "FROM signal_results r WHERE tbk_microseconds(r.exit_timestamp)<tbk_microseconds(r.entry_timestamp) "
            "UNION ALL "
            "SELECT 'risk_book_snapshots', k.signal_id, 'entry '||k.entry_time||', exit '||k.exit_time, 0 "
            "FROM risk_book_snapshots k WHERE tbk_microseconds(k.exit_time)<tbk_microseconds(k.entry_time)",
    },
    {
        .rule = {"hold-duration-wrong", TBK_SEVERITY_WARNING,
                 "hold_duration_minutes is not the number of whole minutes from entry to exit.",
                 "Computes it from the two times."},
        .find =
            "SELECT 'signal_results', id, 'is '||held||' and should be '||us/60000000, 1 FROM (SELECT r.id, "
            "r.hold_duration_minutes AS held, "
            "tbk_microseconds(r.exit_timestamp)-tbk_microseconds(r.entry_timestamp) AS us "
            "FROM signal_results r WHERE r.hold_duration_minutes IS NOT NULL) WHERE us>=0 AND held<>us/60000000",
        .repair = "UPDATE signal_results SET hold_duration_minutes=(tbk_microseconds(exit_timestamp)-"
                  "tbk_microseconds(entry_timestamp))/60000000 WHERE id IN (SELECT key FROM doctor_keys)",
    },
    {
        .rule = {"open-stuck", TBK_SEVERITY_WARNING,
                 "A trade has been open for longer than --stuck-days; the program that opened it may have "
                 "forgotten it.",
                 "Nothing: close it with \"tradebook close\" at the price it was left at."},
        .find = "SELECT 'signal_results', r.id, 'signal '||r.signal_id||', open since '||r.entry_timestamp, 0 "
                "FROM signal_results r WHERE " IS_OPEN " AND tbk_microseconds(r.entry_timestamp)<:now-:stuck",
    },
    /* A snapshot's entry is that of the trade, which may have slipped past a level; only
     * the order of the levels tells that they are wrong for the signal. */
    {
        .rule = {"levels-wrong-side", TBK_SEVERITY_ERROR,
                 "Take-profit or stop-loss is on the wrong side for the direction.",
                 "Nothing: a level or the direction may be wrong."},
        .find =
            "SELECT 'signals', id, direction||', entry '||tbk_number(entry_price)||', tp '||tbk_number(tp_price)||"
            "', sl '||tbk_number(sl_price), 0 FROM (SELECT s.*, " SIDE " AS side FROM signals s "
            "WHERE s.tp_price IS NOT NULL OR s.sl_price IS NOT NULL) WHERE side*(tp_price-entry_price)<=0 "
            "OR side*(entry_price-sl_price)<=0 OR side*(tp_price-sl_price)<=0 "
            "UNION ALL "
            "SELECT 'risk_book_snapshots', k.signal_id, 'entry '||tbk_number(k.entry_price)||', tp '||"
            "tbk_number(k.tp_price)||', sl '||tbk_number(k.sl_price), 0 " SNAPSHOTS "WHERE CASE WHEN " SIDE
            " IS NOT NULL THEN " SIDE "*(k.tp_price-k.sl_price)<=0 "
            "ELSE (k.tp_price-k.entry_price)*(k.entry_price-k.sl_price)<=0 END",
    },

    /* --- risk --- */
    {
        .rule = {"rr-expected-wrong", TBK_SEVERITY_WARNING, "rr_expected is not |tp - entry| / |entry - sl|.",
                 "Computes it from the three prices."},
        .find = "SELECT 'risk_book_snapshots', k.signal_id, 'is '||tbk_number(k.rr_expected)||' and should be '||"
                "tbk_number(" RIGHT_EXPECTED "), 1 FROM risk_book_snapshots k WHERE " HAS_RISK
                " AND tbk_agrees(k.rr_expected," RIGHT_EXPECTED "," RISK_SCALE ")=0",
        .repair = "UPDATE risk_book_snapshots SET rr_expected=abs(tp_price-entry_price)/abs(entry_price-sl_price) "
                  "WHERE signal_id IN (SELECT key FROM doctor_keys)",
    },
    /* A long's stop is below the entry; where it is not, the side is in question. */
    {
        .rule = {"r-realized-wrong", TBK_SEVERITY_WARNING,
                 "r_realized is not the profit of one unit in multiples of |entry - sl|.",
                 "Computes it from the three prices, where the stop is on the right side for the direction."},
        .find = "SELECT 'risk_book_snapshots', k.signal_id, 'is '||tbk_number(k.r_realized)||' and should be '||"
                "tbk_number(" RIGHT_REALIZED "), ifnull(" SIDE "*(k.entry_price-k.sl_price)>0,1) " SNAPSHOTS
                "WHERE " HAS_RISK " AND tbk_agrees(k.r_realized," RIGHT_REALIZED "," RISK_SCALE ")=0",
        .repair = "UPDATE risk_book_snapshots SET r_realized=(exit_price-entry_price)/(entry_price-sl_price) "
                  "WHERE signal_id IN (SELECT key FROM doctor_keys)",
    },

    /* --- rows without the row they belong to --- */
    {
        .rule = {"orphan-result", TBK_SEVERITY_ERROR, "A trade belongs to a signal that does not exist.",
                 "Nothing: the signal was lost, or the trade should have gone with it."},
        .find = "SELECT 'signal_results', r.id, 'signal '||r.signal_id, 0 FROM signal_results r "
                "WHERE NOT EXISTS (SELECT 1 FROM signals s WHERE s.id=r.signal_id)",
    },
    {
        .rule = {"orphan-theory", TBK_SEVERITY_ERROR, "A theory's record belongs to a signal that does not exist.",
                 "Nothing: the signal was lost, or the record should have gone with it."},
        .find = "SELECT 'theory_performance', h.id, h.theory_name||', signal '||h.signal_id, 0 FROM "
                "theory_performance h "
                "WHERE NOT EXISTS (SELECT 1 FROM signals s WHERE s.id=h.signal_id)",
    },
    {
        .rule = {"orphan-snapshot", TBK_SEVERITY_WARNING,
                 "A risk snapshot is under the id of a signal that does not exist.",
                 "Nothing: the signal was lost, or the key means something else."},
        .find = "SELECT 'risk_book_snapshots', k.signal_id, k.pair, 0 FROM risk_book_snapshots k WHERE "
                "k.signal_id<>'' AND "
                "k.signal_id NOT GLOB '*[^0-9]*' AND "
                "NOT EXISTS (SELECT 1 FROM signals s WHERE s.id=CAST(k.signal_id AS INTEGER))",
    },
    {
        .rule = {"orphan-terms", TBK_SEVERITY_WARNING,
                 "Quantity and fees are kept of a trade that does not exist; a new trade of the same signal id "
                 "would take them for its own.",
                 "Deletes them."},
        .find = "SELECT 'tb_trades', t.signal_id, '', 1 FROM tb_trades t "
                "WHERE NOT EXISTS (SELECT 1 FROM signal_results r WHERE r.signal_id=t.signal_id)",
        .repair = "DELETE FROM tb_trades WHERE signal_id IN (SELECT key FROM doctor_keys)",
    },

    /* --- rows that are there twice --- */
    {
        .rule = {"result-twice", TBK_SEVERITY_ERROR, "A signal has more than one trade.",
                 "Nothing: which trade is the right one is not known."},
        .find = TWICE("signal_results", "signal_id"),
    },
    {
        .rule = {"pattern-hash-twice", TBK_SEVERITY_ERROR, "A pattern is there more than once.",
                 "Nothing: its counts are spread, and may overlap."},
        .find = TWICE("patterns", "pattern_hash"),
    },
    {
        .rule = {"model-version-twice", TBK_SEVERITY_ERROR, "A model's version is there more than once.",
                 "Nothing: which deployment is the right one is not known."},
        .find = TWICE("model_deployments", "version"),
    },
    {
        .rule = {"theory-twice", TBK_SEVERITY_WARNING,
                 "A theory is recorded more than once for the same signal, and counts as often.",
                 "Nothing: the records may differ, and it may be meant."},
        .find =
            "SELECT 'theory_performance', id, theory_name||', signal '||signal_id||', as '||first, 0 FROM (SELECT "
            "id, "
            "signal_id, theory_name, first_value(id) OVER same AS first, row_number() OVER same AS n "
            "FROM theory_performance WINDOW same AS (PARTITION BY signal_id, theory_name ORDER BY id)) WHERE n>1",
    },

    /* --- patterns, models --- */
    {
        .rule = {"win-rate-wrong", TBK_SEVERITY_ERROR,
                 "A pattern's win_rate is not wins / total (0 when total is 0).",
                 "Computes it from wins and total."},
        .find = "SELECT 'patterns', id, name||': win_rate is '||tbk_number(win_rate)||', wins '||wins||' of "
                "'||total, 1 "
                "FROM (SELECT *, CASE WHEN total=0 THEN 0.0 ELSE wins*1.0/total END AS right_rate FROM patterns) "
                "WHERE wins>=0 AND wins<=total AND abs(win_rate-right_rate)>1e-9*max(right_rate,1e-3)",
        .repair = "UPDATE patterns SET win_rate=CASE WHEN total=0 THEN 0.0 ELSE wins*1.0/total END "
                  "WHERE id IN (SELECT key FROM doctor_keys)",
    },
    {
        .rule = {"pattern-counts-impossible", TBK_SEVERITY_ERROR,
                 "A pattern has won more trades than it has, or fewer than none.",
                 "Nothing: either count may be wrong."},
        .find = "SELECT 'patterns', id, name||': wins '||wins||' of '||total, 0 FROM patterns "
                "WHERE wins>total OR wins<0 OR total<0",
    },
    {
        .rule = {"promoted-twice", TBK_SEVERITY_ERROR,
                 "More than one model of a type is in production; which one a bot takes is chance.",
                 "Nothing: which one should be in production is not known. Promote it with PromoteModel."},
        .find = "SELECT 'model_deployments', d.id, d.model_type||' '||d.version, 0 FROM model_deployments d "
                "WHERE d.is_promoted=1 AND d.is_active=1 AND d.model_type IN (SELECT model_type FROM "
                "model_deployments "
                "WHERE is_promoted=1 AND is_active=1 GROUP BY model_type HAVING count(*)>1)",
    },
    {
        .rule = {"promoted-inactive", TBK_SEVERITY_ERROR,
                 "A model is promoted, but not active, so none may be in production.",
                 "Nothing: either mark may be wrong."},
        .find = "SELECT 'model_deployments', d.id, d.model_type||' '||d.version, 0 FROM model_deployments d "
                "WHERE d.is_promoted=1 AND d.is_active=0",
    },

    /* --- events --- */
    {
        .rule = {"event-gap", TBK_SEVERITY_ERROR,
                 "An event of the outbox is missing before this one; a subscriber waits for it.", TOLD},
        .find = "SELECT 'tb_events', sequence, 'after '||before||' comes '||sequence, 0 FROM (SELECT sequence, "
                "lag(sequence) OVER (ORDER BY sequence) AS before FROM tb_events) WHERE sequence<>before+1",
    },
    {
        .rule = {"event-chain-broken", TBK_SEVERITY_ERROR,
                 "An event names another event before it than the last one of its symbol.", TOLD},
        .find = "SELECT 'tb_events', sequence, symbol||': previous is '||ifnull(previous,'NULL')||' and should be "
                "'||before, "
                "0 FROM (SELECT sequence, symbol, previous, lag(sequence) OVER (PARTITION BY symbol ORDER BY "
                "sequence) "
                "AS before FROM tb_events) WHERE before IS NOT NULL AND previous IS NOT before",
    },
    {
        .rule =
            {"event-newest-wrong", TBK_SEVERITY_ERROR,
             "The newest event noted for a symbol is not its newest; the next one would name a wrong predecessor.",
             "Notes the newest."},
        .find = "SELECT 'tb_events', e.newest, e.symbol||': noted is '||ifnull(y.sequence,'NULL'), 1 FROM (SELECT "
                "symbol, "
                "max(sequence) AS newest FROM tb_events GROUP BY symbol) e LEFT JOIN tb_symbols y ON "
                "y.symbol=e.symbol "
                "WHERE y.sequence IS NOT e.newest",
        .repair =
            "INSERT INTO tb_symbols (symbol, sequence) SELECT symbol, sequence FROM tb_events WHERE sequence IN "
            "(SELECT key FROM doctor_keys) ON CONFLICT (symbol) DO UPDATE SET sequence=excluded.sequence",
    },
    /* A trade that the server closed has its band; results with ids above the mark came
     * when the triggers were there. Of the time before the oldest event nothing can
     * be said, once events were forgotten; that time has milliseconds. */
    {
        .rule = {"event-missing", TBK_SEVERITY_ERROR,
                 "A trade was closed, but subscribers were never told: there is no event of it.",
                 "Nothing: an event made now would come out of order, and a subscriber may know of the trade "
                 "already."},
        .find = "SELECT 'signal_results', r.id, 'signal '||r.signal_id||', '||r.outcome, 0 FROM signal_results r "
                "LEFT JOIN tb_trades t ON t.signal_id=r.signal_id WHERE " IS_CLOSED
                " AND t.publish IS NOT 0 AND (t.breakeven_band IS NOT NULL OR "
                "r.id>(SELECT value FROM tb_meta WHERE key='results_before_events')) AND "
                "(ifnull((SELECT min(sequence) FROM tb_events),1)=1 OR tbk_microseconds(r.created_at)/1000>"
                "(SELECT tbk_microseconds(created_at)/1000 FROM tb_events ORDER BY sequence LIMIT 1)) "
                "AND r.id NOT IN (SELECT result_id FROM tb_events)",
    },
    /* A later correction of the trade is legitimate, but leaves a report in tb_changes.
     * Once reports were forgotten, only rows count that say themselves that they have
     * not changed. */
    {
        .rule = {"event-contradicts-result", TBK_SEVERITY_ERROR,
                 "Subscribers were told another result than the trade has, and the trade was not changed since.",
                 "Nothing: which of the two is right is not known."},
        .find = "SELECT 'tb_events', e.sequence, 'result '||r.id||': '||ifnull(e.outcome,'NULL')||' '||"
                "tbk_number(e.pnl_usd)||' was told, '||r.outcome||' '||tbk_number(r.pnl_usd)||' is stored', 0 "
                "FROM tb_events e JOIN signal_results r ON r.id=e.result_id AND r.created_at=e.result_created_at "
                "WHERE (e.signal_id<>r.signal_id OR e.outcome IS NOT r.outcome OR e.pnl_usd IS NOT r.pnl_usd OR "
                "e.pnl_percent IS NOT r.pnl_percent OR e.entry_price IS NOT r.entry_price OR "
                "e.exit_price IS NOT r.exit_price OR e.exit_reason IS NOT r.exit_reason) AND "
                "e.sequence IN (SELECT max(sequence) FROM tb_events GROUP BY result_id) AND "
                "e.result_id NOT IN (SELECT row FROM tb_changes WHERE series=1) AND "
                "(ifnull((SELECT min(sequence) FROM tb_changes),1)=1 OR r.updated_at=e.result_updated_at)",
    },
    {
        .rule = {"event-twice", TBK_SEVERITY_WARNING,
                 "A trade was closed more than once, and subscribers were told each time.",
                 "Nothing: what subscribers were told cannot be taken back."},
        .find =
            "SELECT 'tb_events', sequence, 'result '||result_id||', first told as '||first, 0 FROM (SELECT "
            "sequence, "
            "result_id, first_value(sequence) OVER same AS first, row_number() OVER same AS n FROM tb_events "
            "WINDOW same AS (PARTITION BY result_id, signal_id, result_created_at ORDER BY sequence)) WHERE n>1",
    },
};

const size_t tbk_doctor_rule_count = sizeof tbk_doctor_rules / sizeof tbk_doctor_rules[0];
