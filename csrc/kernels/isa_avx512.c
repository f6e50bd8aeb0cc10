/* AVX-512 (F, BW, DQ, VL): 32 registers of 16 floats, and multiply-adds that broadcast from memory.
 */
#include "kernels/kernels.h"
#include "simd/target.h"

#if FC_BUILD_X86
#include <immintrin.h>
#include <string.h>
#define FC_VEC_AVX512 1
#define FC_MR 28 /* 28 accumulators, 1 vector of weights, 3 spare */
#define FC_NV 1
#define FC_LINE_MAX 16
#define FC_LINE_CHANNELS 16
#define FC_LINE_LONE 16
#define FC_LINE_SINGLES 0
#define FC_LINE_PINS 0
/* Fitted on Sapphire Rapids: 29 loads for 28 multiply-adds, 17 for 16. */
#define FC_TILE_CYCLES 0.52
#define FC_LINE_CYCLES 0.55
/* Four measured 0.6 % slower, with twice the machine code. */
#define FC_TAPS 2
#define FC_TABLE fc_kernels_avx512
#define FC_NAME "avx512"
FC_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
#include "kernels/table.inc"
FC_TARGET_END
#endif
