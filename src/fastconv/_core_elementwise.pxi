# The elementwise operators' part of the binding; _core.pyx includes it.

cdef fc_dtype alike(cnp.ndarray x, cnp.ndarray out, cnp.ndarray g) except *:
    """Return the floating dtype of contiguous arrays of one size; `g` may be None."""
    cdef int typenum = cnp.PyArray_TYPE(x)
    if not cnp.PyArray_ISCARRAY_RO(x):
        raise ValueError("x must be contiguous")
    for array in (out,) if g is None else (out, g):
        if (
            cnp.PyArray_TYPE(array) != typenum
            or cnp.PyArray_SIZE(array) != cnp.PyArray_SIZE(x)
            or not cnp.PyArray_ISCARRAY_RO(array)
        ):
            raise ValueError("all arrays must be contiguous and of the dtype and size of x")
    if not cnp.PyArray_ISWRITEABLE(out):
        raise ValueError("out must be writable")
    if typenum == cnp.NPY_FLOAT32:
        return FC_FLOAT32
    if typenum == cnp.NPY_FLOAT64:
        return FC_FLOAT64
    if typenum == cnp.NPY_FLOAT16:
        return FC_FLOAT16
    raise ValueError(f"x must be of a floating dtype, got {x.dtype}")


def activate(cnp.ndarray x not None, tuple activation, cnp.ndarray out not None):
    """Apply an activation to every element of a contiguous array."""
    cdef fc_activation how = activation_of(activation)
    cdef fc_dtype dtype = alike(x, out, None)
    cdef int64_t count = cnp.PyArray_SIZE(x)
    cdef const void *source = cnp.PyArray_DATA(x)
    cdef void *target = cnp.PyArray_DATA(out)
    with nogil:
        fc_activate(dtype, &how, count, source, target)


def activate_grad(
    cnp.ndarray x not None, cnp.ndarray g not None, tuple activation, cnp.ndarray out not None
):
    """Multiply `g` by the derivative of an activation at `x`, element by element."""
    cdef fc_activation how = activation_of(activation)
    cdef fc_dtype dtype = alike(x, out, g)
    cdef int64_t count = cnp.PyArray_SIZE(x)
    cdef const void *source = cnp.PyArray_DATA(x)
    cdef const void *gradient = cnp.PyArray_DATA(g)
    cdef void *target = cnp.PyArray_DATA(out)
    with nogil:
        fc_activate_grad(dtype, &how, count, source, gradient, target)


def scale(
    cnp.ndarray x not None, cnp.ndarray factor not None, cnp.ndarray shift not None,
    cnp.ndarray out not None,
):
    """Multiply each channel of a contiguous (n, c, pixels) by its factor and add its shift."""
    cdef fc_dtype dtype = alike(x, out, None)
    cdef int64_t n, c, pixels
    cdef const void *source = cnp.PyArray_DATA(x)
    cdef const double *factors = <const double *>cnp.PyArray_DATA(factor)
    cdef const double *shifts = <const double *>cnp.PyArray_DATA(shift)
    cdef void *target = cnp.PyArray_DATA(out)
    if cnp.PyArray_NDIM(x) != 3:
        raise ValueError(f"x must have the axes (n, c, pixels), got {x.ndim}")
    n, c, pixels = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1), cnp.PyArray_DIM(x, 2)
    for array in (factor, shift):
        if (
            cnp.PyArray_TYPE(array) != cnp.NPY_FLOAT64
            or cnp.PyArray_SIZE(array) != c
            or not cnp.PyArray_ISCARRAY_RO(array)
        ):
            raise ValueError("factor and shift must be contiguous arrays of c float64")
    with nogil:
        fc_scale(dtype, n, c, pixels, source, factors, shifts, target)


cdef fc_response_desc response_of(
    int64_t n, int64_t c, int64_t pixels, int64_t size, double alpha, double beta, double k,
    fc_dtype dtype,
) except *:
    cdef fc_response_desc d
    if 4 * beta not in (2, 3, 4) or dtype not in (FC_FLOAT32, FC_FLOAT64):
        raise ValueError(f"beta {beta} is not served for this dtype")
    d.n, d.c, d.pixels, d.size = n, c, pixels, size
    d.alpha, d.k, d.quarters, d.dtype = alpha, k, <int>(4 * beta), dtype
    return d


def response_norm(
    cnp.ndarray x not None, int64_t size, double alpha, double beta, double k,
    cnp.ndarray out not None,
):
    """Normalise each element of a contiguous (n, c, pixels) by its neighbour channels.

    beta is 0.5, 0.75 or 1.
    """
    cdef fc_response_desc d
    cdef const void *source = cnp.PyArray_DATA(x)
    cdef void *target = cnp.PyArray_DATA(out)
    if cnp.PyArray_NDIM(x) != 3:
        raise ValueError(f"x must have the axes (n, c, pixels), got {x.ndim}")
    if not disjoint(x, out):
        raise ValueError("out must not overlap x")
    d = response_of(x.shape[0], x.shape[1], x.shape[2], size, alpha, beta, k, alike(x, out, None))
    with nogil:
        fc_response_norm(&d, source, target)
