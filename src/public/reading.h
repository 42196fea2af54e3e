/* Reading objects, and waiting for them. */
#pragma once
#include "../store/reading.h"
#include "errors.h"

static RR__INLINE rr_status rr__get_value(rr_ref ref, const rr_type *type, void *out,
                                          int64_t milliseconds) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    rr__object *o = cx ? rr__find(cx->runtime, ref) : NULL;
    if (RR__LIKELY(o != NULL)) {
        if (rr__read_scalar(o, ref, type, out)) return RR_OK;
        rr__local *self = milliseconds < 0 ? rr__self() : NULL;
        if (self && rr__run_claimable(self, cx, o) && rr__read_scalar(o, ref, type, out))
            return RR_OK;
        if (self) cx = rr__here_of(self, cx);
    }
    if (cx) status = rr__get_slow(cx, ref, type, out, milliseconds);
    if (status != RR_OK && out) memset(out, 0, type->size);
    return status;
}

rr_status rr__get(rr_ref ref, const rr_type *type, void *out, int64_t milliseconds) {
    return rr__get_value(ref, type, out, milliseconds);
}

rr_status rr_get_void(rr_ref ref) { return rr__get(ref, &(rr_type){RR__VOID_TYPE}, NULL, -1); }

/* In a body that was cancelled the value does not matter any more: it is zeros. */
static RR__NOINLINE void rr__unwrap_failed(rr_ref ref, rr_status status, const char *site) {
    if (rr_cancelled()) return;
    fprintf(stderr, "rustyray: rr_unwrap at %s: %s: %s\n", site, rr_status_name(status),
            rr_error_message(ref));
    abort();
}

void *rr__unwrap(rr_ref ref, const rr_type *type, void *out, const char *site) {
    rr_status status = rr__get_value(ref, type, out, -1);
    if (RR__UNLIKELY(status != RR_OK)) rr__unwrap_failed(ref, status, site);
    return out;
}

bool rr_ready(rr_ref ref) {
    rr__context *cx = rr__enter(NULL);
    rr__object *o = cx ? rr__find(cx->runtime, ref) : NULL;
    return !o || rr__is_complete(o);
}

size_t rr_wait(const rr_ref *refs, size_t n, size_t k, int64_t milliseconds, size_t *ready) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (k > n) k = n;
    if (!cx || k == 0) return 0;
    enum { FEW = 16 };
    rr__object *few_objects[FEW];
    rr__node few_nodes[FEW];
    size_t each = sizeof(rr__object *) + sizeof(rr__node);
    char *many = n <= FEW || n > SIZE_MAX / each ? NULL : RR_MALLOC(n * each);
    if (n > FEW && !many) return rr__wait_in_turn(cx, refs, n, k, milliseconds, ready);
    rr__node *nodes = many ? (rr__node *)(void *)many : few_nodes;
    rr__object **objects = many ? (rr__object **)(void *)(nodes + n) : few_objects;
    size_t found = rr__wait_for(cx, refs, n, k, milliseconds, ready, objects, nodes);
    RR_FREE(many);
    return found;
}
