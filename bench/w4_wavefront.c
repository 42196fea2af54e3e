/* w4_wavefront: a grid of 1000 x 1000 cells, each a call with the results of the cell above and of
   the cell to the left as its arguments. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "bench.h"

enum { MOST = 1000, CELLS = 1000000 };

REMOTE_FN(uint32_t, cell, uint32_t, up, uint32_t, left) { return up + left; }

static long side;
static rr_ref row[MOST];

static uint32_t serial(void) {
    uint32_t values[MOST];
    for (long i = 0; i < side; i++) values[i] = 1;
    for (long y = 0; y < side; y++) {
        uint32_t left = 1;
        for (long x = 0; x < side; x++) left = values[x] += left;
    }
    return values[side - 1];
}

/* The reference above each column is replaced by that of its new last cell. */
static void one_row(rr_ref one) {
    for (long x = 0; x < side; x++) {
        rr_ref next = rr_call(cell, row[x], x ? row[x - 1] : one);
        rr_release(row[x]);
        row[x] = next;
    }
}

static double wavefront(void *expected) {
    double start = bench_now();
    rr_ref one = rr_put(uint32_t, 1);
    for (long x = 0; x < side; x++) rr_retain(row[x] = one);
    for (long y = 0; y < side; y++) one_row(one);
    BENCH_CHECK(rr_unwrap(uint32_t, row[side - 1]) == *(uint32_t *)expected);
    for (long x = 0; x < side; x++) rr_release(row[x]);
    rr_release(one);
    return (bench_now() - start) / (double)(side * side);
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    side = bench_side(CELLS);
    uint32_t expected = serial();
    if (rr_init(NULL) != RR_OK) return 1;
    bench_run("W4", "wavefront", "ns", wavefront, &expected);
    return rr_shutdown() != RR_OK;
}
