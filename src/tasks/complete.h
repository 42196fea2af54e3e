/* Completing: an object gets its value or error, once, and whoever waits for it goes on. What
   has gone before is given up here, too: what a task with options has set or taken, and what one
   has that was decided from outside (rule R4 at struct rr__object).
   Locks: the timers' and the resources', for tasks with options. */
#pragma once
#include "../core/dependencies.h"
#include "../core/resources.h"
#include "../core/timers.h"
#include "arguments.h"
#include "stream_queue.h"

struct rr__tasks {
    RR__ATOMIC(int64_t) pending; /* tasks that have not begun; counted only if there is a limit */
    RR__ATOMIC(uint64_t) strays_begun, strays_over; /* see rr__is_quiet */
};

/* What tasks keep of a thread. The owner's. */
struct rr__tasks_thread {
    rr__lane *lanes;      /* as a caller from outside, see tasks/lanes.h */
    rr__worklist settled; /* completed objects, whose dependents go on */
};

/* The list of what is to be settled. What failed has no size, and may still lie in another list by
   next (rr__held_refuse). */
static void rr__settled_push(rr__context *cx, rr__object *o, enum rr__state state) {
    rr__object *next = cx->tasks->settled.first;
    if (state == RR__FAILED) rr__store_relaxed(&o->info, (uint64_t)(uintptr_t)next);
    else o->next = next;
    cx->tasks->settled.first = o;
}

static rr__object *rr__settled_next(rr__object *o, enum rr__state state) {
    return state == RR__FAILED ? (rr__object *)(uintptr_t)rr__info_of(o) : o->next;
}

/* Something that the counters of tasks do not see yet, or not any more: a cancellation of which the
   owner has not heard, a field that is queued. */
static void rr__stray_begins(rr_runtime *rt) {
    rr__add_seq_cst(&rt->tasks->strays_begun, (uint64_t)1);
}
static void rr__stray_is_over(rr_runtime *rt) {
    rr__add_seq_cst(&rt->tasks->strays_over, (uint64_t)1);
    rr__signal_if_stopping(rt);
    RR__STRESS_POINT();
}

/* The owner comes with an outcome and finds that it was decided from outside (rule R4). */
static RR__NOINLINE void rr__lost(rr__context *cx, rr__object *o, enum rr__state state) {
    enum rr__counter counter = state == RR__READY ? RR__FINISHED : RR__ERRORS;
    uint64_t n = rr__load_relaxed(&cx->counters[counter]); /* only the owner writes */
    rr__store_release(&cx->counters[counter], n - 1);      /* see rr__is_quiet */
    if (state == RR__READY && cx->runtime->evicts) rr__newcomer_forget(cx, o);
    if (state == RR__READY) rr__value_free(cx, o);
    else rr__error_drop(o->data.error);
    rr__stray_is_over(cx->runtime);
    rr__drop(cx, o);
}

/* What a task with options has set or taken goes. Once, by the task's owner. */
static RR__NOINLINE void rr__control_end(rr__context *cx, rr__control *control) {
    rr_runtime *rt = cx->runtime;
    if (control->timers) {
        rr__lock(&rt->timers->lock);
        rr__timer_unset_locked(rt, &control->limit);
        rr__timer_unset_locked(rt, &control->retry);
        rt->timers->heap.promised -= control->timers;
        rr__unlock(&rt->timers->lock);
    }
    if (control->has_turn) rr__turn_end(cx, control);
}

/* It is complete, and was watched: as rr__notify. */
static rr__object *rr__tell_end(rr__context *cx, rr__object *o, uint64_t word) {
    if (word & RR__HAS_SLEEPERS) rr__stream_over(cx, o);
    return rr__notify(cx, o, word);
}

static RR__NOINLINE void rr__settle(rr__context *cx, rr__object *o, enum rr__state state) {
    rr__settled_push(cx, o, state);
    if (cx->tasks->settled.is_running) return; /* a failure passes down a chain as a loop */
    cx->tasks->settled.is_running = true;
    while ((o = cx->tasks->settled.first)) {
        uint64_t settled = rr__load_relaxed(&o->word); /* our own; no flag is added any more */
        cx->tasks->settled.first = rr__settled_next(o, rr__state_of(settled));
        rr__object *waited = rr__tell_end(cx, o, settled);
        rr__drop(cx, o); /* first: whose argument it is finds no count that is none: inplace.h */
        rr__tasks_go_on(cx, waited);
    }
    cx->tasks->settled.is_running = false;
}

/* READY or FAILED, once; takes over one count of the caller's (a task's own, the pin of rr_seal).
   The value or error is in place (R3).
   With nobody waiting both happen in one step, and nothing of the object is touched after it. */
static RR__INLINE void rr__complete(rr__context *cx, rr__object *o, enum rr__state state) {
    bool is_inline = state == RR__READY && o->place == RR__IN_SLOT;
    uint64_t add = RR__STATE(state) | (is_inline ? RR__IS_INLINE : 0);
    uint64_t word = rr__load_relaxed(&o->word), next; /* the CAS checks it */
    bool watched;
    if (RR__UNLIKELY(word & RR__HAS_CONTROL)) rr__control_end(cx, o->extra.control);
    do {
        if (RR__UNLIKELY(word & RR__IS_DECIDED)) {
            rr__lost(cx, o, state);
            return;
        }
        watched = (word & (RR__HAS_SLEEPERS | RR__HAS_DEPENDENTS)) != 0;
        next = ((word & ~RR__STATE_MASK) | add) - (watched ? 0 : 1);
    } while (!rr__cas_seq_cst(&o->word, &word, next));
    if (watched) rr__settle(cx, o, state);
    else if (RR__UNLIKELY((next & RR__COUNT_MASK) == 0)) rr__last_dropped(cx, o, next);
}

/* A task or message has begun, or ends without. */
static void rr__pending_end(rr__context *cx, rr__object *o) {
    uint8_t flags = rr__load_relaxed(&o->flags); /* its owner's */
    if (!(flags & RR__IS_PENDING)) return;
    rr__store_relaxed(&o->flags, (uint8_t)(flags & ~RR__IS_PENDING));
    rr__ops_of(o)->begun(cx, o);
}

/* The actor that a message counts, which who ends the message gives back after that; NULL: it is no
   message, or its runner owes the count (rr__run_method). */
static RR__INLINE rr__object *rr__actor_of(const rr__object *o) {
    return o->kind == RR__METHOD ? o->extra.actor : NULL;
}

/* Gives up what a decided task or message has, but for its counts. */
static void rr__task_strip(rr__context *cx, rr__object *o) {
    if (rr__control_of(o)) rr__control_end(cx, o->extra.control);
    rr__pending_end(cx, o);
    rr__args_release(cx, o);
    rr__stray_is_over(cx->runtime);
}

/* The same for who decided one that rested (R6). */
static void rr__task_unload(rr__context *cx, rr__object *o) {
    rr__object *actor = rr__actor_of(o);
    rr__task_strip(cx, o);
    uint64_t word = rr__and_seq_cst(&o->word, ~RR__IS_STRIPPED);
    if (actor && (word & RR__IS_LEFT)) rr__drop(cx, actor);
}

/* The same for its owner, if nobody has (R5). */
static void rr__task_give_up(rr__context *cx, rr__object *o) {
    if (!rr__is_bare(o)) rr__task_strip(cx, o);
}

/* Ends a task, message or object with an error; takes over one count of it. The caller owns the
   state. */
static void rr__fail_with(rr__context *cx, rr__object *o, rr__error *error) {
    if (RR__UNLIKELY(rr__is_decided(o))) {
        rr__error_drop(error);
        rr__abandon(cx, o);
        return;
    }
    if (o->kind <= RR__METHOD) {
        rr__args_release(cx, o);
        rr__count(cx, RR__ERRORS);
        rr__pending_end(cx, o);
    }
    if ((rr__load_relaxed(&o->flags) & RR__IS_TOLD) && error->status != RR_ERR_ACTOR_DEAD)
        rr__log_again(cx->runtime, RR__LINE_TOLD, RR_LOG_WARN, rr__error_message_of(error));
    rr__object *actor = rr__actor_of(o);
    o->data.error = error, o->place = RR__IN_SLOT;
    rr__complete(cx, o, RR__FAILED);
    if (actor) rr__drop(cx, actor);
    if (!cx->is_worker) rr__signal_if_stopping(cx->runtime);
}
