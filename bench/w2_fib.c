/* w2_fib: fib(27) without a cut-off: two calls, two references and two waits in every body. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "bench.h"

enum { N = 27, FIB = 196418, CALLS = 832039 }; /* calls(n) = 2 fib(n + 1) - 1 */

REMOTE_FN(long, fib, int, n) {
    if (n < 2) return n;
    rr_ref a = rr_call(fib, n - 1), b = rr_call(fib, n - 2);
    return rr_unwrap(long, a) + rr_unwrap(long, b);
}

static double once(void *context) {
    (void)context;
    double start = bench_now();
    rr_ref result = rr_call(fib, N);
    BENCH_CHECK(rr_unwrap(long, result) == FIB);
    rr_release(result);
    return (bench_now() - start) / CALLS;
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    if (rr_init(NULL) != RR_OK) return 1;
    bench_run("W2", "fib", "ns", once, NULL);
    return rr_shutdown() != RR_OK;
}
