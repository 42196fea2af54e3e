/* What a task or an actor says that it needs, checked against what there is, and its turn made from
   that. Called before it is published, by its maker.
   Locks: rr__resources.lock. */
#pragma once
#include "errors.h"
#include "resources.h"

/* In ten-thousandths; negative if it is no amount. */
static int64_t rr__amount_of(double amount) {
    if (!(amount >= 0 && amount <= 1e12)) return -1; /* also NaN */
    int64_t n = (int64_t)(amount * RR__WHOLE + 0.5);
    return amount > 0 && n == 0 ? -1 : n;
}

static int rr__stock_find(const rr_runtime *rt, const char *name) {
    for (int i = 0; i < rt->resources->count; i++)
        if (strcmp(rt->resources->stocks[i].name, name) == 0) return i;
    return -1;
}

/* One thing that is needed, added to needs; or the error. */
static rr__error *rr__need_add(rr_runtime *rt, const rr__object *about, const rr_resource *wanted,
                               int at, int64_t *needs) {
    int64_t amount = rr__amount_of(wanted->amount);
    if (amount < 0)
        return rr__error_new(rt, RR_ERR_INVALID, about,
                             "%g is no amount of '%s': it must be 0.0001 to 1e12", wanted->amount,
                             wanted->name);
    if (at < 0)
        return rr__error_new(rt, RR_ERR_UNSCHEDULABLE, about,
                             "it needs %g of '%s', of which there is none: name it in "
                             "rr_config.resources",
                             wanted->amount, wanted->name);
    double total = (double)rt->resources->stocks[at].total / RR__WHOLE;
    needs[at] += amount;
    if (needs[at] <= rt->resources->stocks[at].total) return NULL;
    return rr__error_new(rt, RR_ERR_UNSCHEDULABLE, about,
                         "it needs %g of '%s', of which there is %g in all: raise rr_config.%s",
                         wanted->amount, wanted->name, total, at ? "resources" : "workers");
}

static bool rr__has_needs(double num_cpus, const rr_resource *wanted) {
    bool has = num_cpus != 0 && num_cpus != 1; /* also NaN */
    for (int i = 0; i < RR_RESOURCES; i++) has |= wanted[i].name != NULL;
    return has;
}

static rr__error *rr__needs_read(rr_runtime *rt, const rr__object *about, double num_cpus,
                                 const rr_resource *wanted, int64_t *needs) {
    rr_resource cpus = {"num_cpus", num_cpus};
    rr__error *error = rr__need_add(rt, about, &cpus, RR__CPU, needs);
    for (int i = 0; i < RR_RESOURCES && !error; i++) {
        int at = wanted[i].name ? rr__stock_find(rt, wanted[i].name) : RR__CPU;
        if (wanted[i].name && at == RR__CPU)
            error = rr__error_new(rt, RR_ERR_INVALID, about,
                                  "'cpu' is no name of a resource: use "
                                  ".num_cpus");
        else if (wanted[i].name) error = rr__need_add(rt, about, &wanted[i], at, needs);
    }
    if (needs[RR__CPU] == RR__WHOLE) needs[RR__CPU] = 0; /* the worker that runs it */
    return error;
}

/* Finds or makes the shape of these needs; NULL without memory. */
static rr__shape *rr__shape_enter_locked(rr__resources *r, const int64_t *needs,
                                         bool is_of_actors) {
    rr__shape *shape = r->shapes;
    while (shape && (shape->is_of_actors != is_of_actors ||
                     memcmp(shape->amounts, needs, sizeof shape->amounts) != 0))
        shape = shape->next;
    if (!shape) {
        if (!(shape = RR_CALLOC(1, sizeof *shape))) return NULL;
        memcpy(shape->amounts, needs, sizeof shape->amounts);
        shape->is_of_actors = is_of_actors;
        shape->next = r->shapes, r->shapes = shape;
    }
    bool has_room = rr__heap_promise(&shape->waiting, 1);
    shape->users += has_room; /* an unused one stays, empty */
    return has_room ? shape : NULL;
}

/* For who has a priority or needs: NULLs are no needs. False without memory. */
static bool rr__turn_new(rr_runtime *rt, rr__control *control, const int64_t *needs, int priority,
                         bool is_of_actors) {
    static const int64_t none[RR__STOCKS];
    bool has_needs = memcmp(needs, none, sizeof none) != 0;
    if (!has_needs && !priority) return true;
    control->priority = priority, control->due = rr_now() - priority;
    rr__lock(&rt->resources->lock);
    bool ok = rr__heap_promise(&rt->resources->ready, 1);
    if (ok && has_needs) {
        control->shape = rr__shape_enter_locked(rt->resources, needs, is_of_actors);
        if (!(ok = control->shape != NULL)) rt->resources->ready.promised--;
    }
    control->has_turn = ok;
    rr__unlock(&rt->resources->lock);
    return ok;
}

/* Of the workers: roles that nobody runs on, and what the pot has left. */
static int64_t rr__cpus_left_locked(rr_runtime *rt) {
    uint64_t idle = rr__load_seq_cst(&rt->idle);
    int64_t left = (int64_t)RR__SLEEPING(idle) + RR__SEARCHING(idle) + rt->resources->pot;
    int64_t total = rt->resources->stocks[RR__CPU].total;
    left = left * RR__WHOLE - rt->resources->apart_cpus;
    return left < 0 ? 0 : left < total ? left : total;
}

/* How much there is of a resource, and how much of that nobody uses now; false: there is none. */
static bool rr__stock_figures(rr_runtime *rt, const char *name, double *total, double *left) {
    int at = rr__stock_find(rt, name);
    if (at < 0) return false;
    rr__lock(&rt->resources->lock);
    const rr__stock *stock = &rt->resources->stocks[at];
    int64_t unused = at == RR__CPU ? rr__cpus_left_locked(rt) : stock->total - stock->used;
    *total = (double)stock->total / RR__WHOLE, *left = (double)unused / RR__WHOLE;
    rr__unlock(&rt->resources->lock);
    return true;
}
