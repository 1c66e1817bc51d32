#include "cli/catalog.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/dynbuf.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "google/protobuf/duration.pb-c.h"
#include "schema/descriptor_set.h"
#include "tradebook/client.h"
#include "tradebook/v1/rpc.pb-c.h"

enum { RPCS_MAX = 256, TYPES_MAX = 512, RPC_NAME_BYTES_MAX = 256 };

struct tbk_catalog {
    struct tbk_rpc rpcs[RPCS_MAX];
    size_t rpc_count;
    const ProtobufCMessageDescriptor *types[TYPES_MAX];
    size_t type_count;
};

/* Adds a type and the types of its fields. */
static void add_type(struct tbk_catalog *catalog, const ProtobufCMessageDescriptor *type)
{
    for (size_t i = 0; i < catalog->type_count; i++) {
        if (catalog->types[i] == type)
            return;
    }
    if (catalog->type_count == TYPES_MAX)
        return;
    catalog->types[catalog->type_count++] = type;
    for (unsigned i = 0; i < type->n_fields; i++) {
        if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
            add_type(catalog, type->fields[i].descriptor);
    }
}

static const char *after_last(const char *text, char separator)
{
    const char *found = strrchr(text, separator);
    return found != NULL ? found + 1 : text;
}

/* Adds a method that the client library can call. False when memory is
 * exhausted. */
static bool add_rpc(struct tbk_catalog *catalog, const char *package, const char *service, const char *method)
{
    struct tbk_dynbuf name;
    tbk_dynbuf_init(&name, RPC_NAME_BYTES_MAX);
    tbk_dynbuf_printf(&name, "/%s.%s/%s", package, service, method);
    if (tbk_dynbuf_failed(&name) || catalog->rpc_count == RPCS_MAX) {
        tbk_dynbuf_fini(&name);
        return false;
    }
    struct tbk_rpc rpc = {.name = name.data, .descriptor = tradebook_method(name.data)};
    if (rpc.descriptor == NULL) {
        tbk_dynbuf_fini(&name);
        return true;
    }
    rpc.short_name = after_last(rpc.name, '/') - strlen(service) - 1;
    catalog->rpcs[catalog->rpc_count++] = rpc;
    add_type(catalog, rpc.descriptor->input);
    add_type(catalog, rpc.descriptor->output);
    return true;
}

static bool add_file(struct tbk_catalog *catalog, const Google__Protobuf__FileDescriptorProto *file)
{
    for (size_t i = 0; i < file->n_service; i++) {
        const Google__Protobuf__ServiceDescriptorProto *service = file->service[i];
        for (size_t j = 0; j < service->n_method; j++) {
            if (!add_rpc(catalog, file->package, service->name, service->method[j]->name))
                return false;
        }
    }
    return true;
}

static int compare_rpcs(const void *a, const void *b)
{
    return strcmp(((const struct tbk_rpc *)a)->name, ((const struct tbk_rpc *)b)->name);
}

enum tbk_status tbk_catalog_create(struct tbk_catalog **ret_catalog, struct tbk_error *error)
{
    struct tbk_catalog *catalog = calloc(1, sizeof *catalog);
    Google__Protobuf__FileDescriptorSet *files = google__protobuf__file_descriptor_set__unpack(
        NULL, (size_t)(tbk_descriptor_set_end - tbk_descriptor_set_begin), tbk_descriptor_set_begin);
    bool complete = catalog != NULL && files != NULL;
    for (size_t i = 0; complete && i < files->n_file; i++)
        complete = add_file(catalog, files->file[i]);
    google__protobuf__file_descriptor_set__free_unpacked(files, NULL);
    if (!complete) {
        tbk_catalog_destroy(catalog);
        return tbk_error_set(error, TBK_INTERNAL, "The embedded protocol description cannot be read.");
    }
    qsort(catalog->rpcs, catalog->rpc_count, sizeof catalog->rpcs[0], compare_rpcs);
    /* These appear inside google.protobuf.Any only. */
    add_type(catalog, &tradebook__v1__bad_request__descriptor);
    add_type(catalog, &google__protobuf__duration__descriptor);
    *ret_catalog = catalog;
    return TBK_OK;
}

void tbk_catalog_destroy(struct tbk_catalog *catalog)
{
    if (catalog == NULL)
        return;
    for (size_t i = 0; i < catalog->rpc_count; i++)
        free(catalog->rpcs[i].name);
    free(catalog);
}

const struct tbk_rpc *tbk_catalog_rpcs(const struct tbk_catalog *catalog, size_t *ret_count)
{
    *ret_count = catalog->rpc_count;
    return catalog->rpcs;
}

const struct tbk_rpc *tbk_catalog_find(const struct tbk_catalog *catalog, const char *name)
{
    if (name[0] == '/')
        name++;
    for (size_t i = 0; i < catalog->rpc_count; i++) {
        const struct tbk_rpc *rpc = &catalog->rpcs[i];
        if (strcmp(rpc->name + 1, name) == 0 || strcmp(rpc->short_name, name) == 0)
            return rpc;
    }
    return NULL;
}

const ProtobufCMessageDescriptor *tbk_catalog_find_type(const void *argument, const char *full_name)
{
    const struct tbk_catalog *catalog = argument;
    /* Violations travel under their well-known name, see proto/tradebook/v1/rpc.proto. */
    if (strcmp(full_name, "google.rpc.BadRequest") == 0)
        return &tradebook__v1__bad_request__descriptor;
    for (size_t i = 0; i < catalog->type_count; i++) {
        if (strcmp(catalog->types[i]->name, full_name) == 0)
            return catalog->types[i];
    }
    return NULL;
}
