/* Waiting for room. Who finds none sleeps, in a list of all that do; the clock's thread looks after
   them: it wakes those that have not seen the last change, and, if nothing can come of waiting any
   more, has the one that waits for the longest time give up (rule E7). So nobody looks in vain, and
   who decides sees all that wait at rest. Whether those that have values will ever give room, the
   graph of all that wait tells (core/deadlock.h), whatever else goes on.
   Locks: the store's. */
#pragma once
#include "../core/deadlock.h"
#include "newcomers.h"

/* Who waits for room. Under the store's lock, but for what only its owner uses. */
struct rr__patience {
    rr__patience *older, *newer;
    rr__sleeper *sleeper;  /* NULL: it looks just now */
    bool is_body, is_user; /* it has values in use; fixed */
    bool gives_up;         /* it is to */
    size_t bytes;          /* that it wants; 0: its turn; fixed */
    uint64_t seen;         /* room_events before its last look */
    uint64_t changes;      /* of the list, at that time */
    int looks;             /* in vain, since that last changed */
};

/* What views outside of scopes keep there, if they do: a common cause, and easy to cure. */
static const char *rr__room_viewed(rr_runtime *rt, char *text, size_t size) {
    uint64_t viewed = rr__load_relaxed(&rt->store->viewed); /* a counter */
    const char *site = rr__load_acquire(&rt->store->viewed_site);
    if (!viewed || !site) return "";
    snprintf(
        text, size,
        ". %llu of them are viewed outside of every scope, which pins a value until its object "
        "ends (the last one was made at %s): open a scope around such reads",
        (unsigned long long)viewed, site);
    return text;
}

/* Why there is no room; bytes 0: for arguments, not all of which are known. */
static RR__NOINLINE rr_status rr__room_refuse(rr_runtime *rt, size_t bytes, const char *why) {
    char wanted[40] = "arguments", viewed[300];
    uint64_t used = rr__load_relaxed(&rt->memory.live); /* a counter */
    if (bytes) snprintf(wanted, sizeof wanted, "%zu bytes", bytes);
    return rr__refuse(RR_ERR_STORE_FULL,
                      "no room for %s: %llu of the %zu bytes of rr_config.store_bytes are in use, "
                      "and %s%s",
                      wanted, (unsigned long long)used, rt->config.store_bytes, why,
                      rr__room_viewed(rt, viewed, sizeof viewed));
}

static void rr__patience_begin(rr__context *cx, rr__patience *p) {
    rr__store *store = cx->runtime->store;
    p->is_body = rr__load_relaxed(&cx->frame) != NULL; /* the owner's own */
    p->is_user = rr__self()->uses_store == cx->runtime;
    rr__lock(&store->lock);
    p->older = store->newest_patient, p->newer = NULL;
    if (p->older) p->older->newer = p;
    else store->oldest_patient = p;
    store->newest_patient = p, store->patients_changed++;
    rr__add_seq_cst(&store->patients, 1); /* see rr__room_event */
    rr__unlock(&store->lock);
}

static void rr__patience_end(rr_runtime *rt, rr__patience *p) {
    rr__store *store = rt->store;
    rr__lock(&store->lock);
    if (p->older) p->older->newer = p->newer;
    else store->oldest_patient = p->newer;
    if (p->newer) p->newer->older = p->older;
    else store->newest_patient = p->older;
    store->patients_changed++;
    rr__sub_seq_cst(&store->patients, 1);
    rr__unlock(&store->lock);
}

/* Before each look: what changes from here on another one will see. */
static void rr__patience_look(rr_runtime *rt, rr__patience *p) {
    p->seen = rr__load_seq_cst(&rt->store->room_events);
}

static void rr__patience_wake_locked(rr__context *cx, rr__patience *p) {
    rr__sleeper *s = p->sleeper;
    p->sleeper = NULL;
    rr__wake(cx, rr__sleeper_sign(s));
}

/* What those that wait for room have in common. */
typedef struct rr__patients {
    bool all_have_seen; /* they sleep, and have seen the last change */
    bool all_are_tired; /* they have looked so often while nobody came or went */
    bool all_sleep;
    bool has_thread; /* one of them is no body */
    int users;       /* bodies with values among them */
} rr__patients;

/* Wakes those that have something new to see. */
static rr__patients rr__patients_look_locked(rr__context *cx) {
    enum { TIRED = 30 };
    rr__store *store = cx->runtime->store;
    uint64_t events = rr__load_seq_cst(&store->room_events);
    rr__patients all = {true, true, true, false, 0};
    for (rr__patience *p = store->oldest_patient; p; p = p->newer) {
        bool has_seen = p->sleeper && p->seen == events; /* its own, while it looks */
        all.users += p->is_user, all.has_thread |= !p->is_body;
        all.all_sleep &= p->sleeper != NULL;
        all.all_are_tired &=
            !p->gives_up && p->changes == store->patients_changed && p->looks >= TIRED;
        all.all_have_seen &= has_seen;
        if (p->sleeper && !has_seen) rr__patience_wake_locked(cx, p);
    }
    return all;
}

/* Nothing comes of it: all bodies that have values wait for room, in vain, whatever else goes on;
   or the others wait for something that leads back to room (core/deadlock.h). A thread from outside
   that waits for room is not waited for to complete something. Only the clock's thread looks at all
   of them. Not under the lock. */
static bool rr__room_is_hopeless(rr__context *cx, rr__patients all, bool is_clock) {
    rr_runtime *rt = cx->runtime;
    if (all.users == rr__store_users(rt)) return all.all_have_seen || all.all_are_tired;
    bool is_in_vain = all.all_have_seen || (all.all_are_tired && all.all_sleep);
    return is_clock && is_in_vain && rr__room_is_stuck(cx, !all.has_thread);
}

/* The one that waits for the longest time gives up. Under the lock. */
static void rr__patient_gives_up_locked(rr__context *cx) {
    rr__patience *p = cx->runtime->store->oldest_patient;
    while (p && !p->sleeper) p = p->newer;
    if (p) p->gives_up = true, rr__patience_wake_locked(cx, p);
}

/* Looks after those that wait. Returns after how many seconds again, so that it takes a twentieth
   of a processor at most; 0: nobody waits any more. */
static double rr__room_tick(rr__context *cx, bool is_clock) {
    const double shortest = 250e-6, longest = 4e-3;
    rr__store *store = cx->runtime->store;
    double start = rr_now();
    rr__newcomers_list_all(cx); /* an event, if there are any */
    rr__lock(&store->lock);
    rr__patients all = rr__patients_look_locked(cx);
    uint64_t changes = store->patients_changed;
    bool anybody = store->oldest_patient != NULL;
    rr__unlock(&store->lock);
    bool is_hopeless = anybody && rr__room_is_hopeless(cx, all, is_clock);
    if (is_hopeless) rr__newcomers_list_all(cx); /* of those who are not counted any more */
    double least = 20 * (rr_now() - start);
    rr__lock(&store->lock);
    if (is_hopeless) { /* has anything changed meanwhile? */
        rr__patients now = rr__patients_look_locked(cx);
        bool is_same = changes == store->patients_changed;
        if (is_same && (now.all_have_seen || now.all_are_tired)) rr__patient_gives_up_locked(cx);
        all.all_have_seen = false;
    }
    double next = all.all_have_seen ? 2 * store->tick_length : 0;
    next = next < shortest ? shortest : next < longest ? next : longest;
    store->tick_length = next;
    store->ticks = store->oldest_patient != NULL;
    next = next < least ? least : next;
    if (!store->ticks) next = 0;
    rr__unlock(&store->lock);
    return next;
}

/* Nobody looks after those that sleep any more: the next one that does so finds somebody. */
static void rr__room_ticks_end(rr__context *cx) {
    rr__store *store = cx->runtime->store;
    rr__lock(&store->lock);
    store->ticks = false;
    for (rr__patience *p = store->oldest_patient; p; p = p->newer)
        if (p->sleeper) rr__patience_wake_locked(cx, p);
    rr__unlock(&store->lock);
}

/* The clock's turn, or its end. */
static void rr__room_due(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    bool has_ended = rr__load_acquire(&rt->phase) == RR__STOPPED;
    double next = has_ended ? 0 : rr__room_tick(cx, true);
    if (next > 0) rr__timer_set(rt, &rt->timers->room, rr_now() + next);
    if (has_ended) rr__room_ticks_end(cx);
}

/* Goes to sleep. True: somebody must be found who looks after it. */
static bool rr__patience_sleeps(rr_runtime *rt, rr__patience *p, rr__sleeper *s) {
    rr__store *store = rt->store;
    rr__lock(&store->lock);
    bool is_same = p->changes == store->patients_changed, begins = !store->ticks;
    p->sleeper = s, p->changes = store->patients_changed, p->looks = is_same ? p->looks + 1 : 1;
    store->ticks = true;
    rr__unlock(&store->lock);
    return begins;
}

/* Sleeps. RR_OK: time to look again. Without memory, for a timer or for a stack on which others go
   on meanwhile, not for ever: they may be what it waits for. */
static rr_status rr__room_wait(rr__context *cx, rr__patience *p) {
    enum { STARVED = 100 };
    rr_runtime *rt = cx->runtime;
    rr__sleeper s = rr__sleeper_of(cx);
    bool copies = s.self->copies == rt;
    rr_runtime *loads_for = s.self->loads_for;
    s.wants_room = s.may_starve = true, s.self->loads_for = NULL; /* it keeps the turn */
    if (copies) rr__store_copies(cx, false);                      /* it waits itself */
    if (rr__patience_sleeps(rt, p, &s))
        s.has_limit = !rr__own_timer_set(rt, &rt->timers->room, 250e-6);
    rr__linked_wait(&s, NULL, rr_now() + 1e-3);
    cx = rr__here(cx);
    if (s.has_limit) { /* it was the clock itself */
        (void)rr__room_tick(cx, false);
        rr__room_ticks_end(cx);
    }
    rr__lock(&rt->store->lock);
    p->sleeper = NULL;
    bool gives_up = p->gives_up, starves = s.has_limit && p->looks >= STARVED;
    rr__unlock(&rt->store->lock);
    if (copies) rr__store_copies(cx, true);
    s.self->loads_for = loads_for;
    if (s.is_starved || starves) return RR_ERR_NO_MEMORY;
    if (rr__must_stop(cx)) return RR_ERR_CANCELLED;
    if (!gives_up) return RR_OK;
    return rr__room_refuse(rt, p->bytes,
                           "all that could give some back wait for room themselves. Raise it, or "
                           "let fewer tasks that hold values run at once");
}
