/* Gathers, objects made of others, and fields, members of others: they wait for what they are
   made of as tasks do for their arguments, and run no body. Where values may leave memory a field
   is queued before it is copied, as tasks are: that may have to wait.
   Locks: none. */
#pragma once
#include "complete.h"

/* The parts of a gather, each counted; or NULL and the error. */
static rr__parts *rr__parts_new(rr__context *cx, const rr__object *gather, const rr_ref *refs,
                                size_t n, rr__error **error) {
    size_t each = sizeof(rr_bytes) + sizeof(rr__object *);
    rr__parts *parts =
        n > (SIZE_MAX - sizeof *parts) / each ? NULL : RR_MALLOC(sizeof *parts + n * each);
    *error = cx->runtime->no_memory;
    if (!parts) return NULL;
    memset(parts, 0, sizeof *parts);
    rr__store_relaxed(&parts->word, RR__RESIDENCE(RR__AWAY)); /* published with the gather */
    parts->objects = (rr__object **)(parts->items + n);
    for (size_t i = 0; i < n; i++) {
        if ((parts->objects[i] = rr__pin(cx, refs[i], false))) {
            parts->count++;
            continue;
        }
        *error = rr__error_new(cx->runtime, rr__handle_status(refs[i]), gather, "its part %zu: %s",
                               i + 1, rr__handle_text(cx->runtime, refs[i]));
        rr__parts_free(cx, parts, false);
        return NULL;
    }
    *error = NULL;
    return parts;
}

static rr__object *rr__missing_part(rr__object *gather) {
    rr__parts *parts = gather->extra.parts;
    for (; parts->seen < parts->count; parts->seen++)
        if (!rr__is_complete(parts->objects[parts->seen])) return parts->objects[parts->seen];
    return NULL;
}

static void rr__gather_finish(rr__context *cx, rr__object *gather) {
    rr__parts *parts = gather->extra.parts;
    for (size_t i = 0; i < parts->count; i++) {
        rr__object *part = parts->objects[i];
        if (rr__has_failed(part)) {
            rr__fail_with(cx, gather,
                          rr__error_after(cx->runtime, gather, rr__failure(cx->runtime, part),
                                          "its part %zu ", i + 1));
            return;
        }
        if (!cx->runtime->evicts) parts->items[i] = rr__part_bytes(part);
    }
    rr__complete(cx, gather, RR__READY);
}

static void rr__gather_end(rr__context *cx, rr__object *gather) {
    bool has_failed = rr__state_of(rr__load_relaxed(&gather->word)) == RR__FAILED; /* rule R2 */
    if (has_failed && !rr__is_decided(gather)) rr__error_drop(gather->data.error);
    rr__parts *parts = gather->extra.parts;
    rr__parts_free(cx, parts, parts && rr__unpin_outside(cx, gather));
}

/* One object of type rr_many; it counts its parts. */
static rr_ref rr__gather_new(rr__context *cx, const rr_ref *refs, size_t n, const char *site) {
    rr__error *error;
    rr__object *o = rr__scope_ready(rr__self()) ? rr__object_new(cx, RR__GATHER, site) : NULL;
    if (!o) return rr__status_ref(RR_ERR_NO_MEMORY);
    rr_ref ref = rr__ref_to(cx, o);
    rr__scope_hold(rr__self(), cx, o, false);
    o->of.type_name = "rr_many";
    if (n && !refs)
        error =
            rr__error_new(cx->runtime, RR_ERR_INVALID, o,
                          "rr_gather: refs is NULL, but n is %zu: pass the references, or 0", n);
    else o->extra.parts = rr__parts_new(cx, o, refs, n, &error);
    if (error) {
        o->data.error = error;
        rr__publish(o, RR__FAILED, 1, RR__KIND_MANY);
        return ref;
    }
    rr__publish(o, RR__WAITING, 2, RR__KIND_MANY);
    rr__proceed(cx, o);
    return ref;
}

/* ---- fields ---- */

/* The object that a field is a member of, counted by it until it is complete. */
static rr__object *rr__whole_of(rr__object *field) {
    return (rr__object *)(uintptr_t)rr__load_relaxed(&field->words[0]); /* the owner's own */
}

static rr__object *rr__field_missing(rr__object *field) {
    rr__object *whole = rr__whole_of(field);
    return rr__is_complete(whole) ? NULL : whole;
}

/* A field keeps, until it is complete, in its words: the whole, where in that it lies, and the name
   and size of the struct that it should be. */
static rr_status rr__field_copy(rr__context *cx, rr__object *field, rr__object *whole,
                                size_t offset) {
    size_t size = rr__info_of(field);
    rr_status status = rr__use(cx, whole);
    if (status != RR_OK) return status;
    cx = rr__after_room(cx);
    const char *from = (const char *)rr__data(whole) + offset;
    if (size <= RR__INLINE_BYTES) rr__write_words(field, from, size);
    else status = rr__value_room(cx, size, &field->data.block, &field->place);
    if (status == RR_OK && size > RR__INLINE_BYTES) memcpy(field->data.block, from, size);
    rr__unuse(rr__after_room(cx), whole);
    return status;
}

/* The struct and room for its member at once, as arguments are had (rule E6). */
static rr_status rr__field_load(rr__context *cx, rr__object *field, rr__object *whole,
                                size_t offset) {
    rr__local *self = rr__self();
    bool had;
    self->is_hasty = true;
    rr_status status = rr__field_copy(cx, field, whole, offset);
    self->is_hasty = false;
    if (status != RR_ERR_STORE_FULL) return status;
    status = rr__loader_begin(rr__here_of(self, cx), &had);
    if (status == RR_OK) status = rr__field_copy(rr__here_of(self, cx), field, whole, offset);
    if (!had) rr__loader_end(self);
    return status;
}

static rr__error *rr__field_take(rr__context *cx, rr__object *field, rr__object *whole) {
    uint64_t words[4]; /* the owner's own */
    for (int i = 0; i < 4; i++) words[i] = rr__load_relaxed(&field->words[i]);
    rr_type held = rr__type_of(whole);
    rr_type wanted = {(const char *)(uintptr_t)words[2], (uint32_t)words[3], 1, RR__KIND_OTHER};
    if (rr__has_failed(whole))
        return rr__error_after(cx->runtime, field, rr__failure(cx->runtime, whole), "its struct ");
    if (!rr__type_equal(held, wanted))
        return rr__error_new(cx->runtime, RR_ERR_TYPE, field,
                             "a member of %s was asked for, but the reference holds %s '%s' "
                             "(made at %s)",
                             wanted.name, held.name, rr__name_of(whole), whole->site);
    rr_status status = cx->runtime->evicts ? rr__field_load(cx, field, whole, (size_t)words[1])
                                           : rr__field_copy(cx, field, whole, (size_t)words[1]);
    return status == RR_OK ? NULL : rr__error_of_status(cx->runtime, status, field);
}

static void rr__field_finish(rr__context *cx, rr__object *field) {
    rr__object *whole = rr__whole_of(field);
    rr__error *error = rr__field_take(cx, field, whole);
    cx = rr__after_room(cx);
    rr__drop(cx, whole);
    if (!error) rr__stored_begin(cx, field);
    if (error) rr__fail_with(cx, field, error);
    else rr__complete(cx, field, RR__READY);
    rr__store_copied(cx); /* N3 in store/newcomers.h */
}

/* The whole is complete. */
static void rr__field_ready(rr__context *cx, rr__object *field) {
    if (!cx->runtime->evicts) {
        rr__field_finish(cx, field);
        return;
    }
    rr__stray_begins(cx->runtime);
    rr__make_claimable(cx, field);
}

static void rr__field_run(rr__context *cx, rr__object *field, const rr__step *until) {
    (void)until;
    rr_runtime *rt = cx->runtime;
    rr__field_finish(cx, field);
    rr__stray_is_over(rt);
}

/* Why there is no such member of this object. */
static rr__error *rr__field_error(rr_runtime *rt, const rr__object *field, rr_ref ref,
                                  rr_type type) {
    if (rr__kind_is_plain(type.kind))
        return rr__error_saying(rt, rr__handle_status(ref), field, rr__handle_text(rt, ref));
    return rr__error_new(rt, RR_ERR_INVALID, field,
                         "a member that is %s is no field, because structs are copied without what "
                         "it refers to: return it by itself, or in a gather",
                         type.name);
}

/* The member of a struct that lies at an offset in it. */
static rr_ref rr__field_new(rr__context *cx, rr_ref ref, const rr_type *whole, rr_type type,
                            size_t offset, const char *site) {
    rr__object *o = rr__scope_ready(rr__self()) ? rr__object_new(cx, RR__FIELD, site) : NULL;
    if (!o) return rr__status_ref(RR_ERR_NO_MEMORY);
    rr__object *of = rr__kind_is_plain(type.kind) ? rr__pin(cx, ref, false) : NULL;
    rr_ref field = rr__ref_to(cx, o);
    uint64_t words[4] = {(uintptr_t)of, offset, (uintptr_t)whole->name, whole->size};
    rr__scope_hold(rr__self(), cx, o, false);
    o->of.type_name = type.name;
    rr__store_relaxed(&o->info, (uint64_t)type.size); /* published with word */
    if (!of) {
        o->data.error = rr__field_error(cx->runtime, o, ref, type);
        rr__publish(o, RR__FAILED, 1, type.kind);
        return field;
    }
    for (int i = 0; i < 4; i++) rr__store_release(&o->words[i], words[i]); /* see rr__write_words */
    rr__publish(o, RR__WAITING, 2, type.kind);
    rr__proceed(cx, o);
    return field;
}
