/* Guards results in place: a body writes into the memory of an argument only where nobody else can
   see it, now or later; else it gets a copy. Nothing is lost, leaked or counted twice. */
#define _GNU_SOURCE
#include <sched.h>
static void stress_point(void);
#define RR__STRESS_POINT() stress_point()
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"
#include "stress.h"

enum { SIZE = 100 * 1024, SMALL = 100, STEPS = 200, GATES = 8 * STEPS };

static rr_stats stats(void) {
    rr_stats s;
    rr_get_stats(&s);
    return s;
}
static rr_ref block_of(size_t size, unsigned char value) {
    void *room = NULL;
    rr_ref r = rr_create(size, &room);
    if (CHECK(room != NULL)) memset(room, value, size);
    CHECK(rr_seal(r) == RR_OK);
    return r;
}
static bool is_all(rr_bytes b, unsigned char value, size_t size) {
    const unsigned char *p = b.data;
    bool same = b.size == size;
    for (size_t i = 0; same && i < size; i++) same = p[i] == value;
    return same;
}
static bool holds(rr_ref r, unsigned char value, size_t size) {
    rr_bytes view = {0};
    rr_scope scope = rr_scope_begin();
    bool ok = rr_get(rr_bytes, r, &view) == RR_OK && is_all(view, value, size);
    rr_scope_end(scope);
    return ok;
}

/* Adds one to each byte; *at counts those that were in place. */
static rr_bytes bump_from(rr_bytes block, uint64_t at) {
    unsigned char *room = rr_result_from(block);
    if (!room) return (rr_bytes){0};
    if (at && room == block.data) ++*(atomic_int *)(uintptr_t)at;
    for (size_t i = 0; i < block.size; i++) room[i]++;
    return rr_bytes_of(room, block.size);
}
#define AT(count) ((uint64_t)(uintptr_t)(count))
REMOTE_FN(rr_bytes, inplace_bump, rr_bytes, block, uint64_t, at) { return bump_from(block, at); }
REMOTE_FN(rr_bytes, inplace_bump_first, rr_bytes, block, rr_bytes, other, uint64_t, at) {
    return (void)other, bump_from(block, at);
}
/* A task that counts its argument alone: it waits for the gate until the caller has let go. */
REMOTE_FN(rr_bytes, inplace_gated, rr_bytes, gate, rr_bytes, block, uint64_t, at) {
    return (void)gate, bump_from(block, at);
}
static rr_ref bump_alone(rr_ref block, atomic_int *in_place) {
    rr_ref gate = unsealed(8), r = rr_call(inplace_gated, gate, block, AT(in_place));
    rr_release(block);
    CHECK(rr_seal(gate) == RR_OK);
    rr_release(gate);
    return r;
}

static void chain(size_t size, size_t limit) {
    fixture f;
    atomic_int in_place = 0;
    START(&f, .workers = 2, .store_bytes = limit);
    rr_ref block = block_of(size, 0);
    for (int i = 0; i < STEPS; i++) block = bump_alone(block, &in_place);
    /* Who submits or completes something may count it for a moment longer. */
    if (!CHECK(holds(block, STEPS, size) && in_place > STEPS / 2))
        fprintf(stderr, "%zu bytes, limit %zu: %d in place\n", size, limit, in_place);
    CHECK(stats().store_bytes_used == size && stats().objects_spilled == 0);
    rr_release(block);
    CHECK(objects_settle_at(0) && stats().store_bytes_used == 0);
    fixture_stop(&f);
}
TEST(block_that_nobody_else_has_is_updated_in_place) {
    chain(SIZE, 0), chain(SIZE, 2 * SIZE + GATES), chain(SIZE, 100 * SIZE);
    chain(SMALL, 0), chain(SMALL, 2 * SMALL + GATES);
}

TEST_SCOPE(bytes_by_value_are_the_tasks_own, .workers = 1) {
    static char local[SIZE];
    atomic_int in_place = 0;
    rr_ref r = rr_call(inplace_bump, rr_bytes_of(local, SIZE), AT(&in_place));
    CHECK(holds(r, 1, SIZE) && in_place == 1 && local[0] == 0);
}

/* ---- whoever can see it keeps it as it is ---- */

static void seen_by_others(size_t limit) {
    fixture f;
    atomic_int in_place = 0;
    START(&f, .workers = 2, .store_bytes = limit);
    rr_scope scope = rr_scope_begin();
    rr_ref held = block_of(SIZE, 3), part = block_of(SIZE, 3), named = block_of(SIZE, 3);
    rr_ref pinned = block_of(SIZE, 3), twice = block_of(SIZE, 3), viewed = block_of(SIZE, 3);
    CHECK(holds(rr_call(inplace_bump, held, AT(&in_place)), 4, SIZE) && holds(held, 3, SIZE));

    rr_ref gather = rr_gather(&part, 1);
    rr_many many;
    CHECK(holds(bump_alone(part, &in_place), 4, SIZE));
    CHECK(rr_get(rr_many, gather, &many) == RR_OK && is_all(many.items[0], 3, SIZE));

    rr_ref found;
    CHECK(rr_name("block", named) == RR_OK && holds(bump_alone(named, &in_place), 4, SIZE));
    CHECK(rr_find("block", &found) == RR_OK && holds(found, 3, SIZE));
    CHECK(rr_name("block", (rr_ref){0}) == RR_OK);

    CHECK(rr_pin(pinned) == RR_OK);
    rr_retain(pinned);
    CHECK(holds(bump_alone(pinned, &in_place), 4, SIZE) && holds(pinned, 3, SIZE));
    CHECK(rr_unpin(pinned) == RR_OK);

    rr_ref gate = unsealed(8);
    rr_ref r = rr_call(inplace_bump_first, twice, twice, AT(&in_place));
    CHECK(holds(r, 4, SIZE) && holds(twice, 3, SIZE));

    rr_bytes view;
    CHECK(rr_get(rr_bytes, viewed, &view) == RR_OK); /* the scope's */
    CHECK(holds(bump_alone(viewed, &in_place), 4, SIZE) && is_all(view, 3, SIZE));
    CHECK(in_place == 0);
    rr_release(gate);
    rr_scope_end(scope);
    CHECK(objects_settle_at(0) && stats().store_bytes_used == 0);
    fixture_stop(&f);
}
TEST(what_others_can_see_is_copied) { seen_by_others(0), seen_by_others(100 * SIZE); }

/* ---- what may run again keeps its arguments ---- */

REMOTE_FN(rr_bytes, inplace_fails_once, rr_bytes, gate, rr_bytes, block, uint64_t, at) {
    (void)gate;
    rr_bytes result = bump_from(block, at);
    if (rr_attempt() == 0) rr_fail(1, "the first time");
    return result;
}
TEST_SCOPE(retried_body_finds_its_argument_as_it_was, .workers = 1) {
    atomic_int in_place = 0;
    rr_ref gate = unsealed(8), block = block_of(SIZE, 3);
    rr_ref r =
        rr_call_with(RR_OPTIONS(.max_retries = 2), inplace_fails_once, gate, block, AT(&in_place));
    rr_release(block);
    CHECK(rr_seal(gate) == RR_OK && holds(r, 4, SIZE) && in_place == 0);
}
TEST(result_that_may_be_made_again_is_made_of_the_same) {
    fixture f;
    atomic_int in_place = 0;
    START(&f, .workers = 1, .store_bytes = 6 * SIZE, .evict = RR_EVICT_REBUILD);
    rr_scope scope = rr_scope_begin();
    rr_ref first = rr_call(inplace_bump, rr_bytes_of((char[SIZE]){0}, SIZE), AT(&in_place));
    rr_ref second = bump_alone(first, &in_place), third = bump_alone(second, &in_place);
    CHECK(rr_get_void(third) == RR_OK);
    void *room = NULL;
    rr_release(rr_create(4 * SIZE, &room)); /* all that may leave does */
    CHECK(room && holds(third, 3, SIZE) && stats().objects_rebuilt > 0 && in_place == 0);
    rr_ref own = block_of(SIZE, 7), gate = unsealed(8);
    rr_ref r =
        rr_call_with(RR_OPTIONS(.no_rebuild = true), inplace_gated, gate, own, AT(&in_place));
    rr_release(own);
    CHECK(rr_seal(gate) == RR_OK && holds(r, 8, SIZE) && in_place == 1);
    rr_scope_end(scope);
    fixture_stop(&f);
}

typedef struct Bumper {
    int calls;
} Bumper;
REMOTE_ACTOR(Bumper, create) { self->calls = 0; }
REMOTE_METHOD(rr_bytes, Bumper, bump, rr_bytes, gate, rr_bytes, block, uint64_t, at) {
    (void)gate;
    self->calls++;
    rr_bytes result = bump_from(block, at);
    if (self->calls == 1 && rr_attempt() == 0) rr_crash_actor("the first time");
    return result;
}
static rr_ref ask_alone(rr_actor actor, atomic_int *in_place) {
    rr_ref gate = unsealed(8), block = block_of(SIZE, 3);
    rr_ref r = rr_ask(actor, Bumper_bump, gate, block, AT(in_place));
    rr_release(block);
    CHECK(rr_seal(gate) == RR_OK);
    return r;
}
TEST_SCOPE(methods_update_in_place_unless_they_are_tried_again, .workers = 1) {
    atomic_int in_place = 0;
    rr_actor again =
        rr_spawn_with(RR_ACTOR_OPTIONS(.max_restarts = 1, .max_method_retries = 1), Bumper_create);
    CHECK(holds(ask_alone(again, &in_place), 4, SIZE) && in_place == 0);
    rr_actor plain = rr_spawn(Bumper_create);
    CHECK(rr_get_void(ask_alone(plain, &in_place)) == RR_ERR_ACTOR_CRASHED && in_place == 1);
}

/* ---- misuse, and ends ---- */

REMOTE_FN(rr_bytes, inplace_wrong, rr_bytes, block, int, way) {
    rr_bytes other = way == 0   ? rr_bytes_of("abc", 3)
                     : way == 1 ? rr_bytes_of(block.data, block.size - 1)
                                : rr_bytes_of((const char *)block.data + 1, block.size - 1);
    CHECK(rr_result_from(other) == NULL);
    return rr_bytes_of("x", 1);
}
TEST_SCOPE(what_is_no_argument_is_refused, .workers = 1) {
    for (int way = 0; way < 3; way++) {
        rr_ref r = rr_call(inplace_wrong, block_of(SIZE, 1), way);
        CHECK(rr_get_void(r) == RR_ERR_INVALID && strstr(rr_error_message(r), "no argument"));
    }
    CHECK(rr_result_from(rr_bytes_of("abc", 3)) == NULL);
    CHECK(fixture_logged(f, "rr_result_from"));
    rr_bytes empty = {0};
    rr_ref r = rr_call(inplace_bump, rr_bytes_of(NULL, 0), (uint64_t)0);
    rr_status status = rr_get(rr_bytes, r, &empty);
    CHECK(status == RR_OK && empty.size == 0);
}

/* It takes over, and then does something else. */
REMOTE_FN(rr_bytes, inplace_changes_its_mind, rr_bytes, gate, rr_bytes, block, int, way) {
    (void)gate;
    unsigned char *room = rr_result_from(block);
    CHECK(room == block.data && rr_result_from(block) == room);
    if (way == 0) rr_fail(1, "after it");
    if (way == 1) return rr_bytes_of("other", 5);
    if (way == 2) return memset(room, 9, 10), rr_bytes_of(room, 10);
    if (way == 3) room = rr_result(20), memset(room, 9, 20);
    return rr_bytes_of(room, way == 3 ? 20 : block.size);
}
static void changes_its_mind(size_t limit) {
    static const size_t sizes[] = {0, 5, 10, 20, SIZE};
    for (int way = 0; way < 5; way++) {
        fixture f;
        START(&f, .workers = 1, .store_bytes = limit);
        rr_ref gate = unsealed(8), block = block_of(SIZE, 3);
        rr_ref r = rr_call(inplace_changes_its_mind, gate, block, way);
        rr_release(block);
        CHECK(rr_seal(gate) == RR_OK && rr_get_void(r) == (way ? RR_OK : RR_ERR_TASK));
        CHECK(rr_size(r) == sizes[way] && stats().store_bytes_used == sizes[way] + 8);
        if (way == 2 || way == 3) CHECK(holds(r, 9, sizes[way]));
        rr_release(gate), rr_release(r);
        CHECK(objects_settle_at(0) && stats().store_bytes_used == 0);
        fixture_stop(&f);
    }
}
TEST(memory_taken_over_goes_where_the_room_goes) {
    changes_its_mind(0), changes_its_mind(4 * SIZE);
}

REMOTE_FN(rr_bytes, inplace_waits, rr_bytes, gate, rr_bytes, block, rr_ref, other) {
    (void)gate;
    rr_bytes result = bump_from(block, 0);
    (void)rr_get_void(other);
    return result;
}
TEST_SCOPE(body_that_is_cancelled_after_it_took_an_argument, .workers = 1,
           .store_bytes = 4 * SIZE) {
    rr_ref gate = unsealed(8), other = unsealed(8), block = block_of(SIZE, 3);
    rr_ref r = rr_call(inplace_waits, gate, block, other);
    rr_release(block);
    CHECK(rr_seal(gate) == RR_OK);
    while (stats().objects_live > 3) sched_yield(); /* the block's has ended */
    CHECK(rr_cancel(r) == RR_OK && rr_get_void(r) == RR_ERR_CANCELLED);
    rr_release(r);
    CHECK(rr_seal(other) == RR_OK);
}

/* ---- readers at once ---- */

/* With a handle that it has no count of: it sees the block as it was, or that it is gone. */
typedef struct peeker {
    RR__ATOMIC(uint64_t) id;
    RR__ATOMIC(uint32_t) slot;
    uint32_t home;
    atomic_bool is_over;
    atomic_int seen;
} peeker;
static void peek(void *data) {
    peeker *p = data;
    while (!p->is_over) {
        rr_scope scope = rr_scope_begin();
        rr_bytes view;
        rr_ref r = {rr__load_relaxed(&p->id), rr__load_relaxed(&p->slot), p->home};
        if (rr_get_timeout(rr_bytes, r, &view, 0) == RR_OK) {
            unsigned char first = *(const unsigned char *)view.data;
            for (int i = 0; i < 3; i++) sched_yield(), CHECK(is_all(view, first, SMALL));
            p->seen++;
        }
        rr_scope_end(scope);
    }
}
static void peeked_at(size_t limit) {
    fixture f;
    atomic_int in_place = 0;
    peeker p = {.is_over = false};
    outside thread;
    START(&f, .workers = 2, .store_bytes = limit);
    rr_ref first = block_of(SMALL, 0);
    p.home = first.home;
    rr_release(first);
    outside_start(&thread, f.runtime, peek, &p);
    double end = rr_now() + 0.5;
    for (int i = 0; i < 20 || rr_now() < end; i++) {
        rr_ref block = block_of(SMALL, (unsigned char)i);
        rr__store_relaxed(&p.slot, block.slot), rr__store_relaxed(&p.id, block.id);
        rr_ref r = bump_alone(block, &in_place);
        CHECK(holds(r, (unsigned char)(i + 1), SMALL));
        rr_release(r);
    }
    p.is_over = true;
    outside_join(&thread);
    CHECK(in_place > 0);
    CHECK(objects_settle_at(0) && stats().store_bytes_used == 0);
    fixture_stop(&f);
}
TEST(reader_never_sees_what_is_written_in_place) { peeked_at(0), peeked_at(4096); }

int main(int argc, char **argv) { return test_main(argc, argv); }
