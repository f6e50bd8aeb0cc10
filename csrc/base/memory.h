/* Aligned memory: blocks that live long (packed weights) and scratch for one run. */
#ifndef FC_BASE_MEMORY_H
#define FC_BASE_MEMORY_H

#include <stddef.h>

enum { FC_ALIGNMENT = 64 };

static inline size_t fc_align(size_t bytes)
{
    return (bytes + FC_ALIGNMENT - 1) & ~(size_t)(FC_ALIGNMENT - 1);
}

/* Plain zeroed memory, for plans and their tables; freed with fc_object_free. */
void *fc_object_new(size_t bytes);
void fc_object_free(void *object);

/* Scratch for one run, 64-byte aligned, uninitialised, NULL when there is no memory.  The calling
 * thread keeps the largest block it has used, up to a bound, and frees it when the thread ends. */
void *fc_scratch_take(size_t bytes);
void fc_scratch_give(void *block);

#endif
