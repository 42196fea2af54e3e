/* Pools of blocks of one size: a cache in each thread, which changes whole batches with the pool
   (Bonwick and Adams, "Magazines and Vmem", 2001), so that most blocks are had without a lock.

   A pool gets memory in pieces from its source: chunks of malloc's, or segments of slots
   (core/slots.h). What is free beyond what a next burst may want goes back to the system in
   whole pieces; a while later, on another thread: the pool says that there is a surplus
   (rr__memory), and rr__pool_sweep is called.
   Locks: each pool's, a leaf. A cache is its thread's own. */
#pragma once
#include "threads.h"

/* What all pools of a runtime share. */
typedef struct rr__memory {
    RR__ATOMIC(uint64_t) live;    /* bytes of values outside their slots; the store counts them */
    void (*surplus)(void *owner); /* much is free: call the sweeps some time later. Any thread */
    void *owner;
} rr__memory;

/* Free blocks of one size held by one thread; in batches they go to and come from
   the pool (Bonwick and Adams, "Magazines and Vmem", 2001). */
typedef struct rr__cache {
    void *first;
    uint32_t count;
} rr__cache;

typedef struct rr__chunk {
    struct rr__chunk *next;
    void *memory; /* as malloc gave it */
    char *start;
    size_t bytes;
} rr__chunk;

/* A piece of a pool's memory that can go back to the system when all its blocks are free. */
typedef struct rr__region {
    char *start;
    size_t bytes, free;
    rr__chunk *chunk; /* NULL: a part of a segment of slots */
} rr__region;

typedef struct rr__pool rr__pool;

/* Where a pool gets its memory from. All under the pool's lock. */
typedef struct rr__source {
    bool (*grow)(rr__pool *pool); /* new memory from `fresh` to `end`; false: there is none */
    /* Writes the pieces that could go back, if there is room for them; returns how many. */
    size_t (*regions)(rr__pool *pool, rr__region *regions);
    void (*give_back)(rr__pool *pool, rr__region *region); /* one without a used block */
    bool is_kept; /* what a burst took is kept until three quarters of it are free */
} rr__source;

struct rr__pool {
    rr__mutex lock;     /* a leaf: nothing is locked under it */
    size_t block;       /* bytes */
    uint32_t batch;     /* blocks that move at once: 32, fewer of large ones */
    size_t link;        /* where in a free block the two links lie */
    void *batches;      /* free blocks in lists of `batch` */
    char *fresh, *end;  /* never used */
    rr__chunk *chunks;  /* the memory; of slots: regions that were given back, to be used again */
    size_t chunk_bytes; /* of the next one */
    rr__memory *memory;
    const rr__source *source;
    void *owner;           /* the source's own */
    size_t used;           /* blocks that were handed out at least once */
    size_t free, sweep_at; /* of those, in batches; at how many to look for memory to give back */
};

enum {
    RR__REGION = 65536,
    RR__PAGE = 4096,
    RR__HUGE_PAGE = 2 << 20,
    RR__HUGE = 4 << 20,
    RR__SWEEP = 1 << 20
};

/* Two links inside a free block: to the next block and to the next batch. */
static inline void **rr__link_at(void *block, size_t link) {
    return (void **)((char *)block + link);
}
static void **rr__pool_link(const rr__pool *pool, void *block) {
    return rr__link_at(block, pool->link);
}

/* size bytes, zeroed, aligned to align (a power of two); *memory is what to free. Large
   calloc's are pages that the system zeroes when they are touched, so no memory is used up
   before it is needed. */
static void *rr__aligned_zeros(size_t size, size_t align, void **memory) {
    if (size > SIZE_MAX - align) return NULL;
    char *p = RR_CALLOC(1, size + align);
    *memory = p;
    return p ? p + (align - (uintptr_t)p % align) % align : NULL;
}

static bool rr__chunks_grow(rr__pool *pool) {
    rr__chunk *chunk = RR_MALLOC(sizeof *chunk);
    if (!chunk) return false;
    size_t bytes = pool->chunk_bytes < 4 * pool->block ? 4 * pool->block : pool->chunk_bytes;
    bytes -= bytes % pool->block;
    char *start = rr__aligned_zeros(bytes, 64, &chunk->memory);
    if (!start) {
        RR_FREE(chunk);
        return false;
    }
    *chunk = (rr__chunk){pool->chunks, chunk->memory, start, bytes};
    pool->chunks = chunk;
    pool->fresh = start, pool->end = start + bytes;
    if (pool->chunk_bytes < (size_t)1 << 20) pool->chunk_bytes *= 2;
    RR__POISON(start, bytes);
    return true;
}

/* Free memory is kept for the next burst. But as soon as the values in memory are more than
   RUSTYRAY_KEEP_BYTES, no more than an eighth of what they take: of large blocks in all, of small
   ones for each size, as far as whole chunks are free. */
static bool rr__is_much_in_use(rr__memory *memory) {
    return rr__load_relaxed(&memory->live) > RUSTYRAY_KEEP_BYTES; /* a counter */
}

/* New memory was taken. What other sizes have kept since less was in use may be too much now, and
   nobody may come by those again. */
static void rr__memory_grown(rr__memory *memory) {
    if (rr__is_much_in_use(memory)) memory->surplus(memory->owner);
}

/* Moves a batch from the pool into an empty cache. */
static RR__NOINLINE bool rr__pool_refill(rr__pool *pool, rr__cache *cache) {
    rr__lock(&pool->lock);
    bool grows = !pool->batches && pool->fresh == pool->end;
    if (pool->batches) {
        cache->first = pool->batches, cache->count = pool->batch;
        pool->batches = rr__pool_link(pool, pool->batches)[1];
        pool->free -= pool->batch;
    } else if (pool->fresh != pool->end || pool->source->grow(pool)) {
        for (uint32_t i = 0; i < pool->batch && pool->fresh != pool->end; i++) {
            char *block = pool->fresh;
            pool->fresh += pool->block;
            RR__UNPOISON(block, pool->link + 2 * sizeof(void *));
            rr__pool_link(pool, block)[0] = cache->first;
            cache->first = block, cache->count++;
        }
        pool->used += cache->count;
    }
    rr__unlock(&pool->lock);
    if (grows) rr__memory_grown(pool->memory);
    return cache->first != NULL;
}

/* When more blocks are free than are kept, whole regions of them go back to the system; a while
   later, so that the next burst finds them if it comes soon, and on another thread, so that nobody
   waits for it. What is still in use may keep many regions; the next time is when a 16th of that is
   free as well. Slots, which come and go with every task, only when three quarters of those that
   were ever used are free. */
static size_t rr__chunks_list(rr__pool *pool, rr__region *regions) {
    size_t n = 0;
    for (rr__chunk *chunk = pool->chunks; chunk; chunk = chunk->next, n++)
        if (regions) regions[n] = (rr__region){chunk->start, chunk->bytes, 0, chunk};
    return n;
}

static int rr__region_order(const void *a, const void *b) {
    uintptr_t left = (uintptr_t)((const rr__region *)a)->start;
    uintptr_t right = (uintptr_t)((const rr__region *)b)->start;
    return left < right ? -1 : left > right;
}

/* The region of a block, or NULL; `last` is that of the one before, which is often the same. */
static rr__region *rr__region_find(rr__region *regions, size_t n, const void *block,
                                   rr__region *last) {
    const char *p = block;
    if (last && p >= last->start && p < last->start + last->bytes) return last;
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (regions[middle].start <= p) low = middle + 1;
        else high = middle;
    }
    rr__region *found = low ? &regions[low - 1] : NULL;
    return found && p < found->start + found->bytes ? found : NULL;
}

static void rr__regions_count(rr__pool *pool, rr__region *regions, size_t n) {
    rr__region *region = NULL;
    for (void *batch = pool->batches; batch; batch = rr__pool_link(pool, batch)[1])
        for (void *block = batch; block; block = rr__pool_link(pool, block)[0])
            if ((region = rr__region_find(regions, n, block, region))) region->free++;
}

/* Blocks that it keeps for the next burst. */
static size_t rr__pool_keeps(const rr__pool *pool) {
    bool is_bounded = !pool->source->is_kept && rr__is_much_in_use(pool->memory);
    return is_bounded ? (pool->used - pool->free) / 8 : RUSTYRAY_KEEP_BYTES / pool->block;
}

/* Chooses regions without a used block, until no more than half of what is kept is left. */
static void rr__regions_choose(rr__pool *pool, rr__region *regions, size_t n) {
    size_t left = pool->free, keep = rr__pool_keeps(pool) / 2;
    for (size_t i = 0; i < n; i++) {
        rr__region *region = &regions[i];
        size_t blocks = region->bytes / pool->block;
        if (region->free < blocks || left < keep + blocks) continue;
        if (!region->chunk && !(region->chunk = RR_MALLOC(sizeof *region->chunk))) continue;
        region->free = SIZE_MAX, left -= blocks;
    }
}

/* Makes the batches anew without what lies in a chosen region. What does not fill a batch goes to
   the cache. */
static void rr__batches_filter(rr__pool *pool, rr__cache *cache, rr__region *regions, size_t n) {
    void *batches = pool->batches, *open = NULL, *next_batch, *next;
    rr__region *region = NULL;
    size_t left = 0;
    pool->batches = NULL;
    for (void *batch = batches; batch; batch = next_batch) {
        next_batch = rr__pool_link(pool, batch)[1];
        for (void *block = batch; block; block = next) {
            next = rr__pool_link(pool, block)[0];
            region = rr__region_find(regions, n, block, region);
            if (region && region->free == SIZE_MAX) continue;
            rr__pool_link(pool, block)[0] = open, open = block;
            if (++left % pool->batch) continue;
            rr__pool_link(pool, open)[1] = pool->batches, pool->batches = open, open = NULL;
        }
    }
    pool->free = left - left % pool->batch;
    for (; open; open = next) {
        next = rr__pool_link(pool, open)[0];
        rr__pool_link(pool, open)[0] = cache->first;
        cache->first = open, cache->count++;
    }
}

/* Whole pages of what is about to be freed: malloc itself may keep them. */
static void rr__pages_return(char *start, size_t bytes) {
    size_t skip = (RR__PAGE - (uintptr_t)start % RR__PAGE) % RR__PAGE;
    if (bytes >= 2 * RR__PAGE)
        (void)RR__PAGES_RETURN(start + skip, (bytes - skip) / RR__PAGE * RR__PAGE);
}

static void rr__chunk_free(rr__chunk *chunk) {
    rr__pages_return(chunk->start, chunk->bytes);
    RR__UNPOISON(chunk->memory, 1); /* free() clears the rest */
    RR_FREE(chunk->memory);
    RR_FREE(chunk);
}

static void rr__chunk_give_back(rr__pool *pool, rr__region *region) {
    rr__chunk **at = &pool->chunks;
    while (*at != region->chunk) at = &(*at)->next;
    *at = region->chunk->next;
    rr__chunk_free(region->chunk);
}
static const rr__source rr__chunk_source = {rr__chunks_grow, rr__chunks_list, rr__chunk_give_back,
                                            false};

static RR__NOINLINE void rr__pool_sweep_locked(rr__pool *pool, rr__cache *cache) {
    size_t n = pool->source->regions(pool, NULL);
    rr__region *regions = RR_MALLOC((n + 1) * sizeof *regions);
    if (regions) {
        pool->source->regions(pool, regions);
        qsort(regions, n, sizeof *regions, rr__region_order);
        rr__regions_count(pool, regions, n);
        rr__regions_choose(pool, regions, n);
        rr__batches_filter(pool, cache, regions, n);
        for (size_t i = 0; i < n; i++) {
            if (regions[i].free != SIZE_MAX) continue;
            pool->used -= regions[i].bytes / pool->block;
            pool->source->give_back(pool, &regions[i]);
        }
        RR_FREE(regions);
    }
    pool->sweep_at = pool->free + (pool->used - pool->free) / 16 + RR__SWEEP / pool->block;
}

/* Enough is free to look for what can go back. */
static bool rr__sweep_is_due_locked(const rr__pool *pool) {
    if (RR__LIKELY(pool->free < pool->sweep_at) || pool->free < rr__pool_keeps(pool)) return false;
    return !pool->source->is_kept || pool->free / 3 >= pool->used / 4;
}

/* Gives back what is surplus, if that is still so; blocks that are left over go to the cache. */
static void rr__pool_sweep(rr__pool *pool, rr__cache *cache) {
    rr__lock(&pool->lock);
    if (rr__sweep_is_due_locked(pool)) rr__pool_sweep_locked(pool, cache);
    rr__unlock(&pool->lock);
}

/* Gives a batch of a cache's blocks to the pool. */
static RR__NOINLINE void rr__pool_flush(rr__pool *pool, rr__cache *cache) {
    void *first = cache->first, *last = first;
    for (uint32_t i = 1; i < pool->batch; i++) last = rr__pool_link(pool, last)[0];
    cache->first = rr__pool_link(pool, last)[0], cache->count -= pool->batch;
    rr__pool_link(pool, last)[0] = NULL;
    rr__lock(&pool->lock);
    rr__pool_link(pool, first)[1] = pool->batches;
    pool->batches = first;
    pool->free += pool->batch;
    bool is_due = rr__sweep_is_due_locked(pool);
    rr__unlock(&pool->lock);
    if (RR__UNLIKELY(is_due)) pool->memory->surplus(pool->memory->owner);
}

/* `link` is the pool's, as a constant. */
static RR__INLINE void *rr__cache_take(rr__pool *pool, rr__cache *cache, size_t link) {
    if (RR__UNLIKELY(!cache->first) && !rr__pool_refill(pool, cache)) return NULL;
    void *block = cache->first;
    cache->first = *rr__link_at(block, link), cache->count--;
    RR__PREFETCH(cache->first); /* it may come from another core; the next call wants it */
    RR__PREFETCH((void *)((uintptr_t)cache->first + 64));
    return block;
}

static RR__INLINE void rr__cache_give(rr__pool *pool, rr__cache *cache, size_t link, void *block) {
    *rr__link_at(block, link) = cache->first;
    cache->first = block;
    if (RR__UNLIKELY(++cache->count >= 3 * pool->batch)) rr__pool_flush(pool, cache);
}

static bool rr__pool_init(rr__pool *pool, size_t block, size_t link, rr__memory *memory) {
    memset(pool, 0, sizeof *pool);
    pool->block = block, pool->link = link, pool->memory = memory;
    pool->source = &rr__chunk_source, pool->chunk_bytes = (size_t)16 << 10;
    pool->batch = block <= 2048 ? 32 : (uint32_t)(RR__REGION / block);
    pool->sweep_at = RR__SWEEP / block;
    return rr__mutex_init(&pool->lock);
}

static void rr__pool_free(rr__pool *pool) {
    for (rr__chunk *chunk = pool->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        rr__chunk_free(chunk);
    }
    rr__mutex_destroy(&pool->lock);
}
