/* Who waits for whom: one link for each object that cannot go on, which leads to what must happen
   first:

       task with a missing argument -> that argument
       task whose body waits        -> the token of its fiber -> an object that it waits for
       message in a mailbox         -> its actor
       actor                        -> the message that it is running

   Followed by waiters who look for work (core/helping.h), by the search for deadlocks, and by
   rr_why. Waits with a limit and waits for any of several objects lead nowhere. A link is written
   before its target is waited for, and cleared after; it is read again after the id of its target,
   so that a slot that was reused in between is not taken for the target.
   Locks: none. */
#pragma once
#include "sleepers.h"

/* It is complete, or gone. */
static bool rr__step_is_over(const rr__step *step) {
    return rr__is_complete(step->object) || rr__load_acquire(&step->object->id) != step->id;
}

/* What an object waits for, past the token of the fiber that waits. */
static rr__object *rr__next_link(rr__object *o) {
    rr__object *next = rr__load_acquire(&o->waits_on);
    rr__fiber *fiber = rr__linked_fiber(next);
    return fiber ? rr__load_acquire(&fiber->token.waits_on) : next;
}
