/* The parts that all tests of the C driver share (harness.h). */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "harness.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

fc_level only_level = FC_LEVEL_COUNT;
int random_problems = 200;
int verbose;
static char current[400]; /* the test's name */
static int current_failed;
static int64_t started, failed;

void start(const char *name, ...)
{
    va_list arguments;
    va_start(arguments, name);
    vsnprintf(current, sizeof current, name, arguments);
    va_end(arguments);
    started++;
    current_failed = 0;
    if (verbose) {
        puts(current);
        fflush(stdout);
    }
}

void check(int ok, const char *message, ...)
{
    enum { SHOWN = 20 };
    if (ok || current_failed)
        return;
    current_failed = 1;
    if (failed++ >= SHOWN)
        return;
    va_list arguments;
    va_start(arguments, message);
    printf("FAILED %s: ", current);
    vprintf(message, arguments);
    putchar('\n');
    va_end(arguments);
}

int report(void)
{
    printf("%lld passed, %lld failed\n", (long long)(started - failed), (long long)failed);
    return failed > 0;
}

static uint64_t random_bits(void)
{
    static uint64_t state = 2;
    /* SplitMix64 (Steele, Lea and Flood, 2014). */
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

double random_uniform(void)
{
    return ldexp((double)(random_bits() >> 11), -52) - 1;
}

int64_t random_of(const int64_t *values, int64_t count)
{
    return values[random_bits() % (uint64_t)count];
}

/* ---- elements ---- */

static const struct {
    const char *name;
    int64_t bytes;
    int is_signed;
} dtypes[FC_DTYPE_COUNT] = {[FC_FLOAT16] = {"float16", 2, 1}, [FC_FLOAT32] = {"float32", 4, 1},
                            [FC_FLOAT64] = {"float64", 8, 1}, [FC_INT8] = {"int8", 1, 1},
                            [FC_INT16] = {"int16", 2, 1},     [FC_INT32] = {"int32", 4, 1},
                            [FC_INT64] = {"int64", 8, 1},     [FC_UINT8] = {"uint8", 1, 0},
                            [FC_UINT16] = {"uint16", 2, 0},   [FC_UINT32] = {"uint32", 4, 0},
                            [FC_UINT64] = {"uint64", 8, 0}};

const char *dtype_name(fc_dtype dtype)
{
    return dtypes[dtype].name;
}

int64_t dtype_bytes(fc_dtype dtype)
{
    return dtypes[dtype].bytes;
}

static double half_value(uint16_t half)
{
    const int exponent = half >> 10 & 31, mantissa = half & 1023;
    const double magnitude = exponent == 31 ? (mantissa ? NAN : INFINITY)
                             : exponent     ? ldexp(1024 + mantissa, exponent - 25)
                                            : ldexp(mantissa, -24);
    return half & 0x8000 ? -magnitude : magnitude;
}

/* NaN, infinities, and what does not round to one. */
static uint16_t half_nearest(double value)
{
    const int sign = signbit(value) ? 0x8000 : 0;
    int exponent;
    const double mantissa = frexp(fabs(value), &exponent); /* in [1/2, 1) */
    if (isnan(value) || isinf(value))
        return (uint16_t)(sign | (isnan(value) ? 0x7e00 : 0x7c00));
    if (exponent < -13 || value == 0)
        return (uint16_t)(sign | (int)rint(fabs(value) * 0x1p24));
    /* The mantissa's leading bit adds one to the exponent. */
    return (uint16_t)(sign | (((exponent + 13) << 10) + (int)rint(mantissa * 2048)));
}

double element_get(fc_dtype dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case FC_FLOAT16:
        return half_value(((const uint16_t *)data)[i]);
    case FC_FLOAT32:
        return ((const float *)data)[i];
    case FC_FLOAT64:
        return ((const double *)data)[i];
    case FC_INT8:
        return ((const int8_t *)data)[i];
    case FC_INT16:
        return ((const int16_t *)data)[i];
    case FC_INT32:
        return ((const int32_t *)data)[i];
    case FC_INT64:
        return (double)((const int64_t *)data)[i];
    case FC_UINT8:
        return ((const uint8_t *)data)[i];
    case FC_UINT16:
        return ((const uint16_t *)data)[i];
    case FC_UINT32:
        return ((const uint32_t *)data)[i];
    default:
        return (double)((const uint64_t *)data)[i];
    }
}

void element_set(fc_dtype dtype, void *data, int64_t i, double value)
{
    switch (dtype) {
    case FC_FLOAT16:
        ((uint16_t *)data)[i] = half_nearest(value);
        return;
    case FC_FLOAT32:
        ((float *)data)[i] = (float)value;
        return;
    case FC_FLOAT64:
        ((double *)data)[i] = value;
        return;
    case FC_UINT64:
        ((uint64_t *)data)[i] = (uint64_t)value;
        return;
    default: { /* two's complement, lowest bytes first */
        const int64_t whole = (int64_t)value;
        memcpy((char *)data + i * dtype_bytes(dtype), &whole, (size_t)dtype_bytes(dtype));
    }
    }
}

double lowest_element(fc_dtype dtype)
{
    if (dtype <= FC_FLOAT64)
        return -INFINITY;
    return dtypes[dtype].is_signed ? -ldexp(1, (int)dtype_bytes(dtype) * 8 - 1) : 0;
}

/* A float of full precision, or an integer from the whole range of its type, that a double holds.
 */
double random_element(fc_dtype dtype)
{
    if (dtype <= FC_FLOAT64) {
        double element;
        element_set(dtype, &element, 0, random_uniform());
        return element_get(dtype, &element, 0);
    }
    const int bits = (int)dtype_bytes(dtype) * 8 - dtypes[dtype].is_signed;
    const double scale = ldexp(1, bits < 53 ? bits : 53), value = floor(random_uniform() * scale);
    return dtypes[dtype].is_signed || value >= 0 ? value : -1 - value;
}

/* ---- what a result must be ---- */

static double unit_roundoff(fc_dtype dtype)
{
    return dtype == FC_FLOAT64 ? 0x1p-53 : 0x1p-24;
}

double sum_bound(fc_dtype dtype, int64_t length, double magnitude)
{
    return (8 + sqrt((double)length)) * unit_roundoff(dtype) * magnitude;
}

double activated_bound(fc_dtype dtype, const fc_activation *act, double activated, double bound)
{
    const double own = 4 * unit_roundoff(dtype) * (1 + fabs(activated));
    switch (act->kind) {
    case FC_SIGMOID:
    case FC_TANH:
        return bound + own;
    case FC_SILU:
    case FC_HARDSWISH:
        return 1.5 * bound + own; /* no slope of theirs is steeper */
    default:
        return bound;
    }
}

double stored_bound(fc_dtype dtype, double value, double bound)
{
    return bound + (dtype == FC_FLOAT16 ? 0x1p-11 * (fabs(value) + bound) + 0x1p-25 : 0);
}

double activated(const fc_activation *act, double v)
{
    if (isnan(v))
        return v;
    switch (act->kind) {
    case FC_RELU:
        return fmax(v, 0);
    case FC_RELU6:
        return fmin(fmax(v, 0), 6);
    case FC_SIGMOID:
        return 1 / (1 + exp(-v));
    case FC_TANH:
        return tanh(v);
    case FC_SILU:
        return v / (1 + exp(-v));
    case FC_HARDSWISH:
        return v * fmin(fmax(v + 3, 0), 6) / 6;
    case FC_LEAKY_RELU:
        return v < 0 ? act->a * v : v;
    case FC_CLIP:
        return fmin(fmax(v, act->a), act->b);
    default:
        return v;
    }
}

fc_activation activation_of(fc_activation_kind kind)
{
    fc_activation act = {.kind = kind};
    if (kind == FC_LEAKY_RELU)
        act.a = 0.125;
    if (kind == FC_CLIP) {
        act.a = -0.5;
        act.b = 0.75;
    }
    return act;
}

/* ---- arrays ---- */

enum { SLOT_BYTES = 8 << 20, GUARD_BYTES = 256, BLANK = 0xff };

static unsigned char *slot_begin(enum slot slot)
{
    static unsigned char *begins[SLOT_COUNT];
    if (!begins[slot]) {
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        unsigned char *memory = mmap(NULL, SLOT_BYTES + 2 * page, PROT_NONE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED || mprotect(memory + page, SLOT_BYTES, PROT_READ | PROT_WRITE)) {
            perror("guarded memory");
            exit(2);
        }
        begins[slot] = memory + page;
    }
    return begins[slot];
}

static void must_fit(int64_t bytes)
{
    if (bytes + GUARD_BYTES > SLOT_BYTES) {
        printf("%s: %lld bytes do not fit a slot\n", current, (long long)bytes);
        exit(2);
    }
}

void *flush_block(enum slot slot, int64_t bytes, int64_t alignment)
{
    must_fit(bytes + alignment);
    return slot_begin(slot) + (SLOT_BYTES - bytes) / alignment * alignment;
}

void *flush_vector(enum slot slot, fc_dtype dtype, const double *values, int64_t count)
{
    void *vector = flush_block(slot, count * dtype_bytes(dtype), dtype_bytes(dtype));
    for (int64_t i = 0; i < count; i++)
        element_set(dtype, vector, i, values[i]);
    return vector;
}

struct array array_blank(enum slot slot, fc_dtype dtype, const int64_t size[4], int channels_last)
{
    static const int planes[4] = {3, 2, 1, 0}, pixels[4] = {1, 3, 2, 0}; /* innermost axis first */
    struct array a = {.dtype = dtype};
    memcpy(a.size, size, sizeof a.size);
    int64_t *const strides[4] = {&a.view.n, &a.view.c, &a.view.h, &a.view.w};
    int64_t first = 0, last = 0, next = 1; /* the elements' offsets from that of (0, 0, 0, 0) */
    for (int i = 0; i < 4; i++) {
        const int axis = channels_last ? pixels[i] : planes[i];
        const int64_t reach = (size[axis] - 1) * next;
        const int reversed = i > 0 && ONE_OF(0, 0, 0, 1);
        *strides[axis] = reversed ? -next : next;
        first -= reversed ? reach : 0;
        last += reversed ? 0 : reach;
        next = last - first + 1 + ONE_OF(0, 0, 1, 5);
    }
    const int64_t bytes = dtype_bytes(dtype), inside = (last - first + 1) * bytes;
    must_fit(inside);
    a.bytes = inside + GUARD_BYTES;
    if (ONE_OF(0, 1)) { /* guard bytes before, the page behind */
        a.block = slot_begin(slot) + SLOT_BYTES - a.bytes;
        a.view.data = a.block + GUARD_BYTES - first * bytes;
    } else {
        a.block = slot_begin(slot);
        a.view.data = a.block - first * bytes;
    }
    memset(a.block, BLANK, (size_t)a.bytes);
    return a;
}

static int64_t offset_of(const struct array *a, const int64_t at[4])
{
    return at[0] * a->view.n + at[1] * a->view.c + at[2] * a->view.h + at[3] * a->view.w;
}

/* Moves on to the next position in the order n c h w; 0 after the last. */
static int advance(const int64_t size[4], int64_t at[4])
{
    for (int axis = 3; axis >= 0; axis--) {
        if (++at[axis] < size[axis])
            return 1;
        at[axis] = 0;
    }
    return 0;
}

void array_fill(const struct array *a, const double *values)
{
    int64_t at[4] = {0};
    do
        element_set(a->dtype, a->view.data, offset_of(a, at), *values++);
    while (advance(a->size, at));
}

void array_check(const struct array *a, const double *values, const double *bounds)
{
    int64_t at[4] = {0}, worst[4] = {0}, wrong = 0, touched = 0, i = 0;
    double got = 0, wanted = 0, allowed = 0, most = -1;
    do {
        const int64_t offset = offset_of(a, at);
        const double y = element_get(a->dtype, a->view.data, offset), value = values[i];
        const double bound = bounds ? bounds[i] : 0, error = fabs(y - value);
        i++;
        memset((char *)a->view.data + offset * dtype_bytes(a->dtype), BLANK,
               (size_t)dtype_bytes(a->dtype));
        if (y == value || error <= bound || (isnan(y) && isnan(value)))
            continue;
        if (!wrong++ || error > most) {
            memcpy(worst, at, sizeof worst);
            most = error;
            got = y;
            wanted = value;
            allowed = bound;
        }
    } while (advance(a->size, at));
    for (int64_t b = 0; b < a->bytes; b++)
        touched += a->block[b] != BLANK;
    check(!wrong && !touched,
          "%lld elements off, worst at (%lld, %lld, %lld, %lld): %.17g, expected %.17g within "
          "%.3g; %lld bytes written around them",
          (long long)wrong, (long long)worst[0], (long long)worst[1], (long long)worst[2],
          (long long)worst[3], got, wanted, allowed, (long long)touched);
}

void each_level(void test(fc_level level))
{
    for (int level = 0; level < FC_LEVEL_COUNT; level++)
        if (fc_level_available((fc_level)level) &&
            (only_level == FC_LEVEL_COUNT || only_level == (fc_level)level))
            test((fc_level)level);
}
