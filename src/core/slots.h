/* The table of slots. A slot is found by its number in one step; its memory stays typed as
   slots, and mapped, until the runtime ends: so a stale handle may be followed, and told by its
   id.

       number 1 .. 256 in segment 8, the next 512 in segment 9, ... 2^k in segment k

   With n = number + 255, segment k holds n = 2^k to 2^(k+1) - 1, and segments[k] is where n = 0
   would lie, so that one shift and one addition find a slot.
   Locks: that of the pool, for adding. */
#pragma once
#include "object.h"

enum { RR__SEGMENTS = 32, RR__FIRST_SEGMENT = 8 };

/* Whose call made what is in a slot, beside what its `info` says: see rr__parent_note. */
typedef RR__ATOMIC(uint64_t) rr__origin;

typedef struct rr__slots {
    rr__pool pool;
    RR__ATOMIC(uintptr_t) segments[RR__SEGMENTS]; /* written under the pool's lock */
    void *memory[RR__SEGMENTS];                   /* as malloc gave it */
    rr__origin *origins[RR__SEGMENTS];            /* one for each slot; before its segment */
    RR__ATOMIC(uint64_t) next_id;
} rr__slots;

/* Regions of large segments are huge pages, as which they come and go. */
static size_t rr__region_bytes(size_t segment) {
    return segment >= RR__HUGE ? RR__HUGE_PAGE : segment < RR__REGION ? 128 : RR__REGION;
}

static bool rr__segment_add(rr__slots *slots) {
    rr__pool *pool = &slots->pool;
    for (int k = RR__FIRST_SEGMENT; k < RR__SEGMENTS; k++) {
        if (rr__load_relaxed(&slots->segments[k])) continue; /* written under this lock */
        size_t bytes = ((size_t)1 << k) * sizeof(rr__object);
        rr__origin *origins = slots->origins[k];
        if (!origins) origins = RR_CALLOC((size_t)1 << k, sizeof *origins);
        slots->origins[k] = origins; /* touched only where actors call */
        if (!origins) return false;
        char *start = rr__aligned_zeros(bytes, rr__region_bytes(bytes), &slots->memory[k]);
        if (!start) return false;
        if (bytes >= RR__HUGE) RR__PAGES_HUGE(start, bytes);
        pool->fresh = start, pool->end = start + bytes;
        rr__store_release(&slots->segments[k], (uintptr_t)start - bytes); /* pairs with slot_at */
        return true;
    }
    return false;
}

/* Slots: from a region that was given back, or a new segment. */
static bool rr__slots_grow(rr__pool *pool) {
    rr__chunk *region = pool->chunks;
    if (!region) return rr__segment_add(pool->owner);
    pool->chunks = region->next;
    pool->fresh = region->start, pool->end = region->start + region->bytes;
    RR_FREE(region);
    return true;
}

static size_t rr__slots_regions(rr__pool *pool, rr__region *regions) {
    rr__slots *slots = pool->owner;
    size_t n = 0;
    for (int k = RR__FIRST_SEGMENT + 1; k < RR__SEGMENTS; k++) {
        uintptr_t base = rr__load_relaxed(&slots->segments[k]); /* written under the pool's lock */
        size_t bytes = ((size_t)1 << k) * sizeof(rr__object), each = rr__region_bytes(bytes);
        for (size_t at = 0; base && at < bytes; at += each, n++)
            if (regions) regions[n] = (rr__region){(char *)(base + bytes + at), each, 0, NULL};
    }
    return n;
}

/* Its pages go back; the region stays mapped, because stale handles may be followed into it. */
static void rr__slots_give_back(rr__pool *pool, rr__region *region) {
    (void)RR__PAGES_RETURN(region->start, region->bytes);
    *region->chunk = (rr__chunk){pool->chunks, NULL, region->start, region->bytes};
    pool->chunks = region->chunk;
}
static const rr__source rr__slots_source = {rr__slots_grow, rr__slots_regions, rr__slots_give_back,
                                            true};

static bool rr__slots_init(rr__slots *slots, rr__memory *memory) {
    rr__store_relaxed(&slots->next_id, (uint64_t)1); /* nobody else is here yet */
    if (!rr__pool_init(&slots->pool, sizeof(rr__object), RR__SLOT_LINK, memory)) return false;
    slots->pool.source = &rr__slots_source, slots->pool.owner = slots;
    return true;
}

static void rr__slots_free(rr__slots *slots) {
    rr__pool_free(&slots->pool);
    for (int k = 0; k < RR__SEGMENTS; k++) RR_FREE(slots->memory[k]), RR_FREE(slots->origins[k]);
}

/* The slot of a number from a handle, live or not; NULL if there never was one. */
static RR__INLINE rr__object *rr__slot_find(rr__slots *slots, uint32_t slot) {
    uint32_t n = slot + 255;
    if (RR__UNLIKELY(n == 0)) return NULL;
    uintptr_t base = rr__load_acquire(&slots->segments[rr__highest_bit(n)]);
    return RR__LIKELY(base) ? (rr__object *)(base + (uintptr_t)n * sizeof(rr__object)) : NULL;
}

/* Of a slot that there is. */
static RR__INLINE rr__origin *rr__slot_origin(rr__slots *slots, uint32_t slot) {
    uint32_t n = slot + 255, k = rr__highest_bit(n);
    return &slots->origins[k][n - ((uint32_t)1 << k)];
}

/* Numbers of slots are below this. */
static uint32_t rr__slots_count(rr__slots *slots) {
    uint32_t k = RR__FIRST_SEGMENT;
    while (k < RR__SEGMENTS && rr__load_acquire(&slots->segments[k])) k++;
    return k < RR__SEGMENTS ? ((uint32_t)1 << k) - 255 : UINT32_MAX;
}

/* The number of what lies at an address; 0: no slot. */
static RR__NOINLINE uint32_t rr__slots_number(rr__slots *slots, const rr__object *o) {
    for (unsigned k = RR__FIRST_SEGMENT; k < RR__SEGMENTS; k++) {
        uintptr_t base = rr__load_acquire(&slots->segments[k]);
        size_t n = base ? ((uintptr_t)o - base) / sizeof(rr__object) : 0;
        if (base && n >> k == 1) return (uint32_t)(n - 255);
    }
    return 0;
}
