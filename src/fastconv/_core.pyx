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


cdef void settle(fc_array *array, cnp.ndarray a, int axes, bint channels_last) noexcept:
    """Take data and strides of an array with channels and 1 to 3 spatial axes, batched or not."""
    cdef cnp.npy_intp item = cnp.PyArray_ITEMSIZE(a)
    cdef cnp.npy_intp *strides = cnp.PyArray_STRIDES(a)
    cdef int channels = cnp.PyArray_NDIM(a) - axes - 1  # 1 in a batch
    cdef int last = channels + axes
    array.data = cnp.PyArray_DATA(a)
    array.n = strides[0] // item if channels else 0
    array.c = strides[last if channels_last else channels] // item
    if channels_last:
        last -= 1
    array.w = strides[last] // item
    array.h = strides[last - 1] // item if axes > 1 else 0
    array.d = strides[last - 2] // item if axes > 2 else 0


cdef int conform(str name, object array, tuple shape, int typenum, bint writable) except -1:
    """Check all that keeps C within the array's bounds; it may lack the batch axis of `shape`."""
    cdef cnp.ndarray a
    cdef int rank, i, first
    if not cnp.PyArray_Check(array):
        raise ValueError(f"{name} must be an ndarray, got {type(array).__name__}")
    a = array
    rank = cnp.PyArray_NDIM(a)
    first = <int>len(shape) - rank
    if cnp.PyArray_TYPE(a) != typenum or not cnp.PyArray_ISBEHAVED_RO(a) or (
        writable and not cnp.PyArray_ISWRITEABLE(a)
    ):
        raise ValueError(f"{name} must be an aligned native array of the plan's dtype")
    if first not in (0, 1) or (first and shape[0] != 1):
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


cdef int typenum_of(str dtype) except -1:
    return np.dtype(dtype).num


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


cdef bint disjoint(object a, object b) noexcept:
    """Whether two contiguous arrays share no byte."""
    cdef char *a_data = <char *>cnp.PyArray_DATA(a)
    cdef char *b_data = <char *>cnp.PyArray_DATA(b)
    return (
        a_data + cnp.PyArray_NBYTES(a) <= b_data or b_data + cnp.PyArray_NBYTES(b) <= a_data
    )


include "_core_elementwise.pxi"
include "_core_conv.pxi"
include "_core_linear.pxi"
include "_core_grad.pxi"
include "_core_pool.pxi"
include "_core_columns.pxi"
include "_core_graph.pxi"


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
