/* The machine's own limits, measured so that figures can be quoted as shares of them. */
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "ops/ops.h"

/* Larger than most last-level caches' share of one core, small enough to take 20 ms. */
static const size_t STREAM_BYTES = (size_t)64 << 20;

/* The median of short rounds: the clock of a shared machine wanders, and the best round would be a
 * clock that no longer run sees. */
double fc_peak(const struct fc_kernels *kernels, fc_dtype dtype)
{
    enum { ROUNDS = 15 };
    fc_peak_fn *peak = dtype == FC_FLOAT64 ? kernels->f64->peak : kernels->f32->peak;
    double rates[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        const double start = fc_seconds();
        const int64_t flops = peak(10000);
        const double rate = (double)flops / (fc_seconds() - start) * 1e-9;
        int i = round;
        for (; i > 0 && rates[i - 1] > rate; i--)
            rates[i] = rates[i - 1];
        rates[i] = rate;
    }
    return rates[ROUNDS / 2];
}

double fc_read_rate(const struct fc_kernels *kernels)
{
    double *block = fc_memory_take(STREAM_BYTES), best = 0;
    if (!block)
        return 0;
    const int64_t count = (int64_t)(STREAM_BYTES / sizeof *block);
    memset(block, 1, STREAM_BYTES);
    for (int round = 0; round < 3; round++) {
        const double start = fc_seconds();
        volatile double sum = kernels->f64->sum(block, 1, count, count);
        (void)sum;
        const double rate = (double)STREAM_BYTES / (fc_seconds() - start) * 1e-9;
        if (rate > best)
            best = rate;
    }
    fc_memory_give(block);
    return best;
}

double fc_copy_rate(void)
{
    char *block = fc_memory_take(STREAM_BYTES);
    double best = 0;
    if (!block)
        return 0;
    memset(block, 1, STREAM_BYTES);
    for (int round = 0; round < 3; round++) {
        const double start = fc_seconds();
        memcpy(block, block + STREAM_BYTES / 2, STREAM_BYTES / 2);
        const double rate = (double)STREAM_BYTES / (fc_seconds() - start) * 1e-9;
        if (rate > best)
            best = rate;
    }
    fc_memory_give(block);
    return best;
}
