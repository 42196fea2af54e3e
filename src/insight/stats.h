/* Counters, and the report of leaks.
   Locks: the global one, and rr_runtime.lock. */
#pragma once
#include "../store/records.h"

/* Objects of our own the user does not see. */
static bool rr__is_internal(const rr__object *o) {
    uint8_t flags = rr__load_relaxed(&((rr__object *)(uintptr_t)o)->flags); /* these are fixed */
    return (flags & RR__IS_RECIPE) || (o->kind == RR__FUNCTION && o->of.fn->item.size);
}

static void rr__report_leak(rr__context *cx, rr__object *o) {
    rr_type type = o->kind == RR__CONSTRUCTOR ? o->of.fn->self : rr__type_of(o);
    if (rr__is_internal(o)) return;
    uint64_t count = (rr__load_relaxed(&o->word) & RR__COUNT_MASK) - 1; /* less the visit's own */
    rr__log(&cx->runtime->config, RR_LOG_WARN,
            "never released: %s of type '%s' made at %s (%llu count%s)",
            o->kind == RR__CONSTRUCTOR ? "actor" : "object", type.name, o->site,
            (unsigned long long)count, count == 1 ? "" : "s");
}

/* What has gone is summed before what was made, so that what lives is never less than nothing. */
static void rr__stats_fill(rr_runtime *rt, rr_stats *out) {
    out->tasks_finished = rr__sum(rt, RR__FINISHED);
    out->tasks_failed = rr__sum(rt, RR__ERRORS);
    out->tasks_submitted = rr__sum(rt, RR__SUBMITTED);
    out->tasks_stolen = rr__sum(rt, RR__STOLEN);
    uint64_t gone = rr__sum(rt, RR__OBJECTS_GONE);
    out->objects_live = rr__sum(rt, RR__OBJECTS_MADE) - gone;
    gone = rr__sum(rt, RR__ACTORS_GONE);
    out->actors_live = rr__sum(rt, RR__ACTORS_MADE) - gone;
    rr__store_stats(rt, out);
    out->store_bytes_used = rr__load_relaxed(&rt->memory.live); /* a counter */
    out->store_bytes_held = rr__arena_held(&rt->arena);
    out->workers = (uint64_t)rt->workers;
    rr__lock(&rt->lock);
    out->threads = (uint64_t)rt->threads;
    rr__unlock(&rt->lock);
}
