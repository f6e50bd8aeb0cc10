/* Weights as they come (ops/weights.h). */
#include "ops/weights.h"

#include <string.h>

#include "base/checked.h"

/* Elements of the reduction that are looked up at once. */
enum { LOOKUP = 128 };

/* Where a weight of (reduction channel, output channel, depth, row, column) holds element i of the
 * reduction, from the group's first on, for output channel 0 of the group. */
static int64_t transposed_offset(const fc_plan *p, int64_t i)
{
    const fc_conv_desc *d = &p->desc;
    const int64_t j = i % d->kw, row = i / d->kw % d->kh;
    const int64_t tap = i / d->kw / d->kh % d->depth.kernel,
                  c = i / d->kw / d->kh / d->depth.kernel;
    const fc_taps *t = d->taps;
    const int64_t at[3] = {t[0].first + tap * t[0].step, t[1].first + row * t[1].step,
                           t[2].first + j * t[2].step};
    return ((c * p->kg * t[0].size + at[0]) * t[1].size + at[1]) * t[2].size + at[2];
}

static void gather_transposed(const fc_plan *p, const void *weight, int64_t channels, int64_t first,
                              int64_t count, void *dst)
{
    const fc_taps *t = p->desc.taps;
    const int64_t window = t[0].size * t[1].size * t[2].size;
    int64_t offset[LOOKUP];
    for (int64_t begin = 0; begin < count; begin += LOOKUP) {
        const int64_t some = fc_min(LOOKUP, count - begin);
        for (int64_t i = 0; i < some; i++)
            offset[i] = transposed_offset(p, first + begin + i);
        for (int64_t j = 0; j < channels; j++) {
            if (p->element_bytes == sizeof(float)) {
                const float *src = (const float *)weight + j * window;
                float *to = (float *)dst + j * count + begin;
                for (int64_t i = 0; i < some; i++)
                    to[i] = src[offset[i]];
            } else {
                const double *src = (const double *)weight + j * window;
                double *to = (double *)dst + j * count + begin;
                for (int64_t i = 0; i < some; i++)
                    to[i] = src[offset[i]];
            }
        }
    }
}

void fc_weights_gather(const fc_plan *p, const void *weight, int64_t group, int64_t k0,
                       int64_t channels, int64_t first, int64_t count, void *dst)
{
    const fc_conv_desc *d = &p->desc;
    const int64_t size = (int64_t)p->element_bytes;
    if (d->transposed) {
        const int64_t window = d->taps[0].size * d->taps[1].size * d->taps[2].size;
        const int64_t begin = (group * d->cg * p->kg + k0) * window;
        gather_transposed(p, (const char *)weight + begin * size, channels, first, count, dst);
        return;
    }
    for (int64_t j = 0; j < channels; j++)
        memcpy((char *)dst + j * count * size,
               (const char *)weight + ((group * p->kg + k0 + j) * p->taps + first) * size,
               (size_t)(count * size));
}
