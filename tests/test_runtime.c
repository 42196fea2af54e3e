/* Guards runtimes: start and end in every order and number, configuration and environment, several
   at once, work and waits that meet a shutdown, fork, threads that come and go, no CPU when idle,
   the leak report, and counters that are exact. */
#define _GNU_SOURCE
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include <sys/resource.h>
#include <sys/wait.h>
#include "test.h"
#include "fixture.h"

static atomic_int runtime_count;
REMOTE_FN(int, runtime_same, int, v) { return v; }
REMOTE_FN(int, runtime_fail, int, code) { return rr_fail(code, "as asked"), 0; }
REMOTE_FN(void, runtime_add_one) { runtime_count++; }
REMOTE_FN(void, runtime_spread, int, depth) {
    runtime_count++;
    for (int i = 0; depth && i < 2; i++) rr_call(runtime_spread, depth - 1);
}
REMOTE_FN(int, runtime_wait, rr_ref, gate) {
    rr_bytes view;
    return (int)rr_get(rr_bytes, gate, &view);
}
REMOTE_FN(int, runtime_size, rr_bytes, b) { return (int)b.size; }
typedef struct Sum {
    int v;
} Sum;
REMOTE_ACTOR(Sum, create, int, v) { self->v = v; }
REMOTE_METHOD(int, Sum, add, int, v) { return self->v += v; }
REMOTE_METHOD(void, Sum, count_one) {
    (void)self;
    runtime_count++;
}

REMOTE_STREAM(int, runtime_yields) { rr_yield(int, 1); }
typedef struct Pair {
    int a, b;
} Pair;
REMOTE_FN(Pair, runtime_pair) { return (Pair){1, 2}; }

static int value_of(rr_ref r) {
    int v = -1;
    return rr_get(int, r, &v) == RR_OK ? v : -1;
}

TEST_ALONE(start_and_end_many_times) {
    for (int i = 0; i < 100; i++) {
        CHECK(rr_init(i % 2 ? NULL : &(rr_config){.workers = 1 + i % 3}) == RR_OK);
        CHECK(rr_init(NULL) == RR_ERR_ALREADY_RUNNING);
        CHECK(value_of(rr_call(runtime_same, i)) == i);
        CHECK(value_of(rr_ask(rr_spawn(Sum_create, i), Sum_add, 1)) == i + 1);
        CHECK(rr_shutdown() == RR_OK && rr_shutdown() == RR_ERR_NOT_RUNNING);
    }
}

TEST_ALONE(start_and_end_without_work) {
    for (int i = 0; i < 100; i++) CHECK(rr_init(NULL) == RR_OK && rr_shutdown() == RR_OK);
}

/* Things to call something with. */
typedef struct things {
    rr_ref gate, task, value, pair; /* unsealed; waits for that; ready; ready */
    rr_actor actor;
    rr_stream stream;
    FILE *file;
} things;

static things things_new(void) {
    things t = {.gate = unsealed(1), .value = rr_put_as("value", int, 1), .file = tmpfile()};
    t.task = rr_call(runtime_size, t.gate), t.pair = rr_call(runtime_pair);
    t.actor = rr_spawn_with(RR_ACTOR_OPTIONS(.name = "sum"), Sum_create, 0);
    t.stream = rr_call_stream(runtime_yields);
    CHECK(rr_pin(t.value) == RR_OK && rr_get_void(rr_ask(t.actor, Sum_add, 1)) == RR_OK);
    return t;
}

static void things_end(things *t) {
    rr_seal(t->gate), rr_kill(t->actor); /* one of the calls may have done that */
    CHECK(rr_get_void(rr_watch(t->actor)) == RR_OK && rr_unpin(t->value) != RR_ERR_STALE);
    fclose(t->file);
}

/* Every function that has something to say, with what it says. */
#define PUBLIC_CALLS(X)                                                                            \
    X(rr_put, rr_get_void(rr_put(int, 1)))                                                         \
    X(rr_put_bytes, rr_get_void(rr_put_bytes("abc", 3)))                                           \
    X(rr_create, rr_seal(unsealed(1)))                                                             \
    X(rr_seal, rr_seal(t->gate))                                                                   \
    X(rr_get, rr_get(int, t->value, &v))                                                           \
    X(rr_get_timeout, rr_get_timeout(int, t->value, &v, 0))                                        \
    X(rr_get_void, rr_get_void(t->value))                                                          \
    X(rr_ready, rr_ready(t->task) ? RR_ERR_NOT_RUNNING : RR_OK)                                    \
    X(rr_wait, rr_wait(&t->value, 1, 1, 0, NULL) == 1 ? RR_OK : RR_ERR_NOT_RUNNING)                \
    X(rr_gather, rr_get_void(rr_gather(&t->value, 1)))                                             \
    X(rr_field, rr_get_void(rr_field(int, t->pair, Pair, b)))                                      \
    X(rr_pin, rr_pin(t->value))                                                                    \
    X(rr_unpin, rr_unpin(t->value))                                                                \
    X(rr_put_as, rr_get_void(rr_put_as("x", int, 1)))                                              \
    X(rr_name, rr_name("x", t->value))                                                             \
    X(rr_find, rr_find("value", &ref))                                                             \
    X(rr_retain, (rr_retain(t->value), rr_release(t->value), RR_OK))                               \
    X(rr_call, rr_get_void(rr_call(runtime_same, 1)))                                              \
    X(rr_call_with, rr_get_void(rr_call_with(RR_OPTIONS(.priority = 1), runtime_same, 1)))         \
    X(rr_call_named, rr_get_void(rr_call_named("runtime_pair")))                                   \
    X(rr_cancel, rr_cancel(t->task))                                                               \
    X(rr_cancel_alone, rr_cancel_alone(t->task))                                                   \
    X(rr_call_stream, rr_next(rr_call_stream(runtime_yields), &ref))                               \
    X(rr_next, rr_next(t->stream, &ref))                                                           \
    X(rr_next_timeout, rr_next_timeout(t->stream, 10000, &ref))                                    \
    X(rr_spawn, rr_get_void(rr_ask(rr_spawn(Sum_create, 0), Sum_add, 1)))                          \
    X(rr_ask, rr_get_void(rr_ask(t->actor, Sum_add, 1)))                                           \
    X(rr_tell, rr_tell(t->actor, Sum_add, 1))                                                      \
    X(rr_find_actor, rr_find_actor("sum", &actor))                                                 \
    X(rr_kill, rr_kill(t->actor))                                                                  \
    X(rr_watch, rr_ready(rr_watch(t->actor)) ? RR_ERR_NOT_RUNNING : RR_OK)                         \
    X(rr_register, rr_register(RR_FUNCTION(runtime_same)))                                         \
    X(rr_resources, rr_resources("cpu", NULL, NULL))                                               \
    X(rr_write_memory, rr_write_memory(t->file))                                                   \
    X(rr_why, rr_why(t->task, text, sizeof text))

enum { NO_SUCH_CALL = RR__STATUS_COUNT };
static rr_status public_call(int which, const things *t, const char **name) {
    char text[200];
    rr_ref ref;
    rr_actor actor;
    int v, i = 0;
#define PUBLIC_CALL(id, call)                                                                      \
    if (i++ == which) return *name = #id, (call);
    PUBLIC_CALLS(PUBLIC_CALL)
    return (rr_status)NO_SUCH_CALL;
}

typedef struct first_call {
    int which;
    things things;
    const char *name;
    rr_status status;
} first_call;

static void *call_first(void *data) {
    first_call *c = data;
    c->status = public_call(c->which, &c->things, &c->name);
    return NULL;
}

TEST_ALONE(first_call_of_a_thread_says_what_it_did) {
    CHECK(rr_init(&(rr_config){.workers = 2}) == RR_OK);
    for (first_call c = {0}; c.status == RR_OK; c.which++) {
        rr_scope scope = rr_scope_begin();
        pthread_t thread;
        c.things = things_new();
        CHECK(pthread_create(&thread, NULL, call_first, &c) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        if (c.status != (rr_status)NO_SUCH_CALL && !CHECK(c.status == RR_OK)) {
            fprintf(stderr, "%s: %s\n", c.name, rr_status_name(c.status));
            c.status = RR_OK;
        }
        things_end(&c.things);
        rr_scope_end(scope);
    }
    CHECK(rr_shutdown() == RR_OK);
}

static bool message_has(const char *words) {
    return strstr(rr_error_message((rr_ref){0}), words) != NULL;
}

static uint64_t workers_with(const char *variable, const char *value, rr_config config,
                             rr_status *status) {
    rr_stats s = {0};
    setenv(variable, value, 1);
    *status = rr_init(&config);
    if (*status == RR_OK) rr_get_stats(&s);
    if (*status == RR_OK) CHECK(rr_shutdown() == RR_OK);
    unsetenv(variable);
    return s.workers;
}

TEST_ALONE(environment_fills_in_what_is_zero) {
    rr_status status;
    CHECK(workers_with("RUSTYRAY_WORKERS", "3", (rr_config){0}, &status) == 3);
    CHECK(workers_with("RUSTYRAY_WORKERS", "3", (rr_config){.workers = 2}, &status) == 2);
    CHECK(workers_with("RUSTYRAY_WORKERS", "", (rr_config){0}, &status) > 0);
    setenv("RUSTYRAY_STORE_BYTES", "100000", 1);
    CHECK(rr_init(NULL) == RR_OK);
    static char data[200000];
    CHECK(rr_get_void(rr_put_bytes(data, sizeof data)) == RR_ERR_STORE_FULL);
    CHECK(rr_shutdown() == RR_OK);
    unsetenv("RUSTYRAY_STORE_BYTES");
}

TEST_ALONE(environment_of_nonsense_is_told) {
    static const char *const nonsense[] = {"many", "-2", "2x", "99999999999999999999"};
    for (int i = 0; i < 4; i++) {
        fixture f = {.lock = PTHREAD_MUTEX_INITIALIZER};
        rr_config config = {.log = fixture_log, .log_data = &f};
        rr_status status;
        workers_with("RUSTYRAY_WORKERS", nonsense[i], config, &status);
        CHECK(status == RR_ERR_INVALID && fixture_logged(&f, "RUSTYRAY_WORKERS"));
    }
}

TEST(impossible_configurations_are_refused) {
    fixture f = {.lock = PTHREAD_MUTEX_INITIALIZER};
    rr_config bad[] = {{.workers = -1}, {.max_threads = -1}, {.workers = 8, .max_threads = 4}};
    for (int i = 0; i < 3; i++) {
        bad[i].log = fixture_log, bad[i].log_data = &f;
        int before = fixture_messages(&f);
        CHECK(rr_init(&bad[i]) == RR_ERR_INVALID);
        CHECK(rr_runtime_create(&bad[i]) == NULL);
        CHECK(strlen(rr_error_message((rr_ref){0})) > 0 && fixture_messages(&f) > before);
    }
    CHECK(rr_shutdown() == RR_ERR_NOT_RUNNING);
}

/* In the log and for who asks: what was given, and what is possible. */
TEST(message_of_a_refused_configuration_says_what_to_change) {
    static const struct {
        rr_config config;
        const char *words[2];
    } cases[] = {
        {{.workers = -1}, {"rr_config.workers is -1", "0 (one per CPU) to 100000"}},
        {{.workers = 100001}, {"rr_config.workers is 100001", "100000"}},
        {{.workers = 8, .max_threads = 4}, {"rr_config.max_threads", "which is 8"}},
        {{.max_pending = -5}, {"rr_config.max_pending is -5", "0 (no limit) or more"}},
        {{.evict = (rr_evict)9}, {"rr_config.evict is 9", "RR_EVICT_DROP"}},
        {{.store_bytes = 1, .spill_dir = "/no/such"}, {"rr_config.spill_dir", "'/no/such'"}},
        {{.resources = {{"gpu", -1}}}, {"rr_config.resources", "-1 is no amount of 'gpu'"}},
        {{.resources = {{"cpu", 1}}}, {"rr_config.resources", ".workers"}},
        {{.resources = {{"a", 1}, {"a", 1}}}, {"the name 'a'", "differ"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture f = {.lock = PTHREAD_MUTEX_INITIALIZER};
        rr_config config = cases[i].config;
        config.log = fixture_log, config.log_data = &f;
        CHECK(rr_runtime_create(&config) == NULL && fixture_messages(&f) == 1);
        for (int k = 0; k < 2; k++) {
            CHECK(fixture_logged(&f, cases[i].words[k]));
            if (!CHECK(message_has(cases[i].words[k])))
                fprintf(stderr, "'%s' is not in: %s\n", cases[i].words[k],
                        rr_error_message((rr_ref){0}));
        }
    }
}

TEST_ALONE(message_of_a_refused_environment_says_what_to_change) {
    static const char *const cases[][4] = {
        {"RUSTYRAY_WORKERS", "many", "'many'", "to 100000"},
        {"RUSTYRAY_MAX_THREADS", "1e9", "'1e9'", "a number"},
        {"RUSTYRAY_STORE_BYTES", "1G", "'1G'", "in digits"},
        {"RUSTYRAY_STORE_BYTES", " -1", "' -1'", "in digits"},
        {"RUSTYRAY_NO_SPILL", "yes", "'yes'", "0 to 1"},
        {"RUSTYRAY_MAX_PENDING", "-1", "'-1'", "not set"},
        {"RUSTYRAY_RESOURCES", "gpu", "'gpu'", "gpu=2,disk=0.5"},
        {"RUSTYRAY_RESOURCES", "gpu=-2", "RUSTYRAY_RESOURCES", "no amount of 'gpu'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture f = {.lock = PTHREAD_MUTEX_INITIALIZER};
        rr_status status;
        workers_with(cases[i][0], cases[i][1], (rr_config){.log = fixture_log, .log_data = &f},
                     &status);
        CHECK(status == RR_ERR_INVALID && message_has(cases[i][0]));
        for (int k = 2; k < 4; k++)
            CHECK(message_has(cases[i][k]) && fixture_logged(&f, cases[i][k]));
    }
}

#ifndef SANITIZED
static int child_without_threads(void) {
    fixture f = {.lock = PTHREAD_MUTEX_INITIALIZER};
    rr_config config = {.workers = 2000, .log = fixture_log, .log_data = &f};
    long pages = 0; /* that the tests before this one have left: arenas of malloc, mostly */
    FILE *statm = fopen("/proc/self/statm", "r");
    if (!statm || fscanf(statm, "%ld", &pages) != 1) return 1;
    fclose(statm);
    rlim_t most = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + ((rlim_t)1 << 29);
    struct rlimit limit = {most, most}; /* not enough for 2000 stacks */
    if (setrlimit(RLIMIT_AS, &limit) != 0) return 1;
    int bad = (rr_init(&config) != RR_ERR_NO_MEMORY) << 1;
    bad |= !(message_has("rr_config.workers") && message_has("ulimit -u")) << 2;
    bad |= !(fixture_logged(&f, "rr_config.workers") && fixture_logged(&f, "of 2000")) << 3;
    bad |= (rr_init(&(rr_config){.workers = 2}) != RR_OK) << 4;
    bad |= (value_of(rr_call(runtime_same, 7)) != 7 || rr_shutdown() != RR_OK) << 5;
    return bad;
}

TEST_ALONE(start_without_threads_names_the_limit) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) _exit(child_without_threads());
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    if (!CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0))
        fprintf(stderr, "the child ended with %#x\n", status);
}
#endif

TEST(two_runtimes_side_by_side) {
    fixture f, g;
    START(&f, .workers = 1);
    rr_ref in_f = rr_put(int, 1);
    START(&g, .workers = 2);
    rr_ref in_g = rr_put(int, 2);
    CHECK(value_of(rr_call(runtime_same, in_g)) == 2);
    CHECK(rr_get_void(in_f) == RR_ERR_STALE);
    CHECK(rr_get_void(rr_call(runtime_same, in_f)) == RR_ERR_STALE);
    CHECK(rr_get_void(rr_gather(&in_f, 1)) == RR_ERR_STALE && rr_seal(in_f) == RR_ERR_STALE);
    CHECK(rr_ready(in_f));
    CHECK(rr_runtime_use(f.runtime) == g.runtime);
    CHECK(value_of(in_f) == 1 && rr_get_void(in_g) == RR_ERR_STALE);
    CHECK(rr_runtime_use(g.runtime) == f.runtime);
    rr_stats s;
    rr_get_stats(&s);
    CHECK(s.workers == 2);
    fixture_stop(&f);
    rr_runtime_use(g.runtime);
    CHECK(value_of(in_g) == 2 && rr_get_void(in_f) == RR_ERR_STALE);
    fixture_stop(&g);
}

TEST(scope_over_two_runtimes) {
    fixture f, g;
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    for (int i = 0; i < 10; i++) rr_put(int, i);
    START(&g, .workers = 1);
    for (int i = 0; i < 10; i++) rr_put(int, i);
    rr_scope_end(scope);
    CHECK(objects_settle_at(0));
    rr_runtime_use(f.runtime);
    CHECK(objects_settle_at(0));
    fixture_stop(&f), fixture_stop(&g);
}

TEST(scope_outlives_its_runtime) {
    fixture f;
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    rr_ref r = rr_put(int, 1);
    rr_put_bytes(&f, 10000);
    rr_bytes view;
    CHECK(rr_get(rr_bytes, rr_put_bytes("abc", 3), &view) == RR_OK);
    fixture_stop(&f);
    rr_scope_end(scope);
    rr_release(r), rr_release(r);
}

/* Its memory may be another runtime's by now. */
TEST_ALONE(choice_of_a_runtime_that_was_destroyed_is_not_running) {
    rr_runtime *gone = rr_runtime_create(&(rr_config){.workers = 1}), *next;
    CHECK(rr_runtime_destroy(gone) == RR_OK);
    CHECK(rr_runtime_destroy(gone) == RR_ERR_NOT_RUNNING && message_has("destroyed before"));
    CHECK(rr_runtime_use(gone) == NULL);
    for (int i = 0; i < 20; i++) {
        next = rr_runtime_create(&(rr_config){.workers = 1});
        CHECK(rr_get_void(rr_put(int, 1)) == RR_ERR_NOT_RUNNING && message_has("rr_runtime_use"));
        rr_stats s;
        rr_get_stats(&s);
        CHECK(s.workers == 0);
        rr_runtime *before = rr_runtime_use(next);
        CHECK(value_of(rr_put(int, 2)) == 2);
        rr_runtime_use(before);
        CHECK(rr_find("x", &(rr_ref){0}) == RR_ERR_NOT_RUNNING && message_has("rr_runtime_use"));
        CHECK(rr_runtime_destroy(next) == RR_OK);
    }
    rr_runtime_use(NULL);
    CHECK(rr_find("x", &(rr_ref){0}) == RR_ERR_NOT_RUNNING && message_has("rr_init"));
}

static void *destroy_it(void *runtime) {
    CHECK(rr_runtime_destroy(runtime) == RR_OK);
    return NULL;
}
static void destroy_elsewhere(rr_runtime *runtime) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, destroy_it, runtime) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

TEST_ALONE(runtime_that_this_thread_uses_is_destroyed_by_another) {
    rr_runtime *used = rr_runtime_create(&(rr_config){.workers = 1});
    rr_runtime_use(used);
    rr_ref r = rr_put(int, 1);
    destroy_elsewhere(used);
    CHECK(rr_shutdown() ==
          RR_ERR_NOT_RUNNING); /* looks at the default one, and lets go of others */
    CHECK(rr_runtime_destroy(used) == RR_ERR_NOT_RUNNING);
    for (int i = 0; i < 3; i++) {
        rr_runtime *other = rr_runtime_create(&(rr_config){.workers = 1});
        CHECK(other != used); /* this thread keeps its memory */
        CHECK(rr_get_void(r) == RR_ERR_NOT_RUNNING);
        CHECK(rr_get_void(rr_put(int, 1)) == RR_ERR_NOT_RUNNING);
        CHECK(rr_runtime_destroy(other) == RR_OK);
    }
    CHECK(rr_runtime_use(NULL) == used);
    rr_release(r);
    CHECK(rr_init(&(rr_config){.workers = 1}) == RR_OK);
    CHECK(value_of(rr_call(runtime_same, 5)) == 5);
    CHECK(rr_shutdown() == RR_OK);
}

REMOTE_FN(int, runtime_chooses_one_that_ends, uintptr_t, other) {
    rr_runtime_use((rr_runtime *)other);
    destroy_elsewhere((rr_runtime *)other);
    rr_runtime_use(NULL);
    bool is_over = rr_put(int, 1).id == 0;
    rr_runtime_use((rr_runtime *)other);
    return is_over && rr_get_void(rr_put(int, 1)) == RR_ERR_NOT_RUNNING;
}

TEST_ALONE(body_outlives_the_runtime_that_it_chose) {
    fixture f;
    START(&f, .workers = 1);
    for (int i = 0; i < 10; i++) {
        rr_runtime *other = rr_runtime_create(&(rr_config){.workers = 1});
        CHECK(value_of(rr_call(runtime_chooses_one_that_ends, (uintptr_t)other)) == 1);
        CHECK(value_of(rr_call(runtime_same, i)) == i);
    }
    fixture_stop(&f);
}

typedef struct contested {
    rr_runtime *runtime;
    atomic_int ready, destroyed;
} contested;

static void contested_wait(contested *c) {
    c->ready++;
    while (c->ready < 3) {
    }
}
static void *use_contested(void *data) {
    contested *c = data;
    contested_wait(c);
    for (int i = 0; i < 3; i++) {
        rr_runtime_use(c->runtime);
        rr_status status = rr_get_void(rr_call(runtime_same, 1));
        CHECK(status == RR_OK || status == RR_ERR_NOT_RUNNING);
        rr_runtime_use(NULL);
        CHECK(rr_get_void(rr_call(runtime_same, 1)) == RR_ERR_NOT_RUNNING);
    }
    return NULL;
}
static void *destroy_contested(void *data) {
    contested *c = data;
    contested_wait(c);
    rr_status status = rr_runtime_destroy(c->runtime);
    CHECK(status == RR_OK ||
          (status == RR_ERR_NOT_RUNNING && strlen(rr_error_message((rr_ref){0}))));
    c->destroyed += status == RR_OK;
    return NULL;
}

TEST_ALONE(use_beside_two_that_destroy) {
    for (int i = 0; i < 200; i++) {
        contested c = {rr_runtime_create(&(rr_config){.workers = 1}), 0, 0};
        void *(*const run[3])(void *) = {use_contested, destroy_contested, destroy_contested};
        pthread_t threads[3];
        for (int k = 0; k < 3; k++) CHECK(pthread_create(&threads[k], NULL, run[k], &c) == 0);
        for (int k = 0; k < 3; k++) CHECK(pthread_join(threads[k], NULL) == 0);
        CHECK(c.destroyed == 1);
    }
}

REMOTE_FN(int, runtime_elsewhere, uintptr_t, other) {
    rr_stats s;
    rr_runtime_use((rr_runtime *)other);
    int v = value_of(rr_call(runtime_same, 5));
    rr_get_stats(&s);
    return v == 5 ? (int)s.workers : -1;
}
REMOTE_FN(int, runtime_workers) {
    rr_stats s;
    rr_get_stats(&s);
    return (int)s.workers;
}

TEST(body_may_use_another_runtime_until_it_ends) {
    fixture f, g;
    START(&f, .workers = 3);
    START(&g, .workers = 1);
    for (int i = 0; i < 20; i++) {
        CHECK(value_of(rr_call(runtime_elsewhere, (uintptr_t)f.runtime)) == 3);
        CHECK(value_of(rr_call(runtime_workers)) == 1);
    }
    fixture_stop(&g), fixture_stop(&f);
}

REMOTE_FN(int, runtime_end_from_inside, uintptr_t, me) {
    return rr_runtime_destroy((rr_runtime *)me) == RR_ERR_INVALID;
}
REMOTE_FN(int, runtime_shutdown_from_inside) {
    return rr_shutdown() == RR_ERR_INVALID && rr_init(NULL) == RR_ERR_ALREADY_RUNNING;
}

TEST_ALONE(end_from_inside_a_task_is_refused) {
    fixture f;
    START(&f, .workers = 1);
    CHECK(value_of(rr_call(runtime_end_from_inside, (uintptr_t)f.runtime)) == 1);
    CHECK(value_of(rr_call(runtime_same, 1)) == 1);
    fixture_stop(&f);
    CHECK(rr_init(NULL) == RR_OK);
    CHECK(value_of(rr_call(runtime_shutdown_from_inside)) == 1);
    CHECK(value_of(rr_call(runtime_same, 1)) == 1);
    CHECK(rr_shutdown() == RR_OK);
}

TEST_ALONE(end_lets_submitted_work_finish) {
    fixture f;
    for (int i = 0; i < 20; i++) {
        START(&f, .workers = 2);
        runtime_count = 0;
        rr_call(runtime_spread, 9); /* 1023 tasks, most of them submitted by tasks */
        for (int k = 0; k < 100; k++) rr_call(runtime_add_one);
        rr_actor a = rr_spawn(Sum_create, 0);
        for (int k = 0; k < 100; k++) rr_tell(a, Sum_count_one);
        fixture_stop(&f);
        CHECK(runtime_count == 1023 + 100 + 100);
    }
}

static void wait_in_vain(void *gate) {
    rr_bytes view;
    CHECK(rr_get(rr_bytes, *(rr_ref *)gate, &view) != RR_OK);
}
static void wait_in_vain_for_all(void *gate) {
    rr_ref two[2] = {*(rr_ref *)gate, *(rr_ref *)gate};
    rr_wait(two, 2, 2, -1, NULL);
}

TEST_ALONE(end_with_unsealed_objects_and_those_that_wait) {
    for (int i = 0; i < 20; i++) {
        CHECK(rr_init(&(rr_config){.workers = 2}) == RR_OK);
        rr_ref gate = unsealed(1), many[10];
        for (int k = 0; k < 10; k++) many[k] = rr_call(runtime_wait, gate);
        for (int k = 0; k < 10; k++) rr_call(runtime_size, gate); /* pending for ever */
        rr_call(runtime_same, rr_call(runtime_wait, rr_gather(many, 10)));
        rr_spawn(Sum_create, rr_call(runtime_size, gate));
        outside threads[2];
        outside_start(&threads[0], NULL, wait_in_vain, &gate);
        outside_start(&threads[1], NULL, wait_in_vain_for_all, &gate);
        if (i % 2) rr_sleep_ms(5);
        CHECK(rr_shutdown() == RR_OK);
        outside_join(&threads[0]), outside_join(&threads[1]);
    }
}

static atomic_int runtime_seen; /* what a body was told */
REMOTE_FN(int, runtime_watch, rr_ref, gate) {
    rr_bytes view;
    int status = (int)rr_get(rr_bytes, gate, &view);
    runtime_seen = status;
    return status;
}

/* Whether something had ended before or not, and whatever a body that waits would take. */
TEST_ALONE(end_tells_a_lone_body_that_its_object_will_not_be_sealed) {
    for (int i = 0; i < 20; i++) {
        CHECK(rr_init(&(rr_config){.workers = 2}) == RR_OK);
        if (i % 2) CHECK(value_of(rr_call(runtime_same, 4)) == 4);
        runtime_seen = RR_OK;
        rr_call(runtime_watch, unsealed(1));
        CHECK(rr_shutdown() == RR_OK);
        CHECK(runtime_seen == RR_ERR_NOT_RUNNING);
    }
}

static void submit_until_the_end(void *data) {
    atomic_int *worked = data;
    rr_scope scope = rr_scope_begin();
    for (int i = 0;; i++) {
        int v = 0;
        rr_ref r = rr_call(runtime_same, i);
        rr_status status = rr_get(int, r, &v);
        CHECK(status == RR_OK ? v == i : status == RR_ERR_NOT_RUNNING);
        rr_release(r);
        if (status != RR_OK) break;
        atomic_fetch_add(worked, 1);
    }
    rr_scope_end(scope);
}

/* Ends a runtime when four threads have had so many results, and sends them a signal then, or 0. */
static void end_while_four_submit(int results, int signal) {
    CHECK(rr_init(&(rr_config){.workers = 2}) == RR_OK);
    outside threads[4];
    atomic_int worked = 0;
    for (int k = 0; k < 4; k++) outside_start(&threads[k], NULL, submit_until_the_end, &worked);
    while (atomic_load(&worked) < results) rr_sleep_ms(1);
    for (int k = 0; signal && k < 4; k++) pthread_kill(threads[k].thread, signal);
    CHECK(rr_shutdown() == RR_OK);
    for (int k = 0; k < 4; k++) outside_join(&threads[k]);
}

TEST_ALONE(end_while_outside_threads_submit) {
    for (int i = 0; i < 20; i++) end_while_four_submit(i % 2 ? 100 : 0, 0);
}

/* A machine that has more to do holds a thread up anywhere, also where it has claimed what it waits
   for, and before it runs that: the end may not take it for one that does nothing. */
static void hold_up(int signal) {
    (void)signal;
    nanosleep(&(struct timespec){.tv_nsec = 12000000}, NULL); /* longer than the end looks */
}

TEST_ALONE(end_while_outside_threads_are_held_up) {
    struct sigaction before, action = {.sa_handler = hold_up};
    sigaction(SIGUSR1, &action, &before);
    for (int i = 0; i < 60; i++) end_while_four_submit(100, SIGUSR1);
    sigaction(SIGUSR1, &before, NULL);
}

static atomic_int runtime_may_end;
REMOTE_FN(void, runtime_holds_up) {
    while (!runtime_may_end) rr_sleep_ms(1);
}
static void *shut_down(void *status) {
    *(rr_status *)status = rr_shutdown();
    return NULL;
}

TEST_ALONE(end_that_another_thread_has_begun_is_told) {
    runtime_may_end = 0;
    CHECK(rr_init(&(rr_config){.workers = 1}) == RR_OK);
    rr_call(runtime_holds_up);
    pthread_t first, third;
    rr_status status = RR_OK, late = RR_OK;
    CHECK(pthread_create(&first, NULL, shut_down, &status) == 0);
    for (rr_ref r = rr_put(int, 1); r.id; r = rr_put(int, 1)) rr_release(r), rr_sleep_ms(1);
    CHECK(message_has("is being shut down"));
    CHECK(rr_shutdown() == RR_ERR_NOT_RUNNING && message_has("another thread"));
    CHECK(pthread_create(&third, NULL, shut_down, &late) == 0); /* has not used it before */
    CHECK(pthread_join(third, NULL) == 0 && late == RR_ERR_NOT_RUNNING);
    runtime_may_end = 1;
    CHECK(pthread_join(first, NULL) == 0 && status == RR_OK);
    CHECK(rr_shutdown() == RR_ERR_NOT_RUNNING && message_has("rr_init"));
}

static void try_to_start(void *started) {
    rr_status status = rr_init(&(rr_config){.workers = 1});
    CHECK(status == RR_OK || (status == RR_ERR_ALREADY_RUNNING && message_has("rr_shutdown")));
    if (status == RR_OK) atomic_fetch_add((atomic_int *)started, 1);
}
static void try_to_end(void *ended) {
    rr_status status = rr_shutdown();
    CHECK(status == RR_OK || (status == RR_ERR_NOT_RUNNING && message_has("shut")));
    if (status == RR_OK) atomic_fetch_add((atomic_int *)ended, 1);
}

TEST_ALONE(start_and_end_on_several_threads_have_one_winner) {
    for (int i = 0; i < 50; i++) {
        outside threads[3];
        atomic_int started = 0, ended = 0;
        for (int k = 0; k < 3; k++) outside_start(&threads[k], NULL, try_to_start, &started);
        for (int k = 0; k < 3; k++) outside_join(&threads[k]);
        for (int k = 0; k < 3; k++) outside_start(&threads[k], NULL, try_to_end, &ended);
        for (int k = 0; k < 3; k++) outside_join(&threads[k]);
        CHECK(started == 1 && ended == 1);
    }
}

static int child_of_fork(rr_ref r, rr_scope scope) {
    int v = 0, bad = 0;
    bad |= rr_get(int, r, &v) != RR_ERR_NOT_RUNNING;
    bad |= (rr_get_void(rr_call(runtime_same, 1)) != RR_ERR_NOT_RUNNING) << 1;
    bad |= (rr_get_void(rr_put(int, 1)) != RR_ERR_NOT_RUNNING) << 2;
    rr_release(r);
    if (!freopen("/dev/null", "w", stderr)) return 255;
    rr_scope_end(scope); /* the parent's: may be a warning, must be harmless */
    bad |= (rr_shutdown() != RR_ERR_NOT_RUNNING) << 3;
#ifndef THREAD_SANITIZED
    bad |= (rr_init(&(rr_config){.workers = 2}) != RR_OK) << 4;
    bad |= (value_of(rr_call(runtime_same, 7)) != 7) << 5;
    bad |= (rr_get_void(r) != RR_ERR_STALE) << 6;
    bad |= (rr_shutdown() != RR_OK) << 7;
#endif
    return bad;
}

/* The allocators of sanitizers, unlike that of libc, are not fit for a child if another thread was
   in them at the fork: there the pool is at rest then. */
static void before_fork(void) {
#ifdef SANITIZED
    roles_sleep(rr__load_acquire(&rr__default), 2);
#endif
}

TEST_ALONE(child_of_fork_gets_not_running_and_may_start_its_own) {
    for (int i = 0; i < 5; i++) {
        CHECK(rr_init(&(rr_config){.workers = 2}) == RR_OK);
        rr_scope scope = rr_scope_begin();
        rr_ref r = rr_put(int, 3);
        for (int k = 0; k < i * 100; k++) rr_call(runtime_same, k); /* work in flight */
        fflush(NULL);
        before_fork();
        pid_t child = fork();
        if (child == 0) _exit(child_of_fork(r, scope));
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child);
        if (!CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0))
            fprintf(stderr, "the child ended with %#x\n", status);
        CHECK(value_of(r) == 3 && value_of(rr_call(runtime_same, 4)) == 4); /* the parent goes on */
        rr_scope_end(scope);
        CHECK(rr_shutdown() == RR_OK);
    }
}

static void come_and_go(void *data) {
    int n = *(int *)data;
    rr_scope scope = rr_scope_begin();
    rr_ref r = rr_call(runtime_same, rr_put(int, n));
    CHECK(value_of(r) == n);
    if (n % 3) rr_scope_end(scope); /* some leave it open: the runtime's end takes it */
}

TEST_RUN(threads_that_come_and_go, .workers = 2) {
    for (int i = 0; i < 100; i++) {
        outside threads[3];
        int n = i | 1;
        if (n % 3 == 0) n++;
        for (int k = 0; k < 3; k++) outside_start(&threads[k], f->runtime, come_and_go, &n);
        for (int k = 0; k < 3; k++) outside_join(&threads[k]);
    }
    CHECK(objects_settle_at(0));
    int open = 3;
    for (int i = 0; i < 20; i++) {
        outside thread;
        outside_start(&thread, f->runtime, come_and_go, &open);
        outside_join(&thread);
    }
}

TEST_ALONE(idle_runtime_uses_no_cpu) {
    fixture f;
    START(&f, .workers = 2);
    rr_ref gate = unsealed(1);
    for (int i = 0; i < 10; i++) rr_call(runtime_wait, gate); /* those that wait are idle too */
    for (int i = 0; i < 1000; i++) CHECK(value_of(rr_call(runtime_same, i)) == i);
    rr_actor a = rr_spawn(Sum_create, 1);
    CHECK(value_of(rr_ask(a, Sum_add, 1)) == 2);
    rr_sleep_ms(100);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    rr_sleep_ms(2000);
    getrusage(RUSAGE_SELF, &after);
    double used = (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec) +
                  (double)(after.ru_stime.tv_sec - before.ru_stime.tv_sec) +
                  1e-6 * (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec) +
                  1e-6 * (double)(after.ru_stime.tv_usec - before.ru_stime.tv_usec);
#ifndef SANITIZED
    CHECK(used < 0.002);
#endif
    if (used >= 0.002) printf("%.6f s of CPU in 2 s\n", used);
    CHECK(rr_seal(gate) == RR_OK);
    fixture_stop(&f);
}

TEST(leak_report_names_the_lines) {
    fixture f;
    START(&f, .workers = 1, .report_leaks = true);
    char put[40], call[40], spawn[40];
    rr_put(int, 1), snprintf(put, sizeof put, "test_runtime.c:%d", __LINE__);
    rr_call(runtime_same, 1), snprintf(call, sizeof call, "test_runtime.c:%d", __LINE__);
    rr_spawn(Sum_create, 1), snprintf(spawn, sizeof spawn, "test_runtime.c:%d", __LINE__);
    rr_scope scope = rr_scope_begin();
    rr_put(int, 2);
    rr_call(runtime_same, 2);
    rr_scope_end(scope);
    rr_runtime_use(NULL);
    CHECK(rr_runtime_destroy(f.runtime) == RR_OK);
    CHECK(fixture_logged(&f, put) && fixture_logged(&f, call) && fixture_logged(&f, spawn));
    char not_leaked[40];
    snprintf(not_leaked, sizeof not_leaked, "test_runtime.c:%d", __LINE__ - 7);
    CHECK(!fixture_logged(&f, not_leaked));
}

TEST(leak_report_is_silent_without_leaks) {
    fixture f;
    START(&f, .workers = 1, .report_leaks = true);
    rr_scope scope = rr_scope_begin();
    rr_ask(rr_spawn(Sum_create, 1), Sum_add, 1);
    rr_ref parts[2] = {rr_put(int, 1), rr_call(runtime_same, 2)};
    rr_gather(parts, 2);
    rr_scope_end(scope);
    rr_release(rr_call(runtime_same, 1));
    rr_runtime_use(NULL);
    CHECK(rr_runtime_destroy(f.runtime) == RR_OK);
    if (!CHECK(fixture_messages(&f) == 0)) fprintf(stderr, "%s", f.log);
}

/* Bodies that were cancelled return while the runtime ends, and give up what they have then. */
REMOTE_FN(int, runtime_turns_late, rr_bytes, b, rr_ref, one) {
    int v = 0;
    while (!rr_cancelled()) (void)rr_get_timeout(int, one, &v, 0);
    rr_put_bytes(b.data, b.size);
    return v;
}

TEST(leak_report_is_silent_about_bodies_that_are_still_returning) {
    enum { ROUNDS = 30, COUNT = 4 };
    for (int i = 0, bad = 0; i < ROUNDS && !bad; i++) {
        fixture f;
        START(&f, .workers = COUNT, .report_leaks = true);
        rr_ref bytes = rr_put_bytes("some bytes that a body may have", 32), one = rr_put(int, 1);
        rr_ref calls[COUNT];
        for (int k = 0; k < COUNT; k++) calls[k] = rr_call(runtime_turns_late, bytes, one);
        rr_release(bytes), rr_release(one);
        for (int k = 0; k < COUNT; k++) CHECK(rr_cancel(calls[k]) == RR_OK), rr_release(calls[k]);
        rr_runtime_use(NULL);
        CHECK(rr_runtime_destroy(f.runtime) == RR_OK);
        bad = fixture_messages(&f);
        if (!CHECK(!bad)) fprintf(stderr, "round %d: %s", i, f.log);
    }
}

TEST_RUN(counters_are_exact_after_work, .workers = 2) {
    rr_stats s;
    rr_get_stats(&s);
    CHECK(s.tasks_submitted == 0 && s.objects_live == 0 && s.actors_live == 0 && s.workers == 2);
    rr_scope scope = rr_scope_begin();
    rr_ref refs[300], bad = rr_call(runtime_fail, 3);
    for (int i = 0; i < 100; i++) refs[i] = rr_call(runtime_same, i);
    for (int i = 100; i < 200; i++) refs[i] = rr_call(runtime_fail, i);
    for (int i = 200; i < 300; i++) refs[i] = rr_call(runtime_same, bad); /* fail without running */
    CHECK(rr_wait(refs, 300, 300, -1, NULL) == 300);
    rr_get_stats(&s);
    CHECK(s.tasks_submitted == 301 && s.tasks_finished == 100 && s.tasks_failed == 201);
    CHECK(s.objects_live == 301 && s.threads >= 2);
    rr_actor a = rr_spawn(Sum_create, 1);
    CHECK(value_of(rr_ask(a, Sum_add, 1)) == 2);
    CHECK(rr_tell(a, Sum_add, 1) == RR_OK && value_of(rr_ask(a, Sum_add, 1)) == 4);
    rr_get_stats(&s);
    CHECK(s.tasks_submitted == 305 && s.tasks_finished == 104 && s.actors_live == 1);
    char data[10000] = {0};
    rr_put_bytes(data, sizeof data);
    rr_get_stats(&s);
    CHECK(s.store_bytes_used >= sizeof data);
    rr_scope_end(scope);
    CHECK(objects_settle_at(0) && actors_settle_at(0));
    rr_get_stats(&s);
    CHECK(s.store_bytes_used == 0 && s.tasks_submitted == 305);
}

TEST_RUN(counters_are_exact_when_a_reference_is_ready, .workers = 2) {
    for (uint64_t i = 1; i <= 2000; i++) {
        rr_ref r = i % 2 ? rr_call(runtime_same, 1) : rr_call(runtime_fail, 1);
        rr_get_void(r);
        rr_stats s;
        rr_get_stats(&s);
        if (!CHECK(s.tasks_finished + s.tasks_failed == i && s.tasks_failed == i / 2)) break;
        rr_release(r);
    }
}

TEST(clock_and_sleep) {
    double start = rr_now();
    rr_sleep_ms(0), rr_sleep_ms(-5);
    CHECK(rr_now() >= start && rr_now() - start < 5);
    start = rr_now();
    rr_sleep_ms(20);
    CHECK(rr_now() - start >= 0.0199);
}

int main(int argc, char **argv) { return test_main(argc, argv); }
