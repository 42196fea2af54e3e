/* Looking inside. */
#pragma once
#include "config.h"
#include "objects.h"

/* Fills in the counters of the runtime in use; zeros if there is none.
   Threads: any. Blocks: no. */
void rr_get_stats(rr_stats *out);

/* How much there is of a resource, and how much of that nobody uses now; "cpu": of the workers.
   Each output may be NULL. Errors: RR_ERR_NOT_FOUND if rr_config.resources does not name it,
   RR_ERR_INVALID without a name, RR_ERR_NOT_RUNNING; the outputs are 0 then. Threads: any.
   Blocks: no. */
rr_status rr_resources(const char *name, double *total, double *available);

/* Why is this not complete yet? Writes a sentence, cut to size bytes with its end: what it waits
   for and what that waits for, which actor has it and what that runs, whether it is queued,
   running, or between two attempts. A look at a moment: it may be over when it is read.
   Errors: RR_ERR_STALE, RR_ERR_NOT_RUNNING; the text says so, too. Threads: any. Blocks: no. */
rr_status rr_why(rr_ref ref, char *text, size_t size);

/* Writes a table of all live objects, the largest first, for finding out what keeps memory:

       bytes state    held argument contained pinned what             made at
     4194304 spilled     1        0         0      0 rr_bytes         model.c:31

   bytes: of the value, or an actor's state, as the user sees them, wherever they are. state:
   pending, running, inline (in the slot), arena (outside of it), spilled, dropped (made again when
   it is asked for), gather, failed, actor. What counts the object: held (references and actor
   handles that are not yet released, views, what running bodies take), argument (calls that have
   not begun, or that the store may make again), contained (in objects, gathers and names), pinned
   (rr_pin). Others go on meanwhile: what changes during the call may be counted as before or after.
   Errors: RR_ERR_INVALID (file is NULL), RR_ERR_IO (it could not be written), RR_ERR_NO_MEMORY,
   RR_ERR_NOT_RUNNING. Threads: any. In tasks: yes. Blocks: only for the file. */
rr_status rr_write_memory(FILE *file);
