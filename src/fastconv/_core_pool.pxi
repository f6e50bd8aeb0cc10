# Pooling's part of the binding; _core.pyx includes it.

cdef class PoolPlan:
    """Every decision about one pooling; immutable."""

    cdef fc_pool_plan *plan
    cdef fc_pool_desc desc
    cdef int typenum
    cdef readonly tuple out_shape
    cdef int64_t out_sizes[4]

    def __cinit__(
        self, str kind, int64_t n, int64_t c, int64_t h, int64_t w, int64_t kh, int64_t kw,
        tuple stride, tuple padding, tuple dilation, bint ceil_mode, bint count_include_pad,
        int64_t divisor, bint channels_last, str dtype, object level,
    ):
        cdef fc_error error
        cdef fc_pool_desc *d = &self.desc
        cdef int64_t oh, ow
        cdef int i
        d.kind = FC_POOL_MAX if kind == "max" else FC_POOL_AVG
        d.n, d.c, d.h, d.w = n, c, h, w
        d.kh, d.kw = kh, kw
        d.stride[0], d.stride[1] = stride
        d.pad[0], d.pad[1], d.pad[2], d.pad[3] = padding
        d.dilation[0], d.dilation[1] = dilation
        d.ceil_mode = ceil_mode
        d.count_include_pad = count_include_pad
        d.divisor = divisor
        d.channels_last = channels_last
        d.dtype = _DTYPES[dtype]
        self.typenum = typenum_of(dtype)
        check(fc_pool_plan_create(d, level_of(level), &self.plan, &error), &error)
        fc_pool_plan_size(self.plan, &oh, &ow)
        self.out_shape = (n, oh, ow, c) if channels_last else (n, c, oh, ow)
        for i in range(4):
            self.out_sizes[i] = self.out_shape[i]

    def __dealloc__(self):
        fc_pool_plan_destroy(self.plan)

    def run_plain(self, x, out):
        """Run if the arrays are plain, contiguous, writable and disjoint; tell whether they are.

        The plan must be one for the shape of `x`.
        """
        cdef fc_pool_desc *d = &self.desc
        cdef cnp.npy_intp *shape
        cdef int first, i
        if (
            not cnp.PyArray_CheckExact(out)
            or cnp.PyArray_TYPE(out) != self.typenum
            or not cnp.PyArray_ISCARRAY(out)
            or not cnp.PyArray_CheckExact(x)
            or cnp.PyArray_TYPE(x) != self.typenum
            or not cnp.PyArray_ISCARRAY_RO(x)
            or cnp.PyArray_NDIM(x) != cnp.PyArray_NDIM(out)
            or cnp.PyArray_NDIM(x) not in (3, 4)
        ):
            return False
        first = 4 - cnp.PyArray_NDIM(out)
        shape = cnp.PyArray_DIMS(out)
        for i in range(first, 4):
            if shape[i - first] != self.out_sizes[i]:
                return False
        if d.n == 0 or not disjoint(x, out):
            return False
        pool(self, x, out, NULL)
        return True

    def run(self, x, out, indices):
        cdef fc_pool_desc *d = &self.desc
        cdef int64_t *where = NULL
        if d.channels_last:
            conform("x", x, (d.n, d.h, d.w, d.c), self.typenum, False)
        else:
            conform("x", x, (d.n, d.c, d.h, d.w), self.typenum, False)
        conform("out", out, self.out_shape, self.typenum, True)
        if indices is not None:
            conform("indices", indices, self.out_shape, cnp.NPY_INT64, True)
            if not cnp.PyArray_IS_C_CONTIGUOUS(indices):
                raise ValueError("indices must be C-contiguous")
            where = <int64_t *>cnp.PyArray_DATA(indices)
        pool(self, x, out, where)


cdef int pool(PoolPlan plan, cnp.ndarray x, cnp.ndarray out, int64_t *where) except -1:
    """The one call; all arrays conform."""
    cdef fc_array input, output
    cdef fc_error error
    cdef fc_status status
    settle(&input, x, 2, plan.desc.channels_last)
    settle(&output, out, 2, plan.desc.channels_last)
    with nogil:
        status = fc_pool_plan_run(plan.plan, &input, &output, where, &error)
    return check(status, &error)
