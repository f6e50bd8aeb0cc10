/* The planner of poolings: validation, sizes, and where the work runs. */
#include "base/checked.h"
#include "base/memory.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "ops/ops.h"
#include "plan/planning.h"

_Static_assert((int)FC_DTYPE_COUNT == (int)FC_WINDOW_COUNT && FC_FLOAT16 == 0 && FC_FLOAT64 == 2 &&
                   FC_INT8 == 3 && FC_INT64 == 6 && FC_UINT8 == 7 && FC_UINT64 == 10,
               "kernels list the element types as fastconv.h does");

static const char *const sides[4] = {"top", "bottom", "left", "right"};
static const char *const axes[2] = {"height", "width"};

/* Padding of more than half of a window would let whole windows lie in it. */
static fc_status check_padding(const fc_pool_desc *d, fc_error *error)
{
    for (int side = 0; side < 4; side++) {
        const int axis = side / 2;
        const int64_t reach = ((axis ? d->kw : d->kh) - 1) * d->dilation[axis] + 1;
        if (d->pad[side] > reach / 2)
            return fc_fail(
                error, FC_INVALID,
                "padding at the %s must be at most half of the kernel's reach of %lld, got "
                "%lld",
                sides[side], (long long)reach, (long long)d->pad[side]);
    }
    return FC_OK;
}

static fc_status validate(fc_pool_plan *p, fc_error *error)
{
    const fc_pool_desc *d = &p->desc;
    const struct {
        const char *name;
        int64_t value, least;
    } checks[] = {{"input batch size", d->n, 0},
                  {"input channels", d->c, 1},
                  {"input height", d->h, 1},
                  {"input width", d->w, 1}};
    fc_status status;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if ((status = fc_check_least(checks[i].name, checks[i].value, checks[i].least, error)))
            return status;
    if (d->kind == FC_POOL_AVG && d->dtype > FC_FLOAT64)
        return fc_fail(error, FC_INVALID, "average pooling needs a floating dtype");
    if (d->kind == FC_POOL_AVG && (d->dilation[0] != 1 || d->dilation[1] != 1))
        return fc_fail(error, FC_INVALID,
                       "dilation must be 1 for average pooling, got %lld and %lld",
                       (long long)d->dilation[0], (long long)d->dilation[1]);
    for (int axis = 0; axis < 2; axis++) {
        int64_t remainder;
        status = fc_out_size(axes[axis], axis ? d->w : d->h, d->pad[2 * axis], d->pad[2 * axis + 1],
                             axis ? d->kw : d->kh, d->stride[axis], d->dilation[axis], d->ceil_mode,
                             axis ? &p->ow : &p->oh, &remainder, error);
        if (status)
            return status;
    }
    if ((status = check_padding(d, error)))
        return status;
    return fc_check_bytes("output", (int64_t[5]){d->n, d->c, 1, p->oh, p->ow}, sizeof(int64_t),
                          error);
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
    fc_pool_prepare(p);
    *plan = p;
    return FC_OK;
}

void fc_pool_plan_destroy(fc_pool_plan *p)
{
    fc_object_free(p);
}

void fc_pool_plan_size(const fc_pool_plan *p, int64_t *oh, int64_t *ow)
{
    *oh = p->oh;
    *ow = p->ow;
}

fc_status fc_pool_plan_run(const fc_pool_plan *p, const fc_array *input, const fc_array *output,
                           int64_t *indices, fc_error *error)
{
    const fc_pool_desc *d = &p->desc;
    if (d->n == 0)
        return FC_OK;
    fc_array x = *input, y = *output;
    fc_settle(&x, d->c, d->w, d->channels_last);
    fc_settle(&y, d->c, p->ow, d->channels_last);
    const int threads = fc_threads_for(p->seconds);
    char *scratch = fc_scratch_take((size_t)threads * p->scratch_bytes);
    if (!scratch)
        return fc_fail(error, FC_NO_MEMORY, "no memory for a workspace of %lld bytes",
                       (long long)((size_t)threads * p->scratch_bytes));
    fc_pool_run(p, &x, &y, indices, scratch, threads);
    fc_scratch_give(scratch);
    return FC_OK;
}
