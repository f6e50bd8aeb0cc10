/* The C API of fastconv: what a binding may call.
 *
 * A descriptor states the mathematical problem and nothing else.  A plan, made from it once, holds
 * every decision (sizes, algorithm, kernels, blocking) and never changes afterwards, so any number
 * of threads may run it at once.  Every verb that can fail returns a status and fills an fc_error,
 * whose message is final: it names the argument, the value and the rule.
 *
 * Sizes and strides count elements unless a name ends in _bytes. */
#ifndef FASTCONV_H
#define FASTCONV_H

#include <stddef.h>
#include <stdint.h>

typedef enum fc_status {
    FC_OK = 0,
    FC_INVALID,     /* a bad value: ValueError */
    FC_UNSUPPORTED, /* a forced level or algorithm that cannot serve: ValueError */
    FC_NO_MEMORY    /* MemoryError */
} fc_status;

typedef struct fc_error {
    fc_status status;
    char message[240];
} fc_error;

typedef enum fc_level { FC_GENERIC, FC_AVX2, FC_AVX512, FC_NEON, FC_LEVEL_COUNT } fc_level;

typedef enum fc_dtype {
    FC_FLOAT16, /* computed in float32, rounded once at the end */
    FC_FLOAT32,
    FC_FLOAT64,
    FC_INT8, /* integers: max pooling only */
    FC_INT16,
    FC_INT32,
    FC_INT64,
    FC_UINT8,
    FC_UINT16,
    FC_UINT32,
    FC_UINT64,
    FC_DTYPE_COUNT
} fc_dtype;

typedef enum fc_activation_kind {
    FC_NONE,
    FC_RELU,
    FC_RELU6,
    FC_SIGMOID,
    FC_TANH,
    FC_SILU,
    FC_HARDSWISH,
    FC_LEAKY_RELU, /* a: slope below zero */
    FC_CLIP,       /* a: least, b: greatest value */
    FC_ACTIVATION_COUNT
} fc_activation_kind;

typedef struct fc_activation {
    fc_activation_kind kind;
    double a, b;
} fc_activation;

/* The axis that volumes have before height and width; of images size, kernel, stride and dilation
 * are 1. */
typedef struct fc_depth {
    int64_t size, kernel, stride, dilation, pad[2]; /* pad: front, back */
} fc_depth;

/* Along an axis, tap t of the window is element first + t * step of a weight that has `size`. */
typedef struct fc_taps {
    int64_t size, first, step;
} fc_taps;

typedef struct fc_conv_desc {
    int64_t n, c, h, w;    /* input; c over all groups */
    int64_t k, cg, kh, kw; /* weight: (k, cg, depth.kernel, kh, kw) */
    fc_depth depth;
    /* The weight is that of a convolution the other way, (cg * groups, k / groups, depth, height,
     * width), of whose window some taps are used: taps[3] says which, and is unused otherwise. */
    int transposed;
    fc_taps taps[3];
    int64_t groups;
    int64_t stride[2], dilation[2]; /* h, w */
    int64_t pad[4];                 /* top, bottom, left, right */
    int channels_last;              /* NDHWC input and output; the weight stays as it is */
    fc_dtype dtype;
    fc_activation activation;
} fc_conv_desc;

typedef enum fc_pool_kind { FC_POOL_MAX, FC_POOL_AVG } fc_pool_kind;

/* Sizes of axes stand in the order d h w.  An axis that the image lacks, d of planes, d and h of
 * lines, has size, kernel, stride and dilation 1 and no padding. */
typedef struct fc_pool_desc {
    fc_pool_kind kind;
    int axes;     /* 1 to 3: those that the image has */
    int adaptive; /* kernel is the size of the output, and the next three do not count */
    int64_t n, c;
    int64_t size[3], kernel[3];
    int64_t stride[3], dilation[3], pad[6]; /* pad: front, back, top, bottom, left, right */
    int ceil_mode;
    int count_include_pad; /* average only */
    int64_t divisor;       /* average only; 0: the window's own count */
    int channels_last;
    fc_dtype dtype;
} fc_pool_desc;

enum { FC_PAD_AXES = 64 }; /* as many as an array of NumPy may have */

typedef enum fc_pad_mode {
    FC_PAD_CONSTANT,
    FC_PAD_REFLECT,   /* at the first and the last element, which are not repeated */
    FC_PAD_REPLICATE, /* these two */
    FC_PAD_CIRCULAR   /* what negative padding cuts away does not come round again */
} fc_pad_mode;

/* Negative padding shortens the axis. */
typedef struct fc_pad_desc {
    fc_pad_mode mode;
    int rank;
    int64_t size[FC_PAD_AXES], begin[FC_PAD_AXES], end[FC_PAD_AXES];
    size_t element_bytes; /* 1, 2, 4 or 8 */
} fc_pad_desc;

/* Images (n, c, h, w) and the pixels of all windows over them, (n, c * kh * kw, oh * ow). */
typedef struct fc_columns_desc {
    int64_t n, c, h, w;
    int64_t kh, kw;
    int64_t stride[2], dilation[2], pad[4];
} fc_columns_desc;

/* A layer whose output pixels have weights of their own, (oh, ow, k, c * kh * kw); its outputs have
 * their channels last.  A dense layer is one of a single pixel. */
typedef struct fc_local_desc {
    int64_t n, c, h, w;
    int64_t k, kh, kw;
    int64_t stride[2], dilation[2], pad[4];
    int channels_last;  /* of the input */
    int bias_per_pixel; /* bias is (oh, ow, k), otherwise (k) */
    fc_dtype dtype;
    fc_activation activation;
} fc_local_desc;

/* A 5-D array: data and its strides over n, c, d, h, w whatever the layout; 0 for an axis that it
 * lacks.  The innermost axis (w, or c when channels last) has stride 1 or length 1. */
typedef struct fc_array {
    void *data;
    int64_t n, c, d, h, w;
} fc_array;

typedef struct fc_plan fc_plan;
typedef struct fc_pool_plan fc_pool_plan;
typedef struct fc_local_plan fc_local_plan;
typedef struct fc_weight_plan fc_weight_plan;

/* What the estimate of a plan's time counts; csrc/plan/costs.c tells what one of each costs. */
typedef enum fc_work {
    FC_WORK_CALL,      /* dense tiles and lines */
    FC_WORK_TILE,      /* their vector multiply-adds, idle registers counted: of tiles */
    FC_WORK_LINE,      /* and of lines */
    FC_WORK_SLAB,      /* vectors that are packed into slabs */
    FC_WORK_PANEL,     /* and into panels */
    FC_WORK_STORE,     /* vectors of output that leave tiles */
    FC_WORK_INPUT,     /* vectors that Winograd's input transform makes */
    FC_WORK_OUTPUT,    /* vectors that its output transform takes */
    FC_WORK_DEPTHWISE, /* vector multiply-adds of depthwise convolution */
    FC_WORK_WEIGHTS,   /* KB of packed weights that come from beyond L2 */
    FC_WORK_FAR,       /* and those of them that come from memory */
    FC_WORK_BYTES,     /* KB of input and output */
    FC_WORK_COUNT
} fc_work;

/* What a plan tells about itself. */
typedef struct fc_plan_info {
    const char *algorithm, *level;
    int64_t od, oh, ow;
    int64_t flops;        /* 2 per multiply-add; padding counts as zeros */
    size_t packed_bytes;  /* packed weights */
    size_t scratch_bytes; /* workspace of one thread */
    int threads;          /* that would be used now */
    const char *blocking; /* block sizes, for people */
    const char *why;      /* why this algorithm, for people */
    double seconds;       /* estimated, on one thread, weights packed */
    const double *work;   /* FC_WORK_COUNT amounts that the estimate rests on */
} fc_plan_info;

/* Chooses the level once; must be called before anything else.  FASTCONV_CPU forces a level. */
fc_status fc_init(fc_error *error);
fc_level fc_level_current(void);
const char *fc_level_name(fc_level level);
/* FC_OK when the name is a level that this build has and this CPU runs. */
fc_status fc_level_find(const char *name, fc_level *level, fc_error *error);
int fc_level_available(fc_level level);

/* The one place for output sizes.  axis names the dimension in messages; *remainder is what the
 * last stride leaves over (0: the windows fit exactly). */
fc_status fc_out_size(const char *axis, int64_t size, int64_t pad_begin, int64_t pad_end,
                      int64_t kernel, int64_t stride, int64_t dilation, int ceil_mode, int64_t *out,
                      int64_t *remainder, fc_error *error);

/* Validates and gives the output size (depth, height, width), without a plan. */
fc_status fc_conv_size(const fc_conv_desc *desc, int64_t size[3], fc_error *error);

/* The names of the algorithms, i >= 0; NULL past the last. */
const char *fc_algorithm_name(int i);

/* one_shot: weights are packed for a single run, so that packing counts in the choice. */
fc_status fc_plan_create(const fc_conv_desc *desc, const char *algorithm, fc_level level,
                         int one_shot, fc_plan **plan, fc_error *error);
void fc_plan_destroy(fc_plan *plan);
void fc_plan_describe(const fc_plan *plan, fc_plan_info *info);
/* A hash of how weights are packed: plans that share it can share packed weights. */
uint64_t fc_plan_packing(const fc_plan *plan);
/* weight: contiguous; packed: fc_plan_info.packed_bytes, 64-byte aligned. */
fc_status fc_plan_pack(const fc_plan *plan, const void *weight, void *packed, fc_error *error);
/* bias (k) and residual may have data NULL. residual may be the output itself. */
fc_status fc_plan_run(const fc_plan *plan, const fc_array *input, const void *packed,
                      const void *bias, const fc_array *residual, const fc_array *output,
                      fc_error *error);
/* The same with weights as fc_plan_pack takes them, which are packed for this run alone. */
fc_status fc_plan_run_once(const fc_plan *plan, const fc_array *input, const void *weight,
                           const void *bias, const fc_array *residual, const fc_array *output,
                           fc_error *error);

/* The gradient of a convolution's weights: the sum over all outputs of grad_output times the input
 * that each tap saw.  The descriptor is the convolution's, whose activation is not looked at; way:
 * "tiles", "planes" where it serves, or "auto". */
fc_status fc_weight_plan_create(const fc_conv_desc *desc, const char *way, fc_level level,
                                fc_weight_plan **plan, fc_error *error);
void fc_weight_plan_destroy(fc_weight_plan *plan);
void fc_weight_plan_describe(const fc_weight_plan *plan, fc_plan_info *info);
/* grad_weight: contiguous, in the weights' order. */
fc_status fc_weight_plan_run(const fc_weight_plan *plan, const fc_array *input,
                             const fc_array *grad_output, void *grad_weight, fc_error *error);

fc_status fc_pool_plan_create(const fc_pool_desc *desc, fc_level level, fc_pool_plan **plan,
                              fc_error *error);
void fc_pool_plan_destroy(fc_pool_plan *plan);
/* The output's d, h and w. */
void fc_pool_plan_size(const fc_pool_plan *plan, int64_t out[3]);
/* indices: int64, flat over d h w of the input, contiguous in the output's layout, or NULL; max
 * pooling only. */
fc_status fc_pool_plan_run(const fc_pool_plan *plan, const fc_array *input, const fc_array *output,
                           int64_t *indices, fc_error *error);
/* The gradient of an average pooling: of its input, from that of its output.  Both are contiguous
 * in the plan's layout. */
fc_status fc_pool_plan_spread(const fc_pool_plan *plan, const void *output, void *input,
                              fc_error *error);

/* What goes by the indices of a max pooling, between n x c blocks of `pooled` values with an index
 * each and of `size` places.  All arrays are contiguous, with channels_last n x pooled x c. */
typedef enum fc_scatter_kind {
    FC_SCATTER_SET, /* places are zero, but for values, the last of those of one place */
    FC_SCATTER_ADD, /* the same with their sum; floating types only; index -1: no place */
    FC_SCATTER_TAKE /* values are taken from their places; index -1: zero */
} fc_scatter_kind;
typedef struct fc_scatter_desc {
    fc_scatter_kind kind;
    int64_t n, c, pooled, size;
    int channels_last;
    fc_dtype dtype;
} fc_scatter_desc;
fc_status fc_scatter(const fc_scatter_desc *desc, const int64_t *indices, const void *from,
                     void *to, fc_error *error);

/* y[..., q * count + f] = phases[f][..., q]: an array of n x c x d x h rows of w elements, the
 * phases being contiguous.  y.w is 1. */
struct fc_weave {
    int64_t n, c, d, h, w;
    size_t element_bytes; /* 2, 4 or 8 */
    int count;            /* of phases */
    const void *const *phases;
    fc_array y;
};
void fc_interleave(const struct fc_weave *weave);

/* Validates and gives the sizes of the result. */
fc_status fc_pad_size(const fc_pad_desc *desc, int64_t *out, fc_error *error);
/* value: an element, for the constant mode.  The innermost axes of x and y have stride 1 or length
 * 1. */
fc_status fc_pad(const fc_pad_desc *desc, const void *x, const int64_t *x_strides,
                 const void *value, void *y, const int64_t *y_strides, fc_error *error);

/* Validates and gives the number of windows along both axes. */
fc_status fc_columns_size(const fc_columns_desc *desc, int64_t *oh, int64_t *ow, fc_error *error);
/* The columns have the strides n, c (from row to row) and w = 1. */
fc_status fc_unfold(const fc_columns_desc *desc, size_t element_bytes, const fc_array *image,
                    const fc_array *columns, fc_error *error);
/* Each pixel becomes the sum of all that windows hold of it; floating types only. */
fc_status fc_fold(const fc_columns_desc *desc, fc_dtype dtype, const fc_array *columns,
                  const fc_array *image, fc_error *error);

fc_status fc_local_plan_create(const fc_local_desc *desc, fc_level level, fc_local_plan **plan,
                               fc_error *error);
void fc_local_plan_destroy(fc_local_plan *plan);
/* Weights are read as they are: packed_bytes is 0 and no work is counted. */
void fc_local_plan_describe(const fc_local_plan *plan, fc_plan_info *info);
/* weight and bias are contiguous; bias and residual, which may be the output, may have data NULL.
 */
fc_status fc_local_plan_run(const fc_local_plan *plan, const fc_array *input, const void *weight,
                            const void *bias, const fc_array *residual, const fc_array *output,
                            fc_error *error);

/* y[i] = activation(x[i]) for count contiguous elements; x may be y. Floating types only. */
void fc_activate(fc_dtype dtype, const fc_activation *activation, int64_t count, const void *x,
                 void *y);
/* y[i] = g[i] * the derivative of the activation at x[i]; y may be x or g. */
void fc_activate_grad(fc_dtype dtype, const fc_activation *activation, int64_t count, const void *x,
                      const void *g, void *y);
/* y = x * scale[c] + shift[c] over contiguous (n, c, pixels); y may be x. Floating types only. */
void fc_scale(fc_dtype dtype, int64_t n, int64_t c, int64_t pixels, const void *x,
              const double *scale, const double *shift, void *y);

/* Local response normalisation of contiguous (n, c, pixels): y = x / (k + alpha / size * the sum of
 * x^2 over the channels c - size / 2 to c + (size - 1) / 2) ^ (quarters / 4), quarters being 2, 3
 * or 4; float32 and float64.  y does not overlap x. */
typedef struct fc_response_desc {
    int64_t n, c, pixels, size;
    double alpha, k;
    int quarters;
    fc_dtype dtype;
} fc_response_desc;
void fc_response_norm(const fc_response_desc *desc, const void *x, void *y);

/* One step of a network: a plan, or an operator that needs none, and the arrays that it works on.
 */
typedef enum fc_step_kind {
    FC_STEP_CONV,
    FC_STEP_POOL,
    FC_STEP_LOCAL,
    FC_STEP_ACTIVATE,
    FC_STEP_RESPONSE
} fc_step_kind;

/* An array somewhere in the blocks of memory that a run is given: `array.data` is not looked at. */
typedef struct fc_place {
    int block; /* negative: there is no array */
    size_t offset_bytes;
    fc_array array;
} fc_place;

typedef struct fc_step {
    fc_step_kind kind;
    const void *plan; /* of that kind */
    fc_place x, y, residual;
    const void *weight, *bias; /* packed for a convolution; bias may be NULL */
    fc_dtype dtype;            /* these three of an activation only */
    fc_activation activation;
    int64_t count;
    fc_response_desc response; /* of such a step only */
} fc_step;

/* Runs steps one after the other; with `seconds`, tells how long each took. */
fc_status fc_steps_run(const fc_step *steps, int64_t count, void *const *blocks, double *seconds,
                       fc_error *error);

/* Threads: the most that any call may use. */
int fc_threads_get(void);
void fc_threads_set(int64_t count);     /* process-wide; clamped to FC_THREADS_MAX */
int fc_threads_override(int64_t count); /* for the calling thread; 0: none; returns the previous */
const char *fc_threads_reason(void);    /* what set the default, for people */
int fc_openmp_version(void);            /* the yyyymm of OpenMP, 0 in a serial build */
#define FC_THREADS_MAX 256

/* 64-byte aligned memory for packed weights; NULL when there is none. */
void *fc_memory_take(size_t bytes);
void fc_memory_give(void *block);

/* GFLOP/s of multiply-adds from registers on one thread, for about a millisecond: the machine's own
 * peak. */
double fc_measure_peak(fc_dtype dtype, fc_level level);
/* GB/s of one thread over memory beyond the caches. */
double fc_measure_read(void);
double fc_measure_copy(void);

#if defined(FC_TEST_HOOKS)
/* Makes the n-th allocation from now fail (counted from 0); negative: none.  Tests only. */
void fc_memory_fail(int64_t n);
#endif

#endif
