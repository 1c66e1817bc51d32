/*
 * Memory that many requests share: how much of it is in use, and the limit. Any
 * thread. A budget of NULL has no limit and counts nothing.
 */
#ifndef TBK_BASE_BUDGET_H
#define TBK_BASE_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Pieces up to here need not be counted: the number of requests bounds them. */
enum { TBK_BUDGET_SMALL_BYTES = 16 * 1024 };

struct tbk_budget {
    atomic_size_t used;
    size_t bytes_max; /* fixed */
};

/* Counts bytes if they fit; false: they do not. */
bool tbk_budget_take(struct tbk_budget *budget, size_t bytes);
/* Counts bytes whether they fit or not, for what must be finished. */
void tbk_budget_owe(struct tbk_budget *budget, size_t bytes);
/* Counts them no longer. */
void tbk_budget_give(struct tbk_budget *budget, size_t bytes);
/* Whether bytes would fit now. */
bool tbk_budget_fits(const struct tbk_budget *budget, size_t bytes);

/* What of a piece counts: nothing of a small one. */
size_t tbk_budget_counted(size_t bytes);

#endif
