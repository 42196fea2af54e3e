/* Names of objects, and pins by hand.
   Locks: the global one. */
#pragma once
#include "files.h"

/* Ours: a copy. */
static char *rr__name_text(const rr__map_entry *entry) { return (char *)(uintptr_t)entry->key; }

/* Names an object, which the name then counts, or, if that is NULL, takes the name away. */
static rr_status rr__name_object(rr__context *cx, const char *name, rr__object *o) {
    rr__store *store = cx->runtime->store;
    char *copy = o ? RR_MALLOC(strlen(name) + 1) : NULL, *unused = copy;
    if (o && !copy) return RR_ERR_NO_MEMORY;
    rr__global_lock();
    rr__map_entry *entry = rr__map_at(&store->names, name);
    rr__object *before = entry ? entry->value : NULL;
    rr_status status = entry ? RR_OK : o ? RR_ERR_NO_MEMORY : RR_ERR_NOT_FOUND;
    if (entry && o) {
        entry->value = o;
    } else if (entry) {
        unused = rr__name_text(entry);
        rr__map_remove(&store->names, entry);
    } else if (o && rr__map_put(&store->names, strcpy(copy, name), o)) {
        status = RR_OK, unused = NULL;
    }
    rr__global_unlock();
    RR_FREE(unused);
    if (before) rr__drop(cx, before);
    return status;
}

/* The object of this name, counted; or NULL. */
static rr__object *rr__named_object(rr__context *cx, const char *name) {
    rr__global_lock();
    rr__map_entry *entry = rr__map_at(&cx->runtime->store->names, name);
    rr__object *o = entry ? entry->value : NULL;
    if (o) rr__share(o); /* the name counts it */
    rr__global_unlock();
    return o;
}

static void rr__names_free(rr__map *names) {
    for (size_t i = 0; i < names->room; i++)
        if (names->entries[i].key) RR_FREE(rr__name_text(&names->entries[i]));
    rr__map_free(names);
}

/* At the end of the runtime. */
static void rr__object_names_clear(rr__context *cx) {
    rr__global_lock(); /* threads outside may still ask, and give names: see rr__store_free */
    rr__map names = cx->runtime->store->names;
    cx->runtime->store->names = (rr__map){NULL, 0, 0};
    rr__global_unlock();
    for (size_t i = 0; i < names.room; i++)
        if (names.entries[i].key) rr__drop(cx, names.entries[i].value);
    rr__names_free(&names);
}

/* Pins by hand, which the value of an entry is. */
static intptr_t rr__pins_in(const rr__map_entry *entry) {
    return entry ? (intptr_t)entry->value : 0;
}

/* Counts them: how many there are now, or -1: no memory, or none to take away. */
static intptr_t rr__pins_change(rr_runtime *rt, uint64_t id, int by) {
    rr__map *pinned = &rt->store->pinned;
    rr__global_lock();
    rr__map_entry *entry = rr__map_at_number(pinned, id);
    intptr_t pins = rr__pins_in(entry) + by;
    if (entry) entry->value = (void *)pins;
    else if (by < 0 || !rr__map_put_number(pinned, id, (void *)pins)) pins = -1;
    if (entry && !pins) rr__map_remove(pinned, entry);
    rr__global_unlock();
    return pins;
}

/* ---- the store's own beginning and end ---- */

static bool rr__store_init(rr__store *store) {
    return rr__mutex_init(&store->lock) && rr__cond_init(&store->moved) &&
           rr__cond_init(&store->spill_wake) && rr__mutex_init(&store->census_lock);
}

static void rr__store_free(rr__store *store) {
    for (int i = 0; i < RR__SPILLERS; i++)
        if (store->files[i]) rr__file_close(store->files[i]);
    rr__map_free(&store->pinned);
    rr__names_free(&store->names);
    RR_FREE(store->spill_dir);
    rr__cond_destroy(&store->spill_wake);
    rr__mutex_destroy(&store->census_lock);
    rr__cond_destroy(&store->moved);
    rr__mutex_destroy(&store->lock);
}
