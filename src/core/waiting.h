/* Waiting: spin a moment, help, and then sleep without the role, so that another thread takes it.
   Ready is one load. One sleep serves for all objects that are waited for.
   Locks: those of core/sleepers.h and core/links.h; end_lock is let go of around a sleep. */
#pragma once
#include "helping.h"

/* Can be called to work from now on until it stops sleeping: a worker that waits without a limit.
   Before the role is given away, so that what the last one awake leaves behind is seen. */
static void rr__sleeper_ready(rr__sleeper *s) {
    rr__context *cx = s->context;
    bool can_work = cx->is_worker && !s->has_limit && !rr__must_stop(cx) && rr__has_stack(cx);
    rr__lock(&cx->lock);
    s->sleeps = true, s->is_idle = can_work;
    rr__unlock(&cx->lock);
}

/* The link of a body that sleeps goes to what runs on top of it meanwhile, which it cannot go on
   before, and back to what it waits for: then a ring may have been closed (W2). */
static void rr__link_move(rr__sleeper *s, rr__object *to) {
    rr_runtime *rt = s->context->runtime;
    rr__object *other;
    if (!s->task) return;
    rr__lock(&rt->ring_lock); /* rule W4 */
    rr__store_release(&s->task->waits_on, to);
    rr__unlock(&rt->ring_lock);
    if (!s->edge || to != s->edge) return;
    rr__add_seq_cst(&rt->blocked, 0u);
    if (rr__walk(to, s->task, NULL, NULL, &other) == RR__WALK_RING) rr__ring_tell(rt, s->task);
}

/* The sleeper was called: it holds a role, which searches. It keeps that if its wait is over. */
static void rr__work_instead(rr__sleeper *s) {
    rr__context *cx = s->context;
    rr__object *o;
    s->is_called = false; /* nobody else writes it while is_idle is false */
    cx->has_role = cx->is_searching = true;
    while (cx->has_role && !rr__sleeper_is_done(s) && !(s->task && rr__is_decided(s->task)) &&
           (o = rr__next_task(cx))) {
        rr__search_end(cx);
        rr__sleeper_set(cx, NULL); /* the body may sleep itself */
        rr__link_move(s, o);
        rr__run(cx, o, NULL);
        rr__sleeper_set(cx, s);
        rr__link_move(s, s->edge);
    }
    rr__search_end(cx);
    if (rr__sleeper_is_done(s)) return;
    rr__sleeper_ready(s);
    rr__role_give(cx);
}

/* Destructors of one runtime run one at a time, so that they may count or close what they share;
   while one waits another may run. Makes the thread's turn that of a runtime, or of none (NULL),
   and returns what it was. */
static rr_runtime *rr__end_turn(rr_runtime *rt) {
    rr__local *self = rr__self();
    rr_runtime *before = self->ending;
    if (before == rt) return before;
    if (before) rr__unlock(&before->end_lock);
    self->ending = rt;
    if (!rt || rr__try_lock(&rt->end_lock)) return before;
    rr__own_role_give(); /* for a destructor may take long */
    rr__lock(&rt->end_lock);
    rr__own_role_take();
    return before;
}

/* All roles sleep now, no thread can take one, and what it waits for is queued: of several that
   went to sleep at once, each may have seen another awake (rr__has_threads), but not the last. */
static RR__NOINLINE bool rr__is_left_alone(rr__sleeper *s) {
    rr_runtime *rt = s->context->runtime;
    if (RR__SLEEPING(rr__load_seq_cst(&rt->idle)) != (uint32_t)rt->workers) return false;
    if (!rr__has_work(rt)) return false;
    bool can_go_on = rr__can_have_thread(rt);
    for (rr__context *cx = rr__load_acquire(&rt->contexts); cx && !can_go_on; cx = cx->next) {
        rr__lock(&cx->lock);
        can_go_on = cx->sleeper && (cx->sleeper->is_idle || cx->sleeper->is_called);
        rr__unlock(&cx->lock);
    }
    rr__object *other;
    return !can_go_on && rr__walk(s->edge, s->task, NULL, NULL, &other) == RR__WALK_QUEUED;
}

/* Sleeps without the role. Who has none, too, may be what rr_shutdown looks at. */
static void rr__sleep_free(rr__sleeper *s, double deadline) {
    rr__sleeper_ready(s);
    rr__own_role_give();
    if (RR__UNLIKELY(s->edge && rr__is_left_alone(s))) {
        rr__lock(&s->context->lock);
        s->is_too_deep = true, s->sleeps = false;
        rr__unlock(&s->context->lock);
        rr__own_role_take();
        return;
    }
    rr__signal_if_stopping(s->context->runtime);
    rr_runtime *ending = rr__end_turn(NULL);
    rr__sleeper_wait(s, deadline);
    while (s->is_called) {
        rr__work_instead(s);
        rr__sleeper_wait(s, deadline);
    }
    rr__end_turn(ending);
    rr__own_role_take();
}

/* ---- for objects ---- */

/* One sleep of a body with the link to `edge` written; *claimed is what to run instead of it. */
static void rr__sleep_linked(rr__sleeper *s, rr__object *edge, rr__object **claimed, rr__step *by) {
    rr__context *cx = s->context;
    rr_runtime *rt = cx->runtime;
    rr__object *other;
    s->task->data.runner = cx; /* for rr__ring_wake */
    s->edge = edge;
    rr__store_release(&s->task->waits_on, edge); /* rules W1, W2 */
    rr__add_seq_cst(&rt->blocked, 1u);
    bool must_stop = rr__must_stop(cx), may_help = !must_stop && rr__has_stack(cx);
    enum rr__walk found = rr__walk(edge, s->task, may_help ? claimed : NULL, by, &other);
    if (found == RR__WALK_RING) rr__ring_tell(rt, s->task); /* us too */
    else if (found == RR__WALK_QUEUED && !must_stop && !rr__has_threads(cx)) s->is_too_deep = true;
    else if (found != RR__WALK_CLAIMED) rr__sleep_free(s, -1);
    if (found != RR__WALK_CLAIMED) *claimed = NULL;
    rr__sub_seq_cst(&rt->blocked, 1u);
    rr__lock(&rt->ring_lock); /* rule W4 */
    rr__store_release(&s->task->waits_on, (rr__object *)NULL);
    rr__unlock(&rt->ring_lock);
}

/* The same for a thread from outside, on which no task depends. */
static void rr__sleep_outside(rr__sleeper *s, rr__object *edge, rr__object **claimed,
                              rr__step *by) {
    rr__object *other;
    enum rr__walk found =
        rr__walk(edge, NULL, rr__has_stack(s->context) ? claimed : NULL, by, &other);
    if (found == RR__WALK_CLAIMED) return;
    *claimed = NULL;
    rr__sleep_free(s, -1);
}

/* What a wait is for: `need` of n objects (NULL: known to be complete, not counted). */
typedef struct rr__wait {
    rr__object **objects;
    rr__node *nodes; /* n of them */
    size_t n, need;
    bool all;        /* all of them are needed and there is no limit: help, and look for rings */
    double deadline; /* negative: none */
    size_t *order;
} rr__wait;

/* The last object that is still missing, below *at: thieves begin with the first. */
static rr__node *rr__wait_edge(rr__wait *wait, size_t *at) {
    for (; *at > 0; --*at)
        if (wait->objects[*at - 1] && !rr__is_complete(wait->objects[*at - 1]))
            return &wait->nodes[*at - 1];
    return NULL;
}

static rr_status rr__wait_outcome(rr__sleeper *s, rr_ref ref) {
    if (s->is_ring) return rr__note(ref, RR_ERR_DEADLOCK, "%s", s->ring);
    if (s->is_cancelled)
        return rr__note(ref, RR_ERR_CANCELLED, "the task that waits was cancelled or is too late");
    if (s->is_too_deep)
        return rr__note(
            ref, RR_ERR_NO_MEMORY,
            "tasks wait for tasks too deep: the stack is used up, and so are the threads; "
            "raise rr_config.max_threads (%d) or wait less deep",
            s->context->runtime->max_threads);
    return s->fired >= s->need ? RR_OK : RR_ERR_TIMEOUT;
}

/* Sleeps till every needed object is there, moving the edge along as they complete. A task that
   the walk finds claimable is run, with the sleeper off the context meanwhile: the body may
   sleep itself. */
static void rr__wait_all(rr__wait *wait, rr__sleeper *s) {
    rr__context *cx = s->context;
    bool began = rr__serve_begin(cx); /* before it claims anything */
    for (size_t at = wait->n; !s->is_ring && !s->is_too_deep && !s->is_cancelled;) {
        rr__node *edge = rr__wait_edge(wait, &at);
        if (!edge) break;
        rr__lock(&cx->lock);
        cx->sleeper = s, s->edge_fired = false;
        edge->is_edge = true;
        rr__unlock(&cx->lock);
        rr__object *claimed = NULL;
        rr__step by = {NULL, 0};
        /* The edge may have fired before it was marked: then it is complete. */
        bool is_over = rr__is_complete(edge->object);
        if (!is_over && s->task) rr__sleep_linked(s, edge->object, &claimed, &by);
        else if (!is_over) rr__sleep_outside(s, edge->object, &claimed, &by);
        rr__lock(&cx->lock);
        cx->sleeper = NULL;
        edge->is_edge = false;
        rr__unlock(&cx->lock);
        if (!claimed) continue;
        rr__help(cx, claimed, &by, edge->object);
        rr__help_along(cx, edge->object);
    }
    rr__serve_end(cx, began);
    s->edge_fired = false; /* no node is an edge any more */
    if (!s->is_ring && !s->is_too_deep && !s->is_cancelled)
        rr__sleeper_wait(s, -1); /* for those about to fire */
}

static void rr__wait_any(rr__wait *wait, rr__sleeper *s) {
    rr__sleeper_set(s->context, s);
    rr__sleep_free(s, wait->deadline);
    rr__sleeper_set(s->context, NULL);
}

/* Runs those of the objects that nobody has begun, the newest first. */
static void rr__wait_help(rr__context *cx, rr__wait *wait) {
    bool began = rr__serve_begin(cx);
    for (size_t i = wait->n; i-- > 0;)
        if (wait->objects[i]) (void)rr__run_claimable(cx, wait->objects[i]);

    rr__serve_end(cx, began);
}

/* Counts what is complete, and lists a node for each of the others. Returns how many there are. */
static size_t rr__wait_list(rr__wait *wait, rr__sleeper *s) {
    size_t pending = 0;
    for (size_t i = 0; i < wait->n; i++) {
        if (!wait->objects[i]) continue;
        wait->nodes[i] = (rr__node){.object = wait->objects[i], .sleeper = s, .index = i};
        if (!rr__is_complete(wait->objects[i])) continue;
        if (s->order && s->fired < s->need) s->order[s->fired] = i; /* nobody else is here yet */
        s->fired++, wait->nodes[i].object = NULL;
    }
    for (size_t i = 0; i < wait->n; i++) {
        if (!wait->objects[i] || !wait->nodes[i].object) continue;
        if (rr__node_add(s->context->runtime, &wait->nodes[i])) pending++;
        else (void)rr__node_fire(&wait->nodes[i]);
    }
    return pending;
}

static rr_status rr__wait_asleep(rr__context *cx, rr__wait *wait, rr_ref ref) {
    rr__sleeper s = {.context = cx,
                     .task = rr__current_task(cx),
                     .need = wait->need,
                     .has_limit = wait->deadline >= 0,
                     .order = wait->order};
    size_t pending = rr__wait_list(wait, &s);
    if (rr__must_stop(cx)) s.is_cancelled = pending > 0; /* its role is not given away for that */
    else if (pending && wait->all) rr__wait_all(wait, &s);
    else if (pending) rr__wait_any(wait, &s);
    for (size_t i = 0; i < wait->n; i++)
        if (wait->objects[i] && wait->nodes[i].object)
            rr__node_remove(cx->runtime, &wait->nodes[i]);
    wait->need = s.fired < wait->need ? s.fired : wait->need;
    return rr__wait_outcome(&s, ref);
}

/* A thread from outside whose calls still queue? */
static bool rr__has_queued(rr__context *cx) {
    return !rr__load_relaxed(&cx->frame) && !cx->is_worker && !rr__deque_is_empty(&cx->deque);
}

/* Somebody else runs it: it may be over sooner than a sleep and a wake would take. Shortly, if the
   core is better used by who runs the queue. */
static bool rr__spin(rr__context *cx, rr__object *o) {
    double end = 0, seconds = rr__has_queued(cx) ? RR__SPIN_TIME / 10 : RR__SPIN_TIME;
    for (int round = 0; !rr__is_complete(o); round++)
        if (!rr__pause(round, &end, seconds)) break;
    return rr__is_complete(o);
}

/* A thread from outside has called a lot and waits for the first result while the rest still
   queues: then the workers do better than to wake it after every task (the wake costs the waker
   more than a small task does). For a millisecond it looks by itself now and then. */
static bool rr__nap(rr__context *cx, rr__object *o, double deadline) {
    enum { NAPS = 5 };
    double length = 50e-6;
    for (int i = 0; i < NAPS && !rr__is_complete(o) && rr__has_queued(cx); i++, length *= 2) {
        if (deadline >= 0 && rr_now() + length > deadline) break;
        rr__sleep(length);
    }
    return rr__is_complete(o);
}

/* Waits for one object that the caller keeps. */
static rr_status rr__await(rr__context *cx, rr__object *o, rr_ref ref, int64_t milliseconds) {
    if (rr__must_stop(cx) && !rr__is_complete(o))
        return rr__note(ref, RR_ERR_CANCELLED, "the task that waits was cancelled or is too late");
    if (milliseconds < 0 && !rr__is_complete(o)) rr__help_along(cx, o);
    double deadline = rr__deadline(milliseconds);
    if (rr__is_complete(o) || (milliseconds && (rr__spin(cx, o) || rr__nap(cx, o, deadline))))
        return RR_OK;
    if (milliseconds == 0)
        return rr__note(ref, RR_ERR_TIMEOUT, "'%s' is not complete yet", rr__name_of(o));
    rr__node node;
    rr__wait wait = {.objects = &o,
                     .nodes = &node,
                     .n = 1,
                     .need = 1,
                     .all = milliseconds < 0,
                     .deadline = deadline};
    rr_status status = rr__wait_asleep(cx, &wait, ref);
    if (status == RR_ERR_TIMEOUT)
        rr__note(ref, status, "'%s' was not complete within %lld ms", rr__name_of(o),
                 (long long)milliseconds);
    return status;
}

/* In a body as a wait that nothing ends but the time and a cancellation. */
void rr_sleep_ms(int64_t milliseconds) {
    rr__frame *frame = rr__self()->frame;
    double end = rr_now() + (double)milliseconds * 1e-3, left;
    if (!frame) {
        while ((left = end - rr_now()) > 0) rr__sleep(left);
        return;
    }
    rr__sleeper s = {.context = frame->runner, .task = frame->task, .need = 1, .has_limit = true};
    rr__sleeper_set(frame->runner, &s);
    rr__sleeper_wait(&s, end);
    rr__sleeper_set(frame->runner, NULL);
}
