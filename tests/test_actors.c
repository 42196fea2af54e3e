/* Guards actors: one method at a time in each caller's order, also when arguments come late; every
   way to die (kill, exit, last handle, failed constructor, shutdown) ends each call and runs the
   destructor once; handles in state, results and messages are counted right; idle actors are
   small. */
#define _GNU_SOURCE
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"

/* What a test shares with its actors, which get its address as a number: what happened to them. */
typedef struct probe {
    fixture f;
    atomic_int born, dropped, entered, inside;
} probe;
#define PROBE(p) ((probe *)(uintptr_t)(p))

/* TEST_PROBE(name, workers) { ... }: a test in a runtime of its own, with a probe p. When the
   runtime has ended each actor that was born has been dropped, once. */
#define TEST_PROBE(name, workers)                                                                  \
    static void name##_in(probe *p);                                                               \
    TEST(name) { in_runtime(workers, name##_in); }                                                 \
    static void name##_in(RR__UNUSED probe *p)
static void in_runtime(int workers, void (*run)(probe *)) {
    probe p;
    memset(&p, 0, sizeof p);
    START(&p.f, .workers = workers);
    run(&p);
    fixture_stop(&p.f);
    CHECK(p.dropped == p.born);
}

typedef struct List {
    uintptr_t probe;
    int count, items[4096];
} List;
REMOTE_ACTOR(List, create, uintptr_t, p) {
    self->probe = p;
    PROBE(p)->born++;
}
REMOTE_ACTOR(List, create_late, uintptr_t, p, int, first) {
    self->probe = p;
    self->items[self->count++] = first;
    PROBE(p)->born++;
}
REMOTE_ACTOR(List, create_broken, int, code) {
    (void)self;
    rr_fail(code, "broken at birth");
}
REMOTE_DESTRUCTOR(List) { PROBE(self->probe)->dropped++; }
REMOTE_METHOD(int, List, add, int, v) {
    probe *p = PROBE(self->probe);
    if (atomic_fetch_add(&p->inside, 1) != 0) rr_fail(99, "two methods at once");
    self->items[self->count++ % 4096] = v;
    atomic_fetch_sub(&p->inside, 1);
    return self->count;
}
REMOTE_METHOD(int, List, at, int, i) { return self->items[i]; }
REMOTE_METHOD(int, List, count) { return self->count; }
/* Until the gate is open, also if it is told to stop. */
REMOTE_METHOD(int, List, hold, rr_ref, gate) {
    rr_bytes view;
    PROBE(self->probe)->entered++;
    rr_status status = rr_get(rr_bytes, gate, &view);
    while (!rr_ready(gate)) usleep(1000);
    return status == RR_ERR_CANCELLED && rr_cancelled();
}
REMOTE_METHOD(int, List, leave, int, v) {
    (void)self;
    rr_exit_actor();
    return v;
}
REMOTE_METHOD(rr_actor, List, myself, rr_actor, me) {
    (void)self;
    return me;
}
REMOTE_FN(int, actors_same, int, v) { return v; }
REMOTE_FN(int, actors_fail, int, code) { return rr_fail(code, "no argument"), 0; }
REMOTE_FN(int, actors_open, rr_bytes, gate, int, v) { return (void)gate, v; }

static int value_of(rr_ref r) {
    int v = -1;
    return rr_get(int, r, &v) == RR_OK ? v : -1;
}
static rr_actor new_list(probe *p) { return rr_spawn(List_create, (uintptr_t)p); }
static rr_actor named_list(const char *name, probe *p) {
    return rr_spawn_with(RR_ACTOR_OPTIONS(.name = name), List_create, (uintptr_t)p);
}
static bool is_dead(rr_ref r) { return rr_get_void(r) == RR_ERR_ACTOR_DEAD; }

TEST_PROBE(order_of_one_caller, 2) {
    rr_actor list = new_list(p);
    for (int i = 0; i < 4000; i++)
        if (!CHECK(rr_tell(list, List_add, i) == RR_OK)) break;
    CHECK(value_of(rr_ask(list, List_count)) == 4000);
    for (int i = 0; i < 4000; i++)
        if (!CHECK(value_of(rr_ask(list, List_at, i)) == i)) break;
    CHECK(p->born == 1);
}

TEST_PROBE(order_of_one_caller_with_late_arguments, 2) {
    rr_scope scope = rr_scope_begin();
    rr_actor list = new_list(p);
    rr_ref gate = unsealed(1);
    for (int i = 0; i < 100; i++) {
        rr_status status = i % 10 == 3 ? rr_tell(list, List_add, rr_call(actors_open, gate, i))
                           : i % 3     ? rr_tell(list, List_add, i)
                                       : rr_tell(list, List_add, rr_call(actors_same, i));
        CHECK(status == RR_OK);
    }
    rr_ref count = rr_ask(list, List_count);
    CHECK(!rr_ready(count) && rr_seal(gate) == RR_OK);
    CHECK(value_of(count) == 100);
    for (int i = 0; i < 100; i++) CHECK(value_of(rr_ask(list, List_at, i)) == i);
    rr_scope_end(scope);
    CHECK(objects_settle_at(0) && actors_settle_at(0));
}

typedef struct other_caller {
    rr_actor list;
    int count;
} other_caller;
static void count_outside(void *data) {
    other_caller *c = data;
    c->count = value_of(rr_ask(c->list, List_count));
}

TEST_PROBE(late_argument_of_one_caller_does_not_hold_back_another, 2) {
    rr_actor list = new_list(p);
    rr_ref gate = unsealed(1);
    rr_ref mine = rr_ask(list, List_add, rr_call(actors_open, gate, 5));
    rr_ref next = rr_ask(list, List_count);
    other_caller other = {.list = list, .count = -1};
    outside thread;
    outside_start(&thread, p->f.runtime, count_outside, &other);
    outside_join(&thread); /* ends although my messages wait */
    CHECK(other.count == 0 && !rr_ready(mine) && !rr_ready(next));
    CHECK(rr_seal(gate) == RR_OK && value_of(mine) == 1 && value_of(next) == 1);
}

REMOTE_FN(int, actors_add_hundred, rr_actor, list, int, base) {
    for (int i = 0; i < 100; i++)
        if (rr_tell(list, List_add, base + i) != RR_OK) return -1;
    return value_of(rr_ask(list, List_count)) >= 100;
}

TEST_PROBE(order_of_several_tasks_at_once, 2) {
    rr_scope scope = rr_scope_begin();
    rr_actor list = new_list(p);
    rr_ref tasks[20];
    for (int t = 0; t < 20; t++) tasks[t] = rr_call(actors_add_hundred, list, t * 1000);
    for (int t = 0; t < 20; t++) CHECK(value_of(tasks[t]) == 1);
    CHECK(value_of(rr_ask(list, List_count)) == 2000);
    int next[20] = {0};
    for (int i = 0; i < 2000; i++) {
        int v = value_of(rr_ask(list, List_at, i));
        if (!CHECK(v >= 0 && v % 1000 == next[v / 1000 % 20]++)) break;
    }
    rr_scope_end(scope);
    CHECK(actors_settle_at(0));
}

TEST_PROBE(failed_argument_does_not_hold_back_later_calls, 2) {
    rr_actor list = new_list(p);
    rr_ref failed = rr_ask(list, List_add, rr_call(actors_fail, 3));
    rr_ref next = rr_ask(list, List_add, 1);
    CHECK(value_of(next) == 1 && rr_get_void(failed) == RR_ERR_TASK && rr_error_code(failed) == 3);
}

TEST_PROBE(constructor_with_a_pending_argument, 2) {
    rr_ref gate = unsealed(1);
    rr_actor list = rr_spawn(List_create_late, (uintptr_t)p, rr_call(actors_open, gate, 7));
    rr_ref first = rr_ask(list, List_at, 0), second = rr_ask(list, List_add, 8);
    CHECK(p->born == 0 && !rr_ready(first));
    CHECK(rr_seal(gate) == RR_OK && value_of(first) == 7 && value_of(second) == 2);
    CHECK(p->born == 1);
}

TEST_PROBE(pending_constructor_and_its_last_handle_gone, 2) {
    rr_ref gate = unsealed(1), late = rr_call(actors_open, gate, 7);
    rr_actor list = rr_spawn(List_create_late, (uintptr_t)p, late);
    rr_ref first = rr_ask(list, List_at, 0);
    rr_release(list);
    CHECK(rr_seal(gate) == RR_OK && value_of(first) == 7); /* what was sent still runs */
    CHECK(actors_settle_at(0) && p->born == 1 && p->dropped == 1);
}

TEST_PROBE(pending_constructor_killed, 2) {
    rr_ref gate = unsealed(1), late = rr_call(actors_open, gate, 7);
    rr_actor list = rr_spawn(List_create_late, (uintptr_t)p, late);
    rr_ref first = rr_ask(list, List_at, 0);
    CHECK(rr_kill(list) == RR_OK && is_dead(first));
    CHECK(rr_seal(gate) == RR_OK && value_of(late) == 7);
    rr_release(list);
    CHECK(actors_settle_at(0) && p->born == 0 && p->dropped == 0);
}

TEST_PROBE(failed_constructor_is_told_by_every_call, 2) {
    rr_actor list = rr_spawn(List_create_broken, 12);
    for (int i = 0; i < 10; i++) {
        rr_ref r = rr_ask(list, List_count);
        CHECK(is_dead(r) && rr_error_code(r) == 12);
        CHECK(strstr(rr_error_message(r), "broken at birth") != NULL);
    }
    CHECK(rr_tell(list, List_add, 1) == RR_ERR_ACTOR_DEAD);
    CHECK(rr_kill(list) == RR_ERR_ACTOR_DEAD);
    CHECK(actors_settle_at(0));
}

TEST_PROBE(kill_an_idle_actor, 2) {
    rr_actor list = new_list(p);
    CHECK(value_of(rr_ask(list, List_count)) == 0);
    CHECK(rr_kill(list) == RR_OK);
    CHECK(rr_kill(list) == RR_ERR_ACTOR_DEAD);
    rr_ref r = rr_ask(list, List_count);
    CHECK(is_dead(r) && strlen(rr_error_message(r)) > 0);
    CHECK(rr_tell(list, List_add, 1) == RR_ERR_ACTOR_DEAD);
    CHECK(actors_settle_at(0) && p->dropped == 1);
    rr_release(list);
    CHECK(rr_kill(list) == RR_ERR_STALE);
}

TEST_PROBE(kill_a_running_actor_with_queued_work, 2) {
    rr_actor list = new_list(p);
    rr_ref gate = unsealed(1), running = rr_ask(list, List_hold, gate), queued[10];
    for (int i = 0; i < 10; i++) queued[i] = rr_ask(list, List_add, i);
    CHECK(becomes(&p->entered, 1));
    CHECK(rr_kill(list) == RR_OK);
    for (int i = 0; i < 10; i++) CHECK(is_dead(queued[i]));
    CHECK(p->dropped == 0); /* not while a method runs */
    CHECK(rr_seal(gate) == RR_OK && value_of(running) == 1);
    CHECK(becomes(&p->dropped, 1) && actors_settle_at(0));
}

TEST_PROBE(kill_with_messages_that_wait_for_arguments, 2) {
    rr_actor list = new_list(p);
    rr_ref gate = unsealed(1), late = rr_call(actors_open, gate, 5);
    rr_ref waiting = rr_ask(list, List_add, late), behind = rr_ask(list, List_add, 1);
    CHECK(rr_kill(list) == RR_OK);
    CHECK(is_dead(waiting) && is_dead(behind));
    CHECK(rr_seal(gate) == RR_OK && value_of(late) == 5);
    rr_release(list), rr_release(gate), rr_release(late), rr_release(waiting), rr_release(behind);
    CHECK(objects_settle_at(0) && actors_settle_at(0) && p->dropped == p->born);
}

/* It is ready, so it lies in the lane as one that has arrived; the body must not see it fail. */
TEST_PROBE(failed_argument_behind_a_late_one, 2) {
    rr_actor list = new_list(p);
    rr_ref gate = unsealed(1), bad = rr_call_named("no such function");
    CHECK(rr_get_void(bad) == RR_ERR_NOT_FOUND);
    rr_ref late = rr_ask(list, List_add, rr_call(actors_open, gate, 5));
    rr_ref failed = rr_ask(list, List_add, bad), after = rr_ask(list, List_add, 6);
    CHECK(rr_get_void(failed) == RR_ERR_NOT_FOUND); /* it waits for nobody */
    CHECK(rr_tell(list, List_add, bad) == RR_ERR_NOT_FOUND);
    CHECK(!rr_ready(late) && !rr_ready(after));
    CHECK(rr_seal(gate) == RR_OK && value_of(late) == 1 && value_of(after) == 2);
    CHECK(value_of(rr_ask(list, List_at, 0)) == 5 && value_of(rr_ask(list, List_at, 1)) == 6);
}

TEST_PROBE(exit_ends_the_actor_after_the_body, 2) {
    rr_actor list = new_list(p);
    rr_ref before = rr_ask(list, List_add, 1), leave = rr_ask(list, List_leave, 6);
    rr_ref after = rr_ask(list, List_add, 2);
    CHECK(value_of(before) == 1 && value_of(leave) == 6); /* its result counts */
    CHECK(is_dead(after));
    CHECK(rr_tell(list, List_add, 3) == RR_ERR_ACTOR_DEAD);
    CHECK(actors_settle_at(0) && p->dropped == 1);
}

TEST_PROBE(last_handle_goes_with_queued_work, 2) {
    for (int round = 0; round < 200; round++) {
        rr_scope scope = rr_scope_begin();
        rr_actor list = new_list(p);
        rr_ref refs[20];
        for (int i = 0; i < 20; i++) refs[i] = rr_ask(list, List_add, i);
        rr_release(list);
        for (int i = 0; i < 20; i++) CHECK(value_of(refs[i]) == i + 1);
        rr_scope_end(scope);
        CHECK(becomes(&p->dropped, round + 1) && actors_settle_at(0));
        CHECK(rr_kill(list) == RR_ERR_STALE);
    }
    CHECK(objects_settle_at(0));
}

TEST_PROBE(destructor_runs_once_at_shutdown, 2) {
    for (int i = 0; i < 100; i++) new_list(p); /* still held when the runtime ends */
    rr_scope scope = rr_scope_begin();
    for (int i = 0; i < 100; i++) new_list(p);
    rr_scope_end(scope);
}

/* Names. */
TEST_PROBE(name_is_free_again_after_death, 2) {
    for (int i = 0; i < 100; i++) {
        rr_scope scope = rr_scope_begin();
        rr_actor a = named_list("one", p);
        rr_actor found = {0};
        CHECK(rr_find_actor("one", &found) == RR_OK && found.id == a.id);
        CHECK(value_of(rr_ask(found, List_count)) == 0);
        if (i % 2) CHECK(rr_kill(a) == RR_OK);
        rr_scope_end(scope); /* the last handle */
        CHECK(actors_settle_at(0));
        CHECK(rr_find_actor("one", &found) == RR_ERR_NOT_FOUND && found.id == 0);
    }
    CHECK(p->born == 100);
}

TEST_PROBE(name_is_copied, 1) {
    char name[300];
    memset(name, 'n', sizeof name), name[sizeof name - 1] = 0;
    named_list(name, p);
    char same[300];
    memcpy(same, name, sizeof same), memset(name, 'x', sizeof name - 1);
    rr_actor found = {0};
    CHECK(rr_find_actor(name, &found) == RR_ERR_NOT_FOUND);
    CHECK(rr_find_actor(same, &found) == RR_OK);
    CHECK(rr_find_actor("", &found) == RR_ERR_NOT_FOUND);
    CHECK(rr_find_actor(NULL, &found) != RR_OK && found.id == 0);
}

TEST_PROBE(name_taken_by_a_living_actor, 1) {
    rr_actor first = named_list("a", p);
    rr_actor clash = named_list("a", p);
    rr_ref r = rr_ask(clash, List_count);
    CHECK(is_dead(r) && strstr(rr_error_message(r), "'a'"));
    CHECK(value_of(rr_ask(first, List_count)) == 0);
    rr_actor found = {0};
    CHECK(rr_find_actor("a", &found) == RR_OK && found.id == first.id);
    CHECK(p->born == 1);
}

TEST_PROBE(name_of_an_actor_that_was_never_born_is_free, 1) {
    rr_actor a = rr_spawn_with(RR_ACTOR_OPTIONS(.name = "a"), List_create_broken, 1), found = {0};
    CHECK(is_dead(rr_ask(a, List_count)) && actors_settle_at(0));
    CHECK(rr_find_actor("a", &found) == RR_ERR_NOT_FOUND);
    a = named_list("a", p);
    CHECK(value_of(rr_ask(a, List_count)) == 0);
}

/* A destructor that takes long; the probe's `inside` says that it goes on. */
typedef struct Slow {
    uintptr_t probe;
} Slow;
REMOTE_ACTOR(Slow, create, uintptr_t, p) {
    self->probe = p;
    PROBE(p)->born++;
}
REMOTE_METHOD(int, Slow, one) { return (void)self, 1; }
REMOTE_DESTRUCTOR(Slow) {
    probe *p = PROBE(self->probe);
    for (p->inside = 1; p->entered == 0;) rr_sleep_ms(1);
    p->dropped++;
}

/* Of one idea of living: what a lookup does not find can be had at once. */
TEST_PROBE(name_is_free_while_the_destructor_runs, 2) {
    for (int kills = 0; kills < 2; kills++) {
        rr_actor found,
            a = rr_spawn_with(RR_ACTOR_OPTIONS(.name = "slow"), Slow_create, (uintptr_t)p);
        CHECK(value_of(rr_ask(a, Slow_one)) == 1);
        p->inside = p->entered = 0;
        if (kills) CHECK(rr_kill(a) == RR_OK);
        rr_release(a);
        CHECK(rr_find_actor("slow", &found) == RR_ERR_NOT_FOUND);
        a = rr_spawn_with(RR_ACTOR_OPTIONS(.name = "slow"), List_create, (uintptr_t)p);
        CHECK(value_of(rr_ask(a, List_count)) == 0);
        while (!p->inside) rr_sleep_ms(1);
        CHECK(rr_find_actor("slow", &found) == RR_OK); /* the new one */
        p->entered = 1; /* the old one goes, and leaves the name alone */
        while (p->dropped != 2 * kills + 1) rr_sleep_ms(1);
        CHECK(value_of(rr_ask(found, List_count)) == 0);
        rr_release(found), rr_release(a);
        CHECK(actors_settle_at(0) && rr_find_actor("slow", &found) == RR_ERR_NOT_FOUND);
    }
}

/* One thread makes actors of one name, others find and end them. */
typedef struct namers {
    probe *p;
    atomic_bool over;
    atomic_int refused;
} namers;
static void namers_end(void *data) {
    namers *n = data;
    for (int i = 0; !n->over; i++) {
        rr_actor found;
        if (rr_find_actor("shared", &found) != RR_OK) continue;
        if (i % 2) rr_kill(found);
        rr_release(found);
    }
}
TEST_PROBE(name_that_is_not_found_can_be_had, 2) {
    enum { ROUNDS = 300, THREADS = 2 };
    namers n = {.p = p};
    outside others[THREADS];
    for (int i = 0; i < THREADS; i++) outside_start(&others[i], p->f.runtime, namers_end, &n);
    for (int i = 0; i < ROUNDS; i++) {
        rr_actor a = named_list("shared", p), found;
        rr_ref r = rr_ask(a, List_count);
        rr_status status = rr_get_void(r);
        n.refused += status != RR_OK && strstr(rr_error_message(r), "taken") != NULL;
        rr_release(r), rr_release(a);
        while (rr_find_actor("shared", &found) == RR_OK) rr_release(found);
    }
    n.over = true;
    for (int i = 0; i < THREADS; i++) outside_join(&others[i]);
    CHECK(n.refused == 0);
    CHECK(actors_settle_at(0));
}

TEST_PROBE(name_belongs_to_one_runtime, 1) {
    fixture other;
    rr_actor a = named_list("a", p), found;
    CHECK(rr_find_actor("a", &found) == RR_OK);
    START(&other, .workers = 1);
    CHECK(rr_find_actor("a", &found) == RR_ERR_NOT_FOUND);
    CHECK(rr_get_void(rr_ask(a, List_count)) == RR_ERR_STALE && rr_kill(a) == RR_ERR_STALE);
    CHECK(rr_tell(a, List_add, 1) == RR_ERR_STALE);
    fixture_stop(&other);
}

TEST_PROBE(handle_found_by_name_is_a_count_of_ones_own, 1) {
    rr_actor a = named_list("a", p), found;
    CHECK(rr_find_actor("a", &found) == RR_OK);
    rr_release(a);
    CHECK(value_of(rr_ask(found, List_count)) == 0);
    rr_release(found);
    CHECK(actors_settle_at(0) && p->dropped == 1);
}

/* Handles in state, messages and results. */
typedef struct Node {
    uintptr_t probe;
    rr_actor next;
    rr_ref value;
} Node;
REMOTE_ACTOR(Node, create, uintptr_t, p, rr_actor, next, rr_ref, value) {
    self->probe = p;
    self->next = rr_keep(next);
    self->value = rr_keep(value);
    PROBE(p)->born++;
}
REMOTE_DESTRUCTOR(Node) {
    rr_release(self->next);
    rr_release(self->value);
    PROBE(self->probe)->dropped++;
}
REMOTE_METHOD(rr_actor, Node, next) { return self->next; } /* the result counts it as well */
REMOTE_METHOD(int, Node, value) { return value_of(self->value); }
REMOTE_METHOD(void, Node, join, rr_actor, next) {
    rr_release(self->next);
    self->next = rr_keep(next);
}

TEST_PROBE(chain_of_actors_goes_with_its_last_handle, 2) {
    enum { LENGTH = 2000 };
    rr_scope scope = rr_scope_begin();
    rr_actor node = {0};
    for (int i = 0; i < LENGTH; i++) {
        rr_actor next = rr_spawn(Node_create, (uintptr_t)p, node, rr_put(int, i));
        rr_release(node);
        node = next;
    }
    rr_keep(node);
    rr_scope_end(scope);
    CHECK(value_of(rr_ask(node, Node_value)) == LENGTH - 1);
    CHECK(p->dropped == 0);
    rr_release(node);
    CHECK(actors_settle_at(0) && p->dropped == LENGTH);
}

TEST_PROBE(handles_in_results_are_handed_over, 2) {
    rr_scope scope = rr_scope_begin();
    rr_actor tail = rr_spawn(Node_create, (uintptr_t)p, (rr_actor){0}, rr_put(int, 5));
    rr_actor head = rr_spawn(Node_create, (uintptr_t)p, tail, rr_put(int, 6)), next = {0};
    CHECK(rr_get(rr_actor, rr_ask(head, Node_next), &next) == RR_OK && next.id == tail.id);
    rr_release(head), rr_release(tail);
    CHECK(value_of(rr_ask(next, Node_value)) == 5);
    rr_scope_end(scope);
    CHECK(actors_settle_at(0) && objects_settle_at(0) && p->dropped == 2);
}

TEST_PROBE(handle_in_a_message_to_itself, 2) {
    rr_actor list = new_list(p), me = {0};
    rr_ref r = rr_ask(list, List_myself, list);
    rr_release(list);
    CHECK(rr_get(rr_actor, r, &me) == RR_OK && me.id == list.id);
    CHECK(value_of(rr_ask(me, List_count)) == 0 && p->dropped == 0);
    rr_release(r), rr_release(me);
    CHECK(actors_settle_at(0) && p->dropped == 1);
}

TEST_PROBE(actor_that_holds_itself_ends_by_kill_or_shutdown, 2) {
    rr_actor nodes[2];
    for (int i = 0; i < 2; i++) {
        nodes[i] = rr_spawn(Node_create, (uintptr_t)p, (rr_actor){0}, rr_put(int, 5));
        CHECK(rr_tell(nodes[i], Node_join, nodes[i]) == RR_OK);
        CHECK(value_of(rr_ask(nodes[i], Node_value)) == 5);
    }
    CHECK(rr_kill(nodes[0]) == RR_OK);
    rr_release(nodes[0]), rr_release(nodes[1]);
    CHECK(actors_settle_at(1) && p->dropped == 1); /* a cycle of handles is never collected */
}

TEST_PROBE(method_of_another_type, 1) {
    rr_actor list = new_list(p);
    rr_ref r = rr_ask(list, Node_value);
    CHECK(rr_get_void(r) == RR_ERR_TYPE);
    CHECK(strstr(rr_error_message(r), "Node") && strstr(rr_error_message(r), "List"));
    CHECK(rr_tell(list, Node_next) == RR_ERR_TYPE);
    CHECK(value_of(rr_ask(list, List_count)) == 0);
}

TEST_PROBE(argument_of_another_type_fails_that_call_only, 1) {
    rr_actor list = new_list(p);
    CHECK(rr_get_void(rr_ask(list, List_add, rr_put(double, 1))) == RR_ERR_TYPE);
    CHECK(rr_get_void(rr_ask(list, List_add, (rr_ref){0})) == RR_ERR_STALE);
    CHECK(rr_tell(list, List_add, (rr_ref){0}) == RR_ERR_STALE);
    CHECK(value_of(rr_ask(list, List_add, 1)) == 1);
}

/* Many. */
typedef struct Small {
    int v;
} Small;
REMOTE_ACTOR(Small, create, int, v) { self->v = v; }
REMOTE_METHOD(int, Small, get) { return self->v; }

static long resident_bytes(void) {
    long pages = 0, unused;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (!statm || fscanf(statm, "%ld %ld", &unused, &pages) != 2) pages = 0;
    if (statm) fclose(statm);
    return pages * sysconf(_SC_PAGESIZE);
}

TEST_ALONE(hundred_thousand_actors_below_a_kibibyte_each) {
    fixture f;
    START(&f, .workers = 2);
    enum { COUNT = 100000 };
    long before = resident_bytes();
    rr_actor *actors = malloc(COUNT * sizeof *actors);
    rr_scope scope = rr_scope_begin();
    for (int i = 0; i < COUNT; i++) actors[i] = rr_spawn(Small_create, i);
    rr_scope asked = rr_scope_begin();
    for (int i = 0; i < COUNT; i += 7)
        if (!CHECK(value_of(rr_ask(actors[i], Small_get)) == i)) break;
    rr_scope_end(asked);
    CHECK(value_of(rr_ask(actors[COUNT - 1], Small_get)) == COUNT - 1);
    rr_stats s;
    rr_get_stats(&s);
    CHECK(s.actors_live == COUNT);
#ifndef SANITIZED
    CHECK(before == 0 || (resident_bytes() - before) / COUNT < 1024);
    printf("%ld bytes per actor\n", (resident_bytes() - before) / COUNT);
#endif
    rr_scope_end(scope);
    CHECK(actors_settle_at(0) && objects_settle_at(0));
    fixture_stop(&f);
    free(actors);
    (void)before;
}

REMOTE_FN(int, actors_make_and_drop, int, n) {
    int sum = 0;
    for (int i = 0; i < n; i++) {
        rr_actor a = rr_spawn(Small_create, i);
        sum += value_of(rr_ask(a, Small_get));
        rr_release(a);
    }
    return sum;
}

TEST_PROBE(tasks_make_and_drop_actors, 2) {
    rr_ref refs[8];
    for (int i = 0; i < 8; i++) refs[i] = rr_call(actors_make_and_drop, 200);
    for (int i = 0; i < 8; i++) CHECK(value_of(refs[i]) == 199 * 100);
    CHECK(actors_settle_at(0));
}

typedef struct hammer {
    rr_actor list;
    int sent;
} hammer;
static void hammer_until_dead(void *data) {
    hammer *h = data;
    rr_scope scope = rr_scope_begin();
    for (;;) {
        rr_ref r = rr_ask(h->list, List_add, 1);
        rr_status status = rr_get_void(r);
        rr_release(r);
        if (status == RR_OK) h->sent++;
        else if (CHECK(status == RR_ERR_ACTOR_DEAD)) break;
    }
    rr_scope_end(scope);
}

TEST_PROBE(kill_while_several_threads_ask, 2) {
    for (int round = 0; round < 20; round++) {
        rr_actor list = new_list(p);
        outside threads[3];
        hammer hammers[3] = {{list, 0}, {list, 0}, {list, 0}};
        for (int i = 0; i < 3; i++)
            outside_start(&threads[i], p->f.runtime, hammer_until_dead, &hammers[i]);
        rr_sleep_ms(round % 5);
        CHECK(rr_kill(list) == RR_OK);
        for (int i = 0; i < 3; i++) outside_join(&threads[i]);
        CHECK(actors_settle_at(0) && p->dropped == p->born); /* it may have died before its birth */
        rr_release(list);
    }
    CHECK(actors_settle_at(0) && objects_settle_at(0));
}

typedef struct Brief {
    int *ended; /* not atomic: destructors run one at a time */
    atomic_int *inside;
    rr_actor child;
} Brief;
REMOTE_ACTOR(Brief, create, size_t, ended, size_t, inside, rr_actor, child) {
    *self = (Brief){(int *)ended, (atomic_int *)inside, rr_keep(child)};
}
REMOTE_METHOD(int, Brief, ask) { return 1; }
REMOTE_FN(int, brief_task, int, x) { return x; }
REMOTE_DESTRUCTOR(Brief) {
    CHECK(atomic_fetch_add(self->inside, 1) == 0);
    ++*self->ended;
    CHECK(atomic_fetch_sub(self->inside, 1) == 1);
    /* While this one waits others may run, so ending a child and waiting for it is no deadlock. */
    rr_ref last = rr_ask(self->child, Brief_ask);
    rr_kill(self->child);
    rr_get_void(last);
    CHECK(rr_unwrap(int, rr_call(brief_task, 3)) == 3);
    rr_release(self->child);
}

TEST(destructors_run_one_at_a_time) {
    enum { N = 300 };
    fixture f;
    START(&f, .workers = 3);
    int ended = 0;
    atomic_int inside = 0;
    rr_actor briefs[N];
    for (int i = 0; i < N; i++) {
        rr_actor child = rr_spawn(Brief_create, (size_t)&ended, (size_t)&inside, (rr_actor){0});
        CHECK(value_of(rr_ask(child, Brief_ask)) == 1); /* it is born, whoever kills it */
        briefs[i] = rr_spawn(Brief_create, (size_t)&ended, (size_t)&inside, child);
        CHECK(value_of(rr_ask(briefs[i], Brief_ask)) == 1);
        rr_release(child);
    }
    for (int i = 0; i < N; i++) rr_release(briefs[i]);
    CHECK(actors_settle_at(0));
    fixture_stop(&f);
    CHECK(ended == 2 * N && inside == 0);
}

typedef struct Poller {
    uintptr_t probe;
} Poller;
REMOTE_ACTOR(Poller, create, uintptr_t, p) {
    self->probe = p;
    PROBE(p)->born++;
}
REMOTE_METHOD(int, Poller, ask) { return 1; }
REMOTE_DESTRUCTOR(Poller) {
    rr_ref r = rr_call(brief_task, 1);
    double end = rr_now() + 20;
    while (!rr_ready(r) && rr_now() < end) rr_sleep_ms(1);
    CHECK(rr_ready(r));
    PROBE(self->probe)->dropped++;
}

TEST_PROBE(destructor_that_polls_keeps_no_worker_from_its_work, 2) {
    rr_actor pollers[4];
    for (int i = 0; i < 4; i++) {
        pollers[i] = rr_spawn(Poller_create, (uintptr_t)p);
        CHECK(value_of(rr_ask(pollers[i], Poller_ask)) == 1);
    }
    for (int i = 0; i < 4; i++) CHECK(rr_kill(pollers[i]) == RR_OK);
    CHECK(p->born == 4);
}

int main(int argc, char **argv) { return test_main(argc, argv); }
