/* Several methods at once. The runner of an actor with max_concurrency does not run messages: it
   hands them out as tasks, so many that that number are `inside`, from then until their bodies
   have ended.
   Rules  C1  `inside` changes under the shard lock. A runner that finds enough inside, or that must
              end or make the state anew while some are, parks: WAITING and not idle. Who leaves
              next sets it going again.
          C2  A message inside counts the actor, so that this cannot be freed, nor end by its last
              count, before the message has left.
   Locks: the shard lock of the actor. */
#pragma once
#include "methods.h"

/* What the runner does next, under the shard lock: true if it has to park. *ends: the actor must
   end, and nobody is inside; what is asked without the lock may have become so just then. */
static bool rr__crew_next_locked(rr__object *actor, rr__object **message, bool *ends) {
    rr__actor *a = actor->extra.own;
    rr__care *care = a->care;
    *ends = rr__actor_must_end(actor);
    bool is_last = a->is_doomed || *ends || care->crash;
    *message = NULL;
    if (care->inside && (is_last || care->inside == care->max_concurrency)) {
        care->is_parked = true;
        rr__actor_settle(actor, RR__WAITING);
        return true;
    }
    if (is_last) return false;
    if (!a->first) a->first = rr__mailbox_drain(actor);
    if (!a->first) return false;
    *message = a->first, a->first = a->first->next;
    (*message)->lane_flags |= RR__IS_INSIDE;
    care->inside++;
    return false;
}

/* Methods inside, if a message has to wait for one of them to leave; else 0. */
static int rr__crew_inside(rr__context *cx, rr__object *actor) {
    rr__care *care = actor->extra.own->care;
    rr__shard *shard = rr__shard_lock(cx->runtime, actor);
    int inside = care && care->is_parked ? care->inside : 0;
    rr__unlock(&shard->lock);
    return inside;
}

/* As rr__actor_rest. Under the lock, with a look at what came back from inside: who puts back a
   message or a crash pokes after that. */
static bool rr__crew_rest(rr__context *cx, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    RR__STRESS_POINT();
    rr__lock(&shard->lock);
    bool rests = !a->first && !a->care->crash && rr__actor_go_idle(actor);
    rr__unlock(&shard->lock);
    if (rests && rr__actor_must_end(actor)) rr__actor_poke(cx, actor);
    return rests;
}

static void rr__crew_run(rr__context *cx, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    for (rr__object *message;;) {
        if (!a->is_born && !rr__actor_make(&cx, actor)) return;
        rr__lock(&shard->lock);
        bool ends, parks = rr__crew_next_locked(actor, &message, &ends);
        rr__error *crash = parks || message ? NULL : a->care->crash;
        if (crash) a->care->crash = NULL;
        rr__unlock(&shard->lock);
        RR__STRESS_POINT();
        if (parks) return;
        if (message && rr__pick_up(cx, message)) rr__make_claimable(cx, message);
        else if (message) continue; /* it was cancelled, and has left */
        else if (crash) rr__actor_crashed(&cx, actor, crash);
        else if (ends) break;
        else if (rr__crew_rest(cx, actor)) return;
    }
    rr__actor_end(cx, actor);
}

/* Its body has ended, or will not begin. The message counts the actor. */
static void rr__crew_leave(rr__context *cx, rr__object *message) {
    rr__object *actor = message->extra.actor;
    rr__care *care = actor->extra.own->care;
    rr__shard *shard = rr__shard_lock(cx->runtime, actor);
    message->lane_flags &= (uint8_t)~RR__IS_INSIDE;
    care->inside--;
    bool was_parked = care->is_parked, has_crashed = care->crash != NULL;
    care->is_parked = false;
    rr__unlock(&shard->lock);
    if (was_parked) rr__make_claimable(cx, actor);
    else if (has_crashed || rr__actor_must_end(actor)) rr__actor_poke(cx, actor);
}

/* Of several crashes at a time the first is what counts. The last one that may be ends the actor at
   once, as rr_kill does: those inside may wait for what is queued. */
static void rr__crew_crash(rr__context *cx, rr__object *actor, rr__error *crash) {
    rr__care *care = actor->extra.own->care;
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    if (!rr__can_restart(actor->extra.own)) {
        rr__actor_crashed(&cx, actor, crash); /* it ends: nothing is run */
        rr__actor_poke(cx, actor);
        return;
    }
    rr__lock(&shard->lock);
    bool is_first = !care->crash;
    if (is_first) care->crash = crash;
    rr__unlock(&shard->lock);
    if (!is_first) rr__error_drop(crash);
}

/* Runs a message that was handed out, as a task. */
static void rr__run_inside(rr__context *cx, rr__object *message) {
    rr__object *actor = message->extra.actor;
    rr__lane *lanes = NULL;
    rr__frame frame;
    rr__result result;
    rr__error *crash = NULL;
    bool again = false;
    rr__frame_init(&frame, message, &lanes, actor);
    rr__store_release(&message->waits_on, (rr__object *)NULL);
    rr__pending_end(cx, message);
    rr__error *error = rr__invoke(&cx, &frame, message->of.fn, rr__state_of_actor(actor), &result);
    if (lanes) rr__lanes_abandon(cx, lanes);
    if (frame.wants_exit || frame.crash)
        again = rr__method_end(cx, message, &frame, &error, &crash);
    if (crash) rr__crew_crash(cx, actor, crash);
    if (again) {
        rr__share(actor); /* once the message is back it may end, and the actor with it */
        rr__crew_leave(cx, message);
        rr__mailbox_return(cx, actor, message);
        rr__actor_poke(cx, actor); /* the runner may have gone idle in between */
        rr__drop(cx, actor);
        return;
    }
    rr__crew_leave(cx, message);
    rr__finish(cx, message, error, &result);
}
