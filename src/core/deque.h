/* Deques: each thread has one, in which what it has made ready lies; others steal from it. Rules Q1
   to Q4 below.
   Locks: none. */
#pragma once
#include "object.h"

/* A work-stealing deque after Chase and Lev ("Dynamic circular work-stealing deque", 2005) and Le,
   Pop, Cohen, Zappa Nardelli ("Correct and efficient work-stealing for weak memory models", 2013).
   The owner works at the bottom, thieves take from the top, several at once.

       top                         bottom
        v                            v
       [a][b][c]  ...        [y][z]  .      entries top <= i < bottom are filled

   An entry is a hint that a slot may be claimed, not a count on it: slots are never given back to
   the system while the runtime lives, and rr__claim alone decides who runs what. So an entry may be
   old, or be taken by the owner and a thief at once; what may not happen is that one is lost.
   Rules  Q1  A thief moves top by a CAS, and reads the entries that it took again after that.
          Q2  The owner may lower bottom while a thief still knows the old one, which then moves top
              past bottom. Then the deque is empty, and bottom follows.
          Q3  An entry that is put below the highest bottom there ever was may lie in what such a
              thief takes. So the owner then looks at top, and puts it again if top has passed.
              All three are seq_cst: either the thief reads the entry, or the owner sees top.
          Q4  What a thief looks at again must still be there. So thieves are counted from before
              their CAS on, and the owner uses a place again, or moves to another ring without
              what was there, only after it has seen top pass it and then no thief. */
typedef struct rr__ring {
    int64_t mask;
    int size; /* which of rr__deque.rings it is */
    RR__ATOMIC(rr__object *) entries[];
} rr__ring;
enum { RR__RINGS = 32, RR__RING_SMALL = 6, RR__RING_LARGE = 16 }; /* logarithms of sizes */
enum { RR__STEAL = 16, RR__HINTS = 2 * RR__STEAL };               /* entries taken at once */

typedef struct rr__deque {
    char apart_1[64]; /* thieves write top, the owner bottom: not in one cache line */
    RR__ATOMIC(int64_t) top;
    RR__ATOMIC(int64_t) thieves; /* between their CAS and their second look (rule Q4) */
    char apart_2[48];
    /* What the owner writes and a thief who looks reads: one line. */
    RR__ATOMIC(int64_t) bottom;
    RR__ATOMIC(uint64_t) pushes; /* so far; tells thieves how long the last entry has been there */
    RR__ATOMIC(rr__ring *) ring;
    RR__ATOMIC(int) is_served;  /* the owner runs bodies and comes back for its entries */
    int64_t seen, high;         /* owner: what top was once; the highest bottom (rule Q3) */
    rr__ring *rings[RR__RINGS]; /* owner: one of each size, made when it is needed first */
    char apart_3[64];
} rr__deque;

/* Rings are kept, one of each size, for as long as the deque is: a thief may still read one that
   was replaced. */
static rr__ring *rr__ring_get(rr__deque *deque, int size) {
    if (size >= RR__RINGS) return NULL;
    rr__ring *ring = deque->rings[size];
    if (ring) return ring;
    ring = RR_CALLOC(1, sizeof *ring + ((size_t)1 << size) * sizeof ring->entries[0]);
    if (!ring) return NULL;
    ring->mask = ((int64_t)1 << size) - 1, ring->size = size;
    return deque->rings[size] = ring;
}

static bool rr__deque_init(rr__deque *deque) {
    rr__ring *ring = rr__ring_get(deque, RR__RING_SMALL);
    if (ring) rr__store_relaxed(&deque->ring, ring); /* published with the context */
    return ring != NULL;
}

static void rr__deque_free(rr__deque *deque) {
    for (int i = 0; i < RR__RINGS; i++) RR_FREE(deque->rings[i]);
}

static RR__NOINLINE rr__ring *rr__deque_grow(rr__deque *deque, int64_t top, int64_t bottom) {
    rr__ring *old = rr__load_relaxed(&deque->ring); /* only the owner replaces it */
    rr__ring *ring = rr__ring_get(deque, old->size + 1);
    if (!ring) return NULL;
    for (int64_t i = top; i < bottom; i++) {
        rr__object *entry = rr__load_relaxed(&old->entries[i & old->mask]);
        rr__store_relaxed(&ring->entries[i & ring->mask], entry);
    }
    rr__store_release(&deque->ring, ring); /* pairs with the acquire in rr__deque_steal */
    return ring;
}

/* Owner: places up to top may be used again, if no thief looks at them still (rule Q4). Returns
   whether that is so. */
static bool rr__deque_see(rr__deque *deque) {
    int64_t top = rr__load_seq_cst(&deque->top); /* pairs with the thief's CAS */
    if (rr__load_seq_cst(&deque->thieves)) return false;
    deque->seen = top;
    return true;
}

/* Owner, empty: after a burst the memory of large rings goes back. A thief that reads one too late
   may find anything there, also NULL; its CAS fails, or rule Q1 gives it what there really is. */
static RR__NOINLINE void rr__deque_shrink(rr__deque *deque) {
    if (!rr__deque_see(deque) || deque->seen != rr__load_relaxed(&deque->bottom)) return;
    rr__store_release(&deque->ring, deque->rings[RR__RING_SMALL]);
    for (int i = RR__RING_LARGE + 1; i < RR__RINGS && deque->rings[i]; i++)
        rr__pages_return((char *)(deque->rings[i] + 1), ((size_t)1 << i) * sizeof(rr__object *));
}

/* Puts an entry at an index; false if memory ran out. The store of bottom is seq_cst for P1. */
static RR__INLINE bool rr__deque_put(rr__deque *deque, rr__object *entry, int64_t at) {
    rr__ring *ring = rr__load_relaxed(&deque->ring); /* the owner's own */
    if (RR__UNLIKELY(at - deque->seen > ring->mask)) {
        rr__deque_see(deque);
        if (at - deque->seen > ring->mask && !(ring = rr__deque_grow(deque, deque->seen, at)))
            return false;
    }
    rr__store_relaxed(&ring->entries[at & ring->mask], entry);
    rr__store_seq_cst(&deque->bottom, at + 1);
    return true;
}

/* Owner. False if memory ran out. */
static RR__INLINE bool rr__deque_push(rr__deque *deque, rr__object *entry) {
    int64_t at = rr__load_relaxed(&deque->bottom);                           /* the owner's own */
    rr__store_relaxed(&deque->pushes, rr__load_relaxed(&deque->pushes) + 1); /* a hint */
    for (int64_t top; rr__deque_put(deque, entry, at); at = top) {
        if (at < deque->high && (top = rr__load_seq_cst(&deque->top)) > at) continue; /* rule Q3 */
        if (at >= deque->high) deque->high = at + 1;
        return true;
    }
    return false;
}

/* Owner: lowers bottom, and looks where the thieves are. True if entries are left. */
static bool rr__deque_lower(rr__deque *deque, int64_t bottom) {
    rr__store_seq_cst(&deque->bottom, bottom);
    int64_t top = rr__load_seq_cst(&deque->top);
    if (top > bottom) rr__store_relaxed(&deque->bottom, top); /* rule Q2 */
    return top < bottom;
}

/* Owner. NULL if empty. */
static rr__object *rr__deque_pop(rr__deque *deque) {
    int64_t bottom = rr__load_relaxed(&deque->bottom) - 1;
    int64_t top = rr__load_relaxed(&deque->top); /* grows only: empty now is empty then */
    rr__ring *ring = rr__load_relaxed(&deque->ring);
    if (top > bottom) {
        if (RR__UNLIKELY(ring->size > RR__RING_LARGE)) rr__deque_shrink(deque);
        return NULL;
    }
    rr__object *entry = rr__load_relaxed(&ring->entries[bottom & ring->mask]);
    (void)rr__deque_lower(deque, bottom); /* if a thief took it too, the claim decides */
    return entry;
}

/* Any thread: takes up to a quarter of the entries, the oldest first. Returns how many hints it has
   written to out; 0 if there are none or another thief was faster. */
static size_t rr__deque_steal(rr__deque *deque, rr__object *out[RR__HINTS]) {
    int64_t top = rr__load_seq_cst(&deque->top);
    int64_t count = rr__load_seq_cst(&deque->bottom) - top;
    if (count <= 0) return 0;
    size_t k = count < 8 ? 1 : count < 4 * RR__STEAL ? (size_t)count / 4 : RR__STEAL, n = k;
    rr__ring *ring = rr__load_acquire(&deque->ring);
    for (size_t i = 0; i < k; i++)
        out[i] = rr__load_relaxed(&ring->entries[(top + (int64_t)i) & ring->mask]);
    RR__STRESS_POINT();
    rr__add_seq_cst(&deque->thieves, (int64_t)1); /* rule Q4 */
    bool is_ours = rr__cas_seq_cst(&deque->top, &top, top + (int64_t)k);
    RR__STRESS_POINT();
    if (is_ours) {
        (void)rr__load_seq_cst(&deque->bottom); /* rule Q1: pairs with the store in rr__deque_put */
        ring = rr__load_acquire(&deque->ring);
    }
    for (size_t i = 0; is_ours && i < k; i++) {
        rr__object *again = rr__load_relaxed(&ring->entries[(top + (int64_t)i) & ring->mask]);
        if (again != out[i]) out[n++] = again;
    }
    rr__sub_seq_cst(&deque->thieves, (int64_t)1);
    return is_ours ? n : 0;
}

static bool rr__deque_is_empty(rr__deque *deque) {
    int64_t top = rr__load_seq_cst(&deque->top);
    return top >= rr__load_seq_cst(&deque->bottom);
}

/* Owner: drops entries at the bottom whose tasks a waiter ran already, all with one fence. */
static void rr__deque_trim(rr__deque *deque) {
    int64_t bottom = rr__load_relaxed(&deque->bottom), keep = bottom;
    int64_t top = rr__load_relaxed(&deque->top); /* may be old: looked at again */
    rr__ring *ring = rr__load_relaxed(&deque->ring);
    while (keep > top &&
           !rr__is_claimable(rr__load_relaxed(&ring->entries[(keep - 1) & ring->mask])))
        keep--;
    if (keep == bottom) return;
    if (!rr__deque_lower(deque, keep) && RR__UNLIKELY(ring->size > RR__RING_LARGE))
        rr__deque_shrink(deque);
}
