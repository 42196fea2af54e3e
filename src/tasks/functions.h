/* Calls of remote functions: what their options ask for, submitting, and running.
   Locks: none of its own. */
#pragma once
#include "../core/needs.h"
#include "../core/registry.h"
#include "../core/stillness.h"
#include "cancelling.h"
#include "lanes.h"
#include "rebuilding.h"
#include "retries.h"
#include "stream_queue.h"

/* ---- options ---- */

static rr__error *rr__options_error(rr__context *cx, const rr__object *task,
                                    const rr_options *options) {
    const char *field =
        options->timeout_ms < 0       ? "timeout_ms must be 0 or more"
        : options->max_retries < -1   ? "max_retries must be -1 or more"
        : options->retry_delay_ms < 0 ? "retry_delay_ms must be 0 or more"
        : options->max_unread < 0     ? "max_unread must be 0 or more"
        : (options->max_unread || options->max_unread_bytes) && !task->of.fn->item.size
            ? "max_unread and max_unread_bytes are for streams "
              "(rr_call_stream_with)"
        : options->name && !*options->name ? "name must not be empty; NULL is its own"
        : options->blocking && options->num_cpus != 0
            ? "num_cpus means nothing with .blocking, which takes no worker"
            : NULL;
    return field ? rr__error_new(cx->runtime, RR_ERR_INVALID, task, "rr_options.%s", field) : NULL;
}

/* Gives a task, which is not published yet, what its options need. On an error, too, it has them
   until it is ended. */
static rr__error *rr__control_new(rr__context *cx, rr__object *task, const rr_options *options) {
    rr_runtime *rt = cx->runtime;
    int64_t needs[RR__STOCKS] = {0};
    size_t name_size = options->name && *options->name ? strlen(options->name) + 1 : 0;
    rr__control *control = RR_CALLOC(1, sizeof *control + name_size);
    if (!control) return rt->no_memory;
    control->task = task, task->extra.control = control;
    control->limit.control = control->retry.control = control->turn.control = control;
    if (name_size) control->name = memcpy(control + 1, options->name, name_size);
    rr__store_relaxed(&task->word, RR__HAS_CONTROL); /* nobody else is here yet */

    rr__error *error = rr__options_error(cx, task, options);
    if (!error) error = rr__needs_read(rt, task, options->num_cpus, options->resources, needs);
    if (error) return error;
    control->max_retries = options->max_retries, control->retry_delay_ms = options->retry_delay_ms;
    control->is_blocking = options->blocking, control->no_rebuild = options->no_rebuild;
    control->has_limit = options->timeout_ms != 0;
    if (task->of.fn->item.size) {
        control->stream = rr__stream_new(options->max_unread, options->max_unread_bytes);
        if (!control->stream) return rt->no_memory;
    }
    if (options->timeout_ms || (options->max_retries && options->retry_delay_ms)) {
        if (!rr__timers_promise(rt, 2)) return rt->no_memory;
        control->timers = 2;
    }
    return rr__turn_new(rt, control, needs, options->priority, false) ? NULL : rt->no_memory;
}

/* With the slot; what it has set or taken went before. */
static void rr__control_free(rr__control *control) {
    if (control) rr__stream_free(control->stream);
    RR_FREE(control);
}

/* ---- running ---- */

static void rr__run_begin(rr__context *cx, rr__frame *frame, rr__control *control) {
    rr__local *self = frame->self = rr__self();
    if (control->is_blocking) rr__block_begin(frame);
    if (control->stream) control->stream->now = 0;
    if (!control->shape) return;
    frame->granted = control;
    self->granted++;
    if (!control->shape->amounts[RR__CPU]) return;
    self->apart++;
    rr__apart_enter(cx, control);
}

/* Also when there was no room for a result, and the frame was never opened. */
static void rr__run_end(rr__frame *frame) {
    rr__local *self = frame->self;
    if (frame->blocking) rr__block_over(frame);
    if (!frame->granted) return;
    self->granted--;
    if (frame->granted->shape->amounts[RR__CPU]) self->apart--;
}

static RR__INLINE void rr__run_function(rr__context *cx, rr__object *task) {
    rr__lane *lanes = NULL;
    rr__frame frame;
    rr__result result;
    rr__frame_init(&frame, task, &lanes, NULL);
    bool has_control = (rr__load_relaxed(&task->word) & RR__HAS_CONTROL) != 0; /* fixed */
    if (RR__UNLIKELY(has_control)) rr__run_begin(cx, &frame, task->extra.control);
    if (RR__UNLIKELY(cx->runtime->config.max_pending)) rr__pending_end(cx, task);
    rr__error *error = rr__invoke(&cx, &frame, task->of.fn, NULL, &result);
    if (lanes) rr__lanes_abandon(cx, lanes);
    if (RR__UNLIKELY(has_control)) {
        rr__run_end(&frame);
        cx = rr__here_of(frame.self, cx);
    }
    if (RR__UNLIKELY(error && has_control) && rr__retry(cx, task, &error)) return;
    rr__finish(cx, task, error, &result);
}

/* ---- as a class ---- */

/* Every argument is complete: to the queue, or the failure is passed on. */
static void rr__function_ready(rr__context *cx, rr__object *task) {
    rr__error *error = rr__failed_argument(cx, task);
    if (error) rr__fail_with(cx, task, error);
    else rr__enqueue(cx, task);
}

static void rr__function_run(rr__context *cx, rr__object *task, const rr__step *until) {
    (void)until;
    rr__run_function(cx, task);
    if (RR__UNLIKELY(cx->runtime->evicts)) rr__store_leave(rr__here(cx));
}

static void rr__function_abandon(rr__context *cx, rr__object *task) {
    rr__task_give_up(cx, task);
    rr__drop(cx, task);
}

/* It waits in the list of an argument, which gives it up when that is complete. */
static void rr__function_decided(rr__context *cx, rr__object *task) { (void)cx, (void)task; }

static void rr__function_due(rr__context *cx, rr__object *task, bool is_retry) {
    if (is_retry) rr__enqueue(cx, task);
    else rr__cancel_tree(cx, task, RR__IS_LATE);
}

static void rr__function_begun(rr__context *cx, rr__object *task) {
    (void)task;
    rr__sub_seq_cst(&cx->runtime->tasks->pending, (int64_t)1);
}

static void rr__function_end(rr__context *cx, rr__object *task) {
    rr__control_free(rr__control_of(task));
    rr__outcome_free(cx, task);
}

/* ---- submitting ---- */

/* Stopping and submitting from outside go on at the same time. rr__quiesce adds up what was
   submitted and what has ended, sets has_quiesced when that is the same, and adds up again; a
   submitter counts first and then looks at has_quiesced (all seq_cst). So either rr__quiesce sees
   the count and waits for the task, or the submitter sees has_quiesced and fails it. */
static bool rr__is_too_late(rr__context *cx) {
    return rr__load_seq_cst(&cx->runtime->has_quiesced) && !rr__load_relaxed(&cx->frame);
}

/* A task that is complete but for its arguments: counts 2 (the caller's and its own), or 1. */
static RR__INLINE rr__object *rr__task_new(rr__context *cx, enum rr__kind kind,
                                           const rr_function *fn, const char *site) {
    rr__object *task = rr__object_new(cx, kind, site);
    if (!task) return NULL;
    rr__frame *frame = rr__load_relaxed(&cx->frame); /* the owner's own */
    task->of.fn = fn;
    if (frame) rr__parent_note(cx, task, frame);
    uint64_t n = rr__load_relaxed(&cx->counters[RR__SUBMITTED]); /* only the owner writes */
    if (!cx->is_worker) rr__store_seq_cst(&cx->counters[RR__SUBMITTED], n + 1); /* see above */
    else rr__store_release(&cx->counters[RR__SUBMITTED], n + 1);
    return task;
}

static rr__error *rr__call_error(rr__context *cx, rr_function *fn, rr__object *task) {
    if (rr__load_acquire(&fn->state) != RR__VALID)
        return rr__error_new(cx->runtime, RR_ERR_DUPLICATE, task,
                             "another remote function has this name; this one is at %s", fn->site);
    if (rr__is_too_late(cx)) return rr__error_of_status(cx->runtime, RR_ERR_NOT_RUNNING, task);
    return NULL;
}

static void rr__submit_failed(rr__context *cx, rr__object *task, rr__error *error, uint32_t count) {
    uint64_t flag = rr__load_relaxed(&task->word); /* RR__HAS_CONTROL; nobody else is here yet */
    if (flag) rr__control_end(cx, task->extra.control);
    task->data.error = error;
    rr__count(cx, RR__ERRORS);
    rr__publish_with(task, RR__FAILED, count - 1, task->of.fn->result.kind, flag);
    rr__signal_if_stopping(cx->runtime);
}

static void rr__pending_begin(rr__context *cx, rr__object *task) {
    rr__flag_set(task, RR__IS_PENDING);
    rr__add_seq_cst(&cx->runtime->tasks->pending, (int64_t)1);
}

/* rr_config.max_pending: a caller from outside runs tasks, or waits, until fewer are pending. A
   body goes on: it might bury itself under what waits for it. */
static RR__NOINLINE void rr__make_way(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    double length = 50e-6;
    if (rr__load_relaxed(&cx->frame)) return; /* the owner's own */
    rr__local *self = rr__self();
    bool began = rr__serve_begin(cx);
    while (rr__load_relaxed(&rt->tasks->pending) >= rt->config.max_pending) { /* a counter */
        rr__object *o = rr__fiber_ready_to_go(cx) ? rr__find_work(cx) : NULL;
        if (o) {
            rr__run_on(self, cx, o, NULL);
            length = 50e-6;
        } else if (rr__stands_still(rt)) {
            break;
        } else {
            rr__sleep(length);
            if (length < 1e-3) length *= 2;
        }
    }
    rr__serve_end(cx, began);
}

/* The options are NULL for most calls, which is known where this is compiled into. */
static RR__INLINE rr_ref rr__submit(rr__context *cx, rr_function *fn, const rr__arg *args,
                                    const rr_options *options, const char *site) {
    rr__local *self = rr__self();
    if (!rr__scope_ready(self)) return rr__status_ref(RR_ERR_NO_MEMORY);
    bool is_valid = rr__is_valid(fn);
    rr__object *task = rr__task_new(cx, RR__FUNCTION, fn, site);
    if (!task) return rr__status_ref(RR_ERR_NO_MEMORY);
    rr_ref ref = rr__ref_to(cx, task);
    rr__scope_hold(self, cx, task, false);
    rr__error *error =
        RR__LIKELY(is_valid && !rr__is_too_late(cx)) ? NULL : rr__call_error(cx, fn, task);
    if (!error) error = rr__parent_error(cx, task);
    if (!error && options) error = rr__control_new(cx, task, options);
    if (!error) error = rr__args_pack(cx, task, args);
    cx = rr__after_room(cx);
    if (error) {
        rr__submit_failed(cx, task, error, 2);
        return ref;
    }
    if (RR__UNLIKELY(cx->runtime->config.max_pending)) rr__pending_begin(cx, task);
    /* With options it is not queued before its timer is set: who cancels it may not end it. */
    bool is_ready = !task->by_ref && !options;
    rr__publish_with(task, is_ready ? RR__QUEUED : RR__WAITING, 2, fn->result.kind,
                     options ? RR__HAS_CONTROL : 0);
    if (options && options->timeout_ms > 0)
        rr__timer_set(cx->runtime, &task->extra.control->limit, rr__deadline(options->timeout_ms));
    if (is_ready) rr__push(cx, task);
    else rr__proceed(cx, task);
    rr__heed_parent(cx, ref);
    return ref;
}
