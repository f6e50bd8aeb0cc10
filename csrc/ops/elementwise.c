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

struct activating {
    const struct fc_elementwise *elements;
    struct fc_act act;
};

static void activate_share(const void *job, struct fc_items *items)
{
    const struct activating *const a = job;
    const int64_t count = a->elements->count;
    for (int64_t i; (i = fc_next(items)) >= 0;)
        run_range(a->elements, &a->act, i * CHUNK, fc_min(CHUNK, count - i * CHUNK));
}

void fc_elementwise_run(const struct fc_elementwise *e, const fc_activation *activation,
                        double seconds, int threads)
{
    const struct activating a = {e, {(int)activation->kind, activation->a, activation->b}};
    const int64_t chunks = fc_ceil_div(e->count, CHUNK);
    fc_share(threads, chunks, fc_claim(seconds, chunks, threads), activate_share, &a);
}

static void scale_share(const void *job, struct fc_items *items)
{
    const struct fc_scaling *const s = job;
    const int64_t pixels = s->elements.count / s->planes;
    for (int64_t i; (i = fc_next(items)) >= 0;) {
        const int64_t c = i % s->c;
        const struct fc_act line = {FC_ACT_LINEAR, s->scale[c], s->shift[c]};
        run_range(&s->elements, &line, i * pixels, pixels);
    }
}

void fc_scaling_run(const struct fc_scaling *s, double seconds, int threads)
{
    fc_share(threads, s->planes, fc_claim(seconds, s->planes, threads), scale_share, s);
}
