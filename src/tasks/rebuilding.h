/* Making dropped values again, by running their recipes on the thread that needs them; with what
   those need, as a loop, because a chain of them may be long.
   Locks: the store's. */
#pragma once
#include "../core/helping.h"
#include "lanes.h"
#include "running.h"

/* It is lost: its task has failed this time. */
static rr_status rr__rebuild_refuse(rr_runtime *rt, const rr__object *o, rr__error *error) {
    char text[RR__LOG_TEXT];
    const char *message = rr__error_message_of(error);
    snprintf(text, sizeof text, "an object made at %s could not be made again: %s", o->site,
             message);
    rr__log_again(rt, RR__LINE_LOST, RR_LOG_WARN, text);
    return rr__refuse(RR_ERR_OBJECT_LOST, "it could not be made again: %s", message);
}

/* Runs it, on this thread. */
static rr_status rr__rebuild_one(rr__context *cx, rr__stored *s) {
    rr_runtime *rt = cx->runtime;
    rr__object *o = s->object;
    rr__lane *lanes = NULL;
    rr__frame frame;
    rr__result result;
    rr__frame_init(&frame, s->recipe, &lanes, NULL);
    rr__error *error = rr__invoke(&cx, &frame, s->recipe->of.fn, NULL, &result);
    if (lanes) rr__lanes_abandon(cx, lanes);
    RR__STRESS_POINT();
    if (error) {
        rr_status status = error->status;
        bool is_lost = status != RR_ERR_STORE_FULL && status != RR_ERR_NO_MEMORY &&
                       status != RR_ERR_IO && status != RR_ERR_CANCELLED; /* it may be had later */
        if (is_lost) status = rr__rebuild_refuse(rt, o, error);
        rr__error_drop(error);
        return status;
    }
    rr__lock(&rt->store->lock);
    o->data.block = result.block, o->place = result.place;
    rr__store_relaxed(&o->info, (uint64_t)result.size); /* as before, if it is a function at all */
    rt->store->stats.objects_rebuilt++;
    rr__unlock(&rt->store->lock);
    return RR_OK;
}

/* A value that is made again, and the arguments before `next` of its recipe, which are pinned; or a
   gather among those, and its parts. */
typedef struct rr__rebuilding {
    rr__stored *stored;
    rr__object *gather;
    enum rr__residence was;
    size_t next;
} rr__rebuilding;

/* Pins what is needed, or claims it if it has to be made again itself: then it is *lost. */
static rr_status rr__rebuild_source(rr__context *cx, rr__object *o, rr__rebuilding *lost) {
    rr__stored *s = o->kind == RR__GATHER ? NULL : rr__stored_of(o);
    rr__parts *parts = o->kind == RR__GATHER ? o->extra.parts : NULL;
    rr_status status;
    if (parts) {
        status = rr__pin_or_claim(cx, &parts->word, &parts->filler, NULL, &lost->was);
        if (lost->was != RR__HERE) lost->gather = o;
        return status;
    }
    if (!s || !s->recipe) return rr__use(cx, o);
    status = rr__pin_or_claim(cx, rr__residence_at(o), &s->claimer, s->recipe, &lost->was);
    if (lost->was != RR__HERE) lost->stored = s;
    return status;
}

/* It could be made, or not. */
static void rr__rebuild_end(rr__context *cx, rr__rebuilding *step, rr_status status) {
    if (step->gather) rr__parts_claim_end(cx, step->gather, step->next, status);
    else rr__stored_claim_end(cx, step->stored, step->was, status);
}

/* Pins what it needs, from the next one on, up to one that is *lost. */
static rr_status rr__rebuild_pin(rr__context *cx, rr__rebuilding *step, rr__rebuilding *lost) {
    rr__parts *parts = step->gather ? step->gather->extra.parts : NULL;
    rr__object *recipe = step->gather ? NULL : step->stored->recipe;
    size_t count = parts ? parts->count : (size_t)recipe->of.fn->arity;
    char *at = recipe ? rr__args_of(recipe) : NULL;
    for (size_t i = parts ? step->next : 0; i < count; i++) {
        bool is_needed = i >= step->next && (parts || (recipe->by_ref >> i & 1));
        rr__object *o = !is_needed ? NULL : parts ? parts->objects[i] : rr__counted_arg(at);
        rr_status status = o ? rr__rebuild_source(rr__here(cx), o, lost) : RR_OK;
        if (status != RR_OK) return status;
        if (i >= step->next) step->next = i + 1;
        if (lost->stored || lost->gather) return RR_OK;
        if (recipe) at += rr__arg_bytes(recipe->of.fn, recipe->by_ref, (int)i);
    }
    return RR_OK;
}

/* Makes a value again that is RETURNING and the caller's, with what that needs: as a loop, because
   a chain of them may be long. On success it is here; the caller pins it. */
static rr_status rr__rebuild_with(rr__context *cx, rr__stored *root) {
    size_t n = 1, room = 16;
    rr__local *self = rr__self();
    rr__rebuilding *steps = RR_MALLOC(room * sizeof *steps);
    if (!steps) return RR_ERR_NO_MEMORY;
    steps[0] = (rr__rebuilding){root, NULL, RR__LOST, 0};
    rr_status status = RR_OK;
    while (n > 0) {
        cx = rr__here_of(self, cx);
        rr__rebuilding *step = &steps[n - 1], lost = {NULL, NULL, RR__LOST, 0};
        if (status == RR_OK) status = rr__rebuild_pin(cx, step, &lost);
        bool is_lost = lost.stored || lost.gather;
        if (is_lost && n == room) {
            rr__rebuilding *more = RR_REALLOC(steps, 2 * room * sizeof *steps);
            if (more) steps = more, room *= 2;
            else status = RR_ERR_NO_MEMORY;
            step = &steps[n - 1];
        }
        if (is_lost && status == RR_OK) {
            steps[n++] = lost;
            continue;
        }
        if (is_lost) { /* no memory to go on */
            rr__rebuild_end(cx, &lost, status);
            step->next--;
        }
        cx = rr__here_of(self, cx);
        if (step->stored) {
            if (status == RR_OK) status = rr__rebuild_one(cx, step->stored);
            cx = rr__here_of(self, cx);
            rr__args_unuse(cx, step->stored->recipe, (int)step->next);
        }
        if (--n > 0) {
            rr__rebuild_end(cx, step, status);
            if (status != RR_OK) steps[n - 1].next--; /* its argument, which is not pinned */
        }
    }
    RR_FREE(steps);
    return status;
}

static rr_status rr__rebuild(rr__context *cx, rr__stored *root) {
    rr__local *self = rr__self();
    if (self->fiber && !rr__has_stack(self)) return RR_ERR_NO_MEMORY; /* bodies ask for others */
    rr_runtime *outer = NULL;
    bool copies = rr__store_copy_is_body(cx, &outer);
    rr_status status = rr__rebuild_with(cx, root);
    if (copies) rr__store_copy_was_body(rr__here_of(self, cx), outer);
    return status;
}
