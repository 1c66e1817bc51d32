#include "sequence.h"

#include <string.h>

#include "cli/catalog.h"
#include "mutate.h"
#include "tradebook/v1/rpc.pb-c.h"

enum { REQUEST_BYTES_MAX = 8192, HEAD_BYTES = 2 };

static const struct tbk_rpc *find_rpc(const char *method, bool random)
{
    static struct tbk_catalog *catalog;
    if (catalog == NULL) {
        struct tbk_error error;
        tbk_error_init(&error);
        FUZZ_CHECK(tbk_catalog_create(&catalog, &error) == TBK_OK, "%s", error.message);
    }
    size_t count;
    const struct tbk_rpc *rpcs = tbk_catalog_rpcs(catalog, &count);
    return random ? &rpcs[fuzz_random_below(count)] : tbk_catalog_find(catalog, method);
}

size_t fuzz_sequence_read(const uint8_t *data, size_t size, struct fuzz_request *requests, size_t max)
{
    struct fuzz_input input = {data, size};
    size_t count = 0;
    for (size_t length; count < max && (length = fuzz_take_short(&input)) > 0;) {
        requests[count].data = fuzz_take(&input, length, &requests[count].size);
        count++;
    }
    return count;
}

static size_t sequence_write(const struct fuzz_request *requests, size_t count, uint8_t *data, size_t size_max)
{
    size_t size = 0;
    for (size_t i = 0; i < count && size + HEAD_BYTES + requests[i].size <= size_max; i++) {
        if (requests[i].size == 0)
            continue;
        data[size++] = (uint8_t)requests[i].size;
        data[size++] = (uint8_t)(requests[i].size >> 8);
        memcpy(data + size, requests[i].data, requests[i].size);
        size += requests[i].size;
    }
    return size;
}

/* A request of any method, with a message of its type. */
static size_t create_request(uint8_t *data, size_t size_max)
{
    static uint8_t payload[REQUEST_BYTES_MAX];
    struct tbk_arena *arena = fuzz_mutation_arena();
    const struct tbk_rpc *rpc = find_rpc(NULL, true);
    const ProtobufCMessage *message = fuzz_message_create(rpc->descriptor->input, arena);
    Tradebook__V1__Request request = TRADEBOOK__V1__REQUEST__INIT;
    request.method = rpc->name;
    request.has_payload = 1;
    request.payload.data = payload;
    request.payload.len = message != NULL ? fuzz_message_write(message, payload, sizeof payload) : 0;
    return fuzz_message_write(&request.base, data, size_max);
}

size_t fuzz_request_mutate(uint8_t *data, size_t size, size_t size_max)
{
    static uint8_t payload[REQUEST_BYTES_MAX];
    Tradebook__V1__Request *request = tradebook__v1__request__unpack(NULL, size, data);
    if (request == NULL || fuzz_random_below(16) == 0) {
        if (request != NULL)
            tradebook__v1__request__free_unpacked(request, NULL);
        return LLVMFuzzerMutate(data, size, size_max);
    }
    const struct tbk_rpc *rpc = request->method != NULL ? find_rpc(request->method, false) : NULL;
    size_t written;
    if (rpc != NULL && request->payload.len <= sizeof payload && fuzz_random_below(12) > 0) {
        const ProtobufCBinaryData old = request->payload;
        if (old.len > 0)
            memcpy(payload, old.data, old.len);
        request->has_payload = 1;
        request->payload.data = payload;
        request->payload.len = fuzz_random_below(12) == 0
                                   ? LLVMFuzzerMutate(payload, old.len, sizeof payload)
                                   : fuzz_bytes_mutate(rpc->descriptor->input, payload, old.len, sizeof payload);
        written = fuzz_message_write(&request->base, data, size_max);
        request->payload = old;
    } else {
        written = fuzz_bytes_mutate(&tradebook__v1__request__descriptor, data, size, size_max);
    }
    tradebook__v1__request__free_unpacked(request, NULL);
    return written;
}

static void swap(struct fuzz_request *a, struct fuzz_request *b)
{
    const struct fuzz_request old = *a;
    *a = *b;
    *b = old;
}

size_t fuzz_sequence_mutate(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    static uint8_t copy[1 << 16];
    static uint8_t request[REQUEST_BYTES_MAX];
    struct fuzz_request requests[FUZZ_SEQUENCE_MAX + 1];
    fuzz_random_seed(seed);
    if (size > sizeof copy)
        size = sizeof copy;
    memcpy(copy, data, size);
    size_t count = fuzz_sequence_read(copy, size, requests, FUZZ_SEQUENCE_MAX);
    const size_t i = count > 0 ? fuzz_random_below(count) : 0;
    const size_t choice = count > 0 ? fuzz_random_below(10) : 0;
    if (choice < 2 && count < FUZZ_SEQUENCE_MAX) {
        requests[count] = (struct fuzz_request){request, create_request(request, sizeof request)};
        swap(&requests[i], &requests[count]);
        count++;
    } else if (choice == 2) {
        requests[i] = requests[--count];
    } else if (choice == 3 && count < FUZZ_SEQUENCE_MAX) {
        requests[count++] = requests[i];
    } else if (choice == 4) {
        swap(&requests[i], &requests[fuzz_random_below(count)]);
    } else if (requests[i].size <= sizeof request) {
        memcpy(request, requests[i].data, requests[i].size);
        requests[i].size = fuzz_request_mutate(request, requests[i].size, sizeof request);
        requests[i].data = request;
    }
    const size_t written = sequence_write(requests, count, data, size_max);
    return written > 0 ? written : size;
}
