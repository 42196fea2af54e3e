/* Running a message.
   Locks: none of its own. */
#pragma once
#include "life.h"

/* The body of a message has run: what it asked for, and its outcome. The actor crashed in it:
   *crash says why. True: it is to run again, in front of what is queued. Counted by the message. */
static bool rr__method_end(rr__context *cx, rr__object *message, rr__frame *frame,
                           rr__error **error, rr__error **crash) {
    rr__object *actor = message->extra.actor;
    rr__actor *a = actor->extra.own;
    rr_runtime *rt = cx->runtime;
    if (frame->wants_exit)
        rr__actor_leave(cx, actor,
                        rr__error_new(rt, RR_OK, NULL, "it left in '%s'", message->of.fn->name));
    *crash = frame->crash;
    if (!frame->crash) return false;
    rr__error_drop(*error);
    int most = rr__can_restart(a) && !rr__load_acquire(&a->death) ? a->care->max_method_retries : 0;
    *error = NULL;
    if (most < 0 || message->attempt < most) {
        message->attempt += message->attempt < UINT8_MAX;
        return true;
    }
    int times = message->attempt + 1;
    *error = rr__error_after(rt, message, rr__error_share(frame->crash),
                             "its actor crashed in it (it was executed, %d time%s): ", times,
                             times == 1 ? "" : "s");
    return false;
}

/* *at: the context in which it begins, and then that in which it has ended. */
static RR__INLINE void rr__run_method(rr__context **at, rr__object *actor, rr__object *message) {
    rr__context *cx = *at;
    rr__actor *a = actor->extra.own;
    rr__frame frame;
    rr__result result;
    rr__error *crash;
    rr__frame_init(&frame, message, &a->lanes, actor);
    rr__store_release(&message->waits_on, (rr__object *)NULL);
    rr__store_release(&actor->waits_on, message);
    if (RR__UNLIKELY(a->care != NULL)) rr__pending_end(cx, message);
    rr__error *error = rr__invoke(at, &frame, message->of.fn, rr__state_of_actor(actor), &result);
    cx = *at;
    rr__store_release(&actor->waits_on, (rr__object *)NULL);
    if (RR__UNLIKELY(frame.wants_exit || frame.crash) &&
        rr__method_end(cx, message, &frame, &error, &crash)) {
        rr__mailbox_return(cx, actor, message);
    } else {
        message->extra.actor = NULL, a->owed++; /* given back by rr__actor_settle */
        rr__finish(cx, message, error, &result);
    }
    if (RR__UNLIKELY(frame.crash != NULL)) rr__actor_crashed(at, actor, frame.crash);
}
