/* Guards references and their ownership: stale and null handles are told and never followed, every
   count is given back exactly once, scopes release what they hold and nothing else, views stay
   valid for as long as the manual says. */
#define _GNU_SOURCE
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"

REMOTE_FN(int, refs_same, int, v) { return v; }
REMOTE_FN(rr_ref, refs_wrap, rr_ref, r) { return r; }
REMOTE_FN(int, refs_read, rr_ref, r) {
    int v = -1;
    return rr_get(int, r, &v) == RR_OK ? v : -1;
}

static uint64_t live(void) {
    rr_stats s;
    rr_get_stats(&s);
    return s.objects_live;
}
static bool gone(rr_ref r) {
    int v = 1;
    return rr_get(int, r, &v) == RR_ERR_STALE && v == 0;
}
static bool holds(rr_ref r, int wanted) {
    int v = 0;
    return rr_get(int, r, &v) == RR_OK && v == wanted;
}

TEST_RUN(null_reference_is_told, .workers = 1) {
    rr_ref null = {0};
    CHECK(gone(null));
    CHECK(rr_ready(null)); /* rr_get answers at once */
    CHECK(rr_get_void(null) == RR_ERR_STALE);
    CHECK(rr_seal(null) == RR_ERR_STALE);
    rr_retain(null), rr_release(null);
    CHECK(rr_keep(null).id == 0);
    CHECK(gone(rr_call(refs_same, null)));
    CHECK(rr_error_message(null) != NULL && rr_error_code(null) == 0);
}

TEST_RUN(null_actor_is_told, .workers = 1) {
    rr_actor null = {0};
    rr_retain(null), rr_release(null);
    CHECK(rr_keep(null).id == 0);
    CHECK(rr_kill(null) == RR_ERR_STALE);
}

TEST_RUN(stale_reference_is_told_and_not_followed, .workers = 1) {
    rr_ref r = rr_put(int, 5);
    CHECK(holds(r, 5) && live() == 1);
    rr_release(r);
    CHECK(live() == 0 && gone(r));
    CHECK(rr_ready(r) && rr_seal(r) == RR_ERR_STALE);
    CHECK(gone(rr_call(refs_same, r)));
    rr_retain(r);
    CHECK(rr_keep(r).id == r.id && gone(r));
}

TEST_RUN(stale_reference_does_not_meet_the_next_user_of_its_slot, .workers = 1) {
    rr_ref old[64], young[64];
    for (int i = 0; i < 64; i++) old[i] = rr_put(int, i);
    for (int i = 0; i < 64; i++) rr_release(old[i]);
    for (int i = 0; i < 64; i++) young[i] = rr_put(int, 100 + i);
    for (int i = 0; i < 64; i++) {
        CHECK(gone(old[i]));
        rr_release(old[i]); /* must not take the count of the slot's new user */
        CHECK(holds(young[i], 100 + i));
    }
    for (int i = 0; i < 64; i++) rr_release(young[i]);
    CHECK(live() == 0);
}

TEST_RUN(double_release_is_harmless, .workers = 1) {
    rr_ref r = rr_put(int, 1), other = rr_put(int, 2);
    for (int i = 0; i < 10; i++) rr_release(r);
    CHECK(gone(r) && holds(other, 2) && live() == 1);
    rr_scope scope = rr_scope_begin();
    rr_ref inside = rr_put(int, 3);
    rr_release(inside), rr_release(inside);
    CHECK(gone(inside));
    rr_scope_end(scope);
    CHECK(holds(other, 2) && live() == 1);
}

TEST_RUN(invented_reference_is_told, .workers = 1) {
    rr_ref real = rr_put(int, 1), r = real;
    r.slot ^= 0x5a5a5a;
    CHECK(gone(r));
    r = real, r.id ^= 1;
    CHECK(gone(r));
    r = real, r.home ^= 0xffff;
    CHECK(gone(r));
    memset(&r, 0xff, sizeof r);
    CHECK(gone(r));
    rr_release(r);
    CHECK(holds(real, 1));
}

TEST_RUN(retain_and_release_are_neutral_outside_scopes, .workers = 1) {
    rr_ref r = rr_put(int, 4);
    for (int i = 0; i < 100; i++) rr_retain(r);
    for (int i = 0; i < 100; i++) rr_release(r);
    CHECK(holds(r, 4));
    rr_release(r);
    CHECK(gone(r) && live() == 0);
}

TEST_RUN(retain_and_release_are_neutral_in_a_scope, .workers = 1) {
    rr_scope scope = rr_scope_begin();
    rr_ref r = rr_put(int, 4);
    rr_retain(r), rr_release(r);
    CHECK(holds(r, 4));
    rr_retain(r), rr_retain(r), rr_release(r), rr_release(r);
    CHECK(holds(r, 4));
    rr_scope_end(scope);
    CHECK(gone(r) && live() == 0);
}

TEST_RUN(retained_reference_outlives_its_scope, .workers = 1) {
    rr_scope scope = rr_scope_begin();
    rr_ref r = rr_put(int, 4);
    rr_retain(r);
    rr_scope_end(scope);
    CHECK(holds(r, 4));
    scope = rr_scope_begin(); /* a scope that never held it leaves it alone */
    CHECK(holds(r, 4));
    rr_scope_end(scope);
    CHECK(holds(r, 4));
    rr_release(r);
    CHECK(gone(r) && live() == 0);
}

TEST_RUN(retained_outside_released_inside_a_scope, .workers = 1) {
    rr_ref r = rr_put(int, 4);
    rr_retain(r);
    rr_scope scope = rr_scope_begin();
    rr_ref other = rr_put(int, 5);
    rr_release(r);
    CHECK(holds(r, 4) && holds(other, 5));
    rr_release(r);
    CHECK(gone(r) && holds(other, 5));
    rr_scope_end(scope);
    CHECK(live() == 0);
}

TEST_RUN(keep_takes_a_reference_out_of_its_scope, .workers = 1) {
    rr_scope scope = rr_scope_begin();
    rr_ref dropped = rr_put(int, 1), kept = rr_keep(rr_put(int, 2));
    rr_scope_end(scope);
    CHECK(gone(dropped) && holds(kept, 2) && live() == 1);
    rr_release(kept);
    CHECK(gone(kept) && live() == 0);
}

TEST_RUN(kept_reference_can_be_released_in_the_same_scope, .workers = 1) {
    rr_scope scope = rr_scope_begin();
    rr_ref r = rr_keep(rr_put(int, 1));
    rr_release(r);
    CHECK(gone(r));
    rr_scope_end(scope);
    CHECK(live() == 0);
}

TEST_RUN(keep_reaches_the_outer_scope_that_holds_it, .workers = 1) {
    rr_scope outer = rr_scope_begin();
    rr_ref r = rr_put(int, 1);
    rr_scope inner = rr_scope_begin();
    rr_keep(r);
    rr_scope_end(inner);
    rr_scope_end(outer);
    CHECK(holds(r, 1));
    rr_release(r);
    CHECK(live() == 0);
}

TEST_RUN(keep_outside_every_scope_changes_nothing, .workers = 1) {
    rr_ref r = rr_keep(rr_put(int, 1));
    CHECK(holds(r, 1));
    rr_release(r);
    CHECK(gone(r) && live() == 0);
}

TEST_RUN(release_reaches_the_outer_scope_that_holds_it, .workers = 1) {
    rr_scope outer = rr_scope_begin();
    rr_ref r = rr_put(int, 1);
    rr_scope inner = rr_scope_begin();
    rr_release(r);
    CHECK(gone(r));
    rr_scope_end(inner);
    rr_ref next = rr_put(int, 2); /* likely the same slot: the outer scope must not take it for r */
    rr_retain(next);
    rr_scope_end(outer);
    CHECK(holds(next, 2));
    rr_release(next);
    CHECK(live() == 0);
}

TEST_RUN(nested_scopes_release_their_own, .workers = 1) {
    enum { DEPTH = 100 };
    rr_scope scopes[DEPTH];
    rr_ref refs[DEPTH];
    for (int i = 0; i < DEPTH; i++) {
        scopes[i] = rr_scope_begin();
        refs[i] = rr_put(int, i);
    }
    for (int i = DEPTH - 1; i >= 0; i--) {
        CHECK(holds(refs[i], i) && live() == (uint64_t)i + 1);
        rr_scope_end(scopes[i]);
        CHECK(gone(refs[i]));
    }
    CHECK(live() == 0);
}

TEST_RUN(ending_an_outer_scope_ends_the_inner_ones, .workers = 1) {
    rr_scope outer = rr_scope_begin();
    rr_ref a = rr_put(int, 1);
    rr_scope inner = rr_scope_begin();
    rr_ref b = rr_put(int, 2);
    rr_scope_end(outer);
    CHECK(gone(a) && gone(b) && live() == 0);
    int before = fixture_messages(f);
    rr_ref c = rr_put(int, 3);
    rr_scope_end(inner); /* was ended: left alone with a warning */
    CHECK(fixture_messages(f) == before + 1);
    CHECK(holds(c, 3));
}

TEST_RUN(ending_a_scope_twice_leaves_younger_ones_alone, .workers = 1) {
    rr_scope first = rr_scope_begin();
    rr_scope_end(first);
    rr_scope second = rr_scope_begin();
    rr_ref r = rr_put(int, 1);
    rr_scope_end(first);
    CHECK(f->warnings == 1 && holds(r, 1));
    rr_scope_end(second);
    CHECK(gone(r) && live() == 0);
}

static void end_it(void *scope) { rr_scope_end(*(rr_scope *)scope); }

TEST_RUN(scope_of_another_thread_is_left_alone, .workers = 1) {
    rr_scope scope = rr_scope_begin();
    rr_ref r = rr_put(int, 1);
    outside other;
    outside_start(&other, f->runtime, end_it, &scope);
    outside_join(&other);
    CHECK(fixture_messages(f) == 1 && holds(r, 1));
    rr_scope_end(scope);
    CHECK(gone(r));
}

TEST_RUN(empty_scopes_cost_nothing_and_leave_nothing, .workers = 1) {
    rr_ref r = rr_put(int, 1);
    for (int i = 0; i < 100000; i++) rr_scope_end(rr_scope_begin());
    CHECK(holds(r, 1) && f->warnings == 0);
}

TEST_RUN(sliding_window_of_releases_in_one_long_scope, .workers = 1) {
    enum { WINDOW = 64, ROUNDS = 100000 };
    rr_ref refs[WINDOW] = {{0, 0, 0}};
    rr_scope scope = rr_scope_begin();
    rr_ref first = rr_put(int, -7); /* stays at the bottom */
    for (int i = 0; i < ROUNDS; i++) {
        rr_release(refs[i % WINDOW]);
        refs[i % WINDOW] = rr_put(int, i);
    }
    CHECK(live() == WINDOW + 1);
    for (int i = ROUNDS - WINDOW; i < ROUNDS; i++) CHECK(holds(refs[i % WINDOW], i));
    CHECK(holds(first, -7));
    rr_scope_end(scope);
    CHECK(live() == 0);
}

TEST_RUN(releases_in_any_order_in_one_scope, .workers = 1) {
    enum { COUNT = 2000 };
    static rr_ref refs[COUNT];
    uint64_t random = test_seed;
    rr_scope scope = rr_scope_begin();
    for (int i = 0; i < COUNT; i++) refs[i] = rr_put(int, i);
    for (int i = COUNT - 1; i > 0; i--) {
        int j = (int)test_below(&random, i + 1);
        rr_ref swap = refs[i];
        refs[i] = refs[j], refs[j] = swap;
    }
    for (int i = 0; i < COUNT / 2; i++) rr_release(refs[i]);
    CHECK(live() == COUNT - COUNT / 2);
    for (int i = 0; i < COUNT; i++) CHECK(gone(refs[i]) == (i < COUNT / 2));
    rr_scope_end(scope);
    CHECK(live() == 0);
}

static bool all_are(rr_bytes view, int byte) {
    const unsigned char *p = view.data;
    for (size_t i = 0; i < view.size; i++)
        if (p[i] != byte) return false;
    return true;
}

TEST_RUN(view_pins_its_object_until_the_scope_ends, .workers = 1) {
    char data[5000], other[5000];
    memset(data, 7, sizeof data), memset(other, 8, sizeof other);
    rr_ref r = rr_put_bytes(data, sizeof data);
    rr_bytes view = {0};
    rr_scope scope = rr_scope_begin();
    CHECK(rr_get(rr_bytes, r, &view) == RR_OK && view.size == sizeof data);
    rr_release(r);
    for (int i = 0; i < 100; i++) rr_put_bytes(other, sizeof other);
    CHECK(all_are(view, 7) && live() == 101);
    rr_scope_end(scope);
    CHECK(gone(r) && live() == 0);
}

TEST_RUN(view_in_an_inner_scope_is_pinned_until_that_scope_ends, .workers = 1) {
    rr_scope outer = rr_scope_begin();
    rr_ref r = rr_put_bytes("0123456789", 10);
    rr_scope inner = rr_scope_begin();
    rr_bytes view = {0};
    CHECK(rr_get(rr_bytes, r, &view) == RR_OK);
    rr_release(r);
    CHECK(view.size == 10 && !memcmp(view.data, "0123456789", 10) && live() == 1);
    rr_scope_end(inner);
    CHECK(live() == 0);
    rr_scope_end(outer);
}

TEST_RUN(reading_views_again_and_again_does_not_leak, .workers = 1) {
    rr_scope scope = rr_scope_begin();
    rr_ref r = rr_put_bytes("abc", 3);
    rr_bytes view = {0};
    for (int i = 0; i < 10000; i++) CHECK(rr_get(rr_bytes, r, &view) == RR_OK);
    rr_scope_end(scope);
    CHECK(live() == 0);
}

TEST_RUN(view_outside_a_scope_lives_until_release, .workers = 1) {
    rr_ref r = rr_put_bytes("hello", 5);
    rr_bytes a = {0}, b = {0};
    CHECK(rr_get(rr_bytes, r, &a) == RR_OK && rr_get(rr_bytes, r, &b) == RR_OK);
    CHECK(a.data == b.data && !memcmp(a.data, "hello", 5));
    rr_release(r); /* one count, however many views */
    CHECK(live() == 0);
}

TEST_RUN(view_taken_before_a_scope_does_not_depend_on_it, .workers = 1) {
    rr_ref r = rr_put_bytes("hello", 5);
    rr_bytes view = {0};
    CHECK(rr_get(rr_bytes, r, &view) == RR_OK);
    rr_scope_end(rr_scope_begin());
    CHECK(!memcmp(view.data, "hello", 5) && live() == 1);
    rr_release(r);
    CHECK(live() == 0);
}

typedef struct handover { rr_ref ref; bool release; int value; } handover;
static void read_and_release(void *data) {
    handover *h = data;
    rr_get(int, h->ref, &h->value);
    if (h->release) rr_release(h->ref);
}

TEST_RUN(handle_passed_to_another_thread_with_its_count, .workers = 1) {
    handover h = {.ref = rr_put(int, 11), .release = true};
    outside other;
    outside_start(&other, f->runtime, read_and_release, &h);
    outside_join(&other);
    CHECK(h.value == 11 && gone(h.ref) && live() == 0);
}

TEST_RUN(handle_kept_for_another_thread_out_of_a_scope, .workers = 1) {
    rr_scope scope = rr_scope_begin();
    handover h = {.ref = rr_put(int, 11), .release = true};
    rr_keep(h.ref);
    rr_scope_end(scope);
    outside other;
    outside_start(&other, f->runtime, read_and_release, &h);
    outside_join(&other);
    CHECK(h.value == 11 && gone(h.ref) && live() == 0);
}

/* What a thread takes in a scope, and how many of its counts of the boxed one it releases early. */
typedef struct taken {
    rr_ref ref;
    rr_actor actor;
    rr_stream stream;
    int early;
    bool was_there;
} taken;
static void take_in_a_scope(void *data) {
    taken *t = data;
    rr_scope scope = rr_scope_begin();
    rr_ref own = {0};
    if (t->actor.id) rr_take(t->actor);
    if (t->stream.id) rr_take(t->stream);
    t->was_there = t->ref.id && rr_get(rr_ref, t->ref, &own) == RR_OK; /* the same, once more */
    if (own.id) rr_take(own);
    for (int i = 0; own.id && i < t->early; i++) rr_release(own);
    rr_scope_end(scope);
}
static void take_elsewhere(fixture *f, taken *t) {
    outside other;
    outside_start(&other, f->runtime, take_in_a_scope, t);
    outside_join(&other);
}

TEST_RUN(count_given_in_a_scope_outlives_it_and_an_early_release, .workers = 1) {
    rr_scope scope = rr_scope_begin();
    rr_ref r = rr_put(int, 7), table = rr_give(r); /* for another thread */
    rr_release(r);                                 /* our own, early */
    CHECK(table.id == r.id && holds(table, 7));
    rr_scope_end(scope);
    CHECK(holds(table, 7) && live() == 1);
    CHECK(rr_take(table).id == table.id);
    CHECK(holds(table, 7));
    rr_release(table);
    CHECK(gone(table) && live() == 0);
}

TEST_RUN(count_given_is_not_the_one_that_was_retained, .workers = 1) {
    rr_scope scope = rr_scope_begin();
    rr_ref r = rr_put(int, 7);
    rr_retain(r), rr_give(r);
    rr_release(r), rr_release(r); /* the retained one, the scope's */
    rr_scope_end(scope);
    CHECK(holds(r, 7));
    scope = rr_scope_begin();
    rr_take(r);
    rr_scope_end(scope);
    CHECK(gone(r) && live() == 0);
}

TEST_RUN(count_taken_in_a_scope_that_holds_the_object_does_not_leak, .workers = 1) {
    for (int early = 0; early <= 2; early++) {
        rr_ref r = rr_put(int, 7), box = rr_put(rr_ref, r);
        taken t = {.ref = box, .early = early};
        rr_give(r);
        take_elsewhere(f, &t);
        CHECK(t.was_there && holds(r, 7));
        rr_release(box);
        CHECK(holds(r, 7) && live() == 1); /* ours */
        rr_release(r);
        CHECK(gone(r) && live() == 0);
    }
}

static rr_ref refs_table;
REMOTE_FN(int, refs_take_early, rr_ref, same) {
    rr_take(refs_table);    /* beside the argument, which is the same */
    rr_release(refs_table); /* one of the two */
    return rr_ready(same);
}

TEST_RUN(count_taken_by_a_body_that_has_the_object_as_its_argument, .workers = 1) {
    rr_ref r = rr_put(int, 7);
    refs_table = rr_give(r);
    rr_ref result = rr_call(refs_take_early, r);
    CHECK(holds(result, 1));
    rr_release(result), rr_release(r);
    CHECK(objects_settle_at(0) && gone(r));
}

TEST_RUN(counts_given_and_taken_many_times_by_many_threads, .workers = 2) {
    enum { TIMES = 200, THREADS = 4 };
    rr_ref r = rr_put(int, 7), box = rr_put(rr_ref, r);
    outside others[THREADS];
    taken t[THREADS];
    for (int k = 0; k < TIMES / THREADS; k++) {
        for (int i = 0; i < THREADS; i++) {
            t[i] = (taken){.ref = box, .early = (k + i) % 3};
            rr_give(r);
            outside_start(&others[i], f->runtime, take_in_a_scope, &t[i]);
        }
        for (int i = 0; i < THREADS; i++) outside_join(&others[i]);
    }
    rr_release(box), rr_release(r);
    CHECK(gone(r) && live() == 0);
}

typedef struct Kept {
    int value;
} Kept;
REMOTE_ACTOR(Kept, create, int, v) { self->value = v; }
REMOTE_METHOD(int, Kept, value) { return self->value; }
REMOTE_STREAM(int, refs_numbers, int, n) {
    for (int i = 0; i < n; i++)
        if (rr_yield(int, i) != RR_OK) return;
}

TEST_RUN(actor_and_stream_given_in_a_scope_and_taken_elsewhere, .workers = 2) {
    rr_scope scope = rr_scope_begin();
    taken t = {.actor = rr_give(rr_spawn(Kept_create, 3))};
    t.stream = rr_give(rr_call_stream(refs_numbers, 3));
    rr_release(t.actor), rr_release(t.stream); /* the scope's */
    rr_scope_end(scope);
    scope = rr_scope_begin();
    rr_ref item;
    CHECK(holds(rr_ask(t.actor, Kept_value), 3));
    CHECK(rr_next(t.stream, &item) == RR_OK && holds(item, 0));
    rr_scope_end(scope);
    take_elsewhere(f, &t);
    CHECK(rr_next(t.stream, &item) == RR_ERR_STALE);
    CHECK(objects_settle_at(0) && actors_settle_at(0));
}

typedef struct pair { rr_ref a; int b; } pair;
REMOTE_FN(pair, refs_pair, int, v) { return (pair){rr_put(int, v), v}; }
REMOTE_FN(pair, refs_given_pair, int, v) { return (pair){rr_give(rr_put(int, v)), v}; }

TEST_RUN(handle_in_a_struct_is_not_counted_unless_it_is_given, .workers = 1) {
    pair p;
    rr_ref bare = rr_call(refs_pair, 3), given = rr_call(refs_given_pair, 4);
    CHECK(rr_get(pair, bare, &p) == RR_OK && p.b == 3 && gone(p.a));
    rr_scope scope = rr_scope_begin();
    CHECK(rr_get(pair, given, &p) == RR_OK && holds(rr_take(p.a), 4));
    rr_scope_end(scope);
    CHECK(gone(p.a));
    rr_release(bare), rr_release(given);
    CHECK(objects_settle_at(0));
}

TEST_RUN(stale_handles_are_given_and_taken_as_they_are, .workers = 1) {
    rr_ref stale = rr_put(int, 1), foreign = stale, null = {0};
    foreign.home ^= 0xffff;
    rr_release(stale);
    rr_scope scope = rr_scope_begin();
    CHECK(rr_take(rr_give(stale)).id == stale.id && gone(stale));
    CHECK(rr_take(rr_give(foreign)).home == foreign.home && gone(foreign));
    CHECK(rr_take(rr_give(null)).id == 0);
    CHECK(rr_take(rr_give((rr_actor){0})).id == 0 && rr_take(rr_give((rr_stream){0})).id == 0);
    rr_scope_end(scope);
    CHECK(live() == 0 && f->warnings == 0);
    rr_runtime_use(NULL); /* no runtime at all */
    CHECK(rr_take(rr_give(stale)).id == stale.id);
    rr_runtime_use(f->runtime);
}

TEST_RUN(retained_here_released_there_leaves_later_scopes_right, .workers = 1) {
    rr_ref r = rr_put(int, 6);
    for (int i = 0; i < 10; i++) {
        rr_retain(r); /* given back by the other thread */
        handover h = {.ref = r, .release = true};
        outside other;
        outside_start(&other, f->runtime, read_and_release, &h);
        outside_join(&other);
    }
    rr_ref box = rr_call(refs_wrap, r), inner = {0};
    CHECK(rr_get_void(box) == RR_OK);
    rr_scope scope = rr_scope_begin();
    CHECK(rr_get(rr_ref, box, &inner) == RR_OK && inner.id == r.id);
    rr_scope_end(scope);
    rr_release(box);
    CHECK(objects_settle_at(1) && holds(r, 6));
    rr_release(r);
    CHECK(live() == 0);
}

TEST_RUN(reference_taken_out_of_an_object_is_a_count_of_ones_own, .workers = 1) {
    rr_ref inner = rr_put(int, 3), box = rr_put(rr_ref, inner), out = {0};
    rr_release(inner); /* the box holds it now */
    CHECK(holds(inner, 3));
    CHECK(rr_get(rr_ref, box, &out) == RR_OK && out.id == inner.id);
    rr_release(box);
    CHECK(gone(box) && holds(out, 3) && live() == 1);
    rr_release(out);
    CHECK(gone(out) && live() == 0);
}

TEST_SCOPE(boxes_in_boxes_go_with_the_outermost, .workers = 1) {
    rr_ref box = rr_put(int, 1);
    for (int i = 0; i < 50000; i++) { /* deep enough to overflow a recursive release */
        rr_ref next = rr_put(rr_ref, box);
        rr_release(box);
        box = next;
    }
    CHECK(live() == 50001);
}

TEST_RUN(argument_keeps_its_object_while_the_task_needs_it, .workers = 1) {
    rr_ref gate = unsealed(sizeof(int));
    rr_ref value = rr_put(int, 9);
    rr_ref blocker = rr_call(refs_wrap, gate), result = rr_call(refs_read, value);
    rr_release(value);
    int v = 0;
    CHECK(rr_get(int, result, &v) == RR_OK && v == 9);
    CHECK(rr_seal(gate) == RR_OK && rr_get_void(blocker) == RR_OK);
    CHECK(objects_settle_at(3));
    CHECK(gone(value));
    rr_release(gate), rr_release(blocker), rr_release(result);
    CHECK(objects_settle_at(0));
}

TEST_RUN(reference_dropped_before_the_task_ran, .workers = 2) {
    for (int i = 0; i < 5000; i++) rr_release(rr_call(refs_same, i));
    CHECK(objects_settle_at(0));
    rr_stats s;
    rr_get_stats(&s);
    CHECK(s.tasks_finished == 5000 && s.tasks_failed == 0);
}

TEST_RUN(failed_references_are_released_like_others, .workers = 1) {
    rr_scope scope = rr_scope_begin();
    for (int i = 0; i < 1000; i++) CHECK(gone(rr_call(refs_same, (rr_ref){0})));
    rr_scope_end(scope);
    CHECK(objects_settle_at(0));
    rr_release(rr_call_named("no such function"));
    CHECK(objects_settle_at(0));
}

REMOTE_FN(int, refs_scopes_inside) {
    rr_scope scope = rr_scope_begin();
    rr_ref a = rr_put(int, 1);
    rr_scope_end(scope);
    rr_ref b = rr_put(int, 2);
    rr_scope_begin(); /* left open: the body's end closes it */
    rr_ref c = rr_put(int, 3);
    return gone(a) && holds(b, 2) && holds(c, 3);
}

TEST_RUN(scopes_in_a_body_end_with_the_body, .workers = 2) {
    for (int i = 0; i < 100; i++) {
        rr_ref r = rr_call(refs_scopes_inside);
        CHECK(holds(r, 1));
        rr_release(r);
    }
    CHECK(objects_settle_at(0));
}

typedef struct holder { rr_ref ref; } holder;
static rr_ref refs_retained;
REMOTE_FN(int, refs_retain_for_others, holder, h) { /* not a handle of this body's scope */
    rr_retain(h.ref);
    refs_retained = h.ref;
    return 1;
}
REMOTE_FN(int, refs_hold_and_release) {
    holder h = {rr_put(int, 5)};
    rr_ref below = rr_call(refs_retain_for_others, h); /* runs on top of this body, on one worker */
    int v = 0;
    if (rr_get(int, below, &v) != RR_OK) return 0;
    rr_release(h.ref);
    return v;
}

TEST_RUN(count_that_a_body_retained_is_not_the_waiters_below_it, .workers = 1) {
    CHECK(holds(rr_call(refs_hold_and_release), 1));
    CHECK(holds(refs_retained, 5));
    rr_release(refs_retained);
    CHECK(gone(refs_retained) && objects_settle_at(1));
}

REMOTE_FN(int, refs_end_the_callers_scope, rr_bytes, scope) {
    rr_scope_end(*(const rr_scope *)scope.data);
    return 1;
}

TEST_RUN(body_cannot_end_the_scope_it_is_called_in, .workers = 1) {
    rr_scope scope = rr_scope_begin();
    rr_ref mine = rr_put(int, 5);
    rr_ref r = rr_call(refs_end_the_callers_scope, rr_bytes_of(&scope, sizeof scope));
    CHECK(holds(r, 1) && holds(mine, 5));
    rr_scope_end(scope);
    CHECK(gone(mine) && objects_settle_at(0));
}

int main(int argc, char **argv) { return test_main(argc, argv); }
