/* fixture.h - what tests of the runtime share: a runtime of the test's own whose log is kept, and
   bounded waits for counters to come to rest. Include after rustyray.h and test.h. */
#ifndef FIXTURE_H
#define FIXTURE_H

/* SANITIZED: bounds on memory and CPU mean nothing. THREAD_SANITIZED: nor may the child of a fork
   start threads. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#elif __has_feature(thread_sanitizer)
#define THREAD_SANITIZED
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZED
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(THREAD_SANITIZED)
#define SANITIZED
#endif

typedef struct fixture {
    rr_runtime *runtime;
    pthread_mutex_t lock;
    int warnings, errors; /* messages so far */
    size_t length;
    char log[16384]; /* their text, a line each */
} fixture;

static inline void fixture_log(rr_log_level level, const char *text, void *data) {
    fixture *f = data;
    pthread_mutex_lock(&f->lock);
    *(level == RR_LOG_WARN ? &f->warnings : &f->errors) += 1;
    int n = snprintf(f->log + f->length, sizeof f->log - f->length, "%s\n", text);
    f->length += n > 0 && (size_t)n < sizeof f->log - f->length ? (size_t)n : 0;
    pthread_mutex_unlock(&f->lock);
}
static inline bool fixture_logged(fixture *f, const char *word) {
    pthread_mutex_lock(&f->lock);
    bool found = strstr(f->log, word) != NULL;
    pthread_mutex_unlock(&f->lock);
    return found;
}
static inline int fixture_messages(fixture *f) {
    pthread_mutex_lock(&f->lock);
    int n = f->warnings + f->errors;
    pthread_mutex_unlock(&f->lock);
    return n;
}
/* Starts a runtime and makes this thread use it. */
static inline void fixture_start(fixture *f, rr_config config) {
    memset(f, 0, sizeof *f);
    pthread_mutex_init(&f->lock, NULL);
    config.log = fixture_log, config.log_data = f;
    f->runtime = rr_runtime_create(&config);
    if (!CHECK(f->runtime != NULL)) abort();
    rr_runtime_use(f->runtime);
}
static inline void fixture_stop(fixture *f) {
    rr_runtime_use(NULL);
    CHECK(rr_runtime_destroy(f->runtime) == RR_OK);
    pthread_mutex_destroy(&f->lock);
}
#define START(f, ...) fixture_start((f), (rr_config){__VA_ARGS__})

/* Contents that tell their seed and place. */
static inline uint64_t word_at(uint64_t seed, size_t i) { return (seed + i) * 0x9e3779b97f4a7c15u; }
static inline void fill_words(void *to, uint64_t seed, size_t size) {
    char *p = to;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) memcpy(p + i, &(uint64_t){word_at(seed, i)}, 8);
    if (i < size) memcpy(p + i, &(uint64_t){word_at(seed, i)}, size - i);
}

/* An object that is complete when the test seals it. */
#define unsealed(size) rr_create((size), (void *[1]){NULL})

/* TEST_RUN(name, .workers = 2) { ... }: a test in a runtime of its own, f, which ends after its
   body: what tasks may still need then must outlive that. TEST_SCOPE: and in a scope, after which
   nothing may be left. */
#define TEST_RUN(name, ...) TEST_IN(name, false, __VA_ARGS__)
#define TEST_SCOPE(name, ...) TEST_IN(name, true, __VA_ARGS__)
#define TEST_IN(name, has_scope, ...)                                                              \
    static void name##_in(fixture *f);                                                             \
    TEST(name) { fixture_run(name##_in, has_scope, (rr_config){__VA_ARGS__}); }                    \
    static void name##_in(RR__UNUSED fixture *f)

/* A worker may hold a task for an instant after its reference is ready: waits, within reason, until
   so many objects or actors are left. */
static inline bool objects_settle_at(uint64_t wanted) {
    rr_stats s;
    for (int i = 0; rr_get_stats(&s), s.objects_live != wanted && i < 10000; i++) rr_sleep_ms(1);
    if (s.objects_live != wanted) {
        fprintf(stderr, "objects: %llu, wanted: %llu\n", (unsigned long long)s.objects_live,
                (unsigned long long)wanted);
        rr_write_memory(stderr);
    }
    return s.objects_live == wanted;
}
static inline bool actors_settle_at(uint64_t wanted) {
    rr_stats s;
    for (int i = 0; rr_get_stats(&s), s.actors_live != wanted && i < 10000; i++) rr_sleep_ms(1);
    if (s.actors_live != wanted)
        fprintf(stderr, "actors: %llu, wanted: %llu\n", (unsigned long long)s.actors_live,
                (unsigned long long)wanted);
    return s.actors_live == wanted;
}
/* Waits until so many roles sleep: of a pool at rest all of them. */
static inline void roles_sleep(rr_runtime *runtime, uint32_t roles) {
    while (RR__SLEEPING(rr__load_seq_cst(&runtime->idle)) < roles) rr_sleep_ms(1);
}
static inline bool becomes(atomic_int *value, int wanted) {
    for (int i = 0; atomic_load(value) != wanted && i < 10000; i++) rr_sleep_ms(1);
    return atomic_load(value) == wanted;
}
static inline void fixture_run(void (*run)(fixture *), bool has_scope, rr_config config) {
    fixture f;
    fixture_start(&f, config);
    rr_scope scope = has_scope ? rr_scope_begin() : (rr_scope){0};
    run(&f);
    if (has_scope) rr_scope_end(scope);
    if (has_scope) CHECK(objects_settle_at(0) && actors_settle_at(0));
    fixture_stop(&f);
}
/* A thread that runs a function in the caller's runtime: thread_start, thread_join. */
typedef struct outside {
    pthread_t thread;
    rr_runtime *runtime;
    void (*run)(void *data);
    void *data;
} outside;
static inline void *outside_main(void *arg) {
    outside *o = arg;
    rr_runtime_use(o->runtime);
    o->run(o->data);
    return NULL;
}
static inline void outside_start(outside *o, rr_runtime *runtime, void (*run)(void *), void *data) {
    *o = (outside){.runtime = runtime, .run = run, .data = data};
    if (!CHECK(pthread_create(&o->thread, NULL, outside_main, o) == 0)) abort();
}
static inline void outside_join(outside *o) { CHECK(pthread_join(o->thread, NULL) == 0); }
#endif
