/* Statuses: one list of ids and texts. */
#pragma once
#include "types.h"

#define RR__STATUSES(X)                                                                            \
    X(RR_OK, "it worked")                                                                          \
    X(RR_ERR_INVALID, "an argument or the moment of the call is not allowed")                      \
    X(RR_ERR_STALE, "the handle is null, was released, or belongs to another runtime")             \
    X(RR_ERR_TYPE, "the value has another type than the one asked for")                            \
    X(RR_ERR_ARITY, "the number of arguments is not the number of parameters")                     \
    X(RR_ERR_NOT_FOUND, "nothing has this name")                                                   \
    X(RR_ERR_DUPLICATE, "the name is taken")                                                       \
    X(RR_ERR_NO_MEMORY, "memory ran out; everything before this call is intact")                   \
    X(RR_ERR_STORE_FULL, "the object does not fit into the store (rr_config.store_bytes)")         \
    X(RR_ERR_OBJECT_LOST, "the object made room for others and cannot be had again")               \
    X(RR_ERR_IO, "a file of rr_config.spill_dir could not be made, written or read")               \
    X(RR_ERR_TIMEOUT, "the time limit passed first")                                               \
    X(RR_ERR_LATE, "the stream ended because its own time limit (rr_options.timeout_ms) passed")   \
    X(RR_ERR_TASK, "a task failed (rr_fail)")                                                      \
    X(RR_ERR_CANCELLED, "it was cancelled")                                                        \
    X(RR_ERR_ACTOR_DEAD, "the actor ended or could not be made")                                   \
    X(RR_ERR_ACTOR_CRASHED, "the actor crashed while it ran this (rr_crash_actor)")                \
    X(RR_ERR_MAILBOX_FULL, "the actor has as many messages waiting as it may (max_pending)")       \
    X(RR_ERR_UNSCHEDULABLE, "it needs more of a resource than there is in all")                    \
    X(RR_ERR_END, "the stream has ended: there is nothing more to read")                           \
    X(RR_ERR_DEADLOCK, "the wait would never end: the tasks wait for each other in a ring")        \
    X(RR_ERR_NOT_RUNNING, "there is no runtime: rr_init was not called, or rr_shutdown was")       \
    X(RR_ERR_ALREADY_RUNNING, "the default runtime is running already")

/* What a call has to say. RR_OK is 0. */
typedef enum rr_status {
#define RR__STATUS_ID(id, text) id,
    RR__STATUSES(RR__STATUS_ID)
#undef RR__STATUS_ID
        RR__STATUS_COUNT
} rr_status;

/* The identifier of a status as a string, "RR_ERR_TIMEOUT"; static memory.
   Threads: any. */
const char *rr_status_name(rr_status status);
/* What a status means, in a sentence; static memory. Threads: any. */
const char *rr_status_text(rr_status status);

/* The message of an error, static until the calling thread's next library call
   that fails or asks, or until the object goes: for a failed object the whole
   chain ("task 'report' failed: its argument 1 'doubled' failed: ..."); for any
   other reference what the last failed call on this thread said. (rr_ref){0}: what
   that said, whatever it was about: every call that returns an error leaves a
   message. Never NULL.
   Threads: any. */
const char *rr_error_message(rr_ref ref);
/* The code that the first cause gave to rr_fail; 0 if the object did not fail
   or failed for another reason. Threads: any. */
int rr_error_code(rr_ref ref);
