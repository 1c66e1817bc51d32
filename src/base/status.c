#include "base/status.h"

#include <stddef.h>

static const char *const names[] = {
    [TBK_OK] = "OK",
    [TBK_CANCELLED] = "CANCELLED",
    [TBK_UNKNOWN] = "UNKNOWN",
    [TBK_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
    [TBK_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
    [TBK_NOT_FOUND] = "NOT_FOUND",
    [TBK_ALREADY_EXISTS] = "ALREADY_EXISTS",
    [TBK_PERMISSION_DENIED] = "PERMISSION_DENIED",
    [TBK_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
    [TBK_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
    [TBK_ABORTED] = "ABORTED",
    [TBK_OUT_OF_RANGE] = "OUT_OF_RANGE",
    [TBK_UNIMPLEMENTED] = "UNIMPLEMENTED",
    [TBK_INTERNAL] = "INTERNAL",
    [TBK_UNAVAILABLE] = "UNAVAILABLE",
    [TBK_DATA_LOSS] = "DATA_LOSS",
    [TBK_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

const char *tbk_status_name(enum tbk_status status)
{
    size_t number = (size_t)status;
    return number < sizeof names / sizeof names[0] ? names[number] : names[TBK_UNKNOWN];
}
