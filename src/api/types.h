/* The values that users hold: references, actors, streams, blocks of bytes, types. */
#pragma once
#include "language.h"

/* A reference to an object: a value that exists or will exist, held in the
   store of one runtime. Small, copied freely; the count that it stands for is
   not copied with it (see OWNERSHIP). {0} is the null reference. The fields
   are the library's: an id that is never used twice, the slot, the runtime. */
typedef struct rr_ref {
    uint64_t id;
    uint32_t slot, home;
} rr_ref;

/* A handle of an actor. {0} is the null handle. */
typedef struct rr_actor {
    uint64_t id;
    uint32_t slot, home;
} rr_actor;

/* A stream that this program reads: the objects that a body yields, one after the other. {0} is the
   null handle. */
typedef struct rr_stream {
    uint64_t id;
    uint32_t slot, home;
} rr_stream;

/* A block of bytes: as an argument and as a result by value, as a view of an
   object's own memory from rr_get (read-only, 64-byte aligned, no copy). */
typedef struct rr_bytes {
    const void *data;
    size_t size; /* in bytes */
} rr_bytes;

/* The values of many objects, in the order of the references they came from. */
typedef struct rr_many {
    const rr_bytes *items;
    size_t count;
} rr_many;

/* An open scope; the value belongs to the thread and is given back to rr_scope_end. */
typedef struct rr_scope {
    size_t start, outer, depth;
    uint32_t serial;
} rr_scope;

/* An independent set of workers, store and actors. */
typedef struct rr_runtime rr_runtime;

/* What a value is: how it is spelt, how big it is, and which scalar, if it is
   one. Made by RR_TYPE(T). Scalars match by kind (int64_t is long where it is),
   structs and unions by name and size. */
typedef struct rr_type {
    const char *name;
    uint32_t size; /* bytes */
    uint16_t align;
    uint16_t kind;
} rr_type;

/* A value with its type, for calls that are checked at run time. RR_VALUE(T, v). */
typedef struct rr_value {
    rr_type type;
    const void *data;
} rr_value;

/* The static descriptor that the REMOTE_ macros make: what a call needs to
   know. Only its name and signature hash may leave the process. */
typedef struct rr_function rr_function;
