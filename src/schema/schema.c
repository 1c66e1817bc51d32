#include "schema/schema.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "schema/descriptor_set.h"
#include "tradebook/v1/model.pb-c.h"
#include "tradebook/v1/pattern.pb-c.h"
#include "tradebook/v1/risk.pb-c.h"
#include "tradebook/v1/signal.pb-c.h"
#include "tradebook/v1/theory.pb-c.h"
#include "tradebook/v1/trade.pb-c.h"

/* The field number of the table and column options in annotations.proto. */
enum { OPTION_NUMBER = 50601 };

enum { ARENA_FIRST_BYTES = 1 << 18, ARENA_BYTES_MAX = 1 << 26 };

static const ProtobufCMessageDescriptor *const table_messages[TBK_TABLE_COUNT] = {
    [TBK_SIGNALS] = &tradebook__v1__signal__descriptor,
    [TBK_SIGNAL_RESULTS] = &tradebook__v1__signal_result__descriptor,
    [TBK_THEORY_PERFORMANCE] = &tradebook__v1__theory_record__descriptor,
    [TBK_PATTERNS] = &tradebook__v1__pattern__descriptor,
    [TBK_RISK_BOOK_SNAPSHOTS] = &tradebook__v1__risk_snapshot__descriptor,
    [TBK_MODEL_DEPLOYMENTS] = &tradebook__v1__model_deployment__descriptor,
};

/* What the decoded options own. */
struct descriptors {
    struct tbk_arena *arena; /* of all these */
    Google__Protobuf__FileDescriptorSet *files;
    Tradebook__V1__Table *tables[TBK_TABLE_COUNT];
    Tradebook__V1__Column *columns[TBK_TABLE_COUNT][TBK_TABLE_COLUMNS_MAX];
};

static enum tbk_status broken(struct tbk_error *error, const char *what, const char *where)
{
    return tbk_error_set(error, TBK_INTERNAL,
                         "The embedded protocol description is broken: %s (%s). Rebuild tradebook.", what, where);
}

static enum tbk_status out_of_memory(struct tbk_error *error)
{
    return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while reading the schema.");
}

/* Options of a kind unknown to descriptor.proto stay in the unknown fields: this
 * decodes ours, NULL when it is absent or damaged. */
static void *decode_option(const ProtobufCMessage *options, const ProtobufCMessageDescriptor *type,
                           struct tbk_arena *arena)
{
    if (options == NULL) {
        return NULL;
    }
    for (unsigned i = 0; i < options->n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *field = &options->unknown_fields[i];
        if (field->tag != OPTION_NUMBER || field->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
            continue;
        }
        size_t prefix = 0; /* the bytes start with their own length, a varint */
        while (prefix < field->len && (field->data[prefix] & 0x80) != 0) {
            prefix++;
        }
        prefix++;
        if (prefix > field->len) {
            return NULL;
        }
        return protobuf_c_message_unpack(type, tbk_arena_allocator(arena), field->len - prefix,
                                         field->data + prefix);
    }
    return NULL;
}

static const Google__Protobuf__FileDescriptorProto *file_of(const Google__Protobuf__FileDescriptorSet *files,
                                                            const char *package, size_t *position)
{
    while (*position < files->n_file) {
        const Google__Protobuf__FileDescriptorProto *file = files->file[(*position)++];
        if (file->package != NULL && strcmp(file->package, package) == 0) {
            return file;
        }
    }
    return NULL;
}

static const Google__Protobuf__DescriptorProto *find_message(const Google__Protobuf__FileDescriptorSet *files,
                                                             const ProtobufCMessageDescriptor *message)
{
    size_t position = 0;
    const Google__Protobuf__FileDescriptorProto *file;
    while ((file = file_of(files, message->package_name, &position)) != NULL) {
        for (size_t i = 0; i < file->n_message_type; i++) {
            if (strcmp(file->message_type[i]->name, message->short_name) == 0) {
                return file->message_type[i];
            }
        }
    }
    return NULL;
}

/* n of "VARCHAR(n)", otherwise 0. */
static uint32_t chars_max(const char *sql_type)
{
    static const char prefix[] = "VARCHAR(";
    if (strncmp(sql_type, prefix, sizeof prefix - 1) != 0) {
        return 0;
    }
    return (uint32_t)strtoul(sql_type + sizeof prefix - 1, NULL, 10);
}

static bool read_text_default(struct tbk_column *column, const char *quoted)
{
    const size_t length = strlen(quoted) - 1; /* without the closing quote */
    if (column->kind == TBK_COLUMN_ENUM) {
        column->default_value.type = TBK_VALUE_INTEGER;
        column->default_value.integer = tbk_column_enum_number(column, quoted, length);
        return column->default_value.integer != 0;
    }
    column->default_value.type = TBK_VALUE_TEXT;
    column->default_value.text.data = quoted;
    column->default_value.text.length = length;
    return column->kind == TBK_COLUMN_TEXT;
}

/* A default is CURRENT_TIMESTAMP, 'text' or a number. Text is copied with its
 * length when it is used, so the closing quote does no harm. */
static bool read_default(struct tbk_column *column)
{
    const char *text = column->sql_default;
    if (text == NULL) {
        return true;
    }
    if (strcmp(text, "CURRENT_TIMESTAMP") == 0) {
        column->default_is_now = true;
        return column->kind == TBK_COLUMN_TIMESTAMP;
    }
    if (text[0] == '\'') {
        return read_text_default(column, text + 1);
    }
    switch (column->kind) {
    case TBK_COLUMN_INTEGER:
    case TBK_COLUMN_BOOLEAN:
        column->default_value = (struct tbk_value){.type = TBK_VALUE_INTEGER, .integer = strtoll(text, NULL, 10)};
        return true;
    case TBK_COLUMN_REAL:
        column->default_value = (struct tbk_value){.type = TBK_VALUE_REAL, .real = strtod(text, NULL)};
        return true;
    default:
        return false;
    }
}

static enum tbk_status read_column(const ProtobufCFieldDescriptor *field, const Tradebook__V1__Column *option,
                                   struct tbk_table *table, struct tbk_error *error)
{
    if (table->column_count == TBK_TABLE_COLUMNS_MAX) {
        return broken(error, "too many columns", table->name);
    }
    struct tbk_column *column = &table->columns[table->column_count];
    if (field == NULL || option->type == NULL || !tbk_field_kind(field, &column->kind)) {
        return broken(error, "a column has no type or a field type that cannot be stored", table->name);
    }
    column->name = field->name;
    column->name_length = strlen(field->name);
    column->field = field;
    column->position = table->column_count++;
    column->sql_type = option->type;
    column->sql_default = option->default_;
    column->not_null = option->not_null;
    column->index = option->index;
    column->access = option->access;
    column->rule = option->rule;
    column->chars_max = chars_max(option->type);
    if (!read_default(column)) {
        return broken(error, "a default cannot be read", column->name);
    }
    if (column->kind == TBK_COLUMN_ENUM) {
        tbk_column_read_enum_texts(column);
    }
    for (size_t i = 0; i < option->n_writable_values; i++) {
        const char *text = option->writable_values[i];
        const int number = tbk_column_enum_number(column, text, strlen(text));
        if (number <= 0 || number >= 32) {
            return broken(error, "unknown writable value", text);
        }
        column->writable_values |= 1U << number;
    }
    if (column->index == TRADEBOOK__V1__COLUMN_INDEX__COLUMN_INDEX_PRIMARY_KEY) {
        table->key = column;
    }
    return TBK_OK;
}

static enum tbk_status read_indexes(const Tradebook__V1__Table *option, struct tbk_table *table,
                                    struct tbk_error *error)
{
    if (option->n_indexes > TBK_TABLE_INDEXES_MAX) {
        return broken(error, "too many indexes", table->name);
    }
    for (size_t i = 0; i < option->n_indexes; i++) {
        const Tradebook__V1__Index *from = option->indexes[i];
        struct tbk_index *index = &table->indexes[table->index_count++];
        index->name = from->name;
        for (size_t c = 0; c < from->n_columns; c++) {
            const struct tbk_column *column = tbk_table_column(table, from->columns[c], strlen(from->columns[c]));
            if (column == NULL || index->column_count == TBK_INDEX_COLUMNS_MAX) {
                return broken(error, "an index names an unknown column", from->columns[c]);
            }
            index->columns[index->column_count++] = column;
        }
    }
    return TBK_OK;
}

static enum tbk_status read_table(struct descriptors *descriptors, enum tbk_table_id id, struct tbk_table *table,
                                  struct tbk_error *error)
{
    const ProtobufCMessageDescriptor *message = table_messages[id];
    const Google__Protobuf__DescriptorProto *source = find_message(descriptors->files, message);
    if (source == NULL || source->options == NULL) {
        return broken(error, "message without options", message->name);
    }
    Tradebook__V1__Table *option =
        decode_option(&source->options->base, &tradebook__v1__table__descriptor, descriptors->arena);
    descriptors->tables[id] = option;
    if (option == NULL || option->name == NULL) {
        return broken(error, "message without table", message->name);
    }
    table->name = option->name;
    table->resource = message->short_name;
    table->message = message;
    for (size_t i = 0; i < source->n_field; i++) {
        const Google__Protobuf__FieldDescriptorProto *field = source->field[i];
        if (field->options == NULL) {
            continue;
        }
        Tradebook__V1__Column *column =
            decode_option(&field->options->base, &tradebook__v1__column__descriptor, descriptors->arena);
        if (column == NULL) {
            continue;
        }
        descriptors->columns[id][table->column_count] = column;
        const enum tbk_status status = read_column(
            protobuf_c_message_descriptor_get_field_by_name(message, field->name), column, table, error);
        if (status != TBK_OK) {
            return status;
        }
    }
    table->updated_at = tbk_table_column(table, "updated_at", strlen("updated_at"));
    if (table->key == NULL) {
        return broken(error, "table without primary key", table->name);
    }
    return read_indexes(option, table, error);
}

/* References name tables, which are all known only at the end. */
static enum tbk_status resolve_references(struct tbk_schema *schema, struct tbk_error *error)
{
    const struct descriptors *descriptors = schema->descriptors;
    for (int id = 0; id < TBK_TABLE_COUNT; id++) {
        struct tbk_table *table = &schema->tables[id];
        for (unsigned i = 0; i < table->column_count; i++) {
            const char *name = descriptors->columns[id][i]->references;
            for (int t = 0; name != NULL && t < TBK_TABLE_COUNT; t++) {
                if (strcmp(schema->tables[t].name, name) == 0) {
                    table->columns[i].references = &schema->tables[t];
                }
            }
            if (name != NULL && table->columns[i].references == NULL) {
                return broken(error, "a column refers to an unknown table", name);
            }
        }
    }
    return TBK_OK;
}

enum tbk_status tbk_schema_create(struct tbk_schema **ret_schema, struct tbk_error *error)
{
    struct tbk_schema *schema = calloc(1, sizeof *schema);
    struct descriptors *descriptors = calloc(1, sizeof *descriptors);
    struct tbk_arena *arena = tbk_arena_create(ARENA_FIRST_BYTES, ARENA_BYTES_MAX);
    if (schema == NULL || descriptors == NULL || arena == NULL) {
        free(schema);
        free(descriptors);
        tbk_arena_destroy(arena);
        return out_of_memory(error);
    }
    descriptors->arena = arena;
    schema->descriptors = descriptors;
    schema->descriptor_set = tbk_descriptor_set_begin;
    schema->descriptor_set_bytes = (size_t)(tbk_descriptor_set_end - tbk_descriptor_set_begin);
    descriptors->files = google__protobuf__file_descriptor_set__unpack(
        tbk_arena_allocator(arena), schema->descriptor_set_bytes, schema->descriptor_set);
    enum tbk_status status = TBK_OK;
    if (descriptors->files == NULL) {
        status = broken(error, "it cannot be decoded", "FileDescriptorSet");
    }
    for (int id = 0; status == TBK_OK && id < TBK_TABLE_COUNT; id++) {
        status = read_table(descriptors, (enum tbk_table_id)id, &schema->tables[id], error);
    }
    if (status == TBK_OK) {
        status = resolve_references(schema, error);
    }
    if (tbk_arena_starved(arena)) { /* which looks like an absent option */
        status = out_of_memory(error);
    }
    if (status != TBK_OK) {
        tbk_schema_destroy(schema);
        return status;
    }
    *ret_schema = schema;
    return TBK_OK;
}

void tbk_schema_destroy(struct tbk_schema *schema)
{
    if (schema == NULL) {
        return;
    }
    struct descriptors *descriptors = schema->descriptors;
    tbk_arena_destroy(descriptors->arena);
    free(descriptors);
    free(schema);
}

const struct tbk_column *tbk_table_column(const struct tbk_table *table, const char *name, size_t name_length)
{
    for (unsigned i = 0; i < table->column_count; i++) {
        const struct tbk_column *column = &table->columns[i];
        if (column->name_length == name_length && memcmp(column->name, name, name_length) == 0) {
            return column;
        }
    }
    return NULL;
}

uint32_t tbk_table_column_bits(const struct tbk_table *table, const char *const *names)
{
    uint32_t bits = 0;
    for (; *names != NULL; names++) {
        const struct tbk_column *column = tbk_table_column(table, *names, strlen(*names));
        assert(column != NULL);
        bits |= UINT32_C(1) << column->position;
    }
    return bits;
}

static bool method_is_read(const Google__Protobuf__ServiceDescriptorProto *service, const char *method)
{
    for (size_t i = 0; i < service->n_method; i++) {
        const Google__Protobuf__MethodDescriptorProto *candidate = service->method[i];
        if (strcmp(candidate->name, method) == 0) {
            return candidate->options != NULL &&
                   candidate->options->idempotency_level ==
                       GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__NO_SIDE_EFFECTS;
        }
    }
    return false;
}

bool tbk_schema_method_is_read(const struct tbk_schema *schema, const ProtobufCServiceDescriptor *service,
                               const char *method)
{
    const struct descriptors *descriptors = schema->descriptors;
    size_t position = 0;
    const Google__Protobuf__FileDescriptorProto *file;
    while ((file = file_of(descriptors->files, service->package, &position)) != NULL) {
        for (size_t i = 0; i < file->n_service; i++) {
            if (strcmp(file->service[i]->name, service->short_name) == 0) {
                return method_is_read(file->service[i], method);
            }
        }
    }
    return false;
}
