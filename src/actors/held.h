/* Held messages: those that went through a lane, because they wait for an argument or stand
   behind one that does (tasks/lanes.h). They arrive, fail, are cancelled, or their actor dies.
   Locks: the shard lock of the actor. */
#pragma once
#include "admission.h"

/* Under the shard lock of the actor. */
static void rr__lane_unlink_locked(rr__lane *lane) {
    rr__actor *a = lane->actor->extra.own;
    if (lane->before) lane->before->after = lane->after;
    else a->senders = lane->after;
    if (lane->after) lane->after->before = lane->before;
}

/* The message leaves its lane; returns the one that was behind it there. Under the shard lock. */
static rr__object *rr__hold_end(rr__object *message) {
    rr__object *next = message->data.hold->next;
    RR_FREE(message->data.hold);
    message->data.hold = NULL;
    message->lane_flags &= (uint8_t)~RR__IN_LANE;
    return next;
}

/* Moves what has arrived at the head of a lane into the mailbox (rule A4). Under the shard lock.
   Returns messages that found the actor ended, linked by next. */
static rr__object *rr__lane_drain_locked(rr__lane *lane, bool *schedule) {
    rr__object *refused = NULL, *message;
    while ((message = lane->first) && (message->lane_flags & RR__HAS_ARRIVED)) {
        bool closed;
        lane->first = rr__hold_end(message);
        if (rr__mailbox_push(lane->actor, message, &closed)) *schedule = true;
        if (closed) message->next = refused, refused = message;
    }
    if (!lane->first) rr__lane_unlink_locked(lane);
    return rr__reversed(refused);
}

/* The message in front of this one; NULL if it is the first. Linear: for those out of turn. */
static rr__object *rr__lane_before_locked(rr__lane *lane, rr__object *message) {
    rr__object *before = NULL, *m = lane->first;
    while (m != message) before = m, m = m->data.hold->next;
    return before;
}

static void rr__lane_remove_locked(rr__lane *lane, rr__object *message) {
    rr__object *before = rr__lane_before_locked(lane, message), *after = rr__hold_end(message);
    if (before) before->data.hold->next = after;
    else lane->first = after;
    if (lane->last == message) lane->last = before;
    if (after && (after->lane_flags & RR__HAS_ARRIVED)) rr__store_release(&after->waits_on, before);
}

/* The actor died while the message waited: rr__held_refuse ends it, and leaves to us, who may be
   reading them, its arguments and its own counts. */
static void rr__held_bury(rr__context *cx, rr__object *message) {
    rr__object *actor = message->extra.actor;
    rr__args_release(cx, message);
    rr__drop(cx, message);
    rr__drop(cx, actor);
}

/* What a change of a lane has left to do, without the lock: `late` found the actor ended. */
static void rr__lane_settle(rr__context *cx, rr__object *actor, rr__lane *unused, bool schedule,
                            rr__object *late) {
    RR_FREE(unused);
    if (schedule) rr__make_claimable(cx, actor);
    rr__refuse_all(cx, actor, late);
}

static rr__lane *rr__lane_unused_locked(rr__lane *lane) {
    return lane->is_orphan && !lane->first ? lane : NULL;
}

/* A held message has its arguments (arrived), or has failed and leaves its lane. False: its actor
   died meanwhile and the message is gone. */
static bool rr__lane_step(rr__context *cx, rr__object *message, bool leaves) {
    rr__object *actor = message->extra.actor;
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    bool schedule = false;
    rr__lane *unused = NULL;
    rr__object *late = NULL;
    rr__share(actor); /* the message may be over before we are */
    rr__lock(&shard->lock);
    bool is_refused = (message->lane_flags & RR__IS_REFUSED) != 0;
    bool is_in = !is_refused && (message->lane_flags & RR__IN_LANE);
    rr__lane *lane = is_in ? message->data.hold->lane : NULL;
    message->lane_flags |= RR__HAS_ARRIVED;
    if (lane && !leaves) rr__rest(message);
    if (lane && leaves) rr__lane_remove_locked(lane, message);
    else if (lane) rr__store_release(&message->waits_on, rr__lane_before_locked(lane, message));
    if (lane) late = rr__lane_drain_locked(lane, &schedule);
    if (lane) unused = rr__lane_unused_locked(lane);
    rr__unlock(&shard->lock);
    if (is_refused) rr__held_bury(cx, message);
    else if (!is_in) rr__abandon(cx, message); /* it was cancelled: rr__lane_forget */
    rr__lane_settle(cx, actor, unused, schedule, late);
    rr__drop(cx, actor);
    return is_in;
}

/* Its owner asks. */
static bool rr__is_held(rr__object *message) {
    return (rr__load_relaxed(&message->flags) & RR__IS_HELD) != 0;
}

/* It was decided while it lay in the list of an argument, whose owner now finds that out. Who
   decided it may not have taken it out of its lane yet: then that finds that it has arrived, and
   abandons it. False: it is in no lane any more. */
static bool rr__lane_keeps(rr__context *cx, rr__object *message) {
    rr__shard *shard = rr__shard_lock(cx->runtime, message->extra.actor);
    bool is_in = (message->lane_flags & RR__IN_LANE) != 0;
    if (is_in) message->lane_flags |= RR__HAS_ARRIVED;
    rr__unlock(&shard->lock);
    return is_in;
}

static bool rr__lane_leave(rr__context *cx, rr__object *message) {
    return !rr__is_held(message) || rr__lane_step(cx, message, true);
}

/* A cancelled message does not hold back those behind it. One that has its arguments is nobody's
   then; another one still lies in the list of an argument, whose owner finds it gone. */
static void rr__lane_forget(rr__context *cx, rr__object *message) {
    rr__object *actor = message->extra.actor,
               *late = NULL; /* fixed; there as long as it is in a lane */
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    rr__lane *unused = NULL;
    bool schedule = false, has_arrived;
    rr__lock(&shard->lock);
    bool is_in = (message->lane_flags & RR__IN_LANE) != 0;
    rr__lane *lane = is_in ? message->data.hold->lane : NULL;
    has_arrived = (message->lane_flags & RR__HAS_ARRIVED) != 0;
    if (is_in) {
        rr__share(actor);
        rr__lane_remove_locked(lane, message);
        late = rr__lane_drain_locked(lane, &schedule);
        unused = rr__lane_unused_locked(lane);
    }
    rr__unlock(&shard->lock);
    if (!is_in) return;
    rr__lane_settle(cx, actor, unused, schedule, late);
    if (has_arrived) rr__abandon(cx, message);
    rr__drop(cx, actor);
}

/* A message that was cancelled while it entered its lane. */
static void rr__lane_recheck(rr__context *cx, rr_ref ref) {
    rr__object *message = rr__pin(cx, ref, false); /* told, it may be gone */
    if (message && rr__is_decided(message)) rr__lane_forget(cx, message);
    if (message) rr__drop(cx, message);
}

/* For who ends the actor: takes all messages out of its lanes. Those that have their arguments are
   added to *arrived; the others, which lie in the list of an argument, are returned with a count
   more, linked by their holds, and belong to both: see rr__held_bury. Under the shard lock. */
static rr__object *rr__lanes_empty_locked(rr__object *actor, rr__object **arrived) {
    rr__actor *a = actor->extra.own;
    rr__object *waiting = NULL;
    while (a->senders) {
        rr__lane *lane = a->senders;
        for (rr__object *message = lane->first, *next; message; message = next) {
            next = message->data.hold->next;
            if (message->lane_flags & RR__HAS_ARRIVED) {
                rr__hold_end(message);
                rr__store_release(&message->waits_on, actor); /* not one that goes before it */
                message->next = NULL, *arrived = message, arrived = &message->next;
                continue;
            }
            message->lane_flags = RR__IS_REFUSED;
            rr__share(message);
            message->data.hold->next = waiting, waiting = message;
        }
        lane->first = lane->last = NULL;
        rr__lane_unlink_locked(lane);
        if (lane->is_orphan) RR_FREE(lane);
    }
    return waiting;
}

static void rr__held_refuse(rr__context *cx, rr__object *actor, rr__object *message) {
    for (rr__object *next; message; message = next) {
        next = message->data.hold->next;
        RR_FREE(message->data.hold);
        if (rr__make_bare(message)) {
            rr__args_release(cx, message);
        } else if (rr__is_bare(message)) { /* who decided it has ended it */
            rr__drop(cx, message);
            continue;
        }
        rr__count(cx, RR__ERRORS);
        message->data.error = rr__dead_error(cx, message, actor);
        rr__complete(cx, message, RR__FAILED); /* gives back the count that was taken for this */
    }
}

/* A message for which there is nothing to wait, and which rests, goes to its actor. */
static RR__INLINE void rr__message_post(rr__context *cx, rr__object *message) {
    rr__object *actor = message->extra.actor;
    bool closed;
    if (rr__mailbox_push(actor, message, &closed)) rr__make_claimable(cx, actor);
    else if (closed && rr__pick_up(cx, message))
        rr__fail_with(cx, message, rr__dead_error(cx, message, actor));
}

/* All arguments of a message are there. */
static void rr__actor_deliver(rr__context *cx, rr__object *message) {
    if (!rr__is_held(message)) {
        rr__rest(message);
        rr__message_post(cx, message);
    } else {
        rr__lane_step(cx, message, false);
    }
}

static void rr__lane_append_locked(rr__lane *lane, rr__object *message, rr__hold *hold,
                                   bool is_ready) {
    rr__actor *a = lane->actor->extra.own;
    *hold = (rr__hold){lane, NULL};
    if (is_ready) rr__rest(message);
    message->data.hold = hold;
    rr__flag_set(message, RR__IS_HELD);
    message->lane_flags = RR__IN_LANE | (is_ready ? RR__HAS_ARRIVED : 0);
    if (lane->first) {
        lane->last->data.hold->next = message;
        if (is_ready) rr__store_release(&message->waits_on, lane->last);
    } else {
        lane->first = message;
        lane->before = NULL, lane->after = a->senders;
        if (a->senders) a->senders->before = lane;
        a->senders = lane;
    }
    lane->last = message;
}

/* Queues a message in its caller's lane if it must wait behind others, or waits itself (*entered);
   else it may go straight to the mailbox; one that waits alone, in a lane of its own. Returns NULL,
   or the error that there is no memory. */
static rr__error *rr__lane_enter(rr__context *cx, rr__object *message, bool is_ready, bool is_alone,
                                 bool *entered) {
    rr__lane **lanes = rr__caller_lanes(cx);
    *entered = false;
    if (!*lanes && is_ready) return NULL;
    rr__lanes_clean(cx, lanes, false);
    rr__object *actor = message->extra.actor;
    rr__lane *lane = is_alone ? NULL : rr__lane_find(*lanes, actor);
    if (!lane && is_ready) return NULL;
    rr__hold *hold = RR_MALLOC(sizeof *hold);
    if (hold && !lane) {
        if ((lane = RR_CALLOC(1, sizeof *lane))) {
            lane->actor = actor;
            lane->actor_id = rr__load_relaxed(&actor->id); /* counted by the message */
            lane->is_orphan = is_alone;
        }
        if (lane && !is_alone) lane->next = *lanes, *lanes = lane;
    }
    if (!hold || !lane) {
        RR_FREE(hold);
        return cx->runtime->no_memory;
    }
    rr__shard *shard = rr__shard_lock(cx->runtime, actor);
    bool is_doomed = actor->extra.own->is_doomed;        /* nobody empties its lanes any more */
    *entered = !is_doomed && (lane->first || !is_ready); /* it may have been emptied just now */
    if (*entered) rr__lane_append_locked(lane, message, hold, is_ready);
    rr__unlock(&shard->lock);
    if (!*entered) RR_FREE(hold);
    if (!*entered && is_alone) RR_FREE(lane);
    return is_doomed ? rr__dead_error(cx, message, actor) : NULL;
}
