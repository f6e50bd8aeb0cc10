/* What work costs: the constants of the choice among algorithms, one row for each level.
 *
 * Nanoseconds for each kind of fc_work, fitted to measurements by tools/fit_costs.py, first to the
 * times and then to the choices, so that what no choice turns on may be off; it prints the row of
 * the machine that it runs on.  The shares of the rows matter, and not the machine: an algorithm is
 * chosen by ratios.
 *
 * Packed weights are fetched while others are multiplied, so that of the two the slower counts. */
#include "plan/planning.h"

/* clang-format off */
static const double costs[FC_LEVEL_COUNT][FC_WORK_COUNT] = {
    /* call   tile  line  slab panel store input output depthwise weights far bytes */
    /* AMD Zen 3 at 3.3 GHz; 182 cases, three runs: 97 to 98 % of the choices within 5 % of the best,
     * 0.4 to 0.5 % behind it in the mean.  Fitted anew since depthwise reads images in place, its cost
     * keeps its share of a tile's, and 96 to 97 % are, 0.7 to 0.9 % behind (neighbour busy). */
    [FC_AVX2] =
        {17., .169, .152, 2.6, 5.3, 3.6, 3.0, .62, .238, 24, 45, 12},
    /* The same machine, held to its SSE2: 92 to 94 %, 0.9 to 1.0 %, two runs. */
    [FC_GENERIC] =
        {12., .262, .214, 1.4, 8.0, 7.4, 7.8, 1.7, .378, 31, 42, 28},
    /* AMD Zen 5, 512-bit units; 182 cases, four runs: 98 to 99 % of the choices within 5 % of the
     * best, 0.3 to 0.6 % behind it in the mean.  A line's cost is a little more than the fit's, which
     * preferred lines to tiles that were 3 to 5 % faster. */
    [FC_AVX512] =
        {12., .130, .125, 1.6, 5.33, 1.6, 1.25, .96, .228, 11.2, 22, .13},
    /* Not measured: those of AVX2, for as many operations a cycle on half the lanes. */
    [FC_NEON] =
        {17., .169, .152, 2.6, 5.3, 3.6, 3.0, .62, .238, 24, 45, 12},
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
