/*
 * What a client reads from a server that it cannot trust. First byte: 0 to 127 chooses
 * a method, the rest is the Reply to a call of it; otherwise it says where a subscriber
 * starts and whether to one symbol, and what follows is heard: parts of a kind, a
 * length in two bytes and that many bytes, each a frame of the doorbell, a page of
 * ListEvents, or a failed call.
 *
 * subscriber.c is the client's; the doorbell and the calls are this file's.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/catalog.h"
#include "dispatch/wire.h"
#include "mutate.h"
#include "subscriber_internal.h"
#include "support.h"
#include "tradebook/v1/rpc.pb-c.h"

enum { NEXT_MAX = 64 };

/* --- what subscriber.c calls --- */

static struct fuzz_input heard; /* what is still to come */
enum kind { KIND_FRAME, KIND_PAGE, KIND_FAILURE, KIND_CONNECTED, KIND_COUNT };

static enum kind next_kind(void)
{
    return heard.left > 0 ? (enum kind)(heard.data[0] % KIND_COUNT) : KIND_COUNT;
}

static const uint8_t *take_part(size_t *ret_size)
{
    fuzz_take_byte(&heard);
    const size_t length = fuzz_take_short(&heard);
    return fuzz_take(&heard, length, ret_size);
}

struct tbk_doorbell_frame *tbk_doorbell_take(struct tbk_doorbell *doorbell)
{
    (void)doorbell;
    if (next_kind() != KIND_FRAME)
        return NULL;
    size_t size;
    const uint8_t *data = take_part(&size);
    struct tbk_doorbell_frame *frame = malloc(sizeof *frame + size);
    frame->length = size;
    if (size > 0)
        memcpy(frame->bytes, data, size);
    return frame;
}

bool tbk_doorbell_take_connected(struct tbk_doorbell *doorbell)
{
    (void)doorbell;
    size_t size;
    const bool connected = next_kind() == KIND_CONNECTED;
    if (connected)
        take_part(&size);
    return connected;
}

int64_t tbk_doorbell_alive_until_ms(struct tbk_doorbell *doorbell, int64_t silence_ms)
{
    (void)doorbell;
    (void)silence_ms;
    return 0;
}

void tbk_page_call_start(struct tbk_page_call *call, struct tradebook_client *client, int64_t after_sequence,
                         const char *symbol, int64_t wait_ms)
{
    (void)client;
    (void)symbol;
    call->after_sequence = after_sequence;
    call->wait_ms = wait_ms;
    call->runs = true;
}

bool tbk_page_call_take(struct tbk_page_call *call, Tradebook__V1__ListEventsResponse **ret_page)
{
    if (next_kind() != KIND_PAGE && next_kind() != KIND_FAILURE)
        return false;
    const bool failed = next_kind() == KIND_FAILURE;
    size_t size;
    const uint8_t *data = take_part(&size);
    *ret_page = failed ? NULL : tradebook__v1__list_events_response__unpack(NULL, size, data);
    call->runs = false;
    if (*ret_page == NULL)
        tbk_client_error_set(&call->error, TRADEBOOK_CANCELLED + size % TRADEBOOK_UNAUTHENTICATED, "it failed");
    return true;
}

/* --- the subscriber --- */

/* Handed out: in order, and without a gap unless it is one symbol's. */
static void subscribe(unsigned choice)
{
    static struct tradebook_client client = {.options = {.timeout_ms = 1000}};
    struct tradebook_subscriber *subscriber = calloc(1, sizeof *subscriber);
    struct tradebook_error error;
    memcpy(&subscriber->position, heard.data, heard.left < 8 ? heard.left : 8);
    size_t size;
    fuzz_take(&heard, 8, &size);
    if (subscriber->position < 0)
        subscriber->position = 0;
    subscriber->client = &client;
    subscriber->symbol = (choice & 1) != 0 ? "BTC-USD" : NULL;
    subscriber->heartbeat_ms = TBK_SUBSCRIBER_HEARTBEAT_MS;
    subscriber->pause_ms = TBK_SUBSCRIBER_PAUSE_MS;
    subscriber->is_behind = true;
    pthread_mutex_init(&subscriber->waker.mutex, NULL);
    pthread_cond_init(&subscriber->waker.changed, NULL);
    for (int i = 0; i < NEXT_MAX && subscriber->end.code == TRADEBOOK_OK; i++) {
        const int64_t before = subscriber->position;
        const Tradebook__V1__Event *event = NULL;
        const enum tradebook_code code = tradebook_subscriber_next(subscriber, 0, &event, &error);
        if (code == TRADEBOOK_OK) {
            FUZZ_CHECK(event->sequence > before, "event %lld is handed out after %lld", (long long)event->sequence,
                       (long long)before);
            FUZZ_CHECK(subscriber->symbol != NULL || event->sequence == before + 1,
                       "event %lld is handed out after %lld", (long long)event->sequence, (long long)before);
            FUZZ_CHECK(tradebook_subscriber_position(subscriber) == event->sequence, "the position is elsewhere");
        } else {
            FUZZ_CHECK(error.message[0] != '\0', "code %d has no sentence", (int)code);
            subscriber->list_not_before_ms = 0;
            if (heard.left == 0)
                break;
        }
    }
    tbk_subscriber_drop_events(subscriber);
    pthread_mutex_destroy(&subscriber->waker.mutex);
    pthread_cond_destroy(&subscriber->waker.changed);
    free(subscriber);
}

/* --- replies --- */

static const struct tbk_rpc *choose_rpc(unsigned choice)
{
    static struct tbk_catalog *catalog;
    struct tbk_error error;
    tbk_error_init(&error);
    if (catalog == NULL)
        FUZZ_CHECK(tbk_catalog_create(&catalog, &error) == TBK_OK, "%s", error.message);
    size_t count;
    const struct tbk_rpc *rpcs = tbk_catalog_rpcs(catalog, &count);
    return &rpcs[choice % count];
}

static void read_reply(unsigned choice, const uint8_t *data, size_t size)
{
    const struct tbk_client_call call = {.method = tbk_client_method_find(choose_rpc(choice)->name)};
    struct tradebook_error error = {0};
    ProtobufCMessage *reply = NULL;
    FUZZ_CHECK(call.method != NULL, "the client does not know %s", choose_rpc(choice)->name);
    const enum tradebook_code code = tbk_client_envelope_unpack(&call, data, size, &reply, &error);
    FUZZ_CHECK((code == TRADEBOOK_OK) == (reply != NULL), "code %d, reply %p", (int)code, (void *)reply);
    FUZZ_CHECK(code == TRADEBOOK_OK || (error.code == code && code <= TRADEBOOK_UNAUTHENTICATED), "code %d",
               (int)code);
    FUZZ_CHECK(error.violation_count <= TRADEBOOK_VIOLATIONS_MAX, "too many violations");
    tradebook_message_free(reply);
}

/* --- libFuzzer --- */

static size_t mutate_reply(uint8_t *data, size_t size, size_t size_max)
{
    static uint8_t payload[4096];
    Tradebook__V1__Reply *reply = tradebook__v1__reply__unpack(NULL, size - 1, data + 1);
    if (reply == NULL || fuzz_random_below(2) == 0 || reply->payload.len > sizeof payload) {
        if (reply != NULL)
            tradebook__v1__reply__free_unpacked(reply, NULL);
        return 1 + fuzz_bytes_mutate(&tradebook__v1__reply__descriptor, data + 1, size - 1, size_max - 1);
    }
    const ProtobufCBinaryData old = reply->payload;
    if (old.len > 0)
        memcpy(payload, old.data, old.len);
    reply->has_payload = 1;
    reply->payload.data = payload;
    reply->payload.len =
        fuzz_bytes_mutate(choose_rpc(data[0])->descriptor->output, payload, old.len, sizeof payload);
    const size_t written = fuzz_message_write(&reply->base, data + 1, size_max - 1);
    reply->payload = old;
    tradebook__v1__reply__free_unpacked(reply, NULL);
    return 1 + written;
}

/* Adds a part that can be read, with a sequence near to the others. */
static size_t add_part(uint8_t *data, size_t size, size_t size_max)
{
    static uint8_t part[2048];
    static const char topic[] = "trade.closed/BTC-USD/";
    struct tbk_arena *arena = fuzz_mutation_arena();
    const enum kind kind = (enum kind)fuzz_random_below(KIND_COUNT);
    size_t length = 0;
    if (kind == KIND_PAGE) {
        length = fuzz_bytes_mutate(&tradebook__v1__list_events_response__descriptor, part, 0, sizeof part);
    } else if (kind == KIND_FRAME && fuzz_random_below(3) == 0) {
        memcpy(part, TBK_DOORBELL_HEARTBEAT, sizeof TBK_DOORBELL_HEARTBEAT);
        length = sizeof TBK_DOORBELL_HEARTBEAT;
        const ProtobufCMessage *heartbeat = fuzz_message_create(&tradebook__v1__heartbeat__descriptor, arena);
        length += fuzz_message_write(heartbeat, part + length, sizeof part - length);
    } else if (kind == KIND_FRAME) {
        memcpy(part, topic, sizeof topic);
        length = sizeof topic;
        const ProtobufCMessage *event = fuzz_message_create(&tradebook__v1__event__descriptor, arena);
        length += fuzz_message_write(event, part + length, sizeof part - length);
    }
    if (size + 3 + length > size_max)
        return size;
    data[size++] = (uint8_t)kind;
    data[size++] = (uint8_t)length;
    data[size++] = (uint8_t)(length >> 8);
    memcpy(data + size, part, length);
    return size + length;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    fuzz_random_seed(seed);
    if (seed % 3 == 0 || size < 1 || size_max < 16)
        return LLVMFuzzerMutate(data, size, size_max);
    return data[0] < 128 ? mutate_reply(data, size, size_max) : add_part(data, size, size_max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    heard = (struct fuzz_input){data, size};
    if (size == 0)
        return 0;
    const unsigned choice = fuzz_take_byte(&heard);
    if (choice < 128)
        read_reply(choice, heard.data, heard.left);
    else if (heard.left > 0)
        subscribe(choice);
    return 0;
}
