/* The verbs that need no plan: each finds the kernels and calls its driver. */
#include "ops/ops.h"
#include "plan/planning.h"

void fc_activate(fc_dtype dtype, const fc_activation *activation, int64_t count, const void *x,
                 void *y)
{
    fc_activate_run(fc_level_kernels(fc_level_current()), dtype, activation, count, x, y);
}

double fc_measure_peak(fc_dtype dtype, fc_level level)
{
    const struct fc_kernels *kernels = fc_level_kernels(level);
    return kernels ? fc_peak(kernels, dtype) : 0;
}

double fc_measure_read(void)
{
    return fc_read_rate(fc_level_kernels(fc_level_current()));
}

double fc_measure_copy(void)
{
    return fc_copy_rate();
}
