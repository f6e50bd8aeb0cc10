/* Input rows to slabs, of any dtype: what the slab kernel (struct fc_slab) does for elements. */
#ifndef FC_OPS_SLAB_H
#define FC_OPS_SLAB_H

#include "base/plan.h"
#include "kernels/kernels.h"

/* Packs one input row as struct fc_slab says, whose src may hold float16; that is converted by way
 * of `row`, room for one input row of one channel, or of all the slab's where channels are
 * contiguous. */
void fc_slab_row(const fc_plan *plan, const struct fc_slab *slab, float *row);

/* Vectors of the slabs that all output rows read, `width` columns of each phase of the stride. */
double fc_slab_vectors(const fc_plan *plan, int64_t width);

/* float16 pixels, `step` apart, of some neighbouring channels, converted to row[pixel * channels +
 * c]. */
void fc_convert_pixels(const fc_plan *plan, const void *src, int64_t step, int64_t pixels,
                       int64_t channels, float *row);

#endif
