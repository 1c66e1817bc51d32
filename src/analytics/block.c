#include "analytics/block.h"

#include <stdlib.h>
#include <string.h>

#define US_PER_DAY (INT64_C(86400) * 1000000)

enum tbk_status tbk_block_out_of_memory(struct tbk_error *error)
{
    return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while adding up the figures.");
}

int32_t tbk_day_of(int64_t time_us)
{
    return (int32_t)(time_us / US_PER_DAY - (time_us % US_PER_DAY < 0));
}

int tbk_key_compare(struct tbk_key a, struct tbk_key b)
{
    if (a.time_us != b.time_us) {
        return a.time_us < b.time_us ? -1 : 1;
    }
    return (a.id > b.id) - (a.id < b.id);
}

struct tbk_key tbk_key_of(const struct tbk_row *row)
{
    return (struct tbk_key){.time_us = row->time_us, .id = row->id};
}

struct tbk_block *tbk_block_create(const struct tbk_series_shape *shape)
{
    struct tbk_block *block = calloc(1, sizeof *block);
    if (block == NULL) {
        return NULL;
    }
    block->slot = -1;
    block->cells = shape->has_confidence ? calloc(1, sizeof *block->cells) : NULL;
    if (shape->has_confidence && block->cells == NULL) {
        free(block);
        return NULL;
    }
    return block;
}

static void free_items(struct tbk_groups *groups)
{
    for (uint32_t i = 0; groups->items != NULL && i < groups->count; i++) {
        free(groups->items[i].days);
    }
    free(groups->items);
    groups->items = NULL;
    groups->capacity = 0;
}

void tbk_block_drop_groups(struct tbk_block *block)
{
    for (int i = 0; i < TBK_SERIES_DIMENSIONS_MAX; i++) {
        if (block->groups[i].stored != NULL) {
            free_items(&block->groups[i]);
        }
    }
}

/* Of more values than groups are kept for. */
static void give_up(struct tbk_groups *groups)
{
    free_items(groups);
    *groups = (struct tbk_groups){.are_too_many = true};
}

void tbk_block_destroy(struct tbk_block *block)
{
    if (block == NULL) {
        return;
    }
    for (int i = 0; i < TBK_SERIES_DIMENSIONS_MAX; i++) {
        free_items(&block->groups[i]);
        free(block->groups[i].stored);
    }
    free(block->all.days);
    free(block->day_sums);
    free(block->cells);
    free(block);
}

/* Makes room for one more item; NULL: out of memory, the old ones stay. */
static void *grown(void *items, uint32_t count, uint32_t *capacity, size_t item_bytes)
{
    if (count < *capacity) {
        return items;
    }
    const uint32_t wanted = *capacity > 0 ? *capacity + *capacity / 2 + 1 : 1;
    void *more = realloc(items, wanted * item_bytes);
    if (more != NULL) {
        *capacity = wanted;
    }
    return more;
}

static struct tbk_day_total day_of(const struct tbk_row *row)
{
    const double percent = row->values[0] == row->values[0] ? row->values[0] : 0.0; /* NaN adds nothing */
    return (struct tbk_day_total){.day = tbk_day_of(row->time_us), .percent = percent};
}

static bool is_new_day(const struct tbk_group *group, int32_t day)
{
    return group->day_count == 0 || group->days[group->day_count - 1].day != day;
}

static bool add_day(struct tbk_group *group, struct tbk_day_total day)
{
    if (!is_new_day(group, day.day)) {
        group->days[group->day_count - 1].percent += day.percent;
        return true;
    }
    struct tbk_day_total *days = grown(group->days, group->day_count, &group->day_capacity, sizeof *days);
    if (days == NULL) {
        return false;
    }
    group->days = days;
    days[group->day_count++] = day;
    return true;
}

/* Keeps the sums of each day as long as there are not too many. */
static bool add_to_day_sums(struct tbk_block *block, const struct tbk_series_limits *limits,
                            const struct tbk_row *row, bool is_new)
{
    const uint32_t count = block->all.day_count;
    if (count > limits->days_max) {
        free(block->day_sums);
        block->day_sums = NULL;
        return true;
    }
    if (is_new) {
        struct tbk_sums *sums = realloc(block->day_sums, count * sizeof *sums);
        if (sums == NULL) {
            return false;
        }
        block->day_sums = sums;
        sums[count - 1] = (struct tbk_sums){0};
    }
    tbk_sums_add(&block->day_sums[count - 1], row);
    return true;
}

static uint32_t code_at(const struct tbk_groups *groups, uint32_t position)
{
    return groups->items != NULL ? groups->items[position].code : groups->stored[position].code;
}

/* Position of the group, or where it belongs. */
static uint32_t position_of(const struct tbk_groups *groups, uint32_t code)
{
    uint32_t low = 0;
    uint32_t high = groups->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (code_at(groups, middle) < code) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

int32_t tbk_groups_find(const struct tbk_groups *groups, uint32_t code)
{
    const uint32_t position = position_of(groups, code);
    return position < groups->count && code_at(groups, position) == code ? (int32_t)position : -1;
}

static struct tbk_group *insert_group(struct tbk_groups *groups, uint32_t position, uint32_t code)
{
    struct tbk_group *items = grown(groups->items, groups->count, &groups->capacity, sizeof *items);
    if (items == NULL) {
        return NULL;
    }
    groups->items = items;
    memmove(&items[position + 1], &items[position], (groups->count - position) * sizeof *items);
    groups->count++;
    items[position] = (struct tbk_group){.code = code};
    return &items[position];
}

/* Finds the group, or makes it. *ret_group is NULL when there are too many. False:
 * out of memory. */
static bool group_for(struct tbk_groups *groups, const struct tbk_series_limits *limits, uint32_t code,
                      struct tbk_group **ret_group)
{
    *ret_group = NULL;
    if (groups->are_too_many) {
        return true;
    }
    const uint32_t position = position_of(groups, code);
    if (position < groups->count && groups->items[position].code == code) {
        *ret_group = &groups->items[position];
        return true;
    }
    if (groups->count == limits->values_max) {
        give_up(groups);
        return true;
    }
    *ret_group = insert_group(groups, position, code);
    return *ret_group != NULL;
}

static bool add_to_groups(struct tbk_groups *groups, const struct tbk_series_shape *shape,
                          const struct tbk_series_limits *limits, const struct tbk_row *row, uint32_t code)
{
    struct tbk_group *group;
    if (!group_for(groups, limits, code, &group)) {
        return false;
    }
    if (group == NULL) {
        return true;
    }
    tbk_sums_add(&group->sums, row);
    return !shape->has_days || add_day(group, day_of(row));
}

static void extend(struct tbk_block *block, struct tbk_key first, struct tbk_key last, uint32_t rows)
{
    block->first = block->rows == 0 ? first : block->first;
    block->last = last;
    block->rows += rows;
}

bool tbk_block_add(struct tbk_block *block, const struct tbk_series_shape *shape,
                   const struct tbk_series_limits *limits, const struct tbk_row *row)
{
    if (shape->has_days) {
        const struct tbk_day_total day = day_of(row);
        const bool is_new = is_new_day(&block->all, day.day);
        if (!add_day(&block->all, day) || !add_to_day_sums(block, limits, row, is_new)) {
            return false;
        }
    }
    for (unsigned i = 0; i < shape->dimensions; i++) {
        if (!add_to_groups(&block->groups[i], shape, limits, row, row->codes[i])) {
            return false;
        }
    }
    tbk_sums_add(&block->all.sums, row);
    if (block->cells != NULL) {
        tbk_cells_add(block->cells, row);
    }
    extend(block, tbk_key_of(row), tbk_key_of(row), 1);
    return true;
}

static bool merge_group(struct tbk_group *group, const struct tbk_group *next)
{
    tbk_sums_merge(&group->sums, &next->sums);
    for (uint32_t i = 0; i < next->day_count; i++) {
        if (!add_day(group, next->days[i])) {
            return false;
        }
    }
    return true;
}

bool tbk_groups_merge(struct tbk_groups *groups, const struct tbk_series_limits *limits,
                      const struct tbk_groups *next)
{
    if (next->are_too_many) {
        give_up(groups);
        return true;
    }
    for (uint32_t i = 0; i < next->count; i++) {
        struct tbk_group *group;
        if (!group_for(groups, limits, next->items[i].code, &group) ||
            (group != NULL && !merge_group(group, &next->items[i]))) {
            return false;
        }
    }
    return true;
}

bool tbk_block_merge(struct tbk_block *block, const struct tbk_block *next)
{
    if (block->cells != NULL) {
        tbk_cells_merge(block->cells, next->cells);
    }
    extend(block, next->first, next->last, next->rows);
    return merge_group(&block->all, &next->all);
}

static size_t group_bytes(const struct tbk_group *group)
{
    return group->day_capacity * sizeof *group->days;
}

size_t tbk_block_bytes(const struct tbk_block *block)
{
    size_t bytes = sizeof *block + group_bytes(&block->all);
    bytes += block->day_sums != NULL ? block->all.day_count * sizeof *block->day_sums : 0;
    bytes += block->cells != NULL ? sizeof *block->cells : 0;
    for (int i = 0; i < TBK_SERIES_DIMENSIONS_MAX; i++) {
        const struct tbk_groups *groups = &block->groups[i];
        bytes += groups->capacity * sizeof *groups->items;
        bytes += groups->stored != NULL ? (groups->count + 1) * sizeof *groups->stored : 0;
        for (uint32_t g = 0; groups->items != NULL && g < groups->count; g++) {
            bytes += group_bytes(&groups->items[g]);
        }
    }
    return bytes;
}
