/*
 * Failing allocations for LD_PRELOAD: counts those that are asked for by certain
 * files, the program or a library, and lets those fail that the control file says.
 * TBK_FAULT_CALLERS lists parts of these files' names, separated by commas;
 * "program" is the program itself. Who asks is told by the return address, so
 * what the C library allocates for somebody, as in strdup, is its own.
 */
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "fault_control.h"

enum { ALLOCATION = 1, RANGES_MAX = 32 };

/* glibc's own names, which need no looking up before the first allocation. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *memory, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);

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

static bool fails(const void *caller)
{
    const uintptr_t address = (uintptr_t)caller;
    for (int i = 0; i < range_count; i++) {
        if (address >= ranges[i].begin && address < ranges[i].end) {
            return fault_control_hits(ALLOCATION);
        }
    }
    return false;
}

void *malloc(size_t bytes)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(memory, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, bytes);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t bytes)
{
    if (fails(__builtin_return_address(0))) {
        return ENOMEM;
    }
    *ret_memory = __libc_memalign(alignment, bytes);
    return *ret_memory != NULL ? 0 : ENOMEM;
}
