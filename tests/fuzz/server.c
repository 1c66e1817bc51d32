#include "server.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/log.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "cli/catalog.h"
#include "dispatch/wire.h"
#include "in_process.h"
#include "storage/audit.h"
#include "storage/upkeep.h"
#include "tradebook/v1/event.pb-c.h"

enum {
    REPLY_SECONDS_MAX = 30,
    REQUEST_BYTES_MAX = 16 << 10,
    ARENA_BYTES_MAX = 2 << 20,
    TIMEOUT_MS_MAX = 2000,
    AUDIT_BYTES_MAX = 8 << 20,
};

static struct tbk_schema *schema;
static struct tbk_catalog *catalog;
static struct in_process server;
static sqlite3 *auditor; /* a connection of our own, which only reads */
static sqlite3_stmt *version_query;

/* --- the way back --- */

/* Freed with the answer, so that a second one is seen. */
struct exchange {
    struct tbk_responder responder;
    struct tbk_share share;
    uint8_t *request;
    uint8_t *reply;
    size_t reply_bytes;
    bool reserved;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static struct exchange *answer; /* the exchange that has ended */

static uint8_t *reserve(struct tbk_responder *responder, size_t length)
{
    struct exchange *exchange = (struct exchange *)responder;
    free(exchange->reply);
    exchange->reply = malloc(length);
    exchange->reply_bytes = length;
    exchange->reserved = true;
    return exchange->reply;
}

static void end(struct exchange *exchange)
{
    /* The bytes are the transport's again. */
    free(exchange->request);
    exchange->request = NULL;
    pthread_mutex_lock(&mutex);
    FUZZ_CHECK(answer == NULL, "a second answer");
    answer = exchange;
    pthread_cond_signal(&answered);
    pthread_mutex_unlock(&mutex);
}

static void send_reply(struct tbk_responder *responder, bool more)
{
    (void)more;
    FUZZ_CHECK(((struct exchange *)responder)->reserved, "a reply was sent that was never reserved");
    end((struct exchange *)responder);
}

static void discard(struct tbk_responder *responder, bool more)
{
    (void)responder;
    (void)more;
    fuzz_fail(__FILE__, __LINE__, "a request was discarded");
}

static struct exchange *submit(const uint8_t *data, size_t size)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    exchange->responder = (struct tbk_responder){reserve, send_reply, discard, &exchange->share};
    exchange->request = malloc(size);
    if (size > 0)
        memcpy(exchange->request, data, size);
    tbk_dispatch_submit(server.dispatch, &exchange->responder, exchange->request, size);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += REPLY_SECONDS_MAX;
    pthread_mutex_lock(&mutex);
    while (answer == NULL)
        FUZZ_CHECK(pthread_cond_timedwait(&answered, &mutex, &until) == 0, "no reply within %d s",
                   REPLY_SECONDS_MAX);
    FUZZ_CHECK(answer == exchange, "the answer to another request");
    answer = NULL;
    pthread_mutex_unlock(&mutex);
    return exchange;
}

/* --- events --- */

static int64_t published; /* sequence of the last event, on the relay's thread */

static void publish(struct tbk_publisher *publisher, const uint8_t *message, size_t length, bool more)
{
    (void)publisher;
    (void)more;
    const uint8_t *nul = memchr(message, '\0', length);
    FUZZ_CHECK(nul != NULL, "a message without topic is published");
    if (strcmp((const char *)message, "heartbeat/") == 0)
        return;
    Tradebook__V1__Event *event =
        tradebook__v1__event__unpack(NULL, length - (size_t)(nul + 1 - message), nul + 1);
    FUZZ_CHECK(event != NULL, "an event is published that cannot be read");
    FUZZ_CHECK(strcmp(event->topic, (const char *)message) == 0, "an event is published under another topic");
    FUZZ_CHECK(event->sequence == published + 1, "event %lld is published after event %lld",
               (long long)event->sequence, (long long)published);
    published = event->sequence;
    tradebook__v1__event__free_unpacked(event, NULL);
}

static struct tbk_publisher publisher = {publish};

static void on_fatal(void *argument, const struct tbk_error *error)
{
    (void)argument;
    fuzz_fail(__FILE__, __LINE__, "the server gives up: %s", error->message);
}

/* --- start and stop --- */

const char *fuzz_server_database(void)
{
    return fuzz_path("book.db");
}

const struct tbk_service_context *fuzz_server_context(void)
{
    return &server.context;
}

static void remove_database(void)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char path[PATH_MAX + 64];
        snprintf(path, sizeof path, "%s%s", fuzz_server_database(), suffixes[i]);
        unlink(path);
    }
}

/* What lives as long as the process. */
static void prepare(struct tbk_error *error)
{
    FUZZ_CHECK(tbk_schema_create(&schema, error) == TBK_OK, "%s", error->message);
    FUZZ_CHECK(tbk_catalog_create(&catalog, error) == TBK_OK, "%s", error->message);
    /* Every line is formatted and none is read. */
    tbk_log_configure(open("/dev/null", O_WRONLY | O_CLOEXEC), TBK_LOG_DEBUG, TBK_LOG_JSON);
    fuzz_folder();
    atexit(fuzz_server_stop);
}

static void open_auditor(void)
{
    FUZZ_CHECK(sqlite3_open_v2(fuzz_server_database(), &auditor, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
                   sqlite3_exec(auditor, "PRAGMA query_only=ON; PRAGMA wal_autocheckpoint=0", NULL, NULL, NULL) ==
                       SQLITE_OK &&
                   sqlite3_db_config(auditor, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL) == SQLITE_OK &&
                   sqlite3_prepare_v2(auditor, "PRAGMA data_version", -1, &version_query, NULL) == SQLITE_OK,
               "%s", sqlite3_errmsg(auditor));
}

void fuzz_server_restart(void)
{
    struct tbk_error error;
    tbk_error_init(&error);
    if (schema == NULL)
        prepare(&error);
    fuzz_server_stop();
    remove_database();
    published = 0;
    const struct tbk_dispatch_config settings = {
        .reader_threads = 1,
        .queue_max = 4,
        .waiting_max = 2,
        .request_bytes_max = REQUEST_BYTES_MAX,
        .arena_bytes_max = ARENA_BYTES_MAX,
        .timeout_default_ms = TIMEOUT_MS_MAX,
        .timeout_max_ms = TIMEOUT_MS_MAX,
        .request_retention_s = 86400,
        .event_retention_s = 86400,
        .heartbeat_ms = 1000,
        .publisher = &publisher,
        .on_fatal = on_fatal,
    };
    FUZZ_CHECK(in_process_start(&server, schema, fuzz_server_database(), settings, &error) == TBK_OK, "%s",
               error.message);
    open_auditor();
}

void fuzz_server_stop(void)
{
    if (server.dispatch == NULL)
        return;
    sqlite3_finalize(version_query);
    sqlite3_close(auditor);
    in_process_stop(&server);
}

/* --- checks --- */

/* Changes with every transaction of the server that wrote something. */
static int64_t database_version(void)
{
    FUZZ_CHECK(sqlite3_step(version_query) == SQLITE_ROW, "%s", sqlite3_errmsg(auditor));
    const int64_t version = sqlite3_column_int64(version_query, 0);
    sqlite3_reset(version_query);
    return version;
}

/* Of every row of every table. */
static uint64_t database_digest(void)
{
    uint64_t digest = 0;
    sqlite3_stmt *tables = NULL;
    sqlite3_prepare_v2(auditor, "SELECT name FROM sqlite_schema WHERE type = 'table'", -1, &tables, NULL);
    while (sqlite3_step(tables) == SQLITE_ROW) {
        char sql[128];
        sqlite3_stmt *rows = NULL;
        snprintf(sql, sizeof sql, "SELECT * FROM %s", (const char *)sqlite3_column_text(tables, 0));
        FUZZ_CHECK(sqlite3_prepare_v2(auditor, sql, -1, &rows, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(auditor));
        while (sqlite3_step(rows) == SQLITE_ROW) {
            for (int c = 0; c < sqlite3_column_count(rows); c++) {
                const void *bytes = sqlite3_column_blob(rows, c);
                digest = XXH3_64bits_withSeed(bytes, (size_t)sqlite3_column_bytes(rows, c), digest);
            }
        }
        sqlite3_finalize(rows);
    }
    sqlite3_finalize(tables);
    return digest;
}

static void check_message(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size)
{
    struct tbk_error error;
    tbk_error_init(&error);
    FUZZ_CHECK(tbk_wire_check(type, data, size, &error) == TBK_OK, "a %s of the server is wrong: %s", type->name,
               error.message);
    ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, size, data);
    FUZZ_CHECK(message != NULL, "a %s of the server cannot be read", type->name);
    protobuf_c_message_free_unpacked(message, NULL);
}

static void check_details(const Tradebook__V1__Reply *reply)
{
    for (size_t i = 0; i < reply->n_details; i++) {
        const Google__Protobuf__Any *detail = reply->details[i];
        const char *name = strrchr(detail->type_url, '/') + 1;
        if (strcmp(name, "google.rpc.BadRequest") == 0)
            name = "tradebook.v1.BadRequest";
        const ProtobufCMessageDescriptor *type = tbk_catalog_find_type(catalog, name);
        FUZZ_CHECK(type != NULL, "a detail is of the unknown type %s", name);
        check_message(type, detail->value.data, detail->value.len);
    }
}

/* What a client can cause. Figures are not there at once after the start. */
static bool may_answer(const char *method, Tradebook__V1__Code code)
{
    switch (code) {
    case TRADEBOOK__V1__CODE__CODE_OK:
    case TRADEBOOK__V1__CODE__CODE_INVALID_ARGUMENT:
    case TRADEBOOK__V1__CODE__CODE_DEADLINE_EXCEEDED:
    case TRADEBOOK__V1__CODE__CODE_NOT_FOUND:
    case TRADEBOOK__V1__CODE__CODE_ALREADY_EXISTS:
    case TRADEBOOK__V1__CODE__CODE_RESOURCE_EXHAUSTED:
    case TRADEBOOK__V1__CODE__CODE_FAILED_PRECONDITION:
    case TRADEBOOK__V1__CODE__CODE_OUT_OF_RANGE:
    case TRADEBOOK__V1__CODE__CODE_UNIMPLEMENTED:
        return true;
    case TRADEBOOK__V1__CODE__CODE_UNAVAILABLE:
        return method != NULL && strstr(method, "AnalyticsService") != NULL;
    default:
        return false;
    }
}

static Tradebook__V1__Code check_reply(const uint8_t *request, size_t size, const struct exchange *exchange)
{
    check_message(&tradebook__v1__reply__descriptor, exchange->reply, exchange->reply_bytes);
    Tradebook__V1__Reply *reply = tradebook__v1__reply__unpack(NULL, exchange->reply_bytes, exchange->reply);
    Tradebook__V1__Request *envelope = tradebook__v1__request__unpack(NULL, size, request);
    const char *method = envelope != NULL ? envelope->method : NULL;
    const Tradebook__V1__Code code = reply->code;
    FUZZ_CHECK(may_answer(method, code), "%s answers %d: %s", method != NULL ? method : "an unreadable request",
               (int)code, reply->message);
    if (code == TRADEBOOK__V1__CODE__CODE_OK) {
        const struct tbk_rpc *rpc = method != NULL ? tbk_catalog_find(catalog, method) : NULL;
        FUZZ_CHECK(rpc != NULL, "a request without method is answered with OK");
        check_message(rpc->descriptor->output, reply->payload.data, reply->payload.len);
    } else {
        FUZZ_CHECK(reply->message != NULL && reply->message[0] != '\0', "status %d has no sentence", (int)code);
        FUZZ_CHECK(!reply->has_payload, "status %d has a payload", (int)code);
        check_details(reply);
    }
    tradebook__v1__reply__free_unpacked(reply, NULL);
    if (envelope != NULL)
        tradebook__v1__request__free_unpacked(envelope, NULL);
    return code;
}

/* What is in the database, as far as it is cheap to tell. A trade is recorded in several
 * steps; refused after the first, it leaves pages that were written anew and say
 * the same. */
static uint64_t state_of_database(const uint8_t *request, size_t size)
{
    static const char method[] = "/RecordTrade";
    return size > 0 && memmem(request, size, method, sizeof method - 1) != NULL ? database_digest()
                                                                                : (uint64_t)database_version();
}

Tradebook__V1__Code fuzz_server_call(const uint8_t *data, size_t size, uint8_t **ret_reply, size_t *ret_size)
{
    const uint64_t before = state_of_database(data, size);
    struct exchange *exchange = submit(data, size);
    const Tradebook__V1__Code code = check_reply(data, size, exchange);
    FUZZ_CHECK(code == TRADEBOOK__V1__CODE__CODE_OK || state_of_database(data, size) == before,
               "a request that was refused with status %d changed the database", (int)code);
    if (ret_reply != NULL) {
        *ret_reply = exchange->reply;
        *ret_size = exchange->reply_bytes;
    } else {
        free(exchange->reply);
    }
    free(exchange);
    return code;
}

void fuzz_server_check_health(void)
{
    static const char method[] = "/grpc.health.v1.Health/Check";
    Tradebook__V1__Request request = TRADEBOOK__V1__REQUEST__INIT;
    uint8_t bytes[sizeof method + 16];
    request.method = (char *)(uintptr_t)method;
    const size_t size = tradebook__v1__request__pack(&request, bytes);
    FUZZ_CHECK(fuzz_server_call(bytes, size, NULL, NULL) == TRADEBOOK__V1__CODE__CODE_OK, "Health is not served");
}

/* Each answers no row when all is well, otherwise what is wrong. */
static const char *const audits[] = {
    "SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    "SELECT 'a row of ' || \"table\" || ' refers to nothing' FROM pragma_foreign_key_check",
    "SELECT 'events are not dense' WHERE (SELECT count(*) <> coalesce(max(sequence), 0) FROM tb_events)",
    "SELECT 'trade ' || r.id || ' has ' || count(e.sequence) || ' events' FROM signal_results r "
    "LEFT JOIN tb_events e ON e.result_id = r.id LEFT JOIN tb_trades t ON t.signal_id = r.signal_id "
    "GROUP BY r.id HAVING count(e.sequence) <> (lower(r.outcome) <> 'open' AND coalesce(t.publish, 1))",
    "SELECT 'trade ' || id || ' is closed without an exit' FROM signal_results WHERE outcome <> 'open' "
    "AND (exit_price IS NULL OR pnl_usd IS NULL OR pnl_percent IS NULL OR exit_timestamp IS NULL)",
    "SELECT 'trade ' || r.id || ' contradicts its outcome' FROM signal_results r JOIN tb_trades t USING "
    "(signal_id) "
    "WHERE outcome <> 'open' AND outcome <> CASE WHEN pnl_percent > breakeven_band THEN 'win' "
    "WHEN pnl_percent < -breakeven_band THEN 'loss' ELSE 'breakeven' END",
    "SELECT 'signal ' || s.id || ' is a hold and traded' FROM signals s JOIN signal_results r ON r.signal_id = "
    "s.id "
    "WHERE s.direction = 'hold'",
};

/* What the doctor calls an error. */
static void audit_with_doctor(void)
{
    struct tbk_error error;
    tbk_error_init(&error);
    struct tbk_arena *arena = tbk_arena_create(1 << 16, AUDIT_BYTES_MAX);
    const struct tbk_storage_config config = {
        .location = fuzz_server_database(), .schema = schema, .busy_timeout_ms = 1000};
    const struct tbk_audit_options options = {
        .now_us = tbk_now_us(), .stuck_us = INT64_MAX / 2, .examples_max = 1};
    const struct tbk_upkeep_observer observer = {0};
    struct tbk_audit_report *report = malloc(sizeof *report);
    FUZZ_CHECK(server.context.ops->audit(&config, &options, &observer, arena, report, &error) == TBK_OK, "%s",
               error.message);
    for (size_t i = 0; i < report->finding_count; i++) {
        const struct tbk_audit_finding *finding = &report->findings[i];
        FUZZ_CHECK(finding->rule->severity != TBK_SEVERITY_ERROR, "the doctor finds %s: %s %s: %s",
                   finding->rule->name, finding->examples[0].table, finding->examples[0].key,
                   finding->examples[0].detail);
    }
    free(report);
    tbk_arena_destroy(arena);
}

void fuzz_server_audit(void)
{
    for (size_t i = 0; i < sizeof audits / sizeof audits[0]; i++) {
        sqlite3_stmt *statement = NULL;
        FUZZ_CHECK(sqlite3_prepare_v2(auditor, audits[i], -1, &statement, NULL) == SQLITE_OK, "%s",
                   sqlite3_errmsg(auditor));
        const int rc = sqlite3_step(statement);
        FUZZ_CHECK(rc != SQLITE_ROW, "%s", (const char *)sqlite3_column_text(statement, 0));
        FUZZ_CHECK(rc == SQLITE_DONE, "%s", sqlite3_errmsg(auditor));
        sqlite3_finalize(statement);
    }
    audit_with_doctor();
}
