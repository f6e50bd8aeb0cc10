/* Padding: the mode decides which source each output of an axis takes, and nothing else. */
#include "base/checked.h"
#include "ops/pad.h"

/* What an axis of `size` elements, `begin` more before it and `end` after, takes from where.  With
 * negative ones it is shorter; all but the circular mode still know what was cut away. */
static struct fc_stretches stretches_of(fc_pad_mode mode, int64_t size, int64_t begin, int64_t end)
{
    /* Coordinates are those of the source: the output starts at -begin. */
    const int64_t first = -begin, past = size + end;
    const int64_t low = fc_min(past, 0), high = fc_max(first, size);
    const int64_t core0 = fc_max(first, 0), core1 = fc_min(past, size);
    struct fc_stretches s = {{{.begin = 0, .end = fc_max(0, low - first)},
                              {.begin = core0 - first, .end = core1 - first},
                              {.begin = high - first, .end = past - first}}};
    struct fc_stretch *before = &s.of[0], *core = &s.of[1], *after = &s.of[2];
    core->from = core0;
    core->step = 1;
    switch (mode) {
    case FC_PAD_CONSTANT:
        before->constant = after->constant = 1;
        break;
    case FC_PAD_REFLECT:
        before->from = begin;
        after->from = 2 * (size - 1) - high;
        before->step = after->step = -1;
        break;
    case FC_PAD_REPLICATE:
        after->from = size - 1;
        break;
    case FC_PAD_CIRCULAR:
        before->from = core1 - begin;
        after->from = core0;
        before->step = after->step = 1;
        break;
    }
    return s;
}

static int is_padded(const struct fc_pad_axis *a)
{
    return a->begin || a->end;
}

/* Neighbouring axes without padding are one where the arrays allow it, so that rows are long. */
static int take_axes(struct fc_padding *p, const fc_pad_desc *d, const int64_t *out,
                     const int64_t *x_strides, const int64_t *y_strides)
{
    struct fc_pad_axis reversed[FC_PAD_AXES + 1] = {{.size = 1, .out = 1, .x = 1, .y = 1}};
    int count = 0;
    for (int i = d->rank - 1; i >= 0; i--) {
        const struct fc_pad_axis a = {d->size[i], out[i],       d->begin[i],
                                      d->end[i],  x_strides[i], y_strides[i]};
        struct fc_pad_axis *inner = &reversed[count - (count > 0)];
        if (count && a.size == 1 && !is_padded(&a))
            continue;
        if (count && !is_padded(&a) && !is_padded(inner) && a.x == inner->size * inner->x &&
            a.y == inner->size * inner->y) {
            inner->size *= a.size;
            inner->out *= a.out;
            continue;
        }
        reversed[count++] = a;
        if (count == 1) /* NumPy leaves the stride of an axis of length 1 open */
            reversed[0].x = reversed[0].y = 1;
    }
    count = count ? count : 1;
    if (count == 1)
        reversed[count++] = (struct fc_pad_axis){.size = 1, .out = 1};
    for (int i = 0; i < count; i++)
        p->axes[i] = reversed[count - 1 - i];
    return count;
}

static void plane_of(const void *operation, int64_t index, struct fc_gather_plane *plane)
{
    const struct fc_padding *p = operation;
    const struct fc_pad_axis *rows = &p->axes[p->outer];
    int64_t x = 0, y = 0;
    int constant = 0;
    for (int i = p->outer - 1; i >= 0; i--) {
        const int64_t o = index % p->axes[i].out;
        index /= p->axes[i].out;
        const struct fc_stretch *s = p->stretches[i].of;
        while (o >= s->end)
            s++;
        constant |= s->constant;
        x += (s->from + (o - s->begin) * s->step) * p->axes[i].x;
        y += o * p->axes[i].y;
    }
    plane->x = constant ? NULL : p->x + x * p->element;
    plane->x_row = rows->x * p->element;
    plane->x_col = p->element;
    plane->rows = p->stretches[p->outer];
    plane->cols = p->stretches[p->outer + 1];
    plane->y = p->y + y * p->element;
}

static int is_contiguous(const struct fc_padding *p)
{
    int64_t count = 1;
    for (int i = p->outer + 1; i >= 0; i--) {
        if (p->axes[i].out > 1 && p->axes[i].y != count)
            return 0;
        count *= p->axes[i].out;
    }
    return 1;
}

void fc_pad_prepare(const fc_pad_desc *d, const int64_t *out, const void *x,
                    const int64_t *x_strides, const void *value, void *y, const int64_t *y_strides,
                    struct fc_padding *p, struct fc_gather *g)
{
    const int count = take_axes(p, d, out, x_strides, y_strides);
    p->x = x;
    p->y = y;
    p->element = (int64_t)d->element_bytes;
    p->outer = count - 2;
    const struct fc_pad_axis *rows = &p->axes[p->outer], *cols = rows + 1;
    *g = (struct fc_gather){.element_bytes = d->element_bytes,
                            .value = value,
                            .planes = 1,
                            .rows = rows->out,
                            .cols = cols->out,
                            .y_row = rows->y * p->element,
                            .contiguous = is_contiguous(p),
                            .operation = p,
                            .plane = plane_of};
    for (int i = 0; i < count; i++) {
        const struct fc_pad_axis *a = &p->axes[i];
        p->stretches[i] = stretches_of(d->mode, a->size, a->begin, a->end);
        if (i < p->outer)
            g->planes *= a->out;
    }
}
