/*
 * What the tests of the JSON layer share.
 */
#ifndef JSON_SUPPORT_H
#define JSON_SUPPORT_H

#include "base/arena.h"
#include "base/dynbuf.h"
#include "base/error.h"
#include "cmocka_all.h"
#include "json_types.pb-c.h"
#include "json/json_read.h"
#include "json/json_write.h"

enum { JSON_TEST_BYTES_MAX = 16 * 1024 * 1024 };

/* Knows tbktest.Inner, tbktest.Types and google.protobuf.Timestamp. */
const ProtobufCMessageDescriptor *json_test_find_type(const void *argument, const char *full_name);

/* The compact JSON text of a message; free with free(). */
char *json_test_write(const void *message);

/* Reads text as a tbktest.Types into the arena. */
enum tbk_status json_test_read(const char *text, struct tbk_arena *arena, Tbktest__Types **ret,
                               struct tbk_error *error);

#endif
