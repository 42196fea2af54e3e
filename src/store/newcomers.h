/* Newcomers: small values that were put just now. Most values end soon, so they get no record at
   first, and are in no list: each context notes the last of its own in a ring. When that is full,
   those that still live are listed, all under one lock; who finds no room lists those of all rings.
   Rules  N1  A ring is written by its owner alone, and an entry only when what stood there was
              listed or has ended; others read it at any time. An entry tells an object and its id:
              who reads it takes a count, if the object still has that id (R2 in core/object.h), and
              so neither an old entry nor one that is half written leads to another object.
          N2  Who finds a newcomer in a ring makes it a record under the lock, if it is NEW then;
              and counts there that something was listed, for those that look for room.
          N3  Who puts a value is counted (E5) until after that is published, or has not returned
              (rr_seal). So one that is not found yet will be: whoever made it has not ended.
          N4  has_some is set after an entry is written, and cleared before all are read: by who
              then sets it again, if one was left behind. Meanwhile `listing` tells that some are
              in nobody's sight.
   Locks: the store's. */
#pragma once
#include "users.h"

enum { RR__RING = 64, RR__NEWCOMER_BYTES = 64 << 10 };

struct rr__newcomers {
    uint32_t count; /* owner only */
    RR__ATOMIC(int) has_some;
    RR__ATOMIC(rr__object *) objects[RR__RING];
    RR__ATOMIC(uint64_t) ids[RR__RING];
};

/* Whether it can ever leave, when its value is in place. */
static bool rr__may_leave(const rr_runtime *rt, const rr__object *o, const rr__object *recipe) {
    return o->data.block && rr__info_of(o) > 0 && (rt->config.evict != RR_EVICT_REBUILD || recipe);
}

/* From now on it may leave. */
static void rr__stored_list_locked(rr_runtime *rt, rr__object *o, rr__stored *s) {
    s->object = o;
    rr__store_release(&o->words[0], (uint64_t)(uintptr_t)s); /* pairs with rr__stored_of */
    rr__age_add_locked(rt, s);
}

/* What this entry tells, counted; NULL: it is old, or *is_left: not published yet. */
static rr__object *rr__newcomer_at(rr__context *cx, rr__newcomers *ring, int i, bool *is_left) {
    uint64_t id = rr__load_acquire(&ring->ids[i]);
    rr__object *o = rr__load_acquire(&ring->objects[i]);
    if (!id || !o || rr__load_acquire(&o->id) != id) return NULL;
    if (!(rr__load_relaxed(rr__residence_at(o)) & RR__IS_NEW)) return NULL; /* a hint: N2 */
    if (rr__try_retain(cx, o, id)) return o;
    *is_left = true;
    return NULL;
}

/* Gives records to those of n objects that are NEW, as far as there are any. */
static void rr__newcomers_list_some(rr_runtime *rt, rr__object **objects, rr__stored **records,
                                    int n) {
    rr__lock(&rt->store->lock);
    for (int i = 0; i < n; i++) {
        rr__residence_word *at = rr__residence_at(objects[i]);
        bool is_new = records[i] && (rr__and_seq_cst(at, ~RR__IS_NEW) & RR__IS_NEW);
        if (!is_new) continue;
        rr__stored_list_locked(rt, objects[i], records[i]);
        records[i] = NULL, rt->store->newcomers_listed++;
    }
    rr__unlock(&rt->store->lock);
}

/* Lists those of a ring that still live; what there is no memory for some other time, or it
   stays. */
static RR__NOINLINE void rr__newcomers_list(rr__context *cx, rr__newcomers *ring) {
    rr__object *objects[RR__RING];
    rr__stored *records[RR__RING];
    bool is_left = false;
    int n = 0;
    rr__add_seq_cst(&cx->runtime->store->listing, 1);
    (void)rr__swap_seq_cst(&ring->has_some, 0); /* N4; pairs with rr__newcomer_add */
    for (int i = 0; i < RR__RING; i++)
        if ((objects[n] = rr__newcomer_at(cx, ring, i, &is_left))) n++;
    for (int i = 0; i < n; i++) is_left |= !(records[i] = rr__stored_new(cx));
    if (is_left) rr__store_seq_cst(&ring->has_some, 1);
    RR__STRESS_POINT();
    if (n) rr__newcomers_list_some(cx->runtime, objects, records, n);
    rr__sub_seq_cst(&cx->runtime->store->listing, 1);
    for (int i = 0; i < n; i++) {
        if (records[i]) rr__stored_free(cx, records[i]);
        rr__drop(cx, objects[i]);
    }
}

/* The same for all rings. */
static void rr__newcomers_list_all(rr__context *cx) {
    for (rr__context *c = rr__load_seq_cst(&cx->runtime->contexts); c; c = c->next)
        if (rr__load_seq_cst(&c->newcomers->has_some)) rr__newcomers_list(cx, c->newcomers);
}

/* Its value goes, and its object does not. */
static void rr__newcomer_forget(rr__context *cx, rr__object *o) {
    rr__mutex *lock = &cx->runtime->store->lock;
    bool has_value = o->place != RR__IN_SLOT && o->kind != RR__GATHER;
    if (!has_value || (rr__and_seq_cst(rr__residence_at(o), ~RR__IS_NEW) & RR__IS_NEW)) return;
    rr__lock(lock); /* whoever makes it a record has done so then: N2 */
    rr__unlock(lock);
}

/* Notes one that is not published yet. */
static void rr__newcomer_add(rr__context *cx, rr__object *o) {
    rr__newcomers *ring = cx->newcomers;
    if (ring->count == RR__RING) {
        ring->count = 0;
        rr__newcomers_list(cx, ring);
    }
    rr__residence_begin(o, RR__IS_NEW);
    uint32_t at = ring->count++;
    rr__store_release(&ring->objects[at], o);
    rr__store_release(&ring->ids[at], rr__load_relaxed(&o->id)); /* our own */
    rr__store_release(&ring->has_some, 1);
}
