/*
 * JSON to messages and back. Two bytes choose the message type, the rest is JSON
 * text, or with the high bit of the second byte a serialised message. What is
 * accepted is written as JSON that is accepted again and is the same message.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/catalog.h"
#include "dispatch/wire.h"
#include "mutate.h"
#include "support.h"
#include "json/json_read.h"
#include "json/json_write.h"

enum { ARENA_BYTES_MAX = 4 << 20, TEXT_BYTES_MAX = 8 << 20, HEAD_BYTES = 2, WIRE_BIT = 0x80 };

static struct tbk_catalog *catalog;
static struct tbk_arena *arena;

static void start(void)
{
    struct tbk_error error;
    tbk_error_init(&error);
    FUZZ_CHECK(tbk_catalog_create(&catalog, &error) == TBK_OK, "%s", error.message);
    arena = tbk_arena_create(1 << 16, ARENA_BYTES_MAX);
}

static const ProtobufCMessageDescriptor *choose_type(unsigned first, unsigned second)
{
    size_t count;
    const struct tbk_rpc *rpcs = tbk_catalog_rpcs(catalog, &count);
    const struct tbk_rpc *rpc = &rpcs[first % count];
    return (second & 1) != 0 ? rpc->descriptor->output : rpc->descriptor->input;
}

static enum tbk_status read_text(const ProtobufCMessageDescriptor *type, const char *text, size_t length,
                                 ProtobufCMessage **ret_message, struct tbk_error *error)
{
    const struct tbk_json_source source = {text, length, tbk_catalog_find_type, catalog};
    tbk_error_init(error);
    const enum tbk_status status = tbk_json_read(&source, type, arena, ret_message, error);
    FUZZ_CHECK(tbk_utf8_valid(error->message, strlen(error->message)), "a sentence is not UTF-8");
    FUZZ_CHECK(status == TBK_OK || error->message[0] != '\0', "status %d has no sentence", (int)status);
    FUZZ_CHECK(status == TBK_OK || status == TBK_INVALID_ARGUMENT || status == TBK_RESOURCE_EXHAUSTED,
               "status %d: %s", (int)status, error->message);
    return status;
}

static bool write_text(const ProtobufCMessage *message, bool pretty, struct tbk_dynbuf *out,
                       struct tbk_error *error)
{
    const struct tbk_json_style style = {pretty, tbk_catalog_find_type, catalog};
    tbk_dynbuf_init(out, TEXT_BYTES_MAX);
    const enum tbk_status status = tbk_json_write(message, &style, out, error);
    FUZZ_CHECK(status != TBK_OK || tbk_utf8_valid(tbk_dynbuf_text(out), out->length), "the JSON is not UTF-8");
    return status == TBK_OK;
}

/* message is what was read, from text or from the wire. */
static void check_round_trip(const ProtobufCMessage *message, bool pretty, bool must_write)
{
    struct tbk_error error;
    tbk_error_init(&error);
    struct tbk_dynbuf text;
    struct tbk_dynbuf text_again;
    if (!write_text(message, pretty, &text, &error)) {
        /* A mask may be read by its original names, and then be none in camelCase. */
        FUZZ_CHECK(!must_write || strstr(error.message, "mask") != NULL,
                   "what was read from JSON cannot be written: %s", error.message);
        tbk_dynbuf_fini(&text);
        return;
    }
    ProtobufCMessage *again = NULL;
    if (read_text(message->descriptor, tbk_dynbuf_text(&text), text.length, &again, &error) == TBK_OK) {
        FUZZ_CHECK(write_text(again, pretty, &text_again, &error), "%s", error.message);
        FUZZ_CHECK(strcmp(tbk_dynbuf_text(&text), tbk_dynbuf_text(&text_again)) == 0, "%s became %s",
                   tbk_dynbuf_text(&text), tbk_dynbuf_text(&text_again));
        tbk_dynbuf_fini(&text_again);
        const size_t bytes = protobuf_c_message_get_packed_size(message);
        FUZZ_CHECK(!must_write || bytes == protobuf_c_message_get_packed_size(again), "the size has changed: %s",
                   tbk_dynbuf_text(&text));
    } else {
        /* An Any from the wire may name what is no type, or hold bytes that are none
         * of its type; these are shown as base64, which is not taken for the type. */
        const bool is_broken_any = !must_write && (strstr(error.message, ".@type: ") != NULL ||
                                                   strstr(error.message, "].value: ") != NULL);
        FUZZ_CHECK(error.status == TBK_RESOURCE_EXHAUSTED || is_broken_any, "our JSON is refused: %s: %s",
                   error.message, tbk_dynbuf_text(&text));
    }
    tbk_dynbuf_fini(&text);
}

/* What dispatch would let pass. */
static ProtobufCMessage *read_wire(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size)
{
    struct tbk_error error;
    tbk_error_init(&error);
    if (tbk_wire_check(type, data, size, &error) != TBK_OK)
        return NULL;
    return protobuf_c_message_unpack(type, tbk_arena_allocator(arena), size, data);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    if (catalog == NULL)
        start();
    fuzz_random_seed(seed);
    if (seed % 3 != 0 || size < HEAD_BYTES || size_max < HEAD_BYTES + 64)
        return LLVMFuzzerMutate(data, size, size_max);
    const ProtobufCMessageDescriptor *type = choose_type(data[0], data[1]);
    uint8_t *rest = data + HEAD_BYTES;
    const size_t room = size_max - HEAD_BYTES;
    if ((data[1] & WIRE_BIT) != 0)
        return HEAD_BYTES + fuzz_bytes_mutate(type, rest, size - HEAD_BYTES, room);
    struct tbk_error error;
    ProtobufCMessage *message = NULL;
    tbk_arena_reset(arena);
    if (read_text(type, (const char *)rest, size - HEAD_BYTES, &message, &error) == TBK_OK)
        fuzz_message_mutate(message, arena);
    else
        message = fuzz_message_create(type, arena);
    struct tbk_dynbuf text;
    if (message != NULL && write_text(message, seed % 2 == 0, &text, &error) && text.length <= room) {
        memcpy(rest, tbk_dynbuf_text(&text), text.length);
        size = HEAD_BYTES + text.length;
    }
    if (message != NULL)
        tbk_dynbuf_fini(&text);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct tbk_error error;
    if (catalog == NULL)
        start();
    tbk_arena_reset(arena);
    const unsigned first = fuzz_take_byte(&input);
    const unsigned second = fuzz_take_byte(&input);
    const ProtobufCMessageDescriptor *type = choose_type(first, second);
    ProtobufCMessage *message = NULL;
    if ((second & WIRE_BIT) != 0)
        message = read_wire(type, input.data, input.left);
    else if (read_text(type, (const char *)input.data, input.left, &message, &error) != TBK_OK)
        message = NULL;
    if (message != NULL)
        check_round_trip(message, (second & 2) != 0, (second & WIRE_BIT) == 0);
    return 0;
}
