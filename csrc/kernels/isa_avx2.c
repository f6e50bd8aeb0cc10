/* AVX2 with FMA and F16C: 16 registers of 8 floats. */
#include "kernels/kernels.h"
#include "simd/target.h"

#if FC_BUILD_X86
#include <immintrin.h>
#include <string.h>
#define FC_VEC_AVX2 1
#define FC_MR 6 /* 6 x 2 accumulators, 2 vectors of weights, 1 broadcast pixel, 1 spare */
#define FC_NV 2
#define FC_NV_NARROW 2
#define FC_LINE_MAX 12 /* 4 x 3 accumulators, 3 vectors of pixels, 1 broadcast weight */
#define FC_LINE_CHANNELS 4
#define FC_LINE_LONE 8
/* Two taps of 4 channels are a vector of floats; each pixel reads all weights from L2 again. */
#define FC_LINE_SINGLES (FC_F64 ? 0 : 2)
#define FC_MASKED 0
#define FC_LINE_PINS 1
/* Zen 3, 1x1 from panels: 512->2048 at 7x7 57 cycles a tap by tiles, 60 by lines. */
#define FC_TILE_CYCLES 0.60
#define FC_LINE_CYCLES 0.52
/* A lone vector loads more for a multiply-add, and the calls are shorter: 832->128 at 7x7
 * takes 1.34 times as long from the rows of a slab as from panels. */
#define FC_LONE_CYCLES 0.68
/* Where a neighbour on the core takes half of what can be issued, four run 1.2 times as fast as
 * two; the same otherwise (Zen 3). */
#define FC_TAPS 4
#define FC_TABLE fc_kernels_avx2
#define FC_NAME "avx2"
FC_TARGET_BEGIN("avx2,fma,f16c")
#include "kernels/table.inc"
FC_TARGET_END
#endif
