/* Guards the whole at the smallest settings: random programs over the API (tasks with all options,
   actors of each kind, streams, gathers, gates, waits of every sort) for 1 to 3 workers and as many
   max_threads as those up to 8. Whatever waits, waits for something of a lower level, so that no
   program waits for itself: each ends, with the right value, and nobody is told of a deadlock; but
   for the rings that some of them get beside that, of which somebody must be told. In others the
   store is small, tasks are cancelled and actors killed: then values may fail, for that reason.
   stress_programs [threads] [rounds] [seed] */
#define _GNU_SOURCE
static void stress_point(void);
#define RR__STRESS_POINT() stress_point()
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"
#include "stress.h"

enum { LEVELS = 4, WIDTH = 4, MOST = 3 * WIDTH, RING = 4, CODE = 1000 };

/* What a program runs in. Its address is what bodies get. */
typedef enum flavour { ORDERLY, RINGS, SMALL_STORE, ROUGH, FLAVOURS } flavour;
enum { FIFO, NARROW, CREW, SORTS };
typedef struct world {
    flavour flavour;
    int workers;
    rr_actor actors[LEVELS][SORTS];
    rr_ref ring[RING];
    rr_actor ring_actor;
    atomic_int here, told;
} world;
#define AT(w) ((uint64_t)(uintptr_t)(w))
static world *world_at(uint64_t at) { return (world *)(uintptr_t)at; }
static const char *const resources[LEVELS] = {"r0", "r1", "r2", "r3"};

/* ---- failures ---- */

/* Why it failed, at the bottom. */
static rr_status cause(rr_ref ref, rr_status status) {
    return status == RR_ERR_TASK ? (rr_status)(rr_error_code(ref) - CODE) : status;
}
static bool may_be(const world *w, rr_status status) {
    bool is_any = status == RR_OK || status == RR_ERR_TASK; /* rr_next does not tell the code */
    if (w->flavour == SMALL_STORE) return is_any || status == RR_ERR_STORE_FULL;
    if (w->flavour != ROUGH) return status == RR_OK;
    /* A cancelled body may go on when those who called it have let go of the actors. */
    return is_any || status == RR_ERR_CANCELLED || status == RR_ERR_ACTOR_DEAD ||
           status == RR_ERR_STALE;
}
/* Without the message, which goes with an object that may be nobody's any more. */
static void fail_as(rr_status status) { rr_fail(CODE + (int)status, "%s", rr_status_name(status)); }

/* ---- what a body does ---- */

typedef enum kind {
    LEAF,
    TASK,
    NEEDS,
    CPUS,
    BLOCKS,
    PRIORITY,
    RETRIES,
    LIMITED,
    SENT,
    READS,
    JOINED,
    BYTES,
    GATHERED,
    GATE,
    NAPS,
    PUT,
    KINDS
} kind;
typedef struct child {
    kind kind;
    uint64_t seed;
} child;

static size_t plan(uint64_t seed, int level, child *children) {
    uint64_t random = seed;
    size_t n = level ? 1 + test_below(&random, WIDTH) : 0;
    for (size_t i = 0; i < n; i++) {
        children[i].kind = (kind)test_below(&random, KINDS);
        children[i].seed = test_random(&random) >> 8;
    }
    return n;
}
static long own(uint64_t seed) { return (long)(seed % 1000); }
static long value_of(uint64_t seed, int level) {
    child children[WIDTH];
    size_t n = plan(seed, level, children);
    long sum = own(seed);
    for (size_t i = 0; i < n; i++) {
        kind k = children[i].kind;
        bool is_flat =
            k == LEAF || k == BYTES || k == GATHERED || k == GATE || k == NAPS || k == PUT;
        sum += is_flat ? own(children[i].seed) : value_of(children[i].seed, level - 1);
    }
    return sum;
}

static long run_node(world *w, uint64_t seed, int level);
REMOTE_FN(long, programs_leaf, uint64_t, seed) { return own(seed); }
REMOTE_FN(long, programs_node, uint64_t, seed, int, level, uint64_t, at) {
    return run_node(world_at(at), seed, level);
}
REMOTE_FN(long, programs_blocks, uint64_t, seed, int, level, uint64_t, at) {
    rr_block_begin();
    if (seed % 2) usleep(seed % 200);
    if (seed % 3) rr_block_end();
    return run_node(world_at(at), seed, level);
}
REMOTE_FN(long, programs_tries, uint64_t, seed, int, level, uint64_t, at) {
    if (rr_attempt() < (int)(seed % 3)) rr_fail(7, "once more");
    return run_node(world_at(at), seed, level);
}
REMOTE_FN(long, programs_add, long, a, long, b) { return a + b; }
REMOTE_FN(long, programs_naps, uint64_t, seed) { return rr_sleep_ms(seed % 3), own(seed); }

static size_t size_of(uint64_t seed) { return 1 + seed % 3000; }
REMOTE_FN(rr_bytes, programs_bytes, uint64_t, seed) {
    void *p = rr_result(size_of(seed));
    if (p) fill_words(p, seed, size_of(seed));
    return rr_bytes_of(p, p ? size_of(seed) : 0);
}
static bool is_filled(rr_bytes b, uint64_t seed) {
    char right[3008];
    fill_words(right, seed, size_of(seed));
    return b.size == size_of(seed) && memcmp(b.data, right, b.size / 8 * 8) == 0;
}
REMOTE_FN(long, programs_look, rr_bytes, b, uint64_t, seed) {
    return is_filled(b, seed) ? own(seed) : -1;
}
REMOTE_FN(long, programs_look_at_all, rr_many, many, uint64_t, seed) {
    bool right = many.count == 3;
    for (size_t i = 0; right && i < 3; i++) right = is_filled(many.items[i], seed + i);
    return right ? own(seed) : -1;
}
REMOTE_FN(long, programs_at_gate, rr_ref, gate, uint64_t, seed, bool, polls) {
    rr_bytes view = {0};
    rr_status status = RR_ERR_TIMEOUT;
    while (polls && status == RR_ERR_TIMEOUT) status = rr_get_timeout(rr_bytes, gate, &view, 1);
    if (!polls) status = rr_get(rr_bytes, gate, &view);
    if (status != RR_OK) return fail_as(cause(gate, status)), -1;
    return view.size == 1 ? own(seed) : -1;
}
REMOTE_FN(int, programs_opens, rr_ref, gate) { return rr_seal(gate) == RR_OK; }

/* The parts of the value one by one. */
REMOTE_STREAM(long, programs_items, uint64_t, seed, int, level, uint64_t, at) {
    long whole = run_node(world_at(at), seed, level);
    for (int i = 0; i < 5 && !rr_cancelled(); i++)
        if (rr_yield(long, whole / 5 + (i < whole % 5)) != RR_OK) break;
}
REMOTE_FN(long, programs_reads, uint64_t, seed, int, level, uint64_t, at) {
    rr_options options = RR_OPTIONS(.max_unread = (int)(seed % 3));
    rr_stream stream = rr_call_stream_with(options, programs_items, seed, level, at);
    rr_status status;
    long sum = 0, v = 0;
    rr_ref item = {0};
    while ((status = rr_next(stream, &item)) == RR_OK) {
        status = rr_get(long, item, &v);
        rr_release(item);
        if (status != RR_OK) break;
        sum += v;
    }
    rr_release(stream);
    if (status != RR_ERR_END && !rr_cancelled()) fail_as(status);
    return sum;
}

typedef struct Node {
    uint64_t at;
    int level;
} Node;
REMOTE_ACTOR(Node, create, int, level, uint64_t, at) { self->at = at, self->level = level; }
REMOTE_METHOD(long, Node, run, uint64_t, seed) {
    return run_node(world_at(self->at), seed, self->level);
}
REMOTE_METHOD(long, Node, add, long, a, long, b) { return self->at ? a + b : -1; }

static rr_ref with(rr_options options, uint64_t seed, int level, world *w) {
    return rr_call_with(options, programs_node, seed, level, AT(w));
}
/* Starts what a child is; *extra: what it needs beside that, to be released. */
static rr_ref start(world *w, child c, int level, rr_ref *extra) {
    uint64_t seed = c.seed;
    void *room = NULL;
    rr_ref out, parts[3];
    switch (c.kind) {
    case TASK:
        return rr_call(programs_node, seed, level, AT(w));
    case NEEDS:
        return with(RR_OPTIONS(.resources = {{resources[level], 1 + (double)(seed % 2)}}), seed,
                    level, w);
    case CPUS:
        return with(RR_OPTIONS(.num_cpus = 0.5 * (double)(1 + seed % (2 * (unsigned)w->workers))),
                    seed, level, w);
    case PRIORITY:
        return with(RR_OPTIONS(.priority = (int)(seed % 5) - 2), seed, level, w);
    case LIMITED:
        return with(RR_OPTIONS(.timeout_ms = 1000000, .name = "limited"), seed, level, w);
    case BLOCKS:
        if (seed % 2) return with(RR_OPTIONS(.blocking = true), seed, level, w);
        return rr_call(programs_blocks, seed, level, AT(w));
    case RETRIES:
        return rr_call_with(RR_OPTIONS(.max_retries = 3, .retry_delay_ms = (int)(seed % 2)),
                            programs_tries, seed, level, AT(w));
    case SENT:
        return rr_ask(w->actors[level][seed % SORTS], Node_run, seed);
    case READS:
        return rr_call(programs_reads, seed, level, AT(w));
    case JOINED:
        *extra = rr_call(programs_node, seed, level, AT(w));
        parts[0] = rr_call(programs_leaf, (uint64_t)0);
        out = seed % 2 ? rr_call(programs_add, *extra, parts[0])
                       : rr_ask(w->actors[level][seed / 2 % SORTS], Node_add, *extra, parts[0]);
        rr_release(parts[0]);
        return out;
    case BYTES:
        *extra = rr_call(programs_bytes, seed);
        return rr_call(programs_look, *extra, seed);
    case PUT:
        *extra = rr_create(size_of(seed), &room);
        if (room) fill_words(room, seed, size_of(seed)), rr_seal(*extra);
        return rr_call(programs_look, *extra, seed);
    case GATHERED:
        for (unsigned i = 0; i < 3; i++) parts[i] = rr_call(programs_bytes, seed + i);
        *extra = rr_gather(parts, 3);
        for (int i = 0; i < 3; i++) rr_release(parts[i]);
        return rr_call(programs_look_at_all, *extra, seed);
    case GATE:
        *extra = rr_create(1, &room);
        out = rr_call(programs_at_gate, *extra, seed, seed % 2);
        rr_release(rr_call(programs_opens, *extra));
        return out;
    case NAPS:
        return rr_call(programs_naps, seed);
    default:
        return rr_call(programs_leaf, seed);
    }
}

/* Waits in one of many ways; what is still missing after that is waited for anyway. */
static bool wait_somehow(const rr_ref *refs, size_t n, uint64_t *random) {
    size_t ready[WIDTH], found, need = 1 + test_below(random, n);
    switch (test_below(random, 6)) {
    case 0:
        return rr_wait(refs, n, n, -1, ready) == n || rr_cancelled();
    case 1:
        found = rr_wait(refs, n, need, -1, ready);
        for (size_t i = 0; i < found; i++)
            if (ready[i] >= n || !rr_ready(refs[ready[i]])) return false;
        return found >= need || rr_cancelled();
    case 2:
        while (rr_wait(refs, n, need, (int64_t)test_below(random, 2), NULL) < need)
            if (rr_cancelled()) return true;
        return true;
    case 3:
        for (size_t i = 0; i < n; i++)
            while (rr_get_timeout(long, refs[i], &(long){0}, 1) == RR_ERR_TIMEOUT)
                if (rr_cancelled()) return true;
        return true;
    case 4:
        return rr_sleep_ms(1), true;
    default:
        return true;
    }
}

static long run_node(world *w, uint64_t seed, int level) {
    child children[WIDTH];
    rr_ref refs[WIDTH], extra[WIDTH] = {{0}};
    size_t n = plan(seed, level, children);
    uint64_t random = seed + 1;
    rr_status status = RR_OK;
    long sum = own(seed), v = 0;
    for (size_t i = 0; i < n; i++) {
        refs[i] = start(w, children[i], level - 1, &extra[i]);
        if (w->flavour == ROUGH && test_below(&random, 30) == 0) rr_cancel(refs[i]);
    }
    if (n && !CHECK(wait_somehow(refs, n, &random))) fail_as(RR_ERR_INVALID);
    for (size_t i = 0; i < n; i++) {
        rr_status one = rr_get(long, refs[i], &v);
        sum += one == RR_OK ? v : 0;
        if (one != RR_OK && status == RR_OK) status = cause(refs[i], one);
        if (one != RR_OK && !CHECK(may_be(w, cause(refs[i], one))))
            fprintf(stderr, "level %d, kind %d: %.600s\n", level, (int)children[i].kind,
                    rr_error_message(refs[i]));
        rr_release(refs[i]), rr_release(extra[i]);
    }
    if (status != RR_OK) fail_as(status);
    return sum;
}

/* ---- rings ---- */

/* Waits for the next one, in one of several ways. */
REMOTE_METHOD(int, Node, ring, rr_ref, next) {
    int v = -1;
    return rr_get(int, next, &v) == RR_ERR_DEADLOCK ? world_at(self->at)->told++ : v;
}
REMOTE_FN(int, programs_pass, int, v) { return v; }
REMOTE_FN(int, programs_ring, uint64_t, at, int, i, int, n, uint64_t, seed) {
    world *w = world_at(at);
    int v = -1;
    w->here++;
    while (w->here <= n) rr_sleep_ms(1); /* one more than they are: the references are there */
    rr_ref next = w->ring[(i + 1) % n], by = {0};
    rr_status status = RR_OK;
    switch (seed >> 2 * i & 3) {
    case 0:
        status = rr_get(int, next, &v);
        break;
    case 1: /* by way of an argument */
        by = rr_call(programs_pass, next);
        status = rr_get(int, by, &v);
        break;
    case 2: /* by way of an actor, whose method waits for it */
        by = rr_ask(w->ring_actor, Node_ring, next);
        status = rr_get(int, by, &v);
        break;
    default:
        status = rr_wait((rr_ref[2]){next, next}, 2, 2, -1, NULL) == 2 ? RR_OK : RR_ERR_DEADLOCK;
    }
    if (status == RR_ERR_DEADLOCK) w->told++;
    rr_release(by);
    return 1;
}
static void ring(void *world_) {
    world *w = world_;
    uint64_t random = (uint64_t)w->workers + test_seed;
    for (int round = 0; round < 3; round++) {
        int n = 1 + (int)test_below(&random, RING);
        uint64_t seed = test_random(&random);
        w->here = w->told = 0;
        for (int i = 0; i < n; i++) w->ring[i] = rr_call(programs_ring, AT(w), i, n, seed);
        while (w->here < n) rr_sleep_ms(1);
        w->here++;
        for (int i = 0; i < n; i++) CHECK(rr_get_void(w->ring[i]) == RR_OK);
        CHECK(w->told > 0);
        for (int i = 0; i < n; i++) rr_release(w->ring[i]);
    }
}

/* ---- a program ---- */

typedef struct caller {
    uint64_t seed;
    world *world;
} caller;
static void call(void *data) {
    caller *c = data;
    world *w = c->world;
    uint64_t random = c->seed;
    for (int k = 0; k < 3; k++) {
        int level = 1 + (int)test_below(&random, LEVELS - 1);
        uint64_t seed = test_random(&random) >> 8;
        rr_scope scope = rr_scope_begin();
        rr_ref root = rr_call(programs_node, seed, level, AT(w));
        long v = -1;
        if (w->flavour == ROUGH && test_below(&random, 4) == 0) {
            if (test_below(&random, 2)) rr_sleep_ms(1);
            rr_cancel(root);
        }
        rr_status status = rr_get(long, root, &v);
        bool is_right = status != RR_OK || v == value_of(seed, level);
        if (!CHECK(is_right && may_be(w, cause(root, status))))
            fprintf(stderr, "%ld, not %ld: %.1000s\n", v, value_of(seed, level),
                    rr_error_message(root));
        rr_scope_end(scope);
    }
}

static void spawn_all(world *w) {
    for (int level = 0; level < LEVELS; level++) {
        w->actors[level][FIFO] = rr_spawn(Node_create, level, AT(w));
        w->actors[level][NARROW] = rr_spawn_with(
            RR_ACTOR_OPTIONS(.max_pending = 2, .when_full = RR_WAIT), Node_create, level, AT(w));
        w->actors[level][CREW] =
            rr_spawn_with(RR_ACTOR_OPTIONS(.max_concurrency = 3), Node_create, level, AT(w));
    }
    w->ring_actor = rr_spawn(Node_create, 0, AT(w));
}

static void one_round(uint64_t *random, int threads) {
    enum { MAX_CALLERS = 8 };
    fixture f;
    world w;
    outside callers[MAX_CALLERS + 1];
    caller data[MAX_CALLERS];
    memset(&w, 0, sizeof w);
    w.flavour = (flavour)test_below(random, FLAVOURS), w.workers = 1 + (int)test_below(random, 3);
    START(&f, .workers = w.workers,
          .max_threads = w.workers + (int)test_below(random, 9 - w.workers),
          .store_bytes = w.flavour == SMALL_STORE ? 40000 : 0,
          .evict = test_below(random, 2) ? RR_EVICT_SPILL : RR_EVICT_REBUILD,
          .resources = {{"r0", 2}, {"r1", 2}, {"r2", 2}, {"r3", 2}});
    rr_scope scope = rr_scope_begin();
    spawn_all(&w);
    int n = threads < MAX_CALLERS ? threads : MAX_CALLERS;
    for (int i = 0; i < n; i++) {
        data[i] = (caller){test_random(random), &w};
        outside_start(&callers[i], f.runtime, call, &data[i]);
    }
    if (w.flavour == RINGS) outside_start(&callers[n], f.runtime, ring, &w);
    if (w.flavour == ROUGH && test_below(random, 2)) {
        rr_sleep_ms((int64_t)test_below(random, 3));
        rr_kill(w.actors[test_below(random, LEVELS)][test_below(random, SORTS)]);
    }
    for (int i = 0; i < n + (w.flavour == RINGS); i++) outside_join(&callers[i]);
    rr_scope_end(scope);
    CHECK(objects_settle_at(0) && actors_settle_at(0));
    fixture_stop(&f);
}

int main(int argc, char **argv) {
    stress s = stress_begin(argc, argv, 3);
    for (uint64_t random; stress_next(&s, &random);) one_round(&random, s.threads);
    return stress_end(&s);
}
