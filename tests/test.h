/* test.h - the tests' frame. TEST(name) { ... } registers a test; CHECK(condition) reports where,
   goes on, and is the truth of its condition. Tests run on a few threads at once, each with its own
   runtime (fixture.h), TEST_ALONE ones one by one. Arguments: words of names. SEED=n repeats. */
#ifndef TEST_H
#define TEST_H
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef struct test_case {
    const char *name;
    void (*run)(void);
    bool alone;
    atomic_int failures;
    atomic_bool running;
    struct test_case *next;
} test_case;

static test_case test_others = {.name = "checks on other threads"};
static test_case *test_first, **test_last = &test_first, *test_todo;
static _Thread_local test_case *test_now;
static pthread_mutex_t test_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t test_seed;

#define TEST(name) TEST_ADD(name, false)
#define TEST_ALONE(name) TEST_ADD(name, true)
#define TEST_ADD(id, alone_)                                                                       \
    static void id(void);                                                                          \
    static test_case test_case_##id = {.name = #id, .run = id, .alone = alone_};                   \
    static void __attribute__((constructor)) test_add_##id(void) { test_add(&test_case_##id); }    \
    static void id(void)
#define CHECK(condition) test_check((condition), #condition, __FILE__, __LINE__)

static inline void test_add(test_case *c) { *test_last = c, test_last = &c->next; }
static inline bool test_check(bool holds, const char *text, const char *file, int line) {
    if (holds) return true;
    test_case *c = test_now ? test_now : &test_others;
    if (c->failures++ < 8)
        fprintf(stderr, "%s:%d: %s: CHECK(%s) does not hold\n", file, line, c->name, text);
    return false;
}
/* The next number of a splitmix64 sequence; test_below: one that is smaller than limit. */
static inline uint64_t test_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
#define test_below(state, limit) (test_random(state) % (uint64_t)(limit))
#ifndef _WIN32
static inline void test_alarm(int signal) {
    (void)signal;
    dprintf(2, "hangs, SEED=%llu:", (unsigned long long)test_seed);
    for (test_case *c = test_first; c; c = c->next)
        if (c->running) dprintf(2, " %s", c->name);
    abort();
}
/* From now on it may take so many seconds. */
static inline void test_limit(unsigned seconds) { signal(SIGALRM, test_alarm), alarm(seconds); }
#else
static inline void test_limit(unsigned seconds) { (void)seconds; } /* who runs it sets one */
#endif
static inline void test_watch(uint64_t seed, unsigned seconds) {
    test_seed = seed;
    test_limit(seconds);
    printf("SEED=%llu\n", (unsigned long long)seed);
}
static inline void *test_runner(void *alone) {
    for (;;) {
        pthread_mutex_lock(&test_lock);
        while (test_todo && test_todo->alone != (alone != NULL)) test_todo = test_todo->next;
        test_case *c = test_now = test_todo;
        test_todo = c ? c->next : NULL;
        pthread_mutex_unlock(&test_lock);
        if (!c) return NULL;
        c->running = true;
        c->run();
        c->running = false;
    }
}
static inline bool test_wanted(const test_case *c, char **words) {
    bool all = !*words;
    while (*words && !strstr(c->name, *words)) words++;
    return all || *words;
}
static inline int test_main(int argc, char **argv) {
    const char *seed = getenv("SEED"), *limit = getenv("TIMEOUT"); /* as in run.sh, seconds */
    test_watch(seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL) ^ (uint64_t)getpid(),
               limit && atoi(limit) > 10 ? (unsigned)atoi(limit) - 5 : 115);
    for (test_case **at = &test_first; *at;)
        if (test_wanted(*at, argv + (argc > 0))) at = &(*at)->next;
        else *at = (*at)->next;
    pthread_t threads[3];
    test_todo = test_first;
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, test_runner, NULL);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    test_todo = test_first, test_runner(&test_others);
    int passed = 0, failed = test_others.failures != 0;
    for (test_case *c = test_first; c; c = c->next) ++*(c->failures ? &failed : &passed);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
#endif
