/* What the drivers offer to the planner. */
#ifndef FC_OPS_OPS_H
#define FC_OPS_OPS_H

#include "base/plan.h"

extern const struct fc_algorithm fc_direct;
extern const struct fc_algorithm fc_im2col;
extern const struct fc_algorithm fc_pointwise;
extern const struct fc_algorithm fc_depthwise;
extern const struct fc_algorithm fc_winograd_f43;
extern const struct fc_algorithm fc_winograd_f23;
extern const struct fc_algorithm fc_winograd_f25;

/* Fills in scratch_bytes and seconds of a plan whose sizes are known. */
void fc_pool_prepare(fc_pool_plan *plan);
/* scratch: threads * scratch_bytes, 64-byte aligned.  indices as in fc_pool_plan_run. */
void fc_pool_run(const fc_pool_plan *plan, const fc_array *x, const fc_array *y, int64_t *indices,
                 char *scratch, int threads);

/* Fills in the blocking, scratch_bytes and seconds of a plan whose sizes are known. */
void fc_local_prepare(fc_local_plan *plan);
void fc_local_run_items(const fc_local_plan *plan, const struct fc_local_io *io);

void fc_activate_run(const struct fc_kernels *kernels, fc_dtype dtype,
                     const fc_activation *activation, int64_t count, const void *x, void *y);

/* The machine's limits: see fc_measure_... in fastconv.h. */
double fc_peak(const struct fc_kernels *kernels, fc_dtype dtype);
double fc_read_rate(const struct fc_kernels *kernels);
double fc_copy_rate(void);

#endif
