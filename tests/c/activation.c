/* Activations, their gradients, and a scale and shift for each channel, at each level, over sizes
 * around the vectors. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static fc_dtype dtype;

static void run_kind(fc_activation_kind kind, int64_t count, int in_place)
{
    /* Finite, as the definitions of some kinds give no limit. */
    static const double special[] = {0, 1e-7, 20, 100, 30000, NAN};
    const fc_activation act = activation_of(kind);
    double x[100], value[100], bound[100];
    for (int64_t i = 0; i < count; i++) {
        const double any = ONE_OF(0, 1) ? 8 * random_uniform() : special[ONE_OF(0, 1, 2, 3, 4, 5)];
        element_set(dtype, &x[i], 0, ONE_OF(-1, 1) * any);
        x[i] = element_get(dtype, &x[i], 0);
        value[i] = activated(&act, x[i]);
        bound[i] = stored_bound(dtype, value[i], activated_bound(dtype, &act, value[i], 0));
    }
    const struct array y = array_blank(OUTPUT, dtype, (int64_t[]){1, 1, 1, count}, 0);
    const void *from = in_place ? y.view.data : flush_vector(INPUT, dtype, x, count);
    if (in_place)
        array_fill(&y, x);
    fc_activate(dtype, &act, count, from, y.view.data);
    array_check(&y, value, bound);
}

/* By hand, at no corner. */
static double derivative(const fc_activation *act, double v)
{
    const double s = 1 / (1 + exp(-v)), other = 1 / (1 + exp(v));
    switch (act->kind) {
    case FC_RELU:
        return v > 0;
    case FC_RELU6:
        return v > 0 && v < 6;
    case FC_SIGMOID:
        return s * other;
    case FC_TANH:
        return 1 / (cosh(v) * cosh(v));
    case FC_SILU:
        return s * (1 + v * other);
    case FC_HARDSWISH:
        return v <= -3 ? 0 : v >= 3 ? 1 : v / 3 + 0.5;
    case FC_LEAKY_RELU:
        return v > 0 ? 1 : act->a;
    case FC_CLIP:
        return v > act->a && v < act->b;
    default:
        return 1;
    }
}

static void run_grad(fc_activation_kind kind, int64_t count, int in_place)
{
    const fc_activation act = activation_of(kind);
    double x[100], g[100], value[100], bound[100];
    for (int64_t i = 0; i < count; i++) {
        element_set(dtype, &x[i], 0, ONE_OF(0, 1) ? 8 * random_uniform() : ONE_OF(-80, -1, 1, 80));
        x[i] = element_get(dtype, &x[i], 0);
        g[i] = random_element(dtype);
        const double slope = derivative(&act, x[i]);
        value[i] = g[i] * slope;
        bound[i] = stored_bound(dtype, value[i], sum_bound(dtype, 1, fabs(g[i]) * (1 + slope)));
    }
    const struct array y = array_blank(OUTPUT, dtype, (int64_t[]){1, 1, 1, count}, 0);
    const void *gradient = in_place ? y.view.data : flush_vector(WEIGHT, dtype, g, count);
    if (in_place)
        array_fill(&y, g);
    fc_activate_grad(dtype, &act, count, flush_vector(INPUT, dtype, x, count), gradient,
                     y.view.data);
    array_check(&y, value, bound);
}

static void run_scale(int64_t n, int64_t c, int64_t pixels, int in_place)
{
    double x[1200], scale[7], shift[7], value[1200], bound[1200];
    const int64_t count = n * c * pixels;
    for (int64_t j = 0; j < c; j++) {
        scale[j] = 2 * random_uniform();
        shift[j] = random_uniform();
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t j = i / pixels % c;
        x[i] = random_element(dtype);
        value[i] = x[i] * scale[j] + shift[j];
        bound[i] = stored_bound(dtype, value[i],
                                sum_bound(dtype, 1, fabs(x[i] * scale[j]) + fabs(shift[j])));
    }
    const struct array y = array_blank(OUTPUT, dtype, (int64_t[]){1, 1, 1, count}, 0);
    const void *from = in_place ? y.view.data : flush_vector(INPUT, dtype, x, count);
    if (in_place)
        array_fill(&y, x);
    fc_scale(dtype, n, c, pixels, from, scale, shift, y.view.data);
    array_check(&y, value, bound);
}

/* What has no plan takes the level in force. */
static void run_level(fc_level level)
{
    fc_error error;
    setenv("FASTCONV_CPU", fc_level_name(level), 1);
    check(fc_init(&error) == FC_OK, "%s", error.message);
    for (int kind = 0; kind < FC_ACTIVATION_COUNT; kind++)
        for (int64_t count = 1; count < 100; count += 1 + count / 18) {
            start("%s %s activation %d of %d", fc_level_name(level), dtype_name(dtype), kind,
                  (int)count);
            run_kind((fc_activation_kind)kind, count, count % 2);
            run_grad((fc_activation_kind)kind, count, count % 2);
        }
    for (int64_t pixels = 1; pixels < 60; pixels += 1 + pixels / 9) {
        start("%s %s scale of %d pixels", fc_level_name(level), dtype_name(dtype), (int)pixels);
        run_scale(1, 1, pixels, 0);
        run_scale(2, 7, pixels, pixels % 2);
    }
}

void test_activation(fc_dtype of)
{
    fc_error error;
    dtype = of;
    each_level(run_level);
    unsetenv("FASTCONV_CPU");
    fc_init(&error);
}
