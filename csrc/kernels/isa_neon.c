/* AArch64's vector unit, which every such CPU has: 32 registers of 4 floats. */
#include "kernels/kernels.h"
#include "simd/target.h"

#if FC_BUILD_NEON
#include <arm_neon.h>
#include <math.h>
#include <string.h>
#define FC_VEC_NEON 1
#define FC_MR 8 /* 8 x 3 accumulators, 3 vectors of weights, 2 of pixels */
#define FC_NV 3
#define FC_NV_NARROW 3
#define FC_LINE_MAX 12
#define FC_LINE_CHANNELS 12
#define FC_LINE_LONE 12
#define FC_LINE_SINGLES 0
#define FC_MASKED 0
#define FC_LINE_PINS 0 /* the sum is always the result */
/* Not measured: 29 and 17 loads for 28 and 16 multiply-adds; a lone vector as on AVX2. */
#define FC_TILE_CYCLES 0.52
#define FC_LINE_CYCLES 0.55
#define FC_LONE_CYCLES 0.72
#define FC_TAPS 2 /* four were not measured here */
#define FC_TABLE fc_kernels_neon
#define FC_NAME "neon"
#include "kernels/table.inc"
#endif
