/* Pooling: every element type, layout and level against the definition, with and without indices,
 * at one and at three threads. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static struct {
    fc_pool_desc desc;
    int64_t x_size[4], y_size[4];
    double *x;
    double *value, *bound; /* no bound: exact */
    int64_t *index;        /* over the plane, in the order n c h w; maxima only */
} problem;

/* The divisor's share of one axis: positions of window q that count. */
static int64_t positions(int axis, int64_t q)
{
    const fc_pool_desc *d = &problem.desc;
    const int64_t taps = axis ? d->kw : d->kh, size = axis ? d->w : d->h;
    const int64_t before = d->count_include_pad ? d->pad[2 * axis] : 0;
    const int64_t after = d->count_include_pad ? d->pad[2 * axis + 1] : 0;
    int64_t count = 0;
    for (int64_t i = 0; i < taps; i++) {
        const int64_t at = q * d->stride[axis] + i - d->pad[2 * axis];
        count += at >= -before && at < size + after;
    }
    return count;
}

static void define(int64_t plane, int64_t oh, int64_t ow, int64_t at)
{
    const fc_pool_desc *d = &problem.desc;
    const double *x = problem.x + plane * d->h * d->w;
    long double sum = 0;
    double magnitude = 0, best = lowest_element(d->dtype);
    int64_t index = -1;
    for (int64_t i = 0; i < d->kh; i++)
        for (int64_t j = 0; j < d->kw; j++) {
            const int64_t ih = oh * d->stride[0] + i * d->dilation[0] - d->pad[0];
            const int64_t iw = ow * d->stride[1] + j * d->dilation[1] - d->pad[2];
            if (ih < 0 || ih >= d->h || iw < 0 || iw >= d->w)
                continue;
            const double e = x[ih * d->w + iw];
            sum += e;
            magnitude += fabs(e);
            if (index < 0 || e > best || isnan(e)) {
                best = e;
                index = ih * d->w + iw;
            }
        }
    if (d->kind == FC_POOL_MAX) {
        problem.value[at] = best;
        problem.index[at] = index;
        return;
    }
    const int64_t inside = positions(0, oh) * positions(1, ow);
    const double divisor = (double)(d->divisor ? d->divisor : inside ? inside : 1);
    const double value = (double)(sum / divisor);
    const double bound = sum_bound(d->dtype, d->kh * d->kw, magnitude / divisor);
    problem.value[at] = value;
    problem.bound[at] = stored_bound(d->dtype, value, bound);
}

static void problem_make(const fc_pool_desc *d, int64_t oh, int64_t ow)
{
    problem.desc = *d;
    memcpy(problem.x_size, (int64_t[]){d->n, d->c, d->h, d->w}, sizeof problem.x_size);
    memcpy(problem.y_size, (int64_t[]){d->n, d->c, oh, ow}, sizeof problem.y_size);
    const int64_t inputs = d->n * d->c * d->h * d->w, outputs = d->n * d->c * oh * ow;
    problem.x = malloc((size_t)inputs * sizeof(double));
    problem.value = malloc((size_t)outputs * sizeof(double));
    problem.bound = d->kind == FC_POOL_AVG ? malloc((size_t)outputs * sizeof(double)) : NULL;
    problem.index = malloc((size_t)outputs * sizeof(int64_t));
    const int64_t rarity = ONE_OF(10, 100, 100000); /* of NaN, and of equal elements */
    for (int64_t i = 0; i < inputs; i++) {
        problem.x[i] = random_element(d->dtype);
        if (random_uniform() * (double)rarity > (double)rarity - 2)
            problem.x[i] = d->dtype <= FC_FLOAT64 && ONE_OF(0, 1) ? NAN : 1;
    }
    int64_t at = 0;
    for (int64_t plane = 0; plane < d->n * d->c; plane++)
        for (int64_t i = 0; i < oh; i++)
            for (int64_t j = 0; j < ow; j++)
                define(plane, i, j, at++);
}

static void problem_free(void)
{
    free(problem.x);
    free(problem.value);
    free(problem.bound);
    free(problem.index);
}

static void run_once(const fc_pool_plan *plan, const struct array *x, const struct array *y,
                     int64_t *indices, int threads)
{
    fc_error error = {0};
    fc_threads_override(threads);
    const fc_status status = fc_pool_plan_run(plan, &x->view, &y->view, indices, &error);
    fc_threads_override(0);
    check(status == FC_OK, "run: %s", error.message);
}

static void check_indices(const int64_t *indices, int channels_last)
{
    const int64_t *size = problem.y_size;
    int64_t wrong = 0, at = 0;
    for (int64_t n = 0; n < size[0]; n++)
        for (int64_t c = 0; c < size[1]; c++)
            for (int64_t q = 0; q < size[2] * size[3]; q++, at++) {
                const int64_t there =
                    channels_last ? (n * size[2] * size[3] + q) * size[1] + c : at;
                wrong += indices[there] != problem.index[at];
            }
    check(!wrong, "%d indices are wrong", (int)wrong);
}

static void run_plan(const fc_pool_plan *plan, int channels_last)
{
    const fc_pool_desc *d = &problem.desc;
    const int64_t *size = problem.y_size;
    const int64_t index_bytes = size[0] * size[1] * size[2] * size[3] * (int64_t)sizeof(int64_t);
    int64_t *indices = flush_block(INDICES, index_bytes, sizeof(int64_t));
    const struct array x = array_blank(INPUT, d->dtype, problem.x_size, channels_last);
    const struct array y = array_blank(OUTPUT, d->dtype, problem.y_size, channels_last);
    unsigned char *first = malloc((size_t)y.bytes);
    array_fill(&x, problem.x);

    run_once(plan, &x, &y, NULL, 1);
    memcpy(first, y.block, (size_t)y.bytes);
    array_check(&y, problem.value, problem.bound);
    run_once(plan, &x, &y, NULL, 3);
    check(memcmp(first, y.block, (size_t)y.bytes) == 0, "three threads give other bits than one");
    free(first);
    if (d->kind == FC_POOL_MAX)
        for (int threads = 1; threads <= 3; threads += 2) {
            memset(indices, 0x55, (size_t)index_bytes);
            memset(y.block, 0xff, (size_t)y.bytes);
            run_once(plan, &x, &y, indices, threads);
            array_check(&y, problem.value, NULL);
            check_indices(indices, channels_last);
        }
}

static void run_level(fc_level level)
{
    fc_pool_desc d = problem.desc;
    for (d.channels_last = 0; d.channels_last < 2; d.channels_last++) {
        fc_pool_plan *plan;
        fc_error error = {0};
        start("%s %s pool %s %s: n %d, c %d, %dx%d, window %dx%d, stride %d %d, dilation %d %d, "
              "pad %d %d %d %d, ceil %d, include pad %d, divisor %d",
              fc_level_name(level), d.kind == FC_POOL_MAX ? "max" : "avg",
              d.channels_last ? "pixels" : "planes", dtype_name(d.dtype), (int)d.n, (int)d.c,
              (int)d.h, (int)d.w, (int)d.kh, (int)d.kw, (int)d.stride[0], (int)d.stride[1],
              (int)d.dilation[0], (int)d.dilation[1], (int)d.pad[0], (int)d.pad[1], (int)d.pad[2],
              (int)d.pad[3], d.ceil_mode, d.count_include_pad, (int)d.divisor);
        const fc_status status = fc_pool_plan_create(&d, level, &plan, &error);
        check(status == FC_OK, "plan: %s", error.message);
        if (status)
            continue;
        run_plan(plan, d.channels_last);
        fc_pool_plan_destroy(plan);
    }
}

/* Runs a problem, if its windows fit. */
static void run_desc(const fc_pool_desc *d)
{
    int64_t oh, ow, rest;
    fc_error error;
    if (fc_out_size("height", d->h, d->pad[0], d->pad[1], d->kh, d->stride[0], d->dilation[0],
                    d->ceil_mode, &oh, &rest, &error) ||
        fc_out_size("width", d->w, d->pad[2], d->pad[3], d->kw, d->stride[1], d->dilation[1],
                    d->ceil_mode, &ow, &rest, &error) ||
        oh == 0 || ow == 0)
        return;
    problem_make(d, oh, ow);
    each_level(run_level);
    problem_free();
}

static fc_pool_desc random_desc(fc_pool_kind kind, fc_dtype dtype)
{
    fc_pool_desc d = {.kind = kind,
                      .n = ONE_OF(1, 1, 2),
                      .c = ONE_OF(1, 2, 3, 4, 7, 8, 9, 15, 17, 33),
                      .h = ONE_OF(1, 2, 3, 5, 8, 11),
                      .w = ONE_OF(1, 2, 3, 4, 5, 7, 8, 9, 15, 17, 18, 31, 33, 35, 63, 70),
                      .kh = ONE_OF(1, 2, 2, 3, 3, 5),
                      .kw = ONE_OF(1, 2, 2, 3, 3, 4, 5, 7, 11, 28),
                      .stride = {ONE_OF(1, 2, 2, 3), ONE_OF(1, 1, 2, 2, 3, 4, 20, 60)},
                      .dilation = {1, 1},
                      .ceil_mode = ONE_OF(0, 1) != 0,
                      .count_include_pad = ONE_OF(0, 1) != 0,
                      .divisor = ONE_OF(0, 0, 0, 5),
                      .dtype = dtype};
    if (ONE_OF(0, 0, 0, 1)) { /* the whole plane */
        d.kh = d.h;
        d.kw = d.w;
    }
    for (int axis = 0; axis < 2; axis++) {
        if (kind == FC_POOL_MAX)
            d.dilation[axis] = ONE_OF(1, 1, 2, 3);
        const int64_t reach = ((axis ? d.kw : d.kh) - 1) * d.dilation[axis] + 1;
        d.pad[2 * axis] = ONE_OF(0, 0, 1, 2) * reach / 4;
        d.pad[2 * axis + 1] = ONE_OF(0, 0, 1, 2) * reach / 4;
    }
    return d;
}

void test_pool(fc_dtype dtype)
{
    const int problems = random_problems / (dtype <= FC_FLOAT64 ? 1 : 10);
    const int kinds = dtype <= FC_FLOAT64 ? 2 : 1;
    for (int i = 0; i < problems; i++) {
        const fc_pool_desc d = random_desc((fc_pool_kind)(i % kinds), dtype);
        run_desc(&d);
    }
    static const int64_t shapes[][6] = {
        {4, 700, 1, 3, 2, 1},        /* side by side, and higher than an item of rows */
        {20, 90, 91, 3, 3, 2},       /* large enough for three threads */
        {2, 3, 9000, 2, 7000, 1000}, /* too long for a line of joined rows */
        {3, 4, 900, 2, 2, 100},      /* too sparse for one */
        {1, 3, 1500, 2, 1000, 8000}, /* not too sparse, but for the one window */
    };
    for (int i = 0; i < 5 * kinds; i++) {
        const int64_t *s = shapes[i / kinds];
        const fc_pool_desc d = {.kind = (fc_pool_kind)(i % kinds),
                                .n = 1,
                                .c = s[0],
                                .h = s[1],
                                .w = s[2],
                                .kh = s[3],
                                .kw = s[4],
                                .stride = {1, s[5]},
                                .dilation = {1, 1},
                                .pad = {0, 1, 1, 0},
                                .dtype = dtype};
        run_desc(&d);
    }
}
