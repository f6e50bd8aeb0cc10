/* The planner of convolutions: validation, sizes, and the choice among the algorithms. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "ops/ops.h"
#include "plan/planning.h"

/* Every way to convolve; the least cost wins, the first of equals. */
static const struct fc_algorithm *const algorithms[] = {
    &fc_depthwise,    &fc_pointwise,    &fc_direct,      &fc_im2col,
    &fc_winograd_f43, &fc_winograd_f23, &fc_winograd_f25};
enum { ALGORITHM_COUNT = sizeof algorithms / sizeof *algorithms };

const char *fc_algorithm_name(int i)
{
    return i < ALGORITHM_COUNT ? algorithms[i]->name : NULL;
}

_Static_assert((int)FC_ACT_CLIP == (int)FC_CLIP && (int)FC_ACT_NONE == (int)FC_NONE &&
                   FC_ACTIVATION_COUNT == FC_CLIP + 1,
               "kernels number the activations as fastconv.h does");

static fc_status validate(const fc_conv_desc *d, fc_error *error)
{
    const struct {
        const char *name;
        int64_t value, least;
    } checks[] = {{"input batch size", d->n, 0},        {"input channels", d->c, 1},
                  {"weight output channels", d->k, 1},  {"weight input channels", d->cg, 1},
                  {"weight depth", d->depth.kernel, 1}, {"weight height", d->kh, 1},
                  {"weight width", d->kw, 1},           {"groups", d->groups, 1}};
    fc_status status;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if ((status = fc_check_least(checks[i].name, checks[i].value, checks[i].least, error)))
            return status;
    if (d->c % d->groups)
        return fc_fail(error, FC_INVALID, "groups %lld does not divide the input's %lld channels",
                       (long long)d->groups, (long long)d->c);
    if (d->k % d->groups)
        return fc_fail(error, FC_INVALID,
                       "groups %lld does not divide the weight's %lld output channels",
                       (long long)d->groups, (long long)d->k);
    if (d->cg != d->c / d->groups)
        return fc_fail(error, FC_INVALID,
                       "weight has %lld input channels per group, input has %lld in %lld group%s",
                       (long long)d->cg, (long long)d->c, (long long)d->groups,
                       d->groups == 1 ? "" : "s");
    const int64_t counts[3] = {d->depth.kernel, d->kh, d->kw};
    for (int axis = 0; d->transposed && axis < 3; axis++) {
        const fc_taps *t = &d->taps[axis];
        int64_t last;
        if (fc_mul_overflows(counts[axis] - 1, t->step, &last) ||
            fc_add_overflows(t->first, last, &last) || fc_min(t->first, last) < 0 ||
            fc_max(t->first, last) >= t->size)
            return fc_fail(error, FC_INVALID, "taps of the window lie outside of the weight");
    }
    return FC_OK;
}

static fc_status find_sizes(fc_plan *p, fc_error *error)
{
    const fc_conv_desc *d = &p->desc;
    const fc_depth *z = &d->depth;
    int64_t remainder, window;
    fc_status status = fc_out_size("depth", z->size, z->pad[0], z->pad[1], z->kernel, z->stride,
                                   z->dilation, 0, &p->od, &remainder, error);
    if (!status)
        status = fc_out_size("height", d->h, d->pad[0], d->pad[1], d->kh, d->stride[0],
                             d->dilation[0], 0, &p->oh, &remainder, error);
    if (!status)
        status = fc_out_size("width", d->w, d->pad[2], d->pad[3], d->kw, d->stride[1],
                             d->dilation[1], 0, &p->ow, &remainder, error);
    /* As it will be packed: float16 in float. */
    if (!status)
        status = fc_check_bytes("input", (int64_t[5]){d->n, d->c, z->size, d->h, d->w},
                                p->element_bytes, error);
    /* A block of channels is packed whole, so that one channel takes the place of nr at most. */
    if (!status)
        status = fc_check_bytes("weight", (int64_t[5]){d->k, d->cg, z->kernel, d->kh, d->kw},
                                p->element_bytes * (size_t)p->family->nr, error);
    if (!status)
        status = fc_check_bytes("output", (int64_t[5]){d->n, d->k, p->od, p->oh, p->ow},
                                p->io_bytes, error);
    if (status)
        return status;
    if (fc_mul_overflows(d->cg, z->kernel, &p->channels) ||
        fc_mul_overflows(d->kh, d->kw, &window) ||
        fc_mul_overflows(p->channels, window, &p->taps) || p->taps > INT32_MAX)
        return fc_fail(error, FC_NO_MEMORY, "weight has more than 2^31 taps per output channel");
    p->kg = d->k / d->groups;
    p->images = d->n * p->od;
    const double flops =
        2.0 * (double)p->images * (double)d->k * (double)p->oh * (double)p->ow * (double)p->taps;
    p->flops = flops < 9e18 ? (int64_t)flops : INT64_MAX;
    return FC_OK;
}

/* Whether a caller who asks for `name` may get this algorithm: any for "auto", and all forms of one
 * that has several, as "winograd" has. */
static int answers_to(const struct fc_algorithm *a, const char *name)
{
    const size_t length = strlen(name);
    return strcmp(name, "auto") == 0 || (strncmp(a->name, name, length) == 0 &&
                                         (a->name[length] == 0 || a->name[length] == '_'));
}

/* Appends to a text of limited size, which it may leave cut off. */
static void append(char *text, size_t size, const char *separator, const char *more)
{
    const size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s", used ? separator : "", more);
}

static fc_status refuse(const fc_plan *p, const char *name, fc_error *error)
{
    char reasons[120] = "", known[160] = "auto, winograd";
    for (int i = 0; i < ALGORITHM_COUNT; i++) {
        append(known, sizeof known, ", ", algorithms[i]->name);
        const char *reason = answers_to(algorithms[i], name) ? algorithms[i]->supports(p) : NULL;
        if (reason && !strstr(reasons, reason))
            append(reasons, sizeof reasons, ", or ", reason);
    }
    if (!*reasons)
        return fc_fail(error, FC_INVALID, "algorithm '%.40s' is not one of %s", name, known);
    char deep[24] = "";
    if (p->desc.depth.kernel != 1)
        snprintf(deep, sizeof deep, "%lldx", (long long)p->desc.depth.kernel);
    return fc_fail(error, FC_UNSUPPORTED,
                   "algorithm '%s' cannot serve a %s%lldx%lld window over an input of %lld x %lld "
                   "in %lld groups: %s",
                   name, deep, (long long)p->desc.kh, (long long)p->desc.kw, (long long)p->desc.h,
                   (long long)p->desc.w, (long long)p->desc.groups, reasons);
}

static double moved_bytes(const fc_plan *p)
{
    const fc_conv_desc *d = &p->desc;
    return (double)p->io_bytes * (double)d->n *
           ((double)d->c * (double)d->depth.size * (double)d->h * (double)d->w +
            (double)d->k * (double)p->od * (double)p->oh * (double)p->ow);
}

static fc_status choose(fc_plan *p, const char *name, int one_shot, fc_error *error)
{
    const struct fc_algorithm *second = NULL;
    double best_total = 0, second_total = 0;
    const double weights = (double)p->desc.k * (double)p->taps;
    for (int i = 0; i < ALGORITHM_COUNT; i++) {
        const struct fc_algorithm *a = algorithms[i];
        if (!answers_to(a, name) || a->supports(p))
            continue;
        double work[FC_WORK_COUNT] = {[FC_WORK_BYTES] = moved_bytes(p) / 1024};
        a->count(p, work);
        const double seconds = fc_work_seconds(p->level, work);
        const double total = seconds + (one_shot ? weights * a->pack_seconds : 0);
        if (!p->algorithm || total < best_total) {
            second = p->algorithm;
            second_total = best_total;
            p->algorithm = a;
            memcpy(p->work, work, sizeof work);
            p->seconds = seconds;
            best_total = total;
        } else if (!second || total < second_total) {
            second = a;
            second_total = total;
        }
    }
    if (!p->algorithm)
        return refuse(p, name, error);
    if (strcmp(name, p->algorithm->name) == 0)
        snprintf(p->why, sizeof p->why, "forced; estimated %.3g ms on one thread",
                 best_total * 1e3);
    else if (second)
        snprintf(p->why, sizeof p->why, "estimated %.3g ms on one thread; next best: %s, %.3g ms",
                 best_total * 1e3, second->name, second_total * 1e3);
    else
        snprintf(p->why, sizeof p->why, "the only algorithm that serves");
    return FC_OK;
}

fc_status fc_conv_state(fc_plan *p, const fc_conv_desc *desc, fc_error *error)
{
    p->desc = *desc;
    p->l2_bytes = fc_l2_bytes();
    fc_status status = fc_kernels_find(p->level, &p->kernels, error);
    if (status)
        return status;
    p->family = desc->dtype == FC_FLOAT64 ? p->kernels->f64 : p->kernels->f32;
    p->element_bytes = desc->dtype == FC_FLOAT64 ? 8 : 4;
    p->io_bytes = fc_dtype_bytes(desc->dtype);
    status = validate(desc, error);
    return status ? status : find_sizes(p, error);
}

fc_status fc_conv_size(const fc_conv_desc *desc, int64_t size[3], fc_error *error)
{
    fc_plan plan = {.level = fc_level_current()};
    const fc_status status = fc_conv_state(&plan, desc, error);
    size[0] = plan.od;
    size[1] = plan.oh;
    size[2] = plan.ow;
    return status;
}

fc_status fc_plan_create(const fc_conv_desc *desc, const char *algorithm, fc_level level,
                         int one_shot, fc_plan **plan, fc_error *error)
{
    fc_plan *p = fc_object_new(sizeof *p);
    if (!p)
        return fc_fail(error, FC_NO_MEMORY, "no memory for a plan");
    p->level = level;
    fc_status status = fc_conv_state(p, desc, error);
    if (!status)
        status = choose(p, algorithm, one_shot, error);
    if (!status && !(p->blocking = fc_object_new(p->algorithm->blocking_bytes)))
        status = fc_fail(error, FC_NO_MEMORY, "no memory for a plan");
    if (!status && (status = p->algorithm->prepare(p)))
        fc_fail(error, status, "no memory for a plan of %lld taps", (long long)p->taps);
    if (status) {
        fc_plan_destroy(p);
        return status;
    }
    *plan = p;
    return FC_OK;
}

void fc_plan_destroy(fc_plan *p)
{
    if (!p)
        return;
    fc_object_free(p->runs);
    fc_object_free(p->place);
    fc_object_free(p->blocking);
    fc_object_free(p);
}

void fc_plan_describe(const fc_plan *p, fc_plan_info *info)
{
    *info = (fc_plan_info){.algorithm = p->algorithm->name,
                           .level = p->kernels->name,
                           .od = p->od,
                           .oh = p->oh,
                           .ow = p->ow,
                           .flops = p->flops,
                           .packed_bytes = p->packed_bytes,
                           .scratch_bytes = p->scratch_bytes,
                           .threads = fc_threads_wanted(p->seconds),
                           .blocking = p->blocking_text,
                           .why = p->why,
                           .seconds = p->seconds,
                           .work = p->work};
}

/* Elements of the weight as it comes. */
static int64_t weight_elements(const fc_plan *p)
{
    const fc_conv_desc *d = &p->desc;
    if (!d->transposed)
        return d->k * p->taps;
    return d->k * d->cg * d->taps[0].size * d->taps[1].size * d->taps[2].size;
}

static fc_status pack(const fc_plan *p, const void *weight, void *packed, int threads,
                      fc_error *error)
{
    if (p->desc.dtype != FC_FLOAT16) {
        p->algorithm->pack(p, weight, packed, threads);
        return FC_OK;
    }
    const int64_t count = weight_elements(p);
    float *converted = fc_memory_take((size_t)count * sizeof *converted);
    if (!converted)
        return fc_fail(error, FC_NO_MEMORY, "no memory to convert a weight of %lld elements",
                       (long long)count);
    p->kernels->half_to_float(weight, converted, count);
    p->algorithm->pack(p, converted, packed, threads);
    fc_memory_give(converted);
    return FC_OK;
}

/* By one thread: a server that packs its weights and then forks must not have used OpenMP. */
fc_status fc_plan_pack(const fc_plan *p, const void *weight, void *packed, fc_error *error)
{
    return pack(p, weight, packed, 1, error);
}

/* Everything for a run but weights and memory. */
static struct fc_conv_io io_of(const fc_plan *p, const fc_array *input, const void *bias,
                               const fc_array *residual, const fc_array *output)
{
    const fc_conv_desc *d = &p->desc;
    static const fc_array none;
    /* Without data its strides may be anything; drivers multiply by them all the same. */
    struct fc_conv_io io = {.x = *input,
                            .y = *output,
                            .residual = residual->data ? *residual : none,
                            .bias = bias,
                            .scratch_bytes = p->scratch_bytes,
                            .threads = fc_threads_for(p->seconds)};
    fc_settle(&io.x, d->c, d->w, d->channels_last);
    fc_settle(&io.y, d->k, p->ow, d->channels_last);
    fc_settle(&io.residual, d->k, p->ow, d->channels_last);
    return io;
}

fc_status fc_plan_run(const fc_plan *p, const fc_array *input, const void *packed, const void *bias,
                      const fc_array *residual, const fc_array *output, fc_error *error)
{
    if (p->desc.n == 0)
        return FC_OK;
    struct fc_conv_io io = io_of(p, input, bias, residual, output);
    io.packed = packed;
    io.scratch = fc_workspace(io.scratch_bytes, io.threads, error);
    if (!io.scratch)
        return FC_NO_MEMORY;
    p->algorithm->run(p, &io);
    fc_scratch_give(io.scratch);
    return FC_OK;
}

fc_status fc_plan_run_once(const fc_plan *p, const fc_array *input, const void *weight,
                           const void *bias, const fc_array *residual, const fc_array *output,
                           fc_error *error)
{
    if (p->desc.n == 0)
        return FC_OK;
    struct fc_conv_io io = io_of(p, input, bias, residual, output);
    const size_t block = p->algorithm->block_bytes ? p->algorithm->block_bytes(p, io.threads) : 0;
    io.scratch_bytes += block;
    /* Weights that are packed at once lie behind the workspace, in memory that the thread keeps. */
    const size_t own = (size_t)io.threads * io.scratch_bytes;
    io.scratch = fc_workspace(own + (block ? 0 : p->packed_bytes), 1, error);
    if (!io.scratch)
        return FC_NO_MEMORY;
    fc_status status = FC_OK;
    if (block) {
        io.weight = weight;
    } else {
        const double seconds = (double)p->desc.k * (double)p->taps * p->algorithm->pack_seconds;
        io.packed = io.scratch + own;
        status = pack(p, weight, io.scratch + own, fc_threads_for(seconds), error);
    }
    if (!status)
        p->algorithm->run(p, &io);
    fc_scratch_give(io.scratch);
    return status;
}

uint64_t fc_plan_packing(const fc_plan *p)
{
    /* FNV-1a (Fowler, Noll, Vo) over all that decides the packed bytes. */
    const int64_t parts[] = {(int64_t)p->level,
                             (int64_t)p->element_bytes,
                             (int64_t)p->packed_bytes,
                             p->packed_channels,
                             p->desc.channels_last,
                             p->desc.transposed,
                             p->desc.depth.kernel,
                             p->desc.kh,
                             p->desc.kw};
    const unsigned char *bytes = (const unsigned char *)parts;
    const uint64_t prime = 0x100000001b3u;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < sizeof parts; i++)
        hash = (hash ^ bytes[i]) * prime;
    for (const char *c = p->algorithm->name; *c; c++)
        hash = (hash ^ (unsigned char)*c) * prime;
    bytes = (const unsigned char *)p->desc.taps;
    for (size_t i = 0; p->desc.transposed && i < sizeof p->desc.taps; i++)
        hash = (hash ^ bytes[i]) * prime;
    for (int64_t i = 0; p->place && i < p->taps; i++)
        hash = (hash ^ (uint64_t)p->place[i]) * prime;
    return hash;
}
