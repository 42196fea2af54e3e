/* Lanes: messages of one caller to one actor, from the first that waits for an argument on; so
   that messages arrive in the order in which they were sent (rule A4 in actors/mailbox.h). A
   caller has a list of its lanes: a thread from outside, a task, an actor. Here is what callers
   do with that; what goes through a lane is actors/held.h.
   Locks: the shard lock of the actor. */
#pragma once
#include "complete.h"

/* Messages that one caller sent to one actor, from the first that waits for an argument
   on. Under the shard lock of the actor. Freed by the caller, or, if that is gone, by who
   empties it. */
struct rr__lane {
    rr__lane *next;           /* of the same caller; caller only */
    rr__lane *after, *before; /* of the same actor; for who ends it */
    rr__object *actor;
    uint64_t actor_id;
    rr__object *first, *last;
    bool is_orphan;
};

enum rr__lane_flags {
    RR__IN_LANE = 1,
    RR__HAS_ARRIVED = 2, /* its arguments are complete */
    RR__IS_REFUSED = 4,  /* its actor died before that */
    RR__IS_INSIDE = 8    /* in no lane any more: handed out by rr__crew_run */
};

/* What a message has while it is in a lane. */
struct rr__hold {
    rr__lane *lane;
    rr__object *next; /* in the lane, or, taken out of it by who ends the actor, in a list */
};

static rr__lane *rr__lane_find(rr__lane *lanes, rr__object *actor) {
    uint64_t id = rr__load_relaxed(&actor->id); /* the caller counts it */
    while (lanes && (lanes->actor != actor || lanes->actor_id != id)) lanes = lanes->next;
    return lanes;
}

/* Frees the lanes of a caller that are empty; all of them, or leaves them to who empties them, if
   the caller itself is gone. A lane that is not empty counts its actor, by its messages. */
static void rr__lanes_clean(rr__context *cx, rr__lane **lanes, bool gone) {
    while (*lanes) {
        rr__lane *lane = *lanes;
        rr__shard *shard = rr__shard_of(cx->runtime, lane->actor);
        rr__lock(&shard->lock);
        bool empty = !lane->first;
        if (gone || empty) *lanes = lane->next;
        else lanes = &lane->next;
        if (gone && !empty) lane->is_orphan = true;
        rr__unlock(&shard->lock);
        if (empty) RR_FREE(lane);
    }
}

static void rr__lanes_abandon(rr__context *cx, rr__lane *lanes) {
    rr__lanes_clean(cx, &lanes, true);
}

static rr__lane **rr__caller_lanes(rr__context *cx) {
    rr__frame *frame = rr__load_relaxed(&cx->frame);
    return frame ? frame->lanes : &cx->tasks->lanes;
}
