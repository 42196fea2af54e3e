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
    char text[640];
    rr_status refused; /* what the store said last: rr__refuse */
    char refusal[400]; /* and why */
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
    rr_runtime *uses_store, *copies; /* whose: rule E5 at struct rr__stored */
    rr_runtime *loads_for;           /* it has the turn of this one: rule E6 */
    bool is_hasty;                   /* likewise: it waits for no room */
    rr__path path;
    bool is_hooked; /* the thread's end will be noticed */
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

    rr__tasks_thread *tasks; /* what the parts above keep; in one block with this */

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
    int (*users)(rr_runtime *rt);                         /* of values in the store: rule E5 */
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

/* ---- global state: the default runtime with the list of all, and what each thread has ---- */

static RR__ATOMIC(rr_runtime *) rr__default;
static rr_runtime *rr__runtimes; /* all of these under the global lock */
static uint32_t rr__homes;
static rr__mutex rr__global_mutex;

static void rr__global_start(void);

/* Who calls: the fiber that the thread carries now, or the thread. A compiler that keeps the
   address of a thread-local variable in a register over a wait would, after it, have that of
   another thread. So this is never inlined, and not known to be without effects; but for x86-64
   outside of shared libraries, where such a variable is one load relative to %fs. */
#if defined(__TINYC__)
static rr__local *rr__self(void) { /* no thread-local variables: the exit key's value */
    static rr__local nothing;
    RR__ONCE(rr__global_start);
    rr__local *self = RR__EXIT_KEY_GET();
    if (!self && (self = RR_CALLOC(1, sizeof *self))) (void)RR__EXIT_KEY_SET(self);
    return self ? self : &nothing;
}
/* The thread carries this one now. (A fiber's thread is its own here: it has no other.) */
static void rr__self_set(rr__local *self) {
    if (self->fiber && RR__EXIT_KEY_GET() != self) (void)RR__EXIT_KEY_SET(self);
}
#define RR__SELF_IS_ALLOCATED 1
#else
static _Thread_local rr__local rr__thread_local;
static _Thread_local rr__local *rr__current;
static RR__NOINLINE rr__local *rr__self_first(void) {
    RR__KEEP_CALL();
    return rr__current = &rr__thread_local;
}
#if defined(__x86_64__) && defined(__GNUC__) && (!defined(__PIC__) || defined(__PIE__))
static RR__INLINE rr__local *rr__self(void) {
#else
static RR__NOINLINE rr__local *rr__self(void) {
    RR__KEEP_CALL();
#endif
    rr__local *self = rr__current;
    return RR__LIKELY(self != NULL) ? self : rr__self_first();
}
static RR__NOINLINE void rr__self_set(rr__local *self) {
    RR__KEEP_CALL();
    rr__current = self;
}
#define RR__SELF_IS_ALLOCATED 0
#endif

/* The context in which the caller, whose own is `self`, goes on after it may have waited: where it
   was `cx` before. */
static RR__INLINE rr__context *rr__here_of(rr__local *self, rr__context *cx) {
    rr__context *now = self->carrier;
    return now && now->runtime == cx->runtime ? now : cx;
}
static rr__context *rr__here(rr__context *cx) { return rr__here_of(rr__self(), cx); }
static rr__context *rr__frame_context(const rr__frame *frame) {
    return rr__here_of(frame->self, frame->runner);
}

static void rr__thread_ends(void *local) {
    rr__local *self = local;
    if (self->fiber) return; /* the runtime's, which ends it */
    rr__above.thread_ends(self);
    self->is_hooked = false;
    if (RR__SELF_IS_ALLOCATED) RR_FREE(self);
}

static void rr__fork_prepare(void) { rr__lock(&rr__global_mutex); }
static void rr__fork_parent(void) { rr__unlock(&rr__global_mutex); }
/* The child has one thread and the memory of all: no runtime of the parent may be used. */
static void rr__fork_child(void) {
    rr__unlock(&rr__global_mutex);
    for (rr_runtime *rt = rr__runtimes; rt; rt = rt->next_runtime)
        rr__store_release(&rt->phase, RR__STOPPED);
    rr__store_release(&rr__default, (rr_runtime *)NULL);
    rr__local *self = rr__self(); /* locks may be held by threads that are gone: no letting go */
    self->context = self->attached = NULL;
    self->chosen = NULL;
    self->scopes.count = self->scopes.start = self->scopes.depth = self->path.count = 0;
    self->scopes.floor = 0, self->frame = NULL;
}
static void rr__global_start(void) {
    rr__mutex_init(&rr__global_mutex);
    if (!RR__EXIT_KEY_CREATE(rr__thread_ends)) abort();
#if RR__UNIX
    pthread_atfork(rr__fork_prepare, rr__fork_parent, rr__fork_child);
#endif
}
static void rr__global_lock(void) {
    RR__ONCE(rr__global_start);
    rr__lock(&rr__global_mutex);
}
static void rr__global_unlock(void) { rr__unlock(&rr__global_mutex); }

/* The thread's end will be noticed, so that it may hold something. */
static bool rr__local_hook(rr__local *self) {
    if (self->fiber) return true;
    RR__ONCE(rr__global_start);
    if (!self->is_hooked) self->is_hooked = RR__EXIT_KEY_SET(self);
    return self->is_hooked;
}

/* How often a line came again after it was logged, if it did. */
static void rr__log_more(rr_runtime *rt, const rr__repeat *line) {
    if (line->more)
        rr__log(&rt->config, line->level, "%llu more times: %s", (unsigned long long)line->more,
                line->text);
}

/* Logs what may happen with every request: the same line once in a minute. How often it came in
   between is told before the next one of its kind, and at the end of the runtime. */
static RR__NOINLINE void rr__log_again(rr_runtime *rt, enum rr__repeated kind, rr_log_level level,
                                       const char *text) {
    rr__repeat *line = &rt->lines[kind], before = {.more = 0};
    double now = rr_now();
    rr__lock(&rt->log_lock);
    bool is_same = now - line->at < RR__LOG_PAUSE && !strncmp(line->text, text, RR__LOG_TEXT - 1);
    if (!is_same) {
        before = *line;
        line->level = level, line->at = now, line->more = 0;
        snprintf(line->text, sizeof line->text, "%s", text);
    } else line->more++;
    rr__unlock(&rt->log_lock);
    if (is_same) return;
    rr__log_more(rt, &before);
    rr__log_text(&rt->config, level, text);
}

/* At the end of the runtime; threads outside may be late. */
static void rr__log_end(rr_runtime *rt) {
    for (int i = 0; i < RR__LINES; i++) {
        rr__lock(&rt->log_lock);
        rr__repeat line = rt->lines[i];
        rt->lines[i].more = 0;
        rr__unlock(&rt->log_lock);
        rr__log_more(rt, &line);
    }
}

/* The configuration whose log a call from this thread uses; NULL: stderr. */
static const rr_config *rr__log_config(void) {
    rr__context *cx = rr__self()->context;
    return cx ? &cx->runtime->config : NULL;
}

/* Misuse by a call that returns nothing which could say so. */
static void rr__log_misuse(const char *text) {
    rr__context *cx = rr__self()->context;
    if (cx) rr__log_again(cx->runtime, RR__LINE_MISUSE, RR_LOG_WARN, text);
    else rr__log_text(NULL, RR_LOG_WARN, text);
}

/* Keeps what rr_error_message tells about a reference whose object has no error itself. */
RR__PRINTF(3, 4)
static rr_status rr__note(rr_ref ref, rr_status status, const char *format, ...) {
    rr__local *self = rr__self();
    va_list args;
    va_start(args, format);
    vsnprintf(self->note.text, sizeof self->note.text, format, args);
    va_end(args);
    self->note.of = ref, self->note.is_failure = false;
    return status;
}

/* Why the store refuses something, with figures and with what to change: for the message of what
   fails by that on this thread. Whoever answers RR_ERR_STORE_FULL, RR_ERR_OBJECT_LOST or RR_ERR_IO
   first says so here, and nobody else. */
RR__PRINTF(2, 3)
static RR__NOINLINE rr_status rr__refuse(rr_status status, const char *format, ...) {
    rr__local *self = rr__self();
    va_list args;
    va_start(args, format);
    vsnprintf(self->note.refusal, sizeof self->note.refusal, format, args);
    va_end(args);
    self->note.refused = status;
    return status;
}

/* What a status means that this thread got from the store just now. */
static const char *rr__status_why(rr_status status) {
    const rr__local *self = rr__self();
    return status != RR_OK && status == self->note.refused ? self->note.refusal
                                                           : rr_status_text(status);
}

static rr_status rr__note_status(rr_ref ref, rr_status status) {
    return rr__note(ref, status, "%s", rr_status_text(status));
}

/* A reference that carries a status and no object, for when there is no memory or no
   runtime to hold one: id 0, the status in place of the slot. */
static rr_ref rr__status_ref(rr_status status) { return (rr_ref){0, (uint32_t)status, 0}; }
static rr_actor rr__status_actor(rr_status status) { return (rr_actor){0, (uint32_t)status, 0}; }
static rr_status rr__status_of(uint32_t slot) {
    return slot > 0 && slot < RR__STATUS_COUNT ? (rr_status)slot : RR_ERR_STALE;
}

/* A handle that leads to nothing: the status of it, and why in words. */
static rr_status rr__handle_status(rr_ref ref) {
    return ref.id ? RR_ERR_STALE : rr__status_of(ref.slot);
}
static const char *rr__handle_text(const rr_runtime *rt, rr_ref ref) {
    if (!ref.id && ref.slot) return rr_status_text(rr__handle_status(ref));
    if (!ref.id) return "the handle is null: it was given no value";
    if (ref.home != rt->home)
        return "the handle belongs to another runtime, which rr_runtime_use chooses, or which has "
               "ended";
    return "the handle was released, by rr_release or at the end of its scope: rr_keep takes one "
           "out of its scope, rr_give lets one outlive it for another thread";
}
static rr_status rr__refuse_handle(const rr_runtime *rt, rr_ref ref) {
    return rr__note(ref, rr__handle_status(ref), "%s", rr__handle_text(rt, ref));
}

static RR__INLINE void rr__count(rr__context *cx, enum rr__counter counter) {
    uint64_t n = rr__load_relaxed(&cx->counters[counter]); /* only the owner writes */
    rr__store_release(&cx->counters[counter], n + 1);      /* pairs with rr__sum */
}

static uint64_t rr__sum(rr_runtime *rt, enum rr__counter counter) {
    uint64_t sum = 0;
    for (rr__context *cx = rr__load_seq_cst(&rt->contexts); cx; cx = cx->next)
        sum += rr__load_seq_cst(&cx->counters[counter]);
    return sum;
}

static rr__shard *rr__shard_of(rr_runtime *rt, const rr__object *o) {
    return &rt->shards[(o->slot ^ (o->slot >> 6)) % RR__SHARDS];
}

/* Locks the shard of an object. */
static rr__shard *rr__shard_lock(rr_runtime *rt, const rr__object *o) {
    rr__shard *shard = rr__shard_of(rt, o);
    rr__lock(&shard->lock);
    return shard;
}

static rr__object *rr__current_task(rr__context *cx) {
    rr__frame *frame = rr__load_relaxed(&cx->frame); /* the owner's own */
    return frame ? frame->task : NULL;
}

static inline const rr__ops *rr__ops_of(const rr__object *o) { return &rr__above.ops[o->kind]; }

static RR__INLINE rr__object *rr__slot_at(rr_runtime *rt, uint32_t slot) {
    return rr__slot_find(&rt->slots, slot);
}

/* Memory for size bytes, 64-byte aligned; *place says what kind and goes to rr__block_free. */
static void *rr__block_new(rr__context *cx, size_t size, uint8_t *place) {
    return rr__arena_take(&cx->runtime->arena, cx->blocks, size, place);
}
static void rr__block_free(rr__context *cx, void *block, uint8_t place) {
    rr__arena_give(&cx->runtime->arena, cx->blocks, block, place);
}
