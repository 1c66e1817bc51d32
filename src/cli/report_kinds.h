/*
 * What each report asks and shows, as data.
 *
 * A section is a table of figures over subjects. The subjects are the elements
 * of a repeated field, or messages named one by one; the figures run across (a
 * row for each subject) or down (a column for each subject).
 */
#ifndef TBK_CLI_REPORT_KINDS_H
#define TBK_CLI_REPORT_KINDS_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dynbuf.h"
#include "cli/figure.h"

/* Groups of options that a report takes, see report.c. */
enum {
    TBK_REPORT_WINDOW = 1 << 0,
    TBK_REPORT_SLICE = 1 << 1,
    TBK_REPORT_BY = 1 << 2,
    TBK_REPORT_PERIOD = 1 << 3,
    TBK_REPORT_RISK_FREE = 1 << 4,
    TBK_REPORT_POINTS = 1 << 5,
    TBK_REPORT_ARMS = 1 << 6,
    TBK_REPORT_ORDER = 1 << 7,
    TBK_REPORT_MIN = 1 << 8,
    TBK_REPORT_MIN_RATE = 1 << 9,
    TBK_REPORT_BINS = 1 << 10,
    TBK_REPORT_TYPE = 1 << 11,
    TBK_REPORT_SYMBOL = 1 << 12,
    TBK_REPORT_LIMIT = 1 << 13,
};

struct tbk_report_subject {
    const char *heading;
    const char *path; /* in the response */
    enum tbk_unit unit;
};

/* What a picture or sentence of a report is made of. */
struct tbk_report_view {
    const ProtobufCMessage *request;
    const ProtobufCMessage *response;
    const char *dimension; /* of --by, NULL without */
    size_t width;          /* of the terminal; 80 when there is none */
    bool styled;
    bool utf8;
};

struct tbk_report_section {
    const char *title;   /* a line above, or over the labels when figures run down; NULL: none */
    const char *rows;    /* the repeated field, or NULL: subjects */
    const char *nothing; /* what is said when rows is empty; NULL: the section is left out */
    bool down;
    const struct tbk_report_subject *subjects;
    size_t subject_count;
    const struct tbk_figure *figures; /* a heading of NULL is the dimension of --by */
    size_t figure_count;
    /* Instead of all this: lines of their own, each ended by a newline. */
    void (*append)(const struct tbk_report_view *view, struct tbk_dynbuf *out);
};

struct tbk_report {
    const char *name;
    const char *title;
    const char *method;
    unsigned options;
    const char *filter; /* of a List method */
    const char *order_by;
    int64_t days;         /* the window without options; 0: no limit */
    int64_t limit;        /* rows without --limit */
    const char *min_name; /* of --min in the request; its value without the option */
    const char *min;
    const char *min_rate; /* without the option */
    const char *csv_rows; /* the repeated field that CSV shows, or NULL ... */
    const char *csv_by;   /* the same with --by */
    const char *csv_one;  /* ... the one message; "" is the whole response */
    /* The lines below the title: what the report covers. NULL: the title says it. */
    void (*basis)(const struct tbk_report_view *view, struct tbk_dynbuf *out);
    const struct tbk_report_section *sections;
    size_t section_count;
};

extern const struct tbk_report tbk_reports[];
extern const size_t tbk_report_count;

#endif
