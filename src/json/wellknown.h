/*
 * The texts that google.protobuf.Timestamp, Duration and the paths of FieldMask
 * have in JSON. Nanoseconds are kept exactly.
 */
#ifndef TBK_JSON_WELLKNOWN_H
#define TBK_JSON_WELLKNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TBK_JSON_TIME_BYTES_MAX = 40 };

/* Largest number of seconds of a Duration, about 10,000 years. */
#define TBK_DURATION_SECONDS_MAX INT64_C(315576000000)

/* RFC 3339 in UTC with 0, 3, 6 or 9 digits: "2024-05-01T12:00:00.250Z". False
 * when it is outside the years 0001 to 9999 or nanos is no fraction. */
bool tbk_json_timestamp_format(int64_t seconds, int32_t nanos, char out[TBK_JSON_TIME_BYTES_MAX]);
/* Reads RFC 3339 with any offset; a zone is mandatory. */
bool tbk_json_timestamp_parse(const char *text, size_t length, int64_t *ret_seconds, int32_t *ret_nanos);

/* "3.250s", "-0.000000001s". False when the parts are out of range or of
 * different signs. */
bool tbk_json_duration_format(int64_t seconds, int32_t nanos, char out[TBK_JSON_TIME_BYTES_MAX]);
bool tbk_json_duration_parse(const char *text, size_t length, int64_t *ret_seconds, int32_t *ret_nanos);

/* One path of a mask, "signal.entryPrice" for "signal.entry_price", NUL
 * terminated; out has length + 1 bytes. False when reading it back would not give
 * path again. */
bool tbk_json_mask_format(const char *path, size_t length, char *out);
/* The reverse; original names are taken as they are. out has 2 * length + 1
 * bytes. False when text is no path. */
bool tbk_json_mask_parse(const char *text, size_t length, char *out);

#endif
