/* Fibers: bodies run on stacks of their own, which threads carry. A body that has to wait leaves
   its thread together with its stack, and all that lies on that: the bodies below it, for which it
   is run. The thread goes on with other work on another stack; when what was waited for is there
   the fiber is queued like anything ready, and any worker goes on with it. So only who really waits
   pays for a switch, and one that waits costs no thread (marl: Clayton 2019; Go).

       a fiber:  idle -> carried -> asleep -> queued -> carried -> ... -> idle

   An idle fiber that a worker carries looks for work (core/workers.h); a body begins on the stack
   at hand. Threads from outside run bodies too, those that they wait for, but on fibers, never on
   their own stacks: they go back to theirs when the body has ended, or waits.

   In queues and links a fiber is stood for by an object, its token: QUEUED when it can go on, and
   RUNNING else; who claims it goes on with it.
   Rules  F1  Who leaves a stack may not be gone on with before its registers are saved: so what
              becomes of it is done on the stack that was gone to (rr__arrive).
          F2  It sleeps (core/parking.h) when its stack has been left: so who ends that queues it.
          F3  Fibers stay where they are until the runtime ends: of their tokens there are old hints
              in deques, and a timer may come late.
          F4  What a context has is used by what it carries alone. Over a wait a fiber keeps no
              context, but asks again (rr__here).
   Locks: rr_runtime.fibers_lock, a leaf. */
#pragma once
#include "parking.h"
#include "roles.h"
#include "timers.h"

struct rr__fiber {
    rr__object token; /* first */
    rr_runtime *runtime;
    rr__parker parker;
    rr__sleeper *sleeper; /* left: what it sleeps for; or NULL */
    rr__entry timer;      /* of a wait with a limit */
    bool has_guard;       /* its end cannot be overstepped */
    bool has_timer;       /* it was promised */
    bool goes_last;       /* left: it is queued where all have their turn */
    rr__stack stack;
    rr__local *local; /* in its memory */
    char *memory;
    rr__fiber *next; /* idle */
    rr__fiber *all;  /* in rr_runtime.fibers */
};

/* What a link to a fiber's token is marked with: so that it is known without a look at it. */
static rr__object *rr__link_to(rr__fiber *fiber) {
    return (rr__object *)(void *)((char *)&fiber->token + 1);
}
static rr__fiber *rr__linked_fiber(rr__object *link) {
    return (uintptr_t)link & 1 ? (rr__fiber *)(void *)((char *)link - 1) : NULL;
}

/* ---- making ---- */

static void rr__fiber_main(void *fiber) { rr__above.work(fiber); }

static bool rr__fiber_fill(rr_runtime *rt, rr__fiber *fiber) {
    size_t size = rt->stack_bytes;
    fiber->memory = rr__stack_map(size, sizeof *fiber->local, &fiber->has_guard);
    if (!fiber->memory) return false;
    fiber->local = rr__stack_keep(fiber->memory, &size, sizeof *fiber->local);
    fiber->local->fiber = fiber;
    if (rr__stack_make(&fiber->stack, fiber->memory, size, rr__fiber_main, fiber)) return true;
    rr__stack_unmap(fiber->memory, rt->stack_bytes);
    fiber->local = NULL;
    return false;
}

/* Its stack goes back to the system, and with it all that lay on it; itself it stays (F3). */
static void rr__fiber_empty(rr__fiber *fiber) {
    rr__above.thread_ends(fiber->local);
    rr__stack_free(&fiber->stack);
    rr__stack_unmap(fiber->memory, fiber->runtime->stack_bytes);
    fiber->local = NULL;
}

static rr__fiber *rr__fiber_alloc(rr_runtime *rt) {
    rr__lock(&rt->fibers_lock);
    rr__fiber *fiber = rt->fibers_empty;
    if (fiber) rt->fibers_empty = fiber->next;
    rr__unlock(&rt->fibers_lock);
    if (fiber || !(fiber = RR_CALLOC(1, sizeof *fiber))) return fiber;
    if (!rr__mutex_init(&fiber->parker.lock)) {
        RR_FREE(fiber);
        return NULL;
    }
    fiber->runtime = rt, fiber->parker.fiber = fiber, fiber->timer.fiber = fiber;
    fiber->token.kind = RR__FIBER, fiber->token.site = "a fiber";
    rr__store_relaxed(&fiber->token.id, (uint64_t)1); /* published with the fiber */
    rr__store_relaxed(&fiber->token.word, RR__STATE(RR__RUNNING) | 1);
    rr__lock(&rt->fibers_lock);
    fiber->all = rt->fibers, rt->fibers = fiber;
    rr__unlock(&rt->fibers_lock);
    return fiber;
}

static void rr__fiber_set_aside(rr__fiber *fiber) {
    rr_runtime *rt = fiber->runtime;
    rr__lock(&rt->fibers_lock);
    fiber->next = rt->fibers_empty, rt->fibers_empty = fiber;
    rr__unlock(&rt->fibers_lock);
}

/* An idle one that nobody has; NULL without memory. */
static RR__NOINLINE rr__fiber *rr__fiber_new(rr_runtime *rt) {
    rr__fiber *fiber = rr__fiber_alloc(rt);
    if (!fiber || rr__fiber_fill(rt, fiber)) return fiber;
    rr__fiber_set_aside(fiber);
    return NULL;
}

/* Threads that queue a fiber of a runtime which is not theirs, and may end as soon as that goes on:
   they are waited for. */
static RR__ATOMIC(int) rr__strangers;

/* With the runtime's memory, not before: a thread from outside may be about to leave one. */
static void rr__fibers_free(rr_runtime *rt) {
    while (rr__load_seq_cst(&rr__strangers) > 0) rr__thread_yield();
    for (rr__fiber *fiber = rt->fibers, *next; fiber; fiber = next) {
        next = fiber->all;
        if (fiber->local) rr__fiber_empty(fiber);
        rr__mutex_destroy(&fiber->parker.lock);
        RR_FREE(fiber);
    }
}

/* ---- idle ones ---- */

enum { RR__IDLE_FIBERS = 32 }; /* that a context keeps; half of them move at once */

/* Half of those that a context has go to where all find them; of very many the stacks go back. */
static RR__NOINLINE void rr__fibers_return(rr__context *cx) {
    enum { KEPT = 1024 };
    rr_runtime *rt = cx->runtime;
    rr__fiber *first = cx->idle, *last = first;
    for (int i = 1; i < RR__IDLE_FIBERS / 2; i++) last = last->next;
    cx->idle = last->next, cx->idle_count -= RR__IDLE_FIBERS / 2, last->next = NULL;
    if (rr__load_relaxed(&rt->fibers_idle_count) > KEPT) { /* a hint */
        for (rr__fiber *fiber = first, *next; fiber; fiber = next) {
            next = fiber->next;
            rr__fiber_empty(fiber);
            rr__fiber_set_aside(fiber);
        }
        return;
    }
    rr__lock(&rt->fibers_lock);
    last->next = rt->fibers_idle, rt->fibers_idle = first;
    (void)rr__add_relaxed(&rt->fibers_idle_count, RR__IDLE_FIBERS / 2); /* a hint */
    rr__unlock(&rt->fibers_lock);
}

/* All of them, of a thread that leaves. */
static void rr__fibers_let_go(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    rr__lock(&rt->fibers_lock);
    for (rr__fiber *fiber; (fiber = cx->idle); cx->idle_count--) {
        cx->idle = fiber->next;
        fiber->next = rt->fibers_idle, rt->fibers_idle = fiber;
        (void)rr__add_relaxed(&rt->fibers_idle_count, 1); /* a hint */
    }
    rr__unlock(&rt->fibers_lock);
}

static void rr__fiber_give(rr__context *cx, rr__fiber *fiber) {
    fiber->next = cx->idle, cx->idle = fiber;
    if (++cx->idle_count == RR__IDLE_FIBERS) rr__fibers_return(cx);
}

static rr__fiber *rr__fiber_fetch(rr_runtime *rt) {
    rr__lock(&rt->fibers_lock);
    rr__fiber *fiber = rt->fibers_idle;
    if (fiber) rt->fibers_idle = fiber->next, (void)rr__add_relaxed(&rt->fibers_idle_count, -1);
    rr__unlock(&rt->fibers_lock);
    return fiber ? fiber : rr__fiber_new(rt);
}

/* A thread of the pool that is about to be started, under the runtime's lock. */
static bool rr__fiber_for_thread(rr__context *cx) {
    rr__fiber *fiber = cx->idle ? NULL : rr__fiber_fetch(cx->runtime);
    if (fiber) rr__fiber_give(cx, fiber);
    return cx->idle != NULL;
}

static RR__NOINLINE bool rr__fibers_fetch(rr__context *cx) {
    rr__fiber *fiber = rr__fiber_fetch(cx->runtime);
    if (!fiber) return false;
    if (RR__UNLIKELY(!fiber->has_guard))
        rr__log_again(cx->runtime, RR__LINE_GUARD, RR_LOG_WARN,
                      "the system has no mapping left for the page that guards the end of a stack "
                      "(vm.max_map_count): a body that overflows its stack will not be noticed");
    rr__fiber_give(cx, fiber);
    return true;
}

/* Sees to it that there is one to go to; false without memory. */
static RR__INLINE bool rr__fiber_ready_to_go(rr__context *cx) {
    return RR__LIKELY(cx->idle != NULL) || rr__fibers_fetch(cx);
}

static rr__fiber *rr__fiber_take(rr__context *cx) {
    rr__fiber *fiber = cx->idle;
    cx->idle = fiber->next, cx->idle_count--;
    return fiber;
}

/* ---- waking ---- */

/* It can go on: whoever claims it does. */
static void rr__fiber_queue(rr__context *by, rr__fiber *fiber) {
    rr_runtime *rt = fiber->runtime;
    bool goes_last = fiber->goes_last, is_strange = by->runtime != rt;
    fiber->goes_last = false;
    if (is_strange) rr__add_seq_cst(&rr__strangers, 1);
    rr__store_release(&fiber->token.word, RR__STATE(RR__QUEUED) | 1); /* nobody decides a fiber */
    if (is_strange || goes_last) rr__inbox_put(rt, &fiber->token, false);
    else rr__push(by, &fiber->token);
    if (is_strange) rr__sub_seq_cst(&rr__strangers, 1);
}

/* After its end was noted, without locks: it needs the parker's at once. NULL: nobody. */
static void rr__wake(rr__context *by, rr__parker *parker) {
    if (!parker) return;
    if (parker->fiber) rr__fiber_queue(by, parker->fiber);
    else rr__cond_signal(&parker->thread->wake);
}

/* Its timer is due. */
static void rr__sleep_due(rr__context *cx, rr__fiber *fiber) {
    rr__wake(cx, rr__parker_is_late(&fiber->parker));
}

/* ---- going ---- */

/* The one that was left sleeps, unless that is over already, or only lets others go first. */
static RR__NOINLINE void rr__left_to_sleep(rr__context *cx, rr__fiber *left) {
    rr__sleeper *s = left->sleeper;
    left->sleeper = NULL;
    rr__lock(&left->parker.lock);
    bool sleeps = s && rr__parker_begins_locked(s);
    bool is_sought = sleeps && rr__sleeper_is_sought(s); /* it may go on after the unlock */
    rr__unlock(&left->parker.lock);
    if (!sleeps) rr__fiber_queue(cx, left);
    else if (is_sought) rr__look_later(cx->runtime);
}

/* On the stack that was gone to: what becomes of the one that was left (F1). */
static RR__INLINE void rr__arrive(rr__local *self, rr__context *cx) {
    rr__fiber *left = cx->left;
    rr__self_set(self);
    cx->left = NULL;
    if (!left) return;
    if (left->sleeper || left->goes_last) rr__left_to_sleep(cx, left);
    else rr__fiber_give(cx, left);
}

/* The fiber's thread is that of `cx` from now on. */
static void rr__carry(rr__context *cx, rr__fiber *fiber) {
    rr__local *to = fiber->local;
    if (to->context == to->carrier) to->context = cx; /* its own runtime, or nothing yet */
    to->carrier = cx;
    rr__store_release(&cx->frame, to->frame);
}

/* The running fiber goes to another one, or, NULL, to where its thread came from. Returns when
   somebody goes on with it. */
static RR__INLINE void rr__fiber_leave(rr__local *self, rr__fiber *to) {
    rr__context *cx = self->carrier;
    cx->left = self->fiber;
    if (to) rr__carry(cx, to);
    else rr__store_release(&cx->frame, (rr__frame *)NULL);
    rr__stack_switch(&self->fiber->stack, to ? &to->stack : cx->home);
    rr__arrive(self, self->carrier);
}

/* From a stack that is no fiber's of this runtime to one that is. Returns when that has ended, or
   sleeps. */
static RR__INLINE void rr__fiber_visit(rr__local *self, rr__context *cx, rr__fiber *to) {
    rr__frame *frame = rr__load_relaxed(&cx->frame); /* our own */
    cx->home = self->fiber ? &self->fiber->stack : &cx->native;
    rr__carry(cx, to);
    rr__stack_switch(cx->home, &to->stack);
    rr__arrive(self, cx);
    rr__store_release(&cx->frame, frame);
}

/* Where a worker goes from a body that sleeps: on with the newest of its own work, or to an idle
   fiber, which takes that or looks further. */
static RR__INLINE rr__fiber *rr__fiber_next(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    bool is_first = cx->has_role && !rr__load_relaxed(&rt->has_ready) && /* hints, as there */
                    !rr__load_relaxed(&rt->resources->roles_wanted);
    rr__object *next = is_first ? rr__pop(cx) : NULL;
    if (next && next->kind == RR__FIBER) return (rr__fiber *)(void *)next;
    cx->first = next, cx->first_by = (rr__step){NULL, 0};
    return rr__fiber_take(cx);
}

/* The running fiber sleeps until that is over; NULL: it lets others go first. After
   rr__fiber_ready_to_go. */
static RR__NOINLINE void rr__fiber_sleep(rr__local *self, rr__sleeper *s) {
    rr__context *cx = self->carrier;
    self->fiber->sleeper = s;
    if (RR__UNLIKELY(self->granted)) rr__grants_lend(self, true);
    rr__fiber_leave(self, cx->is_worker ? rr__fiber_next(cx) : NULL);
    if (RR__UNLIKELY(self->apart)) rr__role_give(self->carrier);
    if (RR__UNLIKELY(self->granted)) rr__grants_lend(self, false);
}

/* Lets others go first: it is queued behind them. After rr__fiber_ready_to_go. */
static void rr__fiber_yield(rr__local *self) {
    self->fiber->goes_last = true;
    rr__fiber_sleep(self, NULL);
}

/* It was claimed, by a worker that has nothing on its stack, or a thread from outside. */
static void rr__fiber_run(rr__context *cx, rr__object *token, const rr__step *until) {
    rr__fiber *fiber = (rr__fiber *)(void *)token;
    rr__local *self = rr__self();
    (void)until;
    if (self->carrier == cx) rr__fiber_leave(self, fiber);
    else rr__fiber_visit(self, cx, fiber);
}

/* ---- bodies ---- */

/* Is there enough of its stack for another body? */
static RR__INLINE bool rr__has_stack(const rr__local *self) {
    return RR__STACK_NOW() >= self->last_start;
}

/* Runs what was claimed: here, or, from outside, on a fiber. After rr__can_run. */
static RR__INLINE void rr__run_on(rr__local *self, rr__context *cx, rr__object *claimed,
                                  const rr__step *until) {
    if (RR__LIKELY(self->carrier == cx) || claimed->kind == RR__FIBER) {
        rr__run(cx, claimed, until);
        return;
    }
    cx->first = claimed, cx->first_by = until ? *until : (rr__step){NULL, 0};
    rr__fiber_visit(self, cx, rr__fiber_take(cx));
}

/* May this one take another body on its stack, or on a fiber? */
static RR__INLINE bool rr__can_run(rr__local *self, rr__context *cx) {
    return RR__LIKELY(self->carrier == cx) ? rr__has_stack(self) : rr__fiber_ready_to_go(cx);
}
