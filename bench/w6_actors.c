/* w6_actors: ping-pong (a ring of two), a ring of 503, four actors that send to one, whose mailbox
   has no bound, or waits when 1024 are pending, and many actors that are made and answer one
   message; `bytes` is what such an actor takes afterwards. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "bench.h"

enum { RING = 503, SENDERS = 4, ROUND = 1000, PENDING = 1024 };

typedef struct Player {
    rr_actor next;
    rr_ref done;
} Player;

REMOTE_ACTOR(Player, create) {}
REMOTE_METHOD(void, Player, meet, rr_actor, next) { self->next = rr_keep(next); }
REMOTE_METHOD(void, Player, arm, rr_ref, done) { self->done = rr_keep(done); }
REMOTE_METHOD(void, Player, pass, long, left) {
    if (left > 0) {
        rr_tell(self->next, Player_pass, left - 1);
    } else {
        rr_seal(self->done);
        rr_release(self->done);
    }
}
REMOTE_DESTRUCTOR(Player) { rr_release(self->next); }

typedef struct Sink {
    long expected, sum;
    rr_ref done;
} Sink;

REMOTE_ACTOR(Sink, create) {}
REMOTE_METHOD(void, Sink, arm, long, expected, rr_ref, done) {
    *self = (Sink){expected, 0, rr_keep(done)};
}
REMOTE_METHOD(void, Sink, add, long, value) {
    self->sum += value;
    if (--self->expected > 0) return;
    rr_seal(self->done);
    rr_release(self->done);
}
REMOTE_METHOD(long, Sink, sum) { return self->sum; }

typedef struct Sender {
    char unused;
} Sender;
REMOTE_ACTOR(Sender, create) {}
REMOTE_METHOD(void, Sender, send, rr_actor, sink, long, n) {
    for (long i = 1; i <= n; i++) rr_tell(sink, Sink_add, i);
}

typedef struct Cell {
    long value;
} Cell;
REMOTE_ACTOR(Cell, create, long, value) { self->value = value; }
REMOTE_METHOD(long, Cell, value) { return self->value; }

/* An object without content: a signal from inside to outside. */
static rr_ref signal_new(void) {
    void *room;
    rr_ref ref = rr_create(1, &room);
    BENCH_CHECK(room != NULL);
    return ref;
}

static void signal_wait(rr_ref ref) {
    BENCH_CHECK(rr_get_void(ref) == RR_OK);
    rr_release(ref);
}

typedef struct ring {
    rr_actor players[RING];
    long size, passes; /* passes is a multiple of size: it ends where it starts */
} ring;

static void ring_build(ring *r, long size, long passes) {
    r->size = size, r->passes = passes / size * size;
    for (long i = 0; i < size; i++) r->players[i] = rr_spawn(Player_create);
    for (long i = 0; i < size; i++) rr_tell(r->players[i], Player_meet, r->players[(i + 1) % size]);
}

static void ring_end(ring *r) {
    for (long i = 0; i < r->size; i++) rr_kill(r->players[i]), rr_release(r->players[i]);
}

static double ring_run(void *context) {
    ring *r = context;
    rr_ref done = signal_new();
    double start = bench_now();
    rr_tell(r->players[0], Player_arm, done);
    rr_tell(r->players[0], Player_pass, r->passes);
    signal_wait(done);
    return (bench_now() - start) / (double)r->passes;
}

static double fan_in_to(rr_actor sink, long each) {
    rr_ref done = signal_new();
    rr_actor senders[SENDERS];
    for (int i = 0; i < SENDERS; i++) senders[i] = rr_spawn(Sender_create);
    double start = bench_now();
    rr_tell(sink, Sink_arm, SENDERS * each, done);
    for (int i = 0; i < SENDERS; i++) rr_tell(senders[i], Sender_send, sink, each);
    signal_wait(done);
    double time = bench_now() - start;
    rr_ref sum = rr_ask(sink, Sink_sum);
    BENCH_CHECK(rr_unwrap(long, sum) == SENDERS * (each * (each + 1) / 2));
    rr_release(sum), rr_release(sink);
    for (int i = 0; i < SENDERS; i++) rr_release(senders[i]);
    return time / (double)(SENDERS * each);
}

static double fan_in(void *each) { return fan_in_to(rr_spawn(Sink_create), *(long *)each); }
static double fan_in_bounded(void *each) {
    rr_actor sink =
        rr_spawn_with(RR_ACTOR_OPTIONS(.max_pending = PENDING, .when_full = RR_WAIT), Sink_create);
    return fan_in_to(sink, *(long *)each);
}

typedef struct crowd {
    long n;
    rr_actor *actors;
    double bytes;
} crowd;

static void create_round(rr_actor *actors) {
    rr_ref first[ROUND];
    for (long i = 0; i < ROUND; i++) {
        actors[i] = rr_spawn(Cell_create, i);
        first[i] = rr_ask(actors[i], Cell_value);
    }
    for (long i = 0; i < ROUND; i++) {
        BENCH_CHECK(rr_unwrap(long, first[i]) == i);
        rr_release(first[i]);
    }
}

/* Only the first time, the memory comes from the system: that is what `bytes` needs. */
static double create(void *context) {
    crowd *c = context;
    double before = bench_memory(), start = bench_now();
    for (long i = 0; i < c->n; i += ROUND) create_round(c->actors + i);
    double time = bench_now() - start;
    if (!c->bytes) c->bytes = (bench_memory() - before) / (double)c->n;
    for (long i = 0; i < c->n; i++) rr_release(c->actors[i]);
    return time / (double)c->n;
}

int main(int argc, char **argv) {
    static ring r;
    bench_begin(argc, argv);
    long each = bench_amount(100000);
    crowd c = {bench_amount(100) * ROUND, NULL, 0};
    if (!(c.actors = calloc((size_t)c.n, sizeof *c.actors)) || rr_init(NULL) != RR_OK) return 1;
    for (long i = 0; i < c.n; i++) c.actors[i].slot = 1; /* pages there before memory is counted */
    bench_run("W6", "create", "ns", create, &c);
    bench_value("W6", "bytes", "B", c.bytes);
    ring_build(&r, 2, bench_amount(500000));
    bench_run("W6", "ping-pong", "ns", ring_run, &r);
    ring_end(&r);
    ring_build(&r, RING, bench_amount(500000) + RING);
    bench_run("W6", "ring", "ns", ring_run, &r);
    ring_end(&r);
    bench_run("W6", "fan-in", "ns", fan_in, &each);
    bench_run("W6", "fan-in-bounded", "ns", fan_in_bounded, &each);
    free(c.actors);
    return rr_shutdown() != RR_OK;
}
