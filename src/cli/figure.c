#include "cli/figure.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/timestamp.h"
#include "cli/cell.h"
#include "cli/field_path.h"

enum {
    NUMBER_BYTES_MAX = 400,
    HUNDREDTH_DECIMALS = 2,
    SECONDS_PER_MINUTE = 60,
    MINUTES_PER_HOUR = 60,
    MINUTES_PER_DAY = 24 * 60
};

/* Where an own number of digits starts: a value that two decimals would show as 0. */
#define TWO_DECIMALS_MIN 0.005
#define PROBABILITY_MIN  0.0001

bool tbk_figure_is_right(enum tbk_figure_form form)
{
    switch (form) {
    case TBK_FIGURE_TEXT:
    case TBK_FIGURE_ENUM:
    case TBK_FIGURE_DATE:
    case TBK_FIGURE_TIME:
        return false;
    default:
        return true;
    }
}

/* Copies a printed number with a comma before each three digits of its whole part. */
static void append_grouped(const char *number, struct tbk_dynbuf *out)
{
    size_t sign = strspn(number, "+-");
    size_t digits = strspn(number + sign, "0123456789");
    tbk_dynbuf_append(out, number, sign);
    for (size_t i = 0; i < digits; i++) {
        if (i > 0 && (digits - i) % 3 == 0)
            tbk_dynbuf_putc(out, ',');
        tbk_dynbuf_putc(out, number[sign + i]);
    }
    tbk_dynbuf_puts(out, number + sign + digits);
}

void tbk_append_count(int64_t value, struct tbk_dynbuf *out)
{
    char text[NUMBER_BYTES_MAX];
    snprintf(text, sizeof text, "%" PRId64, value);
    append_grouped(text, out);
}

/* The two largest of days, hours and minutes; seconds below a minute. */
void tbk_append_duration(int64_t seconds, struct tbk_dynbuf *out)
{
    int64_t minutes = seconds / SECONDS_PER_MINUTE;
    int64_t days = minutes / MINUTES_PER_DAY;
    int64_t hours = minutes % MINUTES_PER_DAY / MINUTES_PER_HOUR;
    if (days > 0) {
        tbk_append_count(days, out);
        tbk_dynbuf_printf(out, " d %" PRId64 " h", hours);
    } else if (hours > 0) {
        tbk_dynbuf_printf(out, "%" PRId64 " h %" PRId64 " min", hours, minutes % MINUTES_PER_HOUR);
    } else if (minutes > 0) {
        tbk_dynbuf_printf(out, "%" PRId64 " min", minutes);
    } else {
        tbk_dynbuf_printf(out, "%" PRId64 " s", seconds);
    }
}

/* Two decimals, but one significant digit of what would else look like zero. */
static void append_decimal(double value, bool sign, struct tbk_dynbuf *out)
{
    char text[NUMBER_BYTES_MAX];
    if (value == 0)
        snprintf(text, sizeof text, "0.00");
    else if (fabs(value) < TWO_DECIMALS_MIN)
        snprintf(text, sizeof text, sign ? "%+.1g" : "%.1g", value);
    else
        snprintf(text, sizeof text, sign ? "%+.*f" : "%.*f", HUNDREDTH_DECIMALS, value);
    append_grouped(text, out);
}

void tbk_append_rate(double value, struct tbk_dynbuf *out)
{
    tbk_dynbuf_printf(out, "%.1f %%", 100 * value);
}

void tbk_append_probability(double value, struct tbk_dynbuf *out)
{
    if (value < PROBABILITY_MIN)
        tbk_dynbuf_puts(out, "< 0.0001");
    else
        tbk_dynbuf_printf(out, "%.4f", value);
}

static enum tbk_tone tone_of(double value)
{
    return value > 0 ? TBK_TONE_GAIN : value < 0 ? TBK_TONE_LOSS : TBK_TONE_NONE;
}

static void append_unit(enum tbk_unit unit, struct tbk_dynbuf *out)
{
    if (unit == TBK_UNIT_PERCENT)
        tbk_dynbuf_puts(out, " %");
}

enum tbk_tone tbk_append_gain(double value, enum tbk_unit unit, struct tbk_dynbuf *out)
{
    append_decimal(value, true, out);
    append_unit(unit, out);
    return tone_of(value);
}

static void append_interval(double lower, double upper, const char *format, bool utf8, struct tbk_dynbuf *out)
{
    tbk_dynbuf_puts(out, " (");
    tbk_dynbuf_printf(out, format, lower);
    tbk_dynbuf_puts(out, utf8 ? " \xE2\x80\xA6 " : " .. ");
    tbk_dynbuf_printf(out, format, upper);
    tbk_dynbuf_putc(out, ')');
}

/* A message with value, lower and upper. */
static enum tbk_tone append_estimate(const struct tbk_figure *figure, enum tbk_unit unit,
                                     const ProtobufCMessage *estimate, bool utf8, struct tbk_dynbuf *out)
{
    double value;
    double lower;
    double upper;
    if (!tbk_field_double(estimate, "value", &value)) {
        tbk_dynbuf_putc(out, '-');
        return TBK_TONE_NONE;
    }
    bool bounded = tbk_field_double(estimate, "lower", &lower) && tbk_field_double(estimate, "upper", &upper);
    if (figure->form == TBK_FIGURE_PROPORTION) {
        tbk_append_rate(value, out);
        if (bounded)
            append_interval(100 * lower, 100 * upper, "%.1f", utf8, out);
    } else if (figure->form == TBK_FIGURE_RATE_DIFFERENCE) {
        tbk_dynbuf_printf(out, "%+.1f pp", 100 * value);
        if (bounded)
            append_interval(100 * lower, 100 * upper, "%+.1f", utf8, out);
    } else {
        tbk_append_gain(value, unit, out);
        if (bounded)
            append_interval(lower, upper, "%+.2f", utf8, out);
    }
    return TBK_TONE_NONE;
}

static enum tbk_tone append_double(const struct tbk_figure *figure, enum tbk_unit unit, double value,
                                   struct tbk_dynbuf *out)
{
    switch (figure->form) {
    case TBK_FIGURE_GAIN:
        return tbk_append_gain(value, unit, out);
    case TBK_FIGURE_SCORE:
        return tbk_append_gain(value, TBK_UNIT_NONE, out);
    case TBK_FIGURE_AMOUNT:
        append_decimal(value, false, out);
        append_unit(unit, out);
        return TBK_TONE_NONE;
    case TBK_FIGURE_RATIO:
        append_decimal(value, false, out);
        return TBK_TONE_NONE;
    case TBK_FIGURE_FRACTION:
        tbk_dynbuf_printf(out, "%.4f", value);
        return TBK_TONE_NONE;
    case TBK_FIGURE_PROBABILITY:
        tbk_append_probability(value, out);
        return TBK_TONE_NONE;
    case TBK_FIGURE_RATE:
        tbk_append_rate(value, out);
        return TBK_TONE_NONE;
    case TBK_FIGURE_POINTS:
        tbk_dynbuf_printf(out, "%.1f pp", 100 * value);
        return TBK_TONE_NONE;
    default:
        tbk_cell_short_double(value, out);
        return TBK_TONE_NONE;
    }
}

static void append_integer(const struct tbk_figure *figure, int64_t value, struct tbk_dynbuf *out)
{
    if (figure->form == TBK_FIGURE_DURATION)
        tbk_append_duration(value, out);
    else if (figure->form == TBK_FIGURE_MINUTES && value == 0)
        tbk_dynbuf_puts(out, "0 min");
    else if (figure->form == TBK_FIGURE_MINUTES)
        tbk_append_duration(value * SECONDS_PER_MINUTE, out);
    else if (figure->form == TBK_FIGURE_COUNT)
        tbk_append_count(value, out);
    else
        tbk_dynbuf_printf(out, "%" PRId64, value);
}

static enum tbk_tone append_enum(const ProtobufCFieldDescriptor *field, int number, struct tbk_dynbuf *out)
{
    size_t start = out->length;
    tbk_enum_text(field->descriptor, number, out);
    const char *text = tbk_dynbuf_text(out) + (tbk_dynbuf_failed(out) ? 0 : start);
    if (strcmp(text, "win") == 0)
        return TBK_TONE_GAIN;
    return strcmp(text, "loss") == 0 ? TBK_TONE_LOSS : TBK_TONE_NONE;
}

static enum tbk_tone append_message(const struct tbk_figure *figure, enum tbk_unit unit,
                                    const ProtobufCMessage *message, const ProtobufCMessage *value, bool utf8,
                                    struct tbk_dynbuf *out)
{
    int64_t us;
    if (figure->form != TBK_FIGURE_DATE && figure->form != TBK_FIGURE_TIME)
        return append_estimate(figure, unit, value, utf8, out);
    if (tbk_field_time(message, figure->path, &us))
        tbk_cell_timestamp(us, figure->form == TBK_FIGURE_DATE ? TBK_CELL_DATE_CHARS : TBK_CELL_SECONDS_CHARS,
                           out);
    return TBK_TONE_NONE;
}

enum tbk_tone tbk_figure_append(const struct tbk_figure *figure, enum tbk_unit subject_unit,
                                const ProtobufCMessage *message, bool utf8, struct tbk_dynbuf *out)
{
    const ProtobufCFieldDescriptor *field = NULL;
    const void *value = message != NULL ? tbk_field_value(message, figure->path, &field) : NULL;
    enum tbk_unit unit = figure->unit != TBK_UNIT_NONE ? figure->unit : subject_unit;
    if (value == NULL) {
        tbk_dynbuf_putc(out, '-');
        return TBK_TONE_NONE;
    }
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        tbk_dynbuf_puts(out, *(const char *const *)value);
        return TBK_TONE_NONE;
    case PROTOBUF_C_TYPE_ENUM:
        return append_enum(field, *(const int *)value, out);
    case PROTOBUF_C_TYPE_INT64:
        append_integer(figure, *(const int64_t *)value, out);
        return TBK_TONE_NONE;
    case PROTOBUF_C_TYPE_DOUBLE:
        return append_double(figure, unit, *(const double *)value, out);
    default:
        assert(field->type == PROTOBUF_C_TYPE_MESSAGE);
        return append_message(figure, unit, message, value, utf8, out);
    }
}
