/*
 * Why a call failed: a status, a sentence, and for INVALID_ARGUMENT every
 * violation found. All of its text is UTF-8. Fixed size, no allocation, so that it works when memory is
 * exhausted. Owned by the caller, used by one thread at a time.
 */
#ifndef TBK_BASE_ERROR_H
#define TBK_BASE_ERROR_H

#include <protobuf-c/protobuf-c.h>
#include <stdarg.h>
#include <stddef.h>

#include "base/status.h"

enum {
    TBK_ERROR_MESSAGE_BYTES_MAX = 512,
    TBK_VIOLATION_FIELD_BYTES_MAX = 96,
    TBK_VIOLATION_TEXT_BYTES_MAX = 160,
    TBK_VIOLATIONS_MAX = 32,
};

struct tbk_violation {
    char field[TBK_VIOLATION_FIELD_BYTES_MAX];
    char description[TBK_VIOLATION_TEXT_BYTES_MAX];
};

struct tbk_error {
    enum tbk_status status;
    char message[TBK_ERROR_MESSAGE_BYTES_MAX];
    size_t violation_count; /* found; may exceed what is kept */
    struct tbk_violation violations[TBK_VIOLATIONS_MAX];
    const ProtobufCMessage *detail; /* what the caller is told besides, or NULL; not owned */
};

/* Makes error empty (status OK). Costs four stores, not a memset. */
void tbk_error_init(struct tbk_error *error);

/* Sets status and sentence, cuts it to fit, keeps the violations, and returns
 * status, so that `return tbk_error_set(...)` reads well. status is not OK. */
enum tbk_status tbk_error_set(struct tbk_error *error, enum tbk_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds one violation and makes the status INVALID_ARGUMENT. Violations beyond
 * TBK_VIOLATIONS_MAX are counted, not kept. */
void tbk_error_violation(struct tbk_error *error, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Returns OK when nothing was set. Otherwise makes sure that the error has a
 * sentence (the first violation, and how many more) and returns its status. */
enum tbk_status tbk_error_finish(struct tbk_error *error) TBK_MUST_CHECK;

/* Number of violations kept. */
size_t tbk_error_violations_kept(const struct tbk_error *error);

/* Copies status, sentence and the kept violations; cheaper than assignment. The
 * detail is left out: it may not live as long. */
void tbk_error_copy(struct tbk_error *to, const struct tbk_error *from);

#endif
