/* Input rows to slabs (ops/slab.h). */
#include "ops/slab.h"

#include "base/checked.h"

void fc_convert_pixels(const fc_plan *p, const void *src, int64_t step, int64_t pixels,
                       int64_t channels, float *row)
{
    if (step == channels) {
        p->kernels->half_to_float(src, row, pixels * channels);
        return;
    }
    for (int64_t i = 0; i < pixels; i++)
        p->kernels->half_to_float((const uint16_t *)src + i * step, row + i * channels, channels);
}

double fc_slab_vectors(const fc_plan *p, int64_t width)
{
    const fc_conv_desc *d = &p->desc;
    const double rows =
        (double)p->oh * (double)d->stride[0] + (double)(d->kh - 1) * (double)d->dilation[0];
    const double vectors = (double)d->stride[1] * (double)fc_ceil_div(width, p->family->vl);
    return (double)p->images * (double)(d->groups * p->channels) * rows * vectors;
}

void fc_slab_row(const fc_plan *p, const struct fc_slab *slab, float *row)
{
    if (!slab->src || p->desc.dtype != FC_FLOAT16) {
        p->family->slab(slab);
        return;
    }
    struct fc_slab converted = *slab;
    converted.ahead = 0; /* the row is a copy */
    converted.src = row;
    if (p->desc.channels_last) {
        fc_convert_pixels(p, slab->src, slab->src_pixel, slab->src_width, slab->channels, row);
        converted.src_pixel = slab->channels;
        p->family->slab(&converted);
        return;
    }
    converted.channels = 1;
    for (int64_t c = 0; c < slab->channels; c++) {
        p->kernels->half_to_float((const uint16_t *)slab->src + c * slab->src_channel, row,
                                  slab->src_width);
        p->family->slab(&converted);
        converted.dst = (float *)converted.dst + slab->dst_channel;
    }
}
