/* growth: what a call costs when there are 10^3 to 10^7 of them at once, and with more workers than
   cores. What memory is left after a burst: memory.c. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "bench.h"

enum { FIB_N = 22, FIB = 17711, FIB_CALLS = 57313 };

REMOTE_FN(long, echo, long, x) { return x; }
REMOTE_FN(long, fib, int, n) {
    if (n < 2) return n;
    rr_ref a = rr_call(fib, n - 1), b = rr_call(fib, n - 2);
    return rr_unwrap(long, a) + rr_unwrap(long, b);
}

typedef struct burst {
    long n, times; /* small bursts are repeated, so that each figure stands for some work */
    rr_ref *refs;
} burst;

static void one_burst(const burst *b) {
    long sum = 0;
    for (long i = 0; i < b->n; i++) b->refs[i] = rr_call(echo, i);
    for (long i = 0; i < b->n; i++) sum += rr_unwrap(long, b->refs[i]);
    for (long i = 0; i < b->n; i++) rr_release(b->refs[i]);
    BENCH_CHECK(sum == b->n * (b->n - 1) / 2);
}

static double calls(void *context) {
    const burst *b = context;
    double start = bench_now();
    for (long i = 0; i < b->times; i++) one_burst(b);
    return (bench_now() - start) / (double)(b->n * b->times);
}

static double recursion(void *context) {
    (void)context;
    double start = bench_now();
    rr_ref result = rr_call(fib, FIB_N);
    BENCH_CHECK(rr_unwrap(long, result) == FIB);
    rr_release(result);
    return (bench_now() - start) / FIB_CALLS;
}

static void with_workers(int workers, burst *b) {
    char flood[32], tree[32];
    snprintf(flood, sizeof flood, "flood-%d-workers", workers);
    snprintf(tree, sizeof tree, "fib-%d-workers", workers);
    rr_config config = {.workers = workers};
    BENCH_CHECK(rr_init(&config) == RR_OK);
    bench_run("growth", flood, "ns", calls, b);
    bench_run("growth", tree, "ns", recursion, NULL);
    BENCH_CHECK(rr_shutdown() == RR_OK);
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    long most = bench_amount(10000000);
    rr_ref *refs = malloc((size_t)most * sizeof *refs);
    if (!refs) return 1;
    memset(refs, 0, (size_t)most * sizeof *refs);
    for (long n = 1000; n <= most; n *= 10) {
        char variant[32];
        burst b = {n, n < 1000000 ? 1000000 / n : 1, refs};
        snprintf(variant, sizeof variant, "%ld", n);
        if (rr_init(NULL) != RR_OK) return 1;
        bench_run("growth", variant, "ns", calls, &b);
        if (rr_shutdown() != RR_OK) return 1;
    }
    burst b = {100000, 5, refs};
    with_workers(2, &b);
    with_workers(8, &b);
    with_workers(64, &b);
    free(refs);
    return 0;
}
