#include "folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"

void tbk_folder_create(char out[PATH_MAX])
{
    const char *parent = getenv("TMPDIR");
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s/tradebook-test-XXXXXX", parent != NULL ? parent : "/tmp");
    assert_non_null(mkdtemp(name));
    assert_non_null(realpath(name, out));
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

void tbk_folder_destroy(const char *folder)
{
    assert_int_equal(nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

char *tbk_folder_path(const char *folder, const char *name, char out[PATH_MAX])
{
    assert_true(snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX);
    return out;
}

bool tbk_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

char *tbk_file_read(const char *path, size_t *ret_bytes)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const size_t bytes = (size_t)ftell(file);
    rewind(file);
    char *data = malloc(bytes + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, bytes, file), bytes);
    fclose(file);
    *ret_bytes = bytes;
    return data;
}

void tbk_file_write(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

void tbk_file_copy(const char *from, const char *to)
{
    size_t bytes;
    char *data = tbk_file_read(from, &bytes);
    tbk_file_write(to, data, bytes);
    free(data);
}
