/* The store: values that lie outside their slots, and, if rr_config.store_bytes sets a limit,
   where each of them is. A value that may leave memory has a record beside its slot: where it
   is, who pins it, its place in a list by age. There is one list for each power of two of sizes,
   and eviction compares the oldest of each, so it costs the same however many there are. Without
   a limit none of it exists.
   Locks: rr__store.lock; before rr_runtime.lock and the pools'. */
#pragma once
#include "../core/objects.h"

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
              that copy a value just now, waits as long as one of them may. uses_store says that a
              thread may: set before it takes room or a pin, cleared when it runs no body.
          E6  A task takes its arguments and the room for its result together or not at all; one at
              a time (loader) keeps what it has while it waits for the rest. Else two would wait,
              each with what the other lacks in hand.
          E7  Bodies can still do that with what they make. Then one of them gives up: when nobody
              runs, and all who wait have looked since the last of room_events. */
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
    rr__object *recipe;   /* a task that was never submitted, with the arguments: rr__rebuild */
    rr__context *claimer; /* RETURNING: of the thread that brings it back */
};

typedef struct rr__age_list {
    rr__stored *oldest, *newest;
} rr__age_list;

enum { RR__AGES = 32, RR__SPILL_BATCH = 8 << 20, RR__SPILL_FILE = 64 << 20 };

/* An object with a name, or that is pinned by hand. */
typedef struct rr__object_name {
    char *key;
    rr__object *value;
} rr__object_name;
typedef struct rr__pinned {
    char *key; /* the id as text, ours; stb_ds needs typeof for others */
    int64_t value;
} rr__pinned;

struct rr__store {
    rr__mutex lock;              /* of those below, but for names and pins */
    rr__cond moved;              /* room was made, a value has come back or could not */
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
    RR__ATOMIC(rr__context *) loader; /* whose turn it is to wait for room with arguments in hand */
    RR__ATOMIC(uint64_t) room_events; /* so often something changed for who waits for room */
    RR__ATOMIC(int) room_waiters;
    uint64_t room_refused; /* room_events when one last gave up: rr__room_is_hopeless */
    size_t lineage_used;
    rr__object_name *names; /* under the global lock */
    rr__pinned *pinned;     /* by rr_pin; likewise: stb_ds has a seed for all its tables */
};

/* What the store keeps of a thread. The owner writes. */
struct rr__store_thread {
    bool is_hasty;                        /* it does not wait for room, see rr__args_load */
    RR__ATOMIC(uint8_t) uses, wants_room; /* rule E5 */
    RR__ATOMIC(uint64_t) looked;          /* for room, when there had been so many events */
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

static void rr__store_signal_locked(rr_runtime *rt) {
    if (!rt->store->waiters) return;
    for (rr__context *cx = rr__load_acquire(&rt->contexts); cx; cx = cx->next)
        rr__store_seq_cst(&cx->awaits_value, (uint8_t)0); /* it is awake now: rr__is_still */
    rr__cond_broadcast(&rt->store->moved);
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

/* The body that runs on this thread has values, or, outside of bodies, it copies one: rule E5. */
static void rr__store_touch(rr__context *cx) {
    if (!rr__load_relaxed(&cx->store->uses))             /* our own */
        rr__store_seq_cst(&cx->store->uses, (uint8_t)1); /* pairs with rr__others_use_store */
}

/* The thread runs no body any more, or it still does. */
static RR__NOINLINE void rr__store_leave(rr__context *cx) {
    if (!rr__load_relaxed(&cx->frame)) rr__store_release(&cx->store->uses, (uint8_t)0); /* own */
}

/* What a thread outside of bodies copied is done: what it keeps now nobody waits for. */
static RR__INLINE void rr__store_copied(rr__context *cx) {
    if (RR__UNLIKELY(cx->runtime->evicts)) rr__store_leave(cx);
}

/* Outside of bodies, and not waiting itself: it will be over soon. */
static bool rr__is_copying(rr__context *cx) {
    return rr__load_seq_cst(&cx->store->uses) && !rr__load_acquire(&cx->frame) &&
           !rr__load_seq_cst(&cx->store->wants_room) && !rr__load_seq_cst(&cx->awaits_value);
}

/* A body of another thread has values in use, or a thread outside of bodies copies one, or
   rr_write_memory counts all of them for a moment. */
static bool rr__others_use_store(rr__context *self) {
    if (rr__load_seq_cst(&self->runtime->store->has_census)) return true;
    for (rr__context *cx = rr__load_acquire(&self->runtime->contexts); cx; cx = cx->next) {
        bool has_body = rr__load_acquire(&cx->frame) && rr__load_seq_cst(&cx->store->uses);
        if (cx != self && (has_body || rr__is_copying(cx))) return true;
    }
    return false;
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
