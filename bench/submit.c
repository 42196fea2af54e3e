/* submit: 1 to 8 threads outside call at the same time, in rounds of 1000, and take the results. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "bench.h"
#include <pthread.h>

enum { ROUND = 1000, MOST_THREADS = 8 };

REMOTE_FN(long, echo, long, x) { return x; }

static long total;

static void *submitter(void *share) {
    rr_ref refs[ROUND];
    for (long done = 0; done < *(long *)share; done += ROUND) {
        long sum = 0;
        for (long i = 0; i < ROUND; i++) refs[i] = rr_call(echo, i);
        for (long i = 0; i < ROUND; i++) sum += rr_unwrap(long, refs[i]);
        for (long i = 0; i < ROUND; i++) rr_release(refs[i]);
        BENCH_CHECK(sum == ROUND * (ROUND - 1) / 2);
    }
    return NULL;
}

static double submit(void *context) {
    int threads = *(int *)context;
    pthread_t ids[MOST_THREADS];
    long share = total / threads;
    double start = bench_now();
    for (int i = 0; i < threads; i++)
        BENCH_CHECK(pthread_create(&ids[i], NULL, submitter, &share) == 0);
    for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
    return (bench_now() - start) / (double)(share * threads);
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    total = bench_amount(400) * ROUND * 2;
    if (rr_init(NULL) != RR_OK) return 1;
    for (int threads = 1; threads <= MOST_THREADS; threads *= 2) {
        char variant[32];
        snprintf(variant, sizeof variant, "%d-threads", threads);
        bench_run("submit", variant, "ns", submit, &threads);
    }
    return rr_shutdown() != RR_OK;
}
