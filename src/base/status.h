/*
 * Status codes, with the numbers and meanings of gRPC. Every function that can
 * fail returns one; TBK_OK is 0.
 */
#ifndef TBK_BASE_STATUS_H
#define TBK_BASE_STATUS_H

#define TBK_MUST_CHECK __attribute__((warn_unused_result))

enum tbk_status {
    TBK_OK = 0,
    TBK_CANCELLED = 1,
    TBK_UNKNOWN = 2,
    TBK_INVALID_ARGUMENT = 3,
    TBK_DEADLINE_EXCEEDED = 4,
    TBK_NOT_FOUND = 5,
    TBK_ALREADY_EXISTS = 6,
    TBK_PERMISSION_DENIED = 7,
    TBK_RESOURCE_EXHAUSTED = 8,
    TBK_FAILED_PRECONDITION = 9,
    TBK_ABORTED = 10,
    TBK_OUT_OF_RANGE = 11,
    TBK_UNIMPLEMENTED = 12,
    TBK_INTERNAL = 13,
    TBK_UNAVAILABLE = 14,
    TBK_DATA_LOSS = 15,
    TBK_UNAUTHENTICATED = 16,
};

/* "INVALID_ARGUMENT" and so on; "UNKNOWN" for a number outside the table. */
const char *tbk_status_name(enum tbk_status status);

#endif
