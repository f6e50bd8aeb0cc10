/* The gradient of a convolution's weights: every way, layout and level against the definition, on
 * random problems, at one and at three threads. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static struct {
    fc_conv_desc desc;
    int64_t od, oh, ow;
    int64_t x_size[4], y_size[4]; /* rows of all planes of a volume under each other */
    int64_t weights;
    double *x, *y, *value, *bound;
} problem;

static int64_t parallel_runs;

static int64_t count_of(const int64_t size[4])
{
    return size[0] * size[1] * size[2] * size[3];
}

static double *random_elements(const int64_t size[4])
{
    double *values = malloc((size_t)count_of(size) * sizeof *values);
    for (int64_t i = 0; i < count_of(size); i++)
        values[i] = random_element(problem.desc.dtype);
    return values;
}

/* Adds what output pixel (od, oh, ow) of sample n gives to tap (p, i, j) of channel c for output
 * channel k. */
static void add(int64_t n, int64_t k, int64_t c, const int64_t tap[3], const int64_t out[3],
                long double *sum, double *magnitude)
{
    const fc_conv_desc *d = &problem.desc;
    const fc_depth *z = &d->depth;
    const int64_t id = out[0] * z->stride + tap[0] * z->dilation - z->pad[0];
    const int64_t ih = out[1] * d->stride[0] + tap[1] * d->dilation[0] - d->pad[0];
    const int64_t iw = out[2] * d->stride[1] + tap[2] * d->dilation[1] - d->pad[2];
    if (id < 0 || id >= z->size || ih < 0 || ih >= d->h || iw < 0 || iw >= d->w)
        return;
    const int64_t row = ((n * d->k + k) * problem.od + out[0]) * problem.oh + out[1];
    const double product = problem.x[(((n * d->c + c) * z->size + id) * d->h + ih) * d->w + iw] *
                           problem.y[row * problem.ow + out[2]];
    *sum += product;
    *magnitude += fabs(product);
}

static void define(int64_t k, int64_t c, const int64_t tap[3], int64_t at)
{
    const fc_conv_desc *d = &problem.desc;
    const int64_t group = k / (d->k / d->groups);
    const int64_t plane = problem.oh * problem.ow, pixels = problem.od * plane;
    long double sum = 0; /* wider than float64, where there is such */
    double magnitude = 0;
    for (int64_t i = 0; i < d->n * pixels; i++) {
        const int64_t out[3] = {i % pixels / plane, i % plane / problem.ow, i % problem.ow};
        add(i / pixels, k, group * d->cg + c, tap, out, &sum, &magnitude);
    }
    problem.value[at] = (double)sum;
    problem.bound[at] =
        stored_bound(d->dtype, (double)sum, sum_bound(d->dtype, d->n * pixels, magnitude));
}

static void problem_make(const fc_conv_desc *d)
{
    const fc_depth *z = &d->depth;
    int64_t rest, at = 0;
    fc_error error;
    fc_out_size("depth", z->size, z->pad[0], z->pad[1], z->kernel, z->stride, z->dilation, 0,
                &problem.od, &rest, &error);
    fc_out_size("height", d->h, d->pad[0], d->pad[1], d->kh, d->stride[0], d->dilation[0], 0,
                &problem.oh, &rest, &error);
    fc_out_size("width", d->w, d->pad[2], d->pad[3], d->kw, d->stride[1], d->dilation[1], 0,
                &problem.ow, &rest, &error);
    problem.desc = *d;
    problem.weights = d->k * d->cg * z->kernel * d->kh * d->kw;
    memcpy(problem.x_size, (int64_t[]){d->n, d->c, z->size * d->h, d->w}, sizeof problem.x_size);
    memcpy(problem.y_size, (int64_t[]){d->n, d->k, problem.od * problem.oh, problem.ow},
           sizeof problem.y_size);
    problem.x = random_elements(problem.x_size);
    problem.y = random_elements(problem.y_size);
    problem.value = malloc((size_t)problem.weights * sizeof(double));
    problem.bound = malloc((size_t)problem.weights * sizeof(double));
    for (int64_t k = 0; k < d->k; k++)
        for (int64_t c = 0; c < d->cg; c++)
            for (int64_t p = 0; p < z->kernel; p++)
                for (int64_t i = 0; i < d->kh; i++)
                    for (int64_t j = 0; j < d->kw; j++)
                        define(k, c, (int64_t[3]){p, i, j}, at++);
}

static void problem_free(void)
{
    free(problem.x);
    free(problem.y);
    free(problem.value);
    free(problem.bound);
}

static struct array volume(enum slot slot, const int64_t size[4], int64_t h, int channels_last,
                           const double *values)
{
    struct array a = array_blank(slot, problem.desc.dtype, size, channels_last);
    a.view.d = h * a.view.h;
    array_fill(&a, values);
    return a;
}

static void run_once(const fc_weight_plan *plan, const struct array *x, const struct array *y,
                     void *weight, int threads)
{
    fc_error error = {0};
    fc_plan_info info;
    fc_threads_override(threads);
    fc_weight_plan_describe(plan, &info);
    parallel_runs += info.threads > 1;
    check(fc_weight_plan_run(plan, &x->view, &y->view, weight, &error) == FC_OK, "run: %s",
          error.message);
    fc_threads_override(0);
}

static void run_plan(const fc_weight_plan *plan, int channels_last)
{
    const fc_dtype dtype = problem.desc.dtype;
    const struct array x = volume(INPUT, problem.x_size, problem.desc.h, channels_last, problem.x);
    const struct array y = volume(OUTPUT, problem.y_size, problem.oh, channels_last, problem.y);
    const int64_t bytes = problem.weights * dtype_bytes(dtype);
    void *weight = flush_block(WEIGHT, bytes, dtype_bytes(dtype)), *first = malloc((size_t)bytes);
    memset(weight, 0xff, (size_t)bytes);
    run_once(plan, &x, &y, weight, 1);
    for (int64_t i = 0; i < problem.weights; i++) {
        const double got = element_get(dtype, weight, i);
        const double error = fabs(got - problem.value[i]);
        check(error <= problem.bound[i], "weight %d is %g, expected %g within %g", (int)i, got,
              problem.value[i], problem.bound[i]);
    }
    memcpy(first, weight, (size_t)bytes);
    memset(weight, 0xff, (size_t)bytes);
    run_once(plan, &x, &y, weight, 3);
    check(memcmp(first, weight, (size_t)bytes) == 0, "three threads give other bits than one");
    free(first);
}

static void run_level(fc_level level)
{
    static const char *const ways[] = {"tiles", "planes"};
    fc_conv_desc d = problem.desc;
    for (int form = 0; form < 4; form++) {
        const char *way = ways[form / 2];
        const fc_depth *z = &d.depth;
        fc_weight_plan *plan;
        fc_error error = {0};
        d.channels_last = form % 2;
        start("%s weights by %s %s %s: n %d, cg %d, depth %d kernel %d stride %d dilation %d pad "
              "%d %d, %dx%d, k %d, %dx%d, groups %d, stride %d %d, dilation %d %d, pad %d %d %d %d",
              fc_level_name(level), way, d.channels_last ? "pixels" : "planes", dtype_name(d.dtype),
              (int)d.n, (int)d.cg, (int)z->size, (int)z->kernel, (int)z->stride, (int)z->dilation,
              (int)z->pad[0], (int)z->pad[1], (int)d.h, (int)d.w, (int)d.k, (int)d.kh, (int)d.kw,
              (int)d.groups, (int)d.stride[0], (int)d.stride[1], (int)d.dilation[0],
              (int)d.dilation[1], (int)d.pad[0], (int)d.pad[1], (int)d.pad[2], (int)d.pad[3]);
        const fc_status status = fc_weight_plan_create(&d, way, level, &plan, &error);
        if (status) { /* only too many outputs, or a slab with all rows that a dilation passes */
            check(status == FC_UNSUPPORTED && form > 1 &&
                      (d.k / d.groups > 16 || d.dilation[0] == 40),
                  "plan: %s", error.message);
            continue;
        }
        run_plan(plan, d.channels_last);
        fc_weight_plan_destroy(plan);
    }
}

static void run_problem(const fc_conv_desc *d)
{
    problem_make(d);
    each_level(run_level);
    problem_free();
}

static int fits(const fc_conv_desc *d)
{
    const fc_depth *z = &d->depth;
    return (z->kernel - 1) * z->dilation < z->size + z->pad[0] + z->pad[1] &&
           (d->kh - 1) * d->dilation[0] < d->h + d->pad[0] + d->pad[1] &&
           (d->kw - 1) * d->dilation[1] < d->w + d->pad[2] + d->pad[3];
}

/* Sizes around the vectors (4, 8, 16) and the tiles (6, 8, 14 by 12, 16, 32). */
static fc_conv_desc random_desc(fc_dtype dtype)
{
    fc_conv_desc d;
    do {
        d = (fc_conv_desc){
            .n = ONE_OF(1, 1, 2, 3),
            .cg = ONE_OF(1, 1, 2, 3, 5, 7, 8, 13, 14, 15, 16, 33),
            .h = ONE_OF(1, 2, 4, 7, 9),
            .w = ONE_OF(1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33),
            .k = ONE_OF(1, 1, 2, 3, 8, 13, 15, 16, 17, 25, 33, 49),
            .kh = ONE_OF(1, 1, 2, 3, 5),
            .kw = ONE_OF(1, 1, 2, 3, 4, 7),
            .groups = ONE_OF(1, 1, 2, 3, 17),
            .depth = {1, 1, 1, 1, {0, 0}},
            .stride = {ONE_OF(1, 1, 2, 3), ONE_OF(1, 1, 2, 3, 4, 19)},
            .dilation = {ONE_OF(1, 1, 2, 40), ONE_OF(1, 1, 2, 3)},
            .pad = {ONE_OF(0, 1, 2, 5), ONE_OF(0, 1, 3), ONE_OF(0, 1, 2), ONE_OF(0, 1, 2, 7)},
            .dtype = dtype};
        if (d.dilation[0] == 40 && d.kh > 1)
            d.pad[0] = 40 * (d.kh - 1); /* one row of the image at a time */
        if (ONE_OF(0, 0, 0, 1)) {
            memset(d.pad, 0, sizeof d.pad);
            d.kh = d.kw = 1;
        }
        if (ONE_OF(0, 0, 1)) {
            d.depth = (fc_depth){ONE_OF(1, 2, 3, 5),
                                 ONE_OF(1, 1, 2, 3),
                                 ONE_OF(1, 1, 2),
                                 ONE_OF(1, 1, 2),
                                 {ONE_OF(0, 1, 2), ONE_OF(0, 1, 3)}};
        }
        if (d.groups > 3) {
            d.cg = ONE_OF(1, 1, 2);
            d.k = ONE_OF(1, 1, 2);
        }
        d.c = d.cg * d.groups;
        d.k *= d.groups;
    } while (!fits(&d));
    return d;
}

/* Large enough that three threads are worth their while, and for several chunks. */
static const fc_conv_desc large[] = {{.n = 1,
                                      .c = 150,
                                      .h = 60,
                                      .w = 101,
                                      .k = 3,
                                      .cg = 150,
                                      .kh = 1,
                                      .kw = 2,
                                      .groups = 1,
                                      .depth = {1, 1, 1, 1, {0, 0}},
                                      .stride = {1, 1},
                                      .dilation = {1, 1},
                                      .pad = {0, 0, 1, 0}},
                                     {.n = 2,
                                      .c = 40,
                                      .h = 33,
                                      .w = 32,
                                      .k = 20,
                                      .cg = 2,
                                      .kh = 3,
                                      .kw = 3,
                                      .groups = 20,
                                      .depth = {1, 1, 1, 1, {0, 0}},
                                      .stride = {1, 1},
                                      .dilation = {1, 1},
                                      .pad = {1, 1, 1, 1}}};

void test_grad_weight(fc_dtype dtype)
{
    for (int i = 0; i < random_problems; i++) {
        const fc_conv_desc d = random_desc(dtype);
        run_problem(&d);
    }
    parallel_runs = 0;
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        fc_conv_desc d = large[i];
        d.dtype = dtype;
        run_problem(&d);
    }
    start("gradients of weights by threads");
    check(parallel_runs > 0 || !fc_openmp_version(), "no run had more than one thread");
}
