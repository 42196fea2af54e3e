/* Errors: why something failed, as a chain towards the first cause. Counted, because every
   dependent of a failure points to it. Making one never fails: without memory it is
   rr_runtime.no_memory.
   Locks: none. */
#pragma once
#include "../base/text.h"
#include "self.h"

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
    return rr__error_saying(rt, status, about, rr__status_why(status));
}

/* The message of a chain; of one longer than 24 links the middle is counted, not told. */
static void rr__error_write(const rr__error *error, rr__text *text) {
    enum { HEAD = 16, TAIL = 8 };
    size_t links = 0, i = 0;
    for (const rr__error *e = error; e; e = e->cause) links++;
    for (const rr__error *e = error; e; e = e->cause, i++) {
        bool is_skipped = links > HEAD + TAIL && i >= HEAD && i < links - TAIL;
        if (is_skipped && i == HEAD) rr__text_add(text, "... %zu more ... ", links - HEAD - TAIL);
        if (is_skipped) continue;
        if (e->subject && e->is_task)
            rr__text_add(text, "%s'%s' failed: ", i ? "" : "task ", e->subject);
        else if (e->subject) rr__text_add(text, "%s(%s) failed: ", i ? "" : "object ", e->subject);
        rr__text_add(text, "%s", e->text);
    }
}

/* Composed on the first request and kept with the error; whoever comes second uses it. */
static const char *rr__error_message_of(rr__error *error) {
    char *message = rr__load_acquire(&error->message);
    if (message) return message;
    rr__text text = {NULL, 0, 0};
    rr__error_write(error, &text);
    text = (rr__text){RR_MALLOC(text.used + 1), text.used + 1, 0};
    if (!text.start) return error->text[0] ? error->text : rr_status_text(error->status);
    rr__error_write(error, &text);
    if (rr__cas_seq_cst(&error->message, &message, text.start)) return text.start;
    RR_FREE(text.start);
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

/* ---- names ---- */

/* Its options, or NULL. */
static rr__control *rr__options_of(const rr__object *o) {
    const rr__ops *ops = rr__ops_of(o);
    return ops->options ? ops->options(o) : NULL;
}

/* What an object is called: an actor by its own name and its type, what has no name by where it was
   made. The caller counts or owns it. */
static void rr__describe(rr__text *text, const rr__object *o) {
    bool is_actor = o->kind == RR__CONSTRUCTOR;
    const rr__control *control = is_actor ? rr__options_of(o) : NULL;
    const char *kind = o->kind == RR__GATHER ? "gather" : o->kind == RR__FIELD ? "field" : "object";
    if (control && control->name)
        rr__text_add(text, "the actor '%s' (%s)", control->name, o->of.fn->self.name);
    else if (is_actor) rr__text_add(text, "the actor '%s'", o->of.fn->self.name);
    else if (o->kind <= RR__METHOD) rr__text_add(text, "'%s'", rr__name_of(o));
    else rr__text_add(text, "the %s of %s", kind, o->site);
}
