/* Guards the store when it is smaller than the data: several threads put, create, name, pin, view,
   copy, gather, pass on, cancel and release values at random, also in bodies, methods and streams,
   under each policy, with files that fail in some rounds. What is read is what was written; what
   cannot be read fails for a reason that the round allows; the bytes in memory never exceed the
   limit; in the end nothing is left: no object, no byte, no file, no descriptor.
   stress_store [threads] [rounds] [seed] */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
static void stress_point(void);
static int store_open(const char *path);
static ptrdiff_t store_write(int fd, const void *data, size_t size, uint64_t at);
static ptrdiff_t store_read(int fd, void *data, size_t size, uint64_t at);
#define RR__STRESS_POINT() stress_point()
#define RR__FILE_OPEN(path) store_open(path)
#define RR__FILE_WRITE(fd, p, n, at) store_write((fd), (p), (n), (at))
#define RR__FILE_READ(fd, p, n, at) store_read((fd), (p), (n), (at))
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"
#include "stress.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

enum { THINGS = 24, STEPS = 150, VIEWS = 4, PARTS = 5, MAX_THREADS = 8, NAMES = 6, BOARD = 8 };
enum { CODE = 1000 }; /* + the status that a body has failed with */
typedef enum policy { SPILL, REBUILD, DROP, UNLIMITED, POLICIES } policy;

/* What the round is like. A roomy one: what is in use at once, on all threads, always fits, so that
   nothing may fail for want of room. */
static struct {
    policy policy;
    size_t store, largest;
    bool is_roomy, has_faults, ends_early;
    int threads;
} now;
static char folder[] = "/tmp/rustyray-stress-XXXXXX";
static atomic_int ready;  /* threads that use the runtime */
static atomic_int faults; /* so many of 1000 calls */

/* ---- files ---- */

static uint64_t file_dice(uint64_t limit) {
    static _Thread_local uint64_t random;
    if (!random) random = (uint64_t)(uintptr_t)&random ^ test_seed;
    return test_below(&random, limit);
}
static bool file_fails(void) {
    if ((int)file_dice(1000) >= atomic_load(&faults)) return false;
    errno = file_dice(2) ? EIO : ENOSPC;
    return true;
}
static int store_open(const char *path) {
    return file_fails() ? -1 : open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
}
/* Less than was asked for, and EINTR, are no errors. */
static ptrdiff_t store_write(int fd, const void *data, size_t size, uint64_t at) {
    if (file_fails()) return -1;
    if (file_dice(16) == 0) return errno = EINTR, -1;
    if (size > 1 && file_dice(8) == 0) size = 1 + file_dice(size);
    return pwrite(fd, data, size, (off_t)at);
}
static ptrdiff_t store_read(int fd, void *data, size_t size, uint64_t at) {
    if (file_fails()) return -1;
    if (file_dice(16) == 0) return errno = EINTR, -1;
    if (size > 1 && file_dice(8) == 0) size = 1 + file_dice(size);
    ptrdiff_t n = pread(fd, data, size, (off_t)at);
    if (n > 0 && (int)file_dice(4000) < atomic_load(&faults)) *(char *)data ^= 1; /* seen by sum */
    return n;
}

/* ---- values ---- */

/* Every byte of small ones; of large ones a part, and the ends. */
static bool is_filled(rr_bytes b, uint64_t seed, size_t size) {
    const char *p = b.data;
    if (b.size != size || (uintptr_t)p % 64) return false;
    size_t step = size < 8192 ? 8 : 8 * (1 + (seed ^ (uintptr_t)p >> 6) % 61), i = 0;
    for (; i + 8 <= size; i += step)
        if (memcmp(p + i, &(uint64_t){word_at(seed, i)}, 8) != 0) return false;
    i = size / 8 * 8;
    return memcmp(p + i, &(uint64_t){word_at(seed, i)}, size - i) == 0;
}

typedef struct block {
    char bytes[2000];
} block;
typedef struct page {
    uint64_t seed;
    block half;
    char rest[1000];
} page;
static page page_of(uint64_t seed) {
    page p = {.seed = seed};
    fill_words(&p.half, seed + 1, sizeof p.half), fill_words(p.rest, seed + 2, sizeof p.rest);
    return p;
}
static bool page_is_right(const page *p) {
    page right = page_of(p->seed);
    return memcmp(p, &right, sizeof right) == 0;
}

/* ---- bodies ---- */

static void fail_as(rr_status status) { rr_fail(CODE + (int)status, "%s", rr_status_name(status)); }
static rr_bytes result_of(uint64_t seed, size_t size) {
    void *p = rr_result(size);
    if (p) fill_words(p, seed, size);
    return rr_bytes_of(p, size);
}
REMOTE_FN(rr_bytes, store_make, uint64_t, seed, size_t, size) {
    if (seed % 8) return result_of(seed, size);
    char *p = rr_result(size + seed % 500); /* more than it returns */
    if (p) fill_words(p, seed, size);
    return rr_bytes_of(p, size);
}
REMOTE_FN(rr_bytes, store_mix, rr_bytes, a, uint64_t, seed_a, size_t, size_a, rr_bytes, b, uint64_t,
          seed_b, size_t, size_b, uint64_t, seed, size_t, size) {
    CHECK(is_filled(a, seed_a, size_a) && is_filled(b, seed_b, size_b));
    rr_bytes made = result_of(seed, size);
    CHECK(is_filled(a, seed_a, size_a) && is_filled(b, seed_b, size_b));
    return made;
}
REMOTE_FN(int, store_look, rr_bytes, a, uint64_t, seed, size_t, size) {
    return CHECK(is_filled(a, seed, size));
}
/* Waits for calls of its own while it has views. */
REMOTE_FN(rr_bytes, store_nested, rr_ref, late, uint64_t, seed_late, size_t, size_late, int, depth,
          uint64_t, seed, size_t, size) {
    rr_bytes own = {0}, given = {0};
    rr_ref made = rr_call(store_make, seed + 1, size / 2 + 1);
    rr_ref inner = depth ? rr_call(store_nested, late, seed_late, size_late, depth - 1, seed, size)
                         : rr_call(store_look, late, seed_late, size_late);
    rr_status status = rr_get(rr_bytes, made, &own);
    if (status == RR_OK) status = rr_get(rr_bytes, late, &given);
    if (status == RR_OK) CHECK(is_filled(own, seed + 1, size / 2 + 1));
    rr_release(made); /* the view keeps it */
    if (status == RR_OK) status = rr_get_void(inner);
    if (status == RR_ERR_TASK) status = (rr_status)(rr_error_code(inner) - CODE);
    if (status == RR_OK) CHECK(is_filled(own, seed + 1, size / 2 + 1));
    if (status == RR_OK) CHECK(is_filled(given, seed_late, size_late));
    if (status == RR_OK) return result_of(seed, size);
    if (made.id && rr_error_code(late) > CODE) status = (rr_status)(rr_error_code(late) - CODE);
    fail_as(status);
    return rr_bytes_of(NULL, 0);
}
REMOTE_FN(page, store_page, uint64_t, seed) { return page_of(seed); }
REMOTE_FN(page, store_turn, page, p, uint64_t, seed) {
    CHECK(page_is_right(&p));
    return page_of(seed);
}
typedef struct parts {
    uint64_t seeds[PARTS];
    size_t sizes[PARTS], n;
} parts;
static bool parts_are_right(rr_many many, const parts *p) {
    bool right = many.count == p->n;
    for (size_t i = 0; right && i < p->n; i++)
        right = is_filled(many.items[i], p->seeds[i], p->sizes[i]);
    return right;
}
REMOTE_FN(rr_bytes, store_join, rr_many, many, parts, p, uint64_t, seed, size_t, size) {
    CHECK(parts_are_right(many, &p));
    return result_of(seed, size);
}
static size_t item_size(uint64_t seed, size_t largest) { return 1 + seed % largest; }
REMOTE_STREAM(rr_bytes, store_items, uint64_t, seed, int, n, size_t, largest) {
    char *buffer = malloc(largest);
    for (uint64_t i = 0; i < (uint64_t)n; i++) {
        size_t size = item_size(seed + i, largest);
        fill_words(buffer, seed + i, size);
        if (rr_yield(rr_bytes, rr_bytes_of(buffer, size)) != RR_OK) break;
    }
    free(buffer);
}

typedef struct Shelf {
    rr_ref kept;
    uint64_t seed;
    size_t size;
} Shelf;
REMOTE_ACTOR(Shelf, create) { self->size = 0; }
REMOTE_METHOD(void, Shelf, keep, rr_ref, ref, uint64_t, seed, size_t, size) {
    rr_release(self->kept);
    self->kept = rr_keep(ref), self->seed = seed, self->size = size;
}
REMOTE_METHOD(rr_bytes, Shelf, look, uint64_t, seed, size_t, size) {
    rr_bytes view = {0};
    rr_status status = self->kept.id ? rr_get(rr_bytes, self->kept, &view) : RR_OK;
    if (status == RR_OK && self->kept.id) CHECK(is_filled(view, self->seed, self->size));
    if (status == RR_OK) return result_of(seed, size);
    int code = rr_error_code(self->kept);
    fail_as(code > CODE ? (rr_status)(code - CODE) : status);
    return rr_bytes_of(NULL, 0);
}
REMOTE_METHOD(rr_bytes, Shelf, turn, rr_bytes, a, uint64_t, seed_a, size_t, size_a, uint64_t, seed,
              size_t, size) {
    CHECK(is_filled(a, seed_a, size_a));
    return result_of(seed, size);
}
REMOTE_DESTRUCTOR(Shelf) { rr_release(self->kept); }

/* ---- the model ---- */

typedef enum kind { BYTES, PAGE, BLOCK, SEED, MANY, BOX } kind;
/* What may become of a thing, because it may of what it is made from. */
enum { CANCELLED = 1, LOST = 2 /* a body that makes it again fails if its calls find no room */ };
typedef struct thing {
    rr_ref ref; /* outside of scopes: a count of ours */
    kind kind;
    uint64_t seed;
    size_t size;
    unsigned risks;
    bool is_call;     /* that we may cancel */
    bool is_shared;   /* somebody else has counts of it, or may get them */
    int pins;         /* by rr_pin */
    const void *view; /* taken outside every scope */
    parts parts;      /* MANY */
} thing;
typedef struct view { /* taken in the open scope */
    rr_bytes bytes;
    uint64_t seed;
} view;
typedef struct player {
    uint64_t random;
    thing things[THINGS];
    int count, pins; /* pins: views outside and pins by hand, together */
    rr_scope scope;
    bool is_open;
    view views[VIEWS];
    int views_count;
    rr_actor shelf;
    thing kept; /* on it */
    FILE *nowhere;
} player;
static struct {
    pthread_mutex_t lock;
    thing things[BOARD];
} board = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t random_size(player *p) {
    uint64_t most = now.largest, top = 0;
    while (most >> top) top++;
    size_t size =
        1 + (size_t)test_below(&p->random, (uint64_t)1 << test_below(&p->random, top + 1));
    return size <= most ? size : most;
}
static uint64_t random_seed(player *p) { return test_random(&p->random) >> 8; }

/* What may a read of it, or a call with it, come to, beside RR_OK? */
static bool may_be(const thing *t, rr_status status) {
    if (now.ends_early && (status == RR_ERR_NOT_RUNNING || status == RR_ERR_CANCELLED ||
                           status == RR_ERR_ACTOR_DEAD || status == RR_ERR_STALE ||
                           status == RR_ERR_TASK)) /* its code can be asked for no more */
        return true;
    switch (status) {
    case RR_ERR_OBJECT_LOST:
        return now.policy == DROP || (now.policy == REBUILD && (t->risks & LOST));
    case RR_ERR_STORE_FULL:
        return now.policy == REBUILD || (now.policy != UNLIMITED && !now.is_roomy) ||
               now.has_faults;
    case RR_ERR_IO:
        return now.has_faults;
    case RR_ERR_CANCELLED:
        return (t->risks & CANCELLED) != 0;
    default:
        return false;
    }
}
static bool outcome_is_right(const thing *t, rr_status status) {
    int code = status == RR_ERR_TASK ? rr_error_code(t->ref) : 0;
    rr_status cause = code > CODE ? (rr_status)(code - CODE) : status;
    if (CHECK(status == RR_OK || may_be(t, cause))) return status == RR_OK;
    fprintf(stderr, "policy %d%s%s, kind %d of %zu bytes: %s (%s): %.600s\n", now.policy,
            now.is_roomy ? ", roomy" : "", now.has_faults ? ", faults" : "", t->kind, t->size,
            rr_status_name(status), rr_status_name(cause), rr_error_message(t->ref));
    return false;
}

static thing *any_of(player *p, kind kind) {
    for (int i = 0; i < 4 && p->count > 0; i++) {
        thing *t = &p->things[test_below(&p->random, p->count)];
        if (t->kind == kind) return t;
    }
    return NULL;
}
/* A new thing: in a scope it is kept, so that all counts of ours are alike. */
static thing *received(player *p, rr_ref ref, kind kind, uint64_t seed, size_t size) {
    thing *t = &p->things[p->count++];
    *t = (thing){.ref = rr_keep(ref), .kind = kind, .seed = seed, .size = size};
    return t;
}
/* One that a call has made of others (or NULL). */
static thing *derived(player *p, rr_ref ref, kind kind, uint64_t seed, size_t size,
                      const thing *from, const thing *other) {
    unsigned risks = (from ? from->risks : 0) | (other ? other->risks : 0);
    thing *t = received(p, ref, kind, seed, size);
    t->is_call = test_below(&p->random, 12) == 0;
    t->risks = risks | (t->is_call ? CANCELLED : 0);
    if (now.is_roomy) outcome_is_right(t, rr_get_void(ref));
    return t;
}

/* ---- what a thread does ---- */

static void put(player *p) {
    uint64_t seed = random_seed(p);
    size_t size = random_size(p);
    void *room, *buffer;
    rr_ref ref;
    switch (test_below(&p->random, 4)) {
    case 0:
        received(p, rr_put(page, page_of(seed)), PAGE, seed, sizeof(page));
        return;
    case 1:
        ref = rr_create(size, &room);
        if (room) fill_words(room, seed, size);
        if (test_below(&p->random, 8) == 0) usleep((useconds_t)test_below(&p->random, 200));
        if (room) CHECK(rr_seal(ref) == RR_OK || now.ends_early);
        received(p, ref, BYTES, seed, size);
        return;
    default:
        buffer = malloc(size);
        fill_words(buffer, seed, size);
        received(p, rr_put_bytes(buffer, size), BYTES, seed, size);
        free(buffer);
    }
}

static void gather(player *p) {
    thing *from[PARTS] = {any_of(p, BYTES)};
    rr_ref refs[PARTS] = {{0, 0, 0}};
    parts made = {.n = 0};
    unsigned risks = 0;
    size_t sum = 0, n = 1 + test_below(&p->random, PARTS);
    for (size_t i = 0; i < n && (from[i] = any_of(p, BYTES)); i++, made.n++) {
        refs[i] = from[i]->ref;
        made.seeds[i] = from[i]->seed, made.sizes[i] = from[i]->size;
        risks |= from[i]->risks, sum += from[i]->size;
    }
    if (sum > now.store / 2) return;
    thing *t = received(p, rr_gather(refs, made.n), MANY, 0, sum);
    t->parts = made, t->risks = risks;
}

static void call(player *p) {
    thing *a = any_of(p, BYTES), *b = any_of(p, BYTES), *whole = any_of(p, PAGE);
    thing *many = any_of(p, MANY);
    uint64_t seed = random_seed(p);
    size_t size = random_size(p);
    int depth = (int)test_below(&p->random, 3);
    switch (test_below(&p->random, 8)) {
    case 0:
        if (!a || !b) break;
        derived(p,
                rr_call(store_mix, a->ref, a->seed, a->size, b->ref, b->seed, b->size, seed, size),
                BYTES, seed, size, a, b);
        return;
    case 1:
        if (!a) break;
        derived(p, rr_call(store_nested, a->ref, a->seed, a->size, depth, seed, size), BYTES, seed,
                size, a, NULL)
            ->risks |= LOST;
        return;
    case 2:
        if (!whole) break;
        if (depth)
            derived(p, rr_call(store_turn, whole->ref, seed), PAGE, seed, sizeof(page), whole,
                    NULL);
        else
            derived(p, rr_call(store_turn, page_of(seed), seed), PAGE, seed, sizeof(page), NULL,
                    NULL);
        return;
    case 3:
        if (!many) break;
        derived(p, rr_call(store_join, many->ref, many->parts, seed, size), BYTES, seed, size, many,
                NULL);
        return;
    case 4:
        derived(p, rr_call(store_page, seed), PAGE, seed, sizeof(page), NULL, NULL);
        return;
    default:
        break;
    }
    derived(p, rr_call(store_make, seed, size), BYTES, seed, size, NULL, NULL);
}

static void take_field(player *p) {
    thing *whole = any_of(p, PAGE), *t;
    if (!whole) return;
    unsigned risks = whole->risks;
    uint64_t seed = whole->seed;
    if (test_below(&p->random, 2))
        t = received(p, rr_field(uint64_t, whole->ref, page, seed), SEED, seed, 8);
    else t = received(p, rr_field(block, whole->ref, page, half), BLOCK, seed + 1, sizeof(block));
    t->risks = risks;
}
static void box(player *p) {
    thing *inner = any_of(p, BYTES);
    if (!inner || inner->view) return;
    inner->is_shared = true; /* by who unpacks it */
    thing copy = *inner, *t = received(p, rr_put(rr_ref, inner->ref), BOX, copy.seed, copy.size);
    t->risks = copy.risks;
}

static void send(player *p) {
    thing *a = any_of(p, BYTES), *t;
    uint64_t seed = random_seed(p);
    size_t size = random_size(p);
    unsigned dice = (unsigned)test_below(&p->random, 3);
    if (dice == 0 && a && !a->view) {
        a->is_shared = true, p->kept = *a;
        rr_status status = rr_tell(p->shelf, Shelf_keep, a->ref, a->seed, a->size);
        CHECK(status == RR_OK || now.ends_early);
    } else if (dice == 1 && a) {
        t = derived(p, rr_ask(p->shelf, Shelf_turn, a->ref, a->seed, a->size, seed, size), BYTES,
                    seed, size, a, NULL);
    } else {
        t = derived(p, rr_ask(p->shelf, Shelf_look, seed, size), BYTES, seed, size, &p->kept, NULL);
    }
    (void)t;
}

static void read_stream(player *p) {
    int n = (int)test_below(&p->random, 6), taken = (int)test_below(&p->random, n + 2);
    uint64_t seed = random_seed(p);
    size_t largest = random_size(p);
    thing any = {.risks = 0};
    rr_options options = {.max_unread = (int)test_below(&p->random, 3)};
    rr_stream s = rr_call_stream_with(options, store_items, seed, n, largest);
    for (int i = 0; i < taken && p->count < THINGS; i++) {
        rr_ref ref;
        rr_status status = rr_next(s, &ref);
        if (status == RR_ERR_END) {
            CHECK(i == n);
            break;
        }
        if (!outcome_is_right(&any, status)) break;
        received(p, ref, BYTES, seed + (uint64_t)i, item_size(seed + (uint64_t)i, largest));
    }
    rr_release(s);
}

static void name_some(player *p) {
    char name[24];
    uint64_t seed = random_seed(p);
    snprintf(name, sizeof name, "page %d", (int)test_below(&p->random, NAMES));
    rr_ref ref;
    thing *t = any_of(p, PAGE);
    switch (test_below(&p->random, 4)) {
    case 0:
        received(p, rr_put_as(name, page, page_of(seed)), PAGE, seed, sizeof(page));
        return;
    case 1:
        if (t && !t->risks) rr_name(name, t->ref), t->is_shared = true;
        return;
    case 2:
        rr_name(name, (rr_ref){0});
        return;
    default:
        break;
    }
    page found;
    if (rr_find(name, &ref) != RR_OK) return;
    t = received(p, ref, PAGE, 0, sizeof(page));
    rr_status status = rr_get(page, ref, &found);
    if (outcome_is_right(t, status)) CHECK(page_is_right(&found)), t->seed = found.seed;
    else rr_release(t->ref), p->count--; /* not known what it is */
}

/* ---- reading ---- */

static void read_bytes(player *p, thing *t) {
    rr_bytes bytes;
    if (!p->is_open && (t->is_shared || (!t->view && p->pins == VIEWS))) return;
    if (p->is_open && p->views_count == VIEWS) return;
    rr_status status = rr_get(rr_bytes, t->ref, &bytes);
    if (!outcome_is_right(t, status)) return;
    CHECK(is_filled(bytes, t->seed, t->size));
    if (p->is_open) p->views[p->views_count++] = (view){bytes, t->seed};
    else if (!t->view) t->view = bytes.data, p->pins++;
    else CHECK(t->view == bytes.data); /* it has not been away */
}
static void read_many(player *p, thing *t) {
    rr_many many;
    rr_scope scope = rr_scope_begin();
    rr_status status = rr_get(rr_many, t->ref, &many);
    if (outcome_is_right(t, status)) CHECK(parts_are_right(many, &t->parts));
    rr_scope_end(scope);
    (void)p;
}
static void read_page(thing *t) {
    page copy;
    rr_status status = rr_get(page, t->ref, &copy);
    if (outcome_is_right(t, status)) CHECK(copy.seed == t->seed && page_is_right(&copy));
}
static void read_rest(player *p, thing *t) {
    block copy;
    uint64_t seed = 0;
    rr_ref inner;
    if (t->kind == SEED) {
        if (outcome_is_right(t, rr_get(uint64_t, t->ref, &seed))) CHECK(seed == t->seed);
    } else if (t->kind == BLOCK) {
        if (!outcome_is_right(t, rr_get(block, t->ref, &copy))) return;
        block right;
        fill_words(&right, t->seed, sizeof right);
        CHECK(memcmp(&copy, &right, sizeof right) == 0);
    } else if (p->count < THINGS && outcome_is_right(t, rr_get(rr_ref, t->ref, &inner))) {
        unsigned risks = t->risks;
        t = received(p, inner, BYTES, t->seed, t->size);
        t->is_shared = true, t->risks = risks;
    }
}
static void read_some(player *p, thing *t) {
    if (t->kind == BYTES) read_bytes(p, t);
    else if (t->kind == MANY) read_many(p, t);
    else if (t->kind == PAGE) read_page(t);
    else read_rest(p, t);
}
/* Views stay as they are. */
static void look_again(player *p) {
    if (now.ends_early) return;
    for (int i = 0; i < p->views_count; i++)
        CHECK(is_filled(p->views[i].bytes, p->views[i].seed, p->views[i].bytes.size));
    for (int i = 0; i < p->count; i++) {
        thing *t = &p->things[i];
        if (t->view) CHECK(is_filled(rr_bytes_of(t->view, t->size), t->seed, t->size));
    }
}

/* ---- holding and letting go ---- */

static void pin(player *p, thing *t) {
    if (t->pins && test_below(&p->random, 2)) {
        CHECK(rr_unpin(t->ref) == RR_OK || now.ends_early);
        t->pins--, p->pins--;
    } else if (p->pins < VIEWS && t->kind != MANY && outcome_is_right(t, rr_pin(t->ref))) {
        t->pins++, p->pins++;
    }
}
static void let_go(player *p, thing *t) {
    for (; t->pins; t->pins--, p->pins--) CHECK(rr_unpin(t->ref) == RR_OK || now.ends_early);
    if (t->view) p->pins--;
    rr_release(t->ref);
    *t = p->things[--p->count];
}
static void end_scope(player *p) {
    look_again(p);
    if (p->is_open) rr_scope_end(p->scope);
    p->is_open = false, p->views_count = 0;
}
static void exchange(player *p, thing *t) {
    thing *place = &board.things[test_below(&p->random, BOARD)], old;
    if (t->view || t->pins) return;
    rr_retain(t->ref);
    t->is_shared = true, t->is_call = false;
    pthread_mutex_lock(&board.lock);
    old = *place, *place = *t;
    pthread_mutex_unlock(&board.lock);
    if (!old.ref.id) return;
    if (p->count < THINGS) p->things[p->count++] = old;
    else rr_release(old.ref);
}
static void hold_on(player *p, thing *t) {
    if (t->view) return; /* a release would end it */
    rr_retain(t->ref);
    if (test_below(&p->random, 2)) rr_keep(t->ref);
    rr_release(t->ref);
}

static void step(player *p) {
    thing *t = p->count ? &p->things[test_below(&p->random, p->count)] : NULL;
    unsigned dice = (unsigned)test_below(&p->random, 200);
    bool is_full = p->count == THINGS;
    if (is_full && dice < 96) let_go(p, t);
    else if (dice < 30 || !t) put(p);
    else if (dice < 60) call(p);
    else if (dice < 66) gather(p);
    else if (dice < 72) take_field(p);
    else if (dice < 76) box(p);
    else if (dice < 86) send(p);
    else if (dice < 90) read_stream(p);
    else if (dice < 96) name_some(p);
    else if (dice < 140) read_some(p, t);
    else if (dice < 150) pin(p, t);
    else if (dice < 154) exchange(p, t);
    else if (dice < 160) hold_on(p, t);
    else if (dice < 165 && t->is_call) (void)rr_cancel(t->ref);
    else if (dice < 166) CHECK(rr_write_memory(p->nowhere) == RR_OK || now.ends_early);
    else if (dice < 172) look_again(p);
    else if (dice < 178 && !p->is_open) p->scope = rr_scope_begin(), p->is_open = true;
    else if (dice < 186) end_scope(p);
    else let_go(p, t);
}
static void play(void *data) {
    player *p = data;
    ready++;
    p->shelf = rr_spawn(Shelf_create);
    for (int i = 0; i < STEPS && !test_others.failures; i++) step(p);
    end_scope(p);
    while (p->count) {
        thing *t = &p->things[p->count - 1];
        if (t->kind != BOX && test_below(&p->random, 2)) read_some(p, t);
        let_go(p, t);
    }
    rr_release(p->shelf);
}

/* ---- a round ---- */

static atomic_bool is_over;
static void watch(void *nothing) {
    (void)nothing;
    ready++;
    while (!is_over) {
        rr_stats s;
        rr_get_stats(&s);
        if (now.policy != UNLIMITED) CHECK(s.store_bytes_used <= now.store);
        usleep(100);
    }
}

static int entries_in(const char *path) {
    int n = 0;
    DIR *dir = opendir(path);
    while (dir && readdir(dir)) n++;
    if (dir) closedir(dir);
    return n;
}
static bool store_settles(void) {
    rr_stats s;
    for (int i = 0; i < 10000; i++, rr_sleep_ms(1)) {
        rr_get_stats(&s);
        if (!s.store_bytes_used && !s.spill_bytes_used) return true;
    }
    fprintf(stderr, "%llu bytes in memory, %llu in files\n", (unsigned long long)s.store_bytes_used,
            (unsigned long long)s.spill_bytes_used);
    return false;
}
static void clear_names(void) {
    for (int i = 0; i < NAMES; i++) {
        char name[24];
        snprintf(name, sizeof name, "page %d", i);
        rr_name(name, (rr_ref){0});
    }
    for (int i = 0; i < BOARD; i++) rr_release(board.things[i].ref);
}
static void play_round(fixture *f, uint64_t *random, player *players) {
    outside others[MAX_THREADS], watcher;
    is_over = false;
    ready = 0;
    outside_start(&watcher, f->runtime, watch, NULL);
    for (int i = 0; i < now.threads; i++) {
        players[i] = (player){.random = test_random(random), .nowhere = fopen("/dev/null", "w")};
        outside_start(&others[i], f->runtime, play, &players[i]);
    }
    while (ready < now.threads + 1) usleep(50);
    if (now.ends_early) {
        usleep((useconds_t)test_below(random, 20000));
        fixture_stop(f);
    }
    for (int i = 0; i < now.threads; i++) outside_join(&others[i]), fclose(players[i].nowhere);
    is_over = true;
    outside_join(&watcher);
    if (now.ends_early) return;
    faults = 0;
    clear_names();
    if (!CHECK(objects_settle_at(0) && actors_settle_at(0) && store_settles()))
        rr_write_memory(stderr);
    fixture_stop(f);
}
static void one_round(uint64_t *random, int threads) {
    static const rr_evict evict[POLICIES] = {RR_EVICT_SPILL, RR_EVICT_REBUILD, RR_EVICT_DROP};
    static fixture f;
    player *players = calloc(MAX_THREADS, sizeof *players);
    int descriptors = entries_in("/proc/self/fd");
    memset(board.things, 0, sizeof board.things);
    now.threads = threads < MAX_THREADS ? threads : MAX_THREADS;
    now.policy = (policy)test_below(random, POLICIES + 1) % POLICIES; /* more often SPILL */
    now.store = ((size_t)1 << 20) + test_below(random, 3 << 20);
    now.is_roomy = test_below(random, 2);
    now.largest = now.is_roomy ? now.store / 32 / (size_t)now.threads : (size_t)1 << 20;
    if (!now.is_roomy && test_below(random, 2)) now.largest = now.store / 8;
    now.has_faults = now.policy == SPILL && test_below(random, 3) == 0;
    now.ends_early = test_below(random, 6) == 0;
    faults = now.has_faults ? 1 + (int)test_below(random, 200) : 0;
    START(&f, .workers = 1 + (int)test_below(random, 4), .evict = evict[now.policy],
          .store_bytes = now.policy == UNLIMITED ? 0 : now.store, .spill_dir = folder,
          .lineage_bytes = test_below(random, 2) ? 4096 : 0);
    f.length = sizeof f.log - 1; /* what was told: not kept */
    play_round(&f, random, players);
    free(players);
    CHECK(entries_in(folder) == 2);
    CHECK(entries_in("/proc/self/fd") == descriptors);
}

int main(int argc, char **argv) {
    stress s = stress_begin(argc, argv, 3);
    if (!CHECK(mkdtemp(folder) != NULL)) return 1;
    for (uint64_t random; stress_next(&s, &random);) one_round(&random, s.threads);
    CHECK(rmdir(folder) == 0);
    return stress_end(&s);
}
