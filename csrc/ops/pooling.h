/* What the ways to pool share: an item of work, what a thread holds, and the divisor of averages.
 */
#ifndef FC_OPS_POOLING_H
#define FC_OPS_POOLING_H

#include "base/checked.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "ops/ops.h"

/* Elements of float16, or channels of a pixel, that are converted and summed at once. */
enum { FC_POOL_PIECE = 2048 };
/* Elements of a row that are joined at once into memory: a line of them and itself fit L1. */
enum { FC_POOL_JOIN = 1024 };

/* Output rows and columns of one plane of an image and, in NCHW, of one channel or a group. */
struct fc_pool_item {
    int64_t image, channel, plane, row0, rows, col0, cols;
};

/* What one thread needs for its items. */
struct fc_pool_worker {
    const fc_pool_plan *p;
    const fc_array *x, *y;
    int64_t *indices;
    struct fc_axis axis[3]; /* d h w */
    char *line, *row_count, *col_count;
    char *ones, *joined;      /* see pool.c */
    struct fc_pool_item held; /* whose counts stand in row_count and col_count */
};

static inline struct fc_axis fc_pool_axis(const fc_pool_plan *p, int axis)
{
    const fc_pool_desc *d = &p->desc;
    if (p->adaptive[axis])
        return (struct fc_axis){d->size[axis], p->out[axis], 0, 0, 1};
    return (struct fc_axis){d->size[axis], d->pad[2 * axis], d->kernel[axis], d->stride[axis],
                            d->dilation[axis]};
}

/* Positions from a window's first to its last. */
static inline int64_t fc_pool_reach(const struct fc_axis *a)
{
    return (a->taps - 1) * a->dilation + 1;
}

/* The way that serves every window. */
static inline enum fc_pool_path fc_pool_by_window(const fc_pool_plan *p)
{
    return p->desc.kind == FC_POOL_MAX ? FC_POOL_WINDOWS : FC_POOL_PIECES;
}

/* Whether the planes of volumes that a window takes are joined first. */
static inline int fc_pool_joins_planes(const fc_pool_plan *p)
{
    return p->desc.axes == 3 && p->path != FC_POOL_WINDOWS && p->path != FC_POOL_PIECES &&
           p->path != FC_POOL_WHOLE;
}

static inline const char *fc_pool_input(const struct fc_pool_worker *w, int64_t image, int64_t c,
                                        int64_t id, int64_t ih, int64_t iw)
{
    const fc_array *x = w->x;
    return (const char *)x->data +
           (image * x->n + c * x->c + id * x->d + ih * x->h + iw * x->w) * (int64_t)w->p->io_bytes;
}

static inline char *fc_pool_output(const struct fc_pool_worker *w, int64_t image, int64_t c,
                                   int64_t od, int64_t oh, int64_t ow)
{
    const fc_array *y = w->y;
    return (char *)y->data +
           (image * y->n + c * y->c + od * y->d + oh * y->h + ow * y->w) * (int64_t)w->p->io_bytes;
}

/* An axis's share in the divisor of an average: the positions of window q that count. */
double fc_pool_count(const fc_pool_plan *plan, const struct fc_axis *a, int axis, int64_t q);

/* By windows, one at a time (pool_windows.c): maxima of any type with their indices, and averages;
 * line holds fc_pool_pieces_bytes. */
void fc_pool_windows(struct fc_pool_worker *w, const struct fc_pool_item *t);
void fc_pool_pieces(struct fc_pool_worker *w, const struct fc_pool_item *t);
size_t fc_pool_pieces_bytes(void);

/* Stores a result as the plan's dtype. */
void fc_pool_put(const fc_pool_plan *plan, char *y, double value);

#endif
