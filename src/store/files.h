/* Files of spilled values, one value behind the other.
   Locks: the store's, for their counts. */
#pragma once
#include "../base/files.h"
#include "../core/errors.h"
#include "records.h"

typedef struct rr__file {
    rr__fd fd;           /* read by all; written by one spiller, at its end */
    uint64_t size, live; /* bytes in it; those of values that live, and 1 while it is written to; 0
                            closes it. Under the store's lock */
} rr__file;

/* What an error of a file, as in errno, means to who needs room; ECANCELED: the runtime ends. */
static rr_status rr__spill_status(int error) {
    return error == ENOSPC      ? RR_ERR_STORE_FULL
           : error == ENOMEM    ? RR_ERR_NO_MEMORY
           : error == ECANCELED ? RR_ERR_NOT_RUNNING
                                : RR_ERR_IO;
}

/* Fletcher's checksum ("An arithmetic checksum for serial transmissions", 1982) over words, as that
   of ZFS, in four lanes: sums, and sums of these, which tell the order. Two additions a word, so it
   runs as fast as memory. */
typedef struct rr__check {
    uint64_t sums[4], orders[4];
} rr__check;

static rr__check rr__check_begin(void) { return (rr__check){{1, 2, 3, 4}, {0, 0, 0, 0}}; }

/* Blocks of 32 bytes. */
static void rr__check_blocks(rr__check *check, const char *p, size_t blocks) {
    uint64_t a = check->sums[0], b = check->sums[1], c = check->sums[2], d = check->sums[3];
    uint64_t e = check->orders[0], f = check->orders[1], g = check->orders[2], h = check->orders[3];
    for (uint64_t words[4]; blocks > 0; blocks--, p += 32) {
        memcpy(words, p, 32);
        a += words[0], b += words[1], c += words[2], d += words[3];
        e += a, f += b, g += c, h += d;
    }
    *check = (rr__check){{a, b, c, d}, {e, f, g, h}};
}

/* Only the last piece of a value may be no multiple of 32 bytes. */
static void rr__check_add(rr__check *check, const void *data, size_t size) {
    const char *p = data;
    char last[32] = {0};
    rr__check_blocks(check, p, size / 32);
    memcpy(last, p + size / 32 * 32, size % 32);
    if (size % 32) rr__check_blocks(check, last, 1);
}

static uint64_t rr__check_end(const rr__check *check, uint64_t size) {
    uint64_t all = size;
    for (int i = 0; i < 4; i++) {
        all = (all ^ check->sums[i]) * 0x9e3779b97f4a7c15u, all ^= all >> 29;
        all = (all ^ check->orders[i]) * 0x9e3779b97f4a7c15u, all ^= all >> 29;
    }
    return all;
}

/* Piece by piece, each small enough to lie in a near cache when it is looked at the second time. */
enum { RR__FILE_PIECE = 256 << 10 };

/* Returns how much of it is in the file now: less than all with errno set. */
static size_t rr__value_write(rr__fd fd, const char *data, size_t size, uint64_t at,
                              uint64_t *check) {
    rr__check sum = rr__check_begin();
    size_t done = 0;
    for (size_t piece = 0; done < size; done += piece) {
        piece = size - done < RR__FILE_PIECE ? size - done : RR__FILE_PIECE;
        rr__check_add(&sum, data + done, piece);
        size_t n = rr__file_write(fd, data + done, piece, at + done);
        if (n < piece) return done + n;
    }
    *check = rr__check_end(&sum, size);
    return done;
}

/* All of it, as it was written; or what is wrong. */
static const char *rr__value_read(rr__fd fd, char *data, size_t size, uint64_t at, uint64_t check) {
    rr__check sum = rr__check_begin();
    for (size_t done = 0, piece; done < size; done += piece) {
        piece = size - done < RR__FILE_PIECE ? size - done : RR__FILE_PIECE;
        if (!rr__file_read(fd, data + done, piece, at + done)) return strerror(errno);
        rr__check_add(&sum, data + done, piece);
    }
    return rr__check_end(&sum, size) == check ? NULL : "it is not what was written";
}

static uint64_t rr__checksum(const void *data, size_t size) {
    rr__check sum = rr__check_begin();
    rr__check_add(&sum, data, size);
    return rr__check_end(&sum, size);
}

static void rr__file_close(rr__file *file) {
    RR__FILE_CLOSE(file->fd);
    RR_FREE(file);
}

/* Returns 0, or an error as in errno. */
static int rr__file_new(rr_runtime *rt, rr__file **out) {
    rr__file *file = RR_CALLOC(1, sizeof *file);
    if (!file) return ENOMEM;
    file->fd = rr__file_make(rt->store->spill_dir);
    if (file->fd >= 0) return *out = file, 0;
    int error = errno;
    RR_FREE(file);
    return error;
}

/* Nothing more is written to it; what lives in it closes it. */
static void rr__file_end_locked(rr_runtime *rt, const rr__file *file) {
    for (int i = 0; i < RR__SPILLERS; i++)
        if (rt->store->files[i] == file) rt->store->files[i] = NULL;
}
static bool rr__file_has_ended_locked(const rr_runtime *rt, const rr__file *file) {
    bool ended = true;
    for (int i = 0; i < RR__SPILLERS; i++) ended = ended && rt->store->files[i] != file;
    return ended;
}

/* One value less lives in it; the last one closes it. */
static void rr__file_drop_locked(rr_runtime *rt, rr__file *file, uint64_t size) {
    if (!file || (file->live -= size)) return;
    rr__file_end_locked(rt, file);
    rt->store->stats.spill_bytes_used -= file->size;
    rr__file_close(file);
}
