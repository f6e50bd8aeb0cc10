/* The planner of poolings: validation, sizes, and where the work runs. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "ops/ops.h"
#include "plan/planning.h"

_Static_assert((int)FC_DTYPE_COUNT == (int)FC_WINDOW_COUNT && FC_FLOAT16 == 0 && FC_FLOAT64 == 2 &&
                   FC_INT8 == 3 && FC_INT64 == 6 && FC_UINT8 == 7 && FC_UINT64 == 10,
               "kernels list the element types as fastconv.h does");

static const char *const axis_names[3] = {"depth", "height", "width"};
static const char *const side_names[6] = {"front", "back", "top", "bottom", "left", "right"};

/* Padding of more than half of a window would let whole windows lie in it. */
static fc_status check_padding(const fc_pool_desc *d, fc_error *error)
{
    for (int side = 6 - 2 * d->axes; side < 6; side++) {
        const int axis = side / 2;
        const int64_t reach = (d->kernel[axis] - 1) * d->dilation[axis] + 1;
        if (d->pad[side] > reach / 2)
            return fc_fail(
                error, FC_INVALID,
                "padding at the %s must be at most half of the kernel's reach of %lld, got "
                "%lld",
                side_names[side], (long long)reach, (long long)d->pad[side]);
    }
    return FC_OK;
}

static fc_status check_window(fc_pool_plan *p, int axis, fc_error *error)
{
    const fc_pool_desc *d = &p->desc;
    int64_t remainder;
    return fc_out_size(axis_names[axis], d->size[axis], d->pad[2 * axis], d->pad[2 * axis + 1],
                       d->kernel[axis], d->stride[axis], d->dilation[axis], d->ceil_mode,
                       &p->out[axis], &remainder, error);
}

/* Windows that are all alike become ordinary ones, which have the faster ways. */
static fc_status settle_adaptive(fc_pool_plan *p, int axis, fc_error *error)
{
    fc_pool_desc *d = &p->desc;
    const int64_t out = d->kernel[axis], size = d->size[axis];
    char name[48];
    int64_t product;
    snprintf(name, sizeof name, "output_size along the %s", axis_names[axis]);
    fc_status status = fc_check_least(name, out, 0, error);
    if (status)
        return status;
    if (fc_mul_overflows(out, size, &product) || fc_add_overflows(product, size, &product) ||
        fc_add_overflows(product, out, &product))
        return fc_fail(error, FC_INVALID, "%s of %lld is too large for an input of %lld", name,
                       (long long)out, (long long)size);
    p->out[axis] = out;
    p->adaptive[axis] = out && size % out;
    d->kernel[axis] = d->stride[axis] = out ? fc_max(size / out, 1) : 1;
    d->dilation[axis] = 1;
    d->pad[2 * axis] = d->pad[2 * axis + 1] = 0;
    return FC_OK;
}

static fc_status validate(fc_pool_plan *p, fc_error *error)
{
    const fc_pool_desc *d = &p->desc;
    fc_status status;
    if ((status = fc_check_least("input batch size", d->n, 0, error)) ||
        (status = fc_check_least("input channels", d->c,
                                 d->adaptive && d->kind == FC_POOL_AVG ? 0 : 1, error)))
        return status;
    for (int axis = 3 - d->axes; axis < 3; axis++) {
        char name[48];
        snprintf(name, sizeof name, "input %s", axis_names[axis]);
        if ((status = fc_check_least(name, d->size[axis], 1, error)))
            return status;
    }
    if (d->kind == FC_POOL_AVG && d->dtype > FC_FLOAT64)
        return fc_fail(error, FC_INVALID, "average pooling needs a floating dtype");
    for (int axis = 0; axis < 3; axis++) {
        if (d->kind == FC_POOL_AVG && !d->adaptive && d->dilation[axis] != 1)
            return fc_fail(error, FC_INVALID, "dilation must be 1 for average pooling, got %lld",
                           (long long)d->dilation[axis]);
        status = d->adaptive ? settle_adaptive(p, axis, error) : check_window(p, axis, error);
        if (status)
            return status;
    }
    if ((status = check_padding(d, error)))
        return status;
    const int64_t *const out = p->out;
    return fc_check_bytes("output", (int64_t[5]){d->n, d->c, out[0], out[1], out[2]},
                          sizeof(int64_t), error);
}

/* Whether the output is empty. */
static int nothing(const fc_pool_plan *p)
{
    return !p->desc.n || !p->desc.c || !p->out[0] || !p->out[1] || !p->out[2];
}

fc_status fc_pool_plan_create(const fc_pool_desc *desc, fc_level level, fc_pool_plan **plan,
                              fc_error *error)
{
    fc_pool_plan *p = fc_object_new(sizeof *p);
    if (!p)
        return fc_fail(error, FC_NO_MEMORY, "no memory for a plan");
    p->desc = *desc;
    p->io_bytes = fc_dtype_bytes(desc->dtype);
    p->element_bytes = desc->dtype == FC_FLOAT16 ? sizeof(float) : p->io_bytes;
    fc_status status = fc_kernels_find(level, &p->kernels, error);
    if (!status)
        status = validate(p, error);
    if (status) {
        fc_pool_plan_destroy(p);
        return status;
    }
    p->family = desc->dtype > FC_FLOAT64    ? NULL
                : desc->dtype == FC_FLOAT64 ? p->kernels->f64
                                            : p->kernels->f32;
    if (!nothing(p))
        fc_pool_prepare(p);
    *plan = p;
    return FC_OK;
}

void fc_pool_plan_destroy(fc_pool_plan *p)
{
    fc_object_free(p);
}

void fc_pool_plan_size(const fc_pool_plan *p, int64_t out[3])
{
    memcpy(out, p->out, sizeof p->out);
}

fc_status fc_pool_plan_run(const fc_pool_plan *p, const fc_array *input, const fc_array *output,
                           int64_t *indices, fc_error *error)
{
    const fc_pool_desc *d = &p->desc;
    if (nothing(p))
        return FC_OK;
    fc_array x = *input, y = *output;
    fc_settle(&x, d->c, d->size[2], d->channels_last);
    fc_settle(&y, d->c, p->out[2], d->channels_last);
    const int threads = fc_threads_for(indices ? p->index_seconds : p->seconds);
    char *scratch = fc_workspace(p->scratch_bytes, threads, error);
    if (!scratch)
        return FC_NO_MEMORY;
    fc_pool_run(p, &x, &y, indices, scratch, threads);
    fc_scratch_give(scratch);
    return FC_OK;
}

fc_status fc_pool_plan_spread(const fc_pool_plan *p, const void *output, void *input,
                              fc_error *error)
{
    const fc_pool_desc *d = &p->desc;
    const int64_t size = d->size[0] * d->size[1] * d->size[2];
    if (d->kind != FC_POOL_AVG)
        return fc_fail(error, FC_INVALID, "only the gradient of averages is spread");
    if (nothing(p)) {
        memset(input, 0, (size_t)(d->n * d->c * size) * p->io_bytes);
        return FC_OK;
    }
    const int threads = fc_threads_for(fc_spread_seconds(p));
    char *scratch = fc_workspace(fc_spread_bytes(p), threads, error);
    if (!scratch)
        return FC_NO_MEMORY;
    fc_spread_run(p, output, input, scratch, threads);
    fc_scratch_give(scratch);
    return FC_OK;
}
