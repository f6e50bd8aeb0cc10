/* The planner of gradients of weights: a convolution's geometry, and which way is the cheapest. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "ops/ops.h"
#include "plan/planning.h"

static const struct fc_weight_way *const ways[] = {&fc_weight_tiles, &fc_weight_planes};
enum { WAY_COUNT = sizeof ways / sizeof *ways };

static fc_status choose(fc_weight_plan *plan, const char *name, fc_error *error)
{
    fc_plan *p = &plan->conv;
    for (int i = 0; i < WAY_COUNT; i++) {
        const struct fc_weight_way *way = ways[i];
        if ((strcmp(name, "auto") && strcmp(name, way->name)) || !way->serves(p))
            continue;
        double work[FC_WORK_COUNT] = {0};
        way->count(p, work);
        const double seconds = fc_work_seconds(p->level, work);
        if (plan->way && seconds >= p->seconds)
            continue;
        plan->way = way;
        p->seconds = seconds;
        memcpy(p->work, work, sizeof work);
    }
    if (!plan->way)
        return fc_fail(error, FC_UNSUPPORTED,
                       "algorithm '%.40s' is not one of auto, tiles, planes, or cannot serve %lld "
                       "input and %lld output channels a group",
                       name, (long long)p->desc.cg, (long long)p->kg);
    snprintf(p->why, sizeof p->why, "estimated %.3g ms on one thread", p->seconds * 1e3);
    return FC_OK;
}

fc_status fc_weight_plan_create(const fc_conv_desc *desc, const char *way, fc_level level,
                                fc_weight_plan **plan, fc_error *error)
{
    fc_weight_plan *p = fc_object_new(sizeof *p);
    if (!p)
        return fc_fail(error, FC_NO_MEMORY, "no memory for a plan");
    p->conv.level = level;
    fc_status status = fc_conv_state(&p->conv, desc, error);
    if (!status)
        status = choose(p, way, error);
    if (!status && !(p->conv.blocking = fc_object_new(p->way->blocking_bytes)))
        status = fc_fail(error, FC_NO_MEMORY, "no memory for a plan");
    if (!status && (status = p->way->prepare(&p->conv)))
        fc_fail(error, status, "no memory for a plan of %lld taps", (long long)p->conv.taps);
    if (status) {
        fc_weight_plan_destroy(p);
        return status;
    }
    *plan = p;
    return FC_OK;
}

void fc_weight_plan_destroy(fc_weight_plan *p)
{
    if (!p)
        return;
    fc_object_free(p->conv.runs);
    fc_object_free(p->conv.blocking);
    fc_object_free(p);
}

void fc_weight_plan_describe(const fc_weight_plan *plan, fc_plan_info *info)
{
    const fc_plan *p = &plan->conv;
    const int threads = fc_threads_wanted(p->seconds);
    *info = (fc_plan_info){.algorithm = plan->way->name,
                           .level = p->kernels->name,
                           .od = p->od,
                           .oh = p->oh,
                           .ow = p->ow,
                           .flops = p->flops,
                           .scratch_bytes = plan->way->scratch(p, threads),
                           .threads = threads,
                           .blocking = p->blocking_text,
                           .why = p->why,
                           .seconds = p->seconds,
                           .work = p->work};
}

fc_status fc_weight_plan_run(const fc_weight_plan *plan, const fc_array *input,
                             const fc_array *grad_output, void *grad_weight, fc_error *error)
{
    const fc_plan *p = &plan->conv;
    const fc_conv_desc *d = &p->desc;
    if (d->n == 0) { /* a sum of nothing */
        memset(grad_weight, 0, (size_t)(d->k * p->taps) * p->io_bytes);
        return FC_OK;
    }
    struct fc_weight_io io = {.x = *input,
                              .y = *grad_output,
                              .grad_weight = grad_weight,
                              .threads = fc_threads_for(p->seconds)};
    fc_settle(&io.x, d->c, d->w, d->channels_last);
    fc_settle(&io.y, d->k, p->ow, d->channels_last);
    io.scratch = fc_workspace(plan->way->scratch(p, io.threads), 1, error);
    if (!io.scratch)
        return FC_NO_MEMORY;
    plan->way->run(p, &io);
    fc_scratch_give(io.scratch);
    return FC_OK;
}
