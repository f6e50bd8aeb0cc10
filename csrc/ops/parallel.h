/* All that the drivers know of threads: a call's work on several of them, and loops that they
 * share.  OpenMP stands behind it, or nothing at all in a serial build. */
#ifndef FC_OPS_PARALLEL_H
#define FC_OPS_PARALLEL_H

#include <stdint.h>

/* More threads than these begin where others do. */
enum { FC_SHARES = 16 };

/* What is taken of a loop whose items the threads of a call share.  Each has a part of its own, the
 * same ones each time that there are as many items: what it wrote in one layer it reads in the
 * next, which counts where the caches of cores lie far apart (networks on two far cores of Zen 5:
 * 1.05 times as fast).  Who has done with his own part helps with the others'. */
struct fc_loop {
    struct {
        int64_t taken, apart[7]; /* no two of them in a cache line */
    } share[FC_SHARES];
};

/* One thread's way through a loop. */
struct fc_items {
    struct fc_loop *loop;
    int64_t count, claim; /* items in all, and how many of them are claimed at once */
    int64_t next, end;    /* of those that are claimed */
    int thread, shares, share, left;
};

/* Claims more items; 0: there are none. */
int fc_items_claim(struct fc_items *items);

/* The next item for this thread, or -1. */
static inline int64_t fc_next(struct fc_items *items)
{
    if (items->next >= items->end && !fc_items_claim(items))
        return -1;
    return items->next++;
}

/* Items to claim at once, of `items` that take `seconds` together on one thread: 10 us of work, to
 * which claiming (some 50 ns) and the other thread's cache lines are nothing, and no more than a
 * quarter of a thread's share, so that one that is held up does not hold up the call. */
static inline int64_t fc_claim(double seconds, int64_t items, int threads)
{
    const double item_seconds = seconds / (double)items;
    const int64_t useful = item_seconds > 10e-6 ? 1 : (int64_t)(10e-6 / item_seconds);
    const int64_t most = items / (4 * threads);
    return useful < 1 || most < 1 ? 1 : useful < most ? useful : most;
}

/* What a thread does with its share of a loop; items->thread counts from 0. */
typedef void fc_share_fn(const void *job, struct fc_items *items);

/* Returns once no item is left; at most so many threads, the caller's among them, run `work`. */
void fc_share(int threads, int64_t count, int64_t claim, fc_share_fn *work, const void *job);

/* The threads of a call whose work has several loops, one after the other. */
struct fc_team {
    int threads;
    struct fc_loop loops[2]; /* this one and the next one */
};

/* One of them, which knows how many loops it has begun. */
struct fc_member {
    struct fc_team *team;
    int thread;
    int64_t begun;
};

/* Each member begins the same loops, and calls fc_meet between one and the next. */
typedef void fc_member_fn(const void *job, struct fc_member *me);
void fc_together(int threads, fc_member_fn *work, const void *job);
struct fc_items fc_begin(struct fc_member *me, int64_t count, int64_t claim);

/* Waits until all members have come here. */
void fc_meet(const struct fc_member *me);

#endif
