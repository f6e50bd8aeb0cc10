# The part of the binding for gradients; _core.pyx includes it.

cdef class WeightPlan:
    """Every decision about the gradient of a convolution's weights; immutable."""

    cdef fc_weight_plan *plan
    cdef fc_conv_desc desc
    cdef fc_plan_info info
    cdef int typenum
    cdef int axes
    cdef tuple in_shape
    cdef readonly tuple out_shape
    cdef readonly tuple weight_shape

    def __cinit__(
        self, int64_t n, int64_t c, tuple sizes, int64_t k, int64_t cg, tuple kernel,
        tuple stride, tuple padding, tuple dilation, int64_t groups, bint channels_last,
        str dtype, str algorithm, object level,
    ):
        cdef fc_error error
        cdef fc_conv_desc *d = &self.desc
        cdef bytes name = algorithm.encode()
        state(d, n, c, sizes, k, cg, kernel, stride, padding, dilation, groups)
        d.channels_last = channels_last
        d.dtype = _DTYPES[dtype]
        d.activation.kind = FC_NONE
        self.typenum = typenum_of(dtype)
        check(fc_weight_plan_create(d, name, level_of(level), &self.plan, &error), &error)
        fc_weight_plan_describe(self.plan, &self.info)
        self.axes = <int>len(sizes)
        self.in_shape = arranged(n, c, sizes, channels_last)
        self.weight_shape = (k, cg, *kernel)
        out_sizes = (self.info.od, self.info.oh, self.info.ow)[3 - self.axes:]
        self.out_shape = arranged(n, k, out_sizes, channels_last)

    def __dealloc__(self):
        fc_weight_plan_destroy(self.plan)

    @property
    def algorithm(self):
        return self.info.algorithm.decode()

    @property
    def level(self):
        return self.info.level.decode()

    @property
    def blocking(self):
        return self.info.blocking.decode()

    @property
    def scratch_bytes(self):
        return self.info.scratch_bytes

    @property
    def seconds(self):
        return self.info.seconds

    def run(self, x, grad_output, cnp.ndarray out not None):
        cdef fc_array input, output
        cdef fc_error error
        cdef fc_status status
        cdef void *weight = cnp.PyArray_DATA(out)
        conform("x", x, self.in_shape, self.typenum, False)
        conform("grad_output", grad_output, self.out_shape, self.typenum, False)
        if (
            cnp.PyArray_TYPE(out) != self.typenum or not cnp.PyArray_ISCARRAY(out)
            or (<object>out).shape != self.weight_shape
        ):
            raise ValueError(f"out must be a contiguous array of shape {self.weight_shape}")
        settle(&input, x, self.axes, self.desc.channels_last)
        settle(&output, grad_output, self.axes, self.desc.channels_last)
        with nogil:
            status = fc_weight_plan_run(self.plan, &input, &output, weight, &error)
        check(status, &error)
