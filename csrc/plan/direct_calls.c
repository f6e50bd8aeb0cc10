/* The verbs that need no plan: each finds the kernels and calls its driver. */
#include "base/threads.h"
#include "ops/ops.h"
#include "plan/planning.h"

void fc_activate(fc_dtype dtype, const fc_activation *activation, int64_t count, const void *x,
                 void *y)
{
    fc_activate_run(fc_level_kernels(fc_level_current()), dtype, activation, count, x, y);
}

void fc_interleave(const struct fc_weave *v)
{
    const double bytes = (double)(v->n * v->c * v->d * v->h * v->w) * (double)v->element_bytes;
    fc_weave_run(v, fc_threads_for(bytes / 8e9)); /* read and written, from L2 */
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
