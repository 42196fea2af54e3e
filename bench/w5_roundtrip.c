/* w5_roundtrip: one call and its result. helping: the waiter may run the call itself; across: it
   waits with a time limit, which never helps, so the call goes to another thread and back. hot:
   one after the other; cold: after a millisecond in which everybody fell asleep. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "bench.h"

REMOTE_FN(long, echo, long, x) { return x; }

static void nap(void) {
    struct timespec ms = {0, 1000000};
    nanosleep(&ms, NULL);
}

static double helping(void *cold) {
    if (cold) nap();
    double start = bench_now();
    rr_ref ref = rr_call(echo, 42);
    long value = rr_unwrap(long, ref);
    rr_release(ref);
    double time = bench_now() - start;
    BENCH_CHECK(value == 42);
    return time;
}

static double across(void *cold) {
    if (cold) nap();
    long value = 0;
    double start = bench_now();
    rr_ref ref = rr_call(echo, 42);
    rr_status status = rr_get_timeout(long, ref, &value, 10000);
    rr_release(ref);
    double time = bench_now() - start;
    BENCH_CHECK(status == RR_OK && value == 42);
    return time;
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    int cold = 1;
    if (rr_init(NULL) != RR_OK) return 1;
    bench_latency("W5", "helping-hot", bench_amount(100000), helping, NULL);
    bench_latency("W5", "helping-cold", bench_amount(200), helping, &cold);
    bench_latency("W5", "across-hot", bench_amount(10000), across, NULL);
    bench_latency("W5", "across-cold", bench_amount(200), across, &cold);
    return rr_shutdown() != RR_OK;
}
