/* Runtimes: starting, ending, choosing one; clocks. */
#pragma once
#include "config.h"

/* Starts the default runtime. NULL means an rr_config of zeros.
   Errors: RR_ERR_ALREADY_RUNNING; RR_ERR_INVALID for an impossible value;
   RR_ERR_DUPLICATE if two remote functions share a name (the log names the
   places); RR_ERR_NO_MEMORY if memory or threads run out.
   Threads: any. Blocks: no. In tasks: refused with RR_ERR_ALREADY_RUNNING. */
rr_status rr_init(const rr_config *config);

/* Ends the default runtime: refuses new work from outside, lets what was
   submitted finish, runs the destructors of the actors, joins every thread and
   frees everything. Handles of the runtime mean nothing afterwards. Objects
   from rr_create that nobody sealed fail, so that what waits for them ends.
   Other threads that used the runtime let go of its memory at their next call
   when they end.
   Errors: RR_ERR_NOT_RUNNING, also if another thread is at it already;
   RR_ERR_INVALID from inside a task; RR_ERR_NO_MEMORY, of a thread that has not
   used the runtime before.
   Threads: any, one wins. Blocks: until all is done. In tasks: no. */
rr_status rr_shutdown(void);

/* Starts a runtime beside the default one. Returns NULL if it cannot, with the
   reason in the log and in rr_error_message((rr_ref){0}). Threads: any. */
rr_runtime *rr_runtime_create(const rr_config *config);

/* As rr_shutdown, for a runtime made by rr_runtime_create. One that was destroyed
   before is RR_ERR_NOT_RUNNING, unless a new one has got its address: then the
   pointer is that one's. */
rr_status rr_runtime_destroy(rr_runtime *runtime);

/* Makes the calls of this thread go to a runtime; NULL for the default one.
   Inside a body it holds until the body ends. Returns what was chosen before, to
   be given back to rr_runtime_use and to nothing else.
   Another thread may destroy the runtime before, meanwhile or afterwards: from
   then on the calls of this thread say RR_ERR_NOT_RUNNING until it chooses anew,
   also if a new runtime has got the address. A pointer to one that had ended
   before the call is that of the new one, if there is one at its address.
   Threads: acts on the calling one. */
rr_runtime *rr_runtime_use(rr_runtime *runtime);

/* Seconds of a clock that never goes back. Threads: any. */
double rr_now(void);

/* Sleeps: in a body without a worker, and if its task is cancelled it wakes at once.
   Threads: any. In tasks: yes. */
void rr_sleep_ms(int64_t milliseconds);
