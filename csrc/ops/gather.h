/* Planes whose every element is one of a source plane's or a constant: what padding writes, and
 * what the columns of a convolution hold.  The source that an axis takes is a few stretches. */
#ifndef FC_OPS_GATHER_H
#define FC_OPS_GATHER_H

#include <stddef.h>
#include <stdint.h>

struct fc_kernels;

/* Outputs begin <= o < end take the source's `from + (o - begin) * step`, or the constant. */
struct fc_stretch {
    int64_t begin, end, from, step;
    int constant;
};
/* One after the other they cover an axis; they may be empty. */
struct fc_stretches {
    struct fc_stretch of[3];
};

/* Steps are in bytes. */
struct fc_gather_plane {
    const char *x; /* the source's first element; NULL: the constant throughout */
    int64_t x_row, x_col;
    struct fc_stretches rows, cols;
    char *y; /* rows are contiguous */
};

struct fc_gather {
    const struct fc_kernels *kernels;
    size_t element_bytes;  /* 1, 2, 4 or 8 */
    const void *value;     /* the constant, an element */
    int64_t planes;        /* to write */
    int64_t rows, cols;    /* of each */
    int64_t y_row;         /* bytes from row to row */
    int contiguous;        /* the planes written follow one another without gaps */
    const void *operation; /* what `plane` knows */
    /* Tells of plane `index`. */
    void (*plane)(const void *operation, int64_t index, struct fc_gather_plane *plane);
};

/* On one thread. */
double fc_gather_seconds(const struct fc_gather *gather);
/* Bytes of scratch for one thread, a multiple of 64. */
size_t fc_gather_scratch(const struct fc_gather *gather);
/* scratch: threads * fc_gather_scratch. */
void fc_gather_run(const struct fc_gather *gather, char *scratch, int threads);

#endif
