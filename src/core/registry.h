/* The registry: remote functions by name, destructors by type. Constructors of the program push
   descriptors on a list (rr__link), before main or inside dlopen; the first look at the tables
   takes them over. A function is valid, or rejected with a reason; both for good.
   Locks: the global one. stb_ds is used under it, and asked first whether there is memory. */
#pragma once
#include "../base/tables.h"
#include "errors.h"
#include "types.h"

static RR__ATOMIC(rr_function *) rr__functions; /* everything linked, the newest first */

typedef struct rr__registered {
    char *key;
    rr_function *value;
} rr__registered;
static rr__registered *rr__table; /* by name */
static rr__registered *rr__drops; /* destructors by type */
static rr_function *rr__checked;  /* registrations from here on are in the tables */

enum rr__function_state { RR__NEW, RR__LINKED, RR__VALID, RR__REJECTED };

/* Called from constructors, before main or inside dlopen: pushes a static node on a list, once. */
void rr__link(rr_function *fn) {
    int state = RR__NEW;
    if (!rr__cas_seq_cst(&fn->state, &state, (int)RR__LINKED)) return;
    rr_function *head = rr__load_relaxed(&rr__functions); /* the CAS checks it */
    do fn->next = head;
    while (!rr__cas_seq_cst(&rr__functions, &head, fn));
}

/* Why a function cannot be registered. False if it can. Under the global lock. */
static bool rr__registry_objection(const rr_function *fn, char *text, size_t size,
                                   rr_status *status) {
    const rr__registered *other = fn->kind == RR__DESTRUCTOR
                                      ? RR__TABLE_AT(rr__drops, fn->self.name)
                                      : RR__TABLE_AT(rr__table, fn->name);
    if (other && other->value != fn) {
        *status = RR_ERR_DUPLICATE;
        if (fn->kind == RR__DESTRUCTOR)
            snprintf(text, size, "'%s' has two destructors, at %s and at %s: keep one of them",
                     fn->self.name, other->value->site, fn->site);
        else
            snprintf(text, size,
                     "two remote functions are called '%s', at %s and at %s: rename one of them, a "
                     "name is unique in a program",
                     fn->name, other->value->site, fn->site);
        return true;
    }
    const char *why = fn->result.kind == RR__KIND_MANY
                          ? "it returns rr_many; let it return rr_bytes or a reference"
                      : fn->self.align > 64
                          ? "its state is aligned to more than 64 bytes; let it be 64"
                          : NULL;
    if (!why) return false;
    *status = RR_ERR_INVALID;
    snprintf(text, size, "'%s' at %s cannot be a remote function: %s", fn->name, fn->site, why);
    return true;
}

/* What rr__args_pack wants to know, once for all calls. */
static void rr__registry_measure(rr_function *fn) {
    fn->is_wordy = fn->arity <= 4;
    fn->handles = 0, fn->by_value = fn->result.size + fn->item.size;
    for (int i = 0; i < fn->arity; i++) {
        int kind = fn->params[i].kind;
        bool is_handle = kind == RR__KIND_REF || kind == RR__KIND_ACTOR;
        fn->by_value += fn->params[i].size;
        bool is_object = kind == RR__KIND_BYTES || kind == RR__KIND_MANY;
        if (is_handle) fn->handles |= (uint16_t)(1u << i);
        if (!is_handle && !is_object && fn->params[i].size > 8) fn->is_wordy = false;
    }
}

static void rr__registry_add_locked(rr_function *fn) {
    char text[8];
    rr_status status;
    bool is_refused = rr__registry_objection(fn, text, sizeof text, &status);
    if (!is_refused) fn->hash = rr__signature(fn), rr__registry_measure(fn);
    if (!is_refused && fn->kind == RR__DESTRUCTOR) stbds_shput(rr__drops, fn->self.name, fn);
    else if (!is_refused) stbds_shput(rr__table, fn->name, fn);
    /* Pairs with the acquire in rr__is_valid. */
    rr__store_release(&fn->state, (int)(is_refused ? RR__REJECTED : RR__VALID));
}

/* Takes over what was registered since the last time. */
static rr_status rr__registry_refresh_locked(void) {
    rr_function *head = rr__load_acquire(&rr__functions), *fn;
    if (head == rr__checked) return RR_OK;
    size_t entries = (size_t)stbds_shlen(rr__table) + 16;
    for (fn = head; fn && fn != rr__checked; fn = fn->next) entries++;
    if (!rr__has_room_for(entries)) return RR_ERR_NO_MEMORY;
    for (fn = head; fn && fn != rr__checked; fn = fn->next) rr__registry_add_locked(fn);
    rr__checked = head;
    for (fn = head; fn; fn = fn->next) {
        bool is_of_actor = fn->kind == RR__CONSTRUCTOR;
        rr__registered *drop = is_of_actor ? RR__TABLE_AT(rr__drops, fn->self.name) : NULL;
        if (drop) rr__store_release(&fn->drop, (const rr_function *)drop->value);
    }
    return RR_OK;
}

static rr_status rr__registry_refresh(void) {
    rr__global_lock();
    rr_status status = rr__registry_refresh_locked();
    rr__global_unlock();
    return status;
}

/* For a runtime that starts: reports every function that was refused, whenever that was. */
static rr_status rr__registry_report(const rr_config *config) {
    rr_status status = RR_OK;
    char text[512];
    for (rr_function *fn = rr__load_acquire(&rr__functions); fn; fn = fn->next) {
        if (rr__load_acquire(&fn->state) != RR__REJECTED) continue;
        rr__global_lock();
        bool is_refused = rr__registry_objection(fn, text, sizeof text, &status);
        rr__global_unlock();
        if (!is_refused) continue;
        rr__log_text(config, RR_LOG_ERROR, text);
        rr__note(RR__NULL_REF, status, "%s", text);
    }
    return status;
}

rr_status rr_register(rr_function *fn) {
    if (!fn || !fn->name || !fn->thunk || fn->arity < 0 || fn->arity > RR__MAX_PARAMS)
        return rr__note(RR__NULL_REF, RR_ERR_INVALID,
                        "rr_register: this is no remote function: pass RR_FUNCTION(name)");
    rr__link(fn);
    rr_status status = rr__registry_refresh();
    if (status != RR_OK) return rr__note_status(RR__NULL_REF, status);
    if (rr__load_acquire(&fn->state) != RR__REJECTED) return RR_OK;
    char text[512];
    rr__global_lock();
    rr__registry_objection(fn, text, sizeof text, &status);
    rr__global_unlock();
    return rr__note(RR__NULL_REF, status, "%s", text);
}

/* Usable? A function that was loaded after rr_init is looked at on its first call. */
static bool rr__is_valid(rr_function *fn) {
    if (RR__LIKELY(rr__load_acquire(&fn->state) == RR__VALID)) return true;
    rr_register(fn);
    return rr__load_acquire(&fn->state) == RR__VALID;
}

static rr_function *rr__registry_find(const char *name) {
    rr__global_lock();
    rr__registry_refresh_locked();
    rr__registered *entry = RR__TABLE_AT(rr__table, name);
    rr_function *fn = entry ? entry->value : NULL;
    rr__global_unlock();
    return fn;
}

/* Levenshtein distance, at most 64 characters of each; for suggestions. */
static size_t rr__distance(const char *a, const char *b) {
    size_t row[65], n = strlen(b) < 64 ? strlen(b) : 64, m = strlen(a) < 64 ? strlen(a) : 64;
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 1; i <= m; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t change = corner + (a[i - 1] != b[j - 1]);
            corner = row[j];
            size_t best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = best < change ? best : change;
        }
    }
    return row[n];
}

/* Writes up to three names close to the one asked for: "; did you mean 'a', 'b'?" */
static void rr__registry_suggest(const char *name, char *out, size_t size) {
    const char *best[3] = {NULL, NULL, NULL};
    size_t distances[3] = {SIZE_MAX, SIZE_MAX, SIZE_MAX}, used = 0;
    for (rr_function *fn = rr__load_acquire(&rr__functions); fn; fn = fn->next) {
        size_t distance = rr__distance(name, fn->name), limit = 2 + strlen(name) / 3;
        const char *candidate = fn->name;
        for (int i = 0; i < 3 && distance <= limit && fn->kind == RR__FUNCTION; i++)
            if (distance < distances[i]) { /* insert, and go on with what was there */
                size_t d = distances[i];
                const char *n = best[i];
                distances[i] = distance, best[i] = candidate, distance = d, candidate = n;
                if (!n) break;
            }
    }
    out[0] = 0;
    for (int i = 0; i < 3 && best[i] && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s'%s'", i ? ", " : "; did you mean ",
                                 best[i]);
    if (best[0] && used < size) snprintf(out + used, size - used, "?");
}
