#include "base/dynbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_FIRST = 64 };

void tbk_dynbuf_init(struct tbk_dynbuf *buffer, size_t length_max)
{
    *buffer = (struct tbk_dynbuf){.length_max = length_max};
}

void tbk_dynbuf_fini(struct tbk_dynbuf *buffer)
{
    free(buffer->data);
    *buffer = (struct tbk_dynbuf){.length_max = buffer->length_max};
}

void tbk_dynbuf_clear(struct tbk_dynbuf *buffer)
{
    buffer->length = 0;
    buffer->failed = false;
    if (buffer->data != NULL) {
        buffer->data[0] = '\0';
    }
}

/* Makes room for length more bytes and the NUL; marks the buffer when it cannot. */
static bool reserve(struct tbk_dynbuf *buffer, size_t length)
{
    if (buffer->failed || length > buffer->length_max - buffer->length) {
        buffer->failed = true;
        return false;
    }
    size_t needed = buffer->length + length + 1;
    if (needed <= buffer->capacity) {
        return true;
    }
    size_t capacity = buffer->capacity < CAPACITY_FIRST ? CAPACITY_FIRST : 2 * buffer->capacity;
    if (capacity > buffer->length_max + 1) {
        capacity = buffer->length_max + 1;
    }
    if (capacity < needed) {
        capacity = needed;
    }
    char *data = realloc(buffer->data, capacity);
    if (data == NULL) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void tbk_dynbuf_append(struct tbk_dynbuf *buffer, const void *data, size_t length)
{
    if (!reserve(buffer, length)) {
        return;
    }
    if (length > 0) {
        memcpy(buffer->data + buffer->length, data, length);
    }
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
}

void tbk_dynbuf_puts(struct tbk_dynbuf *buffer, const char *text)
{
    tbk_dynbuf_append(buffer, text, strlen(text));
}

void tbk_dynbuf_putc(struct tbk_dynbuf *buffer, char c)
{
    tbk_dynbuf_append(buffer, &c, 1);
}

void tbk_dynbuf_printf(struct tbk_dynbuf *buffer, const char *format, ...)
{
    va_list arguments;
    va_list again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) {
        buffer->failed = true;
    } else if (reserve(buffer, (size_t)length)) {
        vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, again);
        buffer->length += (size_t)length;
    }
    va_end(again);
}

const char *tbk_dynbuf_text(const struct tbk_dynbuf *buffer)
{
    return buffer->data != NULL ? buffer->data : "";
}

bool tbk_dynbuf_failed(const struct tbk_dynbuf *buffer)
{
    return buffer->failed;
}
