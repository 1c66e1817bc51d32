/*
 * Figures of a message as people like to read them, described by data: where the
 * value is, what it is called, what kind of figure it is.
 */
#ifndef TBK_CLI_FIGURE_H
#define TBK_CLI_FIGURE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "base/dynbuf.h"
#include "cli/terminal.h"

enum tbk_figure_form {
    TBK_FIGURE_TEXT,
    TBK_FIGURE_ENUM,            /* as on disk; win and loss have their tone */
    TBK_FIGURE_DATE,            /* of a time, in UTC */
    TBK_FIGURE_TIME,            /* to the second, in UTC */
    TBK_FIGURE_ID,              /* 1234567 */
    TBK_FIGURE_COUNT,           /* 1,234,567 */
    TBK_FIGURE_DURATION,        /* of seconds: 3 d 4 h */
    TBK_FIGURE_MINUTES,         /* the same of minutes */
    TBK_FIGURE_PRICE,           /* 64000.5, eight digits at most */
    TBK_FIGURE_RATIO,           /* 1.25 */
    TBK_FIGURE_SCORE,           /* +1.25, with its tone */
    TBK_FIGURE_FRACTION,        /* 0.1234 */
    TBK_FIGURE_PROBABILITY,     /* 0.0312, < 0.0001 */
    TBK_FIGURE_RATE,            /* of 0.523: 52.3 % */
    TBK_FIGURE_POINTS,          /* of 0.021: 2.1 pp (percentage points) */
    TBK_FIGURE_PROPORTION,      /* of a Proportion: 52.3 % (49.1 … 55.5) */
    TBK_FIGURE_GAIN,            /* +0.12 % or +1,234.56, with its tone */
    TBK_FIGURE_AMOUNT,          /* the same without sign and tone */
    TBK_FIGURE_RATE_DIFFERENCE, /* of a message with value, lower, upper: +2.1 pp (-1.0 … +5.2) */
    TBK_FIGURE_GAIN_DIFFERENCE, /* the same in the unit of GAIN */
};

/* Of GAIN and AMOUNT. */
enum tbk_unit { TBK_UNIT_NONE, TBK_UNIT_PERCENT, TBK_UNIT_USD };

struct tbk_figure {
    const char *heading;
    const char *path;
    enum tbk_figure_form form;
    enum tbk_unit unit; /* NONE: that of the subject it is a figure of */
};

/* Whether figures of this form are aligned right. */
bool tbk_figure_is_right(enum tbk_figure_form form);

/* Appends the figure of message, "-" when it is absent; a message of NULL has
 * none. utf8 tells what may be used besides ASCII. Returns its tone. */
enum tbk_tone tbk_figure_append(const struct tbk_figure *figure, enum tbk_unit subject_unit,
                                const ProtobufCMessage *message, bool utf8, struct tbk_dynbuf *out);

/* The forms, also for lines of text. */
void tbk_append_count(int64_t value, struct tbk_dynbuf *out);
void tbk_append_duration(int64_t seconds, struct tbk_dynbuf *out);
void tbk_append_rate(double value, struct tbk_dynbuf *out);
void tbk_append_probability(double value, struct tbk_dynbuf *out);
enum tbk_tone tbk_append_gain(double value, enum tbk_unit unit, struct tbk_dynbuf *out);

#endif
