/* Does the runtime stand still: nothing runs, nothing is queued, and nobody is about to do
   something? Asked by who waits for room, by rr_config.max_pending, and by rr_shutdown.
   Locks: one after the other those of the resources, the timers and the contexts. */
#pragma once
#include "timers.h"
#include "waiting.h"

/* Does this thread stand still for as long as nobody else does something? Services count what they
   do. Under the runtime's lock. */
static bool rr__is_still(rr__context *cx) {
    rr__lock(&cx->lock);
    rr__sleeper *s = cx->sleeper;
    bool sleeps =
        s && s->sleeps && !s->has_limit && !rr__sleeper_is_over_locked(s) && !s->is_called;
    rr__unlock(&cx->lock);
    sleeps = sleeps || rr__load_seq_cst(&cx->awaits_value);
    if (cx->is_worker) return sleeps || cx->is_parked || cx->serve;
    return sleeps || (!rr__load_acquire(&cx->frame) && !rr__load_seq_cst(&cx->deque.is_served));
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

/* Nothing runs and nothing is queued, but not all has ended: the rest waits for objects that were
   created and never sealed. */
static bool rr__is_stuck(rr_runtime *rt) {
    uint64_t idle = rr__load_seq_cst(&rt->idle);
    if (!rr__stands_still(rt)) return false;
    rr__lock(&rt->timers->lock);
    bool goes_on = rt->timers->retries > 0 || rt->timers->firing > 0; /* a limit alone does not */
    rr__unlock(&rt->timers->lock);
    if (goes_on) return false;
    for (int pass = 0; pass < 2; pass++) /* twice: one thread may have woken another behind us */
        for (rr__context *cx = rr__load_acquire(&rt->contexts); cx; cx = cx->next)
            if (!rr__is_still(cx)) return false;
    return rr__load_seq_cst(&rt->idle) == idle && !rr__has_work(rt);
}
