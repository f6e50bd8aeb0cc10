# Pooling's part of the binding; _core.pyx includes it.

cdef dict _SCATTERS = {
    "set": FC_SCATTER_SET, "add": FC_SCATTER_ADD, "take": FC_SCATTER_TAKE,
}


cdef class PoolPlan:
    """Every decision about one pooling; immutable."""

    cdef fc_pool_plan *plan
    cdef fc_pool_desc desc
    cdef int typenum
    cdef readonly tuple sizes
    cdef readonly tuple in_shape
    cdef readonly tuple out_shape
    cdef int64_t out_sizes[5]

    def __cinit__(
        self, str kind, bint adaptive, int64_t n, int64_t c, tuple sizes, tuple kernel,
        tuple stride, tuple padding, tuple dilation, bint ceil_mode, bint count_include_pad,
        int64_t divisor, bint channels_last, str dtype, object level,
    ):
        cdef fc_error error
        cdef fc_pool_desc *d = &self.desc
        cdef int axes = <int>len(sizes)
        cdef int64_t out[3]
        cdef int i, axis
        if not 1 <= axes <= 3 or not (
            len(kernel) == len(stride) == len(dilation) == axes and len(padding) == 2 * axes
        ):
            raise ValueError("a pooling has 1 to 3 axes, and as many numbers of each kind")
        d.kind = FC_POOL_MAX if kind == "max" else FC_POOL_AVG
        d.axes = axes
        d.adaptive = adaptive
        d.n, d.c = n, c
        for i in range(3):
            axis = i - (3 - axes)
            d.size[i] = sizes[axis] if axis >= 0 else 1
            d.kernel[i] = kernel[axis] if axis >= 0 else 1
            d.stride[i] = stride[axis] if axis >= 0 else 1
            d.dilation[i] = dilation[axis] if axis >= 0 else 1
            d.pad[2 * i] = padding[2 * axis] if axis >= 0 else 0
            d.pad[2 * i + 1] = padding[2 * axis + 1] if axis >= 0 else 0
        d.ceil_mode = ceil_mode
        d.count_include_pad = count_include_pad
        d.divisor = divisor
        d.channels_last = channels_last
        d.dtype = _DTYPES[dtype]
        self.typenum = typenum_of(dtype)
        check(fc_pool_plan_create(d, level_of(level), &self.plan, &error), &error)
        fc_pool_plan_size(self.plan, out)
        spatial = tuple([out[3 - axes + i] for i in range(axes)])
        self.sizes = sizes
        self.out_shape = arranged(n, c, spatial, channels_last)
        self.in_shape = arranged(n, c, sizes, channels_last)
        for i in range(axes + 2):
            self.out_sizes[i] = self.out_shape[i]

    def __dealloc__(self):
        fc_pool_plan_destroy(self.plan)

    def run_plain(self, x, out):
        """Run if the arrays are plain, contiguous, writable and disjoint; tell whether they are.

        The plan must be one for the shape of `x`.
        """
        cdef fc_pool_desc *d = &self.desc
        cdef cnp.npy_intp *shape
        cdef int first, i, rank = d.axes + 2
        if (
            not cnp.PyArray_CheckExact(out)
            or cnp.PyArray_TYPE(out) != self.typenum
            or not cnp.PyArray_ISCARRAY(out)
            or not cnp.PyArray_CheckExact(x)
            or cnp.PyArray_TYPE(x) != self.typenum
            or not cnp.PyArray_ISCARRAY_RO(x)
            or cnp.PyArray_NDIM(x) != cnp.PyArray_NDIM(out)
            or cnp.PyArray_NDIM(x) not in (rank - 1, rank)
        ):
            return False
        first = rank - cnp.PyArray_NDIM(out)
        shape = cnp.PyArray_DIMS(out)
        for i in range(first, rank):
            if shape[i - first] != self.out_sizes[i]:
                return False
        if d.n == 0 or not disjoint(x, out):
            return False
        pool(self, x, out, NULL)
        return True

    def run(self, x, out, indices):
        cdef int64_t *where = NULL
        conform("x", x, self.in_shape, self.typenum, False)
        conform("out", out, self.out_shape, self.typenum, True)
        if indices is not None:
            conform("indices", indices, self.out_shape, cnp.NPY_INT64, True)
            if not cnp.PyArray_IS_C_CONTIGUOUS(indices):
                raise ValueError("indices must be C-contiguous")
            where = <int64_t *>cnp.PyArray_DATA(indices)
        pool(self, x, out, where)

    def spread(self, grad_output, out):
        """Write the gradient of the input; both arrays are C-contiguous."""
        cdef fc_error error
        cdef fc_status status
        cdef const void *given
        cdef void *wanted
        conform("grad_output", grad_output, self.out_shape, self.typenum, False)
        conform("out", out, self.in_shape, self.typenum, True)
        if not cnp.PyArray_IS_C_CONTIGUOUS(grad_output) or not cnp.PyArray_IS_C_CONTIGUOUS(out):
            raise ValueError("grad_output and out must be C-contiguous")
        given = cnp.PyArray_DATA(grad_output)
        wanted = cnp.PyArray_DATA(out)
        with nogil:
            status = fc_pool_plan_spread(self.plan, given, wanted, &error)
        check(status, &error)


cdef int pool(PoolPlan plan, cnp.ndarray x, cnp.ndarray out, int64_t *where) except -1:
    """The one call; all arrays conform."""
    cdef fc_array input, output
    cdef fc_error error
    cdef fc_status status
    settle(&input, x, plan.desc.axes, plan.desc.channels_last)
    settle(&output, out, plan.desc.axes, plan.desc.channels_last)
    with nogil:
        status = fc_pool_plan_run(plan.plan, &input, &output, where, &error)
    return check(status, &error)


def scatter(str kind, bint channels_last, indices, pooled, image):
    """Bring values to their places in an image or back: of `image` and `pooled`, which have the
    same batch and channels, the one that is written and the one that is read."""
    cdef fc_scatter_desc d
    cdef fc_error error
    cdef fc_status status
    cdef const int64_t *where
    cdef void *source
    cdef void *target
    cdef int rank = cnp.PyArray_NDIM(pooled)
    cdef int i, channels = rank - 1 if channels_last else 1
    read, written = (image, pooled) if kind == "take" else (pooled, image)
    d.kind = _SCATTERS[kind]
    d.channels_last = channels_last
    d.dtype = _DTYPES[pooled.dtype.name]
    d.n, d.c = pooled.shape[0], pooled.shape[channels]
    if cnp.PyArray_NDIM(image) != rank or image.shape[0] != d.n or image.shape[channels] != d.c:
        raise ValueError("image and pooled must have the same batch and channels")
    conform("indices", indices, pooled.shape, cnp.NPY_INT64, False)
    conform("read", read, read.shape, typenum_of(pooled.dtype.name), False)
    conform("written", written, written.shape, typenum_of(pooled.dtype.name), True)
    for array in (indices, pooled, image):
        if not cnp.PyArray_IS_C_CONTIGUOUS(array):
            raise ValueError("indices, pooled and image must be C-contiguous")
    d.pooled = d.size = 1
    for i in range(1, rank):
        if i != channels:
            d.pooled *= pooled.shape[i]
            d.size *= image.shape[i]
    where = <const int64_t *>cnp.PyArray_DATA(indices)
    source = cnp.PyArray_DATA(read)
    target = cnp.PyArray_DATA(written)
    with nogil:
        status = fc_scatter(&d, where, source, target, &error)
    check(status, &error)
