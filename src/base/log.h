/*
 * Structured log lines on one file descriptor, as text or JSON: time, level,
 * message, and fields. Each line is one write of at most TBK_LOG_LINE_BYTES_MAX
 * bytes, so lines of different threads do not mix, on a pipe either. A longer
 * line is cut and says so (" [cut]", "cut":true). Used by the top layers only;
 * lower layers return errors.
 *
 *   2026-01-02T03:04:05.123456Z INFO serving address=tcp://127.0.0.1:7601
 *   {"time":"2026-01-02T03:04:05.123456Z","level":"INFO","message":"serving","address":"tcp://127.0.0.1:7601"}
 *
 * Message and text values may be any bytes, from anyone: control characters,
 * those that reorder or break lines on a terminal, and malformed UTF-8 are
 * escaped. Keys are the program's own.
 */
#ifndef TBK_BASE_LOG_H
#define TBK_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* PIPE_BUF on Linux. */
enum { TBK_LOG_LINE_BYTES_MAX = 4096 };

enum tbk_log_level { TBK_LOG_DEBUG, TBK_LOG_INFO, TBK_LOG_WARNING, TBK_LOG_ERROR, TBK_LOG_OFF };
enum tbk_log_format { TBK_LOG_TEXT, TBK_LOG_JSON };

/* One field of a line. A text field that is NULL is left out. */
struct tbk_log_field {
    const char *key;
    enum { TBK_LOG_FIELD_TEXT, TBK_LOG_FIELD_INT, TBK_LOG_FIELD_DOUBLE } kind;
    union {
        const char *text;
        int64_t integer;
        double real;
    } value;
};

#define TBK_LOG_STR(k, v)    ((struct tbk_log_field){.key = (k), .kind = TBK_LOG_FIELD_TEXT, .value.text = (v)})
#define TBK_LOG_INT(k, v)    ((struct tbk_log_field){.key = (k), .kind = TBK_LOG_FIELD_INT, .value.integer = (v)})
#define TBK_LOG_DOUBLE(k, v) ((struct tbk_log_field){.key = (k), .kind = TBK_LOG_FIELD_DOUBLE, .value.real = (v)})

/* Before the first thread starts. Default: stderr, INFO, text. */
void tbk_log_configure(int fd, enum tbk_log_level level, enum tbk_log_format format);
bool tbk_log_enabled(enum tbk_log_level level);

void tbk_log_write(enum tbk_log_level level, const char *message, const struct tbk_log_field *fields,
                   int field_count);

/* tbk_log(TBK_LOG_INFO, "serving", TBK_LOG_STR("address", a)). At least one
 * field. Fields are not evaluated when the level is off. */
#define tbk_log(level, message, ...)                                                                              \
    do {                                                                                                          \
        if (tbk_log_enabled(level)) {                                                                             \
            const struct tbk_log_field tbk_log_fields_[] = {__VA_ARGS__};                                         \
            tbk_log_write(level, message, tbk_log_fields_,                                                        \
                          (int)(sizeof tbk_log_fields_ / sizeof tbk_log_fields_[0]));                             \
        }                                                                                                         \
    } while (0)

#endif
