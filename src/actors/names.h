/* Names of actors.
   Locks: the global one. */
#pragma once
#include "../base/map.h"
#include "mailbox.h"

struct rr__actors {
    rr__map names; /* of living actors; under the global lock */
};

/* Living, for the table: not doomed, and counted; a count that has gone to 0 does not come back. So
   a name is free from the moment that it finds nobody, also while the destructor runs. Under the
   global lock, where what lies in the table is still an actor: its name goes before its slot. */
static bool rr__is_living(rr__object *actor) {
    uint64_t word = rr__load_acquire(&actor->word); /* pairs with rr__actor_doom */
    return (word & RR__COUNT_MASK) && !(word & RR__IS_DOOMED);
}

/* The living actor of this name, counted; or NULL. */
static rr__object *rr__name_find(rr__context *cx, const char *name) {
    rr__global_lock();
    rr__map_entry *entry = rr__map_at(&cx->runtime->actors->names, name);
    rr__object *actor = entry && rr__is_living(entry->value) ? entry->value : NULL;
    if (actor && !rr__try_retain(cx, actor, rr__load_relaxed(&actor->id))) actor = NULL;
    rr__global_unlock();
    return actor;
}

static void rr__name_remove(rr__context *cx, rr__object *actor) {
    rr__care *care = actor->extra.own->care;
    const char *name = care ? care->control.name : NULL;
    rr_runtime *rt = cx->runtime;
    if (!name) return;
    rr__global_lock();
    /* Only its own entry: another actor may bear the name by now. */
    rr__map_entry *entry = rr__map_at(&rt->actors->names, name);
    if (entry && entry->value == actor) rr__map_remove(&rt->actors->names, entry);
    rr__global_unlock();
}

/* Nobody else may have the name of a living one, nor of one that has just been given it and is not
   published yet: its word is 0 until then. Under the global lock. */
static bool rr__has_the_name(rr__object *actor) {
    return rr__is_living(actor) || rr__load_acquire(&actor->word) == 0;
}

/* Enters the name, which is a part of the actor; returns an error if a living one has it. */
static rr__error *rr__name_add(rr__context *cx, rr__object *actor, const char *name) {
    rr__care *care = actor->extra.own->care;
    rr_runtime *rt = cx->runtime;
    char *own = strcpy((char *)(care + 1), name);
    care->control.name = own;
    rr__global_lock();
    rr__map_entry *entry = rr__map_at(&rt->actors->names, name);
    bool is_taken = entry && rr__has_the_name(entry->value), is_added = false;
    if (entry && !is_taken) entry->key = own, entry->value = actor, is_added = true;
    else if (!entry) is_added = rr__map_put(&rt->actors->names, own, actor);
    rr__global_unlock();
    if (is_added) return NULL;
    if (!is_taken) return rt->no_memory;
    return rr__error_new(
        rt, RR_ERR_DUPLICATE, actor,
        "the name '%s' is taken by a living actor: choose another one, or use that "
        "(rr_find_actor)",
        name);
}
