/* w1_spawn: calls from one thread outside, a result and a release for each.
   empty: rounds of 1000; flood: 100,000 at once; 1us, 10us: bodies of that length, as a share of
   what the cores could do at best. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "bench.h"

REMOTE_FN(long, echo, long, x) { return x; }
REMOTE_FN(uint64_t, spin, long, iterations) { return bench_spin(iterations); }

typedef struct spawn {
    long total, round;
    rr_ref *refs;
} spawn;

static void one_round(spawn *s) {
    long sum = 0;
    for (long i = 0; i < s->round; i++) s->refs[i] = rr_call(echo, i);
    for (long i = 0; i < s->round; i++) sum += rr_unwrap(long, s->refs[i]);
    for (long i = 0; i < s->round; i++) rr_release(s->refs[i]);
    BENCH_CHECK(sum == s->round * (s->round - 1) / 2);
}

static double empty(void *context) {
    spawn *s = context;
    double start = bench_now();
    for (long done = 0; done < s->total; done += s->round) one_round(s);
    return (bench_now() - start) / (double)s->total;
}

typedef struct body {
    long iterations, n;
    rr_ref *refs;
} body;

static double efficiency(void *context) {
    body *b = context;
    uint64_t expected = bench_spin(b->iterations);
    double ideal = bench_ideal(b->iterations, b->n), start = bench_now();
    for (long i = 0; i < b->n; i++) b->refs[i] = rr_call(spin, b->iterations);
    for (long i = 0; i < b->n; i++) {
        BENCH_CHECK(rr_unwrap(uint64_t, b->refs[i]) == expected);
        rr_release(b->refs[i]);
    }
    return 100 * ideal / (bench_now() - start);
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    long most = bench_amount(100000);
    double per_us = bench_spins_per_us();
    rr_ref *refs = malloc((size_t)most * sizeof *refs);
    if (!refs || rr_init(NULL) != RR_OK) return 1;
    spawn rounds = {bench_amount(1000000), 1000, refs}, flood = {most, most, refs};
    bench_run("W1", "empty", "ns", empty, &rounds);
    bench_run("W1", "flood", "ns", empty, &flood);
    body one = {(long)per_us, most, refs}, ten = {(long)(10 * per_us), most / 10, refs};
    bench_run("W1", "1us", "%", efficiency, &one);
    bench_run("W1", "10us", "%", efficiency, &ten);
    free(refs);
    return rr_shutdown() != RR_OK;
}
