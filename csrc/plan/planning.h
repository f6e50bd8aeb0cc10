/* What the files of the planner share. */
#ifndef FC_PLAN_PLANNING_H
#define FC_PLAN_PLANNING_H

#include "base/plan.h"

/* Fills the error with a printf-style message and returns the status. */
fc_status fc_fail(fc_error *error, fc_status status, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* NULL when the level is not built in or this CPU lacks it. */
const struct fc_kernels *fc_level_kernels(fc_level level);
/* The same with a message. */
fc_status fc_kernels_find(fc_level level, const struct fc_kernels **kernels, fc_error *error);

/* fc_cpu_l2_bytes(), asked once. */
int64_t fc_l2_bytes(void);

/* Fails when a value is below its least; name as the user knows the argument. */
fc_status fc_check_least(const char *name, int64_t value, int64_t least, fc_error *error);

/* FC_NO_MEMORY when no array of these sizes, the third being the depth, can be held. */
fc_status fc_check_bytes(const char *what, const int64_t sizes[5], size_t element_bytes,
                         fc_error *error);

/* States a convolution in a zeroed plan but for its level: sizes and kernels, validated, without
 * the choice of an algorithm. */
fc_status fc_conv_state(fc_plan *plan, const fc_conv_desc *desc, fc_error *error);

size_t fc_dtype_bytes(fc_dtype dtype);

/* Scratch for all threads of a run, given back with fc_scratch_give; NULL with a message. */
char *fc_workspace(size_t thread_bytes, int threads, fc_error *error);

struct fc_gather;
/* Runs a gather that lacks nothing but its kernels. */
fc_status fc_gather_call(struct fc_gather *gather, fc_error *error);

/* NumPy leaves the stride of an axis of length 1 open; drivers and kernels take the innermost one
 * of an array of c channels and w columns to be 1. */
void fc_settle(fc_array *array, int64_t c, int64_t w, int channels_last);

/* Seconds on one thread that the amounts of work take at a level. */
double fc_work_seconds(fc_level level, const double work[FC_WORK_COUNT]);

#endif
