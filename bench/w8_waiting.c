/* w8_waiting: bodies that wait. suspend: a body leaves its worker, and goes on there when what it
   waits for has come: half of what one item of a stream costs more if the body that yields it and
   the one that reads it wait for each other than if neither waits; on one worker. call: a body
   calls and waits with a time limit, which never helps; on all workers. stream-N: one item through
   three stages of streams that do nothing, each of which may be N items ahead of its reader; the
   last one is read by the main thread. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "bench.h"

REMOTE_FN(long, echo, long, x) { return x; }

REMOTE_FN(double, calls, long, n) {
    long sum = 0, value = 0;
    double start = bench_now();
    for (long i = 0; i < n; i++) {
        rr_ref ref = rr_call(echo, i);
        BENCH_CHECK(rr_get_timeout(long, ref, &value, 10000) == RR_OK);
        rr_release(ref);
        sum += value;
    }
    BENCH_CHECK(sum == n * (n - 1) / 2);
    return (bench_now() - start) / (double)n;
}

static double result_of(rr_ref ref) {
    double time = 0;
    BENCH_CHECK(rr_get(double, ref, &time) == RR_OK);
    rr_release(ref);
    return time;
}
static double call(void *n) { return result_of(rr_call(calls, *(long *)n)); }

REMOTE_STREAM(long, numbers, long, n, int, ahead) {
    (void)ahead;
    for (long i = 0; i < n; i++)
        if (rr_yield(long, i) != RR_OK) return;
}
/* What the body of a stage does. */
static void pass_on(rr_stream in) {
    rr_ref ref;
    while (rr_next(in, &ref) == RR_OK) {
        long x = rr_unwrap(long, ref);
        rr_release(ref);
        if (rr_yield(long, x + 1) != RR_OK) return;
    }
}
REMOTE_STREAM(long, first, long, n, int, ahead) {
    pass_on(rr_call_stream_with(RR_OPTIONS(.max_unread = ahead), numbers, n, ahead));
}
REMOTE_STREAM(long, second, long, n, int, ahead) {
    pass_on(rr_call_stream_with(RR_OPTIONS(.max_unread = ahead), first, n, ahead));
}

typedef struct flow {
    long n;
    int ahead;
} flow;

/* Reads all; nanoseconds for each. */
static double drain(rr_stream in, long n, long expected) {
    long sum = 0;
    rr_ref ref;
    double start = bench_now();
    while (rr_next(in, &ref) == RR_OK) {
        sum += rr_unwrap(long, ref);
        rr_release(ref);
    }
    rr_release(in);
    BENCH_CHECK(sum == expected);
    return (bench_now() - start) / (double)n;
}

REMOTE_FN(double, read_all, long, n, int, ahead) {
    return drain(rr_call_stream_with(RR_OPTIONS(.max_unread = ahead), numbers, n, ahead), n,
                 n * (n - 1) / 2);
}
static double suspend(void *context) {
    long n = *(long *)context;
    return (result_of(rr_call(read_all, n, 1)) - result_of(rr_call(read_all, n, 1000))) / 2;
}

static double pipeline(void *context) {
    const flow *f = context;
    return drain(rr_call_stream_with(RR_OPTIONS(.max_unread = f->ahead), second, f->n, f->ahead),
                 f->n, f->n * (f->n + 3) / 2);
}

static void run_with(int workers, const char *variant, bench_fn once, long n) {
    if (rr_init(&(rr_config){.workers = workers}) != RR_OK) exit(1);
    bench_run("W8", variant, "ns", once, &n);
    if (rr_shutdown() != RR_OK) exit(1);
}

int main(int argc, char **argv) {
    static const int ahead[] = {1, 4, 64, 1000};
    bench_begin(argc, argv);
    run_with(1, "suspend", suspend, bench_amount(100000));
    run_with(0, "call", call, bench_amount(100000));
    if (rr_init(NULL) != RR_OK) return 1;
    for (int i = 0; i < 4; i++) {
        char variant[32];
        flow f = {bench_amount(100000), ahead[i]};
        snprintf(variant, sizeof variant, "stream-%d", ahead[i]);
        bench_run("W8", variant, "ns", pipeline, &f);
    }
    return rr_shutdown() != RR_OK;
}
