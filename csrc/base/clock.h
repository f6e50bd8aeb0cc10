/* Time, for measuring; no result depends on it. */
#ifndef FC_BASE_CLOCK_H
#define FC_BASE_CLOCK_H

/* Seconds since some moment. */
double fc_seconds(void);

#endif
