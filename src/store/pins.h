/* Pins: who reads a value pins it first and brings it back if it is not here, so what is looked at
   never moves (rules E1 to E4 at struct rr__stored). Without a limit a pin is nothing.
   Locks: the store's. */
#pragma once
#include "room.h"

/* The parts of a gather. */
struct rr__parts {
    size_t count, seen; /* parts below seen are complete */
    uint32_t pins;      /* items are valid; if values may leave. The store's lock */
    bool is_outside;    /* one of them is that of the views taken outside every scope */
    rr__parker *filler; /* who brings its parts back; or NULL */
    rr__object **objects;
    rr_bytes items[];
};

/* Its value is in place, outside the slot: from now on it may leave. Its owner, before it is READY.
   Takes over the recipe. Without memory for the record it stays, for good. */
static RR__NOINLINE void rr__stored_make(rr__context *cx, rr__object *o, rr__object *recipe) {
    rr_runtime *rt = cx->runtime;
    rr__stored *s = o->data.block ? rr__stored_new(cx) : NULL;
    rr__store_release(&o->words[0], (uint64_t)(uintptr_t)s);
    if (!s) {
        if (recipe) rr__above.recipe_end(cx, recipe);
        return;
    }
    s->object = o, s->recipe = recipe;
    s->may_leave = rr__info_of(o) > 0 && (rt->config.evict != RR_EVICT_REBUILD || recipe);
    rr__lock(&rt->store->lock);
    rr__age_add_locked(rt, s);
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
    bool is_leaving = s->residence == RR__LEAVING;
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
    const char *fault = !rr__file_read(s->file->fd, block, size, s->at) ? strerror(errno)
                        : rr__checksum(block, size) != s->sum ? "it is not what was written"
                                                              : NULL;
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

/* False: it is not here. */
static bool rr__pin_locked(rr_runtime *rt, rr__stored *s) {
    if (s->residence != RR__HERE && s->residence != RR__LEAVING) return false;
    rr__age_remove_locked(rt, s);
    s->pins++, rt->store->stats.store_hits++;
    return true;
}

static void rr__unpin_locked(rr__context *cx, rr__stored *s) {
    if (--s->pins) return;
    if (s->residence == RR__HERE) rr__age_add_locked(cx->runtime, s);
    rr__store_signal_locked(cx);
}

/* The same for the next of many objects, up to one that is not here, or is a gather. Returns for
   how many; not very many at once, because others want the lock. */
static size_t rr__pin_some(rr__context *cx, rr__object **objects, size_t n, bool is_pin) {
    enum { SOME = 64 };
    rr_runtime *rt = cx->runtime;
    size_t i = 0;
    rr__lock(&rt->store->lock);
    for (; i < n && i < SOME && objects[i]->kind != RR__GATHER; i++) {
        rr__stored *s = rr__stored_of(objects[i]);
        if (s && !is_pin) rr__unpin_locked(cx, s);
        else if (s && !rr__pin_locked(rt, s)) break;
    }
    rr__unlock(&rt->store->lock);
    return i;
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

/* Pins a value that is here; else *was tells from where it has to be brought back first, and the
   caller does. RR_ERR_STORE_FULL: another one does, or it has to be made again, which takes time
   and room, and the caller is in haste.
   RR_ERR_DEADLOCK: this one does, and the body that makes it again asks for it. */
static rr_status rr__pin_or_claim(rr__context *cx, rr__stored *s, enum rr__residence *was,
                                  bool *is_claimed) {
    rr_runtime *rt = cx->runtime;
    rr__local *self = rr__self();
    rr__parker *own = rr__parker_of(self, cx);
    rr_status status = RR_OK;
    *is_claimed = false;
    rr__lock(&rt->store->lock);
    if (s->claimer != own && !self->is_hasty) rr__store_wait_returning_locked(cx, &s->claimer);
    *was = (enum rr__residence)s->residence;
    if (*was == RR__LOST && s->recipe && self->is_hasty) {
        status = RR_ERR_STORE_FULL;
    } else if (*was == RR__RETURNING) {
        status = s->claimer == own ? RR_ERR_DEADLOCK : RR_ERR_STORE_FULL;
    } else if (!rr__pin_locked(rt, s)) {
        s->residence = RR__RETURNING, s->claimer = own, *is_claimed = true;
    }
    rr__unlock(&rt->store->lock);
    return status;
}

/* It was brought back, and is pinned, or could not be. */
static void rr__claim_end(rr__context *cx, rr__stored *s, enum rr__residence was,
                          rr_status status) {
    rr_runtime *rt = cx->runtime;
    rr__lock(&rt->store->lock);
    s->residence = (uint8_t)(status == RR_OK ? RR__HERE : was);
    s->pins += status == RR_OK, s->claimer = NULL;
    rr__store_signal_locked(cx);
    rr__unlock(&rt->store->lock);
}

/* Sees to it that the value of a complete object is in memory, and stays there until rr__unuse. */
static rr_status rr__parts_use(rr__context *cx, rr__object *gather);
static RR__NOINLINE rr_status rr__use_slowly(rr__context *cx, rr__object *o) {
    rr__store_touch(cx);
    if (o->kind == RR__GATHER) return rr__parts_use(cx, o);
    rr__stored *s = rr__stored_of(o);
    enum rr__residence was;
    bool is_claimed = false;
    rr_status status = s ? rr__pin_or_claim(cx, s, &was, &is_claimed) : RR_OK;
    if (!is_claimed) return status;
    RR__STRESS_POINT();
    cx = rr__here(cx);
    status = was == RR__AWAY ? rr__restore(cx, s)
             : s->recipe     ? rr__above.rebuild(cx, s)
                             : rr__refuse(RR_ERR_OBJECT_LOST, "it made room for others, and %s",
                                          "rr_config.evict is RR_EVICT_DROP: nothing has a copy");
    RR__STRESS_POINT();
    rr__claim_end(rr__here(cx), s, was, status);
    return status;
}

static void rr__parts_unuse(rr__context *cx, rr__object *gather);
static RR__NOINLINE void rr__unuse_slowly(rr__context *cx, rr__object *o) {
    rr_runtime *rt = cx->runtime;
    rr__stored *s = rr__stored_of(o);
    if (o->kind == RR__GATHER) rr__parts_unuse(cx, o);
    if (!s) return;
    rr__lock(&rt->store->lock);
    rr__unpin_locked(cx, s);
    rr__unlock(&rt->store->lock);
}

static RR__INLINE rr_status rr__use(rr__context *cx, rr__object *o) {
    return RR__LIKELY(!cx->runtime->evicts) ? RR_OK : rr__use_slowly(cx, o);
}
static RR__INLINE void rr__unuse(rr__context *cx, rr__object *o) {
    if (RR__UNLIKELY(cx->runtime->evicts)) rr__unuse_slowly(cx, o);
}

/* ---- gathers ---- */

/* In memory or not. */
static size_t rr__part_size(const rr__object *part) {
    return part->kind == RR__GATHER ? part->extra.parts->count * sizeof(rr_bytes)
                                    : rr__size_of(part);
}
static rr_bytes rr__part_bytes(rr__object *part) {
    return part->kind == RR__GATHER ? rr_bytes_of(part->extra.parts->items, rr__part_size(part))
                                    : rr__bytes_in(part);
}

/* Pins a gather that is pinned; else the caller pins the parts. As rr__pin_or_claim. */
static rr_status rr__parts_claim(rr__context *cx, rr__parts *parts, bool *is_claimed) {
    rr_runtime *rt = cx->runtime;
    rr__lock(&rt->store->lock);
    rr__local *self = rr__self();
    if (!self->is_hasty) rr__store_wait_returning_locked(cx, &parts->filler);
    bool is_busy = parts->filler != NULL;
    *is_claimed = !is_busy && parts->pins == 0;
    if (*is_claimed) parts->filler = rr__parker_of(self, rr__here(cx));
    else parts->pins += !is_busy;
    rr__unlock(&rt->store->lock);
    return is_busy ? RR_ERR_STORE_FULL : RR_OK;
}

/* The first n of the parts are pinned no more. */
static void rr__parts_unpin(rr__context *cx, rr__parts *parts, size_t n) {
    for (size_t i = 0, some; i < n; i += some) {
        some = rr__pin_some(cx, parts->objects + i, n - i, false);
        if (!some) rr__unuse(cx, parts->objects[i]), some = 1;
    }
}

/* All its parts are pinned, and so it is; or the first n are, and the next cannot be. */
static void rr__parts_claim_end(rr__context *cx, rr__object *gather, size_t n, rr_status status) {
    rr_runtime *rt = cx->runtime;
    rr__parts *parts = gather->extra.parts;
    for (size_t i = 0; status == RR_OK && i < n; i++)
        parts->items[i] = rr__part_bytes(parts->objects[i]);
    if (status != RR_OK) rr__parts_unpin(cx, parts, n);
    RR__STRESS_POINT();
    rr__lock(&rt->store->lock);
    parts->filler = NULL, parts->pins = status == RR_OK;
    rr__store_signal_locked(cx);
    rr__unlock(&rt->store->lock);
}

/* A gather's items are right while it is pinned, and with it its parts. */
static rr_status rr__parts_use(rr__context *cx, rr__object *gather) {
    rr__parts *parts = gather->extra.parts;
    bool is_claimed;
    size_t n = 0;
    rr_status status = rr__parts_claim(cx, parts, &is_claimed);
    if (!is_claimed) return status;
    while (n < parts->count && status == RR_OK) {
        cx = rr__here(cx);
        size_t some = rr__pin_some(cx, parts->objects + n, parts->count - n, true);
        if (!some && (status = rr__use(cx, parts->objects[n])) == RR_OK) some = 1;
        n += some;
    }
    rr__parts_claim_end(rr__here(cx), gather, n, status);
    return status;
}

static void rr__parts_unuse(rr__context *cx, rr__object *gather) {
    rr__parts *parts = gather->extra.parts;
    rr__lock(&cx->runtime->store->lock);
    bool is_last = --parts->pins == 0;
    rr__unlock(&cx->runtime->store->lock);
    RR__STRESS_POINT();
    if (is_last) rr__parts_unpin(cx, parts, parts->count);
}

/* The caller's pin becomes that of the views without a scope, which stays until the object ends:
   nobody knows whose release is the last of those who view it. One is enough for all of them. */
static RR__NOINLINE void rr__pin_outside(rr__context *cx, rr__object *o) {
    rr_runtime *rt = cx->runtime;
    rr__stored *s = rr__stored_of(o);
    bool *outside = s ? &s->is_outside : o->kind == RR__GATHER ? &o->extra.parts->is_outside : NULL;
    if (!outside) return;
    rr__lock(&rt->store->lock);
    bool is_second = *outside;
    *outside = true;
    rr__unlock(&rt->store->lock);
    if (is_second) rr__unuse(cx, o);
}
