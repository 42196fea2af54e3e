/* Guards the search for deadlocks: who can never go on is told, whatever leads back to it (methods
   of a crew, waits for some of many, resources, streams) and whatever else goes on; and nobody is
   told who can. */
#define _GNU_SOURCE
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"

enum { LIMIT = 20, NOBODY = 10 }; /* seconds; ms in which somebody is told if he is at all */

static int value_of(rr_ref r) {
    int v = -1;
    CHECK(rr_wait(&r, 1, 1, LIMIT * 1000, NULL) == 1);
    rr_status status = rr_get_timeout(int, r, &v, 0);
    if (status) fprintf(stderr, "%s: %.500s\n", rr_status_name(status), rr_error_message(r));
    return status ? -1 : v;
}

/* What bodies get of each other, which none of them can be given before it is there. */
typedef struct meeting {
    rr_ref refs[8];
    rr_stream streams[2];
    rr_actor actor;
    atomic_int here, open;
} meeting;
#define AT(m) ((uint64_t)(uintptr_t)(m))
static meeting *meeting_at(uint64_t at) { return (meeting *)(uintptr_t)at; }
static meeting *opened(uint64_t at) {
    meeting *m = meeting_at(at);
    m->here++;
    while (!m->open) rr_sleep_ms(1);
    return m;
}

/* ---- waits for some of many ---- */

REMOTE_FN(int, deadlock_any, uint64_t, at, int, from, int, n, int, need) {
    meeting *m = opened(at);
    size_t got = rr_wait(m->refs + from, (size_t)n, (size_t)need, -1, NULL);
    if (got < (size_t)need && !strstr(rr_error_message((rr_ref){0}), "deadlock")) return -2;
    return got < (size_t)need ? 100 : (int)got;
}
REMOTE_FN(int, deadlock_later, int, ms) { return rr_sleep_ms(ms), ms; }

REMOTE_FN(int, deadlock_ring, uint64_t, at, int, next) {
    int v = -1;
    meeting *m = opened(at);
    rr_status status = rr_get(int, m->refs[next], &v);
    return status == RR_ERR_DEADLOCK ? 100 : v;
}

/* Two wait for so many of n, of which they are the first; what both of them come to. */
static void two_wait(meeting *m, int n, int need, int *first, int *second) {
    m->open = 0;
    for (int i = 0; i < 2; i++) m->refs[i] = rr_call(deadlock_any, AT(m), 0, n, need);
    if (n > 2) m->refs[2] = rr_call(deadlock_later, NOBODY);
    m->open = 1;
    *first = value_of(m->refs[0]), *second = value_of(m->refs[1]);
    for (int i = 0; i < n; i++) rr_release(m->refs[i]);
}
static void some_of_many(int workers) {
    fixture f;
    meeting m;
    int first, second;
    memset(&m, 0, sizeof m);
    START(&f, .workers = workers);
    two_wait(&m, 2, 1, &first, &second); /* for themselves */
    CHECK(first == 100 || second == 100);
    CHECK((first == 100 || first == 1) && (second == 100 || second == 1));
    two_wait(&m, 3, 2, &first, &second); /* one of the three will be there */
    CHECK(first == 100 || second == 100);
    CHECK((first == 100 || first == 2) && (second == 100 || second == 2));
    two_wait(&m, 3, 1, &first, &second); /* it is enough: nobody is told */
    CHECK(first == 1 && second == 1);
    fixture_stop(&f);
}
TEST(waits_for_some_of_many) {
    for (int workers = 1; workers < 4; workers++) some_of_many(workers);
}

/* ---- crews ---- */

typedef struct Crew {
    uint64_t at;
} Crew;
REMOTE_ACTOR(Crew, create, uint64_t, at) { self->at = at; }
REMOTE_METHOD(int, Crew, none) { return self->at != 0; }
REMOTE_METHOD(int, Crew, own) {
    int v = -1;
    meeting *m = opened(self->at);
    rr_status status = rr_get(int, rr_ask(m->actor, Crew_none), &v);
    return status == RR_OK ? v : 100 + (int)status;
}
REMOTE_METHOD(int, Crew, naps) { return opened(self->at), rr_sleep_ms(NOBODY), 1; }

/* Methods of a full crew wait for one more, which cannot come in; or one of them will leave. */
static void full_crew(int workers, bool one_leaves) {
    fixture f;
    meeting m;
    memset(&m, 0, sizeof m);
    START(&f, .workers = workers);
    m.actor = rr_spawn_with(RR_ACTOR_OPTIONS(.max_concurrency = 3), Crew_create, AT(&m));
    rr_ref refs[3];
    for (int i = 0; i < 3; i++)
        refs[i] = i == 2 && one_leaves ? rr_ask(m.actor, Crew_naps) : rr_ask(m.actor, Crew_own);
    CHECK(becomes(&m.here, 3));
    m.open = 1;
    int told = 0;
    for (int i = 0; i < 3; i++) {
        int v = value_of(refs[i]);
        told += v == 100 + RR_ERR_DEADLOCK;
        CHECK(v == 1 || v == 100 + RR_ERR_DEADLOCK);
    }
    CHECK(one_leaves ? told == 0 : told >= 1);
    for (int i = 0; i < 3; i++) rr_release(refs[i]);
    rr_release(m.actor);
    fixture_stop(&f);
}
TEST(crew_that_waits_for_itself) {
    for (int workers = 1; workers < 4; workers++) full_crew(workers, false);
}
TEST(crew_of_which_one_will_leave) {
    for (int workers = 1; workers < 4; workers++) full_crew(workers, true);
}

/* ---- resources ---- */

static rr_options gpus(double n, int64_t limit) {
    return RR_OPTIONS(.resources = {{"gpu", n}}, .timeout_ms = limit);
}
REMOTE_FN(int, deadlock_gpu, int, v) { return v; }
/* Has what its call needs. */
REMOTE_FN(int, deadlock_has_gpu, uint64_t, at, double, wants, int64_t, limit) {
    int v = -1;
    opened(at);
    rr_ref child = rr_call_with(gpus(wants, limit), deadlock_gpu, 1);
    rr_status status = rr_get(int, child, &v);
    if (status == RR_ERR_DEADLOCK && !strstr(rr_error_message(child), "gpu")) return -2;
    return status == RR_OK ? v : 100 + (int)status;
}
REMOTE_FN(int, deadlock_holds_gpu, int, ms) { return rr_sleep_ms(ms), 1; }

TEST(resource_that_the_caller_has) {
    for (int workers = 1; workers < 4; workers++) {
        fixture f;
        meeting m = {.open = 1};
        START(&f, .workers = workers, .resources = {{"gpu", 2}});
        rr_ref one = rr_call_with(gpus(2, 0), deadlock_has_gpu, AT(&m), 1.0, (int64_t)0);
        CHECK(value_of(one) == 100 + RR_ERR_DEADLOCK);
        rr_ref some = rr_call_with(gpus(1, 0), deadlock_has_gpu, AT(&m), 1.0, (int64_t)0);
        CHECK(value_of(some) == 1);
        rr_ref late = rr_call_with(gpus(2, 0), deadlock_has_gpu, AT(&m), 1.0, (int64_t)NOBODY);
        CHECK(value_of(late) == 100 + RR_ERR_TIMEOUT); /* it ends by itself */
        rr_release(one), rr_release(some), rr_release(late);
        fixture_stop(&f);
    }
}
/* Two, each with what the other's call needs; or somebody else has it, and will give it back. */
TEST(resources_of_two_callers) {
    for (int somebody = 0; somebody < 2; somebody++) {
        fixture f;
        meeting m;
        memset(&m, 0, sizeof m);
        START(&f, .workers = 3, .resources = {{"gpu", 3}});
        rr_ref both[2], other = {0};
        for (int i = 0; i < 2; i++)
            both[i] = rr_call_with(gpus(1, 0), deadlock_has_gpu, AT(&m), somebody ? 1.0 : 2.0,
                                   (int64_t)0);
        CHECK(becomes(&m.here, 2));
        if (somebody) other = rr_call_with(gpus(1, 0), deadlock_holds_gpu, 2 * NOBODY);
        m.open = 1;
        int first = value_of(both[0]), second = value_of(both[1]), stuck = 100 + RR_ERR_DEADLOCK;
        CHECK(somebody ? first == 1 && second == 1 : first == stuck || second == stuck);
        rr_release(both[0]), rr_release(both[1]), rr_release(other);
        fixture_stop(&f);
    }
}

/* An actor has what its method's call needs, for as long as it lives. */
typedef struct Owner {
    int n;
} Owner;
REMOTE_ACTOR(Owner, create) { self->n = 0; }
REMOTE_METHOD(int, Owner, wants, uint64_t, at, double, wants, double, cpus) {
    int v = -1;
    opened(at);
    rr_options options = RR_OPTIONS(.num_cpus = cpus);
    rr_ref child = rr_call_with(cpus > 0 ? options : gpus(wants, 0), deadlock_gpu, 1);
    rr_status status = rr_get(int, child, &v);
    bool tells = strstr(rr_error_message((rr_ref){0}), cpus > 0 ? "cpu" : "gpu") != NULL;
    if (status == RR_ERR_DEADLOCK && !tells) return -2;
    return status == RR_OK ? v : 100 + (int)status;
}
TEST(resource_that_the_actor_has) {
    for (int crew = 1; crew < 3; crew++) {
        fixture f;
        meeting m = {.open = 1};
        START(&f, .workers = 3, .resources = {{"gpu", 2}});
        rr_actor owner = rr_spawn_with(
            RR_ACTOR_OPTIONS(.resources = {{"gpu", 1}}, .num_cpus = 2, .max_concurrency = crew),
            Owner_create);
        rr_ref some = rr_ask(owner, Owner_wants, AT(&m), 1.0, 0.0);
        CHECK(value_of(some) == 1);
        rr_ref all = rr_ask(owner, Owner_wants, AT(&m), 2.0, 0.0);
        CHECK(value_of(all) == 100 + RR_ERR_DEADLOCK);
        rr_ref cpus = rr_ask(owner, Owner_wants, AT(&m), 0.0, 3.0);
        CHECK(value_of(cpus) == 100 + RR_ERR_DEADLOCK);
        rr_release(some), rr_release(all), rr_release(cpus), rr_release(owner);
        fixture_stop(&f);
    }
}

/* ---- bodies that nobody waits for any more ---- */

/* Runs its call on its own stack, which then waits for the other one: cancelled, it is over for who
   waits for it, but its body still lies below that. */
REMOTE_FN(int, deadlock_inner, uint64_t, at) {
    int v = -1;
    meeting *m = opened(at);
    rr_status status = rr_get(int, m->refs[1], &v);
    return status == RR_OK ? v : 100 + (int)status;
}
REMOTE_FN(int, deadlock_outer, uint64_t, at) {
    rr_ref inner = rr_call(deadlock_inner, at);
    int v = -1;
    meeting_at(at)->refs[2] = rr_keep(inner);
    rr_status status = rr_get(int, inner, &v);
    return status == RR_OK ? v : 100 + (int)status;
}
REMOTE_FN(int, deadlock_wants_gpu, uint64_t, at) {
    int v = -1;
    meeting *m = meeting_at(at);
    while (m->here < 2) rr_sleep_ms(1);
    rr_ref child = rr_call_with(gpus(1, 0), deadlock_gpu, 1);
    rr_status status = rr_get(int, child, &v);
    return status == RR_OK ? v : 100 + (int)status;
}
TEST(cancelled_body_below_others_keeps_what_it_has) {
    fixture f;
    meeting m;
    memset(&m, 0, sizeof m);
    START(&f, .workers = 1, .resources = {{"gpu", 1}});
    m.refs[0] = rr_call_with(gpus(1, 0), deadlock_outer, AT(&m));
    CHECK(becomes(&m.here, 1));
    m.refs[1] = rr_call(deadlock_wants_gpu, AT(&m));
    CHECK(rr_cancel_alone(m.refs[0]) == RR_OK);
    m.here = 2;
    m.open = 1;
    int inner = value_of(m.refs[2]), wants = value_of(m.refs[1]);
    CHECK(inner == 100 + RR_ERR_DEADLOCK || wants == 100 + RR_ERR_DEADLOCK);
    for (int i = 0; i < 3; i++) rr_release(m.refs[i]);
    fixture_stop(&f);
}

/* ---- streams ---- */

REMOTE_STREAM(int, deadlock_items, uint64_t, at, int, reads) {
    rr_ref item;
    meeting *m = opened(at);
    rr_status status = rr_next(m->streams[reads], &item);
    rr_yield(int, status == RR_ERR_DEADLOCK ? 100 : status == RR_OK ? 1 : 2);
}
TEST(streams_that_read_each_other) {
    for (int workers = 1; workers < 4; workers++) {
        fixture f;
        meeting m;
        memset(&m, 0, sizeof m);
        START(&f, .workers = workers);
        for (int i = 0; i < 2; i++) m.streams[i] = rr_call_stream(deadlock_items, AT(&m), 1 - i);
        CHECK(becomes(&m.here, 2));
        m.open = 1;
        rr_ref first, second;
        CHECK(rr_next_timeout(m.streams[0], LIMIT * 1000, &first) != RR_ERR_TIMEOUT);
        rr_status other = rr_next_timeout(m.streams[1], LIMIT * 1000, &second);
        CHECK(other == RR_OK || other == RR_ERR_END); /* the other body may have read it */
        CHECK(first.id == 0 || value_of(first) == 100 || value_of(first) == 1);
        rr_release(first), rr_release(second);
        for (int i = 0; i < 2; i++) rr_release(m.streams[i]);
        fixture_stop(&f);
    }
}

/* ---- mailboxes ---- */

REMOTE_METHOD(int, Owner, takes, int, v) { return self->n += v; }
static rr_actor narrow(void) {
    return rr_spawn_with(RR_ACTOR_OPTIONS(.max_pending = 1, .when_full = RR_WAIT), Owner_create);
}
/* Its first message waits for what it makes itself, and holds the only place for the second. */
REMOTE_FN(int, deadlock_sends, uint64_t, at) {
    meeting *m = opened(at);
    rr_ref first = rr_ask(m->actor, Owner_takes, m->refs[0]);
    rr_ref second = rr_ask(m->actor, Owner_takes, 1);
    int v = -1;
    rr_status status = rr_get(int, second, &v);
    rr_release(first);
    return status == RR_OK ? v : 100 + (int)status;
}
TEST(sender_that_its_own_message_waits_for) {
    for (int workers = 1; workers < 4; workers++) {
        fixture f;
        meeting m;
        memset(&m, 0, sizeof m);
        START(&f, .workers = workers);
        m.actor = narrow();
        m.refs[0] = rr_call(deadlock_sends, AT(&m));
        m.open = 1;
        CHECK(value_of(m.refs[0]) == 100 + RR_ERR_DEADLOCK);
        rr_release(m.refs[0]), rr_release(m.actor);
        fixture_stop(&f);
    }
}
/* What holds the place fails, or arrives, later: nobody is told. */
REMOTE_FN(int, deadlock_fails, int, ms, bool, fails) {
    rr_sleep_ms(ms);
    if (fails) rr_fail(7, "as asked");
    return 1;
}
TEST(sender_whose_room_comes_from_a_message_that_is_held) {
    for (int fails = 0; fails < 2; fails++) {
        fixture f;
        meeting m;
        memset(&m, 0, sizeof m);
        START(&f, .workers = 2);
        m.actor = narrow(), m.open = 1;
        m.refs[0] = rr_call(deadlock_fails, NOBODY, fails == 1);
        rr_ref sends = rr_call(deadlock_sends, AT(&m));
        CHECK(value_of(sends) == (fails ? 1 : 2));
        rr_release(m.refs[0]), rr_release(sends), rr_release(m.actor);
        fixture_stop(&f);
    }
}

/* ---- actors that end ---- */

/* The constructor waits for a message to its own actor; or is ended meanwhile. */
REMOTE_ACTOR(Owner, create_late, uint64_t, at) {
    int v = -1;
    meeting *m = opened(at);
    rr_ref own = rr_ask(m->actor, Owner_takes, 1);
    self->n = 100 + (int)rr_get(int, own, &v);
}
TEST(constructor_that_waits_for_its_own_message) {
    for (int workers = 1; workers < 3; workers++) {
        fixture f;
        meeting m;
        memset(&m, 0, sizeof m);
        START(&f, .workers = workers);
        m.actor = rr_spawn(Owner_create_late, AT(&m));
        CHECK(becomes(&m.here, 1));
        m.open = 1;
        rr_ref after = rr_ask(m.actor, Owner_takes, 0);
        int v = value_of(after);
        CHECK(v == 100 + RR_ERR_DEADLOCK || v == 101 + RR_ERR_DEADLOCK); /* before it, or after */
        rr_release(after), rr_release(m.actor);
        fixture_stop(&f);
    }
}

/* The constructor's argument comes from a body that has a time limit and lies below one that asks
   the actor: at the limit the actor ends, and all goes on. */
REMOTE_ACTOR(Owner, create_of, int, n) { self->n = n; }
REMOTE_FN(int, deadlock_asks, uint64_t, at) {
    int v = -1;
    rr_ref own = rr_ask(meeting_at(at)->actor, Owner_takes, 1);
    rr_status status = rr_get(int, own, &v);
    return status == RR_OK ? v : 100 + (int)status;
}
REMOTE_FN(int, deadlock_limited, uint64_t, at) {
    int v = -1;
    rr_get(int, opened(at)->refs[0], &v);
    return v;
}
TEST(argument_of_a_constructor_that_will_be_late) {
    for (int workers = 1; workers < 3; workers++) {
        fixture f;
        meeting m;
        memset(&m, 0, sizeof m);
        START(&f, .workers = workers);
        m.refs[1] = rr_call_with(RR_OPTIONS(.timeout_ms = 10 * NOBODY), deadlock_limited, AT(&m));
        CHECK(becomes(&m.here, 1));
        m.actor = rr_spawn(Owner_create_of, m.refs[1]);
        m.refs[0] = rr_call(deadlock_asks, AT(&m));
        m.open = 1;
        CHECK(value_of(m.refs[0]) == 100 + RR_ERR_ACTOR_DEAD);
        rr_release(m.refs[0]), rr_release(m.refs[1]), rr_release(m.actor);
        fixture_stop(&f);
    }
}

/* A destructor waits for what its actor has, of which no handle is left. */
typedef struct Last {
    uint64_t at;
} Last;
REMOTE_ACTOR(Last, create, uint64_t, at) { self->at = at; }
REMOTE_DESTRUCTOR(Last) {
    int v = -1;
    rr_ref child = rr_call_with(gpus(1, 0), deadlock_gpu, 1);
    meeting_at(self->at)->here = rr_get(int, child, &v) == RR_ERR_DEADLOCK ? 100 : 1;
    rr_release(child);
}
TEST(destructor_that_wants_what_its_actor_has) {
    fixture f;
    meeting m;
    memset(&m, 0, sizeof m);
    START(&f, .workers = 2, .resources = {{"gpu", 1}});
    m.actor = rr_spawn_with(RR_ACTOR_OPTIONS(.resources = {{"gpu", 1}}), Last_create, AT(&m));
    rr_release(m.actor);
    CHECK(becomes(&m.here, 100));
    fixture_stop(&f);
}

REMOTE_FN(int, deadlock_gate_of, rr_ref, late) {
    int v = -1;
    rr_status status = rr_get(int, late, &v);
    return status == RR_OK ? v : 100 + (int)status;
}
/* What has a time limit, or waits for something on behalf of what has, is not run on top of who
   waits for it: that goes on at the limit, also if the rest waits for it. */
REMOTE_FN(int, deadlock_waits_for_last, uint64_t, at) {
    int v = -1;
    rr_status status = rr_get(int, opened(at)->refs[2], &v);
    return status == RR_OK ? v : 100 + (int)status;
}
TEST(what_may_be_late_is_not_run_on_top_of_who_waits_for_it) {
    for (int workers = 1; workers < 3; workers++) {
        fixture f;
        meeting m;
        memset(&m, 0, sizeof m);
        START(&f, .workers = workers);
        m.refs[0] = rr_call(deadlock_waits_for_last, AT(&m)); /* m.refs[2] */
        CHECK(becomes(&m.here, 1));
        rr_ref late = rr_call_with(RR_OPTIONS(.timeout_ms = 10 * NOBODY), deadlock_gpu, m.refs[0]);
        m.refs[2] = rr_call(deadlock_gate_of, late);
        m.open = 1;
        CHECK(value_of(m.refs[2]) == 100 + RR_ERR_TIMEOUT);
        CHECK(value_of(m.refs[0]) == 100 + RR_ERR_TIMEOUT);
        rr_release(m.refs[0]), rr_release(m.refs[2]), rr_release(late);
        fixture_stop(&f);
    }
}

/* Slots are used anew all the time. */
REMOTE_FN(int, deadlock_churns, uint64_t, at, int, ms) {
    int v = -1, n = 0;
    for (; !meeting_at(at)->open; n++) {
        rr_ref own = rr_ask(meeting_at(at)->actor, Owner_takes, 1);
        if (rr_get(int, own, &v) != RR_OK) return -2;
        rr_release(own);
        rr_sleep_ms(ms);
    }
    return n;
}
TEST(ring_while_others_come_and_go) {
    enum { MANY = 300 };
    fixture f;
    meeting m, others;
    rr_ref many[MANY];
    memset(&m, 0, sizeof m), memset(&others, 0, sizeof others);
    START(&f, .workers = 2);
    others.actor = rr_spawn(Owner_create);
    for (int i = 0; i < MANY; i++) many[i] = rr_call(deadlock_churns, AT(&others), i % 3);
    for (int i = 0; i < 2; i++) m.refs[i] = rr_call(deadlock_ring, AT(&m), 1 - i);
    CHECK(becomes(&m.here, 2));
    m.open = 1;
    CHECK(value_of(m.refs[0]) == 100 && value_of(m.refs[1]) == 100);
    others.open = 1;
    for (int i = 0; i < MANY; i++) CHECK(value_of(many[i]) >= 0), rr_release(many[i]);
    rr_release(m.refs[0]), rr_release(m.refs[1]), rr_release(others.actor);
    fixture_stop(&f);
}

/* ---- several rings ---- */

/* The first of it is a ring; the second one is none any more when that has been told. */
TEST(ring_that_another_one_sets_free_is_not_told) {
    for (int workers = 1; workers < 4; workers++) {
        fixture f;
        meeting m;
        memset(&m, 0, sizeof m);
        START(&f, .workers = workers);
        m.refs[0] = rr_call(deadlock_ring, AT(&m), 1),
        m.refs[1] = rr_call(deadlock_ring, AT(&m), 0);
        m.refs[2] = rr_keep(m.refs[0]); /* both of those below wait for one of this and them */
        m.refs[3] = rr_call(deadlock_any, AT(&m), 2, 3, 1);
        m.refs[4] = rr_call(deadlock_any, AT(&m), 2, 3, 1);
        CHECK(becomes(&m.here, 4));
        m.open = 1;
        CHECK(value_of(m.refs[0]) == 100 && value_of(m.refs[1]) == 100);
        CHECK(value_of(m.refs[3]) == 1 && value_of(m.refs[4]) == 1);
        for (int i = 0; i < 5; i++) rr_release(m.refs[i]);
        fixture_stop(&f);
    }
}

/* ---- whatever else goes on ---- */

REMOTE_FN(int, deadlock_spins, uint64_t, at) {
    meeting *m = meeting_at(at);
    while (!m->here) {
    }
    return 1;
}
TEST(ring_while_all_workers_are_busy) {
    fixture f;
    meeting m, busy;
    memset(&m, 0, sizeof m), memset(&busy, 0, sizeof busy);
    START(&f, .workers = 2);
    for (int i = 0; i < 3; i++) m.refs[i] = rr_call(deadlock_ring, AT(&m), (i + 1) % 3);
    CHECK(becomes(&m.here, 3));
    rr_ref gate = unsealed(8);
    m.open = 1;
    rr_ref spins = rr_call(deadlock_spins, AT(&busy)), sleeps = rr_call(deadlock_later, 1000);
    for (int i = 0; i < 3; i++) CHECK(value_of(m.refs[i]) == 100);
    busy.here = 1;
    CHECK(value_of(spins) == 1 && value_of(sleeps) == 1000);
    rr_seal(gate), rr_release(gate), rr_release(spins), rr_release(sleeps);
    for (int i = 0; i < 3; i++) rr_release(m.refs[i]);
    fixture_stop(&f);
}

/* What leads into a ring goes on when that is told. */
TEST(ring_of_others_is_not_told_to_who_waits_for_it) {
    fixture f;
    meeting m;
    memset(&m, 0, sizeof m);
    START(&f, .workers = 2);
    for (int i = 0; i < 2; i++) m.refs[i] = rr_call(deadlock_ring, AT(&m), 1 - i);
    m.refs[2] = rr_call(deadlock_ring, AT(&m), 0);
    CHECK(becomes(&m.here, 3));
    m.open = 1;
    CHECK(value_of(m.refs[2]) != -1);
    int v = value_of(m.refs[2]);
    CHECK(v == 100 && value_of(m.refs[0]) == 100 && value_of(m.refs[1]) == 100);
    for (int i = 0; i < 3; i++) rr_release(m.refs[i]);
    fixture_stop(&f);
}

REMOTE_FN(int, deadlock_gate, rr_ref, gate) {
    rr_bytes view;
    return rr_get(rr_bytes, gate, &view) == RR_OK;
}
/* A thread outside may still do it. */
TEST(what_a_thread_outside_may_complete_is_waited_for) {
    fixture f;
    START(&f, .workers = 2);
    rr_ref gates[20], refs[20];
    for (int i = 0; i < 20; i++) gates[i] = unsealed(8), refs[i] = rr_call(deadlock_gate, gates[i]);
    rr_sleep_ms(300); /* it looks some times */
    for (int i = 0; i < 20; i++) CHECK(!rr_ready(refs[i]));
    for (int i = 0; i < 20; i++) CHECK(rr_seal(gates[i]) == RR_OK);
    for (int i = 0; i < 20; i++) CHECK(value_of(refs[i]) == 1);
    for (int i = 0; i < 20; i++) rr_release(gates[i]), rr_release(refs[i]);
    fixture_stop(&f);
}

int main(int argc, char **argv) { return test_main(argc, argv); }
