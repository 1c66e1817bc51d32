/*
 * What the fuzz targets share: failing, a folder in memory, reading numbers off an
 * input, and random numbers. A target is one LLVMFuzzerTestOneInput; without
 * libFuzzer, replay.c runs it over files.
 */
#ifndef TBK_FUZZ_SUPPORT_H
#define TBK_FUZZ_SUPPORT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What libFuzzer calls. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed);
/* What libFuzzer offers. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);

/* Ends the process with a sentence; libFuzzer keeps the input. */
_Noreturn void fuzz_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define FUZZ_CHECK(condition, ...)                                                                                \
    do {                                                                                                          \
        if (!(condition))                                                                                         \
            fuzz_fail(__FILE__, __LINE__, __VA_ARGS__);                                                           \
    } while (0)

/* An empty folder of this process, in memory where there is /dev/shm, removed when
 * the process ends. */
const char *fuzz_folder(void);
/* FOLDER/NAME, valid until the process ends. */
const char *fuzz_path(const char *name);

/* The bytes of an input that are not read yet; zeroes at the end. */
struct fuzz_input {
    const uint8_t *data;
    size_t left;
};

uint8_t fuzz_take_byte(struct fuzz_input *input);
uint16_t fuzz_take_short(struct fuzz_input *input);
/* At most length bytes; *ret_length is how many there are. */
const uint8_t *fuzz_take(struct fuzz_input *input, size_t length, size_t *ret_length);
/* The text up to the next byte 0xFF or the end, without the NULs in it, allocated. */
char *fuzz_take_text(struct fuzz_input *input);

/* Whether a descriptor can be read, or its peer is gone, within so long. Goes on after
 * the alarms of libFuzzer, which interrupt a poll. */
bool fuzz_is_readable(int fd, int timeout_ms);

/* xorshift; a mutator seeds it with what libFuzzer gives. */
void fuzz_random_seed(unsigned seed);
uint64_t fuzz_random(void);
/* 0 .. limit - 1 */
size_t fuzz_random_below(size_t limit);

#endif
