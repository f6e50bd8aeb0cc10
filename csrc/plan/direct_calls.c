/* The verbs that need no plan: each finds the kernels and calls its driver. */
#include "base/threads.h"
#include "ops/ops.h"
#include "plan/planning.h"

/* Seconds of one thread for each byte that is read or written: memory's rate, which few of these
 * fall short of, and in cache they are over before a second thread is worth it. */
static const double BYTE_SECONDS = 8e-11;
/* And for each exponential. */
static const double EXP_SECONDS = 6e-10;

static struct fc_elementwise elements_of(fc_dtype dtype, int64_t count, const void *x,
                                         const void *g, void *y)
{
    return (struct fc_elementwise){.kernels = fc_level_kernels(fc_level_current()),
                                   .dtype = dtype,
                                   .element_bytes = fc_dtype_bytes(dtype),
                                   .count = count,
                                   .x = x,
                                   .g = g,
                                   .y = y};
}

static void elementwise(const struct fc_elementwise *e, const fc_activation *activation)
{
    const fc_activation_kind kind = activation->kind;
    const int exponential = kind == FC_SIGMOID || kind == FC_TANH || kind == FC_SILU;
    const double bytes = (double)e->element_bytes * (e->g ? 3 : 2);
    const double seconds = (double)e->count * (bytes * BYTE_SECONDS + exponential * EXP_SECONDS);
    if (e->count)
        fc_elementwise_run(e, activation, seconds, fc_threads_for(seconds));
}

void fc_activate(fc_dtype dtype, const fc_activation *activation, int64_t count, const void *x,
                 void *y)
{
    const struct fc_elementwise e = elements_of(dtype, count, x, NULL, y);
    elementwise(&e, activation);
}

void fc_activate_grad(fc_dtype dtype, const fc_activation *activation, int64_t count, const void *x,
                      const void *g, void *y)
{
    const struct fc_elementwise e = elements_of(dtype, count, x, g, y);
    elementwise(&e, activation);
}

void fc_scale(fc_dtype dtype, int64_t n, int64_t c, int64_t pixels, const void *x,
              const double *scale, const double *shift, void *y)
{
    const struct fc_scaling work = {.elements = elements_of(dtype, n * c * pixels, x, NULL, y),
                                    .planes = n * c,
                                    .c = c,
                                    .scale = scale,
                                    .shift = shift};
    const double bytes = 2 * (double)work.elements.element_bytes;
    const double seconds = (double)work.elements.count * bytes * BYTE_SECONDS;
    if (work.elements.count)
        fc_scaling_run(&work, seconds, fc_threads_for(seconds));
}

void fc_response_norm(const fc_response_desc *desc, const void *x, void *y)
{
    const struct fc_responses work = {.kernels = fc_level_kernels(fc_level_current()),
                                      .desc = *desc,
                                      .element_bytes = fc_dtype_bytes(desc->dtype),
                                      .x = x,
                                      .y = y};
    const double bytes = (double)(desc->n * desc->c * desc->pixels) * (double)work.element_bytes;
    /* Roots and the quotient of an element take as long as the memory of two. */
    const double seconds = 4 * bytes * BYTE_SECONDS;
    if (bytes > 0)
        fc_responses_run(&work, seconds, fc_threads_for(seconds));
}

void fc_interleave(const struct fc_weave *v)
{
    const double bytes = (double)(v->n * v->c * v->d * v->h * v->w) * (double)v->element_bytes;
    fc_weave_run(v, fc_threads_for(2 * bytes * BYTE_SECONDS));
}

double fc_measure_peak(fc_dtype dtype, fc_level level)
{
    const struct fc_kernels *kernels = fc_level_kernels(level);
    return kernels ? fc_peak(kernels, dtype) : 0;
}

double fc_measure_read(void)
{
    return fc_read_rate(fc_level_kernels(fc_level_current()));
}

double fc_measure_copy(void)
{
    return fc_copy_rate();
}
