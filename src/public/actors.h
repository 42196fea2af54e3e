/* Actors: making them, sending to them, finding, ending and watching them. */
#pragma once
#include "../actors/sending.h"
#include "../runtime/attach.h"

rr_actor rr__spawn(const rr_actor_options *options, rr_function *fn, const rr__arg *args, size_t n,
                   const char *site) {
    rr_status status;
    (void)n;
    rr__context *cx = rr__enter_to_submit(&status);
    return cx ? rr__spawn_in(cx, options, fn, args, site) : rr__status_actor(status);
}

rr_ref rr__ask(rr_actor handle, rr_function *fn, const rr__arg *args, size_t n, const char *site) {
    rr_status status;
    (void)n;
    rr__context *cx = rr__enter_to_submit(&status);
    if (!cx) return rr__status_ref(status);
    if (!rr__scope_ready(rr__self())) return rr__status_ref(RR_ERR_NO_MEMORY);
    rr_runtime *rt = cx->runtime;
    rr_ref to = rr__as_ref(handle);
    rr__object *actor = rr__pin_actor(cx, handle);
    if (!actor)
        return rr__failed_ref(cx,
                              rr__error_new(rt, rr__handle_status(to), NULL,
                                            "'%s' has no actor to go to: %s", fn->name,
                                            rr__handle_text(rt, to)),
                              site);
    rr__object *message = rr__send(cx, actor, fn, args, false, site, &status);
    if (!message) return rr__status_ref(status);
    rr__scope_hold(rr__self(), cx, message, false);
    return rr__ref_to(cx, message);
}

rr_status rr__tell(rr_actor handle, rr_function *fn, const rr__arg *args, size_t n,
                   const char *site) {
    rr_status status;
    (void)n;
    rr__context *cx = rr__enter_to_submit(&status);
    if (!cx) return status;
    rr__object *actor = rr__pin_actor(cx, handle);
    if (!actor) return rr__refuse_handle(cx->runtime, rr__as_ref(handle));
    rr__object *message = rr__send(cx, actor, fn, args, true, site, &status);
    if (message && status != RR_OK) rr__drop(rr__here(cx), message); /* it may have waited */
    return status;
}

rr_status rr_find_actor(const char *name, rr_actor *out) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (out) *out = (rr_actor){0, 0, 0};
    if (!cx) return status;
    if (!name || !out)
        return rr__note(RR__NULL_REF, RR_ERR_INVALID,
                        "rr_find_actor: a name is needed, and where to put the handle");
    if (!rr__scope_ready(rr__self())) return rr__note_status(RR__NULL_REF, RR_ERR_NO_MEMORY);
    rr__object *actor = rr__name_find(cx, name);
    if (!actor)
        return rr__note(RR__NULL_REF, RR_ERR_NOT_FOUND, "no living actor is called '%s'", name);
    rr__scope_hold(rr__self(), cx, actor, false);
    *out = rr__actor_to(cx, actor);
    return RR_OK;
}

rr_status rr_kill(rr_actor handle) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (!cx) return status;
    rr__object *actor = rr__pin_actor(cx, handle);
    if (!actor) return rr__refuse_handle(cx->runtime, rr__as_ref(handle));
    rr__error *death =
        rr__error_new(cx->runtime, RR_ERR_ACTOR_DEAD, NULL, "it was ended by rr_kill");
    if (rr__actor_doom(cx, actor, death)) rr__actor_kill(cx, actor);
    else
        status = rr__note(RR__NULL_REF, RR_ERR_ACTOR_DEAD,
                          "rr_kill: the actor '%s' (spawned at %s) has ended before",
                          actor->of.fn->self.name, actor->site);
    rr__drop(cx, actor);
    return status;
}

void rr_exit_actor(void) {
    rr__frame *frame = rr__self()->frame;
    if (frame && frame->actor) frame->wants_exit = true;
    else rr__log_misuse("rr_exit_actor outside a method does nothing");
}

void rr_crash_actor(const char *format, ...) {
    rr__frame *frame = rr__self()->frame;
    va_list args;
    va_start(args, format);
    if (!frame || !frame->actor) {
        char text[512] = "rr_crash_actor outside a method does nothing: ";
        vsnprintf(text + strlen(text), sizeof text - strlen(text), format, args);
        rr__log_misuse(text);
    } else if (!frame->crash) {
        frame->crash = rr__error_make(rr__frame_context(frame)->runtime, RR_ERR_ACTOR_CRASHED, 0,
                                      NULL, NULL, format, args);
        if (!frame->error)
            frame->error = rr__error_share(frame->crash); /* what it returns is dropped */
    }
    va_end(args);
}

rr_ref rr__watch(rr_actor handle, const char *site) {
    rr_status status;
    rr__context *cx = rr__enter_to_submit(&status);
    if (!cx) return rr__status_ref(status);
    if (!rr__scope_ready(rr__self())) return rr__status_ref(RR_ERR_NO_MEMORY);
    rr_ref of = rr__as_ref(handle);
    rr__object *actor = rr__pin_actor(cx, handle);
    rr__object *watch = actor ? rr__watch_of(cx, actor, site, &status) : NULL;
    if (!actor) status = rr__handle_status(of);
    const char *text = actor ? rr__status_why(status) : rr__handle_text(cx->runtime, of);
    if (actor) rr__drop(cx, actor);
    if (!watch) return rr__failed_ref(cx, rr__error_saying(cx->runtime, status, NULL, text), site);
    rr__scope_hold(rr__self(), cx, watch, false);
    return rr__ref_to(cx, watch);
}
