/* The elementwise activations at each level, over sizes around the vectors. */
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

/* fc_activate has no plan and takes the level in force. */
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
