/* Guards against fragmentation: values of random sizes, from a byte to 64 MiB, come and go so that
   what lives crosses 64 MiB again and again. Past that the arena may hold no more than 1.3 times
   the bytes of the values, a while after it was more. Of small values, among which some live long,
   it may hold what they once took, as the manual says; but not more than 1.3 times that.
   stress_arena [threads] [rounds] [seed] */
#define _GNU_SOURCE
#define RUSTYRAY_KEEP_SECONDS 0.02 /* so that the while is short */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"
#include "stress.h"

enum { MAX_THREADS = 4, VALUES = 1 << 19, SWINGS = 6 };
static const size_t MIB = 1 << 20;
/* Of each of some 36 sizes of blocks up to 1 MiB may be free before anybody looks for chunks that
   can go back; and the caches of each thread have at most 192 KiB. */
static const uint64_t SLACK = (uint64_t)40 << 20;
static const double MOST = 1.3;
static uint64_t peak; /* of the bytes that lived */
static double worst;  /* what was held, in times of what lived, where that is bounded */

/* Sizes between two powers of 2, each of them as likely as the next. DRIFT: one power, another one
   with every swing. */
typedef enum mix { ALL, LARGE, MIDDLE, SMALL, DRIFT, MIXES } mix;
static const int powers[MIXES][2] = {{0, 26}, {16, 24}, {10, 18}, {8, 13}, {8, 16}};
static const char *const names[MIXES] = {"all", "large", "middle", "small", "drift"};

typedef struct value {
    rr_ref ref;
    uint64_t seed;
    size_t size;
} value;
typedef struct user {
    uint64_t random;
    mix mix;
    bool oldest_first; /* else at random */
    int swing;
    size_t high, low; /* it lets live between so many bytes */
    value *values;    /* a ring */
    int first, count;
    size_t live;
} user;

static size_t random_size(user *u) {
    int from = powers[u->mix][0], to = powers[u->mix][1];
    if (u->mix == DRIFT) from += u->swing * 2 % (to - from), to = from + 1;
    size_t power = (size_t)1 << (from + (int)test_below(&u->random, to - from));
    return power + (size_t)test_below(&u->random, power + 1);
}
static value *value_at(user *u, int i) { return &u->values[(u->first + i) % VALUES]; }

static void make(user *u) {
    void *room;
    value v = {.size = random_size(u), .seed = test_random(&u->random)};
    v.ref = rr_create(v.size, &room);
    if (!CHECK(room != NULL)) return;
    memcpy(room, &v.seed, v.size < 8 ? v.size : 8);
    CHECK(rr_seal(v.ref) == RR_OK);
    *value_at(u, u->count++) = v;
    u->live += v.size;
}
static void end(user *u) {
    value *oldest = value_at(u, 0);
    if (!u->oldest_first) {
        value *other = value_at(u, (int)test_below(&u->random, u->count)), v = *other;
        *other = *oldest, *oldest = v;
    }
    rr_bytes view = {0};
    CHECK(rr_get(rr_bytes, oldest->ref, &view) == RR_OK && view.size == oldest->size);
    CHECK(memcmp(view.data, &oldest->seed, view.size < 8 ? view.size : 8) == 0);
    rr_release(oldest->ref);
    u->live -= oldest->size;
    u->first = (u->first + 1) % VALUES, u->count--;
}

/* Of these many live long between others, and what ends leaves holes. */
static bool is_small(const user *u) { return u->mix == SMALL || u->mix == DRIFT; }
static bool is_within(const user *u, rr_stats *s) {
    rr_get_stats(s);
    if (s->store_bytes_used > peak) peak = s->store_bytes_used;
    uint64_t bytes = is_small(u) ? peak : s->store_bytes_used;
    return bytes <= 64 * MIB || (double)s->store_bytes_held <= MOST * (double)bytes + (double)SLACK;
}
/* The threads pause meanwhile: what is free then goes back after RUSTYRAY_KEEP_SECONDS. */
static void check(const user *u) {
    rr_stats s;
    for (int i = 0; !is_within(u, &s) && i < 400; i++) rr_sleep_ms(5);
    double ratio = (double)s.store_bytes_held / (double)s.store_bytes_used;
    if (!is_small(u) && s.store_bytes_used > 64 * MIB && ratio > worst) worst = ratio;
    if (CHECK(is_within(u, &s))) return;
    fprintf(stderr, "%s, %s, swing %d: %.1f MiB live, %.1f at most, %.1f held\n", names[u->mix],
            u->oldest_first ? "the oldest first" : "at random", u->swing,
            (double)s.store_bytes_used / (double)MIB, (double)peak / (double)MIB,
            (double)s.store_bytes_held / (double)MIB);
}

static pthread_barrier_t pause_begin, pause_end;
static void pause_all(void) {
    pthread_barrier_wait(&pause_begin);
    pthread_barrier_wait(&pause_end);
}
static void use(void *data) {
    user *u = data;
    for (u->swing = 0; u->swing < SWINGS; u->swing++) {
        while (u->live < u->high && u->count < VALUES) make(u);
        pause_all();
        while (u->live > u->low) {
            end(u);
            if (!is_small(u) && test_below(&u->random, 4) == 0) make(u);
        }
        pause_all();
    }
    while (u->count) end(u);
}

static void one_round(uint64_t *random, int threads) {
    static user users[MAX_THREADS];
    fixture f;
    outside others[MAX_THREADS];
    int n = threads < MAX_THREADS ? threads : MAX_THREADS;
    mix mix = (enum mix)test_below(random, MIXES);
    bool oldest_first = mix == DRIFT || test_below(random, 2);
    size_t high = (100 + test_below(random, 60)) * MIB, low = (50 + test_below(random, 20)) * MIB;
    peak = 0;
    START(&f, .workers = 1);
    pthread_barrier_init(&pause_begin, NULL, (unsigned)n + 1);
    pthread_barrier_init(&pause_end, NULL, (unsigned)n + 1);
    for (int i = 0; i < n; i++) {
        users[i] = (user){.random = test_random(random), .mix = mix, .oldest_first = oldest_first};
        users[i].high = high / (size_t)n, users[i].low = low / (size_t)n;
        users[i].values = calloc(VALUES, sizeof(value));
        outside_start(&others[i], f.runtime, use, &users[i]);
    }
    for (int i = 0; i < 2 * SWINGS; i++) {
        pthread_barrier_wait(&pause_begin);
        check(&users[0]);
        pthread_barrier_wait(&pause_end);
    }
    for (int i = 0; i < n; i++) outside_join(&others[i]), free(users[i].values);
    CHECK(objects_settle_at(0));
    rr_stats s;
    rr_get_stats(&s);
    CHECK(s.store_bytes_used == 0);
    pthread_barrier_destroy(&pause_begin), pthread_barrier_destroy(&pause_end);
    fixture_stop(&f);
}

int main(int argc, char **argv) {
    stress s = stress_begin(argc, argv, 2);
    for (uint64_t random; stress_next(&s, &random);) one_round(&random, s.threads);
    printf("at most %.2f times what lived\n", worst);
    return stress_end(&s);
}
