/* The gradient of a convolution's weights by dense tiles: what the loop nest (grad_weight.c) and
 * the packing (grad_weight_pack.c) share. */
#ifndef FC_OPS_GRAD_WEIGHT_H
#define FC_OPS_GRAD_WEIGHT_H

#include "base/plan.h"
#include "ops/parallel.h"

/* Pixels that are packed in one go. */
enum { FC_WEIGHT_PIECE = 256 };

/* A packed operand: blocks of channels, each [pixel][width]. */
struct fc_weight_side {
    int64_t channels, blocks;
    int64_t width, last; /* of the blocks but the last, and of that */
    int64_t stride;      /* elements from block to block */
};

struct fc_weight_blocking {
    int by_tap; /* a stage is a tap, pixels are packed without gaps, an image is a single row */
    int turned; /* lanes are input channels */
    int merged; /* the taps of a row of the window are broadcast together */
    struct fc_weight_side lanes, spread;
    int64_t oh, ow;             /* of an image, as chunks cut it */
    int64_t images, rows, cols; /* of a chunk */
    int64_t image_chunks, row_chunks, col_chunks, chunks;
    int64_t x_rows, x_cols;     /* packed input of one image */
    int64_t row_step;           /* packed rows from one output row to the next */
    int64_t stages, kh, kw;     /* kh and kw: taps of a stage */
    int64_t piece_rows, pieces; /* rows of the window of an item, items that this makes of them */
    int64_t run_step;
    int64_t sums_stride; /* elements of an item's sums */
    int64_t
        row_elements; /* room for pixels that are converted, or collected, before they are packed */
    size_t group_bytes; /* packed operands and sums of all items, where chunks share them */
    size_t thread_bytes;
};

/* One thread's view of a run. */
struct fc_weight_worker {
    const fc_plan *p;
    const struct fc_weight_blocking *b;
    const struct fc_weight_io *io;
    struct fc_member *member; /* of the threads that the packed operands belong to; NULL: its own */
    char *lanes, *spread, *sums; /* of a group */
    char *zeros, *tile, *own_sums;
    char *row;
    int64_t group;
    /* The chunk: images, and the output rows and columns of each. */
    int64_t chunk, image, images, row0, rows, col0, cols;
    int64_t stage;
};

/* Packing of the worker's stage is cut into so many items; dy goes with the first stage. */
int64_t fc_weight_pack_items(const struct fc_weight_worker *w);
void fc_weight_pack_item(const struct fc_weight_worker *w, int64_t item);

#endif
