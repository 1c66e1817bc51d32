/*
 * What figures cost over many trades: makes N closed trades over three years in a
 * new file, opens storage and analytics on it, and prints the time of each query,
 * the first reading and the memory.
 *
 *   analytics_scale FILE N
 *
 * FILE must not exist; it is left behind and used again if it does.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "analytics/internal.h"
#include "base/timestamp.h"
#include "schema/schema.h"

enum { REPEATS = 300, ARENA_BYTES = 64 << 20 };
#define US_PER_DAY INT64_C(86400000000)

struct run {
    const struct tbk_storage_ops *ops;
    struct tbk_storage *storage;
    struct tbk_session *session;
    struct tbk_analytics *analytics;
    struct tbk_arena *arena;
    struct tbk_error error;
    struct tbk_analytics_query query;
    int64_t start_us, end_us; /* of all trades */
};

static void check(struct run *run, enum tbk_status status)
{
    if (status != TBK_OK) {
        fprintf(stderr, "analytics_scale: %s\n", run->error.message);
        exit(1);
    }
}

static void check_sql(sqlite3 *db, int rc)
{
    if (rc != SQLITE_OK) {
        fprintf(stderr, "analytics_scale: %s\n", sqlite3_errmsg(db));
        exit(1);
    }
}

static void drop_triggers(sqlite3 *db)
{
    sqlite3_stmt *statement;
    struct {
        char sql[128];
    } drops[64];
    int count = 0;
    check_sql(db,
              sqlite3_prepare_v2(db, "SELECT name FROM sqlite_schema WHERE type='trigger'", -1, &statement, NULL));
    while (sqlite3_step(statement) == SQLITE_ROW && count < 64) {
        snprintf(drops[count].sql, sizeof drops[count].sql, "DROP TRIGGER %s",
                 (const char *)sqlite3_column_text(statement, 0));
        count++;
    }
    sqlite3_finalize(statement);
    for (int i = 0; i < count; i++) {
        check_sql(db, sqlite3_exec(db, drops[i].sql, NULL, NULL, NULL));
    }
}

/* Without the triggers, which opening the storage puts back. */
static void fill(const char *path, long trades)
{
    static const char format[] =
        "BEGIN;"
        "CREATE TEMP TABLE n AS WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<%ld) "
        "SELECT i, strftime('%%Y-%%m-%%d %%H:%%M:%%f000', 2459945.5 + i*1095.0/%ld) AS t, "
        "abs(random()) %% 1000000 AS r FROM c;"
        "INSERT INTO signals (id,timestamp,symbol,direction,confidence,tier,ensemble_prediction,session,strategy,"
        "model_version,executed) SELECT i, t, 'SYM'||(r %% 20)||'-USD', "
        "CASE r %% 2 WHEN 0 THEN 'long' ELSE 'short' END, 0.5+(r %% 500)/1000.0, "
        "CASE r %% 3 WHEN 0 THEN 'high' WHEN 1 THEN 'medium' ELSE 'low' END, 0.7, "
        "CASE r %% 4 WHEN 0 THEN 'tokyo' WHEN 1 THEN 'london' ELSE 'new_york' END, "
        "CASE r %% 2 WHEN 0 THEN 'v7_full_math' ELSE 'v7_deepseek_only' END, 'v7.'||(i*9/%ld), 1 FROM n;"
        "INSERT INTO signal_results (id,signal_id,entry_price,entry_timestamp,exit_price,exit_timestamp,"
        "exit_reason,pnl_percent,pnl_usd,outcome) SELECT i, i, 100, t, 101, t, "
        "CASE WHEN r<520000 THEN 'tp_hit' ELSE 'sl_hit' END, (520000-r)/200000.0, (520000-r)/2000.0, "
        "CASE WHEN r<520000 THEN 'win' ELSE 'loss' END FROM n;"
        "INSERT INTO risk_book_snapshots (signal_id,pair,tier,entry_time,entry_price,mode,r_realized) "
        "SELECT CAST(i AS TEXT), 'X', 'high', t, 100, 'live', (520000-r)/400000.0 FROM n;"
        "COMMIT;";
    sqlite3 *db;
    char sql[4096];
    snprintf(sql, sizeof sql, format, trades, trades, trades);
    check_sql(db, sqlite3_open(path, &db));
    drop_triggers(db);
    check_sql(db, sqlite3_exec(db, "PRAGMA synchronous=OFF", NULL, NULL, NULL));
    check_sql(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
    sqlite3_close(db);
}

static int compare(const void *a, const void *b)
{
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Of this thread, for machines that do other work besides. */
static int64_t cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void report(const char *name, double *times, double *cpu_times)
{
    qsort(times, REPEATS, sizeof *times, compare);
    qsort(cpu_times, REPEATS, sizeof *cpu_times, compare);
    printf("%-44s %9.3f %9.3f %9.3f %9.3f\n", name, times[REPEATS / 2], times[REPEATS * 99 / 100],
           cpu_times[REPEATS / 2], cpu_times[REPEATS * 99 / 100]);
}

static void performance(struct run *run, enum tbk_dimension breakdown)
{
    struct tbk_basis basis;
    struct tbk_performance figures;
    struct tbk_performance_group *groups;
    size_t count;
    size_t left_out;
    check(run, tbk_analytics_performance(run->analytics, run->session, &run->query, breakdown, 1000, run->arena,
                                         &basis, &figures, &groups, &count, &left_out, &run->error));
}

static void all(struct run *run)
{
    performance(run, TBK_DIMENSION_NONE);
}

/* Each time another window, so that nothing is cached. */
static void random_month(struct run *run)
{
    run->query.start_us = run->start_us + (int64_t)(drand48() * (double)(run->end_us - run->start_us));
    run->query.end_us = run->query.start_us + 30 * US_PER_DAY;
    performance(run, TBK_DIMENSION_NONE);
}

static void random_window(struct run *run)
{
    const int64_t half = (run->end_us - run->start_us) / 2;
    run->query.start_us = run->start_us + (int64_t)(drand48() * (double)half);
    run->query.end_us = run->start_us + half + (int64_t)(drand48() * (double)half);
    performance(run, TBK_DIMENSION_NONE);
}

static void slice(struct run *run)
{
    run->query.dimension = TBK_DIMENSION_SYMBOL;
    run->query.value = "SYM7-USD";
    random_window(run);
}

static void by_strategy(struct run *run)
{
    performance(run, TBK_DIMENSION_STRATEGY);
}

static void by_symbol(struct run *run)
{
    performance(run, TBK_DIMENSION_SYMBOL);
}

static void periods(struct run *run, enum tbk_period period, size_t limit)
{
    struct tbk_basis basis;
    struct tbk_performance_period *items;
    size_t count;
    bool more;
    check(run, tbk_analytics_periods(run->analytics, run->session, &run->query, period, TBK_NO_TIME, limit,
                                     run->arena, &basis, &items, &count, &more, &run->error));
}

static void days(struct run *run)
{
    periods(run, TBK_PERIOD_DAY, 50);
}

static void months(struct run *run)
{
    periods(run, TBK_PERIOD_MONTH, 50);
}

static void equity(struct run *run)
{
    struct tbk_basis basis;
    struct tbk_equity_curve curve;
    check(run, tbk_analytics_equity(run->analytics, run->session, &run->query, 500, run->arena, &basis, &curve,
                                    &run->error));
}

static void equity_slice(struct run *run)
{
    run->query.dimension = TBK_DIMENSION_SYMBOL;
    run->query.value = "SYM7-USD";
    equity(run);
}

static void calibration(struct run *run)
{
    struct tbk_basis basis;
    struct tbk_calibration cells;
    check(run, tbk_analytics_calibration(run->analytics, run->session, &run->query, &basis, &cells, &run->error));
}

static void calibration_slice(struct run *run)
{
    run->query.dimension = TBK_DIMENSION_SYMBOL;
    run->query.value = "SYM7-USD";
    calibration(run);
}

static void strategies(struct run *run)
{
    struct tbk_strategies counted;
    check(run,
          tbk_analytics_strategies(run->analytics, run->session, &run->query, run->arena, &counted, &run->error));
}

static const struct {
    const char *name;
    void (*query)(struct run *run);
} queries[] = {
    {"performance, everything", all},
    {"performance, any month", random_month},
    {"performance, any long window", random_window},
    {"performance, one symbol, any long window", slice},
    {"performance by strategy (2)", by_strategy},
    {"performance by symbol (20)", by_symbol},
    {"series, 50 days", days},
    {"series, all months", months},
    {"equity, 500 points", equity},
    {"equity, 500 points, one symbol", equity_slice},
    {"calibration", calibration},
    {"calibration, one symbol", calibration_slice},
    {"comparison of strategies", strategies},
};

static void measure(struct run *run)
{
    static double times[REPEATS];
    static double cpu_times[REPEATS];
    printf("%-44s %9s %9s %9s %9s\n", "milliseconds", "median", "p99", "CPU", "p99");
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        for (int repeat = 0; repeat < REPEATS; repeat++) {
            run->query = (struct tbk_analytics_query){.start_us = TBK_NO_TIME,
                                                      .end_us = TBK_NO_TIME,
                                                      .now_us = tbk_now_us(),
                                                      .deadline_us = INT64_MAX / 2};
            const int64_t begin = tbk_monotonic_us();
            const int64_t cpu_begin = cpu_ns();
            queries[i].query(run);
            cpu_times[repeat] = (double)(cpu_ns() - cpu_begin) / 1e6;
            times[repeat] = (double)(tbk_monotonic_us() - begin) / 1000.0;
            tbk_arena_reset(run->arena);
        }
        report(queries[i].name, times, cpu_times);
    }
}

static long resident_kib(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL) {
        if (fscanf(file, "%*d %ld", &pages) != 1) {
            pages = 0;
        }
        fclose(file);
    }
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void open_storage(struct run *run, const struct tbk_schema *schema, const char *path)
{
    const struct tbk_storage_config config = {.location = path, .schema = schema, .busy_timeout_ms = 5000};
    check(run, run->ops->open(&config, &run->storage, &run->error));
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: analytics_scale FILE N\n");
        return 2;
    }
    struct run run = {.arena = tbk_arena_create(1 << 20, ARENA_BYTES)};
    const char *location;
    struct tbk_schema *schema;
    tbk_error_init(&run.error);
    check(&run, tbk_schema_create(&schema, &run.error));
    run.ops = tbk_storage_backend(argv[1], &location, &run.error);
    if (access(argv[1], F_OK) != 0) {
        open_storage(&run, schema, location);
        run.ops->close(run.storage);
        fill(argv[1], strtol(argv[2], NULL, 10));
    }
    open_storage(&run, schema, location);
    check(&run, run.ops->session_open(run.storage, TBK_SESSION_READ, &run.session, &run.error));
    const long resident_before = resident_kib();
    const int64_t begin = tbk_monotonic_us();
    check(&run, tbk_analytics_create(run.ops, run.storage, &run.analytics, &run.error));
    run.query =
        (struct tbk_analytics_query){.start_us = TBK_NO_TIME, .end_us = TBK_NO_TIME, .deadline_us = INT64_MAX / 2};
    struct tbk_basis basis;
    struct tbk_equity_curve curve;
    check(&run,
          tbk_analytics_equity(run.analytics, run.session, &run.query, 1, run.arena, &basis, &curve, &run.error));
    printf("%s trades, read in %.2f s\n", argv[2], (double)(tbk_monotonic_us() - begin) / 1e6);
    run.end_us = curve.points[0].time_us;
    run.start_us = run.end_us - basis.days * US_PER_DAY;
    strategies(&run);
    printf("memory of the series %.1f MiB, of the process %.1f MiB more than before\n",
           (double)tbk_analytics_bytes(run.analytics) / 1048576.0,
           (double)(resident_kib() - resident_before) / 1024.0);
    measure(&run);
    tbk_analytics_destroy(run.analytics);
    run.ops->session_close(run.session);
    run.ops->close(run.storage);
    tbk_schema_destroy(schema);
    tbk_arena_destroy(run.arena);
    return 0;
}
