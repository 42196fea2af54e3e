/* Errors: why something failed, as a chain towards the first cause. Counted, because every
   dependent of a failure points to it. Making one never fails: without memory it is
   rr_runtime.no_memory.
   Locks: none. */
#pragma once
#include "context.h"

/* Why something failed: a chain towards the first cause. Counted, because every
   dependent of a failure points to it. */
struct rr__error {
    RR__ATOMIC(uint32_t) count; /* 0: static, never freed */
    rr_status status;
    int code;
    rr__error *cause;    /* counted; NULL for the first */
    const char *subject; /* the task's name, or the site of an object without one */
    bool is_task;
    RR__ATOMIC(char *) message; /* of the whole chain, composed when asked for */
    char text[];                /* after the subject, before the cause */
};

static rr__error *rr__error_share(rr__error *error) {
    if (rr__load_relaxed(&error->count)) rr__add_relaxed(&error->count, 1u); /* we hold one */
    return error;
}

static void rr__error_drop(rr__error *error) {
    while (error && rr__load_relaxed(&error->count)) { /* static ones stay 0 */
        if (rr__sub_acq_rel(&error->count, 1u) != 1) return;
        rr__error *cause = error->cause;
        RR_FREE(rr__load_relaxed(&error->message)); /* the last holder */
        RR_FREE(error);
        error = cause; /* a loop: chains are long */
    }
}

/* An error about a subject; takes over one count of the cause. Never NULL. */
RR__PRINTF(6, 0)
static rr__error *rr__error_make(rr_runtime *rt, rr_status status, int code,
                                 const rr__object *about, rr__error *cause, const char *format,
                                 va_list args) {
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    size_t room = length > 0 ? (size_t)length + 1 : 1;
    const char *subject = about ? rr__name_of(about) : NULL;
    bool is_own = about && rr__control_of(about); /* its name may go before the error */
    rr__error *error = RR_CALLOC(1, sizeof *error + room + (is_own ? strlen(subject) + 1 : 0));
    if (!error) {
        rr__error_drop(cause);
        return rt->no_memory;
    }
    vsnprintf(error->text, room, format, args);
    rr__store_relaxed(&error->count, 1u); /* not shared yet */
    error->status = status, error->code = code, error->cause = cause;
    error->subject = is_own ? strcpy(error->text + room, subject) : subject;
    error->is_task = about && about->kind <= RR__METHOD;
    return error;
}

RR__PRINTF(4, 5)
static rr__error *rr__error_new(rr_runtime *rt, rr_status status, const rr__object *about,
                                const char *format, ...) {
    va_list args;
    va_start(args, format);
    rr__error *error = rr__error_make(rt, status, 0, about, NULL, format, args);
    va_end(args);
    return error;
}

/* The failure of `about` because of another one: its status and code are passed on. Takes over a
   count of the cause. */
RR__PRINTF(4, 5)
static rr__error *rr__error_after(rr_runtime *rt, const rr__object *about, rr__error *cause,
                                  const char *format, ...) {
    va_list args;
    va_start(args, format);
    rr__error *error = rr__error_make(rt, cause->status, cause->code, about, cause, format, args);
    va_end(args);
    return error;
}

static rr__error *rr__error_saying(rr_runtime *rt, rr_status status, const rr__object *about,
                                   const char *text) {
    if (status == RR_ERR_NO_MEMORY) return rt->no_memory;
    return rr__error_new(rt, status, about, "%s", text);
}
static rr__error *rr__error_of_status(rr_runtime *rt, rr_status status, const rr__object *about) {
    return rr__error_saying(rt, status, about, rr_status_text(status));
}

/* The message of a chain; of one longer than 24 links the middle is counted, not told. Call
   with text NULL to measure. Returns the length. */
static size_t rr__error_write(const rr__error *error, char *text, size_t size) {
    enum { HEAD = 16, TAIL = 8 };
    size_t links = 0, used = 0, i = 0;
    for (const rr__error *e = error; e; e = e->cause) links++;
    for (const rr__error *e = error; e; e = e->cause, i++) {
        char *at = text && used < size ? text + used : NULL;
        size_t left = at ? size - used : 0;
        bool skipped = links > HEAD + TAIL && i >= HEAD && i < links - TAIL;
        if (skipped && i > HEAD) continue;
        const char *before =
            e->subject ? (e->is_task ? (i ? "'" : "task '") : (i ? "(" : "object (")) : "";
        const char *after = e->subject ? (e->is_task ? "' failed: " : ") failed: ") : "";
        int n = skipped ? snprintf(at, left, "... %zu more ... ", links - HEAD - TAIL)
                        : snprintf(at, left, "%s%s%s%s", before, e->subject ? e->subject : "",
                                   after, e->text);
        used += n > 0 ? (size_t)n : 0;
    }
    return used;
}

/* Composed on the first request and kept with the error; whoever comes second uses it. */
static const char *rr__error_message_of(rr__error *error) {
    char *message = rr__load_acquire(&error->message);
    if (message) return message;
    size_t size = rr__error_write(error, NULL, 0) + 1;
    char *made = RR_MALLOC(size);
    if (!made) return error->text[0] ? error->text : rr_status_text(error->status);
    rr__error_write(error, made, size);
    if (rr__cas_seq_cst(&error->message, &message, made)) return made;
    RR_FREE(made);
    return message;
}

/* ---- of objects that have failed ---- */

static rr_status rr__failure_status(rr__object *o) {
    uint64_t word = rr__load_acquire(&o->word);
    return word & RR__IS_DECIDED ? rr__status_by(word) : o->data.error->status;
}

/* Why an object has failed; counted for the caller. */
static rr__error *rr__failure(rr_runtime *rt, rr__object *o) {
    uint64_t word = rr__load_acquire(&o->word);
    if (!(word & RR__IS_DECIDED)) return rr__error_share(o->data.error);
    return rr__error_new(rt, rr__status_by(word), o, "%s", rr_status_text(rr__status_by(word)));
}
