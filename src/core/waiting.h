/* Waiting: help, and then sleep. Ready is one load. One sleep serves for all objects that are
   waited for.
   Locks: those of core/sleepers.h. */
#pragma once
#include "helping.h"
#include "workers.h"

/* The last object that is still missing: thieves begin with the first. */
static rr__object *rr__wait_edge(const rr__wait *wait) {
    for (size_t i = wait->n; i-- > 0;)
        if (wait->objects[i] && !rr__is_complete(wait->objects[i])) return wait->objects[i];
    return NULL;
}

static rr_status rr__note_starved(rr_ref ref) {
    return rr__note(ref, RR_ERR_NO_MEMORY,
                    "there is no memory for the stack of what goes on while this waits "
                    "(rr_config.stack_bytes)");
}

static rr_status rr__note_cancelled(rr_ref ref) {
    return rr__note(ref, RR_ERR_CANCELLED,
                    "the task that waits was cancelled, or is too late, or its actor was killed");
}

/* Enough may have fired just now: then who did so is done with the sleeper when this has had the
   lock; if not, it must be taken from where it is found before it goes. */
static rr_status rr__wait_outcome(rr__sleeper *s, rr_ref ref) {
    if (s->is_ring) return rr__note(ref, RR_ERR_DEADLOCK, "%s", s->ring);
    if (s->is_cancelled) return rr__note_cancelled(ref);
    if (!rr__sleeper_was_stopped(s)) return RR_OK;
    rr__lock(&s->parker->lock);
    bool has_fired = s->fired >= s->need;
    rr__unlock(&s->parker->lock);
    if (has_fired) return RR_OK;
    return s->is_starved ? rr__note_starved(ref) : RR_ERR_TIMEOUT;
}

/* Runs those of the objects that nobody has begun, the newest first. */
static void rr__wait_help(rr__local *self, rr__context *cx, rr__wait *wait) {
    bool began = rr__serve_begin(cx);
    for (size_t i = wait->n; i-- > 0;)
        if (wait->objects[i])
            (void)rr__run_claimable(self, rr__here_of(self, cx), wait->objects[i]);
    rr__serve_end(cx, began);
}

/* Counts what is complete, and lists a node for each of the others. Returns how many there are. */
static size_t rr__wait_list(rr__wait *wait, rr__sleeper *s) {
    size_t pending = 0;
    for (size_t i = 0; i < wait->n; i++) {
        if (!wait->objects[i]) continue;
        wait->nodes[i] = (rr__node){.object = wait->objects[i], .sleeper = s, .index = i};
        if (!rr__is_complete(wait->objects[i])) continue;
        if (s->order && s->fired < s->need) s->order[s->fired] = i; /* nobody else is here yet */
        s->fired++, wait->nodes[i].object = NULL;
    }
    for (size_t i = 0; i < wait->n; i++) {
        if (!wait->objects[i] || !wait->nodes[i].object) continue;
        if (rr__node_add(s->context->runtime, &wait->nodes[i])) pending++;
        else (void)rr__node_fire(&wait->nodes[i]);
    }
    return pending;
}

static rr_status rr__wait_asleep(rr__context *cx, rr__wait *wait, rr_ref ref) {
    char ring[RR__RING_TEXT];
    rr__sleeper s = rr__sleeper_of(cx);
    s.need = wait->need, s.has_limit = wait->deadline >= 0, s.order = wait->order;
    s.may_starve = true, s.ring = ring, s.wait = wait;
    size_t pending = rr__wait_list(wait, &s);
    if (rr__must_stop(cx)) s.is_cancelled = pending > 0;
    else if (pending) rr__linked_wait(&s, wait->all ? rr__wait_edge(wait) : NULL, wait->deadline);
    bool all_have_fired = wait->need == wait->n && !rr__sleeper_was_stopped(&s);
    for (size_t i = all_have_fired ? wait->n : 0; i < wait->n; i++)
        if (wait->objects[i] && wait->nodes[i].object)
            rr__node_remove(cx->runtime, &wait->nodes[i]);
    wait->need = s.fired < wait->need ? s.fired : wait->need;
    return rr__wait_outcome(&s, ref);
}

/* A thread from outside whose calls still queue? */
static bool rr__has_queued(rr__context *cx) {
    return !rr__load_relaxed(&cx->frame) && !cx->is_worker && !rr__deque_is_empty(&cx->deque);
}

/* Somebody else runs it: it may be over sooner than a sleep and a wake would take. Shortly, if the
   core is better used by who runs the queue. */
static bool rr__spin(rr__context *cx, rr__object *o) {
    double end = 0, seconds = rr__has_queued(cx) ? RR__SPIN_TIME / 10 : RR__SPIN_TIME;
    for (int round = 0; !rr__is_complete(o); round++)
        if (!rr__pause(round, &end, seconds)) break;
    return rr__is_complete(o);
}

/* A thread from outside has called a lot and waits for the first result while the rest still
   queues: then the workers do better than to wake it after every task (the wake costs the waker
   more than a small task does). For a millisecond it looks by itself now and then. */
static bool rr__nap(rr__context *cx, rr__object *o, double deadline) {
    enum { NAPS = 5 };
    double length = 50e-6;
    for (int i = 0; i < NAPS && !rr__is_complete(o) && rr__has_queued(cx); i++, length *= 2) {
        if (deadline >= 0 && rr_now() + length > deadline) break;
        rr__sleep(length);
    }
    return rr__is_complete(o);
}

/* A body that only looks whether something is there lets others run before it looks again. */
static void rr__look_again_later(rr__local *self) {
    rr__context *cx = self->carrier;
    if (self->frame && cx && cx->is_worker && rr__has_work(cx->runtime) &&
        rr__fiber_ready_to_go(cx))
        rr__fiber_yield(self);
}

/* Waits for one object that the caller keeps. */
static rr_status rr__await(rr__context *cx, rr__object *o, rr_ref ref, int64_t milliseconds) {
    rr__local *self = rr__self();
    if (rr__must_stop(cx) && !rr__is_complete(o)) return rr__note_cancelled(ref);
    if (milliseconds == 0) {
        rr__look_again_later(self);
        if (rr__is_complete(o)) return RR_OK;
        return rr__note(ref, RR_ERR_TIMEOUT, "'%s' is not complete yet", rr__name_of(o));
    }
    if (milliseconds < 0) rr__help_along(self, cx, o);
    cx = rr__here_of(self, cx);
    double deadline = rr__deadline(milliseconds);
    if (rr__is_complete(o) || (!self->fiber && (rr__spin(cx, o) || rr__nap(cx, o, deadline))))
        return RR_OK;
    rr__node node;
    rr__wait wait = {.objects = &o,
                     .nodes = &node,
                     .n = 1,
                     .need = 1,
                     .all = milliseconds < 0,
                     .deadline = deadline};
    rr_status status = rr__wait_asleep(cx, &wait, ref);
    if (status == RR_ERR_TIMEOUT)
        rr__note(ref, status, "'%s' was not complete within %lld ms", rr__name_of(o),
                 (long long)milliseconds);
    return status;
}

/* In a body as a wait that nothing ends but the time and a cancellation. */
void rr_sleep_ms(int64_t milliseconds) {
    rr__frame *frame = rr__self()->frame;
    double end = rr_now() + (double)milliseconds * 1e-3, left;
    if (!frame) {
        while ((left = end - rr_now()) > 0) rr__sleep(left);
        return;
    }
    rr__sleeper s = rr__sleeper_of(rr__frame_context(frame));
    s.has_limit = true;
    rr__linked_wait(&s, NULL, end);
}
