#include "contract.h"

#include <string.h>

static const struct tbk_contract_backend *backend;

int tbk_contract_setup(void **state)
{
    char location[PATH_MAX];
    backend->location_create(location);
    struct tbk_store *store = tbk_store_create(backend->ops, location);
    *state = store;
    tbk_store_open(store);
    return 0;
}

int tbk_contract_teardown(void **state)
{
    struct tbk_store *store = *state;
    char location[PATH_MAX];
    memcpy(location, store->location, sizeof location);
    tbk_store_destroy(store);
    backend->location_destroy(location);
    return 0;
}

int tbk_contract_run(const struct tbk_contract_backend *tested)
{
    backend = tested;
    return tbk_contract_run_open() + tbk_contract_run_rows() + tbk_contract_run_values() +
           tbk_contract_run_transactions() + tbk_contract_run_requests() + tbk_contract_run_list() +
           tbk_contract_run_trades() + tbk_contract_run_events() + tbk_contract_run_models() +
           tbk_contract_run_patterns() + tbk_contract_run_series() + tbk_contract_run_upkeep();
}
