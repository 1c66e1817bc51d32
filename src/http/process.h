/*
 * What the system knows of this process, as the metrics that Prometheus' own
 * libraries tell of every process.
 */
#ifndef TBK_HTTP_PROCESS_H
#define TBK_HTTP_PROCESS_H

#include <stdint.h>

#include "metrics/exposition.h"

/* What cannot be found out is left out. Any thread. */
void tbk_process_expose(int64_t started_at_us, struct tbk_exposition *exposition);

#endif
