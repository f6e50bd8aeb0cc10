/* What work costs: the constants of the choice among algorithms, one row for each level.
 *
 * Nanoseconds for each kind of fc_work, fitted to measurements by tools/fit_costs.py, which prints
 * the row of the machine that it runs on.  The shares of the rows matter, and not the machine: an
 * algorithm is chosen by ratios. */
#include "plan/planning.h"

/* clang-format off */
static const double costs[FC_LEVEL_COUNT][FC_WORK_COUNT] = {
    /* call   tile  line  slab panel store input output depthwise weights far bytes */
    /* AMD Zen 3 at 3.1 GHz, a virtual machine; 182 cases: 92 % of the choices within 5 % of the
     * best, 1.7 % behind it in the mean. */
    [FC_AVX2] =
        {8.5, .184, .230, 2.1, 6.0, 5.5, 3.6, 1.1, .475, 15, 15, 43},
    /* The same machine, held to its SSE2: 93 %, 1.4 %. */
    [FC_GENERIC] =
        {8.5, .300, .380, 2.4, 3.6, 10., 7.0, 1.9, .750, 12, 12, 20},
    /* Not fitted: worked out from single measurements on Intel Sapphire Rapids, 185 GFLOP/s of FMA
     * and 22 GB/s of L3 a core. */
    [FC_AVX512] =
        {10., .200, .215, 2.4, 6.0, 4.8, 2.6, 5.0, .850, 25, 30, 60},
    /* Not measured: those of AVX2, for as many operations a cycle on half the lanes. */
    [FC_NEON] =
        {8.5, .184, .230, 2.1, 6.0, 5.5, 3.6, 1.1, .475, 15, 15, 43},
};
/* clang-format on */

double fc_work_seconds(fc_level level, const double work[FC_WORK_COUNT])
{
    double nanoseconds = 0;
    for (int i = 0; i < FC_WORK_COUNT; i++)
        nanoseconds += costs[level][i] * work[i];
    return nanoseconds * 1e-9;
}
