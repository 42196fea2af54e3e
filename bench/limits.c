/* limits: what the machine itself takes for what a scheduler is made of. */
#include "bench.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { ADDS = 5000000, LINES = 100000, BLOCKS = 2000000, WAKES = 300 };

static double fetch_add(void *context) {
    static _Alignas(64) atomic_long counter;
    (void)context;
    atomic_store(&counter, 0);
    double start = bench_now();
    for (long i = 0; i < ADDS; i++) atomic_fetch_add(&counter, 1);
    double time = bench_now() - start;
    BENCH_CHECK(atomic_load(&counter) == ADDS);
    return time / ADDS;
}

/* Two threads write one line in turn. */
static _Alignas(64) atomic_long turn;

static void *answer(void *n) {
    for (long i = 0; i < *(long *)n; i++) {
        for (long spins = 0; atomic_load(&turn) != 2 * i + 1;)
            if (++spins > 1000000) sched_yield();
        atomic_store(&turn, 2 * i + 2);
    }
    return NULL;
}

static double line_transfer(void *n) {
    pthread_t other;
    atomic_store(&turn, 0);
    BENCH_CHECK(pthread_create(&other, NULL, answer, n) == 0);
    double start = bench_now();
    for (long i = 0; i < *(long *)n; i++) {
        atomic_store(&turn, 2 * i + 1);
        for (long spins = 0; atomic_load(&turn) != 2 * i + 2;)
            if (++spins > 1000000) sched_yield();
    }
    double time = bench_now() - start;
    pthread_join(other, NULL);
    return time / (double)*(long *)n;
}

static double allocation(void *context) {
    (void)context;
    double start = bench_now();
    for (long i = 0; i < BLOCKS; i++) {
        void *block = malloc(64);
        __asm__ volatile("" : "+r"(block) : : "memory");
        free(block);
    }
    return (bench_now() - start) / BLOCKS;
}

/* A sleeper on a condition variable: from the signal until it runs, and back the same way. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int awake;
static double woken_at;

static void *sleeper(void *context) {
    (void)context;
    for (int i = 0; i < WAKES; i++) {
        pthread_mutex_lock(&lock);
        while (!awake) pthread_cond_wait(&changed, &lock);
        woken_at = bench_now();
        awake = 0;
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static double wakes(void *until_it_runs) {
    static double caller[WAKES], runs[WAKES];
    struct timespec pause = {0, 50000};
    pthread_t other;
    BENCH_CHECK(pthread_create(&other, NULL, sleeper, NULL) == 0);
    for (int i = 0; i < WAKES; i++) {
        nanosleep(&pause, NULL);
        pthread_mutex_lock(&lock);
        awake = 1;
        double start = bench_now();
        pthread_mutex_unlock(&lock);
        pthread_cond_signal(&changed);
        caller[i] = bench_now() - start;
        for (int still = 1; still;) {
            nanosleep(&pause, NULL);
            pthread_mutex_lock(&lock);
            still = awake;
            pthread_mutex_unlock(&lock);
        }
        runs[i] = woken_at - start;
    }
    pthread_join(other, NULL);
    double *samples = until_it_runs ? runs : caller;
    qsort(samples, WAKES, sizeof *samples, bench_compare);
    return bench_quantile(samples, WAKES, 0.5);
}

static double timer(void *context) {
    (void)context;
    volatile double keep = 0;
    double start = bench_now();
    for (int i = 0; i < 100000; i++) keep = bench_now();
    (void)keep;
    return (bench_now() - start) / 100000;
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    long lines = bench_amount(LINES);
    int until_it_runs = 1;
    bench_run("limits", "fetch-add", "ns", fetch_add, NULL);
    bench_run("limits", "line-there-and-back", "ns", line_transfer, &lines);
    bench_run("limits", "malloc-free", "ns", allocation, NULL);
    bench_run("limits", "wake-caller", "ns", wakes, NULL);
    bench_run("limits", "wake-until-it-runs", "ns", wakes, &until_it_runs);
    bench_run("limits", "clock", "ns", timer, NULL);
    return 0;
}
