#include "fault_control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct fault_control *control;

void fault_control_open(void)
{
    const char *path = getenv("TBK_FAULT_CONTROL");
    const int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    void *memory = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory != MAP_FAILED) {
        control = memory;
    }
}

struct fault_control *fault_control(void)
{
    return control;
}

bool fault_control_hits(uint32_t kind)
{
    if (control == NULL) {
        return false;
    }
    const uint32_t number = atomic_fetch_add(&control->calls[kind], 1) + 1;
    const uint32_t nth = atomic_load(&control->nth);
    const uint32_t every = atomic_load(&control->every);
    if (kind != atomic_load(&control->kind) || number < nth ||
        (number > nth && (every == 0 || (number - nth) % every != 0))) {
        return false;
    }
    atomic_fetch_add(&control->failed, 1);
    errno = (int)atomic_load(&control->error);
    return true;
}
