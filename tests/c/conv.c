/* Convolution: every algorithm, layout and level against the definition, on fixed and random
 * problems, at one and at three threads. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "harness.h"

/* One problem in one dtype: contiguous arrays, n c h w, and what must come out. */
static struct {
    fc_conv_desc desc;
    int64_t x_size[4], y_size[4]; /* rows of all planes of a volume under each other */
    int64_t oh;
    double *x, *weight, *bias, *residual;
    int has_bias, has_residual, in_place; /* in place: the residual is the output itself */
    double *value, *magnitude, *bound;    /* magnitude: sum of all absolute values */
} problem;

static int64_t parallel_runs;

static double *random_elements(fc_dtype dtype, int64_t count)
{
    double *values = malloc((size_t)count * sizeof *values);
    for (int64_t i = 0; i < count; i++)
        values[i] = random_element(dtype);
    return values;
}

/* One output element by the definition. */
static void define(int64_t n, int64_t k, int64_t od, int64_t oh, int64_t ow, int64_t at)
{
    const fc_conv_desc *d = &problem.desc;
    const int64_t c0 = k / (d->k / d->groups) * d->cg;
    const fc_depth *z = &d->depth;
    const double *w = problem.weight + k * d->cg * z->kernel * d->kh * d->kw;
    const double bias = problem.has_bias ? problem.bias[k] : 0;
    const double residual = problem.has_residual ? problem.residual[at] : 0;
    long double sum = (long double)bias + residual; /* wider than float64, where there is such */
    double magnitude = fabs(bias) + fabs(residual);
    for (int64_t t = 0; t < d->cg * z->kernel; t++) {
        const int64_t c = t / z->kernel;
        const int64_t id = od * z->stride + t % z->kernel * z->dilation - z->pad[0];
        for (int64_t i = 0; i < d->kh; i++)
            for (int64_t j = 0; j < d->kw; j++, w++) {
                const int64_t ih = oh * d->stride[0] + i * d->dilation[0] - d->pad[0];
                const int64_t iw = ow * d->stride[1] + j * d->dilation[1] - d->pad[2];
                if (id < 0 || id >= z->size || ih < 0 || ih >= d->h || iw < 0 || iw >= d->w)
                    continue;
                const int64_t plane = (n * d->c + c0 + c) * z->size + id;
                const double x = problem.x[(plane * d->h + ih) * d->w + iw];
                sum += (long double)x * *w;
                magnitude += fabs(x * *w);
            }
    }
    problem.value[at] = activated(&d->activation, (double)sum);
    problem.magnitude[at] = magnitude;
}

/* The bounds of an algorithm.  Winograd's errors follow the largest sum of a tile of m x m outputs
 * of the same phase of the dilation; m is 1 for the others. */
static void set_bounds(int64_t m)
{
    const fc_conv_desc *d = &problem.desc;
    const int64_t rows = problem.y_size[0] * problem.y_size[1] * problem.y_size[2];
    const int64_t oh = problem.oh, ow = problem.y_size[3];
    const int64_t dh = d->dilation[0], dw = d->dilation[1];
    for (int64_t at = 0; at < rows * ow; at++) {
        const int64_t i = at / ow % oh, j = at % ow;
        const int64_t i0 = i - i / dh % m * dh, j0 = j - j / dw % m * dw;
        const double *plane = problem.magnitude + at - i * ow - j;
        double largest = 0;
        for (int64_t a = 0; a < m && (m == 1 || i0 + a * dh < oh); a++)
            for (int64_t b = 0; b < m && (m == 1 || j0 + b * dw < ow); b++)
                largest = fmax(largest, plane[(i0 + a * dh) * ow + j0 + b * dw]);
        const double bound = sum_bound(d->dtype, d->cg * d->depth.kernel * d->kh * d->kw, largest);
        problem.bound[at] =
            stored_bound(d->dtype, problem.value[at],
                         activated_bound(d->dtype, &d->activation, problem.value[at],
                                         m > 1 ? 4 * bound : bound));
    }
}

static int64_t count_of(const int64_t size[4])
{
    return size[0] * size[1] * size[2] * size[3];
}

/* The residual, which may be the output itself. */
enum addend { NO_RESIDUAL, APART, IN_PLACE, ADDEND_COUNT };

static void problem_make(const fc_conv_desc *d, enum addend addend)
{
    const fc_depth *z = &d->depth;
    int64_t od, oh, ow, rest;
    fc_error error;
    fc_out_size("depth", z->size, z->pad[0], z->pad[1], z->kernel, z->stride, z->dilation, 0, &od,
                &rest, &error);
    fc_out_size("height", d->h, d->pad[0], d->pad[1], d->kh, d->stride[0], d->dilation[0], 0, &oh,
                &rest, &error);
    fc_out_size("width", d->w, d->pad[2], d->pad[3], d->kw, d->stride[1], d->dilation[1], 0, &ow,
                &rest, &error);
    problem.desc = *d;
    problem.oh = oh;
    memcpy(problem.x_size, (int64_t[]){d->n, d->c, z->size * d->h, d->w}, sizeof problem.x_size);
    memcpy(problem.y_size, (int64_t[]){d->n, d->k, od * oh, ow}, sizeof problem.y_size);
    const int64_t outputs = count_of(problem.y_size);
    problem.x = random_elements(d->dtype, count_of(problem.x_size));
    problem.weight = random_elements(d->dtype, d->k * d->cg * z->kernel * d->kh * d->kw);
    problem.bias = random_elements(d->dtype, d->k);
    problem.residual = random_elements(d->dtype, outputs);
    problem.has_bias = ONE_OF(0, 1, 1) != 0;
    problem.has_residual = addend != NO_RESIDUAL;
    problem.in_place = addend == IN_PLACE;
    problem.value = malloc((size_t)outputs * sizeof(double));
    problem.bound = malloc((size_t)outputs * sizeof(double));
    problem.magnitude = malloc((size_t)outputs * sizeof(double));
    int64_t at = 0;
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t k = 0; k < d->k; k++)
            for (int64_t i = 0; i < od * oh; i++)
                for (int64_t j = 0; j < ow; j++)
                    define(n, k, i / oh, i % oh, j, at++);
}

static void problem_free(void)
{
    free(problem.x);
    free(problem.weight);
    free(problem.bias);
    free(problem.residual);
    free(problem.value);
    free(problem.bound);
    free(problem.magnitude);
}

/* Whether refusing this problem would be a defect of the algorithm. */
static int must_serve(const char *algorithm)
{
    const fc_conv_desc *d = &problem.desc;
    const int padded = d->pad[0] || d->pad[1] || d->pad[2] || d->pad[3];
    const int plane = d->depth.kernel == 1 && !d->depth.pad[0] && !d->depth.pad[1];
    if (strcmp(algorithm, "pointwise") == 0)
        return d->kh == 1 && d->kw == 1 && !padded && plane;
    if (strcmp(algorithm, "depthwise") == 0)
        return d->cg == 1 && d->groups > 1 && plane;
    if (strncmp(algorithm, "winograd", 8) == 0) {
        const int64_t r = algorithm[11] - '0'; /* winograd_f<m><r> */
        return d->kh == r && d->kw == r && d->stride[0] == 1 && d->stride[1] == 1 &&
               d->dtype != FC_FLOAT64;
    }
    return 1;
}

/* One run at some threads; the output's block is left as the run wrote it. */
static void run_once(const fc_plan *plan, const struct array *x, const void *packed,
                     const void *bias, const struct array *residual, const struct array *y,
                     int threads)
{
    fc_error error = {0};
    fc_array none = {0};
    if (problem.has_residual)
        array_fill(residual, problem.residual);
    fc_threads_override(threads);
    fc_plan_info info;
    fc_plan_describe(plan, &info);
    parallel_runs += info.threads > 1;
    const fc_status status =
        fc_plan_run(plan, &x->view, packed, bias, problem.has_residual ? &residual->view : &none,
                    &y->view, &error);
    fc_threads_override(0);
    check(status == FC_OK, "run: %s", error.message);
}

/* An array whose planes have h rows. */
static struct array volume(enum slot slot, const int64_t size[4], int64_t h, int channels_last)
{
    struct array a = array_blank(slot, problem.desc.dtype, size, channels_last);
    a.view.d = h * a.view.h;
    return a;
}

static void run_plan(const fc_plan *plan, int channels_last)
{
    const fc_conv_desc *d = &problem.desc;
    fc_error error = {0};
    fc_plan_info info;
    fc_plan_describe(plan, &info);
    const int64_t taps = d->cg * d->depth.kernel * d->kh * d->kw;
    const void *weight = flush_vector(WEIGHT, d->dtype, problem.weight, d->k * taps);
    void *packed = flush_block(PACKED, (int64_t)info.packed_bytes, 64);
    const void *bias = problem.has_bias ? flush_vector(BIAS, d->dtype, problem.bias, d->k) : NULL;
    const struct array x = volume(INPUT, problem.x_size, d->h, channels_last);
    const struct array y = volume(OUTPUT, problem.y_size, problem.oh, channels_last);
    const struct array residual =
        problem.in_place ? y : volume(RESIDUAL, problem.y_size, problem.oh, channels_last);
    unsigned char *first = malloc((size_t)y.bytes);
    array_fill(&x, problem.x);
    check(fc_plan_pack(plan, weight, packed, &error) == FC_OK, "pack: %s", error.message);

    run_once(plan, &x, packed, bias, &residual, &y, 1);
    memcpy(first, y.block, (size_t)y.bytes);
    array_check(&y, problem.value, problem.bound);
    run_once(plan, &x, packed, bias, &residual, &y, 3);
    check(memcmp(first, y.block, (size_t)y.bytes) == 0, "three threads give other bits than one");
    free(first);
}

static void run_level(fc_level level)
{
    /* With the outputs of a tile along an axis. */
    static const struct {
        const char *name;
        int64_t m;
    } algorithms[] = {{"direct", 1},      {"im2col", 1},       {"pointwise", 1},
                      {"depthwise", 1},   {"winograd_f43", 4}, {"winograd_f23", 2},
                      {"winograd_f25", 2}};
    enum { COUNT = sizeof algorithms / sizeof *algorithms };
    fc_conv_desc d = problem.desc;
    for (int form = 0; form < 2 * COUNT; form++) {
        const char *algorithm = algorithms[form / 2].name;
        fc_plan *plan;
        fc_error error = {0};
        d.channels_last = form % 2;
        const fc_depth *z = &d.depth;
        start("%s %s %s %s: n %d, c %d, depth %d kernel %d stride %d dilation %d pad %d %d, %dx%d, "
              "k %d, %dx%d, groups %d, stride %d %d, dilation "
              "%d %d, pad %d %d %d %d, activation %d, bias %d, residual %d%s",
              fc_level_name(level), algorithm, d.channels_last ? "pixels" : "planes",
              dtype_name(d.dtype), (int)d.n, (int)d.c, (int)z->size, (int)z->kernel, (int)z->stride,
              (int)z->dilation, (int)z->pad[0], (int)z->pad[1], (int)d.h, (int)d.w, (int)d.k,
              (int)d.kh, (int)d.kw, (int)d.groups, (int)d.stride[0], (int)d.stride[1],
              (int)d.dilation[0], (int)d.dilation[1], (int)d.pad[0], (int)d.pad[1], (int)d.pad[2],
              (int)d.pad[3], (int)d.activation.kind, problem.has_bias, problem.has_residual,
              problem.in_place ? " in place" : "");
        const fc_status status = fc_plan_create(&d, algorithm, level, 0, &plan, &error);
        if (status) {
            check(status == FC_UNSUPPORTED && !must_serve(algorithm), "plan: %s", error.message);
            continue;
        }
        set_bounds(algorithms[form / 2].m);
        run_plan(plan, d.channels_last);
        fc_plan_destroy(plan);
    }
}

static void run_problem(const fc_conv_desc *d, enum addend addend)
{
    problem_make(d, addend);
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

enum form { DENSE, POINTWISE, GROUPED, DEPTHWISE, SQUARE, VOLUME, FORM_COUNT };

/* Sizes around the vectors (4, 8, 16), the tiles (6, 8, 14 by 12, 16, 32) and the lines (24, 48).
 */
static fc_conv_desc random_desc(enum form form, fc_dtype dtype)
{
    fc_conv_desc d;
    do {
        d = (fc_conv_desc){.n = ONE_OF(1, 1, 1, 2, 3),
                           .cg = ONE_OF(1, 2, 3, 4, 5, 9, 16, 17, 35),
                           .h = ONE_OF(1, 2, 4, 5, 7, 9),
                           .w = ONE_OF(1, 2, 3, 5, 6, 7, 8, 9, 13, 15, 16, 17, 27, 29, 31, 57),
                           .k = ONE_OF(1, 2, 3, 4, 7, 8, 11, 12, 13, 15, 16, 17, 25, 33, 49),
                           .kh = ONE_OF(1, 2, 3, 3, 5),
                           .kw = ONE_OF(1, 2, 3, 3, 4, 7),
                           .groups = 1,
                           .depth = {1, 1, 1, 1, {0, 0}},
                           .stride = {ONE_OF(1, 1, 2, 3), ONE_OF(1, 1, 1, 2, 3, 4)},
                           .dilation = {ONE_OF(1, 1, 2), ONE_OF(1, 1, 2, 3)},
                           .pad = {ONE_OF(0, 1, 2, 5), ONE_OF(0, 1, 3), ONE_OF(0, 1, 1, 2, 6),
                                   ONE_OF(0, 1, 1, 2, 7)},
                           .dtype = dtype,
                           .activation = activation_of(
                               (fc_activation_kind)ONE_OF(0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8))};
        if (form == POINTWISE) {
            d.kh = d.kw = 1;
            d.cg = ONE_OF(1, 3, 16, 50, 230);
            if (ONE_OF(0, 1, 1))
                memset(d.pad, 0, sizeof d.pad);
            if (ONE_OF(0, 1, 1))
                d.stride[0] = d.stride[1] = 1;
        } else if (form == GROUPED) {
            d.groups = ONE_OF(2, 3);
            d.cg = ONE_OF(1, 2, 5, 16);
        } else if (form == DEPTHWISE) {
            d.groups = ONE_OF(2, 3, 7, 8, 9, 16, 17, 33);
            d.cg = 1;
            d.k = ONE_OF(1, 1, 1, 2, 3);
            d.h += ONE_OF(0, 0, 11);
            if (ONE_OF(0, 0, 1))
                d.kh = ONE_OF(4, 7);
        } else if (form == SQUARE) { /* what Winograd takes */
            d.kh = d.kw = ONE_OF(3, 3, 5);
            d.stride[0] = d.stride[1] = 1;
            d.h += ONE_OF(0, 3, 11);
            d.groups = ONE_OF(1, 1, 2);
            if (ONE_OF(0, 0, 1)) { /* rows of tiles in more than one block, or a few beside them */
                d.n = 1;           /* no array may outgrow its slot */
                d.cg = ONE_OF(1, 3, 40);
                d.k = ONE_OF(1, 17);
                d.w = ONE_OF(29, 35, 58, 130, 260);
                d.dilation[1] = ONE_OF(1, 2, 6);
                d.pad[2] = ONE_OF(0, 6, 12);
            }
        }
        if (form == VOLUME || ONE_OF(0, 0, 0, 1)) {
            d.depth = (fc_depth){ONE_OF(1, 2, 3, 5),
                                 ONE_OF(1, 1, 2, 3),
                                 ONE_OF(1, 1, 2),
                                 ONE_OF(1, 1, 2),
                                 {ONE_OF(0, 1, 2), ONE_OF(0, 1, 3)}};
            d.n = fc_min(d.n, 2);
            d.cg = fc_min(d.cg, 17);
            d.k = fc_min(d.k, 33);
        }
        d.c = d.cg * d.groups;
        d.k *= d.groups;
    } while (!fits(&d));
    return d;
}

/* A problem of the tables below, padded so that its output has the size of its input. */
static fc_conv_desc framed(const fc_conv_desc *problem, fc_dtype dtype)
{
    fc_conv_desc d = *problem;
    const int64_t border = d.kh / 2;
    d.n += !d.n;
    d.depth = (fc_depth){1, 1, 1, 1, {0, 0}};
    d.dtype = dtype;
    for (int axis = 0; axis < 2; axis++) {
        d.stride[axis] = d.dilation[axis] = 1;
        d.pad[2 * axis] = d.pad[2 * axis + 1] = border;
    }
    return d;
}

/* Large enough that three threads are worth their while. */
static const fc_conv_desc large[] = {
    {.c = 16, .h = 29, .w = 30, .k = 35, .cg = 16, .kh = 3, .kw = 3, .groups = 1},
    {.c = 3, .h = 47, .w = 60, .k = 33, .cg = 3, .kh = 3, .kw = 3, .groups = 1},
    {.c = 64, .h = 7, .w = 7, .k = 100, .cg = 64, .kh = 3, .kw = 3, .groups = 1},
    {.c = 70, .h = 24, .w = 25, .k = 50, .cg = 70, .kh = 1, .kw = 1, .groups = 1},
    {.c = 300, .h = 9, .w = 9, .k = 90, .cg = 300, .kh = 1, .kw = 1, .groups = 1},
    {.c = 40, .h = 50, .w = 62, .k = 40, .cg = 1, .kh = 3, .kw = 3, .groups = 40},
    {.n = 9, .c = 700, .h = 2, .w = 3, .k = 180, .cg = 700, .kh = 1, .kw = 1, .groups = 1},
};

/* Between them all algorithms serve these, with vectors and what is left beside them. */
static const fc_conv_desc served[] = {
    {.c = 5, .h = 5, .w = 18, .k = 19, .cg = 5, .kh = 3, .kw = 3, .groups = 1},
    {.c = 3, .h = 7, .w = 18, .k = 18, .cg = 3, .kh = 5, .kw = 5, .groups = 1},
    {.c = 17, .h = 3, .w = 13, .k = 19, .cg = 17, .kh = 1, .kw = 1, .groups = 1},
    {.c = 19, .h = 6, .w = 18, .k = 19, .cg = 1, .kh = 3, .kw = 3, .groups = 19},
};

/* Every last pass: each activation, with each residual. */
static void run_last_passes(fc_dtype dtype)
{
    for (size_t i = 0; i < sizeof served / sizeof *served; i++)
        for (int kind = 0; kind < FC_ACTIVATION_COUNT; kind++)
            for (int addend = 0; addend < ADDEND_COUNT; addend++) {
                fc_conv_desc d = framed(&served[i], dtype);
                d.activation = activation_of((fc_activation_kind)kind);
                run_problem(&d, (enum addend)addend);
            }
}

void test_conv(fc_dtype dtype)
{
    run_last_passes(dtype);
    for (int i = 0; i < random_problems; i++) {
        const fc_conv_desc d = random_desc((enum form)(i % FORM_COUNT), dtype);
        run_problem(&d, (enum addend)ONE_OF(NO_RESIDUAL, NO_RESIDUAL, APART, IN_PLACE));
    }
    parallel_runs = 0;
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        const fc_conv_desc d = framed(&large[i], dtype);
        run_problem(&d, (enum addend)ONE_OF(NO_RESIDUAL, APART, IN_PLACE));
    }
    start("%s convolutions in parallel", dtype_name(dtype));
    check(parallel_runs > 0 || !fc_openmp_version(), "none ran so");
}
