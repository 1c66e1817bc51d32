/* Get: one record by one of its unique columns. */
#include <string.h>

#include "schema/validate.h"
#include "services/resource.h"

/* The column and value asked for. */
struct lookup {
    const struct tbk_column *column;
    struct tbk_value value;
};

/* "id or version" */
static void field_names(const ProtobufCMessageDescriptor *request, char *out, size_t size)
{
    out[0] = '\0';
    for (unsigned i = 0; i < request->n_fields; i++) {
        strncat(out, i > 0 ? " or " : "", size - strlen(out) - 1);
        strncat(out, request->fields[i].name, size - strlen(out) - 1);
    }
}

static void check_value(struct lookup *lookup, struct tbk_error *error)
{
    if (lookup->value.type == TBK_VALUE_TEXT) {
        /* The text belongs to the decoded request and may be normalised. */
        tbk_validate_text(lookup->column, (char *)(uintptr_t)lookup->value.text.data, lookup->column->name, error);
    } else if (lookup->value.integer <= 0) {
        tbk_error_violation(error, lookup->column->name, "must be greater than 0, is %lld",
                            (long long)lookup->value.integer);
    }
}

enum tbk_status tbk_resource_check_get(struct tbk_call *call, const struct tbk_method *method,
                                       ProtobufCMessage *request)
{
    struct lookup *lookup = tbk_arena_zalloc(call->arena, sizeof *lookup);
    if (lookup == NULL) {
        return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED, "Out of memory while reading the request.");
    }
    unsigned given = 0;
    for (unsigned i = 0; i < request->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &request->descriptor->fields[i];
        enum tbk_column_kind kind;
        if (!tbk_field_kind(field, &kind)) {
            continue;
        }
        const struct tbk_value value = tbk_field_get(field, kind, request);
        if (value.type != TBK_VALUE_NULL) {
            given++;
            lookup->column = tbk_table_column(method->table, field->name, strlen(field->name));
            lookup->value = value;
        }
    }
    if (given != 1) {
        char names[64];
        field_names(request->descriptor, names, sizeof names);
        tbk_error_violation(call->error, request->descriptor->fields[0].name,
                            given == 0 ? "%s is required" : "only one of %s may be given", names);
    } else {
        check_value(lookup, call->error);
    }
    call->prepared = lookup;
    return tbk_error_finish(call->error);
}

enum tbk_status tbk_resource_run_get(struct tbk_call *call, const struct tbk_method *method,
                                     ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    (void)request;
    const struct lookup *lookup = call->prepared;
    return call->context->ops->get(call->session, method->table, lookup->column, lookup->value, call->arena,
                                   ret_response, call->error);
}
