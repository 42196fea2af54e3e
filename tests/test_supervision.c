/* Guards the supervision of actors: a crash costs its own call and the state and nothing else,
   whatever is queued, late, cancelled or killed meanwhile; each state is destroyed once, after all
   methods have left it; every watch fires; mailboxes and concurrency keep to their bounds. */
#define _GNU_SOURCE
static void stress_point(void);
#define RR__STRESS_POINT() stress_point()
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"

enum { NOTES = 64, AGES = 60000, LIMIT = 20 }; /* AGES: ms that no test waits for; LIMIT: seconds */

/* What a test shares with its bodies, which get its address as a number. */
typedef struct desk {
    atomic_int born, dropped;                /* states whose constructor worked; destructors */
    atomic_int creations, bad_from, bad_end; /* constructors; those from .. to before .. go wrong */
    atomic_int begun, ended, told, runs, inside, most, count, notes, note[NOTES];
    atomic_bool open, constructs_crash, stays;
    double made[8]; /* when the constructor ran; read when it does not */
} desk;
static desk *desk_at(uint64_t at) { return (desk *)(uintptr_t)at; }
#define AT(d) ((uint64_t)(uintptr_t)(d))
static void nap(void) { nanosleep(&(struct timespec){0, 1000000}, NULL); } /* is not told */
static void until_open(desk *d) {
    d->begun++;
    while (!d->open) nap();
    d->ended++;
}
static void note(desk *d, int v) { d->note[d->notes++ % NOTES] = v; }
static bool notes_are(desk *d, int n, const int *wanted) {
    bool same = d->notes == n;
    for (int i = 0; same && i < n; i++) same = d->note[i] == wanted[i];
    for (int i = 0; !same && i < d->notes; i++) fprintf(stderr, "note %d: %d\n", i, d->note[i]);
    return same;
}

/* Holds a worker where it passes the n-th point at which races are likely. */
static atomic_int stall_in;
static atomic_bool is_stalled, may_go_on, only_chosen;
static _Thread_local bool is_tester, is_chosen;
static void stress_point(void) {
    if (is_tester || (only_chosen && !is_chosen) || stall_in <= 0 || --stall_in != 0) return;
    is_stalled = true;
    while (!may_go_on) nap();
    is_stalled = false;
}
static void stall_begin(int steps) {
    is_tester = true;
    is_stalled = false;
    may_go_on = false;
    stall_in = steps;
}
/* Until it is held, or the work is over because there are not so many steps. */
static void stall_wait(atomic_int *notes) {
    for (int i = 0; !is_stalled && (i < 20 || !*notes) && i < LIMIT * 1000; i++) nap();
}
static void stall_end(void) {
    stall_in = 0;
    may_go_on = true;
    only_chosen = false;
    while (is_stalled) nap();
}

/* A runtime, a scope and a desk for one test. */
typedef struct stage {
    fixture f;
    rr_scope scope;
    desk d;
} stage;
static void stage_start(stage *s, int workers) {
    memset(s, 0, sizeof *s);
    START(&s->f, .workers = workers);
    s->scope = rr_scope_begin();
}
/* Nothing lives, each task was counted once, and each state was destroyed. */
static void stage_rests(stage *s) {
    rr_stats t;
    CHECK(objects_settle_at(0) && actors_settle_at(0));
    for (int i = 0; i < 5000; i++) {
        rr_get_stats(&t);
        if (t.tasks_submitted == t.tasks_finished + t.tasks_failed) break;
        nap();
    }
    CHECK(t.tasks_submitted == t.tasks_finished + t.tasks_failed && t.store_bytes_used == 0);
    CHECK(s->d.born == s->d.dropped && s->d.inside == 0);
}
static void stage_end(stage *s) {
    rr_scope_end(s->scope);
    stage_rests(s);
    fixture_stop(&s->f);
}
/* The runtime ends in the middle of it. */
static void stage_stop(stage *s) {
    double start = rr_now();
    rr_scope_end(s->scope);
    fixture_stop(&s->f);
    CHECK(rr_now() - start < LIMIT && s->d.born == s->d.dropped);
}

/* Ends within the limit; says how, and that it says the same twice. Runs nothing itself. */
static rr_status outcome(rr_ref r) {
    CHECK(rr_wait(&r, 1, 1, LIMIT * 1000, NULL) == 1);
    rr_status first = rr_get_void(r), second = rr_get_void(r);
    CHECK(first == second);
    return first;
}
static int value_of(rr_ref r) {
    int v = -1;
    rr_status status = outcome(r);
    if (status == RR_OK) rr_get(int, r, &v);
    else fprintf(stderr, "instead of a value: %s\n", rr_error_message(r));
    return v;
}
static bool says(rr_ref r, const char *part) {
    const char *text = rr_error_message(r);
    bool found = strstr(text, part) != NULL;
    if (!found) fprintf(stderr, "no \"%s\" in \"%s\"\n", part, text);
    return found;
}
/* How an actor has ended. */
static rr_exit exit_of(rr_ref watch) {
    rr_exit e = {RR_ERR_INVALID, -1, ""};
    CHECK(outcome(watch) == RR_OK && rr_get(rr_exit, watch, &e) == RR_OK);
    return e;
}
static bool ends_with(rr_ref watch, rr_status status, int restarts, const char *reason) {
    rr_exit e = exit_of(watch);
    bool same = e.status == status && e.restarts == restarts && strstr(e.reason, reason);
    if (!same)
        fprintf(stderr, "it ended with %s after %d restarts: %s\n", rr_status_name(e.status),
                e.restarts, e.reason);
    return same;
}

typedef struct Kid {
    uint64_t at;
    int generation, value;
} Kid;
/* Finds a zeroed state, and that the one before it was destroyed. */
REMOTE_ACTOR(Kid, create, uint64_t, at, int, start) {
    desk *d = desk_at(at);
    CHECK(self->at == 0 && self->generation == 0 && self->value == 0);
    CHECK(d->born == d->dropped && d->inside == 0);
    int number = d->creations++;
    if (number < 8) d->made[number] = rr_now();
    self->value = 99; /* seen by the next if it is not zeroed */
    if (number >= d->bad_from && number < d->bad_end) {
        if (d->constructs_crash) rr_crash_actor("broken at birth %d", number);
        else rr_fail(12, "failed at birth %d", number);
        return;
    }
    *self = (Kid){at, ++d->born, start};
}
REMOTE_DESTRUCTOR(Kid) {
    desk *d = desk_at(self->at);
    CHECK(d->inside == 0 && ++d->dropped == self->generation);
}
REMOTE_METHOD(int, Kid, add, int, v) {
    note(desk_at(self->at), v);
    return self->value += v;
}
/* Touches nothing of the state: several may be inside at once. */
REMOTE_METHOD(void, Kid, noted, int, v) { note(desk_at(self->at), v); }
REMOTE_METHOD(int, Kid, size, rr_bytes, b) { return Kid_add(self, (int)b.size); }
REMOTE_METHOD(int, Kid, value) { return self->value; }
REMOTE_METHOD(int, Kid, generation) { return self->generation; }
REMOTE_METHOD(int, Kid, crash, int, n) {
    self->value = -1000;
    rr_crash_actor("crash number %d", n);
    return n;
}
/* Crashes in so many attempts. They are counted up to 255. */
REMOTE_METHOD(int, Kid, flaky, int, crashes) {
    desk *d = desk_at(self->at);
    int number = d->runs++;
    CHECK(rr_attempt() == (number < 255 ? number : 255));
    note(d, 100 + number);
    if (number < crashes) rr_crash_actor("crash of attempt %d", number);
    return self->value + number;
}
REMOTE_METHOD(int, Kid, hold) {
    until_open(desk_at(self->at));
    return self->generation;
}
REMOTE_METHOD(int, Kid, hold_and_crash) {
    until_open(desk_at(self->at));
    rr_crash_actor("crash after a while");
    return 0;
}
REMOTE_METHOD(int, Kid, leave) { return rr_exit_actor(), self->value; }

static rr_actor new_kid(desk *d, rr_actor_options options) {
    return rr_spawn_with(options, Kid_create, AT(d), 7);
}
#define KID(d, ...) new_kid((d), (rr_actor_options){__VA_ARGS__})
/* One that is inside of a method until the desk opens. */
static rr_actor held_kid(stage *s, rr_actor_options options) {
    rr_actor kid = new_kid(&s->d, options);
    CHECK(rr_tell(kid, Kid_hold) == RR_OK && becomes(&s->d.begun, 1));
    return kid;
}
#define HELD_KID(s, ...) held_kid((s), (rr_actor_options){__VA_ARGS__})

REMOTE_FN(int, supervision_same, int, v) { return v; }
REMOTE_FN(int, supervision_size, rr_bytes, b) { return (int)b.size; }
REMOTE_FN(int, supervision_fail, int, code) { return rr_fail(code, "no argument"), 0; }

/* ---- crashes ---- */

TEST(crash_fails_its_call_and_the_next_ones_find_a_fresh_state) {
    for (int workers = 1; workers < 4; workers++) {
        stage s;
        stage_start(&s, workers);
        rr_actor kid = KID(&s.d, .max_restarts = 1);
        rr_ref refs[5] = {rr_ask(kid, Kid_add, 1), rr_ask(kid, Kid_crash, 3),
                          rr_ask(kid, Kid_value), rr_ask(kid, Kid_add, 2),
                          rr_ask(kid, Kid_generation)};
        CHECK(value_of(refs[0]) == 8 && outcome(refs[1]) == RR_ERR_ACTOR_CRASHED);
        CHECK(says(refs[1], "crash number 3") && says(refs[1], "Kid_crash"));
        CHECK(says(refs[1], "it was executed") && rr_error_code(refs[1]) == 0);
        CHECK(value_of(refs[2]) == 7 && value_of(refs[3]) == 9 && value_of(refs[4]) == 2);
        CHECK(rr_cancel(refs[1]) == RR_ERR_INVALID);
        rr_ref next = rr_call(supervision_same, refs[1]);
        CHECK(outcome(next) == RR_ERR_ACTOR_CRASHED && says(next, "crash number 3"));
        stage_end(&s);
        CHECK(s.d.creations == 2 && s.d.born == 2);
    }
}

TEST(queue_behind_a_crash_keeps_its_order) {
    enum { COUNT = 50 };
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = 3);
    int wanted[COUNT];
    for (int i = 0; i < COUNT; i++) {
        if (i == 10 || i == 11 || i == 30) rr_ask(kid, Kid_crash, i);
        CHECK(rr_tell(kid, Kid_add, i) == RR_OK);
        wanted[i] = i;
    }
    CHECK(value_of(rr_ask(kid, Kid_generation)) == 4 && notes_are(&s.d, COUNT, wanted));
    stage_end(&s);
}

typedef struct asker {
    rr_actor kid;
    int start, good;
} asker;
static void ask_outside(void *data) {
    asker *a = data;
    for (int i = 0; i < 200; i++) {
        rr_ref r = rr_ask(a->kid, Kid_value);
        a->good += value_of(r) == a->start;
        rr_release(r);
    }
}
TEST(other_callers_do_not_see_a_crash) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = -1);
    outside threads[2];
    asker askers[2] = {{kid, 7, 0}, {kid, 7, 0}};
    for (int i = 0; i < 2; i++) outside_start(&threads[i], s.f.runtime, ask_outside, &askers[i]);
    for (int i = 0; i < 50; i++) CHECK(outcome(rr_ask(kid, Kid_crash, i)) == RR_ERR_ACTOR_CRASHED);
    for (int i = 0; i < 2; i++) outside_join(&threads[i]), CHECK(askers[i].good == 200);
    CHECK(value_of(rr_ask(kid, Kid_generation)) == 51);
    stage_end(&s);
}

TEST(crash_that_was_told_goes_to_the_log) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = 1);
    CHECK(rr_tell(kid, Kid_crash, 41) == RR_OK && value_of(rr_ask(kid, Kid_generation)) == 2);
    CHECK(fixture_logged(&s.f, "crash number 41"));
    stage_end(&s);
}

/* Arguments of the constructor, which nobody else holds any more when it runs again. */
typedef struct wide {
    char bytes[3000];
} wide;
typedef struct Heir {
    uint64_t at;
    rr_ref kept;
    rr_actor friend;
} Heir;
REMOTE_ACTOR(Heir, create, uint64_t, at, rr_bytes, b, rr_bytes, c, int, v, wide, w, rr_ref, kept,
             rr_actor, friend) {
    rr_bytes view = {0};
    desk *d = desk_at(at);
    bool right = b.size == 5000 && ((const char *)b.data)[4999] == 5 && c.size == 6000 &&
                 ((const char *)c.data)[5999] == 6 && v == 4 && w.bytes[2999] == 7 &&
                 rr_get(rr_bytes, kept, &view) == RR_OK && view.size == 7000 &&
                 ((const char *)view.data)[6999] == 7;
    d->count += right;
    d->born++;
    *self = (Heir){at, rr_keep(kept), rr_keep(friend)};
}
REMOTE_DESTRUCTOR(Heir) {
    rr_release(self->kept);
    rr_release(self->friend);
    desk_at(self->at)->dropped++;
}
REMOTE_METHOD(int, Heir, crash) { return rr_crash_actor("gone"), (int)(self->at & 1); }
REMOTE_METHOD(int, Heir, ask) { return rr_unwrap(int, rr_ask(self->friend, Kid_value)); }

TEST(constructor_gets_its_first_arguments_again) {
    stage s;
    desk other = {.born = 0};
    stage_start(&s, 2);
    static char five[5000], six[6000], seven[7000];
    wide w;
    memset(five, 5, sizeof five), memset(six, 6, sizeof six), memset(seven, 7, sizeof seven);
    memset(w.bytes, 7, sizeof w.bytes);
    rr_ref b = rr_put_bytes(five, sizeof five), kept = rr_put_bytes(seven, sizeof seven);
    rr_ref late = rr_call(supervision_same, 4);
    rr_actor friend = KID(&other, .name = NULL);
    rr_actor heir = rr_spawn_with(RR_ACTOR_OPTIONS(.max_restarts = 5), Heir_create, AT(&s.d), b,
                                  rr_bytes_of(six, sizeof six), late, w, kept, friend);
    memset(six, 0, sizeof six), memset(&w, 0, sizeof w);
    rr_release(b), rr_release(kept), rr_release(late), rr_release(friend);
    for (int i = 1; i <= 4; i++) {
        for (int k = 0; k < 20; k++) rr_release(rr_put_bytes(six, 5000)); /* would take its place */
        CHECK(outcome(rr_ask(heir, Heir_crash)) == RR_ERR_ACTOR_CRASHED);
        CHECK(value_of(rr_ask(heir, Heir_ask)) == 7 && s.d.count == i + 1);
    }
    CHECK(other.dropped == 0 && s.d.born == 5);
    stage_end(&s);
    CHECK(other.born == 1 && other.dropped == 1);
}

TEST(arguments_go_when_no_restart_is_left) {
    stage s;
    desk other = {.born = 0};
    stage_start(&s, 2);
    rr_actor friend = KID(&other, .name = NULL);
    wide w = {{0}};
    rr_actor heir =
        rr_spawn_with(RR_ACTOR_OPTIONS(.max_restarts = 1), Heir_create, AT(&s.d),
                      rr_bytes_of("", 1), rr_bytes_of("", 1), 4, w, rr_put(int, 1), friend);
    rr_release(friend);
    for (int i = 0; i < 2; i++) CHECK(outcome(rr_ask(heir, Heir_crash)) == RR_ERR_ACTOR_CRASHED);
    CHECK(outcome(rr_ask(heir, Heir_ask)) == RR_ERR_ACTOR_DEAD);
    CHECK(actors_settle_at(0) && other.dropped == 1); /* though the heir's handle is held */
    stage_end(&s);
}

TEST(restarts_run_out_and_the_rest_is_refused_with_the_reason) {
    for (int restarts = 0; restarts < 3; restarts++) {
        stage s;
        stage_start(&s, 2);
        rr_actor kid = KID(&s.d, .max_restarts = restarts);
        rr_ref watch = rr_watch(kid), crashes[4], behind[3];
        for (int i = 0; i < 4; i++) crashes[i] = rr_ask(kid, Kid_crash, 60 + i);
        for (int i = 0; i < 3; i++) behind[i] = rr_ask(kid, Kid_add, i);
        for (int i = 0; i < 4; i++) {
            bool ran = i <= restarts;
            CHECK(outcome(crashes[i]) == (ran ? RR_ERR_ACTOR_CRASHED : RR_ERR_ACTOR_DEAD));
            CHECK(says(crashes[i], ran ? "it was executed" : "it was not executed"));
        }
        char reason[32];
        snprintf(reason, sizeof reason, "crash number %d", 60 + restarts);
        for (int i = 0; i < 4; i++) {
            rr_ref r = i < 3 ? behind[i] : rr_ask(kid, Kid_value);
            CHECK(outcome(r) == RR_ERR_ACTOR_DEAD && says(r, reason));
            CHECK(says(r, "it was not executed"));
        }
        CHECK(rr_tell(kid, Kid_add, 1) == RR_ERR_ACTOR_DEAD);
        CHECK(strstr(rr_error_message((rr_ref){0}), reason));
        CHECK(rr_kill(kid) == RR_ERR_ACTOR_DEAD && s.d.notes == 0);
        CHECK(ends_with(watch, RR_ERR_ACTOR_CRASHED, restarts, reason));
        stage_end(&s);
        CHECK(s.d.born == restarts + 1);
    }
}

TEST(name_survives_a_restart_and_is_free_after_the_last_crash) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .name = "kid", .max_restarts = 1), found = {0};
    rr_ref watch = rr_watch(kid);
    CHECK(outcome(rr_ask(kid, Kid_crash, 1)) == RR_ERR_ACTOR_CRASHED);
    CHECK(rr_find_actor("kid", &found) == RR_OK && found.id == kid.id);
    CHECK(value_of(rr_ask(found, Kid_generation)) == 2);
    CHECK(outcome(rr_ask(kid, Kid_crash, 2)) == RR_ERR_ACTOR_CRASHED && outcome(watch) == RR_OK);
    CHECK(rr_find_actor("kid", &found) == RR_ERR_NOT_FOUND);
    stage_end(&s);
}

/* Messages that wait for an argument, and those behind them, are not the state's. */
static void lanes_and_a_crash(int restarts) {
    stage s;
    stage_start(&s, 2);
    void *room = NULL;
    rr_ref gate = rr_create(5, &room);
    rr_actor kid = KID(&s.d, .max_restarts = restarts);
    rr_ref crash = rr_ask(kid, Kid_crash, 1), late = rr_ask(kid, Kid_size, gate);
    rr_ref behind = rr_ask(kid, Kid_add, 2), last = rr_ask(kid, Kid_size, gate);
    CHECK(outcome(crash) == RR_ERR_ACTOR_CRASHED);
    if (restarts) CHECK(!rr_ready(late) && !rr_ready(behind));
    else CHECK(outcome(late) == RR_ERR_ACTOR_DEAD && outcome(behind) == RR_ERR_ACTOR_DEAD);
    CHECK(rr_seal(gate) == RR_OK);
    if (restarts) CHECK(value_of(late) == 12 && value_of(behind) == 14 && value_of(last) == 19);
    else CHECK(outcome(last) == RR_ERR_ACTOR_DEAD && says(last, "it was not executed"));
    stage_end(&s);
}
TEST(late_arguments_survive_a_crash) { lanes_and_a_crash(1); }
TEST(late_arguments_of_an_actor_that_crashed_for_good) { lanes_and_a_crash(0); }

/* Sent just when the actor crashes, they must not wait for an argument that may never come. */
TEST(late_argument_of_a_message_that_is_sent_during_the_last_crash) {
    stage s;
    stage_start(&s, 2);
    void *room = NULL;
    rr_ref gate = rr_create(5, &room);
    for (int i = 0; i < 1000; i++) {
        desk d = {.born = 0};
        rr_scope scope = rr_scope_begin();
        rr_actor kid = KID(&d, .name = NULL);
        rr_ref crash = rr_ask(kid, Kid_crash, i);
        for (int spins = i % 200; spins > 0; spins--) rr_ready(crash);
        rr_ref late = rr_ask(kid, Kid_size, gate);
        if (!CHECK(outcome(crash) == RR_ERR_ACTOR_CRASHED)) break;
        if (!CHECK(rr_wait(&late, 1, 1, LIMIT * 1000, NULL) == 1)) break;
        CHECK(rr_get_void(late) == RR_ERR_ACTOR_DEAD);
        rr_scope_end(scope);
        CHECK(becomes(&d.dropped, 1));
    }
    CHECK(rr_seal(gate) == RR_OK);
    stage_end(&s);
}

static void crash_outside(void *data) {
    rr_ref r = rr_ask(*(rr_actor *)data, Kid_crash, 1);
    CHECK(outcome(r) == RR_ERR_ACTOR_CRASHED);
    rr_release(r);
}
TEST(late_arguments_survive_another_caller_s_crash) {
    stage s;
    stage_start(&s, 2);
    void *room = NULL;
    rr_ref gate = rr_create(5, &room);
    rr_actor kid = KID(&s.d, .max_restarts = 1);
    rr_ref late = rr_ask(kid, Kid_size, gate), behind = rr_ask(kid, Kid_generation);
    outside thread;
    outside_start(&thread, s.f.runtime, crash_outside, &kid);
    outside_join(&thread);
    CHECK(!rr_ready(late) && rr_seal(gate) == RR_OK);
    CHECK(value_of(late) == 12 && value_of(behind) == 2);
    stage_end(&s);
}

/* What it has sent itself is on its way. */
REMOTE_METHOD(int, Kid, send_and_crash, rr_actor, other, rr_ref, gate) {
    (void)self;
    rr_tell(other, Kid_size, gate);
    rr_tell(other, Kid_add, 1);
    rr_crash_actor("after it has sent");
    return 0;
}
TEST(messages_of_an_actor_that_crashed_arrive_in_order) {
    for (int restarts = 0; restarts < 2; restarts++) {
        stage s;
        desk other = {.born = 0};
        stage_start(&s, 2);
        void *room = NULL;
        rr_ref gate = rr_create(5, &room);
        rr_actor kid = KID(&s.d, .max_restarts = restarts), sink = KID(&other, .name = NULL);
        rr_ref r = rr_ask(kid, Kid_send_and_crash, sink, gate);
        CHECK(outcome(r) == RR_ERR_ACTOR_CRASHED && rr_seal(gate) == RR_OK);
        CHECK(becomes(&other.notes, 2) && notes_are(&other, 2, (int[]){5, 1}));
        stage_end(&s);
    }
}

/* Results of a crashed body are dropped, whatever they are. */
REMOTE_METHOD(rr_bytes, Kid, crash_with_bytes) {
    char *room = rr_result(100000);
    if (room) memset(room, 1, 100000);
    rr_crash_actor("crash %d", self->generation);
    return rr_bytes_of(room, 100000);
}
REMOTE_METHOD(rr_ref, Kid, crash_with_ref) {
    rr_crash_actor("crash %d", self->generation);
    return rr_put_bytes("text", 4);
}
REMOTE_METHOD(wide, Kid, crash_with_wide) {
    rr_crash_actor("crash %d", self->generation);
    return (wide){"w"};
}
TEST(results_of_a_crashed_body_are_dropped) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = 3);
    rr_ref refs[3] = {rr_ask(kid, Kid_crash_with_bytes), rr_ask(kid, Kid_crash_with_ref),
                      rr_ask(kid, Kid_crash_with_wide)};
    rr_bytes view = {"", 1};
    for (int i = 0; i < 3; i++) CHECK(outcome(refs[i]) == RR_ERR_ACTOR_CRASHED);
    CHECK(rr_get(rr_bytes, refs[0], &view) == RR_ERR_ACTOR_CRASHED && view.size == 0);
    CHECK(value_of(rr_ask(kid, Kid_generation)) == 4);
    stage_end(&s);
}

/* ---- crashes and other ends in one body ---- */

REMOTE_METHOD(int, Kid, fail_and_crash, int, order) {
    (void)self;
    if (order == 0) rr_fail(31, "the failure");
    rr_crash_actor("the crash");
    if (order == 1) rr_fail(31, "the failure");
    if (order == 2) rr_crash_actor("another crash");
    return 0;
}
TEST(crash_and_failure_in_one_body) {
    for (int order = 0; order < 3; order++) {
        stage s;
        stage_start(&s, 2);
        rr_actor kid = KID(&s.d, .max_restarts = 1);
        rr_ref r = rr_ask(kid, Kid_fail_and_crash, order);
        CHECK(outcome(r) == RR_ERR_ACTOR_CRASHED && says(r, "the crash"));
        CHECK(!strstr(rr_error_message(r), "another"));
        CHECK(value_of(rr_ask(kid, Kid_generation)) == 2); /* one crash, one restart */
        stage_end(&s);
    }
}

REMOTE_METHOD(int, Kid, leave_and_crash, int, order) {
    if (order) rr_exit_actor();
    rr_crash_actor("the last crash");
    if (!order) rr_exit_actor();
    return self->value;
}
TEST(crash_of_an_actor_that_leaves_is_its_end) {
    for (int order = 0; order < 2; order++) {
        stage s;
        stage_start(&s, 2);
        rr_actor kid = KID(&s.d, .max_restarts = 5, .max_method_retries = 5);
        rr_ref watch = rr_watch(kid), r = rr_ask(kid, Kid_leave_and_crash, order);
        rr_ref behind = rr_ask(kid, Kid_value);
        CHECK(outcome(r) == RR_ERR_ACTOR_CRASHED && says(r, "the last crash"));
        CHECK(outcome(behind) == RR_ERR_ACTOR_DEAD && exit_of(watch).restarts == 0);
        stage_end(&s);
        CHECK(s.d.born == 1);
    }
}

REMOTE_METHOD(int, Kid, kill_and_crash, rr_actor, me) {
    CHECK(rr_kill(me) == RR_OK);
    rr_crash_actor("the last crash");
    return self->value;
}
TEST(crash_of_an_actor_that_was_killed_is_its_end) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = 5, .max_method_retries = 5);
    rr_ref watch = rr_watch(kid), r = rr_ask(kid, Kid_kill_and_crash, kid);
    CHECK(outcome(r) == RR_ERR_ACTOR_CRASHED && says(r, "it was executed"));
    CHECK(ends_with(watch, RR_ERR_ACTOR_DEAD, 0, ""));
    stage_end(&s);
    CHECK(s.d.born == 1);
}

REMOTE_FN(int, supervision_crash, int, v) { return rr_crash_actor("nobody's"), v; }
TEST(crash_outside_an_actor_is_a_warning) {
    stage s;
    stage_start(&s, 2);
    rr_crash_actor("nobody's %d", 1);
    CHECK(s.f.warnings == 1 && s.f.errors == 0);
    CHECK(value_of(rr_call(supervision_crash, 4)) == 4 && s.f.warnings == 2);
    stage_end(&s);
}

/* A task that a method waits for may run on the method's own stack: it is no part of the actor. */
REMOTE_METHOD(int, Kid, call_crash) {
    int v = 0;
    rr_status status = rr_get(int, rr_call(supervision_crash, 4), &v);
    return status == RR_OK ? self->generation + v : -1;
}
TEST(crash_in_a_task_below_a_method_is_a_warning) {
    stage s;
    stage_start(&s, 1);
    rr_actor kid = KID(&s.d, .max_restarts = 1);
    for (int i = 1; i < 4; i++)
        CHECK(value_of(rr_ask(kid, Kid_call_crash)) == 5 && s.f.warnings == 1);
    stage_end(&s);
    CHECK(s.d.creations == 1 && s.f.warnings == 2 && strstr(s.f.log, "2 more times"));
}

/* A method of another actor below a method crashes that actor only. */
REMOTE_METHOD(int, Kid, ask_crash, rr_actor, other) {
    int v = 0;
    rr_status status = rr_get(int, rr_ask(other, Kid_crash, 2), &v);
    return status == RR_ERR_ACTOR_CRASHED ? self->generation : -1;
}
TEST(crash_below_a_method_of_another_actor) {
    for (int workers = 1; workers < 3; workers++) {
        stage s;
        desk other = {.born = 0};
        stage_start(&s, workers);
        rr_actor kid = KID(&s.d, .max_restarts = 1), sink = KID(&other, .max_restarts = 1);
        CHECK(value_of(rr_ask(kid, Kid_ask_crash, sink)) == 1);
        CHECK(value_of(rr_ask(sink, Kid_generation)) == 2 && s.d.creations == 1);
        stage_end(&s);
        CHECK(other.dropped == 2);
    }
}

typedef struct Fragile {
    uint64_t at;
} Fragile;
REMOTE_ACTOR(Fragile, create, uint64_t, at) {
    self->at = at;
    desk_at(at)->born++;
}
REMOTE_DESTRUCTOR(Fragile) {
    desk_at(self->at)->dropped++;
    rr_crash_actor("in a destructor");
}
REMOTE_METHOD(int, Fragile, crash) { return rr_crash_actor("in a method"), (int)(self->at & 1); }
TEST(crash_in_a_destructor_is_a_warning) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = rr_spawn_with(RR_ACTOR_OPTIONS(.max_restarts = 3), Fragile_create, AT(&s.d));
    rr_ref watch = rr_watch(kid);
    CHECK(outcome(rr_ask(kid, Fragile_crash)) == RR_ERR_ACTOR_CRASHED);
    CHECK(becomes(&s.d.born, 2)); /* the destructor in between was no second crash */
    rr_release(kid);
    CHECK(ends_with(watch, RR_OK, 1, "") && s.d.born == 2 && s.f.warnings == 1);
    stage_end(&s);
    CHECK(s.f.warnings == 2 && strstr(s.f.log, "1 more times")); /* the same line */
}

/* ---- constructors that do not work ---- */

static void bad_first(bool crashes) {
    stage s;
    stage_start(&s, 2);
    s.d.bad_end = 1;
    s.d.constructs_crash = crashes;
    rr_actor kid = KID(&s.d, .max_restarts = 5);
    rr_ref watch = rr_watch(kid), r = rr_ask(kid, Kid_value);
    const char *reason = crashes ? "broken at birth 0" : "failed at birth 0";
    CHECK(outcome(r) == RR_ERR_ACTOR_DEAD && says(r, reason) && says(r, "it was not executed"));
    CHECK(rr_error_code(r) == (crashes ? 0 : 12));
    CHECK(ends_with(watch, crashes ? RR_ERR_ACTOR_CRASHED : RR_ERR_TASK, 0, reason));
    CHECK(rr_tell(kid, Kid_add, 1) == RR_ERR_ACTOR_DEAD && rr_kill(kid) == RR_ERR_ACTOR_DEAD);
    stage_end(&s);
    CHECK(s.d.creations == 1 && s.d.born == 0);
}
TEST(constructor_that_fails_at_first_is_not_tried_again) { bad_first(false); }
TEST(constructor_that_crashes_at_first_is_not_tried_again) { bad_first(true); }

/* In a restart each counts as a crash. */
static void bad_in_restart(bool crashes) {
    for (int restarts = 1; restarts < 5; restarts++) {
        stage s;
        stage_start(&s, 2);
        s.d.bad_from = 1;
        s.d.bad_end = 3;
        s.d.constructs_crash = crashes;
        rr_actor kid = KID(&s.d, .max_restarts = restarts);
        rr_ref watch = rr_watch(kid), crash = rr_ask(kid, Kid_crash, 5);
        rr_ref behind = rr_ask(kid, Kid_add, 1);
        CHECK(outcome(crash) == RR_ERR_ACTOR_CRASHED && says(crash, "crash number 5"));
        char reason[32];
        int last = restarts < 2 ? restarts : 2;
        snprintf(reason, sizeof reason, "%s at birth %d", crashes ? "broken" : "failed", last);
        if (restarts < 3) {
            CHECK(outcome(behind) == RR_ERR_ACTOR_DEAD && says(behind, reason));
            CHECK(ends_with(watch, RR_ERR_ACTOR_CRASHED, restarts, reason));
        } else {
            CHECK(value_of(behind) == 8 && !rr_ready(watch));
            rr_release(kid);
            CHECK(ends_with(watch, RR_OK, 3, ""));
        }
        stage_end(&s);
        CHECK(s.d.creations == 1 + (restarts < 3 ? restarts : 3));
        CHECK(s.d.born == (restarts < 3 ? 1 : 2));
    }
}
TEST(constructor_that_fails_in_a_restart_is_another_crash) { bad_in_restart(false); }
TEST(constructor_that_crashes_in_a_restart_is_another_crash) { bad_in_restart(true); }

/* ---- delays ---- */

TEST(restart_delays_double) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = 3, .restart_delay_ms = 10);
    for (int i = 0; i < 3; i++) rr_tell(kid, Kid_crash, i);
    CHECK(value_of(rr_ask(kid, Kid_generation)) == 4 && s.d.creations == 4);
    for (int i = 1; i < 4; i++) {
        double gap = s.d.made[i] - s.d.made[i - 1], least = 0.75 * 0.01 * (1 << (i - 1));
        if (!CHECK(gap > least - 1e-3)) fprintf(stderr, "restart %d after %g s\n", i, gap);
    }
    stage_end(&s);
}

/* An actor whose restart is far away; its crash has been told by then. */
static rr_actor waiting_kid(stage *s, int retries) {
    rr_actor kid =
        KID(&s->d, .max_restarts = -1, .restart_delay_ms = AGES, .max_method_retries = retries);
    if (!retries) CHECK(outcome(rr_ask(kid, Kid_crash, 1)) == RR_ERR_ACTOR_CRASHED);
    return kid;
}

TEST(kill_while_the_restart_waits) {
    stage s;
    double start = rr_now();
    stage_start(&s, 2);
    rr_actor kid = waiting_kid(&s, 0);
    void *room = NULL;
    rr_ref watch = rr_watch(kid), gate = rr_create(1, &room), queued = rr_ask(kid, Kid_value);
    rr_ref late = rr_ask(kid, Kid_size, gate), behind = rr_ask(kid, Kid_value);
    CHECK(!rr_ready(queued) && rr_kill(kid) == RR_OK && rr_kill(kid) == RR_ERR_ACTOR_DEAD);
    CHECK(outcome(queued) == RR_ERR_ACTOR_DEAD && says(queued, "it was not executed"));
    CHECK(outcome(late) == RR_ERR_ACTOR_DEAD && outcome(behind) == RR_ERR_ACTOR_DEAD);
    CHECK(ends_with(watch, RR_ERR_ACTOR_DEAD, 0, "") && rr_seal(gate) == RR_OK);
    stage_end(&s);
    CHECK(rr_now() - start < LIMIT && s.d.creations == 1);
}

TEST(last_handle_goes_while_the_restart_waits) {
    stage s;
    double start = rr_now();
    stage_start(&s, 2);
    rr_actor kid = waiting_kid(&s, 0);
    rr_ref watch = rr_watch(kid);
    rr_release(kid);
    CHECK(exit_of(watch).status == RR_OK); /* nobody needs the restart */
    stage_end(&s);
    CHECK(rr_now() - start < LIMIT && s.d.creations == 1);
}

TEST(last_handle_goes_while_messages_wait_for_the_restart) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = 1, .restart_delay_ms = 20);
    rr_ref crash = rr_ask(kid, Kid_crash, 1), add = rr_ask(kid, Kid_add, 1), watch = rr_watch(kid);
    rr_release(kid);
    CHECK(outcome(crash) == RR_ERR_ACTOR_CRASHED && value_of(add) == 8);
    CHECK(ends_with(watch, RR_OK, 1, ""));
    stage_end(&s);
    CHECK(s.d.born == 2);
}

TEST(shutdown_while_a_restart_waits) {
    stage s;
    stage_start(&s, 2);
    rr_keep(waiting_kid(&s, 0)); /* still held when the runtime ends */
    stage_stop(&s);
    CHECK(s.d.creations == 1 && s.d.dropped == 1);
}

TEST(shutdown_lets_messages_behind_a_restart_finish) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = 1, .restart_delay_ms = 20);
    CHECK(rr_tell(kid, Kid_crash, 1) == RR_OK && rr_tell(kid, Kid_add, 3) == RR_OK);
    stage_stop(&s);
    CHECK(notes_are(&s.d, 1, (int[]){3}) && s.d.born == 2 && s.d.dropped == 2);
}

TEST(cancel_while_the_restart_waits) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = waiting_kid(&s, 0);
    rr_ref refs[3], watch = rr_watch(kid);
    for (int i = 0; i < 3; i++) refs[i] = rr_ask(kid, Kid_add, i);
    CHECK(rr_cancel(refs[1]) == RR_OK && outcome(refs[1]) == RR_ERR_CANCELLED);
    CHECK(rr_cancel(refs[1]) == RR_ERR_INVALID && !rr_ready(refs[0]) && !rr_ready(refs[2]));
    char why[300];
    CHECK(rr_why(refs[0], why, sizeof why) == RR_OK && strlen(why) > 0);
    CHECK(rr_kill(kid) == RR_OK && outcome(refs[2]) == RR_ERR_ACTOR_DEAD);
    CHECK(outcome(watch) == RR_OK && outcome(refs[1]) == RR_ERR_CANCELLED);
    stage_end(&s);
    CHECK(s.d.notes == 0);
}

TEST(cancelled_messages_leave_the_queue_of_a_restarted_actor) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = 1, .restart_delay_ms = 20);
    rr_tell(kid, Kid_hold_and_crash);
    CHECK(becomes(&s.d.begun, 1));
    rr_ref refs[6];
    for (int i = 0; i < 6; i++) refs[i] = rr_ask(kid, Kid_add, i);
    CHECK(rr_cancel(refs[0]) == RR_OK);
    s.d.open = true;
    CHECK(becomes(&s.d.ended, 1) && rr_cancel(refs[3]) == RR_OK);
    for (int i = 0; i < 6; i++) CHECK(outcome(refs[i]) == (i % 3 ? RR_OK : RR_ERR_CANCELLED));
    CHECK(notes_are(&s.d, 4, (int[]){1, 2, 4, 5}));
    stage_end(&s);
}

/* A waiter that would run the message itself has to leave it to the restart. */
REMOTE_FN(int, supervision_wait, rr_actor, kid) {
    int v = -1, w = -1;
    rr_ref crash = rr_ask(kid, Kid_crash, 1), r = rr_ask(kid, Kid_generation);
    rr_status status = rr_get(int, crash, &w);
    return rr_get(int, r, &v) == RR_OK && status == RR_ERR_ACTOR_CRASHED ? v : -1;
}
TEST(wait_in_a_body_for_an_actor_that_restarts) {
    for (int delay = 0; delay < 20; delay += 8) {
        stage s;
        stage_start(&s, 1);
        rr_actor kid = KID(&s.d, .max_restarts = -1, .restart_delay_ms = delay);
        CHECK(value_of(rr_call(supervision_wait, kid)) == 2);
        CHECK(value_of(rr_call(supervision_wait, kid)) == 3);
        stage_end(&s);
    }
}

/* ---- methods that are tried again ---- */

TEST(retried_method_runs_before_what_is_queued_behind_it) {
    for (int delay = 0; delay < 6; delay += 5) {
        stage s;
        stage_start(&s, 2);
        rr_actor kid =
            KID(&s.d, .max_restarts = -1, .max_method_retries = 2, .restart_delay_ms = delay);
        rr_ref r = rr_ask(kid, Kid_flaky, 2), add = rr_ask(kid, Kid_add, 5);
        CHECK(value_of(add) == 12 && value_of(r) == 7 + 2);
        CHECK(notes_are(&s.d, 4, (int[]){100, 101, 102, 5}) && s.d.born == 3);
        rr_ref again = rr_ask(kid, Kid_generation);
        CHECK(value_of(again) == 3);
        stage_end(&s);
    }
}

TEST(retried_method_tells_after_how_many_attempts_it_gave_up) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = -1, .max_method_retries = 2);
    rr_ref r = rr_ask(kid, Kid_flaky, 99), behind = rr_ask(kid, Kid_generation);
    CHECK(outcome(r) == RR_ERR_ACTOR_CRASHED && s.d.runs == 3 && value_of(behind) == 4);
    CHECK(says(r, "crash of attempt 2") && says(r, "it was executed") && says(r, "3 times"));
    rr_ref once = rr_ask(kid, Kid_leave_and_crash, 0);
    CHECK(outcome(once) == RR_ERR_ACTOR_CRASHED && says(once, "it was executed, 1 time)"));
    stage_end(&s);
}

TEST(restarts_run_out_before_the_retries) {
    for (int restarts = 1; restarts < 3; restarts++) {
        stage s;
        stage_start(&s, 2);
        rr_actor kid = KID(&s.d, .max_restarts = restarts, .max_method_retries = 9);
        rr_ref watch = rr_watch(kid), r = rr_ask(kid, Kid_flaky, 99);
        rr_ref behind = rr_ask(kid, Kid_value);
        CHECK(outcome(r) == RR_ERR_ACTOR_CRASHED && s.d.runs == restarts + 1);
        CHECK(says(r, "it was executed") && outcome(behind) == RR_ERR_ACTOR_DEAD);
        CHECK(ends_with(watch, RR_ERR_ACTOR_CRASHED, restarts, "crash of attempt"));
        stage_end(&s);
    }
}

TEST(retries_without_limit) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = -1, .max_method_retries = -1);
    CHECK(value_of(rr_ask(kid, Kid_flaky, 300)) == 307 && s.d.born == 301);
    CHECK(value_of(rr_ask(kid, Kid_value)) == 7);
    stage_end(&s);
}

TEST(kill_ends_endless_retries) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = -1, .max_method_retries = -1);
    rr_ref watch = rr_watch(kid), r = rr_ask(kid, Kid_flaky, INT32_MAX);
    rr_ref behind = rr_ask(kid, Kid_value);
    while (s.d.runs < 10) nap();
    CHECK(rr_kill(kid) == RR_OK && outcome(behind) == RR_ERR_ACTOR_DEAD);
    rr_status status = outcome(r);
    CHECK(status == RR_ERR_ACTOR_DEAD || status == RR_ERR_ACTOR_CRASHED);
    CHECK(says(r, "it was executed") && exit_of(watch).status == RR_ERR_ACTOR_DEAD);
    stage_end(&s);
}

REMOTE_METHOD(int, Kid, fail, int, code) {
    desk_at(self->at)->runs++;
    rr_fail(code, "just a failure");
    return 0;
}
TEST(failure_is_no_crash_and_is_not_tried_again) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = -1, .max_method_retries = 5);
    rr_ref r = rr_ask(kid, Kid_fail, 9);
    CHECK(outcome(r) == RR_ERR_TASK && rr_error_code(r) == 9 && s.d.runs == 1);
    CHECK(value_of(rr_ask(kid, Kid_generation)) == 1);
    stage_end(&s);
}

/* Its arguments are there in each attempt, although nobody else holds them. */
REMOTE_METHOD(int, Kid, reads, rr_bytes, b, rr_bytes, c, wide, w, rr_ref, kept, rr_actor, other) {
    rr_bytes view = {0};
    desk *d = desk_at(self->at);
    d->count += b.size == 5000 && ((const char *)b.data)[4999] == 5 && c.size == 6000 &&
                ((const char *)c.data)[5999] == 6 && w.bytes[2999] == 7 &&
                rr_get(rr_bytes, kept, &view) == RR_OK && view.size == 7000 &&
                rr_unwrap(int, rr_ask(other, Kid_value)) == 7;
    rr_put_bytes(b.data, b.size); /* and what it makes goes each time */
    if (rr_attempt() < 3) rr_crash_actor("not yet");
    return rr_attempt();
}
TEST(retry_keeps_its_arguments) {
    stage s;
    desk other = {.born = 0};
    stage_start(&s, 2);
    static char five[5000], six[6000], seven[7000];
    wide w;
    memset(five, 5, sizeof five), memset(six, 6, sizeof six), memset(w.bytes, 7, sizeof w.bytes);
    rr_ref b = rr_put_bytes(five, sizeof five), kept = rr_put_bytes(seven, sizeof seven);
    rr_actor friend = KID(&other, .name = NULL);
    rr_actor kid = KID(&s.d, .max_restarts = 3, .max_method_retries = 3, .restart_delay_ms = 2);
    rr_ref r = rr_ask(kid, Kid_reads, b, rr_bytes_of(six, sizeof six), w, kept, friend);
    rr_release(b), rr_release(kept), rr_release(friend);
    for (int i = 0; i < 20; i++) rr_release(rr_put_bytes(seven, 5000)); /* would take their place */
    CHECK(value_of(r) == 3 && s.d.count == 4);
    rr_release(r);
    CHECK(objects_settle_at(0) && actors_settle_at(1)); /* then they go, the friend too */
    stage_end(&s);
    CHECK(other.dropped == 1);
}

/* What waits for a retried method, in the same actor: as an argument, and in a body. */
REMOTE_METHOD(int, Kid, wait, rr_ref, r) {
    int v = -1;
    return rr_get(int, r, &v) == RR_OK ? self->value + v : -1;
}
TEST(dependents_behind_a_retried_method_of_the_same_actor) {
    for (int workers = 1; workers < 3; workers++) {
        stage s;
        stage_start(&s, workers);
        rr_actor kid =
            KID(&s.d, .max_restarts = -1, .max_method_retries = 2, .restart_delay_ms = 2);
        rr_ref r = rr_ask(kid, Kid_flaky, 2); /* 9 */
        rr_ref wait = rr_ask(kid, Kid_wait, r), add = rr_ask(kid, Kid_add, r);
        rr_ref last = rr_ask(kid, Kid_generation), wait_more = rr_ask(kid, Kid_wait, add);
        CHECK(value_of(wait) == 16 && value_of(add) == 16 && value_of(last) == 3);
        CHECK(value_of(wait_more) == 32 && value_of(r) == 9);
        stage_end(&s);
    }
}

TEST(cancel_between_attempts) {
    stage s;
    double start = rr_now();
    stage_start(&s, 2);
    rr_actor kid = waiting_kid(&s, 5);
    rr_ref watch = rr_watch(kid), r = rr_ask(kid, Kid_flaky, 9);
    rr_ref next = rr_call(supervision_same, r), behind = rr_ask(kid, Kid_value);
    CHECK(becomes(&s.d.runs, 1) && !rr_ready(r));
    CHECK(rr_cancel(r) == RR_OK && rr_cancel(r) == RR_ERR_INVALID);
    CHECK(outcome(r) == RR_ERR_CANCELLED && outcome(next) == RR_ERR_CANCELLED);
    CHECK(!rr_ready(behind) && rr_kill(kid) == RR_OK && outcome(behind) == RR_ERR_ACTOR_DEAD);
    CHECK(outcome(watch) == RR_OK);
    stage_end(&s);
    CHECK(s.d.runs == 1 && rr_now() - start < LIMIT);
}

TEST(kill_between_attempts) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = waiting_kid(&s, 5);
    rr_ref watch = rr_watch(kid), r = rr_ask(kid, Kid_flaky, 9), behind = rr_ask(kid, Kid_value);
    CHECK(becomes(&s.d.runs, 1) && becomes(&s.d.dropped, 1) && !rr_ready(r));
    CHECK(rr_kill(kid) == RR_OK && outcome(behind) == RR_ERR_ACTOR_DEAD);
    rr_status status = outcome(r);
    CHECK(status == RR_ERR_ACTOR_DEAD || status == RR_ERR_ACTOR_CRASHED);
    CHECK(says(r, "it was executed") && says(behind, "it was not executed"));
    CHECK(ends_with(watch, RR_ERR_ACTOR_DEAD, 0, "") && s.d.runs == 1);
    stage_end(&s);
}

/* Cancelled while it runs, it crashes: the state is replaced, the method does not run again. */
TEST(crash_of_a_cancelled_method) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = 5, .max_method_retries = 5);
    rr_ref r = rr_ask(kid, Kid_hold_and_crash), behind = rr_ask(kid, Kid_generation);
    CHECK(becomes(&s.d.begun, 1) && rr_cancel(r) == RR_OK);
    CHECK(outcome(r) == RR_ERR_CANCELLED && !rr_ready(behind));
    s.d.open = true;
    CHECK(value_of(behind) == 2 && s.d.begun == 1 && outcome(r) == RR_ERR_CANCELLED);
    stage_end(&s);
}

TEST(last_handle_goes_between_attempts) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = -1, .max_method_retries = 3, .restart_delay_ms = 3);
    rr_ref watch = rr_watch(kid), r = rr_ask(kid, Kid_flaky, 3);
    rr_release(kid);
    CHECK(value_of(r) == 10 && ends_with(watch, RR_OK, 3, ""));
    stage_end(&s);
}

/* ---- watches ---- */

TEST(watch_tells_why_it_ended) {
    stage s;
    stage_start(&s, 2);
    rr_actor kids[5];
    rr_ref watch[5];
    for (int i = 0; i < 5; i++) {
        kids[i] = rr_spawn_with(RR_ACTOR_OPTIONS(.max_restarts = 1), Fragile_create, AT(&s.d));
        watch[i] = rr_watch(kids[i]);
        CHECK(!rr_ready(watch[i]));
    }
    rr_release(kids[0]);
    CHECK(ends_with(watch[0], RR_OK, 0, ""));
    CHECK(rr_kill(kids[1]) == RR_OK && ends_with(watch[1], RR_ERR_ACTOR_DEAD, 0, ""));
    for (int i = 0; i < 2; i++) rr_tell(kids[2], Fragile_crash);
    CHECK(ends_with(watch[2], RR_ERR_ACTOR_CRASHED, 1, "in a method"));
    rr_tell(kids[3], Fragile_crash);
    rr_release(kids[3]);
    CHECK(ends_with(watch[3], RR_OK, 1, "") && !rr_ready(watch[4]));
    stage_end(&s);
}

TEST(watch_of_an_actor_that_leaves) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = 1);
    rr_ref watch = rr_watch(kid), last = rr_ask(kid, Kid_leave);
    CHECK(value_of(last) == 7 && ends_with(watch, RR_OK, 0, ""));
    stage_end(&s);
}

TEST(watch_of_an_actor_that_could_not_be_made) {
    stage s;
    stage_start(&s, 2);
    rr_ref bad = rr_call(supervision_fail, 3);
    rr_actor late = rr_spawn(Kid_create, AT(&s.d), bad), clash[2];
    CHECK(ends_with(rr_watch(late), RR_ERR_TASK, 0, "no argument"));
    for (int i = 0; i < 2; i++) clash[i] = KID(&s.d, .name = "one");
    CHECK(ends_with(rr_watch(clash[1]), RR_ERR_DUPLICATE, 0, "'one'"));
    CHECK(rr_kill(clash[0]) == RR_OK && outcome(rr_watch(clash[0])) == RR_OK);
    stage_end(&s);
}

static void spawn_outside(void *at) {
    desk *d = at;
    is_chosen = true;
    rr_scope scope = rr_scope_begin();
    rr_actor kid = KID(d, .name = "twin");
    is_chosen = false; /* what follows is nobody's race */
    d->ended += outcome(rr_ask(kid, Kid_value)) == RR_OK;
    until_open(d);
    rr_scope_end(scope);
}
/* Wherever the first of them is while the second is made. */
TEST(two_actors_at_once_never_have_one_name) {
    stage s;
    stage_start(&s, 2);
    for (int step = 1; step <= 6; step++) {
        desk d = {.born = 0}, other = {.born = 0};
        outside thread;
        only_chosen = true;
        stall_begin(step);
        outside_start(&thread, s.f.runtime, spawn_outside, &other);
        stall_wait(&other.begun);
        rr_actor kid = KID(&d, .name = "twin");
        int living = outcome(rr_ask(kid, Kid_value)) == RR_OK;
        stall_end();
        CHECK(becomes(&other.begun, 1) && living + other.ended == 1);
        other.open = true;
        outside_join(&thread);
        rr_release(kid);
        CHECK(actors_settle_at(0) && d.born + other.born == 1);
    }
    stage_end(&s);
}

TEST(watch_is_complete_after_the_destructor) {
    stage s;
    stage_start(&s, 2);
    for (int i = 0; i < 300; i++) {
        desk d = {.born = 0};
        rr_actor kid = KID(&d, .max_restarts = 1);
        rr_ref watch = rr_watch(kid);
        CHECK(value_of(rr_ask(kid, Kid_value)) == 7);
        if (i % 3 == 0) rr_tell(kid, Kid_crash, i);
        if (i % 2) rr_release(kid);
        else CHECK(rr_kill(kid) == RR_OK);
        while (!rr_ready(watch)) sched_yield();
        CHECK(d.dropped == d.born && rr_get_void(watch) == RR_OK);
    }
    stage_end(&s);
}

TEST(watch_after_the_end_is_complete_at_once) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = 0);
    rr_ref before = rr_watch(kid);
    CHECK(outcome(rr_ask(kid, Kid_crash, 8)) == RR_ERR_ACTOR_CRASHED && outcome(before) == RR_OK);
    rr_ref after = rr_watch(kid);
    CHECK(rr_ready(after));
    rr_exit one = exit_of(before), two = exit_of(after);
    CHECK(one.status == two.status && one.restarts == two.restarts);
    CHECK(!strcmp(one.reason, two.reason) && strstr(two.reason, "crash number 8"));
    stage_end(&s);
}

TEST(watch_does_not_keep_the_actor_alive) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = 1);
    rr_ref watch = rr_watch(kid);
    CHECK(value_of(rr_ask(kid, Kid_value)) == 7);
    rr_release(kid);
    CHECK(actors_settle_at(0) && ends_with(watch, RR_OK, 0, ""));
    CHECK(outcome(rr_watch(kid)) == RR_ERR_STALE && rr_kill(kid) == RR_ERR_STALE);
    stage_end(&s);
}

TEST(watch_that_is_released_before_the_end) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = 1);
    for (int i = 0; i < 100; i++) rr_release(rr_watch(kid));
    rr_ref watch = rr_watch(kid);
    CHECK(rr_kill(kid) == RR_OK && outcome(watch) == RR_OK);
    stage_end(&s);
}

static void watch_outside(void *data) {
    rr_actor kid = *(rr_actor *)data;
    rr_ref refs[300];
    for (int i = 0; i < 300; i++) refs[i] = rr_watch(kid);
    for (int i = 0; i < 300; i++) {
        CHECK(ends_with(refs[i], RR_ERR_ACTOR_DEAD, 0, ""));
        rr_release(refs[i]);
    }
}
TEST(many_watchers_while_it_ends) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = 1);
    outside threads[3];
    for (int i = 0; i < 3; i++) outside_start(&threads[i], s.f.runtime, watch_outside, &kid);
    rr_ref mine[200];
    for (int i = 0; i < 200; i++) mine[i] = rr_watch(kid);
    CHECK(rr_kill(kid) == RR_OK);
    for (int i = 0; i < 200; i++) CHECK(ends_with(mine[i], RR_ERR_ACTOR_DEAD, 0, ""));
    for (int i = 0; i < 3; i++) outside_join(&threads[i]);
    stage_end(&s);
}

TEST(watch_cuts_a_long_reason) {
    stage s;
    stage_start(&s, 2);
    REMOTE_METHOD_DECLARE(int, Kid, crash_long);
    rr_actor kid = KID(&s.d, .max_restarts = 0);
    rr_ref watch = rr_watch(kid);
    CHECK(outcome(rr_ask(kid, Kid_crash_long)) == RR_ERR_ACTOR_CRASHED);
    rr_exit e = exit_of(watch);
    CHECK(memchr(e.reason, 0, sizeof e.reason) && strlen(e.reason) > sizeof e.reason / 2);
    CHECK(strstr(e.reason, "xxxx"));
    stage_end(&s);
}
REMOTE_METHOD(int, Kid, crash_long) {
    char text[1000];
    memset(text, 'x', sizeof text - 1), text[sizeof text - 1] = 0;
    rr_crash_actor("%s", text);
    return self->value;
}

TEST(watch_of_what_is_no_actor) {
    stage s;
    stage_start(&s, 1);
    rr_actor kid = KID(&s.d, .max_restarts = 1);
    rr_ref watch = rr_watch(kid);
    int v = 5;
    CHECK(outcome(rr_watch((rr_actor){0})) == RR_ERR_STALE);
    CHECK(rr_cancel(watch) == RR_ERR_INVALID && rr_seal(watch) == RR_ERR_INVALID);
    CHECK(rr_get_timeout(int, watch, &v, 1) == RR_ERR_TIMEOUT);
    CHECK(rr_kill(kid) == RR_OK && outcome(watch) == RR_OK);
    CHECK(rr_get(int, watch, &v) == RR_ERR_TYPE && v == 0);
    rr_runtime *mine = rr_runtime_use(NULL);
    CHECK(rr_get_void(rr_watch(kid)) == RR_ERR_NOT_RUNNING);
    rr_runtime_use(mine);
    stage_end(&s);
}

/* Supervisors: actors that are told of the end of others. */
typedef struct Chief {
    uint64_t at;
} Chief;
REMOTE_ACTOR(Chief, create, uint64_t, at) { self->at = at; }
REMOTE_METHOD(void, Chief, ended, int, which, rr_exit, why) {
    note(desk_at(self->at), 10 * which + (int)why.status);
}
REMOTE_METHOD(int, Chief, count) { return desk_at(self->at)->notes; }

TEST(watch_as_an_argument_of_a_message) {
    stage s;
    desk d = {.born = 0};
    stage_start(&s, 2);
    rr_actor chief = rr_spawn(Chief_create, AT(&d)), kid = KID(&s.d, .max_restarts = 1);
    rr_ref watch = rr_watch(kid);
    CHECK(rr_tell(chief, Chief_ended, 3, watch) == RR_OK);
    rr_release(watch);
    rr_tell(kid, Kid_crash, 1);
    CHECK(value_of(rr_ask(kid, Kid_generation)) == 2 && d.notes == 0);
    rr_release(kid);
    CHECK(becomes(&d.notes, 1) && notes_are(&d, 1, (int[]){30 + RR_OK}));
    stage_end(&s);
}

TEST(watch_in_a_message_to_an_actor_that_ends_first) {
    stage s;
    desk d = {.born = 0};
    stage_start(&s, 2);
    rr_actor chief = rr_spawn(Chief_create, AT(&d)), kid = KID(&s.d, .max_restarts = 1);
    rr_ref mine = rr_watch(kid);
    CHECK(rr_tell(chief, Chief_ended, 3, rr_watch(kid)) == RR_OK);
    CHECK(rr_kill(chief) == RR_OK && outcome(rr_watch(chief)) == RR_OK);
    CHECK(rr_kill(kid) == RR_OK && outcome(mine) == RR_OK && d.notes == 0);
    stage_end(&s);
}

/* They are told in the order of the ends, and what is sent later need not wait for them. */
TEST(messages_that_wait_for_a_watch_hold_back_nobody) {
    stage s;
    desk d = {.born = 0};
    stage_start(&s, 2);
    rr_actor chief = rr_spawn(Chief_create, AT(&d)), kids[3];
    for (int i = 0; i < 3; i++) {
        kids[i] = rr_spawn(Fragile_create, AT(&s.d));
        CHECK(rr_tell(chief, Chief_ended, i, rr_watch(kids[i])) == RR_OK);
    }
    CHECK(value_of(rr_ask(chief, Chief_count)) == 0);
    rr_release(kids[1]);
    CHECK(becomes(&d.notes, 1) && rr_kill(kids[2]) == RR_OK && becomes(&d.notes, 2));
    rr_release(kids[0]);
    CHECK(becomes(&d.notes, 3) && value_of(rr_ask(chief, Chief_count)) == 3);
    CHECK(notes_are(&d, 3, (int[]){10, 20 + RR_ERR_ACTOR_DEAD, 0}));
    stage_end(&s);
}

TEST(message_that_waits_for_a_watch_ends_with_its_actor) {
    stage s;
    desk d = {.born = 0};
    stage_start(&s, 2);
    rr_actor chief = rr_spawn(Chief_create, AT(&d)), kid = KID(&s.d, .max_restarts = 1);
    rr_ref told = rr_ask(chief, Chief_ended, 3, rr_watch(kid));
    rr_ref other = rr_ask(chief, Chief_ended, 4, rr_watch(kid));
    CHECK(rr_cancel(other) == RR_OK && outcome(other) == RR_ERR_CANCELLED);
    CHECK(rr_kill(chief) == RR_OK && rr_wait(&told, 1, 1, 2000, NULL) == 1);
    CHECK(rr_kill(kid) == RR_OK && outcome(told) == RR_ERR_ACTOR_DEAD && d.notes == 0);
    stage_end(&s);
}

/* The body of a task may watch, wait, and hand the reference on. */
REMOTE_FN(rr_ref, supervision_watch, rr_actor, kid) { return rr_watch(kid); }
REMOTE_FN(int, supervision_exit, uint64_t, at, rr_exit, why) {
    note(desk_at(at), (int)why.status);
    return (int)why.status;
}
REMOTE_FN(int, supervision_wait_end, rr_actor, kid) {
    rr_exit e = {RR_OK, 0, ""};
    rr_ref watch = rr_watch(kid);
    CHECK(rr_kill(kid) == RR_OK);
    return rr_get(rr_exit, watch, &e) == RR_OK ? (int)e.status : -1;
}
TEST(watch_in_bodies) {
    stage s;
    stage_start(&s, 1);
    rr_actor kid = KID(&s.d, .max_restarts = 1);
    rr_ref watch = {0}, passed = rr_call(supervision_watch, kid);
    CHECK(rr_get(rr_ref, passed, &watch) == RR_OK && !rr_ready(watch));
    CHECK(value_of(rr_call(supervision_wait_end, kid)) == RR_ERR_ACTOR_DEAD);
    CHECK(ends_with(watch, RR_ERR_ACTOR_DEAD, 0, ""));
    stage_end(&s);
}

TEST(shutdown_completes_watches) {
    stage s;
    stage_start(&s, 2);
    desk d = {.born = 0};
    rr_actor chief = rr_spawn(Chief_create, AT(&d)), kid = KID(&s.d, .max_restarts = 1);
    CHECK(value_of(rr_ask(kid, Kid_value)) == 7 && value_of(rr_ask(chief, Chief_count)) == 0);
    rr_call(supervision_exit, AT(&d), rr_watch(kid));
    rr_tell(chief, Chief_ended, 3, rr_watch(kid));
    rr_keep(kid), rr_keep(chief);
    stage_stop(&s);
    CHECK(s.d.dropped == 1);
    for (int i = 0; i < d.notes; i++) CHECK(d.note[i] % 10 == RR_ERR_ACTOR_DEAD % 10);
}

/* ---- bounded mailboxes ---- */

TEST(full_mailbox_pushes_back) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_pending = 4);
    int accepted = 0;
    for (int i = 0; i < 100; i++) accepted += rr_tell(kid, Kid_hold) == RR_OK;
    CHECK(accepted == 4 || accepted == 5); /* one may have begun */
    if (accepted == 4) CHECK(becomes(&s.d.begun, 1) && rr_tell(kid, Kid_hold) == RR_OK);
    rr_ref r = rr_ask(kid, Kid_hold);
    CHECK(outcome(r) == RR_ERR_MAILBOX_FULL && says(r, "max_pending"));
    s.d.open = true;
    stage_end(&s);
    CHECK(s.d.begun == 5);
}

/* Fills a mailbox in which there is room for so many, and no more. */
static bool has_room_for(rr_actor kid, int n) {
    int had = 0;
    while (had <= n && rr_tell(kid, Kid_noted, 1) == RR_OK) had++;
    if (had != n) fprintf(stderr, "room for %d%s, not %d\n", had, had > n ? " or more" : "", n);
    return had == n;
}

TEST(full_mailbox_has_exactly_the_room_it_promises) {
    for (int room = 1; room < 6; room += 4) {
        stage s;
        stage_start(&s, 2);
        rr_actor kid = HELD_KID(&s, .max_pending = room);
        for (int round = 1; round < 4; round++) {
            CHECK(has_room_for(kid, room));
            CHECK(rr_tell(kid, Kid_add, 1) == RR_ERR_MAILBOX_FULL);
            const char *text = rr_error_message((rr_ref){0});
            CHECK(strstr(text, "max_pending") && strstr(text, "it was not executed"));
            rr_ref r = rr_ask(kid, Kid_add, 1);
            CHECK(rr_ready(r) && outcome(r) == RR_ERR_MAILBOX_FULL && says(r, "max_pending"));
            s.d.open = true;
            CHECK(becomes(&s.d.notes, room * round));
            s.d.open = false;
            CHECK(rr_tell(kid, Kid_hold) == RR_OK && becomes(&s.d.begun, round + 1));
        }
        s.d.open = true;
        stage_end(&s);
    }
}

TEST(cancelled_messages_leave_room_at_once) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = HELD_KID(&s, .max_pending = 4);
    rr_ref refs[4];
    for (int i = 0; i < 4; i++) refs[i] = rr_ask(kid, Kid_add, i);
    for (int i = 0; i < 4; i++)
        if (i != 2) CHECK(rr_cancel(refs[i]) == RR_OK);
    CHECK(has_room_for(kid, 3));
    s.d.open = true;
    CHECK(value_of(refs[2]) == 9 && becomes(&s.d.notes, 4));
    s.d.open = false;
    CHECK(rr_tell(kid, Kid_hold) == RR_OK && becomes(&s.d.begun, 2) && has_room_for(kid, 4));
    s.d.open = true;
    stage_end(&s);
}

typedef struct canceller {
    rr_ref r;
    rr_status status;
} canceller;
static void cancel_outside(void *data) {
    canceller *c = data;
    is_chosen = true;
    c->status = rr_cancel(c->r);
}
/* Who cancels gives the room back, at whichever step it is held up. */
TEST(actor_ends_while_a_message_of_it_is_cancelled) {
    for (int waits = 0; waits < 2; waits++) {
        stage s;
        stage_start(&s, 2);
        rr_actor kid = HELD_KID(&s, .max_pending = 4);
        rr_ref gate = unsealed(8);
        canceller c = {waits ? rr_ask(kid, Kid_size, gate) : rr_ask(kid, Kid_add, 1), RR_OK};
        outside thread;
        only_chosen = true;
        stall_begin(1);
        outside_start(&thread, s.f.runtime, cancel_outside, &c);
        for (int i = 0; !is_stalled && i < LIMIT * 1000; i++) nap();
        CHECK(is_stalled);
        CHECK(rr_kill(kid) == RR_OK);
        s.d.open = true;
        CHECK(rr_seal(gate) == RR_OK);
        rr_release(kid);
        CHECK(becomes(&s.d.dropped, 1));
        stall_end();
        outside_join(&thread);
        CHECK(c.status == RR_OK && outcome(c.r) == RR_ERR_CANCELLED);
        stage_end(&s);
    }
}

TEST(messages_that_wait_for_an_argument_take_room) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = HELD_KID(&s, .max_pending = 4);
    void *room = NULL;
    rr_ref gate = rr_create(1, &room), never = rr_call(supervision_size, gate);
    rr_ref late = rr_ask(kid, Kid_size, gate), bad = rr_ask(kid, Kid_add, never);
    rr_ref behind = rr_ask(kid, Kid_add, 1);
    CHECK(has_room_for(kid, 1));
    CHECK(rr_cancel(never) == RR_OK && outcome(bad) == RR_ERR_CANCELLED && has_room_for(kid, 1));
    CHECK(rr_cancel(late) == RR_OK && outcome(late) == RR_ERR_CANCELLED);
    CHECK(rr_seal(gate) == RR_OK); /* what waited for it is cancelled: its room is free again */
    for (int i = 0; i < 10000 && rr_tell(kid, Kid_add, 1) != RR_OK; i++) nap();
    CHECK(has_room_for(kid, 0));
    s.d.open = true;
    CHECK(outcome(behind) == RR_OK);
    stage_end(&s);
}

TEST(refused_messages_leave_room) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = HELD_KID(&s, .max_pending = 3);
    rr_ref wrong = rr_put(double, 1.5);
    for (int i = 0; i < 10; i++) { /* they never get in */
        CHECK(rr_tell(kid, Kid_add, wrong) == RR_ERR_TYPE);
        CHECK(rr_tell(kid, Kid_add, (rr_ref){0}) == RR_ERR_STALE);
        CHECK(rr_tell(kid, Chief_count) == RR_ERR_TYPE);
    }
    CHECK(has_room_for(kid, 3));
    s.d.open = true;
    CHECK(becomes(&s.d.notes, 3));
    s.d.open = false;
    CHECK(rr_tell(kid, Kid_hold) == RR_OK && becomes(&s.d.begun, 2) && has_room_for(kid, 3));
    CHECK(rr_kill(kid) == RR_OK && rr_tell(kid, Kid_add, 1) == RR_ERR_ACTOR_DEAD);
    s.d.open = true;
    stage_end(&s);
}

TEST(full_mailbox_of_an_actor_that_is_not_born) {
    stage s;
    stage_start(&s, 2);
    void *room = NULL;
    rr_ref gate = rr_create(1, &room), late = rr_call(supervision_size, gate);
    rr_actor kid = rr_spawn_with(RR_ACTOR_OPTIONS(.max_pending = 3), Kid_create, AT(&s.d), late);
    CHECK(has_room_for(kid, 3) && rr_seal(gate) == RR_OK && becomes(&s.d.notes, 3));
    stage_end(&s);
}

TEST(full_mailbox_of_an_actor_that_restarts) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_pending = 3, .max_restarts = 1, .restart_delay_ms = 20);
    CHECK(rr_tell(kid, Kid_hold_and_crash) == RR_OK && becomes(&s.d.begun, 1));
    CHECK(has_room_for(kid, 3));
    s.d.open = true;
    CHECK(becomes(&s.d.notes, 3) && value_of(rr_ask(kid, Kid_generation)) == 2);
    s.d.open = false;
    CHECK(rr_tell(kid, Kid_hold) == RR_OK && becomes(&s.d.begun, 2) && has_room_for(kid, 3));
    s.d.open = true;
    stage_end(&s);
}

typedef struct sender {
    rr_actor kid;
    int tries, accepted;
} sender;
static void send_outside(void *data) {
    sender *x = data;
    for (int i = 0; i < x->tries; i++) {
        rr_ref r = {0};
        if (i % 2) x->accepted += rr_tell(x->kid, Kid_add, 1) == RR_OK;
        else r = rr_ask(x->kid, Kid_add, 1), x->accepted += !rr_ready(r) || rr_get_void(r) == RR_OK;
        if (i % 2 == 0) rr_release(r);
    }
}
static int send_from_three(stage *s, rr_actor kid) {
    outside threads[3];
    sender senders[3];
    int accepted = 0;
    for (int i = 0; i < 3; i++) {
        senders[i] = (sender){kid, 300, 0};
        outside_start(&threads[i], s->f.runtime, send_outside, &senders[i]);
    }
    for (int i = 0; i < 3; i++) outside_join(&threads[i]), accepted += senders[i].accepted;
    return accepted;
}
TEST(full_mailbox_counts_exactly_under_many_senders) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = HELD_KID(&s, .max_pending = 100);
    int accepted = send_from_three(&s, kid);
    if (!CHECK(accepted == 100)) fprintf(stderr, "%d got in\n", accepted);
    s.d.open = true;
    CHECK(becomes(&s.d.notes, 100));
    accepted += send_from_three(&s, kid); /* while it runs */
    CHECK(becomes(&s.d.notes, accepted));
    s.d.open = false;
    CHECK(rr_tell(kid, Kid_hold) == RR_OK && becomes(&s.d.begun, 2) && has_room_for(kid, 100));
    s.d.open = true;
    stage_end(&s);
}

/* ---- warnings of long mailboxes ---- */

static void fill(rr_actor kid, int n) {
    int told = 0;
    for (int i = 0; i < n; i++) told += rr_tell(kid, Kid_value) == RR_OK;
    CHECK(told == n);
}
TEST_ALONE(long_mailboxes_are_told_at_each_doubling) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = HELD_KID(&s, .name = "hoarder");
    int wanted[5] = {0, 1, 2, 2, 3}, step[5] = {8000, 5000, 9000, 14000, 9000}; /* 45000 */
    for (int i = 0; i < 5; i++) {
        fill(kid, step[i]);
        if (!CHECK(fixture_messages(&s.f) == wanted[i]))
            fprintf(stderr, "step %d: %d warnings\n", i, fixture_messages(&s.f));
    }
    CHECK(s.f.errors == 0 && fixture_logged(&s.f, "max_pending"));
    s.d.open = true;
    stage_end(&s);
}

TEST_ALONE(handles_are_not_messages) {
    enum { COUNT = 25000 };
    stage s;
    stage_start(&s, 2);
    rr_actor kid = HELD_KID(&s, .name = NULL);
    rr_ref many[COUNT / 5];
    for (int i = 0; i < COUNT; i++) rr_retain(kid);
    for (int i = 0; i < COUNT / 5; i++) many[i] = rr_put(rr_actor, kid);
    fill(kid, 50);
    s.d.open = true;
    for (int i = 0; i < 600; i++) CHECK(value_of(rr_ask(kid, Kid_value)) == 7);
    for (int i = 0; i < COUNT; i++) rr_release(kid);
    for (int i = 0; i < COUNT / 5; i++) rr_release(many[i]);
    CHECK(fixture_messages(&s.f) == 0);
    stage_end(&s);
}

/* ---- several methods at once ---- */

static void enter(desk *d) {
    int now = ++d->inside, most = d->most;
    while (now > most && !atomic_compare_exchange_weak(&d->most, &most, now)) {
    }
}
/* Stays until n have been inside at once. */
REMOTE_METHOD(int, Kid, meet, int, n) {
    desk *d = desk_at(self->at);
    enter(d);
    for (int i = 0; d->most < n && i < LIMIT * 1000; i++) nap();
    d->runs++;
    d->inside--;
    return self->generation;
}
TEST(so_many_methods_at_once_and_no_more) {
    for (int n = 1; n < 5; n++) {
        stage s;
        stage_start(&s, 4);
        rr_actor kid = KID(&s.d, .max_concurrency = n == 1 ? 0 : n);
        rr_ref refs[40];
        for (int i = 0; i < 40; i++) refs[i] = rr_ask(kid, Kid_meet, n);
        for (int i = 0; i < 40; i++) CHECK(value_of(refs[i]) == 1);
        if (!CHECK(s.d.most == n && s.d.runs == 40))
            fprintf(stderr, "%d of %d at once\n", s.d.most, n);
        stage_end(&s);
    }
}

/* Those that wait lend their worker, to methods of the same actor as well. One that is told to stop
   stays, where the desk wants it, until the gate is open. */
REMOTE_METHOD(int, Kid, wait_gate, rr_ref, gate) {
    desk *d = desk_at(self->at);
    rr_bytes view;
    enter(d);
    d->begun++;
    rr_status status = rr_get(rr_bytes, gate, &view);
    bool stays = status == RR_ERR_CANCELLED && d->stays;
    rr_block_begin();
    while (stays && !rr_ready(gate)) nap();
    rr_block_end();
    d->inside--;
    d->ended++;
    return status == RR_OK || stays ? self->generation : (int)status + 100;
}
TEST(methods_that_wait_leave_room_on_one_worker) {
    stage s;
    stage_start(&s, 1);
    void *room = NULL;
    rr_ref gate = rr_create(1, &room), refs[10];
    rr_actor kid = KID(&s.d, .max_concurrency = 3);
    for (int i = 0; i < 10; i++) refs[i] = rr_ask(kid, Kid_wait_gate, gate);
    CHECK(becomes(&s.d.begun, 3) && value_of(rr_call(supervision_same, 4)) == 4);
    CHECK(s.d.begun == 3 && rr_seal(gate) == RR_OK);
    for (int i = 0; i < 10; i++) CHECK(value_of(refs[i]) == 1);
    CHECK(s.d.most <= 3);
    stage_end(&s);
}

/* An actor that is full of methods that wait for the gate, and more of them behind. */
typedef struct crowd {
    stage s;
    rr_actor kid;
    rr_ref gate, watch, in[3], behind[3];
} crowd;
static void crowd_start(crowd *c, int workers, rr_actor_options options) {
    void *room = NULL;
    stage_start(&c->s, workers);
    options.max_concurrency = 3;
    c->gate = rr_create(1, &room), c->kid = new_kid(&c->s.d, options);
    c->watch = rr_watch(c->kid);
    for (int i = 0; i < 3; i++) c->in[i] = rr_ask(c->kid, Kid_wait_gate, c->gate);
    CHECK(becomes(&c->s.d.begun, 3));
    for (int i = 0; i < 3; i++) c->behind[i] = rr_ask(c->kid, Kid_generation);
}

TEST(kill_while_several_are_inside) {
    for (int workers = 1; workers < 4; workers++) {
        crowd c;
        crowd_start(&c, workers, (rr_actor_options){.max_restarts = 1});
        c.s.d.stays = true;
        CHECK(rr_kill(c.kid) == RR_OK && rr_kill(c.kid) == RR_ERR_ACTOR_DEAD);
        for (int i = 0; i < 3; i++) CHECK(outcome(c.behind[i]) == RR_ERR_ACTOR_DEAD);
        CHECK(c.s.d.dropped == 0 && !rr_ready(c.watch) && !rr_ready(c.in[0]));
        CHECK(rr_seal(c.gate) == RR_OK);
        for (int i = 0; i < 3; i++) CHECK(value_of(c.in[i]) == 1);
        CHECK(ends_with(c.watch, RR_ERR_ACTOR_DEAD, 0, "") && c.s.d.dropped == 1);
        stage_end(&c.s);
    }
}

/* The runner is held at each of its steps in turn, and the actor killed there. */
TEST(kill_at_each_step_of_the_runner_while_one_is_inside) {
    for (int step = 1; step < 6; step++) {
        stage s;
        stage_start(&s, 1);
        void *room = NULL;
        rr_ref gate = rr_create(1, &room);
        rr_actor kid = KID(&s.d, .max_concurrency = 3);
        s.d.stays = true;
        rr_ref in = rr_ask(kid, Kid_wait_gate, gate);
        CHECK(becomes(&s.d.begun, 1) && value_of(rr_call(supervision_same, 1)) == 1);
        stall_begin(step);
        CHECK(rr_tell(kid, Kid_noted, 1) == RR_OK);
        stall_wait(&s.d.notes);
        CHECK(rr_kill(kid) == RR_OK);
        stall_end();
        CHECK(value_of(rr_call(supervision_same, 2)) == 2 && s.d.dropped == 0);
        CHECK(rr_seal(gate) == RR_OK && value_of(in) == 1);
        stage_end(&s);
        CHECK(s.d.dropped == 1);
    }
}

TEST(last_handle_goes_while_several_are_inside) {
    for (int workers = 1; workers < 4; workers++) {
        crowd c;
        crowd_start(&c, workers, (rr_actor_options){0});
        rr_release(c.kid);
        CHECK(value_of(rr_call(supervision_same, 1)) == 1 && c.s.d.dropped == 0);
        CHECK(rr_seal(c.gate) == RR_OK);
        for (int i = 0; i < 3; i++) CHECK(value_of(c.in[i]) == 1 && value_of(c.behind[i]) == 1);
        CHECK(ends_with(c.watch, RR_OK, 0, ""));
        stage_end(&c.s);
    }
}

/* Two are inside when a third crashes: it is made anew when they have left. */
static void crash_among_others(int workers, int restarts, int delay) {
    stage s;
    stage_start(&s, workers);
    void *room = NULL;
    rr_ref gate = rr_create(1, &room), in[2];
    rr_actor kid =
        KID(&s.d, .max_restarts = restarts, .max_concurrency = 3, .restart_delay_ms = delay);
    rr_ref watch = rr_watch(kid);
    for (int i = 0; i < 2; i++) in[i] = rr_ask(kid, Kid_wait_gate, gate);
    CHECK(becomes(&s.d.begun, 2));
    rr_ref crash = rr_ask(kid, Kid_crash, 4), behind = rr_ask(kid, Kid_generation);
    CHECK(outcome(crash) == RR_ERR_ACTOR_CRASHED && says(crash, "crash number 4"));
    rr_ref after = rr_ask(kid, Kid_generation);
    CHECK(value_of(rr_call(supervision_same, 1)) == 1);
    CHECK(s.d.creations == 1 && s.d.dropped == 0 && s.d.inside == 2);
    CHECK(rr_ready(after) == (restarts == 0) && rr_ready(behind) == (restarts == 0));
    CHECK(rr_seal(gate) == RR_OK);
    for (int i = 0; i < 2; i++) CHECK(value_of(in[i]) == 1);
    if (restarts) CHECK(value_of(behind) == 2 && value_of(after) == 2);
    else CHECK(outcome(behind) == RR_ERR_ACTOR_DEAD && outcome(after) == RR_ERR_ACTOR_DEAD);
    CHECK(restarts || ends_with(watch, RR_ERR_ACTOR_CRASHED, 0, "crash number 4"));
    stage_end(&s);
    CHECK(s.d.born == restarts + 1);
}
TEST(crash_while_others_are_inside) {
    for (int workers = 1; workers < 4; workers++) crash_among_others(workers, 1, 0);
    crash_among_others(2, 1, 10);
}
TEST(crash_for_good_while_others_are_inside) {
    for (int workers = 1; workers < 4; workers++) crash_among_others(workers, 0, 0);
}

REMOTE_METHOD(int, Kid, meet_and_crash, int, n) {
    Kid_meet(self, n);
    rr_crash_actor("crash together");
    return 0;
}
TEST(crashes_of_one_state_are_one_crash) {
    stage s;
    stage_start(&s, 3);
    rr_actor kid = KID(&s.d, .max_restarts = 1, .max_concurrency = 3);
    rr_ref refs[3];
    for (int i = 0; i < 3; i++) refs[i] = rr_ask(kid, Kid_meet_and_crash, 3);
    for (int i = 0; i < 3; i++) CHECK(outcome(refs[i]) == RR_ERR_ACTOR_CRASHED);
    CHECK(value_of(rr_ask(kid, Kid_generation)) == 2);
    stage_end(&s);
}

/* Those that leave last must not cut the delay short. */
static void crashes_and_a_delay(int retries) {
    stage s;
    stage_start(&s, 3);
    for (int i = 0; i < 100; i++) {
        desk d = {.born = 0};
        rr_actor kid = KID(&d, .max_restarts = -1, .max_concurrency = 3, .restart_delay_ms = AGES,
                           .max_method_retries = retries);
        rr_ref watch = rr_watch(kid), refs[3];
        for (int k = 0; k < 3; k++) refs[k] = rr_ask(kid, Kid_meet_and_crash, 3);
        for (int k = 0; k < 3 && !retries; k++) CHECK(outcome(refs[k]) == RR_ERR_ACTOR_CRASHED);
        CHECK(becomes(&d.dropped, 1) && rr_get_void(rr_call(supervision_same, 1)) == RR_OK);
        CHECK(rr_kill(kid) == RR_OK && ends_with(watch, RR_ERR_ACTOR_DEAD, 0, ""));
        CHECK(d.creations == 1 && d.runs == 3);
    }
    stage_end(&s);
}
TEST(crashes_of_one_state_keep_the_delay) { crashes_and_a_delay(0); }
TEST(retries_after_crashes_of_one_state_keep_the_delay) { crashes_and_a_delay(2); }

REMOTE_METHOD(int, Kid, shaky, int, crashes) {
    desk *d = desk_at(self->at);
    enter(d);
    d->runs++;
    if (rr_attempt() < crashes) rr_crash_actor("crash of attempt %d", rr_attempt());
    d->inside--;
    return self->generation;
}
TEST(retries_among_others) {
    stage s;
    stage_start(&s, 3);
    rr_actor kid = KID(&s.d, .max_restarts = -1, .max_concurrency = 3, .max_method_retries = -1);
    rr_ref refs[60];
    for (int i = 0; i < 60; i++) refs[i] = rr_ask(kid, Kid_shaky, i % 4);
    for (int i = 0; i < 60; i++) CHECK(value_of(refs[i]) > 0);
    CHECK(s.d.runs == 15 * (1 + 2 + 3 + 4) && s.d.most <= 3);
    stage_end(&s);
}

TEST(cancel_among_several) {
    for (int workers = 1; workers < 4; workers++) {
        crowd c;
        crowd_start(&c, workers, (rr_actor_options){0});
        CHECK(rr_cancel(c.behind[1]) == RR_OK && outcome(c.behind[1]) == RR_ERR_CANCELLED);
        CHECK(rr_cancel(c.in[1]) == RR_OK && outcome(c.in[1]) == RR_ERR_CANCELLED);
        CHECK(value_of(c.behind[0]) == 1 && value_of(c.behind[2]) == 1); /* in its place */
        CHECK(c.s.d.ended == 1 && !rr_ready(c.in[0]) && rr_seal(c.gate) == RR_OK);
        CHECK(value_of(c.in[0]) == 1 && value_of(c.in[2]) == 1);
        stage_end(&c.s);
    }
}

TEST(actor_leaves_while_several_are_inside) {
    stage s;
    stage_start(&s, 2);
    void *room = NULL;
    rr_ref gate = rr_create(1, &room), in[2];
    rr_actor kid = KID(&s.d, .max_concurrency = 3, .max_restarts = 1);
    rr_ref watch = rr_watch(kid);
    for (int i = 0; i < 2; i++) in[i] = rr_ask(kid, Kid_wait_gate, gate);
    CHECK(becomes(&s.d.begun, 2));
    rr_ref leave = rr_ask(kid, Kid_leave);
    CHECK(value_of(leave) == 7);
    rr_ref after = rr_ask(kid, Kid_value);
    CHECK(outcome(after) == RR_ERR_ACTOR_DEAD && s.d.dropped == 0 && !rr_ready(watch));
    CHECK(rr_seal(gate) == RR_OK && value_of(in[0]) == 1 && value_of(in[1]) == 1);
    CHECK(ends_with(watch, RR_OK, 0, ""));
    stage_end(&s);
}

TEST(actor_with_several_leaves_when_nobody_else_is_inside) {
    for (int inside = 0; inside < 2; inside++) {
        stage s;
        stage_start(&s, 2);
        void *room = NULL;
        rr_ref gate = rr_create(1, &room), in = {0};
        rr_actor kid = KID(&s.d, .max_concurrency = 4);
        rr_ref watch = rr_watch(kid);
        if (inside) in = rr_ask(kid, Kid_wait_gate, gate);
        CHECK(becomes(&s.d.begun, inside));
        CHECK(value_of(rr_ask(kid, Kid_leave)) == 7);
        CHECK(rr_tell(kid, Kid_leave) == RR_ERR_ACTOR_DEAD && rr_seal(gate) == RR_OK);
        if (inside) CHECK(value_of(in) == 1);
        CHECK(ends_with(watch, RR_OK, 0, ""));
        rr_release(kid);
        stage_end(&s);
    }
}

/* Each waits for the next, in the same actor. */
REMOTE_METHOD(int, Kid, nest, rr_actor, me, int, depth) {
    int v = 0;
    enter(desk_at(self->at));
    rr_status status = depth ? rr_get(int, rr_ask(me, Kid_nest, me, depth - 1), &v) : RR_OK;
    desk_at(self->at)->inside--;
    return status == RR_OK ? v + 1 : -100;
}
TEST(methods_that_wait_for_others_of_their_actor) {
    for (int workers = 1; workers < 4; workers++) {
        stage s;
        stage_start(&s, workers);
        rr_actor kid = KID(&s.d, .max_concurrency = 4);
        for (int depth = 0; depth < 4; depth++)
            CHECK(value_of(rr_ask(kid, Kid_nest, kid, depth)) == depth + 1);
        CHECK(s.d.most == 4);
        rr_ref pairs[30]; /* two of them leave two places for those that they ask */
        for (int i = 0; i < 30; i += 2) {
            pairs[i] = rr_ask(kid, Kid_nest, kid, 1), pairs[i + 1] = rr_ask(kid, Kid_nest, kid, 1);
            CHECK(value_of(pairs[i]) == 2 && value_of(pairs[i + 1]) == 2);
        }
        stage_end(&s);
    }
}

REMOTE_METHOD(int, Kid, odd_fails, int, v) {
    enter(desk_at(self->at));
    if (v % 2) rr_fail(v, "odd");
    desk_at(self->at)->inside--;
    return 3 * v;
}
TEST(results_and_errors_of_several_at_once) {
    enum { COUNT = 3000 };
    stage s;
    stage_start(&s, 3);
    rr_actor kid = KID(&s.d, .max_concurrency = 8);
    static rr_ref refs[COUNT];
    for (int i = 0; i < COUNT; i++)
        refs[i] = i % 5 ? rr_ask(kid, Kid_odd_fails, i)
                        : rr_ask(kid, Kid_odd_fails, rr_call(supervision_same, i));
    int wrong = 0;
    for (int i = 0; i < COUNT; i++) {
        int v = 0;
        rr_status status = rr_get(int, refs[i], &v);
        wrong += i % 2 ? status != RR_ERR_TASK || rr_error_code(refs[i]) != i : v != 3 * i;
    }
    CHECK(wrong == 0 && s.d.most <= 8);
    stage_end(&s);
}

TEST(bounded_mailbox_of_several_at_once) {
    stage s;
    stage_start(&s, 3);
    rr_actor kid = KID(&s.d, .max_concurrency = 3, .max_pending = 4);
    for (int i = 0; i < 3; i++)
        CHECK(rr_tell(kid, Kid_hold) == RR_OK && becomes(&s.d.begun, i + 1));
    CHECK(has_room_for(kid, 4));
    s.d.open = true;
    CHECK(becomes(&s.d.notes, 4));
    stage_end(&s);
}

/* ---- options that cannot be ---- */

/* ---- senders that wait for room ---- */

/* Sends so many numbered messages; returns how many were sent. */
REMOTE_FN(int, supervision_sends, rr_actor, kid, int, from, int, count) {
    int sent = 0;
    while (sent < count && rr_tell(kid, Kid_noted, from + sent) == RR_OK) sent++;
    return sent;
}
REMOTE_FN(int, supervision_sends_after, rr_bytes, gate, rr_actor, kid) {
    return (int)gate.size == 8 && rr_tell(kid, Kid_noted, 1) == RR_OK;
}
/* How the first message that is not sent ends. */
REMOTE_FN(int, supervision_fills, rr_actor, kid, uint64_t, at) {
    rr_status status;
    desk_at(at)->begun++;
    while ((status = rr_tell(kid, Kid_noted, 1)) == RR_OK) desk_at(at)->count++;
    desk_at(at)->told += rr_cancelled();
    return (int)status;
}
/* Kid_noted, of as many as the desk has room for, in the order in which each caller sent them. */
static bool are_in_order(desk *d, int callers, int each) {
    int next[NOTES] = {0};
    bool good = d->notes == callers * each;
    for (int i = 0; good && i < d->notes; i++)
        good = d->note[i] % each == next[d->note[i] / each]++;
    return good;
}

TEST(senders_wait_for_room_and_keep_their_order) {
    for (int workers = 1; workers < 4; workers++)
        for (int room = 1; room < 4; room += 2) {
            enum { CALLERS = 6, EACH = NOTES / CALLERS };
            stage s;
            stage_start(&s, workers);
            rr_actor kid = HELD_KID(&s, .max_pending = room, .when_full = RR_WAIT);
            rr_ref refs[CALLERS];
            for (int i = 0; i < CALLERS; i++)
                refs[i] = rr_call(supervision_sends, kid, i * EACH, EACH);
            s.d.open = true;
            for (int i = 0; i < CALLERS; i++) CHECK(value_of(refs[i]) == EACH);
            CHECK(becomes(&s.d.notes, CALLERS * EACH) && are_in_order(&s.d, CALLERS, EACH));
            stage_end(&s);
        }
}

/* So that they need no thread; and there is never more in the mailbox than there may be. */
TEST(a_thousand_senders_wait_in_line) {
    enum { SENDERS = 1000 };
    stage s;
    stage_start(&s, 2);
    rr_actor kid = HELD_KID(&s, .max_pending = 3, .when_full = RR_WAIT);
    rr_ref *refs = calloc(SENDERS, sizeof *refs);
    for (int i = 0; i < SENDERS; i++) refs[i] = rr_call(supervision_sends, kid, i, 1);
    rr_stats t;

    for (;;) { /* all of them have called */
        rr_get_stats(&t);
        if (t.tasks_submitted >= 2 + 2 * SENDERS) break;
        nap();
    }
    CHECK(s.d.notes == 0 && t.threads <= 4);
    s.d.open = true;
    for (int i = 0; i < SENDERS; i++) CHECK(value_of(refs[i]) == 1);
    CHECK(becomes(&s.d.notes, SENDERS));
    free(refs);
    stage_end(&s);
}

typedef struct teller {
    rr_actor kid;
    int count;
    rr_status status;
} teller;
static void tell_outside(void *data) {
    teller *t = data;
    for (int i = 0; i < t->count && t->status == RR_OK; i++)
        t->status = rr_tell(t->kid, Kid_noted, i);
}
TEST(threads_outside_wait_for_room) {
    stage s;
    stage_start(&s, 1);
    rr_actor kid = HELD_KID(&s, .max_pending = 1, .when_full = RR_WAIT);
    outside threads[2];
    teller tellers[2] = {{kid, NOTES / 2, RR_OK}, {kid, NOTES / 2, RR_OK}};
    for (int i = 0; i < 2; i++) outside_start(&threads[i], s.f.runtime, tell_outside, &tellers[i]);
    s.d.open = true;
    for (int i = 0; i < 2; i++) outside_join(&threads[i]), CHECK(tellers[i].status == RR_OK);
    CHECK(becomes(&s.d.notes, NOTES));
    stage_end(&s);
}

typedef struct Mate {
    rr_actor self, other;
    uint64_t at;
} Mate;
REMOTE_ACTOR(Mate, create, uint64_t, at) { self->at = at; }
REMOTE_DESTRUCTOR(Mate) {
    rr_release(self->self);
    rr_release(self->other);
}
REMOTE_METHOD(void, Mate, meet, rr_actor, me, rr_actor, other) {
    self->self = rr_keep(me);
    self->other = rr_keep(other);
}
REMOTE_METHOD(void, Mate, nothing) { (void)self; }
/* Fills the mailbox of the other one, or its own, until it is refused; not for ever, since who is
   told first makes room for the other one. */
REMOTE_METHOD(int, Mate, fill, bool, own) {
    rr_status status = RR_OK;
    desk *d = desk_at(self->at);
    for (d->begun++; !own && d->begun < 2;) rr_sleep_ms(1);
    for (int i = 0; status == RR_OK && i < 100; i++)
        status = rr_tell(own ? self->self : self->other, Mate_nothing);
    if (status != RR_OK && !strstr(rr_error_message((rr_ref){0}), "Mate_fill")) d->bad_from++;
    return (int)status;
}
TEST(senders_that_wait_for_themselves_are_told) {
    for (int workers = 1; workers < 4; workers++) {
        stage s;
        stage_start(&s, workers);
        rr_actor mates[2];
        for (int i = 0; i < 2; i++)
            mates[i] = rr_spawn_with(RR_ACTOR_OPTIONS(.max_pending = 2, .when_full = RR_WAIT),
                                     Mate_create, AT(&s.d));
        for (int i = 0; i < 2; i++)
            CHECK(outcome(rr_ask(mates[i], Mate_meet, mates[i], mates[1 - i])) == RR_OK);
        rr_ref own = rr_ask(mates[0], Mate_fill, true);
        CHECK(value_of(own) == RR_ERR_DEADLOCK);
        s.d.begun = 0;
        rr_ref each[2] = {rr_ask(mates[0], Mate_fill, false), rr_ask(mates[1], Mate_fill, false)};
        int first = value_of(each[0]), second = value_of(each[1]);
        CHECK(first == RR_ERR_DEADLOCK || second == RR_ERR_DEADLOCK);
        CHECK((first == RR_OK || first == RR_ERR_DEADLOCK) &&
              (second == RR_OK || second == RR_ERR_DEADLOCK) && s.d.bad_from == 0);
        for (int i = 0; i < 2; i++) CHECK(rr_kill(mates[i]) == RR_OK);
        stage_end(&s);
    }
}

REMOTE_METHOD(int, Kid, hold_apart) {
    rr_block_begin();
    until_open(desk_at(self->at));
    rr_block_end();
    return 1;
}
REMOTE_METHOD(int, Kid, waits_for, rr_ref, r) {
    int v = -1;
    rr_status status = rr_get(int, r, &v);
    return status == RR_OK ? v : 100 + (int)status + 0 * self->value;
}
/* It waits for one that has waited for it, but has room now, and has not run since. */
TEST(sender_that_has_got_room_is_in_no_ring) {
    for (int workers = 1; workers < 4; workers++)
        for (int round = 0; round < 20; round++) {
            stage s;
            stage_start(&s, workers);
            rr_actor kid = KID(&s.d, .max_pending = 1, .when_full = RR_WAIT);
            CHECK(rr_tell(kid, Kid_hold_apart) == RR_OK && becomes(&s.d.begun, 1));
            rr_ref gate = unsealed(8), sends = rr_call(supervision_sends_after, gate, kid);
            rr_ref waits = rr_ask(kid, Kid_waits_for, sends);
            CHECK(rr_seal(gate) == RR_OK);
            rr_sleep_ms(1); /* for it to line up; without that the test shows less */
            s.d.open = true;
            CHECK(value_of(waits) == 1 && value_of(sends) == 1);
            stage_end(&s);
        }
}

/* A method that its actor has sent to itself is none of what that has called: its result counts. */
REMOTE_METHOD(rr_ref, Kid, asks_itself, rr_actor, me) { return rr_ask(me, Kid_hold); }
TEST(kill_lets_a_method_that_the_actor_sent_to_itself_end) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = KID(&s.d, .max_restarts = 0);
    rr_ref own = {0};
    CHECK(rr_get(rr_ref, rr_ask(kid, Kid_asks_itself, kid), &own) == RR_OK);
    CHECK(becomes(&s.d.begun, 1) && rr_kill(kid) == RR_OK);
    s.d.open = true;
    CHECK(value_of(own) == 1);
    stage_end(&s);
}

TEST(cancelled_senders_leave_the_line) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = HELD_KID(&s, .max_pending = 2, .when_full = RR_WAIT);
    rr_ref refs[5];
    for (int i = 0; i < 5; i++) refs[i] = rr_call(supervision_fills, kid, AT(&s.d));
    CHECK(becomes(&s.d.begun, 6) && becomes(&s.d.count, 2));
    for (int i = 0; i < 5; i += 2) CHECK(rr_cancel_alone(refs[i]) == RR_OK);
    CHECK(becomes(&s.d.told, 3) && s.d.count == 2);
    s.d.open = true;
    for (int i = 0; i < LIMIT * 1000 && s.d.count < 20; i++) nap();
    CHECK(s.d.count >= 20);
    for (int i = 1; i < 5; i += 2) CHECK(rr_cancel(refs[i]) == RR_OK);
    CHECK(becomes(&s.d.told, 5));
    stage_end(&s);
}

TEST(kill_while_senders_wait) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = HELD_KID(&s, .max_pending = 2, .when_full = RR_WAIT);
    rr_ref refs[5];
    outside thread;
    teller t = {kid, NOTES, RR_OK};
    for (int i = 0; i < 5; i++) refs[i] = rr_call(supervision_fills, kid, AT(&s.d));
    CHECK(becomes(&s.d.begun, 6) && becomes(&s.d.count, 2));
    outside_start(&thread, s.f.runtime, tell_outside, &t);
    CHECK(rr_kill(kid) == RR_OK);
    outside_join(&thread);
    CHECK(t.status == RR_ERR_ACTOR_DEAD);
    for (int i = 0; i < 5; i++) CHECK(value_of(refs[i]) == RR_ERR_ACTOR_DEAD);
    s.d.open = true;
    stage_end(&s);
}

TEST(end_while_senders_wait) {
    stage s;
    stage_start(&s, 2);
    rr_actor kid = HELD_KID(&s, .max_pending = 1, .when_full = RR_WAIT);
    outside thread;
    teller t = {rr_keep(kid), NOTES, RR_OK}; /* the scope lets go of its own */
    for (int i = 0; i < 5; i++) rr_keep(rr_call(supervision_sends, kid, 0, 2));
    outside_start(&thread, s.f.runtime, tell_outside, &t);
    s.d.open = true;
    stage_stop(&s);
    outside_join(&thread);
    CHECK(t.status == RR_OK || t.status == RR_ERR_NOT_RUNNING || t.status == RR_ERR_ACTOR_DEAD);
}

/* ---- what rr_kill reaches ---- */

/* Counts in `begun`, and, when it is told to stop, in `told`; or goes on until the desk opens. */
REMOTE_FN(int, supervision_child, uint64_t, at) {
    desk *d = desk_at(at);
    d->begun++;
    while (!rr_cancelled() && !d->open) rr_sleep_ms(1);
    d->told += rr_cancelled();
    return 1;
}
typedef struct Parent {
    uint64_t at;
} Parent;
REMOTE_ACTOR(Parent, create, uint64_t, at, bool, calls) {
    self->at = at;
    if (calls) rr_call(supervision_child, at);
}
/* What it calls is not the actor's work any more. */
REMOTE_DESTRUCTOR(Parent) {
    rr_ref last = rr_call(supervision_same, 5);
    desk_at(self->at)->dropped += rr_unwrap(int, last);
}
REMOTE_METHOD(int, Parent, start) { return rr_call(supervision_child, self->at), 1; }
REMOTE_METHOD(int, Parent, spin) { return supervision_child(self->at); }
REMOTE_METHOD(int, Parent, tell, rr_actor, other) { return rr_tell(other, Parent_spin), 1; }
REMOTE_METHOD(int, Parent, wait) {
    rr_ref child = rr_call(supervision_child, self->at);
    int v;
    rr_status status = rr_get(int, child, &v);
    desk_at(self->at)->count += status == RR_ERR_CANCELLED && rr_cancelled();
    desk_at(self->at)->count += rr_get(int, rr_call(supervision_same, 1), &v) == RR_ERR_CANCELLED;
    rr_sleep_ms(AGES);
    return (int)status;
}

TEST(kill_cancels_what_methods_that_have_ended_had_called) {
    for (int workers = 1; workers < 4; workers++) {
        enum { CALLS = 20 };
        stage s;
        stage_start(&s, workers);
        desk other = {.born = 0};
        rr_actor parent = rr_spawn(Parent_create, AT(&s.d), true);
        rr_actor stays = rr_spawn(Parent_create, AT(&other), true);
        for (int i = 1; i < CALLS; i++) CHECK(value_of(rr_ask(parent, Parent_start)) == 1);
        CHECK(value_of(rr_ask(stays, Parent_start)) == 1);
        CHECK(becomes(&s.d.begun, CALLS) && becomes(&other.begun, 2));
        CHECK(rr_kill(parent) == RR_OK);
        CHECK(becomes(&s.d.told, CALLS) && becomes(&s.d.dropped, 5) && other.told == 0);
        other.open = true;
        rr_release(stays);
        CHECK(becomes(&other.dropped, 5) && other.told == 0);
        s.d.born = s.d.dropped;
        stage_end(&s);
    }
}

/* A message to another actor, too, and what that waits for, but not that actor. */
TEST(kill_cancels_the_messages_that_its_methods_have_sent) {
    stage s;
    stage_start(&s, 2);
    desk other = {.born = 0};
    rr_actor parent = rr_spawn(Parent_create, AT(&s.d), false);
    rr_actor friend = rr_spawn(Parent_create, AT(&other), false);
    CHECK(value_of(rr_ask(parent, Parent_tell, friend)) == 1 && becomes(&other.begun, 1));
    CHECK(rr_kill(parent) == RR_OK && becomes(&other.told, 1));
    other.open = true;
    CHECK(value_of(rr_ask(friend, Parent_spin)) == 1);
    rr_release(friend);
    CHECK(becomes(&other.dropped, 5));
    s.d.born = 5;
    stage_end(&s);
}

/* An actor in the slot of one that was killed has called nothing of what that had. */
TEST(kill_leaves_alone_what_an_actor_before_it_in_its_slot_had_called) {
    stage s;
    stage_start(&s, 2);
    desk kids = {.born = 0};
    rr_actor parent = rr_spawn(Parent_create, AT(&s.d), true);
    CHECK(becomes(&s.d.begun, 1));
    rr_release(parent);
    CHECK(becomes(&s.d.dropped, 5) && actors_settle_at(0));
    for (int i = 0; i < 50; i++) {
        parent = rr_spawn(Kid_create, AT(&kids), 1);
        CHECK(value_of(rr_ask(parent, Kid_value)) == 1 && rr_kill(parent) == RR_OK);
        rr_release(parent);
        CHECK(actors_settle_at(0));
        kids = (desk){.born = 0};
    }
    CHECK(s.d.told == 0);
    s.d.open = true;
    s.d.born = 5;
    stage_end(&s);
}

typedef struct Late {
    int v;
} Late;
REMOTE_ACTOR(Late, create, uint64_t, at) {
    until_open(desk_at(at));
    rr_fail(1, "too late");
    self->v = 1;
}
REMOTE_METHOD(int, Late, value) { return self->v; }
static void kill_outside(void *data) {
    is_chosen = true;
    CHECK(rr_kill(*(rr_actor *)data) == RR_OK);
}
/* Its constructor fails just when rr_kill has declared it dead, and not said so yet. */
TEST(kill_while_the_constructor_fails) {
    stage s;
    stage_start(&s, 2);
    rr_actor late = rr_spawn(Late_create, AT(&s.d));
    outside thread;
    CHECK(becomes(&s.d.begun, 1));
    rr_ref r = rr_ask(late, Late_value);
    only_chosen = true;
    stall_begin(1);
    outside_start(&thread, s.f.runtime, kill_outside, &late);
    for (int i = 0; !is_stalled && i < LIMIT * 1000; i++) nap();
    CHECK(is_stalled);
    s.d.open = true;
    CHECK(outcome(r) == RR_ERR_ACTOR_DEAD);
    stall_end();
    outside_join(&thread);
    stage_end(&s);
}

TEST(kill_tells_the_methods_that_run_and_those_that_wait) {
    for (int several = 0; several < 2; several++) {
        stage s;
        stage_start(&s, 2);
        int waits = several ? 30 : 1, spins = several ? 2 : 0;
        rr_actor parent = rr_spawn_with(RR_ACTOR_OPTIONS(.max_concurrency = waits + spins),
                                        Parent_create, AT(&s.d), false);
        rr_ref refs[32];
        for (int i = 0; i < waits + spins; i++)
            refs[i] = i < waits ? rr_ask(parent, Parent_wait) : rr_ask(parent, Parent_spin);
        CHECK(becomes(&s.d.begun, waits + spins));
        double start = rr_now();
        CHECK(rr_kill(parent) == RR_OK);
        for (int i = 0; i < waits; i++) CHECK(value_of(refs[i]) == RR_ERR_CANCELLED);
        for (int i = waits; i < waits + spins; i++) CHECK(value_of(refs[i]) == 1);
        CHECK(becomes(&s.d.told, waits + spins) && s.d.count == 2 * waits);
        CHECK(rr_now() - start < LIMIT && becomes(&s.d.dropped, 5));
        s.d.born = 5;
        stage_end(&s);
    }
}

TEST(options_that_cannot_be) {
    stage s;
    stage_start(&s, 2);
    rr_actor_options bad[14] = {{.max_restarts = -2},         {.restart_delay_ms = -1},
                                {.max_method_retries = -2},   {.max_pending = -1},
                                {.max_concurrency = -1},      {.num_cpus = -1},
                                {.resources = {{"gpu", -1}}}, {.max_method_retries = 255},
                                {.max_method_retries = 1},    {.name = ""},
                                {.num_cpus = 1e300},          {.resources = {{"gpu", 1e-9}}},
                                {.when_full = RR_WAIT},       {.when_full = 2, .max_pending = 1}};
    const char *word[14] = {"max_restarts",
                            "restart_delay_ms",
                            "max_method_retries",
                            "max_pending",
                            "max_concurrency",
                            "num_cpus",
                            "gpu",
                            "max_method_retries",
                            "max_restarts",
                            "name",
                            "1e+300",
                            "0.0001",
                            "max_pending",
                            "RR_WAIT"};
    for (int i = 0; i < 14; i++) {
        rr_actor kid = new_kid(&s.d, bad[i]);
        rr_ref r = rr_ask(kid, Kid_value);
        CHECK(outcome(r) == RR_ERR_INVALID && says(r, word[i]) && says(r, "could not be made"));
        CHECK(rr_tell(kid, Kid_add, 1) == RR_ERR_INVALID);
        CHECK(strstr(rr_error_message((rr_ref){0}), word[i]));
        CHECK(rr_kill(kid) == RR_ERR_ACTOR_DEAD);
        CHECK(ends_with(rr_watch(kid), RR_ERR_INVALID, 0, word[i]));
    }
    stage_end(&s);
    CHECK(s.d.creations == 0);
}

int main(int argc, char **argv) { return test_main(argc, argv); }
