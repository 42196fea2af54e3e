/* Atomics: all of the library go through these, with the order in the name. */
#pragma once
#include "platform.h"

#if !defined(__STDC_NO_ATOMICS__) && !defined(__TINYC__)
#include <stdatomic.h>
#define rr__load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define rr__load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define rr__load_seq_cst(p) atomic_load_explicit((p), memory_order_seq_cst)
#define rr__store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define rr__store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define rr__store_seq_cst(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)
#define rr__add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define rr__add_acq_rel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define rr__add_seq_cst(p, v) atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define rr__sub_acq_rel(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
#define rr__sub_seq_cst(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_seq_cst)
#define rr__or_seq_cst(p, v) atomic_fetch_or_explicit((p), (v), memory_order_seq_cst)
#define rr__and_seq_cst(p, v) atomic_fetch_and_explicit((p), (v), memory_order_seq_cst)
#define rr__swap_seq_cst(p, v) atomic_exchange_explicit((p), (v), memory_order_seq_cst)
#define rr__cas_seq_cst(p, expected, v)                                                            \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_seq_cst,            \
                                            memory_order_acquire)
#else
/* A compiler without atomics: one lock around each access. Slow and right. */
#include <pthread.h>
static pthread_mutex_t rr__atomic_mutex = PTHREAD_MUTEX_INITIALIZER;
#define RR__ATOMICALLY(p, v, update)                                                               \
    ({                                                                                             \
        __typeof__(*(p)) rr__new = (v), rr__old;                                                   \
        pthread_mutex_lock(&rr__atomic_mutex);                                                     \
        rr__old = *(p);                                                                            \
        update;                                                                                    \
        pthread_mutex_unlock(&rr__atomic_mutex);                                                   \
        (void)rr__new;                                                                             \
        rr__old;                                                                                   \
    })
#define rr__load_relaxed(p) RR__ATOMICALLY(p, 0, (void)0)
#define rr__load_acquire(p) RR__ATOMICALLY(p, 0, (void)0)
#define rr__load_seq_cst(p) RR__ATOMICALLY(p, 0, (void)0)
#define rr__store_relaxed(p, v) (void)RR__ATOMICALLY(p, v, *(p) = rr__new)
#define rr__store_release(p, v) (void)RR__ATOMICALLY(p, v, *(p) = rr__new)
#define rr__store_seq_cst(p, v) (void)RR__ATOMICALLY(p, v, *(p) = rr__new)
#define rr__add_relaxed(p, v) RR__ATOMICALLY(p, v, *(p) += rr__new)
#define rr__add_acq_rel(p, v) RR__ATOMICALLY(p, v, *(p) += rr__new)
#define rr__add_seq_cst(p, v) RR__ATOMICALLY(p, v, *(p) += rr__new)
#define rr__sub_acq_rel(p, v) RR__ATOMICALLY(p, v, *(p) -= rr__new)
#define rr__sub_seq_cst(p, v) RR__ATOMICALLY(p, v, *(p) -= rr__new)
#define rr__or_seq_cst(p, v) RR__ATOMICALLY(p, v, *(p) |= rr__new)
#define rr__and_seq_cst(p, v) RR__ATOMICALLY(p, v, *(p) &= rr__new)
#define rr__swap_seq_cst(p, v) RR__ATOMICALLY(p, v, *(p) = rr__new)
#define rr__cas_seq_cst(p, expected, v)                                                            \
    ({                                                                                             \
        __typeof__(*(p)) rr__new = (v);                                                            \
        pthread_mutex_lock(&rr__atomic_mutex);                                                     \
        bool rr__same = *(p) == *(expected);                                                       \
        if (rr__same) *(p) = rr__new;                                                              \
        else *(expected) = *(p);                                                                   \
        pthread_mutex_unlock(&rr__atomic_mutex);                                                   \
        rr__same;                                                                                  \
    })
#endif
