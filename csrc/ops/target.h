/* Where results go: what the drivers with an epilogue of their own hand to the store kernels. */
#ifndef FC_OPS_TARGET_H
#define FC_OPS_TARGET_H

#include "base/plan.h"
#include "kernels/kernels.h"

/* An activation as the epilogues take it. */
static inline struct fc_act fc_last_act(const fc_activation *activation)
{
    return fc_act_of((int)activation->kind, activation->a, activation->b);
}

/* One image, or this and the following ones, and one block of channels of the output. */
struct fc_target {
    struct fc_store store;
    char *y;
    const char *residual;
    const fc_array *y_strides, *r_strides;
    int64_t ow;
    int flat; /* rows of the output follow each other without a gap, in the residual too */
};

struct fc_target fc_target_of(const fc_plan *plan, const struct fc_conv_io *io, int64_t image,
                              int64_t k0, int64_t channels);

/* Points a store at the flat output pixel q and returns how many of the next `count` it may take at
 * once. */
int64_t fc_target_at(const fc_plan *plan, const struct fc_target *target, int64_t q, int64_t count,
                     struct fc_store *store);

/* The bias of a block of nr channels from k0 on, zeros where it has fewer or where there is none.
 */
void fc_load_bias(const fc_plan *plan, const void *bias, int64_t k0, int64_t channels, void *dst);

#endif
