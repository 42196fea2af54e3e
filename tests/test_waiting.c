/* Guards waiting: bodies that wait never stop the pool, waits for many references keep order and
   limits, limits leave nothing behind, and rings of waits end with RR_ERR_DEADLOCK instead of
   hanging. */
#define _GNU_SOURCE
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"

REMOTE_FN(int, waiting_same, int, v) { return v; }
REMOTE_FN(int, waiting_nap, int, ms) {
    rr_sleep_ms(ms);
    return ms;
}
REMOTE_FN(long, waiting_fib, int, n) {
    if (n < 2) return n;
    rr_ref a = rr_call(waiting_fib, n - 1), b = rr_call(waiting_fib, n - 2);
    return rr_unwrap(long, a) + rr_unwrap(long, b);
}
REMOTE_FN(int, waiting_deep, int, depth) {
    int v = 0;
    if (depth == 0) return 1;
    rr_ref below = rr_call(waiting_deep, depth - 1);
    if (rr_get(int, below, &v) != RR_OK) rr_fail(depth, "%.200s", rr_error_message(below));
    return v + 1;
}
REMOTE_FN(int, waiting_for_gate, rr_ref, gate) {
    rr_bytes view;
    return rr_get(rr_bytes, gate, &view) == RR_OK ? (int)view.size : -1;
}
REMOTE_FN(int, waiting_size, rr_bytes, b) { return (int)b.size; }

static int value_of(rr_ref r) {
    int v = -1;
    rr_status status = rr_get(int, r, &v);
    if (status) fprintf(stderr, "%.2000s\n", rr_error_message(r));
    return status ? -1 : v;
}

TEST(fib_on_one_worker_and_on_two) {
    for (int workers = 1; workers <= 2; workers++) {
        fixture f;
        START(&f, .workers = workers);
        long v = 0;
        CHECK(rr_get(long, rr_call(waiting_fib, 15), &v) == RR_OK && v == 610);
        CHECK(objects_settle_at(1));
        fixture_stop(&f);
    }
}

TEST_RUN(recursion_five_hundred_deep, .workers = 2) {
    CHECK(value_of(rr_call(waiting_deep, 500)) == 501);
}

static void go_down(int depth, int max_threads) {
    fixture f;
    START(&f, .workers = 2, .max_threads = max_threads);
    rr_ref r = rr_call(waiting_deep, depth);
    int v = 0;
    rr_status status = rr_get(int, r, &v); /* a value or a clear error, never a crash */
    CHECK(status == RR_OK ? v == depth + 1 : strlen(rr_error_message(r)) > 10);
    if (status) printf("%d levels on %d threads: %s\n", depth, max_threads, rr_status_name(status));
    rr_release(r);
    CHECK(objects_settle_at(0));
    fixture_stop(&f);
}
TEST_ALONE(recursion_twenty_thousand_deep_on_few_threads) { go_down(20000, 8); }
TEST_ALONE(recursion_twenty_thousand_deep_on_as_few_threads_as_can_be) { go_down(20000, 2); }

/* The only worker is kept busy, so the waiter runs the chain from its end by itself. That costs a
   constant time for each link: with a walk from the end for each, this takes minutes. */
static volatile int waiting_release;
REMOTE_FN(int, waiting_busy) {
    while (!__atomic_load_n(&waiting_release, __ATOMIC_ACQUIRE)) rr_sleep_ms(1);
    return 1;
}
REMOTE_FN(int, waiting_more, int, v) { return v + 1; }
TEST_ALONE(long_chain_run_by_its_waiter_alone) {
    fixture f;
    START(&f, .workers = 1);
    waiting_release = 0;
    rr_scope scope = rr_scope_begin();
    rr_ref busy = rr_call(waiting_busy), last = rr_call(waiting_more, 0);
    double start = rr_now();
    for (int i = 1; i < 200000; i++) last = rr_call(waiting_more, last);
    CHECK(value_of(last) == 200000 && rr_now() - start < 30);
    __atomic_store_n(&waiting_release, 1, __ATOMIC_RELEASE);
    CHECK(value_of(busy) == 1);
    rr_scope_end(scope);
    fixture_stop(&f);
}

TEST_ALONE(thousand_tasks_blocked_on_one_gate) {
    fixture f;
    START(&f, .workers = 2);
    enum { COUNT = 1000 };
    static rr_ref refs[COUNT];
    rr_scope scope = rr_scope_begin();
    rr_ref gate = unsealed(3);
    for (int i = 0; i < COUNT; i++) refs[i] = rr_call(waiting_for_gate, gate);
    rr_ref free_one = rr_call(waiting_same, 5); /* there is still somebody to run this */
    CHECK(value_of(free_one) == 5);
    CHECK(rr_wait(refs, COUNT, 1, 0, NULL) == 0);
    CHECK(rr_seal(gate) == RR_OK);
    for (int i = 0; i < COUNT; i++) CHECK(value_of(refs[i]) == 3);
    rr_scope_end(scope);
    CHECK(objects_settle_at(0));
    fixture_stop(&f);
}

REMOTE_FN(int, waiting_open_last, int, width) {
    rr_ref gate = unsealed(1), waiters[200] = {{0, 0, 0}};
    for (int i = 0; i < width; i++) waiters[i] = rr_call(waiting_for_gate, gate);
    /* This runs waiters on top of the maker of what they wait for, if the library lets it. */
    rr_ref all = rr_gather(waiters, (size_t)width);
    rr_wait(&all, 1, 1, 1, NULL);
    rr_seal(gate);
    int total = 0;
    for (int i = 0; i < width; i++) total += rr_unwrap(int, waiters[i]);
    return total;
}

TEST(maker_of_a_gate_is_not_buried_under_its_waiters) {
    for (int workers = 1; workers <= 3; workers++) {
        fixture f;
        START(&f, .workers = workers);
        CHECK(value_of(rr_call(waiting_open_last, 200)) == 200);
        fixture_stop(&f);
    }
}

/* rr_wait. */
TEST_RUN(wait_tells_those_ready_first_in_their_order, .workers = 1) {
    rr_ref refs[5];
    for (int i = 0; i < 5; i++) refs[i] = i % 2 ? unsealed(1) : rr_put(int, i);
    size_t ready[5] = {9, 9, 9, 9, 9};
    CHECK(rr_wait(refs, 5, 3, -1, ready) == 3 && ready[0] == 0 && ready[1] == 2 && ready[2] == 4);
    CHECK(rr_wait(refs, 5, 2, -1, ready) == 2 && ready[0] == 0 && ready[1] == 2);
    CHECK(rr_wait(refs, 5, 0, -1, ready) == 0);
    CHECK(rr_wait(refs, 0, 0, -1, ready) == 0 && rr_wait(NULL, 0, 0, -1, NULL) == 0);
    CHECK(rr_wait(refs, 5, 5, 0, ready) == 3); /* a poll */
    CHECK(rr_wait(refs, 5, 5, 10, NULL) == 3); /* a limit */
    CHECK(rr_seal(refs[3]) == RR_OK && rr_seal(refs[1]) == RR_OK);
    CHECK(rr_wait(refs, 5, 5, -1, ready) == 5);
    for (size_t i = 0; i < 5; i++) CHECK(ready[i] == i);
}

static void seal_in_turn(void *data) {
    rr_ref *refs = data;
    rr_sleep_ms(20); /* late on purpose */
    for (int i = 9; i >= 0; i--) CHECK(rr_seal(refs[i]) == RR_OK);
}

TEST_RUN(wait_tells_the_late_ones_in_order_of_completion, .workers = 1) {
    rr_ref refs[10];
    size_t ready[10];
    for (int i = 0; i < 10; i++) refs[i] = unsealed(1);
    outside other;
    outside_start(&other, f->runtime, seal_in_turn, refs);
    CHECK(rr_wait(refs, 10, 10, -1, ready) == 10);
    outside_join(&other);
    bool in_order = true, in_place = true; /* if the thread was quicker than the wait began */
    for (size_t i = 0; i < 10; i++) {
        in_order = in_order && ready[i] == 9 - i;
        in_place = in_place && ready[i] < 10;
    }
    CHECK(in_place && (in_order || ready[0] != 9));
}

TEST_SCOPE(wait_for_some_of_many_tasks, .workers = 2) {
    rr_ref refs[100];
    for (int k = 1; k <= 100; k += 9) {
        size_t ready[100];
        bool seen[100] = {0};
        for (int i = 0; i < 100; i++) refs[i] = rr_call(waiting_same, i);
        CHECK(rr_wait(refs, 100, (size_t)k, -1, ready) == (size_t)k);
        for (int i = 0; i < k; i++) {
            CHECK(ready[i] < 100 && !seen[ready[i]] && rr_ready(refs[ready[i]]));
            seen[ready[i] % 100] = true;
        }
    }
}

TEST_RUN(wait_counts_null_stale_and_failed_references_as_ready, .workers = 1) {
    rr_ref refs[4] = {
        {0, 0, 0}, rr_put(int, 1), unsealed(1), rr_call_named("waiting_no_such_function")};
    rr_release(refs[1]);
    size_t ready[4];
    CHECK(rr_wait(refs, 4, 3, -1, ready) == 3);
    CHECK(ready[0] == 0 && ready[1] == 1 && ready[2] == 3);
}

TEST_RUN(wait_for_the_same_reference_twice, .workers = 1) {
    rr_ref one = rr_call(waiting_nap, 10), refs[6] = {one, one, one, one, one, one};
    size_t ready[6];
    CHECK(rr_wait(refs, 6, 6, -1, ready) == 6);
    unsigned seen = 0;
    for (int i = 0; i < 6; i++) seen |= 1u << ready[i];
    CHECK(seen == 63);
    rr_release(one);
    CHECK(objects_settle_at(0));
}

TEST_RUN(wait_for_more_than_there_are, .workers = 1) {
    rr_ref refs[2] = {rr_call(waiting_same, 1), rr_call(waiting_same, 2)};
    CHECK(rr_wait(refs, 2, 100, 2000, NULL) == 2);
}

TEST_SCOPE(wait_for_ten_thousand_references, .workers = 2) {
    enum { COUNT = 10000 };
    static rr_ref refs[COUNT];
    static size_t ready[COUNT];
    for (int i = 0; i < COUNT; i++) refs[i] = rr_call(waiting_same, i);
    CHECK(rr_wait(refs, COUNT, COUNT / 2, -1, ready) == COUNT / 2);
    CHECK(rr_wait(refs, COUNT, COUNT, -1, ready) == COUNT);
    static bool seen[COUNT];
    for (int i = 0; i < COUNT; i++) {
        if (!CHECK(ready[i] < COUNT && !seen[ready[i]])) break;
        seen[ready[i]] = true;
    }
}

TEST_SCOPE(wait_one_after_the_other_of_many_pending, .workers = 1) {
    enum { COUNT = 2000 };
    static rr_ref refs[COUNT];
    for (int i = 0; i < COUNT; i++) refs[i] = unsealed(1);
    for (int i = 0; i < COUNT; i++) {
        CHECK(rr_seal(refs[i]) == RR_OK);
        if (!CHECK(rr_wait(refs, COUNT, (size_t)i + 1, -1, NULL) == (size_t)i + 1)) break;
    }
}

/* Limits. */
TEST_RUN(get_with_a_limit_of_zero_and_a_small_one, .workers = 1) {
    rr_ref gate = unsealed(1);
    rr_bytes view = {"x", 1};
    double start = rr_now();
    CHECK(rr_get_timeout(rr_bytes, gate, &view, 0) == RR_ERR_TIMEOUT && !view.data);
    CHECK(rr_now() - start < 5);
    start = rr_now();
    CHECK(rr_get_timeout(rr_bytes, gate, &view, 30) == RR_ERR_TIMEOUT);
    CHECK(rr_now() - start >= 0.029);
    CHECK(rr_seal(gate) == RR_OK);
    CHECK(rr_get_timeout(rr_bytes, gate, &view, 0) == RR_OK && view.size == 1);
    CHECK(rr_get_timeout(rr_bytes, gate, &view, INT64_MAX) == RR_OK);
    int v = 0;
    CHECK(rr_get_timeout(int, rr_call(waiting_same, 3), &v, INT64_MAX) == RR_OK && v == 3);
    CHECK(rr_get_timeout(int, rr_call(waiting_same, 4), &v, -5) == RR_OK && v == 4);
    rr_ref two[2] = {rr_call(waiting_same, 3), rr_call(waiting_same, 3)};
    CHECK(rr_wait(two, 2, 2, INT64_MAX, NULL) == 2);
}

TEST_ALONE(polling_a_pending_object_does_not_leak) {
    fixture f;
    START(&f, .workers = 1);
    rr_ref refs[2] = {unsealed(1), unsealed(1)};
    rr_bytes view;
    long before = 0, after = 0, unused;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 50000; i++) {
            CHECK(rr_get_timeout(rr_bytes, refs[0], &view, 0) == RR_ERR_TIMEOUT);
            CHECK(rr_wait(refs, 2, 1, 0, NULL) == 0);
        }
        for (int i = 0; i < 200; i++) CHECK(rr_wait(refs, 2, 1, 1, NULL) == 0);
        FILE *statm = fopen("/proc/self/statm", "r");
        if (statm && fscanf(statm, "%ld %ld", &unused, &after) == 2 && round == 0) before = after;
        if (statm) fclose(statm);
    }
#ifndef SANITIZED
    CHECK((after - before) * 4096 < 1 << 20);
#endif
    for (int i = 0; i < 2; i++) CHECK(rr_seal(refs[i]) == RR_OK);
    CHECK(rr_wait(refs, 2, 2, -1, NULL) == 2);
    fixture_stop(&f);
    (void)before;
}

REMOTE_FN(int, waiting_with_limit, rr_ref, r, int, ms) {
    int v = 0;
    rr_status status = rr_get_timeout(int, r, &v, ms);
    return status ? -(int)status : v;
}

TEST_RUN(task_waits_with_a_limit_for_another_task, .workers = 1) {
    CHECK(value_of(rr_call(waiting_with_limit, rr_call(waiting_same, 6), 20000)) == 6);
    CHECK(value_of(rr_call(waiting_with_limit, rr_call(waiting_nap, 300), 1)) == -RR_ERR_TIMEOUT);
}

REMOTE_FN(int, waiting_for_any, int, n) {
    rr_ref refs[50];
    size_t first = 99;
    for (int i = 0; i < n; i++) refs[i] = rr_call(waiting_same, i);
    if (rr_wait(refs, (size_t)n, 1, -1, &first) != 1 || first >= (size_t)n) return -1;
    return rr_wait(refs, (size_t)n, (size_t)n, -1, NULL) == (size_t)n ? n : -2;
}

TEST(tasks_wait_for_any_and_for_all) {
    for (int workers = 1; workers <= 2; workers++) {
        fixture f;
        START(&f, .workers = workers);
        rr_scope scope = rr_scope_begin();
        rr_ref refs[20];
        for (int i = 0; i < 20; i++) refs[i] = rr_call(waiting_for_any, 50);
        for (int i = 0; i < 20; i++) CHECK(value_of(refs[i]) == 50);
        rr_scope_end(scope);
        CHECK(objects_settle_at(0));
        fixture_stop(&f);
    }
}

static void wait_outside(void *gate) {
    rr_scope scope = rr_scope_begin();
    rr_bytes view = {0};
    CHECK(rr_get(rr_bytes, *(rr_ref *)gate, &view) == RR_OK && view.size == 2);
    rr_scope_end(scope);
}

TEST_RUN(tasks_and_outside_threads_wait_for_the_same_object, .workers = 2) {
    for (int i = 0; i < 100; i++) {
        rr_scope scope = rr_scope_begin();
        rr_ref gate = unsealed(2), a = rr_call(waiting_for_gate, gate);
        rr_ref b = rr_call(waiting_size, gate);
        outside others[2];
        for (int k = 0; k < 2; k++) outside_start(&others[k], f->runtime, wait_outside, &gate);
        CHECK(rr_seal(gate) == RR_OK && rr_wait(&gate, 1, 1, -1, NULL) == 1);
        CHECK(value_of(a) == 2 && value_of(b) == 2);
        for (int k = 0; k < 2; k++) outside_join(&others[k]);
        rr_scope_end(scope);
    }
    CHECK(objects_settle_at(0));
}

REMOTE_FN(int, waiting_for_either, rr_ref, gate) {
    rr_ref either[2] = {rr_call(waiting_same, 1), gate};
    size_t n = rr_wait(either, 2, 1, -1, NULL);
    return n == 1 || strlen(rr_error_message((rr_ref){0})) > 10 ? 1 : 0;
}

TEST(wait_for_any_when_there_may_be_no_further_thread) {
    for (int workers = 1; workers <= 2; workers++) {
        fixture f;
        START(&f, .workers = workers, .max_threads = workers);
        rr_ref gate = unsealed(1), tasks[2];
        for (int i = 0; i < 2; i++) tasks[i] = rr_call(waiting_for_either, gate);
        CHECK(rr_wait(tasks, 2, 2, 5000, NULL) == 2); /* with a value or an error, but it ends */
        CHECK(rr_seal(gate) == RR_OK);
        for (int i = 0; i < 2; i++) CHECK(value_of(tasks[i]) == 1);
        fixture_stop(&f);
    }
}

/* Rings. A task learns what to wait for from an object that is sealed after the task was
   submitted; this is how it can get its own reference. A body that waits in a ring returns the
   status of its wait. Where one runs on top of another's wait, the one below gets that as a value,
   and passes it on: so all of them end with RR_ERR_DEADLOCK. */
static rr_status wait_for_address(rr_ref address, int64_t ms, int *value) {
    rr_bytes view;
    rr_ref target;
    if (rr_get(rr_bytes, address, &view) != RR_OK) return RR_ERR_INVALID;
    memcpy(&target, view.data, sizeof target);
    return rr_get_timeout(int, target, value, ms);
}
REMOTE_FN(int, ring_of_tasks, rr_ref, address) {
    int v = 0;
    rr_status status = wait_for_address(address, -1, &v);
    const char *why = rr_error_message((rr_ref){0});
    if (status == RR_ERR_DEADLOCK && !strstr(why, "ring_of_tasks")) return -1;
    return status ? (int)status : v;
}
REMOTE_FN(int, ring_with_a_limit, rr_ref, address) {
    int v = 0;
    return (int)wait_for_address(address, 100, &v);
}
REMOTE_FN(int, ring_between, int, a, int, b) { return a + b; }

static rr_ref address_of_a_target(void) { return unsealed(sizeof(rr_ref)); }
static void tell_target(rr_ref address, rr_ref target) {
    rr__object *o = rr__slot_at(rr__self()->context->runtime, address.slot);
    memcpy(o->data.block, &target, sizeof target);
    CHECK(rr_seal(address) == RR_OK);
}

static void ring_of(int n, int workers) {
    fixture f;
    START(&f, .workers = workers);
    rr_scope scope = rr_scope_begin();
    rr_ref addresses[8], tasks[8];
    for (int i = 0; i < n; i++) {
        addresses[i] = address_of_a_target();
        tasks[i] = rr_call(ring_of_tasks, addresses[i]);
    }
    for (int i = 0; i < n; i++) tell_target(addresses[i], tasks[(i + 1) % n]);
    for (int i = 0; i < n; i++) CHECK(value_of(tasks[i]) == RR_ERR_DEADLOCK);
    rr_scope_end(scope);
    CHECK(objects_settle_at(0));
    fixture_stop(&f);
}
TEST(task_that_waits_for_itself) { ring_of(1, 1), ring_of(1, 2); }
TEST(two_tasks_that_wait_for_each_other) { ring_of(2, 1), ring_of(2, 2), ring_of(2, 3); }
TEST(eight_tasks_in_a_ring) { ring_of(8, 1), ring_of(8, 2); }

TEST(ring_through_the_argument_of_a_third_task) {
    for (int round = 0; round < 20; round++) {
        fixture f;
        START(&f, .workers = 1 + round % 2);
        rr_ref address = address_of_a_target(), task = rr_call(ring_of_tasks, address);
        rr_ref between = rr_call(ring_between, rr_put(int, 1), task);
        tell_target(address, rr_call(ring_between, between, 1));
        CHECK(value_of(task) == RR_ERR_DEADLOCK);
        CHECK(value_of(between) == 1 + RR_ERR_DEADLOCK); /* the task went on, and so does this */
        fixture_stop(&f);
    }
}

TEST_RUN(ring_through_a_gathered_object, .workers = 2) {
    rr_ref address = address_of_a_target(), task = rr_call(ring_of_tasks, address);
    rr_ref parts[2] = {rr_put(int, 1), task};
    tell_target(address, rr_gather(parts, 2));
    int v = value_of(task);
    CHECK(v == RR_ERR_DEADLOCK);
}

TEST_RUN(wait_with_a_limit_in_a_ring_times_out, .workers = 2) {
    rr_ref addresses[2], tasks[2];
    for (int i = 0; i < 2; i++) addresses[i] = address_of_a_target();
    for (int i = 0; i < 2; i++) tasks[i] = rr_call(ring_with_a_limit, addresses[i]);
    for (int i = 0; i < 2; i++) tell_target(addresses[i], tasks[1 - i]);
    int a = value_of(tasks[0]), b = value_of(tasks[1]);
    CHECK(a == RR_ERR_TIMEOUT || b == RR_ERR_TIMEOUT); /* the other may see the end of the first */
    CHECK((a == RR_ERR_TIMEOUT || a == RR_OK) && (b == RR_ERR_TIMEOUT || b == RR_OK));
}

TEST_RUN(one_limit_in_a_ring_lets_the_other_go_on, .workers = 2) {
    rr_ref addresses[2];
    for (int i = 0; i < 2; i++) addresses[i] = address_of_a_target();
    rr_ref limited = rr_call(ring_with_a_limit, addresses[0]);
    rr_ref patient = rr_call(ring_of_tasks, addresses[1]);
    tell_target(addresses[0], patient), tell_target(addresses[1], limited);
    CHECK(value_of(limited) == RR_ERR_TIMEOUT && value_of(patient) == RR_ERR_TIMEOUT);
}

REMOTE_FN(int, ring_by_wait, rr_ref, address) {
    rr_bytes view;
    rr_ref target;
    if (rr_get(rr_bytes, address, &view) != RR_OK) return -1;
    memcpy(&target, view.data, sizeof target);
    size_t ready = rr_wait(&target, 1, 1, -1, NULL);
    return ready == 0 && strlen(rr_error_message(target)) > 0 ? 7 : -2;
}

TEST_RUN(rr_wait_on_ones_own_reference_ends, .workers = 2) {
    rr_ref address = address_of_a_target(), task = rr_call(ring_by_wait, address);
    tell_target(address, task);
    CHECK(value_of(task) == 7);
}

/* Actors in rings. */
typedef struct Asker {
    rr_actor other;
} Asker;
REMOTE_ACTOR(Asker, create) { (void)self; }
REMOTE_METHOD(void, Asker, meet, rr_actor, other) { self->other = rr_keep(other); }
REMOTE_METHOD(int, Asker, plain) {
    (void)self;
    return 1;
}
REMOTE_METHOD(int, Asker, ask_plain) {
    int v = 0;
    rr_ref r = rr_ask(self->other, Asker_plain);
    rr_status status = rr_get(int, r, &v);
    const char *why = rr_error_message((rr_ref){0});
    if (status == RR_ERR_DEADLOCK && !strstr(why, "the actor '")) return -1;
    if (status == RR_ERR_DEADLOCK && strstr(why, "Asker_create")) return -2;
    return (int)status;
}
REMOTE_METHOD(int, Asker, ask_ask) {
    int v = 0;
    rr_ref r = rr_ask(self->other, Asker_ask_plain);
    rr_status status = rr_get(int, r, &v);
    if (status == RR_ERR_DEADLOCK && !strstr(rr_error_message((rr_ref){0}), "Asker")) return -1;
    return status ? (int)status : v; /* as above */
}
REMOTE_METHOD(int, Asker, ask_with_limit) {
    int v = 0;
    rr_ref r = rr_ask(self->other, Asker_plain);
    return (int)rr_get_timeout(int, r, &v, 50);
}
REMOTE_METHOD(void, Asker, part) { rr_release(self->other); }

TEST_RUN(actor_that_asks_itself, .workers = 2) {
    rr_actor a = rr_spawn(Asker_create);
    CHECK(rr_tell(a, Asker_meet, a) == RR_OK);
    CHECK(value_of(rr_ask(a, Asker_ask_plain)) == RR_ERR_DEADLOCK);
    CHECK(value_of(rr_ask(a, Asker_ask_with_limit)) == RR_ERR_TIMEOUT);
    CHECK(value_of(rr_ask(a, Asker_plain)) == 1); /* and lives on */
    CHECK(rr_get_void(rr_ask(a, Asker_part)) == RR_OK);
    rr_release(a);
    CHECK(actors_settle_at(0));
}

/* By its own name, where it has one: there may be many of a type. */
REMOTE_METHOD(int, Asker, ask_and_tell, uint64_t, at) {
    int v = 0;
    rr_status status = rr_get(int, rr_ask(self->other, Asker_plain), &v);
    snprintf((char *)(uintptr_t)at, 200, "%s", rr_error_message((rr_ref){0}));
    return (int)status;
}

TEST_RUN(ring_names_actors_as_their_users_do, .workers = 2) {
    char text[200] = "";
    rr_actor a = rr_spawn_with(RR_ACTOR_OPTIONS(.name = "the one"), Asker_create);
    CHECK(rr_tell(a, Asker_meet, a) == RR_OK);
    CHECK(value_of(rr_ask(a, Asker_ask_and_tell, (uintptr_t)text)) == RR_ERR_DEADLOCK);
    CHECK(strcmp(text,
                 "deadlock: 'Asker_ask_and_tell' waits for 'Asker_plain', which waits for the "
                 "actor 'the one' (Asker), which waits for 'Asker_ask_and_tell'") == 0);
    if (text[0] && !strstr(text, "the one")) fprintf(stderr, "%s\n", text);
    CHECK(rr_get_void(rr_ask(a, Asker_part)) == RR_OK);
    rr_release(a);
    CHECK(actors_settle_at(0));
}

TEST(two_actors_that_ask_each_other) {
    for (int workers = 1; workers <= 2; workers++) {
        fixture f;
        START(&f, .workers = workers);
        rr_actor a = rr_spawn(Asker_create), b = rr_spawn(Asker_create);
        CHECK(rr_tell(a, Asker_meet, b) == RR_OK && rr_tell(b, Asker_meet, a) == RR_OK);
        CHECK(value_of(rr_ask(a, Asker_ask_ask)) == RR_ERR_DEADLOCK);
        CHECK(value_of(rr_ask(a, Asker_plain)) == 1 && value_of(rr_ask(b, Asker_plain)) == 1);
        fixture_stop(&f);
    }
}

TEST_RUN(no_ring_where_there_is_none, .workers = 2) {
    rr_actor a = rr_spawn(Asker_create), b = rr_spawn(Asker_create), c = rr_spawn(Asker_create);
    CHECK(rr_tell(a, Asker_meet, b) == RR_OK && rr_tell(b, Asker_meet, c) == RR_OK);
    for (int i = 0; i < 500; i++) {
        rr_scope scope = rr_scope_begin();
        rr_ref refs[3] = {rr_ask(a, Asker_ask_ask), rr_ask(b, Asker_ask_plain),
                          rr_ask(a, Asker_ask_plain)};
        for (int k = 0; k < 3; k++)
            if (!CHECK(value_of(refs[k]) == RR_OK)) i = 500;
        rr_scope_end(scope);
    }
}

/* All threads sleep, there may be no more, and what they wait for lies in a queue. Whoever goes to
   sleep last, and whoever queues it then, has to call one of them to work. */
REMOTE_FN(int, gate_opener, rr_ref, gate) { return rr_seal(gate) == RR_OK ? 3 : -1; }
REMOTE_FN(int, gate_waiter, rr_ref, gate) { return rr_get_void(gate) == RR_OK ? 1 : -1; }

static atomic_int lone_called, lone_begun;
REMOTE_FN(int, lone_caller, rr_ref, gate) {
    while (!lone_begun) rr_sleep_ms(1);
    rr_call(gate_opener, gate);
    lone_called = 1;
    return rr_get_void(gate) == RR_OK ? 1 : -1;
}
REMOTE_FN(int, lone_other, rr_ref, gate) {
    lone_begun = 1;
    while (!lone_called) rr_sleep_ms(1);
    return rr_get_void(gate) == RR_OK ? 1 : -1;
}

static bool gives(rr_ref ref, int expected) {
    int v = 0;
    return rr_get_timeout(int, ref, &v, 20000) == RR_OK && v == expected;
}

TEST(last_thread_awake_takes_the_only_entry_of_one_that_sleeps) {
    fixture f;
    START(&f, .workers = 2, .max_threads = 2);
    rr_ref gate = unsealed(8);
    rr_ref a = rr_call(lone_caller, gate), b = rr_call(lone_other, gate);
    CHECK(gives(a, 1) && gives(b, 1));
    fixture_stop(&f);
}

/* The same with both in step, so that each of them may see the other one awake. */
static atomic_int step_arrived;
REMOTE_FN(int, step_waiter, rr_ref, gate, int, is_caller) {
    atomic_fetch_add(&step_arrived, 1);
    while (atomic_load(&step_arrived) < 2)
        ;
    if (is_caller) rr_call(gate_opener, gate);
    return rr_get_void(gate) == RR_OK ? 1 : -1;
}

TEST_RUN(threads_that_go_to_sleep_at_once_leave_no_entry_behind, .workers = 2, .max_threads = 2) {
    for (int i = 0; i < 2000; i++) {
        rr_scope scope = rr_scope_begin();
        rr_ref gate = unsealed(8);
        step_arrived = 0;
        rr_ref a = rr_call(step_waiter, gate, 1), b = rr_call(step_waiter, gate, 0);
        if (!CHECK(gives(a, 1) && gives(b, 1))) i = 2000;
        rr_scope_end(scope);
    }
}

TEST(what_is_queued_while_all_threads_wait_is_run_by_one_of_them) {
    fixture f;
    START(&f, .workers = 2, .max_threads = 2);
    rr_ref gate = unsealed(8);
    rr_ref a = rr_call(gate_waiter, gate), b = rr_call(gate_waiter, gate);
    roles_sleep(f.runtime, 2);
    rr_ref opener = rr_call(gate_opener, gate);
    CHECK(gives(opener, 3) && gives(a, 1) && gives(b, 1));
    fixture_stop(&f);
}

/* A waiter runs an actor on its own stack, for a message of it. What stands behind that message may
   wait for the waiter, which is below it on the stack: it must be left to others. */
typedef struct Desk {
    int v;
} Desk;
REMOTE_ACTOR(Desk, create) { self->v = 0; }
REMOTE_METHOD(int, Desk, add, int, v) { return self->v += v; }
REMOTE_METHOD(int, Desk, wait, rr_ref, r) { return self->v += value_of(r); }
static atomic_bool desk_is_open;
REMOTE_FN(int, desk_hold, int, v) {
    while (!desk_is_open) rr_sleep_ms(1);
    return v;
}
REMOTE_FN(int, desk_visit, rr_ref, r) { return value_of(r); }

/* The only worker is held while all of this is queued; the visit, as urgent, begins first. */
static void visit_a_desk(bool is_direct) {
    rr_actor desk = rr_spawn(Desk_create);
    CHECK(value_of(rr_ask(desk, Desk_add, 0)) == 0);
    desk_is_open = false;
    rr_ref held = rr_call(desk_hold, 1);
    rr_ref add = rr_ask(desk, Desk_add, 1), sum = rr_call(waiting_same, add);
    rr_ref visit = rr_call_with(RR_OPTIONS(.priority = 1), desk_visit, is_direct ? add : sum);
    rr_ref behind = rr_ask(desk, Desk_wait, visit);
    desk_is_open = true;
    CHECK(gives(behind, 2) && gives(visit, 1) && gives(held, 1));
    rr_release(desk);
}
TEST_RUN(message_behind_what_a_helper_waits_for, .workers = 1) {
    visit_a_desk(true);
    visit_a_desk(false);
}

int main(int argc, char **argv) { return test_main(argc, argv); }
