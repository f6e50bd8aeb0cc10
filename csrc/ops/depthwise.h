/* Depthwise convolution: what its ways share, and the way that reads images where they stand. */
#ifndef FC_OPS_DEPTHWISE_H
#define FC_OPS_DEPTHWISE_H

#include "base/checked.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "ops/target.h"
#include "ops/ops.h"
#include "ops/planes.h"

/* Block sizes, the plan's own. */
struct fc_dw_blocking {
    int64_t item_rows;     /* output rows of an item */
    int64_t bands;         /* bands of item_rows in one channel */
    int64_t item_channels; /* channels of an item */
    int64_t row_gap;       /* input rows from one slab row to the next */
    int64_t slab_rows;
    int64_t slab_row;   /* elements in a packed row: all phases */
    int64_t slab_width; /* columns of one phase */
    uint64_t phases;
};

/* What the threads claim: output rows of some channels of an image. */
struct fc_dw_item {
    int64_t image, c0, c1, row0, rows;
};

static inline struct fc_dw_item fc_dw_item_of(const fc_plan *p, int64_t i)
{
    const struct fc_dw_blocking *b = p->blocking;
    const int64_t groups = fc_ceil_div(p->desc.c, b->item_channels);
    const int64_t row0 = i % b->bands * b->item_rows, c0 = i / b->bands % groups * b->item_channels;
    return (struct fc_dw_item){.image = i / b->bands / groups,
                               .c0 = c0,
                               .c1 = fc_min(c0 + b->item_channels, p->desc.c),
                               .row0 = row0,
                               .rows = fc_min(b->item_rows, p->oh - row0)};
}

static inline int64_t fc_dw_item_count(const fc_plan *p)
{
    const struct fc_dw_blocking *b = p->blocking;
    return p->images * fc_ceil_div(p->desc.c, b->item_channels) * b->bands;
}

/* Whether each window lies in one plane, which is never padding. */
static inline int fc_dw_flat(const fc_conv_desc *d)
{
    return d->depth.kernel == 1 && d->depth.pad[0] == 0 && d->depth.pad[1] == 0;
}

/* Where element (image, channel, row) of the input lies, whose windows are flat. */
static inline const char *fc_dw_input(const fc_plan *p, const fc_array *x, int64_t image, int64_t c,
                                      int64_t row)
{
    return fc_input_plane(p, x, image, 0) + (c * x->c + row * x->h) * (int64_t)p->io_bytes;
}

/* The same of the output, or of the residual. */
static inline char *fc_dw_output(const fc_plan *p, const fc_array *y, int64_t image, int64_t c,
                                 int64_t row)
{
    return (char *)y->data +
           (fc_output_image(p, y, image) + c * y->c + row * y->h) * (int64_t)p->io_bytes;
}

/* Room for the biases as fc_load_bias writes them, all at once. */
static inline size_t fc_dw_bias_bytes(const fc_plan *p)
{
    return fc_align((size_t)fc_max(p->desc.k, p->family->nr) * p->element_bytes);
}

/* Whether there is a kernel that reads the image where it stands. */
int fc_dw_in_place(const fc_conv_desc *d);
fc_status fc_dw_prepare_images(fc_plan *p);
void fc_dw_pack_images(const fc_plan *p, const void *weight, void *packed);
/* All weights as (channel, window). */
void fc_dw_gather(const fc_plan *p, const void *weight, void *dst);
void fc_dw_run_images(const fc_plan *p, const struct fc_conv_io *io);

#endif
