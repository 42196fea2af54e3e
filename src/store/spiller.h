/* The spillers: a few threads, made when they are needed first, that write values which leave
   memory (rule E3 in store/residence.h), small ones together. Each has a file of its own, so that
   they write side by side.
   Locks: the store's; none while they write. */
#pragma once
#include "../core/queues.h"
#include "files.h"

enum { RR__SPILL_BATCH = 1 << 20 };     /* bytes at once; a buffer of that lies in a near cache */
enum { RR__SPILL_COUNT = 4096 };        /* values at once, so that the lock is not held for long */
enum { RR__SPILL_STRAIGHT = 64 << 10 }; /* from so many bytes on a copy costs more than a write */
enum { RR__SPILL_FILE = 64 << 20 };

/* Its file has it, and it is AWAY. */
static void rr__value_spilled_locked(rr__context *cx, rr__stored *s) {
    rr__value_leave_locked(cx, s);
    cx->runtime->store->stats.objects_spilled++;
}

/* It is LEAVING. */
static void rr__spill_queue_locked(rr_runtime *rt, rr__stored *s) {
    s->older = NULL;
    s->block = s->object->data.block, s->size = rr__info_of(s->object), s->place = s->object->place;
    if (rt->store->leaving_last) rt->store->leaving_last->older = s;
    else rt->store->leaving_first = s;
    rt->store->leaving_last = s;
    rt->store->leaving += s->size;
    rr__cond_signal(&rt->store->spill_wake);
}

/* The file to append to, which stays open until rr__file_drop_locked: a new one when the last is
   long, so that files whose values have ended go soon, and the longer the more there is, so that
   there are never many. Returns 0, or an error as in errno. */
static int rr__spill_file(rr_runtime *rt, rr__file **own, rr__file **out) {
    rr__store *store = rt->store;
    rr__lock(&store->lock);
    uint64_t longest = store->stats.spill_bytes_used / 32;
    if (longest < RR__SPILL_FILE) longest = RR__SPILL_FILE;
    if (*own && (*own)->size >= longest) *own = NULL;
    bool is_new = !*own;
    if ((*out = *own)) (*out)->live++;
    rr__unlock(&store->lock);
    if (!is_new) return 0;
    int error = rr__file_new(rt, out);
    if (error) return error;
    rr__lock(&store->lock);
    *own = *out, (*own)->live = 1;
    rr__unlock(&store->lock);
    return 0;
}

/* Takes what is to be written next: one large value, or small ones up to a batch. */
static rr__stored *rr__spill_take_locked(rr_runtime *rt) {
    rr__stored *first = rt->store->leaving_first, *last = NULL;
    size_t bytes = 0;
    int n = 0;
    for (rr__stored *s = first; s; s = s->older) {
        if (last && (bytes + s->size > RR__SPILL_BATCH || ++n == RR__SPILL_COUNT)) break;
        bytes += s->size, last = s, s->written = NULL;
    }
    if (!last) return NULL;
    if ((rt->store->leaving_first = last->older)) rr__cond_signal(&rt->store->spill_wake);
    else rt->store->leaving_last = NULL;
    last->older = NULL;
    return first;
}

/* One after the other into the buffer, or, if there is none, straight from where they are. Returns
   how many bytes are in the file now: the values that lie in those are written, whatever stopped
   the rest (errno). */
static size_t rr__spill_values(rr__file *file, rr__stored *first, size_t bytes, char *buffer) {
    size_t filled = 0, done = 0;
    for (rr__stored *s = first; filled < bytes; s = s->older) {
        s->at = file->size + filled;
        if (buffer) {
            s->sum = rr__checksum(s->block, s->size);
            memcpy(buffer + filled, s->block, s->size);
        } else done += rr__value_write(file->fd, s->block, s->size, s->at, &s->sum);
        filled += s->size;
        if (!buffer && done < filled) return done;
    }
    return buffer ? rr__file_write(file->fd, buffer, bytes, file->size) : done;
}

/* Writes the values that are so many bytes: rule E3. Which ones are, they say. Returns 0, or an
   error as in errno. */
static int rr__spill_write(rr_runtime *rt, rr__file **own, rr__stored *first, size_t bytes,
                           char *buffer) {
    rr__file *file;
    int error = rr__spill_file(rt, own, &file);
    if (error) return error;
    size_t done = rr__spill_values(file, first, bytes, buffer), end = 0;
    if (done < bytes) error = errno;
    rr__lock(&rt->store->lock);
    for (rr__stored *s = first; end < bytes && (end += s->size) <= done; s = s->older)
        s->written = file, file->live += s->size;
    file->size += done;
    rt->store->stats.spill_bytes_written += done, rt->store->stats.spill_bytes_used += done;
    if (error && error != ENOSPC) rr__file_end_locked(rt, file); /* it may be broken */
    rr__file_drop_locked(rt, file, 1);
    rr__unlock(&rt->store->lock);
    return error;
}

/* It is on disk, or could not be. */
static void rr__spilled_locked(rr__context *cx, rr__stored *s) {
    rr_runtime *rt = cx->runtime;
    rt->store->leaving -= s->size;
    if (!s->object) { /* it ended meanwhile */
        rr__file_drop_locked(rt, s->written, s->size);
        rr__store_return(rt, s->size);
        rr__block_free(cx, s->block, s->place);
        rr__stored_free(cx, s);
        return;
    }
    s->file = s->written;
    if (rr__residence_left(rr__residence_at(s->object), s->file)) rr__value_spilled_locked(cx, s);
    else rr__age_add_locked(rt, s);
}

static void rr__spill_tell(rr_runtime *rt, int error) {
    rr_status status = rr__spill_status(error);
    char text[RR__LOG_TEXT];
    if (status != RR_ERR_IO && status != RR_ERR_STORE_FULL) return;
    snprintf(text, sizeof text,
             "values cannot be written to files in '%s': %s; set rr_config.spill_dir to a folder "
             "with room for them, or another rr_config.evict",
             rt->store->spill_dir, strerror(error));
    rr__log_again(rt, RR__LINE_SPILL, RR_LOG_ERROR, text);
}

/* Those of a batch that are not written, one by one. Returns 0, or the last error. */
static int rr__spill_alone(rr_runtime *rt, rr__file **own, rr__stored *batch) {
    int error = 0;
    for (rr__stored *s = batch; s; s = s->older) {
        int now = s->written ? 0 : rr__spill_write(rt, own, s, s->size, NULL);
        if (now) error = now;
    }
    return error;
}

/* Writes a batch, without the lock. If there is not enough room on the disk for all of it, there
   may be for one. */
static void rr__spill_batch(rr__context *cx, rr__file **own, rr__stored *batch, char *buffer) {
    rr_runtime *rt = cx->runtime;
    size_t n = 0, bytes = 0;
    for (rr__stored *s = batch; s; s = s->older) n++, bytes += s->size;
    bool is_large = n == 1 || bytes / n >= RR__SPILL_STRAIGHT;
    double start = rr_now();
    int error = rr__spill_write(rt, own, batch, bytes, is_large ? NULL : buffer);
    if (error == ENOSPC && n > 1) error = rr__spill_alone(rt, own, batch);
    if (error) rr__spill_tell(rt, error);
    RR__STRESS_POINT();
    rr__lock(&rt->store->lock);
    rt->store->stats.spill_seconds += rr_now() - start;
    if (error) rt->store->spill_failures++, rt->store->spill_error = error;
    for (rr__stored *s = batch, *next; s; s = next) {
        next = s->older;
        rr__spilled_locked(cx, s);
    }
    rr__store_signal_locked(cx);
    rr__unlock(&rt->store->lock);
}

/* Nobody needs the room any more; but threads outside that are late may wait for it. */
static void rr__spill_end_locked(rr__context *cx) {
    rr__store *store = cx->runtime->store;
    for (rr__stored *s = store->leaving_first, *next; s; s = next) {
        next = s->older, s->written = NULL;
        rr__spilled_locked(cx, s);
    }
    store->leaving_first = store->leaving_last = NULL;
    store->spill_failures++, store->spill_error = ECANCELED;
    rr__store_signal_locked(cx);
}

/* Where this thread notes the file that it appends to. */
static rr__file **rr__spill_own_locked(rr__context *cx) {
    rr__store *store = cx->runtime->store;
    int i = 0;
    while (i < RR__SPILLERS && store->spillers[i] != cx) i++;
    return &store->files[i];
}

static void rr__spiller_serve(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    char *buffer = RR_MALLOC(RR__SPILL_BATCH); /* without it each value is a write of its own */
    rr__files_sweep(rt->store->spill_dir);
    rr__lock(&rt->store->lock); /* as who starts it has */
    rr__file **own = rr__spill_own_locked(cx);
    while (rr__load_acquire(&rt->phase) != RR__STOPPED) {
        rr__stored *batch = rr__spill_take_locked(rt);
        if (!batch) {
            rr__cond_wait(&rt->store->spill_wake, &rt->store->lock);
            continue;
        }
        rr__unlock(&rt->store->lock);
        RR__STRESS_POINT();
        rr__spill_batch(cx, own, batch, buffer);
        rr__lock(&rt->store->lock);
    }
    rr__spill_end_locked(cx);
    rr__unlock(&rt->store->lock);
    RR_FREE(buffer);
}

/* One is enough, if there is no memory or thread for more. */
static rr_status rr__spillers_start_locked(rr_runtime *rt) {
    rr__store *store = rt->store;
    if (rr__load_acquire(&rt->phase) == RR__STOPPED)
        return RR_ERR_NOT_RUNNING; /* they have ended */
    if (store->spillers[0]) return RR_OK;
    rr__lock(&rt->lock);
    for (int i = 0; i < RR__SPILLERS && (i == 0 || store->spillers[i - 1]); i++)
        store->spillers[i] = rr__service_start_locked(rt, rr__spiller_serve);
    rr__unlock(&rt->lock);
    return store->spillers[0] ? RR_OK : RR_ERR_NO_MEMORY;
}
