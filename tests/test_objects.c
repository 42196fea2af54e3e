/* Guards the objects: what is put comes back bit by bit, with its type checked and its bytes on a
   cache line; rr_create, rr_seal and rr_result refuse misuse; sizes that cannot be are errors. */
#define _GNU_SOURCE
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"

/* The sanitizers' malloc must answer impossible sizes as malloc does. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) { return "allocator_may_return_null=1"; }

typedef struct tiny { char c; } tiny;
typedef struct pair { int a, b; } pair;
typedef struct twin { int a, b; } twin;
typedef struct big { unsigned char bytes[5000]; } big;
typedef struct wide { _Alignas(16) double d[4]; } wide;
typedef union either { int i; double d; } either;
typedef enum colour { RED, GREEN = 77 } colour;

static uint64_t live(void) {
    rr_stats s;
    rr_get_stats(&s);
    return s.objects_live;
}
static uint64_t used(void) {
    rr_stats s;
    rr_get_stats(&s);
    return s.store_bytes_used;
}

#define ROUND_TRIP(T, v)                                                                           \
    do {                                                                                           \
        T out;                                                                                     \
        memset(&out, 0xee, sizeof out);                                                            \
        rr_ref r = rr_put(T, v);                                                                   \
        CHECK(rr_get(T, r, &out) == RR_OK && out == (T)(v));                                       \
        rr_release(r);                                                                             \
    } while (0)

TEST_RUN(scalars_come_back, .workers = 1) {
    ROUND_TRIP(_Bool, 1);
    ROUND_TRIP(char, 'x');
    ROUND_TRIP(signed char, -100);
    ROUND_TRIP(unsigned char, 200);
    ROUND_TRIP(short, -30000);
    ROUND_TRIP(unsigned short, 60000);
    ROUND_TRIP(int, -2000000000);
    ROUND_TRIP(unsigned, 4000000000u);
    ROUND_TRIP(long, -5000000);
    ROUND_TRIP(unsigned long, 5000000);
    ROUND_TRIP(long long, INT64_MIN);
    ROUND_TRIP(unsigned long long, UINT64_MAX);
    ROUND_TRIP(float, 1.5f);
    ROUND_TRIP(double, -2.25);
    ROUND_TRIP(long double, 3.125L);
    ROUND_TRIP(size_t, SIZE_MAX);
    ROUND_TRIP(colour, GREEN);
    CHECK(live() == 0);
}

TEST_RUN(structs_small_and_large_come_back, .workers = 1) {
    rr_scope scope = rr_scope_begin();
    tiny t = {0};
    pair p = {0};
    either e = {0};
    wide w = {{0}};
    static big in, out;
    memset(&in, 0xab, sizeof in);
    CHECK(rr_get(tiny, rr_put(tiny, {'q'}), &t) == RR_OK && t.c == 'q');
    CHECK(rr_get(pair, rr_put(pair, {1, 2}), &p) == RR_OK && p.a == 1 && p.b == 2);
    CHECK(rr_get(pair, rr_put(pair, p), &p) == RR_OK && p.a == 1 && p.b == 2);
    CHECK(rr_get(either, rr_put(either, {.d = 0.5}), &e) == RR_OK && e.d == 0.5);
    CHECK(rr_get(wide, rr_put(wide, {{1, 2, 3, 4}}), &w) == RR_OK && w.d[3] == 4);
    CHECK(rr_get(big, rr_put(big, in), &out) == RR_OK && !memcmp(&in, &out, sizeof in));
    rr_scope_end(scope);
    CHECK(live() == 0);
}

REMOTE_FN(int, objects_aligned, wide, w, big, b, wide, v) {
    uintptr_t odd = ((uintptr_t)&w | (uintptr_t)&v) & (_Alignof(wide) - 1);
    return odd == 0 && w.d[0] == 1 && v.d[3] == 8 && b.bytes[4999] == 3;
}

TEST_RUN(structs_of_any_alignment_as_arguments, .workers = 1) {
    static big b;
    memset(&b, 3, sizeof b);
    wide w = {{1, 2, 3, 4}}, v = {{5, 6, 7, 8}};
    int ok = 0;
    CHECK(rr_get(int, rr_call(objects_aligned, w, b, v), &ok) == RR_OK && ok);
    CHECK(rr_get(int, rr_call(objects_aligned, rr_put(wide, w), b, rr_put(wide, v)), &ok) == RR_OK);
    CHECK(ok);
}

TEST_RUN(scalars_match_by_what_they_are, .workers = 1) {
    int32_t i32 = 0;
    int64_t i64 = 0;
    long l = 0;
    long long ll = 0;
    unsigned u = 0;
    rr_ref r = rr_put(int, 42);
    CHECK(rr_get(int32_t, r, &i32) == RR_OK && i32 == 42);
    CHECK(rr_get(unsigned, r, &u) == RR_ERR_TYPE);
    CHECK(rr_get(int64_t, r, &i64) == RR_ERR_TYPE);
    if (sizeof l == sizeof i64) { /* not on Windows */
        CHECK(rr_get(long, rr_put(int64_t, 43), &l) == RR_OK && l == 43);
        CHECK(rr_get(int64_t, rr_put(long, 44), &i64) == RR_OK && i64 == 44);
        CHECK(rr_get(long long, rr_put(long, 45), &ll) == RR_OK && ll == 45);
    } else {
        CHECK(rr_get(long, rr_put(int32_t, 43), &l) == RR_OK && l == 43);
        CHECK(rr_get(int64_t, rr_put(long, 44), &i64) == RR_ERR_TYPE);
    }
    CHECK(rr_get(long long, rr_put(int64_t, 45), &ll) == RR_OK && ll == 45);
    const int constant = 46;
    CHECK(rr_get(int, rr_put(const int, constant), &(int){0}) == RR_OK);
    const pair p = {1, 2};
    pair q = {0};
    CHECK(rr_get(pair, rr_put(const pair, p), &q) == RR_OK && q.b == 2);
}

TEST_RUN(other_types_are_refused_and_the_output_is_zeroed, .workers = 1) {
    double d = 1;
    float x = 1;
    twin t = {1, 1};
    int n = 1;
    rr_bytes view = {&d, 1};
    rr_many many = {&view, 1};
    rr_ref inner = {1, 1, 1}, r = rr_put(int, 42), p = rr_put(pair, {1, 2});
    CHECK(rr_get(double, r, &d) == RR_ERR_TYPE && d == 0);
    CHECK(strstr(rr_error_message(r), "int") && strstr(rr_error_message(r), "double"));
    CHECK(rr_get(float, r, &x) == RR_ERR_TYPE && x == 0);
    CHECK(rr_get(twin, p, &t) == RR_ERR_TYPE && t.a == 0); /* the same layout, another name */
    CHECK(rr_get(int, p, &n) == RR_ERR_TYPE && n == 0);
    CHECK(rr_get(rr_many, r, &many) == RR_ERR_TYPE && many.count == 0 && !many.items);
    CHECK(rr_get(rr_ref, r, &inner) == RR_ERR_TYPE && inner.id == 0);
    CHECK(rr_get(int, r, &n) == RR_OK && n == 42); /* a refused read changes nothing */
    CHECK(rr_get_void(r) == RR_OK);
}

TEST_RUN(wrong_type_is_told_at_the_parameter_it_meets, .workers = 1) {
    wide w = {{0}};
    rr_ref wrong = rr_call(objects_aligned, w, rr_put(pair, {1, 2}), w);
    CHECK(rr_get_void(wrong) == RR_ERR_TYPE);
    CHECK(strstr(rr_error_message(wrong), "big") && strstr(rr_error_message(wrong), "pair"));
    CHECK(strstr(rr_error_message(wrong), "objects_aligned"));
}

TEST_RUN(bytes_of_every_size_come_back_on_a_cache_line, .workers = 1) {
    static const size_t sizes[] = {0,   1,    2,    7,    8,    15,    16,    17,      31,      32,
                                   33,  63,   64,   65,   100,  127,   128,   129,     255,     256,
                                   257, 1000, 4095, 4096, 4097, 65535, 65536, 1000001, 10 << 20};
    unsigned char *data = malloc(10 << 20);
    if (!CHECK(data != NULL)) return;
    for (size_t i = 0; i < 10 << 20; i++) data[i] = (unsigned char)(i * 7 + i / 251);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        rr_ref r = rr_put_bytes(data, sizes[i]);
        rr_bytes view = {data, 99};
        CHECK(rr_get(rr_bytes, r, &view) == RR_OK && view.size == sizes[i]);
        CHECK(view.size == 0 || (view.data != data && !memcmp(view.data, data, view.size)));
        CHECK(((uintptr_t)view.data & 63) == 0);
        rr_release(r);
    }
    free(data);
    CHECK(live() == 0 && used() == 0);
}

TEST_RUN(all_small_sizes_keep_to_their_own_memory, .workers = 1) {
    rr_scope scope = rr_scope_begin();
    unsigned char data[600];
    static rr_ref refs[600];
    for (int i = 0; i < 600; i++) {
        memset(data, i, sizeof data);
        refs[i] = rr_put_bytes(data, (size_t)i);
    }
    for (int i = 0; i < 600; i++) {
        rr_bytes view = {0};
        CHECK(rr_get(rr_bytes, refs[i], &view) == RR_OK && view.size == (size_t)i);
        for (int k = 0; k < i; k++)
            if (!CHECK(((const unsigned char *)view.data)[k] == (unsigned char)i)) break;
    }
    rr_scope_end(scope);
    CHECK(live() == 0 && used() == 0);
}

TEST_RUN(put_copies_what_it_gets, .workers = 1) {
    char data[3000] = "before";
    rr_ref r = rr_put_bytes(data, sizeof data);
    strcpy(data, "after");
    rr_bytes view = {0};
    CHECK(rr_get(rr_bytes, r, &view) == RR_OK && !strcmp(view.data, "before"));
    rr_ref again = rr_put(rr_bytes, rr_bytes_of(data, sizeof data));
    strcpy(data, "later");
    CHECK(rr_get(rr_bytes, again, &view) == RR_OK && view.size == sizeof data);
    CHECK(!strcmp(view.data, "after"));
}

TEST_RUN(put_bytes_of_nothing_and_of_null, .workers = 1) {
    rr_bytes view = {"x", 1};
    CHECK(rr_get(rr_bytes, rr_put_bytes(NULL, 0), &view) == RR_OK && view.size == 0);
    rr_ref wrong = rr_put_bytes(NULL, 5);
    CHECK(rr_get(rr_bytes, wrong, &view) == RR_ERR_INVALID && !view.data && view.size == 0);
}

TEST_RUN(created_object_is_not_seen_before_it_is_sealed, .workers = 1) {
    void *room = NULL;
    rr_ref r = rr_create(100, &room);
    if (!CHECK(room != NULL)) return;
    CHECK(((uintptr_t)room & 63) == 0 && !rr_ready(r));
    rr_bytes view = {0};
    CHECK(rr_get_timeout(rr_bytes, r, &view, 0) == RR_ERR_TIMEOUT && !view.data);
    memset(room, 5, 100);
    CHECK(rr_seal(r) == RR_OK && rr_ready(r));
    CHECK(rr_get(rr_bytes, r, &view) == RR_OK && view.data == room && view.size == 100);
    CHECK(rr_seal(r) == RR_ERR_INVALID);
    rr_release(r);
    CHECK(rr_seal(r) == RR_ERR_STALE && live() == 0 && used() == 0);
}

REMOTE_FN(int, objects_seven) { return 7; }

TEST_RUN(seal_refuses_what_create_did_not_make, .workers = 1) {
    rr_ref put = rr_put(int, 1), bytes = rr_put_bytes("x", 1), call = rr_call(objects_seven);
    CHECK(rr_seal(put) == RR_ERR_INVALID);
    CHECK(rr_seal(bytes) == RR_ERR_INVALID);
    CHECK(rr_seal(call) == RR_ERR_INVALID);
    CHECK(rr_get_void(call) == RR_OK && rr_seal(call) == RR_ERR_INVALID);
    CHECK(rr_seal(rr_gather(&put, 1)) == RR_ERR_INVALID);
}

TEST_RUN(created_object_of_zero_bytes, .workers = 1) {
    void *room = NULL;
    rr_bytes view = {"x", 1};
    rr_ref r = rr_create(0, &room);
    CHECK(rr_seal(r) == RR_OK);
    CHECK(rr_get(rr_bytes, r, &view) == RR_OK && view.size == 0);
}

TEST_RUN(created_object_dropped_before_seal, .workers = 1) {
    void *room = NULL;
    rr_ref r = rr_create(100000, &room);
    rr_release(r);
    CHECK(rr_seal(r) == RR_ERR_STALE && live() == 0 && used() == 0);
}

TEST_RUN(sizes_that_cannot_be_are_errors, .workers = 1) {
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 63, SIZE_MAX - 4096,
                                   SIZE_MAX / 2, SIZE_MAX / 2 + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *room = f;
        rr_ref r = rr_create(sizes[i], &room);
        rr_status status = rr_get_void(r);
        CHECK(room == NULL);
        CHECK(status == RR_ERR_NO_MEMORY || status == RR_ERR_STORE_FULL ||
              status == RR_ERR_INVALID);
        CHECK(strlen(rr_error_message(r)) > 0);
        status = rr_get_void(rr_put_bytes("x", sizes[i]));
        CHECK(status == RR_ERR_NO_MEMORY || status == RR_ERR_STORE_FULL ||
              status == RR_ERR_INVALID);
        status = rr_get_void(rr_gather(&r, sizes[i]));
        CHECK(status == RR_ERR_NO_MEMORY || status == RR_ERR_STORE_FULL ||
              status == RR_ERR_INVALID);
    }
    CHECK(used() == 0);
}

/* Results made in place. */
REMOTE_FN(rr_bytes, objects_exact, size_t, size) {
    unsigned char *p = rr_result(size);
    if (p) memset(p, 1, size);
    return rr_bytes_of(p, size);
}
REMOTE_FN(rr_bytes, objects_shrunk, size_t, room, size_t, size) {
    unsigned char *p = rr_result(room);
    if (p) memset(p, 2, room);
    return rr_bytes_of(p, size);
}
REMOTE_FN(rr_bytes, objects_twice, size_t, first, size_t, second) {
    unsigned char *p = rr_result(first);
    if (p) memset(p, 9, first);
    p = rr_result(second);
    if (p) memset(p, 3, second);
    return rr_bytes_of(p, second);
}
REMOTE_FN(rr_bytes, objects_foreign, size_t, size) {
    static const unsigned char fours[4096] = {4, 4, 4, 4};
    unsigned char *unused = rr_result(100);
    if (unused) memset(unused, 9, 100);
    return rr_bytes_of(fours, size);
}
REMOTE_FN(rr_bytes, objects_null, size_t, size) { return rr_bytes_of(NULL, size); }
REMOTE_FN(rr_bytes, objects_beyond, size_t, room, size_t, size) {
    return rr_bytes_of(rr_result(room), size);
}
REMOTE_FN(rr_bytes, objects_middle) {
    unsigned char *p = rr_result(1000);
    for (int i = 0; p && i < 1000; i++) p[i] = (unsigned char)i;
    return rr_bytes_of(p ? p + 100 : p, 50);
}
REMOTE_FN(int, objects_result_unused) { return rr_result(5000) != NULL; }
REMOTE_FN(rr_bytes, objects_argument_back, rr_bytes, b) { return b; }

static bool gives(rr_ref r, size_t size, int byte) {
    rr_bytes view = {0};
    bool ok = rr_get(rr_bytes, r, &view) == RR_OK && view.size == size;
    for (size_t i = 0; ok && i < size; i++) ok = ((const unsigned char *)view.data)[i] == byte;
    return ok && ((uintptr_t)view.data & 63) == 0;
}

TEST_RUN(result_made_in_place, .workers = 1) {
    rr_scope scope = rr_scope_begin();
    static const size_t sizes[] = {0, 1, 16, 63, 64, 65, 4096, 1000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CHECK(gives(rr_call(objects_exact, sizes[i]), sizes[i], 1));
        CHECK(gives(rr_call(objects_shrunk, sizes[i] + 1000, sizes[i]), sizes[i], 2));
        CHECK(gives(rr_call(objects_twice, 100000 - i, sizes[i]), sizes[i], 3));
        CHECK(gives(rr_call(objects_twice, 1, sizes[i]), sizes[i], 3));
    }
    CHECK(gives(rr_call(objects_foreign, (size_t)4), 4, 4));
    rr_scope_end(scope);
    CHECK(objects_settle_at(0) && used() == 0);
}

TEST_RUN(result_out_of_the_middle_of_its_room, .workers = 1) {
    rr_bytes view = {0};
    rr_ref r = rr_call(objects_middle);
    CHECK(rr_get(rr_bytes, r, &view) == RR_OK && view.size == 50);
    CHECK(view.size == 50 && *(const unsigned char *)view.data == 100);
    CHECK(((uintptr_t)view.data & 63) == 0);
    rr_release(r);
    CHECK(objects_settle_at(0) && used() == 0);
}

TEST_RUN(result_that_is_an_argument, .workers = 1) {
    unsigned char data[3000];
    memset(data, 6, sizeof data);
    rr_ref in = rr_put_bytes(data, sizeof data), out = rr_call(objects_argument_back, in);
    CHECK(gives(out, sizeof data, 6));
    rr_release(in);
    CHECK(objects_settle_at(1) && gives(out, sizeof data, 6));
    CHECK(gives(rr_call(objects_argument_back, rr_bytes_of(data, 10)), 10, 6));
}

TEST_RUN(null_result_with_a_size_is_an_error, .workers = 1) {
    CHECK(gives(rr_call(objects_null, (size_t)0), 0, 0));
    rr_ref r = rr_call(objects_null, (size_t)10);
    CHECK(rr_get_void(r) == RR_ERR_INVALID);
    CHECK(strstr(rr_error_message(r), "objects_null") != NULL);
}

TEST_RUN(result_longer_than_its_room_is_an_error, .workers = 1) {
    rr_ref r = rr_call(objects_beyond, (size_t)1000, (size_t)1000000);
    CHECK(rr_get_void(r) == RR_ERR_INVALID && strlen(rr_error_message(r)) > 0);
    rr_release(r);
    CHECK(objects_settle_at(0) && used() == 0);
}

TEST_RUN(result_room_that_is_not_used, .workers = 1) {
    rr_ref r = rr_call(objects_result_unused);
    CHECK(rr_get_void(r) == RR_OK);
    rr_release(r);
    CHECK(objects_settle_at(0) && used() == 0);
}

TEST_RUN(result_of_impossible_size_fails_the_task, .workers = 1, .store_bytes = 1 << 20) {
    CHECK(rr_get_void(rr_call(objects_exact, (size_t)2 << 20)) == RR_ERR_STORE_FULL);
    rr_status status = rr_get_void(rr_call(objects_exact, SIZE_MAX));
    CHECK(status == RR_ERR_NO_MEMORY || status == RR_ERR_STORE_FULL || status == RR_ERR_INVALID);
    CHECK(used() == 0);
}

TEST_RUN(result_outside_a_body_is_null_with_a_warning, .workers = 1) {
    CHECK(rr_result(10) == NULL && f->warnings == 1);
}

TEST_RUN(store_limit_is_honoured_and_given_back, .workers = 1, .store_bytes = 1 << 20,
         .no_spill = true) {
    static char data[300 << 10];
    rr_ref refs[3];
    for (int i = 0; i < 3; i++) refs[i] = rr_put_bytes(data, sizeof data);
    CHECK(used() <= 1 << 20);
    rr_ref full = rr_put_bytes(data, sizeof data);
    CHECK(rr_get_void(full) == RR_ERR_STORE_FULL);
    CHECK(strstr(rr_error_message(full), "store_bytes") != NULL);
    void *room = data;
    CHECK(rr_get_void(rr_create(sizeof data, &room)) == RR_ERR_STORE_FULL && room == NULL);
    CHECK(rr_get_void(rr_put(int, 1)) == RR_OK); /* small values live in their slot */
    rr_release(refs[1]);
    refs[1] = rr_put_bytes(data, sizeof data);
    CHECK(rr_get_void(refs[1]) == RR_OK);
    for (int i = 0; i < 3; i++) rr_release(refs[i]);
    CHECK(used() == 0);
}

TEST_RUN(memory_is_used_again, .workers = 2, .store_bytes = 64 << 20) {
    static char data[1 << 20];
    for (int i = 0; i < 2000; i++) { /* 2 GB in all, in sizes that vary */
        rr_ref r = rr_put_bytes(data, sizeof data - (size_t)(i % 700) * 1000);
        if (!CHECK(rr_get_void(r) == RR_OK)) break;
        rr_release(r);
    }
    CHECK(used() == 0);
}

typedef struct put_job { int number; bool ok; } put_job;
static void put_and_get(void *data) {
    put_job *job = data;
    unsigned char bytes[3000];
    job->ok = true;
    rr_scope scope = rr_scope_begin();
    rr_ref before = {0};
    for (int i = 0; i < 2000 && job->ok; i++) {
        size_t size = (size_t)(i * 37 + job->number) % sizeof bytes;
        memset(bytes, i + job->number, size);
        rr_ref r = rr_put_bytes(bytes, size);
        job->ok = gives(r, size, (unsigned char)(i + job->number));
        rr_release(before);
        before = r;
    }
    rr_scope_end(scope);
}

TEST_RUN(many_threads_put_and_get, .workers = 2) {
    outside threads[4];
    put_job jobs[4];
    for (int i = 0; i < 4; i++) {
        jobs[i].number = i;
        outside_start(&threads[i], f->runtime, put_and_get, &jobs[i]);
    }
    for (int i = 0; i < 4; i++) {
        outside_join(&threads[i]);
        CHECK(jobs[i].ok);
    }
    CHECK(live() == 0 && used() == 0);
}

/* What nobody has written yet when the runtime ends. */
TEST(end_of_a_runtime_with_values_on_their_way_to_disk) {
    enum { SIZE = 9 << 19, ROUNDS = 8 };
    char *bytes = calloc(1, SIZE);
    for (int round = 0; bytes && round < ROUNDS; round++) {
        fixture f;
        START(&f, .workers = 1, .store_bytes = 144 << 20);
        rr_stats now;
        for (int i = 0; i < (144 << 20) / SIZE + 1; i++)
            CHECK(rr_get_void(rr_put_bytes(bytes, SIZE)) == RR_OK);
        rr_get_stats(&now);
        CHECK(now.objects_spilled > 0);
        fixture_stop(&f);
    }
    free(bytes);
}

typedef struct brick { char bytes[700]; } brick;
REMOTE_FN(brick, size_brick, int, v) { return (brick){{(char)v}}; }
REMOTE_FN(void, size_nothing, rr_ref, gate) { (void)gate; }
REMOTE_FN(int, size_fails, int, v) { return rr_fail(1, "%d", v), v; }
REMOTE_FN(rr_ref, size_handle, int, v) { return rr_put(int, v); }
REMOTE_FN(int, size_waits, rr_bytes, b) { return (int)b.size; }
static size_t size_when_ready(rr_ref ref) { return (void)rr_get_void(ref), rr_size(ref); }

TEST_SCOPE(size_without_reading, .workers = 1) {
    void *room = NULL;
    rr_ref gate = rr_create(77, &room), waits = rr_call(size_waits, gate);
    CHECK(rr_size(gate) == 77 && rr_size(waits) == 0); /* not sealed, pending */
    CHECK(rr_seal(gate) == RR_OK && rr_size(gate) == 77 && size_when_ready(waits) == sizeof(int));
    rr_ref small = rr_put(double, 1.5), empty = rr_put_bytes(NULL, 0);
    rr_ref large = rr_call(size_brick, 3), nothing = rr_call(size_nothing, small);
    CHECK(rr_size(small) == sizeof(double) && rr_size(empty) == 0);
    CHECK(size_when_ready(large) == sizeof(brick) && size_when_ready(nothing) == 0);
    CHECK(size_when_ready(rr_call(size_fails, 1)) == 0);
    CHECK(size_when_ready(rr_call(size_handle, 1)) == sizeof(rr_ref));
    rr_ref parts = rr_gather((rr_ref[]){small, large, gate}, 3);
    CHECK(rr_size(parts) == sizeof(double) + sizeof(brick) + 77);
    CHECK(rr_size(rr_gather((rr_ref[]){parts, small}, 2)) == 3 * sizeof(rr_bytes) + sizeof(double));
    CHECK(rr_size((rr_ref){0}) == 0);
}
TEST(size_of_what_lies_in_a_file_leaves_it_there) {
    static char block[3 << 20];
    fixture f;
    START(&f, .workers = 1, .store_bytes = 4 << 20);
    rr_ref first = rr_put_bytes(block, sizeof block), second = rr_put_bytes(block, 3000000);
    CHECK(rr_get_void(first) == RR_OK && rr_get_void(second) == RR_OK);
    CHECK(rr_size(first) == sizeof block && rr_size(second) == 3000000);
    rr_stats now;
    rr_get_stats(&now);
    CHECK(now.objects_spilled == 1 && now.objects_restored == 0);
    rr_release(first), rr_release(second);
    CHECK(rr_size(first) == 0);
    fixture_stop(&f);
}
TEST_SCOPE(exists_as_long_as_the_name_is_given, .workers = 1) {
    rr_ref one = rr_put_as("exists", int, 1);
    CHECK(rr_exists("exists") && !rr_exists("exists not") && !rr_exists("") && !rr_exists(NULL));
    rr_release(one);
    CHECK(rr_exists("exists"));
    CHECK(rr_name("exists", (rr_ref){0}) == RR_OK && !rr_exists("exists"));
}

TEST(put_without_a_runtime_is_an_error) {
    rr_ref r = rr_put(int, 1);
    int n = 1;
    CHECK(rr_get(int, r, &n) == RR_ERR_NOT_RUNNING && n == 0);
    void *room = &n;
    CHECK(rr_get_void(rr_create(10, &room)) == RR_ERR_NOT_RUNNING && room == NULL);
    rr_release(r), rr_retain(r);
    CHECK(rr_seal(r) == RR_ERR_NOT_RUNNING);
    CHECK(rr_size(r) == 0 && !rr_exists("anything"));
}

int main(int argc, char **argv) { return test_main(argc, argv); }
