/* Calling, cancelling, and what bodies ask. */
#pragma once
#include "../tasks/streams.h"
#include "errors.h"
#include "handles.h"

rr_ref rr__call(rr_function *fn, const rr__arg *args, size_t n, const char *site) {
    rr_status status;
    (void)n; /* checked when it was compiled */
    rr__context *cx = rr__enter_to_submit(&status);
    if (RR__UNLIKELY(!cx)) return rr__status_ref(status);
    if (RR__UNLIKELY(cx->runtime->config.max_pending)) rr__make_way(cx);
    return rr__submit(cx, fn, args, NULL, site);
}

static bool rr__options_are_zero(const rr_options *o) {
    return !rr__has_needs(o->num_cpus, o->resources) && !o->name && !o->priority &&
           !o->timeout_ms && !o->max_retries && !o->retry_delay_ms && !o->blocking &&
           !o->no_rebuild && !o->max_unread && !o->max_unread_bytes;
}

rr_ref rr__call_with(const rr_options *options, rr_function *fn, const rr__arg *args, size_t n,
                     const char *site) {
    rr_status status;
    (void)n;
    rr__context *cx = rr__enter_to_submit(&status);
    if (!cx) return rr__status_ref(status);
    if (cx->runtime->config.max_pending) rr__make_way(cx);
    return rr__options_are_zero(options) ? rr__submit(cx, fn, args, NULL, site)
                                         : rr__submit(cx, fn, args, options, site);
}

static rr_status rr__cancel(rr_ref ref, uint64_t flag) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (!cx) return status;
    rr__object *o = rr__pin(cx, ref, false);
    if (!o) return rr__refuse_handle(cx->runtime, ref);
    if (o->kind != RR__FUNCTION && o->kind != RR__METHOD)
        status = rr__note(ref, RR_ERR_INVALID, "rr_cancel: the object of %s is no task", o->site);
    else if (!rr__cancel_tree(cx, o, flag))
        status = rr__note(ref, RR_ERR_INVALID, "rr_cancel: '%s' is finished", rr__name_of(o));
    rr__drop(cx, o);
    return status;
}

rr_status rr_cancel(rr_ref ref) { return rr__cancel(ref, RR__IS_CANCELLED); }
rr_status rr_cancel_alone(rr_ref ref) { return rr__cancel(ref, RR__IS_CANCELLED | RR__IS_ALONE); }

bool rr_cancelled(void) {
    rr__frame *frame = rr__self()->frame;
    return frame && rr__frame_must_stop(frame);
}

void rr_block_begin(void) {
    rr__frame *frame = rr__self()->frame;
    if (!frame || frame->blocking == UINT16_MAX || frame->blocking++) return;
    rr__block_begin(frame);
}

void rr_block_end(void) {
    rr__frame *frame = rr__self()->frame;
    if (frame && frame->blocking && !--frame->blocking) rr__block_over(frame);
}

int rr_attempt(void) {
    rr__frame *frame = rr__self()->frame;
    rr__control *control = frame ? rr__control_of(frame->task) : NULL;
    return control                                    ? control->attempt
           : frame && frame->task->kind == RR__METHOD ? frame->task->attempt
                                                      : 0;
}

static rr__error *rr__named_error(rr__context *cx, const rr_function *fn, const char *name,
                                  const rr__named_arg *args, size_t n) {
    char suggestion[200];
    if (fn && fn->item.size)
        return rr__error_new(cx->runtime, RR_ERR_INVALID, NULL,
                             "'%s' is a stream: call it with rr_call_stream", name);
    if (!fn || fn->kind != RR__FUNCTION) {
        rr__registry_suggest(name, suggestion, sizeof suggestion);
        return rr__error_new(cx->runtime, RR_ERR_NOT_FOUND, NULL,
                             "there is no remote function '%s'%s", name, suggestion);
    }
    if (n != (size_t)fn->arity)
        return rr__error_new(cx->runtime, RR_ERR_ARITY, NULL, "'%s' has %d parameter%s, not %zu",
                             name, fn->arity, fn->arity == 1 ? "" : "s", n);
    for (size_t i = 0; i < n; i++)
        if (args[i].value.type.name && !rr__type_equal(args[i].value.type, fn->params[i]))
            return rr__error_new(cx->runtime, RR_ERR_TYPE, NULL,
                                 "argument %zu of '%s' is declared %s, but the value is %s", i + 1,
                                 name, fn->params[i].name, args[i].value.type.name);
    return NULL;
}

rr_ref rr__call_named(const char *name, const rr__named_arg *args, size_t n, const char *site) {
    rr_status status;
    rr__context *cx = rr__enter_to_submit(&status);
    if (!cx) return rr__status_ref(status);
    rr_function *fn = name ? rr__registry_find(name) : NULL;
    rr__error *error =
        name ? rr__named_error(cx, fn, name, args, n)
             : rr__error_new(cx->runtime, RR_ERR_INVALID, NULL,
                             "rr_call_named: a name is needed, as REMOTE_FN gives it");
    if (error) return rr__failed_ref(cx, error, site);
    rr__arg plain[RR__MAX_PARAMS];
    for (size_t i = 0; i < n; i++)
        plain[i] = (rr__arg){args[i].value.type.name ? args[i].value.data : NULL, args[i].ref};
    if (cx->runtime->config.max_pending) rr__make_way(cx);
    return rr__submit(cx, fn, plain, NULL, site);
}

void rr_fail(int code, const char *format, ...) {
    rr__frame *frame = rr__self()->frame;
    va_list args;
    va_start(args, format);
    if (!frame) {
        char text[512] = "rr_fail outside a task does nothing: ";
        vsnprintf(text + strlen(text), sizeof text - strlen(text), format, args);
        rr__log_misuse(text);
    } else if (!frame->error) {
        frame->error = rr__error_make(rr__frame_context(frame)->runtime, RR_ERR_TASK, code,
                                      frame->task, NULL, format, args);
    }
    va_end(args);
}

rr_status rr__yield(rr_type type, const void *value, const char *site) {
    rr__frame *frame = rr__self()->frame;
    rr__object *task = frame ? frame->task : NULL;
    rr__stream *stream = task ? rr__stream_of(task) : NULL;
    if (!stream)
        return rr__note(RR__NULL_REF, RR_ERR_INVALID, "rr_yield: only the body of a stream has it");
    if (rr__frame_must_stop(frame)) return rr__note_status(RR__NULL_REF, RR_ERR_CANCELLED);
    if (frame->error) return rr__note_status(RR__NULL_REF, frame->error->status);
    if (!rr__type_equal(type, task->of.fn->item)) return rr__yield_type_error(frame, type, site);
    if (stream->now++ < rr__load_relaxed(&stream->put)) return RR_OK; /* an earlier attempt did */
    rr_status status = rr__yield_item(rr__frame_context(frame), task, type, value, site);
    if (status == RR_OK) return RR_OK;
    if (status == RR_ERR_CANCELLED) return rr__note_status(RR__NULL_REF, status);
    return rr__yield_fail(frame, status, site,
                          rr__fill_text(rr__frame_context(frame)->runtime, status, type, value));
}

/* The reader's end of a task that was just submitted: takes over the caller's count of it. */
rr_stream rr__call_stream(const rr_options *options, rr_function *fn, const rr__arg *args, size_t n,
                          const char *site) {
    static const rr_options none;
    rr_status status;
    (void)n;
    rr__local *self = rr__self();
    rr__context *cx = rr__enter_to_submit(&status);
    if (cx && cx->runtime->config.max_pending) rr__make_way(cx);
    rr__object *reader = cx && rr__scope_ready(self) ? rr__object_new(cx, RR__STREAM, site) : NULL;
    if (!reader) return (rr_stream){0, (uint32_t)(cx ? RR_ERR_NO_MEMORY : status), 0};
    rr_ref ref = rr__submit(cx, fn, args, options ? options : &none, site);
    if (!ref.id) {
        rr__object_free(cx, reader);
        return (rr_stream){0, ref.slot, 0};
    }
    rr__keep(ref);
    reader->extra.producer = rr__find(cx->runtime, ref), reader->of.type_name = "rr_stream";
    rr__scope_hold(self, cx, reader, false);
    ref = rr__ref_to(cx, reader);
    rr__publish_with(reader, RR__READY, 1, RR__KIND_VOID, 0);
    return (rr_stream){ref.id, ref.slot, ref.home};
}

rr_status rr_next_timeout(rr_stream handle, int64_t milliseconds, rr_ref *out) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    rr__local *self = rr__self();
    if (out) *out = RR__NULL_REF;
    if (!cx) return status;
    if (!out)
        return rr__note(RR__NULL_REF, RR_ERR_INVALID,
                        "rr_next: a place is needed to put the reference");
    rr__object *reader = rr__pin(cx, rr__ref_of(handle), false), *item = NULL;
    if (!reader || reader->kind != RR__STREAM) {
        if (reader) rr__drop(cx, reader);
        return rr__refuse_handle(cx->runtime, rr__ref_of(handle));
    }
    if (!rr__scope_ready(self)) {
        rr__drop(cx, reader);
        return rr__note_status(RR__NULL_REF, RR_ERR_NO_MEMORY);
    }
    status = rr__stream_read(cx, reader, milliseconds, &item);
    if (!item) return status;
    cx = rr__here(cx);
    *out = rr__ref_to(cx, item);
    rr__scope_hold(self, cx, item, false);
    return RR_OK;
}

rr_status rr_next(rr_stream stream, rr_ref *out) { return rr_next_timeout(stream, -1, out); }
