/*
 * Memory of one request: allocation is a pointer increment, everything is freed
 * at once. The first block belongs to the arena and is kept; larger needs take
 * further blocks from malloc up to a total that is fixed at creation. Used by
 * one thread at a time.
 */
#ifndef TBK_BASE_ARENA_H
#define TBK_BASE_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/budget.h"

struct tbk_arena;

/* Creates an arena with a first block of first_bytes and a limit of bytes_max in
 * all. NULL when memory is exhausted. */
struct tbk_arena *tbk_arena_create(size_t first_bytes, size_t bytes_max);
void tbk_arena_destroy(struct tbk_arena *arena);

/* Further blocks are counted in a budget, which outlives the arena; allocations fail
 * when it is used up. */
void tbk_arena_set_budget(struct tbk_arena *arena, struct tbk_budget *budget);
/* From now until the next reset the budget counts but does not refuse. */
void tbk_arena_ignore_budget(struct tbk_arena *arena);

/* Frees everything allocated; keeps the first block. Clears the marks below. */
void tbk_arena_reset(struct tbk_arena *arena);

/* Memory aligned for any type, not initialised; NULL when the limit or the
 * machine's memory is reached. Freed by reset. */
void *tbk_arena_alloc(struct tbk_arena *arena, size_t bytes);
/* The same, zeroed. */
void *tbk_arena_zalloc(struct tbk_arena *arena, size_t bytes);
/* A copy of length bytes of text with a NUL behind. */
char *tbk_arena_strndup(struct tbk_arena *arena, const char *text, size_t length);
char *tbk_arena_printf(struct tbk_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether an allocation failed since the last reset because of the limit. */
bool tbk_arena_overflowed(const struct tbk_arena *arena);

/* The same because of the budget, or because the machine has no memory. */
bool tbk_arena_starved(const struct tbk_arena *arena);

/* The arena as an allocator for protobuf-c; its free does nothing. Lives as long
 * as the arena. */
ProtobufCAllocator *tbk_arena_allocator(struct tbk_arena *arena);

#endif
