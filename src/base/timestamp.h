/*
 * Time. A timestamp is an int64_t of microseconds since 1970-01-01 00:00 UTC,
 * proleptic Gregorian, without leap seconds, in the years 0001 to 9999. On disk
 * it is "YYYY-MM-DD HH:MM:SS.ffffff".
 */
#ifndef TBK_BASE_TIMESTAMP_H
#define TBK_BASE_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TBK_TIMESTAMP_CHARS = 26 };

/* 0001-01-01 00:00:00.000000 and 9999-12-31 23:59:59.999999. */
#define TBK_TIMESTAMP_MIN INT64_C(-62135596800000000)
#define TBK_TIMESTAMP_MAX INT64_C(253402300799999999)

/* Wall clock. */
int64_t tbk_now_us(void);
/* Clock that never jumps, for deadlines and durations; its origin is arbitrary. */
int64_t tbk_monotonic_us(void);

/* Writes the 26 characters of the on-disk form and a NUL. us is in range. */
void tbk_timestamp_format(int64_t us, char out[TBK_TIMESTAMP_CHARS + 1]);

/* Reads "YYYY-MM-DD HH:MM:SS", also with 'T' or 't' as separator, a fraction of
 * 1 to 9 digits (digits beyond microseconds are cut off), "Z" or a numeric
 * offset, and a bare date as midnight. Returns false when text is none of these
 * or names no moment in range; *ret_us is then untouched. */
bool tbk_timestamp_parse(const char *text, size_t length, int64_t *ret_us);

/* google.protobuf.Timestamp fields to microseconds; nanos beyond microseconds
 * are cut off. False when nanos is outside 0..999999999 or the result is out of
 * range. */
bool tbk_timestamp_from_proto(int64_t seconds, int32_t nanos, int64_t *ret_us);
void tbk_timestamp_to_proto(int64_t us, int64_t *ret_seconds, int32_t *ret_nanos);

#endif
