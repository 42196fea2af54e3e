/* Guards tasks and messages that go from one late argument to the next: which they alone keep, and
   which are completed by workers and sealed by a thread, while another one cancels what waits for
   them, and ends its actor. Each ends once, for a reason that there was; nothing is left.
   stress_dependencies [threads] [rounds] [seed] */
#define _GNU_SOURCE
#include <time.h>
#include <unistd.h>
static inline void stress_point(void);
#define RR__STRESS_POINT() stress_point()
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"
#include "stress.h"

enum { TASKS = 100, MAX_THREADS = 8 };

/* A thread that calls, and one for each that cancels what it has called. */
typedef struct caller {
    uint64_t seed;
    rr_actor actor;
    rr_ref gates[TASKS], tasks[TASKS];
    bool is_message[TASKS];
    atomic_int made;
} caller;
static caller callers[MAX_THREADS];

REMOTE_FN(int, dependencies_leaf, int, v) { return v; }
REMOTE_FN(int, dependencies_sum, int, a, rr_bytes, gate, int, b) { return a + b + (int)gate.size; }
typedef struct Adder {
    int sum;
} Adder;
REMOTE_ACTOR(Adder, create) { self->sum = 0; }
REMOTE_METHOD(int, Adder, sum, int, a, rr_bytes, gate, int, b) {
    CHECK(++self->sum <= TASKS);
    return a + b + (int)gate.size;
}

static void call(void *data) {
    caller *c = data;
    uint64_t random = c->seed;
    for (int i = 0; i < TASKS; i++) {
        void *room;
        rr_ref a = rr_call(dependencies_leaf, i), b = rr_call(dependencies_leaf, 1);
        c->gates[i] = rr_create(1, &room);
        c->is_message[i] = test_below(&random, 3) == 0;
        c->tasks[i] = c->is_message[i] ? rr_ask(c->actor, Adder_sum, a, c->gates[i], b)
                                       : rr_call(dependencies_sum, a, c->gates[i], b);
        rr_release(a), rr_release(b); /* the task alone keeps them */
        c->made++;
        if (test_below(&random, 8) == 0) sched_yield();
    }
}
static void seal(void *data) {
    caller *c = data;
    for (int i = 0; i < TASKS; i++) {
        while (c->made <= i) sched_yield();
        CHECK(rr_seal(c->gates[i]) == RR_OK);
    }
}
static void cancel(void *data) {
    caller *c = data;
    uint64_t random = ~c->seed;
    for (int i = 0; i < TASKS; i++) {
        while (c->made <= i) sched_yield();
        for (uint64_t n = test_below(&random, 300); n; n--) RR__PAUSE();
        if (test_below(&random, 4)) rr_cancel(c->tasks[i]);
        if (test_below(&random, 2 * TASKS) == 0) rr_kill(c->actor);
    }
}

static void check(caller *c) {
    for (int i = 0; i < TASKS; i++) {
        int v = -1;
        rr_status status = rr_get(int, c->tasks[i], &v);
        CHECK(status == RR_OK ? v == i + 2
                              : status == RR_ERR_CANCELLED ||
                                    (status == RR_ERR_ACTOR_DEAD && c->is_message[i]));
        rr_release(c->tasks[i]), rr_release(c->gates[i]);
    }
    rr_release(c->actor);
}

static void one_round(uint64_t *random, int threads) {
    fixture f;
    outside others[3 * MAX_THREADS];
    int n = threads < MAX_THREADS ? threads : MAX_THREADS;
    START(&f, .workers = 1 + (int)test_below(random, 3));
    for (int i = 0; i < n; i++) {
        callers[i].made = 0;
        callers[i].seed = test_random(random), callers[i].actor = rr_spawn(Adder_create);
        outside_start(&others[3 * i], f.runtime, call, &callers[i]);
        outside_start(&others[3 * i + 1], f.runtime, seal, &callers[i]);
        outside_start(&others[3 * i + 2], f.runtime, cancel, &callers[i]);
    }
    for (int i = 0; i < 3 * n; i++) outside_join(&others[i]);
    for (int i = 0; i < n; i++) check(&callers[i]);
    CHECK(objects_settle_at(0) && actors_settle_at(0));
    fixture_stop(&f);
}

int main(int argc, char **argv) {
    stress s = stress_begin(argc, argv, 1);
    for (uint64_t random; stress_next(&s, &random);) one_round(&random, s.threads);
    return stress_end(&s);
}
