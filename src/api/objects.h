/* Objects: putting, reading, waiting, gathering, pinning, naming; counts and scopes. */
#pragma once
#include "status.h"

/* rr_ref rr_put(T, value): stores a copy of a value. Errors in the reference:
   RR_ERR_NO_MEMORY, RR_ERR_NOT_RUNNING; with rr_config.store_bytes RR_ERR_STORE_FULL,
   RR_ERR_IO (others could not go to a file).
   Threads: any. Blocks: only for room (THE STORE). In tasks: yes; so for all below that say nothing
   else. */
#define rr_put(T, ...) rr__put(RR_TYPE(T), (T[1]){__VA_ARGS__}, RR__SITE)

/* rr_ref rr_put_bytes(const void *data, size_t size): stores a copy of size bytes. */
#define rr_put_bytes(...) rr__put_bytes(__VA_ARGS__, RR__SITE)

/* rr_ref rr_create(size_t size, void **room): an object of size bytes that the
   caller fills in place and then seals. *room is 64-byte aligned, NULL on failure
   (the reference holds the error), and may be written until rr_seal. Nobody sees
   the object before. */
#define rr_create(...) rr__create(__VA_ARGS__, RR__SITE)

/* Makes an object from rr_create readable, for ever unchanged, and wakes who
   waits for it. Errors: RR_ERR_INVALID if it is sealed already or was not made by
   rr_create, RR_ERR_STALE, RR_ERR_NOT_RUNNING. */
rr_status rr_seal(rr_ref ref);

/* In a body that returns rr_bytes: room for its result, in the store, 64-byte
   aligned. Return it (all of it or its first bytes) and nothing is copied, unless
   it is so much less that the rest of the room is worth a copy. A second call
   gives up the first. Returns NULL if there is no room, and the task then fails
   with that; NULL with a warning outside a body. */
void *rr_result(size_t size);

/* The same, and the room starts with what an argument of the body holds: it is that argument's own
   memory if nobody else counts the object at that moment (views in scopes and rr_write_memory
   do) and the body is not to run again (.max_retries; a method of an actor with options; a
   function under RR_EVICT_REBUILD without .no_rebuild); else a copy. So a large block is updated
   step by step without a copy, and objects stay as they are for everybody who can see them. Pass
   the argument as the body was given it. Taken over, it is the room from then on: what is written
   there changes what the argument shows, and a further rr_result gives both up. NULL if it is no
   argument of the body (the task fails with RR_ERR_INVALID), else as rr_result.
   Blocks: a copy may wait for room. */
void *rr_result_from(rr_bytes argument);

/* bytes by value, as an argument or a result. They are copied: those of a result after the body has
   ended, when its local arrays are gone; a block from malloc stays the caller's. See rr_result. */
static inline rr_bytes rr_bytes_of(const void *data, size_t size) {
    rr_bytes bytes = {data, size};
    return bytes;
}

/* rr_status rr_get(T, rr_ref ref, T *out): waits for the object and copies its
   value. T rr_bytes: a view of the object's memory, valid, and the object kept,
   until the innermost open scope ends; outside any scope until the object ends,
   which its value then spends in memory. T rr_ref, rr_actor: a count of the
   caller's own, in its scope. T rr_many: views of the parts. On failure *out is
   zeroed.
   Errors: the error that the object holds; RR_ERR_TYPE, RR_ERR_STALE,
   RR_ERR_DEADLOCK, RR_ERR_NO_MEMORY, RR_ERR_NOT_RUNNING, in a cancelled body RR_ERR_CANCELLED;
   with rr_config.store_bytes, for a value that is not in memory, RR_ERR_STORE_FULL, RR_ERR_IO,
   RR_ERR_OBJECT_LOST.
   Blocks: until the object is complete; may run the task it waits for. */
#define rr_get(T, ref, out) rr__get((ref), &RR_TYPE(T), (1 ? (out) : (T *)0), -1)

/* The same, at most so many milliseconds (negative: no limit; 0: not at all).
   Errors: also RR_ERR_TIMEOUT. With a limit it runs no bodies itself. */
#define rr_get_timeout(T, ref, out, milliseconds)                                                  \
    rr__get((ref), &RR_TYPE(T), (1 ? (out) : (T *)0), (milliseconds))

/* Waits for the end of a task whatever it returns, and drops the value. */
rr_status rr_get_void(rr_ref ref);

/* T rr_unwrap(T, rr_ref ref): the value; on an error its message on stderr and
   abort(). It is assigned because compilers say of what is only read, in a
   statement of its own, that nobody uses it. */
#define rr_unwrap(T, ref)                                                                          \
    ((T[1]){RR__ZERO}[0] = *(T *)rr__unwrap((ref), &RR_TYPE(T), (T[1]){RR__ZERO}, RR__SITE))

/* Is the object complete, with a value or an error? True for what rr_get would
   answer at once. One load. Blocks: no. */
bool rr_ready(rr_ref ref);

/* How many bytes the value of a complete object has, in memory or not, which this does not change;
   of one from rr_create that is not sealed its room; of a gather those of its parts together (of a
   part that is a gather, of its array of views). 0: it is pending, or failed, or stale, or has
   none. Blocks: no. */
size_t rr_size(rr_ref ref);

/* Waits until k of n references are ready (value or error), at most so many
   milliseconds (negative: no limit; 0: poll). Returns how many are, at most k,
   and writes their indices to ready (room for k; may be NULL): those that were
   ready at the call in their order, then in order of completion. The references
   stay as they are. Costs O(n) once, not O(n) per wake-up. A wait for all of
   them without a limit may run their tasks itself. One without a limit returns
   what is ready if so many can never be, because they wait for the caller
   themselves. Without a runtime it returns 0. rr_error_message((rr_ref){0}) says
   why it is short.
   Blocks: yes. In tasks: yes. */
size_t rr_wait(const rr_ref *refs, size_t n, size_t k, int64_t milliseconds, size_t *ready);

/* rr_ref rr_gather(const rr_ref *refs, size_t n): one object of type rr_many out
   of n objects, complete when all of them are. It fails as the first of them (in
   their order) that failed. It counts its parts; the caller's own counts of them
   stay. Blocks: no. */
#define rr_gather(...) rr__gather(__VA_ARGS__, RR__SITE)

/* rr_pin waits for the object, brings its value into memory if it is not there, and keeps it there
   until rr_unpin was called as often; a pinned object also lives. Errors of rr_pin: those of
   rr_get; of rr_unpin: RR_ERR_INVALID if it is not pinned, RR_ERR_STALE. */
rr_status rr_pin(rr_ref ref);
rr_status rr_unpin(rr_ref ref);

/* rr_ref rr_put_as(const char *name, T, value): puts a value and gives it the name, by which
   rr_find finds it, in place of the object that had it before: who holds that keeps it.
   rr_name names any reference, also a pending one, copied; a null reference takes the name away.
   The name counts the object until then, or until the end of the runtime.
   rr_find: *out is a count of the caller's own, in its scope. rr_exists: has an object the name
   now? (Another thread may take it away, or give it, right after.)
   Errors: RR_ERR_NOT_FOUND (rr_find, and rr_name of a null reference: nothing has the name),
   RR_ERR_STALE, RR_ERR_INVALID (no name, no out), RR_ERR_NO_MEMORY,
   RR_ERR_NOT_RUNNING. Blocks: no. */
#define rr_put_as(name, T, ...) rr__put_as((name), RR_TYPE(T), (T[1]){__VA_ARGS__}, RR__SITE)
rr_status rr_name(const char *name, rr_ref ref);
rr_status rr_find(const char *name, rr_ref *out);
bool rr_exists(const char *name);

/* rr_retain, rr_release, rr_keep, rr_give, rr_take take an rr_ref, an rr_actor or
   an rr_stream. On a stale handle they do nothing.
   rr_retain adds a count of the caller's own, which no scope releases: for the
   body or thread itself, which is to have the handle for longer than a scope, and
   gives the count back itself. It is not for another thread: the caller's next
   rr_release takes that count, and not the scope's. That is what rr_give is for.
   rr_release gives back a count: the last retained one, else the one that an
   open scope holds (the scope then leaves it alone), else one the caller
   received outside every scope.
   rr_keep takes a handle out of its scope and returns it: from now on it is the
   caller's to release.

   From one thread or body to another, by way of memory that both see, or in a
   struct that is passed or returned:
   rr_give adds a count for whoever receives the handle, and returns it. Scopes
   and rr_release of the giver leave that count alone.
   rr_take makes that count the calling thread's own, as if the call had made the
   handle: in its innermost scope, outside of scopes the caller's to release.
   Returns the handle. Take it once for each rr_give: a count that nobody takes
   keeps the object until rr_shutdown, which lists it (rr_config.report_leaks); to
   take one that was not given is undefined.
   Errors in the handle that rr_take returns: RR_ERR_NO_MEMORY, if a scope has no
   room for it. The count is then still there to be taken, with the handle that
   was given. Blocks: no. */
// clang-format off
#define rr_retain(handle)                                                                          \
    _Generic((handle), rr_ref: rr__retain_ref, rr_actor: rr__retain_actor,                         \
             rr_stream: rr__retain_stream)(handle)
#define rr_release(handle)                                                                         \
    _Generic((handle), rr_ref: rr__release_ref, rr_actor: rr__release_actor,                       \
             rr_stream: rr__release_stream)(handle)
#define rr_keep(handle)                                                                            \
    _Generic((handle), rr_ref: rr__keep_ref, rr_actor: rr__keep_actor,                             \
             rr_stream: rr__keep_stream)(handle)
#define rr_give(handle)                                                                            \
    _Generic((handle), rr_ref: rr__give_ref, rr_actor: rr__give_actor,                             \
             rr_stream: rr__give_stream)(handle)
#define rr_take(handle)                                                                            \
    _Generic((handle), rr_ref: rr__take_ref, rr_actor: rr__take_actor,                             \
             rr_stream: rr__take_stream)(handle)
// clang-format on

/* Opens a scope on this thread: what the thread receives from now on is released
   by the matching rr_scope_end, unless kept. Scopes nest; the body of a task is
   one. Ending an outer scope ends those inside it. A scope that was ended, or is
   another thread's, is left alone with a warning. Without memory for it there is
   a scope all the same, and nothing leaks out of it: until its end what would
   return a handle or a view on this thread is RR_ERR_NO_MEMORY; values are read
   and handles released as always. The log says so. Blocks: no. */
rr_scope rr_scope_begin(void);
void rr_scope_end(rr_scope scope);
