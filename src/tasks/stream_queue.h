/* The queue of a stream: between a body that yields and its readers, in the control block of the
   body's task. Two counters, each written by one side alone: the body puts in without a lock, and
   readers share one (after the queue with two locks of Michael and Scott, 1996). Each side waits
   in a line, for a sign that the other one gives.
   Rules  Y1  Who puts something in, or takes it out, gives the sign to one that waits for that; who
              got one and leaves without taking anything passes it on.
          Y2  A reader says that it waits before it looks for the last time; and the body looks
              whether somebody does after it has put something in (both seq_cst). The body stands in
              its line, and is looked for there, under the lock.
          Y3  A reader marks the task as watched before it looks whether that has ended, under the
              lock under which who ends it then gives the sign to all readers (rr__stream_over).
          Y4  What is there when the last handle goes, or comes after, is dropped, and read by
              nobody: by who lets go, and says so first, or by the body, which looks for that as in
              Y2. So who clears finds no reader in the lock that does not see that.
   Locks: the shard lock of the task. */
#pragma once
#include "../core/waiting.h"

/* Something that the body has to see to when it has put something in. */
enum rr__stream_calls { RR__IS_AWAITED = 1, RR__IS_CLOSED = 2 };

/* The reader's end, an object, counts the task; what is unread is counted here. */
struct rr__stream {
    /* Written by the body. */
    RR__ATOMIC(size_t) put; /* so many so far, by all attempts */
    size_t taken_seen;      /* of these so many at least were taken out */
    size_t now;             /* yielded by this attempt */
    size_t max_unread;      /* SIZE_MAX: no limit; fixed, as the next */
    uint64_t max_bytes;     /* UINT64_MAX: no limit, and nobody counts them */
    uint64_t put_bytes;     /* so many so far */
    rr__object **items;     /* a ring; it changes under the lock */
    size_t room;            /* there; 0 or a power of two */
    char apart[64];         /* what one side writes often lies not beside what the other does */

    /* Written by readers, under the lock. */
    RR__ATOMIC(size_t) taken;
    RR__ATOMIC(size_t) put_seen;
    RR__ATOMIC(uint64_t) taken_bytes;
    char apart_too[64];

    /* Seldom; under the lock. */
    RR__ATOMIC(int) calls;     /* enum rr__stream_calls */
    bool is_given_up;          /* nobody will read: the runtime ends */
    rr__line readers, writers; /* who waits; of the second kind there is but the body */
};

/* A queue that grows; NULL without memory. 0: no limit. */
static rr__stream *rr__stream_new(int max_unread, size_t max_bytes) {
    rr__stream *stream = RR_CALLOC(1, sizeof *stream);
    if (!stream) return NULL;
    stream->max_unread = max_unread ? (size_t)max_unread : SIZE_MAX;
    stream->max_bytes = max_bytes ? (uint64_t)max_bytes : UINT64_MAX;
    return stream;
}

/* With the slot of its task; what is unread went with the reader's end. */
static void rr__stream_free(rr__stream *stream) {
    if (stream) RR_FREE(stream->items);
    RR_FREE(stream);
}

/* Of any task: what it yields into, or NULL. */
static rr__stream *rr__stream_of(const rr__object *task) {
    const rr__control *control = rr__control_of(task);
    return control ? control->stream : NULL;
}

/* Of one that does. */
static rr__stream *rr__stream_in(const rr__object *task) { return task->extra.control->stream; }

/* ---- the queue ---- */

/* For readers, and, without the lock, for a look. */
static bool rr__stream_has_item(rr__stream *stream) {
    size_t taken = rr__load_relaxed(&stream->taken);
    return taken != rr__load_relaxed(&stream->put_seen) || taken != rr__load_seq_cst(&stream->put);
}

/* For the body: are there fewer than so many unread? */
static bool rr__stream_is_below(rr__stream *stream, size_t limit) {
    size_t put = rr__load_relaxed(&stream->put); /* its own */
    if (RR__LIKELY(put - stream->taken_seen < limit)) return true;
    stream->taken_seen = rr__load_acquire(&stream->taken);
    return put - stream->taken_seen < limit;
}
static bool rr__stream_has_space(rr__stream *stream) {
    bool is_light = stream->max_bytes == UINT64_MAX ||
                    stream->put_bytes - rr__load_acquire(&stream->taken_bytes) < stream->max_bytes;
    return is_light && rr__stream_is_below(stream, stream->max_unread);
}

static bool rr__stream_grow(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_in(task);
    size_t room = stream->room ? 2 * stream->room : 8, put = rr__load_relaxed(&stream->put);
    rr__object **items = RR_MALLOC(room * sizeof *items), **old = stream->items;
    if (!items) return false;
    rr__shard *shard = rr__shard_lock(cx->runtime, task);
    for (size_t i = rr__load_relaxed(&stream->taken); i != put; i++)
        items[i & (room - 1)] = old[i & (stream->room - 1)];
    stream->items = items, stream->room = room;
    rr__unlock(&shard->lock);
    RR_FREE(old);
    return true;
}

/* The next object, which the caller then counts; or NULL. Once the queue is closed only who clears
   it gets any: a reader that was late would miss what came before. */
static rr__object *rr__stream_take(rr__context *cx, rr__object *task, bool clears) {
    rr__stream *stream = rr__stream_in(task);
    rr__object *item = NULL;
    rr__parker *writer = NULL;
    if (!rr__stream_has_item(stream)) return NULL;
    rr__shard *shard = rr__shard_lock(cx->runtime, task);
    size_t taken = rr__load_relaxed(&stream->taken);
    bool may_take = clears || !(rr__load_relaxed(&stream->calls) & RR__IS_CLOSED);
    if (taken == rr__load_relaxed(&stream->put_seen))
        rr__store_relaxed(&stream->put_seen, rr__load_acquire(&stream->put));
    if (may_take && taken != rr__load_relaxed(&stream->put_seen)) {
        item = stream->items[taken & (stream->room - 1)];
        if (RR__UNLIKELY(stream->is_given_up)) stream->is_given_up = false;
        if (stream->max_bytes != UINT64_MAX)
            rr__store_release(&stream->taken_bytes,
                              rr__load_relaxed(&stream->taken_bytes) + rr__size_of(item));
        rr__store_release(&stream->taken, taken + 1);
        if (stream->writers.first) writer = rr__line_pop(&stream->writers);
    }
    rr__unlock(&shard->lock);
    rr__wake(cx, writer);
    return item;
}
static rr__object *rr__stream_pop(rr__context *cx, rr__object *task) {
    return rr__stream_take(cx, task, false);
}

static void rr__stream_clear(rr__context *cx, rr__object *task) {
    for (rr__object *item; (item = rr__stream_take(cx, task, true));) {
        rr__drop(cx, item);
        RR__STRESS_POINT();
    }
}

/* Gives the first reader a sign. Returns who is to be woken. Under the lock. */
static rr__parker *rr__stream_sign_locked(rr__stream *stream) {
    rr__parker *reader = stream->readers.first ? rr__line_pop(&stream->readers) : NULL;
    if (!stream->readers.first) (void)rr__and_seq_cst(&stream->calls, RR__IS_CLOSED);
    return reader;
}

/* The body is called, and has put something in (Y2, Y4). */
static RR__NOINLINE void rr__stream_answer(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_in(task);
    rr__shard *shard = rr__shard_lock(cx->runtime, task);
    rr__parker *reader = rr__stream_sign_locked(stream);
    bool is_closed = rr__load_relaxed(&stream->calls) & RR__IS_CLOSED;
    rr__unlock(&shard->lock);
    rr__wake(cx, reader);
    if (is_closed) rr__stream_clear(cx, task);
}

/* Puts an object into the queue; takes over its count if it returns RR_OK. */
static rr_status rr__stream_push(rr__context *cx, rr__object *task, rr__object *item) {
    rr__stream *stream = rr__stream_in(task);
    size_t put = rr__load_relaxed(&stream->put);                                   /* the body's */
    if (rr__load_relaxed(&stream->calls) & RR__IS_CLOSED) return RR_ERR_CANCELLED; /* or see Y4 */
    bool has_room = rr__stream_is_below(stream, stream->room) || rr__stream_grow(cx, task);
    if (!has_room) return RR_ERR_NO_MEMORY;
    stream->items[put & (stream->room - 1)] = item;
    stream->put_bytes += rr__size_of(item);
    rr__store_seq_cst(&stream->put, put + 1);
    if (RR__UNLIKELY(rr__load_seq_cst(&stream->calls))) rr__stream_answer(cx, task);
    return RR_OK;
}

/* The task has ended, and was watched. */
static void rr__stream_over(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_of(task);
    for (bool goes_on = stream != NULL; goes_on;) {
        rr__shard *shard = rr__shard_lock(cx->runtime, task);
        rr__parker *reader = rr__stream_sign_locked(stream);
        goes_on = stream->readers.first != NULL;
        rr__unlock(&shard->lock);
        rr__wake(cx, reader);
    }
}

/* Nobody reads any more; the task has been cancelled, if it had not ended. */
static void rr__stream_shut(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_in(task);
    (void)rr__or_seq_cst(&stream->calls, RR__IS_CLOSED);
    rr__stream_clear(cx, task);
}

static bool rr__stream_is_closed(rr__object *task) {
    rr__stream *stream = rr__stream_of(task);
    return stream && (rr__load_acquire(&stream->calls) & RR__IS_CLOSED);
}

/* The runtime ends, and the body waits for space that nobody will make. */
static void rr__stream_give_up(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_of(task);
    rr__shard *shard = rr__shard_of(cx->runtime, task);
    rr__parker *writer = NULL;
    if (!stream) return;
    rr__lock(&shard->lock);
    if (stream->writers.first) stream->is_given_up = true, writer = rr__line_pop(&stream->writers);
    rr__unlock(&shard->lock);
    rr__wake(cx, writer);
}

/* ---- waiting ---- */

/* The body waits until there is space. RR_ERR_CANCELLED: there will be none. */
static RR__NOINLINE rr_status rr__stream_wait_space(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_in(task);
    rr__shard *shard = rr__shard_of(cx->runtime, task);
    rr_status status = RR_OK;
    while (status == RR_OK && !rr__stream_has_space(stream)) {
        rr__sleeper s = rr__sleeper_of(rr__here(cx));
        s.may_starve = s.is_for_outside = true;
        rr__lock(&shard->lock);
        bool is_given_up = stream->is_given_up,
             waits = !is_given_up && !rr__stream_has_space(stream);
        if (waits) rr__line_add(&stream->writers, &s);
        rr__unlock(&shard->lock);
        if (is_given_up) return RR_ERR_CANCELLED;
        if (!waits) break;
        rr__linked_wait(&s, NULL, -1);
        status = rr__wait_outcome(&s, RR__NULL_REF);
        if (status == RR_OK) continue; /* by the sign it has left the line */
        rr__lock(&shard->lock);
        rr__line_remove(&stream->writers, &s);
        rr__unlock(&shard->lock);
    }
    return status;
}

/* A reader leaves without an item (rule Y1). */
static void rr__stream_leave(rr__context *cx, rr__object *task, rr__sleeper *s) {
    rr__stream *stream = rr__stream_in(task);
    rr__shard *shard = rr__shard_lock(cx->runtime, task);
    rr__line_remove(&stream->readers, s);
    bool goes_on = stream->readers.first && !rr__stream_has_item(stream);
    rr__parker *next = goes_on ? NULL : rr__stream_sign_locked(stream);
    rr__unlock(&shard->lock);
    rr__wake(cx, next);
}

/* Has it ended? If not, its end is told to those that wait (rule Y3). */
static bool rr__stream_watch(rr__object *task) {
    uint64_t word = rr__load_acquire(&task->word);
    if (!(word & RR__HAS_SLEEPERS)) word = rr__or_seq_cst(&task->word, RR__HAS_SLEEPERS);
    return rr__state_of(word) >= RR__READY;
}

/* A reader waits until there may be something, or the body has ended. */
static RR__NOINLINE rr_status rr__stream_wait_item(rr__context *cx, rr__object *task,
                                                   double deadline) {
    char ring[RR__RING_TEXT];
    rr__stream *stream = rr__stream_in(task);
    rr__shard *shard = rr__shard_of(cx->runtime, task);
    rr__sleeper s = rr__sleeper_of(cx);
    rr__node node = {.object = task};
    const rr__wait wait = {.objects = &task, .nodes = &node, .n = 1, .need = 1};
    s.has_limit = deadline >= 0, s.may_starve = true, s.ring = ring, s.wait = &wait;
    rr__lock(&shard->lock);
    rr__line_add(&stream->readers, &s);
    (void)rr__or_seq_cst(&stream->calls, RR__IS_AWAITED);
    bool waits = !rr__stream_has_item(stream) && !rr__stream_watch(task);
    if (!waits) rr__line_remove(&stream->readers, &s);
    rr__unlock(&shard->lock);
    if (!waits) return RR_OK; /* who is called in vain finds nobody */
    rr__linked_wait(&s, s.has_limit ? NULL : task, deadline);
    rr_status status = rr__wait_outcome(&s, RR__NULL_REF);
    if (status != RR_OK) rr__stream_leave(rr__here(cx), task, &s);
    return status == RR_ERR_TIMEOUT ? rr__note_status(RR__NULL_REF, status) : status;
}
