/* The one place that decides how many threads a call uses. */
#ifndef FC_BASE_THREADS_H
#define FC_BASE_THREADS_H

/* The same as fc_threads_for, for those who only ask. */
int fc_threads_wanted(double seconds);

/* Threads for a call of about `seconds` of work on one of them: 1 when it is not worth more, or
 * when a forked child inherited an OpenMP runtime that had already run.
 * The caller is about to open a parallel region of so many. */
int fc_threads_for(double seconds);

#endif
