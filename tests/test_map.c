/* Guards the maps behind names and pins: keys that share their hash or meet at the end of the
   table, deletion in the middle of them, growing and shrinking, and memory that runs out. */
#define _GNU_SOURCE
#include <stdlib.h>
static _Thread_local long map_budget = -1; /* allocations until all fail; negative: none does */
static _Thread_local long map_refused;     /* so many did */
static inline void *map_calloc(size_t n, size_t size) {
    if (map_budget == 0) return map_refused++, NULL;
    if (map_budget > 0) map_budget--;
    return calloc(n, size);
}
#define RR_MALLOC(size) malloc(size)
#define RR_CALLOC(n, size) map_calloc((n), (size))
#define RR_REALLOC(p, size) realloc((p), (size))
#define RR_FREE(p) free(p)
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"

enum { KEYS = 300 };
typedef struct model {
    char keys[KEYS][8];
    intptr_t values[KEYS]; /* 0: it is not there */
    size_t count;
    uint64_t spread; /* so many hashes */
    rr__map map;
} model;

static uint64_t hash_of(const model *m, int i) {
    return rr__hash_number((uint64_t)i % m->spread) | 3; /* some at the end of a small table */
}
static rr__map_entry *entry_of(const model *m, int i) {
    return rr__map_find(&m->map, hash_of(m, i), m->keys[i]);
}
static void holds_the_same(const model *m) {
    CHECK(m->map.count == m->count);
    for (int i = 0; i < KEYS; i++) {
        rr__map_entry *e = entry_of(m, i);
        CHECK(m->values[i] ? e && e->value == (void *)m->values[i] : !e);
    }
}
static void model_begin(model *m, uint64_t spread) {
    *m = (model){.spread = spread};
    for (int i = 0; i < KEYS; i++) snprintf(m->keys[i], sizeof m->keys[i], "%d", i);
}
static void change(model *m, int i, intptr_t value) {
    if (m->values[i]) {
        rr__map_remove(&m->map, entry_of(m, i));
        m->values[i] = 0, m->count--;
    } else if (rr__map_add(&m->map, hash_of(m, i), m->keys[i], (void *)value)) {
        m->values[i] = value, m->count++;
    }
}

TEST(keys_that_meet_are_found_after_others_were_deleted) {
    static const uint64_t spreads[] = {1, 2, 7, 50, 1 << 20};
    uint64_t random = test_seed;
    for (size_t k = 0; k < sizeof spreads / sizeof *spreads; k++) {
        model m;
        model_begin(&m, spreads[k]);
        for (int step = 1; step <= 4000; step++) {
            int keys = step % 2000 < 1000 ? KEYS : 20; /* it grows, and then few are left */
            int i = (int)test_below(&random, keys);
            change(&m, i, step);
            if (step % 2000 >= 1000 && step % 3 == 0)
                for (int j = keys; j < KEYS; j++)
                    if (m.values[j]) {
                        change(&m, j, 0);
                        break;
                    }
            if (step % 50 == 0) holds_the_same(&m);
        }
        rr__map_free(&m.map);
    }
}

/* Adds or deletes until so many are there, if there is memory; each is tried once. */
static void bring_to(model *m, int count, intptr_t value) {
    bool deletes = m->count > (size_t)count;
    for (int i = 0; i < KEYS && m->count != (size_t)count; i++)
        if ((m->values[i] != 0) == deletes) change(m, i, value);
}
TEST(without_memory_to_grow_it_stays_as_it_was) {
    uint64_t random = test_seed + 1;
    model m;
    model_begin(&m, 1000);
    for (int round = 0; round < 60; round++) {
        bool grows = round % 2 == 0;
        int few = 1 + (int)test_below(&random, 20), many = KEYS - (int)test_below(&random, 100);
        bring_to(&m, 0, 0); /* and its memory goes */
        bring_to(&m, grows ? few : many, round + 1);
        holds_the_same(&m);
        map_budget = (long)test_below(&random, 3);
        long before = map_refused;
        bring_to(&m, grows ? many : few, round + 1);
        if (grows) CHECK(map_refused > before); /* from 20 to 200 keys it doubles thrice */
        map_budget = -1;
        holds_the_same(&m);
    }
    CHECK(map_refused > 30);
    for (int i = 0; i < KEYS; i++)
        if (m.values[i]) change(&m, i, 0);
    CHECK(!m.map.entries && !m.map.room);
}

TEST(numbers_are_told_apart) {
    rr__map map = {NULL, 0, 0};
    for (intptr_t i = 0; i < 5000; i++)
        CHECK(rr__map_put_number(&map, (uint64_t)i << 40, (void *)i));
    for (intptr_t i = 0; i < 5000; i += 2)
        rr__map_remove(&map, rr__map_at_number(&map, (uint64_t)i << 40));
    for (intptr_t i = 0; i < 5000; i++) {
        rr__map_entry *e = rr__map_at_number(&map, (uint64_t)i << 40);
        CHECK(i % 2 ? e && e->value == (void *)i : !e);
    }
    rr__map_free(&map);
}

REMOTE_FN(int, map_nothing, int, v) { return v; }

/* Through the interface: very many, given, moved and taken away. */
TEST(very_many_names) {
    enum { MANY = 100000 };
    fixture f;
    START(&f, .workers = 1);
    char name[24];
    rr_ref found, value = rr_put(int, 7), other = rr_call(map_nothing, 8);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "name %d", i);
        CHECK(rr_name(name, i % 2 ? value : other) == RR_OK);
    }
    for (int i = 0; i < MANY; i += 3) {
        snprintf(name, sizeof name, "name %d", i);
        CHECK(rr_name(name, (rr_ref){0}) == RR_OK);
        CHECK(rr_find(name, &found) == RR_ERR_NOT_FOUND);
    }
    for (int i = 0; i < MANY; i += 101) {
        int v = 0;
        snprintf(name, sizeof name, "name %d", i);
        rr_status status = rr_find(name, &found);
        CHECK(status == (i % 3 ? RR_OK : RR_ERR_NOT_FOUND));
        if (status != RR_OK) continue;
        CHECK(rr_get(int, found, &v) == RR_OK && v == (i % 2 ? 7 : 8));
        rr_release(found);
    }
    rr_release(value), rr_release(other);
    CHECK(objects_settle_at(2)); /* the names keep them */
    fixture_stop(&f);
}

int main(int argc, char **argv) { return test_main(argc, argv); }
