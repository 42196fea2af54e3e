/* Dependencies. A task waits in the list of one missing argument at a time, and goes on to the
   next when that is complete: no counter, one link, and one edge for the walk. What a kind of
   object misses, and what it does when nothing is missing, its class says. Rules of the list:
   D1  The flag HAS_DEPENDENTS is set before the task is pushed; completing looks at the flag in
       the same step: so who completes takes the list, or the push came after that.
   D2  Who completes the object takes the list and leaves CLOSED in its place, which no push gets
       past: so no task is left in a list, and before the push succeeds the task is ours and keeps
       the object.
   D3  From the push on the task belongs to who takes the list.
   D4  A task that rests may be decided, and then keeps its arguments no more (R5): so who puts it
       into the list counts the object himself, from before it rests until it is in.
   Locks: none. */
#pragma once
#include "links.h"

/* Something is about to be put into the list of what it misses: sets the flag, and counts that in
   the same step (D1, D4). False if it is complete after all. */
static bool rr__dependents_open(rr__object *on) {
    uint64_t word = rr__load_relaxed(&on->word); /* the CAS checks it */
    do {
        if (rr__state_of(word) >= RR__READY) return false;
    } while (!rr__cas_seq_cst(&on->word, &word, (word | RR__HAS_DEPENDENTS) + 1));
    return true;
}

/* Puts a task, which rests, on the list. False if the object is complete after all: the task is
   still the caller's, to be picked up. */
static bool rr__depend(rr__object *task, rr__object *on) {
    rr__store_release(&task->waits_on, on);
    rr__object *head = rr__load_acquire(&on->dependents);
    do {
        if (head == RR__CLOSED) return false; /* D2 */
        task->next = head;
    } while (!rr__cas_seq_cst(&on->dependents, &head, task));
    return true;
}

/* Sends a WAITING object on: into the list of something that it misses, or, if it misses nothing,
   to where it goes on. It is no longer the caller's. */
static void rr__proceed(rr__context *cx, rr__object *o) {
    const rr__ops *ops = rr__ops_of(o);
    rr__object *missing;
    while ((missing = ops->missing(o))) {
        if (!rr__dependents_open(missing)) continue;
        rr__rest(o); /* R5 */
        RR__STRESS_POINT();
        bool is_listed = rr__depend(o, missing);
        rr__drop(cx, missing);
        if (is_listed || !rr__pick_up(cx, o)) return;
    }
    if (rr__load_relaxed(&o->waits_on)) /* the caller's own link */
        rr__store_release(&o->waits_on, (rr__object *)NULL);
    ops->ready(cx, o);
}

/* The object is complete: whoever slept for it goes on. Returns the tasks in its list, for
   rr__tasks_go_on, before which the caller may give back his count of it: each has one. */
static rr__object *rr__notify(rr__context *cx, rr__object *o, uint64_t word) {
    if (word & RR__HAS_SLEEPERS) rr__wake_sleepers(cx, o);
    return word & RR__HAS_DEPENDENTS ? rr__swap_seq_cst(&o->dependents, RR__CLOSED) : NULL;
}
static void rr__tasks_go_on(rr__context *cx, rr__object *task) {
    for (rr__object *next; task; task = next) { /* newest first; so the oldest ends at the deque's
                                                   bottom */
        next = task->next;
        if (rr__pick_up(cx, task)) rr__proceed(cx, task);
    }
}
