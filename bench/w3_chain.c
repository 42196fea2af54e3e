/* w3_chain: 200,000 calls, each with the result of the one before as its argument. chain: it runs
   while it is built; pending: it is built first, behind an object that is sealed at the end. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "bench.h"

REMOTE_FN(long, increment, long, x) { return x + 1; }
REMOTE_FN(long, first, rr_bytes, gate) { return (long)gate.size; }

static long links;

/* Takes over the count of the head. */
static rr_ref build(rr_ref head) {
    for (long i = 0; i < links; i++) {
        rr_ref next = rr_call(increment, head);
        rr_release(head);
        head = next;
    }
    return head;
}

static void finish(rr_ref last, long expected) {
    BENCH_CHECK(rr_unwrap(long, last) == expected);
    rr_release(last);
}

static double chain(void *context) {
    (void)context;
    double start = bench_now();
    finish(build(rr_put(long, 0)), links);
    return (bench_now() - start) / (double)links;
}

static double pending(void *context) {
    (void)context;
    void *room;
    double start = bench_now();
    rr_ref gate = rr_create(1, &room);
    BENCH_CHECK(room != NULL);
    rr_ref last = build(rr_call(first, gate));
    BENCH_CHECK(rr_seal(gate) == RR_OK);
    finish(last, links + 1);
    rr_release(gate);
    return (bench_now() - start) / (double)links;
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    links = bench_amount(200000);
    if (rr_init(NULL) != RR_OK) return 1;
    bench_run("W3", "chain", "ns", chain, NULL);
    bench_run("W3", "pending", "ns", pending, NULL);
    return rr_shutdown() != RR_OK;
}
