/* Elementwise operators: activations, their gradients, and a scale and shift for each channel. */
#include "base/checked.h"
#include "kernels/kernels.h"
#include "ops/ops.h"
#include "ops/parallel.h"

/* Elements that a thread takes at once: a multiple of every vector, so that bodies and tails fall
 * alike whatever the number of threads, and little enough for three arrays of it to fit into L2. */
enum { CHUNK = 16384 };

/* n elements from `first` on. */
static void run_range(const struct fc_elementwise *e, const struct fc_act *act, int64_t first,
                      int64_t n)
{
    if (e->dtype == FC_FLOAT16) {
        const uint16_t *x = (const uint16_t *)e->x + first, *g = e->g;
        uint16_t *y = (uint16_t *)e->y + first;
        const struct fc_family *f = e->kernels->f32;
        float block[FC_HALVES], g_block[FC_HALVES];
        for (int64_t i = 0; i < n; i += FC_HALVES) {
            const int64_t m = fc_min(FC_HALVES, n - i);
            e->kernels->half_to_float(x + i, block, m);
            if (g) {
                e->kernels->half_to_float(g + first + i, g_block, m);
                f->activate_grad(m, block, g_block, block, act);
            } else {
                f->activate(m, block, block, act);
            }
            e->kernels->float_to_half(block, y + i, m);
        }
        return;
    }
    const struct fc_family *f = e->dtype == FC_FLOAT64 ? e->kernels->f64 : e->kernels->f32;
    const int64_t at = first * (int64_t)e->element_bytes;
    const char *x = (const char *)e->x + at;
    char *y = (char *)e->y + at;
    if (e->g)
        f->activate_grad(n, x, (const char *)e->g + at, y, act);
    else
        f->activate(n, x, y, act);
}

void fc_elementwise_run(const struct fc_elementwise *e, const fc_activation *activation,
                        double seconds, int threads)
{
    const struct fc_act act = {(int)activation->kind, activation->a, activation->b};
    const int64_t chunks = fc_ceil_div(e->count, CHUNK);
    const int64_t claim = fc_claim(seconds, chunks, threads);
    (void)claim;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(dynamic, claim)
    for (int64_t i = 0; i < chunks; i++)
        run_range(e, &act, i * CHUNK, fc_min(CHUNK, e->count - i * CHUNK));
}

void fc_scaling_run(const struct fc_scaling *s, double seconds, int threads)
{
    const struct fc_elementwise *e = &s->elements;
    const int64_t claim = fc_claim(seconds, s->planes, threads), pixels = e->count / s->planes;
    (void)claim;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(dynamic, claim)
    for (int64_t i = 0; i < s->planes; i++) {
        const int64_t c = i % s->c;
        const struct fc_act line = {FC_ACT_LINEAR, s->scale[c], s->shift[c]};
        run_range(e, &line, i * pixels, pixels);
    }
}
