/* The loop over a network's steps, so that from one to the next there is no way through Python. */
#include "base/clock.h"
#include "fastconv.h"

static fc_array found(const fc_place *place, void *const *blocks)
{
    fc_array array = place->array;
    array.data = place->block < 0 ? NULL : (char *)blocks[place->block] + place->offset_bytes;
    return array;
}

static fc_status run_step(const fc_step *s, void *const *blocks, fc_error *error)
{
    const fc_array x = found(&s->x, blocks), y = found(&s->y, blocks);
    const fc_array residual = found(&s->residual, blocks);
    switch (s->kind) {
    case FC_STEP_CONV:
        return fc_plan_run(s->plan, &x, s->weight, s->bias, &residual, &y, error);
    case FC_STEP_POOL:
        return fc_pool_plan_run(s->plan, &x, &y, NULL, error);
    case FC_STEP_LOCAL:
        return fc_local_plan_run(s->plan, &x, s->weight, s->bias, &residual, &y, error);
    case FC_STEP_ACTIVATE:
        fc_activate(s->dtype, &s->activation, s->count, x.data, y.data);
        break;
    case FC_STEP_RESPONSE:
        fc_response_norm(&s->response, x.data, y.data);
        break;
    }
    return FC_OK;
}

fc_status fc_steps_run(const fc_step *steps, int64_t count, void *const *blocks, double *seconds,
                       fc_error *error)
{
    fc_status status = FC_OK;
    for (int64_t i = 0; i < count && status == FC_OK; i++) {
        const double start = seconds ? fc_seconds() : 0;
        status = run_step(&steps[i], blocks, error);
        if (seconds)
            seconds[i] = fc_seconds() - start;
    }
    return status;
}
