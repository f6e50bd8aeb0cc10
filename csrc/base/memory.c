/* Aligned memory and each thread's scratch block (base/memory.h). */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>

#include "fastconv.h"

#if defined(_WIN32)
#include <malloc.h>
#else
#include <pthread.h>
#endif

#if defined(FC_TEST_HOOKS)
static int64_t allocations_left = -1;
void fc_memory_fail(int64_t n)
{
    allocations_left = n;
}
static int allocation_fails(void)
{
    if (allocations_left < 0)
        return 0;
    return allocations_left-- == 0;
}
#else
static int allocation_fails(void)
{
    return 0;
}
#endif

void *fc_memory_take(size_t bytes)
{
    if (allocation_fails() || bytes > PTRDIFF_MAX - FC_ALIGNMENT)
        return NULL;
    bytes = fc_align(bytes ? bytes : 1);
#if defined(_WIN32)
    return _aligned_malloc(bytes, FC_ALIGNMENT);
#else
    return aligned_alloc(FC_ALIGNMENT, bytes);
#endif
}

void fc_memory_give(void *block)
{
#if defined(_WIN32)
    _aligned_free(block);
#else
    free(block);
#endif
}

void *fc_object_new(size_t bytes)
{
    return allocation_fails() ? NULL : calloc(1, bytes);
}
void fc_object_free(void *object)
{
    free(object);
}

#if defined(_WIN32)

void *fc_scratch_take(size_t bytes)
{
    return fc_memory_take(bytes);
}
void fc_scratch_give(void *block)
{
    fc_memory_give(block);
}

#else

/* 64 MB: two threads at the 10 MB that a plan may ask of each, three times over. */
static const size_t KEPT_BYTES_MAX = (size_t)64 << 20;

struct kept {
    void *block;
    size_t bytes;
    int taken; /* a run within a run gets a block of its own */
};

static pthread_key_t kept_key;
static pthread_once_t kept_once = PTHREAD_ONCE_INIT;
static int kept_available;

#if defined(FC_TEST_HOOKS)
/* An access past what this run asked for must not end in a larger block that is still there. */
static int kept_fits(const struct kept *kept, size_t bytes)
{
    return kept->bytes == bytes;
}
#else
static int kept_fits(const struct kept *kept, size_t bytes)
{
    return kept->bytes >= bytes;
}
#endif

static void kept_free(void *value)
{
    struct kept *kept = value;
    fc_memory_give(kept->block);
    fc_object_free(kept);
}

static void kept_init(void)
{
    kept_available = pthread_key_create(&kept_key, kept_free) == 0;
}

static struct kept *kept_of_thread(void)
{
    pthread_once(&kept_once, kept_init);
    if (!kept_available)
        return NULL;
    struct kept *kept = pthread_getspecific(kept_key);
    if (!kept) {
        kept = fc_object_new(sizeof *kept);
        if (kept && pthread_setspecific(kept_key, kept) != 0) {
            fc_object_free(kept);
            kept = NULL;
        }
    }
    return kept;
}

void *fc_scratch_take(size_t bytes)
{
    struct kept *kept = bytes <= KEPT_BYTES_MAX ? kept_of_thread() : NULL;
    if (!kept || kept->taken)
        return fc_memory_take(bytes);
    if (!kept_fits(kept, bytes) || !kept->block) {
        fc_memory_give(kept->block);
        kept->block = fc_memory_take(bytes);
        kept->bytes = kept->block ? bytes : 0;
    }
    kept->taken = kept->block != NULL;
    return kept->block;
}

void fc_scratch_give(void *block)
{
    pthread_once(&kept_once, kept_init);
    struct kept *kept = kept_available ? pthread_getspecific(kept_key) : NULL;
    if (kept && kept->block == block)
        kept->taken = 0;
    else
        fc_memory_give(block);
}

#endif
