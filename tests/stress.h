/* stress.h - the frame of the stress programs: `stress_x [threads] [rounds] [seed]`. Without a
   number of rounds they go on for about two seconds, with STRESS=long in the environment for half
   a minute, with STRESS=N for N seconds. Every round has its own seed, seed + number; the number is
   printed if it fails, so that `stress_x THREADS 1 SEED` repeats it. Include after rustyray.h,
   test.h and fixture.h. */
#ifndef STRESS_H
#define STRESS_H
#include <sched.h>

/* For programs that define RR__STRESS_POINT as this: mostly nothing, now and then a delay in which
   other threads get far. */
static inline void stress_point(void) {
    static _Thread_local uint64_t random;
    if (!random) random = (uint64_t)(uintptr_t)&random ^ test_seed;
    uint64_t dice = test_below(&random, 256);
    if (dice < 8) sched_yield();
    else if (dice == 8) usleep((useconds_t)test_below(&random, 300));
}

enum { STRESS_ROUND = 200 }; /* seconds: a round that takes longer hangs */

typedef struct stress {
    int threads;
    long rounds, round; /* 0: by time */
    uint64_t seed;
    double end;
} stress;

static inline stress stress_begin(int argc, char **argv, int threads) {
    const char *length = getenv("STRESS"), *seed = argc > 3 ? argv[3] : getenv("SEED");
    int seconds = !length ? 0 : !strcmp(length, "long") ? 30 : atoi(length);
    stress s = {.threads = argc > 1 && atoi(argv[1]) > 0 ? atoi(argv[1]) : threads};
    s.rounds = argc > 2 ? atol(argv[2]) : 0;
    s.seed = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL) * 1000 + (uint64_t)getpid();
    s.end = rr_now() + (seconds > 2 ? seconds : 2);
    test_watch(s.seed, STRESS_ROUND);
    return s;
}
/* Is there another round? Its seed goes to *random, and is told by the alarm when it hangs. */
static inline bool stress_next(stress *s, uint64_t *random) {
    if (test_others.failures || (s->rounds ? s->round >= s->rounds : rr_now() >= s->end))
        return false;
    *random = test_seed = s->seed + (uint64_t)s->round++;
    test_limit(s->rounds ? 3600 : STRESS_ROUND);
    return true;
}
static inline int stress_end(const stress *s) {
    bool failed = test_others.failures != 0;
    if (failed)
        fprintf(stderr, "failed in round %ld: SEED=%llu\n", s->round,
                (unsigned long long)(s->seed + (uint64_t)s->round - 1));
    printf("%ld rounds\n%d passed, %d failed\n", s->round, !failed, failed);
    return failed;
}
#endif
