/* The start of a runtime.
   Locks: the global one, then rr_runtime.lock. */
#pragma once
#include "../core/registry.h"
#include "attach.h"
#include "configure.h"

static void rr__join_all(rr_runtime *rt) {
    rr__lock(&rt->lock);
    rr__store_seq_cst(&rt->phase, (int)RR__STOPPED);
    for (rr__context *cx = rt->parked; cx; cx = cx->listed) rr__context_wake(cx);
    rt->parked = NULL;
    rr__unlock(&rt->lock);
    rr__lock(&rt->timers->lock);
    rr__cond_signal(&rt->timers->wake);
    rr__unlock(&rt->timers->lock);
    rr__lock(&rt->store->lock);
    rr__cond_broadcast(&rt->store->spill_wake);
    rr__unlock(&rt->store->lock);
    for (rr__context *cx = rr__load_acquire(&rt->contexts); cx; cx = cx->next)
        if (cx->has_thread) rr__thread_join(&cx->thread);
}

/* One context for a thread from outside, so that the one that made the runtime can end it again. */
static rr_status rr__workers_start(rr_runtime *rt) {
    int started = 0;
    rr__lock(&rt->lock);
    rt->vacant = rr__context_new(rt, false);
    while (rt->vacant && started < rt->workers && rr__worker_add_locked(rt, NULL)) started++;
    rr__unlock(&rt->lock);
    if (started == rt->workers) return RR_OK;
    return rr__note(
        RR__NULL_REF, RR_ERR_NO_MEMORY,
        "memory or threads ran out at worker %d of %d: lower rr_config.workers, or "
        "raise the limit of threads (ulimit -u) or of memory (ulimit -v, the container)",
        started + 1, rt->workers);
}

/* Makes a runtime with its workers running, and lists it. */
static rr_status rr__runtime_make(const rr_config *config, rr_runtime **out) {
    rr_runtime *rt = rr__runtime_alloc();
    if (!rt) return rr__note_status(RR__NULL_REF, RR_ERR_NO_MEMORY);
    rr_status status = rr__configure(rt, config);
    if (status == RR_OK && !rr__runtime_fill(rt)) status = RR_ERR_NO_MEMORY;
    if (status == RR_ERR_NO_MEMORY) rr__note_status(RR__NULL_REF, status);
    if (status != RR_OK) {
        RR_FREE(rt->no_memory); /* mutexes hold no memory on the platforms that there are */
        RR_FREE(rt->resources->names);
        RR_FREE(rt->store->spill_dir);
        RR_FREE(rt);
        return status;
    }
    rr__global_lock();
    if (!++rr__homes) rr__homes = 1;
    rt->home = rr__homes, rt->holders = 1;
    rt->next_runtime = rr__runtimes, rr__runtimes = rt;
    rr__global_unlock();
    rr__store_seq_cst(&rt->idle, (uint64_t)rt->workers * RR__ONE_SEARCHING);
    *out = rt;
    return rr__workers_start(rt);
}

static bool rr__default_take(rr_runtime *rt) {
    rr_runtime *none = NULL;
    rt->is_default = true;
    return rr__cas_seq_cst(&rr__default, &none, rt);
}

static rr_status rr__note_already(void) {
    return rr__note(RR__NULL_REF, RR_ERR_ALREADY_RUNNING,
                    "the default runtime is running already: rr_shutdown ends it, and "
                    "rr_runtime_create makes another one beside it");
}

static rr_status rr__runtime_start(const rr_config *config, bool is_default, rr_runtime **out) {
    rr_runtime *rt = NULL;
    RR__ONCE(rr__global_start);
    if (is_default && rr__load_acquire(&rr__default)) return rr__note_already();
    /* Who makes it can end it, also if there is no memory then. */
    rr_status status = rr__local_hook(rr__self()) ? rr__registry_refresh() : RR_ERR_NO_MEMORY;
    if (status != RR_OK) return rr__note_status(RR__NULL_REF, status);
    status = rr__registry_report(config);
    if (status == RR_OK) status = rr__runtime_make(config, &rt);
    if (status == RR_OK && is_default && !rr__default_take(rt)) status = rr__note_already();
    if (status == RR_OK) {
        *out = rt;
        return RR_OK;
    }
    if (rt) rr__join_all(rt), rr__runtime_let_go(rt);
    return status;
}
