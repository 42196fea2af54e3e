/* scaling: throughput by the number of workers, and the share of the ideal by the length of a
   task; from that curve the length at which 50, 90 and 99 % are reached. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "bench.h"

enum { MOST = 100000, LENGTHS = 10, BODY_MS = 20 };

REMOTE_FN(uint64_t, spin, long, iterations) { return bench_spin(iterations); }

typedef struct work {
    long nanoseconds, iterations, n;
    rr_ref *refs;
    double best; /* percent, over the repeats */
} work;

static double seconds(const work *w) {
    uint64_t expected = bench_spin(w->iterations);
    double start = bench_now();
    for (long i = 0; i < w->n; i++) w->refs[i] = rr_call(spin, w->iterations);
    for (long i = 0; i < w->n; i++) {
        BENCH_CHECK(rr_unwrap(uint64_t, w->refs[i]) == expected);
        rr_release(w->refs[i]);
    }
    return (bench_now() - start) * 1e-9;
}

static double efficiency(void *context) {
    work *w = context;
    double ideal = 1e-9 * bench_ideal(w->iterations, w->n);
    double percent = 100 * ideal / seconds(w);
    if (percent > w->best) w->best = percent;
    return percent;
}

static double millions(void *context) {
    work *w = context;
    return (double)w->n * 1e-6 / seconds(w);
}

static void set_length(work *w, long nanoseconds, double per_us) {
    w->nanoseconds = nanoseconds;
    w->iterations = (long)((double)nanoseconds * per_us / 1e3);
    w->n = BODY_MS * 1000000L * bench_cores() / nanoseconds;
    if (w->n > MOST) w->n = MOST;
    w->best = 0;
}

/* Where the curve of the best shares crosses a level, between two measured lengths. */
static void crossing(const long *lengths, const double *percent, double level) {
    char variant[32];
    snprintf(variant, sizeof variant, "length-for-%.0f%%", level);
    for (int i = 1; i < LENGTHS; i++) {
        if (percent[i] < level || percent[i - 1] >= level) continue;
        double part = (level - percent[i - 1]) / (percent[i] - percent[i - 1]);
        double length = (double)lengths[i - 1] + part * (double)(lengths[i] - lengths[i - 1]);
        bench_value("scaling", variant, "ns", length);
        return;
    }
}

int main(int argc, char **argv) {
    static const long lengths[LENGTHS] = {50,   100,  200,   500,   1000,
                                          2000, 5000, 10000, 30000, 100000};
    double per_us = bench_spins_per_us(), percent[LENGTHS];
    work w = {0};
    bench_begin(argc, argv);
    if (!(w.refs = malloc(MOST * sizeof *w.refs))) return 1;
    for (int workers = 1; workers <= 4; workers *= 2) {
        rr_config config = {.workers = workers};
        char variant[32];
        snprintf(variant, sizeof variant, "%d-workers-1us", workers);
        if (rr_init(&config) != RR_OK) return 1;
        set_length(&w, 1000, per_us);
        bench_run("scaling", variant, "M/s", millions, &w);
        if (rr_shutdown() != RR_OK) return 1;
    }
    if (rr_init(NULL) != RR_OK) return 1;
    for (int i = 0; i < LENGTHS; i++) {
        char variant[32];
        snprintf(variant, sizeof variant, "length-%ld", lengths[i]);
        set_length(&w, lengths[i], per_us);
        bench_run("scaling", variant, "%", efficiency, &w);
        percent[i] = w.best;
    }
    crossing(lengths, percent, 50), crossing(lengths, percent, 90), crossing(lengths, percent, 99);
    free(w.refs);
    return rr_shutdown() != RR_OK;
}
