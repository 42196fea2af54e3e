/* Guards the control of tasks: random graphs with deadlines, retries, trees of calls and messages
   with late arguments, cancelled from several threads and from bodies. Each reference ends once,
   with its value or for a reason that there was; nothing is left. Sometimes the runtime ends in the
   middle.
   stress_control [threads] [rounds] [seed] */
#define _GNU_SOURCE
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"
#include "stress.h"

enum { NODES = 250, GATES = 4, MAX_THREADS = 16, CODE = 77 };
typedef enum kind { ADD, SLOW, FLAKY, TREE, GATED, ASK, TELL, ASK_TREE, PARTS, CANCEL, KINDS } kind;

/* A node of the graph: what it needs (earlier nodes of its thread, or a gate), what it gives if it
   is not ended before, and who ended it. */
typedef struct node {
    kind kind;
    int inputs[2], n, gate; /* -1: none */
    int value, failures;
    bool has_limit, has_code; /* it may be late; its body fails for good */
    rr_ref ref;
    atomic_int cancels; /* that were told RR_OK */
    rr_status end;
} node;
typedef struct planter { /* a thread outside, with its nodes */
    node nodes[NODES];
    rr_ref gates[GATES];
    atomic_int made; /* nodes that others may cancel */
    int id;
    uint64_t seed;
    rr_actor actor;
} planter;
static planter planters[MAX_THREADS];
static int planters_count;
static atomic_int ready, bodies, born, dropped;
static atomic_bool ends_early, stops;

static void nap(int us) { nanosleep(&(struct timespec){0, us * 1000}, NULL); }
static void spin(int us) {
    double end = rr_now() + us * 1e-6;
    while (rr_now() < end) {
    }
}

/* Cancels a node of anybody's. */
static void cancel_some(uint64_t *random) {
    planter *p = &planters[test_below(random, planters_count)];
    int made = atomic_load(&p->made);
    if (!made) return;
    int at = test_below(random, 2) ? made - 1 - (int)test_below(random, made < 20 ? made : 20)
                                   : (int)test_below(random, made);
    node *x = &p->nodes[at];
    rr_status status = test_below(random, 4) ? rr_cancel(x->ref) : rr_cancel_alone(x->ref);
    if (status == RR_OK) x->cancels++;
    else if (!ends_early) CHECK(status == RR_ERR_INVALID); /* it is kept: never stale */
}

static void enter(void) { bodies++; }
static int leave(int v) {
    bodies--;
    return v;
}
REMOTE_FN(int, control_add, int, a, int, b) {
    enter();
    return leave((a + b) % 10007);
}
REMOTE_FN(int, control_slow, int, a, int, us) {
    enter();
    if (us % 3 == 0) rr_sleep_ms(us % 4);
    else if (us % 3 == 1) spin(us);
    else nap(us);
    return leave(a);
}
REMOTE_FN(int, control_flaky, int, a, int, failures, int, retries) {
    enter();
    CHECK(rr_attempt() >= 0 && rr_attempt() <= retries);
    if (rr_attempt() < failures) rr_fail(CODE, "attempt %d", rr_attempt());
    return leave(a);
}
REMOTE_FN(int, control_size, rr_bytes, b, int, a) {
    enter();
    return leave((a + (int)b.size) % 10007);
}
REMOTE_FN(int, control_parts, rr_many, parts) {
    int sum = 0;
    enter();
    for (size_t i = 0; i < parts.count; i++) sum += *(const int *)parts.items[i].data;
    return leave(sum % 10007);
}
REMOTE_FN(int, control_cancel, uint64_t, seed, int, a) {
    enter();
    for (int i = 0; i < 3; i++) cancel_some(&seed);
    return leave(a);
}

typedef struct Order {
    int last[MAX_THREADS];
} Order;
REMOTE_ACTOR(Order, create) {
    self->last[0] = 0;
    born++;
}
REMOTE_DESTRUCTOR(Order) { dropped += self->last[0] >= 0; }
/* Messages of one caller come in its order, whatever was cancelled between them. */
REMOTE_METHOD(int, Order, add, int, from, int, number, int, a) {
    enter();
    CHECK(self->last[from] < number);
    self->last[from] = number;
    return leave(a);
}
REMOTE_FN_DECLARE(int, control_tree, rr_actor, actor, int, depth, int, a);
REMOTE_METHOD(int, Order, tree, rr_actor, other, int, depth, int, a) {
    enter();
    (void)self;
    int v = 0;
    rr_ref r = rr_call(control_tree, other, depth, a);
    rr_status status = rr_get(int, r, &v);
    CHECK(status == RR_OK || (status == RR_ERR_CANCELLED && rr_cancelled()));
    return leave(v);
}
/* A child is cancelled with its parent only. Gives a, however deep. */
REMOTE_FN(int, control_tree, rr_actor, actor, int, depth, int, a) {
    enter();
    if (depth == 0) {
        if (a % 16 == 0) rr_sleep_ms(1);
        return leave(a);
    }
    rr_options options = {.max_retries = 2, .timeout_ms = a % 4 ? 0 : 600000};
    rr_ref refs[3] = {rr_call(control_tree, actor, depth - 1, a),
                      rr_call_with(options, control_flaky, a, a % 3, 2),
                      rr_call(control_tree, (rr_actor){0}, depth - 1, a)};
    if (actor.id && a % 5 == 0) refs[2] = rr_ask(actor, Order_tree, (rr_actor){0}, depth - 1, a);
    if (a % 3 == 0) {
        size_t found = rr_wait(refs, 3, 3, -1, NULL);
        CHECK(found == 3 || rr_cancelled());
    }
    for (int i = 0; i < 3; i++) {
        int v = 0;
        rr_status status = rr_get(int, refs[i], &v);
        bool fine = status == RR_OK ? v == a : status == RR_ERR_CANCELLED && rr_cancelled();
        if (!CHECK(fine)) fprintf(stderr, "child %d: %s\n", i, rr_error_message(refs[i]));
        if (a % 7 == 0) CHECK(rr_unwrap(int, refs[i]) == a || rr_cancelled());
    }
    return leave(a);
}

static rr_options options_of(node *x, uint64_t *random) {
    rr_options options = {0};
    if (x->kind == FLAKY) {
        options.max_retries = (int)test_below(random, 4);
        options.retry_delay_ms = (int64_t)test_below(random, 3);
        x->failures = (int)test_below(random, 4);
        x->has_code = x->failures > options.max_retries;
        if (test_below(random, 8) == 0) options.retry_delay_ms = 5;
    }
    if (test_below(random, 4) == 0) {
        x->has_limit = test_below(random, 2);
        options.timeout_ms = x->has_limit ? 1 + (int64_t)test_below(random, 8) : 600000;
    }
    return options;
}

static void submit(planter *p, int at, uint64_t *random) {
    node *x = &p->nodes[at], *in[2] = {NULL, NULL};
    x->kind = (kind)test_below(random, KINDS), x->gate = -1;
    x->cancels = 0;
    x->n = 0, x->has_limit = x->has_code = false;
    if (at < 4 && x->kind != TELL) x->kind = SLOW;
    bool needs = at >= 4 && x->kind != TELL;
    for (; needs && x->n < (x->kind == ADD || x->kind == PARTS ? 2 : 1); x->n++) {
        int span = at < 12 || test_below(random, 4) == 0 ? at : 12;
        x->inputs[x->n] = at - 1 - (int)test_below(random, span);
        in[x->n] = &p->nodes[x->inputs[x->n]];
    }
    x->value = x->n ? in[0]->value : (int)test_below(random, 10007);
    rr_options options = options_of(x, random);
    int us = (int)test_below(random, 100), v = x->value, depth = 1 + (int)test_below(random, 3);
    rr_ref a = x->n ? in[0]->ref : (rr_ref){0};
    switch (x->kind) {
    case ADD:
        x->value = (in[0]->value + in[1]->value) % 10007;
        x->ref = rr_call_with(options, control_add, a, in[1]->ref);
        break;
    case SLOW:
        x->ref = x->n ? rr_call_with(options, control_slow, a, us)
                      : rr_call_with(options, control_slow, v, us);
        break;
    case FLAKY:
        x->ref = rr_call_with(options, control_flaky, a, x->failures, options.max_retries);
        break;
    case TREE:
        x->ref = rr_call_with(options, control_tree, p->actor, depth, a);
        break;
    case GATED:
        x->gate = (int)test_below(random, GATES);
        x->value = (in[0]->value + x->gate + 1) % 10007;
        x->ref = rr_call_with(options, control_size, p->gates[x->gate], a);
        break;
    case PARTS: {
        rr_ref both[2] = {a, in[1]->ref}, all = rr_gather(both, 2);
        x->value = (in[0]->value + in[1]->value) % 10007;
        x->ref = rr_call_with(options, control_parts, all);
        rr_release(all);
        break;
    }
    case CANCEL:
        x->ref = rr_call_with(options, control_cancel, test_random(random), a);
        break;
    case ASK:
        x->has_limit = false;
        x->ref = rr_ask(p->actor, Order_add, p->id, at + 1, a);
        break;
    case ASK_TREE: {
        x->has_limit = false;
        x->ref = rr_ask(p->actor, Order_tree, (rr_actor){0}, depth, a);
        break;
    }
    default: /* a message without a reference; the node is a value instead */
        x->has_limit = false;
        rr_tell(p->actor, Order_add, p->id, at + 1, v);
        x->ref = rr_put(int, v);
    }
    atomic_store(&p->made, at + 1);
}

/* How a node ended has not changed; and was there a reason for it? When all is over, so that
   everybody has told whom it cancelled. */
static void check_node(planter *p, int at) {
    node *x = &p->nodes[at];
    int v = 0;
    rr_status status = x->end, again = rr_get(int, x->ref, &v);
    bool fine = status == again && x->cancels <= 1, passed_on = false;
    for (int i = 0; i < x->n; i++) passed_on = passed_on || p->nodes[x->inputs[i]].end == status;
    if (x->cancels) fine = fine && status == RR_ERR_CANCELLED;
    else if (status == RR_OK) fine = fine && v == x->value && !x->has_code;
    else if (status == RR_ERR_TIMEOUT) fine = fine && (x->has_limit || passed_on);
    else if (status == RR_ERR_TASK)
        fine = fine && (x->has_code || passed_on) && rr_error_code(x->ref) == CODE;
    else fine = fine && status == RR_ERR_CANCELLED && passed_on;
    if (CHECK(fine)) return;
    fprintf(stderr, "node %d, kind %d, %d cancels, limit %d, code %d: %s, %s, %d (%d): %.300s\n",
            at, x->kind, x->cancels, x->has_limit, x->has_code, rr_status_name(status),
            rr_status_name(again), v, x->value, rr_error_message(x->ref));
}

static void plant(void *data) {
    planter *p = data;
    uint64_t random = p->seed;
    void *room = NULL;
    bool keeps_sealed = ends_early && test_below(&random, 3) == 0;
    for (int i = 0; i < GATES; i++) p->gates[i] = rr_create((size_t)i + 1, &room);
    ready++;
    int sealed = 0;
    for (int i = 0; i < NODES; i++) {
        submit(p, i, &random);
        if (test_below(&random, 10) == 0) cancel_some(&random);
        if (test_below(&random, 60) == 0 && sealed < GATES && !keeps_sealed)
            rr_seal(p->gates[sealed++]);
        if (test_below(&random, 50) == 0) nap(200);
        if (test_below(&random, 40) == 0) { /* also while it may be run by this wait */
            int v = 0;
            node *x = &p->nodes[test_below(&random, i + 1)];
            rr_get_timeout(int, x->ref, &v, (int64_t)test_below(&random, 2));
        }
    }
    while (sealed < GATES && !keeps_sealed) rr_seal(p->gates[sealed++]);
    if (ends_early) return; /* and the handles go with the runtime */
    for (int i = 0; i < NODES; i++) {
        int v = 0;
        CHECK(rr_wait(&p->nodes[i].ref, 1, 1, 60000, NULL) == 1);
        p->nodes[i].end = rr_get(int, p->nodes[i].ref, &v);
    }
}
static void cancel_on(void *data) {
    uint64_t random = *(uint64_t *)data;
    ready++;
    while (!stops) {
        cancel_some(&random);
        if (test_below(&random, 3) == 0) nap((int)test_below(&random, 300));
    }
}

static void one_round(uint64_t *random, int threads) {
    fixture f;
    outside others[MAX_THREADS], canceller;
    uint64_t seed = test_random(random);
    int n = planters_count = threads < MAX_THREADS ? threads : MAX_THREADS;
    ends_early = test_below(random, 4) == 0;
    stops = false;
    ready = 0;
    START(&f, .workers = 1 + (int)test_below(random, 4));
    rr_actor actor = rr_spawn(Order_create);
    for (int i = 0; i < n; i++) {
        planter *p = &planters[i];
        p->made = 0;
        p->id = i, p->seed = test_random(random), p->actor = actor;
    }
    for (int i = 0; i < n; i++) outside_start(&others[i], f.runtime, plant, &planters[i]);
    outside_start(&canceller, f.runtime, cancel_on, &seed);
    while (ready < n + 1) nap(50); /* all of them use the runtime */
    if (ends_early) {
        rr_release(actor);
        nap((int)test_below(random, 30000));
        fixture_stop(&f);
        CHECK(bodies == 0 && born == dropped);
    }
    for (int i = 0; i < n; i++) outside_join(&others[i]);
    stops = true;
    outside_join(&canceller);
    CHECK(f.errors == 0);
    if (ends_early) return;
    CHECK(becomes(&bodies, 0)); /* also those that were told to end */
    for (int i = 0; i < n; i++)
        for (int k = 0; k < NODES; k++) check_node(&planters[i], k);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < NODES; k++) rr_release(planters[i].nodes[k].ref);
        for (int k = 0; k < GATES; k++) rr_release(planters[i].gates[k]);
    }
    rr_release(actor);
    rr_stats s;
    CHECK(objects_settle_at(0) && actors_settle_at(0) && bodies == 0 && born == dropped);
    rr_get_stats(&s);
    CHECK(s.tasks_submitted == s.tasks_finished + s.tasks_failed && s.store_bytes_used == 0);
    rr__lock(&f.runtime->timers->lock);
    CHECK(f.runtime->timers->heap.count == /* none of a task's */
          (size_t)(f.runtime->timers->sweep.at != 0) + (f.runtime->timers->look.at != 0));
    CHECK(f.runtime->timers->heap.promised == f.runtime->timers->reserved);
    rr__unlock(&f.runtime->timers->lock);
    fixture_stop(&f);
}

int main(int argc, char **argv) {
    stress s = stress_begin(argc, argv, 3);
    for (uint64_t random; stress_next(&s, &random);) one_round(&random, s.threads);
    return stress_end(&s);
}
