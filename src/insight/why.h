/* Why something is pending: the text of rr_why, along the links of core/links.h.
   Locks: those of the resources, the timers, shards and rr_runtime.lock, one after the other. */
#pragma once
#include "../actors/mailbox.h"

/* Which argument or part of o that is, from 1; 0: none. Arguments outside the slot are freed by who
   runs the body, so there it is not known. */
#define RR__WHY_UNKNOWN SIZE_MAX
static size_t rr__why_place(rr__object *o, const rr__object *next) {
    rr__parts *parts = o->kind == RR__GATHER ? o->extra.parts : NULL;
    for (size_t i = 0; parts && i < parts->count; i++)
        if (parts->objects[i] == next) return i + 1;
    if (o->args_place != RR__IN_SLOT) return RR__WHY_UNKNOWN;
    size_t at = 0;
    for (int i = 0; o->by_ref >> i; at += rr__arg_bytes(o->of.fn, o->by_ref, i) / 8, i++) {
        uint64_t word = rr__load_acquire(&o->words[at]); /* as rr__read_scalar does */
        if ((o->by_ref >> i & 1) && word == (uint64_t)(uintptr_t)next) return (size_t)i + 1;
    }
    return 0;
}

/* What comes in front of the name of what it waits for. */
static void rr__why_link(rr__text *text, rr__object *o, const rr__object *next) {
    size_t place = rr__why_place(o, next);
    const char *what = o->kind == RR__GATHER ? "part" : "argument";
    const char *comma = next->kind <= RR__METHOD ? "" : ","; /* they have no name */
    bool is_behind = o->kind == RR__METHOD && next->kind == RR__METHOD && place == 0;
    if (next->kind == RR__CONSTRUCTOR) rr__text_add(text, "waits in the mailbox of ");
    else if (place && place != RR__WHY_UNKNOWN)
        rr__text_add(text, "waits for its %s %zu%s ", what, place, comma);
    else rr__text_add(text, is_behind ? "waits behind " : "waits for ");
}

/* The resources that it waits for: those that are short, or all, if it is others' turn. */
static void rr__why_shape_locked(rr_runtime *rt, rr__text *text, const rr__shape *shape) {
    bool any_short = false, is_short[RR__STOCKS];
    for (int i = 0; i < rt->resources->count; i++) {
        const rr__stock *stock = &rt->resources->stocks[i];
        is_short[i] = shape->amounts[i] > stock->total - stock->used;
        any_short |= is_short[i];
    }
    for (int i = 0, n = 0; i < rt->resources->count; i++) {
        const rr__stock *stock = &rt->resources->stocks[i];
        if (!shape->amounts[i] || is_short[i] != any_short) continue;
        rr__text_add(text, "%s %g of '%s' (%g of %g in use)", n++ ? " and" : "waits for",
                     (double)shape->amounts[i] / RR__WHOLE, stock->name,
                     (double)stock->used / RR__WHOLE, (double)stock->total / RR__WHOLE);
    }
}

/* Whether it waits for resources, or for the workers to leave it the CPUs that it was granted. */
static bool rr__why_needs(rr_runtime *rt, rr__text *text, const rr__control *control) {
    if (!control->shape) return false;
    rr__lock(&rt->resources->lock);
    bool waits = control->turn.at && control->turn_in == &control->shape->waiting;
    int64_t cpus = control->is_granted && !control->is_apart ? control->shape->amounts[RR__CPU] : 0;
    if (waits) rr__why_shape_locked(rt, text, control->shape);
    else if (cpus)
        rr__text_add(text, "waits for the workers to leave it %g of 'cpu'",
                     (double)cpus / RR__WHOLE);
    rr__unlock(&rt->resources->lock);
    return waits || cpus;
}

/* Whether it waits for its next attempt, or an actor to be made anew. */
static bool rr__why_again(rr_runtime *rt, rr__text *text, const rr__object *o,
                          const rr__control *control) {
    rr__lock(&rt->timers->lock);
    int attempt = control->retry.at ? control->attempt + 1 : 0;
    double left = attempt ? control->retry.when - rr_now() : 0;
    rr__unlock(&rt->timers->lock);
    if (left < 0) left = 0;
    if (attempt && o->kind == RR__CONSTRUCTOR)
        rr__text_add(text, "crashed and is made anew in %.1f s", left);
    else if (attempt)
        rr__text_add(text, "failed and is tried again in %.1f s (attempt %d)", left, attempt);
    return attempt > 0;
}

/* An actor that waits for nothing of that. */
static void rr__why_idle(rr_runtime *rt, rr__text *text, const rr__object *actor) {
    const rr__care *care = actor->extra.own->care;
    rr__shard *shard = rr__shard_lock(rt, actor);
    int inside = care && care->is_parked ? care->inside : 0;
    rr__unlock(&shard->lock);
    if (inside) rr__text_add(text, "runs %d at once, as many as it may (max_concurrency)", inside);
    else rr__text_add(text, "is idle");
}

/* WAITING, but for nothing that it is linked to. */
static void rr__why_waiting(rr_runtime *rt, rr__text *text, const rr__object *o) {
    const rr__control *control = rr__options_of(o);
    if (control && rr__why_needs(rt, text, control)) return;
    if (control && rr__why_again(rt, text, o, control)) return;
    if (o->kind == RR__CONSTRUCTOR) rr__why_idle(rt, text, o);
    else rr__text_add(text, "is about to be queued");
}

/* QUEUED is what waits for nothing but a worker. */
static void rr__why_queued(rr_runtime *rt, rr__text *text, const rr__object *o) {
    const rr__control *control = rr__control_of(o);
    bool has_roles = RR__SLEEPING(rr__load_seq_cst(&rt->idle)) > 0;
    const char *how = !has_roles                ? "until a worker is free"
                      : rr__can_have_thread(rt) ? "while a worker is free to run it"
                                                : "until a thread is free: all of them block "
                                                  "(rr_config.max_threads)";
    rr__text_add(text, "is queued ");
    if (control && control->priority) rr__text_add(text, "with priority %d ", control->priority);
    rr__text_add(text, "%s", how);
}

/* It has neither a value nor an error yet, but is no task. */
static const char *rr__why_value(rr__object *o) {
    bool is_bytes = rr__kind_in(rr__load_relaxed(&o->word)) == RR__KIND_BYTES; /* fixed */
    return is_bytes ? "is not sealed yet (rr_seal)" : "comes when its actor has ended (rr_watch)";
}

static const char *rr__why_failed(rr__object *o) {
    uint64_t word = rr__load_acquire(&o->word);
    if (o->kind == RR__CONSTRUCTOR) return "has ended";
    if (word & RR__IS_CANCELLED) return "was cancelled";
    return word & RR__IS_LATE ? "is past its time limit" : "has failed";
}

/* How it is; if there is a next one, the words in front of that. */
static void rr__why_state(rr_runtime *rt, rr__text *text, rr__object *o, enum rr__state state,
                          const rr__object *next) {
    bool is_actor = o->kind == RR__CONSTRUCTOR, runs = state == RR__RUNNING;
    if (state == RR__READY) rr__text_add(text, "is complete");
    else if (state == RR__FAILED) rr__text_add(text, "%s", rr__why_failed(o));
    else if (o->kind == RR__VALUE) rr__text_add(text, "%s", rr__why_value(o));
    else if (state == RR__QUEUED) rr__why_queued(rt, text, o);
    else if (next && runs) rr__text_add(text, is_actor ? "runs " : "runs and waits for ");
    else if (next) rr__why_link(text, o, next);
    else if (runs) rr__text_add(text, is_actor ? "is busy" : "runs");
    else rr__why_waiting(rt, text, o);
}

/* What an object waits for, counted; NULL for nothing, or if that has just changed. Links of what
   is queued or over mean nothing, nor does that of a method to its actor once it runs. */
static rr__object *rr__why_next(rr__context *cx, rr__object *o, enum rr__state state) {
    bool may_wait = state == RR__WAITING || state == RR__RUNNING;
    rr__object *next = may_wait ? rr__next_link(o) : NULL;
    uint64_t id = next ? rr__load_acquire(&next->id) : 0;
    RR__STRESS_POINT();
    if (!id || !rr__try_retain(cx, next, id)) return NULL;
    RR__STRESS_POINT();
    bool is_old = state == RR__RUNNING && next->kind == RR__CONSTRUCTOR;
    if (!is_old && rr__next_link(o) == next && !rr__is_complete(o)) return next;
    rr__drop(cx, next);
    return NULL;
}

/* A sentence about an object, and what it waits for, and what that waits for. Takes over a count of
   it. */
static void rr__why(rr__context *cx, rr__object *o, rr__text *text) {
    enum { DEPTH = 16 };
    bool is_told = false; /* that it runs: by its actor */
    rr__object *next;
    for (int depth = 0; o; o = next, depth++) {
        enum rr__state state = rr__state_of(rr__load_acquire(&o->word));
        RR__STRESS_POINT();
        next = rr__why_next(cx, o, state);
        rr__describe(text, o);
        if (!is_told || next || state != RR__RUNNING) {
            rr__text_add(text, depth ? ", which " : " ");
            rr__why_state(cx->runtime, text, o, state, next);
        }
        is_told = o->kind == RR__CONSTRUCTOR && state == RR__RUNNING;
        rr__drop(cx, o);
        if (next && depth == DEPTH) { /* or in a ring */
            rr__text_add(text, "...");
            rr__drop(cx, next);
            next = NULL;
        }
    }
}
