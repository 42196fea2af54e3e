/* The life of an actor:

       spawned --arguments--> QUEUED -> RUNNING (constructor) -> WAITING (idle) <-> QUEUED <-> ...
                                                                     |
       doomed (rr_kill, rr_exit_actor, failed constructor, shutdown) or its last count given back:
       the runner, set going by rr__actor_poke if need be, runs the destructor and ends it (FAILED).
       The slot stays as a grave for the handles that are left.

   Locks: rr_runtime.lock for the turn to run a destructor; the shard lock of the actor. */
#pragma once
#include "../tasks/retries.h"
#include "../tasks/running.h"
#include "held.h"
#include "names.h"
#include "watching.h"

/* The bytes in front of an actor's state. */
static size_t rr__actor_head(const rr_function *fn) {
    size_t align = fn->self.align > 8 ? fn->self.align : 8; /* the block has 64 */
    return (sizeof(rr__actor) + align - 1) / align * align;
}

static void *rr__state_of_actor(rr__object *actor) {
    return (char *)actor->extra.own + rr__actor_head(actor->of.fn);
}

/* Ends everything that is queued or held, for who ends the actor. */
static void rr__refuse_queued(rr__context *cx, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__shard *shard = rr__shard_lock(cx->runtime, actor);
    a->is_doomed = true;
    rr__object *list = a->first, **last = &list;
    while (*last) last = &(*last)->next;
    *last = rr__mailbox_drain(actor);
    while (*last) last = &(*last)->next;
    rr__object *waiting = rr__lanes_empty_locked(actor, last);
    a->first = NULL;
    bool has_senders = a->care && a->care->senders.first;
    rr__unlock(&shard->lock);
    if (has_senders) rr__senders_wake(cx, actor, true);
    rr__refuse_all(cx, actor, list);
    rr__held_refuse(cx, actor, waiting);
}

/* Declares an actor dead; takes over a count of the cause. Only the first one counts. What is
   queued ends at once, the rest when the runner sees it. The caller counts the actor or runs it. */
static bool rr__actor_doom(rr__context *cx, rr__object *actor, rr__error *cause) {
    rr__actor *a = actor->extra.own;
    rr__error *none = NULL;
    if (!rr__cas_seq_cst(&a->death, &none, cause)) {
        rr__error_drop(cause);
        return false;
    }
    RR__STRESS_POINT();
    rr__or_seq_cst(&actor->word, RR__IS_DOOMED); /* what rr__actor_rest looks at; after death */
    RR__STRESS_POINT();
    rr__name_remove(cx, actor);
    rr__refuse_queued(cx, actor);
    return true;
}

/* It was declared dead, or its last count went (rule A1: then nothing is queued). */
static bool rr__actor_must_end(rr__object *actor) {
    uint64_t word = rr__load_seq_cst(&actor->word);
    return (word & RR__IS_DOOMED) || (word & RR__COUNT_MASK) == 0;
}

/* An actor that waits to be made anew is set going by its timer, by who dooms it, or by who gives
   back its last count: whoever takes the flag. Touches the slot's word only, for that reason
   (rule A3). */
static void rr__actor_resume(rr__context *cx, rr__object *actor) {
    uint64_t word = rr__load_relaxed(&actor->word), next; /* the CAS checks it */
    do {
        if (!(word & RR__IS_POSTPONED)) return;
        next = word - RR__IS_POSTPONED + RR__STATE(RR__QUEUED - RR__WAITING);
    } while (!rr__cas_seq_cst(&actor->word, &word, next));
    rr__push(cx, actor);
}

/* Dooms it from inside: nothing runs after this, also if somebody else is about to doom it. */
static void rr__actor_leave(rr__context *cx, rr__object *actor, rr__error *cause) {
    if (!rr__actor_doom(cx, actor, cause)) rr__refuse_queued(cx, actor);
}

/* If it is idle, sets it going, so that it sees that it must end (rule A2). It ends on the pool,
   not in the middle of what the thread that gave back the last count was doing. */
static void rr__actor_poke(rr__context *cx, rr__object *actor) {
    rr__object *idle = RR__IDLE;
    if (rr__cas_seq_cst(&actor->dependents, &idle, (rr__object *)NULL))
        rr__make_claimable(cx, actor);
    else if (rr__actor_must_end(actor)) rr__actor_resume(cx, actor); /* or it is another one */
}

/* The same for who counts it and has doomed it: also if it waits for resources. */
static void rr__actor_rouse(rr__context *cx, rr__object *actor) {
    rr__care *care = actor->extra.own->care;
    rr__actor_poke(cx, actor);
    if (care && rr__turn_revoke(cx->runtime, &care->control)) rr__make_claimable(cx, actor);
}

/* Runs the constructor or destructor. *at: as in rr__invoke. */
static rr__error *rr__actor_body(rr__context **at, rr__object *actor, const rr_function *fn,
                                 rr__frame *frame) {
    rr__actor *a = actor->extra.own;
    rr__result result;
    rr__frame_init(frame, actor, &a->lanes, actor);
    frame->is_end = fn != actor->of.fn;
    rr__error *error = rr__invoke(at, frame, fn, rr__state_of_actor(actor), &result);
    if (!frame->crash) return error;
    rr__error_drop(error);
    return frame->crash;
}

/* The state goes: runs the destructor on it. *at: as in rr__invoke. */
static void rr__actor_unmake(rr__context **at, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    const rr_function *drop =
        rr__load_acquire(&((rr_function *)(uintptr_t)actor->of.fn)->drop); /* loaded once */
    if (a->is_born && drop) {
        rr__frame frame;
        bool is_first = rr__end_begin(*at); /* it may already run one, which waits for this */
        *at = rr__here(*at);
        rr__error *error = rr__actor_body(at, actor, drop, &frame);
        if (is_first) rr__end_over(*at);
        if (error)
            rr__log_again((*at)->runtime, RR__LINE_DROP, RR_LOG_WARN, rr__error_message_of(error));
        rr__error_drop(error);
    }
    a->is_born = false;
}

static bool rr__can_restart(const rr__actor *a) {
    const rr__care *care = a->care;
    return care &&
           (care->control.max_retries < 0 || care->control.attempt < care->control.max_retries);
}

/* The state is broken; takes over the error. The actor is to be made anew, or ends. Runner. *at: as
   in rr__invoke. */
static void rr__actor_crashed(rr__context **at, rr__object *actor, rr__error *error) {
    rr__context *cx = *at;
    rr__actor *a = actor->extra.own;
    if (!rr__can_restart(a)) {
        error = rr__error_after(cx->runtime, NULL, error, "it crashed, and .max_restarts is %d: ",
                                a->care ? a->care->control.max_retries : 0);
        if (rr__load_relaxed(&error->count)) error->status = RR_ERR_ACTOR_CRASHED; /* not static */
        rr__actor_leave(cx, actor, error);
        return;
    }
    rr__error_drop(error);
    if (rr__load_acquire(&a->death)) { /* it ends anyway; who dooms it may not be ready yet */
        rr__refuse_queued(cx, actor);
        return;
    }
    rr__actor_unmake(at, actor);
    rr__attempt_add(cx->runtime, &a->care->control);
}

static void rr__actor_args_end(rr__context *cx, rr__object *actor) {
    if (actor->extra.own->has_args) rr__args_release(cx, actor);
    actor->extra.own->has_args = false;
}

/* Runs the constructor: as the actor's first work, or again after a crash. *at: as in
   rr__invoke. */
static void rr__actor_create(rr__context **at, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__frame frame;
    bool is_first = !a->is_counted;
    if (!is_first) memset(rr__state_of_actor(actor), 0, actor->of.fn->self.size);
    if (!is_first) a->care->restarts++;
    rr__error *error = rr__actor_body(at, actor, actor->of.fn, &frame);
    rr__context *cx = *at;
    if (is_first) rr__count(cx, error ? RR__ERRORS : RR__FINISHED);
    if (!a->care || !a->care->control.max_retries) rr__actor_args_end(cx, actor);
    a->is_counted = true, a->is_born = !error;
    if (error && is_first) rr__actor_doom(cx, actor, error);
    else if (error) rr__actor_crashed(at, actor, error);
    else if (frame.wants_exit)
        rr__actor_doom(cx, actor,
                       rr__error_new(cx->runtime, RR_OK, NULL, "it left in its constructor"));
}

/* The end, once: destructor, what still came, and the slot as a grave for the handles left. */
static void rr__actor_end(rr__context *cx, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    rr__actor_unmake(&cx, actor);
    rr__actor_args_end(cx, actor);
    rr__name_remove(cx, actor);
    if (a->lanes) rr__lanes_abandon(cx, a->lanes);
    a->lanes = NULL;
    rr__refuse_queued(cx, actor);
    rr__lock(&shard->lock); /* for rr__mailbox_length_locked */
    rr__object *late = rr__swap_seq_cst(&actor->dependents, RR__CLOSED);
    uint32_t watch = a->watch;
    a->watch = RR__ENDED;
    rr__unlock(&shard->lock);
    rr__refuse_all(cx, actor, rr__reversed(late));
    if (a->care) rr__control_end(cx, &a->care->control);
    rr__store_release(&actor->waits_on, (rr__object *)NULL);
    actor->data.error = NULL;
    rr__count(cx, RR__ACTORS_GONE);
    if (watch) rr__watch_end(cx, rr__slot_at(cx->runtime, watch), actor);
    uint64_t word = rr__load_relaxed(&actor->word), next;
    do next = ((word & ~RR__STATE_MASK) | RR__STATE(RR__FAILED)) - a->owed;
    while (!rr__cas_seq_cst(&actor->word, &word, next));
    if ((next & RR__COUNT_MASK) == 0) rr__bury(cx, actor);
}

/* Leaves RUNNING, and gives back what messages that have run counted, in one step. Until then it
   cannot be freed, and after it whoever finds no count sees to its end (rr__actor_must_end). */
static void rr__actor_settle(rr__object *actor, enum rr__state state) {
    rr__actor *a = actor->extra.own;
    uint64_t owed = a->owed;
    a->owed = 0;
    rr__sub_seq_cst(&actor->word, RR__STATE(RR__RUNNING - state) + owed);
}

/* Leaves RUNNING for IDLE. False: a message came, and it is RUNNING still. */
static bool rr__actor_go_idle(rr__object *actor) {
    rr__object *none = NULL;
    rr__actor_settle(actor, RR__WAITING);
    if (rr__cas_seq_cst(&actor->dependents, &none, RR__IDLE)) return true;
    rr__add_seq_cst(&actor->word, RR__STATE(RR__RUNNING - RR__WAITING));
    return false;
}

/* Nothing to do: goes idle, and looks once more whether it must end, for who wanted that while it
   was not idle left it to the runner. True: the runner has let go. */
static bool rr__actor_rest(rr__context *cx, rr__object *actor) {
    if (!rr__actor_go_idle(actor)) return false;
    RR__STRESS_POINT();
    if (rr__actor_must_end(actor)) rr__actor_poke(cx, actor);
    return true;
}

/* Lets others have a turn, or leaves the rest of the messages to them. */
static void rr__actor_yield(rr__context *cx, rr__object *actor, bool had_turn) {
    rr__share(actor); /* once QUEUED it may end under us */
    rr__actor_settle(actor, RR__QUEUED);
    if (had_turn) rr__inbox_put(cx->runtime, actor, true);
    else rr__push(cx, actor);
    rr__drop(cx, actor);
}

/* ---- made anew ---- */

/* The actor waits to be made anew, WAITING and not idle. Its timer is set before it can be set
   going, and may therefore fire too early. */
static void rr__actor_postpone(rr__context *cx, rr__object *actor, double seconds) {
    rr_runtime *rt = cx->runtime;
    rr__entry *timer = &actor->extra.own->care->control.retry;
    uint64_t owed = actor->extra.own->owed;
    actor->extra.own->owed = 0;
    rr__share(actor); /* once it waits it may end under us */
    rr__timer_set(rt, timer, rr_now() + seconds);
    RR__STRESS_POINT();
    rr__add_seq_cst(&actor->word, RR__IS_POSTPONED - RR__STATE(RR__RUNNING - RR__WAITING) - owed);
    RR__STRESS_POINT();
    rr__lock(&rt->timers->lock);
    bool is_over = !timer->at;
    rr__unlock(&rt->timers->lock);
    if (is_over || (rr__load_seq_cst(&actor->word) & RR__IS_DOOMED)) rr__actor_resume(cx, actor);
    rr__drop(cx, actor);
}

/* Sees to it that the actor has a state. False: it has ended, or waits, and is not the runner's any
   more. *at: as in rr__invoke. */
static RR__NOINLINE bool rr__actor_make(rr__context **at, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    while (!a->is_born) {
        rr__context *cx = *at;
        rr__care *care = a->care;
        bool is_first = !a->is_counted;
        /* Who dooms it may not have come to say so in the word, nor to have its queue end. */
        bool is_dead = rr__load_acquire(&a->death) != NULL;
        if (is_dead || (!is_first && rr__actor_must_end(actor))) {
            if (is_first) rr__count(cx, RR__ERRORS);
            a->is_counted = true;
            rr__actor_end(cx, actor);
            return false;
        }
        if (!is_first && care->control.retry_delay_ms && !care->has_waited) {
            care->has_waited = true;
            rr__actor_postpone(cx, actor, rr__retry_delay(&care->control));
            return false;
        }
        if (care && care->has_waited) { /* its timer may still be set, if it was needed before */
            bool unused;
            rr__timers_revoke(cx->runtime, &care->control, &unused);
            care->has_waited = false;
        }
        rr__actor_create(at, actor);
        if (!a->is_born && !rr__actor_must_end(actor)) { /* it crashed again: others first */
            rr__actor_yield(*at, actor, true);
            return false;
        }
    }
    return true;
}
