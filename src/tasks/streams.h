/* Streams: what a body yields while it runs, and its readers. The reader's end is an object of
   its own, which counts the task; when nobody counts that any more the body is cancelled.
   Locks: the shard lock of the task. */
#pragma once
#include "functions.h"
#include "stream_queue.h"

/* The last handle of the reader's end went. */
static void rr__stream_close(rr__context *cx, rr__object *reader) {
    rr__object *task = reader->extra.producer;
    rr__stream *stream = rr__stream_of(task);
    rr__shard *shard = rr__shard_of(cx->runtime, task);
    rr__cancel_tree(cx, task, RR__IS_CANCELLED); /* first: rr_yield says what rr_cancelled does */
    RR__STRESS_POINT();
    if (!stream) { /* it could not be submitted */
        rr__drop(cx, task);
        return;
    }
    rr__lock(&shard->lock);
    rr__object *space = stream->space, *more = stream->more;
    size_t first = stream->first, count = stream->count;
    stream->is_closed = true, stream->space = stream->more = NULL, stream->count = 0;
    rr__unlock(&shard->lock);
    for (size_t i = 0; i < count; i++) /* nobody else touches them now */
        rr__drop(cx, stream->items[(first + i) & (stream->room - 1)]);
    rr__signal_fire(cx, space);
    rr__signal_fire(cx, more);
    rr__drop(cx, task);
}

/* Waits until there is space. */
static rr_status rr__stream_space(rr__context *cx, rr__object *task) {
    rr__object *space;
    if (rr__stream_of(task)->max_unread == SIZE_MAX) return RR_OK; /* fixed */
    rr_status status = rr__stream_full(cx, task, &space);
    while (status == RR_OK && space) {
        status = rr__await(cx, space, RR__NULL_REF, -1);
        cx = rr__here(cx);
        if (status == RR_OK && rr__has_failed(space)) { /* shut down: nobody will read any more */
            rr__cancel_tree(cx, task, RR__IS_CANCELLED);
            status = RR_ERR_CANCELLED;
        }
        rr__drop(cx, space);
        if (status == RR_OK) status = rr__stream_full(cx, task, &space);
    }
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

/* Sleeps until there is more, or the body has ended. */
static rr_status rr__stream_sleep(rr__context *cx, rr__object *task, rr__object *more,
                                  double deadline) {
    rr__object *objects[2] = {task, more};
    rr__node nodes[2];
    rr__wait wait = {.objects = objects, .nodes = nodes, .n = 2, .need = 1, .deadline = deadline};
    rr_status status = rr__wait_asleep(cx, &wait, RR__NULL_REF);
    return status == RR_ERR_TIMEOUT ? rr__note_status(RR__NULL_REF, status) : status;
}

/* It has ended and nothing is unread. */
static rr_status rr__stream_end(rr__context *cx, rr__object *task) {
    if (rr__stream_is_closed(cx, task)) /* while the caller was here */
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

/* The caller counts the task, and not the reader's end: so a wait ends when that goes. */
static rr_status rr__stream_next(rr__context *cx, rr__object *task, int64_t milliseconds,
                                 rr__object **item) {
    double deadline = rr__deadline(milliseconds);
    rr__object *more = NULL, *own = NULL;
    if (!rr__stream_of(task)) return rr__stream_end(cx, task); /* it could not be submitted */
    for (;;) {
        bool has_ended = rr__is_complete(task); /* before the look at the queue */
        RR__STRESS_POINT();
        if ((*item = rr__stream_pop(cx, task, &own, &more)) || has_ended || !milliseconds) {
            if (own) rr__drop(cx, own);
            if (more) rr__drop(cx, more);
            return *item       ? RR_OK
                   : has_ended ? rr__stream_end(cx, task)
                               : rr__note_status(RR__NULL_REF, RR_ERR_TIMEOUT);
        }
        if (!more) { /* another look, with a signal to leave there */
            if (!own && !(own = rr__signal_new(cx, task->site, RR__IS_MORE)))
                return rr__note_status(RR__NULL_REF, RR_ERR_NO_MEMORY);
            rr__store_release(&own->waits_on, task);
            continue;
        }
        if (own) rr__drop(cx, own);
        rr_status status = rr__stream_sleep(cx, task, more, deadline);
        cx = rr__here(cx);
        if (status == RR_OK && rr__has_failed(more)) /* shut down */
            status = rr__note_status(RR__NULL_REF, RR_ERR_NOT_RUNNING);
        rr__drop(cx, more);
        own = more = NULL;
        if (status != RR_OK) return status;
    }
}
