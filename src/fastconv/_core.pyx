# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=True
# cython: auto_pickle=False, autotestdict=False
"""The binding: arguments in normal form, one C call each, one place that maps errors.

Knows the C API (csrc/fastconv.h) and decides nothing. Arrays come checked and settled from the
Python layer; what could read or write out of bounds is checked here once more.
"""

cimport numpy as cnp
from libc.stdint cimport int64_t, uint64_t

import numpy as np

cnp.import_array()

cdef extern from *:
    """
    #if defined(FC_TEST_HOOKS)
    static const int fc_test_hooks = 1;
    #else
    static const int fc_test_hooks = 0;
    static void fc_memory_fail(int64_t n) { (void)n; }
    #endif
    #if defined(__clang__)
    #define FC_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define FC_COMPILER "gcc " __VERSION__
    #elif defined(_MSC_VER)
    #define FC_COMPILER "msvc"
    #else
    #define FC_COMPILER "unknown"
    #endif
    """
    const int fc_test_hooks
    void fc_memory_fail(int64_t n) nogil
    const char *FC_COMPILER


cdef int check(fc_status status, fc_error *error) except -1:
    """Map a status to an exception; the message is final."""
    if status == FC_OK:
        return 0
    kind = MemoryError if status == FC_NO_MEMORY else ValueError
    raise kind(error.message.decode(errors="replace"))


cdef dict _ACTIVATIONS = {
    "none": FC_NONE, "relu": FC_RELU, "relu6": FC_RELU6, "sigmoid": FC_SIGMOID, "tanh": FC_TANH,
    "silu": FC_SILU, "hardswish": FC_HARDSWISH, "leaky_relu": FC_LEAKY_RELU, "clip": FC_CLIP,
}
cdef dict _DTYPES = {
    "float16": FC_FLOAT16, "float32": FC_FLOAT32, "float64": FC_FLOAT64,
    "int8": FC_INT8, "int16": FC_INT16, "int32": FC_INT32, "int64": FC_INT64,
    "uint8": FC_UINT8, "uint16": FC_UINT16, "uint32": FC_UINT32, "uint64": FC_UINT64,
}


def algorithms():
    """Return the names of all algorithms."""
    names = []
    while fc_algorithm_name(len(names)) != NULL:
        names.append(fc_algorithm_name(len(names)).decode())
    return tuple(names)


cdef fc_activation activation_of(tuple form):
    cdef fc_activation activation
    activation.kind = _ACTIVATIONS[form[0]]
    activation.a = form[1]
    activation.b = form[2]
    return activation


cdef fc_level level_of(object name) except *:
    cdef fc_level level = fc_level_current()
    cdef fc_error error
    if name is not None:
        check(fc_level_find(name.encode(), &level, &error), &error)
    return level


cdef void settle(fc_array *array, cnp.ndarray a, bint channels_last) noexcept:
    """Take data and strides of a rank 3 or 4 array; rank 3 is one image."""
    cdef cnp.npy_intp item = cnp.PyArray_ITEMSIZE(a)
    cdef cnp.npy_intp *strides = cnp.PyArray_STRIDES(a)
    cdef int first = cnp.PyArray_NDIM(a) - 3
    array.data = cnp.PyArray_DATA(a)
    array.n = strides[0] // item if first else 0
    array.c = strides[first + (2 if channels_last else 0)] // item
    array.h = strides[first + (0 if channels_last else 1)] // item
    array.w = strides[first + (1 if channels_last else 2)] // item


cdef int conform(str name, object array, tuple shape, int typenum, bint writable) except -1:
    """Check all that keeps C within the array's bounds."""
    cdef cnp.ndarray a
    cdef int rank, i, first
    if not cnp.PyArray_Check(array):
        raise ValueError(f"{name} must be an ndarray, got {type(array).__name__}")
    a = array
    rank = cnp.PyArray_NDIM(a)
    first = 4 - rank
    if cnp.PyArray_TYPE(a) != typenum or not cnp.PyArray_ISBEHAVED_RO(a) or (
        writable and not cnp.PyArray_ISWRITEABLE(a)
    ):
        raise ValueError(f"{name} must be an aligned native array of the plan's dtype")
    if rank not in (3, 4) or (rank == 3 and shape[0] != 1):
        raise ValueError(f"{name} must have the shape {shape}, got {array.shape}")
    for i in range(rank):
        if cnp.PyArray_DIM(a, i) != shape[first + i]:
            raise ValueError(f"{name} must have the shape {shape}, got {array.shape}")
        if cnp.PyArray_STRIDE(a, i) % cnp.PyArray_ITEMSIZE(a):
            raise ValueError(f"{name} must have strides of whole elements")
    if cnp.PyArray_SIZE(a) and cnp.PyArray_DIM(a, rank - 1) > 1 and (
        cnp.PyArray_STRIDE(a, rank - 1) != cnp.PyArray_ITEMSIZE(a)
    ):
        raise ValueError(f"{name} must be contiguous along its last axis")
    return 0


cdef int state(
    fc_conv_desc *d, int64_t n, int64_t c, int64_t h, int64_t w, int64_t k, int64_t cg, int64_t kh,
    int64_t kw, tuple stride, tuple padding, tuple dilation, int64_t groups,
) except -1:
    """Fill in the geometry of a descriptor."""
    d.n, d.c, d.h, d.w = n, c, h, w
    d.k, d.cg, d.kh, d.kw = k, cg, kh, kw
    d.stride[0], d.stride[1] = stride
    d.pad[0], d.pad[1], d.pad[2], d.pad[3] = padding
    d.dilation[0], d.dilation[1] = dilation
    d.groups = groups
    return 0


cdef int typenum_of(str dtype) except -1:
    return np.dtype(dtype).num


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
    cdef readonly tuple out_shape
    cdef readonly uint64_t packing

    def __cinit__(
        self, int64_t n, int64_t c, int64_t h, int64_t w, int64_t k, int64_t cg, int64_t kh,
        int64_t kw, tuple stride, tuple padding, tuple dilation, int64_t groups,
        bint channels_last, str dtype, tuple activation, str algorithm, object level,
        bint one_shot,
    ):
        cdef fc_error error
        cdef fc_conv_desc *d = &self.desc
        cdef bytes name = algorithm.encode()
        state(d, n, c, h, w, k, cg, kh, kw, stride, padding, dilation, groups)
        d.channels_last = channels_last
        d.dtype = _DTYPES[dtype]
        d.activation = activation_of(activation)
        self.typenum = typenum_of(dtype)
        check(fc_plan_create(d, name, level_of(level), one_shot, &self.plan, &error), &error)
        fc_plan_describe(self.plan, &self.info)
        self.packing = fc_plan_packing(self.plan)
        if channels_last:
            self.out_shape = (n, self.info.oh, self.info.ow, k)
        else:
            self.out_shape = (n, k, self.info.oh, self.info.ow)

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

    def pack(self, cnp.ndarray weight not None):
        cdef fc_conv_desc *d = &self.desc
        cdef Packed packed = Packed.__new__(Packed)
        cdef fc_error error
        cdef fc_status status
        cdef const void *data
        conform("weight", weight, (d.k, d.cg, d.kh, d.kw), self.typenum, False)
        if not cnp.PyArray_IS_C_CONTIGUOUS(weight):
            raise ValueError("weight must be C-contiguous")
        packed.data = fc_memory_take(self.info.packed_bytes)
        if not packed.data:
            raise MemoryError(f"no memory for {self.info.packed_bytes} bytes of packed weights")
        packed.packing = self.packing
        data = cnp.PyArray_DATA(weight)
        with nogil:
            status = fc_plan_pack(self.plan, data, packed.data, &error)
        check(status, &error)
        return packed

    def run(self, x, Packed packed not None, bias, residual, out):
        cdef fc_conv_desc *d = &self.desc
        if d.channels_last:
            conform("x", x, (d.n, d.h, d.w, d.c), self.typenum, False)
        else:
            conform("x", x, (d.n, d.c, d.h, d.w), self.typenum, False)
        conform("out", out, self.out_shape, self.typenum, True)
        if residual is not None:
            conform("residual", residual, self.out_shape, self.typenum, False)
        if bias is not None and (
            cnp.PyArray_TYPE(bias) != self.typenum or cnp.PyArray_SIZE(bias) != d.k
            or not cnp.PyArray_ISCARRAY_RO(bias)
        ):
            raise ValueError("bias must be a contiguous array of the output channels")
        if packed.packing != self.packing:
            raise ValueError("packed weights belong to another plan")
        run(self, x, packed, bias, residual, out)


cdef int run(ConvPlan plan, cnp.ndarray x, Packed packed, object bias, object residual,
             cnp.ndarray out) except -1:
    """The one call; all arrays conform."""
    cdef fc_array input, output, added
    cdef const void *bias_data = NULL
    cdef fc_error error
    cdef fc_status status
    cdef bint channels_last = plan.desc.channels_last
    settle(&input, x, channels_last)
    settle(&output, out, channels_last)
    added.data = NULL
    if residual is not None:
        settle(&added, residual, channels_last)
    if bias is not None:
        bias_data = cnp.PyArray_DATA(bias)
    with nogil:
        status = fc_plan_run(plan.plan, &input, packed.data, bias_data, &added, &output, &error)
    return check(status, &error)


cdef bint plain(object array, int typenum, int rank, const cnp.npy_intp *shape) noexcept:
    """Whether it is a plain contiguous ndarray of the dtype and shape."""
    cdef int i
    if not cnp.PyArray_CheckExact(array):
        return False
    if (
        cnp.PyArray_TYPE(array) != typenum
        or cnp.PyArray_NDIM(array) != rank
        or not cnp.PyArray_ISCARRAY_RO(array)
    ):
        return False
    for i in range(rank):
        if cnp.PyArray_DIM(array, i) != shape[i]:
            return False
    return True


cdef class _Published:
    """What the fast path of a Conv2d serves; never changed, only replaced."""

    cdef ConvPlan plan
    cdef Packed packed
    cdef object bias
    cdef int typenum, rank
    cdef cnp.npy_intp shape[4]
    cdef cnp.npy_intp out_shape[4]

    cdef bint fits(self, object array, const cnp.npy_intp *shape) noexcept:
        return plain(array, self.typenum, self.rank, shape)


cdef bint disjoint(object a, object b) noexcept:
    """Whether two contiguous arrays share no byte."""
    cdef char *a_data = <char *>cnp.PyArray_DATA(a)
    cdef char *b_data = <char *>cnp.PyArray_DATA(b)
    return (
        a_data + cnp.PyArray_NBYTES(a) <= b_data or b_data + cnp.PyArray_NBYTES(b) <= a_data
    )


cdef class Conv2dBase:
    """The call of a Conv2d: at once to C for the input it knows, else through `_general`."""

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
            published.out_shape[i] = plan.out_shape[4 - rank + i]
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
    settle(&input, x, plan.desc.channels_last)
    settle(&output, out, plan.desc.channels_last)
    with nogil:
        status = fc_pool_plan_run(plan.plan, &input, &output, where, &error)
    return check(status, &error)


def activate(cnp.ndarray x not None, tuple activation, cnp.ndarray out not None):
    """Apply an activation to every element of a contiguous array."""
    cdef fc_activation how = activation_of(activation)
    cdef fc_dtype dtype = _DTYPES[x.dtype.name]
    cdef int64_t count = cnp.PyArray_SIZE(x)
    cdef const void *source = cnp.PyArray_DATA(x)
    cdef void *target = cnp.PyArray_DATA(out)
    if dtype not in (FC_FLOAT16, FC_FLOAT32, FC_FLOAT64):
        raise ValueError(f"x must be of a floating dtype, got {x.dtype}")
    if (
        cnp.PyArray_TYPE(out) != cnp.PyArray_TYPE(x) or cnp.PyArray_SIZE(out) != count
        or not cnp.PyArray_ISCARRAY_RO(x) or not cnp.PyArray_ISCARRAY(out)
    ):
        raise ValueError("x and out must be contiguous arrays of one dtype and size")
    with nogil:
        fc_activate(dtype, &how, count, source, target)


def literal_types(tuple items, int depth=0):
    """Return the types of ints, bools, strings, None and tuples of them, nested twice at most.

    None if there is anything else. With its types, what equals is the same, which True and 1 are
    not.
    """
    cdef list types = []
    for item in items:
        kind = type(item)
        if kind is tuple and depth < 2:
            kind = literal_types(item, depth + 1)
            if kind is None:
                return None
        elif kind is not int and kind is not bool and kind is not str and item is not None:
            return None
        types.append(kind)
    return tuple(types)


def conv_size(
    int64_t n, int64_t c, int64_t h, int64_t w, int64_t k, int64_t cg, int64_t kh, int64_t kw,
    tuple stride, tuple padding, tuple dilation, int64_t groups,
):
    """Validate a convolution and return its output height and width."""
    cdef fc_conv_desc d
    cdef int64_t oh, ow
    cdef fc_error error
    state(&d, n, c, h, w, k, cg, kh, kw, stride, padding, dilation, groups)
    d.channels_last = False
    d.dtype = FC_FLOAT64  # the largest: what fits it fits all
    d.activation.kind = FC_NONE
    check(fc_conv_size(&d, &oh, &ow, &error), &error)
    return oh, ow


def out_size(str name, int64_t size, int64_t pad_begin, int64_t pad_end, int64_t kernel,
             int64_t stride, int64_t dilation, bint ceil_mode):
    """Return the output size along one axis and what the last stride leaves over."""
    cdef int64_t out, remainder
    cdef fc_error error
    cdef bytes axis = name.encode()
    check(fc_out_size(axis, size, pad_begin, pad_end, kernel, stride, dilation, ceil_mode, &out,
                      &remainder, &error), &error)
    return out, remainder


def set_num_threads(int64_t n):
    """Set the threads of the process."""
    fc_threads_set(n)


def get_num_threads():
    """Return the most threads that a call may use."""
    return fc_threads_get()


def thread_override(int64_t n):
    """Set the threads of calls from this Python thread, 0 for none; return the previous value."""
    return fc_threads_override(n)


def config():
    """Return what was built and what was chosen at import."""
    return {
        "level": fc_level_name(fc_level_current()).decode(),
        "levels": [
            fc_level_name(<fc_level>i).decode()
            for i in range(FC_LEVEL_COUNT)
            if fc_level_available(<fc_level>i)
        ],
        "openmp": fc_openmp_version() > 0,
        "compiler": FC_COMPILER.decode(),
        "threads": fc_threads_get(),
        "threads_why": fc_threads_reason().decode(),
    }


def measure_fma_peak(str dtype="float32", level=None):
    """Return the GFLOP/s of multiply-adds from registers that one thread reaches."""
    cdef fc_level chosen = level_of(level)
    cdef fc_dtype kind = _DTYPES[dtype]
    cdef double peak
    with nogil:
        peak = fc_measure_peak(kind, chosen)
    return peak


def measure_bandwidth():
    """Return the GB/s that one thread reads, and copies (read plus written)."""
    cdef double read, copy
    with nogil:
        read = fc_measure_read()
        copy = fc_measure_copy()
    return {"read": read, "copy": copy}


def _fail_allocation(int64_t n):
    """Make the n-th allocation from now fail; -1 for none."""
    fc_memory_fail(n)


cdef fc_error _error
check(fc_init(&_error), &_error)
if not fc_test_hooks:
    del _fail_allocation
