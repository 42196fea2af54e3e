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
    rr__held *held = self->scope_depth ? rr__held_find(self, o) : NULL;
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

static rr_ref rr__as_ref(rr_actor actor) { return (rr_ref){actor.id, actor.slot, actor.home}; }

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

/* In front of what a scope holds lies an entry with its serial, by which rr_scope_end knows that it
   is still open. */
rr_scope rr_scope_begin(void) {
    rr__local *self = rr__self();
    if (self->held_count == self->held_capacity && !rr__held_grow(self)) {
        rr__log(rr__log_config(), RR_LOG_ERROR,
                "rr_scope_begin: no memory; the outer scope goes on");
        return (rr_scope){0, 0, 0, 0};
    }
    if (!++self->scopes) self->scopes = 1;
    self->held[self->held_count++] =
        (rr__held){.of.outer = self->scope_start, .retained = self->scopes, .is_mark = true};
    rr_scope scope = {self->held_count, self->scope_start, ++self->scope_depth, self->scopes};
    self->scope_start = self->held_count;
    return scope;
}

static bool rr__scope_is_open(const rr__local *self, rr_scope scope) {
    return scope.start > self->floor && scope.start <= self->scope_start &&
           self->held[scope.start - 1].is_mark &&
           self->held[scope.start - 1].retained == scope.serial;
}

void rr_scope_end(rr_scope scope) {
    rr__local *self = rr__self();
    if (scope.serial == 0) return; /* there was no memory for it */
    if (!rr__scope_is_open(self, scope)) {
        rr__log(
            rr__log_config(), RR_LOG_WARN,
            "rr_scope_end: this scope is not open here; end a scope once, in the body and on the "
            "thread that began it");
        return;
    }
    rr__held_release_to(self, scope.start - 1);
    self->scope_depth = scope.depth - 1;
    self->scope_start = scope.outer;
}
