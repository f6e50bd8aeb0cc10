# Convolution's part of the binding; _core.pyx includes it.

def algorithms():
    """Return the names of all algorithms."""
    names = []
    while fc_algorithm_name(len(names)) != NULL:
        names.append(fc_algorithm_name(len(names)).decode())
    return tuple(names)


cdef int state(
    fc_conv_desc *d, int64_t n, int64_t c, tuple sizes, int64_t k, int64_t cg, tuple kernel,
    tuple stride, tuple padding, tuple dilation, int64_t groups,
) except -1:
    """Fill in the geometry of a descriptor, the tuples being those of 1 to 3 spatial axes."""
    cdef Py_ssize_t w = len(sizes) - 1
    d.n, d.c, d.k, d.cg, d.groups = n, c, k, cg, groups
    d.transposed = False
    d.depth.size = d.depth.kernel = d.depth.stride = d.depth.dilation = 1
    d.depth.pad[0] = d.depth.pad[1] = 0
    d.h = d.kh = d.stride[0] = d.dilation[0] = 1
    d.pad[0] = d.pad[1] = 0
    d.w, d.kw, d.stride[1], d.dilation[1] = sizes[w], kernel[w], stride[w], dilation[w]
    d.pad[2], d.pad[3] = padding[2 * w], padding[2 * w + 1]
    if w > 0:
        d.h, d.kh = sizes[w - 1], kernel[w - 1]
        d.stride[0], d.dilation[0] = stride[w - 1], dilation[w - 1]
        d.pad[0], d.pad[1] = padding[2 * w - 2], padding[2 * w - 1]
    if w > 1:
        d.depth.size, d.depth.kernel = sizes[0], kernel[0]
        d.depth.stride, d.depth.dilation = stride[0], dilation[0]
        d.depth.pad[0], d.depth.pad[1] = padding[0], padding[1]
    return 0


cdef int transpose(fc_conv_desc *d, tuple taps) except -1:
    """State which taps of a transposed weight the window has."""
    cdef Py_ssize_t first = 3 - len(taps)
    d.transposed = True
    for i in range(first):
        d.taps[i].size, d.taps[i].first, d.taps[i].step = 1, 0, 1
    for i in range(first, 3):
        d.taps[i].size, d.taps[i].first, d.taps[i].step = taps[i - first]
    return 0


cdef tuple arranged(int64_t n, int64_t c, tuple sizes, bint channels_last):
    """Return the shape of a batch."""
    return (n, *sizes, c) if channels_last else (n, c, *sizes)


cdef class Packed:
    """Weights in the order that a plan's kernels read them."""

    cdef void *data
    cdef uint64_t packing

    def __dealloc__(self):
        fc_memory_give(self.data)


cdef class ConvPlan:
    """Every decision about one convolution; immutable."""

    cdef fc_plan *plan
    cdef fc_conv_desc desc
    cdef fc_plan_info info
    cdef int typenum
    cdef int axes
    cdef tuple in_shape
    cdef tuple weight_shape
    cdef readonly tuple out_shape
    cdef readonly uint64_t packing

    def __cinit__(
        self, int64_t n, int64_t c, tuple sizes, int64_t k, int64_t cg, tuple kernel,
        tuple stride, tuple padding, tuple dilation, int64_t groups, bint channels_last,
        str dtype, tuple activation, str algorithm, object level, bint one_shot,
        tuple taps=None,
    ):
        """Make the plan; `taps` are (size, first, step) of each axis of a transposed weight."""
        cdef fc_error error
        cdef fc_conv_desc *d = &self.desc
        cdef bytes name = algorithm.encode()
        state(d, n, c, sizes, k, cg, kernel, stride, padding, dilation, groups)
        if taps is not None:
            transpose(d, taps)
        d.channels_last = channels_last
        d.dtype = _DTYPES[dtype]
        d.activation = activation_of(activation)
        self.typenum = typenum_of(dtype)
        check(fc_plan_create(d, name, level_of(level), one_shot, &self.plan, &error), &error)
        fc_plan_describe(self.plan, &self.info)
        self.packing = fc_plan_packing(self.plan)
        self.axes = <int>len(sizes)
        self.in_shape = arranged(n, c, sizes, channels_last)
        if taps is None:
            self.weight_shape = (k, cg, *kernel)
        else:
            self.weight_shape = (c, k // groups, *[size for size, _, _ in taps])
        out_sizes = (self.info.od, self.info.oh, self.info.ow)[3 - self.axes:]
        self.out_shape = arranged(n, k, out_sizes, channels_last)

    def __dealloc__(self):
        fc_plan_destroy(self.plan)

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
        fc_plan_describe(self.plan, &info)
        return info.threads

    @property
    def seconds(self):
        return self.info.seconds

    @property
    def work(self):
        return tuple(self.info.work[i] for i in range(FC_WORK_COUNT))

    @property
    def blocking(self):
        return self.info.blocking.decode()

    @property
    def why(self):
        return self.info.why.decode()

    cdef int conform_weight(self, cnp.ndarray weight) except -1:
        conform("weight", weight, self.weight_shape, self.typenum, False)
        if not cnp.PyArray_IS_C_CONTIGUOUS(weight):
            raise ValueError("weight must be C-contiguous")
        return 0

    def pack(self, cnp.ndarray weight not None):
        cdef Packed packed = Packed.__new__(Packed)
        cdef fc_error error
        cdef fc_status status
        cdef const void *data
        self.conform_weight(weight)
        packed.data = fc_memory_take(self.info.packed_bytes)
        if not packed.data:
            raise MemoryError(f"no memory for {self.info.packed_bytes} bytes of packed weights")
        packed.packing = self.packing
        data = cnp.PyArray_DATA(weight)
        with nogil:
            status = fc_plan_pack(self.plan, data, packed.data, &error)
        check(status, &error)
        return packed

    def run(self, x, weights, bias, residual, out):
        """Run with packed weights, or with an array of them that is packed for this once."""
        conform("x", x, self.in_shape, self.typenum, False)
        conform("out", out, self.out_shape, self.typenum, True)
        if residual is not None:
            conform("residual", residual, self.out_shape, self.typenum, False)
        if bias is not None and (
            cnp.PyArray_TYPE(bias) != self.typenum or cnp.PyArray_SIZE(bias) != self.desc.k
            or not cnp.PyArray_ISCARRAY_RO(bias)
        ):
            raise ValueError("bias must be a contiguous array of the output channels")
        if isinstance(weights, Packed):
            if (<Packed>weights).packing != self.packing:
                raise ValueError("packed weights belong to another plan")
            run(self, x, <Packed>weights, bias, residual, out)
        else:
            self.conform_weight(weights)
            run_once(self, x, weights, bias, residual, out)


cdef const void *prepare(
    ConvPlan plan, cnp.ndarray x, object bias, object residual, cnp.ndarray out, fc_array *arrays,
) noexcept:
    """Fill in input, output and residual of a run; return the bias."""
    cdef bint channels_last = plan.desc.channels_last
    settle(&arrays[0], x, plan.axes, channels_last)
    settle(&arrays[1], out, plan.axes, channels_last)
    arrays[2].data = NULL
    if residual is not None:
        settle(&arrays[2], residual, plan.axes, channels_last)
    return cnp.PyArray_DATA(bias) if bias is not None else NULL


cdef int run(ConvPlan plan, cnp.ndarray x, Packed packed, object bias, object residual,
             cnp.ndarray out) except -1:
    """The one call; all arrays conform."""
    cdef fc_array arrays[3]
    cdef const void *bias_data = prepare(plan, x, bias, residual, out, arrays)
    cdef fc_error error
    cdef fc_status status
    with nogil:
        status = fc_plan_run(plan.plan, &arrays[0], packed.data, bias_data, &arrays[2], &arrays[1],
                             &error)
    return check(status, &error)


cdef int run_once(ConvPlan plan, cnp.ndarray x, cnp.ndarray weight, object bias, object residual,
                  cnp.ndarray out) except -1:
    """The same with weights that are packed for this call alone."""
    cdef fc_array arrays[3]
    cdef const void *bias_data = prepare(plan, x, bias, residual, out, arrays)
    cdef const void *weight_data = cnp.PyArray_DATA(weight)
    cdef fc_error error
    cdef fc_status status
    with nogil:
        status = fc_plan_run_once(plan.plan, &arrays[0], weight_data, bias_data, &arrays[2],
                                  &arrays[1], &error)
    return check(status, &error)


cdef class _Published:
    """What the fast path of a prepared convolution serves; never changed, only replaced."""

    cdef ConvPlan plan
    cdef Packed packed
    cdef object bias
    cdef int typenum, rank
    cdef cnp.npy_intp shape[5]
    cdef cnp.npy_intp out_shape[5]

    cdef bint fits(self, object array, const cnp.npy_intp *shape) noexcept:
        return plain(array, self.typenum, self.rank, shape)


cdef class ConvBase:
    """The call of a Conv2d and its kin: at once to C for the input it knows, else `_general`."""

    cdef _Published published

    def _publish(self, ConvPlan plan not None, Packed packed not None, bias, tuple shape, str dtype,
                 int rank):
        cdef _Published published = _Published.__new__(_Published)
        cdef int i
        published.plan = plan
        published.packed = packed
        published.bias = bias
        published.typenum = typenum_of(dtype)
        published.rank = rank
        for i in range(rank):
            published.shape[i] = shape[i]
            published.out_shape[i] = plan.out_shape[plan.axes + 2 - rank + i]
        self.published = published

    def _forget(self):
        self.published = None

    def __call__(self, x, /, *, out=None, residual=None):
        cdef _Published known = self.published
        if known is None or not known.fits(x, known.shape):
            return self._general(x, out, residual)
        if residual is not None and not known.fits(residual, known.out_shape):
            return self._general(x, out, residual)
        if out is None:
            out = cnp.PyArray_EMPTY(known.rank, known.out_shape, known.typenum, 0)
        elif (
            not known.fits(out, known.out_shape)
            or not cnp.PyArray_ISWRITEABLE(out)
            or not disjoint(out, x)
            or (residual is not None and residual is not out and not disjoint(out, residual))
        ):
            return self._general(x, out, residual)
        run(known.plan, x, known.packed, known.bias, residual, out)
        return out


def conv_size(
    int64_t n, int64_t c, tuple sizes, int64_t k, int64_t cg, tuple kernel, tuple stride,
    tuple padding, tuple dilation, int64_t groups,
):
    """Validate a convolution and return the output size of each of its spatial axes."""
    cdef fc_conv_desc d
    cdef int64_t size[3]
    cdef fc_error error
    state(&d, n, c, sizes, k, cg, kernel, stride, padding, dilation, groups)
    d.channels_last = False
    d.dtype = FC_FLOAT64  # the largest: what fits it fits all
    d.activation.kind = FC_NONE
    check(fc_conv_size(&d, size, &error), &error)
    return (size[0], size[1], size[2])[3 - len(sizes):]


def interleave(list phases not None, cnp.ndarray out not None, int axes):
    """Write ``out[..., f::len(phases)] = phases[f]``, channels first, with `axes` spatial axes.

    Phases are contiguous, of the dtype of `out`, whose last axis is contiguous as well.
    """
    cdef fc_weave weave
    cdef const void *data[64]
    cdef int typenum = cnp.PyArray_TYPE(out), f, first = cnp.PyArray_NDIM(out) - axes - 1
    cdef cnp.npy_intp *shape = cnp.PyArray_DIMS(out)
    cdef int last = cnp.PyArray_NDIM(out) - 1
    cdef cnp.npy_intp width = shape[last]
    weave.count = <int>len(phases)
    if weave.count > 64 or first not in (0, 1):
        raise ValueError("at most 64 phases of an array with channels")
    for f in range(weave.count):
        if f >= width:
            raise ValueError(f"{weave.count} phases of rows of {width}")
        part = (*np.shape(out)[:last], (width - f + weave.count - 1) // weave.count)
        conform("phase", phases[f], part, typenum, False)
        if not cnp.PyArray_IS_C_CONTIGUOUS(phases[f]):
            raise ValueError("phase must be C-contiguous")
        data[f] = cnp.PyArray_DATA(phases[f])
    conform("out", out, np.shape(out), typenum, True)
    weave.element_bytes = cnp.PyArray_ITEMSIZE(out)
    weave.phases = data
    settle(&weave.y, out, axes, False)
    weave.n = shape[0] if first else 1
    weave.c = shape[first]
    weave.d = shape[first + 1] if axes > 2 else 1
    weave.h = shape[first + axes - 1] if axes > 1 else 1
    weave.w = width
    with nogil:
        fc_interleave(&weave)
