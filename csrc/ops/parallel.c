/* Threads of a call, by OpenMP (ops/parallel.h). */
#include "ops/parallel.h"

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(_MSC_VER)
#include <intrin.h>
#endif

static void clear(struct fc_loop *loop, int threads)
{
    for (int i = 0; i < threads && i < FC_SHARES; i++)
        loop->share[i].taken = 0;
}

/* A lone thread does without OpenMP, which allocates and wakes up nobody even so: 0.6 us of each
 * call on Zen 5, a quarter of LeNet-5. */
void fc_together(int threads, fc_member_fn *work, const void *job)
{
    struct fc_team team;
    team.threads = 1;
    (void)threads; /* a serial build has no use for it */
#if defined(_OPENMP)
    if (threads > 1) {
        team.threads = threads;
        clear(&team.loops[0], threads);
#pragma omp parallel num_threads(threads)
        {
            struct fc_member me = {&team, omp_get_thread_num(), 0};
            work(job, &me);
        }
        return;
    }
#endif
    struct fc_member me = {&team, 0, 0};
    work(job, &me);
}

void fc_meet(const struct fc_member *me)
{
    if (me->team->threads > 1) {
#if defined(_OPENMP)
#pragma omp barrier
#endif
    }
}

struct fc_items fc_begin(struct fc_member *me, int64_t count, int64_t claim)
{
    const int threads = me->team->threads;
    if (threads == 1)
        return (struct fc_items){.end = count};
    struct fc_loop *const loops = me->team->loops;
    const int64_t now = me->begun++ % 2;
    /* All have left the loop before this one, whose place the next one takes. */
    if (me->thread == 0)
        clear(&loops[!now], threads);
    const int shares = threads < FC_SHARES ? threads : FC_SHARES;
    return (struct fc_items){.loop = &loops[now],
                             .count = count,
                             .claim = claim,
                             .thread = me->thread,
                             .shares = shares,
                             .share = me->thread % shares,
                             .left = shares};
}

static int64_t take(int64_t *taken, int64_t count)
{
#if defined(_MSC_VER)
    return _InterlockedExchangeAdd64(taken, count);
#else
    return __atomic_fetch_add(taken, count, __ATOMIC_RELAXED);
#endif
}

int fc_items_claim(struct fc_items *items)
{
    for (; items->left > 0; items->left--) {
        const int64_t first = items->count * items->share / items->shares;
        const int64_t last = items->count * (items->share + 1) / items->shares;
        const int64_t next = first + take(&items->loop->share[items->share].taken, items->claim);
        if (next < last) {
            items->next = next;
            items->end = next + items->claim < last ? next + items->claim : last;
            return 1;
        }
        items->share = (items->share + 1) % items->shares;
    }
    return 0;
}

struct sharing {
    fc_share_fn *work;
    const void *job;
    int64_t count, claim;
};

static void take_part(const void *arg, struct fc_member *me)
{
    const struct sharing *const s = arg;
    struct fc_items items = fc_begin(me, s->count, s->claim);
    s->work(s->job, &items);
}

void fc_share(int threads, int64_t count, int64_t claim, fc_share_fn *work, const void *job)
{
    const struct sharing s = {work, job, count, claim};
    fc_together(threads, take_part, &s);
}
