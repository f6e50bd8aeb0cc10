/* Sizes and messages: the one place for output sizes, and the checks that every operator shares. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "plan/planning.h"

/* No axis, padded, may be longer: sums and products of a few of them with small factors stay within
 * 64 bits. */
static const int64_t SIZE_MAX_AXIS = (int64_t)1 << 58;

fc_status fc_fail(fc_error *error, fc_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error->status = status;
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return status;
}

fc_status fc_check_least(const char *name, int64_t value, int64_t least, fc_error *error)
{
    if (value >= least)
        return FC_OK;
    return fc_fail(error, FC_INVALID, "%s must be at least %lld, got %lld", name, (long long)least,
                   (long long)value);
}

size_t fc_dtype_bytes(fc_dtype dtype)
{
    static const unsigned char bytes[FC_DTYPE_COUNT] = {
        [FC_FLOAT16] = 2, [FC_FLOAT32] = 4, [FC_FLOAT64] = 8, [FC_INT8] = 1,
        [FC_INT16] = 2,   [FC_INT32] = 4,   [FC_INT64] = 8,   [FC_UINT8] = 1,
        [FC_UINT16] = 2,  [FC_UINT32] = 4,  [FC_UINT64] = 8};
    return bytes[dtype];
}

void fc_settle(fc_array *a, int64_t c, int64_t w, int channels_last)
{
    if (channels_last && c == 1)
        a->c = 1;
    if (!channels_last && w == 1)
        a->w = 1;
}

fc_status fc_check_bytes(const char *what, const int64_t sizes[5], size_t element_bytes,
                         fc_error *error)
{
    int64_t bytes = (int64_t)element_bytes;
    int overflows = 0;
    char shape[120] = "";
    for (int i = 0; i < 5; i++) {
        /* An empty batch counts as one image: the sizes of one are computed with all the same. */
        overflows |= fc_mul_overflows(bytes, fc_max(sizes[i], 1), &bytes);
        const size_t used = strlen(shape);
        if (i != 2 || sizes[2] != 1) /* images have no depth */
            snprintf(shape + used, sizeof shape - used, "%s%lld", used ? " x " : "",
                     (long long)sizes[i]);
    }
    if (!overflows)
        return FC_OK;
    return fc_fail(error, FC_NO_MEMORY, "%s of %s is larger than any memory", what, shape);
}

char *fc_workspace(size_t thread_bytes, int threads, fc_error *error)
{
    const size_t bytes = (size_t)threads * thread_bytes;
    char *scratch = fc_scratch_take(bytes);
    if (!scratch)
        fc_fail(error, FC_NO_MEMORY, "no memory for a workspace of %lld bytes", (long long)bytes);
    return scratch;
}

/* Whether the source has what the padding on each side wants of it. */
static fc_status check_source(fc_pad_mode mode, int axis, int64_t size, int64_t begin, int64_t end,
                              fc_error *error)
{
    const int64_t kept = size + fc_min(begin, 0) + fc_min(end, 0);
    const int64_t reach = fc_max(begin, end);
    const char *rule = NULL;
    if (mode == FC_PAD_CONSTANT && kept < 0)
        rule = "cuts away more than there is";
    else if (mode == FC_PAD_REFLECT && reach >= size)
        rule = "must be less than its size in mode reflect";
    else if (mode == FC_PAD_REPLICATE && size == 0)
        rule = "needs an element to replicate";
    else if (mode == FC_PAD_CIRCULAR && fc_max(reach, 0) > kept)
        rule = begin < 0 || end < 0 ? "must not be more than what is left in mode circular"
                                    : "must not be more than its size in mode circular";
    if (rule)
        return fc_fail(error, FC_INVALID,
                       "padding (%lld, %lld) of axis %d, which has size %lld, %s", (long long)begin,
                       (long long)end, axis, (long long)size, rule);
    return FC_OK;
}

fc_status fc_pad_size(const fc_pad_desc *d, int64_t *out, fc_error *error)
{
    int64_t bytes = (int64_t)d->element_bytes;
    int empty = 0;
    for (int i = 0; i < d->rank; i++) {
        const int64_t size = d->size[i], begin = d->begin[i], end = d->end[i];
        if (size > SIZE_MAX_AXIS || begin > SIZE_MAX_AXIS || end > SIZE_MAX_AXIS ||
            begin < -SIZE_MAX_AXIS || end < -SIZE_MAX_AXIS || size + begin + end > SIZE_MAX_AXIS)
            return fc_fail(error, FC_INVALID, "padding (%lld, %lld) of axis %d is too large",
                           (long long)begin, (long long)end, i);
        /* An axis that is left alone may be anything. */
        fc_status status = begin || end ? check_source(d->mode, i, size, begin, end, error) : FC_OK;
        if (status)
            return status;
        if ((out[i] = size + begin + end) < 0)
            return fc_fail(error, FC_INVALID,
                           "padding (%lld, %lld) of axis %d, which has size %lld, leaves %lld",
                           (long long)begin, (long long)end, i, (long long)size, (long long)out[i]);
        empty |= out[i] == 0;
    }
    for (int i = 0; i < d->rank && !empty; i++)
        if (fc_mul_overflows(bytes, out[i], &bytes))
            return fc_fail(error, FC_NO_MEMORY,
                           "the padded array is larger than any memory: axis %d has size %lld", i,
                           (long long)out[i]);
    return FC_OK;
}

fc_status fc_out_size(const char *axis, int64_t size, int64_t pad_begin, int64_t pad_end,
                      int64_t kernel, int64_t stride, int64_t dilation, int ceil_mode, int64_t *out,
                      int64_t *remainder, fc_error *error)
{
    fc_status status;
    char name[48];
    const struct {
        const char *name;
        int64_t value, least;
    } checks[] = {{"kernel size", kernel, 1}, {"stride", stride, 1},   {"dilation", dilation, 1},
                  {"padding", pad_begin, 0},  {"padding", pad_end, 0}, {"input size", size, 1}};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        snprintf(name, sizeof name, "%s along the %.20s", checks[i].name, axis);
        if ((status = fc_check_least(name, checks[i].value, checks[i].least, error)))
            return status;
    }
    int64_t padded, span;
    if (fc_mul_overflows(kernel - 1, dilation, &span) || fc_add_overflows(span, 1, &span) ||
        span > SIZE_MAX_AXIS)
        return fc_fail(error, FC_INVALID,
                       "kernel of %lld with dilation %lld along the %s is too large",
                       (long long)kernel, (long long)dilation, axis);
    if (size > SIZE_MAX_AXIS)
        return fc_fail(error, FC_INVALID, "input of %lld along the %s is too large",
                       (long long)size, axis);
    if (pad_begin > SIZE_MAX_AXIS || pad_end > SIZE_MAX_AXIS ||
        (padded = size + pad_begin + pad_end) > SIZE_MAX_AXIS)
        return fc_fail(error, FC_INVALID,
                       "padding %lld and %lld along the %s makes an input of %lld too large",
                       (long long)pad_begin, (long long)pad_end, axis, (long long)size);
    /* With ceil_mode a window may hang over the end by less than a stride. */
    if (span > padded && (!ceil_mode || span - padded >= stride))
        return fc_fail(
            error, FC_INVALID,
            "kernel of %lld with dilation %lld along the %s does not fit the input of %lld "
            "with padding %lld and %lld",
            (long long)kernel, (long long)dilation, axis, (long long)size, (long long)pad_begin,
            (long long)pad_end);
    *out = span > padded ? 0 : (padded - span) / stride + 1;
    *remainder = span > padded ? padded : (padded - span) % stride;
    /* One more window for what is left over, unless it would start in the padding at the end. */
    if (ceil_mode && *remainder) {
        int64_t start;
        if (!fc_mul_overflows(*out, stride, &start) && start < size + pad_begin)
            ++*out;
    }
    return FC_OK;
}
