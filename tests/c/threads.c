/* One plan run by several threads at once, as a plan promises that it may be: the same bits, and no
 * report of a race where a sanitizer looks on. */
#include <pthread.h>
#include <string.h>

#include "harness.h"

enum { C = 16, K = 40, H = 24, W = 25, CALLERS = 4, ROUNDS = 3 };

static const fc_conv_desc conv = {.n = 1,
                                  .c = C,
                                  .h = H,
                                  .w = W,
                                  .k = K,
                                  .cg = C,
                                  .kh = 3,
                                  .kw = 3,
                                  .groups = 1,
                                  .depth = {1, 1, 1, 1, {0, 0}},
                                  .stride = {1, 1},
                                  .dilation = {1, 1},
                                  .pad = {1, 1, 1, 1},
                                  .dtype = FC_FLOAT32};
static const fc_pool_desc pool = {.kind = FC_POOL_AVG,
                                  .axes = 2,
                                  .n = 1,
                                  .c = K,
                                  .size = {1, H, W},
                                  .kernel = {1, 3, 3},
                                  .stride = {1, 1, 1},
                                  .dilation = {1, 1, 1},
                                  .pad = {0, 0, 1, 1, 1, 1},
                                  .dtype = FC_FLOAT32};

static float x[C * H * W];
static const fc_plan *conv_plan;
static const fc_pool_plan *pool_plan;
static const void *packed;

struct caller {
    pthread_t thread;
    float y[K * H * W], z[K * H * W]; /* convolved, then pooled */
    int errors;
};

static fc_array planes(float *data, int64_t c)
{
    return (fc_array){.data = data, .n = c * H * W, .c = H * W, .h = W, .w = 1};
}

static void *call(void *argument)
{
    struct caller *caller = argument;
    const fc_array in = planes(x, C), none = {0};
    const fc_array y = planes(caller->y, K), z = planes(caller->z, K);
    fc_error error;
    fc_threads_override(2);
    for (int round = 0; round < ROUNDS; round++) {
        caller->errors += fc_plan_run(conv_plan, &in, packed, NULL, &none, &y, &error) != FC_OK;
        caller->errors += fc_pool_plan_run(pool_plan, &y, &z, NULL, &error) != FC_OK;
    }
    fc_threads_override(0);
    return NULL;
}

void test_threads(void)
{
    static struct caller alone, callers[CALLERS];
    double weight[K * C * 9];
    fc_error error;
    fc_plan *made;
    fc_pool_plan *made_pool;
    fc_plan_info info;
    for (int i = 0; i < C * H * W; i++)
        x[i] = (float)random_uniform();
    for (int i = 0; i < K * C * 9; i++)
        weight[i] = random_uniform();
    start("one plan, %d callers", CALLERS);
    if (fc_plan_create(&conv, "auto", fc_level_current(), 0, &made, &error) ||
        fc_pool_plan_create(&pool, fc_level_current(), &made_pool, &error)) {
        check(0, "%s", error.message);
        return;
    }
    fc_plan_describe(made, &info);
    void *room = flush_block(PACKED, (int64_t)info.packed_bytes, 64);
    fc_plan_pack(made, flush_vector(WEIGHT, FC_FLOAT32, weight, K * C * 9), room, &error);
    conv_plan = made;
    pool_plan = made_pool;
    packed = room;

    call(&alone);
    for (int i = 0; i < CALLERS; i++)
        pthread_create(&callers[i].thread, NULL, call, &callers[i]);
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        check(!callers[i].errors && memcmp(callers[i].y, alone.y, sizeof alone.y) == 0 &&
                  memcmp(callers[i].z, alone.z, sizeof alone.z) == 0,
              "caller %d got other bits", i);
    }
    fc_plan_destroy(made);
    fc_pool_plan_destroy(made_pool);
}
