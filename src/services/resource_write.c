/* Create, batch create and update. */
#include <stdio.h>
#include <string.h>

#include "google/protobuf/field_mask.pb-c.h"
#include "schema/validate.h"
#include "services/resource.h"
#include "services/rules.h"
#include "services/status_details.h"
#include "tradebook/v1/batch.pb-c.h"

enum { RECORD = 1, UPDATE_MASK = 2, RESULTS = 1 };

static enum tbk_status out_of_memory(struct tbk_call *call)
{
    return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED,
                         "The request needs more memory than one request may have.");
}

static void *field_of(ProtobufCMessage *message, unsigned number)
{
    return (char *)message + protobuf_c_message_descriptor_get_field(message->descriptor, number)->offset;
}

static ProtobufCMessage *record_of(ProtobufCMessage *request)
{
    return *(ProtobufCMessage **)field_of(request, RECORD);
}

static ProtobufCMessage **records_of(ProtobufCMessage *request, size_t *ret_count)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(request->descriptor, RECORD);
    *ret_count = *(size_t *)(void *)((char *)request + field->quantifier_offset);
    return *(ProtobufCMessage ***)field_of(request, RECORD);
}

/* "signal." of CreateSignalRequest.signal; NULL and a violation when the record
 * is missing. */
static char *record_prefix(struct tbk_call *call, ProtobufCMessage *request)
{
    const char *name = protobuf_c_message_descriptor_get_field(request->descriptor, RECORD)->name;
    if (record_of(request) == NULL) {
        tbk_error_violation(call->error, name, "is required");
        return NULL;
    }
    return tbk_arena_printf(call->arena, "%s.", name);
}

static void check_new_record(struct tbk_call *call, const struct tbk_table *table, ProtobufCMessage *record,
                             const char *prefix, struct tbk_error *error)
{
    tbk_validate_create(table, record, prefix, error);
    tbk_rules_check(call->context->schema, table, record, TBK_RULES_ALL_COLUMNS, &(struct tbk_owner){0}, prefix,
                    error);
}

enum tbk_status tbk_resource_check_create(struct tbk_call *call, const struct tbk_method *method,
                                          ProtobufCMessage *request)
{
    char *prefix = record_prefix(call, request);
    call->prepared = prefix;
    if (prefix != NULL) {
        check_new_record(call, method->table, record_of(request), prefix, call->error);
    }
    return tbk_error_finish(call->error);
}

/* NOT_FOUND when a record that this one refers to is missing. */
static enum tbk_status check_references(struct tbk_call *call, const struct tbk_table *table,
                                        const ProtobufCMessage *record)
{
    for (unsigned i = 0; i < table->column_count; i++) {
        const struct tbk_column *column = &table->columns[i];
        if (column->references == NULL) {
            continue;
        }
        const int64_t key = tbk_column_get(column, record).integer;
        bool exists = false;
        const enum tbk_status status =
            call->context->ops->exists(call->session, column->references, key, &exists, call->error);
        if (status != TBK_OK) {
            return status;
        }
        if (!exists) {
            return tbk_error_set(call->error, TBK_NOT_FOUND, "There is no %s with id %lld (%s).",
                                 column->references->resource, (long long)key, column->name);
        }
    }
    return TBK_OK;
}

/* Completes and inserts one checked record and sets its id in it. */
static enum tbk_status insert_record(struct tbk_call *call, const struct tbk_table *table,
                                     ProtobufCMessage *record, const char *prefix, int64_t *ret_id)
{
    int side = 0;
    enum tbk_status status = check_references(call, table, record);
    if (status == TBK_OK) {
        status = tbk_rules_fit_new(call, table, record, prefix, &side);
    }
    if (status != TBK_OK) {
        return status;
    }
    if (!tbk_message_apply_defaults(table, record, call->now_us, call->arena)) {
        return out_of_memory(call);
    }
    tbk_rules_derive(call->context->schema, table, record, TBK_RULES_ALL_COLUMNS, side);
    status = call->context->ops->insert(call->session, table, record, ret_id, call->error);
    if (status == TBK_OK && table->key->kind == TBK_COLUMN_INTEGER) {
        const struct tbk_value id = {.type = TBK_VALUE_INTEGER, .integer = *ret_id};
        status = tbk_column_set(table->key, record, id, call->arena) ? TBK_OK : out_of_memory(call);
    }
    return status;
}

enum tbk_status tbk_resource_run_create(struct tbk_call *call, const struct tbk_method *method,
                                        ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    int64_t id;
    const enum tbk_status status = insert_record(call, method->table, record_of(request), call->prepared, &id);
    if (status == TBK_OK) {
        *ret_response = record_of(request);
    }
    return status;
}

static bool refuse_item(struct tbk_call *call, Tradebook__V1__BatchItemResult *result,
                        const struct tbk_error *error)
{
    result->status = tbk_status_message(error, call->arena);
    return result->status != NULL;
}

/* Checks every record; those refused get their status now and are skipped when
 * the batch runs. */
enum tbk_status tbk_resource_check_batch_create(struct tbk_call *call, const struct tbk_method *method,
                                                ProtobufCMessage *request)
{
    size_t count;
    ProtobufCMessage **records = records_of(request, &count);
    if (count == 0 || count > TBK_BATCH_ITEMS_MAX) {
        tbk_error_violation(call->error,
                            protobuf_c_message_descriptor_get_field(request->descriptor, RECORD)->name,
                            "must have 1 to %d items, has %zu", TBK_BATCH_ITEMS_MAX, count);
        return tbk_error_finish(call->error);
    }
    Tradebook__V1__BatchItemResult *results = tbk_arena_alloc(call->arena, count * sizeof *results);
    struct tbk_error *error = tbk_arena_alloc(call->arena, sizeof *error);
    if (results == NULL || error == NULL) {
        return out_of_memory(call);
    }
    for (size_t i = 0; i < count; i++) {
        tradebook__v1__batch_item_result__init(&results[i]);
        tbk_error_init(error);
        check_new_record(call, method->table, records[i], "", error);
        if (tbk_error_finish(error) != TBK_OK && !refuse_item(call, &results[i], error)) {
            return out_of_memory(call);
        }
    }
    call->prepared = results;
    return TBK_OK;
}

/* Whether a failed insert is the fault of its record; anything else ends the
 * whole batch. */
static bool is_record_fault(enum tbk_status status)
{
    return status == TBK_ALREADY_EXISTS || status == TBK_NOT_FOUND || status == TBK_INVALID_ARGUMENT ||
           status == TBK_FAILED_PRECONDITION;
}

static enum tbk_status insert_item(struct tbk_call *call, const struct tbk_table *table, ProtobufCMessage *record,
                                   Tradebook__V1__BatchItemResult *result)
{
    int64_t id = 0;
    const enum tbk_status status = insert_record(call, table, record, "", &id);
    if (status == TBK_OK) {
        result->has_id = table->key->kind == TBK_COLUMN_INTEGER;
        result->id = id;
        return TBK_OK;
    }
    if (!is_record_fault(status)) {
        return status;
    }
    const bool refused = refuse_item(call, result, call->error);
    tbk_error_init(call->error);
    return refused ? TBK_OK : out_of_memory(call);
}

enum tbk_status tbk_resource_run_batch_create(struct tbk_call *call, const struct tbk_method *method,
                                              ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    size_t count;
    ProtobufCMessage **records = records_of(request, &count);
    Tradebook__V1__BatchItemResult *results = call->prepared;
    Tradebook__V1__BatchItemResult **list = tbk_arena_alloc(call->arena, count * sizeof *list);
    ProtobufCMessage *response = tbk_message_create(method->response, call->arena);
    if (list == NULL || response == NULL) {
        return out_of_memory(call);
    }
    for (size_t i = 0; i < count; i++) {
        list[i] = &results[i];
        if (results[i].status != NULL) {
            continue;
        }
        const enum tbk_status status = insert_item(call, method->table, records[i], &results[i]);
        if (status != TBK_OK) {
            return status;
        }
    }
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(method->response, RESULTS);
    *(size_t *)(void *)((char *)response + field->quantifier_offset) = count;
    *(Tradebook__V1__BatchItemResult ***)field_of(response, RESULTS) = list;
    *ret_response = response;
    return TBK_OK;
}

/* Adds the columns that one path of an update mask names. */
static uint32_t mask_columns(struct tbk_call *call, const struct tbk_table *table, const char *path)
{
    uint32_t columns = 0;
    for (unsigned i = 0; i < table->column_count; i++) {
        const struct tbk_column *column = &table->columns[i];
        const bool named = strcmp(path, column->name) == 0;
        if (named && !tbk_column_updatable(column)) {
            tbk_error_violation(call->error, "update_mask", "'%s' cannot be changed", path);
            return 0;
        }
        if (named || (strcmp(path, "*") == 0 && tbk_column_updatable(column))) {
            columns |= 1U << i;
        }
    }
    if (columns == 0) {
        tbk_error_violation(call->error, "update_mask", "'%.60s' is not a field of %s", path, table->resource);
    }
    return columns;
}

/* Whether this value of an enumeration comes from the server, as a result 'win' does. */
static bool is_set_by_server(const struct tbk_column *column, const ProtobufCMessage *record)
{
    if (column->kind != TBK_COLUMN_ENUM || column->writable_values == 0) {
        return false;
    }
    const int64_t number = tbk_column_get(column, record).integer;
    return tbk_column_enum_text(column, (int)number) != NULL && (column->writable_values & 1U << number) == 0;
}

/* Without a mask: the fields that are present and may be changed. */
static uint32_t present_columns(const struct tbk_table *table, const ProtobufCMessage *record)
{
    uint32_t columns = 0;
    for (unsigned i = 0; i < table->column_count; i++) {
        const struct tbk_column *column = &table->columns[i];
        if (tbk_column_updatable(column) && tbk_column_present(column, record) &&
            !is_set_by_server(column, record)) {
            columns |= 1U << i;
        }
    }
    return columns;
}

static void check_key(struct tbk_call *call, const struct tbk_table *table, ProtobufCMessage *record,
                      const char *prefix)
{
    const struct tbk_value key = tbk_column_get(table->key, record);
    if (key.type == TBK_VALUE_NULL || (key.type == TBK_VALUE_INTEGER && key.integer <= 0)) {
        char path[TBK_VIOLATION_FIELD_BYTES_MAX];
        snprintf(path, sizeof path, "%s%s", prefix, table->key->name);
        tbk_error_violation(call->error, path,
                            key.type == TBK_VALUE_NULL ? "is required" : "must be greater than 0");
    }
}

enum tbk_status tbk_resource_check_update(struct tbk_call *call, const struct tbk_method *method,
                                          ProtobufCMessage *request)
{
    uint32_t *columns = tbk_arena_zalloc(call->arena, sizeof *columns);
    if (columns == NULL) {
        return out_of_memory(call);
    }
    call->prepared = columns;
    const char *prefix = record_prefix(call, request);
    if (prefix == NULL) {
        return tbk_error_finish(call->error);
    }
    ProtobufCMessage *record = record_of(request);
    check_key(call, method->table, record, prefix);
    const Google__Protobuf__FieldMask *mask = *(Google__Protobuf__FieldMask **)field_of(request, UPDATE_MASK);
    if (mask != NULL && mask->n_paths > 0) {
        for (size_t i = 0; i < mask->n_paths; i++) {
            *columns |= mask_columns(call, method->table, mask->paths[i]);
        }
    } else {
        *columns = present_columns(method->table, record);
        if (*columns == 0) {
            tbk_error_violation(call->error, "update_mask",
                                "names nothing, and no field that can be changed is given");
        }
    }
    tbk_validate_update(method->table, *columns, record, prefix, call->error);
    return tbk_error_finish(call->error);
}

/* Those of these columns whose values differ. */
static uint32_t changed_columns(const struct tbk_table *table, uint32_t columns, const ProtobufCMessage *stored,
                                const ProtobufCMessage *changes)
{
    uint32_t changed = 0;
    for (unsigned i = 0; i < table->column_count; i++) {
        const struct tbk_column *column = &table->columns[i];
        if ((columns & 1U << i) != 0 &&
            !tbk_value_same(tbk_column_get(column, stored), tbk_column_get(column, changes))) {
            changed |= 1U << i;
        }
    }
    return changed;
}

/* Lays the new values over the stored record, if they go with the rest of it and with
 * the trade that it belongs to. */
static enum tbk_status lay_over(struct tbk_call *call, const struct tbk_table *table, ProtobufCMessage *record,
                                const ProtobufCMessage *changes, uint32_t columns, const char *prefix,
                                int *ret_side)
{
    const uint32_t changed = changed_columns(table, columns, record, changes);
    struct tbk_owner owner;
    enum tbk_status status = tbk_rules_find_owner(call, table, record, changed, &owner);
    if (status == TBK_OK) {
        status = tbk_rules_check_change(call, table, changes, changed, &owner);
    }
    if (status != TBK_OK) {
        return status;
    }
    for (unsigned i = 0; i < table->column_count; i++) {
        if ((columns & 1U << i) != 0) {
            tbk_column_share(&table->columns[i], record, changes);
        }
    }
    tbk_rules_check(call->context->schema, table, record, changed, &owner, prefix, call->error);
    *ret_side = owner.side;
    return tbk_error_finish(call->error);
}

/* Reads the record, lays the new values over it, checks them with what they belong to,
 * and writes what changed. */
enum tbk_status tbk_resource_run_update(struct tbk_call *call, const struct tbk_method *method,
                                        ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    const struct tbk_table *table = method->table;
    const struct tbk_storage_ops *ops = call->context->ops;
    uint32_t columns = *(const uint32_t *)call->prepared;
    const ProtobufCMessage *changes = record_of(request);
    ProtobufCMessage *record = NULL;
    enum tbk_status status = ops->get(call->session, table, table->key, tbk_column_get(table->key, changes),
                                      call->arena, &record, call->error);
    if (status != TBK_OK) {
        return status;
    }
    int side = 0;
    status = lay_over(call, table, record, changes, columns, record_prefix(call, request), &side);
    if (status != TBK_OK) {
        return status;
    }
    columns |= tbk_rules_derive(call->context->schema, table, record, columns, side);
    if (table->updated_at != NULL) {
        const struct tbk_value now = {.type = TBK_VALUE_TIMESTAMP, .timestamp_us = call->now_us};
        if (!tbk_column_set(table->updated_at, record, now, call->arena)) {
            return out_of_memory(call);
        }
        columns |= 1U << table->updated_at->position;
    }
    *ret_response = record;
    return ops->update(call->session, table, columns, record, call->error);
}
