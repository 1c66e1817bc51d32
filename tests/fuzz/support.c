#include "support.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATHS_MAX = 8 };

void fuzz_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}

bool fuzz_is_readable(int fd, int timeout_ms)
{
    struct pollfd event = {.fd = fd, .events = POLLIN};
    int count;
    do {
        count = poll(&event, 1, timeout_ms);
    } while (count < 0 && errno == EINTR);
    return count == 1;
}

static char folder[PATH_MAX];

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

static void remove_folder(void)
{
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_folder(void)
{
    if (folder[0] == '\0') {
        const char *parent = getenv("TMPDIR");
        if (parent == NULL)
            parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        snprintf(folder, sizeof folder, "%s/tradebook-fuzz-XXXXXX", parent);
        FUZZ_CHECK(mkdtemp(folder) != NULL, "no folder can be made in %s", parent);
        atexit(remove_folder);
    }
    return folder;
}

const char *fuzz_path(const char *name)
{
    static char paths[PATHS_MAX][PATH_MAX + 32];
    for (int i = 0; i < PATHS_MAX; i++) {
        if (paths[i][0] == '\0')
            snprintf(paths[i], sizeof paths[i], "%s/%s", fuzz_folder(), name);
        if (strcmp(strrchr(paths[i], '/') + 1, name) == 0)
            return paths[i];
    }
    fuzz_fail(__FILE__, __LINE__, "more than %d paths", PATHS_MAX);
}

uint8_t fuzz_take_byte(struct fuzz_input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->data++;
}

uint16_t fuzz_take_short(struct fuzz_input *input)
{
    const uint8_t low = fuzz_take_byte(input);
    return (uint16_t)(low | fuzz_take_byte(input) << 8);
}

const uint8_t *fuzz_take(struct fuzz_input *input, size_t length, size_t *ret_length)
{
    const uint8_t *data = input->data;
    *ret_length = length < input->left ? length : input->left;
    if (*ret_length > 0)
        input->data += *ret_length;
    input->left -= *ret_length;
    return data;
}

char *fuzz_take_text(struct fuzz_input *input)
{
    char *text = malloc(input->left + 1);
    size_t length = 0;
    while (input->left > 0) {
        const uint8_t byte = fuzz_take_byte(input);
        if (byte == 0xFF)
            break;
        if (byte != 0)
            text[length++] = (char)byte;
    }
    text[length] = '\0';
    return text;
}

static uint64_t random_state = 1;

void fuzz_random_seed(unsigned seed)
{
    random_state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    if (random_state == 0)
        random_state = 1;
}

uint64_t fuzz_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545F4914F6CDD1D);
}

size_t fuzz_random_below(size_t limit)
{
    return (size_t)((fuzz_random() >> 33) % limit);
}
