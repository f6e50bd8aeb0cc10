/* CPU levels: which are built in, which this CPU runs, and the one in force. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "kernels/kernels.h"
#include "plan/planning.h"
#include "simd/target.h"

static const char *const names[FC_LEVEL_COUNT] = {
    [FC_GENERIC] = "generic", [FC_AVX2] = "avx2", [FC_AVX512] = "avx512", [FC_NEON] = "neon"};

static const struct fc_kernels *const tables[FC_LEVEL_COUNT] = {
    [FC_GENERIC] = &fc_kernels_generic,
#if FC_BUILD_X86
    [FC_AVX2] = &fc_kernels_avx2,
    [FC_AVX512] = &fc_kernels_avx512,
#endif
#if FC_BUILD_NEON
    [FC_NEON] = &fc_kernels_neon,
#endif
};

/* All set by fc_init and read-only afterwards: asking the CPU takes microseconds under a
 * hypervisor. */
static fc_level current = FC_GENERIC;
static int available[FC_LEVEL_COUNT];
static int64_t l2_bytes;

int fc_level_available(fc_level level)
{
    return available[level];
}

const struct fc_kernels *fc_level_kernels(fc_level level)
{
    return available[level] ? tables[level] : NULL;
}

fc_status fc_kernels_find(fc_level level, const struct fc_kernels **kernels, fc_error *error)
{
    *kernels = fc_level_kernels(level);
    if (*kernels)
        return FC_OK;
    return fc_fail(error, FC_UNSUPPORTED, "level %s is not available", names[level]);
}

const char *fc_level_name(fc_level level)
{
    return names[level];
}

int64_t fc_l2_bytes(void)
{
    return l2_bytes;
}

fc_level fc_level_current(void)
{
    return current;
}

fc_status fc_level_find(const char *name, fc_level *level, fc_error *error)
{
    const char *reason = "is unknown";
    char served[96] = "";
    size_t used = 0;
    for (int i = 0; i < FC_LEVEL_COUNT; i++) {
        if (fc_level_available((fc_level)i) && used < sizeof served)
            used += (size_t)snprintf(served + used, sizeof served - used, "%s%s", used ? ", " : "",
                                     names[i]);
        if (strcmp(name, names[i]) != 0)
            continue;
        *level = (fc_level)i;
        if (fc_level_available(*level))
            return FC_OK;
        reason = tables[i] ? "needs instructions that this CPU lacks" : "is not in this build";
    }
    return fc_fail(error, FC_UNSUPPORTED, "level '%.40s' %s; this build and CPU serve %s", name,
                   reason, served);
}

fc_status fc_init(fc_error *error)
{
    l2_bytes = fc_cpu_l2_bytes();
    for (int i = 0; i < FC_LEVEL_COUNT; i++)
        available[i] = tables[i] && fc_cpu_runs((fc_level)i);
    const char *forced = getenv("FASTCONV_CPU");
    if (forced && *forced) {
        fc_error inner;
        if (fc_level_find(forced, &current, &inner))
            return fc_fail(error, FC_UNSUPPORTED, "FASTCONV_CPU: %s", inner.message);
        return FC_OK;
    }
    for (int i = 0; i < FC_LEVEL_COUNT; i++)
        if (fc_level_available((fc_level)i))
            current = (fc_level)i;
    return FC_OK;
}
