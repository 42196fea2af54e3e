/* Mailboxes. The mailbox is one word in the slot: a stack of messages (Treiber 1986) that the
   runner takes whole and reverses, or the mark IDLE, whose change schedules the actor. Vyukov's
   queue would save the reversal, but needs two words and a node of its own, and a push that is
   seen only half.
   Rules  A1  A message holds a count of its actor until it has ended and the runner has settled: so
              an actor whose count is 0 has no messages, and nobody can send it one.
          A2  Who changes the mailbox from IDLE to anything else schedules the actor, and only then
              is it scheduled: so it is in one place at a time.
          A3  The mailbox word lies in the slot, not in the block that goes with the actor, and in
              a field that holds IDLE for actors only: who has made it IDLE, or dropped the last
              count, touches it once more (rr__actor_poke), when the slot may be another's.
          A4  Messages of one caller enter the mailbox in the order in which they were sent: those
              behind one that waits for an argument queue in the caller's lane, and leave it for the
              mailbox under the lane's lock.
   Locks: the shard lock of the actor. */
#pragma once
#include "../tasks/lanes.h"

typedef struct rr__care rr__care;

/* The mailbox is actor->dependents: NULL (claimed by a runner, empty), a stack of messages
   (newest first), or one of these two. Pushing onto IDLE schedules the actor. */
#define RR__IDLE ((rr__object *)(uintptr_t)1)

enum { RR__MANY_MESSAGES = 10000 }; /* the log warns of them */

#define RR__ENDED UINT32_MAX /* nobody can watch it any more */

/* What an actor has beside its slot, in front of its state and in one block with that. Small: there
   may be a million of them. */
struct rr__actor {
    rr__object *first;             /* taken out of the mailbox, in order; shard lock */
    rr__lane *lanes;               /* of calls that its bodies made; runner only */
    rr__lane *senders;             /* lanes of messages to it; shard lock */
    RR__ATOMIC(rr__error *) death; /* set once, by who ends it */

    rr__care *care;              /* its options; NULL: none; fixed when it is published */
    uint32_t watch;              /* slot of the one for all who watch; 0: none; ENDED; shard lock */
    uint32_t owed;               /* counts of messages that have begun; runner only */
    RR__ATOMIC(uint16_t) others; /* counts that were no messages when last counted */
    RR__ATOMIC(uint8_t) warned;  /* so often about the length of its mailbox */
    uint8_t place;
    bool is_doomed;  /* the queue is closed for the runner; shard lock */
    bool is_counted; /* its creation has ended, one way or the other; below: runner only */
    bool is_born;    /* there is a state */
    bool has_args;   /* the constructor's arguments are still there */
    bool is_refused; /* its options cannot be; fixed when it is published */
};

/* What an actor with options has. Of the control: the name, the restarts (max_retries, attempt,
   retry) and what it needs. */
struct rr__care {
    rr__control control;
    int max_method_retries;
    int max_pending;         /* 0: no limit */
    RR__ATOMIC(int) pending; /* messages that have not begun, if there is a limit */
    bool senders_wait;       /* for room: .when_full, see actors/admission.h; fixed */
    RR__ATOMIC(int) waiting; /* those that do: in `senders`, or about to be */
    rr__line senders;        /* and in which order; shard lock */
    int max_concurrency;     /* at least 1; with more: see rr__crew_run */
    int inside;              /* methods that were handed out and have not left; shard lock */
    bool is_parked;          /* the runner waits for one of them to leave; shard lock */
    int restarts;            /* so often it was made anew; runner only */
    bool has_waited;         /* for the restart; runner only */
    rr__error *crash;        /* of one of them; shard lock */
};

/* Of a message that rests. True: the caller must schedule the actor (A2). *closed: it has ended,
   and nothing was pushed. */
static bool rr__mailbox_push(rr__object *actor, rr__object *message, bool *closed) {
    rr__object *head = rr__load_acquire(&actor->dependents);
    rr__store_release(&message->waits_on, actor);
    do {
        if ((*closed = head == RR__CLOSED)) return false;
        message->next = head == RR__IDLE ? NULL : head;
    } while (!rr__cas_seq_cst(&actor->dependents, &head, message));
    return head == RR__IDLE;
}

static rr__error *rr__dead_error(rr__context *cx, rr__object *message, rr__object *actor) {
    rr__error *death = rr__load_acquire(&actor->extra.own->death), *error;
    char times[64] = "it was not executed";
    if (message->attempt)
        snprintf(times, sizeof times, "its actor crashed in it (it was executed, %d time%s)",
                 message->attempt, message->attempt == 1 ? "" : "s");
    if (!death)
        return rr__error_new(cx->runtime, RR_ERR_ACTOR_DEAD, message, "%s: its actor has ended",
                             times);
    bool is_refused = actor->extra.own->is_refused;
    error =
        rr__error_after(cx->runtime, message, rr__error_share(death), "%s: its actor %s: ", times,
                        is_refused ? "could not be made" : "is dead");
    bool is_static = rr__load_relaxed(&error->count) == 0;
    /* From outside it came too late, as all calls that meet the end of the runtime. */
    bool is_late = death->status == RR_ERR_NOT_RUNNING && rr__is_from_outside(message);
    if (!is_static && !is_refused && !is_late) error->status = RR_ERR_ACTOR_DEAD;
    return error;
}

/* Ends messages, linked by next, that will not run. */
static void rr__refuse_all(rr__context *cx, rr__object *actor, rr__object *message) {
    for (rr__object *next; message; message = next) {
        next = message->next;
        if (rr__pick_up(cx, message))
            rr__fail_with(cx, message, rr__dead_error(cx, message, actor));
    }
}

static rr__object *rr__reversed(rr__object *list) {
    rr__object *out = NULL;
    for (rr__object *next; list; list = next) {
        next = list->next, list->next = out, out = list;
        RR__PREFETCH(list); /* its first line, for when it runs */
    }
    return out;
}

/* Takes what lies in the mailbox, in order; leaves the states IDLE and CLOSED alone. */
static rr__object *rr__mailbox_drain(rr__object *actor) {
    rr__object *head = rr__load_acquire(&actor->dependents);
    do {
        if (!head || head == RR__IDLE || head == RR__CLOSED) return NULL;
    } while (!rr__cas_seq_cst(&actor->dependents, &head, (rr__object *)NULL));
    return rr__reversed(head);
}

/* Runner only: the next message, RUNNING; NULL if there is none. Under the lock because rr_kill
   takes the queue from outside. Who ends the actor sets is_doomed before it empties the queue under
   the same lock: so no message runs after an earlier one of its caller was refused. */
static rr__object *rr__mailbox_next(rr__context *cx, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    for (;;) {
        rr__lock(&shard->lock);
        if (!a->first) a->first = rr__mailbox_drain(actor);
        rr__object *message = a->is_doomed ? NULL : a->first;
        if (message) a->first = message->next;
        rr__unlock(&shard->lock);
        if (!message || rr__try_begin(message)) return message;
        rr__abandon(cx, message); /* cancelled */
    }
}

static bool rr__mailbox_has_batch(rr__context *cx, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__shard *shard = rr__shard_lock(cx->runtime, actor);
    bool has = a->first != NULL;
    rr__unlock(&shard->lock);
    return has;
}

/* Puts a message back to where it was taken from. It is WAITING, and the mailbox's again. */
static void rr__mailbox_return(rr__context *cx, rr__object *actor, rr__object *message) {
    rr__actor *a = actor->extra.own;
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    if (!rr__try_state(message, RR__RUNNING, RR__WAITING)) {
        rr__abandon(cx, message);
        return;
    }
    rr__store_release(&message->waits_on, actor);
    rr__rest(message);
    rr__lock(&shard->lock);
    bool is_closed = a->is_doomed;
    if (!is_closed) message->next = a->first, a->first = message;
    rr__unlock(&shard->lock);
    if (is_closed && rr__pick_up(cx, message))
        rr__fail_with(cx, message, rr__dead_error(cx, message, actor));
}

/* ---- how long it is ---- */

/* Messages that have not begun. Under the shard lock, without which none leaves. */
static size_t rr__mailbox_length_locked(rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__object *head = rr__load_acquire(&actor->dependents);
    size_t n = 0;
    if (head == RR__IDLE || head == RR__CLOSED) head = NULL;
    for (rr__object *message = head; message; message = message->next) n++;
    for (rr__object *message = a->first; message; message = message->next) n++;
    for (rr__lane *lane = a->senders; lane; lane = lane->after)
        for (rr__object *m = lane->first; m; m = m->data.hold->next) n++;
    return n;
}

static size_t rr__mailbox_length(rr__context *cx, rr__object *actor) {
    rr__shard *shard = rr__shard_lock(cx->runtime, actor);
    size_t n = rr__mailbox_length_locked(actor);
    rr__unlock(&shard->lock);
    return n;
}

/* An actor with so many counts may have as many messages: says so once for 10,000, and again for
   each time twice as many; looks eight times on the way to that. Only the first time they are
   counted one by one, later what was counted beside them is taken off: that takes the lock, which
   the runner needs for each message, and their lines out of its cache. */
static RR__NOINLINE void rr__mailbox_watch(rr__context *cx, rr__object *actor, uint32_t count) {
    rr__actor *a = actor->extra.own;
    uint32_t eighth = (uint32_t)1 << (rr__highest_bit(count) - 3);
    uint8_t warned = rr__load_relaxed(&a->warned); /* counters, as all here */
    uint16_t others = rr__load_relaxed(&a->others);
    size_t limit = (size_t)RR__MANY_MESSAGES << warned, n = count > others ? count - others : 0;
    if (count % eighth || n < limit) return;
    if (!warned || others == UINT16_MAX) {
        n = rr__mailbox_length(cx, actor);
        size_t beside = count > n ? count - n : 0;
        rr__store_relaxed(&a->others, (uint16_t)(beside < UINT16_MAX ? beside : UINT16_MAX));
    }
    if (n < limit || !rr__cas_seq_cst(&a->warned, &warned, (uint8_t)(warned + 1))) return;
    rr__log(&cx->runtime->config, RR_LOG_WARN,
            "about %zu messages wait at the actor '%s' (spawned at %s): they come faster than it "
            "runs them; .max_pending is a limit",
            n, actor->of.fn->self.name, actor->site);
}
