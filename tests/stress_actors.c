/* Guards mailboxes: threads, tasks and actors send to the same actors at once, with arguments that
   come late at random; each caller's messages arrive in its order; actors are killed, leave or lose
   their last handle at any time, and every ask still ends.
   stress_actors [threads] [rounds] [seed] */
#define _GNU_SOURCE
static void stress_point(void);
#define RR__STRESS_POINT() stress_point()
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"
#include "stress.h"

enum { CALLERS = 24, SENDS = 120, ACTORS = 4 };

typedef struct Log {
    int next[CALLERS]; /* the number that each caller's next message must have */
    int wrong, received, bodies;
} Log;
static atomic_int born, dropped;

REMOTE_ACTOR(Log, create) {
    (void)self;
    born++;
}
REMOTE_DESTRUCTOR(Log) {
    if (self->bodies) CHECK(!"a destructor while a method runs");
    dropped++;
}
REMOTE_METHOD(int, Log, note, int, caller, int, number) {
    if (self->bodies++) self->wrong++;
    if (self->next[caller]++ != number) self->wrong++;
    self->received++;
    self->bodies--;
    return self->wrong ? -1 : number;
}
REMOTE_METHOD(int, Log, wrong) { return self->wrong; }
REMOTE_METHOD(int, Log, received) { return self->received; }
REMOTE_METHOD(void, Log, leave) {
    (void)self;
    rr_exit_actor();
}
REMOTE_FN(int, actors_late, int, number) {
    if (number % 7 == 0) rr_sleep_ms(1); /* late on purpose */
    return number;
}
REMOTE_FN(int, actors_open, rr_bytes, gate, int, number) { return (void)gate, number; }

/* Sends SENDS messages in the order of their numbers, by ask and by tell, some with arguments that
   are not there yet. Every ask must end; with `mortal` it may end as dead. */
static bool send_all(rr_actor log, int caller, uint64_t seed, bool mortal) {
    uint64_t random = seed;
    rr_ref asked[SENDS];
    int n = 0;
    bool right = true;
    void *room = NULL;
    rr_ref gate = rr_create(1, &room);
    for (int i = 0; i < SENDS; i++) {
        rr_ref late = {0};
        unsigned how = (unsigned)test_below(&random, 10);
        if (how < 2) late = rr_call(actors_late, i);
        if (how == 2) late = rr_call(actors_open, gate, i);
        if (how == 3 || i == SENDS / 2) rr_seal(gate);
        if (test_below(&random, 3) == 0 && i < SENDS - 1) { /* an ask last: it is behind them all */
            rr_status status =
                late.id ? rr_tell(log, Log_note, caller, late) : rr_tell(log, Log_note, caller, i);
            right = right && (status == RR_OK || (mortal && status == RR_ERR_ACTOR_DEAD));
        } else {
            asked[n++] =
                late.id ? rr_ask(log, Log_note, caller, late) : rr_ask(log, Log_note, caller, i);
        }
    }
    rr_seal(gate);
    for (int i = 0; i < n; i++) {
        int v = -1;
        rr_status status = rr_get(int, asked[i], &v);
        bool fine = status == RR_OK ? v >= 0 : mortal && status == RR_ERR_ACTOR_DEAD;
        if (!fine)
            fprintf(stderr, "ask %d of caller %d: %s, %d\n", i, caller, rr_status_name(status), v);
        right = right && fine;
    }
    return right;
}
REMOTE_FN(int, actors_send_all, rr_actor, log, int, caller, uint64_t, seed, int, mortal) {
    return send_all(log, caller, seed, mortal);
}
typedef struct Sender {
    int sent;
} Sender;
REMOTE_ACTOR(Sender, create) { (void)self; }
REMOTE_METHOD(int, Sender, send_all, rr_actor, log, int, caller, uint64_t, seed, int, mortal) {
    self->sent += SENDS;
    return send_all(log, caller, seed, mortal);
}

typedef struct sender {
    rr_actor log;
    int caller;
    uint64_t seed;
    bool mortal;
} sender;
static void send_outside(void *data) {
    sender *s = data;
    rr_scope scope = rr_scope_begin();
    CHECK(send_all(s->log, s->caller, s->seed, s->mortal));
    rr_scope_end(scope);
}

/* One actor with callers of all three kinds; a mortal one ends somewhere in between. */
static void one_actor(uint64_t *random, int threads, bool mortal, rr_runtime *runtime) {
    outside *others = calloc((size_t)threads, sizeof *others);
    sender *senders = calloc((size_t)threads, sizeof *senders);
    rr_actor log = rr_spawn(Log_create), actors[4];
    rr_ref ends[CALLERS];
    int caller = 0, n = 0, value = 0;
    for (int i = 0; i < threads && caller < CALLERS - 8; i++, caller++) {
        senders[i] = (sender){log, caller, test_random(random), mortal};
        outside_start(&others[i], runtime, send_outside, &senders[i]);
    }
    int started = caller;
    for (int i = 0; i < 4; i++)
        ends[n++] = rr_call(actors_send_all, log, caller++, test_random(random), mortal);
    for (int i = 0; i < 4; i++) {
        actors[i] = rr_spawn(Sender_create);
        ends[n++] = rr_ask(actors[i], Sender_send_all, log, caller++, test_random(random), mortal);
    }
    if (mortal && test_below(random, 2)) rr_wait(ends, (size_t)n, 1, -1, NULL);
    if (mortal && test_below(random, 3)) CHECK(rr_kill(log) == RR_OK);
    else if (mortal) rr_tell(log, Log_leave);
    for (int i = 0; i < n; i++) CHECK(rr_get(int, ends[i], &value) == RR_OK && value == 1);
    for (int i = 0; i < started; i++) outside_join(&others[i]);
    if (!mortal) {
        CHECK(rr_get(int, rr_ask(log, Log_wrong), &value) == RR_OK && value == 0);
        CHECK(rr_get(int, rr_ask(log, Log_received), &value) == RR_OK && value == caller * SENDS);
    }
    free(others), free(senders);
}

static void one_round(uint64_t *random, int threads) {
    fixture f;
    START(&f, .workers = 1 + (int)test_below(random, 3));
    f.length = sizeof f.log - 1; /* failed tells of dead actors: not kept */
    int before = born - dropped;
    rr_scope scope = rr_scope_begin();
    one_actor(random, threads, false, f.runtime);
    one_actor(random, threads, true, f.runtime);
    for (int i = 0; i < 20; i++) { /* the last handle goes while messages are on their way */
        rr_actor brief = rr_spawn(Log_create);
        rr_ref r = rr_ask(brief, Log_note, 0, rr_call(actors_late, 0));
        int v = -1;
        if (i % 2) rr_tell(brief, Log_note, 0, 1);
        rr_release(brief);
        if (i % 3) CHECK(rr_get(int, r, &v) == RR_OK && v == 0);
    }
    rr_scope_end(scope);
    CHECK(actors_settle_at(0) && objects_settle_at(0));
    fixture_stop(&f);
    CHECK(born - dropped == before);
}

int main(int argc, char **argv) {
    stress s = stress_begin(argc, argv, 3);
    for (uint64_t random; stress_next(&s, &random);) one_round(&random, s.threads);
    return stress_end(&s);
}
