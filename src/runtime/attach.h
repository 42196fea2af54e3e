/* Attaching: a thread from outside gets a context in a runtime at its first call, and keeps the
   runtime's memory until it lets go: at its next call after the runtime has stopped, or at its
   end. So no call of such a thread can touch freed memory, and no call needs a lock for that. A
   thread is attached to what it has chosen (rr_runtime_use); that a runtime has gone meanwhile is
   found by its absence from the list, and nothing of it is looked at.
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
    for (size_t i = 0; i < self->scopes.count; i++) {
        if (self->scopes.held[i].is_mark || self->scopes.held[i].of.context != cx) continue;
        rr__object *o = self->scopes.held[i].object;
        if (o && is_open && self->scopes.held[i].is_view) rr__unuse(cx, o);
        if (o && is_open) rr__drop(cx, o);
        self->scopes.held[i].object = NULL, self->scopes.held[i].is_view = false;
    }
    if (cx->tasks->lanes) rr__lanes_abandon(cx, cx->tasks->lanes);
    cx->tasks->lanes = NULL;
    rr__fibers_let_go(cx);
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
    RR_FREE(self->scopes.held);
    RR_FREE(self->path.steps);
    self->path.steps = NULL, self->path.count = self->path.capacity = 0;
    self->scopes.held = NULL, self->scopes.count = self->scopes.capacity = 0;
    self->scopes.start = self->scopes.depth = 0;
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
    if (self->carrier && self->carrier->runtime == rt) return self->carrier;
    while (cx && cx->runtime != rt) cx = cx->sibling;
    return cx;
}

/* By the thread, or by what it runs bodies on top of. */
static bool rr__is_chosen(const rr__local *self, const rr_runtime *rt) {
    const rr__frame *frame = self->frame;
    while (frame && frame->chosen != rt) frame = frame->outer;
    return self->chosen == rt || frame;
}

/* Lets go of runtimes that were stopped by others, but not of a chosen one: its calls say that it
   is not running, also when another has got its memory's address. */
static void rr__forget_stopped(rr__local *self) {
    for (rr__context *cx = self->attached, *next; cx; cx = next) {
        next = cx->sibling;
        if (!rr__is_chosen(self, cx->runtime) && !rr__load_relaxed(&cx->frame) &&
            rr__load_acquire(&cx->runtime->phase) == RR__STOPPED)
            rr__context_detach(self, cx);
    }
}

/* What the choice of a runtime that had gone already is: an address that no runtime has. */
static rr_runtime *const rr__gone = (rr_runtime *)(void *)&rr__runtimes;

/* A runtime that there is, NULL: the default one; or NULL. Under the global lock. */
static rr_runtime *rr__runtime_find_locked(const rr_runtime *chosen) {
    rr_runtime *rt = rr__runtimes;
    if (!chosen) return rr__load_acquire(&rr__default);
    while (rt && rt != chosen) rt = rt->next_runtime;
    return rt;
}

/* The calling thread in a runtime, whatever it has chosen. NULL: *status says why. */
static rr__context *rr__attach(const rr_runtime *chosen, rr_status *status) {
    rr__local *self = rr__self();
    rr__global_lock();
    rr_runtime *rt = rr__runtime_find_locked(chosen);
    rr__context *cx = rt ? rr__attached_to(self, rt) : NULL;
    bool is_new = rt && !cx && rr__load_acquire(&rt->phase) == RR__OPEN;
    if (is_new) cx = rr__attach_locked(self, rt);
    rr__global_unlock();
    if (cx && rr__load_acquire(&rt->phase) != RR__STOPPED) *status = RR_OK;
    else *status = is_new && !cx ? RR_ERR_NO_MEMORY : RR_ERR_NOT_RUNNING;
    return *status == RR_OK ? cx : NULL;
}

static rr_status rr__note_no_entry(const rr__local *self, rr_status status) {
    if (status == RR_ERR_NOT_RUNNING && self->chosen)
        return rr__note(RR__NULL_REF, status,
                        "the runtime that this thread uses (rr_runtime_use) has ended, or could "
                        "not be entered: choose another one, or NULL, the default one");
    return rr__note_status(RR__NULL_REF, status);
}

static RR__NOINLINE rr__context *rr__enter_slow(rr_status *status) {
    rr__local *self = rr__self();
    rr_status why;
    rr__forget_stopped(self);
    self->context = rr__attach(self->chosen, &why);
    if (status) *status = why == RR_OK ? RR_OK : rr__note_no_entry(self, why);
    return self->context;
}

/* The calling thread in its runtime, for reading and releasing: while the runtime is open or
   stopping. *status is RR_OK; or NULL is returned, *status says why, and rr_error_message tells.
   With NULL for it nothing is told. */
static RR__INLINE rr__context *rr__enter(rr_status *status) {
    rr__context *cx = rr__self()->context;
    if (status) *status = RR_OK;
    if (RR__LIKELY(cx && rr__load_acquire(&cx->runtime->phase) != RR__STOPPED)) return cx;
    return rr__enter_slow(status);
}

static RR__NOINLINE rr_status rr__note_stopping(void) {
    return rr__note(RR__NULL_REF, RR_ERR_NOT_RUNNING,
                    "the runtime is being shut down: it takes new work from its own tasks only");
}

/* The same for new work: a runtime that is stopping takes it from its own bodies only. *why is
   written only if NULL is returned: a store more would be seen. */
static RR__INLINE rr__context *rr__enter_to_submit(rr_status *why) {
    rr__context *cx = rr__self()->context;
    if (RR__UNLIKELY(!cx || rr__load_acquire(&cx->runtime->phase) == RR__STOPPED))
        cx = rr__enter_slow(why);
    if (RR__UNLIKELY(cx && rr__load_relaxed(&cx->runtime->phase) != RR__OPEN) &&
        !rr__load_relaxed(&cx->frame)) {
        *why = rr__note_stopping();
        return NULL;
    }
    return cx;
}
