/* Parking: what sleeps, what it sleeps for, and how that is ended. A thread sleeps on its own
   condition variable; a fiber has left its thread, and is queued (core/fibers.h).
   Rules  S1  A parker says what it sleeps for from when it sleeps until somebody has ended that:
              both under its lock, under which is looked, too, whether it is over already. So no
              end is missed, and of those that come to end it one alone wakes it.
          S2  What ends a sleep is noted in the sleeper, under the parker's lock: by who finds it
              in a line or a list, where it stands from before it sleeps until after; or, by way of
              the parker, by who finds it asleep. What these change, a task that was decided or a
              time that has come, is looked at once more when the sleep begins.
   Locks: a parker's, a leaf. */
#pragma once
#include "objects.h"

/* What a wait is for: `need` of n objects (NULL: known to be complete, not counted). */
typedef struct rr__wait {
    rr__object **objects;
    rr__node *nodes; /* n of them */
    size_t n, need;
    bool all;        /* all of them are needed and there is no limit: help */
    double deadline; /* negative: none */
    size_t *order;
} rr__wait;

/* What sleeps, and what for: one is made for each sleep. */
struct rr__sleeper {
    rr__parker *parker;
    rr__local *self;
    rr__context *context; /* where it waits; for a fiber in its own runtime: where it began to */
    rr__object *task;     /* whose body waits; NULL outside */
    size_t fired, need;   /* under the parker's lock */
    const rr__wait *wait; /* the objects; NULL: a sign, or a time */
    rr__object *edge;     /* without those, who gives the sign; or: */
    rr__parker *giver;
    double deadline;
    bool has_limit;
    bool is_late;        /* the deadline has come */
    bool is_cancelled;   /* the task was, meanwhile */
    bool is_ring;        /* it is in one, which `ring` describes */
    bool wants_room;     /* in the store: store/patience.h */
    bool is_for_outside; /* a thread from outside may give the sign, and nobody that is known */
    bool may_starve;     /* it may end for want of memory */
    bool is_starved;     /* for the stack of what goes on meanwhile: it has */
    char *ring;          /* RR__RING_TEXT bytes, if it may be found in one */
    size_t *order;       /* indices in order of completion; may be NULL */
    rr__sleeper *next;   /* in a line: who waits for a sign */
};
enum { RR__RING_TEXT = 320 };

/* The actor that a body works for was ended by rr_kill. */
static RR__INLINE bool rr__is_killed(const rr__frame *frame) {
    if (RR__LIKELY(!frame->actor) || frame->is_end) return false;
    return (rr__load_seq_cst(&frame->actor->word) & RR__IS_KILLED) != 0;
}

/* Nobody needs what the body does any more: its task was decided, or its actor killed. */
static RR__INLINE bool rr__frame_must_stop(const rr__frame *frame) {
    return rr__is_decided(frame->task) || rr__is_killed(frame);
}

/* ---- under the parker's lock ---- */

/* Its sleep ends, or, asked by itself after that, has ended, before enough has fired. */
static RR__INLINE bool rr__sleeper_was_stopped(const rr__sleeper *s) {
    return s->is_late || s->is_ring || s->is_cancelled || s->is_starved;
}
static RR__INLINE bool rr__sleeper_is_over_locked(const rr__sleeper *s) {
    return s->fired >= s->need || rr__sleeper_was_stopped(s);
}

/* Looks at what nobody notes who does not find it asleep (S2). By itself while it does not sleep,
   or under the lock. */
static RR__INLINE bool rr__sleeper_must_stop(rr__sleeper *s) {
    s->is_cancelled |= s->task && rr__frame_must_stop(s->self->frame);
    s->is_late |= s->has_limit && rr_now() >= s->deadline;
    return rr__sleeper_was_stopped(s);
}
static RR__INLINE bool rr__sleeper_look_locked(rr__sleeper *s) {
    return rr__sleeper_must_stop(s) || rr__sleeper_is_over_locked(s);
}

/* It sleeps from now on; false: it is over already. */
static RR__INLINE bool rr__parker_begins_locked(rr__sleeper *s) {
    if (rr__sleeper_look_locked(s)) return false;
    s->parker->sleeper = s, s->parker->sleeps++;
    return true;
}

/* Asleep, it may be found in a ring: the clock must look. */
static RR__INLINE bool rr__sleeper_is_sought(const rr__sleeper *s) {
    return s->ring && s->task && !s->has_limit;
}

/* The end was noted: returns whom the caller is to wake, or NULL: it does not sleep for this. */
static rr__parker *rr__parker_ends_locked(rr__sleeper *s) {
    if (s->parker->sleeper != s) return NULL;
    s->parker->sleeper = NULL;
    return s->parker;
}

/* One more of what it waits for; returns the same. */
static RR__INLINE rr__parker *rr__sleeper_fire_locked(rr__sleeper *s) {
    return ++s->fired >= s->need ? rr__parker_ends_locked(s) : NULL;
}

/* ---- the ends ---- */

/* Asked by itself, awake. */
static bool rr__sleeper_is_over(rr__sleeper *s) {
    rr__lock(&s->parker->lock);
    bool is_over = rr__sleeper_look_locked(s);
    rr__unlock(&s->parker->lock);
    return is_over;
}

/* Gives a sleeper a sign. Returns who is to be woken, or NULL; the sleeper may be gone already. */
static rr__parker *rr__sleeper_sign(rr__sleeper *s) {
    rr__parker *parker = s->parker; /* never freed before the runtime */
    rr__lock(&parker->lock);
    rr__parker *woken = rr__sleeper_fire_locked(s);
    rr__unlock(&parker->lock);
    return woken;
}

/* The same for a time that has come. */
static rr__parker *rr__parker_is_late(rr__parker *parker) {
    rr__lock(&parker->lock);
    rr__sleeper *s = parker->sleeper; /* it may be a later one */
    bool is_late = s && s->has_limit && rr_now() >= s->deadline;
    if (is_late) s->is_late = true;
    rr__parker *woken = is_late ? rr__parker_ends_locked(s) : NULL;
    rr__unlock(&parker->lock);
    return woken;
}
