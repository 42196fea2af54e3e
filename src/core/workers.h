/* Workers: threads that run what they find. A worker pops its own deque's newest entry, so that
   its work stays hot; without one it takes from the inbox or steals others' oldest, searches for
   a bounded time, and then parks, its role asleep. P1 to P3 stand in core/queues.h.
   Locks: rr_runtime.lock while it parks; that of the resources where roles are handed in. */
#pragma once
#include "fibers.h"

/* Has it one entry, of which its owner is likely to think next? Hints, all of them. */
static bool rr__has_single(rr__context *cx) {
    rr__deque *deque = &cx->deque;
    return rr__load_relaxed(&deque->bottom) - rr__load_relaxed(&deque->top) == 1 &&
           rr__load_relaxed(&deque->is_served);
}

/* The only entry of a thread that runs bodies, put there just now: its owner is likely to take it
   next, with all it needs in its cache, and a theft would make a chain of tasks, or two actors that
   talk, wander between cores. So a thief leaves it for two microseconds. It watches one such entry
   at a time, and the others not before that has gone or been stolen: so each has its turn. */
static bool rr__is_lone(rr__context *cx, rr__context *victim) {
    if (!rr__has_single(victim)) return false;
    rr__context *lone = cx->look.lone;
    bool is_watched = lone && cx->look.lone_pushes == rr__load_relaxed(&lone->deque.pushes);
    if (is_watched && cx->look.lone == victim) return rr_now() - cx->look.lone_since < 2e-6;
    if (is_watched && rr__has_single(cx->look.lone)) return true;
    cx->look.lone = victim, cx->look.lone_pushes = rr__load_relaxed(&victim->deque.pushes);
    cx->look.lone_since = rr_now();
    return true;
}

/* Claims the first of the hints that still can be, and takes over the rest: the oldest lies at the
   bottom of the own deque, to be run next. */
static rr__object *rr__loot(rr__context *cx, rr__object **hints, size_t n) {
    rr__object *found = NULL;
    size_t first = 0, moved = 0;
    for (size_t i = 0; i < n; i++)
        if (hints[i]) RR__PREFETCH(hints[i]); /* they lie in another core's cache */
    while (first < n && !found) {
        rr__object *o = hints[first++];
        if (o && rr__claim(o)) found = o;
    }
    for (size_t i = n; i-- > first;) {
        if (!hints[i] || !rr__is_claimable(hints[i])) continue;
        if (!rr__deque_push(&cx->deque, hints[i])) rr__shelve(cx, hints[i]);
        moved++;
    }
    if (moved) rr__announce(cx->runtime);
    for (moved += found != NULL; moved > 0; moved--) rr__count(cx, RR__STOLEN);
    return found;
}

/* One round over everybody's deque, beginning where the last theft worked. */
static rr__object *rr__steal(rr__context *cx) {
    rr__context *start = cx->look.victim ? cx->look.victim : cx, *victim = start;
    rr__object *hints[RR__HINTS];
    do {
        size_t n;
        while (victim != cx && !rr__is_lone(cx, victim) &&
               (n = rr__deque_steal(&victim->deque, hints))) {
            rr__object *o = rr__loot(cx, hints, n);
            if (!o) continue; /* old entries: the next ones */
            cx->look.victim = victim;
            return o;
        }
        victim = victim->next ? victim->next : rr__load_acquire(&cx->runtime->contexts);
    } while (victim != start);
    return NULL;
}

/* ---- searching ---- */

static void rr__search_begin(rr__context *cx) {
    if (cx->is_searching) return;
    cx->is_searching = true;
    rr__add_seq_cst(&cx->runtime->idle, RR__ONE_SEARCHING);
}

static void rr__search_end(rr__context *cx) { /* found something: rule P3 */
    if (!cx->is_searching) return;
    cx->is_searching = false;
    uint64_t idle = rr__sub_seq_cst(&cx->runtime->idle, RR__ONE_SEARCHING);
    if (RR__SEARCHING(idle) != 1 || !RR__SLEEPING(idle)) return;
    if (rr__has_work(cx->runtime)) rr__wake_one(cx->runtime);
    else rr__role_offer(cx); /* roles that were given back for other work, and are left over */
}

/* ---- parking ---- */

/* Lists the thread as parked and puts its role to sleep. False if there is no need to.
   *may_leave: it is one too many. */
static bool rr__park_begin(rr__context *cx, bool *may_leave) {
    rr_runtime *rt = cx->runtime;
    rr__lock(&rt->lock);
    if (rr__load_relaxed(&rt->phase) == RR__STOPPED || (!cx->has_role && rr__role_take(cx))) {
        rr__unlock(&rt->lock);
        return false;
    }
    cx->listed = rt->parked, rt->parked = cx, cx->is_parked = true;
    *may_leave = rt->threads > rt->workers;
    rr__unlock(&rt->lock);
    if (!cx->has_role) rr__signal_if_stopping(rt);
    if (!cx->has_role) return true;
    cx->has_role = cx->is_searching = false;
    uint64_t idle = rr__add_seq_cst(&rt->idle, RR__ONE_SLEEPING - RR__ONE_SEARCHING);
    rr__role_offer(cx);
    if (rr__has_work(rt)) rr__wake_one(rt); /* rule P2 */
    if (idle & RR__STOP) rr__quiet_signal(rt);
    return true;
}

/* Waits to be woken, for so long (negative: for ever). False if the time is over. */
static bool rr__park_wait(rr__context *cx, double seconds) {
    double end = rr_now() + seconds, left = seconds;
    rr__lock(&cx->parker.lock);
    while (!cx->is_woken && (seconds < 0 || (left = end - rr_now()) > 0)) {
        if (seconds < 0) rr__cond_wait(&cx->wake, &cx->parker.lock);
        else rr__cond_wait_for(&cx->wake, &cx->parker.lock, left);
    }
    bool is_woken = cx->is_woken;
    cx->is_woken = false;
    rr__unlock(&cx->parker.lock);
    return is_woken;
}

/* A parked thread beyond the workers leaves if nobody needed it for a while. False: it was woken
   just now, or is no longer one too many. */
static bool rr__park_leave(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    rr__lock(&rt->lock);
    rr__context **at = &rt->parked;
    while (*at && *at != cx) at = &(*at)->listed;
    bool leaves = *at && rt->threads > rt->workers;
    if (leaves) *at = cx->listed, rt->threads--;
    rr__unlock(&rt->lock);
    return leaves;
}

/* False: the thread leaves. */
static bool rr__park(rr__context *cx) {
    if (cx->has_role) rr__search_begin(cx); /* so that giving it up is one change of idle */
    bool may_leave;
    if (!rr__park_begin(cx, &may_leave)) return true;
    if (!rr__park_wait(cx, may_leave ? RUSTYRAY_KEEP_SECONDS : -1)) {
        if (rr__park_leave(cx)) return false;
        rr__park_wait(cx, -1);
    }
    cx->has_role = cx->is_searching = !cx->assigned; /* handed over by rr__role_hand_over */
    return true;
}

/* ---- looking for work ---- */

/* What is not in the thread's own deque. In turns, or an actor that has always more to do would
   keep others from theirs. */
static RR__NOINLINE rr__object *rr__find_elsewhere(rr__context *cx) {
    rr__object *o = NULL;
    cx->look.steals_first = !cx->look.steals_first;
    if (!cx->look.steals_first) o = rr__inbox_take(cx);
    if (!o) o = rr__steal(cx);
    return !o && cx->look.steals_first ? rr__inbox_take(cx) : o;
}

/* Something to run, claimed, from wherever there is some; NULL if there is none. */
static RR__INLINE rr__object *rr__find_work(rr__context *cx) {
    bool has_ready = rr__load_relaxed(&cx->runtime->has_ready); /* P2 looks again */
    rr__object *o = RR__UNLIKELY(has_ready) ? rr__ready_take(cx, false) : NULL;
    if (!o) o = rr__pop(cx);
    if (!o) o = rr__find_elsewhere(cx);
    return RR__UNLIKELY(!o && has_ready) ? rr__ready_take(cx, true) : o;
}

/* How long a thread looks, and a waiter waits, before it sleeps: about what sleeping and being
   woken cost together, so that at most twice the least possible is spent (Karlin, Li, Manasse and
   Owicki, "Empirical studies of competitive spinning", 1991). In seconds. */
#define RR__SEARCH_TIME 50e-6
#define RR__SPIN_TIME 10e-6

/* One round of waiting for other cores: the first ones keep the core, the others offer it. */
static bool rr__pause(int round, double *end, double seconds) {
    enum { QUICK = 32 };
    if (round < QUICK) {
        RR__PAUSE();
        return true;
    }
    double now = rr_now();
    if (round == QUICK) *end = now + seconds;
    rr__thread_yield();
    return now < *end;
}

/* A look at others' deques takes their cache lines away from them: so some time passes between
   two, in seconds. */
static void rr__look_away(void) {
    const double between = 1e-6;
    for (double start = rr_now(); rr_now() - start < between;) RR__PAUSE();
}

static RR__NOINLINE rr__object *rr__search(rr__context *cx) {
    double end = 0;
    for (int round = 0;; round++) {
        rr__search_begin(cx);
        if (!rr__pause(round, &end, RR__SEARCH_TIME)) return NULL;
        if (end > 0) rr__look_away();
        rr__object *o = rr__find_work(cx);
        if (o || rr__load_relaxed(&cx->runtime->phase) == RR__STOPPED) return o;
    }
}

/* The next task for a worker, claimed; NULL after a bounded search. The first round is silent:
   only who has found nothing says that it searches. */
static RR__INLINE rr__object *rr__next_task(rr__context *cx) {
    rr__object *o = rr__find_work(cx);
    return RR__LIKELY(o != NULL) ? o : rr__search(cx);
}

/* ---- the thread ---- */

/* The thread's last words: it lets go of all it has before it lists itself, because who takes its
   context then joins it under the lock. */
static void rr__worker_leave(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    rr__fibers_let_go(cx);
    rr__above.thread_ends(rr__self());
    rr__lock(&rt->lock);
    cx->listed = rt->rested, rt->rested = cx;
    rr__unlock(&rt->lock);
}

/* Runs what the thread was woken or made for: on roles of the pot, or, if it blocks, on none. */
static void rr__run_assigned(rr__context *cx) {
    rr__object *task = cx->assigned;
    cx->assigned = NULL;
    if (rr__try_state(task, RR__WAITING, RR__RUNNING)) rr__run(cx, task, NULL);
    else rr__abandon(cx, task);
}

/* Looks for something and runs it; false: the thread is to leave. */
static bool rr__work_turn(rr__context *cx) {
    if (rr__load_acquire(&cx->runtime->phase) == RR__STOPPED) return false;
    if (RR__UNLIKELY(cx->assigned != NULL)) {
        rr__run_assigned(cx);
        return true;
    }
    bool is_wanted = rr__load_relaxed(&cx->runtime->resources->roles_wanted) > 0; /* a hint */
    if (RR__UNLIKELY(is_wanted) && !cx->is_searching) rr__role_hand_in(cx);
    bool has_role = cx->has_role || rr__role_take(cx);
    rr__object *o = has_role ? rr__next_task(cx) : NULL;
    if (!o) return rr__park(cx);
    rr__search_end(cx);
    rr__run(cx, o, NULL);
    return true;
}

/* What a fiber does, on whatever thread: what it was taken for, and then, on one of the pool, work
   that it finds. */
static void rr__work(void *taken) {
    rr__fiber *fiber = taken;
    rr__local *self = fiber->local;
    rr__stack_begun(&fiber->stack);
    self->last_start = rr__stack_floor(&fiber->stack, RR__STACK_NOW()) + fiber->runtime->body_bytes;
    rr__arrive(self, self->carrier);
    for (;;) {
        rr__context *cx = self->carrier;
        rr__object *first = cx->first;
        if (first) {
            rr__step by = cx->first_by;
            cx->first = NULL;
            rr__run(cx, first, by.object ? &by : NULL);
        } else if (!cx->is_worker || !rr__work_turn(cx)) {
            rr__fiber_leave(self, NULL);
        }
    }
}

/* A thread of the pool has nothing on its own stack. */
static void rr__worker_main(void *context) {
    rr__context *cx = context;
    rr__local *self = rr__self_begin(cx);
    rr__fiber_visit(self, cx, rr__fiber_take(cx)); /* there is one: rr__worker_add_locked */
    rr__worker_leave(cx);
}
