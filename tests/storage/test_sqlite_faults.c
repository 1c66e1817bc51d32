/*
 * A scripted server life in which every call to the file system fails in turn.
 * A child process lives it and ends, with or without closing; this process then
 * opens the database without faults and compares what is there with what the
 * child was answered.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault_vfs.h"
#include "sqlite_store.h"

enum {
    TRANSACTIONS = 4,
    UNITS = 3,       /* requests in each transaction */
    NEVER = 1000000, /* call number that is not reached */
    UNIT_NAME_BYTES = 32,
    SMALL_UNIT_BYTES = 100,
    LARGE_UNIT_BYTES = 3 << 20, /* a transaction of these exceeds the page cache */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    POINTS_FEW = 4, /* a fork with their memory map is ten times as slow */
    POINTS_MANY = 12,
#else
    POINTS_FEW = 12,
    POINTS_MANY = 1000,
#endif
};

/* What a request was answered. */
enum outcome { NOT_TRIED, COMMITTED, FAILED, UNDECIDED };

/* What the child tells, in shared memory. */
struct report {
    enum outcome outcomes[TRANSACTIONS][UNITS];
    unsigned calls[TBK_FAULT_KIND_COUNT];
    bool fired;
    char complaint[768];
};

/* A life: what the database is at first, and what happens to it. */
struct life {
    const char *name;
    char image[PATH_MAX]; /* copied to the store's location; "": there is no file */
    bool has_large;       /* one of the transactions is large */
    unsigned points_max;  /* of each kind of call, at most so many fail in turn */
};

struct fault {
    enum tbk_fault_kind kind;
    int code;
};

struct run {
    struct tbk_store *store;
    const struct life *life;
    struct fault fault;
    unsigned nth;
    bool forever;
    bool closes; /* else it ends like a killed process */
    struct report *report;
};

/* The run in progress, for people; "" between runs. */
static char present_run[256];

static void describe(const struct run *run)
{
    snprintf(present_run, sizeof present_run, "%s, %s %u%s fails with %d, %s", run->life->name,
             tbk_fault_kind_name(run->fault.kind), run->nth, run->forever ? " and all after it" : "",
             run->fault.code, run->closes ? "closed" : "killed");
}

/* The child: no cmocka here, a failed assertion would go on in the wrong process. */

static void complain(const struct run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

static void complain(const struct run *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(run->report->complaint, sizeof run->report->complaint, format, arguments);
    va_end(arguments);
    _exit(1);
}

/* Every failure has its cause and the status that storage.h promises for it. */
static void check_failure(const struct run *run, const char *where, enum tbk_status status)
{
    const enum tbk_status expected = run->fault.code == SQLITE_FULL ? TBK_RESOURCE_EXHAUSTED : TBK_UNAVAILABLE;
    if (!tbk_fault_vfs_fired() || status != expected) {
        complain(run, "%s: %s: %s", where, tbk_status_name(status), run->store->error.message);
    }
    if (run->store->error.status != status || run->store->error.message[0] == '\0') {
        complain(run, "%s: no sentence", where);
    }
    tbk_error_init(&run->store->error);
}

static void unit_name(int transaction, int unit, char out[UNIT_NAME_BYTES])
{
    snprintf(out, UNIT_NAME_BYTES, "unit %d-%d", transaction, unit);
}

/* A request of the script: two rows and the memory of having done it. */
static enum tbk_status write_unit(const struct run *run, int transaction, int unit)
{
    struct tbk_store *store = run->store;
    const struct tbk_table *signals = tbk_store_table(store, TBK_SIGNALS);
    const struct tbk_table *patterns = tbk_store_table(store, TBK_PATTERNS);
    char name[UNIT_NAME_BYTES];
    unit_name(transaction, unit, name);
    const size_t bytes = run->life->has_large && transaction == 1 ? LARGE_UNIT_BYTES : SMALL_UNIT_BYTES;
    char *notes = tbk_arena_alloc(store->arena, bytes + 1);
    memset(notes, 'n', bytes);
    notes[bytes] = '\0';
    ProtobufCMessage *signal = tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, unit);
    tbk_store_set(store, signal, tbk_store_column(signals, "model_version"), tbk_value_text(name));
    tbk_store_set(store, signal, tbk_store_column(signals, "notes"), tbk_value_text(notes));
    ProtobufCMessage *pattern = tbk_store_message(store, TBK_PATTERNS, TBK_FILL_ALL, unit);
    tbk_store_set(store, pattern, tbk_store_column(patterns, "pattern_hash"), tbk_value_text(name));
    struct tbk_request_record record = {.client = name, .response = (const uint8_t *)name, .response_bytes = 5};

    int64_t id;
    enum tbk_status status = store->ops->savepoint(store->writer, &store->error);
    if (status == TBK_OK) {
        status = store->ops->insert(store->writer, signals, signal, &id, &store->error);
    }
    if (status == TBK_OK) {
        status = store->ops->insert(store->writer, patterns, pattern, &id, &store->error);
    }
    if (status == TBK_OK) {
        status = store->ops->request_save(store->writer, &record, &store->error);
    }
    if (status == TBK_OK) {
        status = store->ops->release(store->writer, &store->error);
    }
    return status;
}

static void set_outcomes(const struct run *run, int transaction, enum outcome outcome)
{
    for (int unit = 0; unit < UNITS; unit++) {
        if (run->report->outcomes[transaction][unit] != FAILED || outcome == FAILED) {
            run->report->outcomes[transaction][unit] = outcome;
        }
    }
}

/* One group commit, as the server does it: a failed request is undone by itself
 * while the transaction lives; without it the whole batch has failed. */
static void write_transaction(const struct run *run, int transaction)
{
    struct tbk_store *store = run->store;
    enum tbk_status status = store->ops->begin(store->writer, &store->error);
    if (status != TBK_OK) {
        check_failure(run, "begin", status);
        set_outcomes(run, transaction, FAILED);
        return;
    }
    for (int unit = 0; unit < UNITS; unit++) {
        status = write_unit(run, transaction, unit);
        if (status == TBK_OK) {
            continue;
        }
        check_failure(run, "request", status);
        if (!store->ops->in_transaction(store->writer)) {
            set_outcomes(run, transaction, FAILED);
            return;
        }
        store->ops->rollback_to(store->writer);
        run->report->outcomes[transaction][unit] = FAILED;
    }
    status = store->ops->commit(store->writer, &store->error);
    if (status == TBK_UNKNOWN) {
        set_outcomes(run, transaction, UNDECIDED);
        if (!tbk_fault_vfs_fired()) {
            complain(run, "commit: undecided without a fault");
        }
        _exit(0); /* as the server does */
    }
    if (status != TBK_OK) {
        check_failure(run, "commit", status);
        if (store->ops->in_transaction(store->writer)) {
            complain(run, "a failed commit left its transaction open");
        }
    }
    set_outcomes(run, transaction, status == TBK_OK ? COMMITTED : FAILED);
}

static int committed_units(const struct report *report)
{
    int count = 0;
    for (int t = 0; t < TRANSACTIONS; t++) {
        for (int u = 0; u < UNITS; u++) {
            count += report->outcomes[t][u] == COMMITTED;
        }
    }
    return count;
}

/* Reads go on while writing fails, and never show what was not committed. */
static void read_back(const struct run *run)
{
    struct tbk_store *store = run->store;
    int64_t rows = -1;
    const enum tbk_status status =
        store->ops->count(store->reader, tbk_store_table(store, TBK_PATTERNS), &rows, &store->error);
    if (status == TBK_OK) {
        if (rows != committed_units(run->report)) {
            complain(run, "%lld rows are seen, %d were committed", (long long)rows, committed_units(run->report));
        }
    } else {
        check_failure(run, "reading", status);
        if (run->fault.kind == TBK_FAULT_WRITE || run->fault.kind == TBK_FAULT_SYNC) {
            complain(run, "reading stopped because writing failed");
        }
    }
}

/* A fault that happened once does no harm for longer than one transaction. */
static void check_recovery(const struct run *run, bool fired_before, int transaction)
{
    if (run->forever || !fired_before) {
        return;
    }
    for (int unit = 0; unit < UNITS; unit++) {
        if (run->report->outcomes[transaction][unit] != COMMITTED) {
            complain(run, "transaction %d failed after the fault was over", transaction);
        }
    }
}

static void live(const struct run *run)
{
    struct tbk_store *store = run->store;
    tbk_fault_vfs_arm(run->fault.kind, run->nth, run->forever, run->fault.code);
    enum tbk_status status = tbk_store_try_open(store);
    if (status == TBK_OK) {
        status = store->ops->session_open(store->storage, TBK_SESSION_WRITE, &store->writer, &store->error);
    }
    if (status == TBK_OK) {
        status = store->ops->session_open(store->storage, TBK_SESSION_READ, &store->reader, &store->error);
    }
    if (status != TBK_OK) {
        check_failure(run, "opening", status);
    }
    for (int transaction = 0; status == TBK_OK && transaction < TRANSACTIONS; transaction++) {
        const bool fired_before = tbk_fault_vfs_fired();
        write_transaction(run, transaction);
        check_recovery(run, fired_before, transaction);
        read_back(run);
        if (store->ops->maintain(store->writer, &store->error) != TBK_OK) {
            complain(run, "maintain: %s", store->error.message);
        }
    }
    if (run->closes) {
        tbk_store_close(store);
    }
    for (int kind = 0; kind < TBK_FAULT_KIND_COUNT; kind++) {
        run->report->calls[kind] = tbk_fault_vfs_calls((enum tbk_fault_kind)kind);
    }
    run->report->fired = tbk_fault_vfs_fired();
    _exit(0);
}

/* The parent. */

static void remove_database(const struct tbk_store *store)
{
    static const char *const names[] = {"trade.db", "trade.db-wal", "trade.db-shm", "trade.db-journal",
                                        "trade.db.lock"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[PATH_MAX];
        unlink(tbk_sqlite_store_path(store, names[i], path));
    }
}

static int64_t count_of(sqlite3 *db, const char *format, const char *name)
{
    char sql[256];
    snprintf(sql, sizeof sql, format, name);
    return tbk_raw_integer(db, sql);
}

/* What was answered is what is there: a request wholly or not at all. */
static void check_units(const struct run *run, sqlite3 *db)
{
    for (int t = 0; t < TRANSACTIONS; t++) {
        for (int u = 0; u < UNITS; u++) {
            char name[UNIT_NAME_BYTES];
            unit_name(t, u, name);
            const int64_t rows = count_of(db, "SELECT count(*) FROM signals WHERE model_version='%s'", name);
            assert_int_equal(count_of(db, "SELECT count(*) FROM patterns WHERE pattern_hash='%s'", name), rows);
            assert_int_equal(count_of(db, "SELECT count(*) FROM tb_requests WHERE client='%s'", name), rows);
            const enum outcome outcome = run->report->outcomes[t][u];
            const bool right = outcome == UNDECIDED ? rows == 0 || rows == 1 : rows == (outcome == COMMITTED);
            if (!right) {
                fail_msg("%s was answered %d and is there %lld times", name, (int)outcome, (long long)rows);
            }
        }
    }
}

/* The rows that were there before are there as they were. */
static void check_old_rows(const struct run *run, sqlite3 *db)
{
    static const char old_rows[] =
        "SELECT * FROM signals WHERE coalesce(model_version, '') NOT LIKE 'unit%' ORDER BY id";
    sqlite3 *image = tbk_raw_open(run->life->image);
    tbk_raw_assert_same(image, old_rows, db, old_rows);
    tbk_raw_close(image);
}

/* Opens without faults, as the next start of the server does. */
static void check_aftermath(const struct run *run)
{
    struct tbk_store *store = run->store;
    tbk_store_open(store);
    sqlite3 *db = tbk_raw_open(store->location);
    check_units(run, db);
    if (run->life->image[0] != '\0') {
        check_old_rows(run, db);
    }
    tbk_raw_close(db);
    tbk_store_begin(store);
    tbk_store_insert(store, TBK_PATTERNS, tbk_store_message(store, TBK_PATTERNS, TBK_FILL_ALL, 4711));
    tbk_store_commit(store);
    tbk_store_close(store);
    tbk_raw_assert_sound(store->location);
}

/* One life with one fault. */
static void execute(const struct run *run)
{
    describe(run);
    memset(run->report, 0, sizeof *run->report);
    remove_database(run->store);
    if (run->life->image[0] != '\0') {
        tbk_file_copy(run->life->image, run->store->location);
    }
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        live(run);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (run->report->complaint[0] != '\0' || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fail_msg("%s (wait status %d)", run->report->complaint, status);
    }
    check_aftermath(run);
    tbk_arena_reset(run->store->arena);
    present_run[0] = '\0';
}

static const struct fault faults[] = {
    {TBK_FAULT_OPEN, SQLITE_CANTOPEN},        {TBK_FAULT_READ, SQLITE_IOERR_READ},
    {TBK_FAULT_WRITE, SQLITE_FULL},           {TBK_FAULT_WRITE, SQLITE_IOERR_WRITE},
    {TBK_FAULT_SYNC, SQLITE_IOERR_FSYNC},     {TBK_FAULT_TRUNCATE, SQLITE_IOERR_TRUNCATE},
    {TBK_FAULT_SHM_MAP, SQLITE_IOERR_SHMMAP},
};

/* Lets each call of a kind fail in turn; of many, points_max spread over all.
 * Every other life ends by closing, which makes calls of its own. */
static unsigned sweep(struct run *run)
{
    run->nth = NEVER;
    run->closes = true;
    execute(run);
    const unsigned calls = run->report->calls[run->fault.kind];
    const unsigned step = 1 + calls / run->life->points_max;
    unsigned points = 0;
    for (unsigned nth = 1; nth <= calls; nth += step, points++) {
        run->nth = nth;
        run->closes = points % 2 == (run->forever ? 0 : 1);
        execute(run);
    }
    return points;
}

static void live_with_every_fault(struct tbk_store *store, const struct life *life)
{
    struct report *report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(report != MAP_FAILED);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        unsigned points = 0;
        for (int forever = 0; forever < 2; forever++) {
            struct run run = {
                .store = store, .life = life, .fault = faults[i], .forever = forever != 0, .report = report};
            points += sweep(&run);
        }
        print_message("%s: %u faults of %s (%d)\n", life->name, points, tbk_fault_kind_name(faults[i].kind),
                      faults[i].code);
    }
    munmap(report, sizeof *report);
}

static void make_image(struct tbk_store *store, struct life *life)
{
    tbk_file_copy(store->location, tbk_sqlite_store_path(store, "image.db", life->image));
}

static void test_faults_while_a_database_is_created_and_served(void **state)
{
    const struct life life = {.name = "new", .points_max = POINTS_FEW};
    live_with_every_fault(*state, &life);
}

static void test_faults_while_a_database_is_adopted_and_served(void **state)
{
    struct tbk_store *store = *state;
    struct life life = {.name = "adopted", .points_max = POINTS_FEW};
    tbk_raw_run(store->location, tbk_legacy_schema);
    tbk_raw_run(
        store->location,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<300) INSERT INTO signals "
        "(timestamp, symbol, direction, confidence, tier, ensemble_prediction, notes) "
        "SELECT '2025-01-01 00:00:00.000000', 'BTC-USD', 'long', 0.5, 'high', i, hex(zeroblob(50)) FROM n");
    make_image(store, &life);
    live_with_every_fault(store, &life);
}

static void test_faults_while_a_database_is_served(void **state)
{
    struct tbk_store *store = *state;
    struct life life = {.name = "served", .points_max = POINTS_MANY};
    tbk_store_open(store);
    tbk_store_insert_signals(store, 200);
    tbk_store_close(store);
    make_image(store, &life);
    live_with_every_fault(store, &life);
}

/* Transactions larger than the page cache reach the disk before their commit,
 * and maintain moves the log into the database. */
static void test_faults_while_large_transactions_spill(void **state)
{
    struct tbk_store *store = *state;
    struct life life = {.name = "large", .has_large = true, .points_max = POINTS_FEW};
    tbk_store_open(store);
    tbk_store_close(store);
    make_image(store, &life);
    live_with_every_fault(store, &life);
}

/* The promise that an answer means a synchronised log: no sync, no OK. */
static void test_commit_syncs_before_it_answers(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_open(store);
    for (int i = 0; i < 3; i++) {
        tbk_store_begin(store);
        tbk_store_insert(store, TBK_PATTERNS, tbk_store_message(store, TBK_PATTERNS, TBK_FILL_ALL, i));
        tbk_fault_vfs_arm(TBK_FAULT_SYNC, NEVER, false, SQLITE_IOERR_FSYNC);
        tbk_store_commit(store);
        assert_true(tbk_fault_vfs_calls(TBK_FAULT_SYNC) >= 1);
        tbk_fault_vfs_disarm();
    }
}

/* The pages of a transaction reach the log in few calls. */
static void test_commit_joins_its_writes(void **state)
{
    enum { ROWS = 200 };
    struct tbk_store *store = *state;
    tbk_store_open(store);
    tbk_store_begin(store);
    for (int i = 0; i < ROWS; i++) {
        tbk_store_insert(store, TBK_PATTERNS, tbk_store_message(store, TBK_PATTERNS, TBK_FILL_ALL, i));
    }
    tbk_fault_vfs_arm(TBK_FAULT_SYNC, NEVER, false, SQLITE_IOERR_FSYNC);
    tbk_store_commit(store);
    assert_in_range(tbk_fault_vfs_calls(TBK_FAULT_WRITE), 1, 5);
    tbk_fault_vfs_disarm();
}

static void test_failed_sync_leaves_a_commit_undecided(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_open(store);
    tbk_store_begin(store);
    tbk_store_insert(store, TBK_PATTERNS, tbk_store_message(store, TBK_PATTERNS, TBK_FILL_ALL, 0));
    tbk_fault_vfs_arm(TBK_FAULT_SYNC, 1, false, SQLITE_IOERR_FSYNC);
    assert_int_equal(store->ops->commit(store->writer, &store->error), TBK_UNKNOWN);
    tbk_fault_vfs_disarm();
    assert_non_null(strstr(store->error.message, "request id"));
    assert_false(store->ops->in_transaction(store->writer));
}

/* The index of the log must grow for this transaction, after its frames were
 * synchronised. What is answered as failed then must not be there after a crash. */
static void test_commit_that_failed_for_memory_does_not_come_back(void **state)
{
    enum { UNITS_OF_NOTES = 3, NOTES_BYTES = 6 << 20 };
    struct tbk_store *store = *state;
    tbk_store_open(store);
    char *notes = tbk_arena_alloc(store->arena, NOTES_BYTES + 1);
    memset(notes, 'n', NOTES_BYTES);
    notes[NOTES_BYTES] = '\0';
    tbk_store_begin(store);
    for (int i = 0; i < UNITS_OF_NOTES; i++) {
        ProtobufCMessage *signal = tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, i);
        tbk_store_set(store, signal, tbk_store_column(tbk_store_table(store, TBK_SIGNALS), "notes"),
                      tbk_value_text(notes));
        tbk_store_insert(store, TBK_SIGNALS, signal);
    }
    tbk_fault_vfs_arm(TBK_FAULT_SHM_MAP, 1, false, SQLITE_NOMEM);
    assert_int_equal(store->ops->commit(store->writer, &store->error), TBK_RESOURCE_EXHAUSTED);
    assert_true(tbk_fault_vfs_fired());
    tbk_fault_vfs_disarm();

    char crashed[PATH_MAX];
    char log[PATH_MAX];
    char crashed_log[PATH_MAX];
    tbk_file_copy(store->location, tbk_sqlite_store_path(store, "crashed.db", crashed));
    tbk_file_copy(tbk_sqlite_store_path(store, "trade.db-wal", log),
                  tbk_sqlite_store_path(store, "crashed.db-wal", crashed_log));
    sqlite3 *db = tbk_raw_open(crashed);
    assert_int_equal(tbk_raw_integer(db, "SELECT count(*) FROM signals"), 0);
    tbk_raw_close(db);
}

/* From now on SQLite gets no memory; there is no lookaside, see main. */
static void take_memory(void)
{
    sqlite3_hard_heap_limit64(1);
}

static void give_memory(void)
{
    sqlite3_hard_heap_limit64(0);
}

static void test_without_memory_a_refused_request_is_undone(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_open(store);
    tbk_store_begin(store);
    assert_int_equal(store->ops->savepoint(store->writer, &store->error), TBK_OK);
    tbk_store_insert(store, TBK_PATTERNS, tbk_store_message(store, TBK_PATTERNS, TBK_FILL_ALL, 1));
    take_memory();
    store->ops->rollback_to(store->writer);
    give_memory();
    if (store->ops->in_transaction(store->writer)) {
        tbk_store_commit(store);
    }
    int64_t rows = -1;
    assert_int_equal(store->ops->count(store->reader, tbk_store_table(store, TBK_PATTERNS), &rows, &store->error),
                     TBK_OK);
    assert_int_equal(rows, 0);
}

static void test_without_memory_a_transaction_ends(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_open(store);
    tbk_store_begin(store);
    take_memory();
    store->ops->rollback(store->writer);
    give_memory();
    assert_false(store->ops->in_transaction(store->writer));
}

static void test_without_memory_a_list_of_events_ends_its_snapshot(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_event_query query = {.limit = 10, .scan_max = 10, .bytes_max = 1000};
    struct tbk_event_page page;
    tbk_store_open(store);
    take_memory();
    assert_int_equal(store->ops->event_list(store->reader, &query, store->arena, &page, &store->error),
                     TBK_RESOURCE_EXHAUSTED);
    give_memory();
    assert_false(store->ops->in_transaction(store->reader));
}

static int setup(void **state)
{
    tbk_fault_vfs_install();
    return tbk_sqlite_store_setup(state);
}

static int teardown(void **state)
{
    if (present_run[0] != '\0') {
        print_error("in the run: %s\n", present_run);
        present_run[0] = '\0';
    }
    tbk_fault_vfs_disarm();
    const int result = tbk_sqlite_store_teardown(state);
    tbk_fault_vfs_uninstall();
    return result;
}

#define fault_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
    const struct CMUnitTest tests[] = {
        fault_test(test_commit_syncs_before_it_answers),
        fault_test(test_commit_joins_its_writes),
        fault_test(test_failed_sync_leaves_a_commit_undecided),
        fault_test(test_commit_that_failed_for_memory_does_not_come_back),
        fault_test(test_without_memory_a_refused_request_is_undone),
        fault_test(test_without_memory_a_transaction_ends),
        fault_test(test_without_memory_a_list_of_events_ends_its_snapshot),
        fault_test(test_faults_while_a_database_is_created_and_served),
        fault_test(test_faults_while_a_database_is_adopted_and_served),
        fault_test(test_faults_while_a_database_is_served),
        fault_test(test_faults_while_large_transactions_spill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
