/* The compiler and the system: what differs between them stands here, and nothing above asks
   again. Also how memory is had (RR_MALLOC), the three strengths of assertion, and the places
   where stress programs delay a thread. */
#pragma once
#include "../api/macros.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#if defined(__unix__) || defined(__APPLE__)
#define RR__UNIX 1
#include <dirent.h>
#include <fcntl.h>

#include <sys/mman.h>
#include <unistd.h>
#else
#define RR__UNIX 0
#endif
#if defined(_WIN32)
/* What is needed of windows.h, whose names (SIZE, small, near, ...) are those of programs, too. */
#if defined(_WIN64)
typedef unsigned long long rr__win_size;
#else
typedef unsigned long rr__win_size;
#endif
#define RR__WIN(type) __declspec(dllimport) type __stdcall
struct _RTL_SRWLOCK;
struct _RTL_CONDITION_VARIABLE;
RR__WIN(void) AcquireSRWLockExclusive(struct _RTL_SRWLOCK *);
RR__WIN(void) ReleaseSRWLockExclusive(struct _RTL_SRWLOCK *);
RR__WIN(void) WakeConditionVariable(struct _RTL_CONDITION_VARIABLE *);
RR__WIN(void) WakeAllConditionVariable(struct _RTL_CONDITION_VARIABLE *);
RR__WIN(int)
SleepConditionVariableSRW(struct _RTL_CONDITION_VARIABLE *, struct _RTL_SRWLOCK *, unsigned long,
                          unsigned long);
RR__WIN(unsigned long) FlsAlloc(void(__stdcall *)(void *));
RR__WIN(int) FlsSetValue(unsigned long, void *);
RR__WIN(void *) FlsGetValue(unsigned long);
RR__WIN(void *)
CreateFiberEx(rr__win_size, rr__win_size, unsigned long, void(__stdcall *)(void *), void *);
RR__WIN(void *) ConvertThreadToFiberEx(void *, unsigned long);
RR__WIN(int) ConvertFiberToThread(void);
RR__WIN(int) IsThreadAFiber(void);
RR__WIN(void) SwitchToFiber(void *);
RR__WIN(void) DeleteFiber(void *);
RR__WIN(void) Sleep(unsigned long);
RR__WIN(unsigned long) GetActiveProcessorCount(unsigned short);
struct _OVERLAPPED;
struct _SECURITY_ATTRIBUTES;
RR__WIN(int)
ReadFile(void *, void *, unsigned long, unsigned long *, struct _OVERLAPPED *);
RR__WIN(int)
WriteFile(void *, const void *, unsigned long, unsigned long *, struct _OVERLAPPED *);
RR__WIN(void *)
CreateFileA(const char *, unsigned long, unsigned long, struct _SECURITY_ATTRIBUTES *,
            unsigned long, unsigned long, void *);
RR__WIN(int) CloseHandle(void *);
RR__WIN(unsigned long) GetFileAttributesA(const char *);
RR__WIN(unsigned long) GetLastError(void);
RR__WIN(unsigned long) GetCurrentProcessId(void);
#endif

/* Pages go back to the system but stay mapped, where that can be had; what they held is lost. */
#if RR__UNIX && defined(MADV_DONTNEED)
#define RR__PAGES_RETURN(p, size) (madvise((p), (size), MADV_DONTNEED) == 0)
#else
#define RR__PAGES_RETURN(p, size) ((void)(p), (void)(size), false)
#endif
#if RR__UNIX && defined(MADV_HUGEPAGE)
#define RR__PAGES_HUGE(p, size) ((void)madvise((p), (size), MADV_HUGEPAGE))
#else
#define RR__PAGES_HUGE(p, size) ((void)(p), (void)(size))
#endif

/* Memory for everything outside stb_ds. A unit may replace all four together. */
#ifndef RR_MALLOC
#define RR_MALLOC(size) malloc(size)
#define RR_CALLOC(n, size) calloc((n), (size))
#define RR_REALLOC(p, size) realloc((p), (size))
#define RR_FREE(p) free(p)
#endif

/* Misuse by the caller is an error value wherever it can be told, so RR_ASSERT has
   little to do; RR__ASSERT guards the library's own rules in test builds. */
#ifdef RUSTYRAY_DEBUG
#include <assert.h>
#define RR__ASSERT(condition) assert(condition)
#else
#define RR__ASSERT(condition) ((void)0)
#endif

/* Free memory of each size that is kept for reuse, and how long what is more, in seconds. */
#ifndef RUSTYRAY_KEEP_BYTES
#define RUSTYRAY_KEEP_BYTES ((size_t)64 << 20)
#endif
#ifndef RUSTYRAY_KEEP_SECONDS
#define RUSTYRAY_KEEP_SECONDS 1.0
#endif

/* Stress programs make this a random delay: where another thread may do the worst. */
#ifndef RR__STRESS_POINT
#define RR__STRESS_POINT() ((void)0)
#endif

/* What a body finds free of its stack, and how much of it bodies may have under them that wait for
   it. */
#define RUSTYRAY_BODY_STACK ((size_t)256 << 10)
#ifndef RUSTYRAY_HELP_STACK
#define RUSTYRAY_HELP_STACK ((size_t)256 << 10)
#endif
#define RR__STACK_LEAST ((size_t)16 << 10)
#define RR__STACK_MOST ((size_t)1 << 30)
#define RR__STACK_OWN ((size_t)16 << 10) /* the library's, below the first body */

#if defined(__GNUC__) || defined(__clang__)
#define RR__LIKELY(x) __builtin_expect(!!(x), 1)
#define RR__UNLIKELY(x) __builtin_expect(!!(x), 0)
#define RR__NOINLINE __attribute__((noinline))
#define RR__KEEP_CALL() __asm__ __volatile__("") /* also of a function that seems to do nothing */
#define RR__INLINE inline __attribute__((always_inline)) /* a step of the path of every call */
#define RR__PREFETCH(p) __builtin_prefetch((p), 1)
#define RR__STACK_NOW() ((char *)__builtin_frame_address(0)) /* also on ASan's fake stack */
#else
#define RR__LIKELY(x) (x)
#define RR__UNLIKELY(x) (x)
#define RR__NOINLINE
#define RR__KEEP_CALL() ((void)0)
#define RR__INLINE inline
#define RR__PREFETCH(p) ((void)(p))
#define RR__STACK_NOW() ((char *)&(char){0})
#endif

#if defined(__has_feature)
#define RR__HAS_FEATURE(x) __has_feature(x)
#else
#define RR__HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_THREAD__) || RR__HAS_FEATURE(thread_sanitizer)
#define RR__TSAN 1
#else
#define RR__TSAN 0
#endif
#if defined(__SANITIZE_ADDRESS__) || RR__HAS_FEATURE(address_sanitizer)
#define RR__ASAN 1
void __asan_poison_memory_region(void const volatile *start, size_t size);
void __asan_unpoison_memory_region(void const volatile *start, size_t size);
#define RR__POISON(p, size) __asan_poison_memory_region((p), (size))
#define RR__UNPOISON(p, size) __asan_unpoison_memory_region((p), (size))
#else
#define RR__ASAN 0
#define RR__POISON(p, size) ((void)(p), (void)(size))
#define RR__UNPOISON(p, size) ((void)(p), (void)(size))
#endif

#if defined(__TINYC__)
#define RR__PAUSE() ((void)0)
#elif defined(__x86_64__) || defined(__i386__)
#define RR__PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define RR__PAUSE() __asm__ __volatile__("isb")
#else
#define RR__PAUSE() ((void)0)
#endif

/* The index of the highest bit that is set; x is not 0. */
static inline unsigned rr__highest_bit(uint32_t x) {
#if (defined(__GNUC__) || defined(__clang__)) && !defined(__TINYC__)
    return 31u - (unsigned)__builtin_clz(x);
#else
    unsigned bit = 0;
    while (x >>= 1) bit++;
    return bit;
#endif
}

void *const rr__nil = NULL;
