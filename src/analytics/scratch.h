/*
 * A file without a name beside the database, for what would cost too much memory.
 * It is gone with the process. It is read and written, not mapped, so that a full
 * disk is an error and not a signal.
 */
#ifndef TBK_ANALYTICS_SCRATCH_H
#define TBK_ANALYTICS_SCRATCH_H

#include <stdint.h>

#include "base/error.h"

/* Opens it in the folder of the file at path. RESOURCE_EXHAUSTED: disk full;
 * UNAVAILABLE: another error. */
enum tbk_status tbk_scratch_open(const char *path, int *ret_fd, struct tbk_error *error);
enum tbk_status tbk_scratch_write(int fd, const void *data, size_t bytes, int64_t offset, struct tbk_error *error);
enum tbk_status tbk_scratch_read(int fd, void *data, size_t bytes, int64_t offset, struct tbk_error *error);

#endif
