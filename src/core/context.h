/* Threads and runtimes: what a thread has to itself (rr__local), what it has in one runtime
   (rr__context), the body that it runs (rr__frame), and the runtime. Each part keeps what is its
   own in a struct of its own: parts below this one by value, the store, the tasks, the resources
   and the timers behind a pointer, so that only they know what is in it. What the layers above
   do at moments that a layer below notices stands in one table, rr__above.

   Locks, in the order in which they may be taken:
       global          registry, names, pins, the list of runtimes
       store lock      rr__store
       end_lock
       rr_runtime.lock threads, inbox, contexts
       a shard's       sleepers, mailboxes, lanes, streams
       a parker's      what it sleeps for
       leaves          pools, big blocks, timers, resources, a file, the census */
#pragma once
#include "../base/log.h"
#include "../base/stacks.h"
#include "control.h"
#include "deque.h"
#include "slots.h"

typedef struct rr__held rr__held;
typedef struct rr__step rr__step;
typedef struct rr__lane rr__lane;
typedef struct rr__node rr__node;
typedef struct rr__sleeper rr__sleeper;
typedef struct rr__fiber rr__fiber;
typedef struct rr__resources rr__resources;
typedef struct rr__timers rr__timers;
typedef struct rr__store rr__store;
typedef struct rr__stored rr__stored;
typedef struct rr__newcomers rr__newcomers;
typedef struct rr__tasks rr__tasks;
typedef struct rr__tasks_thread rr__tasks_thread;
typedef struct rr__actors rr__actors;
typedef struct rr__local rr__local;

/* An object on the way along links, which nobody counts: with its id, by which it is known. */
struct rr__step {
    rr__object *object;
    uint64_t id;
};

/* A body that is running: on the stack of the fiber that runs it. */
typedef struct rr__frame {
    struct rr__frame *outer; /* of the same fiber */
    rr__local *self;
    rr__context *runner; /* that it began in; it may go on in another one: rr__frame_context */

    rr__object *task; /* function: its slot; actor: the message's, or the actor's */
    rr__lane **lanes; /* of the caller that this body is */
    rr__error *error; /* from rr_fail */
    void *room;       /* from rr_result */
    size_t room_bytes;
    uint8_t room_place;
    rr__object *actor; /* whose body it is; NULL: a function */
    bool is_end;       /* that actor's destructor */
    bool wants_exit;
    rr__error *crash; /* from rr_crash_actor */

    uint16_t blocking;                      /* rr_block_begin without their end */
    int lent;                               /* waits, one on top of the other, that lend its CPUs */
    rr__control *granted;                   /* by whose shape; NULL for most */
    size_t scope_start, scope_depth, floor; /* the thread's, to be put back */
    rr_runtime *chosen;
} rr__frame;

/* The scopes of a thread or fiber: store/scopes.h. */
typedef struct rr__scopes {
    rr__held *held; /* stack; the innermost scope starts at start */
    size_t count, capacity;
    size_t start, depth;
    size_t floor;    /* where the scope that the running body is starts */
    uint32_t begun;  /* so far */
    uint32_t closed; /* the serial of the one without a mark, while it is open */
} rr__scopes;

/* From what the waits of a fiber wait for, to what they may run: core/helping.h. */
typedef struct rr__path {
    rr__step *steps; /* stack */
    size_t count, capacity;
} rr__path;

/* What a thread was told last. */
typedef struct rr__noted {
    rr_ref of;       /* of whom the text speaks */
    bool is_failure; /* that object failed, and tells more than the text */
    char text[800];
    rr_status refused; /* what the store said last: rr__refuse */
    char refusal[640]; /* and why */
} rr__noted;

/* Recursion over long chains as a loop: what is to be done next, linked. Owner only. */
typedef struct rr__worklist {
    rr__object *first;
    bool is_running; /* somebody below on this stack works through it */
} rr__worklist;

/* What goes on by itself has to itself, whatever the runtime: a thread that the pool did not make,
   or a fiber, with which it moves from thread to thread. */
struct rr__local {
    rr__fiber *fiber;     /* NULL: a thread */
    rr__context *carrier; /* of the thread that carries the fiber now; NULL: a thread */
    char *last_start;     /* where on its stack a body may still begin */

    rr__context *context;  /* the one in use, or NULL */
    rr__context *attached; /* all as one from outside, linked by sibling */
    rr_runtime *chosen;    /* by rr_runtime_use; NULL: the default one */
    rr__scopes scopes;
    rr__frame *frame; /* the running body; NULL outside */
    int granted;      /* frames that were granted something */
    int apart;        /* frames that need no role: they block, or run on CPUs of their own */
    bool is_ending;   /* it has the turn of a destructor, see rr__end_begin */
    rr_runtime *uses_store, *copies; /* whose: rule E5 in store/users.h */
    rr_runtime *loads_for;           /* it has the turn of this one: rule E6 */
    bool is_hasty;                   /* likewise: it waits for no room */
    rr__path path;
    bool is_hooked;    /* the thread's end will be noticed */
    bool is_allocated; /* and this is freed then */
    rr__noted note;
};

enum rr__counter {
    RR__SUBMITTED,
    RR__FINISHED,
    RR__ERRORS,
    RR__STOLEN,
    RR__OBJECTS_MADE,
    RR__OBJECTS_GONE,
    RR__ACTORS_MADE,
    RR__ACTORS_GONE,
    RR__HITS, /* of the store; the next: rule E5 in store/users.h */
    RR__USERS_BEGUN,
    RR__USERS_ENDED,
    RR__COPIES_BEGUN,
    RR__COPIES_ENDED,
    RR__COUNTERS
};

/* Where a worker looks next. Owner only. */
typedef struct rr__look {
    bool steals_first;   /* this time, see rr__find_work */
    uint32_t passed;     /* turns since it last looked at other work first, see rr__ready_is_due */
    double passed_since; /* the first of them */
    rr__context *victim; /* where the last theft worked */
    rr__context *lone;   /* whose single entry it watches, see rr__is_lone */
    uint64_t lone_pushes;
    double lone_since;
} rr__look;

/* What sleeps: a thread on its condition variable, or a fiber, which leaves its thread. */
typedef struct rr__parker {
    rr__mutex lock;       /* of the next, and of what that says; before no other */
    rr__sleeper *sleeper; /* what it sleeps for; NULL: it does not */
    uint64_t sleeps;      /* so many so far */
    rr__fiber *fiber;     /* NULL: a thread */
    rr__context *thread;
    uint32_t vertex; /* the clock's own: core/graph.h */
} rr__parker;

/* A thread in a runtime: a pool thread, or one from outside for as long as it uses the
   runtime. Contexts are reused, and freed only with the runtime: so a thief, or who
   signals one, may always touch it. */
struct rr__context {
    rr_runtime *runtime;
    rr__context *next;             /* list of all contexts of the runtime; append only */
    rr__context *sibling;          /* list of the thread's own; owner only */
    rr__context *listed;           /* in `parked`, `rested` or `vacant`; under the runtime's lock */
    RR__ATOMIC(rr__frame *) frame; /* innermost body of what it carries; written by the owner */

    /* What it carries: core/fibers.h. Owner only. */
    rr__stack native; /* the thread's own stack, where the runtime is its own */
    rr__local *local; /* of a thread of the pool, where there are no thread-local variables */
    rr__stack *home;  /* what it goes back to */
    rr__fiber *idle;  /* fibers with nothing on them */
    int idle_count;
    rr__fiber *left;   /* that it has left just now */
    rr__object *first; /* claimed: what the next fiber begins with, found by first_by */
    rr__step first_by;

    rr__cache slots, blocks[RR__CLASSES]; /* owner only */
    uint64_t next_id, last_id;
    rr__worklist dead; /* what nothing counts any more */

    bool is_worker; /* a thread of the pool, or a service */
    void (*serve)(
        rr__context *); /* a service: what its thread does; it counts itself what it does */
    bool has_role, is_searching; /* owner only, as the next */
    rr__look look;
    bool is_parked;  /* or its thread has left; under the runtime's lock */
    bool has_thread; /* to be joined; likewise */
    rr__thread thread;
    RR__ATOMIC(uint64_t) counters[RR__COUNTERS]; /* written by the owner alone */

    rr__newcomers *newcomers; /* what the parts above keep; in one block with this */
    rr__tasks_thread *tasks;

    rr__deque deque;

    rr__parker parker; /* its lock is that of those below */
    rr__cond wake;
    bool is_woken;        /* parked: go on, with a role, or with what is assigned */
    rr__object *assigned; /* a WAITING task to run apart; written while it is parked or made */
};

/* Who waits for a sign, the first first: core/sleepers.h. */
typedef struct rr__line {
    rr__sleeper *first, *last;
} rr__line;

/* Sleepers and message queues are rarely touched by two threads: one lock for each of 64
   groups of slots serves instead of one in every slot (the idea of WebKit's parking lot,
   Pizlo 2016). Order: a shard's lock, then a context's. Never two shards. */
enum { RR__SHARD_LISTS = 64 };
typedef struct rr__shard {
    rr__mutex lock;
    rr__node *sleepers[RR__SHARD_LISTS]; /* by slot, so that each is short */
} rr__shard;

enum { RR__SHARDS = 64 };

/* What a kind of object does, for layers that know it as an object only. */
typedef struct rr__ops {
    /* WAITING: an object that must be complete before it goes on; NULL: none is missing. */
    rr__object *(*missing)(rr__object *o);
    /* WAITING, nothing is missing any more: it goes on. It is no longer the caller's. */
    void (*ready)(rr__context *cx, rr__object *o);
    /* It was claimed. `until`: an actor stops when this message of it is over; or NULL. */
    void (*run)(rr__context *cx, rr__object *o, const rr__step *until);
    /* It was decided from outside while it was WAITING (rule R4), by who now calls this. */
    void (*decided)(rr__context *cx, rr__object *o);
    /* It was decided, and the caller owns it: gives up what it has. */
    void (*abandon)(rr__context *cx, rr__object *o);
    /* What it was made with; NULL: no options. */
    rr__control *(*options)(const rr__object *o);
    /* It was counted as pending (RR__IS_PENDING), and begins or ends without. */
    void (*begun)(rr__context *cx, rr__object *o);
    /* Its timer went: that of a retry, or that of its limit. */
    void (*due)(rr__context *cx, rr__object *o, bool is_retry);
    /* Its last count went, but it has not ended: an actor. It may be another one by now. */
    void (*unheld)(rr__context *cx, rr__object *o);
    /* Nothing counts it: frees what it has beside its slot. */
    void (*end)(rr__context *cx, rr__object *o);
} rr__ops;

/* How room comes into an actor's full mailbox: one of the messages that are queued begins, or one
   of those held up before that, which are visited, is over; or it comes anyway. */
typedef struct rr__hope {
    int queued, held, is_moving;
} rr__hope;
typedef void rr__visit(void *arg, rr__object *message);

/* What the layers above do when a layer below finds that it is time. */
typedef struct rr__hooks {
    rr__ops ops[RR__KINDS];
    rr__context *(*context_alloc)(void);  /* zeroed, with what the parts above keep there */
    bool (*has_stack)(rr__context *cx);   /* for a thread to begin with; false without memory */
    void (*thread)(void *context);        /* what a thread of the pool does */
    void (*work)(void *fiber);            /* what a fiber does, for ever */
    void (*thread_ends)(rr__local *self); /* lets go of everything that the thread holds */
    int (*inside)(rr__context *cx, rr__object *actor); /* methods, if one more has to wait */
    rr__hope (*hope)(rr__context *cx, rr__object *actor, rr__visit *visit, void *arg);
    int (*users)(rr_runtime *rt);                         /* of values in the store: E5 */
    void (*deadlocks_due)(rr__context *cx);               /* bodies wait, perhaps for themselves */
    void (*sleep_due)(rr__context *cx, rr__fiber *);      /* it has slept long enough */
    void (*room_due)(rr__context *cx);                    /* somebody waits for room in the store */
    void (*turn_over)(rr__local *self);                   /* who has the turn for that waits */
    rr_status (*rebuild)(rr__context *cx, rr__stored *s); /* makes a dropped value again */
    void (*recipe_end)(rr__context *cx, rr__object *recipe); /* nobody needs it any more */
} rr__hooks;
static const rr__hooks rr__above; /* filled in by runtime/above.h */

enum rr__phase { RR__OPEN, RR__STOPPING, RR__STOPPED };

/* rr_runtime.idle counts the roles that sleep and the workers that search, so that one
   load tells a submitter whether somebody must be woken. See core/queues.h. */
#define RR__ONE_SLEEPING ((uint64_t)1)
#define RR__ONE_SEARCHING ((uint64_t)1 << 32)
#define RR__STOP ((uint64_t)1 << 63)
#define RR__SLEEPING(idle) ((uint32_t)(idle))
#define RR__SEARCHING(idle) ((uint32_t)((idle) >> 32) & 0x7fffffff)

typedef struct rr__repeat {
    rr_log_level level;
    double at;     /* when it was logged */
    uint64_t more; /* so often since then */
    char text[RR__LOG_TEXT];
} rr__repeat;

enum rr__repeated {
    RR__LINE_SPILL, /* values that cannot go to files */
    RR__LINE_LOST,  /* that cannot be made again */
    RR__LINE_TOLD,  /* messages that failed and were told, not asked */
    RR__LINE_DROP,  /* destructors that failed */
    RR__LINE_MISUSE,
    RR__LINE_GUARD, /* stacks without one */
    RR__LINES
};

struct rr_runtime {
    RR__ATOMIC(int) phase;        /* enum rr__phase */
    RR__ATOMIC(int) has_quiesced; /* no more work is taken, not even from bodies */
    uint32_t home;                /* tells handles of runtimes apart; never 0 */
    rr_config config;
    int workers, max_threads;
    size_t stack_bytes;       /* of a fiber's stack, in all */
    size_t body_bytes;        /* of those that a body finds free: rr_config.stack_bytes */
    rr__error *no_memory;     /* the error that needs no more memory */
    uint64_t holders;         /* running + attached threads from outside; global lock */
    rr_runtime *next_runtime; /* list of all; global lock */
    bool is_default;
    bool evicts; /* the store has a limit, and values may leave it */

    rr__resources *resources; /* what the parts above keep; in one block with this */
    rr__timers *timers;
    rr__store *store;
    rr__tasks *tasks;
    rr__actors *actors;

    RR__ATOMIC(rr__context *) contexts;
    RR__ATOMIC(int) has_inbox;
    RR__ATOMIC(int) has_ready; /* there are tasks that have a turn: rr__resources.ready */
    rr__slots slots;
    char apart_1[64]; /* above: read by all, rarely written; below: written, each by itself */
    RR__ATOMIC(uint64_t) idle;
    char apart_2[64];
    rr__memory memory;
    rr__arena arena;
    rr__shard shards[RR__SHARDS];

    rr__mutex fibers_lock;             /* of those below; a leaf */
    rr__fiber *fibers;                 /* all */
    rr__fiber *fibers_idle;            /* of no context */
    rr__fiber *fibers_empty;           /* without a stack */
    RR__ATOMIC(int) fibers_idle_count; /* a hint outside the lock */

    rr__mutex end_lock; /* of the two below */
    bool is_ending;     /* a destructor runs */
    rr__line end_line;  /* who waits to run one */

    rr__mutex lock;      /* of all below; before a parker's lock */
    rr__cond quiet;      /* something that rr_shutdown waits for may have happened */
    rr__context *parked; /* threads without a role */
    rr__context *rested; /* contexts of threads that have left, to be joined */
    rr__context *vacant; /* contexts that a thread from outside gave back */
    int threads;
    rr__object *inbox_first, *inbox_last; /* FIFO beside the deques: actors that had their
                                             turn, and what a deque had no memory for */

    rr__mutex log_lock; /* of those below; a leaf */
    rr__repeat lines[RR__LINES];
};
