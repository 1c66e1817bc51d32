/* Changes of a series, collected and sorted. */
#include <stdlib.h>

#include "analytics/series.h"

enum { FIRST_CAPACITY = 64 };

/* Makes room for one more. */
static bool grow(void **items, size_t count, size_t *capacity, size_t item_bytes)
{
    if (count < *capacity) {
        return true;
    }
    const size_t wanted = *capacity > 0 ? 2 * *capacity : FIRST_CAPACITY;
    void *more = realloc(*items, wanted * item_bytes);
    if (more == NULL) {
        return false;
    }
    *items = more;
    *capacity = wanted;
    return true;
}

bool tbk_batch_remove(struct tbk_batch *batch, struct tbk_key key)
{
    void *items = batch->removed;
    const bool has_room = grow(&items, batch->removed_count, &batch->removed_capacity, sizeof key);
    batch->removed = items;
    if (has_room) {
        batch->removed[batch->removed_count++] = key;
    }
    return has_room;
}

bool tbk_batch_add(struct tbk_batch *batch, const struct tbk_row *row)
{
    void *items = batch->added;
    const bool has_room = grow(&items, batch->added_count, &batch->added_capacity, sizeof *row);
    batch->added = items;
    if (has_room) {
        batch->added[batch->added_count++] = *row;
    }
    return has_room;
}

static int compare_keys(const void *a, const void *b)
{
    return tbk_key_compare(*(const struct tbk_key *)a, *(const struct tbk_key *)b);
}

static int compare_rows(const void *a, const void *b)
{
    return tbk_key_compare(tbk_key_of(a), tbk_key_of(b));
}

static bool is_sorted(const struct tbk_batch *batch)
{
    for (size_t i = 1; i < batch->added_count; i++) {
        if (compare_rows(&batch->added[i - 1], &batch->added[i]) >= 0) {
            return false;
        }
    }
    return true;
}

void tbk_batch_sort(struct tbk_batch *batch)
{
    if (batch->removed_count > 1) {
        qsort(batch->removed, batch->removed_count, sizeof *batch->removed, compare_keys);
    }
    if (is_sorted(batch)) { /* as when the tables are read in the order of time */
        return;
    }
    qsort(batch->added, batch->added_count, sizeof *batch->added, compare_rows);
    size_t kept = 1;
    for (size_t i = 1; i < batch->added_count; i++) {
        if (compare_rows(&batch->added[kept - 1], &batch->added[i]) != 0) {
            batch->added[kept++] = batch->added[i];
        }
    }
    batch->added_count = kept;
}

void tbk_batch_fini(struct tbk_batch *batch)
{
    free(batch->removed);
    free(batch->added);
    *batch = (struct tbk_batch){0};
}
