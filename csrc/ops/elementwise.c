/* Elementwise operators. */
#include "base/checked.h"
#include "kernels/kernels.h"
#include "ops/ops.h"

void fc_activate_run(const struct fc_kernels *kernels, fc_dtype dtype,
                     const fc_activation *activation, int64_t count, const void *x, void *y)
{
    const struct fc_act act = {(int)activation->kind, activation->a, activation->b};
    if (dtype == FC_FLOAT64) {
        kernels->f64->activate(count, x, y, &act);
    } else if (dtype == FC_FLOAT32) {
        kernels->f32->activate(count, x, y, &act);
    } else {
        float block[256]; /* 1 KB: stays in L1 between the three passes */
        const uint16_t *from = x;
        uint16_t *to = y;
        for (int64_t i = 0; i < count; i += 256) {
            const int64_t n = fc_min(256, count - i);
            kernels->half_to_float(from + i, block, n);
            kernels->f32->activate(n, block, block, &act);
            kernels->float_to_half(block, to + i, n);
        }
    }
}
