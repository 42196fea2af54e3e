/* Roles on their way: given up by who blocks, taken back, handed in for tasks that need other than
   one CPU. P2 stands in core/queues.h.
   Locks: that of the resources. */
#pragma once
#include "resources.h"

/* A role was put to sleep: is it wanted in the pot? */
static void rr__role_offer(rr__context *cx) {
    if (RR__LIKELY(!rr__load_seq_cst(&cx->runtime->resources->roles_wanted))) return;
    rr__lock(&cx->runtime->resources->lock);
    rr__stock_unlock(cx);
}

/* The thread will wait: its right to run passes to another one, if there is work. */
static void rr__role_give(rr__context *cx) {
    uint64_t idle = rr__load_seq_cst(&cx->runtime->idle);
    if (!cx->has_role && !RR__SLEEPING(idle)) return;
    if (cx->has_role) {
        cx->has_role = false;
        idle = rr__add_seq_cst(&cx->runtime->idle, RR__ONE_SLEEPING); /* rule P2 */
        rr__role_offer(cx);
    } /* else a role may sleep because there was no thread for it: now there is this one */
    if (rr__has_work(cx->runtime)) rr__wake_one(cx->runtime);
    if (idle & RR__STOP) rr__quiet_signal(cx->runtime);
}

/* Takes a sleeping role, if there is one. Without one a body goes on all the same and its
   thread parks after it. */
static bool rr__role_take(rr__context *cx) {
    uint64_t idle = rr__load_seq_cst(&cx->runtime->idle);
    while (cx->is_worker && !cx->has_role && RR__SLEEPING(idle))
        if (rr__cas_seq_cst(&cx->runtime->idle, &idle, idle - RR__ONE_SLEEPING))
            cx->has_role = true;
    return cx->has_role;
}

/* Between two tasks, where roles are wanted: the worker goes on without one. */
static RR__NOINLINE void rr__role_hand_in(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    rr__lock(&rt->resources->lock);
    bool is_wanted = rr__load_relaxed(&rt->resources->roles_wanted) > 0; /* under this lock */
    if (is_wanted && cx->has_role) cx->has_role = false, rt->resources->pot++;
    rr__stock_unlock(cx);
}
