/* Values on their way into objects, and what becomes of them at the end.
   Locks: none of its own. */
#pragma once
#include "../core/dependencies.h"
#include "../core/errors.h"
#include "scopes.h"

/* What a body returned, on its way into the slot. */
typedef struct rr__result {
    union {
        uint64_t words[4];
        rr_bytes bytes;
        rr_ref ref;
    } inlined;
    void *block; /* for what does not fit */
    size_t size;
    uint8_t place;
} rr__result;

/* Handles that are returned are handed over: the object holds a count of its own. False if the
   handle is stale. */
static bool rr__result_handle(rr__context *cx, rr__result *result, bool actor) {
    rr_ref ref = result->inlined.ref;
    return ref.id == 0 || rr__pin(cx, ref, actor);
}

/* ---- into a new object ---- */

/* A new complete or unsealed object with one count, the caller's, in its scope. */
static rr__object *rr__value_new(rr__context *cx, const char *site, rr_status *status) {
    rr__object *o = rr__scope_ready(rr__self()) ? rr__object_new(cx, RR__VALUE, site) : NULL;
    *status = o ? RR_OK : RR_ERR_NO_MEMORY;
    return o;
}

static rr_ref rr__value_publish(rr__context *cx, rr__object *o, int kind, enum rr__state state) {
    rr_ref ref = rr__ref_to(cx, o);
    rr__scope_hold(rr__self(), cx, o, false);
    if (state == RR__READY) rr__stored_begin(cx, o);
    rr__publish(o, state, 1, kind);
    rr__store_copied(cx); /* N3 in store/newcomers.h */
    return ref;
}

/* Failed objects still have a reference, which tells why. */
static RR__NOINLINE rr_ref rr__value_refuse(rr__context *cx, rr__object *o, rr_status status,
                                            int kind, const char *text) {
    rr__error *error = rr__error_saying(cx->runtime, status, o, text);
    o->data.error = error, o->place = RR__IN_SLOT;
    return rr__value_publish(cx, o, kind, RR__FAILED);
}

#define RR__NO_DATA                                                                                \
    "the data of these rr_bytes is NULL, and their size is not 0: pass where the bytes are, or 0"

/* Why a value could not be copied into an object. */
static const char *rr__fill_text(const rr_runtime *rt, rr_status status, rr_type type,
                                 const void *value) {
    rr_ref ref;
    if (status == RR_ERR_INVALID && type.kind == RR__KIND_MANY)
        return "an rr_many has views of other objects: keep and pass what rr_gather returned";
    if (status == RR_ERR_INVALID) return RR__NO_DATA;
    if (status != RR_ERR_STALE) return rr__status_why(status);
    memcpy(&ref, value, sizeof ref); /* or an rr_actor, which is the same */
    return rr__handle_text(rt, ref);
}

/* Bytes into a new object. */
static rr_status rr__bytes_fill(rr__context *cx, rr__object *o, rr_bytes bytes) {
    o->place = RR__ON_ITS_OWN, o->of.type_name = "rr_bytes";
    rr__store_relaxed(&o->info, (uint64_t)bytes.size); /* published with word */
    if (bytes.size == 0) return RR_OK;
    if (!bytes.data) return RR_ERR_INVALID;
    rr_status status = rr__value_room(cx, bytes.size, &o->data.block, &o->place);
    if (status == RR_OK) memcpy(o->data.block, bytes.data, bytes.size);
    return status;
}

/* A handle or a large value into a new object. */
static RR__NOINLINE rr_status rr__value_fill_any(rr__context *cx, rr__object *o, rr_type type,
                                                 const void *value) {
    rr__result result;
    if (type.kind == RR__KIND_MANY) return RR_ERR_INVALID; /* rr_gather makes one */
    if (type.size > RR__INLINE_BYTES) {
        rr_status status = rr__value_room(cx, type.size, &o->data.block, &o->place);
        if (status == RR_OK) memcpy(o->data.block, value, type.size);
        return status;
    }
    memcpy(&result.inlined, value, type.size);
    if (type.kind == RR__KIND_BYTES) return rr__bytes_fill(cx, o, result.inlined.bytes);
    if (!rr__result_handle(cx, &result, type.kind == RR__KIND_ACTOR)) return RR_ERR_STALE;
    rr__write_words(o, &result.inlined, type.size);
    return RR_OK;
}

/* A value of any type into a new object. */
static RR__INLINE rr_status rr__value_fill(rr__context *cx, rr__object *o, rr_type type,
                                           const void *value) {
    o->of.type_name = type.name;
    rr__store_relaxed(&o->info, (uint64_t)type.size); /* published with word */
    if (RR__UNLIKELY(type.size > RR__INLINE_BYTES || !rr__kind_is_plain(type.kind)))
        return rr__value_fill_any(cx, o, type, value);
    rr__write_words(o, value, type.size);
    return RR_OK;
}

static rr__object *rr__bytes_object(rr__context *cx, rr_bytes bytes, const char *site,
                                    rr_status *status) {
    rr__object *o = rr__object_new(cx, RR__VALUE, site);
    *status = o ? rr__bytes_fill(cx, o, bytes) : RR_ERR_NO_MEMORY;
    cx = rr__after_room(cx);
    if (*status == RR_OK) rr__stored_begin(cx, o);
    if (*status == RR_OK) rr__publish(o, RR__READY, 1, RR__KIND_BYTES);
    rr__store_copied(cx); /* N3 in store/newcomers.h */
    if (*status == RR_OK) return o;
    if (o) rr__object_free(cx, o);
    return NULL;
}

/* A reference that holds an error which no object of a task could. */
static rr_ref rr__failed_ref(rr__context *cx, rr__error *error, const char *site) {
    rr_status status;
    rr__object *o = rr__value_new(cx, site, &status);
    if (!o) {
        rr__error_drop(error);
        return rr__status_ref(status);
    }
    o->of.type_name = "void", o->data.error = error;
    rr_ref ref = rr__ref_to(cx, o);
    rr__scope_hold(rr__self(), cx, o, false);
    rr__publish(o, RR__FAILED, 1, RR__KIND_VOID);
    return ref;
}

/* ---- the end ---- */

static void rr__parts_free(rr__context *cx, rr__parts *parts, bool is_pinned) {
    for (size_t i = 0; parts && i < parts->count; i++) {
        if (is_pinned) rr__unuse(cx, parts->objects[i]);
        rr__drop(cx, parts->objects[i]);
    }
    RR_FREE(parts);
}

static void rr__value_free(rr__context *cx, rr__object *o) {
    unsigned kind = rr__kind_in(rr__load_relaxed(&o->word)); /* fixed since it was published */
    if (kind == RR__KIND_REF || kind == RR__KIND_ACTOR) {
        rr__object *inner = rr__contained(cx, o);
        if (inner) rr__drop(cx, inner);
    } else if (o->kind == RR__GATHER) {
        rr__parts_free(cx, o->extra.parts, false);
    } else if (o->place != RR__IN_SLOT) {
        if (RR__UNLIKELY(cx->runtime->evicts))
            (void)rr__unpin_outside(cx, o), rr__stored_end(cx, o);
        rr__value_return(cx, o->data.block, rr__info_of(o), o->place);
    }
}

/* The memory of a value outside the slot, if nobody but the caller, who has it in use, counts its
   object, which ends then. NULL: somebody does, or views it, or a spiller still reads it. */
static void *rr__value_take(rr__context *cx, rr__object *o, uint8_t *place) {
    uint64_t word = rr__load_acquire(&o->word);
    bool evicts = cx->runtime->evicts;
    uint64_t residence = evicts ? rr__load_acquire(rr__residence_at(o)) : 1;
    void *block = o->data.block;
    if ((word & RR__COUNT_MASK) != 1 || rr__residence_in(residence) != RR__HERE) return NULL;
    if ((residence & RR__PINS) != 1) return NULL; /* a view outside of scopes */
    *place = o->place;
    RR__STRESS_POINT();
    if (!rr__cas_seq_cst(&o->word, &word, word - 1)) return NULL; /* rule R2 */
    o->data.block = NULL;
    rr__last_dropped(cx, o, word);
    return block;
}

/* What a complete object holds, a value or an error, goes with it. */
static void rr__outcome_free(rr__context *cx, rr__object *o) {
    bool has_failed = rr__state_of(rr__load_relaxed(&o->word)) == RR__FAILED; /* ours, rule R2 */
    if (!has_failed) rr__value_free(cx, o);
    else if (!rr__is_decided(o)) rr__error_drop(o->data.error);
}

/* One that was never complete may go before what was decided in its list, and counts it no more
   (R5): that is found there, and ends. */
static void rr__value_end(rr__context *cx, rr__object *o) {
    uint64_t word = rr__load_relaxed(&o->word); /* ours, rule R2 */
    if (rr__state_of(word) < RR__READY) rr__tasks_go_on(cx, rr__notify(cx, o, word));
    rr__outcome_free(cx, o);
}
