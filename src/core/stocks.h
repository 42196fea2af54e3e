/* Stocks: how much there is of each resource, how much of it is in use, and who waits for which set
   of needs, its shape. Bookkeeping: what follows from it is core/resources.h.
   Locks: rr__resources.lock, a leaf, held by the caller. */
#pragma once
#include "control.h"

/* CPUs and what rr_config.resources names, in ten-thousandths, so that they add up. */
typedef struct rr__stock {
    const char *name;
    int64_t total, used;
    int64_t stuck; /* of those used: held by actors, or by tasks that wait for something */
} rr__stock;

enum { RR__CPU, RR__STOCKS = 1 + RR_RESOURCES, RR__WHOLE = 10000 };

/* What tasks may need, and those that wait for just that: one for each such set in use. Under the
   lock of the stocks. */
typedef struct rr__shape {
    struct rr__shape *next;
    int64_t amounts[RR__STOCKS]; /* CPUs 0: nothing but the worker that runs it */
    bool is_of_actors;           /* held while they live; CPUs: those beyond the first */
    int overtaken;               /* so often since its first one waits */
    size_t users;                /* controls that point to it */
    rr__heap waiting;
} rr__shape;

typedef struct rr__resources {
    rr__mutex lock; /* of all below; a leaf */
    rr__stock stocks[RR__STOCKS];
    int count;
    char *names;
    rr__shape *shapes;
    rr__heap ready; /* QUEUED tasks that have a turn */

    rr__control *first_chosen, *last_chosen; /* granted CPUs, but the roles are not there yet */
    int64_t chosen_cpus;                     /* that those will run on */
    int64_t apart_cpus;           /* on which tasks run that are not those of a worker, see below */
    int64_t pot;                  /* roles for that */
    bool has_given;               /* roles back to the game, see rr__apart_leave_locked */
    int starting;                 /* taken from `chosen`, and not yet a thread's */
    RR__ATOMIC(int) roles_wanted; /* that workers are to hand in; see rr__pot_settle_locked */
} rr__resources;

static bool rr__resources_init(rr__resources *r) { return rr__mutex_init(&r->lock); }

static void rr__resources_free(rr__resources *r) {
    RR_FREE(r->ready.entries);
    for (rr__shape *shape = r->shapes, *next; shape; shape = next) {
        next = shape->next;
        RR_FREE(shape->waiting.entries);
        RR_FREE(shape);
    }
    RR_FREE(r->names);
    rr__mutex_destroy(&r->lock);
}

static bool rr__fits(const rr__resources *r, const rr__shape *shape, const int64_t *kept) {
    for (int i = 0; i < r->count; i++) {
        const rr__stock *stock = &r->stocks[i];
        int64_t left = stock->total - stock->used - (kept ? kept[i] : 0);
        if (shape->amounts[i] && shape->amounts[i] > left) return false;
    }
    int64_t most = r->stocks[RR__CPU].total - RR__WHOLE; /* of actors */
    return !shape->is_of_actors || r->stocks[RR__CPU].stuck + shape->amounts[RR__CPU] <= most;
}

static bool rr__shapes_meet(const rr__shape *a, const rr__shape *b) {
    for (int i = 0; i < RR__STOCKS; i++)
        if (a->amounts[i] && b->amounts[i]) return true;
    return false;
}

/* Can those that run make room for it, by ending? */
static bool rr__can_fit(const rr__resources *r, const rr__shape *shape) {
    for (int i = 0; i < r->count; i++)
        if (shape->amounts[i] > r->stocks[i].total - r->stocks[i].stuck) return false;
    return true;
}

/* The shape whose first task gets what it needs next: the oldest of those that fit. One that needs
   much does not hold up others, but only so many may overtake it; then what it needs is kept,
   unless what it lacks is held by some that wait, perhaps for those others. */
static rr__shape *rr__shape_next_locked(rr__resources *r) {
    enum { PATIENCE = 32 };
    int64_t kept[RR__STOCKS] = {0};
    rr__shape *best = NULL;
    for (rr__shape *s = r->shapes; s; s = s->next) {
        bool keeps = s->waiting.count && s->overtaken >= PATIENCE && rr__can_fit(r, s);
        for (int i = 0; i < RR__STOCKS && keeps; i++) kept[i] += s->amounts[i];
    }
    for (rr__shape *s = r->shapes; s; s = s->next)
        if (s->waiting.count && rr__fits(r, s, s->overtaken < PATIENCE ? kept : NULL) &&
            (!best || rr__entry_before(s->waiting.entries[1], best->waiting.entries[1])))
            best = s;
    for (rr__shape *s = r->shapes; s && best; s = s->next)
        if (s != best && s->waiting.count && rr__shapes_meet(s, best) &&
            rr__entry_before(s->waiting.entries[1], best->waiting.entries[1]))
            s->overtaken++;
    return best;
}

/* Adds what a shape needs to what is used, or takes it off. */
static void rr__stocks_use_locked(rr__resources *r, const rr__shape *shape, int sign) {
    for (int i = 0; i < r->count; i++) {
        r->stocks[i].used += sign * shape->amounts[i];
        if (shape->is_of_actors) r->stocks[i].stuck += sign * shape->amounts[i];
    }
}

static void rr__controls_add(rr__control **first, rr__control **last, rr__control *control) {
    control->next = NULL;
    if (*last) (*last)->next = control;
    else *first = control;
    *last = control;
}

static void rr__shape_leave_locked(rr__resources *r, rr__shape *shape) {
    enum { MANY = 64 }; /* kept for the next call that needs the same */
    rr__shape **at = &r->shapes;
    int n = 0;
    shape->waiting.promised--;
    if (--shape->users) return;
    for (rr__shape *s = r->shapes; s; s = s->next) n++;
    if (n <= MANY) return;
    while (*at != shape) at = &(*at)->next;
    *at = shape->next;
    RR_FREE(shape->waiting.entries);
    RR_FREE(shape);
}
