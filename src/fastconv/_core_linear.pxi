# Dense and locally connected layers' part of the binding; _core.pyx includes it.

cdef class LocalPlan:
    """Every decision about one layer whose weights are not shared; immutable.

    The result has its channels last. A dense layer is one of a single pixel.
    """

    cdef fc_local_plan *plan
    cdef fc_local_desc desc
    cdef fc_plan_info info
    cdef int typenum
    cdef readonly tuple out_shape

    def __cinit__(
        self, int64_t n, int64_t c, int64_t h, int64_t w, int64_t k, int64_t kh, int64_t kw,
        tuple stride, tuple padding, tuple dilation, bint channels_last, bint bias_per_pixel,
        str dtype, tuple activation, object level,
    ):
        cdef fc_error error
        cdef fc_local_desc *d = &self.desc
        d.n, d.c, d.h, d.w = n, c, h, w
        d.k, d.kh, d.kw = k, kh, kw
        d.stride[0], d.stride[1] = stride
        d.pad[0], d.pad[1], d.pad[2], d.pad[3] = padding
        d.dilation[0], d.dilation[1] = dilation
        d.channels_last = channels_last
        d.bias_per_pixel = bias_per_pixel
        d.dtype = _DTYPES[dtype]
        d.activation = activation_of(activation)
        self.typenum = typenum_of(dtype)
        check(fc_local_plan_create(d, level_of(level), &self.plan, &error), &error)
        fc_local_plan_describe(self.plan, &self.info)
        self.out_shape = (n, self.info.oh, self.info.ow, k)

    def __dealloc__(self):
        fc_local_plan_destroy(self.plan)

    @property
    def algorithm(self):
        return self.info.algorithm.decode()

    @property
    def level(self):
        return self.info.level.decode()

    @property
    def flops(self):
        return self.info.flops

    @property
    def packed_bytes(self):
        return self.info.packed_bytes

    @property
    def scratch_bytes(self):
        return self.info.scratch_bytes

    @property
    def threads(self):
        cdef fc_plan_info info
        fc_local_plan_describe(self.plan, &info)
        return info.threads

    @property
    def blocking(self):
        return self.info.blocking.decode()

    @property
    def why(self):
        return self.info.why.decode()

    def run(self, x, cnp.ndarray weight not None, bias, residual, out):
        cdef fc_local_desc *d = &self.desc
        cdef int64_t pixels = self.info.oh * self.info.ow
        cdef fc_array input, output, added
        if d.channels_last:
            conform("x", x, (d.n, d.h, d.w, d.c), self.typenum, False)
        else:
            conform("x", x, (d.n, d.c, d.h, d.w), self.typenum, False)
        conform("out", out, self.out_shape, self.typenum, True)
        check_whole("weight", weight, pixels * d.k * d.c * d.kh * d.kw, self.typenum)
        if bias is not None:
            check_whole("bias", bias, (pixels if d.bias_per_pixel else 1) * d.k, self.typenum)
        settle(&input, x, 2, d.channels_last)
        settle(&output, out, 2, True)
        added.data = NULL
        if residual is not None:
            conform("residual", residual, self.out_shape, self.typenum, False)
            settle(&added, residual, 2, True)
        run_local(self, &input, weight, bias, &added, &output)


cdef int check_whole(str name, cnp.ndarray array, int64_t size, int typenum) except -1:
    """Check all that keeps C within a contiguous array of any shape."""
    if (
        cnp.PyArray_TYPE(array) != typenum or cnp.PyArray_SIZE(array) != size
        or not cnp.PyArray_ISCARRAY_RO(array)
    ):
        raise ValueError(f"{name} must be a contiguous array of {size} elements")
    return 0


cdef int run_local(LocalPlan plan, fc_array *x, cnp.ndarray weight, object bias,
                   fc_array *residual, fc_array *out) except -1:
    """The one call; all arrays conform."""
    cdef const void *weight_data = cnp.PyArray_DATA(weight)
    cdef const void *bias_data = NULL
    cdef fc_error error
    cdef fc_status status
    if bias is not None:
        bias_data = cnp.PyArray_DATA(bias)
    with nogil:
        status = fc_local_plan_run(plan.plan, x, weight_data, bias_data, residual, out, &error)
    return check(status, &error)


cdef class _KnownInput:
    """An input that the fast path of a Linear serves; never changed, only replaced."""

    cdef LocalPlan plan
    cdef int rank
    cdef cnp.npy_intp shape[4]
    cdef cnp.npy_intp out_shape[4]


cdef class LinearState:
    """A Linear's weights with what serves them; of all of them, a call sees one state."""

    cdef readonly cnp.ndarray weight
    cdef readonly object bias
    cdef readonly ConvBase conv
    cdef _KnownInput known

    def __init__(self, cnp.ndarray weight not None, bias, ConvBase conv not None):
        self.weight = weight
        self.bias = bias
        self.conv = conv

    def publish(self, LocalPlan plan not None, tuple shape):
        """Serve inputs of this shape, of one to four axes, by the plan from now on."""
        cdef _KnownInput known = _KnownInput.__new__(_KnownInput)
        cdef fc_local_desc *d = &plan.desc
        cdef int64_t samples = 1
        cdef int i
        known.plan = plan
        known.rank = <int>len(shape)
        for i in range(known.rank):
            known.shape[i] = known.out_shape[i] = shape[i]
            samples *= shape[i]
        known.out_shape[known.rank - 1] = d.k
        if samples != d.n * d.c or shape[known.rank - 1] != d.c:
            raise ValueError(f"the plan is not one for an input of shape {shape}")
        check_whole("weight", self.weight, d.k * d.c, plan.typenum)
        if self.bias is not None:
            check_whole("bias", self.bias, d.k, plan.typenum)
        self.known = known


cdef class LinearBase:
    """The call of a Linear: at once to C for the input it knows, else through `_general`."""

    cdef readonly LinearState _state

    def _serve(self, LinearState state not None):
        self._state = state

    def __call__(self, x, /, *, out=None, residual=None):
        cdef LinearState state = self._state
        cdef _KnownInput known
        cdef fc_array input, output, added
        cdef int typenum
        if state.conv.published is not None and (
            state.conv.published.fits(x, state.conv.published.shape)
        ):
            return state.conv(x, out=out, residual=residual)
        known = state.known
        if known is None or residual is not None:
            return self._general(x, out, residual)
        typenum = known.plan.typenum
        if not plain(x, typenum, known.rank, known.shape):
            return self._general(x, out, residual)
        if out is None:
            out = cnp.PyArray_EMPTY(known.rank, known.out_shape, typenum, 0)
        elif (
            not plain(out, typenum, known.rank, known.out_shape)
            or not cnp.PyArray_ISWRITEABLE(out)
            or not disjoint(out, x)
        ):
            return self._general(x, out, residual)
        input.data, output.data, added.data = cnp.PyArray_DATA(x), cnp.PyArray_DATA(out), NULL
        input.n, output.n = known.plan.desc.c, known.plan.desc.k
        input.c = output.c = 1
        input.d = input.h = input.w = output.d = output.h = output.w = 0
        run_local(known.plan, &input, state.weight, state.bias, &added, &output)
        return out
