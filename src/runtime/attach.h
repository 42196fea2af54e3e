/* Attaching: a thread from outside gets a context in a runtime at its first call, and keeps the
   runtime's memory until it lets go: at its next call after the runtime has stopped, or at its
   end. So no call of such a thread can touch freed memory, and no call needs a lock for that.
   Locks: the global one, then rr_runtime.lock. */
#pragma once
#include "../tasks/lanes.h"
#include "whole.h"

/* One thread less that may touch the runtime's memory; the last one frees it. */
static void rr__runtime_let_go(rr_runtime *rt) {
    rr__global_lock();
    bool is_last = --rt->holders == 0;
    for (rr_runtime **at = &rr__runtimes; is_last && *at; at = &(*at)->next_runtime)
        if (*at == rt) {
            *at = rt->next_runtime;
            break;
        }
    rr__global_unlock();
    if (is_last) rr__runtime_free(rt);
}

/* The calling thread gives its context back. What an open scope holds of a stopped runtime is gone
   with it; of a running one it is released. */
static void rr__context_detach(rr__local *self, rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    bool is_open = rr__load_acquire(&rt->phase) != RR__STOPPED;
    for (size_t i = 0; i < self->held_count; i++) {
        if (self->held[i].is_mark || self->held[i].of.context != cx) continue;
        rr__object *o = self->held[i].object;
        if (o && is_open && self->held[i].is_view) rr__unuse(cx, o);
        if (o && is_open) rr__drop(cx, o);
        self->held[i].object = NULL, self->held[i].is_view = false;
    }
    if (cx->tasks->lanes) rr__lanes_abandon(cx, cx->tasks->lanes);
    cx->tasks->lanes = NULL;
    rr__context **at = &self->attached;
    while (*at != cx) at = &(*at)->sibling;
    *at = cx->sibling;
    if (self->context == cx) self->context = NULL;
    rr__lock(&rt->lock);
    cx->listed = rt->vacant, rt->vacant = cx; /* with its deque: thieves empty it */
    rr__unlock(&rt->lock);
    rr__runtime_let_go(rt);
}

/* Lets go of everything that the thread holds. */
static void rr__local_clear(rr__local *self) {
    while (self->attached) rr__context_detach(self, self->attached);
    RR_FREE(self->held);
    RR_FREE(self->path);
    self->path = NULL, self->path_count = self->path_capacity = 0;
    self->held = NULL, self->held_count = self->held_capacity = 0;
    self->scope_start = self->scope_depth = 0;
}

/* Attaches the calling thread to a runtime that the caller keeps; under the global lock. */
static rr__context *rr__attach_locked(rr__local *self, rr_runtime *rt) {
    if (!rr__local_hook(self)) return NULL;

    rr__lock(&rt->lock);
    rr__context *cx = rr__context_new(rt, false);
    rr__unlock(&rt->lock);
    if (!cx) return NULL;
    rt->holders++;
    cx->sibling = self->attached, self->attached = cx;
    return cx;
}

static rr__context *rr__attached_to(rr__local *self, const rr_runtime *rt) {
    rr__context *cx = self->attached;
    if (self->own && self->own->runtime == rt) return self->own;
    while (cx && cx->runtime != rt) cx = cx->sibling;
    return cx;
}

/* Lets go of runtimes that were stopped by others, but not of the chosen one: its calls say that it
   is not running. */
static void rr__forget_stopped(rr__local *self) {
    for (rr__context *cx = self->attached, *next; cx; cx = next) {
        next = cx->sibling;
        if (cx->runtime != self->chosen && !rr__load_relaxed(&cx->frame) &&
            rr__load_acquire(&cx->runtime->phase) == RR__STOPPED)
            rr__context_detach(self, cx);
    }
}

static RR__NOINLINE rr__context *rr__enter_slow(rr_status *status) {
    rr__local *self = rr__self();
    if (!self->stack) self->stack = RR__STACK_NOW();
    *status = RR_ERR_NOT_RUNNING;
    rr__forget_stopped(self);
    rr__global_lock();
    rr_runtime *rt = self->chosen ? self->chosen : rr__load_acquire(&rr__default);
    rr__context *cx = rt ? rr__attached_to(self, rt) : NULL;
    if (rt && !cx && rr__load_acquire(&rt->phase) == RR__OPEN) {
        cx = rr__attach_locked(self, rt);
        if (!cx) *status = RR_ERR_NO_MEMORY;
    }
    rr__global_unlock();
    self->context = cx;
    return cx && rr__load_acquire(&rt->phase) != RR__STOPPED ? cx : NULL;
}

/* The calling thread in its runtime, for reading and releasing: while the runtime is open or
   stopping. NULL: *status says why. */
static RR__INLINE rr__context *rr__enter(rr_status *status) {
    rr__context *cx = rr__self()->context;
    if (RR__LIKELY(cx && rr__load_acquire(&cx->runtime->phase) != RR__STOPPED)) return cx;
    return rr__enter_slow(status);
}

/* The same for new work: a runtime that is stopping takes it from its own bodies only. */
static RR__INLINE rr__context *rr__enter_to_submit(rr_status *status) {
    rr__context *cx = rr__enter(status);
    if (RR__UNLIKELY(cx && rr__load_relaxed(&cx->runtime->phase) != RR__OPEN) &&
        !rr__load_relaxed(&cx->frame)) {
        *status = RR_ERR_NOT_RUNNING;
        return NULL;
    }
    return cx;
}
