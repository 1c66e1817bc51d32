#include <float.h>
#include <math.h>

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

static void agrees(sqlite3_context *context, int count, sqlite3_value **values)
{
    double numbers[3];
    for (int i = 0; i < count; i++) {
        const int type = sqlite3_value_type(values[i]);
        numbers[i] = sqlite3_value_double(values[i]);
        if ((type != SQLITE_FLOAT && type != SQLITE_INTEGER) || !isfinite(numbers[i])) {
            return; /* NULL */
        }
    }
    const double noise = NOISE * fmax(fabs(numbers[2]), fmax(fabs(numbers[0]), fabs(numbers[1])));
    sqlite3_result_int(context,
                       fabs(numbers[0] - numbers[1]) <= noise || is_rounded_to(numbers[0], numbers[1]) ? 1 : 0);
}

static void microseconds(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    const char *text = (const char *)sqlite3_value_text(values[0]);
    int64_t us;
    if (text != NULL && tbk_timestamp_parse(text, (size_t)sqlite3_value_bytes(values[0]), &us)) {
        sqlite3_result_int64(context, us);
    }
}

enum tbk_status tbk_doctor_functions(sqlite3 *db, struct tbk_error *error)
{
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
    int rc = sqlite3_create_function(db, "tbk_agrees", 3, flags, NULL, agrees, NULL, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_create_function(db, "tbk_microseconds", 1, flags, NULL, microseconds, NULL, NULL);
    }
    return rc == SQLITE_OK ? TBK_OK : tbk_sqlite_failed(db, rc, "preparing the audit", error);
}
