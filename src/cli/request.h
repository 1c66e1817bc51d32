/*
 * A request made of command line options: the JSON of the message, member by
 * member, read by the JSON layer in the end. Values that cannot be meant are
 * refused here; the server judges the rest.
 */
#ifndef TBK_CLI_REQUEST_H
#define TBK_CLI_REQUEST_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/dynbuf.h"
#include "base/error.h"

struct tbk_request {
    struct tbk_dynbuf json;
};

void tbk_request_init(struct tbk_request *request);
void tbk_request_fini(struct tbk_request *request);

/* Members, by the names of the .proto files. */
void tbk_request_bool(struct tbk_request *request, const char *name, bool value);
void tbk_request_text(struct tbk_request *request, const char *name, const char *text);
void tbk_request_texts(struct tbk_request *request, const char *name, const char *const *texts, size_t count);
void tbk_request_time(struct tbk_request *request, const char *name, int64_t us);
/* False when text is no finite number; nothing is added. */
bool tbk_request_number(struct tbk_request *request, const char *name, const char *text);
/* False when text is no whole number; nothing is added. */
bool tbk_request_whole(struct tbk_request *request, const char *name, const char *text);
/* text is a value of the enumeration in lower case, such as "exit_reason" or
 * "exit-reason". False when there is none, or it is "unspecified". */
bool tbk_request_enum(struct tbk_request *request, const char *name, const ProtobufCEnumDescriptor *descriptor,
                      const char *text);

/* Adds inner, which is finished by this, as a message. */
void tbk_request_message(struct tbk_request *request, const char *name, struct tbk_request *inner);

/* How an option becomes a member. */
enum tbk_member_kind {
    TBK_MEMBER_NONE, /* not by itself */
    TBK_MEMBER_TEXT,
    TBK_MEMBER_NUMBER,
    TBK_MEMBER_WHOLE,
    TBK_MEMBER_TIME, /* in UTC, as tbk_timestamp_parse reads it */
    TBK_MEMBER_ENUM,
    TBK_MEMBER_ENUM_TEXT, /* a value of an enumeration, as its text on disk */
};

struct tbk_member {
    const char *option; /* as it is typed, for messages */
    enum tbk_member_kind kind;
    const char *name;
    const ProtobufCEnumDescriptor *values; /* of ENUM and ENUM_TEXT */
};

/* INVALID_ARGUMENT: text is no such value; the sentence names the option. */
enum tbk_status tbk_request_add(struct tbk_request *request, const struct tbk_member *member, const char *text,
                                struct tbk_error *error) TBK_MUST_CHECK;

/* Makes the message, in the arena. Once, at the end. */
enum tbk_status tbk_request_read(struct tbk_request *request, const ProtobufCMessageDescriptor *descriptor,
                                 struct tbk_arena *arena, ProtobufCMessage **ret_message,
                                 struct tbk_error *error) TBK_MUST_CHECK;

#endif
