/* The store: values that lie outside their slots, and, if rr_config.store_bytes sets a limit,
   where each of them is. A value that may leave memory has a record beside its slot: where it
   is, who pins it, its place in a list by age. There is one list for each power of two of sizes,
   and eviction compares the oldest of each, so it costs the same however many there are. Without
   a limit none of it exists.
   Locks: rr__store.lock; before rr_runtime.lock and the pools'. */
#pragma once
#include "../base/map.h"
#include "../core/sleepers.h"

typedef struct rr__file rr__file;

/* Where a value is that may leave memory.
   Rules  E1  All of it is under the store's lock, but for reading the value: who has a pin reads
              the block without the lock. Only a value that is HERE, or about to leave, has pins.
          E2  Unpinned values that are HERE and may leave lie in a list by age, and in no other
              state. Eviction takes them from there.
          E3  LEAVING: the spiller reads the block without the lock, so it is not freed. It may be
              pinned meanwhile, and then stays; when its object ends, the spiller frees it.
          E4  RETURNING: one thread brings it back, who has set that; others wait for it.
          E5  Who lacks room that only others can give back, bodies by ending or threads outside
              that copy a value just now, waits as long as one of them may. They are counted from
              before they take room or a pin until they run no body: `users` and `copying`.
          E6  A task takes its arguments and the room for its result together or not at all; one at
              a time (loader) keeps what it has while it waits for the rest, also while that is made
              again, unless the body which does that waits itself. Else two would wait, each with
              what the other lacks in hand.
          E7  Bodies can still do that with what they make. Then one of those that wait for room
              gives up: when all of them have looked since the last of room_events, or so often that
              no more is to be expected, and what the others wait for that have values leads back
              to them (core/deadlock.h). */
enum rr__residence { RR__HERE, RR__LEAVING, RR__RETURNING, RR__AWAY, RR__LOST };

struct rr__stored {
    rr__object *object;        /* whose value; NULL: it ended while it was LEAVING */
    rr__stored *older, *newer; /* in a list by age; older: in that of the spiller */
    uint64_t used;             /* rr_runtime.store_clock when it was last */
    uint32_t pins;
    uint8_t residence, place; /* place, size, block: of the value, while it is LEAVING */
    bool is_listed, may_leave;
    bool is_outside; /* one pin is that of the views taken outside every scope */
    size_t size;
    void *block;
    rr__file *file; /* has a copy; NULL: none does */
    uint64_t at, sum;
    rr__object *recipe;  /* a task that was never submitted, with the arguments: rr__rebuild */
    rr__parker *claimer; /* RETURNING: who brings it back */
};

typedef struct rr__age_list {
    rr__stored *oldest, *newest;
} rr__age_list;

enum { RR__AGES = 32, RR__SPILL_BATCH = 8 << 20, RR__SPILL_FILE = 64 << 20 };

typedef struct rr__patience rr__patience;

struct rr__store {
    rr__mutex lock;              /* of those below, but for names and pins */
    rr__cond moved;              /* room was made, a value has come back or could not */
    rr__line returning;          /* who waits for that */
    rr__cond spill_wake;         /* something is to be written */
    rr__mutex census_lock;       /* while the arguments of a task are looked at; a leaf */
    RR__ATOMIC(int) has_census;  /* rr_write_memory goes on */
    rr__age_list ages[RR__AGES]; /* by size: each takes twice as much as the one before */
    uint64_t clock;
    int waiters;
    rr__stored *leaving_first, *leaving_last; /* for the spiller */
    uint64_t leaving;                         /* bytes of those, and of what it writes now */
    char *spill_dir;
    rr__context *spiller; /* of the thread that writes; made when it is needed first */
    rr__file *file;       /* that it appends to */

    uint64_t spill_failures;
    int spill_error;                  /* of the last one, as in errno: rr__spill_status */
    rr_stats stats;                   /* those of its numbers that are the store's */
    RR__ATOMIC(int) has_loader;       /* one has the turn to wait for room with what it has */
    RR__ATOMIC(uint64_t) room_events; /* so often something changed for who waits for room */
    RR__ATOMIC(int) users, copying;   /* rule E5: bodies; threads outside of bodies */
    rr__patience *oldest_patient, *newest_patient; /* who waits for room: store/patience.h */
    uint64_t patients_changed;                     /* so often one came or went */
    bool ticks;                                    /* the clock looks after them */
    double tick_length;
    size_t lineage_used;
    rr__map names;  /* to objects; under the global lock */
    rr__map pinned; /* by rr_pin: how often, by id; likewise */
};

/* ---- counting bytes ---- */

/* Admission: bytes of live objects outside their slots never exceed the limit. */
static bool rr__store_admit(rr_runtime *rt, size_t bytes) {
    uint64_t used = rr__load_relaxed(&rt->memory.live); /* a counter; orders nothing */
    do {
        if (bytes > rt->config.store_bytes || used > rt->config.store_bytes - bytes) return false;
    } while (!rr__cas_seq_cst(&rt->memory.live, &used, used + bytes));
    return true;
}

/* Who waits for room should look again. After what it sees then. */
static void rr__room_event(rr_runtime *rt) {
    if (RR__UNLIKELY(rt->evicts)) rr__add_seq_cst(&rt->store->room_events, (uint64_t)1);
}

static void rr__store_return(rr_runtime *rt, size_t bytes) {
    rr__sub_acq_rel(&rt->memory.live, (uint64_t)bytes);
    rr__room_event(rt);
}

/* ---- records ---- */

static rr__stored *rr__stored_of(const rr__object *o) {
    uint64_t word = rr__load_relaxed(&((rr__object *)(uintptr_t)o)->word); /* the flag is fixed */
    if ((word & RR__IS_INLINE) || o->kind == RR__GATHER || o->kind == RR__STREAM) return NULL;
    return (rr__stored *)(uintptr_t)rr__load_relaxed(
        &((rr__object *)(uintptr_t)o)->words[0]); /* fixed when complete */
}

/* Records are blocks of the arena, from the thread's cache. */
static rr__stored *rr__stored_new(rr__context *cx) {
    uint8_t place;
    rr__stored *s = rr__block_new(cx, sizeof *s, &place);
    return s ? memset(s, 0, sizeof *s) : NULL;
}
static void rr__stored_free(rr__context *cx, rr__stored *s) {
    rr__block_free(cx, s, rr__class_of(sizeof *s));
}

/* By how much a value takes: the lists are for sizes of a factor of two. */
static int rr__age_of(size_t size) {
    size_t units = size / 64;
    return (int)rr__highest_bit(units > UINT32_MAX ? UINT32_MAX : (uint32_t)units | 1);
}

static void rr__age_add_locked(rr_runtime *rt, rr__stored *s) {
    rr__age_list *list = &rt->store->ages[rr__age_of(rr__info_of(s->object))];
    if (!s->may_leave || !s->object->data.block) return; /* made again, it may be empty */
    rr__room_event(rt);                                  /* the lock is held */
    s->used = ++rt->store->clock, s->is_listed = true;
    s->newer = NULL, s->older = list->newest;
    if (list->newest) list->newest->newer = s;
    else list->oldest = s;
    list->newest = s;
}

static void rr__age_remove_locked(rr_runtime *rt, rr__stored *s) {
    rr__age_list *list = &rt->store->ages[rr__age_of(rr__info_of(s->object))];
    if (!s->is_listed) return;
    if (s->older) s->older->newer = s->newer;
    else list->oldest = s->newer;
    if (s->newer) s->newer->older = s->older;
    else list->newest = s->older;
    s->is_listed = false;
}

/* Who goes first: the one that was not used for the longest time, but a small one costs more for
   each of its bytes to bring back, so its age counts less (after GreedyDual-Size: Cao and Irani,
   "Cost-aware WWW proxy caching algorithms", 1997). Looks at the oldest of each list. */
static rr__stored *rr__oldest_locked(rr_runtime *rt) {
    const double seek = 65536; /* bytes that could be read in the time that one access takes */
    rr__stored *best = NULL;
    double most = 0;
    for (int i = 0; i < RR__AGES; i++) {
        rr__stored *s = rt->store->ages[i].oldest;
        if (!s) continue;
        double size = (double)rr__info_of(s->object);
        double score = (double)(rt->store->clock - s->used + 1) * size / (size + seek);
        if (score > most) most = score, best = s;
    }
    return best;
}

static void rr__store_signal_locked(rr__context *cx) {
    rr__store *store = cx->runtime->store;
    if (store->waiters) rr__cond_broadcast(&store->moved);
    if (store->returning.first) rr__line_sign(cx, &store->returning, true);
}

static void rr__store_wait_locked(rr_runtime *rt) {
    rt->store->waiters++;
    rr__cond_wait(&rt->store->moved, &rt->store->lock);
    rt->store->waiters--;
}

/* Its memory is given back; where it is now, residence says. */
static void rr__value_leave_locked(rr__context *cx, rr__stored *s, enum rr__residence residence) {
    rr__object *o = s->object;
    rr__store_return(cx->runtime, rr__info_of(o));
    rr__block_free(cx, o->data.block, o->place);
    o->data.block = NULL;
    s->residence = (uint8_t)residence;
}

/* It is in its file. */
static void rr__value_spilled_locked(rr__context *cx, rr__stored *s) {
    rr__value_leave_locked(cx, s, RR__AWAY);
    cx->runtime->store->stats.objects_spilled++;
}

/* ---- who uses the store (rule E5) ---- */

/* The running body has values, or, outside of bodies, one is copied: rule E5. */
static void rr__store_touch(rr__context *cx) {
    rr__local *self = rr__self();
    rr_runtime *rt = cx->runtime;
    bool is_body = rr__load_relaxed(&cx->frame) != NULL; /* the owner's own */
    rr_runtime **counted = is_body ? &self->uses_store : &self->copies;
    if (self->uses_store == rt || *counted == rt) return;
    *counted = rt;
    rr__add_seq_cst(is_body ? &rt->store->users : &rt->store->copying, 1);
}

/* One that copies is to wait, or goes on. */
static void rr__store_copies(rr__context *cx, bool copies) {
    rr__self()->copies = copies ? cx->runtime : NULL;
    rr__add_seq_cst(&cx->runtime->store->copying, copies ? 1 : -1);
}

/* One that copies runs a body for that, which may wait for anything: it will not be over soon, and
   is counted as bodies are meanwhile. Returns whether it was one. *outer: for its end. */
static bool rr__store_copy_is_body(rr__context *cx, rr_runtime **outer) {
    rr__local *self = rr__self();
    if (self->copies != cx->runtime) return false;
    *outer = self->uses_store, self->uses_store = cx->runtime;
    rr__add_seq_cst(&cx->runtime->store->users, 1);
    rr__store_copies(cx, false);
    return true;
}
static void rr__store_copy_was_body(rr__context *cx, rr_runtime *outer) {
    rr__store_copies(cx, true);
    rr__self()->uses_store = outer;
    rr__sub_seq_cst(&cx->runtime->store->users, 1);
}

/* No body is run any more, or one still is. */
static RR__NOINLINE void rr__store_leave(rr__context *cx) {
    rr__local *self = rr__self();
    rr_runtime *rt = cx->runtime;
    if (self->uses_store == rt && !self->frame) {
        self->uses_store = NULL;
        rr__sub_seq_cst(&rt->store->users, 1);
    }
    if (self->copies == rt) rr__store_copies(cx, false);
}

/* What was copied outside of bodies is done: what is kept now nobody waits for. */
static RR__INLINE void rr__store_copied(rr__context *cx) {
    if (RR__UNLIKELY(cx->runtime->evicts)) rr__store_leave(cx);
}

/* Bodies that have values in use, threads outside of bodies that copy one, and rr_write_memory,
   which counts all of them for a moment. */
static int rr__store_users(rr_runtime *rt) {
    return rr__load_seq_cst(&rt->store->users) + rr__load_seq_cst(&rt->store->copying) +
           rr__load_seq_cst(&rt->store->has_census);
}

/* Others than this one are among them. */
static bool rr__others_use_store(rr__context *cx) {
    const rr__local *self = rr__self();
    rr_runtime *rt = cx->runtime;
    return rr__store_users(rt) > (self->uses_store == rt) + (self->copies == rt);
}

static void rr__store_stats(rr_runtime *rt, rr_stats *out) {
    rr__lock(&rt->store->lock);
    const rr_stats *s = &rt->store->stats;
    out->store_hits = s->store_hits;
    out->objects_spilled = s->objects_spilled, out->objects_restored = s->objects_restored;
    out->objects_dropped = s->objects_dropped, out->objects_rebuilt = s->objects_rebuilt;
    out->spill_bytes_written = s->spill_bytes_written;
    out->spill_bytes_read = s->spill_bytes_read;
    out->spill_bytes_used = s->spill_bytes_used, out->spill_seconds = s->spill_seconds;
    rr__unlock(&rt->store->lock);
}
