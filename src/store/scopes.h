/* Scopes: a stack in each thread of the handles and views that it has received, which the end of a
   scope gives back. In front of what a scope holds lies a mark with its serial.

       held   [mark][handle][view][mark][handle] ...
                   ^ an outer scope     ^ scope_start: the innermost one

   A scope without memory for its mark is closed: until it ends there is no room for anything on
   this thread, so that what would have been its own is refused (RR_ERR_NO_MEMORY) and does not go
   to the scope around it. A bit of the depth says so, which bodies put back as they found it.

   Locks: none; a thread's own. */
#pragma once
#include "pins.h"

/* A handle or view that an open scope holds. */
typedef struct rr__held {
    rr__object *object; /* NULL: released or kept early, or the mark in front of a scope */
    union {
        rr__context *context;
        size_t outer; /* mark: where the scope around it starts */
    } of;
    uint32_t retained; /* counts from rr_retain, the user's own, on top of the scope's one;
                          mark: the scope's serial */
    bool is_view, is_mark;
} rr__held;

#define RR__SCOPE_CLOSED (SIZE_MAX / 2 + 1)

/* The stack is full then, and stays so: rr__scope_ready need not ask. */
static inline bool rr__is_closed(const rr__local *self) {
    return self->scopes.depth >= RR__SCOPE_CLOSED;
}

static bool rr__held_grow(rr__local *self) {
    size_t capacity = self->scopes.capacity ? 2 * self->scopes.capacity : 16;
    if (rr__is_closed(self)) return false;
    if (capacity > SIZE_MAX / sizeof *self->scopes.held || !rr__local_hook(self)) return false;
    rr__held *held = RR_REALLOC(self->scopes.held, capacity * sizeof *held);
    if (!held) return false;
    self->scopes.held = held, self->scopes.capacity = capacity;
    return true;
}

/* Closes gaps in the innermost scope when it has grown to the brim with released ones, as in a
   long loop that releases the oldest of a window. */
static void rr__held_compact(rr__local *self) {
    size_t to = self->scopes.start;
    for (size_t i = to; i < self->scopes.count; i++) {
        if (!self->scopes.held[i].object) continue;
        rr__store_relaxed(&self->scopes.held[i].object->held_at, (uint32_t)to); /* a hint */
        self->scopes.held[to++] = self->scopes.held[i];
    }
    self->scopes.count = to;
}

/* Room for one more handle in the innermost scope; asked for before anything is made. Grows when
   closing the gaps did not free half of it, so that both cost a constant time for each handle. */
static RR__NOINLINE bool rr__scope_make_room(rr__local *self) {
    if (rr__is_closed(self)) return false;
    rr__held_compact(self);
    if (self->scopes.count < self->scopes.capacity / 2) return true;
    return rr__held_grow(self) || self->scopes.count < self->scopes.capacity;
}

static RR__INLINE bool rr__scope_ready(rr__local *self) {
    if (RR__LIKELY(self->scopes.count < self->scopes.capacity) || self->scopes.depth == 0)
        return true;
    return rr__scope_make_room(self);
}

/* Gives a count to the innermost scope. After rr__scope_ready. */
static RR__INLINE void rr__scope_hold(rr__local *self, rr__context *cx, rr__object *o,
                                      bool is_view) {
    if (self->scopes.depth == 0) return;
    rr__store_relaxed(&o->held_at, (uint32_t)self->scopes.count); /* a hint, checked when used */
    self->scopes.held[self->scopes.count++] = (rr__held){o, {cx}, 0, is_view, false};
}

/* The newest entry of the running body that holds a handle of the object; NULL if none does. Scope
   by scope: the hint may have been overwritten by another thread, so it counts only when no newer
   entry can be missed. */
static rr__held *rr__held_find(rr__local *self, rr__object *o) {
    uint32_t hint = rr__load_relaxed(&o->held_at); /* checked here */
    size_t start = self->scopes.start, end = self->scopes.count;
    while (self->scopes.depth > 0) {
        if (hint >= start && hint < end && self->scopes.held[hint].object == o &&
            !self->scopes.held[hint].is_view)
            return &self->scopes.held[hint];
        for (size_t i = end; i-- > start;)
            if (self->scopes.held[i].object == o && !self->scopes.held[i].is_view)
                return &self->scopes.held[i];
        if (start <= self->scopes.floor) break;
        end = start - 1;
        start = self->scopes.held[end].of.outer;
    }
    return NULL;
}

static void rr__held_clear(rr__local *self, rr__held *held) {
    held->object = NULL;
    if (RR__UNLIKELY(rr__is_closed(self))) return;
    while (self->scopes.count > self->scopes.start &&
           !self->scopes.held[self->scopes.count - 1].object)
        self->scopes.count--;
}

/* After a burst: the stack of a scope that held very many goes back, but for what `start` needs. */
static RR__NOINLINE void rr__held_shrink(rr__local *self, size_t start) {
    size_t capacity = 2 * start + 4096;
    rr__held *held = RR_REALLOC(self->scopes.held, capacity * sizeof *held);
    if (held) self->scopes.held = held, self->scopes.capacity = capacity;
}

static RR__INLINE void rr__held_release_to(rr__local *self, size_t start) {
    enum { LARGE = 1 << 16 };
    while (self->scopes.count > start) {
        rr__held held = self->scopes.held[--self->scopes.count];
        if (!held.object) continue;
        rr__context *cx = rr__here_of(self, held.of.context);
        if (RR__UNLIKELY(held.is_view)) rr__unuse(cx, held.object);
        rr__drop(cx, held.object);
    }
    if (RR__UNLIKELY(self->scopes.capacity > LARGE && start < self->scopes.capacity / 8))
        rr__held_shrink(self, start);
}
