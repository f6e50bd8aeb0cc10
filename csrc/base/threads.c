/* The thread chooser and its fork guard (base/threads.h).
 *
 * libgomp's pool does not survive fork(): a child that opens a parallel region after its parent has
 * used one hangs, whatever num_threads says.  So the child of a parent that went parallel stays
 * serial. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* sched_getaffinity, CPU_COUNT */
#endif
#include "base/threads.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "fastconv.h"

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(_WIN32)
#include <windows.h>
#else
#include <pthread.h>
#include <unistd.h>
#endif

#if defined(_MSC_VER)
#define THREAD_LOCAL __declspec(thread)
#define ATOMIC_LOAD(p) (*(volatile int *)(p))
#define ATOMIC_STORE(p, v) (*(volatile int *)(p) = (v))
#else
#define THREAD_LOCAL _Thread_local
#define ATOMIC_LOAD(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define ATOMIC_STORE(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#endif

/* Below this a fork and join, warm, may cost more than the second core brings: 1 us hot, 3 between
 * cores whose caches lie far apart, and several times that when the other core has gone to sleep.
 * On Zen 5 layers of 15 to 20 us gained 1.75 to 1.8 from two threads, those of 9 us 1.0 to 1.5. */
static const double PARALLEL_SECONDS = 12e-6;

static int process_threads;             /* set by fc_threads_set; 0: the default */
static THREAD_LOCAL int thread_threads; /* set by fc_threads_override; 0: none */
static int default_limit;               /* environment and cgroup, read once; 0: not yet read */
static const char *default_reason = "";
static int went_parallel, forked_after;

#if !defined(_WIN32)
static void after_fork_in_child(void)
{
    if (ATOMIC_LOAD(&went_parallel))
        ATOMIC_STORE(&forked_after, 1);
}
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, after_fork_in_child);
}
#endif

static int cpus_allowed(void)
{
#if defined(__linux__)
    cpu_set_t *set;
    /* The kernel's set may be wider than cpu_set_t's 1,024 CPUs. */
    for (int cpus = 1024; cpus <= 1 << 20; cpus *= 4) {
        const size_t bytes = CPU_ALLOC_SIZE(cpus);
        if (!(set = CPU_ALLOC(cpus)))
            return 1;
        const int failed = sched_getaffinity(0, bytes, set);
        const int count = failed ? 0 : CPU_COUNT_S(bytes, set);
        CPU_FREE(set);
        if (!failed)
            return count > 0 ? count : 1;
    }
    return 1;
#elif defined(_WIN32)
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return (int)info.dwNumberOfProcessors;
#else
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (int)count : 1;
#endif
}

/* A positive count from the environment; OMP_NUM_THREADS may be a list, whose first entry counts.
 */
static int environment_limit(const char *name)
{
    const char *text = getenv(name);
    if (!text)
        return INT_MAX;
    char *end;
    const long value = strtol(text, &end, 10);
    if (end == text || value < 1)
        return INT_MAX;
    return value > FC_THREADS_MAX ? FC_THREADS_MAX : (int)value;
}

#if defined(__linux__)

static int read_line(const char *path, char *line, int size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    const int ok = fgets(line, size, file) != NULL;
    fclose(file);
    return ok;
}

static int quota_to_cpus(long long quota, long long period)
{
    if (quota <= 0 || period <= 0)
        return INT_MAX;
    const long long cpus = (quota + period - 1) / period;
    return cpus < INT_MAX ? (int)cpus : INT_MAX;
}

/* The smallest quota of a group and all groups above it, for a nested group is bound by each. */
static int group_quota(const char *root, const char *group, int version)
{
    char path[1024], line[128];
    int limit = INT_MAX;
    size_t length = strlen(group);
    for (;;) {
        int cpus = INT_MAX;
        long long quota, period;
        if (version == 2) {
            snprintf(path, sizeof path, "%s%.*s/cpu.max", root, (int)length, group);
            if (read_line(path, line, sizeof line) &&
                sscanf(line, "%lld %lld", &quota, &period) == 2)
                cpus = quota_to_cpus(quota, period);
        } else {
            snprintf(path, sizeof path, "%s%.*s/cpu.cfs_quota_us", root, (int)length, group);
            if (read_line(path, line, sizeof line) && sscanf(line, "%lld", &quota) == 1) {
                snprintf(path, sizeof path, "%s%.*s/cpu.cfs_period_us", root, (int)length, group);
                if (read_line(path, line, sizeof line) && sscanf(line, "%lld", &period) == 1)
                    cpus = quota_to_cpus(quota, period);
            }
        }
        limit = (int)fc_min(limit, cpus);
        if (length == 0)
            return limit;
        while (length > 0 && group[length - 1] != '/')
            length--;
        if (length > 0)
            length--;
    }
}

static int cgroup_limit(void)
{
    int limit = INT_MAX;
    char line[768];
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file)
        return limit;
    /* hierarchy:controllers:/path; version 2 has hierarchy 0 and no controllers. */
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *controllers++ = 0;
        *group++ = 0;
        char *rest;
        if (strcmp(group, "/") == 0)
            group = "";
        if (*controllers == 0) {
            limit = (int)fc_min(limit, group_quota("/sys/fs/cgroup", group, 2));
            continue;
        }
        for (char *name = strtok_r(controllers, ",", &rest); name;
             name = strtok_r(NULL, ",", &rest))
            if (strcmp(name, "cpu") == 0) {
                limit = (int)fc_min(limit, group_quota("/sys/fs/cgroup/cpu", group, 1));
                limit = (int)fc_min(limit, group_quota("/sys/fs/cgroup/cpu", "", 1));
            }
    }
    fclose(file);
    return limit;
}

#else

static int cgroup_limit(void)
{
    return INT_MAX;
}

#endif

static void default_read(void)
{
    const struct {
        int limit;
        const char *reason;
    } limits[] = {{environment_limit("FASTCONV_NUM_THREADS"), "FASTCONV_NUM_THREADS"},
                  {environment_limit("OMP_NUM_THREADS"), "OMP_NUM_THREADS"},
                  {cgroup_limit(), "the CPU quota of the control group"}};
    int limit = INT_MAX;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (limits[i].limit < limit) {
            limit = limits[i].limit;
            default_reason = limits[i].reason;
        }
    ATOMIC_STORE(&default_limit, limit);
}

/* The CPUs are asked each time, as a process may change its affinity while it runs. */
static int default_threads(const char **reason)
{
#if defined(_WIN32)
    if (!ATOMIC_LOAD(&default_limit))
        default_read();
#else
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, default_read);
#endif
    const int limit = ATOMIC_LOAD(&default_limit), cpus = cpus_allowed();
    *reason = limit < cpus ? default_reason : "the CPUs that this process may run on";
    return (int)fc_min(fc_min(limit, cpus), FC_THREADS_MAX);
}

static int chosen(const char **reason)
{
    if (!fc_openmp_version()) {
        *reason = "a build without OpenMP";
        return 1;
    }
    if (ATOMIC_LOAD(&forked_after)) {
        *reason = "a fork after the parent had used OpenMP, which would hang";
        return 1;
    }
    if (thread_threads) {
        *reason = "num_threads() of this Python thread";
        return thread_threads;
    }
    const int set = ATOMIC_LOAD(&process_threads);
    if (set) {
        *reason = "set_num_threads()";
        return set;
    }
    return default_threads(reason);
}

int fc_threads_get(void)
{
    const char *reason;
    return chosen(&reason);
}

const char *fc_threads_reason(void)
{
    const char *reason;
    chosen(&reason);
    return reason;
}

void fc_threads_set(int64_t count)
{
    ATOMIC_STORE(&process_threads, (int)fc_min(count, FC_THREADS_MAX));
}

int fc_threads_override(int64_t count)
{
    const int previous = thread_threads;
    thread_threads = (int)fc_min(count, FC_THREADS_MAX);
    return previous;
}

int fc_openmp_version(void)
{
#if defined(_OPENMP)
    return _OPENMP;
#else
    return 0;
#endif
}

int fc_threads_wanted(double seconds)
{
    return seconds < PARALLEL_SECONDS ? 1 : fc_threads_get();
}

int fc_threads_for(double seconds)
{
    const int threads = fc_threads_wanted(seconds);
#if !defined(_WIN32)
    if (threads > 1 && !ATOMIC_LOAD(&went_parallel)) {
        pthread_once(&fork_once, watch_forks);
        ATOMIC_STORE(&went_parallel, 1);
    }
#endif
    return threads;
}
