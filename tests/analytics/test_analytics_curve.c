/* Curves merged from pieces, and from runs of pieces, against the same rows added one
 * by one. */
#include "analytics/sums.h"
#include "cmocka_all.h"
#include "random_book.h"

enum { ROUNDS = 20000, ROWS = 30, PIECE_ROWS_MAX = 5, RUN_PIECES_MAX = 4 };

struct rows {
    struct tbk_row items[ROWS];
    struct random_book random;
};

/* Times and totals repeat, so that joints fall between equal ones. */
static void make(struct rows *rows)
{
    int64_t time_us = 0;
    for (int i = 0; i < ROWS; i++) {
        time_us += random_below(&rows->random, 3) > 0;
        rows->items[i] = (struct tbk_row){
            .time_us = time_us, .id = i + 1, .values = {[0] = random_below(&rows->random, 7) - 3}};
    }
}

static void add(struct tbk_curve *curve, const struct rows *rows, int begin, int end)
{
    for (int i = begin; i < end; i++) {
        tbk_curve_add(curve, &rows->items[i], rows->items[i].values[0]);
    }
}

static int piece_end(struct rows *rows, int begin)
{
    const int end = begin + 1 + random_below(&rows->random, PIECE_ROWS_MAX);
    return end < ROWS ? end : ROWS;
}

static int merge_run(struct tbk_curve *curve, struct rows *rows, int begin)
{
    struct tbk_curve run = {0};
    for (int i = random_below(&rows->random, RUN_PIECES_MAX); i >= 0 && begin < ROWS; i--) {
        struct tbk_curve piece = {0};
        const int end = piece_end(rows, begin);
        add(&piece, rows, begin, end);
        tbk_curve_merge(&run, &piece);
        begin = end;
    }
    tbk_curve_merge(curve, &run);
    return begin;
}

/* When the curve is back at its peak, by the rows where it says to look. */
static int64_t search(const struct tbk_curve *curve, const struct rows *rows)
{
    double total = curve->search.before.high;
    for (int i = 0; i < ROWS; i++) {
        const struct tbk_row *row = &rows->items[i];
        if (row->time_us < curve->search.from_us) {
            continue;
        }
        total += row->values[0];
        if (row->id > curve->trough_id && total >= curve->peak.high) {
            return row->time_us;
        }
    }
    return TBK_RECOVERY_NONE;
}

static void check_fall(const struct tbk_curve *actual, const struct tbk_curve *expected, const struct rows *rows)
{
    assert_true(actual->peak.high == expected->peak.high);
    assert_int_equal(actual->peak_us, expected->peak_us);
    assert_int_equal(actual->trough_us, expected->trough_us);
    assert_int_equal(actual->trough_id, expected->trough_id);
    const bool is_later = actual->recovery_us == TBK_RECOVERY_LATER;
    assert_int_equal(is_later ? search(actual, rows) : actual->recovery_us, expected->recovery_us);
}

static void check(const struct tbk_curve *actual, const struct tbk_curve *expected, const struct rows *rows)
{
    assert_int_equal(actual->n, expected->n);
    assert_int_equal(actual->first_us, expected->first_us);
    assert_int_equal(actual->last_us, expected->last_us);
    assert_true(actual->total.high == expected->total.high);
    assert_true(actual->high.high == expected->high.high);
    assert_int_equal(actual->high_us, expected->high_us);
    assert_true(actual->low.high == expected->low.high);
    assert_int_equal(actual->low_us, expected->low_us);
    assert_int_equal(actual->low_id, expected->low_id);
    assert_true(actual->depth.high == expected->depth.high);
    if (expected->depth.high > 0) {
        check_fall(actual, expected, rows);
    }
}

static void test_curve_of_runs_is_that_of_rows(void **state)
{
    (void)state;
    struct rows rows = {.random = {.seed = 1}};
    for (int round = 0; round < ROUNDS; round++) {
        make(&rows);
        struct tbk_curve expected;
        struct tbk_curve actual;
        tbk_curve_start(&expected);
        tbk_curve_start(&actual);
        add(&expected, &rows, 0, ROWS);
        for (int i = 0; i < ROWS;) {
            i = merge_run(&actual, &rows, i);
        }
        check(&actual, &expected, &rows);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_curve_of_runs_is_that_of_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
