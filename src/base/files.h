/* Files without a name: read and written at a place, by any number of threads at once. Nothing of
   them outlives the process, however that ends: the name goes before the first byte comes, or, on
   Windows, with the last handle.
   Locks: none. */
#pragma once
#include "threads.h"

#define RR__FILE_PREFIX ".rustyray-spill-"
#define RR__FILE_PART ((size_t)1 << 30) /* bytes at a time */

#if defined(_WIN32)
typedef intptr_t rr__fd; /* a handle */

/* As struct _OVERLAPPED. */
typedef struct rr__win_place {
    uintptr_t internal[2];
    unsigned long low, high;
    void *event;
} rr__win_place;

static rr__win_place rr__win_place_of(uint64_t at) {
    return (rr__win_place){{0, 0}, (unsigned long)at, (unsigned long)(at >> 32), NULL};
}
/* The last error, as in errno; 0: the end of the file. */
static int rr__win_error(void) {
    switch (GetLastError()) {
    case 3: /* ERROR_PATH_NOT_FOUND */
        return ENOENT;
    case 5: /* ERROR_ACCESS_DENIED */
        return EACCES;
    case 38: /* ERROR_HANDLE_EOF */
        return 0;
    case 39:  /* ERROR_HANDLE_DISK_FULL */
    case 112: /* ERROR_DISK_FULL */
        return ENOSPC;
    case 80: /* ERROR_FILE_EXISTS */
        return EEXIST;
    default:
        return EIO;
    }
}
static ptrdiff_t rr__win_result(int ok, unsigned long done) {
    int error = ok ? 0 : rr__win_error();
    return error ? errno = error, -1 : (ptrdiff_t)done;
}
static ptrdiff_t rr__win_write(rr__fd fd, const void *data, size_t size, uint64_t at) {
    rr__win_place place = rr__win_place_of(at);
    unsigned long done = 0;
    int ok = WriteFile((void *)fd, data, (unsigned long)size, &done,
                       (struct _OVERLAPPED *)(void *)&place);
    return rr__win_result(ok, done);
}
static ptrdiff_t rr__win_read(rr__fd fd, void *data, size_t size, uint64_t at) {
    rr__win_place place = rr__win_place_of(at);
    unsigned long done = 0;
    int ok = ReadFile((void *)fd, data, (unsigned long)size, &done,
                      (struct _OVERLAPPED *)(void *)&place);
    return rr__win_result(ok, done);
}
static rr__fd rr__win_open(const char *path) {
    const unsigned long read_write = 0xc0000000, create_new = 1;
    const unsigned long temporary = 0x100, delete_on_close = 0x04000000;
    rr__fd fd = (rr__fd)CreateFileA(path, read_write, 0, NULL, create_new,
                                    temporary | delete_on_close, NULL);
    if (fd == -1) errno = rr__win_error();
    return fd;
}
#define RR__TEMP_VARIABLE "TEMP"
#define RR__TEMP_DIR "."
#define RR__FILE_PROCESS() ((long)GetCurrentProcessId())
/* A folder (FILE_ATTRIBUTE_DIRECTORY); what may be made in it shows when something is. */
static bool rr__win_is_folder(const char *dir) {
    unsigned long attributes = GetFileAttributesA(dir);
    return attributes != 0xffffffff && (attributes & 0x10);
}
#define RR__FILE_CAN_MAKE(dir) rr__win_is_folder(dir)
#define RR__FILE_CLOSE(fd) CloseHandle((void *)(fd))
#define RR__FILE_UNNAME(fd, path) ((void)(path), true)
#else
typedef int rr__fd;
#if defined(__GLIBC__) && !defined(__USE_XOPEN2K8) && !defined(__USE_UNIX98)
/* The program has included the system's headers as strict C11 has them; with _FILE_OFFSET_BITS
   off_t may be wider than what `pread` is given. */
ssize_t pread64(int fd, void *data, size_t size, __off64_t at);
ssize_t pwrite64(int fd, const void *data, size_t size, __off64_t at);
typedef __off64_t rr__file_place;
#define RR__PREAD pread64
#define RR__PWRITE pwrite64
#else
typedef off_t rr__file_place;
#define RR__PREAD pread
#define RR__PWRITE pwrite
#endif
#define RR__TEMP_VARIABLE "TMPDIR"
#define RR__TEMP_DIR "/tmp"
#define RR__FILE_PROCESS() ((long)getpid())
#define RR__FILE_CAN_MAKE(dir) (access((dir), W_OK | X_OK) == 0)
#define RR__FILE_CLOSE(fd) close(fd)
#define RR__FILE_UNNAME(fd, path)                                                                  \
    (fcntl((fd), F_SETFD, FD_CLOEXEC), unlink(path) == 0 || errno == ENOENT)
#endif

/* Tests replace them to fail. */
#if !defined(RR__FILE_WRITE) && defined(_WIN32)
#define RR__FILE_WRITE(fd, p, n, at) rr__win_write((fd), (p), (n), (at))
#define RR__FILE_READ(fd, p, n, at) rr__win_read((fd), (p), (n), (at))
#define RR__FILE_OPEN(path) rr__win_open(path)
#elif !defined(RR__FILE_WRITE)
/* Where places have 32 bits, none is taken for another one. */
static ptrdiff_t rr__file_pwrite(int fd, const void *data, size_t size, uint64_t at) {
    rr__file_place place = (rr__file_place)at;
    if (place < 0 || (uint64_t)place != at) return errno = EFBIG, -1;
    return RR__PWRITE(fd, data, size, place);
}
static ptrdiff_t rr__file_pread(int fd, void *data, size_t size, uint64_t at) {
    rr__file_place place = (rr__file_place)at;
    if (place < 0 || (uint64_t)place != at) return errno = EFBIG, -1;
    return RR__PREAD(fd, data, size, place);
}
#define RR__FILE_WRITE(fd, p, n, at) rr__file_pwrite((fd), (p), (n), (at))
#define RR__FILE_READ(fd, p, n, at) rr__file_pread((fd), (p), (n), (at))
#define RR__FILE_OPEN(path) open((path), O_RDWR | O_CREAT | O_EXCL, 0600)
#endif

/* Removes what processes left behind that ended between making a file and taking its name away.
   Others' files the system keeps from us. */
static void rr__files_sweep(const char *dir) {
#if RR__UNIX
    size_t size = strlen(dir) + 300;
    char *path = RR_MALLOC(size);
    DIR *folder = path ? opendir(dir) : NULL;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        if (strncmp(entry->d_name, RR__FILE_PREFIX, sizeof RR__FILE_PREFIX - 1)) continue;
        int n = snprintf(path, size, "%s/%s", dir, entry->d_name);
        if (n > 0 && (size_t)n < size) unlink(path);
    }
    if (folder) closedir(folder);
    RR_FREE(path);
#else
    (void)dir;
#endif
}

/* Its descriptor; or -1 with errno. */
static rr__fd rr__file_make(const char *dir) {
    static RR__ATOMIC(uint32_t) serial;
    size_t size = strlen(dir) + 80;
    char *path = RR_MALLOC(size);
    rr__fd fd = -1;
    if (!path) return errno = ENOMEM, -1;
    for (int i = 0; i < 100 && fd < 0; i++) {
        snprintf(path, size, "%s/" RR__FILE_PREFIX "%ld-%lx-%u", dir, RR__FILE_PROCESS(),
                 (unsigned long)(uint64_t)(rr_now() * 1e9),
                 rr__add_relaxed(&serial, 1u)); /* unique */
        fd = RR__FILE_OPEN(path);
        if (fd < 0 && errno != EEXIST && errno != EINTR) break;
    }
    if (fd >= 0 && !RR__FILE_UNNAME(fd, path)) { /* it would stay */
        int error = errno;
        RR__FILE_CLOSE(fd);
        fd = -1, errno = error;
    }
    int error = errno;
    RR_FREE(path);
    errno = error;
    return fd;
}

/* Returns how much of it is in the file now: less than all with errno set, and what lies behind
   that is not known any more. */
static size_t rr__file_write(rr__fd fd, const void *data, size_t size, uint64_t at) {
    size_t done = 0;
    while (done < size) {
        size_t left = size - done < RR__FILE_PART ? size - done : RR__FILE_PART;
        ptrdiff_t n = RR__FILE_WRITE(fd, (const char *)data + done, left, at + done);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = EIO; /* nothing else says why */
        if (n <= 0) break;
        done += (size_t)n;
    }
    return done;
}

/* All of it; or false, with errno. */
static bool rr__file_read(rr__fd fd, void *data, size_t size, uint64_t at) {
    size_t done = 0;
    while (done < size) {
        size_t left = size - done < RR__FILE_PART ? size - done : RR__FILE_PART;
        ptrdiff_t n = RR__FILE_READ(fd, (char *)data + done, left, at + done);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = EIO; /* it ends too early */
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}
