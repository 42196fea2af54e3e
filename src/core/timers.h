/* Timers: time limits, retries, restarts, and the runtime's own sweep of free memory. One
   thread, made with the first timer, sleeps until the next one is due and tells its object's
   class. Room in the heap is promised when a task is made, so that setting a timer cannot fail.
   Locks: rr__timers.lock, a leaf. */
#pragma once
#include "queues.h"

struct rr__timers {
    rr__mutex lock; /* of all below; a leaf */
    rr__cond wake;  /* a timer is due before the thread looks again */
    rr__heap heap;
    double looks_at;              /* when it does; 0: it is awake */
    size_t retries, firing;       /* between attempts or restarts; timers between unset and done */
    size_t sleeps;                /* bodies that wait with a limit of their own */
    size_t reserved;              /* of the promised: those of fibers, for good */
    rr__entry sweep, room, look;  /* beside those that are promised */
    RR__ATOMIC(int) looking;      /* enum rr__looking: for deadlocks */
    double look_delay;            /* since the last time; the clock's own */
    RR__ATOMIC(int) sweep_is_set; /* or firing */
    rr__context *context;         /* of the thread; made when it is needed first */
};

/* Nobody waits; somebody may, and the timer is set; it fires just now. */
enum rr__looking { RR__LOOKS_NOT, RR__WILL_LOOK, RR__LOOKS };

static bool rr__timers_init(rr__timers *timers) {
    return rr__mutex_init(&timers->lock) && rr__cond_init(&timers->wake);
}

static void rr__timers_free(rr__timers *timers) {
    RR_FREE(timers->heap.entries);
    rr__cond_destroy(&timers->wake);
    rr__mutex_destroy(&timers->lock);
}

static bool rr__timer_is_retry(const rr__entry *timer) {
    return timer->control && timer == &timer->control->retry;
}

/* There is room: it was promised. The thread is not woken for what it will see by itself in time:
   it sleeps on until the first timer that there was, also when that is unset. */
static void rr__timer_set(rr_runtime *rt, rr__entry *timer, double when) {
    rr__timers *timers = rt->timers;
    rr__lock(&timers->lock);
    rr__heap_add(&timers->heap, timer, when);
    timers->retries += rr__timer_is_retry(timer);
    timers->sleeps += timer->fiber != NULL;
    bool is_earlier = when < timers->looks_at;
    if (is_earlier) timers->looks_at = when; /* it has been told */
    rr__unlock(&timers->lock);
    if (is_earlier) rr__cond_signal(&timers->wake);
}

static bool rr__timer_unset_locked(rr_runtime *rt, rr__entry *timer) {
    if (!timer->at) return false;
    rr__heap_remove(&rt->timers->heap, timer);
    rt->timers->retries -= rr__timer_is_retry(timer);
    return true;
}

/* When what was free a while ago may still be. */
static void rr__sweep(rr__context *cx) {
    rr__store_release(&cx->runtime->timers->sweep_is_set, 0); /* from now on it may be set again */
    rr__pool_sweep(&cx->runtime->slots.pool, &cx->slots);
    rr__arena_sweep(&cx->runtime->arena, cx->blocks);
}

/* The first timer is due. The lock is given up meanwhile. */
static void rr__timer_fire_locked(rr__context *cx, rr__entry *timer) {
    rr__timers *timers = cx->runtime->timers;
    /* Its task is not over, because the timer is still set. */
    rr__object *task = timer->control ? timer->control->task : NULL;
    bool is_retry = rr__timer_is_retry(timer);
    rr__timer_unset_locked(cx->runtime, timer);
    timers->firing++;
    if (task) rr__share(task);
    rr__unlock(&timers->lock);
    if (task) {
        rr__ops_of(task)->due(cx, task, is_retry);
        rr__drop(cx, task);
    } else if (timer->fiber) {
        rr__above.sleep_due(cx, timer->fiber);
    } else if (timer == &timers->room) {
        rr__above.room_due(cx);
    } else if (timer == &timers->look) {
        rr__above.deadlocks_due(cx);
    } else {
        rr__sweep(cx);
    }
    rr__lock(&timers->lock);
    timers->firing--;
    rr__unlock(&timers->lock);
    rr__signal_if_stopping(cx->runtime);
    rr__lock(&timers->lock);
}

static void rr__timers_serve(rr__context *cx) {
    const double never = 1e300;
    rr_runtime *rt = cx->runtime;
    rr__timers *timers = rt->timers;
    rr__lock(&timers->lock);
    while (rr__load_acquire(&rt->phase) != RR__STOPPED) {
        rr__entry *next = rr__heap_first(&timers->heap);
        double left = next ? next->when - rr_now() : 0;
        timers->looks_at = next ? next->when : never;
        if (!next) rr__cond_wait(&timers->wake, &timers->lock);
        else if (left > 0) rr__cond_wait_for(&timers->wake, &timers->lock, left);
        timers->looks_at = 0;
        if (next && left <= 0) rr__timer_fire_locked(cx, next);
    }
    rr__unlock(&timers->lock);
    rr__above.room_due(cx); /* threads outside that wait look after themselves now */
}

static bool rr__timers_start_locked(rr_runtime *rt) {
    if (rr__load_relaxed(&rt->phase) == RR__STOPPED) return false; /* set under this lock */
    if (!rt->timers->context) rt->timers->context = rr__service_start_locked(rt, rr__timers_serve);
    return rt->timers->context != NULL;
}

/* Sees to it that so many more timers can be set at any time, and the runtime's own. */
static bool rr__timers_promise(rr_runtime *rt, size_t more) {
    rr__lock(&rt->lock);
    bool ok = rr__timers_start_locked(rt);
    rr__unlock(&rt->lock);
    if (!ok) return false;
    rr__lock(&rt->timers->lock);
    enum { OWN = 3 };
    ok = rr__heap_promise(&rt->timers->heap, more + OWN);
    if (ok) rt->timers->heap.promised -= OWN;
    rr__unlock(&rt->timers->lock);
    return ok;
}

/* One of the runtime's own, after so many seconds. False: there is no memory for it, or no thread,
   or the runtime has stopped. */
static bool rr__own_timer_set(rr_runtime *rt, rr__entry *timer, double seconds) {
    if (!rr__timers_promise(rt, 0)) return false;
    rr__timer_set(rt, timer, rr_now() + seconds);
    return true;
}

/* Of a pool: much is free. Without memory or a thread for the timer the pools stay as they are. */
static RR__NOINLINE void rr__sweep_later(void *runtime) {
    rr_runtime *rt = runtime;
    int none = 0;
    if (rr__load_relaxed(&rt->phase) != RR__OPEN) return;
    if (rr__load_relaxed(&rt->timers->sweep_is_set)) return;
    if (!rr__cas_seq_cst(&rt->timers->sweep_is_set, &none, 1)) return;
    if (!rr__own_timer_set(rt, &rt->timers->sweep, RUSTYRAY_KEEP_SECONDS))
        rr__store_release(&rt->timers->sweep_is_set, 0);
}

/* A body sleeps without a limit: whether it waits for itself is looked at soon (rule K4 in
   core/deadlock.h). */
static RR__NOINLINE void rr__look_set(rr_runtime *rt) {
    rr__timers *timers = rt->timers;
    int none = RR__LOOKS_NOT, looks = RR__LOOKS;
    if (rr__cas_seq_cst(&timers->looking, &looks, (int)RR__WILL_LOOK)) return; /* it goes on */
    if (!rr__cas_seq_cst(&timers->looking, &none, (int)RR__WILL_LOOK)) return;
    if (!rr__own_timer_set(rt, &timers->look, 1e-3))
        rr__store_seq_cst(&timers->looking, (int)RR__LOOKS_NOT);
}
static RR__INLINE void rr__look_later(rr_runtime *rt) {
    if (RR__UNLIKELY(rr__load_relaxed(&rt->timers->looking) != RR__WILL_LOOK)) rr__look_set(rt);
}

/* Unsets the timers of what was decided or doomed. True: it waited for its next attempt and is now
   the caller's. */
static bool rr__timers_revoke(rr_runtime *rt, rr__control *control, bool *was_tried) {
    rr__lock(&rt->timers->lock);
    rr__timer_unset_locked(rt, &control->limit);
    bool is_ours = rr__timer_unset_locked(rt, &control->retry);
    *was_tried = control->attempt > 0;
    rr__unlock(&rt->timers->lock);
    return is_ours;
}
