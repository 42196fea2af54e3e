/* Cancelling. Who cancels does not own the task: it sets a flag in the task's word, by which the
   outcome is decided, and wakes who waits; whoever has the task (a timer, the thread that runs
   its body) finds the flag with its next change of the state and gives up what the task has
   (rule R4 at struct rr__object). What is queued is claimed in the same step, and what a task has
   that rests (in the list of an argument, a mailbox, a lane) is given up at once (R5). What a body
   has called is found by a look at all slots, in each of which the maker's number stands: so a
   call only notes that, and looks whether its maker was cancelled; cancelling costs some ns a slot.
   Locks: the timers' and the resources', one after the other. */
#pragma once
#include "complete.h"

/* How a task tells who made it: by slot and half of the id, which is enough as long as the maker
   is there; and whether that is the body of an actor, of which its origin then tells. */
#define RR__BY_ACTOR ((uint64_t)1 << 31)

static RR__INLINE uint64_t rr__parent_key(rr__object *parent) {
    uint64_t by_actor = parent->kind == RR__FUNCTION ? 0 : RR__BY_ACTOR;
    uint64_t half = rr__load_relaxed(&parent->id) & (RR__BY_ACTOR - 1); /* counted */
    return (uint64_t)parent->slot << 32 | by_actor | half;
}

/* A call from an actor's body. A method ends before what it has called does; so that this can be
   ended with the actor, its origin says which one called it. Not that of a destructor. */
static RR__NOINLINE void rr__origin_note(rr__context *cx, rr__object *task, rr__frame *frame) {
    rr__object *actor = frame->actor;
    rr__store_relaxed(rr__slot_origin(&cx->runtime->slots, task->slot),
                      frame->is_end ? 0 : rr__parent_key(actor)); /* published with word */
    if (!(rr__load_relaxed(&actor->word) & RR__HAS_CALLED))       /* set once */
        rr__or_seq_cst(&actor->word, RR__HAS_CALLED);
}

static void rr__origin_clear(rr__context *cx, rr__object *task) {
    rr__store_relaxed(rr__slot_origin(&cx->runtime->slots, task->slot), (uint64_t)0);
}

/* Who calls, into a new task. */
static RR__INLINE void rr__parent_note(rr__context *cx, rr__object *task, rr__frame *frame) {
    rr__store_relaxed(&task->info, rr__parent_key(frame->task)); /* published with word */
    if (RR__UNLIKELY(frame->actor != NULL)) rr__origin_note(cx, task, frame);
}

/* Sets the flag of a pending task, and claims what is queued, and what one that rests has, in the
   same step. Returns the state in which it was, READY if it is too late. */
static enum rr__state rr__decide_word(rr__object *o, uint64_t flag, bool *is_bare) {
    uint64_t word = rr__load_relaxed(&o->word), next; /* the CAS checks it */
    enum rr__state state;
    do {
        state = rr__state_of(word);
        if (state >= RR__READY || (word & RR__IS_DECIDED)) return RR__READY;
        *is_bare = (word & RR__IS_RESTING) && !(word & RR__IS_BARE); /* by us: R5 */
        next = word | flag | (*is_bare ? RR__IS_BARE | RR__IS_STRIPPED : 0);
        if (state == RR__QUEUED) next += RR__STATE(RR__RUNNING - RR__QUEUED);
    } while (!rr__cas_seq_cst(&o->word, &word, next));
    return state;
}

/* Decides a pending task from outside (rule R4); the caller counts it. False if it is too late.
   Counted before the state tells it. *has_begun: it may have called others. */
static bool rr__decide(rr__context *cx, rr__object *o, uint64_t flag, bool *has_begun) {
    rr_runtime *rt = cx->runtime;
    rr__stray_begins(rt);
    bool is_bare = false;
    enum rr__state state = rr__decide_word(o, flag, &is_bare);
    if (state == RR__READY) {
        rr__stray_is_over(rt);
        return false;
    }
    rr__count(cx, RR__ERRORS);
    enum rr__state now = state == RR__QUEUED ? RR__RUNNING : state;
    uint64_t word = rr__add_seq_cst(&o->word, RR__STATE(RR__FAILED) - RR__STATE(now));
    rr__tasks_go_on(cx, rr__tell_end(cx, o, word));
    bool was_tried = false, is_ours = false;
    RR__STRESS_POINT();
    if (is_bare) rr__task_unload(cx, o);
    if (word & RR__HAS_CONTROL)
        is_ours = rr__timers_revoke(rt, o->extra.control, &was_tried) ||
                  rr__turn_revoke(rt, o->extra.control);
    *has_begun = state == RR__RUNNING || was_tried;
    if (state == RR__RUNNING) rr__body_wake(cx, o);
    else if (state == RR__QUEUED || is_ours) rr__abandon(cx, o);
    else rr__ops_of(o)->decided(cx, o);
    rr__signal_if_stopping(rt);
    return true;
}

/* Was what lies in a slot called by this task, or, an actor, by one of its bodies? */
static bool rr__is_called_by(rr__context *cx, rr__object *child, uint32_t slot, rr__object *by) {
    uint64_t info = rr__load_acquire(&child->info);
    if (by->kind != RR__CONSTRUCTOR) return info == rr__parent_key(by);
    rr__origin *origin = rr__slot_origin(&cx->runtime->slots, slot);
    return (info & RR__BY_ACTOR) && rr__load_acquire(origin) == rr__parent_key(by);
}

static bool rr__cancel_tree(rr__context *cx, rr__object *o, uint64_t flag);

/* Cancels what a task, or an actor, has called, which is found by looking at all slots: so that a
   call only notes who made it. The caller counts that. */
static void rr__cancel_called(rr__context *cx, rr__object *by) {
    rr__object *child;
    for (uint32_t slot = 1; (child = rr__slot_at(cx->runtime, slot)); slot++) {
        if (!rr__is_called_by(cx, child, slot, by)) continue;
        uint64_t id = rr__load_acquire(&child->id);
        if (!id || !rr__try_retain(cx, child, id)) continue;
        bool is_task = child->kind == RR__FUNCTION || child->kind == RR__METHOD;
        if (is_task && rr__is_called_by(cx, child, slot, by) && !rr__is_complete(child))
            rr__cancel_tree(cx, child, RR__IS_CANCELLED);
        rr__drop(cx, child);
    }
}

/* Cancels a task, and, if its body runs, what that has called. Recursion as deep as running bodies
   are nested. */
static bool rr__cancel_tree(rr__context *cx, rr__object *o, uint64_t flag) {
    bool has_begun = false;
    if (!rr__decide(cx, o, flag, &has_begun)) return false;
    if (has_begun && !(flag & RR__IS_ALONE)) rr__cancel_called(cx, o);
    return true;
}

static RR__NOINLINE void rr__cancel_new(rr__context *cx, rr_ref ref) {
    rr__object *o = rr__pin(cx, ref, false);
    if (!o) return;
    rr__cancel_tree(cx, o, RR__IS_CANCELLED);
    rr__drop(cx, o);
}

/* ---- a body that was cancelled while it called ---- */

/* What it called is cancelled, too. Its flag is set before who cancels looks for what it called,
   and looked at after that is published (both seq_cst). */
static RR__INLINE bool rr__parent_is_cancelled(rr__context *cx) {
    rr__frame *frame = rr__load_relaxed(&cx->frame); /* the owner's own */
    uint64_t word = frame ? rr__load_seq_cst(&frame->task->word) : 0;
    if (RR__UNLIKELY(word & RR__IS_DECIDED)) return !(word & RR__IS_ALONE);
    return frame && rr__is_killed(frame);
}
static RR__INLINE void rr__heed_parent(rr__context *cx, rr_ref ref) {
    if (rr__parent_is_cancelled(cx)) rr__cancel_new(cx, ref);
}
static RR__INLINE rr__error *rr__parent_error(rr__context *cx, const rr__object *task) {
    if (!rr__parent_is_cancelled(cx)) return NULL;
    return rr__error_new(cx->runtime, RR_ERR_CANCELLED, task,
                         "the task that called it was cancelled, or its actor killed");
}
