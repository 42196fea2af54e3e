/* Guards rr_why: in each state one sentence that is true, ends in a cause and fits its buffer;
   nothing of what is over, or has just changed, is followed; nothing is counted when it returns. */
#define _GNU_SOURCE
static void stress_point(void);
#define RR__STRESS_POINT() stress_point()
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"
#include "stress.h"

enum { TEXT = 2000 };
#define UNSEALED "the object of HERE, which is not sealed yet (rr_seal)"
#define UNSIZED "'why_size', which waits for its argument 1, " UNSEALED
#define REFS(...) ((rr_ref[]){__VA_ARGS__, {0, 0, 0}})

/* What a test shares with its bodies, which get its address as a number. */
typedef struct desk {
    fixture f;
    atomic_int begun;
    atomic_bool open;
    rr_actor actor; /* released at the end */
} desk;
static desk *desk_at(uint64_t at) { return (desk *)(uintptr_t)at; }
#define AT(d) ((uint64_t)(uintptr_t)(d))

static void begin_with(desk *d, rr_config config) {
    memset(d, 0, sizeof *d);
    fixture_start(&d->f, config);
}
static void begin(desk *d) { begin_with(d, (rr_config){.workers = 1}); }
/* Opens the desk, seals and releases the references up to a null one; then nothing is left. */
static void end(desk *d, const rr_ref *refs) {
    d->open = true;
    for (const rr_ref *r = refs; r->id; r++) rr_seal(*r);
    for (const rr_ref *r = refs; r->id; r++) rr_get_void(*r), rr_release(*r);
    if (d->actor.id) rr_release(d->actor);
    CHECK(objects_settle_at(0) && actors_settle_at(0));
    fixture_stop(&d->f);
}
static rr__object *object_of(desk *d, rr_ref r) { return rr__slot_at(d->f.runtime, r.slot); }

/* What rr_why says, with places in this file as HERE. */
static void why(rr_ref r, char text[TEXT]) {
    char raw[TEXT];
    size_t here = strlen(__FILE__ ":");
    CHECK(rr_why(r, raw, TEXT) == RR_OK);
    for (const char *at = raw; *at;) {
        if (strncmp(at, __FILE__ ":", here)) *text++ = *at++;
        else text = stpcpy(text, "HERE"), at += here, at += strspn(at, "0123456789");
    }
    *text = 0;
}
/* It says this, as soon as everything is where it will stay. */
static bool says(rr_ref r, const char *wanted) {
    char text[TEXT];
    for (int i = 0; i < 5000; i++) {
        why(r, text);
        if (!strcmp(text, wanted)) return true;
        rr_sleep_ms(1);
    }
    fprintf(stderr, "it says: %s\nwanted:  %s\n", text, wanted);
    return false;
}

typedef struct wide {
    char bytes[40];
} wide;
REMOTE_FN(int, why_add, int, a, int, b) { return a + b; }
REMOTE_FN(int, why_size, rr_bytes, b) { return (int)b.size; }
REMOTE_FN(int, why_wide, wide, w, int, v) { return w.bytes[0] + v; }
typedef struct pair {
    int a, b;
} pair;
REMOTE_FN(pair, why_pair, int, a) { return (pair){a, 1}; }
REMOTE_FN(int, why_fail, int, code) { return rr_fail(code, "as it should"), 0; }
/* Keeps its worker until the desk opens, or it is told. */
REMOTE_FN(int, why_hold, uint64_t, at) {
    desk_at(at)->begun++;
    struct timespec nap = {.tv_nsec = 1000000};
    while (!desk_at(at)->open && !rr_cancelled()) nanosleep(&nap, NULL); /* keeps its worker */
    return 1;
}
REMOTE_FN(int, why_block, uint64_t, at) {
    rr_block_begin();
    return why_hold(at);
}
REMOTE_FN(int, why_wait, uint64_t, at, rr_ref, r) {
    int v = 0;
    desk_at(at)->begun++;
    rr_get(int, r, &v);
    return v;
}
REMOTE_FN(int, why_wait_limited, uint64_t, at, rr_ref, r) {
    int v = 0;
    desk_at(at)->begun++;
    rr_get_timeout(int, r, &v, 60000);
    return v;
}

typedef struct Box {
    int v;
} Box;
REMOTE_ACTOR(Box, create, int, v) { self->v = v; }
REMOTE_ACTOR(Box, create_slow, uint64_t, at) { self->v = why_hold(at); }
REMOTE_METHOD(int, Box, add, int, v) { return self->v += v; }
REMOTE_METHOD(int, Box, hold, uint64_t, at) { return (void)self, why_hold(at); }
REMOTE_METHOD(int, Box, crash) { return rr_crash_actor("as it should"), self->v; }
REMOTE_METHOD(int, Box, wait, uint64_t, at, rr_ref, r) { return self->v += why_wait(at, r); }

/* ---- what is not pending ---- */

static bool refuses(rr_ref r, rr_status status) {
    char text[TEXT] = "";
    bool is_same = rr_why(r, text, TEXT) == status;
    bool is_told = status == RR_ERR_STALE ? !strncmp(text, "the handle", 10)
                                          : !strcmp(text, rr_status_text(status));
    return is_same && is_told && !strcmp(rr_error_message(r), text) && rr_why(r, NULL, 0) == status;
}
TEST(handle_that_stands_for_nothing) {
    desk d, other;
    CHECK(refuses((rr_ref){0}, RR_ERR_NOT_RUNNING));
    rr_ref early = rr_call(why_add, 1, 2);
    CHECK(refuses(early, RR_ERR_NOT_RUNNING));
    begin(&other);
    rr_ref foreign = rr_put(int, 1);
    begin(&d);
    rr_ref gone = rr_put(int, 1);
    rr_release(gone);
    rr_actor actor = d.actor = rr_spawn(Box_create, 1);
    CHECK(refuses((rr_ref){0}, RR_ERR_STALE) && refuses(gone, RR_ERR_STALE));
    CHECK(refuses(foreign, RR_ERR_STALE) && refuses(early, RR_ERR_NOT_RUNNING));
    CHECK(refuses((rr_ref){actor.id, actor.slot, actor.home}, RR_ERR_STALE));
    CHECK(refuses((rr_ref){gone.id, UINT32_MAX, gone.home}, RR_ERR_STALE));
    end(&d, REFS({0}));
    CHECK(refuses(gone, RR_ERR_NOT_RUNNING));
    rr_runtime_use(other.f.runtime);
    end(&other, REFS(foreign));
}

TEST(complete_and_failed) {
    desk d;
    begin(&d);
    rr_ref task = rr_call(why_add, 1, 2), put = rr_put(int, 1), bad = rr_call(why_fail, 3);
    rr_ref gate = unsealed(1), both = rr_gather(REFS(task, put), 2),
           next = rr_call(why_add, bad, 1);
    rr_get_void(next), rr_get_void(both), rr_seal(gate);
    CHECK(says(task, "'why_add' is complete") && says(put, "the object of HERE is complete"));
    CHECK(says(gate, "the object of HERE is complete"));
    CHECK(says(both, "the gather of HERE is complete"));
    CHECK(says(bad, "'why_fail' has failed") && says(next, "'why_add' has failed"));
    end(&d, REFS(task, put, bad, gate, both, next));
}

/* A link that it had is an old one, and may lead to a slot that is somebody else's now. */
TEST(cancelled_and_late_tasks_wait_for_nothing) {
    desk d;
    begin(&d);
    rr_ref gate = unsealed(1), task = rr_call(why_size, gate), next = rr_call(why_add, task, 1);
    rr_ref late = rr_call_with(RR_OPTIONS(.timeout_ms = 1), why_size, gate);
    rr_ref runs = rr_call(why_wait, AT(&d), next);
    CHECK(becomes(&d.begun, 1) && rr_get_void(late) == RR_ERR_TIMEOUT);
    CHECK(rr_cancel(runs) == RR_OK && rr_cancel(task) == RR_OK);
    CHECK(says(task, "'why_size' was cancelled") && says(runs, "'why_wait' was cancelled"));
    CHECK(says(late, "'why_size' is past its time limit"));
    CHECK(says(next, "'why_add' has failed"));
    end(&d, REFS(gate, task, next, late, runs));
}

TEST(messages_that_are_over_wait_for_nothing) {
    desk d;
    begin(&d);
    rr_actor a = d.actor = rr_spawn(Box_create, 1);
    rr_ref gate = unsealed(1), hold = rr_ask(a, Box_hold, AT(&d)),
           cancelled = rr_ask(a, Box_add, 1);
    rr_ref task = rr_call(why_size, gate), mine = rr_ask(a, Box_add, task);
    rr_ref behind = rr_ask(a, Box_add, 2);
    CHECK(becomes(&d.begun, 1) && rr_cancel(cancelled) == RR_OK);
    CHECK(says(cancelled, "'Box_add' was cancelled") && rr_kill(a) == RR_OK);
    CHECK(says(mine, "'Box_add' has failed") && says(behind, "'Box_add' has failed"));
    CHECK(rr_wait(&hold, 1, 1, 20000, NULL) == 1 && says(hold, "'Box_hold' is complete"));
    end(&d, REFS(gate, task, hold, cancelled, mine, behind));
}

/* ---- arguments ---- */

TEST(chain_of_missing_arguments) {
    desk d;
    begin(&d);
    rr_ref gate = unsealed(1), one = rr_call(why_size, gate), two = rr_call(why_add, 1, one);
    rr_ref three = rr_call(why_add, two, one);
    CHECK(says(gate, "the object of HERE is not sealed yet (rr_seal)"));
    CHECK(says(one, "'why_size' waits for its argument 1, " UNSEALED));
    CHECK(says(three, "'why_add' waits for its argument 1 'why_add', which waits for its "
                      "argument 2 " UNSIZED));
    end(&d, REFS(gate, one, two, three));
}

TEST(missing_part_of_a_gather) {
    desk d;
    begin(&d);
    rr_ref gate = unsealed(1), task = rr_call(why_size, gate), put = rr_put(int, 1);
    rr_ref inner = rr_gather(REFS(put, put, task, gate), 4), outer = rr_gather(REFS(put, inner), 2);
    CHECK(says(outer, "the gather of HERE waits for its part 2, the gather of HERE, which waits "
                      "for its part 3 " UNSIZED));
    end(&d, REFS(gate, task, put, inner, outer));
}

/* Arguments that lie outside the slot may be freed while rr_why looks. */
TEST(missing_argument_of_many_bytes) {
    desk d;
    begin(&d);
    wide w = {{1}};
    rr_ref gate = unsealed(1), task = rr_call(why_size, gate), r = rr_call(why_wide, w, task);
    CHECK(says(r, "'why_wide' waits for " UNSIZED));
    end(&d, REFS(gate, task, r));
}

/* ---- queues ---- */

TEST(queued_while_workers_are_busy) {
    desk d;
    begin_with(&d, (rr_config){.workers = 2});
    rr_ref held[2] = {rr_call(why_hold, AT(&d)), rr_call(why_hold, AT(&d))};
    CHECK(becomes(&d.begun, 2));
    rr_ref task = rr_call(why_add, 1, 2), next = rr_call(why_add, 1, task);
    CHECK(says(held[0], "'why_hold' runs") && says(held[1], "'why_hold' runs"));
    CHECK(says(task, "'why_add' is queued until a worker is free"));
    CHECK(says(next, "'why_add' waits for its argument 2 'why_add', which is queued until a worker "
                     "is free"));
    end(&d, REFS(held[0], held[1], task, next));
}

/* For a moment only: so it is made queued by hand, while it is in no queue. */
TEST(queued_while_a_worker_is_free) {
    desk d;
    begin(&d);
    rr_ref gate = unsealed(1), task = rr_call(why_size, gate);
    rr__object *o = object_of(&d, task);
    rr__add_seq_cst(&o->word, RR__STATE(RR__QUEUED - RR__WAITING));
    CHECK(says(task, "'why_size' is queued while a worker is free to run it"));
    rr__sub_seq_cst(&o->word, RR__STATE(RR__QUEUED - RR__WAITING));
    end(&d, REFS(gate, task));
}

TEST(queued_while_all_threads_block) {
    desk d;
    begin_with(&d, (rr_config){.workers = 1, .max_threads = 1});
    rr_ref blocks = rr_call(why_block, AT(&d));
    CHECK(becomes(&d.begun, 1));
    rr_ref task = rr_call(why_add, 1, 2);
    CHECK(says(task, "'why_add' is queued until a thread is free: all of them block "
                     "(rr_config.max_threads)"));
    end(&d, REFS(blocks, task));
}

TEST(queued_with_a_priority) {
    desk d;
    begin(&d);
    rr_ref held = rr_call(why_hold, AT(&d));
    CHECK(becomes(&d.begun, 1));
    rr_ref task = rr_call_with(RR_OPTIONS(.priority = -7), why_add, 1, 2);
    CHECK(says(task, "'why_add' is queued with priority -7 until a worker is free"));
    end(&d, REFS(held, task));
}

/* ---- resources ---- */

TEST(resources_that_are_short) {
    desk d;
    begin_with(&d, (rr_config){.workers = 2, .resources = {{"gpu", 1}, {"tpu", 2}}});
    rr_options half = {.resources = {{"gpu", 0.5}}}, tpu = {.resources = {{"tpu", 2}}};
    rr_options both = {.name = "report", .resources = {{"tpu", 1}, {"gpu", 0.75}}};
    rr_ref held = rr_call_with(half, why_hold, AT(&d));
    CHECK(becomes(&d.begun, 1));
    rr_ref task = rr_call_with(both, why_add, 1, 2), next = rr_call(why_add, task, 1);
    CHECK(says(task, "'report' waits for 0.75 of 'gpu' (0.5 of 1 in use)"));
    rr_ref other = rr_call_with(tpu, why_hold, AT(&d));
    CHECK(becomes(&d.begun, 2));
    CHECK(says(next, "'why_add' waits for its argument 1 'report', which waits for 0.75 of 'gpu' "
                     "(0.5 of 1 in use) and 1 of 'tpu' (2 of 2 in use)"));
    end(&d, REFS(held, task, next, other));
}

/* As many that need little as may overtake the one that needs all have done so. */
TEST(resources_that_are_kept_for_another) {
    enum { MANY = 40 };
    desk d;
    begin_with(&d, (rr_config){.workers = 2, .resources = {{"gpu", 2}}});
    rr_options one = {.resources = {{"gpu", 1}}}, all = {.resources = {{"gpu", 2}}};
    rr_ref refs[MANY + 3] = {rr_call_with(one, why_hold, AT(&d))};
    CHECK(becomes(&d.begun, 1));
    refs[1] = rr_call_with(all, why_add, 1, 2);
    for (int i = 2; i < MANY + 2; i++) refs[i] = rr_call_with(one, why_add, 1, 2);
    CHECK(says(refs[1], "'why_add' waits for 2 of 'gpu' (1 of 2 in use)"));
    CHECK(says(refs[MANY + 1], "'why_add' waits for 1 of 'gpu' (1 of 2 in use)"));
    end(&d, refs);
}

TEST(cpus_that_the_workers_have_still) {
    desk d;
    begin_with(&d, (rr_config){.workers = 2});
    rr_ref held[2] = {rr_call(why_hold, AT(&d)), rr_call(why_hold, AT(&d))};
    CHECK(becomes(&d.begun, 2));
    rr_ref task = rr_call_with(RR_OPTIONS(.num_cpus = 2), why_add, 1, 2);
    CHECK(says(task, "'why_add' waits for the workers to leave it 2 of 'cpu'"));
    end(&d, REFS(held[0], held[1], task));
}

/* ---- bodies ---- */

TEST(body_that_waits) {
    desk d;
    begin(&d);
    rr_ref gate = unsealed(1), task = rr_call(why_size, gate);
    rr_ref waits = rr_call(why_wait, AT(&d), task), next = rr_call(why_add, waits, 1);
    rr_ref limited = rr_call(why_wait_limited, AT(&d), task);
    CHECK(becomes(&d.begun, 2));
    CHECK(says(next, "'why_add' waits for its argument 1 'why_wait', which runs and waits "
                     "for " UNSIZED));
    CHECK(says(limited, "'why_wait_limited' runs")); /* it can end by itself */
    end(&d, REFS(gate, task, waits, next, limited));
}

REMOTE_FN(int, why_myself, rr_ref, box) {
    rr_ref me = {0};
    char text[TEXT];
    rr_bytes view = {0};
    CHECK(rr_get(rr_bytes, box, &view) == RR_OK);
    memcpy(&me, view.data, sizeof me);
    why(me, text);
    return strcmp(text, "'why_myself' runs") == 0;
}
TEST(body_that_asks_about_itself) {
    desk d;
    void *room = NULL;
    begin(&d);
    rr_ref box = rr_create(sizeof(rr_ref), &room), task = rr_call(why_myself, box);
    memcpy(room, &task, sizeof task);
    CHECK(rr_seal(box) == RR_OK && rr_unwrap(int, task) == 1);
    end(&d, REFS(box, task));
}

/* It comes to say this, with a number of seconds in between. */
static bool says_when(rr_ref r, const char *before, const char *behind) {
    char text[TEXT], *end = text;
    for (int i = 0; i < 5000; i++, rr_sleep_ms(1)) {
        why(r, text);
        if (strncmp(text, before, strlen(before))) continue;
        double left = strtod(text + strlen(before), &end);
        return !strcmp(end, behind) && left > 10 && left <= 60;
    }
    fprintf(stderr, "it says: %s\n", text);
    return false;
}
TEST(between_attempts) {
    desk d;
    begin(&d);
    rr_options options = {.max_retries = 3, .retry_delay_ms = 60000};
    rr_ref task = rr_call_with(options, why_fail, 3), next = rr_call(why_add, task, 1);
    CHECK(says_when(task, "'why_fail' failed and is tried again in ", " s (attempt 2)"));
    CHECK(says_when(next,
                    "'why_add' waits for its argument 1 'why_fail', which failed and is tried "
                    "again in ",
                    " s (attempt 2)"));
    CHECK(rr_cancel(task) == RR_OK && says(task, "'why_fail' was cancelled"));
    end(&d, REFS(task, next));
}

/* ---- messages ---- */

TEST(message_behind_others) {
    desk d;
    begin(&d);
    rr_actor a = d.actor = rr_spawn(Box_create, 1);
    rr_ref hold = rr_ask(a, Box_hold, AT(&d)), refs[3];
    for (int i = 0; i < 3; i++) refs[i] = rr_ask(a, Box_add, i);
    rr_ref next = rr_call(why_add, 1, refs[2]);
    CHECK(becomes(&d.begun, 1) && says(hold, "'Box_hold' runs"));
    for (int i = 0; i < 3; i++)
        CHECK(says(refs[i], "'Box_add' waits in the mailbox of the actor 'Box', which runs "
                            "'Box_hold'"));
    CHECK(says(next, "'why_add' waits for its argument 2 'Box_add', which waits in the mailbox of "
                     "the actor 'Box', which runs 'Box_hold'"));
    end(&d, REFS(hold, refs[0], refs[1], refs[2], next));
}

TEST(message_behind_a_method_that_waits) {
    desk d;
    begin(&d);
    rr_actor a = d.actor = rr_spawn_with(RR_ACTOR_OPTIONS(.name = "till"), Box_create, 1);
    rr_ref gate = unsealed(1), task = rr_call(why_size, gate);
    rr_ref waits = rr_ask(a, Box_wait, AT(&d), task), r = rr_ask(a, Box_add, 1);
    CHECK(becomes(&d.begun, 1));
    CHECK(says(r, "'Box_add' waits in the mailbox of the actor 'till' (Box), which runs "
                  "'Box_wait', which runs and waits for " UNSIZED));
    end(&d, REFS(gate, task, waits, r));
}

/* Behind the first that waits for an argument they queue where they were sent from. */
TEST(message_behind_one_that_waits_for_its_argument) {
    desk d;
    begin(&d);
    rr_actor a = d.actor = rr_spawn(Box_create, 1);
    rr_ref gate = unsealed(1), task = rr_call(why_size, gate), mine = rr_ask(a, Box_add, task);
    rr_ref behind = rr_ask(a, Box_add, 2), both = rr_ask(a, Box_add, behind);
    rr_ref last = rr_ask(a, Box_add, 3);
    CHECK(says(mine, "'Box_add' waits for its argument 1 " UNSIZED));
    CHECK(
        says(behind, "'Box_add' waits behind 'Box_add', which waits for its argument 1 " UNSIZED));
    CHECK(says(both, "'Box_add' waits for its argument 1 'Box_add', which waits behind 'Box_add', "
                     "which waits for its argument 1 " UNSIZED));
    CHECK(says(last, "'Box_add' waits behind 'Box_add', which waits for its argument 1 'Box_add', "
                     "which waits behind 'Box_add', which waits for its argument 1 " UNSIZED));
    end(&d, REFS(gate, task, mine, behind, both, last));
}

TEST(message_to_an_actor_that_is_not_born_yet) {
    desk d;
    begin(&d);
    rr_ref gate = unsealed(1), task = rr_call(why_size, gate);
    d.actor = rr_spawn(Box_create, task);
    rr_ref r = rr_ask(d.actor, Box_add, 1);
    CHECK(says(r, "'Box_add' waits in the mailbox of the actor 'Box', which waits for its "
                  "argument 1 " UNSIZED));
    end(&d, REFS(gate, task, r));
}

TEST(message_while_the_constructor_runs) {
    desk d;
    begin(&d);
    d.actor = rr_spawn(Box_create_slow, AT(&d));
    rr_ref r = rr_ask(d.actor, Box_add, 1);
    CHECK(becomes(&d.begun, 1));
    CHECK(says(r, "'Box_add' waits in the mailbox of the actor 'Box', which is busy"));
    end(&d, REFS(r));
}

TEST(message_to_an_actor_that_no_worker_has) {
    desk d;
    begin(&d);
    d.actor = rr_spawn(Box_create, 1);
    rr_ref first = rr_ask(d.actor, Box_add, 1), held = rr_call(why_hold, AT(&d));
    rr_get_void(first);
    CHECK(becomes(&d.begun, 1));
    rr_ref r = rr_ask(d.actor, Box_add, 1);
    CHECK(says(r, "'Box_add' waits in the mailbox of the actor 'Box', which is queued until a "
                  "worker is free"));
    end(&d, REFS(first, held, r));
}

TEST(message_to_an_actor_that_waits_for_resources) {
    desk d;
    begin_with(&d, (rr_config){.workers = 1, .resources = {{"gpu", 1}}});
    rr_ref held = rr_call_with(RR_OPTIONS(.resources = {{"gpu", 1}}), why_hold, AT(&d));
    CHECK(becomes(&d.begun, 1));
    d.actor = rr_spawn_with(RR_ACTOR_OPTIONS(.resources = {{"gpu", 1}}), Box_create, 1);
    rr_ref r = rr_ask(d.actor, Box_add, 1);
    CHECK(says(r, "'Box_add' waits in the mailbox of the actor 'Box', which waits for 1 of 'gpu' "
                  "(1 of 1 in use)"));
    end(&d, REFS(held, r));
}

TEST(message_to_an_actor_that_crashed) {
    desk d;
    begin(&d);
    rr_actor_options options = {.max_restarts = 3, .restart_delay_ms = 60000};
    rr_actor a = d.actor = rr_spawn_with(options, Box_create, 1);
    rr_ref crash = rr_ask(a, Box_crash), r = rr_ask(a, Box_add, 1);
    CHECK(says_when(r,
                    "'Box_add' waits in the mailbox of the actor 'Box', which crashed and is made "
                    "anew in ",
                    " s"));
    CHECK(says(crash, "'Box_crash' has failed") && rr_kill(a) == RR_OK);
    end(&d, REFS(crash, r));
}

TEST(message_to_an_actor_that_runs_several) {
    desk d;
    begin_with(&d, (rr_config){.workers = 3});
    rr_actor a = d.actor = rr_spawn_with(RR_ACTOR_OPTIONS(.max_concurrency = 2), Box_create, 1);
    rr_ref held[2] = {rr_ask(a, Box_hold, AT(&d)), rr_ask(a, Box_hold, AT(&d))};
    rr_ref r = rr_ask(a, Box_add, 1);
    CHECK(becomes(&d.begun, 2) && says(held[0], "'Box_hold' runs"));
    CHECK(says(r, "'Box_add' waits in the mailbox of the actor 'Box', which runs 2 at once, as "
                  "many as it may (max_concurrency)"));
    end(&d, REFS(held[0], held[1], r));
}

/* ---- what is no task ---- */

TEST(field_of_a_struct) {
    desk d;
    begin(&d);
    rr_ref gate = unsealed(1), task = rr_call(why_size, gate), whole = rr_call(why_pair, task);
    rr_ref b = rr_field(int, whole, pair, b), next = rr_call(why_add, 1, b);
    CHECK(says(next, "'why_add' waits for its argument 2, the field of HERE, which waits for "
                     "'why_pair', which waits for its argument 1 " UNSIZED));
    end(&d, REFS(gate, task, whole, b, next));
}

TEST(watch_of_an_actor) {
    desk d;
    begin(&d);
    rr_actor a = d.actor = rr_spawn(Box_create, 1);
    rr_ref watch = rr_watch(a);
    CHECK(says(watch, "the object of HERE comes when its actor has ended (rr_watch)"));
    CHECK(rr_kill(a) == RR_OK);
    end(&d, REFS(watch));
}

/* ---- moments ---- */

/* The links and states of an instant, made by hand, while nothing else touches these. */
TEST(moments_between_two_states) {
    desk d;
    begin(&d);
    d.actor = rr_spawn(Box_create, 1);
    rr_ref gate = unsealed(1), task = rr_call(why_size, gate), first = rr_ask(d.actor, Box_add, 1);
    rr_ref message = rr_ask(d.actor, Box_add, task), gather = rr_gather(&task, 1);
    CHECK(rr_unwrap(int, first) == 2);
    rr__object *o[3] = {object_of(&d, task), object_of(&d, message), object_of(&d, gather)};
    rr__object *link = rr__load_acquire(&o[0]->waits_on);
    for (int i = 0; i < 3; i++) rr__store_release(&o[i]->waits_on, (rr__object *)NULL);
    CHECK(says(task, "'why_size' is about to be queued"));
    CHECK(says(gather, "the gather of HERE is about to be queued"));
    CHECK(says(message, "'Box_add' is about to be queued"));
    rr__store_release(&o[1]->waits_on, rr__slot_at(d.f.runtime, d.actor.slot));
    CHECK(says(message, "'Box_add' waits in the mailbox of the actor 'Box', which is idle"));
    rr__store_release(&o[0]->waits_on, link);
    for (int i = 1; i < 3; i++) rr__store_release(&o[i]->waits_on, o[0]);
    end(&d, REFS(gate, task, first, message, gather));
}

/* ---- long answers ---- */

static int count(const char *text, const char *word) {
    int n = 0;
    while ((text = strstr(text, word))) n++, text += strlen(word);
    return n;
}
static bool is_cut_short(rr_ref r) {
    char text[TEXT];
    CHECK(rr_why(r, text, TEXT) == RR_OK);
    return count(text, "'why_add'") == 17 && !strcmp(text + strlen(text) - 4, " ...");
}
TEST(deep_chain_is_cut_short) {
    enum { DEEP = 20000 };
    desk d;
    begin(&d);
    rr_scope scope = rr_scope_begin();
    rr_ref gate = unsealed(1), last = rr_call(why_size, gate), nearest = last;
    for (int i = 0; i < DEEP; i++) {
        last = rr_call(why_add, last, i);
        if (i == 14) nearest = last; /* the longest that is told to its end */
    }
    char text[TEXT];
    why(nearest, text);
    CHECK(count(text, "'why_add'") == 15 && strstr(text, "argument 1 " UNSIZED));
    CHECK(is_cut_short(last));
    rr_seal(gate);
    CHECK(rr_get_void(last) == RR_OK);
    rr_scope_end(scope);
    end(&d, REFS({0}));
}

/* Rings are told to who sleeps in them, and end; so this one is made by hand. */
TEST(ring_is_cut_short) {
    desk d;
    begin(&d);
    rr_ref gate = unsealed(1), one = rr_call(why_size, gate), a = rr_call(why_add, one, 1);
    rr_ref b = rr_call(why_add, a, 1);
    rr__store_release(&object_of(&d, a)->waits_on, object_of(&d, b));
    CHECK(is_cut_short(a) && is_cut_short(b));
    rr__store_release(&object_of(&d, a)->waits_on, object_of(&d, a));
    CHECK(is_cut_short(a) && is_cut_short(b));
    rr__store_release(&object_of(&d, a)->waits_on, object_of(&d, one));
    end(&d, REFS(gate, one, a, b));
}

TEST(buffers_of_all_sizes) {
    desk d;
    begin(&d);
    rr_ref gate = unsealed(1), task = rr_call(why_size, gate), next = rr_call(why_add, task, 1);
    char whole[TEXT], text[TEXT];
    CHECK(rr_why(next, NULL, 0) == RR_OK && rr_why(next, whole, TEXT) == RR_OK);
    for (size_t size = 1; size < strlen(whole) + 3; size++) {
        memset(text, '#', sizeof text);
        size_t kept = size <= strlen(whole) ? size - 1 : strlen(whole);
        CHECK(rr_why(next, text, size) == RR_OK && !memcmp(text, whole, kept) && !text[kept]);
        CHECK(rr_why((rr_ref){0}, text, size) == RR_ERR_STALE && strlen(text) <= kept);
        for (size_t i = kept + 1; i < sizeof text; i++) CHECK(i < size || text[i] == '#');
    }
    memset(text, '#', sizeof text);
    CHECK(rr_why(next, text, 0) == RR_OK && text[0] == '#');
    end(&d, REFS(gate, task, next));
}

/* ---- while everything changes ---- */

/* Behind a word that text begins with, or NULL. */
static const char *after(const char *text, const char *word) {
    return text && !strncmp(text, word, strlen(word)) ? text + strlen(word) : NULL;
}
static const char *after_one_of(const char *text, const char *const *words) {
    const char *rest = NULL;
    while (!rest && *words) rest = after(text, *words++);
    return rest;
}
static const char *after_number(const char *text) {
    size_t n = text ? strspn(text, "0123456789.") : 0;
    return n ? text + n : NULL;
}
static const char *after_name(const char *text) {
    static const char *const names[] = {"'why_add'", "'why_size'",      "'why_fail'", "'why_wait'",
                                        "'Box_add'", "the actor 'Box'", "'Box_wait'", NULL};
    static const char *const places[] = {"the object of ", "the gather of ", NULL};
    const char *rest = after_one_of(text, names);
    return rest ? rest : after_number(after(after_one_of(text, places), __FILE__ ":"));
}
/* Is it an end of a sentence? */
static bool is_outcome(const char *text) {
    static const char *const outcomes[] = {"is complete",
                                           "has failed",
                                           "has ended",
                                           "was cancelled",
                                           "is past its time limit",
                                           "is not sealed yet (rr_seal)",
                                           "is queued until a worker is free",
                                           "is queued while a worker is free to run it",
                                           "is idle",
                                           "is busy",
                                           "runs",
                                           "is about to be queued",
                                           NULL};
    const char *rest = after_one_of(text, outcomes);
    if (!rest) rest = after_number(after(text, "failed and is tried again in "));
    if (rest && *rest) rest = after(after_number(after(rest, " s (attempt ")), ")");
    return rest && !*rest;
}
/* Behind what comes in front of the next name. */
static const char *after_link(const char *text, bool *runs) {
    static const char *const links[] = {"runs and waits for ",      "runs ",      "waits behind ",
                                        "waits in the mailbox of ", "waits for ", NULL};
    static const char *const places[] = {"waits for its argument ", "waits for its part ", NULL};
    if (after(text, "runs and waits for the actor")) return NULL; /* bodies wait for no actor */
    *runs = after(text, "runs '") != NULL;
    const char *number = after_number(after_one_of(text, places));
    if (number && *number == ',') number++;
    return number ? after(number, " ") : after_one_of(text, links);
}
/* name state | name link ..., with which in between: nothing is torn. */
static bool is_sentence(const char *text) {
    bool runs = false;
    for (const char *between = " ";; between = ", which ") {
        if (!strcmp(text, "...")) return true;
        text = after_name(text);
        if (text && runs && !*text) return true; /* "runs 'Box_wait'" */
        text = after(text, between);
        if (text && is_outcome(text)) return true;
        if (!text || !(text = after_link(text, &runs))) return false;
    }
}

/* References that come and go under the lock; only the board holds them. */
enum { GATES = 6, REFERENCES = 30 };
typedef struct board {
    desk *d;
    pthread_mutex_t lock;
    rr_ref refs[GATES + REFERENCES];
    atomic_bool is_over;
    atomic_int asked;
    atomic_int random;
} board;
static void ask_around(void *data) {
    board *b = data;
    uint64_t random = test_seed + (uint64_t)b->random++;
    char text[TEXT];
    while (!b->is_over) {
        pthread_mutex_lock(&b->lock);
        rr_ref r = b->refs[test_below(&random, GATES + REFERENCES)];
        pthread_mutex_unlock(&b->lock);
        rr_status status = rr_why(r, text, TEXT);
        bool is_stale = status == RR_ERR_STALE && !strncmp(text, "the handle", 10);
        bool is_right = status == RR_OK ? is_sentence(text) : is_stale;
        if (!CHECK(is_right)) fprintf(stderr, "%s: %s\n", rr_status_name(status), text);
        b->asked++;
    }
}
static void put_on(board *b, size_t at, rr_ref r) {
    pthread_mutex_lock(&b->lock);
    rr_ref before = b->refs[at];
    b->refs[at] = r;
    pthread_mutex_unlock(&b->lock);
    rr_seal(before); /* so that nothing waits for ever */
    rr_release(before);
}
/* Something new, which depends on what is there. */
static rr_ref something(board *b, uint64_t *random) {
    rr_ref *refs = b->refs + GATES, gate = b->refs[test_below(random, GATES)];
    rr_ref x = refs[test_below(random, REFERENCES)], y = refs[test_below(random, REFERENCES)];
    int dice = (int)test_below(random, 9);
    if (dice == 0) return rr_call(why_size, gate);
    if (dice == 1) return rr_call(why_add, x, y);
    if (dice == 2) return rr_call(why_wait, AT(b->d), x);
    if (dice == 3) return rr_call_with(RR_OPTIONS(.timeout_ms = 2), why_add, x, 1);
    if (dice == 4)
        return rr_call_with(RR_OPTIONS(.max_retries = 2, .retry_delay_ms = 1), why_fail, 1);
    if (dice == 5) return rr_ask(b->d->actor, Box_add, x);
    if (dice == 6) return rr_ask(b->d->actor, Box_add, 1);
    if (dice == 7) return rr_ask(b->d->actor, Box_wait, AT(b->d), x);
    return rr_gather(REFS(x, y), 2);
}
static void change(board *b, uint64_t *random) {
    int dice = (int)test_below(random, 30);
    size_t at = GATES + test_below(random, REFERENCES);
    if (dice == 0) {
        rr_kill(b->d->actor), rr_release(b->d->actor);
        b->d->actor = rr_spawn(Box_create, 1);
    } else if (dice < 4) {
        rr_cancel(b->refs[at]);
    } else if (dice < 7) {
        put_on(b, test_below(random, GATES), unsealed(1));
    } else {
        put_on(b, at, something(b, random));
    }
}
/* Again and again everything is let go of: then nothing is left that waits. */
static bool all_ends(board *b) {
    for (size_t i = 0; i < GATES + REFERENCES; i++) put_on(b, i, (rr_ref){0});
    return objects_settle_at(0);
}
static void begin_anew(board *b) {
    for (size_t i = 0; i < GATES; i++) put_on(b, i, unsealed(1));
    for (size_t i = 0; i < REFERENCES; i++) put_on(b, GATES + i, rr_put(int, 1));
}
TEST(asked_by_many_while_everything_changes) {
    enum { ASKERS = 3 };
    desk d;
    outside askers[ASKERS];
    uint64_t random = test_seed;
    begin_with(&d, (rr_config){.workers = 2});
    board b = {.d = &d, .lock = PTHREAD_MUTEX_INITIALIZER};
    d.actor = rr_spawn(Box_create, 1);
    begin_anew(&b);
    for (int i = 0; i < ASKERS; i++) outside_start(&askers[i], d.f.runtime, ask_around, &b);
    double limit = rr_now() + 0.5;
    bool ends = true;
    while (ends && (rr_now() < limit || b.asked < 1000)) {
        for (uint64_t n = test_below(&random, 1000); n; n--) change(&b, &random);
        if ((ends = CHECK(all_ends(&b)))) begin_anew(&b);
    }
    b.is_over = true;
    for (int i = 0; i < ASKERS; i++) outside_join(&askers[i]);
    all_ends(&b);
    end(&d, REFS({0}));
}

int main(int argc, char **argv) { return test_main(argc, argv); }
