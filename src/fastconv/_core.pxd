"""The C API (csrc/fastconv.h) as the binding sees it; comments stand there."""

from libc.stdint cimport int64_t, uint64_t

cdef extern from "fastconv.h" nogil:
    ctypedef enum fc_status:
        FC_OK
        FC_INVALID
        FC_UNSUPPORTED
        FC_NO_MEMORY

    ctypedef struct fc_error:
        fc_status status
        char message[240]

    ctypedef enum fc_level:
        FC_LEVEL_COUNT

    ctypedef enum fc_dtype:
        FC_FLOAT16
        FC_FLOAT32
        FC_FLOAT64
        FC_INT8
        FC_INT16
        FC_INT32
        FC_INT64
        FC_UINT8
        FC_UINT16
        FC_UINT32
        FC_UINT64

    ctypedef enum fc_activation_kind:
        FC_NONE
        FC_RELU
        FC_RELU6
        FC_SIGMOID
        FC_TANH
        FC_SILU
        FC_HARDSWISH
        FC_LEAKY_RELU
        FC_CLIP

    ctypedef struct fc_activation:
        fc_activation_kind kind
        double a
        double b

    ctypedef struct fc_depth:
        int64_t size, kernel, stride, dilation
        int64_t pad[2]

    ctypedef struct fc_taps:
        int64_t size, first, step

    ctypedef struct fc_conv_desc:
        int64_t n, c, h, w
        int64_t k, cg, kh, kw
        fc_depth depth
        int transposed
        fc_taps taps[3]
        int64_t groups
        int64_t stride[2]
        int64_t dilation[2]
        int64_t pad[4]
        int channels_last
        fc_dtype dtype
        fc_activation activation

    ctypedef enum fc_pool_kind:
        FC_POOL_MAX
        FC_POOL_AVG

    ctypedef struct fc_pool_desc:
        fc_pool_kind kind
        int axes
        int adaptive
        int64_t n, c
        int64_t size[3]
        int64_t kernel[3]
        int64_t stride[3]
        int64_t dilation[3]
        int64_t pad[6]
        int ceil_mode
        int count_include_pad
        int64_t divisor
        int channels_last
        fc_dtype dtype

    enum: FC_PAD_AXES

    ctypedef enum fc_pad_mode:
        FC_PAD_CONSTANT
        FC_PAD_REFLECT
        FC_PAD_REPLICATE
        FC_PAD_CIRCULAR

    ctypedef struct fc_pad_desc:
        fc_pad_mode mode
        int rank
        int64_t size[FC_PAD_AXES]
        int64_t begin[FC_PAD_AXES]
        int64_t end[FC_PAD_AXES]
        size_t element_bytes

    ctypedef struct fc_columns_desc:
        int64_t n, c, h, w
        int64_t kh, kw
        int64_t stride[2]
        int64_t dilation[2]
        int64_t pad[4]

    ctypedef enum fc_scatter_kind:
        FC_SCATTER_SET
        FC_SCATTER_ADD
        FC_SCATTER_TAKE

    ctypedef struct fc_scatter_desc:
        fc_scatter_kind kind
        int64_t n, c, pooled, size
        int channels_last
        fc_dtype dtype

    ctypedef struct fc_local_desc:
        int64_t n, c, h, w
        int64_t k, kh, kw
        int64_t stride[2]
        int64_t dilation[2]
        int64_t pad[4]
        int channels_last
        int bias_per_pixel
        fc_dtype dtype
        fc_activation activation

    ctypedef struct fc_array:
        void *data
        int64_t n, c, d, h, w

    ctypedef struct fc_plan:
        pass

    ctypedef struct fc_pool_plan:
        pass

    ctypedef struct fc_local_plan:
        pass

    ctypedef struct fc_weight_plan:
        pass

    ctypedef struct fc_plan_info:
        const char *algorithm
        const char *level
        int64_t od, oh, ow
        int64_t flops
        size_t packed_bytes
        size_t scratch_bytes
        int threads
        const char *blocking
        const char *why
        double seconds
        const double *work

    enum: FC_WORK_COUNT

    fc_status fc_init(fc_error *error)
    fc_level fc_level_current()
    const char *fc_level_name(fc_level level)
    fc_status fc_level_find(const char *name, fc_level *level, fc_error *error)
    int fc_level_available(fc_level level)

    fc_status fc_out_size(const char *axis, int64_t size, int64_t pad_begin, int64_t pad_end,
                          int64_t kernel, int64_t stride, int64_t dilation, int ceil_mode,
                          int64_t *out, int64_t *remainder, fc_error *error)

    fc_status fc_conv_size(const fc_conv_desc *desc, int64_t size[3], fc_error *error)
    const char *fc_algorithm_name(int i)
    fc_status fc_plan_create(const fc_conv_desc *desc, const char *algorithm, fc_level level,
                             int one_shot, fc_plan **plan, fc_error *error)
    void fc_plan_destroy(fc_plan *plan)
    void fc_plan_describe(const fc_plan *plan, fc_plan_info *info)
    uint64_t fc_plan_packing(const fc_plan *plan)
    fc_status fc_plan_pack(const fc_plan *plan, const void *weight, void *packed, fc_error *error)
    fc_status fc_plan_run(const fc_plan *plan, const fc_array *input, const void *packed,
                          const void *bias, const fc_array *residual, const fc_array *output,
                          fc_error *error)

    fc_status fc_plan_run_once(
        const fc_plan *plan, const fc_array *input, const void *weight, const void *bias,
        const fc_array *residual, const fc_array *output, fc_error *error,
    )

    fc_status fc_weight_plan_create(const fc_conv_desc *desc, const char *way, fc_level level,
                                    fc_weight_plan **plan, fc_error *error)
    void fc_weight_plan_destroy(fc_weight_plan *plan)
    void fc_weight_plan_describe(const fc_weight_plan *plan, fc_plan_info *info)
    fc_status fc_weight_plan_run(const fc_weight_plan *plan, const fc_array *input,
                                 const fc_array *grad_output, void *grad_weight, fc_error *error)

    fc_status fc_pool_plan_create(const fc_pool_desc *desc, fc_level level, fc_pool_plan **plan,
                                  fc_error *error)
    void fc_pool_plan_destroy(fc_pool_plan *plan)
    void fc_pool_plan_size(const fc_pool_plan *plan, int64_t *out)
    fc_status fc_pool_plan_run(const fc_pool_plan *plan, const fc_array *input,
                               const fc_array *output, int64_t *indices, fc_error *error)
    fc_status fc_pool_plan_spread(const fc_pool_plan *plan, const void *output, void *input,
                                  fc_error *error)
    fc_status fc_scatter(const fc_scatter_desc *desc, const int64_t *indices, const void *from_,
                         void *to, fc_error *error)

    struct fc_weave:
        int64_t n, c, d, h, w
        size_t element_bytes
        int count
        const void *const *phases
        fc_array y

    void fc_interleave(const fc_weave *weave)

    fc_status fc_pad_size(const fc_pad_desc *desc, int64_t *out, fc_error *error)
    fc_status fc_pad(const fc_pad_desc *desc, const void *x, const int64_t *x_strides,
                     const void *value, void *y, const int64_t *y_strides, fc_error *error)

    fc_status fc_columns_size(const fc_columns_desc *desc, int64_t *oh, int64_t *ow,
                              fc_error *error)
    fc_status fc_unfold(const fc_columns_desc *desc, size_t element_bytes, const fc_array *image,
                        const fc_array *columns, fc_error *error)
    fc_status fc_fold(const fc_columns_desc *desc, fc_dtype dtype, const fc_array *columns,
                      const fc_array *image, fc_error *error)

    fc_status fc_local_plan_create(const fc_local_desc *desc, fc_level level, fc_local_plan **plan,
                                   fc_error *error)
    void fc_local_plan_destroy(fc_local_plan *plan)
    void fc_local_plan_describe(const fc_local_plan *plan, fc_plan_info *info)
    fc_status fc_local_plan_run(const fc_local_plan *plan, const fc_array *input,
                                const void *weight, const void *bias, const fc_array *residual,
                                const fc_array *output, fc_error *error)

    ctypedef enum fc_step_kind:
        FC_STEP_CONV
        FC_STEP_POOL
        FC_STEP_LOCAL
        FC_STEP_ACTIVATE
        FC_STEP_RESPONSE

    ctypedef struct fc_response_desc:
        int64_t n, c, pixels, size
        double alpha, k
        int quarters
        fc_dtype dtype

    void fc_response_norm(const fc_response_desc *desc, const void *x, void *y)

    ctypedef struct fc_place:
        int block
        size_t offset_bytes
        fc_array array

    ctypedef struct fc_step:
        fc_step_kind kind
        const void *plan
        fc_place x, y, residual
        const void *weight
        const void *bias
        fc_dtype dtype
        fc_activation activation
        int64_t count
        fc_response_desc response

    fc_status fc_steps_run(const fc_step *steps, int64_t count, void *const *blocks,
                           double *seconds, fc_error *error)

    void fc_activate(fc_dtype dtype, const fc_activation *activation, int64_t count, const void *x,
                     void *y)
    void fc_activate_grad(fc_dtype dtype, const fc_activation *activation, int64_t count,
                          const void *x, const void *g, void *y)
    void fc_scale(fc_dtype dtype, int64_t n, int64_t c, int64_t pixels, const void *x,
                  const double *scale, const double *shift, void *y)

    int fc_threads_get()
    void fc_threads_set(int64_t count)
    int fc_threads_override(int64_t count)
    const char *fc_threads_reason()
    int fc_openmp_version()

    void *fc_memory_take(size_t bytes)
    void fc_memory_give(void *block)

    double fc_measure_peak(fc_dtype dtype, fc_level level)
    double fc_measure_read()
    double fc_measure_copy()
