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
    if (rt && rr__load_acquire(&rt->phase) != RR__STOPPED) {
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
    rr__global_unlock();
}

/* Of the workers: roles that nobody runs on, and what the pot has left. */
static int64_t rr__cpus_left_locked(rr_runtime *rt) {
    uint64_t idle = rr__load_seq_cst(&rt->idle);
    int64_t left = (int64_t)RR__SLEEPING(idle) + RR__SEARCHING(idle) + rt->resources->pot;
    int64_t total = rt->resources->stocks[RR__CPU].total;
    left = left * RR__WHOLE - rt->resources->apart_cpus;
    return left < 0 ? 0 : left < total ? left : total;
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
    rr_runtime *rt = cx->runtime;
    int at = rr__stock_find(rt, name);
    if (at < 0)
        return rr__note(RR__NULL_REF, RR_ERR_NOT_FOUND,
                        "there is no resource '%s': name it in rr_config.resources", name);
    rr__lock(&rt->resources->lock);
    const rr__stock *stock = &rt->resources->stocks[at];
    int64_t left = at == RR__CPU ? rr__cpus_left_locked(rt) : stock->total - stock->used;
    *total = (double)stock->total / RR__WHOLE;
    rr__unlock(&rt->resources->lock);
    *available = (double)left / RR__WHOLE;
    return RR_OK;
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
    enum { DEPTH = 16 };
    rr_status status;
    rr__text text = {buffer, buffer ? size : 0, 0};
    rr__context *cx = rr__enter(&status);
    rr__object *o = cx ? rr__pin(cx, ref, false) : NULL, *next;
    const char *refusal = cx ? rr__handle_text(cx->runtime, ref) : rr_status_text(status);
    if (cx && !o) status = rr__handle_status(ref);
    if (!o) rr__text_add(&text, "%s", refusal);
    bool is_told = false; /* that it runs: by its actor */
    for (int depth = 0; o; o = next, depth++) {
        enum rr__state state = rr__state_of(rr__load_acquire(&o->word));
        RR__STRESS_POINT();
        next = rr__why_next(cx, o, state);
        rr__describe(&text, o);
        if (!is_told || next || state != RR__RUNNING) {
            rr__text_add(&text, depth ? ", which " : " ");
            rr__why_state(cx->runtime, &text, o, state, next);
        }
        is_told = o->kind == RR__CONSTRUCTOR && state == RR__RUNNING;
        rr__drop(cx, o);
        if (next && depth == DEPTH) { /* or in a ring */
            rr__text_add(&text, "...");
            rr__drop(cx, next);
            next = NULL;
        }
    }
    return status == RR_OK ? RR_OK : rr__note(ref, status, "%s", refusal);
}
