/* The loop nest on the dense tile, shared by every algorithm that packs its input for it: they
 * differ in how the input is laid out, and in nothing else. */
#ifndef FC_OPS_DENSE_H
#define FC_OPS_DENSE_H

#include "base/plan.h"

/* Block sizes of the drivers on the dense tile.  A line is an output row, or a
 * panel of line_pixels. */
struct fc_dense_blocking {
    int64_t images;       /* that are computed by themselves: all, or 1 of all their pixels */
    int64_t pixels;       /* output pixels of such an image */
    int64_t blocks;       /* blocks of nr output channels in a group */
    int64_t group_blocks; /* blocks whose weights stay in L2 together */
    int64_t lines;        /* lines of one image, or of all together */
    int64_t item_lines;   /* lines that are packed at once */
    int64_t band_lines;   /* lines whose packed input stays in L2 */
    int64_t line_pixels;  /* output pixels of a line */
    int64_t tile_rows;    /* lines in one tile */
    int64_t strips;       /* tiles across one line */
    int64_t slab_row;     /* elements in a packed row or panel */
    int64_t line_step;    /* elements from the packed input of one line to the next one's */
    int64_t slab_width;   /* columns of one phase of the stride */
    int64_t row_step;     /* packed rows from one line to the next */
    int64_t row_span;     /* packed rows that one line reads */
    int64_t tap_step;     /* elements between the taps of a run */
    int by_line;          /* the dense line instead of the dense tile */
    int in_place;         /* the input is not packed where its planes have no gaps */
    int lone_pixel;       /* nor is the only pixel that a tile reads */
    uint64_t phases;      /* phases of the stride that some tap reads */
};

/* Packs the input of output lines [line0, line1) of one image, or all, and one group into slab.
 * Where the input can be read as it stands, slab may be pointed to it instead, with in_place set
 * if its lines are to be fetched ahead, and the steps of the input in tap_step and line_step, which
 * are the blocking's otherwise. */
struct fc_dense_slab {
    int64_t image, group, line0, line1;
    const void *slab;
    int64_t tap_step;  /* between the taps of a run */
    int64_t line_step; /* from the packed input of one line to the next one's */
    int in_place;      /* set when slab is the input itself, in lines */
    void *scratch;     /* where to pack */
    float *row;        /* room for one converted input row: float16 only */
    void *block;       /* room for a block of weights, where they are not packed */
};
typedef void fc_dense_pack_fn(const fc_plan *, const struct fc_conv_io *, struct fc_dense_slab *);

/* Whether stretches of `pixels` neighbours are computed faster by dense lines than by dense tiles,
 * which may join those of `images` images.  tile_pieces, line_pieces: in which either has each tap
 * copied to panels of its own, a vector each at most. */
int fc_dense_by_line(const fc_plan *plan, int64_t taps, int64_t pixels, int64_t images,
                     double tile_pieces, double line_pieces);

/* Completes a blocking whose images, pixels, lines, line_pixels, tile_rows, strips, slab_row,
 * line_step, row_step, row_span, tap_step, by_line and in_place are set. */
void fc_dense_prepare(fc_plan *plan);
/* Makes room for fc_dense_slab.row, where there is something to convert. */
void fc_dense_reserve_row(fc_plan *plan, int64_t elements);
void fc_dense_pack_weights(const fc_plan *plan, const void *weight, void *packed, int threads);
/* fc_algorithm.block_bytes of all who run by fc_dense_run. */
size_t fc_dense_block_bytes(const fc_plan *plan, int threads);
void fc_dense_run(const fc_plan *plan, const struct fc_conv_io *io, fc_dense_pack_fn *pack);

/* Adds the work of a problem by dense tiles or lines, apart from packing: `lines` lines of
 * `line_pixels` for each of `images` images and each group. */
void fc_dense_count(const fc_plan *plan, int64_t images, int64_t lines, int64_t line_pixels,
                    int by_line, double work[FC_WORK_COUNT]);
/* Output channels of a block's tiles, idle ones counted. */
int64_t fc_block_nr(const fc_plan *plan, int64_t block);
/* The same of all blocks of a group: those of packed weights. */
int64_t fc_tile_channels(const fc_plan *plan);
/* Vector multiply-adds of the output channels of a group for a tap of a stretch of pixels, cut
 * evenly into tiles, idle ones counted. */
double fc_tile_multiplies(const fc_plan *plan, double pixels);
/* Adds the reading of packed weights, or of panels, `passes` times. */
void fc_weights_count(const fc_plan *plan, double bytes, double passes, double work[FC_WORK_COUNT]);

/* Lines that go into one tile where a line is no longer than that. */
int64_t fc_tile_rows(const fc_plan *plan, int64_t lines, int64_t line_pixels);

/* Multiply-adds that are under way at once: two a cycle, each taking four. */
#define FC_CHAINS_LEAST 8.0

/* Seconds of fc_dense_pack_weights for an element: a transpose, 0.15 to 1 ns on Zen 5. */
#define FC_DENSE_PACK_SECONDS 0.6e-9

/* The most packed input that a dense algorithm may ask for at once; the rest of the 4 MB that a
 * thread may use is a tile and a converted row. */
#define FC_SLAB_BYTES_MAX ((int64_t)3500 << 10)

#endif
