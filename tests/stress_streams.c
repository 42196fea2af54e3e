/* Guards streams and members of results: random producers, with every option, that several threads
   and tasks read, poll, let go and cancel. Each object is read once, and in order by each reader;
   each end comes for a reason that there was, the same for all; nothing is left. Sometimes the
   runtime ends in the middle.
   stress_streams [threads] [rounds] [seed] */
#define _GNU_SOURCE
#include <time.h>
#include <unistd.h>
static inline void stress_point(void);
#define RR__STRESS_POINT() stress_point()
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include <limits.h>
#include "test.h"
#include "fixture.h"
#include "stress.h"

enum { FLOWS = 12, LENGTH = 60, STEPS = 120, TASKS = 20, MAX_THREADS = 16, CODE = 77 };
typedef enum kind { PLAIN, SLOW, FAILS, FLAKY, BLOCKS, REFS, STAGES, GATED, ENDLESS, KINDS } kind;

/* A stream, and what became of it. */
typedef struct flow {
    kind kind;
    int n, failures, retries;
    uint64_t seed;
    bool has_limit; /* it may be late */
    rr_stream stream;
    rr_ref gate;
    atomic_bool released;
    atomic_int end; /* the status that was told; -1: none yet */
    atomic_uchar seen[LENGTH];
} flow;
typedef struct user { /* a thread outside, with its streams */
    flow flows[FLOWS];
    atomic_int made;               /* those that others may read */
    int last[MAX_THREADS * FLOWS]; /* what it read last of each stream of anybody's */
    rr_ref tasks[TASKS];           /* its readers */
    int id, tasks_made;
    uint64_t seed;
} user;
static user users[MAX_THREADS];
static int users_count;
static atomic_int ready, bodies, readers; /* bodies, and those of them that read */
static atomic_bool ends_early;

static void nap(int us) { nanosleep(&(struct timespec){0, us * 1000}, NULL); }
static void dawdle(uint64_t *random) {
    uint64_t dice = test_below(random, 40);
    if (dice == 0) nap((int)test_below(random, 300));
    else if (dice == 1) rr_sleep_ms(1);
}

/* ---- producers ---- */

/* So many numbers does an attempt that fails yield. */
static int reach(uint64_t seed, int attempt, int n) {
    uint64_t random = seed + (uint64_t)attempt;
    return (int)test_below(&random, n + 1);
}
static bool goes_on(rr_status status) {
    CHECK(status == RR_OK || (status == RR_ERR_CANCELLED && rr_cancelled()));
    return status == RR_OK;
}
REMOTE_STREAM(int, streams_numbers, int, kind, uint64_t, seed, int, n, int, failures) {
    uint64_t random = seed;
    bodies++;
    bool fails = kind == FAILS || rr_attempt() < failures;
    if (rr_attempt() < failures) n = reach(seed, rr_attempt(), n);
    for (int i = 0; i < n && goes_on(rr_yield(int, i)); i++)
        if (kind == SLOW || kind == ENDLESS) dawdle(&random);
    if (fails) rr_fail(CODE, "attempt %d", rr_attempt());
    bodies--;
}
REMOTE_STREAM(int, streams_gated, rr_bytes, gate, int, n) {
    bodies++;
    for (int i = 0; i < n && goes_on(rr_yield(int, i + (int)gate.size - 1)); i++) {
    }
    bodies--;
}
REMOTE_STREAM(rr_bytes, streams_blocks, uint64_t, seed, int, n) {
    char block[20000];
    bodies++;
    for (int i = 0; i < n; i++) {
        size_t size = 4 + test_below(&seed, i % 4 ? 60 : sizeof block - 4);
        memset(block, i, size);
        memcpy(block, &i, sizeof i);
        if (!goes_on(rr_yield(rr_bytes, rr_bytes_of(block, size)))) break;
    }
    bodies--;
}
REMOTE_FN(int, streams_same, int, v) { return v; }
REMOTE_STREAM(rr_ref, streams_refs, int, n) {
    bodies++;
    for (int i = 0; i < n; i++) {
        rr_ref r = i % 3 ? rr_put(int, i) : rr_call(streams_same, i);
        if (i % 3 == 0) rr_get_void(r); /* a reader that is cancelled could not wait for it */
        rr_status status = rr_yield(rr_ref, r);
        if (i % 2) rr_release(r);
        if (!goes_on(status)) break;
    }
    bodies--;
}
/* Reads another stream, and passes on what it gets. */
REMOTE_STREAM(int, streams_stages, int, depth, uint64_t, seed, int, n) {
    bodies++;
    uint64_t random = seed;
    rr_options options = {.max_unread = (int)test_below(&random, 3)};
    rr_stream before = depth ? rr_call_stream_with(options, streams_stages, depth - 1, seed + 1, n)
                             : rr_call_stream_with(options, streams_numbers, PLAIN, seed, n, 0);
    rr_status status, read = RR_OK;
    rr_ref r;
    for (int v = 0; (status = rr_next(before, &r)) == RR_OK; rr_release(r)) {
        read = rr_get(int, r, &v);
        CHECK(read == RR_OK);
        dawdle(&random);
        if (!goes_on(rr_yield(int, v))) break;
    }
    /* Or the runtime has ended what it reads, which waited, before its own reader let it go on. */
    CHECK(status == RR_OK || status == RR_ERR_END || rr_cancelled() || ends_early);
    bodies--;
}

static rr_options options_of(flow *x, uint64_t *random) {
    static const int limits[5] = {0, 1, 2, 5, 40};
    rr_options options = {.max_unread = limits[test_below(random, 5)]};
    if (test_below(random, 4) == 0) options.max_unread_bytes = 1 + test_below(random, 100);
    options.blocking = test_below(random, 6) == 0;
    if (x->kind == ENDLESS && !options.max_unread) options.max_unread = 3;
    if (x->kind == FLAKY) {
        x->retries = options.max_retries = (int)test_below(random, 4);
        options.retry_delay_ms = (int64_t)test_below(random, 3);
        x->failures = (int)test_below(random, 5);
    }
    if (test_below(random, 5) == 0) {
        x->has_limit = test_below(random, 2);
        options.timeout_ms = x->has_limit ? 1 + (int64_t)test_below(random, 8) : 600000;
    }
    return options;
}
static void make(flow *x, uint64_t *random) {
    memset(x, 0, sizeof *x);
    x->kind = (kind)test_below(random, KINDS), x->seed = test_random(random), x->end = -1;
    x->n = x->kind == ENDLESS ? INT_MAX : (int)test_below(random, LENGTH + 1);
    rr_options options = options_of(x, random);
    int depth = (int)test_below(random, 4);
    void *room = NULL;
    if (x->kind == GATED) x->gate = rr_create(1, &room);
    x->stream = x->kind == BLOCKS ? rr_call_stream_with(options, streams_blocks, x->seed, x->n)
                : x->kind == REFS ? rr_call_stream_with(options, streams_refs, x->n)
                : x->kind == STAGES
                    ? rr_call_stream_with(options, streams_stages, depth, x->seed, x->n)
                : x->kind == GATED ? rr_call_stream_with(options, streams_gated, x->gate, x->n)
                                   : rr_call_stream_with(options, streams_numbers, (int)x->kind,
                                                         x->seed, x->n, x->failures);
}
static void let_go(flow *x) {
    if (x->released) return;
    x->released = true;
    rr_release(x->stream);
}

/* ---- readers ---- */

static int number_of(flow *x, rr_ref r) {
    int v = -1;
    rr_bytes view = {0};
    rr_ref inner = {0};
    if (x->kind == BLOCKS) {
        if (rr_get(rr_bytes, r, &view) == RR_OK && CHECK(view.size >= sizeof v))
            memcpy(&v, view.data, sizeof v);
        for (size_t i = sizeof v; i < view.size; i++)
            if (!CHECK(((const char *)view.data)[i] == (char)v)) break;
    } else if (x->kind == REFS) {
        if (rr_get(rr_ref, r, &inner) == RR_OK) rr_get(int, inner, &v);
        rr_release(inner);
    } else rr_get(int, r, &v);
    return v;
}
static void note_object(flow *x, rr_ref r, int *last) {
    int v = number_of(x, r);
    if (ends_early) return;
    CHECK(v > *last && v < x->n);
    *last = v;
    if (v >= 0 && v < LENGTH) CHECK(x->seen[v]++ == 0);
}
static void note_end(flow *x, rr_status status) {
    int none = -1;
    if (ends_early) return;
    bool fine = status == RR_ERR_STALE       ? x->released
                : status == RR_ERR_CANCELLED ? x->released || rr_cancelled()
                : atomic_compare_exchange_strong(&x->end, &none, (int)status) ? true
                                                                              : none == (int)status;
    if (!CHECK(fine))
        fprintf(stderr, "kind %d: %s after %d: %s\n", (int)x->kind, rr_status_name(status), none,
                rr_error_message((rr_ref){0}));
}
/* ms: -1 waits. */
static rr_status read_one(flow *x, int64_t ms, int *last) {
    rr_ref r;
    rr_status status = ms < 0 ? rr_next(x->stream, &r) : rr_next_timeout(x->stream, ms, &r);
    if (status == RR_OK) note_object(x, r, last), rr_release(r);
    else if (ms < 0 || status != RR_ERR_TIMEOUT) note_end(x, status);
    return status;
}
static int64_t limit_of(flow *x, uint64_t *random) {
    int64_t ms = (int64_t)test_below(random, 5) - 2;
    return x->kind == GATED && ms < 0 ? 0 : ms; /* who waits for ever may be who opens the gate */
}
REMOTE_FN(int, streams_read, int, who, int, which, int, n, uint64_t, seed) {
    flow *x = &users[who].flows[which];
    int last = -1;
    bodies++;
    readers++;
    for (int i = 0; i < n && !rr_cancelled(); i++) {
        rr_status status = read_one(x, limit_of(x, &seed), &last);
        if (status != RR_OK && status != RR_ERR_TIMEOUT) break;
    }
    readers--;
    bodies--;
    return n;
}

/* ---- members of results ---- */

typedef struct pair {
    int number;
    char bytes[100];
    double half;
} pair;
REMOTE_FN(pair, streams_pair, int, v, int, us) {
    pair x = {.number = v, .half = v * 0.5};
    bodies++;
    memset(x.bytes, v, sizeof x.bytes);
    if (us) nap(us);
    if (v % 8 == 7) rr_fail(CODE, "not this one");
    bodies--;
    return x;
}
REMOTE_FN(double, streams_sum, int, a, double, b) { return a + b; }
/* Two members of one, cancelled perhaps, and their sum. */
static void use_fields(uint64_t *random) {
    int v = (int)test_below(random, 100), us = (int)test_below(random, 3) * 30;
    bool cancels = test_below(random, 4) == 0;
    double sum = -1;
    rr_scope scope = rr_scope_begin();
    rr_ref r = rr_call(streams_pair, v, us), number = rr_field(int, r, pair, number);
    if (test_below(random, 2)) dawdle(random);
    rr_ref half = rr_field(double, r, pair, half), both = rr_call(streams_sum, number, half);
    cancels = cancels && rr_cancel(r) == RR_OK;
    if (test_below(random, 2)) rr_release(r);
    rr_status status = rr_get(double, both, &sum);
    rr_status wanted = cancels ? RR_ERR_CANCELLED : v % 8 == 7 ? RR_ERR_TASK : RR_OK;
    if (!ends_early && !CHECK(status == wanted && (status != RR_OK || sum == v * 1.5)))
        fprintf(stderr, "%d: %s, %g\n", v, rr_status_name(status), sum);
    rr_scope_end(scope);
}

/* ---- threads ---- */

static void one_step(user *u, uint64_t *random) {
    int who = (int)test_below(random, users_count), made = users[who].made;
    int which = made ? (int)test_below(random, made) : 0;
    flow *x = &users[who].flows[which];
    uint64_t dice = test_below(random, 40);
    if (!made) return;
    if (dice < 2 && u->tasks_made < TASKS)
        u->tasks[u->tasks_made++] =
            rr_call(streams_read, who, which, (int)test_below(random, 50), test_random(random));
    else if (dice < 4 && u->tasks_made) rr_cancel(u->tasks[test_below(random, u->tasks_made)]);
    else if (dice == 4 && who == u->id) let_go(x);
    else if (dice == 5 && x->kind == GATED && who == u->id) rr_seal(x->gate);
    else if (dice == 6) use_fields(random);
    else if (dice == 7) dawdle(random);
    else read_one(x, limit_of(x, random), &u->last[who * FLOWS + which]);
}
/* Reads what is its own to the end, or lets go of it. */
static void finish(user *u, uint64_t *random) {
    for (int i = 0; i < FLOWS; i++)
        if (u->flows[i].kind == GATED) rr_seal(u->flows[i].gate);
    for (int i = 0; i < FLOWS; i++) {
        flow *x = &u->flows[i];
        rr_status status = RR_OK;
        if (x->released) continue;
        if (x->kind != ENDLESS && test_below(random, 5))
            while (status == RR_OK) status = read_one(x, -1, &u->last[u->id * FLOWS + i]);
        else let_go(x);
    }
    for (int i = 0; i < u->tasks_made; i++) {
        CHECK(rr_wait(&u->tasks[i], 1, 1, 60000, NULL) == 1 || ends_early);
        rr_status status = rr_get_void(u->tasks[i]);
        CHECK(status == RR_OK || status == RR_ERR_CANCELLED || ends_early);
        rr_release(u->tasks[i]);
    }
}
static void run_user(void *data) {
    user *u = data;
    uint64_t random = u->seed;
    rr_release(rr_put(int, 1)); /* it uses the runtime from now on */
    ready++;
    for (int i = 0; i < STEPS; i++) {
        if (u->made < FLOWS && (u->made == 0 || test_below(&random, 4) == 0)) {
            make(&u->flows[u->made], &random);
            u->made++;
        }
        one_step(u, &random);
    }
    while (u->made < FLOWS) make(&u->flows[u->made], &random), u->made++;
    if (!ends_early) finish(u, &random);
}

/* What was read is all from the first on, and as much as its end tells. */
static void check_flow(flow *x) {
    int count = 0, wanted = x->n;
    while (count < LENGTH && x->seen[count]) count++;
    for (int i = count; i < LENGTH; i++) CHECK(x->seen[i] == 0);
    bool gives_up = x->kind == FAILS || x->failures > x->retries;
    if (x->kind == FLAKY && gives_up) {
        wanted = 0;
        for (int i = 0; i <= x->retries; i++)
            if (reach(x->seed, i, x->n) > wanted) wanted = reach(x->seed, i, x->n);
    }
    bool fine = x->end == RR_ERR_END    ? !gives_up && x->kind != ENDLESS && count == wanted
                : x->end == RR_ERR_TASK ? gives_up && count == wanted
                : x->end == -1          ? x->released
                                        : x->end == RR_ERR_LATE && x->has_limit;
    if (!CHECK(fine))
        fprintf(stderr, "kind %d: end %d, %d of %d objects, released %d, limit %d\n", (int)x->kind,
                x->end, count, wanted, x->released, x->has_limit);
}

static void one_round(uint64_t *random, int threads) {
    fixture f;
    outside others[MAX_THREADS];
    int n = users_count = threads < MAX_THREADS ? threads : MAX_THREADS;
    ends_early = test_below(random, 5) == 0;
    ready = 0;
    START(&f, .workers = 1 + (int)test_below(random, 4));
    for (int i = 0; i < n; i++) {
        users[i].made = 0;
        users[i].tasks_made = 0;
        users[i].id = i, users[i].seed = test_random(random);
        memset(users[i].last, -1, sizeof users[i].last);
    }
    for (int i = 0; i < n; i++) outside_start(&others[i], f.runtime, run_user, &users[i]);
    while (ready < n) nap(50);
    if (ends_early) {
        nap((int)test_below(random, 30000));
        fixture_stop(&f);
        CHECK(bodies == 0);
    }
    for (int i = 0; i < n; i++) outside_join(&others[i]);
    CHECK(f.errors == 0);
    if (ends_early) return;
    /* One that was cancelled may have an object that it has not noted. */
    CHECK(becomes(&readers, 0));
    for (int i = 0; i < n; i++)
        for (int k = 0; k < FLOWS; k++) check_flow(&users[i].flows[k]);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < FLOWS; k++) {
            flow *x = &users[i].flows[k];
            let_go(x);
            if (x->kind == GATED) rr_release(x->gate);
        }
    rr_stats s;
    CHECK(objects_settle_at(0) && becomes(&bodies, 0));
    rr_get_stats(&s);
    CHECK(s.tasks_submitted == s.tasks_finished + s.tasks_failed && s.store_bytes_used == 0);
    fixture_stop(&f);
}

int main(int argc, char **argv) {
    stress s = stress_begin(argc, argv, 3);
    for (uint64_t random; stress_next(&s, &random);) one_round(&random, s.threads);
    return stress_end(&s);
}
