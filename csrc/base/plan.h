/* The inside of a plan, shared by the planner (csrc/plan), which makes it, and the drivers
 * (csrc/ops), which fill in their blocking and run it.  Immutable once made. */
#ifndef FC_BASE_PLAN_H
#define FC_BASE_PLAN_H

#include "fastconv.h"

struct fc_kernels;
struct fc_family;
struct fc_run;

/* Everything that one run needs beside the plan. */
struct fc_conv_io {
    fc_array x, y, residual; /* residual.data may be NULL */
    const void *packed;
    const void *weight; /* as it comes, in place of packed: see fc_algorithm.block_bytes */
    const void *bias;   /* (k) in the plan's dtype, or NULL */
    char *scratch;      /* threads * scratch_bytes, 64-byte aligned */
    /* One thread's: the plan's, and block_bytes where weights are not packed. */
    size_t scratch_bytes;
    int threads;
};

/* One way to convolve.  The planner asks every row of its table and takes the cheapest. */
struct fc_algorithm {
    const char *name;
    /* NULL when it can serve the plan's problem, otherwise the reason, for the user. */
    const char *(*supports)(const fc_plan *);
    /* Adds what a run takes, apart from reading and writing input and output once. */
    void (*count)(const fc_plan *, double work[FC_WORK_COUNT]);
    double pack_seconds;   /* of packing one element of the weights */
    size_t blocking_bytes; /* size of plan->blocking, zeroed before prepare */
    /* Chooses the blocking, packed_bytes and scratch_bytes; may allocate plan->runs and
     * plan->place. */
    fc_status (*prepare)(fc_plan *);
    /* weight: family elements, contiguous, in the order that the descriptor says. */
    void (*pack)(const fc_plan *, const void *weight, void *packed, int threads);
    void (*run)(const fc_plan *, const struct fc_conv_io *);
    /* What a thread of so many needs beside its scratch to pack a block of weights just before it
     * is used, where each is used once; otherwise 0, as where there is no function. */
    size_t (*block_bytes)(const fc_plan *, int threads);
};

struct fc_plan {
    fc_conv_desc desc;
    int64_t kg;         /* output channels per group */
    int64_t od, oh, ow; /* output size */
    int64_t images;     /* planes of all outputs */
    int64_t channels;   /* of a group, over all taps of the depth (ops/planes.h) */
    int64_t taps;       /* channels * kh * kw: of an output element */
    int64_t flops;
    size_t element_bytes; /* of the packed data: 4 for float16 */
    size_t io_bytes;      /* of an element of input and output */
    fc_level level;
    int64_t l2_bytes; /* of the CPU that will run it */
    const struct fc_kernels *kernels;
    const struct fc_family *family;
    const struct fc_algorithm *algorithm;
    double work[FC_WORK_COUNT];
    double seconds; /* what that costs, on one thread */
    size_t packed_bytes;
    size_t scratch_bytes; /* one thread's */
    struct fc_run *runs;  /* the reduction over the packed input */
    int64_t run_count;
    int64_t packed_channels; /* output channels side by side in the packed weights, if they vary */
    int32_t *place;          /* where each tap of the weights' own order stands in the reduction */
    void *blocking;          /* the algorithm's own sizes, known to its driver alone */
    char blocking_text[160];
    char why[160];
};

/* Everything that one run of a gradient of weights needs beside the plan. */
struct fc_weight_io {
    fc_array x, y; /* y: grad_output */
    void *grad_weight;
    char *scratch; /* as the way's scratch says, 64-byte aligned */
    int threads;
};

/* One way to compute the gradient of a convolution's weights.  The plans are the convolution's. */
struct fc_weight_way {
    const char *name;
    int (*serves)(const fc_plan *);
    /* Adds what a run takes. */
    void (*count)(const fc_plan *, double work[FC_WORK_COUNT]);
    size_t blocking_bytes; /* size of plan->blocking, zeroed before prepare */
    fc_status (*prepare)(fc_plan *);
    size_t (*scratch)(const fc_plan *, int threads);
    void (*run)(const fc_plan *, const struct fc_weight_io *);
};

struct fc_weight_plan {
    fc_plan conv; /* without an algorithm; runs and blocking are the way's */
    const struct fc_weight_way *way;
};

/* How a pooling is computed (csrc/ops/pool.c). */
enum fc_pool_path {
    FC_POOL_PLANES,
    FC_POOL_SPANS,
    FC_POOL_BESIDE,
    FC_POOL_PIXELS,
    FC_POOL_WHOLE,
    FC_POOL_WINDOWS,
    FC_POOL_PIECES
};

struct fc_pool_plan {
    fc_pool_desc desc; /* adaptive axes whose windows are all alike as ordinary ones */
    int adaptive[3];   /* the others: their windows vary */
    int64_t out[3];
    enum fc_pool_path path;
    int64_t item_rows, item_cols; /* output rows and columns of one item */
    int64_t lines;                /* rows that are joined at once, in L1 */
    int64_t item_planes;          /* planes of one item that go together */
    size_t element_bytes, io_bytes;
    const struct fc_kernels *kernels;
    const struct fc_family *family;  /* NULL for integers */
    double seconds, index_seconds;   /* without and with indices */
    size_t line_bytes, joined_bytes; /* parts of the scratch */
    size_t scratch_bytes;
};

/* A layer without shared weights (csrc/ops/local.c). */
struct fc_local_plan {
    fc_local_desc desc;
    int64_t oh, ow;
    int64_t length; /* of a window: weights of one output element */
    int64_t flops;
    int64_t item_rows, item_images;
    size_t element_bytes, io_bytes;
    const struct fc_kernels *kernels;
    const struct fc_family *family;
    double seconds;
    size_t scratch_bytes; /* one thread's */
    char blocking_text[80];
};

/* Everything that one run of it needs beside the plan. */
struct fc_local_io {
    fc_array x, y, residual;   /* residual.data may be NULL */
    const void *weight, *bias; /* bias may be NULL */
    char *scratch;             /* threads * plan->scratch_bytes, 64-byte aligned */
    int threads;
};

#endif
