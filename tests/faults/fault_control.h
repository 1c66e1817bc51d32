/*
 * How a test tells a preloaded library which call must fail, and learns what
 * happened: a small file that both map into memory. Loaded into the program
 * under test by LD_PRELOAD; the environment variable TBK_FAULT_CONTROL names the
 * file. Without it nothing is counted and nothing fails.
 */
#ifndef TBK_TESTS_FAULT_CONTROL_H
#define TBK_TESTS_FAULT_CONTROL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { TBK_FAULT_CONTROL_KINDS = 8 };

/* The file. tests/faults/preload.py knows this layout. */
struct fault_control {
    _Atomic uint32_t kind;   /* of the calls that fail; the library numbers its kinds from 1 */
    _Atomic uint32_t error;  /* errno of a failing call */
    _Atomic uint32_t nth;    /* the first one that fails, from 1 */
    _Atomic uint32_t every;  /* 0: it alone fails; N: and every Nth after it */
    _Atomic uint32_t failed; /* how many have failed */
    _Atomic uint32_t live;   /* at the end of the process: allocations that were not freed */
    _Atomic uint32_t calls[TBK_FAULT_CONTROL_KINDS];
};

/* Maps the file. Allocates nothing. */
void fault_control_open(void);

/* NULL without a file. */
struct fault_control *fault_control(void);

/* Counts a call of this kind; true: it must fail, and errno says how. Any thread. */
bool fault_control_hits(uint32_t kind);

#endif
