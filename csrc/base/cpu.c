/* CPU detection (base/cpu.h); the compiler's own asks the system about wide registers too. */
#include "base/cpu.h"

#include "base/checked.h"

#if defined(__linux__)
#include <unistd.h>
#endif

#if defined(__GNUC__) && defined(__x86_64__)
#include <cpuid.h>

/* Not every compiler's own detection knows F16C. */
static int has_f16c(void)
{
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}
#endif

int fc_cpu_runs(fc_level level)
{
    switch (level) {
    case FC_GENERIC:
        return 1;
#if defined(__GNUC__) && defined(__x86_64__)
    case FC_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
    case FC_AVX512:
        return fc_cpu_runs(FC_AVX2) && __builtin_cpu_supports("avx512f") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
#elif defined(__aarch64__)
    case FC_NEON:
        return 1;
#endif
    default:
        return 0;
    }
}

int64_t fc_cpu_l2_bytes(void)
{
    int64_t bytes = 0;
#if defined(_SC_LEVEL2_CACHE_SIZE)
    bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return bytes <= 0 ? 1 << 20 : fc_min(fc_max(bytes, 256 << 10), 4 << 20);
}
