/* The store: values that lie outside their slots, and, if rr_config.store_bytes sets a limit,
   what there is of each beside its slot: a record with its place in a list by age. There is one
   list for each power of two of sizes, and eviction compares the oldest of each, so it costs the
   same however many there are. Without a limit none of it exists.

   Ages are those of CLOCK (Corbato, "A paging experiment with the Multics system", 1968), so that
   a read need not move anything: it leaves a mark, and who looks for the oldest puts what has one
   at the other end, without it.
   Locks: rr__store.lock; before rr_runtime.lock and the pools'. */
#pragma once
#include "../base/map.h"
#include "../core/sleepers.h"
#include "residence.h"

typedef struct rr__file rr__file;

/* What a value has that may leave memory, once it is in a list. Under the store's lock, but for
   what is fixed. */
struct rr__stored {
    rr__object *object;        /* whose value; NULL: it ended while it was LEAVING */
    rr__stored *older, *newer; /* in a list by age; older: in that of the spillers */
    uint64_t listed;           /* rr__store.clock when it was put into its list */
    uint8_t place;             /* place, size, block: of the value, while it is LEAVING */
    bool is_listed;
    size_t size;
    void *block;
    rr__file *file;    /* has a copy; NULL: none does */
    rr__file *written; /* the spiller's own: where it has written it */
    uint64_t at, sum;
    rr__object *recipe;  /* a task that was never submitted, with the arguments: rr__rebuild */
    uint32_t lineage;    /* of the object's counts so many are recipes' */
    rr__parker *claimer; /* RETURNING: who brings it back */
};

typedef struct rr__age_list {
    rr__stored *oldest, *newest;
} rr__age_list;

enum { RR__AGES = 32, RR__SPILLERS = 2 };

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
    uint64_t newcomers_listed; /* so many so far */
    RR__ATOMIC(int) listing;   /* so many list some just now */
    int waiters;
    rr__stored *leaving_first, *leaving_last; /* for the spillers */
    uint64_t leaving;                         /* bytes of those, and of what they write now */
    char *spill_dir;
    rr__context *spillers[RR__SPILLERS]; /* threads that write; made when they are needed first */
    rr__file *files[RR__SPILLERS]; /* that each appends to: a file takes one write at a time */

    uint64_t spill_failures;
    int spill_error;                  /* of the last one, as in errno: rr__spill_status */
    rr_stats stats;                   /* those of its numbers that are the store's */
    RR__ATOMIC(int) has_loader;       /* one has the turn to wait for room with what it has */
    RR__ATOMIC(uint64_t) room_events; /* so often something changed for who waits for room */
    RR__ATOMIC(int) patients;         /* those of the list that follows: see rr__room_event */
    rr__patience *oldest_patient, *newest_patient; /* who waits for room: store/patience.h */
    uint64_t patients_changed;                     /* so often one came or went */
    bool ticks;                                    /* the clock looks after them */
    double tick_length;
    size_t lineage_used;
    RR__ATOMIC(uint64_t) viewed;          /* bytes that views outside of scopes keep in memory */
    RR__ATOMIC(const char *) viewed_site; /* of the last of those: where it was made */
    rr__map names;                        /* to objects; under the global lock */
    rr__map pinned;                       /* by rr_pin: how often, by id; likewise */
};

/* ---- counting bytes ---- */

/* Admission: bytes of live objects outside their slots never exceed the limit. */
static bool rr__store_admit(rr_runtime *rt, size_t bytes) {
    uint64_t used = rr__load_seq_cst(&rt->memory.live); /* see rr__room_event */
    do {
        if (bytes > rt->config.store_bytes || used > rt->config.store_bytes - bytes) return false;
    } while (!rr__cas_seq_cst(&rt->memory.live, &used, used + bytes));
    return true;
}

/* Who waits for room should look again. After what it sees then; if that is not under the lock, it
   is seq_cst, as is what they do: they count themselves before they look, so either we see that
   there are some, or they see what was done. */
static void rr__room_event(rr_runtime *rt) {
    if (RR__UNLIKELY(rt->evicts) && RR__UNLIKELY(rr__load_seq_cst(&rt->store->patients) > 0))
        rr__add_seq_cst(&rt->store->room_events, (uint64_t)1);
}

static void rr__store_return(rr_runtime *rt, size_t bytes) {
    rr__sub_seq_cst(&rt->memory.live, (uint64_t)bytes);
    rr__room_event(rt);
}

/* ---- records ---- */

/* The record of a complete object; NULL: it has none. */
static rr__stored *rr__stored_of(const rr__object *o) {
    return rr__has_residence(o)
               ? (rr__stored *)(uintptr_t)rr__load_acquire(&((rr__object *)(uintptr_t)o)->words[0])
               : NULL;
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

/* At the newest end. */
static void rr__age_list_locked(rr_runtime *rt, rr__stored *s) {
    rr__age_list *list = &rt->store->ages[rr__age_of(rr__info_of(s->object))];
    s->listed = ++rt->store->clock, s->is_listed = true;
    s->newer = NULL, s->older = list->newest;
    if (list->newest) list->newest->newer = s;
    else list->oldest = s;
    list->newest = s;
}

/* It may leave from now on. */
static void rr__age_add_locked(rr_runtime *rt, rr__stored *s) {
    if (!s->object->data.block) return; /* made again, it may be empty */
    rr__age_list_locked(rt, s);
    rr__room_event(rt);
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

/* Who goes first: the one that was listed for the longest time, but a small one costs more for
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
        double score = (double)(rt->store->clock - s->listed + 1) * size / (size + seek);
        if (score > most) most = score, best = s;
    }
    return best;
}

/* Somebody may read it: a handle or a task counts it. What only recipes count is needed again if
   others are, that were made of it; of work that goes on and on that is all but the newest. */
static bool rr__is_wanted_locked(const rr__stored *s) {
    uint64_t word = rr__load_relaxed(&s->object->word); /* a hint */
    return s->recipe && (word & RR__COUNT_MASK) > s->lineage;
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

/* It has left, and nobody can read it: its memory is given back. */
static void rr__value_leave_locked(rr__context *cx, rr__stored *s) {
    rr__object *o = s->object;
    rr__store_return(cx->runtime, rr__info_of(o));
    rr__block_free(cx, o->data.block, o->place);
    o->data.block = NULL;
}

static void rr__store_stats(rr_runtime *rt, rr_stats *out) {
    out->store_hits = rr__sum(rt, RR__HITS);
    rr__lock(&rt->store->lock);
    const rr_stats *s = &rt->store->stats;
    out->objects_spilled = s->objects_spilled, out->objects_restored = s->objects_restored;
    out->objects_dropped = s->objects_dropped, out->objects_rebuilt = s->objects_rebuilt;
    out->spill_bytes_written = s->spill_bytes_written;
    out->spill_bytes_read = s->spill_bytes_read;
    out->spill_bytes_used = s->spill_bytes_used, out->spill_seconds = s->spill_seconds;
    rr__unlock(&rt->store->lock);
}
