/*
 * The findings of tradebook doctor on stdout.
 */
#ifndef TBK_CLI_DOCTOR_PRINT_H
#define TBK_CLI_DOCTOR_PRINT_H

#include "storage/audit.h"

/* What there is to print. */
struct tbk_doctor_result {
    const struct tbk_audit_report *report; /* how it is now */
    const struct tbk_audit_report *before; /* what was found before the repair; NULL: nothing was repaired */
    const char *backup;                    /* of the repair */
    double seconds;
};

/* False when memory is exhausted. */
typedef bool tbk_doctor_printer(const struct tbk_doctor_result *result);

/* By "table", "json" or "csv"; NULL for others. */
tbk_doctor_printer *tbk_doctor_printer_find(const char *format);

#endif
