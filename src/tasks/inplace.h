/* Results in place: a body takes over the memory of an argument that nobody else counts. The count
   of the task was the last one, so the argument's object ends, and NULL stands in its place.
   Locks: those of values; the census'. */
#pragma once
#include "arguments.h"

/* Room for the result; NULL: there is none, and the body fails with that. */
static void *rr__result_room(rr__context *cx, rr__frame *frame, size_t size) {
    rr__value_return(cx, frame->room, frame->room_bytes, frame->room_place);
    frame->room_bytes = size;
    rr_status status = rr__value_room(cx, size, &frame->room, &frame->room_place);
    if (status != RR_OK && !frame->error)
        frame->error = rr__error_of_status(cx->runtime, status, frame->task);
    return frame->room;
}

/* Where the argument of a body stands that these bytes are; NULL: they are none. */
static char *rr__argument_at(rr__object *task, rr_bytes bytes) {
    const rr_function *fn = task->of.fn;
    char *at = rr__args_of(task);
    for (int i = 0; task->by_ref >> i; at += rr__arg_bytes(fn, task->by_ref, i), i++) {
        bool is_bytes = (task->by_ref >> i & 1) && fn->params[i].kind == RR__KIND_BYTES;
        rr__object *o = is_bytes ? rr__counted_arg(at) : NULL;
        if (!o) continue;
        rr_bytes own = rr__bytes_in(o);
        if (own.data == bytes.data && own.size == bytes.size) return at;
    }
    return NULL;
}

/* It may need its arguments once more: when it is tried again, or its result is made again. */
static bool rr__may_run_again(rr__context *cx, const rr__frame *frame) {
    const rr__control *control = rr__control_of(frame->task);
    bool is_retried = frame->actor ? (rr__load_relaxed(&frame->actor->word) & RR__HAS_CARE) != 0
                                   : control && control->max_retries != 0; /* fixed, both */
    bool is_rebuilt = cx->runtime->evicts && cx->runtime->config.evict == RR_EVICT_REBUILD;
    return is_retried || (is_rebuilt && !frame->actor && !(control && control->no_rebuild));
}

/* An argument goes with its object. */
static void rr__argument_clear(rr__context *cx, rr__object *task, char *at) {
    rr__store *store = cx->runtime->store;
    rr__object *none = NULL;
    if (task->args_place == RR__IN_SLOT) {
        rr__store_release(&task->words[(at - (char *)task->words) / 8], (uint64_t)0);
        return;
    }
    bool is_read = rr__load_seq_cst(&store->has_census); /* perhaps: rr__census_args */
    if (is_read) rr__lock(&store->census_lock);
    memcpy(at, &none, sizeof none);
    if (is_read) rr__unlock(&store->census_lock);
}

/* Room for the result that holds what the argument does. */
static void *rr__result_from(rr__context *cx, rr__frame *frame, rr_bytes bytes) {
    char *at = rr__argument_at(frame->task, bytes);
    uint8_t place;
    if (frame->room && bytes.data == frame->room && bytes.size == frame->room_bytes)
        return frame->room; /* it has been taken over */
    if (!at) {
        if (!frame->error)
            frame->error = rr__error_new(
                cx->runtime, RR_ERR_INVALID, frame->task,
                "rr_result_from: these %zu bytes are no argument of it: pass an rr_bytes that the "
                "body was given, as it was given",
                bytes.size);
        return NULL;
    }
    bool may_take = bytes.size > 0 && !rr__may_run_again(cx, frame);
    void *own = may_take ? rr__value_take(cx, rr__counted_arg(at), &place) : NULL;
    if (own) {
        rr__argument_clear(cx, frame->task, at);
        rr__value_return(cx, frame->room, frame->room_bytes, frame->room_place);
        frame->room = own, frame->room_bytes = bytes.size, frame->room_place = place;
        return own;
    }
    void *room = rr__result_room(cx, frame, bytes.size);
    if (room && bytes.size) memcpy(room, bytes.data, bytes.size);
    return room;
}
