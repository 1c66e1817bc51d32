/*
 * The storage contract: what storage.h promises, as tests that know nothing but
 * struct tbk_storage_ops. Every backend passes them unchanged.
 */
#ifndef TBK_TESTS_CONTRACT_H
#define TBK_TESTS_CONTRACT_H

#include "store.h"

/* What a backend brings: places for new databases. */
struct tbk_contract_backend {
    const struct tbk_storage_ops *ops;
    /* Writes a location at which open creates a new database. */
    void (*location_create)(char out[PATH_MAX]);
    /* Removes what is at the location. It is closed. */
    void (*location_destroy)(const char *location);
};

/* Runs all tests. Returns the number of failures. */
int tbk_contract_run(const struct tbk_contract_backend *backend);

/* Groups of tests; each is a file. */
int tbk_contract_run_open(void);
int tbk_contract_run_rows(void);
int tbk_contract_run_values(void);
int tbk_contract_run_transactions(void);
int tbk_contract_run_requests(void);
int tbk_contract_run_list(void);
int tbk_contract_run_trades(void);
int tbk_contract_run_events(void);
int tbk_contract_run_models(void);
int tbk_contract_run_patterns(void);
int tbk_contract_run_series(void);
int tbk_contract_run_upkeep(void);

/* cmocka's setup and teardown of one test: a new, open store in *state. */
int tbk_contract_setup(void **state);
int tbk_contract_teardown(void **state);

#define contract_test(test) cmocka_unit_test_setup_teardown(test, tbk_contract_setup, tbk_contract_teardown)

#endif
