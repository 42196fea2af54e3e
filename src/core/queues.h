/* Where what can run lies until somebody takes it, and who is woken for it. Every thread, from
   outside too, has a deque; the inbox, a FIFO, serves actors that had their turn, and what a
   deque has no memory for. Entries are hints; rr__claim, one CAS on the slot, decides who runs
   what.

   A role is the right to run tasks; there are rr_config.workers of them. A thread that parks or
   really waits puts its role to sleep; waking takes a sleeping role and gives it to a parked
   thread, or to a new one if all are waiting. Waking follows Go's rule (Vyukov 2012): nobody is
   woken while somebody searches, and the last searcher that finds work wakes the next if there
   is more.
   Rules  P1  Submit: fill the deque, then look at idle (both seq_cst).
          P2  Before parking: change idle, then look at all deques (both seq_cst).
              P1 and P2 together: no task is left with everyone asleep.
          P3  While somebody searches nobody is woken; the last searcher that finds work
              looks, as in P2, whether there is more, and then wakes the next.
   Locks: rr_runtime.lock for threads and the inbox; a context's after it. */
#pragma once
#include "objects.h"

static void rr__quiet_signal(rr_runtime *rt) {
    rr__lock(&rt->lock);
    rr__cond_signal(&rt->quiet);
    rr__unlock(&rt->lock);
}

static void rr__signal_if_stopping(rr_runtime *rt) {
    if (rr__load_seq_cst(&rt->idle) & RR__STOP) rr__quiet_signal(rt);
}

/* ---- threads ---- */

/* A context for a thread: of the pool, or from outside; NULL without memory. Under the runtime's
   lock. */
static rr__context *rr__context_new(rr_runtime *rt, bool is_worker) {
    rr__context *cx = is_worker ? NULL : rt->vacant;
    if (cx) {
        rt->vacant = cx->listed;
        return cx;
    }
    if (!(cx = rr__above.context_alloc())) return NULL;
    bool has_lock = rr__mutex_init(&cx->parker.lock),
         has_cond = has_lock && rr__cond_init(&cx->wake);
    bool has_stack = has_cond && rr__stack_adopt(&cx->native);
    if (!has_stack || !rr__deque_init(&cx->deque)) {
        if (has_stack) rr__stack_let_go(&cx->native);
        if (has_cond) rr__cond_destroy(&cx->wake);
        if (has_lock) rr__mutex_destroy(&cx->parker.lock);
        RR_FREE(cx);
        return NULL;
    }
    cx->runtime = rt, cx->is_worker = is_worker, cx->parker.thread = cx;
    rr__store_relaxed(&cx->deque.is_served, (int)is_worker); /* published with the context */
    cx->next = rr__load_relaxed(&rt->contexts);              /* written under this lock */
    rr__store_seq_cst(&rt->contexts, cx); /* for P2 and rr__sum; pairs with all walks */
    return cx;
}

static void rr__context_free(rr__context *cx) {
    rr__deque_free(&cx->deque);
    rr__stack_let_go(&cx->native);
    rr__cond_destroy(&cx->wake);
    rr__mutex_destroy(&cx->parker.lock);
    RR_FREE(cx);
}

static void rr__context_wake(rr__context *cx) {
    rr__lock(&cx->parker.lock);
    cx->is_woken = true;
    rr__unlock(&cx->parker.lock);
    rr__cond_signal(&cx->wake); /* it is not freed before the runtime; with the lock held the thread
                                   would wake only to wait for that */
}

/* A new pool thread: with a role, searching, or with a task to run apart. Under the runtime's
   lock. */
static bool rr__worker_add_locked(rr_runtime *rt, rr__object *task) {
    if (rt->threads >= rt->max_threads || rr__load_relaxed(&rt->phase) == RR__STOPPED) return false;
    rr__context *cx = rt->rested;
    if (cx) rt->rested = cx->listed;
    else if (!(cx = rr__context_new(rt, true))) return false;
    if (!rr__above.has_stack(cx)) {
        cx->is_parked = true, cx->listed = rt->rested, rt->rested = cx; /* for the next try */
        return false;
    }
    if (cx->has_thread) rr__thread_join(&cx->thread); /* it needs no lock any more */
    cx->has_role = cx->is_searching = !task;
    cx->assigned = task, cx->is_parked = false;
    rt->threads++;
    if ((cx->has_thread = rr__thread_start(&cx->thread, rr__above.thread, cx))) return true;
    rt->threads--;
    cx->assigned = NULL, cx->has_role = cx->is_searching = false, cx->is_parked = true;
    cx->listed = rt->rested, rt->rested = cx; /* for the next try */
    return false;
}

static void rr__service_main(void *context) {
    rr__context *cx = context;
    rr__local *self = rr__self_begin(cx);
    self->context = cx;
    cx->serve(cx);
    self->context = NULL;
    rr__above.thread_ends(self);
}

/* A thread for the runtime itself; NULL if there is none. Under the runtime's lock. */
static rr__context *rr__service_start_locked(rr_runtime *rt, void (*serve)(rr__context *)) {
    rr__context *cx = rr__context_new(rt, true);
    if (!cx) return NULL;
    cx->serve = serve;
    rr__store_relaxed(&cx->deque.is_served, 0); /* it never comes back for what it puts there */
    if ((cx->has_thread = rr__thread_start(&cx->thread, rr__service_main, cx))) return cx;
    cx->is_worker = false, cx->serve = NULL;
    cx->listed = rt->vacant, rt->vacant = cx;
    return NULL;
}

/* Takes a parked thread, which the caller then wakes; NULL if there is none. Under the runtime's
   lock. */
static rr__context *rr__unpark_locked(rr_runtime *rt) {
    rr__context *cx = rt->parked;
    if (cx) rt->parked = cx->listed, cx->is_parked = false;
    return cx;
}

/* Is there a thread for more work, or can one be made? It may have changed when it is told. */
static bool rr__can_have_thread(rr_runtime *rt) {
    rr__lock(&rt->lock);
    bool can = rt->parked || rt->threads < rt->max_threads;
    rr__unlock(&rt->lock);
    return can;
}

/* Hands a role that was just taken from sleep to a thread. If there is none for it, the role sleeps
   on: the first thread that stops waiting takes it. Under the lock, so that no thread parks unseen
   in between. */
static RR__NOINLINE void rr__role_hand_over(rr_runtime *rt) {
    rr__lock(&rt->lock);
    rr__context *cx = rr__unpark_locked(rt);
    if (!cx && !rr__worker_add_locked(rt, NULL)) {
        rr__add_seq_cst(&rt->idle, RR__ONE_SLEEPING - RR__ONE_SEARCHING);
        rr__cond_signal(&rt->quiet);
    }
    rr__unlock(&rt->lock);
    if (cx) rr__context_wake(cx);
}

/* Has a thread without a role run a task; false if there is none for it. */
static bool rr__thread_begin(rr_runtime *rt, rr__object *task) {
    rr__lock(&rt->lock);
    rr__context *cx = rr__unpark_locked(rt);
    if (cx) cx->assigned = task;
    bool is_new = !cx && rr__worker_add_locked(rt, task);
    rr__unlock(&rt->lock);
    if (cx) rr__context_wake(cx);
    return cx || is_new;
}

/* Rule P3. */
static void rr__wake_one(rr_runtime *rt) {
    uint64_t idle = rr__load_seq_cst(&rt->idle);
    while (RR__SLEEPING(idle) && !RR__SEARCHING(idle))
        if (rr__cas_seq_cst(&rt->idle, &idle, idle - RR__ONE_SLEEPING + RR__ONE_SEARCHING)) {
            rr__role_hand_over(rt);
            return;
        }
}

static RR__INLINE void rr__announce(rr_runtime *rt) { /* after a push: rule P1 */
    uint64_t idle = rr__load_seq_cst(&rt->idle);
    if (RR__UNLIKELY(RR__SLEEPING(idle) && !RR__SEARCHING(idle))) rr__wake_one(rt);
}

/* FIFO. Three kinds of things lie in it: actors that had their turn, with a count, and fibers that
   let others go first, both QUEUED, so that who finds an old hint of one, or waits for it, may
   claim it all the time: it may come here again before it is taken out; and tasks for which a deque
   had no memory, WAITING, that is, claimable by nobody until they are taken out. */
static void rr__inbox_put(rr_runtime *rt, rr__object *o, bool is_actor) {
    bool may_be_there = is_actor || o->kind == RR__FIBER;
    rr__lock(&rt->lock);
    if (!may_be_there || !o->is_listed) {
        if (may_be_there) o->is_listed = true;
        if (is_actor) rr__share(o);
        rr__list_add(&rt->inbox_first, &rt->inbox_last, o);
        rr__store_seq_cst(&rt->has_inbox, 1);
    }
    rr__unlock(&rt->lock);
    rr__announce(rt);
}

static rr__object *rr__inbox_take(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    if (!rr__load_seq_cst(&rt->has_inbox)) return NULL;
    rr__lock(&rt->lock);
    rr__object *o = rt->inbox_first;
    bool is_actor = o && o->kind == RR__CONSTRUCTOR;
    if (is_actor || (o && o->kind == RR__FIBER)) o->is_listed = false;
    if (o && !(rt->inbox_first = o->next)) {
        rt->inbox_last = NULL;
        rr__store_seq_cst(&rt->has_inbox, 0);
    }
    rr__unlock(&rt->lock);
    if (!o) return NULL;
    if (o->kind == RR__FIBER) return rr__claim(o) ? o : NULL;
    if (!is_actor) {
        if (rr__try_state(o, RR__WAITING, RR__RUNNING)) return o;
        rr__abandon(cx, o);
        return NULL;
    }
    bool is_ours = rr__claim(o);
    rr__drop(cx, o);
    return is_ours ? o : NULL;
}

/* No memory for the deque: what is QUEUED goes to the inbox, unless a waiter was faster. */
static RR__NOINLINE void rr__shelve(rr__context *cx, rr__object *o) {
    if (o->kind == RR__FIBER) {
        rr__inbox_put(cx->runtime, o, false);
        return;
    }
    if (!rr__claim(o)) return;
    bool is_actor = o->kind == RR__CONSTRUCTOR;
    if (is_actor) rr__share(o); /* once QUEUED it may end under us */
    if (rr__try_state(o, RR__RUNNING, is_actor ? RR__QUEUED : RR__WAITING))
        rr__inbox_put(cx->runtime, o, is_actor);
    else rr__abandon(cx, o);
    if (is_actor) rr__drop(cx, o);
}

/* Puts what is QUEUED where workers find it. */
static RR__INLINE void rr__push(rr__context *cx, rr__object *o) {
    if (RR__LIKELY(rr__deque_push(&cx->deque, o))) rr__announce(cx->runtime);
    else rr__shelve(cx, o);
}

/* The newest of its own, claimed. */
static rr__object *rr__pop(rr__context *cx) {
    rr__object *o;
    while ((o = rr__deque_pop(&cx->deque)))
        if (rr__claim(o)) return o;
    return NULL;
}

static bool rr__has_work(rr_runtime *rt) {
    if (rr__load_seq_cst(&rt->has_inbox) || rr__load_seq_cst(&rt->has_ready)) return true;
    for (rr__context *cx = rr__load_seq_cst(&rt->contexts); cx; cx = cx->next)
        if (!rr__deque_is_empty(&cx->deque)) return true;
    return false;
}

/* Makes a WAITING task or actor claimable. The caller owns the state (rule R1). */
static RR__INLINE void rr__make_claimable(rr__context *cx, rr__object *o) {
    if (rr__try_state(o, RR__WAITING, RR__QUEUED)) rr__push(cx, o);
    else rr__abandon(cx, o);
}
