/* Errors: their messages and codes. */
#pragma once
#include "../runtime/attach.h"

static const char *rr__failure_message(rr__context *cx, rr__object *o, rr_ref ref) {
    if (!rr__is_decided(o)) return rr__error_message_of(o->data.error);
    rr__error *error = rr__failure(cx->runtime, o);
    rr__note(ref, error->status, "%s", rr__error_message_of(error));
    rr__error_drop(error);
    return rr__self()->note.text;
}

const char *rr_error_message(rr_ref ref) {
    rr__local *self = rr__self();
    if (!ref.id && !ref.slot && self->note.is_failure) ref = self->note.of;
    if (ref.id == 0 && ref.slot) return rr_status_text(rr__status_of(ref.slot));
    rr__context *cx = rr__enter(NULL);
    rr__object *o = cx && ref.id ? rr__pin(cx, ref, false) : NULL;
    const char *message = o && rr__has_failed(o) ? rr__failure_message(cx, o, ref) : NULL;
    bool is_gone = ref.id && !o;
    if (o) rr__drop(cx, o);
    if (message) return message;
    if (self->note.text[0] && (memcmp(&self->note.of, &ref, sizeof ref) == 0 || !ref.id))
        return self->note.text;
    if (!is_gone) return "no error";
    return cx ? rr__handle_text(cx->runtime, ref) : rr_status_text(RR_ERR_NOT_RUNNING);
}

int rr_error_code(rr_ref ref) {
    rr__context *cx = rr__enter(NULL);
    rr__object *o = cx ? rr__pin(cx, ref, false) : NULL;
    if (!o) return 0;
    rr__error *error = rr__has_failed(o) && !rr__is_decided(o) ? o->data.error : NULL;
    int code = error ? error->code : 0;
    rr__drop(cx, o);
    return code;
}
