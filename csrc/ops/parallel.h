/* The drivers' view of OpenMP, and of nothing at all in a serial build. */
#ifndef FC_OPS_PARALLEL_H
#define FC_OPS_PARALLEL_H

#include <stdint.h>

/* Items for a thread to claim at once, of `items` that take `seconds` together on one thread: 10 us
 * of work, to which claiming (some 50 ns) and the other thread's cache lines are nothing, and no
 * more than a quarter of a thread's share, so that one that is held up does not hold up the call.
 */
static inline int64_t fc_claim(double seconds, int64_t items, int threads)
{
    const double item_seconds = seconds / (double)items;
    const int64_t useful = item_seconds > 10e-6 ? 1 : (int64_t)(10e-6 / item_seconds);
    const int64_t most = items / (4 * threads);
    return useful < 1 || most < 1 ? 1 : useful < most ? useful : most;
}

#if defined(_OPENMP)
#include <omp.h>
static inline int fc_thread_index(void)
{
    return omp_get_thread_num();
}
#else
static inline int fc_thread_index(void)
{
    return 0;
}
#endif

#endif
