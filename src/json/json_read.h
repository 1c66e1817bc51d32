/*
 * JSON to messages, by the proto3 JSON mapping. Fields are named in
 * lowerCamelCase or as in the .proto file; null leaves a field absent; integers
 * and doubles are numbers or strings, and must fit exactly or, for doubles, be
 * in range; enumeration values are names or numbers; bytes are base64, standard or
 * URL-safe. Unknown and repeated names are errors.
 *
 * Two limits of the parser: a bare integer must fit 64 bits with sign (write
 * larger ones as strings, or doubles with a fraction or an exponent), and an
 * integer field takes 1.0 or 1e3 below 2^53 only.
 *
 * Any thread; an arena belongs to one thread at a time.
 */
#ifndef TBK_JSON_JSON_READ_H
#define TBK_JSON_JSON_READ_H

#include "base/arena.h"
#include "base/error.h"
#include "json/types.h"

struct tbk_json_source {
    const char *text;
    size_t length;
    tbk_json_find_type *find_type; /* of messages inside Any; NULL: no type is found */
    const void *find_type_argument;
};

/* Reads a message into the arena. INVALID_ARGUMENT: the sentence begins with the
 * line and column where the text is not JSON, or with the path of the value that
 * does not fit, such as "signal.confidence". RESOURCE_EXHAUSTED: the arena is
 * too small. */
enum tbk_status tbk_json_read(const struct tbk_json_source *source, const ProtobufCMessageDescriptor *descriptor,
                              struct tbk_arena *arena, ProtobufCMessage **ret_message,
                              struct tbk_error *error) TBK_MUST_CHECK;

#endif
