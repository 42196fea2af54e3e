/* Guards waiting: random trees of bodies that wait for one another, for any or all of many, with
   and without limits, on few threads and through actors, beside bodies that poll and such that wake
   each other for each object of a stream, in bursts with pauses in between so that workers park:
   nothing hangs, no wake-up is lost, and what lies in a queue is not put there again. The alarm
   tells the seed of a hang.
   stress_waiting [threads] [rounds] [seed] */
#define _GNU_SOURCE
static void stress_point(void);
#define RR__STRESS_POINT() stress_point()
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"
#include "stress.h"

enum { WIDTH = 6 };

REMOTE_FN(long, waiting_leaf, long, v) { return v; }
typedef struct Relay {
    rr_actor next;
} Relay;
REMOTE_ACTOR(Relay, create, rr_actor, next) { self->next = rr_keep(next); }
REMOTE_DESTRUCTOR(Relay) { rr_release(self->next); }
REMOTE_METHOD(long, Relay, pass, long, v) {
    if (!self->next.id) return v;
    rr_ref r = rr_ask(self->next, Relay_pass, rr_call(waiting_leaf, v));
    long out = -1;
    return rr_get(long, r, &out) == RR_OK ? out : -1;
}

/* Waits until at least one, then until all are there, in one of many ways. */
static bool wait_somehow(const rr_ref *refs, size_t n, uint64_t *random) {
    size_t ready[WIDTH], found;
    switch (test_below(random, 7)) {
    case 0:
        return rr_wait(refs, n, n, -1, ready) == n;
    case 1:
        found = rr_wait(refs, n, 1 + test_below(random, n), -1, ready);
        for (size_t i = 0; i < found; i++)
            if (ready[i] >= n || !rr_ready(refs[ready[i]])) return false;
        return found > 0;
    case 2:
        while (rr_wait(refs, n, n, 1, NULL) < n) continue;
        return true;
    case 3:
        for (size_t i = 0; i < n; i++)
            while (rr_get_timeout(long, refs[i], &(long){0}, 1) == RR_ERR_TIMEOUT) continue;
        return true;
    case 4:
        while (rr_wait(refs, n, n, 0, NULL) < n) continue;
        return true;
    case 5:
        return rr_get_void(rr_gather(refs, n)) == RR_OK;
    default:
        return true;
    }
}

/* The sum of the leaves below. Every body starts its children and waits for them somehow. */
REMOTE_FN(long, waiting_tree, uint64_t, seed, int, depth, rr_actor, relay) {
    uint64_t random = seed;
    size_t n = 1 + test_below(&random, WIDTH);
    rr_ref refs[WIDTH];
    long sum = 0, v = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t below = test_random(&random);
        if (depth == 0 || below % 3 == 0) refs[i] = rr_call(waiting_leaf, (long)(below % 100));
        else if (below % 11 == 1) refs[i] = rr_ask(relay, Relay_pass, (long)(below % 100));
        else refs[i] = rr_call(waiting_tree, below, depth - 1, relay);
    }
    if (!wait_somehow(refs, n, &random)) rr_fail(1, "a wait that told something wrong");
    for (size_t i = 0; i < n; i++) {
        if (rr_get(long, refs[i], &v) != RR_OK) rr_fail(2, "%.300s", rr_error_message(refs[i]));
        sum += v;
    }
    return sum;
}
static long tree_value(uint64_t seed, int depth) {
    uint64_t random = seed;
    size_t n = 1 + test_below(&random, WIDTH);
    long sum = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t below = test_random(&random);
        bool leaf = depth == 0 || below % 3 == 0 || below % 11 == 1;
        sum += leaf ? (long)(below % 100) : tree_value(below, depth - 1);
    }
    return sum;
}

/* A gate that a body opens, with waiters that were there before and that come after. */
REMOTE_FN(long, waiting_at_gate, rr_ref, gate, int, limit) {
    rr_bytes view = {0};
    rr_status status = RR_ERR_TIMEOUT;
    while (status == RR_ERR_TIMEOUT) status = rr_get_timeout(rr_bytes, gate, &view, limit);
    return status == RR_OK ? (long)view.size : -1;
}
REMOTE_FN(long, waiting_gates, uint64_t, seed, int, n) {
    void *room = NULL;
    rr_ref gate = rr_create(1, &room), refs[40];
    uint64_t random = seed;
    long sum = 0, v = 0;
    for (int i = 0; i < n; i++) {
        if (i == n / 2 && test_below(&random, 2)) rr_sleep_ms(1); /* they sleep by now */
        if (i == n / 2) rr_seal(gate);
        refs[i] = rr_call(waiting_at_gate, gate, test_below(&random, 3) ? -1 : 1);
    }
    for (int i = 0; i < n; i++) sum += rr_get(long, refs[i], &v) == RR_OK ? v : -1000;
    return sum;
}

/* Bodies that poll, and so let others go first, beside such that wake each other all the time. */
REMOTE_FN(long, waiting_poller, int, n) {
    long sum = 0, v = 0;
    for (int i = 0; i < n; i++) {
        rr_ref r = rr_call(waiting_leaf, 1L);
        while (!rr_wait(&r, 1, 1, 0, NULL)) continue;
        if (rr_get(long, r, &v) == RR_OK) sum += v;
        rr_release(r);
        if (i % 7 == 0) rr_sleep_ms(0);
    }
    return sum;
}
REMOTE_STREAM(long, waiting_numbers, int, n) {
    for (int i = 0; i < n; i++)
        if (rr_yield(long, 1L) != RR_OK) return;
}
REMOTE_FN(long, waiting_reader, int, n) {
    rr_stream in = rr_call_stream_with(RR_OPTIONS(.max_unread = 1), waiting_numbers, n);
    rr_ref item;
    long sum = 0, v = 0;
    while (rr_next(in, &item) == RR_OK) {
        rr_ref r = rr_call(waiting_leaf, 1L);
        if (rr_get(long, item, &v) == RR_OK) sum += v;
        rr_wait(&r, 1, 1, 0, NULL);
        rr_release(r), rr_release(item);
    }
    rr_release(in);
    return sum;
}
static void poll_and_read(void) {
    enum { N = 40, PAIRS = 6 };
    rr_ref refs[2 * PAIRS];
    long v = 0;
    for (int i = 0; i < 2 * PAIRS; i++)
        refs[i] = i % 2 ? rr_call(waiting_poller, N) : rr_call(waiting_reader, N);
    for (int i = 0; i < 2 * PAIRS; i++) CHECK(rr_get(long, refs[i], &v) == RR_OK && v == N);
}

typedef struct visitor {
    uint64_t seed;
    rr_actor relay;
} visitor;
static void visit(void *data) {
    visitor *w = data;
    uint64_t random = w->seed;
    for (int burst = 0; burst < 6; burst++) {
        rr_scope scope = rr_scope_begin();
        uint64_t seed = test_random(&random);
        long v = 0;
        int depth = (int)test_below(&random, 4);
        rr_ref tree = rr_call(waiting_tree, seed, depth, w->relay);
        rr_ref gates = rr_call(waiting_gates, seed, 40), both[2] = {tree, gates};
        CHECK(wait_somehow(both, 2, &random));
        rr_status status = rr_get(long, tree, &v);
        if (!CHECK(status == RR_OK && v == tree_value(seed, depth)))
            fprintf(stderr, "%.1000s\n", rr_error_message(tree));
        CHECK(rr_get(long, gates, &v) == RR_OK && v == 40);
        if (test_below(&random, 3) == 0) poll_and_read();
        rr_scope_end(scope);
        if (test_below(&random, 3) == 0) rr_sleep_ms((int64_t)test_below(&random, 3)); /* park */
    }
}

static void one_round(uint64_t *random, int threads) {
    fixture f;
    int workers = 1 + (int)test_below(random, 3);
    START(&f, .workers = workers,
          .max_threads = test_below(random, 2) ? 0 : workers + 40 + 40 * threads);
    rr_scope scope = rr_scope_begin();
    rr_actor relay = {0};
    for (int i = 0; i < 3; i++) relay = rr_spawn(Relay_create, relay);
    outside others[16];
    visitor visitors[16];
    int n = threads < 16 ? threads : 16;
    for (int i = 0; i < n; i++) {
        visitors[i] = (visitor){test_random(random), relay};
        outside_start(&others[i], f.runtime, visit, &visitors[i]);
    }
    for (int i = 0; i < n; i++) outside_join(&others[i]);
    rr_scope_end(scope);
    CHECK(objects_settle_at(0) && actors_settle_at(0));
    fixture_stop(&f);
}

int main(int argc, char **argv) {
    stress s = stress_begin(argc, argv, 3);
    for (uint64_t random; stress_next(&s, &random);) one_round(&random, s.threads);
    return stress_end(&s);
}
