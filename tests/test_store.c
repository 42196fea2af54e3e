/* Guards the object store when it has a limit: it is kept at every moment, what leaves memory comes
   back as it was, whatever fails on the way there or back; nothing waits for ever for room, and
   nothing is left behind: no memory, no file, no descriptor. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- files and memory that fail ---- */

enum fault { NO_FAULT, WITH_EIO, WITH_ENOSPC, INTERRUPTED, SHORT, NOTHING, CORRUPT };
static atomic_long faults_in = LONG_MAX; /* calls until one goes wrong */
static atomic_int fault_kind;
static atomic_bool fault_stays;             /* all later ones go wrong as well */
static atomic_int writes_stall, is_stalled; /* writes wait while the first is set */
static atomic_int last_mode;                /* of a file that was made */
static char last_path[500];                 /* of it; by tests that are alone */

static int fault_now(void) {
    long left = atomic_fetch_sub(&faults_in, 1);
    return left == 1 || (left < 1 && fault_stays) ? fault_kind : NO_FAULT;
}
static int fail_with(int error) { return errno = error, -1; }
static int error_of(int kind) {
    return kind == WITH_EIO ? EIO : kind == WITH_ENOSPC ? ENOSPC : kind == INTERRUPTED ? EINTR : 0;
}
static int file_open(const char *path, int flags) {
    int error = error_of(fault_now());
    if (error) return fail_with(error);
    int fd = open(path, flags, 0600);
    struct stat s;
    if (fd >= 0 && (flags & O_CREAT) && fstat(fd, &s) == 0) {
        last_mode = (int)(s.st_mode & 0777);
        snprintf(last_path, sizeof last_path, "%s", path);
    }
    return fd;
}
static ssize_t file_write(int fd, const void *data, size_t size) {
    while (writes_stall) {
        is_stalled = 1;
        nanosleep(&(struct timespec){0, 200000}, NULL);
    }
    is_stalled = 0;
    int kind = fault_now();
    if (error_of(kind)) return fail_with(error_of(kind));
    if (kind == NOTHING) return errno = 0, 0;
    return write(fd, data, kind == SHORT && size > 1 ? size / 2 : size);
}
static ssize_t file_read(int fd, void *data, size_t size) {
    int kind = fault_now();
    if (error_of(kind)) return fail_with(error_of(kind));
    if (kind == NOTHING) return 0;
    ssize_t n = read(fd, data, kind == SHORT && size > 1 ? size / 2 : size);
    if (kind == CORRUPT && n > 0) ((char *)data)[n / 2] ^= 4;
    return n;
}
#define RR__FILE_OPEN(path, flags) file_open((path), (flags))
#define RR__FILE_WRITE(fd, p, n) file_write((fd), (p), (n))
#define RR__FILE_READ(fd, p, n) file_read((fd), (p), (n))

static atomic_long memory_live;              /* allocations not yet freed */
static atomic_long memory_budget = LONG_MAX; /* allocations until one fails */
static atomic_bool memory_stays;             /* all later ones fail as well */
static int memory_fails(void) {
    long left = atomic_fetch_sub(&memory_budget, 1);
    return left == 1 || (left < 1 && memory_stays);
}
static void *memory_count(void *p) {
    if (p) atomic_fetch_add(&memory_live, 1);
    return p;
}
static void *memory_alloc(size_t size) {
    return memory_fails() ? NULL : memory_count(malloc(size));
}
static void *memory_calloc(size_t n, size_t size) {
    return memory_fails() ? NULL : memory_count(calloc(n, size));
}
static void *memory_realloc(void *p, size_t size) {
    void *q = memory_fails() ? NULL : realloc(p, size);
    return p ? q : memory_count(q);
}
static void memory_free(void *p) {
    if (p) atomic_fetch_sub(&memory_live, 1);
    free(p);
}
#define RR_MALLOC(size) memory_alloc(size)
#define RR_CALLOC(n, size) memory_calloc((n), (size))
#define RR_REALLOC(p, size) memory_realloc((p), (size))
#define RR_FREE(p) memory_free(p)
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"

/* ---- what the tests share ---- */

enum { KIB = 1 << 10, MIB = 1 << 20, LIMIT = 20 }; /* LIMIT: seconds */

/* What a test shares with its bodies, which get its address as a number. */
typedef struct desk {
    atomic_int begun, ended, open, runs, wrong, bad_from;
    rr_ref ref;
} desk;
static desk *desk_at(uint64_t at) { return (desk *)(uintptr_t)at; }
#define AT(d) ((uint64_t)(uintptr_t)(d))
static void nap(void) { nanosleep(&(struct timespec){0, 200000}, NULL); } /* is not told */
/* Until it has so large a value; false if that does not come. */
static bool reaches(atomic_int *value, int wanted) {
    for (double start = rr_now(); atomic_load(value) < wanted; nap())
        if (rr_now() - start > LIMIT) return false;
    return true;
}

static rr_stats stats(void) {
    rr_stats s;
    rr_get_stats(&s);
    return s;
}
static uint64_t used(void) { return stats().store_bytes_used; }
/* The spiller works on for a moment after its last write. */
static bool room_settles_at(uint64_t wanted) {
    for (double start = rr_now(); used() != wanted; nap())
        if (rr_now() - start > LIMIT) return false;
    return true;
}

/* Bytes that tell one object, and one place in it, from all others. */
static uint64_t word_of(uint64_t seed, size_t at) {
    return (seed + 1) * 0x9e3779b97f4a7c15u + at * 0xbf58476d1ce4e5b9u;
}
static void fill(void *data, size_t size, uint64_t seed) {
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = word_of(seed, i);
        memcpy((char *)data + i, &word, size - i < 8 ? size - i : 8);
    }
}
static bool is_filled(const void *data, size_t size, uint64_t seed) {
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = word_of(seed, i);
        if (memcmp((const char *)data + i, &word, size - i < 8 ? size - i : 8)) return false;
    }
    return true;
}
/* An object of so many bytes; failed if there is no room. */
static rr_ref put(size_t size, uint64_t seed) {
    void *room = NULL;
    rr_ref r = rr_create(size, &room);
    if (room) fill(room, size, seed);
    if (room) CHECK(rr_seal(r) == RR_OK);
    return r;
}
static rr_status read_status(rr_ref r, size_t size, uint64_t seed) {
    rr_scope scope = rr_scope_begin();
    rr_bytes view = {0};
    rr_status status = rr_get(rr_bytes, r, &view);
    if (status == RR_OK) CHECK(view.size == size && is_filled(view.data, size, seed));
    else CHECK(!view.data && view.size == 0 && strlen(rr_error_message(r)) > 0);
    rr_scope_end(scope);
    return status;
}
static bool holds(rr_ref r, size_t size, uint64_t seed) {
    return read_status(r, size, seed) == RR_OK;
}
static void release_all(rr_ref *refs, int n) {
    for (int i = 0; i < n; i++) rr_release(refs[i]);
}
static bool is_refused(rr_ref r) {
    return rr_get_void(r) == RR_ERR_STORE_FULL && strstr(rr_error_message(r), "store_bytes");
}
/* Is the value of a complete object in memory? For what no counter tells. */
RR__UNUSED static bool is_here(fixture *f, rr_ref r) {
    rr__stored *s = rr__stored_of(rr__slot_at(f->runtime, r.slot));
    if (!s) return true;
    rr__lock(&f->runtime->store_lock);
    int residence = s->residence;
    rr__unlock(&f->runtime->store_lock);
    return residence == RR__HERE || residence == RR__LEAVING;
}
/* So many threads wait for room, rule E5: for what no counter tells either. */
static int waiters_for_room(fixture *f) {
    int n = 0;
    for (rr__context *cx = rr__load_acquire(&f->runtime->contexts); cx; cx = cx->next)
        n += rr__load_seq_cst(&cx->wants_room);
    return n;
}
static bool room_is_wanted(fixture *f, int n) {
    for (double start = rr_now(); waiters_for_room(f) < n; nap())
        if (rr_now() - start > LIMIT) return false;
    return true;
}

typedef struct large {
    char bytes[300 * KIB];
} large;

REMOTE_FN(rr_bytes, store_make, size_t, size, uint64_t, seed) {
    void *room = rr_result(size);
    if (room) fill(room, size, seed);
    return rr_bytes_of(room, room ? size : 0);
}
REMOTE_FN(int, store_check, rr_bytes, b, uint64_t, seed) { return is_filled(b.data, b.size, seed); }
REMOTE_FN(int, store_check_two, rr_bytes, a, rr_bytes, b, uint64_t, first, uint64_t, second) {
    return is_filled(a.data, a.size, first) && is_filled(b.data, b.size, second);
}
REMOTE_FN(int, store_check_many, rr_many, parts, uint64_t, seed) {
    bool ok = true;
    for (size_t i = 0; i < parts.count; i++)
        ok = ok && is_filled(parts.items[i].data, parts.items[i].size, seed + i);
    return ok ? (int)parts.count : -1;
}

/* ---- capacity ---- */

typedef struct load {
    int number;
    bool ok;
} load;
/* Puts, creates and calls, with forty of its own alive. */
static void load_store(void *data) {
    load *l = data;
    uint64_t random = test_seed + (uint64_t)l->number;
    rr_ref refs[40] = {{0}};
    size_t sizes[40] = {0};
    l->ok = true;
    static const size_t most = 48 * KIB;
    char *bytes = malloc(most);
    for (uint64_t i = 0; i < 120 && l->ok && bytes; i++) {
        uint64_t k = i % 40, seed = i + 1000 * (uint64_t)l->number;
        rr_release(refs[k]);
        size_t size = sizes[k] = 33 + test_below(&random, most - 33);
        int how = (int)test_below(&random, 3);
        fill(bytes, size, seed);
        refs[k] = how == 0   ? put(size, seed)
                  : how == 1 ? rr_put_bytes(bytes, size)
                             : rr_call(store_make, size, seed);
        uint64_t back = i < 40 ? 0 : test_below(&random, 40);
        l->ok = holds(refs[(i - back) % 40], sizes[(i - back) % 40], seed - back);
    }
    free(bytes);
    release_all(refs, 40);
}
typedef struct watcher {
    uint64_t limit;
    atomic_int over;
    bool ok;
    long looks;
} watcher;
static void watch_store(void *data) {
    watcher *w = data;
    for (w->ok = true; !w->over; w->looks++)
        if (used() > w->limit) w->ok = false;
}

TEST_RUN(limit_holds_at_every_moment, .workers = 2, .store_bytes = MIB) {
    enum { THREADS = 8 };
    outside threads[THREADS], looker;
    load loads[THREADS];
    watcher w = {.limit = MIB};
    outside_start(&looker, f->runtime, watch_store, &w);
    for (int i = 0; i < THREADS; i++) {
        loads[i].number = i;
        outside_start(&threads[i], f->runtime, load_store, &loads[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        outside_join(&threads[i]);
        CHECK(loads[i].ok);
    }
    w.over = 1;
    outside_join(&looker);
    CHECK(w.ok && w.looks > 0);
    CHECK(stats().objects_spilled > 0);
    CHECK(objects_settle_at(0) && room_settles_at(0));
}

TEST_SCOPE(larger_than_the_limit_fails_at_once, .workers = 1, .store_bytes = MIB) {
    rr_ref before = put(MIB / 2, 1);
    void *room = f;
    static char data[MIB + 1];
    CHECK(is_refused(rr_put_bytes(data, sizeof data)));
    CHECK(is_refused(rr_create(sizeof data, &room)) && room == NULL);
    CHECK(is_refused(rr_call(store_make, sizeof data, (uint64_t)1)));
    CHECK(is_refused(rr_put_bytes(data, PTRDIFF_MAX)));
    CHECK(holds(before, MIB / 2, 1)); /* nothing had to go for that */
    CHECK(stats().objects_spilled == 0);
}

TEST_SCOPE(what_fits_exactly_is_let_in, .workers = 1, .store_bytes = MIB) {
    rr_ref a = put(MIB, 1);
    CHECK(holds(a, MIB, 1) && used() == MIB && stats().objects_spilled == 0);
    rr_ref b = put(MIB, 2), c = rr_call(store_make, (size_t)MIB, (uint64_t)3);
    CHECK(rr_get_void(c) == RR_OK);
    for (int i = 0; i < 3; i++) CHECK(holds(a, MIB, 1) && holds(b, MIB, 2) && holds(c, MIB, 3));
    CHECK(used() <= MIB && stats().objects_spilled > 0);
}

TEST_SCOPE(room_given_back_is_used_without_spilling, .workers = 1, .store_bytes = MIB) {
    for (uint64_t i = 0; i < 50; i++) {
        rr_ref r = put(700 * KIB, i);
        CHECK(holds(r, 700 * KIB, i));
        rr_release(r);
    }
    CHECK(stats().objects_spilled == 0 && stats().spill_bytes_written == 0);
}

/* Rule E5: what fits one by one succeeds, however many begin at once. */
static void results_one_by_one(int workers) {
    fixture f;
    rr_ref refs[10];
    START(&f, .workers = workers, .store_bytes = MIB);
    rr_scope scope = rr_scope_begin();
    for (uint64_t i = 0; i < 10; i++) refs[i] = rr_call(store_make, (size_t)600 * KIB, i);
    CHECK(rr_wait(refs, 10, 10, LIMIT * 1000, NULL) ==
          10); /* a view of ours would be in their way */
    for (uint64_t i = 0; i < 10; i++)
        if (!CHECK(holds(refs[i], 600 * KIB, i))) fprintf(stderr, "%d workers\n", workers);
    rr_scope_end(scope);
    CHECK(objects_settle_at(0) && room_settles_at(0));
    fixture_stop(&f);
}
TEST(results_that_fit_one_by_one) {
    for (int workers = 1; workers <= 4; workers++) results_one_by_one(workers);
}

static void arguments_one_by_one(int workers) {
    fixture f;
    rr_ref puts[6], sums[15];
    START(&f, .workers = workers, .store_bytes = MIB);
    rr_scope scope = rr_scope_begin();
    for (uint64_t i = 0; i < 6; i++) puts[i] = put(400 * KIB, i);
    int n = 0;
    for (uint64_t i = 0; i < 6; i++)
        for (uint64_t k = i + 1; k < 6; k++)
            sums[n++] = rr_call(store_check_two, puts[i], puts[k], i, k);
    for (int i = 0; i < n; i++) {
        int ok = 0;
        if (!CHECK(rr_get(int, sums[i], &ok) == RR_OK && ok))
            fprintf(stderr, "%d workers: %s\n", workers, rr_error_message(sums[i]));
    }
    rr_scope_end(scope);
    CHECK(objects_settle_at(0) && room_settles_at(0));
    fixture_stop(&f);
}
TEST(arguments_that_fit_one_task_at_a_time) {
    for (int workers = 1; workers <= 4; workers++) arguments_one_by_one(workers);
}

/* The room of a result that is a struct is taken before the body: it is not in hand either while
   the task waits for its arguments. */
REMOTE_FN(large, store_large, rr_bytes, a, uint64_t, seed) {
    static const large none;
    large l = none;
    if (is_filled(a.data, a.size, seed)) fill(l.bytes, sizeof l.bytes, seed + 100);
    return l;
}
static void struct_results_one_by_one(int workers) {
    fixture f;
    rr_ref puts[6], made[6];
    START(&f, .workers = workers, .store_bytes = MIB);
    rr_scope scope = rr_scope_begin();
    for (uint64_t i = 0; i < 6; i++) puts[i] = put(500 * KIB, i);
    for (uint64_t i = 0; i < 6; i++) made[i] = rr_call(store_large, puts[i], i);
    large *l = malloc(sizeof *l);
    for (uint64_t i = 0; l && i < 6; i++)
        if (!CHECK(rr_get(large, made[i], l) == RR_OK && is_filled(l->bytes, sizeof *l, i + 100)))
            fprintf(stderr, "%d workers: %s\n", workers, rr_error_message(made[i]));
    free(l);
    rr_scope_end(scope);
    CHECK(objects_settle_at(0) && room_settles_at(0));
    fixture_stop(&f);
}
TEST(arguments_and_struct_results_that_fit_one_task_at_a_time) {
    for (int workers = 1; workers <= 4; workers++) struct_results_one_by_one(workers);
}

TEST_SCOPE(full_of_pinned_objects_fails_at_once, .workers = 2, .store_bytes = MIB) {
    rr_ref pinned = put(300 * KIB, 1), viewed = put(300 * KIB, 2);
    CHECK(rr_pin(pinned) == RR_OK);
    rr_scope inner = rr_scope_begin();
    rr_bytes view = {0};
    void *room = NULL;
    CHECK(rr_get(rr_bytes, viewed, &view) == RR_OK);
    rr_ref open = rr_create(300 * KIB, &room);
    double start = rr_now();
    CHECK(is_refused(put(300 * KIB, 3)));
    CHECK(is_refused(rr_call(store_make, (size_t)300 * KIB, (uint64_t)3)));
    CHECK(rr_now() - start < LIMIT / 2);
    CHECK(rr_get_void(put(100 * KIB, 4)) == RR_OK); /* what fits beside them does */
    CHECK(is_filled(view.data, view.size, 2));
    rr_seal(open);
    rr_scope_end(inner);
    CHECK(rr_get_void(put(300 * KIB, 3)) == RR_OK);
    CHECK(holds(viewed, 300 * KIB, 2) && rr_unpin(pinned) == RR_OK);
}

/* Its argument stays in memory while it waits, so that the other one cannot run. */
REMOTE_FN(int, store_outer, rr_bytes, b, uint64_t, seed) {
    rr_bytes view;
    rr_status status = rr_get(rr_bytes, rr_call(store_make, (size_t)600 * KIB, seed), &view);
    return is_filled(b.data, b.size, seed) ? (int)status : -1;
}
TEST(body_that_waits_for_what_cannot_fit_gets_an_error) {
    for (int workers = 1; workers <= 3; workers++) {
        fixture f;
        START(&f, .workers = workers, .store_bytes = MIB);
        rr_scope scope = rr_scope_begin();
        rr_ref puts[3], refs[3];
        for (uint64_t i = 0; i < 3; i++) puts[i] = put(700 * KIB, i);
        for (uint64_t i = 0; i < 3; i++) refs[i] = rr_call(store_outer, puts[i], i);
        for (int i = 0; i < 3; i++) { /* or it was this one that gave up */
            int inner = 0;
            rr_status status = rr_get(int, refs[i], &inner);
            CHECK((status == RR_OK ? inner : (int)status) == RR_ERR_STORE_FULL);
        }
        rr_scope_end(scope);
        CHECK(objects_settle_at(0));
        fixture_stop(&f);
    }
}

/* Holds its room until it may go on. */
REMOTE_FN(rr_bytes, store_hold, uint64_t, at, size_t, size) {
    desk *d = desk_at(at);
    void *room = rr_result(size);
    if (!room) d->wrong++;
    d->begun++;
    while (!d->open) nap();
    return rr_bytes_of(room, room ? size : 0);
}
REMOTE_FN(rr_bytes, store_want, uint64_t, at, size_t, size) {
    desk *d = desk_at(at);
    void *room = rr_result(size);
    d->runs += room != NULL;
    d->ended++;
    return rr_bytes_of(room, room ? size : 0);
}
TEST_SCOPE(cancelled_while_it_waits_for_room, .workers = 2, .store_bytes = MIB) {
    static desk d;
    rr_ref holder = rr_call(store_hold, AT(&d), (size_t)700 * KIB);
    CHECK(reaches(&d.begun, 1));
    rr_ref waiter = rr_call(store_want, AT(&d), (size_t)700 * KIB);
    CHECK(room_is_wanted(f, 1));
    CHECK(rr_cancel(waiter) == RR_OK);
    CHECK(rr_get_void(waiter) == RR_ERR_CANCELLED);
    CHECK(reaches(&d.ended, 1) && d.runs == 0); /* its body goes on while the other holds */
    d.open = 1;
    CHECK(rr_get_void(holder) == RR_OK);
}

TEST_SCOPE(room_comes_when_a_body_ends, .workers = 2, .store_bytes = MIB) {
    static desk d;
    rr_ref holder = rr_call(store_hold, AT(&d), (size_t)700 * KIB);
    CHECK(reaches(&d.begun, 1));
    rr_ref waiter = rr_call(store_want, AT(&d), (size_t)700 * KIB);
    CHECK(room_is_wanted(f, 1));
    d.open = 1;
    CHECK(rr_get_void(waiter) == RR_OK && rr_get_void(holder) == RR_OK && d.runs == 1);
}

/* Both hold room, and wait for the same value: one to bring it back, the other for that. */
REMOTE_FN(rr_bytes, store_hold_and_read, uint64_t, at, size_t, size) {
    desk *d = desk_at(at);
    void *room = rr_result(size);
    d->begun++;
    while (!d->open) nap();
    rr_bytes view;
    rr_many many;
    rr_status status = d->runs ? rr_get(rr_many, d->ref, &many) : rr_get(rr_bytes, d->ref, &view);
    d->wrong += status != RR_OK && status != RR_ERR_STORE_FULL;
    d->ended++;
    return rr_bytes_of(room, room ? size : 0);
}
static void two_want_the_same(desk *d) {
    rr_ref away = put(MIB, 9), refs[2];
    CHECK(rr_get_void(away) == RR_OK); /* all others have left */
    for (int i = 0; i < 2; i++) refs[i] = rr_call(store_hold_and_read, AT(d), (size_t)300 * KIB);
    CHECK(reaches(&d->begun, 2));
    d->open = 1;
    for (int i = 0; i < 2; i++) CHECK(rr_get_void(refs[i]) == RR_OK);
    CHECK(d->ended == 2 && d->wrong == 0);
}
TEST_SCOPE(two_bodies_wait_for_a_value_that_cannot_come_back, .workers = 2, .store_bytes = MIB) {
    static desk d;
    d.ref = put(600 * KIB, 1);
    two_want_the_same(&d);
    CHECK(holds(d.ref, 600 * KIB, 1));
}
TEST_SCOPE(two_bodies_wait_for_a_gather_that_cannot_come_back, .workers = 2, .store_bytes = MIB) {
    static desk d = {.runs = 1};
    rr_ref parts[2] = {put(300 * KIB, 1), put(300 * KIB, 2)};
    d.ref = rr_gather(parts, 2);
    two_want_the_same(&d);
    CHECK(rr_unwrap(int, rr_call(store_check_many, d.ref, (uint64_t)1)) == 2);
}

int main(int argc, char **argv) { return test_main(argc, argv); }
