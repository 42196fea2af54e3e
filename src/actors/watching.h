/* Watches: objects that are complete when an actor has ended. One serves for all who watch.
   Locks: the shard lock of the actor. */
#pragma once
#include "mailbox.h"

/* The watch that the actor has, counted for the caller; else, if it lives, it has this one now. */
static rr__object *rr__watch_share(rr__context *cx, rr__object *actor, rr__object *own,
                                   bool *lives) {
    rr__actor *a = actor->extra.own;
    rr__shard *shard = rr__shard_lock(cx->runtime, actor);
    *lives = a->watch != RR__ENDED;
    rr__object *watch = *lives && a->watch ? rr__slot_at(cx->runtime, a->watch) : own;
    if (*lives && watch) {
        rr__share(watch); /* for the caller, or for the actor */
        a->watch = watch->slot;
    }
    rr__unlock(&shard->lock);
    return watch;
}

/* A new watch, that nobody has a handle of yet; or NULL. */
static rr__object *rr__watch_new(rr__context *cx, const char *site, rr_status *status) {
    rr__object *watch = rr__object_new(cx, RR__VALUE, site);
    *status = RR_ERR_NO_MEMORY;
    if (!watch) return NULL;
    watch->of.type_name = "rr_exit";
    rr__store_relaxed(&watch->info, (uint64_t)sizeof(rr_exit)); /* published with word */
    *status = rr__value_room(cx, sizeof(rr_exit), &watch->data.block, &watch->place);
    cx = rr__after_room(cx);
    rr__store_copied(cx);
    if (*status != RR_OK) {
        rr__object_free(cx, watch);
        return NULL;
    }
    rr__residence_begin(watch, 0);
    memset(watch->data.block, 0, sizeof(rr_exit));
    rr__publish(watch, RR__WAITING, 1, RR__KIND_OTHER);
    return watch;
}

/* Completes a watch; takes over the actor's count of it. */
static void rr__watch_end(rr__context *cx, rr__object *watch, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__error *death = rr__load_acquire(&a->death);
    rr_exit *end = watch->data.block;
    end->status = death ? death->status : RR_OK;
    if (end->status == RR_ERR_NOT_RUNNING) end->status = RR_ERR_ACTOR_DEAD; /* of the shutdown */
    end->restarts = a->care ? a->care->restarts : 0;
    snprintf(end->reason, sizeof end->reason, "%s",
             death ? rr__error_message_of(death) : "its last handle was released");
    rr__stored_begin(cx, watch);
    rr__add_seq_cst(&watch->word, RR__STATE(RR__RUNNING - RR__WAITING)); /* nobody else owns it */
    rr__complete(cx, watch, RR__READY);
}

/* The watch of an actor, counted for the caller; made if it has none yet, and complete if it has
   ended. NULL: *status says why. */
static rr__object *rr__watch_of(rr__context *cx, rr__object *actor, const char *site,
                                rr_status *status) {
    bool lives;
    rr__object *watch = rr__watch_share(cx, actor, NULL, &lives);
    rr__object *own = watch ? NULL : rr__watch_new(cx, site, status);
    cx = rr__after_room(cx);
    if (!own) return watch;
    watch = rr__watch_share(cx, actor, own, &lives);
    if (watch != own) rr__drop(cx, own);
    if (!lives) {
        rr__share(own); /* for rr__watch_end to give back */
        rr__watch_end(cx, own, actor);
    }
    return watch;
}
