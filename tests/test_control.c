/* Guards deadlines, cancelling and retries: each outcome comes at once and stays, what a task has
   called goes with it, nobody behind it is held back, and neither timers nor memory are left. */
#define _GNU_SOURCE
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"

/* What a test shares with its bodies, which get its address as a number. */
typedef struct desk {
    fixture f;
    atomic_int begun, told, ended, runs, status, count;
    atomic_bool open;
    atomic_bool has_refs; /* those below are there */
    rr_ref refs[3];
    rr_actor actor; /* released at the end */
    rr_stats stats; /* as they were at the end */
} desk;
static desk *desk_at(uint64_t at) { return (desk *)(uintptr_t)at; }
#define AT(d) ((uint64_t)(uintptr_t)(d))
#define REFS(...) ((rr_ref[]){__VA_ARGS__, {0, 0, 0}})
#define NONE REFS({0, 0, 0})
static void nap(void) { nanosleep(&(struct timespec){0, 1000000}, NULL); } /* is not told */

/* Ends within 20 s; says how, and that it says the same twice. Runs nothing itself. */
static rr_status outcome(rr_ref r) {
    CHECK(rr_wait(&r, 1, 1, 20000, NULL) == 1);
    rr_status first = rr_get_void(r), second = rr_get_void(r);
    CHECK(first == second);
    return first;
}
static bool gives(rr_ref r, int wanted) {
    int v = -1;
    return rr_get(int, r, &v) == RR_OK && v == wanted;
}
/* The timers of tasks. */
static size_t promises(rr_runtime *rt) { return rt->timers->heap.promised - rt->timers->reserved; }
static bool timers_settle_at(rr_runtime *rt, size_t wanted) {
    size_t n = wanted + 1;
    for (int i = 0; n != wanted && i < 10000; i++) {
        if (i) nap();
        rr__lock(&rt->timers->lock);
        n = rt->timers->heap.count - (rt->timers->sweep.at != 0) - (rt->timers->look.at != 0);
        rr__unlock(&rt->timers->lock);
    }
    return n == wanted;
}
/* Nothing lives, nothing is set, and each task was counted once. */
static void comes_to_rest(desk *d) {
    rr_stats s;
    CHECK(objects_settle_at(0) && actors_settle_at(0) && timers_settle_at(d->f.runtime, 0));
    for (int i = 0; i < 5000; i++) {
        rr_get_stats(&s);
        if (s.tasks_submitted == s.tasks_finished + s.tasks_failed) break;
        nap();
    }
    CHECK(s.tasks_submitted == s.tasks_finished + s.tasks_failed && s.store_bytes_used == 0);
    d->stats = s;
}
static void begin(desk *d, int workers) {
    memset(d, 0, sizeof *d);
    d->status = -1;
    START(&d->f, .workers = workers);
}
/* Releases the references up to a null one; nothing may be left then. */
static void end(desk *d, const rr_ref *refs) {
    while (refs->id) rr_release(*refs++);
    if (d->actor.id) rr_release(d->actor);
    comes_to_rest(d);
    fixture_stop(&d->f);
}

REMOTE_FN(int, control_add, int, a, int, b) { return a + b; }
REMOTE_FN(int, control_count, uint64_t, at, int, v) {
    desk_at(at)->runs++;
    return v;
}
REMOTE_FN(int, control_size, uint64_t, at, rr_bytes, b) {
    desk_at(at)->runs++;
    return (int)b.size;
}
/* Keeps its worker until the desk opens, or until it is told. */
REMOTE_FN(int, control_hold, uint64_t, at) {
    desk *d = desk_at(at);
    d->begun++;
    while (!d->open && !rr_cancelled()) nap();
    d->told += rr_cancelled();
    d->ended++;
    return 7;
}
/* Does not care. */
REMOTE_FN(int, control_deaf, uint64_t, at) {
    desk *d = desk_at(at);
    d->begun++;
    while (!d->open) nap();
    d->told += rr_cancelled();
    d->ended++;
    return 7;
}
REMOTE_FN(int, control_sleep, uint64_t, at, int64_t, ms) {
    desk *d = desk_at(at);
    d->begun++;
    rr_sleep_ms(ms);
    d->told += rr_cancelled();
    d->ended++;
    return 7;
}

typedef struct Log {
    int n, seen[16];
} Log;
REMOTE_ACTOR(Log, create) { self->n = 0; }
REMOTE_METHOD(int, Log, add, int, v) {
    if (self->n < 16) self->seen[self->n++] = v;
    return v;
}
REMOTE_METHOD(int, Log, size, rr_bytes, b) { return Log_add(self, (int)b.size); }
REMOTE_METHOD(Log, Log, read) { return *self; }
REMOTE_METHOD(int, Log, hold, uint64_t, at) {
    (void)self;
    return control_hold(at);
}
/* A method that calls a task and waits for it. */
REMOTE_METHOD(int, Log, pass, uint64_t, at) {
    int v = 0;
    (void)self;
    rr_get(int, rr_call(control_sleep, at, 60000), &v);
    return v;
}
static bool log_is(rr_actor a, int n, const int *wanted) {
    Log log = {0};
    rr_ref asked = rr_ask(a, Log_read);
    CHECK(rr_get(Log, asked, &log) == RR_OK);
    rr_release(asked);
    return CHECK(log.n == n && (n == 0 || !memcmp(log.seen, wanted, (size_t)n * sizeof *wanted)));
}

/* ---- deadlines ---- */

TEST(deadline_tells_the_body_and_fails_the_reference) {
    desk d;
    begin(&d, 2);
    double start = rr_now();
    rr_ref r = rr_call_with(RR_OPTIONS(.timeout_ms = 20), control_hold, AT(&d));
    CHECK(outcome(r) == RR_ERR_TIMEOUT && rr_now() - start > 0.019 && rr_now() - start < 5);
    CHECK(becomes(&d.ended, 1) && d.told == 1);
    CHECK(strstr(rr_error_message(r), "control_hold") && rr_error_code(r) == 0);
    CHECK(outcome(r) == RR_ERR_TIMEOUT && rr_cancel(r) == RR_ERR_INVALID);
    end(&d, REFS(r));
}

TEST_ALONE(deadline_fires_soon_after_its_time) {
    desk d;
    begin(&d, 1);
    double least = 10;
    for (int i = 0; i < 5; i++) {
        double start = rr_now();
        rr_ref r = rr_call_with(RR_OPTIONS(.timeout_ms = 10), control_sleep, AT(&d), 60000);
        CHECK(outcome(r) == RR_ERR_TIMEOUT);
        double late = rr_now() - start - 0.01;
        if (late < least) least = late;
        rr_release(r);
    }
    if (!CHECK(least >= -1e-4 && least < 0.5)) fprintf(stderr, "late by %g s\n", least);
    CHECK(becomes(&d.ended, 5) && d.told == 5);
    end(&d, NONE);
}

TEST(deadline_behind_a_held_worker) {
    desk d, other = {.begun = 0};
    begin(&d, 1);
    rr_ref held = rr_call(control_hold, AT(&d));
    CHECK(becomes(&d.begun, 1));
    rr_ref r = rr_call_with(RR_OPTIONS(.timeout_ms = 20), control_count, AT(&other), 1);
    CHECK(outcome(r) == RR_ERR_TIMEOUT && !d.open && d.ended == 0);
    d.open = true;
    CHECK(outcome(held) == RR_OK);
    end(&d, REFS(r, held));
    CHECK(other.runs == 0);
}

TEST(deadline_while_an_argument_is_missing) {
    desk d;
    begin(&d, 1);
    rr_ref gate = unsealed(1);
    rr_ref r = rr_call_with(RR_OPTIONS(.timeout_ms = 20), control_size, AT(&d), gate);
    rr_ref next = rr_call(control_count, AT(&d), r);
    CHECK(outcome(r) == RR_ERR_TIMEOUT && outcome(next) == RR_ERR_TIMEOUT);
    CHECK(strstr(rr_error_message(next), "its argument 2 'control_size' failed"));
    CHECK(rr_seal(gate) == RR_OK && outcome(r) == RR_ERR_TIMEOUT);
    end(&d, REFS(r, next, gate));
    CHECK(d.runs == 0);
}

TEST(deadlines_that_are_kept_leave_no_timer) {
    desk d;
    begin(&d, 2);
    rr_ref refs[300];
    rr_options options[3] = {{.timeout_ms = 600000},
                             {.timeout_ms = INT64_MAX},
                             {.timeout_ms = 300000, .max_retries = 3}};
    for (int i = 0; i < 300; i++) refs[i] = rr_call_with(options[i % 3], control_count, AT(&d), i);
    for (int i = 0; i < 300; i++) CHECK(gives(refs[i], i)), rr_release(refs[i]);
    CHECK(d.runs == 300);
    end(&d, NONE);
}

TEST(deadline_cancels_what_the_body_called) {
    desk d;
    begin(&d, 2);
    rr_actor a = d.actor = rr_spawn(Log_create);
    REMOTE_FN_DECLARE(int, control_family, uint64_t, at, rr_actor, a);
    rr_ref r = rr_call_with(RR_OPTIONS(.timeout_ms = 50), control_family, AT(&d), a);
    CHECK(outcome(r) == RR_ERR_TIMEOUT);
    end(&d, REFS(r));
    CHECK(d.told == d.begun && d.runs == 0);
}

TEST_ALONE(hundred_thousand_deadlines_in_random_order) {
    enum { COUNT = 100000 };
    desk d;
    uint64_t random = test_seed;
    begin(&d, 2);
    static rr_ref refs[COUNT];
    rr_ref gate = unsealed(1);
    for (int i = 0; i < COUNT; i++) {
        int64_t ms = 1 + (int64_t)test_below(&random, 100);
        refs[i] = rr_call_with(RR_OPTIONS(.timeout_ms = ms), control_size, AT(&d), gate);
    }
    CHECK(rr_wait(refs, COUNT, COUNT, 30000, NULL) == COUNT);
    int late = 0;
    for (int i = 0; i < COUNT; i++) late += rr_get_void(refs[i]) == RR_ERR_TIMEOUT;
    CHECK(late == COUNT && timers_settle_at(d.f.runtime, 0));
    CHECK(rr_seal(gate) == RR_OK);
    for (int i = 0; i < COUNT; i++) rr_release(refs[i]);
    end(&d, REFS(gate));
    CHECK(d.runs == 0);
}

/* The heap by itself: random operations, compared with an array that is searched. */
static void heap_check(const rr__heap *heap, const rr__entry *entries, const bool *in, size_t n) {
    size_t count = 0, least = n;
    for (size_t i = 0; i < n; i++) {
        CHECK(in[i] ? entries[i].at >= 1 && entries[i].at <= heap->count &&
                          heap->entries[entries[i].at] == &entries[i]
                    : entries[i].at == 0);
        count += in[i];
        if (in[i] && (least == n || rr__entry_before(&entries[i], &entries[least]))) least = i;
    }
    CHECK(count == heap->count);
    CHECK(rr__heap_first(heap) == (count ? &entries[least] : NULL));
    for (size_t at = 2; at <= heap->count; at++)
        CHECK(rr__entry_before(heap->entries[(at + 2) / 4], heap->entries[at]));
}
TEST(heap_against_a_model) {
    enum { ENTRIES = 200, STEPS = 6000 };
    uint64_t random = test_seed;
    rr__entry entries[ENTRIES] = {0}, *first;
    bool in[ENTRIES] = {0};
    rr__heap heap = {0};
    for (int i = 0; i < ENTRIES; i++) CHECK(rr__heap_promise(&heap, 1));
    for (int step = 0; step < STEPS; step++) {
        size_t i = test_below(&random, ENTRIES);
        bool drains = step % 2000 > 1500; /* mostly fills, mostly empties */
        if (in[i]) rr__heap_remove(&heap, &entries[i]), in[i] = false;
        else if (!drains || test_below(&random, 8) == 0)
            rr__heap_add(&heap, &entries[i], (double)test_below(&random, 50)), in[i] = true;
        if (step % 7 == 0) heap_check(&heap, entries, in, ENTRIES);
    }
    for (const rr__entry *before = NULL; (first = rr__heap_first(&heap)); before = first) {
        CHECK(!before || rr__entry_before(before, first)); /* again and again, is sorting */
        rr__heap_remove(&heap, first);
    }
    RR_FREE(heap.entries);
}

/* ---- cancelling what has not begun ---- */

TEST(cancel_queued_task_never_runs) {
    desk d;
    begin(&d, 1);
    rr_ref held = rr_call(control_hold, AT(&d)), refs[10];
    CHECK(becomes(&d.begun, 1));
    for (int i = 0; i < 10; i++)
        refs[i] = i % 2 ? rr_call(control_count, AT(&d), i)
                        : rr_call_with(RR_OPTIONS(.timeout_ms = 60000, .max_retries = 1),
                                       control_count, AT(&d), i);
    for (int i = 0; i < 10; i += 3) {
        CHECK(rr_cancel(refs[i]) == RR_OK && rr_ready(refs[i]));
        CHECK(outcome(refs[i]) == RR_ERR_CANCELLED && rr_cancel(refs[i]) == RR_ERR_INVALID);
        CHECK(strstr(rr_error_message(refs[i]), "control_count") && rr_error_code(refs[i]) == 0);
    }
    d.open = true;
    for (int i = 0; i < 10; i++)
        CHECK(outcome(refs[i]) == (i % 3 ? RR_OK : RR_ERR_CANCELLED)), rr_release(refs[i]);
    end(&d, REFS(held));
    CHECK(d.runs == 6);
}

TEST(cancel_task_that_waits_for_arguments) {
    desk d;
    begin(&d, 1);
    rr_ref gate = unsealed(1), late = rr_call(control_size, AT(&d), gate);
    rr_ref next = rr_call(control_add, 1, late), last = rr_call(control_add, next, late);
    CHECK(rr_cancel(late) == RR_OK && outcome(late) == RR_ERR_CANCELLED);
    CHECK(outcome(next) == RR_ERR_CANCELLED && outcome(last) == RR_ERR_CANCELLED);
    const char *chain = rr_error_message(last),
               *part[4] = {"'control_add' failed: its argument 1 'control_add' failed",
                           "its argument 2", "'control_size' failed",
                           rr_status_text(RR_ERR_CANCELLED)};
    for (int i = 0; i < 4; i++)
        if (!CHECK(strstr(chain, part[i]))) fprintf(stderr, "no %s in %s\n", part[i], chain);
    CHECK(rr_seal(gate) == RR_OK);
    end(&d, REFS(gate, late, next, last));
    CHECK(d.runs == 0);
}

TEST(cancel_head_of_a_long_chain) {
    enum { COUNT = 50000 };
    desk d;
    begin(&d, 1);
    rr_scope scope = rr_scope_begin();
    rr_ref gate = unsealed(1), head = rr_call(control_size, AT(&d), gate), last = head;
    for (int i = 0; i < COUNT; i++) last = rr_call(control_add, last, 1);
    CHECK(rr_cancel(head) == RR_OK && outcome(last) == RR_ERR_CANCELLED);
    CHECK(strstr(rr_error_message(last), "'control_size' failed"));
    CHECK(rr_seal(gate) == RR_OK);
    rr_scope_end(scope);
    end(&d, NONE);
}

TEST(cancel_part_of_a_gather) {
    desk d;
    begin(&d, 1);
    rr_ref gate = unsealed(1), parts[3];
    for (int i = 0; i < 3; i++) parts[i] = rr_call(control_size, AT(&d), gate);
    rr_ref all = rr_gather(parts, 3);
    CHECK(rr_cancel(all) == RR_ERR_INVALID);
    CHECK(rr_cancel(parts[1]) == RR_OK && !rr_ready(all));
    CHECK(rr_seal(gate) == RR_OK && outcome(all) == RR_ERR_CANCELLED);
    CHECK(strstr(rr_error_message(all), "its part 2 ") && outcome(parts[2]) == RR_OK);
    CHECK(rr_cancel(all) == RR_ERR_INVALID);
    end(&d, REFS(parts[0], parts[1], parts[2], gate, all));
    CHECK(d.runs == 2);
}

TEST(cancel_what_cannot_be) {
    desk d, other;
    begin(&d, 1);
    rr_ref put = rr_put(int, 3), gate = unsealed(1), good = rr_call(control_add, 1, 2);
    rr_ref bad = rr_call_named("control_add", RR_VALUE(int, 1)), gone = rr_put(int, 1);
    rr_release(gone);
    CHECK(outcome(good) == RR_OK && rr_cancel(good) == RR_ERR_INVALID);
    CHECK(strstr(rr_error_message(good), "control_add"));
    CHECK(rr_cancel_alone(good) == RR_ERR_INVALID && gives(good, 3));
    CHECK(rr_cancel(bad) == RR_ERR_INVALID && outcome(bad) == RR_ERR_ARITY);
    CHECK(rr_cancel(put) == RR_ERR_INVALID && gives(put, 3));
    CHECK(rr_cancel(gate) == RR_ERR_INVALID && rr_seal(gate) == RR_OK);
    CHECK(rr_cancel((rr_ref){0}) == RR_ERR_STALE && rr_cancel(gone) == RR_ERR_STALE);
    CHECK(rr_cancel_alone((rr_ref){0}) == RR_ERR_STALE);
    rr_runtime *mine = rr_runtime_use(NULL);
    CHECK(rr_cancel(good) == RR_ERR_NOT_RUNNING && !rr_cancelled() && rr_attempt() == 0);
    begin(&other, 1);
    CHECK(rr_cancel(good) == RR_ERR_STALE);
    end(&other, NONE);
    rr_runtime_use(mine);
    end(&d, REFS(put, gate, good, bad));
}

/* ---- cancelling what runs ---- */

TEST(cancel_running_body_that_looks) {
    desk d;
    begin(&d, 1);
    rr_ref r = rr_call(control_hold, AT(&d)), next = rr_call(control_add, r, 1);
    CHECK(becomes(&d.begun, 1) && rr_cancel(r) == RR_OK && rr_ready(r));
    CHECK(outcome(r) == RR_ERR_CANCELLED && outcome(next) == RR_ERR_CANCELLED);
    CHECK(rr_cancel(r) == RR_ERR_INVALID && rr_cancel_alone(r) == RR_ERR_INVALID);
    CHECK(becomes(&d.ended, 1) && d.told == 1);
    end(&d, REFS(r, next));
    CHECK(d.stats.tasks_finished == 0 && d.stats.tasks_failed == 2);
}

TEST(cancelled_reference_does_not_wait_for_the_body) {
    desk d;
    begin(&d, 1);
    rr_ref r = rr_call(control_deaf, AT(&d));
    CHECK(becomes(&d.begun, 1) && rr_cancel(r) == RR_OK);
    CHECK(outcome(r) == RR_ERR_CANCELLED && d.ended == 0);
    d.open = true;
    CHECK(becomes(&d.ended, 1) && outcome(r) == RR_ERR_CANCELLED && d.told == 1);
    end(&d, REFS(r));
}

TEST(cancelled_reference_wakes_those_who_wait) {
    desk d;
    begin(&d, 2);
    rr_ref r = rr_call(control_hold, AT(&d));
    REMOTE_FN_DECLARE(int, control_status, uint64_t, at, rr_ref, r);
    rr_ref waiter = rr_call(control_status, AT(&d), r);
    CHECK(becomes(&d.begun, 2) && rr_cancel(r) == RR_OK);
    CHECK(outcome(waiter) == RR_OK && d.status == RR_ERR_CANCELLED);
    end(&d, REFS(r, waiter));
}
REMOTE_FN(int, control_status, uint64_t, at, rr_ref, r) {
    desk_at(at)->begun++;
    int v = 0;
    desk_at(at)->status = (int)rr_get(int, r, &v);
    return 1;
}

TEST(cancel_sleeping_body_wakes_it) {
    desk d;
    begin(&d, 1);
    double start = rr_now();
    rr_ref r = rr_call(control_sleep, AT(&d), 60000);
    CHECK(becomes(&d.begun, 1));
    rr_sleep_ms(5); /* so that it sleeps, most likely */
    CHECK(rr_cancel(r) == RR_OK && outcome(r) == RR_ERR_CANCELLED);
    CHECK(becomes(&d.ended, 1) && d.told == 1 && rr_now() - start < 20);
    end(&d, REFS(r));
}

/* Results that are dropped: of each kind that has something to free. */
typedef struct wide {
    char bytes[3000];
} wide;
static void until_open(uint64_t at) {
    desk_at(at)->begun++;
    while (!desk_at(at)->open) nap();
}
REMOTE_FN(wide, control_wide, uint64_t, at) {
    wide w = {"w"};
    until_open(at);
    return w;
}
REMOTE_FN(rr_bytes, control_room, uint64_t, at, int, size, int, used) {
    char *room = rr_result((size_t)size);
    if (room) memset(room, 1, (size_t)size);
    until_open(at);
    return rr_bytes_of(room, (size_t)used);
}
REMOTE_FN(rr_bytes, control_copy, uint64_t, at) {
    static const char bytes[100000];
    until_open(at);
    return rr_bytes_of(bytes, sizeof bytes);
}
REMOTE_FN(rr_ref, control_ref, uint64_t, at) {
    rr_ref r = rr_put_bytes("text", 4);
    until_open(at);
    return r;
}
REMOTE_FN(rr_actor, control_actor, uint64_t, at) {
    until_open(at);
    return rr_spawn(Log_create);
}
REMOTE_FN(int, control_error, uint64_t, at) {
    until_open(at);
    rr_fail(4, "a message that nobody reads");
    return 0;
}
TEST(cancelled_results_are_dropped) {
    enum { COUNT = 8 };
    desk d;
    begin(&d, COUNT);
    rr_ref refs[COUNT] = {rr_call(control_wide, AT(&d)),
                          rr_call(control_room, AT(&d), 3000, 3000),
                          rr_call(control_room, AT(&d), 2000000, 1000),
                          rr_call(control_copy, AT(&d)),
                          rr_call(control_ref, AT(&d)),
                          rr_call(control_actor, AT(&d)),
                          rr_call(control_error, AT(&d)),
                          rr_call_with(RR_OPTIONS(.max_retries = 5), control_error, AT(&d))};
    CHECK(becomes(&d.begun, COUNT));
    for (int i = 0; i < COUNT; i++) CHECK(rr_cancel(refs[i]) == RR_OK);
    d.open = true;
    for (int i = 0; i < COUNT; i++) CHECK(outcome(refs[i]) == RR_ERR_CANCELLED);
    for (int i = 0; i < COUNT; i++) rr_release(refs[i]);
    comes_to_rest(&d);
    CHECK(d.begun == COUNT && fixture_messages(&d.f) == 0);
    end(&d, NONE);
    CHECK(d.stats.tasks_failed >= COUNT && d.stats.tasks_finished <= 1);
}

/* ---- what was decided while it waits for an object that is never there ---- */

REMOTE_FN(long, looks_at, rr_bytes, b) { return (long)b.size; }
typedef struct Looker {
    long looks;
} Looker;
REMOTE_ACTOR(Looker, create) { self->looks = 0; }
REMOTE_METHOD(long, Looker, look, rr_bytes, b) { return ++self->looks + (long)b.size; }

/* In either order: its list goes with the last handle of the object. */
static void never_there(rr_ref waits, rr_ref gate, rr_status wanted, bool gate_first) {
    if (gate_first) rr_release(gate);
    CHECK(rr_get_void(waits) == wanted);
    rr_release(waits);
    if (!gate_first) rr_release(gate);
    CHECK(objects_settle_at(0) && actors_settle_at(0));
}
TEST(cancelled_before_its_argument_goes_unsealed) {
    fixture f;
    START(&f, .workers = 2);
    for (int i = 0; i < 2; i++) {
        void *room;
        rr_ref gate = rr_create(8, &room), waits = rr_call(looks_at, gate);
        rr_cancel(waits);
        never_there(waits, gate, RR_ERR_CANCELLED, i);

        gate = rr_create(8, &room);
        waits = rr_call_with(RR_OPTIONS(.timeout_ms = 2), looks_at, gate);
        CHECK(rr_get_void(waits) == RR_ERR_TIMEOUT);
        never_there(waits, gate, RR_ERR_TIMEOUT, i);

        rr_actor actor = rr_spawn(Looker_create);
        gate = rr_create(8, &room), waits = rr_ask(actor, Looker_look, gate);
        rr_release(actor);
        rr_cancel(waits);
        never_there(waits, gate, RR_ERR_CANCELLED, i);

        actor = rr_spawn(Looker_create);
        gate = rr_create(8, &room), waits = rr_ask(actor, Looker_look, gate);
        rr_kill(actor);
        rr_release(actor);
        never_there(waits, gate, RR_ERR_ACTOR_DEAD, i);
    }
    fixture_stop(&f);
}

/* Waits of a body that is cancelled. */
typedef enum way { GET, GET_LIMIT, WAIT_ALL, WAIT_ANY, WAIT_LIMIT, GET_GATHER, WAYS } way;
REMOTE_FN(int, control_wait, uint64_t, at, int, way, rr_ref, gate) {
    desk *d = desk_at(at);
    rr_bytes view = {"x", 1};
    rr_many many;
    rr_ref both[2] = {gate, gate};
    size_t n = 9;
    d->begun++;
    double start = rr_now();
    switch ((enum way)way) {
    case GET:
        d->status = (int)rr_get(rr_bytes, gate, &view);
        break;
    case GET_LIMIT:
        d->status = (int)rr_get_timeout(rr_bytes, gate, &view, 60000);
        break;
    case WAIT_ALL:
        n = rr_wait(both, 2, 2, -1, NULL);
        break;
    case WAIT_ANY:
        n = rr_wait(both, 2, 1, -1, NULL);
        break;
    case WAIT_LIMIT:
        n = rr_wait(both, 2, 1, 60000, NULL);
        break;
    default:
        d->status = (int)rr_get(rr_many, rr_gather(both, 2), &many);
    }
    if (way <= GET_LIMIT) CHECK(!view.data && !view.size);
    if (n != 9) CHECK(n == 0), d->status = RR_ERR_CANCELLED;
    d->told += rr_cancelled() && rr_now() - start < 20;
    d->ended++;
    return 1;
}
static void cancel_waiting(bool first) {
    for (int way = 0; way < WAYS; way++) {
        desk d;
        begin(&d, 2);
        rr_ref gate = unsealed(1), r = rr_call(control_wait, AT(&d), way, gate);
        CHECK(becomes(&d.begun, 1));
        if (!first) rr_sleep_ms(3); /* so that it waits already, most likely */
        CHECK(rr_cancel(r) == RR_OK && becomes(&d.ended, 1));
        if (!CHECK(d.status == RR_ERR_CANCELLED && d.told == 1))
            fprintf(stderr, "way %d: %d\n", way, d.status);
        CHECK(outcome(r) == RR_ERR_CANCELLED && rr_seal(gate) == RR_OK);
        end(&d, REFS(r, gate));
    }
}
TEST(cancel_waiting_body_wakes_it) { cancel_waiting(false); }
TEST(cancel_body_that_is_about_to_wait) { cancel_waiting(true); }

/* Its waits return at once: they do not run what they wait for instead. */
REMOTE_FN(int, control_idle, uint64_t, at, int, way, rr_ref, x) {
    desk *d = desk_at(at);
    int v = 0;
    d->begun++;
    while (!rr_cancelled() || !d->open) nap();
    if (way == GET) d->status = (int)rr_get(int, x, &v);
    else if (way == GET_LIMIT) d->status = (int)rr_get_timeout(int, x, &v, 60000);
    else d->status = rr_wait(&x, 1, 1, -1, NULL) == 0 ? RR_ERR_CANCELLED : RR_OK;
    d->count = d->runs; /* so many have run before the wait was over */
    d->ended++;
    return 1;
}
TEST(waits_of_a_cancelled_body_run_nothing) {
    for (int way = 0; way < 6; way++) {
        desk d;
        begin(&d, 1);
        rr_scope scope = rr_scope_begin();
        rr_ref gate = unsealed(1), x = rr_call(control_size, AT(&d), gate);
        if (way >= 3) x = rr_call(control_add, x, 1); /* what it waits for waits itself */
        rr_ref r = rr_call(control_idle, AT(&d), way % 3, x);
        CHECK(becomes(&d.begun, 1) && rr_cancel(r) == RR_OK && rr_seal(gate) == RR_OK);
        d.open = true; /* the only worker is busy with r, so x is queued or waits for that */
        CHECK(becomes(&d.ended, 1));
        if (!CHECK(d.status == RR_ERR_CANCELLED && d.count == 0))
            fprintf(stderr, "way %d: status %d, %d have run\n", way, d.status, d.count);
        CHECK(outcome(x) == RR_OK);
        rr_scope_end(scope);
        end(&d, NONE);
    }
}

/* What a cancelled body starts. */
REMOTE_FN(int, control_starts, uint64_t, at, rr_actor, a, bool, alone) {
    desk *d = desk_at(at);
    int v = 5, wrong = 0;
    d->begun++;
    while (!rr_cancelled()) nap();
    rr_ref refs[3] = {
        rr_call(control_count, at, 1), rr_ask(a, Log_add, 5),
        rr_call_with(RR_OPTIONS(.timeout_ms = 60000, .max_retries = 3), control_count, at, 1)};
    wrong += rr_tell(a, Log_add, 6) != (alone ? RR_OK : RR_ERR_CANCELLED);
    for (int i = 0; i < 3 && !alone; i++)
        wrong += !rr_ready(refs[i]) || rr_get(int, refs[i], &v) != RR_ERR_CANCELLED || v != 0;
    if (!alone) wrong += rr_unwrap(int, refs[0]) != 0 || rr_unwrap(int, rr_put(int, 3)) != 3;
    d->told += wrong == 0 && rr_cancelled();
    d->ended++;
    return 1;
}
TEST(calls_of_a_cancelled_body_are_cancelled) {
    desk d;
    begin(&d, 2);
    rr_actor a = d.actor = rr_spawn(Log_create);
    rr_ref r = rr_call(control_starts, AT(&d), a, false);
    CHECK(becomes(&d.begun, 1) && rr_cancel(r) == RR_OK);
    CHECK(becomes(&d.ended, 1) && d.told == 1);
    rr_release(r);
    CHECK(objects_settle_at(0) && log_is(a, 0, NULL) && d.runs == 0);
    end(&d, NONE);
}

REMOTE_FN(int, control_unwraps, uint64_t, at, rr_ref, gate) {
    desk_at(at)->begun++;
    rr_ref child = rr_call(control_size, at, gate);
    int v = rr_unwrap(int, child); /* zero, instead of the end of the program */
    rr_bytes view = rr_unwrap(rr_bytes, gate);
    desk_at(at)->told += rr_cancelled() && v == 0 && !view.data && !view.size;
    desk_at(at)->ended++;
    return v;
}
TEST(unwrap_in_a_cancelled_body_is_zeros) {
    desk d;
    begin(&d, 1);
    rr_ref gate = unsealed(1), r = rr_call(control_unwraps, AT(&d), gate);
    CHECK(becomes(&d.begun, 1));
    rr_sleep_ms(2);
    CHECK(rr_cancel(r) == RR_OK && becomes(&d.ended, 1) && d.told == 1);
    CHECK(rr_seal(gate) == RR_OK);
    end(&d, REFS(gate, r));
    CHECK(d.runs == 0);
}

/* A body with everything: tasks that run and queue, a message that queues, one whose method calls a
   task, and a child that has such children itself. */
REMOTE_FN(int, control_child, uint64_t, at, rr_actor, a) {
    int v = 0;
    rr_call(control_sleep, at, 60000);
    rr_ref asked = rr_ask(a, Log_pass, at);
    rr_get(int, asked, &v);
    return v;
}
REMOTE_FN(int, control_family, uint64_t, at, rr_actor, a) {
    rr_ref refs[3] = {rr_call(control_child, at, a), rr_call(control_sleep, at, 60000),
                      rr_ask(a, Log_pass, at)};
    rr_tell(a, Log_pass, at);
    rr_ref next = rr_call(control_count, at, refs[1]);
    rr_wait(refs, 3, 3, -1, NULL);
    int v = 0;
    rr_get(int, next, &v);
    return v;
}
TEST(cancel_tree_of_work_across_actors) {
    for (int workers = 1; workers <= 4; workers++) {
        desk d;
        begin(&d, workers);
        rr_actor a = d.actor = rr_spawn(Log_create);
        rr_ref r = rr_call(control_family, AT(&d), a);
        CHECK(becomes(&d.begun, 3)); /* a body that sleeps takes no worker */
        CHECK(rr_cancel(r) == RR_OK && outcome(r) == RR_ERR_CANCELLED);
        rr_release(r);
        CHECK(objects_settle_at(0) && timers_settle_at(d.f.runtime, 0));
        CHECK(d.told == d.begun && d.ended == d.begun && d.runs == 0);
        rr_ref asked = rr_ask(a, Log_add, 1);
        CHECK(gives(asked, 1) && log_is(a, 1, (int[]){1}));
        end(&d, REFS(asked));
    }
}

REMOTE_FN(int, control_parent, uint64_t, at) {
    desk *d = desk_at(at);
    d->refs[0] = rr_call(control_deaf, at);
    rr_retain(d->refs[0]); /* for the test */
    d->has_refs = true;
    while (!d->begun) nap(); /* on another thread, not by this wait */
    int v = 0;
    d->status = (int)rr_get(int, d->refs[0], &v);
    d->count++;
    return v;
}
static void cancel_parent(bool alone) {
    desk d;
    begin(&d, 2);
    rr_ref r = rr_call(control_parent, AT(&d));
    CHECK(becomes(&d.begun, 1) && d.has_refs);
    CHECK((alone ? rr_cancel_alone(r) : rr_cancel(r)) == RR_OK);
    CHECK(outcome(r) == RR_ERR_CANCELLED && becomes(&d.count, 1));
    CHECK(d.status == RR_ERR_CANCELLED && d.ended == 0);
    d.open = true;
    CHECK(outcome(d.refs[0]) == (alone ? RR_OK : RR_ERR_CANCELLED));
    CHECK(becomes(&d.ended, 1) && d.told == !alone);
    end(&d, REFS(r, d.refs[0]));
}
TEST(cancel_goes_on_to_what_it_called) { cancel_parent(false); }
TEST(cancel_alone_stops_at_the_task) { cancel_parent(true); }

TEST(cancel_leaves_actors_and_other_work_alone) {
    desk d, other = {.begun = 0};
    begin(&d, 2);
    REMOTE_FN_DECLARE(int, control_makes_actor, uint64_t, at);
    rr_ref neighbour = rr_call(control_hold, AT(&other));
    rr_ref r = rr_call(control_makes_actor, AT(&d));
    CHECK(becomes(&d.begun, 1) && becomes(&other.begun, 1) && rr_cancel(r) == RR_OK);
    CHECK(becomes(&d.ended, 1));
    rr_ref asked = rr_ask(d.actor, Log_add, 4);
    CHECK(gives(asked, 4));
    other.open = true;
    CHECK(outcome(neighbour) == RR_OK && other.told == 0);
    end(&d, REFS(asked, r, neighbour));
}
REMOTE_FN(int, control_makes_actor, uint64_t, at) {
    desk_at(at)->actor = rr_keep(rr_spawn(Log_create));
    return control_hold(at);
}

REMOTE_FN(int, control_suicide, uint64_t, at) {
    desk *d = desk_at(at);
    while (!d->has_refs) nap();
    d->begun += rr_cancelled();
    d->status = (int)rr_cancel(d->refs[0]);
    d->told += rr_cancelled() && rr_cancel(d->refs[0]) == RR_ERR_INVALID;
    d->ended++;
    return 1;
}
TEST(cancel_itself) {
    desk d;
    begin(&d, 1);
    d.refs[0] = rr_call(control_suicide, AT(&d));
    d.has_refs = true;
    CHECK(outcome(d.refs[0]) == RR_ERR_CANCELLED && becomes(&d.ended, 1));
    CHECK(d.begun == 0 && d.status == RR_OK && d.told == 1);
    end(&d, REFS(d.refs[0]));
}

/* ---- messages ---- */

TEST(cancel_method_that_runs) {
    desk d;
    begin(&d, 1);
    rr_actor a = d.actor = rr_spawn(Log_create);
    rr_ref r = rr_ask(a, Log_hold, AT(&d)), next = rr_ask(a, Log_add, 2);
    CHECK(becomes(&d.begun, 1) && rr_cancel(r) == RR_OK);
    CHECK(outcome(r) == RR_ERR_CANCELLED && outcome(next) == RR_OK && d.told == 1);
    CHECK(log_is(a, 1, (int[]){2}));
    end(&d, REFS(r, next));
}

/* Its error finds the outcome decided, at a time when the message has given its actor back. */
REMOTE_METHOD(int, Log, fail, uint64_t, at) {
    (void)self;
    until_open(at);
    rr_fail(4, "a message that nobody reads");
    return 0;
}
TEST(cancel_method_that_then_fails) {
    for (int several = 0; several < 2; several++)
        for (int restarts = 0; restarts < 2; restarts++) {
            desk d;
            begin(&d, 1);
            rr_actor a = d.actor = rr_spawn_with(
                RR_ACTOR_OPTIONS(.max_concurrency = several ? 3 : 0, .max_restarts = restarts),
                Log_create);
            rr_ref r = rr_ask(a, Log_fail, AT(&d));
            CHECK(becomes(&d.begun, 1) && rr_cancel(r) == RR_OK);
            CHECK(outcome(r) == RR_ERR_CANCELLED);
            d.open = true;
            rr_ref next = rr_ask(a, Log_add, 2);
            CHECK(outcome(next) == RR_OK && log_is(a, 1, (int[]){2}));
            end(&d, REFS(r, next));
        }
}

TEST(cancel_messages_in_a_mailbox) {
    desk d;
    begin(&d, 1);
    rr_scope scope = rr_scope_begin();
    rr_actor a = rr_spawn(Log_create);
    rr_ref refs[6];
    rr_ask(a, Log_hold, AT(&d));
    CHECK(becomes(&d.begun, 1));
    for (int i = 0; i < 6; i++) refs[i] = rr_ask(a, Log_add, i);
    for (int i = 0; i < 6; i += 2) {
        CHECK(rr_cancel(refs[i]) == RR_OK && outcome(refs[i]) == RR_ERR_CANCELLED);
        CHECK(rr_cancel(refs[i]) == RR_ERR_INVALID && d.ended == 0);
    }
    d.open = true;
    for (int i = 0; i < 6; i++) CHECK(outcome(refs[i]) == (i % 2 ? RR_OK : RR_ERR_CANCELLED));
    CHECK(log_is(a, 3, (int[]){1, 3, 5}));
    rr_scope_end(scope);
    end(&d, NONE);
}

TEST(cancel_message_that_holds_others_back) {
    desk d;
    begin(&d, 1);
    rr_scope scope = rr_scope_begin();
    rr_actor a = rr_spawn(Log_create);
    rr_ref gate = unsealed(10), second = unsealed(20), refs[8];
    refs[0] = rr_ask(a, Log_size, gate); /* in front, late */
    for (int i = 1; i < 8; i++)
        refs[i] = i == 4 ? rr_ask(a, Log_size, second) : rr_ask(a, Log_add, i);
    CHECK(rr_wait(refs, 8, 1, 10, NULL) == 0);
    CHECK(rr_cancel(refs[2]) == RR_OK && outcome(refs[2]) == RR_ERR_CANCELLED); /* has arrived */
    CHECK(rr_cancel(refs[0]) == RR_OK && outcome(refs[0]) == RR_ERR_CANCELLED);
    CHECK(outcome(refs[1]) == RR_OK && outcome(refs[3]) == RR_OK); /* up to the next late one */
    CHECK(rr_wait(&refs[4], 4, 1, 10, NULL) == 0);
    CHECK(rr_cancel(refs[7]) == RR_OK && rr_cancel(refs[6]) == RR_OK);
    CHECK(rr_seal(second) == RR_OK && outcome(refs[4]) == RR_OK && outcome(refs[5]) == RR_OK);
    CHECK(rr_seal(gate) == RR_OK && log_is(a, 4, (int[]){1, 3, 20, 5}));
    rr_scope_end(scope);
    end(&d, NONE);
}

/* The sender is gone when its messages are cancelled. */
static void send_and_go(void *data) {
    desk *d = data;
    d->refs[0] = rr_ask(d->actor, Log_size, d->refs[2]);
    d->refs[1] = rr_ask(d->actor, Log_add, 2);
}
TEST(cancel_message_of_a_sender_that_is_gone) {
    for (int last = 0; last < 2; last++) {
        desk d;
        outside other;
        begin(&d, 1);
        d.actor = rr_spawn(Log_create), d.refs[2] = unsealed(9);
        outside_start(&other, d.f.runtime, send_and_go, &d);
        outside_join(&other);
        if (last) CHECK(rr_cancel(d.refs[1]) == RR_OK);
        CHECK(rr_cancel(d.refs[0]) == RR_OK && outcome(d.refs[0]) == RR_ERR_CANCELLED);
        CHECK(outcome(d.refs[1]) == (last ? RR_ERR_CANCELLED : RR_OK));
        CHECK(log_is(d.actor, !last, (int[]){2}) && rr_seal(d.refs[2]) == RR_OK);
        end(&d, REFS(d.refs[0], d.refs[1], d.refs[2]));
    }
}

TEST(cancel_messages_of_an_actor_that_dies) {
    for (int kill_first = 0; kill_first < 2; kill_first++) {
        desk d;
        begin(&d, 1);
        rr_actor a = d.actor = rr_spawn(Log_create);
        rr_ref gate = unsealed(9), refs[5] = {rr_ask(a, Log_hold, AT(&d))};
        CHECK(becomes(&d.begun, 1));
        for (int i = 1; i < 5; i++)
            refs[i] = i == 2 ? rr_ask(a, Log_size, gate) : rr_ask(a, Log_add, i);
        if (kill_first) CHECK(rr_kill(a) == RR_OK);
        rr_status wanted = kill_first ? RR_ERR_INVALID : RR_OK;
        for (int i = 1; i < 4; i++) CHECK(rr_cancel(refs[i]) == wanted);
        if (!kill_first) CHECK(rr_kill(a) == RR_OK);
        CHECK(rr_cancel(refs[0]) == RR_OK);
        for (int i = 1; i < 5; i++)
            CHECK(outcome(refs[i]) ==
                  (kill_first || i == 4 ? RR_ERR_ACTOR_DEAD : RR_ERR_CANCELLED));
        CHECK(rr_seal(gate) == RR_OK && outcome(refs[2]) == outcome(refs[3]));
        end(&d, REFS(refs[0], refs[1], refs[2], refs[3], refs[4], gate));
    }
}

/* ---- retries ---- */

REMOTE_FN(int, control_flaky, uint64_t, at, int, failures, int, v) {
    desk *d = desk_at(at);
    if (d->runs++ != rr_attempt()) CHECK(false);
    if (rr_attempt() < failures) rr_fail(100 + rr_attempt(), "try %d of it", rr_attempt());
    return v;
}
TEST(retry_until_it_works) {
    for (int delay = 0; delay < 2; delay++) {
        desk d;
        begin(&d, 2);
        rr_options options = {.max_retries = 3, .retry_delay_ms = delay};
        rr_ref r = rr_call_with(options, control_flaky, AT(&d), 3, 9);
        rr_ref next = rr_call(control_add, r, 1);
        CHECK(outcome(next) == RR_OK && gives(next, 10) && d.runs == 4);
        end(&d, REFS(r, next));
        CHECK(d.stats.tasks_submitted == 2 && d.stats.tasks_finished == 2);
    }
}

TEST(retry_gives_up_and_says_after_how_many) {
    desk d;
    begin(&d, 1);
    rr_ref r = rr_call_with(RR_OPTIONS(.max_retries = 2), control_flaky, AT(&d), 99, 0);
    rr_ref next = rr_call(control_add, 1, r);
    CHECK(outcome(r) == RR_ERR_TASK && outcome(next) == RR_ERR_TASK && d.runs == 3);
    CHECK(rr_error_code(r) == 102 && rr_error_code(next) == 102);
    if (!CHECK(strstr(rr_error_message(r), "after 3 attempts") &&
               strstr(rr_error_message(r), "try 2 of it")))
        fprintf(stderr, "%s\n", rr_error_message(r));
    CHECK(strstr(rr_error_message(next), "after 3 attempts"));
    CHECK(rr_cancel(r) == RR_ERR_INVALID);
    desk once = {.begun = 0};
    rr_ref single = rr_call_with(RR_OPTIONS(.timeout_ms = 60000), control_flaky, AT(&once), 9, 0);
    CHECK(outcome(single) == RR_ERR_TASK && !strstr(rr_error_message(single), "attempt"));
    end(&d, REFS(r, next, single));
    CHECK(d.stats.tasks_finished == 0 && d.stats.tasks_failed == 3);
}

TEST(retry_delays_double) {
    desk d;
    begin(&d, 1);
    double start = rr_now();
    rr_options options = {.max_retries = 3, .retry_delay_ms = 10};
    rr_ref r = rr_call_with(options, control_flaky, AT(&d), 9, 0);
    CHECK(outcome(r) == RR_ERR_TASK && rr_now() - start > 0.75 * 0.07 - 1e-4);
    end(&d, REFS(r));
}

TEST(retry_a_thousand_times_at_once) {
    desk d;
    begin(&d, 2);
    rr_ref r = rr_call_with(RR_OPTIONS(.max_retries = 1000), control_flaky, AT(&d), 1000, 3);
    CHECK(outcome(r) == RR_OK && d.runs == 1001);
    end(&d, REFS(r));
}

REMOTE_FN(int, control_reads, uint64_t, at, rr_bytes, b, rr_ref, kept, rr_bytes, c, wide, w,
          rr_actor, a) {
    rr_bytes view = {0};
    int v = 0;
    desk_at(at)->runs++;
    bool right = b.size == 5000 && ((const char *)b.data)[4999] == 5 && c.size == 6000 &&
                 ((const char *)c.data)[5999] == 6 && w.bytes[2999] == 7 &&
                 rr_get(rr_bytes, kept, &view) == RR_OK && view.size == 7000 &&
                 rr_get(int, rr_ask(a, Log_add, 1), &v) == RR_OK && v == 1;
    desk_at(at)->told += right;
    rr_put_bytes(b.data, b.size); /* and what it makes goes each time */
    if (rr_attempt() < 3) rr_fail(1, "not yet");
    return right;
}
TEST(retry_keeps_its_arguments) {
    desk d;
    begin(&d, 1);
    static char five[5000], six[6000], seven[7000];
    wide w;
    memset(five, 5, sizeof five), memset(six, 6, sizeof six), memset(w.bytes, 7, sizeof w.bytes);
    rr_ref b = rr_put_bytes(five, sizeof five), kept = rr_put_bytes(seven, sizeof seven);
    rr_actor a = rr_spawn(Log_create);
    rr_options options = {.max_retries = 3, .retry_delay_ms = 2};
    rr_ref r =
        rr_call_with(options, control_reads, AT(&d), b, kept, rr_bytes_of(six, sizeof six), w, a);
    rr_release(b), rr_release(kept), rr_release(a);
    for (int i = 0; i < 20; i++) rr_release(rr_put_bytes(seven, 5000)); /* would take their place */
    CHECK(outcome(r) == RR_OK && d.runs == 4 && d.told == 4);
    end(&d, REFS(r));
}

TEST(retries_stop_at_the_deadline) {
    for (int delay = 0; delay < 3; delay++) {
        desk d;
        begin(&d, 1);
        double start = rr_now();
        rr_options options = {.timeout_ms = 100, .max_retries = INT32_MAX};
        options.retry_delay_ms = delay == 2 ? 60000 : delay;
        rr_ref r = rr_call_with(options, control_flaky, AT(&d), INT32_MAX, 0);
        CHECK(outcome(r) == RR_ERR_TIMEOUT && rr_now() - start > 0.099 && rr_now() - start < 20);
        rr_release(r);
        comes_to_rest(&d);
        int runs = d.runs;
        rr_sleep_ms(3);
        end(&d, NONE);
        CHECK(runs == d.runs && (delay < 2 ? runs > 1 : runs == 1));
    }
}

TEST(cancel_between_attempts) {
    for (int release = 0; release < 2; release++) {
        desk d;
        double start = rr_now();
        begin(&d, 1);
        rr_options options = {.timeout_ms = release ? 60000 : 0, .max_retries = 5};
        options.retry_delay_ms = 60000;
        rr_ref r = rr_call_with(options, control_flaky, AT(&d), 9, 0);
        rr_ref next = rr_call(control_add, r, 1);
        CHECK(becomes(&d.runs, 1) && timers_settle_at(d.f.runtime, release ? 2 : 1));
        CHECK(!rr_ready(r) && rr_cancel(r) == RR_OK && outcome(r) == RR_ERR_CANCELLED);
        CHECK(outcome(next) == RR_ERR_CANCELLED);
        if (release) rr_release(r), rr_release(next), comes_to_rest(&d);
        fixture_stop(&d.f); /* which does not wait for the delay */
        CHECK(d.runs == 1 && rr_now() - start < 20);
    }
}

TEST(cancel_ends_retries_of_a_running_body) {
    desk d;
    begin(&d, 1);
    rr_options options = {.max_retries = 100};
    rr_ref r = rr_call_with(options, control_error, AT(&d));
    CHECK(becomes(&d.begun, 1) && rr_cancel(r) == RR_OK);
    d.open = true;
    CHECK(outcome(r) == RR_ERR_CANCELLED);
    end(&d, REFS(r));
    CHECK(d.begun == 1);
}

/* What an earlier attempt has called is cancelled too. */
REMOTE_FN(int, control_leaves_child, uint64_t, at) {
    desk *d = desk_at(at);
    d->refs[0] = rr_call(control_hold, at);
    rr_retain(d->refs[0]);
    while (!d->begun) nap();
    d->count++;
    rr_fail(1, "later");
    return 0;
}
TEST(cancel_between_attempts_takes_what_the_body_called) {
    desk d;
    begin(&d, 2);
    rr_options options = {.max_retries = 1, .retry_delay_ms = 60000};
    rr_ref r = rr_call_with(options, control_leaves_child, AT(&d));
    CHECK(becomes(&d.count, 1) && timers_settle_at(d.f.runtime, 1) && rr_cancel(r) == RR_OK);
    CHECK(rr_wait(d.refs, 1, 1, 1000, NULL) == 1); /* at once */
    d.open = true;
    CHECK(outcome(d.refs[0]) == RR_ERR_CANCELLED);
    end(&d, REFS(r, d.refs[0]));
}

REMOTE_FN(int, control_attempt) { return rr_attempt(); }
REMOTE_FN(int, control_nested) {
    int child = -1;
    rr_get(int, rr_call(control_attempt), &child);
    if (rr_attempt() < 2) rr_fail(1, "again");
    return 10 * rr_attempt() + child;
}
REMOTE_METHOD(int, Log, attempt) { return (void)self, rr_attempt(); }
TEST(attempts_are_the_running_task_s_own) {
    desk d;
    begin(&d, 1);
    rr_scope scope = rr_scope_begin();
    CHECK(gives(rr_call_with(RR_OPTIONS(.max_retries = 2), control_nested), 20));
    CHECK(rr_attempt() == 0 && !rr_cancelled() && gives(rr_call(control_attempt), 0));
    CHECK(gives(rr_ask(rr_spawn(Log_create), Log_attempt), 0));
    rr_scope_end(scope);
    end(&d, NONE);
}

TEST(retry_is_not_for_failed_arguments) {
    desk d;
    begin(&d, 1);
    rr_ref bad = rr_call(control_flaky, AT(&d), 9, 0);
    rr_options options = {.max_retries = 3, .retry_delay_ms = 60000, .timeout_ms = 60000};
    rr_ref r = rr_call_with(options, control_count, AT(&d), bad);
    CHECK(outcome(r) == RR_ERR_TASK && rr_error_code(r) == 100 && d.runs == 1);
    CHECK(!strstr(rr_error_message(r), "attempt"));
    end(&d, REFS(bad, r));
}

TEST(options_that_cannot_be) {
    desk d;
    begin(&d, 1);
    rr_options options[6] = {{.timeout_ms = -1}, {.max_retries = -2}, {.retry_delay_ms = -1},
                             {.name = ""},       {.num_cpus = 1e300}, {.timeout_ms = 1000}};
    const char *word[5] = {"timeout_ms", "max_retries", "retry_delay_ms", "name", "1e12"};
    for (int i = 0; i < 5; i++) {
        rr_ref r = rr_call_with(options[i], control_count, AT(&d), 1);
        CHECK(rr_ready(r) && outcome(r) == RR_ERR_INVALID && rr_cancel(r) == RR_ERR_INVALID);
        CHECK(strstr(rr_error_message(r), word[i]) && strstr(rr_error_message(r), "control_count"));
        rr_release(r);
    }
    rr_ref number = rr_put(double, 1.5);
    rr_ref wrong = rr_call_with(options[5], control_count, AT(&d), number);
    rr_ref gone = rr_call_with(options[5], control_count, AT(&d), (rr_ref){0});
    CHECK(outcome(wrong) == RR_ERR_TYPE && outcome(gone) == RR_ERR_STALE && d.runs == 0);
    CHECK(timers_settle_at(d.f.runtime, 0) && promises(d.f.runtime) == 0);
    rr_release(wrong), rr_release(gone);
    CHECK(objects_settle_at(1));
    end(&d, REFS(number));
}

TEST(options_of_zeros_are_a_call) {
    desk d, other = {.begun = 0};
    begin(&d, 1);
    rr_ref r = rr_call_with((rr_options){0}, control_count, AT(&d), 4);
    rr_ref bad = rr_call_with(RR_OPTIONS(.timeout_ms = 0), control_flaky, AT(&other), 9, 1);
    CHECK(gives(r, 4) && outcome(bad) != RR_OK);
    CHECK(!strstr(rr_error_message(bad), "attempt") && promises(d.f.runtime) == 0);
    end(&d, REFS(r, bad));
}

/* ---- ends of the runtime ---- */

TEST(shutdown_lets_retries_and_sleeps_finish) {
    desk d;
    begin(&d, 1);
    rr_call_with(RR_OPTIONS(.max_retries = 2, .retry_delay_ms = 5), control_flaky, AT(&d), 2, 1);
    rr_call(control_sleep, AT(&d), 5);
    fixture_stop(&d.f);
    CHECK(d.runs == 3 && d.ended == 1 && d.told == 0);
}

/* The runtime's end fails what waits for objects that nobody seals, deadline or not. */
static void shutdown_unsealed(int64_t limit, bool cancels) {
    desk d;
    begin(&d, 1);
    rr_ref gate = unsealed(1);
    rr_ref r = rr_call_with(RR_OPTIONS(.timeout_ms = limit), control_size, AT(&d), gate);
    if (cancels) CHECK(rr_cancel(r) == RR_OK);
    double start = rr_now();
    fixture_stop(&d.f);
    if (!CHECK(rr_now() - start < 1)) fprintf(stderr, "after %g s\n", rr_now() - start);
    CHECK(d.runs == 0);
}
TEST(shutdown_does_not_wait_for_a_far_deadline) { shutdown_unsealed(3000, false); }
TEST(shutdown_does_not_wait_for_the_deadline_of_a_cancelled_task) { shutdown_unsealed(3000, true); }
TEST(shutdown_while_a_deadline_passes) { shutdown_unsealed(20, false); }

/* ---- all at once ---- */

REMOTE_FN(int, control_square, int, v) { return v * v; }
TEST(five_thousand_tasks_of_which_some_are_cancelled) {
    enum { COUNT = 5000 };
    desk d;
    uint64_t random = test_seed;
    begin(&d, 2);
    static rr_ref refs[COUNT];
    static bool cancelled[COUNT];
    for (int i = 0; i < COUNT; i++) refs[i] = rr_call(control_square, i);
    for (int i = 0; i < COUNT / 20; i++) {
        size_t at = test_below(&random, COUNT);
        rr_status status = rr_cancel(refs[at]);
        CHECK(status == RR_OK || status == RR_ERR_INVALID);
        if (status == RR_OK) CHECK(!cancelled[at]), cancelled[at] = true;
    }
    for (int i = 0; i < COUNT; i++) {
        int v = 0;
        CHECK(outcome(refs[i]) == (cancelled[i] ? RR_ERR_CANCELLED : RR_OK));
        CHECK(rr_get(int, refs[i], &v) != RR_OK || v == i * i);
        rr_release(refs[i]);
    }
    end(&d, NONE);
}

/* One outcome for each: its end, its deadline, and two that cancel it. */
REMOTE_FN(int, control_busy, int, us) {
    double end = rr_now() + us * 1e-6;
    while (rr_now() < end) {
    }
    return us;
}
typedef struct race {
    rr_ref refs[200];
    rr_status by[200];
} race;
static void cancel_all(void *data) {
    race *x = data;
    for (int i = 0; i < 200; i++) x->by[i] = rr_cancel(x->refs[i]);
}
TEST(one_outcome_wins) {
    desk d;
    uint64_t random = test_seed;
    begin(&d, 2);
    for (int round = 0; round < 5; round++) {
        race a, b;
        outside other;
        for (int i = 0; i < 200; i++) {
            rr_options options = {.timeout_ms = 1 + (int64_t)test_below(&random, 4)};
            a.refs[i] = rr_call_with(options, control_busy, (int)test_below(&random, 30));
        }
        b = a;
        outside_start(&other, d.f.runtime, cancel_all, &b);
        cancel_all(&a);
        outside_join(&other);
        for (int i = 0; i < 200; i++) {
            int won = (a.by[i] == RR_OK) + (b.by[i] == RR_OK);
            rr_status status = outcome(a.refs[i]);
            bool fine = won <= 1 && (won == 1) == (status == RR_ERR_CANCELLED);
            if (!CHECK(fine && (won || status == RR_OK || status == RR_ERR_TIMEOUT)))
                fprintf(stderr, "%d cancelled it: %s\n", won, rr_status_name(status));
            rr_release(a.refs[i]);
        }
    }
    end(&d, NONE);
}

/* A body is cancelled while it calls with deadlines: each call is found, or finds it out. */
REMOTE_FN(int, control_many, uint64_t, at) {
    desk *d = desk_at(at);
    d->begun++;
    while (!rr_cancelled()) {
        rr_options options = {.timeout_ms = 100000};
        rr_release(rr_call_with(options, control_square, 3));
    }
    d->ended++;
    return 0;
}
TEST(cancel_while_the_body_calls_with_deadlines) {
    desk d;
    uint64_t random = test_seed;
    begin(&d, 2);
    for (int i = 0; i < 100; i++) {
        rr_ref r = rr_call(control_many, AT(&d));
        CHECK(becomes(&d.begun, i + 1));
        double end = rr_now() + 1e-6 * (double)test_below(&random, 100);
        while (rr_now() < end) {
        }
        CHECK(rr_cancel(r) == RR_OK && becomes(&d.ended, i + 1));
        rr_release(r);
    }
    end(&d, NONE);
}

int main(int argc, char **argv) { return test_main(argc, argv); }
