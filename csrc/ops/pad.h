/* A padding as the gather that it is. */
#ifndef FC_OPS_PAD_H
#define FC_OPS_PAD_H

#include "fastconv.h"
#include "ops/gather.h"

struct fc_pad_axis {
    int64_t size, out, begin, end, x, y; /* the last two: steps in elements */
};

/* Outer axes, rows, columns. */
struct fc_padding {
    const char *x;
    char *y;
    int64_t element; /* its bytes */
    int outer;       /* axes before the last two */
    struct fc_pad_axis axes[FC_PAD_AXES + 1];
    struct fc_stretches stretches[FC_PAD_AXES + 1];
};

/* Fills in all of the gather but its kernels, for a problem that was found valid and whose output,
 * of the sizes `out`, is not empty.  The gather points to the padding. */
void fc_pad_prepare(const fc_pad_desc *desc, const int64_t *out, const void *x,
                    const int64_t *x_strides, const void *value, void *y, const int64_t *y_strides,
                    struct fc_padding *padding, struct fc_gather *gather);

#endif
