/* The arena: 64-byte aligned blocks of any size. Of 64 to 512 bytes in steps of 64, and to 64
   KiB in steps of a quarter of a power of two, so that at most a fifth of a block above 256
   bytes is not used, from a pool for each size; above that each has memory of its own, and some
   of those that are free are kept, because new pages cost more than a copy.

       block of its own   [.. padding ..][rr__big, in 64 bytes][size bytes]
                           ^ malloc                            ^ 64-byte aligned

   A block is known by its place: the number of its pool, or RR__ON_ITS_OWN.
   Locks: big_lock, a leaf, and the pools'. */
#pragma once
#include "pool.h"

/* Where bytes lie: inside the slot, in a block of class 0, 1, ... or of its own. */
enum rr__place { RR__CLASSES = 36, RR__IN_SLOT = 254, RR__ON_ITS_OWN = 255 };

/* In front of a block that has memory of its own. */
typedef struct rr__big {
    void *memory; /* as malloc gave it */
    size_t size;
    struct rr__big *next; /* of those that go back to the system */
} rr__big;

enum { RR__BIGS = 16 };

typedef struct rr__arena {
    rr__memory *memory;
    rr__pool pools[RR__CLASSES];
    rr__mutex big_lock;             /* of the four below; a leaf */
    rr__big *abandoned;             /* see rr__arena_abandon */
    rr__big *bigs[RR__BIGS];        /* free big blocks, for reuse */
    size_t big_bytes;               /* of all of them */
    int next_big;                   /* the oldest, which makes room first */
    RR__ATOMIC(uint64_t) bigs_held; /* bytes of these and of those in use */
} rr__arena;

static size_t rr__class_bytes(int class) {
    if (class < 8) return (size_t)64 * (size_t)(class + 1);
    return (size_t)(128 * (class % 4 + 5)) << (class / 4 - 2);
}

static uint8_t rr__class_of(size_t bytes) {
    if (bytes > rr__class_bytes(RR__CLASSES - 1)) return RR__ON_ITS_OWN;
    uint32_t last = bytes ? (uint32_t)(bytes - 1) / 64 : 0; /* the last unit of 64 bytes */
    if (last < 8) return (uint8_t)last;
    uint32_t power = rr__highest_bit(last); /* 3 for those above 512 bytes */
    return (uint8_t)(4 * power - 4 + (last >> (power - 2)) % 4);
}

static rr__big *rr__big_of(void *block) { return (rr__big *)(void *)((char *)block - 64); }
static void *rr__big_block(rr__big *big) { return (char *)big + 64; }

static void rr__big_free(void *block) {
    rr__pages_return(block, rr__big_of(block)->size);
    RR__UNPOISON(block, 1); /* free() clears the rest */
    RR_FREE(rr__big_of(block)->memory);
}

static void rr__bigs_free(rr__arena *arena, rr__big *first) {
    for (rr__big *big = first, *next; big; big = next) {
        next = big->next;
        rr__sub_acq_rel(&arena->bigs_held, (uint64_t)big->size);
        rr__big_free(rr__big_block(big));
    }
}

/* Bytes of free ones that are kept. */
static size_t rr__bigs_keep(rr__arena *arena) {
    size_t live = (size_t)rr__load_relaxed(&arena->memory->live); /* a counter */
    return rr__is_much_in_use(arena->memory) ? live / 8 : 2 * RUSTYRAY_KEEP_BYTES;
}

/* Takes out kept blocks, the oldest first, until there are no more bytes than that. */
static rr__big *rr__bigs_trim_locked(rr__arena *arena, size_t most) {
    rr__big *gone = NULL;
    while (arena->big_bytes > most) {
        rr__big *oldest = arena->bigs[arena->next_big];
        arena->bigs[arena->next_big] = NULL, arena->next_big = (arena->next_big + 1) % RR__BIGS;
        if (oldest) arena->big_bytes -= oldest->size, oldest->next = gone, gone = oldest;
    }
    return gone;
}

/* A free block of this size, not more than an eighth too large; NULL if none is kept. */
static void *rr__big_reuse(rr__arena *arena, size_t size) {
    int best = -1;
    rr__lock(&arena->big_lock);
    for (int i = 0; i < RR__BIGS; i++) {
        rr__big *big = arena->bigs[i];
        if (!big || big->size < size || big->size - size > size / 8) continue;
        if (best < 0 || big->size < arena->bigs[best]->size) best = i;
    }
    rr__big *found = best >= 0 ? arena->bigs[best] : NULL;
    if (found) arena->big_bytes -= found->size, arena->bigs[best] = NULL;
    rr__big *gone = rr__bigs_trim_locked(arena, rr__bigs_keep(arena));
    rr__unlock(&arena->big_lock);
    rr__bigs_free(arena, gone);
    if (found) RR__UNPOISON(rr__big_block(found), size);
    return found ? rr__big_block(found) : NULL;
}

static void *rr__big_new(rr__arena *arena, size_t size) {
    void *block = rr__big_reuse(arena, size);
    char *p = block || size > SIZE_MAX - 128 ? NULL : RR_MALLOC(size + 128);
    if (!p) return block;
    if (size >= RR__HUGE)
        RR__PAGES_HUGE(p + (RR__PAGE - (uintptr_t)p % RR__PAGE) % RR__PAGE, size - RR__PAGE);
    block = p + 128 - (uintptr_t)p % 64;
    *rr__big_of(block) = (rr__big){p, size, NULL};
    rr__add_relaxed(&arena->bigs_held, (uint64_t)size); /* a counter */
    rr__memory_grown(arena->memory);
    return block;
}

/* Keeps a block for reuse; the oldest ones that are kept make room for it. */
static void rr__big_give(rr__arena *arena, void *block) {
    rr__big *big = rr__big_of(block);
    size_t most = rr__bigs_keep(arena);
    if (big->size > most) {
        big->next = NULL;
        rr__bigs_free(arena, big);
        return;
    }
    RR__POISON(block, big->size);
    rr__lock(&arena->big_lock);
    rr__big *gone = rr__bigs_trim_locked(arena, most - big->size);
    rr__big *oldest = arena->bigs[arena->next_big];
    if (oldest) arena->big_bytes -= oldest->size, oldest->next = gone, gone = oldest;
    arena->bigs[arena->next_big] = big, arena->next_big = (arena->next_big + 1) % RR__BIGS;
    arena->big_bytes += big->size;
    rr__unlock(&arena->big_lock);
    rr__bigs_free(arena, gone);
}

/* Memory for size bytes, 64-byte aligned; *place says what kind and goes to rr__arena_give. The
   caches are the calling thread's, one for each pool. */
static void *rr__arena_take(rr__arena *arena, rr__cache *caches, size_t size, uint8_t *place) {
    *place = rr__class_of(size);
    if (*place == RR__ON_ITS_OWN) return rr__big_new(arena, size);
    void *block = rr__cache_take(&arena->pools[*place], &caches[*place], 0);
    if (block) RR__UNPOISON(block, size);
    return block;
}

static void rr__arena_give(rr__arena *arena, rr__cache *caches, void *block, uint8_t place) {
    if (!block) return;
    if (place == RR__ON_ITS_OWN) {
        rr__big_give(arena, block);
        return;
    }
    RR__POISON((char *)block + 2 * sizeof(void *), rr__class_bytes(place) - 2 * sizeof(void *));
    rr__cache_give(&arena->pools[place], &caches[place], 0, block);
}

/* Who has it may write to it still: it stays until the arena goes. */
static void rr__arena_abandon(rr__arena *arena, void *block, uint8_t place) {
    if (place != RR__ON_ITS_OWN) return;
    rr__big *big = rr__big_of(block);
    rr__lock(&arena->big_lock);
    big->next = arena->abandoned, arena->abandoned = big;
    rr__unlock(&arena->big_lock);
}

/* What the arena takes from the system, in bytes. */
static uint64_t rr__arena_held(rr__arena *arena) {
    uint64_t held = rr__load_relaxed(&arena->bigs_held); /* a counter */
    for (int i = 0; i < RR__CLASSES; i++) {
        rr__pool *pool = &arena->pools[i];
        rr__lock(&pool->lock);
        held += (uint64_t)pool->used * pool->block;
        rr__unlock(&pool->lock);
    }
    return held;
}

static void rr__arena_sweep(rr__arena *arena, rr__cache *caches) {
    for (int i = 0; i < RR__CLASSES; i++) rr__pool_sweep(&arena->pools[i], &caches[i]);
}

static bool rr__arena_init(rr__arena *arena, rr__memory *memory) {
    arena->memory = memory;
    bool ok = rr__mutex_init(&arena->big_lock);
    for (int i = 0; ok && i < RR__CLASSES; i++)
        ok = rr__pool_init(&arena->pools[i], rr__class_bytes(i), 0, memory);
    return ok;
}

/* Blocks of their own that are in use are their users' to free (rr__big_free). */
static void rr__arena_free(rr__arena *arena) {
    for (int i = 0; i < RR__CLASSES; i++) rr__pool_free(&arena->pools[i]);
    for (int i = 0; i < RR__BIGS; i++)
        if (arena->bigs[i]) rr__big_free(rr__big_block(arena->bigs[i]));
    rr__bigs_free(arena, arena->abandoned);
    rr__mutex_destroy(&arena->big_lock);
}
