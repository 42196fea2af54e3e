/* Room in a mailbox that has a limit (rr_actor_options.max_pending), and senders that wait for it
   (.when_full). `pending` counts the messages that were admitted and have not begun.
   Rules  M1  Who makes `pending` less looks at `waiting` after that, and who waits adds itself to
              `waiting` before it looks for room a last time (all seq_cst): so one sees the
              other.
          M2  Room goes to the first in line, from who makes it, under the shard lock, by which he
              waits no more. While somebody does others line up behind; but not behind those that
              have room and have not gone on yet: or, the mailbox once full, each message would
              change from one sender to the next for ever (a convoy: Blasgen and others, 1979).
          M3  Who ends the actor closes its queue, and then gives all in line the sign, both under
              the shard lock: so nobody waits for a mailbox that is closed.
   Locks: the shard lock of the actor. */
#pragma once
#include "../core/waiting.h"
#include "mailbox.h"

static bool rr__mailbox_has_room(rr__care *care) {
    int pending = rr__load_seq_cst(&care->pending); /* M1 */
    do {
        if (pending >= care->max_pending) return false;
    } while (!rr__cas_seq_cst(&care->pending, &pending, pending + 1));
    return true;
}

/* Gives the sign to who waits: room to as many as there is room for, or, the actor ends, to all. */
static RR__NOINLINE void rr__senders_wake(rr__context *cx, rr__object *actor, bool ends) {
    rr__care *care = actor->extra.own->care;
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    for (rr__parker *parker = NULL;; rr__wake(cx, parker)) {
        rr__lock(&shard->lock);
        bool goes_on = care->senders.first && (ends || rr__mailbox_has_room(care));
        if (goes_on) parker = rr__line_pop(&care->senders), rr__sub_seq_cst(&care->waiting, 1);
        rr__unlock(&shard->lock);
        if (!goes_on) return;
    }
}

/* A message has begun, or ends without. It counts the actor. */
static void rr__mailbox_left(rr__context *cx, rr__object *actor) {
    rr__care *care = actor->extra.own->care;
    rr__sub_seq_cst(&care->pending, 1);
    if (RR__UNLIKELY(rr__load_seq_cst(&care->waiting) > 0)) rr__senders_wake(cx, actor, false);
}

/* Lines up, unless there is room, or the actor has ended. */
static bool rr__senders_join(rr__object *actor, rr__shard *shard, rr__sleeper *s, bool *ends) {
    rr__care *care = actor->extra.own->care;
    rr__lock(&shard->lock);
    *ends = actor->extra.own->is_doomed;
    rr__add_seq_cst(&care->waiting, 1); /* rule M1 */
    bool waits = !*ends && (care->senders.first || !rr__mailbox_has_room(care));
    if (waits) rr__line_add(&care->senders, s);
    else rr__sub_seq_cst(&care->waiting, 1);
    rr__unlock(&shard->lock);
    return waits;
}

/* Waits for room. A body that waits for itself by way of the actor is told so. */
static rr_status rr__sender_wait(rr__context **at, rr__object *actor) {
    char ring[RR__RING_TEXT];
    rr__context *cx = *at;
    rr__care *care = actor->extra.own->care;
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    rr__sleeper s = rr__sleeper_of(cx);
    bool ends, waits, is_thread = s.parker == &cx->parker;
    bool began = is_thread && rr__serve_begin(cx); /* rr_shutdown lets it send */
    s.may_starve = true, s.ring = ring;
    if ((waits = rr__senders_join(actor, shard, &s, &ends))) rr__linked_wait(&s, actor, -1);
    *at = cx = rr__here_of(s.self, cx);
    rr__lock(&shard->lock);
    bool has_room = !waits || s.fired > 0;
    if (!has_room) rr__line_remove(&care->senders, &s), rr__sub_seq_cst(&care->waiting, 1);
    ends = ends || actor->extra.own->is_doomed;
    rr__unlock(&shard->lock);
    rr__serve_end(cx, began);
    if (ends) return RR_ERR_ACTOR_DEAD;
    return has_room ? RR_OK : rr__wait_outcome(&s, RR__NULL_REF);
}

static bool rr__is_pending(rr__object *message) {
    return (rr__load_relaxed(&message->flags) & RR__IS_PENDING) && !rr__is_decided(message);
}

/* What senders may hope for. Of a crew's messages those that were handed out will begin. */
static rr__hope rr__mailbox_hope(rr__context *cx, rr__object *actor, rr__visit *visit, void *arg) {
    rr__actor *a = actor->extra.own;
    rr__shard *shard = rr__shard_lock(cx->runtime, actor);
    rr__object *head = rr__load_acquire(&actor->dependents);
    rr__hope hope = {0, 0, a->is_doomed};
    if (head == RR__IDLE || head == RR__CLOSED) head = NULL;
    for (rr__object *m = head; m; m = m->next) hope.queued += rr__is_pending(m);
    for (rr__object *m = a->first; m; m = m->next) hope.queued += rr__is_pending(m);
    for (rr__lane *lane = a->senders; lane; lane = lane->after)
        for (rr__object *m = lane->first; m; m = m->data.hold->next) {
            if (rr__is_pending(m)) visit(arg, m), hope.held++;
        }
    int pending = rr__load_seq_cst(&a->care->pending); /* rule M1 */
    hope.is_moving |= pending < a->care->max_pending || pending != hope.queued + hope.held;
    rr__unlock(&shard->lock);
    return hope;
}

static rr__error *rr__sender_error(rr__context *cx, rr__object *actor, rr__object *message,
                                   rr_status status) {
    if (status == RR_ERR_ACTOR_DEAD) return rr__dead_error(cx, message, actor);
    return rr__error_new(cx->runtime, status, message,
                         "it was not executed: its mailbox was full: %s", rr__self()->note.text);
}

/* One more message, if there may be one. *at: the caller's context, another one if it waited. */
static rr__error *rr__mailbox_admit(rr__context **at, rr__object *actor, rr__object *message) {
    /* The actor's block is its runner's: senders look at the slot. */
    if (RR__LIKELY(!(rr__load_relaxed(&actor->word) & RR__HAS_CARE))) return NULL; /* fixed */
    rr__care *care = actor->extra.own->care;
    if (!care->max_pending) return NULL;
    bool has_room = !rr__load_seq_cst(&care->waiting) && rr__mailbox_has_room(care);
    if (!has_room && !care->senders_wait)
        return rr__error_new((*at)->runtime, RR_ERR_MAILBOX_FULL, message,
                             "it was not executed: %d messages wait at its actor (spawned at %s), "
                             "which is its .max_pending: send later, raise that, or wait "
                             "(.when_full = RR_WAIT)",
                             care->max_pending, actor->site);
    rr_status status = has_room ? RR_OK : rr__sender_wait(at, actor);
    if (status != RR_OK) return rr__sender_error(*at, actor, message, status);
    rr__flag_set(message, RR__IS_PENDING);
    return NULL;
}
