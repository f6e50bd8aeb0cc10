# The part of padding, unfold and fold in the binding; _core.pyx includes it.

cdef dict _PAD_MODES = {
    "constant": FC_PAD_CONSTANT, "reflect": FC_PAD_REFLECT,
    "replicate": FC_PAD_REPLICATE, "circular": FC_PAD_CIRCULAR,
}


cdef int describe_pad(
    fc_pad_desc *desc, str mode, tuple shape, tuple begin, tuple end, int64_t element_bytes
) except -1:
    cdef int i
    if not len(shape) == len(begin) == len(end) <= FC_PAD_AXES:
        raise ValueError(f"shape and padding must be of one rank, got {shape}, {begin}, {end}")
    if element_bytes not in (1, 2, 4, 8):
        raise ValueError(f"elements must have 1, 2, 4 or 8 bytes, got {element_bytes}")
    desc.mode = _PAD_MODES[mode]
    desc.rank = <int>len(shape)
    desc.element_bytes = element_bytes
    for i in range(desc.rank):
        desc.size[i], desc.begin[i], desc.end[i] = shape[i], begin[i], end[i]
    return 0


def pad_shape(str mode, tuple shape, tuple begin, tuple end, int64_t element_bytes):
    """Check a padding and return the shape of its result."""
    cdef fc_pad_desc desc
    cdef fc_error error
    cdef int64_t sizes[FC_PAD_AXES]
    describe_pad(&desc, mode, shape, begin, end, element_bytes)
    check(fc_pad_size(&desc, sizes, &error), &error)
    return tuple([sizes[i] for i in range(desc.rank)])


def pad(
    str mode, cnp.ndarray x not None, tuple begin, tuple end, cnp.ndarray value not None,
    cnp.ndarray out not None,
):
    """Write the padding of `x`, whose axes are one at least, to `out`."""
    cdef fc_pad_desc desc
    cdef fc_error error
    cdef fc_status status
    cdef int64_t x_strides[FC_PAD_AXES]
    cdef int64_t out_strides[FC_PAD_AXES]
    cdef int typenum = cnp.PyArray_TYPE(x)
    cdef int64_t item = cnp.PyArray_ITEMSIZE(x)
    cdef int i
    cdef tuple shape = tuple([x.shape[i] for i in range(x.ndim)])
    describe_pad(&desc, mode, shape, begin, end, item)
    conform("x", x, shape, typenum, False)
    conform("out", out, pad_shape(mode, shape, begin, end, item), typenum, True)
    conform("value", value, (1,), typenum, False)
    for i in range(desc.rank):
        x_strides[i] = cnp.PyArray_STRIDE(x, i) // item
        out_strides[i] = cnp.PyArray_STRIDE(out, i) // item
    with nogil:
        status = fc_pad(
            &desc, cnp.PyArray_DATA(x), x_strides, cnp.PyArray_DATA(value), cnp.PyArray_DATA(out),
            out_strides, &error,
        )
    check(status, &error)


cdef class Columns:
    """Images and the windows over them; immutable."""

    cdef fc_columns_desc desc
    cdef readonly tuple image_shape, columns_shape, windows

    def __cinit__(
        self, int64_t n, int64_t c, int64_t h, int64_t w, tuple kernel, tuple stride,
        tuple padding, tuple dilation,
    ):
        cdef fc_columns_desc *d = &self.desc
        cdef fc_error error
        cdef int64_t oh, ow
        d.n, d.c, d.h, d.w = n, c, h, w
        d.kh, d.kw = kernel
        d.stride[0], d.stride[1] = stride
        d.pad[0], d.pad[1], d.pad[2], d.pad[3] = padding
        d.dilation[0], d.dilation[1] = dilation
        check(fc_columns_size(d, &oh, &ow, &error), &error)
        self.image_shape = (n, c, h, w)
        self.columns_shape = (n, c * d.kh * d.kw, oh * ow)
        self.windows = (oh, ow)

    def unfold(self, cnp.ndarray x not None, cnp.ndarray out not None):
        """Write the columns of the images `x` to `out`."""
        cdef fc_array image, columns
        cdef fc_error error
        cdef fc_status status
        cdef size_t element_bytes = cnp.PyArray_ITEMSIZE(x)
        if element_bytes not in (1, 2, 4, 8):
            raise ValueError(f"elements must have 1, 2, 4 or 8 bytes, got {element_bytes}")
        conform("x", x, self.image_shape, cnp.PyArray_TYPE(x), False)
        conform("out", out, self.columns_shape, cnp.PyArray_TYPE(x), True)
        settle(&image, x, 2, False)
        settle(&columns, out, 1, False)
        with nogil:
            status = fc_unfold(&self.desc, element_bytes, &image, &columns, &error)
        check(status, &error)

    def fold(self, cnp.ndarray x not None, cnp.ndarray out not None):
        """Write the images that the columns `x` add up to to `out`."""
        cdef fc_array image, columns
        cdef fc_error error
        cdef fc_status status
        cdef fc_dtype dtype = _DTYPES[x.dtype.name]
        conform("x", x, self.columns_shape, cnp.PyArray_TYPE(x), False)
        conform("out", out, self.image_shape, cnp.PyArray_TYPE(x), True)
        settle(&columns, x, 1, False)
        settle(&image, out, 2, False)
        with nogil:
            status = fc_fold(&self.desc, dtype, &columns, &image, &error)
        check(status, &error)
