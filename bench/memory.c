/* memory: bytes of the process for each task that waits for an argument, for each task that is
   queued, for each idle actor, and for a runtime without work, which must take no CPU time; and
   which share of what a burst of tasks took is still there afterwards. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "bench.h"
#include <sys/wait.h>

enum { N = 200000, BURST = 2000000, ACTORS = 100000 };

typedef struct Cell {
    long value;
} Cell;
REMOTE_ACTOR(Cell, create, long, value) { self->value = value; }
REMOTE_METHOD(long, Cell, value) { return self->value; }

REMOTE_FN(long, gated, rr_bytes, gate, long, x) { return (long)gate.size + x; }
REMOTE_FN(long, sum, long, a, long, b) { return a + b; }
REMOTE_FN(void, hold, int *, released) {
    while (!__atomic_load_n(released, __ATOMIC_ACQUIRE)) rr_sleep_ms(1);
}

static rr_ref refs[N];
static rr_actor actors[ACTORS];

static double drain(double bytes, long more) {
    for (long i = 0; i < N; i++) {
        BENCH_CHECK(rr_unwrap(long, refs[i]) == i + more);
        rr_release(refs[i]);
    }
    return bytes / N;
}

static double waiting(void *context) {
    (void)context;
    void *room;
    BENCH_CHECK(rr_init(NULL) == RR_OK);
    rr_ref gate = rr_create(1, &room);
    double before = bench_memory();
    for (long i = 0; i < N; i++) refs[i] = rr_call(gated, gate, i);
    double bytes = bench_memory() - before;
    BENCH_CHECK(rr_seal(gate) == RR_OK);
    bytes = drain(bytes, 1);
    BENCH_CHECK(rr_shutdown() == RR_OK);
    return bytes;
}

static double queued(void *context) {
    (void)context;
    int released = 0;
    rr_config config = {.workers = 1};
    BENCH_CHECK(rr_init(&config) == RR_OK);
    rr_ref holder = rr_call(hold, &released);
    rr_sleep_ms(20);
    double before = bench_memory();
    for (long i = 0; i < N; i++) refs[i] = rr_call(sum, i, 1);
    double bytes = bench_memory() - before;
    __atomic_store_n(&released, 1, __ATOMIC_RELEASE);
    bytes = drain(bytes, 1);
    rr_release(holder);
    BENCH_CHECK(rr_shutdown() == RR_OK);
    return bytes;
}

static double idle_actors(void *context) {
    (void)context;
    BENCH_CHECK(rr_init(NULL) == RR_OK);
    double before = bench_memory();
    for (long i = 0; i < ACTORS; i++) actors[i] = rr_spawn(Cell_create, i);
    rr_ref last = rr_ask(actors[ACTORS - 1], Cell_value);
    BENCH_CHECK(rr_unwrap(long, last) == ACTORS - 1);
    double bytes = bench_memory() - before;
    BENCH_CHECK(rr_shutdown() == RR_OK);
    return bytes / ACTORS;
}

static double idle_bytes(void *context) {
    (void)context;
    double before = bench_memory();
    BENCH_CHECK(rr_init(NULL) == RR_OK);
    rr_sleep_ms(20);
    double bytes = bench_memory() - before;
    BENCH_CHECK(rr_shutdown() == RR_OK);
    return bytes / 1024;
}

static double idle_cpu(void *context) {
    (void)context;
    BENCH_CHECK(rr_init(NULL) == RR_OK);
    rr_sleep_ms(20);
    double before = bench_own_cpu();
    rr_sleep_ms(200);
    double percent = 100 * (bench_own_cpu() - before) / 0.2;
    BENCH_CHECK(rr_shutdown() == RR_OK);
    return percent;
}

/* Percent of the memory that BURST finished calls take that stays: two seconds after all of them
   are released, and after the shutdown. */
static double burst(double *kept, double *after) {
    rr_ref *refs = malloc(BURST * sizeof *refs);
    BENCH_CHECK(refs != NULL && rr_init(NULL) == RR_OK);
    memset(refs, 1, BURST * sizeof *refs);
    double before = bench_memory();
    for (long i = 0; i < BURST; i++) refs[i] = rr_call(sum, i, 1);
    for (long i = 0; i < BURST; i++) BENCH_CHECK(rr_unwrap(long, refs[i]) == i + 1);
    double peak = bench_memory() - before;
    for (long i = 0; i < BURST; i++) rr_release(refs[i]);
    rr_sleep_ms(2000);
    *kept = 100 * (bench_memory() - before) / peak;
    BENCH_CHECK(rr_shutdown() == RR_OK);
    *after = 100 * (bench_memory() - before) / peak;
    free(refs);
    return peak / BURST;
}

static double burst_peak(void *context) {
    (void)context;
    double kept, after;
    return burst(&kept, &after);
}

static double burst_kept(void *context) {
    (void)context;
    double kept, after;
    return burst(&kept, &after), kept;
}

static double burst_after(void *context) {
    (void)context;
    double kept, after;
    return burst(&kept, &after), after > 0 ? after : 0;
}

/* Every measurement has a process of its own, in which no memory was used before. */
static double in_child(void *measure) {
    int ends[2], status;
    double result = 0;
    BENCH_CHECK(pipe(ends) == 0);
    pid_t child = fork();
    BENCH_CHECK(child >= 0);
    if (child == 0) {
        result = (*(bench_fn *)measure)(NULL);
        _exit(write(ends[1], &result, sizeof result) != (ssize_t)sizeof result);
    }
    BENCH_CHECK(read(ends[0], &result, sizeof result) == (ssize_t)sizeof result);
    BENCH_CHECK(waitpid(child, &status, 0) == child && status == 0);
    close(ends[0]), close(ends[1]);
    return result;
}

static void measure(const char *variant, const char *unit, bench_fn what) {
    bench_run("memory", variant, unit, in_child, &what);
}

static void once(const char *variant, const char *unit, bench_fn what) {
    bench_value("memory", variant, unit, in_child(&what));
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    memset(refs, 1, sizeof refs), memset(actors, 1, sizeof actors);
    measure("idle-runtime", "KiB", idle_bytes);
    measure("idle-runtime-cpu", "% CPU", idle_cpu);
    measure("task-waiting", "B", waiting);
    measure("task-queued", "B", queued);
    measure("actor", "B", idle_actors);
    once("burst-per-task", "B", burst_peak);
    once("burst-kept-when-released", "% of it", burst_kept);
    once("burst-kept-after-shutdown", "% of it", burst_after);
    return 0;
}
