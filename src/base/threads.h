/* Threads: a thin seam over C11 threads, with pthreads behind it for sanitizers, which do not
   follow C11 threads on glibc, where <threads.h> is missing, and for waits on the monotonic clock;
   on Windows over its locks; clocks and sleeps. */
#pragma once
#include "atomics.h"

#if !defined(RUSTYRAY_USE_PTHREADS) && (RR__TSAN || RR__ASAN || defined(__STDC_NO_THREADS__) ||    \
                                        defined(__APPLE__) || defined(__MINGW32__))
#define RUSTYRAY_USE_PTHREADS
#endif

#if RR__UNIX || defined(RUSTYRAY_USE_PTHREADS)
#include <pthread.h>
#include <sched.h>
#endif

double rr_now(void) {
    struct timespec t;
#if defined(CLOCK_MONOTONIC)
    clock_gettime(CLOCK_MONOTONIC, &t);
#else
    timespec_get(&t, TIME_UTC);
#endif
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static struct timespec rr__to_timespec(double seconds) {
    struct timespec t;
    if (seconds < 0) seconds = 0;
    if (seconds > 1e9) seconds = 1e9; /* thirty years: for ever */
    t.tv_sec = (time_t)seconds;
    t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
    return t;
}

/* A point of time so many seconds from one that was just read. */
RR__UNUSED static struct timespec rr__later(struct timespec now, double seconds) {
    struct timespec t = rr__to_timespec(seconds);
    t.tv_sec += now.tv_sec, t.tv_nsec += now.tv_nsec;
    if (t.tv_nsec >= 1000000000) t.tv_nsec -= 1000000000, t.tv_sec++;
    return t;
}

/* A limit in milliseconds as a point on rr_now's clock; negative: none. */
static double rr__deadline(int64_t milliseconds) {
    return milliseconds < 0 ? -1.0 : rr_now() + (double)milliseconds * 1e-3;
}

/* ---- locks ----
   A limit must not follow the wall clock, which may be set: so where a condition can wait on the
   monotonic clock, or for a time, which C11's cannot, it does. */

#if RR__UNIX && defined(CLOCK_MONOTONIC) && !defined(__APPLE__)
#define RR__MONOTONIC 1
#else
#define RR__MONOTONIC 0
#endif

#if defined(_WIN32)
/* One pointer each, which is NULL at first. */
typedef struct rr__mutex {
    void *lock;
} rr__mutex;
typedef struct rr__cond {
    void *condition;
} rr__cond;
#define RR__WIN_LOCK(m) ((struct _RTL_SRWLOCK *)(void *)(m))
#define RR__WIN_COND(c) ((struct _RTL_CONDITION_VARIABLE *)(void *)(c))
static bool rr__mutex_init(rr__mutex *m) { return m->lock = NULL, true; }
static void rr__mutex_destroy(rr__mutex *m) { (void)m; }
static void rr__lock(rr__mutex *m) { AcquireSRWLockExclusive(RR__WIN_LOCK(m)); }
static void rr__unlock(rr__mutex *m) { ReleaseSRWLockExclusive(RR__WIN_LOCK(m)); }
static bool rr__cond_init(rr__cond *c) { return c->condition = NULL, true; }
static void rr__cond_destroy(rr__cond *c) { (void)c; }
static void rr__cond_signal(rr__cond *c) { WakeConditionVariable(RR__WIN_COND(c)); }
static void rr__cond_broadcast(rr__cond *c) { WakeAllConditionVariable(RR__WIN_COND(c)); }
static void rr__cond_sleep(rr__cond *c, rr__mutex *m, unsigned long milliseconds) {
    SleepConditionVariableSRW(RR__WIN_COND(c), RR__WIN_LOCK(m), milliseconds, 0);
}
static void rr__cond_wait(rr__cond *c, rr__mutex *m) { rr__cond_sleep(c, m, 0xffffffff); }
static void rr__cond_wait_for(rr__cond *c, rr__mutex *m, double seconds) {
    double most = 1e6; /* the caller looks, and comes again */
    double milliseconds = (seconds < most ? seconds : most) * 1e3;
    rr__cond_sleep(c, m, milliseconds < 1 ? 1 : (unsigned long)milliseconds);
}
#elif RR__MONOTONIC || defined(RUSTYRAY_USE_PTHREADS)
typedef pthread_mutex_t rr__mutex;
typedef pthread_cond_t rr__cond;
#if RR__MONOTONIC
#define RR__WAIT_ATTRIBUTES(a) pthread_condattr_setclock((a), CLOCK_MONOTONIC)
#define RR__WAIT_NOW(t) clock_gettime(CLOCK_MONOTONIC, (t))
#else /* the wall clock: the caller looks at rr_now again, so no result is wrong, but late */
#define RR__WAIT_ATTRIBUTES(a) ((void)(a))
#define RR__WAIT_NOW(t) timespec_get((t), TIME_UTC)
#endif

static bool rr__mutex_init(rr__mutex *m) { return pthread_mutex_init(m, NULL) == 0; }
static void rr__mutex_destroy(rr__mutex *m) { pthread_mutex_destroy(m); }
static void rr__lock(rr__mutex *m) { pthread_mutex_lock(m); }
static void rr__unlock(rr__mutex *m) { pthread_mutex_unlock(m); }
static bool rr__cond_init(rr__cond *c) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) return false;
    RR__WAIT_ATTRIBUTES(&attributes);
    bool ok = pthread_cond_init(c, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return ok;
}
static void rr__cond_destroy(rr__cond *c) { pthread_cond_destroy(c); }
static void rr__cond_signal(rr__cond *c) { pthread_cond_signal(c); }
static void rr__cond_broadcast(rr__cond *c) { pthread_cond_broadcast(c); }
static void rr__cond_wait(rr__cond *c, rr__mutex *m) { pthread_cond_wait(c, m); }
static void rr__cond_wait_for(rr__cond *c, rr__mutex *m, double seconds) {
#if defined(__APPLE__)
    struct timespec t = rr__to_timespec(seconds);
    pthread_cond_timedwait_relative_np(c, m, &t);
#else
    struct timespec now, t;
    RR__WAIT_NOW(&now);
    t = rr__later(now, seconds);
    pthread_cond_timedwait(c, m, &t);
#endif
}
#else
#include <threads.h>
typedef mtx_t rr__mutex;
typedef cnd_t rr__cond;
static bool rr__mutex_init(rr__mutex *m) { return mtx_init(m, mtx_plain) == thrd_success; }
static void rr__mutex_destroy(rr__mutex *m) { mtx_destroy(m); }
static void rr__lock(rr__mutex *m) { mtx_lock(m); }
static void rr__unlock(rr__mutex *m) { mtx_unlock(m); }
static bool rr__cond_init(rr__cond *c) { return cnd_init(c) == thrd_success; }
static void rr__cond_destroy(rr__cond *c) { cnd_destroy(c); }
static void rr__cond_signal(rr__cond *c) { cnd_signal(c); }
static void rr__cond_broadcast(rr__cond *c) { cnd_broadcast(c); }
static void rr__cond_wait(rr__cond *c, rr__mutex *m) { cnd_wait(c, m); }
static void rr__cond_wait_for(rr__cond *c, rr__mutex *m, double seconds) { /* the wall clock */
    struct timespec now, t;
    timespec_get(&now, TIME_UTC);
    t = rr__later(now, seconds);
    cnd_timedwait(c, m, &t);
}
#endif

/* ---- threads ---- */

#ifdef RUSTYRAY_USE_PTHREADS
typedef pthread_t rr__thread_id;
#define RR__THREAD_RESULT void *
#define RR__THREAD_DONE NULL
static bool rr__thread_create(rr__thread_id *id, void *(*run)(void *), void *arg) {
    return pthread_create(id, NULL, run, arg) == 0;
}
static void rr__thread_wait(rr__thread_id id) { pthread_join(id, NULL); }
RR__UNUSED static void rr__thread_exit(void) { pthread_exit(NULL); }
static void rr__thread_yield(void) { sched_yield(); }
static pthread_once_t rr__once_flag = PTHREAD_ONCE_INIT;
#define RR__ONCE(run) pthread_once(&rr__once_flag, (run))
#else
#include <threads.h>
typedef thrd_t rr__thread_id;
#define RR__THREAD_RESULT int
#define RR__THREAD_DONE 0
static bool rr__thread_create(rr__thread_id *id, int (*run)(void *), void *arg) {
    return thrd_create(id, run, arg) == thrd_success;
}
static void rr__thread_wait(rr__thread_id id) { thrd_join(id, NULL); }
RR__UNUSED static void rr__thread_exit(void) { thrd_exit(0); }
static void rr__thread_yield(void) { thrd_yield(); }
static once_flag rr__once_flag = ONCE_FLAG_INIT;
#define RR__ONCE(run) call_once(&rr__once_flag, (run))
#endif

/* ---- what each thread has ----
   With a hook that is given it at the thread's end. On Windows each fiber has its own, too. */

#if defined(_WIN32)
static unsigned long rr__exit_key;
static void (*rr__exit_hook)(void *);
static void __stdcall rr__exit_call(void *value) {
    if (value) rr__exit_hook(value);
}
#define RR__EXIT_KEY_CREATE(hook)                                                                  \
    (rr__exit_hook = (hook), (rr__exit_key = FlsAlloc(rr__exit_call)) != 0xffffffff)
#define RR__EXIT_KEY_SET(value) (FlsSetValue(rr__exit_key, (value)) != 0)
#define RR__EXIT_KEY_GET() FlsGetValue(rr__exit_key)
#elif defined(RUSTYRAY_USE_PTHREADS)
static pthread_key_t rr__exit_key;
#define RR__EXIT_KEY_CREATE(hook) (pthread_key_create(&rr__exit_key, (hook)) == 0)
#define RR__EXIT_KEY_SET(value) (pthread_setspecific(rr__exit_key, (value)) == 0)
#define RR__EXIT_KEY_GET() pthread_getspecific(rr__exit_key)
#else
static tss_t rr__exit_key;
#define RR__EXIT_KEY_CREATE(hook) (tss_create(&rr__exit_key, (hook)) == thrd_success)
#define RR__EXIT_KEY_SET(value) (tss_set(rr__exit_key, (value)) == thrd_success)
#define RR__EXIT_KEY_GET() tss_get(rr__exit_key)
#endif

/* A thread; where it lies until it was joined. A new one allocates nothing: with glibc the first
   allocation of a thread takes 64 MiB of address space. */
typedef struct rr__thread {
    rr__thread_id id;
    void (*run)(void *);
    void *arg;
} rr__thread;

static RR__THREAD_RESULT rr__thread_main(void *thread) {
    rr__thread *t = thread;
    t->run(t->arg);
    return RR__THREAD_DONE;
}

static bool rr__thread_start(rr__thread *t, void (*run)(void *), void *arg) {
    t->run = run, t->arg = arg;
    return rr__thread_create(&t->id, rr__thread_main, t);
}
static void rr__thread_join(rr__thread *t) { rr__thread_wait(t->id); }

/* Where the system's own sleep is not to be had: a wait for what nobody signals. */
RR__UNUSED static void rr__sleep_on_cond(double seconds) {
    rr__mutex m;
    rr__cond c;
    if (!rr__mutex_init(&m)) return;
    if (rr__cond_init(&c)) {
        rr__lock(&m);
        rr__cond_wait_for(&c, &m, seconds);
        rr__unlock(&m);
        rr__cond_destroy(&c);
    }
    rr__mutex_destroy(&m);
}

#if !RR__UNIX || !defined(CLOCK_MONOTONIC)
#define RR__SLEEP(t, seconds) ((void)(t), rr__sleep_on_cond(seconds))
#else
#define RR__SLEEP(t, seconds) nanosleep((t), NULL)
#endif

static void rr__sleep(double seconds) {
    struct timespec t = rr__to_timespec(seconds);
    RR__SLEEP(&t, seconds);
}

#if RR__UNIX
#define RR__AT_FORK(prepare, parent, child) pthread_atfork((prepare), (parent), (child))
#else
#define RR__AT_FORK(prepare, parent, child) ((void)(prepare), (void)(parent), (void)(child))
#endif

static int rr__cpu_count(void) {
#if defined(_WIN32)
    return (int)GetActiveProcessorCount(0xffff); /* of all groups */
#elif RR__UNIX && defined(_SC_NPROCESSORS_ONLN)
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 && n < INT_MAX ? (int)n : 1;
#else
    return 1;
#endif
}

/* Then nothing comes of waiting awake for what another one does. */
static bool rr__has_one_cpu(void) {
    static RR__ATOMIC(int) known;
    int count = rr__load_relaxed(&known); /* whoever looks finds the same */
    if (!count) rr__store_relaxed(&known, count = rr__cpu_count());
    return count == 1;
}
