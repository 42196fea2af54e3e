/* Guards against bodies that wait and take a thread, are buried under others, or go on where they
   may not: with one worker or few, and no thread beside them, whatever waits for whatever; more
   bodies at once than there are workers, when many are woken; what belongs to a body and is lost,
   or is another's, when it goes on on another thread; polling that keeps others from running. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include <stdatomic.h>
#include "test.h"
#include "fixture.h"

/* Each is a thread, or what ThreadSanitizer takes for one. */
#if defined(RR__STACKS_THREADS) || defined(THREAD_SANITIZED)
#define FEW_STACKS 1
#else
#define FEW_STACKS 0
#endif

static void nap(void) { nanosleep(&(struct timespec){0, 1000000}, NULL); } /* is not told */

typedef struct desk {
    atomic_int begun, inside, most, over;
    rr_actor actor;
    rr_ref refs[64];
} desk;
static desk *desk_at(uint64_t at) { return (desk *)(uintptr_t)at; }
#define AT(d) ((uint64_t)(uintptr_t)(d))
static int value_of(rr_ref r) {
    int v = 0;
    rr_status status = rr_get(int, r, &v);
    if (status != RR_OK)
        fprintf(stderr, "%s: %.300s\n", rr_status_name(status), rr_error_message(r));
    return status == RR_OK ? v : -1;
}
/* Each setting that is small enough for waits to bury each other. */
static const int settings[][2] = {{1, 1}, {1, 2}, {2, 2}, {2, 3}, {3, 3}, {3, 8}};
enum { SETTINGS = sizeof settings / sizeof *settings };
static void start(fixture *f, int setting) {
    fixture_start(f, (rr_config){.workers = settings[setting][0],
                                 .max_threads = settings[setting][1],
                                 .resources = {{"gpu", 1}}});
}

REMOTE_FN(int, fibers_wait, uint64_t, at, rr_ref, r) {
    if (at) desk_at(at)->begun++;
    return rr_get_void(r) == RR_OK ? 1 : -1;
}
REMOTE_FN(int, fibers_after, rr_ref, r) { return rr_get_void(r) == RR_OK ? 2 : -1; }
REMOTE_FN(int, fibers_same, int, v) { return v; }
typedef struct Gate {
    atomic_int n; /* of several at once */
} Gate;
REMOTE_ACTOR(Gate, create) { self->n = 0; }
REMOTE_METHOD(int, Gate, wait, uint64_t, at, rr_ref, r) {
    desk_at(at)->begun++;
    return rr_get_void(r) == RR_OK ? ++self->n : -1;
}
REMOTE_METHOD(int, Gate, quick) { return ++self->n; }

/* What needs what a waiter holds is begun while that waits, and the other way round. */
TEST(nobody_is_buried_under_what_waits_for_it) {
    for (int s = 0; s < SETTINGS; s++) {
        enum { MANY = 12 };
        fixture f;
        desk d = {.begun = 0};
        start(&f, s);
        rr_scope scope = rr_scope_begin();
        void *room;
        rr_ref gate = rr_create(1, &room), held[MANY], after[MANY];
        rr_actor one = rr_spawn(Gate_create);
        rr_actor crew = rr_spawn_with(RR_ACTOR_OPTIONS(.max_concurrency = 2), Gate_create);
        rr_options gpu = {.resources = {{"gpu", 1}}};
        held[0] = rr_ask(one, Gate_wait, AT(&d), gate),
        held[1] = rr_ask(crew, Gate_wait, AT(&d), gate);
        held[2] = rr_ask(crew, Gate_wait, AT(&d), gate);
        held[3] = rr_call_with(gpu, fibers_wait, AT(&d), gate);
        for (int i = 4; i < MANY; i++) held[i] = rr_call(fibers_wait, AT(&d), gate);
        CHECK(becomes(&d.begun, MANY));
        after[0] = rr_ask(one, Gate_quick), after[1] = rr_ask(crew, Gate_quick);
        after[2] = rr_ask(crew, Gate_quick), after[3] = rr_call_with(gpu, fibers_same, 5);
        for (int i = 4; i < MANY; i++) after[i] = rr_call(fibers_after, held[i]);
        rr_ref last[MANY];
        for (int i = 0; i < MANY; i++) last[i] = rr_call(fibers_after, after[i]);
        CHECK(rr_seal(gate) == RR_OK);
        for (int i = 0; i < MANY; i++) CHECK(value_of(last[i]) == 2 && value_of(held[i]) > 0);
        rr_scope_end(scope);
        fixture_stop(&f);
    }
}

TEST(ten_thousand_that_wait_take_no_thread) {
    enum { MANY = 10000 };
    fixture f;
    desk d = {.begun = 0};
    rr_stats stats;
    fixture_start(&f, (rr_config){.workers = 2});
    rr_ref *gates = calloc(MANY, sizeof *gates), *held = calloc(MANY, sizeof *held);
    void *room;
    int n = FEW_STACKS ? 200 : MANY;
    for (int i = 0; i < n; i++) gates[i] = rr_create(1, &room);
    for (int i = 0; i < n; i++) held[i] = rr_call(fibers_wait, AT(&d), gates[i]);
    CHECK(becomes(&d.begun, n));
    rr_get_stats(&stats);
    CHECK(stats.threads == 2);
    for (int i = 0; i < n; i++) {
        CHECK(rr_seal(gates[i]) == RR_OK && value_of(held[i]) == 1);
        rr_release(gates[i]), rr_release(held[i]);
    }
    free(gates), free(held);
    fixture_stop(&f);
}

/* Each waits for the one below it: deeper than a stack, and than there are threads. */
REMOTE_FN(int, fibers_deep, int, depth) {
    int v = 0;
    if (depth == 0) return 0;
    rr_ref below = rr_call(fibers_deep, depth - 1);
    return rr_get(int, below, &v) == RR_OK ? v + 1 : -1;
}
TEST(as_deep_as_there_is_memory) {
    for (int s = 0; s < SETTINGS; s++) {
        fixture f;
        start(&f, s);
        int depth = FEW_STACKS ? 500 : 5000;
        rr_ref r = rr_call(fibers_deep, depth);
        CHECK(value_of(r) == depth);
        rr_release(r);
        fixture_stop(&f);
    }
}

REMOTE_FN(int, fibers_count, uint64_t, at, rr_ref, gate) {
    desk *d = desk_at(at);
    d->begun++;
    rr_get_void(gate);
    int inside = ++d->inside, most = d->most;
    while (inside > most && !atomic_compare_exchange_weak(&d->most, &most, inside)) {
    }
    nap();
    d->inside--;
    return 1;
}
TEST(no_more_run_than_workers_when_many_are_woken) {
    for (int workers = 1; workers <= 3; workers++) {
        enum { MANY = 16 };
        fixture f;
        desk d = {.begun = 0};
        rr_ref refs[MANY];
        void *room;
        fixture_start(&f, (rr_config){.workers = workers});
        rr_ref gate = rr_create(1, &room);
        for (int i = 0; i < MANY; i++) refs[i] = rr_call(fibers_count, AT(&d), gate);
        CHECK(becomes(&d.begun, MANY) && rr_seal(gate) == RR_OK);
        for (int i = 0; i < MANY; i++) CHECK(value_of(refs[i]) == 1), rr_release(refs[i]);
        CHECK(d.most <= workers);
        rr_release(gate);
        fixture_stop(&f);
    }
}

/* The worker that it left is kept busy: another one goes on with it, at once. */
REMOTE_FN(int, fibers_busy, uint64_t, at) {
    desk_at(at)->begun++;
    while (!desk_at(at)->over) nap();
    return 1;
}
TEST(any_worker_goes_on) {
    fixture f;
    desk d = {.begun = 0};
    void *room;
    fixture_start(&f, (rr_config){.workers = 2});
    rr_ref gate = rr_create(1, &room), waits = rr_call(fibers_wait, AT(&d), gate);
    CHECK(becomes(&d.begun, 1));
    rr_ref busy = rr_call(fibers_busy, AT(&d));
    CHECK(becomes(&d.begun, 2) && rr_seal(gate) == RR_OK && value_of(waits) == 1);
    d.over = 1;
    CHECK(value_of(busy) == 1);
    rr_release(gate), rr_release(waits), rr_release(busy);
    fixture_stop(&f);
}

/* Scopes, views, messages of errors and choices of runtimes go with the body. */
REMOTE_FN(int, fibers_keeps, uint64_t, seed, int, n) {
    int bad = 0;
    uint64_t random = seed;
    for (int i = 0; i < n; i++) {
        rr_scope scope = rr_scope_begin();
        rr_bytes view = {0};
        rr_ref text = rr_put_bytes(&random, sizeof random), number = rr_put(int, i);
        bad += rr_get(rr_bytes, text, &view) != RR_OK;
        float wrong;
        bad += rr_get(float, number, &wrong) != RR_ERR_TYPE;
        if (i % 2) rr_sleep_ms(0);
        else bad += value_of(rr_call(fibers_same, i)) != i;
        rr_get_void(rr_call(fibers_after, number));
        bad += !strstr(rr_error_message(number), "float"); /* what this body was told last of it */
        bad += memcmp(view.data, &random, sizeof random) != 0;
        rr_scope_end(scope);
        test_random(&random);
    }
    return bad;
}
TEST(what_a_body_has_goes_with_it) {
    enum { MANY = 24 };
    fixture f;
    rr_ref refs[MANY];
    fixture_start(&f, (rr_config){.workers = 3});
    for (int i = 0; i < MANY; i++) refs[i] = rr_call(fibers_keeps, test_seed + (uint64_t)i, 40);
    for (int i = 0; i < MANY; i++) CHECK(value_of(refs[i]) == 0), rr_release(refs[i]);
    CHECK(objects_settle_at(0));
    fixture_stop(&f);
}

/* In another runtime it is a guest, and waits there as well without a thread of its own. */
REMOTE_FN(int, fibers_elsewhere, uint64_t, there, uint64_t, here) {
    rr_runtime_use((rr_runtime *)(uintptr_t)there);
    rr_scope scope = rr_scope_begin();
    int v = value_of(rr_call(fibers_deep, 3));
    rr_scope_end(scope);
    rr_runtime_use((rr_runtime *)(uintptr_t)here);
    return v + value_of(rr_call(fibers_same, 1));
}
TEST(waits_in_another_runtime) {
    enum { MANY = 20 };
    fixture f, g;
    rr_ref refs[MANY];
    fixture_start(&g, (rr_config){.workers = 1, .max_threads = 1});
    fixture_start(&f, (rr_config){.workers = 2, .max_threads = 2});
    for (int i = 0; i < MANY; i++)
        refs[i] = rr_call(fibers_elsewhere, AT(g.runtime), AT(f.runtime));
    for (int i = 0; i < MANY; i++) CHECK(value_of(refs[i]) == 4), rr_release(refs[i]);
    fixture_stop(&f);
    fixture_stop(&g);
}

/* The only worker looks again and again whether what only it can run is done. */
REMOTE_FN(int, fibers_polls, uint64_t, at, int, how) {
    desk *d = desk_at(at);
    int v = 0;
    double end = rr_now() + 60;
    rr_ref other = rr_call(fibers_busy, at);
    d->over = 1;
    while (how == 2 ? rr_wait(&other, 1, 1, 0, NULL) == 0
                    : rr_get_timeout(int, other, &v, how) == RR_ERR_TIMEOUT)
        if (rr_now() > end) return -1;
    return 1;
}
TEST(polling_lets_others_run) {
    for (int how = 0; how <= 2; how++) {
        fixture f;
        desk d = {.begun = 0};
        fixture_start(&f, (rr_config){.workers = 1, .max_threads = 1});
        rr_ref r = rr_call(fibers_polls, AT(&d), how);
        CHECK(value_of(r) == 1);
        rr_release(r);
        fixture_stop(&f);
    }
}

/* Blocking ends where a worker is free, and not before. */
REMOTE_FN(int, fibers_blocks, uint64_t, at) {
    desk *d = desk_at(at);
    rr_block_begin();
    d->begun++;
    nap();
    rr_block_end();
    int inside = ++d->inside, most = d->most;
    while (inside > most && !atomic_compare_exchange_weak(&d->most, &most, inside)) {
    }
    nap();
    d->inside--;
    return 1;
}
TEST(no_more_run_than_workers_when_they_blocked) {
    enum { MANY = 12 };
    fixture f;
    desk d = {.begun = 0};
    rr_ref refs[MANY];
    fixture_start(&f, (rr_config){.workers = 1});
    for (int i = 0; i < MANY; i++) refs[i] = rr_call(fibers_blocks, AT(&d));
    CHECK(rr_wait(refs, MANY, MANY, 60000, NULL) == MANY); /* with a limit: it runs none itself */
    for (int i = 0; i < MANY; i++) CHECK(value_of(refs[i]) == 1), rr_release(refs[i]);
    CHECK(d.most == 1);
    fixture_stop(&f);
}

/* A wait that is over as it begins takes no turn of other work. */
static atomic_int others;
REMOTE_FN(int, fibers_other, int, v) {
    others++;
    return v;
}
REMOTE_FN(int, fibers_waits_that_are_over, uint64_t, at, rr_stream, endless) {
    desk *d = desk_at(at);
    rr_ref r;
    int before;
    for (int i = 0; i < 3; i++) d->refs[i] = rr_keep(rr_call(fibers_other, i));
    before = others;
    rr_sleep_ms(0);
    d->begun = 1;
    while (!rr_cancelled()) nap();
    double start = rr_now();
    rr_sleep_ms(30000);
    d->inside = rr_next(endless, &r) == RR_ERR_CANCELLED && rr_now() - start < 20;
    d->most = others - before;
    d->over = 1;
    return 0;
}
REMOTE_STREAM(int, fibers_endless, int, v) {
    while (!rr_cancelled()) rr_sleep_ms(5);
    (void)v;
}
TEST(waits_that_are_over_keep_their_worker) {
    fixture f;
    static desk d;
    d = (desk){.begun = 0}, others = 0;
    START(&f, .workers = 1);
    rr_stream endless = rr_call_stream(fibers_endless, 0);
    rr_ref r = rr_call(fibers_waits_that_are_over, AT(&d), endless);
    while (!d.begun) nap();
    CHECK(rr_cancel_alone(r) == RR_OK);
    while (!d.over) nap();
    for (int i = 0; i < 3; i++) CHECK(rr_get_void(d.refs[i]) == RR_OK);
    CHECK(d.most == 0 && d.inside);
    for (int i = 0; i < 3; i++) rr_release(d.refs[i]);
    rr_release(r), rr_release(endless);
    CHECK(objects_settle_at(0));
    fixture_stop(&f);
}

/* A body that needs much stack finds it, on top of others, and from a thread that has little. */
REMOTE_FN(int, fibers_deep_stack, int, depth) {
    volatile char much[192 << 10];
    much[0] = (char)depth, much[sizeof much - 1] = 1;
    if (depth == 0) return 1;
    rr_ref below = rr_call(fibers_deep_stack, depth - 1);
    return value_of(below) + much[sizeof much - 1] * (much[0] == (char)depth);
}
static void *little_stack(void *runtime) {
    rr_runtime_use(runtime);
    rr_ref r = rr_call(fibers_deep_stack, 20);
    int v = value_of(r);
    rr_release(r);
    rr_runtime_use(NULL);
    return v == 21 ? runtime : NULL;
}
TEST(each_finds_its_stack) {
    fixture f;
    pthread_t thread;
    pthread_attr_t attributes;
    void *result = NULL;
    fixture_start(&f, (rr_config){.workers = 1});
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstacksize(&attributes, 128 << 10) == 0);
    CHECK(pthread_create(&thread, &attributes, little_stack, f.runtime) == 0);
    CHECK(pthread_join(thread, &result) == 0 && result == f.runtime);
    pthread_attr_destroy(&attributes);
    fixture_stop(&f);
}

typedef struct bulky {
    char bytes[200 << 10];
} bulky;
REMOTE_FN(bulky, fibers_bulky, int, v) {
    static const bulky none;
    return (void)v, none;
}
TEST(struct_that_no_stack_holds_is_refused) {
    fixture f;
    fixture_start(&f, (rr_config){.workers = 1});
    rr_ref r = rr_call(fibers_bulky, 1);
    CHECK(rr_get_void(r) == RR_ERR_INVALID && strstr(rr_error_message(r), "stack_bytes"));
    rr_release(r);
    fixture_stop(&f);
    fixture_start(&f, (rr_config){.workers = 1, .stack_bytes = 1 << 20});
    r = rr_call(fibers_bulky, 1);
    CHECK(rr_get_void(r) == RR_OK);
    rr_release(r);
    fixture_stop(&f);
}

int main(int argc, char **argv) { return test_main(argc, argv); }
