/* Streams: what a body yields while it runs, and its readers. The reader's end is an object of
   its own, which counts the task; when nobody counts that any more the body is cancelled.
   Locks: the shard lock of the task. */
#pragma once
#include "functions.h"
#include "stream_queue.h"

/* The last handle of the reader's end went. */
static void rr__stream_close(rr__context *cx, rr__object *reader) {
    rr__object *task = reader->extra.producer;
    rr__cancel_tree(cx, task, RR__IS_CANCELLED); /* first: rr_yield says what rr_cancelled does */
    RR__STRESS_POINT();
    if (rr__stream_of(task)) rr__stream_shut(cx, task); /* or it could not be submitted */
    rr__drop(cx, task);
}

/* Waits until there is space; shut down, there will be none: then the task is cancelled. */
static rr_status rr__stream_space(rr__context *cx, rr__object *task) {
    if (RR__LIKELY(rr__stream_has_space(rr__stream_in(task)))) return RR_OK;
    rr_status status = rr__stream_wait_space(cx, task);
    if (status == RR_ERR_CANCELLED) rr__cancel_tree(rr__here(cx), task, RR__IS_CANCELLED);
    return status;
}

static rr_status rr__yield_item(rr__context *cx, rr__object *task, rr_type type, const void *value,
                                const char *site) {
    rr_status status = rr__stream_space(cx, task);
    if (status != RR_OK) return status;
    cx = rr__here(cx);
    rr__object *item = rr__object_new(cx, RR__VALUE, site);
    if (!item) return RR_ERR_NO_MEMORY;
    status = rr__value_fill(cx, item, type, value);
    cx = rr__after_room(cx);
    if (status != RR_OK) {
        rr__object_free(cx, item);
        return status;
    }
    rr__stored_begin(cx, item);
    rr__publish(item, RR__READY, 1, type.kind);
    if ((status = rr__stream_push(cx, task, item)) != RR_OK) rr__drop(cx, item);
    return status;
}

/* A yield that went wrong fails the body, because a gap would go unseen; further ones fail
   likewise. */
static rr_status rr__yield_fail(rr__frame *frame, rr_status status, const char *site,
                                const char *text) {
    if (!frame->error)
        frame->error = rr__error_new(rr__frame_context(frame)->runtime, status, frame->task,
                                     "what it yielded at %s: %s", site, text);
    return rr__note(RR__NULL_REF, status, "rr_yield at %s: %s", site, text);
}

static rr_status rr__yield_type_error(rr__frame *frame, rr_type type, const char *site) {
    char text[200];
    snprintf(text, sizeof text, "it is a stream of %s, and this is %s",
             frame->task->of.fn->item.name, type.name);
    return rr__yield_fail(frame, RR_ERR_TYPE, site, text);
}

/* ---- reading ---- */

/* It has ended and nothing is unread. */
static rr_status rr__stream_end(rr__context *cx, rr__object *task) {
    if (rr__stream_is_closed(task)) /* while the caller was here */
        return rr__note(RR__NULL_REF, RR_ERR_STALE,
                        "the stream was released while this thread was reading it");
    if (!rr__has_failed(task)) return rr__note_status(RR__NULL_REF, RR_ERR_END);
    rr__error *error = rr__failure(cx->runtime, task);
    /* RR_ERR_TIMEOUT is what a reader's own limit says, who then reads on. */
    rr_status status = error->status == RR_ERR_TIMEOUT ? RR_ERR_LATE : error->status;
    rr__note(RR__NULL_REF, status, "%s", rr__error_message_of(error));
    rr__error_drop(error);
    return status;
}

/* A thread from outside looks on for a moment: to be woken takes longer than most items do. It
   keeps its core meanwhile: whoever was given that might keep it for milliseconds. */
static bool rr__stream_spin(rr__object *task) {
    enum { BETWEEN = 16 };
    rr__stream *stream = rr__stream_in(task);
    if (rr__has_one_cpu()) return false;
    for (double end = rr_now() + RR__SPIN_TIME; rr_now() < end;)
        for (int i = 0; i < BETWEEN; i++) {
            if (rr__stream_has_item(stream) || rr__is_complete(task)) return true;
            RR__PAUSE();
        }
    return false;
}

/* The caller counts the task, and not the reader's end: so a wait ends when that goes. */
static rr_status rr__stream_next(rr__context *cx, rr__object *task, int64_t milliseconds,
                                 rr__object **item) {
    double deadline = rr__deadline(milliseconds);
    for (rr_status status = RR_OK; status == RR_OK; cx = rr__here(cx)) {
        bool has_ended = rr__is_complete(task); /* before the look at the queue */
        RR__STRESS_POINT();
        if ((*item = rr__stream_pop(cx, task))) return RR_OK;
        if (has_ended || rr__stream_is_closed(task)) return rr__stream_end(cx, task);
        if (!milliseconds) return rr__note_status(RR__NULL_REF, RR_ERR_TIMEOUT);
        if (!rr__self()->fiber && rr__stream_spin(task)) continue;
        status = rr__stream_wait_item(cx, task, deadline);
        if (status != RR_OK) return status;
        if (deadline >= 0 && rr_now() >= deadline) milliseconds = 0; /* a last look */
    }
    return RR_OK;
}

/* What comes next of a stream whose reader's end is pinned. A wait counts the task instead, so that
   it ends when that end goes. */
static rr_status rr__stream_read(rr__context *cx, rr__object *reader, int64_t milliseconds,
                                 rr__object **item) {
    rr__object *task = reader->extra.producer;
    bool has_stream = rr__stream_of(task); /* or it could not be submitted */
    if (RR__LIKELY(has_stream && (*item = rr__stream_pop(cx, task)))) {
        rr__drop(cx, reader);
        return RR_OK;
    }
    rr__share(task);
    rr__drop(cx, reader);
    rr_status status =
        has_stream ? rr__stream_next(cx, task, milliseconds, item) : rr__stream_end(cx, task);
    rr__drop(rr__here(cx), task);
    return status;
}
