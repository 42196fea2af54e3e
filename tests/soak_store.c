/* A soak of the store: 4 threads with mixed work on ten times as much data as it has room for, for
   ten minutes: what is read is what was written, and neither memory nor descriptors grow. `make
   soak` runs it; it is no part of test or check.
   soak_store [seconds] [seed] */
#define _GNU_SOURCE
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"
#include <dirent.h>

enum { THREADS = 4, VALUES = 784, INTERVAL = 30 }; /* of some 205 KiB: ten times STORE */
static const size_t STORE = (size_t)64 << 20;
static double end_time;
static atomic_ullong reads, calls;

typedef struct value {
    rr_ref ref;
    uint64_t seed;
    size_t size;
} value;
typedef struct user {
    uint64_t random;
    value values[VALUES];
    rr_actor shelf;
} user;

/* ---- values ---- */

static bool is_filled(rr_bytes b, uint64_t seed, size_t size) {
    const char *p = b.data;
    size_t i = 0;
    if (b.size != size) return false;
    for (; i + 8 <= size; i += 8)
        if (memcmp(p + i, &(uint64_t){word_at(seed, i)}, 8) != 0) return false;
    return memcmp(p + i, &(uint64_t){word_at(seed, i)}, size - i) == 0;
}
/* Together ten times the store; from 64 bytes to 2 MiB, so that most bytes are in large ones. */
static size_t random_size(uint64_t *random) {
    size_t power = (size_t)64 << test_below(random, 15);
    return power + (size_t)test_below(random, power);
}

/* ---- bodies ---- */

static rr_bytes result_of(uint64_t seed, size_t size) {
    void *p = rr_result(size);
    if (p) fill_words(p, seed, size);
    return rr_bytes_of(p, size);
}
REMOTE_FN(rr_bytes, soak_make, uint64_t, seed, size_t, size) { return result_of(seed, size); }
REMOTE_FN(rr_bytes, soak_turn, rr_bytes, from, uint64_t, from_seed, size_t, from_size, uint64_t,
          seed, size_t, size) {
    CHECK(is_filled(from, from_seed, from_size));
    return result_of(seed, size);
}
REMOTE_FN(rr_bytes, soak_nested, rr_ref, from, uint64_t, from_seed, size_t, from_size, uint64_t,
          seed, size_t, size) {
    rr_bytes view;
    rr_ref turned = rr_call(soak_turn, from, from_seed, from_size, seed, size);
    if (CHECK(rr_get(rr_bytes, turned, &view) == RR_OK)) CHECK(is_filled(view, seed, size));
    return result_of(seed, size);
}
REMOTE_FN(size_t, soak_sum, rr_many, parts) {
    size_t sum = 0;
    for (size_t i = 0; i < parts.count; i++) sum += parts.items[i].size;
    return sum;
}
REMOTE_STREAM(rr_bytes, soak_items, uint64_t, seed, int, n) {
    char item[5000];
    for (uint64_t i = 0; i < (uint64_t)n; i++) {
        fill_words(item, seed + i, sizeof item);
        if (rr_yield(rr_bytes, rr_bytes_of(item, sizeof item)) != RR_OK) return;
    }
}
typedef struct Shelf {
    rr_ref kept;
    uint64_t seed;
    size_t size;
} Shelf;
REMOTE_ACTOR(Shelf, create) { self->size = 0; }
REMOTE_METHOD(bool, Shelf, change, rr_ref, ref, uint64_t, seed, size_t, size) {
    rr_bytes view;
    bool right = true;
    if (self->kept.id)
        right =
            rr_get(rr_bytes, self->kept, &view) == RR_OK && is_filled(view, self->seed, self->size);
    rr_release(self->kept);
    self->kept = rr_keep(ref), self->seed = seed, self->size = size;
    return CHECK(right);
}
REMOTE_DESTRUCTOR(Shelf) { rr_release(self->kept); }

/* ---- what a thread does ---- */

/* A new value in the place of v, made of `from`. */
static void renew(user *u, value *v, const value *from) {
    value made = {.seed = test_random(&u->random) >> 8, .size = random_size(&u->random)};
    void *room;
    switch (test_below(&u->random, 4)) {
    case 0:
        made.ref = rr_create(made.size, &room);
        if (!CHECK(room != NULL)) break;
        fill_words(room, made.seed, made.size);
        CHECK(rr_seal(made.ref) == RR_OK);
        break;
    case 1:
        made.ref = rr_call(soak_make, made.seed, made.size);
        break;
    case 2:
        made.ref = rr_call(soak_turn, from->ref, from->seed, from->size, made.seed, made.size);
        break;
    default:
        made.ref = rr_call(soak_nested, from->ref, from->seed, from->size, made.seed, made.size);
    }
    calls++;
    rr_release(v->ref);
    *v = made;
}
static void look(user *u, const value *v) {
    rr_bytes view;
    rr_scope scope = rr_scope_begin();
    bool by_hand = test_below(&u->random, 8) == 0;
    if (by_hand) CHECK(rr_pin(v->ref) == RR_OK);
    rr_status status = rr_get(rr_bytes, v->ref, &view);
    if (!CHECK(status == RR_OK && is_filled(view, v->seed, v->size)))
        fprintf(stderr, "%s: %.500s\n", rr_status_name(status), rr_error_message(v->ref));
    if (by_hand) CHECK(rr_unpin(v->ref) == RR_OK);
    rr_scope_end(scope);
    reads++;
}
static void look_at_parts(user *u) {
    rr_scope scope = rr_scope_begin();
    rr_ref parts[4];
    size_t sum = 0, found = 0;
    for (int i = 0; i < 4; i++) {
        value *v = &u->values[test_below(&u->random, VALUES)];
        parts[i] = v->ref, sum += v->size;
    }
    CHECK(rr_get(size_t, rr_call(soak_sum, rr_gather(parts, 4)), &found) == RR_OK && found == sum);
    rr_scope_end(scope);
}
static void read_stream(user *u) {
    rr_scope scope = rr_scope_begin();
    uint64_t seed = test_random(&u->random) >> 8;
    rr_stream s = rr_call_stream(soak_items, seed, 20);
    rr_ref ref;
    rr_bytes view;
    for (uint64_t i = 0; i < 15 && CHECK(rr_next(s, &ref) == RR_OK); i++) {
        CHECK(rr_get(rr_bytes, ref, &view) == RR_OK && is_filled(view, seed + i, 5000));
        rr_release(ref);
    }
    rr_scope_end(scope);
}
static void put_on_shelf(user *u, const value *v) {
    bool right = false;
    rr_ref done = rr_ask(u->shelf, Shelf_change, v->ref, v->seed, v->size);
    CHECK(rr_get(bool, done, &right) == RR_OK && right);
    rr_release(done);
}
static void name_one(user *u, const value *v) {
    char name[16];
    rr_ref found;
    snprintf(name, sizeof name, "%d", (int)test_below(&u->random, 20));
    CHECK(rr_name(name, v->ref) == RR_OK);
    if (rr_find(name, &found) == RR_OK) rr_release(found); /* another thread's, perhaps */
}
static void use(void *data) {
    user *u = data;
    FILE *nowhere = fopen("/dev/null", "w");
    u->shelf = rr_spawn(Shelf_create);
    for (int i = 0; i < VALUES; i++) {
        value *v = &u->values[i];
        v->seed = test_random(&u->random) >> 8, v->size = random_size(&u->random);
        v->ref = rr_call(soak_make, v->seed, v->size);
        if (i % 16 == 0) look(u, v); /* not too far ahead of the store */
    }
    while (rr_now() < end_time && !test_others.failures) {
        value *v = &u->values[test_below(&u->random, VALUES)];
        value *from = &u->values[test_below(&u->random, VALUES)];
        unsigned dice = (unsigned)test_below(&u->random, 1000);
        if (dice < 300 && v != from) renew(u, v, from);
        else if (dice < 330) look_at_parts(u);
        else if (dice < 350) read_stream(u);
        else if (dice < 400) put_on_shelf(u, v);
        else if (dice < 420) name_one(u, v);
        else if (dice < 421) CHECK(rr_write_memory(nowhere) == RR_OK);
        else look(u, v);
    }
    for (int i = 0; i < VALUES; i++) rr_release(u->values[i].ref);
    rr_release(u->shelf);
    fclose(nowhere);
}

/* ---- looking on ---- */

typedef struct sample {
    double when;
    size_t resident, descriptors; /* MiB; open ones */
} sample;
static sample samples[1 << 16];
static int samples_count;

static int entries_in(const char *path) {
    int n = 0;
    DIR *dir = opendir(path);
    while (dir && readdir(dir)) n++;
    if (dir) closedir(dir);
    return n;
}
static size_t resident_mib(void) {
    unsigned long all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%lu %lu", &all, &resident) != 2) resident = 0;
    if (file) fclose(file);
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE) >> 20;
}
static void take_sample(void) {
    if (samples_count == sizeof samples / sizeof *samples) return;
    samples[samples_count++] =
        (sample){rr_now(), resident_mib(), (size_t)entries_in("/proc/self/fd")};
}
static void tell(double start) {
    rr_stats s;
    rr_get_stats(&s);
    const sample *last = &samples[samples_count - 1];
    printf(
        "%5.0f s: %zu MiB resident, %zu descriptors; store %.1f MiB used, %.1f held, files %.1f; "
        "%llu objects, %llu spilled, %llu restored, %llu hits, written %.1f GB, read %.1f GB in "
        "%.1f s; %llu reads, %llu calls, %llu threads\n",
        rr_now() - start, last->resident, last->descriptors, (double)s.store_bytes_used / 0x1p20,
        (double)s.store_bytes_held / 0x1p20, (double)s.spill_bytes_used / 0x1p20,
        (unsigned long long)s.objects_live, (unsigned long long)s.objects_spilled,
        (unsigned long long)s.objects_restored, (unsigned long long)s.store_hits,
        (double)s.spill_bytes_written * 1e-9, (double)s.spill_bytes_read * 1e-9, s.spill_seconds,
        (unsigned long long)reads, (unsigned long long)calls, (unsigned long long)s.threads);
    fflush(stdout);
}
/* The most in the last third of the time, against the most in the first, without its beginning, in
   which all is filled. */
static void compare(double start) {
    size_t resident[2] = {0, 0}, descriptors[2] = {0, 0};
    double third = (end_time - start) / 3;
    for (int i = 0; i < samples_count; i++) {
        const sample *s = &samples[i];
        int at = s->when > end_time - third ? 1 : 0;
        if (s->when < start + third / 4 || (!at && s->when > start + third)) continue;
        if (s->resident > resident[at]) resident[at] = s->resident;
        if (s->descriptors > descriptors[at]) descriptors[at] = s->descriptors;
    }
    printf(
        "at most in the first third, and in the last: %zu and %zu MiB, %zu and %zu descriptors\n",
        resident[0], resident[1], descriptors[0], descriptors[1]);
    CHECK(resident[1] <= resident[0] + resident[0] / 5 + 16);
    CHECK(descriptors[1] <= descriptors[0] + descriptors[0] / 2 + 4);
}

int main(int argc, char **argv) {
    static user users[THREADS];
    static fixture f;
    outside others[THREADS];
    int seconds = argc > 1 && atoi(argv[1]) > 0 ? atoi(argv[1]) : 600;
    const char *seed = argc > 2 ? argv[2] : getenv("SEED");
    int descriptors = entries_in("/proc/self/fd");
    test_watch(seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL), (unsigned)seconds + 300);
    uint64_t random = test_seed;
    START(&f, .workers = 3, .store_bytes = STORE);
    double start = rr_now(), told = start;
    end_time = start + seconds;
    for (int i = 0; i < THREADS; i++) {
        users[i].random = test_random(&random);
        outside_start(&others[i], f.runtime, use, &users[i]);
    }
    while (rr_now() < end_time && !test_others.failures) {
        rr_sleep_ms(seconds < 60 ? 50 : 500);
        take_sample();
        if (rr_now() < told + INTERVAL) continue;
        told += INTERVAL, tell(start);
    }
    for (int i = 0; i < THREADS; i++) outside_join(&others[i]);
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        rr_name(name, (rr_ref){0});
    }
    take_sample(), tell(start);
    if (!test_others.failures) compare(start);
    CHECK(objects_settle_at(0) && actors_settle_at(0));
    fixture_stop(&f);
    CHECK(entries_in("/proc/self/fd") == descriptors);
    if (f.length) fprintf(stderr, "%.4000s", f.log);
    printf("%d passed, %d failed\n", test_others.failures == 0, test_others.failures != 0);
    return test_others.failures != 0;
}
