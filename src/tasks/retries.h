/* Retries: a task whose body has failed is tried again, after a while.
   Locks: the timers'. */
#pragma once
#include "complete.h"

/* How long to wait before the next attempt, in seconds: doubled each time, at most a minute, less
   up to a quarter, so that what failed together is not tried together. */
static double rr__retry_delay(const rr__control *control) {
    int doublings = control->attempt - 1 < 32 ? control->attempt - 1 : 32;
    double delay = 1e-3 * (double)control->retry_delay_ms * (double)((uint64_t)1 << doublings);
    uint64_t random = (control->task->slot * 2654435761u) ^ (uint64_t)(rr_now() * 1e9);
    random = (random ^ (random >> 31)) * 0x9e3779b97f4a7c15u; /* Fibonacci hashing, Knuth 6.4 */
    return (delay < 60 ? delay : 60) * (1 - 0.25 * (double)(random >> 40) / (double)(1 << 24));
}

static void rr__attempt_add(rr_runtime *rt, rr__control *control) {
    rr__lock(&rt->timers->lock); /* for rr__timers_revoke */
    control->attempt += control->attempt < INT_MAX - 1;
    rr__unlock(&rt->timers->lock);
}

/* The body has failed. Tries it again, if its options say so (true: it is no longer the caller's);
   else the error tells how often it was tried. Between attempts the task is WAITING, and its timer
   or, once it is unset, who unset it owns it. */
static RR__NOINLINE bool rr__retry(rr__context *cx, rr__object *task, rr__error **error) {
    rr__control *control = task->extra.control;
    rr_runtime *rt = cx->runtime;
    if (control->max_retries == 0) return false;
    if (control->attempt == control->max_retries) {
        *error = rr__error_after(rt, task, *error, "after %d attempts: ", control->attempt + 1);
        return false;
    }
    rr__error_drop(*error);
    rr__attempt_add(rt, control);
    rr__grant_return(cx, control);
    double delay = rr__retry_delay(control);
    bool is_decided = !rr__try_state(task, RR__RUNNING, RR__WAITING);
    if (is_decided || delay <= 0) {
        if (is_decided) rr__abandon(cx, task);
        else rr__enqueue(cx, task);
        return true;
    }
    rr__share(task); /* once its timer is set it may be over */
    rr__timer_set(rt, &control->retry, rr_now() + delay);
    bool unused;
    if (rr__is_decided(task) && rr__timers_revoke(rt, control, &unused)) rr__abandon(cx, task);
    rr__drop(cx, task);
    return true;
}
