/*
 * Failing allocations for LD_PRELOAD: counts those that are asked for by certain
 * files, the program or a library, and lets those fail that the control file says;
 * at the end it tells how many of them were not freed.
 * TBK_FAULT_CALLERS lists parts of these files' names, separated by commas;
 * "program" is the program itself. Who asks is told by the return address, so
 * what the C library allocates for somebody, as in strdup, is its own.
 */
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault_control.h"

enum { ALLOCATION = 1, RANGES_MAX = 32, LIVE_BITS = 18, LIVE_MAX = 1 << LIVE_BITS };

/* glibc's own names, which need no looking up before the first allocation. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *memory, size_t bytes);
extern void __libc_free(void *memory);

static struct range {
    uintptr_t begin;
    uintptr_t end;
} ranges[RANGES_MAX];
static int range_count;

static bool is_listed(const char *path, const char *callers)
{
    const char *name = path[0] != '\0' ? path : "program";
    while (*callers != '\0') {
        const size_t length = strcspn(callers, ",");
        if (length > 0 && memmem(name, strlen(name), callers, length) != NULL) {
            return true;
        }
        callers += length + (callers[length] == ',');
    }
    return false;
}

static int add_file(struct dl_phdr_info *info, size_t size, void *callers)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum && is_listed(info->dlpi_name, callers); i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0 && range_count < RANGES_MAX) {
            const uintptr_t begin = info->dlpi_addr + part->p_vaddr;
            ranges[range_count++] = (struct range){begin, begin + part->p_memsz};
        }
    }
    return 0;
}

__attribute__((constructor)) static void start(void)
{
    const char *callers = getenv("TBK_FAULT_CALLERS");
    dl_iterate_phdr(add_file, (void *)(uintptr_t)(callers != NULL ? callers : ""));
    fault_control_open();
}

static bool counts(const void *caller)
{
    const uintptr_t address = (uintptr_t)caller;
    int i = 0;
    while (i < range_count && (address < ranges[i].begin || address >= ranges[i].end)) {
        i++;
    }
    return i < range_count;
}

/* Live allocations that count, by open addressing. 0 is free, 1 was used. */
static struct entry {
    uintptr_t memory;
    const void *caller;
} live[LIVE_MAX];
static pthread_mutex_t live_lock = PTHREAD_MUTEX_INITIALIZER;

static size_t slot_of(uintptr_t memory)
{
    return (memory >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - LIVE_BITS);
}

static void *born(void *memory, const void *caller)
{
    if (memory == NULL) {
        return NULL;
    }
    pthread_mutex_lock(&live_lock);
    size_t slot = slot_of((uintptr_t)memory);
    while (live[slot].memory > 1) {
        slot = (slot + 1) % LIVE_MAX;
    }
    live[slot] = (struct entry){(uintptr_t)memory, caller};
    pthread_mutex_unlock(&live_lock);
    return memory;
}

/* Whether it was born, and by whom. */
static bool died(void *memory, const void **ret_caller)
{
    bool found = false;
    pthread_mutex_lock(&live_lock);
    size_t slot = slot_of((uintptr_t)memory);
    while (live[slot].memory != 0 && live[slot].memory != (uintptr_t)memory) {
        slot = (slot + 1) % LIVE_MAX;
    }
    if (live[slot].memory != 0) {
        *ret_caller = live[slot].caller;
        live[slot].memory = 1;
        found = true;
    }
    pthread_mutex_unlock(&live_lock);
    return found;
}

void *malloc(size_t bytes)
{
    const void *caller = __builtin_return_address(0);
    if (!counts(caller)) {
        return __libc_malloc(bytes);
    }
    return fault_control_hits(ALLOCATION) ? NULL : born(__libc_malloc(bytes), caller);
}

void *calloc(size_t count, size_t bytes)
{
    const void *caller = __builtin_return_address(0);
    if (!counts(caller)) {
        return __libc_calloc(count, bytes);
    }
    return fault_control_hits(ALLOCATION) ? NULL : born(__libc_calloc(count, bytes), caller);
}

void *realloc(void *memory, size_t bytes)
{
    const void *caller = __builtin_return_address(0);
    const void *old_caller = NULL;
    const bool is_counted = counts(caller);
    if (is_counted && fault_control_hits(ALLOCATION)) {
        return NULL;
    }
    const bool was_counted = memory != NULL && died(memory, &old_caller);
    void *moved = __libc_realloc(memory, bytes);
    if (moved == NULL && was_counted && bytes > 0) {
        born(memory, old_caller);
    }
    return is_counted ? born(moved, caller) : moved;
}

void free(void *memory)
{
    const void *caller;
    if (memory != NULL) {
        died(memory, &caller);
    }
    __libc_free(memory);
}

/* Says what was not freed; who asked for it, when TBK_FAULT_TELL is set. */
__attribute__((destructor)) static void end(void)
{
    uint32_t count = 0;
    for (size_t i = 0; i < LIVE_MAX; i++) {
        if (live[i].memory > 1) {
            count++;
            if (getenv("TBK_FAULT_TELL") != NULL) {
                Dl_info info;
                const bool known = dladdr(live[i].caller, &info) != 0;
                dprintf(STDERR_FILENO, "not freed: asked for at %s+0x%lx\n", known ? info.dli_fname : "?",
                        known ? (unsigned long)((uintptr_t)live[i].caller - (uintptr_t)info.dli_fbase) : 0);
            }
        }
    }
    if (fault_control() != NULL) {
        atomic_store(&fault_control()->live, count);
    }
}
