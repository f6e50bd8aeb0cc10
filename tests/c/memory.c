/* Running out of memory at every allocation: an error, an untouched output, nothing leaked (which
 * the leak checker of a sanitizer tells). */
#include "harness.h"

#if defined(FC_TEST_HOOKS)

/* Every algorithm serves it. */
static const fc_conv_desc desc = {.n = 1,
                                  .c = 4,
                                  .h = 5,
                                  .w = 9,
                                  .k = 4,
                                  .cg = 1,
                                  .kh = 1,
                                  .kw = 1,
                                  .groups = 4,
                                  .depth = {1, 1, 1, 1, {0, 0}},
                                  .stride = {1, 1},
                                  .dilation = {1, 1}};
static const int64_t size[4] = {1, 4, 5, 9};

static fc_status convolve(const fc_conv_desc *d, const char *algorithm, const struct array *x,
                          const struct array *y)
{
    const double weight[4] = {1, 1, 1, 1};
    const fc_array none = {0};
    fc_error error;
    fc_plan *plan;
    fc_plan_info info;
    fc_status status = fc_plan_create(d, algorithm, fc_level_current(), 0, &plan, &error);
    if (status)
        return status;
    fc_plan_describe(plan, &info);
    void *packed = flush_block(PACKED, (int64_t)info.packed_bytes, 64);
    status = fc_plan_pack(plan, flush_vector(WEIGHT, d->dtype, weight, 4), packed, &error);
    if (!status)
        status = fc_plan_run(plan, &x->view, packed, NULL, &none, &y->view, &error);
    fc_plan_destroy(plan);
    return status;
}

static fc_status pool(const fc_conv_desc *d, const struct array *x, const struct array *y)
{
    const fc_pool_desc p = {.kind = FC_POOL_AVG,
                            .axes = 2,
                            .n = d->n,
                            .c = d->c,
                            .size = {1, d->h, d->w},
                            .kernel = {1, 1, 1},
                            .stride = {1, 1, 1},
                            .dilation = {1, 1, 1},
                            .dtype = d->dtype};
    fc_error error;
    fc_pool_plan *plan;
    fc_status status = fc_pool_plan_create(&p, fc_level_current(), &plan, &error);
    if (status)
        return status;
    status = fc_pool_plan_run(plan, &x->view, &y->view, NULL, &error);
    fc_pool_plan_destroy(plan);
    return status;
}

void test_memory(fc_dtype dtype)
{
    enum { ALLOCATIONS = 8 }; /* at least as many as any of these calls makes */
    static const char *const calls[] = {"direct", "im2col", "pointwise", "depthwise", "pool"};
    double values[4 * 5 * 9];
    fc_conv_desc d = desc;
    d.dtype = dtype;
    for (int i = 0; i < 4 * 5 * 9; i++)
        values[i] = i;
    const struct array x = array_blank(INPUT, dtype, size, 0);
    array_fill(&x, values);
    for (int call = 0; call < 5; call++)
        for (int n = 0; n <= ALLOCATIONS; n++) {
            const struct array y = array_blank(OUTPUT, dtype, size, 0);
            start("%s %s without allocation %d", dtype_name(dtype), calls[call], n);
            fc_memory_fail(n);
            const fc_status status =
                call < 4 ? convolve(&d, calls[call], &x, &y) : pool(&d, &x, &y);
            fc_memory_fail(-1);
            check(status == FC_OK || (status == FC_NO_MEMORY && n < ALLOCATIONS), "status %d",
                  (int)status);
            if (status == FC_OK)
                array_check(&y, values, NULL);
            else
                for (int64_t b = 0; b < y.bytes; b++)
                    check(y.block[b] == 0xff, "byte %d of the output was written", (int)b);
        }
}

#else

void test_memory(fc_dtype dtype)
{
    (void)dtype;
}

#endif
