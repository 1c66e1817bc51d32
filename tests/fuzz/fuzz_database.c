/*
 * A damaged database. The input is a list of changes to the bytes of a small valid
 * one: place (three bytes) and the byte that is put there; an odd place beyond the end
 * cuts the file. It is opened, read in every way and written to. Whatever is
 * answered, the process lives and writes nothing but the database's own files.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/timestamp.h"
#include "server.h"
#include "storage/audit.h"
#include "storage/series.h"
#include "storage/upkeep.h"

enum {
    PAGE_BYTES = 512, /* so that a change hits something */
    ARENA_BYTES_MAX = 4 << 20,
    LIST_BYTES_MAX = 1 << 18,
    ROWS_MAX = 50,
    CHANGES_MAX = 64,
    GROWTH_BYTES_MAX = 8 << 20,
};

static uint8_t *original;
static size_t original_bytes;
static struct tbk_arena *arena;
static int64_t sum; /* so that everything is read */

static const char *target(void)
{
    return fuzz_path("damaged.db");
}

/* --- a small valid database --- */

static void call(const char *method, const char *payload, size_t payload_bytes)
{
    static uint8_t serial;
    uint8_t id[16] = {++serial};
    uint8_t bytes[512];
    Tradebook__V1__Request request = TRADEBOOK__V1__REQUEST__INIT;
    request.method = (char *)(uintptr_t)method;
    request.has_payload = request.has_request_id = 1;
    request.payload = (ProtobufCBinaryData){payload_bytes, (uint8_t *)(uintptr_t)payload};
    request.request_id = (ProtobufCBinaryData){sizeof id, id};
    fuzz_server_call(bytes, tradebook__v1__request__pack(&request, bytes), NULL, NULL);
}

#define CALL(method, payload) call("/tradebook.v1." method, payload, sizeof(payload) - 1)

/* One row at least of every table. */
static void fill(void)
{
    /* symbol, direction, confidence, tier, ensemble_prediction, entry, tp, sl */
    static const char signal[] = "\x0a\x39\x1a\x07"
                                 "BTC-USD"
                                 "\x20\x01\x29\0\0\0\0\0\0\xe0\x3f\x30\x03"
                                 "\x51\0\0\0\0\0\0\xe0\x3f\x61\0\0\0\0\0\0\x59\x40\x69\0\0\0\0\0\0\x5b\x40"
                                 "\x71\0\0\0\0\0\0\x57\x40";
    for (int i = 0; i < 3; i++)
        CALL("SignalService/CreateSignal", signal);
    CALL("TheoryService/CreateTheoryRecord", "\x0a\x12\x10\x01\x1a\x03"
                                             "one"
                                             "\x21\0\0\0\0\0\0\xe0\x3f");
    CALL("TradeService/OpenTrade", "\x08\x01");
    CALL("TradeService/CloseTrade", "\x08\x01\x11\0\0\0\0\0\0\x5b\x40\x22\x06tp_hit");
    CALL("TradeService/OpenTrade", "\x08\x02");
    CALL("EventService/SetCursor", "\x0a\x04risk\x10\x01");
}

static void read_original(void)
{
    FILE *file = fopen(fuzz_server_database(), "rb");
    FUZZ_CHECK(file != NULL, "there is no database");
    fseek(file, 0, SEEK_END);
    original_bytes = (size_t)ftell(file);
    rewind(file);
    original = malloc(original_bytes);
    FUZZ_CHECK(fread(original, 1, original_bytes, file) == original_bytes, "the database cannot be read");
    fclose(file);
}

/* Makes pages small and moves the log into the file. */
static void compact(void)
{
    sqlite3 *db = NULL;
    char sql[128];
    snprintf(sql, sizeof sql, "PRAGMA journal_mode=DELETE; PRAGMA page_size=%d; VACUUM;", PAGE_BYTES);
    FUZZ_CHECK(sqlite3_open(fuzz_server_database(), &db) == SQLITE_OK &&
                   sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK,
               "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void start(void)
{
    arena = tbk_arena_create(1 << 16, ARENA_BYTES_MAX);
    fuzz_server_restart();
    fill();
    fuzz_server_audit();
    fuzz_server_stop();
    compact();
    read_original();
}

/* --- damage --- */

static void write_damaged(struct fuzz_input *input)
{
    uint8_t *bytes = malloc(original_bytes);
    size_t size = original_bytes;
    memcpy(bytes, original, original_bytes);
    for (int i = 0; i < CHANGES_MAX && input->left > 0; i++) {
        size_t place = fuzz_take_short(input);
        place |= (size_t)fuzz_take_byte(input) << 16;
        const uint8_t byte = fuzz_take_byte(input);
        if (place > original_bytes && (place & 1) != 0)
            size = place / 2 % original_bytes;
        else
            bytes[place % original_bytes] = byte;
    }
    const int fd = open(target(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size, "the database cannot be written");
    close(fd);
    free(bytes);
}

/* Nothing but the database and what belongs to it, and not much larger. */
static void check_folder(void)
{
    static const char *const names[] = {"damaged.db",         "damaged.db-wal",  "damaged.db-shm",
                                        "damaged.db-journal", "damaged.db.lock", "book.db",
                                        "book.db.lock"};
    DIR *folder = opendir(fuzz_folder());
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        size_t i = 0;
        while (i < sizeof names / sizeof names[0] && strcmp(names[i], entry->d_name) != 0)
            i++;
        FUZZ_CHECK(entry->d_name[0] == '.' || i < sizeof names / sizeof names[0], "%s was written", entry->d_name);
    }
    closedir(folder);
    struct stat status;
    FUZZ_CHECK(stat(target(), &status) != 0 || (size_t)status.st_size < original_bytes + GROWTH_BYTES_MAX,
               "the database grew to %lld bytes", (long long)status.st_size);
}

static void remove_files(void)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", ".lock"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char path[PATH_MAX + 64];
        snprintf(path, sizeof path, "%s%s", target(), suffixes[i]);
        unlink(path);
    }
}

/* --- use --- */

/* Reads a message to its end. */
static void use(const ProtobufCMessage *message)
{
    const size_t bytes = protobuf_c_message_get_packed_size(message);
    uint8_t *out = malloc(bytes);
    sum += (int64_t)protobuf_c_message_pack(message, out);
    free(out);
}

static enum tbk_status use_row(void *argument, const struct tbk_series_row *row, struct tbk_error *error)
{
    (void)argument;
    (void)error;
    sum += row->id + row->time_us % 7;
    for (int i = 0; i < TBK_SERIES_DIMENSIONS_MAX; i++)
        sum += row->dimensions[i] != NULL ? (int64_t)strlen(row->dimensions[i]) : 0;
    return TBK_OK;
}

/* A refusal has a sentence; the next call starts afresh. */
static bool ok(enum tbk_status status, struct tbk_error *error)
{
    FUZZ_CHECK(status == TBK_OK || status == TBK_NOT_FOUND || error->message[0] != '\0' ||
                   error->violation_count > 0,
               "status %d has no sentence", (int)status);
    tbk_error_init(error);
    return status == TBK_OK;
}

static void read_table(const struct tbk_storage_ops *ops, struct tbk_session *session,
                       const struct tbk_table *table, struct tbk_error *error)
{
    struct tbk_query query = {0};
    const struct tbk_list_request request = {.filter = "", .order_by = ""};
    ProtobufCMessage **messages = NULL;
    size_t count = 0;
    bool more = false;
    int64_t rows = 0;
    FUZZ_CHECK(tbk_query_build(table, &request, 0, arena, &query, error) == TBK_OK, "%s", error->message);
    if (ok(ops->list(session, &query, LIST_BYTES_MAX, arena, &messages, &count, &more, error), error)) {
        for (size_t i = 0; i < count; i++)
            use(messages[i]);
    }
    const struct tbk_value key = {.type = TBK_VALUE_INTEGER, .integer = 1};
    ProtobufCMessage *message = NULL;
    bool exists = false;
    if (table->key->kind == TBK_COLUMN_INTEGER &&
        ok(ops->get(session, table, table->key, key, arena, &message, error), error))
        use(message);
    if (table->key->kind == TBK_COLUMN_INTEGER)
        ok(ops->exists(session, table, 1, &exists, error), error);
    ok(ops->count(session, table, &rows, error), error);
    tbk_arena_reset(arena);
}

static void read_events(const struct tbk_storage_ops *ops, struct tbk_session *session, struct tbk_error *error)
{
    const struct tbk_event_query query = {.limit = ROWS_MAX, .scan_max = ROWS_MAX, .bytes_max = LIST_BYTES_MAX};
    struct tbk_event_page page = {0};
    if (ok(ops->event_list(session, &query, arena, &page, error), error)) {
        for (size_t i = 0; i < page.count; i++)
            use(&page.events[i]->base);
    }
    struct tbk_event_range range;
    ok(ops->event_range(session, &range, error), error);
    Tradebook__V1__Cursor **cursors = NULL;
    Tradebook__V1__Cursor *cursor = NULL;
    size_t count = 0;
    bool more = false;
    if (ok(ops->cursor_list(session, "", ROWS_MAX, arena, &cursors, &count, &more, error), error)) {
        for (size_t i = 0; i < count; i++)
            use(&cursors[i]->base);
    }
    if (ok(ops->cursor_get(session, "risk", arena, &cursor, error), error))
        use(&cursor->base);
    tbk_arena_reset(arena);
}

static void read_trades(const struct tbk_storage_ops *ops, struct tbk_session *session, struct tbk_error *error)
{
    struct tbk_terms terms;
    ok(ops->terms_get(session, 1, &terms, error), error);
    const struct tbk_open_positions_query query = {.limit = ROWS_MAX};
    struct tbk_open_position *positions = NULL;
    size_t count = 0;
    bool more = false;
    if (ok(ops->open_positions(session, &query, arena, &positions, &count, &more, error), error)) {
        for (size_t i = 0; i < count; i++) {
            use(positions[i].result);
            use(positions[i].signal);
        }
    }
    const struct tbk_tenure_query tenure_query = {.before_id = INT64_MAX, .limit = ROWS_MAX};
    struct tbk_model_tenure *tenures = NULL;
    ok(ops->model_tenures(session, &tenure_query, LIST_BYTES_MAX, arena, &tenures, &count, &more, error), error);
    struct tbk_dynbuf counts;
    tbk_dynbuf_init(&counts, LIST_BYTES_MAX);
    ok(ops->pattern_counts(session, 0, &counts, error), error);
    tbk_dynbuf_fini(&counts);
    const uint8_t id[16] = {1};
    struct tbk_request_record record;
    if (ok(ops->request_find(session, "", id, arena, &record, error), error)) {
        for (size_t i = 0; i < record.response_bytes; i++)
            sum += record.response[i];
    }
    tbk_arena_reset(arena);
}

static void read_series(const struct tbk_storage_ops *ops, struct tbk_session *session, struct tbk_error *error)
{
    struct tbk_series_position position;
    struct tbk_series_change changes[ROWS_MAX];
    size_t count = 0;
    if (ok(ops->series_position(session, &position, error), error)) {
        position = (struct tbk_series_position){0};
        ok(ops->series_changes(session, &position, changes, ROWS_MAX, &count, error), error);
    }
    for (int series = TBK_SERIES_TRADES; series <= TBK_SERIES_SIGNALS; series++) {
        ok(ops->series_scan(session, (enum tbk_series_id)series, true, ROWS_MAX, use_row, NULL, &count, error),
           error);
        ok(ops->series_get(session, (enum tbk_series_id)series, 1, ROWS_MAX, use_row, NULL, error), error);
    }
    ok(ops->series_get_trades_of(session, 1, ROWS_MAX, use_row, NULL, error), error);
}

static void read_all(const struct tbk_storage_ops *ops, struct tbk_storage *storage, struct tbk_error *error)
{
    struct tbk_session *session = NULL;
    if (!ok(ops->session_open(storage, TBK_SESSION_READ, &session, error), error))
        return;
    for (int t = 0; t < TBK_TABLE_COUNT; t++)
        read_table(ops, session, &fuzz_server_context()->schema->tables[t], error);
    read_events(ops, session, error);
    read_trades(ops, session, error);
    read_series(ops, session, error);
    ops->session_close(session);
}

static void write_some(const struct tbk_storage_ops *ops, struct tbk_storage *storage, struct tbk_error *error)
{
    struct tbk_session *session = NULL;
    if (!ok(ops->session_open(storage, TBK_SESSION_WRITE, &session, error), error))
        return;
    if (ok(ops->begin(session, error), error)) {
        const struct tbk_terms terms = {.signal_id = 2, .quantity = 1, .mode = 1};
        int64_t graded;
        unsigned rows;
        ok(ops->terms_put(session, &terms, error), error);
        ok(ops->theories_grade(session, 1, true, &graded, error), error);
        ok(ops->cursor_move(session, "alerts", 1, true, 1, error), error);
        ok(ops->event_prune(session, TBK_TIMESTAMP_MAX, 10, &rows, error), error);
        ok(ops->request_prune(session, TBK_TIMESTAMP_MAX, TBK_TIMESTAMP_MAX, 1, &rows, error), error);
        if (!ops->in_transaction(session) || !ok(ops->commit(session, error), error))
            ops->rollback(session);
    }
    ok(ops->maintain(session, error), error);
    ops->session_close(session);
}

/* What check and doctor make of it; the doctor may also repair. */
static void examine(const struct tbk_storage_ops *ops, const struct tbk_storage_config *config, bool repair,
                    struct tbk_error *error)
{
    static struct tbk_check_report checked;
    static struct tbk_audit_report audited;
    static struct tbk_repair_report repaired;
    const struct tbk_upkeep_observer observer = {0};
    const struct tbk_audit_options options = {.now_us = 1800000000000000, .stuck_us = 1, .examples_max = 3};
    if (ok(ops->check(config, &observer, arena, &checked, error), error))
        sum += (int64_t)checked.finding_count;
    tbk_arena_reset(arena);
    if (ok(ops->audit(config, &options, &observer, arena, &audited, error), error))
        sum += (int64_t)audited.finding_count;
    tbk_arena_reset(arena);
    if (repair && ok(ops->repair(config, &options, &observer, &repaired, error), error))
        unlink(repaired.backup);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct tbk_error error;
    tbk_error_init(&error);
    if (original == NULL)
        start();
    write_damaged(&input);
    const struct tbk_storage_ops *ops = fuzz_server_context()->ops;
    const struct tbk_storage_config config = {
        .location = target(), .schema = fuzz_server_context()->schema, .busy_timeout_ms = 100};
    struct tbk_storage *storage = NULL;
    if (size % 3 == 0)
        examine(ops, &config, size % 2 == 0, &error);
    if (ok(ops->open(&config, &storage, &error), &error)) {
        read_all(ops, storage, &error);
        write_some(ops, storage, &error);
        ops->close(storage);
    }
    check_folder();
    remove_files();
    return 0;
}
