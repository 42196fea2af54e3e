/* Heaps of four children a node (Johnson, "Priority queues with update", 1975): shallow, so that
   adding and removing one of a million entries costs some ten steps. An entry knows its place,
   is a part of what it stands for, and has room promised to it beforehand: so adding cannot
   fail.
   Locks: none here; each heap is under that of whose it is. */
#pragma once
#include "object.h"

/* An entry of a heap. It is a part of what it stands for. */
typedef struct rr__entry {
    double when;             /* what comes first; on rr_now's clock */
    uint64_t order;          /* among equals */
    size_t at;               /* place in the heap, from 1; 0: in none. Under the heap's lock */
    rr__control *control;    /* whose it is */
    struct rr__fiber *fiber; /* or whose wait it ends; neither: the runtime's */
} rr__entry;

/* Under the lock of what it is for. */
typedef struct rr__heap {
    rr__entry **entries;          /* four children each; [0] is unused */
    size_t count, room, promised; /* in it; in the array; that may be in it at any time */
    uint64_t orders;              /* added so far */
} rr__heap;

static bool rr__entry_before(const rr__entry *a, const rr__entry *b) {
    return a->when < b->when || (a->when == b->when && a->order < b->order);
}

static void rr__heap_place(rr__heap *heap, rr__entry *entry, size_t at) {
    heap->entries[at] = entry, entry->at = at;
}

static void rr__heap_up(rr__heap *heap, rr__entry *entry, size_t at) {
    for (size_t up; at > 1; at = up) {
        up = (at + 2) / 4;
        if (!rr__entry_before(entry, heap->entries[up])) break;
        rr__heap_place(heap, heap->entries[up], at);
    }
    rr__heap_place(heap, entry, at);
}

static void rr__heap_down(rr__heap *heap, rr__entry *entry, size_t at) {
    for (;;) {
        size_t first = 4 * at - 2, least = first;
        for (size_t i = first; i < first + 4 && i <= heap->count; i++)
            if (rr__entry_before(heap->entries[i], heap->entries[least])) least = i;
        if (first > heap->count || !rr__entry_before(heap->entries[least], entry)) break;
        rr__heap_place(heap, heap->entries[least], at);
        at = least;
    }
    rr__heap_place(heap, entry, at);
}

static rr__entry *rr__heap_first(const rr__heap *heap) {
    return heap->count ? heap->entries[1] : NULL;
}

/* There is room: it was promised. */
static void rr__heap_add(rr__heap *heap, rr__entry *entry, double when) {
    entry->when = when, entry->order = heap->orders++;
    rr__heap_up(heap, entry, ++heap->count);
}

static void rr__heap_remove(rr__heap *heap, rr__entry *entry) {
    rr__entry *last = heap->entries[heap->count--];
    if (last != entry && rr__entry_before(last, entry)) rr__heap_up(heap, last, entry->at);
    else if (last != entry) rr__heap_down(heap, last, entry->at);
    entry->at = 0;
}

/* Sees to it that so many more entries can be added at any time; false without memory. */
static bool rr__heap_promise(rr__heap *heap, size_t more) {
    if (heap->promised + more + 1 > heap->room) {
        size_t room = heap->room ? 2 * heap->room : 64;
        rr__entry **entries = RR_REALLOC(heap->entries, room * sizeof *entries);
        if (!entries) return false;
        heap->entries = entries, heap->room = room;
    }
    heap->promised += more;
    return true;
}
