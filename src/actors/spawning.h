/* Making actors: what their options ask for, and the block with their state.
   Locks: none of its own. */
#pragma once
#include "../tasks/functions.h"
#include "turns.h"

static rr__actor *rr__actor_block(rr__context *cx, const rr_function *fn) {
    uint8_t place;
    size_t size = rr__actor_head(fn) + fn->self.size;
    rr__actor *a = rr__block_new(cx, size, &place);
    if (!a) return NULL;
    memset(a, 0, size);
    a->place = place;
    return a;
}

static rr__error *rr__actor_options_error(rr__context *cx, const rr__object *actor,
                                          const rr_actor_options *options) {
    const char *field =
        options->max_restarts < -1      ? "max_restarts must be -1 or more"
        : options->restart_delay_ms < 0 ? "restart_delay_ms must be 0 or more"
        : options->max_method_retries < -1 || options->max_method_retries > 254
            ? "max_method_retries must be -1 to 254"
        : options->max_method_retries && !options->max_restarts
            ? "max_method_retries needs max_restarts: a method that its actor crashed "
              "in runs again on a fresh state"
        : options->max_pending < 0 ? "max_pending must be 0 or more"
        : options->when_full != RR_REFUSE && options->when_full != RR_WAIT
            ? "when_full must be RR_REFUSE or RR_WAIT"
        : options->when_full && !options->max_pending
            ? "when_full needs max_pending: without a limit no mailbox is full"
        : options->max_concurrency < 0     ? "max_concurrency must be 0 or more"
        : options->name && !*options->name ? "name must not be empty; NULL is no name"
                                           : NULL;
    if (!field) return NULL;
    return rr__error_new(cx->runtime, RR_ERR_INVALID, actor, "rr_actor_options.%s", field);
}

static bool rr__actor_options_are_zero(const rr_actor_options *o) {
    return !rr__has_needs(o->num_cpus, o->resources) && !o->name && !o->max_restarts &&
           !o->restart_delay_ms && !o->max_method_retries && !o->max_pending && !o->when_full &&
           !o->max_concurrency;
}

/* Gives an actor, which is not published yet, what its options need. */
static rr__error *rr__care_new(rr__context *cx, rr__object *actor,
                               const rr_actor_options *options) {
    rr_runtime *rt = cx->runtime;
    int64_t needs[RR__STOCKS] = {0};
    if (!options || rr__actor_options_are_zero(options)) return NULL;
    size_t name_size = options->name ? strlen(options->name) + 1 : 0;
    rr__care *care = RR_CALLOC(1, sizeof *care + name_size);
    if (!care) return rt->no_memory;
    rr__control *control = &care->control;
    actor->extra.own->care = care, control->task = actor;
    control->retry.control = control->turn.control = control;
    care->max_method_retries = options->max_method_retries;
    care->max_pending = options->max_pending;
    care->max_concurrency = options->max_concurrency ? options->max_concurrency : 1;
    care->senders_wait = options->when_full == RR_WAIT;

    rr__error *error = rr__actor_options_error(cx, actor, options);
    if (!error) error = rr__needs_read(rt, actor, options->num_cpus, options->resources, needs);
    if (error) return error;
    needs[RR__CPU] = needs[RR__CPU] > RR__WHOLE ? needs[RR__CPU] - RR__WHOLE : 0;
    control->max_retries = options->max_restarts;
    control->retry_delay_ms = options->restart_delay_ms;
    if (options->max_restarts && options->restart_delay_ms) {
        if (!rr__timers_promise(rt, 1)) return rt->no_memory;
        control->timers = 1;
    }
    return rr__turn_new(rt, control, needs, 0, true) ? NULL : rt->no_memory;
}

static rr__error *rr__spawn_error(rr__context *cx, rr__object *actor, rr_function *fn,
                                  const rr_actor_options *options, const rr__arg *args) {
    rr__error *error = rr__call_error(cx, fn, actor);
    if (!error && (error = rr__care_new(cx, actor, options))) actor->extra.own->is_refused = true;
    if (!error) error = rr__args_pack(cx, actor, args);
    cx = rr__after_room(cx);
    if (error || !options || !options->name) return error;
    if ((error = rr__name_add(cx, actor, options->name))) rr__args_release(cx, actor);
    RR__STRESS_POINT();
    return error;
}

/* Where it is in its slot's word. */
static void rr__actor_publish(rr__object *actor, enum rr__state state) {
    uint64_t care = actor->extra.own->care ? RR__HAS_CARE : 0;
    rr__publish_with(actor, state, 1, RR__KIND_VOID, RR__IS_ACTOR | care);
}

/* An actor that cannot be is there all the same, dead: the calls on it tell why. */
static void rr__spawn_failed(rr__context *cx, rr__object *actor, rr__error *error) {
    rr__actor *a = actor->extra.own;
    if (a->care) rr__control_end(cx, &a->care->control);
    a->watch = RR__ENDED;
    rr__store_release(&a->death, error);
    rr__store_release(&actor->dependents, RR__CLOSED);
    rr__count(cx, RR__ERRORS);
    rr__count(cx, RR__ACTORS_GONE);
    rr__actor_publish(actor, RR__FAILED);
    rr__signal_if_stopping(cx->runtime);
}

static rr_actor rr__spawn_in(rr__context *cx, const rr_actor_options *options, rr_function *fn,
                             const rr__arg *args, const char *site) {
    rr__local *self = rr__self();
    rr__is_valid(fn);
    rr__actor *a = rr__scope_ready(self) ? rr__actor_block(cx, fn) : NULL;
    rr__object *actor = a ? rr__task_new(cx, RR__CONSTRUCTOR, fn, site) : NULL;
    if (!actor) {
        if (a) rr__block_free(cx, a, a->place);
        return rr__status_actor(RR_ERR_NO_MEMORY);
    }
    actor->extra.own = a;

    rr_actor handle = rr__actor_to(cx, actor);
    rr__scope_hold(self, cx, actor, false);
    rr__error *error = rr__spawn_error(cx, actor, fn, options, args);
    cx = rr__after_room(cx);
    if (error) {
        rr__spawn_failed(cx, actor, error);
        return handle;
    }
    a->has_args = true;
    rr__actor_publish(actor, RR__WAITING);
    rr__proceed(cx, actor);
    return handle;
}
