/* What this CPU can run. */
#ifndef FC_BASE_CPU_H
#define FC_BASE_CPU_H

#include "fastconv.h"

/* Nonzero when the CPU and the system run the level's instructions. */
int fc_cpu_runs(fc_level level);

#endif
