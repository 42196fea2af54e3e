/* Looking inside. */
#pragma once
#include "../core/needs.h"
#include "../insight/memory.h"
#include "../insight/why.h"
#include "../runtime/attach.h"

void rr_get_stats(rr_stats *out) {
    memset(out, 0, sizeof *out);
    rr__context *cx = rr__self()->context;
    rr__global_lock();
    rr_runtime *rt = cx ? cx->runtime : rr__runtime_find_locked(rr__self()->chosen);
    if (rt && rr__load_acquire(&rt->phase) != RR__STOPPED) rr__stats_fill(rt, out);
    rr__global_unlock();
}

rr_status rr_resources(const char *name, double *total, double *available) {
    rr_status status;
    double unused;
    total = total ? total : &unused, available = available ? available : &unused;
    *total = *available = 0;
    rr__context *cx = rr__enter(&status);
    if (!cx) return status;
    if (!name)
        return rr__note(RR__NULL_REF, RR_ERR_INVALID,
                        "rr_resources: a name is needed, \"cpu\" or one of rr_config.resources");
    if (rr__stock_figures(cx->runtime, name, total, available)) return RR_OK;
    return rr__note(RR__NULL_REF, RR_ERR_NOT_FOUND,
                    "there is no resource '%s': name it in rr_config.resources", name);
}

rr_status rr_write_memory(FILE *file) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (!cx) return status;
    if (!file) return rr__note(RR__NULL_REF, RR_ERR_INVALID, "rr_write_memory: a file is needed");
    status = rr__write_memory(cx, file);
    if (status == RR_ERR_IO)
        return rr__note(RR__NULL_REF, status, "rr_write_memory: the file could not be written");
    return status == RR_OK ? status : rr__note_status(RR__NULL_REF, status);
}

rr_status rr_why(rr_ref ref, char *buffer, size_t size) {
    rr_status status;
    rr__text text = {buffer, buffer ? size : 0, 0};
    rr__context *cx = rr__enter(&status);
    rr__object *o = cx ? rr__pin(cx, ref, false) : NULL;
    if (o) {
        rr__why(cx, o, &text);
        return RR_OK;
    }
    const char *refusal = cx ? rr__handle_text(cx->runtime, ref) : rr_status_text(status);
    rr__text_add(&text, "%s", refusal);
    return rr__note(ref, cx ? rr__handle_status(ref) : status, "%s", refusal);
}
