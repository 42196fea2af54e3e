/* Files of spilled values, one value behind the other.
   Locks: the store's, for their counts. */
#pragma once
#include "../base/files.h"
#include "../core/errors.h"
#include "records.h"

typedef struct rr__file {
    rr__fd fd;           /* written to by the spiller alone; read by all */
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

/* One value less lives in it; the last one closes it. */
static void rr__file_drop_locked(rr_runtime *rt, rr__file *file, uint64_t size) {
    if (!file || (file->live -= size)) return;
    if (file == rt->store->file) rt->store->file = NULL;
    rt->store->stats.spill_bytes_used -= file->size;
    rr__file_close(file);
}
