/*
 * The methods and message types this program knows, read from the compiled
 * protocol files inside it. Immutable after tbk_catalog_create.
 */
#ifndef TBK_CLI_CATALOG_H
#define TBK_CLI_CATALOG_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

#include "base/error.h"

struct tbk_rpc {
    char *name;             /* "/tradebook.v1.SignalService/GetSignal" */
    const char *short_name; /* "SignalService/GetSignal", inside name */
    const ProtobufCMethodDescriptor *descriptor;
};

struct tbk_catalog;

enum tbk_status tbk_catalog_create(struct tbk_catalog **ret_catalog, struct tbk_error *error) TBK_MUST_CHECK;
void tbk_catalog_destroy(struct tbk_catalog *catalog);

/* All methods, sorted by name. */
const struct tbk_rpc *tbk_catalog_rpcs(const struct tbk_catalog *catalog, size_t *ret_count);

/* Finds a method by its name, with or without the first slash and the package;
 * NULL when there is none. */
const struct tbk_rpc *tbk_catalog_find(const struct tbk_catalog *catalog, const char *name);

/* Finds a message type by its full name; a tbk_json_find_type. */
const ProtobufCMessageDescriptor *tbk_catalog_find_type(const void *catalog, const char *full_name);

#endif
