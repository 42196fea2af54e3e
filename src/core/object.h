/* The object: one record, the slot, for a task of any kind, the reference to its result, and a
   small result itself; also for an actor. What its word says, who may change it (R1 to R6), and
   the small values that lie in it. What a kind of object does, its class says (core/context.h).

       WAITING -> QUEUED -> RUNNING -> READY | FAILED
       a task: arguments are missing -> may be claimed -> its body runs -> value or error
       a put value starts READY; a created one is WAITING until it is sealed, then READY
       a task that is tried again: RUNNING -> WAITING (for its timer) -> QUEUED
       cancelled or late (R4): from any of the first three to FAILED at once; its owner finds out
       a task with needs or a priority: WAITING (for its turn) -> QUEUED (in a heap) -> RUNNING
       an actor: WAITING (idle) -> QUEUED (has messages) -> RUNNING -> WAITING ... -> FAILED (ended)
       one that has crashed: RUNNING -> WAITING (for its timer) -> QUEUED, and is made anew
       its messages, if several may run at once: WAITING -> QUEUED (handed out) -> RUNNING

   Locks: none. */
#pragma once
#include "../base/arena.h"

typedef struct rr__object rr__object;
typedef struct rr__context rr__context;
typedef struct rr__error rr__error;
typedef struct rr__hold rr__hold;
typedef struct rr__actor rr__actor;
typedef struct rr__parts rr__parts;
typedef struct rr__control rr__control;

/* What stands for a fiber in queues and links, see core/fibers.h. */
enum { RR__FIBER = RR__STREAM + 1, RR__KINDS };

/* The slot of an object: one record for a task, the reference to its result and a
   small result itself. Two cache lines; the memory of slots belongs to the runtime
   and stays typed as slots until its end, so that looking at one through a stale
   handle is always allowed.

   word   bits 0-31   count: handles, tasks that need it, objects that contain it,
                      and one of the task's own until it is complete
          bits 32-35  state
          bit  36     RR__IS_ALONE: decided without what it called
          bit  37     RR__IS_POSTPONED: an actor, WAITING to be made anew; see rr__actor_resume
          bit  38     RR__HAS_CARE: an actor with options
          bit  40     RR__HAS_SLEEPERS: threads wait in the shard's list
          bit  41     RR__HAS_DEPENDENTS: tasks wait in `dependents`
          bit  42     RR__IS_INLINE: the value is in `words`
          bit  43     RR__IS_ACTOR
          bit  44     RR__IS_DOOMED: an actor whose death was declared
          bit  45     RR__IS_CANCELLED, bit 46 RR__IS_LATE: decided from outside, rule R4
          bit  47     RR__HAS_CONTROL: a task with options, in extra.control
          bits 48-55  kind of the value's type (enum rr__type_kind)
          bit  56     RR__IS_RESTING, bit 57 RR__IS_BARE: rule R5
          bit  58     RR__IS_KILLED: an actor that rr_kill ended
          bit  59     RR__HAS_CALLED: an actor whose bodies have called something
          bit  60     RR__IS_STRIPPED, bit 61 RR__IS_LEFT: rule R6

   States: FREE -> WAITING -> QUEUED -> RUNNING -> READY or FAILED -> FREE.
          WAITING  arguments are missing; a message lies in a mailbox; an actor is
                   idle; a created object is not sealed
          QUEUED   whoever turns it into RUNNING (rr__claim) may run it
   Rules  R1  Only the owner of a state leaves it: the submitter or who completes the
              last argument WAITING, the winner of the claim QUEUED, the runner RUNNING.
              A held message whose actor dies has two owners, see rr__held_bury.
          R2  Through a handle a count is added only to a count that is not 0
              (rr__try_retain), and the id is compared after that: so a count never
              lands on another object unnoticed. A slot whose count is 0 belongs to the
              thread that made it 0; that of an actor to its runner (rr__drop).
          R3  Value, type and error are written before the state becomes READY or
              FAILED (release) and never after; who has seen that state (acquire)
              reads them without more.
          R4  Who cancels a task, or finds it late, does not own it. It sets one of the two
              flags while the task is pending, once, by which its outcome is decided: the state
              then becomes FAILED, and the flag stands for the error. The owner's next change of
              the state finds the flag, and then gives up what the task has: its arguments, and
              the count of its own.
          R5  A task that lies where nobody may look for a long time (in the list of an argument,
              a lane, a mailbox) is RESTING: set by who puts it there, before that, and cleared by
              who takes it out, before it looks at what the task has. Who decides one that rests,
              or ends its actor, gives up what it has, but for its counts, at once, and leaves it
              BARE: set in the same change in which it is seen to rest. So exactly one does.
          R6  Who decides a message that rests needs its actor, for the room in the mailbox, longer
              than the owner may count it: so it sets STRIPPED in the same change, and takes it away
              when it is done; the owner sets LEFT. The second of the two gives back the count. */
struct rr__object {
    /* The first line: all that another thread needs to run a small task or to read its result. */
    RR__ATOMIC(uint64_t) word;
    RR__ATOMIC(uint64_t) id;       /* 0: free. Written by who allocates and frees */
    RR__ATOMIC(uint64_t) words[4]; /* arguments, then the value, if they fit */

    union {
        const rr_function *fn; /* task, message, actor */
        const char *type_name; /* put object */
    } of;
    uint32_t slot;
    uint16_t by_ref; /* bit i: argument i is an object, not a value */
    uint8_t kind;    /* enum rr__kind */
    uint8_t place;   /* of the value: enum rr__place or block class */

    /* The second line: who made it, and what it waits for or is waited for by. */
    RR__ATOMIC(rr__object *) dependents; /* stack of waiting tasks; an actor: its mailbox */
    RR__ATOMIC(rr__object *) waits_on;   /* what must happen first; see core/links.h */
    rr__object *next;                    /* link of the one list that it is in */
    const char *site;                    /* "file:line" of the call that made it */
    RR__ATOMIC(uint64_t)
    info; /* pending: the task that made it, see rr__parent_key; READY: bytes of
                                  the value, if that is not in the slot; FAILED: a link */
    union {
        void *block;      /* READY, unless the value is in the slot */
        rr__error *error; /* FAILED */
        rr__hold *hold;   /* WAITING: of a message in a lane; shard lock */
    } data;
    union {
        rr__object *actor;    /* of a message: counted by it; NULL when it has run */
        rr__actor *own;       /* of an actor */
        rr__parts *parts;     /* of a gather */
        rr__control *control; /* of a function with options */
        rr__object *producer; /* of a stream: the task, counted by it */
    } extra;
    RR__ATOMIC(uint32_t) held_at; /* hint: index in the holder's scope stack */
    RR__ATOMIC(uint8_t) flags;    /* enum rr__flags; the owner writes */
    uint8_t args_place; /* of the arguments: as place; of wordy functions always the slot */
    uint8_t lane_flags; /* held: enum rr__lane_flags; shard lock of its actor */
    union {
        uint8_t attempt; /* a message: so many ended with a crash of its actor, 255 at most */
        bool is_listed;  /* an actor: it lies in the inbox; under the runtime's lock */
    };
};

enum rr__flags {
    RR__IS_TOLD = 1,    /* a message whose result nobody wants */
    RR__IS_PENDING = 2, /* it has not begun, and is counted as that: rr__pending_end */
    RR__IS_RECIPE = 4,  /* it is never submitted, see rr__recipe_of */
    RR__IS_HELD = 8     /* a message that went through a lane */
};

_Static_assert(offsetof(rr__object, dependents) == 64 || sizeof(void *) != 8,
               "the first line of a slot is what another thread needs");
_Static_assert(sizeof(rr__object) == 128 || sizeof(void *) != 8, "a slot is two lines");

enum rr__state { RR__FREE, RR__WAITING, RR__QUEUED, RR__RUNNING, RR__READY, RR__FAILED };
enum { RR__INLINE_BYTES = 32, RR__SLOT_LINK = offsetof(rr__object, next) };
#define RR__COUNT_MASK ((uint64_t)0xffffffff)
#define RR__STATE(state) ((uint64_t)(state) << 32)
#define RR__STATE_MASK RR__STATE(15)
#define RR__HAS_SLEEPERS ((uint64_t)1 << 40)
#define RR__HAS_DEPENDENTS ((uint64_t)1 << 41)
#define RR__IS_INLINE ((uint64_t)1 << 42)
#define RR__IS_ACTOR ((uint64_t)1 << 43)
#define RR__IS_DOOMED ((uint64_t)1 << 44)
#define RR__IS_CANCELLED ((uint64_t)1 << 45)
#define RR__IS_LATE ((uint64_t)1 << 46)
#define RR__IS_DECIDED (RR__IS_CANCELLED | RR__IS_LATE)
#define RR__IS_ALONE ((uint64_t)1 << 36)
#define RR__IS_POSTPONED ((uint64_t)1 << 37)
#define RR__HAS_CARE ((uint64_t)1 << 38)

#define RR__HAS_CONTROL ((uint64_t)1 << 47)
#define RR__IS_RESTING ((uint64_t)1 << 56)
#define RR__IS_BARE ((uint64_t)1 << 57)
#define RR__IS_KILLED ((uint64_t)1 << 58)
#define RR__HAS_CALLED ((uint64_t)1 << 59)
#define RR__IS_STRIPPED ((uint64_t)1 << 60)
#define RR__IS_LEFT ((uint64_t)1 << 61)
#define RR__KIND_BITS(kind) ((uint64_t)(kind) << 48)

/* The ends of lists of objects that hang on a word: nothing can be added any more. */
#define RR__CLOSED ((rr__object *)(uintptr_t)2)

static inline enum rr__state rr__state_of(uint64_t word) {
    return (enum rr__state)((word >> 32) & 15);
}
static inline bool rr__is_complete(rr__object *o) {
    return rr__state_of(rr__load_acquire(&o->word)) >= RR__READY; /* rule R3 */
}
static inline bool rr__has_failed(rr__object *o) {
    return rr__state_of(rr__load_acquire(&o->word)) == RR__FAILED;
}

/* Values that own nothing outside their slot. */
static inline bool rr__kind_is_plain(unsigned kind) {
    return kind < RR__KIND_REF || kind >= RR__KIND_INTEGER;
}
static inline unsigned rr__kind_in(uint64_t word) { return (unsigned)(word >> 48) & 255; }

/* Bytes of the value, of what is not in the slot with the size of its type; see rr__size_of. */
static size_t rr__info_of(const rr__object *o) {
    return (size_t)rr__load_relaxed(&((rr__object *)(uintptr_t)o)->info); /* fixed when complete */
}

/* A task or message that is pending: no body made it. */
static bool rr__is_from_outside(const rr__object *o) { return rr__info_of(o) == 0; }

/* Of values that are not complete those from rr_create are bytes, all others are watches. */
static bool rr__is_unsealed(rr__object *o) {
    uint64_t word = rr__load_acquire(&o->word);
    return o->kind == RR__VALUE && rr__kind_in(word) == RR__KIND_BYTES &&
           rr__state_of(word) == RR__WAITING;
}

static bool rr__is_watch(rr__object *o) {
    uint64_t word = rr__load_acquire(&o->word);
    return o->kind == RR__VALUE && rr__kind_in(word) != RR__KIND_BYTES &&
           rr__state_of(word) < RR__READY;
}

static rr_type rr__type_of(const rr__object *o) {
    static const rr_type many = {"rr_many", sizeof(rr_many), 8, RR__KIND_MANY};
    static const rr_type bytes = {"rr_bytes", sizeof(rr_bytes), 8, RR__KIND_BYTES};
    if (o->kind <= RR__METHOD) return o->of.fn->result;
    if (o->kind == RR__GATHER) return many;
    unsigned kind = rr__kind_in(rr__load_relaxed(&((rr__object *)(uintptr_t)o)->word)); /* fixed */
    if (kind == RR__KIND_BYTES) return bytes;
    return (rr_type){o->of.type_name, (uint32_t)rr__info_of(o), 1, (uint16_t)kind};
}

static RR__INLINE bool rr__is_decided(rr__object *o) {
    return (rr__load_seq_cst(&o->word) & RR__IS_DECIDED) != 0;
}

static rr_status rr__status_by(uint64_t word) {
    return word & RR__IS_CANCELLED ? RR_ERR_CANCELLED : RR_ERR_TIMEOUT;
}

/* The owner's flags. */
static inline void rr__flag_set(rr__object *o, enum rr__flags flag) {
    rr__store_relaxed(&o->flags, (uint8_t)(rr__load_relaxed(&o->flags) | flag)); /* nobody else's */
}

/* The owner's change of a pending state; false if the task was decided meanwhile (rule R4). */
static RR__INLINE bool rr__try_state(rr__object *o, enum rr__state from, enum rr__state to) {
    uint64_t word = rr__load_relaxed(&o->word); /* the CAS checks it */
    do {
        if (RR__UNLIKELY(word & RR__IS_DECIDED)) return false;
    } while (!rr__cas_seq_cst(&o->word, &word, word + RR__STATE(to) - RR__STATE(from)));
    return true;
}

/* The same of a message that is taken out of its mailbox to run (R5). */
static RR__INLINE bool rr__try_begin(rr__object *o) {
    uint64_t word = rr__load_relaxed(&o->word), next; /* the CAS checks it */
    do {
        if (RR__UNLIKELY(word & RR__IS_DECIDED)) return false;
        next = (word & ~RR__IS_RESTING) + RR__STATE(RR__RUNNING) - RR__STATE(RR__WAITING);
    } while (!rr__cas_seq_cst(&o->word, &word, next));
    return true;
}

/* It is put where it rests. */
static void rr__rest(rr__object *o) { (void)rr__or_seq_cst(&o->word, RR__IS_RESTING); }

/* What it has is the caller's to give up, if it rests and nobody else's (R5). */
static bool rr__make_bare(rr__object *o) {
    uint64_t word = rr__load_relaxed(&o->word); /* the CAS checks it */
    do {
        if (!(word & RR__IS_RESTING) || (word & (RR__IS_BARE | RR__IS_DECIDED))) return false;
    } while (!rr__cas_seq_cst(&o->word, &word, word | RR__IS_BARE));
    return true;
}

static bool rr__is_bare(rr__object *o) { return (rr__load_seq_cst(&o->word) & RR__IS_BARE) != 0; }

/* Takes what is in this state for the caller, who has it RUNNING then; once. */
static RR__INLINE bool rr__take_from(rr__object *o, enum rr__state from) {
    uint64_t word = rr__load_relaxed(&o->word); /* the CAS checks it */
    while (rr__state_of(word) == from)
        if (rr__cas_seq_cst(&o->word, &word, word + RR__STATE(RR__RUNNING) - RR__STATE(from)))
            return true;
    return false;
}

/* The one arbiter of who runs a task or an actor, or goes on with a fiber. */
static RR__INLINE bool rr__claim(rr__object *o) { return rr__take_from(o, RR__QUEUED); }

/* Takes an unsealed object for its end (rule R1). */
static bool rr__unseal(rr__object *o) { return rr__take_from(o, RR__WAITING); }

static bool rr__is_claimable(rr__object *o) {
    return (rr__load_relaxed(&o->word) & RR__STATE_MASK) == RR__STATE(RR__QUEUED); /* a hint */
}

static void rr__list_add(rr__object **first, rr__object **last, rr__object *o) {
    o->next = NULL;
    if (*last) (*last)->next = o;
    else *first = o;
    *last = o;
}

static inline void *rr__data(rr__object *o) {
    return o->place == RR__IN_SLOT ? (void *)o->words : o->data.block;
}

/* Small sizes without a call of memcpy. */
static RR__INLINE void rr__copy(void *to, const void *from, size_t size) {
    if (size == 8) memcpy(to, from, 8);
    else if (size == 4) memcpy(to, from, 4);
    else memcpy(to, from, size);
}

/* Its bytes come first in memory. Four not by way of that: a read of more than what was just
   written waits until the write is over (no store forwarding). */
static RR__INLINE uint64_t rr__word_from(const void *value, size_t size) {
    uint64_t word = 0;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (size == 4) {
        uint32_t half;
        memcpy(&half, value, 4);
        return half;
    }
#endif
    rr__copy(&word, value, size);
    return word;
}

/* Stores up to 32 bytes in the slot, as words, because a reader with a stale handle may look
   at them at the same time (rr__get); release: it then sees that the id is another. */
static RR__INLINE void rr__write_words(rr__object *o, const void *value, size_t size) {
    if (RR__LIKELY(size <= 8)) {
        rr__store_release(&o->words[0], rr__word_from(value, size));
        return;
    }
    uint64_t words[4] = {0, 0, 0, 0};
    memcpy(words, value, size);
    for (size_t i = 0; i * 8 < size; i++) rr__store_release(&o->words[i], words[i]);
}

/* A complete object's. What a task left in its slot has the size of its type, so that finishing it
   need not touch the second line. */
static size_t rr__size_of(const rr__object *o) {
    return o->kind <= RR__METHOD && o->place == RR__IN_SLOT ? o->of.fn->result.size
                                                            : rr__info_of(o);
}

/* The bytes of an object; of an empty one, too, an address that may be computed with. */
static rr_bytes rr__bytes_in(rr__object *o) {
    static _Alignas(64) const char nothing[64];
    size_t size = rr__size_of(o);
    return rr_bytes_of(size ? rr__data(o) : nothing, size);
}
