/* Files of spilled values, one value behind the other. They have no names: so nothing of them
   outlives the process, however that ends. Only the spiller appends; all read.
   Locks: a file's own, for its place; the store's for its counts. */
#pragma once
#include "../core/errors.h"
#include "records.h"

/* A file of spilled values, one behind the other. It has no name any more: so it goes with the
   process, however that ends. */
typedef struct rr__file {
    int to, from;        /* descriptors: only appended to by the spiller; read by all */
    rr__mutex lock;      /* of the place in `from`; a leaf */
    uint64_t size, live; /* bytes in it; those of values that live, and 1 while it is written to; 0
                            closes it. Under the store's lock */
} rr__file;

/* Tests replace them to fail. */
#ifndef RR__FILE_WRITE
#define RR__FILE_WRITE(fd, p, n) write((fd), (p), (n))
#define RR__FILE_READ(fd, p, n) read((fd), (p), (n))
#define RR__FILE_OPEN(path, flags) open((path), (flags), 0600)
#endif

#if RR__UNIX
#define RR__CAN_WRITE(dir) (access((dir), W_OK | X_OK) == 0)
#else
#define RR__CAN_WRITE(dir) true
#endif

/* What an error of a file, as in errno, means to who needs room; ECANCELED: the runtime ends. */
static rr_status rr__spill_status(int error) {
    return error == ENOSPC      ? RR_ERR_STORE_FULL
           : error == ENOMEM    ? RR_ERR_NO_MEMORY
           : error == ECANCELED ? RR_ERR_NOT_RUNNING
                                : RR_ERR_IO;
}

/* FNV-1a over words, in four lanes, so that it runs as fast as memory. */
static uint64_t rr__checksum(const void *data, size_t size) {
    const char *p = data;
    uint64_t lanes[4] = {1, 2, 3, 4}, last[4] = {0, 0, 0, size};
    size_t i = 0;
    for (; i + 32 <= size; i += 32)
        for (int k = 0; k < 4; k++) {
            uint64_t word;
            memcpy(&word, p + i + 8 * k, 8);
            lanes[k] = (lanes[k] ^ word) * 0x9e3779b97f4a7c15u;
            lanes[k] ^= lanes[k] >> 29;
        }
    memcpy(last, p + i, size - i);
    for (int k = 0; k < 4; k++) lanes[k] = (lanes[k] ^ last[k] ^ size) * 0x9e3779b97f4a7c15u;
    return lanes[0] ^ lanes[1] >> 7 ^ lanes[2] >> 17 ^ lanes[3] >> 27;
}

#if RR__UNIX
#define RR__SPILL_PREFIX ".rustyray-spill-"

static void rr__file_close(rr__file *file) {
    if (file->to >= 0) close(file->to);
    if (file->from >= 0) close(file->from);
    rr__mutex_destroy(&file->lock);
    RR_FREE(file);
}

/* Removes what processes left behind that ended between making a file and taking its name away.
   If one is just doing that it makes another. Others' files the system keeps from us. */
static void rr__files_sweep(const char *dir) {
    size_t size = strlen(dir) + 300;
    char *path = RR_MALLOC(size);
    DIR *folder = path ? opendir(dir) : NULL;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        if (strncmp(entry->d_name, RR__SPILL_PREFIX, sizeof RR__SPILL_PREFIX - 1)) continue;
        int n = snprintf(path, size, "%s/%s", dir, entry->d_name);
        if (n > 0 && (size_t)n < size) unlink(path);
    }
    if (folder) closedir(folder);
    RR_FREE(path);
}

/* A file without a name: nothing of it is left when the process ends, however it does. */
static bool rr__file_open(rr__file *file, const char *dir, char *path, size_t size) {
    static RR__ATOMIC(uint32_t) serial;
    for (int i = 0; i < 100 && file->from < 0; i++) {
        snprintf(path, size, "%s/" RR__SPILL_PREFIX "%ld-%lx-%u", dir, (long)getpid(),
                 (unsigned long)(rr_now() * 1e9), rr__add_relaxed(&serial, 1u)); /* unique */
        if (file->to >= 0) close(file->to);
        file->to = RR__FILE_OPEN(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND);
        if (file->to < 0 && errno == EEXIST) continue;
        if (file->to < 0) return false;
        file->from = RR__FILE_OPEN(path, O_RDONLY);
        int error = errno;
        unlink(path);
        errno = error;
        if (file->from < 0 && errno != ENOENT) return false; /* else another one's sweep took it */
    }
    if (file->from < 0) return false;
    fcntl(file->to, F_SETFD, FD_CLOEXEC);
    fcntl(file->from, F_SETFD, FD_CLOEXEC);
    return true;
}

/* Returns 0, or an error as in errno. */
static int rr__file_new(rr_runtime *rt, rr__file **out) {
    size_t size = strlen(rt->store->spill_dir) + 80;
    char *path = RR_MALLOC(size);
    rr__file *file = path ? RR_CALLOC(1, sizeof *file) : NULL;
    int error = file && rr__mutex_init(&file->lock) ? 0 : ENOMEM;
    if (file) file->to = file->from = -1;
    if (error) {
        RR_FREE(file);
    } else if (rr__file_open(file, rt->store->spill_dir, path, size)) {
        *out = file;
    } else {
        error = errno;
        rr__file_close(file);
    }
    RR_FREE(path);
    return error;
}

/* Appends. Returns how much of it is in the file now: less than all with errno set, and then the
   file is not appended to any more, but what was written stays as it is. */
static size_t rr__file_append(rr__file *file, const void *data, size_t size) {
    size_t done = 0;
    while (done < size) {
        size_t left = size - done;
        ptrdiff_t n =
            RR__FILE_WRITE(file->to, (const char *)data + done, left > (1 << 30) ? 1 << 30 : left);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = EIO; /* nothing else says why */
        if (n <= 0) break;
        done += (size_t)n;
    }
    return done;
}

static bool rr__file_read(rr__file *file, uint64_t at, void *data, size_t size) {
    rr__lock(&file->lock);
    bool ok = lseek(file->from, (off_t)at, SEEK_SET) == (off_t)at;
    for (char *p = data; ok && size > 0;) {
        ptrdiff_t n = RR__FILE_READ(file->from, p, size > (1 << 30) ? 1 << 30 : size);
        if (n < 0 && errno == EINTR) continue;
        ok = n > 0;
        if (ok) p += n, size -= (size_t)n;
        if (n == 0) errno = EIO; /* it ends too early */
    }
    rr__unlock(&file->lock);
    return ok;
}
#else
static int rr__file_new(rr_runtime *rt, rr__file **out) { return (void)rt, (void)out, ENOSYS; }
static void rr__files_sweep(const char *dir) { (void)dir; }
static void rr__file_close(rr__file *file) { (void)file; } /* there is none */
static size_t rr__file_append(rr__file *file, const void *data, size_t size) {
    return (void)file, (void)data, (void)size, 0;
}
static bool rr__file_read(rr__file *file, uint64_t at, void *data, size_t size) {
    return (void)file, (void)at, (void)data, (void)size, false;
}
#endif

/* One value less lives in it; the last one closes it. */
static void rr__file_drop_locked(rr_runtime *rt, rr__file *file, uint64_t size) {
    if (!file || (file->live -= size)) return;
    if (file == rt->store->file) rt->store->file = NULL;
    rt->store->stats.spill_bytes_used -= file->size;
    rr__file_close(file);
}
