/*
 * A sequence of requests (sequence.h) through dispatch, services and storage. One
 * that writes and has no request id gets one of its own; one that has an id may be
 * a retry, and then gets the first answer again.
 *
 * The database lives on from input to input for a while. All requests since it was
 * new are also in the file TRADEBOOK_FUZZ_HISTORY, which is itself an input: if one
 * input does not fail alone, that does.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sequence.h"
#include "server.h"

enum {
    RESTART_EVERY = 400,
    AUDIT_EVERY = 100,
    REQUEST_BYTES_MAX = 1 << 16,
    WAIT_MS = 20,
    HISTORY_BYTES_MAX = 8 << 20
};

static unsigned runs;   /* inputs */
static uint64_t serial; /* requests since the server was started */

/* The requests since then, in a file so that they outlive the process. */
static uint8_t *history;
static size_t history_bytes;

static void open_history(void)
{
    const char *path = getenv("TRADEBOOK_FUZZ_HISTORY");
    const int fd = path != NULL ? open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    if (fd < 0)
        return;
    FUZZ_CHECK(ftruncate(fd, HISTORY_BYTES_MAX) == 0, "no room for the history");
    history = mmap(NULL, HISTORY_BYTES_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    FUZZ_CHECK(history != MAP_FAILED, "the history cannot be mapped");
    close(fd);
}

static void restart(void)
{
    if (runs == 1)
        open_history();
    fuzz_server_restart();
    if (history != NULL)
        memset(history, 0, history_bytes);
    history_bytes = 0;
    serial = 0;
}

static void remember(const struct fuzz_request *request)
{
    if (history == NULL || history_bytes + request->size + 2 > HISTORY_BYTES_MAX)
        return;
    history[history_bytes++] = (uint8_t)request->size;
    history[history_bytes++] = (uint8_t)(request->size >> 8);
    memcpy(history + history_bytes, request->data, request->size);
    history_bytes += request->size;
}

/* The request with an id and a time that does not hold up the next ones. */
static size_t complete(const struct fuzz_request *request, uint8_t *out)
{
    uint8_t id[16] = "serial";
    Tradebook__V1__Request *envelope = tradebook__v1__request__unpack(NULL, request->size, request->data);
    if (envelope == NULL) {
        memcpy(out, request->data, request->size);
        return request->size;
    }
    const ProtobufCBinaryData old = envelope->request_id;
    const bool has_id = envelope->has_request_id;
    if (!has_id) {
        memcpy(id + 8, &serial, sizeof serial);
        envelope->has_request_id = 1;
        envelope->request_id = (ProtobufCBinaryData){.len = sizeof id, .data = id};
    }
    if (envelope->method != NULL && strstr(envelope->method, "ListEvents") != NULL) {
        envelope->has_timeout_ms = 1;
        envelope->timeout_ms = WAIT_MS;
    }
    const size_t size = tradebook__v1__request__get_packed_size(envelope);
    if (size <= REQUEST_BYTES_MAX)
        tradebook__v1__request__pack(envelope, out);
    if (!has_id)
        envelope->request_id = old;
    tradebook__v1__request__free_unpacked(envelope, NULL);
    return size <= REQUEST_BYTES_MAX ? size : 0;
}

static bool is_read(const uint8_t *bytes, size_t size)
{
    return memmem(bytes, size, "/Get", 4) != NULL || memmem(bytes, size, "/List", 5) != NULL ||
           memmem(bytes, size, "AnalyticsService", 16) != NULL || memmem(bytes, size, "/Echo", 5) != NULL ||
           memmem(bytes, size, "Health", 6) != NULL;
}

/* A write that was accepted is accepted again with the same answer. */
static void retry(const uint8_t *bytes, size_t size, const uint8_t *reply, size_t reply_bytes)
{
    uint8_t *again = NULL;
    size_t again_bytes = 0;
    fuzz_server_call(bytes, size, &again, &again_bytes);
    FUZZ_CHECK(again_bytes == reply_bytes && memcmp(again, reply, reply_bytes) == 0,
               "a retry gets another answer than the first request");
    free(again);
}

static void run(const struct fuzz_request *request)
{
    static uint8_t bytes[REQUEST_BYTES_MAX];
    uint8_t *reply = NULL;
    size_t reply_bytes = 0;
    remember(request);
    serial++;
    const size_t size = complete(request, bytes);
    const Tradebook__V1__Code code = fuzz_server_call(bytes, size, &reply, &reply_bytes);
    if (code == TRADEBOOK__V1__CODE__CODE_OK && serial % 4 == 0 && !is_read(bytes, size))
        retry(bytes, size, reply, reply_bytes);
    free(reply);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    return fuzz_sequence_mutate(data, size, size_max, seed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    if (runs++ % RESTART_EVERY == 0)
        restart();
    for (size_t length; (length = fuzz_take_short(&input)) > 0;) {
        struct fuzz_request request;
        request.data = fuzz_take(&input, length, &request.size);
        run(&request);
    }
    fuzz_server_check_health();
    if (runs % AUDIT_EVERY == 0 || size > (1 << 16))
        fuzz_server_audit();
    return 0;
}
