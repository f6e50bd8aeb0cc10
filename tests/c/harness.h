/* What every test of the C driver leans on: the count of checks, seeded numbers, elements of any
 * dtype, and arrays flush against memory that nobody may touch. */
#ifndef FC_TESTS_HARNESS_H
#define FC_TESTS_HARNESS_H

#include "fastconv.h"

extern fc_level only_level; /* that is tested; FC_LEVEL_COUNT: every one */
extern int random_problems; /* of each dtype, convolutions and poolings each */
extern int verbose;         /* print each test's name as it starts, so that a crash has a name */

/* Starts a test; checks count for the one that was started last. */
#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
void start(const char *name, ...);

/* The test fails unless ok; the message, with its name, tells why. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void check(int ok, const char *message, ...);

/* Prints 'N passed, N failed'; 1 when a test failed, otherwise 0. */
int report(void);

/* The same numbers in every run. */
double random_uniform(void); /* in [-1, 1) */
int64_t random_of(const int64_t *values, int64_t count);
#define ONE_OF(...) \
    random_of((const int64_t[]){__VA_ARGS__}, \
              (int64_t)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))

const char *dtype_name(fc_dtype dtype);
int64_t dtype_bytes(fc_dtype dtype);
double element_get(fc_dtype dtype, const void *data, int64_t i);
void element_set(fc_dtype dtype, void *data, int64_t i, double value);
double random_element(fc_dtype dtype);
double lowest_element(fc_dtype dtype); /* minus infinity where there is one */

/* How far off a result may be: a sum of `length` products whose absolute values add up to
 * `magnitude`, its activation, and what storing a float16, which is computed as float32, adds. */
double sum_bound(fc_dtype dtype, int64_t length, double magnitude);
double activated_bound(fc_dtype dtype, const fc_activation *act, double activated, double bound);
double stored_bound(fc_dtype dtype, double value, double bound);

/* The activation by the definition, and one of all kinds by number. */
double activated(const fc_activation *act, double v);
fc_activation activation_of(fc_activation_kind kind);

/* Each array of a call has a slot: memory between two pages that cannot be touched. */
enum slot { INPUT, WEIGHT, PACKED, BIAS, RESIDUAL, OUTPUT, INDICES, SLOT_COUNT };

/* bytes that end where the slot's memory ends, up to `alignment`. */
void *flush_block(enum slot slot, int64_t bytes, int64_t alignment);
/* count elements of a dtype, set to the values. */
void *flush_vector(enum slot slot, fc_dtype dtype, const double *values, int64_t count);

/* A strided array in its slot, flush against one of the two pages.  Everything between its
 * elements, and some bytes on the other side, is blank: 0xff, which is NaN. */
struct array {
    fc_array view;
    fc_dtype dtype;
    int64_t size[4]; /* n c h w, whatever the layout */
    unsigned char *block;
    int64_t bytes;
};
struct array array_blank(enum slot slot, fc_dtype dtype, const int64_t size[4], int channels_last);
/* values: contiguous, n c h w. */
void array_fill(const struct array *a, const double *values);
/* Checks that every element is within its bound (NULL: equal) and that nothing else was written.
 * Leaves the array blank. */
void array_check(const struct array *a, const double *values, const double *bounds);

/* Calls the test for only_level, or for each level that this CPU runs. */
void each_level(void test(fc_level level));

void test_conv(fc_dtype dtype);
void test_grad_weight(fc_dtype dtype);
void test_pool(fc_dtype dtype);
void test_local(fc_dtype dtype);
void test_activation(fc_dtype dtype);
void test_graph(fc_dtype dtype);
void test_memory(fc_dtype dtype);
void test_threads(void);

#endif
