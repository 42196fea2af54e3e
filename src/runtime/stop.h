/* The end of a runtime. rr_shutdown adds up what the threads submitted and finished, each in
   counters of its own, until both are the same; then actors are ended, and threads joined. What
   stands still with something left is set going step by step.
   Locks: rr_runtime.lock while it waits. */
#pragma once
#include "../actors/sending.h"
#include "../insight/stats.h"
#include "../store/names.h"
#include "start.h"

static bool rr__is_quiet(rr_runtime *rt, bool actors_too) {
    /* A cancellation is counted by who decides, while the owner may count, and take back, what it
       comes with: so there may be none on the way while the sums are made. */
    uint64_t begun = rr__load_seq_cst(&rt->tasks->strays_begun);
    if (rr__load_seq_cst(&rt->tasks->strays_over) != begun) return false;
    /* Ended before submitted: equal sums mean that there was a moment when all had ended. */
    uint64_t ended = rr__sum(rt, RR__FINISHED) + rr__sum(rt, RR__ERRORS);
    uint64_t gone = rr__sum(rt, RR__ACTORS_GONE);
    if (ended != rr__sum(rt, RR__SUBMITTED)) return false;
    if (rr__load_seq_cst(&rt->tasks->strays_begun) != begun) return false;
    return !actors_too || gone == rr__sum(rt, RR__ACTORS_MADE);
}

/* Who made it may still be writing to its room, until the next call that says that the runtime has
   ended: so that stays until its memory goes. */
static void rr__room_abandon(rr_runtime *rt, rr__object *o) {
    if (!o->data.block) return;
    rr__store_return(rt, rr__info_of(o));
    rr__arena_abandon(&rt->arena, o->data.block, o->place);
}

static void rr__fail_unsealed(rr__context *cx, rr__object *o) {
    if (!rr__is_unsealed(o)) return;
    rr__error *error =
        rr__error_new(cx->runtime, RR_ERR_NOT_RUNNING, o,
                      "it was never sealed, and the runtime is shut down: call rr_seal before");
    if (!rr__unseal(o)) {
        rr__error_drop(error);
        return;
    }
    rr__room_abandon(cx->runtime, o);
    rr__share(o); /* for rr__fail_with to give back */
    rr__fail_with(cx, o, error);
}

/* A stream that nobody reads. */
static void rr__end_stream(rr__context *cx, rr__object *o) {
    if (o->kind == RR__FUNCTION) rr__stream_give_up(cx, o);
}

static void rr__end_actor(rr__context *cx, rr__object *o) {
    if (o->kind != RR__CONSTRUCTOR || rr__has_failed(o)) return;
    rr__error *error =
        rr__error_new(cx->runtime, RR_ERR_NOT_RUNNING, NULL, "the runtime was shut down");
    if (rr__actor_doom(cx, o, error)) rr__actor_rouse(cx, o);
}

/* It waits for resources that nobody will give back any more. */
static void rr__refuse_waiting(rr__context *cx, rr__object *o) {
    rr__control *control = o->kind == RR__FUNCTION ? rr__control_of(o) : NULL;
    if (!control || !rr__turn_revoke(cx->runtime, control)) return;
    rr__fail_with(cx, o,
                  rr__error_new(cx->runtime, RR_ERR_UNSCHEDULABLE, o,
                                "what it needs is held by tasks that wait for others, and the "
                                "runtime is shut down"));
}

static void rr__cancel_waiting(rr__context *cx, rr__object *o) {
    bool is_task = o->kind == RR__FUNCTION || o->kind == RR__METHOD;
    if (is_task && rr__state_of(rr__load_acquire(&o->word)) == RR__RUNNING)
        rr__cancel_tree(cx, o, RR__IS_CANCELLED);
}

/* All stands still with something left. First that waits for objects that nobody seals; if there is
   none, for the end of an actor, or what one holds; if there is none, for somebody who reads its
   stream; if there is none, for what bodies hold that wait themselves; and if there is none, for
   each other in a way that the search for deadlocks does not know (the end of an actor). */
static void (*const rr__unstick[])(rr__context *, rr__object *) = {
    rr__fail_unsealed, rr__end_actor, rr__end_stream, rr__refuse_waiting, rr__cancel_waiting};
enum { RR__UNSTICK_STEPS = sizeof rr__unstick / sizeof *rr__unstick };

static uint64_t rr__tasks_begun_and_ended(rr_runtime *rt) {
    return rr__sum(rt, RR__SUBMITTED) + rr__sum(rt, RR__FINISHED) + rr__sum(rt, RR__ERRORS);
}

/* Waits until all work has ended, and with it all actors, whose destructors may start more. */
static void rr__quiesce(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    bool has_ended_actors = false;
    uint64_t before = UINT64_MAX;
    for (int step = 0;;) {
        bool is_still = false;
        rr__lock(&rt->lock);
        while (!rr__is_quiet(rt, has_ended_actors) && !(is_still = rr__is_stuck(rt)))
            rr__cond_wait(&rt->quiet, &rt->lock);
        rr__unlock(&rt->lock);
        if (rr__is_quiet(rt, true)) {
            rr__store_seq_cst(&rt->has_quiesced, 1); /* see rr__is_too_late */
            if (rr__is_quiet(rt, true)) return;
            rr__store_seq_cst(&rt->has_quiesced, 0);
        } else if (rr__is_quiet(rt, false)) {
            rr__each_object(cx, rr__end_actor);
            has_ended_actors = true;
        } else if (is_still) {
            /* The next step only if the last was no help and no thread outside has begun
               anything: what that waits for was made before, so the first step sees it. */
            uint64_t now = rr__tasks_begun_and_ended(rt);
            step = now == before ? (step + 1) % RR__UNSTICK_STEPS : 0;
            before = now;
            rr__each_object(cx, rr__unstick[step]);
            rr__sleep(1e-3); /* what that has set going may take its time */
        }
    }
}

static rr_status rr__stop(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    int phase = RR__OPEN;
    if (rr__load_relaxed(&cx->frame))
        return rr__note(RR__NULL_REF, RR_ERR_INVALID,
                        "a task may not shut down its own runtime: let a thread outside do it");
    if (!rr__cas_seq_cst(&rt->phase, &phase, (int)RR__STOPPING))
        return rr__note(RR__NULL_REF, RR_ERR_NOT_RUNNING,
                        "another thread is shutting the runtime down already");
    rr__add_seq_cst(&rt->idle, RR__STOP);
    rr__quiesce(cx);
    rr__each_object(cx, rr__fail_unsealed); /* for waiters outside */
    rr__object_names_clear(cx);
    rr__join_all(rt);
    /* Now, because a body that was decided gives up what it had after rr_shutdown may go on. */
    if (rt->config.report_leaks) rr__each_object(cx, rr__report_leak);
    rr__log_end(rt);
    rr__global_lock();
    if (rr__load_relaxed(&rr__default) == rt) rr__store_release(&rr__default, (rr_runtime *)NULL);
    rr__global_unlock();
    rr__local *self = rr__self();
    if (self->chosen == rt) self->chosen = NULL;
    rr__context_detach(self, cx);
    rr__runtime_let_go(rt);
    return RR_OK;
}
