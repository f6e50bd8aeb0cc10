/* Weights as they come, in the order in which all packers take them. */
#ifndef FC_OPS_WEIGHTS_H
#define FC_OPS_WEIGHTS_H

#include "base/plan.h"

/* dst[j * count + i] = weight of output channel k0 + j of a group and element first + i of its
 * reduction, that being (channel, depth, row, column), for j < channels and i < count.  weight: as
 * the descriptor says, of the family's elements. */
void fc_weights_gather(const fc_plan *plan, const void *weight, int64_t group, int64_t k0,
                       int64_t channels, int64_t first, int64_t count, void *dst);

#endif
