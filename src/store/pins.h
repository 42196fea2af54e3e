/* Pins: who reads a value pins it first and brings it back if it is not here, so what is looked at
   never moves (rules E1 to E4 in store/residence.h). Without a limit a pin is nothing.
   Locks: the store's. */
#pragma once
#include "room.h"

/* The parts of a gather. */
struct rr__parts {
    size_t count, seen;      /* parts below seen are complete */
    rr__residence_word word; /* HERE: items are valid; if values may leave */
    rr__parker *filler;      /* who brings its parts back; or NULL. The store's lock */
    rr__object **objects;
    rr_bytes items[];
};

/* Its value is in place, outside the slot: from now on it may leave. Its owner, before it is READY.
   Takes over the recipe. Without memory for the record it stays, for good. */
static RR__NOINLINE void rr__stored_make(rr__context *cx, rr__object *o, rr__object *recipe) {
    rr_runtime *rt = cx->runtime;
    bool may_leave = rr__may_leave(rt, o, recipe);
    bool has_time = !recipe && rr__info_of(o) <= RR__NEWCOMER_BYTES &&
                    !rr__load_relaxed(&rt->store->patients); /* a hint: rr__room_tick */
    if (may_leave && has_time) {
        rr__newcomer_add(cx, o);
        return;
    }
    rr__stored *s = may_leave ? rr__stored_new(cx) : NULL;
    rr__residence_begin(o, 0);
    if (!s) {
        if (recipe) rr__above.recipe_end(cx, recipe);
        return;
    }
    s->recipe = recipe;
    rr__lock(&rt->store->lock);
    rr__stored_list_locked(rt, o, s);
    rr__unlock(&rt->store->lock);
    RR__STRESS_POINT();
}

static RR__INLINE void rr__stored_begin(rr__context *cx, rr__object *o) {
    if (RR__UNLIKELY(cx->runtime->evicts) && o->place != RR__IN_SLOT) rr__stored_make(cx, o, NULL);
}

/* The object ends. What the spiller writes at the moment stays until it is done. */
static RR__NOINLINE void rr__stored_end(rr__context *cx, rr__object *o) {
    rr_runtime *rt = cx->runtime;
    rr__stored *s = rr__stored_of(o);
    if (!s) return;
    rr__object *recipe = s->recipe;
    RR__STRESS_POINT();
    rr__lock(&rt->store->lock);
    rr__age_remove_locked(rt, s);
    rr__file_drop_locked(rt, s->file, rr__info_of(o));
    uint64_t word = rr__load_relaxed(rr__residence_at(o)); /* changed under this lock */
    bool is_leaving = rr__residence_in(word) == RR__LEAVING;
    if (is_leaving) s->object = NULL, o->data.block = NULL; /* the spiller frees it */
    rr__unlock(&rt->store->lock);
    if (!is_leaving) rr__stored_free(cx, s);
    if (recipe) rr__above.recipe_end(cx, recipe);
}

/* The same when the runtime's memory goes. */
static void rr__stored_dispose(rr_runtime *rt, rr__object *o) {
    rr__stored *s = rt->evicts ? rr__stored_of(o) : NULL;
    if (s) rr__file_drop_locked(rt, s->file, rr__info_of(o));
}

/* Reads it from its file. It is RETURNING, and the caller's. */
static rr_status rr__restore(rr__context *cx, rr__stored *s) {
    rr_runtime *rt = cx->runtime;
    rr__object *o = s->object;
    size_t size = rr__info_of(o);
    void *block;
    uint8_t place;
    rr_status status = rr__value_room(cx, size, &block, &place);
    if (status != RR_OK) return status;
    cx = rr__here(cx);
    double start = rr_now();
    const char *fault = rr__value_read(s->file->fd, block, size, s->at, s->sum);
    if (fault) {
        rr__refuse(RR_ERR_IO, "its file in rr_config.spill_dir '%s' cannot be read: %s",
                   rt->store->spill_dir, fault);
        rr__value_return(cx, block, size, place);
        return RR_ERR_IO;
    }
    rr__lock(&rt->store->lock);
    o->data.block = block, o->place = place;
    rt->store->stats.objects_restored++;
    rt->store->stats.spill_bytes_read += size;
    rt->store->stats.spill_seconds += rr_now() - start;
    rr__unlock(&rt->store->lock);
    return RR_OK;
}

/* Waits while another one brings something back, which may wait for room itself: so one that copies
   outside of bodies is no longer one of those who will be over soon (E5). The store's lock is given
   up meanwhile. */
static void rr__store_wait_returning_locked(rr__context *cx, rr__parker *const *by) {
    rr__store *store = cx->runtime->store;
    bool copies = rr__self()->copies == cx->runtime;
    if (!*by) return;
    if (copies) rr__store_copies(cx, false);
    while (*by) rr__line_wait(cx, &store->returning, &store->lock, *by);
    if (copies) rr__store_copies(rr__here(cx), true);
}

/* Pins what is here; else *was tells from where it has to be brought back first, and the caller
   does. RR_ERR_STORE_FULL: another one does, or it has to be made again (recipe), which takes time
   and room, and the caller is in haste.
   RR_ERR_DEADLOCK: this one does, and the body that makes it again asks for it. */
static rr_status rr__pin_or_claim(rr__context *cx, rr__residence_word *at, rr__parker **claimer,
                                  const rr__object *recipe, enum rr__residence *was) {
    rr_runtime *rt = cx->runtime;
    rr__local *self = rr__self();
    rr__parker *own = rr__parker_of(self, cx);
    rr_status status = RR_OK;
    *was = RR__HERE;
    if (RR__LIKELY(rr__pin_begin(at))) return RR_OK;
    rr__lock(&rt->store->lock);
    if (*claimer != own && !self->is_hasty) rr__store_wait_returning_locked(cx, claimer);
    enum rr__residence now = rr__residence_in(rr__load_acquire(at));
    RR__STRESS_POINT();
    if (now == RR__LOST && recipe && self->is_hasty) {
        status = RR_ERR_STORE_FULL;
    } else if (now == RR__RETURNING) {
        status = *claimer == own ? RR_ERR_DEADLOCK : RR_ERR_STORE_FULL;
    } else if (!rr__pin_begin(at)) { /* a gather that was HERE may be AWAY by now */
        *was = rr__residence_in(rr__load_acquire(at));
        rr__store_release(at, RR__RESIDENCE(RR__RETURNING));
        *claimer = own;
    }
    rr__unlock(&rt->store->lock);
    return status;
}

/* It was brought back, and is pinned, or could not be. A gather has no record. */
static void rr__claim_end(rr__context *cx, rr__residence_word *at, rr__parker **claimer,
                          rr__stored *s, enum rr__residence was, rr_status status) {
    rr_runtime *rt = cx->runtime;
    RR__STRESS_POINT();
    rr__lock(&rt->store->lock);
    *claimer = NULL;
    rr__store_release(at, status == RR_OK ? RR__RESIDENCE(RR__HERE) | 1
                                          : RR__RESIDENCE(was)); /* pairs with rr__pin_begin */
    if (s && status == RR_OK) rr__age_add_locked(rt, s);
    rr__store_signal_locked(cx);
    rr__unlock(&rt->store->lock);
}
static void rr__stored_claim_end(rr__context *cx, rr__stored *s, enum rr__residence was,
                                 rr_status status) {
    rr__claim_end(cx, rr__residence_at(s->object), &s->claimer, s, was, status);
}

/* Not in memory, a moment ago. */
static RR__NOINLINE rr_status rr__use_slowly(rr__context *cx, rr__object *o) {
    rr__stored *s = rr__stored_of(o);
    enum rr__residence was;
    rr_status status = rr__pin_or_claim(cx, rr__residence_at(o), &s->claimer, s->recipe, &was);
    if (was == RR__HERE) return status;
    RR__STRESS_POINT();
    cx = rr__here(cx);
    status = was == RR__AWAY ? rr__restore(cx, s)
             : s->recipe     ? rr__above.rebuild(cx, s)
                             : rr__refuse(RR_ERR_OBJECT_LOST, "it made room for others, and %s",
                                          "rr_config.evict is RR_EVICT_DROP: nothing has a copy");
    rr__stored_claim_end(rr__here(cx), s, was, status);
    return status;
}

static rr_status rr__parts_use(rr__context *cx, rr__object *gather);
static RR__NOINLINE rr_status rr__use_stored(rr__context *cx, rr__object *o) {
    if (o->kind != RR__GATHER && !rr__has_residence(o)) return RR_OK;
    rr__store_touch(cx);
    if (RR__UNLIKELY(o->kind == RR__GATHER)) return rr__parts_use(cx, o);
    if (RR__UNLIKELY(!rr__pin_begin(rr__residence_at(o)))) return rr__use_slowly(cx, o);
    rr__count(cx, RR__HITS);
    return RR_OK;
}

/* The last pin of one that is ASIDE has gone; the caller still counts it. */
static RR__NOINLINE void rr__use_ended(rr__context *cx, rr__object *o) {
    rr_runtime *rt = cx->runtime;
    RR__STRESS_POINT();
    rr__lock(&rt->store->lock);
    if (rr__residence_back(rr__residence_at(o))) rr__age_add_locked(rt, rr__stored_of(o));
    rr__store_signal_locked(cx);
    rr__unlock(&rt->store->lock);
}

static void rr__parts_unuse(rr__context *cx, rr__object *gather);
static RR__NOINLINE void rr__unuse_stored(rr__context *cx, rr__object *o) {
    if (o->kind == RR__GATHER) rr__parts_unuse(cx, o);
    else if (rr__has_residence(o) && rr__pin_end(rr__residence_at(o))) rr__use_ended(cx, o);
}

/* Sees to it that the value of a complete object is in memory, and stays there until rr__unuse,
   before which the caller counts it. */
static RR__INLINE rr_status rr__use(rr__context *cx, rr__object *o) {
    return RR__LIKELY(!cx->runtime->evicts) ? RR_OK : rr__use_stored(cx, o);
}
static RR__INLINE void rr__unuse(rr__context *cx, rr__object *o) {
    if (RR__UNLIKELY(cx->runtime->evicts)) rr__unuse_stored(cx, o);
}

/* ---- gathers ---- */

/* In memory or not. */
static size_t rr__part_size(const rr__object *part) {
    return part->kind == RR__GATHER ? part->extra.parts->count * sizeof(rr_bytes)
                                    : rr__size_of(part);
}
/* Of a value that is complete, or not sealed. */
static size_t rr__bytes_of_value(const rr__object *o) {
    size_t sum = 0;
    if (o->kind != RR__GATHER) return rr__size_of(o);
    for (size_t i = 0; i < o->extra.parts->count; i++)
        sum += rr__part_size(o->extra.parts->objects[i]);
    return sum;
}
static rr_bytes rr__part_bytes(rr__object *part) {
    return part->kind == RR__GATHER ? rr_bytes_of(part->extra.parts->items, rr__part_size(part))
                                    : rr__bytes_in(part);
}

/* The first n of the parts are pinned no more. */
static void rr__parts_unpin(rr__context *cx, rr__parts *parts, size_t n) {
    for (size_t i = 0; i < n; i++) rr__unuse(cx, parts->objects[i]);
}

/* All its parts are pinned, and so it is; or the first n are, and the next cannot be. */
static void rr__parts_claim_end(rr__context *cx, rr__object *gather, size_t n, rr_status status) {
    rr__parts *parts = gather->extra.parts;
    for (size_t i = 0; status == RR_OK && i < n; i++)
        parts->items[i] = rr__part_bytes(parts->objects[i]);
    if (status != RR_OK) rr__parts_unpin(cx, parts, n);
    rr__claim_end(cx, &parts->word, &parts->filler, NULL, RR__AWAY, status);
}

/* A gather's items are right while it is pinned, and with it its parts. */
static rr_status rr__parts_use(rr__context *cx, rr__object *gather) {
    rr__parts *parts = gather->extra.parts;
    enum rr__residence was;
    rr_status status = rr__pin_or_claim(cx, &parts->word, &parts->filler, NULL, &was);
    size_t n = 0;
    if (was == RR__HERE) return status;
    while (n < parts->count && status == RR_OK)
        if ((status = rr__use(rr__here(cx), parts->objects[n])) == RR_OK) n++;
    rr__parts_claim_end(rr__here(cx), gather, n, status);
    return status;
}

static void rr__parts_unuse(rr__context *cx, rr__object *gather) {
    rr__parts *parts = gather->extra.parts;
    bool is_last = rr__pin_end_of_parts(&parts->word);
    RR__STRESS_POINT();
    if (is_last) rr__parts_unpin(cx, parts, parts->count);
}

/* ---- views outside every scope ---- */

/* NULL: it needs no pins. */
static rr__residence_word *rr__residence_of(rr__object *o) {
    return o->kind == RR__GATHER  ? &o->extra.parts->word
           : rr__has_residence(o) ? rr__residence_at(o)
                                  : NULL;
}

/* The caller's pin becomes that of the views without a scope, which stays until the object ends:
   nobody knows whose release is the last of those who view it. One is enough for all of them. */
static RR__NOINLINE void rr__pin_outside(rr__context *cx, rr__object *o) {
    rr__residence_word *at = rr__residence_of(o);
    rr__store *store = cx->runtime->store;
    if (!at) return;
    if (!rr__pin_becomes_view(at)) {
        rr__unuse(cx, o);
        return;
    }
    rr__add_relaxed(&store->viewed, (uint64_t)rr__bytes_of_value(o)); /* a counter */
    rr__store_release(&store->viewed_site, o->site);
}

/* It has that pin. */
static bool rr__is_pinned_outside(rr__context *cx, rr__object *o) {
    rr__residence_word *at = cx->runtime->evicts ? rr__residence_of(o) : NULL;
    return at && rr__is_viewed(at);
}

/* The object ends. True: it had that pin. */
static bool rr__unpin_outside(rr__context *cx, rr__object *o) {
    if (!rr__is_pinned_outside(cx, o)) return false;
    rr__sub_acq_rel(&cx->runtime->store->viewed, (uint64_t)rr__bytes_of_value(o));
    return true;
}
