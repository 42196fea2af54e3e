/* Guards the deque's rules Q1 to Q3: whatever the owner pushes, pops and trims while thieves take
   several entries at a time, a waiter claims what it likes, and rings grow and shrink, every entry
   reaches somebody, and each task is claimed once.
   stress_deque [thieves] [rounds] [seed] */
static void stress_point(void);
#define RR__STRESS_POINT() stress_point()
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"
#include "stress.h"

enum { MOST = 200000 };

typedef struct arena {
    rr__deque deque;
    rr__object *tasks;
    atomic_int claimed[MOST]; /* how often */
    atomic_long published, done;
    atomic_bool over;
    uint64_t random, waiter_random;
} arena;

static void run(arena *a, rr__object *o) {
    if (!o || !rr__claim(o)) return;
    a->claimed[o - a->tasks]++;
    a->done++;
}

static void *thief(void *context) {
    arena *a = context;
    rr__object *hints[RR__HINTS];
    while (!a->over)
        for (size_t i = 0, n = rr__deque_steal(&a->deque, hints); i < n; i++) run(a, hints[i]);
    return NULL;
}

/* Claims single tasks of which it knows that they were pushed, as one that waits for them does. */
static void *waiter(void *context) {
    arena *a = context;
    uint64_t random = a->waiter_random;
    while (!a->over) {
        long n = a->published;
        if (n > 0) run(a, &a->tasks[n - 1 - (long)test_below(&random, n < 50 ? n : 50)]);
    }
    return NULL;
}

static void own(arena *a, long n) {
    for (long pushed = 0; pushed < n;) {
        long burst = test_below(&a->random, 40) ? 1 + (long)test_below(&a->random, 12)
                                                : (long)test_below(&a->random, MOST / 2);
        for (; burst > 0 && pushed < n; burst--, pushed++) {
            rr__object *o = &a->tasks[pushed];
            rr__store_release(&o->word, RR__STATE(RR__QUEUED) | 1);
            CHECK(rr__deque_push(&a->deque, o));
            a->published = pushed + 1;
        }
        long pops = (long)test_below(&a->random, 16);
        for (rr__object *o; pops > 0 && (o = rr__deque_pop(&a->deque)); pops--) run(a, o);
        if (test_below(&a->random, 3) == 0) rr__deque_trim(&a->deque);
    }
    for (rr__object *o; (o = rr__deque_pop(&a->deque));) run(a, o);
}

static void one_round(uint64_t random, int thieves) {
    arena *a = calloc(1, sizeof *a);
    pthread_t threads[16];
    long n = test_below(&random, 8) ? 1 + (long)test_below(&random, 3000) : MOST;
    a->tasks = calloc((size_t)n, sizeof *a->tasks);
    a->random = a->waiter_random = random;
    CHECK(a->tasks && rr__deque_init(&a->deque));
    for (int i = 0; i < thieves; i++) pthread_create(&threads[i], NULL, thief, a);
    pthread_create(&threads[thieves], NULL, waiter, a);
    own(a, n);
    /* The owner saw it empty: what is not done yet lies with a thief. */
    for (double end = rr_now() + 20; a->done < n && rr_now() < end;) sched_yield();
    CHECK(a->done == n && rr__deque_is_empty(&a->deque));
    a->over = true;
    for (int i = 0; i <= thieves; i++) pthread_join(threads[i], NULL);
    long wrong = 0;
    for (long i = 0; i < n; i++) wrong += a->claimed[i] != 1;
    CHECK(wrong == 0);
    rr__deque_free(&a->deque);
    free(a->tasks), free(a);
}

int main(int argc, char **argv) {
    stress s = stress_begin(argc, argv, 2);
    for (uint64_t random; stress_next(&s, &random);)
        one_round(random, s.threads < 15 ? s.threads : 15);
    return stress_end(&s);
}
