/* Who uses the store: bodies that have values, and threads outside of bodies while they copy one.
   Rules  E5  Who lacks room that only others can give back, bodies by ending or threads outside
              that copy a value just now, waits as long as one of them may. They are counted from
              before they take room or a pin until they run no body: as users, and as those that
              copy. Each thread counts for itself how many have begun and how many have ended: who
              sums the second first never misses one whose room or pin it has seen.
          E6  A task takes its arguments and the room for its result together or not at all; one at
              a time (loader) keeps what it has while it waits for the rest, also while that is made
              again, unless the body which does that waits itself. Else two would wait, each with
              what the other lacks in hand.
          E7  Bodies can still do that with what they make. Then one of those that wait for room
              gives up: when all of them have looked since the last of room_events, or so often that
              no more is to be expected, and what the others wait for that have values leads back
              to them (core/deadlock.h).
   Locks: none. */
#pragma once
#include "records.h"

/* The running body has values, or, outside of bodies, one is copied. */
static RR__INLINE void rr__store_touch(rr__context *cx) {
    rr__local *self = rr__self();
    rr_runtime *rt = cx->runtime;
    bool is_body = rr__load_relaxed(&cx->frame) != NULL; /* the owner's own */
    rr_runtime **counted = is_body ? &self->uses_store : &self->copies;
    if (self->uses_store == rt || *counted == rt) return;
    *counted = rt;
    rr__count(cx, is_body ? RR__USERS_BEGUN : RR__COPIES_BEGUN);
}

/* One that copies is to wait, or goes on. */
static void rr__store_copies(rr__context *cx, bool copies) {
    rr__self()->copies = copies ? cx->runtime : NULL;
    rr__count(cx, copies ? RR__COPIES_BEGUN : RR__COPIES_ENDED);
}

/* One that copies runs a body for that, which may wait for anything: it will not be over soon, and
   is counted as bodies are meanwhile. Returns whether it was one. *outer: for its end. */
static bool rr__store_copy_is_body(rr__context *cx, rr_runtime **outer) {
    rr__local *self = rr__self();
    if (self->copies != cx->runtime) return false;
    *outer = self->uses_store, self->uses_store = cx->runtime;
    rr__count(cx, RR__USERS_BEGUN);
    rr__store_copies(cx, false);
    return true;
}
static void rr__store_copy_was_body(rr__context *cx, rr_runtime *outer) {
    rr__store_copies(cx, true);
    rr__self()->uses_store = outer;
    rr__count(cx, RR__USERS_ENDED);
}

/* No body is run any more, or one still is. */
static RR__INLINE void rr__store_leave(rr__context *cx) {
    rr__local *self = rr__self();
    rr_runtime *rt = cx->runtime;
    if (self->uses_store == rt && !self->frame) {
        self->uses_store = NULL;
        rr__count(cx, RR__USERS_ENDED);
    }
    if (self->copies == rt) rr__store_copies(cx, false);
}

/* What was copied outside of bodies is done: what is kept now nobody waits for. */
static RR__INLINE void rr__store_copied(rr__context *cx) {
    if (RR__UNLIKELY(cx->runtime->evicts)) rr__store_leave(cx);
}

/* Bodies that have values in use, threads outside of bodies that copy one, and rr_write_memory,
   which counts all of them for a moment. */
static int rr__store_users(rr_runtime *rt) {
    uint64_t ended = rr__sum(rt, RR__USERS_ENDED) + rr__sum(rt, RR__COPIES_ENDED);
    uint64_t begun = rr__sum(rt, RR__USERS_BEGUN) + rr__sum(rt, RR__COPIES_BEGUN);
    return (int)(begun - ended) + rr__load_seq_cst(&rt->store->has_census);
}

/* Others than this one are among them. */
static bool rr__others_use_store(rr__context *cx) {
    const rr__local *self = rr__self();
    rr_runtime *rt = cx->runtime;
    return rr__store_users(rt) > (self->uses_store == rt) + (self->copies == rt);
}
