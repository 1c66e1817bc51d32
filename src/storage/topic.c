#include "storage/topic.h"

#include <string.h>

static const char kind[] = "trade.closed/";

enum { KIND_CHARS = sizeof kind - 1, ENCODED_CHARS_MAX = 3 };

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

/* Writes one byte of a symbol as it stands in the topic; returns its length. */
static size_t encode(char c, char out[ENCODED_CHARS_MAX])
{
    static const char digits[] = "0123456789ABCDEF";
    if (is_unreserved(c)) {
        out[0] = c;
        return 1;
    }
    out[0] = '%';
    out[1] = digits[(unsigned char)c >> 4];
    out[2] = digits[(unsigned char)c & 15];
    return ENCODED_CHARS_MAX;
}

char *tbk_topic_of_trade(const char *symbol, size_t length, struct tbk_arena *arena)
{
    char *topic = tbk_arena_alloc(arena, KIND_CHARS + ENCODED_CHARS_MAX * length + sizeof "/");
    if (topic == NULL) {
        return NULL;
    }
    memcpy(topic, kind, KIND_CHARS);
    char *out = topic + KIND_CHARS;
    for (size_t i = 0; i < length; i++) {
        out += encode(symbol[i], out);
    }
    memcpy(out, "/", sizeof "/");
    return topic;
}

bool tbk_topic_of_trade_has_prefix(const char *symbol, size_t length, const char *prefix)
{
    const size_t of_kind = strlen(prefix) < KIND_CHARS ? strlen(prefix) : KIND_CHARS;
    if (memcmp(kind, prefix, of_kind) != 0) {
        return false;
    }
    prefix += of_kind;
    for (size_t i = 0; i < length && *prefix != '\0'; i++) {
        char part[ENCODED_CHARS_MAX];
        const size_t chars = encode(symbol[i], part);
        for (size_t c = 0; c < chars && *prefix != '\0'; c++) {
            if (*prefix++ != part[c]) {
                return false;
            }
        }
    }
    return *prefix == '\0' || strcmp(prefix, "/") == 0;
}
