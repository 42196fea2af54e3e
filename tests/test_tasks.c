/* Guards calls: every number of parameters, conversions, references in any place, arguments
   evaluated once and copied, results of every kind, gathered results in order, and what calls by
   name tell when they are wrong. */
#define _GNU_SOURCE
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"

typedef struct point {
    double x, y;
} point;
typedef struct block {
    int first;
    char rest[2000];
} block;

REMOTE_FN(int, tasks_p0) { return 1; }
REMOTE_FN(int, tasks_p1, int, a) { return a; }
REMOTE_FN(int, tasks_p2, int, a, int, b) { return 10 * a + b; }
REMOTE_FN(int, tasks_p3, int, a, int, b, int, c) { return 10 * tasks_p2(a, b) + c; }
REMOTE_FN(int, tasks_p4, int, a, int, b, int, c, int, d) { return 10 * tasks_p3(a, b, c) + d; }
REMOTE_FN(int, tasks_p5, int, a, int, b, int, c, int, d, int, e) {
    return 10 * tasks_p4(a, b, c, d) + e;
}
REMOTE_FN(int, tasks_p6, int, a, int, b, int, c, int, d, int, e, int, f) {
    return 10 * tasks_p5(a, b, c, d, e) + f;
}
REMOTE_FN(int, tasks_p7, int, a, int, b, int, c, int, d, int, e, int, f, int, g) {
    return 10 * tasks_p6(a, b, c, d, e, f) + g;
}
REMOTE_FN(int, tasks_p8, int, a, int, b, int, c, int, d, int, e, int, f, int, g, int, h) {
    return 10 * tasks_p7(a, b, c, d, e, f, g) + h;
}
REMOTE_FN(double, tasks_mixed, char, a, float, b, int64_t, c, block, d, _Bool, e, point, p) {
    return a + b + (double)c + d.first + d.rest[1999] + e + p.x + p.y;
}
REMOTE_FN(int, tasks_const, const int, a, const point, p) { return a + (int)p.x; }
REMOTE_FN(void, tasks_void, int, a) { (void)a; }
REMOTE_FN(int, tasks_fail, int, a) { return rr_fail(a, "failed %d", a), 0; }

static bool is(rr_ref r, int wanted) {
    int v = 0;
    rr_status status = rr_get(int, r, &v);
    if (status) fprintf(stderr, "%s\n", rr_error_message(r));
    return status == RR_OK && v == wanted;
}

TEST_SCOPE(no_parameters_to_eight, .workers = 2) {
    CHECK(is(rr_call(tasks_p0), 1));
    CHECK(is(rr_call(tasks_p1, 1), 1));
    CHECK(is(rr_call(tasks_p2, 1, 2), 12));
    CHECK(is(rr_call(tasks_p3, 1, 2, 3), 123));
    CHECK(is(rr_call(tasks_p4, 1, 2, 3, 4), 1234));
    CHECK(is(rr_call(tasks_p5, 1, 2, 3, 4, 5), 12345));
    CHECK(is(rr_call(tasks_p6, 1, 2, 3, 4, 5, 6), 123456));
    CHECK(is(rr_call(tasks_p7, 1, 2, 3, 4, 5, 6, 7), 1234567));
    CHECK(is(rr_call(tasks_p8, 1, 2, 3, 4, 5, 6, 7, 8), 12345678));
}

TEST(plain_call_is_still_a_function) { CHECK(tasks_p3(1, 2, 3) == 123 && tasks_p0() == 1); }

TEST_SCOPE(references_in_every_place, .workers = 2) {
    for (int mask = 0; mask < 256; mask += 5) {
        rr_ref r[8];
        for (int i = 0; i < 8; i++)
            r[i] = mask >> i & 1 ? rr_call(tasks_p1, i + 1) : rr_put(int, i + 1);
        CHECK(is(rr_call(tasks_p8, r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7]), 12345678));
    }
    rr_ref r = rr_call(tasks_p1, 5);
    CHECK(is(rr_call(tasks_p3, r, 2, r), 525));
    CHECK(is(rr_call(tasks_p3, 1, r, 3), 153));
    CHECK(is(rr_call(tasks_p3, r, r, r), 555));
    CHECK(is(rr_call(tasks_p2, rr_call(tasks_p1, 3), rr_call(tasks_p1, 4)), 34));
}

TEST_RUN(values_convert_as_in_a_call, .workers = 1) {
    block b = {.first = 3};
    b.rest[1999] = 4;
    double d = 0;
    double almost_two = 1.9;
    rr_ref r = rr_call(tasks_mixed, almost_two, 2, (short)3, b, 17, ((point){5, 6}));
    CHECK(rr_get(double, r, &d) == RR_OK && d == 1 + 2 + 3 + 3 + 4 + 1 + 5 + 6);
    CHECK(is(rr_call(tasks_p1, 'A'), 'A'));
    CHECK(is(rr_call(tasks_p1, almost_two), 1));
    CHECK(is(rr_call(tasks_p1, (unsigned char)200), 200));
    CHECK(is(rr_call(tasks_p1, true), 1));
    const int constant = 8;
    volatile int changing = 9;
    CHECK(is(rr_call(tasks_p2, constant, changing), 89));
    const point p = {2, 0};
    CHECK(is(rr_call(tasks_const, constant, p), 10));
    const rr_ref one = rr_put(int, 1); /* a qualified reference is a reference */
    CHECK(is(rr_call(tasks_p2, one, one), 11));
}

static int evaluated(int *count) { return ++*count; }

TEST_RUN(arguments_are_evaluated_once, .workers = 1) {
    int n = 0, i = 0, out[2] = {0, 0}, *at = out;
    rr_ref refs[4], *next = refs;
    for (int k = 0; k < 4; k++) refs[k] = rr_put(int, k + 1);
    CHECK(is(rr_call(tasks_p3, evaluated(&n), evaluated(&i), 7), 117) && n == 1 && i == 1);
    CHECK(is(rr_call(tasks_p2, *next++, i++), 11) && next == refs + 1 && i == 2);
    CHECK(rr_get(int, *next++, at++) == RR_OK && next == refs + 2 && at == out + 1);
    CHECK(rr_unwrap(int, *next++) == 3 && next == refs + 3);
    CHECK(is(rr_put(int, evaluated(&n)), 2) && n == 2);
    CHECK(is(rr_call_named("tasks_p2", RR_VALUE(int, evaluated(&n)), *next++), 34) && n == 3);
    CHECK(next == refs + 4);
    next = refs;
    rr_retain(*next++);
    CHECK(next == refs + 1);
    rr_release(*next++);
    CHECK(next == refs + 2 && is(refs[0], 1));
}

REMOTE_FN(long, tasks_sum_bytes, rr_bytes, b) {
    long sum = 0;
    for (size_t i = 0; i < b.size; i++) sum += ((const unsigned char *)b.data)[i];
    return sum;
}

TEST_RUN(bytes_by_value_are_copied_at_the_call, .workers = 1) {
    unsigned char data[10000];
    rr_ref refs[50];
    for (int i = 0; i < 50; i++) {
        memset(data, i, sizeof data);
        refs[i] = rr_call(tasks_sum_bytes, rr_bytes_of(data, (size_t)i * 200));
    }
    memset(data, 255, sizeof data);
    long v = 0;
    for (int i = 0; i < 50; i++) CHECK(rr_get(long, refs[i], &v) == RR_OK && v == i * i * 200L);
    CHECK(rr_get(long, rr_call(tasks_sum_bytes, rr_bytes_of(NULL, 0)), &v) == RR_OK && v == 0);
    CHECK(rr_get_void(rr_call(tasks_sum_bytes, rr_bytes_of(NULL, 3))) == RR_ERR_INVALID);
}

/* References and handles as values. */
REMOTE_FN(int, tasks_is_ready, rr_ref, r) { return rr_ready(r); }
REMOTE_FN(rr_ref, tasks_pass, rr_ref, r) { return r; }
REMOTE_FN(rr_ref, tasks_make, int, v) { return rr_call(tasks_p1, v); }
REMOTE_FN(rr_ref, tasks_make_deep, int, depth) {
    return depth ? rr_call(tasks_make_deep, depth - 1) : rr_call(tasks_p1, 42);
}
REMOTE_FN(int, tasks_read, rr_ref, r) {
    int v = -1;
    return rr_get(int, r, &v) == RR_OK ? v : -1;
}
REMOTE_FN(rr_ref, tasks_null) { return (rr_ref){0}; }

TEST_RUN(parameter_declared_rr_ref_is_not_waited_for, .workers = 1) {
    rr_ref gate = unsealed(1);
    CHECK(is(rr_call(tasks_is_ready, gate), 0));
    CHECK(rr_seal(gate) == RR_OK && is(rr_call(tasks_is_ready, gate), 1));
    rr_ref failed = rr_call(tasks_fail, 3);
    CHECK(rr_get_void(failed) == RR_ERR_TASK);
    CHECK(is(rr_call(tasks_is_ready, failed), 1)); /* nor does its failure spread */
    CHECK(is(rr_call(tasks_read, failed), -1));
}

TEST_SCOPE(results_that_are_references, .workers = 2) {
    rr_ref mine = rr_put(int, 6), out = {0};
    CHECK(rr_get(rr_ref, rr_call(tasks_pass, mine), &out) == RR_OK && out.id == mine.id);
    CHECK(rr_get(rr_ref, rr_call(tasks_make, 8), &out) == RR_OK && is(out, 8));
    out = rr_call(tasks_make_deep, 20);
    for (int i = 0; i <= 20; i++) CHECK(rr_get(rr_ref, out, &out) == RR_OK);
    CHECK(is(out, 42));
}

TEST_RUN(result_that_is_the_null_reference, .workers = 1) {
    rr_ref out = {1, 1, 1};
    CHECK(rr_get(rr_ref, rr_call(tasks_null), &out) == RR_OK && out.id == 0);
}

TEST_RUN(reference_in_an_object_is_passed_as_it_is, .workers = 1) {
    rr_ref inner = rr_put(int, 5), box = rr_put(rr_ref, inner);
    CHECK(is(rr_call(tasks_read, inner), 5));
    CHECK(is(rr_call(tasks_read, box), -1)); /* the box, not what is in it */
    CHECK(rr_get_void(rr_call(tasks_p1, box)) == RR_ERR_TYPE);
}

typedef struct Cell {
    int v;
} Cell;
REMOTE_ACTOR(Cell, create, int, v) { self->v = v; }
REMOTE_METHOD(int, Cell, get) { return self->v; }
REMOTE_FN(rr_actor, tasks_cell, int, v) { return rr_spawn(Cell_create, v); }
REMOTE_FN(int, tasks_ask, rr_actor, a) { return rr_unwrap(int, rr_ask(a, Cell_get)); }

TEST_SCOPE(results_that_are_actors, .workers = 2) {
    rr_actor a = {0};
    rr_ref made = rr_call(tasks_cell, 5);
    CHECK(rr_get(rr_actor, made, &a) == RR_OK && is(rr_ask(a, Cell_get), 5));
    CHECK(is(rr_call(tasks_ask, a), 5));
    CHECK(is(rr_call(tasks_ask, made), 5)); /* by reference: the runtime takes the handle out */
    CHECK(is(rr_call(tasks_ask, rr_call(tasks_cell, 6)), 6));
    CHECK(is(rr_call(tasks_ask, rr_put(rr_actor, a)), 5));
}

TEST_RUN(void_results, .workers = 1) {
    rr_ref r = rr_call(tasks_void, 1);
    int v = 1;
    CHECK(rr_get_void(r) == RR_OK && rr_ready(r));
    CHECK(rr_get(int, r, &v) == RR_ERR_TYPE && v == 0);
    CHECK(rr_get_void(rr_call(tasks_p1, r)) == RR_ERR_TYPE);
    CHECK(rr_get_void(rr_call(tasks_p1, 1)) == RR_OK); /* drops the value */
    CHECK(rr_get_void(rr_call(tasks_fail, 1)) == RR_ERR_TASK);
}

/* Gathered objects. */
REMOTE_FN(long, tasks_count_in_order, rr_many, parts) {
    for (size_t i = 0; i < parts.count; i++)
        if (parts.items[i].size != sizeof(int) || *(const int *)parts.items[i].data != (int)i)
            return -1;
    return (long)parts.count;
}

static void gather_this_many(size_t n, bool late) {
    fixture f;
    START(&f, .workers = 2);
    rr_ref *refs = calloc(n + 1, sizeof *refs);
    for (size_t i = 0; i < n; i++) refs[i] = late ? rr_call(tasks_p1, (int)i) : rr_put(int, (int)i);
    rr_ref all = rr_gather(refs, n);
    for (size_t i = 0; i < n; i++) rr_release(refs[i]); /* the gathered object counts them */
    long v = 0;
    rr_many many = {0};
    CHECK(rr_get(long, rr_call(tasks_count_in_order, all), &v) == RR_OK && v == (long)n);
    CHECK(rr_get(rr_many, all, &many) == RR_OK && many.count == n);
    for (size_t i = 0; i < many.count; i++)
        if (!CHECK(*(const int *)many.items[i].data == (int)i)) break;
    CHECK(objects_settle_at(n + 2));
    rr_release(all);
    CHECK(objects_settle_at(1));
    fixture_stop(&f);
    free(refs);
}
TEST(gather_nothing) { gather_this_many(0, false); }
TEST(gather_one) { gather_this_many(1, false), gather_this_many(1, true); }
TEST(gather_a_hundred_thousand_values) { gather_this_many(100000, false); }
TEST(gather_a_hundred_thousand_tasks) { gather_this_many(100000, true); }

/* Whether its parts are being read was garbage once. */
TEST_RUN(gather_in_used_memory_with_a_limit_on_the_store, .workers = 1, .store_bytes = 1 << 20) {
    enum { N = 3, SIZE = 100 };
    char bytes[SIZE];
    rr_ref refs[N];
    rr_many many;
    memset(bytes, 7, SIZE);
    for (int i = 0; i < N; i++) refs[i] = rr_put_bytes(bytes, SIZE);
    size_t size = sizeof(rr__parts) + N * (sizeof(rr_bytes) + sizeof(rr__object *));
    volatile char *used = malloc(size); /* else the compiler sees that nobody reads it */
    for (size_t i = 0; used && i < size; i++) used[i] = -1;
    free((void *)used);
    CHECK(rr_get(rr_many, rr_gather(refs, N), &many) == RR_OK && many.count == N);
    for (size_t i = 0; i < many.count; i++)
        CHECK(many.items[i].size == SIZE && memcmp(many.items[i].data, bytes, SIZE) == 0);
}

TEST_RUN(gather_the_same_object_many_times, .workers = 1) {
    rr_ref refs[1000], one = rr_call(tasks_p1, 5);
    for (int i = 0; i < 1000; i++) refs[i] = one;
    rr_ref all = rr_gather(refs, 1000);
    rr_many many = {0};
    CHECK(rr_get(rr_many, all, &many) == RR_OK && many.count == 1000);
    CHECK(many.count && many.items[0].data == many.items[999].data);
    rr_release(all);
    CHECK(is(one, 5));
    rr_release(one);
    CHECK(objects_settle_at(0));
}

TEST_RUN(gather_objects_of_several_types, .workers = 1) {
    char text[3000] = "text";
    rr_ref refs[3] = {rr_put(double, 0.5), rr_put_bytes(text, sizeof text), rr_put(char, 'c')};
    rr_many many = {0};
    CHECK(rr_get(rr_many, rr_gather(refs, 3), &many) == RR_OK && many.count == 3);
    if (many.count == 3) {
        CHECK(many.items[0].size == sizeof(double) && *(const double *)many.items[0].data == 0.5);
        CHECK(many.items[1].size == sizeof text && !strcmp(many.items[1].data, "text"));
        CHECK(many.items[2].size == 1 && *(const char *)many.items[2].data == 'c');
    }
}

TEST_RUN(gather_fails_as_the_first_that_failed, .workers = 2) {
    rr_ref gate = unsealed(1);
    rr_ref refs[4] = {rr_put(int, 1), gate, rr_call(tasks_fail, 22), rr_call(tasks_fail, 33)};
    rr_ref all = rr_gather(refs, 4);
    CHECK(rr_get_void(refs[3]) == RR_ERR_TASK && rr_get_void(refs[2]) == RR_ERR_TASK);
    CHECK(rr_seal(gate) == RR_OK);
    rr_many many = {0};
    CHECK(rr_get(rr_many, all, &many) == RR_ERR_TASK && many.count == 0);
    CHECK(rr_error_code(all) == 22 && strstr(rr_error_message(all), "failed 22"));
    CHECK(rr_get_void(rr_call(tasks_count_in_order, all)) == RR_ERR_TASK);
}

TEST_RUN(gather_with_a_stale_or_null_part, .workers = 1) {
    rr_ref refs[3] = {rr_put(int, 1), rr_put(int, 2), {0, 0, 0}};
    CHECK(rr_get_void(rr_gather(refs, 3)) == RR_ERR_STALE);
    rr_release(refs[1]);
    CHECK(rr_get_void(rr_gather(refs, 2)) == RR_ERR_STALE);
    CHECK(rr_get_void(rr_gather(refs, 1)) == RR_OK);
    CHECK(rr_get_void(rr_gather(NULL, 2)) == RR_ERR_INVALID);
}

TEST_RUN(gathered_parts_pending_when_the_gather_is_dropped, .workers = 1) {
    rr_ref gate = unsealed(1), refs[100];
    for (int i = 0; i < 100; i++) refs[i] = gate;
    rr_release(rr_gather(refs, 100));
    CHECK(rr_seal(gate) == RR_OK);
    rr_release(gate);
    CHECK(objects_settle_at(0));
}

/* Calls by name. */
TEST_RUN(named_calls_take_values_and_references, .workers = 1) {
    CHECK(is(rr_call_named("tasks_p0"), 1));
    CHECK(is(rr_call_named("tasks_p2", RR_VALUE(int, 4), rr_put(int, 5)), 45));
#define V(i) RR_VALUE(int, i)
    CHECK(is(rr_call_named("tasks_p8", V(1), V(2), V(3), V(4), V(5), V(6), V(7), V(8)), 12345678));
    CHECK(is(rr_call_named("tasks_const", V(1), RR_VALUE(point, {2, 3})), 3));
    long v = 0;
    rr_ref r = rr_call_named("tasks_sum_bytes", RR_VALUE(rr_bytes, {"\1\2\3", 3}));
    CHECK(rr_get(long, r, &v) == RR_OK && v == 6);
    CHECK(is(rr_call_named("tasks_is_ready", rr_put(int, 1)), 1));
}

TEST_RUN(named_call_tells_the_nearest_names, .workers = 1) {
    rr_ref r = rr_call_named("tasks_viod");
    CHECK(rr_get_void(r) == RR_ERR_NOT_FOUND);
    CHECK(strstr(rr_error_message(r), "tasks_viod") && strstr(rr_error_message(r), "tasks_void"));
    static char huge[100000];
    memset(huge, 'x', sizeof huge - 1);
    CHECK(rr_get_void(rr_call_named(huge)) == RR_ERR_NOT_FOUND);
    CHECK(rr_get_void(rr_call_named("")) == RR_ERR_NOT_FOUND);
    CHECK(rr_get_void(rr_call_named("%s%n%s")) == RR_ERR_NOT_FOUND);
    CHECK(rr_get_void(rr_call_named((const char *)NULL)) != RR_OK);
}

TEST_RUN(named_call_checks_number_and_types, .workers = 1) {
    rr_ref few = rr_call_named("tasks_p2", V(1)), many = rr_call_named("tasks_p0", V(1));
    CHECK(rr_get_void(few) == RR_ERR_ARITY && rr_get_void(many) == RR_ERR_ARITY);
    CHECK(strstr(rr_error_message(few), "tasks_p2") != NULL);
    rr_ref wrong = rr_call_named("tasks_p2", V(1), RR_VALUE(double, 2));
    CHECK(rr_get_void(wrong) == RR_ERR_TYPE);
    CHECK(strstr(rr_error_message(wrong), "int") && strstr(rr_error_message(wrong), "double"));
    CHECK(rr_get_void(rr_call_named("tasks_p1", RR_VALUE(unsigned, 2))) == RR_ERR_TYPE);
    CHECK(is(rr_call_named("tasks_p1", RR_VALUE(int32_t, 2)), 2));
    CHECK(rr_get_void(rr_call_named("tasks_const", V(1), RR_VALUE(block, {0}))) == RR_ERR_TYPE);
    CHECK(rr_get_void(rr_call_named("tasks_p1", rr_put(double, 1))) == RR_ERR_TYPE);
}

TEST_RUN(named_call_of_a_method_or_constructor_is_refused, .workers = 1) {
    CHECK(rr_get_void(rr_call_named("Cell_get")) != RR_OK);
    CHECK(rr_get_void(rr_call_named("Cell_create", V(1))) != RR_OK);
    CHECK(actors_settle_at(0));
}

/* Many at once. */
REMOTE_FN(int, tasks_size, rr_bytes, b) { return (int)b.size; }

TEST_SCOPE(hundred_thousand_tasks_without_a_wait, .workers = 2) {
    enum { COUNT = 100000 };
    rr_ref *refs = malloc(COUNT * sizeof *refs);
    for (int i = 0; i < COUNT; i++) refs[i] = rr_call(tasks_p1, i);
    for (int i = COUNT - 1; i >= 0; i--)
        if (!CHECK(is(refs[i], i))) break;
    free(refs);
}

TEST_SCOPE(many_tasks_depend_on_one_late_object, .workers = 2) {
    enum { COUNT = 20000 };
    void *room = NULL;
    rr_ref gate = rr_create(2, &room), *refs = malloc(COUNT * sizeof *refs);
    for (int i = 0; i < COUNT; i++) refs[i] = rr_call(tasks_sum_bytes, gate);
    CHECK(rr_wait(refs, COUNT, 1, 0, NULL) == 0);
    if (room) memcpy(room, "\1\2", 2);
    CHECK(rr_seal(gate) == RR_OK && rr_wait(refs, COUNT, COUNT, -1, NULL) == COUNT);
    long v = 0;
    for (int i = 0; i < COUNT; i++)
        if (!CHECK(rr_get(long, refs[i], &v) == RR_OK && v == 3)) break;
    free(refs);
}

TEST_SCOPE(long_chain_started_by_its_first_argument, .workers = 2) {
    rr_ref gate = unsealed(3), last = rr_call(tasks_size, gate);
    for (int i = 0; i < 20000; i++) last = rr_call(tasks_p2, 0, last);
    CHECK(!rr_ready(last) && rr_seal(gate) == RR_OK && is(last, 3));
}

static void call_many(void *failures) {
    rr_scope scope = rr_scope_begin();
    rr_ref last = rr_call(tasks_p1, 1);
    for (int i = 0; i < 3000; i++) last = rr_call(tasks_p1, last);
    int v = 0;
    if (rr_get(int, last, &v) != RR_OK || v != 1) atomic_fetch_add((atomic_int *)failures, 1);
    rr_scope_end(scope);
}

TEST_RUN(several_threads_submit_at_once, .workers = 2) {
    outside threads[4];
    atomic_int failures = 0;
    for (int i = 0; i < 4; i++) outside_start(&threads[i], f->runtime, call_many, &failures);
    for (int i = 0; i < 4; i++) outside_join(&threads[i]);
    CHECK(failures == 0 && objects_settle_at(0));
}

/* ---- sixteen parameters ---- */

typedef struct triple {
    double x, y, z;
} triple;

REMOTE_FN(int64_t, sum_of_nine, int, a, int, b, int, c, int, d, int, e, int, f, int, g, int, h, int,
          i) {
    return a + 10 * b + 100 * c + d + e + f + g + h + (int64_t)1000000 * i;
}
REMOTE_FN(int64_t, sum_of_sixteen, int8_t, a, int, b, int64_t, c, double, d, triple, e, rr_bytes, f,
          rr_ref, g, rr_actor, h, bool, i, float, j, uint16_t, k, int, l, triple, m, rr_many, n,
          char, o, int64_t, p) {
    int inner = 0;
    rr_status status = rr_get(int, g, &inner);
    int64_t sum =
        a + b + c + (int64_t)d + (int64_t)(e.x + e.z) + (int64_t)f.size + inner + h.slot * 0;
    sum += i + (int64_t)j + k + l + (int64_t)m.y + (int64_t)n.count + o + p;
    return status == RR_OK ? sum : -1;
}

typedef struct Wide {
    int sum;
} Wide;
REMOTE_ACTOR(Wide, create, int, a, int, b, int, c, int, d, int, e, int, f, int, g, int, h, int, i,
             int, j, int, k, int, l, int, m, int, n, int, o, int, p) {
    self->sum = a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + 100 * p;
}
REMOTE_METHOD(int, Wide, add, int, a, int, b, int, c, int, d, int, e, int, f, int, g, int, h, int,
              i, int, j, int, k, int, l, int, m, int, n, int, o, int, p) {
    return self->sum += a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + 100 * p;
}
REMOTE_STREAM(int, sixteen_items, int, a, int, b, int, c, int, d, int, e, int, f, int, g, int, h,
              int, i, int, j, int, k, int, l, int, m, int, n, int, o, int, p) {
    int all[16] = {a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p};
    for (int at = 0; at < 16; at++) rr_yield(int, all[at]);
}
REMOTE_FN(int, wide_sum, int, a, int, b, int, c, int, d, int, e, int, f, int, g, int, h, int, i,
          int, j, int, k, int, l, int, m, int, n, int, o, int, p) {
    return a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p;
}
REMOTE_FN(int, wide_bytes, int, a, int, b, int, c, int, d, int, e, int, f, int, g, int, h, int, i,
          int, j, int, k, int, l, int, m, int, n, int, o, rr_bytes, p) {
    return a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + (int)p.size;
}
#define FIFTEEN 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15

/* Each argument of the mixed function as a value or, if its bit is set, as a reference. */
TEST_RUN(sixteen_arguments_each_as_a_value_and_as_a_reference, .workers = 2) {
    rr_ref inner = rr_put(int, 1000), two[2] = {rr_put(int, 1), rr_put(int, 2)};
    rr_ref many = rr_gather(two, 2), bytes = rr_put_bytes("12345", 5);
    rr_actor actor = rr_spawn(Wide_create, FIFTEEN, 0);
    triple t = {1, 2, 3};
    int64_t sum = 1 + 2 + 3 + 4 + 4 + 5 + 1000 + 1 + 6 + 7 + 8 + 2 + 2 + 9 + 10;
    int64_t v = 0;
    CHECK(rr_get(int64_t,
                 rr_call(sum_of_sixteen, 1, 2, 3, 4.5, t, rr_bytes_of("12345", 5), inner, actor,
                         true, 6.5f, 7, 8, t, many, 9, 10),
                 &v) == RR_OK);
    CHECK(v == sum);
    rr_ref a = rr_put(int8_t, 1), b = rr_put(int, 2), c = rr_put(int64_t, 3), d = rr_put(double, 4);
    rr_ref e = rr_put(triple, t), i = rr_put(bool, true), j = rr_put(float, 6),
           k = rr_put(uint16_t, 7);
    rr_ref l = rr_put(int, 8), o = rr_put(char, 9), p = rr_put(int64_t, 10);
    CHECK(rr_get(int64_t,
                 rr_call(sum_of_sixteen, a, b, c, d, e, bytes, inner, actor, i, j, k, l, e, many, o,
                         p),
                 &v) == RR_OK);
    CHECK(v == sum);
    CHECK(rr_get(int64_t, rr_call(sum_of_nine, 1, 1, 1, 0, 0, 0, 0, 0, l), &v) == RR_OK);
    CHECK(v == 8000111);
    CHECK(rr_get(int64_t, rr_call_named("sum_of_nine", b, RR_VALUE(int, 1), b, b, b, b, b, b, b),
                 &v) == RR_OK);
    CHECK(v == 2 + 10 + 200 + 10 + 2000000);
}

TEST_RUN(sixteen_parameters_of_actors_and_streams, .workers = 2) {
    int v = 0;
    rr_ref two = rr_put(int, 2), r;
    rr_actor actor = rr_spawn(Wide_create, FIFTEEN, two);
    CHECK(rr_get(int, rr_ask(actor, Wide_add, FIFTEEN, two), &v) == RR_OK && v == 2 * (120 + 200));
    rr_stream s = rr_call_stream(sixteen_items, FIFTEEN, rr_put(int, 16));
    for (int i = 1; i <= 16; i++)
        CHECK(rr_next(s, &r) == RR_OK && rr_get(int, r, &v) == RR_OK && v == i);
    CHECK(rr_next(s, &r) == RR_ERR_END);
    rr_release(s);
    rr_release(actor);
}

static bool message_names(rr_ref r, const char *word) {
    const char *text = rr_error_message(r);
    if (!strstr(text, word)) fprintf(stderr, "no '%s' in: %s\n", word, text);
    return strstr(text, word) != NULL;
}
TEST_RUN(last_of_sixteen_arguments_fails_is_missing_or_is_of_another_type, .workers = 1) {
    char text[400];
    rr_ref late = unsealed(4), bad = rr_call_named("no such function"), wrong = rr_put(double, 1);
    rr_ref r = rr_call(wide_sum, FIFTEEN, bad);
    CHECK(rr_get_void(r) == RR_ERR_NOT_FOUND && message_names(r, "its argument 16"));
    r = rr_call(wide_sum, FIFTEEN, wrong);
    CHECK(rr_get_void(r) == RR_ERR_TYPE && message_names(r, "its argument 16"));
    rr_ref pending = rr_call(wide_bytes, FIFTEEN, late);
    CHECK(rr_why(pending, text, sizeof text) == RR_OK && !rr_ready(pending));
    CHECK(rr_cancel(pending) == RR_OK && rr_get_void(pending) == RR_ERR_CANCELLED);
    CHECK(rr_seal(late) == RR_OK);
}

int main(int argc, char **argv) { return test_main(argc, argv); }
