/* Reading a complete object: a scalar without a count, a copy, a view, a handle; and waiting for
   the objects of references.
   Locks: those of the pins. */
#pragma once
#include "../core/types.h"
#include "../core/waiting.h"
#include "values.h"

/* What was asked for has failed: its chain is told if somebody asks. */
static rr_status rr__note_failure(rr_ref ref, rr_status status) {
    rr__note_status(ref, status);
    rr__self()->note.is_failure = true;
    return status;
}

static rr_status rr__note_unreadable(const rr__object *o, rr_ref ref, rr_status status) {
    return rr__note(ref, status, "'%s' (made at %s) could not be brought back into memory: %s",
                    rr__name_of(o), o->site, rr__status_why(status));
}

/* A scalar in its slot, without taking a count: copied, and valid if the id is still the same. */
static RR__INLINE bool rr__read_scalar(rr__object *o, rr_ref ref, const rr_type *type, void *out) {
    uint64_t mask = RR__STATE_MASK | RR__IS_INLINE | RR__KIND_BITS(255);
    uint64_t wanted = RR__STATE(RR__READY) | RR__IS_INLINE | RR__KIND_BITS(type->kind);
    if ((rr__load_acquire(&o->word) & mask) != wanted) return false;
    if (type->kind <= RR__KIND_VOID || !rr__kind_is_plain(type->kind)) return false;
    uint64_t words[2] = {rr__load_acquire(&o->words[0]), 0}; /* before the id is read again */
    if (RR__UNLIKELY(type->size > 8)) words[1] = rr__load_acquire(&o->words[1]);
    if (rr__load_acquire(&o->id) != ref.id) return false;
    rr__copy(out, words, type->size);
    return true;
}

static rr_status rr__read_handle(rr__context *cx, rr__object *o, void *out) {
    rr__local *self = rr__self();
    if (!rr__scope_ready(self)) return rr__note_status(RR__NULL_REF, RR_ERR_NO_MEMORY);
    rr__object *inner = rr__contained(cx, o);
    memcpy(out, rr__data(o), sizeof(rr_ref));
    if (!inner) return RR_OK;
    rr__share(inner); /* o counts it, and we count o */
    rr__scope_hold(self, cx, inner, false);
    return RR_OK;
}

/* A view keeps its object, and its memory: inside a scope by a count and a pin of the scope's. One
   is enough for each. Takes over the caller's pin. */
static rr_status rr__hold_view(rr__context *cx, rr__object *o) {
    rr__local *self = rr__self();
    if (self->scopes.depth == 0) {
        if (RR__UNLIKELY(cx->runtime->evicts)) rr__pin_outside(cx, o);
        return RR_OK;
    }
    for (size_t i = self->scopes.count, k = 0; i > self->scopes.start && k < 4; i--, k++)
        if (self->scopes.held[i - 1].object == o && self->scopes.held[i - 1].is_view) {
            rr__unuse(cx, o);
            return RR_OK;
        }
    if (!rr__scope_ready(self)) {
        rr__unuse(cx, o);
        return rr__note_status(RR__NULL_REF, RR_ERR_NO_MEMORY);
    }
    uint32_t hint = rr__load_relaxed(&o->held_at); /* of the handle, which matters more */
    rr__share(o);
    rr__scope_hold(self, cx, o, true);
    rr__store_relaxed(&o->held_at, hint);
    return RR_OK;
}

static void rr__view_of(rr__object *o, rr_type type, void *out) {
    if (type.kind == RR__KIND_BYTES) {
        rr_bytes bytes = rr__bytes_in(o);
        memcpy(out, &bytes, sizeof bytes);
    } else {
        rr_many many = {o->extra.parts->items, o->extra.parts->count};
        memcpy(out, &many, sizeof many);
    }
}

static rr_status rr__read(rr__context *cx, rr__object *o, rr_ref ref, rr_type type, void *out) {
    if (rr__has_failed(o)) return rr__note_failure(ref, rr__failure_status(o));
    rr_type held = rr__type_of(o);
    if (!rr__type_equal(held, type))
        return rr__note(ref, RR_ERR_TYPE,
                        "the reference holds %s '%s' (made at %s), but %s was asked for", held.name,
                        rr__name_of(o), o->site, type.name);
    if (type.kind == RR__KIND_REF || type.kind == RR__KIND_ACTOR)
        return rr__read_handle(cx, o, out);
    bool is_view = type.kind == RR__KIND_BYTES || type.kind == RR__KIND_MANY;
    bool is_held = is_view && rr__self()->scopes.depth == 0 && rr__is_pinned_outside(cx, o);
    rr_status status = is_held ? RR_OK : rr__use(cx, o);
    if (status != RR_OK) return rr__note_unreadable(o, ref, status);
    cx = rr__after_room(cx);
    if (is_view) {
        rr__view_of(o, type, out);
        return is_held ? RR_OK : rr__hold_view(cx, o);
    }
    memcpy(out, rr__data(o), type.size);
    rr__unuse(cx, o);
    return RR_OK;
}

static RR__NOINLINE rr_status rr__get_slow(rr__context *cx, rr_ref ref, const rr_type *type,
                                           void *out, int64_t milliseconds) {
    rr__object *o = rr__pin(cx, ref, false);
    if (!o) return rr__refuse_handle(cx->runtime, ref);
    rr_status status = rr__is_complete(o) ? RR_OK : rr__await(cx, o, ref, milliseconds);
    cx = rr__here(cx);
    if (status == RR_OK && type->kind != RR__KIND_VOID) {
        status = rr__read(cx, o, ref, *type, out);
        cx = rr__after_room(cx);
        rr__store_copied(cx);
    } else if (status == RR_OK && rr__has_failed(o))
        status = rr__note_failure(ref, rr__failure_status(o));
    rr__drop(cx, o);
    return status;
}

/* ---- waiting for many ---- */

/* Pins what is not ready, NULLs for the rest; notes the indices of what is, and counts them. */
static size_t rr__wait_look(rr__context *cx, const rr_ref *refs, size_t n, size_t k,
                            rr__object **objects, size_t *ready) {
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        rr__object *o = found < k ? rr__find(cx->runtime, refs[i]) : NULL;
        if (o && !rr__is_complete(o) && rr__try_retain(cx, o, refs[i].id)) {
            objects[i] = o;
            continue;
        }
        objects[i] = NULL;
        if (found < k && ready) ready[found] = i;
        if (found < k) found++;
    }
    return found;
}

static size_t rr__wait_for(rr__context *cx, const rr_ref *refs, size_t n, size_t k, int64_t ms,
                           size_t *ready, rr__object **objects, rr__node *nodes) {
    rr__local *self = rr__self();
    size_t found = rr__wait_look(cx, refs, n, k, objects, ready);
    if (found < k && ms == 0) rr__look_again_later(self); /* what it finds then, it has next time */
    if (found < k && ms != 0) {
        rr__wait wait = {.objects = objects,
                         .nodes = nodes,
                         .n = n,
                         .need = k - found,
                         .all = k == n && ms < 0,
                         .deadline = rr__deadline(ms),
                         .order = ready ? ready + found : NULL};
        if (wait.all) rr__wait_help(self, cx, &wait);
        rr_status status = rr__wait_asleep(rr__here_of(self, cx), &wait, RR__NULL_REF);
        found += wait.need;
        if (status == RR_ERR_TIMEOUT)
            rr__note(RR__NULL_REF, status, "rr_wait: %zu of %zu were ready within %lld ms", found,
                     k, (long long)ms);
    }
    cx = rr__here_of(self, cx);
    for (size_t i = 0; i < n; i++)
        if (objects[i]) rr__drop(cx, objects[i]);
    return found;
}

/* Without memory for n nodes: waits for one after the other. Enough for all of them; of a wait for
   some it finds those that are ready by the time it has waited for the ones before. */
static size_t rr__wait_in_turn(rr__context *cx, const rr_ref *refs, size_t n, size_t k,
                               int64_t milliseconds, size_t *ready) {
    double deadline = rr__deadline(milliseconds);
    size_t found = 0;
    for (size_t i = 0; i < n && found < k; i++) {
        int64_t left = milliseconds < 0 ? -1 : (int64_t)((deadline - rr_now()) * 1e3) + 1;
        rr__object *o = rr__pin(cx, refs[i], false);
        if (o) (void)rr__await(cx, o, refs[i], milliseconds <= 0 || left > 0 ? left : 0);
        cx = rr__here(cx);
        bool is_ready = !o || rr__is_complete(o);
        if (is_ready && ready) ready[found] = i;
        found += is_ready;
        if (o) rr__drop(cx, o);
    }
    return found;
}
