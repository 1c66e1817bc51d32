#include "random_book.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/timestamp.h"

#define US_PER_DAY (INT64_C(86400) * 1000000)
#define START      (INT64_C(20000) * US_PER_DAY)

int random_below(struct random_book *book, int limit)
{
    return (int)((long long)rand_r(&book->seed) * limit / ((long long)RAND_MAX + 1));
}

static int64_t random_us(struct random_book *book, int64_t range)
{
    return (int64_t)((double)rand_r(&book->seed) / RAND_MAX * (double)range);
}

int64_t random_time(struct random_book *book)
{
    switch (book->times) {
    case RANDOM_TIMES_SPARSE:
        return START + random_us(book, 1000 * US_PER_DAY);
    case RANDOM_TIMES_DENSE:
        return START + random_us(book, 5 * US_PER_DAY);
    case RANDOM_TIMES_ONE_DAY:
        return START + random_us(book, US_PER_DAY);
    case RANDOM_TIMES_EQUAL:
        return START + random_below(book, 6) * US_PER_DAY / 2;
    default:
        book->clock_us = (book->clock_us == 0 ? START : book->clock_us) + random_us(book, US_PER_DAY / 3);
        return book->clock_us - random_us(book, US_PER_DAY / 3);
    }
}

const char *random_text(struct random_book *book, int dimension)
{
    static const char *const texts[][5] = {
        {"v7", "deep", "grid", "v8", NULL},
        {"BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD", "ADA-USD"},
        {"tokyo", "london", "new_york", NULL, ""},
        {"high", "HIGH", "low", "medium", "low"},
        {"long", "short", "LONG", "hold", "long"},
        {"tp_hit", "sl_hit", "manual", NULL, "timeout"},
        {NULL, "1", "2", "3", "3"},
    };
    return texts[dimension][random_below(book, 5)];
}

static void run(struct random_book *book, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *sql = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    tbk_raw_exec(book->db, sql);
    sqlite3_free(sql);
}

/* A time as SQL, in one of the forms that are understood, or in none. */
static const char *sql_time(struct random_book *book, char out[64])
{
    const int form = random_below(book, 20);
    char text[TBK_TIMESTAMP_CHARS + 1];
    tbk_timestamp_format(random_time(book), text);
    if (form == 0) {
        snprintf(out, 64, "NULL");
    } else if (form == 1) {
        snprintf(out, 64, "'soon'");
    } else if (form == 2) {
        snprintf(out, 64, "'%.10sT%.8sZ'", text, text + 11);
    } else {
        snprintf(out, 64, "'%s'", text);
    }
    return out;
}

static const char *sql_number(struct random_book *book, char out[32])
{
    if (random_below(book, 12) == 0) {
        snprintf(out, 32, "NULL");
    } else if (random_below(book, 2) == 0) { /* steps that meet each other again */
        snprintf(out, 32, "%d", random_below(book, 5) - 2);
    } else {
        snprintf(out, 32, "%.2f", (random_below(book, 2000) - 990) / 100.0);
    }
    return out;
}

static const char *sql_outcome(struct random_book *book)
{
    static const char *const outcomes[] = {"win", "loss", "breakeven", "WIN", "Loss"};
    return outcomes[random_below(book, 5)];
}

/* An id that exists or has existed. */
static int64_t some_id(struct random_book *book, const char *table)
{
    char sql[96];
    snprintf(sql, sizeof sql, "SELECT ifnull(max(id),0) FROM %s", table);
    return 1 + random_below(book, (int)tbk_raw_integer(book->db, sql) + 1);
}

/* One that exists, mostly; never one that is still to come. */
static int64_t some_signal(struct random_book *book)
{
    const int64_t id = some_id(book, "signals");
    return id > 1 ? id - 1 : id;
}

static int64_t insert_signal(struct random_book *book)
{
    char time[TBK_TIMESTAMP_CHARS + 1];
    tbk_timestamp_format(random_time(book), time);
    run(book,
        "INSERT INTO signals (timestamp,symbol,direction,confidence,tier,ensemble_prediction,session,"
        "model_version,strategy) VALUES (%Q,%Q,%Q,%f,%Q,0.5,%Q,%Q,%Q)",
        random_below(book, 30) == 0 ? "never" : time, random_text(book, 1), random_text(book, 4),
        random_below(book, 102) / 100.0, random_text(book, 3), random_text(book, 2), random_text(book, 6),
        random_text(book, 0));
    return sqlite3_last_insert_rowid(book->db);
}

static void insert_snapshot(struct random_book *book, int64_t signal_id)
{
    char r[32];
    run(book,
        "INSERT OR REPLACE INTO risk_book_snapshots (signal_id,pair,tier,entry_time,entry_price,mode,r_realized,"
        "created_at) VALUES ('%lld','BTC-USD','high','2024-01-01 00:00:00.000000',1,'dryrun',%s,datetime('now'))",
        (long long)signal_id, sql_number(book, r));
}

static void insert_result(struct random_book *book, const char *verb, int64_t signal_id, bool is_closed)
{
    char time[64];
    char percent[32];
    char usd[32];
    run(book,
        "%s INTO signal_results (signal_id,entry_price,entry_timestamp,exit_timestamp,exit_reason,pnl_percent,"
        "pnl_usd,outcome,created_at,updated_at) VALUES (%lld,100,'2024-01-01 00:00:00.000000',%s,%Q,%s,%s,%Q,"
        "datetime('now'),datetime('now'))",
        verb, (long long)signal_id, is_closed ? sql_time(book, time) : "NULL",
        is_closed ? random_text(book, 5) : NULL, is_closed ? sql_number(book, percent) : "NULL",
        is_closed ? sql_number(book, usd) : "NULL", is_closed ? sql_outcome(book) : "open");
}

static void close_result(struct random_book *book, int64_t id)
{
    char time[64];
    char percent[32];
    char usd[32];
    run(book,
        "UPDATE signal_results SET exit_timestamp=%s, exit_reason=%Q, pnl_percent=%s, pnl_usd=%s, outcome=%Q "
        "WHERE id=%lld",
        sql_time(book, time), random_text(book, 5), sql_number(book, percent), sql_number(book, usd),
        sql_outcome(book), (long long)id);
}

static void insert_theory(struct random_book *book, const char *id)
{
    static const char *const names[] = {"entropy", "kelly", "markov", "fractal", "bayes"};
    static const char *const grades[] = {"NULL", "0", "1", "1"};
    char time[TBK_TIMESTAMP_CHARS + 1];
    tbk_timestamp_format(random_time(book), time);
    run(book,
        "INSERT OR IGNORE INTO theory_performance (id,signal_id,theory_name,contribution_score,was_correct,"
        "created_at) VALUES (%s,1,%Q,%f,%s,%Q)",
        id, names[random_below(book, 5)], random_below(book, 100) / 100.0, grades[random_below(book, 4)], time);
}

void random_book_fill(struct random_book *book, int trades)
{
    run(book, "BEGIN");
    for (int i = 0; i < trades; i++) {
        const int64_t signal = insert_signal(book);
        insert_theory(book, "NULL");
        if (random_below(book, 3) > 0) {
            insert_snapshot(book, signal);
        }
        if (random_below(book, 10) > 0) {
            insert_result(book, "INSERT OR REPLACE", signal, random_below(book, 10) > 0);
        }
    }
    run(book, "COMMIT");
}

static void change_trade(struct random_book *book)
{
    char time[64];
    char number[32];
    const long long id = some_id(book, "signal_results");
    switch (random_below(book, 8)) {
    case 0:
        insert_result(book, "INSERT OR REPLACE", insert_signal(book), true);
        break;
    case 1:
        insert_result(book, "INSERT OR REPLACE", some_signal(book), random_below(book, 3) > 0);
        break;
    case 2:
        close_result(book, id);
        break;
    case 3:
        run(book, "UPDATE signal_results SET exit_timestamp=%s WHERE id=%lld", sql_time(book, time), id);
        break;
    case 4:
        run(book, "UPDATE signal_results SET pnl_percent=%s, exit_reason=%Q WHERE id=%lld",
            sql_number(book, number), random_text(book, 5), id);
        break;
    case 5:
        run(book, "UPDATE signal_results SET outcome='open', exit_timestamp=NULL WHERE id=%lld", id);
        break;
    case 6:
        run(book, "DELETE FROM signal_results WHERE id=%lld", id);
        break;
    default: /* frees the largest ids */
        run(book, "DELETE FROM signal_results WHERE id>(SELECT max(id)-3 FROM signal_results)");
        break;
    }
}

static void change_signal(struct random_book *book)
{
    const long long id = some_id(book, "signals");
    char time[TBK_TIMESTAMP_CHARS + 1];
    switch (random_below(book, 5)) {
    case 0:
        insert_signal(book);
        break;
    case 1:
        run(book, "UPDATE signals SET strategy=%Q, symbol=%Q WHERE id=%lld", random_text(book, 0),
            random_text(book, 1), id);
        break;
    case 2:
        tbk_timestamp_format(random_time(book), time);
        run(book, "UPDATE signals SET timestamp=%Q, confidence=%f WHERE id=%lld", time,
            random_below(book, 100) / 100.0, id);
        break;
    case 3: /* a largest id is given again; a new signal must not get an old trade */
        run(book, "DELETE FROM signal_results WHERE signal_id=%lld AND signal_id>=(SELECT max(id) FROM signals)",
            id);
        run(book, "DELETE FROM signals WHERE id=%lld", id);
        break;
    default:
        run(book, "DELETE FROM signal_results WHERE signal_id>(SELECT max(id)-2 FROM signals)");
        run(book, "DELETE FROM signals WHERE id>(SELECT max(id)-2 FROM signals)");
        break;
    }
}

static void change_theory(struct random_book *book)
{
    const long long id = some_id(book, "theory_performance");
    char text[24];
    snprintf(text, sizeof text, "%lld", id);
    switch (random_below(book, 5)) {
    case 0:
        insert_theory(book, "NULL");
        break;
    case 1:
        insert_theory(book, text);
        break;
    case 2:
        run(book, "UPDATE theory_performance SET was_correct=%d WHERE id=%lld", random_below(book, 2), id);
        break;
    case 3:
        run(book, "UPDATE theory_performance SET was_correct=NULL, created_at='later' WHERE id=%lld", id);
        break;
    default:
        run(book, "DELETE FROM theory_performance WHERE id=%lld", id);
        break;
    }
}

void random_book_change(struct random_book *book)
{
    const int64_t signal = some_id(book, "signals");
    switch (random_below(book, 6)) {
    case 0:
        change_signal(book);
        break;
    case 1:
        change_theory(book);
        break;
    case 2:
        if (random_below(book, 2) == 0) {
            insert_snapshot(book, signal);
        } else {
            run(book, "DELETE FROM risk_book_snapshots WHERE signal_id='%lld'", (long long)signal);
        }
        break;
    default:
        change_trade(book);
        break;
    }
}
