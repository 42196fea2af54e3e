/* Who waits for whom: one link for each object that cannot go on, which a walk follows to find work
   for a waiter, and rings.
   Locks: ring_lock, then a context's. */
#pragma once
#include "errors.h"
#include "sleepers.h"

/* waits_on links everything that cannot go on to what must happen first:

       task with a missing argument -> that argument
       task whose body waits        -> the token of its fiber -> the object it waits for
       message in a mailbox         -> its actor
       actor                        -> the message that it is running

   so one walk finds both what a waiter may run itself (the first claimable link: leapfrogging,
   Wagner and Calder 1993) and whether it waits for itself. Waits with a limit and waits for
   any of several objects lead nowhere: they can end by themselves.

   Rules  W1  A link is written before its target is waited for, and cleared after.
          W2  Who has written a link that may close a ring (a body that is about to sleep, a task
              that goes on to its next argument, a message that arrives late) then changes
              `blocked`, or adds 0 to it, and walks after that. All these are changes of one word:
              so of several that close a ring together the last sees the links of the others. What
              is linked by a thread that only later sleeps (a waiter to what it helps with, an
              actor to its message) is written before that thread's change.
          W3  While a body sleeps, what leads to it stays as it is; so a ring that was read link
              by link is a ring. Each link is read again after the id of its target, so that a
              slot that was reused in between is not taken for the target.
          W4  A body that has slept clears its link under ring_lock: see rr__ring_tell. */
enum rr__walk {
    RR__WALK_END,        /* something runs, or is not ours to run */
    RR__WALK_RING,       /* back to self */
    RR__WALK_OTHER_RING, /* into a ring without self; *other is in it */
    RR__WALK_QUEUED,     /* a task that may be claimed; not looked for one to run */
    RR__WALK_CLAIMED     /* *claimed is the caller's to run, found by *by */
};

/* It is complete, or gone. */
static bool rr__step_is_over(const rr__step *step) {
    return rr__is_complete(step->object) || rr__load_acquire(&step->object->id) != step->id;
}

/* From o; claimed NULL: do not claim. */
static enum rr__walk rr__walk(rr__object *o, const rr__object *self, rr__object **claimed,
                              rr__step *by, rr__object **other) {
    uint64_t id = rr__load_acquire(&o->id), mark_id = id;
    rr__object *mark = o; /* Brent's search for a cycle: a ring that self is not part of */
    bool is_token = false;
    for (uint64_t steps = 0, power = 1;; steps++) {
        if (o == self) return RR__WALK_RING;
        enum rr__state state = rr__state_of(rr__load_acquire(&o->word));
        if (state >= RR__READY) return RR__WALK_END;
        if (state == RR__QUEUED && !is_token) {
            if (!claimed) return RR__WALK_QUEUED;
            *claimed = o;
            return rr__claim(o) ? RR__WALK_CLAIMED : RR__WALK_END;
        }
        rr__object *link = rr__load_acquire(&o->waits_on), *next = rr__linked(link);
        if (!link) return RR__WALK_END;
        uint64_t next_id = rr__load_acquire(&next->id);
        if (rr__load_acquire(&o->waits_on) != link || rr__load_acquire(&o->id) != id ||
            rr__state_of(rr__load_acquire(&o->word)) >= RR__READY)
            return RR__WALK_END;
        if (by) *by = (rr__step){o, id};
        o = next, id = next_id, is_token = next != link;
        if (o == mark && id == mark_id) {
            *other = o;
            return RR__WALK_OTHER_RING;
        }
        if (steps == power) mark = o, mark_id = id, power *= 2, steps = 0;
    }
}

/* What an object waits for, past the token of the fiber that waits. */
static rr__object *rr__next_link(rr__object *o) {
    rr__object *next = rr__load_acquire(&o->waits_on);
    rr__fiber *fiber = rr__linked_fiber(next);
    return fiber ? rr__load_acquire(&fiber->token.waits_on) : next;
}

/* "'a' waits for 'b', which waits for 'a'". The ring stands still (W3). */
static void rr__ring_describe(rr__object *self, rr__text *text) {
    rr__text_add(text, "deadlock: ");
    rr__describe(text, self);
    rr__object *o = rr__next_link(self);
    for (bool first = true; o && text->used < text->size; first = false) {
        rr__text_add(text, "%s waits for ", first ? "" : ", which");
        rr__describe(text, o);
        if (o == self) break;
        o = rr__next_link(o);
    }
}

static void rr__ring_wake(rr__context *cx, rr__fiber *fiber, const char *text) {
    rr__lock(&fiber->parker.lock);
    rr__sleeper *s = fiber->parker.sleeper;
    bool is_told = s && s->ring && !s->is_ring;
    if (is_told) {
        s->is_ring = true;
        snprintf(s->ring, RR__RING_TEXT, "%s", text);
    }
    rr__unlock(&fiber->parker.lock);
    if (is_told) rr__wake(cx, &fiber->parker);
}

/* One that has got what it waits for, and has not run since, makes no ring: its link is old. Under
   ring_lock, so that it stays as it is. */
static bool rr__ring_is_asleep(rr__object *member) {
    rr__object *o = member;
    do {
        rr__object *link = rr__load_acquire(&o->waits_on);
        rr__fiber *fiber = rr__linked_fiber(link);
        if (fiber) {
            rr__lock(&fiber->parker.lock);
            const rr__sleeper *s = fiber->parker.sleeper;
            bool is_over = !s || rr__sleeper_is_over_locked(s);
            rr__unlock(&fiber->parker.lock);
            if (is_over) return false;
        }
        o = fiber ? rr__load_acquire(&fiber->token.waits_on) : link;
    } while (o && o != member);
    return o != NULL;
}

/* Tells all that sleep in the ring of `member`, if it is still one. Rule W4: one at a time does
   this, and who was told waits for that lock before it clears its link; so the ring stands still
   until it is told to the end, and nobody finds it a second time. */
static void rr__ring_tell(rr__context *cx, rr__object *member) {
    char text[RR__RING_TEXT];
    rr_runtime *rt = cx->runtime;
    rr__object *next, *other;
    rr__lock(&rt->ring_lock);
    next = rr__next_link(member);
    if (next && rr__walk(next, member, NULL, NULL, &other) == RR__WALK_RING &&
        rr__ring_is_asleep(member)) {
        rr__ring_describe(member, &(rr__text){text, sizeof text, 0});
        rr__object *o = member;
        do {
            rr__object *link = rr__load_acquire(&o->waits_on);
            rr__fiber *fiber = rr__linked_fiber(link);
            if (fiber) rr__ring_wake(cx, fiber, text);
            o = fiber ? rr__load_acquire(&fiber->token.waits_on) : link;
        } while (o && o != member); /* who only helps may have let go: it looks again */
    }
    rr__unlock(&rt->ring_lock);
}

/* Rule W2, for a link that was made from `o` by a thread which does not wait itself. */
static void rr__ring_check(rr__context *cx, rr__object *o) {
    rr__object *other = NULL, *next;
    if (!rr__add_seq_cst(&cx->runtime->blocked, 0u) || !(next = rr__next_link(o))) return;
    enum rr__walk found = rr__walk(next, o, NULL, NULL, &other);
    if (found == RR__WALK_RING) rr__ring_tell(cx, o);
    if (found == RR__WALK_OTHER_RING) rr__ring_tell(cx, other);
}
