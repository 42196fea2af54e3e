/* Guards streams and the members of results: every object comes once and in order, the end and its
   reason are told, who writes too fast waits without a worker, who lets go ends the body, and
   nothing unread is left. */
#define _GNU_SOURCE
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include <limits.h>
#include <sched.h>
#include "test.h"
#include "fixture.h"

/* What a test shares with its bodies, which get its address as a number. */
typedef struct desk {
    atomic_int begun, yielded, told, ended, runs, status, count;
    atomic_bool open;
    atomic_bool has_handles; /* those below are there */
    rr_stream stream;
    rr_ref ref;
} desk;
static desk *desk_at(uint64_t at) { return (desk *)(uintptr_t)at; }
#define AT(d) ((uint64_t)(uintptr_t)(d))
#define COUNT_OF(a) (sizeof(a) / sizeof *(a))
static void nap(void) { nanosleep(&(struct timespec){0, 1000000}, NULL); } /* is not told */
static bool is_null(rr_ref r) { return r.id == 0 && r.slot == 0 && r.home == 0; }

/* The next int, and its reference given back; -1 if there is none. */
static rr_status next_int(rr_stream s, int *v) {
    rr_ref r = {1, 1, 1};
    rr_status status = rr_next(s, &r);
    *v = -1;
    if (status != RR_OK) CHECK(is_null(r));
    else CHECK(rr_ready(r) && rr_get(int, r, v) == RR_OK), rr_release(r);
    return status;
}
static bool next_is(rr_stream s, int wanted) {
    int v;
    return CHECK(next_int(s, &v) == RR_OK && v == wanted);
}
/* The end is told each time. */
static bool ends_with(rr_stream s, rr_status end) {
    rr_ref r = {1, 1, 1};
    bool same = true;
    for (int i = 0; i < 3; i++) {
        rr_status status = i < 2 ? rr_next(s, &r) : rr_next_timeout(s, 0, &r);
        if (status != end)
            fprintf(stderr, "%s, not %s: %s\n", rr_status_name(status), rr_status_name(end),
                    rr_error_message((rr_ref){0}));
        same = same && status == end && is_null(r);
    }
    return same;
}
/* Reads from, from + 1, ... up to the end; how many there were. */
static int read_on(rr_stream s, int from, rr_status end) {
    int n = 0, v;
    while (next_int(s, &v) == RR_OK)
        if (!CHECK(v == from + n++)) break;
    CHECK(ends_with(s, end));
    return n;
}
/* What the thread's last call without a reference said. */
static bool said(const char *word) {
    const char *text = rr_error_message((rr_ref){0});
    if (!strstr(text, word)) fprintf(stderr, "no '%s' in: %s\n", word, text);
    return strstr(text, word) != NULL;
}
/* Ends within 20 s, however loaded the machine is; runs nothing itself. */
static rr_status outcome(rr_ref r) {
    CHECK(rr_wait(&r, 1, 1, 20000, NULL) == 1);
    return rr_get_void(r);
}
/* Nothing lives, and each task was counted once. */
static void comes_to_rest(void) {
    rr_stats s;
    CHECK(objects_settle_at(0) && actors_settle_at(0));
    for (int i = 0; i < 5000; i++) {
        rr_get_stats(&s);
        if (s.tasks_submitted == s.tasks_finished + s.tasks_failed) break;
        nap();
    }
    CHECK(s.tasks_submitted == s.tasks_finished + s.tasks_failed && s.store_bytes_used == 0);
}
static void stop(fixture *f) {
    comes_to_rest();
    fixture_stop(f);
}

REMOTE_FN(int, stream_add, int, a, int, b) { return a + b; }
REMOTE_FN(int, stream_size, rr_bytes, b) { return (int)b.size; }
REMOTE_FN(int, stream_bad, int, code) {
    rr_fail(code, "as asked");
    return 0;
}
/* Keeps its worker until the desk opens. */
REMOTE_FN(int, stream_busy, uint64_t, at) {
    desk_at(at)->begun++;
    while (!desk_at(at)->open) nap();
    return 7;
}
/* Yields n numbers, unless it is told to end before. */
REMOTE_STREAM(int, stream_count, uint64_t, at, int, from, int, n) {
    desk *d = desk_at(at);
    rr_status status = RR_OK;
    d->begun++;
    for (int i = 0; i < n && status == RR_OK; i++) {
        status = rr_yield(int, from + i);
        d->yielded += status == RR_OK;
    }
    d->status = (int)status;
    d->told += rr_cancelled();
    d->ended++;
}
/* The same, and fails then. */
REMOTE_STREAM(int, stream_fails, uint64_t, at, int, n, int, code) {
    stream_count(at, 0, n);
    rr_fail(code, "row %d is torn", n);
}
/* Yields n numbers, then the others when the desk is open or it is told. */
REMOTE_STREAM(int, stream_halves, uint64_t, at, int, n, int, rest) {
    desk *d = desk_at(at);
    for (int i = 0; i < n; i++) rr_yield(int, i);
    d->begun++;
    while (!d->open && !rr_cancelled()) nap();
    stream_count(at, n, rest);
}
REMOTE_STREAM(int, stream_empty) {}
static rr_stream endless(desk *d, int max_unread) {
    return rr_call_stream_with(RR_OPTIONS(.max_unread = max_unread), stream_count, AT(d), 0,
                               INT_MAX);
}

/* ---- order and ends ---- */

TEST(objects_come_in_order) {
    enum { COUNT = 2000 };
    int limits[5] = {0, 1, 3, 100, 100000};
    for (int i = 0; i < 5; i++) {
        fixture f;
        desk d = {.begun = 0};
        START(&f, .workers = 1 + i % 2);
        rr_options options = {.max_unread = limits[i]};
        rr_stream s = rr_call_stream_with(options, stream_count, AT(&d), 0, COUNT);
        CHECK(read_on(s, 0, RR_ERR_END) == COUNT);
        CHECK(d.begun == 1 && d.yielded == COUNT && becomes(&d.ended, 1) && d.told == 0);
        rr_release(s);
        stop(&f);
    }
}

TEST(objects_wait_for_a_late_reader) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    rr_stream s = rr_call_stream(stream_count, AT(&d), 5, 1000);
    CHECK(becomes(&d.ended, 1) && d.yielded == 1000 && d.told == 0);
    CHECK(read_on(s, 5, RR_ERR_END) == 1000);
    rr_release(s);
    stop(&f);
}

TEST(empty_stream) {
    fixture f;
    START(&f, .workers = 1);
    rr_stream s = rr_call_stream(stream_empty);
    CHECK(ends_with(s, RR_ERR_END));
    rr_release(s);
    rr_release(rr_call_stream(stream_empty));
    stop(&f);
    CHECK(f.warnings + f.errors == 0);
}

/* Reads one, which is the end. */
static void meet_end(void *data) {
    desk *d = data;
    int v;
    d->runs++;
    rr_status status = next_int(d->stream, &v);
    d->count += status == RR_ERR_END || status == RR_ERR_TASK;
}
REMOTE_FN(int, stream_meet_end, uint64_t, at) {
    meet_end(desk_at(at));
    return 1;
}
REMOTE_STREAM(int, stream_fails_late, uint64_t, at) {
    stream_halves(at, 0, 0);
    rr_fail(3, "late");
}
TEST(end_is_told_to_all_who_wait) {
    enum { READERS = 4 };
    for (int fails = 0; fails < 2; fails++) {
        fixture f;
        desk d = {.begun = 0};
        outside readers[READERS];
        START(&f, .workers = 2);
        d.stream = fails ? rr_call_stream(stream_fails_late, AT(&d))
                         : rr_call_stream(stream_halves, AT(&d), 0, 0);
        CHECK(becomes(&d.begun, 1));
        rr_ref task = rr_call(stream_meet_end, AT(&d));
        for (int i = 0; i < READERS; i++) outside_start(&readers[i], f.runtime, meet_end, &d);
        CHECK(becomes(&d.runs, READERS + 1));
        rr_sleep_ms(2); /* so that they wait, most likely */
        CHECK(d.count == 0);
        d.open = true;
        for (int i = 0; i < READERS; i++) outside_join(&readers[i]);
        CHECK(outcome(task) == RR_OK && d.count == READERS + 1);
        rr_release(task), rr_release(d.stream);
        stop(&f);
    }
}

TEST(end_does_not_overtake_the_last_object) {
    enum { ROUNDS = 20, COUNT = 200 };
    fixture f;
    desk d = {.begun = 0};
    rr_stream streams[COUNT];
    START(&f, .workers = 2);
    for (int i = 0; i < ROUNDS * COUNT; i++) {
        if (i % COUNT == 0)
            for (int k = 0; k < COUNT; k++)
                streams[k] = rr_call_stream(stream_count, AT(&d), 0, k % 3);
        rr_stream s = streams[i % COUNT];
        rr_status status;
        rr_ref r;
        int n = 0;
        while ((status = rr_next_timeout(s, 0, &r)) == RR_OK || status == RR_ERR_TIMEOUT)
            if (status == RR_OK) n++, rr_release(r);
        CHECK(status == RR_ERR_END && n == i % COUNT % 3);
        rr_release(s);
    }
    stop(&f);
}

TEST(failure_comes_after_what_was_yielded) {
    int limits[3] = {0, 1, 7};
    for (int i = 0; i < 3; i++) {
        fixture f;
        desk d = {.begun = 0};
        START(&f, .workers = 1);
        rr_options options = {.max_unread = limits[i]};
        rr_stream s = rr_call_stream_with(options, stream_fails, AT(&d), 20, 7);
        if (!limits[i]) CHECK(becomes(&d.ended, 1)); /* it has failed before anybody reads */
        CHECK(read_on(s, 0, RR_ERR_TASK) == 20);
        CHECK(said("stream_fails") && said("row 20 is torn"));
        rr_release(s);
        s = rr_call_stream_with(options, stream_fails, AT(&d), 0, 8);
        CHECK(ends_with(s, RR_ERR_TASK) && said("row 0 is torn"));
        rr_release(s);
        stop(&f);
    }
}

TEST(failed_streams_are_counted) {
    fixture f;
    desk d = {.begun = 0};
    rr_stats s;
    START(&f, .workers = 1);
    rr_stream good = rr_call_stream(stream_count, AT(&d), 0, 3);
    rr_stream bad = rr_call_stream(stream_fails, AT(&d), 3, 1);
    CHECK(read_on(good, 0, RR_ERR_END) == 3 && read_on(bad, 0, RR_ERR_TASK) == 3);
    rr_get_stats(&s); /* before its end is told */
    CHECK(s.tasks_submitted == 2 && s.tasks_finished == 1 && s.tasks_failed == 1);
    rr_release(good), rr_release(bad);
    stop(&f);
    CHECK(f.warnings + f.errors == 0);
}

/* ---- arguments ---- */

REMOTE_STREAM_DECLARE(int, stream_declared, int, n, int, by);
TEST(streams_of_other_units_and_by_name) {
    fixture f;
    int v;
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    CHECK(rr_register(RR_STREAM(stream_declared)) == RR_OK); /* again */
    rr_stream s = rr_call_stream(stream_declared, 3, rr_put(int, 2));
    CHECK(next_is(s, 0) && next_is(s, 2) && next_is(s, 4) && ends_with(s, RR_ERR_END));
    rr_ref r = rr_call_named("stream_declared", RR_VALUE(int, 3), RR_VALUE(int, 2));
    CHECK(rr_get(int, r, &v) == RR_ERR_INVALID && v == 0);
    CHECK(strstr(rr_error_message(r), "rr_call_stream") != NULL);
    rr_scope_end(scope);
    stop(&f);
}
REMOTE_STREAM(int, stream_declared, int, n, int, by) {
    for (int i = 0; i < n; i++) rr_yield(int, i *by);
}

TEST(stream_whose_argument_failed) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    void *room = NULL;
    rr_ref bad = rr_call(stream_bad, 5), gate = rr_create(1, &room);
    rr_ref late = rr_call(stream_add, bad, rr_call(stream_size, gate));
    rr_stream early = rr_call_stream(stream_count, AT(&d), late, 3);
    CHECK(outcome(bad) == RR_ERR_TASK);
    rr_stream after = rr_call_stream(stream_count, AT(&d), 0, bad);
    CHECK(ends_with(after, RR_ERR_TASK) && said("argument 3 'stream_bad' failed"));
    CHECK(rr_seal(gate) == RR_OK);
    CHECK(ends_with(early, RR_ERR_TASK) && said("argument 2 'stream_add' failed") &&
          said("stream_bad"));
    rr_scope_end(scope);
    stop(&f);
    CHECK(d.begun == 0);
}

TEST(arguments_of_other_types_and_stale_ones) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    rr_ref gone = rr_put(int, 1), real = rr_put(double, 1.5);
    rr_release(gone);
    CHECK(ends_with(rr_call_stream(stream_count, AT(&d), real, 3), RR_ERR_TYPE));
    CHECK(said("stream_count") && said("double"));
    CHECK(ends_with(rr_call_stream(stream_count, AT(&d), 0, gone), RR_ERR_STALE));
    CHECK(ends_with(rr_call_stream(stream_count, AT(&d), 0, (rr_ref){0}), RR_ERR_STALE));
    rr_scope_end(scope);
    stop(&f);
    CHECK(d.begun == 0);
}

TEST(arguments_that_come_late) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    void *room = NULL;
    int v;
    rr_ref r, gate = rr_create(40, &room), n = rr_call(stream_size, gate);
    rr_stream s = rr_call_stream(stream_count, AT(&d), rr_call(stream_add, n, -30), n);
    CHECK(rr_next_timeout(s, 5, &r) == RR_ERR_TIMEOUT && is_null(r) && d.begun == 0);
    CHECK(rr_seal(gate) == RR_OK && next_int(s, &v) == RR_OK && v == 10);
    CHECK(read_on(s, 11, RR_ERR_END) == 39);
    rr_scope_end(scope);
    stop(&f);
}

TEST(options_of_streams_that_cannot_be) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    rr_ref none = rr_call_with(RR_OPTIONS(.max_unread_bytes = 1), stream_add, 1, 2);
    CHECK(rr_get_void(none) == RR_ERR_INVALID && strstr(rr_error_message(none), "for streams"));
    rr_release(none);
    rr_options options[4] = {
        {.max_unread = -1}, {.timeout_ms = -1}, {.retry_delay_ms = -1}, {.max_retries = -2}};
    const char *word[4] = {"max_unread", "timeout_ms", "retry_delay_ms", "max_retries"};
    for (int i = 0; i < 4; i++) {
        rr_stream s = rr_call_stream_with(options[i], stream_count, AT(&d), 0, 1);
        CHECK(ends_with(s, RR_ERR_INVALID) && said(word[i]) && said("stream_count"));
        rr_release(s);
    }
    stop(&f);
    CHECK(d.begun == 0);
}

/* ---- types ---- */

typedef struct wide {
    int number;
    char bytes[3000];
} wide;
typedef struct other {
    int number;
    char bytes[3000];
} other;
typedef struct point {
    double x, y;
} point;

/* What it yields besides is of no type that it may. */
REMOTE_STREAM(int, stream_mixed, uint64_t, at, int, which) {
    rr_status status[6] = {rr_yield(int, 0), rr_yield(int32_t, 1)};
    if (which == 0) status[2] = rr_yield(double, 1.5);
    if (which == 1) status[2] = rr_yield(unsigned, 2u);
    if (which == 2) status[2] = rr_yield(int64_t, 2);
    if (which == 3) status[2] = rr_yield(rr_bytes, rr_bytes_of("text", 4));
    if (which == 4) status[2] = rr_yield(point, {1, 2});
    desk_at(at)->count += status[0] == RR_OK && status[1] == RR_OK && status[2] == RR_ERR_TYPE;
}
REMOTE_STREAM(wide, stream_wide, uint64_t, at, int, n) {
    wide w = {.number = 0};
    other o = {.number = 0};
    for (int i = 0; i < n; i++) {
        memset(w.bytes, i, sizeof w.bytes);
        w.number = i;
        rr_yield(wide, w);
    }
    desk_at(at)->count += n >= 0 || rr_yield(other, o) == RR_ERR_TYPE; /* of the same size */
    desk_at(at)->ended++;
}
TEST(yield_of_another_type_fails_the_stream) {
    static const char *const has[5] = {"double", "unsigned", "int64_t", "rr_bytes", "point"};
    fixture f;
    desk d = {.begun = 0};
    rr_ref r;
    double x = 5;
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    for (int i = 0; i < 5; i++) {
        CHECK(read_on(rr_call_stream(stream_mixed, AT(&d), i), 0, RR_ERR_TYPE) == 2);
        CHECK(d.count == i + 1 && said("stream_mixed") && said(has[i]) && said("of int"));
    }
    CHECK(ends_with(rr_call_stream(stream_wide, AT(&d), -1), RR_ERR_TYPE) && d.count == 6);
    rr_stream s = rr_call_stream(stream_count, AT(&d), 0, 1);
    CHECK(rr_next(s, &r) == RR_OK && rr_get(double, r, &x) == RR_ERR_TYPE && x == 0);
    rr_scope_end(scope);
    stop(&f);
}

/* In the first attempt one fails. */
REMOTE_STREAM(rr_ref, stream_gap, uint64_t, at, int, n) {
    desk *d = desk_at(at);
    d->runs++;
    for (int i = 0; i < n; i++) {
        rr_ref r = rr_put(int, i);
        if (i == 1 && !rr_attempt()) rr_release(r);
        if (rr_yield(rr_ref, r) == RR_ERR_STALE) d->count++;
    }
}
TEST(yield_that_failed_leaves_no_gap) {
    fixture f;
    desk d = {.begun = 0};
    rr_ref r, inner;
    int v, n = 0;
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    rr_stream s = rr_call_stream_with(RR_OPTIONS(.max_retries = 1), stream_gap, AT(&d), 5);
    for (; rr_next(s, &r) == RR_OK; n++)
        CHECK(rr_get(rr_ref, r, &inner) == RR_OK && rr_get(int, inner, &v) == RR_OK && v == n);
    CHECK(n == 5 && ends_with(s, RR_ERR_END) && d.runs == 2 && d.count > 0);
    s = rr_call_stream(stream_gap, AT(&d), 2);
    CHECK(rr_next(s, &r) == RR_OK && ends_with(s, RR_ERR_STALE) && said("stream_gap"));
    rr_scope_end(scope);
    stop(&f);
}

TEST(structs_are_yielded) {
    fixture f;
    desk d = {.begun = 0};
    rr_ref r;
    wide w;
    other o;
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    rr_stream s = rr_call_stream_with(RR_OPTIONS(.max_unread = 5), stream_wide, AT(&d), 50);
    for (int i = 0; i < 50; i++) {
        CHECK(rr_next(s, &r) == RR_OK && rr_get(wide, r, &w) == RR_OK && w.number == i);
        CHECK(w.bytes[0] == i && w.bytes[2999] == i);
    }
    CHECK(rr_get(other, r, &o) == RR_ERR_TYPE && ends_with(s, RR_ERR_END));
    rr_scope_end(scope);
    stop(&f);
}

/* Notes what is unread at most, in bytes. */
REMOTE_STREAM(rr_bytes, stream_weighed, uint64_t, at, size_t, size, int, n) {
    static char block[5000];
    desk *d = desk_at(at);
    for (int i = 0; i < n && rr_yield(rr_bytes, rr_bytes_of(block, size)) == RR_OK; i++)
        d->yielded++;
    d->ended++;
}
TEST(unread_bytes_hold_the_body_back) {
    static const struct {
        size_t size, limit;
        int most;
    } cases[] = {
        {5000, 1, 1}, {5000, 5000, 1}, {5000, 5001, 2}, {5000, 20000, 4}, {10, 5001, 501},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        fixture f;
        desk d = {.begun = 0};
        rr_bytes view;
        rr_ref r;
        int n = 3 * cases[i].most;
        START(&f, .workers = 1);
        rr_options options = {.max_unread_bytes = cases[i].limit};
        rr_stream s = rr_call_stream_with(options, stream_weighed, AT(&d), cases[i].size, n);
        for (int k = 0; k < n; k++) {
            int there = cases[i].most + k < n ? cases[i].most + k : n;
            CHECK(becomes(&d.yielded, there));
            if (k == 0) { /* the body waits */
                for (int j = 0; j < 3; j++) nap();
                CHECK(d.yielded == there);
            }
            CHECK(rr_next(s, &r) == RR_OK && rr_get(rr_bytes, r, &view) == RR_OK);
            CHECK(view.size == cases[i].size);
            rr_release(r);
        }
        CHECK(ends_with(s, RR_ERR_END) && becomes(&d.ended, 1));
        rr_release(s);
        stop(&f);
    }
}

static const size_t block_sizes[] = {0, 1, 31, 32, 33, 128, 5000, 100000, 3000000};
enum { BLOCKS = COUNT_OF(block_sizes) };
/* Each from the same memory, which is used again at once. */
REMOTE_STREAM(rr_bytes, stream_blocks, uint64_t, at) {
    char *room = malloc(3000000);
    for (int i = 0; i < BLOCKS && room; i++) {
        memset(room, 'a' + i, block_sizes[i]);
        rr_yield(rr_bytes, rr_bytes_of(room, block_sizes[i]));
        memset(room, 0, 3000000);
    }
    free(room);
    desk_at(at)->ended++;
}
static void check_blocks(rr_stream s) {
    rr_bytes view;
    rr_ref r;
    for (int i = 0; i < BLOCKS; i++) {
        CHECK(rr_next(s, &r) == RR_OK && rr_get(rr_bytes, r, &view) == RR_OK);
        if (!CHECK(view.size == block_sizes[i])) continue;
        const char *bytes = view.data;
        CHECK((uintptr_t)bytes % 64 == 0 || view.size == 0);
        CHECK(view.size == 0 || (bytes[0] == 'a' + i && !memcmp(bytes, bytes + 1, view.size - 1)));
    }
    CHECK(ends_with(s, RR_ERR_END));
}
TEST(bytes_are_copied) {
    for (int limit = 0; limit < 2; limit++) {
        fixture f;
        desk d = {.begun = 0};
        START(&f, .workers = 1);
        rr_scope scope = rr_scope_begin();
        rr_options options = {.max_unread = limit};
        rr_stream s = rr_call_stream_with(options, stream_blocks, AT(&d));
        if (!limit) CHECK(becomes(&d.ended, 1));
        check_blocks(s);
        rr_scope_end(scope);
        stop(&f);
    }
}

typedef struct Cell {
    int value;
} Cell;
REMOTE_ACTOR(Cell, create, int, v) { self->value = v; }
REMOTE_METHOD(int, Cell, read) { return self->value; }

REMOTE_STREAM(rr_ref, stream_refs, uint64_t, at, int, n) {
    for (int i = 0; i < n; i++)
        rr_yield(rr_ref, i % 2 ? rr_call(stream_add, i, 100) : rr_put(int, i + 100));
    desk_at(at)->ended++;
}
REMOTE_STREAM(rr_actor, stream_actors, uint64_t, at, int, n) {
    for (int i = 0; i < n; i++) {
        rr_actor a = rr_spawn(Cell_create, i);
        rr_yield(rr_actor, a);
        if (i % 2) rr_release(a); /* or the body's end does */
    }
    desk_at(at)->ended++;
}
TEST(yielded_references_are_counted) {
    fixture f;
    desk d = {.begun = 0};
    rr_ref r, inner;
    int v;
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    rr_stream s = rr_call_stream(stream_refs, AT(&d), 10);
    CHECK(becomes(&d.ended, 1)); /* the body's scope is over, or soon is */
    for (int i = 0; i < 10; i++) {
        CHECK(rr_next(s, &r) == RR_OK && rr_get(rr_ref, r, &inner) == RR_OK);
        if (i == 5) inner = rr_keep(inner);
        rr_release(r);
        CHECK(rr_get(int, inner, &v) == RR_OK && v == i + 100);
        if (i == 5) rr_release(inner);
    }
    CHECK(ends_with(s, RR_ERR_END));
    rr_scope_end(scope);
    stop(&f);
}

TEST(yielded_actors_live_with_their_object) {
    fixture f;
    desk d = {.begun = 0};
    rr_ref r;
    rr_actor a;
    int v;
    START(&f, .workers = 1);
    rr_stream s = rr_call_stream(stream_actors, AT(&d), 4);
    CHECK(becomes(&d.ended, 1));
    for (int i = 0; i < 3; i++) {
        rr_scope scope = rr_scope_begin();
        CHECK(rr_next(s, &r) == RR_OK && rr_get(rr_actor, r, &a) == RR_OK);
        CHECK(rr_get(int, rr_ask(a, Cell_read), &v) == RR_OK && v == i);
        rr_scope_end(scope);
    }
    CHECK(actors_settle_at(1)); /* the unread one */
    rr_release(s);
    stop(&f);
}

TEST(unread_objects_are_released) {
    fixture f;
    desk d = {.begun = 0};
    rr_ref r;
    START(&f, .workers = 1);
    rr_stream streams[5] = {
        rr_call_stream(stream_count, AT(&d), 0, 1000), rr_call_stream(stream_wide, AT(&d), 100),
        rr_call_stream(stream_blocks, AT(&d)), rr_call_stream(stream_refs, AT(&d), 100),
        rr_call_stream(stream_actors, AT(&d), 100)};
    CHECK(becomes(&d.ended, 5));
    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < 3; k++) CHECK(rr_next(streams[i], &r) == RR_OK), rr_release(r);
        rr_release(streams[i]);
    }
    stop(&f);
}

TEST(objects_outlive_their_stream) {
    fixture f;
    desk d = {.begun = 0};
    rr_ref refs[20];
    int v;
    START(&f, .workers = 1);
    rr_stream s = rr_call_stream(stream_count, AT(&d), 0, 30);
    for (int i = 0; i < 20; i++) CHECK(rr_next(s, &refs[i]) == RR_OK);
    rr_release(s);
    CHECK(becomes(&d.ended, 1) && objects_settle_at(20));
    for (int i = 0; i < 20; i++)
        CHECK(rr_get(int, refs[i], &v) == RR_OK && v == i), rr_release(refs[i]);
    stop(&f);
}

TEST(objects_are_arguments) {
    fixture f;
    desk d = {.begun = 0};
    rr_ref r, sum = {0};
    int v;
    START(&f, .workers = 2);
    rr_scope scope = rr_scope_begin();
    rr_stream s = rr_call_stream_with(RR_OPTIONS(.max_unread = 2), stream_count, AT(&d), 0, 100);
    while (rr_next(s, &r) == RR_OK)
        sum = sum.id ? rr_call(stream_add, sum, r) : rr_call(stream_add, r, 0);
    CHECK(rr_get(int, sum, &v) == RR_OK && v == 4950);
    rr_scope_end(scope);
    stop(&f);
}

/* ---- back pressure ---- */

TEST(producer_is_never_too_far_ahead) {
    int limits[3] = {1, 2, 16};
    for (int i = 0; i < 3; i++) {
        fixture f;
        desk d = {.begun = 0};
        rr_stats stats;
        int n = 0;
        START(&f, .workers = 1);
        rr_stream s = endless(&d, limits[i]);
        for (; n < 50; n++) { /* waits for it now and then */
            if (n % 7 == 0) CHECK(becomes(&d.yielded, n + limits[i]));
            if (n % 7 == 3) rr_sleep_ms(1); /* in which it could go too far */
            CHECK(d.yielded <= n + limits[i]);
            CHECK(next_is(s, n));
        }
        CHECK(becomes(&d.yielded, n + limits[i]));
        rr_sleep_ms(2);
        CHECK(d.yielded == n + limits[i] && d.ended == 0);
        rr_get_stats(&stats); /* the stream itself is one or two, and what it waits for */
        CHECK(stats.objects_live > (uint64_t)limits[i] && stats.objects_live < limits[i] + 4u);
        rr_release(s);
        CHECK(becomes(&d.ended, 1) && d.yielded == n + limits[i]);
        stop(&f);
    }
}

TEST(producer_without_a_limit_does_not_wait) {
    fixture f;
    desk d = {.begun = 0}, other = {.begun = 0};
    START(&f, .workers = 1);
    rr_stream s = rr_call_stream_with(RR_OPTIONS(.max_unread = 10), stream_count, AT(&d), 0, 10);
    rr_stream t = rr_call_stream(stream_count, AT(&other), 0, 5000);
    CHECK(becomes(&d.ended, 1) && becomes(&other.ended, 1));
    rr_release(s), rr_release(t);
    stop(&f);
}

TEST(producers_that_wait_take_no_worker) {
    enum { COUNT = 50 };
    fixture f;
    desk d = {.begun = 0};
    rr_stream streams[COUNT];
    START(&f, .workers = 1);
    for (int i = 0; i < COUNT; i++) streams[i] = endless(&d, 1);
    CHECK(becomes(&d.yielded, COUNT) && d.begun == COUNT);
    rr_ref sum = rr_call(stream_add, 1, 2);
    CHECK(outcome(sum) == RR_OK);
    rr_release(sum);
    for (int n = 0; n < 5; n++)
        for (int i = 0; i < COUNT; i++) next_is(streams[i], n);
    for (int i = 0; i < COUNT; i++) rr_release(streams[i]);
    CHECK(becomes(&d.ended, COUNT) && d.told == COUNT);
    stop(&f);
}

/* Many readers whose streams wait: all of it on one worker. */
REMOTE_FN(int, stream_sum, uint64_t, at, int, n, int, max_unread) {
    rr_options options = {.max_unread = max_unread};
    rr_stream s = rr_call_stream_with(options, stream_count, at, 0, n);
    rr_ref r;
    int v, sum = 0;
    while (rr_next(s, &r) == RR_OK) sum += rr_get(int, r, &v) == RR_OK ? v : 0, rr_release(r);
    return sum;
}
TEST(readers_in_tasks_take_no_worker) {
    enum { COUNT = 40 };
    for (int workers = 1; workers <= 2; workers++) {
        fixture f;
        desk d = {.begun = 0};
        rr_ref sums[COUNT];
        int v;
        START(&f, .workers = workers);
        for (int i = 0; i < COUNT; i++) sums[i] = rr_call(stream_sum, AT(&d), 20, i % 4);
        for (int i = 0; i < COUNT; i++) {
            CHECK(outcome(sums[i]) == RR_OK && rr_get(int, sums[i], &v) == RR_OK && v == 190);
            rr_release(sums[i]);
        }
        CHECK(becomes(&d.ended, COUNT));
        stop(&f);
    }
}

/* A reader that sleeps holds nobody up. */
TEST(reader_that_waits_takes_no_worker) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    void *room = NULL;
    rr_ref gate = rr_create(1, &room), n = rr_call(stream_size, gate);
    d.stream = rr_call_stream(stream_count, AT(&d), 0, n);
    rr_ref reader = rr_call(stream_meet_end, AT(&d));
    CHECK(becomes(&d.runs, 1));
    rr_ref sum = rr_call(stream_add, 1, 2);
    CHECK(outcome(sum) == RR_OK && !rr_ready(reader));
    CHECK(rr_seal(gate) == RR_OK && outcome(reader) == RR_OK);
    rr_release(d.stream), rr_release(gate), rr_release(n), rr_release(reader), rr_release(sum);
    stop(&f);
}

/* Stages that read each other, each with one object between them. */
REMOTE_STREAM(int, stream_stage, uint64_t, at, int, depth, int, n) {
    if (depth == 0) {
        stream_count(at, 0, n);
        return;
    }
    rr_options options = {.max_unread = 1};
    rr_stream before = rr_call_stream_with(options, stream_stage, at, depth - 1, n);
    rr_ref r;
    int v;
    while (rr_next(before, &r) == RR_OK) {
        CHECK(rr_get(int, r, &v) == RR_OK);
        rr_release(r);
        if (rr_yield(int, v + 1) != RR_OK) break;
    }
    desk_at(at)->count++;
}
TEST(long_pipelines_on_one_worker) {
    enum { DEPTH = 30 };
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    rr_stream s = rr_call_stream_with(RR_OPTIONS(.max_unread = 1), stream_stage, AT(&d), DEPTH, 30);
    CHECK(read_on(s, DEPTH, RR_ERR_END) == 30 && becomes(&d.count, DEPTH) && d.told == 0);
    rr_release(s);
    s = rr_call_stream_with(RR_OPTIONS(.max_unread = 1), stream_stage, AT(&d), DEPTH, INT_MAX);
    for (int i = 0; i < 10; i++) next_is(s, DEPTH + i);
    rr_release(s); /* and all stages end */
    CHECK(becomes(&d.count, 2 * DEPTH) && becomes(&d.ended, 2) && d.told == 1);
    stop(&f);
}

/* With so few threads streams take turns: those that are read go on. */
TEST(limit_of_threads) {
    enum { COUNT = 12, EACH = 20 };
    fixture f;
    desk d = {.begun = 0};
    rr_stream streams[COUNT];
    int reached[COUNT] = {0}, open = COUNT;
    START(&f, .workers = 1, .max_threads = 3);
    rr_options options = {.max_unread = 1};
    for (int i = 0; i < COUNT; i++)
        streams[i] = rr_call_stream_with(options, stream_count, AT(&d), 0, EACH);
    double end = rr_now() + 20;
    while (open > 0 && CHECK(rr_now() < end)) {
        for (int i = 0; i < COUNT; i++) {
            rr_ref r;
            int v;
            rr_status status = rr_next_timeout(streams[i], 0, &r);
            if (status == RR_OK) {
                CHECK(rr_get(int, r, &v) == RR_OK && v == reached[i]++);
                rr_release(r);
            } else if (status == RR_ERR_END && reached[i] == EACH) open--, reached[i]++;
        }
    }
    for (int i = 0; i < COUNT; i++) CHECK(reached[i] == EACH + 1), rr_release(streams[i]);
    rr_stats s;
    rr_get_stats(&s);
    CHECK(s.threads <= 3);
    stop(&f);
}

/* A reader that waits lets the body run, also one with a limit. */
TEST(reader_on_the_only_thread) {
    fixture f;
    desk d = {.begun = 0};
    int v;
    START(&f, .workers = 1, .max_threads = 1);
    rr_ref without = rr_call(stream_sum, AT(&d), 50, 0), with = rr_call(stream_sum, AT(&d), 50, 60);
    CHECK(outcome(without) == RR_OK && rr_get(int, without, &v) == RR_OK && v == 1225);
    CHECK(outcome(with) == RR_OK && rr_get(int, with, &v) == RR_OK && v == 1225);
    rr_ref brief = rr_call(stream_sum, AT(&d), 50, 3);
    CHECK(outcome(brief) == RR_OK && rr_get(int, brief, &v) == RR_OK && v == 1225);
    rr_release(without), rr_release(with), rr_release(brief);
    stop(&f);
}

/* ---- letting go ---- */

typedef enum way { BY_RELEASE, BY_SCOPE, BY_SHUTDOWN, WAYS } way;
static void let_go(way way, int max_unread) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    rr_stream s = endless(&d, max_unread);
    next_is(s, 0);
    if (max_unread) CHECK(becomes(&d.yielded, max_unread + 1)), rr_sleep_ms(1);
    if (way == BY_RELEASE) rr_release(s);
    if (way != BY_SHUTDOWN) {
        rr_scope_end(scope);
        CHECK(becomes(&d.ended, 1));
        comes_to_rest();
    }
    fixture_stop(&f);
    CHECK(d.ended == 1 && d.told == 1 && d.status == RR_ERR_CANCELLED);
    CHECK(f.warnings + f.errors == 0);
}
TEST(endless_producer_ends_by_release) { let_go(BY_RELEASE, 3), let_go(BY_RELEASE, 0); }
TEST(endless_producer_ends_with_its_scope) { let_go(BY_SCOPE, 1), let_go(BY_SCOPE, 0); }
TEST(endless_producer_ends_by_shutdown) { let_go(BY_SHUTDOWN, 2), let_go(BY_SHUTDOWN, 1); }

/* One that looks at rr_cancelled only. */
REMOTE_STREAM(int, stream_looks, uint64_t, at) {
    desk_at(at)->begun++;
    for (int i = 0; !rr_cancelled(); i++) rr_yield(int, i);
    desk_at(at)->ended++;
}
TEST(body_that_looks_at_rr_cancelled_only) {
    for (int shuts_down = 0; shuts_down < 2; shuts_down++) {
        fixture f;
        desk d = {.begun = 0};
        START(&f, .workers = 1);
        rr_stream s = rr_call_stream_with(RR_OPTIONS(.max_unread = 2), stream_looks, AT(&d));
        next_is(s, 0);
        if (!shuts_down) rr_release(s), comes_to_rest();
        fixture_stop(&f);
        CHECK(d.begun == 1 && d.ended == 1);
    }
}

/* What else the body does after that is refused, too. */
REMOTE_STREAM(int, stream_stubborn, uint64_t, at) {
    desk *d = desk_at(at);
    int v = 5;
    d->begun++;
    CHECK(!rr_cancelled());
    while (rr_yield(int, 1) == RR_OK) d->yielded++;
    bool told = rr_cancelled();
    told = told && rr_yield(int, 2) == RR_ERR_CANCELLED && rr_yield(int, 3) == RR_ERR_CANCELLED;
    told = told && rr_get(int, rr_call(stream_add, 1, 2), &v) == RR_ERR_CANCELLED && v == 0;
    rr_sleep_ms(60000); /* returns at once */
    d->told += told;
    d->ended++;
}
TEST(body_is_told_that_its_reader_let_go) {
    fixture f;
    desk d = {.begun = 0};
    double start = rr_now();
    START(&f, .workers = 1);
    rr_options options = {.max_unread = 4};
    rr_stream s = rr_call_stream_with(options, stream_stubborn, AT(&d));
    CHECK(becomes(&d.yielded, 4));
    rr_release(s);
    CHECK(becomes(&d.ended, 1) && d.told == 1 && d.yielded == 4 && rr_now() - start < 20);
    stop(&f);
}

TEST(body_that_computes_is_told) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    rr_stream s = rr_call_stream(stream_halves, AT(&d), 2, 5); /* until open, or told */
    CHECK(becomes(&d.begun, 1) && next_is(s, 0) && d.told == 0);
    rr_release(s);
    CHECK(becomes(&d.ended, 1) && d.told == 1 && d.yielded == 0 && !d.open);
    stop(&f);
}

TEST(stream_that_has_not_begun_never_does) {
    fixture f;
    desk d = {.begun = 0}, other = {.begun = 0};
    START(&f, .workers = 1);
    void *room = NULL;
    rr_ref busy = rr_call(stream_busy, AT(&other)), gate = rr_create(1, &room);
    rr_ref n = rr_call(stream_size, gate);
    CHECK(becomes(&other.begun, 1));
    rr_stream queued = endless(&d, 1), waiting = rr_call_stream(stream_count, AT(&d), 0, n);
    rr_release(queued), rr_release(waiting);
    other.open = true;
    CHECK(outcome(busy) == RR_OK && rr_seal(gate) == RR_OK);
    rr_release(busy), rr_release(gate), rr_release(n);
    stop(&f);
    CHECK(d.begun == 0);
}

/* Those who wait do not count the stream. */
static void wait_until_gone(void *data) {
    desk *d = data;
    int v;
    d->runs++;
    rr_status status = next_int(d->stream, &v);
    d->count += status == RR_ERR_CANCELLED || status == RR_ERR_STALE;
}
TEST(letting_go_wakes_who_waits) {
    enum { READERS = 3 };
    fixture f;
    desk d = {.begun = 0}, other = {.begun = 0};
    outside readers[READERS];
    START(&f, .workers = 1);
    other.stream = rr_call_stream(stream_halves, AT(&d), 0, 1); /* until open, or told */
    for (int i = 0; i < READERS; i++)
        outside_start(&readers[i], f.runtime, wait_until_gone, &other);
    CHECK(becomes(&other.runs, READERS) && becomes(&d.begun, 1));
    rr_sleep_ms(2); /* so that they wait, most likely */
    rr_release(other.stream);
    for (int i = 0; i < READERS; i++) outside_join(&readers[i]);
    CHECK(other.count == READERS && becomes(&d.ended, 1) && d.told == 1 && !d.open);
    stop(&f);
}

/* At any moment of a reader that finds nothing. */
static void find_nothing(void *data) {
    desk *d = data;
    int v;
    for (int i = 0; i < d->count; i++) {
        while (d->runs <= i) sched_yield();
        d->begun++;
        CHECK(next_int(d->stream, &v) != RR_OK);
        d->ended++;
    }
}
TEST(letting_go_races_with_a_reader) {
    enum { ROUNDS = 10000 };
    fixture f;
    desk d = {.begun = 0}, other = {.count = ROUNDS};
    outside reader;
    uint64_t random = test_seed;
    START(&f, .workers = 1);
    void *room = NULL;
    rr_ref gate = rr_create(1, &room), n = rr_call(stream_size, gate);
    outside_start(&reader, f.runtime, find_nothing, &other);
    for (int i = 0; i < ROUNDS; i++) {
        other.stream = rr_call_stream(stream_count, AT(&d), 0, n);
        other.runs++;
        while (other.begun <= i) sched_yield();
        for (int k = (int)test_below(&random, 60); k > 0; k--) rr_now();
        rr_release(other.stream);
        while (other.ended <= i) sched_yield();
    }
    outside_join(&reader);
    CHECK(rr_seal(gate) == RR_OK);
    rr_release(gate), rr_release(n);
    CHECK(d.begun == 0);
    stop(&f);
}

/* The end is told only to who has seen it all. */
static void read_all(void *data) {
    desk *d = data;
    int v;
    rr_status status;
    d->runs++;
    for (d->count = 0; (status = next_int(d->stream, &v)) == RR_OK; d->count++)
        CHECK(v == d->count);
    d->status = (int)status;
}
TEST(releasing_while_others_read) {
    enum { ROUNDS = 300, COUNT = 30 };
    fixture f;
    desk d = {.begun = 0}, other = {.begun = 0};
    uint64_t random = test_seed;
    START(&f, .workers = 1);
    for (int i = 0; i < ROUNDS; i++) {
        outside reader;
        other.stream = rr_call_stream(stream_count, AT(&d), 0, COUNT);
        CHECK(becomes(&d.ended, i + 1) && d.told == 0);
        other.runs = 0;
        outside_start(&reader, f.runtime, read_all, &other);
        while (other.runs == 0) sched_yield();
        for (int k = (int)test_below(&random, 300); k > 0; k--) rr_now();
        rr_release(other.stream);
        outside_join(&reader);
        CHECK(other.status == RR_ERR_END
                  ? other.count == COUNT
                  : other.status == RR_ERR_CANCELLED || other.status == RR_ERR_STALE);
    }
    stop(&f);
}

/* At any moment of the producer's. */
TEST(letting_go_races_with_the_producer) {
    enum { ROUNDS = 300 };
    fixture f;
    desk d = {.begun = 0};
    uint64_t random = test_seed;
    START(&f, .workers = 2);
    for (int i = 0; i < ROUNDS; i++) {
        rr_stream s = endless(&d, 1 + (int)test_below(&random, 3));
        int reads = (int)test_below(&random, 4);
        for (int k = 0; k < reads; k++) next_is(s, k);
        double end = rr_now() + 1e-6 * (double)test_below(&random, 60);
        while (rr_now() < end) {
        }
        rr_release(s);
    }
    stop(&f);
    CHECK(d.begun == d.ended && d.told == d.begun);
}

TEST(counts_of_a_stream) {
    fixture f;
    desk d = {.begun = 0};
    int v;
    START(&f, .workers = 1);
    rr_scope outer = rr_scope_begin();
    rr_stream s = endless(&d, 1), kept = endless(&d, 1), twice = endless(&d, 1);
    rr_retain(s);
    rr_stream same = rr_keep(kept);
    CHECK(same.id == kept.id && same.slot == kept.slot && same.home == kept.home);
    rr_retain(twice), rr_release(twice);
    CHECK(next_is(twice, 0));
    rr_release(twice);
    CHECK(next_int(twice, &v) == RR_ERR_STALE && becomes(&d.ended, 1));
    rr_scope_end(outer);
    CHECK(next_is(s, 0) && next_is(kept, 0) && next_is(kept, 1) && d.ended == 1);
    rr_release(s), rr_release(kept);
    CHECK(next_int(s, &v) == RR_ERR_STALE && next_int(kept, &v) == RR_ERR_STALE);
    CHECK(becomes(&d.ended, 3) && d.told == 3);
    stop(&f);
}

TEST(objects_belong_to_the_reader_s_scope) {
    fixture f;
    desk d = {.begun = 0};
    rr_ref r, kept = {0};
    int v;
    START(&f, .workers = 1);
    rr_stream s = rr_call_stream(stream_count, AT(&d), 0, 3);
    rr_scope scope = rr_scope_begin();
    CHECK(rr_next(s, &r) == RR_OK && rr_next(s, &kept) == RR_OK);
    rr_keep(kept);
    rr_scope_end(scope);
    CHECK(rr_get(int, r, &v) == RR_ERR_STALE && rr_get(int, kept, &v) == RR_OK && v == 1);
    CHECK(read_on(s, 2, RR_ERR_END) == 1);
    rr_release(kept), rr_release(s);
    stop(&f);
}

TEST(handles_that_mean_nothing) {
    fixture f, other;
    desk d = {.begun = 0};
    rr_ref r = {1, 1, 1};
    rr_stream null = {0};
    START(&f, .workers = 1);
    rr_stream s = rr_call_stream(stream_count, AT(&d), 0, 3), gone = rr_call_stream(stream_empty);
    rr_release(gone);
    CHECK(ends_with(null, RR_ERR_STALE) && ends_with(gone, RR_ERR_STALE));
    rr_release(null), rr_release(gone), rr_retain(null), rr_retain(gone), rr_keep(null);
    START(&other, .workers = 1);
    CHECK(ends_with(s, RR_ERR_STALE));
    fixture_stop(&other); /* and no runtime is in use */
    CHECK(rr_next(s, &r) == RR_ERR_NOT_RUNNING && is_null(r));
    CHECK(rr_next_timeout(s, 1, &r) == RR_ERR_NOT_RUNNING && is_null(r));
    rr_stream none = rr_call_stream(stream_empty);
    CHECK(rr_next(none, &r) == RR_ERR_NOT_RUNNING && is_null(r));
    rr_runtime_use(f.runtime);
    CHECK(ends_with(none, RR_ERR_NOT_RUNNING) && read_on(s, 0, RR_ERR_END) == 3);
    rr_release(s);
    stop(&f);
}

/* ---- rr_yield where it means nothing ---- */

static void yield_outside(void *data) { *(int *)data = (int)rr_yield(int, 1); }
REMOTE_FN(int, stream_no_stream) { return (int)rr_yield(int, 1); }
REMOTE_METHOD(int, Cell, no_stream) { return (void)self, (int)rr_yield(int, 1); }
/* A body that waits for such a task, which then may run on its stack, and starts a thread. */
REMOTE_STREAM(int, stream_nests, uint64_t, at) {
    desk *d = desk_at(at);
    outside thread;
    int v = 0, on_thread = 0;
    rr_runtime *mine = rr_runtime_use(NULL);
    rr_runtime_use(mine);
    rr_yield(int, 0);
    CHECK(rr_get(int, rr_call(stream_no_stream), &v) == RR_OK);
    d->count += v == RR_ERR_INVALID;
    rr_yield(int, 1);
    outside_start(&thread, mine, yield_outside, &on_thread);
    outside_join(&thread);
    d->count += on_thread == RR_ERR_INVALID;
    rr_yield(int, 2);
}
TEST(yield_outside_a_stream) {
    fixture f;
    desk d = {.begun = 0};
    int v = 0, here = 0;
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    yield_outside(&here);
    CHECK(here == RR_ERR_INVALID && said("stream"));
    CHECK(rr_get(int, rr_call(stream_no_stream), &v) == RR_OK && v == RR_ERR_INVALID);
    rr_actor a = rr_spawn(Cell_create, 1);
    CHECK(rr_get(int, rr_ask(a, Cell_no_stream), &v) == RR_OK && v == RR_ERR_INVALID);
    rr_stream s = rr_call_stream(stream_nests, AT(&d));
    CHECK(read_on(s, 0, RR_ERR_END) == 3 && d.count == 2);
    rr_scope_end(scope);
    stream_count(AT(&d), 0, 5); /* an ordinary call */
    CHECK(d.status == RR_ERR_INVALID && d.yielded == 0);
    stop(&f);
}

/* ---- readers ---- */

/* Reads until the end, and notes what it read. */
typedef struct readers {
    rr_stream stream;
    int count;
    atomic_int *seen, begun, reads[8];
    atomic_int next;
} readers;
static void read_share(void *data) {
    readers *x = data;
    int me = x->next++, last = -1, v;
    x->begun++;
    while (next_int(x->stream, &v) == RR_OK) {
        CHECK(v > last && v < x->count);
        last = v;
        x->seen[v]++;
        x->reads[me]++;
    }
    CHECK(ends_with(x->stream, RR_ERR_END));
}
REMOTE_FN(int, stream_read_share, uint64_t, at) {
    read_share((void *)(uintptr_t)at);
    return 1;
}
TEST(several_readers_get_each_object_once) {
    enum { COUNT = 5000, THREADS = 3, TASKS = 3 };
    for (int limit = 0; limit < 3; limit++) {
        fixture f;
        desk d = {.begun = 0};
        outside threads[THREADS];
        rr_ref tasks[TASKS];
        readers x = {.count = COUNT};
        START(&f, .workers = 2);
        x.seen = calloc(COUNT, sizeof *x.seen);
        rr_options options = {.max_unread = limit * limit * 4};
        x.stream = rr_call_stream_with(options, stream_count, AT(&d), 0, COUNT);
        for (int i = 0; i < TASKS; i++) tasks[i] = rr_call(stream_read_share, AT(&x));
        for (int i = 0; i < THREADS; i++) outside_start(&threads[i], f.runtime, read_share, &x);
        for (int i = 0; i < THREADS; i++) outside_join(&threads[i]);
        for (int i = 0; i < TASKS; i++) CHECK(outcome(tasks[i]) == RR_OK), rr_release(tasks[i]);
        int once = 0;
        for (int i = 0; i < COUNT; i++) once += x.seen[i] == 1;
        CHECK(once == COUNT && x.begun == THREADS + TASKS);
        free(x.seen);
        rr_release(x.stream);
        stop(&f);
    }
}

/* An actor that keeps a stream in its state, and reads it. */
typedef struct Reader {
    rr_stream stream;
} Reader;
REMOTE_ACTOR(Reader, create, uint64_t, at, int, n) {
    rr_options options = {.max_unread = 2};
    self->stream = rr_keep(rr_call_stream_with(options, stream_count, at, 0, n));
}
REMOTE_METHOD(int, Reader, next) {
    int v;
    rr_status status = next_int(self->stream, &v);
    return status == RR_OK ? v : -(int)status;
}
REMOTE_DESTRUCTOR(Reader) { rr_release(self->stream); }
TEST(actors_read) {
    fixture f;
    desk d = {.begun = 0};
    int v;
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    rr_actor a = rr_spawn(Reader_create, AT(&d), 20), b = rr_spawn(Reader_create, AT(&d), INT_MAX);
    for (int i = 0; i < 22; i++) {
        CHECK(rr_get(int, rr_ask(a, Reader_next), &v) == RR_OK);
        CHECK(v == (i < 20 ? i : -(int)RR_ERR_END));
        CHECK(rr_get(int, rr_ask(b, Reader_next), &v) == RR_OK && v == i);
    }
    rr_scope_end(scope);
    CHECK(actors_settle_at(0) && becomes(&d.ended, 2) && d.told == 1);
    stop(&f);
}

/* A reader that is cancelled takes nothing with it. */
TEST(cancelled_reader_wakes_and_loses_nothing) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 2);
    d.stream = rr_call_stream(stream_halves, AT(&d), 0, 50);
    rr_ref reader = rr_call(stream_meet_end, AT(&d));
    CHECK(becomes(&d.runs, 1));
    rr_sleep_ms(1);
    CHECK(rr_cancel(reader) == RR_OK && outcome(reader) == RR_ERR_CANCELLED);
    rr_ref sum = rr_call(stream_add, 1, 2); /* on the worker that it had */
    CHECK(outcome(sum) == RR_OK);
    d.open = true;
    CHECK(read_on(d.stream, 0, RR_ERR_END) == 50 && d.told == 0);
    rr_release(reader), rr_release(sum), rr_release(d.stream);
    stop(&f);
}

/* Its waits fail at once; what is unread is there for others. */
REMOTE_FN(int, stream_read_late, uint64_t, at) {
    desk *d = desk_at(at);
    rr_ref r;
    d->runs++;
    while (!rr_cancelled()) nap();
    rr_status status = rr_next(d->stream, &r), other;
    CHECK(status == RR_ERR_CANCELLED || status == RR_OK);
    rr_stream s = rr_call_stream(stream_count, at, 0, 3);
    other = rr_next_timeout(s, 60000, &r);
    d->count += other == RR_ERR_CANCELLED && is_null(r);
    return 1;
}
TEST(reader_that_was_cancelled_before) {
    fixture f;
    desk d = {.begun = 0}, other = {.begun = 0};
    START(&f, .workers = 2);
    d.stream = rr_call_stream(stream_halves, AT(&other), 0, 3);
    rr_ref reader = rr_call(stream_read_late, AT(&d));
    CHECK(becomes(&d.runs, 1) && rr_cancel(reader) == RR_OK);
    CHECK(becomes(&d.count, 1) && d.begun == 0);
    other.open = true;
    CHECK(read_on(d.stream, 0, RR_ERR_END) == 3);
    rr_release(reader), rr_release(d.stream);
    stop(&f);
}

/* What a body has called ends with it. */
REMOTE_FN(int, stream_parent, uint64_t, at) {
    desk *d = desk_at(at);
    rr_options options = {.max_unread = 1};
    rr_stream s = rr_call_stream_with(options, stream_count, at, 0, INT_MAX);
    int v;
    while (d->yielded < 1) nap();
    d->runs++;
    while (!rr_cancelled()) nap();
    rr_keep(s); /* it is cancelled, nevertheless */
    d->stream = s;
    d->has_handles = true;
    return next_int(s, &v) == RR_OK;
}
TEST(stream_is_cancelled_with_its_maker) {
    fixture f;
    desk d = {.begun = 0};
    int v;
    START(&f, .workers = 2);
    rr_ref parent = rr_call(stream_parent, AT(&d));
    CHECK(becomes(&d.runs, 1) && rr_cancel(parent) == RR_OK && becomes(&d.ended, 1));
    CHECK(d.told == 1 && d.status == RR_ERR_CANCELLED);
    for (int i = 0; !d.has_handles && i < 10000; i++) nap();
    for (int last = -1; next_int(d.stream, &v) == RR_OK; last = v) CHECK(v > last && v < 3);
    CHECK(ends_with(d.stream, RR_ERR_CANCELLED));
    rr_release(d.stream), rr_release(parent);
    stop(&f);
}

TEST(next_with_a_time_limit) {
    fixture f;
    desk d = {.begun = 0};
    rr_ref r = {1, 1, 1};
    START(&f, .workers = 1);
    rr_stream s = rr_call_stream(stream_halves, AT(&d), 1, 3);
    CHECK(rr_next_timeout(s, 20000, &r) == RR_OK);
    rr_release(r);
    double start = rr_now();
    for (int i = 0; i < 10; i++) {
        CHECK(rr_next_timeout(s, 0, &r) == RR_ERR_TIMEOUT && is_null(r));
        r = (rr_ref){1, 1, 1};
    }
    CHECK(rr_now() - start < 5);
    start = rr_now();
    CHECK(rr_next_timeout(s, 20, &r) == RR_ERR_TIMEOUT && is_null(r));
    CHECK(rr_now() - start > 0.019 && rr_now() - start < 5);
    d.open = true;
    CHECK(rr_next_timeout(s, -1, &r) == RR_OK); /* without a limit */
    rr_release(r);
    CHECK(rr_next_timeout(s, INT64_MAX, &r) == RR_OK);
    rr_release(r);
    CHECK(becomes(&d.ended, 1) && rr_next_timeout(s, 0, &r) == RR_OK); /* it is there */
    rr_release(r);
    CHECK(ends_with(s, RR_ERR_END));
    rr_release(s);
    stop(&f);
}

/* No object is lost when the limit passes as it comes. */
REMOTE_STREAM(int, stream_slow, uint64_t, seed, int, n) {
    for (int i = 0; i < n; i++) {
        double end = rr_now() + 1e-6 * (double)test_below(&seed, 2000);
        while (rr_now() < end) {
        }
        rr_yield(int, i);
    }
}
TEST(time_limits_lose_nothing) {
    fixture f;
    int n = 0, v;
    START(&f, .workers = 1);
    rr_options options = {.max_unread = 1};
    rr_stream s = rr_call_stream_with(options, stream_slow, test_seed, 200);
    for (double end = rr_now() + 20;;) {
        rr_ref r;
        rr_status status = rr_next_timeout(s, n % 3 == 0, &r);
        if (status == RR_ERR_TIMEOUT && rr_now() < end) continue;
        if (status != RR_OK) break;
        CHECK(rr_get(int, r, &v) == RR_OK && v == n++);
        rr_release(r);
    }
    CHECK(n == 200 && ends_with(s, RR_ERR_END));
    rr_release(s);
    stop(&f);
}

/* ---- options ---- */

TEST(deadline_of_a_stream) {
    for (int limit = 0; limit < 2; limit++) { /* while it computes; while it waits in rr_yield */
        fixture f;
        desk d = {.begun = 0};
        START(&f, .workers = 1);
        rr_options options = {.timeout_ms = 30, .max_unread = limit * 3};
        double start = rr_now();
        rr_stream s = limit ? rr_call_stream_with(options, stream_count, AT(&d), 0, INT_MAX)
                            : rr_call_stream_with(options, stream_halves, AT(&d), 3, 9);
        CHECK(becomes(&d.ended, 1) && d.told == 1 && rr_now() - start > 0.029);
        CHECK(d.status == RR_ERR_CANCELLED && rr_now() - start < 20);
        int n = read_on(s, 0, RR_ERR_LATE);
        if (!CHECK(n == 3)) fprintf(stderr, "%d objects were there\n", n);
        rr_release(s);
        stop(&f);
    }
}

/* Its reader goes on after a limit of its own, and must not after that of the body. */
TEST(loop_over_a_limit_ends_when_the_body_is_late) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    rr_stream s = rr_call_stream_with(RR_OPTIONS(.timeout_ms = 30), stream_halves, AT(&d), 3, 9);
    rr_status status;
    rr_ref r;
    int n = 0, looks = 0;
    for (; (status = rr_next_timeout(s, 1, &r)) == RR_OK || status == RR_ERR_TIMEOUT; looks++)
        if (status == RR_OK) n++, rr_release(r);
    CHECK(status == RR_ERR_LATE && said("the time limit passed"));
    if (!CHECK(n == 3)) fprintf(stderr, "%d objects in %d looks\n", n, looks);
    rr_release(s);
    stop(&f);
}

TEST(deadline_of_a_stream_that_has_not_begun) {
    fixture f;
    desk d = {.begun = 0}, other = {.begun = 0};
    START(&f, .workers = 1);
    rr_ref busy = rr_call(stream_busy, AT(&other));
    CHECK(becomes(&other.begun, 1));
    rr_stream s = rr_call_stream_with(RR_OPTIONS(.timeout_ms = 20), stream_count, AT(&d), 0, 1);
    CHECK(ends_with(s, RR_ERR_LATE) && !other.open);
    other.open = true;
    CHECK(outcome(busy) == RR_OK);
    rr_release(s), rr_release(busy);
    stop(&f);
    CHECK(d.begun == 0);
}

TEST(deadline_that_is_kept) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    rr_options options = {.timeout_ms = 600000, .max_unread = 2};
    rr_stream s = rr_call_stream_with(options, stream_count, AT(&d), 0, 100);
    CHECK(read_on(s, 0, RR_ERR_END) == 100);
    rr_release(s);
    double start = rr_now();
    stop(&f);
    CHECK(rr_now() - start < 20);
}

/* Attempt k yields (k + 1) * step numbers, each third one a single number, and fails. */
REMOTE_STREAM(int, stream_flaky, uint64_t, at, int, failures, int, step, int, n) {
    desk *d = desk_at(at);
    CHECK(d->runs++ == rr_attempt());
    bool fails = rr_attempt() < failures;
    int count = fails ? (rr_attempt() % 3 == 2 ? 1 : (rr_attempt() + 1) * step) : n;
    for (int i = 0; i < count; i++) CHECK(rr_yield(int, i) == RR_OK);
    if (fails) rr_fail(50 + rr_attempt(), "attempt %d", rr_attempt());
    d->ended++;
}
TEST(retried_stream_yields_nothing_twice) {
    for (int limit = 0; limit < 3; limit++)
        for (int delay = 0; delay < 2; delay++) {
            fixture f;
            desk d = {.begun = 0};
            START(&f, .workers = 1);
            rr_options options = {
                .max_retries = 7, .retry_delay_ms = delay, .max_unread = limit * limit};
            rr_stream s = rr_call_stream_with(options, stream_flaky, AT(&d), 5, 3, 40);
            if (!limit) CHECK(becomes(&d.ended, 6)); /* before anybody reads */
            CHECK(read_on(s, 0, RR_ERR_END) == 40 && d.runs == 6);
            rr_release(s);
            stop(&f);
        }
}

TEST(retried_stream_that_gives_up) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    rr_options options = {.max_retries = 4, .max_unread = 2};
    rr_stream s = rr_call_stream_with(options, stream_flaky, AT(&d), 99, 4, 40);
    CHECK(read_on(s, 0, RR_ERR_TASK) == 20 && d.runs == 5); /* the last attempt: 5 * 4 */
    CHECK(said("after 5 attempts") && said("attempt 4"));
    rr_release(s);
    stop(&f);
}

TEST(letting_go_between_attempts) {
    fixture f;
    desk d = {.begun = 0};
    double start = rr_now();
    START(&f, .workers = 1);
    rr_options options = {.max_retries = -1, .retry_delay_ms = 60000};
    rr_stream s = rr_call_stream_with(options, stream_flaky, AT(&d), 9, 2, 9);
    CHECK(becomes(&d.ended, 1) && next_is(s, 0) && next_is(s, 1));
    rr_ref r;
    CHECK(rr_next_timeout(s, 2, &r) == RR_ERR_TIMEOUT);
    rr_release(s);
    stop(&f);
    CHECK(d.runs == 1 && rr_now() - start < 20);
}

/* Yields when all of them have begun. */
REMOTE_STREAM(int, stream_together, uint64_t, at, int, all) {
    desk *d = desk_at(at);
    d->begun++;
    while (d->begun < all && !rr_cancelled()) nap();
    rr_yield(int, 0);
    d->ended++;
}
TEST(blocking_streams_take_no_worker) {
    enum { COUNT = 10 };
    fixture f;
    desk d = {.begun = 0};
    rr_stream streams[COUNT];
    START(&f, .workers = 1);
    rr_options options = {.blocking = true, .max_unread = 1};
    for (int i = 0; i < COUNT; i++)
        streams[i] = rr_call_stream_with(options, stream_together, AT(&d), COUNT);
    for (int i = 0; i < COUNT; i++) {
        CHECK(read_on(streams[i], 0, RR_ERR_END) == 1);
        rr_release(streams[i]);
    }
    stop(&f);
}

TEST(stream_with_a_name_of_its_own) {
    fixture f;
    desk d = {.begun = 0};
    char name[16] = "copied";
    START(&f, .workers = 1);
    rr_stream s = rr_call_stream_with(RR_OPTIONS(.name = name), stream_fails, AT(&d), 2, 1);
    memset(name, 'x', sizeof name - 1);
    CHECK(read_on(s, 0, RR_ERR_TASK) == 2 && said("'copied'") && said("is torn"));
    CHECK(!strstr(rr_error_message((rr_ref){0}), "stream_fails"));
    rr_release(s);
    stop(&f);
}

TEST(producers_that_wait_lend_their_cpus) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"disk", 3}});
    rr_options options = {.max_unread = 1, .num_cpus = 2, .resources = {{"disk", 1}}};
    rr_stream streams[3];
    for (int i = 0; i < 3; i++)
        streams[i] = rr_call_stream_with(options, stream_count, AT(&d), 0, 20);
    CHECK(becomes(&d.yielded, 3)); /* each has had both workers */
    double total, left = 5;
    CHECK(rr_resources("disk", &total, &left) == RR_OK && total == 3 && left == 0);
    rr_ref sum = rr_call(stream_add, 1, 2);
    CHECK(outcome(sum) == RR_OK);
    rr_release(sum);
    for (int n = 0; n < 20; n++)
        for (int i = 0; i < 3; i++) next_is(streams[i], n);
    for (int i = 0; i < 3; i++) CHECK(ends_with(streams[i], RR_ERR_END)), rr_release(streams[i]);
    CHECK(rr_resources("disk", NULL, &left) == RR_OK && left == 3);
    options = (rr_options){.resources = {{"disk", 4}}};
    rr_stream never = rr_call_stream_with(options, stream_count, AT(&d), 0, 1);
    CHECK(ends_with(never, RR_ERR_UNSCHEDULABLE) && said("disk"));
    rr_release(never);
    stop(&f);
}

/* ---- limits of memory ---- */

REMOTE_STREAM(rr_bytes, stream_large, uint64_t, at, size_t, size, int, n) {
    desk *d = desk_at(at);
    char *room = calloc(1, size);
    rr_status status = RR_OK;
    for (int i = 0; i < n && room && status == RR_OK; i++) {
        room[0] = (char)i;
        status = rr_yield(rr_bytes, rr_bytes_of(room, size));
        d->yielded += status == RR_OK;
    }
    d->status = (int)status;
    d->ended++;
    free(room);
}
TEST(yield_into_a_full_store) {
    fixture f;
    desk d = {.begun = 0};
    rr_ref r;
    rr_bytes view;
    START(&f, .workers = 1, .store_bytes = 1 << 20, .no_spill = true);
    rr_scope scope = rr_scope_begin();
    rr_stream s = rr_call_stream(stream_large, AT(&d), (size_t)200000, 10);
    CHECK(becomes(&d.ended, 1) && d.yielded > 2 && d.yielded < 6);
    CHECK(d.status == RR_ERR_STORE_FULL);
    for (int i = 0; i < d.yielded; i++)
        CHECK(rr_next(s, &r) == RR_OK && rr_get(rr_bytes, r, &view) == RR_OK &&
              view.size == 200000 && *(const char *)view.data == i);
    CHECK(ends_with(s, RR_ERR_STORE_FULL) && said("stream_large"));
    rr_scope_end(scope);
    stop(&f);
}

/* With back pressure and a reader that lets go of each, much more passes than there is room for. */
TEST(long_streams_need_little_memory) {
    fixture f;
    desk d = {.begun = 0};
    rr_ref r;
    int n = 0;
    START(&f, .workers = 1, .store_bytes = 1 << 20);
    rr_options options = {.max_unread = 2};
    rr_stream s = rr_call_stream_with(options, stream_large, AT(&d), (size_t)200000, 100);
    for (; rr_next(s, &r) == RR_OK; n++) rr_release(r);
    CHECK(n == 100 && d.yielded == 100 && d.status == RR_OK && ends_with(s, RR_ERR_END));
    rr_release(s);
    stop(&f);
}

/* ---- ends of the runtime ---- */

REMOTE_FN(int, stream_sum_checked, uint64_t, at, int, n) {
    CHECK(stream_sum(at, n, 2) == n * (n - 1) / 2);
    desk_at(at)->count++;
    return 1;
}
TEST(shutdown_lets_readers_in_tasks_finish) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 2);
    for (int i = 0; i < 20; i++) rr_call(stream_sum_checked, AT(&d), 50);
    fixture_stop(&f);
    CHECK(d.count == 20 && d.ended == 20 && d.told == 0);
}

TEST(shutdown_with_streams_in_every_state) {
    fixture f;
    desk d = {.begun = 0};
    double start = rr_now();
    rr_ref r;
    START(&f, .workers = 1);
    void *room = NULL;
    rr_ref gate = rr_create(1, &room), n = rr_call(stream_size, gate);
    rr_call_stream(stream_count, AT(&d), 0, n); /* its argument never comes */
    rr_stream done = rr_call_stream(stream_count, AT(&d), 0, 100);
    CHECK(rr_next(done, &r) == RR_OK && becomes(&d.ended, 1));
    for (int i = 0; i < 3; i++) endless(&d, 1 + i);
    CHECK(becomes(&d.yielded, 106));
    rr_options options = {.max_retries = -1, .retry_delay_ms = 1};
    rr_release(rr_call_stream_with(options, stream_flaky, AT(&d), INT_MAX, 0, 0));
    fixture_stop(&f);
    CHECK(d.begun == 4 && d.ended == d.begun + d.runs && rr_now() - start < 20);
}

/* Bodies that go on without a worker's role, and wait again while the runtime ends. */
TEST(shutdown_while_producers_wake_and_wait) {
    enum { COUNT = 8, ROUNDS = 60 };
    for (int round = 0; round < ROUNDS; round++) {
        fixture f;
        desk d = {.begun = 0};
        rr_stream streams[COUNT];
        START(&f, .workers = 1);
        for (int i = 0; i < COUNT; i++) streams[i] = endless(&d, 2);
        CHECK(becomes(&d.yielded, 2 * COUNT));
        for (int i = 0; i < COUNT; i++) next_is(streams[i], 0);
        fixture_stop(&f);
        CHECK(d.ended == COUNT && d.told == COUNT);
    }
}

static void read_until_refused(void *data) {
    desk *d = data;
    rr_status status;
    int v;
    d->runs++;
    while ((status = next_int(d->stream, &v)) == RR_OK) d->count++;
    d->status = (int)status;
}
TEST(shutdown_ends_the_wait_of_a_reader_outside) {
    fixture f;
    desk d = {.begun = 0}, other = {.begun = 0};
    outside reader;
    START(&f, .workers = 1);
    other.stream = rr_call_stream(stream_halves, AT(&d), 3, 0);
    outside_start(&reader, f.runtime, read_until_refused, &other);
    CHECK(becomes(&other.count, 3));
    rr_sleep_ms(1); /* so that it waits, most likely */
    d.open = true;
    fixture_stop(&f);
    outside_join(&reader);
    CHECK(other.status == RR_ERR_END || other.status == RR_ERR_NOT_RUNNING ||
          other.status == RR_ERR_CANCELLED || other.status == RR_ERR_STALE);
}

/* ---- members of results ---- */

typedef struct small {
    int number;
    bool flag;
    double real;
} small;
typedef struct twin {
    int number;
    bool flag;
    double real;
} twin;
typedef struct nest {
    char letter;
    int64_t number;
    wide inside;
    small last;
} nest;
static nest nest_of(int v) {
    nest x = {.letter = 'n', .number = v, .last = {v + 1, true, v + 0.5}};
    x.inside.number = v + 2;
    memset(x.inside.bytes, v, sizeof x.inside.bytes);
    return x;
}
REMOTE_FN(small, stream_small, uint64_t, at, int, v) {
    desk_at(at)->begun++;
    while (!desk_at(at)->open && !rr_cancelled()) nap();
    return (small){v, true, v + 0.5};
}
REMOTE_FN(nest, stream_nest, uint64_t, at, int, v) {
    desk_at(at)->begun++;
    while (!desk_at(at)->open && !rr_cancelled()) nap();
    return nest_of(v);
}
REMOTE_FN(small, stream_small_bad, uint64_t, at) {
    while (!desk_at(at)->open && !rr_cancelled()) nap();
    rr_fail(12, "no numbers today");
    return (small){0};
}
REMOTE_FN(int, stream_inside, wide, w, small, last, int64_t, number) {
    return w.number + w.bytes[2999] + last.number + (int)number;
}

typedef struct fields {
    rr_ref number, flag, real, letter, wide_number, inside, last;
} fields;
static fields fields_of(rr_ref a, rr_ref b) {
    return (fields){.number = rr_field(int, a, small, number),
                    .flag = rr_field(bool, a, small, flag),
                    .real = rr_field(double, a, small, real),
                    .letter = rr_field(char, b, nest, letter),
                    .wide_number = rr_field(int64_t, b, nest, number),
                    .inside = rr_field(wide, b, nest, inside),
                    .last = rr_field(small, b, nest, last)};
}
static void check_fields(fields x, int v) {
    int number;
    bool flag;
    double real;
    char letter;
    int64_t big;
    wide w;
    small last;
    CHECK(rr_get(int, x.number, &number) == RR_OK && number == v);
    CHECK(rr_get(bool, x.flag, &flag) == RR_OK && flag);
    CHECK(rr_get(double, x.real, &real) == RR_OK && real == v + 0.5);
    CHECK(rr_get(char, x.letter, &letter) == RR_OK && letter == 'n');
    CHECK(rr_get(int64_t, x.wide_number, &big) == RR_OK && big == v);
    CHECK(rr_get(wide, x.inside, &w) == RR_OK && w.number == v + 2 && w.bytes[2999] == v);
    CHECK(rr_get(small, x.last, &last) == RR_OK && last.number == v + 1 && last.real == v + 0.5);
    CHECK(rr_get(double, x.number, &real) == RR_ERR_TYPE && real == 0);
}

TEST(fields_before_the_struct_is_there) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 2);
    rr_scope scope = rr_scope_begin();
    rr_ref a = rr_call(stream_small, AT(&d), 7), b = rr_call(stream_nest, AT(&d), 7);
    fields x = fields_of(a, b);
    CHECK(!rr_ready(x.number) && !rr_ready(x.inside));
    CHECK(rr_wait((rr_ref[2]){x.real, x.last}, 2, 1, 2, NULL) == 0);
    rr_release(a), rr_release(b); /* the fields count them */
    d.open = true;
    CHECK(rr_wait((rr_ref[2]){x.real, x.last}, 2, 2, 20000, NULL) == 2);
    check_fields(x, 7);
    rr_scope_end(scope);
    stop(&f);
}

TEST(fields_after_the_struct_is_there) {
    fixture f;
    desk d = {.open = true};
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    rr_ref a = rr_call(stream_small, AT(&d), 9), b = rr_call(stream_nest, AT(&d), 9);
    CHECK(outcome(a) == RR_OK && outcome(b) == RR_OK);
    fields x = fields_of(a, b);
    CHECK(rr_ready(x.number) && rr_ready(x.inside) && rr_ready(x.last));
    rr_release(a), rr_release(b);
    check_fields(x, 9);
    rr_scope_end(scope);
    stop(&f);
}

TEST(fields_of_what_was_put) {
    fixture f;
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    rr_ref a = rr_put(small, {4, true, 4.5}), b = rr_put(nest, nest_of(4));
    check_fields(fields_of(a, b), 4);
    rr_ref last = rr_field(small, b, nest, last), number = rr_field(int, last, small, number);
    int v;
    CHECK(rr_get(int, number, &v) == RR_OK && v == 5); /* a member of a member */
    rr_scope_end(scope);
    stop(&f);
}

REMOTE_METHOD(small, Cell, both, int, v) {
    int before = self->value;
    self->value = v;
    return (small){before, true, v};
}
REMOTE_STREAM(small, stream_smalls, int, n) {
    for (int i = 0; i < n; i++) rr_yield(small, {i, true, -i});
}
TEST(fields_of_replies_and_of_yielded_objects) {
    fixture f;
    rr_ref r;
    int v, n = 0;
    double x;
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    rr_ref both = rr_ask(rr_spawn(Cell_create, 3), Cell_both, 8);
    rr_ref number = rr_field(int, both, small, number), real = rr_field(double, both, small, real);
    CHECK(rr_get(int, number, &v) == RR_OK && v == 3);
    CHECK(rr_get(double, real, &x) == RR_OK && x == 8);
    for (rr_stream s = rr_call_stream(stream_smalls, 10); rr_next(s, &r) == RR_OK; n++)
        CHECK(rr_get(double, rr_field(double, r, small, real), &x) == RR_OK && x == -n);
    CHECK(n == 10);
    rr_scope_end(scope);
    stop(&f);
}

TEST(fields_are_arguments) {
    for (int early = 0; early < 2; early++) {
        fixture f;
        desk d = {.open = !early};
        int v;
        START(&f, .workers = 2);
        rr_scope scope = rr_scope_begin();
        rr_ref a = rr_call(stream_small, AT(&d), 20), b = rr_call(stream_nest, AT(&d), 30);
        if (!early) CHECK(outcome(a) == RR_OK && outcome(b) == RR_OK);
        fields x = fields_of(a, b);
        rr_ref sum = rr_call(stream_inside, x.inside, x.last, x.wide_number);
        rr_ref all = rr_call(stream_add, sum, x.number);
        rr_ref bad = rr_call(stream_add, x.real, 1); /* a double */
        d.open = true;
        CHECK(rr_get(int, all, &v) == RR_OK && v == 32 + 30 + 31 + 30 + 20);
        CHECK(outcome(bad) == RR_ERR_TYPE);
        rr_ref parts[2] = {x.number, rr_field(int, a, small, number)};
        rr_many many;
        CHECK(rr_get(rr_many, rr_gather(parts, 2), &many) == RR_OK && many.count == 2);
        CHECK(*(const int *)many.items[1].data == 20);
        rr_scope_end(scope);
        stop(&f);
    }
}

TEST(fields_of_what_failed) {
    for (int early = 0; early < 2; early++) {
        fixture f;
        desk d = {.open = !early};
        int v = 9;
        START(&f, .workers = 1);
        rr_scope scope = rr_scope_begin();
        rr_ref r = rr_call(stream_small_bad, AT(&d));
        if (!early) CHECK(outcome(r) == RR_ERR_TASK);
        rr_ref number = rr_field(int, r, small, number), next = rr_call(stream_add, number, 1);
        CHECK(!early || !rr_ready(number));
        d.open = true;
        CHECK(rr_get(int, number, &v) == RR_ERR_TASK && v == 0 && rr_error_code(number) == 12);
        CHECK(strstr(rr_error_message(number), "no numbers today"));
        CHECK(outcome(next) == RR_ERR_TASK && rr_error_code(next) == 12);
        CHECK(strstr(rr_error_message(next), "no numbers today"));
        rr_scope_end(scope);
        stop(&f);
    }
}

TEST(fields_of_what_is_cancelled) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    rr_ref running = rr_call(stream_small, AT(&d), 1), queued = rr_call(stream_nest, AT(&d), 1);
    CHECK(becomes(&d.begun, 1));
    rr_ref number = rr_field(int, running, small, number);
    rr_ref last = rr_field(small, queued, nest, last);
    rr_ref deep = rr_field(int, last, small, number);
    CHECK(rr_cancel(number) == RR_ERR_INVALID && !rr_ready(number)); /* it is no task */
    CHECK(rr_cancel(queued) == RR_OK && rr_cancel(running) == RR_OK);
    CHECK(outcome(number) == RR_ERR_CANCELLED && outcome(last) == RR_ERR_CANCELLED);
    CHECK(outcome(deep) == RR_ERR_CANCELLED);
    CHECK(outcome(rr_field(double, running, small, real)) == RR_ERR_CANCELLED);
    rr_scope_end(scope);
    stop(&f);
}

static void check_type_error(rr_ref field, const char *has, const char *wants) {
    CHECK(outcome(field) == RR_ERR_TYPE);
    const char *text = rr_error_message(field);
    if (!CHECK(strstr(text, has) && strstr(text, wants))) fprintf(stderr, "%s\n", text);
}
TEST(fields_of_what_is_another_struct) {
    for (int early = 0; early < 2; early++) {
        fixture f;
        desk d = {.open = !early};
        START(&f, .workers = 1);
        rr_scope scope = rr_scope_begin();
        rr_ref a = rr_call(stream_small, AT(&d), 1), b = rr_call(stream_add, 1, 2);
        if (!early) CHECK(outcome(a) == RR_OK && outcome(b) == RR_OK);
        rr_ref x = rr_field(int, a, twin, number), y = rr_field(int, b, small, number);
        rr_ref z = rr_field(int, rr_put_bytes("some text that is long enough", 24), small, number);
        d.open = true;
        check_type_error(x, "small", "twin");
        check_type_error(y, "int", "small");
        check_type_error(z, "bytes", "small");
        check_type_error(rr_field(char, a, nest, letter), "small", "nest");
        CHECK(outcome(rr_call(stream_add, x, 1)) == RR_ERR_TYPE && outcome(a) == RR_OK);
        rr_scope_end(scope);
        stop(&f);
    }
}

typedef struct holder {
    rr_ref ref;
    rr_actor actor;
    rr_bytes bytes;
} holder;
TEST(fields_that_are_handles_are_refused) {
    fixture f;
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    rr_ref r = rr_put(holder, {{0}, {0}, {0}});
    rr_ref bad[3] = {rr_field(rr_ref, r, holder, ref), rr_field(rr_actor, r, holder, actor),
                     rr_field(rr_bytes, r, holder, bytes)};
    for (int i = 0; i < 3; i++) CHECK(outcome(bad[i]) == RR_ERR_INVALID);
    rr_scope_end(scope);
    stop(&f);
}

TEST(fields_of_handles_that_mean_nothing) {
    fixture f;
    START(&f, .workers = 1);
    rr_ref gone = rr_put(small, {1, true, 1});
    rr_release(gone);
    rr_ref x = rr_field(int, gone, small, number);
    rr_ref y = rr_field(int, (rr_ref){0}, small, number);
    CHECK(outcome(x) == RR_ERR_STALE && outcome(y) == RR_ERR_STALE);
    rr_release(x), rr_release(y);
    rr_ref put = rr_put(small, {1, true, 1});
    rr_runtime_use(NULL);
    rr_ref none = rr_field(int, put, small, number);
    CHECK(rr_get_void(none) == RR_ERR_NOT_RUNNING);
    rr_runtime_use(f.runtime);
    rr_release(put);
    stop(&f);
}

/* A wait for a field goes on to the task behind it, whose body it may run. */
REMOTE_FN(int, stream_gets_field, uint64_t, at, int, depth) {
    if (depth > 0) return stream_gets_field(at, depth - 1) + 1;
    rr_ref inner = rr_call(stream_nest, at, 5);
    rr_ref last = rr_field(small, inner, nest, last), number = rr_field(int, last, small, number);
    rr_release(inner), rr_release(last);
    return rr_unwrap(int, number);
}
TEST(waiting_for_a_field_runs_its_task) {
    fixture f;
    desk d = {.open = true};
    int v;
    START(&f, .workers = 1, .max_threads = 1);
    rr_ref r = rr_call(stream_gets_field, AT(&d), 3);
    CHECK(outcome(r) == RR_OK && rr_get(int, r, &v) == RR_OK && v == 9);
    rr_release(r);
    stop(&f);
}

REMOTE_FN(small, stream_ring, uint64_t, at) {
    desk *d = desk_at(at);
    int v;
    while (!d->has_handles) nap();
    d->status = (int)rr_get(int, d->ref, &v); /* a member of its own result */
    return (small){1, true, 1};
}
TEST(ring_through_a_field) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    rr_ref r = rr_call(stream_ring, AT(&d));
    d.ref = rr_field(int, r, small, number);
    d.has_handles = true;
    CHECK(outcome(r) == RR_OK && d.status == RR_ERR_DEADLOCK);
    rr_release(r), rr_release(d.ref);
    stop(&f);
}

REMOTE_FN(small, stream_small_flaky, uint64_t, at, int, failures) {
    desk_at(at)->runs++;
    if (rr_attempt() < failures) rr_fail(1, "not yet");
    return (small){rr_attempt(), true, 0};
}
TEST(field_of_what_is_tried_again) {
    fixture f;
    desk d = {.begun = 0};
    int v;
    START(&f, .workers = 1);
    rr_options options = {.max_retries = 3, .retry_delay_ms = 2};
    rr_ref r = rr_call_with(options, stream_small_flaky, AT(&d), 2);
    rr_ref number = rr_field(int, r, small, number);
    CHECK(rr_get(int, number, &v) == RR_OK && v == 2 && d.runs == 3);
    rr_release(r), rr_release(number);
    stop(&f);
}

TEST(many_fields_of_one_struct) {
    enum { COUNT = 2000 };
    fixture f;
    desk d = {.begun = 0};
    static rr_ref refs[COUNT];
    small last;
    int v, right = 0;
    START(&f, .workers = 2);
    rr_ref r = rr_call(stream_nest, AT(&d), 6), x;
    for (int i = 0; i < COUNT; i++) {
        if (i == COUNT / 2) d.open = true; /* some before, some while, some after */
        x = rr_field(small, r, nest, last);
        refs[i] = i % 2 ? x : rr_field(int, x, small, number);
        if (i % 2 == 0) rr_release(x);
    }
    rr_release(r);
    for (int i = 0; i < COUNT; i++) {
        if (i % 2) right += rr_get(small, refs[i], &last) == RR_OK && last.number == 7;
        else right += rr_get(int, refs[i], &v) == RR_OK && v == 7;
        rr_release(refs[i]);
    }
    CHECK(right == COUNT);
    stop(&f);
}

TEST(field_keeps_no_more_than_it_needs) {
    fixture f;
    rr_stats s;
    START(&f, .workers = 1);
    rr_ref big = rr_put(nest, nest_of(3)), number = rr_field(int64_t, big, nest, number);
    rr_release(big);
    rr_get_stats(&s);
    CHECK(s.objects_live <= 2); /* with the struct or without */
    rr_release(number);
    stop(&f);
}

TEST(shutdown_with_fields_that_wait) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    void *room = NULL;
    rr_ref gate = rr_create(1, &room), n = rr_call(stream_size, gate);
    rr_ref r = rr_call(stream_small, AT(&d), n), x = rr_field(int, r, small, number);
    rr_call(stream_add, x, 1);
    rr_release(r);
    fixture_stop(&f);
    CHECK(d.begun == 0);
}

int main(int argc, char **argv) { return test_main(argc, argv); }
