/* Room: a value is admitted if it fits; else others leave, those first that were not used for
   the longest time, and if none can, the request waits for bodies that have values in use (rules
   E5 to E7 at struct rr__stored).
   Locks: the store's; rr_runtime.lock and the timers' to see whether all wait. */
#pragma once
#include "../core/stillness.h"
#include "spiller.h"

/* Most of what is in its file has ended. */
static bool rr__is_in_sparse_file(const rr_runtime *rt, const rr__stored *s) {
    return s->file && s->file != rt->store->file && s->file->live < s->file->size / 4;
}

/* Makes so many bytes leave, as far as there are any that may, and some more, so that they go in
   batches; not many more at once, for others wait for the lock. False if there are none. */
static bool rr__evict_locked(rr__context *cx, uint64_t needed) {
    rr_runtime *rt = cx->runtime;
    uint64_t sum = 0, wanted = needed + rt->config.store_bytes / 16;
    rr__stored *s;
    for (int n = 0; sum < (n < RR__SPILL_COUNT ? wanted : needed) && (s = rr__oldest_locked(rt));
         n++) {
        rr__age_remove_locked(rt, s);
        sum += rr__info_of(s->object);
        if (rr__is_in_sparse_file(rt, s)) { /* written again, it no longer keeps that */
            rr__file_drop_locked(rt, s->file, rr__info_of(s->object));
            s->file = NULL;
        }
        if (s->file) {
            rr__value_spilled_locked(cx, s);
        } else if (rt->config.evict == RR_EVICT_SPILL) {
            rr__spill_queue_locked(rt, s);
        } else {
            rr__value_leave_locked(cx, s, RR__LOST);
            rt->store->stats.objects_dropped++;
        }
    }
    if (sum) rr__store_signal_locked(rt);
    return sum > 0;
}

/* The same when nothing can be written: of those that their files still have. */
static bool rr__evict_copies_locked(rr__context *cx, uint64_t needed) {
    rr_runtime *rt = cx->runtime;
    uint64_t sum = 0;
    for (int i = 0; i < RR__AGES; i++) {
        rr__stored *s = rt->store->ages[i].oldest, *next;
        for (int n = 0; s && n < RR__SPILL_COUNT && sum < needed; s = next, n++) {
            next = s->newer;
            if (!s->file) continue;
            rr__age_remove_locked(rt, s);
            sum += rr__info_of(s->object);
            rr__value_spilled_locked(cx, s);
        }
    }
    if (sum) rr__store_signal_locked(rt);
    return sum > 0;
}

/* Why there is no room; bytes 0: for arguments, not all of which are known. */
static RR__NOINLINE rr_status rr__room_refuse(rr_runtime *rt, size_t bytes, const char *why) {
    char wanted[40] = "arguments";
    uint64_t used = rr__load_relaxed(&rt->memory.live); /* a counter */
    if (bytes) snprintf(wanted, sizeof wanted, "%zu bytes", bytes);
    return rr__refuse(RR_ERR_STORE_FULL,
                      "no room for %s: %llu of the %zu bytes of rr_config.store_bytes are in use, "
                      "and %s",
                      wanted, (unsigned long long)used, rt->config.store_bytes, why);
}

/* What should have made room could not be written. */
static RR__NOINLINE rr_status rr__spill_refuse(rr_runtime *rt, size_t bytes, int error) {
    char why[300];
    rr_status status = rr__spill_status(error);
    snprintf(why, sizeof why, "what should leave cannot be written to rr_config.spill_dir '%s': %s",
             rt->store->spill_dir, strerror(error));
    if (status == RR_ERR_STORE_FULL) return rr__room_refuse(rt, bytes, why);
    if (status != RR_ERR_IO) return status;
    return rr__refuse(status, "no room for %zu bytes: %s", bytes, why);
}

/* Admits so many bytes as soon as others have left; fails if none can, with *error if that is a
   file's fault. Once a write has failed it begins no more, and waits for those of others only while
   few fail. *may_come: bodies elsewhere had room then. Under the lock, or one that takes room
   between two looks is seen by neither. */
static rr_status rr__make_room_locked(rr__context *cx, size_t bytes, bool *may_come, int *error) {
    enum { FEW = 4 };
    rr_runtime *rt = cx->runtime;
    uint64_t limit = rt->config.store_bytes, before = rt->store->spill_failures;
    bool may_spill = rt->config.evict == RR_EVICT_SPILL;
    rr_status status = may_spill ? rr__spiller_start_locked(rt) : RR_OK;
    while (status == RR_OK && !rr__store_admit(rt, bytes)) {
        uint64_t used = rr__load_relaxed(&rt->memory.live) + bytes; /* a counter */
        uint64_t over = used > limit ? used - limit : 0;
        uint64_t more = over > rt->store->leaving ? over - rt->store->leaving : 0;
        uint64_t failed = rt->store->spill_failures - before;
        if (more && (failed ? rr__evict_copies_locked : rr__evict_locked)(cx, more)) continue;
        else if (rt->store->leaving && failed < FEW) rr__store_wait_locked(rt);
        else if (failed)
            *error = rt->store->spill_error, status = rr__spill_status(*error), *may_come = false;
        else {
            *may_come = *may_come || rr__others_use_store(cx);
            if (rr__store_admit(rt, bytes)) break;
            status = RR_ERR_STORE_FULL;
        }
    }
    return status;
}

/* The same; a refusal has its reason. */
static RR__NOINLINE rr_status rr__store_make_room(rr__context *cx, size_t bytes, bool *may_come) {
    rr_runtime *rt = cx->runtime;
    size_t limit = rt->config.store_bytes;
    int error = 0;
    if (!rt->evicts) return RR_ERR_NO_MEMORY; /* no limit: nothing has so much */
    if (bytes > limit)
        return rr__refuse(RR_ERR_STORE_FULL,
                          "%zu bytes never fit into the store: rr_config.store_bytes is %zu", bytes,
                          limit);
    RR__STRESS_POINT();
    rr__lock(&rt->store->lock);
    rr_status status = rr__make_room_locked(cx, bytes, may_come, &error);
    rr__unlock(&rt->store->lock);
    if (error) return rr__spill_refuse(rt, bytes, error);
    if (status != RR_ERR_STORE_FULL) return status;
    return rr__room_refuse(rt, bytes,
                           "none of them may leave memory now: they are pinned, viewed, used by "
                           "bodies, not sealed, or could not be had again. Raise it, or let go "
                           "of some (rr_write_memory lists them)");
}

/* ---- waiting for it ---- */

typedef struct rr__patience {
    size_t bytes;  /* that it wants; 0: its turn */
    uint64_t seen; /* room_events before the last look */
    int rounds;    /* looks at which all stood still */
    int unchanged; /* looks since the last event */
    double length; /* of the last sleep */
} rr__patience;
/* More of them keep their roles, or there would be no end of threads. */
enum { RR__ROOM_WAITERS = 64 };

/* Nothing has changed since the last look, nobody runs, and who else waits for room has seen it. */
static bool rr__all_wait_for_room(rr__context *self, uint64_t seen, bool may_have_work) {
    rr_runtime *rt = self->runtime;
    bool is_still = rr__load_seq_cst(&rt->store->room_events) == seen;
    is_still = is_still && (may_have_work || !rr__has_work(rt));
    rr__lock(&rt->lock); /* for rr__is_still */
    for (rr__context *cx = rr__load_acquire(&rt->contexts); cx && is_still; cx = cx->next)
        if (cx != self && rr__load_seq_cst(&cx->store->wants_room))
            is_still = rr__load_seq_cst(&cx->store->looked) == seen;
        else is_still = cx == self || (rr__is_still(cx) && !rr__is_copying(cx));
    rr__unlock(&rt->lock);
    rr__lock(&rt->timers->lock);
    is_still = is_still && rt->timers->retries == 0 && rt->timers->firing == 0;
    rr__unlock(&rt->timers->lock);
    return is_still && !rr__load_seq_cst(&rt->store->has_census);
}

/* All those that could give room wait, too. One of them gives up, and the others see what comes of
   that; if it is not much, the next does. */
static bool rr__room_is_hopeless(rr__context *cx, rr__patience *p) {
    enum { SURE = 3, LONG = 30 };
    rr_runtime *rt = cx->runtime;
    bool is_full = rr__load_seq_cst(&rt->store->room_waiters) > RR__ROOM_WAITERS;
    bool may_have_work = is_full || p->unchanged > LONG; /* for which no thread can be made */
    p->rounds = rr__all_wait_for_room(cx, p->seen, may_have_work) ? p->rounds + 1 : 0;
    if (p->rounds < SURE) return false;
    rr__lock(&rt->store->lock);
    bool is_mine = rt->store->room_refused != p->seen || p->rounds >= LONG;
    if (is_mine) rt->store->room_refused = p->seen;
    rr__unlock(&rt->store->lock);
    return is_mine;
}

/* Around a wait for another thread that uses the store, see rr__store_wait_returning_locked. */
static rr_runtime *rr__store_wait_begin(rr__context *cx) {
    rr__own_role_give();
    rr__signal_if_stopping(cx->runtime);
    return rr__end_turn(NULL);
}
static void rr__store_wait_end(rr_runtime *ending) {
    rr__end_turn(ending);
    rr__own_role_take();
}

/* Sleeps, longer each time, and without the role unless many do. RR_OK: time to look again. */
static rr_status rr__room_wait(rr__context *cx, rr__patience *p) {
    rr_runtime *rt = cx->runtime;
    if (rr__room_is_hopeless(cx, p))
        return rr__room_refuse(rt, p->bytes,
                               "all that could give some back wait for room themselves. Raise it, "
                               "or let fewer tasks that hold values run at once");
    rr__sleeper s = {.context = cx, .task = rr__current_task(cx), .need = 1, .has_limit = true};
    p->length = p->length < 4e-3 ? 2 * p->length + 125e-6 : p->length;
    rr__store_seq_cst(&cx->store->looked, p->seen); /* pairs with rr__all_wait_for_room, as next */
    rr__store_seq_cst(&cx->store->wants_room, (uint8_t)1);
    rr__sleeper_set(cx, &s);
    bool is_one_of_few = rr__add_seq_cst(&rt->store->room_waiters, 1) < RR__ROOM_WAITERS;
    if (is_one_of_few) rr__sleep_free(&s, rr_now() + p->length);
    else rr__sleeper_wait(&s, rr_now() + p->length);
    rr__sub_seq_cst(&rt->store->room_waiters, 1);
    rr__sleeper_set(cx, NULL);
    rr__store_seq_cst(&cx->store->wants_room, (uint8_t)0);
    return rr__must_stop(cx) ? RR_ERR_CANCELLED : RR_OK;
}

/* Before each attempt: what changes from here on another one will see. */
static void rr__room_look(rr__context *cx, rr__patience *p) {
    uint64_t seen = rr__load_seq_cst(&cx->runtime->store->room_events);
    p->unchanged = seen == p->seen ? p->unchanged + 1 : 0;
    p->seen = seen;
}

/* Admits so many bytes: at once, after others have left, or when bodies elsewhere have ended. */
static rr_status rr__store_wait_room(rr__context *cx, size_t bytes) {
    rr__patience patience = {.bytes = bytes};
    for (;;) {
        rr__room_look(cx, &patience);
        bool may_come = rr__others_use_store(cx); /* before, or one could end between */
        rr_status status = rr__store_make_room(cx, bytes, &may_come);
        may_come = may_come && !cx->store->is_hasty && bytes <= cx->runtime->config.store_bytes;
        if (status != RR_ERR_STORE_FULL || !may_come) return status;
        if ((status = rr__room_wait(cx, &patience)) != RR_OK) return status;
    }
}

/* The turn of this thread, if it has it, goes to the next. */
static void rr__loader_end(rr__context *cx) {
    rr__context *self = cx;
    if (rr__cas_seq_cst(&cx->runtime->store->loader, &self, (rr__context *)NULL))
        rr__room_event(cx->runtime);
}

/* Waits for its turn to keep arguments while it waits for room. */
static rr_status rr__loader_begin(rr__context *cx) {
    rr__patience patience = {0};
    rr_status status = RR_OK;
    for (rr__context *none = NULL; status == RR_OK; none = NULL) {
        rr__room_look(cx, &patience);
        if (rr__cas_seq_cst(&cx->runtime->store->loader, &none, cx)) return RR_OK;
        status = rr__room_wait(cx, &patience);
    }
    return status;
}

/* ---- rooms ---- */

/* Memory of the store for a value that does not fit into the slot. */
static rr_status rr__value_room(rr__context *cx, size_t size, void **room, uint8_t *place) {
    *room = NULL;
    if (size > PTRDIFF_MAX && size <= cx->runtime->config.store_bytes) return RR_ERR_NO_MEMORY;
    if (RR__UNLIKELY(cx->runtime->evicts)) rr__store_touch(cx);
    if (RR__UNLIKELY(!rr__store_admit(cx->runtime, size))) {
        rr_status status = rr__store_wait_room(cx, size);
        if (status != RR_OK) return status;
    }
    *room = rr__block_new(cx, size, place);
    if (*room) return RR_OK;
    rr__store_return(cx->runtime, size);
    return RR_ERR_NO_MEMORY;
}

static void rr__value_return(rr__context *cx, void *room, size_t size, uint8_t place) {
    if (!room) return;
    rr__store_return(cx->runtime, size); /* first: what is kept depends on the rest */
    rr__block_free(cx, room, place);
}
