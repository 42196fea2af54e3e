/* Guards the supervision of actors: several threads make actors with options at random, ask, tell,
   crash, kill, cancel, watch and let go of them. Each call ends once, for a reason that there was,
   after as many runs of its body as that allows; each state is destroyed once, when nobody is
   inside; every watch fires, and all of one actor say the same. Sometimes the runtime ends in the
   middle.
   stress_supervision [threads] [rounds] [seed] */
#define _GNU_SOURCE
static void stress_point(void);
#define RR__STRESS_POINT() stress_point()
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"
#include "stress.h"

enum { CALLS = 150, WATCHES = 40, TABLE = 5, RECORDS = 400, MAX_THREADS = 8, CODE = 77 };
enum { BYTES = 2000 };

/* What there is to know of an actor; stays when it has ended. */
typedef struct record {
    rr_actor_options options;
    uint32_t bad; /* bit i: its constructor goes wrong the i-th time */
    bool bad_crashes;
    atomic_int creations, born, dropped, inside, crashes; /* crashes: that were asked for */
    atomic_bool killed, left;
    atomic_int last[MAX_THREADS]; /* of each caller, the last number that ran */
    rr_ref watch;
    atomic_int told; /* so often its end was told to the chief */
    rr_exit end;     /* with this */
} record;

typedef enum kind { PLAIN, SLOW, CRASH, FAIL, LEAVE, CALL, KINDS } kind;
typedef struct call {
    record *to;
    kind kind;
    int number, caller, value, crashes; /* it crashes in so many attempts */
    bool is_told;
    rr_ref ref;
    rr_status end;
    atomic_int runs, cancels;
} call;
typedef struct caller { /* a thread outside */
    int id;
    uint64_t random;
    call calls[CALLS];
    atomic_int made;
    rr_ref watches[WATCHES];
    record *watched[WATCHES];
    int watches_made;
} caller;

static record records[RECORDS];
static caller callers[MAX_THREADS];
static atomic_int records_made, ready;
static int threads_count;
static rr_actor chief;
static bool ends_early;
static struct {
    pthread_mutex_t lock;
    struct place {
        rr_actor actor;
        record *record;
    } places[TABLE];
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void spin(int us) {
    double end = rr_now() + us * 1e-6;
    while (rr_now() < end) {
    }
}

/* ---- bodies ---- */

REMOTE_FN(int, supervision_task, int, v) {
    if (v % 8 == 0) rr_sleep_ms(1);
    return v;
}

typedef struct Ward {
    record *record;
    bool is_broken; /* with one method at a time */
} Ward;
REMOTE_ACTOR(Ward, create, uint64_t, at, rr_bytes, bytes) {
    record *r = (record *)(uintptr_t)at;
    int number = r->creations++;
    CHECK(!self->record && !self->is_broken && r->inside == 0 && r->born == r->dropped);
    CHECK(bytes.size == BYTES && ((const char *)bytes.data)[BYTES - 1] == 5);
    if (r->bad >> number % 32 & 1) {
        self->is_broken = true; /* what the next one must not find */
        if (r->bad_crashes) rr_crash_actor("bad birth %d", number);
        else rr_fail(CODE, "bad birth %d", number);
        return;
    }
    self->record = r;
    r->born++;
}
REMOTE_DESTRUCTOR(Ward) {
    CHECK(self->record->inside == 0);
    self->record->dropped++;
}

static void enter(Ward *self, call *c) {
    record *r = self->record;
    int limit = r->options.max_concurrency, attempt = rr_attempt();
    CHECK(r == c->to && c->runs++ == attempt);
    CHECK(++r->inside <= (limit ? limit : 1));
    if (limit > 1) return;
    int last = r->last[c->caller];
    bool is_next = last < c->number || (attempt && last == c->number);
    if (!CHECK(!self->is_broken && is_next))
        fprintf(stderr, "broken %d, message %d after %d, attempt %d\n", self->is_broken, c->number,
                last, attempt);
    r->last[c->caller] = c->number;
}
REMOTE_METHOD(int, Ward, work, uint64_t, at, int, v) {
    call *c = (call *)(uintptr_t)at;
    bool is_alone = self->record->options.max_concurrency < 2;
    enter(self, c);
    int got = v;
    rr_status status = RR_OK;
    if (c->kind == SLOW && v % 2) spin(v % 200);
    else if (c->kind == SLOW) rr_sleep_ms(v % 3);
    else if (c->kind == FAIL) rr_fail(CODE, "it fails");
    else if (c->kind == LEAVE) rr_exit_actor();
    else if (c->kind == CALL) status = rr_get(int, rr_call(supervision_task, v), &got);
    CHECK((status == RR_OK && got == v) || rr_cancelled());
    if (c->kind == CRASH && rr_attempt() < c->crashes) {
        if (is_alone) self->is_broken = true;
        rr_crash_actor("crash %d", rr_attempt());
    }
    self->record->inside--;
    return v;
}

typedef struct Chief {
    int ended;
} Chief;
REMOTE_ACTOR(Chief, create) { self->ended = 0; }
REMOTE_METHOD(void, Chief, ended, uint64_t, at, rr_exit, why) {
    record *r = (record *)(uintptr_t)at;
    self->ended++;
    r->end = why;
    CHECK(r->dropped == r->born);
    r->told++;
}

/* ---- the threads ---- */

static rr_actor_options random_options(uint64_t *random) {
    static const int restarts[4] = {0, 1, 5, -1}, retries[4] = {0, 0, 2, -1},
                     concurrency[4] = {0, 1, 2, 4}, pending[4] = {0, 0, 3, 20};
    rr_actor_options options = {0};
    options.max_restarts = restarts[test_below(random, 4)];
    options.max_method_retries = retries[test_below(random, 4)];
    options.max_concurrency = concurrency[test_below(random, 4)];
    options.max_pending = pending[test_below(random, 4)];
    if (test_below(random, 4) == 0) { /* doubled for each further one */
        options.restart_delay_ms = 1;
        options.max_restarts = restarts[test_below(random, 3)];
    }
    if (!options.max_restarts) options.max_method_retries = 0; /* it needs them */
    return options;
}

/* Makes an actor and puts it into the table, where it may be another's last handle. */
static void spawn(uint64_t *random) {
    static const char bytes[BYTES] = {[BYTES - 1] = 5};
    int at = records_made++;
    if (at >= RECORDS) return;
    record *r = &records[at];
    r->options = random_options(random);
    r->bad = test_below(random, 4) ? 0 : (uint32_t)(test_random(random) & test_random(random));
    if (test_below(random, 3)) r->bad &= ~1u; /* the first goes wrong more rarely */
    r->bad &= ~(1u << 31);                    /* so that one of them works */
    r->bad_crashes = test_below(random, 2);
    rr_ref given = rr_put_bytes(bytes, sizeof bytes);
    rr_actor actor = rr_spawn_with(r->options, Ward_create, (uint64_t)(uintptr_t)r, given);
    rr_ref watch = rr_watch(actor);
    rr_release(given);
    r->watch = rr_watch(actor);
    rr_tell(chief, Chief_ended, (uint64_t)(uintptr_t)r, watch);
    rr_release(watch);
    struct place *place = &table.places[test_below(random, TABLE)], old;
    pthread_mutex_lock(&table.lock);
    old = *place;
    *place = (struct place){actor, r};
    pthread_mutex_unlock(&table.lock);
    rr_release(old.actor);
}

/* A handle of an actor's in the table, with a count; or a null one. */
static struct place borrow(uint64_t *random) {
    struct place *place = &table.places[test_below(random, TABLE)], found;
    pthread_mutex_lock(&table.lock);
    found = *place;
    if (found.record) rr_retain(found.actor);
    pthread_mutex_unlock(&table.lock);
    return found;
}
static void let_go(uint64_t *random) {
    struct place *place = &table.places[test_below(random, TABLE)], old;
    pthread_mutex_lock(&table.lock);
    old = *place;
    *place = (struct place){0};
    pthread_mutex_unlock(&table.lock);
    rr_release(old.actor);
}

static kind random_kind(uint64_t *random) {
    uint64_t dice = test_below(random, 100);
    return dice < 40   ? PLAIN
           : dice < 58 ? SLOW
           : dice < 76 ? CRASH
           : dice < 86 ? FAIL
           : dice < 98 ? CALL
                       : LEAVE;
}

static void send(caller *x, struct place to) {
    int at = x->made;
    call *c = &x->calls[at];
    uint64_t *random = &x->random;
    c->to = to.record, c->kind = random_kind(random);
    c->number = at + 1, c->caller = x->id, c->value = (int)test_below(random, 10000);
    c->crashes = c->kind == CRASH ? 1 + (int)test_below(random, 4) : 0;
    c->runs = c->cancels = 0;
    if (c->kind == CRASH) to.record->crashes++;
    if (c->kind == LEAVE) to.record->left = true;
    c->is_told = test_below(random, 3) == 0;
    uint64_t address = (uint64_t)(uintptr_t)c;
    rr_ref late = test_below(random, 5) ? (rr_ref){0} : rr_call(supervision_task, c->value);
    if (c->is_told && late.id) c->end = rr_tell(to.actor, Ward_work, address, late);
    else if (c->is_told) c->end = rr_tell(to.actor, Ward_work, address, c->value);
    else if (late.id) c->ref = rr_ask(to.actor, Ward_work, address, late);
    else c->ref = rr_ask(to.actor, Ward_work, address, c->value);
    rr_release(late);
    atomic_store(&x->made, at + 1);
}

/* Cancels one of the last calls of anybody's. */
static void cancel_some(uint64_t *random) {
    caller *x = &callers[test_below(random, threads_count)];
    int made = atomic_load(&x->made);
    if (!made) return;
    call *c = &x->calls[made - 1 - (int)test_below(random, made < 15 ? made : 15)];
    if (c->is_told) return;
    rr_status status = test_below(random, 4) ? rr_cancel(c->ref) : rr_cancel_alone(c->ref);
    if (status == RR_OK) c->cancels++;
    else if (!ends_early) CHECK(status == RR_ERR_INVALID); /* it is kept: never stale */
}

static void watch_some(caller *x, struct place to) {
    rr_ref watch = rr_watch(to.actor);
    if (x->watches_made == WATCHES || test_below(&x->random, 3) == 0) {
        rr_release(watch);
        return;
    }
    x->watched[x->watches_made] = to.record;
    x->watches[x->watches_made++] = watch;
}
static void kill_some(struct place to) {
    to.record->killed = true;
    rr_status status = rr_kill(to.actor);
    if (!ends_early) CHECK(status == RR_OK || status == RR_ERR_ACTOR_DEAD);
}

static void run_caller(void *data) {
    caller *x = data;
    uint64_t *random = &x->random;
    ready++;
    while (x->made < CALLS) {
        uint64_t dice = test_below(random, 100);
        struct place to = {0};
        if (dice < 5) spawn(random);
        else if (dice < 7) let_go(random);
        else if (dice < 15) cancel_some(random);
        else if (dice < 17) usleep((useconds_t)test_below(random, 500));
        else to = borrow(random);
        if (!to.record) continue;
        if (dice < 20) kill_some(to);
        else if (dice < 26) watch_some(x, to);
        else send(x, to);
        rr_release(to.actor);
    }
    for (int i = 0; i < CALLS && !ends_early; i++) {
        call *c = &x->calls[i];
        if (c->is_told) continue;
        CHECK(rr_wait(&c->ref, 1, 1, 60000, NULL) == 1);
        c->end = rr_get_void(c->ref);
    }
}

/* ---- the outcomes ---- */

/* May calls on it have been refused because it is dead? */
static bool is_mortal(const record *r) {
    return r->killed || r->left || r->bad || (r->crashes && r->options.max_restarts >= 0);
}

static bool crashed_rightly(const call *c) {
    int most = c->to->options.max_method_retries + 1;
    return c->kind == CRASH && c->runs >= 1 && (most == 0 || c->runs <= most) &&
           c->runs <= c->crashes;
}
static bool ended_rightly(const call *c) {
    const record *r = c->to;
    int v = 0, runs = c->runs;
    if (c->cancels) return c->end == RR_ERR_CANCELLED && c->cancels == 1;
    switch (c->end) {
    case RR_OK:
        if (c->is_told) return runs > 0 || is_mortal(r);
        return rr_get(int, c->ref, &v) == RR_OK && v == c->value && runs == 1 + c->crashes;
    case RR_ERR_TASK:
        return c->kind == FAIL && runs == 1 && rr_error_code(c->ref) == CODE;
    case RR_ERR_ACTOR_CRASHED:
        return crashed_rightly(c);
    case RR_ERR_ACTOR_DEAD:
        return is_mortal(r) && (runs == 0 || (c->kind == CRASH && r->options.max_method_retries));
    case RR_ERR_MAILBOX_FULL:
        return r->options.max_pending > 0 && runs == 0;
    default:
        return false;
    }
}
static void check_call(const call *c) {
    if (CHECK(ended_rightly(c))) return;
    fprintf(stderr, "call %d of %d, kind %d, %s, %d runs, %d cancels: %s: %.300s\n", c->number,
            c->caller, c->kind, c->is_told ? "told" : "asked", c->runs, c->cancels,
            rr_status_name(c->end), c->is_told ? "" : rr_error_message(c->ref));
}

static bool exit_is_right(const record *r, const rr_exit *e) {
    int most = r->options.max_restarts;
    bool fine = e->restarts >= 0 && (most < 0 || e->restarts <= most);
    if (e->status == RR_ERR_ACTOR_DEAD) return fine && r->killed;
    if (e->status == RR_ERR_ACTOR_CRASHED) return fine && (r->crashes || r->bad);
    if (e->status == RR_ERR_TASK) return fine && r->bad;
    return fine && e->status == RR_OK;
}
static bool same_exit(const rr_exit *a, const rr_exit *b) {
    return a->status == b->status && a->restarts == b->restarts && !strcmp(a->reason, b->reason);
}
static void check_record(record *r) {
    rr_exit e = {RR_ERR_INVALID, 0, ""};
    CHECK(rr_get_timeout(rr_exit, r->watch, &e, 60000) == RR_OK && becomes(&r->told, 1));
    if (!CHECK(exit_is_right(r, &e) && same_exit(&e, &r->end)))
        fprintf(stderr, "exit: %s, %d restarts, %s; told: %s, %d, %s\n", rr_status_name(e.status),
                e.restarts, e.reason, rr_status_name(r->end.status), r->end.restarts,
                r->end.reason);
    rr_release(r->watch);
}
static void check_caller(caller *x) {
    for (int i = 0; i < CALLS; i++) {
        check_call(&x->calls[i]);
        if (!x->calls[i].is_told) rr_release(x->calls[i].ref);
    }
    for (int i = 0; i < x->watches_made; i++) {
        rr_exit e = {RR_ERR_INVALID, 0, ""};
        CHECK(rr_get_timeout(rr_exit, x->watches[i], &e, 60000) == RR_OK);
        CHECK(same_exit(&e, &x->watched[i]->end));
        rr_release(x->watches[i]);
    }
}

static int records_used(void) { return records_made < RECORDS ? records_made : RECORDS; }
static void check_states(void) {
    for (int i = 0; i < records_used(); i++) {
        record *r = &records[i];
        if (!CHECK(r->born == r->dropped && r->inside == 0))
            fprintf(stderr, "actor %d: born %d, dropped %d, inside %d\n", i, r->born, r->dropped,
                    r->inside);
    }
}

/* Nobody calls any more: lets go of all actors and sees how everything has ended. */
static void check_round(void) {
    rr_stats s;
    for (int i = 0; i < TABLE; i++) rr_release(table.places[i].actor);
    for (int i = 0; i < records_used(); i++) check_record(&records[i]);
    for (int i = 0; i < threads_count; i++) check_caller(&callers[i]);
    rr_release(chief);
    CHECK(objects_settle_at(0) && actors_settle_at(0));
    rr_get_stats(&s);
    CHECK(s.tasks_submitted == s.tasks_finished + s.tasks_failed && s.store_bytes_used == 0);
}

static void one_round(uint64_t *random, int threads) {
    static fixture f;
    outside others[MAX_THREADS];
    threads_count = threads < MAX_THREADS ? threads : MAX_THREADS;
    ends_early = test_below(random, 4) == 0;
    memset(records, 0, sizeof records), memset(callers, 0, sizeof callers);
    memset(table.places, 0, sizeof table.places);
    records_made = ready = 0;
    START(&f, .workers = 1 + (int)test_below(random, 4));
    f.length = sizeof f.log - 1; /* what was told and crashed: not kept */
    chief = rr_spawn(Chief_create);
    for (int i = 0; i < TABLE; i++) spawn(random);
    for (int i = 0; i < threads_count; i++)
        callers[i].id = i, callers[i].random = test_random(random);
    for (int i = 0; i < threads_count; i++)
        outside_start(&others[i], f.runtime, run_caller, &callers[i]);
    while (ready < threads_count) usleep(50); /* all of them use the runtime */
    if (ends_early) {
        usleep((useconds_t)test_below(random, 20000));
        fixture_stop(&f);
        check_states();
    }
    for (int i = 0; i < threads_count; i++) outside_join(&others[i]);
    if (ends_early) return;
    check_round();
    check_states();
    fixture_stop(&f);
}

int main(int argc, char **argv) {
    stress s = stress_begin(argc, argv, 3);
    for (uint64_t random; stress_next(&s, &random);) one_round(&random, s.threads);
    return stress_end(&s);
}
