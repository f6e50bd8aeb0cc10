/* Pooling: every element type, layout and level against the definition, over one to three axes,
 * ordinary and adaptive, with and without indices, at one and at three threads.  Then the gradient
 * of averages, and what goes by indices. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static struct {
    fc_pool_desc desc;
    int64_t out[3];
    int64_t x_size[4], y_size[4]; /* n c h w; the planes of a volume count as rows */
    double *x;
    double *value, *bound; /* no bound: exact */
    int64_t *index;        /* over the image, in the order n c d h w; maxima only */
} problem;

/* Positions of a window: some may lie outside of the image. */
struct window {
    int64_t start, taps, step;
};

static struct window window_at(int axis, int64_t q)
{
    const fc_pool_desc *d = &problem.desc;
    if (d->adaptive) {
        const int64_t size = d->size[axis], out = d->kernel[axis];
        const int64_t start = q * size / out;
        return (struct window){start, ((q + 1) * size + out - 1) / out - start, 1};
    }
    return (struct window){q * d->stride[axis] - d->pad[2 * axis], d->kernel[axis],
                           d->dilation[axis]};
}

static int inside(int axis, int64_t at)
{
    return at >= 0 && at < problem.desc.size[axis];
}

/* The divisor's share of one axis: positions of window q that count. */
static int64_t positions(int axis, int64_t q)
{
    const fc_pool_desc *d = &problem.desc;
    const struct window w = window_at(axis, q);
    const int padding = d->count_include_pad && !d->adaptive;
    const int64_t before = padding ? d->pad[2 * axis] : 0;
    const int64_t after = padding ? d->pad[2 * axis + 1] : 0;
    int64_t count = 0;
    for (int64_t i = 0; i < w.taps; i++)
        count += w.start + i >= -before && w.start + i < d->size[axis] + after;
    return count;
}

static double divisor_at(const int64_t q[3])
{
    const int64_t count = positions(0, q[0]) * positions(1, q[1]) * positions(2, q[2]);
    return (double)(problem.desc.divisor ? problem.desc.divisor : count ? count : 1);
}

static void define(int64_t plane, const int64_t q[3], int64_t at)
{
    const fc_pool_desc *d = &problem.desc;
    const struct window w[3] = {window_at(0, q[0]), window_at(1, q[1]), window_at(2, q[2])};
    const double *x = problem.x + plane * d->size[0] * d->size[1] * d->size[2];
    long double sum = 0;
    double magnitude = 0, best = lowest_element(d->dtype);
    int64_t index = -1;
    for (int64_t z = 0; z < w[0].taps; z++)
        for (int64_t i = 0; i < w[1].taps; i++)
            for (int64_t j = 0; j < w[2].taps; j++) {
                const int64_t id = w[0].start + z * w[0].step, ih = w[1].start + i * w[1].step;
                const int64_t iw = w[2].start + j * w[2].step;
                if (!inside(0, id) || !inside(1, ih) || !inside(2, iw))
                    continue;
                const int64_t here = (id * d->size[1] + ih) * d->size[2] + iw;
                const double e = x[here];
                sum += e;
                magnitude += fabs(e);
                if (index < 0 || e > best || isnan(e)) {
                    best = e;
                    index = here;
                }
            }
    if (d->kind == FC_POOL_MAX) {
        problem.value[at] = best;
        problem.index[at] = index;
        return;
    }
    const double divisor = divisor_at(q);
    const double value = (double)(sum / divisor);
    const double bound =
        sum_bound(d->dtype, w[0].taps * w[1].taps * w[2].taps, magnitude / fabs(divisor));
    problem.value[at] = value;
    problem.bound[at] = stored_bound(d->dtype, value, bound);
}

static void problem_make(const fc_pool_desc *d, const int64_t out[3])
{
    const int64_t x_size[4] = {d->n, d->c, d->size[0] * d->size[1], d->size[2]};
    const int64_t y_size[4] = {d->n, d->c, out[0] * out[1], out[2]};
    problem.desc = *d;
    memcpy(problem.out, out, sizeof problem.out);
    memcpy(problem.x_size, x_size, sizeof x_size);
    memcpy(problem.y_size, y_size, sizeof y_size);
    const int64_t inputs = x_size[0] * x_size[1] * x_size[2] * x_size[3];
    const int64_t outputs = y_size[0] * y_size[1] * y_size[2] * y_size[3];
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
        for (int64_t z = 0; z < out[0]; z++)
            for (int64_t i = 0; i < out[1]; i++)
                for (int64_t j = 0; j < out[2]; j++)
                    define(plane, (int64_t[]){z, i, j}, at++);
}

static void problem_free(void)
{
    free(problem.x);
    free(problem.value);
    free(problem.bound);
    free(problem.index);
}

/* An array of rows as one of planes of h rows. */
static fc_array volume(const struct array *a, int64_t h)
{
    fc_array view = a->view;
    view.d = view.h * h;
    return view;
}

static void run_once(const fc_pool_plan *plan, const struct array *x, const struct array *y,
                     int64_t *indices, int threads)
{
    fc_error error = {0};
    const fc_array in = volume(x, problem.desc.size[1]), out = volume(y, problem.out[1]);
    fc_threads_override(threads);
    const fc_status status = fc_pool_plan_run(plan, &in, &out, indices, &error);
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

/* Element (image, c, place) of a contiguous array. */
static int64_t place_in(int channels_last, int64_t image, int64_t c, int64_t place, int64_t places)
{
    const int64_t channels = problem.desc.c;
    return channels_last ? (image * places + place) * channels + c
                         : (image * channels + c) * places + place;
}

/* The sum of an average's gradients is that of its inputs', window by window: of ones in one
 * window, each of its pixels gets one over its divisor. */
static void run_spread(const fc_pool_plan *plan, int channels_last)
{
    const fc_pool_desc *d = &problem.desc;
    const int64_t *out = problem.out, *size = d->size;
    const int64_t places = size[0] * size[1] * size[2], pooled = out[0] * out[1] * out[2];
    const int64_t inputs = d->n * d->c * places, outputs = d->n * d->c * pooled;
    double *wanted = calloc((size_t)inputs, sizeof(double));
    double *values = calloc((size_t)outputs, sizeof(double));
    int64_t q[3], at = 0;
    for (q[0] = 0; q[0] < out[0]; q[0]++)
        for (q[1] = 0; q[1] < out[1]; q[1]++)
            for (q[2] = 0; q[2] < out[2]; q[2]++, at++) {
                const struct window w[3] = {window_at(0, q[0]), window_at(1, q[1]),
                                            window_at(2, q[2])};
                for (int64_t i = 0; i < w[0].taps * w[1].taps * w[2].taps; i++) {
                    const int64_t id = w[0].start + i / w[2].taps / w[1].taps;
                    const int64_t ih = w[1].start + i / w[2].taps % w[1].taps;
                    const int64_t iw = w[2].start + i % w[2].taps;
                    if (!inside(0, id) || !inside(1, ih) || !inside(2, iw))
                        continue;
                    for (int64_t c = 0; c < d->c; c++) /* channel c's gradient is c + 1 */
                        wanted[place_in(channels_last, d->n - 1, c,
                                        (id * size[1] + ih) * size[2] + iw, places)] +=
                            (double)(c + 1) / divisor_at(q);
                }
                for (int64_t c = 0; c < d->c; c++)
                    values[place_in(channels_last, d->n - 1, c, at, pooled)] = (double)(c + 1);
            }
    const void *given = flush_vector(INPUT, d->dtype, values, outputs);
    const int64_t bytes = inputs * dtype_bytes(d->dtype);
    void *got = flush_block(OUTPUT, bytes, dtype_bytes(d->dtype)), *first = malloc((size_t)bytes);
    for (int threads = 1; threads <= 3; threads += 2) {
        fc_error error = {0};
        fc_threads_override(threads);
        const fc_status status = fc_pool_plan_spread(plan, given, got, &error);
        fc_threads_override(0);
        check(status == FC_OK, "spread: %s", error.message);
        for (int64_t i = 0; i < inputs; i++) {
            const double e = element_get(d->dtype, got, i);
            const double bound =
                sum_bound(d->dtype, d->kernel[0] * d->kernel[1] * d->kernel[2], fabs(wanted[i]));
            check(fabs(e - wanted[i]) <= stored_bound(d->dtype, wanted[i], bound),
                  "gradient %d is %.17g, expected %.17g", (int)i, e, wanted[i]);
        }
        if (threads == 1)
            memcpy(first, got, (size_t)bytes);
    }
    check(memcmp(first, got, (size_t)bytes) == 0, "three threads give other bits than one");
    free(first);
    free(wanted);
    free(values);
}

static void run_level(fc_level level)
{
    fc_pool_desc d = problem.desc;
    for (d.channels_last = 0; d.channels_last < 2; d.channels_last++) {
        fc_pool_plan *plan;
        fc_error error = {0};
        start("%s %s %s pool %s %s: n %d, c %d, %dx%dx%d, window %dx%dx%d, stride %d %d %d, "
              "dilation %d %d %d, pad %d %d %d %d %d %d, ceil %d, include pad %d, divisor %d",
              fc_level_name(level), d.adaptive ? "adaptive" : "plain",
              d.kind == FC_POOL_MAX ? "max" : "avg", d.channels_last ? "pixels" : "planes",
              dtype_name(d.dtype), (int)d.n, (int)d.c, (int)d.size[0], (int)d.size[1],
              (int)d.size[2], (int)d.kernel[0], (int)d.kernel[1], (int)d.kernel[2],
              (int)d.stride[0], (int)d.stride[1], (int)d.stride[2], (int)d.dilation[0],
              (int)d.dilation[1], (int)d.dilation[2], (int)d.pad[0], (int)d.pad[1], (int)d.pad[2],
              (int)d.pad[3], (int)d.pad[4], (int)d.pad[5], d.ceil_mode, d.count_include_pad,
              (int)d.divisor);
        const fc_status status = fc_pool_plan_create(&d, level, &plan, &error);
        check(status == FC_OK, "plan: %s", error.message);
        if (status)
            continue;
        run_plan(plan, d.channels_last);
        if (d.kind == FC_POOL_AVG)
            run_spread(plan, d.channels_last);
        fc_pool_plan_destroy(plan);
    }
}

/* Runs a problem, if its windows fit. */
static void run_desc(const fc_pool_desc *d)
{
    int64_t out[3], rest;
    fc_error error;
    for (int axis = 0; axis < 3; axis++) {
        out[axis] = d->kernel[axis];
        if (!d->adaptive && fc_out_size("axis", d->size[axis], d->pad[2 * axis],
                                        d->pad[2 * axis + 1], d->kernel[axis], d->stride[axis],
                                        d->dilation[axis], d->ceil_mode, &out[axis], &rest, &error))
            return;
    }
    if (!out[0] || !out[1] || !out[2])
        return;
    problem_make(d, out);
    each_level(run_level);
    problem_free();
}

static fc_pool_desc random_desc(fc_pool_kind kind, fc_dtype dtype)
{
    fc_pool_desc d = {
        .kind = kind,
        .axes = (int)ONE_OF(1, 2, 2, 2, 3, 3),
        .adaptive = ONE_OF(0, 0, 0, 1) != 0,
        .n = ONE_OF(1, 1, 2),
        .c = ONE_OF(1, 2, 3, 4, 7, 8, 9, 15, 17, 33),
        .size = {ONE_OF(1, 2, 3, 5), ONE_OF(1, 2, 3, 5, 8, 11),
                 ONE_OF(1, 2, 3, 4, 5, 7, 8, 9, 15, 17, 18, 31, 33, 35, 63, 70)},
        .kernel = {ONE_OF(1, 2, 2, 3, 4), ONE_OF(1, 2, 2, 3, 3, 5),
                   ONE_OF(1, 2, 2, 3, 3, 4, 5, 7, 11, 28)},
        .stride = {ONE_OF(1, 1, 2), ONE_OF(1, 2, 2, 3), ONE_OF(1, 1, 2, 2, 3, 4, 20, 60)},
        .dilation = {1, 1, 1},
        .ceil_mode = ONE_OF(0, 1) != 0,
        .count_include_pad = ONE_OF(0, 1) != 0,
        .divisor = ONE_OF(0, 0, 0, 5),
        .dtype = dtype};
    if (d.adaptive)
        d.divisor = 0;
    if (d.axes == 3) /* the definition takes its time */
        d.size[2] = (d.size[2] + 1) / 2;
    for (int axis = 0; axis < 3 - d.axes; axis++)
        d.size[axis] = d.kernel[axis] = d.stride[axis] = 1;
    if (!d.adaptive && ONE_OF(0, 0, 0, 1)) /* the whole image */
        memcpy(d.kernel, d.size, sizeof d.kernel);
    for (int axis = 3 - d.axes; axis < 3; axis++) {
        if (kind == FC_POOL_MAX)
            d.dilation[axis] = ONE_OF(1, 1, 2, 3);
        const int64_t reach = (d.kernel[axis] - 1) * d.dilation[axis] + 1;
        d.pad[2 * axis] = ONE_OF(0, 0, 1, 2) * reach / 4;
        d.pad[2 * axis + 1] = ONE_OF(0, 0, 1, 2) * reach / 4;
    }
    return d;
}

/* Values set to, added to and taken from places of their own and shared ones, in both layouts. */
static void test_scatter(fc_dtype dtype)
{
    enum { N = 2, C = 70, POOLED = 5, SIZE = 7 };
    static const double values[] = {1, 2, 3, 4, 5};
    static const int64_t at[POOLED] = {3, 0, 3, 6, 4}, none[POOLED] = {3, -1, 3, 6, 4};
    static const double set[SIZE] = {2, 0, 0, 3, 5, 0, 4}, added[SIZE] = {0, 0, 0, 4, 5, 0, 4};
    static const double taken[POOLED] = {3, 0, 3, 4, 5}; /* from `set`, by `none` */
    const int64_t places = (int64_t)N * C * SIZE, count = (int64_t)N * C * POOLED;
    const int kinds = dtype <= FC_FLOAT64 ? 3 : 1;
    problem.desc.c = C;
    for (int kind = 0; kind < kinds; kind++)
        for (int last = 0; last < 2; last++)
            for (int threads = 1; threads <= 3; threads += 2) {
                const int takes = kind == FC_SCATTER_TAKE;
                const int64_t *index = kind == FC_SCATTER_SET ? at : none;
                const int64_t read = takes ? SIZE : POOLED, written = takes ? POOLED : SIZE;
                const double *from_one = takes ? set : values;
                const double *to_one = takes ? taken : kind == FC_SCATTER_ADD ? added : set;
                const int64_t bytes = (takes ? count : places) * dtype_bytes(dtype);
                double *numbers = malloc((size_t)(N * C * read) * sizeof(double));
                int64_t *indices = flush_block(INDICES, count * (int64_t)sizeof(int64_t), 8);
                for (int64_t image = 0; image < N; image++)
                    for (int64_t c = 0; c < C; c++) {
                        for (int64_t i = 0; i < read; i++)
                            numbers[place_in(last, image, c, i, read)] = from_one[i];
                        for (int64_t i = 0; i < POOLED; i++)
                            indices[place_in(last, image, c, i, POOLED)] = index[i];
                    }
                const fc_scatter_desc d = {.kind = (fc_scatter_kind)kind,
                                           .n = N,
                                           .c = C,
                                           .pooled = POOLED,
                                           .size = SIZE,
                                           .channels_last = last,
                                           .dtype = dtype};
                const void *from = flush_vector(INPUT, dtype, numbers, N * C * read);
                void *to = flush_block(OUTPUT, bytes, dtype_bytes(dtype));
                fc_error error = {0};
                start("scatter %d %s, channels last %d, threads %d", kind, dtype_name(dtype), last,
                      threads);
                memset(to, 0x55, (size_t)bytes);
                fc_threads_override(threads);
                check(fc_scatter(&d, indices, from, to, &error) == FC_OK, "%s", error.message);
                for (int64_t i = 0; i < N * C * written; i++) {
                    const int64_t place = last ? i / C % written : i % written;
                    check(element_get(dtype, to, i) == to_one[place], "element %d is wrong",
                          (int)i);
                }
                indices[count - 1] = SIZE;
                check(fc_scatter(&d, indices, from, to, &error) == FC_INVALID, "index too large");
                indices[count - 1] = kind == FC_SCATTER_SET ? -1 : -2;
                check(fc_scatter(&d, indices, from, to, &error) == FC_INVALID, "index too small");
                fc_threads_override(0);
                free(numbers);
            }
}

void test_pool(fc_dtype dtype)
{
    const int problems = random_problems / (dtype <= FC_FLOAT64 ? 1 : 10);
    const int kinds = dtype <= FC_FLOAT64 ? 2 : 1;
    test_scatter(dtype);
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
                                .axes = 2,
                                .n = 1,
                                .c = s[0],
                                .size = {1, s[1], s[2]},
                                .kernel = {1, s[3], s[4]},
                                .stride = {1, 1, s[5]},
                                .dilation = {1, 1, 1},
                                .pad = {0, 0, 0, 1, 1, 0},
                                .dtype = dtype};
        run_desc(&d);
    }
    static const int64_t volumes[][7] = {
        /* c, d h w, kernel of all axes, stride, adaptive */
        {3, 4, 90, 91, 3, 1, 0},  /* joined in blocks of rows */
        {2, 3, 3, 5000, 2, 2, 0}, /* and of columns */
        {40, 4, 60, 30, 2, 2, 0}, /* fewer planes at once than there are */
        {1, 5, 8, 1300, 4, 0, 1}, /* varying windows, of long rows */
    };
    for (int i = 0; i < 4 * kinds; i++) {
        const int64_t *s = volumes[i / kinds];
        const fc_pool_desc d = {.kind = (fc_pool_kind)(i % kinds),
                                .axes = 3,
                                .adaptive = s[6] != 0,
                                .n = 1,
                                .c = s[0],
                                .size = {s[1], s[2], s[3]},
                                .kernel = {s[4], s[4], s[4]},
                                .stride = {s[5], s[5], s[5]},
                                .dilation = {1, 1, 1},
                                .pad = {1, 1, 0, 1, 1, 0},
                                .dtype = dtype};
        run_desc(&d);
    }
}
