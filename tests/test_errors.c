/* Guards errors as values: they reach every dependent with the status, code and text of the first
   cause, in chains of any length; messages say where and why; misuse is a warning in the log. */
#define _GNU_SOURCE
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include <sys/wait.h>
#include "test.h"
#include "fixture.h"

static atomic_int ran;
REMOTE_FN(int, errors_fail, int, code) { return rr_fail(code, "asked to fail with %d", code), 0; }
REMOTE_FN(int, errors_next, int, v) {
    ran++;
    return v;
}
REMOTE_FN(int, errors_last, int, a, int, b, int, c) {
    ran++;
    return a + b + c;
}
REMOTE_FN(void, errors_void, int, code) {
    if (code) rr_fail(code, "void but not well");
}

static bool says(rr_ref r, const char *word) {
    bool found = strstr(rr_error_message(r), word) != NULL;
    if (!found) fprintf(stderr, "'%s' is not in: %.1000s\n", word, rr_error_message(r));
    return found;
}

TEST(statuses_have_names_and_texts) {
    for (int i = 0; i < RR__STATUS_COUNT; i++) {
        CHECK(!strncmp(rr_status_name((rr_status)i), i ? "RR_ERR_" : "RR_OK", i ? 7 : 6));
        CHECK(strlen(rr_status_text((rr_status)i)) > 0);
    }
    CHECK(!strcmp(rr_status_name(RR_ERR_DEADLOCK), "RR_ERR_DEADLOCK"));
    CHECK(rr_status_name((rr_status)1000) && rr_status_text((rr_status)1000));
    CHECK(rr_status_name((rr_status)-1) && rr_status_text((rr_status)-1));
}

TEST_RUN(failure_carries_code_and_text, .workers = 1) {
    int v = 3;
    rr_ref r = rr_call(errors_fail, 41);
    CHECK(rr_get(int, r, &v) == RR_ERR_TASK && v == 0);
    CHECK(rr_error_code(r) == 41 && says(r, "errors_fail") && says(r, "asked to fail with 41"));
    CHECK(rr_ready(r) && rr_get(int, r, &v) == RR_ERR_TASK); /* again */
    rr_ref negative = rr_call(errors_fail, -7), zero = rr_call(errors_fail, 0);
    CHECK(rr_get_void(negative) == RR_ERR_TASK && rr_error_code(negative) == -7);
    CHECK(rr_get_void(zero) == RR_ERR_TASK && rr_error_code(zero) == 0);
    rr_ref nothing = rr_call(errors_void, 5);
    CHECK(rr_get_void(nothing) == RR_ERR_TASK && rr_error_code(nothing) == 5);
    CHECK(rr_get_void(rr_call(errors_void, 0)) == RR_OK);
}

TEST_ALONE(dependents_of_a_failure_do_not_run) {
    fixture f;
    START(&f, .workers = 2);
    ran = 0;
    rr_ref bad = rr_call(errors_fail, 9), good = rr_put(int, 1);
    rr_ref top = rr_call(errors_next, rr_call(errors_last, good, bad, good));
    CHECK(rr_get_void(top) == RR_ERR_TASK && rr_error_code(top) == 9);
    CHECK(says(top, "errors_next") && says(top, "errors_last") && says(top, "errors_fail"));
    CHECK(says(top, "asked to fail with 9") && ran == 0);
    fixture_stop(&f);
}

TEST_RUN(message_tells_which_argument, .workers = 1) {
    rr_ref bad = rr_call(errors_fail, 9);
    CHECK(rr_get_void(bad) == RR_ERR_TASK);
    rr_ref first = rr_call(errors_last, bad, 1, 1), third = rr_call(errors_last, 1, 1, bad);
    CHECK(rr_get_void(first) == RR_ERR_TASK && says(first, "argument 1"));
    CHECK(rr_get_void(third) == RR_ERR_TASK && says(third, "argument 3"));
}

TEST_RUN(dependents_have_the_status_of_the_first_cause, .workers = 1) {
    rr_ref type = rr_call(errors_next, rr_put(double, 1));
    rr_ref stale = rr_call(errors_next, (rr_ref){0});
    rr_ref unknown = rr_call_named("errors_no_such_function"), arity = rr_call_named("errors_next");
    CHECK(rr_get_void(rr_call(errors_next, type)) == RR_ERR_TYPE);
    CHECK(rr_get_void(rr_call(errors_next, stale)) == RR_ERR_STALE);
    CHECK(rr_get_void(rr_call(errors_next, unknown)) == RR_ERR_NOT_FOUND);
    rr_ref top = rr_call(errors_last, 1, 2, rr_call(errors_next, arity));
    CHECK(rr_get_void(top) == RR_ERR_ARITY && rr_error_code(top) == 0);
    CHECK(says(top, "errors_last") && says(top, "errors_next"));
}

TEST_RUN(failure_before_and_after_the_dependent_was_submitted, .workers = 2) {
    for (int i = 1; i < 500; i++) {
        rr_scope scope = rr_scope_begin();
        rr_ref bad = rr_call(errors_fail, i), top = rr_call(errors_next, bad);
        CHECK(rr_get_void(top) == RR_ERR_TASK && rr_error_code(top) == i);
        CHECK(rr_get_void(rr_call(errors_next, bad)) == RR_ERR_TASK);
        rr_scope_end(scope);
    }
    CHECK(objects_settle_at(0));
}

static void fail_a_chain(bool late) {
    fixture f;
    START(&f, .workers = 2);
    rr_scope scope = rr_scope_begin();
    rr_ref gate = unsealed(sizeof(int));
    rr_ref last = late ? rr_call_named("errors_next", gate) : rr_call(errors_fail, 12);
    for (int i = 0; i < 10000; i++) {
        rr_ref next = i % 2 ? rr_call(errors_next, last) : rr_call(errors_last, 1, last, 2);
        rr_release(last); /* each link is held by the next one only */
        last = next;
    }
    CHECK(rr_seal(gate) == RR_OK);
    double start = rr_now();
    CHECK(rr_get_void(last) == (late ? RR_ERR_TYPE : RR_ERR_TASK));
    const char *text = rr_error_message(last);
    CHECK(strlen(text) > 20 && strlen(text) < 20000);
    CHECK(strstr(text, "errors_next") && strstr(text, "errors_last"));
    CHECK(late || (strstr(text, "asked to fail with 12") && rr_error_code(last) == 12));
    CHECK(rr_now() - start < 20);
    rr_scope_end(scope);
    CHECK(objects_settle_at(0));
    fixture_stop(&f);
}
TEST(long_failing_chain) { fail_a_chain(false); }
TEST(long_chain_that_fails_by_its_first_argument) { fail_a_chain(true); }

TEST_SCOPE(failure_reaches_many_dependents, .workers = 2) {
    static rr_ref refs[20000];
    rr_ref gate = unsealed(1), bad = rr_call_named("errors_next", gate);
    for (int i = 0; i < 20000; i++) refs[i] = rr_call(errors_next, bad);
    CHECK(rr_seal(gate) == RR_OK && rr_wait(refs, 20000, 20000, -1, NULL) == 20000);
    for (int i = 0; i < 20000; i++)
        if (!CHECK(rr_get_void(refs[i]) == RR_ERR_TYPE)) break;
}

REMOTE_FN(int, errors_twice) {
    rr_fail(1, "the first");
    rr_fail(2, "the second");
    return 0;
}
REMOTE_FN(int, errors_long, int, size) {
    char *text = malloc((size_t)size + 1);
    memset(text, 'y', (size_t)size), memcpy(text, "begins", 6), text[size] = 0;
    rr_fail(1, "%s", text);
    free(text);
    return 0;
}
REMOTE_FN(int, errors_percent) { return rr_fail(1, "%s", "100%s%n%d"), 0; }
REMOTE_FN(int, errors_empty) { return rr_fail(1, "%s", ""), 0; }
REMOTE_FN(rr_ref, errors_drops_what_it_returns) {
    rr_ref r = rr_put(int, 1);
    rr_fail(3, "with a reference in its hands");
    return r;
}
REMOTE_FN(rr_bytes, errors_drops_its_bytes) {
    void *p = rr_result(5000);
    rr_fail(3, "with bytes in its hands");
    return rr_bytes_of(p, 5000);
}

TEST_RUN(first_of_two_failures_counts, .workers = 1) {
    rr_ref r = rr_call(errors_twice);
    CHECK(rr_get_void(r) == RR_ERR_TASK && rr_error_code(r) == 1);
    CHECK(says(r, "the first") && !strstr(rr_error_message(r), "the second"));
}

TEST_RUN(messages_of_any_length_and_content, .workers = 1) {
    for (int size = 10; size < 2000000; size *= 5) {
        rr_ref r = rr_call(errors_long, size), top = rr_call(errors_next, r);
        CHECK(rr_get_void(r) == RR_ERR_TASK && says(r, "errors_long") && says(r, "begins"));
        CHECK(rr_get_void(top) == RR_ERR_TASK && says(top, "errors_next") && says(top, "begins"));
        rr_release(r), rr_release(top);
    }
    rr_ref r = rr_call(errors_percent);
    CHECK(rr_get_void(r) == RR_ERR_TASK && says(r, "100%s%n%d"));
    r = rr_call(errors_empty);
    CHECK(rr_get_void(r) == RR_ERR_TASK && says(r, "errors_empty"));
}

TEST_RUN(result_of_a_failed_body_is_dropped, .workers = 1) {
    rr_scope scope = rr_scope_begin();
    for (int i = 0; i < 10; i++) {
        CHECK(rr_get_void(rr_call(errors_drops_what_it_returns)) == RR_ERR_TASK);
        CHECK(rr_get_void(rr_call(errors_drops_its_bytes)) == RR_ERR_TASK);
    }
    rr_scope_end(scope);
    CHECK(objects_settle_at(0));
    rr_stats s;
    rr_get_stats(&s);
    CHECK(s.store_bytes_used == 0 && s.tasks_failed == 20 && s.tasks_finished == 0);
}

REMOTE_FN(int, errors_of_a_child, int, code) {
    rr_ref child = rr_call(errors_fail, code);
    int v = 5;
    return rr_get(int, child, &v) == RR_ERR_TASK && v == 0 ? rr_error_code(child) : -1;
}

TEST_RUN(failure_of_a_child_is_not_its_parents, .workers = 1) {
    int v = 0;
    for (int i = 1; i < 50; i++)
        CHECK(rr_get(int, rr_call(errors_of_a_child, i), &v) == RR_OK && v == i);
}

typedef struct Fragile {
    int v;
} Fragile;
REMOTE_ACTOR(Fragile, create, int, v) { self->v = v; }
REMOTE_METHOD(int, Fragile, get, int, v) { return self->v + v; }
REMOTE_METHOD(void, Fragile, fail, int, code) {
    (void)self;
    rr_fail(code, "a told failure");
}

typedef struct Unborn {
    int v;
} Unborn;
static atomic_int unborn_dropped;
REMOTE_ACTOR(Unborn, create, int, v) { self->v = v; }
REMOTE_METHOD(int, Unborn, get, int, v) { return self->v + v; }
REMOTE_DESTRUCTOR(Unborn) {
    (void)self;
    unborn_dropped++;
}

TEST_RUN(constructor_with_a_failed_argument, .workers = 1) {
    rr_actor a = rr_spawn(Unborn_create, rr_call(errors_fail, 66));
    rr_ref r = rr_ask(a, Unborn_get, 1);
    CHECK(rr_get_void(r) == RR_ERR_ACTOR_DEAD && rr_error_code(r) == 66);
    CHECK(says(r, "Unborn_get") && says(r, "Unborn_create") && says(r, "asked to fail with 66"));
    rr_ref top = rr_call(errors_next, r);
    CHECK(rr_get_void(top) == RR_ERR_ACTOR_DEAD && rr_error_code(top) == 66);
    rr_release(a);
    CHECK(actors_settle_at(0) && unborn_dropped == 0); /* never born */
}

TEST_RUN(method_with_a_failed_argument, .workers = 1) {
    rr_actor a = rr_spawn(Fragile_create, 1);
    rr_ref r = rr_ask(a, Fragile_get, rr_call(errors_fail, 5));
    CHECK(rr_get_void(r) == RR_ERR_TASK && rr_error_code(r) == 5 && says(r, "Fragile_get"));
    CHECK(rr_unwrap(int, rr_ask(a, Fragile_get, 1)) == 2); /* the actor is well */
    rr_kill(a);
}

TEST_RUN(told_failure_goes_to_the_log, .workers = 1) {
    rr_actor a = rr_spawn(Fragile_create, 1);
    CHECK(rr_tell(a, Fragile_fail, 3) == RR_OK);
    CHECK(rr_unwrap(int, rr_ask(a, Fragile_get, 1)) == 2);
    CHECK(fixture_logged(f, "Fragile_fail") && fixture_logged(f, "a told failure"));
}

REMOTE_FN(int, errors_late, rr_bytes, gate, int, code) {
    rr_fail(code, "late");
    return (int)gate.size;
}

/* The same line once, then how often; another one is told at once. */
TEST(told_failures_that_repeat_are_counted) {
    fixture f;
    START(&f, .workers = 1);
    rr_scope scope = rr_scope_begin();
    rr_actor a = rr_spawn(Fragile_create, 1);
    for (int i = 0; i < 100; i++) CHECK(rr_tell(a, Fragile_fail, 3) == RR_OK);
    CHECK(rr_unwrap(int, rr_ask(a, Fragile_get, 1)) == 2 && f.warnings == 1);
    rr_ref gate = unsealed(1), late = rr_call(errors_late, gate, 5);
    CHECK(rr_tell(a, Fragile_get, late) == RR_OK); /* what has failed already would be told here */
    CHECK(rr_seal(gate) == RR_OK);
    CHECK(rr_unwrap(int, rr_ask(a, Fragile_get, 1)) == 2 && f.warnings == 3);
    CHECK(fixture_logged(&f, "\n99 more times: task 'Fragile_fail' failed: a told failure\n"));
    for (int i = 0; i < 10; i++) CHECK(rr_tell(a, Fragile_fail, 3) == RR_OK);
    rr_scope_end(scope);
    fixture_stop(&f);
    CHECK(f.warnings == 5 && strstr(f.log, "\n9 more times: task 'Fragile_fail'"));
}

TEST_RUN(misuse_outside_a_body_is_a_warning, .workers = 1) {
    rr_fail(1, "not %s", "here");
    CHECK(f->warnings == 1 && f->errors == 0 && fixture_logged(f, "rr_fail"));
    rr_exit_actor();
    CHECK(f->warnings == 2 && fixture_logged(f, "rr_exit_actor"));
    rr_ref r = rr_call(errors_next, 4); /* and harms nothing */
    CHECK(rr_unwrap(int, r) == 4);
}

REMOTE_FN(int, errors_exit_actor) {
    rr_exit_actor();
    return 1;
}

TEST_RUN(exit_actor_in_a_task_is_a_warning, .workers = 1) {
    CHECK(rr_unwrap(int, rr_call(errors_exit_actor)) == 1 && fixture_logged(f, "rr_exit_actor"));
}

TEST_RUN(message_of_a_pending_reference_is_the_last_failed_call, .workers = 1) {
    rr_ref gate = unsealed(1);
    rr_bytes view;
    CHECK(rr_get_timeout(rr_bytes, gate, &view, 0) == RR_ERR_TIMEOUT);
    char timeout[500];
    snprintf(timeout, sizeof timeout, "%s", rr_error_message(gate));
    CHECK(strlen(timeout) > 0 && rr_error_code(gate) == 0);
    CHECK(rr_seal(gate) == RR_OK && rr_seal(gate) == RR_ERR_INVALID);
    CHECK(strlen(rr_error_message(gate)) > 0 && strcmp(rr_error_message(gate), timeout));
    rr_release(gate);
    CHECK(rr_get_void(gate) == RR_ERR_STALE);
    CHECK(strlen(rr_error_message(gate)) > 0 && rr_error_code(gate) == 0);
}

TEST(message_is_never_null) {
    CHECK(rr_error_message((rr_ref){0}) != NULL);
    fixture f;
    START(&f, .workers = 1);
    CHECK(rr_error_message((rr_ref){0}) != NULL);
    CHECK(rr_error_message(rr_put(int, 1)) != NULL);
    fixture_stop(&f);
}

TEST(without_a_runtime_everything_says_so) {
    rr_ref r = rr_call(errors_next, 1);
    int v = 1;
    CHECK(rr_get(int, r, &v) == RR_ERR_NOT_RUNNING && v == 0 && says(r, "rr_init"));
    CHECK(rr_get_timeout(int, r, &v, 0) == RR_ERR_NOT_RUNNING);
    CHECK(rr_get_void(rr_call_named("errors_next", RR_VALUE(int, 1))) == RR_ERR_NOT_RUNNING);
    CHECK(rr_wait(&r, 1, 1, -1, NULL) <= 1);
    rr_actor a = rr_spawn(Fragile_create, 1);
    CHECK(rr_get_void(rr_ask(a, Fragile_get, 1)) == RR_ERR_NOT_RUNNING);
    CHECK(rr_tell(a, Fragile_get, 1) == RR_ERR_NOT_RUNNING);
    CHECK(rr_kill(a) == RR_ERR_NOT_RUNNING);
    CHECK(rr_find_actor("x", &a) == RR_ERR_NOT_RUNNING && a.id == 0);
    CHECK(rr_get_void(rr_gather(&r, 1)) == RR_ERR_NOT_RUNNING);
    rr_retain(r), rr_release(r), rr_keep(r), rr_retain(a), rr_release(a), rr_keep(a);
    rr_scope scope = rr_scope_begin();
    rr_scope_end(scope);
    rr_stats s;
    memset(&s, 0xff, sizeof s), rr_get_stats(&s);
    CHECK(s.workers == 0 && s.tasks_submitted == 0 && s.objects_live == 0);
    CHECK(rr_shutdown() == RR_ERR_NOT_RUNNING);
}

/* A call that fails says so in rr_error_message((rr_ref){0}), in place of what was there before. */
static void before_the_call(void) { rr__note((rr_ref){0}, RR_ERR_INVALID, "said before"); }
static bool has_told(rr_status status, rr_status wanted, const char *call) {
    bool is_new = strcmp(rr_error_message((rr_ref){0}), "said before") != 0;
    if (status != wanted) fprintf(stderr, "%s: %s\n", call, rr_status_name(status));
    if (!is_new) fprintf(stderr, "%s: says nothing\n", call);
    return status == wanted && is_new && !strstr(rr_error_message((rr_ref){0}), "(null)");
}
#define TOLD(wanted, call) (before_the_call(), CHECK(has_told((call), (wanted), #call)))
#define TOLD_WORDS(wanted, call, words) (TOLD(wanted, call), CHECK(says((rr_ref){0}, (words))))

REMOTE_STREAM(int, errors_yields) {
    rr_yield(int, 1);
    rr_fail(3, "after one");
}
REMOTE_FN(int, errors_size, rr_bytes, b) { return (int)b.size; }
REMOTE_FN(int, errors_ends_its_own) {
    TOLD_WORDS(RR_ERR_INVALID, rr_shutdown(), "outside");
    return 1;
}

TEST_RUN(error_of_a_null_is_told, .workers = 1) {
    rr_ref out, value = rr_put(int, 1);
    rr_actor actor;
    rr_stream stream = rr_call_stream(errors_yields);
    TOLD_WORDS(RR_ERR_INVALID, rr_register(NULL), "RR_FUNCTION");
    TOLD_WORDS(RR_ERR_INVALID, rr_find(NULL, &out), "rr_find");
    TOLD_WORDS(RR_ERR_INVALID, rr_find("x", NULL), "rr_find");
    TOLD_WORDS(RR_ERR_INVALID, rr_find_actor(NULL, &actor), "rr_find_actor");
    TOLD_WORDS(RR_ERR_INVALID, rr_find_actor("x", NULL), "rr_find_actor");
    TOLD_WORDS(RR_ERR_INVALID, rr_next(stream, NULL), "rr_next");
    TOLD_WORDS(RR_ERR_INVALID, rr_next_timeout(stream, 0, NULL), "rr_next");
    TOLD_WORDS(RR_ERR_INVALID, rr_name(NULL, value), "name");
    TOLD_WORDS(RR_ERR_INVALID, rr_get_void(rr_put_as(NULL, int, 1)), "");
    TOLD_WORDS(RR_ERR_INVALID, rr_get_void(rr_call_named(NULL)), "rr_call_named");
    TOLD_WORDS(RR_ERR_INVALID, rr_resources(NULL, NULL, NULL), "rr_config.resources");
    TOLD_WORDS(RR_ERR_INVALID, rr_write_memory(NULL), "file");
    TOLD_WORDS(RR_ERR_INVALID, rr_runtime_destroy(NULL), "rr_shutdown");
    char text[8] = "";
    CHECK(rr_why(value, NULL, sizeof text) == RR_OK);
    TOLD(RR_ERR_STALE, rr_next((rr_stream){0}, &out));
    TOLD(RR_ERR_STALE, rr_get_void((rr_ref){0}));
    TOLD(RR_ERR_STALE, rr_seal((rr_ref){0}));
    TOLD(RR_ERR_STALE, rr_pin((rr_ref){0}));
    TOLD(RR_ERR_STALE, rr_unpin((rr_ref){0}));
    TOLD(RR_ERR_STALE, rr_cancel((rr_ref){0}));
    TOLD(RR_ERR_STALE, rr_cancel_alone((rr_ref){0}));
    TOLD(RR_ERR_STALE, rr_why((rr_ref){0}, text, sizeof text));
    TOLD(RR_ERR_STALE, rr_tell((rr_actor){0}, Fragile_get, 1));
    TOLD(RR_ERR_STALE, rr_kill((rr_actor){0}));
    TOLD(RR_ERR_NOT_FOUND, rr_name("x", (rr_ref){0}));
}

TEST_RUN(error_of_a_call_is_told, .workers = 2) {
    int v;
    char *wrong;
    rr_ref out, value = rr_put(int, 1), gate = unsealed(1), bad = rr_call(errors_fail, 41);
    rr_ref waits = rr_call(errors_size, gate);
    rr_actor actor = rr_spawn(Fragile_create, 1);
    rr_stream stream = rr_call_stream(errors_yields);
    TOLD_WORDS(RR_ERR_NOT_FOUND, rr_find("nobody", &out), "nobody");
    TOLD_WORDS(RR_ERR_NOT_FOUND, rr_find_actor("nobody", &actor), "nobody");
    TOLD_WORDS(RR_ERR_NOT_FOUND, rr_resources("gpu", NULL, NULL), "rr_config.resources");
    TOLD_WORDS(RR_ERR_NOT_FOUND, rr_get_void(rr_call_named("errors_none")), "errors_none");
    TOLD_WORDS(RR_ERR_TASK, rr_get(int, bad, &v), "asked to fail with 41");
    TOLD_WORDS(RR_ERR_TASK, rr_get_timeout(int, bad, &v, 100), "asked to fail with 41");
    TOLD_WORDS(RR_ERR_TASK, rr_get_void(rr_call(errors_next, bad)), "its argument 1");
    TOLD_WORDS(RR_ERR_TASK, rr_pin(bad), "asked to fail with 41");
    TOLD_WORDS(RR_ERR_TYPE, rr_get(char *, value, &wrong), "char *");
    TOLD_WORDS(RR_ERR_TIMEOUT, rr_get_timeout(int, waits, &v, 0), "errors_size");
    TOLD_WORDS(RR_ERR_TIMEOUT, rr_get_timeout(int, waits, &v, 1), "errors_size");
    TOLD(RR_ERR_INVALID, rr_seal(value));
    TOLD(RR_ERR_INVALID, rr_unpin(value));
    TOLD(RR_ERR_INVALID, rr_cancel(value));
    TOLD(RR_ERR_INVALID, rr_cancel_alone(bad));
    TOLD_WORDS(RR_ERR_INVALID, rr_yield(int, 1), "stream");
    CHECK(rr_cancel(waits) == RR_OK);
    TOLD(RR_ERR_CANCELLED, rr_get(int, waits, &v));
    CHECK(rr_next(stream, &out) == RR_OK);
    TOLD_WORDS(RR_ERR_TASK, rr_next(stream, &out), "after one");
    actor = rr_spawn(Fragile_create, 1);
    TOLD_WORDS(RR_ERR_TASK, rr_tell(actor, Fragile_get, bad), "asked to fail with 41");
    TOLD(RR_ERR_TYPE, rr_tell(actor, Unborn_get, 1));
    CHECK(rr_kill(actor) == RR_OK && rr_get_void(rr_watch(actor)) == RR_OK);
    TOLD(RR_ERR_ACTOR_DEAD, rr_tell(actor, Fragile_get, 1));
    TOLD_WORDS(RR_ERR_ACTOR_DEAD, rr_kill(actor), "Fragile");
    rr_release(value);
    TOLD(RR_ERR_STALE, rr_get(int, value, &v));
    TOLD(RR_ERR_STALE, rr_name("x", value));
    FILE *full = fopen("/dev/full", "w");
    if (full) TOLD(RR_ERR_IO, (setvbuf(full, NULL, _IONBF, 0), rr_write_memory(full)));
    if (full) fclose(full);
}

/* What was said last is said to who asks for it, not the failure of an object before it. */
TEST_RUN(message_of_a_failure_gives_way_to_the_next, .workers = 1) {
    rr_ref bad = rr_call(errors_fail, 41), out;
    CHECK(rr_get_void(bad) == RR_ERR_TASK && rr_find("nobody", &out) == RR_ERR_NOT_FOUND);
    CHECK(says((rr_ref){0}, "nobody") && says(bad, "asked to fail with 41"));
    CHECK(rr_get_void(bad) == RR_ERR_TASK && rr_cancel(bad) == RR_ERR_INVALID);
    CHECK(says((rr_ref){0}, "finished"));
    CHECK(rr_get_void(bad) == RR_ERR_TASK);
    rr_release(bad);
    CHECK(says((rr_ref){0}, "rr_fail")); /* it has gone: the text of its status */
}

TEST_ALONE(error_without_a_runtime_is_told) {
    int v;
    rr_ref out, r = rr_put(int, 1);
    rr_actor actor = rr_spawn(Fragile_create, 1);
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_get(int, r, &v), "rr_init");
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_get_void(r), "rr_init");
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_seal(r), "rr_init");
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_pin(r), "rr_init");
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_unpin(r), "rr_init");
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_name("x", r), "rr_init");
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_find("x", &out), "rr_init");
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_find_actor("x", &actor), "rr_init");
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_cancel(r), "rr_init");
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_cancel_alone(r), "rr_init");
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_tell(actor, Fragile_get, 1), "rr_init");
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_kill(actor), "rr_init");
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_next((rr_stream){0}, &out), "rr_init");
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_next_timeout((rr_stream){0}, 0, &out), "rr_init");
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_resources("cpu", NULL, NULL), "rr_init");
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_write_memory(stderr), "rr_init");
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_why(r, NULL, 0), "rr_init");
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_shutdown(), "rr_init");
    before_the_call();
    CHECK(rr_wait(&r, 1, 1, -1, NULL) == 0 && says((rr_ref){0}, "rr_init"));
    before_the_call(); /* these have no status, and leave it alone */
    rr_retain(r), rr_release(r), rr_keep(r), rr_ready(r), rr_error_code(r);
    CHECK(says((rr_ref){0}, "said before"));
}

TEST_ALONE(error_of_a_start_and_an_end_is_told) {
    CHECK(rr_init(&(rr_config){.workers = 1}) == RR_OK);
    TOLD(RR_ERR_ALREADY_RUNNING, rr_init(NULL));
    CHECK(rr_unwrap(int, rr_call(errors_ends_its_own)) == 1);
    CHECK(rr_shutdown() == RR_OK);
    TOLD_WORDS(RR_ERR_NOT_RUNNING, rr_shutdown(), "rr_init");
}

TEST_ALONE(unwrap_of_an_error_aborts_with_its_message) {
    int ends[2];
    if (!CHECK(pipe(ends) == 0)) return;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], 2);
        (void)rr_unwrap(int, rr_call(errors_next, 1)); /* no runtime */
        _exit(0);
    }
    close(ends[1]);
    char text[2000] = "";
    size_t length = 0;
    ssize_t n;
    while ((n = read(ends[0], text + length, sizeof text - 1 - length)) > 0) length += (size_t)n;
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(text, "rr_init") && strstr(text, "test_errors.c:"));
    close(ends[0]);
}

/* Handles that lead to nothing, and what their messages must say. */
typedef struct lost {
    rr_ref ref;
    const char *word;
} lost;
enum { NULL_ONE, RELEASED, FOREIGN, LOST };
typedef struct Deaf {
    int v;
} Deaf;
typedef struct errors_pair {
    int a;
    rr_bytes b;
} errors_pair;
REMOTE_ACTOR(Deaf, create, int, v) { self->v = v; }
REMOTE_METHOD(int, Deaf, value) { return self->v; }
REMOTE_FN(int, errors_look, rr_ref, r) { return rr_ready(r); }
REMOTE_FN(rr_ref, errors_give_back, rr_bytes, handle) {
    rr_ref r;
    memcpy(&r, handle.data, sizeof r);
    return r;
}
REMOTE_STREAM(rr_ref, errors_yield, rr_bytes, handle) {
    rr_ref r;
    memcpy(&r, handle.data, sizeof r);
    rr_yield(rr_ref, r);
}

static bool refuses(const lost *l, rr_status status) {
    return CHECK(status == RR_ERR_STALE) && says(l->ref, l->word);
}
static bool has_failed(rr_ref r, const char *word) {
    return CHECK(rr_get_void(r) == RR_ERR_STALE) && says(r, word);
}
static void look_for_lost(const lost *l, bool is_null) {
    char text[500];
    int v;
    rr_bytes bytes = rr_bytes_of(&l->ref, sizeof l->ref);
    CHECK(refuses(l, rr_get(int, l->ref, &v)) && refuses(l, rr_get_void(l->ref)));
    CHECK(refuses(l, rr_seal(l->ref)) && refuses(l, rr_cancel(l->ref)));
    CHECK(refuses(l, rr_pin(l->ref)) && refuses(l, rr_unpin(l->ref)));
    CHECK(is_null || refuses(l, rr_name("lost", l->ref)));
    CHECK(refuses(l, rr_why(l->ref, text, sizeof text)) && strstr(text, l->word));
    CHECK(has_failed(rr_call(errors_next, l->ref), l->word));
    CHECK(has_failed(rr_call(errors_last, 1, l->ref, 2), "argument 2"));
    CHECK(has_failed(rr_gather(&l->ref, 1), l->word));
    CHECK(has_failed(rr_field(int, l->ref, errors_pair, a), l->word));
    if (is_null) return; /* to pass, to put and to return that is allowed */
    CHECK(has_failed(rr_call(errors_look, l->ref), l->word));
    CHECK(has_failed(rr_put(rr_ref, l->ref), l->word));
    CHECK(has_failed(rr_call(errors_give_back, bytes), l->word));
    rr_stream s = rr_call_stream(errors_yield, bytes);
    rr_ref out, none = {0};
    CHECK(rr_next(s, &out) == RR_ERR_STALE && says(none, l->word));
}
static void send_to_lost(const lost *l) {
    rr_ref none = {0}, out;
    rr_actor a = {l->ref.id, l->ref.slot, l->ref.home};
    rr_stream s = {l->ref.id, l->ref.slot, l->ref.home};
    CHECK(has_failed(rr_ask(a, Deaf_value), l->word) && has_failed(rr_watch(a), l->word));
    CHECK(rr_tell(a, Deaf_value) == RR_ERR_STALE && says(none, l->word));
    CHECK(rr_kill(a) == RR_ERR_STALE && says(none, l->word));
    CHECK(rr_next(s, &out) == RR_ERR_STALE && says(none, l->word));
}

TEST_SCOPE(stale_handle_tells_whether_it_is_null_released_or_another_runtimes, .workers = 1) {
    fixture other;
    START(&other, .workers = 1);
    rr_ref foreign = rr_put(int, 1);
    rr_runtime_use(f->runtime);
    rr_ref released = rr_put(int, 1);
    rr_release(released);
    lost all[LOST] = {{.word = "is null"}, {released, "rr_keep"}, {foreign, "another runtime"}};
    for (int i = 0; i < LOST; i++) {
        int v = 0;
        rr_get(int, rr_put(double, 1), &v); /* leaves a message of its own */
        look_for_lost(&all[i], i == NULL_ONE);
        send_to_lost(&all[i]);
    }
    CHECK(says(released, "was released")); /* also without a call before */
    fixture_stop(&other);
    rr_runtime_use(f->runtime);
}

TEST_SCOPE(handle_without_memory_is_told_as_that, .workers = 1) {
    rr_ref none = {0, RR_ERR_NO_MEMORY, 0};
    int v;
    CHECK(rr_get(int, none, &v) == RR_ERR_NO_MEMORY && rr_seal(none) == RR_ERR_NO_MEMORY);
    CHECK(rr_cancel(none) == RR_ERR_NO_MEMORY && rr_pin(none) == RR_ERR_NO_MEMORY);
    CHECK(says(none, rr_status_text(RR_ERR_NO_MEMORY)));
    CHECK(rr_get_void(rr_gather(&none, 1)) == RR_ERR_NO_MEMORY);
    CHECK(rr_kill((rr_actor){0, RR_ERR_NO_MEMORY, 0}) == RR_ERR_NO_MEMORY);
}

static bool is_invalid(rr_ref r, const char *word) {
    return CHECK(rr_get_void(r) == RR_ERR_INVALID) && says(r, word);
}

REMOTE_STREAM(rr_bytes, errors_yield_nothing, int, size) {
    rr_yield(rr_bytes, rr_bytes_of(NULL, (size_t)size));
}

TEST_SCOPE(invalid_argument_of_an_object_says_which_and_what_to_do, .workers = 1) {
    rr_ref none = {0}, out, r = rr_put(int, 1);
    rr_bytes bad = rr_bytes_of(NULL, 10);
    rr_many many;
    const char *data = "pass where the bytes are";
    CHECK(is_invalid(rr_put_bytes(NULL, 10), data) && is_invalid(rr_put(rr_bytes, bad), data));
    CHECK(is_invalid(rr_call(errors_size, bad), data));
    CHECK(rr_next(rr_call_stream(errors_yield_nothing, 3), &out) == RR_ERR_INVALID);
    CHECK(says(none, data));
    CHECK(rr_get(rr_many, rr_gather(&r, 1), &many) == RR_OK);
    CHECK(is_invalid(rr_put(rr_many, many), "what rr_gather returned"));
    CHECK(is_invalid(rr_gather(NULL, 3), "refs is NULL"));
    CHECK(is_invalid(rr_field(rr_bytes, r, errors_pair, b), "rr_bytes is no field"));
    CHECK(is_invalid(rr_put_as(NULL, int, 1), "name is NULL") && rr_ready(rr_gather(NULL, 0)));
    CHECK(is_invalid(rr_put_as("", int, 1), "name is NULL or empty"));
    CHECK(rr_name("", r) == RR_ERR_INVALID && says(r, "name is NULL or empty"));
    CHECK(rr_find(NULL, &out) == RR_ERR_INVALID && says(none, "name is NULL"));
    CHECK(rr_find("x", NULL) == RR_ERR_INVALID && says(none, "out is NULL"));
}

int main(int argc, char **argv) { return test_main(argc, argv); }
