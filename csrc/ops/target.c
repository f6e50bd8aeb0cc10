/* Where results go (ops/target.h). */
#include "ops/target.h"

#include <string.h>

#include "base/checked.h"
#include "ops/planes.h"

struct fc_target fc_target_of(const fc_plan *p, const struct fc_conv_io *io, int64_t image,
                              int64_t k0, int64_t channels)
{
    const fc_array *y = &io->y, *r = &io->residual;
    struct fc_target t = {
        .store = {.nr = fc_tile_nr(p->family, channels),
                  .channels = channels,
                  .y_pixel = y->w,
                  .y_channel = y->c,
                  .r_pixel = r->w,
                  .r_channel = r->c,
                  .act = fc_last_act(&p->desc.activation),
                  .half = p->desc.dtype == FC_FLOAT16},
        .y = (char *)y->data + (fc_output_image(p, y, image) + k0 * y->c) * (int64_t)p->io_bytes,
        .residual = r->data ? (const char *)r->data +
                                  (fc_output_image(p, r, image) + k0 * r->c) * (int64_t)p->io_bytes
                            : NULL,
        .y_strides = y,
        .r_strides = r,
        .ow = p->ow,
        .flat = y->h == p->ow * y->w && (!r->data || r->h == p->ow * r->w)};
    return t;
}

int64_t fc_target_at(const fc_plan *p, const struct fc_target *t, int64_t q, int64_t count,
                     struct fc_store *store)
{
    const int64_t plane = p->oh * t->ow, size = (int64_t)p->io_bytes;
    const int64_t image = q < plane ? 0 : q / plane, rest = q - image * plane;
    /* In a flat image a row is as good as any: the first. */
    const int64_t i = t->flat ? 0 : rest / t->ow, j = rest - i * t->ow;
    const fc_array *y = t->y_strides, *r = t->r_strides;
    store->y = t->y + (fc_output_image(p, y, image) + i * y->h + j * y->w) * size;
    store->residual =
        t->residual ? t->residual + (fc_output_image(p, r, image) + i * r->h + j * r->w) * size
                    : NULL;
    return fc_min(count, t->flat ? plane - rest : t->ow - j);
}

void fc_load_bias(const fc_plan *p, const void *bias, int64_t k0, int64_t channels, void *dst)
{
    memset(dst, 0, (size_t)fc_max(channels, p->family->nr) * p->element_bytes);
    if (!bias)
        return;
    const char *src = (const char *)bias + (size_t)k0 * p->io_bytes;
    if (p->desc.dtype == FC_FLOAT16)
        p->kernels->half_to_float((const uint16_t *)src, dst, channels);
    else
        memcpy(dst, src, (size_t)channels * p->element_bytes);
}
