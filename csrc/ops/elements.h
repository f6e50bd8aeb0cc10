/* Elements of any type, moved by their size. */
#ifndef FC_OPS_ELEMENTS_H
#define FC_OPS_ELEMENTS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "simd/target.h"

/* Rows of elements, from anywhere to anywhere; steps in bytes, 0 in the source for what is
 * repeated.
 */
struct fc_elements {
    char *dst;
    int64_t dst_row, dst_step;
    const char *src;
    int64_t src_row, src_step;
    int64_t rows, count; /* count: of a row */
};

/* Inlined with the size known, which makes plain moves of it. */
FC_INLINE void fc_copy_sized(const struct fc_elements *e, const size_t bytes)
{
    for (int64_t r = 0; r < e->rows; r++) {
        char *dst = e->dst + r * e->dst_row;
        const char *src = e->src + r * e->src_row;
        for (int64_t i = 0; i < e->count; i++)
            memcpy(dst + i * e->dst_step, src + i * e->src_step, bytes);
    }
}

/* bytes: 1, 2, 4 or 8. */
FC_INLINE void fc_copy_elements(const struct fc_elements *e, size_t bytes)
{
    switch (bytes) {
    case 1:
        fc_copy_sized(e, 1);
        break;
    case 2:
        fc_copy_sized(e, 2);
        break;
    case 4:
        fc_copy_sized(e, 4);
        break;
    default:
        fc_copy_sized(e, 8);
    }
}

#endif
