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
    if (sum) rr__store_signal_locked(cx);
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
    if (sum) rr__store_signal_locked(cx);
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

/* Who waits for room, in a list of all that do. */
typedef struct rr__patience {
    struct rr__patience *next, *previous; /* under the store's lock, as the next */
    bool is_user, has_slept; /* a body that has values in use; it did not get room at once */
    uint64_t looked; /* room_events before the last look of one that sleeps now; UINT64_MAX: none */
    size_t bytes;    /* that it wants; 0: its turn */
    uint64_t seen;   /* room_events before the last look */
    int rounds;      /* looks at which all stood still */
    int unchanged;   /* looks since the last event */
    double length;   /* of the last sleep */
} rr__patience;

static void rr__patience_begin(rr__context *cx, rr__patience *p) {
    rr_runtime *rt = cx->runtime;
    p->is_user = rr__load_relaxed(&cx->frame) && rr__self()->uses_store; /* the owner's own */
    rr__lock(&rt->store->lock);
    p->looked = UINT64_MAX, p->previous = NULL, p->next = rt->store->patient;
    if (p->next) p->next->previous = p;
    rt->store->patient = p;
    rr__unlock(&rt->store->lock);
}
static void rr__patience_end(rr_runtime *rt, rr__patience *p) {
    rr__lock(&rt->store->lock);
    if (p->previous) p->previous->next = p->next;
    else rt->store->patient = p->next;
    if (p->next) p->next->previous = p->previous;
    rr__unlock(&rt->store->lock);
}
static void rr__patience_looked(rr_runtime *rt, rr__patience *p, uint64_t looked) {
    rr__lock(&rt->store->lock);
    p->looked = looked, p->has_slept = true;
    rr__unlock(&rt->store->lock);
}

/* How many of those who wait have seen what this one has, and slept on it; bodies with values among
   them to *users. */
static bool rr__all_have_looked(rr_runtime *rt, const rr__patience *mine, int *users) {
    bool all = true;
    *users = 0;
    rr__lock(&rt->store->lock);
    for (rr__patience *p = rt->store->patient; p; p = p->next) {
        bool has_looked = p == mine || p->looked == mine->seen;
        all = all && has_looked;
        *users += has_looked && p->is_user;
    }
    rr__unlock(&rt->store->lock);
    return all;
}

/* Nobody carries anything, nothing is queued, and no timer is set. */
static bool rr__nobody_else_runs(rr__context *self, bool may_have_work) {
    rr_runtime *rt = self->runtime;
    bool is_still = may_have_work || !rr__has_work(rt);
    rr__lock(&rt->lock); /* for rr__is_still */
    for (rr__context *cx = rr__load_acquire(&rt->contexts); cx && is_still; cx = cx->next)
        is_still = cx == self || rr__is_still(cx);
    rr__unlock(&rt->lock);
    return is_still && !rr__has_timers(rt);
}

/* Nothing has changed since the last look, and who could give room waits for it: all bodies that
   have values, whatever else goes on; or some of them for something else, and nobody runs who could
   bring that about. */
static bool rr__all_wait_for_room(rr__context *self, rr__patience *mine, bool may_have_work) {
    rr_runtime *rt = self->runtime;
    int users;
    if (rr__load_seq_cst(&rt->store->room_events) != mine->seen) return false;
    bool all = rr__all_have_looked(rt, mine, &users);
    if (rr__others_copy(self) || rr__load_seq_cst(&rt->store->has_census)) return false;
    if (users == rr__load_seq_cst(&rt->store->users)) return true;
    return all && rr__nobody_else_runs(self, may_have_work);
}

/* All those that could give room wait, too. One of them gives up, and the others see what comes of
   that; if it is not much, the next does. */
static bool rr__room_is_hopeless(rr__context *cx, rr__patience *p) {
    enum { SURE = 3, LONG = 30 };
    rr_runtime *rt = cx->runtime;
    bool may_have_work = p->unchanged > LONG; /* of others that wait and look again */
    p->rounds = rr__all_wait_for_room(cx, p, may_have_work) ? p->rounds + 1 : 0;
    if (p->rounds < SURE) return false;
    rr__lock(&rt->store->lock);
    bool is_mine = rt->store->room_refused != p->seen || p->rounds >= LONG;
    if (is_mine) rt->store->room_refused = p->seen;
    rr__unlock(&rt->store->lock);
    return is_mine;
}

/* Sleeps, longer each time. RR_OK: time to look again. */
static rr_status rr__room_wait(rr__context *cx, rr__patience *p) {
    rr_runtime *rt = cx->runtime;
    if (rr__room_is_hopeless(cx, p))
        return rr__room_refuse(rt, p->bytes,
                               "all that could give some back wait for room themselves. Raise it, "
                               "or let fewer tasks that hold values run at once");
    rr__sleeper s = rr__sleeper_of(cx);
    bool copies = cx->store->copies;
    s.has_limit = s.is_patient = s.may_starve = true;
    p->length = p->length < 4e-3 ? 2 * p->length + 125e-6 : p->length;
    double part = (double)(((uintptr_t)p >> 6 ^ (uint64_t)(rr_now() * 1e9)) % 1024) / 1024;
    if (copies) rr__store_leave(cx); /* it waits itself */
    rr__patience_looked(rt, p, p->seen);
    rr__link_set(&s, NULL);
    rr__body_wait(&s, rr_now() + p->length * (0.5 + part)); /* or they look in step */
    if (s.task) rr__store_release(&s.task->waits_on, (rr__object *)NULL);
    rr__patience_looked(rt, p, UINT64_MAX);
    cx = rr__here(cx);
    if (copies) rr__store_touch(cx);
    if (s.is_starved) return RR_ERR_NO_MEMORY;
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
    rr__local *self = rr__self();
    rr_runtime *rt = cx->runtime;
    rr__patience_begin(cx, &patience);
    rr_status status;
    for (;;) {
        rr__room_look(cx, &patience);
        bool may_come = rr__others_use_store(cx); /* before, or one could end between */
        status = rr__store_make_room(cx, bytes, &may_come);
        may_come = may_come && !self->is_hasty && bytes <= rt->config.store_bytes;
        if (status != RR_ERR_STORE_FULL || !may_come) break;
        if ((status = rr__room_wait(cx, &patience)) != RR_OK) break;
        cx = rr__here_of(self, cx);
    }
    rr__patience_end(rt, &patience);
    return status;
}

/* The turn of this one, if it has it, goes to the next. */
static void rr__loader_end(rr_runtime *rt) {
    rr__local *self = rr__self();
    if (rr__cas_seq_cst(&rt->store->loader, &self, (rr__local *)NULL)) rr__room_event(rt);
}

/* Waits for its turn to keep arguments while it waits for room. */
static rr_status rr__loader_begin(rr__context *cx) {
    rr__patience patience = {.bytes = 0};
    rr__local *self = rr__self();
    rr_runtime *rt = cx->runtime;
    rr_status status = RR_OK;
    rr__patience_begin(cx, &patience);
    for (rr__local *none = NULL; status == RR_OK; none = NULL) {
        rr__room_look(cx, &patience);
        if (rr__cas_seq_cst(&rt->store->loader, &none, self)) break;
        status = rr__room_wait(cx, &patience);
        cx = rr__here_of(self, cx);
    }
    rr__patience_end(rt, &patience);
    return status;
}

/* ---- rooms ---- */

/* Memory of the store for a value that does not fit into the slot. It may have to wait. */
static rr_status rr__value_room(rr__context *cx, size_t size, void **room, uint8_t *place) {
    *room = NULL;
    if (size > PTRDIFF_MAX && size <= cx->runtime->config.store_bytes) return RR_ERR_NO_MEMORY;
    if (RR__UNLIKELY(cx->runtime->evicts)) rr__store_touch(cx);
    if (RR__UNLIKELY(!rr__store_admit(cx->runtime, size))) {
        rr_status status = rr__store_wait_room(cx, size);
        if (status != RR_OK) return status;
        cx = rr__here(cx);
    }
    *room = rr__block_new(cx, size, place);
    if (*room) return RR_OK;
    rr__store_return(cx->runtime, size);
    return RR_ERR_NO_MEMORY;
}

/* The context after something that may have waited for room. */
static RR__INLINE rr__context *rr__after_room(rr__context *cx) {
    return RR__LIKELY(!cx->runtime->evicts) ? cx : rr__here(cx);
}

static void rr__value_return(rr__context *cx, void *room, size_t size, uint8_t place) {
    if (!room) return;
    rr__store_return(cx->runtime, size); /* first: what is kept depends on the rest */
    rr__block_free(cx, room, place);
}
