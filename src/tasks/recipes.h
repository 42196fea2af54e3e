/* Recipes: what it takes to run a task again, for results that may be dropped (RR_EVICT_REBUILD): a
   task of its own that is never submitted, with the arguments of the one that has run. They have a
   budget, rr_config.lineage_bytes.
   Locks: the store's; the census'. */
#pragma once
#include "arguments.h"

static void rr__recipe_return(rr_runtime *rt, size_t bytes) {
    rr__lock(&rt->store->lock);
    rt->store->lineage_used -= bytes;
    rr__unlock(&rt->store->lock);
}

/* Its arguments are counted by it, or will not be any more. */
static void rr__recipe_counts(rr_runtime *rt, rr__object *recipe, bool counts) {
    const rr_function *fn = recipe->of.fn;
    char *at = rr__args_of(recipe);
    rr__lock(&rt->store->lock);
    for (int i = 0; recipe->by_ref >> i; at += rr__arg_bytes(fn, recipe->by_ref, i), i++) {
        rr__object *o = recipe->by_ref >> i & 1 ? rr__counted_arg(at) : NULL;
        rr__stored *s = o ? rr__stored_of(o) : NULL;
        if (s) s->lineage += counts ? 1 : -1u;
    }
    rr__unlock(&rt->store->lock);
}

/* What it takes to run a task again: a task of its own that is never submitted, with the arguments
   of this one, which it takes over. NULL if there is no need, or no memory for it. */
static RR__NOINLINE rr__object *rr__recipe_of(rr__context *cx, rr__object *task,
                                              const rr__result *result) {
    rr_runtime *rt = cx->runtime;
    const rr__control *control = rr__control_of(task);
    if (rt->config.evict != RR_EVICT_REBUILD || task->kind != RR__FUNCTION || !result->block)
        return NULL;
    if (task->of.fn->item.size || (control && control->no_rebuild)) return NULL;
    size_t bytes = sizeof *task + sizeof(rr__stored) + rr__args_size(task);
    rr__lock(&rt->store->lock);
    bool fits = bytes <= rt->config.lineage_bytes - rt->store->lineage_used;
    if (fits) rt->store->lineage_used += bytes;
    rr__unlock(&rt->store->lock);
    rr__object *recipe = fits ? rr__object_new(cx, RR__FUNCTION, task->site) : NULL;
    if (!recipe) {
        if (fits) rr__recipe_return(rt, bytes);
        return NULL;
    }
    rr__count(cx, RR__OBJECTS_GONE); /* it is not the user's */
    for (int i = 0; i < 4; i++)
        rr__store_release(&recipe->words[i], rr__load_relaxed(&task->words[i])); /* our own */
    recipe->of.fn = task->of.fn, recipe->by_ref = task->by_ref;
    recipe->args_place = task->args_place;
    rr__store_relaxed(&recipe->flags, (uint8_t)RR__IS_RECIPE);
    rr__lock(&rt->store->census_lock);
    task->by_ref = 0, task->args_place = RR__IN_SLOT;
    rr__unlock(&rt->store->census_lock);
    rr__recipe_counts(rt, recipe, true);
    RR__STRESS_POINT();
    rr__publish_with(recipe, RR__WAITING, 1, task->of.fn->result.kind, 0);
    return recipe;
}

static void rr__recipe_end(rr__context *cx, rr__object *recipe) {
    rr__recipe_counts(cx->runtime, recipe, false);
    rr__recipe_return(cx->runtime, sizeof *recipe + sizeof(rr__stored) + rr__args_size(recipe));
    rr__args_release(cx, recipe);
    rr__count(cx, RR__OBJECTS_MADE); /* for the one that is counted as gone now */
    rr__drop(cx, recipe);
}
