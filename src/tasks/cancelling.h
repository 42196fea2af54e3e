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
   is there. */
static RR__INLINE uint64_t rr__parent_key(rr__object *parent) {
    return (uint64_t)parent->slot << 32 | (uint32_t)rr__load_relaxed(&parent->id); /* counted */
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
        next = word | flag | (*is_bare ? RR__IS_BARE : 0);
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
    rr__notify(cx, o, word);
    bool was_tried = false, is_ours = false;
    if (is_bare) rr__task_strip(cx, o);
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

/* Cancels a task, and, if its body runs, what that has called, which is found by looking at all
   slots: so that a call only notes who made it. Recursion as deep as running bodies are nested. */
static bool rr__cancel_tree(rr__context *cx, rr__object *o, uint64_t flag) {
    bool has_begun = false;
    if (!rr__decide(cx, o, flag, &has_begun)) return false;
    uint64_t parent = rr__parent_key(o);
    rr__object *child = NULL;
    for (uint32_t slot = 1; has_begun && !(flag & RR__IS_ALONE); slot++) {
        if (!(child = rr__slot_at(cx->runtime, slot))) break;
        if (rr__load_acquire(&child->info) != parent) continue;
        uint64_t id = rr__load_acquire(&child->id);
        if (!id || !rr__try_retain(cx, child, id)) continue;
        bool is_task = child->kind == RR__FUNCTION || child->kind == RR__METHOD;
        if (is_task && rr__load_acquire(&child->info) == parent && !rr__is_complete(child))
            rr__cancel_tree(cx, child, RR__IS_CANCELLED);
        rr__drop(cx, child);
    }
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
    return RR__UNLIKELY(word & RR__IS_DECIDED) && !(word & RR__IS_ALONE);
}
static RR__INLINE void rr__heed_parent(rr__context *cx, rr_ref ref) {
    if (rr__parent_is_cancelled(cx)) rr__cancel_new(cx, ref);
}
static RR__INLINE rr__error *rr__parent_error(rr__context *cx, const rr__object *task) {
    if (!rr__parent_is_cancelled(cx)) return NULL;
    return rr__error_new(cx->runtime, RR_ERR_CANCELLED, task,
                         "the task that called it was cancelled");
}
