#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A further block; its memory follows. */
struct block {
    struct block *next;
    _Alignas(max_align_t) char data[];
};

struct tbk_arena {
    char *position; /* in the block allocated from, always aligned */
    char *end;
    struct block *blocks;
    size_t first_bytes;
    size_t bytes_max;
    size_t bytes_left; /* of bytes_max, not yet taken by a block */
    bool overflowed;
    bool starved;
    bool ignores_budget;
    struct tbk_budget *budget;
    ProtobufCAllocator allocator;
    _Alignas(max_align_t) char first[];
};

enum { ALIGNMENT = _Alignof(max_align_t) };

/* bytes is at most SIZE_MAX - ALIGNMENT. */
static size_t align_up(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static void *allocator_alloc(void *arena, size_t bytes)
{
    return tbk_arena_alloc(arena, bytes);
}

static void allocator_free(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

struct tbk_arena *tbk_arena_create(size_t first_bytes, size_t bytes_max)
{
    if (first_bytes > SIZE_MAX / 2) {
        return NULL;
    }
    first_bytes = align_up(first_bytes);
    struct tbk_arena *arena = malloc(sizeof *arena + first_bytes);
    if (arena == NULL) {
        return NULL;
    }
    *arena = (struct tbk_arena){
        .first_bytes = first_bytes,
        .bytes_max = bytes_max,
        .allocator = {.alloc = allocator_alloc, .free = allocator_free, .allocator_data = arena},
    };
    tbk_arena_reset(arena);
    return arena;
}

static size_t blocks_bytes_max(const struct tbk_arena *arena)
{
    return arena->bytes_max > arena->first_bytes ? arena->bytes_max - arena->first_bytes : 0;
}

static void free_blocks(struct tbk_arena *arena)
{
    if (arena->blocks != NULL) {
        tbk_budget_give(arena->budget, blocks_bytes_max(arena) - arena->bytes_left);
    }
    while (arena->blocks != NULL) {
        struct block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
}

void tbk_arena_destroy(struct tbk_arena *arena)
{
    if (arena == NULL) {
        return;
    }
    free_blocks(arena);
    free(arena);
}

void tbk_arena_reset(struct tbk_arena *arena)
{
    free_blocks(arena);
    arena->position = arena->first;
    arena->end = arena->first + arena->first_bytes;
    arena->bytes_left = blocks_bytes_max(arena);
    arena->overflowed = false;
    arena->starved = false;
    arena->ignores_budget = false;
}

/* Makes a new block the one allocated from; what is left of the old one stays
 * unused. bytes is aligned. */
static bool add_block(struct tbk_arena *arena, size_t bytes)
{
    if (bytes > arena->bytes_left) {
        arena->overflowed = true;
        return false;
    }
    size_t block_bytes = bytes > arena->first_bytes ? bytes : arena->first_bytes;
    if (block_bytes > arena->bytes_left) {
        block_bytes = bytes;
    }
    if (arena->ignores_budget) {
        tbk_budget_owe(arena->budget, block_bytes);
    } else if (!tbk_budget_take(arena->budget, block_bytes)) {
        arena->starved = true;
        return false;
    }
    struct block *block = malloc(sizeof *block + block_bytes);
    if (block == NULL) {
        tbk_budget_give(arena->budget, block_bytes);
        arena->starved = true;
        return false;
    }
    block->next = arena->blocks;
    arena->blocks = block;
    arena->bytes_left -= block_bytes;
    arena->position = block->data;
    arena->end = block->data + block_bytes;
    return true;
}

void *tbk_arena_alloc(struct tbk_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 2) {
        arena->overflowed = true;
        return NULL;
    }
    bytes = align_up(bytes);
    if (bytes > (size_t)(arena->end - arena->position) && !add_block(arena, bytes)) {
        return NULL;
    }
    void *memory = arena->position;
    arena->position += bytes;
    return memory;
}

void *tbk_arena_zalloc(struct tbk_arena *arena, size_t bytes)
{
    void *memory = tbk_arena_alloc(arena, bytes);
    if (memory != NULL) {
        memset(memory, 0, bytes);
    }
    return memory;
}

char *tbk_arena_strndup(struct tbk_arena *arena, const char *text, size_t length)
{
    char *copy = tbk_arena_alloc(arena, length + 1);
    if (copy == NULL) {
        return NULL;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *tbk_arena_printf(struct tbk_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_list again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = length < 0 ? NULL : tbk_arena_alloc(arena, (size_t)length + 1);
    if (text != NULL) {
        vsnprintf(text, (size_t)length + 1, format, again);
    }
    va_end(again);
    return text;
}

bool tbk_arena_overflowed(const struct tbk_arena *arena)
{
    return arena->overflowed;
}

bool tbk_arena_starved(const struct tbk_arena *arena)
{
    return arena->starved;
}

void tbk_arena_set_budget(struct tbk_arena *arena, struct tbk_budget *budget)
{
    arena->budget = budget;
}

void tbk_arena_ignore_budget(struct tbk_arena *arena)
{
    arena->ignores_budget = true;
}

ProtobufCAllocator *tbk_arena_allocator(struct tbk_arena *arena)
{
    return &arena->allocator;
}
