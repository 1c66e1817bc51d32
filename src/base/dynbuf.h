/*
 * A growing buffer of bytes with a maximum that is fixed when it is made. The
 * content is always followed by a NUL, so that it can be used as text. A failed
 * append marks the buffer; check once at the end with tbk_dynbuf_failed.
 */
#ifndef TBK_BASE_DYNBUF_H
#define TBK_BASE_DYNBUF_H

#include <stdbool.h>
#include <stddef.h>

struct tbk_dynbuf {
    char *data;
    size_t length;
    size_t capacity;
    size_t length_max;
    bool failed;
};

/* Allocates nothing yet. length_max excludes the final NUL. */
void tbk_dynbuf_init(struct tbk_dynbuf *buffer, size_t length_max);
void tbk_dynbuf_fini(struct tbk_dynbuf *buffer);
/* Empties it, keeps the memory, clears the failure mark. */
void tbk_dynbuf_clear(struct tbk_dynbuf *buffer);

void tbk_dynbuf_append(struct tbk_dynbuf *buffer, const void *data, size_t length);
void tbk_dynbuf_puts(struct tbk_dynbuf *buffer, const char *text);
void tbk_dynbuf_putc(struct tbk_dynbuf *buffer, char c);
void tbk_dynbuf_printf(struct tbk_dynbuf *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The content as text, "" when nothing was appended. */
const char *tbk_dynbuf_text(const struct tbk_dynbuf *buffer);
/* Whether an append went over the maximum or memory was exhausted. */
bool tbk_dynbuf_failed(const struct tbk_dynbuf *buffer);

#endif
