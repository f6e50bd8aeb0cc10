# The compiled steps of graphs; _core.pyx includes it.

from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.string cimport memset

cdef enum:
    # Blocks of memory that a run can be given: inputs, outputs and what all activations share. A
    # graph with more inputs and outputs is not compiled.
    _BLOCKS = 64
    # The most axes of what a graph's fast path takes and returns.
    _FAST_AXES = 8

BLOCKS = _BLOCKS
FAST_AXES = _FAST_AXES


cdef Py_ssize_t item_bytes(int typenum) except -1:
    return cnp.PyArray_DescrFromType(typenum).itemsize

cdef class Steps:
    """A stretch of a network: steps that run one after the other, without Python in between.

    Arrays are places (block, offset in bytes, shape, strides in elements) in the blocks of memory
    that a run is given, with channels second whatever their order in memory. Once it has run, it
    does not change any more.
    """

    cdef fc_step *steps
    cdef Py_ssize_t count, capacity
    cdef list held
    cdef list needed  # bytes of each block
    cdef list written  # whether each block is

    def __cinit__(self, int blocks):
        if blocks < 0 or blocks > _BLOCKS:
            raise ValueError(f"there are at most {_BLOCKS} blocks, got {blocks}")
        self.held = []
        self.needed = [0] * blocks
        self.written = [False] * blocks

    def __dealloc__(self):
        PyMem_Free(self.steps)

    cdef fc_step *add(self, fc_step_kind kind) except NULL:
        """Return a new step, which `keep` makes one of those that run."""
        cdef Py_ssize_t capacity = max(4, 2 * self.capacity)
        cdef void *grown
        if self.count == self.capacity:
            grown = PyMem_Realloc(self.steps, capacity * sizeof(fc_step))
            if not grown:
                raise MemoryError(f"no memory for {capacity} steps")
            self.steps, self.capacity = <fc_step *>grown, capacity
        cdef fc_step *step = &self.steps[self.count]
        memset(step, 0, sizeof(fc_step))
        step.kind = kind
        step.residual.block = -1
        return step

    cdef int keep(self, held) except -1:
        """Count the step that was added last; it needs what is held."""
        self.held.append(held)
        self.count += 1
        return 0

    cdef int need(self, str name, block, offset, elements, Py_ssize_t itemsize,
                  bint written) except -1:
        """Note that a step reaches as many elements from an offset on."""
        if not 0 <= block < len(self.needed):
            raise ValueError(f"{name} is in block {block} of {len(self.needed)}")
        if offset < 0 or offset % itemsize:
            raise ValueError(f"{name} must begin at a whole element, got {offset} bytes")
        if not 0 <= elements < 2**63 // itemsize:
            raise ValueError(f"{name} cannot have {elements} elements")
        self.needed[block] = max(self.needed[block], offset + elements * itemsize)
        self.written[block] = self.written[block] or written
        return 0

    cdef int put(self, fc_place *place, str name, tuple where, tuple shape, Py_ssize_t itemsize,
                 bint channels_last, bint written) except -1:
        """Take a place whose array must have the given shape; `shape` is in the memory's order."""
        block, offset, own, strides = where
        cdef Py_ssize_t rank = len(own), axes = rank - 2, i, last
        end = 0
        if channels_last:
            shape = (shape[0], shape[rank - 1], *shape[1:rank - 1])
        if own != shape or len(strides) != rank or rank < 2 or axes > 3:
            raise ValueError(f"{name} must have the shape {shape}, got {own}")
        last = 1 if channels_last or axes == 0 else rank - 1
        for i in range(rank):
            if strides[i] < 0 or (i == last and own[i] > 1 and strides[i] != 1):
                raise ValueError(f"{name} has strides {strides}, which the kernels cannot walk")
            end += (own[i] - 1) * strides[i]
        self.need(name, block, offset, end + 1, itemsize, written)
        place.block = block
        place.offset_bytes = offset
        place.array.n, place.array.c = strides[0], strides[1]
        place.array.w = strides[rank - 1] if axes > 0 else 0
        place.array.h = strides[rank - 2] if axes > 1 else 0
        place.array.d = strides[rank - 3] if axes > 2 else 0
        return 0

    def conv(self, ConvPlan plan not None, Packed packed not None, bias, tuple x not None,
             residual, tuple y not None):
        """Add a convolution."""
        cdef bint last = plan.desc.channels_last
        cdef Py_ssize_t itemsize = item_bytes(plan.typenum)
        if packed.packing != plan.packing:
            raise ValueError("packed weights belong to another plan")
        if bias is not None:
            check_whole("bias", bias, plan.desc.k, plan.typenum)
        cdef fc_step *step = self.add(FC_STEP_CONV)
        self.put(&step.x, "x", x, plan.in_shape, itemsize, last, False)
        self.put(&step.y, "y", y, plan.out_shape, itemsize, last, True)
        if residual is not None:
            self.put(&step.residual, "residual", residual, plan.out_shape, itemsize, last, False)
        step.plan = plan.plan
        step.weight = packed.data
        step.bias = cnp.PyArray_DATA(bias) if bias is not None else NULL
        self.keep((plan, packed, bias))

    def pool(self, PoolPlan plan not None, tuple x not None, tuple y not None):
        """Add a pooling."""
        cdef bint last = plan.desc.channels_last
        cdef Py_ssize_t itemsize = item_bytes(plan.typenum)
        cdef fc_step *step = self.add(FC_STEP_POOL)
        self.put(&step.x, "x", x, plan.in_shape, itemsize, last, False)
        self.put(&step.y, "y", y, plan.out_shape, itemsize, last, True)
        step.plan = plan.plan
        self.keep(plan)

    def dense(self, LocalPlan plan not None, cnp.ndarray weight not None, bias, tuple x not None,
              residual, tuple y not None):
        """Add a dense layer that takes its weights as they are; x is (n, c) and y (n, k)."""
        cdef fc_local_desc *d = &plan.desc
        cdef Py_ssize_t itemsize = item_bytes(plan.typenum)
        if d.h != 1 or d.w != 1:
            raise ValueError("the plan is not one of a dense layer")
        check_whole("weight", weight, d.k * d.c, plan.typenum)
        if bias is not None:
            check_whole("bias", bias, d.k, plan.typenum)
        cdef fc_step *step = self.add(FC_STEP_LOCAL)
        self.put(&step.x, "x", x, (d.n, d.c), itemsize, False, False)
        self.put(&step.y, "y", y, (d.n, d.k), itemsize, False, True)
        if residual is not None:
            self.put(&step.residual, "residual", residual, (d.n, d.k), itemsize, False, False)
        step.plan = plan.plan
        step.weight = cnp.PyArray_DATA(weight)
        step.bias = cnp.PyArray_DATA(bias) if bias is not None else NULL
        self.keep((plan, weight, bias))

    def activate(self, str dtype not None, tuple activation not None, int64_t count,
                 tuple x not None, tuple y not None):
        """Add an activation of contiguous elements; y may be x."""
        cdef fc_step *step = self.add(FC_STEP_ACTIVATE)
        step.dtype = _DTYPES[dtype]
        if step.dtype not in (FC_FLOAT16, FC_FLOAT32, FC_FLOAT64):
            raise ValueError(f"there is no activation of {dtype}")
        step.activation = activation_of(activation)
        step.count = count
        self.put_whole(step, dtype, count, x, y)

    def response(self, str dtype not None, tuple shape not None, int64_t size, double alpha,
                 double beta, double k, tuple x not None, tuple y not None):
        """Add a normalisation by neighbour channels of a contiguous (n, c, pixels)."""
        cdef fc_step *step = self.add(FC_STEP_RESPONSE)
        n, c, pixels = shape
        step.response = response_of(n, c, pixels, size, alpha, beta, k, _DTYPES[dtype])
        if min(shape) < 1:
            raise ValueError(f"the shape must hold sizes of at least 1, got {shape}")
        self.put_whole(step, dtype, n * c * pixels, x, y)

    cdef int put_whole(self, fc_step *step, str dtype, count, tuple x, tuple y) except -1:
        """Take the places (block, offset) of two contiguous arrays."""
        cdef Py_ssize_t itemsize = np.dtype(dtype).itemsize
        for name, (block, offset) in (("x", x), ("y", y)):
            self.need(name, block, offset, count, itemsize, name == "y")
        step.x.block, step.x.offset_bytes = x
        step.y.block, step.y.offset_bytes = y
        self.keep(None)
        return 0

    cdef int gather(self, list blocks, void **data) except -1:
        cdef Py_ssize_t i
        if len(blocks) != len(self.needed) or len(blocks) > _BLOCKS:
            raise ValueError(f"there must be {len(self.needed)} blocks, got {len(blocks)}")
        for i in range(len(blocks)):
            block = blocks[i]
            if (
                not cnp.PyArray_Check(block) or not cnp.PyArray_ISCARRAY_RO(block)
                or cnp.PyArray_NBYTES(block) < self.needed[i]
                or (self.written[i] and not cnp.PyArray_ISWRITEABLE(block))
            ):
                raise ValueError(f"block {i} must be contiguous, of {self.needed[i]} bytes or more")
            data[i] = cnp.PyArray_DATA(block)
        return 0

    def run(self, list blocks not None):
        """Run all steps."""
        cdef void *data[_BLOCKS]
        cdef fc_error error
        cdef fc_status status
        self.gather(blocks, data)
        with nogil:
            status = fc_steps_run(self.steps, self.count, data, NULL, &error)
        check(status, &error)

    def profile(self, list blocks not None):
        """Run all steps and return the seconds that each took."""
        cdef void *data[_BLOCKS]
        cdef fc_error error
        cdef fc_status status
        cdef cnp.ndarray seconds = np.empty(self.count)
        cdef double *times = <double *>cnp.PyArray_DATA(seconds)
        self.gather(blocks, data)
        with nogil:
            status = fc_steps_run(self.steps, self.count, data, times, &error)
        check(status, &error)
        return seconds.tolist()


cdef class _Ready:
    """What the fast path of a graph serves; never changed, only replaced."""

    cdef Steps steps
    cdef list free
    cdef int typenum, rank, out_typenum, out_rank
    cdef cnp.npy_intp shape[_FAST_AXES]
    cdef cnp.npy_intp out_shape[_FAST_AXES]


cdef class GraphBase:
    """The call of a graph: at once to C for the input it knows, else through `_general`."""

    cdef _Ready ready

    def _publish(self, Steps steps not None, list free not None, Py_ssize_t shared_bytes,
                 tuple shape, str dtype, tuple out_shape, str out_dtype):
        """Serve a single input of this shape from now on.

        The blocks of `steps` are the shared one, of which `free` holds those that nobody uses, the
        input and the output.
        """
        cdef _Ready ready = _Ready.__new__(_Ready)
        cdef Py_ssize_t i, size = item_bytes(typenum_of(dtype))
        cdef Py_ssize_t out_size = item_bytes(typenum_of(out_dtype))
        if max(len(shape), len(out_shape)) > _FAST_AXES or len(steps.needed) != 3:
            raise ValueError(f"one input and one output of at most {_FAST_AXES} axes")
        for i in range(len(shape)):
            ready.shape[i] = shape[i]
            size *= shape[i]
        for i in range(len(out_shape)):
            ready.out_shape[i] = out_shape[i]
            out_size *= out_shape[i]
        needed = steps.needed
        if shared_bytes < needed[0] or size < needed[1] or out_size < needed[2] or (
            steps.written[1]
        ):
            raise ValueError("the steps do not fit these arrays")
        ready.steps, ready.free = steps, free
        ready.typenum, ready.rank = typenum_of(dtype), <int>len(shape)
        ready.out_typenum, ready.out_rank = typenum_of(out_dtype), <int>len(out_shape)
        self.ready = ready

    def __call__(self, *args, **named):
        """Return the output, or a tuple of them if there are several."""
        cdef _Ready ready = self.ready
        cdef void *data[3]
        cdef fc_error error
        cdef fc_status status
        if ready is None or len(args) != 1 or named:
            return self._general(args, named)
        x = args[0]
        if not plain(x, ready.typenum, ready.rank, ready.shape) or not ready.free:
            return self._general(args, named)
        shared = ready.free.pop()
        out = cnp.PyArray_EMPTY(ready.out_rank, ready.out_shape, ready.out_typenum, 0)
        data[0] = cnp.PyArray_DATA(shared)
        data[1] = cnp.PyArray_DATA(x)
        data[2] = cnp.PyArray_DATA(out)
        with nogil:
            status = fc_steps_run(ready.steps.steps, ready.steps.count, data, NULL, &error)
        ready.free.append(shared)
        check(status, &error)
        return out
