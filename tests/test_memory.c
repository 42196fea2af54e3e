/* Guards against running out of memory: whichever allocation fails, once or from then on, nothing
   crashes or hangs, every reference ends with a value or an error, and after the runtime's end not
   one allocation is left. */
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

static atomic_long memory_live;   /* allocations not yet freed */
static atomic_long memory_budget; /* allocations until one fails */
static atomic_bool memory_stays;  /* all later ones fail as well */

static inline int memory_fails(void) {
    long left = atomic_fetch_sub(&memory_budget, 1);
    return left == 1 || (left < 1 && memory_stays);
}
static inline void *memory_count(void *p) {
    if (p) atomic_fetch_add(&memory_live, 1);
    return p;
}
static inline void *memory_alloc(size_t size) {
    return memory_fails() ? NULL : memory_count(malloc(size));
}
static inline void *memory_calloc(size_t n, size_t size) {
    return memory_fails() ? NULL : memory_count(calloc(n, size));
}
static inline void *memory_realloc(void *p, size_t size) {
    void *q = memory_fails() ? NULL : realloc(p, size);
    return p ? q : memory_count(q);
}
static inline void memory_free(void *p) {
    if (p) atomic_fetch_sub(&memory_live, 1);
    free(p);
}
#define RUSTYRAY_KEEP_BYTES ((size_t)16 << 10) /* memory is given back all the time */
#define RUSTYRAY_KEEP_SECONDS 0.0
#define RR_MALLOC(size) memory_alloc(size)
#define RR_CALLOC(n, size) memory_calloc((n), (size))
#define RR_REALLOC(p, size) memory_realloc((p), (size))
#define RR_FREE(p) memory_free(p)
static atomic_long table_allocations; /* of stb_ds, which cannot tell when one fails */
static inline void *table_realloc(void *p, size_t size) {
    atomic_fetch_add(&table_allocations, 1);
    return realloc(p, size);
}
#define STBDS_REALLOC(context, p, size) table_realloc((p), (size))
#define STBDS_FREE(context, p) free(p)
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"

enum { MANY = 300, PUTS = 1500 };
typedef struct wide {
    char bytes[3000];
} wide;
typedef struct Store {
    rr_ref kept;
    int sum;
} Store;

REMOTE_FN(int, memory_add, int, a, int, b) { return a + b; }
REMOTE_FN(int, memory_wide, wide, w, rr_bytes, b) { return w.bytes[2999] + (int)b.size; }
REMOTE_FN(int, memory_bad, int, code) { return rr_fail(code, "%s %d", "as asked", code), 0; }
REMOTE_FN(rr_bytes, memory_block, size_t, size) {
    unsigned char *p = rr_result(size);
    if (p) memset(p, 7, size);
    return rr_bytes_of(p, p ? size : 0);
}
REMOTE_FN(int, memory_parts, rr_many, parts) { return (int)parts.count; }
REMOTE_FN(int, memory_nested, int, depth) {
    int a = 0, b = 0;
    if (depth == 0) return 1;
    rr_ref left = rr_call(memory_nested, depth - 1), right = rr_call(memory_nested, depth - 1);
    if (rr_get(int, left, &a) != RR_OK || rr_get(int, right, &b) != RR_OK) rr_fail(9, "no memory");
    return a + b;
}
REMOTE_FN(rr_ref, memory_hand_over, int, v) { return rr_call(memory_add, v, 1); }
REMOTE_ACTOR(Store, create, int, v, rr_ref, kept) {
    self->sum = v;
    self->kept = rr_keep(kept);
}
REMOTE_METHOD(int, Store, add, int, v) { return self->sum += v; }
REMOTE_DESTRUCTOR(Store) { rr_release(self->kept); }

typedef struct pair {
    wide inside;
    int number;
} pair;
REMOTE_FN(pair, memory_pair, int, v) {
    pair x = {.number = v};
    memset(x.inside.bytes, v, sizeof x.inside.bytes);
    return x;
}
REMOTE_STREAM(int, memory_numbers, int, n) {
    for (int i = 0; i < n; i++)
        if (rr_yield(int, i) != RR_OK) {
            rr_fail(8, "after %d", i);
            return;
        }
}
REMOTE_STREAM(rr_bytes, memory_blocks, int, n) {
    static const char block[9000];
    for (int i = 0; i < n; i++)
        if (rr_yield(rr_bytes, rr_bytes_of(block, (size_t)i * 100)) == RR_ERR_CANCELLED) return;
}

/* Ends in time, with the value wanted or an error. */
static void ends(rr_ref r, int wanted) {
    int v = -1;
    rr_status status = rr_get_timeout(int, r, &v, 30000);
    CHECK(status != RR_ERR_TIMEOUT);
    CHECK(status != RR_OK || wanted < 0 || v == wanted);
    CHECK(strlen(rr_error_message(r)) < 100000);
}

static void use_objects(void) {
    static wide w;
    rr_bytes view = {0};
    void *room = NULL;
    rr_ref gate = rr_create(5000, &room), bytes = rr_put_bytes(&w, sizeof w);
    ends(rr_call(memory_wide, w, bytes), sizeof w);
    rr_ref late = rr_call(memory_wide, rr_put(wide, w), gate);
    rr_get_timeout(rr_bytes, gate, &view, 0);
    rr_get_timeout(rr_bytes, gate, &view, 1);
    if (room) memset(room, 1, 5000);
    rr_status sealed = rr_seal(gate);
    CHECK(!room || sealed == RR_OK);
    ends(late, 5000);
    ends(rr_call(memory_wide, w, rr_bytes_of(&w, 700)), 700);
    if (rr_get(rr_bytes, rr_call(memory_block, (size_t)9000), &view) == RR_OK && view.size)
        CHECK(view.size == 9000 && ((const char *)view.data)[8999] == 7);
}

static void use_tasks(void) {
    rr_ref refs[MANY], last = rr_call(memory_add, 0, 0);
    for (int i = 0; i < MANY; i++) refs[i] = last = rr_call(memory_add, last, 1);
    ends(rr_call(memory_parts, rr_gather(refs, MANY)), MANY);
    size_t ready[MANY];
    size_t found = rr_wait(refs, MANY, MANY, 30000, ready);
    CHECK(found == MANY || memory_budget <= 0); /* it needs memory itself */
    for (int i = 0; i < MANY; i++) ends(refs[i], i + 1);
    ends(rr_call(memory_nested, 4), 16);
    rr_ref bad = rr_call(memory_bad, 3), top = rr_call(memory_add, 1, bad);
    ends(bad, -1), ends(top, -1);
    CHECK(rr_get_void(top) != RR_OK);
    ends(rr_call_named("memory_add", RR_VALUE(int, 1), rr_put(int, 2)), 3);
    CHECK(rr_get_void(rr_call_named("memory_sub")) != RR_OK);
    rr_ref inner = {0};
    if (rr_get(rr_ref, rr_call(memory_hand_over, 4), &inner) == RR_OK) ends(inner, 5);
}

static void use_actors(void) {
    rr_actor a = rr_spawn_with(RR_ACTOR_OPTIONS(.name = "store"), Store_create, 1, rr_put(int, 5));
    rr_actor found = {0}, other = rr_spawn(Store_create, rr_call(memory_add, 1, 2), (rr_ref){0});
    for (int i = 0; i < 20; i++) rr_tell(a, Store_add, 1);
    rr_find_actor("store", &found);
    ends(rr_ask(a, Store_add, rr_call(memory_add, 0, 0)), -1);
    ends(rr_ask(found, Store_add, 1), -1);
    ends(rr_ask(other, Store_add, 1), 4);
    rr_kill(other);
    ends(rr_ask(other, Store_add, 1), -1);
}

/* A limit that passes ends with RR_ERR_TIMEOUT: so this waits for the end only. */
static void ends_somehow(rr_ref r, bool well) {
    CHECK(rr_wait(&r, 1, 1, 30000, NULL) == 1 || rr_ready(r)); /* the thread may have no runtime */
    CHECK(well || rr_get_void(r) != RR_OK);
    CHECK(strlen(rr_error_message(r)) < 100000);
}

static void use_control(void) {
    static wide w;
    void *room = NULL;
    rr_ref gate = rr_create(8, &room);
    rr_options options = {.timeout_ms = 60000, .max_retries = 2};
    rr_ref good = rr_call_with(options, memory_add, 2, 3);
    rr_ref bad = rr_call_with(options, memory_bad, 4);
    rr_ref again = rr_call_with(RR_OPTIONS(.max_retries = 1, .retry_delay_ms = 1), memory_bad, 5);
    rr_ref late = rr_call_with(RR_OPTIONS(.timeout_ms = 1), memory_wide, w, gate);
    rr_ref unwanted = rr_call_with(options, memory_wide, w, gate);
    rr_ref next = rr_call(memory_add, unwanted, 1), slow = rr_call(memory_wide, w, gate);
    rr_actor a = rr_spawn(Store_create, 1, (rr_ref){0});
    rr_ref first = rr_ask(a, Store_add, slow), second = rr_ask(a, Store_add, 1);
    rr_cancel(unwanted), rr_cancel(first), rr_cancel_alone(first);
    ends(good, 5), ends(second, 2);
    ends_somehow(bad, false), ends_somehow(again, false), ends_somehow(late, false);
    ends_somehow(unwanted, false), ends_somehow(next, false), ends_somehow(first, false);
    rr_seal(gate);
    ends_somehow(slow, true);
}

static void use_streams(void) {
    rr_ref r;
    int v = 0, n = 0;
    rr_status status;
    rr_options options = {.max_unread = 3, .max_retries = 1};
    rr_stream numbers = rr_call_stream_with(options, memory_numbers, 100);
    rr_stream blocks = rr_call_stream_with(RR_OPTIONS(.max_unread = 2), memory_blocks, 90);
    rr_stream unread = rr_call_stream(memory_blocks, 90);
    rr_stream late = rr_call_stream(memory_numbers, rr_call(memory_add, 1, 2));
    for (; (status = rr_next(numbers, &r)) == RR_OK; n++, rr_release(r))
        CHECK(rr_get(int, r, &v) != RR_OK || v == n);
    CHECK(status != RR_ERR_END || n == 100);
    for (int i = 0; i < 5 && rr_next(blocks, &r) == RR_OK; i++) rr_release(r);
    while ((status = rr_next_timeout(late, 30000, &r)) == RR_OK) rr_release(r);
    CHECK(status != RR_ERR_TIMEOUT);
    rr_release(blocks), rr_release(unread);
}

static void use_fields(void) {
    rr_ref gate = rr_call(memory_add, 3, 4), both = rr_call(memory_pair, gate);
    rr_ref number = rr_field(int, both, pair, number), inside = rr_field(wide, both, pair, inside);
    rr_ref sum = rr_call(memory_add, number, number);
    wide w;
    rr_status status = rr_get(wide, inside, &w);
    CHECK(status != RR_OK || w.bytes[2999] == 7);
    ends(number, 7), ends(sum, 14);
}

static void use_resources(void) {
    static wide w;
    void *room = NULL;
    char text[200];
    rr_options large = {.name = "large", .num_cpus = 2, .max_retries = 1};
    large.resources[0] = (rr_resource){"gpu", 1};
    rr_options half = {.num_cpus = 0.5, .priority = -1, .timeout_ms = 60000};
    rr_actor_options holds = {.resources = {{"gpu", 0.5}, {"disk", 1}}, .max_restarts = 1};
    rr_actor a = rr_spawn_with(holds, Store_create, 1, (rr_ref){0});
    rr_ref asked = rr_ask(a, Store_add, 1), waits = rr_call_with(large, memory_add, 1, 2);
    rr_ref bad = rr_call_with(large, memory_bad, 4), gate = rr_create(8, &room);
    rr_ref unwanted = rr_call_with(large, memory_wide, w, gate);
    ends(rr_call_with(half, memory_add, 2, 2), 4);
    ends(rr_call_with(RR_OPTIONS(.name = "urgent", .priority = 9), memory_nested, 3), 8);
    rr_ref too_much = rr_call_with(RR_OPTIONS(.resources = {{"gpu", 2}}), memory_add, 1, 1);
    ends_somehow(too_much, false);
    ends(asked, 2);
    rr_why(waits, text, sizeof text);
    rr_cancel(unwanted), rr_seal(gate);
    rr_release(a);
    ends(waits, 3), ends_somehow(bad, false), ends_somehow(unwanted, false);
}

static void use_ownership(void) {
    rr_ref r = rr_put(int, 8), kept = rr_keep(rr_put(int, 9));
    rr_retain(r), rr_release(r), rr_release(r);
    rr_scope inner = rr_scope_begin();
    for (int i = 0; i < PUTS; i++) {
        rr_ref one = rr_put(int, i);
        if (i % 50 == 0) ends(one, i);
    }
    rr_scope_end(inner);
    ends(kept, 9);
    rr_release(kept);
}

static void *scenario(void *unused) {
    static const rr_config config = {
        .workers = 2, .max_pending = 5000, .resources = {{"gpu", 1}, {"disk", 2}}};
    fixture f = {.lock = PTHREAD_MUTEX_INITIALIZER};
    rr_config quiet = config;
    quiet.log = fixture_log, quiet.log_data = &f;
    rr_runtime *runtime = rr_runtime_create(&quiet);
    if (!runtime) {
        CHECK(memory_budget <= 0);
        return unused;
    }
    rr_runtime_use(runtime);
    rr_scope scope = rr_scope_begin();
    use_objects(), use_tasks(), use_actors(), use_control(), use_resources(), use_streams();
    use_fields(), use_ownership();
    rr_scope_end(scope);
    rr_runtime_use(NULL);
    CHECK(rr_runtime_destroy(runtime) == RR_OK);
    return unused;
}

/* Runs the scenario on a thread of its own with the n-th allocation failing (0: none); returns how
   many allocations were asked for. */
static long run(long n, bool stays) {
    pthread_t thread;
    memory_stays = stays;
    memory_budget = n ? n : LONG_MAX;
    long start = memory_budget, before = memory_live; /* what this thread has for itself */
    if (!CHECK(pthread_create(&thread, NULL, scenario, NULL) == 0)) abort();
    CHECK(pthread_join(thread, NULL) == 0);
    long asked = start - memory_budget;
    if (!CHECK(memory_live == before)) {
        fprintf(stderr, "%ld allocations are left after number %ld failed%s\n",
                (long)memory_live - before, n, stays ? " and all after it" : "");
        memory_live = before;
    }
    return asked;
}

TEST_ALONE(nothing_is_left_after_the_end) {
    for (int i = 0; i < 3; i++) run(0, false);
}

TEST_ALONE(each_allocation_fails_once) {
    double start = rr_now();
    long asked = run(0, false), step = 1;
    for (long n = 1; n <= asked + 5; n += step) {
        run(n, false);
        if (rr_now() - start > 4) step = 1 + asked / 50; /* a slow machine looks at some only */
        if (rr_now() - start > 12) break;
    }
    printf("%ld allocations\n", asked);
}

TEST_ALONE(all_allocations_fail_from_one_on) {
    double start = rr_now();
    long asked = run(0, false), step = 1;
    for (long n = 1; n <= asked + 5; n += step) {
        run(n, true);
        if (rr_now() - start > 4) step = 1 + asked / 50;
        if (rr_now() - start > 12) break;
    }
}

TEST_ALONE(random_allocations_fail) {
    uint64_t random = test_seed;
    long asked = run(0, false);
    for (int i = 0; i < 100; i++) run(1 + (long)test_below(&random, asked), test_below(&random, 2));
}

/* A table that is made by a look into it would be made without a check. */
TEST_ALONE(lookup_in_an_empty_table_allocates_nothing) {
    fixture f;
    memory_budget = LONG_MAX;
    START(&f, .workers = 1);
    rr_ref one = rr_put(int, 1), found;
    rr_actor actor;
    long before = table_allocations - memory_budget; /* which each one makes smaller */
    CHECK(rr_find_actor("nobody", &actor) == RR_ERR_NOT_FOUND);
    CHECK(rr_find("nothing", &found) == RR_ERR_NOT_FOUND);
    CHECK(rr_unpin(one) == RR_ERR_INVALID && rr_name("nothing", (rr_ref){0}) == RR_ERR_NOT_FOUND);
    CHECK(table_allocations - memory_budget == before);
    rr_release(one);
    fixture_stop(&f);
}

static void memory_is(bool there) {
    memory_stays = !there;
    memory_budget = there ? LONG_MAX : 0;
}
/* Puts into the open scope until it has no room for one more. */
static void fill_scope(void) {
    do rr_put(int, 1);
    while (rr__self()->scopes.count < rr__self()->scopes.capacity);
}
/* Runs on a thread whose first scope has no memory yet, in a runtime of its own. */
static void alone(void (*run)(void *data), int workers) {
    fixture f;
    outside thread;
    memory_is(true);
    START(&f, .workers = workers);
    outside_start(&thread, f.runtime, run, &f);
    outside_join(&thread);
    CHECK(objects_settle_at(0) && actors_settle_at(0));
    fixture_stop(&f);
    memory_is(true);
}

static void take_without_room(void *data) {
    (void)data;
    rr_ref r = rr_put(int, 5), taken;
    rr_give(r), rr_release(r); /* the given one is the only one */
    rr_scope scope = rr_scope_begin();
    fill_scope();
    memory_is(false);
    taken = rr_take(r);
    CHECK(taken.id == 0 && rr_get_void(taken) == RR_ERR_NO_MEMORY);
    CHECK(rr_get_void(rr_take(r)) == RR_ERR_NO_MEMORY && rr_get_void(r) == RR_OK);
    memory_is(true);
    CHECK(rr_take(r).id == r.id);
    rr_scope_end(scope);
    CHECK(rr_get_void(r) == RR_ERR_STALE);
}

TEST_ALONE(count_that_could_not_be_taken_is_still_there) { alone(take_without_room, 1); }

/* What returns a handle or a view says so, and leaves nothing behind; all else goes on. */
static void nothing_is_received(rr_ref number, rr_ref bytes, rr_ref box) {
    int v = 0;
    rr_bytes view;
    rr_ref out, r = rr_put(int, 1);
    rr_actor found, a = rr_spawn(Store_create, 1, (rr_ref){0});
    rr_stream numbers = rr_call_stream(memory_numbers, 3);
    CHECK(r.id == 0 && rr_get_void(r) == RR_ERR_NO_MEMORY);
    CHECK(a.id == 0 && rr_kill(a) == RR_ERR_NO_MEMORY);
    CHECK(numbers.id == 0 && rr_next(numbers, &out) == RR_ERR_NO_MEMORY);
    CHECK(rr_get_void(rr_call(memory_add, 1, 2)) == RR_ERR_NO_MEMORY);
    CHECK(rr_get_void(rr_gather(&number, 1)) == RR_ERR_NO_MEMORY);
    CHECK(rr_get(rr_bytes, bytes, &view) == RR_ERR_NO_MEMORY && !view.data);
    CHECK(rr_get(rr_ref, box, &out) == RR_ERR_NO_MEMORY && out.id == 0);
    CHECK(rr_find("number", &out) == RR_ERR_NO_MEMORY && out.id == 0);
    CHECK(rr_find_actor("nobody", &found) == RR_ERR_NO_MEMORY);
    CHECK(rr_get(int, number, &v) == RR_OK && v == 5);
}

static void scope_without_memory(void *data) {
    fixture *f = data;
    rr_ref number = rr_put(int, 5), box = rr_put(rr_ref, number), bytes = rr_put_bytes("ab", 2);
    CHECK(rr_name("number", number) == RR_OK);
    memory_is(false);
    rr_scope scope = rr_scope_begin();
    CHECK(f->errors == 1);
    memory_is(true); /* too late: what follows would not be the scope's */
    nothing_is_received(number, bytes, box);
    rr_scope inner = rr_scope_begin();
    nothing_is_received(number, bytes, box);
    rr_scope_end(inner);
    nothing_is_received(number, bytes, box);
    rr_scope_end(scope);
    CHECK(f->warnings == 0 && f->errors == 1);
    rr_scope_end(scope);
    CHECK(f->warnings == 1);
    scope = rr_scope_begin();
    rr_put(int, 1), rr_put(int, 2);
    rr_scope_end(scope);
    rr_name("number", (rr_ref){0});
    rr_release(number), rr_release(box), rr_release(bytes);
}

TEST_ALONE(scope_without_memory_refuses_what_it_could_not_release) {
    alone(scope_without_memory, 2);
}

static void inner_scope_without_memory(void *data) {
    fixture *f = data;
    rr_scope outer = rr_scope_begin();
    rr_ref number = rr_put(int, 5), box = rr_put(rr_ref, number), bytes = rr_put_bytes("ab", 2);
    CHECK(rr_name("number", number) == RR_OK);
    fill_scope();
    rr__scopes *scopes = &rr__self()->scopes;
    rr_ref last = rr__ref_to(rr__self()->context, scopes->held[scopes->count - 1].object);
    memory_is(false);
    rr_scope inner = rr_scope_begin();
    memory_is(true);
    nothing_is_received(number, bytes, box);
    rr_release(last); /* of the outer scope: makes no room here */
    CHECK(rr_get_void(last) == RR_ERR_STALE);
    CHECK(rr_get_void(rr_put(int, 1)) == RR_ERR_NO_MEMORY);
    rr_retain(number), rr_release(number), rr_keep(box);
    rr_scope_end(inner);
    last = rr_put(int, 1);
    CHECK(rr_get_void(last) == RR_OK && f->warnings == 0);
    fill_scope();
    memory_is(false);
    inner = rr_scope_begin();
    memory_is(true);
    rr_name("number", (rr_ref){0});
    rr_scope_end(outer); /* and the inner one with it */
    CHECK(rr_get_void(last) == RR_ERR_STALE && rr_get_void(box) == RR_OK);
    rr_release(box);
    rr_scope_end(inner);
    CHECK(f->warnings == 1);
}

TEST_ALONE(inner_scope_without_memory_gives_nothing_to_the_outer_one) {
    alone(inner_scope_without_memory, 2);
}

REMOTE_FN(int, memory_end_scope, rr_bytes, scope) {
    rr_scope_end(*(const rr_scope *)scope.data); /* the waiter's, who may be below on this stack */
    return (int)scope.size;
}
REMOTE_FN(int, memory_leave_scope_open, int, v) {
    fill_scope();
    memory_is(false);
    rr_scope_begin();
    memory_is(true);
    return rr_get_void(rr_put(int, v)) == RR_ERR_NO_MEMORY;
}
REMOTE_FN(int, memory_receives) { return rr_get_void(rr_put(int, 1)) == RR_OK; }

static void bodies_and_scopes_without_memory(void *data) {
    fixture *f = data;
    rr_scope scope;
    void *room;
    rr_ref left, next;
    for (int i = 0; i < 5; i++) { /* on the worker, as a wait with a limit runs nothing */
        ends(left = rr_call(memory_leave_scope_open, i), 1);
        ends(next = rr_call(memory_receives), 1);
        rr_release(left), rr_release(next);
    }
    rr_ref gate = rr_create(sizeof scope, &room);
    rr_ref late = rr_call(memory_end_scope, gate);
    memory_is(false);
    scope = rr_scope_begin();
    memory_is(true);
    memcpy(room, &scope, sizeof scope);
    CHECK(rr_seal(gate) == RR_OK && rr_get_void(late) == RR_OK);
    CHECK(f->warnings == 1); /* it is not open in the body */
    CHECK(rr_get_void(rr_put(int, 1)) == RR_ERR_NO_MEMORY);
    rr_scope_end(scope);
    CHECK(f->warnings == 1);
    rr_release(late), rr_release(gate);
}

TEST_ALONE(bodies_leave_scopes_without_memory_as_they_were) {
    alone(bodies_and_scopes_without_memory, 1);
}

int main(int argc, char **argv) { return test_main(argc, argv); }
