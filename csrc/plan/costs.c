/* What work costs: the constants of the choice among algorithms, one row for each level.
 *
 * Nanoseconds for each kind of fc_work, fitted to measurements by tools/fit_costs.py, which prints
 * the row of the machine that it runs on.  The shares of the rows matter, and not the machine: an
 * algorithm is chosen by ratios.
 *
 * Packed weights are fetched while others are multiplied, so that of the two the slower counts. */
#include "plan/planning.h"

/* clang-format off */
static const double costs[FC_LEVEL_COUNT][FC_WORK_COUNT] = {
    /* call   tile  line  slab panel store input output depthwise weights far bytes */
    /* AMD Zen 3 at 3.3 GHz, a busy virtual machine; 182 cases: 95 % of the choices within 5 % of
     * the best, 1.6 % behind it in the mean. */
    [FC_AVX2] =
        {8.7, .195, .186, 1.2, 4.7, 3.4, 4.1, 1.7, .473, 29, 41, 37},
    /* The same machine, held to its SSE2: 90 %, 2.0 %. */
    [FC_GENERIC] =
        {17., .309, .381, 2.1, 3.7, 6.4, 5.2, 2.7, .593, 30, 40, 49},
    /* Not fitted: worked out from single measurements on Intel Sapphire Rapids, 185 GFLOP/s of FMA,
     * 22 GB/s of L3 and 13.5 GB/s of memory a core. */
    [FC_AVX512] =
        {10., .200, .215, 2.4, 6.0, 4.8, 2.6, 5.0, .850, 45, 30, 60},
    /* Not measured: those of AVX2, for as many operations a cycle on half the lanes. */
    [FC_NEON] =
        {8.7, .195, .186, 1.2, 4.7, 3.4, 4.1, 1.7, .473, 29, 41, 37},
};
/* clang-format on */

double fc_work_seconds(fc_level level, const double work[FC_WORK_COUNT])
{
    double each[FC_WORK_COUNT], sum = 0;
    for (int i = 0; i < FC_WORK_COUNT; i++)
        sum += each[i] = costs[level][i] * work[i];
    const double multiply = each[FC_WORK_TILE] + each[FC_WORK_LINE];
    const double fetch = each[FC_WORK_WEIGHTS] + each[FC_WORK_FAR];
    return (sum - (multiply < fetch ? multiply : fetch)) * 1e-9;
}
