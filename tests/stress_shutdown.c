/* Guards the end of a runtime: it starts and ends at random while tasks, actors and threads outside
   submit, wait, seal and release; each of their calls works or tells that nothing is running, and
   nothing hangs or is left.
   stress_shutdown [threads] [rounds] [seed] */
#define _GNU_SOURCE
static void stress_point(void);
#define RR__STRESS_POINT() stress_point()
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"
#include "stress.h"

static atomic_bool over;     /* the threads outside may go home */
static atomic_int submitted; /* in this run, for the pace */

REMOTE_FN(long, shutdown_add, long, a, long, b) { return a + b; }
REMOTE_FN(long, shutdown_tree, int, depth) {
    if (depth == 0) return 1;
    rr_ref a = rr_call(shutdown_tree, depth - 1), b = rr_call(shutdown_tree, depth - 1);
    long x = 0, y = 0;
    if (rr_get(long, a, &x) != RR_OK || rr_get(long, b, &y) != RR_OK)
        rr_fail(1, "work that a task submits runs, also while the runtime ends");
    return x + y;
}
REMOTE_FN(long, shutdown_wait, rr_ref, gate) {
    rr_bytes view;
    return (long)rr_get(rr_bytes, gate, &view);
}
typedef struct Count {
    long v;
} Count;
static atomic_int born, dropped;
REMOTE_ACTOR(Count, create) {
    self->v = 0;
    born++;
}
REMOTE_DESTRUCTOR(Count) { dropped += self->v >= 0; }
REMOTE_METHOD(long, Count, add, long, by) { return self->v += by; }

/* A value, or an error that an end brings with it. */
static bool is_fine(rr_ref r, long wanted) {
    long v = 0;
    rr_status status = rr_get(long, r, &v);
    if (status == RR_OK) return wanted < 0 || v == wanted;
    bool fine = status == RR_ERR_NOT_RUNNING || status == RR_ERR_STALE;
    if (!fine) fprintf(stderr, "%s: %.300s\n", rr_status_name(status), rr_error_message(r));
    return fine;
}
static void work_once(uint64_t *random) {
    rr_scope scope = rr_scope_begin();
    void *room = NULL;
    rr_ref gate = rr_create(1, &room), two[2];
    long a = (long)test_below(random, 1000);
    atomic_fetch_add(&submitted, 1);
    switch (test_below(random, 6)) {
    case 0:
        CHECK(is_fine(rr_call(shutdown_add, a, rr_call(shutdown_add, 1, 2)), a + 3));
        break;
    case 1:
        CHECK(is_fine(rr_call(shutdown_tree, 4), 16));
        break;
    case 2: {
        rr_actor c = rr_spawn(Count_create);
        rr_tell(c, Count_add, 1L);
        rr_ref r = rr_ask(c, Count_add, a);
        long v = 0;
        rr_status status = rr_get(long, r, &v);
        CHECK(status == RR_OK ? v == a + 1 || v == a
                              : status == RR_ERR_NOT_RUNNING || status == RR_ERR_STALE);
        break;
    }
    case 3: /* a gate that is never opened ends with the runtime; so do those who wait */
        rr_call(shutdown_wait, gate);
        rr_call(shutdown_tree, 3);
        break;
    case 4:
        two[0] = rr_call(shutdown_wait, gate), two[1] = rr_call(shutdown_add, a, 1);
        rr_seal(gate);
        rr_wait(two, 2, 2, test_below(random, 2) ? -1 : 2, NULL);
        break;
    default:
        CHECK(is_fine(rr_put(long, a), a));
        rr_keep(rr_put(long, a));
    }
    rr_scope_end(scope);
}
static void work_until_over(void *data) {
    uint64_t random = *(uint64_t *)data;
    while (!over) work_once(&random);
}
static void wait_in_vain(void *data) {
    (void)data;
    while (!over) {
        rr_scope scope = rr_scope_begin();
        void *room = NULL;
        rr_ref gate = rr_create(1, &room);
        if (!room) rr_sleep_ms(1); /* between two runs */
        else CHECK(is_fine(rr_call(shutdown_wait, gate), -1));
        rr_scope_end(scope);
    }
}

/* Bodies that were cancelled may still be returning when the runtime ends, and give up what they
   have only then: no leak. */
static atomic_bool gate_is_open;
REMOTE_FN(rr_bytes, shutdown_late, rr_bytes, b, int, how) {
    while (how && !rr_cancelled() && !gate_is_open) sched_yield();
    if (how == 2) rr_fail(1, "late");
    return b;
}
static void late_bodies(uint64_t *random) {
    enum { COUNT = 8 };
    fixture f = {.lock = PTHREAD_MUTEX_INITIALIZER};
    rr_config config = {.workers = 3, .report_leaks = true, .log = fixture_log, .log_data = &f};
    CHECK(rr_init(&config) == RR_OK);
    gate_is_open = false;
    rr_ref bytes = rr_put_bytes("what the bodies have", 21), calls[COUNT];
    for (int i = 0; i < COUNT; i++)
        calls[i] = rr_call(shutdown_late, bytes, (int)test_below(random, 3));
    rr_release(bytes);
    for (int i = 0; i < COUNT; i++) (void)rr_cancel(calls[i]), rr_release(calls[i]);
    gate_is_open = true;
    CHECK(rr_shutdown() == RR_OK);
    if (!CHECK(fixture_messages(&f) == 0)) fprintf(stderr, "%s", f.log);
}

static void one_round(uint64_t *random, int threads) {
    outside *others = calloc((size_t)threads + 1, sizeof *others);
    uint64_t *seeds = calloc((size_t)threads, sizeof *seeds);
    over = false;
    outside_start(&others[threads], NULL, wait_in_vain, NULL);
    for (int i = 0; i < threads; i++) {
        seeds[i] = test_random(random);
        outside_start(&others[i], NULL, work_until_over, &seeds[i]);
    }
    for (int run = 0; run < 6; run++) {
        fixture f = {.lock = PTHREAD_MUTEX_INITIALIZER};
        rr_config config = {.workers = 1 + (int)test_below(random, 3), .log = fixture_log};
        config.log_data = &f;
        submitted = 0;
        CHECK(rr_init(&config) == RR_OK);
        int wanted = (int)test_below(random, 60);
        while (submitted < wanted) rr_sleep_ms(1);
        uint64_t mine = test_random(random);
        if (wanted % 2) work_once(&mine);
        CHECK(rr_shutdown() == RR_OK);
        CHECK(born == dropped && f.errors == 0);
        if (f.errors) fprintf(stderr, "%s", f.log);
    }
    over = true;
    for (int i = 0; i <= threads; i++) outside_join(&others[i]);
    free(others), free(seeds);
    for (int run = 0; run < 20; run++) late_bodies(random);
}

int main(int argc, char **argv) {
    stress s = stress_begin(argc, argv, 3);
    for (uint64_t random; stress_next(&s, &random);) one_round(&random, s.threads);
    return stress_end(&s);
}
