/* Scattering by indices: validation, and where it runs. */
#include "base/checked.h"
#include "base/memory.h"
#include "base/threads.h"
#include "ops/ops.h"
#include "plan/planning.h"

/* Every index is looked at before anything is written. */
static fc_status check_indices(const fc_scatter_desc *d, const int64_t *indices, fc_error *error)
{
    const int64_t least = d->kind == FC_SCATTER_SET ? 0 : -1;
    const int64_t count = d->n * d->c * d->pooled;
    const uint64_t allowed = (uint64_t)(d->size - least);
    int wrong = 0;
    for (int64_t i = 0; i < count; i++)
        wrong |= (uint64_t)indices[i] - (uint64_t)least >= allowed;
    for (int64_t i = 0; wrong && i < count; i++)
        if (indices[i] < least || indices[i] >= d->size)
            return fc_fail(error, FC_INVALID,
                           "indices must be %s and below %lld, the positions of the unpooled "
                           "image, got %lld",
                           least ? "-1, for none, or at least 0" : "at least 0", (long long)d->size,
                           (long long)indices[i]);
    return FC_OK;
}

fc_status fc_scatter(const fc_scatter_desc *d, const int64_t *indices, const void *from, void *to,
                     fc_error *error)
{
    const struct fc_kernels *kernels;
    fc_status status;
    if (d->kind == FC_SCATTER_ADD && d->dtype > FC_FLOAT64)
        return fc_fail(error, FC_INVALID, "sums need a floating dtype");
    if ((status = fc_kernels_find(fc_level_current(), &kernels, error)) ||
        (status = check_indices(d, indices, error)))
        return status;
    if (!d->n || !d->c)
        return FC_OK;
    const int threads = fc_threads_for(fc_scatter_seconds(d));
    char *scratch = fc_workspace(fc_scatter_bytes(d), threads, error);
    if (!scratch)
        return FC_NO_MEMORY;
    fc_scatter_run(kernels, d, fc_dtype_bytes(d->dtype), indices, from, to, scratch, threads);
    fc_scratch_give(scratch);
    return FC_OK;
}
