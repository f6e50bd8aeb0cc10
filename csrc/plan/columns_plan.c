/* The verbs of unfold and fold: validation, sizes, and where the work runs. */
#include "base/checked.h"
#include "base/memory.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "ops/columns.h"
#include "plan/planning.h"

fc_status fc_columns_size(const fc_columns_desc *d, int64_t *oh, int64_t *ow, fc_error *error)
{
    static const char *const axes[2] = {"height", "width"};
    fc_status status;
    int64_t rows, length, remainder;
    if ((status = fc_check_least("batch size", d->n, 0, error)) ||
        (status = fc_check_least("channels", d->c, 1, error)))
        return status;
    for (int axis = 0; axis < 2; axis++) {
        status = fc_out_size(axes[axis], axis ? d->w : d->h, d->pad[2 * axis], d->pad[2 * axis + 1],
                             axis ? d->kw : d->kh, d->stride[axis], d->dilation[axis], 0,
                             axis ? ow : oh, &remainder, error);
        if (status)
            return status;
    }
    if ((status = fc_check_bytes("image", (int64_t[]){d->n, d->c, 1, d->h, d->w}, sizeof(double),
                                 error)))
        return status;
    if (fc_mul_overflows(d->c, d->kh, &rows) || fc_mul_overflows(rows, d->kw, &rows) ||
        fc_mul_overflows(*oh, *ow, &length))
        return fc_fail(error, FC_NO_MEMORY,
                       "columns of %lld x %lld windows of %lld x %lld x %lld are larger than any "
                       "memory",
                       (long long)*oh, (long long)*ow, (long long)d->c, (long long)d->kh,
                       (long long)d->kw);
    return fc_check_bytes("array of columns", (int64_t[]){d->n, rows, 1, 1, length}, sizeof(double),
                          error);
}

static fc_status settle(const fc_columns_desc *d, size_t element_bytes, const fc_array *image,
                        const fc_array *columns, struct fc_columns *p, fc_error *error)
{
    *p = (struct fc_columns){.desc = d,
                             .kernels = fc_level_kernels(fc_level_current()),
                             .element_bytes = element_bytes,
                             .image = *image,
                             .columns = *columns};
    fc_status status = fc_columns_size(d, &p->oh, &p->ow, error);
    if (!status)
        fc_columns_prepare(p);
    return status;
}

fc_status fc_unfold(const fc_columns_desc *d, size_t element_bytes, const fc_array *image,
                    const fc_array *columns, fc_error *error)
{
    struct fc_columns p;
    struct fc_gather gather;
    fc_status status = settle(d, element_bytes, image, columns, &p, error);
    if (status || d->n == 0)
        return status;
    fc_unfold_prepare(&p, &gather);
    return fc_gather_call(&gather, error);
}

fc_status fc_fold(const fc_columns_desc *d, fc_dtype dtype, const fc_array *columns,
                  const fc_array *image, fc_error *error)
{
    struct fc_columns p;
    fc_status status = settle(d, fc_dtype_bytes(dtype), image, columns, &p, error);
    if (status || d->n == 0)
        return status;
    if (dtype > FC_FLOAT64)
        return fc_fail(error, FC_INVALID, "fold needs a floating dtype");
    p.dtype = dtype;
    const int threads = fc_threads_for(fc_fold_seconds(&p));
    char *scratch = fc_workspace(fc_fold_scratch(&p), threads, error);
    if (!scratch)
        return FC_NO_MEMORY;
    fc_fold_run(&p, scratch, threads);
    fc_scratch_give(scratch);
    return FC_OK;
}
