/* The file itself: who may open it, by which name, what damages it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sqlite_store.h"
#include "storage/sqlite/backend.h"

/* Opening this location instead of the store's own must fail with these words. */
static void expect_refused(struct tbk_store *store, const char *location, const char *said)
{
    const struct tbk_storage_config config = {
        .location = location, .schema = store->schema, .busy_timeout_ms = TBK_STORE_BUSY_TIMEOUT_MS};
    struct tbk_storage *storage = NULL;
    const enum tbk_status status = store->ops->open(&config, &storage, &store->error);
    if (status != TBK_FAILED_PRECONDITION || strstr(store->error.message, said) == NULL) {
        fail_msg("'%s': %s, \"%s\" does not say \"%s\"", location, tbk_status_name(status), store->error.message,
                 said);
    }
    assert_null(storage);
    tbk_error_init(&store->error);
}

/* Another process that does something with the database and then waits. */
struct other {
    pid_t pid;
    int to;
    int from;
};

/* Runs work in a child process and returns when that is done. The child ends,
 * without closing the database, in end_other. */
static struct other start_other(void (*work)(const char *path), const char *path)
{
    int to[2];
    int from[2];
    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char byte = 'r';
        close(to[1]);
        work(path);
        const bool told = write(from[1], &byte, 1) == 1;
        const bool released = told && read(to[0], &byte, 1) == 0;
        _exit(released ? 0 : 1);
    }
    close(to[0]);
    close(from[1]);
    char byte;
    assert_int_equal(read(from[0], &byte, 1), 1);
    return (struct other){.pid = pid, .to = to[1], .from = from[0]};
}

static void end_other(struct other other)
{
    int status;
    close(other.to);
    assert_int_equal(waitpid(other.pid, &status, 0), other.pid);
    close(other.from);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void run_in_other(const char *path, const char *sql)
{
    sqlite3 *db;
    if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        _exit(2);
    }
}

static void other_writes(const char *path)
{
    run_in_other(path, "BEGIN IMMEDIATE");
}

static void other_reads(const char *path)
{
    run_in_other(path, "BEGIN; SELECT count(*) FROM signals");
}

static void other_serves(const char *path)
{
    if (tbk_store_try_open(tbk_store_create(&tbk_sqlite_ops, path)) != TBK_OK) {
        _exit(2);
    }
}

static void test_locked_longer_than_the_timeout_is_unavailable_then_works(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_open(store);
    tbk_store_insert_signals(store, 1);
    const struct other other = start_other(other_writes, store->location);
    assert_int_equal(store->ops->begin(store->writer, &store->error), TBK_UNAVAILABLE);
    assert_non_null(strstr(store->error.message, "locked"));
    assert_false(store->ops->in_transaction(store->writer));
    tbk_error_init(&store->error);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 1); /* reads go on */
    end_other(other);
    tbk_store_begin(store);
    tbk_store_insert(store, TBK_SIGNALS, tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, 1));
    tbk_store_commit(store);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 2);
}

static void test_open_locked_legacy_database_is_unavailable_then_works(void **state)
{
    void (*const others[])(const char *) = {other_writes, other_reads};
    struct tbk_store *store = *state;
    tbk_raw_run(store->location, tbk_legacy_schema);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        const struct other other = start_other(others[i], store->location);
        expect_status(store, tbk_store_try_open(store), TBK_UNAVAILABLE);
        end_other(other);
    }
    tbk_raw_assert_sound(store->location);
    tbk_store_open(store);
    tbk_store_insert_signals(store, 1);
}

static void test_other_reader_does_not_stop_the_writer(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_open(store);
    tbk_store_insert_signals(store, 1);
    const struct other other = start_other(other_reads, store->location);
    tbk_store_begin(store);
    tbk_store_insert(store, TBK_SIGNALS, tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, 1));
    tbk_store_commit(store);
    assert_int_equal(store->ops->maintain(store->writer, &store->error), TBK_OK);
    end_other(other);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 2);
}

static void test_served_by_another_process_is_refused_by_its_number(void **state)
{
    struct tbk_store *store = *state;
    const struct other other = start_other(other_serves, store->location);
    char number[32];
    snprintf(number, sizeof number, "process %ld", (long)other.pid);
    expect_refused(store, store->location, number);
    end_other(other);
    /* It ended without closing; that frees the database. */
    tbk_store_open(store);
    tbk_store_insert_signals(store, 1);
}

static void test_every_name_of_the_file_is_the_same_lock(void **state)
{
    struct tbk_store *store = *state;
    struct tbk_store *second = tbk_store_create(store->ops, store->location);
    char folder[PATH_MAX];
    char path[PATH_MAX];
    char before[PATH_MAX];
    tbk_store_open(store);
    assert_non_null(getcwd(before, sizeof before));
    tbk_sqlite_store_path(store, ".", folder);
    assert_int_equal(mkdir(tbk_sqlite_store_path(store, "sub", path), 0755), 0);
    assert_int_equal(symlink("trade.db", tbk_sqlite_store_path(store, "link.db", path)), 0);
    assert_int_equal(symlink(".", tbk_sqlite_store_path(store, "folder", path)), 0);
    assert_int_equal(chdir(folder), 0);

    static const char *const names[] = {
        "trade.db",    "./trade.db", "sub/../trade.db", "link.db", "folder/trade.db", "folder/folder/link.db",
        ".//trade.db",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        expect_refused(second, names[i], "served already");
    }
    tbk_store_close(store);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(second->location, sizeof second->location, "%s", names[i]);
        tbk_store_open(second);
        struct tbk_storage_info info;
        second->ops->info(second->storage, &info);
        assert_string_equal(info.location, store->location);
        tbk_store_close(second);
    }
    assert_int_equal(chdir(before), 0);
    tbk_store_destroy(second);
}

static void test_relative_name_of_a_new_file_is_made_absolute(void **state)
{
    struct tbk_store *store = *state;
    char folder[PATH_MAX];
    char before[PATH_MAX];
    char absolute[PATH_MAX];
    memcpy(absolute, store->location, sizeof absolute);
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(tbk_sqlite_store_path(store, ".", folder)), 0);
    snprintf(store->location, sizeof store->location, "trade.db");
    tbk_store_open(store);
    struct tbk_storage_info info;
    store->ops->info(store->storage, &info);
    assert_string_equal(info.location, absolute);
    tbk_store_close(store);
    memcpy(store->location, absolute, sizeof absolute);
    assert_int_equal(chdir(before), 0);
}

static void test_file_with_two_names_is_refused(void **state)
{
    struct tbk_store *store = *state;
    char other[PATH_MAX];
    tbk_store_open(store);
    tbk_store_close(store);
    tbk_sqlite_store_path(store, "other.db", other);
    assert_int_equal(link(store->location, other), 0);
    expect_refused(store, store->location, "hard link");
    assert_int_equal(remove(other), 0);
    tbk_store_open(store);
}

static void test_places_that_cannot_hold_a_database_are_refused(void **state)
{
    struct tbk_store *store = *state;
    char path[PATH_MAX];
    expect_refused(store, tbk_sqlite_store_path(store, "missing/trade.db", path), "Create it first");
    expect_refused(store, tbk_sqlite_store_path(store, ".", path), "not a file");
    expect_refused(store, "/dev/null", "not a file");
    assert_int_equal(symlink("nowhere.db", tbk_sqlite_store_path(store, "dangling.db", path)), 0);
    expect_refused(store, path, "symbolic link");
    tbk_file_write(tbk_sqlite_store_path(store, "plain", path), "x", 1);
    expect_refused(store, tbk_sqlite_store_path(store, "plain/trade.db", path), "cannot be used");
    char name[NAME_MAX + 2];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    expect_refused(store, tbk_sqlite_store_path(store, name, path), "too long");
    expect_refused(store, "", "cannot be used");
}

/* Makes writing impossible also for root; false when this place does not allow
 * that. */
static bool set_immutable(const char *path, bool immutable)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    int flags;
    bool done = ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0;
    if (done) {
        flags = immutable ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
        done = ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
    }
    close(fd);
    return done;
}

static bool make_read_only(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(chmod(path, status.st_mode & 0555), 0);
    return access(path, W_OK) != 0 || set_immutable(path, true);
}

static void make_writable(const char *path)
{
    (void)set_immutable(path, false);
    assert_int_equal(chmod(path, 0755), 0);
}

static void refused_while_read_only(struct tbk_store *store, const char *path, const char *said)
{
    if (!make_read_only(path)) {
        make_writable(path);
        print_message("Root may write everywhere and this file system has no immutable files.\n");
        skip();
    }
    const enum tbk_status status = tbk_store_try_open(store);
    make_writable(path);
    assert_int_equal(status, TBK_FAILED_PRECONDITION);
    assert_non_null(strstr(store->error.message, said));
    tbk_error_init(&store->error);
    tbk_store_open(store);
    tbk_store_insert_signals(store, 1);
}

static void test_read_only_file_is_refused(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_open(store);
    tbk_store_close(store);
    refused_while_read_only(store, store->location, "read-only");
}

static void test_read_only_legacy_file_is_refused(void **state)
{
    struct tbk_store *store = *state;
    tbk_raw_run(store->location, tbk_legacy_schema);
    refused_while_read_only(store, store->location, "read-only");
}

static void test_read_only_folder_is_refused(void **state)
{
    struct tbk_store *store = *state;
    char folder[PATH_MAX];
    tbk_sqlite_store_path(store, ".", folder);
    refused_while_read_only(store, folder, "writable");
}

/* Fills a page of a closed database with bytes that make no sense. */
static void damage_page(const char *path, int64_t page, size_t skip_bytes)
{
    enum { PAGE_BYTES = 4096 };
    char garbage[PAGE_BYTES];
    memset(garbage, 0xA5, sizeof garbage);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, garbage, PAGE_BYTES - skip_bytes, (page - 1) * PAGE_BYTES + (off_t)skip_bytes),
                     PAGE_BYTES - skip_bytes);
    close(fd);
}

static int64_t root_page(const char *path, const char *name)
{
    sqlite3 *db = tbk_raw_open(path);
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT rootpage FROM sqlite_schema WHERE name='%s'", name);
    const int64_t page = tbk_raw_integer(db, sql);
    tbk_raw_close(db);
    return page;
}

static void test_damaged_table_is_data_loss_and_the_others_work(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_open(store);
    tbk_store_insert_signals(store, 200);
    tbk_store_begin(store);
    tbk_store_insert(store, TBK_PATTERNS, tbk_store_message(store, TBK_PATTERNS, TBK_FILL_ALL, 0));
    tbk_store_commit(store);
    tbk_store_close(store);
    damage_page(store->location, root_page(store->location, "signals"), 0);

    tbk_store_open(store);
    const struct tbk_table *table = tbk_store_table(store, TBK_SIGNALS);
    const ProtobufCMessage *message = tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, 0);
    ProtobufCMessage *row;
    assert_int_equal(
        store->ops->get(store->reader, table, table->key, tbk_value_integer(1), store->arena, &row, &store->error),
        TBK_DATA_LOSS);
    assert_non_null(strstr(store->error.message, "backup"));
    tbk_error_init(&store->error);
    const struct tbk_list_request request = {.order_by = "confidence"};
    struct tbk_query query;
    ProtobufCMessage **rows;
    size_t count;
    bool more;
    expect_ok(store, tbk_query_build(table, &request, 0, store->arena, &query, &store->error));
    expect_status(
        store, store->ops->list(store->reader, &query, 1 << 20, store->arena, &rows, &count, &more, &store->error),
        TBK_DATA_LOSS);
    tbk_store_begin(store);
    int64_t id;
    expect_status(store, store->ops->insert(store->writer, table, message, &id, &store->error), TBK_DATA_LOSS);
    store->ops->rollback(store->writer);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_PATTERNS), 1);
}

static void test_damaged_schema_is_data_loss_at_open(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_open(store);
    tbk_store_close(store);
    damage_page(store->location, 1, 100); /* behind the header */
    expect_status(store, tbk_store_try_open(store), TBK_DATA_LOSS);
}

static void test_cut_file_is_data_loss(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_open(store);
    tbk_store_insert_signals(store, 2000);
    tbk_store_close(store);
    struct stat status;
    assert_int_equal(stat(store->location, &status), 0);
    assert_int_equal(truncate(store->location, status.st_size / 4096 / 2 * 4096), 0);
    enum tbk_status found = tbk_store_try_open(store);
    if (found == TBK_OK) { /* the schema is in the first half; the rows are not */
        struct tbk_session *reader;
        expect_ok(store, store->ops->session_open(store->storage, TBK_SESSION_READ, &reader, &store->error));
        int64_t rows;
        found = store->ops->count(reader, tbk_store_table(store, TBK_SIGNALS), &rows, &store->error);
        store->ops->session_close(reader);
    }
    expect_status(store, found, TBK_DATA_LOSS);
}

/* A process that was killed leaves a log; the next one finds what it committed. */
static void other_commits_and_stays(const char *path)
{
    struct tbk_store *store = tbk_store_create(&tbk_sqlite_ops, path);
    tbk_store_open(store);
    tbk_store_insert_signals(store, 3);
    tbk_store_begin(store);
    tbk_store_insert(store, TBK_SIGNALS, tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, 3));
}

static void test_killed_process_leaves_what_it_committed(void **state)
{
    struct tbk_store *store = *state;
    end_other(start_other(other_commits_and_stays, store->location));
    tbk_store_open(store);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 3);
    tbk_store_close(store);
    tbk_raw_assert_sound(store->location);
}

static void test_open_database_has_a_log_and_full_syncs(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_open(store);
    tbk_store_insert_signals(store, 1);
    struct tbk_storage_info info;
    store->ops->info(store->storage, &info);
    assert_true(info.wal_bytes > 0);
    sqlite3 *db = tbk_raw_open(store->location);
    char *mode = tbk_raw_text(db, "PRAGMA journal_mode");
    assert_string_equal(mode, "wal");
    free(mode);
    tbk_raw_close(db);
}

/* Other programs go on using the file while it is served. */
static void test_raw_statements_and_the_server_see_each_other(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_open(store);
    sqlite3 *db = tbk_raw_open(store->location);
    tbk_store_insert_signals(store, 1);
    assert_int_equal(tbk_raw_integer(db, "SELECT count(*) FROM signals"), 1);
    tbk_raw_exec(db, "UPDATE signals SET notes='theirs' WHERE id=1; INSERT INTO patterns (name, pattern_hash) "
                     "VALUES ('flag', 'ab')");
    const struct tbk_table *table = tbk_store_table(store, TBK_SIGNALS);
    const ProtobufCMessage *row = tbk_store_get_id(store, store->reader, TBK_SIGNALS, 1);
    assert_string_equal(tbk_column_get(tbk_store_column(table, "notes"), row).text.data, "theirs");
    assert_int_equal(tbk_store_count(store, store->reader, TBK_PATTERNS), 1);
    tbk_raw_close(db);
}

/* A column that another program adds changes nothing for us. */
static void test_schema_changed_by_another_program_while_open(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_open(store);
    tbk_store_insert_signals(store, 1);
    tbk_raw_run(store->location, "ALTER TABLE signals ADD COLUMN mood TEXT; CREATE INDEX mine ON signals (pnl);");
    tbk_store_begin(store);
    tbk_store_insert(store, TBK_SIGNALS, tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, 1));
    tbk_store_commit(store);
    tbk_store_assert_equal(tbk_store_table(store, TBK_SIGNALS),
                           tbk_store_get_id(store, store->reader, TBK_SIGNALS, 2),
                           tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, 1));
    tbk_store_close(store);
    tbk_store_open(store);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 2);
}

/* One transaction of 16 rows, a megabyte in all. */
static void write_megabyte(struct tbk_store *store, const char *notes)
{
    const struct tbk_table *table = tbk_store_table(store, TBK_SIGNALS);
    ProtobufCMessage *message = tbk_store_message(store, TBK_SIGNALS, TBK_FILL_MANDATORY, 0);
    tbk_store_set(store, message, tbk_store_column(table, "notes"), tbk_value_text(notes));
    tbk_store_begin(store);
    for (int i = 0; i < 16; i++) {
        tbk_store_insert(store, TBK_SIGNALS, message);
    }
    tbk_store_commit(store);
    (void)store->ops->maintain(store->writer, &store->error);
}

static int64_t log_bytes(const struct tbk_store *store)
{
    struct tbk_storage_info info;
    store->ops->info(store->storage, &info);
    return info.wal_bytes;
}

static void test_log_that_a_long_read_made_large_shrinks_afterwards(void **state)
{
    enum { LIMIT = 64 << 20 };
    struct tbk_store *store = *state;
    char *notes = tbk_arena_alloc(store->arena, 65536);
    memset(notes, 'x', 65535);
    notes[65535] = '\0';
    tbk_store_open(store);
    expect_ok(store, store->ops->begin(store->reader, &store->error));
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 0);
    while (log_bytes(store) < LIMIT + (LIMIT >> 3)) {
        write_megabyte(store, notes);
    }
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 0);
    store->ops->rollback(store->reader);
    for (int i = 0; i < 16; i++) {
        write_megabyte(store, notes);
    }
    assert_true(log_bytes(store) <= LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sqlite_test(test_locked_longer_than_the_timeout_is_unavailable_then_works),
        sqlite_test(test_open_locked_legacy_database_is_unavailable_then_works),
        sqlite_test(test_other_reader_does_not_stop_the_writer),
        sqlite_test(test_served_by_another_process_is_refused_by_its_number),
        sqlite_test(test_every_name_of_the_file_is_the_same_lock),
        sqlite_test(test_relative_name_of_a_new_file_is_made_absolute),
        sqlite_test(test_file_with_two_names_is_refused),
        sqlite_test(test_places_that_cannot_hold_a_database_are_refused),
        sqlite_test(test_read_only_file_is_refused),
        sqlite_test(test_read_only_legacy_file_is_refused),
        sqlite_test(test_read_only_folder_is_refused),
        sqlite_test(test_damaged_table_is_data_loss_and_the_others_work),
        sqlite_test(test_damaged_schema_is_data_loss_at_open),
        sqlite_test(test_cut_file_is_data_loss),
        sqlite_test(test_killed_process_leaves_what_it_committed),
        sqlite_test(test_open_database_has_a_log_and_full_syncs),
        sqlite_test(test_raw_statements_and_the_server_see_each_other),
        sqlite_test(test_schema_changed_by_another_program_while_open),
        sqlite_test(test_log_that_a_long_read_made_large_shrinks_afterwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
