/* Arguments: from a call into the slot, and from there to the body. They lie one behind the
   other in steps of 8 bytes, in the slot's words if they fit: a value as itself, everything
   counted as the address of its slot. Of a wordy function (at most four parameters, none larger
   than 8 bytes) argument i is word i, however it came.
   Locks: that of the census, where rr_write_memory may be reading. */
#pragma once
#include "../core/types.h"
#include "../store/values.h"

/* Arguments lie one behind the other in steps of 8 bytes, in the slot's words if they fit: a
   value as itself, everything counted as the address of its slot. Of a wordy function (at most four
   parameters, none larger than 8 bytes) argument i is word i, however it came. */
static inline bool rr__is_counted(const rr_function *fn, uint16_t by_ref, int i) {
    return ((by_ref | fn->handles) >> i) & 1;
}

static inline size_t rr__arg_bytes(const rr_function *fn, uint16_t by_ref, int i) {
    if (fn->is_wordy || rr__is_counted(fn, by_ref, i)) return 8;
    return ((size_t)fn->params[i].size + 7) / 8 * 8;
}

static char *rr__args_of(rr__object *task) {
    return task->args_place == RR__IN_SLOT ? (char *)task->words
                                           : (char *)(uintptr_t)rr__load_relaxed(&task->words[0]);
}

static rr__object *rr__counted_arg(const char *at) {
    rr__object *o;
    memcpy(&o, at, sizeof o);
    return o;
}

static RR__NOINLINE void rr__args_drop(rr__context *cx, rr__object *task) {
    const rr_function *fn = task->of.fn;
    char *args = rr__args_of(task), *at = args;
    for (int i = 0; (task->by_ref | fn->handles) >> i;
         at += rr__arg_bytes(fn, task->by_ref, i), i++)
        if (rr__is_counted(fn, task->by_ref, i) && rr__counted_arg(at))
            rr__drop(cx, rr__counted_arg(at));
    uint8_t place = task->args_place;
    if (place == RR__IN_SLOT) return;
    bool has_begun = rr__state_of(rr__load_relaxed(&task->word)) >= RR__RUNNING; /* our own */
    if (RR__UNLIKELY(!has_begun || rr__load_seq_cst(&cx->runtime->store->has_census))) {
        rr__lock(&cx->runtime->store->census_lock); /* somebody may read it, see rr__census_args */
        if (!has_begun) task->args_place = RR__IN_SLOT;
        rr__unlock(&cx->runtime->store->census_lock);
    }
    rr__block_free(cx, args, place);
}

/* Nothing but values in the slot, as most tasks have? */
static RR__INLINE bool rr__args_are_plain(const rr__object *task) {
    const rr_function *fn = task->of.fn; /* args_place lies in the second line */
    return !(task->by_ref | fn->handles) && (fn->is_wordy || task->args_place == RR__IN_SLOT);
}

static RR__INLINE void rr__args_release(rr__context *cx, rr__object *task) {
    if (!rr__args_are_plain(task)) rr__args_drop(cx, task);
}

/* Bytes of the arguments beside the slot. */
static size_t rr__args_size(rr__object *task) {
    size_t size = 0;
    for (int i = 0; task->args_place != RR__IN_SLOT && i < task->of.fn->arity; i++)
        size += rr__arg_bytes(task->of.fn, task->by_ref, i);
    return size;
}

/* ---- packing ---- */

/* An argument while a call is being checked. */
typedef struct rr__packed {
    const void *value;   /* or NULL */
    rr__object *counted; /* or NULL: the null handle */
    bool is_ref;         /* an object stands for the value */
} rr__packed;

/* The handle that an argument is, or that stands for its value. */
static rr_ref rr__arg_handle(const rr__arg *arg, int kind) {
    rr_ref handle = arg->ref;
    if (arg->value && (kind == RR__KIND_REF || kind == RR__KIND_ACTOR))
        memcpy(&handle, arg->value, sizeof handle);
    return handle;
}

/* Looks at one argument and takes the count that the task will hold. */
static rr_status rr__arg_check(rr__context *cx, const rr_function *fn, int i, const rr__arg *arg,
                               const char *site, rr__packed *out) {
    int kind = fn->params[i].kind;
    rr_ref handle = rr__arg_handle(arg, kind);
    rr_status status = RR_OK;
    *out = (rr__packed){NULL, NULL, false};
    bool takes_handle = kind == RR__KIND_REF || (kind == RR__KIND_ACTOR && arg->value);
    if (takes_handle && handle.id == 0 && handle.slot == 0) return RR_OK;
    if (!takes_handle && arg->value) {
        if (kind == RR__KIND_MANY) return RR_ERR_INVALID;
        if (kind != RR__KIND_BYTES) {
            out->value = arg->value;
            return RR_OK;
        }
        rr_bytes bytes;
        memcpy(&bytes, arg->value, sizeof bytes);
        out->is_ref = true;
        out->counted = rr__bytes_object(cx, bytes, site, &status);
        return status;
    }
    if (handle.id == 0) return rr__handle_status(handle);
    out->counted = rr__pin(cx, handle, kind == RR__KIND_ACTOR && takes_handle);
    if (!out->counted) return RR_ERR_STALE;
    out->is_ref = !takes_handle;
    if (takes_handle || rr__has_failed(out->counted)) return RR_OK; /* a failure has any type */
    if (rr__type_equal(rr__type_of(out->counted), fn->params[i])) return RR_OK;
    return RR_ERR_TYPE;
}

static rr__error *rr__arg_error(rr__context *cx, rr__object *task, int i, rr_status status,
                                const rr__arg *arg, const rr__object *given) {
    rr_runtime *rt = cx->runtime;
    const char *wanted = task->of.fn->params[i].name;
    rr_ref handle = rr__arg_handle(arg, task->of.fn->params[i].kind);
    if (status == RR_ERR_TYPE && given)
        return rr__error_new(rt, status, task,
                             "its argument %d is declared %s, but the reference "
                             "holds %s '%s' (made at %s)",
                             i + 1, wanted, rr__type_of(given).name, rr__name_of(given),
                             given->site);
    if (status == RR_ERR_STALE)
        return rr__error_new(rt, status, task, "its argument %d: %s", i + 1,
                             rr__handle_text(rt, handle));
    if (status == RR_ERR_INVALID && task->of.fn->params[i].kind == RR__KIND_BYTES)
        return rr__error_new(rt, status, task, "its argument %d: %s", i + 1, RR__NO_DATA);
    if (status == RR_ERR_INVALID)
        return rr__error_new(rt, status, task,
                             "its argument %d is declared rr_many: pass what "
                             "rr_gather returns",
                             i + 1);
    if (status == RR_ERR_NO_MEMORY) return rt->no_memory;
    return rr__error_new(rt, status, task, "its argument %d: %s", i + 1, rr__status_why(status));
}

static RR__NOINLINE void rr__args_write(const rr__object *task, const rr__packed *packed,
                                        char *to) {
    const rr_function *fn = task->of.fn;
    for (int i = 0; i < fn->arity; to += rr__arg_bytes(fn, task->by_ref, i), i++) {
        if (rr__is_counted(fn, task->by_ref, i))
            memcpy(to, &packed[i].counted, sizeof packed[i].counted);
        else memcpy(to, packed[i].value, fn->params[i].size);
    }
}

static rr_status rr__args_store(rr__context *cx, rr__object *task, const rr__packed *packed) {
    const rr_function *fn = task->of.fn;
    size_t total = 0;
    for (int i = 0; i < fn->arity; i++) total += rr__arg_bytes(fn, task->by_ref, i);
    uint64_t words[4] = {0};
    char *to = (char *)words;
    if (total > RR__INLINE_BYTES && !(to = rr__block_new(cx, total, &task->args_place)))
        return RR_ERR_NO_MEMORY;
    rr__args_write(task, packed, to);
    if (to != (char *)words) words[0] = (uint64_t)(uintptr_t)to, total = 8;
    rr__write_words(task, words, total);
    return RR_OK;
}

/* One argument into *out, or the error. */
static rr__error *rr__arg_pack(rr__context *cx, rr__object *task, int i, const rr__arg *arg,
                               rr__packed *out) {
    rr_status status = rr__arg_check(cx, task->of.fn, i, arg, task->site, out);
    if (out->is_ref) task->by_ref |= (uint16_t)(1u << i);
    return status == RR_OK ? NULL : rr__arg_error(cx, task, i, status, arg, out->counted);
}

static RR__NOINLINE rr__error *rr__args_pack_any(rr__context *cx, rr__object *task,
                                                 const rr__arg *args) {
    const rr_function *fn = task->of.fn;
    rr__packed packed[RR__MAX_PARAMS];
    rr__error *error = NULL;
    int n = 0;
    for (; n < fn->arity && !error; n++) error = rr__arg_pack(cx, task, n, &args[n], &packed[n]);
    if (!error && rr__args_store(cx, task, packed) != RR_OK) error = cx->runtime->no_memory;
    if (!error) return NULL;
    for (int i = 0; i < n; i++)
        if (packed[i].counted) rr__drop(cx, packed[i].counted);
    return error;
}

/* Argument i of a wordy function, as a word. */
static RR__INLINE rr__error *rr__arg_word(rr__context *cx, rr__object *task, int i,
                                          const rr__arg *arg, uint64_t *word) {
    const rr_type *type = &task->of.fn->params[i];
    if (RR__LIKELY(arg->value && rr__kind_is_plain(type->kind))) {
        *word = rr__word_from(arg->value, type->size);
        return NULL;
    }
    rr__packed packed;
    rr__error *error = rr__arg_pack(cx, task, i, arg, &packed);
    if (error && packed.counted) rr__drop(cx, packed.counted);
    *word = rr__word_from(&packed.counted, sizeof packed.counted);
    return error;
}

/* Fills in the arguments; on an error none is kept. Straight into the slot if that is known to hold
   them. */
static RR__INLINE rr__error *rr__args_pack(rr__context *cx, rr__object *task, const rr__arg *args) {
    const rr_function *fn = task->of.fn;
    if (!fn->is_wordy) return rr__args_pack_any(cx, task, args);
    for (int i = 0, n = fn->arity; i < n; i++) { /* loaded once */
        uint64_t word;
        rr__error *error = rr__arg_word(cx, task, i, &args[i], &word);
        if (RR__UNLIKELY(error != NULL)) {
            while (i < n) rr__store_release(&task->words[i++], (uint64_t)0);
            rr__args_release(cx, task); /* those before this one */
            return error;
        }
        rr__store_release(&task->words[i], word); /* see rr__write_words */
    }
    return NULL;
}

/* ---- what is missing, what has failed ---- */

static rr__object *rr__args_missing(rr__object *task) {
    const rr_function *fn = task->of.fn;
    char *at = rr__args_of(task);
    for (int i = 0; task->by_ref >> i; at += rr__arg_bytes(fn, task->by_ref, i), i++)
        if ((task->by_ref >> i & 1) && !rr__is_complete(rr__counted_arg(at)))
            return rr__counted_arg(at);
    return NULL;
}

/* The failure that one of its arguments passes on; NULL if none has failed. */
static rr__error *rr__failed_argument(rr__context *cx, rr__object *task) {
    const rr_function *fn = task->of.fn;
    char *at = rr__args_of(task);
    for (int i = 0; task->by_ref >> i; at += rr__arg_bytes(fn, task->by_ref, i), i++) {
        if (!(task->by_ref >> i & 1) || !rr__has_failed(rr__counted_arg(at))) continue;
        return rr__error_after(cx->runtime, task, rr__failure(cx->runtime, rr__counted_arg(at)),
                               "its argument %d ", i + 1);
    }
    return NULL;
}

/* ---- to the body ---- */

/* The temporaries that stand for arguments which are not plain values. */
typedef union rr__view {
    rr_bytes bytes;
    rr_many many;
    rr_ref ref;
} rr__view;

/* A handle as an argument: a count of the body's own, in its scope. */
static bool rr__pass_handle(rr__context *cx, rr__object *o, rr__view *view) {
    view->ref = RR__NULL_REF;
    if (!o) return true;
    if (!rr__scope_ready(rr__self())) return false;
    rr__share(o);
    rr__scope_hold(rr__self(), cx, o, false);
    view->ref = rr__ref_to(cx, o);
    return true;
}

static rr_status rr__pass(rr__context *cx, rr__object *o, rr_type type, rr__view *view,
                          void **arg) {
    *arg = view;
    rr_status status = rr__use(cx, o);
    if (status != RR_OK) return status;
    cx = rr__here(cx);
    if (type.kind == RR__KIND_BYTES) {
        view->bytes = rr__bytes_in(o);
    } else if (type.kind == RR__KIND_MANY) {
        rr__parts *parts = o->extra.parts;
        view->many = (rr_many){parts->items, parts->count};
    } else if (type.kind == RR__KIND_ACTOR) {
        if (!rr__pass_handle(cx, rr__contained(cx, o), view)) status = RR_ERR_NO_MEMORY;
    } else {
        *arg = rr__data(o);
    }
    if (status != RR_OK) rr__unuse(cx, o);
    return status;
}

/* Gives back the pins on the first n arguments. */
static RR__NOINLINE void rr__args_unuse(rr__context *cx, rr__object *task, int n) {
    const rr_function *fn = task->of.fn;
    char *at = rr__args_of(task);
    for (int i = 0; i < n; at += rr__arg_bytes(fn, task->by_ref, i), i++) {
        rr__object *o = task->by_ref >> i & 1 ? rr__counted_arg(at) : NULL;
        if (o) rr__unuse(cx, o); /* NULL: tasks/inplace.h */
    }
}

/* Returns which argument cannot be had, with the status, or the number of them. */
static int rr__args_pass(rr__context *cx, rr__object *task, void **args, rr__view *views,
                         rr_status *status) {
    const rr_function *fn = task->of.fn;
    char *at = rr__args_of(task);
    *status = RR_OK;
    for (int i = 0; i < fn->arity; at += rr__arg_bytes(fn, task->by_ref, i), i++) {
        args[i] = at;
        if (task->by_ref >> i & 1)
            *status =
                rr__pass(rr__here(cx), rr__counted_arg(at), fn->params[i], &views[i], &args[i]);
        else if (rr__is_counted(fn, 0, i)) {
            args[i] = &views[i];
            if (!rr__pass_handle(cx, rr__counted_arg(at), &views[i])) *status = RR_ERR_NO_MEMORY;
        }
        if (*status != RR_OK) {
            rr__args_unuse(rr__here(cx), task, i);
            return i;
        }
    }
    return fn->arity;
}

static RR__NOINLINE rr__error *rr__args_error(rr__context *cx, rr__object *task, int i,
                                              rr_status status) {
    const rr_function *fn = task->of.fn;
    if (status == RR_ERR_NO_MEMORY || i < 0) return rr__error_of_status(cx->runtime, status, task);
    char *at = rr__args_of(task);
    for (int k = 0; k < i; k++) at += rr__arg_bytes(fn, task->by_ref, k);
    rr__object *o = rr__counted_arg(at);
    return rr__error_new(cx->runtime, status, task,
                         "its argument %d '%s' (made at %s) cannot be brought into memory: %s",
                         i + 1, rr__name_of(o), o->site, rr__status_why(status));
}

static RR__NOINLINE rr__error *rr__args_unpack_any(rr__context *cx, rr__object *task, void **args,
                                                   rr__view *views) {
    rr_status status;
    int i = rr__args_pass(cx, task, args, views, &status);
    return RR__LIKELY(status == RR_OK) ? NULL : rr__args_error(cx, task, i, status);
}

/* NULL, or why they cannot be had. */
static RR__INLINE rr__error *rr__args_unpack(rr__context *cx, rr__object *task, void **args,
                                             rr__view *views) {
    const rr_function *fn = task->of.fn;
    if (!fn->is_wordy || !rr__args_are_plain(task))
        return rr__args_unpack_any(cx, task, args, views);
    for (int i = 0; i < fn->arity; i++) args[i] = (void *)&task->words[i];
    return NULL;
}
