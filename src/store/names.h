/* Names of objects, and pins by hand, in tables of stb_ds.
   Locks: the global one. */
#pragma once
#include "../core/registry.h"
#include "files.h"

static rr_status rr__name_object(rr__context *cx, const char *name, rr__object *o) {
    rr_runtime *rt = cx->runtime;
    char *copy = o ? RR_MALLOC(strlen(name) + 1) : NULL, *unused = copy;
    if (o && !copy) return RR_ERR_NO_MEMORY;
    rr__global_lock();
    ptrdiff_t at = stbds_shlen(rt->store->names) ? stbds_shgeti(rt->store->names, name) : -1;
    rr__object *before = at >= 0 ? rt->store->names[at].value : NULL;
    rr_status status = before ? RR_OK : o ? RR_ERR_NO_MEMORY : RR_ERR_NOT_FOUND;
    if (before && o) {
        rt->store->names[at].value = o;
    } else if (before) {
        unused = rt->store->names[at].key;
        (void)stbds_shdel(rt->store->names, name);
    } else if (o && rr__has_room_for((size_t)stbds_shlen(rt->store->names))) {
        stbds_shput(rt->store->names, strcpy(copy, name), o);
        status = RR_OK, unused = NULL;
    }
    rr__global_unlock();
    RR_FREE(unused);
    if (before) rr__drop(cx, before);
    return status;
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
    char text[24], *key = NULL;
    snprintf(text, sizeof text, "%llx", (unsigned long long)id);
    rr__global_lock();
    ptrdiff_t at = stbds_shgeti(rt->store->pinned, text);
    int64_t pins = (at >= 0 ? rt->store->pinned[at].value : 0) + by;
    if (at >= 0) rt->store->pinned[at].value = pins, key = rt->store->pinned[at].key;
    else if (pins > 0 && rr__has_room_for((size_t)stbds_shlen(rt->store->pinned)))
        key = RR_MALLOC(strlen(text) + 1);
    if (!key) pins = -1;
    else if (at < 0) stbds_shput(rt->store->pinned, strcpy(key, text), pins);
    else if (pins == 0) (void)stbds_shdel(rt->store->pinned, text);
    rr__global_unlock();
    if (pins == 0) RR_FREE(key);
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
