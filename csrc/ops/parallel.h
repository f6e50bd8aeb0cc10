/* The drivers' view of OpenMP, and of nothing at all in a serial build. */
#ifndef FC_OPS_PARALLEL_H
#define FC_OPS_PARALLEL_H

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
