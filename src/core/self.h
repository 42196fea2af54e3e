/* Who calls: what a thread, or the fiber that it carries, has to itself, and the global state under
   one lock: the default runtime and the list of all. A hook notices the end of a thread that uses a
   runtime. Here is, too, what a call leaves behind for who asks: notes of errors, lines in the log,
   counters.
   Locks: global, log_lock. */
#pragma once
#include "context.h"

/* ---- global state ---- */

static RR__ATOMIC(rr_runtime *) rr__default;
static rr_runtime *rr__runtimes; /* all of these under the global lock */
static uint32_t rr__homes;
static rr__mutex rr__global_mutex;

static void rr__global_start(void);

/* ---- who calls ---- */

/* The fiber that the thread carries now, or the thread. A compiler that keeps the address of a
   thread-local variable in a register over a wait would, after it, have that of another thread. So
   this is never inlined, and not known to be without effects; but for x86-64 outside of shared
   libraries, where such a variable is one load relative to %fs. Where there are none (tcc), or they
   go before the hook is called (MinGW), it is the exit key's value. */
#if defined(__TINYC__) || defined(_WIN32)
/* All threads from outside for which there is no memory: it is attached to no runtime. */
static rr__local rr__nobody;
static rr__local *rr__self(void) {
    RR__ONCE(rr__global_start);
    rr__local *self = RR__EXIT_KEY_GET();
    if (RR__LIKELY(self != NULL)) return self;
    if (!(self = RR_CALLOC(1, sizeof *self))) return &rr__nobody;
    self->is_hooked = self->is_allocated = RR__EXIT_KEY_SET(self);
    if (self->is_hooked) return self;
    RR_FREE(self);
    return &rr__nobody;
}
/* The thread carries this one now, as soon as there is memory to note it: a runtime that goes on as
   somebody else would be worse. (A fiber's thread is its own here: it has no other.) */
static void rr__self_set(rr__local *self) {
    bool is_set = !self->fiber || RR__EXIT_KEY_GET() == self;
    while (!is_set && !RR__EXIT_KEY_SET(self)) rr__sleep(1e-3);
}
/* A thread of the pool has what lies with its context. */
static rr__local *rr__self_begin(rr__context *cx) {
    while (!RR__EXIT_KEY_SET(cx->local)) rr__sleep(1e-3);
    return cx->local;
}
#define RR__CAN_HOLD(self) ((self) != &rr__nobody)
#else
static _Thread_local rr__local rr__thread_local;
static _Thread_local rr__local *rr__current;
static RR__NOINLINE rr__local *rr__self_first(void) {
    RR__KEEP_CALL();
    return rr__current = &rr__thread_local;
}
#if defined(__x86_64__) && defined(__GNUC__) && (!defined(__PIC__) || defined(__PIE__))
static RR__INLINE rr__local *rr__self(void) {
#else
static RR__NOINLINE rr__local *rr__self(void) {
    RR__KEEP_CALL();
#endif
    rr__local *self = rr__current;
    return RR__LIKELY(self != NULL) ? self : rr__self_first();
}
static RR__NOINLINE void rr__self_set(rr__local *self) {
    RR__KEEP_CALL();
    rr__current = self;
}
static rr__local *rr__self_begin(rr__context *cx) { return (void)cx, rr__self(); }
#define RR__CAN_HOLD(self) true
#endif

/* The context in which the caller, whose own is `self`, goes on after it may have waited: where it
   was `cx` before. */
static RR__INLINE rr__context *rr__here_of(rr__local *self, rr__context *cx) {
    rr__context *now = self->carrier;
    return now && now->runtime == cx->runtime ? now : cx;
}
static rr__context *rr__here(rr__context *cx) { return rr__here_of(rr__self(), cx); }
static rr__context *rr__frame_context(const rr__frame *frame) {
    return rr__here_of(frame->self, frame->runner);
}

static void rr__thread_ends(void *local) {
    rr__local *self = local;
    if (self->fiber) return; /* the runtime's, which ends it */
    rr__above.thread_ends(self);
    self->is_hooked = false;
    if (self->is_allocated) RR_FREE(self);
}

static void rr__fork_prepare(void) { rr__lock(&rr__global_mutex); }
static void rr__fork_parent(void) { rr__unlock(&rr__global_mutex); }
/* The child has one thread and the memory of all: no runtime of the parent may be used. */
static void rr__fork_child(void) {
    rr__unlock(&rr__global_mutex);
    for (rr_runtime *rt = rr__runtimes; rt; rt = rt->next_runtime)
        rr__store_release(&rt->phase, RR__STOPPED);
    rr__store_release(&rr__default, (rr_runtime *)NULL);
    rr__local *self = rr__self(); /* locks may be held by threads that are gone: no letting go */
    self->context = self->attached = NULL;
    self->chosen = NULL;
    self->scopes.count = self->scopes.start = self->scopes.depth = self->path.count = 0;
    self->scopes.floor = 0, self->frame = NULL;
}
static void rr__global_start(void) {
    rr__mutex_init(&rr__global_mutex);
    if (!RR__EXIT_KEY_CREATE(rr__thread_ends)) abort();
    RR__AT_FORK(rr__fork_prepare, rr__fork_parent, rr__fork_child);
}
static void rr__global_lock(void) {
    RR__ONCE(rr__global_start);
    rr__lock(&rr__global_mutex);
}
static void rr__global_unlock(void) { rr__unlock(&rr__global_mutex); }

/* The thread's end will be noticed, so that it may hold something. */
static bool rr__local_hook(rr__local *self) {
    if (self->fiber) return true;
    RR__ONCE(rr__global_start);
    if (!self->is_hooked && RR__CAN_HOLD(self)) self->is_hooked = RR__EXIT_KEY_SET(self);
    return self->is_hooked;
}

/* ---- the log ---- */

/* How often a line came again after it was logged, if it did. */
static void rr__log_more(rr_runtime *rt, const rr__repeat *line) {
    if (line->more)
        rr__log(&rt->config, line->level, "%llu more times: %s", (unsigned long long)line->more,
                line->text);
}

/* Logs what may happen with every request: the same line once in a minute. How often it came in
   between is told before the next one of its kind, and at the end of the runtime. */
static RR__NOINLINE void rr__log_again(rr_runtime *rt, enum rr__repeated kind, rr_log_level level,
                                       const char *text) {
    rr__repeat *line = &rt->lines[kind], before = {.more = 0};
    double now = rr_now();
    rr__lock(&rt->log_lock);
    bool is_same = now - line->at < RR__LOG_PAUSE && !strncmp(line->text, text, RR__LOG_TEXT - 1);
    if (!is_same) {
        before = *line;
        line->level = level, line->at = now, line->more = 0;
        snprintf(line->text, sizeof line->text, "%s", text);
    } else line->more++;
    rr__unlock(&rt->log_lock);
    if (is_same) return;
    rr__log_more(rt, &before);
    rr__log_text(&rt->config, level, text);
}

/* At the end of the runtime; threads outside may be late. */
static void rr__log_end(rr_runtime *rt) {
    for (int i = 0; i < RR__LINES; i++) {
        rr__lock(&rt->log_lock);
        rr__repeat line = rt->lines[i];
        rt->lines[i].more = 0;
        rr__unlock(&rt->log_lock);
        rr__log_more(rt, &line);
    }
}

/* The configuration whose log a call from this thread uses; NULL: stderr. */
static const rr_config *rr__log_config(void) {
    rr__context *cx = rr__self()->context;
    return cx ? &cx->runtime->config : NULL;
}

/* Misuse by a call that returns nothing which could say so. */
static void rr__log_misuse(const char *text) {
    rr__context *cx = rr__self()->context;
    if (cx) rr__log_again(cx->runtime, RR__LINE_MISUSE, RR_LOG_WARN, text);
    else rr__log_text(NULL, RR_LOG_WARN, text);
}

/* ---- notes of errors ---- */

/* Keeps what rr_error_message tells about a reference whose object has no error itself. */
RR__PRINTF(3, 4)
static rr_status rr__note(rr_ref ref, rr_status status, const char *format, ...) {
    rr__local *self = rr__self();
    va_list args;
    va_start(args, format);
    vsnprintf(self->note.text, sizeof self->note.text, format, args);
    va_end(args);
    self->note.of = ref, self->note.is_failure = false;
    return status;
}

/* Why the store refuses something, with figures and with what to change: for the message of what
   fails by that on this thread. Whoever answers RR_ERR_STORE_FULL, RR_ERR_OBJECT_LOST or RR_ERR_IO
   first says so here, and nobody else. */
RR__PRINTF(2, 3)
static RR__NOINLINE rr_status rr__refuse(rr_status status, const char *format, ...) {
    rr__local *self = rr__self();
    va_list args;
    va_start(args, format);
    vsnprintf(self->note.refusal, sizeof self->note.refusal, format, args);
    va_end(args);
    self->note.refused = status;
    return status;
}

/* What a status means that this thread got from the store just now. */
static const char *rr__status_why(rr_status status) {
    const rr__local *self = rr__self();
    return status != RR_OK && status == self->note.refused ? self->note.refusal
                                                           : rr_status_text(status);
}

static rr_status rr__note_status(rr_ref ref, rr_status status) {
    return rr__note(ref, status, "%s", rr_status_text(status));
}

/* A reference that carries a status and no object, for when there is no memory or no
   runtime to hold one: id 0, the status in place of the slot. */
static rr_ref rr__status_ref(rr_status status) { return (rr_ref){0, (uint32_t)status, 0}; }
static rr_actor rr__status_actor(rr_status status) { return (rr_actor){0, (uint32_t)status, 0}; }
static rr_status rr__status_of(uint32_t slot) {
    return slot > 0 && slot < RR__STATUS_COUNT ? (rr_status)slot : RR_ERR_STALE;
}

/* A handle that leads to nothing: the status of it, and why in words. */
static rr_status rr__handle_status(rr_ref ref) {
    return ref.id ? RR_ERR_STALE : rr__status_of(ref.slot);
}
static const char *rr__handle_text(const rr_runtime *rt, rr_ref ref) {
    if (!ref.id && ref.slot) return rr_status_text(rr__handle_status(ref));
    if (!ref.id) return "the handle is null: it was given no value";
    if (ref.home != rt->home)
        return "the handle belongs to another runtime, which rr_runtime_use chooses, or which has "
               "ended";
    return "the handle was released, by rr_release or at the end of its scope: rr_keep takes one "
           "out of its scope, rr_give lets one outlive it for another thread";
}
static rr_status rr__refuse_handle(const rr_runtime *rt, rr_ref ref) {
    return rr__note(ref, rr__handle_status(ref), "%s", rr__handle_text(rt, ref));
}

/* ---- by thread and by object ---- */

static RR__INLINE void rr__count(rr__context *cx, enum rr__counter counter) {
    uint64_t n = rr__load_relaxed(&cx->counters[counter]); /* only the owner writes */
    rr__store_release(&cx->counters[counter], n + 1);      /* pairs with rr__sum */
}

static uint64_t rr__sum(rr_runtime *rt, enum rr__counter counter) {
    uint64_t sum = 0;
    for (rr__context *cx = rr__load_seq_cst(&rt->contexts); cx; cx = cx->next)
        sum += rr__load_seq_cst(&cx->counters[counter]);
    return sum;
}

static rr__shard *rr__shard_of(rr_runtime *rt, const rr__object *o) {
    return &rt->shards[(o->slot ^ (o->slot >> 6)) % RR__SHARDS];
}

/* Locks the shard of an object. */
static rr__shard *rr__shard_lock(rr_runtime *rt, const rr__object *o) {
    rr__shard *shard = rr__shard_of(rt, o);
    rr__lock(&shard->lock);
    return shard;
}

static rr__object *rr__current_task(rr__context *cx) {
    rr__frame *frame = rr__load_relaxed(&cx->frame); /* the owner's own */
    return frame ? frame->task : NULL;
}

static inline const rr__ops *rr__ops_of(const rr__object *o) { return &rr__above.ops[o->kind]; }

static RR__INLINE rr__object *rr__slot_at(rr_runtime *rt, uint32_t slot) {
    return rr__slot_find(&rt->slots, slot);
}

/* Memory for size bytes, 64-byte aligned; *place says what kind and goes to rr__block_free. */
static void *rr__block_new(rr__context *cx, size_t size, uint8_t *place) {
    return rr__arena_take(&cx->runtime->arena, cx->blocks, size, place);
}
static void rr__block_free(rr__context *cx, void *block, uint8_t place) {
    rr__arena_give(&cx->runtime->arena, cx->blocks, block, place);
}
