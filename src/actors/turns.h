/* Turns: an actor that was claimed runs messages; and what actors and messages do as classes.
   Locks: none of its own. */
#pragma once
#include "../tasks/cancelling.h"
#include "crew.h"

/* Runs an actor that was claimed: messages until none is left, `until` is over, or others should
   have a turn. Nothing that stands behind `until` is run, also if that was cancelled in its place.
   While the actor is RUNNING it cannot be freed, whatever its count. */
static void rr__actor_run(rr__context *cx, rr__object *actor, const rr__step *until) {
    enum { TURN = 256 };
    rr__actor *a = actor->extra.own;
    if (RR__UNLIKELY(a->care && a->care->max_concurrency > 1)) {
        rr__crew_run(cx, actor);
        return;
    }
    for (int turn = 0;; turn++) {
        if (RR__UNLIKELY(!a->is_born) && !rr__actor_make(&cx, actor)) return;
        bool is_done = until && rr__step_is_over(until);
        if ((is_done || turn == TURN) && !rr__actor_must_end(actor)) {
            if (is_done && !rr__mailbox_has_batch(cx, actor) && rr__actor_rest(cx, actor)) return;
            rr__actor_yield(cx, actor, turn == TURN);
            return;
        }
        rr__object *message = rr__mailbox_next(cx, actor);
        bool is_behind = message && until && rr__step_is_over(until); /* it was cancelled */
        if (is_behind) rr__mailbox_return(cx, actor, message);
        else if (message) rr__run_method(&cx, actor, message);
        if ((!message || is_behind) && rr__actor_must_end(actor)) break;
        if (!message && rr__actor_rest(cx, actor)) return;
    }
    rr__actor_end(cx, actor);
}

/* It was doomed, by rr_kill: those of its bodies that run are told, what they have called is
   cancelled, and it ends. The caller counts it. */
static void rr__actor_kill(rr__context *cx, rr__object *actor) {
    uint64_t word = rr__or_seq_cst(&actor->word, RR__IS_KILLED);
    rr__bodies_wake(cx, actor);
    if (word & RR__HAS_CALLED) rr__cancel_called(cx, actor);
    rr__actor_rouse(cx, actor);
}

/* ---- the class of actors ---- */

/* The arguments of its constructor are there: its creation is the first thing that it does. */
static void rr__actor_ready(rr__context *cx, rr__object *actor) {
    rr__error *error = rr__failed_argument(cx, actor);
    rr__care *care = actor->extra.own->care;
    if (error) rr__actor_doom(cx, actor, error); /* never born */
    if (care && care->control.has_turn && !error) rr__admit(cx, actor, &care->control);
    else rr__make_claimable(cx, actor);
}

static void rr__actor_run_class(rr__context *cx, rr__object *actor, const rr__step *until) {
    rr__actor_run(cx, actor, until);
    if (RR__UNLIKELY(cx->runtime->evicts)) rr__store_leave(rr__here(cx));
}

static rr__control *rr__actor_options(const rr__object *actor) {
    rr__care *care = actor->extra.own->care;
    return care ? &care->control : NULL;
}

static void rr__actor_due(rr__context *cx, rr__object *actor, bool is_retry) {
    (void)is_retry; /* it has no other */
    rr__actor_resume(cx, actor);
}

static void rr__actor_free(rr__context *cx, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__error_drop(rr__load_relaxed(&a->death)); /* its last user */
    RR_FREE(a->care);
    rr__block_free(cx, a, a->place);
}

/* ---- the class of messages ---- */

/* Its arguments are there: to its actor, or the failure is passed on. */
static void rr__message_ready(rr__context *cx, rr__object *message) {
    rr__error *error = rr__failed_argument(cx, message);
    if (!error) rr__actor_deliver(cx, message);
    else if (rr__lane_leave(cx, message)) rr__fail_with(cx, message, error);
    else rr__error_drop(error);
}

static void rr__message_run(rr__context *cx, rr__object *message, const rr__step *until) {
    (void)until;
    rr__run_inside(cx, message);
    if (RR__UNLIKELY(cx->runtime->evicts)) rr__store_leave(rr__here(cx));
}

static void rr__message_abandon(rr__context *cx, rr__object *message) {
    rr__object *actor = rr__actor_of(message);
    if (actor && rr__is_held(message) && rr__lane_keeps(cx, message)) return;
    rr__task_give_up(cx, message);
    if (message->lane_flags & RR__IS_INSIDE) rr__crew_leave(cx, message);
    uint64_t word = rr__or_seq_cst(&message->word, RR__IS_LEFT);
    rr__drop(cx, message);
    if (actor && !(word & RR__IS_STRIPPED)) rr__drop(cx, actor); /* R6 */
}

static void rr__message_begun(rr__context *cx, rr__object *message) {
    rr__mailbox_left(cx, message->extra.actor);
}
