/*
 * A sequence of serialised Request envelopes, each after its length in two bytes
 * (little-endian), up to a length of 0: the input of fuzz_requests. Two sequences, one
 * behind the other, are a sequence.
 */
#ifndef TBK_FUZZ_SEQUENCE_H
#define TBK_FUZZ_SEQUENCE_H

#include "support.h"

enum { FUZZ_SEQUENCE_MAX = 64 };

struct fuzz_request {
    const uint8_t *data;
    size_t size;
};

/* Splits an input; returns how many requests there are, at most max. */
size_t fuzz_sequence_read(const uint8_t *data, size_t size, struct fuzz_request *requests, size_t max);

/* Adds, removes, repeats, moves or changes a request. */
size_t fuzz_sequence_mutate(uint8_t *data, size_t size, size_t size_max, unsigned seed);

/* Changes one serialised Request by its fields and those of its payload. */
size_t fuzz_request_mutate(uint8_t *data, size_t size, size_t size_max);

#endif
