/* 02_parallel_map: the same function over many inputs, all at once. Results come
   back in the order of the inputs, or as they get ready (rr_wait). */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"

enum { TASKS = 10, SPAN = 20000 };

REMOTE_FN(int, count_primes, int, from, int, to) {
    int primes = 0;
    for (int n = from < 2 ? 2 : from; n < to; n++) {
        int divisor = 2;
        while (divisor * divisor <= n && n % divisor) divisor++;
        primes += divisor * divisor > n;
    }
    return primes;
}

int main(void) {
    if (rr_init(NULL) != RR_OK) return 1;
    rr_scope scope = rr_scope_begin(); /* what is made in it is released with it */

    rr_ref parts[TASKS];
    for (int i = 0; i < TASKS; i++) parts[i] = rr_call(count_primes, i * SPAN, (i + 1) * SPAN);

    int total = 0;
    for (int i = 0; i < TASKS; i++) {
        int primes = rr_unwrap(int, parts[i]); /* waits for this one; the others go on */
        printf("%6d to %6d: %4d primes\n", i * SPAN, (i + 1) * SPAN - 1, primes);
        total += primes;
    }
    printf("%d primes below %d\n", total, TASKS * SPAN);

    /* First come, first served: handle each result when it is ready. */
    rr_ref waiting[TASKS];
    for (int i = 0; i < TASKS; i++) waiting[i] = rr_call(count_primes, 0, (i + 1) * 1000);
    int sum = 0;
    for (size_t left = TASKS; left > 0; left--) {
        size_t first;
        if (rr_wait(waiting, left, 1, -1, &first) != 1) return 1;
        sum += rr_unwrap(int, waiting[first]);
        waiting[first] = waiting[left - 1];
    }
    printf("%d in the second round, whatever their order\n", sum);

    rr_scope_end(scope);
    return rr_shutdown() == RR_OK ? 0 : 1;
}
