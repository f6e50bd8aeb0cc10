/* The contract of every kernel, and the table of them that each instruction set exports.
 *
 * Kernels compute on memory that the drivers (csrc/ops) laid out: they never allocate, know nothing
 * of threads, descriptors or plans, and read or write nothing outside what the contract names.  T
 * is the family's element: float or double.  Steps are in elements unless said otherwise. */
#ifndef FC_KERNELS_KERNELS_H
#define FC_KERNELS_KERNELS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "simd/target.h"

enum {
    FC_ROWS_MAX = 4,     /* output rows in one dense tile, at most */
    FC_MR_MAX = 14,      /* pixels in one dense tile, at most */
    FC_NR_MAX = 32,      /* output channels in one dense tile, at most */
    FC_VL_MAX = 16,      /* elements in one vector, at most */
    FC_SLAB_GROUP = 32,  /* channels of which a slab takes a vector each before the next columns */
    FC_DOT_ROWS = 4,     /* rows of dot products at a time: more would share sets of L1 */
    FC_DOT_COLUMNS = 2,  /* and columns: six loads for eight multiply-adds keep the units busy */
    FC_CORRELATED = 9,   /* taps whose products with a plane are summed at once */
    FC_WINDOW_COUNT = 11 /* element types of max pooling */
};

/* Activation, as the epilogues apply it: fc_activation_kind of fastconv.h, number by number (the
 * planner asserts it), for kernels do not know that header. */
enum {
    FC_ACT_NONE,
    FC_ACT_RELU,
    FC_ACT_RELU6,
    FC_ACT_SIGMOID,
    FC_ACT_TANH,
    FC_ACT_SILU,
    FC_ACT_HARDSWISH,
    FC_ACT_LEAKY_RELU,
    FC_ACT_CLIP,
    FC_ACT_LINEAR /* a x + b; in no epilogue, and not known to that header */
};
struct fc_act {
    int kind;
    double a, b;
};
/* What epilogues take: of a result that is only kept between bounds, or not even that, a and b are
 * the bounds (NONE and CLIP), so that one pair of instructions serves nearly every layer. */
static inline struct fc_act fc_act_of(int kind, double a, double b)
{
    switch (kind) {
    case FC_ACT_NONE:
        return (struct fc_act){FC_ACT_NONE, -INFINITY, INFINITY};
    case FC_ACT_RELU:
        return (struct fc_act){FC_ACT_CLIP, 0, INFINITY};
    case FC_ACT_RELU6:
        return (struct fc_act){FC_ACT_CLIP, 0, 6};
    default:
        return (struct fc_act){kind, a, b};
    }
}

/* A run of taps: count taps, `step` apart, from `offset` on.  The whole reduction of a convolution
 * is a list of runs over the packed input; strides, dilation and window shape are all in the
 * offsets. */
struct fc_run {
    int32_t offset; /* elements from the tile's first pixel */
    int32_t count;  /* >= 1 */
};

/* Dense tile: rows x cols pixels by nr output channels over the whole reduction.
 * tile[(r * cols + i) * nr + j] = bias[j] + sum over taps of x[r * row + i + tap] * w[tap][j]
 * w and tile are 64-byte aligned; taps follow one another in w as the runs list them. */
struct fc_dense {
    const void *x, *w, *bias;
    void *tile;
    const struct fc_run *runs;
    int64_t run_count;
    int64_t step;          /* between the taps of a run */
    int64_t row;           /* between the pixel rows */
    const char *prefetch;  /* weights that are wanted next, or any readable address */
    int64_t prefetch_step; /* bytes to move on for every 2 taps, which fetch 128; 0 to stay */
    /* A lone pixel's: elements from a block of channels to the next, and to the last one. */
    int64_t block, last;
};
typedef void fc_dense_fn(const struct fc_dense *);
/* Blocks of nr channels that a lone pixel takes together. */
enum { FC_LONE_BLOCKS = 4 };

/* Writes a tile of pixels x nr to the output: y = activation(tile + residual).
 * Element (p, j) goes to y[p * y_pixel + j * y_channel], p < pixels, j < channels; one of the two
 * steps is 1, the same one in y and residual.  half: y and residual hold float16 (float family
 * only).  The tile has room for VL - 1 more pixels, which are read and dropped.  nr may be greater
 * than a dense tile's, for any tile of that layout. */
struct fc_store {
    void *tile; /* may be overwritten */
    int64_t nr, pixels, channels;
    void *y;
    int64_t y_pixel, y_channel;
    const void *residual; /* or NULL */
    int64_t r_pixel, r_channel;
    struct fc_act act;
    int half;
};
typedef void fc_store_fn(const struct fc_store *);

/* Dense line: the same reduction with the roles swapped, pixels as the lanes, so that planes are
 * written without a transpose.  Over out.pixels neighbouring pixels q and out.channels <= nr
 * channels j, y[q + j * y_channel] = activation(bias[j] + sum over taps of x[q + tap] *
 * w[j / line_channels][tap][j % line_channels] + residual).  Reads x[q + tap] of these pixels and
 * no other.  out.tile and out.nr are not used, out.y_pixel is 1. */
struct fc_line {
    const void *x, *w, *bias;
    const struct fc_run *runs;
    int64_t run_count;
    int64_t taps;    /* of all runs */
    int64_t step;    /* between the taps of a run */
    int64_t ahead;   /* elements beyond a tap's pixels to fetch to L2 ... */
    int fetch;       /* ... for the taps u, u + 2, ... of the runs where bit u is set; 0 for none */
    int64_t singles; /* of the pixels, the last ones, that are summed in an order of their own: the
                      * plan's choice, at most line_singles for a whole line */
    struct fc_store out;
};
typedef void fc_line_fn(const struct fc_line *);

/* Copies channels of one input row into a slab, split by phase of the stride, zeros around them:
 * dst[c * dst_channel + f * width + q] = src[c * src_channel + x * src_pixel] with x = q * stride +
 * f - left where 0 <= x < src_width, else 0, for q < width and the f whose bit is set in `phases`.
 * src NULL: zeros throughout.  Fast when src_pixel or src_channel is 1; stride <= 64. */
struct fc_slab {
    void *dst;
    int64_t dst_channel, width;
    const void *src;
    int64_t src_channel, src_pixel, src_width;
    int64_t channels, stride, left;
    uint64_t phases; /* bit 0 alone for stride 1 */
    int64_t ahead;   /* elements from src to what is wanted next, which may be fetched; or 0 */
};
typedef void fc_slab_fn(const struct fc_slab *);

/* Copies `count` pixels, src_pixel apart, of some channels into panels of any number mr of pixels:
 * pixel q0 + i of channel c goes to dst[t * dst_tile + c * mr + o], t and o being quotient and
 * remainder of (q0 + i) by mr.  Calls go upwards, for the pixels after those of the last panel may
 * be overwritten.  Source steps as in fc_slab.  src NULL: zeros. */
struct fc_panel {
    void *dst;
    int64_t dst_tile, mr;
    int64_t q0, count;
    const void *src;
    int64_t src_channel, src_pixel; /* src_pixel holds the stride already */
    int64_t channels;
    int64_t ahead; /* elements from src to what is wanted next, which may be fetched; or 0 */
};
typedef void fc_panel_fn(const struct fc_panel *);

/* Packs weights of one block: element src[j * src_channel + i], j < channels, i < count, goes to
 * dst[(j / columns * taps + place[i * place_step]) * columns + j % columns]; zeros for the rest of
 * the nr channels.  columns: nr, or line_channels for dense lines. */
struct fc_weights {
    void *dst;
    const void *src;
    int64_t src_channel;
    const int32_t *place;
    int64_t place_step; /* 1, or -1 for weights that are turned round */
    int64_t count, taps, nr, columns, channels;
};
typedef void fc_weights_fn(const struct fc_weights *);

/* Depthwise, planes: `rows` output rows of one channel from a padded plane in the slab's layout.
 * y[r * y_row + q] = activation(bias + sum x[r * x_row + i * kernel_row + columns[j].offset + q] *
 * w[i * kw + j] + residual[r * r_row + q]), i < kh, j < kw, for q < cols.
 * x is readable as if cols were rounded up to vl and rows, unless there is one, to dw_rows.
 * residual may be y. */
struct fc_dw_plane {
    const void *x;
    int64_t x_row, kernel_row;
    const struct fc_run *columns;
    const void *w;
    int64_t kh, kw;
    double bias;
    void *y;
    int64_t y_row;
    const void *residual; /* or NULL */
    int64_t r_row;
    int64_t rows, cols;
    struct fc_act act;
    int half; /* y and residual hold float16 (float family only) */
};
typedef void fc_dw_plane_fn(const struct fc_dw_plane *);

/* Depthwise, planes where they stand: windows of size 3 or 5 with stride 1 or 2.  For z < planes
 * y[z * y_plane + r * y_row + q] = activation(bias[z] + sum x[z * x_plane][r * stride - top + i]
 * [q * stride - left + j] * w[(z * size + i) * size + j] + residual[z * r_plane + r * r_row + q]),
 * i, j < size.  top may be negative.  Pixels outside of `height` rows, x_row apart, of `width`
 * count as zeros and are not read.  residual may be y. */
struct fc_dw_image {
    const void *x;
    int64_t x_plane, x_row, height, width, top, left;
    const void *zeros; /* `width` of them, or NULL: rows outside are left out, all weights being
                        * finite */
    const void *w;
    const void *bias; /* T, one per plane */
    int64_t size, stride;
    void *y;
    int64_t y_plane, y_row;
    const void *residual; /* or NULL */
    int64_t r_plane, r_row;
    int64_t planes, rows, cols;
    struct fc_act act;
    int half;   /* y and residual hold float16 (float family only) */
    void *sums; /* scratch for `rows` vectors */
};
typedef void fc_dw_image_fn(const struct fc_dw_image *);

/* Depthwise, channels last: `pixels` neighbouring outputs of one row, all channels.  Output channel
 * k = c * multiplier + t of pixel q is
 * y[q * y_pixel + k] = activation(bias[k] + sum x[q * x_pixel + i * x_row + j * x_col + c] *
 * w[t * w_copy + i * w_row + j * w_col + c] + residual[q * r_pixel + k]), i < kh, j < kw.
 * kh = 0 or kw = 0: no taps.  w has channels rounded up to vl, zeros there.  residual may be y. */
struct fc_dw_pixel {
    const void *x;
    int64_t x_pixel, x_row, x_col;
    const void *w;
    int64_t w_copy, w_row, w_col;
    int64_t kh, kw;
    const void *bias; /* T, one per output channel */
    void *y;
    int64_t y_pixel;
    const void *residual; /* or NULL */
    int64_t r_pixel;
    int64_t pixels, channels, multiplier;
    struct fc_act act;
    int half; /* x, y and residual hold float16 (float family only) */
};
typedef void fc_dw_pixel_fn(const struct fc_dw_pixel *);

/* Sums of products of two planes, the gradient of a depthwise weight: for t < FC_CORRELATED
 * sums[t] += sum over r < rows, q < cols of y[r * y_row + q] * x[r * x_row + at[t].offset + q].
 * Reads these elements and no others. */
struct fc_correlate {
    const void *x, *y;
    int64_t x_row, y_row;
    int64_t rows, cols;
    const struct fc_run *at;
    void *sums;
};
typedef void fc_correlate_fn(const struct fc_correlate *);

/* Winograd's F(m, r) along both axes, a tile being m x m outputs of an r x r window and, with
 * points = m + r - 1, points x points products.  Float family only.
 *
 * Input: of the pixels d of each tile of a rectangle, for each channel,
 * v[(i * points + j) * v_point + c * v_channel + row * cols + col] = (B^T d B)[i][j], d starting at
 * pixel (row * m, col * m) of the channel's x.  Pixels count as zeros and are not read outside of
 * rows row0 ... row1 - 1 and columns col0 ... col1 - 1; x itself may lie outside. */
struct fc_wino_input {
    const void *x;
    int64_t x_channel, x_row;
    int64_t row0, row1, col0, col1;
    int64_t channels, rows, cols;
    void *v;
    int64_t v_point, v_channel;
};
typedef void fc_wino_input_fn(const struct fc_wino_input *);

/* Output: tiles of one row and nr channels, from products[(i * points + j) * point + tile * nr +
 * channel] to m rows of pixels, out[i * out_row + (tile * m + q) * pixel * nr + channel] =
 * (A^T products A)[i][q] + bias[channel]. */
struct fc_wino_output {
    const void *products, *bias;
    int64_t point, tiles, nr;
    void *out;
    int64_t out_row, pixel;
};
typedef void fc_wino_output_fn(const struct fc_wino_output *);

/* Weights of one input channel and nr output channels, src[k * src_k + i * r + j]: dst[(i * points
 * + j) * point + k] = (G g G^T)[i][j], computed in double; zeros for k >= channels. */
struct fc_wino_weights {
    const void *src;
    int64_t src_k, channels, nr;
    void *dst;
    int64_t point;
};
typedef void fc_wino_weights_fn(const struct fc_wino_weights *);

struct fc_wino {
    int m, r;
    fc_wino_input_fn *input;
    fc_wino_output_fn *output;
    fc_wino_weights_fn *weights;
};

/* Windows along one axis of an image.  Window q starts at position q * stride - before and has
 * `taps` positions, `dilation` apart; the image is at 0 ... size - 1.  With stride 0 the windows
 * are adaptive: `before` of them, which lie in the image and cover it, window q from q * size /
 * before, rounded down, to (q + 1) * size / before, rounded up.  taps is 0 then, for it varies, and
 * dilation 1. */
struct fc_axis {
    int64_t size, before, taps, stride, dilation;
};

/* The taps of a window that lie in the image: count of them, the first at position `first`. */
struct fc_span {
    int64_t first, count;
};

/* A function of its own: few windows reach over an edge, and the code stands in many kernels. */
FC_NOINLINE FC_UNUSED struct fc_span fc_span_cut(const struct fc_axis *a, int64_t q)
{
    if (a->stride == 0) {
        const int64_t end = (q + 1) * a->size, first = q * a->size / a->before;
        return (struct fc_span){first, (end + a->before - 1) / a->before - first};
    }
    const int64_t start = q * a->stride - a->before;
    if (start >= a->size)
        return (struct fc_span){0, 0};
    const int64_t outside = start < 0 ? (-start - 1) / a->dilation + 1 : 0;
    if (outside >= a->taps)
        return (struct fc_span){0, 0};
    const int64_t inside = (a->size - 1 - start) / a->dilation + 1;
    const int64_t end = inside < a->taps ? inside : a->taps;
    if (end <= outside)
        return (struct fc_span){0, 0};
    return (struct fc_span){start + outside * a->dilation, end - outside};
}

static inline struct fc_span fc_span_at(const struct fc_axis *a, int64_t q)
{
    const int64_t start = q * a->stride - a->before, last = (a->taps - 1) * a->dilation;
    if (start >= 0 && start < a->size - last)
        return (struct fc_span){start, a->taps};
    return fc_span_cut(a, q);
}

/* The span's first tap by its number in window q, 0 when none lies in the image. */
static inline int64_t fc_span_tap(const struct fc_axis *a, int64_t q, struct fc_span span)
{
    return span.count ? (span.first - (q * a->stride - a->before)) / a->dilation : 0;
}

/* The windows q < out whose tap number `tap` lies in the image: count of them from `first`. */
FC_NOINLINE FC_UNUSED struct fc_span fc_span_windows(const struct fc_axis *a, int64_t out,
                                                     int64_t tap)
{
    const int64_t at = tap * a->dilation - a->before, room = a->size - 1 - at;
    const int64_t low = at < 0 ? (-at - 1) / a->stride + 1 : 0;
    const int64_t high = room < 0 ? 0 : room / a->stride + 1;
    const int64_t begin = low < out ? low : out, end = high < out ? high : out;
    return (struct fc_span){begin, end > begin ? end - begin : 0};
}

/* Pooling, planes: `rows` output rows, from row0 on, of a block of output columns of each plane.
 * The block's windows lie on a line of `before` positions outside of the image, then `inside`
 * pixels, then `after` positions outside; column q < cols takes line[q * stride + j * dilation], j
 * < kw, over the rows of the image that `height` says. max: the greatest, or a NaN if there is one;
 * -inf without any pixel. avg: the sum, divided by row_count[r] * col_count[q], r counted from
 * row0. */
struct fc_pool_plane {
    const void *x; /* the line's first pixel in row 0 of the first plane; x_plane, y_plane apart */
    int64_t planes, x_plane, x_row;
    struct fc_axis height;
    int64_t row0, rows;
    int64_t before, inside, after;
    int64_t kw, stride, dilation;
    void *line;    /* scratch: lines + 1 times before + inside + after + 4 vl elements of T */
    int64_t lines; /* >= 1: rows that may go through scratch together */
    const void *row_count, *col_count; /* T; average only */
    void *y;
    int64_t y_plane, y_row, cols;
    int half; /* x and y hold float16 (float family only) */
};
typedef void fc_pool_plane_fn(const struct fc_pool_plane *);

/* Pooling, channels last: `cols` neighbouring output pixels of one row, from q0 on, all channels.
 * Windows have kh rows, all inside the image, x_row apart, and the columns that `width` says.
 * max and avg as in fc_pool_plane, the divisor being row_count * col_count[q - q0]. */
struct fc_pool_pixels {
    const void *x; /* pixel 0 of the windows' first row */
    int64_t x_row, x_pixel;
    int64_t kh;
    struct fc_axis width;
    int64_t q0, cols, channels;
    double row_count;
    const void *col_count; /* T; average only */
    void *y;               /* pixel q0 */
    int64_t y_pixel;
    int half; /* x and y hold float16 (float family only) */
};
typedef void fc_pool_pixels_fn(const struct fc_pool_pixels *);

/* Pooling whole planes: y[p * y_step] = the greatest, or the sum / count, of rows x cols elements
 * at x + p * x_plane, rows x_row apart, for p < planes. */
struct fc_pool_whole {
    const void *x;
    int64_t planes, x_plane;
    int64_t rows, cols, x_row; /* rows and cols >= 1 */
    double count;
    void *y;
    int64_t y_step;
    int half; /* x and y hold float16 (float family only) */
};
typedef void fc_pool_whole_fn(const struct fc_pool_whole *);

/* Max pooling by the definition, any element type: `cols` neighbouring windows of one output row,
 * from q0 on, `channels` of each.  Windows are walked in scan order; the first pixel is taken, then
 * whatever is greater than the one held, or a NaN.  A window without any pixel gives the lowest
 * value of the type and the index -1. */
struct fc_pool_window {
    const void *x; /* the image's first pixel */
    int64_t x_plane, x_row, x_col;
    struct fc_axis depth, height, width;
    int64_t plane, row, q0, cols, channels; /* plane and row: of the output */
    void *y;                                /* of window q0; channels are contiguous */
    int64_t y_col;
    int64_t *indices; /* (id * height.size + ih) * width.size + iw; or NULL */
    int64_t index_col;
};
typedef void fc_pool_window_fn(const struct fc_pool_window *);

/* Rows of bytes, each `..._step` bytes after the last; src_step may be 0 or negative.  The two do
 * not overlap. */
struct fc_copy {
    char *dst;
    int64_t dst_step;
    const char *src;
    int64_t src_step, rows, bytes;
    int64_t ahead; /* bytes from src to what is wanted next, which may be fetched; or 0 */
};
typedef void fc_copy_fn(const struct fc_copy *);
/* Copies past the caches where the instruction set can, for what is too large for them: the lines
 * written are not read first.  Other threads may read it after stream_end on this one. */
typedef void fc_stream_fn(void *dst, const void *src, int64_t bytes);
typedef void fc_stream_end_fn(void);

/* y[i * y_step] += x[i] for count elements. */
typedef void fc_add_fn(int64_t count, const void *x, void *y, int64_t y_step);

/* Dot products: adds those of FC_DOT_ROWS rows with FC_DOT_COLUMNS columns, of `length` elements,
 * to their partial sums, one vector each, [column][row].  Rows may be the same, and columns, of
 * which the second one's sums are then undefined. */
typedef void fc_dots_fn(const void *const *rows, const void *const *columns, int64_t length,
                        void *partial);
/* y[i * step] = bias[i * step] + the sum of the vector partial[i], for i < FC_DOT_ROWS. */
typedef void fc_dots_finish_fn(const void *partial, const void *bias, void *y, int64_t step);

/* y[i] = activation(x[i]); y may be x. */
typedef void fc_activate_fn(int64_t count, const void *x, void *y, const struct fc_act *act);
/* y[i] = g[i] * the derivative of the activation at x[i]; y may be x or g. */
typedef void fc_activate_grad_fn(int64_t count, const void *x, const void *g, void *y,
                                 const struct fc_act *act);
/* y = x / (k + alpha * the sum of squares of channels c - before to c + after) ^ (quarters / 4), of
 * `pixels` neighbouring pixels of an image's planes; quarters is 2, 3 or 4. */
struct fc_response {
    const void *x;
    void *y; /* does not overlap x */
    int64_t channels, plane, pixels;
    int64_t before, after;
    double alpha, k;
    int quarters;
};
typedef void fc_response_fn(const struct fc_response *);
/* The sum of rows x cols elements, rows `row` apart, summed in blocks so that the error stays
 * small. */
typedef double fc_sum_fn(const void *x, int64_t rows, int64_t cols, int64_t row);
/* 2 * count * (multiply-adds of the dense tile) floating-point operations, all from registers. */
typedef int64_t fc_peak_fn(int64_t count);

/* Everything one element type has.  Tile sizes stand beside the functions that need them. */
struct fc_family {
    int vl;        /* elements in a vector */
    int mr, nr;    /* dense tile: pixels, output channels */
    int nr_narrow; /* channels of the narrow tile; nr where there is none */
    int rows;      /* most pixel rows in a tile */
    /* Cycles of a vector multiply-add in a dense tile, in a line, in its lone vectors of pixels. */
    double tile_cycles, line_cycles, lone_cycles;
    fc_dense_fn *dense[FC_ROWS_MAX + 1][FC_MR_MAX + 1];  /* [rows][cols]; NULL: not built */
    fc_dense_fn *narrow[FC_ROWS_MAX + 1][FC_MR_MAX + 1]; /* of nr_narrow channels, if there are */
    fc_dense_fn *lone; /* one pixel by FC_LONE_BLOCKS blocks, side by side in tile and bias */
    int line_singles;  /* pixels at a line's end that are taken one by one, at most */
    int line_vectors;  /* of pixels that a dense line takes at once */
    int line_channels; /* that its weights are packed by; nr and nr_narrow are multiples of it */
    fc_line_fn *line;
    fc_store_fn *store;
    fc_slab_fn *slab;
    fc_panel_fn *panel;
    fc_weights_fn *weights;
    const struct fc_wino *wino_43, *wino_23, *wino_25; /* F(m, r); NULL: not built */
    int dw_rows;                                       /* output rows at a time from a slab */
    fc_dw_plane_fn *dw_plane;
    fc_dw_image_fn *dw_image;
    fc_dw_pixel_fn *dw_pixel;
    fc_correlate_fn *correlate;
    fc_pool_plane_fn *max_plane, *avg_plane;
    fc_pool_pixels_fn *max_pixels, *avg_pixels;
    fc_pool_whole_fn *max_whole, *avg_whole;
    fc_sum_fn *sum;
    fc_add_fn *add;

    fc_dots_fn *dots;
    fc_dots_finish_fn *dots_finish;
    fc_activate_fn *activate;
    fc_activate_grad_fn *activate_grad;
    fc_response_fn *response;
    fc_peak_fn *peak;
};

/* Output channels of the tile that computes so many: of all blocks of a convolution but the last,
 * nr. */
static inline int64_t fc_tile_nr(const struct fc_family *f, int64_t channels)
{
    return channels <= f->nr_narrow ? f->nr_narrow : f->nr;
}

static inline fc_dense_fn *fc_tile_kernel(const struct fc_family *f, int64_t nr, int64_t rows,
                                          int64_t cols)
{
    return (nr == f->nr ? f->dense : f->narrow)[rows][cols];
}

struct fc_kernels {
    const char *name;
    const struct fc_family *f32, *f64;
    /* By element, in the order of fc_dtype of fastconv.h (the planner asserts it). */
    fc_pool_window_fn *window[FC_WINDOW_COUNT];
    void (*half_to_float)(const uint16_t *src, float *dst, int64_t count);
    void (*float_to_half)(const float *src, uint16_t *dst, int64_t count);
    fc_copy_fn *copy;
    fc_stream_fn *stream;
    fc_stream_end_fn *stream_end;
};

extern const struct fc_kernels fc_kernels_generic;
extern const struct fc_kernels fc_kernels_avx2;
extern const struct fc_kernels fc_kernels_avx512;
extern const struct fc_kernels fc_kernels_neon;

#endif
