/* Threads that sleep until objects are complete. A sleeper hangs a node into the list of each
   object's shard and sleeps on its own thread's condition variable; who completes an object sees
   its flag HAS_SLEEPERS in the same operation that completes it, and wakes it there. A futex or
   condition variable inside the object could be freed while its last user still unlocks it;
   these belong to the thread's context, which lives as long as the runtime.
   Locks: a shard's, then a context's. */
#pragma once
#include "objects.h"

/* A thread that waits for objects, and one node of it in a shard for each of them. */
typedef struct rr__sleeper {
    rr__context *context;
    rr__object *task;   /* whose body waits; NULL outside */
    size_t fired, need; /* under the context's lock */
    bool edge_fired;    /* the object that the ring check looked at is complete */
    bool has_limit, is_too_deep;
    rr__object *edge;  /* that the task's link is to; NULL: it has none */
    bool sleeps;       /* or is about to, and looks at nothing any more */
    bool is_idle;      /* it may be handed a role, see rr__sleeper_call */
    bool is_called;    /* it was */
    bool is_cancelled; /* the task was, meanwhile */
    bool is_ring;      /* a ring was found; its description is in `ring` */
    char ring[320];
    size_t *order; /* indices in order of completion; may be NULL */
} rr__sleeper;

typedef struct rr__node {
    struct rr__node *next, *previous;
    rr__object *object;
    rr__sleeper *sleeper;
    size_t index;
    bool is_linked, is_edge;
} rr__node;

/* Lists a node. False if the object is complete. Setting the flag and completing change the
   same word: so the one that comes second sees the other. */
static bool rr__node_add(rr_runtime *rt, rr__node *node) {
    rr__shard *shard = rr__shard_lock(rt, node->object);
    uint64_t word = rr__or_seq_cst(&node->object->word, RR__HAS_SLEEPERS);
    bool waits = rr__state_of(word) < RR__READY;
    if (waits) {
        node->next = shard->sleepers, node->previous = NULL;
        if (shard->sleepers) shard->sleepers->previous = node;
        shard->sleepers = node, node->is_linked = true;
    }
    rr__unlock(&shard->lock);
    return waits;
}

static void rr__node_unlink(rr__shard *shard, rr__node *node) {
    if (node->previous) node->previous->next = node->next;
    else shard->sleepers = node->next;
    if (node->next) node->next->previous = node->previous;
    node->is_linked = false;
}

/* After this no other thread touches the node: who fires it does so under the shard's lock. */
static void rr__node_remove(rr_runtime *rt, rr__node *node) {
    rr__shard *shard = rr__shard_lock(rt, node->object);
    if (node->is_linked) rr__node_unlink(shard, node);
    rr__unlock(&shard->lock);
}

/* Returns the context to be signalled, or NULL. */
static rr__context *rr__node_fire(rr__node *node) {
    rr__sleeper *s = node->sleeper;
    rr__context *cx = s->context; /* never freed before the runtime; the sleeper may go at once */
    rr__lock(&cx->lock);
    if (s->order && s->fired < s->need) s->order[s->fired] = node->index;
    s->fired++;
    if (node->is_edge) s->edge_fired = true;
    bool is_enough = s->fired >= s->need || node->is_edge;
    rr__unlock(&cx->lock);
    return is_enough ? cx : NULL;
}

/* Signals after the locks are let go of, which the woken thread needs at once. */
static void rr__wake_sleepers(rr_runtime *rt, rr__object *o) {
    enum { FEW = 16 };
    rr__context *woken[FEW], *cx;
    int n = 0;
    rr__shard *shard = rr__shard_lock(rt, o);
    for (rr__node *node = shard->sleepers, *next; node; node = next) {
        next = node->next;
        if (node->object != o) continue;
        rr__node_unlink(shard, node);
        if (!(cx = rr__node_fire(node))) continue;
        if (n < FEW) woken[n++] = cx;
        else rr__cond_signal(&cx->wake);
    }
    rr__unlock(&shard->lock);
    while (n > 0) rr__cond_signal(&woken[--n]->wake);
}

/* Enough has fired, or something else has happened that ends its sleep. */
static bool rr__sleeper_is_over_locked(const rr__sleeper *s) {
    return s->fired >= s->need || s->edge_fired || s->is_ring || s->is_cancelled;
}

/* Sleeps until enough has fired, the edge has, a ring was found, or the time is over. */
static void rr__sleeper_wait(rr__sleeper *s, double deadline) {
    rr__context *cx = s->context;
    rr__lock(&cx->lock);
    s->is_cancelled = s->task && rr__is_decided(s->task); /* before, or rr__body_wake tells */
    while (!rr__sleeper_is_over_locked(s) && !s->is_called) {
        if (!s->has_limit) {
            rr__cond_wait(&cx->wake, &cx->lock);
        } else {
            double left = deadline - rr_now();
            if (left <= 0) break;
            rr__cond_wait_for(&cx->wake, &cx->lock, left);
        }
    }
    s->sleeps = s->is_idle = false;
    rr__unlock(&cx->lock);
}

/* The body of a task that was decided need not sleep any more. */
static void rr__body_wake(rr_runtime *rt, const rr__object *task) {
    for (rr__context *cx = rr__load_acquire(&rt->contexts); cx; cx = cx->next) {
        rr__lock(&cx->lock);
        bool sleeps = cx->sleeper && cx->sleeper->task == task;
        if (sleeps) cx->sleeper->is_cancelled = true;
        rr__unlock(&cx->lock);
        if (sleeps) rr__cond_signal(&cx->wake);
    }
}

static bool rr__sleeper_is_done(rr__sleeper *s) {
    rr__lock(&s->context->lock);
    bool is_done = rr__sleeper_is_over_locked(s);
    rr__unlock(&s->context->lock);
    return is_done;
}

static void rr__sleeper_set(rr__context *cx, rr__sleeper *s) {
    rr__lock(&cx->lock);
    cx->sleeper = s;
    rr__unlock(&cx->lock);
}
