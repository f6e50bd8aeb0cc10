/* What the drivers offer to the planner. */
#ifndef FC_OPS_OPS_H
#define FC_OPS_OPS_H

#include "base/plan.h"

/* Elements of float16 that are converted at once: 1 KB of floats stays in L1 between the passes. */
enum { FC_HALVES = 256 };

extern const struct fc_algorithm fc_direct;
extern const struct fc_algorithm fc_im2col;
extern const struct fc_algorithm fc_pointwise;
extern const struct fc_algorithm fc_depthwise;
extern const struct fc_algorithm fc_winograd_f43;
extern const struct fc_algorithm fc_winograd_f23;
extern const struct fc_algorithm fc_winograd_f25;

extern const struct fc_weight_way fc_weight_tiles;
extern const struct fc_weight_way fc_weight_planes;

/* Fills in scratch_bytes and seconds of a plan whose sizes are known. */
void fc_pool_prepare(fc_pool_plan *plan);
/* scratch: threads * scratch_bytes, 64-byte aligned.  indices as in fc_pool_plan_run. */
void fc_pool_run(const fc_pool_plan *plan, const fc_array *x, const fc_array *y, int64_t *indices,
                 char *scratch, int threads);

/* See fc_interleave in fastconv.h. */
void fc_weave_run(const struct fc_weave *weave, int threads);

/* The gradient of an average pooling, written to all of `input`; arrays as in fc_pool_plan_spread,
 * scratch: threads * bytes. */
double fc_spread_seconds(const fc_pool_plan *plan);
size_t fc_spread_bytes(const fc_pool_plan *plan);
void fc_spread_run(const fc_pool_plan *plan, const void *output, void *input, char *scratch,
                   int threads);

/* See fc_scatter in fastconv.h; element_bytes are those of the dtype. */
double fc_scatter_seconds(const fc_scatter_desc *desc);
size_t fc_scatter_bytes(const fc_scatter_desc *desc); /* of one thread's scratch */
void fc_scatter_run(const struct fc_kernels *kernels, const fc_scatter_desc *desc,
                    size_t element_bytes, const int64_t *indices, const void *from, void *to,
                    char *scratch, int threads);

/* Fills in the blocking, scratch_bytes and seconds of a plan whose sizes are known. */
void fc_local_prepare(fc_local_plan *plan);
void fc_local_run_items(const fc_local_plan *plan, const struct fc_local_io *io);

/* Contiguous arrays of one dtype; y may be x or g. */
struct fc_elementwise {
    const struct fc_kernels *kernels;
    fc_dtype dtype;
    size_t element_bytes;
    int64_t count; /* >= 1 */
    const void *x, *g;
    void *y;
};
/* y = activation(x), or if there is a g: y = g * the derivative of the activation at x.  seconds:
 * on one thread, about. */
void fc_elementwise_run(const struct fc_elementwise *elements, const fc_activation *activation,
                        double seconds, int threads);

/* y = x * scale[c] + shift[c], c being the remainder of a plane's number by the channels. */
struct fc_scaling {
    struct fc_elementwise elements;
    int64_t planes, c;
    const double *scale, *shift;
};
void fc_scaling_run(const struct fc_scaling *work, double seconds, int threads);

/* See fc_response_norm in fastconv.h. */
struct fc_responses {
    const struct fc_kernels *kernels;
    fc_response_desc desc;
    size_t element_bytes;
    const void *x;
    void *y;
};
void fc_responses_run(const struct fc_responses *work, double seconds, int threads);

/* The machine's limits: see fc_measure_... in fastconv.h. */
double fc_peak(const struct fc_kernels *kernels, fc_dtype dtype);
double fc_read_rate(const struct fc_kernels *kernels);
double fc_copy_rate(void);

#endif
