/* Sending messages.
   Locks: that of the actor's shard, for messages that go through a lane. */
#pragma once
#include "spawning.h"

/* Checks a message against its actor. */
static rr__error *rr__send_error(rr__context *cx, rr__object *actor, rr_function *fn,
                                 rr__object *message) {
    rr__error *error = rr__call_error(cx, fn, message);
    if (!error) error = rr__parent_error(cx, message);
    if (error) return error;

    const rr_type *self = &actor->of.fn->self; /* its name is often the same literal */
    bool is_same = fn->self.name == self->name && fn->self.size == self->size;
    if (!is_same && !rr__type_equal(fn->self, *self))
        return rr__error_new(cx->runtime, RR_ERR_TYPE, message,
                             "it is a method of '%s', but the actor is a '%s' (spawned at %s)",
                             fn->self.name, self->name, actor->site);
    uint64_t word = rr__load_acquire(&actor->word); /* in the line that the count was taken in */
    if ((word & RR__IS_DOOMED) || rr__state_of(word) == RR__FAILED)
        return rr__dead_error(cx, message, actor);
    if (RR__UNLIKELY((word & RR__COUNT_MASK) >= RR__MANY_MESSAGES))
        rr__mailbox_watch(cx, actor, (uint32_t)word);
    return NULL;
}

/* A method sends to its own actor: if rr_kill comes, that runs to its end, as any method does, and
   is nothing that the actor has called. */
static RR__INLINE bool rr__is_to_itself(rr__context *cx, const rr__object *actor) {
    rr__frame *frame = rr__load_relaxed(&cx->frame); /* the owner's own */
    return RR__UNLIKELY(frame && frame->actor == actor);
}

/* Sends; takes over the caller's count of the actor. Returns the message's slot, which is the
   caller's if it asked and must not be touched if it told; *error says what is wrong already. */
static rr__object *rr__send(rr__context *cx, rr__object *actor, rr_function *fn,
                            const rr__arg *args, bool is_told, const char *site,
                            rr_status *status) {
    rr__is_valid(fn);
    rr__object *message = rr__task_new(cx, RR__METHOD, fn, site);
    *status = RR_ERR_NO_MEMORY;
    if (!message) {
        rr__drop(cx, actor);
        rr__note_status(RR__NULL_REF, *status);
        return NULL;
    }
    rr__error *error = rr__send_error(cx, actor, fn, message);
    if (!error) error = rr__args_pack(cx, message, args);
    cx = rr__after_room(cx);
    if (!error && (error = rr__mailbox_admit(&cx, actor, message))) rr__args_release(cx, message);
    *status = error ? error->status : RR_OK;
    if (error) {
        rr__drop(cx, actor);
        rr__note(RR__NULL_REF, *status, "%s", rr__error_message_of(error));
        rr__submit_failed(cx, message, error, 2);
        return message;
    }
    rr_ref ref = rr__ref_to(cx, message); /* told, it may be gone when it is looked at again */
    message->extra.actor = actor;
    if (rr__is_to_itself(cx, actor)) rr__origin_clear(cx, message);
    if (is_told) rr__flag_set(message, RR__IS_TOLD);
    bool is_direct = !message->by_ref && !*rr__caller_lanes(cx); /* nothing to wait for */
    rr__publish_with(message, RR__WAITING, is_told ? 1 : 2, fn->result.kind,
                     is_direct ? RR__IS_RESTING : 0);
    if (RR__LIKELY(is_direct)) {
        rr__message_post(cx, message);
        rr__heed_parent(cx, ref);
        return message;
    }
    rr__object *missing = rr__args_missing(message);
    bool entered = false, is_ready = !missing;
    if (is_ready) error = rr__failed_argument(cx, message); /* it need not wait for its turn */
    /* What waits for the end of an actor is no part of any order: that may be for ever. */
    bool is_alone = missing && rr__is_watch(missing);
    if (!error) error = rr__lane_enter(cx, message, is_ready, is_alone, &entered);
    if (error) {
        *status = error->status;
        if (is_told) rr__note(RR__NULL_REF, *status, "%s", rr__error_message_of(error));
        rr__fail_with(cx, message, error);
        return is_told ? NULL : message;
    }
    if (entered) rr__lane_recheck(cx, ref);

    if (!is_ready || !entered) rr__proceed(cx, message); /* or who empties the lane delivers it */
    rr__heed_parent(cx, ref);
    return message;
}
