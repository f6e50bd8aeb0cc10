/* What goes by the indices of a max pooling: unpooling, and the gradients of both.
 *
 * An item is one image's channel, or with channels last some of its channels, so that no two
 * threads write one place. */
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "ops/elements.h"
#include "ops/ops.h"
#include "ops/parallel.h"

/* Channels of an item, of those that lie side by side: a line of cache of the smallest type. */
static const int64_t ITEM_CHANNELS = 64;

/* Values and places of some channels, `stride` elements apart; `channels` of them side by side. */
struct block {
    const fc_scatter_desc *d;
    const int64_t *indices;
    int64_t channels, stride;
};

/* Places are looked up again: another thread of the caller's may have changed them since they were
 * checked. */
static int64_t place_of(const struct block *b, int64_t i, int64_t c)
{
    const int64_t place = b->indices[i * b->stride + c];
    return place >= 0 && place < b->d->size ? place : -1;
}

/* From values to places, or the other way where it takes. */
static void move_places(const struct block *b, const char *from, char *to, int64_t bytes, int takes)
{
    for (int64_t i = 0; i < b->d->pooled; i++)
        for (int64_t c = 0; c < b->channels; c++) {
            const int64_t place = place_of(b, i, c), value = (i * b->stride + c) * bytes;
            const int64_t at = (place * b->stride + c) * bytes;
            const struct fc_elements e = {.dst = to + (takes ? value : at),
                                          .src = from + (takes ? at : value),
                                          .rows = 1,
                                          .count = 1};
            if (place >= 0)
                fc_copy_elements(&e, (size_t)bytes);
        }
}

static void add_places(const struct block *b, const void *from, void *to, int wide)
{
    for (int64_t i = 0; i < b->d->pooled; i++)
        for (int64_t c = 0; c < b->channels; c++) {
            const int64_t place = place_of(b, i, c), value = i * b->stride + c;
            const int64_t at = place * b->stride + c;
            if (place < 0)
                continue;
            if (wide)
                ((double *)to)[at] += ((const double *)from)[value];
            else
                ((float *)to)[at] += ((const float *)from)[value];
        }
}

/* float16 is added up as float, in scratch for all places of the block. */
static void add_halves(const struct fc_kernels *kernels, const struct block *b,
                       const uint16_t *from, uint16_t *to, float *sums)
{
    memset(sums, 0, (size_t)(b->d->size * b->channels) * sizeof *sums);
    for (int64_t i = 0; i < b->d->pooled; i++)
        for (int64_t c = 0; c < b->channels; c++) {
            const int64_t place = place_of(b, i, c);
            float value;
            if (place < 0)
                continue;
            kernels->half_to_float(from + i * b->stride + c, &value, 1);
            sums[place * b->channels + c] += value;
        }
    for (int64_t i = 0; i < b->d->size; i++)
        kernels->float_to_half(sums + i * b->channels, to + i * b->stride, b->channels);
}

static int64_t item_channels(const fc_scatter_desc *d)
{
    return d->channels_last ? fc_min(d->c, ITEM_CHANNELS) : 1;
}

double fc_scatter_seconds(const fc_scatter_desc *d)
{
    return 1e-9 * (double)d->n * (double)d->c * (2 * (double)d->pooled + 0.2 * (double)d->size);
}

size_t fc_scatter_bytes(const fc_scatter_desc *d)
{
    const int sums = d->kind == FC_SCATTER_ADD && d->dtype == FC_FLOAT16;
    return fc_align(sums ? (size_t)(d->size * item_channels(d)) * sizeof(float) : 1);
}

struct job {
    const struct fc_kernels *kernels;
    const fc_scatter_desc *d;
    size_t bytes;
    const int64_t *indices;
    const void *from;
    void *to;
    char *scratch;
};

static void run_share(const void *arg, struct fc_items *items)
{
    const struct job *const job = arg;
    const fc_scatter_desc *const d = job->d;
    const size_t bytes = job->bytes;
    const size_t scratch_bytes = fc_scatter_bytes(d);
    const int64_t stride = d->channels_last ? d->c : 1, most = item_channels(d);
    const int64_t groups = fc_ceil_div(d->c, most);
    const int takes = d->kind == FC_SCATTER_TAKE;
    const int64_t read = takes ? d->size : d->pooled, written = takes ? d->pooled : d->size;
    for (int64_t item; (item = fc_next(items)) >= 0;) {
        const int64_t image = item / groups, c = item % groups * most;
        /* Of channel c: channels are side by side, or blocks of one follow each other. */
        const int64_t of_image = d->channels_last ? image * d->c : image * d->c + c;
        const int64_t side = d->channels_last ? c : 0;
        const struct block b = {.d = d,
                                .indices = job->indices + of_image * d->pooled + side,
                                .channels = fc_min(most, d->c - c),
                                .stride = stride};
        const char *source = (const char *)job->from + (of_image * read + side) * (int64_t)bytes;
        char *target = (char *)job->to + (of_image * written + side) * (int64_t)bytes;
        if (b.channels == stride)
            memset(target, 0, (size_t)(written * stride) * bytes);
        else
            for (int64_t i = 0; i < written; i++)
                memset(target + i * stride * (int64_t)bytes, 0, (size_t)b.channels * bytes);
        if (d->kind != FC_SCATTER_ADD)
            move_places(&b, source, target, (int64_t)bytes, takes);
        else if (d->dtype == FC_FLOAT16)
            add_halves(job->kernels, &b, (const uint16_t *)source, (uint16_t *)target,
                       (float *)(job->scratch + (size_t)items->thread * scratch_bytes));
        else
            add_places(&b, source, target, d->dtype == FC_FLOAT64);
    }
}

void fc_scatter_run(const struct fc_kernels *kernels, const fc_scatter_desc *d, size_t bytes,
                    const int64_t *indices, const void *from, void *to, char *scratch, int threads)
{
    const struct job job = {kernels, d, bytes, indices, from, to, scratch};
    const int64_t items = d->n * fc_ceil_div(d->c, item_channels(d));
    fc_share(threads, items, fc_claim(fc_scatter_seconds(d), items, threads), run_share, &job);
}
