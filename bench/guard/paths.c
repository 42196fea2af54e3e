/* paths: the main paths, one per run, on one thread and without luck, so that callgrind counts the
   same instructions each time: paths PATH N. The only worker is kept inside a body while N
   operations run; what is called is run by the thread that waits. */
#define _GNU_SOURCE
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include <stdlib.h>
#include <time.h>

enum { SCOPE = 100, WINDOW = 10 };

static int released;

REMOTE_FN(void, hold) {
    const struct timespec nap = {.tv_nsec = 20000000}; /* the worker is kept, as by no wait of ours */
    while (!__atomic_load_n(&released, __ATOMIC_ACQUIRE)) nanosleep(&nap, NULL);
}
REMOTE_FN(long, increment, long, x) { return x + 1; }

typedef struct Counter {
    long total;
} Counter;
REMOTE_ACTOR(Counter, create) {}
REMOTE_METHOD(long, Counter, add, long, by) { return self->total += by; }

static rr_actor counter;

/* put, get and release of a number */
static void put_get(long n) {
    for (long i = 0; i < n; i++) {
        rr_ref ref = rr_put(long, i);
        if (rr_unwrap(long, ref) != i) abort();
        rr_release(ref);
    }
}

/* a call that the waiter runs itself */
static void call_help(long n) {
    for (long i = 0; i < n; i++) {
        rr_ref ref = rr_call(increment, i);
        if (rr_unwrap(long, ref) != i + 1) abort();
        rr_release(ref);
    }
}

REMOTE_FN(long, nodes, long, depth) {
    if (depth == 0) return 1;
    rr_ref left = rr_call(nodes, depth - 1), right = rr_call(nodes, depth - 1);
    return rr_unwrap(long, left) + rr_unwrap(long, right) + 1;
}

/* calls in calls, in batches of 127 */
static void tree(long n) {
    for (long i = 0; i < n; i += 127) {
        rr_ref ref = rr_call(nodes, 6);
        if (rr_unwrap(long, ref) != 127) abort();
        rr_release(ref);
    }
}

/* a chain of n dependents, run from its end by the waiter */
static void chain(long n) {
    rr_ref last = rr_call(increment, 0);
    for (long i = 1; i < n; i++) {
        rr_ref next = rr_call(increment, last);
        rr_release(last);
        last = next;
    }
    if (rr_unwrap(long, last) != n) abort();
    rr_release(last);
}

/* a message and its answer; the waiter runs the actor */
static void ask(long n) {
    rr_actor to = counter;
    for (long i = 0; i < n; i++) {
        rr_ref ref = rr_ask(to, Counter_add, 1);
        if (rr_unwrap(long, ref) <= i) abort();
        rr_release(ref);
    }
}

/* calls alone, from a thread outside; the results are taken afterwards, which is not counted */
static rr_ref *refs;

static void submit(long n) {
    for (long i = 0; i < n; i++) refs[i] = rr_call(increment, i);
}

static void take(long n) {
    for (long i = 0; i < n; i++) {
        if (rr_unwrap(long, refs[i]) != i + 1) abort();
        rr_release(refs[i]);
    }
}

/* messages without an answer, and the actor that takes them: it is run by who waits for the last */
static void tell(long n) {
    rr_actor to = counter;
    for (long i = 1; i < n; i++) rr_tell(to, Counter_add, 1);
    rr_ref last = rr_ask(to, Counter_add, 1);
    if (rr_unwrap(long, last) != n) abort();
    rr_release(last);
}

/* an actor that is made, answers one message and is given back */
static void spawn(long n) {
    for (long i = 0; i < n; i++) {
        rr_actor actor = rr_spawn(Counter_create);
        rr_ref ref = rr_ask(actor, Counter_add, i);
        if (rr_unwrap(long, ref) != i) abort();
        rr_release(ref), rr_release(actor);
    }
}

/* rr_wait for one of WINDOW references at a time, which are there; n counts the references */
static void wait_one(long n) {
    rr_ref open[WINDOW];
    for (long i = 0; i < n; i += WINDOW) {
        for (long k = 0; k < WINDOW; k++) open[k] = rr_put(long, k);
        for (size_t left = WINDOW, ready; left > 0; open[ready] = open[--left]) {
            if (rr_wait(open, left, 1, -1, &ready) != 1) abort();
            rr_release(open[ready]);
        }
    }
}

/* a scope that releases what was put in it; n counts the references */
static void scope(long n) {
    for (long i = 0; i < n; i += SCOPE) {
        rr_scope s = rr_scope_begin();
        for (long k = 0; k < SCOPE; k++) rr_put(long, k);
        rr_scope_end(s);
    }
}

/* a view of an object of 4 KiB, put and released */
static void put_bytes(long n) {
    static const char data[4096];
    for (long i = 0; i < n; i++) {
        rr_bytes view;
        rr_ref ref = rr_put_bytes(data, sizeof data);
        if (rr_get(rr_bytes, ref, &view) != RR_OK || view.size != sizeof data) abort();
        rr_release(ref);
    }
}

static const struct {
    const char *name;
    void (*run)(long n);
} paths[] = {{"put-get", put_get},   {"put-bytes", put_bytes}, {"call-help", call_help},
             {"submit", submit},     {"tree", tree},           {"chain", chain},
             {"wait-one", wait_one}, {"spawn", spawn},         {"ask", ask},
             {"tell", tell},         {"scope", scope}};

int main(int argc, char **argv) {
    rr_config config = {.workers = 1};
    long n = argc == 3 ? atol(argv[2]) : 0;
    if (n < 1 || !(refs = calloc((size_t)n, sizeof *refs))) return 1;
    if (rr_init(&config) != RR_OK) return 1;
    rr_ref holder = rr_call(hold);
    rr_sleep_ms(50);
    counter = rr_spawn(Counter_create);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (!strcmp(paths[i].name, argv[1])) paths[i].run(n);
    if (refs[0].id) take(n);
    __atomic_store_n(&released, 1, __ATOMIC_RELEASE);
    rr_release(holder), rr_release(counter);
    free(refs);
    return rr_shutdown() != RR_OK;
}
