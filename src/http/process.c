#include "http/process.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static void expose_processor_time(struct tbk_exposition *exposition)
{
    static const struct tbk_metric metric = {"process_cpu_seconds", TBK_METRIC_COUNTER, "seconds",
                                             "Processor time used, of the program and of the system for it."};
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        tbk_exposition_single(exposition, &metric, seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
}

static void expose_memory(struct tbk_exposition *exposition)
{
    static const struct tbk_metric metric = {"process_resident_memory_bytes", TBK_METRIC_GAUGE, "bytes",
                                             "Memory in use."};
    FILE *file = fopen("/proc/self/statm", "re");
    long pages = 0;
    /* NOLINTNEXTLINE(cert-err34-c): the numbers are the kernel's */
    if (file != NULL && fscanf(file, "%*s %ld", &pages) == 1)
        tbk_exposition_single(exposition, &metric, (double)pages * (double)sysconf(_SC_PAGESIZE));
    if (file != NULL)
        fclose(file);
}

static void expose_descriptors(struct tbk_exposition *exposition)
{
    static const struct tbk_metric open = {"process_open_fds", TBK_METRIC_GAUGE, NULL, "File descriptors open."};
    static const struct tbk_metric limit = {"process_max_fds", TBK_METRIC_GAUGE, NULL,
                                            "File descriptors that may be open."};
    DIR *folder = opendir("/proc/self/fd");
    if (folder != NULL) {
        int entries = -3; /* without ".", ".." and the descriptor of the folder */
        while (readdir(folder) != NULL)
            entries++;
        closedir(folder);
        tbk_exposition_single(exposition, &open, entries);
    }
    struct rlimit descriptors;
    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0)
        tbk_exposition_single(exposition, &limit, (double)descriptors.rlim_cur);
}

void tbk_process_expose(int64_t started_at_us, struct tbk_exposition *exposition)
{
    static const struct tbk_metric started = {"process_start_time_seconds", TBK_METRIC_GAUGE, "seconds",
                                              "When the process started, in seconds since 1970."};
    tbk_exposition_single(exposition, &started, (double)started_at_us * 1e-6);
    expose_processor_time(exposition);
    expose_memory(exposition);
    expose_descriptors(exposition);
}
