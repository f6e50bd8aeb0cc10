/* Local response normalisation against its definition, and the steps of a network against the calls
 * that they stand for, at each level. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static fc_dtype dtype;

static double *random_elements(int64_t count)
{
    double *values = malloc((size_t)count * sizeof(double));
    for (int64_t i = 0; i < count; i++)
        values[i] = random_element(dtype);
    return values;
}

/* ---- response normalisation ---- */

static void define_response(const fc_response_desc *d, const double *x, double *value,
                            double *bound)
{
    for (int64_t at = 0; at < d->n * d->c * d->pixels; at++) {
        const int64_t c = at / d->pixels % d->c;
        long double energy = 0;
        for (int64_t j = c - d->size / 2; j <= c + (d->size - 1) / 2; j++)
            if (j >= 0 && j < d->c) {
                const long double v = x[at + (j - c) * d->pixels];
                energy += v * v;
            }
        const long double base = d->k + d->alpha / (double)d->size * energy;
        value[at] = (double)(x[at] / powl(base, d->quarters / 4.0L));
        bound[at] = sum_bound(dtype, d->size, fabs(value[at]));
    }
}

static void run_response(const fc_response_desc *d)
{
    const int64_t count = d->n * d->c * d->pixels;
    double *x = random_elements(count);
    double *value = malloc((size_t)count * sizeof(double));
    double *bound = malloc((size_t)count * sizeof(double));
    define_response(d, x, value, bound);
    const void *from = flush_vector(INPUT, dtype, x, count);
    const struct array y = array_blank(OUTPUT, dtype, (int64_t[]){1, 1, 1, count}, 0);
    unsigned char *first = malloc((size_t)y.bytes);
    for (int threads = 1; threads <= 3; threads += 2) {
        fc_threads_override(threads);
        fc_response_norm(d, from, y.view.data);
        fc_threads_override(0);
        if (threads == 1)
            memcpy(first, y.block, (size_t)y.bytes);
        else
            check(memcmp(first, y.block, (size_t)y.bytes) == 0,
                  "three threads give other bits than one");
        array_check(&y, value, bound);
    }
    free(first);
    free(bound);
    free(value);
    free(x);
}

static void run_responses(fc_level level)
{
    for (int i = 0; i < random_problems; i++) {
        const fc_response_desc d = {.n = ONE_OF(1, 1, 2),
                                    .c = ONE_OF(1, 2, 3, 5, 8, 16, 33),
                                    .pixels = ONE_OF(1, 3, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 200,
                                                     255, 256, 257, 273, 520),
                                    .size = ONE_OF(1, 2, 3, 4, 5, 5, 9, 70),
                                    .alpha = ONE_OF(0, 1, 1, 1) * (1 + random_uniform()),
                                    .k = 1.5 + random_uniform(),
                                    .quarters = (int)ONE_OF(2, 3, 3, 4),
                                    .dtype = dtype};
        start("%s %s response: n %d, c %d, %d pixels, size %d, quarters %d", fc_level_name(level),
              dtype_name(dtype), (int)d.n, (int)d.c, (int)d.pixels, (int)d.size, d.quarters);
        run_response(&d);
    }
    /* Large enough that three threads are worth their while. */
    const fc_response_desc large = {.n = 2,
                                    .c = 24,
                                    .pixels = 2000,
                                    .size = 5,
                                    .alpha = 1e-4,
                                    .k = 1,
                                    .quarters = 3,
                                    .dtype = dtype};
    start("%s %s large response", fc_level_name(level), dtype_name(dtype));
    run_response(&large);
}

/* ---- steps ---- */

/* Channels, sizes of an image, classes, samples: of a convolution and an activation, a pooling by
 * two, a normalisation and a dense layer. */
enum { C = 3, H = 6, W = 10, K = 5, CLASSES = 7, N = 2, IMAGE = K * H * W, POOLED = IMAGE / 4 };

static fc_array image_of(int64_t c, int64_t h, int64_t w)
{
    return (fc_array){.n = c * h * w, .c = h * w, .h = w, .w = 1};
}

static fc_place place(int block, int64_t element, fc_array array)
{
    return (fc_place){block, (size_t)(element * dtype_bytes(dtype)), array};
}

static void *at(void *const *blocks, const fc_place *p)
{
    return (char *)blocks[p->block] + p->offset_bytes;
}

/* The same by a call for each. */
static void run_calls(const fc_step *steps, int count, void *const *blocks)
{
    fc_error error;
    for (const fc_step *s = steps; s < steps + count; s++) {
        fc_array x = s->x.array, y = s->y.array, residual = s->residual.array;
        fc_status status = FC_OK;
        x.data = at(blocks, &s->x);
        y.data = at(blocks, &s->y);
        residual.data = s->residual.block < 0 ? NULL : at(blocks, &s->residual);
        if (s->kind == FC_STEP_CONV)
            status = fc_plan_run(s->plan, &x, s->weight, s->bias, &residual, &y, &error);
        else if (s->kind == FC_STEP_POOL)
            status = fc_pool_plan_run(s->plan, &x, &y, NULL, &error);
        else if (s->kind == FC_STEP_LOCAL)
            status = fc_local_plan_run(s->plan, &x, s->weight, s->bias, &residual, &y, &error);
        else if (s->kind == FC_STEP_ACTIVATE)
            fc_activate(dtype, &s->activation, s->count, x.data, y.data);
        else
            fc_response_norm(&s->response, x.data, y.data);
        check(status == FC_OK, "call: %s", error.message);
    }
}

static void run_steps(fc_level level)
{
    const fc_activation silu = activation_of(FC_SILU), relu = activation_of(FC_RELU);
    const fc_conv_desc conv = {.n = N,
                               .c = C,
                               .h = H,
                               .w = W,
                               .k = K,
                               .cg = C,
                               .kh = 3,
                               .kw = 3,
                               .groups = 1,
                               .depth = {1, 1, 1, 1, {0, 0}},
                               .stride = {1, 1},
                               .dilation = {1, 1},
                               .pad = {1, 1, 1, 1},
                               .dtype = dtype,
                               .activation = relu};
    const fc_pool_desc pool = {.kind = FC_POOL_MAX,
                               .axes = 2,
                               .n = N,
                               .c = K,
                               .size = {1, H, W},
                               .kernel = {1, 2, 2},
                               .stride = {1, 2, 2},
                               .dilation = {1, 1, 1},
                               .dtype = dtype};
    const fc_local_desc dense = {.n = N,
                                 .c = POOLED,
                                 .h = 1,
                                 .w = 1,
                                 .k = CLASSES,
                                 .kh = 1,
                                 .kw = 1,
                                 .stride = {1, 1},
                                 .dilation = {1, 1},
                                 .dtype = dtype,
                                 .activation = silu};
    fc_plan *conv_plan = NULL;
    fc_pool_plan *pool_plan = NULL;
    fc_local_plan *dense_plan = NULL;
    fc_plan_info info;
    fc_error error;
    start("%s %s steps", fc_level_name(level), dtype_name(dtype));
    check(fc_plan_create(&conv, "auto", level, 0, &conv_plan, &error) == FC_OK &&
              fc_pool_plan_create(&pool, level, &pool_plan, &error) == FC_OK &&
              fc_local_plan_create(&dense, level, &dense_plan, &error) == FC_OK,
          "plan: %s", error.message);
    fc_plan_describe(conv_plan, &info);
    double *numbers = random_elements(POOLED * CLASSES);
    void *packed = flush_block(PACKED, (int64_t)info.packed_bytes, 64);
    fc_plan_pack(conv_plan, flush_vector(BIAS, dtype, numbers, K * C * 9), packed, &error);
    const void *weight = flush_vector(WEIGHT, dtype, numbers, POOLED * CLASSES);

    /* The convolution's residual is what its result replaces: zeros. */
    const fc_place none = {.block = -1};
    const fc_place whole = place(0, 0, image_of(K, H, W));
    const fc_place half = place(0, N * IMAGE, image_of(K, H / 2, W / 2));
    const fc_place other = place(0, N * (IMAGE + POOLED), half.array);
    const fc_array features = {.n = POOLED, .c = 1}, classes = {.n = CLASSES, .c = 1};
    const int with_response = dtype != FC_FLOAT16;
    const fc_step all[] = {
        {.kind = FC_STEP_CONV,
         .plan = conv_plan,
         .x = place(1, 0, image_of(C, H, W)),
         .y = whole,
         .residual = whole,
         .weight = packed},
        {.kind = FC_STEP_ACTIVATE,
         .x = whole,
         .y = whole,
         .residual = none,
         .dtype = dtype,
         .activation = silu,
         .count = N * IMAGE},
        {.kind = FC_STEP_POOL, .plan = pool_plan, .x = whole, .y = half, .residual = none},
        {.kind = FC_STEP_LOCAL,
         .plan = dense_plan,
         .x = place(0, N * IMAGE, features),
         .y = place(2, 0, classes),
         .residual = none,
         .weight = weight},
        {.kind = FC_STEP_RESPONSE,
         .x = half,
         .y = other,
         .residual = none,
         .response = {N, K, POOLED / K, 3, 0.5, 1, 3, dtype}},
    };
    enum { COUNT = sizeof all / sizeof *all };
    const int count = with_response ? COUNT : COUNT - 1;
    const int64_t shared = N * (IMAGE + 2 * POOLED);
    double *zeros = calloc((size_t)shared, sizeof(double)), seconds[COUNT] = {0};
    void *blocks[3] = {NULL, flush_vector(INPUT, dtype, numbers, N * C * H * W), NULL};
    const size_t bytes[3] = {(size_t)(shared * dtype_bytes(dtype)), 0,
                             (size_t)(N * CLASSES * dtype_bytes(dtype))};
    unsigned char *wanted[3] = {malloc(bytes[0]), NULL, malloc(bytes[2])};
    for (int run = 0; run < 3; run++) { /* by calls, as steps, as steps that are timed */
        blocks[0] = flush_vector(RESIDUAL, dtype, zeros, shared);
        blocks[2] = flush_block(OUTPUT, (int64_t)bytes[2], dtype_bytes(dtype));
        if (run == 0) {
            run_calls(all, count, blocks);
        } else {
            const fc_status status =
                fc_steps_run(all, count, blocks, run == 2 ? seconds : NULL, &error);
            check(status == FC_OK, "steps: %s", error.message);
        }
        for (int i = 0; i < 3; i += 2)
            if (run == 0)
                memcpy(wanted[i], blocks[i], bytes[i]);
            else
                check(memcmp(wanted[i], blocks[i], bytes[i]) == 0,
                      "block %d differs from what calls wrote", i);
    }
    for (int i = 0; i < count; i++)
        check(seconds[i] >= 0, "step %d took %g s", i, seconds[i]);
    check(fc_steps_run(all, 0, blocks, NULL, &error) == FC_OK, "no steps: %s", error.message);
    free(wanted[0]);
    free(wanted[2]);
    free(zeros);
    free(numbers);
    fc_plan_destroy(conv_plan);
    fc_pool_plan_destroy(pool_plan);
    fc_local_plan_destroy(dense_plan);
}

/* What has no plan takes the level in force. */
static void run_level(fc_level level)
{
    fc_error error;
    setenv("FASTCONV_CPU", fc_level_name(level), 1);
    check(fc_init(&error) == FC_OK, "%s", error.message);
    if (dtype != FC_FLOAT16)
        run_responses(level);
    run_steps(level);
}

void test_graph(fc_dtype of)
{
    fc_error error;
    dtype = of;
    each_level(run_level);
    unsetenv("FASTCONV_CPU");
    fc_init(&error);
}
