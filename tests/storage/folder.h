/*
 * A folder of its own for each test, removed afterwards.
 */
#ifndef TBK_TESTS_FOLDER_H
#define TBK_TESTS_FOLDER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* Makes a folder below TMPDIR (/tmp) and writes its absolute path. */
void tbk_folder_create(char out[PATH_MAX]);
/* Removes it and what is in it, at any depth. */
void tbk_folder_destroy(const char *folder);

/* Writes FOLDER/NAME; returns out. */
char *tbk_folder_path(const char *folder, const char *name, char out[PATH_MAX]);

bool tbk_file_exists(const char *path);
/* The whole file, for free(); it must be there. */
char *tbk_file_read(const char *path, size_t *ret_bytes);
void tbk_file_write(const char *path, const void *data, size_t bytes);
void tbk_file_copy(const char *from, const char *to);

#endif
