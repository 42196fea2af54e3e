/* Sleeping until objects are complete, until somebody gives a sign, or for a time. A sleeper hangs
   a node into the list of each object's shard; who completes an object sees its flag HAS_SLEEPERS
   in the same operation that completes it, and wakes what sleeps there: a thread on its own
   condition variable, a fiber by queueing it. (A futex or condition variable inside the object
   could be freed while its last user still unlocks it; these belong to contexts and fibers, which
   live as long as the runtime.)
   Locks: a shard's, then a parker's. */
#pragma once
#include "fibers.h"

/* A node in a shard for each object that it waits for. */
struct rr__node {
    struct rr__node *next, *previous;
    rr__object *object;
    rr__sleeper *sleeper;
    size_t index;
    bool is_linked;
};

/* Nobody needs what the body does that is running. */
static bool rr__must_stop(rr__context *cx) {
    rr__frame *frame = rr__load_relaxed(&cx->frame); /* the owner's own */
    return frame && rr__frame_must_stop(frame);
}

/* Of who is here: a thread has one in each runtime. */
static rr__parker *rr__parker_of(const rr__local *self, rr__context *cx) {
    return self->fiber ? &self->fiber->parker : &cx->parker;
}

static rr__sleeper rr__sleeper_of(rr__context *cx) {
    rr__local *self = rr__self();
    return (rr__sleeper){.parker = rr__parker_of(self, cx),
                         .self = self,
                         .context = cx,
                         .task = rr__current_task(cx),
                         .need = 1};
}

static rr__node **rr__sleepers_of(rr__shard *shard, const rr__object *o) {
    return &shard->sleepers[o->slot / RR__SHARDS % RR__SHARD_LISTS];
}

/* Lists a node. False if the object is complete. Setting the flag and completing change the
   same word: so the one that comes second sees the other. */
static bool rr__node_add(rr_runtime *rt, rr__node *node) {
    rr__shard *shard = rr__shard_lock(rt, node->object);
    uint64_t word = rr__or_seq_cst(&node->object->word, RR__HAS_SLEEPERS);
    bool waits = rr__state_of(word) < RR__READY;
    if (waits) {
        rr__node **list = rr__sleepers_of(shard, node->object);
        node->next = *list, node->previous = NULL;
        if (*list) (*list)->previous = node;
        *list = node, node->is_linked = true;
    }
    rr__unlock(&shard->lock);
    return waits;
}

static void rr__node_unlink(rr__shard *shard, rr__node *node) {
    if (node->previous) node->previous->next = node->next;
    else *rr__sleepers_of(shard, node->object) = node->next;
    if (node->next) node->next->previous = node->previous;
    node->is_linked = false;
}

/* After this no other thread touches the node: who fires it does so under the shard's lock. */
static void rr__node_remove(rr_runtime *rt, rr__node *node) {
    rr__shard *shard = rr__shard_lock(rt, node->object);
    if (node->is_linked) rr__node_unlink(shard, node);
    rr__unlock(&shard->lock);
}

/* Returns who is to be woken, or NULL. */
static rr__parker *rr__node_fire(rr__node *node) {
    rr__sleeper *s = node->sleeper;
    rr__parker *parker = s->parker; /* never freed before the runtime; the sleeper may go at once */
    rr__lock(&parker->lock);
    if (s->order && s->fired < s->need) s->order[s->fired] = node->index;
    rr__parker *woken = rr__sleeper_fire_locked(s);
    rr__unlock(&parker->lock);
    return woken;
}

/* Fires some of those that wait for an object, at most `room`; returns how many are to be woken. */
static int rr__fire_some(rr_runtime *rt, rr__object *o, rr__parker **woken, int room) {
    int n = 0;
    rr__shard *shard = rr__shard_lock(rt, o);
    for (rr__node *node = *rr__sleepers_of(shard, o), *next; node && n < room; node = next) {
        next = node->next;
        if (node->object != o) continue;
        rr__node_unlink(shard, node);
        if ((woken[n] = rr__node_fire(node))) n++;
    }
    rr__unlock(&shard->lock);
    return n;
}

/* Wakes them after the locks are let go of, which they need at once. */
static void rr__wake_sleepers(rr__context *cx, rr__object *o) {
    enum { SOME = 32 };
    rr__parker *woken[SOME];
    int n;
    do {
        n = rr__fire_some(cx->runtime, o, woken, SOME);
        for (int i = n; i-- > 0;) rr__wake(cx, woken[i]);
    } while (n == SOME);
}

/* ---- the sleep ---- */

/* A thread, until it is over. */
static void rr__thread_sleeps(rr__sleeper *s) {
    rr__parker *parker = s->parker;
    rr__cond *wake = &parker->thread->wake;
    rr__lock(&parker->lock);
    bool sleeps = rr__parker_begins_locked(s);
    if (sleeps && rr__sleeper_is_sought(s)) {
        rr__unlock(&parker->lock);
        rr__look_later(s->context->runtime);
        rr__lock(&parker->lock);
    }
    while (sleeps && !rr__sleeper_is_over_locked(s)) {
        double left = s->has_limit ? s->deadline - rr_now() : 0;
        if (!s->has_limit) rr__cond_wait(wake, &parker->lock);
        else if (left > 0) rr__cond_wait_for(wake, &parker->lock, left);
        else s->is_late = true;
    }
    parker->sleeper = NULL;
    rr__unlock(&parker->lock);
}

/* Its timer, before and after. False without memory for it. */
static bool rr__sleep_timer_set(rr__sleeper *s) {
    rr__fiber *fiber = s->parker->fiber;
    rr_runtime *rt = fiber->runtime;
    if (!s->has_limit) return true;
    if (RR__UNLIKELY(!fiber->has_timer)) {
        if (!rr__timers_promise(rt, 1)) return false;
        rr__lock(&rt->timers->lock);
        rt->timers->reserved++;
        rr__unlock(&rt->timers->lock);
        fiber->has_timer = true;
    }
    rr__timer_set(rt, &fiber->timer, s->deadline);
    return true;
}
static void rr__sleep_timer_unset(rr__sleeper *s) {
    rr__fiber *fiber = s->parker->fiber;
    rr_runtime *rt = fiber->runtime;
    if (!s->has_limit) return;
    rr__lock(&rt->timers->lock);
    (void)rr__timer_unset_locked(rt, &fiber->timer);
    rt->timers->sleeps--;
    rr__unlock(&rt->timers->lock);
}

/* Without a timer, for which there is no memory or no thread: lets others run, and looks again. */
static void rr__fiber_looks(rr__sleeper *s) {
    rr__local *self = s->self;
    while (!rr__sleeper_is_over(s)) {
        rr__context *cx = self->carrier;
        bool can_go = cx->is_worker && rr__has_work(cx->runtime) && rr__fiber_ready_to_go(cx);
        if (can_go) rr__fiber_yield(self);
        else rr__sleep(1e-4);
    }
}

/* Without memory for another stack: the wait fails, or, if it may not, the thread waits, and nobody
   goes on meanwhile. */
static void rr__fiber_starves(rr__sleeper *s) {
    rr__lock(&s->parker->lock);
    s->is_starved = s->may_starve;
    rr__unlock(&s->parker->lock);
    while (!rr__sleeper_is_over(s)) rr__sleep(1e-4);
}

/* A fiber, until it is over. */
static void rr__fiber_sleeps(rr__sleeper *s) {
    rr__context *cx = s->self->carrier;
    if (!rr__sleep_timer_set(s)) {
        rr__fiber_looks(s);
        return;
    }
    if (RR__LIKELY(!cx->is_worker || rr__fiber_ready_to_go(cx))) rr__fiber_sleep(s->self, s);
    else rr__fiber_starves(s);
    rr__sleep_timer_unset(s);
}

/* Sleeps until enough has fired, a ring was found, or the time is over. */
static void rr__sleeper_wait(rr__sleeper *s, double deadline) {
    s->deadline = deadline;
    if (rr__sleeper_must_stop(s)) return; /* before other work goes on in its place */
    if (s->parker->fiber) rr__fiber_sleeps(s);
    else rr__thread_sleeps(s);
}

/* ---- signs ---- */

/* Under the lock of whose line it is, as the next three. */
static void rr__line_add(rr__line *line, rr__sleeper *s) {
    s->next = NULL;
    if (line->first) line->last->next = s;
    else line->first = s;
    line->last = s;
}

/* It goes without a sign, unless it had that. Linear. */
static void rr__line_remove(rr__line *line, rr__sleeper *s) {
    rr__sleeper *before = NULL, *at = line->first;
    while (at && at != s) before = at, at = at->next;
    if (!at) return;
    if (before) before->next = s->next;
    else line->first = s->next;
    if (line->last == s) line->last = before;
}

/* Gives the first one a sign. Returns who is to be woken, or NULL. */
static rr__parker *rr__line_pop(rr__line *line) {
    rr__sleeper *s = line->first;
    line->first = s->next;
    return rr__sleeper_sign(s);
}

/* Waits in a line, under its lock, for a sign from `giver`; without the lock meanwhile. */
static void rr__line_wait(rr__context *cx, rr__line *line, rr__mutex *lock, rr__parker *giver) {
    rr__sleeper s = rr__sleeper_of(rr__here(cx));
    s.giver = giver, s.task = NULL; /* it goes on, also if it is cancelled */
    rr__line_add(line, &s);
    rr__unlock(lock);
    rr__sleeper_wait(&s, -1);
    rr__lock(lock);
}

/* To the first, or to all. Under the lock, which comes before that of the runtime. */
static void rr__line_sign(rr__context *by, rr__line *line, bool all) {
    while (line->first) {
        rr__wake(by, rr__line_pop(line));
        if (!all) break;
    }
}

/* ---- the turn of a destructor ---- */

/* Destructors of one runtime run one at a time, so that they may count or close what they share.
   False: the caller has the turn already. */
static bool rr__end_begin(rr__context *cx) {
    rr__local *self = rr__self();
    rr_runtime *rt = cx->runtime;
    if (self->is_ending) return false;
    rr__lock(&rt->end_lock);
    while (rt->is_ending) rr__line_wait(cx, &rt->end_line, &rt->end_lock, NULL);
    rt->is_ending = true;
    rr__unlock(&rt->end_lock);
    return self->is_ending = true;
}
static void rr__end_over(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    rr__self()->is_ending = false;
    rr__lock(&rt->end_lock);
    rt->is_ending = false;
    rr__line_sign(cx, &rt->end_line, false);
    rr__unlock(&rt->end_lock);
}

/* ---- bodies ---- */

/* The same for a body, as rr__sleeper_wait: while a destructor waits another one may run, and what
   it waits for may need the turn that it has. */
static void rr__body_wait(rr__sleeper *s, double deadline) {
    bool is_ending = s->self->is_ending;
    if (RR__UNLIKELY(s->self->loads_for)) rr__above.turn_over(s->self);
    if (RR__UNLIKELY(is_ending)) rr__end_over(s->self->carrier);
    rr__sleeper_wait(s, deadline);
    if (RR__UNLIKELY(is_ending)) rr__end_begin(s->self->carrier);
}

/* A body that sleeps is found by its task: the task's link leads to the fiber's token, and from
   there to `edge`, or, NULL, nowhere: it waits for some of many, or for a time. On a thread, where
   there is none (a recipe), to the edge itself. */
static void rr__link_set(rr__sleeper *s, rr__object *edge) {
    rr__fiber *fiber = s->parker->fiber;
    if (!s->task) return;
    if (fiber) rr__store_release(&fiber->token.waits_on, edge);
    rr__store_seq_cst(&s->task->waits_on, fiber ? rr__link_to(fiber) : edge);
}

/* Waits, as rr__body_wait, linked to `edge`; without a limit it may be found in a ring. */
static void rr__linked_wait(rr__sleeper *s, rr__object *edge, double deadline) {
    s->edge = edge;
    rr__link_set(s, edge);
    rr__body_wait(s, deadline);
    if (s->task) rr__store_release(&s->task->waits_on, (rr__object *)NULL);
}

/* The body of a task that was decided need not sleep any more. */
static void rr__body_wake(rr__context *cx, rr__object *task) {
    rr__fiber *fiber = rr__linked_fiber(rr__load_seq_cst(&task->waits_on));
    if (!fiber) return;
    rr__lock(&fiber->parker.lock);
    rr__sleeper *s = fiber->parker.sleeper;
    bool is_told = s && s->task == task;
    if (is_told) s->is_cancelled = true;
    rr__parker *woken = is_told ? rr__parker_ends_locked(s) : NULL;
    rr__unlock(&fiber->parker.lock);
    rr__wake(cx, woken);
}

/* Nor those of an actor that was killed: RR__IS_KILLED is set. */
static void rr__bodies_wake(rr__context *cx, const rr__object *actor) {
    rr_runtime *rt = cx->runtime;
    rr__lock(&rt->fibers_lock);
    rr__fiber *fiber = rt->fibers; /* the rest of the list stays as it is */
    rr__unlock(&rt->fibers_lock);
    for (; fiber; fiber = fiber->all) {
        rr__lock(&fiber->parker.lock);
        rr__sleeper *s = fiber->parker.sleeper;
        rr__frame *frame = s && s->task ? s->self->frame : NULL; /* while it sleeps */
        bool is_told = frame && frame->actor == actor && !frame->is_end;
        if (is_told) s->is_cancelled = true;
        rr__parker *woken = is_told ? rr__parker_ends_locked(s) : NULL;
        rr__unlock(&fiber->parker.lock);
        rr__wake(cx, woken);
    }
}
