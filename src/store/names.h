/* Names of objects, and pins by hand, in tables of stb_ds.
   Locks: the global one. */
#pragma once
#include "../core/registry.h"
#include "files.h"

/* Names an object, which the name then counts, or, if that is NULL, takes the name away. */
static rr_status rr__name_object(rr__context *cx, const char *name, rr__object *o) {
    rr__store *store = cx->runtime->store;
    char *copy = o ? RR_MALLOC(strlen(name) + 1) : NULL, *unused = copy;
    if (o && !copy) return RR_ERR_NO_MEMORY;
    rr__global_lock();
    rr__object_name *entry = RR__TABLE_AT(store->names, name);
    rr__object *before = entry ? entry->value : NULL;
    rr_status status = entry ? RR_OK : o ? RR_ERR_NO_MEMORY : RR_ERR_NOT_FOUND;
    if (entry && o) {
        entry->value = o;
    } else if (entry) {
        unused = entry->key;
        (void)stbds_shdel(store->names, name);
    } else if (o && RR__TABLE_PUT(store->names, strcpy(copy, name), o)) {
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
    rr__object_name *entry = RR__TABLE_AT(cx->runtime->store->names, name);
    rr__object *o = entry ? entry->value : NULL;
    if (o) rr__share(o); /* the name counts it */
    rr__global_unlock();
    return o;
}

/* At the end of the runtime. */
static void rr__object_names_clear(rr__context *cx) {
    rr__global_lock(); /* threads outside may still ask, and give names: see rr__store_free */
    rr__object_name *names = cx->runtime->store->names;
    cx->runtime->store->names = NULL;
    rr__global_unlock();
    for (ptrdiff_t i = 0, n = stbds_shlen(names); i < n; i++) {
        rr__drop(cx, names[i].value);
        RR_FREE(names[i].key);
    }
    stbds_shfree(names);
}

/* Counts pins by hand: how many there are now, or -1: no memory, or none to take away. */
static int64_t rr__pins_change(rr_runtime *rt, uint64_t id, int by) {
    char text[24], *unused = NULL;
    rr__store *store = rt->store;
    snprintf(text, sizeof text, "%llx", (unsigned long long)id);
    char *key = by > 0 ? RR_MALLOC(sizeof text) : NULL;
    rr__global_lock();
    rr__pinned *entry = RR__TABLE_AT(store->pinned, text);
    int64_t pins = (entry ? entry->value : 0) + by;
    if (entry) entry->value = pins, unused = pins ? key : entry->key;
    else if (!key || !RR__TABLE_PUT(store->pinned, strcpy(key, text), pins))
        pins = -1, unused = key;
    if (entry && !pins) (void)stbds_shdel(store->pinned, text);
    rr__global_unlock();
    RR_FREE(unused);
    return pins;
}

/* ---- the store's own beginning and end ---- */

static bool rr__store_init(rr__store *store) {
    return rr__mutex_init(&store->lock) && rr__cond_init(&store->moved) &&
           rr__cond_init(&store->spill_wake) && rr__mutex_init(&store->census_lock);
}

static void rr__store_free(rr__store *store) {
    if (store->file) rr__file_close(store->file);
    for (ptrdiff_t i = 0; i < stbds_shlen(store->pinned); i++) RR_FREE(store->pinned[i].key);
    stbds_shfree(store->pinned);
    for (ptrdiff_t i = 0; i < stbds_shlen(store->names); i++) RR_FREE(store->names[i].key);
    stbds_shfree(store->names);
    RR_FREE(store->spill_dir);
    rr__cond_destroy(&store->spill_wake);
    rr__mutex_destroy(&store->census_lock);
    rr__cond_destroy(&store->moved);
    rr__mutex_destroy(&store->lock);
}
