/* The columns of a convolution (im2col), gathered from images and added up to images. */
#ifndef FC_OPS_COLUMNS_H
#define FC_OPS_COLUMNS_H

#include "fastconv.h"
#include "ops/gather.h"

struct fc_kernels;

enum { FC_TAPS_KEPT = 11 }; /* along an axis, those of nearly every window */

struct fc_columns {
    const fc_columns_desc *desc;
    const struct fc_kernels *kernels;
    fc_dtype dtype; /* of a fold */
    int64_t oh, ow;
    size_t element_bytes;
    fc_array image, columns;
    struct fc_stretches kept[2][FC_TAPS_KEPT]; /* by fc_columns_prepare: where the first taps meet
                                                * the image, for divisions take their time */
};

/* Fills in `kept`. */
void fc_columns_prepare(struct fc_columns *columns);

/* Fills in all of the gather but its kernels.  The gather points to the columns. */
void fc_unfold_prepare(const struct fc_columns *columns, struct fc_gather *gather);

/* On one thread. */
double fc_fold_seconds(const struct fc_columns *columns);
/* Bytes of scratch for one thread, a multiple of 64. */
size_t fc_fold_scratch(const struct fc_columns *columns);
/* scratch: threads * fc_fold_scratch. */
void fc_fold_run(const struct fc_columns *columns, char *scratch, int threads);

#endif
