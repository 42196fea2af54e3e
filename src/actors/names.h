/* Names of actors.
   Locks: the global one. */
#pragma once
#include "../core/registry.h"
#include "mailbox.h"

typedef struct rr__name {
    char *key;
    rr__object *value;
} rr__name;

struct rr__actors {
    rr__name *names; /* of living actors; under the global lock */
};

static void rr__name_remove(rr__context *cx, rr__object *actor) {
    rr__care *care = actor->extra.own->care;
    const char *name = care ? care->control.name : NULL;
    rr_runtime *rt = cx->runtime;
    if (!name) return;
    rr__global_lock();
    /* Only its own entry: after its death another actor may bear the name. */
    if (stbds_shget(rt->actors->names, name) == actor) (void)stbds_shdel(rt->actors->names, name);
    rr__global_unlock();
}

/* Enters the name; returns an error if a living actor has it. */
static rr__error *rr__name_add(rr__context *cx, rr__object *actor, const char *name) {
    rr__care *care = actor->extra.own->care;
    rr_runtime *rt = cx->runtime;
    care->control.name = strcpy((char *)(care + 1), name);
    rr__global_lock();
    rr__object *other = stbds_shget(rt->actors->names, name);
    bool room = rr__has_room_for((size_t)stbds_shlen(rt->actors->names));
    if (!other && room) stbds_shput(rt->actors->names, (char *)(care + 1), actor);
    rr__global_unlock();
    if (!other && room) return NULL;
    if (!other) return rt->no_memory;
    return rr__error_new(rt, RR_ERR_DUPLICATE, actor, "the name '%s' is taken by a living actor",
                         name);
}
