/* What is remembered of executed requests. */
#include <string.h>

#include "contract.h"

static struct tbk_request_record record_of(const char *client, uint8_t number)
{
    static const uint8_t response[] = {1, 0, 2, 0xff, 0};
    struct tbk_request_record record = {.client = client,
                                        .fingerprint = UINT64_MAX - number,
                                        .created_us = 1000 * (int64_t)number,
                                        .response = response,
                                        .response_bytes = sizeof response};
    memset(record.id, number, sizeof record.id);
    return record;
}

static enum tbk_status try_save(struct tbk_store *store, const struct tbk_request_record *record)
{
    return store->ops->request_save(store->writer, record, &store->error);
}

static void save(struct tbk_store *store, const char *client, uint8_t number)
{
    const struct tbk_request_record record = record_of(client, number);
    tbk_store_begin(store);
    expect_ok(store, try_save(store, &record));
    tbk_store_commit(store);
}

static enum tbk_status find(struct tbk_store *store, struct tbk_session *session, const char *client,
                            uint8_t number, struct tbk_request_record *ret_record)
{
    uint8_t id[16];
    memset(id, number, sizeof id);
    return store->ops->request_find(session, client, id, store->arena, ret_record, &store->error);
}

static void expect_found(struct tbk_store *store, struct tbk_session *session,
                         const struct tbk_request_record *expected)
{
    struct tbk_request_record found;
    expect_ok(store, store->ops->request_find(session, expected->client, expected->id, store->arena, &found,
                                              &store->error));
    assert_string_equal(found.client, expected->client);
    assert_memory_equal(found.id, expected->id, sizeof found.id);
    assert_true(found.fingerprint == expected->fingerprint);
    assert_true(found.created_us == expected->created_us);
    assert_int_equal(found.response_bytes, expected->response_bytes);
    if (expected->response_bytes > 0) {
        assert_memory_equal(found.response, expected->response, expected->response_bytes);
    }
}

static void expect_absent(struct tbk_store *store, struct tbk_session *session, const char *client, uint8_t number)
{
    struct tbk_request_record found;
    assert_int_equal(find(store, session, client, number, &found), TBK_NOT_FOUND);
    assert_string_equal(store->error.message, "");
    tbk_error_init(&store->error);
}

static void test_request_unknown_is_not_found_without_a_sentence(void **state)
{
    struct tbk_store *store = *state;
    expect_absent(store, store->writer, "", 1);
    expect_absent(store, store->reader, "bot", 1);
}

static void test_request_saved_is_found(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_request_record record = record_of("bot-1", 7);
    tbk_store_begin(store);
    expect_ok(store, try_save(store, &record));
    expect_found(store, store->writer, &record);
    expect_absent(store, store->reader, "bot-1", 7);
    tbk_store_commit(store);
    expect_found(store, store->writer, &record);
    expect_found(store, store->reader, &record);
    tbk_store_close(store);
    tbk_store_open(store);
    expect_found(store, store->reader, &record);
}

static void test_request_rolled_back_is_unknown(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_request_record record = record_of("bot", 3);
    tbk_store_begin(store);
    expect_ok(store, try_save(store, &record));
    store->ops->rollback(store->writer);
    expect_absent(store, store->writer, "bot", 3);
    save(store, "bot", 3);
    expect_found(store, store->writer, &record);
}

static void test_request_saved_twice_already_exists(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_request_record first = record_of("bot", 3);
    struct tbk_request_record second = first;
    second.fingerprint = 1;
    second.response_bytes = 1;
    save(store, "bot", 3);
    tbk_store_begin(store);
    expect_status(store, try_save(store, &second), TBK_ALREADY_EXISTS);
    assert_true(store->ops->in_transaction(store->writer));
    tbk_store_commit(store);
    expect_found(store, store->writer, &first);
}

static void test_request_of_other_client_is_independent(void **state)
{
    struct tbk_store *store = *state;
    save(store, "", 3);
    save(store, "bot", 3);
    save(store, "Bot", 3);
    struct tbk_request_record found;
    expect_ok(store, find(store, store->reader, "bot", 3, &found));
    expect_absent(store, store->reader, "other", 3);
    expect_absent(store, store->reader, "bot", 4);
}

static void test_request_responses_of_any_size_are_kept(void **state)
{
    enum { BYTES_MAX = 1 << 20 };
    static const size_t sizes[] = {0, 1, 4095, 4096, BYTES_MAX};
    struct tbk_store *store = *state;
    uint8_t *response = tbk_arena_alloc(store->arena, BYTES_MAX);
    for (size_t i = 0; i < BYTES_MAX; i++) {
        response[i] = (uint8_t)(i * 31 >> 3);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct tbk_request_record record = record_of("bot", (uint8_t)i);
        record.response = sizes[i] > 0 ? response : NULL;
        record.response_bytes = sizes[i];
        tbk_store_begin(store);
        expect_ok(store, try_save(store, &record));
        tbk_store_commit(store);
        expect_found(store, store->reader, &record);
    }
}

static void test_request_times_and_fingerprints_keep_all_bits(void **state)
{
    static const int64_t times[] = {0, -1, INT64_MIN, INT64_MAX};
    static const uint64_t fingerprints[] = {0, UINT64_MAX, UINT64_C(1) << 63, 1};
    struct tbk_store *store = *state;
    for (uint8_t i = 0; i < 4; i++) {
        struct tbk_request_record record = record_of("na\xc3\xafve 'client'", i);
        record.created_us = times[i];
        record.fingerprint = fingerprints[i];
        tbk_store_begin(store);
        expect_ok(store, try_save(store, &record));
        tbk_store_commit(store);
        expect_found(store, store->reader, &record);
    }
}

static unsigned prune_at(struct tbk_store *store, int64_t before_us, int64_t now_us, unsigned rows_max)
{
    unsigned rows = 12345;
    tbk_store_begin(store);
    expect_ok(store, store->ops->request_prune(store->writer, before_us, now_us, rows_max, &rows, &store->error));
    tbk_store_commit(store);
    assert_true(rows <= rows_max);
    return rows;
}

static unsigned prune(struct tbk_store *store, int64_t before_us, unsigned rows_max)
{
    return prune_at(store, before_us, INT64_MAX, rows_max);
}

static void test_request_prune_forgets_the_old_ones_only(void **state)
{
    struct tbk_store *store = *state;
    for (uint8_t i = 0; i < 10; i++) {
        save(store, "bot", i);
    }
    unsigned pruned = 0;
    for (unsigned rows; (rows = prune(store, 6000, 4)) > 0;) {
        pruned += rows;
    }
    assert_int_equal(pruned, 6);
    for (uint8_t i = 0; i < 10; i++) {
        if (i < 6) {
            expect_absent(store, store->reader, "bot", i);
        } else {
            const struct tbk_request_record record = record_of("bot", i);
            expect_found(store, store->reader, &record);
        }
    }
    save(store, "bot", 0); /* forgotten, hence new again */
}

static void test_request_prune_of_nothing_is_ok(void **state)
{
    struct tbk_store *store = *state;
    assert_int_equal(prune(store, INT64_MAX, 100), 0);
    save(store, "bot", 5);
    assert_int_equal(prune(store, 5000, 100), 0); /* made at 5000, not before */
    assert_int_equal(prune(store, 5001, 100), 1);
    assert_int_equal(prune(store, 5001, 100), 0);
}

/* More than are looked at at once, all before the ones that are old. */
static void test_request_prune_of_the_future_counts_it_as_now(void **state)
{
    struct tbk_store *store = *state;
    for (uint8_t i = 0; i < 6; i++) {
        save(store, "bot", (uint8_t)(200 + i));
    }
    save(store, "bot", 10);
    struct tbk_request_record future = record_of("bot", 200);
    assert_int_equal(prune_at(store, 50000, 100000, 4), 0);
    future.created_us = 100000;
    expect_found(store, store->reader, &future); /* kept, and its time begins */
    while (prune_at(store, 100001, 150000, 4) > 0) {
        continue;
    }
    for (uint8_t i = 0; i < 6; i++) {
        struct tbk_request_record found;
        const bool corrected_first = i < 4;
        if (corrected_first) {
            expect_absent(store, store->reader, "bot", (uint8_t)(200 + i));
        } else {
            expect_ok(store, find(store, store->reader, "bot", (uint8_t)(200 + i), &found));
            assert_int_equal(found.created_us, 150000);
        }
    }
    expect_absent(store, store->reader, "bot", 10);
}

int tbk_contract_run_requests(void)
{
    const struct CMUnitTest tests[] = {
        contract_test(test_request_unknown_is_not_found_without_a_sentence),
        contract_test(test_request_saved_is_found),
        contract_test(test_request_rolled_back_is_unknown),
        contract_test(test_request_saved_twice_already_exists),
        contract_test(test_request_of_other_client_is_independent),
        contract_test(test_request_responses_of_any_size_are_kept),
        contract_test(test_request_times_and_fingerprints_keep_all_bits),
        contract_test(test_request_prune_forgets_the_old_ones_only),
        contract_test(test_request_prune_of_nothing_is_ok),
        contract_test(test_request_prune_of_the_future_counts_it_as_now),
    };
    return cmocka_run_group_tests_name("contract: requests", tests, NULL, NULL);
}
