/* Counts of handles, and scopes. */
#pragma once
#include "../runtime/attach.h"

static void rr__retain(rr_ref ref, bool actor) {
    rr__context *cx = rr__enter(NULL);
    rr__object *o = cx ? rr__pin(cx, ref, actor) : NULL; /* the count stays */
    if (!o) return;
    rr__local *self = rr__self();
    rr__held *held = rr__held_find(self, o);
    if (held) held->retained++;
}

/* What a scope holds is counted by it; else the object is pinned for as long as it is looked at. */
static void rr__release(rr_ref ref, bool actor) {
    rr__context *cx = rr__enter(NULL);
    rr__object *o = cx ? rr__find(cx->runtime, ref) : NULL;
    if (!o) return;
    rr__local *self = rr__self();
    rr__held *held = self->scopes.depth ? rr__held_find(self, o) : NULL;
    if (!held) {
        if (rr__pin(cx, ref, actor)) rr__drop_two(cx, o);
        return;
    }
    if (held->retained) held->retained--;
    else rr__held_clear(self, held);
    rr__drop(cx, o);
}

static void rr__keep(rr_ref ref) {
    rr__context *cx = rr__enter(NULL);
    rr__object *o = cx ? rr__find(cx->runtime, ref) : NULL;
    rr__local *self = rr__self();
    rr__held *held = o ? rr__held_find(self, o) : NULL;
    if (held) rr__held_clear(self, held);
}

/* For another thread: no scope of this one hears of it. */
static void rr__give(rr_ref ref, bool actor) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (cx) (void)rr__pin(cx, ref, actor); /* the count stays */
}

/* The count is there already, and gets a place in the scope; false if there is none for it. */
static bool rr__take(rr_ref ref, bool actor) {
    rr_status status;
    rr__local *self = rr__self();
    rr__context *cx = rr__enter(&status);
    rr__object *o = cx ? rr__pin(cx, ref, actor) : NULL;
    if (!o) return true;
    bool has_room = rr__scope_ready(self);
    if (has_room) rr__scope_hold(self, cx, o, false);
    rr__drop(cx, o);
    return has_room;
}

void rr__retain_ref(rr_ref ref) { rr__retain(ref, false); }
void rr__retain_actor(rr_actor actor) { rr__retain(rr__as_ref(actor), true); }
void rr__release_ref(rr_ref ref) { rr__release(ref, false); }
void rr__release_actor(rr_actor actor) { rr__release(rr__as_ref(actor), true); }
static rr_ref rr__ref_of(rr_stream stream) { return (rr_ref){stream.id, stream.slot, stream.home}; }
void rr__retain_stream(rr_stream stream) { rr__retain(rr__ref_of(stream), false); }
void rr__release_stream(rr_stream stream) { rr__release(rr__ref_of(stream), false); }
rr_ref rr__keep_ref(rr_ref ref) {
    rr__keep(ref);
    return ref;
}
rr_actor rr__keep_actor(rr_actor actor) {
    rr__keep(rr__as_ref(actor));
    return actor;
}
rr_stream rr__keep_stream(rr_stream stream) {
    rr__keep(rr__ref_of(stream));
    return stream;
}
rr_ref rr__give_ref(rr_ref ref) {
    rr__give(ref, false);
    return ref;
}
rr_actor rr__give_actor(rr_actor actor) {
    rr__give(rr__as_ref(actor), true);
    return actor;
}
rr_stream rr__give_stream(rr_stream stream) {
    rr__give(rr__ref_of(stream), false);
    return stream;
}
rr_ref rr__take_ref(rr_ref ref) {
    return rr__take(ref, false) ? ref : rr__status_ref(RR_ERR_NO_MEMORY);
}
rr_actor rr__take_actor(rr_actor actor) {
    return rr__take(rr__as_ref(actor), true) ? actor : rr__status_actor(RR_ERR_NO_MEMORY);
}
rr_stream rr__take_stream(rr_stream stream) {
    return rr__take(rr__ref_of(stream), false) ? stream : (rr_stream){0, RR_ERR_NO_MEMORY, 0};
}

/* There is no memory for its mark: it is closed, and those inside it hold nothing, and are none. */
static RR__NOINLINE rr_scope rr__scope_close(rr__local *self) {
    if (rr__is_closed(self)) return (rr_scope){0, 0, 0, 0};
    rr__log(rr__log_config(), RR_LOG_ERROR,
            "rr_scope_begin: no memory; until this scope ends, calls on this thread that would "
            "return a handle or a view return RR_ERR_NO_MEMORY");
    rr_scope scope = {0, self->scopes.start, self->scopes.depth, self->scopes.begun};
    self->scopes.closed = self->scopes.begun;
    self->scopes.depth = (self->scopes.depth + 1) | RR__SCOPE_CLOSED;
    return scope;
}

/* In front of what a scope holds lies an entry with its serial, by which rr_scope_end knows that it
   is still open. */
rr_scope rr_scope_begin(void) {
    rr__local *self = rr__self();
    if (!RR__CAN_HOLD(self)) return (rr_scope){0, 0, 0, 0}; /* nothing will be in it */
    if (!++self->scopes.begun) self->scopes.begun = 1;
    if (self->scopes.count == self->scopes.capacity && !rr__held_grow(self))
        return rr__scope_close(self);
    self->scopes.held[self->scopes.count++] =
        (rr__held){.of.outer = self->scopes.start, .retained = self->scopes.begun, .is_mark = true};
    rr_scope scope = {self->scopes.count, self->scopes.start, self->scopes.depth++,
                      self->scopes.begun};
    self->scopes.start = self->scopes.count;
    return scope;
}

static bool rr__scope_is_open(const rr__local *self, rr_scope scope) {
    size_t around = self->frame ? self->frame->scope_depth : 0; /* the body's own is one more */
    if (scope.start == 0)
        return rr__is_closed(self) && scope.serial == self->scopes.closed && scope.depth >= around;
    return scope.start > self->scopes.floor && scope.start <= self->scopes.start &&
           self->scopes.held[scope.start - 1].is_mark &&
           self->scopes.held[scope.start - 1].retained == scope.serial;
}

void rr_scope_end(rr_scope scope) {
    rr__local *self = rr__self();
    if (scope.serial == 0) return; /* in a closed one */
    if (!rr__scope_is_open(self, scope)) {
        rr__log_misuse("rr_scope_end: this scope is not open here; end a scope once, in the body "
                       "and on the thread that began it");
        return;
    }
    if (scope.start) rr__held_release_to(self, scope.start - 1);
    self->scopes.depth = scope.depth;
    self->scopes.start = scope.outer;
}
