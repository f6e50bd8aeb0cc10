/* Volumes as planes.  To the drivers a 3-D convolution is a 2-D one: each plane of the output is an
 * image, and the channels of a group are those of all input planes that its window reads, the taps
 * of the depth outermost.  1-D is 2-D with one row. */
#ifndef FC_OPS_PLANES_H
#define FC_OPS_PLANES_H

#include "base/plan.h"

/* The input that tap `tap` of the depth reads for an image, channel 0; NULL where it is padding. */
static inline const char *fc_input_plane(const fc_plan *p, const fc_array *x, int64_t image,
                                         int64_t tap)
{
    const fc_depth *z = &p->desc.depth;
    const int64_t at = image % p->od * z->stride - z->pad[0] + tap * z->dilation;
    if (at < 0 || at >= z->size)
        return NULL;
    return (const char *)x->data + (image / p->od * x->n + at * x->d) * (int64_t)p->io_bytes;
}

/* Elements from an output's data, or a residual's, to an image of it. */
static inline int64_t fc_output_image(const fc_plan *p, const fc_array *y, int64_t image)
{
    return image / p->od * y->n + image % p->od * y->d;
}

/* Where the weights hold channel c of a group: (channel, tap of the depth) in their order. */
static inline int64_t fc_weight_channel(const fc_plan *p, int64_t c)
{
    return c % p->desc.cg * p->desc.depth.kernel + c / p->desc.cg;
}

#endif
