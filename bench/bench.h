/* bench.h - the frame of the benchmarks, for C and C++. A benchmark is a function that does its
   work once, checks the result and returns what it measured; bench_run calls it for a warm-up and
   then at least seven times, and prints one CSV line:

       workload,variant,unit,min,median,p99,cpu,rss,disturbed

   p99 is empty but for latencies (bench_latency); cpu is the number of cores that this process
   used, rss its peak memory in KiB, disturbed the share of the machine that other processes took
   meanwhile; cpu and disturbed are empty for a figure that was taken once (bench_value). In the
   environment: BENCH_REPEATS, and BENCH_SCALE, which divides the amounts of work that are wrapped
   in bench_amount. Arguments: the workloads to run, in small letters. */
#ifndef BENCH_H
#define BENCH_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BENCH_UNUSED __attribute__((unused))
#define BENCH_CHECK(condition) bench_check((condition), #condition, __FILE__, __LINE__)

/* One repeat. Returns the measured quantity in the unit that bench_run was told. */
typedef double (*bench_fn)(void *context);

enum { BENCH_MIN_REPEATS = 7 };

/* ---- clocks and counters ---- */

static inline double bench_seconds_of(struct timeval t) {
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

/* Nanoseconds of a clock that never goes back. */
static inline double bench_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Seconds of CPU time that this process and the children it has waited for spent. */
static inline double bench_own_cpu(void) {
    struct rusage self, children;
    getrusage(RUSAGE_SELF, &self), getrusage(RUSAGE_CHILDREN, &children);
    return bench_seconds_of(self.ru_utime) + bench_seconds_of(self.ru_stime) +
           bench_seconds_of(children.ru_utime) + bench_seconds_of(children.ru_stime);
}

/* Seconds of CPU time that the whole machine spent, and that the hypervisor took away. */
static inline double bench_all_cpu(void) {
    unsigned long long user = 0, nice = 0, kernel = 0, idle, iowait, irq = 0, soft = 0, steal = 0;
    FILE *file = fopen("/proc/stat", "r");
    if (!file) return 0;
    int n = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &kernel,
                   &idle, &iowait, &irq, &soft, &steal);
    fclose(file);
    if (n < 8) return 0;
    return (double)(user + nice + kernel + irq + soft + steal) / (double)sysconf(_SC_CLK_TCK);
}

static BENCH_UNUSED long bench_peak_kib(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* Bytes of memory in use now, without the pages of files: those of the program and of libc come in
   as code is run for the first time. Exact, unlike statm, whose counters lag behind. */
static BENCH_UNUSED double bench_memory(void) {
    char line[128];
    long kib = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    if (!file) return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Anonymous: %ld", &kib) == 1) break;
    fclose(file);
    return (double)kib * 1024;
}

static inline long bench_cores(void) { return sysconf(_SC_NPROCESSORS_ONLN); }

/* ---- what to run ---- */

static int bench_argc;
static char **bench_argv;

static inline void bench_begin(int argc, char **argv) {
    bench_argc = argc, bench_argv = argv;
    setvbuf(stdout, NULL, _IOLBF, 0);
}

/* Was this workload asked for? Without arguments all are. */
static BENCH_UNUSED int bench_wants(const char *workload) {
    for (int i = 1; i < bench_argc; i++)
        if (!strcasecmp(bench_argv[i], workload)) return 1;
    return bench_argc < 2;
}

static inline long bench_setting(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text && atol(text) > 0 ? atol(text) : otherwise;
}

/* So many, or fewer in a quick run. */
static BENCH_UNUSED long bench_amount(long n) {
    long scaled = n / bench_setting("BENCH_SCALE", 1);
    return scaled > 1 ? scaled : 1;
}

/* The side of a square with so many cells, or with fewer in a quick run. */
static BENCH_UNUSED long bench_side(long n) {
    long side = 1;
    while ((side + 1) * (side + 1) <= bench_amount(n)) side++;
    return side;
}

static inline long bench_repeats(void) {
    long n = bench_setting("BENCH_REPEATS", BENCH_MIN_REPEATS);
    return n < BENCH_MIN_REPEATS ? (long)BENCH_MIN_REPEATS : n;
}

static BENCH_UNUSED void bench_check(int holds, const char *text, const char *file, int line) {
    if (holds) return;
    fprintf(stderr, "%s:%d: wrong result: %s\n", file, line, text);
    exit(1);
}

/* ---- measuring ---- */

typedef struct bench_meter {
    double wall, own, all;
} bench_meter;

static inline bench_meter bench_meter_start(void) {
    bench_meter m;
    m.all = bench_all_cpu(), m.own = bench_own_cpu(), m.wall = bench_now() * 1e-9;
    return m;
}

static inline int bench_compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which the given part of n sorted values lies. */
static inline double bench_quantile(const double *sorted, long n, double part) {
    double at = part * (double)(n - 1);
    long low = (long)at;
    return low + 1 < n ? sorted[low] + (at - (double)low) * (sorted[low + 1] - sorted[low])
                       : sorted[low];
}

/* Prints one line. Sorts the values. tail: the p99, or negative for none. */
static inline void bench_line(const char *workload, const char *variant, const char *unit,
                              double *values, long n, double tail, bench_meter start) {
    bench_meter end = bench_meter_start();
    double wall = end.wall - start.wall, own = end.own - start.own;
    double others = (end.all - start.all - own) / (wall * (double)bench_cores());
    qsort(values, (size_t)n, sizeof *values, bench_compare);
    printf("%s,%s,%s,%.6g,%.6g,", workload, variant, unit, values[0],
           bench_quantile(values, n, 0.5));
    if (tail >= 0) printf("%.6g", tail);
    printf(",%.2f,%ld,%.2f\n", own / wall, bench_peak_kib(), others > 0 ? others : 0);
}

/* A figure per repeat: throughput, cost per operation, memory. */
static BENCH_UNUSED void bench_run(const char *workload, const char *variant, const char *unit,
                                   bench_fn once, void *context) {
    long n = bench_repeats();
    double *values = (double *)malloc((size_t)n * sizeof *values);
    BENCH_CHECK(values != NULL);
    once(context);
    bench_meter start = bench_meter_start();
    for (long i = 0; i < n; i++) values[i] = once(context);
    bench_line(workload, variant, unit, values, n, -1, start);
    free(values);
}

/* A figure that was taken once. */
static BENCH_UNUSED void bench_value(const char *workload, const char *variant, const char *unit,
                                     double value) {
    printf("%s,%s,%s,%.6g,%.6g,,,%ld,\n", workload, variant, unit, value, value, bench_peak_kib());
}

/* A latency: once is called `samples` times per repeat and returns nanoseconds each time. The
   minimum and median are those of the repeats' medians; p99 is that of all samples. */
static BENCH_UNUSED void bench_latency(const char *workload, const char *variant, long samples,
                                       bench_fn once, void *context) {
    long n = bench_repeats();
    double *medians = (double *)malloc((size_t)n * sizeof *medians);
    double *all = (double *)malloc((size_t)(n * samples) * sizeof *all);
    BENCH_CHECK(medians && all);
    for (long i = 0; i < samples / 4 + 1; i++) once(context);
    bench_meter start = bench_meter_start();
    for (long i = 0; i < n; i++) {
        double *part = all + i * samples;
        for (long k = 0; k < samples; k++) part[k] = once(context);
        qsort(part, (size_t)samples, sizeof *part, bench_compare);
        medians[i] = bench_quantile(part, samples, 0.5);
    }
    qsort(all, (size_t)(n * samples), sizeof *all, bench_compare);
    bench_line(workload, variant, "ns", medians, n, bench_quantile(all, n * samples, 0.99), start);
    free(medians), free(all);
}

/* ---- a body of a known length ---- */

/* Computes for a time proportional to the iterations; the result depends on all of them. */
static inline uint64_t bench_spin(long iterations) {
    uint64_t x = (uint64_t)iterations;
    for (long i = 0; i < iterations; i++) x = x * 6364136223846793005u + 1442695040888963407u;
    return x;
}

/* How many iterations take a microsecond: the fastest of many short runs. */
static BENCH_UNUSED double bench_spins_per_us(void) {
    enum { LENGTH = 200000 };
    double best = 1e18;
    volatile uint64_t keep = 0;
    for (int i = 0; i < 50; i++) {
        double start = bench_now();
        keep ^= bench_spin(LENGTH);
        double time = bench_now() - start;
        if (time < best) best = time;
    }
    (void)keep;
    return LENGTH / best * 1e3;
}

/* Nanoseconds that n bodies take at best on all cores, as a tenth of them shows that runs on one
   core right now: the clock of a core may change from one second to the next. */
static BENCH_UNUSED double bench_ideal(long iterations, long n) {
    long some = n / 10 > 0 ? n / 10 : 1;
    volatile uint64_t keep = 0;
    double start = bench_now();
    for (long i = 0; i < some; i++) keep ^= bench_spin(iterations);
    (void)keep;
    return (bench_now() - start) / (double)some * (double)n / (double)bench_cores();
}
#endif
