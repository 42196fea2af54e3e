/* Options, of runtimes, calls and actors, and what is counted. */
#pragma once
#include "status.h"

typedef enum rr_log_level { RR_LOG_WARN, RR_LOG_ERROR } rr_log_level;

/* Gets one message, without a newline; what repeats comes once and then as a count (ERRORS AND
   LOGGING). Called on any thread, also on several at once, never with a lock held; it may not call
   back into the library. */
typedef void (*rr_log_fn)(rr_log_level level, const char *text, void *data);

/* So much of something of which there is a limited amount: {"gpu", 1}. Four decimals count. */
typedef struct rr_resource {
    const char *name; /* NULL: unused */
    double amount;
} rr_resource;
enum { RR_RESOURCES = 8 }; /* kinds of them in a runtime */

/* What becomes of the values that were not used for the longest time when the store is full. What
   is pinned, viewed or an argument of a running task stays. */
typedef enum rr_evict {
    RR_EVICT_SPILL,   /* they go to a file and come back when they are asked for */
    RR_EVICT_REBUILD, /* results of tasks are dropped, and made by running the task again when they
                         are asked for, with what that needs; what was put stays */
    RR_EVICT_DROP     /* they are dropped: a cache. Reading one is RR_ERR_OBJECT_LOST */
} rr_evict;

/* How a runtime is to be. Zero means the default, everywhere. What is left zero
   is read from the environment variable named behind it, where that is set. */
typedef struct rr_config {
    int workers;           /* tasks that make progress at once; one per CPU. RUSTYRAY_WORKERS */
    int max_threads;       /* pool threads in all, with those of bodies that block or share a CPU;
                            workers + 1024. RUSTYRAY_MAX_THREADS */
    size_t stack_bytes;    /* of its stack that a body finds free when it begins; at least 16 KiB;
                            256 KiB. RUSTYRAY_STACK_BYTES */
    size_t store_bytes;    /* limit on the bytes in memory of values that do not fit into their
                            slot, see THE STORE; no limit. RUSTYRAY_STORE_BYTES */
    rr_evict evict;        /* what makes room when the store is full; RR_EVICT_SPILL */
    const char *spill_dir; /* where spilled objects go; TMPDIR, or /tmp; on Windows TEMP.
                              RUSTYRAY_SPILL_DIR */
    bool no_spill;         /* the same as .evict = RR_EVICT_REBUILD. RUSTYRAY_NO_SPILL=1 */
    size_t lineage_bytes;  /* RR_EVICT_REBUILD: for what it takes to run functions again; 64 MiB.
                            RUSTYRAY_LINEAGE_BYTES */
    int64_t max_pending; /* tasks that have not begun: past so many rr_call, outside of bodies, runs
                            others or waits first; no limit. RUSTYRAY_MAX_PENDING */
    rr_resource resources[RR_RESOURCES]; /* what there is beside CPUs; nothing.
                                            RUSTYRAY_RESOURCES="gpu=2,disk=0.5" */
    bool report_leaks; /* rr_shutdown logs what was never released. RUSTYRAY_REPORT_LEAKS=1 */
    rr_log_fn log;     /* stderr */
    void *log_data;    /* handed to log */
} rr_config;

/* How a task is to be run. Zero means the default. */
typedef struct rr_options {
    const char *name;       /* its name in messages; copied; the function's */
    int priority;           /* higher ones first among what is ready, the oldest first among equals;
                               may be negative. A second of waiting makes up for one step */
    int64_t timeout_ms;     /* fails with RR_ERR_TIMEOUT if it is not complete so many milliseconds
                               after the call; no limit */
    int max_retries;        /* so often it is tried again when its body has failed; -1: without
                               limit; 0 */
    int64_t retry_delay_ms; /* before the first retry, doubled for each further one up to a minute,
                               less a random part of up to a quarter; 0: at once */
    double num_cpus;        /* workers that it takes while it runs: 2, or 0.5: two of them share
                               one; 1. It runs on a thread of its own; where max_threads leaves none
                               it begins on a worker, before others have made room */
    rr_resource resources[RR_RESOURCES]; /* what it takes of rr_config.resources while it runs */
    bool no_rebuild; /* it must not run again: its result stays in memory, see RR_EVICT_REBUILD */
    bool blocking;   /* its body waits for something outside (a file, a socket): it takes no worker;
                       a further thread runs it at once, up to rr_config.max_threads */
    int max_unread;  /* of a stream: rr_yield waits while so many objects are unread; no limit */
    size_t max_unread_bytes; /* likewise while the unread ones have so many bytes or more, without
                                what references among them lead to; no limit */
} rr_options;

/* What becomes of a message to an actor whose mailbox is full. */
typedef enum rr_when_full {
    RR_REFUSE, /* it is not sent: RR_ERR_MAILBOX_FULL */
    RR_WAIT    /* rr_ask and rr_tell wait until there is room, in the order in which they came. In a
                  body RR_ERR_DEADLOCK if the actor in turn waits for that body, RR_ERR_CANCELLED if
                  it is cancelled meanwhile; RR_ERR_ACTOR_DEAD if the actor ends */
} rr_when_full;

/* How an actor is to be. Zero means the default. */
typedef struct rr_actor_options {
    const char *name;         /* rr_find_actor finds it by this name while it lives; copied */
    int max_restarts;         /* so often it is made anew after rr_crash_actor; -1: without limit */
    int64_t restart_delay_ms; /* before the first restart, doubled for each further one up to a
                                 minute, less a random part of up to a quarter; 0: at once */
    int max_method_retries; /* so often a method that the actor crashed in runs again, on the fresh
                                 state, for which it needs max_restarts; at most 254; -1: without
                                 limit */
    int max_pending;        /* messages that have not begun: one more meets a full mailbox; no
                                 limit */
    rr_when_full when_full; /* what happens to that one; RR_REFUSE */
    int max_concurrency;    /* methods that run at once, in no promised order; 1 */
    double num_cpus; /* workers that are kept for it while it lives: those beyond the one that
                                 runs it; 1 */
    rr_resource resources[RR_RESOURCES]; /* what it takes of rr_config.resources while it lives */
} rr_actor_options;

/* Counters of a runtime since it started, and what lives in it now. Each number
   is exact once the work that it counts is over. */
typedef struct rr_stats {
    uint64_t tasks_submitted;  /* functions, actor creations and methods */
    uint64_t tasks_finished;   /* of those, ended with a value */
    uint64_t tasks_failed;     /* of those, ended with an error */
    uint64_t tasks_stolen;     /* taken by a worker from another thread's queue */
    uint64_t objects_live;     /* results and put objects with a count, pending ones included */
    uint64_t actors_live;      /* created and not yet ended */
    uint64_t store_bytes_used; /* bytes of live objects outside their slots, in memory */
    uint64_t store_bytes_held; /* what the system gave for them: with free blocks and rounding up */
    uint64_t store_hits;       /* reads of values that may leave memory and were there; without
                                  those of what views outside of scopes keep there */
    uint64_t objects_spilled;  /* so often one went to disk, and its memory was given back */
    uint64_t objects_restored; /* so often one came back from there */
    uint64_t objects_dropped;  /* so often one went without */
    uint64_t objects_rebuilt;  /* so often one was made again by running its task */
    uint64_t spill_bytes_written, spill_bytes_read;
    uint64_t spill_bytes_used; /* in files now; with those of objects that ended, but not all in
                                  their file, and of a value that was written in part */
    double spill_seconds;      /* that writing and reading took in all */
    uint64_t workers;          /* rr_config.workers as it came out */
    uint64_t threads;          /* pool threads that exist */
} rr_stats;
