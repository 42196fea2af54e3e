/* Guards the object store when it has a limit: it is kept at every moment, what leaves memory comes
   back as it was, whatever fails on the way there or back; nothing waits for ever for room, and
   nothing is left behind: no memory, no file, no descriptor. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- files and memory that fail ---- */

enum fault { NO_FAULT, WITH_EIO, WITH_ENOSPC, INTERRUPTED, SHORT, NOTHING, CORRUPT };
static atomic_long faults_in = LONG_MAX; /* calls until one goes wrong */
static atomic_int fault_kind;
static atomic_bool fault_stays;              /* all later ones go wrong as well */
static atomic_long disk_room = LONG_MAX;     /* bytes until the disk is full; of one spiller */
static atomic_int writes_stall, is_stalled;  /* writes wait while the first is set */
static atomic_long largest_write = LONG_MAX; /* more at a time finds the disk full */
static atomic_int path_is_wanted;            /* of the next file that is made */
static atomic_int last_mode;                 /* of that; 0: not yet */
static char last_path[500];                  /* its path; written before last_mode */

static int fault_now(void) {
    long left = atomic_fetch_sub(&faults_in, 1);
    return left == 1 || (left < 1 && fault_stays) ? fault_kind : NO_FAULT;
}
static int fail_with(int error) { return errno = error, -1; }
static int error_of(int kind) {
    return kind == WITH_EIO ? EIO : kind == WITH_ENOSPC ? ENOSPC : kind == INTERRUPTED ? EINTR : 0;
}
static int file_open(const char *path) {
    int error = error_of(fault_now());
    if (error) return fail_with(error);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    struct stat s;
    if (fd >= 0 && fstat(fd, &s) == 0 && atomic_exchange(&path_is_wanted, 0)) {
        snprintf(last_path, sizeof last_path, "%s", path);
        last_mode = (int)(s.st_mode & 0777);
    }
    return fd;
}
static ssize_t file_write(int fd, const void *data, size_t size, uint64_t at) {
    while (writes_stall) {
        is_stalled = 1;
        nanosleep(&(struct timespec){0, 200000}, NULL);
    }
    is_stalled = 0;
    int kind = fault_now();
    if (error_of(kind)) return fail_with(error_of(kind));
    if (kind == NOTHING) return errno = 0, 0;
    long left = disk_room;
    if (size > (size_t)largest_write) return fail_with(ENOSPC);
    if (left <= 0) return fail_with(ENOSPC);
    if (size > (size_t)left) size = (size_t)left;
    ssize_t n = pwrite(fd, data, kind == SHORT && size > 1 ? size / 2 : size, (off_t)at);
    if (left < LONG_MAX && n > 0) atomic_compare_exchange_strong(&disk_room, &left, left - n);
    return n;
}
static ssize_t file_read(int fd, void *data, size_t size, uint64_t at) {
    int kind = fault_now();
    if (error_of(kind)) return fail_with(error_of(kind));
    if (kind == NOTHING) return 0;
    ssize_t n = pread(fd, data, kind == SHORT && size > 1 ? size / 2 : size, (off_t)at);
    if (kind == CORRUPT && n > 0) ((char *)data)[n / 2] ^= 4;
    return n;
}
#define RR__FILE_OPEN(path) file_open(path)
#define RR__FILE_WRITE(fd, p, n, at) file_write((fd), (p), (n), (at))
#define RR__FILE_READ(fd, p, n, at) file_read((fd), (p), (n), (at))

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
static int memory_has(size_t size) { return size < PTRDIFF_MAX / 2 && !memory_fails(); }
static void *memory_alloc(size_t size) {
    return memory_has(size) ? memory_count(malloc(size)) : NULL;
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
static bool tells(rr_ref r, const char *word) { return strstr(rr_error_message(r), word) != NULL; }
static bool is_refused(rr_ref r) {
    return rr_get_void(r) == RR_ERR_STORE_FULL && tells(r, "store_bytes");
}
/* Is the value of a complete object in memory? For what no counter tells. */
static bool is_here(fixture *f, rr_ref r) {
    rr__object *o = rr__slot_at(f->runtime, r.slot);
    return !rr__has_residence(o) || rr__is_at_hand(rr__load_acquire(rr__residence_at(o)));
}
/* So many wait for room, rule E5: for what no counter tells either. */
static int waiters_for_room(fixture *f) {
    int n = 0;
    rr__lock(&f->runtime->store->lock);
    for (rr__patience *p = f->runtime->store->oldest_patient; p; p = p->newer) n += p->looks > 0;
    rr__unlock(&f->runtime->store->lock);
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
    CHECK(is_refused(rr_create(SIZE_MAX - 3, &room)) && is_refused(rr_put_bytes(data, SIZE_MAX)));
    rr_ref refused = rr_put_bytes(data, sizeof data);
    CHECK(tells(refused, "1048577 bytes") && tells(refused, "store_bytes is 1048576"));
    CHECK(holds(before, MIB / 2, 1)); /* nothing had to go for that */
    CHECK(stats().objects_spilled == 0);
}

REMOTE_FN(int, store_size_of, rr_bytes, b) { return (int)b.size; }
/* Without a limit, or one that no machine has, it is memory that there is not. */
static void size_that_no_memory_has(fixture *f) {
    static const size_t sizes[] = {PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 3, SIZE_MAX};
    for (int i = 0; i < 4; i++) {
        void *room = f;
        rr_ref refs[4] = {rr_create(sizes[i], &room), rr_put_bytes("x", sizes[i]),
                          rr_call(store_make, sizes[i], (uint64_t)1),
                          rr_call(store_size_of, rr_bytes_of("x", sizes[i]))};
        CHECK(room == NULL);
        for (int k = 0; k < 4; k++)
            if (!CHECK(rr_get_void(refs[k]) == RR_ERR_NO_MEMORY && !tells(refs[k], "store_bytes")))
                fprintf(stderr, "%zu bytes, way %d: %s\n", sizes[i], k, rr_error_message(refs[k]));
    }
    CHECK(used() == 0 && holds(put(MIB, 1), MIB, 1));
}
TEST_SCOPE(size_that_no_memory_has_without_a_limit, .workers = 1) { size_that_no_memory_has(f); }
TEST_SCOPE(size_that_no_memory_has_with_a_limit_as_large, .workers = 1, .store_bytes = SIZE_MAX) {
    size_that_no_memory_has(f);
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
    START(&f, .workers = workers, .store_bytes = MIB, .stack_bytes = MIB);
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

/* Two bodies, each with what the other lacks, while something runs that has nothing of it. */
static atomic_int takers, unrelated_ends;
REMOTE_FN(int, store_taker, size_t, n) {
    void *room, *more;
    rr_ref first = rr_create(n, &room);
    takers++;
    while (takers < 2) nap();
    rr_ref second = rr_create(n, &more);
    if (room) rr_seal(first);
    if (more) rr_seal(second);
    return more != NULL;
}
REMOTE_FN(int, store_unrelated, int, how) {
    while (!unrelated_ends) {
        if (how == 1) rr_sleep_ms(5);
        else nap();
    }
    return 0;
}
REMOTE_FN(int, store_tries_again, int, x) { return rr_fail(1, "as it should"), x; }
TEST_ALONE(room_that_bodies_hold_while_something_unrelated_runs) {
    for (int how = 0; how < 4; how++) {
        fixture f;
        int got[2] = {0, 0};
        START(&f, .workers = 3, .store_bytes = 80000);
        takers = unrelated_ends = 0;
        rr_ref other = how == 2 ? rr_call_with(RR_OPTIONS(.blocking = true), store_unrelated, how)
                       : how == 3
                           ? rr_call_with(RR_OPTIONS(.max_retries = 1, .retry_delay_ms = 60000),
                                          store_tries_again, how)
                           : rr_call(store_unrelated, how);
        rr_ref both[2] = {rr_call(store_taker, (size_t)30000), rr_call(store_taker, (size_t)30000)};
        CHECK(rr_wait(both, 2, 2, LIMIT * 1000, NULL) == 2);
        CHECK(rr_get(int, both[0], &got[0]) == RR_OK && rr_get(int, both[1], &got[1]) == RR_OK);
        CHECK(got[0] + got[1] >= 1); /* one gave up, and the other went on */
        unrelated_ends = 1;
        if (how == 3) rr_cancel(other);
        rr_release(other), rr_release(both[0]), rr_release(both[1]);
        fixture_stop(&f);
    }
}

/* A body holds room, and waits for the reader of its stream, a thread from outside, which wants
   room itself: nobody else will give any, whatever goes on beside them. */
REMOTE_STREAM(int, store_yields_with_room, uint64_t, at, size_t, size) {
    desk *d = desk_at(at);
    void *room;
    rr_ref open = rr_create(size, &room);
    for (int i = 0; i < 3; i++) {
        d->runs++;
        if (rr_yield(int, i) != RR_OK) d->wrong++;
    }
    if (room) rr_seal(open);
}
TEST_ALONE(reader_outside_wants_room_that_the_body_of_its_stream_has) {
    for (int how = 0; how < 3; how++) {
        fixture f;
        desk d = {.runs = 0};
        START(&f, .workers = 2, .store_bytes = MIB);
        rr_scope scope = rr_scope_begin();
        unrelated_ends = how == 2;
        rr_ref other = rr_call(store_unrelated, how), r;
        rr_stream s = rr_call_stream_with(RR_OPTIONS(.max_unread = 1), store_yields_with_room,
                                          AT(&d), (size_t)700 * KIB);
        CHECK(reaches(&d.runs, 2)); /* it waits for space, or will */
        CHECK(is_refused(put(700 * KIB, 1)));
        for (int i = 0, x = -1; i < 3; i++)
            CHECK(rr_next(s, &r) == RR_OK && rr_get(int, r, &x) == RR_OK && x == i);
        CHECK(rr_next(s, &r) == RR_ERR_END);
        CHECK(rr_get_void(put(700 * KIB, 1)) == RR_OK);
        unrelated_ends = 1;
        CHECK(rr_get_void(other) == RR_OK);
        rr_scope_end(scope);
        fixture_stop(&f);
    }
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
    rr_ref full = put(300 * KIB, 3), made = rr_call(store_make, (size_t)300 * KIB, (uint64_t)3);
    CHECK(is_refused(full) && is_refused(made));
    CHECK(tells(full, "307200 bytes") && tells(full, "921600 of the 1048576 bytes"));
    CHECK(tells(full, "pinned") && tells(made, "921600 of the 1048576 bytes"));
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
    rr_ref made = rr_call(store_make, (size_t)600 * KIB, seed);
    rr_status status = rr_get(rr_bytes, made, &view);
    CHECK(tells(made, "614400 bytes") && tells(made, "of the 1048576 bytes"));
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

/* ---- spilling ---- */

/* Puts n objects of one size, seeds from 0 on. */
static void put_all(rr_ref *refs, int n, size_t size) {
    for (int i = 0; i < n; i++)
        CHECK(rr_get_void(refs[i] = put(size, (uint64_t)i)) == RR_OK); /* also asks for none back */
}

TEST_SCOPE(least_recently_used_leave_first, .workers = 1, .store_bytes = MIB) {
    rr_ref refs[10];
    put_all(refs, 10, 100 * KIB);
    CHECK(stats().objects_spilled == 0 && holds(refs[0], 100 * KIB, 0));
    rr_ref more = put(100 * KIB, 10);
    CHECK(rr_get_void(more) == RR_OK);
    for (double start = rr_now(); used() > MIB - 50 * KIB && rr_now() - start < LIMIT;) nap();
    CHECK(is_here(f, refs[0]) && !is_here(f, refs[1]) && is_here(f, refs[9]) && is_here(f, more));
    CHECK(holds(refs[0], 100 * KIB, 0) && stats().objects_restored == 0);
    CHECK(holds(refs[1], 100 * KIB, 1) && stats().objects_restored == 1);
}

TEST_SCOPE(reading_as_an_argument_keeps_a_value_young, .workers = 1, .store_bytes = MIB) {
    rr_ref refs[10];
    put_all(refs, 10, 100 * KIB);
    CHECK(rr_unwrap(int, rr_call(store_check, refs[0], (uint64_t)0)) == 1);
    CHECK(rr_get_void(put(100 * KIB, 10)) == RR_OK);
    CHECK(is_here(f, refs[0]) && !is_here(f, refs[1]));
}

TEST_SCOPE(large_ones_leave_before_small_ones_of_about_their_age, .workers = 1,
           .store_bytes = MIB) {
    rr_ref small[20], large = {0};
    put_all(small, 20, 500);
    large = put(500 * KIB, 100);
    CHECK(rr_get_void(put(600 * KIB, 101)) == RR_OK);
    for (int i = 0; i < 20; i++) CHECK(is_here(f, small[i]));
    CHECK(!is_here(f, large) && holds(large, 500 * KIB, 100));
}

/* They are never older than others by weight: they must not stand in front of them either. */
TEST_SCOPE(objects_of_no_bytes_are_not_in_the_way, .workers = 1, .store_bytes = 64 * KIB) {
    rr_ref empty = put(0, 1), refs[2000];
    put_all(refs, 2000, 64);
    CHECK(stats().objects_spilled > 0 && holds(empty, 0, 1));
    for (int i = 0; i < 2000; i += 37) CHECK(holds(refs[i], 64, (uint64_t)i));
}

TEST_SCOPE(values_of_all_sizes_come_back_as_they_were, .workers = 2, .store_bytes = 4 * MIB) {
    static const size_t sizes[] = {0,     1,       32,     33,      63,         64,
                                   65,    1000,    4095,   4096,    4097,       49152,
                                   49153, 100001,  MIB,    MIB + 1, 40000,      50000,
                                   60001, 2 * MIB, 700001, 900009,  3 * MIB + 5};
    enum { N = sizeof sizes / sizeof *sizes };
    rr_ref refs[N];
    for (uint64_t i = 0; i < N; i++)
        refs[i] = i % 2 ? put(sizes[i], i) : rr_call(store_make, sizes[i], i);
    CHECK(rr_wait(refs, N, N, LIMIT * 1000, NULL) == N);
    for (int round = 0; round < 2; round++)
        for (uint64_t i = 0; i < N; i++) CHECK(holds(refs[i], sizes[i], i));
    rr_stats s = stats();
    CHECK(s.objects_restored > 0 && s.spill_bytes_read > 0 && s.spill_seconds > 0);
}

static int descriptors(void) {
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir)) n++;
    if (dir) closedir(dir);
    return n;
}

TEST_ALONE(many_small_objects_go_to_few_files) {
    enum { N = 20000, SIZE = 100 };
    fixture f;
    static rr_ref refs[N];
    int before = descriptors();
    START(&f, .workers = 1, .store_bytes = 256 * KIB);
    rr_scope scope = rr_scope_begin();
    put_all(refs, N, SIZE);
    CHECK(stats().objects_spilled > N / 2 && descriptors() <= before + 4);
    for (uint64_t i = 0; i < N; i += 7) CHECK(holds(refs[i], SIZE, i));
    rr_scope_end(scope);
    CHECK(objects_settle_at(0) && room_settles_at(0));
    fixture_stop(&f);
    CHECK(descriptors() <= before);
}

/* A copy that lies in a file is right for ever: values do not change. */
TEST_SCOPE(restored_values_leave_again_without_a_write, .workers = 1, .store_bytes = 512 * KIB) {
    enum { N = 12, SIZE = 100 * KIB };
    rr_ref refs[N];
    put_all(refs, N, SIZE);
    for (int round = 0; round < 5; round++)
        for (uint64_t i = 0; i < N; i++) CHECK(holds(refs[i], SIZE, i));
    rr_stats s = stats();
    CHECK(s.objects_restored > N && s.spill_bytes_written <= (uint64_t)N * SIZE);
    CHECK(s.spill_bytes_read == s.objects_restored * SIZE);
}

TEST_SCOPE(spilled_values_are_arguments, .workers = 2, .store_bytes = MIB) {
    rr_ref refs[20], checks[20];
    put_all(refs, 20, 150 * KIB);
    for (uint64_t i = 0; i < 20; i++) checks[i] = rr_call(store_check, refs[i], i);
    for (int i = 0; i < 20; i++) CHECK(rr_unwrap(int, checks[i]) == 1);
}

TEST_SCOPE(spilled_values_in_gathers, .workers = 2, .store_bytes = MIB) {
    rr_ref refs[20], checks[5], gathers[5];
    rr_many many;
    put_all(refs, 20, 150 * KIB);
    for (uint64_t i = 0; i < 5; i++) gathers[i] = rr_gather(refs + 4 * i, 4);
    for (uint64_t i = 0; i < 5; i++) checks[i] = rr_call(store_check_many, gathers[i], 4 * i);
    for (int i = 0; i < 5; i++) CHECK(rr_unwrap(int, checks[i]) == 4);
    for (uint64_t i = 0; i < 5; i++) {
        rr_scope scope = rr_scope_begin();
        if (CHECK(rr_get(rr_many, gathers[i], &many) == RR_OK && many.count == 4))
            for (uint64_t k = 0; k < 4; k++)
                CHECK(is_filled(many.items[k].data, 150 * KIB, 4 * i + k));
        rr_scope_end(scope);
    }
}

/* The parts of one that cannot be had whole are let go again. */
TEST_SCOPE(gather_that_does_not_fit_leaves_nothing_pinned, .workers = 1, .store_bytes = MIB,
           .stack_bytes = 4 * MIB) {
    rr_ref refs[4], gather;
    rr_many many = {NULL, 9};
    put_all(refs, 4, 400 * KIB);
    gather = rr_gather(refs, 4);
    CHECK(rr_get(rr_many, gather, &many) == RR_ERR_STORE_FULL && !many.items && !many.count);
    CHECK(rr_get_void(rr_call(store_check_many, gather, (uint64_t)0)) == RR_ERR_STORE_FULL);
    CHECK(rr_get_void(put(MIB, 9)) == RR_OK);
    for (uint64_t i = 0; i < 4; i++) CHECK(holds(refs[i], 400 * KIB, i));
}

typedef struct halves {
    large left;
    int number;
    large right;
} halves;
REMOTE_FN(halves, store_halves, uint64_t, seed) {
    static _Thread_local halves h;
    fill(h.left.bytes, sizeof h.left, seed), fill(h.right.bytes, sizeof h.right, seed + 1);
    h.number = (int)seed;
    return h;
}
TEST_SCOPE(fields_of_spilled_structs, .workers = 2, .store_bytes = 2 * MIB,
           .stack_bytes = 4 * MIB) {
    rr_ref whole[6], left[6], right[6], number[6];
    static large l;
    int n;
    for (uint64_t i = 0; i < 6; i++) whole[i] = rr_call(store_halves, i);
    CHECK(rr_wait(whole, 6, 6, LIMIT * 1000, NULL) == 6);
    for (int i = 0; i < 6; i++) {
        left[i] = rr_field(large, whole[i], halves, left);
        number[i] = rr_field(int, whole[i], halves, number);
        right[i] = rr_field(large, whole[i], halves, right);
    }
    for (uint64_t i = 0; i < 6; i++) {
        CHECK(rr_get(large, left[i], &l) == RR_OK && is_filled(&l, sizeof l, i));
        CHECK(rr_get(large, right[i], &l) == RR_OK && is_filled(&l, sizeof l, i + 1));
        CHECK(rr_get(int, number[i], &n) == RR_OK && n == (int)i);
    }
    CHECK(stats().objects_restored > 0);
}

typedef struct Maker {
    uint64_t next;
} Maker;
REMOTE_ACTOR(Maker, create) { self->next = 0; }
REMOTE_METHOD(rr_bytes, Maker, make, size_t, size) { return store_make(size, self->next++); }
REMOTE_METHOD(int, Maker, check, rr_bytes, b, uint64_t, seed) {
    return is_filled(b.data, b.size, seed) && self->next > seed;
}
TEST_SCOPE(results_and_arguments_of_actors, .workers = 2, .store_bytes = MIB) {
    rr_actor maker = rr_spawn(Maker_create);
    rr_ref made[15], checks[15];
    for (int i = 0; i < 15; i++) made[i] = rr_ask(maker, Maker_make, (size_t)150 * KIB);
    for (uint64_t i = 0; i < 15; i++) checks[i] = rr_ask(maker, Maker_check, made[i], i);
    for (uint64_t i = 0; i < 15; i++) CHECK(rr_unwrap(int, checks[i]) == 1);
    for (uint64_t i = 0; i < 15; i++) CHECK(holds(made[i], 150 * KIB, i));
    CHECK(stats().objects_restored > 0);
}

REMOTE_STREAM(rr_bytes, store_items, int, n, size_t, size) {
    char *bytes = malloc(size);
    for (int i = 0; bytes && i < n; i++) {
        fill(bytes, size, (uint64_t)i);
        if (rr_yield(rr_bytes, rr_bytes_of(bytes, size)) != RR_OK) break;
    }
    free(bytes);
}
REMOTE_STREAM(large, store_large_items, int, n) {
    large *l = malloc(sizeof *l);
    for (int i = 0; l && i < n; i++) {
        fill(l, sizeof *l, (uint64_t)i);
        if (rr_yield(large, *l) != RR_OK) break;
    }
    free(l);
}
TEST_SCOPE(items_of_streams, .workers = 2, .store_bytes = MIB, .stack_bytes = MIB) {
    static large l;
    rr_ref kept[12], r;
    rr_stream items = rr_call_stream(store_items, 12, (size_t)150 * KIB);
    rr_stream larges = rr_call_stream(store_large_items, 12);
    for (uint64_t i = 0; i < 12; i++) CHECK(rr_next(items, &kept[i]) == RR_OK);
    CHECK(rr_next(items, &r) == RR_ERR_END);
    for (uint64_t i = 0; i < 12; i++) {
        CHECK(rr_next(larges, &r) == RR_OK && rr_get(large, r, &l) == RR_OK);
        CHECK(is_filled(&l, sizeof l, i));
    }
    for (uint64_t i = 0; i < 12; i++) CHECK(holds(kept[i], 150 * KIB, i));
    CHECK(stats().objects_restored > 0);
    rr_release(items), rr_release(larges);
}

typedef struct reading {
    rr_ref *refs;
    int n;
    size_t size;
    atomic_int *go;
} reading;
static void read_all(void *data) {
    reading *r = data;
    while (!*r->go) nap();
    for (int i = 0; i < r->n; i++) CHECK(holds(r->refs[i], r->size, (uint64_t)i));
}
TEST_SCOPE(readers_at_once_bring_a_value_back_once, .workers = 1, .store_bytes = 2 * MIB) {
    enum { N = 8, SIZE = 200 * KIB };
    rr_ref refs[N], rest;
    atomic_int go = 0;
    outside threads[4];
    reading r = {refs, N, SIZE, &go};
    put_all(refs, N, SIZE);
    CHECK(rr_get_void(rest = put(2 * MIB, 99)) == RR_OK);
    rr_release(rest);
    CHECK(room_settles_at(0) && stats().objects_spilled == N);
    for (int i = 0; i < 4; i++) outside_start(&threads[i], f->runtime, read_all, &r);
    go = 1;
    for (int i = 0; i < 4; i++) outside_join(&threads[i]);
    CHECK(stats().objects_restored == N);
}

TEST_SCOPE(views_stay_while_others_leave, .workers = 2, .store_bytes = MIB) {
    rr_ref kept = put(300 * KIB, 1);
    rr_bytes view = {0}, again = {0};
    rr_scope scope = rr_scope_begin();
    CHECK(rr_get(rr_bytes, kept, &view) == RR_OK);
    for (uint64_t i = 0; i < 40; i++) CHECK(rr_get_void(put(100 * KIB, 2 + i)) == RR_OK);
    CHECK(is_filled(view.data, 300 * KIB, 1));
    CHECK(rr_get(rr_bytes, kept, &again) == RR_OK && again.data == view.data);
    rr_release(kept); /* the scope keeps the view */
    CHECK(rr_get_void(put(700 * KIB, 99)) == RR_OK && is_filled(view.data, 300 * KIB, 1));
    rr_scope_end(scope);
}

TEST_SCOPE(waiting_and_looking_bring_nothing_back, .workers = 1, .store_bytes = MIB) {
    rr_ref refs[20], gather;
    size_t ready[20];
    put_all(refs, 20, 100 * KIB);
    CHECK(rr_wait(refs, 20, 20, -1, ready) == 20 && rr_wait(refs, 20, 3, 0, ready) == 3);
    for (int i = 0; i < 20; i++) CHECK(rr_ready(refs[i]) && rr_get_void(refs[i]) == RR_OK);
    gather = rr_gather(refs, 20);
    rr_name("waiting", refs[0]), rr_name("waiting", (rr_ref){0});
    CHECK(rr_get_void(gather) == RR_OK && rr_error_code(refs[0]) == 0);
    CHECK(rr_get(int, refs[0], &(int){0}) == RR_ERR_TYPE);
    CHECK(stats().objects_restored == 0 && stats().objects_spilled > 0);
}

TEST_RUN(views_outside_scopes_stay_until_the_object_ends, .workers = 1, .store_bytes = MIB) {
    rr_ref r = put(300 * KIB, 1), others[20];
    rr_bytes view = {0};
    for (int i = 0; i < 3; i++) CHECK(rr_get(rr_bytes, r, &view) == RR_OK);
    rr_retain(r), rr_release(r); /* a pair that changes nothing */
    put_all(others, 20, 100 * KIB);
    rr_ref refused = put(MIB, 98);
    CHECK(is_filled(view.data, 300 * KIB, 1) && is_here(f, r) && is_refused(refused));
    rr_release(r), rr_release(refused);
    rr_ref all = put(MIB, 99);
    CHECK(rr_get_void(all) == RR_OK);
    rr_release(all), release_all(others, 20);
    CHECK(objects_settle_at(0) && room_settles_at(0));
}

TEST_RUN(gathered_views_outside_scopes_stay_until_the_gather_ends, .workers = 1,
         .store_bytes = MIB) {
    rr_ref parts[2] = {put(200 * KIB, 1), put(200 * KIB, 2)}, gather = rr_gather(parts, 2);
    rr_many many = {0};
    CHECK(rr_get(rr_many, gather, &many) == RR_OK && many.count == 2);
    CHECK(is_refused(put(MIB, 9)));
    CHECK(is_filled(many.items[1].data, 200 * KIB, 2));
    rr_release(gather);
    rr_ref all = put(MIB, 99);
    CHECK(rr_get_void(all) == RR_OK && !is_here(f, parts[0]) && !is_here(f, parts[1]));
    rr_release(all), release_all(parts, 2);
    rr_runtime_use(f->runtime);
}

TEST_SCOPE(released_while_away_gives_the_file_back, .workers = 1, .store_bytes = MIB) {
    rr_ref refs[20];
    put_all(refs, 20, 100 * KIB);
    uint64_t most = stats().spill_bytes_used;
    CHECK(most >= 900 * KIB);
    release_all(refs, 20);
    put_all(refs, 20, 100 * KIB); /* a file in which nothing lives is not appended to */
    CHECK(stats().spill_bytes_used <= most + 200 * KIB);
    for (uint64_t i = 0; i < 20; i++) CHECK(holds(refs[i], 100 * KIB, i));
}

/* ---- while the spiller writes ---- */

static void stall_begin(void) {
    is_stalled = 0;
    writes_stall = 1;
}
static bool stall_waits(void) {
    for (double start = rr_now(); !is_stalled; nap())
        if (rr_now() - start > LIMIT) return false;
    return true;
}
static void stall_end(void) { writes_stall = 0; }
typedef struct putting {
    size_t size;
    uint64_t seed;
    rr_ref ref;
    atomic_int done;
} putting;
static void put_one(void *data) {
    putting *p = data;
    char *bytes = malloc(p->size);
    if (bytes) fill(bytes, p->size, p->seed);
    p->ref = rr_put_bytes(bytes, p->size);
    free(bytes);
    p->done = 1;
}

TEST_ALONE(released_while_it_is_written) {
    fixture f;
    rr_ref refs[10];
    outside thread;
    putting p = {.size = 500 * KIB, .seed = 77};
    START(&f, .workers = 1, .store_bytes = MIB);
    put_all(refs, 10, 100 * KIB);
    stall_begin();
    outside_start(&thread, f.runtime, put_one, &p);
    CHECK(stall_waits());
    release_all(refs, 5); /* among them what is being written */
    CHECK(holds(refs[5], 100 * KIB, 5));
    stall_end();
    outside_join(&thread);
    CHECK(holds(p.ref, p.size, p.seed));
    for (uint64_t i = 5; i < 10; i++) CHECK(holds(refs[i], 100 * KIB, i));
    release_all(refs + 5, 5), rr_release(p.ref);
    CHECK(objects_settle_at(0) && room_settles_at(0));
    fixture_stop(&f);
}

TEST_ALONE(read_while_it_is_written_stays) {
    fixture f;
    rr_ref refs[10];
    rr_bytes views[10];
    outside thread;
    putting p = {.size = 300 * KIB, .seed = 77};
    START(&f, .workers = 1, .store_bytes = MIB);
    put_all(refs, 10, 100 * KIB);
    stall_begin();
    outside_start(&thread, f.runtime, put_one, &p);
    CHECK(stall_waits());
    rr_scope scope = rr_scope_begin();
    for (int i = 0; i < 3; i++) CHECK(rr_get(rr_bytes, refs[i], &views[i]) == RR_OK);
    stall_end();
    outside_join(&thread);
    for (uint64_t i = 0; i < 3; i++) CHECK(is_filled(views[i].data, 100 * KIB, i));
    CHECK(stats().objects_restored == 0 && holds(p.ref, p.size, p.seed));
    rr_scope_end(scope);
    for (uint64_t i = 0; i < 10; i++) CHECK(holds(refs[i], 100 * KIB, i));
    release_all(refs, 10), rr_release(p.ref);
    CHECK(objects_settle_at(0) && room_settles_at(0));
    fixture_stop(&f);
}

static void *destroy_runtime(void *runtime) {
    CHECK(rr_runtime_destroy(runtime) == RR_OK);
    return NULL;
}
/* The end comes while one batch is written and more is to follow, for which threads outside wait.
   Neither they nor the end wait for ever, and what was to follow is not touched again. */
static void end_while_writing(bool makes_room) {
    fixture f;
    rr_ref refs[10];
    outside threads[2];
    pthread_t end;
    putting p[2] = {{.size = 200 * KIB, .seed = 1}, {.size = 600 * KIB, .seed = 2}};
    START(&f, .workers = 1, .store_bytes = MIB);
    put_all(refs, 10, 100 * KIB);
    stall_begin();
    outside_start(&threads[0], f.runtime, put_one, &p[0]);
    CHECK(stall_waits());
    uint64_t leaving = 0;
    outside_start(&threads[1], f.runtime, put_one, &p[1]);
    for (double start = rr_now(); leaving < 500 * KIB && rr_now() - start < LIMIT; nap()) {
        rr__lock(&f.runtime->store->lock);
        leaving = f.runtime->store->leaving;
        rr__unlock(&f.runtime->store->lock);
    }
    if (makes_room) release_all(refs + 8, 2);
    rr_runtime *runtime = f.runtime;
    pthread_create(&end, NULL, destroy_runtime, runtime);
    for (double start = rr_now(); rr__load_acquire(&runtime->phase) != RR__STOPPED; nap())
        if (!CHECK(rr_now() - start < LIMIT)) break;
    stall_end();
    outside_join(&threads[0]), outside_join(&threads[1]);
    rr_runtime_use(NULL);
    rr_get_void((rr_ref){0}); /* this thread lets go of it */
    pthread_join(end, NULL);
    CHECK(p[0].done && p[1].done);
    pthread_mutex_destroy(&f.lock);
}
TEST_ALONE(end_while_values_wait_to_be_written) { end_while_writing(false); }
TEST_ALONE(end_while_values_wait_to_be_written_and_room_comes) { end_while_writing(true); }

/* ---- files ---- */

static int entries(const char *path) {
    int n = 0;
    DIR *dir = opendir(path);
    while (dir && readdir(dir)) n++;
    if (dir) closedir(dir);
    return dir ? n - 2 : -1; /* without . and .. */
}
static bool folder_new(char *path, size_t size) {
    const char *tmp = getenv("TMPDIR");
    snprintf(path, size, "%s/test_store.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    return CHECK(mkdtemp(path) != NULL);
}
static bool lies_in(const char *path, const char *folder) {
    size_t n = strlen(folder);
    return !strncmp(path, folder, n) && path[n] == '/' && !strchr(path + n + 1, '/');
}
static void spill_some(rr_config config, const char *folder) {
    fixture f;
    rr_ref refs[20];
    last_path[0] = 0;
    last_mode = 0;
    path_is_wanted = 1;
    config.workers = 1, config.store_bytes = MIB;
    fixture_start(&f, config);
    put_all(refs, 20, 100 * KIB);
    CHECK(reaches(&last_mode, 1) && lies_in(last_path, folder) && last_mode == 0600);
    CHECK(entries(folder) == 0 && access(last_path, F_OK) != 0); /* it has no name any more */
    fixture_stop(&f);
    CHECK(entries(folder) == 0);
}
TEST_ALONE(files_lie_where_the_configuration_says) {
    char given[300], spill[300], tmp[300];
    const char *was = getenv("TMPDIR");
    char *before = was ? strdup(was) : NULL;
    if (!folder_new(given, sizeof given) || !folder_new(spill, sizeof spill) ||
        !folder_new(tmp, sizeof tmp))
        return;
    int fds = descriptors();
    setenv("TMPDIR", tmp, 1);
    spill_some((rr_config){0}, tmp);
    setenv("RUSTYRAY_SPILL_DIR", spill, 1);
    spill_some((rr_config){0}, spill);
    spill_some((rr_config){.spill_dir = given}, given);
    spill_some((rr_config){.spill_dir = ""}, spill);
    unsetenv("RUSTYRAY_SPILL_DIR");
    if (before) setenv("TMPDIR", before, 1);
    else unsetenv("TMPDIR");
    free(before);
    CHECK(descriptors() == fds);
    rmdir(given), rmdir(spill), rmdir(tmp);
}

TEST(folder_that_is_not_there_is_told_at_the_start) {
    rr_config config = {.workers = 1, .store_bytes = MIB, .spill_dir = "/nowhere/at/all"};
    fixture f = {.warnings = 0};
    pthread_mutex_init(&f.lock, NULL);
    config.log = fixture_log, config.log_data = &f;
    CHECK(rr_runtime_create(&config) == NULL && fixture_logged(&f, "spill_dir"));
    config.no_spill = true; /* nobody needs the folder */
    rr_runtime *rt = rr_runtime_create(&config);
    CHECK(rt && rr_runtime_destroy(rt) == RR_OK);
    pthread_mutex_destroy(&f.lock);
}

/* One that nobody chose may never be needed. */
TEST_ALONE(folder_that_goes_is_an_error_that_says_so) {
    char folder[300];
    fixture f;
    rr_ref refs[12];
    int full = 0;
    if (!folder_new(folder, sizeof folder)) return;
    START(&f, .workers = 1, .store_bytes = MIB, .spill_dir = folder);
    rmdir(folder);
    for (uint64_t i = 0; i < 12; i++) refs[i] = put(100 * KIB, i);
    for (uint64_t i = 0; i < 12; i++) {
        rr_status status = read_status(refs[i], 100 * KIB, i);
        CHECK(status == (i < 10 ? RR_OK : RR_ERR_IO));
        full += status != RR_OK;
    }
    CHECK(full == 2 && tells(refs[11], folder) && tells(refs[11], "spill_dir"));
    CHECK(fixture_logged(&f, folder) && fixture_logged(&f, "spill_dir"));
    release_all(refs, 12);
    CHECK(objects_settle_at(0) && room_settles_at(0));
    fixture_stop(&f);
}

/* It is one line and a count, however many requests need the folder. */
static void hour_passes(fixture *f) {
    rr__lock(&f->runtime->log_lock);
    for (int i = 0; i < RR__LINES; i++) f->runtime->lines[i].at -= 3600;
    rr__unlock(&f->runtime->log_lock);
}
TEST_ALONE(folder_that_goes_is_told_once_and_counted) {
    char folder[300];
    fixture f;
    rr_ref refs[10];
    if (!folder_new(folder, sizeof folder)) return;
    START(&f, .workers = 1, .store_bytes = MIB, .spill_dir = folder);
    rmdir(folder);
    put_all(refs, 10, 100 * KIB);
    for (int i = 0; i < 30; i++) {
        rr_ref none = put(100 * KIB, 1);
        CHECK(rr_get_void(none) == RR_ERR_IO && f.errors == 1);
        rr_release(none);
    }
    hour_passes(&f); /* after which it is told again */
    for (int i = 0; i < 5; i++) rr_release(put(100 * KIB, 1));
    CHECK(f.errors == 3 && fixture_logged(&f, "29 more times: values cannot be written"));
    release_all(refs, 10);
    fixture_stop(&f);
    CHECK(f.errors == 4 && f.warnings == 0 && strstr(f.log, "\n4 more times: values cannot"));
}

/* The child of kill -9: spills until then. */
static int spill_for_ever(const char *folder) {
    rr_config config = {.workers = 1, .store_bytes = MIB, .spill_dir = folder};
    if (rr_init(&config) != RR_OK) return 2;
    rr_ref refs[40];
    for (uint64_t i = 0;; i++) {
        if (i >= 40) rr_release(refs[i % 40]);
        refs[i % 40] = put(100 * KIB, i);
        if (i % 5 == 0) rr_pin(refs[i * 7 % 40 % (i + 1)]), rr_unpin(refs[i * 7 % 40 % (i + 1)]);
        if (i == 60 && write(1, "x", 1) != 1) return 3;
    }
}
TEST_ALONE(nothing_is_left_of_a_process_that_was_killed) {
    char folder[300], program[500];
    if (!folder_new(folder, sizeof folder)) return;
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = 0;
    for (int i = 0; n > 0 && i < 3; i++) {
        int out[2];
        if (!CHECK(pipe(out) == 0)) break;
        pid_t child = fork();
        if (child == 0) {
            dup2(out[1], 1);
            execl(program, program, "--spill-for-ever", folder, (char *)NULL);
            _exit(9);
        }
        close(out[1]);
        char x = 0;
        int status = 0;
        CHECK(read(out[0], &x, 1) == 1 && x == 'x');
        nanosleep(&(struct timespec){0, i * 3000000}, NULL); /* somewhere in its work */
        CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status) && entries(folder) == 0);
        close(out[0]);
    }
    CHECK(rmdir(folder) == 0);
}

TEST_ALONE(descriptors_are_given_back) {
    int before = descriptors();
    for (int i = 0; i < 5; i++) {
        fixture f;
        rr_ref refs[30];
        START(&f, .workers = 2, .store_bytes = 256 * KIB);
        put_all(refs, 30, 30 * KIB);
        for (uint64_t k = 0; k < 30; k++) CHECK(holds(refs[k], 30 * KIB, k));
        if (i % 2) release_all(refs, 30); /* else they live to the end */
        fixture_stop(&f);
    }
    CHECK(descriptors() == before);
}

/* ---- what fails on the way ---- */

enum { FAULT_OBJECTS = 8, FAULT_SIZE = 40 * KIB };

/* Whatever goes wrong, a request ends with its value or an error of the store, and what was stored
   before can be read when files work again. */
static void faulty_scenario(fixture *f) {
    rr_ref refs[FAULT_OBJECTS], made[2], field;
    rr_scope scope = rr_scope_begin();
    for (uint64_t i = 0; i < FAULT_OBJECTS; i++) refs[i] = put(FAULT_SIZE, i);
    for (uint64_t i = 0; i < 2; i++) made[i] = rr_call(store_check, refs[i], i);
    field = rr_gather(refs + 2, 2);
    rr_ref many = rr_call(store_check_many, field, (uint64_t)2);
    for (uint64_t i = 0; i < FAULT_OBJECTS; i++) {
        rr_status status = read_status(refs[i], FAULT_SIZE, i);
        CHECK(status == RR_OK || status == RR_ERR_IO || status == RR_ERR_STORE_FULL);
    }
    for (int i = 0; i < 2; i++) {
        rr_status status = rr_get_void(made[i]);
        CHECK(status == RR_OK || status == RR_ERR_IO || status == RR_ERR_STORE_FULL);
        CHECK(status != RR_OK || rr_unwrap(int, made[i]) == 1);
    }
    rr_status status = rr_get_void(many);
    CHECK(status == RR_OK || status == RR_ERR_IO || status == RR_ERR_STORE_FULL);
    CHECK(status != RR_OK || rr_unwrap(int, many) == 2);
    faults_in = LONG_MAX;
    fault_stays = false;
    for (uint64_t i = 0; i < FAULT_OBJECTS; i++) {
        rr__object *o = rr__slot_at(f->runtime, refs[i].slot);
        CHECK(rr__has_failed(o) || holds(refs[i], FAULT_SIZE, i));
    }
    rr_ref more = put(FAULT_SIZE, 50);
    CHECK(holds(more, FAULT_SIZE, 50));
    rr_scope_end(scope);
    CHECK(objects_settle_at(0) && room_settles_at(0));
}
static void *faulty_runner(void *nothing) {
    fixture f;
    START(&f, .workers = 1, .store_bytes = 128 * KIB);
    faulty_scenario(&f);
    fixture_stop(&f);
    return nothing;
}
/* With the n-th call for a file going wrong. */
static void run_faulty(long n, int kind, bool stays) {
    pthread_t thread; /* of its own: what it has goes at its end */
    int fds = descriptors();
    long live = memory_live;
    fault_kind = kind;
    fault_stays = stays;
    faults_in = n;
    if (!CHECK(pthread_create(&thread, NULL, faulty_runner, NULL) == 0)) abort();
    CHECK(pthread_join(thread, NULL) == 0);
    faults_in = LONG_MAX;
    if (!CHECK(memory_live == live && descriptors() == fds))
        fprintf(stderr, "call %ld, kind %d%s\n", n, kind, stays ? ", and all after it" : "");
}
static void faults_of_kind(int kind) {
    for (long n = 1; n <= 50; n++) { /* it makes some 30 */
        run_faulty(n, kind, false);
        if (kind != INTERRUPTED) run_faulty(n, kind, true); /* or it would be tried for ever */
    }
}
TEST_ALONE(files_that_fail_with_eio) { faults_of_kind(WITH_EIO); }
TEST_ALONE(files_that_are_full) { faults_of_kind(WITH_ENOSPC); }
TEST_ALONE(files_that_write_and_read_nothing) { faults_of_kind(NOTHING); }
TEST_ALONE(files_that_are_corrupt) { faults_of_kind(CORRUPT); }

/* These are no errors. */
static void handled_fault(int kind, bool stays) {
    for (long n = 1; n < 40; n++) {
        fixture f;
        rr_ref refs[12];
        START(&f, .workers = 1, .store_bytes = 128 * KIB);
        rr_scope scope = rr_scope_begin();
        fault_kind = kind;
        fault_stays = stays;
        faults_in = n;
        put_all(refs, 12, FAULT_SIZE);
        for (uint64_t i = 0; i < 12; i++) CHECK(holds(refs[i], FAULT_SIZE, i));
        faults_in = LONG_MAX;
        rr_scope_end(scope);
        CHECK(objects_settle_at(0) && room_settles_at(0) && fixture_messages(&f) == 0);
        fixture_stop(&f);
    }
}
TEST_ALONE(interrupted_calls_are_made_again) { handled_fault(INTERRUPTED, false); }
TEST_ALONE(short_writes_and_reads_are_gone_on_with) {
    handled_fault(SHORT, false), handled_fault(SHORT, true);
}

TEST_ALONE(full_disk_is_told_from_a_broken_one) {
    static const rr_status wanted[] = {[WITH_EIO] = RR_ERR_IO, [WITH_ENOSPC] = RR_ERR_STORE_FULL};
    for (int kind = WITH_EIO; kind <= WITH_ENOSPC; kind++)
        for (int n = 1; n <= 2; n++) { /* what makes the file, a write */
            fixture f;
            rr_ref refs[3];
            START(&f, .workers = 1, .store_bytes = 128 * KIB);
            put_all(refs, 3, FAULT_SIZE);
            fault_kind = kind;
            fault_stays = true;
            faults_in = n;
            rr_ref none = put(FAULT_SIZE, 3);
            faults_in = LONG_MAX;
            if (!CHECK(rr_get_void(none) == wanted[kind])) fprintf(stderr, "call %d\n", n);
            for (uint64_t i = 0; i < 3; i++) CHECK(holds(refs[i], FAULT_SIZE, i));
            rr_release(none), release_all(refs, 3);
            CHECK(objects_settle_at(0) && room_settles_at(0));
            fixture_stop(&f);
        }
}

/* A batch is not all or nothing: what was written before the disk was full is in its file, makes
   room and can be read; only what is too much is refused. */
static void disk_with_room_for(size_t size, int fit, int n) {
    fixture f;
    rr_ref refs[60], room;
    START(&f, .workers = 1, .store_bytes = (size_t)n * size);
    put_all(refs, n, size);
    disk_room = (long)(size * (size_t)fit + size / 2);
    rr_ref much = put(size * (size_t)(fit + 3), 100); /* all of these go in one batch */
    CHECK(is_refused(much) && tells(much, "spill_dir") && stats().objects_spilled == (size_t)fit);
    CHECK(stats().spill_bytes_written == size * (size_t)fit + size / 2);
    CHECK(stats().spill_bytes_used == stats().spill_bytes_written);
    CHECK(used() == size * (size_t)(n - fit) && f.errors == 1);
    room = put(size * (size_t)fit, 101); /* there is that much now */
    CHECK(rr_get_void(room) == RR_OK && stats().objects_spilled == (size_t)fit);
    rr_release(room);
    for (uint64_t i = 0; i < (uint64_t)n; i++) CHECK(holds(refs[i], size, i));
    CHECK(used() == size * (size_t)n && stats().objects_restored == (size_t)fit);
    rr_ref more = put(size * (size_t)fit, 102); /* the same leave again: nothing is written */
    CHECK(holds(more, size * (size_t)fit, 102));
    CHECK(stats().spill_bytes_written == size * (size_t)fit + size / 2);
    CHECK(is_refused(put(size, 103)));
    disk_room = LONG_MAX;
    for (uint64_t i = 0; i < (uint64_t)n; i++) CHECK(holds(refs[i], size, i));
    CHECK(holds(more, size * (size_t)fit, 102));
    release_all(refs, n), rr_release(more), rr_release(much);
    fixture_stop(&f);
}
/* Many writes fail, and many do not: a file is not given up for that. */
TEST_ALONE(disk_that_has_room_for_small_values_alone_costs_no_descriptors) {
    enum { COUNT = 1000 };
    static rr_ref refs[COUNT];
    fixture f;
    int before = descriptors(), most = 0;
    START(&f, .workers = 1, .store_bytes = MIB);
    largest_write = 8 * KIB;
    for (uint64_t i = 0; i < COUNT; i++) {
        refs[i] = put(i % 2 ? 1000 : 12000, i);
        (void)rr_get_void(refs[i]); /* or there is no room for it */
        if (descriptors() > most) most = descriptors();
    }
    CHECK(most < before + 12 && stats().objects_spilled > 10);
    largest_write = LONG_MAX;
    release_all(refs, COUNT);
    CHECK(objects_settle_at(0) && room_settles_at(0));
    fixture_stop(&f);
    CHECK(descriptors() == before);
}
TEST_ALONE(disk_that_gets_full_while_small_values_are_written) {
    disk_with_room_for(10 * KIB, 15, 60);
}
TEST_ALONE(disk_that_gets_full_while_large_values_are_written) {
    disk_with_room_for(100 * KIB, 3, 12);
}

/* Whatever the disk has room for at the moment: each request ends, with its value or the error that
   there is none, and all that was let in can be read when there is room again. */
static void put_on_a_full_disk(void *data) {
    enum { LIVE = 20 };
    uint64_t first = 1000 * (uint64_t)((load *)data)->number;
    rr_ref refs[LIVE] = {{0}};
    bool is_in[LIVE] = {false};
    for (uint64_t i = 0; i < 200; i++) {
        uint64_t k = i % LIVE, back = (i * 7) % LIVE;
        rr_release(refs[k]);
        refs[k] = put(10 * KIB, first + i);
        rr_status status = rr_get_void(refs[k]);
        CHECK(status == RR_OK || status == RR_ERR_STORE_FULL);
        is_in[k] = status == RR_OK;
        if (i < LIVE || !is_in[(i - back) % LIVE]) continue;
        status = read_status(refs[(i - back) % LIVE], 10 * KIB, first + i - back);
        CHECK(status == RR_OK || status == RR_ERR_STORE_FULL);
    }
    ((load *)data)->ok = true;
    while (disk_room != LONG_MAX) nap();
    for (uint64_t k = 0; k < LIVE; k++)
        CHECK(!is_in[k] || holds(refs[k], 10 * KIB, first + 180 + k));
    release_all(refs, LIVE);
}
TEST_ALONE(disk_that_is_full_now_and_then_for_many_threads) {
    enum { THREADS = 8 };
    fixture f;
    outside threads[THREADS];
    load loads[THREADS] = {{0}};
    START(&f, .workers = 1, .store_bytes = 512 * KIB);
    disk_room = 0;
    for (int i = 0; i < THREADS; i++) {
        loads[i].number = i;
        outside_start(&threads[i], f.runtime, put_on_a_full_disk, &loads[i]);
    }
    for (int i = 0; i < 100; i++) {
        disk_room = i % 2 ? 0 : (long)(i * KIB + 1);
        nap();
    }
    disk_room = LONG_MAX;
    for (int i = 0; i < THREADS; i++) {
        outside_join(&threads[i]);
        CHECK(loads[i].ok);
    }
    CHECK(objects_settle_at(0) && room_settles_at(0) && stats().spill_bytes_used == 0);
    fixture_stop(&f);
}

/* The same on a real one of 300 KiB, which the child of a test may mount for itself, or may not. */
enum { NO_MOUNT = 77 };
static int fill_small_disk(const char *folder) {
    fixture f;
    rr_ref refs[60];
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", folder, "tmpfs", 0, "size=300k") != 0)
        return NO_MOUNT;
    test_watch(1, 60);
    START(&f, .workers = 1, .store_bytes = 600000, .spill_dir = folder);
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 60; i++) refs[i] = put(10 * KIB, i);
        for (uint64_t i = 0; i < 60; i++) CHECK(holds(refs[i], 10 * KIB, i));
        rr_ref much = put(500000, 100); /* 49 would have to go */
        CHECK(is_refused(much));
        for (uint64_t i = 0; i < 60; i++) CHECK(holds(refs[i], 10 * KIB, i));
        release_all(refs, 60), rr_release(much);
        CHECK(objects_settle_at(0) && room_settles_at(0) && stats().spill_bytes_used == 0);
    }
    fixture_stop(&f);
    return test_others.failures != 0;
}
TEST_ALONE(disk_of_300_kib) {
    char folder[300], program[500];
    int status = 0;
    if (!folder_new(folder, sizeof folder)) return;
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = 0;
    pid_t child = fork();
    if (child == 0) {
        execl(program, program, "--small-disk", folder, (char *)NULL);
        _exit(9);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == NO_MOUNT);
    CHECK(rmdir(folder) == 0);
}

TEST_ALONE(corrupt_value_is_an_error_and_not_a_value) {
    fixture f;
    rr_ref refs[6];
    START(&f, .workers = 1, .store_bytes = 128 * KIB);
    put_all(refs, 6, FAULT_SIZE);
    fault_kind = CORRUPT;
    fault_stays = true;
    faults_in = 1;
    CHECK(read_status(refs[0], FAULT_SIZE, 0) == RR_ERR_IO);
    CHECK(tells(refs[0], "test_store.c") && tells(refs[0], "spill_dir"));
    faults_in = 1;
    rr_ref check = rr_call(store_check, refs[1], (uint64_t)1);
    CHECK(rr_get_void(check) == RR_ERR_IO && strstr(rr_error_message(check), "argument 1"));
    faults_in = LONG_MAX;
    for (uint64_t i = 0; i < 6; i++) CHECK(holds(refs[i], FAULT_SIZE, i)); /* it was the reading */
    rr_release(check), release_all(refs, 6);
    CHECK(objects_settle_at(0) && room_settles_at(0));
    fixture_stop(&f);
}

static bool is_store_error(rr_status s) {
    return s == RR_OK || s == RR_ERR_NO_MEMORY || s == RR_ERR_IO || s == RR_ERR_STORE_FULL ||
           s == RR_ERR_OBJECT_LOST || s == RR_ERR_NOT_RUNNING || s == RR_ERR_NOT_FOUND ||
           s == RR_ERR_STALE;
}
/* Spills, restores and rebuilds, with names and pins, while memory fails. */
static void memory_scenario(rr_evict evict) {
    fixture f = {.lock = PTHREAD_MUTEX_INITIALIZER};
    rr_config config = {.workers = 1, .store_bytes = 64 * KIB, .evict = evict};
    rr_ref refs[8], found = {0};
    config.log = fixture_log, config.log_data = &f;
    rr_runtime *runtime = rr_runtime_create(&config);
    if (!runtime) return;
    rr_runtime_use(runtime);
    rr_scope scope = rr_scope_begin();
    for (uint64_t i = 0; i < 8; i++)
        refs[i] = i % 2 && evict == RR_EVICT_SPILL ? put(20 * KIB, i)
                                                   : rr_call(store_make, (size_t)20 * KIB, i);
    rr_ref check = rr_call(store_check_two, refs[0], refs[1], (uint64_t)0, (uint64_t)1);
    rr_ref gather = rr_gather(refs + 2, 2);
    rr_ref many = rr_call(store_check_many, gather, (uint64_t)2);
    rr_ref named = rr_put_as("named", int, 5);
    for (uint64_t i = 0; i < 8; i++) {
        rr_scope inner = rr_scope_begin();
        rr_bytes view = {0};
        rr_status status = rr_get(rr_bytes, refs[i], &view);
        CHECK(is_store_error(status));
        CHECK(status != RR_OK || is_filled(view.data, view.size, i));
        rr_scope_end(inner);
    }
    if (rr_pin(refs[5]) == RR_OK) CHECK(is_store_error(rr_unpin(refs[5])));
    CHECK(is_store_error(rr_get_void(check)) && is_store_error(rr_get_void(many)));
    CHECK(is_store_error(rr_find("named", &found)) && is_store_error(rr_get_void(named)));
    FILE *file = fopen("/dev/null", "w");
    if (file) CHECK(is_store_error(rr_write_memory(file))), fclose(file);
    rr_scope_end(scope);
    rr_runtime_use(NULL);
    CHECK(rr_runtime_destroy(runtime) == RR_OK);
}
static void *memory_runner(void *evict) {
    memory_scenario(*(rr_evict *)evict);
    return NULL;
}
static long run_without_memory(long n, bool stays, rr_evict evict) {
    pthread_t thread;
    long live = memory_live, start = n ? n : LONG_MAX;
    int fds = descriptors();
    memory_stays = stays;
    memory_budget = start;
    if (!CHECK(pthread_create(&thread, NULL, memory_runner, &evict) == 0)) abort();
    CHECK(pthread_join(thread, NULL) == 0);
    long asked = start - memory_budget;
    memory_budget = LONG_MAX;
    if (!CHECK(memory_live == live && descriptors() == fds))
        fprintf(stderr, "%ld left after number %ld%s, evict %d\n", (long)memory_live - live, n,
                stays ? " and all after it" : "", (int)evict);
    return asked;
}
static void all_allocations(rr_evict evict) {
    double start = rr_now();
    long asked = run_without_memory(0, false, evict), step = 1;
    for (long n = 1; n <= asked + 5; n += step) {
        run_without_memory(n, false, evict), run_without_memory(n, true, evict);
        if (rr_now() - start > 1) step = 1 + asked / 50; /* a slow machine looks at some only */
    }
}
TEST_ALONE(each_allocation_fails_while_values_spill) { all_allocations(RR_EVICT_SPILL); }
TEST_ALONE(each_allocation_fails_while_values_are_made_again) { all_allocations(RR_EVICT_REBUILD); }

/* ---- values that are made again ---- */

/* Counts its runs; from one on it fails. */
REMOTE_FN(rr_bytes, store_counted, uint64_t, at, size_t, size, uint64_t, seed) {
    desk *d = desk_at(at);
    int run = ++d->runs;
    if (d->bad_from && run >= d->bad_from) rr_fail(7, "bad from run %d on", run);
    return store_make(size, seed);
}
/* One more than its argument says, and that its bytes are right. */
REMOTE_FN(rr_bytes, store_link, rr_bytes, before, uint64_t, seed) {
    bool ok = before.size == 0 || is_filled(before.data, before.size, seed - 1);
    return store_make(before.size ? before.size : 2000, ok ? seed : seed + 1000000);
}
REMOTE_FN(rr_bytes, store_link_many, rr_many, before, uint64_t, seed) {
    bool ok = is_filled(before.items[0].data, before.items[0].size, seed - 1);
    return store_make(2000, ok ? seed : seed + 1000000);
}
REMOTE_FN(rr_bytes, store_join, rr_bytes, a, rr_bytes, b, uint64_t, at, uint64_t, seed) {
    desk *d = desk_at(at);
    d->runs++;
    d->wrong += !is_filled(a.data, a.size, 1) || !is_filled(b.data, b.size, 2);
    return store_make(100 * KIB, seed);
}
/* All that may leave does. */
static void drop_all(size_t limit) {
    void *room = NULL;
    rr_ref all = rr_create(limit, &room);
    CHECK(room != NULL);
    rr_release(all);
}

TEST_SCOPE(lost_results_are_made_again, .workers = 2, .store_bytes = MIB, .no_spill = true) {
    static desk d;
    rr_ref refs[8];
    for (uint64_t i = 0; i < 8; i++) refs[i] = rr_call(store_counted, AT(&d), (size_t)200 * KIB, i);
    CHECK(rr_wait(refs, 8, 8, LIMIT * 1000, NULL) == 8 && d.runs == 8);
    for (uint64_t i = 0; i < 8; i++) CHECK(holds(refs[i], 200 * KIB, i));
    rr_stats s = stats();
    CHECK(d.runs > 8 && s.objects_rebuilt == (uint64_t)d.runs - 8 && s.objects_dropped > 0);
    CHECK(s.objects_spilled == 0 && s.spill_bytes_written == 0);
}

static void long_chain(bool gathers) {
    enum { N = 10000 };
    fixture f;
    START(&f, .workers = 1, .store_bytes = 256 * KIB, .no_spill = true);
    rr_scope scope = rr_scope_begin();
    rr_ref last = rr_call(store_make, (size_t)2000, (uint64_t)0);
    for (uint64_t i = 1; i < N; i++) {
        rr_ref next, gather = gathers ? rr_gather(&last, 1) : (rr_ref){0};
        next = gathers ? rr_call(store_link_many, gather, i) : rr_call(store_link, last, i);
        rr_release(last), rr_release(gather);
        last = next;
        if (i % 500 == 0) CHECK(rr_get_void(last) == RR_OK);
    }
    CHECK(rr_get_void(last) == RR_OK);
    drop_all(256 * KIB);
    CHECK(!is_here(&f, last) && holds(last, 2000, N - 1));
    CHECK(stats().objects_rebuilt >= N);
    rr_release(last); /* and with it all that it might need */
    CHECK(objects_settle_at(0) && room_settles_at(0));
    rr_scope_end(scope);
    fixture_stop(&f);
}
TEST(chain_of_ten_thousand_lost_results) { long_chain(false); }
TEST(chain_of_ten_thousand_lost_results_through_gathers) { long_chain(true); }

/* Iterated work, as of a stencil: each tile is made of three of the generation before. */
enum { TILES = 16, GENERATIONS = 200, TILE = 16 * KIB };
static uint64_t tile_seed(int generation, int tile) {
    return (uint64_t)(generation * TILES + (tile + TILES) % TILES);
}
REMOTE_FN(rr_bytes, store_tile, rr_bytes, left, rr_bytes, own, rr_bytes, right, int, generation,
          int, i) {
    const rr_bytes from[3] = {left, own, right};
    bool ok = true;
    for (int k = 0; k < 3; k++)
        ok = ok && is_filled(from[k].data, TILE, tile_seed(generation - 1, i + k - 1));
    return store_make(TILE, tile_seed(generation, i) + (ok ? 0 : 1000000));
}
/* The lineage of a tile is all that ever was: whoever drops what is still wanted pays for that. */
TEST(old_generations_go_before_what_is_still_wanted) {
    for (size_t limit = MIB; limit <= 4 * MIB; limit *= 2) {
        fixture f;
        START(&f, .workers = 2, .store_bytes = limit, .no_spill = true);
        rr_ref now[TILES], next[TILES];
        for (int i = 0; i < TILES; i++) now[i] = rr_call(store_make, (size_t)TILE, tile_seed(0, i));
        for (int g = 1; g < GENERATIONS; g++) {
            for (int i = 0; i < TILES; i++)
                next[i] = rr_call(store_tile, now[(i + TILES - 1) % TILES], now[i],
                                  now[(i + 1) % TILES], g, i);
            for (int i = 0; i < TILES; i++) rr_release(now[i]), now[i] = next[i];
        }
        for (int i = 0; i < TILES; i++)
            CHECK(holds(now[i], TILE, tile_seed(GENERATIONS - 1, i))), rr_release(now[i]);
        CHECK(stats().objects_rebuilt < GENERATIONS && stats().objects_dropped > 0);
        fixture_stop(&f);
    }
}

TEST_SCOPE(argument_of_two_lost_results_is_made_again_once, .workers = 1, .store_bytes = MIB,
           .no_spill = true) {
    static desk base, joined;
    rr_ref a = rr_call(store_counted, AT(&base), (size_t)100 * KIB, (uint64_t)1);
    rr_ref b = rr_call(store_make, (size_t)100 * KIB, (uint64_t)2);
    rr_ref left = rr_call(store_join, a, b, AT(&joined), (uint64_t)3);
    rr_ref right = rr_call(store_join, a, b, AT(&joined), (uint64_t)4);
    CHECK(rr_get_void(left) == RR_OK && rr_get_void(right) == RR_OK);
    rr_release(a), rr_release(b); /* now only what may be made again needs them */
    drop_all(MIB);
    CHECK(holds(left, 100 * KIB, 3) && holds(right, 100 * KIB, 4));
    CHECK(base.runs == 2 && joined.runs == 4 && joined.wrong == 0);
}

TEST_SCOPE(results_that_may_not_be_made_again_stay, .workers = 1, .store_bytes = MIB,
           .no_spill = true) {
    static desk d;
    rr_ref kept = rr_call_with(RR_OPTIONS(.no_rebuild = true), store_counted, AT(&d),
                               (size_t)400 * KIB, (uint64_t)1);
    rr_ref made = put(300 * KIB, 2), lost = rr_call(store_make, (size_t)200 * KIB, (uint64_t)3);
    CHECK(rr_get_void(kept) == RR_OK && rr_get_void(lost) == RR_OK);
    CHECK(is_refused(put(400 * KIB, 4)));
    CHECK(is_here(f, kept) && is_here(f, made));
    CHECK(holds(kept, 400 * KIB, 1) && holds(made, 300 * KIB, 2) && holds(lost, 200 * KIB, 3));
    CHECK(d.runs == 1);
}

TEST_SCOPE(results_stay_when_there_is_no_room_for_recipes, .workers = 1, .store_bytes = MIB,
           .no_spill = true, .lineage_bytes = 1000) {
    rr_ref refs[10];
    for (uint64_t i = 0; i < 10; i++) {
        refs[i] = rr_call(store_make, (size_t)100 * KIB, i);
        CHECK(rr_get_void(refs[i]) == RR_OK);
    }
    CHECK(is_refused(put(900 * KIB, 1)));
    int here = 0;
    for (int i = 0; i < 10; i++) here += is_here(f, refs[i]);
    CHECK(here >= 4 && here < 10); /* some recipes did fit */
    for (int i = 0; i < 10; i++) rr_release(refs[i]);
    refs[0] = rr_call(store_make, (size_t)100 * KIB, (uint64_t)0); /* their room is given back */
    CHECK(rr_get_void(refs[0]) == RR_OK);
    drop_all(MIB);
    CHECK(!is_here(f, refs[0]) && holds(refs[0], 100 * KIB, 0));
}

TEST_SCOPE(body_that_fails_the_second_time_leaves_its_object_lost, .workers = 1, .store_bytes = MIB,
           .no_spill = true) {
    static desk d = {.bad_from = 2};
    rr_ref r = rr_call(store_counted, AT(&d), (size_t)100 * KIB, (uint64_t)1), check;
    CHECK(rr_get_void(r) == RR_OK);
    drop_all(MIB);
    CHECK(read_status(r, 100 * KIB, 1) == RR_ERR_OBJECT_LOST && d.runs == 2);
    CHECK(fixture_logged(f, "bad from run 2 on"));
    check = rr_call(store_check, r, (uint64_t)1);
    CHECK(rr_get_void(check) == RR_ERR_OBJECT_LOST && tells(check, "argument 1"));
    CHECK(tells(check, "'store_counted' failed: bad from run 3 on"));
    d.bad_from = 0; /* it is asked again each time */
    CHECK(holds(r, 100 * KIB, 1) && rr_unwrap(int, rr_call(store_check, r, (uint64_t)1)) == 1);
}

/* Each reader is told; the log once. */
REMOTE_FN(rr_bytes, store_once, uint64_t, at, uint64_t, seed) {
    if (desk_at(at)->runs++) rr_fail(7, "not again");
    return store_make(100 * KIB, seed);
}
TEST_RUN(lost_object_is_told_once_and_counted, .workers = 1, .store_bytes = MIB, .no_spill = true) {
    static desk d;
    rr_ref r = rr_call(store_once, AT(&d), (uint64_t)1);
    CHECK(rr_get_void(r) == RR_OK);
    drop_all(MIB);
    for (int i = 0; i < 20; i++) {
        CHECK(read_status(r, 100 * KIB, 1) == RR_ERR_OBJECT_LOST && f->warnings == 1);
        CHECK(tells(r, "could not be made again") && tells(r, "not again"));
    }
    hour_passes(f);
    CHECK(read_status(r, 100 * KIB, 1) == RR_ERR_OBJECT_LOST);
    CHECK(f->warnings == 3 && fixture_logged(f, "19 more times: an object made at"));
    rr_release(r);
}

TEST_SCOPE(link_that_fails_loses_what_stands_on_it, .workers = 1, .store_bytes = MIB,
           .no_spill = true) {
    static desk d = {.bad_from = 2};
    rr_ref first = rr_call(store_counted, AT(&d), (size_t)2000, (uint64_t)0), last = first;
    for (uint64_t i = 1; i < 50; i++) last = rr_call(store_link, last, i);
    CHECK(rr_get_void(last) == RR_OK);
    drop_all(MIB);
    CHECK(read_status(last, 2000, 49) == RR_ERR_OBJECT_LOST);
    d.bad_from = 0;
    CHECK(holds(last, 2000, 49) && holds(first, 2000, 0));
}

static void read_first(void *data) {
    reading *r = data;
    while (!*r->go) nap();
    CHECK(holds(r->refs[0], r->size, 5));
}
TEST_SCOPE(readers_at_once_make_a_value_again_once, .workers = 2, .store_bytes = MIB,
           .no_spill = true) {
    static desk d;
    outside threads[4];
    rr_ref ref = rr_call(store_counted, AT(&d), (size_t)200 * KIB, (uint64_t)5), checks[4];
    CHECK(rr_get_void(ref) == RR_OK);
    for (int round = 0; round < 10; round++) {
        atomic_int go = 0;
        reading r = {&ref, 1, 200 * KIB, &go};
        drop_all(MIB);
        for (int i = 0; i < 4; i++) outside_start(&threads[i], f->runtime, read_first, &r);
        for (int i = 0; i < 4; i++) checks[i] = rr_call(store_check, ref, (uint64_t)5);
        go = 1;
        for (int i = 0; i < 4; i++) outside_join(&threads[i]);
        for (int i = 0; i < 4; i++) CHECK(rr_unwrap(int, checks[i]) == 1);
        CHECK(d.runs == 2 + round);
    }
}

/* The only worker waits for a value that a thread outside makes again, whose body needs a worker:
   a wait with a limit runs nothing itself. */
REMOTE_FN(int, store_one) { return 1; }
REMOTE_FN(rr_bytes, store_needs_worker, uint64_t, at, uint64_t, seed) {
    desk *d = desk_at(at);
    int run = ++d->runs, one = 0;
    d->begun = run;
    while (run > 1 && !d->open) nap();
    rr_ref inner = rr_call(store_one);
    if (rr_get_timeout(int, inner, &one, LIMIT * 1000) != RR_OK) d->wrong++;
    return store_make(100 * KIB, seed + (uint64_t)(one != 1));
}
REMOTE_FN(int, store_begin_and_check, uint64_t, at) {
    desk *d = desk_at(at);
    rr_bytes view;
    d->ended++;
    return rr_get(rr_bytes, d->ref, &view) == RR_OK && is_filled(view.data, view.size, 5);
}
static void read_needy(void *data) {
    desk *d = data;
    CHECK(holds(d->ref, 100 * KIB, 5));
}
TEST_SCOPE(waiting_for_a_value_that_is_made_again_takes_no_worker, .workers = 1, .store_bytes = MIB,
           .no_spill = true) {
    static desk d;
    outside thread;
    d.ref = rr_call(store_needs_worker, AT(&d), (uint64_t)5);
    CHECK(rr_get_void(d.ref) == RR_OK);
    drop_all(MIB);
    outside_start(&thread, f->runtime, read_needy, &d);
    CHECK(reaches(&d.begun, 2));
    rr_ref check = rr_call(store_begin_and_check, AT(&d));
    CHECK(reaches(&d.ended, 1));
    rr_sleep_ms(2); /* for it to get to its wait; without that the test shows less */
    d.open = 1;
    outside_join(&thread);
    CHECK(rr_unwrap(int, check) == 1 && d.wrong == 0 && d.runs == 2);
}

/* A thread outside reads what is made again by a body that waits for another one, which waits for
   room; and those that hold the room want more of it. */
REMOTE_FN(rr_bytes, store_nests, size_t, size, uint64_t, seed) {
    rr_bytes view;
    rr_status status = rr_get(rr_bytes, rr_call(store_make, size, seed), &view);
    void *room = status == RR_OK ? rr_result(KIB) : NULL;
    if (room) fill(room, KIB, seed);
    else rr_fail(1, "no room");
    return rr_bytes_of(room, room ? KIB : 0);
}
REMOTE_FN(int, store_wants_more, uint64_t, at, size_t, n) {
    desk *d = desk_at(at);
    void *room, *more;
    rr_ref first = rr_create(n, &room);
    d->begun++;
    while (!d->open) nap();
    rr_ref second = rr_create(n, &more);
    if (room) rr_seal(first);
    if (more) rr_seal(second);
    return room != NULL;
}
static void read_any(void *data) {
    desk *d = data;
    rr_bytes view;
    rr_status status = rr_get(rr_bytes, d->ref, &view);
    CHECK(status == RR_OK || status == RR_ERR_STORE_FULL || status == RR_ERR_OBJECT_LOST);
    d->ended++;
}
TEST_SCOPE(made_again_by_a_body_that_waits_while_others_hold_the_room, .workers = 3,
           .store_bytes = 80000, .no_spill = true) {
    static desk d;
    outside thread;
    d.ref = rr_call(store_nests, (size_t)30000, (uint64_t)5);
    CHECK(rr_get_void(d.ref) == RR_OK);
    drop_all(80000);
    rr_ref both[2] = {rr_call(store_wants_more, AT(&d), (size_t)30000),
                      rr_call(store_wants_more, AT(&d), (size_t)30000)};
    CHECK(reaches(&d.begun, 2));
    outside_start(&thread, f->runtime, read_any, &d);
    CHECK(room_is_wanted(f, 1));
    d.open = 1;
    CHECK(rr_wait(both, 2, 2, LIMIT * 1000, NULL) == 2 && reaches(&d.ended, 1));
    CHECK(rr_unwrap(int, both[0]) == 1 && rr_unwrap(int, both[1]) == 1);
    outside_join(&thread);
}

/* A body that uses the store of its own runtime puts into another one, whose room a body holds. */
static rr_runtime *other_runtime;
REMOTE_FN(int, store_puts_elsewhere, size_t, own, size_t, size) {
    rr_ref here = put(own, 1);
    rr_runtime *mine = rr_runtime_use(other_runtime);
    rr_ref there = put(size, 2);
    bool ok = holds(there, size, 2);
    rr_release(there);
    rr_runtime_use(mine);
    return ok && holds(here, own, 1);
}
/* Made again, it wants more than there is beside what the reader of a gather has pinned. */
REMOTE_FN(rr_bytes, store_grows, uint64_t, at) {
    desk *d = desk_at(at);
    bool again = d->runs++ > 0;
    d->begun += again;
    while (again && !d->open) nap();
    return store_make((again ? 900 : 100) * KIB, 1);
}
REMOTE_FN(int, store_reads_it, rr_ref, r) {
    rr_bytes view;
    return rr_get(rr_bytes, r, &view) == RR_OK;
}
static void read_parts(void *data) {
    desk *d = data;
    rr_many many;
    rr_scope scope = rr_scope_begin();
    d->wrong += rr_get(rr_many, d->ref, &many) == RR_OK;
    rr_scope_end(scope);
}
static bool somebody_waits_for_a_value(rr_runtime *rt) {
    rr__lock(&rt->store->lock);
    bool waits = rt->store->returning.first != NULL;
    rr__unlock(&rt->store->lock);
    return waits;
}
/* A thread that makes a value again has others in hand, as a body has. */
TEST(reader_outside_waits_for_a_body_that_waits_for_the_room_it_pins) {
    fixture f;
    outside thread;
    desk d = {.runs = 0};
    START(&f, .workers = 1, .store_bytes = MIB, .no_spill = true);
    rr_ref grows = rr_call(store_grows, AT(&d)), parts[2];
    parts[0] = rr_call(store_make, (size_t)300 * KIB, (uint64_t)1);
    parts[1] = rr_call(store_link, grows, (uint64_t)2);
    d.ref = rr_gather(parts, 2);
    CHECK(rr_get_void(d.ref) == RR_OK);
    drop_all(MIB);
    rr_ref body = rr_call(store_reads_it, grows);
    CHECK(reaches(&d.begun, 1)); /* it makes the value again */
    outside_start(&thread, f.runtime, read_parts, &d);
    for (double start = rr_now(); !somebody_waits_for_a_value(f.runtime); nap())
        if (!CHECK(rr_now() - start < LIMIT)) break;
    d.open = 1;
    CHECK(rr_wait(&body, 1, 1, LIMIT * 1000, NULL) == 1); /* one of them is told */
    outside_join(&thread);
    rr_release(body), rr_release(grows), rr_release(d.ref), release_all(parts, 2);
    CHECK(objects_settle_at(0) && room_settles_at(0));
    fixture_stop(&f);
}

TEST_ALONE(body_of_another_runtime_waits_for_room) {
    fixture f, g;
    static desk d;
    START(&f, .workers = 2, .store_bytes = 80000);
    rr_ref holder = rr_call(store_hold, AT(&d), (size_t)60000);
    CHECK(reaches(&d.begun, 1));
    other_runtime = f.runtime;
    START(&g, .workers = 2, .store_bytes = 80000);
    rr_ref puts = rr_call(store_puts_elsewhere, (size_t)40000, (size_t)40000);
    CHECK(room_is_wanted(&f, 1));
    d.open = 1;
    CHECK(rr_unwrap(int, puts) == 1 && d.wrong == 0);
    rr_release(puts);
    fixture_stop(&g);
    rr_runtime_use(f.runtime);
    CHECK(rr_get_void(holder) == RR_OK);
    rr_release(holder);
    fixture_stop(&f);
}

/* ---- room that leads back to who has it ---- */

REMOTE_FN(int, store_naps_on, uint64_t, at) {
    while (!desk_at(at)->open) rr_sleep_ms(1);
    return 1;
}
/* Has room, and waits for what wants some. */
REMOTE_FN(int, store_waits_for_room_of, uint64_t, at, size_t, own, size_t, size) {
    void *room = NULL;
    rr_ref made = rr_create(own, &room), child = rr_call(store_want, at, size);
    rr_status status = rr_get_void(child);
    rr_release(child), rr_release(made);
    desk_at(at)->wrong += room == NULL;
    return (int)status;
}
TEST_SCOPE(room_that_only_who_waits_for_it_would_give, .workers = 3, .store_bytes = MIB) {
    static desk d, others;
    rr_ref unrelated[4], caller;
    for (int i = 0; i < 4; i++) unrelated[i] = rr_call(store_naps_on, AT(&others));
    caller = rr_call(store_waits_for_room_of, AT(&d), (size_t)700 * KIB, (size_t)700 * KIB);
    CHECK(rr_get_void(caller) == RR_OK && d.wrong == 0 && d.ended == 1 && d.runs == 0);
    others.open = 1;
    for (int i = 0; i < 4; i++) CHECK(rr_unwrap(int, unrelated[i]) == 1);
}

/* Has room, and waits for what a thread from outside will complete. */
REMOTE_FN(int, store_has_and_waits, uint64_t, at, size_t, own, rr_ref, gate) {
    rr_bytes view = {0};
    void *room = NULL;
    rr_ref made = rr_create(own, &room);
    desk_at(at)->begun++;
    rr_status status = rr_get(rr_bytes, gate, &view);
    rr_release(made);
    return room && status == RR_OK && view.size == 8;
}
TEST_SCOPE(room_that_comes_when_a_thread_from_outside_seals, .workers = 2, .store_bytes = MIB) {
    static desk d;
    rr_ref gate = unsealed(8);
    rr_ref has = rr_call(store_has_and_waits, AT(&d), (size_t)700 * KIB, gate);
    CHECK(reaches(&d.begun, 1));
    rr_ref wants = rr_call(store_want, AT(&d), (size_t)700 * KIB);
    CHECK(room_is_wanted(f, 1));
    rr_sleep_ms(50); /* it looks some times */
    CHECK(d.ended == 0 && rr_seal(gate) == RR_OK);
    CHECK(rr_unwrap(int, has) == 1 && rr_get_void(wants) == RR_OK && d.runs == 1);
}
/* Unless that waits for room itself. */
TEST_SCOPE(room_that_a_thread_from_outside_waits_for_which_would_seal, .workers = 2,
           .store_bytes = MIB) {
    static desk d;
    rr_ref gate = unsealed(8);
    rr_ref has = rr_call(store_has_and_waits, AT(&d), (size_t)700 * KIB, gate);
    CHECK(reaches(&d.begun, 1));
    rr_ref wants = put(700 * KIB, 1);
    CHECK(rr_get_void(wants) == RR_ERR_STORE_FULL && rr_seal(gate) == RR_OK);
    CHECK(rr_unwrap(int, has) == 1);
}

TEST_SCOPE(structs_are_made_again, .workers = 1, .store_bytes = MIB, .stack_bytes = 4 * MIB,
           .no_spill = true) {
    static halves h;
    rr_ref whole = rr_call(store_halves, (uint64_t)3), left;
    CHECK(rr_get_void(whole) == RR_OK);
    drop_all(MIB);
    CHECK(rr_get(halves, whole, &h) == RR_OK && h.number == 3);
    CHECK(is_filled(&h.left, sizeof h.left, 3) && is_filled(&h.right, sizeof h.right, 4));
    drop_all(MIB);
    left = rr_field(large, whole, halves, left); /* 900 KiB in all */
    CHECK(rr_get(large, left, &h.right) == RR_OK && is_filled(&h.right, sizeof h.right, 3));
    CHECK(stats().objects_rebuilt == 2);
}

TEST_SCOPE(lost_results_are_arguments, .workers = 2, .store_bytes = MIB, .no_spill = true) {
    rr_ref refs[12], checks[12];
    for (uint64_t i = 0; i < 12; i++) refs[i] = rr_call(store_make, (size_t)200 * KIB, i);
    CHECK(rr_wait(refs, 12, 12, LIMIT * 1000, NULL) == 12);
    for (uint64_t i = 0; i < 12; i++)
        checks[i] = rr_call(store_check_two, refs[i], refs[(i + 5) % 12], i, (i + 5) % 12);
    for (int i = 0; i < 12; i++) {
        int ok = 0;
        if (!CHECK(rr_get(int, checks[i], &ok) == RR_OK && ok))
            fprintf(stderr, "%s\n", rr_error_message(checks[i]));
    }
}

/* Made again, these wait for each other before they want room: no time passes, for the store. */
REMOTE_FN(rr_bytes, store_made_together, uint64_t, at, size_t, size, uint64_t, seed) {
    desk *d = desk_at(at);
    if (d->open) d->begun++;
    if (d->open) reaches(&d->begun, 5);
    return store_make(size, seed);
}
TEST_SCOPE(lost_arguments_are_made_again_while_none_is_held, .workers = 5, .store_bytes = MIB,
           .no_spill = true) {
    enum { N = 5, SIZE = 200 * KIB }; /* that many fit */
    static desk d;
    rr_ref lost[N], here[N], checks[N];
    for (uint64_t i = 0; i < N; i++) {
        lost[i] = rr_call(store_made_together, AT(&d), (size_t)SIZE, i);
        CHECK(rr_get_void(lost[i]) == RR_OK);
    }
    drop_all(MIB);
    for (uint64_t i = 0; i < N; i++) {
        here[i] = rr_call(store_make, (size_t)SIZE, i + N);
        CHECK(rr_get_void(here[i]) == RR_OK);
    }
    d.open = 1;
    for (uint64_t i = 0; i < N; i++)
        checks[i] = rr_call(store_check_two, here[i], lost[i], i + N, i);
    CHECK(reaches(&d.begun, N));
    for (int i = 0; i < N; i++) {
        int ok = 0;
        if (!CHECK(rr_get(int, checks[i], &ok) == RR_OK && ok))
            fprintf(stderr, "%s\n", rr_error_message(checks[i]));
    }
}

TEST_RUN(lost_object_that_is_released_frees_what_it_would_need, .workers = 1, .store_bytes = MIB,
         .no_spill = true) {
    rr_ref a = put(50 * KIB, 1), b = put(50 * KIB, 2), r;
    static desk d;
    r = rr_call(store_join, a, b, AT(&d), (uint64_t)3);
    CHECK(rr_get_void(r) == RR_OK && objects_settle_at(3));
    rr_release(a), rr_release(b);
    CHECK(objects_settle_at(3)); /* they are needed if it is to be made again */
    drop_all(900 * KIB);
    CHECK(!is_here(f, r));
    rr_release(r);
    CHECK(objects_settle_at(0) && room_settles_at(0));
}

/* ---- a cache ---- */

TEST_SCOPE(dropped_values_are_lost, .workers = 1, .store_bytes = MIB, .evict = RR_EVICT_DROP) {
    rr_ref lost = put(300 * KIB, 1), kept = put(300 * KIB, 2), made, check, field;
    made = rr_call(store_make, (size_t)300 * KIB, (uint64_t)3);
    CHECK(rr_get_void(made) == RR_OK && rr_pin(kept) == RR_OK);
    CHECK(rr_get_void(put(700 * KIB, 4)) == RR_OK);
    CHECK(read_status(lost, 300 * KIB, 1) == RR_ERR_OBJECT_LOST);
    CHECK(strstr(rr_error_message(lost), "test_store.c") != NULL);
    CHECK(read_status(made, 300 * KIB, 3) == RR_ERR_OBJECT_LOST);
    CHECK(holds(kept, 300 * KIB, 2) && rr_ready(lost) && rr_get_void(lost) == RR_OK);
    check = rr_call(store_check_two, kept, lost, (uint64_t)2, (uint64_t)1);
    CHECK(rr_get_void(check) == RR_ERR_OBJECT_LOST);
    CHECK(tells(check, "argument 2") && tells(check, "store_check_two"));
    CHECK(tells(check, "RR_EVICT_DROP"));
    field = rr_gather((rr_ref[]){kept, lost}, 2);
    CHECK(rr_get(rr_many, field, &(rr_many){0}) == RR_ERR_OBJECT_LOST);
    CHECK(rr_pin(lost) == RR_ERR_OBJECT_LOST && rr_unpin(lost) == RR_ERR_INVALID);
    CHECK(rr_unpin(kept) == RR_OK && stats().objects_dropped == 2);
    CHECK(stats().spill_bytes_written == 0);
}

/* ---- newcomers: values of which nothing is known yet but where they lie ---- */

typedef struct thousand {
    char bytes[1000];
} thousand;
REMOTE_FN(thousand, store_late, uint64_t, at) {
    static const thousand nothing;
    desk *d = desk_at(at);
    d->begun++;
    while (!d->open) nap();
    d->ended++;
    return nothing;
}
REMOTE_FN(large, store_late_large, uint64_t, at) {
    static const large nothing;
    (void)store_late(at);
    return nothing;
}
/* Its value goes, and its object stays, as long as the handle. */
TEST(value_of_a_task_that_was_cancelled_goes_once) {
    for (int k = 0; k < 4; k++) {
        const enum rr_evict ways[] = {RR_EVICT_SPILL, RR_EVICT_DROP};
        fixture f;
        desk d = {.begun = 0};
        START(&f, .workers = 1, .store_bytes = MIB, .stack_bytes = 4 * MIB, .evict = ways[k % 2]);
        rr_ref late = k < 2 ? rr_call(store_late, AT(&d)) : rr_call(store_late_large, AT(&d));
        static rr_ref refs[2000];
        const size_t size = k < 2 ? 1000 : 300 * KIB, n = k < 2 ? 2000 : 10;
        CHECK(becomes(&d.begun, 1) && rr_cancel(late) == RR_OK);
        d.open = true;
        CHECK(rr_get_void(late) == RR_ERR_CANCELLED && room_settles_at(0));
        for (uint64_t i = 0; i < n; i++) refs[i] = put(size, i);
        for (uint64_t i = 0; i < n; i++) CHECK(holds(refs[i], size, i) || k % 2);
        CHECK(used() <= MIB);
        release_all(refs, (int)n);
        CHECK(room_settles_at(0));
        rr_release(late);
        fixture_stop(&f);
    }
}

typedef struct crowd {
    rr_ref gather;
    atomic_bool is_over;
    atomic_int reads, wrong;
} crowd;
static void read_gather(void *data) {
    crowd *c = data;
    while (!c->is_over) {
        rr_scope scope = rr_scope_begin();
        rr_many many = {0};
        bool ok = rr_get(rr_many, c->gather, &many) == RR_OK && many.count == 4;
        for (uint64_t i = 0; ok && i < 4; i++) ok = is_filled(many.items[i].data, 1000, i);
        c->wrong += !ok;
        c->reads++;
        rr_scope_end(scope);
    }
}
/* The last one lets go of it, without a lock, while the next one wants it. */
TEST(gather_that_some_let_go_of_while_others_take_it) {
    fixture f;
    crowd c = {.is_over = false};
    outside threads[4];
    rr_ref parts[4];
    START(&f, .workers = 1, .store_bytes = MIB);
    put_all(parts, 4, 1000);
    c.gather = rr_gather(parts, 4);
    CHECK(rr_get_void(c.gather) == RR_OK);
    for (int i = 0; i < 4; i++) outside_start(&threads[i], f.runtime, read_gather, &c);
    for (double end = rr_now() + 0.5; rr_now() < end || c.reads < 100;) nap();
    c.is_over = true;
    for (int i = 0; i < 4; i++) outside_join(&threads[i]);
    CHECK(c.wrong == 0);
    rr_release(c.gather), release_all(parts, 4);
    CHECK(objects_settle_at(0) && room_settles_at(0));
    fixture_stop(&f);
}

/* Threads that only put and let go: all that they have may leave at any time. */
static void put_and_release(void *data) {
    crowd *c = data;
    rr_ref window[8] = {{0}};
    for (uint64_t i = 0; !c->is_over; i++, c->reads++) {
        rr_ref r = put(1000 + 100 * (i % 50), i);
        c->wrong += rr_get_void(r) != RR_OK;
        rr_release(window[i % 8]), window[i % 8] = r;
    }
    release_all(window, 8);
}
TEST(newcomers_that_another_thread_lists_are_room_for_all) {
    fixture f;
    crowd c = {.is_over = false};
    outside threads[4];
    START(&f, .workers = 1, .store_bytes = 64 * KIB, .evict = RR_EVICT_DROP);
    for (int i = 0; i < 4; i++) outside_start(&threads[i], f.runtime, put_and_release, &c);
    for (double end = rr_now() + 0.5; rr_now() < end || c.reads < 1000;) nap();
    c.is_over = true;
    for (int i = 0; i < 4; i++) outside_join(&threads[i]);
    CHECK(c.wrong == 0 && room_settles_at(0));
    fixture_stop(&f);
}

TEST_SCOPE(so_many_pinned_values_that_the_look_for_room_stops, .workers = 1, .store_bytes = 2 * MIB,
           .evict = RR_EVICT_DROP) {
    enum { MANY = 12000 };
    static rr_ref refs[MANY];
    for (uint64_t i = 0; i < MANY; i++) refs[i] = put(100, i);
    rr_scope scope = rr_scope_begin();
    for (uint64_t i = 0; i < MANY; i++) {
        rr_bytes view;
        CHECK(rr_get(rr_bytes, refs[i], &view) == RR_OK);
    }
    rr_ref last = put(100 * KIB, 1); /* may leave, behind all of them */
    CHECK(rr_get_void(last) == RR_OK && is_refused(put(MIB, 2)));
    CHECK(rr_get_void(put(700 * KIB, 3)) == RR_OK);
    rr_scope_end(scope);
    CHECK(rr_get_void(put(MIB + 900 * KIB, 4)) == RR_OK); /* now they leave */
}

TEST_RUN(refusal_names_views_outside_of_scopes, .workers = 1, .store_bytes = MIB) {
    rr_ref parts[2] = {put(200 * KIB, 1), put(200 * KIB, 2)}, plain = put(300 * KIB, 3);
    rr_ref gather = rr_gather(parts, 2), none = put(MIB, 4);
    rr_bytes view;
    rr_many many;
    CHECK(rr_get_void(none) == RR_OK && !tells(none, "viewed outside"));
    rr_release(none);
    for (int i = 0; i < 2; i++) CHECK(rr_get(rr_bytes, plain, &view) == RR_OK);
    CHECK(rr_get(rr_many, gather, &many) == RR_OK);
    none = put(MIB, 4);
    CHECK(is_refused(none) && tells(none, "716800 of them are viewed outside of every scope"));
    CHECK(tells(none, "test_store.c:") && tells(none, "open a scope"));
    rr_release(none), rr_release(gather);
    none = put(MIB, 4);
    CHECK(is_refused(none) && tells(none, "307200 of them are viewed outside of every scope"));
    rr_release(none), rr_release(plain);
    CHECK(rr_get_void(none = put(MIB, 4)) == RR_OK);
    rr_release(none), release_all(parts, 2);
    CHECK(objects_settle_at(0));
}

/* ---- pins and names ---- */

TEST_SCOPE(pins_are_counted, .workers = 1, .store_bytes = MIB) {
    rr_ref r = put(600 * KIB, 1);
    CHECK(rr_unpin(r) == RR_ERR_INVALID && strstr(rr_error_message(r), "not pinned"));
    for (int i = 0; i < 3; i++) CHECK(rr_pin(r) == RR_OK);
    for (int i = 0; i < 3; i++) {
        CHECK(is_refused(put(600 * KIB, 2)));
        CHECK(rr_unpin(r) == RR_OK);
    }
    CHECK(rr_unpin(r) == RR_ERR_INVALID);
    CHECK(rr_get_void(put(600 * KIB, 2)) == RR_OK && !is_here(f, r));
    CHECK(rr_pin(r) == RR_OK && is_here(f, r) && stats().objects_restored == 1);
    CHECK(rr_unpin(r) == RR_OK && holds(r, 600 * KIB, 1));
}

TEST_RUN(pins_of_what_is_gone_or_never_was, .workers = 1, .store_bytes = MIB) {
    rr_ref r = put(1000, 1), failed = rr_call(store_make, (size_t)2 * MIB, (uint64_t)1), kept;
    rr_release(r);
    CHECK(rr_pin(r) == RR_ERR_STALE && rr_unpin(r) == RR_ERR_STALE);
    CHECK(rr_pin((rr_ref){0}) == RR_ERR_STALE && rr_unpin((rr_ref){0}) == RR_ERR_STALE);
    CHECK(rr_pin(failed) == RR_ERR_STORE_FULL && rr_unpin(failed) == RR_ERR_INVALID);
    rr_release(failed);
    kept = put(100 * KIB, 2);
    CHECK(rr_pin(kept) == RR_OK);
    rr_release(kept); /* the pin keeps it, and its value */
    rr_ref rest = put(900 * KIB, 3);
    CHECK(rr_get_void(rest) == RR_OK && is_here(f, kept) && holds(kept, 100 * KIB, 2));
    CHECK(rr_unpin(kept) == RR_OK && rr_unpin(kept) == RR_ERR_STALE);
    rr_release(rest);
    CHECK(objects_settle_at(0) && room_settles_at(0));
}

TEST_SCOPE(pins_of_small_values_gathers_and_pending_results, .workers = 1, .store_bytes = MIB) {
    rr_ref small = rr_put(int, 5), parts[2] = {put(300 * KIB, 1), put(300 * KIB, 2)};
    rr_ref gather = rr_gather(parts, 2);
    rr_ref pending = rr_call(store_make, (size_t)100 * KIB, (uint64_t)3);
    CHECK(rr_pin(small) == RR_OK && rr_pin(gather) == RR_OK && rr_pin(pending) == RR_OK);
    CHECK(is_refused(put(600 * KIB, 4)) && is_here(f, parts[0]) && is_here(f, parts[1]));
    CHECK(rr_unpin(gather) == RR_OK && rr_get_void(put(600 * KIB, 4)) == RR_OK);
    CHECK(!is_here(f, parts[0]) && is_here(f, pending));
    CHECK(rr_unpin(small) == RR_OK && rr_unpin(pending) == RR_OK);
    CHECK(rr_unpin(small) == RR_ERR_INVALID);
}

TEST_SCOPE(pins_without_a_limit, .workers = 1) {
    rr_ref r = put(1000, 1);
    CHECK(rr_pin(r) == RR_OK && rr_pin(r) == RR_OK);
    CHECK(rr_unpin(r) == RR_OK && rr_unpin(r) == RR_OK && rr_unpin(r) == RR_ERR_INVALID);
}

TEST(pins_that_are_left_end_with_the_runtime) {
    fixture f;
    START(&f, .workers = 1, .store_bytes = MIB);
    for (uint64_t i = 0; i < 20; i++) {
        rr_ref r = put(30 * KIB, i);
        CHECK(rr_pin(r) == RR_OK);
        rr_release(r);
    }
    fixture_stop(&f);
}

/* The tables of pins and names have a lock each: what they share is under one. */
static void pin_and_name(void *data) {
    load *l = data;
    char name[40];
    for (int i = 0; i < 200; i++) {
        rr_ref r = rr_put(int, i), found = {0};
        CHECK(rr_pin(r) == RR_OK);
        snprintf(name, sizeof name, "thread %d", l->number);
        CHECK(rr_name(name, r) == RR_OK && rr_find(name, &found) == RR_OK);
        CHECK(rr_unpin(r) == RR_OK && rr_name(name, (rr_ref){0}) == RR_OK);
        rr_release(found), rr_release(r);
    }
}
TEST(pins_and_names_in_two_runtimes_at_once) {
    fixture f[2];
    outside threads[4];
    load loads[4];
    for (int i = 0; i < 2; i++) START(&f[i], .workers = 1, .store_bytes = MIB);
    for (int i = 0; i < 4; i++) {
        loads[i].number = i;
        outside_start(&threads[i], f[i / 2].runtime, pin_and_name, &loads[i]);
    }
    for (int i = 0; i < 4; i++) outside_join(&threads[i]);
    for (int i = 0; i < 2; i++) {
        rr_runtime_use(f[i].runtime);
        CHECK(objects_settle_at(0));
    }
    for (int i = 0; i < 2; i++) fixture_stop(&f[i]);
}

TEST_SCOPE(name_goes_to_the_new_version_and_holders_keep_the_old, .workers = 1,
           .store_bytes = MIB) {
    rr_ref found = {1, 1, 1}, old, new;
    int v = 0;
    CHECK(rr_find("model", &found) == RR_ERR_NOT_FOUND && found.id == 0);
    CHECK(strstr(rr_error_message((rr_ref){0}), "model") != NULL);
    rr_put_as("model", int, 1);
    CHECK(rr_find("model", &old) == RR_OK);
    new = rr_put_as("model", int, 2);
    CHECK(rr_find("model", &found) == RR_OK && found.id == new.id &&found.id != old.id);
    CHECK(rr_get(int, old, &v) == RR_OK && v == 1 && rr_get(int, found, &v) == RR_OK && v == 2);
    rr_release(new), rr_release(found); /* the name counts it */
    CHECK(rr_find("model", &found) == RR_OK && rr_get(int, found, &v) == RR_OK && v == 2);
    CHECK(rr_name("model", (rr_ref){0}) == RR_OK);
    CHECK(rr_name("model", (rr_ref){0}) == RR_ERR_NOT_FOUND);
    CHECK(rr_find("model", &new) == RR_ERR_NOT_FOUND && new.id == 0);
}

TEST_SCOPE(value_that_does_not_fit_takes_no_name, .workers = 1, .store_bytes = 64 * KIB) {
    static large l;
    int v = 0;
    rr_ref found;
    rr_put_as("model", int, 1);
    CHECK(rr_get_void(rr_put_as("model", large, l)) == RR_ERR_STORE_FULL);
    CHECK(rr_find("model", &found) == RR_OK && rr_get(int, found, &v) == RR_OK && v == 1);
    CHECK(rr_name("model", (rr_ref){0}) == RR_OK);
}

TEST_SCOPE(names_of_pending_and_spilled_objects, .workers = 1, .store_bytes = MIB) {
    char name[20] = "pending";
    rr_ref gate = unsealed(100), found, many[300];
    rr_ref check = rr_call(store_check_two, gate, gate, (uint64_t)0, (uint64_t)0);
    CHECK(rr_name(name, check) == RR_OK);
    strcpy(name, "other"); /* it was copied */
    CHECK(rr_find("pending", &found) == RR_OK && found.id == check.id && !rr_ready(found));
    CHECK(rr_find("other", &found) == RR_ERR_NOT_FOUND);
    rr_seal(gate);
    CHECK(rr_get_void(check) == RR_OK);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "number %d", i);
        many[i] = put(8 * KIB, (uint64_t)i);
        CHECK(rr_name(name, many[i]) == RR_OK);
        rr_release(many[i]);
    }
    for (int i = 0; i < 300; i += 7) {
        snprintf(name, sizeof name, "number %d", i);
        CHECK(rr_find(name, &found) == RR_OK && holds(found, 8 * KIB, (uint64_t)i));
        rr_release(found);
    }
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "number %d", i);
        CHECK(rr_name(name, (rr_ref){0}) == RR_OK);
    }
    CHECK(rr_name("pending", (rr_ref){0}) == RR_OK);
}

TEST_RUN(names_that_cannot_be, .workers = 1) {
    rr_ref r = rr_put(int, 1), found, stale = r;
    rr_release(r);
    r = rr_put(int, 2);
    CHECK(rr_name("", r) == RR_ERR_INVALID && rr_name(NULL, r) == RR_ERR_INVALID);
    CHECK(rr_name("x", stale) == RR_ERR_STALE && rr_find("x", &found) == RR_ERR_NOT_FOUND);
    CHECK(rr_find(NULL, &found) == RR_ERR_INVALID && rr_find("x", NULL) == RR_ERR_INVALID);
    CHECK(rr_get_void(rr_put_as("", int, 3)) == RR_ERR_INVALID);
    CHECK(rr_get_void(rr_put_as(NULL, int, 3)) == RR_ERR_INVALID);
    rr_release(r);
}

TEST(names_without_a_runtime) {
    rr_ref found;
    rr_runtime_use(NULL);
    CHECK(rr_name("x", (rr_ref){0}) == RR_ERR_NOT_RUNNING);
    CHECK(rr_find("x", &found) == RR_ERR_NOT_RUNNING && found.id == 0);
    CHECK(rr_get_void(rr_put_as("x", int, 1)) == RR_ERR_NOT_RUNNING);
    CHECK(rr_pin((rr_ref){0}) == RR_ERR_NOT_RUNNING);
    CHECK(rr_unpin((rr_ref){0}) == RR_ERR_NOT_RUNNING);
    CHECK(rr_write_memory(stderr) == RR_ERR_NOT_RUNNING);
}

TEST(names_are_those_of_a_runtime_and_no_leaks) {
    fixture f[2];
    rr_ref found;
    int v = 0;
    for (int i = 0; i < 2; i++) {
        START(&f[i], .workers = 1, .store_bytes = MIB, .report_leaks = true);
        rr_release(rr_put_as("same", int, i));
        rr_ref large = put(MIB / 2, 1);
        CHECK(rr_name("large", large) == RR_OK && rr_name("large again", large) == RR_OK);
        rr_release(large);
    }
    for (int i = 0; i < 2; i++) {
        rr_runtime_use(f[i].runtime);
        CHECK(rr_find("same", &found) == RR_OK && rr_get(int, found, &v) == RR_OK && v == i);
        rr_release(found);
    }
    for (int i = 0; i < 2; i++) {
        rr_runtime_use(NULL);
        CHECK(rr_runtime_destroy(f[i].runtime) == RR_OK && fixture_messages(&f[i]) == 0);
        pthread_mutex_destroy(&f[i].lock);
    }
}

/* ---- what keeps memory ---- */

typedef struct row {
    unsigned long long bytes, held, argument, contained, pinned;
    char state[20], what[100], site[200];
} row;
typedef struct table {
    row rows[64];
    int n;
} table;
static bool memory_table(table *t) {
    char *text = NULL, line[400];
    size_t size = 0;
    t->n = 0;
    FILE *file = open_memstream(&text, &size);
    if (!CHECK(file && rr_write_memory(file) == RR_OK)) return false;
    fclose(file);
    FILE *lines = fmemopen(text, size, "r");
    for (int i = 0; lines && fgets(line, sizeof line, lines); i++) {
        row *r = &t->rows[t->n];
        int got = sscanf(line, "%llu %19s %llu %llu %llu %llu %99s %199s", &r->bytes, r->state,
                         &r->held, &r->argument, &r->contained, &r->pinned, r->what, r->site);
        if (i == 0) CHECK(strstr(line, "limit") != NULL);
        if (i == 1) CHECK(strstr(line, "held") && strstr(line, "contained"));
        if (i > 1 && CHECK(got == 8) && t->n < 63) t->n++;
    }
    if (lines) fclose(lines);
    free(text);
    for (int i = 1; i < t->n; i++) CHECK(t->rows[i - 1].bytes >= t->rows[i].bytes);
    return true;
}
/* The row of what was made at a line of this file. */
static const row *row_of(const table *t, int line) {
    static const row none;
    char site[40];
    snprintf(site, sizeof site, "test_store.c:%d", line);
    for (int i = 0; i < t->n; i++) {
        size_t n = strlen(t->rows[i].site), k = strlen(site);
        if (n >= k && !strcmp(t->rows[i].site + n - k, site)) return &t->rows[i];
    }
    return &none;
}
static bool row_is(const row *r, const char *state, size_t bytes, int held, int argument,
                   int contained, int pinned) {
    bool ok = !strcmp(r->state, state) && r->bytes == bytes &&
              r->held == (unsigned long long)held && r->argument == (unsigned long long)argument &&
              r->contained == (unsigned long long)contained &&
              r->pinned == (unsigned long long)pinned;
    if (!ok)
        fprintf(stderr, "%s: %s, %llu bytes, held %llu argument %llu contained %llu pinned %llu\n",
                r->site, r->state, r->bytes, r->held, r->argument, r->contained, r->pinned);
    return ok;
}

typedef struct Holder {
    char bytes[3000];
} Holder;
REMOTE_ACTOR(Holder, create) { self->bytes[0] = 1; }
REMOTE_FN(rr_ref, store_hand_over, rr_ref, inner) { return inner; }
REMOTE_FN(int, store_with_bytes, large, l, rr_bytes, b, int, n) {
    return l.bytes[0] + (int)b.size + n;
}

TEST_RUN(table_of_what_keeps_memory, .workers = 1, .store_bytes = MIB, .stack_bytes = MIB) {
    static large l;
    static table t;
    rr_ref a[8];
    int at[8];
    a[0] = put(0, 1), rr_release(a[0]); /* free slots are not shown */
    a[0] = rr_create(500000, (void *[1]){NULL}), at[0] = __LINE__;
    rr_seal(a[0]);
    a[1] = rr_put_bytes(&l, 1000), at[1] = __LINE__;
    a[2] = rr_put(int, 7), at[2] = __LINE__;
    a[3] = rr_gather((rr_ref[]){a[1], a[2], a[1]}, 3), at[3] = __LINE__;
    a[4] = rr_call(store_hand_over, a[2]), at[4] = __LINE__;
    a[5] = unsealed(2000), at[5] = __LINE__;
    a[6] = rr_call(store_with_bytes, l, a[5], a[2]), at[6] = __LINE__;
    a[7] = rr_call(store_make, (size_t)2 * MIB, (uint64_t)1), at[7] = __LINE__;
    rr_actor actor = rr_spawn(Holder_create);
    int actor_at = __LINE__ - 1;
    CHECK(rr_get_void(a[4]) == RR_OK && rr_get_void(a[7]) == RR_ERR_STORE_FULL);
    CHECK(rr_get_void(a[3]) == RR_OK && objects_settle_at(8));
    CHECK(rr_pin(a[0]) == RR_OK && rr_pin(a[0]) == RR_OK && rr_name("one", a[1]) == RR_OK);
    rr_retain(a[2]);
    if (memory_table(&t)) {
        CHECK(row_is(row_of(&t, at[0]), "arena", 500000, 1, 0, 0, 2));
        CHECK(row_is(row_of(&t, at[1]), "arena", 1000, 1, 0, 3, 0));
        CHECK(row_is(row_of(&t, at[2]), "inline", 4, 2, 1, 2, 0));
        CHECK(!strcmp(row_of(&t, at[3])->state, "gather") && row_of(&t, at[3])->held == 1);
        CHECK(row_is(row_of(&t, at[4]), "inline", sizeof(rr_ref), 1, 0, 0, 0));
        CHECK(row_is(row_of(&t, at[5]), "pending", 0, 1, 1, 0, 0));
        CHECK(row_is(row_of(&t, at[6]), "pending", 0, 1, 0, 0, 0));
        CHECK(row_is(row_of(&t, at[7]), "failed", 0, 1, 0, 0, 0));
        CHECK(row_of(&t, actor_at)->bytes == sizeof(Holder));
        CHECK(!strcmp(row_of(&t, actor_at)->state, "actor") && row_of(&t, actor_at)->held == 1);
        CHECK(!strcmp(row_of(&t, at[6])->what, "store_with_bytes"));
        CHECK(!strcmp(row_of(&t, at[0])->what, "rr_bytes"));
        CHECK(!strcmp(row_of(&t, at[2])->what, "int"));
        CHECK(t.n == 9);
    }
    rr_unpin(a[0]), rr_unpin(a[0]);
    rr_ref all = rr_create(MIB - 4000, (void *[1]){NULL});
    CHECK(rr_get_timeout(int, all, &(int){0}, 0) == RR_ERR_TIMEOUT);
    if (memory_table(&t)) CHECK(row_is(row_of(&t, at[0]), "spilled", 500000, 1, 0, 0, 0));
    rr_release(all), rr_seal(a[5]);
    CHECK(rr_get_void(a[6]) == RR_OK && rr_name("one", (rr_ref){0}) == RR_OK);
    rr_release(a[2]), release_all(a, 8), rr_release(actor);
    CHECK(objects_settle_at(0) && room_settles_at(0));
    if (memory_table(&t)) CHECK(t.n == 0);
}

TEST_SCOPE(table_of_values_that_are_made_again, .workers = 1, .store_bytes = MIB,
           .no_spill = true) {
    static table t;
    rr_ref a = rr_put_bytes("abc", 3), r;
    int at[2] = {__LINE__ - 1, __LINE__ + 1};
    r = rr_call(store_join, a, a, AT(&(desk){.runs = 0}), (uint64_t)1);
    CHECK(rr_get_void(r) == RR_OK);
    drop_all(MIB - 1000);
    /* Who completed it wakes us before it gives its own count back. */
    for (double end = rr_now() + 10; rr_now() < end;)
        if (!memory_table(&t) || row_of(&t, at[1])->held == 1) break;
    if (memory_table(&t)) {
        CHECK(row_is(row_of(&t, at[0]), "arena", 3, 1, 2, 0, 0));
        CHECK(row_is(row_of(&t, at[1]), "dropped", 100 * KIB, 1, 0, 0, 0));
        CHECK(t.n == 2); /* what it takes to make it again is none of the user's objects */
    }
}

TEST_SCOPE(table_with_what_could_not_be_made, .workers = 1, .store_bytes = MIB) {
    static table t;
    rr_ref stale = rr_put(int, 1);
    rr_release(stale);
    rr_ref gather = rr_gather(&stale, 1), many = rr_gather(&stale, SIZE_MAX / 2);
    CHECK(rr_get_void(gather) == RR_ERR_STALE && rr_get_void(many) != RR_OK);
    CHECK(memory_table(&t) && t.n == 2);
}

TEST_SCOPE(table_that_cannot_be_written, .workers = 1, .store_bytes = MIB) {
    rr_put(int, 1);
    CHECK(rr_write_memory(NULL) == RR_ERR_INVALID);
    FILE *full = fopen("/dev/full", "w");
    if (full) CHECK(rr_write_memory(full) == RR_ERR_IO), fclose(full);
    FILE *read = fopen("/dev/null", "r");
    if (read) CHECK(rr_write_memory(read) == RR_ERR_IO), fclose(read);
    FILE *gone = fopen("/dev/null", "w");
    if (gone) close(fileno(gone)), CHECK(rr_write_memory(gone) == RR_ERR_IO), fclose(gone);
}

static void write_tables(void *data) {
    load *l = data;
    FILE *file = fopen("/dev/null", "w");
    for (int i = 0; file && i < l->number; i++) CHECK(rr_write_memory(file) == RR_OK);
    if (file) fclose(file);
}
typedef struct wide {
    char bytes[400];
} wide;
REMOTE_FN(wide, store_wide, wide, a, wide, b, rr_bytes, c, int, n) {
    a.bytes[n % 400] = (char)(a.bytes[0] + b.bytes[0] + (char)c.size);
    return a;
}
/* Tasks with many bytes of arguments begin, end, and become recipes, which go again. */
static void tables_while_tasks_run(rr_evict evict) {
    fixture f;
    outside threads[3];
    load loads[3];
    static wide w;
    START(&f, .workers = 2, .store_bytes = 128 * KIB, .evict = evict, .max_pending = 200);
    for (int i = 0; i < 3; i++) {
        loads[i].number = 40;
        outside_start(&threads[i], f.runtime, write_tables, &loads[i]);
    }
    for (int i = 0; i < 150; i++) {
        rr_scope scope = rr_scope_begin();
        rr_ref b = rr_put_bytes(&w, 300), refs[8];
        for (int k = 0; k < 8; k++)
            refs[k] = rr_call(store_wide, w, k ? refs[k - 1] : rr_put(wide, w), b, k);
        rr_ref gather = rr_gather(&b, 1), big = put(20 * KIB, (uint64_t)i);
        rr_ref named = rr_put_as("latest", int, i), more = put(60 * KIB, (uint64_t)i);
        rr_ref many = rr_call(store_check_many, gather, (uint64_t)0);
        rr_pin(named), rr_cancel(refs[7]);
        CHECK(rr_get(wide, refs[6], &(wide){{0}}) == RR_OK);
        rr_get_void(many), rr_get_void(refs[7]);
        if (evict != RR_EVICT_DROP && i % 4 == 0) CHECK(holds(big, 20 * KIB, (uint64_t)i));
        CHECK(rr_get_void(more) == RR_OK);
        rr_unpin(named);
        rr_scope_end(scope);
    }
    for (int i = 0; i < 3; i++) outside_join(&threads[i]);
    rr_name("latest", (rr_ref){0});
    CHECK(objects_settle_at(0) && room_settles_at(0));
    fixture_stop(&f);
}
TEST(tables_while_tasks_run_and_values_spill) { tables_while_tasks_run(RR_EVICT_SPILL); }
TEST(tables_while_tasks_run_and_are_run_again) { tables_while_tasks_run(RR_EVICT_REBUILD); }

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "--spill-for-ever")) return spill_for_ever(argv[2]);
    if (argc == 3 && !strcmp(argv[1], "--small-disk")) return fill_small_disk(argv[2]);
    return test_main(argc, argv);
}
