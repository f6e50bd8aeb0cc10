/* The baseline of any CPU and compiler: 16-byte GNU vectors, or scalars where there are none. */
#include "kernels/kernels.h"
#include "simd/target.h"

#include <math.h>
#include <string.h>
#define FC_MR 6 /* 6 x 2 accumulators fit the 16 registers of baseline x86-64 */
#define FC_NV 2
#define FC_NV_NARROW 2
#define FC_LINE_MAX 8
#define FC_LINE_CHANNELS 8
#define FC_LINE_LONE 8
#define FC_LINE_SINGLES 0
#define FC_MASKED 0
#define FC_LINE_PINS 0 /* products and sums are instructions of their own */
/* In the ratio of the costs that were fitted for SSE2 (csrc/plan/costs.c). */
#define FC_TILE_CYCLES 0.52
#define FC_LINE_CYCLES 0.63
#define FC_LONE_CYCLES 0.82
#define FC_TAPS 2 /* four were not measured here */
#define FC_TABLE fc_kernels_generic
#define FC_NAME "generic"
#include "kernels/table.inc"
