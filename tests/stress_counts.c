/* Guards ownership: random scopes, puts, views, retain, release, keep, give, take, boxes and calls
   on several threads do what a model of the counts says: each object is there for as long as the
   model counts it, and in the end exactly the model's objects are left.
   stress_counts [threads] [rounds] [seed] */
#define _GNU_SOURCE
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"
#include "stress.h"

enum { OBJECTS = 400, DEPTH = 8, STEPS = 1500 };

/* What the model knows of an object. rr_release takes one that was retained while the scope held
   the handle, else the scope's own, else one of `owned`: those that no scope knows of. */
typedef struct object {
    rr_ref ref;
    int value, retained, owned, given;
    int scope;       /* depth of the scope that holds it, 0: none */
    int pins[DEPTH]; /* views, by the depth of their scope */
    int boxes;       /* living boxes that it is in */
    int inner;       /* a box: what is in it; -1: a value */
    bool is_bytes, used_by_task, dead;
} object;

typedef struct model {
    uint64_t random;
    object *objects;
    int count, depth;
    rr_scope scopes[DEPTH];
} model;

REMOTE_FN(int, counts_same, int, v) { return v; }

static bool lives(const object *x) {
    int n = x->retained + x->owned + x->given + (x->scope > 0) + x->boxes;
    for (int d = 0; d < DEPTH; d++) n += x->pins[d];
    return n > 0;
}
/* An object that lost its last count lets go of what is in it. */
static void settle(model *m, object *x) {
    while (!x->dead && !lives(x)) {
        x->dead = true;
        if (x->inner < 0) return;
        x = &m->objects[x->inner];
        x->boxes--;
    }
}
static object *any(model *m) {
    return m->count ? &m->objects[test_below(&m->random, m->count)] : NULL;
}
static object *received(model *m, rr_ref ref, int value) {
    object *x = &m->objects[m->count++];
    *x = (object){.ref = ref, .value = value, .inner = -1};
    if (m->depth > 0) x->scope = m->depth;
    else x->owned = 1;
    return x;
}

static void make(model *m) {
    static const char zeros[2000];
    int value = (int)test_below(&m->random, 1000000);
    if (m->count == OBJECTS) return;
    object *x = any(m);
    switch (test_below(&m->random, 4)) {
    case 0:
        received(m, rr_put_bytes(zeros, (size_t)value % 2000), value % 2000)->is_bytes = true;
        break;
    case 1:
        if (!x || x->dead) break;
        x->boxes++;
        received(m, rr_put(rr_ref, x->ref), 0)->inner = (int)(x - m->objects);
        break;
    case 2:
        if (!x || x->dead || x->is_bytes || x->inner >= 0) break;
        x->used_by_task = true;
        received(m, rr_call(counts_same, x->ref), x->value)->used_by_task = true;
        break;
    default:
        received(m, rr_put(int, value), value);
    }
}

static void read_value(model *m, object *x) {
    int v = 0;
    rr_bytes view = {0};
    rr_ref out = {0};
    if (x->is_bytes) {
        CHECK(rr_get(rr_bytes, x->ref, &view) == RR_OK && view.size == (size_t)x->value);
        if (m->depth) x->pins[m->depth - 1]++;
    } else if (x->inner < 0) {
        if (!CHECK(rr_get(int, x->ref, &v) == RR_OK && v == x->value))
            fprintf(stderr, "%.500s\n", rr_error_message(x->ref));
    } else {
        object *inner = &m->objects[x->inner];
        if (inner->scope || (m->depth && inner->owned)) return; /* one count of a kind at a time */
        CHECK(rr_get(rr_ref, x->ref, &out) == RR_OK && out.id == inner->ref.id);
        if (m->depth) inner->scope = m->depth;
        else inner->owned++;
    }
}
static void look_at(model *m, object *x) {
    if (!x->dead) read_value(m, x);
    else if (!x->used_by_task) CHECK(rr_get_void(x->ref) == RR_ERR_STALE);
}
static void release(model *m, object *x) {
    int counts = x->retained + x->owned + (x->scope > 0);
    if (counts == 0 && (!x->dead || x->used_by_task)) return; /* not ours to release */
    rr_release(x->ref);                                       /* of a stale one: harmless */
    if (x->retained) x->retained--;
    else if (x->scope) x->scope = 0;
    else if (x->owned) x->owned--;
    settle(m, x);
}
static void keep(object *x) {
    if (x->dead || !(x->scope || x->owned || x->retained)) return;
    CHECK(rr_keep(x->ref).id == x->ref.id);
    if (x->scope) x->owned += 1 + x->retained, x->retained = x->scope = 0;
}
static void retain(object *x) {
    if (x->dead) return;
    rr_retain(x->ref);
    ++*(x->scope ? &x->retained : &x->owned);
}
static void give(object *x) {
    if (x->dead) return;
    CHECK(rr_give(x->ref).id == x->ref.id);
    x->given++;
}
static void take(model *m, object *x) {
    if (!x->given || x->scope || (m->depth && x->owned)) return; /* one count of a kind at a time */
    CHECK(rr_take(x->ref).id == x->ref.id);
    x->given--;
    if (m->depth) x->scope = m->depth;
    else x->owned++;
}
static void end_scopes(model *m, int depth) {
    rr_scope_end(m->scopes[depth - 1]);
    m->depth = depth - 1;
    for (int i = m->count - 1; i >= 0; i--) {
        object *x = &m->objects[i];
        if (x->scope >= depth) x->owned += x->retained, x->retained = x->scope = 0;
        for (int d = depth - 1; d < DEPTH; d++) x->pins[d] = 0;
    }
    for (int i = m->count - 1; i >= 0; i--) settle(m, &m->objects[i]);
}

static void step(model *m) {
    object *x = any(m);
    unsigned choice = (unsigned)test_below(&m->random, 100);
    if (choice < 35 || !x) make(m);
    else if (choice < 55) look_at(m, x);
    else if (choice < 70) release(m, x);
    else if (choice < 77) retain(x);
    else if (choice < 84) keep(x);
    else if (choice < 86) give(x);
    else if (choice < 88) take(m, x);
    else if (choice < 95 && m->depth < DEPTH) m->scopes[m->depth++] = rr_scope_begin();
    else if (m->depth) end_scopes(m, 1 + (int)test_below(&m->random, m->depth));
}
static void play(void *data) {
    model *m = data;
    for (int i = 0; i < STEPS && !test_others.failures; i++) step(m);
    if (m->depth) end_scopes(m, 1);
    for (int i = 0; i < m->count; i++) look_at(m, &m->objects[i]);
}

static uint64_t living(const model *m) {
    uint64_t n = 0;
    for (int i = 0; i < m->count; i++) n += !m->objects[i].dead;
    return n;
}
static void give_back(model *m) {
    for (int i = 0; i < m->count; i++) {
        while (m->objects[i].given) take(m, &m->objects[i]);
        while (m->objects[i].retained || m->objects[i].owned) release(m, &m->objects[i]);
    }
}

static void one_round(uint64_t *random, int threads) {
    fixture f;
    START(&f, .workers = 2);
    outside *players = calloc((size_t)threads, sizeof *players);
    model *models = calloc((size_t)threads, sizeof *models);
    uint64_t wanted = 0;
    for (int i = 0; i < threads; i++) {
        models[i].random = test_random(random);
        models[i].objects = calloc(OBJECTS, sizeof(object));
        outside_start(&players[i], f.runtime, play, &models[i]);
    }
    for (int i = 0; i < threads; i++) outside_join(&players[i]);
    for (int i = 0; i < threads; i++) wanted += living(&models[i]);
    CHECK(objects_settle_at(wanted));
    for (int i = 0; i < threads; i++) give_back(&models[i]); /* from another thread */
    CHECK(objects_settle_at(0) && fixture_messages(&f) == 0);
    for (int i = 0; i < threads; i++) free(models[i].objects);
    free(models), free(players);
    fixture_stop(&f);
}

int main(int argc, char **argv) {
    stress s = stress_begin(argc, argv, 3);
    for (uint64_t random; stress_next(&s, &random);) one_round(&random, s.threads);
    return stress_end(&s);
}
