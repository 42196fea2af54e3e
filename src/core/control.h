/* What a task with options, or an actor that needs resources, has beside its slot: its name, its
   timers (core/timers.h), its turn among those that need the same (core/resources.h), how often
   it is tried again (tasks/retries.h), and what it yields into (tasks/streams.h).
   Locks: the timers' and the resources', for what is said to be under them. */
#pragma once
#include "heap.h"

typedef struct rr__stream rr__stream;
typedef struct rr__shape rr__shape;

/* For as long as its task. The task's owner alone changes it, but for the entries. */
struct rr__control {
    rr__object *task;
    const char *name; /* its own, behind this in memory; or NULL */
    int64_t retry_delay_ms;
    int max_retries, attempt; /* allowed; over: written under the timers' lock */
    bool is_blocking;         /* takes no worker */
    bool no_rebuild;          /* its result is not made again */
    bool has_limit;           /* on time */
    uint8_t timers;           /* that were promised to it */
    rr__entry limit, retry;   /* timers */

    int priority;
    bool has_turn;     /* it has a priority, or needs resources; below: under the stocks' lock */
    bool is_granted;   /* it has what it needs */
    bool is_apart;     /* its CPUs are in rr__resources.apart_cpus */
    bool is_over;      /* it enters no heap any more */
    double due;        /* when it was called, less its priority in seconds; fixed */
    rr__shape *shape;  /* what it needs; or NULL; fixed */
    rr__entry turn;    /* WAITING: in the shape's heap; QUEUED: in rr__resources.ready */
    rr__heap *turn_in; /* which it is */
    rr__control *next; /* of those that were granted something, and have not begun */

    rr__stream *stream; /* what it yields into; or NULL; fixed */
};

/* What has options of its own, or NULL. */
static rr__control *rr__control_of(const rr__object *o) {
    uint64_t word = rr__load_relaxed(&((rr__object *)(uintptr_t)o)->word); /* fixed */
    return word & RR__HAS_CONTROL ? o->extra.control : NULL;
}

/* For messages. The caller counts or owns the object. */
static const char *rr__name_of(const rr__object *o) {
    const rr__control *control = rr__control_of(o);
    if (control && control->name) return control->name;
    return o->kind <= RR__METHOD ? o->of.fn->name : o->site;
}
