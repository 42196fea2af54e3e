/* Where a value is that may leave memory, and who reads it: one word in its slot, the second of
   `words`, which a value outside the slot leaves free. Who reads pins the value first, by a CAS of
   that word, and takes no lock. What moves a value has the store's lock, and demands of its CAS
   that nobody has a pin: so what is looked at never moves.

   bits 0-31   pins: readers, views, bodies whose argument it is
   bits 32-34  enum rr__residence
   bit  35     RR__WAS_USED: pinned since it was put into its list
   bit  36     RR__IS_NEW: it has no record yet, and is in no list: store/newcomers.h
   bit  37     RR__IS_ASIDE: who looked for room found it pinned, and took it out of its list
   bit  38     RR__IS_VIEWED: one pin is that of the views taken outside every scope

   Residence:  HERE -> LEAVING -> AWAY -> RETURNING -> HERE; without a file HERE -> LOST, and from
   there as from AWAY. From LEAVING back to HERE if somebody has pinned it meanwhile.
   Rules  E1  Pins come and go without the lock, and come only while it is HERE or LEAVING. What
              was neither comes back under the lock alone, and all else is changed under it, but
              for the end of a gather's last pin, and the beginning.
          E2  What is HERE and may leave lies in a list by age, pinned or not; or it is NEW; or it
              is ASIDE, and then whoever ends its last pin puts it back into the list. So who finds
              the lists empty has seen all that could leave.
          E3  LEAVING: the spiller reads the block without the lock, so it is not freed. It may be
              pinned meanwhile, and then stays; when its object ends, the spiller frees it.
          E4  RETURNING: one thread brings it back, who has set that; others wait for it.
   A gather has such a word, too. It is HERE while its parts are pinned, and AWAY when the last pin
   of its own has gone.

   The end of a pin (release) pairs with the change that lets the value leave (acquire): what was
   read of it was read before. The change to HERE (release) pairs with the pin (acquire).
   Locks: none here. */
#pragma once
#include "../core/objects.h"

enum rr__residence { RR__HERE, RR__LEAVING, RR__RETURNING, RR__AWAY, RR__LOST };

#define RR__PINS ((uint64_t)0xffffffff)
#define RR__RESIDENCE(residence) ((uint64_t)(residence) << 32)
#define RR__RESIDENCE_MASK RR__RESIDENCE(7)
#define RR__WAS_USED ((uint64_t)1 << 35)
#define RR__IS_NEW ((uint64_t)1 << 36)
#define RR__IS_ASIDE ((uint64_t)1 << 37)
#define RR__IS_VIEWED ((uint64_t)1 << 38)

typedef RR__ATOMIC(uint64_t) rr__residence_word;

/* Of a complete object: its value lies outside the slot. */
static inline bool rr__has_residence(const rr__object *o) {
    uint64_t word = rr__load_relaxed(&((rr__object *)(uintptr_t)o)->word); /* the flag is fixed */
    return !(word & RR__IS_INLINE) && o->kind != RR__GATHER && o->kind != RR__STREAM;
}
static inline rr__residence_word *rr__residence_at(rr__object *o) { return &o->words[1]; }

static inline enum rr__residence rr__residence_in(uint64_t word) {
    return (enum rr__residence)(word >> 32 & 7);
}
static inline bool rr__is_at_hand(uint64_t word) { return rr__residence_in(word) <= RR__LEAVING; }

/* Its value is in place, or will be: it has no record and no pins. Release: who reads the slot by
   an old handle sees then that the id is another (rr__write_words). */
static void rr__residence_begin(rr__object *o, uint64_t flags) {
    rr__store_release(&o->words[0], (uint64_t)0);
    rr__store_release(rr__residence_at(o), flags);
}

/* False: it is not in memory. */
static RR__INLINE bool rr__pin_begin(rr__residence_word *at) {
    uint64_t word = rr__load_relaxed(at); /* the CAS checks it */
    do {
        if (RR__UNLIKELY(!rr__is_at_hand(word))) return false;
    } while (!rr__cas_seq_cst(at, &word, (word + 1) | RR__WAS_USED));
    return true;
}

/* True: it was the last one, and the caller is to put it back into its list. */
static RR__INLINE bool rr__pin_end(rr__residence_word *at) {
    uint64_t word = rr__sub_acq_rel(at, (uint64_t)1);
    return RR__UNLIKELY((word & RR__PINS) == 1 && (word & RR__IS_ASIDE));
}

/* Of a gather. True: it was the last one: it is AWAY, and its parts are the caller's to let go. */
static bool rr__pin_end_of_parts(rr__residence_word *at) {
    uint64_t word = rr__load_relaxed(at), next; /* the CAS checks it */
    do next = (word & RR__PINS) == 1 ? RR__RESIDENCE(RR__AWAY) : word - 1;
    while (!rr__cas_seq_cst(at, &word, next));
    return (word & RR__PINS) == 1;
}

/* The caller's pin becomes that of the views outside. False: there is one; the caller keeps his. */
static bool rr__pin_becomes_view(rr__residence_word *at) {
    return !(rr__or_seq_cst(at, RR__IS_VIEWED) & RR__IS_VIEWED);
}

/* The pin of the views outside keeps it where it is, until its object ends. */
static RR__INLINE bool rr__is_viewed(rr__residence_word *at) {
    return (rr__load_acquire(at) & RR__IS_VIEWED) != 0; /* pairs with rr__pin_becomes_view */
}

/* What who looks for room does with one that is HERE. Under the lock. */
enum rr__look_at { RR__LEAVES, RR__IS_PINNED, RR__HAS_ANOTHER_CHANCE };
static enum rr__look_at rr__residence_leave(rr__residence_word *at, enum rr__residence to,
                                            bool gives_chances) {
    uint64_t word = rr__load_relaxed(at), next; /* the CAS checks it */
    enum rr__look_at found;
    do {
        bool is_pinned = (word & RR__PINS) != 0;
        bool has_chance = gives_chances && (word & RR__WAS_USED);
        found = is_pinned ? RR__IS_PINNED : has_chance ? RR__HAS_ANOTHER_CHANCE : RR__LEAVES;
        next = is_pinned ? word | RR__IS_ASIDE : word & ~RR__WAS_USED;
        if (found == RR__LEAVES) next += RR__RESIDENCE(to);
    } while (!rr__cas_seq_cst(at, &word, next));
    return found;
}

/* LEAVING, and its copy is written, if there is one. True: it is AWAY. */
static bool rr__residence_left(rr__residence_word *at, bool is_written) {
    uint64_t word = rr__load_relaxed(at), next; /* the CAS checks it */
    bool goes;
    do {
        goes = is_written && !(word & RR__PINS);
        next = (word & ~RR__RESIDENCE_MASK) | RR__RESIDENCE(goes ? RR__AWAY : RR__HERE);
    } while (!rr__cas_seq_cst(at, &word, next));
    return goes;
}

/* The last pin of one that is ASIDE has gone. True: it is the caller's to put into its list; else
   it is pinned again, or somebody else does. Under the lock. */
static bool rr__residence_back(rr__residence_word *at) {
    uint64_t word = rr__load_relaxed(at); /* the CAS checks it */
    do {
        if ((word & RR__PINS) || !(word & RR__IS_ASIDE)) return false;
    } while (!rr__cas_seq_cst(at, &word, word & ~RR__IS_ASIDE));
    return true;
}
