/* Maps: from texts or numbers to pointers, as a hash table with open addressing and linear probing;
   what is deleted leaves no mark, because those behind it move up (Knuth, The Art of Computer
   Programming 3, 6.4, algorithm R). It doubles when it is three quarters full, so that an entry
   costs the same in a small and in a large one, and says when there is no memory for that. Keys are
   the caller's, and stay where they are.
   Locks: none; the caller's. */
#pragma once
#include "platform.h"

typedef struct rr__map_entry {
    uint64_t hash;
    const char *key; /* NULL: free */
    void *value;
} rr__map_entry;

/* Zeros: empty. */
typedef struct rr__map {
    rr__map_entry *entries;
    size_t count, room; /* a power of two, or 0 */
} rr__map;

static uint64_t rr__hash_text(uint64_t hash, const char *text) { /* FNV-1a, Fowler/Noll/Vo */
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}
#define RR__HASH_START 14695981039346656037u

/* Every bit of a number counts for every bit of this, and no two have the same (splitmix64: Steele,
   Lea, Flood 2014). */
static uint64_t rr__hash_number(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* The entry of a key, or the free one where its search ends. There is one. */
static rr__map_entry *rr__map_slot(const rr__map *map, uint64_t hash, const char *key) {
    size_t mask = map->room - 1, i = (size_t)hash & mask;
    for (;; i = (i + 1) & mask) {
        rr__map_entry *e = &map->entries[i];
        if (!e->key || (e->hash == hash && !strcmp(e->key, key))) return e;
    }
}

/* False without memory. */
static bool rr__map_resize(rr__map *map, size_t room) {
    rr__map larger = {.room = room, .count = map->count};
    larger.entries = RR_CALLOC(room, sizeof *larger.entries);
    if (!larger.entries) return false;
    for (size_t i = 0; i < map->room; i++) {
        rr__map_entry e = map->entries[i];
        if (e.key) *rr__map_slot(&larger, e.hash, e.key) = e;
    }
    RR_FREE(map->entries);
    *map = larger;
    return true;
}

static void rr__map_free(rr__map *map) {
    RR_FREE(map->entries);
    *map = (rr__map){NULL, 0, 0};
}

/* ---- by hash and key ---- */

/* The entry, until the map changes; or NULL. */
static rr__map_entry *rr__map_find(const rr__map *map, uint64_t hash, const char *key) {
    rr__map_entry *e = map->room ? rr__map_slot(map, hash, key) : NULL;
    return e && e->key ? e : NULL;
}

/* Adds one that is not there. False without memory. */
static bool rr__map_add(rr__map *map, uint64_t hash, const char *key, void *value) {
    bool is_full = map->count >= map->room / 4 * 3;
    if (is_full && !rr__map_resize(map, map->room ? 2 * map->room : 16)) return false;
    *rr__map_slot(map, hash, key) = (rr__map_entry){hash, key, value};
    map->count++;
    return true;
}

/* Those behind it that are not where their search begins move up. */
static void rr__map_remove(rr__map *map, rr__map_entry *e) {
    size_t mask = map->room - 1, gap = (size_t)(e - map->entries);
    for (size_t i = (gap + 1) & mask; map->entries[i].key; i = (i + 1) & mask) {
        size_t home = (size_t)map->entries[i].hash & mask;
        if (((i - home) & mask) < ((i - gap) & mask)) continue;
        map->entries[gap] = map->entries[i], gap = i;
    }
    map->entries[gap].key = NULL;
    if (!--map->count) rr__map_free(map);
    else if (map->count < map->room / 8) (void)rr__map_resize(map, map->room / 2); /* or later */
}

/* ---- by text, by number ---- */

static uint64_t rr__map_hash(const char *text) {
    return rr__hash_number(rr__hash_text(RR__HASH_START, text));
}
static rr__map_entry *rr__map_at(const rr__map *map, const char *text) {
    return rr__map_find(map, rr__map_hash(text), text);
}
static bool rr__map_put(rr__map *map, const char *text, void *value) {
    return rr__map_add(map, rr__map_hash(text), text, value);
}
static rr__map_entry *rr__map_at_number(const rr__map *map, uint64_t number) {
    return rr__map_find(map, rr__hash_number(number), "");
}
static bool rr__map_put_number(rr__map *map, uint64_t number, void *value) {
    return rr__map_add(map, rr__hash_number(number), "", value);
}
