/* Room: a value is admitted if it fits; else others leave, those first that were not used for
   the longest time, and if none can, the request waits for bodies that have values in use (rules
   E5 to E7 in store/users.h).
   Locks: the store's. */
#pragma once
#include "patience.h"
#include "spiller.h"

/* Most of what is in its file has ended. */
static bool rr__is_in_sparse_file(const rr_runtime *rt, const rr__stored *s) {
    return s->file && s->file->live < s->file->size / 4 && rr__file_has_ended_locked(rt, s->file);
}

/* Makes so many bytes leave, as far as there are any that may; not many at once, for others wait
   for the lock, and no more than so many are given another chance: those that were used since they
   got their place, and those that somebody wants while others are only needed to make values again.
   False if there are none; true with none, and the lock given up, if it has seen very many pinned
   ones. */
static bool rr__evict_locked(rr__context *cx, uint64_t needed) {
    enum { CHANCES = 1024 };
    rr_runtime *rt = cx->runtime;
    uint64_t sum = 0, begun = rt->store->clock;
    int n = 0, chances = 0, pinned = 0;
    rr__stored *s;
    while (sum < needed && n < RR__SPILL_COUNT && pinned < RR__SPILL_COUNT &&
           (s = rr__oldest_locked(rt))) {
        bool is_sparse = rr__is_in_sparse_file(rt, s),
             may_spill = rt->config.evict == RR_EVICT_SPILL;
        enum rr__residence to = s->file && !is_sparse ? RR__AWAY
                                : may_spill           ? RR__LEAVING
                                                      : RR__LOST;
        bool spares = chances < CHANCES && s->listed <= begun; /* each once */
        enum rr__look_at found =
            spares && rr__is_wanted_locked(s)
                ? RR__HAS_ANOTHER_CHANCE /* of those with recipes the others have none */
                : rr__residence_leave(rr__residence_at(s->object), to, spares && !s->recipe);
        rr__age_remove_locked(rt, s);
        if (found == RR__HAS_ANOTHER_CHANCE) rr__age_list_locked(rt, s), chances++;
        pinned += found == RR__IS_PINNED;
        if (found != RR__LEAVES) continue;
        sum += rr__info_of(s->object), n++;
        if (is_sparse) { /* written again, it no longer keeps that */
            rr__file_drop_locked(rt, s->file, rr__info_of(s->object));
            s->file = NULL;
        }
        if (to == RR__AWAY) rr__value_spilled_locked(cx, s);
        else if (to == RR__LEAVING) rr__spill_queue_locked(rt, s);
        else rr__value_leave_locked(cx, s), rt->store->stats.objects_dropped++;
    }
    if (sum) rr__store_signal_locked(cx);
    if (sum || pinned < RR__SPILL_COUNT) return sum > 0;
    rr__unlock(&rt->store->lock);
    rr__lock(&rt->store->lock);
    return true;
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
            enum rr__look_at found =
                rr__residence_leave(rr__residence_at(s->object), RR__AWAY, false);
            rr__age_remove_locked(rt, s);
            if (found != RR__LEAVES) continue;
            sum += rr__info_of(s->object);
            rr__value_spilled_locked(cx, s);
        }
    }
    if (sum) rr__store_signal_locked(cx);
    return sum > 0;
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

/* So many bytes should leave now: as many as are over the limit, and some more, unless they would
   have to be made again, so that they go in batches, the spillers have work while who waited uses
   what it got, and others who take room meanwhile do not take all of that. */
static uint64_t rr__over_locked(rr_runtime *rt, size_t bytes) {
    uint64_t limit = rt->config.store_bytes;
    uint64_t ahead = rt->config.evict == RR_EVICT_REBUILD ? 0 : limit / 16;
    uint64_t used = rr__load_relaxed(&rt->memory.live) + bytes; /* a counter */
    uint64_t over = used > limit ? used - limit : 0, leaving = rt->store->leaving;
    return over + ahead / 2 > leaving ? over + ahead - leaving : 0;
}

/* Admits so many bytes as soon as others have left; fails if none can, with *error if that is a
   file's fault. Once a write has failed it begins no more, and waits for those of others only while
   few fail. *may_come: bodies elsewhere had room then. Under the lock, or one that takes room
   between two looks is seen by neither. */
static rr_status rr__make_room_locked(rr__context *cx, size_t bytes, bool *may_come, int *error) {
    enum { FEW = 4 };
    rr_runtime *rt = cx->runtime;
    uint64_t before = rt->store->spill_failures;
    bool may_spill = rt->config.evict == RR_EVICT_SPILL;
    rr_status status = may_spill ? rr__spillers_start_locked(rt) : RR_OK;
    while (status == RR_OK && !rr__store_admit(rt, bytes)) {
        uint64_t more = rr__over_locked(rt, bytes);
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
    rr_status status;
    bool has_new = false;
    rr__newcomers_list_all(cx); /* or they would stay, however long they are not used */
    do {
        rr__lock(&rt->store->lock);
        uint64_t listed = rt->store->newcomers_listed;
        status = rr__make_room_locked(cx, bytes, may_come, &error);
        rr__unlock(&rt->store->lock);
        if (status != RR_ERR_STORE_FULL || error) break;
        rr__newcomers_list_all(cx);
        rr__lock(&rt->store->lock);
        has_new = listed != rt->store->newcomers_listed; /* by whomever: N2 */
        has_new = has_new || rr__load_seq_cst(&rt->store->listing) > 0;
        rr__unlock(&rt->store->lock);
    } while (has_new);
    if (error) return rr__spill_refuse(rt, bytes, error);
    if (status != RR_ERR_STORE_FULL) return status;
    return rr__room_refuse(rt, bytes,
                           "none of them may leave memory now: they are pinned, viewed, used by "
                           "bodies, not sealed, or could not be had again. Raise it, or let go "
                           "of some (rr_write_memory lists them)");
}

/* ---- waiting for it ---- */

/* Admits so many bytes: at once, after others have left, or when bodies elsewhere have ended. */
static rr_status rr__store_wait_room(rr__context *cx, size_t bytes) {
    rr__patience patience = {.bytes = bytes};
    rr__local *self = rr__self();
    rr_runtime *rt = cx->runtime;
    rr__patience_begin(cx, &patience);
    rr_status status;
    for (;;) {
        rr__patience_look(rt, &patience);
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

/* The turn that this one has, if it does, goes to the next. */
static void rr__loader_end(rr__local *self) {
    rr_runtime *rt = self->loads_for;
    if (!rt) return;
    self->loads_for = NULL;
    rr__store_seq_cst(&rt->store->has_loader, 0);
    rr__room_event(rt);
}

/* Waits for its turn to keep what it has while it waits for room. *had: it has it already, for what
   is below on its stack. */
static rr_status rr__loader_begin(rr__context *cx, bool *had) {
    rr__patience patience = {.bytes = 0};
    rr__local *self = rr__self();
    rr_runtime *rt = cx->runtime;
    rr_status status = RR_OK;
    if ((*had = self->loads_for == rt)) return RR_OK;
    rr__loader_end(self);
    rr__patience_begin(cx, &patience);
    for (int none = 0; status == RR_OK; none = 0) {
        rr__patience_look(rt, &patience);
        if (rr__cas_seq_cst(&rt->store->has_loader, &none, 1)) break;
        status = rr__room_wait(cx, &patience);
        cx = rr__here_of(self, cx);
    }
    if (status == RR_OK) self->loads_for = rt;
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
