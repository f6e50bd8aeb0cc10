/* Compiler differences that the kernels lean on: target regions, forced inlining and unrolling.
 *
 * A file of kernels includes its system headers first, then opens a region with FC_TARGET_BEGIN and
 * closes it with FC_TARGET_END; every function between the two is compiled for that instruction
 * set, whatever the command line says.  OpenMP never stands inside a region: clang 14 drops the
 * target of an outlined parallel body. */
#ifndef FC_SIMD_TARGET_H
#define FC_SIMD_TARGET_H

#define FC_PRAGMA(text) _Pragma(#text)

#if defined(__clang__)
#define FC_TARGET_BEGIN(isa) \
    FC_PRAGMA(clang attribute push(__attribute__((target(isa))), apply_to = function))
#define FC_TARGET_END FC_PRAGMA(clang attribute pop)
#define FC_UNROLL FC_PRAGMA(clang loop unroll(full))
#define FC_NO_UNROLL FC_PRAGMA(clang loop unroll(disable))
#elif defined(__GNUC__)
#define FC_TARGET_BEGIN(isa) FC_PRAGMA(GCC push_options) FC_PRAGMA(GCC target(isa))
#define FC_TARGET_END FC_PRAGMA(GCC pop_options)
#define FC_UNROLL FC_PRAGMA(GCC unroll 64)
#define FC_NO_UNROLL FC_PRAGMA(GCC unroll 1)
#else
#define FC_UNROLL
#define FC_NO_UNROLL
#endif

#if defined(__GNUC__)
#define FC_INLINE static inline __attribute__((always_inline))
#define FC_NOINLINE static __attribute__((noinline))
#define FC_UNUSED __attribute__((unused)) /* a static function in a header */
/* Hides a pointer from the optimiser, which would otherwise turn stepped addresses into indexed
 * ones: an indexed embedded broadcast splits into two operations. */
#define FC_OPAQUE(pointer) __asm__("" : "+r"(pointer))
#define FC_PREFETCH_L1(pointer) __builtin_prefetch((pointer), 0, 3)
#define FC_PREFETCH_L2(pointer) __builtin_prefetch((pointer), 0, 2)
/* FC_PIN puts a vector into a register here, FC_KEEP keeps it there up to here.  Between the two
 * the register is not reused: GCC would rename accumulators from tap to tap and spill two of them
 * in a loop that needs every register. */
#if defined(__x86_64__)
#define FC_PIN(vector) __asm__("" : "+v"(vector))
#define FC_KEEP(vector) __asm__("" : : "v"(vector))
#elif defined(__aarch64__)
#define FC_PIN(vector) __asm__("" : "+w"(vector))
#define FC_KEEP(vector) __asm__("" : : "w"(vector))
#else
#define FC_PIN(vector) ((void)0)
#define FC_KEEP(vector) ((void)0)
#endif
#else
#define FC_PIN(vector) ((void)0)
#define FC_KEEP(vector) ((void)0)
#define FC_INLINE static __forceinline
#define FC_NOINLINE static __declspec(noinline)
#define FC_UNUSED
#define FC_OPAQUE(pointer) ((void)0)
#define FC_PREFETCH_L1(pointer) ((void)(pointer))
#define FC_PREFETCH_L2(pointer) ((void)(pointer))
#endif

/* Of an array on the stack that aligned vectors are read from. */
#if defined(_MSC_VER)
#define FC_ALIGNED __declspec(align(64))
#else
#define FC_ALIGNED _Alignas(64)
#endif

#if defined(__GNUC__) && defined(__x86_64__)
#define FC_BUILD_X86 1
#else
#define FC_BUILD_X86 0
#endif
#if defined(__GNUC__) && defined(__aarch64__)
#define FC_BUILD_NEON 1
#else
#define FC_BUILD_NEON 0
#endif

#endif
