/*
 * The output formats of tradebook list. A format prints begin, any number of
 * pages of rows, and end, to the standard output.
 */
#ifndef TBK_CLI_LIST_OUTPUT_H
#define TBK_CLI_LIST_OUTPUT_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/dynbuf.h"
#include "base/error.h"
#include "cli/text_table.h"
#include "schema/schema.h"

struct tbk_list_output {
    const struct tbk_list_format *format;
    const struct tbk_column *columns[TBK_TABLE_COLUMNS_MAX];
    size_t column_count;
    struct tbk_dynbuf text;
    struct tbk_text_table *table; /* of the table format */
    struct tbk_text_column titles[TBK_TABLE_COLUMNS_MAX];
    const ProtobufCFieldDescriptor *fields[TBK_TABLE_COLUMNS_MAX]; /* of the JSON format */
    bool has_rows;
};

struct tbk_list_format {
    const char *name;
    bool all_columns; /* when the user names none */
    enum tbk_status (*begin)(struct tbk_list_output *output, struct tbk_error *error);
    enum tbk_status (*rows)(struct tbk_list_output *output, ProtobufCMessage *const *rows, size_t count,
                            struct tbk_error *error);
    enum tbk_status (*end)(struct tbk_list_output *output, struct tbk_error *error);
};

/* NULL when there is none of that name. */
const struct tbk_list_format *tbk_list_format_find(const char *name);

/* Before begin, columns and column_count are set by the caller. */
void tbk_list_output_init(struct tbk_list_output *output, const struct tbk_list_format *format);
void tbk_list_output_fini(struct tbk_list_output *output);

#endif
