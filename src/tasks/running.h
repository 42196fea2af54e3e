/* Running a body: a frame on the stack of the thread, a scope, the arguments, the call, and what it
   returned.
   Locks: none of its own. */
#pragma once
#include "complete.h"
#include "recipes.h"

static RR__INLINE void rr__frame_init(rr__frame *frame, rr__object *task, rr__lane **lanes,
                                      rr__object *actor) {
    frame->task = task, frame->lanes = lanes, frame->error = NULL, frame->room = NULL;
    frame->actor = actor, frame->is_end = frame->wants_exit = false, frame->blocking = 0;
    frame->lent = 0, frame->granted = NULL, frame->crash = NULL;
}

static RR__INLINE void rr__frame_open(rr__context *cx, rr__frame *frame) {
    rr__local *self = rr__self();
    frame->outer = self->frame, frame->self = self, frame->runner = cx;
    frame->scope_start = self->scopes.start, frame->scope_depth = self->scopes.depth;
    frame->floor = self->scopes.floor;
    frame->chosen = self->chosen;
    self->context = cx, self->chosen = cx->runtime;
    self->scopes.start = self->scopes.floor = self->scopes.count;
    self->scopes.depth++;
    self->frame = frame;
    rr__store_release(&cx->frame, frame); /* pairs with rr__is_still */
}

/* It blocks: another thread may have its worker's role. */
static RR__NOINLINE void rr__block_begin(rr__frame *frame) {
    frame->blocking = 1;
    frame->self->apart++;
    if (frame->self->fiber) rr__role_give(frame->self->carrier);
    if (frame->self->granted) rr__grants_lend(frame->self, true);
}

/* It blocks no more, and takes a role again: if none is free it lets its thread go until a worker
   takes it. */
static RR__NOINLINE void rr__block_over(rr__frame *frame) {
    rr__local *self = frame->self;
    rr__context *cx = self->carrier;
    frame->blocking = 0;
    self->apart--;
    if (self->granted) rr__grants_lend(self, false);
    if (!cx || self->apart || rr__role_take(cx) || !cx->is_worker) return;
    if (rr__fiber_ready_to_go(cx)) rr__fiber_yield(self);
}

/* Ends the body's scopes. Returns the context in which it has ended. */
static RR__INLINE rr__context *rr__frame_close(rr__context *cx, rr__frame *frame) {
    rr__local *self = frame->self;
    rr__held_release_to(self, self->scopes.floor);
    if (RR__UNLIKELY(frame->blocking)) rr__block_over(frame); /* while it is there, for its CPUs */
    cx = rr__here_of(self, cx);
    self->scopes.start = frame->scope_start, self->scopes.depth = frame->scope_depth;
    self->scopes.floor = frame->floor;
    self->context = cx, self->chosen = frame->chosen;
    self->frame = frame->outer;
    rr__store_release(&cx->frame, frame->outer);
    if (frame->room) rr__value_return(cx, frame->room, frame->room_bytes, frame->room_place);
    return cx;
}

/* ---- results ---- */

static RR__INLINE rr_status rr__result_prepare(rr__context *cx, const rr_function *fn,
                                               rr__result *result) {
    result->block = NULL, result->place = RR__IN_SLOT, result->size = fn->result.size;
    if (result->size <= RR__INLINE_BYTES) return RR_OK;
    return rr__value_room(cx, result->size, &result->block, &result->place);
}

/* What was not used of it goes back, also the memory: else the limit would not be one. */
static void rr__result_shrink(rr__context *cx, rr__frame *frame, rr__result *result) {
    rr__store_return(cx->runtime, frame->room_bytes - result->size);
    uint8_t place = rr__class_of(result->size);
    bool is_tight = place == result->place &&
                    (place != RR__ON_ITS_OWN || result->size > frame->room_bytes / 4 * 3);
    void *block = is_tight ? NULL : rr__block_new(cx, result->size, &place);
    if (!block) return;
    memcpy(block, result->block, result->size);
    rr__block_free(cx, result->block, result->place);
    result->block = block, result->place = place;
}

/* Bytes: what rr_result gave is taken over, everything else copied into the store. */
static rr__error *rr__result_bytes(rr__context *cx, rr__frame *frame, rr__result *result) {
    rr_bytes bytes = result->inlined.bytes;
    rr_runtime *rt = cx->runtime;
    result->size = bytes.size, result->place = RR__ON_ITS_OWN;
    bool is_room = bytes.data && bytes.data == frame->room;
    if ((!bytes.data && bytes.size) || (is_room && bytes.size > frame->room_bytes))
        return rr__error_new(rt, RR_ERR_INVALID, frame->task, "it returned %zu bytes at %s",
                             bytes.size,
                             bytes.data ? "the room from rr_result, which is smaller" : "NULL");
    if (bytes.size == 0) return NULL;
    if (is_room) {
        result->block = frame->room, result->place = frame->room_place;
        frame->room = NULL;
        rr__result_shrink(cx, frame, result);
        return NULL;
    }
    rr_status status = rr__value_room(cx, bytes.size, &result->block, &result->place);
    if (status != RR_OK) return rr__error_of_status(rt, status, frame->task);
    memcpy(result->block, bytes.data, bytes.size);
    return NULL;
}

static rr__error *rr__result_refuse(rr__context *cx, rr__result *result, rr__error *error) {
    rr__value_return(cx, result->block, result->size, result->place);
    return error;
}

/* Between the body and the end of its scope. */
static RR__INLINE rr__error *rr__result_take(rr__context *cx, rr__frame *frame,
                                             const rr_function *fn, rr__result *result) {
    if (frame->error) return rr__result_refuse(cx, result, frame->error);
    int kind = fn->result.kind;
    if (RR__LIKELY(rr__kind_is_plain((unsigned)kind))) return NULL;
    if (kind == RR__KIND_BYTES) return rr__result_bytes(cx, frame, result);
    bool is_handle = kind == RR__KIND_REF || kind == RR__KIND_ACTOR;
    if (is_handle && !rr__result_handle(cx, result, kind == RR__KIND_ACTOR))
        return rr__error_new(cx->runtime, RR_ERR_STALE, frame->task,
                             "it returned a handle that leads to nothing: %s",
                             rr__handle_text(cx->runtime, result->inlined.ref));
    return NULL;
}

/* ---- arguments and room together (rule E6) ---- */

/* Room for the result, and the arguments (rule E6). Returns as rr__args_pass, and -1 for the
   result. */
static int rr__args_and_room(rr__context *cx, rr__object *task, void **args, rr__view *views,
                             rr__result *result, rr_status *status) {
    *status = rr__result_prepare(cx, task->of.fn, result);
    if (*status != RR_OK) return -1;
    int at = rr__args_pass(rr__after_room(cx), task, args, views, status);
    if (*status == RR_OK) return at;
    rr__value_return(rr__after_room(cx), result->block, result->size, result->place);
    result->block = NULL;
    return at;
}

/* The same, if it is possible without waiting for room. */
static int rr__args_at_once(rr__context *cx, rr__object *task, void **args, rr__view *views,
                            rr__result *result, rr_status *status) {
    rr__local *self = rr__self();
    self->is_hasty = task->by_ref != 0;
    int at = rr__args_and_room(cx, task, args, views, result, status);
    self->is_hasty = false;
    return at;
}

/* What has to be made again is, one after the other, with none of them in hand. Returns the first
   that cannot be, with the status, or -1. */
static int rr__args_remake(rr__context *cx, rr__object *task, rr_status *status) {
    const rr_function *fn = task->of.fn;
    char *at = rr__args_of(task);
    *status = RR_OK;
    for (int i = 0; task->by_ref >> i; at += rr__arg_bytes(fn, task->by_ref, i), i++) {
        rr__object *o = task->by_ref >> i & 1 ? rr__counted_arg(at) : NULL;
        if (!o || o->kind == RR__GATHER) continue;
        *status = rr__use(rr__here(cx), o);
        if (*status == RR_OK) rr__unuse(rr__here(cx), o);
        else return i;
    }
    return -1;
}

/* Where the store has no room for all of them it waits: holding none, or, one task at a time, those
   that it has (rule E6). */
static int rr__args_load(rr__context *cx, rr__object *task, void **args, rr__view *views,
                         rr__result *result, rr_status *status) {
    bool had;
    int at = rr__args_at_once(cx, task, args, views, result, status);
    if (RR__LIKELY(*status != RR_ERR_STORE_FULL) || !task->by_ref) return at;
    if (cx->runtime->config.evict == RR_EVICT_REBUILD) {
        at = rr__args_remake(cx, task, status);
        if (at < 0) at = rr__args_at_once(rr__here(cx), task, args, views, result, status);
        if (*status != RR_ERR_STORE_FULL) return at;
    }
    rr_status turn = rr__loader_begin(rr__here(cx), &had);
    if (turn == RR_OK) at = rr__args_and_room(rr__here(cx), task, args, views, result, status);
    else *status = turn;
    if (!had) rr__loader_end(rr__self());
    return at;
}

/* NULL, or why the arguments or room for the result cannot be had. Where values may leave. */
static RR__NOINLINE rr__error *rr__load(rr__context *cx, rr__object *task, void **args,
                                        rr__view *views, rr__result *result) {
    rr_status status;
    int i = rr__args_load(cx, task, args, views, result, &status);
    return RR__LIKELY(status == RR_OK) ? NULL : rr__args_error(rr__here(cx), task, i, status);
}

/* ---- the call ---- */

/* Structs that go through its stack, and are copied there, may not take more than half of it. */
static RR__NOINLINE rr__error *rr__stack_refuse(rr_runtime *rt, const rr__object *task) {
    return rr__error_new(rt, RR_ERR_INVALID, task,
                         "its arguments and its result are %zu bytes by value, which is more than "
                         "half of the %zu bytes of stack that a body finds: raise "
                         "rr_config.stack_bytes, or pass rr_bytes",
                         task->of.fn->by_value, rt->body_bytes);
}

/* Runs a body; on success *result holds what it returned. *at is the context in which it began, and
   then that in which it has ended. */
static RR__INLINE rr__error *rr__invoke(rr__context **at, rr__frame *frame, const rr_function *fn,
                                        void *state, rr__result *result) {
    rr__context *cx = *at;
    rr__object *task = frame->task;
    bool is_loaded = cx->runtime->evicts && fn->kind != RR__DESTRUCTOR;
    rr_status status = RR_OK;
    if (RR__UNLIKELY(fn->by_value > cx->runtime->body_bytes / 2))
        return rr__stack_refuse(cx->runtime, task);
    if (RR__LIKELY(!is_loaded)) status = rr__result_prepare(cx, fn, result);
    else result->block = NULL;
    if (status != RR_OK) return rr__error_of_status(cx->runtime, status, task);
    void *args[RR__MAX_PARAMS];
    rr__view views[RR__MAX_PARAMS];
    rr__frame_open(cx, frame);
    rr__error *error = NULL;
    if (RR__UNLIKELY(is_loaded)) error = rr__load(cx, task, args, views, result);
    else if (fn->kind != RR__DESTRUCTOR) error = rr__args_unpack(cx, task, args, views);
    if (RR__UNLIKELY(error != NULL)) {
        error = rr__result_refuse(rr__here(cx), result, error);
    } else {
        fn->thunk(state, args, result->block ? result->block : &result->inlined);
        error = rr__result_take(rr__frame_context(frame), frame, fn, result);
        if (RR__UNLIKELY(is_loaded)) rr__args_unuse(rr__frame_context(frame), task, fn->arity);
    }
    *at = rr__frame_close(cx, frame);
    return error;
}

/* After the body: a task's or message's arguments go, its value or error is stored. */
static RR__INLINE void rr__finish(rr__context *cx, rr__object *task, rr__error *error,
                                  rr__result *result) {
    if (error) {
        rr__fail_with(cx, task, error);
        return;
    }
    rr__object *recipe = NULL;
    if (RR__UNLIKELY(cx->runtime->evicts)) recipe = rr__recipe_of(cx, task, result);
    if (!recipe) rr__args_release(cx, task);
    task->place = result->place;
    if (RR__LIKELY(task->place == RR__IN_SLOT))
        rr__write_words(task, &result->inlined, result->size);
    else {
        rr__store_relaxed(&task->info, (uint64_t)result->size); /* published with word */
        task->data.block = result->block;
        if (RR__UNLIKELY(cx->runtime->evicts)) rr__stored_make(cx, task, recipe);
    }
    rr__count(cx, RR__FINISHED);
    rr__object *actor = rr__actor_of(task);
    rr__complete(cx, task, RR__READY);
    if (actor) rr__drop(cx, actor);
}
