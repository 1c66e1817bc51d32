#include "base/budget.h"

bool tbk_budget_fits(const struct tbk_budget *budget, size_t bytes)
{
    return budget == NULL || bytes == 0 || atomic_load(&budget->used) + bytes <= budget->bytes_max;
}

bool tbk_budget_take(struct tbk_budget *budget, size_t bytes)
{
    if (budget == NULL || bytes == 0) {
        return true;
    }
    const bool fits = atomic_fetch_add(&budget->used, bytes) + bytes <= budget->bytes_max;
    if (!fits) {
        atomic_fetch_sub(&budget->used, bytes);
    }
    return fits;
}

void tbk_budget_owe(struct tbk_budget *budget, size_t bytes)
{
    if (budget != NULL && bytes > 0) {
        atomic_fetch_add(&budget->used, bytes);
    }
}

void tbk_budget_give(struct tbk_budget *budget, size_t bytes)
{
    if (budget != NULL && bytes > 0) {
        atomic_fetch_sub(&budget->used, bytes);
    }
}

size_t tbk_budget_counted(size_t bytes)
{
    return bytes > TBK_BUDGET_SMALL_BYTES ? bytes : 0;
}
