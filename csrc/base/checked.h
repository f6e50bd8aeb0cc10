/* Size arithmetic that cannot wrap: each returns nonzero on overflow. */
#ifndef FC_BASE_CHECKED_H
#define FC_BASE_CHECKED_H

#include <stdint.h>

#if defined(__GNUC__)
static inline int fc_mul_overflows(int64_t a, int64_t b, int64_t *product)
{
    return __builtin_mul_overflow(a, b, product);
}
static inline int fc_add_overflows(int64_t a, int64_t b, int64_t *sum)
{
    return __builtin_add_overflow(a, b, sum);
}
#else
static inline int fc_mul_overflows(int64_t a, int64_t b, int64_t *product)
{
    if (a && b && (a > INT64_MAX / b || a < 0 || b < 0))
        return 1; /* sizes are not negative */
    *product = a * b;
    return 0;
}
static inline int fc_add_overflows(int64_t a, int64_t b, int64_t *sum)
{
    if (b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b)
        return 1;
    *sum = a + b;
    return 0;
}
#endif

static inline int64_t fc_ceil_div(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}
static inline int64_t fc_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline int64_t fc_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#endif
