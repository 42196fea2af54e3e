/* limits: what the machine itself takes for what a scheduler and a store are made of. */
#include "bench.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { ADDS = 2000000, LINES = 50000, BLOCKS = 1000000, HANDED = 100000, WAKES = 100 };
enum { LOCKS = 1000000, THREADS = 200, LARGE = 1 << 20, PAGE = 4096 };

static double per_operation(double start, long n) { return (bench_now() - start) / (double)n; }

static _Alignas(64) atomic_long counter;

static void *add(void *n) {
    for (long i = 0; i < *(long *)n; i++) atomic_fetch_add(&counter, 1);
    return NULL;
}

static double fetch_add(void *n) {
    atomic_store(&counter, 0);
    double start = bench_now();
    add(n);
    double each = per_operation(start, *(long *)n);
    BENCH_CHECK(atomic_load(&counter) == *(long *)n);
    return each;
}

/* Two threads on one line: the time for each addition of either. */
static double fetch_add_contended(void *n) {
    pthread_t other;
    atomic_store(&counter, 0);
    double start = bench_now();
    BENCH_CHECK(pthread_create(&other, NULL, add, n) == 0);
    add(n);
    pthread_join(other, NULL);
    double each = per_operation(start, 2 * *(long *)n);
    BENCH_CHECK(atomic_load(&counter) == 2 * *(long *)n);
    return each;
}

/* Two threads write one line in turn. */
static _Alignas(64) atomic_long turn;

static void await_turn(long value) {
    for (long spins = 0; atomic_load(&turn) != value;)
        if (++spins > 100000) sched_yield();
}

static void *answer(void *n) {
    for (long i = 0; i < *(long *)n; i++) {
        await_turn(2 * i + 1);
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
        await_turn(2 * i + 2);
    }
    double each = per_operation(start, *(long *)n);
    pthread_join(other, NULL);
    return each;
}

static double allocation(void *n) {
    double start = bench_now();
    for (long i = 0; i < *(long *)n; i++) {
        void *block = malloc(64);
        __asm__ volatile("" : "+r"(block) : : "memory");
        free(block);
    }
    return per_operation(start, *(long *)n);
}

/* Allocated on one thread, freed on another. */
static void *blocks[HANDED];

static void *release(void *n) {
    for (long i = 0; i < *(long *)n; i++) free(blocks[i]);
    return NULL;
}

static double allocation_handed(void *n) {
    pthread_t other;
    double start = bench_now();
    for (long i = 0; i < *(long *)n; i++) BENCH_CHECK((blocks[i] = malloc(64)) != NULL);
    BENCH_CHECK(pthread_create(&other, NULL, release, n) == 0);
    pthread_join(other, NULL);
    return per_operation(start, *(long *)n);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static double mutex(void *n) {
    double start = bench_now();
    for (long i = 0; i < *(long *)n; i++) pthread_mutex_lock(&lock), pthread_mutex_unlock(&lock);
    return per_operation(start, *(long *)n);
}

static double wake_nobody(void *n) {
    static uint32_t word;
    double start = bench_now();
    for (long i = 0; i < *(long *)n; i++)
        BENCH_CHECK(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0);
    return per_operation(start, *(long *)n);
}

static void *nothing(void *context) { return context; }

static double thread_and_join(void *n) {
    double start = bench_now();
    for (long i = 0; i < *(long *)n; i++) {
        pthread_t other;
        BENCH_CHECK(pthread_create(&other, NULL, nothing, NULL) == 0);
        pthread_join(other, NULL);
    }
    return per_operation(start, *(long *)n);
}

/* A sleeper on a condition variable: what the signal costs, and how long until the sleeper runs. */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int awake;
static double woken_at;

static void *sleeper(void *n) {
    for (long i = 0; i < *(long *)n; i++) {
        pthread_mutex_lock(&lock);
        while (!awake) pthread_cond_wait(&changed, &lock);
        woken_at = bench_now();
        awake = 0;
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static int is_still_asleep(void) {
    pthread_mutex_lock(&lock);
    int still = awake;
    pthread_mutex_unlock(&lock);
    return still;
}

static double wakes(long n, int until_it_runs) {
    double samples[WAKES];
    struct timespec pause = {0, 50000};
    pthread_t other;
    BENCH_CHECK(pthread_create(&other, NULL, sleeper, &n) == 0);
    for (long i = 0; i < n; i++) {
        nanosleep(&pause, NULL);
        pthread_mutex_lock(&lock);
        awake = 1;
        pthread_mutex_unlock(&lock);
        double start = bench_now();
        pthread_cond_signal(&changed);
        double end = bench_now();
        do nanosleep(&pause, NULL);
        while (is_still_asleep());
        samples[i] = (until_it_runs ? woken_at : end) - start;
    }
    pthread_join(other, NULL);
    qsort(samples, (size_t)n, sizeof *samples, bench_compare);
    return bench_quantile(samples, n, 0.5);
}

static double wake_caller(void *n) { return wakes(*(long *)n, 0); }
static double wake_until_it_runs(void *n) { return wakes(*(long *)n, 1); }

static double timer(void *n) {
    volatile double keep = 0;
    double start = bench_now();
    for (long i = 0; i < *(long *)n; i++) keep = bench_now();
    (void)keep;
    return per_operation(start, *(long *)n);
}

/* memcpy: into memory that is there, and into memory that is new each time. */
typedef struct copy {
    size_t size;
    long n;
    char *data, *room;
} copy;

static double copy_figure(const copy *c, double start) {
    double each = per_operation(start, c->n);
    return c->size < LARGE ? each : (double)c->size / each;
}

static double copy_warm(void *context) {
    copy *c = context;
    double start = bench_now();
    for (long i = 0; i < c->n; i++) {
        c->data[0] = (char)i;
        memcpy(c->room, c->data, c->size);
        __asm__ volatile("" : : "r"(c->room) : "memory");
    }
    double result = copy_figure(c, start);
    BENCH_CHECK(memcmp(c->room, c->data, c->size) == 0);
    return result;
}

static double copy_fresh(void *context) {
    copy *c = context;
    double start = bench_now();
    for (long i = 0; i < c->n; i++) {
        void *room =
            mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        BENCH_CHECK(room != MAP_FAILED);
        memcpy(room, c->data, c->size);
        __asm__ volatile("" : : "r"(room) : "memory");
        munmap(room, c->size);
    }
    return copy_figure(c, start);
}

static void copies(const char *name, size_t size, long n) {
    char warm[32], fresh[32];
    const char *unit = size < LARGE ? "ns" : "GB/s";
    char *block = aligned_alloc(PAGE, (2 * size + 3 * PAGE) / PAGE * PAGE);
    BENCH_CHECK(block != NULL);
    /* Not at the same place of a page: loads would wait for stores that are none of theirs. */
    copy c = {size, n, block, block + (size + PAGE - 1) / PAGE * PAGE + PAGE / 2};
    memset(c.data, 7, size), memset(c.room, 1, size);
    snprintf(warm, sizeof warm, "memcpy-%s", name);
    snprintf(fresh, sizeof fresh, "memcpy-fresh-%s", name);
    bench_run("limits", warm, unit, copy_warm, &c);
    if (size >= LARGE) bench_run("limits", fresh, unit, copy_fresh, &c);
    free(block);
}

static void limit(const char *variant, bench_fn once, long n) {
    long amount = bench_amount(n);
    bench_run("limits", variant, "ns", once, &amount);
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    limit("clock", timer, LOCKS);
    limit("fetch-add", fetch_add, ADDS);
    limit("fetch-add-contended", fetch_add_contended, ADDS);
    limit("line-there-and-back", line_transfer, LINES);
    limit("malloc-free", allocation, BLOCKS);
    limit("malloc-freed-by-another", allocation_handed, HANDED);
    limit("mutex", mutex, LOCKS);
    limit("futex-wake-nobody", wake_nobody, LOCKS);
    limit("wake-caller", wake_caller, WAKES);
    limit("wake-until-it-runs", wake_until_it_runs, WAKES);
    limit("thread-and-join", thread_and_join, THREADS);
    copies("64B", 64, bench_amount(300000));
    copies("4KiB", 4096, bench_amount(100000));
    copies("1MiB", 1 << 20, bench_amount(300));
    copies("64MiB", 64 << 20, 4);
    return 0;
}
