/* Guards priorities and resources: tasks and actors with random needs are called, cancelled, late
   and tried again, from several threads and from bodies. Each body adds what it has to counters of
   its own: never more than there is. Each reference ends once, for a reason that there was; in the
   end everything has been given back. Sometimes the runtime ends in the middle.
   stress_resources [threads] [rounds] [seed] */
#define _GNU_SOURCE
static void stress_point(void);
#define RR__STRESS_POINT() stress_point()
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"
#include "stress.h"

enum { NODES = 120, GATES = 3, ACTORS = 8, MAX_THREADS = 16, CODE = 77, WHOLE = 10000 };
typedef enum kind { WORK, FLAKY, NEST, GATED, BLOCKING, TOO_MUCH, ASK, CANCEL, KINDS } kind;
typedef struct need { /* in ten-thousandths */
    int cpu, gpu, tpu;
} need;

typedef struct node {
    kind kind;
    int input, actor; /* an earlier node; an actor of the planter; -1: none */
    int value;
    bool has_limit, has_code;
    rr_ref ref;
    atomic_int cancels; /* that were told RR_OK */
    rr_status end;
} node;
typedef struct planter { /* a thread outside, with its nodes and actors */
    node nodes[NODES];
    rr_ref gates[GATES];
    rr_actor actors[ACTORS];
    bool killed[ACTORS];
    atomic_int made; /* nodes that others may cancel */
    int spawned;
    uint64_t seed;
} planter;
static planter planters[MAX_THREADS];
static int planters_count;
static atomic_int ready, bodies, born, dropped;
static atomic_bool stops;

/* How this round is. */
static int workers;
static need total, most; /* what there is, and what a task may need of it */
static bool has_actors, ends_early;
static bool has_helpers; /* threads from outside run bodies, beside the workers */
static bool has_waits;   /* bodies wait, and then go on at once, whatever others have by then */
static bool is_tight;    /* hardly any thread beside the workers: what is blocking has those */
static struct { atomic_int cpu, gpu, tpu; } used;

static void nap(int us) { nanosleep(&(struct timespec){0, us * 1000}, NULL); }
static void spin(int us) {
    double end = rr_now() + us * 1e-6;
    while (rr_now() < end) {
    }
}

static void take_cpus(need n) {
    int now = atomic_fetch_add(&used.cpu, n.cpu) + n.cpu;
    if (!has_helpers && !has_waits && !is_tight && !CHECK(now <= total.cpu))
        fprintf(stderr, "%d of %d CPUs in use\n", now, total.cpu);
}
static void give_cpus(need n) { atomic_fetch_sub(&used.cpu, n.cpu); }
static void take(need n) {
    bodies++;
    take_cpus(n);
    int gpu = atomic_fetch_add(&used.gpu, n.gpu) + n.gpu;
    int tpu = atomic_fetch_add(&used.tpu, n.tpu) + n.tpu;
    if (!CHECK(gpu <= total.gpu && tpu <= total.tpu))
        fprintf(stderr, "%d of %d and %d of %d in use\n", gpu, total.gpu, tpu, total.tpu);
}
static int give(need n, int result) {
    give_cpus(n);
    atomic_fetch_sub(&used.gpu, n.gpu), atomic_fetch_sub(&used.tpu, n.tpu);
    bodies--;
    return result;
}

static int some(uint64_t *random, int limit) { return 1 + (int)test_below(random, limit); }
static need any_need(uint64_t *random, bool named) {
    static const int parts[4] = {2500, 5000, 3333, 1};
    need n = {.cpu = WHOLE};
    if (test_below(random, 3) == 0) n.cpu = parts[test_below(random, 4)];
    else if (test_below(random, 3) == 0) n.cpu = some(random, total.cpu);
    if (named && test_below(random, 2)) n.gpu = some(random, most.gpu);
    if (named && test_below(random, 3) == 0) n.tpu = some(random, most.tpu);
    return n;
}
static rr_options options_for(need n, uint64_t *random) {
    rr_options options = {.num_cpus = n.cpu == WHOLE ? 0 : n.cpu / 1e4};
    int count = 0;
    if (n.gpu) options.resources[count++] = (rr_resource){"gpu", n.gpu / 1e4};
    if (n.tpu) options.resources[count++] = (rr_resource){"tpu", n.tpu / 1e4};
    if (test_below(random, 3) == 0) options.priority = (int)test_below(random, 11) - 5;
    if (test_below(random, 5) == 0) options.name = "a name of its own";
    return options;
}

/* Cancels a node of anybody's. */
static void cancel_some(uint64_t *random) {
    planter *p = &planters[test_below(random, planters_count)];
    int made = atomic_load(&p->made);
    if (!made) return;
    int span = test_below(random, 2) && made > 20 ? 20 : made;
    node *x = &p->nodes[made - 1 - (int)test_below(random, span)];
    rr_status status = rr_cancel(x->ref);
    if (status == RR_OK) x->cancels++;
    else if (!ends_early) CHECK(status == RR_ERR_INVALID); /* it is kept: never stale */
}

REMOTE_FN(int, resources_work, need, n, int, us, int, a) {
    take(n);
    if (us % 9 == 0 && has_waits) rr_sleep_ms(us % 2); /* others have its CPUs meanwhile */
    else if (us % 3 == 1) spin(us);
    else nap(us);
    return give(n, a);
}
REMOTE_FN(int, resources_flaky, need, n, int, failures, int, a) {
    take(n);
    if (rr_attempt() < failures) rr_fail(CODE, "attempt %d", rr_attempt());
    return give(n, a);
}
REMOTE_FN(int, resources_size, need, n, rr_bytes, b, int, a) {
    take(n);
    return give(n, (a + (int)b.size) % 10007);
}
REMOTE_FN(int, resources_cancel, need, n, uint64_t, seed, int, a) {
    take(n);
    for (int i = 0; i < 3; i++) cancel_some(&seed);
    return give(n, a);
}

static void block(need n, int us) {
    give_cpus(n);
    rr_block_begin();
    nap(us);
    rr_block_end();
    take_cpus(n);
}
/* Calls others and waits for them. The last of them need named resources only if none above them
   has any, or they would wait for each other. Gives a. */
REMOTE_FN(int, resources_nest, need, n, int, depth, bool, named, uint64_t, seed, int, a) {
    take(n);
    rr_ref refs[2];
    int v[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        need child = any_need(&seed, named && depth == 0);
        rr_options options = options_for(child, &seed);
        uint64_t next = test_random(&seed);
        refs[i] = depth ? rr_call_with(options, resources_nest, child, depth - 1, named, next, a)
                        : rr_call_with(options, resources_work, child, (int)(next % 100), a);
    }
    if (seed % 4 == 0) block(n, (int)(seed % 100));
    give_cpus(n);
    if (seed % 3 == 0) rr_wait(refs, 2, 1 + seed % 2, seed % 5 ? -1 : 1, NULL);
    rr_status first = rr_get(int, refs[0], &v[0]), second = rr_get(int, refs[1], &v[1]);
    bool fine = first == RR_OK && second == RR_OK && v[0] == a && v[1] == a;
    if (!CHECK(fine || rr_cancelled()))
        fprintf(stderr, "children: %s and %s\n", rr_error_message(refs[0]),
                rr_error_message(refs[1]));
    take_cpus(n);
    return give(n, a);
}

/* An actor with resources for life. */
typedef struct Device {
    need has;
} Device;
REMOTE_ACTOR(Device, create, need, n, int, us) {
    self->has = n, self->has.cpu = 0; /* while it creates itself it has them for a task */
    take(self->has);
    bodies--;
    born++;
    nap(us);
    if (us % 16 != 0) return;
    bodies++;
    born--;
    give(self->has, 0);
    rr_fail(CODE, "no device");
}
REMOTE_DESTRUCTOR(Device) {
    bodies++;
    dropped++;
    give(self->has, 0);
}
REMOTE_METHOD(int, Device, work, int, us, int, a) {
    (void)self;
    bodies++;
    nap(us);
    bodies--;
    return a;
}

static rr_actor next_actor(planter *p, uint64_t *random) {
    int us = some(random, 100), old = p->spawned - 1, share = 2 * planters_count;
    if (old >= 0 && test_below(random, 2)) p->killed[old] |= rr_kill(p->actors[old]) == RR_OK;
    if (old >= 0) rr_release(p->actors[old]);
    need n = {0, some(random, total.gpu / share), some(random, total.tpu / share)};
    rr_actor_options options = {.resources = {{"gpu", n.gpu / 1e4}, {"tpu", n.tpu / 1e4}}};
    if (test_below(random, 2)) options.resources[1] = (rr_resource){0}, n.tpu = 0;
    if (us % 16 == 0) p->killed[p->spawned] = true; /* is not born at all */
    return p->actors[p->spawned++] = rr_spawn_with(options, Device_create, n, us);
}

static void submit_to_actor(planter *p, node *x, rr_ref a, uint64_t *random) {
    if (p->spawned == 0 || (p->spawned < ACTORS && test_below(random, 4) == 0))
        next_actor(p, random);
    x->actor = p->spawned - 1;
    x->ref = a.id ? rr_ask(p->actors[x->actor], Device_work, some(random, 50), a)
                  : rr_ask(p->actors[x->actor], Device_work, some(random, 50), x->value);
}

static rr_options options_of(node *x, need n, int *failures, uint64_t *random) {
    rr_options options = options_for(n, random);
    *failures = (int)test_below(random, 4);
    if (x->kind == FLAKY) {
        options.max_retries = (int)test_below(random, 5) - 1;
        options.retry_delay_ms = (int64_t)test_below(random, 3);
        x->has_code = options.max_retries >= 0 && *failures > options.max_retries;
    }
    if (x->kind == BLOCKING) options.blocking = true, options.num_cpus = 0;
    if (test_below(random, 4) == 0) {
        x->has_limit = test_below(random, 2);
        options.timeout_ms = x->has_limit ? 1 + (int64_t)test_below(random, 8) : 600000;
    }
    return options;
}

/* The value goes as a reference to an earlier node, or as itself. */
#define CALL(options, f, ...)                                                                      \
    (a.id ? rr_call_with(options, f, __VA_ARGS__, a) : rr_call_with(options, f, __VA_ARGS__, v))
static void submit(planter *p, int at, uint64_t *random) {
    node *x = &p->nodes[at];
    bool has_input = at > 0 && test_below(random, 3) == 0;
    *x = (node){.kind = (kind)test_below(random, KINDS), .input = -1, .actor = -1};
    if ((x->kind == ASK && !has_actors) || (x->kind == NEST && !has_waits)) x->kind = WORK;
    if (has_input) x->input = at - 1 - (int)test_below(random, at < 20 ? at : 20);
    rr_ref a = has_input ? p->nodes[x->input].ref : (rr_ref){0};
    int v = x->value = has_input ? p->nodes[x->input].value : (int)test_below(random, 10007);
    int failures, us = (int)test_below(random, 100), gate = (int)test_below(random, GATES);
    need n = any_need(random, true);
    if (x->kind == BLOCKING) n.cpu = 0;
    if (x->kind == TOO_MUCH) n.gpu = total.gpu + some(random, 3 * WHOLE);
    rr_options options = options_of(x, n, &failures, random);
    switch (x->kind) {
    case FLAKY:
        x->ref = CALL(options, resources_flaky, n, failures);
        break;
    case NEST:
        x->ref = CALL(options, resources_nest, n, us % 3, !n.gpu && !n.tpu, test_random(random));
        break;
    case GATED:
        x->value = (v + gate + 1) % 10007;
        x->ref = CALL(options, resources_size, n, p->gates[gate]);
        break;
    case ASK:
        x->has_limit = false;
        submit_to_actor(p, x, a, random);
        break;
    case CANCEL:
        x->ref = CALL(options, resources_cancel, n, test_random(random));
        break;
    default:
        x->ref = CALL(options, resources_work, n, us);
    }
    atomic_store(&p->made, at + 1);
}

/* Was there a reason for how a node has ended? When all is over, so that everybody has told whom it
   cancelled. */
static void check_node(planter *p, int at) {
    node *x = &p->nodes[at];
    int v = 0;
    rr_status status = x->end, again = rr_get(int, x->ref, &v);
    bool passed_on = x->input >= 0 && p->nodes[x->input].end == status;
    bool fine = status == again && x->cancels <= 1;
    if (x->cancels) fine = fine && status == RR_ERR_CANCELLED;
    else if (status == RR_OK) fine = fine && v == x->value && !x->has_code && x->kind != TOO_MUCH;
    else if (status == RR_ERR_TIMEOUT) fine = fine && (x->has_limit || passed_on);
    else if (status == RR_ERR_TASK) fine = fine && (x->has_code || passed_on);
    else if (status == RR_ERR_UNSCHEDULABLE) fine = fine && (x->kind == TOO_MUCH || passed_on);
    else if (status == RR_ERR_ACTOR_DEAD)
        fine = fine && (passed_on || (x->kind == ASK && p->killed[x->actor]));
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
        if (test_below(&random, 40) == 0) nap(300);
        node *x = &p->nodes[test_below(&random, i + 1)];
        if (has_helpers && sealed == GATES && test_below(&random, 40) == 0) rr_get_void(x->ref);
    }
    while (sealed < GATES && !keeps_sealed) rr_seal(p->gates[sealed++]);
    if (ends_early) return; /* and the handles go with the runtime */
    for (int i = 0; i < NODES; i++) {
        CHECK(rr_wait(&p->nodes[i].ref, 1, 1, 60000, NULL) == 1);
        p->nodes[i].end = rr_get_void(p->nodes[i].ref);
    }
}
static void cancel_on(void *data) {
    uint64_t random = *(uint64_t *)data;
    ready++;
    while (!stops) {
        cancel_some(&random);
        nap((int)test_below(&random, 600));
    }
}

static rr_config this_round(uint64_t *random) {
    static const char *const names[2] = {"gpu", "tpu"};
    workers = some(random, 4);
    ends_early = test_below(random, 4) == 0;
    has_actors = test_below(random, 2);
    has_waits = test_below(random, 2);
    is_tight = !has_waits && test_below(random, 3) == 0;
    rr_config config = {.workers = workers};
    if (is_tight) config.max_threads = workers + (int)test_below(random, 3);
    if (test_below(random, 4) == 0) config.max_pending = some(random, 40);
    has_helpers = config.max_pending || test_below(random, 3) == 0;
    total =
        (need){workers * WHOLE, WHOLE / 2 + some(random, 3 * WHOLE), 1000 + some(random, WHOLE)};
    most = (need){total.cpu, total.gpu / (1 + has_actors), total.tpu / (1 + has_actors)};
    config.resources[0] = (rr_resource){names[0], total.gpu / 1e4};
    config.resources[1] = (rr_resource){names[1], total.tpu / 1e4};
    return config;
}

static bool is_all_back(const char *name) {
    double there = 0, free = -1;
    for (int i = 0; i < 10000 && there != free; i++) {
        if (i) rr_sleep_ms(1);
        if (rr_resources(name, &there, &free) != RR_OK) return false;
    }
    if (there != free) fprintf(stderr, "%s: %.9g of %.9g are back\n", name, free, there);
    return there == free;
}

/* All have ended: nothing may be left. */
static void check_rest(fixture *f) {
    CHECK(becomes(&bodies, 0)); /* also those that were told to end */
    for (int i = 0; i < planters_count; i++)
        for (int k = 0; k < NODES; k++) check_node(&planters[i], k);
    for (int i = 0; i < planters_count; i++) {
        planter *p = &planters[i];
        for (int k = 0; k < NODES; k++) rr_release(p->nodes[k].ref);
        for (int k = 0; k < GATES; k++) rr_release(p->gates[k]);
        if (p->spawned) rr_release(p->actors[p->spawned - 1]);
    }
    rr_stats s;
    CHECK(objects_settle_at(0) && actors_settle_at(0) && born == dropped && bodies == 0);
    CHECK(used.cpu == 0 && used.gpu == 0 && used.tpu == 0);
    CHECK(is_all_back("gpu") && is_all_back("tpu") && is_all_back("cpu"));
    rr_get_stats(&s);
    CHECK(s.tasks_submitted == s.tasks_finished + s.tasks_failed && s.store_bytes_used == 0);
    CHECK(f->errors == 0);
}

static void one_round(uint64_t *random, int threads) {
    fixture f;
    outside others[MAX_THREADS], canceller;
    uint64_t seed = test_random(random);
    int n = planters_count = threads < MAX_THREADS ? threads : MAX_THREADS;
    rr_config config = this_round(random);
    stops = false;
    ready = 0;
    fixture_start(&f, config);
    for (int i = 0; i < n; i++) {
        planter *p = &planters[i];
        p->made = 0;
        p->spawned = 0, p->seed = test_random(random);
        memset(p->killed, 0, sizeof p->killed);
    }
    for (int i = 0; i < n; i++) outside_start(&others[i], f.runtime, plant, &planters[i]);
    outside_start(&canceller, f.runtime, cancel_on, &seed);
    while (ready < n + 1) nap(50); /* all of them use the runtime */
    if (ends_early) {
        nap((int)test_below(random, 30000));
        fixture_stop(&f);
        CHECK(bodies == 0 && born == dropped);
        CHECK(used.cpu == 0 && used.gpu == 0 && used.tpu == 0);
    }
    for (int i = 0; i < n; i++) outside_join(&others[i]);
    stops = true;
    outside_join(&canceller);
    if (ends_early) return;
    check_rest(&f);
    fixture_stop(&f);
}

int main(int argc, char **argv) {
    stress s = stress_begin(argc, argv, 3);
    for (uint64_t random; stress_next(&s, &random);) one_round(&random, s.threads);
    return stress_end(&s);
}
