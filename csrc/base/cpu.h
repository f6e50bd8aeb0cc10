/* What this CPU can run. */
#ifndef FC_BASE_CPU_H
#define FC_BASE_CPU_H

#include "fastconv.h"

/* Nonzero when the CPU and the system run the level's instructions. */
int fc_cpu_runs(fc_level level);

/* Bytes of a core's second-level cache, within 256 KB and 4 MB; 1 MB where the system does not say.
 */
int64_t fc_cpu_l2_bytes(void);

#endif
