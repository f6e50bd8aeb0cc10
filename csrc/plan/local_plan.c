/* The planner of layers without shared weights: validation and sizes; there is one way to compute
 * them. */
#include "base/checked.h"
#include "base/memory.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "ops/ops.h"
#include "plan/planning.h"

static fc_status validate(fc_local_plan *p, fc_error *error)
{
    const fc_local_desc *d = &p->desc;
    const struct {
        const char *name;
        int64_t value, least;
    } checks[] = {{"input batch size", d->n, 0},
                  {"input channels", d->c, 1},
                  {"weight output channels", d->k, 1}};
    fc_status status;
    int64_t remainder;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if ((status = fc_check_least(checks[i].name, checks[i].value, checks[i].least, error)))
            return status;
    if ((status = fc_out_size("height", d->h, d->pad[0], d->pad[1], d->kh, d->stride[0],
                              d->dilation[0], 0, &p->oh, &remainder, error)) ||
        (status = fc_out_size("width", d->w, d->pad[2], d->pad[3], d->kw, d->stride[1],
                              d->dilation[1], 0, &p->ow, &remainder, error)) ||
        (status = fc_check_bytes("input", (int64_t[5]){d->n, d->c, 1, d->h, d->w}, p->io_bytes,
                                 error)) ||
        /* As the kernels take them: float16 in float, some rows at once. */
        (status = fc_check_bytes("window", (int64_t[5]){FC_DOT_ROWS, d->c, 1, d->kh, d->kw},
                                 p->element_bytes, error)))
        return status;
    p->length = d->c * d->kh * d->kw;
    if ((status = fc_check_bytes("weight", (int64_t[5]){1, p->oh, p->ow, d->k, p->length},
                                 p->io_bytes, error)))
        return status;
    return fc_check_bytes("output", (int64_t[5]){d->n, d->k, 1, p->oh, p->ow}, p->io_bytes, error);
}

fc_status fc_local_plan_create(const fc_local_desc *desc, fc_level level, fc_local_plan **plan,
                               fc_error *error)
{
    fc_local_plan *p = fc_object_new(sizeof *p);
    if (!p)
        return fc_fail(error, FC_NO_MEMORY, "no memory for a plan");
    p->desc = *desc;
    p->io_bytes = fc_dtype_bytes(desc->dtype);
    p->element_bytes = desc->dtype == FC_FLOAT16 ? sizeof(float) : p->io_bytes;
    fc_status status = fc_kernels_find(level, &p->kernels, error);
    if (!status)
        status = validate(p, error);
    if (status) {
        fc_local_plan_destroy(p);
        return status;
    }
    p->family = desc->dtype == FC_FLOAT64 ? p->kernels->f64 : p->kernels->f32;
    const double flops =
        2. * (double)desc->n * (double)desc->k * (double)(p->oh * p->ow) * (double)p->length;
    p->flops = flops < 9e18 ? (int64_t)flops : INT64_MAX;
    fc_local_prepare(p);
    *plan = p;
    return FC_OK;
}

void fc_local_plan_destroy(fc_local_plan *p)
{
    fc_object_free(p);
}

void fc_local_plan_describe(const fc_local_plan *p, fc_plan_info *info)
{
    *info = (fc_plan_info){.algorithm = "dots",
                           .level = p->kernels->name,
                           .oh = p->oh,
                           .ow = p->ow,
                           .flops = p->flops,
                           .scratch_bytes = p->scratch_bytes,
                           .threads = fc_threads_wanted(p->seconds),
                           .blocking = p->blocking_text,
                           .why = "weights are read once, as they are",
                           .seconds = p->seconds};
}

fc_status fc_local_plan_run(const fc_local_plan *p, const fc_array *input, const void *weight,
                            const void *bias, const fc_array *residual, const fc_array *output,
                            fc_error *error)
{
    const fc_local_desc *d = &p->desc;
    if (d->n == 0)
        return FC_OK;
    struct fc_local_io io = {.x = *input,
                             .y = *output,
                             .residual = *residual,
                             .weight = weight,
                             .bias = bias,
                             .threads = fc_threads_for(p->seconds)};
    fc_settle(&io.x, d->c, d->w, d->channels_last);
    io.scratch = fc_workspace(p->scratch_bytes, io.threads, error);
    if (!io.scratch)
        return FC_NO_MEMORY;
    fc_local_run_items(p, &io);
    fc_scratch_give(io.scratch);
    return FC_OK;
}
