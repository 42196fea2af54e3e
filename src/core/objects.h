/* The life of an object: making it, publishing it, counting it, and what happens when nothing
   counts it any more (its class frees what it has). Rule R2 at struct rr__object.
   Locks: none but those of the pools. */
#pragma once
#include "self.h"

/* A slot that is used for the first time learns its number. */
static inline uint32_t rr__slot_number(rr_runtime *rt, rr__object *o) {
    return rr__slots_number(&rt->slots, o);
}

static RR__INLINE uint64_t rr__next_id(rr__context *cx) {
    enum { STEP = 1024 };
    if (RR__UNLIKELY(cx->next_id == cx->last_id)) {
        cx->next_id = rr__add_relaxed(&cx->runtime->slots.next_id, (uint64_t)STEP); /* unique */
        cx->last_id = cx->next_id + STEP;
    }
    return cx->next_id++;
}

/* A slot for a new object, not published yet: its word is still 0. NULL without memory. */
static RR__INLINE rr__object *rr__object_new(rr__context *cx, enum rr__kind kind,
                                             const char *site) {
    rr__object *o = rr__cache_take(&cx->runtime->slots.pool, &cx->slots, RR__SLOT_LINK);
    if (RR__UNLIKELY(!o)) return NULL;
    if (RR__UNLIKELY(!o->slot)) o->slot = rr__slot_number(cx->runtime, o);
    o->kind = (uint8_t)kind, o->place = RR__IN_SLOT, o->args_place = RR__IN_SLOT, o->by_ref = 0;
    o->site = site, o->data.block = NULL, o->extra.actor = NULL, o->next = NULL;
    rr__store_relaxed(&o->info, (uint64_t)0); /* published with word */
    o->lane_flags = o->attempt = 0;
    rr__store_relaxed(&o->flags, (uint8_t)0);              /* published with word */
    rr__store_relaxed(&o->dependents, (rr__object *)NULL); /* published with word */
    rr__store_relaxed(&o->waits_on, (rr__object *)NULL);
    rr__store_release(&o->id, rr__next_id(cx)); /* links are verified by it: to what the slot was
                                                   before are gone */
    rr__count(cx, kind == RR__CONSTRUCTOR ? RR__ACTORS_MADE : RR__OBJECTS_MADE);
    return o;
}

/* From here on the object is found through its handle (release; pairs with rule R2's CAS). */
static RR__INLINE void rr__publish_with(rr__object *o, enum rr__state state, uint32_t count,
                                        int type_kind, uint64_t flags) {
    rr__store_release(&o->word, RR__STATE(state) | RR__KIND_BITS(type_kind) | flags | count);
}

/* The same; says by itself where the value is. */
static RR__INLINE void rr__publish(rr__object *o, enum rr__state state, uint32_t count,
                                   int type_kind) {
    uint64_t flags = state == RR__READY && o->place == RR__IN_SLOT ? RR__IS_INLINE : 0;
    rr__publish_with(o, state, count, type_kind, flags);
}

static RR__INLINE void rr__object_free(rr__context *cx, rr__object *o) {
    rr__store_relaxed(&o->id, (uint64_t)0); /* stale from now on; value words are stored release */
    rr__store_release(&o->word, (uint64_t)0);
    if (o->kind != RR__CONSTRUCTOR) rr__count(cx, RR__OBJECTS_GONE); /* an actor: when it ended */
    rr__cache_give(&cx->runtime->slots.pool, &cx->slots, RR__SLOT_LINK, o);
}

static rr_ref rr__ref_to(rr__context *cx, rr__object *o) {
    return (rr_ref){rr__load_relaxed(&o->id), o->slot, cx->runtime->home}; /* we hold a count */
}
static rr_actor rr__actor_to(rr__context *cx, rr__object *o) {
    rr_ref ref = rr__ref_to(cx, o);
    return (rr_actor){ref.id, ref.slot, ref.home};
}

/* ---- what its class does ---- */

/* It was decided (rule R4) and is the caller's, who was about to do something with it. */
static inline void rr__abandon(rr__context *cx, rr__object *o) { rr__ops_of(o)->abandon(cx, o); }

/* Takes what rests out of where it lies. False: it was decided, or is bare, and is no longer the
   caller's (R5). */
static bool rr__pick_up(rr__context *cx, rr__object *o) {
    uint64_t word = rr__and_seq_cst(&o->word, ~RR__IS_RESTING);
    if (RR__LIKELY(!(word & (RR__IS_DECIDED | RR__IS_BARE)))) return true;
    rr__abandon(cx, o);
    return false;
}

/* Runs what was claimed. `until`: an actor stops when this message of it is over; or NULL. */
static inline void rr__run(rr__context *cx, rr__object *o, const rr__step *until) {
    rr__ops_of(o)->run(cx, o, until);
}

/* ---- counts ---- */

/* Nothing counts it any more: frees it and, as a loop, what only it kept. */
static RR__NOINLINE void rr__bury(rr__context *cx, rr__object *o) {
    o->next = cx->dead.first;
    cx->dead.first = o;
    if (cx->dead.is_running) return;
    cx->dead.is_running = true;
    while ((o = cx->dead.first)) {
        cx->dead.first = o->next;
        rr__ops_of(o)->end(cx, o);
        rr__object_free(cx, o);
    }
    cx->dead.is_running = false;
}

/* The last count went; `word` is what it was before. The last count of an actor that has not ended
   is no end of its slot: its runner frees that. The word as it was then decides, because the runner
   may be about to. */
static RR__NOINLINE void rr__last_dropped(rr__context *cx, rr__object *o, uint64_t word) {
    uint64_t flags = word & (RR__IS_INLINE | RR__HAS_CONTROL);
    if (RR__LIKELY(flags == RR__IS_INLINE && rr__kind_is_plain(rr__kind_in(word))))
        rr__object_free(cx, o);
    else if ((word & RR__IS_ACTOR) && rr__state_of(word) != RR__FAILED) {
        RR__STRESS_POINT();
        rr__above.ops[RR__CONSTRUCTOR].unheld(cx, o);
    } else rr__bury(cx, o);
}

static inline void rr__drop(rr__context *cx, rr__object *o) {
    uint64_t word = rr__sub_acq_rel(&o->word, (uint64_t)1);
    if ((word & RR__COUNT_MASK) == 1) rr__last_dropped(cx, o, word);
}

/* The caller's pin and a count that it says it has; if two threads give the same count back, the
   second finds nothing but its pin. */
static void rr__drop_two(rr__context *cx, rr__object *o) {
    uint64_t word = rr__load_relaxed(&o->word), counts; /* the CAS checks it */
    do counts = (word & RR__COUNT_MASK) >= 2 ? 2 : 1;
    while (!rr__cas_seq_cst(&o->word, &word, word - counts));
    if ((word & RR__COUNT_MASK) == counts) rr__last_dropped(cx, o, word);
}

/* A further count, by one who holds one already. */
static inline void rr__share(rr__object *o) { rr__add_relaxed(&o->word, (uint64_t)1); }

/* Rule R2. False for a stale handle. */
static bool rr__try_retain(rr__context *cx, rr__object *o, uint64_t id) {
    uint64_t word = rr__load_relaxed(&o->word); /* the CAS checks it */
    do {
        uint64_t count = word & RR__COUNT_MASK;
        if (count == 0 || count == RR__COUNT_MASK >> 1) return false;
    } while (!rr__cas_seq_cst(&o->word, &word, word + 1));
    if (RR__LIKELY(rr__load_relaxed(&o->id) == id)) return true;
    rr__drop(cx, o); /* it was another object's; put it back */
    return false;
}

/* The slot that a handle speaks of, if it still does; no count is taken. */
static RR__INLINE rr__object *rr__find(rr_runtime *rt, rr_ref ref) {
    if (ref.home != rt->home || ref.id == 0) return NULL;
    rr__object *o = rr__slot_at(rt, ref.slot);
    return o && rr__load_acquire(&o->id) == ref.id ? o : NULL;
}

/* The same with a count, which keeps it. Actors and objects do not stand in for each other. */
static rr__object *rr__pin(rr__context *cx, rr_ref ref, bool actor) {
    rr__object *o = rr__find(cx->runtime, ref);
    if (!o || !rr__try_retain(cx, o, ref.id)) return NULL;
    if ((o->kind == RR__CONSTRUCTOR) == actor) return o;
    rr__drop(cx, o);
    return NULL;
}
static rr_ref rr__as_ref(rr_actor actor) { return (rr_ref){actor.id, actor.slot, actor.home}; }
static rr__object *rr__pin_actor(rr__context *cx, rr_actor actor) {
    return rr__pin(cx, rr__as_ref(actor), true);
}

/* The object that a stored handle counts; NULL for the null handle. */
static rr__object *rr__contained(rr__context *cx, rr__object *o) {
    rr_ref inner; /* rr_actor has the same layout */
    memcpy(&inner, rr__data(o), sizeof inner);
    return inner.id ? rr__slot_at(cx->runtime, inner.slot) : NULL;
}

/* The next live object from slot number *slot on, counted for the caller; NULL after the last one.
   So it may be looked at while others go on. */
static rr__object *rr__live_next(rr__context *cx, uint32_t *slot) {
    for (rr__object *o; (o = rr__slot_at(cx->runtime, *slot)); ++*slot) {
        uint64_t id = rr__load_acquire(&o->id);
        if (id && rr__try_retain(cx, o, id)) return ++*slot, o;
    }
    return NULL;
}

/* Visits every live object. */
static void rr__each_object(rr__context *cx, void (*visit)(rr__context *, rr__object *)) {
    uint32_t slot = 1;
    for (rr__object *o; (o = rr__live_next(cx, &slot));) {
        visit(cx, o);
        rr__drop(cx, o);
    }
}
