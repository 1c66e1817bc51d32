#include <float.h>
#include <math.h>
#include <stdio.h>

#include "storage/sqlite/doctor.h"

enum { DECIMALS_MIN = 2, DECIMALS_MAX = 8 };

#define NOISE 1e-9

/* Bots round what they store. A value with few decimals agrees with everything
 * that is rounded to it. */
static bool is_rounded_to(double value, double right)
{
    for (int decimals = DECIMALS_MIN; decimals <= DECIMALS_MAX; decimals++) {
        const double unit = pow(10, decimals);
        const double scaled = value * unit;
        if (fabs(scaled - nearbyint(scaled)) <= NOISE + 4 * DBL_EPSILON * fabs(scaled)) {
            return fabs(value - right) <= 0.5 / unit * (1 + 1e-6);
        }
    }
    return false;
}

static bool agree(double value, double right, double scale)
{
    const double noise = NOISE * fmax(fabs(scale), fmax(fabs(value), fabs(right)));
    return fabs(value - right) <= noise || is_rounded_to(value, right);
}

static bool read_number(sqlite3_value *value, double *ret_number)
{
    const int type = sqlite3_value_type(value);
    *ret_number = sqlite3_value_double(value);
    return (type == SQLITE_FLOAT || type == SQLITE_INTEGER) && isfinite(*ret_number);
}

static void sql_agrees(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    double value;
    double right;
    double scale;
    if (read_number(values[0], &value) && read_number(values[1], &right) && read_number(values[2], &scale)) {
        sqlite3_result_int(context, agree(value, right, scale) ? 1 : 0);
    }
}

static void sql_number(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    const bool is_null = sqlite3_value_type(values[0]) == SQLITE_NULL;
    char text[64];
    snprintf(text, sizeof text, "%.10g", sqlite3_value_double(values[0]));
    sqlite3_result_text(context, is_null ? "NULL" : text, -1, SQLITE_TRANSIENT);
}

/* Two copies differ. */
static void tell(sqlite3_context *context, const char *name, const char *a, const char *b)
{
    char *text = sqlite3_mprintf("%s is %s and %s, ", name, a, b);
    if (text == NULL) {
        sqlite3_result_error_nomem(context);
    } else {
        sqlite3_result_text(context, text, -1, sqlite3_free);
    }
}

static void sql_numbers(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    double a;
    double b;
    double scale;
    const bool known = read_number(values[1], &a) && read_number(values[2], &b) && read_number(values[3], &scale);
    if (!known || agree(a, b, scale) || agree(b, a, scale)) {
        sqlite3_result_text(context, "", 0, SQLITE_STATIC);
        return;
    }
    char texts[2][64];
    snprintf(texts[0], sizeof texts[0], "%.10g", a);
    snprintf(texts[1], sizeof texts[1], "%.10g", b);
    tell(context, (const char *)sqlite3_value_text(values[0]), texts[0], texts[1]);
}

static bool read_time(sqlite3_value *value, int64_t *ret_us)
{
    const char *text = (const char *)sqlite3_value_text(value);
    return text != NULL && tbk_timestamp_parse(text, (size_t)sqlite3_value_bytes(value), ret_us);
}

static void sql_times(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    int64_t a;
    int64_t b;
    if (!read_time(values[1], &a) || !read_time(values[2], &b) || a == b) {
        sqlite3_result_text(context, "", 0, SQLITE_STATIC);
        return;
    }
    tell(context, (const char *)sqlite3_value_text(values[0]), (const char *)sqlite3_value_text(values[1]),
         (const char *)sqlite3_value_text(values[2]));
}

static void sql_microseconds(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    int64_t us;
    if (read_time(values[0], &us)) {
        sqlite3_result_int64(context, us);
    }
}

enum tbk_status tbk_doctor_functions(sqlite3 *db, struct tbk_error *error)
{
    static const struct {
        const char *name;
        int arguments;
        void (*run)(sqlite3_context *context, int count, sqlite3_value **values);
    } functions[] = {{"tbk_agrees", 3, sql_agrees},
                     {"tbk_number", 1, sql_number},
                     {"tbk_numbers", 4, sql_numbers},
                     {"tbk_times", 3, sql_times},
                     {"tbk_microseconds", 1, sql_microseconds}};
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        const int rc =
            sqlite3_create_function(db, functions[i].name, functions[i].arguments,
                                    SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, functions[i].run, NULL, NULL);
        if (rc != SQLITE_OK) {
            return tbk_sqlite_failed(db, rc, "preparing the audit", error);
        }
    }
    return TBK_OK;
}
