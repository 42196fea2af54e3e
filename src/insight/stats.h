/* Counters, and the report of leaks.
   Locks: the global one, and rr_runtime.lock. */
#pragma once
#include "../store/records.h"

/* Objects of our own the user does not see. */
static bool rr__is_internal(const rr__object *o) {
    uint8_t flags = rr__load_relaxed(&((rr__object *)(uintptr_t)o)->flags); /* these are fixed */
    return (flags & RR__IS_INTERNAL) || (o->kind == RR__FUNCTION && o->of.fn->item.size);
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
