/* AVX-512 (F, BW, DQ, VL): 32 registers of 16 floats, and multiply-adds that broadcast from memory.
 */
#include "kernels/kernels.h"
#include "simd/target.h"

#if FC_BUILD_X86
#include <immintrin.h>
#include <string.h>
#define FC_VEC_AVX512 1
#define FC_MR 14 /* 14 x 2 accumulators, 2 vectors of weights, 1 broadcast pixel, 1 spare */
#define FC_NV 2
#define FC_NV_NARROW 1
#define FC_LINE_MAX 24 /* 8 x 3 accumulators, 3 vectors of pixels, 1 broadcast weight */
#define FC_LINE_CHANNELS 8
#define FC_LINE_LONE 8
/* Two taps of 8 channels are a vector of floats. */
#define FC_LINE_SINGLES (FC_F64 ? 0 : 2)
/* As fast, in less code; depthwise, whose loads are most of it, took 1.1 to 1.3 times as long. */
#define FC_MASKED 1
#define FC_LINE_PINS 1
/* Two multiply-adds a cycle, of which the tile by itself reaches 0.98 from L2 on Zen 5, and some
 * more for what a call takes; a lone vector of pixels has 9 loads for 8. */
#define FC_TILE_CYCLES 0.52
#define FC_LINE_CYCLES 0.52
#define FC_LONE_CYCLES 0.58
/* Four would be twice the machine code; of tiles of 28 x 1 they were 0.6 % slower. */
#define FC_TAPS 2
#define FC_TABLE fc_kernels_avx512
#define FC_NAME "avx512"
FC_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
#include "kernels/table.inc"
FC_TARGET_END
#endif
