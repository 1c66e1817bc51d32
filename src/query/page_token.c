/* A page token is, in base64url:
 *
 *   1 byte    version
 *   8 bytes   fingerprint of the query
 *   values of the last row seen, one for each column of the order:
 *     1 byte  type (enum tbk_value_type), then
 *       integer, timestamp   8 bytes
 *       real                 8 bytes, IEEE 754
 *       text                 4 bytes length, the bytes
 *   8 bytes   XXH3 of everything before, seeded with the database's secret
 *
 * Numbers are little-endian. The checksum finds damaged and foreign tokens; it
 * is no signature. A forged token could only choose where a list continues, and
 * what it says is still checked and never becomes SQL. */
#include "query/page_token.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "base/text.h"
#include "base/timestamp.h"
#include "query/base64url.h"

enum { VERSION = 1, HEADER_BYTES = 1 + 8, CHECKSUM_BYTES = 8 };

static void put_number(uint8_t *out, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(number >> (8 * i));
    }
}

static uint64_t get_number(const uint8_t *in, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++) {
        number |= (uint64_t)in[i] << (8 * i);
    }
    return number;
}

static size_t value_bytes(struct tbk_value value)
{
    switch (value.type) {
    case TBK_VALUE_NULL:
        return 1;
    case TBK_VALUE_TEXT:
        return 1 + 4 + value.text.length;
    case TBK_VALUE_INTEGER:
    case TBK_VALUE_REAL:
    case TBK_VALUE_TIMESTAMP:
        break;
    }
    return 1 + 8;
}

static void put_value(uint8_t *out, struct tbk_value value)
{
    uint64_t bits = 0;
    out[0] = (uint8_t)value.type;
    switch (value.type) {
    case TBK_VALUE_NULL:
        return;
    case TBK_VALUE_TEXT:
        put_number(out + 1, value.text.length, 4);
        memcpy(out + 5, value.text.data, value.text.length);
        return;
    case TBK_VALUE_INTEGER:
        bits = (uint64_t)value.integer;
        break;
    case TBK_VALUE_TIMESTAMP:
        bits = (uint64_t)value.timestamp_us;
        break;
    case TBK_VALUE_REAL:
        memcpy(&bits, &value.real, sizeof bits);
        break;
    }
    put_number(out + 1, bits, 8);
}

char *tbk_page_token_write(uint64_t fingerprint, const struct tbk_value *values, unsigned count, uint64_t secret,
                           struct tbk_arena *arena)
{
    size_t length = HEADER_BYTES + CHECKSUM_BYTES;
    for (unsigned i = 0; i < count; i++) {
        length += value_bytes(values[i]);
    }
    uint8_t *bytes = tbk_arena_alloc(arena, length);
    char *text = tbk_arena_alloc(arena, tbk_base64url_encoded_length(length) + 1);
    if (bytes == NULL || text == NULL) {
        return NULL;
    }
    bytes[0] = VERSION;
    put_number(bytes + 1, fingerprint, 8);
    uint8_t *out = bytes + HEADER_BYTES;
    for (unsigned i = 0; i < count; i++) {
        put_value(out, values[i]);
        out += value_bytes(values[i]);
    }
    put_number(out, XXH3_64bits_withSeed(bytes, length - CHECKSUM_BYTES, secret), CHECKSUM_BYTES);
    tbk_base64url_encode(bytes, length, text);
    return text;
}

char *tbk_page_token_create(const struct tbk_query *query, const ProtobufCMessage *row, uint64_t secret,
                            struct tbk_arena *arena)
{
    struct tbk_value values[TBK_ORDER_FIELDS_MAX + 1];
    for (unsigned i = 0; i < query->order_count; i++) {
        values[i] = tbk_column_get(query->order[i].column, row);
    }
    return tbk_page_token_write(query->fingerprint, values, query->order_count, secret, arena);
}

static enum tbk_status no_memory(struct tbk_error *error)
{
    return tbk_error_set(
        error, TBK_RESOURCE_EXHAUSTED,
        "The page token needs more memory than one request may use; start again from the first page.");
}

static enum tbk_status refuse(struct tbk_error *error, const char *why)
{
    tbk_error_violation(error, "page_token", "%s; start again from the first page", why);
    return error->status;
}

enum tbk_status tbk_page_token_open(const char *text, uint64_t secret, struct tbk_arena *arena,
                                    struct tbk_page_token *ret_token, struct tbk_error *error)
{
    static const char why[] = "it is damaged or was not made by this database";
    const size_t text_length = strlen(text);
    const size_t length = tbk_base64url_decoded_length(text_length);
    if (length < HEADER_BYTES + CHECKSUM_BYTES) {
        return refuse(error, why);
    }
    uint8_t *bytes = tbk_arena_alloc(arena, length);
    if (bytes == NULL) {
        return no_memory(error);
    }
    const size_t checked = length - CHECKSUM_BYTES;
    if (!tbk_base64url_decode(text, text_length, bytes) || bytes[0] != VERSION ||
        get_number(bytes + checked, CHECKSUM_BYTES) != XXH3_64bits_withSeed(bytes, checked, secret)) {
        return refuse(error, why);
    }
    *ret_token = (struct tbk_page_token){
        .fingerprint = get_number(bytes + 1, 8),
        .values = bytes + HEADER_BYTES,
        .values_bytes = checked - HEADER_BYTES,
    };
    return TBK_OK;
}

/* What is left to read of a token's values. */
struct reader {
    const uint8_t *next;
    size_t left;
};

static bool read_number(struct reader *reader, size_t bytes, uint64_t *ret_number)
{
    if (reader->left < bytes) {
        return false;
    }
    *ret_number = get_number(reader->next, bytes);
    reader->next += bytes;
    reader->left -= bytes;
    return true;
}

/* Text points into the token. */
static bool read_value(struct reader *reader, struct tbk_value *ret_value)
{
    uint64_t type;
    uint64_t bits = 0;
    if (!read_number(reader, 1, &type) || type > TBK_VALUE_TIMESTAMP) {
        return false;
    }
    ret_value->type = (enum tbk_value_type)type;
    if (type != TBK_VALUE_NULL && !read_number(reader, type == TBK_VALUE_TEXT ? 4 : 8, &bits)) {
        return false;
    }
    switch (ret_value->type) {
    case TBK_VALUE_NULL:
        return true;
    case TBK_VALUE_INTEGER:
        ret_value->integer = (int64_t)bits;
        return true;
    case TBK_VALUE_TIMESTAMP:
        ret_value->timestamp_us = (int64_t)bits;
        return true;
    case TBK_VALUE_REAL:
        memcpy(&ret_value->real, &bits, sizeof bits);
        return true;
    case TBK_VALUE_TEXT:
        if (bits > reader->left) {
            return false;
        }
        ret_value->text.data = (const char *)reader->next;
        ret_value->text.length = (size_t)bits;
        reader->next += bits;
        reader->left -= bits;
        return true;
    }
    return false;
}

/* Whether a row can have this value in the column. */
static bool fits(const struct tbk_column *column, const struct tbk_table *table, struct tbk_value value)
{
    if (value.type == TBK_VALUE_NULL) {
        return column != table->key;
    }
    switch (column->kind) {
    case TBK_COLUMN_INTEGER:
        return value.type == TBK_VALUE_INTEGER;
    case TBK_COLUMN_BOOLEAN:
        return value.type == TBK_VALUE_INTEGER && (value.integer == 0 || value.integer == 1);
    case TBK_COLUMN_ENUM: /* 0 is text on disk that is none of the known values */
        return value.type == TBK_VALUE_INTEGER &&
               (value.integer == 0 || (value.integer > 0 && value.integer < TBK_ENUM_VALUES_MAX &&
                                       tbk_column_enum_text(column, (int)value.integer) != NULL));
    case TBK_COLUMN_REAL:
        return value.type == TBK_VALUE_REAL && !isnan(value.real);
    case TBK_COLUMN_TEXT:
        return value.type == TBK_VALUE_TEXT && memchr(value.text.data, '\0', value.text.length) == NULL &&
               tbk_utf8_valid(value.text.data, value.text.length);
    case TBK_COLUMN_TIMESTAMP:
        return value.type == TBK_VALUE_TIMESTAMP && value.timestamp_us >= TBK_TIMESTAMP_MIN &&
               value.timestamp_us <= TBK_TIMESTAMP_MAX;
    }
    return false;
}

enum tbk_status tbk_page_token_read(const struct tbk_page_token *token, unsigned count, struct tbk_arena *arena,
                                    struct tbk_value *ret_values, bool *ret_complete, struct tbk_error *error)
{
    struct reader reader = {token->values, token->values_bytes};
    *ret_complete = false;
    for (unsigned i = 0; i < count; i++) {
        if (!read_value(&reader, &ret_values[i])) {
            return TBK_OK;
        }
        if (ret_values[i].type == TBK_VALUE_TEXT) {
            ret_values[i].text.data = tbk_arena_strndup(arena, ret_values[i].text.data, ret_values[i].text.length);
            if (ret_values[i].text.data == NULL) {
                return no_memory(error);
            }
        }
    }
    *ret_complete = reader.left == 0;
    return TBK_OK;
}

enum tbk_status tbk_page_token_apply(const struct tbk_page_token *token, struct tbk_arena *arena,
                                     struct tbk_query *query, struct tbk_error *error)
{
    static const char why[] = "it belongs to another list, filter or order_by";
    if (token->fingerprint != query->fingerprint) {
        return refuse(error, why);
    }
    struct tbk_value *after = tbk_arena_alloc(arena, query->order_count * sizeof *after);
    if (after == NULL) {
        return no_memory(error);
    }
    bool fit;
    const enum tbk_status status = tbk_page_token_read(token, query->order_count, arena, after, &fit, error);
    if (status != TBK_OK) {
        return status;
    }
    for (unsigned i = 0; fit && i < query->order_count; i++) {
        fit = fits(query->order[i].column, query->table, after[i]);
    }
    if (!fit) {
        return refuse(error, why);
    }
    query->after = after;
    return TBK_OK;
}
