/* Making objects, naming and pinning them. */
#pragma once
#include "../store/names.h"
#include "../tasks/gathers.h"
#include "../tasks/inplace.h"
#include "handles.h"
#include "reading.h"

rr_ref rr__put(rr_type type, const void *value, const char *site) {
    rr_status status;
    rr__context *cx = rr__enter_to_submit(&status);
    rr__object *o = cx ? rr__value_new(cx, site, &status) : NULL;
    if (!o) return rr__status_ref(status);
    status = rr__value_fill(cx, o, type, value);
    cx = rr__after_room(cx);
    if (RR__LIKELY(status == RR_OK)) return rr__value_publish(cx, o, type.kind, RR__READY);
    return rr__value_refuse(cx, o, status, type.kind,
                            rr__fill_text(cx->runtime, status, type, value));
}

rr_ref rr__put_bytes(const void *data, size_t size, const char *site) {
    rr_status status;
    rr__context *cx = rr__enter_to_submit(&status);
    rr__object *o = cx ? rr__value_new(cx, site, &status) : NULL;
    if (!o) return rr__status_ref(status);
    status = rr__bytes_fill(cx, o, rr_bytes_of(data, size));
    cx = rr__after_room(cx);
    if (RR__LIKELY(status == RR_OK)) return rr__value_publish(cx, o, RR__KIND_BYTES, RR__READY);
    return rr__value_refuse(cx, o, status, RR__KIND_BYTES,
                            status == RR_ERR_INVALID ? RR__NO_DATA : rr__status_why(status));
}

rr_ref rr__create(size_t size, void **room, const char *site) {
    rr_status status;
    void *nothing, **out = room ? room : &nothing;
    *out = NULL;
    rr__context *cx = rr__enter_to_submit(&status);
    rr__object *o = cx ? rr__value_new(cx, site, &status) : NULL;
    if (!o) return rr__status_ref(status);
    /* Room to write to even for 0 bytes: NULL means failure. */
    o->of.type_name = "rr_bytes";
    rr__store_relaxed(&o->info, (uint64_t)size); /* published with word */
    status = rr__value_room(cx, size, &o->data.block, &o->place);
    cx = rr__after_room(cx);
    rr__residence_begin(o, 0);
    if (status != RR_OK)
        return rr__value_refuse(cx, o, status, RR__KIND_BYTES, rr__status_why(status));
    *out = o->data.block;
    return rr__value_publish(cx, o, RR__KIND_BYTES, RR__WAITING);
}

rr_status rr_seal(rr_ref ref) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (!cx) return status;
    rr__object *o = rr__pin(cx, ref, false);
    if (!o) return rr__refuse_handle(cx->runtime, ref);
    if (!rr__is_unsealed(o) || !rr__unseal(o))
        status = rr__note(ref, RR_ERR_INVALID,
                          "rr_seal: the object of %s was sealed before, or was "
                          "not made by rr_create",
                          o->site);
    if (status == RR_OK) {
        rr__stored_begin(cx, o);
        rr__complete(cx, o, RR__READY); /* gives the pin back */
    } else rr__drop(cx, o);
    return status;
}

/* The body that calls, if it returns bytes; else NULL, and the log says so. */
static rr__frame *rr__frame_of_bytes(const char *misuse) {
    rr__frame *frame = rr__self()->frame;
    if (frame && frame->task->of.fn->result.kind == RR__KIND_BYTES) return frame;
    rr__log_misuse(misuse);
    return NULL;
}

void *rr_result(size_t size) {
    rr__frame *frame = rr__frame_of_bytes("rr_result: only a body that returns rr_bytes has one");
    return frame ? rr__result_room(rr__frame_context(frame), frame, size) : NULL;
}

void *rr_result_from(rr_bytes argument) {
    rr__frame *frame =
        rr__frame_of_bytes("rr_result_from: only a body that returns rr_bytes has one");
    return frame ? rr__result_from(rr__frame_context(frame), frame, argument) : NULL;
}

rr_ref rr__gather(const rr_ref *refs, size_t n, const char *site) {
    rr_status status;
    rr__context *cx = rr__enter_to_submit(&status);
    return cx ? rr__gather_new(cx, refs, n, site) : rr__status_ref(status);
}

rr_ref rr__field(rr_ref ref, const rr_type *whole, rr_type type, size_t offset, const char *site) {
    rr_status status;
    rr__context *cx = rr__enter_to_submit(&status);
    return cx ? rr__field_new(cx, ref, whole, type, offset, site) : rr__status_ref(status);
}

rr_status rr_name(const char *name, rr_ref ref) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (!cx) return status;
    if (!name || !*name) return rr__note(ref, RR_ERR_INVALID, "rr_name: name is NULL or empty");
    rr__object *o = ref.id ? rr__pin(cx, ref, false) : NULL;
    if (!o && (ref.id || ref.slot)) return rr__refuse_handle(cx->runtime, ref);
    status = rr__name_object(cx, name, o);
    if (status != RR_OK && o) rr__drop(cx, o);
    if (status == RR_ERR_NOT_FOUND)
        return rr__note(ref, status, "rr_name: no object is named '%s' any more", name);
    return status == RR_OK ? status : rr__note_status(ref, status);
}

rr_ref rr__put_as(const char *name, rr_type type, const void *value, const char *site) {
    rr_ref ref = rr__put(type, value, site);
    rr_status status = name && *name ? rr_get_void(ref) : RR_ERR_INVALID;
    if (status == RR_OK) status = rr_name(name, ref);
    else if (status != RR_ERR_INVALID) return ref; /* who had the name keeps it */
    if (status == RR_OK) return ref;
    rr__release_ref(ref);
    rr__context *cx = rr__enter(&status);
    if (!cx) return rr__status_ref(status);
    status = name && *name ? RR_ERR_NO_MEMORY : RR_ERR_INVALID;
    const char *text = "rr_put_as: name is NULL or empty: pass one, or use rr_put";
    return rr__failed_ref(cx, rr__error_saying(cx->runtime, status, NULL, text), site);
}

rr_status rr_find(const char *name, rr_ref *out) {
    rr_status status;
    rr__local *self = rr__self();
    rr__context *cx = rr__enter(&status);
    if (out) *out = RR__NULL_REF;
    if (!cx) return status;
    if (!name || !out)
        return rr__note(RR__NULL_REF, RR_ERR_INVALID, "rr_find: %s is NULL: pass %s",
                        name ? "out" : "name", name ? "where the reference goes" : "the name");
    if (!rr__scope_ready(self)) return rr__note_status(RR__NULL_REF, RR_ERR_NO_MEMORY);
    rr__object *o = rr__named_object(cx, name);
    if (!o)
        return rr__note(RR__NULL_REF, RR_ERR_NOT_FOUND,
                        "rr_find: no object is named '%s': rr_put_as and rr_name name one", name);
    rr__scope_hold(self, cx, o, false);
    *out = rr__ref_to(cx, o);
    return RR_OK;
}

bool rr_exists(const char *name) {
    rr__context *cx = name ? rr__enter(NULL) : NULL;
    rr__object *o = cx ? rr__named_object(cx, name) : NULL;
    if (o) rr__drop(cx, o);
    return o != NULL;
}

size_t rr_size(rr_ref ref) {
    rr__context *cx = rr__enter(NULL);
    rr__object *o = cx ? rr__pin(cx, ref, false) : NULL;
    if (!o) return 0;
    bool is_there = rr__is_complete(o) ? !rr__has_failed(o) : rr__is_unsealed(o);
    size_t size = is_there ? rr__bytes_of_value(o) : 0;
    rr__drop(cx, o);
    return size;
}

rr_status rr_pin(rr_ref ref) {
    rr_status status = rr_get_void(ref);
    rr__context *cx = status == RR_OK ? rr__enter(&status) : NULL;
    if (!cx) return status;
    rr__object *o = rr__pin(cx, ref, false);
    if (!o) return rr__refuse_handle(cx->runtime, ref);
    status = rr__use(cx, o);
    cx = rr__after_room(cx);
    rr__store_copied(cx);
    if (status != RR_OK) status = rr__note_unreadable(o, ref, status);
    else if (rr__pins_change(cx->runtime, ref.id, 1) < 0) {
        rr__unuse(cx, o);
        status = rr__note_status(ref, RR_ERR_NO_MEMORY);
    }
    if (status != RR_OK) rr__drop(cx, o); /* else the count stays */
    return status;
}

rr_status rr_unpin(rr_ref ref) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (!cx) return status;
    rr__object *o = rr__pin(cx, ref, false);
    if (!o) return rr__refuse_handle(cx->runtime, ref);
    if (rr__pins_change(cx->runtime, ref.id, -1) < 0) {
        status = rr__note(ref, RR_ERR_INVALID, "rr_unpin: '%s' (made at %s) is not pinned",
                          rr__name_of(o), o->site);
        rr__drop(cx, o);
        return status;
    }
    rr__unuse(cx, o);
    rr__drop(cx, o);
    rr__drop(cx, o);
    return RR_OK;
}
