/* The queue of a stream: between a body that yields and its readers, in the control block of the
   body's task. Each side waits in a line, for a sign that the other one gives.
   Rules  Y1  Who puts something in, or takes it out, gives the sign to one that waits for that; who
              got one and leaves without taking anything passes it on.
          Y2  A reader looks whether the body has ended, and waits for that, too, under the lock
              under which those that wait for the end of the task are told.
   Locks: the shard lock of the task. */
#pragma once
#include "../core/waiting.h"
#include "complete.h"

/* Under the shard lock of the task. The reader's end, an object, counts the task; what is unread is
   counted here. */
struct rr__stream {
    rr__object **items;
    size_t first, count, room; /* a ring; room: 0 or a power of two */
    size_t max_unread;         /* SIZE_MAX: no limit */
    uint64_t made, now;        /* so far: by all attempts, by this one; body only */
    bool is_closed;            /* nobody reads any more */
    bool is_given_up;          /* nor will anybody: the runtime ends */
    rr__line readers, writers; /* who waits; of the second kind there is but the body */
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
    rr__parker *reader = NULL;
    rr__lock(&shard->lock);
    rr_status status = stream->is_closed ? RR_ERR_CANCELLED : RR_OK;
    if (status == RR_OK && stream->count == stream->room && !rr__stream_grow_locked(stream))
        status = RR_ERR_NO_MEMORY;
    if (status == RR_OK) {
        stream->items[(stream->first + stream->count++) & (stream->room - 1)] = item;
        stream->made++;
        if (stream->readers.first) reader = rr__line_pop(&stream->readers);
    }
    rr__unlock(&shard->lock);
    if (reader) rr__wake(cx, reader);
    return status;
}

/* The next object, which the caller then counts; or NULL. */
static rr__object *rr__stream_pop(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_of(task);
    rr__shard *shard = rr__shard_of(cx->runtime, task);
    rr__object *item = NULL;
    rr__parker *writer = NULL;
    rr__lock(&shard->lock);
    if (stream->count) {
        item = stream->items[stream->first];
        stream->first = (stream->first + 1) & (stream->room - 1), stream->count--;
        if (stream->writers.first) writer = rr__line_pop(&stream->writers);
    }
    rr__unlock(&shard->lock);
    if (writer) rr__wake(cx, writer);
    return item;
}

/* Gives the sign to all that wait. */
static void rr__stream_wake_all(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_of(task);
    rr__shard *shard = rr__shard_of(cx->runtime, task);
    for (rr__parker *parker;; rr__wake(cx, parker)) {
        rr__lock(&shard->lock);
        rr__line *line = stream->readers.first ? &stream->readers : &stream->writers;
        parker = line->first ? rr__line_pop(line) : NULL;
        rr__unlock(&shard->lock);
        if (!parker) return;
    }
}

static bool rr__stream_is_closed(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_of(task);
    rr__shard *shard = rr__shard_lock(cx->runtime, task);
    bool is_closed = stream && stream->is_closed;
    rr__unlock(&shard->lock);
    return is_closed;
}

/* The runtime ends, and the body waits for space that nobody will make. */
static void rr__stream_give_up(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_of(task);
    rr__shard *shard = rr__shard_of(cx->runtime, task);
    if (!stream) return;
    rr__lock(&shard->lock);
    rr__parker *writer = stream->writers.first ? rr__line_pop(&stream->writers) : NULL;
    if (writer) stream->is_given_up = true;
    rr__unlock(&shard->lock);
    if (writer) rr__wake(cx, writer);
}

/* ---- waiting ---- */

/* The body waits until there is space. RR_ERR_CANCELLED: there will be none. */
static rr_status rr__stream_wait_space(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_of(task);
    rr__shard *shard = rr__shard_of(cx->runtime, task);
    rr_status status = RR_OK;
    for (bool is_full = true; is_full && status == RR_OK;) {
        rr__sleeper s = rr__sleeper_of(rr__here(cx));
        s.may_starve = true;
        rr__lock(&shard->lock);
        bool is_given_up = stream->is_given_up;
        is_full = stream->count >= stream->max_unread && !stream->is_closed;
        if (is_full && !is_given_up) rr__line_add(&stream->writers, &s);
        rr__unlock(&shard->lock);
        if (!is_full) break;
        if (is_given_up) return RR_ERR_CANCELLED;
        rr__linked_wait(&s, NULL, -1);
        rr__lock(&shard->lock);
        rr__line_remove(&stream->writers, &s);
        rr__unlock(&shard->lock);
        status = rr__wait_outcome(&s, RR__NULL_REF);
    }
    return status;
}

/* A reader leaves without an item (rule Y1). */
static void rr__stream_pass_on(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_of(task);
    rr__shard *shard = rr__shard_lock(cx->runtime, task);
    bool has = stream->count && stream->readers.first;
    rr__parker *next = has ? rr__line_pop(&stream->readers) : NULL;
    rr__unlock(&shard->lock);
    if (next) rr__wake(cx, next);
}

/* A reader waits until there may be something, or the body has ended (rule Y2). */
static rr_status rr__stream_wait_item(rr__context *cx, rr__object *task, double deadline) {
    char ring[RR__RING_TEXT];
    rr__stream *stream = rr__stream_of(task);
    rr__shard *shard = rr__shard_of(cx->runtime, task);
    rr__sleeper s = rr__sleeper_of(cx);
    rr__node node = {.object = task, .sleeper = &s};
    rr__wait wait = {.objects = &task, .nodes = &node, .n = 1, .need = 1};
    s.has_limit = deadline >= 0, s.may_starve = true, s.ring = ring, s.wait = &wait;
    rr__lock(&shard->lock);
    bool waits = !stream->count && !stream->is_closed && rr__node_add_locked(shard, &node);
    if (waits) rr__line_add(&stream->readers, &s);
    rr__unlock(&shard->lock);
    if (!waits) return RR_OK;
    rr__linked_wait(&s, task, deadline);
    rr__lock(&shard->lock); /* nobody gives it a sign after this */
    if (node.is_linked) rr__node_unlink(shard, &node);
    rr__line_remove(&stream->readers, &s);
    rr__unlock(&shard->lock);
    rr_status status = rr__wait_outcome(&s, RR__NULL_REF);
    if (status != RR_OK) rr__stream_pass_on(rr__here(cx), task);
    return status == RR_ERR_TIMEOUT ? rr__note_status(RR__NULL_REF, status) : status;
}
