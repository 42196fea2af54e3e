/* The memory of a runtime: what each part keeps there, in one block, and what is freed at the end.
   Locks: none; nobody else knows the runtime yet, or any more. */
#pragma once
#include "../actors/names.h"
#include "../core/resources.h"
#include "../core/timers.h"
#include "../store/names.h"
#include "../tasks/functions.h"

/* A runtime, and a context, with what each part keeps there. */
typedef struct rr__whole_runtime {
    rr_runtime runtime;
    rr__resources resources;
    rr__timers timers;
    rr__store store;
    rr__tasks tasks;
    rr__actors actors;
} rr__whole_runtime;

typedef struct rr__whole_context {
    rr__context context;
    rr__local local;
    rr__newcomers newcomers;
    rr__tasks_thread tasks;
} rr__whole_context;

static rr__context *rr__context_alloc(void) {
    rr__whole_context *whole = RR_CALLOC(1, sizeof *whole);
    if (!whole) return NULL;
    whole->context.tasks = &whole->tasks, whole->context.local = &whole->local;
    whole->context.newcomers = &whole->newcomers;
    return &whole->context;
}

static rr_runtime *rr__runtime_alloc(void) {
    rr__whole_runtime *whole = RR_CALLOC(1, sizeof *whole);
    if (!whole) return NULL;
    rr_runtime *rt = &whole->runtime;
    rt->resources = &whole->resources, rt->timers = &whole->timers, rt->store = &whole->store;
    rt->tasks = &whole->tasks, rt->actors = &whole->actors;
    return rt;
}

/* Everything that may fail before a thread runs. */
static bool rr__runtime_fill(rr_runtime *rt) {
    const char *text = rr_status_text(RR_ERR_NO_MEMORY);
    if (!(rt->no_memory = RR_CALLOC(1, sizeof *rt->no_memory + strlen(text) + 1))) return false;
    rt->no_memory->status = RR_ERR_NO_MEMORY;
    strcpy(rt->no_memory->text, text);
    rr__store_relaxed(&rt->no_memory->message, rt->no_memory->text); /* nobody else is here yet */
    rt->memory.surplus = rr__sweep_later, rt->memory.owner = rt;
    bool ok = rr__mutex_init(&rt->lock) && rr__mutex_init(&rt->fibers_lock) &&
              rr__mutex_init(&rt->end_lock) && rr__cond_init(&rt->quiet) &&
              rr__timers_init(rt->timers) && rr__resources_init(rt->resources) &&
              rr__store_init(rt->store) && rr__slots_init(&rt->slots, &rt->memory) &&
              rr__arena_init(&rt->arena, &rt->memory) && rr__mutex_init(&rt->log_lock);
    for (int i = 0; ok && i < RR__SHARDS; i++) ok = rr__mutex_init(&rt->shards[i].lock);
    return ok;
}

/* Frees what a live slot has outside the arena. No thread uses the runtime any more. */
static void rr__slot_dispose(rr_runtime *rt, rr__object *o) {
    enum rr__state state = rr__state_of(rr__load_relaxed(&o->word));
    bool has_error = state == RR__FAILED && o->kind != RR__CONSTRUCTOR && !rr__is_decided(o);
    if (has_error) rr__error_drop(o->data.error);
    rr__control_free(rr__control_of(o));
    if (o->kind == RR__CONSTRUCTOR) {
        rr__actor *a = o->extra.own;
        rr__error_drop(rr__load_relaxed(&a->death));
        RR_FREE(a->care);
        if (a->place == RR__ON_ITS_OWN) rr__big_free(a);
    } else if (o->kind == RR__GATHER) {
        RR_FREE(o->extra.parts);
    } else if (o->flags & RR__IS_RECIPE) {
        if (o->args_place == RR__ON_ITS_OWN) rr__big_free(rr__args_of(o));
    } else if ((state == RR__READY && o->place != RR__IN_SLOT) || rr__is_unsealed(o)) {
        if (o->place == RR__ON_ITS_OWN && o->data.block) rr__big_free(o->data.block);
        rr__stored_dispose(rt, o);
    }
}

static void rr__runtime_free(rr_runtime *rt) {
    rr__fibers_free(rt);
    for (uint32_t slot = 1;; slot++) {
        rr__object *o = rr__slot_at(rt, slot);
        if (!o) break;
        if (rr__load_relaxed(&o->id)) rr__slot_dispose(rt, o);
    }
    for (rr__context *cx = rr__load_relaxed(&rt->contexts), *next; cx; cx = next) {
        next = cx->next;
        rr__context_free(cx);
    }
    rr__arena_free(&rt->arena);
    rr__slots_free(&rt->slots);
    for (int i = 0; i < RR__SHARDS; i++) rr__mutex_destroy(&rt->shards[i].lock);
    rr__cond_destroy(&rt->quiet);
    rr__mutex_destroy(&rt->lock);
    rr__mutex_destroy(&rt->fibers_lock);
    rr__mutex_destroy(&rt->end_lock);
    rr__mutex_destroy(&rt->log_lock);
    rr__timers_free(rt->timers);
    rr__resources_free(rt->resources);
    rr__store_free(rt->store);
    rr__global_lock();
    rr__map_free(&rt->actors->names);
    rr__global_unlock();
    RR_FREE(rt->no_memory);
    RR_FREE(rt);
}
