/* The spiller: one thread, made when it is needed first, that writes values which leave memory, in
   batches of 8 MiB, small ones together (rule E3 in store/residence.h).
   Locks: the store's; none while it writes. */
#pragma once
#include "../core/queues.h"
#include "files.h"

/* Its file has it, and it is AWAY. */
static void rr__value_spilled_locked(rr__context *cx, rr__stored *s) {
    rr__value_leave_locked(cx, s);
    cx->runtime->store->stats.objects_spilled++;
}

enum { RR__SPILL_COUNT = 4096 };        /* values at once, so that the lock is not held for long */
enum { RR__SPILL_STRAIGHT = 64 << 10 }; /* from so many bytes on a copy costs more than a write */

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
static int rr__spill_file(rr_runtime *rt, rr__file **out) {
    rr__lock(&rt->store->lock);
    rr__file *file = rt->store->file;
    uint64_t longest = rt->store->stats.spill_bytes_used / 32;
    if (longest < RR__SPILL_FILE) longest = RR__SPILL_FILE;
    if (file && file->size >= longest)
        file = rt->store->file = NULL; /* what lives in it closes it */
    if (file) file->live++;
    rr__unlock(&rt->store->lock);
    bool is_new = !file;
    int error = is_new ? rr__file_new(rt, &file) : 0;
    if (is_new && !error) {
        rr__lock(&rt->store->lock);
        rt->store->file = file, file->live = 1;
        rr__unlock(&rt->store->lock);
    }
    *out = file;
    return error;
}

/* Takes what is to be written next: one large value, or small ones up to a batch. */
static rr__stored *rr__spill_take_locked(rr_runtime *rt, size_t *bytes) {
    rr__stored *first = rt->store->leaving_first, *last = NULL;
    int n = 0;
    *bytes = 0;
    for (rr__stored *s = first; s; s = s->older) {
        if (last && (*bytes + s->size > RR__SPILL_BATCH || ++n == RR__SPILL_COUNT)) break;
        *bytes += s->size, last = s;
    }
    if (!last) return NULL;
    if (!(rt->store->leaving_first = last->older)) rt->store->leaving_last = NULL;
    last->older = NULL;
    return first;
}

/* One after the other into the buffer, or, if there is none, straight. Returns how many bytes are
   in the file now: the values that lie in those are written, whatever stopped the rest (errno). */
static size_t rr__spill_write(rr__file *file, rr__stored *batch, char *buffer, size_t bytes) {
    size_t filled = 0, done = 0;
    for (rr__stored *s = batch; s && (buffer || done == filled); s = s->older) {
        s->at = file->size + filled, s->sum = rr__checksum(s->block, s->size);
        if (buffer) memcpy(buffer + filled, s->block, s->size);
        else done += rr__file_write(file->fd, s->block, s->size, s->at);
        filled += s->size;
    }
    return buffer ? rr__file_write(file->fd, buffer, bytes, file->size) : done;
}

/* It is on disk, or could not be. */
static void rr__spilled_locked(rr__context *cx, rr__stored *s, rr__file *file, bool ok) {
    rr_runtime *rt = cx->runtime;
    rt->store->leaving -= s->size;
    if (!s->object) { /* it ended meanwhile */
        rr__store_return(rt, s->size);
        rr__block_free(cx, s->block, s->place);
        rr__stored_free(cx, s);
        return;
    }
    if (ok) s->file = file, file->live += s->size;
    if (rr__residence_left(rr__residence_at(s->object), ok)) rr__value_spilled_locked(cx, s);
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

/* Writes a batch, without the lock: rule E3. Large values straight from where they are. */
static void rr__spill_batch(rr__context *cx, rr__stored *batch, size_t bytes, char *buffer) {
    rr_runtime *rt = cx->runtime;
    size_t n = 0, done = 0, end = 0;
    for (rr__stored *s = batch; s; s = s->older) n++;
    bool is_large = n == 1 || bytes / n >= RR__SPILL_STRAIGHT;
    double start = rr_now();
    rr__file *file;
    int error = rr__spill_file(rt, &file);
    if (!error) done = rr__spill_write(file, batch, is_large ? NULL : buffer, bytes);
    if (!error && done < bytes) error = errno;
    if (error) rr__spill_tell(rt, error);
    RR__STRESS_POINT();
    rr__lock(&rt->store->lock);
    rt->store->stats.spill_seconds += rr_now() - start;
    rt->store->stats.spill_bytes_written += done, rt->store->stats.spill_bytes_used += done;
    if (file) file->size += done;
    if (error) rt->store->spill_failures++, rt->store->spill_error = error;
    for (rr__stored *s = batch, *next; s; s = next) {
        next = s->older, end += s->size;
        rr__spilled_locked(cx, s, file, end <= done);
    }
    if (error) rt->store->file = NULL; /* its end is not known */
    if (file) rr__file_drop_locked(rt, file, 1);
    rr__store_signal_locked(cx);
    rr__unlock(&rt->store->lock);
}

static void rr__spiller_serve(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    char *buffer = RR_MALLOC(RR__SPILL_BATCH); /* without it each value is a write of its own */
    rr__files_sweep(rt->store->spill_dir);
    rr__lock(&rt->store->lock);
    while (rr__load_acquire(&rt->phase) != RR__STOPPED) {
        size_t bytes;
        rr__stored *batch = rr__spill_take_locked(rt, &bytes);
        if (!batch) {
            rr__cond_wait(&rt->store->spill_wake, &rt->store->lock);
            continue;
        }
        rr__unlock(&rt->store->lock);
        RR__STRESS_POINT();
        rr__spill_batch(cx, batch, bytes, buffer);
        rr__lock(&rt->store->lock);
    }
    for (rr__stored *s = rt->store->leaving_first, *next; s; s = next) { /* nobody needs the room */
        next = s->older;
        rr__spilled_locked(cx, s, NULL, false);
    }
    rt->store->leaving_first = rt->store->leaving_last = NULL;
    rt->store->spill_failures++, rt->store->spill_error = ECANCELED;
    rr__store_signal_locked(cx); /* but threads outside that are late */
    rr__unlock(&rt->store->lock);
    RR_FREE(buffer);
}

static rr_status rr__spiller_start_locked(rr_runtime *rt) {
    if (rr__load_acquire(&rt->phase) == RR__STOPPED) return RR_ERR_NOT_RUNNING; /* it has ended */
    if (rt->store->spiller) return RR_OK;
    rr__lock(&rt->lock);
    rt->store->spiller = rr__service_start_locked(rt, rr__spiller_serve);
    rr__unlock(&rt->lock);
    return rt->store->spiller ? RR_OK : RR_ERR_NO_MEMORY;
}
