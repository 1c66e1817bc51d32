/*
 * What rows say against each other, as data. A rule that compares numbers allows
 * for the noise of floating point and for rounding (tbk_agrees); one that compares
 * copies looks at values that are there, because a bot may leave some out.
 */
#include "storage/sqlite/doctor.h"

#define SELECT(table, key, detail, repairable)                                                                    \
    "SELECT '" table "' AS source, " key " AS key, " detail " AS detail, " repairable " AS repairable "
#define NUMBER(value) "format('%!.10g'," value ")"

#define SIDE_OF(signal) "CASE lower(" signal ".direction) WHEN 'long' THEN 1 WHEN 'short' THEN -1 END"

#define IS_CLOSED "lower(r.outcome) IN ('win','loss','breakeven')"
#define IS_OPEN   "lower(r.outcome)='open'"

#define DIFFER(a, b) DIFFER_BY(a, b, "0")
/* Either may be rounded. */
#define DIFFER_BY(a, b, scale) "(tbk_agrees(" a "," b "," scale ")=0 AND tbk_agrees(" b "," a "," scale ")=0)"

/* Closed trades with what their prices and terms come to. Of a trade that another
 * program opened quantity and fees are not known; it is held to one unit without
 * fees, as CloseTrade has it, if half of these trades and more are so (strict). */
#define TRADES                                                                                                    \
    "WITH trade AS (SELECT r.id, lower(s.direction) AS direction, " SIDE_OF(                                      \
        "s") " AS side, r.entry_price AS entry, r.exit_price AS exit, r.pnl_usd AS usd, r.pnl_percent AS "        \
             "percent, lower(r.outcome) AS outcome, t.signal_id IS NOT NULL AS known, ifnull(t.quantity,1.0) AS " \
             "quantity, ifnull(t.fees_usd,0.0) AS fees, t.breakeven_band AS band "                                \
             "FROM signal_results r JOIN signals s ON s.id=r.signal_id "                                          \
             "LEFT JOIN tb_trades t ON t.signal_id=r.signal_id WHERE " IS_CLOSED                                  \
             " AND r.entry_price>0 AND r.exit_price>0), "                                                         \
             "priced AS (SELECT *, side*(exit-entry)*quantity-fees AS right_usd, "                                \
             "-side*(exit-entry)*quantity-fees AS other_usd, max(entry,exit)*quantity AS scale, "                 \
             "(side*(exit-entry)*quantity-fees)/(entry*quantity)*100 AS right_percent, "                          \
             "max(entry,exit)/entry*100 AS percent_scale FROM trade WHERE side IS NOT NULL AND quantity>0), "     \
             "habit AS (SELECT ifnull(avg(tbk_agrees(usd,right_usd,scale)),0)>=0.5 AS one_unit FROM priced "      \
             "WHERE NOT known AND usd IS NOT NULL), "                                                             \
             "judged AS (SELECT *, known OR (SELECT one_unit FROM habit) AS strict FROM priced) "

#define USD_INVERTED                                                                                              \
    "(strict AND tbk_agrees(usd,right_usd,scale)=0 AND "                                                          \
    "(tbk_agrees(usd,other_usd,scale)=1 OR tbk_agrees(usd,-right_usd,scale)=1))"
/* Without quantity and fees there is only the percentage to go by. */
#define PERCENT_INVERTED                                                                                          \
    "((usd IS NULL OR NOT strict) AND tbk_agrees(percent,right_percent,percent_scale)=0 AND "                     \
    "tbk_agrees(percent,-right_percent,percent_scale)=1)"
#define INVERTED "(ifnull(" USD_INVERTED ",0) OR ifnull(" PERCENT_INVERTED ",0))"

#define PNL_DETAIL                                                                                                \
    "direction||' from '||" NUMBER("entry") "||' to '||" NUMBER("exit") "||', pnl_usd is '||ifnull(" NUMBER(      \
        "usd") ",'NULL')||' and should be '||" NUMBER("right_usd")

#define MORE_THAN_ONE                                                                                             \
    "Nothing: price, direction and result are each as likely to be wrong. Look at the exchange's record."

/* Copies of the same facts in two rows. */
#define TELL(condition, text) "CASE WHEN " condition " THEN " text "||', ' ELSE '' END"

/* A signal against the trade made on it. */
#define SIGNAL_RESULT                                                                                             \
    "CASE lower(r.outcome) WHEN 'win' THEN ifnull(lower(s.result),'')<>'win' "                                    \
    "WHEN 'loss' THEN ifnull(lower(s.result),'')<>'loss' WHEN 'breakeven' THEN s.result IS NOT NULL "             \
    "WHEN 'open' THEN lower(s.result)<>'pending' END"
#define SIGNAL_DIFFERS                                                                                                                                                                   \
    TELL(SIGNAL_RESULT, "'result is '||ifnull(s.result,'NULL')||' but the outcome '||r.outcome")                                                                                         \
    "||" TELL(                                                                                                                                                                           \
        DIFFER("s.exit_price", "r.exit_price"),                                                                                                                                          \
        "'exit_price is '||" NUMBER(                                                                                                                                                     \
            "s.exit_price") "||' and "                                                                                                                                                   \
                            "'||" NUMBER(                                                                                                                                                \
                                "r.exit_price")) "||" TELL(DIFFER_BY("s.pnl", "r.pnl_usd", "r.entry_price"),                                                                             \
                                                           "'pnl is '||" NUMBER("s.pnl") "||' and '||" NUMBER(                                                                           \
                                                               "r.pnl_usd")) "||" TELL("tbk_microseconds(s.exit_"                                                                        \
                                                                                       "time)<>tbk_"                                                                                     \
                                                                                       "microseconds(r.exit_"                                                                            \
                                                                                       "timestamp)",                                                                                     \
                                                                                       "'exit_time is "                                                                                  \
                                                                                       "'||s.exit_time||' and "                                                                          \
                                                                                       "'||r.exit_timestamp") "|"                                                                        \
                                                                                                              "|" TELL(                                                                  \
                                                                                                                  DIFFER(                                                                \
                                                                                                                      "s."                                                               \
                                                                                                                      "exec"                                                             \
                                                                                                                      "utio"                                                             \
                                                                                                                      "n_"                                                               \
                                                                                                                      "pric"                                                             \
                                                                                                                      "e",                                                               \
                                                                                                                      "r."                                                               \
                                                                                                                      "entr"                                                             \
                                                                                                                      "y_"                                                               \
                                                                                                                      "pric"                                                             \
                                                                                                                      "e"),                                                              \
                                                                                                                  "'execution_"                                                          \
                                                                                                                  "price is "                                                            \
                                                                                                                  "'||" NUMBER(                                                          \
                                                                                                                      "s.execution_price") "||' and "                                    \
                                                                                                                                           "'||" NUMBER(                                 \
                                                                                                                                               "r."                                      \
                                                                                                                                               "entr"                                    \
                                                                                                                                               "y_"                                      \
                                                                                                                                               "pric"                                    \
                                                                                                                                               "e")) "||" TELL("ifnull(s.executed,0)=0", \
                                                                                                                                                               "'executed is not set'")

/* A risk snapshot against its trade. */
#define SNAPSHOT_DIFFERS                                                                                          \
    TELL("lower(k.result)<>lower(r.outcome)", "'result is '||k.result||' but the outcome '||r.outcome")           \
    "||" TELL(                                                                                                    \
        DIFFER("k.entry_price", "r.entry_price"),                                                                 \
        "'entry_price is '||" NUMBER("k.entry_price") "||' and '||" NUMBER(                                       \
            "r.entry_price")) "||" TELL(DIFFER("k.exit_price", "r.exit_price"),                                   \
                                        "'exit_price is '||" NUMBER("k.exit_price") "||' and '||" NUMBER(         \
                                            "r.exit_price")) "||" TELL("tbk_microseconds(k.exit_time)<>tbk_"      \
                                                                       "microseconds(r.exit_timestamp)",          \
                                                                       "'exit_time is '||k.exit_time||' and "     \
                                                                       "'||r.exit_timestamp")

/* Without the last comma. */
#define DIFFERENCES "substr(differs,1,length(differs)-2)"

#define HAS_RISK       "k.sl_price IS NOT NULL AND k.entry_price<>k.sl_price"
#define RISK_SCALE     "max(abs(k.entry_price),abs(k.sl_price))/abs(k.entry_price-k.sl_price)"
#define RIGHT_EXPECTED "abs(k.tp_price-k.entry_price)/abs(k.entry_price-k.sl_price)"
#define RIGHT_REALIZED "(k.exit_price-k.entry_price)/(k.entry_price-k.sl_price)"
#define SNAPSHOTS                                                                                                 \
    "FROM risk_book_snapshots k LEFT JOIN signals s ON CAST(s.id AS TEXT)=k.signal_id AND s.id=CAST(k.signal_id " \
    "AS INTEGER) "

#define EVENT_KEPT_SINCE "(SELECT created_at FROM tb_events ORDER BY sequence LIMIT 1)"
#define NOTHING_PRUNED   "ifnull((SELECT min(sequence) FROM tb_events),1)=1"

#define TWICE(table, column)                                                                                      \
    SELECT(table, "id", "'" column " '||" column "||' is that of '||first||' too'", "0")                          \
    "FROM (SELECT id, " column ", first_value(id) OVER same AS first, row_number() OVER same AS n FROM " table    \
    " WHERE " column " IS NOT NULL WINDOW same AS (PARTITION BY " column " ORDER BY id)) WHERE n>1"

const struct tbk_doctor_rule tbk_doctor_rules[] = {
    /* --- profit and loss --- */
    {{"pnl-inverted-short", TBK_SEVERITY_ERROR,
      "The profit or loss of a short trade has the wrong sign: it is what a long would have made.", MORE_THAN_ONE},
     TRADES SELECT("signal_results", "id", PNL_DETAIL, "0") "FROM judged WHERE side=-1 AND " INVERTED,
     NULL},
    {{"pnl-inverted-long", TBK_SEVERITY_ERROR,
      "The profit or loss of a long trade has the wrong sign: it is what a short would have made.", MORE_THAN_ONE},
     TRADES SELECT("signal_results", "id", PNL_DETAIL, "0") "FROM judged WHERE side=1 AND " INVERTED,
     NULL},
    {{"pnl-wrong", TBK_SEVERITY_ERROR,
      "The profit or loss in USD does not follow from direction, prices, quantity and fees.", MORE_THAN_ONE},
     TRADES SELECT("signal_results", "id", PNL_DETAIL, "0") "FROM judged WHERE NOT " INVERTED
                                                            " AND CASE WHEN strict THEN "
                                                            "tbk_agrees(usd,right_usd,scale)=0 "
                                                            "ELSE usd>0 AND right_usd<0 END",
     NULL},
    {{"pnl-percent-wrong", TBK_SEVERITY_ERROR,
      "The profit or loss in percent is not that in USD by the value at entry.",
      "Where quantity and fees are known and the USD are right, computes it from them; elsewhere nothing."},
     TRADES SELECT(
         "signal_results", "id",
         "'pnl_percent is '||" NUMBER("percent") "||' and should be '||" NUMBER("right_percent"),
         "known AND tbk_agrees(usd,right_usd,scale)=1") "FROM judged WHERE NOT " INVERTED " AND CASE WHEN strict "
                                                        "THEN tbk_agrees(percent,right_percent,percent_scale)=0 "
                                                        "AND "
                                                        "ifnull(tbk_agrees(percent,usd/"
                                                        "(entry*quantity)*100,percent_scale),0)=0 "
                                                        "ELSE percent>0 AND right_percent<0 END",
     "UPDATE signal_results SET pnl_percent=pnl_usd/(entry_price*(SELECT t.quantity FROM tb_trades t "
     "WHERE t.signal_id=signal_results.signal_id))*100 WHERE id IN (SELECT key FROM doctor_keys)"},
    /* Of a trade whose band is not stored a breakeven is held to the users' own 0.5 %,
     * if half of these breakevens and more are within. */
    {{"outcome-wrong", TBK_SEVERITY_ERROR,
      "The outcome contradicts the profit or loss, given the breakeven band of the trade.",
      "Nothing: the result may be wrong instead, and subscribers, theories and patterns have been told the "
      "outcome."},
     TRADES
     ", result AS (SELECT *, ifnull(percent,right_percent) AS p FROM judged), "
     "band_habit AS (SELECT ifnull(avg(abs(p)<=0.5),0)>=0.5 AS small FROM result WHERE band IS NULL AND "
     "outcome='breakeven') " SELECT("signal_results", "id",
                                    "'outcome is '||outcome||' with '||" NUMBER(
                                        "p") "||' percent'||ifnull(' and a band of '||" NUMBER("band") ",'')",
                                    "0") "FROM result WHERE CASE "
                                         "WHEN band IS NOT NULL AND outcome='win' THEN p<=band-1e-9 OR p<=0 "
                                         "WHEN band IS NOT NULL AND outcome='loss' THEN p>=1e-9-band OR p>=0 "
                                         "WHEN band IS NOT NULL THEN abs(p)>band+1e-9 "
                                         "WHEN outcome='win' THEN p<0 OR (p=0 AND right_percent<=0) "
                                         "WHEN outcome='loss' THEN p>0 OR (p=0 AND right_percent>=0) "
                                         "ELSE abs(p)>0.5 AND (SELECT small FROM band_habit) END",
     NULL},

    /* --- the life of a trade --- */
    {{"trade-on-hold", TBK_SEVERITY_ERROR, "A trade was made on a signal that says hold.",
      "Nothing: the trade was made, and what the signal said cannot be known."},
     SELECT("signal_results", "r.id", "'signal '||s.id||' is a hold; the trade is '||r.outcome",
            "0") "FROM signal_results r JOIN signals s ON s.id=r.signal_id WHERE lower(s.direction)='hold'",
     NULL},
    {{"signal-contradicts-result", TBK_SEVERITY_ERROR,
      "A signal says another result, exit, profit or execution than its trade, so that pages which read one or "
      "the other differ.",
      "Nothing: which of the two rows is right is not known."},
     SELECT("signals", "id", DIFFERENCES,
            "0") "FROM (SELECT s.id AS id, " SIGNAL_DIFFERS
                 " AS differs FROM signal_results r JOIN signals s ON s.id=r.signal_id) WHERE differs<>''",
     NULL},
    {{"snapshot-contradicts-result", TBK_SEVERITY_ERROR,
      "A risk snapshot says another result, entry or exit than the trade of its signal.",
      "Nothing: which of the two rows is right is not known."},
     SELECT("risk_book_snapshots", "id", DIFFERENCES,
            "0") "FROM (SELECT k.signal_id AS id, " SNAPSHOT_DIFFERS
                 " AS differs FROM signal_results r JOIN risk_book_snapshots k ON "
                 "k.signal_id=CAST(r.signal_id AS TEXT)) WHERE differs<>''",
     NULL},
    {{"executed-without-result", TBK_SEVERITY_ERROR,
      "A signal is marked as executed, but there is no trade of it.",
      "Nothing: either the mark is wrong or the trade was lost."},
     SELECT("signals", "s.id", "''", "0") "FROM signals s WHERE s.executed=1 AND NOT EXISTS "
                                          "(SELECT 1 FROM signal_results r WHERE r.signal_id=s.id)",
     NULL},
    {{"closed-without-exit", TBK_SEVERITY_ERROR,
      "A trade has an outcome, but no exit price, exit time or profit; it is left out of windows of time and of "
      "averages.",
      "Nothing: what is missing is not known."},
     SELECT("signal_results", "r.id",
            "'outcome '||r.outcome||' without'||CASE WHEN r.exit_price IS NULL THEN ' exit_price' ELSE '' END||"
            "CASE WHEN r.exit_timestamp IS NULL THEN ' exit_timestamp' ELSE '' END||"
            "CASE WHEN r.pnl_usd IS NULL AND r.pnl_percent IS NULL THEN ' pnl' ELSE '' END",
            "0") "FROM signal_results r WHERE " IS_CLOSED
                 " AND (r.exit_price IS NULL OR r.exit_timestamp IS NULL OR "
                 "(r.pnl_usd IS NULL AND r.pnl_percent IS NULL))",
     NULL},
    {{"open-with-exit", TBK_SEVERITY_ERROR, "A trade is open, but has an exit price, an exit time or a profit.",
      "Nothing: it may be closed, or the exit may be wrong."},
     SELECT("signal_results", "r.id", "''", "0") "FROM signal_results r WHERE " IS_OPEN
                                                 " AND (r.exit_price IS NOT NULL OR r.exit_timestamp IS NOT NULL "
                                                 "OR r.pnl_usd IS NOT NULL OR r.pnl_percent IS NOT NULL)",
     NULL},
    {{"exit-before-entry", TBK_SEVERITY_ERROR, "A trade ends before it begins.",
      "Nothing: either time may be wrong."},
     SELECT("signal_results", "r.id", "'entry '||r.entry_timestamp||', exit '||r.exit_timestamp",
            "0") "FROM signal_results r WHERE tbk_microseconds(r.exit_timestamp)<tbk_microseconds("
                 "r.entry_timestamp) UNION ALL " SELECT("risk_book_snapshots", "k.signal_id",
                                                        "'entry '||k.entry_time||', exit '||k.exit_time",
                                                        "0") "FROM risk_book_snapshots k WHERE "
                                                             "tbk_microseconds(k.exit_time)<"
                                                             "tbk_microseconds(k.entry_time)",
     NULL},
    {{"hold-duration-wrong", TBK_SEVERITY_WARNING,
      "hold_duration_minutes is not the number of whole minutes from entry to exit.",
      "Computes it from the two times."},
     SELECT(
         "signal_results", "id", "'is '||held||' and should be '||minutes",
         "1") "FROM (SELECT r.id, r.hold_duration_minutes AS held, (tbk_microseconds(r.exit_timestamp)-"
              "tbk_microseconds(r.entry_timestamp))/60000000 AS minutes, "
              "tbk_microseconds(r.exit_timestamp)>=tbk_microseconds(r.entry_timestamp) AS ordered "
              "FROM signal_results r WHERE r.hold_duration_minutes IS NOT NULL) WHERE ordered AND held<>minutes",
     "UPDATE signal_results SET hold_duration_minutes=(tbk_microseconds(exit_timestamp)-"
     "tbk_microseconds(entry_timestamp))/60000000 WHERE id IN (SELECT key FROM doctor_keys)"},
    {{"open-stuck", TBK_SEVERITY_WARNING,
      "A trade has been open for longer than --stuck-days; the program that opened it may have forgotten it.",
      "Nothing: close it with \"tradebook close\" at the price it was left at."},
     SELECT("signal_results", "r.id", "'signal '||r.signal_id||', open since '||r.entry_timestamp",
            "0") "FROM signal_results r WHERE " IS_OPEN " AND tbk_microseconds(r.entry_timestamp)<:now-:stuck",
     NULL},
    {{"levels-wrong-side", TBK_SEVERITY_ERROR, "Take-profit or stop-loss is on the wrong side for the direction.",
      "Nothing: a level or the direction may be wrong."},
     SELECT("signals", "id",
            "direction||', entry '||ifnull(" NUMBER("entry_price") ",'NULL')||', tp '||ifnull(" NUMBER(
                "tp_price") ",'NULL')||', sl '||ifnull(" NUMBER("sl_price") ",'NULL')",
            "0") "FROM (SELECT s.*, " SIDE_OF("s") " AS side FROM signals s WHERE s.tp_price IS NOT NULL OR "
                                                   "s.sl_price IS NOT NULL) WHERE side*(tp_price-entry_price)<=0 "
                                                   "OR side*(entry_price-sl_price)<=0 OR "
                                                   "side*(tp_price-sl_price)<=0 "
                                                   "UNION ALL " SELECT(
                                                       "risk_book_snapshots", "k.signal_id",
                                                       "'entry '||" NUMBER("k.entry_price") "||', tp '||" NUMBER(
                                                           "k.tp_"
                                                           "price") "||', sl '||" NUMBER("k.sl_price"),
                                                       "0") SNAPSHOTS
     "WHERE CASE WHEN " SIDE_OF("s") " IS NOT NULL THEN " SIDE_OF(
         "s") "*(k.tp_price-k.sl_price)<=0 "
              "ELSE (k.tp_price-k.entry_price)*(k.entry_price-k.sl_price)<=0 END",
     NULL},

    /* --- risk --- */
    {{"rr-expected-wrong", TBK_SEVERITY_WARNING, "rr_expected is not |tp - entry| / |entry - sl|.",
      "Computes it from the three prices."},
     SELECT("risk_book_snapshots", "k.signal_id",
            "'is '||" NUMBER("k.rr_expected") "||' and should be '||" NUMBER(RIGHT_EXPECTED),
            "1") "FROM risk_book_snapshots k WHERE " HAS_RISK " AND tbk_agrees(k.rr_expected," RIGHT_EXPECTED
                 "," RISK_SCALE ")=0",
     "UPDATE risk_book_snapshots SET rr_expected=abs(tp_price-entry_price)/abs(entry_price-sl_price) "
     "WHERE signal_id IN (SELECT key FROM doctor_keys)"},
    /* A long's stop is below the entry; where it is not, the side is in question. */
    {{"r-realized-wrong", TBK_SEVERITY_WARNING,
      "r_realized is not the profit of one unit in multiples of |entry - sl|.",
      "Computes it from the three prices, where the stop is on the right side for the direction."},
     SELECT("risk_book_snapshots", "k.signal_id",
            "'is '||" NUMBER("k.r_realized") "||' and should be '||" NUMBER(RIGHT_REALIZED),
            "ifnull(" SIDE_OF("s") ",1)*(k.entry_price-k.sl_price)>0 OR s.id IS NULL") SNAPSHOTS
     "WHERE " HAS_RISK " AND tbk_agrees(k.r_realized," RIGHT_REALIZED "," RISK_SCALE ")=0 AND "
     "ifnull(tbk_agrees(k.r_realized," SIDE_OF("s") "*(k.exit_price-k.entry_price)/abs(k.entry_price-k.sl_"
                                                    "price)," RISK_SCALE "),0)=0",
     "UPDATE risk_book_snapshots SET r_realized=(exit_price-entry_price)/(entry_price-sl_price) "
     "WHERE signal_id IN (SELECT key FROM doctor_keys)"},

    /* --- rows without the row they belong to --- */
    {{"orphan-result", TBK_SEVERITY_ERROR, "A trade belongs to a signal that does not exist.",
      "Nothing: the signal was lost, or the trade should have gone with it."},
     SELECT("signal_results", "r.id", "'signal '||r.signal_id",
            "0") "FROM signal_results r WHERE NOT EXISTS (SELECT 1 FROM signals s WHERE s.id=r.signal_id)",
     NULL},
    {{"orphan-theory", TBK_SEVERITY_ERROR, "A theory's record belongs to a signal that does not exist.",
      "Nothing: the signal was lost, or the record should have gone with it."},
     SELECT("theory_performance", "h.id", "h.theory_name||', signal '||h.signal_id",
            "0") "FROM theory_performance h WHERE NOT EXISTS (SELECT 1 FROM signals s WHERE s.id=h.signal_id)",
     NULL},
    {{"orphan-snapshot", TBK_SEVERITY_WARNING, "A risk snapshot is under the id of a signal that does not exist.",
      "Nothing: the signal was lost, or the key means something else."},
     SELECT("risk_book_snapshots", "k.signal_id", "k.pair",
            "0") "FROM risk_book_snapshots k WHERE k.signal_id<>'' AND k.signal_id NOT GLOB '*[^0-9]*' AND NOT "
                 "EXISTS (SELECT 1 FROM signals s WHERE s.id=CAST(k.signal_id AS INTEGER))",
     NULL},
    {{"orphan-terms", TBK_SEVERITY_WARNING,
      "Quantity and fees are kept of a trade that does not exist; a new trade of the same signal id would take "
      "them for its own.",
      "Deletes them."},
     SELECT("tb_trades", "t.signal_id", "''", "1") "FROM tb_trades t WHERE NOT EXISTS (SELECT 1 FROM "
                                                   "signal_results r WHERE r.signal_id=t.signal_id)",
     "DELETE FROM tb_trades WHERE signal_id IN (SELECT key FROM doctor_keys)"},

    /* --- values that must be unique --- */
    {{"result-twice", TBK_SEVERITY_ERROR, "A signal has more than one trade.",
      "Nothing: which trade is the right one is not known."},
     TWICE("signal_results", "signal_id"),
     NULL},
    {{"pattern-hash-twice", TBK_SEVERITY_ERROR, "A pattern is there more than once.",
      "Nothing: its counts are spread, and may overlap."},
     TWICE("patterns", "pattern_hash"),
     NULL},
    {{"model-version-twice", TBK_SEVERITY_ERROR, "A model's version is there more than once.",
      "Nothing: which deployment is the right one is not known."},
     TWICE("model_deployments", "version"),
     NULL},
    {{"theory-twice", TBK_SEVERITY_WARNING,
      "A theory is recorded more than once for the same signal, and counts as often.",
      "Nothing: the records may differ, and it may be meant."},
     SELECT("theory_performance", "id", "theory_name||', signal '||signal_id||', as '||first",
            "0") "FROM (SELECT id, signal_id, theory_name, first_value(id) OVER same AS first, "
                 "row_number() OVER same AS n FROM theory_performance "
                 "WINDOW same AS (PARTITION BY signal_id, theory_name ORDER BY id)) WHERE n>1",
     NULL},

    /* --- patterns, models --- */
    {{"win-rate-wrong", TBK_SEVERITY_ERROR, "A pattern's win_rate is not wins / total (0 when total is 0).",
      "Computes it from wins and total."},
     SELECT(
         "patterns", "id", "name||': win_rate is '||" NUMBER("win_rate") "||', wins '||wins||' of '||total",
         "1") "FROM (SELECT *, CASE WHEN total=0 THEN 0.0 ELSE wins*1.0/total END AS right_rate FROM patterns) "
              "WHERE wins>=0 AND total>=0 AND wins<=total AND abs(win_rate-right_rate)>1e-9*max(right_rate,1e-3)",
     "UPDATE patterns SET win_rate=CASE WHEN total=0 THEN 0.0 ELSE wins*1.0/total END "
     "WHERE id IN (SELECT key FROM doctor_keys)"},
    {{"pattern-counts-impossible", TBK_SEVERITY_ERROR,
      "A pattern has won more trades than it has, or fewer than none.", "Nothing: either count may be wrong."},
     SELECT("patterns", "id", "name||': wins '||wins||' of '||total",
            "0") "FROM patterns WHERE wins>total OR wins<0 OR total<0",
     NULL},
    {{"promoted-twice", TBK_SEVERITY_ERROR,
      "More than one model of a type is in production; which one a bot takes is chance.",
      "Nothing: which one should be in production is not known. Promote it with PromoteModel."},
     SELECT("model_deployments", "d.id", "d.model_type||' '||d.version",
            "0") "FROM model_deployments d WHERE d.is_promoted=1 AND d.is_active=1 AND 1<(SELECT count(*) FROM "
                 "model_deployments o WHERE o.model_type=d.model_type AND o.is_promoted=1 AND o.is_active=1)",
     NULL},
    {{"promoted-inactive", TBK_SEVERITY_ERROR,
      "A model is promoted, but not active, so none may be in production.", "Nothing: either mark may be wrong."},
     SELECT("model_deployments", "d.id", "d.model_type||' '||d.version",
            "0") "FROM model_deployments d WHERE d.is_promoted=1 AND d.is_active=0",
     NULL},

    /* --- events --- */
    {{"event-gap", TBK_SEVERITY_ERROR,
      "An event of the outbox is missing before this one; a subscriber waits for it.",
      "Nothing: what subscribers were told cannot be made again. Restore a backup."},
     SELECT("tb_events", "sequence", "'after '||before||' comes '||sequence",
            "0") "FROM (SELECT sequence, lag(sequence) OVER (ORDER BY sequence) AS before FROM tb_events) "
                 "WHERE sequence<>before+1",
     NULL},
    {{"event-chain-broken", TBK_SEVERITY_ERROR,
      "An event names another event before it than the last one of its symbol.",
      "Nothing: what subscribers were told cannot be made again. Restore a backup."},
     SELECT("tb_events", "sequence",
            "symbol||': previous is '||ifnull(previous,'NULL')||' and should be '||before",
            "0") "FROM (SELECT sequence, symbol, previous, lag(sequence) OVER (PARTITION BY symbol ORDER BY "
                 "sequence) AS before FROM tb_events) WHERE before IS NOT NULL AND previous IS NOT before",
     NULL},
    {{"event-newest-wrong", TBK_SEVERITY_ERROR,
      "The newest event noted for a symbol is not its newest; the next one would name a wrong predecessor.",
      "Notes the newest."},
     SELECT("tb_events", "e.newest", "e.symbol||': noted is '||ifnull(y.sequence,'NULL')",
            "1") "FROM (SELECT symbol, max(sequence) AS newest FROM tb_events GROUP BY symbol) e "
                 "LEFT JOIN tb_symbols y ON y.symbol=e.symbol WHERE y.sequence IS NOT e.newest",
     "INSERT INTO tb_symbols (symbol, sequence) SELECT symbol, sequence FROM tb_events WHERE sequence IN (SELECT "
     "key FROM doctor_keys) ON CONFLICT (symbol) DO UPDATE SET sequence=excluded.sequence"},
    /* Results with ids above the mark came when the triggers were there already. Of
     * the time before the oldest event nothing can be said, once events were
     * forgotten. */
    {{"event-missing", TBK_SEVERITY_ERROR,
      "A trade was closed, but subscribers were never told: there is no event of it.",
      "Nothing: an event made now would come out of order, and a subscriber may know of the trade already."},
     SELECT("signal_results", "r.id", "'signal '||r.signal_id||', '||r.outcome",
            "0") "FROM signal_results r LEFT JOIN tb_trades t ON t.signal_id=r.signal_id WHERE " IS_CLOSED
                 " AND t.publish IS NOT 0 AND (t.breakeven_band IS NOT NULL OR r.id>(SELECT value FROM tb_meta "
                 "WHERE key='results_before_events')) AND (" NOTHING_PRUNED
                 " OR tbk_microseconds(r.created_at)>tbk_microseconds(" EVENT_KEPT_SINCE
                 ")) AND r.id NOT IN (SELECT result_id FROM tb_events)",
     NULL},
    /* A later correction of the trade is legitimate, but leaves a report in
     * tb_changes. Once reports were forgotten, only rows count that say themselves
     * that they have not changed. */
    {{"event-contradicts-result", TBK_SEVERITY_ERROR,
      "Subscribers were told another result than the trade has, and the trade was not changed since.",
      "Nothing: which of the two is right is not known."},
     SELECT("tb_events", "e.sequence",
            "'result '||r.id||': '||ifnull(e.outcome,'NULL')||' '||ifnull(" NUMBER(
                "e.pnl_usd") ",'NULL')||"
                             "' was told, '||r.outcome||' '||ifnull(" NUMBER("r.pnl_usd") ",'NULL')||' is stored'",
            "0") "FROM tb_events e JOIN signal_results r ON r.id=e.result_id AND r.created_at=e.result_created_at "
                 "WHERE (e.signal_id<>r.signal_id OR e.outcome IS NOT r.outcome OR e.pnl_usd IS NOT r.pnl_usd OR "
                 "e.pnl_percent IS NOT r.pnl_percent OR e.entry_price IS NOT r.entry_price OR e.exit_price IS NOT "
                 "r.exit_price OR e.exit_reason IS NOT r.exit_reason) AND e.sequence IN (SELECT max(sequence) "
                 "FROM tb_events GROUP BY "
                 "result_id) AND e.result_id NOT IN (SELECT row FROM "
                 "tb_changes WHERE series=1) AND (ifnull((SELECT min(sequence) FROM tb_changes),1)=1 OR "
                 "r.updated_at=e.result_updated_at)",
     NULL},
    {{"event-twice", TBK_SEVERITY_WARNING,
      "A trade was closed more than once, and subscribers were told each time.",
      "Nothing: what subscribers were told cannot be taken back."},
     SELECT("tb_events", "sequence", "'result '||result_id||', first told as '||first",
            "0") "FROM (SELECT sequence, result_id, first_value(sequence) OVER same AS first, row_number() OVER "
                 "same AS n FROM tb_events WINDOW same AS (PARTITION BY result_id, signal_id, result_created_at "
                 "ORDER BY sequence)) WHERE n>1",
     NULL},
};

const size_t tbk_doctor_rule_count = sizeof tbk_doctor_rules / sizeof tbk_doctor_rules[0];
