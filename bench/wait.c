/* wait: rr_wait over 10,000 references, one at a time; 10,000 arguments of one task; a layered
   graph of 20 x 500 tasks, each with all results of the layer before; 1,000,000 queued tasks. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "bench.h"

enum { MANY = 10000, LAYERS = 20, WIDTH = 500, QUEUED = 1000000 };

REMOTE_FN(long, echo, long, x) { return x; }
REMOTE_FN(long, total, rr_many, parts) {
    long sum = 0;
    for (size_t i = 0; i < parts.count; i++) sum += *(const long *)parts.items[i].data;
    return sum;
}
/* Small numbers, so that no sum overflows. */
REMOTE_FN(long, mix, rr_many, parts, long, x) {
    long sum = x;
    for (size_t i = 0; i < parts.count; i++) sum += *(const long *)parts.items[i].data;
    return sum % 1009;
}

static rr_ref refs[QUEUED];

static void call_all(long n) {
    for (long i = 0; i < n; i++) refs[i] = rr_call(echo, i);
}

static double one_by_one(void *context) {
    (void)context;
    long sum = 0, left = MANY;
    call_all(MANY);
    double start = bench_now();
    while (left > 0) {
        size_t ready;
        long value = 0;
        BENCH_CHECK(rr_wait(refs, (size_t)left, 1, -1, &ready) == 1);
        BENCH_CHECK(rr_get(long, refs[ready], &value) == RR_OK);
        sum += value;
        rr_release(refs[ready]);
        refs[ready] = refs[--left];
    }
    BENCH_CHECK(sum == (long)MANY * (MANY - 1) / 2);
    return (bench_now() - start) / MANY;
}

static double all_at_once(void *context) {
    (void)context;
    call_all(MANY);
    double start = bench_now();
    BENCH_CHECK(rr_wait(refs, MANY, MANY, -1, NULL) == MANY);
    double time = bench_now() - start;
    for (long i = 0; i < MANY; i++) rr_release(refs[i]);
    return time / MANY;
}

static double many_arguments(void *context) {
    (void)context;
    double start = bench_now();
    call_all(MANY);
    rr_ref parts = rr_gather(refs, MANY), result = rr_call(total, parts);
    for (long i = 0; i < MANY; i++) rr_release(refs[i]);
    BENCH_CHECK(rr_unwrap(long, result) == (long)MANY * (MANY - 1) / 2);
    rr_release(parts), rr_release(result);
    return (bench_now() - start) / MANY;
}

static long layers_serial(void) {
    long values[WIDTH], next[WIDTH];
    for (long i = 0; i < WIDTH; i++) values[i] = i;
    for (int layer = 1; layer < LAYERS; layer++) {
        for (long i = 0; i < WIDTH; i++) {
            long sum = i;
            for (int k = 0; k < WIDTH; k++) sum += values[k];
            next[i] = sum % 1009;
        }
        memcpy(values, next, sizeof values);
    }
    long sum = 0;
    for (int i = 0; i < WIDTH; i++) sum += values[i];
    return sum;
}

/* Each task has a gather of its own: 500 arguments for each, and nothing is shared. */
static double layers(void *expected) {
    double start = bench_now();
    call_all(WIDTH);
    for (int layer = 1; layer < LAYERS; layer++) {
        rr_ref next[WIDTH];
        for (long i = 0; i < WIDTH; i++) {
            rr_ref all = rr_gather(refs, WIDTH);
            next[i] = rr_call(mix, all, i);
            rr_release(all);
        }
        for (int i = 0; i < WIDTH; i++) rr_release(refs[i]);
        memcpy(refs, next, sizeof next);
    }
    long sum = 0;
    for (int i = 0; i < WIDTH; i++) sum += rr_unwrap(long, refs[i]);
    for (int i = 0; i < WIDTH; i++) rr_release(refs[i]);
    BENCH_CHECK(sum == *(long *)expected);
    return (bench_now() - start) / ((LAYERS - 1.0) * WIDTH * WIDTH);
}

static double queue(void *context) {
    long n = *(long *)context, sum = 0;
    double start = bench_now();
    call_all(n);
    for (long i = 0; i < n; i++) sum += rr_unwrap(long, refs[i]);
    for (long i = 0; i < n; i++) rr_release(refs[i]);
    BENCH_CHECK(sum == n * (n - 1) / 2);
    return (bench_now() - start) / (double)n;
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    long expected = layers_serial(), queued = bench_amount(QUEUED);
    if (rr_init(NULL) != RR_OK) return 1;
    bench_run("wait", "one-by-one-10000", "ns", one_by_one, NULL);
    bench_run("wait", "all-10000", "ns", all_at_once, NULL);
    bench_run("wait", "arguments-10000", "ns", many_arguments, NULL);
    bench_run("wait", "layers-per-argument", "ns", layers, &expected);
    bench_run("wait", "queued-1000000", "ns", queue, &queued);
    return rr_shutdown() != RR_OK;
}
