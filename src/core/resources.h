/* Resources, and tasks that have a turn: those with a priority, or that need resources.

       WAITING, in the heap of its shape --granted--> QUEUED, in rr__resources.ready -> RUNNING

   There is one heap for each set of needs that is waited for, its shape. Workers look into
   `ready` before their deques, if what is first there is due.
   Rules  G1  A WAITING task with an entry belongs to who removes the entry; an entry in `ready` is
              a hint, as those of deques are.
          G2  What is granted is returned by the task's owner: between two attempts, or at its end,
              before that is told.
          G3  Who has put a task into the heap of a shape then looks whether it was decided, who has
              decided one then looks for its entry: so one of them finds it.

   CPUs other than one are roles, taken out of the game into a pot, from which tasks that run
   apart, on threads without a role, live. So a task that needs none of this pays one load for
   it.
   Locks: rr__resources.lock, a leaf. */
#pragma once
#include "queues.h"
#include "stocks.h"

static void rr__hint_ready_locked(rr_runtime *rt) {
    rr__store_seq_cst(&rt->has_ready, rt->resources->ready.count > 0); /* rules P1, P2 */
}

static void rr__turn_leave_locked(rr_runtime *rt, rr__control *control) {
    if (!control->turn.at) return;
    rr__heap_remove(control->turn_in, &control->turn);
    if (control->turn_in == &rt->resources->ready) rr__hint_ready_locked(rt);
}

static void rr__turn_enter_locked(rr_runtime *rt, rr__control *control, rr__heap *heap) {
    rr__turn_leave_locked(rt, control); /* a waiter may have claimed it without that */
    control->turn_in = heap;
    rr__heap_add(heap, &control->turn, control->due);
    if (heap == &rt->resources->ready) rr__hint_ready_locked(rt);
}

/* A body that blocks begins on a thread of its own; false if it does not, or there is none. */
static bool rr__begin_blocking(rr_runtime *rt, const rr__control *control) {
    return control->is_blocking && rr__thread_begin(rt, control->task);
}

/* Makes a task that has its turn claimable. Its owner. */
static void rr__make_ready(rr__context *cx, rr__object *task) {
    rr_runtime *rt = cx->runtime;
    rr__control *control = task->extra.control;
    if (rr__begin_blocking(rt, control)) return;
    rr__share(task); /* once QUEUED it may end under us */
    if (rr__try_state(task, RR__WAITING, RR__QUEUED)) {
        rr__lock(&rt->resources->lock);
        if (!control->is_over && !control->turn.at)
            rr__turn_enter_locked(rt, control, &rt->resources->ready);
        rr__unlock(&rt->resources->lock);
        rr__announce(rt);
    } else {
        rr__abandon(cx, task);
    }
    rr__drop(cx, task);
}

/* A worker runs on one role, and so does what it runs. Tasks that need other than one CPU run
   apart, on threads without a role: for them roles are put into a pot, by workers that hand in
   theirs between two tasks, or from those that sleep.

       roles in the game = workers - pot,   apart_cpus <= pot,
       and, as long as something is chosen, the pot is filled up to apart_cpus + chosen_cpus

   The second holds when a task begins; one that has lent its CPUs takes them back at once, and the
   roles follow. When one ends its roles go back first if other work is queued, so that this has its
   turn. Actors hold what is beyond one CPU, and all of them leave one role: so the game goes on. */
static int64_t rr__roles_for(int64_t cpus) { return (cpus + RR__WHOLE - 1) / RR__WHOLE; }

static void rr__apart_leave_locked(rr_runtime *rt, int64_t cpus) {
    rr__resources *r = rt->resources;
    int64_t before = rr__roles_for(r->apart_cpus);
    r->apart_cpus -= cpus;
    if (!rr__has_work(rt)) return;
    for (int64_t n = before - rr__roles_for(r->apart_cpus); n > 0 && r->pot > 0; n--, r->pot--) {
        rr__add_seq_cst(&rt->idle, RR__ONE_SLEEPING);
        r->has_given = true;
    }
}

/* Fills the pot, or empties it. True if roles went back. */
static bool rr__pot_settle_locked(rr_runtime *rt) {
    rr__resources *r = rt->resources;
    int64_t all = rr__roles_for(r->apart_cpus + r->chosen_cpus);
    for (; r->pot > all; r->pot--, r->has_given = true)
        rr__add_seq_cst(&rt->idle, RR__ONE_SLEEPING);
    /* Pairs with rr__role_offer: who puts a role to sleep looks at what is wanted after that. */
    rr__store_seq_cst(&r->roles_wanted, (int)(all - r->pot));
    bool has_given = r->has_given;
    r->has_given = false;
    if (has_given) return true;
    uint64_t idle = rr__load_seq_cst(&rt->idle);
    while (r->pot < all && RR__SLEEPING(idle))
        if (rr__cas_seq_cst(&rt->idle, &idle, idle - RR__ONE_SLEEPING)) r->pot++;
    rr__store_seq_cst(&r->roles_wanted, (int)(all - r->pot));
    return false;
}

/* Grants what can be granted now: what needs no CPUs goes to *granted, the rest waits for roles. */
static void rr__grant_locked(rr_runtime *rt, rr__control **granted) {
    rr__resources *r = rt->resources;
    rr__control *last = NULL;
    for (rr__shape *shape; (shape = rr__shape_next_locked(r));) {
        rr__control *control = rr__heap_first(&shape->waiting)->control;
        rr__turn_leave_locked(rt, control);
        rr__stocks_use_locked(r, shape, 1);
        control->is_granted = true, shape->overtaken = 0;
        r->chosen_cpus += shape->amounts[RR__CPU];
        if (shape->amounts[RR__CPU]) rr__controls_add(&r->first_chosen, &r->last_chosen, control);
        else rr__controls_add(granted, &last, control);
    }
}

/* Takes those that the pot has roles for. */
static rr__control *rr__chosen_take_locked(rr__resources *r) {
    rr__control *first = NULL, *last = NULL, *control;
    while ((control = r->first_chosen)) {
        int64_t cpus = control->shape->amounts[RR__CPU];
        if (r->apart_cpus + cpus > r->pot * RR__WHOLE) break;
        if (!(r->first_chosen = control->next)) r->last_chosen = NULL;
        r->chosen_cpus -= cpus, r->apart_cpus += cpus, r->starting++;
        control->is_apart = true;
        rr__controls_add(&first, &last, control);
    }
    return first;
}

static void rr__begin_apart(rr__context *cx, rr__control *control);

/* Ends a change of the stocks, or of who waits for them: what can begin now does. */
static void rr__stock_unlock(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    rr__control *granted = NULL, *next;
    rr__grant_locked(rt, &granted);
    bool has_more_roles = rr__pot_settle_locked(rt);
    rr__control *chosen = rr__chosen_take_locked(rt->resources);
    rr__unlock(&rt->resources->lock);
    if (has_more_roles) rr__announce(rt);
    for (; granted; granted = next) {
        next = granted->next;
        if (granted->task->kind == RR__CONSTRUCTOR) rr__make_claimable(cx, granted->task);
        else rr__make_ready(cx, granted->task);
    }
    for (; chosen; chosen = next) {
        next = chosen->next;
        rr__begin_apart(cx, chosen);
    }
}

/* Hands a task for which there are roles in the pot to a thread. Without one, to the workers, which
   bring a role along (rr__apart_enter); an actor only holds its CPUs. */
static void rr__begin_apart(rr__context *cx, rr__control *control) {
    rr_runtime *rt = cx->runtime;
    rr__object *o = control->task;
    bool is_actor = o->kind == RR__CONSTRUCTOR, has_thread = !is_actor && rr__thread_begin(rt, o);
    rr__lock(&rt->resources->lock);
    rt->resources->starting--;
    if (!is_actor && !has_thread) {
        control->is_apart = false;
        rt->resources->apart_cpus -= control->shape->amounts[RR__CPU];
    }
    rr__stock_unlock(cx);
    if (is_actor) rr__make_claimable(cx, o);
    else if (!has_thread) rr__make_ready(cx, o);
}

/* Has its task, which was decided, waited for resources (G3)? Then it is the caller's now. */
static bool rr__turn_revoke(rr_runtime *rt, rr__control *control) {
    if (!control->shape) return false;
    rr__lock(&rt->resources->lock);
    bool is_ours = control->turn.at && control->turn_in == &control->shape->waiting;
    if (is_ours) rr__turn_leave_locked(rt, control);
    rr__unlock(&rt->resources->lock);
    return is_ours;
}

/* Sends a WAITING task or actor to its turn. Its owner. */
static void rr__admit(rr__context *cx, rr__object *o, rr__control *control) {
    rr_runtime *rt = cx->runtime;
    if (!control->shape) {
        rr__make_ready(cx, o);
        return;
    }
    rr__share(o); /* once it lies in a heap it may end under us */
    rr__lock(&rt->resources->lock);
    rr__turn_enter_locked(rt, control, &control->shape->waiting);
    rr__stock_unlock(cx);
    RR__STRESS_POINT();
    bool is_unwanted = (rr__load_seq_cst(&o->word) & (RR__IS_DECIDED | RR__IS_DOOMED)) != 0;
    if (is_unwanted && rr__turn_revoke(rt, control)) {
        if (o->kind == RR__CONSTRUCTOR) rr__make_claimable(cx, o);
        else rr__abandon(cx, o);
    }
    rr__drop(cx, o);
}

static void rr__return_locked(rr_runtime *rt, rr__control *control) {
    if (control->is_granted) rr__stocks_use_locked(rt->resources, control->shape, -1);
    if (control->is_apart) rr__apart_leave_locked(rt, control->shape->amounts[RR__CPU]);
    control->is_granted = control->is_apart = false;
}

/* Gives back what was granted (G2). */
static void rr__grant_return(rr__context *cx, rr__control *control) {
    if (!control->shape) return;
    rr__lock(&cx->runtime->resources->lock);
    rr__return_locked(cx->runtime, control);
    rr__stock_unlock(cx);
}

/* A body that was granted CPUs begins: if there is no role for it, the worker's goes to the pot. */
static void rr__apart_enter(rr__context *cx, rr__control *control) {
    rr_runtime *rt = cx->runtime;
    rr__lock(&rt->resources->lock);
    if (!control->is_apart) rt->resources->apart_cpus += control->shape->amounts[RR__CPU];
    if (!control->is_apart && cx->has_role) cx->has_role = false, rt->resources->pot++;
    control->is_apart = true;
    rr__stock_unlock(cx);
}

static void rr__turn_end(rr__context *cx, rr__control *control) {
    rr_runtime *rt = cx->runtime;
    rr__lock(&rt->resources->lock);
    control->is_over = true;
    rr__turn_leave_locked(rt, control);
    rt->resources->ready.promised--;
    rr__return_locked(rt, control);
    if (control->shape) rr__shape_leave_locked(rt->resources, control->shape);
    rr__stock_unlock(cx);
}

/* A body that waits lends its CPUs, and takes them back, whatever there is of them then. The rest
   of what it has stays with it. */
static RR__NOINLINE void rr__grants_lend(rr__local *self, bool lends) {
    for (rr__frame *frame = self->frame; frame; frame = frame->outer) {
        rr_runtime *rt = frame->runner->runtime;
        if (!frame->granted || (!lends && !frame->lent)) continue;
        if (lends ? frame->lent++ : --frame->lent) continue;
        const int64_t *amounts = frame->granted->shape->amounts;
        rr__lock(&rt->resources->lock);
        rt->resources->stocks[RR__CPU].used += lends ? -amounts[RR__CPU] : amounts[RR__CPU];
        for (int i = RR__CPU + 1; i < rt->resources->count; i++)
            rt->resources->stocks[i].stuck += lends ? amounts[i] : -amounts[i];
        if (amounts[RR__CPU]) frame->granted->is_apart = !lends;
        if (lends) rr__apart_leave_locked(rt, amounts[RR__CPU]);
        else rt->resources->apart_cpus += amounts[RR__CPU];
        rr__stock_unlock(rr__frame_context(frame));
    }
}

/* Tasks before the own deque? What is older than now, less a second for each step of its priority,
   goes first. But work without a priority that was passed over for a second gets every sixteenth
   turn. */
static bool rr__ready_is_due_locked(rr__context *cx, double now) {
    rr__entry *first = rr__heap_first(&cx->runtime->resources->ready);
    if (!first || first->when > now) {
        cx->look.passed = 0;
        return false;
    }
    if (cx->look.passed == 0) cx->look.passed_since = now;
    return ++cx->look.passed % 16 || now - cx->look.passed_since < 1.0;
}

/* The next task with a turn, claimed: if it is due, or any. */
static RR__NOINLINE rr__object *rr__ready_take(rr__context *cx, bool any) {
    rr_runtime *rt = cx->runtime;
    rr__object *task;
    do {
        double now = any ? 0 : rr_now();
        task = NULL;
        rr__lock(&rt->resources->lock);
        if (any ? rt->resources->ready.count > 0 : rr__ready_is_due_locked(cx, now)) {
            rr__control *control = rr__heap_first(&rt->resources->ready)->control;
            rr__turn_leave_locked(rt, control);
            task = control->task;
        }
        rr__unlock(&rt->resources->lock);
    } while (task && !rr__claim(task)); /* a hint, from here on */
    return task;
}

/* Sends a WAITING task or actor to where it is run. The caller owns the state (rule R1). */
static void rr__enqueue(rr__context *cx, rr__object *o) {
    rr__control *control = rr__control_of(o);
    if (RR__UNLIKELY(control && control->has_turn)) rr__admit(cx, o, control);
    else if (control && rr__begin_blocking(cx->runtime, control)) return;
    else rr__make_claimable(cx, o);
}
