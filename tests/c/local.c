/* Layers without shared weights: random ones, and dense ones, in every dtype, layout and level
 * against the definition, at one and at three threads. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static struct {
    fc_local_desc desc;
    int64_t oh, ow, weights, biases;
    int with_bias, with_residual;
    double *x, *weight, *bias, *residual, *value, *bound; /* images are n c h w */
} problem;

static double *random_elements(int64_t count)
{
    double *elements = malloc((size_t)count * sizeof *elements);
    for (int64_t i = 0; i < count; i++)
        elements[i] = random_element(problem.desc.dtype);
    return elements;
}

/* Output (n, k, i, j), which is element `at` of the values. */
static void define(int64_t n, int64_t k, int64_t i, int64_t j, int64_t at)
{
    const fc_local_desc *d = &problem.desc;
    const int64_t length = d->c * d->kh * d->kw, pixel = i * problem.ow + j;
    const double *w = problem.weight + (pixel * d->k + k) * length;
    double magnitude = 0;
    long double sum = 0;
    if (problem.with_bias)
        sum += problem.bias[k + (d->bias_per_pixel ? pixel * d->k : 0)];
    if (problem.with_residual)
        sum += problem.residual[at];
    magnitude = (double)fabsl(sum) + 2; /* the two may cancel */
    for (int64_t c = 0; c < d->c; c++)
        for (int64_t p = 0; p < d->kh; p++)
            for (int64_t q = 0; q < d->kw; q++, w++) {
                const int64_t ih = i * d->stride[0] + p * d->dilation[0] - d->pad[0];
                const int64_t iw = j * d->stride[1] + q * d->dilation[1] - d->pad[2];
                if (ih < 0 || ih >= d->h || iw < 0 || iw >= d->w)
                    continue;
                const double product = problem.x[((n * d->c + c) * d->h + ih) * d->w + iw] * *w;
                sum += product;
                magnitude += fabs(product);
            }
    const double value = activated(&d->activation, (double)sum);
    const double bound =
        activated_bound(d->dtype, &d->activation, value, sum_bound(d->dtype, length, magnitude));
    problem.value[at] = value;
    problem.bound[at] = stored_bound(d->dtype, value, bound);
}

static void problem_make(const fc_local_desc *d, int64_t oh, int64_t ow)
{
    const int64_t outputs = d->n * d->k * oh * ow;
    problem.desc = *d;
    problem.oh = oh;
    problem.ow = ow;
    problem.weights = oh * ow * d->k * d->c * d->kh * d->kw;
    problem.biases = d->k * (d->bias_per_pixel ? oh * ow : 1);
    problem.with_bias = ONE_OF(0, 1) != 0;
    problem.with_residual = ONE_OF(0, 1) != 0;
    problem.x = random_elements(d->n * d->c * d->h * d->w);
    problem.weight = random_elements(problem.weights);
    problem.bias = random_elements(problem.biases);
    problem.residual = random_elements(outputs);
    problem.value = malloc((size_t)outputs * sizeof(double));
    problem.bound = malloc((size_t)outputs * sizeof(double));
    int64_t at = 0;
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t k = 0; k < d->k; k++)
            for (int64_t i = 0; i < oh; i++)
                for (int64_t j = 0; j < ow; j++)
                    define(n, k, i, j, at++);
}

static void problem_free(void)
{
    free(problem.x);
    free(problem.weight);
    free(problem.bias);
    free(problem.residual);
    free(problem.value);
    free(problem.bound);
}

static void run_plan(const fc_local_plan *plan, int channels_last)
{
    const fc_local_desc *d = &problem.desc;
    const int64_t x_size[4] = {d->n, d->c, d->h, d->w};
    const int64_t y_size[4] = {d->n, d->k, problem.oh, problem.ow};
    const fc_array none = {0};
    const void *weight = flush_vector(WEIGHT, d->dtype, problem.weight, problem.weights);
    const void *bias = flush_vector(BIAS, d->dtype, problem.bias, problem.biases);
    const struct array x = array_blank(INPUT, d->dtype, x_size, channels_last);
    const struct array residual = array_blank(RESIDUAL, d->dtype, y_size, 1);
    const struct array y = array_blank(OUTPUT, d->dtype, y_size, 1);
    unsigned char *first = malloc((size_t)y.bytes);
    array_fill(&x, problem.x);
    array_fill(&residual, problem.residual);
    for (int threads = 1; threads <= 3; threads += 2) {
        fc_error error = {0};
        fc_threads_override(threads);
        const fc_status status =
            fc_local_plan_run(plan, &x.view, weight, problem.with_bias ? bias : NULL,
                              problem.with_residual ? &residual.view : &none, &y.view, &error);
        fc_threads_override(0);
        check(status == FC_OK, "run: %s", error.message);
        if (threads == 1)
            memcpy(first, y.block, (size_t)y.bytes);
        else
            check(memcmp(first, y.block, (size_t)y.bytes) == 0,
                  "three threads give other bits than one");
        array_check(&y, problem.value, problem.bound);
    }
    free(first);
}

static void run_level(fc_level level)
{
    fc_local_desc d = problem.desc;
    for (d.channels_last = 0; d.channels_last < 2; d.channels_last++) {
        fc_local_plan *plan;
        fc_error error = {0};
        start("%s %s local %s: n %d, c %d, %dx%d, k %d, window %dx%d, stride %d %d, dilation %d "
              "%d, pad %d %d %d %d, activation %d, bias %d, residual %d",
              fc_level_name(level), d.channels_last ? "pixels" : "planes", dtype_name(d.dtype),
              (int)d.n, (int)d.c, (int)d.h, (int)d.w, (int)d.k, (int)d.kh, (int)d.kw,
              (int)d.stride[0], (int)d.stride[1], (int)d.dilation[0], (int)d.dilation[1],
              (int)d.pad[0], (int)d.pad[1], (int)d.pad[2], (int)d.pad[3], d.activation.kind,
              problem.with_bias, problem.with_residual);
        const fc_status status = fc_local_plan_create(&d, level, &plan, &error);
        check(status == FC_OK, "plan: %s", error.message);
        if (status)
            continue;
        run_plan(plan, d.channels_last);
        fc_local_plan_destroy(plan);
    }
}

/* Runs a problem, if its windows fit. */
static void run_desc(const fc_local_desc *d)
{
    int64_t oh, ow, rest;
    fc_error error;
    if (fc_out_size("height", d->h, d->pad[0], d->pad[1], d->kh, d->stride[0], d->dilation[0], 0,
                    &oh, &rest, &error) ||
        fc_out_size("width", d->w, d->pad[2], d->pad[3], d->kw, d->stride[1], d->dilation[1], 0,
                    &ow, &rest, &error))
        return;
    problem_make(d, oh, ow);
    each_level(run_level);
    problem_free();
}

static fc_local_desc random_desc(fc_dtype dtype)
{
    fc_local_desc d = {.n = ONE_OF(1, 1, 2, 3, 5, 33),
                       .c = ONE_OF(1, 2, 3, 7, 16, 17),
                       .h = ONE_OF(1, 2, 3, 5, 8),
                       .w = ONE_OF(1, 2, 3, 5, 9),
                       .k = ONE_OF(1, 2, 3, 4, 5, 8, 17),
                       .kh = ONE_OF(1, 1, 2, 3),
                       .kw = ONE_OF(1, 1, 2, 3, 5),
                       .stride = {ONE_OF(1, 2, 3), ONE_OF(1, 2, 4)},
                       .dilation = {ONE_OF(1, 1, 2), ONE_OF(1, 1, 3)},
                       .bias_per_pixel = ONE_OF(0, 1) != 0,
                       .dtype = dtype,
                       .activation = activation_of((fc_activation_kind)ONE_OF(
                           FC_NONE, FC_NONE, FC_RELU, FC_TANH, FC_LEAKY_RELU))};
    for (int side = 0; side < 4; side++)
        d.pad[side] = ONE_OF(0, 0, 1, 2);
    return d;
}

void test_local(fc_dtype dtype)
{
    /* Dense layers: rows of one chunk and more, of whole vectors and not. */
    const int64_t dense[][3] = {{1, 1, 1},    {1, 15, 4},     {2, 16, 5},   {3, 33, 7},
                                {1, 1024, 9}, {3, 1025, 260}, {33, 40, 12}, {4, 2050, 3}};
    for (size_t i = 0; i < sizeof dense / sizeof *dense; i++) {
        const fc_local_desc d = {.n = dense[i][0],
                                 .c = dense[i][1],
                                 .h = 1,
                                 .w = 1,
                                 .k = dense[i][2],
                                 .kh = 1,
                                 .kw = 1,
                                 .stride = {1, 1},
                                 .dilation = {1, 1},
                                 .dtype = dtype};
        run_desc(&d);
    }
    for (int i = 0; i < random_problems; i++) {
        const fc_local_desc d = random_desc(dtype);
        run_desc(&d);
    }
}
