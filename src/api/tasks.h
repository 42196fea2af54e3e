/* Tasks: remote functions, calls, cancelling, streams. */
#pragma once
#include "config.h"
#include "objects.h"

/* REMOTE_FN(R, name, T1, a1, ...) { body }
   Defines a C function `R name(T1 a1, ...)` with 0 to 16 parameters that can be
   called as always or as a task with rr_call, and registers it before main. R may
   be void. Its name is unique in the program.
   REMOTE_FN_DECLARE(R, name, T1, a1, ...); declares it for other units. */
#define REMOTE_FN(...) RR__FN(RR__PAIRS(__VA_ARGS__), __VA_ARGS__, ~)
#define REMOTE_FN_DECLARE(...) RR__FN_DECLARE(RR__PAIRS(__VA_ARGS__), __VA_ARGS__, ~)

/* rr_ref rr_call(name, x1, ...): submits a task and returns the reference to its
   result. Each x is a value (converted as in a call) or an rr_ref to an object of
   the parameter's type, in any mixture; the body runs when all of them are there.
   A parameter of type rr_ref gets the reference itself. What is wrong becomes the
   error in the reference: RR_ERR_TYPE, RR_ERR_STALE, RR_ERR_NO_MEMORY,
   RR_ERR_NOT_RUNNING, or the error of the argument that failed. */
#define rr_call(...) RR__CALL(RR__AFTER(__VA_ARGS__), __VA_ARGS__, ~)

/* rr_ref rr_call_named(const char *name, ...): the same by name, the arguments
   being references or RR_VALUE(T, value). Checked at run time: also
   RR_ERR_NOT_FOUND (the message names the nearest ones), RR_ERR_ARITY. */
#define rr_call_named(...) RR__CALL_NAMED(RR__AFTER(__VA_ARGS__), __VA_ARGS__, ~)
#define RR_VALUE(T, ...) ((rr_value){RR_TYPE(T), (T[1]){__VA_ARGS__}})
#define RR_TYPE(T) ((rr_type){RR__TYPE(T)})

/* rr_ref rr_call_with(RR_OPTIONS(...), f, x1, ...): rr_call with options. Errors in the reference:
   also RR_ERR_INVALID for an option that cannot be. */
#define rr_call_with(options, ...)                                                                 \
    RR__CALL_WITH(((const rr_options[1]){options}), RR__AFTER(__VA_ARGS__), __VA_ARGS__, ~)
#define RR_OPTIONS(...) ((rr_options){__VA_ARGS__})

/* Cancels a task or a message, with all that its body has called and sent. What has not begun never
   runs. The reference fails with RR_ERR_CANCELLED at once; a body that runs goes on, is told by
   rr_cancelled, and what it returns is dropped. Actors that it made live on.
   rr_cancel_alone leaves alone what the body has called.
   Errors: RR_ERR_INVALID if it is finished or no task, RR_ERR_STALE, RR_ERR_NOT_RUNNING.
   Threads: any. Blocks: no. In tasks: yes, also its own. */
rr_status rr_cancel(rr_ref ref);
rr_status rr_cancel_alone(rr_ref ref);

/* In a body: has its task been cancelled, or is it past its time limit, or was its actor ended by
   rr_kill? Then its waits and sleeps return at once (RR_ERR_CANCELLED; rr_unwrap returns zeros),
   what it calls is cancelled (unless by rr_cancel_alone), and it should return. Outside: false.
   Two loads. */
bool rr_cancelled(void);

/* In a body: how many attempts came before this one (rr_options.max_retries; of a method
   rr_actor_options.max_method_retries: 255 at most). Outside: 0. */
int rr_attempt(void);

/* Around a call that may block, in a body: meanwhile another thread does the worker's work. Pairs
   nest; what a body leaves open ends with it. Outside: nothing. Threads: the body's own. */
void rr_block_begin(void);
void rr_block_end(void);

/* Marks the running task as failed, with a code of the program's own and a
   message (printf). The body goes on and returns; what it returns is dropped. The
   first call counts. Outside a body: a warning. Threads: the body's own. */
void rr_fail(int code, const char *format, ...) RR__PRINTF(2, 3);

/* rr_ref rr_field(T, rr_ref ref, Struct, member): of a task with several results, that is, one that
   returns a struct: a reference to one member, of type T. Complete when the struct is, failed as
   that is. Errors in the reference: also RR_ERR_TYPE if the object holds something else, and
   RR_ERR_INVALID for members that are handles or rr_bytes. Blocks: no. */
#define rr_field(T, ref, Struct, member)                                                           \
    rr__field((ref), &RR_TYPE(Struct), RR_TYPE(T),                                                 \
              offsetof(Struct, member) + RR__SAME_TYPE(T, ((Struct *)rr__nil)->member), RR__SITE)

/* REMOTE_STREAM(T, name, T1, a1, ...) { body }
   A remote function that returns nothing, but yields objects of type T, any number of them, while
   it runs. REMOTE_STREAM_DECLARE declares it for other units.

   rr_stream rr_call_stream(name, x1, ...), rr_call_stream_with(RR_OPTIONS(...), name, x1, ...):
   submits it, as rr_call does, and returns the reader's handle, which is counted as references are:
   rr_keep, rr_retain, rr_release. When nobody holds it any more the body is cancelled, and what is
   unread is released. A handle is for the threads of this program, and no argument of calls. */
#define REMOTE_STREAM(...) RR__STREAM_FN(RR__PAIRS(__VA_ARGS__), __VA_ARGS__, ~)
#define REMOTE_STREAM_DECLARE(...) RR__STREAM_DECLARE(RR__PAIRS(__VA_ARGS__), __VA_ARGS__, ~)
#define rr_call_stream(...) RR__CALL_STREAM(NULL, RR__AFTER(__VA_ARGS__), __VA_ARGS__, ~)
#define rr_call_stream_with(options, ...)                                                          \
    RR__CALL_STREAM(((const rr_options[1]){options}), RR__AFTER(__VA_ARGS__), __VA_ARGS__, ~)

/* rr_status rr_yield(T, value): in the body of a stream: the next object. Waits, without a worker,
   while as much is unread as rr_options.max_unread and max_unread_bytes say. An attempt
   (rr_options.max_retries) has to yield again what those before it did, which is dropped.
   Errors: RR_ERR_CANCELLED if nobody reads any more or the task was cancelled, and the body should
   return; RR_ERR_TYPE, RR_ERR_STALE and those of rr_put; RR_ERR_INVALID outside of such a body.
   After an error of another kind than RR_ERR_CANCELLED and RR_ERR_INVALID the stream fails with it,
   behind what was yielded before. Threads: the body's own. */
#define rr_yield(T, ...) rr__yield(RR_TYPE(T), (T[1]){__VA_ARGS__}, RR__SITE)

/* Waits for the next object of a stream: a reference of the caller's own, in its scope. In the
   order in which they were yielded; of several readers each object goes to one.
   rr_next_timeout: at most so many milliseconds (negative: no limit; 0: not at all).
   Errors: RR_ERR_END after the last one; what the body failed with, after what it had yielded;
   RR_ERR_LATE, likewise, if it was past its own time limit (rr_options.timeout_ms); RR_ERR_TIMEOUT,
   and the stream goes on; RR_ERR_STALE, RR_ERR_INVALID (out is NULL), RR_ERR_NO_MEMORY,
   RR_ERR_NOT_RUNNING, in a cancelled body RR_ERR_CANCELLED. *out is null then, and
   rr_error_message((rr_ref){0}) tells more.
   Threads: any. Blocks: yes. In tasks: yes, without a worker. */
rr_status rr_next(rr_stream stream, rr_ref *out);
rr_status rr_next_timeout(rr_stream stream, int64_t milliseconds, rr_ref *out);

/* Registers a remote function by hand, for the rare case that its constructor
   cannot run (see CAVEATS): rr_register(RR_FUNCTION(name)). Again is harmless.
   Errors: RR_ERR_DUPLICATE, RR_ERR_INVALID, RR_ERR_NO_MEMORY. Threads: any. */
rr_status rr_register(rr_function *function);
#define RR_FUNCTION(name) (&rr__fn_##name)
#define RR_STREAM(name) (&rr__stream_##name)
#define RR_CONSTRUCTOR(name) (&rr__create_##name)
#define RR_METHOD(name) (&rr__method_##name)
#define RR_DESTRUCTOR(Type) (&rr__drop_##Type)
