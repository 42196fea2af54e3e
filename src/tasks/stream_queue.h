/* The queue of a stream: between a body that yields and its readers, in the control block of the
   body's task. Its two sides sleep on objects that the other side completes, so that there is
   one way to wait.
   Locks: the shard lock of the task. */
#pragma once
#include "complete.h"

/* Between a body that yields and its readers: a queue that grows, in the control of the body's
   task. Under the shard lock of that. The reader's end, an object, counts the task; what is unread
   is counted here. A reader that finds nothing sleeps on `more`, or until the task ends; a body
   that finds the queue full on `space`: objects that the other side completes. */
struct rr__stream {
    rr__object **items;
    size_t first, count, room; /* a ring; room: 0 or a power of two */
    size_t max_unread;         /* SIZE_MAX: no limit */
    uint64_t made, now;        /* so far: by all attempts, by this one; body only */
    bool is_closed;            /* nobody reads any more */
    rr__object *more, *space;  /* NULL: nobody sleeps */
};

/* A queue that grows; NULL without memory. max_unread 0: no limit. */
static rr__stream *rr__stream_new(int max_unread) {
    rr__stream *stream = RR_CALLOC(1, sizeof *stream);
    if (stream) stream->max_unread = max_unread ? (size_t)max_unread : SIZE_MAX;
    return stream;
}

/* With the slot of its task; what is unread went with the reader's end. */
static void rr__stream_free(rr__stream *stream) {
    if (stream) RR_FREE(stream->items);
    RR_FREE(stream);
}

static rr__stream *rr__stream_of(const rr__object *task) {
    const rr__control *control = rr__control_of(task);
    return control ? control->stream : NULL;
}

/* ---- signals ---- */

/* What sleepers of a stream wait for: completed by the other side, or by the end of the runtime. */
static rr__object *rr__signal_new(rr__context *cx, const char *site, enum rr__flags what) {
    rr__object *o = rr__object_new(cx, RR__VALUE, site);
    if (!o) return NULL;
    o->place = RR__ON_ITS_OWN, o->of.type_name = "rr_bytes";
    rr__store_relaxed(&o->flags, (uint8_t)what);
    rr__store_relaxed(&o->words[0], (uint64_t)0); /* no record: see rr__stored_of */
    rr__publish(o, RR__WAITING, 1, RR__KIND_BYTES);
    return o;
}

/* Takes over a count. */
static void rr__signal_fire(rr__context *cx, rr__object *signal) {
    if (!signal) return;
    if (rr__unseal(signal)) rr__complete(cx, signal, RR__READY);
    else rr__drop(cx, signal);
}

/* The signal in *place, for the caller to wait for, counted: the one that is there, or the
   caller's, which it gives away. Under the lock. */
static rr__object *rr__signal_share_locked(rr__object **place, rr__object **own) {
    if (!*place) *place = *own, *own = NULL;
    rr__share(*place);
    return *place;
}

/* ---- the queue ---- */

static bool rr__stream_grow_locked(rr__stream *stream) {
    size_t room = stream->room ? 2 * stream->room : 8;
    rr__object **items = RR_MALLOC(room * sizeof *items);
    if (!items) return false;
    for (size_t i = 0; i < stream->count; i++)
        items[i] = stream->items[(stream->first + i) & (stream->room - 1)];
    RR_FREE(stream->items);
    stream->items = items, stream->room = room, stream->first = 0;
    return true;
}

/* Puts an object into the queue; takes over its count if it returns RR_OK. */
static rr_status rr__stream_push(rr__context *cx, rr__object *task, rr__object *item) {
    rr__stream *stream = rr__stream_of(task);
    rr__shard *shard = rr__shard_of(cx->runtime, task);
    rr__object *more = NULL;
    rr__lock(&shard->lock);
    rr_status status = stream->is_closed ? RR_ERR_CANCELLED : RR_OK;
    if (status == RR_OK && stream->count == stream->room && !rr__stream_grow_locked(stream))
        status = RR_ERR_NO_MEMORY;
    if (status == RR_OK) {
        stream->items[(stream->first + stream->count++) & (stream->room - 1)] = item;
        more = stream->more, stream->more = NULL, stream->made++;
    }
    rr__unlock(&shard->lock);
    rr__signal_fire(cx, more);
    return status;
}

/* A signal to wait for, counted, if the queue is full; made when it is needed first. */
static rr_status rr__stream_full(rr__context *cx, rr__object *task, rr__object **space) {
    rr__stream *stream = rr__stream_of(task);
    rr__shard *shard = rr__shard_of(cx->runtime, task);
    rr__object *own = NULL;
    *space = NULL;
    for (bool is_full = true; is_full && !*space;) {
        rr__lock(&shard->lock);
        is_full = stream->count >= stream->max_unread && !stream->is_closed;
        if (is_full && own) *space = rr__signal_share_locked(&stream->space, &own);
        rr__unlock(&shard->lock);
        if (is_full && !*space && !(own = rr__signal_new(cx, task->site, RR__IS_SPACE)))
            return RR_ERR_NO_MEMORY;
    }
    if (own) rr__drop(cx, own);
    return RR_OK;
}

/* The next object, which the caller then counts; or NULL, and then a signal to wait for, if the
   caller has brought one. */
static rr__object *rr__stream_pop(rr__context *cx, rr__object *task, rr__object **own,
                                  rr__object **more) {
    rr__stream *stream = rr__stream_of(task);
    rr__shard *shard = rr__shard_of(cx->runtime, task);
    rr__object *item = NULL, *space = NULL;
    rr__lock(&shard->lock);
    if (stream->count) {
        item = stream->items[stream->first];
        stream->first = (stream->first + 1) & (stream->room - 1), stream->count--;
        space = stream->space, stream->space = NULL;
    } else if (*own && !stream->is_closed) {
        *more = rr__signal_share_locked(&stream->more, own);
    }
    rr__unlock(&shard->lock);
    rr__signal_fire(cx, space);
    return item;
}

static bool rr__stream_is_closed(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_of(task);
    rr__shard *shard = rr__shard_lock(cx->runtime, task);
    bool is_closed = stream && stream->is_closed;
    rr__unlock(&shard->lock);
    return is_closed;
}
