/* The verb of padding, and how a gather is run; sizes.c validates. */
#include "base/memory.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "ops/pad.h"
#include "plan/planning.h"

fc_status fc_pad(const fc_pad_desc *d, const void *x, const int64_t *x_strides, const void *value,
                 void *y, const int64_t *y_strides, fc_error *error)
{
    struct fc_padding padding;
    struct fc_gather gather;
    int64_t out[FC_PAD_AXES];
    fc_status status = fc_pad_size(d, out, error);
    if (status)
        return status;
    for (int i = 0; i < d->rank; i++)
        if (out[i] == 0)
            return FC_OK;
    fc_pad_prepare(d, out, x, x_strides, value, y, y_strides, &padding, &gather);
    return fc_gather_call(&gather, error);
}

fc_status fc_gather_call(struct fc_gather *g, fc_error *error)
{
    g->kernels = fc_level_kernels(fc_level_current());
    const int threads = fc_threads_for(fc_gather_seconds(g));
    char *scratch = fc_workspace(fc_gather_scratch(g), threads, error);
    if (!scratch)
        return FC_NO_MEMORY;
    fc_gather_run(g, scratch, threads);
    fc_scratch_give(scratch);
    return FC_OK;
}
