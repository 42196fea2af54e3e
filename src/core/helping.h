/* Helping: a waiter runs what it waits for, or what that waits for, on its own stack, if nobody has
   begun it (leapfrogging: Wagner and Calder 1993). It depends on it anyway. A thread from outside
   does so on a fiber.
   Locks: none of its own. */
#pragma once
#include "links.h"

/* A thread from outside is about to run bodies: rr_shutdown must know before anything is claimed,
   or it finds something that runs and nobody who runs it; and thieves may. Returns whether it was
   not already. */
static bool rr__serve_begin(rr__context *cx) {
    if (cx->is_worker || rr__load_relaxed(&cx->deque.is_served)) return false; /* its own */
    rr__store_seq_cst(&cx->deque.is_served, 1);
    return true;
}

static void rr__serve_end(rr__context *cx, bool began) {
    if (!began) return;
    rr__store_seq_cst(&cx->deque.is_served, 0);
    rr__signal_if_stopping(cx->runtime);
}

/* Runs what was claimed for a body that waits for `goal`. An actor was found by a message of it,
   and runs no more than that and what stands before it: what comes after may wait for this body,
   which is below on the stack and cannot go on. */
static void rr__help(rr__local *self, rr__context *cx, rr__object *claimed, const rr__step *by,
                     rr__object *goal) {
    rr__object *task = rr__current_task(cx);
    if (task && task->kind == RR__CONSTRUCTOR) task = NULL; /* its link is to what it runs */
    if (task) rr__store_release(&task->waits_on, goal);
    rr__run_on(self, cx, claimed, by);
    if (task) rr__store_release(&task->waits_on, (rr__object *)NULL);
    rr__deque_trim(&rr__here_of(self, cx)->deque);
}

/* A task that may be over before its body is, because it has a time limit, is not run on top of who
   waits for it, who goes on then. The caller counts it. */
static RR__INLINE bool rr__may_go_first(const rr__object *o) {
    const rr__control *control = rr__control_of(o);
    return RR__UNLIKELY(control && control->has_limit);
}

/* Runs the task that is waited for straight away, if nobody has begun it. */
static RR__INLINE bool rr__run_claimable(rr__local *self, rr__context *cx, rr__object *o) {
    if (!rr__is_claimable(o) || rr__must_stop(cx) || !rr__can_run(self, cx)) return false;
    if (rr__may_go_first(o)) return false;
    bool began = rr__serve_begin(cx), is_ours = rr__claim(o);
    if (is_ours) rr__help(self, cx, o, NULL, o); /* no actor: nobody waits for those themselves */
    rr__serve_end(cx, began);
    return is_ours;
}

static bool rr__path_push(rr__local *self, rr__object *o, uint64_t id) {
    if (self->path.count == self->path.capacity) {
        size_t capacity = self->path.capacity ? 2 * self->path.capacity : 64;
        if (capacity > SIZE_MAX / sizeof *self->path.steps || !rr__local_hook(self)) return false;
        rr__step *path = RR_REALLOC(self->path.steps, capacity * sizeof *path);
        if (!path) return false;
        self->path.steps = path, self->path.capacity = capacity;
    }
    self->path.steps[self->path.count++] = (rr__step){o, id};
    return true;
}

/* Walks on from the end of the path, or, where that is over, from the link before: so a long chain
   is walked once, not once for each task of it. Returns what was claimed, an actor by what; NULL if
   there is nothing to run. A body that sleeps, in its fiber, is the end: it has looked for itself,
   and a ring leads round no more than to there. */
static rr__object *rr__path_claim(rr__local *self, size_t base, rr__step *by) {
    enum { LIMIT = 1 << 24 }; /* a ring of recipes, which sleep on threads, has no such end */
    while (self->path.count > base && self->path.count - base < LIMIT) {
        rr__step step = self->path.steps[self->path.count - 1];
        uint64_t word = rr__load_acquire(&step.object->word);
        enum rr__state state = rr__state_of(word);
        if (state >= RR__READY || rr__load_acquire(&step.object->id) != step.id) {
            self->path.count--;
            continue;
        }
        /* One that nobody counts may have a time limit, too. */
        if ((word & RR__HAS_CONTROL) && self->path.count > base + 1) return NULL;
        if (state == RR__QUEUED) {
            if (RR__UNLIKELY(word & RR__IS_ACTOR)) *by = self->path.steps[self->path.count - 2];
            if (RR__UNLIKELY(word & RR__IS_ACTOR) && rr__step_is_over(by)) self->path.count--;
            else if (rr__claim(step.object)) return step.object;
            continue; /* or somebody else's now */
        }
        rr__object *next = rr__load_acquire(&step.object->waits_on);
        if (!next || rr__linked_fiber(next)) return NULL;
        uint64_t id = rr__load_acquire(&next->id);
        /* Over, but still linked: another thread is about to send this link on. */
        if (!id || rr__is_complete(next)) return NULL;
        if (rr__load_acquire(&step.object->waits_on) != next) continue; /* it went on */
        if (!rr__path_push(self, next, id)) return NULL;
    }
    return NULL;
}

/* Runs what `goal` waits for, and `goal`, as long as nobody else has begun it. */
static void rr__help_along(rr__local *self, rr__context *cx, rr__object *goal) {
    size_t base = self->path.count; /* above those of the waits below on this stack */
    rr__object *claimed;
    rr__step by = {NULL, 0};
    if (rr__may_go_first(goal)) return;
    if (!rr__path_push(self, goal, rr__load_relaxed(&goal->id))) return; /* the caller counts it */
    bool began = rr__serve_begin(cx);
    while (!rr__is_complete(goal) && !rr__must_stop(cx) && rr__can_run(self, cx) &&
           (claimed = rr__path_claim(self, base, &by))) {
        rr__help(self, cx, claimed, &by, goal);
        cx = rr__here_of(self, cx);
    }
    rr__serve_end(cx, began);
    self->path.count = base;
}
