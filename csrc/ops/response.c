/* Local response normalisation: pixels in blocks, each with all its channels. */
#include "base/checked.h"
#include "kernels/kernels.h"
#include "ops/ops.h"
#include "ops/parallel.h"

/* Pixels of a block: runs that the hardware fetches ahead, and with 256 channels still in L2. */
enum { BLOCK = 256 };

static void run_share(const void *job, struct fc_items *items)
{
    const struct fc_responses *const w = job;
    const fc_response_desc *d = &w->desc;
    fc_response_fn *response =
        d->dtype == FC_FLOAT64 ? w->kernels->f64->response : w->kernels->f32->response;
    const int64_t blocks = fc_ceil_div(d->pixels, BLOCK);
    for (int64_t item; (item = fc_next(items)) >= 0;) {
        const int64_t first = item % blocks * BLOCK;
        const int64_t at = (item / blocks * d->c * d->pixels + first) * (int64_t)w->element_bytes;
        const struct fc_response block = {.x = (const char *)w->x + at,
                                          .y = (char *)w->y + at,
                                          .channels = d->c,
                                          .plane = d->pixels,
                                          .pixels = fc_min(BLOCK, d->pixels - first),
                                          .before = d->size / 2,
                                          .after = (d->size - 1) / 2,
                                          .alpha = d->alpha / (double)d->size,
                                          .k = d->k,
                                          .quarters = d->quarters};
        response(&block);
    }
}

void fc_responses_run(const struct fc_responses *w, double seconds, int threads)
{
    const int64_t items = w->desc.n * fc_ceil_div(w->desc.pixels, BLOCK);
    fc_share(threads, items, fc_claim(seconds, items, threads), run_share, w);
}
