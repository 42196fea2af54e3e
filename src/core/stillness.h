/* Does the runtime stand still: nothing runs, nothing is queued, and nobody is about to do
   something? Asked by rr_config.max_pending, and by rr_shutdown.
   Locks: one after the other those of the resources and the timers. */
#pragma once
#include "waiting.h"

/* Does this thread carry nothing that runs? Services count what they do. One from outside may run
   a recipe on its own stack, and sleep in that. Under the runtime's lock. */
static bool rr__is_still(rr__context *cx) {
    if (cx->is_worker) return cx->is_parked || cx->serve;
    if (!rr__load_acquire(&cx->frame) && !rr__load_seq_cst(&cx->deque.is_served)) return true;
    rr__lock(&cx->parker.lock);
    const rr__sleeper *s = cx->parker.sleeper;
    bool sleeps = s && !s->has_limit && !rr__sleeper_is_over_locked(s);
    rr__unlock(&cx->parker.lock);
    return sleeps;
}

/* Nothing runs and nothing is queued: what is pending waits for something else. */
static bool rr__stands_still(rr_runtime *rt) {
    rr__lock(&rt->resources->lock);
    int64_t roles = rt->workers - rt->resources->pot;
    bool starts = rt->resources->starting > 0;
    rr__unlock(&rt->resources->lock);
    uint64_t idle = rr__load_seq_cst(&rt->idle);
    return RR__SLEEPING(idle) == roles && !RR__SEARCHING(idle) && !starts && !rr__has_work(rt);
}

/* Something will happen by itself after a while; a limit alone is nothing of that. */
static bool rr__has_timers(rr_runtime *rt) {
    rr__lock(&rt->timers->lock);
    bool has = rt->timers->retries > 0 || rt->timers->sleeps > 0 || rt->timers->firing > 0 ||
               rt->timers->room.at;
    rr__unlock(&rt->timers->lock);
    return has;
}

/* Nothing runs and nothing is queued, but not all has ended: the rest waits for objects that were
   created and never sealed. */
static bool rr__is_stuck(rr_runtime *rt) {
    uint64_t idle = rr__load_seq_cst(&rt->idle);
    if (!rr__stands_still(rt) || rr__has_timers(rt)) return false;
    for (int pass = 0; pass < 2; pass++) /* twice: one thread may have woken another behind us */
        for (rr__context *cx = rr__load_acquire(&rt->contexts); cx; cx = cx->next)
            if (!rr__is_still(cx)) return false;
    return rr__load_seq_cst(&rt->idle) == idle && !rr__has_work(rt);
}
