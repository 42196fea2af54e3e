/* rustyray.h - Ray Core's model for C, in one header. MIT licence, in full at the end.

DO THIS

    #define RUSTYRAY_IMPLEMENTATION
    #include "rustyray.h"

  in one .c file of the program, and only the #include in the others. That one file also needs
  stb_ds.h (Debian: libstb-dev). Then

    cc -std=c11 -O2 program.c $(pkg-config --cflags stb) -pthread

QUICK EXAMPLE (examples/01_hello.c)

    // 01_hello: a remote function, calls chained through references, an actor.
    #define RUSTYRAY_IMPLEMENTATION
    #include "rustyray.h"

    REMOTE_FN(int, add, int, a, int, b) { return a + b; }

    typedef struct Counter {
        int total;
    } Counter;
    REMOTE_ACTOR(Counter, create, int, start) { self->total = start; }
    REMOTE_METHOD(int, Counter, add, int, by) { return self->total += by; }

    int main(void) {
        if (rr_init(NULL) != RR_OK) return 1;
        rr_ref five = rr_call(add, 2, 3);      // a task: returns at once
        rr_ref twelve = rr_call(add, five, 7); // runs when five is there
        rr_actor counter = rr_spawn(Counter_create, 30);
        rr_ref total = rr_ask(counter, Counter_add, twelve);
        printf("%d and %d\n", rr_unwrap(int, twelve), rr_unwrap(int, total));
        return rr_shutdown() == RR_OK ? 0 : 1; // frees everything
    }

CONTENTS (grep -n '^// >>' rustyray.h)

  api/      what you call; api/macros: what the REMOTE_ macros are made of
  base/     compilers, atomics, threads, memory: knows nothing of tasks
  core/     objects, queues, workers, resources, timers, waiting
  store/    values outside their slots: room, files, pins, scopes, names
  tasks/    arguments, running, completing, cancelling, streams
  actors/   mailboxes, their life, their turns
  insight/  statistics, what keeps memory, why something waits
  runtime/  configuring, starting, attaching, stopping
  public/   the functions that you call: checks, then one call

  Each part of the implementation uses only those above it, and begins with what it is for, its
  states and rules, and its locks. The header is made of them: the folder src/ where it comes from.

CAVEATS

  Only bytes cross. Arguments and results are copied bit by bit: scalars, structs, rr_bytes,
    handles. A pointer inside a struct is copied as a number and means something only as long as
    what it points to lives, in this process.
  Names are unique in a program. Two REMOTE_FNs with one name, also in two libraries, make rr_init
    fail with RR_ERR_DUPLICATE and name both places. Destructors: one for each actor type.
  Constructors in static libraries. The linker drops an object file that nothing refers to, and
    with it the registration of its functions. Calling one with rr_call is a reference; for those
    that are called by name only, call rr_register(RR_FUNCTION(name)) from a file that is linked
    (RR_STREAM, RR_CONSTRUCTOR, RR_METHOD, RR_DESTRUCTOR for the others).
  Libraries opened with dlopen may define remote functions if the program exports the library's
    symbols (link it with -rdynamic). Do not dlclose one: its functions stay registered.
  At least once. A function that failed may run again if its call has retries, and one whose result
    left memory without a file (RR_EVICT_REBUILD) when that is needed: see THE STORE.
  Files. With rr_config.store_bytes values may go to files in rr_config.spill_dir, else TMPDIR, else
    /tmp (Windows: TEMP, else the current folder). Where that is memory itself (tmpfs) this gains
    nothing: name a folder on a disk, with room for all that is to live beyond the limit.
  Forking. The child of a process that runs a runtime may not use it (RR_ERR_NOT_RUNNING); it may
    call rr_init for one of its own.
  The body of a task runs on a stack of its own, which threads of the pool, or one that waits for
    it, carry. It finds rr_config.stack_bytes free; what it overflows ends the program at a guard
    page. After a wait it may go on on another thread: thread-local variables of yours (and errno)
    are not the task's own, a lock of yours must not be held over a wait, and longjmp out of a body
    is undefined.
  One thread in one actor at a time, but not always the same thread.
  Releasing a handle more often than it was received or retained, or taking it (rr_take) more often
    than it was given, while others still hold it, takes a count of theirs. That cannot be told from
    a correct call, and is undefined.
  Compilers without <stdatomic.h> or thread-local variables (tcc) get a build with one lock around
    every atomic operation: right, and slow.

CONCEPTS

  Runtime    A set of workers (threads), objects and actors. rr_init starts the default one;
             rr_runtime_create makes more. A handle means something in its own runtime only.
  Task       A call of a remote function: rr_call returns at once, the body runs on a worker when
             all its arguments are there. rr_call_with gives it a time limit, retries, a priority,
             resources, and says that its body blocks. rr_cancel ends it, with all it has called.
  Reference  rr_ref, a small value that stands for the result of a task, or for a value that was
             put. What Ray calls an ObjectRef; a future. It can be passed to calls long before the
             result exists, read any number of times, stored, returned.
  Object     What a reference stands for: immutable once complete, with a value of a known type or
             an error. Lives in the runtime's store.
  Actor      State that only its methods touch, and a mailbox. rr_spawn makes one; rr_ask sends it
             a message and returns a reference; rr_tell sends one without. Methods run one at a
             time, on the pool: an idle actor is some 200 bytes of memory and no thread. One that
             calls rr_crash_actor is made anew by its constructor, if its options say so.
  Stream     What a body yields while it runs, read object by object (rr_call_stream, rr_next).
  Resource   Something of which there is a limited amount: CPUs, that is, workers, and what
             rr_config.resources names. Tasks that need some wait until they get it.
  Scope      A stretch of code at whose end the references received in it are released. The body
             of a task is one.

  From Ray:  @ray.remote def f      REMOTE_FN(R, f, ...)     f.remote(x)     rr_call(f, x)
             @ray.remote class A    REMOTE_ACTOR, _METHOD    a.m.remote(x)   rr_ask(a, A_m, x)
             ray.get(r)             rr_get, rr_unwrap        ray.put(v)      rr_put, rr_put_bytes
             ray.wait(rs, k)        rr_wait                  ray.kill(a)     rr_kill
             ray.get_actor(name)    rr_find_actor            f.remote([rs])  rr_gather(rs, n)
             ray.cancel(r)          rr_cancel                f.options(...)  rr_call_with(...)
             num_returns=n          rr_field                 generators      REMOTE_STREAM, rr_next
             max_restarts=n         rr_actor_options         custom resources  rr_config.resources
             object_store_memory    rr_config.store_bytes    ray memory     rr_write_memory

OWNERSHIP AND LIFETIMES

  An object lives while something counts it: a handle that is held, a task that needs it, an object
  or a scope that keeps it. Every call that returns a handle (rr_call, rr_put, rr_ask, rr_spawn,
  rr_gather, rr_get(rr_ref, ...), rr_find_actor) gives the caller one count.

  - Inside a scope that count is the scope's: released at its end, or early by rr_release, or taken
    out by rr_keep. Bodies are scopes, so a body that only calls and waits releases nothing by hand.
  - Outside every scope it is the receiver's, until rr_release. rr_shutdown frees what is left;
    rr_config.report_leaks lists it with the file and line of the call that made it.
  - rr_retain adds a count that no scope releases; the next rr_release takes that one first, so the
    pair changes nothing, in a scope or out of it. It is for who calls it, not for another thread.
  - A handle that goes to another thread or body by way of memory (a table, a queue of yours, a
    member of a struct) takes a count of its own along: rr_give(handle) adds it, no scope and no
    rr_release of the giver's touches it, and rr_take(handle) makes it the receiver's, in its scope.
    Once each: what is given and never taken stays until rr_shutdown.
  - Arguments: a task counts its arguments by itself; release yours right after the call if you
    like. A handle that a body receives as an argument is a count of its own, in its scope.
  - What a body returns is handed over: returning a reference that the body received or made is
    right without rr_keep; more of that below.
  - What goes into an actor's state must be kept (rr_keep) and is released in its destructor.
  - Views (rr_get(rr_bytes, ...)) are the object's own memory: in a scope valid until its end, even
    if the reference is released before; outside until the object ends.
  - rr_gather counts its parts; the references it was given stay the caller's.

  What a body returns: it is copied when the body has ended, just before its scope ends.
  - rr_bytes: the bytes are copied, from wherever they are. Those of an argument, of a view or of
    static memory are right. A local array is gone by then: undefined. Nobody frees a block from
    malloc: it leaks. Make the bytes in rr_result(size) instead, of which nothing is copied; in
    rr_result_from(argument) where they are an argument's, changed here and there: if nobody else
    has that, its memory goes on as the result's.
  - A struct: its bytes. An rr_ref, rr_actor or rr_stream in it (an rr_stream also by itself) is
    then a number that nothing counts: the struct is read with RR_OK, and the handle in it is
    stale. Return the reference itself, or an rr_gather of several; or rr_give the handle in the
    body, and rr_take it, once, where the struct was read. A body that runs again (retries,
    RR_EVICT_REBUILD) gives again. The same holds of structs that are passed, put or yielded.

  A handle whose object is gone is stale. Using it is RR_ERR_STALE and nothing worse: ids are never
  used twice, and are compared before anything is touched. The message says whether it is null, was
  released, or belongs to another runtime.

THREADS AND BLOCKING

  Every function may be called from every thread, inside and outside of bodies; a handle may be
  passed between threads as any other value is (the receiver must see the sender's writes). A scope
  belongs to the thread that opened it.

  rr_get, rr_get_void, rr_unwrap, rr_wait, rr_next, rr_yield of a stream with a limit, and
  rr_shutdown wait; with rr_config.max_pending rr_call outside of bodies; rr_ask and rr_tell, if the
  mailbox is full and its actor was made with .when_full = RR_WAIT; with rr_config.store_bytes
  all that makes or reads values, for room or for a file; nothing else. Waiting
  inside a body is always allowed, to any depth: the waiter runs what it waits for, or what that
  waits for, itself if nobody has begun it, of an actor no message behind the one that is needed; if
  it must sleep, it is put aside with its stack, its thread goes on with other work, and any worker
  goes on with it when what it waits for is there. So a body that waits takes no thread, but for
  memory (see MEMORY), and there may be as many as there is memory for: an actor with
  .max_concurrency = 10000 has so many methods that wait at once. A wait with a time limit runs
  nothing itself, and no waiter runs a task that has one.

  If bodies wait for each other in a ring, the waits in it return RR_ERR_DEADLOCK, and
  rr_error_message names the ring: also where it leads by way of arguments, mailboxes, all methods
  of an actor with .max_concurrency, resources, streams, or some of many objects of which too few
  can ever be there. It is found a millisecond after they have begun to wait, or, where bodies have
  waited for long, within a tenth of a second (or twenty times what it takes to look at all that
  wait); nobody is told who can go on by himself. The time limit of a caller is not waited for. Wait
  for things that only other programs or threads of yours bring about (a socket, rr_create without
  rr_seal), for a reader of a stream, or for the end of an actor (rr_watch), and no ring is seen:
  that is yours.

  A body cannot be ended from outside. A task that is cancelled or past its time limit fails at once
  for all who wait for it; its body goes on, hears of it from rr_cancelled, and from its waits and
  sleeps, which return at once, and should return. Its result is dropped, and what it has called is
  cancelled with it. The methods of an actor that rr_kill ends hear of it likewise, but their
  results count; what any of its methods has called is cancelled, also if that has ended. A body
  that calls what blocks outside the library (read, a lock that is held long) keeps its worker from
  other work, unless it does so between rr_block_begin and rr_block_end, or its task was called
  with .blocking.

  Who runs when: a task with a priority runs before those of lower priority that have waited less
  than a second for each step between them. Those that need resources wait for them without a
  worker, each set of needs in a queue of its own, the oldest first. One that needs much is
  overtaken at most 32 times by others that fit, then what it needs is kept for it, unless what it
  lacks is held by something that waits itself. A body that waits lends its CPUs, and keeps the
  rest; of two that hold what the other one's call needs, the waits are a ring. A task
  that is to take two workers begins when two have nothing to do or have ended a task; between two
  such tasks others have their turn. .num_cpus = 1 is what every task has.

  Supervision: rr_crash_actor declares an actor's state broken. Its destructor must stand that
  state, and the constructor its arguments a second time. rr_watch tells when and why an actor has
  ended, to whoever is to make another one: examples/13_supervisor.c.

  Order: methods of an actor run in the order in which each caller sent them. A caller is a thread
  outside, one task, or one actor. Between callers, and between tasks, no order is promised.

ERRORS AND LOGGING

  Errors are values: an rr_status, or a reference that holds one. A body fails with
  rr_fail(code, "why"); its dependents do not run and fail likewise, with the status and the code
  of the first cause and a message that tells the whole chain:

    task 'report' failed: its argument 1 'doubled' failed: its argument 1 'parse' failed: row -3 ...

  rr_error_message(ref) gives that text, rr_error_code(ref) the code. For what is no object's error
  (a wrong type asked for, a time limit, a stale handle) it tells what the thread's last call on
  that reference said; rr_error_message((rr_ref){0}) what the thread's last call that failed said.
  A message names what to change. An error in a method that was told, and misuse that has no other
  way out, goes to the log: rr_config.log, or stderr. What may come with every request (a folder
  that cannot be written, a value that cannot be made again, a method that was told or a destructor
  that fails, misuse) is told once, and again after a minute; how often it came in between stands in
  a line ("27 more times: ...") in front of the next one, or at the end of the runtime. Nothing is
  ever written to stdout, and nothing ends the process, except rr_unwrap, which exists for that.

MEMORY

  Slots: 128 bytes for each object, task, message or actor; values of up to 32 bytes lie in the
  slot. Larger ones, and all rr_bytes, lie in 64-byte aligned blocks, carved from chunks of 16 KiB
  to 1 MiB: of 64 to 512 bytes in steps of 64, and to 64 KiB in steps of a quarter; above that each
  has memory of its own. With rr_config.store_bytes each of these takes 128 bytes more.
  A pending task with two arguments of 8 bytes takes 128 bytes and 8 to 16 in a queue; options of a
  call some 200 bytes until its result is released; an actor a slot and a block for 56 bytes and its
  state, and some 230 bytes more with options; a gather 24 bytes for each part; a stream two slots,
  500 bytes, and 8 for each unread object beside that itself.
  A body that waits keeps its stack: of memory the pages that it has touched, mostly one or two of 4
  KiB, and some 600 bytes; of addresses rr_config.stack_bytes and 304 KiB more. 100,000 that wait,
  each for an object of its own, took 560 MB. Up to 1,024 stacks are kept for reuse, and up to 32
  for each thread; those of more go back to the system when their bodies have ended.
  Free memory is kept and used again, because new pages cost several times what a copy into old ones
  does: RUSTYRAY_KEEP_BYTES of each size of blocks, and twice that of those above 64 KiB together.
  While the values in memory are more than RUSTYRAY_KEEP_BYTES, an eighth of what is in use is kept
  instead. The rest goes back to the system, large blocks at once, small ones RUSTYRAY_KEEP_SECONDS
  later, as far as whole chunks of them are free. So of values that are mostly above 256 bytes no
  more than 1.3 times their bytes are held (rr_stats.store_bytes_held): a fifth of a block at most
  is not used, and of large ones nothing. What lives long between small blocks that do not can cost
  more, as in every arena that does not move things.
  A failed allocation is RR_ERR_NO_MEMORY for that call; all else stays. So is a size that no memory
  has, unless rr_config.store_bytes forbids it first.

THE STORE

  Without rr_config.store_bytes no value ever leaves memory. With it the bytes of live values
  outside slots never exceed that, at any moment: as many as the program asked for, not what blocks
  are rounded up to, and without the states of actors and what plain arguments take. For a new one,
  or one that comes back, others leave, those first that were not used for a long time (by CLOCK,
  which tells that nearly; large ones sooner than small ones). Never those in use: viewed, pinned
  (rr_pin), arguments of a body that runs, not yet sealed. What becomes of the others
  says rr_config.evict:

    RR_EVICT_SPILL    They go to files in rr_config.spill_dir and come back when they are needed.
                      Two threads write, small ones together, up to 1 MiB; who needs one reads it,
                      and checks it. One that was there before leaves again without a write.
                      The files have no names, so that nothing of them outlives the process, however
                      that ends; their space is free again when all values in a file have ended.
    RR_EVICT_REBUILD  (or .no_spill) Results of remote functions are dropped and made again when
                      they are needed, by running the function on the thread that needs them, once
                      and without the options of the call (resources, a time limit); its arguments
                      are kept for that, or made again likewise. What was put or created, results of
                      methods, items of streams and fields stay. So a function may run
                      more often than it was called: at least once. It must do the same each time;
                      what else it does (counting, writing, sending) happens again. A call with
                      RR_OPTIONS(.no_rebuild = true) keeps its result in memory instead, and so does
                      what exceeds rr_config.lineage_bytes. If it fails when it runs again, the
                      result is lost: RR_ERR_OBJECT_LOST. The price is lineage: what a result was
                      made of stays known for as long as the result, and so on back to what was put:
                      some 300 bytes for each call. Values that only lineage keeps leave first, so
                      that of iterated work the newest generation stays, which is the one that is
                      read (what recipes reach in a gather or by an rr_ref counts as wanted). But if
                      that alone does not fit, making one value again may take all the work that led
                      to it: give the store room for what is in use at once, or spill.
    RR_EVICT_DROP     They are gone: a cache. Reading one is RR_ERR_OBJECT_LOST.

  If nothing can leave, and no body that runs has values in use, a request that does not fit fails
  at once with RR_ERR_STORE_FULL. If one has, the request waits until it has ended (a body lends its
  worker meanwhile). A task whose arguments do not fit together with those of others waits without
  them. When those that have values wait for room that the others hold, also by way of other things
  that they wait for, one of them gets RR_ERR_STORE_FULL. Its message has the size that was asked
  for, how much is in use, why none of that can leave, and what to change. Time limits of rr_get do
  not cut short the reading of a file or the making of a value.

  A full disk is RR_ERR_STORE_FULL, too, and one that fails RR_ERR_IO, for the requests that needed
  it; the message names the folder and what the system said. What was written before that, in the
  same go as well, counts; the rest stays in memory; what has a copy in a file may still leave.
  Values in files need room in memory to be read: when that is full of others for which the disk has
  none, they can be read again as soon as some of these have ended or were written.

  To see what keeps memory: rr_write_memory, rr_get_stats, and rr_config.report_leaks at the end.

COMPILE-TIME OPTIONS (define them before the implementation is included)

  RR_MALLOC(size), RR_CALLOC(n, size), RR_REALLOC(p, size), RR_FREE(p)
                           other functions for memory; all four together. (stb_ds, for the
                           registry, has its own: STBDS_REALLOC(context, p, size) and
                           STBDS_FREE(context, p), both together.)
  RUSTYRAY_USE_PTHREADS    pthreads instead of C11 threads; chosen by itself under sanitizers, on
                           macOS and MinGW, and where <threads.h> is missing
  RUSTYRAY_HELP_STACK      bytes of its stack that a waiter has for bodies which it runs on top of
                           its own, beside rr_config.stack_bytes; 256 KiB
  RUSTYRAY_THREAD_STACKS   a thread for each stack, as with compilers and systems that have no other
                           way (tcc, musl on other machines than x86-64 and aarch64): the same,
                           slower
  RUSTYRAY_KEEP_BYTES      free memory of each size that is kept for reuse; 64 MiB, see MEMORY
  RUSTYRAY_KEEP_SECONDS    how long free memory above that is kept, and threads beyond the workers
                           that nobody needs; 1.0

INTERNALS (in short; the rules that are named stand at the parts)

  One record, the slot (core/object), serves for a task of any kind, the reference to its result,
  and a small result itself. Its `word` holds count and state together, so that most steps of a
  task's life are one atomic operation (R1 to R6). Slots are found by number (core/slots) and stay
  slots until the runtime ends: so a stale handle may be followed and told by its id, and a queue
  may hold hints that turn out to be old.

  Scheduling (core/queues, core/workers). Every thread, from outside too, has a deque (Chase and Lev
  2005; Le, Pop, Cohen, Zappa Nardelli 2013; Q1 to Q4): it pushes and pops at the bottom, others
  steal at the top, so that its own work stays hot and the oldest goes first to thieves. Entries are
  hints; rr__claim, one CAS on the slot, decides who runs what. That lets a waiter take exactly the
  task that it waits for, wherever that is queued (leapfrogging, Wagner and Calder 1993), the owner
  do without a CAS, and a thief take several entries at once. A fixed number of roles
  (rr_config.workers) may run; a thread without a role is parked (P1 to P3).

  Dependencies (core/dependencies, D1 to D4). A task waits in the list of one missing argument; when
  that is complete it goes on to the next missing one, or is queued. No counter, and one link to
  what it waits for (core/links), which waiters follow to find work.

  Deadlocks (core/graph, core/deadlock, K1 to K4). While bodies wait, the clock's thread builds the
  graph of what they wait for now and then, as an and-or graph (Knapp 1987), spreads life in it from
  what runs or may be completed from outside (Dowling and Gallier 1984), reads what seems stuck
  twice, and tells a ring of each component that waits for none but itself (Tarjan 1972).

  Waiting (core/sleepers, core/waiting). Ready is one load. A sleeper hangs a node into the list of
  the object's shard; the completer, which sees the sleeper's flag in the same operation that
  completes, finds it there. So nothing of the object is touched after its last user may have gone.
  A thread from outside sleeps on its own condition variable; a body is left with its stack
  (core/fibers, F1 to F4; base/stacks), which is queued like a task when it can go on. Of all that
  may end a sleep, one alone does (core/parking, S1 and S2).

  Actors (actors/mailbox, A1 to A4; actors/crew, C1 and C2). The mailbox is one word in the slot: a
  stack of messages that the runner takes whole and reverses, or the mark IDLE, whose change
  schedules the actor. Messages behind one that waits for an argument queue in the sender's lane. A
  waiter that runs an actor on its own stack stops behind the message that it needs: those after
  that may wait for the waiter, which cannot go on below them.

  Cancelling (tasks/cancelling) sets a flag in the task's word, by which the outcome is decided, and
  wakes who waits; whoever has the task finds the flag with its next change of the state. Priorities
  and resources (core/resources, G1 to G3) are heaps, one for each set of needs that is waited for.

  The store under pressure (store/, E1 to E7, N1 to N4). Where a value is and how many read it is
  one word in its slot, which a reader changes by one CAS and no lock; what moves a value demands of
  its own CAS that nobody reads it. Beside the slot is a record, in a list by age (CLOCK: Corbato
  1968; weighed by size as in GreedyDual-Size: Cao and Irani 1997).

  Streams (tasks/stream_queue, Y1 to Y4) are queues into which the body puts without a lock; readers
  share one. Who waits stands in a line, and gets a sign from the other side.

  Ending (runtime/stop). rr_shutdown adds up what the threads submitted and finished, each in
  counters of its own, until both are the same; then actors are ended, and threads joined. The
  memory goes when the last thread from outside that used the runtime has let go of it
  (runtime/attach).

  Locks, and the order in which they may be taken, stand at core/context.

  Speed. What the figures in bench/README.md stand on; `make bench-guard` counts the instructions
  of the main paths, so that nobody loses them unawares.

  - A call, its wait and its release inside a body are about 730 instructions and five atomic
    changes: the push (a fenced store), the claim, the trim of the deque, the completion, which
    gives up the task's own count in the same step, and the release. No allocation: slots and blocks
    come from caches of the thread, which change with the pool in batches (Bonwick and Adams 2001).
  - What another thread needs of a small task (state, count, function, arguments, result) lies in
    one cache line of the slot. A line costs some 50 ns to change cores, as much as all the rest.
  - What a body makes ready is pushed by the thread that ran it, which pops it next; thieves leave a
    single fresh entry alone for two microseconds (rr__is_lone). Chains of tasks, and actors that
    talk to each other, therefore stay on one core: that is a factor of three to five.
  - A thief takes a quarter of a long queue at once, so that the lines of the deque change hands
    once for many tasks, and prefetches the slots.
  - Waking a thread costs its waker several microseconds. So nobody is woken who is not needed
    (P3); a worker searches for 50 us, a waiter looks for 10 us, before it sleeps (Karlin and others
    1991); it offers its core after the first microsecond. A thread that has much queued and waits
    for the oldest naps instead of being woken after each task; one that waits for all of many runs
    the newest first, away from the thieves.
  - A message costs its sender two changes of one line of the actor, and the runner one lock and two
    changes of lines of its own: counts of the actor are given back at the end of a turn. Replies of
    few bytes lie in the message's slot.
  - Large blocks are kept (MEMORY): 64 MiB into new pages is 2 GB/s here, into old ones 12.
*/
#if defined(RUSTYRAY_IMPLEMENTATION) && defined(__STRICT_ANSI__) && !defined(_POSIX_C_SOURCE) &&   \
    !defined(_GNU_SOURCE) && !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE 1 /* clocks, fork handlers and madvise under -std=c11 */
#endif

#ifndef RUSTYRAY_H
#define RUSTYRAY_H

#ifdef __cplusplus
extern "C" {
#endif

// >>api/language

/* The language that the declarations need, and the few words of it that compilers spell
   differently. */
#if defined(__MINGW32__) && !defined(__USE_MINGW_ANSI_STDIO)
#define __USE_MINGW_ANSI_STDIO 1 /* for stdio.h: the formats of C99 */
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if !defined(__cplusplus) && (!defined(__STDC_VERSION__) || __STDC_VERSION__ < 201112L)
#error "rustyray.h needs C11 (_Generic): compile with -std=c11 or later"
#endif

#if defined(__MINGW32__) && !defined(_UCRT) && !(__USE_MINGW_ANSI_STDIO + 0)
#error "rustyray.h: <stdio.h> came before: compile with -D__USE_MINGW_ANSI_STDIO=1"
#endif

#if defined(__MINGW32__)
#define RR__PRINTF(text, first) __attribute__((format(__MINGW_PRINTF_FORMAT, text, first)))
#elif defined(__GNUC__) || defined(__clang__)
#define RR__PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define RR__PRINTF(text, first)
#endif
#if defined(__GNUC__) || defined(__clang__)
#define RR__UNUSED __attribute__((unused))
#define RR__AT_START __attribute__((constructor, used))
#else
#define RR__UNUSED
/* tcc: glibc's headers define __attribute__ away */
#define RR__AT_START __attribute((constructor))
#endif

// >>api/types

/* The values that users hold: references, actors, streams, blocks of bytes, types. */

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

// >>api/status

/* Statuses: one list of ids and texts. */

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

// >>api/config

/* Options, of runtimes, calls and actors, and what is counted. */

typedef enum rr_log_level { RR_LOG_WARN, RR_LOG_ERROR } rr_log_level;

/* Gets one message, without a newline; what repeats comes once and then as a count (ERRORS AND
   LOGGING). Called on any thread, also on several at once, never with a lock held; it may not call
   back into the library. */
typedef void (*rr_log_fn)(rr_log_level level, const char *text, void *data);

/* So much of something of which there is a limited amount: {"gpu", 1}. Four decimals count. */
typedef struct rr_resource {
    const char *name; /* NULL: unused */
    double amount;
} rr_resource;
enum { RR_RESOURCES = 8 }; /* kinds of them in a runtime */

/* What becomes of the values that were not used for the longest time when the store is full. What
   is pinned, viewed or an argument of a running task stays. */
typedef enum rr_evict {
    RR_EVICT_SPILL,   /* they go to a file and come back when they are asked for */
    RR_EVICT_REBUILD, /* results of tasks are dropped, and made by running the task again when they
                         are asked for, with what that needs; what was put stays */
    RR_EVICT_DROP     /* they are dropped: a cache. Reading one is RR_ERR_OBJECT_LOST */
} rr_evict;

/* How a runtime is to be. Zero means the default, everywhere. What is left zero
   is read from the environment variable named behind it, where that is set. */
typedef struct rr_config {
    int workers;           /* tasks that make progress at once; one per CPU. RUSTYRAY_WORKERS */
    int max_threads;       /* pool threads in all, with those of bodies that block or share a CPU;
                            workers + 1024. RUSTYRAY_MAX_THREADS */
    size_t stack_bytes;    /* of its stack that a body finds free when it begins; at least 16 KiB;
                            256 KiB. RUSTYRAY_STACK_BYTES */
    size_t store_bytes;    /* limit on the bytes in memory of values that do not fit into their
                            slot, see THE STORE; no limit. RUSTYRAY_STORE_BYTES */
    rr_evict evict;        /* what makes room when the store is full; RR_EVICT_SPILL */
    const char *spill_dir; /* where spilled objects go; TMPDIR, or /tmp; on Windows TEMP.
                              RUSTYRAY_SPILL_DIR */
    bool no_spill;         /* the same as .evict = RR_EVICT_REBUILD. RUSTYRAY_NO_SPILL=1 */
    size_t lineage_bytes;  /* RR_EVICT_REBUILD: for what it takes to run functions again; 64 MiB.
                            RUSTYRAY_LINEAGE_BYTES */
    int64_t max_pending; /* tasks that have not begun: past so many rr_call, outside of bodies, runs
                            others or waits first; no limit. RUSTYRAY_MAX_PENDING */
    rr_resource resources[RR_RESOURCES]; /* what there is beside CPUs; nothing.
                                            RUSTYRAY_RESOURCES="gpu=2,disk=0.5" */
    bool report_leaks; /* rr_shutdown logs what was never released. RUSTYRAY_REPORT_LEAKS=1 */
    rr_log_fn log;     /* stderr */
    void *log_data;    /* handed to log */
} rr_config;

/* How a task is to be run. Zero means the default. */
typedef struct rr_options {
    const char *name;       /* its name in messages; copied; the function's */
    int priority;           /* higher ones first among what is ready, the oldest first among equals;
                               may be negative. A second of waiting makes up for one step */
    int64_t timeout_ms;     /* fails with RR_ERR_TIMEOUT if it is not complete so many milliseconds
                               after the call; no limit */
    int max_retries;        /* so often it is tried again when its body has failed; -1: without
                               limit; 0 */
    int64_t retry_delay_ms; /* before the first retry, doubled for each further one up to a minute,
                               less a random part of up to a quarter; 0: at once */
    double num_cpus;        /* workers that it takes while it runs: 2, or 0.5: two of them share
                               one; 1. It runs on a thread of its own; where max_threads leaves none
                               it begins on a worker, before others have made room */
    rr_resource resources[RR_RESOURCES]; /* what it takes of rr_config.resources while it runs */
    bool no_rebuild; /* it must not run again: its result stays in memory, see RR_EVICT_REBUILD */
    bool blocking;   /* its body waits for something outside (a file, a socket): it takes no worker;
                       a further thread runs it at once, up to rr_config.max_threads */
    int max_unread;  /* of a stream: rr_yield waits while so many objects are unread; no limit */
    size_t max_unread_bytes; /* likewise while the unread ones have so many bytes or more, without
                                what references among them lead to; no limit */
} rr_options;

/* What becomes of a message to an actor whose mailbox is full. */
typedef enum rr_when_full {
    RR_REFUSE, /* it is not sent: RR_ERR_MAILBOX_FULL */
    RR_WAIT    /* rr_ask and rr_tell wait until there is room, in the order in which they came. In a
                  body RR_ERR_DEADLOCK if the actor in turn waits for that body, RR_ERR_CANCELLED if
                  it is cancelled meanwhile; RR_ERR_ACTOR_DEAD if the actor ends */
} rr_when_full;

/* How an actor is to be. Zero means the default. */
typedef struct rr_actor_options {
    const char *name;         /* rr_find_actor finds it by this name while it lives; copied */
    int max_restarts;         /* so often it is made anew after rr_crash_actor; -1: without limit */
    int64_t restart_delay_ms; /* before the first restart, doubled for each further one up to a
                                 minute, less a random part of up to a quarter; 0: at once */
    int max_method_retries; /* so often a method that the actor crashed in runs again, on the fresh
                                 state, for which it needs max_restarts; at most 254; -1: without
                                 limit */
    int max_pending;        /* messages that have not begun: one more meets a full mailbox; no
                                 limit */
    rr_when_full when_full; /* what happens to that one; RR_REFUSE */
    int max_concurrency;    /* methods that run at once, in no promised order; 1 */
    double num_cpus; /* workers that are kept for it while it lives: those beyond the one that
                                 runs it; 1 */
    rr_resource resources[RR_RESOURCES]; /* what it takes of rr_config.resources while it lives */
} rr_actor_options;

/* Counters of a runtime since it started, and what lives in it now. Each number
   is exact once the work that it counts is over. */
typedef struct rr_stats {
    uint64_t tasks_submitted;  /* functions, actor creations and methods */
    uint64_t tasks_finished;   /* of those, ended with a value */
    uint64_t tasks_failed;     /* of those, ended with an error */
    uint64_t tasks_stolen;     /* taken by a worker from another thread's queue */
    uint64_t objects_live;     /* results and put objects with a count, pending ones included */
    uint64_t actors_live;      /* created and not yet ended */
    uint64_t store_bytes_used; /* bytes of live objects outside their slots, in memory */
    uint64_t store_bytes_held; /* what the system gave for them: with free blocks and rounding up */
    uint64_t store_hits;       /* reads of values that may leave memory and were there; without
                                  those of what views outside of scopes keep there */
    uint64_t objects_spilled;  /* so often one went to disk, and its memory was given back */
    uint64_t objects_restored; /* so often one came back from there */
    uint64_t objects_dropped;  /* so often one went without */
    uint64_t objects_rebuilt;  /* so often one was made again by running its task */
    uint64_t spill_bytes_written, spill_bytes_read;
    uint64_t spill_bytes_used; /* in files now; with those of objects that ended, but not all in
                                  their file, and of a value that was written in part */
    double spill_seconds;      /* that writing and reading took in all */
    uint64_t workers;          /* rr_config.workers as it came out */
    uint64_t threads;          /* pool threads that exist */
} rr_stats;

// >>api/runtime

/* Runtimes: starting, ending, choosing one; clocks. */

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

// >>api/objects

/* Objects: putting, reading, waiting, gathering, pinning, naming; counts and scopes. */

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

// >>api/tasks

/* Tasks: remote functions, calls, cancelling, streams. */

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

// >>api/actors

/* Actors: their state, their methods, messages, supervision. */

/* REMOTE_ACTOR(Type, create, T1, a1, ...) { body }: a constructor,
   `void Type_create(Type *self, T1 a1, ...)`. Type is the actor's state; *self is
   zeroed before. A type may have several constructors. If the body calls rr_fail
   the actor is never born.
   REMOTE_METHOD(R, Type, name, ...) { body }: `R Type_name(Type *self, ...)`.
   REMOTE_DESTRUCTOR(Type) { body }: runs once when an actor that was born ends. Destructors of a
   runtime run one at a time, except while one of them waits.
   The _DECLARE forms are for other units. */
#define REMOTE_ACTOR(...) RR__ACTOR_DEFINE(RR__PAIRS(__VA_ARGS__), __VA_ARGS__, ~)
#define REMOTE_METHOD(...) RR__METHOD_DEFINE(RR__PAIRS(__VA_ARGS__), __VA_ARGS__, ~)
#define REMOTE_DESTRUCTOR(Type) RR__DROP_DEFINE(Type)
#define REMOTE_ACTOR_DECLARE(...) RR__ACTOR_DECLARE(RR__PAIRS(__VA_ARGS__), __VA_ARGS__, ~)
#define REMOTE_METHOD_DECLARE(...) RR__METHOD_DECLARE(RR__PAIRS(__VA_ARGS__), __VA_ARGS__, ~)

/* rr_actor rr_spawn(Type_create, x1, ...): makes an actor and returns its handle
   at once; the constructor is its first message. Arguments as for rr_call. If the
   constructor fails, or an argument of it, every call on the actor fails with
   RR_ERR_ACTOR_DEAD and the cause. rr_spawn_with takes RR_ACTOR_OPTIONS(...): with options that
   cannot be every call fails with RR_ERR_INVALID, RR_ERR_UNSCHEDULABLE or RR_ERR_NO_MEMORY; with a
   name that a living actor has, with RR_ERR_ACTOR_DEAD. */
#define rr_spawn(...) RR__SPAWN(NULL, RR__AFTER(__VA_ARGS__), __VA_ARGS__, ~)
#define rr_spawn_with(options, ...)                                                                \
    RR__SPAWN(((const rr_actor_options[1]){options}), RR__AFTER(__VA_ARGS__), __VA_ARGS__, ~)
#define RR_ACTOR_OPTIONS(...) ((rr_actor_options){__VA_ARGS__})

/* rr_ref rr_ask(rr_actor actor, Type_name, x1, ...): sends a message; the
   reference is to the method's result. Methods of one actor run one at a time, in
   the order in which each caller sent them; a call that waits for an argument
   holds back later calls of the same caller only. A caller is a thread outside, a
   task, or an actor. Errors in the reference: as for rr_call, RR_ERR_ACTOR_DEAD,
   RR_ERR_TYPE for a method of another actor type, RR_ERR_MAILBOX_FULL. Blocks: no, unless the
   mailbox is full and .when_full is RR_WAIT (rr_actor_options). */
#define rr_ask(actor, ...) RR__SEND(rr__ask, actor, RR__AFTER(__VA_ARGS__), __VA_ARGS__, ~)

/* rr_status rr_tell(rr_actor actor, Type_name, x1, ...): sends a message whose
   result nobody wants. Returns what is wrong already; an error of the method
   itself goes to the log. Blocks: as rr_ask. */
#define rr_tell(actor, ...) RR__SEND(rr__tell, actor, RR__AFTER(__VA_ARGS__), __VA_ARGS__, ~)

/* The living actor of this name: a handle of the caller's own, in its scope.
   Errors: RR_ERR_NOT_FOUND, RR_ERR_INVALID (a NULL), RR_ERR_NO_MEMORY,
   RR_ERR_NOT_RUNNING; *out is then null. */
rr_status rr_find_actor(const char *name, rr_actor *out);

/* Ends an actor now: what is queued fails with RR_ERR_ACTOR_DEAD, and what its bodies have called
   and has not ended is cancelled as by rr_cancel. A method that is running is told (rr_cancelled;
   its waits and sleeps return at once), and ends first: what it returns counts. Then the destructor
   runs; what that calls stays. Errors: RR_ERR_ACTOR_DEAD if it is dead already, RR_ERR_STALE,
   RR_ERR_NOT_RUNNING. Blocks: no; takes some ns for each object there is if the actor has called
   something. */
rr_status rr_kill(rr_actor actor);

/* In a method or constructor: the actor ends when the body has returned (its
   result counts); what is queued fails. Elsewhere: a warning. */
void rr_exit_actor(void);

/* In a method or constructor: the actor's state is broken. The body goes on and returns, and its
   call fails with RR_ERR_ACTOR_CRASHED and this message (printf), unless it is to run again
   (rr_actor_options.max_method_retries). The destructor runs on the broken state; then, as often as
   .max_restarts says, the constructor makes a fresh one from its first arguments, and what is
   queued runs on that. After that the actor ends. A constructor that fails when it is run again has
   crashed; one that fails at first makes no actor. Elsewhere: a warning. */
void rr_crash_actor(const char *format, ...) RR__PRINTF(1, 2);

/* How an actor has ended. status: RR_OK if its last handle went or it left by rr_exit_actor,
   RR_ERR_ACTOR_DEAD for rr_kill and rr_shutdown, RR_ERR_ACTOR_CRASHED, or what its constructor
   failed with. */
typedef struct rr_exit {
    rr_status status;
    int restarts;     /* so often it was made anew */
    char reason[240]; /* in words */
} rr_exit;

/* rr_ref rr_watch(rr_actor actor): a reference to an rr_exit, complete when the actor has ended and
   its destructor has run; at once if that is so already. Does not keep the actor alive. As an
   argument of a message it tells a supervisor: rr_tell(boss, Boss_lost, i, rr_watch(child)). A
   message that waits for that alone does not hold back later ones of its caller.
   Errors in the reference: RR_ERR_STALE, RR_ERR_NO_MEMORY, RR_ERR_NOT_RUNNING. Blocks: no. */
#define rr_watch(actor) rr__watch((actor), RR__SITE)

// >>api/insight

/* Looking inside. */

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

/* ---- everything below is implementation detail ---- */

// >>api/macros

/* What the REMOTE_ macros and the calls are made of: argument typedefs, thunks, static descriptors,
   constructors; and the functions behind them. */

// clang-format off

/* REMOTE_FN(int, add, int, a, int, b) becomes, in short:

       typedef int rr__p1_add; typedef int rr__p2_add; typedef char rr__arity_add[3];
       int add(int a, int b);
       static void rr__thunk_add(void *self, void *const *args, void *result) {
           rr__p1_add rr__a1; memcpy(&rr__a1, args[0], sizeof rr__a1); ...
           int value = add(rr__a1, rr__a2); memcpy(result, &value, sizeof value);
       }
       static const rr_type rr__types_add[] = {{"int", ...}, {"int", ...}};
       rr_function rr__fn_add = {.name = "add", .thunk = rr__thunk_add, ...};
       static void rr__link_add(void) __attribute__((constructor));
       static void rr__link_add(void) { rr__link(&rr__fn_add); }
       int add(int a, int b)

   and rr_call(add, 2, five):

       rr__call(&rr__fn_add, (const rr__arg[]){{&(int){2}, null}, {NULL, five}}, 2, "file:line") */

#if !defined(__cplusplus) && !defined(__STDC_NO_ATOMICS__) && !defined(__TINYC__)
#define RR__ATOMIC(T) _Atomic(T)
#else
#define RR__ATOMIC(T) T /* C++ only needs the layout; others go through a lock */
#endif

typedef void (*rr__thunk)(void *self, void *const *args, void *result);

struct rr_function {
    const char *name;     /* "add", "Counter_add" */
    rr__thunk thunk;      /* calls it: unpacks arguments, packs the result */
    const rr_type *params;
    rr_type result;
    rr_type self;         /* the actor's state; size 0 for a plain function */
    rr_type item;         /* what a stream yields; size 0 for all others */
    const char *site;     /* "file:line" */
    int arity;
    int kind;             /* enum rr__kind */
    uint64_t hash;        /* of the signature; with the next three set when it is registered */
    size_t by_value;      /* bytes that its arguments, its result and what it yields take */
    uint16_t handles;     /* bit i: parameter i is a handle */
    bool is_wordy;        /* each argument takes one word of the slot, see rr__args_pack */
    rr_function *next;    /* the list of everything registered */
    RR__ATOMIC(const rr_function *) drop; /* constructor: the destructor of its type */
    RR__ATOMIC(int) state; /* enum rr__function_state */
};

/* What a function descriptor, and an object's slot, is for. */
enum rr__kind {
    RR__FUNCTION,    /* a remote function; an object: its task */
    RR__CONSTRUCTOR, /* an object: the actor itself, and the task of its creation */
    RR__METHOD,      /* a method; an object: a message */
    RR__DESTRUCTOR,
    RR__VALUE,       /* an object that was put or created */
    RR__GATHER,      /* an object made of others */
    RR__FIELD,       /* a member of another one */
    RR__STREAM       /* the reader's end of a stream */
};

enum rr__type_kind {
    RR__KIND_OTHER,
    RR__KIND_VOID,
    RR__KIND_BOOL,
    RR__KIND_FLOAT,
    RR__KIND_DOUBLE,
    RR__KIND_LONG_DOUBLE,
    RR__KIND_REF,
    RR__KIND_ACTOR,
    RR__KIND_BYTES,
    RR__KIND_MANY,
    RR__KIND_INTEGER = 32 /* + 2 * size + (is signed) */
};

enum { RR__MAX_PARAMS = 16 };

/* One argument at a call: a value or, where value is NULL, a reference. */
typedef struct rr__arg {
    const void *value;
    rr_ref ref;
} rr__arg;

/* One argument of a call by name, likewise; value.type.name is NULL for a reference. */
typedef struct rr__named_arg {
    rr_value value;
    rr_ref ref;
} rr__named_arg;

extern void *const rr__nil; /* NULL; dereferenced only where nothing is evaluated */

void rr__link(rr_function *function);
rr_ref rr__put(rr_type type, const void *value, const char *site);
rr_ref rr__put_bytes(const void *data, size_t size, const char *site);
rr_ref rr__put_as(const char *name, rr_type type, const void *value, const char *site);
rr_ref rr__create(size_t size, void **room, const char *site);
rr_ref rr__gather(const rr_ref *refs, size_t n, const char *site);
rr_status rr__get(rr_ref ref, const rr_type *type, void *out, int64_t milliseconds);
void *rr__unwrap(rr_ref ref, const rr_type *type, void *out, const char *site);
void rr__retain_ref(rr_ref ref);
void rr__retain_actor(rr_actor actor);
void rr__release_ref(rr_ref ref);
void rr__release_actor(rr_actor actor);
rr_ref rr__keep_ref(rr_ref ref);
rr_actor rr__keep_actor(rr_actor actor);
rr_ref rr__call(rr_function *fn, const rr__arg *args, size_t n, const char *site);
rr_ref rr__call_with(const rr_options *options, rr_function *fn, const rr__arg *args, size_t n,
                    const char *site);
rr_ref rr__call_named(const char *name, const rr__named_arg *args, size_t n, const char *site);
rr_actor rr__spawn(const rr_actor_options *options, rr_function *fn, const rr__arg *args, size_t n,
                   const char *site);
rr_ref rr__ask(rr_actor actor, rr_function *fn, const rr__arg *args, size_t n, const char *site);
rr_status rr__tell(rr_actor actor, rr_function *fn, const rr__arg *args, size_t n,
                   const char *site);
rr_ref rr__watch(rr_actor actor, const char *site);
void rr__retain_stream(rr_stream stream);
void rr__release_stream(rr_stream stream);
rr_stream rr__keep_stream(rr_stream stream);
rr_ref rr__give_ref(rr_ref ref);
rr_actor rr__give_actor(rr_actor actor);
rr_stream rr__give_stream(rr_stream stream);
rr_ref rr__take_ref(rr_ref ref);
rr_actor rr__take_actor(rr_actor actor);
rr_stream rr__take_stream(rr_stream stream);
rr_stream rr__call_stream(const rr_options *options, rr_function *fn, const rr__arg *args, size_t n,
                          const char *site);
rr_status rr__yield(rr_type type, const void *value, const char *site);
rr_ref rr__field(rr_ref ref, const rr_type *whole, rr_type type, size_t offset, const char *site);

/* Counting and pasting. A list is always closed by one more argument, ~, so that it is never empty.
   RR__PAIRS: of (type, name) pairs behind the two or three first arguments of a REMOTE_ macro.
   RR__AFTER: of arguments behind the first. */
#define RR__PAIRS(...)                                                                             \
    RR__40TH(__VA_ARGS__, RR__TOO_MANY, RR__TOO_MANY, RR__TOO_MANY, RR__TOO_MANY, 16, 16, 15, 15,  \
             14, 14, 13, 13, 12, 12, 11, 11, 10, 10, 9, 9, 8, 8, 7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2,  \
             2, 1, 1, 0, 0, 0, ~)
#define RR__AFTER(...)                                                                             \
    RR__20TH(__VA_ARGS__, RR__TOO_MANY, RR__TOO_MANY, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4,\
             3, 2, 1, 0, ~)
#define RR__20TH(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, nth, ...) nth
#define RR__40TH(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, a2, b2, c2, d2, e2,   \
                 f2, g2, h2, i2, j2, k2, l2, m2, n2, o2, p2, q2, r2, s2, nth, ...)                 \
    nth
#define RR__TOO_MANY no_more_than_16_parameters__put_them_into_a_struct
#define RR__CAT(a, b) RR__CAT_(a, b)
#define RR__CAT_(a, b) a##b
#define RR__TEXT(x) RR__TEXT_(x)
#define RR__TEXT_(x) #x
#define RR__SITE __FILE__ ":" RR__TEXT(__LINE__)
#define RR__ZERO 0
#if defined(__TINYC__)
#define RR__REQUIRE(condition, message) (0 * sizeof(char[(condition) ? 1 : -1]))
#else
#define RR__REQUIRE(condition, message)                                                            \
    (0 * sizeof(struct {                                                                           \
         _Static_assert(condition, message);                                                       \
         char rr__unused;                                                                          \
     }))
#endif

/* 0; does not compile if the lvalue, which is never evaluated, is of another type. */
#define RR__SAME_TYPE(T, x) (0 * sizeof(_Generic((x), T: 0)))

/* Types. The selection looks at an lvalue that is never evaluated, so qualifiers do not matter. */
#define RR__TYPE(T) #T, (uint32_t)sizeof(T), (uint16_t)_Alignof(T), (uint16_t)RR__KIND(T)
#define RR__VOID_TYPE "void", 0, 1, RR__KIND_VOID
#define RR__INTEGER(T, is_signed) (RR__KIND_INTEGER + 2 * (int)sizeof(T) + (is_signed))
#define RR__KIND(T)                                                                                \
    _Generic(*(T *)rr__nil,                                                                        \
        _Bool: RR__KIND_BOOL,                                                                      \
        char: RR__INTEGER(char, (char)-1 < (char)0),                                               \
        signed char: RR__INTEGER(signed char, 1),                                                  \
        unsigned char: RR__INTEGER(unsigned char, 0),                                              \
        short: RR__INTEGER(short, 1),                                                              \
        unsigned short: RR__INTEGER(unsigned short, 0),                                            \
        int: RR__INTEGER(int, 1),                                                                  \
        unsigned: RR__INTEGER(unsigned, 0),                                                        \
        long: RR__INTEGER(long, 1),                                                                \
        unsigned long: RR__INTEGER(unsigned long, 0),                                              \
        long long: RR__INTEGER(long long, 1),                                                      \
        unsigned long long: RR__INTEGER(unsigned long long, 0),                                    \
        float: RR__KIND_FLOAT,                                                                     \
        double: RR__KIND_DOUBLE,                                                                   \
        long double: RR__KIND_LONG_DOUBLE,                                                         \
        rr_ref: RR__KIND_REF,                                                                      \
        rr_actor: RR__KIND_ACTOR,                                                                  \
        rr_bytes: RR__KIND_BYTES,                                                                  \
        rr_many: RR__KIND_MANY,                                                                    \
        default: RR__KIND_OTHER)

/* Maps: m(f, i, T, a) for each of k pairs, or m(f, i, x) for each of k arguments, i counted from
   the one given. EACH puts nothing between them; LIST and ITEMS commas, and are m_0 for none. */
#define RR__EACH(k) RR__CAT(RR__EACH_, k)
#define RR__LIST(k) RR__CAT(RR__LIST_, k)
#define RR__ITEMS(k) RR__CAT(RR__ITEMS_, k)
#define RR__NEXT(i) RR__CAT(RR__NEXT_, i)
#define RR__NEXT_1 2
#define RR__NEXT_2 3
#define RR__NEXT_3 4
#define RR__NEXT_4 5
#define RR__NEXT_5 6
#define RR__NEXT_6 7
#define RR__NEXT_7 8
#define RR__NEXT_8 9
#define RR__NEXT_9 10
#define RR__NEXT_10 11
#define RR__NEXT_11 12
#define RR__NEXT_12 13
#define RR__NEXT_13 14
#define RR__NEXT_14 15
#define RR__NEXT_15 16
#define RR__NEXT_16 17
#define RR__EACH_0(m, f, i, ...)
#define RR__EACH_1(m, f, i, T, a, ...) m(f, i, T, a)
#define RR__EACH_2(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_1(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_3(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_2(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_4(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_3(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_5(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_4(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_6(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_5(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_7(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_6(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_8(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_7(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_9(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_8(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_10(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_9(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_11(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_10(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_12(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_11(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_13(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_12(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_14(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_13(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_15(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_14(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_16(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_15(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_0(m, f, i, ...) m##_0
#define RR__LIST_1(m, f, i, T, a, ...) m(f, i, T, a)
#define RR__LIST_2(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_1(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_3(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_2(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_4(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_3(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_5(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_4(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_6(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_5(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_7(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_6(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_8(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_7(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_9(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_8(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_10(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_9(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_11(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_10(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_12(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_11(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_13(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_12(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_14(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_13(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_15(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_14(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_16(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_15(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_0(m, f, i, ...) m##_0
#define RR__ITEMS_1(m, f, i, x, ...) m(f, i, x)
#define RR__ITEMS_2(m, f, i, x, ...) m(f, i, x), RR__ITEMS_1(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_3(m, f, i, x, ...) m(f, i, x), RR__ITEMS_2(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_4(m, f, i, x, ...) m(f, i, x), RR__ITEMS_3(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_5(m, f, i, x, ...) m(f, i, x), RR__ITEMS_4(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_6(m, f, i, x, ...) m(f, i, x), RR__ITEMS_5(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_7(m, f, i, x, ...) m(f, i, x), RR__ITEMS_6(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_8(m, f, i, x, ...) m(f, i, x), RR__ITEMS_7(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_9(m, f, i, x, ...) m(f, i, x), RR__ITEMS_8(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_10(m, f, i, x, ...) m(f, i, x), RR__ITEMS_9(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_11(m, f, i, x, ...) m(f, i, x), RR__ITEMS_10(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_12(m, f, i, x, ...) m(f, i, x), RR__ITEMS_11(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_13(m, f, i, x, ...) m(f, i, x), RR__ITEMS_12(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_14(m, f, i, x, ...) m(f, i, x), RR__ITEMS_13(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_15(m, f, i, x, ...) m(f, i, x), RR__ITEMS_14(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_16(m, f, i, x, ...) m(f, i, x), RR__ITEMS_15(m, f, RR__NEXT(i), __VA_ARGS__)

/* What a definition needs of each of its pairs. */
#define RR__PARAM_TYPE(f, i, T, a) typedef T rr__p##i##_##f;
#define RR__PARAM_TYPES(k, f, ...)                                                                 \
    RR__EACH(k)(RR__PARAM_TYPE, f, 1, __VA_ARGS__) typedef char rr__arity_##f[k + 1];
#define RR__PARAM(f, i, T, a) T a
#define RR__PARAM_0 void
#define RR__AND_PARAM(f, i, T, a) , T a
#define RR__PARAMS(k, ...) RR__LIST(k)(RR__PARAM, ~, 1, __VA_ARGS__)
#define RR__SELF_PARAMS(k, Type, ...)                                                              \
    RR__UNUSED Type *self RR__EACH(k)(RR__AND_PARAM, ~, 1, __VA_ARGS__)
#define RR__TYPE_OF(f, i, T, a) {RR__TYPE(T)}
#define RR__TYPE_OF_0 {RR__VOID_TYPE}
#define RR__LOAD(f, i, T, a)                                                                       \
    rr__p##i##_##f rr__a##i;                                                                       \
    memcpy((void *)&rr__a##i, rr__args[i - 1], sizeof rr__a##i);
#define RR__PASS(f, i, T, a) rr__a##i
#define RR__PASS_0
#define RR__AND_PASS(f, i, T, a) , rr__a##i
#define RR__PASSED(k, ...) RR__LIST(k)(RR__PASS, ~, 1, __VA_ARGS__)
#define RR__SELF_PASSED(k, Type, ...)                                                              \
    (Type *)rr__self RR__EACH(k)(RR__AND_PASS, ~, 1, __VA_ARGS__)

/* `void` is told from every other result type by pasting: RR__IS_void counts as two arguments. */
#define RR__IS_void void, void
#define RR__IF_VOID(...) RR__IF_VOID_(__VA_ARGS__, NOTHING, VALUE, none)
#define RR__IF_VOID_(a, b, which, ...) which
#define RR__RETURN(R, call) RR__CAT(RR__RETURN_, RR__IF_VOID(RR__CAT(RR__IS_, R)))(R, call)
#define RR__RETURN_NOTHING(R, call) (void)rr__result, call
#define RR__RETURN_VALUE(R, call)                                                                  \
    R rr__value = call;                                                                            \
    memcpy(rr__result, &rr__value, sizeof rr__value)
#define RR__RESULT(R) RR__CAT(RR__RESULT_, RR__IF_VOID(RR__CAT(RR__IS_, R)))(R)
#define RR__RESULT_NOTHING(R) {RR__VOID_TYPE}
#define RR__RESULT_VALUE(R) {RR__TYPE(R)}
#define RR__NO_SELF {"", 0, 1, RR__KIND_VOID}
#define RR__SELF(Type) {RR__TYPE(Type)}

/* What every kind of remote function consists of, beside the function itself. `symbol` is the
   descriptor's name: fn_add, create_Counter_create, method_Counter_add, drop_Counter. */
#define RR__DESCRIBE(k, symbol, f, kind_, result_, self_, item_, invoke, ...)                      \
    static void rr__thunk_##symbol(void *rr__self, void *const *rr__args, void *rr__result) {      \
        (void)rr__self, (void)rr__args;                                                            \
        RR__EACH(k)(RR__LOAD, f, 1, __VA_ARGS__)                                                   \
        invoke;                                                                                    \
    }                                                                                              \
    static const rr_type rr__types_##symbol[] = {                                                  \
        RR__LIST(k)(RR__TYPE_OF, f, 1, __VA_ARGS__)};                                              \
    rr_function rr__##symbol = {.name = #f,                                                        \
                                .thunk = rr__thunk_##symbol,                                       \
                                .params = rr__types_##symbol,                                      \
                                .result = result_,                                                 \
                                .self = self_,                                                     \
                                .item = item_,                                                     \
                                .site = RR__SITE,                                                  \
                                .arity = k,                                                        \
                                .kind = kind_};                                                    \
    static void rr__link_##symbol(void) RR__AT_START;                                              \
    static void rr__link_##symbol(void) { rr__link(&rr__##symbol); }

#define RR__FN_DECLARE(k, ...) RR__FN_DECLARE_(k, __VA_ARGS__)
#define RR__FN_DECLARE_(k, R, f, ...)                                                              \
    RR__PARAM_TYPES(k, f, __VA_ARGS__)                                                             \
    extern rr_function rr__fn_##f;                                                                 \
    R f(RR__PARAMS(k, __VA_ARGS__))
#define RR__FN(k, ...) RR__FN_(k, __VA_ARGS__)
#define RR__FN_(k, R, f, ...)                                                                      \
    RR__FN_DECLARE_(k, R, f, __VA_ARGS__);                                                         \
    RR__DESCRIBE(k, fn_##f, f, RR__FUNCTION, RR__RESULT(R), RR__NO_SELF, RR__NO_SELF,              \
                 RR__RETURN(R, f(RR__PASSED(k, __VA_ARGS__))), __VA_ARGS__)                        \
    R f(RR__PARAMS(k, __VA_ARGS__))

#define RR__STREAM_DECLARE(k, ...) RR__STREAM_DECLARE_(k, __VA_ARGS__)
#define RR__STREAM_DECLARE_(k, T, f, ...)                                                          \
    RR__PARAM_TYPES(k, f, __VA_ARGS__)                                                             \
    extern rr_function rr__stream_##f;                                                             \
    void f(RR__PARAMS(k, __VA_ARGS__))
#define RR__STREAM_FN(k, ...) RR__STREAM_FN_(k, __VA_ARGS__)
#define RR__STREAM_FN_(k, T, f, ...)                                                               \
    RR__STREAM_DECLARE_(k, T, f, __VA_ARGS__);                                                     \
    RR__DESCRIBE(k, stream_##f, f, RR__FUNCTION, RR__RESULT(void), RR__NO_SELF, RR__RESULT(T),     \
                 RR__RETURN(void, f(RR__PASSED(k, __VA_ARGS__))), __VA_ARGS__)                     \
    void f(RR__PARAMS(k, __VA_ARGS__))

/* Methods; a constructor is one without a result, a destructor one without parameters either. */
#define RR__MEMBER_DECLARE(k, R, symbol, Type, f, ...)                                             \
    RR__PARAM_TYPES(k, f, __VA_ARGS__)                                                             \
    extern rr_function rr__##symbol;                                                               \
    R f(RR__SELF_PARAMS(k, Type, __VA_ARGS__))
#define RR__MEMBER(k, R, symbol, kind, Type, f, ...)                                               \
    RR__MEMBER_DECLARE(k, R, symbol, Type, f, __VA_ARGS__);                                        \
    RR__DESCRIBE(k, symbol, f, kind, RR__RESULT(R), RR__SELF(Type), RR__NO_SELF,                   \
                 RR__RETURN(R, f(RR__SELF_PASSED(k, Type, __VA_ARGS__))), __VA_ARGS__)             \
    R f(RR__SELF_PARAMS(k, Type, __VA_ARGS__))
#define RR__METHOD_DECLARE(k, ...) RR__METHOD_DECLARE_(k, __VA_ARGS__)
#define RR__METHOD_DECLARE_(k, R, Type, m, ...)                                                    \
    RR__MEMBER_DECLARE(k, R, method_##Type##_##m, Type, Type##_##m, __VA_ARGS__)
#define RR__METHOD_DEFINE(k, ...) RR__METHOD_DEFINE_(k, __VA_ARGS__)
#define RR__METHOD_DEFINE_(k, R, Type, m, ...)                                                     \
    RR__MEMBER(k, R, method_##Type##_##m, RR__METHOD, Type, Type##_##m, __VA_ARGS__)
#define RR__ACTOR_DECLARE(k, ...) RR__ACTOR_DECLARE_(k, __VA_ARGS__)
#define RR__ACTOR_DECLARE_(k, Type, c, ...)                                                        \
    RR__MEMBER_DECLARE(k, void, create_##Type##_##c, Type, Type##_##c, __VA_ARGS__)
#define RR__ACTOR_DEFINE(k, ...) RR__ACTOR_DEFINE_(k, __VA_ARGS__)
#define RR__ACTOR_DEFINE_(k, Type, c, ...)                                                         \
    RR__MEMBER(k, void, create_##Type##_##c, RR__CONSTRUCTOR, Type, Type##_##c, __VA_ARGS__)
#define RR__DROP_DEFINE(Type)                                                                      \
    RR__MEMBER(0, void, drop_##Type, RR__DESTRUCTOR, Type, Type##__drop, ~)

/* Calls. A value travels as the address of a one-element array of the parameter's type, a
   reference as itself; in the branches that are not selected something of a fitting type stands
   where x would not compile. The call in sizeof, which is never made, has the compiler check x as
   it checks an argument. */
#define RR__ARG(f, i, x)                                                                           \
    {_Generic((x),                                                                                 \
         rr_ref: NULL,                                                                             \
         default: (rr__p##i##_##f[1]){RR__FITTING(rr__p##i##_##f, x)} +                            \
             0 * sizeof(((int (*)(rr__p##i##_##f))0)(RR__FITTING(rr__p##i##_##f, x)))),            \
     _Generic((x),                                                                                 \
         rr_ref: _Generic((x), rr_ref: (x), default: RR__NULL_REF),                                \
         default: RR__NULL_REF)}
#define RR__FITTING(P, x) _Generic((x), rr_ref: *(const P *)rr__nil, default: (x))
#define RR__NULL_REF ((rr_ref){0, 0, 0})
#define RR__ARG_0 {NULL, RR__NULL_REF}
#define RR__ARGS(k, f, ...) (const rr__arg[]){RR__ITEMS(k)(RR__ARG, f, 1, __VA_ARGS__)}
#define RR__ARITY(k, f)                                                                            \
    ((k) + RR__REQUIRE(sizeof(rr__arity_##f) == (k) + 1, "wrong number of arguments for " #f))
#define RR__CALL(k, ...) RR__CALL_(k, __VA_ARGS__)
#define RR__CALL_(k, f, ...)                                                                       \
    rr__call(&rr__fn_##f, RR__ARGS(k, f, __VA_ARGS__), RR__ARITY(k, f), RR__SITE)
#define RR__CALL_WITH(options, k, ...) RR__CALL_WITH_(options, k, __VA_ARGS__)
#define RR__CALL_WITH_(options, k, f, ...)                                                         \
    rr__call_with(options, &rr__fn_##f, RR__ARGS(k, f, __VA_ARGS__), RR__ARITY(k, f), RR__SITE)
#define RR__CALL_STREAM(options, k, ...) RR__CALL_STREAM_(options, k, __VA_ARGS__)
#define RR__CALL_STREAM_(options, k, f, ...)                                                       \
    rr__call_stream(options, &rr__stream_##f, RR__ARGS(k, f, __VA_ARGS__), RR__ARITY(k, f),        \
                    RR__SITE)
#define RR__SPAWN(options, k, ...) RR__SPAWN_(options, k, __VA_ARGS__)
#define RR__SPAWN_(options, k, f, ...)                                                             \
    rr__spawn(options, &rr__create_##f, RR__ARGS(k, f, __VA_ARGS__), RR__ARITY(k, f), RR__SITE)
#define RR__SEND(how, actor, k, ...) RR__SEND_(how, actor, k, __VA_ARGS__)
#define RR__SEND_(how, actor, k, f, ...)                                                           \
    how((actor), &rr__method_##f, RR__ARGS(k, f, __VA_ARGS__), RR__ARITY(k, f), RR__SITE)
#define RR__NAMED(f, i, x)                                                                         \
    {_Generic((x), rr_ref: RR__NO_VALUE, default: (x)),                                            \
     _Generic((x), rr_ref: (x), default: RR__NULL_REF)}
#define RR__NAMED_0 {RR__NO_VALUE, RR__NULL_REF}
#define RR__NO_VALUE ((rr_value){{NULL, 0, 0, 0}, NULL})
#define RR__CALL_NAMED(k, ...) RR__CALL_NAMED_(k, __VA_ARGS__)
#define RR__CALL_NAMED_(k, name, ...)                                                              \
    rr__call_named((name), (const rr__named_arg[]){RR__ITEMS(k)(RR__NAMED, ~, 1, __VA_ARGS__)}, k, \
                   RR__SITE)
// clang-format on

#ifdef __cplusplus
}
#endif
#endif /* RUSTYRAY_H */
#if defined(RUSTYRAY_IMPLEMENTATION) && !defined(RUSTYRAY_IMPLEMENTED)
#define RUSTYRAY_IMPLEMENTED

// >>base/platform

/* The compiler and the system: what differs between them stands here, and nothing above asks
   again. Also how memory is had (RR_MALLOC), the three strengths of assertion, and the places
   where stress programs delay a thread. */

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

// >>base/text

/* Texts that are written piece by piece into room of a fixed size, and cut; the whole length is
   counted all the same, so that without room it is measured. */

typedef struct rr__text {
    char *start;
    size_t size, used; /* room in bytes; length so far, also of what did not fit */
} rr__text;

RR__PRINTF(2, 3)
static void rr__text_add(rr__text *text, const char *format, ...) {
    va_list args;
    va_start(args, format);
    bool has_room = text->used < text->size;
    int n = vsnprintf(has_room ? text->start + text->used : NULL,
                      has_room ? text->size - text->used : 0, format, args);
    va_end(args);
    if (n > 0) text->used += (size_t)n;
}

// >>base/log

/* Texts of statuses, and the log: rr_config.log, or stderr. Called with no lock held. */

/* A line of the log that may come with every request, and how often it did: rr__log_again. */
enum { RR__LOG_TEXT = 1024, RR__LOG_PAUSE = 60 }; /* bytes; seconds */

const char *rr_status_name(rr_status status) {
    static const char *const names[] = {
#define RR__STATUS_NAME(id, text) #id,
        RR__STATUSES(RR__STATUS_NAME)
#undef RR__STATUS_NAME
    };
    return (unsigned)status < RR__STATUS_COUNT ? names[status] : "unknown status";
}

const char *rr_status_text(rr_status status) {
    static const char *const texts[] = {
#define RR__STATUS_TEXT(id, text) text,
        RR__STATUSES(RR__STATUS_TEXT)
#undef RR__STATUS_TEXT
    };
    return (unsigned)status < RR__STATUS_COUNT ? texts[status] : "unknown status";
}

static void rr__log_to_stderr(rr_log_level level, const char *text, void *data) {
    (void)data;
    fprintf(stderr, "rustyray: %s: %s\n", level == RR_LOG_ERROR ? "error" : "warning", text);
}

static void rr__log_text(const rr_config *config, rr_log_level level, const char *text) {
    rr_log_fn log = config && config->log ? config->log : rr__log_to_stderr;
    log(level, text, config ? config->log_data : NULL);
}

RR__PRINTF(3, 4)
static void rr__log(const rr_config *config, rr_log_level level, const char *format, ...) {
    char text[RR__LOG_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    rr__log_text(config, level, text);
}

// >>base/atomics

/* Atomics: all of the library go through these, with the order in the name. */

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

// >>base/threads

/* Threads: a thin seam over C11 threads, with pthreads behind it for sanitizers, which do not
   follow C11 threads on glibc, where <threads.h> is missing, and for waits on the monotonic clock;
   on Windows over its locks; clocks and sleeps. */

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

// >>base/stacks

/* Stacks of their own, for what has to wait while its thread goes on: made, switched to, freed.
   Whoever leaves a stack comes back to where it left, later, perhaps on another thread. So nothing
   that belongs to a thread may be kept over a switch: no address of a thread-local variable, no
   mutex.

   Four ways, one meaning. On x86-64 and aarch64 (System V) a switch is some twenty instructions,
   which keep what a call has to keep; with glibc elsewhere it is swapcontext; on Windows, which
   wants to know of each stack, its fibers; and where there is none of these (other systems, tcc),
   or with RUSTYRAY_THREAD_STACKS, each stack is that of a thread of its own, and the threads pass a
   baton. The sanitizers are told of each switch.

   A stack is one mapping, of which only touched pages cost memory, with a page below it that may
   not be touched: by MADV_GUARD_INSTALL where the kernel has it, which needs no mapping of its own,
   else by mprotect; and without, when the system has no mapping left for that. Fibers and threads
   have their stacks from the system.
   Locks: none; with threads, one in each stack, a leaf. */

#if defined(RUSTYRAY_THREAD_STACKS) || defined(__TINYC__)
#define RR__STACKS_THREADS 1
#elif defined(_WIN32)
#define RR__STACKS_FIBERS 1
#elif !RR__UNIX || !defined(MAP_ANONYMOUS)
#define RR__STACKS_THREADS 1
#elif (defined(__x86_64__) && !defined(__ILP32__)) || defined(__aarch64__)
#define RR__STACKS_OWN 1
#elif defined(__GLIBC__)
#define RR__STACKS_UCONTEXT 1
#include <ucontext.h>
#else
#define RR__STACKS_THREADS 1
#endif

#if defined(RR__STACKS_OWN) || defined(RR__STACKS_UCONTEXT)
#define RR__STACKS_MAPPED 1 /* their memory is ours */
#endif

typedef struct rr__stack {
    char *low; /* its memory, above the guard; of a thread's own: as AddressSanitizer tells it */
    size_t size;
    void (*run)(void *); /* must not return */
    void *arg;
    struct rr__stack *left; /* what was left for this one */
#if defined(RR__STACKS_OWN)
    void *at; /* where it was left */
#elif defined(RR__STACKS_UCONTEXT)
    ucontext_t at;
#elif defined(RR__STACKS_FIBERS)
    void *at;
#else
    rr__mutex lock; /* of the two below */
    rr__cond wake;
    bool is_on, is_over;
    bool is_thread; /* made here, not adopted */
    rr__thread thread;
#endif
    void *fake;  /* AddressSanitizer's */
    void *fiber; /* ThreadSanitizer's */
} rr__stack;

/* ---- what the sanitizers want to know ----
   Inlined: a function that is entered for one stack and left for another would confuse them. */

#if RR__ASAN && defined(RR__STACKS_MAPPED)
void __sanitizer_start_switch_fiber(void **fake, const void *low, size_t size);
void __sanitizer_finish_switch_fiber(void *fake, const void **low, size_t *size);
static RR__INLINE void rr__stack_leaves(rr__stack *from, rr__stack *to) {
    __sanitizer_start_switch_fiber(&from->fake, to->low, to->size);
}
static void rr__stack_arrives(rr__stack *self) {
    const void *low;
    __sanitizer_finish_switch_fiber(self->fake, &low, &self->left->size);
    self->left->low = (char *)(uintptr_t)low;
}
#define rr__stack_is_made(s) ((void)(s))
#define rr__stack_is_freed(s) ((void)(s))
#elif RR__TSAN && defined(RR__STACKS_MAPPED)
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
static RR__INLINE void rr__stack_leaves(rr__stack *from, rr__stack *to) {
    from->fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to->fiber, 0);
}
#define rr__stack_arrives(s) ((void)(s))
static void rr__stack_is_made(rr__stack *s) { s->fiber = __tsan_create_fiber(0); }
static void rr__stack_is_freed(rr__stack *s) { __tsan_destroy_fiber(s->fiber); }
#else
#define rr__stack_leaves(from, to) ((void)(from), (void)(to))
#define rr__stack_arrives(s) ((void)(s))
#define rr__stack_is_made(s) ((void)(s))
#define rr__stack_is_freed(s) ((void)(s))
#endif

/* ---- memory ---- */

#if defined(RR__STACKS_MAPPED)

#define RR__STACK_GUARD ((size_t)16384) /* a multiple of every page size but the largest */

/* Nothing below can be touched; false: as long as the system has mappings for that. */
static bool rr__stack_guard(char *memory) {
#if defined(__linux__)
    enum { GUARD_INSTALL = 102 }; /* MADV_GUARD_INSTALL, Linux 6.13 */
    if (madvise(memory, RR__STACK_GUARD, GUARD_INSTALL) == 0) return true;
#endif
    return mprotect(memory, RR__STACK_GUARD, PROT_NONE) == 0;
}

/* Memory for a stack of so many bytes, zeros, `kept` of which are for rr__stack_keep; NULL: there
   is none. */
static char *rr__stack_map(size_t size, size_t kept, bool *has_guard) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#if defined(MAP_NORESERVE)
    flags |= MAP_NORESERVE;
#endif
#if defined(MAP_STACK)
    flags |= MAP_STACK;
#endif
    char *memory = mmap(NULL, size + RR__STACK_GUARD, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED) return NULL;
#if defined(MADV_NOHUGEPAGE)
    (void)madvise(memory, size + RR__STACK_GUARD, MADV_NOHUGEPAGE); /* one body, one small page */
#endif
    (void)kept;
    *has_guard = rr__stack_guard(memory);
    return memory + RR__STACK_GUARD;
}
/* What was kept: at the top; the stack is what is below. */
static void *rr__stack_keep(char *low, size_t *size, size_t kept) {
    *size = (*size - kept) / 64 * 64;
    return low + *size;
}
static void rr__stack_unmap(char *low, size_t size) {
    RR__UNPOISON(low, size); /* of what never returned from it */
    munmap(low - RR__STACK_GUARD, size + RR__STACK_GUARD);
}
#else
static char *rr__stack_map(size_t size, size_t kept, bool *has_guard) {
    (void)size;
    *has_guard = true;
    return RR_CALLOC(1, kept ? kept : 1);
}
static void *rr__stack_keep(char *low, size_t *size, size_t kept) {
    return (void)size, (void)kept, low;
}
static void rr__stack_unmap(char *low, size_t size) {
    (void)size;
    RR_FREE(low);
}
#endif

#if !defined(RR__STACKS_THREADS)

/* ---- switching ---- */

#if defined(__APPLE__)
#define RR__ASM_NAME(name) "_" name
#define RR__ASM_BEGIN(name) ".globl _" name "\n.private_extern _" name "\n_" name ":\n"
#else
#define RR__ASM_NAME(name) name
#define RR__ASM_BEGIN(name)                                                                        \
    ".globl " name "\n.hidden " name "\n.type " name ", %function\n" name ":\n"
#endif

#if defined(RR__STACKS_OWN)
/* Saves what a call keeps on the stack that is left, notes in *from where, and goes on where `to`
   was left. */
void rr__stack_jump(void **from, void *to);
/* Where a new stack begins: nothing called it, as a debugger and an unwinder are told. */
void rr__stack_begin(void);

#if defined(__x86_64__)
__asm__(".text\n.p2align 4\n" RR__ASM_BEGIN(
    "rr__stack_jump") ".cfi_startproc\n"
                      "endbr64\n"
                      "pushq %rbp\n"
                      "pushq %rbx\n"
                      "pushq %r12\n"
                      "pushq %r13\n"
                      "pushq %r14\n"
                      "pushq %r15\n"
                      "subq $8, %rsp\n"
                      "stmxcsr (%rsp)\n" /* how floating point rounds: a call keeps it */
                      "fnstcw 4(%rsp)\n"
                      "movl (%rsp), %eax\n"
                      "movzwl 4(%rsp), %ecx\n"
                      "movq %rsp, (%rdi)\n"
                      "movq %rsi, %rsp\n"
                      "cmpl (%rsp), %eax\n" /* to load them costs more than all the rest */
                      "jne 1f\n"
                      "cmpw 4(%rsp), %cx\n"
                      "je 2f\n"
                      "1: ldmxcsr (%rsp)\n"
                      "fldcw 4(%rsp)\n"
                      "2: addq $8, %rsp\n"
                      "popq %r15\n"
                      "popq %r14\n"
                      "popq %r13\n"
                      "popq %r12\n"
                      "popq %rbx\n"
                      "popq %rbp\n"
                      "ret\n"
                      ".cfi_endproc\n"
                      ".p2align 4\n" RR__ASM_BEGIN("rr__stack_begin") ".cfi_startproc\n"
                                                                      ".cfi_undefined rip\n"
                                                                      "endbr64\n"
                                                                      "movq %r12, %rdi\n"
                                                                      "call *%r13\n"
                                                                      "ud2\n"
                                                                      ".cfi_endproc\n");

static bool rr__stack_prepare(rr__stack *s) {
    uint64_t *top = (uint64_t *)(void *)(s->low + s->size / 64 * 64 - 64);
    memset(top, 0, 64);
    *--top = (uint64_t)(uintptr_t)rr__stack_begin;
    for (int i = 0; i < 6; i++) *--top = 0; /* rbp, rbx, r12, r13, r14, r15 */
    top[3] = (uint64_t)(uintptr_t)s->arg, top[2] = (uint64_t)(uintptr_t)s->run; /* r12, r13 */
    *--top = (uint64_t)0x037f << 32 | 0x1f80; /* the modes that a program starts with */
    s->at = top;
    return true;
}
#else
__asm__(".text\n.p2align 4\n" RR__ASM_BEGIN(
    "rr__stack_jump") ".cfi_startproc\n"
                      "hint #34\n" /* bti c */
                      "sub sp, sp, #176\n"
                      "stp x19, x20, [sp]\n"
                      "stp x21, x22, [sp, #16]\n"
                      "stp x23, x24, [sp, #32]\n"
                      "stp x25, x26, [sp, #48]\n"
                      "stp x27, x28, [sp, #64]\n"
                      "stp x29, x30, [sp, #80]\n"
                      "stp d8, d9, [sp, #96]\n"
                      "stp d10, d11, [sp, #112]\n"
                      "stp d12, d13, [sp, #128]\n"
                      "stp d14, d15, [sp, #144]\n"
                      "mrs x3, fpcr\n" /* how floating point rounds */
                      "str x3, [sp, #160]\n"
                      "mov x2, sp\n"
                      "str x2, [x0]\n"
                      "mov sp, x1\n"
                      "ldp x19, x20, [sp]\n"
                      "ldp x21, x22, [sp, #16]\n"
                      "ldp x23, x24, [sp, #32]\n"
                      "ldp x25, x26, [sp, #48]\n"
                      "ldp x27, x28, [sp, #64]\n"
                      "ldp x29, x30, [sp, #80]\n"
                      "ldp d8, d9, [sp, #96]\n"
                      "ldp d10, d11, [sp, #112]\n"
                      "ldp d12, d13, [sp, #128]\n"
                      "ldp d14, d15, [sp, #144]\n"
                      "ldr x4, [sp, #160]\n"
                      "cmp x3, x4\n"
                      "b.eq 1f\n"
                      "msr fpcr, x4\n"
                      "1: add sp, sp, #176\n"
                      "ret\n"
                      ".cfi_endproc\n"
                      ".p2align 4\n" RR__ASM_BEGIN("rr__stack_begin") ".cfi_startproc\n"
                                                                      ".cfi_undefined x30\n"
                                                                      "mov x0, x19\n"
                                                                      "blr x20\n"
                                                                      "brk #1\n"
                                                                      ".cfi_endproc\n");

static bool rr__stack_prepare(rr__stack *s) {
    uint64_t *top = (uint64_t *)(void *)(s->low + s->size / 64 * 64 - 64 - 176);
    memset(top, 0, 176 + 64);
    top[0] = (uint64_t)(uintptr_t)s->arg, top[1] = (uint64_t)(uintptr_t)s->run;
    top[11] = (uint64_t)(uintptr_t)rr__stack_begin; /* x30 */
    s->at = top;
    return true;
}
#endif

static RR__INLINE void rr__stack_go(rr__stack *from, rr__stack *to) {
    rr__stack_jump(&from->at, to->at);
}

#elif defined(RR__STACKS_UCONTEXT)
static void rr__stack_enter(unsigned high, unsigned low) {
    rr__stack *s = (rr__stack *)(uintptr_t)((uint64_t)high << 32 | low);
    s->run(s->arg);
}
static bool rr__stack_prepare(rr__stack *s) {
    uint64_t at = (uint64_t)(uintptr_t)s;
    getcontext(&s->at);
    s->at.uc_stack.ss_sp = s->low, s->at.uc_stack.ss_size = s->size, s->at.uc_link = NULL;
    makecontext(&s->at, (void (*)(void))rr__stack_enter, 2, (unsigned)(at >> 32), (unsigned)at);
    return true;
}
static RR__INLINE void rr__stack_go(rr__stack *from, rr__stack *to) {
    swapcontext(&from->at, &to->at);
}

#else
enum { RR__FIBER_FLOATS = 1 }; /* how floating point rounds is kept, too */

static void __stdcall rr__stack_enter(void *stack) {
    rr__stack *s = stack;
    s->run(s->arg);
}
static bool rr__stack_prepare(rr__stack *s) {
    s->at = CreateFiberEx(0, s->size, RR__FIBER_FLOATS, rr__stack_enter, s);
    return s->at != NULL;
}
/* Windows has this in a header only: a field of what describes the thread. */
static void *rr__stack_current(void) {
    char *fiber;
#if defined(__x86_64__)
    __asm__ volatile("movq %%gs:0x20, %0" : "=r"(fiber));
#elif defined(__i386__)
    __asm__ volatile("movl %%fs:0x10, %0" : "=r"(fiber));
#else
    __asm__ volatile("ldr %0, [x18, #0x20]" : "=r"(fiber));
#endif
    return fiber;
}
/* A thread is a fiber only while it has left its stack, unless the program made it one before. */
static RR__INLINE void rr__stack_go(rr__stack *from, rr__stack *to) {
    bool was_thread = !IsThreadAFiber();
    if (!was_thread) from->at = rr__stack_current();
    else /* only memory can be lacking: until there is some */
        while (!(from->at = ConvertThreadToFiberEx(NULL, RR__FIBER_FLOATS))) Sleep(1);
    SwitchToFiber(to->at);
    if (was_thread) ConvertFiberToThread();
}
#define RR__STACK_DISPOSE(s) DeleteFiber((s)->at)
#endif

#if defined(RR__STACKS_MAPPED)
#define RR__STACK_DISPOSE(s) ((void)(s))
#endif

/* The stack of a thread, to be left for others. */
static bool rr__stack_adopt(rr__stack *s) { return memset(s, 0, sizeof *s) != NULL; }
static void rr__stack_let_go(rr__stack *s) { (void)s; }

/* A stack on memory of rr__stack_map on which run(arg) will go on, and never return. */
static bool rr__stack_make(rr__stack *s, char *low, size_t size, void (*run)(void *), void *arg) {
    memset(s, 0, sizeof *s);
    s->low = low, s->size = size, s->run = run, s->arg = arg;
    if (!rr__stack_prepare(s)) return false;
    rr__stack_is_made(s);
    return true;
}
/* Nothing on it will go on. */
static void rr__stack_free(rr__stack *s) {
    rr__stack_is_freed(s);
    RR__STACK_DISPOSE(s);
}

#else

/* ---- threads that pass a baton ---- */

static void rr__stack_wait(rr__stack *s) {
    rr__lock(&s->lock);
    while (!s->is_on && !s->is_over) rr__cond_wait(&s->wake, &s->lock);
    bool is_over = s->is_over;
    s->is_on = false;
    rr__unlock(&s->lock);
    if (is_over) rr__thread_exit();
}
static void rr__stack_signal(rr__stack *s, bool is_over) {
    rr__lock(&s->lock);
    if (is_over) s->is_over = true;
    else s->is_on = true;
    rr__cond_signal(&s->wake); /* under the lock: it may be freed right after */
    rr__unlock(&s->lock);
}
static void rr__stack_enter(void *stack) {
    rr__stack *s = stack;
    rr__stack_wait(s);
    s->run(s->arg);
}
static RR__INLINE void rr__stack_go(rr__stack *from, rr__stack *to) {
    rr__stack_signal(to, false);
    rr__stack_wait(from);
}
static bool rr__stack_adopt(rr__stack *s) {
    memset(s, 0, sizeof *s);
    if (!rr__mutex_init(&s->lock)) return false;
    if (rr__cond_init(&s->wake)) return true;
    rr__mutex_destroy(&s->lock);
    return false;
}
static void rr__stack_let_go(rr__stack *s) {
    rr__cond_destroy(&s->wake);
    rr__mutex_destroy(&s->lock);
}
static bool rr__stack_make(rr__stack *s, char *low, size_t size, void (*run)(void *), void *arg) {
    if (!rr__stack_adopt(s)) return false;
    s->low = low, s->size = size, s->run = run, s->arg = arg;
    if (rr__thread_start(&s->thread, rr__stack_enter, s)) return s->is_thread = true;
    rr__stack_let_go(s);
    return false;
}
static void rr__stack_free(rr__stack *s) {
    rr__stack_signal(s, true);
    rr__thread_join(&s->thread);
    rr__stack_let_go(s);
}
#endif

/* How far it goes down: one from the system is taken to be as large as what was asked for. */
static char *rr__stack_floor(const rr__stack *s, char *now) {
#if defined(RR__STACKS_MAPPED)
    return (void)now, s->low;
#else
    return now - s->size;
#endif
}

/* The first that `run` does. */
#define rr__stack_begun(s) rr__stack_arrives(s)

/* Goes on where `to` was left, or begins it; returns when somebody comes back to `from`. */
static RR__INLINE void rr__stack_switch(rr__stack *from, rr__stack *to) {
    to->left = from;
    rr__stack_leaves(from, to);
    rr__stack_go(from, to);
    rr__stack_arrives(from);
}

// >>base/pool

/* Pools of blocks of one size: a cache in each thread, which changes whole batches with the pool
   (Bonwick and Adams, "Magazines and Vmem", 2001), so that most blocks are had without a lock.

   A pool gets memory in pieces from its source: chunks of malloc's, or segments of slots
   (core/slots.h). What is free beyond what a next burst may want goes back to the system in
   whole pieces; a while later, on another thread: the pool says that there is a surplus
   (rr__memory), and rr__pool_sweep is called.
   Locks: each pool's, a leaf. A cache is its thread's own. */

/* What all pools of a runtime share. */
typedef struct rr__memory {
    RR__ATOMIC(uint64_t) live;    /* bytes of values outside their slots; the store counts them */
    void (*surplus)(void *owner); /* much is free: call the sweeps some time later. Any thread */
    void *owner;
} rr__memory;

/* Free blocks of one size held by one thread; in batches they go to and come from
   the pool (Bonwick and Adams, "Magazines and Vmem", 2001). */
typedef struct rr__cache {
    void *first;
    uint32_t count;
} rr__cache;

typedef struct rr__chunk {
    struct rr__chunk *next;
    void *memory; /* as malloc gave it */
    char *start;
    size_t bytes;
} rr__chunk;

/* A piece of a pool's memory that can go back to the system when all its blocks are free. */
typedef struct rr__region {
    char *start;
    size_t bytes, free;
    rr__chunk *chunk; /* NULL: a part of a segment of slots */
} rr__region;

typedef struct rr__pool rr__pool;

/* Where a pool gets its memory from. All under the pool's lock. */
typedef struct rr__source {
    bool (*grow)(rr__pool *pool); /* new memory from `fresh` to `end`; false: there is none */
    /* Writes the pieces that could go back, if there is room for them; returns how many. */
    size_t (*regions)(rr__pool *pool, rr__region *regions);
    void (*give_back)(rr__pool *pool, rr__region *region); /* one without a used block */
    bool is_kept; /* what a burst took is kept until three quarters of it are free */
} rr__source;

struct rr__pool {
    rr__mutex lock;     /* a leaf: nothing is locked under it */
    size_t block;       /* bytes */
    uint32_t batch;     /* blocks that move at once: 32, fewer of large ones */
    size_t link;        /* where in a free block the two links lie */
    void *batches;      /* free blocks in lists of `batch` */
    char *fresh, *end;  /* never used */
    rr__chunk *chunks;  /* the memory; of slots: regions that were given back, to be used again */
    size_t chunk_bytes; /* of the next one */
    rr__memory *memory;
    const rr__source *source;
    void *owner;           /* the source's own */
    size_t used;           /* blocks that were handed out at least once */
    size_t free, sweep_at; /* of those, in batches; at how many to look for memory to give back */
};

enum {
    RR__REGION = 65536,
    RR__PAGE = 4096,
    RR__HUGE_PAGE = 2 << 20,
    RR__HUGE = 4 << 20,
    RR__SWEEP = 1 << 20
};

/* Two links inside a free block: to the next block and to the next batch. */
static inline void **rr__link_at(void *block, size_t link) {
    return (void **)((char *)block + link);
}
static void **rr__pool_link(const rr__pool *pool, void *block) {
    return rr__link_at(block, pool->link);
}

/* size bytes, zeroed, aligned to align (a power of two); *memory is what to free. Large
   calloc's are pages that the system zeroes when they are touched, so no memory is used up
   before it is needed. */
static void *rr__aligned_zeros(size_t size, size_t align, void **memory) {
    if (size > SIZE_MAX - align) return NULL;
    char *p = RR_CALLOC(1, size + align);
    *memory = p;
    return p ? p + (align - (uintptr_t)p % align) % align : NULL;
}

static bool rr__chunks_grow(rr__pool *pool) {
    rr__chunk *chunk = RR_MALLOC(sizeof *chunk);
    if (!chunk) return false;
    size_t bytes = pool->chunk_bytes < 4 * pool->block ? 4 * pool->block : pool->chunk_bytes;
    bytes -= bytes % pool->block;
    char *start = rr__aligned_zeros(bytes, 64, &chunk->memory);
    if (!start) {
        RR_FREE(chunk);
        return false;
    }
    *chunk = (rr__chunk){pool->chunks, chunk->memory, start, bytes};
    pool->chunks = chunk;
    pool->fresh = start, pool->end = start + bytes;
    if (pool->chunk_bytes < (size_t)1 << 20) pool->chunk_bytes *= 2;
    RR__POISON(start, bytes);
    return true;
}

/* Free memory is kept for the next burst. But as soon as the values in memory are more than
   RUSTYRAY_KEEP_BYTES, no more than an eighth of what they take: of large blocks in all, of small
   ones for each size, as far as whole chunks are free. */
static bool rr__is_much_in_use(rr__memory *memory) {
    return rr__load_relaxed(&memory->live) > RUSTYRAY_KEEP_BYTES; /* a counter */
}

/* New memory was taken. What other sizes have kept since less was in use may be too much now, and
   nobody may come by those again. */
static void rr__memory_grown(rr__memory *memory) {
    if (rr__is_much_in_use(memory)) memory->surplus(memory->owner);
}

/* Moves a batch from the pool into an empty cache. */
static RR__NOINLINE bool rr__pool_refill(rr__pool *pool, rr__cache *cache) {
    rr__lock(&pool->lock);
    bool grows = !pool->batches && pool->fresh == pool->end;
    if (pool->batches) {
        cache->first = pool->batches, cache->count = pool->batch;
        pool->batches = rr__pool_link(pool, pool->batches)[1];
        pool->free -= pool->batch;
    } else if (pool->fresh != pool->end || pool->source->grow(pool)) {
        for (uint32_t i = 0; i < pool->batch && pool->fresh != pool->end; i++) {
            char *block = pool->fresh;
            pool->fresh += pool->block;
            RR__UNPOISON(block, pool->link + 2 * sizeof(void *));
            rr__pool_link(pool, block)[0] = cache->first;
            cache->first = block, cache->count++;
        }
        pool->used += cache->count;
    }
    rr__unlock(&pool->lock);
    if (grows) rr__memory_grown(pool->memory);
    return cache->first != NULL;
}

/* When more blocks are free than are kept, whole regions of them go back to the system; a while
   later, so that the next burst finds them if it comes soon, and on another thread, so that nobody
   waits for it. What is still in use may keep many regions; the next time is when a 16th of that is
   free as well. Slots, which come and go with every task, only when three quarters of those that
   were ever used are free. */
static size_t rr__chunks_list(rr__pool *pool, rr__region *regions) {
    size_t n = 0;
    for (rr__chunk *chunk = pool->chunks; chunk; chunk = chunk->next, n++)
        if (regions) regions[n] = (rr__region){chunk->start, chunk->bytes, 0, chunk};
    return n;
}

static int rr__region_order(const void *a, const void *b) {
    uintptr_t left = (uintptr_t)((const rr__region *)a)->start;
    uintptr_t right = (uintptr_t)((const rr__region *)b)->start;
    return left < right ? -1 : left > right;
}

/* The region of a block, or NULL; `last` is that of the one before, which is often the same. */
static rr__region *rr__region_find(rr__region *regions, size_t n, const void *block,
                                   rr__region *last) {
    const char *p = block;
    if (last && p >= last->start && p < last->start + last->bytes) return last;
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (regions[middle].start <= p) low = middle + 1;
        else high = middle;
    }
    rr__region *found = low ? &regions[low - 1] : NULL;
    return found && p < found->start + found->bytes ? found : NULL;
}

static void rr__regions_count(rr__pool *pool, rr__region *regions, size_t n) {
    rr__region *region = NULL;
    for (void *batch = pool->batches; batch; batch = rr__pool_link(pool, batch)[1])
        for (void *block = batch; block; block = rr__pool_link(pool, block)[0])
            if ((region = rr__region_find(regions, n, block, region))) region->free++;
}

/* Blocks that it keeps for the next burst. */
static size_t rr__pool_keeps(const rr__pool *pool) {
    bool is_bounded = !pool->source->is_kept && rr__is_much_in_use(pool->memory);
    return is_bounded ? (pool->used - pool->free) / 8 : RUSTYRAY_KEEP_BYTES / pool->block;
}

/* Chooses regions without a used block, until no more than half of what is kept is left. */
static void rr__regions_choose(rr__pool *pool, rr__region *regions, size_t n) {
    size_t left = pool->free, keep = rr__pool_keeps(pool) / 2;
    for (size_t i = 0; i < n; i++) {
        rr__region *region = &regions[i];
        size_t blocks = region->bytes / pool->block;
        if (region->free < blocks || left < keep + blocks) continue;
        if (!region->chunk && !(region->chunk = RR_MALLOC(sizeof *region->chunk))) continue;
        region->free = SIZE_MAX, left -= blocks;
    }
}

/* Makes the batches anew without what lies in a chosen region. What does not fill a batch goes to
   the cache. */
static void rr__batches_filter(rr__pool *pool, rr__cache *cache, rr__region *regions, size_t n) {
    void *batches = pool->batches, *open = NULL, *next_batch, *next;
    rr__region *region = NULL;
    size_t left = 0;
    pool->batches = NULL;
    for (void *batch = batches; batch; batch = next_batch) {
        next_batch = rr__pool_link(pool, batch)[1];
        for (void *block = batch; block; block = next) {
            next = rr__pool_link(pool, block)[0];
            region = rr__region_find(regions, n, block, region);
            if (region && region->free == SIZE_MAX) continue;
            rr__pool_link(pool, block)[0] = open, open = block;
            if (++left % pool->batch) continue;
            rr__pool_link(pool, open)[1] = pool->batches, pool->batches = open, open = NULL;
        }
    }
    pool->free = left - left % pool->batch;
    for (; open; open = next) {
        next = rr__pool_link(pool, open)[0];
        rr__pool_link(pool, open)[0] = cache->first;
        cache->first = open, cache->count++;
    }
}

/* Whole pages of what is about to be freed: malloc itself may keep them. */
static void rr__pages_return(char *start, size_t bytes) {
    size_t skip = (RR__PAGE - (uintptr_t)start % RR__PAGE) % RR__PAGE;
    if (bytes >= 2 * RR__PAGE)
        (void)RR__PAGES_RETURN(start + skip, (bytes - skip) / RR__PAGE * RR__PAGE);
}

static void rr__chunk_free(rr__chunk *chunk) {
    rr__pages_return(chunk->start, chunk->bytes);
    RR__UNPOISON(chunk->memory, 1); /* free() clears the rest */
    RR_FREE(chunk->memory);
    RR_FREE(chunk);
}

static void rr__chunk_give_back(rr__pool *pool, rr__region *region) {
    rr__chunk **at = &pool->chunks;
    while (*at != region->chunk) at = &(*at)->next;
    *at = region->chunk->next;
    rr__chunk_free(region->chunk);
}
static const rr__source rr__chunk_source = {rr__chunks_grow, rr__chunks_list, rr__chunk_give_back,
                                            false};

static RR__NOINLINE void rr__pool_sweep_locked(rr__pool *pool, rr__cache *cache) {
    size_t n = pool->source->regions(pool, NULL);
    rr__region *regions = RR_MALLOC((n + 1) * sizeof *regions);
    if (regions) {
        pool->source->regions(pool, regions);
        qsort(regions, n, sizeof *regions, rr__region_order);
        rr__regions_count(pool, regions, n);
        rr__regions_choose(pool, regions, n);
        rr__batches_filter(pool, cache, regions, n);
        for (size_t i = 0; i < n; i++) {
            if (regions[i].free != SIZE_MAX) continue;
            pool->used -= regions[i].bytes / pool->block;
            pool->source->give_back(pool, &regions[i]);
        }
        RR_FREE(regions);
    }
    pool->sweep_at = pool->free + (pool->used - pool->free) / 16 + RR__SWEEP / pool->block;
}

/* Enough is free to look for what can go back. */
static bool rr__sweep_is_due_locked(const rr__pool *pool) {
    if (RR__LIKELY(pool->free < pool->sweep_at) || pool->free < rr__pool_keeps(pool)) return false;
    return !pool->source->is_kept || pool->free / 3 >= pool->used / 4;
}

/* Gives back what is surplus, if that is still so; blocks that are left over go to the cache. */
static void rr__pool_sweep(rr__pool *pool, rr__cache *cache) {
    rr__lock(&pool->lock);
    if (rr__sweep_is_due_locked(pool)) rr__pool_sweep_locked(pool, cache);
    rr__unlock(&pool->lock);
}

/* Gives a batch of a cache's blocks to the pool. */
static RR__NOINLINE void rr__pool_flush(rr__pool *pool, rr__cache *cache) {
    void *first = cache->first, *last = first;
    for (uint32_t i = 1; i < pool->batch; i++) last = rr__pool_link(pool, last)[0];
    cache->first = rr__pool_link(pool, last)[0], cache->count -= pool->batch;
    rr__pool_link(pool, last)[0] = NULL;
    rr__lock(&pool->lock);
    rr__pool_link(pool, first)[1] = pool->batches;
    pool->batches = first;
    pool->free += pool->batch;
    bool is_due = rr__sweep_is_due_locked(pool);
    rr__unlock(&pool->lock);
    if (RR__UNLIKELY(is_due)) pool->memory->surplus(pool->memory->owner);
}

/* `link` is the pool's, as a constant. */
static RR__INLINE void *rr__cache_take(rr__pool *pool, rr__cache *cache, size_t link) {
    if (RR__UNLIKELY(!cache->first) && !rr__pool_refill(pool, cache)) return NULL;
    void *block = cache->first;
    cache->first = *rr__link_at(block, link), cache->count--;
    RR__PREFETCH(cache->first); /* it may come from another core; the next call wants it */
    RR__PREFETCH((void *)((uintptr_t)cache->first + 64));
    return block;
}

static RR__INLINE void rr__cache_give(rr__pool *pool, rr__cache *cache, size_t link, void *block) {
    *rr__link_at(block, link) = cache->first;
    cache->first = block;
    if (RR__UNLIKELY(++cache->count >= 3 * pool->batch)) rr__pool_flush(pool, cache);
}

static bool rr__pool_init(rr__pool *pool, size_t block, size_t link, rr__memory *memory) {
    memset(pool, 0, sizeof *pool);
    pool->block = block, pool->link = link, pool->memory = memory;
    pool->source = &rr__chunk_source, pool->chunk_bytes = (size_t)16 << 10;
    pool->batch = block <= 2048 ? 32 : (uint32_t)(RR__REGION / block);
    pool->sweep_at = RR__SWEEP / block;
    return rr__mutex_init(&pool->lock);
}

static void rr__pool_free(rr__pool *pool) {
    for (rr__chunk *chunk = pool->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        rr__chunk_free(chunk);
    }
    rr__mutex_destroy(&pool->lock);
}

// >>base/arena

/* The arena: 64-byte aligned blocks of any size. Of 64 to 512 bytes in steps of 64, and to 64
   KiB in steps of a quarter of a power of two, so that at most a fifth of a block above 256
   bytes is not used, from a pool for each size; above that each has memory of its own, and some
   of those that are free are kept, because new pages cost more than a copy.

       block of its own   [.. padding ..][rr__big, in 64 bytes][size bytes]
                           ^ malloc                            ^ 64-byte aligned

   A block is known by its place: the number of its pool, or RR__ON_ITS_OWN.
   Locks: big_lock, a leaf, and the pools'. */

/* Where bytes lie: inside the slot, in a block of class 0, 1, ... or of its own. */
enum rr__place { RR__CLASSES = 36, RR__IN_SLOT = 254, RR__ON_ITS_OWN = 255 };

/* In front of a block that has memory of its own. */
typedef struct rr__big {
    void *memory; /* as malloc gave it */
    size_t size;
    struct rr__big *next; /* of those that go back to the system */
} rr__big;

enum { RR__BIGS = 16 };

typedef struct rr__arena {
    rr__memory *memory;
    rr__pool pools[RR__CLASSES];
    rr__mutex big_lock;             /* of the four below; a leaf */
    rr__big *abandoned;             /* see rr__arena_abandon */
    rr__big *bigs[RR__BIGS];        /* free big blocks, for reuse */
    size_t big_bytes;               /* of all of them */
    int next_big;                   /* the oldest, which makes room first */
    RR__ATOMIC(uint64_t) bigs_held; /* bytes of these and of those in use */
} rr__arena;

static size_t rr__class_bytes(int class) {
    if (class < 8) return (size_t)64 * (size_t)(class + 1);
    return (size_t)(128 * (class % 4 + 5)) << (class / 4 - 2);
}

static uint8_t rr__class_of(size_t bytes) {
    if (bytes > rr__class_bytes(RR__CLASSES - 1)) return RR__ON_ITS_OWN;
    uint32_t last = bytes ? (uint32_t)(bytes - 1) / 64 : 0; /* the last unit of 64 bytes */
    if (last < 8) return (uint8_t)last;
    uint32_t power = rr__highest_bit(last); /* 3 for those above 512 bytes */
    return (uint8_t)(4 * power - 4 + (last >> (power - 2)) % 4);
}

static rr__big *rr__big_of(void *block) { return (rr__big *)(void *)((char *)block - 64); }
static void *rr__big_block(rr__big *big) { return (char *)big + 64; }

static void rr__big_free(void *block) {
    rr__pages_return(block, rr__big_of(block)->size);
    RR__UNPOISON(block, 1); /* free() clears the rest */
    RR_FREE(rr__big_of(block)->memory);
}

static void rr__bigs_free(rr__arena *arena, rr__big *first) {
    for (rr__big *big = first, *next; big; big = next) {
        next = big->next;
        rr__sub_acq_rel(&arena->bigs_held, (uint64_t)big->size);
        rr__big_free(rr__big_block(big));
    }
}

/* Bytes of free ones that are kept. */
static size_t rr__bigs_keep(rr__arena *arena) {
    size_t live = (size_t)rr__load_relaxed(&arena->memory->live); /* a counter */
    return rr__is_much_in_use(arena->memory) ? live / 8 : 2 * RUSTYRAY_KEEP_BYTES;
}

/* Takes out kept blocks, the oldest first, until there are no more bytes than that. */
static rr__big *rr__bigs_trim_locked(rr__arena *arena, size_t most) {
    rr__big *gone = NULL;
    while (arena->big_bytes > most) {
        rr__big *oldest = arena->bigs[arena->next_big];
        arena->bigs[arena->next_big] = NULL, arena->next_big = (arena->next_big + 1) % RR__BIGS;
        if (oldest) arena->big_bytes -= oldest->size, oldest->next = gone, gone = oldest;
    }
    return gone;
}

/* A free block of this size, not more than an eighth too large; NULL if none is kept. */
static void *rr__big_reuse(rr__arena *arena, size_t size) {
    int best = -1;
    rr__lock(&arena->big_lock);
    for (int i = 0; i < RR__BIGS; i++) {
        rr__big *big = arena->bigs[i];
        if (!big || big->size < size || big->size - size > size / 8) continue;
        if (best < 0 || big->size < arena->bigs[best]->size) best = i;
    }
    rr__big *found = best >= 0 ? arena->bigs[best] : NULL;
    if (found) arena->big_bytes -= found->size, arena->bigs[best] = NULL;
    rr__big *gone = rr__bigs_trim_locked(arena, rr__bigs_keep(arena));
    rr__unlock(&arena->big_lock);
    rr__bigs_free(arena, gone);
    if (found) RR__UNPOISON(rr__big_block(found), size);
    return found ? rr__big_block(found) : NULL;
}

static void *rr__big_new(rr__arena *arena, size_t size) {
    void *block = rr__big_reuse(arena, size);
    char *p = block || size > SIZE_MAX - 128 ? NULL : RR_MALLOC(size + 128);
    if (!p) return block;
    if (size >= RR__HUGE)
        RR__PAGES_HUGE(p + (RR__PAGE - (uintptr_t)p % RR__PAGE) % RR__PAGE, size - RR__PAGE);
    block = p + 128 - (uintptr_t)p % 64;
    *rr__big_of(block) = (rr__big){p, size, NULL};
    rr__add_relaxed(&arena->bigs_held, (uint64_t)size); /* a counter */
    rr__memory_grown(arena->memory);
    return block;
}

/* Keeps a block for reuse; the oldest ones that are kept make room for it. */
static void rr__big_give(rr__arena *arena, void *block) {
    rr__big *big = rr__big_of(block);
    size_t most = rr__bigs_keep(arena);
    if (big->size > most) {
        big->next = NULL;
        rr__bigs_free(arena, big);
        return;
    }
    RR__POISON(block, big->size);
    rr__lock(&arena->big_lock);
    rr__big *gone = rr__bigs_trim_locked(arena, most - big->size);
    rr__big *oldest = arena->bigs[arena->next_big];
    if (oldest) arena->big_bytes -= oldest->size, oldest->next = gone, gone = oldest;
    arena->bigs[arena->next_big] = big, arena->next_big = (arena->next_big + 1) % RR__BIGS;
    arena->big_bytes += big->size;
    rr__unlock(&arena->big_lock);
    rr__bigs_free(arena, gone);
}

/* Memory for size bytes, 64-byte aligned; *place says what kind and goes to rr__arena_give. The
   caches are the calling thread's, one for each pool. */
static void *rr__arena_take(rr__arena *arena, rr__cache *caches, size_t size, uint8_t *place) {
    *place = rr__class_of(size);
    if (*place == RR__ON_ITS_OWN) return rr__big_new(arena, size);
    void *block = rr__cache_take(&arena->pools[*place], &caches[*place], 0);
    if (block) RR__UNPOISON(block, size);
    return block;
}

static void rr__arena_give(rr__arena *arena, rr__cache *caches, void *block, uint8_t place) {
    if (!block) return;
    if (place == RR__ON_ITS_OWN) {
        rr__big_give(arena, block);
        return;
    }
    RR__POISON((char *)block + 2 * sizeof(void *), rr__class_bytes(place) - 2 * sizeof(void *));
    rr__cache_give(&arena->pools[place], &caches[place], 0, block);
}

/* Who has it may write to it still: it stays until the arena goes. */
static void rr__arena_abandon(rr__arena *arena, void *block, uint8_t place) {
    if (place != RR__ON_ITS_OWN) return;
    rr__big *big = rr__big_of(block);
    rr__lock(&arena->big_lock);
    big->next = arena->abandoned, arena->abandoned = big;
    rr__unlock(&arena->big_lock);
}

/* What the arena takes from the system, in bytes. */
static uint64_t rr__arena_held(rr__arena *arena) {
    uint64_t held = rr__load_relaxed(&arena->bigs_held); /* a counter */
    for (int i = 0; i < RR__CLASSES; i++) {
        rr__pool *pool = &arena->pools[i];
        rr__lock(&pool->lock);
        held += (uint64_t)pool->used * pool->block;
        rr__unlock(&pool->lock);
    }
    return held;
}

static void rr__arena_sweep(rr__arena *arena, rr__cache *caches) {
    for (int i = 0; i < RR__CLASSES; i++) rr__pool_sweep(&arena->pools[i], &caches[i]);
}

static bool rr__arena_init(rr__arena *arena, rr__memory *memory) {
    arena->memory = memory;
    bool ok = rr__mutex_init(&arena->big_lock);
    for (int i = 0; ok && i < RR__CLASSES; i++)
        ok = rr__pool_init(&arena->pools[i], rr__class_bytes(i), 0, memory);
    return ok;
}

/* Blocks of their own that are in use are their users' to free (rr__big_free). */
static void rr__arena_free(rr__arena *arena) {
    for (int i = 0; i < RR__CLASSES; i++) rr__pool_free(&arena->pools[i]);
    for (int i = 0; i < RR__BIGS; i++)
        if (arena->bigs[i]) rr__big_free(rr__big_block(arena->bigs[i]));
    rr__bigs_free(arena, arena->abandoned);
    rr__mutex_destroy(&arena->big_lock);
}

// >>core/object

/* The object: one record, the slot, for a task of any kind, the reference to its result, and a
   small result itself; also for an actor. What its word says, who may change it (R1 to R6), and
   the small values that lie in it. What a kind of object does, its class says (core/context.h).

       WAITING -> QUEUED -> RUNNING -> READY | FAILED
       a task: arguments are missing -> may be claimed -> its body runs -> value or error
       a put value starts READY; a created one is WAITING until it is sealed, then READY
       a task that is tried again: RUNNING -> WAITING (for its timer) -> QUEUED
       cancelled or late (R4): from any of the first three to FAILED at once; its owner finds out
       a task with needs or a priority: WAITING (for its turn) -> QUEUED (in a heap) -> RUNNING
       an actor: WAITING (idle) -> QUEUED (has messages) -> RUNNING -> WAITING ... -> FAILED (ended)
       one that has crashed: RUNNING -> WAITING (for its timer) -> QUEUED, and is made anew
       its messages, if several may run at once: WAITING -> QUEUED (handed out) -> RUNNING

   Locks: none. */

typedef struct rr__object rr__object;
typedef struct rr__context rr__context;
typedef struct rr__error rr__error;
typedef struct rr__hold rr__hold;
typedef struct rr__actor rr__actor;
typedef struct rr__parts rr__parts;
typedef struct rr__control rr__control;

/* What stands for a fiber in queues and links, see core/fibers.h. */
enum { RR__FIBER = RR__STREAM + 1, RR__KINDS };

/* The slot of an object: one record for a task, the reference to its result and a
   small result itself. Two cache lines; the memory of slots belongs to the runtime
   and stays typed as slots until its end, so that looking at one through a stale
   handle is always allowed.

   word   bits 0-31   count: handles, tasks that need it, objects that contain it,
                      and one of the task's own until it is complete
          bits 32-35  state
          bit  36     RR__IS_ALONE: decided without what it called
          bit  37     RR__IS_POSTPONED: an actor, WAITING to be made anew; see rr__actor_resume
          bit  38     RR__HAS_CARE: an actor with options
          bit  40     RR__HAS_SLEEPERS: threads wait in the shard's list
          bit  41     RR__HAS_DEPENDENTS: tasks wait in `dependents`
          bit  42     RR__IS_INLINE: the value is in `words`
          bit  43     RR__IS_ACTOR
          bit  44     RR__IS_DOOMED: an actor whose death was declared
          bit  45     RR__IS_CANCELLED, bit 46 RR__IS_LATE: decided from outside, rule R4
          bit  47     RR__HAS_CONTROL: a task with options, in extra.control
          bits 48-55  kind of the value's type (enum rr__type_kind)
          bit  56     RR__IS_RESTING, bit 57 RR__IS_BARE: rule R5
          bit  58     RR__IS_KILLED: an actor that rr_kill ended
          bit  59     RR__HAS_CALLED: an actor whose bodies have called something
          bit  60     RR__IS_STRIPPED, bit 61 RR__IS_LEFT: rule R6

   States: FREE -> WAITING -> QUEUED -> RUNNING -> READY or FAILED -> FREE.
          WAITING  arguments are missing; a message lies in a mailbox; an actor is
                   idle; a created object is not sealed
          QUEUED   whoever turns it into RUNNING (rr__claim) may run it
   Rules  R1  Only the owner of a state leaves it: the submitter or who completes the
              last argument WAITING, the winner of the claim QUEUED, the runner RUNNING.
              A held message whose actor dies has two owners, see rr__held_bury.
          R2  Through a handle a count is added only to a count that is not 0
              (rr__try_retain), and the id is compared after that: so a count never
              lands on another object unnoticed. A slot whose count is 0 belongs to the
              thread that made it 0; that of an actor to its runner (rr__drop).
          R3  Value, type and error are written before the state becomes READY or
              FAILED (release) and never after; who has seen that state (acquire)
              reads them without more.
          R4  Who cancels a task, or finds it late, does not own it. It sets one of the two
              flags while the task is pending, once, by which its outcome is decided: the state
              then becomes FAILED, and the flag stands for the error. The owner's next change of
              the state finds the flag, and then gives up what the task has: its arguments, and
              the count of its own.
          R5  A task that lies where nobody may look for a long time (in the list of an argument,
              a lane, a mailbox) is RESTING: set by who puts it there, before that, and cleared by
              who takes it out, before it looks at what the task has. Who decides one that rests,
              or ends its actor, gives up what it has, but for its counts, at once, and leaves it
              BARE: set in the same change in which it is seen to rest. So exactly one does.
          R6  Who decides a message that rests needs its actor, for the room in the mailbox, longer
              than the owner may count it: so it sets STRIPPED in the same change, and takes it away
              when it is done; the owner sets LEFT. The second of the two gives back the count. */
struct rr__object {
    /* The first line: all that another thread needs to run a small task or to read its result. */
    RR__ATOMIC(uint64_t) word;
    RR__ATOMIC(uint64_t) id;       /* 0: free. Written by who allocates and frees */
    RR__ATOMIC(uint64_t) words[4]; /* arguments, then the value, if they fit */

    union {
        const rr_function *fn; /* task, message, actor */
        const char *type_name; /* put object */
    } of;
    uint32_t slot;
    uint16_t by_ref; /* bit i: argument i is an object, not a value */
    uint8_t kind;    /* enum rr__kind */
    uint8_t place;   /* of the value: enum rr__place or block class */

    /* The second line: who made it, and what it waits for or is waited for by. */
    RR__ATOMIC(rr__object *) dependents; /* stack of waiting tasks; an actor: its mailbox */
    RR__ATOMIC(rr__object *) waits_on;   /* what must happen first; see core/links.h */
    rr__object *next;                    /* link of the one list that it is in */
    const char *site;                    /* "file:line" of the call that made it */
    RR__ATOMIC(uint64_t)
    info; /* pending: the task that made it, see rr__parent_key; READY: bytes of
                                  the value, if that is not in the slot; FAILED: a link */
    union {
        void *block;      /* READY, unless the value is in the slot */
        rr__error *error; /* FAILED */
        rr__hold *hold;   /* WAITING: of a message in a lane; shard lock */
    } data;
    union {
        rr__object *actor;    /* of a message: counted by it; NULL when it has run */
        rr__actor *own;       /* of an actor */
        rr__parts *parts;     /* of a gather */
        rr__control *control; /* of a function with options */
        rr__object *producer; /* of a stream: the task, counted by it */
    } extra;
    RR__ATOMIC(uint32_t) held_at; /* hint: index in the holder's scope stack */
    RR__ATOMIC(uint8_t) flags;    /* enum rr__flags; the owner writes */
    uint8_t args_place; /* of the arguments: as place; of wordy functions always the slot */
    uint8_t lane_flags; /* held: enum rr__lane_flags; shard lock of its actor */
    union {
        uint8_t attempt; /* a message: so many ended with a crash of its actor, 255 at most */
        bool is_listed;  /* an actor: it lies in the inbox; under the runtime's lock */
    };
};

enum rr__flags {
    RR__IS_TOLD = 1,    /* a message whose result nobody wants */
    RR__IS_PENDING = 2, /* it has not begun, and is counted as that: rr__pending_end */
    RR__IS_RECIPE = 4,  /* it is never submitted, see rr__recipe_of */
    RR__IS_HELD = 8     /* a message that went through a lane */
};

_Static_assert(offsetof(rr__object, dependents) == 64 || sizeof(void *) != 8,
               "the first line of a slot is what another thread needs");
_Static_assert(sizeof(rr__object) == 128 || sizeof(void *) != 8, "a slot is two lines");

enum rr__state { RR__FREE, RR__WAITING, RR__QUEUED, RR__RUNNING, RR__READY, RR__FAILED };
enum { RR__INLINE_BYTES = 32, RR__SLOT_LINK = offsetof(rr__object, next) };
#define RR__COUNT_MASK ((uint64_t)0xffffffff)
#define RR__STATE(state) ((uint64_t)(state) << 32)
#define RR__STATE_MASK RR__STATE(15)
#define RR__HAS_SLEEPERS ((uint64_t)1 << 40)
#define RR__HAS_DEPENDENTS ((uint64_t)1 << 41)
#define RR__IS_INLINE ((uint64_t)1 << 42)
#define RR__IS_ACTOR ((uint64_t)1 << 43)
#define RR__IS_DOOMED ((uint64_t)1 << 44)
#define RR__IS_CANCELLED ((uint64_t)1 << 45)
#define RR__IS_LATE ((uint64_t)1 << 46)
#define RR__IS_DECIDED (RR__IS_CANCELLED | RR__IS_LATE)
#define RR__IS_ALONE ((uint64_t)1 << 36)
#define RR__IS_POSTPONED ((uint64_t)1 << 37)
#define RR__HAS_CARE ((uint64_t)1 << 38)

#define RR__HAS_CONTROL ((uint64_t)1 << 47)
#define RR__IS_RESTING ((uint64_t)1 << 56)
#define RR__IS_BARE ((uint64_t)1 << 57)
#define RR__IS_KILLED ((uint64_t)1 << 58)
#define RR__HAS_CALLED ((uint64_t)1 << 59)
#define RR__IS_STRIPPED ((uint64_t)1 << 60)
#define RR__IS_LEFT ((uint64_t)1 << 61)
#define RR__KIND_BITS(kind) ((uint64_t)(kind) << 48)

/* The ends of lists of objects that hang on a word: nothing can be added any more. */
#define RR__CLOSED ((rr__object *)(uintptr_t)2)

static inline enum rr__state rr__state_of(uint64_t word) {
    return (enum rr__state)((word >> 32) & 15);
}
static inline bool rr__is_complete(rr__object *o) {
    return rr__state_of(rr__load_acquire(&o->word)) >= RR__READY; /* rule R3 */
}
static inline bool rr__has_failed(rr__object *o) {
    return rr__state_of(rr__load_acquire(&o->word)) == RR__FAILED;
}

/* Values that own nothing outside their slot. */
static inline bool rr__kind_is_plain(unsigned kind) {
    return kind < RR__KIND_REF || kind >= RR__KIND_INTEGER;
}
static inline unsigned rr__kind_in(uint64_t word) { return (unsigned)(word >> 48) & 255; }

/* Bytes of the value, of what is not in the slot with the size of its type; see rr__size_of. */
static size_t rr__info_of(const rr__object *o) {
    return (size_t)rr__load_relaxed(&((rr__object *)(uintptr_t)o)->info); /* fixed when complete */
}

/* A task or message that is pending: no body made it. */
static bool rr__is_from_outside(const rr__object *o) { return rr__info_of(o) == 0; }

/* Of values that are not complete those from rr_create are bytes, all others are watches. */
static bool rr__is_unsealed(rr__object *o) {
    uint64_t word = rr__load_acquire(&o->word);
    return o->kind == RR__VALUE && rr__kind_in(word) == RR__KIND_BYTES &&
           rr__state_of(word) == RR__WAITING;
}

static bool rr__is_watch(rr__object *o) {
    uint64_t word = rr__load_acquire(&o->word);
    return o->kind == RR__VALUE && rr__kind_in(word) != RR__KIND_BYTES &&
           rr__state_of(word) < RR__READY;
}

static rr_type rr__type_of(const rr__object *o) {
    static const rr_type many = {"rr_many", sizeof(rr_many), 8, RR__KIND_MANY};
    static const rr_type bytes = {"rr_bytes", sizeof(rr_bytes), 8, RR__KIND_BYTES};
    if (o->kind <= RR__METHOD) return o->of.fn->result;
    if (o->kind == RR__GATHER) return many;
    unsigned kind = rr__kind_in(rr__load_relaxed(&((rr__object *)(uintptr_t)o)->word)); /* fixed */
    if (kind == RR__KIND_BYTES) return bytes;
    return (rr_type){o->of.type_name, (uint32_t)rr__info_of(o), 1, (uint16_t)kind};
}

static RR__INLINE bool rr__is_decided(rr__object *o) {
    return (rr__load_seq_cst(&o->word) & RR__IS_DECIDED) != 0;
}

static rr_status rr__status_by(uint64_t word) {
    return word & RR__IS_CANCELLED ? RR_ERR_CANCELLED : RR_ERR_TIMEOUT;
}

/* The owner's flags. */
static inline void rr__flag_set(rr__object *o, enum rr__flags flag) {
    rr__store_relaxed(&o->flags, (uint8_t)(rr__load_relaxed(&o->flags) | flag)); /* nobody else's */
}

/* The owner's change of a pending state; false if the task was decided meanwhile (rule R4). */
static RR__INLINE bool rr__try_state(rr__object *o, enum rr__state from, enum rr__state to) {
    uint64_t word = rr__load_relaxed(&o->word); /* the CAS checks it */
    do {
        if (RR__UNLIKELY(word & RR__IS_DECIDED)) return false;
    } while (!rr__cas_seq_cst(&o->word, &word, word + RR__STATE(to) - RR__STATE(from)));
    return true;
}

/* The same of a message that is taken out of its mailbox to run (R5). */
static RR__INLINE bool rr__try_begin(rr__object *o) {
    uint64_t word = rr__load_relaxed(&o->word), next; /* the CAS checks it */
    do {
        if (RR__UNLIKELY(word & RR__IS_DECIDED)) return false;
        next = (word & ~RR__IS_RESTING) + RR__STATE(RR__RUNNING) - RR__STATE(RR__WAITING);
    } while (!rr__cas_seq_cst(&o->word, &word, next));
    return true;
}

/* It is put where it rests. */
static void rr__rest(rr__object *o) { (void)rr__or_seq_cst(&o->word, RR__IS_RESTING); }

/* What it has is the caller's to give up, if it rests and nobody else's (R5). */
static bool rr__make_bare(rr__object *o) {
    uint64_t word = rr__load_relaxed(&o->word); /* the CAS checks it */
    do {
        if (!(word & RR__IS_RESTING) || (word & (RR__IS_BARE | RR__IS_DECIDED))) return false;
    } while (!rr__cas_seq_cst(&o->word, &word, word | RR__IS_BARE));
    return true;
}

static bool rr__is_bare(rr__object *o) { return (rr__load_seq_cst(&o->word) & RR__IS_BARE) != 0; }

/* Takes what is in this state for the caller, who has it RUNNING then; once. */
static RR__INLINE bool rr__take_from(rr__object *o, enum rr__state from) {
    uint64_t word = rr__load_relaxed(&o->word); /* the CAS checks it */
    while (rr__state_of(word) == from)
        if (rr__cas_seq_cst(&o->word, &word, word + RR__STATE(RR__RUNNING) - RR__STATE(from)))
            return true;
    return false;
}

/* The one arbiter of who runs a task or an actor, or goes on with a fiber. */
static RR__INLINE bool rr__claim(rr__object *o) { return rr__take_from(o, RR__QUEUED); }

/* Takes an unsealed object for its end (rule R1). */
static bool rr__unseal(rr__object *o) { return rr__take_from(o, RR__WAITING); }

static bool rr__is_claimable(rr__object *o) {
    return (rr__load_relaxed(&o->word) & RR__STATE_MASK) == RR__STATE(RR__QUEUED); /* a hint */
}

static void rr__list_add(rr__object **first, rr__object **last, rr__object *o) {
    o->next = NULL;
    if (*last) (*last)->next = o;
    else *first = o;
    *last = o;
}

static inline void *rr__data(rr__object *o) {
    return o->place == RR__IN_SLOT ? (void *)o->words : o->data.block;
}

/* Small sizes without a call of memcpy. */
static RR__INLINE void rr__copy(void *to, const void *from, size_t size) {
    if (size == 8) memcpy(to, from, 8);
    else if (size == 4) memcpy(to, from, 4);
    else memcpy(to, from, size);
}

/* Its bytes come first in memory. Four not by way of that: a read of more than what was just
   written waits until the write is over (no store forwarding). */
static RR__INLINE uint64_t rr__word_from(const void *value, size_t size) {
    uint64_t word = 0;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (size == 4) {
        uint32_t half;
        memcpy(&half, value, 4);
        return half;
    }
#endif
    rr__copy(&word, value, size);
    return word;
}

/* Stores up to 32 bytes in the slot, as words, because a reader with a stale handle may look
   at them at the same time (rr__get); release: it then sees that the id is another. */
static RR__INLINE void rr__write_words(rr__object *o, const void *value, size_t size) {
    if (RR__LIKELY(size <= 8)) {
        rr__store_release(&o->words[0], rr__word_from(value, size));
        return;
    }
    uint64_t words[4] = {0, 0, 0, 0};
    memcpy(words, value, size);
    for (size_t i = 0; i * 8 < size; i++) rr__store_release(&o->words[i], words[i]);
}

/* A complete object's. What a task left in its slot has the size of its type, so that finishing it
   need not touch the second line. */
static size_t rr__size_of(const rr__object *o) {
    return o->kind <= RR__METHOD && o->place == RR__IN_SLOT ? o->of.fn->result.size
                                                            : rr__info_of(o);
}

/* The bytes of an object; of an empty one, too, an address that may be computed with. */
static rr_bytes rr__bytes_in(rr__object *o) {
    static _Alignas(64) const char nothing[64];
    size_t size = rr__size_of(o);
    return rr_bytes_of(size ? rr__data(o) : nothing, size);
}

// >>core/heap

/* Heaps of four children a node (Johnson, "Priority queues with update", 1975): shallow, so that
   adding and removing one of a million entries costs some ten steps. An entry knows its place,
   is a part of what it stands for, and has room promised to it beforehand: so adding cannot
   fail.
   Locks: none here; each heap is under that of whose it is. */

/* An entry of a heap. It is a part of what it stands for. */
typedef struct rr__entry {
    double when;             /* what comes first; on rr_now's clock */
    uint64_t order;          /* among equals */
    size_t at;               /* place in the heap, from 1; 0: in none. Under the heap's lock */
    rr__control *control;    /* whose it is */
    struct rr__fiber *fiber; /* or whose wait it ends; neither: the runtime's */
} rr__entry;

/* Under the lock of what it is for. */
typedef struct rr__heap {
    rr__entry **entries;          /* four children each; [0] is unused */
    size_t count, room, promised; /* in it; in the array; that may be in it at any time */
    uint64_t orders;              /* added so far */
} rr__heap;

static bool rr__entry_before(const rr__entry *a, const rr__entry *b) {
    return a->when < b->when || (a->when == b->when && a->order < b->order);
}

static void rr__heap_place(rr__heap *heap, rr__entry *entry, size_t at) {
    heap->entries[at] = entry, entry->at = at;
}

static void rr__heap_up(rr__heap *heap, rr__entry *entry, size_t at) {
    for (size_t up; at > 1; at = up) {
        up = (at + 2) / 4;
        if (!rr__entry_before(entry, heap->entries[up])) break;
        rr__heap_place(heap, heap->entries[up], at);
    }
    rr__heap_place(heap, entry, at);
}

static void rr__heap_down(rr__heap *heap, rr__entry *entry, size_t at) {
    for (;;) {
        size_t first = 4 * at - 2, least = first;
        for (size_t i = first; i < first + 4 && i <= heap->count; i++)
            if (rr__entry_before(heap->entries[i], heap->entries[least])) least = i;
        if (first > heap->count || !rr__entry_before(heap->entries[least], entry)) break;
        rr__heap_place(heap, heap->entries[least], at);
        at = least;
    }
    rr__heap_place(heap, entry, at);
}

static rr__entry *rr__heap_first(const rr__heap *heap) {
    return heap->count ? heap->entries[1] : NULL;
}

/* There is room: it was promised. */
static void rr__heap_add(rr__heap *heap, rr__entry *entry, double when) {
    entry->when = when, entry->order = heap->orders++;
    rr__heap_up(heap, entry, ++heap->count);
}

static void rr__heap_remove(rr__heap *heap, rr__entry *entry) {
    rr__entry *last = heap->entries[heap->count--];
    if (last != entry && rr__entry_before(last, entry)) rr__heap_up(heap, last, entry->at);
    else if (last != entry) rr__heap_down(heap, last, entry->at);
    entry->at = 0;
}

/* Sees to it that so many more entries can be added at any time; false without memory. */
static bool rr__heap_promise(rr__heap *heap, size_t more) {
    if (heap->promised + more + 1 > heap->room) {
        size_t room = heap->room ? 2 * heap->room : 64;
        rr__entry **entries = RR_REALLOC(heap->entries, room * sizeof *entries);
        if (!entries) return false;
        heap->entries = entries, heap->room = room;
    }
    heap->promised += more;
    return true;
}

// >>core/control

/* What a task with options, or an actor that needs resources, has beside its slot: its name, its
   timers (core/timers.h), its turn among those that need the same (core/resources.h), how often
   it is tried again (tasks/retries.h), and what it yields into (tasks/streams.h).
   Locks: the timers' and the resources', for what is said to be under them. */

typedef struct rr__stream rr__stream;
typedef struct rr__shape rr__shape;

/* For as long as its task. The task's owner alone changes it, but for the entries. */
struct rr__control {
    rr__object *task;
    const char *name; /* its own, behind this in memory; or NULL */
    int64_t retry_delay_ms;
    int max_retries, attempt; /* allowed; over: written under the timers' lock */
    bool is_blocking;         /* takes no worker */
    bool no_rebuild;          /* its result is not made again */
    bool has_limit;           /* on time */
    uint8_t timers;           /* that were promised to it */
    rr__entry limit, retry;   /* timers */

    int priority;
    bool has_turn;     /* it has a priority, or needs resources; below: under the stocks' lock */
    bool is_granted;   /* it has what it needs */
    bool is_apart;     /* its CPUs are in rr__resources.apart_cpus */
    bool is_over;      /* it enters no heap any more */
    double due;        /* when it was called, less its priority in seconds; fixed */
    rr__shape *shape;  /* what it needs; or NULL; fixed */
    rr__entry turn;    /* WAITING: in the shape's heap; QUEUED: in rr__resources.ready */
    rr__heap *turn_in; /* which it is */
    rr__control *next; /* of those that were granted something, and have not begun */

    rr__stream *stream; /* what it yields into; or NULL; fixed */
};

/* What has options of its own, or NULL. */
static rr__control *rr__control_of(const rr__object *o) {
    uint64_t word = rr__load_relaxed(&((rr__object *)(uintptr_t)o)->word); /* fixed */
    return word & RR__HAS_CONTROL ? o->extra.control : NULL;
}

/* For messages. The caller counts or owns the object. */
static const char *rr__name_of(const rr__object *o) {
    const rr__control *control = rr__control_of(o);
    if (control && control->name) return control->name;
    return o->kind <= RR__METHOD ? o->of.fn->name : o->site;
}

// >>core/deque

/* Deques: each thread has one, in which what it has made ready lies; others steal from it. Rules Q1
   to Q4 below.
   Locks: none. */

/* A work-stealing deque after Chase and Lev ("Dynamic circular work-stealing deque", 2005) and Le,
   Pop, Cohen, Zappa Nardelli ("Correct and efficient work-stealing for weak memory models", 2013).
   The owner works at the bottom, thieves take from the top, several at once.

       top                         bottom
        v                            v
       [a][b][c]  ...        [y][z]  .      entries top <= i < bottom are filled

   An entry is a hint that a slot may be claimed, not a count on it: slots are never given back to
   the system while the runtime lives, and rr__claim alone decides who runs what. So an entry may be
   old, or be taken by the owner and a thief at once; what may not happen is that one is lost.
   Rules  Q1  A thief moves top by a CAS, and reads the entries that it took again after that.
          Q2  The owner may lower bottom while a thief still knows the old one, which then moves top
              past bottom. Then the deque is empty, and bottom follows.
          Q3  An entry that is put below the highest bottom there ever was may lie in what such a
              thief takes. So the owner then looks at top, and puts it again if top has passed.
              All three are seq_cst: either the thief reads the entry, or the owner sees top.
          Q4  What a thief looks at again must still be there. So thieves are counted from before
              their CAS on, and the owner uses a place again, or moves to another ring without
              what was there, only after it has seen top pass it and then no thief. */
typedef struct rr__ring {
    int64_t mask;
    int size; /* which of rr__deque.rings it is */
    RR__ATOMIC(rr__object *) entries[];
} rr__ring;
enum { RR__RINGS = 32, RR__RING_SMALL = 6, RR__RING_LARGE = 16 }; /* logarithms of sizes */
enum { RR__STEAL = 16, RR__HINTS = 2 * RR__STEAL };               /* entries taken at once */

typedef struct rr__deque {
    char apart_1[64]; /* thieves write top, the owner bottom: not in one cache line */
    RR__ATOMIC(int64_t) top;
    RR__ATOMIC(int64_t) thieves; /* between their CAS and their second look (rule Q4) */
    char apart_2[48];
    /* What the owner writes and a thief who looks reads: one line. */
    RR__ATOMIC(int64_t) bottom;
    RR__ATOMIC(uint64_t) pushes; /* so far; tells thieves how long the last entry has been there */
    RR__ATOMIC(rr__ring *) ring;
    RR__ATOMIC(int) is_served;  /* the owner runs bodies and comes back for its entries */
    int64_t seen, high;         /* owner: what top was once; the highest bottom (rule Q3) */
    rr__ring *rings[RR__RINGS]; /* owner: one of each size, made when it is needed first */
    char apart_3[64];
} rr__deque;

/* Rings are kept, one of each size, for as long as the deque is: a thief may still read one that
   was replaced. */
static rr__ring *rr__ring_get(rr__deque *deque, int size) {
    if (size >= RR__RINGS) return NULL;
    rr__ring *ring = deque->rings[size];
    if (ring) return ring;
    ring = RR_CALLOC(1, sizeof *ring + ((size_t)1 << size) * sizeof ring->entries[0]);
    if (!ring) return NULL;
    ring->mask = ((int64_t)1 << size) - 1, ring->size = size;
    return deque->rings[size] = ring;
}

static bool rr__deque_init(rr__deque *deque) {
    rr__ring *ring = rr__ring_get(deque, RR__RING_SMALL);
    if (ring) rr__store_relaxed(&deque->ring, ring); /* published with the context */
    return ring != NULL;
}

static void rr__deque_free(rr__deque *deque) {
    for (int i = 0; i < RR__RINGS; i++) RR_FREE(deque->rings[i]);
}

static RR__NOINLINE rr__ring *rr__deque_grow(rr__deque *deque, int64_t top, int64_t bottom) {
    rr__ring *old = rr__load_relaxed(&deque->ring); /* only the owner replaces it */
    rr__ring *ring = rr__ring_get(deque, old->size + 1);
    if (!ring) return NULL;
    for (int64_t i = top; i < bottom; i++) {
        rr__object *entry = rr__load_relaxed(&old->entries[i & old->mask]);
        rr__store_relaxed(&ring->entries[i & ring->mask], entry);
    }
    rr__store_release(&deque->ring, ring); /* pairs with the acquire in rr__deque_steal */
    return ring;
}

/* Owner: places up to top may be used again, if no thief looks at them still (rule Q4). Returns
   whether that is so. */
static bool rr__deque_see(rr__deque *deque) {
    int64_t top = rr__load_seq_cst(&deque->top); /* pairs with the thief's CAS */
    if (rr__load_seq_cst(&deque->thieves)) return false;
    deque->seen = top;
    return true;
}

/* Owner, empty: after a burst the memory of large rings goes back. A thief that reads one too late
   may find anything there, also NULL; its CAS fails, or rule Q1 gives it what there really is. */
static RR__NOINLINE void rr__deque_shrink(rr__deque *deque) {
    if (!rr__deque_see(deque) || deque->seen != rr__load_relaxed(&deque->bottom)) return;
    rr__store_release(&deque->ring, deque->rings[RR__RING_SMALL]);
    for (int i = RR__RING_LARGE + 1; i < RR__RINGS && deque->rings[i]; i++)
        rr__pages_return((char *)(deque->rings[i] + 1), ((size_t)1 << i) * sizeof(rr__object *));
}

/* Puts an entry at an index; false if memory ran out. The store of bottom is seq_cst for P1. */
static RR__INLINE bool rr__deque_put(rr__deque *deque, rr__object *entry, int64_t at) {
    rr__ring *ring = rr__load_relaxed(&deque->ring); /* the owner's own */
    if (RR__UNLIKELY(at - deque->seen > ring->mask)) {
        rr__deque_see(deque);
        if (at - deque->seen > ring->mask && !(ring = rr__deque_grow(deque, deque->seen, at)))
            return false;
    }
    rr__store_relaxed(&ring->entries[at & ring->mask], entry);
    rr__store_seq_cst(&deque->bottom, at + 1);
    return true;
}

/* Owner. False if memory ran out. */
static RR__INLINE bool rr__deque_push(rr__deque *deque, rr__object *entry) {
    int64_t at = rr__load_relaxed(&deque->bottom);                           /* the owner's own */
    rr__store_relaxed(&deque->pushes, rr__load_relaxed(&deque->pushes) + 1); /* a hint */
    for (int64_t top; rr__deque_put(deque, entry, at); at = top) {
        if (at < deque->high && (top = rr__load_seq_cst(&deque->top)) > at) continue; /* rule Q3 */
        if (at >= deque->high) deque->high = at + 1;
        return true;
    }
    return false;
}

/* Owner: lowers bottom, and looks where the thieves are. True if entries are left. */
static bool rr__deque_lower(rr__deque *deque, int64_t bottom) {
    rr__store_seq_cst(&deque->bottom, bottom);
    int64_t top = rr__load_seq_cst(&deque->top);
    if (top > bottom) rr__store_relaxed(&deque->bottom, top); /* rule Q2 */
    return top < bottom;
}

/* Owner. NULL if empty. */
static rr__object *rr__deque_pop(rr__deque *deque) {
    int64_t bottom = rr__load_relaxed(&deque->bottom) - 1;
    int64_t top = rr__load_relaxed(&deque->top); /* grows only: empty now is empty then */
    rr__ring *ring = rr__load_relaxed(&deque->ring);
    if (top > bottom) {
        if (RR__UNLIKELY(ring->size > RR__RING_LARGE)) rr__deque_shrink(deque);
        return NULL;
    }
    rr__object *entry = rr__load_relaxed(&ring->entries[bottom & ring->mask]);
    (void)rr__deque_lower(deque, bottom); /* if a thief took it too, the claim decides */
    return entry;
}

/* Any thread: takes up to a quarter of the entries, the oldest first. Returns how many hints it has
   written to out; 0 if there are none or another thief was faster. */
static size_t rr__deque_steal(rr__deque *deque, rr__object *out[RR__HINTS]) {
    int64_t top = rr__load_seq_cst(&deque->top);
    int64_t count = rr__load_seq_cst(&deque->bottom) - top;
    if (count <= 0) return 0;
    size_t k = count < 8 ? 1 : count < 4 * RR__STEAL ? (size_t)count / 4 : RR__STEAL, n = k;
    rr__ring *ring = rr__load_acquire(&deque->ring);
    for (size_t i = 0; i < k; i++)
        out[i] = rr__load_relaxed(&ring->entries[(top + (int64_t)i) & ring->mask]);
    RR__STRESS_POINT();
    rr__add_seq_cst(&deque->thieves, (int64_t)1); /* rule Q4 */
    bool is_ours = rr__cas_seq_cst(&deque->top, &top, top + (int64_t)k);
    RR__STRESS_POINT();
    if (is_ours) {
        (void)rr__load_seq_cst(&deque->bottom); /* rule Q1: pairs with the store in rr__deque_put */
        ring = rr__load_acquire(&deque->ring);
    }
    for (size_t i = 0; is_ours && i < k; i++) {
        rr__object *again = rr__load_relaxed(&ring->entries[(top + (int64_t)i) & ring->mask]);
        if (again != out[i]) out[n++] = again;
    }
    rr__sub_seq_cst(&deque->thieves, (int64_t)1);
    return is_ours ? n : 0;
}

static bool rr__deque_is_empty(rr__deque *deque) {
    int64_t top = rr__load_seq_cst(&deque->top);
    return top >= rr__load_seq_cst(&deque->bottom);
}

/* Owner: drops entries at the bottom whose tasks a waiter ran already, all with one fence. */
static void rr__deque_trim(rr__deque *deque) {
    int64_t bottom = rr__load_relaxed(&deque->bottom), keep = bottom;
    int64_t top = rr__load_relaxed(&deque->top); /* may be old: looked at again */
    rr__ring *ring = rr__load_relaxed(&deque->ring);
    while (keep > top &&
           !rr__is_claimable(rr__load_relaxed(&ring->entries[(keep - 1) & ring->mask])))
        keep--;
    if (keep == bottom) return;
    if (!rr__deque_lower(deque, keep) && RR__UNLIKELY(ring->size > RR__RING_LARGE))
        rr__deque_shrink(deque);
}

// >>core/slots

/* The table of slots. A slot is found by its number in one step; its memory stays typed as
   slots, and mapped, until the runtime ends: so a stale handle may be followed, and told by its
   id.

       number 1 .. 256 in segment 8, the next 512 in segment 9, ... 2^k in segment k

   With n = number + 255, segment k holds n = 2^k to 2^(k+1) - 1, and segments[k] is where n = 0
   would lie, so that one shift and one addition find a slot.
   Locks: that of the pool, for adding. */

enum { RR__SEGMENTS = 32, RR__FIRST_SEGMENT = 8 };

/* Whose call made what is in a slot, beside what its `info` says: see rr__parent_note. */
typedef RR__ATOMIC(uint64_t) rr__origin;

typedef struct rr__slots {
    rr__pool pool;
    RR__ATOMIC(uintptr_t) segments[RR__SEGMENTS]; /* written under the pool's lock */
    void *memory[RR__SEGMENTS];                   /* as malloc gave it */
    rr__origin *origins[RR__SEGMENTS];            /* one for each slot; before its segment */
    RR__ATOMIC(uint64_t) next_id;
} rr__slots;

/* Regions of large segments are huge pages, as which they come and go. */
static size_t rr__region_bytes(size_t segment) {
    return segment >= RR__HUGE ? RR__HUGE_PAGE : segment < RR__REGION ? 128 : RR__REGION;
}

static bool rr__segment_add(rr__slots *slots) {
    rr__pool *pool = &slots->pool;
    for (int k = RR__FIRST_SEGMENT; k < RR__SEGMENTS; k++) {
        if (rr__load_relaxed(&slots->segments[k])) continue; /* written under this lock */
        size_t bytes = ((size_t)1 << k) * sizeof(rr__object);
        rr__origin *origins = slots->origins[k];
        if (!origins) origins = RR_CALLOC((size_t)1 << k, sizeof *origins);
        slots->origins[k] = origins; /* touched only where actors call */
        if (!origins) return false;
        char *start = rr__aligned_zeros(bytes, rr__region_bytes(bytes), &slots->memory[k]);
        if (!start) return false;
        if (bytes >= RR__HUGE) RR__PAGES_HUGE(start, bytes);
        pool->fresh = start, pool->end = start + bytes;
        rr__store_release(&slots->segments[k], (uintptr_t)start - bytes); /* pairs with slot_at */
        return true;
    }
    return false;
}

/* Slots: from a region that was given back, or a new segment. */
static bool rr__slots_grow(rr__pool *pool) {
    rr__chunk *region = pool->chunks;
    if (!region) return rr__segment_add(pool->owner);
    pool->chunks = region->next;
    pool->fresh = region->start, pool->end = region->start + region->bytes;
    RR_FREE(region);
    return true;
}

static size_t rr__slots_regions(rr__pool *pool, rr__region *regions) {
    rr__slots *slots = pool->owner;
    size_t n = 0;
    for (int k = RR__FIRST_SEGMENT + 1; k < RR__SEGMENTS; k++) {
        uintptr_t base = rr__load_relaxed(&slots->segments[k]); /* written under the pool's lock */
        size_t bytes = ((size_t)1 << k) * sizeof(rr__object), each = rr__region_bytes(bytes);
        for (size_t at = 0; base && at < bytes; at += each, n++)
            if (regions) regions[n] = (rr__region){(char *)(base + bytes + at), each, 0, NULL};
    }
    return n;
}

/* Its pages go back; the region stays mapped, because stale handles may be followed into it. */
static void rr__slots_give_back(rr__pool *pool, rr__region *region) {
    (void)RR__PAGES_RETURN(region->start, region->bytes);
    *region->chunk = (rr__chunk){pool->chunks, NULL, region->start, region->bytes};
    pool->chunks = region->chunk;
}
static const rr__source rr__slots_source = {rr__slots_grow, rr__slots_regions, rr__slots_give_back,
                                            true};

static bool rr__slots_init(rr__slots *slots, rr__memory *memory) {
    rr__store_relaxed(&slots->next_id, (uint64_t)1); /* nobody else is here yet */
    if (!rr__pool_init(&slots->pool, sizeof(rr__object), RR__SLOT_LINK, memory)) return false;
    slots->pool.source = &rr__slots_source, slots->pool.owner = slots;
    return true;
}

static void rr__slots_free(rr__slots *slots) {
    rr__pool_free(&slots->pool);
    for (int k = 0; k < RR__SEGMENTS; k++) RR_FREE(slots->memory[k]), RR_FREE(slots->origins[k]);
}

/* The slot of a number from a handle, live or not; NULL if there never was one. */
static RR__INLINE rr__object *rr__slot_find(rr__slots *slots, uint32_t slot) {
    uint32_t n = slot + 255;
    if (RR__UNLIKELY(n == 0)) return NULL;
    uintptr_t base = rr__load_acquire(&slots->segments[rr__highest_bit(n)]);
    return RR__LIKELY(base) ? (rr__object *)(base + (uintptr_t)n * sizeof(rr__object)) : NULL;
}

/* Of a slot that there is. */
static RR__INLINE rr__origin *rr__slot_origin(rr__slots *slots, uint32_t slot) {
    uint32_t n = slot + 255, k = rr__highest_bit(n);
    return &slots->origins[k][n - ((uint32_t)1 << k)];
}

/* Numbers of slots are below this. */
static uint32_t rr__slots_count(rr__slots *slots) {
    uint32_t k = RR__FIRST_SEGMENT;
    while (k < RR__SEGMENTS && rr__load_acquire(&slots->segments[k])) k++;
    return k < RR__SEGMENTS ? ((uint32_t)1 << k) - 255 : UINT32_MAX;
}

/* The number of what lies at an address; 0: no slot. */
static RR__NOINLINE uint32_t rr__slots_number(rr__slots *slots, const rr__object *o) {
    for (unsigned k = RR__FIRST_SEGMENT; k < RR__SEGMENTS; k++) {
        uintptr_t base = rr__load_acquire(&slots->segments[k]);
        size_t n = base ? ((uintptr_t)o - base) / sizeof(rr__object) : 0;
        if (base && n >> k == 1) return (uint32_t)(n - 255);
    }
    return 0;
}

// >>core/context

/* Threads and runtimes: what a thread has to itself (rr__local), what it has in one runtime
   (rr__context), the body that it runs (rr__frame), and the runtime. Each part keeps what is its
   own in a struct of its own: parts below this one by value, the store, the tasks, the resources
   and the timers behind a pointer, so that only they know what is in it. What the layers above
   do at moments that a layer below notices stands in one table, rr__above.

   Locks, in the order in which they may be taken:
       global          registry, names, pins, the list of runtimes
       store lock      rr__store
       end_lock
       rr_runtime.lock threads, inbox, contexts
       a shard's       sleepers, mailboxes, lanes, streams
       a parker's      what it sleeps for
       leaves          pools, big blocks, timers, resources, a file, the census */

typedef struct rr__held rr__held;
typedef struct rr__step rr__step;
typedef struct rr__lane rr__lane;
typedef struct rr__node rr__node;
typedef struct rr__sleeper rr__sleeper;
typedef struct rr__fiber rr__fiber;
typedef struct rr__resources rr__resources;
typedef struct rr__timers rr__timers;
typedef struct rr__store rr__store;
typedef struct rr__stored rr__stored;
typedef struct rr__newcomers rr__newcomers;
typedef struct rr__tasks rr__tasks;
typedef struct rr__tasks_thread rr__tasks_thread;
typedef struct rr__actors rr__actors;
typedef struct rr__local rr__local;

/* An object on the way along links, which nobody counts: with its id, by which it is known. */
struct rr__step {
    rr__object *object;
    uint64_t id;
};

/* A body that is running: on the stack of the fiber that runs it. */
typedef struct rr__frame {
    struct rr__frame *outer; /* of the same fiber */
    rr__local *self;
    rr__context *runner; /* that it began in; it may go on in another one: rr__frame_context */

    rr__object *task; /* function: its slot; actor: the message's, or the actor's */
    rr__lane **lanes; /* of the caller that this body is */
    rr__error *error; /* from rr_fail */
    void *room;       /* from rr_result */
    size_t room_bytes;
    uint8_t room_place;
    rr__object *actor; /* whose body it is; NULL: a function */
    bool is_end;       /* that actor's destructor */
    bool wants_exit;
    rr__error *crash; /* from rr_crash_actor */

    uint16_t blocking;                      /* rr_block_begin without their end */
    int lent;                               /* waits, one on top of the other, that lend its CPUs */
    rr__control *granted;                   /* by whose shape; NULL for most */
    size_t scope_start, scope_depth, floor; /* the thread's, to be put back */
    rr_runtime *chosen;
} rr__frame;

/* The scopes of a thread or fiber: store/scopes.h. */
typedef struct rr__scopes {
    rr__held *held; /* stack; the innermost scope starts at start */
    size_t count, capacity;
    size_t start, depth;
    size_t floor;    /* where the scope that the running body is starts */
    uint32_t begun;  /* so far */
    uint32_t closed; /* the serial of the one without a mark, while it is open */
} rr__scopes;

/* From what the waits of a fiber wait for, to what they may run: core/helping.h. */
typedef struct rr__path {
    rr__step *steps; /* stack */
    size_t count, capacity;
} rr__path;

/* What a thread was told last. */
typedef struct rr__noted {
    rr_ref of;       /* of whom the text speaks */
    bool is_failure; /* that object failed, and tells more than the text */
    char text[800];
    rr_status refused; /* what the store said last: rr__refuse */
    char refusal[640]; /* and why */
} rr__noted;

/* Recursion over long chains as a loop: what is to be done next, linked. Owner only. */
typedef struct rr__worklist {
    rr__object *first;
    bool is_running; /* somebody below on this stack works through it */
} rr__worklist;

/* What goes on by itself has to itself, whatever the runtime: a thread that the pool did not make,
   or a fiber, with which it moves from thread to thread. */
struct rr__local {
    rr__fiber *fiber;     /* NULL: a thread */
    rr__context *carrier; /* of the thread that carries the fiber now; NULL: a thread */
    char *last_start;     /* where on its stack a body may still begin */

    rr__context *context;  /* the one in use, or NULL */
    rr__context *attached; /* all as one from outside, linked by sibling */
    rr_runtime *chosen;    /* by rr_runtime_use; NULL: the default one */
    rr__scopes scopes;
    rr__frame *frame; /* the running body; NULL outside */
    int granted;      /* frames that were granted something */
    int apart;        /* frames that need no role: they block, or run on CPUs of their own */
    bool is_ending;   /* it has the turn of a destructor, see rr__end_begin */
    rr_runtime *uses_store, *copies; /* whose: rule E5 in store/users.h */
    rr_runtime *loads_for;           /* it has the turn of this one: rule E6 */
    bool is_hasty;                   /* likewise: it waits for no room */
    rr__path path;
    bool is_hooked;    /* the thread's end will be noticed */
    bool is_allocated; /* and this is freed then */
    rr__noted note;
};

enum rr__counter {
    RR__SUBMITTED,
    RR__FINISHED,
    RR__ERRORS,
    RR__STOLEN,
    RR__OBJECTS_MADE,
    RR__OBJECTS_GONE,
    RR__ACTORS_MADE,
    RR__ACTORS_GONE,
    RR__HITS, /* of the store; the next: rule E5 in store/users.h */
    RR__USERS_BEGUN,
    RR__USERS_ENDED,
    RR__COPIES_BEGUN,
    RR__COPIES_ENDED,
    RR__COUNTERS
};

/* Where a worker looks next. Owner only. */
typedef struct rr__look {
    bool steals_first;   /* this time, see rr__find_work */
    uint32_t passed;     /* turns since it last looked at other work first, see rr__ready_is_due */
    double passed_since; /* the first of them */
    rr__context *victim; /* where the last theft worked */
    rr__context *lone;   /* whose single entry it watches, see rr__is_lone */
    uint64_t lone_pushes;
    double lone_since;
} rr__look;

/* What sleeps: a thread on its condition variable, or a fiber, which leaves its thread. */
typedef struct rr__parker {
    rr__mutex lock;       /* of the next, and of what that says; before no other */
    rr__sleeper *sleeper; /* what it sleeps for; NULL: it does not */
    uint64_t sleeps;      /* so many so far */
    rr__fiber *fiber;     /* NULL: a thread */
    rr__context *thread;
    uint32_t vertex; /* the clock's own: core/graph.h */
} rr__parker;

/* A thread in a runtime: a pool thread, or one from outside for as long as it uses the
   runtime. Contexts are reused, and freed only with the runtime: so a thief, or who
   signals one, may always touch it. */
struct rr__context {
    rr_runtime *runtime;
    rr__context *next;             /* list of all contexts of the runtime; append only */
    rr__context *sibling;          /* list of the thread's own; owner only */
    rr__context *listed;           /* in `parked`, `rested` or `vacant`; under the runtime's lock */
    RR__ATOMIC(rr__frame *) frame; /* innermost body of what it carries; written by the owner */

    /* What it carries: core/fibers.h. Owner only. */
    rr__stack native; /* the thread's own stack, where the runtime is its own */
    rr__local *local; /* of a thread of the pool, where there are no thread-local variables */
    rr__stack *home;  /* what it goes back to */
    rr__fiber *idle;  /* fibers with nothing on them */
    int idle_count;
    rr__fiber *left;   /* that it has left just now */
    rr__object *first; /* claimed: what the next fiber begins with, found by first_by */
    rr__step first_by;

    rr__cache slots, blocks[RR__CLASSES]; /* owner only */
    uint64_t next_id, last_id;
    rr__worklist dead; /* what nothing counts any more */

    bool is_worker; /* a thread of the pool, or a service */
    void (*serve)(
        rr__context *); /* a service: what its thread does; it counts itself what it does */
    bool has_role, is_searching; /* owner only, as the next */
    rr__look look;
    bool is_parked;  /* or its thread has left; under the runtime's lock */
    bool has_thread; /* to be joined; likewise */
    rr__thread thread;
    RR__ATOMIC(uint64_t) counters[RR__COUNTERS]; /* written by the owner alone */

    rr__newcomers *newcomers; /* what the parts above keep; in one block with this */
    rr__tasks_thread *tasks;

    rr__deque deque;

    rr__parker parker; /* its lock is that of those below */
    rr__cond wake;
    bool is_woken;        /* parked: go on, with a role, or with what is assigned */
    rr__object *assigned; /* a WAITING task to run apart; written while it is parked or made */
};

/* Who waits for a sign, the first first: core/sleepers.h. */
typedef struct rr__line {
    rr__sleeper *first, *last;
} rr__line;

/* Sleepers and message queues are rarely touched by two threads: one lock for each of 64
   groups of slots serves instead of one in every slot (the idea of WebKit's parking lot,
   Pizlo 2016). Order: a shard's lock, then a context's. Never two shards. */
enum { RR__SHARD_LISTS = 64 };
typedef struct rr__shard {
    rr__mutex lock;
    rr__node *sleepers[RR__SHARD_LISTS]; /* by slot, so that each is short */
} rr__shard;

enum { RR__SHARDS = 64 };

/* What a kind of object does, for layers that know it as an object only. */
typedef struct rr__ops {
    /* WAITING: an object that must be complete before it goes on; NULL: none is missing. */
    rr__object *(*missing)(rr__object *o);
    /* WAITING, nothing is missing any more: it goes on. It is no longer the caller's. */
    void (*ready)(rr__context *cx, rr__object *o);
    /* It was claimed. `until`: an actor stops when this message of it is over; or NULL. */
    void (*run)(rr__context *cx, rr__object *o, const rr__step *until);
    /* It was decided from outside while it was WAITING (rule R4), by who now calls this. */
    void (*decided)(rr__context *cx, rr__object *o);
    /* It was decided, and the caller owns it: gives up what it has. */
    void (*abandon)(rr__context *cx, rr__object *o);
    /* What it was made with; NULL: no options. */
    rr__control *(*options)(const rr__object *o);
    /* It was counted as pending (RR__IS_PENDING), and begins or ends without. */
    void (*begun)(rr__context *cx, rr__object *o);
    /* Its timer went: that of a retry, or that of its limit. */
    void (*due)(rr__context *cx, rr__object *o, bool is_retry);
    /* Its last count went, but it has not ended: an actor. It may be another one by now. */
    void (*unheld)(rr__context *cx, rr__object *o);
    /* Nothing counts it: frees what it has beside its slot. */
    void (*end)(rr__context *cx, rr__object *o);
} rr__ops;

/* How room comes into an actor's full mailbox: one of the messages that are queued begins, or one
   of those held up before that, which are visited, is over; or it comes anyway. */
typedef struct rr__hope {
    int queued, held, is_moving;
} rr__hope;
typedef void rr__visit(void *arg, rr__object *message);

/* What the layers above do when a layer below finds that it is time. */
typedef struct rr__hooks {
    rr__ops ops[RR__KINDS];
    rr__context *(*context_alloc)(void);  /* zeroed, with what the parts above keep there */
    bool (*has_stack)(rr__context *cx);   /* for a thread to begin with; false without memory */
    void (*thread)(void *context);        /* what a thread of the pool does */
    void (*work)(void *fiber);            /* what a fiber does, for ever */
    void (*thread_ends)(rr__local *self); /* lets go of everything that the thread holds */
    int (*inside)(rr__context *cx, rr__object *actor); /* methods, if one more has to wait */
    rr__hope (*hope)(rr__context *cx, rr__object *actor, rr__visit *visit, void *arg);
    int (*users)(rr_runtime *rt);                         /* of values in the store: E5 */
    void (*deadlocks_due)(rr__context *cx);               /* bodies wait, perhaps for themselves */
    void (*sleep_due)(rr__context *cx, rr__fiber *);      /* it has slept long enough */
    void (*room_due)(rr__context *cx);                    /* somebody waits for room in the store */
    void (*turn_over)(rr__local *self);                   /* who has the turn for that waits */
    rr_status (*rebuild)(rr__context *cx, rr__stored *s); /* makes a dropped value again */
    void (*recipe_end)(rr__context *cx, rr__object *recipe); /* nobody needs it any more */
} rr__hooks;
static const rr__hooks rr__above; /* filled in by runtime/above.h */

enum rr__phase { RR__OPEN, RR__STOPPING, RR__STOPPED };

/* rr_runtime.idle counts the roles that sleep and the workers that search, so that one
   load tells a submitter whether somebody must be woken. See core/queues.h. */
#define RR__ONE_SLEEPING ((uint64_t)1)
#define RR__ONE_SEARCHING ((uint64_t)1 << 32)
#define RR__STOP ((uint64_t)1 << 63)
#define RR__SLEEPING(idle) ((uint32_t)(idle))
#define RR__SEARCHING(idle) ((uint32_t)((idle) >> 32) & 0x7fffffff)

typedef struct rr__repeat {
    rr_log_level level;
    double at;     /* when it was logged */
    uint64_t more; /* so often since then */
    char text[RR__LOG_TEXT];
} rr__repeat;

enum rr__repeated {
    RR__LINE_SPILL, /* values that cannot go to files */
    RR__LINE_LOST,  /* that cannot be made again */
    RR__LINE_TOLD,  /* messages that failed and were told, not asked */
    RR__LINE_DROP,  /* destructors that failed */
    RR__LINE_MISUSE,
    RR__LINE_GUARD, /* stacks without one */
    RR__LINES
};

struct rr_runtime {
    RR__ATOMIC(int) phase;        /* enum rr__phase */
    RR__ATOMIC(int) has_quiesced; /* no more work is taken, not even from bodies */
    uint32_t home;                /* tells handles of runtimes apart; never 0 */
    rr_config config;
    int workers, max_threads;
    size_t stack_bytes;       /* of a fiber's stack, in all */
    size_t body_bytes;        /* of those that a body finds free: rr_config.stack_bytes */
    rr__error *no_memory;     /* the error that needs no more memory */
    uint64_t holders;         /* running + attached threads from outside; global lock */
    rr_runtime *next_runtime; /* list of all; global lock */
    bool is_default;
    bool evicts; /* the store has a limit, and values may leave it */

    rr__resources *resources; /* what the parts above keep; in one block with this */
    rr__timers *timers;
    rr__store *store;
    rr__tasks *tasks;
    rr__actors *actors;

    RR__ATOMIC(rr__context *) contexts;
    RR__ATOMIC(int) has_inbox;
    RR__ATOMIC(int) has_ready; /* there are tasks that have a turn: rr__resources.ready */
    rr__slots slots;
    char apart_1[64]; /* above: read by all, rarely written; below: written, each by itself */
    RR__ATOMIC(uint64_t) idle;
    char apart_2[64];
    rr__memory memory;
    rr__arena arena;
    rr__shard shards[RR__SHARDS];

    rr__mutex fibers_lock;             /* of those below; a leaf */
    rr__fiber *fibers;                 /* all */
    rr__fiber *fibers_idle;            /* of no context */
    rr__fiber *fibers_empty;           /* without a stack */
    RR__ATOMIC(int) fibers_idle_count; /* a hint outside the lock */

    rr__mutex end_lock; /* of the two below */
    bool is_ending;     /* a destructor runs */
    rr__line end_line;  /* who waits to run one */

    rr__mutex lock;      /* of all below; before a parker's lock */
    rr__cond quiet;      /* something that rr_shutdown waits for may have happened */
    rr__context *parked; /* threads without a role */
    rr__context *rested; /* contexts of threads that have left, to be joined */
    rr__context *vacant; /* contexts that a thread from outside gave back */
    int threads;
    rr__object *inbox_first, *inbox_last; /* FIFO beside the deques: actors that had their
                                             turn, and what a deque had no memory for */

    rr__mutex log_lock; /* of those below; a leaf */
    rr__repeat lines[RR__LINES];
};

// >>core/self

/* Who calls: what a thread, or the fiber that it carries, has to itself, and the global state under
   one lock: the default runtime and the list of all. A hook notices the end of a thread that uses a
   runtime. Here is, too, what a call leaves behind for who asks: notes of errors, lines in the log,
   counters.
   Locks: global, log_lock. */

/* ---- global state ---- */

static RR__ATOMIC(rr_runtime *) rr__default;
static rr_runtime *rr__runtimes; /* all of these under the global lock */
static uint32_t rr__homes;
static rr__mutex rr__global_mutex;

static void rr__global_start(void);

/* ---- who calls ---- */

/* The fiber that the thread carries now, or the thread. A compiler that keeps the address of a
   thread-local variable in a register over a wait would, after it, have that of another thread. So
   this is never inlined, and not known to be without effects; but for x86-64 outside of shared
   libraries, where such a variable is one load relative to %fs. Where there are none (tcc), or they
   go before the hook is called (MinGW), it is the exit key's value. */
#if defined(__TINYC__) || defined(_WIN32)
/* All threads from outside for which there is no memory: it is attached to no runtime. */
static rr__local rr__nobody;
static rr__local *rr__self(void) {
    RR__ONCE(rr__global_start);
    rr__local *self = RR__EXIT_KEY_GET();
    if (RR__LIKELY(self != NULL)) return self;
    if (!(self = RR_CALLOC(1, sizeof *self))) return &rr__nobody;
    self->is_hooked = self->is_allocated = RR__EXIT_KEY_SET(self);
    if (self->is_hooked) return self;
    RR_FREE(self);
    return &rr__nobody;
}
/* The thread carries this one now, as soon as there is memory to note it: a runtime that goes on as
   somebody else would be worse. (A fiber's thread is its own here: it has no other.) */
static void rr__self_set(rr__local *self) {
    bool is_set = !self->fiber || RR__EXIT_KEY_GET() == self;
    while (!is_set && !RR__EXIT_KEY_SET(self)) rr__sleep(1e-3);
}
/* A thread of the pool has what lies with its context. */
static rr__local *rr__self_begin(rr__context *cx) {
    while (!RR__EXIT_KEY_SET(cx->local)) rr__sleep(1e-3);
    return cx->local;
}
#define RR__CAN_HOLD(self) ((self) != &rr__nobody)
#else
static _Thread_local rr__local rr__thread_local;
static _Thread_local rr__local *rr__current;
static RR__NOINLINE rr__local *rr__self_first(void) {
    RR__KEEP_CALL();
    return rr__current = &rr__thread_local;
}
#if defined(__x86_64__) && defined(__GNUC__) && (!defined(__PIC__) || defined(__PIE__))
static RR__INLINE rr__local *rr__self(void) {
#else
static RR__NOINLINE rr__local *rr__self(void) {
    RR__KEEP_CALL();
#endif
    rr__local *self = rr__current;
    return RR__LIKELY(self != NULL) ? self : rr__self_first();
}
static RR__NOINLINE void rr__self_set(rr__local *self) {
    RR__KEEP_CALL();
    rr__current = self;
}
static rr__local *rr__self_begin(rr__context *cx) { return (void)cx, rr__self(); }
#define RR__CAN_HOLD(self) true
#endif

/* The context in which the caller, whose own is `self`, goes on after it may have waited: where it
   was `cx` before. */
static RR__INLINE rr__context *rr__here_of(rr__local *self, rr__context *cx) {
    rr__context *now = self->carrier;
    return now && now->runtime == cx->runtime ? now : cx;
}
static rr__context *rr__here(rr__context *cx) { return rr__here_of(rr__self(), cx); }
static rr__context *rr__frame_context(const rr__frame *frame) {
    return rr__here_of(frame->self, frame->runner);
}

static void rr__thread_ends(void *local) {
    rr__local *self = local;
    if (self->fiber) return; /* the runtime's, which ends it */
    rr__above.thread_ends(self);
    self->is_hooked = false;
    if (self->is_allocated) RR_FREE(self);
}

static void rr__fork_prepare(void) { rr__lock(&rr__global_mutex); }
static void rr__fork_parent(void) { rr__unlock(&rr__global_mutex); }
/* The child has one thread and the memory of all: no runtime of the parent may be used. */
static void rr__fork_child(void) {
    rr__unlock(&rr__global_mutex);
    for (rr_runtime *rt = rr__runtimes; rt; rt = rt->next_runtime)
        rr__store_release(&rt->phase, RR__STOPPED);
    rr__store_release(&rr__default, (rr_runtime *)NULL);
    rr__local *self = rr__self(); /* locks may be held by threads that are gone: no letting go */
    self->context = self->attached = NULL;
    self->chosen = NULL;
    self->scopes.count = self->scopes.start = self->scopes.depth = self->path.count = 0;
    self->scopes.floor = 0, self->frame = NULL;
}
static void rr__global_start(void) {
    rr__mutex_init(&rr__global_mutex);
    if (!RR__EXIT_KEY_CREATE(rr__thread_ends)) abort();
    RR__AT_FORK(rr__fork_prepare, rr__fork_parent, rr__fork_child);
}
static void rr__global_lock(void) {
    RR__ONCE(rr__global_start);
    rr__lock(&rr__global_mutex);
}
static void rr__global_unlock(void) { rr__unlock(&rr__global_mutex); }

/* The thread's end will be noticed, so that it may hold something. */
static bool rr__local_hook(rr__local *self) {
    if (self->fiber) return true;
    RR__ONCE(rr__global_start);
    if (!self->is_hooked && RR__CAN_HOLD(self)) self->is_hooked = RR__EXIT_KEY_SET(self);
    return self->is_hooked;
}

/* ---- the log ---- */

/* How often a line came again after it was logged, if it did. */
static void rr__log_more(rr_runtime *rt, const rr__repeat *line) {
    if (line->more)
        rr__log(&rt->config, line->level, "%llu more times: %s", (unsigned long long)line->more,
                line->text);
}

/* Logs what may happen with every request: the same line once in a minute. How often it came in
   between is told before the next one of its kind, and at the end of the runtime. */
static RR__NOINLINE void rr__log_again(rr_runtime *rt, enum rr__repeated kind, rr_log_level level,
                                       const char *text) {
    rr__repeat *line = &rt->lines[kind], before = {.more = 0};
    double now = rr_now();
    rr__lock(&rt->log_lock);
    bool is_same = now - line->at < RR__LOG_PAUSE && !strncmp(line->text, text, RR__LOG_TEXT - 1);
    if (!is_same) {
        before = *line;
        line->level = level, line->at = now, line->more = 0;
        snprintf(line->text, sizeof line->text, "%s", text);
    } else line->more++;
    rr__unlock(&rt->log_lock);
    if (is_same) return;
    rr__log_more(rt, &before);
    rr__log_text(&rt->config, level, text);
}

/* At the end of the runtime; threads outside may be late. */
static void rr__log_end(rr_runtime *rt) {
    for (int i = 0; i < RR__LINES; i++) {
        rr__lock(&rt->log_lock);
        rr__repeat line = rt->lines[i];
        rt->lines[i].more = 0;
        rr__unlock(&rt->log_lock);
        rr__log_more(rt, &line);
    }
}

/* The configuration whose log a call from this thread uses; NULL: stderr. */
static const rr_config *rr__log_config(void) {
    rr__context *cx = rr__self()->context;
    return cx ? &cx->runtime->config : NULL;
}

/* Misuse by a call that returns nothing which could say so. */
static void rr__log_misuse(const char *text) {
    rr__context *cx = rr__self()->context;
    if (cx) rr__log_again(cx->runtime, RR__LINE_MISUSE, RR_LOG_WARN, text);
    else rr__log_text(NULL, RR_LOG_WARN, text);
}

/* ---- notes of errors ---- */

/* Keeps what rr_error_message tells about a reference whose object has no error itself. */
RR__PRINTF(3, 4)
static rr_status rr__note(rr_ref ref, rr_status status, const char *format, ...) {
    rr__local *self = rr__self();
    va_list args;
    va_start(args, format);
    vsnprintf(self->note.text, sizeof self->note.text, format, args);
    va_end(args);
    self->note.of = ref, self->note.is_failure = false;
    return status;
}

/* Why the store refuses something, with figures and with what to change: for the message of what
   fails by that on this thread. Whoever answers RR_ERR_STORE_FULL, RR_ERR_OBJECT_LOST or RR_ERR_IO
   first says so here, and nobody else. */
RR__PRINTF(2, 3)
static RR__NOINLINE rr_status rr__refuse(rr_status status, const char *format, ...) {
    rr__local *self = rr__self();
    va_list args;
    va_start(args, format);
    vsnprintf(self->note.refusal, sizeof self->note.refusal, format, args);
    va_end(args);
    self->note.refused = status;
    return status;
}

/* What a status means that this thread got from the store just now. */
static const char *rr__status_why(rr_status status) {
    const rr__local *self = rr__self();
    return status != RR_OK && status == self->note.refused ? self->note.refusal
                                                           : rr_status_text(status);
}

static rr_status rr__note_status(rr_ref ref, rr_status status) {
    return rr__note(ref, status, "%s", rr_status_text(status));
}

/* A reference that carries a status and no object, for when there is no memory or no
   runtime to hold one: id 0, the status in place of the slot. */
static rr_ref rr__status_ref(rr_status status) { return (rr_ref){0, (uint32_t)status, 0}; }
static rr_actor rr__status_actor(rr_status status) { return (rr_actor){0, (uint32_t)status, 0}; }
static rr_status rr__status_of(uint32_t slot) {
    return slot > 0 && slot < RR__STATUS_COUNT ? (rr_status)slot : RR_ERR_STALE;
}

/* A handle that leads to nothing: the status of it, and why in words. */
static rr_status rr__handle_status(rr_ref ref) {
    return ref.id ? RR_ERR_STALE : rr__status_of(ref.slot);
}
static const char *rr__handle_text(const rr_runtime *rt, rr_ref ref) {
    if (!ref.id && ref.slot) return rr_status_text(rr__handle_status(ref));
    if (!ref.id) return "the handle is null: it was given no value";
    if (ref.home != rt->home)
        return "the handle belongs to another runtime, which rr_runtime_use chooses, or which has "
               "ended";
    return "the handle was released, by rr_release or at the end of its scope: rr_keep takes one "
           "out of its scope, rr_give lets one outlive it for another thread";
}
static rr_status rr__refuse_handle(const rr_runtime *rt, rr_ref ref) {
    return rr__note(ref, rr__handle_status(ref), "%s", rr__handle_text(rt, ref));
}

/* ---- by thread and by object ---- */

static RR__INLINE void rr__count(rr__context *cx, enum rr__counter counter) {
    uint64_t n = rr__load_relaxed(&cx->counters[counter]); /* only the owner writes */
    rr__store_release(&cx->counters[counter], n + 1);      /* pairs with rr__sum */
}

static uint64_t rr__sum(rr_runtime *rt, enum rr__counter counter) {
    uint64_t sum = 0;
    for (rr__context *cx = rr__load_seq_cst(&rt->contexts); cx; cx = cx->next)
        sum += rr__load_seq_cst(&cx->counters[counter]);
    return sum;
}

static rr__shard *rr__shard_of(rr_runtime *rt, const rr__object *o) {
    return &rt->shards[(o->slot ^ (o->slot >> 6)) % RR__SHARDS];
}

/* Locks the shard of an object. */
static rr__shard *rr__shard_lock(rr_runtime *rt, const rr__object *o) {
    rr__shard *shard = rr__shard_of(rt, o);
    rr__lock(&shard->lock);
    return shard;
}

static rr__object *rr__current_task(rr__context *cx) {
    rr__frame *frame = rr__load_relaxed(&cx->frame); /* the owner's own */
    return frame ? frame->task : NULL;
}

static inline const rr__ops *rr__ops_of(const rr__object *o) { return &rr__above.ops[o->kind]; }

static RR__INLINE rr__object *rr__slot_at(rr_runtime *rt, uint32_t slot) {
    return rr__slot_find(&rt->slots, slot);
}

/* Memory for size bytes, 64-byte aligned; *place says what kind and goes to rr__block_free. */
static void *rr__block_new(rr__context *cx, size_t size, uint8_t *place) {
    return rr__arena_take(&cx->runtime->arena, cx->blocks, size, place);
}
static void rr__block_free(rr__context *cx, void *block, uint8_t place) {
    rr__arena_give(&cx->runtime->arena, cx->blocks, block, place);
}

// >>core/errors

/* Errors: why something failed, as a chain towards the first cause. Counted, because every
   dependent of a failure points to it. Making one never fails: without memory it is
   rr_runtime.no_memory.
   Locks: none. */

/* Why something failed: a chain towards the first cause. Counted, because every
   dependent of a failure points to it. */
struct rr__error {
    RR__ATOMIC(uint32_t) count; /* 0: static, never freed */
    rr_status status;
    int code;
    rr__error *cause;    /* counted; NULL for the first */
    const char *subject; /* the task's name, or the site of an object without one */
    bool is_task;
    RR__ATOMIC(char *) message; /* of the whole chain, composed when asked for */
    char text[];                /* after the subject, before the cause */
};

static rr__error *rr__error_share(rr__error *error) {
    if (rr__load_relaxed(&error->count)) rr__add_relaxed(&error->count, 1u); /* we hold one */
    return error;
}

static void rr__error_drop(rr__error *error) {
    while (error && rr__load_relaxed(&error->count)) { /* static ones stay 0 */
        if (rr__sub_acq_rel(&error->count, 1u) != 1) return;
        rr__error *cause = error->cause;
        RR_FREE(rr__load_relaxed(&error->message)); /* the last holder */
        RR_FREE(error);
        error = cause; /* a loop: chains are long */
    }
}

/* An error about a subject; takes over one count of the cause. Never NULL. */
RR__PRINTF(6, 0)
static rr__error *rr__error_make(rr_runtime *rt, rr_status status, int code,
                                 const rr__object *about, rr__error *cause, const char *format,
                                 va_list args) {
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    size_t room = length > 0 ? (size_t)length + 1 : 1;
    const char *subject = about ? rr__name_of(about) : NULL;
    bool is_own = about && rr__control_of(about); /* its name may go before the error */
    rr__error *error = RR_CALLOC(1, sizeof *error + room + (is_own ? strlen(subject) + 1 : 0));
    if (!error) {
        rr__error_drop(cause);
        return rt->no_memory;
    }
    vsnprintf(error->text, room, format, args);
    rr__store_relaxed(&error->count, 1u); /* not shared yet */
    error->status = status, error->code = code, error->cause = cause;
    error->subject = is_own ? strcpy(error->text + room, subject) : subject;
    error->is_task = about && about->kind <= RR__METHOD;
    return error;
}

RR__PRINTF(4, 5)
static rr__error *rr__error_new(rr_runtime *rt, rr_status status, const rr__object *about,
                                const char *format, ...) {
    va_list args;
    va_start(args, format);
    rr__error *error = rr__error_make(rt, status, 0, about, NULL, format, args);
    va_end(args);
    return error;
}

/* The failure of `about` because of another one: its status and code are passed on. Takes over a
   count of the cause. */
RR__PRINTF(4, 5)
static rr__error *rr__error_after(rr_runtime *rt, const rr__object *about, rr__error *cause,
                                  const char *format, ...) {
    va_list args;
    va_start(args, format);
    rr__error *error = rr__error_make(rt, cause->status, cause->code, about, cause, format, args);
    va_end(args);
    return error;
}

static rr__error *rr__error_saying(rr_runtime *rt, rr_status status, const rr__object *about,
                                   const char *text) {
    if (status == RR_ERR_NO_MEMORY) return rt->no_memory;
    return rr__error_new(rt, status, about, "%s", text);
}

static rr__error *rr__error_of_status(rr_runtime *rt, rr_status status, const rr__object *about) {
    return rr__error_saying(rt, status, about, rr__status_why(status));
}

/* The message of a chain; of one longer than 24 links the middle is counted, not told. */
static void rr__error_write(const rr__error *error, rr__text *text) {
    enum { HEAD = 16, TAIL = 8 };
    size_t links = 0, i = 0;
    for (const rr__error *e = error; e; e = e->cause) links++;
    for (const rr__error *e = error; e; e = e->cause, i++) {
        bool is_skipped = links > HEAD + TAIL && i >= HEAD && i < links - TAIL;
        if (is_skipped && i == HEAD) rr__text_add(text, "... %zu more ... ", links - HEAD - TAIL);
        if (is_skipped) continue;
        if (e->subject && e->is_task)
            rr__text_add(text, "%s'%s' failed: ", i ? "" : "task ", e->subject);
        else if (e->subject) rr__text_add(text, "%s(%s) failed: ", i ? "" : "object ", e->subject);
        rr__text_add(text, "%s", e->text);
    }
}

/* Composed on the first request and kept with the error; whoever comes second uses it. */
static const char *rr__error_message_of(rr__error *error) {
    char *message = rr__load_acquire(&error->message);
    if (message) return message;
    rr__text text = {NULL, 0, 0};
    rr__error_write(error, &text);
    text = (rr__text){RR_MALLOC(text.used + 1), text.used + 1, 0};
    if (!text.start) return error->text[0] ? error->text : rr_status_text(error->status);
    rr__error_write(error, &text);
    if (rr__cas_seq_cst(&error->message, &message, text.start)) return text.start;
    RR_FREE(text.start);
    return message;
}

/* ---- of objects that have failed ---- */

static rr_status rr__failure_status(rr__object *o) {
    uint64_t word = rr__load_acquire(&o->word);
    return word & RR__IS_DECIDED ? rr__status_by(word) : o->data.error->status;
}

/* Why an object has failed; counted for the caller. */
static rr__error *rr__failure(rr_runtime *rt, rr__object *o) {
    uint64_t word = rr__load_acquire(&o->word);
    if (!(word & RR__IS_DECIDED)) return rr__error_share(o->data.error);
    return rr__error_new(rt, rr__status_by(word), o, "%s", rr_status_text(rr__status_by(word)));
}

/* ---- names ---- */

/* Its options, or NULL. */
static rr__control *rr__options_of(const rr__object *o) {
    const rr__ops *ops = rr__ops_of(o);
    return ops->options ? ops->options(o) : NULL;
}

/* What an object is called: an actor by its own name and its type, what has no name by where it was
   made. The caller counts or owns it. */
static void rr__describe(rr__text *text, const rr__object *o) {
    bool is_actor = o->kind == RR__CONSTRUCTOR;
    const rr__control *control = is_actor ? rr__options_of(o) : NULL;
    const char *kind = o->kind == RR__GATHER ? "gather" : o->kind == RR__FIELD ? "field" : "object";
    if (control && control->name)
        rr__text_add(text, "the actor '%s' (%s)", control->name, o->of.fn->self.name);
    else if (is_actor) rr__text_add(text, "the actor '%s'", o->of.fn->self.name);
    else if (o->kind <= RR__METHOD) rr__text_add(text, "'%s'", rr__name_of(o));
    else rr__text_add(text, "the %s of %s", kind, o->site);
}

// >>core/objects

/* The life of an object: making it, publishing it, counting it, and what happens when nothing
   counts it any more (its class frees what it has). Rule R2 at struct rr__object.
   Locks: none but those of the pools. */

/* A slot that is used for the first time learns its number. */
static inline uint32_t rr__slot_number(rr_runtime *rt, rr__object *o) {
    return rr__slots_number(&rt->slots, o);
}

static RR__INLINE uint64_t rr__next_id(rr__context *cx) {
    enum { STEP = 1024 };
    if (RR__UNLIKELY(cx->next_id == cx->last_id)) {
        cx->next_id = rr__add_relaxed(&cx->runtime->slots.next_id, (uint64_t)STEP); /* unique */
        cx->last_id = cx->next_id + STEP;
    }
    return cx->next_id++;
}

/* A slot for a new object, not published yet: its word is still 0. NULL without memory. */
static RR__INLINE rr__object *rr__object_new(rr__context *cx, enum rr__kind kind,
                                             const char *site) {
    rr__object *o = rr__cache_take(&cx->runtime->slots.pool, &cx->slots, RR__SLOT_LINK);
    if (RR__UNLIKELY(!o)) return NULL;
    if (RR__UNLIKELY(!o->slot)) o->slot = rr__slot_number(cx->runtime, o);
    o->kind = (uint8_t)kind, o->place = RR__IN_SLOT, o->args_place = RR__IN_SLOT, o->by_ref = 0;
    o->site = site, o->data.block = NULL, o->extra.actor = NULL, o->next = NULL;
    rr__store_relaxed(&o->info, (uint64_t)0); /* published with word */
    o->lane_flags = o->attempt = 0;
    rr__store_relaxed(&o->flags, (uint8_t)0);              /* published with word */
    rr__store_relaxed(&o->dependents, (rr__object *)NULL); /* published with word */
    rr__store_relaxed(&o->waits_on, (rr__object *)NULL);
    rr__store_release(&o->id, rr__next_id(cx)); /* links are verified by it: to what the slot was
                                                   before are gone */
    rr__count(cx, kind == RR__CONSTRUCTOR ? RR__ACTORS_MADE : RR__OBJECTS_MADE);
    return o;
}

/* From here on the object is found through its handle (release; pairs with rule R2's CAS). */
static RR__INLINE void rr__publish_with(rr__object *o, enum rr__state state, uint32_t count,
                                        int type_kind, uint64_t flags) {
    rr__store_release(&o->word, RR__STATE(state) | RR__KIND_BITS(type_kind) | flags | count);
}

/* The same; says by itself where the value is. */
static RR__INLINE void rr__publish(rr__object *o, enum rr__state state, uint32_t count,
                                   int type_kind) {
    uint64_t flags = state == RR__READY && o->place == RR__IN_SLOT ? RR__IS_INLINE : 0;
    rr__publish_with(o, state, count, type_kind, flags);
}

static RR__INLINE void rr__object_free(rr__context *cx, rr__object *o) {
    rr__store_relaxed(&o->id, (uint64_t)0); /* stale from now on; value words are stored release */
    rr__store_release(&o->word, (uint64_t)0);
    if (o->kind != RR__CONSTRUCTOR) rr__count(cx, RR__OBJECTS_GONE); /* an actor: when it ended */
    rr__cache_give(&cx->runtime->slots.pool, &cx->slots, RR__SLOT_LINK, o);
}

static rr_ref rr__ref_to(rr__context *cx, rr__object *o) {
    return (rr_ref){rr__load_relaxed(&o->id), o->slot, cx->runtime->home}; /* we hold a count */
}
static rr_actor rr__actor_to(rr__context *cx, rr__object *o) {
    rr_ref ref = rr__ref_to(cx, o);
    return (rr_actor){ref.id, ref.slot, ref.home};
}

/* ---- what its class does ---- */

/* It was decided (rule R4) and is the caller's, who was about to do something with it. */
static inline void rr__abandon(rr__context *cx, rr__object *o) { rr__ops_of(o)->abandon(cx, o); }

/* Takes what rests out of where it lies. False: it was decided, or is bare, and is no longer the
   caller's (R5). */
static bool rr__pick_up(rr__context *cx, rr__object *o) {
    uint64_t word = rr__and_seq_cst(&o->word, ~RR__IS_RESTING);
    if (RR__LIKELY(!(word & (RR__IS_DECIDED | RR__IS_BARE)))) return true;
    rr__abandon(cx, o);
    return false;
}

/* Runs what was claimed. `until`: an actor stops when this message of it is over; or NULL. */
static inline void rr__run(rr__context *cx, rr__object *o, const rr__step *until) {
    rr__ops_of(o)->run(cx, o, until);
}

/* ---- counts ---- */

/* Nothing counts it any more: frees it and, as a loop, what only it kept. */
static RR__NOINLINE void rr__bury(rr__context *cx, rr__object *o) {
    o->next = cx->dead.first;
    cx->dead.first = o;
    if (cx->dead.is_running) return;
    cx->dead.is_running = true;
    while ((o = cx->dead.first)) {
        cx->dead.first = o->next;
        rr__ops_of(o)->end(cx, o);
        rr__object_free(cx, o);
    }
    cx->dead.is_running = false;
}

/* The last count went; `word` is what it was before. The last count of an actor that has not ended
   is no end of its slot: its runner frees that. The word as it was then decides, because the runner
   may be about to. */
static RR__NOINLINE void rr__last_dropped(rr__context *cx, rr__object *o, uint64_t word) {
    uint64_t flags = word & (RR__IS_INLINE | RR__HAS_CONTROL);
    if (RR__LIKELY(flags == RR__IS_INLINE && rr__kind_is_plain(rr__kind_in(word))))
        rr__object_free(cx, o);
    else if ((word & RR__IS_ACTOR) && rr__state_of(word) != RR__FAILED) {
        RR__STRESS_POINT();
        rr__above.ops[RR__CONSTRUCTOR].unheld(cx, o);
    } else rr__bury(cx, o);
}

static inline void rr__drop(rr__context *cx, rr__object *o) {
    uint64_t word = rr__sub_acq_rel(&o->word, (uint64_t)1);
    if ((word & RR__COUNT_MASK) == 1) rr__last_dropped(cx, o, word);
}

/* The caller's pin and a count that it says it has; if two threads give the same count back, the
   second finds nothing but its pin. */
static void rr__drop_two(rr__context *cx, rr__object *o) {
    uint64_t word = rr__load_relaxed(&o->word), counts; /* the CAS checks it */
    do counts = (word & RR__COUNT_MASK) >= 2 ? 2 : 1;
    while (!rr__cas_seq_cst(&o->word, &word, word - counts));
    if ((word & RR__COUNT_MASK) == counts) rr__last_dropped(cx, o, word);
}

/* A further count, by one who holds one already. */
static inline void rr__share(rr__object *o) { rr__add_relaxed(&o->word, (uint64_t)1); }

/* Rule R2. False for a stale handle. */
static bool rr__try_retain(rr__context *cx, rr__object *o, uint64_t id) {
    uint64_t word = rr__load_relaxed(&o->word); /* the CAS checks it */
    do {
        uint64_t count = word & RR__COUNT_MASK;
        if (count == 0 || count == RR__COUNT_MASK >> 1) return false;
    } while (!rr__cas_seq_cst(&o->word, &word, word + 1));
    if (RR__LIKELY(rr__load_relaxed(&o->id) == id)) return true;
    rr__drop(cx, o); /* it was another object's; put it back */
    return false;
}

/* The slot that a handle speaks of, if it still does; no count is taken. */
static RR__INLINE rr__object *rr__find(rr_runtime *rt, rr_ref ref) {
    if (ref.home != rt->home || ref.id == 0) return NULL;
    rr__object *o = rr__slot_at(rt, ref.slot);
    return o && rr__load_acquire(&o->id) == ref.id ? o : NULL;
}

/* The same with a count, which keeps it. Actors and objects do not stand in for each other. */
static rr__object *rr__pin(rr__context *cx, rr_ref ref, bool actor) {
    rr__object *o = rr__find(cx->runtime, ref);
    if (!o || !rr__try_retain(cx, o, ref.id)) return NULL;
    if ((o->kind == RR__CONSTRUCTOR) == actor) return o;
    rr__drop(cx, o);
    return NULL;
}
static rr_ref rr__as_ref(rr_actor actor) { return (rr_ref){actor.id, actor.slot, actor.home}; }
static rr__object *rr__pin_actor(rr__context *cx, rr_actor actor) {
    return rr__pin(cx, rr__as_ref(actor), true);
}

/* The object that a stored handle counts; NULL for the null handle. */
static rr__object *rr__contained(rr__context *cx, rr__object *o) {
    rr_ref inner; /* rr_actor has the same layout */
    memcpy(&inner, rr__data(o), sizeof inner);
    return inner.id ? rr__slot_at(cx->runtime, inner.slot) : NULL;
}

/* The next live object from slot number *slot on, counted for the caller; NULL after the last one.
   So it may be looked at while others go on. */
static rr__object *rr__live_next(rr__context *cx, uint32_t *slot) {
    for (rr__object *o; (o = rr__slot_at(cx->runtime, *slot)); ++*slot) {
        uint64_t id = rr__load_acquire(&o->id);
        if (id && rr__try_retain(cx, o, id)) return ++*slot, o;
    }
    return NULL;
}

/* Visits every live object. */
static void rr__each_object(rr__context *cx, void (*visit)(rr__context *, rr__object *)) {
    uint32_t slot = 1;
    for (rr__object *o; (o = rr__live_next(cx, &slot));) {
        visit(cx, o);
        rr__drop(cx, o);
    }
}

// >>core/queues

/* Where what can run lies until somebody takes it, and who is woken for it. Every thread, from
   outside too, has a deque; the inbox, a FIFO, serves actors that had their turn, and what a
   deque has no memory for. Entries are hints; rr__claim, one CAS on the slot, decides who runs
   what.

   A role is the right to run tasks; there are rr_config.workers of them. A thread that parks or
   really waits puts its role to sleep; waking takes a sleeping role and gives it to a parked
   thread, or to a new one if all are waiting. Waking follows Go's rule (Vyukov 2012): nobody is
   woken while somebody searches, and the last searcher that finds work wakes the next if there
   is more.
   Rules  P1  Submit: fill the deque, then look at idle (both seq_cst).
          P2  Before parking: change idle, then look at all deques (both seq_cst).
              P1 and P2 together: no task is left with everyone asleep.
          P3  While somebody searches nobody is woken; the last searcher that finds work
              looks, as in P2, whether there is more, and then wakes the next.
   Locks: rr_runtime.lock for threads and the inbox; a context's after it. */

static void rr__quiet_signal(rr_runtime *rt) {
    rr__lock(&rt->lock);
    rr__cond_signal(&rt->quiet);
    rr__unlock(&rt->lock);
}

static void rr__signal_if_stopping(rr_runtime *rt) {
    if (rr__load_seq_cst(&rt->idle) & RR__STOP) rr__quiet_signal(rt);
}

/* ---- threads ---- */

/* A context for a thread: of the pool, or from outside; NULL without memory. Under the runtime's
   lock. */
static rr__context *rr__context_new(rr_runtime *rt, bool is_worker) {
    rr__context *cx = is_worker ? NULL : rt->vacant;
    if (cx) {
        rt->vacant = cx->listed;
        return cx;
    }
    if (!(cx = rr__above.context_alloc())) return NULL;
    bool has_lock = rr__mutex_init(&cx->parker.lock),
         has_cond = has_lock && rr__cond_init(&cx->wake);
    bool has_stack = has_cond && rr__stack_adopt(&cx->native);
    if (!has_stack || !rr__deque_init(&cx->deque)) {
        if (has_stack) rr__stack_let_go(&cx->native);
        if (has_cond) rr__cond_destroy(&cx->wake);
        if (has_lock) rr__mutex_destroy(&cx->parker.lock);
        RR_FREE(cx);
        return NULL;
    }
    cx->runtime = rt, cx->is_worker = is_worker, cx->parker.thread = cx;
    rr__store_relaxed(&cx->deque.is_served, (int)is_worker); /* published with the context */
    cx->next = rr__load_relaxed(&rt->contexts);              /* written under this lock */
    rr__store_seq_cst(&rt->contexts, cx); /* for P2 and rr__sum; pairs with all walks */
    return cx;
}

static void rr__context_free(rr__context *cx) {
    rr__deque_free(&cx->deque);
    rr__stack_let_go(&cx->native);
    rr__cond_destroy(&cx->wake);
    rr__mutex_destroy(&cx->parker.lock);
    RR_FREE(cx);
}

static void rr__context_wake(rr__context *cx) {
    rr__lock(&cx->parker.lock);
    cx->is_woken = true;
    rr__unlock(&cx->parker.lock);
    rr__cond_signal(&cx->wake); /* it is not freed before the runtime; with the lock held the thread
                                   would wake only to wait for that */
}

/* A new pool thread: with a role, searching, or with a task to run apart. Under the runtime's
   lock. */
static bool rr__worker_add_locked(rr_runtime *rt, rr__object *task) {
    if (rt->threads >= rt->max_threads || rr__load_relaxed(&rt->phase) == RR__STOPPED) return false;
    rr__context *cx = rt->rested;
    if (cx) rt->rested = cx->listed;
    else if (!(cx = rr__context_new(rt, true))) return false;
    if (!rr__above.has_stack(cx)) {
        cx->is_parked = true, cx->listed = rt->rested, rt->rested = cx; /* for the next try */
        return false;
    }
    if (cx->has_thread) rr__thread_join(&cx->thread); /* it needs no lock any more */
    cx->has_role = cx->is_searching = !task;
    cx->assigned = task, cx->is_parked = false;
    rt->threads++;
    if ((cx->has_thread = rr__thread_start(&cx->thread, rr__above.thread, cx))) return true;
    rt->threads--;
    cx->assigned = NULL, cx->has_role = cx->is_searching = false, cx->is_parked = true;
    cx->listed = rt->rested, rt->rested = cx; /* for the next try */
    return false;
}

static void rr__service_main(void *context) {
    rr__context *cx = context;
    rr__local *self = rr__self_begin(cx);
    self->context = cx;
    cx->serve(cx);
    self->context = NULL;
    rr__above.thread_ends(self);
}

/* A thread for the runtime itself; NULL if there is none. Under the runtime's lock. */
static rr__context *rr__service_start_locked(rr_runtime *rt, void (*serve)(rr__context *)) {
    rr__context *cx = rr__context_new(rt, true);
    if (!cx) return NULL;
    cx->serve = serve;
    rr__store_relaxed(&cx->deque.is_served, 0); /* it never comes back for what it puts there */
    if ((cx->has_thread = rr__thread_start(&cx->thread, rr__service_main, cx))) return cx;
    cx->is_worker = false, cx->serve = NULL;
    cx->listed = rt->vacant, rt->vacant = cx;
    return NULL;
}

/* Takes a parked thread, which the caller then wakes; NULL if there is none. Under the runtime's
   lock. */
static rr__context *rr__unpark_locked(rr_runtime *rt) {
    rr__context *cx = rt->parked;
    if (cx) rt->parked = cx->listed, cx->is_parked = false;
    return cx;
}

/* Is there a thread for more work, or can one be made? It may have changed when it is told. */
static bool rr__can_have_thread(rr_runtime *rt) {
    rr__lock(&rt->lock);
    bool can = rt->parked || rt->threads < rt->max_threads;
    rr__unlock(&rt->lock);
    return can;
}

/* Hands a role that was just taken from sleep to a thread. If there is none for it, the role sleeps
   on: the first thread that stops waiting takes it. Under the lock, so that no thread parks unseen
   in between. */
static RR__NOINLINE void rr__role_hand_over(rr_runtime *rt) {
    rr__lock(&rt->lock);
    rr__context *cx = rr__unpark_locked(rt);
    if (!cx && !rr__worker_add_locked(rt, NULL)) {
        rr__add_seq_cst(&rt->idle, RR__ONE_SLEEPING - RR__ONE_SEARCHING);
        rr__cond_signal(&rt->quiet);
    }
    rr__unlock(&rt->lock);
    if (cx) rr__context_wake(cx);
}

/* Has a thread without a role run a task; false if there is none for it. */
static bool rr__thread_begin(rr_runtime *rt, rr__object *task) {
    rr__lock(&rt->lock);
    rr__context *cx = rr__unpark_locked(rt);
    if (cx) cx->assigned = task;
    bool is_new = !cx && rr__worker_add_locked(rt, task);
    rr__unlock(&rt->lock);
    if (cx) rr__context_wake(cx);
    return cx || is_new;
}

/* Rule P3. */
static void rr__wake_one(rr_runtime *rt) {
    uint64_t idle = rr__load_seq_cst(&rt->idle);
    while (RR__SLEEPING(idle) && !RR__SEARCHING(idle))
        if (rr__cas_seq_cst(&rt->idle, &idle, idle - RR__ONE_SLEEPING + RR__ONE_SEARCHING)) {
            rr__role_hand_over(rt);
            return;
        }
}

static RR__INLINE void rr__announce(rr_runtime *rt) { /* after a push: rule P1 */
    uint64_t idle = rr__load_seq_cst(&rt->idle);
    if (RR__UNLIKELY(RR__SLEEPING(idle) && !RR__SEARCHING(idle))) rr__wake_one(rt);
}

/* FIFO. Three kinds of things lie in it: actors that had their turn, with a count, and fibers that
   let others go first, both QUEUED, so that who finds an old hint of one, or waits for it, may
   claim it all the time: it may come here again before it is taken out; and tasks for which a deque
   had no memory, WAITING, that is, claimable by nobody until they are taken out. */
static void rr__inbox_put(rr_runtime *rt, rr__object *o, bool is_actor) {
    bool may_be_there = is_actor || o->kind == RR__FIBER;
    rr__lock(&rt->lock);
    if (!may_be_there || !o->is_listed) {
        if (may_be_there) o->is_listed = true;
        if (is_actor) rr__share(o);
        rr__list_add(&rt->inbox_first, &rt->inbox_last, o);
        rr__store_seq_cst(&rt->has_inbox, 1);
    }
    rr__unlock(&rt->lock);
    rr__announce(rt);
}

static rr__object *rr__inbox_take(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    if (!rr__load_seq_cst(&rt->has_inbox)) return NULL;
    rr__lock(&rt->lock);
    rr__object *o = rt->inbox_first;
    bool is_actor = o && o->kind == RR__CONSTRUCTOR;
    if (is_actor || (o && o->kind == RR__FIBER)) o->is_listed = false;
    if (o && !(rt->inbox_first = o->next)) {
        rt->inbox_last = NULL;
        rr__store_seq_cst(&rt->has_inbox, 0);
    }
    rr__unlock(&rt->lock);
    if (!o) return NULL;
    if (o->kind == RR__FIBER) return rr__claim(o) ? o : NULL;
    if (!is_actor) {
        if (rr__try_state(o, RR__WAITING, RR__RUNNING)) return o;
        rr__abandon(cx, o);
        return NULL;
    }
    bool is_ours = rr__claim(o);
    rr__drop(cx, o);
    return is_ours ? o : NULL;
}

/* No memory for the deque: what is QUEUED goes to the inbox, unless a waiter was faster. */
static RR__NOINLINE void rr__shelve(rr__context *cx, rr__object *o) {
    if (o->kind == RR__FIBER) {
        rr__inbox_put(cx->runtime, o, false);
        return;
    }
    if (!rr__claim(o)) return;
    bool is_actor = o->kind == RR__CONSTRUCTOR;
    if (is_actor) rr__share(o); /* once QUEUED it may end under us */
    if (rr__try_state(o, RR__RUNNING, is_actor ? RR__QUEUED : RR__WAITING))
        rr__inbox_put(cx->runtime, o, is_actor);
    else rr__abandon(cx, o);
    if (is_actor) rr__drop(cx, o);
}

/* Puts what is QUEUED where workers find it. */
static RR__INLINE void rr__push(rr__context *cx, rr__object *o) {
    if (RR__LIKELY(rr__deque_push(&cx->deque, o))) rr__announce(cx->runtime);
    else rr__shelve(cx, o);
}

/* The newest of its own, claimed. */
static rr__object *rr__pop(rr__context *cx) {
    rr__object *o;
    while ((o = rr__deque_pop(&cx->deque)))
        if (rr__claim(o)) return o;
    return NULL;
}

static bool rr__has_work(rr_runtime *rt) {
    if (rr__load_seq_cst(&rt->has_inbox) || rr__load_seq_cst(&rt->has_ready)) return true;
    for (rr__context *cx = rr__load_seq_cst(&rt->contexts); cx; cx = cx->next)
        if (!rr__deque_is_empty(&cx->deque)) return true;
    return false;
}

/* Makes a WAITING task or actor claimable. The caller owns the state (rule R1). */
static RR__INLINE void rr__make_claimable(rr__context *cx, rr__object *o) {
    if (rr__try_state(o, RR__WAITING, RR__QUEUED)) rr__push(cx, o);
    else rr__abandon(cx, o);
}

// >>core/stocks

/* Stocks: how much there is of each resource, how much of it is in use, and who waits for which set
   of needs, its shape. Bookkeeping: what follows from it is core/resources.h.
   Locks: rr__resources.lock, a leaf, held by the caller. */

/* CPUs and what rr_config.resources names, in ten-thousandths, so that they add up. */
typedef struct rr__stock {
    const char *name;
    int64_t total, used;
    int64_t stuck; /* of those used: held by actors, or by tasks that wait for something */
} rr__stock;

enum { RR__CPU, RR__STOCKS = 1 + RR_RESOURCES, RR__WHOLE = 10000 };

/* What tasks may need, and those that wait for just that: one for each such set in use. Under the
   lock of the stocks. */
typedef struct rr__shape {
    struct rr__shape *next;
    int64_t amounts[RR__STOCKS]; /* CPUs 0: nothing but the worker that runs it */
    bool is_of_actors;           /* held while they live; CPUs: those beyond the first */
    int overtaken;               /* so often since its first one waits */
    size_t users;                /* controls that point to it */
    rr__heap waiting;
} rr__shape;

typedef struct rr__resources {
    rr__mutex lock; /* of all below; a leaf */
    rr__stock stocks[RR__STOCKS];
    int count;
    char *names;
    rr__shape *shapes;
    rr__heap ready; /* QUEUED tasks that have a turn */

    rr__control *first_chosen, *last_chosen; /* granted CPUs, but the roles are not there yet */
    int64_t chosen_cpus;                     /* that those will run on */
    int64_t apart_cpus;           /* on which tasks run that are not those of a worker, see below */
    int64_t pot;                  /* roles for that */
    bool has_given;               /* roles back to the game, see rr__apart_leave_locked */
    int starting;                 /* taken from `chosen`, and not yet a thread's */
    RR__ATOMIC(int) roles_wanted; /* that workers are to hand in; see rr__pot_settle_locked */
} rr__resources;

static bool rr__resources_init(rr__resources *r) { return rr__mutex_init(&r->lock); }

static void rr__resources_free(rr__resources *r) {
    RR_FREE(r->ready.entries);
    for (rr__shape *shape = r->shapes, *next; shape; shape = next) {
        next = shape->next;
        RR_FREE(shape->waiting.entries);
        RR_FREE(shape);
    }
    RR_FREE(r->names);
    rr__mutex_destroy(&r->lock);
}

static bool rr__fits(const rr__resources *r, const rr__shape *shape, const int64_t *kept) {
    for (int i = 0; i < r->count; i++) {
        const rr__stock *stock = &r->stocks[i];
        int64_t left = stock->total - stock->used - (kept ? kept[i] : 0);
        if (shape->amounts[i] && shape->amounts[i] > left) return false;
    }
    int64_t most = r->stocks[RR__CPU].total - RR__WHOLE; /* of actors */
    return !shape->is_of_actors || r->stocks[RR__CPU].stuck + shape->amounts[RR__CPU] <= most;
}

static bool rr__shapes_meet(const rr__shape *a, const rr__shape *b) {
    for (int i = 0; i < RR__STOCKS; i++)
        if (a->amounts[i] && b->amounts[i]) return true;
    return false;
}

/* Can those that run make room for it, by ending? */
static bool rr__can_fit(const rr__resources *r, const rr__shape *shape) {
    for (int i = 0; i < r->count; i++)
        if (shape->amounts[i] > r->stocks[i].total - r->stocks[i].stuck) return false;
    return true;
}

/* The shape whose first task gets what it needs next: the oldest of those that fit. One that needs
   much does not hold up others, but only so many may overtake it; then what it needs is kept,
   unless what it lacks is held by some that wait, perhaps for those others. */
static rr__shape *rr__shape_next_locked(rr__resources *r) {
    enum { PATIENCE = 32 };
    int64_t kept[RR__STOCKS] = {0};
    rr__shape *best = NULL;
    for (rr__shape *s = r->shapes; s; s = s->next) {
        bool keeps = s->waiting.count && s->overtaken >= PATIENCE && rr__can_fit(r, s);
        for (int i = 0; i < RR__STOCKS && keeps; i++) kept[i] += s->amounts[i];
    }
    for (rr__shape *s = r->shapes; s; s = s->next)
        if (s->waiting.count && rr__fits(r, s, s->overtaken < PATIENCE ? kept : NULL) &&
            (!best || rr__entry_before(s->waiting.entries[1], best->waiting.entries[1])))
            best = s;
    for (rr__shape *s = r->shapes; s && best; s = s->next)
        if (s != best && s->waiting.count && rr__shapes_meet(s, best) &&
            rr__entry_before(s->waiting.entries[1], best->waiting.entries[1]))
            s->overtaken++;
    return best;
}

/* Adds what a shape needs to what is used, or takes it off. */
static void rr__stocks_use_locked(rr__resources *r, const rr__shape *shape, int sign) {
    for (int i = 0; i < r->count; i++) {
        r->stocks[i].used += sign * shape->amounts[i];
        if (shape->is_of_actors) r->stocks[i].stuck += sign * shape->amounts[i];
    }
}

static void rr__controls_add(rr__control **first, rr__control **last, rr__control *control) {
    control->next = NULL;
    if (*last) (*last)->next = control;
    else *first = control;
    *last = control;
}

static void rr__shape_leave_locked(rr__resources *r, rr__shape *shape) {
    enum { MANY = 64 }; /* kept for the next call that needs the same */
    rr__shape **at = &r->shapes;
    int n = 0;
    shape->waiting.promised--;
    if (--shape->users) return;
    for (rr__shape *s = r->shapes; s; s = s->next) n++;
    if (n <= MANY) return;
    while (*at != shape) at = &(*at)->next;
    *at = shape->next;
    RR_FREE(shape->waiting.entries);
    RR_FREE(shape);
}

// >>core/resources

/* Resources, and tasks that have a turn: those with a priority, or that need resources.

       WAITING, in the heap of its shape --granted--> QUEUED, in rr__resources.ready -> RUNNING

   There is one heap for each set of needs that is waited for, its shape. Workers look into
   `ready` before their deques, if what is first there is due.
   Rules  G1  A WAITING task with an entry belongs to who removes the entry; an entry in `ready` is
              a hint, as those of deques are.
          G2  What is granted is returned by the task's owner: between two attempts, or at its end,
              before that is told.
          G3  Who has put a task into the heap of a shape then looks whether it was decided, who has
              decided one then looks for its entry: so one of them finds it.

   CPUs other than one are roles, taken out of the game into a pot, from which tasks that run
   apart, on threads without a role, live. So a task that needs none of this pays one load for
   it.
   Locks: rr__resources.lock, a leaf. */

static void rr__hint_ready_locked(rr_runtime *rt) {
    rr__store_seq_cst(&rt->has_ready, rt->resources->ready.count > 0); /* rules P1, P2 */
}

static void rr__turn_leave_locked(rr_runtime *rt, rr__control *control) {
    if (!control->turn.at) return;
    rr__heap_remove(control->turn_in, &control->turn);
    if (control->turn_in == &rt->resources->ready) rr__hint_ready_locked(rt);
}

static void rr__turn_enter_locked(rr_runtime *rt, rr__control *control, rr__heap *heap) {
    rr__turn_leave_locked(rt, control); /* a waiter may have claimed it without that */
    control->turn_in = heap;
    rr__heap_add(heap, &control->turn, control->due);
    if (heap == &rt->resources->ready) rr__hint_ready_locked(rt);
}

/* A body that blocks begins on a thread of its own; false if it does not, or there is none. */
static bool rr__begin_blocking(rr_runtime *rt, const rr__control *control) {
    return control->is_blocking && rr__thread_begin(rt, control->task);
}

/* Makes a task that has its turn claimable. Its owner. */
static void rr__make_ready(rr__context *cx, rr__object *task) {
    rr_runtime *rt = cx->runtime;
    rr__control *control = task->extra.control;
    if (rr__begin_blocking(rt, control)) return;
    rr__share(task); /* once QUEUED it may end under us */
    if (rr__try_state(task, RR__WAITING, RR__QUEUED)) {
        rr__lock(&rt->resources->lock);
        if (!control->is_over && !control->turn.at)
            rr__turn_enter_locked(rt, control, &rt->resources->ready);
        rr__unlock(&rt->resources->lock);
        rr__announce(rt);
    } else {
        rr__abandon(cx, task);
    }
    rr__drop(cx, task);
}

/* A worker runs on one role, and so does what it runs. Tasks that need other than one CPU run
   apart, on threads without a role: for them roles are put into a pot, by workers that hand in
   theirs between two tasks, or from those that sleep.

       roles in the game = workers - pot,   apart_cpus <= pot,
       and, as long as something is chosen, the pot is filled up to apart_cpus + chosen_cpus

   The second holds when a task begins; one that has lent its CPUs takes them back at once, and the
   roles follow. When one ends its roles go back first if other work is queued, so that this has its
   turn. Actors hold what is beyond one CPU, and all of them leave one role: so the game goes on. */
static int64_t rr__roles_for(int64_t cpus) { return (cpus + RR__WHOLE - 1) / RR__WHOLE; }

static void rr__apart_leave_locked(rr_runtime *rt, int64_t cpus) {
    rr__resources *r = rt->resources;
    int64_t before = rr__roles_for(r->apart_cpus);
    r->apart_cpus -= cpus;
    if (!rr__has_work(rt)) return;
    for (int64_t n = before - rr__roles_for(r->apart_cpus); n > 0 && r->pot > 0; n--, r->pot--) {
        rr__add_seq_cst(&rt->idle, RR__ONE_SLEEPING);
        r->has_given = true;
    }
}

/* Fills the pot, or empties it. True if roles went back. */
static bool rr__pot_settle_locked(rr_runtime *rt) {
    rr__resources *r = rt->resources;
    int64_t all = rr__roles_for(r->apart_cpus + r->chosen_cpus);
    for (; r->pot > all; r->pot--, r->has_given = true)
        rr__add_seq_cst(&rt->idle, RR__ONE_SLEEPING);
    /* Pairs with rr__role_offer: who puts a role to sleep looks at what is wanted after that. */
    rr__store_seq_cst(&r->roles_wanted, (int)(all - r->pot));
    bool has_given = r->has_given;
    r->has_given = false;
    if (has_given) return true;
    uint64_t idle = rr__load_seq_cst(&rt->idle);
    while (r->pot < all && RR__SLEEPING(idle))
        if (rr__cas_seq_cst(&rt->idle, &idle, idle - RR__ONE_SLEEPING)) r->pot++;
    rr__store_seq_cst(&r->roles_wanted, (int)(all - r->pot));
    return false;
}

/* Grants what can be granted now: what needs no CPUs goes to *granted, the rest waits for roles. */
static void rr__grant_locked(rr_runtime *rt, rr__control **granted) {
    rr__resources *r = rt->resources;
    rr__control *last = NULL;
    for (rr__shape *shape; (shape = rr__shape_next_locked(r));) {
        rr__control *control = rr__heap_first(&shape->waiting)->control;
        rr__turn_leave_locked(rt, control);
        rr__stocks_use_locked(r, shape, 1);
        control->is_granted = true, shape->overtaken = 0;
        r->chosen_cpus += shape->amounts[RR__CPU];
        if (shape->amounts[RR__CPU]) rr__controls_add(&r->first_chosen, &r->last_chosen, control);
        else rr__controls_add(granted, &last, control);
    }
}

/* Takes those that the pot has roles for. */
static rr__control *rr__chosen_take_locked(rr__resources *r) {
    rr__control *first = NULL, *last = NULL, *control;
    while ((control = r->first_chosen)) {
        int64_t cpus = control->shape->amounts[RR__CPU];
        if (r->apart_cpus + cpus > r->pot * RR__WHOLE) break;
        if (!(r->first_chosen = control->next)) r->last_chosen = NULL;
        r->chosen_cpus -= cpus, r->apart_cpus += cpus, r->starting++;
        control->is_apart = true;
        rr__controls_add(&first, &last, control);
    }
    return first;
}

static void rr__begin_apart(rr__context *cx, rr__control *control);

/* Ends a change of the stocks, or of who waits for them: what can begin now does. */
static void rr__stock_unlock(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    rr__control *granted = NULL, *next;
    rr__grant_locked(rt, &granted);
    bool has_more_roles = rr__pot_settle_locked(rt);
    rr__control *chosen = rr__chosen_take_locked(rt->resources);
    rr__unlock(&rt->resources->lock);
    if (has_more_roles) rr__announce(rt);
    for (; granted; granted = next) {
        next = granted->next;
        if (granted->task->kind == RR__CONSTRUCTOR) rr__make_claimable(cx, granted->task);
        else rr__make_ready(cx, granted->task);
    }
    for (; chosen; chosen = next) {
        next = chosen->next;
        rr__begin_apart(cx, chosen);
    }
}

/* Hands a task for which there are roles in the pot to a thread. Without one, to the workers, which
   bring a role along (rr__apart_enter); an actor only holds its CPUs. */
static void rr__begin_apart(rr__context *cx, rr__control *control) {
    rr_runtime *rt = cx->runtime;
    rr__object *o = control->task;
    bool is_actor = o->kind == RR__CONSTRUCTOR, has_thread = !is_actor && rr__thread_begin(rt, o);
    rr__lock(&rt->resources->lock);
    rt->resources->starting--;
    if (!is_actor && !has_thread) {
        control->is_apart = false;
        rt->resources->apart_cpus -= control->shape->amounts[RR__CPU];
    }
    rr__stock_unlock(cx);
    if (is_actor) rr__make_claimable(cx, o);
    else if (!has_thread) rr__make_ready(cx, o);
}

/* Has its task, which was decided, waited for resources (G3)? Then it is the caller's now. */
static bool rr__turn_revoke(rr_runtime *rt, rr__control *control) {
    if (!control->shape) return false;
    rr__lock(&rt->resources->lock);
    bool is_ours = control->turn.at && control->turn_in == &control->shape->waiting;
    if (is_ours) rr__turn_leave_locked(rt, control);
    rr__unlock(&rt->resources->lock);
    return is_ours;
}

/* Sends a WAITING task or actor to its turn. Its owner. */
static void rr__admit(rr__context *cx, rr__object *o, rr__control *control) {
    rr_runtime *rt = cx->runtime;
    if (!control->shape) {
        rr__make_ready(cx, o);
        return;
    }
    rr__share(o); /* once it lies in a heap it may end under us */
    rr__lock(&rt->resources->lock);
    rr__turn_enter_locked(rt, control, &control->shape->waiting);
    rr__stock_unlock(cx);
    RR__STRESS_POINT();
    bool is_unwanted = (rr__load_seq_cst(&o->word) & (RR__IS_DECIDED | RR__IS_DOOMED)) != 0;
    if (is_unwanted && rr__turn_revoke(rt, control)) {
        if (o->kind == RR__CONSTRUCTOR) rr__make_claimable(cx, o);
        else rr__abandon(cx, o);
    }
    rr__drop(cx, o);
}

static void rr__return_locked(rr_runtime *rt, rr__control *control) {
    if (control->is_granted) rr__stocks_use_locked(rt->resources, control->shape, -1);
    if (control->is_apart) rr__apart_leave_locked(rt, control->shape->amounts[RR__CPU]);
    control->is_granted = control->is_apart = false;
}

/* Gives back what was granted (G2). */
static void rr__grant_return(rr__context *cx, rr__control *control) {
    if (!control->shape) return;
    rr__lock(&cx->runtime->resources->lock);
    rr__return_locked(cx->runtime, control);
    rr__stock_unlock(cx);
}

/* A body that was granted CPUs begins: if there is no role for it, the worker's goes to the pot. */
static void rr__apart_enter(rr__context *cx, rr__control *control) {
    rr_runtime *rt = cx->runtime;
    rr__lock(&rt->resources->lock);
    if (!control->is_apart) rt->resources->apart_cpus += control->shape->amounts[RR__CPU];
    if (!control->is_apart && cx->has_role) cx->has_role = false, rt->resources->pot++;
    control->is_apart = true;
    rr__stock_unlock(cx);
}

static void rr__turn_end(rr__context *cx, rr__control *control) {
    rr_runtime *rt = cx->runtime;
    rr__lock(&rt->resources->lock);
    control->is_over = true;
    rr__turn_leave_locked(rt, control);
    rt->resources->ready.promised--;
    rr__return_locked(rt, control);
    if (control->shape) rr__shape_leave_locked(rt->resources, control->shape);
    rr__stock_unlock(cx);
}

/* A body that waits lends its CPUs, and takes them back, whatever there is of them then. The rest
   of what it has stays with it. */
static RR__NOINLINE void rr__grants_lend(rr__local *self, bool lends) {
    for (rr__frame *frame = self->frame; frame; frame = frame->outer) {
        rr_runtime *rt = frame->runner->runtime;
        if (!frame->granted || (!lends && !frame->lent)) continue;
        if (lends ? frame->lent++ : --frame->lent) continue;
        const int64_t *amounts = frame->granted->shape->amounts;
        rr__lock(&rt->resources->lock);
        rt->resources->stocks[RR__CPU].used += lends ? -amounts[RR__CPU] : amounts[RR__CPU];
        for (int i = RR__CPU + 1; i < rt->resources->count; i++)
            rt->resources->stocks[i].stuck += lends ? amounts[i] : -amounts[i];
        if (amounts[RR__CPU]) frame->granted->is_apart = !lends;
        if (lends) rr__apart_leave_locked(rt, amounts[RR__CPU]);
        else rt->resources->apart_cpus += amounts[RR__CPU];
        rr__stock_unlock(rr__frame_context(frame));
    }
}

/* Tasks before the own deque? What is older than now, less a second for each step of its priority,
   goes first. But work without a priority that was passed over for a second gets every sixteenth
   turn. */
static bool rr__ready_is_due_locked(rr__context *cx, double now) {
    rr__entry *first = rr__heap_first(&cx->runtime->resources->ready);
    if (!first || first->when > now) {
        cx->look.passed = 0;
        return false;
    }
    if (cx->look.passed == 0) cx->look.passed_since = now;
    return ++cx->look.passed % 16 || now - cx->look.passed_since < 1.0;
}

/* The next task with a turn, claimed: if it is due, or any. */
static RR__NOINLINE rr__object *rr__ready_take(rr__context *cx, bool any) {
    rr_runtime *rt = cx->runtime;
    rr__object *task;
    do {
        double now = any ? 0 : rr_now();
        task = NULL;
        rr__lock(&rt->resources->lock);
        if (any ? rt->resources->ready.count > 0 : rr__ready_is_due_locked(cx, now)) {
            rr__control *control = rr__heap_first(&rt->resources->ready)->control;
            rr__turn_leave_locked(rt, control);
            task = control->task;
        }
        rr__unlock(&rt->resources->lock);
    } while (task && !rr__claim(task)); /* a hint, from here on */
    return task;
}

/* Sends a WAITING task or actor to where it is run. The caller owns the state (rule R1). */
static void rr__enqueue(rr__context *cx, rr__object *o) {
    rr__control *control = rr__control_of(o);
    if (RR__UNLIKELY(control && control->has_turn)) rr__admit(cx, o, control);
    else if (control && rr__begin_blocking(cx->runtime, control)) return;
    else rr__make_claimable(cx, o);
}

// >>core/needs

/* What a task or an actor says that it needs, checked against what there is, and its turn made from
   that. Called before it is published, by its maker.
   Locks: rr__resources.lock. */

/* In ten-thousandths; negative if it is no amount. */
static int64_t rr__amount_of(double amount) {
    if (!(amount >= 0 && amount <= 1e12)) return -1; /* also NaN */
    int64_t n = (int64_t)(amount * RR__WHOLE + 0.5);
    return amount > 0 && n == 0 ? -1 : n;
}

static int rr__stock_find(const rr_runtime *rt, const char *name) {
    for (int i = 0; i < rt->resources->count; i++)
        if (strcmp(rt->resources->stocks[i].name, name) == 0) return i;
    return -1;
}

/* One thing that is needed, added to needs; or the error. */
static rr__error *rr__need_add(rr_runtime *rt, const rr__object *about, const rr_resource *wanted,
                               int at, int64_t *needs) {
    int64_t amount = rr__amount_of(wanted->amount);
    if (amount < 0)
        return rr__error_new(rt, RR_ERR_INVALID, about,
                             "%g is no amount of '%s': it must be 0.0001 to 1e12", wanted->amount,
                             wanted->name);
    if (at < 0)
        return rr__error_new(rt, RR_ERR_UNSCHEDULABLE, about,
                             "it needs %g of '%s', of which there is none: name it in "
                             "rr_config.resources",
                             wanted->amount, wanted->name);
    double total = (double)rt->resources->stocks[at].total / RR__WHOLE;
    needs[at] += amount;
    if (needs[at] <= rt->resources->stocks[at].total) return NULL;
    return rr__error_new(rt, RR_ERR_UNSCHEDULABLE, about,
                         "it needs %g of '%s', of which there is %g in all: raise rr_config.%s",
                         wanted->amount, wanted->name, total, at ? "resources" : "workers");
}

static bool rr__has_needs(double num_cpus, const rr_resource *wanted) {
    bool has = num_cpus != 0 && num_cpus != 1; /* also NaN */
    for (int i = 0; i < RR_RESOURCES; i++) has |= wanted[i].name != NULL;
    return has;
}

static rr__error *rr__needs_read(rr_runtime *rt, const rr__object *about, double num_cpus,
                                 const rr_resource *wanted, int64_t *needs) {
    rr_resource cpus = {"num_cpus", num_cpus};
    rr__error *error = rr__need_add(rt, about, &cpus, RR__CPU, needs);
    for (int i = 0; i < RR_RESOURCES && !error; i++) {
        int at = wanted[i].name ? rr__stock_find(rt, wanted[i].name) : RR__CPU;
        if (wanted[i].name && at == RR__CPU)
            error = rr__error_new(rt, RR_ERR_INVALID, about,
                                  "'cpu' is no name of a resource: use "
                                  ".num_cpus");
        else if (wanted[i].name) error = rr__need_add(rt, about, &wanted[i], at, needs);
    }
    if (needs[RR__CPU] == RR__WHOLE) needs[RR__CPU] = 0; /* the worker that runs it */
    return error;
}

/* Finds or makes the shape of these needs; NULL without memory. */
static rr__shape *rr__shape_enter_locked(rr__resources *r, const int64_t *needs,
                                         bool is_of_actors) {
    rr__shape *shape = r->shapes;
    while (shape && (shape->is_of_actors != is_of_actors ||
                     memcmp(shape->amounts, needs, sizeof shape->amounts) != 0))
        shape = shape->next;
    if (!shape) {
        if (!(shape = RR_CALLOC(1, sizeof *shape))) return NULL;
        memcpy(shape->amounts, needs, sizeof shape->amounts);
        shape->is_of_actors = is_of_actors;
        shape->next = r->shapes, r->shapes = shape;
    }
    bool has_room = rr__heap_promise(&shape->waiting, 1);
    shape->users += has_room; /* an unused one stays, empty */
    return has_room ? shape : NULL;
}

/* For who has a priority or needs: NULLs are no needs. False without memory. */
static bool rr__turn_new(rr_runtime *rt, rr__control *control, const int64_t *needs, int priority,
                         bool is_of_actors) {
    static const int64_t none[RR__STOCKS];
    bool has_needs = memcmp(needs, none, sizeof none) != 0;
    if (!has_needs && !priority) return true;
    control->priority = priority, control->due = rr_now() - priority;
    rr__lock(&rt->resources->lock);
    bool ok = rr__heap_promise(&rt->resources->ready, 1);
    if (ok && has_needs) {
        control->shape = rr__shape_enter_locked(rt->resources, needs, is_of_actors);
        if (!(ok = control->shape != NULL)) rt->resources->ready.promised--;
    }
    control->has_turn = ok;
    rr__unlock(&rt->resources->lock);
    return ok;
}

/* Of the workers: roles that nobody runs on, and what the pot has left. */
static int64_t rr__cpus_left_locked(rr_runtime *rt) {
    uint64_t idle = rr__load_seq_cst(&rt->idle);
    int64_t left = (int64_t)RR__SLEEPING(idle) + RR__SEARCHING(idle) + rt->resources->pot;
    int64_t total = rt->resources->stocks[RR__CPU].total;
    left = left * RR__WHOLE - rt->resources->apart_cpus;
    return left < 0 ? 0 : left < total ? left : total;
}

/* How much there is of a resource, and how much of that nobody uses now; false: there is none. */
static bool rr__stock_figures(rr_runtime *rt, const char *name, double *total, double *left) {
    int at = rr__stock_find(rt, name);
    if (at < 0) return false;
    rr__lock(&rt->resources->lock);
    const rr__stock *stock = &rt->resources->stocks[at];
    int64_t unused = at == RR__CPU ? rr__cpus_left_locked(rt) : stock->total - stock->used;
    *total = (double)stock->total / RR__WHOLE, *left = (double)unused / RR__WHOLE;
    rr__unlock(&rt->resources->lock);
    return true;
}

// >>base/tables

/* Tables: stb_ds with its functions and types renamed and its short names off, so that a program
   may use its own copy beside ours; undone at the end of the file (base/tables_end.h).

   stb_ds cannot tell that memory ran out, and makes a table also to look into one: so it has what
   is filled in once, the registry, which asks first whether there is memory, and looks through the
   macro at the end. What grows and shrinks lies in maps (base/map.h). Keys are texts of the
   caller's.
   Locks: all tables are under the global lock, because stb_ds has one seed for all of them. */

#ifndef INCLUDE_STB_DS_H
#if defined(__has_include)
#if !__has_include("stb_ds.h")
#error "no stb_ds.h: apt-get install libstb-dev, compile with $(pkg-config --cflags stb)"
#endif
#endif
#define RR__OWN_STB_DS 1
#define stbds_rand_seed rr__stbds_rand_seed
#define stbds_hash_bytes rr__stbds_hash_bytes
#define stbds_hash_string rr__stbds_hash_string
#define stbds_stralloc rr__stbds_stralloc
#define stbds_strreset rr__stbds_strreset
#define stbds_arrgrowf rr__stbds_arrgrowf
#define stbds_arrfreef rr__stbds_arrfreef
#define stbds_hmfree_func rr__stbds_hmfree_func
#define stbds_hmget_key rr__stbds_hmget_key
#define stbds_hmget_key_ts rr__stbds_hmget_key_ts
#define stbds_hmput_default rr__stbds_hmput_default
#define stbds_hmput_key rr__stbds_hmput_key
#define stbds_hmdel_key rr__stbds_hmdel_key
#define stbds_shmode_func rr__stbds_shmode_func
#define stbds_array_header rr__stbds_array_header
#define stbds_string_block rr__stbds_string_block
#define stbds_string_arena rr__stbds_string_arena
#define stbds_hash_bucket rr__stbds_hash_bucket
#define stbds_hash_index rr__stbds_hash_index
#define stbds_strdup rr__stbds_strdup
#define stbds_hm_find_slot rr__stbds_hm_find_slot
#define stbds_is_key_equal rr__stbds_is_key_equal
#define stbds_siphash_bytes rr__stbds_siphash_bytes
#define stbds_make_hash_index rr__stbds_make_hash_index
#define stbds_log2 rr__stbds_log2
#define stbds_probe_position rr__stbds_probe_position
#define STBDS_SH_NONE RR__STBDS_SH_NONE
#define STBDS_SH_DEFAULT RR__STBDS_SH_DEFAULT
#define STBDS_SH_STRDUP RR__STBDS_SH_STRDUP
#define STBDS_SH_ARENA RR__STBDS_SH_ARENA
#define stbds_hash_seed rr__stbds_hash_seed
#ifndef STBDS_NO_SHORT_NAMES
#define STBDS_NO_SHORT_NAMES
#define RR__OWN_SHORT_NAMES 1
#endif
#define STB_DS_IMPLEMENTATION
#if defined(__GNUC__) || defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#endif
#include "stb_ds.h"
#if defined(__GNUC__) || defined(__clang__)
#pragma GCC diagnostic pop
#endif
#undef STB_DS_IMPLEMENTATION
#endif

/* Is there memory for so many entries, with what stb_ds takes for itself? */
static bool rr__has_room_for(size_t entries) {
    void *probe = RR_MALLOC(256 * (entries + 16));
    RR_FREE(probe);
    return probe != NULL;
}

/* The entry of a key, or NULL; valid until the table changes. */
#define RR__TABLE_AT(table, k) (stbds_shlen(table) > 0 ? stbds_shgetp_null((table), (k)) : NULL)

// >>base/map

/* Maps: from texts or numbers to pointers, as a hash table with open addressing and linear probing;
   what is deleted leaves no mark, because those behind it move up (Knuth, The Art of Computer
   Programming 3, 6.4, algorithm R). It doubles when it is three quarters full, so that an entry
   costs the same in a small and in a large one, and says when there is no memory for that. Keys are
   the caller's, and stay where they are.
   Locks: none; the caller's. */

typedef struct rr__map_entry {
    uint64_t hash;
    const char *key; /* NULL: free */
    void *value;
} rr__map_entry;

/* Zeros: empty. */
typedef struct rr__map {
    rr__map_entry *entries;
    size_t count, room; /* a power of two, or 0 */
} rr__map;

static uint64_t rr__hash_text(uint64_t hash, const char *text) { /* FNV-1a, Fowler/Noll/Vo */
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}
#define RR__HASH_START 14695981039346656037u

/* Every bit of a number counts for every bit of this, and no two have the same (splitmix64: Steele,
   Lea, Flood 2014). */
static uint64_t rr__hash_number(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* The entry of a key, or the free one where its search ends. There is one. */
static rr__map_entry *rr__map_slot(const rr__map *map, uint64_t hash, const char *key) {
    size_t mask = map->room - 1, i = (size_t)hash & mask;
    for (;; i = (i + 1) & mask) {
        rr__map_entry *e = &map->entries[i];
        if (!e->key || (e->hash == hash && !strcmp(e->key, key))) return e;
    }
}

/* False without memory. */
static bool rr__map_resize(rr__map *map, size_t room) {
    rr__map larger = {.room = room, .count = map->count};
    larger.entries = RR_CALLOC(room, sizeof *larger.entries);
    if (!larger.entries) return false;
    for (size_t i = 0; i < map->room; i++) {
        rr__map_entry e = map->entries[i];
        if (e.key) *rr__map_slot(&larger, e.hash, e.key) = e;
    }
    RR_FREE(map->entries);
    *map = larger;
    return true;
}

static void rr__map_free(rr__map *map) {
    RR_FREE(map->entries);
    *map = (rr__map){NULL, 0, 0};
}

/* ---- by hash and key ---- */

/* The entry, until the map changes; or NULL. */
static rr__map_entry *rr__map_find(const rr__map *map, uint64_t hash, const char *key) {
    rr__map_entry *e = map->room ? rr__map_slot(map, hash, key) : NULL;
    return e && e->key ? e : NULL;
}

/* Adds one that is not there. False without memory. */
static bool rr__map_add(rr__map *map, uint64_t hash, const char *key, void *value) {
    bool is_full = map->count >= map->room / 4 * 3;
    if (is_full && !rr__map_resize(map, map->room ? 2 * map->room : 16)) return false;
    *rr__map_slot(map, hash, key) = (rr__map_entry){hash, key, value};
    map->count++;
    return true;
}

/* Those behind it that are not where their search begins move up. */
static void rr__map_remove(rr__map *map, rr__map_entry *e) {
    size_t mask = map->room - 1, gap = (size_t)(e - map->entries);
    for (size_t i = (gap + 1) & mask; map->entries[i].key; i = (i + 1) & mask) {
        size_t home = (size_t)map->entries[i].hash & mask;
        if (((i - home) & mask) < ((i - gap) & mask)) continue;
        map->entries[gap] = map->entries[i], gap = i;
    }
    map->entries[gap].key = NULL;
    if (!--map->count) rr__map_free(map);
    else if (map->count < map->room / 8) (void)rr__map_resize(map, map->room / 2); /* or later */
}

/* ---- by text, by number ---- */

static uint64_t rr__map_hash(const char *text) {
    return rr__hash_number(rr__hash_text(RR__HASH_START, text));
}
static rr__map_entry *rr__map_at(const rr__map *map, const char *text) {
    return rr__map_find(map, rr__map_hash(text), text);
}
static bool rr__map_put(rr__map *map, const char *text, void *value) {
    return rr__map_add(map, rr__map_hash(text), text, value);
}
static rr__map_entry *rr__map_at_number(const rr__map *map, uint64_t number) {
    return rr__map_find(map, rr__hash_number(number), "");
}
static bool rr__map_put_number(rr__map *map, uint64_t number, void *value) {
    return rr__map_add(map, rr__hash_number(number), "", value);
}

// >>core/types

/* Types of values: which are the same, and a hash of a signature that every process which runs the
   same program agrees on.
   Locks: none. */

/* "struct point" and "point" are one name; so are types with and without qualifiers. */
static const char *rr__bare_name(const char *name) {
    static const char *const words[] = {"const ", "volatile ", "struct ", "union ", "enum "};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(name, words[i], strlen(words[i])) == 0)
            name += strlen(words[i]), i = (size_t)-1;
    return name;
}

static bool rr__type_equal(rr_type a, rr_type b) {
    if (a.kind != b.kind) return false;
    if (a.kind != RR__KIND_OTHER) return true;
    return a.size == b.size &&
           (a.name == b.name || strcmp(rr__bare_name(a.name), rr__bare_name(b.name)) == 0);
}

static uint64_t rr__hash_type(uint64_t hash, rr_type type) {
    hash = (hash ^ type.kind) * 1099511628211u;
    hash = (hash ^ type.size) * 1099511628211u;
    return type.kind == RR__KIND_OTHER ? rr__hash_text(hash, rr__bare_name(type.name)) : hash;
}

/* The same in every process that runs the same program, whatever it was loaded with. */
static uint64_t rr__signature(const rr_function *fn) {
    uint64_t hash = rr__hash_type(rr__hash_text(RR__HASH_START, fn->name), fn->result);
    hash = rr__hash_type(rr__hash_type(hash, fn->self), fn->item);
    for (int i = 0; i < fn->arity; i++) hash = rr__hash_type(hash, fn->params[i]);
    return hash;
}

// >>core/registry

/* The registry: remote functions by name, destructors by type. Constructors of the program push
   descriptors on a list (rr__link), before main or inside dlopen; the first look at the tables
   takes them over. A function is valid, or rejected with a reason; both for good.
   Locks: the global one. stb_ds is used under it, and asked first whether there is memory. */

static RR__ATOMIC(rr_function *) rr__functions; /* everything linked, the newest first */

typedef struct rr__registered {
    char *key;
    rr_function *value;
} rr__registered;
static rr__registered *rr__table; /* by name */
static rr__registered *rr__drops; /* destructors by type */
static rr_function *rr__checked;  /* registrations from here on are in the tables */

enum rr__function_state { RR__NEW, RR__LINKED, RR__VALID, RR__REJECTED };

/* Called from constructors, before main or inside dlopen: pushes a static node on a list, once. */
void rr__link(rr_function *fn) {
    int state = RR__NEW;
    if (!rr__cas_seq_cst(&fn->state, &state, (int)RR__LINKED)) return;
    rr_function *head = rr__load_relaxed(&rr__functions); /* the CAS checks it */
    do fn->next = head;
    while (!rr__cas_seq_cst(&rr__functions, &head, fn));
}

/* Why a function cannot be registered. False if it can. Under the global lock. */
static bool rr__registry_objection(const rr_function *fn, char *text, size_t size,
                                   rr_status *status) {
    const rr__registered *other = fn->kind == RR__DESTRUCTOR
                                      ? RR__TABLE_AT(rr__drops, fn->self.name)
                                      : RR__TABLE_AT(rr__table, fn->name);
    if (other && other->value != fn) {
        *status = RR_ERR_DUPLICATE;
        if (fn->kind == RR__DESTRUCTOR)
            snprintf(text, size, "'%s' has two destructors, at %s and at %s: keep one of them",
                     fn->self.name, other->value->site, fn->site);
        else
            snprintf(text, size,
                     "two remote functions are called '%s', at %s and at %s: rename one of them, a "
                     "name is unique in a program",
                     fn->name, other->value->site, fn->site);
        return true;
    }
    const char *why = fn->result.kind == RR__KIND_MANY
                          ? "it returns rr_many; let it return rr_bytes or a reference"
                      : fn->self.align > 64
                          ? "its state is aligned to more than 64 bytes; let it be 64"
                          : NULL;
    if (!why) return false;
    *status = RR_ERR_INVALID;
    snprintf(text, size, "'%s' at %s cannot be a remote function: %s", fn->name, fn->site, why);
    return true;
}

/* What rr__args_pack wants to know, once for all calls. */
static void rr__registry_measure(rr_function *fn) {
    fn->is_wordy = fn->arity <= 4;
    fn->handles = 0, fn->by_value = fn->result.size + fn->item.size;
    for (int i = 0; i < fn->arity; i++) {
        int kind = fn->params[i].kind;
        bool is_handle = kind == RR__KIND_REF || kind == RR__KIND_ACTOR;
        fn->by_value += fn->params[i].size;
        bool is_object = kind == RR__KIND_BYTES || kind == RR__KIND_MANY;
        if (is_handle) fn->handles |= (uint16_t)(1u << i);
        if (!is_handle && !is_object && fn->params[i].size > 8) fn->is_wordy = false;
    }
}

static void rr__registry_add_locked(rr_function *fn) {
    char text[8];
    rr_status status;
    bool is_refused = rr__registry_objection(fn, text, sizeof text, &status);
    if (!is_refused) fn->hash = rr__signature(fn), rr__registry_measure(fn);
    if (!is_refused && fn->kind == RR__DESTRUCTOR) stbds_shput(rr__drops, fn->self.name, fn);
    else if (!is_refused) stbds_shput(rr__table, fn->name, fn);
    /* Pairs with the acquire in rr__is_valid. */
    rr__store_release(&fn->state, (int)(is_refused ? RR__REJECTED : RR__VALID));
}

/* Takes over what was registered since the last time. */
static rr_status rr__registry_refresh_locked(void) {
    rr_function *head = rr__load_acquire(&rr__functions), *fn;
    if (head == rr__checked) return RR_OK;
    size_t entries = (size_t)stbds_shlen(rr__table) + 16;
    for (fn = head; fn && fn != rr__checked; fn = fn->next) entries++;
    if (!rr__has_room_for(entries)) return RR_ERR_NO_MEMORY;
    for (fn = head; fn && fn != rr__checked; fn = fn->next) rr__registry_add_locked(fn);
    rr__checked = head;
    for (fn = head; fn; fn = fn->next) {
        bool is_of_actor = fn->kind == RR__CONSTRUCTOR;
        rr__registered *drop = is_of_actor ? RR__TABLE_AT(rr__drops, fn->self.name) : NULL;
        if (drop) rr__store_release(&fn->drop, (const rr_function *)drop->value);
    }
    return RR_OK;
}

static rr_status rr__registry_refresh(void) {
    rr__global_lock();
    rr_status status = rr__registry_refresh_locked();
    rr__global_unlock();
    return status;
}

/* For a runtime that starts: reports every function that was refused, whenever that was. */
static rr_status rr__registry_report(const rr_config *config) {
    rr_status status = RR_OK;
    char text[512];
    for (rr_function *fn = rr__load_acquire(&rr__functions); fn; fn = fn->next) {
        if (rr__load_acquire(&fn->state) != RR__REJECTED) continue;
        rr__global_lock();
        bool is_refused = rr__registry_objection(fn, text, sizeof text, &status);
        rr__global_unlock();
        if (!is_refused) continue;
        rr__log_text(config, RR_LOG_ERROR, text);
        rr__note(RR__NULL_REF, status, "%s", text);
    }
    return status;
}

rr_status rr_register(rr_function *fn) {
    if (!fn || !fn->name || !fn->thunk || fn->arity < 0 || fn->arity > RR__MAX_PARAMS)
        return rr__note(RR__NULL_REF, RR_ERR_INVALID,
                        "rr_register: this is no remote function: pass RR_FUNCTION(name)");
    rr__link(fn);
    rr_status status = rr__registry_refresh();
    if (status != RR_OK) return rr__note_status(RR__NULL_REF, status);
    if (rr__load_acquire(&fn->state) != RR__REJECTED) return RR_OK;
    char text[512];
    rr__global_lock();
    rr__registry_objection(fn, text, sizeof text, &status);
    rr__global_unlock();
    return rr__note(RR__NULL_REF, status, "%s", text);
}

/* Usable? A function that was loaded after rr_init is looked at on its first call. */
static bool rr__is_valid(rr_function *fn) {
    if (RR__LIKELY(rr__load_acquire(&fn->state) == RR__VALID)) return true;
    rr_register(fn);
    return rr__load_acquire(&fn->state) == RR__VALID;
}

static rr_function *rr__registry_find(const char *name) {
    rr__global_lock();
    rr__registry_refresh_locked();
    rr__registered *entry = RR__TABLE_AT(rr__table, name);
    rr_function *fn = entry ? entry->value : NULL;
    rr__global_unlock();
    return fn;
}

/* Levenshtein distance, at most 64 characters of each; for suggestions. */
static size_t rr__distance(const char *a, const char *b) {
    size_t row[65], n = strlen(b) < 64 ? strlen(b) : 64, m = strlen(a) < 64 ? strlen(a) : 64;
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 1; i <= m; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t change = corner + (a[i - 1] != b[j - 1]);
            corner = row[j];
            size_t best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = best < change ? best : change;
        }
    }
    return row[n];
}

/* Writes up to three names close to the one asked for: "; did you mean 'a', 'b'?" */
static void rr__registry_suggest(const char *name, char *out, size_t size) {
    const char *best[3] = {NULL, NULL, NULL};
    size_t distances[3] = {SIZE_MAX, SIZE_MAX, SIZE_MAX}, used = 0;
    for (rr_function *fn = rr__load_acquire(&rr__functions); fn; fn = fn->next) {
        size_t distance = rr__distance(name, fn->name), limit = 2 + strlen(name) / 3;
        const char *candidate = fn->name;
        for (int i = 0; i < 3 && distance <= limit && fn->kind == RR__FUNCTION; i++)
            if (distance < distances[i]) { /* insert, and go on with what was there */
                size_t d = distances[i];
                const char *n = best[i];
                distances[i] = distance, best[i] = candidate, distance = d, candidate = n;
                if (!n) break;
            }
    }
    out[0] = 0;
    for (int i = 0; i < 3 && best[i] && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s'%s'", i ? ", " : "; did you mean ",
                                 best[i]);
    if (best[0] && used < size) snprintf(out + used, size - used, "?");
}

// >>core/parking

/* Parking: what sleeps, what it sleeps for, and how that is ended. A thread sleeps on its own
   condition variable; a fiber has left its thread, and is queued (core/fibers.h).
   Rules  S1  A parker says what it sleeps for from when it sleeps until somebody has ended that:
              both under its lock, under which is looked, too, whether it is over already. So no
              end is missed, and of those that come to end it one alone wakes it.
          S2  What ends a sleep is noted in the sleeper, under the parker's lock: by who finds it
              in a line or a list, where it stands from before it sleeps until after; or, by way of
              the parker, by who finds it asleep. What these change, a task that was decided or a
              time that has come, is looked at once more when the sleep begins.
   Locks: a parker's, a leaf. */

/* What a wait is for: `need` of n objects (NULL: known to be complete, not counted). */
typedef struct rr__wait {
    rr__object **objects;
    rr__node *nodes; /* n of them */
    size_t n, need;
    bool all;        /* all of them are needed and there is no limit: help */
    double deadline; /* negative: none */
    size_t *order;
} rr__wait;

/* What sleeps, and what for: one is made for each sleep. */
struct rr__sleeper {
    rr__parker *parker;
    rr__local *self;
    rr__context *context; /* where it waits; for a fiber in its own runtime: where it began to */
    rr__object *task;     /* whose body waits; NULL outside */
    size_t fired, need;   /* under the parker's lock */
    const rr__wait *wait; /* the objects; NULL: a sign, or a time */
    rr__object *edge;     /* without those, who gives the sign; or: */
    rr__parker *giver;
    double deadline;
    bool has_limit;
    bool is_late;        /* the deadline has come */
    bool is_cancelled;   /* the task was, meanwhile */
    bool is_ring;        /* it is in one, which `ring` describes */
    bool wants_room;     /* in the store: store/patience.h */
    bool is_for_outside; /* a thread from outside may give the sign, and nobody that is known */
    bool may_starve;     /* it may end for want of memory */
    bool is_starved;     /* for the stack of what goes on meanwhile: it has */
    char *ring;          /* RR__RING_TEXT bytes, if it may be found in one */
    size_t *order;       /* indices in order of completion; may be NULL */
    rr__sleeper *next;   /* in a line: who waits for a sign */
};
enum { RR__RING_TEXT = 320 };

/* The actor that a body works for was ended by rr_kill. */
static RR__INLINE bool rr__is_killed(const rr__frame *frame) {
    if (RR__LIKELY(!frame->actor) || frame->is_end) return false;
    return (rr__load_seq_cst(&frame->actor->word) & RR__IS_KILLED) != 0;
}

/* Nobody needs what the body does any more: its task was decided, or its actor killed. */
static RR__INLINE bool rr__frame_must_stop(const rr__frame *frame) {
    return rr__is_decided(frame->task) || rr__is_killed(frame);
}

/* ---- under the parker's lock ---- */

/* Its sleep ends, or, asked by itself after that, has ended, before enough has fired. */
static RR__INLINE bool rr__sleeper_was_stopped(const rr__sleeper *s) {
    return s->is_late || s->is_ring || s->is_cancelled || s->is_starved;
}
static RR__INLINE bool rr__sleeper_is_over_locked(const rr__sleeper *s) {
    return s->fired >= s->need || rr__sleeper_was_stopped(s);
}

/* Looks at what nobody notes who does not find it asleep (S2). By itself while it does not sleep,
   or under the lock. */
static RR__INLINE bool rr__sleeper_must_stop(rr__sleeper *s) {
    s->is_cancelled |= s->task && rr__frame_must_stop(s->self->frame);
    s->is_late |= s->has_limit && rr_now() >= s->deadline;
    return rr__sleeper_was_stopped(s);
}
static RR__INLINE bool rr__sleeper_look_locked(rr__sleeper *s) {
    return rr__sleeper_must_stop(s) || rr__sleeper_is_over_locked(s);
}

/* It sleeps from now on; false: it is over already. */
static RR__INLINE bool rr__parker_begins_locked(rr__sleeper *s) {
    if (rr__sleeper_look_locked(s)) return false;
    s->parker->sleeper = s, s->parker->sleeps++;
    return true;
}

/* Asleep, it may be found in a ring: the clock must look. */
static RR__INLINE bool rr__sleeper_is_sought(const rr__sleeper *s) {
    return s->ring && s->task && !s->has_limit;
}

/* The end was noted: returns whom the caller is to wake, or NULL: it does not sleep for this. */
static rr__parker *rr__parker_ends_locked(rr__sleeper *s) {
    if (s->parker->sleeper != s) return NULL;
    s->parker->sleeper = NULL;
    return s->parker;
}

/* One more of what it waits for; returns the same. */
static RR__INLINE rr__parker *rr__sleeper_fire_locked(rr__sleeper *s) {
    return ++s->fired >= s->need ? rr__parker_ends_locked(s) : NULL;
}

/* ---- the ends ---- */

/* Asked by itself, awake. */
static bool rr__sleeper_is_over(rr__sleeper *s) {
    rr__lock(&s->parker->lock);
    bool is_over = rr__sleeper_look_locked(s);
    rr__unlock(&s->parker->lock);
    return is_over;
}

/* Gives a sleeper a sign. Returns who is to be woken, or NULL; the sleeper may be gone already. */
static rr__parker *rr__sleeper_sign(rr__sleeper *s) {
    rr__parker *parker = s->parker; /* never freed before the runtime */
    rr__lock(&parker->lock);
    rr__parker *woken = rr__sleeper_fire_locked(s);
    rr__unlock(&parker->lock);
    return woken;
}

/* The same for a time that has come. */
static rr__parker *rr__parker_is_late(rr__parker *parker) {
    rr__lock(&parker->lock);
    rr__sleeper *s = parker->sleeper; /* it may be a later one */
    bool is_late = s && s->has_limit && rr_now() >= s->deadline;
    if (is_late) s->is_late = true;
    rr__parker *woken = is_late ? rr__parker_ends_locked(s) : NULL;
    rr__unlock(&parker->lock);
    return woken;
}

// >>core/roles

/* Roles on their way: given up by who blocks, taken back, handed in for tasks that need other than
   one CPU. P2 stands in core/queues.h.
   Locks: that of the resources. */

/* A role was put to sleep: is it wanted in the pot? */
static void rr__role_offer(rr__context *cx) {
    if (RR__LIKELY(!rr__load_seq_cst(&cx->runtime->resources->roles_wanted))) return;
    rr__lock(&cx->runtime->resources->lock);
    rr__stock_unlock(cx);
}

/* The thread will wait: its right to run passes to another one, if there is work. */
static void rr__role_give(rr__context *cx) {
    uint64_t idle = rr__load_seq_cst(&cx->runtime->idle);
    if (!cx->has_role && !RR__SLEEPING(idle)) return;
    if (cx->has_role) {
        cx->has_role = false;
        idle = rr__add_seq_cst(&cx->runtime->idle, RR__ONE_SLEEPING); /* rule P2 */
        rr__role_offer(cx);
    } /* else a role may sleep because there was no thread for it: now there is this one */
    if (rr__has_work(cx->runtime)) rr__wake_one(cx->runtime);
    if (idle & RR__STOP) rr__quiet_signal(cx->runtime);
}

/* Takes a sleeping role, if there is one. Without one a body goes on all the same and its
   thread parks after it. */
static bool rr__role_take(rr__context *cx) {
    uint64_t idle = rr__load_seq_cst(&cx->runtime->idle);
    while (cx->is_worker && !cx->has_role && RR__SLEEPING(idle))
        if (rr__cas_seq_cst(&cx->runtime->idle, &idle, idle - RR__ONE_SLEEPING))
            cx->has_role = true;
    return cx->has_role;
}

/* Between two tasks, where roles are wanted: the worker goes on without one. */
static RR__NOINLINE void rr__role_hand_in(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    rr__lock(&rt->resources->lock);
    bool is_wanted = rr__load_relaxed(&rt->resources->roles_wanted) > 0; /* under this lock */
    if (is_wanted && cx->has_role) cx->has_role = false, rt->resources->pot++;
    rr__stock_unlock(cx);
}

// >>core/timers

/* Timers: time limits, retries, restarts, and the runtime's own sweep of free memory. One
   thread, made with the first timer, sleeps until the next one is due and tells its object's
   class. Room in the heap is promised when a task is made, so that setting a timer cannot fail.
   Locks: rr__timers.lock, a leaf. */

struct rr__timers {
    rr__mutex lock; /* of all below; a leaf */
    rr__cond wake;  /* a timer is due before the thread looks again */
    rr__heap heap;
    double looks_at;              /* when it does; 0: it is awake */
    size_t retries, firing;       /* between attempts or restarts; timers between unset and done */
    size_t sleeps;                /* bodies that wait with a limit of their own */
    size_t reserved;              /* of the promised: those of fibers, for good */
    rr__entry sweep, room, look;  /* beside those that are promised */
    RR__ATOMIC(int) looking;      /* enum rr__looking: for deadlocks */
    double look_delay;            /* since the last time; the clock's own */
    RR__ATOMIC(int) sweep_is_set; /* or firing */
    rr__context *context;         /* of the thread; made when it is needed first */
};

/* Nobody waits; somebody may, and the timer is set; it fires just now. */
enum rr__looking { RR__LOOKS_NOT, RR__WILL_LOOK, RR__LOOKS };

static bool rr__timers_init(rr__timers *timers) {
    return rr__mutex_init(&timers->lock) && rr__cond_init(&timers->wake);
}

static void rr__timers_free(rr__timers *timers) {
    RR_FREE(timers->heap.entries);
    rr__cond_destroy(&timers->wake);
    rr__mutex_destroy(&timers->lock);
}

static bool rr__timer_is_retry(const rr__entry *timer) {
    return timer->control && timer == &timer->control->retry;
}

/* There is room: it was promised. The thread is not woken for what it will see by itself in time:
   it sleeps on until the first timer that there was, also when that is unset. */
static void rr__timer_set(rr_runtime *rt, rr__entry *timer, double when) {
    rr__timers *timers = rt->timers;
    rr__lock(&timers->lock);
    rr__heap_add(&timers->heap, timer, when);
    timers->retries += rr__timer_is_retry(timer);
    timers->sleeps += timer->fiber != NULL;
    bool is_earlier = when < timers->looks_at;
    if (is_earlier) timers->looks_at = when; /* it has been told */
    rr__unlock(&timers->lock);
    if (is_earlier) rr__cond_signal(&timers->wake);
}

static bool rr__timer_unset_locked(rr_runtime *rt, rr__entry *timer) {
    if (!timer->at) return false;
    rr__heap_remove(&rt->timers->heap, timer);
    rt->timers->retries -= rr__timer_is_retry(timer);
    return true;
}

/* When what was free a while ago may still be. */
static void rr__sweep(rr__context *cx) {
    rr__store_release(&cx->runtime->timers->sweep_is_set, 0); /* from now on it may be set again */
    rr__pool_sweep(&cx->runtime->slots.pool, &cx->slots);
    rr__arena_sweep(&cx->runtime->arena, cx->blocks);
}

/* The first timer is due. The lock is given up meanwhile. */
static void rr__timer_fire_locked(rr__context *cx, rr__entry *timer) {
    rr__timers *timers = cx->runtime->timers;
    /* Its task is not over, because the timer is still set. */
    rr__object *task = timer->control ? timer->control->task : NULL;
    bool is_retry = rr__timer_is_retry(timer);
    rr__timer_unset_locked(cx->runtime, timer);
    timers->firing++;
    if (task) rr__share(task);
    rr__unlock(&timers->lock);
    if (task) {
        rr__ops_of(task)->due(cx, task, is_retry);
        rr__drop(cx, task);
    } else if (timer->fiber) {
        rr__above.sleep_due(cx, timer->fiber);
    } else if (timer == &timers->room) {
        rr__above.room_due(cx);
    } else if (timer == &timers->look) {
        rr__above.deadlocks_due(cx);
    } else {
        rr__sweep(cx);
    }
    rr__lock(&timers->lock);
    timers->firing--;
    rr__unlock(&timers->lock);
    rr__signal_if_stopping(cx->runtime);
    rr__lock(&timers->lock);
}

static void rr__timers_serve(rr__context *cx) {
    const double never = 1e300;
    rr_runtime *rt = cx->runtime;
    rr__timers *timers = rt->timers;
    rr__lock(&timers->lock);
    while (rr__load_acquire(&rt->phase) != RR__STOPPED) {
        rr__entry *next = rr__heap_first(&timers->heap);
        double left = next ? next->when - rr_now() : 0;
        timers->looks_at = next ? next->when : never;
        if (!next) rr__cond_wait(&timers->wake, &timers->lock);
        else if (left > 0) rr__cond_wait_for(&timers->wake, &timers->lock, left);
        timers->looks_at = 0;
        if (next && left <= 0) rr__timer_fire_locked(cx, next);
    }
    rr__unlock(&timers->lock);
    rr__above.room_due(cx); /* threads outside that wait look after themselves now */
}

static bool rr__timers_start_locked(rr_runtime *rt) {
    if (rr__load_relaxed(&rt->phase) == RR__STOPPED) return false; /* set under this lock */
    if (!rt->timers->context) rt->timers->context = rr__service_start_locked(rt, rr__timers_serve);
    return rt->timers->context != NULL;
}

/* Sees to it that so many more timers can be set at any time, and the runtime's own. */
static bool rr__timers_promise(rr_runtime *rt, size_t more) {
    rr__lock(&rt->lock);
    bool ok = rr__timers_start_locked(rt);
    rr__unlock(&rt->lock);
    if (!ok) return false;
    rr__lock(&rt->timers->lock);
    enum { OWN = 3 };
    ok = rr__heap_promise(&rt->timers->heap, more + OWN);
    if (ok) rt->timers->heap.promised -= OWN;
    rr__unlock(&rt->timers->lock);
    return ok;
}

/* One of the runtime's own, after so many seconds. False: there is no memory for it, or no thread,
   or the runtime has stopped. */
static bool rr__own_timer_set(rr_runtime *rt, rr__entry *timer, double seconds) {
    if (!rr__timers_promise(rt, 0)) return false;
    rr__timer_set(rt, timer, rr_now() + seconds);
    return true;
}

/* Of a pool: much is free. Without memory or a thread for the timer the pools stay as they are. */
static RR__NOINLINE void rr__sweep_later(void *runtime) {
    rr_runtime *rt = runtime;
    int none = 0;
    if (rr__load_relaxed(&rt->phase) != RR__OPEN) return;
    if (rr__load_relaxed(&rt->timers->sweep_is_set)) return;
    if (!rr__cas_seq_cst(&rt->timers->sweep_is_set, &none, 1)) return;
    if (!rr__own_timer_set(rt, &rt->timers->sweep, RUSTYRAY_KEEP_SECONDS))
        rr__store_release(&rt->timers->sweep_is_set, 0);
}

/* A body sleeps without a limit: whether it waits for itself is looked at soon (rule K4 in
   core/deadlock.h). */
static RR__NOINLINE void rr__look_set(rr_runtime *rt) {
    rr__timers *timers = rt->timers;
    int none = RR__LOOKS_NOT, looks = RR__LOOKS;
    if (rr__cas_seq_cst(&timers->looking, &looks, (int)RR__WILL_LOOK)) return; /* it goes on */
    if (!rr__cas_seq_cst(&timers->looking, &none, (int)RR__WILL_LOOK)) return;
    if (!rr__own_timer_set(rt, &timers->look, 1e-3))
        rr__store_seq_cst(&timers->looking, (int)RR__LOOKS_NOT);
}
static RR__INLINE void rr__look_later(rr_runtime *rt) {
    if (RR__UNLIKELY(rr__load_relaxed(&rt->timers->looking) != RR__WILL_LOOK)) rr__look_set(rt);
}

/* Unsets the timers of what was decided or doomed. True: it waited for its next attempt and is now
   the caller's. */
static bool rr__timers_revoke(rr_runtime *rt, rr__control *control, bool *was_tried) {
    rr__lock(&rt->timers->lock);
    rr__timer_unset_locked(rt, &control->limit);
    bool is_ours = rr__timer_unset_locked(rt, &control->retry);
    *was_tried = control->attempt > 0;
    rr__unlock(&rt->timers->lock);
    return is_ours;
}

// >>core/fibers

/* Fibers: bodies run on stacks of their own, which threads carry. A body that has to wait leaves
   its thread together with its stack, and all that lies on that: the bodies below it, for which it
   is run. The thread goes on with other work on another stack; when what was waited for is there
   the fiber is queued like anything ready, and any worker goes on with it. So only who really waits
   pays for a switch, and one that waits costs no thread (marl: Clayton 2019; Go).

       a fiber:  idle -> carried -> asleep -> queued -> carried -> ... -> idle

   An idle fiber that a worker carries looks for work (core/workers.h); a body begins on the stack
   at hand. Threads from outside run bodies too, those that they wait for, but on fibers, never on
   their own stacks: they go back to theirs when the body has ended, or waits.

   In queues and links a fiber is stood for by an object, its token: QUEUED when it can go on, and
   RUNNING else; who claims it goes on with it.
   Rules  F1  Who leaves a stack may not be gone on with before its registers are saved: so what
              becomes of it is done on the stack that was gone to (rr__arrive).
          F2  It sleeps (core/parking.h) when its stack has been left: so who ends that queues it.
          F3  Fibers stay where they are until the runtime ends: of their tokens there are old hints
              in deques, and a timer may come late.
          F4  What a context has is used by what it carries alone. Over a wait a fiber keeps no
              context, but asks again (rr__here).
   Locks: rr_runtime.fibers_lock, a leaf. */

struct rr__fiber {
    rr__object token; /* first */
    rr_runtime *runtime;
    rr__parker parker;
    rr__sleeper *sleeper; /* left: what it sleeps for; or NULL */
    rr__entry timer;      /* of a wait with a limit */
    bool has_guard;       /* its end cannot be overstepped */
    bool has_timer;       /* it was promised */
    bool goes_last;       /* left: it is queued where all have their turn */
    rr__stack stack;
    rr__local *local; /* in its memory */
    char *memory;
    rr__fiber *next; /* idle */
    rr__fiber *all;  /* in rr_runtime.fibers */
};

/* What a link to a fiber's token is marked with: so that it is known without a look at it. */
static rr__object *rr__link_to(rr__fiber *fiber) {
    return (rr__object *)(void *)((char *)&fiber->token + 1);
}
static rr__fiber *rr__linked_fiber(rr__object *link) {
    return (uintptr_t)link & 1 ? (rr__fiber *)(void *)((char *)link - 1) : NULL;
}

/* ---- making ---- */

static void rr__fiber_main(void *fiber) { rr__above.work(fiber); }

static bool rr__fiber_fill(rr_runtime *rt, rr__fiber *fiber) {
    size_t size = rt->stack_bytes;
    fiber->memory = rr__stack_map(size, sizeof *fiber->local, &fiber->has_guard);
    if (!fiber->memory) return false;
    fiber->local = rr__stack_keep(fiber->memory, &size, sizeof *fiber->local);
    fiber->local->fiber = fiber;
    if (rr__stack_make(&fiber->stack, fiber->memory, size, rr__fiber_main, fiber)) return true;
    rr__stack_unmap(fiber->memory, rt->stack_bytes);
    fiber->local = NULL;
    return false;
}

/* Its stack goes back to the system, and with it all that lay on it; itself it stays (F3). */
static void rr__fiber_empty(rr__fiber *fiber) {
    rr__above.thread_ends(fiber->local);
    rr__stack_free(&fiber->stack);
    rr__stack_unmap(fiber->memory, fiber->runtime->stack_bytes);
    fiber->local = NULL;
}

static rr__fiber *rr__fiber_alloc(rr_runtime *rt) {
    rr__lock(&rt->fibers_lock);
    rr__fiber *fiber = rt->fibers_empty;
    if (fiber) rt->fibers_empty = fiber->next;
    rr__unlock(&rt->fibers_lock);
    if (fiber || !(fiber = RR_CALLOC(1, sizeof *fiber))) return fiber;
    if (!rr__mutex_init(&fiber->parker.lock)) {
        RR_FREE(fiber);
        return NULL;
    }
    fiber->runtime = rt, fiber->parker.fiber = fiber, fiber->timer.fiber = fiber;
    fiber->token.kind = RR__FIBER, fiber->token.site = "a fiber";
    rr__store_relaxed(&fiber->token.id, (uint64_t)1); /* published with the fiber */
    rr__store_relaxed(&fiber->token.word, RR__STATE(RR__RUNNING) | 1);
    rr__lock(&rt->fibers_lock);
    fiber->all = rt->fibers, rt->fibers = fiber;
    rr__unlock(&rt->fibers_lock);
    return fiber;
}

static void rr__fiber_set_aside(rr__fiber *fiber) {
    rr_runtime *rt = fiber->runtime;
    rr__lock(&rt->fibers_lock);
    fiber->next = rt->fibers_empty, rt->fibers_empty = fiber;
    rr__unlock(&rt->fibers_lock);
}

/* An idle one that nobody has; NULL without memory. */
static RR__NOINLINE rr__fiber *rr__fiber_new(rr_runtime *rt) {
    rr__fiber *fiber = rr__fiber_alloc(rt);
    if (!fiber || rr__fiber_fill(rt, fiber)) return fiber;
    rr__fiber_set_aside(fiber);
    return NULL;
}

/* Threads that queue a fiber of a runtime which is not theirs, and may end as soon as that goes on:
   they are waited for. */
static RR__ATOMIC(int) rr__strangers;

/* With the runtime's memory, not before: a thread from outside may be about to leave one. */
static void rr__fibers_free(rr_runtime *rt) {
    while (rr__load_seq_cst(&rr__strangers) > 0) rr__thread_yield();
    for (rr__fiber *fiber = rt->fibers, *next; fiber; fiber = next) {
        next = fiber->all;
        if (fiber->local) rr__fiber_empty(fiber);
        rr__mutex_destroy(&fiber->parker.lock);
        RR_FREE(fiber);
    }
}

/* ---- idle ones ---- */

enum { RR__IDLE_FIBERS = 32 }; /* that a context keeps; half of them move at once */

/* Half of those that a context has go to where all find them; of very many the stacks go back. */
static RR__NOINLINE void rr__fibers_return(rr__context *cx) {
    enum { KEPT = 1024 };
    rr_runtime *rt = cx->runtime;
    rr__fiber *first = cx->idle, *last = first;
    for (int i = 1; i < RR__IDLE_FIBERS / 2; i++) last = last->next;
    cx->idle = last->next, cx->idle_count -= RR__IDLE_FIBERS / 2, last->next = NULL;
    if (rr__load_relaxed(&rt->fibers_idle_count) > KEPT) { /* a hint */
        for (rr__fiber *fiber = first, *next; fiber; fiber = next) {
            next = fiber->next;
            rr__fiber_empty(fiber);
            rr__fiber_set_aside(fiber);
        }
        return;
    }
    rr__lock(&rt->fibers_lock);
    last->next = rt->fibers_idle, rt->fibers_idle = first;
    (void)rr__add_relaxed(&rt->fibers_idle_count, RR__IDLE_FIBERS / 2); /* a hint */
    rr__unlock(&rt->fibers_lock);
}

/* All of them, of a thread that leaves. */
static void rr__fibers_let_go(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    rr__lock(&rt->fibers_lock);
    for (rr__fiber *fiber; (fiber = cx->idle); cx->idle_count--) {
        cx->idle = fiber->next;
        fiber->next = rt->fibers_idle, rt->fibers_idle = fiber;
        (void)rr__add_relaxed(&rt->fibers_idle_count, 1); /* a hint */
    }
    rr__unlock(&rt->fibers_lock);
}

static void rr__fiber_give(rr__context *cx, rr__fiber *fiber) {
    fiber->next = cx->idle, cx->idle = fiber;
    if (++cx->idle_count == RR__IDLE_FIBERS) rr__fibers_return(cx);
}

static rr__fiber *rr__fiber_fetch(rr_runtime *rt) {
    rr__lock(&rt->fibers_lock);
    rr__fiber *fiber = rt->fibers_idle;
    if (fiber) rt->fibers_idle = fiber->next, (void)rr__add_relaxed(&rt->fibers_idle_count, -1);
    rr__unlock(&rt->fibers_lock);
    return fiber ? fiber : rr__fiber_new(rt);
}

/* A thread of the pool that is about to be started, under the runtime's lock. */
static bool rr__fiber_for_thread(rr__context *cx) {
    rr__fiber *fiber = cx->idle ? NULL : rr__fiber_fetch(cx->runtime);
    if (fiber) rr__fiber_give(cx, fiber);
    return cx->idle != NULL;
}

static RR__NOINLINE bool rr__fibers_fetch(rr__context *cx) {
    rr__fiber *fiber = rr__fiber_fetch(cx->runtime);
    if (!fiber) return false;
    if (RR__UNLIKELY(!fiber->has_guard))
        rr__log_again(cx->runtime, RR__LINE_GUARD, RR_LOG_WARN,
                      "the system has no mapping left for the page that guards the end of a stack "
                      "(vm.max_map_count): a body that overflows its stack will not be noticed");
    rr__fiber_give(cx, fiber);
    return true;
}

/* Sees to it that there is one to go to; false without memory. */
static RR__INLINE bool rr__fiber_ready_to_go(rr__context *cx) {
    return RR__LIKELY(cx->idle != NULL) || rr__fibers_fetch(cx);
}

static rr__fiber *rr__fiber_take(rr__context *cx) {
    rr__fiber *fiber = cx->idle;
    cx->idle = fiber->next, cx->idle_count--;
    return fiber;
}

/* ---- waking ---- */

/* It can go on: whoever claims it does. */
static void rr__fiber_queue(rr__context *by, rr__fiber *fiber) {
    rr_runtime *rt = fiber->runtime;
    bool goes_last = fiber->goes_last, is_strange = by->runtime != rt;
    fiber->goes_last = false;
    if (is_strange) rr__add_seq_cst(&rr__strangers, 1);
    rr__store_release(&fiber->token.word, RR__STATE(RR__QUEUED) | 1); /* nobody decides a fiber */
    if (is_strange || goes_last) rr__inbox_put(rt, &fiber->token, false);
    else rr__push(by, &fiber->token);
    if (is_strange) rr__sub_seq_cst(&rr__strangers, 1);
}

/* After its end was noted, without locks: it needs the parker's at once. NULL: nobody. */
static void rr__wake(rr__context *by, rr__parker *parker) {
    if (!parker) return;
    if (parker->fiber) rr__fiber_queue(by, parker->fiber);
    else rr__cond_signal(&parker->thread->wake);
}

/* Its timer is due. */
static void rr__sleep_due(rr__context *cx, rr__fiber *fiber) {
    rr__wake(cx, rr__parker_is_late(&fiber->parker));
}

/* ---- going ---- */

/* The one that was left sleeps, unless that is over already, or only lets others go first. */
static RR__NOINLINE void rr__left_to_sleep(rr__context *cx, rr__fiber *left) {
    rr__sleeper *s = left->sleeper;
    left->sleeper = NULL;
    rr__lock(&left->parker.lock);
    bool sleeps = s && rr__parker_begins_locked(s);
    bool is_sought = sleeps && rr__sleeper_is_sought(s); /* it may go on after the unlock */
    rr__unlock(&left->parker.lock);
    if (!sleeps) rr__fiber_queue(cx, left);
    else if (is_sought) rr__look_later(cx->runtime);
}

/* On the stack that was gone to: what becomes of the one that was left (F1). */
static RR__INLINE void rr__arrive(rr__local *self, rr__context *cx) {
    rr__fiber *left = cx->left;
    rr__self_set(self);
    cx->left = NULL;
    if (!left) return;
    if (left->sleeper || left->goes_last) rr__left_to_sleep(cx, left);
    else rr__fiber_give(cx, left);
}

/* The fiber's thread is that of `cx` from now on. */
static void rr__carry(rr__context *cx, rr__fiber *fiber) {
    rr__local *to = fiber->local;
    if (to->context == to->carrier) to->context = cx; /* its own runtime, or nothing yet */
    to->carrier = cx;
    rr__store_release(&cx->frame, to->frame);
}

/* The running fiber goes to another one, or, NULL, to where its thread came from. Returns when
   somebody goes on with it. */
static RR__INLINE void rr__fiber_leave(rr__local *self, rr__fiber *to) {
    rr__context *cx = self->carrier;
    cx->left = self->fiber;
    if (to) rr__carry(cx, to);
    else rr__store_release(&cx->frame, (rr__frame *)NULL);
    rr__stack_switch(&self->fiber->stack, to ? &to->stack : cx->home);
    rr__arrive(self, self->carrier);
}

/* From a stack that is no fiber's of this runtime to one that is. Returns when that has ended, or
   sleeps. */
static RR__INLINE void rr__fiber_visit(rr__local *self, rr__context *cx, rr__fiber *to) {
    rr__frame *frame = rr__load_relaxed(&cx->frame); /* our own */
    cx->home = self->fiber ? &self->fiber->stack : &cx->native;
    rr__carry(cx, to);
    rr__stack_switch(cx->home, &to->stack);
    rr__arrive(self, cx);
    rr__store_release(&cx->frame, frame);
}

/* Where a worker goes from a body that sleeps: on with the newest of its own work, or to an idle
   fiber, which takes that or looks further. */
static RR__INLINE rr__fiber *rr__fiber_next(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    bool is_first = cx->has_role && !rr__load_relaxed(&rt->has_ready) && /* hints, as there */
                    !rr__load_relaxed(&rt->resources->roles_wanted);
    rr__object *next = is_first ? rr__pop(cx) : NULL;
    if (next && next->kind == RR__FIBER) return (rr__fiber *)(void *)next;
    cx->first = next, cx->first_by = (rr__step){NULL, 0};
    return rr__fiber_take(cx);
}

/* The running fiber sleeps until that is over; NULL: it lets others go first. After
   rr__fiber_ready_to_go. */
static RR__NOINLINE void rr__fiber_sleep(rr__local *self, rr__sleeper *s) {
    rr__context *cx = self->carrier;
    self->fiber->sleeper = s;
    if (RR__UNLIKELY(self->granted)) rr__grants_lend(self, true);
    rr__fiber_leave(self, cx->is_worker ? rr__fiber_next(cx) : NULL);
    if (RR__UNLIKELY(self->apart)) rr__role_give(self->carrier);
    if (RR__UNLIKELY(self->granted)) rr__grants_lend(self, false);
}

/* Lets others go first: it is queued behind them. After rr__fiber_ready_to_go. */
static void rr__fiber_yield(rr__local *self) {
    self->fiber->goes_last = true;
    rr__fiber_sleep(self, NULL);
}

/* It was claimed, by a worker that has nothing on its stack, or a thread from outside. */
static void rr__fiber_run(rr__context *cx, rr__object *token, const rr__step *until) {
    rr__fiber *fiber = (rr__fiber *)(void *)token;
    rr__local *self = rr__self();
    (void)until;
    if (self->carrier == cx) rr__fiber_leave(self, fiber);
    else rr__fiber_visit(self, cx, fiber);
}

/* ---- bodies ---- */

/* Is there enough of its stack for another body? */
static RR__INLINE bool rr__has_stack(const rr__local *self) {
    return RR__STACK_NOW() >= self->last_start;
}

/* Runs what was claimed: here, or, from outside, on a fiber. After rr__can_run. */
static RR__INLINE void rr__run_on(rr__local *self, rr__context *cx, rr__object *claimed,
                                  const rr__step *until) {
    if (RR__LIKELY(self->carrier == cx) || claimed->kind == RR__FIBER) {
        rr__run(cx, claimed, until);
        return;
    }
    cx->first = claimed, cx->first_by = until ? *until : (rr__step){NULL, 0};
    rr__fiber_visit(self, cx, rr__fiber_take(cx));
}

/* May this one take another body on its stack, or on a fiber? */
static RR__INLINE bool rr__can_run(rr__local *self, rr__context *cx) {
    return RR__LIKELY(self->carrier == cx) ? rr__has_stack(self) : rr__fiber_ready_to_go(cx);
}

// >>core/sleepers

/* Sleeping until objects are complete, until somebody gives a sign, or for a time. A sleeper hangs
   a node into the list of each object's shard; who completes an object sees its flag HAS_SLEEPERS
   in the same operation that completes it, and wakes what sleeps there: a thread on its own
   condition variable, a fiber by queueing it. (A futex or condition variable inside the object
   could be freed while its last user still unlocks it; these belong to contexts and fibers, which
   live as long as the runtime.)
   Locks: a shard's, then a parker's. */

/* A node in a shard for each object that it waits for. */
struct rr__node {
    struct rr__node *next, *previous;
    rr__object *object;
    rr__sleeper *sleeper;
    size_t index;
    bool is_linked;
};

/* Nobody needs what the body does that is running. */
static bool rr__must_stop(rr__context *cx) {
    rr__frame *frame = rr__load_relaxed(&cx->frame); /* the owner's own */
    return frame && rr__frame_must_stop(frame);
}

/* Of who is here: a thread has one in each runtime. */
static rr__parker *rr__parker_of(const rr__local *self, rr__context *cx) {
    return self->fiber ? &self->fiber->parker : &cx->parker;
}

static rr__sleeper rr__sleeper_of(rr__context *cx) {
    rr__local *self = rr__self();
    return (rr__sleeper){.parker = rr__parker_of(self, cx),
                         .self = self,
                         .context = cx,
                         .task = rr__current_task(cx),
                         .need = 1};
}

static rr__node **rr__sleepers_of(rr__shard *shard, const rr__object *o) {
    return &shard->sleepers[o->slot / RR__SHARDS % RR__SHARD_LISTS];
}

/* Lists a node. False if the object is complete. Setting the flag and completing change the
   same word: so the one that comes second sees the other. */
static bool rr__node_add(rr_runtime *rt, rr__node *node) {
    rr__shard *shard = rr__shard_lock(rt, node->object);
    uint64_t word = rr__or_seq_cst(&node->object->word, RR__HAS_SLEEPERS);
    bool waits = rr__state_of(word) < RR__READY;
    if (waits) {
        rr__node **list = rr__sleepers_of(shard, node->object);
        node->next = *list, node->previous = NULL;
        if (*list) (*list)->previous = node;
        *list = node, node->is_linked = true;
    }
    rr__unlock(&shard->lock);
    return waits;
}

static void rr__node_unlink(rr__shard *shard, rr__node *node) {
    if (node->previous) node->previous->next = node->next;
    else *rr__sleepers_of(shard, node->object) = node->next;
    if (node->next) node->next->previous = node->previous;
    node->is_linked = false;
}

/* After this no other thread touches the node: who fires it does so under the shard's lock. */
static void rr__node_remove(rr_runtime *rt, rr__node *node) {
    rr__shard *shard = rr__shard_lock(rt, node->object);
    if (node->is_linked) rr__node_unlink(shard, node);
    rr__unlock(&shard->lock);
}

/* Returns who is to be woken, or NULL. */
static rr__parker *rr__node_fire(rr__node *node) {
    rr__sleeper *s = node->sleeper;
    rr__parker *parker = s->parker; /* never freed before the runtime; the sleeper may go at once */
    rr__lock(&parker->lock);
    if (s->order && s->fired < s->need) s->order[s->fired] = node->index;
    rr__parker *woken = rr__sleeper_fire_locked(s);
    rr__unlock(&parker->lock);
    return woken;
}

/* Fires some of those that wait for an object, at most `room`; returns how many are to be woken. */
static int rr__fire_some(rr_runtime *rt, rr__object *o, rr__parker **woken, int room) {
    int n = 0;
    rr__shard *shard = rr__shard_lock(rt, o);
    for (rr__node *node = *rr__sleepers_of(shard, o), *next; node && n < room; node = next) {
        next = node->next;
        if (node->object != o) continue;
        rr__node_unlink(shard, node);
        if ((woken[n] = rr__node_fire(node))) n++;
    }
    rr__unlock(&shard->lock);
    return n;
}

/* Wakes them after the locks are let go of, which they need at once. */
static void rr__wake_sleepers(rr__context *cx, rr__object *o) {
    enum { SOME = 32 };
    rr__parker *woken[SOME];
    int n;
    do {
        n = rr__fire_some(cx->runtime, o, woken, SOME);
        for (int i = n; i-- > 0;) rr__wake(cx, woken[i]);
    } while (n == SOME);
}

/* ---- the sleep ---- */

/* A thread, until it is over. */
static void rr__thread_sleeps(rr__sleeper *s) {
    rr__parker *parker = s->parker;
    rr__cond *wake = &parker->thread->wake;
    rr__lock(&parker->lock);
    bool sleeps = rr__parker_begins_locked(s);
    if (sleeps && rr__sleeper_is_sought(s)) {
        rr__unlock(&parker->lock);
        rr__look_later(s->context->runtime);
        rr__lock(&parker->lock);
    }
    while (sleeps && !rr__sleeper_is_over_locked(s)) {
        double left = s->has_limit ? s->deadline - rr_now() : 0;
        if (!s->has_limit) rr__cond_wait(wake, &parker->lock);
        else if (left > 0) rr__cond_wait_for(wake, &parker->lock, left);
        else s->is_late = true;
    }
    parker->sleeper = NULL;
    rr__unlock(&parker->lock);
}

/* Its timer, before and after. False without memory for it. */
static bool rr__sleep_timer_set(rr__sleeper *s) {
    rr__fiber *fiber = s->parker->fiber;
    rr_runtime *rt = fiber->runtime;
    if (!s->has_limit) return true;
    if (RR__UNLIKELY(!fiber->has_timer)) {
        if (!rr__timers_promise(rt, 1)) return false;
        rr__lock(&rt->timers->lock);
        rt->timers->reserved++;
        rr__unlock(&rt->timers->lock);
        fiber->has_timer = true;
    }
    rr__timer_set(rt, &fiber->timer, s->deadline);
    return true;
}
static void rr__sleep_timer_unset(rr__sleeper *s) {
    rr__fiber *fiber = s->parker->fiber;
    rr_runtime *rt = fiber->runtime;
    if (!s->has_limit) return;
    rr__lock(&rt->timers->lock);
    (void)rr__timer_unset_locked(rt, &fiber->timer);
    rt->timers->sleeps--;
    rr__unlock(&rt->timers->lock);
}

/* Without a timer, for which there is no memory or no thread: lets others run, and looks again. */
static void rr__fiber_looks(rr__sleeper *s) {
    rr__local *self = s->self;
    while (!rr__sleeper_is_over(s)) {
        rr__context *cx = self->carrier;
        bool can_go = cx->is_worker && rr__has_work(cx->runtime) && rr__fiber_ready_to_go(cx);
        if (can_go) rr__fiber_yield(self);
        else rr__sleep(1e-4);
    }
}

/* Without memory for another stack: the wait fails, or, if it may not, the thread waits, and nobody
   goes on meanwhile. */
static void rr__fiber_starves(rr__sleeper *s) {
    rr__lock(&s->parker->lock);
    s->is_starved = s->may_starve;
    rr__unlock(&s->parker->lock);
    while (!rr__sleeper_is_over(s)) rr__sleep(1e-4);
}

/* A fiber, until it is over. */
static void rr__fiber_sleeps(rr__sleeper *s) {
    rr__context *cx = s->self->carrier;
    if (!rr__sleep_timer_set(s)) {
        rr__fiber_looks(s);
        return;
    }
    if (RR__LIKELY(!cx->is_worker || rr__fiber_ready_to_go(cx))) rr__fiber_sleep(s->self, s);
    else rr__fiber_starves(s);
    rr__sleep_timer_unset(s);
}

/* Sleeps until enough has fired, a ring was found, or the time is over. */
static void rr__sleeper_wait(rr__sleeper *s, double deadline) {
    s->deadline = deadline;
    if (rr__sleeper_must_stop(s)) return; /* before other work goes on in its place */
    if (s->parker->fiber) rr__fiber_sleeps(s);
    else rr__thread_sleeps(s);
}

/* ---- signs ---- */

/* Under the lock of whose line it is, as the next three. */
static void rr__line_add(rr__line *line, rr__sleeper *s) {
    s->next = NULL;
    if (line->first) line->last->next = s;
    else line->first = s;
    line->last = s;
}

/* It goes without a sign, unless it had that. Linear. */
static void rr__line_remove(rr__line *line, rr__sleeper *s) {
    rr__sleeper *before = NULL, *at = line->first;
    while (at && at != s) before = at, at = at->next;
    if (!at) return;
    if (before) before->next = s->next;
    else line->first = s->next;
    if (line->last == s) line->last = before;
}

/* Gives the first one a sign. Returns who is to be woken, or NULL. */
static rr__parker *rr__line_pop(rr__line *line) {
    rr__sleeper *s = line->first;
    line->first = s->next;
    return rr__sleeper_sign(s);
}

/* Waits in a line, under its lock, for a sign from `giver`; without the lock meanwhile. */
static void rr__line_wait(rr__context *cx, rr__line *line, rr__mutex *lock, rr__parker *giver) {
    rr__sleeper s = rr__sleeper_of(rr__here(cx));
    s.giver = giver, s.task = NULL; /* it goes on, also if it is cancelled */
    rr__line_add(line, &s);
    rr__unlock(lock);
    rr__sleeper_wait(&s, -1);
    rr__lock(lock);
}

/* To the first, or to all. Under the lock, which comes before that of the runtime. */
static void rr__line_sign(rr__context *by, rr__line *line, bool all) {
    while (line->first) {
        rr__wake(by, rr__line_pop(line));
        if (!all) break;
    }
}

/* ---- the turn of a destructor ---- */

/* Destructors of one runtime run one at a time, so that they may count or close what they share.
   False: the caller has the turn already. */
static bool rr__end_begin(rr__context *cx) {
    rr__local *self = rr__self();
    rr_runtime *rt = cx->runtime;
    if (self->is_ending) return false;
    rr__lock(&rt->end_lock);
    while (rt->is_ending) rr__line_wait(cx, &rt->end_line, &rt->end_lock, NULL);
    rt->is_ending = true;
    rr__unlock(&rt->end_lock);
    return self->is_ending = true;
}
static void rr__end_over(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    rr__self()->is_ending = false;
    rr__lock(&rt->end_lock);
    rt->is_ending = false;
    rr__line_sign(cx, &rt->end_line, false);
    rr__unlock(&rt->end_lock);
}

/* ---- bodies ---- */

/* The same for a body, as rr__sleeper_wait: while a destructor waits another one may run, and what
   it waits for may need the turn that it has. */
static void rr__body_wait(rr__sleeper *s, double deadline) {
    bool is_ending = s->self->is_ending;
    if (RR__UNLIKELY(s->self->loads_for)) rr__above.turn_over(s->self);
    if (RR__UNLIKELY(is_ending)) rr__end_over(s->self->carrier);
    rr__sleeper_wait(s, deadline);
    if (RR__UNLIKELY(is_ending)) rr__end_begin(s->self->carrier);
}

/* A body that sleeps is found by its task: the task's link leads to the fiber's token, and from
   there to `edge`, or, NULL, nowhere: it waits for some of many, or for a time. On a thread, where
   there is none (a recipe), to the edge itself. */
static void rr__link_set(rr__sleeper *s, rr__object *edge) {
    rr__fiber *fiber = s->parker->fiber;
    if (!s->task) return;
    if (fiber) rr__store_release(&fiber->token.waits_on, edge);
    rr__store_seq_cst(&s->task->waits_on, fiber ? rr__link_to(fiber) : edge);
}

/* Waits, as rr__body_wait, linked to `edge`; without a limit it may be found in a ring. */
static void rr__linked_wait(rr__sleeper *s, rr__object *edge, double deadline) {
    s->edge = edge;
    rr__link_set(s, edge);
    rr__body_wait(s, deadline);
    if (s->task) rr__store_release(&s->task->waits_on, (rr__object *)NULL);
}

/* The body of a task that was decided need not sleep any more. */
static void rr__body_wake(rr__context *cx, rr__object *task) {
    rr__fiber *fiber = rr__linked_fiber(rr__load_seq_cst(&task->waits_on));
    if (!fiber) return;
    rr__lock(&fiber->parker.lock);
    rr__sleeper *s = fiber->parker.sleeper;
    bool is_told = s && s->task == task;
    if (is_told) s->is_cancelled = true;
    rr__parker *woken = is_told ? rr__parker_ends_locked(s) : NULL;
    rr__unlock(&fiber->parker.lock);
    rr__wake(cx, woken);
}

/* Nor those of an actor that was killed: RR__IS_KILLED is set. */
static void rr__bodies_wake(rr__context *cx, const rr__object *actor) {
    rr_runtime *rt = cx->runtime;
    rr__lock(&rt->fibers_lock);
    rr__fiber *fiber = rt->fibers; /* the rest of the list stays as it is */
    rr__unlock(&rt->fibers_lock);
    for (; fiber; fiber = fiber->all) {
        rr__lock(&fiber->parker.lock);
        rr__sleeper *s = fiber->parker.sleeper;
        rr__frame *frame = s && s->task ? s->self->frame : NULL; /* while it sleeps */
        bool is_told = frame && frame->actor == actor && !frame->is_end;
        if (is_told) s->is_cancelled = true;
        rr__parker *woken = is_told ? rr__parker_ends_locked(s) : NULL;
        rr__unlock(&fiber->parker.lock);
        rr__wake(cx, woken);
    }
}

// >>core/links

/* Who waits for whom: one link for each object that cannot go on, which leads to what must happen
   first:

       task with a missing argument -> that argument
       task whose body waits        -> the token of its fiber -> an object that it waits for
       message in a mailbox         -> its actor
       actor                        -> the message that it is running

   Followed by waiters who look for work (core/helping.h), by the search for deadlocks, and by
   rr_why. Waits with a limit and waits for any of several objects lead nowhere. A link is written
   before its target is waited for, and cleared after; it is read again after the id of its target,
   so that a slot that was reused in between is not taken for the target.
   Locks: none. */

/* It is complete, or gone. */
static bool rr__step_is_over(const rr__step *step) {
    return rr__is_complete(step->object) || rr__load_acquire(&step->object->id) != step->id;
}

/* What an object waits for, past the token of the fiber that waits. */
static rr__object *rr__next_link(rr__object *o) {
    rr__object *next = rr__load_acquire(&o->waits_on);
    rr__fiber *fiber = rr__linked_fiber(next);
    return fiber ? rr__load_acquire(&fiber->token.waits_on) : next;
}

// >>core/helping

/* Helping: a waiter runs what it waits for, or what that waits for, on its own stack, if nobody has
   begun it (leapfrogging: Wagner and Calder 1993). It depends on it anyway. A thread from outside
   does so on a fiber.
   Locks: none of its own. */

/* A thread from outside is about to run bodies: rr_shutdown must know before anything is claimed,
   or it finds something that runs and nobody who runs it; and thieves may. Returns whether it was
   not already. */
static bool rr__serve_begin(rr__context *cx) {
    if (cx->is_worker || rr__load_relaxed(&cx->deque.is_served)) return false; /* its own */
    rr__store_seq_cst(&cx->deque.is_served, 1);
    return true;
}

static void rr__serve_end(rr__context *cx, bool began) {
    if (!began) return;
    rr__store_seq_cst(&cx->deque.is_served, 0);
    rr__signal_if_stopping(cx->runtime);
}

/* Runs what was claimed for a body that waits for `goal`. An actor was found by a message of it,
   and runs no more than that and what stands before it: what comes after may wait for this body,
   which is below on the stack and cannot go on. */
static void rr__help(rr__local *self, rr__context *cx, rr__object *claimed, const rr__step *by,
                     rr__object *goal) {
    rr__object *task = rr__current_task(cx);
    if (task && task->kind == RR__CONSTRUCTOR) task = NULL; /* its link is to what it runs */
    if (task) rr__store_release(&task->waits_on, goal);
    rr__run_on(self, cx, claimed, by);
    if (task) rr__store_release(&task->waits_on, (rr__object *)NULL);
    rr__deque_trim(&rr__here_of(self, cx)->deque);
}

/* A task that may be over before its body is, because it has a time limit, is not run on top of who
   waits for it, who goes on then. The caller counts it. */
static RR__INLINE bool rr__may_go_first(const rr__object *o) {
    const rr__control *control = rr__control_of(o);
    return RR__UNLIKELY(control && control->has_limit);
}

/* Runs the task that is waited for straight away, if nobody has begun it. */
static RR__INLINE bool rr__run_claimable(rr__local *self, rr__context *cx, rr__object *o) {
    if (!rr__is_claimable(o) || rr__must_stop(cx) || !rr__can_run(self, cx)) return false;
    if (rr__may_go_first(o)) return false;
    bool began = rr__serve_begin(cx), is_ours = rr__claim(o);
    if (is_ours) rr__help(self, cx, o, NULL, o); /* no actor: nobody waits for those themselves */
    rr__serve_end(cx, began);
    return is_ours;
}

static bool rr__path_push(rr__local *self, rr__object *o, uint64_t id) {
    if (self->path.count == self->path.capacity) {
        size_t capacity = self->path.capacity ? 2 * self->path.capacity : 64;
        if (capacity > SIZE_MAX / sizeof *self->path.steps || !rr__local_hook(self)) return false;
        rr__step *path = RR_REALLOC(self->path.steps, capacity * sizeof *path);
        if (!path) return false;
        self->path.steps = path, self->path.capacity = capacity;
    }
    self->path.steps[self->path.count++] = (rr__step){o, id};
    return true;
}

/* Walks on from the end of the path, or, where that is over, from the link before: so a long chain
   is walked once, not once for each task of it. Returns what was claimed, an actor by what; NULL if
   there is nothing to run. A body that sleeps, in its fiber, is the end: it has looked for itself,
   and a ring leads round no more than to there. */
static rr__object *rr__path_claim(rr__local *self, size_t base, rr__step *by) {
    enum { LIMIT = 1 << 24 }; /* a ring of recipes, which sleep on threads, has no such end */
    while (self->path.count > base && self->path.count - base < LIMIT) {
        rr__step step = self->path.steps[self->path.count - 1];
        uint64_t word = rr__load_acquire(&step.object->word);
        enum rr__state state = rr__state_of(word);
        if (state >= RR__READY || rr__load_acquire(&step.object->id) != step.id) {
            self->path.count--;
            continue;
        }
        /* One that nobody counts may have a time limit, too. */
        if ((word & RR__HAS_CONTROL) && self->path.count > base + 1) return NULL;
        if (state == RR__QUEUED) {
            if (RR__UNLIKELY(word & RR__IS_ACTOR)) *by = self->path.steps[self->path.count - 2];
            if (RR__UNLIKELY(word & RR__IS_ACTOR) && rr__step_is_over(by)) self->path.count--;
            else if (rr__claim(step.object)) return step.object;
            continue; /* or somebody else's now */
        }
        rr__object *next = rr__load_acquire(&step.object->waits_on);
        if (!next || rr__linked_fiber(next)) return NULL;
        uint64_t id = rr__load_acquire(&next->id);
        /* Over, but still linked: another thread is about to send this link on. */
        if (!id || rr__is_complete(next)) return NULL;
        if (rr__load_acquire(&step.object->waits_on) != next) continue; /* it went on */
        if (!rr__path_push(self, next, id)) return NULL;
    }
    return NULL;
}

/* Runs what `goal` waits for, and `goal`, as long as nobody else has begun it. */
static void rr__help_along(rr__local *self, rr__context *cx, rr__object *goal) {
    size_t base = self->path.count; /* above those of the waits below on this stack */
    rr__object *claimed;
    rr__step by = {NULL, 0};
    if (rr__may_go_first(goal)) return;
    if (!rr__path_push(self, goal, rr__load_relaxed(&goal->id))) return; /* the caller counts it */
    bool began = rr__serve_begin(cx);
    while (!rr__is_complete(goal) && !rr__must_stop(cx) && rr__can_run(self, cx) &&
           (claimed = rr__path_claim(self, base, &by))) {
        rr__help(self, cx, claimed, &by, goal);
        cx = rr__here_of(self, cx);
    }
    rr__serve_end(cx, began);
    self->path.count = base;
}

// >>core/workers

/* Workers: threads that run what they find. A worker pops its own deque's newest entry, so that
   its work stays hot; without one it takes from the inbox or steals others' oldest, searches for
   a bounded time, and then parks, its role asleep. P1 to P3 stand in core/queues.h.
   Locks: rr_runtime.lock while it parks; that of the resources where roles are handed in. */

/* Has it one entry, of which its owner is likely to think next? Hints, all of them. */
static bool rr__has_single(rr__context *cx) {
    rr__deque *deque = &cx->deque;
    return rr__load_relaxed(&deque->bottom) - rr__load_relaxed(&deque->top) == 1 &&
           rr__load_relaxed(&deque->is_served);
}

/* The only entry of a thread that runs bodies, put there just now: its owner is likely to take it
   next, with all it needs in its cache, and a theft would make a chain of tasks, or two actors that
   talk, wander between cores. So a thief leaves it for two microseconds. It watches one such entry
   at a time, and the others not before that has gone or been stolen: so each has its turn. */
static bool rr__is_lone(rr__context *cx, rr__context *victim) {
    if (!rr__has_single(victim)) return false;
    rr__context *lone = cx->look.lone;
    bool is_watched = lone && cx->look.lone_pushes == rr__load_relaxed(&lone->deque.pushes);
    if (is_watched && cx->look.lone == victim) return rr_now() - cx->look.lone_since < 2e-6;
    if (is_watched && rr__has_single(cx->look.lone)) return true;
    cx->look.lone = victim, cx->look.lone_pushes = rr__load_relaxed(&victim->deque.pushes);
    cx->look.lone_since = rr_now();
    return true;
}

/* Claims the first of the hints that still can be, and takes over the rest: the oldest lies at the
   bottom of the own deque, to be run next. */
static rr__object *rr__loot(rr__context *cx, rr__object **hints, size_t n) {
    rr__object *found = NULL;
    size_t first = 0, moved = 0;
    for (size_t i = 0; i < n; i++)
        if (hints[i]) RR__PREFETCH(hints[i]); /* they lie in another core's cache */
    while (first < n && !found) {
        rr__object *o = hints[first++];
        if (o && rr__claim(o)) found = o;
    }
    for (size_t i = n; i-- > first;) {
        if (!hints[i] || !rr__is_claimable(hints[i])) continue;
        if (!rr__deque_push(&cx->deque, hints[i])) rr__shelve(cx, hints[i]);
        moved++;
    }
    if (moved) rr__announce(cx->runtime);
    for (moved += found != NULL; moved > 0; moved--) rr__count(cx, RR__STOLEN);
    return found;
}

/* One round over everybody's deque, beginning where the last theft worked. */
static rr__object *rr__steal(rr__context *cx) {
    rr__context *start = cx->look.victim ? cx->look.victim : cx, *victim = start;
    rr__object *hints[RR__HINTS];
    do {
        size_t n;
        while (victim != cx && !rr__is_lone(cx, victim) &&
               (n = rr__deque_steal(&victim->deque, hints))) {
            rr__object *o = rr__loot(cx, hints, n);
            if (!o) continue; /* old entries: the next ones */
            cx->look.victim = victim;
            return o;
        }
        victim = victim->next ? victim->next : rr__load_acquire(&cx->runtime->contexts);
    } while (victim != start);
    return NULL;
}

/* ---- searching ---- */

static void rr__search_begin(rr__context *cx) {
    if (cx->is_searching) return;
    cx->is_searching = true;
    rr__add_seq_cst(&cx->runtime->idle, RR__ONE_SEARCHING);
}

static void rr__search_end(rr__context *cx) { /* found something: rule P3 */
    if (!cx->is_searching) return;
    cx->is_searching = false;
    uint64_t idle = rr__sub_seq_cst(&cx->runtime->idle, RR__ONE_SEARCHING);
    if (RR__SEARCHING(idle) != 1 || !RR__SLEEPING(idle)) return;
    if (rr__has_work(cx->runtime)) rr__wake_one(cx->runtime);
    else rr__role_offer(cx); /* roles that were given back for other work, and are left over */
}

/* ---- parking ---- */

/* Lists the thread as parked and puts its role to sleep. False if there is no need to.
   *may_leave: it is one too many. */
static bool rr__park_begin(rr__context *cx, bool *may_leave) {
    rr_runtime *rt = cx->runtime;
    rr__lock(&rt->lock);
    if (rr__load_relaxed(&rt->phase) == RR__STOPPED || (!cx->has_role && rr__role_take(cx))) {
        rr__unlock(&rt->lock);
        return false;
    }
    cx->listed = rt->parked, rt->parked = cx, cx->is_parked = true;
    *may_leave = rt->threads > rt->workers;
    rr__unlock(&rt->lock);
    if (!cx->has_role) rr__signal_if_stopping(rt);
    if (!cx->has_role) return true;
    cx->has_role = cx->is_searching = false;
    uint64_t idle = rr__add_seq_cst(&rt->idle, RR__ONE_SLEEPING - RR__ONE_SEARCHING);
    rr__role_offer(cx);
    if (rr__has_work(rt)) rr__wake_one(rt); /* rule P2 */
    if (idle & RR__STOP) rr__quiet_signal(rt);
    return true;
}

/* Waits to be woken, for so long (negative: for ever). False if the time is over. */
static bool rr__park_wait(rr__context *cx, double seconds) {
    double end = rr_now() + seconds, left = seconds;
    rr__lock(&cx->parker.lock);
    while (!cx->is_woken && (seconds < 0 || (left = end - rr_now()) > 0)) {
        if (seconds < 0) rr__cond_wait(&cx->wake, &cx->parker.lock);
        else rr__cond_wait_for(&cx->wake, &cx->parker.lock, left);
    }
    bool is_woken = cx->is_woken;
    cx->is_woken = false;
    rr__unlock(&cx->parker.lock);
    return is_woken;
}

/* A parked thread beyond the workers leaves if nobody needed it for a while. False: it was woken
   just now, or is no longer one too many. */
static bool rr__park_leave(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    rr__lock(&rt->lock);
    rr__context **at = &rt->parked;
    while (*at && *at != cx) at = &(*at)->listed;
    bool leaves = *at && rt->threads > rt->workers;
    if (leaves) *at = cx->listed, rt->threads--;
    rr__unlock(&rt->lock);
    return leaves;
}

/* False: the thread leaves. */
static bool rr__park(rr__context *cx) {
    if (cx->has_role) rr__search_begin(cx); /* so that giving it up is one change of idle */
    bool may_leave;
    if (!rr__park_begin(cx, &may_leave)) return true;
    if (!rr__park_wait(cx, may_leave ? RUSTYRAY_KEEP_SECONDS : -1)) {
        if (rr__park_leave(cx)) return false;
        rr__park_wait(cx, -1);
    }
    cx->has_role = cx->is_searching = !cx->assigned; /* handed over by rr__role_hand_over */
    return true;
}

/* ---- looking for work ---- */

/* What is not in the thread's own deque. In turns, or an actor that has always more to do would
   keep others from theirs. */
static RR__NOINLINE rr__object *rr__find_elsewhere(rr__context *cx) {
    rr__object *o = NULL;
    cx->look.steals_first = !cx->look.steals_first;
    if (!cx->look.steals_first) o = rr__inbox_take(cx);
    if (!o) o = rr__steal(cx);
    return !o && cx->look.steals_first ? rr__inbox_take(cx) : o;
}

/* Something to run, claimed, from wherever there is some; NULL if there is none. */
static RR__INLINE rr__object *rr__find_work(rr__context *cx) {
    bool has_ready = rr__load_relaxed(&cx->runtime->has_ready); /* P2 looks again */
    rr__object *o = RR__UNLIKELY(has_ready) ? rr__ready_take(cx, false) : NULL;
    if (!o) o = rr__pop(cx);
    if (!o) o = rr__find_elsewhere(cx);
    return RR__UNLIKELY(!o && has_ready) ? rr__ready_take(cx, true) : o;
}

/* How long a thread looks, and a waiter waits, before it sleeps: about what sleeping and being
   woken cost together, so that at most twice the least possible is spent (Karlin, Li, Manasse and
   Owicki, "Empirical studies of competitive spinning", 1991). In seconds. */
#define RR__SEARCH_TIME 50e-6
#define RR__SPIN_TIME 10e-6

/* One round of waiting for other cores: the first ones keep the core, the others offer it. */
static bool rr__pause(int round, double *end, double seconds) {
    enum { QUICK = 32 };
    if (round < QUICK) {
        RR__PAUSE();
        return true;
    }
    double now = rr_now();
    if (round == QUICK) *end = now + seconds;
    rr__thread_yield();
    return now < *end;
}

/* A look at others' deques takes their cache lines away from them: so some time passes between
   two, in seconds. */
static void rr__look_away(void) {
    const double between = 1e-6;
    for (double start = rr_now(); rr_now() - start < between;) RR__PAUSE();
}

static RR__NOINLINE rr__object *rr__search(rr__context *cx) {
    double end = 0;
    for (int round = 0;; round++) {
        rr__search_begin(cx);
        if (!rr__pause(round, &end, RR__SEARCH_TIME)) return NULL;
        if (end > 0) rr__look_away();
        rr__object *o = rr__find_work(cx);
        if (o || rr__load_relaxed(&cx->runtime->phase) == RR__STOPPED) return o;
    }
}

/* The next task for a worker, claimed; NULL after a bounded search. The first round is silent:
   only who has found nothing says that it searches. */
static RR__INLINE rr__object *rr__next_task(rr__context *cx) {
    rr__object *o = rr__find_work(cx);
    return RR__LIKELY(o != NULL) ? o : rr__search(cx);
}

/* ---- the thread ---- */

/* The thread's last words: it lets go of all it has before it lists itself, because who takes its
   context then joins it under the lock. */
static void rr__worker_leave(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    rr__fibers_let_go(cx);
    rr__above.thread_ends(rr__self());
    rr__lock(&rt->lock);
    cx->listed = rt->rested, rt->rested = cx;
    rr__unlock(&rt->lock);
}

/* Runs what the thread was woken or made for: on roles of the pot, or, if it blocks, on none. */
static void rr__run_assigned(rr__context *cx) {
    rr__object *task = cx->assigned;
    cx->assigned = NULL;
    if (rr__try_state(task, RR__WAITING, RR__RUNNING)) rr__run(cx, task, NULL);
    else rr__abandon(cx, task);
}

/* Looks for something and runs it; false: the thread is to leave. */
static bool rr__work_turn(rr__context *cx) {
    if (rr__load_acquire(&cx->runtime->phase) == RR__STOPPED) return false;
    if (RR__UNLIKELY(cx->assigned != NULL)) {
        rr__run_assigned(cx);
        return true;
    }
    bool is_wanted = rr__load_relaxed(&cx->runtime->resources->roles_wanted) > 0; /* a hint */
    if (RR__UNLIKELY(is_wanted) && !cx->is_searching) rr__role_hand_in(cx);
    bool has_role = cx->has_role || rr__role_take(cx);
    rr__object *o = has_role ? rr__next_task(cx) : NULL;
    if (!o) return rr__park(cx);
    rr__search_end(cx);
    rr__run(cx, o, NULL);
    return true;
}

/* What a fiber does, on whatever thread: what it was taken for, and then, on one of the pool, work
   that it finds. */
static void rr__work(void *taken) {
    rr__fiber *fiber = taken;
    rr__local *self = fiber->local;
    rr__stack_begun(&fiber->stack);
    self->last_start = rr__stack_floor(&fiber->stack, RR__STACK_NOW()) + fiber->runtime->body_bytes;
    rr__arrive(self, self->carrier);
    for (;;) {
        rr__context *cx = self->carrier;
        rr__object *first = cx->first;
        if (first) {
            rr__step by = cx->first_by;
            cx->first = NULL;
            rr__run(cx, first, by.object ? &by : NULL);
        } else if (!cx->is_worker || !rr__work_turn(cx)) {
            rr__fiber_leave(self, NULL);
        }
    }
}

/* A thread of the pool has nothing on its own stack. */
static void rr__worker_main(void *context) {
    rr__context *cx = context;
    rr__local *self = rr__self_begin(cx);
    rr__fiber_visit(self, cx, rr__fiber_take(cx)); /* there is one: rr__worker_add_locked */
    rr__worker_leave(cx);
}

// >>core/waiting

/* Waiting: help, and then sleep. Ready is one load. One sleep serves for all objects that are
   waited for.
   Locks: those of core/sleepers.h. */

/* The last object that is still missing: thieves begin with the first. */
static rr__object *rr__wait_edge(const rr__wait *wait) {
    for (size_t i = wait->n; i-- > 0;)
        if (wait->objects[i] && !rr__is_complete(wait->objects[i])) return wait->objects[i];
    return NULL;
}

static rr_status rr__note_starved(rr_ref ref) {
    return rr__note(ref, RR_ERR_NO_MEMORY,
                    "there is no memory for the stack of what goes on while this waits "
                    "(rr_config.stack_bytes)");
}

static rr_status rr__note_cancelled(rr_ref ref) {
    return rr__note(ref, RR_ERR_CANCELLED,
                    "the task that waits was cancelled, or is too late, or its actor was killed");
}

/* Enough may have fired just now: then who did so is done with the sleeper when this has had the
   lock; if not, it must be taken from where it is found before it goes. */
static rr_status rr__wait_outcome(rr__sleeper *s, rr_ref ref) {
    if (s->is_ring) return rr__note(ref, RR_ERR_DEADLOCK, "%s", s->ring);
    if (s->is_cancelled) return rr__note_cancelled(ref);
    if (!rr__sleeper_was_stopped(s)) return RR_OK;
    rr__lock(&s->parker->lock);
    bool has_fired = s->fired >= s->need;
    rr__unlock(&s->parker->lock);
    if (has_fired) return RR_OK;
    return s->is_starved ? rr__note_starved(ref) : RR_ERR_TIMEOUT;
}

/* Runs those of the objects that nobody has begun, the newest first. */
static void rr__wait_help(rr__local *self, rr__context *cx, rr__wait *wait) {
    bool began = rr__serve_begin(cx);
    for (size_t i = wait->n; i-- > 0;)
        if (wait->objects[i])
            (void)rr__run_claimable(self, rr__here_of(self, cx), wait->objects[i]);
    rr__serve_end(cx, began);
}

/* Counts what is complete, and lists a node for each of the others. Returns how many there are. */
static size_t rr__wait_list(rr__wait *wait, rr__sleeper *s) {
    size_t pending = 0;
    for (size_t i = 0; i < wait->n; i++) {
        if (!wait->objects[i]) continue;
        wait->nodes[i] = (rr__node){.object = wait->objects[i], .sleeper = s, .index = i};
        if (!rr__is_complete(wait->objects[i])) continue;
        if (s->order && s->fired < s->need) s->order[s->fired] = i; /* nobody else is here yet */
        s->fired++, wait->nodes[i].object = NULL;
    }
    for (size_t i = 0; i < wait->n; i++) {
        if (!wait->objects[i] || !wait->nodes[i].object) continue;
        if (rr__node_add(s->context->runtime, &wait->nodes[i])) pending++;
        else (void)rr__node_fire(&wait->nodes[i]);
    }
    return pending;
}

static rr_status rr__wait_asleep(rr__context *cx, rr__wait *wait, rr_ref ref) {
    char ring[RR__RING_TEXT];
    rr__sleeper s = rr__sleeper_of(cx);
    s.need = wait->need, s.has_limit = wait->deadline >= 0, s.order = wait->order;
    s.may_starve = true, s.ring = ring, s.wait = wait;
    size_t pending = rr__wait_list(wait, &s);
    if (rr__must_stop(cx)) s.is_cancelled = pending > 0;
    else if (pending) rr__linked_wait(&s, wait->all ? rr__wait_edge(wait) : NULL, wait->deadline);
    bool all_have_fired = wait->need == wait->n && !rr__sleeper_was_stopped(&s);
    for (size_t i = all_have_fired ? wait->n : 0; i < wait->n; i++)
        if (wait->objects[i] && wait->nodes[i].object)
            rr__node_remove(cx->runtime, &wait->nodes[i]);
    wait->need = s.fired < wait->need ? s.fired : wait->need;
    return rr__wait_outcome(&s, ref);
}

/* A thread from outside whose calls still queue? */
static bool rr__has_queued(rr__context *cx) {
    return !rr__load_relaxed(&cx->frame) && !cx->is_worker && !rr__deque_is_empty(&cx->deque);
}

/* Somebody else runs it: it may be over sooner than a sleep and a wake would take. Shortly, if the
   core is better used by who runs the queue. */
static bool rr__spin(rr__context *cx, rr__object *o) {
    double end = 0, seconds = rr__has_queued(cx) ? RR__SPIN_TIME / 10 : RR__SPIN_TIME;
    for (int round = 0; !rr__is_complete(o); round++)
        if (!rr__pause(round, &end, seconds)) break;
    return rr__is_complete(o);
}

/* A thread from outside has called a lot and waits for the first result while the rest still
   queues: then the workers do better than to wake it after every task (the wake costs the waker
   more than a small task does). For a millisecond it looks by itself now and then. */
static bool rr__nap(rr__context *cx, rr__object *o, double deadline) {
    enum { NAPS = 5 };
    double length = 50e-6;
    for (int i = 0; i < NAPS && !rr__is_complete(o) && rr__has_queued(cx); i++, length *= 2) {
        if (deadline >= 0 && rr_now() + length > deadline) break;
        rr__sleep(length);
    }
    return rr__is_complete(o);
}

/* A body that only looks whether something is there lets others run before it looks again. */
static void rr__look_again_later(rr__local *self) {
    rr__context *cx = self->carrier;
    if (self->frame && cx && cx->is_worker && rr__has_work(cx->runtime) &&
        rr__fiber_ready_to_go(cx))
        rr__fiber_yield(self);
}

/* Waits for one object that the caller keeps. */
static rr_status rr__await(rr__context *cx, rr__object *o, rr_ref ref, int64_t milliseconds) {
    rr__local *self = rr__self();
    if (rr__must_stop(cx) && !rr__is_complete(o)) return rr__note_cancelled(ref);
    if (milliseconds == 0) {
        rr__look_again_later(self);
        if (rr__is_complete(o)) return RR_OK;
        return rr__note(ref, RR_ERR_TIMEOUT, "'%s' is not complete yet", rr__name_of(o));
    }
    if (milliseconds < 0) rr__help_along(self, cx, o);
    cx = rr__here_of(self, cx);
    double deadline = rr__deadline(milliseconds);
    if (rr__is_complete(o) || (!self->fiber && (rr__spin(cx, o) || rr__nap(cx, o, deadline))))
        return RR_OK;
    rr__node node;
    rr__wait wait = {.objects = &o,
                     .nodes = &node,
                     .n = 1,
                     .need = 1,
                     .all = milliseconds < 0,
                     .deadline = deadline};
    rr_status status = rr__wait_asleep(cx, &wait, ref);
    if (status == RR_ERR_TIMEOUT)
        rr__note(ref, status, "'%s' was not complete within %lld ms", rr__name_of(o),
                 (long long)milliseconds);
    return status;
}

/* In a body as a wait that nothing ends but the time and a cancellation. */
void rr_sleep_ms(int64_t milliseconds) {
    rr__frame *frame = rr__self()->frame;
    double end = rr_now() + (double)milliseconds * 1e-3, left;
    if (!frame) {
        while ((left = end - rr_now()) > 0) rr__sleep(left);
        return;
    }
    rr__sleeper s = rr__sleeper_of(rr__frame_context(frame));
    s.has_limit = true;
    rr__linked_wait(&s, NULL, end);
}

// >>core/stillness

/* Does the runtime stand still: nothing runs, nothing is queued, and nobody is about to do
   something? Asked by rr_config.max_pending, and by rr_shutdown.
   Locks: one after the other those of the resources and the timers. */

/* Does this thread carry nothing that runs? Services count what they do. One from outside may run
   a recipe on its own stack, and sleep in that. Under the runtime's lock. */
static bool rr__is_still(rr__context *cx) {
    if (cx->is_worker) return cx->is_parked || cx->serve;
    if (!rr__load_acquire(&cx->frame) && !rr__load_seq_cst(&cx->deque.is_served)) return true;
    rr__lock(&cx->parker.lock);
    const rr__sleeper *s = cx->parker.sleeper;
    bool sleeps = s && !s->has_limit && !rr__sleeper_is_over_locked(s);
    rr__unlock(&cx->parker.lock);
    return sleeps;
}

/* Nothing runs and nothing is queued: what is pending waits for something else. */
static bool rr__stands_still(rr_runtime *rt) {
    rr__lock(&rt->resources->lock);
    int64_t roles = rt->workers - rt->resources->pot;
    bool starts = rt->resources->starting > 0;
    rr__unlock(&rt->resources->lock);
    uint64_t idle = rr__load_seq_cst(&rt->idle);
    return RR__SLEEPING(idle) == roles && !RR__SEARCHING(idle) && !starts && !rr__has_work(rt);
}

/* Something will happen by itself after a while; a limit alone is nothing of that. */
static bool rr__has_timers(rr_runtime *rt) {
    rr__lock(&rt->timers->lock);
    bool has = rt->timers->retries > 0 || rt->timers->sleeps > 0 || rt->timers->firing > 0 ||
               rt->timers->room.at;
    rr__unlock(&rt->timers->lock);
    return has;
}

/* Nothing runs and nothing is queued, but not all has ended: the rest waits for objects that were
   created and never sealed. */
static bool rr__is_stuck(rr_runtime *rt) {
    uint64_t idle = rr__load_seq_cst(&rt->idle);
    if (!rr__stands_still(rt) || rr__has_timers(rt)) return false;
    for (int pass = 0; pass < 2; pass++) /* twice: one thread may have woken another behind us */
        for (rr__context *cx = rr__load_acquire(&rt->contexts); cx; cx = cx->next)
            if (!rr__is_still(cx)) return false;
    return rr__load_seq_cst(&rt->idle) == idle && !rr__has_work(rt);
}

// >>core/dependencies

/* Dependencies. A task waits in the list of one missing argument at a time, and goes on to the
   next when that is complete: no counter, one link, and one edge for the walk. What a kind of
   object misses, and what it does when nothing is missing, its class says. Rules of the list:
   D1  The flag HAS_DEPENDENTS is set before the task is pushed; completing looks at the flag in
       the same step: so who completes takes the list, or the push came after that.
   D2  Who completes the object takes the list and leaves CLOSED in its place, which no push gets
       past: so no task is left in a list, and before the push succeeds the task is ours and keeps
       the object.
   D3  From the push on the task belongs to who takes the list.
   D4  A task that rests may be decided, and then keeps its arguments no more (R5): so who puts it
       into the list counts the object himself, from before it rests until it is in.
   Locks: none. */

/* Something is about to be put into the list of what it misses: sets the flag, and counts that in
   the same step (D1, D4). False if it is complete after all. */
static bool rr__dependents_open(rr__object *on) {
    uint64_t word = rr__load_relaxed(&on->word); /* the CAS checks it */
    do {
        if (rr__state_of(word) >= RR__READY) return false;
    } while (!rr__cas_seq_cst(&on->word, &word, (word | RR__HAS_DEPENDENTS) + 1));
    return true;
}

/* Puts a task, which rests, on the list. False if the object is complete after all: the task is
   still the caller's, to be picked up. */
static bool rr__depend(rr__object *task, rr__object *on) {
    rr__store_release(&task->waits_on, on);
    rr__object *head = rr__load_acquire(&on->dependents);
    do {
        if (head == RR__CLOSED) return false; /* D2 */
        task->next = head;
    } while (!rr__cas_seq_cst(&on->dependents, &head, task));
    return true;
}

/* Sends a WAITING object on: into the list of something that it misses, or, if it misses nothing,
   to where it goes on. It is no longer the caller's. */
static void rr__proceed(rr__context *cx, rr__object *o) {
    const rr__ops *ops = rr__ops_of(o);
    rr__object *missing;
    while ((missing = ops->missing(o))) {
        if (!rr__dependents_open(missing)) continue;
        rr__rest(o); /* R5 */
        RR__STRESS_POINT();
        bool is_listed = rr__depend(o, missing);
        rr__drop(cx, missing);
        if (is_listed || !rr__pick_up(cx, o)) return;
    }
    if (rr__load_relaxed(&o->waits_on)) /* the caller's own link */
        rr__store_release(&o->waits_on, (rr__object *)NULL);
    ops->ready(cx, o);
}

/* The object is complete: whoever slept for it goes on. Returns the tasks in its list, for
   rr__tasks_go_on, before which the caller may give back his count of it: each has one. */
static rr__object *rr__notify(rr__context *cx, rr__object *o, uint64_t word) {
    if (word & RR__HAS_SLEEPERS) rr__wake_sleepers(cx, o);
    return word & RR__HAS_DEPENDENTS ? rr__swap_seq_cst(&o->dependents, RR__CLOSED) : NULL;
}
static void rr__tasks_go_on(rr__context *cx, rr__object *task) {
    for (rr__object *next; task; task = next) { /* newest first; so the oldest ends at the deque's
                                                   bottom */
        next = task->next;
        if (rr__pick_up(cx, task)) rr__proceed(cx, task);
    }
}

// >>core/graph

/* The graph of those that wait: bodies that sleep without a limit, and all that they wait for. One
   look; what it is for, and why it may be believed, is told in core/deadlock.h.

   Everything goes on while it is made. What is not understood is alive.
   Rules  K1  What a sleeping body waits for is written before its sleeper is known, and read under
              its parker's lock; `sleeps` there tells one sleep from the next.
          K2  Any other object that cannot go on waits for the one that its waits_on leads to, which
              is written before it is left to be sent on; it is read between two looks at its id.
          K3  A body is not its task: a task that was decided is over for all who wait for it, but
              its body may sleep on, with what it has, and those below it on the stack.
   Locks: a parker's, then those of shards, resources and timers, one after the other. */

enum rr__vertex_kind {
    RR__OF_OBJECT, /* goes on when the body does that makes it, or what it waits for */
    RR__OF_BODY,   /* that sleeps, or lies below one that does; or a thread that waits for room */
    RR__OF_NEEDS,  /* resources that somebody waits for */
    RR__OF_STOCK,  /* one of those that there is not enough of */
    RR__OF_LIFE,   /* an actor with resources: goes on when all its bodies do, and it can end */
    RR__OF_ROOM,   /* in an actor's mailbox: when one of its messages does */
    RR__OF_STORE   /* room in the store: when one of the bodies does that have values in use */
};

/* How a vertex was when it was looked at; of a body but whether it is for outside. */
typedef struct rr__sight {
    bool goes_on;    /* it is over, is queued, or can end by itself */
    bool is_outside; /* only because a thread from outside may complete it */
    bool is_actor, runs;
    rr__object *link;
    uint64_t link_id;
    rr__shape *shape; /* resources that it waits for */
    int inside;       /* methods that a crew waits for one of; of the store: who has values */
    rr__hope hope;    /* for room */
} rr__sight;

typedef struct rr__vertex {
    enum rr__vertex_kind kind;
    rr__object *object; /* NULL: none. A body's is its task, a life's its actor */
    uint64_t id;
    rr__sight sight;
    rr__parker *parker, *giver; /* of a body; whose sign it waits for */
    uint64_t sleeps;            /* of the parker */
    bool is_innermost, goes_on, is_alive;
    bool has_changed;            /* since it was read first, or its slot has */
    uint32_t first, edges, need; /* it goes on when so many of these do */
    uint32_t body;               /* of an object: from 1; 0: none that sleeps */
    uint32_t member;  /* of an actor: the first body that works for it; of a body: the next one; of
                        a life: as of its actor; from 1 */
    uint32_t mailbox; /* of an actor: the room there; from 1 */
    uint32_t held;    /* what it has, in rr__graph.held; from 1 */
    int stock;        /* that is short */
    uint32_t found, lowest, at; /* for the search for components */
    bool is_open, leads_out;
} rr__vertex;

/* What resources somebody waits for, or has; with the vertex of that. */
typedef struct rr__portion {
    rr__shape *shape; /* wanted */
    bool is_of_actors;
    uint32_t vertex;
    int64_t amounts[RR__STOCKS];
} rr__portion;

enum { RR__GRAPH_PIECE = 4096 };

/* One look. Without memory it finds nothing. */
typedef struct rr__graph {
    rr__context *cx;
    uint32_t **of_slot; /* vertices of objects by slot, from 1; in pieces, NULL: none */
    uint32_t slots;
    rr__vertex *vertices;
    uint32_t *edges;
    rr__portion *wanted, *held;
    uint32_t *users; /* bodies that sleep, and have values in use */
    uint32_t store;  /* vertex of the store, from 1; 0: nobody wants room there */
    size_t count, edge_count, wanted_count, held_count, users_count;
    size_t room, edge_room, wanted_room, held_room, users_room;
    bool is_lost; /* no memory, or it changed too much meanwhile */
} rr__graph;

/* An array with a place for one more, or, without memory, as it was. */
static void *rr__grown(rr__graph *g, void *array, size_t count, size_t *room, size_t size) {
    if (count < *room) return array;
    size_t wanted = *room ? 2 * *room : 64;
    void *more = RR_REALLOC(array, wanted * size);
    if (more) *room = wanted;
    else g->is_lost = true;
    return more ? more : array;
}

static uint32_t rr__vertex_new(rr__graph *g, enum rr__vertex_kind kind, rr__object *o,
                               uint64_t id) {
    g->vertices = rr__grown(g, g->vertices, g->count, &g->room, sizeof *g->vertices);
    if (g->is_lost) return 0;
    g->vertices[g->count] = (rr__vertex){.kind = kind, .object = o, .id = id};
    return (uint32_t)g->count++;
}

/* Where the vertex of a slot is noted; NULL: there was no memory, or there are more slots now. Few
   slots have one, so the table comes in pieces. The number of a slot is fixed while looks go on:
   the memory of slots is given back, if at all, by the same thread. */
static uint32_t *rr__place_of(rr__graph *g, uint32_t slot) {
    if (slot >= g->slots) return NULL;
    uint32_t **piece = &g->of_slot[slot / RR__GRAPH_PIECE];
    if (!*piece) *piece = RR_CALLOC(RR__GRAPH_PIECE, sizeof **piece);
    return *piece ? &(*piece)[slot % RR__GRAPH_PIECE] : NULL;
}

static uint32_t rr__vertex_of(rr__graph *g, rr__object *o, uint64_t id) {
    uint32_t *place = rr__place_of(g, o->slot), known = place ? *place : 0;
    if (known && g->vertices[known - 1].id == id) return known - 1;
    uint32_t v = rr__vertex_new(g, RR__OF_OBJECT, o, id);
    if (!place) g->is_lost = true;
    if (g->is_lost) return 0;
    if (known) g->vertices[known - 1].has_changed = true; /* it is gone, its slot another's */
    *place = v + 1;
    return v;
}

/* From the vertex whose edges are being added. */
static void rr__edge_add(rr__graph *g, uint32_t from, uint32_t to) {
    g->edges = rr__grown(g, g->edges, g->edge_count, &g->edge_room, sizeof *g->edges);
    if (g->is_lost) return;
    g->edges[g->edge_count++] = to;
    g->vertices[from].edges++;
}

/* What v waits for is added from here on: so many of it are needed. */
static void rr__edges_begin(rr__graph *g, uint32_t v, uint32_t need) {
    g->vertices[v].first = (uint32_t)g->edge_count, g->vertices[v].need = need;
}

/* ---- bodies ---- */

static void rr__held_add(rr__graph *g, uint32_t v, const rr__shape *shape, bool keeps_cpus) {
    g->held = rr__grown(g, g->held, g->held_count, &g->held_room, sizeof *g->held);
    if (g->is_lost) return;
    rr__portion *portion = &g->held[g->held_count++];
    *portion = (rr__portion){.vertex = v};
    g->vertices[v].held = (uint32_t)g->held_count;
    memcpy(portion->amounts, shape->amounts, sizeof portion->amounts); /* fixed */
    if (!keeps_cpus) portion->amounts[RR__CPU] = 0;
}

/* A time limit ends it, or the next attempt begins. The caller counts it. */
static bool rr__has_timer(rr_runtime *rt, const rr__control *control) {
    rr__lock(&rt->timers->lock);
    bool has = control->limit.at || control->retry.at;
    rr__unlock(&rt->timers->lock);
    return has;
}

static uint32_t rr__mailbox_vertex(rr__graph *g, rr__object *actor) {
    uint64_t id = rr__load_relaxed(&actor->id); /* who waits counts it */
    uint32_t v = rr__vertex_of(g, actor, id);
    uint32_t known = g->is_lost ? 0 : g->vertices[v].mailbox;
    uint32_t room = known ? known - 1 : rr__vertex_new(g, RR__OF_ROOM, actor, id);
    if (!g->is_lost) g->vertices[v].mailbox = room + 1;
    return room;
}

static uint32_t rr__store_vertex(rr__graph *g) {
    if (!g->store) g->store = rr__vertex_new(g, RR__OF_STORE, NULL, 0) + 1;
    return g->store - 1;
}

static void rr__user_add(rr__graph *g, uint32_t body) {
    g->users = rr__grown(g, g->users, g->users_count, &g->users_room, sizeof *g->users);
    if (!g->is_lost) g->users[g->users_count++] = body;
}

/* What the innermost body waits for: room in a mailbox or in the store, a sign, for which see
   rr__giver_explore, or objects, for which see rr__wait_add. */
static void rr__body_edges(rr__graph *g, uint32_t body, const rr__sleeper *s) {
    bool is_sender = s->edge && !s->wait, has_one = s->wants_room || is_sender;
    g->vertices[body].giver = s->giver;
    uint32_t to = s->wants_room ? rr__store_vertex(g)
                  : is_sender   ? rr__mailbox_vertex(g, s->edge)
                                : 0;
    rr__edges_begin(g, body, 1);
    if (has_one) rr__edge_add(g, body, to);
}

/* It works for an actor, which keeps its resources as long as that goes on. */
static void rr__member_add(rr__graph *g, uint32_t body, rr__object *actor) {
    uint32_t v = rr__vertex_of(g, actor, rr__load_relaxed(&actor->id));
    if (g->is_lost) return;
    rr__control *control = rr__options_of(actor);
    bool is_first = !g->vertices[v].member;
    g->vertices[body].member = g->vertices[v].member;
    g->vertices[v].member = body + 1;
    if (!is_first || !control || !control->shape) return;
    uint32_t life = rr__vertex_new(g, RR__OF_LIFE, actor, g->vertices[v].id);
    rr__held_add(g, life, control->shape, true);
    if (!g->is_lost) g->vertices[life].member = v; /* until it is explored */
}

/* One body of those that sleep together; `above` is on top of it, and must end first. */
static uint32_t rr__body_add(rr__graph *g, rr__sleeper *s, rr__frame *frame, uint32_t above,
                             bool is_innermost) {
    rr_runtime *rt = g->cx->runtime;
    rr__object *task = frame->task;
    const rr__control *control = rr__control_of(task);
    uint64_t id = rr__load_relaxed(&task->id); /* it counts itself */
    uint32_t body = rr__vertex_new(g, RR__OF_BODY, task, id), v = rr__vertex_of(g, task, id);
    if (g->is_lost) return 0;
    rr__vertex *b = &g->vertices[body], *o = &g->vertices[v];
    if (o->body) g->vertices[o->body - 1].has_changed = true; /* it has begun anew since */
    o->body = body + 1;
    b->parker = s->parker, b->sleeps = s->parker->sleeps, b->is_innermost = is_innermost;
    if (is_innermost) {
        s->parker->vertex = body + 1;
        bool has_timer = control && rr__has_timer(rt, control);
        b->goes_on = has_timer || s->is_for_outside,
        b->sight.is_outside = s->is_for_outside && !has_timer;
        if (s->self->uses_store == rt) rr__user_add(g, body);
        rr__body_edges(g, body, s);
    } else {
        rr__edges_begin(g, body, 1);
        rr__edge_add(g, body, above);
    }
    if (frame->granted) rr__held_add(g, body, frame->granted->shape, false);
    if (frame->actor && !g->is_lost) rr__member_add(g, body, frame->actor);
    return body;
}

/* Does it sleep, in this runtime alone, for something that the graph can tell? Under its lock. */
static bool rr__sleeper_may_be_stuck(const rr_runtime *rt, const rr__sleeper *s) {
    if (!s || s->has_limit || rr__sleeper_is_over_locked(s)) return false;
    if (!s->ring && !s->wants_room && !s->giver && !s->is_for_outside) return false;
    if (s->context->runtime != rt) return false;
    for (const rr__frame *frame = s->self->frame; frame; frame = frame->outer)
        if (frame->runner->runtime != rt) return false;
    return s->self->frame || s->wants_room || s->giver;
}

/* A thread from outside, without a body, which brings a value back that others wait for; while it
   makes one again it is counted among those that have values, as bodies are. */
static void rr__thread_add(rr__graph *g, rr__sleeper *s) {
    uint32_t v = rr__vertex_new(g, RR__OF_BODY, NULL, 0);
    if (g->is_lost) return;
    g->vertices[v].parker = s->parker, g->vertices[v].sleeps = s->parker->sleeps;
    s->parker->vertex = v + 1;
    if (s->self->uses_store == g->cx->runtime) rr__user_add(g, v);
    rr__body_edges(g, v, s);
}

/* Does what was added of it sleep on? Under its lock. */
static bool rr__sleeps_on_locked(const rr_runtime *rt, const rr__vertex *v) {
    return rr__sleeper_may_be_stuck(rt, v->parker->sleeper) && v->parker->sleeps == v->sleeps;
}

/* The objects that it waits for: so many of them. A piece at a time, for who completes one needs
   the lock. */
static void rr__wait_add(rr__graph *g, rr__parker *parker) {
    enum { PIECE = 1024 };
    size_t i = 0, n = 1, need = 0, done = 0;
    rr__vertex *v = &g->vertices[parker->vertex - 1];
    uint32_t body = parker->vertex - 1;
    for (rr__edges_begin(g, body, 1); i < n && !g->is_lost && !v->has_changed;) {
        rr__lock(&parker->lock);
        const rr__wait *wait = parker->sleeper ? parker->sleeper->wait : NULL;
        v->has_changed |= !wait || !rr__sleeps_on_locked(g->cx->runtime, v);
        n = v->has_changed ? 0 : wait->n, need = v->has_changed ? 0 : parker->sleeper->need;
        for (size_t end = i + PIECE; i < n && i < end && !g->is_lost; i++) {
            rr__object *o = wait->objects[i];
            if (o && !wait->nodes[i].object) done++; /* it was complete from the start */
            else if (o) rr__edge_add(g, body, rr__vertex_of(g, o, rr__load_relaxed(&o->id)));
        }
        rr__unlock(&parker->lock);
        v = &g->vertices[body];
    }
    v->need = (uint32_t)(need - done);
}

static void rr__parker_add(rr__graph *g, rr__parker *parker) {
    uint32_t above = 0;
    if (g->is_lost) return;
    rr__lock(&parker->lock);
    rr__sleeper *s = parker->sleeper;
    bool is_stuck = rr__sleeper_may_be_stuck(g->cx->runtime, s), is_first = true;
    bool has_objects = is_stuck && s->wait;
    parker->vertex = 0;
    if (is_stuck && !s->self->frame) rr__thread_add(g, s);
    for (rr__frame *f = is_stuck ? s->self->frame : NULL; f && !g->is_lost; f = f->outer) {
        above = rr__body_add(g, s, f, above, is_first);
        is_first = false;
    }
    rr__unlock(&parker->lock);
    if (has_objects && !g->is_lost) rr__wait_add(g, parker);
}

/* All bodies that sleep: on fibers, and, as recipes do, on threads from outside. */
static bool rr__bodies_add(rr__graph *g) {
    rr_runtime *rt = g->cx->runtime;
    rr__lock(&rt->fibers_lock);
    rr__fiber *fiber = rt->fibers; /* the rest of the list stays as it is */
    rr__unlock(&rt->fibers_lock);
    for (; fiber; fiber = fiber->all) rr__parker_add(g, &fiber->parker);
    for (rr__context *cx = rr__load_acquire(&rt->contexts); cx; cx = cx->next)
        rr__parker_add(g, &cx->parker);
    return !g->is_lost;
}

/* ---- what they wait for ---- */

/* What an object with options waits for that no link tells. It is pinned. */
static void rr__options_look(rr__context *cx, rr__object *o, rr__sight *sight) {
    rr_runtime *rt = cx->runtime;
    rr__control *control = rr__options_of(o);
    if (!control || (sight->goes_on = rr__has_timer(rt, control))) return;
    rr__lock(&rt->resources->lock);
    bool waits = control->turn.at && control->shape && control->turn_in == &control->shape->waiting;
    sight->shape = waits ? control->shape : NULL;
    rr__unlock(&rt->resources->lock);
    if (sight->is_actor) sight->inside = rr__above.inside(cx, o);
}

/* It waits for nobody that the graph knows: rr_create made it. */
static bool rr__is_for_outside(rr__context *cx, rr__object *o, uint64_t id) {
    if (!rr__try_retain(cx, o, id)) return false;
    bool is = rr__is_unsealed(o);
    rr__drop(cx, o);
    return is;
}

/* An object; has_body: of which a body sleeps. */
static rr__sight rr__object_look(rr__context *cx, rr__object *o, uint64_t id, bool has_body) {
    const rr__sight alive = {.goes_on = true};
    uint64_t word = rr__load_acquire(&o->word);
    enum rr__state state = rr__state_of(word);
    rr__sight sight = {.is_actor = (word & RR__IS_ACTOR) != 0, .runs = state == RR__RUNNING};
    rr__object *link = has_body ? NULL : rr__load_acquire(&o->waits_on);
    bool waits = state == RR__WAITING || (sight.runs && sight.is_actor);
    if ((!waits && !has_body) || state >= RR__READY || rr__linked_fiber(link)) return alive;
    if (rr__load_acquire(&o->id) != id || (word & RR__IS_DOOMED)) return alive;
    sight.link = link, sight.link_id = link ? rr__load_acquire(&link->id) : 0;
    if (link && (rr__load_acquire(&o->waits_on) != link || !sight.link_id)) return alive;
    bool has_options = (word & (RR__HAS_CONTROL | RR__HAS_CARE)) != 0;
    if (has_options && !rr__try_retain(cx, o, id)) return alive;
    if (has_options) rr__options_look(cx, o, &sight), rr__drop(cx, o);
    if (sight.goes_on || has_body || link || sight.shape || sight.inside) return sight;
    sight.goes_on = true, sight.is_outside = rr__is_for_outside(cx, o, id);
    return sight;
}

/* Room in a mailbox. Visits the messages that make some if they fail. */
static rr__sight rr__room_look(rr__context *cx, const rr__vertex *v, rr__visit *visit, void *arg) {
    rr__sight sight = {.goes_on = true};
    rr__object *actor = v->object;
    if (!rr__try_retain(cx, actor, v->id)) return sight;
    sight.hope = rr__above.hope(cx, actor, visit, arg);
    sight.goes_on = sight.hope.is_moving;
    rr__drop(cx, actor);
    return sight;
}

static uint32_t rr__wanted_vertex(rr__graph *g, rr__shape *shape) {
    rr__resources *resources = g->cx->runtime->resources;
    for (size_t i = 0; i < g->wanted_count; i++)
        if (g->wanted[i].shape == shape) return g->wanted[i].vertex;
    g->wanted = rr__grown(g, g->wanted, g->wanted_count, &g->wanted_room, sizeof *g->wanted);
    uint32_t v = rr__vertex_new(g, RR__OF_NEEDS, NULL, 0);
    if (g->is_lost) return 0;
    rr__portion *portion = &g->wanted[g->wanted_count++];
    *portion = (rr__portion){.vertex = v, .shape = shape};
    g->vertices[v].need = 1; /* of nothing: see rr__needs_are_there */
    rr__lock(&resources->lock);
    rr__shape *known = resources->shapes;
    while (known && known != shape) known = known->next;
    if (known) memcpy(portion->amounts, shape->amounts, sizeof portion->amounts);
    if (known) portion->is_of_actors = shape->is_of_actors;
    else g->is_lost = true;
    rr__unlock(&resources->lock);
    return v;
}

/* Edges to the bodies that work for an actor, from the first one on. Returns how many there are. */
static int rr__members_explore(rr__graph *g, uint32_t v, uint32_t first) {
    int n = 0;
    for (uint32_t m = first; m && !g->is_lost; m = g->vertices[m - 1].member, n++)
        rr__edge_add(g, v, m - 1);
    return n;
}

/* An actor that runs waits for the body of its message, all else for the object itself. */
static void rr__link_explore(rr__graph *g, uint32_t v, const rr__sight *sight) {
    uint32_t to = rr__vertex_of(g, sight->link, sight->link_id);
    if (g->is_lost) return;
    uint32_t body = sight->is_actor && sight->runs ? g->vertices[to].body : 0;
    rr__edge_add(g, v, body ? body - 1 : to);
}

static void rr__object_explore(rr__graph *g, uint32_t v) {
    rr__vertex *vertex = &g->vertices[v];
    uint32_t body = vertex->body;
    rr__sight sight = rr__object_look(g->cx, vertex->object, vertex->id, body > 0);
    vertex->sight = sight, vertex->goes_on = sight.goes_on;
    if (sight.goes_on) return;
    if (body) rr__edge_add(g, v, body - 1);
    else if (sight.shape) rr__edge_add(g, v, rr__wanted_vertex(g, sight.shape));
    else if (sight.link) rr__link_explore(g, v, &sight);
    else if (rr__members_explore(g, v, vertex->member) != sight.inside && !g->is_lost)
        g->vertices[v].goes_on = true; /* one of them runs */
}

/* Who explores the room in a mailbox, and from where. */
typedef struct rr__room_visit {
    rr__graph *graph;
    uint32_t vertex;
} rr__room_visit;

static void rr__room_message(void *arg, rr__object *message) {
    rr__room_visit *visit = arg;
    rr__graph *g = visit->graph;
    uint32_t v = rr__vertex_of(g, message, rr__load_relaxed(&message->id)); /* it counts itself */
    if (!g->is_lost) rr__edge_add(g, visit->vertex, v);
}

static void rr__room_explore(rr__graph *g, uint32_t v) {
    rr__vertex room = g->vertices[v];
    rr__sight sight = rr__room_look(g->cx, &room, rr__room_message, &(rr__room_visit){g, v});
    g->vertices[v].sight = sight, g->vertices[v].goes_on = sight.goes_on;
    if (!sight.goes_on && sight.hope.queued)
        rr__edge_add(g, v, rr__vertex_of(g, room.object, room.id));
}

/* One that has values, and does not sleep, or not for ever, may give room. */
static void rr__store_explore(rr__graph *g, uint32_t v) {
    int users = g->vertices[v].sight.inside = rr__above.users(g->cx->runtime);
    g->vertices[v].goes_on = users != (int)g->users_count;
    for (size_t i = 0; i < g->users_count; i++) rr__edge_add(g, v, g->users[i]);
}

/* Who sleeps until another one has done something for it: that is all its parker does. */
static void rr__giver_explore(rr__graph *g, uint32_t v) {
    uint32_t giver = g->vertices[v].giver->vertex;
    rr__edges_begin(g, v, 1);
    if (giver) rr__edge_add(g, v, giver - 1);
    else g->vertices[v].goes_on = true;
}

static void rr__vertex_explore(rr__graph *g, uint32_t v) {
    enum rr__vertex_kind kind = g->vertices[v].kind;
    if (kind == RR__OF_BODY && g->vertices[v].giver) rr__giver_explore(g, v);
    if (kind == RR__OF_BODY || kind == RR__OF_NEEDS) return; /* known */
    if (g->vertices[v].has_changed) return;
    rr__edges_begin(g, v, 1);
    if (kind == RR__OF_OBJECT) rr__object_explore(g, v);
    if (kind == RR__OF_ROOM) rr__room_explore(g, v);
    if (kind == RR__OF_STORE) rr__store_explore(g, v);
    if (kind != RR__OF_LIFE) return;
    rr__vertex *life = &g->vertices[v];
    life->member = g->vertices[life->member].member;
    int n = rr__members_explore(g, v, life->member);
    g->vertices[v].need = (uint32_t)n;
}

// >>core/deadlock

/* Deadlocks: who can never go on. While bodies wait without a limit, the clock's thread looks at
   them now and then: each waits for so many of certain objects, those for others, and what runs,
   is queued, has a time limit, or may be completed from outside is alive. What life does not reach
   in this graph is stuck, for good: rings of bodies, also by way of arguments, mailboxes, crews,
   streams and resources, and waits for some of many. Bodies in a ring are told, and then it looks
   again. What runs pays nothing for that.

   The graph is one of alternatives (the and-or model: Knapp, "Deadlock detection in distributed
   databases", 1987), and life spreads in it in linear time (Dowling and Gallier, "Linear-time
   algorithms for testing the satisfiability of propositional Horn formulae", 1984). One ring is
   told in each component of what is stuck that waits for none but itself (Tarjan, "Depth-first
   search and linear graph algorithms", 1972): the others may go on when it is.

   Everything goes on meanwhile. So what seems stuck is read a second time: what has changed is
   alive, and what that leads to; the rest was as it seems at one moment between the two readings,
   and what is stuck once stays so, but for what is ended from outside (rr_cancel, rr_kill, the time
   limit of a caller).
   Rule   K4  The clock says that it looks before it looks, and a body looks whether the clock does
              after its sleeper is known: so one of them sees the other, by the parker's lock
              (rr__look_later).
   Locks: those of core/graph.h. */

/* ---- life ---- */

/* Life spreads from what goes on. `from` has the vertices that lead to each, as rr__vertex.first
   and .edges tell where it leads; `stuck` how much of each resource is with those not alive. */
typedef struct rr__life {
    uint32_t *start, *from, *work;
    size_t waiting;
    int64_t stuck[RR__STOCKS];
} rr__life;

static void rr__life_end(rr__life *life) {
    RR_FREE(life->start), RR_FREE(life->from), RR_FREE(life->work);
}

static void rr__live(rr__graph *g, rr__life *life, uint32_t index) {
    rr__vertex *v = &g->vertices[index];
    v->is_alive = true;
    life->work[life->waiting++] = index;
    for (int i = 0; v->held && i < RR__STOCKS; i++)
        life->stuck[i] -= g->held[v->held - 1].amounts[i];
}

/* outside: also from what a thread from outside may complete. False: without memory. */
static bool rr__life_begin(rr__graph *g, rr__life *life, bool outside) {
    *life = (rr__life){.start = RR_CALLOC(g->count + 2, sizeof *life->start),
                       .from = RR_MALLOC((g->edge_count + 1) * sizeof *life->from),
                       .work = RR_MALLOC((g->count + 1) * sizeof *life->work)};
    if (!life->start || !life->from || !life->work) return false;
    for (size_t i = 0; i < g->edge_count; i++) life->start[g->edges[i] + 2]++;
    for (size_t i = 1; i < g->count + 2; i++) life->start[i] += life->start[i - 1];
    for (uint32_t v = 0; v < g->count; v++)
        for (uint32_t e = 0; e < g->vertices[v].edges; e++)
            life->from[life->start[g->edges[g->vertices[v].first + e] + 1]++] = v;
    for (size_t i = 0; i < g->held_count; i++)
        for (int k = 0; k < RR__STOCKS; k++) life->stuck[k] += g->held[i].amounts[k];
    for (uint32_t i = 0; i < g->count; i++) {
        const rr__vertex *v = &g->vertices[i];
        bool goes_on = v->goes_on && (outside || !v->sight.is_outside);
        if (goes_on || v->has_changed || !v->need) rr__live(g, life, i);
    }
    return true;
}

/* There will not be enough of this resource. Actors leave one CPU. */
static bool rr__is_short_of(const rr__graph *g, const rr__life *life, const rr__portion *wanted,
                            int stock) {
    int64_t kept = stock == RR__CPU && wanted->is_of_actors ? RR__WHOLE : 0;
    int64_t total = g->cx->runtime->resources->stocks[stock].total; /* fixed */
    return wanted->amounts[stock] && wanted->amounts[stock] > total - kept - life->stuck[stock];
}

static bool rr__needs_are_there(const rr__graph *g, const rr__life *life,
                                const rr__portion *wanted) {
    for (int i = 0; i < g->cx->runtime->resources->count; i++)
        if (rr__is_short_of(g, life, wanted, i)) return false;
    return true;
}

/* To the end. */
static void rr__life_spreads(rr__graph *g, rr__life *life) {
    do {
        while (life->waiting > 0) {
            uint32_t v = life->work[--life->waiting];
            for (uint32_t i = life->start[v]; i < life->start[v + 1]; i++) {
                rr__vertex *from = &g->vertices[life->from[i]];
                if (!from->is_alive && from->need && --from->need == 0)
                    rr__live(g, life, life->from[i]);
            }
        }
        for (size_t i = 0; i < g->wanted_count; i++) {
            uint32_t v = g->wanted[i].vertex;
            if (!g->vertices[v].is_alive && rr__needs_are_there(g, life, &g->wanted[i]))
                rr__live(g, life, v);
        }
    } while (life->waiting > 0);
}

/* ---- what is stuck ---- */

static bool rr__body_sleeps_on(const rr_runtime *rt, const rr__vertex *v) {
    rr__lock(&v->parker->lock);
    bool same = rr__sleeps_on_locked(rt, v);
    rr__unlock(&v->parker->lock);
    return same;
}

static void rr__visit_none(void *arg, rr__object *message) { (void)arg, (void)message; }

/* The second reading. What has a life of its own is known by its bodies. */
static bool rr__is_unchanged(rr__graph *g, const rr__vertex *v) {
    if (v->kind == RR__OF_NEEDS || v->kind == RR__OF_LIFE) return true;
    if (v->kind == RR__OF_BODY) return rr__body_sleeps_on(g->cx->runtime, v);
    rr__sight was = v->sight, now;
    if (v->kind == RR__OF_STORE) return rr__above.users(g->cx->runtime) == was.inside;
    if (v->kind == RR__OF_ROOM) now = rr__room_look(g->cx, v, rr__visit_none, NULL);
    else now = rr__object_look(g->cx, v->object, v->id, v->body > 0);
    return now.goes_on == was.goes_on && now.is_outside == was.is_outside && now.runs == was.runs &&
           now.link == was.link && now.link_id == was.link_id && now.shape == was.shape &&
           now.inside == was.inside && now.hope.held == was.hope.held &&
           now.hope.queued == was.hope.queued;
}

/* What has changed is alive, and what that leads to. */
static void rr__stuck_read_again(rr__graph *g, rr__life *life) {
    for (uint32_t i = 0; i < g->count; i++)
        if (!g->vertices[i].is_alive && !rr__is_unchanged(g, &g->vertices[i])) rr__live(g, life, i);
    rr__life_spreads(g, life);
}

/* A resource that somebody lacks: he waits for all that have some of it and are stuck. */
static uint32_t rr__stock_add(rr__graph *g, int stock) {
    uint32_t v = rr__vertex_new(g, RR__OF_STOCK, NULL, 0);
    if (g->is_lost) return 0;
    g->vertices[v].stock = stock;
    rr__edges_begin(g, v, 1);
    for (size_t i = 0; i < g->held_count && !g->is_lost; i++)
        if (!g->vertices[g->held[i].vertex].is_alive && g->held[i].amounts[stock])
            rr__edge_add(g, v, g->held[i].vertex);
    return v;
}

/* Edges to what is short. */
static void rr__stocks_add(rr__graph *g, const rr__life *life) {
    uint32_t stocks[RR__STOCKS] = {0};
    for (size_t i = 0; i < g->wanted_count; i++)
        for (int k = 0; k < g->cx->runtime->resources->count && !g->is_lost; k++)
            if (!stocks[k] && !g->vertices[g->wanted[i].vertex].is_alive &&
                rr__is_short_of(g, life, &g->wanted[i], k))
                stocks[k] = rr__stock_add(g, k);
    for (size_t i = 0; i < g->wanted_count && !g->is_lost; i++) {
        uint32_t v = g->wanted[i].vertex;
        if (g->vertices[v].is_alive) continue;
        rr__edges_begin(g, v, 1);
        for (int k = 0; k < g->cx->runtime->resources->count; k++)
            if (rr__is_short_of(g, life, &g->wanted[i], k)) rr__edge_add(g, v, stocks[k]);
    }
}

/* From one that is stuck to one that it waits for, which is stuck, too. */
static uint32_t rr__next_stuck(const rr__graph *g, uint32_t v) {
    const rr__vertex *vertex = &g->vertices[v];
    uint32_t e = 0;
    while (g->vertices[g->edges[vertex->first + e]].is_alive) e++; /* there is one */
    return g->edges[vertex->first + e];
}

/* ---- telling ---- */

/* The body that sleeps and keeps this object, whoever counts it; 0: none is known. From 1. */
static uint32_t rr__keeper_of(const rr__graph *g, uint32_t v) {
    const rr__vertex *vertex = &g->vertices[v];
    return vertex->kind == RR__OF_BODY ? v + 1 : vertex->body ? vertex->body : vertex->member;
}

/* False: it has gone. */
static bool rr__vertex_describe(rr__graph *g, uint32_t v, rr__text *text) {
    rr__object *o = g->vertices[v].object;
    uint32_t keeper = rr__keeper_of(g, v);
    rr__vertex *body = keeper ? &g->vertices[keeper - 1] : NULL;
    bool ok;
    if (body) {
        rr__lock(&body->parker->lock);
        if ((ok = rr__sleeps_on_locked(g->cx->runtime, body))) rr__describe(text, o);
        rr__unlock(&body->parker->lock);
    } else if ((ok = rr__try_retain(g->cx, o, g->vertices[v].id))) {
        rr__describe(text, o);
        rr__drop(g->cx, o);
    }
    return ok;
}

/* After `before`, what the next one in a ring is called: a body is its task, and room in a mailbox
   its actor. */
static bool rr__step_describe(rr__graph *g, uint32_t before, uint32_t v, bool is_first,
                              rr__text *text) {
    const rr__vertex *from = &g->vertices[before], *to = &g->vertices[v];
    bool is_body = from->kind == RR__OF_OBJECT && to->kind == RR__OF_BODY;
    bool is_same = from->object == to->object && (is_body || from->kind >= RR__OF_LIFE);
    if (to->kind == RR__OF_NEEDS || (to->object && is_same)) return true;
    if (from->kind != RR__OF_STOCK) rr__text_add(text, "%s waits for ", is_first ? "" : ", which");
    if (to->kind != RR__OF_STOCK) return rr__vertex_describe(g, v, text);
    rr__text_add(text, "the '%s' that is with ", g->cx->runtime->resources->stocks[to->stock].name);
    return true;
}

/* "'a' waits for 'b', which waits for 'a'", from a body on. */
static bool rr__ring_describe(rr__graph *g, uint32_t start, rr__text *text) {
    rr__text_add(text, "deadlock: ");
    bool ok = rr__vertex_describe(g, start, text);
    size_t begin = text->used;
    uint32_t v = start;
    do {
        uint32_t next = rr__next_stuck(g, v);
        ok = ok && rr__step_describe(g, v, next, text->used == begin, text);
        v = next;
    } while (ok && v != start);
    return ok;
}

static void rr__stuck_tell(rr__context *cx, const rr__vertex *v, const char *text) {
    rr__parker *parker = v->parker;
    rr__lock(&parker->lock);
    rr__sleeper *s = parker->sleeper;
    bool is_told = rr__sleeps_on_locked(cx->runtime, v) && s->ring;
    if (is_told) {
        s->is_ring = true;
        snprintf(s->ring, RR__RING_TEXT, "%s", text);
    }
    rr__parker *woken = is_told ? rr__parker_ends_locked(s) : NULL;
    rr__unlock(&parker->lock);
    rr__wake(cx, woken);
}

/* Tells the bodies of the ring that one comes to from here, and cannot leave. False: there are
   none, or it is over. */
static bool rr__ring_tell(rr__graph *g, uint32_t from) {
    char text[RR__RING_TEXT];
    uint32_t v = from, start = from, steps = 0;
    for (uint32_t power = 1; (v = rr__next_stuck(g, v)) != start; steps++) /* after Brent */
        if (steps == power) start = v, power *= 2, steps = 0;
    do v = rr__next_stuck(g, v);
    while (v != start && !g->vertices[v].is_innermost);
    start = v;
    if (!g->vertices[start].is_innermost) return false;
    if (!rr__ring_describe(g, start, &(rr__text){text, sizeof text, 0})) return false;
    do {
        if (g->vertices[v].is_innermost) rr__stuck_tell(g->cx, &g->vertices[v], text);
        v = rr__next_stuck(g, v);
    } while (v != start);
    return true;
}

/* The component that begins with v, above which it lies on the stack, is complete: tells a ring of
   it, if nobody in it waits for others. Where room in the store would do, somebody gives up who
   waits for that (store/patience.h). */
static bool rr__component_end(rr__graph *g, const uint32_t *stack, size_t *open, uint32_t v) {
    bool leads_out = false;
    uint32_t w;
    do {
        w = stack[--*open];
        g->vertices[w].is_open = false;
        leads_out |= g->vertices[w].leads_out || g->vertices[w].kind == RR__OF_STORE;
    } while (w != v);
    return !leads_out && rr__ring_tell(g, v);
}

/* A vertex that the search has not seen before. */
static void rr__component_enter(rr__graph *g, uint32_t v, uint32_t *found, uint32_t *stack,
                                size_t *open) {
    g->vertices[v].found = g->vertices[v].lowest = ++*found;
    g->vertices[v].is_open = true;
    stack[(*open)++] = v;
}

/* Tarjan's search from one vertex, without recursion; `path` leads from it to where it is. */
static bool rr__components_from(rr__graph *g, uint32_t root, uint32_t *found, uint32_t *stack,
                                uint32_t *path) {
    size_t open = 0, depth = 0;
    bool has_told = false;
    rr__component_enter(g, path[depth++] = root, found, stack, &open);
    while (depth > 0) {
        rr__vertex *v = &g->vertices[path[depth - 1]];
        if (v->at < v->edges) {
            uint32_t to = g->edges[v->first + v->at++];
            rr__vertex *w = &g->vertices[to];
            if (w->is_alive) continue;
            if (!w->found) rr__component_enter(g, path[depth++] = to, found, stack, &open);
            else if (!w->is_open) v->leads_out = true;
            else if (w->found < v->lowest) v->lowest = w->found;
            continue;
        }
        rr__vertex *before = --depth ? &g->vertices[path[depth - 1]] : NULL;
        bool is_root = v->lowest == v->found;
        if (is_root) has_told |= rr__component_end(g, stack, &open, path[depth]);
        if (before && is_root) before->leads_out = true;
        else if (before && v->lowest < before->lowest) before->lowest = v->lowest;
    }
    return has_told;
}

static bool rr__stuck_tell_all(rr__graph *g) {
    uint32_t *stack = RR_MALLOC(2 * g->count * sizeof *stack), found = 0;
    bool has_told = false;
    for (uint32_t v = 0; v < g->count && stack; v++)
        if (!g->vertices[v].is_alive && !g->vertices[v].found)
            has_told |= rr__components_from(g, v, &found, stack, stack + g->count);
    RR_FREE(stack);
    return has_told;
}

/* ---- the look ---- */

/* False: without memory. */
static bool rr__graph_begin(rr__graph *g, rr__context *cx) {
    *g = (rr__graph){.cx = cx, .slots = rr__slots_count(&cx->runtime->slots)};
    g->of_slot = RR_CALLOC(g->slots / RR__GRAPH_PIECE + 1, sizeof *g->of_slot);
    return g->of_slot != NULL;
}

static void rr__graph_end(rr__graph *g) {
    for (uint32_t i = 0; g->of_slot && i <= g->slots / RR__GRAPH_PIECE; i++) RR_FREE(g->of_slot[i]);
    RR_FREE(g->of_slot), RR_FREE(g->vertices), RR_FREE(g->edges), RR_FREE(g->users);
    RR_FREE(g->wanted), RR_FREE(g->held);
}

/* Finds what is stuck, and has been so at one moment. */
static bool rr__graph_look(rr__graph *g, bool outside) {
    rr__life life = {0};
    for (uint32_t i = 0; i < g->count && !g->is_lost; i++) rr__vertex_explore(g, i);
    bool ok = !g->is_lost && rr__life_begin(g, &life, outside);
    if (ok) {
        rr__life_spreads(g, &life);
        rr__stuck_read_again(g, &life);
        rr__stocks_add(g, &life);
    }
    rr__life_end(&life);
    return ok && !g->is_lost;
}

/* Returns whether anybody waits; *has_told: somebody was told. */
static bool rr__deadlocks_look(rr__context *cx, bool *has_told) {
    rr__graph g;
    bool ok = rr__graph_begin(&g, cx);
    *has_told = ok && rr__bodies_add(&g) && rr__graph_look(&g, true) && rr__stuck_tell_all(&g);
    bool anybody = g.count > 0 || g.is_lost || !ok;
    rr__graph_end(&g);
    return anybody;
}

/* Will none of those that have values in use ever give room? outside: what a thread from outside
   may complete is waited for. */
static bool rr__room_is_stuck(rr__context *cx, bool outside) {
    rr__graph g;
    bool ok = rr__graph_begin(&g, cx) && rr__bodies_add(&g);
    uint32_t store = ok ? rr__store_vertex(&g) : 0;
    ok = ok && rr__graph_look(&g, outside) && !g.vertices[store].is_alive;
    rr__graph_end(&g);
    return ok;
}

/* The clock's turn. It comes again as long as anybody waits: later each time, and so that looking
   takes a twentieth of a processor at most. */
static void rr__deadlocks_due(rr__context *cx) {
    const double shortest = 1e-3, longest = 0.1;
    rr_runtime *rt = cx->runtime;
    rr__timers *timers = rt->timers;
    int looks = RR__LOOKS;
    bool has_told;
    double start = rr_now();
    rr__store_seq_cst(&timers->looking, (int)RR__LOOKS); /* rule K4 */
    bool anybody = rr__deadlocks_look(cx, &has_told);
    double cost = rr_now() - start, next = 2 * timers->look_delay;
    next = has_told || next < shortest ? shortest : next < longest ? next : longest;
    next = next < 20 * cost ? 20 * cost : next;
    timers->look_delay = anybody ? next : 0;
    if (!anybody && rr__cas_seq_cst(&timers->looking, &looks, (int)RR__LOOKS_NOT)) return;
    rr__store_seq_cst(&timers->looking, (int)RR__WILL_LOOK);
    rr__timer_set(rt, &timers->look, rr_now() + next);
}

// >>store/residence

/* Where a value is that may leave memory, and who reads it: one word in its slot, the second of
   `words`, which a value outside the slot leaves free. Who reads pins the value first, by a CAS of
   that word, and takes no lock. What moves a value has the store's lock, and demands of its CAS
   that nobody has a pin: so what is looked at never moves.

   bits 0-31   pins: readers, views, bodies whose argument it is
   bits 32-34  enum rr__residence
   bit  35     RR__WAS_USED: pinned since it was put into its list
   bit  36     RR__IS_NEW: it has no record yet, and is in no list: store/newcomers.h
   bit  37     RR__IS_ASIDE: who looked for room found it pinned, and took it out of its list
   bit  38     RR__IS_VIEWED: one pin is that of the views taken outside every scope

   Residence:  HERE -> LEAVING -> AWAY -> RETURNING -> HERE; without a file HERE -> LOST, and from
   there as from AWAY. From LEAVING back to HERE if somebody has pinned it meanwhile.
   Rules  E1  Pins come and go without the lock, and come only while it is HERE or LEAVING. What
              was neither comes back under the lock alone, and all else is changed under it, but
              for the end of a gather's last pin, and the beginning.
          E2  What is HERE and may leave lies in a list by age, pinned or not; or it is NEW; or it
              is ASIDE, and then whoever ends its last pin puts it back into the list. So who finds
              the lists empty has seen all that could leave.
          E3  LEAVING: the spiller reads the block without the lock, so it is not freed. It may be
              pinned meanwhile, and then stays; when its object ends, the spiller frees it.
          E4  RETURNING: one thread brings it back, who has set that; others wait for it.
   A gather has such a word, too. It is HERE while its parts are pinned, and AWAY when the last pin
   of its own has gone.

   The end of a pin (release) pairs with the change that lets the value leave (acquire): what was
   read of it was read before. The change to HERE (release) pairs with the pin (acquire).
   Locks: none here. */

enum rr__residence { RR__HERE, RR__LEAVING, RR__RETURNING, RR__AWAY, RR__LOST };

#define RR__PINS ((uint64_t)0xffffffff)
#define RR__RESIDENCE(residence) ((uint64_t)(residence) << 32)
#define RR__RESIDENCE_MASK RR__RESIDENCE(7)
#define RR__WAS_USED ((uint64_t)1 << 35)
#define RR__IS_NEW ((uint64_t)1 << 36)
#define RR__IS_ASIDE ((uint64_t)1 << 37)
#define RR__IS_VIEWED ((uint64_t)1 << 38)

typedef RR__ATOMIC(uint64_t) rr__residence_word;

/* Of a complete object: its value lies outside the slot. */
static inline bool rr__has_residence(const rr__object *o) {
    uint64_t word = rr__load_relaxed(&((rr__object *)(uintptr_t)o)->word); /* the flag is fixed */
    return !(word & RR__IS_INLINE) && o->kind != RR__GATHER && o->kind != RR__STREAM;
}
static inline rr__residence_word *rr__residence_at(rr__object *o) { return &o->words[1]; }

static inline enum rr__residence rr__residence_in(uint64_t word) {
    return (enum rr__residence)(word >> 32 & 7);
}
static inline bool rr__is_at_hand(uint64_t word) { return rr__residence_in(word) <= RR__LEAVING; }

/* Its value is in place, or will be: it has no record and no pins. Release: who reads the slot by
   an old handle sees then that the id is another (rr__write_words). */
static void rr__residence_begin(rr__object *o, uint64_t flags) {
    rr__store_release(&o->words[0], (uint64_t)0);
    rr__store_release(rr__residence_at(o), flags);
}

/* False: it is not in memory. */
static RR__INLINE bool rr__pin_begin(rr__residence_word *at) {
    uint64_t word = rr__load_relaxed(at); /* the CAS checks it */
    do {
        if (RR__UNLIKELY(!rr__is_at_hand(word))) return false;
    } while (!rr__cas_seq_cst(at, &word, (word + 1) | RR__WAS_USED));
    return true;
}

/* True: it was the last one, and the caller is to put it back into its list. */
static RR__INLINE bool rr__pin_end(rr__residence_word *at) {
    uint64_t word = rr__sub_acq_rel(at, (uint64_t)1);
    return RR__UNLIKELY((word & RR__PINS) == 1 && (word & RR__IS_ASIDE));
}

/* Of a gather. True: it was the last one: it is AWAY, and its parts are the caller's to let go. */
static bool rr__pin_end_of_parts(rr__residence_word *at) {
    uint64_t word = rr__load_relaxed(at), next; /* the CAS checks it */
    do next = (word & RR__PINS) == 1 ? RR__RESIDENCE(RR__AWAY) : word - 1;
    while (!rr__cas_seq_cst(at, &word, next));
    return (word & RR__PINS) == 1;
}

/* The caller's pin becomes that of the views outside. False: there is one; the caller keeps his. */
static bool rr__pin_becomes_view(rr__residence_word *at) {
    return !(rr__or_seq_cst(at, RR__IS_VIEWED) & RR__IS_VIEWED);
}

/* The pin of the views outside keeps it where it is, until its object ends. */
static RR__INLINE bool rr__is_viewed(rr__residence_word *at) {
    return (rr__load_acquire(at) & RR__IS_VIEWED) != 0; /* pairs with rr__pin_becomes_view */
}

/* What who looks for room does with one that is HERE. Under the lock. */
enum rr__look_at { RR__LEAVES, RR__IS_PINNED, RR__HAS_ANOTHER_CHANCE };
static enum rr__look_at rr__residence_leave(rr__residence_word *at, enum rr__residence to,
                                            bool gives_chances) {
    uint64_t word = rr__load_relaxed(at), next; /* the CAS checks it */
    enum rr__look_at found;
    do {
        bool is_pinned = (word & RR__PINS) != 0;
        bool has_chance = gives_chances && (word & RR__WAS_USED);
        found = is_pinned ? RR__IS_PINNED : has_chance ? RR__HAS_ANOTHER_CHANCE : RR__LEAVES;
        next = is_pinned ? word | RR__IS_ASIDE : word & ~RR__WAS_USED;
        if (found == RR__LEAVES) next += RR__RESIDENCE(to);
    } while (!rr__cas_seq_cst(at, &word, next));
    return found;
}

/* LEAVING, and its copy is written, if there is one. True: it is AWAY. */
static bool rr__residence_left(rr__residence_word *at, bool is_written) {
    uint64_t word = rr__load_relaxed(at), next; /* the CAS checks it */
    bool goes;
    do {
        goes = is_written && !(word & RR__PINS);
        next = (word & ~RR__RESIDENCE_MASK) | RR__RESIDENCE(goes ? RR__AWAY : RR__HERE);
    } while (!rr__cas_seq_cst(at, &word, next));
    return goes;
}

/* The last pin of one that is ASIDE has gone. True: it is the caller's to put into its list; else
   it is pinned again, or somebody else does. Under the lock. */
static bool rr__residence_back(rr__residence_word *at) {
    uint64_t word = rr__load_relaxed(at); /* the CAS checks it */
    do {
        if ((word & RR__PINS) || !(word & RR__IS_ASIDE)) return false;
    } while (!rr__cas_seq_cst(at, &word, word & ~RR__IS_ASIDE));
    return true;
}

// >>store/records

/* The store: values that lie outside their slots, and, if rr_config.store_bytes sets a limit,
   what there is of each beside its slot: a record with its place in a list by age. There is one
   list for each power of two of sizes, and eviction compares the oldest of each, so it costs the
   same however many there are. Without a limit none of it exists.

   Ages are those of CLOCK (Corbato, "A paging experiment with the Multics system", 1968), so that
   a read need not move anything: it leaves a mark, and who looks for the oldest puts what has one
   at the other end, without it.
   Locks: rr__store.lock; before rr_runtime.lock and the pools'. */

typedef struct rr__file rr__file;

/* What a value has that may leave memory, once it is in a list. Under the store's lock, but for
   what is fixed. */
struct rr__stored {
    rr__object *object;        /* whose value; NULL: it ended while it was LEAVING */
    rr__stored *older, *newer; /* in a list by age; older: in that of the spillers */
    uint64_t listed;           /* rr__store.clock when it was put into its list */
    uint8_t place;             /* place, size, block: of the value, while it is LEAVING */
    bool is_listed;
    size_t size;
    void *block;
    rr__file *file;    /* has a copy; NULL: none does */
    rr__file *written; /* the spiller's own: where it has written it */
    uint64_t at, sum;
    rr__object *recipe;  /* a task that was never submitted, with the arguments: rr__rebuild */
    uint32_t lineage;    /* of the object's counts so many are recipes' */
    rr__parker *claimer; /* RETURNING: who brings it back */
};

typedef struct rr__age_list {
    rr__stored *oldest, *newest;
} rr__age_list;

enum { RR__AGES = 32, RR__SPILLERS = 2 };

typedef struct rr__patience rr__patience;

struct rr__store {
    rr__mutex lock;              /* of those below, but for names and pins */
    rr__cond moved;              /* room was made, a value has come back or could not */
    rr__line returning;          /* who waits for that */
    rr__cond spill_wake;         /* something is to be written */
    rr__mutex census_lock;       /* while the arguments of a task are looked at; a leaf */
    RR__ATOMIC(int) has_census;  /* rr_write_memory goes on */
    rr__age_list ages[RR__AGES]; /* by size: each takes twice as much as the one before */
    uint64_t clock;
    uint64_t newcomers_listed; /* so many so far */
    RR__ATOMIC(int) listing;   /* so many list some just now */
    int waiters;
    rr__stored *leaving_first, *leaving_last; /* for the spillers */
    uint64_t leaving;                         /* bytes of those, and of what they write now */
    char *spill_dir;
    rr__context *spillers[RR__SPILLERS]; /* threads that write; made when they are needed first */
    rr__file *files[RR__SPILLERS]; /* that each appends to: a file takes one write at a time */

    uint64_t spill_failures;
    int spill_error;                  /* of the last one, as in errno: rr__spill_status */
    rr_stats stats;                   /* those of its numbers that are the store's */
    RR__ATOMIC(int) has_loader;       /* one has the turn to wait for room with what it has */
    RR__ATOMIC(uint64_t) room_events; /* so often something changed for who waits for room */
    RR__ATOMIC(int) patients;         /* those of the list that follows: see rr__room_event */
    rr__patience *oldest_patient, *newest_patient; /* who waits for room: store/patience.h */
    uint64_t patients_changed;                     /* so often one came or went */
    bool ticks;                                    /* the clock looks after them */
    double tick_length;
    size_t lineage_used;
    RR__ATOMIC(uint64_t) viewed;          /* bytes that views outside of scopes keep in memory */
    RR__ATOMIC(const char *) viewed_site; /* of the last of those: where it was made */
    rr__map names;                        /* to objects; under the global lock */
    rr__map pinned;                       /* by rr_pin: how often, by id; likewise */
};

/* ---- counting bytes ---- */

/* Admission: bytes of live objects outside their slots never exceed the limit. */
static bool rr__store_admit(rr_runtime *rt, size_t bytes) {
    uint64_t used = rr__load_seq_cst(&rt->memory.live); /* see rr__room_event */
    do {
        if (bytes > rt->config.store_bytes || used > rt->config.store_bytes - bytes) return false;
    } while (!rr__cas_seq_cst(&rt->memory.live, &used, used + bytes));
    return true;
}

/* Who waits for room should look again. After what it sees then; if that is not under the lock, it
   is seq_cst, as is what they do: they count themselves before they look, so either we see that
   there are some, or they see what was done. */
static void rr__room_event(rr_runtime *rt) {
    if (RR__UNLIKELY(rt->evicts) && RR__UNLIKELY(rr__load_seq_cst(&rt->store->patients) > 0))
        rr__add_seq_cst(&rt->store->room_events, (uint64_t)1);
}

static void rr__store_return(rr_runtime *rt, size_t bytes) {
    rr__sub_seq_cst(&rt->memory.live, (uint64_t)bytes);
    rr__room_event(rt);
}

/* ---- records ---- */

/* The record of a complete object; NULL: it has none. */
static rr__stored *rr__stored_of(const rr__object *o) {
    return rr__has_residence(o)
               ? (rr__stored *)(uintptr_t)rr__load_acquire(&((rr__object *)(uintptr_t)o)->words[0])
               : NULL;
}

/* Records are blocks of the arena, from the thread's cache. */
static rr__stored *rr__stored_new(rr__context *cx) {
    uint8_t place;
    rr__stored *s = rr__block_new(cx, sizeof *s, &place);
    return s ? memset(s, 0, sizeof *s) : NULL;
}
static void rr__stored_free(rr__context *cx, rr__stored *s) {
    rr__block_free(cx, s, rr__class_of(sizeof *s));
}

/* By how much a value takes: the lists are for sizes of a factor of two. */
static int rr__age_of(size_t size) {
    size_t units = size / 64;
    return (int)rr__highest_bit(units > UINT32_MAX ? UINT32_MAX : (uint32_t)units | 1);
}

/* At the newest end. */
static void rr__age_list_locked(rr_runtime *rt, rr__stored *s) {
    rr__age_list *list = &rt->store->ages[rr__age_of(rr__info_of(s->object))];
    s->listed = ++rt->store->clock, s->is_listed = true;
    s->newer = NULL, s->older = list->newest;
    if (list->newest) list->newest->newer = s;
    else list->oldest = s;
    list->newest = s;
}

/* It may leave from now on. */
static void rr__age_add_locked(rr_runtime *rt, rr__stored *s) {
    if (!s->object->data.block) return; /* made again, it may be empty */
    rr__age_list_locked(rt, s);
    rr__room_event(rt);
}

static void rr__age_remove_locked(rr_runtime *rt, rr__stored *s) {
    rr__age_list *list = &rt->store->ages[rr__age_of(rr__info_of(s->object))];
    if (!s->is_listed) return;
    if (s->older) s->older->newer = s->newer;
    else list->oldest = s->newer;
    if (s->newer) s->newer->older = s->older;
    else list->newest = s->older;
    s->is_listed = false;
}

/* Who goes first: the one that was listed for the longest time, but a small one costs more for
   each of its bytes to bring back, so its age counts less (after GreedyDual-Size: Cao and Irani,
   "Cost-aware WWW proxy caching algorithms", 1997). Looks at the oldest of each list. */
static rr__stored *rr__oldest_locked(rr_runtime *rt) {
    const double seek = 65536; /* bytes that could be read in the time that one access takes */
    rr__stored *best = NULL;
    double most = 0;
    for (int i = 0; i < RR__AGES; i++) {
        rr__stored *s = rt->store->ages[i].oldest;
        if (!s) continue;
        double size = (double)rr__info_of(s->object);
        double score = (double)(rt->store->clock - s->listed + 1) * size / (size + seek);
        if (score > most) most = score, best = s;
    }
    return best;
}

/* Somebody may read it: a handle or a task counts it. What only recipes count is needed again if
   others are, that were made of it; of work that goes on and on that is all but the newest. */
static bool rr__is_wanted_locked(const rr__stored *s) {
    uint64_t word = rr__load_relaxed(&s->object->word); /* a hint */
    return s->recipe && (word & RR__COUNT_MASK) > s->lineage;
}

static void rr__store_signal_locked(rr__context *cx) {
    rr__store *store = cx->runtime->store;
    if (store->waiters) rr__cond_broadcast(&store->moved);
    if (store->returning.first) rr__line_sign(cx, &store->returning, true);
}

static void rr__store_wait_locked(rr_runtime *rt) {
    rt->store->waiters++;
    rr__cond_wait(&rt->store->moved, &rt->store->lock);
    rt->store->waiters--;
}

/* It has left, and nobody can read it: its memory is given back. */
static void rr__value_leave_locked(rr__context *cx, rr__stored *s) {
    rr__object *o = s->object;
    rr__store_return(cx->runtime, rr__info_of(o));
    rr__block_free(cx, o->data.block, o->place);
    o->data.block = NULL;
}

static void rr__store_stats(rr_runtime *rt, rr_stats *out) {
    out->store_hits = rr__sum(rt, RR__HITS);
    rr__lock(&rt->store->lock);
    const rr_stats *s = &rt->store->stats;
    out->objects_spilled = s->objects_spilled, out->objects_restored = s->objects_restored;
    out->objects_dropped = s->objects_dropped, out->objects_rebuilt = s->objects_rebuilt;
    out->spill_bytes_written = s->spill_bytes_written;
    out->spill_bytes_read = s->spill_bytes_read;
    out->spill_bytes_used = s->spill_bytes_used, out->spill_seconds = s->spill_seconds;
    rr__unlock(&rt->store->lock);
}

// >>store/users

/* Who uses the store: bodies that have values, and threads outside of bodies while they copy one.
   Rules  E5  Who lacks room that only others can give back, bodies by ending or threads outside
              that copy a value just now, waits as long as one of them may. They are counted from
              before they take room or a pin until they run no body: as users, and as those that
              copy. Each thread counts for itself how many have begun and how many have ended: who
              sums the second first never misses one whose room or pin it has seen.
          E6  A task takes its arguments and the room for its result together or not at all; one at
              a time (loader) keeps what it has while it waits for the rest, also while that is made
              again, unless the body which does that waits itself. Else two would wait, each with
              what the other lacks in hand.
          E7  Bodies can still do that with what they make. Then one of those that wait for room
              gives up: when all of them have looked since the last of room_events, or so often that
              no more is to be expected, and what the others wait for that have values leads back
              to them (core/deadlock.h).
   Locks: none. */

/* The running body has values, or, outside of bodies, one is copied. */
static RR__INLINE void rr__store_touch(rr__context *cx) {
    rr__local *self = rr__self();
    rr_runtime *rt = cx->runtime;
    bool is_body = rr__load_relaxed(&cx->frame) != NULL; /* the owner's own */
    rr_runtime **counted = is_body ? &self->uses_store : &self->copies;
    if (self->uses_store == rt || *counted == rt) return;
    *counted = rt;
    rr__count(cx, is_body ? RR__USERS_BEGUN : RR__COPIES_BEGUN);
}

/* One that copies is to wait, or goes on. */
static void rr__store_copies(rr__context *cx, bool copies) {
    rr__self()->copies = copies ? cx->runtime : NULL;
    rr__count(cx, copies ? RR__COPIES_BEGUN : RR__COPIES_ENDED);
}

/* One that copies runs a body for that, which may wait for anything: it will not be over soon, and
   is counted as bodies are meanwhile. Returns whether it was one. *outer: for its end. */
static bool rr__store_copy_is_body(rr__context *cx, rr_runtime **outer) {
    rr__local *self = rr__self();
    if (self->copies != cx->runtime) return false;
    *outer = self->uses_store, self->uses_store = cx->runtime;
    rr__count(cx, RR__USERS_BEGUN);
    rr__store_copies(cx, false);
    return true;
}
static void rr__store_copy_was_body(rr__context *cx, rr_runtime *outer) {
    rr__store_copies(cx, true);
    rr__self()->uses_store = outer;
    rr__count(cx, RR__USERS_ENDED);
}

/* No body is run any more, or one still is. */
static RR__INLINE void rr__store_leave(rr__context *cx) {
    rr__local *self = rr__self();
    rr_runtime *rt = cx->runtime;
    if (self->uses_store == rt && !self->frame) {
        self->uses_store = NULL;
        rr__count(cx, RR__USERS_ENDED);
    }
    if (self->copies == rt) rr__store_copies(cx, false);
}

/* What was copied outside of bodies is done: what is kept now nobody waits for. */
static RR__INLINE void rr__store_copied(rr__context *cx) {
    if (RR__UNLIKELY(cx->runtime->evicts)) rr__store_leave(cx);
}

/* Bodies that have values in use, threads outside of bodies that copy one, and rr_write_memory,
   which counts all of them for a moment. */
static int rr__store_users(rr_runtime *rt) {
    uint64_t ended = rr__sum(rt, RR__USERS_ENDED) + rr__sum(rt, RR__COPIES_ENDED);
    uint64_t begun = rr__sum(rt, RR__USERS_BEGUN) + rr__sum(rt, RR__COPIES_BEGUN);
    return (int)(begun - ended) + rr__load_seq_cst(&rt->store->has_census);
}

/* Others than this one are among them. */
static bool rr__others_use_store(rr__context *cx) {
    const rr__local *self = rr__self();
    rr_runtime *rt = cx->runtime;
    return rr__store_users(rt) > (self->uses_store == rt) + (self->copies == rt);
}

// >>store/newcomers

/* Newcomers: small values that were put just now. Most values end soon, so they get no record at
   first, and are in no list: each context notes the last of its own in a ring. When that is full,
   those that still live are listed, all under one lock; who finds no room lists those of all rings.
   Rules  N1  A ring is written by its owner alone, and an entry only when what stood there was
              listed or has ended; others read it at any time. An entry tells an object and its id:
              who reads it takes a count, if the object still has that id (R2 in core/object.h), and
              so neither an old entry nor one that is half written leads to another object.
          N2  Who finds a newcomer in a ring makes it a record under the lock, if it is NEW then;
              and counts there that something was listed, for those that look for room.
          N3  Who puts a value is counted (E5) until after that is published, or has not returned
              (rr_seal). So one that is not found yet will be: whoever made it has not ended.
          N4  has_some is set after an entry is written, and cleared before all are read: by who
              then sets it again, if one was left behind. Meanwhile `listing` tells that some are
              in nobody's sight.
   Locks: the store's. */

enum { RR__RING = 64, RR__NEWCOMER_BYTES = 64 << 10 };

struct rr__newcomers {
    uint32_t count; /* owner only */
    RR__ATOMIC(int) has_some;
    RR__ATOMIC(rr__object *) objects[RR__RING];
    RR__ATOMIC(uint64_t) ids[RR__RING];
};

/* Whether it can ever leave, when its value is in place. */
static bool rr__may_leave(const rr_runtime *rt, const rr__object *o, const rr__object *recipe) {
    return o->data.block && rr__info_of(o) > 0 && (rt->config.evict != RR_EVICT_REBUILD || recipe);
}

/* From now on it may leave. */
static void rr__stored_list_locked(rr_runtime *rt, rr__object *o, rr__stored *s) {
    s->object = o;
    rr__store_release(&o->words[0], (uint64_t)(uintptr_t)s); /* pairs with rr__stored_of */
    rr__age_add_locked(rt, s);
}

/* What this entry tells, counted; NULL: it is old, or *is_left: not published yet. */
static rr__object *rr__newcomer_at(rr__context *cx, rr__newcomers *ring, int i, bool *is_left) {
    uint64_t id = rr__load_acquire(&ring->ids[i]);
    rr__object *o = rr__load_acquire(&ring->objects[i]);
    if (!id || !o || rr__load_acquire(&o->id) != id) return NULL;
    if (!(rr__load_relaxed(rr__residence_at(o)) & RR__IS_NEW)) return NULL; /* a hint: N2 */
    if (rr__try_retain(cx, o, id)) return o;
    *is_left = true;
    return NULL;
}

/* Gives records to those of n objects that are NEW, as far as there are any. */
static void rr__newcomers_list_some(rr_runtime *rt, rr__object **objects, rr__stored **records,
                                    int n) {
    rr__lock(&rt->store->lock);
    for (int i = 0; i < n; i++) {
        rr__residence_word *at = rr__residence_at(objects[i]);
        bool is_new = records[i] && (rr__and_seq_cst(at, ~RR__IS_NEW) & RR__IS_NEW);
        if (!is_new) continue;
        rr__stored_list_locked(rt, objects[i], records[i]);
        records[i] = NULL, rt->store->newcomers_listed++;
    }
    rr__unlock(&rt->store->lock);
}

/* Lists those of a ring that still live; what there is no memory for some other time, or it
   stays. */
static RR__NOINLINE void rr__newcomers_list(rr__context *cx, rr__newcomers *ring) {
    rr__object *objects[RR__RING];
    rr__stored *records[RR__RING];
    bool is_left = false;
    int n = 0;
    rr__add_seq_cst(&cx->runtime->store->listing, 1);
    (void)rr__swap_seq_cst(&ring->has_some, 0); /* N4; pairs with rr__newcomer_add */
    for (int i = 0; i < RR__RING; i++)
        if ((objects[n] = rr__newcomer_at(cx, ring, i, &is_left))) n++;
    for (int i = 0; i < n; i++) is_left |= !(records[i] = rr__stored_new(cx));
    if (is_left) rr__store_seq_cst(&ring->has_some, 1);
    RR__STRESS_POINT();
    if (n) rr__newcomers_list_some(cx->runtime, objects, records, n);
    rr__sub_seq_cst(&cx->runtime->store->listing, 1);
    for (int i = 0; i < n; i++) {
        if (records[i]) rr__stored_free(cx, records[i]);
        rr__drop(cx, objects[i]);
    }
}

/* The same for all rings. */
static void rr__newcomers_list_all(rr__context *cx) {
    for (rr__context *c = rr__load_seq_cst(&cx->runtime->contexts); c; c = c->next)
        if (rr__load_seq_cst(&c->newcomers->has_some)) rr__newcomers_list(cx, c->newcomers);
}

/* Its value goes, and its object does not. */
static void rr__newcomer_forget(rr__context *cx, rr__object *o) {
    rr__mutex *lock = &cx->runtime->store->lock;
    bool has_value = o->place != RR__IN_SLOT && o->kind != RR__GATHER;
    if (!has_value || (rr__and_seq_cst(rr__residence_at(o), ~RR__IS_NEW) & RR__IS_NEW)) return;
    rr__lock(lock); /* whoever makes it a record has done so then: N2 */
    rr__unlock(lock);
}

/* Notes one that is not published yet. */
static void rr__newcomer_add(rr__context *cx, rr__object *o) {
    rr__newcomers *ring = cx->newcomers;
    if (ring->count == RR__RING) {
        ring->count = 0;
        rr__newcomers_list(cx, ring);
    }
    rr__residence_begin(o, RR__IS_NEW);
    uint32_t at = ring->count++;
    rr__store_release(&ring->objects[at], o);
    rr__store_release(&ring->ids[at], rr__load_relaxed(&o->id)); /* our own */
    rr__store_release(&ring->has_some, 1);
}

// >>store/patience

/* Waiting for room. Who finds none sleeps, in a list of all that do; the clock's thread looks after
   them: it wakes those that have not seen the last change, and, if nothing can come of waiting any
   more, has the one that waits for the longest time give up (rule E7). So nobody looks in vain, and
   who decides sees all that wait at rest. Whether those that have values will ever give room, the
   graph of all that wait tells (core/deadlock.h), whatever else goes on.
   Locks: the store's. */

/* Who waits for room. Under the store's lock, but for what only its owner uses. */
struct rr__patience {
    rr__patience *older, *newer;
    rr__sleeper *sleeper;  /* NULL: it looks just now */
    bool is_body, is_user; /* it has values in use; fixed */
    bool gives_up;         /* it is to */
    size_t bytes;          /* that it wants; 0: its turn; fixed */
    uint64_t seen;         /* room_events before its last look */
    uint64_t changes;      /* of the list, at that time */
    int looks;             /* in vain, since that last changed */
};

/* What views outside of scopes keep there, if they do: a common cause, and easy to cure. */
static const char *rr__room_viewed(rr_runtime *rt, char *text, size_t size) {
    uint64_t viewed = rr__load_relaxed(&rt->store->viewed); /* a counter */
    const char *site = rr__load_acquire(&rt->store->viewed_site);
    if (!viewed || !site) return "";
    snprintf(
        text, size,
        ". %llu of them are viewed outside of every scope, which pins a value until its object "
        "ends (the last one was made at %s): open a scope around such reads",
        (unsigned long long)viewed, site);
    return text;
}

/* Why there is no room; bytes 0: for arguments, not all of which are known. */
static RR__NOINLINE rr_status rr__room_refuse(rr_runtime *rt, size_t bytes, const char *why) {
    char wanted[40] = "arguments", viewed[300];
    uint64_t used = rr__load_relaxed(&rt->memory.live); /* a counter */
    if (bytes) snprintf(wanted, sizeof wanted, "%zu bytes", bytes);
    return rr__refuse(RR_ERR_STORE_FULL,
                      "no room for %s: %llu of the %zu bytes of rr_config.store_bytes are in use, "
                      "and %s%s",
                      wanted, (unsigned long long)used, rt->config.store_bytes, why,
                      rr__room_viewed(rt, viewed, sizeof viewed));
}

static void rr__patience_begin(rr__context *cx, rr__patience *p) {
    rr__store *store = cx->runtime->store;
    p->is_body = rr__load_relaxed(&cx->frame) != NULL; /* the owner's own */
    p->is_user = rr__self()->uses_store == cx->runtime;
    rr__lock(&store->lock);
    p->older = store->newest_patient, p->newer = NULL;
    if (p->older) p->older->newer = p;
    else store->oldest_patient = p;
    store->newest_patient = p, store->patients_changed++;
    rr__add_seq_cst(&store->patients, 1); /* see rr__room_event */
    rr__unlock(&store->lock);
}

static void rr__patience_end(rr_runtime *rt, rr__patience *p) {
    rr__store *store = rt->store;
    rr__lock(&store->lock);
    if (p->older) p->older->newer = p->newer;
    else store->oldest_patient = p->newer;
    if (p->newer) p->newer->older = p->older;
    else store->newest_patient = p->older;
    store->patients_changed++;
    rr__sub_seq_cst(&store->patients, 1);
    rr__unlock(&store->lock);
}

/* Before each look: what changes from here on another one will see. */
static void rr__patience_look(rr_runtime *rt, rr__patience *p) {
    p->seen = rr__load_seq_cst(&rt->store->room_events);
}

static void rr__patience_wake_locked(rr__context *cx, rr__patience *p) {
    rr__sleeper *s = p->sleeper;
    p->sleeper = NULL;
    rr__wake(cx, rr__sleeper_sign(s));
}

/* What those that wait for room have in common. */
typedef struct rr__patients {
    bool all_have_seen; /* they sleep, and have seen the last change */
    bool all_are_tired; /* they have looked so often while nobody came or went */
    bool all_sleep;
    bool has_thread; /* one of them is no body */
    int users;       /* bodies with values among them */
} rr__patients;

/* Wakes those that have something new to see. */
static rr__patients rr__patients_look_locked(rr__context *cx) {
    enum { TIRED = 30 };
    rr__store *store = cx->runtime->store;
    uint64_t events = rr__load_seq_cst(&store->room_events);
    rr__patients all = {true, true, true, false, 0};
    for (rr__patience *p = store->oldest_patient; p; p = p->newer) {
        bool has_seen = p->sleeper && p->seen == events; /* its own, while it looks */
        all.users += p->is_user, all.has_thread |= !p->is_body;
        all.all_sleep &= p->sleeper != NULL;
        all.all_are_tired &=
            !p->gives_up && p->changes == store->patients_changed && p->looks >= TIRED;
        all.all_have_seen &= has_seen;
        if (p->sleeper && !has_seen) rr__patience_wake_locked(cx, p);
    }
    return all;
}

/* Nothing comes of it: all bodies that have values wait for room, in vain, whatever else goes on;
   or the others wait for something that leads back to room (core/deadlock.h). A thread from outside
   that waits for room is not waited for to complete something. Only the clock's thread looks at all
   of them. Not under the lock. */
static bool rr__room_is_hopeless(rr__context *cx, rr__patients all, bool is_clock) {
    rr_runtime *rt = cx->runtime;
    if (all.users == rr__store_users(rt)) return all.all_have_seen || all.all_are_tired;
    bool is_in_vain = all.all_have_seen || (all.all_are_tired && all.all_sleep);
    return is_clock && is_in_vain && rr__room_is_stuck(cx, !all.has_thread);
}

/* The one that waits for the longest time gives up. Under the lock. */
static void rr__patient_gives_up_locked(rr__context *cx) {
    rr__patience *p = cx->runtime->store->oldest_patient;
    while (p && !p->sleeper) p = p->newer;
    if (p) p->gives_up = true, rr__patience_wake_locked(cx, p);
}

/* Looks after those that wait. Returns after how many seconds again, so that it takes a twentieth
   of a processor at most; 0: nobody waits any more. */
static double rr__room_tick(rr__context *cx, bool is_clock) {
    const double shortest = 250e-6, longest = 4e-3;
    rr__store *store = cx->runtime->store;
    double start = rr_now();
    rr__newcomers_list_all(cx); /* an event, if there are any */
    rr__lock(&store->lock);
    rr__patients all = rr__patients_look_locked(cx);
    uint64_t changes = store->patients_changed;
    bool anybody = store->oldest_patient != NULL;
    rr__unlock(&store->lock);
    bool is_hopeless = anybody && rr__room_is_hopeless(cx, all, is_clock);
    if (is_hopeless) rr__newcomers_list_all(cx); /* of those who are not counted any more */
    double least = 20 * (rr_now() - start);
    rr__lock(&store->lock);
    if (is_hopeless) { /* has anything changed meanwhile? */
        rr__patients now = rr__patients_look_locked(cx);
        bool is_same = changes == store->patients_changed;
        if (is_same && (now.all_have_seen || now.all_are_tired)) rr__patient_gives_up_locked(cx);
        all.all_have_seen = false;
    }
    double next = all.all_have_seen ? 2 * store->tick_length : 0;
    next = next < shortest ? shortest : next < longest ? next : longest;
    store->tick_length = next;
    store->ticks = store->oldest_patient != NULL;
    next = next < least ? least : next;
    if (!store->ticks) next = 0;
    rr__unlock(&store->lock);
    return next;
}

/* Nobody looks after those that sleep any more: the next one that does so finds somebody. */
static void rr__room_ticks_end(rr__context *cx) {
    rr__store *store = cx->runtime->store;
    rr__lock(&store->lock);
    store->ticks = false;
    for (rr__patience *p = store->oldest_patient; p; p = p->newer)
        if (p->sleeper) rr__patience_wake_locked(cx, p);
    rr__unlock(&store->lock);
}

/* The clock's turn, or its end. */
static void rr__room_due(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    bool has_ended = rr__load_acquire(&rt->phase) == RR__STOPPED;
    double next = has_ended ? 0 : rr__room_tick(cx, true);
    if (next > 0) rr__timer_set(rt, &rt->timers->room, rr_now() + next);
    if (has_ended) rr__room_ticks_end(cx);
}

/* Goes to sleep. True: somebody must be found who looks after it. */
static bool rr__patience_sleeps(rr_runtime *rt, rr__patience *p, rr__sleeper *s) {
    rr__store *store = rt->store;
    rr__lock(&store->lock);
    bool is_same = p->changes == store->patients_changed, begins = !store->ticks;
    p->sleeper = s, p->changes = store->patients_changed, p->looks = is_same ? p->looks + 1 : 1;
    store->ticks = true;
    rr__unlock(&store->lock);
    return begins;
}

/* Sleeps. RR_OK: time to look again. Without memory, for a timer or for a stack on which others go
   on meanwhile, not for ever: they may be what it waits for. */
static rr_status rr__room_wait(rr__context *cx, rr__patience *p) {
    enum { STARVED = 100 };
    rr_runtime *rt = cx->runtime;
    rr__sleeper s = rr__sleeper_of(cx);
    bool copies = s.self->copies == rt;
    rr_runtime *loads_for = s.self->loads_for;
    s.wants_room = s.may_starve = true, s.self->loads_for = NULL; /* it keeps the turn */
    if (copies) rr__store_copies(cx, false);                      /* it waits itself */
    if (rr__patience_sleeps(rt, p, &s))
        s.has_limit = !rr__own_timer_set(rt, &rt->timers->room, 250e-6);
    rr__linked_wait(&s, NULL, rr_now() + 1e-3);
    cx = rr__here(cx);
    if (s.has_limit) { /* it was the clock itself */
        (void)rr__room_tick(cx, false);
        rr__room_ticks_end(cx);
    }
    rr__lock(&rt->store->lock);
    p->sleeper = NULL;
    bool gives_up = p->gives_up, starves = s.has_limit && p->looks >= STARVED;
    rr__unlock(&rt->store->lock);
    if (copies) rr__store_copies(cx, true);
    s.self->loads_for = loads_for;
    if (s.is_starved || starves) return RR_ERR_NO_MEMORY;
    if (rr__must_stop(cx)) return RR_ERR_CANCELLED;
    if (!gives_up) return RR_OK;
    return rr__room_refuse(rt, p->bytes,
                           "all that could give some back wait for room themselves. Raise it, or "
                           "let fewer tasks that hold values run at once");
}

// >>base/files

/* Files without a name: read and written at a place, by any number of threads at once. Nothing of
   them outlives the process, however that ends: the name goes before the first byte comes, or, on
   Windows, with the last handle.
   Locks: none. */

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

// >>store/files

/* Files of spilled values, one value behind the other.
   Locks: the store's, for their counts. */

typedef struct rr__file {
    rr__fd fd;           /* read by all; written by one spiller, at its end */
    uint64_t size, live; /* bytes in it; those of values that live, and 1 while it is written to; 0
                            closes it. Under the store's lock */
} rr__file;

/* What an error of a file, as in errno, means to who needs room; ECANCELED: the runtime ends. */
static rr_status rr__spill_status(int error) {
    return error == ENOSPC      ? RR_ERR_STORE_FULL
           : error == ENOMEM    ? RR_ERR_NO_MEMORY
           : error == ECANCELED ? RR_ERR_NOT_RUNNING
                                : RR_ERR_IO;
}

/* Fletcher's checksum ("An arithmetic checksum for serial transmissions", 1982) over words, as that
   of ZFS, in four lanes: sums, and sums of these, which tell the order. Two additions a word, so it
   runs as fast as memory. */
typedef struct rr__check {
    uint64_t sums[4], orders[4];
} rr__check;

static rr__check rr__check_begin(void) { return (rr__check){{1, 2, 3, 4}, {0, 0, 0, 0}}; }

/* Blocks of 32 bytes. */
static void rr__check_blocks(rr__check *check, const char *p, size_t blocks) {
    uint64_t a = check->sums[0], b = check->sums[1], c = check->sums[2], d = check->sums[3];
    uint64_t e = check->orders[0], f = check->orders[1], g = check->orders[2], h = check->orders[3];
    for (uint64_t words[4]; blocks > 0; blocks--, p += 32) {
        memcpy(words, p, 32);
        a += words[0], b += words[1], c += words[2], d += words[3];
        e += a, f += b, g += c, h += d;
    }
    *check = (rr__check){{a, b, c, d}, {e, f, g, h}};
}

/* Only the last piece of a value may be no multiple of 32 bytes. */
static void rr__check_add(rr__check *check, const void *data, size_t size) {
    const char *p = data;
    char last[32] = {0};
    rr__check_blocks(check, p, size / 32);
    memcpy(last, p + size / 32 * 32, size % 32);
    if (size % 32) rr__check_blocks(check, last, 1);
}

static uint64_t rr__check_end(const rr__check *check, uint64_t size) {
    uint64_t all = size;
    for (int i = 0; i < 4; i++) {
        all = (all ^ check->sums[i]) * 0x9e3779b97f4a7c15u, all ^= all >> 29;
        all = (all ^ check->orders[i]) * 0x9e3779b97f4a7c15u, all ^= all >> 29;
    }
    return all;
}

/* Piece by piece, each small enough to lie in a near cache when it is looked at the second time. */
enum { RR__FILE_PIECE = 256 << 10 };

/* Returns how much of it is in the file now: less than all with errno set. */
static size_t rr__value_write(rr__fd fd, const char *data, size_t size, uint64_t at,
                              uint64_t *check) {
    rr__check sum = rr__check_begin();
    size_t done = 0;
    for (size_t piece = 0; done < size; done += piece) {
        piece = size - done < RR__FILE_PIECE ? size - done : RR__FILE_PIECE;
        rr__check_add(&sum, data + done, piece);
        size_t n = rr__file_write(fd, data + done, piece, at + done);
        if (n < piece) return done + n;
    }
    *check = rr__check_end(&sum, size);
    return done;
}

/* All of it, as it was written; or what is wrong. */
static const char *rr__value_read(rr__fd fd, char *data, size_t size, uint64_t at, uint64_t check) {
    rr__check sum = rr__check_begin();
    for (size_t done = 0, piece; done < size; done += piece) {
        piece = size - done < RR__FILE_PIECE ? size - done : RR__FILE_PIECE;
        if (!rr__file_read(fd, data + done, piece, at + done)) return strerror(errno);
        rr__check_add(&sum, data + done, piece);
    }
    return rr__check_end(&sum, size) == check ? NULL : "it is not what was written";
}

static uint64_t rr__checksum(const void *data, size_t size) {
    rr__check sum = rr__check_begin();
    rr__check_add(&sum, data, size);
    return rr__check_end(&sum, size);
}

static void rr__file_close(rr__file *file) {
    RR__FILE_CLOSE(file->fd);
    RR_FREE(file);
}

/* Returns 0, or an error as in errno. */
static int rr__file_new(rr_runtime *rt, rr__file **out) {
    rr__file *file = RR_CALLOC(1, sizeof *file);
    if (!file) return ENOMEM;
    file->fd = rr__file_make(rt->store->spill_dir);
    if (file->fd >= 0) return *out = file, 0;
    int error = errno;
    RR_FREE(file);
    return error;
}

/* Nothing more is written to it; what lives in it closes it. */
static void rr__file_end_locked(rr_runtime *rt, const rr__file *file) {
    for (int i = 0; i < RR__SPILLERS; i++)
        if (rt->store->files[i] == file) rt->store->files[i] = NULL;
}
static bool rr__file_has_ended_locked(const rr_runtime *rt, const rr__file *file) {
    bool ended = true;
    for (int i = 0; i < RR__SPILLERS; i++) ended = ended && rt->store->files[i] != file;
    return ended;
}

/* One value less lives in it; the last one closes it. */
static void rr__file_drop_locked(rr_runtime *rt, rr__file *file, uint64_t size) {
    if (!file || (file->live -= size)) return;
    rr__file_end_locked(rt, file);
    rt->store->stats.spill_bytes_used -= file->size;
    rr__file_close(file);
}

// >>store/spiller

/* The spillers: a few threads, made when they are needed first, that write values which leave
   memory (rule E3 in store/residence.h), small ones together. Each has a file of its own, so that
   they write side by side.
   Locks: the store's; none while they write. */

enum { RR__SPILL_BATCH = 1 << 20 };     /* bytes at once; a buffer of that lies in a near cache */
enum { RR__SPILL_COUNT = 4096 };        /* values at once, so that the lock is not held for long */
enum { RR__SPILL_STRAIGHT = 64 << 10 }; /* from so many bytes on a copy costs more than a write */
enum { RR__SPILL_FILE = 64 << 20 };

/* Its file has it, and it is AWAY. */
static void rr__value_spilled_locked(rr__context *cx, rr__stored *s) {
    rr__value_leave_locked(cx, s);
    cx->runtime->store->stats.objects_spilled++;
}

/* It is LEAVING. */
static void rr__spill_queue_locked(rr_runtime *rt, rr__stored *s) {
    s->older = NULL;
    s->block = s->object->data.block, s->size = rr__info_of(s->object), s->place = s->object->place;
    if (rt->store->leaving_last) rt->store->leaving_last->older = s;
    else rt->store->leaving_first = s;
    rt->store->leaving_last = s;
    rt->store->leaving += s->size;
    rr__cond_signal(&rt->store->spill_wake);
}

/* The file to append to, which stays open until rr__file_drop_locked: a new one when the last is
   long, so that files whose values have ended go soon, and the longer the more there is, so that
   there are never many. Returns 0, or an error as in errno. */
static int rr__spill_file(rr_runtime *rt, rr__file **own, rr__file **out) {
    rr__store *store = rt->store;
    rr__lock(&store->lock);
    uint64_t longest = store->stats.spill_bytes_used / 32;
    if (longest < RR__SPILL_FILE) longest = RR__SPILL_FILE;
    if (*own && (*own)->size >= longest) *own = NULL;
    bool is_new = !*own;
    if ((*out = *own)) (*out)->live++;
    rr__unlock(&store->lock);
    if (!is_new) return 0;
    int error = rr__file_new(rt, out);
    if (error) return error;
    rr__lock(&store->lock);
    *own = *out, (*own)->live = 1;
    rr__unlock(&store->lock);
    return 0;
}

/* Takes what is to be written next: one large value, or small ones up to a batch. */
static rr__stored *rr__spill_take_locked(rr_runtime *rt) {
    rr__stored *first = rt->store->leaving_first, *last = NULL;
    size_t bytes = 0;
    int n = 0;
    for (rr__stored *s = first; s; s = s->older) {
        if (last && (bytes + s->size > RR__SPILL_BATCH || ++n == RR__SPILL_COUNT)) break;
        bytes += s->size, last = s, s->written = NULL;
    }
    if (!last) return NULL;
    if ((rt->store->leaving_first = last->older)) rr__cond_signal(&rt->store->spill_wake);
    else rt->store->leaving_last = NULL;
    last->older = NULL;
    return first;
}

/* One after the other into the buffer, or, if there is none, straight from where they are. Returns
   how many bytes are in the file now: the values that lie in those are written, whatever stopped
   the rest (errno). */
static size_t rr__spill_values(rr__file *file, rr__stored *first, size_t bytes, char *buffer) {
    size_t filled = 0, done = 0;
    for (rr__stored *s = first; filled < bytes; s = s->older) {
        s->at = file->size + filled;
        if (buffer) {
            s->sum = rr__checksum(s->block, s->size);
            memcpy(buffer + filled, s->block, s->size);
        } else done += rr__value_write(file->fd, s->block, s->size, s->at, &s->sum);
        filled += s->size;
        if (!buffer && done < filled) return done;
    }
    return buffer ? rr__file_write(file->fd, buffer, bytes, file->size) : done;
}

/* Writes the values that are so many bytes: rule E3. Which ones are, they say. Returns 0, or an
   error as in errno. */
static int rr__spill_write(rr_runtime *rt, rr__file **own, rr__stored *first, size_t bytes,
                           char *buffer) {
    rr__file *file;
    int error = rr__spill_file(rt, own, &file);
    if (error) return error;
    size_t done = rr__spill_values(file, first, bytes, buffer), end = 0;
    if (done < bytes) error = errno;
    rr__lock(&rt->store->lock);
    for (rr__stored *s = first; end < bytes && (end += s->size) <= done; s = s->older)
        s->written = file, file->live += s->size;
    file->size += done;
    rt->store->stats.spill_bytes_written += done, rt->store->stats.spill_bytes_used += done;
    if (error && error != ENOSPC) rr__file_end_locked(rt, file); /* it may be broken */
    rr__file_drop_locked(rt, file, 1);
    rr__unlock(&rt->store->lock);
    return error;
}

/* It is on disk, or could not be. */
static void rr__spilled_locked(rr__context *cx, rr__stored *s) {
    rr_runtime *rt = cx->runtime;
    rt->store->leaving -= s->size;
    if (!s->object) { /* it ended meanwhile */
        rr__file_drop_locked(rt, s->written, s->size);
        rr__store_return(rt, s->size);
        rr__block_free(cx, s->block, s->place);
        rr__stored_free(cx, s);
        return;
    }
    s->file = s->written;
    if (rr__residence_left(rr__residence_at(s->object), s->file)) rr__value_spilled_locked(cx, s);
    else rr__age_add_locked(rt, s);
}

static void rr__spill_tell(rr_runtime *rt, int error) {
    rr_status status = rr__spill_status(error);
    char text[RR__LOG_TEXT];
    if (status != RR_ERR_IO && status != RR_ERR_STORE_FULL) return;
    snprintf(text, sizeof text,
             "values cannot be written to files in '%s': %s; set rr_config.spill_dir to a folder "
             "with room for them, or another rr_config.evict",
             rt->store->spill_dir, strerror(error));
    rr__log_again(rt, RR__LINE_SPILL, RR_LOG_ERROR, text);
}

/* Those of a batch that are not written, one by one. Returns 0, or the last error. */
static int rr__spill_alone(rr_runtime *rt, rr__file **own, rr__stored *batch) {
    int error = 0;
    for (rr__stored *s = batch; s; s = s->older) {
        int now = s->written ? 0 : rr__spill_write(rt, own, s, s->size, NULL);
        if (now) error = now;
    }
    return error;
}

/* Writes a batch, without the lock. If there is not enough room on the disk for all of it, there
   may be for one. */
static void rr__spill_batch(rr__context *cx, rr__file **own, rr__stored *batch, char *buffer) {
    rr_runtime *rt = cx->runtime;
    size_t n = 0, bytes = 0;
    for (rr__stored *s = batch; s; s = s->older) n++, bytes += s->size;
    bool is_large = n == 1 || bytes / n >= RR__SPILL_STRAIGHT;
    double start = rr_now();
    int error = rr__spill_write(rt, own, batch, bytes, is_large ? NULL : buffer);
    if (error == ENOSPC && n > 1) error = rr__spill_alone(rt, own, batch);
    if (error) rr__spill_tell(rt, error);
    RR__STRESS_POINT();
    rr__lock(&rt->store->lock);
    rt->store->stats.spill_seconds += rr_now() - start;
    if (error) rt->store->spill_failures++, rt->store->spill_error = error;
    for (rr__stored *s = batch, *next; s; s = next) {
        next = s->older;
        rr__spilled_locked(cx, s);
    }
    rr__store_signal_locked(cx);
    rr__unlock(&rt->store->lock);
}

/* Nobody needs the room any more; but threads outside that are late may wait for it. */
static void rr__spill_end_locked(rr__context *cx) {
    rr__store *store = cx->runtime->store;
    for (rr__stored *s = store->leaving_first, *next; s; s = next) {
        next = s->older, s->written = NULL;
        rr__spilled_locked(cx, s);
    }
    store->leaving_first = store->leaving_last = NULL;
    store->spill_failures++, store->spill_error = ECANCELED;
    rr__store_signal_locked(cx);
}

/* Where this thread notes the file that it appends to. */
static rr__file **rr__spill_own_locked(rr__context *cx) {
    rr__store *store = cx->runtime->store;
    int i = 0;
    while (i < RR__SPILLERS && store->spillers[i] != cx) i++;
    return &store->files[i];
}

static void rr__spiller_serve(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    char *buffer = RR_MALLOC(RR__SPILL_BATCH); /* without it each value is a write of its own */
    rr__files_sweep(rt->store->spill_dir);
    rr__lock(&rt->store->lock); /* as who starts it has */
    rr__file **own = rr__spill_own_locked(cx);
    while (rr__load_acquire(&rt->phase) != RR__STOPPED) {
        rr__stored *batch = rr__spill_take_locked(rt);
        if (!batch) {
            rr__cond_wait(&rt->store->spill_wake, &rt->store->lock);
            continue;
        }
        rr__unlock(&rt->store->lock);
        RR__STRESS_POINT();
        rr__spill_batch(cx, own, batch, buffer);
        rr__lock(&rt->store->lock);
    }
    rr__spill_end_locked(cx);
    rr__unlock(&rt->store->lock);
    RR_FREE(buffer);
}

/* One is enough, if there is no memory or thread for more. */
static rr_status rr__spillers_start_locked(rr_runtime *rt) {
    rr__store *store = rt->store;
    if (rr__load_acquire(&rt->phase) == RR__STOPPED)
        return RR_ERR_NOT_RUNNING; /* they have ended */
    if (store->spillers[0]) return RR_OK;
    rr__lock(&rt->lock);
    for (int i = 0; i < RR__SPILLERS && (i == 0 || store->spillers[i - 1]); i++)
        store->spillers[i] = rr__service_start_locked(rt, rr__spiller_serve);
    rr__unlock(&rt->lock);
    return store->spillers[0] ? RR_OK : RR_ERR_NO_MEMORY;
}

// >>store/room

/* Room: a value is admitted if it fits; else others leave, those first that were not used for
   the longest time, and if none can, the request waits for bodies that have values in use (rules
   E5 to E7 in store/users.h).
   Locks: the store's. */

/* Most of what is in its file has ended. */
static bool rr__is_in_sparse_file(const rr_runtime *rt, const rr__stored *s) {
    return s->file && s->file->live < s->file->size / 4 && rr__file_has_ended_locked(rt, s->file);
}

/* Makes so many bytes leave, as far as there are any that may; not many at once, for others wait
   for the lock, and no more than so many are given another chance: those that were used since they
   got their place, and those that somebody wants while others are only needed to make values again.
   False if there are none; true with none, and the lock given up, if it has seen very many pinned
   ones. */
static bool rr__evict_locked(rr__context *cx, uint64_t needed) {
    enum { CHANCES = 1024 };
    rr_runtime *rt = cx->runtime;
    uint64_t sum = 0, begun = rt->store->clock;
    int n = 0, chances = 0, pinned = 0;
    rr__stored *s;
    while (sum < needed && n < RR__SPILL_COUNT && pinned < RR__SPILL_COUNT &&
           (s = rr__oldest_locked(rt))) {
        bool is_sparse = rr__is_in_sparse_file(rt, s),
             may_spill = rt->config.evict == RR_EVICT_SPILL;
        enum rr__residence to = s->file && !is_sparse ? RR__AWAY
                                : may_spill           ? RR__LEAVING
                                                      : RR__LOST;
        bool spares = chances < CHANCES && s->listed <= begun; /* each once */
        enum rr__look_at found =
            spares && rr__is_wanted_locked(s)
                ? RR__HAS_ANOTHER_CHANCE /* of those with recipes the others have none */
                : rr__residence_leave(rr__residence_at(s->object), to, spares && !s->recipe);
        rr__age_remove_locked(rt, s);
        if (found == RR__HAS_ANOTHER_CHANCE) rr__age_list_locked(rt, s), chances++;
        pinned += found == RR__IS_PINNED;
        if (found != RR__LEAVES) continue;
        sum += rr__info_of(s->object), n++;
        if (is_sparse) { /* written again, it no longer keeps that */
            rr__file_drop_locked(rt, s->file, rr__info_of(s->object));
            s->file = NULL;
        }
        if (to == RR__AWAY) rr__value_spilled_locked(cx, s);
        else if (to == RR__LEAVING) rr__spill_queue_locked(rt, s);
        else rr__value_leave_locked(cx, s), rt->store->stats.objects_dropped++;
    }
    if (sum) rr__store_signal_locked(cx);
    if (sum || pinned < RR__SPILL_COUNT) return sum > 0;
    rr__unlock(&rt->store->lock);
    rr__lock(&rt->store->lock);
    return true;
}

/* The same when nothing can be written: of those that their files still have. */
static bool rr__evict_copies_locked(rr__context *cx, uint64_t needed) {
    rr_runtime *rt = cx->runtime;
    uint64_t sum = 0;
    for (int i = 0; i < RR__AGES; i++) {
        rr__stored *s = rt->store->ages[i].oldest, *next;
        for (int n = 0; s && n < RR__SPILL_COUNT && sum < needed; s = next, n++) {
            next = s->newer;
            if (!s->file) continue;
            enum rr__look_at found =
                rr__residence_leave(rr__residence_at(s->object), RR__AWAY, false);
            rr__age_remove_locked(rt, s);
            if (found != RR__LEAVES) continue;
            sum += rr__info_of(s->object);
            rr__value_spilled_locked(cx, s);
        }
    }
    if (sum) rr__store_signal_locked(cx);
    return sum > 0;
}

/* What should have made room could not be written. */
static RR__NOINLINE rr_status rr__spill_refuse(rr_runtime *rt, size_t bytes, int error) {
    char why[300];
    rr_status status = rr__spill_status(error);
    snprintf(why, sizeof why, "what should leave cannot be written to rr_config.spill_dir '%s': %s",
             rt->store->spill_dir, strerror(error));
    if (status == RR_ERR_STORE_FULL) return rr__room_refuse(rt, bytes, why);
    if (status != RR_ERR_IO) return status;
    return rr__refuse(status, "no room for %zu bytes: %s", bytes, why);
}

/* So many bytes should leave now: as many as are over the limit, and some more, unless they would
   have to be made again, so that they go in batches, the spillers have work while who waited uses
   what it got, and others who take room meanwhile do not take all of that. */
static uint64_t rr__over_locked(rr_runtime *rt, size_t bytes) {
    uint64_t limit = rt->config.store_bytes;
    uint64_t ahead = rt->config.evict == RR_EVICT_REBUILD ? 0 : limit / 16;
    uint64_t used = rr__load_relaxed(&rt->memory.live) + bytes; /* a counter */
    uint64_t over = used > limit ? used - limit : 0, leaving = rt->store->leaving;
    return over + ahead / 2 > leaving ? over + ahead - leaving : 0;
}

/* Admits so many bytes as soon as others have left; fails if none can, with *error if that is a
   file's fault. Once a write has failed it begins no more, and waits for those of others only while
   few fail. *may_come: bodies elsewhere had room then. Under the lock, or one that takes room
   between two looks is seen by neither. */
static rr_status rr__make_room_locked(rr__context *cx, size_t bytes, bool *may_come, int *error) {
    enum { FEW = 4 };
    rr_runtime *rt = cx->runtime;
    uint64_t before = rt->store->spill_failures;
    bool may_spill = rt->config.evict == RR_EVICT_SPILL;
    rr_status status = may_spill ? rr__spillers_start_locked(rt) : RR_OK;
    while (status == RR_OK && !rr__store_admit(rt, bytes)) {
        uint64_t more = rr__over_locked(rt, bytes);
        uint64_t failed = rt->store->spill_failures - before;
        if (more && (failed ? rr__evict_copies_locked : rr__evict_locked)(cx, more)) continue;
        else if (rt->store->leaving && failed < FEW) rr__store_wait_locked(rt);
        else if (failed)
            *error = rt->store->spill_error, status = rr__spill_status(*error), *may_come = false;
        else {
            *may_come = *may_come || rr__others_use_store(cx);
            if (rr__store_admit(rt, bytes)) break;
            status = RR_ERR_STORE_FULL;
        }
    }
    return status;
}

/* The same; a refusal has its reason. */
static RR__NOINLINE rr_status rr__store_make_room(rr__context *cx, size_t bytes, bool *may_come) {
    rr_runtime *rt = cx->runtime;
    size_t limit = rt->config.store_bytes;
    int error = 0;
    if (!rt->evicts) return RR_ERR_NO_MEMORY; /* no limit: nothing has so much */
    if (bytes > limit)
        return rr__refuse(RR_ERR_STORE_FULL,
                          "%zu bytes never fit into the store: rr_config.store_bytes is %zu", bytes,
                          limit);
    RR__STRESS_POINT();
    rr_status status;
    bool has_new = false;
    rr__newcomers_list_all(cx); /* or they would stay, however long they are not used */
    do {
        rr__lock(&rt->store->lock);
        uint64_t listed = rt->store->newcomers_listed;
        status = rr__make_room_locked(cx, bytes, may_come, &error);
        rr__unlock(&rt->store->lock);
        if (status != RR_ERR_STORE_FULL || error) break;
        rr__newcomers_list_all(cx);
        rr__lock(&rt->store->lock);
        has_new = listed != rt->store->newcomers_listed; /* by whomever: N2 */
        has_new = has_new || rr__load_seq_cst(&rt->store->listing) > 0;
        rr__unlock(&rt->store->lock);
    } while (has_new);
    if (error) return rr__spill_refuse(rt, bytes, error);
    if (status != RR_ERR_STORE_FULL) return status;
    return rr__room_refuse(rt, bytes,
                           "none of them may leave memory now: they are pinned, viewed, used by "
                           "bodies, not sealed, or could not be had again. Raise it, or let go "
                           "of some (rr_write_memory lists them)");
}

/* ---- waiting for it ---- */

/* Admits so many bytes: at once, after others have left, or when bodies elsewhere have ended. */
static rr_status rr__store_wait_room(rr__context *cx, size_t bytes) {
    rr__patience patience = {.bytes = bytes};
    rr__local *self = rr__self();
    rr_runtime *rt = cx->runtime;
    rr__patience_begin(cx, &patience);
    rr_status status;
    for (;;) {
        rr__patience_look(rt, &patience);
        bool may_come = rr__others_use_store(cx); /* before, or one could end between */
        status = rr__store_make_room(cx, bytes, &may_come);
        may_come = may_come && !self->is_hasty && bytes <= rt->config.store_bytes;
        if (status != RR_ERR_STORE_FULL || !may_come) break;
        if ((status = rr__room_wait(cx, &patience)) != RR_OK) break;
        cx = rr__here_of(self, cx);
    }
    rr__patience_end(rt, &patience);
    return status;
}

/* The turn that this one has, if it does, goes to the next. */
static void rr__loader_end(rr__local *self) {
    rr_runtime *rt = self->loads_for;
    if (!rt) return;
    self->loads_for = NULL;
    rr__store_seq_cst(&rt->store->has_loader, 0);
    rr__room_event(rt);
}

/* Waits for its turn to keep what it has while it waits for room. *had: it has it already, for what
   is below on its stack. */
static rr_status rr__loader_begin(rr__context *cx, bool *had) {
    rr__patience patience = {.bytes = 0};
    rr__local *self = rr__self();
    rr_runtime *rt = cx->runtime;
    rr_status status = RR_OK;
    if ((*had = self->loads_for == rt)) return RR_OK;
    rr__loader_end(self);
    rr__patience_begin(cx, &patience);
    for (int none = 0; status == RR_OK; none = 0) {
        rr__patience_look(rt, &patience);
        if (rr__cas_seq_cst(&rt->store->has_loader, &none, 1)) break;
        status = rr__room_wait(cx, &patience);
        cx = rr__here_of(self, cx);
    }
    if (status == RR_OK) self->loads_for = rt;
    rr__patience_end(rt, &patience);
    return status;
}

/* ---- rooms ---- */

/* Memory of the store for a value that does not fit into the slot. It may have to wait. */
static rr_status rr__value_room(rr__context *cx, size_t size, void **room, uint8_t *place) {
    *room = NULL;
    if (size > PTRDIFF_MAX && size <= cx->runtime->config.store_bytes) return RR_ERR_NO_MEMORY;
    if (RR__UNLIKELY(cx->runtime->evicts)) rr__store_touch(cx);
    if (RR__UNLIKELY(!rr__store_admit(cx->runtime, size))) {
        rr_status status = rr__store_wait_room(cx, size);
        if (status != RR_OK) return status;
        cx = rr__here(cx);
    }
    *room = rr__block_new(cx, size, place);
    if (*room) return RR_OK;
    rr__store_return(cx->runtime, size);
    return RR_ERR_NO_MEMORY;
}

/* The context after something that may have waited for room. */
static RR__INLINE rr__context *rr__after_room(rr__context *cx) {
    return RR__LIKELY(!cx->runtime->evicts) ? cx : rr__here(cx);
}

static void rr__value_return(rr__context *cx, void *room, size_t size, uint8_t place) {
    if (!room) return;
    rr__store_return(cx->runtime, size); /* first: what is kept depends on the rest */
    rr__block_free(cx, room, place);
}

// >>store/pins

/* Pins: who reads a value pins it first and brings it back if it is not here, so what is looked at
   never moves (rules E1 to E4 in store/residence.h). Without a limit a pin is nothing.
   Locks: the store's. */

/* The parts of a gather. */
struct rr__parts {
    size_t count, seen;      /* parts below seen are complete */
    rr__residence_word word; /* HERE: items are valid; if values may leave */
    rr__parker *filler;      /* who brings its parts back; or NULL. The store's lock */
    rr__object **objects;
    rr_bytes items[];
};

/* Its value is in place, outside the slot: from now on it may leave. Its owner, before it is READY.
   Takes over the recipe. Without memory for the record it stays, for good. */
static RR__NOINLINE void rr__stored_make(rr__context *cx, rr__object *o, rr__object *recipe) {
    rr_runtime *rt = cx->runtime;
    bool may_leave = rr__may_leave(rt, o, recipe);
    bool has_time = !recipe && rr__info_of(o) <= RR__NEWCOMER_BYTES &&
                    !rr__load_relaxed(&rt->store->patients); /* a hint: rr__room_tick */
    if (may_leave && has_time) {
        rr__newcomer_add(cx, o);
        return;
    }
    rr__stored *s = may_leave ? rr__stored_new(cx) : NULL;
    rr__residence_begin(o, 0);
    if (!s) {
        if (recipe) rr__above.recipe_end(cx, recipe);
        return;
    }
    s->recipe = recipe;
    rr__lock(&rt->store->lock);
    rr__stored_list_locked(rt, o, s);
    rr__unlock(&rt->store->lock);
    RR__STRESS_POINT();
}

static RR__INLINE void rr__stored_begin(rr__context *cx, rr__object *o) {
    if (RR__UNLIKELY(cx->runtime->evicts) && o->place != RR__IN_SLOT) rr__stored_make(cx, o, NULL);
}

/* The object ends. What the spiller writes at the moment stays until it is done. */
static RR__NOINLINE void rr__stored_end(rr__context *cx, rr__object *o) {
    rr_runtime *rt = cx->runtime;
    rr__stored *s = rr__stored_of(o);
    if (!s) return;
    rr__object *recipe = s->recipe;
    RR__STRESS_POINT();
    rr__lock(&rt->store->lock);
    rr__age_remove_locked(rt, s);
    rr__file_drop_locked(rt, s->file, rr__info_of(o));
    uint64_t word = rr__load_relaxed(rr__residence_at(o)); /* changed under this lock */
    bool is_leaving = rr__residence_in(word) == RR__LEAVING;
    if (is_leaving) s->object = NULL, o->data.block = NULL; /* the spiller frees it */
    rr__unlock(&rt->store->lock);
    if (!is_leaving) rr__stored_free(cx, s);
    if (recipe) rr__above.recipe_end(cx, recipe);
}

/* The same when the runtime's memory goes. */
static void rr__stored_dispose(rr_runtime *rt, rr__object *o) {
    rr__stored *s = rt->evicts ? rr__stored_of(o) : NULL;
    if (s) rr__file_drop_locked(rt, s->file, rr__info_of(o));
}

/* Reads it from its file. It is RETURNING, and the caller's. */
static rr_status rr__restore(rr__context *cx, rr__stored *s) {
    rr_runtime *rt = cx->runtime;
    rr__object *o = s->object;
    size_t size = rr__info_of(o);
    void *block;
    uint8_t place;
    rr_status status = rr__value_room(cx, size, &block, &place);
    if (status != RR_OK) return status;
    cx = rr__here(cx);
    double start = rr_now();
    const char *fault = rr__value_read(s->file->fd, block, size, s->at, s->sum);
    if (fault) {
        rr__refuse(RR_ERR_IO, "its file in rr_config.spill_dir '%s' cannot be read: %s",
                   rt->store->spill_dir, fault);
        rr__value_return(cx, block, size, place);
        return RR_ERR_IO;
    }
    rr__lock(&rt->store->lock);
    o->data.block = block, o->place = place;
    rt->store->stats.objects_restored++;
    rt->store->stats.spill_bytes_read += size;
    rt->store->stats.spill_seconds += rr_now() - start;
    rr__unlock(&rt->store->lock);
    return RR_OK;
}

/* Waits while another one brings something back, which may wait for room itself: so one that copies
   outside of bodies is no longer one of those who will be over soon (E5). The store's lock is given
   up meanwhile. */
static void rr__store_wait_returning_locked(rr__context *cx, rr__parker *const *by) {
    rr__store *store = cx->runtime->store;
    bool copies = rr__self()->copies == cx->runtime;
    if (!*by) return;
    if (copies) rr__store_copies(cx, false);
    while (*by) rr__line_wait(cx, &store->returning, &store->lock, *by);
    if (copies) rr__store_copies(rr__here(cx), true);
}

/* Pins what is here; else *was tells from where it has to be brought back first, and the caller
   does. RR_ERR_STORE_FULL: another one does, or it has to be made again (recipe), which takes time
   and room, and the caller is in haste.
   RR_ERR_DEADLOCK: this one does, and the body that makes it again asks for it. */
static rr_status rr__pin_or_claim(rr__context *cx, rr__residence_word *at, rr__parker **claimer,
                                  const rr__object *recipe, enum rr__residence *was) {
    rr_runtime *rt = cx->runtime;
    rr__local *self = rr__self();
    rr__parker *own = rr__parker_of(self, cx);
    rr_status status = RR_OK;
    *was = RR__HERE;
    if (RR__LIKELY(rr__pin_begin(at))) return RR_OK;
    rr__lock(&rt->store->lock);
    if (*claimer != own && !self->is_hasty) rr__store_wait_returning_locked(cx, claimer);
    enum rr__residence now = rr__residence_in(rr__load_acquire(at));
    RR__STRESS_POINT();
    if (now == RR__LOST && recipe && self->is_hasty) {
        status = RR_ERR_STORE_FULL;
    } else if (now == RR__RETURNING) {
        status = *claimer == own ? RR_ERR_DEADLOCK : RR_ERR_STORE_FULL;
    } else if (!rr__pin_begin(at)) { /* a gather that was HERE may be AWAY by now */
        *was = rr__residence_in(rr__load_acquire(at));
        rr__store_release(at, RR__RESIDENCE(RR__RETURNING));
        *claimer = own;
    }
    rr__unlock(&rt->store->lock);
    return status;
}

/* It was brought back, and is pinned, or could not be. A gather has no record. */
static void rr__claim_end(rr__context *cx, rr__residence_word *at, rr__parker **claimer,
                          rr__stored *s, enum rr__residence was, rr_status status) {
    rr_runtime *rt = cx->runtime;
    RR__STRESS_POINT();
    rr__lock(&rt->store->lock);
    *claimer = NULL;
    rr__store_release(at, status == RR_OK ? RR__RESIDENCE(RR__HERE) | 1
                                          : RR__RESIDENCE(was)); /* pairs with rr__pin_begin */
    if (s && status == RR_OK) rr__age_add_locked(rt, s);
    rr__store_signal_locked(cx);
    rr__unlock(&rt->store->lock);
}
static void rr__stored_claim_end(rr__context *cx, rr__stored *s, enum rr__residence was,
                                 rr_status status) {
    rr__claim_end(cx, rr__residence_at(s->object), &s->claimer, s, was, status);
}

/* Not in memory, a moment ago. */
static RR__NOINLINE rr_status rr__use_slowly(rr__context *cx, rr__object *o) {
    rr__stored *s = rr__stored_of(o);
    enum rr__residence was;
    rr_status status = rr__pin_or_claim(cx, rr__residence_at(o), &s->claimer, s->recipe, &was);
    if (was == RR__HERE) return status;
    RR__STRESS_POINT();
    cx = rr__here(cx);
    status = was == RR__AWAY ? rr__restore(cx, s)
             : s->recipe     ? rr__above.rebuild(cx, s)
                             : rr__refuse(RR_ERR_OBJECT_LOST, "it made room for others, and %s",
                                          "rr_config.evict is RR_EVICT_DROP: nothing has a copy");
    rr__stored_claim_end(rr__here(cx), s, was, status);
    return status;
}

static rr_status rr__parts_use(rr__context *cx, rr__object *gather);
static RR__NOINLINE rr_status rr__use_stored(rr__context *cx, rr__object *o) {
    if (o->kind != RR__GATHER && !rr__has_residence(o)) return RR_OK;
    rr__store_touch(cx);
    if (RR__UNLIKELY(o->kind == RR__GATHER)) return rr__parts_use(cx, o);
    if (RR__UNLIKELY(!rr__pin_begin(rr__residence_at(o)))) return rr__use_slowly(cx, o);
    rr__count(cx, RR__HITS);
    return RR_OK;
}

/* The last pin of one that is ASIDE has gone; the caller still counts it. */
static RR__NOINLINE void rr__use_ended(rr__context *cx, rr__object *o) {
    rr_runtime *rt = cx->runtime;
    RR__STRESS_POINT();
    rr__lock(&rt->store->lock);
    if (rr__residence_back(rr__residence_at(o))) rr__age_add_locked(rt, rr__stored_of(o));
    rr__store_signal_locked(cx);
    rr__unlock(&rt->store->lock);
}

static void rr__parts_unuse(rr__context *cx, rr__object *gather);
static RR__NOINLINE void rr__unuse_stored(rr__context *cx, rr__object *o) {
    if (o->kind == RR__GATHER) rr__parts_unuse(cx, o);
    else if (rr__has_residence(o) && rr__pin_end(rr__residence_at(o))) rr__use_ended(cx, o);
}

/* Sees to it that the value of a complete object is in memory, and stays there until rr__unuse,
   before which the caller counts it. */
static RR__INLINE rr_status rr__use(rr__context *cx, rr__object *o) {
    return RR__LIKELY(!cx->runtime->evicts) ? RR_OK : rr__use_stored(cx, o);
}
static RR__INLINE void rr__unuse(rr__context *cx, rr__object *o) {
    if (RR__UNLIKELY(cx->runtime->evicts)) rr__unuse_stored(cx, o);
}

/* ---- gathers ---- */

/* In memory or not. */
static size_t rr__part_size(const rr__object *part) {
    return part->kind == RR__GATHER ? part->extra.parts->count * sizeof(rr_bytes)
                                    : rr__size_of(part);
}
/* Of a value that is complete, or not sealed. */
static size_t rr__bytes_of_value(const rr__object *o) {
    size_t sum = 0;
    if (o->kind != RR__GATHER) return rr__size_of(o);
    for (size_t i = 0; i < o->extra.parts->count; i++)
        sum += rr__part_size(o->extra.parts->objects[i]);
    return sum;
}
static rr_bytes rr__part_bytes(rr__object *part) {
    return part->kind == RR__GATHER ? rr_bytes_of(part->extra.parts->items, rr__part_size(part))
                                    : rr__bytes_in(part);
}

/* The first n of the parts are pinned no more. */
static void rr__parts_unpin(rr__context *cx, rr__parts *parts, size_t n) {
    for (size_t i = 0; i < n; i++) rr__unuse(cx, parts->objects[i]);
}

/* All its parts are pinned, and so it is; or the first n are, and the next cannot be. */
static void rr__parts_claim_end(rr__context *cx, rr__object *gather, size_t n, rr_status status) {
    rr__parts *parts = gather->extra.parts;
    for (size_t i = 0; status == RR_OK && i < n; i++)
        parts->items[i] = rr__part_bytes(parts->objects[i]);
    if (status != RR_OK) rr__parts_unpin(cx, parts, n);
    rr__claim_end(cx, &parts->word, &parts->filler, NULL, RR__AWAY, status);
}

/* A gather's items are right while it is pinned, and with it its parts. */
static rr_status rr__parts_use(rr__context *cx, rr__object *gather) {
    rr__parts *parts = gather->extra.parts;
    enum rr__residence was;
    rr_status status = rr__pin_or_claim(cx, &parts->word, &parts->filler, NULL, &was);
    size_t n = 0;
    if (was == RR__HERE) return status;
    while (n < parts->count && status == RR_OK)
        if ((status = rr__use(rr__here(cx), parts->objects[n])) == RR_OK) n++;
    rr__parts_claim_end(rr__here(cx), gather, n, status);
    return status;
}

static void rr__parts_unuse(rr__context *cx, rr__object *gather) {
    rr__parts *parts = gather->extra.parts;
    bool is_last = rr__pin_end_of_parts(&parts->word);
    RR__STRESS_POINT();
    if (is_last) rr__parts_unpin(cx, parts, parts->count);
}

/* ---- views outside every scope ---- */

/* NULL: it needs no pins. */
static rr__residence_word *rr__residence_of(rr__object *o) {
    return o->kind == RR__GATHER  ? &o->extra.parts->word
           : rr__has_residence(o) ? rr__residence_at(o)
                                  : NULL;
}

/* The caller's pin becomes that of the views without a scope, which stays until the object ends:
   nobody knows whose release is the last of those who view it. One is enough for all of them. */
static RR__NOINLINE void rr__pin_outside(rr__context *cx, rr__object *o) {
    rr__residence_word *at = rr__residence_of(o);
    rr__store *store = cx->runtime->store;
    if (!at) return;
    if (!rr__pin_becomes_view(at)) {
        rr__unuse(cx, o);
        return;
    }
    rr__add_relaxed(&store->viewed, (uint64_t)rr__bytes_of_value(o)); /* a counter */
    rr__store_release(&store->viewed_site, o->site);
}

/* It has that pin. */
static bool rr__is_pinned_outside(rr__context *cx, rr__object *o) {
    rr__residence_word *at = cx->runtime->evicts ? rr__residence_of(o) : NULL;
    return at && rr__is_viewed(at);
}

/* The object ends. True: it had that pin. */
static bool rr__unpin_outside(rr__context *cx, rr__object *o) {
    if (!rr__is_pinned_outside(cx, o)) return false;
    rr__sub_acq_rel(&cx->runtime->store->viewed, (uint64_t)rr__bytes_of_value(o));
    return true;
}

// >>store/scopes

/* Scopes: a stack in each thread of the handles and views that it has received, which the end of a
   scope gives back. In front of what a scope holds lies a mark with its serial.

       held   [mark][handle][view][mark][handle] ...
                   ^ an outer scope     ^ scope_start: the innermost one

   A scope without memory for its mark is closed: until it ends there is no room for anything on
   this thread, so that what would have been its own is refused (RR_ERR_NO_MEMORY) and does not go
   to the scope around it. A bit of the depth says so, which bodies put back as they found it.

   Locks: none; a thread's own. */

/* A handle or view that an open scope holds. */
typedef struct rr__held {
    rr__object *object; /* NULL: released or kept early, or the mark in front of a scope */
    union {
        rr__context *context;
        size_t outer; /* mark: where the scope around it starts */
    } of;
    uint32_t retained; /* counts from rr_retain, the user's own, on top of the scope's one;
                          mark: the scope's serial */
    bool is_view, is_mark;
} rr__held;

#define RR__SCOPE_CLOSED (SIZE_MAX / 2 + 1)

/* The stack is full then, and stays so: rr__scope_ready need not ask. */
static inline bool rr__is_closed(const rr__local *self) {
    return self->scopes.depth >= RR__SCOPE_CLOSED;
}

static bool rr__held_grow(rr__local *self) {
    size_t capacity = self->scopes.capacity ? 2 * self->scopes.capacity : 16;
    if (rr__is_closed(self)) return false;
    if (capacity > SIZE_MAX / sizeof *self->scopes.held || !rr__local_hook(self)) return false;
    rr__held *held = RR_REALLOC(self->scopes.held, capacity * sizeof *held);
    if (!held) return false;
    self->scopes.held = held, self->scopes.capacity = capacity;
    return true;
}

/* Closes gaps in the innermost scope when it has grown to the brim with released ones, as in a
   long loop that releases the oldest of a window. */
static void rr__held_compact(rr__local *self) {
    size_t to = self->scopes.start;
    for (size_t i = to; i < self->scopes.count; i++) {
        if (!self->scopes.held[i].object) continue;
        rr__store_relaxed(&self->scopes.held[i].object->held_at, (uint32_t)to); /* a hint */
        self->scopes.held[to++] = self->scopes.held[i];
    }
    self->scopes.count = to;
}

/* Room for one more handle in the innermost scope; asked for before anything is made. Grows when
   closing the gaps did not free half of it, so that both cost a constant time for each handle. */
static RR__NOINLINE bool rr__scope_make_room(rr__local *self) {
    if (rr__is_closed(self)) return false;
    rr__held_compact(self);
    if (self->scopes.count < self->scopes.capacity / 2) return true;
    return rr__held_grow(self) || self->scopes.count < self->scopes.capacity;
}

static RR__INLINE bool rr__scope_ready(rr__local *self) {
    if (RR__LIKELY(self->scopes.count < self->scopes.capacity) || self->scopes.depth == 0)
        return true;
    return rr__scope_make_room(self);
}

/* Gives a count to the innermost scope. After rr__scope_ready. */
static RR__INLINE void rr__scope_hold(rr__local *self, rr__context *cx, rr__object *o,
                                      bool is_view) {
    if (self->scopes.depth == 0) return;
    rr__store_relaxed(&o->held_at, (uint32_t)self->scopes.count); /* a hint, checked when used */
    self->scopes.held[self->scopes.count++] = (rr__held){o, {cx}, 0, is_view, false};
}

/* The newest entry of the running body that holds a handle of the object; NULL if none does. Scope
   by scope: the hint may have been overwritten by another thread, so it counts only when no newer
   entry can be missed. */
static rr__held *rr__held_find(rr__local *self, rr__object *o) {
    uint32_t hint = rr__load_relaxed(&o->held_at); /* checked here */
    size_t start = self->scopes.start, end = self->scopes.count;
    while (self->scopes.depth > 0) {
        if (hint >= start && hint < end && self->scopes.held[hint].object == o &&
            !self->scopes.held[hint].is_view)
            return &self->scopes.held[hint];
        for (size_t i = end; i-- > start;)
            if (self->scopes.held[i].object == o && !self->scopes.held[i].is_view)
                return &self->scopes.held[i];
        if (start <= self->scopes.floor) break;
        end = start - 1;
        start = self->scopes.held[end].of.outer;
    }
    return NULL;
}

static void rr__held_clear(rr__local *self, rr__held *held) {
    held->object = NULL;
    if (RR__UNLIKELY(rr__is_closed(self))) return;
    while (self->scopes.count > self->scopes.start &&
           !self->scopes.held[self->scopes.count - 1].object)
        self->scopes.count--;
}

/* After a burst: the stack of a scope that held very many goes back, but for what `start` needs. */
static RR__NOINLINE void rr__held_shrink(rr__local *self, size_t start) {
    size_t capacity = 2 * start + 4096;
    rr__held *held = RR_REALLOC(self->scopes.held, capacity * sizeof *held);
    if (held) self->scopes.held = held, self->scopes.capacity = capacity;
}

static RR__INLINE void rr__held_release_to(rr__local *self, size_t start) {
    enum { LARGE = 1 << 16 };
    while (self->scopes.count > start) {
        rr__held held = self->scopes.held[--self->scopes.count];
        if (!held.object) continue;
        rr__context *cx = rr__here_of(self, held.of.context);
        if (RR__UNLIKELY(held.is_view)) rr__unuse(cx, held.object);
        rr__drop(cx, held.object);
    }
    if (RR__UNLIKELY(self->scopes.capacity > LARGE && start < self->scopes.capacity / 8))
        rr__held_shrink(self, start);
}

// >>store/values

/* Values on their way into objects, and what becomes of them at the end.
   Locks: none of its own. */

/* What a body returned, on its way into the slot. */
typedef struct rr__result {
    union {
        uint64_t words[4];
        rr_bytes bytes;
        rr_ref ref;
    } inlined;
    void *block; /* for what does not fit */
    size_t size;
    uint8_t place;
} rr__result;

/* Handles that are returned are handed over: the object holds a count of its own. False if the
   handle is stale. */
static bool rr__result_handle(rr__context *cx, rr__result *result, bool actor) {
    rr_ref ref = result->inlined.ref;
    return ref.id == 0 || rr__pin(cx, ref, actor);
}

/* ---- into a new object ---- */

/* A new complete or unsealed object with one count, the caller's, in its scope. */
static rr__object *rr__value_new(rr__context *cx, const char *site, rr_status *status) {
    rr__object *o = rr__scope_ready(rr__self()) ? rr__object_new(cx, RR__VALUE, site) : NULL;
    *status = o ? RR_OK : RR_ERR_NO_MEMORY;
    return o;
}

static rr_ref rr__value_publish(rr__context *cx, rr__object *o, int kind, enum rr__state state) {
    rr_ref ref = rr__ref_to(cx, o);
    rr__scope_hold(rr__self(), cx, o, false);
    if (state == RR__READY) rr__stored_begin(cx, o);
    rr__publish(o, state, 1, kind);
    rr__store_copied(cx); /* N3 in store/newcomers.h */
    return ref;
}

/* Failed objects still have a reference, which tells why. */
static RR__NOINLINE rr_ref rr__value_refuse(rr__context *cx, rr__object *o, rr_status status,
                                            int kind, const char *text) {
    rr__error *error = rr__error_saying(cx->runtime, status, o, text);
    o->data.error = error, o->place = RR__IN_SLOT;
    return rr__value_publish(cx, o, kind, RR__FAILED);
}

#define RR__NO_DATA                                                                                \
    "the data of these rr_bytes is NULL, and their size is not 0: pass where the bytes are, or 0"

/* Why a value could not be copied into an object. */
static const char *rr__fill_text(const rr_runtime *rt, rr_status status, rr_type type,
                                 const void *value) {
    rr_ref ref;
    if (status == RR_ERR_INVALID && type.kind == RR__KIND_MANY)
        return "an rr_many has views of other objects: keep and pass what rr_gather returned";
    if (status == RR_ERR_INVALID) return RR__NO_DATA;
    if (status != RR_ERR_STALE) return rr__status_why(status);
    memcpy(&ref, value, sizeof ref); /* or an rr_actor, which is the same */
    return rr__handle_text(rt, ref);
}

/* Bytes into a new object. */
static rr_status rr__bytes_fill(rr__context *cx, rr__object *o, rr_bytes bytes) {
    o->place = RR__ON_ITS_OWN, o->of.type_name = "rr_bytes";
    rr__store_relaxed(&o->info, (uint64_t)bytes.size); /* published with word */
    if (bytes.size == 0) return RR_OK;
    if (!bytes.data) return RR_ERR_INVALID;
    rr_status status = rr__value_room(cx, bytes.size, &o->data.block, &o->place);
    if (status == RR_OK) memcpy(o->data.block, bytes.data, bytes.size);
    return status;
}

/* A handle or a large value into a new object. */
static RR__NOINLINE rr_status rr__value_fill_any(rr__context *cx, rr__object *o, rr_type type,
                                                 const void *value) {
    rr__result result;
    if (type.kind == RR__KIND_MANY) return RR_ERR_INVALID; /* rr_gather makes one */
    if (type.size > RR__INLINE_BYTES) {
        rr_status status = rr__value_room(cx, type.size, &o->data.block, &o->place);
        if (status == RR_OK) memcpy(o->data.block, value, type.size);
        return status;
    }
    memcpy(&result.inlined, value, type.size);
    if (type.kind == RR__KIND_BYTES) return rr__bytes_fill(cx, o, result.inlined.bytes);
    if (!rr__result_handle(cx, &result, type.kind == RR__KIND_ACTOR)) return RR_ERR_STALE;
    rr__write_words(o, &result.inlined, type.size);
    return RR_OK;
}

/* A value of any type into a new object. */
static RR__INLINE rr_status rr__value_fill(rr__context *cx, rr__object *o, rr_type type,
                                           const void *value) {
    o->of.type_name = type.name;
    rr__store_relaxed(&o->info, (uint64_t)type.size); /* published with word */
    if (RR__UNLIKELY(type.size > RR__INLINE_BYTES || !rr__kind_is_plain(type.kind)))
        return rr__value_fill_any(cx, o, type, value);
    rr__write_words(o, value, type.size);
    return RR_OK;
}

static rr__object *rr__bytes_object(rr__context *cx, rr_bytes bytes, const char *site,
                                    rr_status *status) {
    rr__object *o = rr__object_new(cx, RR__VALUE, site);
    *status = o ? rr__bytes_fill(cx, o, bytes) : RR_ERR_NO_MEMORY;
    cx = rr__after_room(cx);
    if (*status == RR_OK) rr__stored_begin(cx, o);
    if (*status == RR_OK) rr__publish(o, RR__READY, 1, RR__KIND_BYTES);
    rr__store_copied(cx); /* N3 in store/newcomers.h */
    if (*status == RR_OK) return o;
    if (o) rr__object_free(cx, o);
    return NULL;
}

/* A reference that holds an error which no object of a task could. */
static rr_ref rr__failed_ref(rr__context *cx, rr__error *error, const char *site) {
    rr_status status;
    rr__object *o = rr__value_new(cx, site, &status);
    if (!o) {
        rr__error_drop(error);
        return rr__status_ref(status);
    }
    o->of.type_name = "void", o->data.error = error;
    rr_ref ref = rr__ref_to(cx, o);
    rr__scope_hold(rr__self(), cx, o, false);
    rr__publish(o, RR__FAILED, 1, RR__KIND_VOID);
    return ref;
}

/* ---- the end ---- */

static void rr__parts_free(rr__context *cx, rr__parts *parts, bool is_pinned) {
    for (size_t i = 0; parts && i < parts->count; i++) {
        if (is_pinned) rr__unuse(cx, parts->objects[i]);
        rr__drop(cx, parts->objects[i]);
    }
    RR_FREE(parts);
}

static void rr__value_free(rr__context *cx, rr__object *o) {
    unsigned kind = rr__kind_in(rr__load_relaxed(&o->word)); /* fixed since it was published */
    if (kind == RR__KIND_REF || kind == RR__KIND_ACTOR) {
        rr__object *inner = rr__contained(cx, o);
        if (inner) rr__drop(cx, inner);
    } else if (o->kind == RR__GATHER) {
        rr__parts_free(cx, o->extra.parts, false);
    } else if (o->place != RR__IN_SLOT) {
        if (RR__UNLIKELY(cx->runtime->evicts))
            (void)rr__unpin_outside(cx, o), rr__stored_end(cx, o);
        rr__value_return(cx, o->data.block, rr__info_of(o), o->place);
    }
}

/* The memory of a value outside the slot, if nobody but the caller, who has it in use, counts its
   object, which ends then. NULL: somebody does, or views it, or a spiller still reads it. */
static void *rr__value_take(rr__context *cx, rr__object *o, uint8_t *place) {
    uint64_t word = rr__load_acquire(&o->word);
    bool evicts = cx->runtime->evicts;
    uint64_t residence = evicts ? rr__load_acquire(rr__residence_at(o)) : 1;
    void *block = o->data.block;
    if ((word & RR__COUNT_MASK) != 1 || rr__residence_in(residence) != RR__HERE) return NULL;
    if ((residence & RR__PINS) != 1) return NULL; /* a view outside of scopes */
    *place = o->place;
    RR__STRESS_POINT();
    if (!rr__cas_seq_cst(&o->word, &word, word - 1)) return NULL; /* rule R2 */
    o->data.block = NULL;
    rr__last_dropped(cx, o, word);
    return block;
}

/* What a complete object holds, a value or an error, goes with it. */
static void rr__outcome_free(rr__context *cx, rr__object *o) {
    bool has_failed = rr__state_of(rr__load_relaxed(&o->word)) == RR__FAILED; /* ours, rule R2 */
    if (!has_failed) rr__value_free(cx, o);
    else if (!rr__is_decided(o)) rr__error_drop(o->data.error);
}

/* One that was never complete may go before what was decided in its list, and counts it no more
   (R5): that is found there, and ends. */
static void rr__value_end(rr__context *cx, rr__object *o) {
    uint64_t word = rr__load_relaxed(&o->word); /* ours, rule R2 */
    if (rr__state_of(word) < RR__READY) rr__tasks_go_on(cx, rr__notify(cx, o, word));
    rr__outcome_free(cx, o);
}

// >>tasks/arguments

/* Arguments: from a call into the slot, and from there to the body. They lie one behind the
   other in steps of 8 bytes, in the slot's words if they fit: a value as itself, everything
   counted as the address of its slot. Of a wordy function (at most four parameters, none larger
   than 8 bytes) argument i is word i, however it came.
   Locks: that of the census, where rr_write_memory may be reading. */

/* Arguments lie one behind the other in steps of 8 bytes, in the slot's words if they fit: a
   value as itself, everything counted as the address of its slot. Of a wordy function (at most four
   parameters, none larger than 8 bytes) argument i is word i, however it came. */
static inline bool rr__is_counted(const rr_function *fn, uint16_t by_ref, int i) {
    return ((by_ref | fn->handles) >> i) & 1;
}

static inline size_t rr__arg_bytes(const rr_function *fn, uint16_t by_ref, int i) {
    if (fn->is_wordy || rr__is_counted(fn, by_ref, i)) return 8;
    return ((size_t)fn->params[i].size + 7) / 8 * 8;
}

static char *rr__args_of(rr__object *task) {
    return task->args_place == RR__IN_SLOT ? (char *)task->words
                                           : (char *)(uintptr_t)rr__load_relaxed(&task->words[0]);
}

static rr__object *rr__counted_arg(const char *at) {
    rr__object *o;
    memcpy(&o, at, sizeof o);
    return o;
}

static RR__NOINLINE void rr__args_drop(rr__context *cx, rr__object *task) {
    const rr_function *fn = task->of.fn;
    char *args = rr__args_of(task), *at = args;
    for (int i = 0; (task->by_ref | fn->handles) >> i;
         at += rr__arg_bytes(fn, task->by_ref, i), i++)
        if (rr__is_counted(fn, task->by_ref, i) && rr__counted_arg(at))
            rr__drop(cx, rr__counted_arg(at));
    uint8_t place = task->args_place;
    if (place == RR__IN_SLOT) return;
    bool has_begun = rr__state_of(rr__load_relaxed(&task->word)) >= RR__RUNNING; /* our own */
    if (RR__UNLIKELY(!has_begun || rr__load_seq_cst(&cx->runtime->store->has_census))) {
        rr__lock(&cx->runtime->store->census_lock); /* somebody may read it, see rr__census_args */
        if (!has_begun) task->args_place = RR__IN_SLOT;
        rr__unlock(&cx->runtime->store->census_lock);
    }
    rr__block_free(cx, args, place);
}

/* Nothing but values in the slot, as most tasks have? */
static RR__INLINE bool rr__args_are_plain(const rr__object *task) {
    const rr_function *fn = task->of.fn; /* args_place lies in the second line */
    return !(task->by_ref | fn->handles) && (fn->is_wordy || task->args_place == RR__IN_SLOT);
}

static RR__INLINE void rr__args_release(rr__context *cx, rr__object *task) {
    if (!rr__args_are_plain(task)) rr__args_drop(cx, task);
}

/* Bytes of the arguments beside the slot. */
static size_t rr__args_size(rr__object *task) {
    size_t size = 0;
    for (int i = 0; task->args_place != RR__IN_SLOT && i < task->of.fn->arity; i++)
        size += rr__arg_bytes(task->of.fn, task->by_ref, i);
    return size;
}

/* ---- packing ---- */

/* An argument while a call is being checked. */
typedef struct rr__packed {
    const void *value;   /* or NULL */
    rr__object *counted; /* or NULL: the null handle */
    bool is_ref;         /* an object stands for the value */
} rr__packed;

/* The handle that an argument is, or that stands for its value. */
static rr_ref rr__arg_handle(const rr__arg *arg, int kind) {
    rr_ref handle = arg->ref;
    if (arg->value && (kind == RR__KIND_REF || kind == RR__KIND_ACTOR))
        memcpy(&handle, arg->value, sizeof handle);
    return handle;
}

/* Looks at one argument and takes the count that the task will hold. */
static rr_status rr__arg_check(rr__context *cx, const rr_function *fn, int i, const rr__arg *arg,
                               const char *site, rr__packed *out) {
    int kind = fn->params[i].kind;
    rr_ref handle = rr__arg_handle(arg, kind);
    rr_status status = RR_OK;
    *out = (rr__packed){NULL, NULL, false};
    bool takes_handle = kind == RR__KIND_REF || (kind == RR__KIND_ACTOR && arg->value);
    if (takes_handle && handle.id == 0 && handle.slot == 0) return RR_OK;
    if (!takes_handle && arg->value) {
        if (kind == RR__KIND_MANY) return RR_ERR_INVALID;
        if (kind != RR__KIND_BYTES) {
            out->value = arg->value;
            return RR_OK;
        }
        rr_bytes bytes;
        memcpy(&bytes, arg->value, sizeof bytes);
        out->is_ref = true;
        out->counted = rr__bytes_object(cx, bytes, site, &status);
        return status;
    }
    if (handle.id == 0) return rr__handle_status(handle);
    out->counted = rr__pin(cx, handle, kind == RR__KIND_ACTOR && takes_handle);
    if (!out->counted) return RR_ERR_STALE;
    out->is_ref = !takes_handle;
    if (takes_handle || rr__has_failed(out->counted)) return RR_OK; /* a failure has any type */
    if (rr__type_equal(rr__type_of(out->counted), fn->params[i])) return RR_OK;
    return RR_ERR_TYPE;
}

static rr__error *rr__arg_error(rr__context *cx, rr__object *task, int i, rr_status status,
                                const rr__arg *arg, const rr__object *given) {
    rr_runtime *rt = cx->runtime;
    const char *wanted = task->of.fn->params[i].name;
    rr_ref handle = rr__arg_handle(arg, task->of.fn->params[i].kind);
    if (status == RR_ERR_TYPE && given)
        return rr__error_new(rt, status, task,
                             "its argument %d is declared %s, but the reference "
                             "holds %s '%s' (made at %s)",
                             i + 1, wanted, rr__type_of(given).name, rr__name_of(given),
                             given->site);
    if (status == RR_ERR_STALE)
        return rr__error_new(rt, status, task, "its argument %d: %s", i + 1,
                             rr__handle_text(rt, handle));
    if (status == RR_ERR_INVALID && task->of.fn->params[i].kind == RR__KIND_BYTES)
        return rr__error_new(rt, status, task, "its argument %d: %s", i + 1, RR__NO_DATA);
    if (status == RR_ERR_INVALID)
        return rr__error_new(rt, status, task,
                             "its argument %d is declared rr_many: pass what "
                             "rr_gather returns",
                             i + 1);
    if (status == RR_ERR_NO_MEMORY) return rt->no_memory;
    return rr__error_new(rt, status, task, "its argument %d: %s", i + 1, rr__status_why(status));
}

static RR__NOINLINE void rr__args_write(const rr__object *task, const rr__packed *packed,
                                        char *to) {
    const rr_function *fn = task->of.fn;
    for (int i = 0; i < fn->arity; to += rr__arg_bytes(fn, task->by_ref, i), i++) {
        if (rr__is_counted(fn, task->by_ref, i))
            memcpy(to, &packed[i].counted, sizeof packed[i].counted);
        else memcpy(to, packed[i].value, fn->params[i].size);
    }
}

static rr_status rr__args_store(rr__context *cx, rr__object *task, const rr__packed *packed) {
    const rr_function *fn = task->of.fn;
    size_t total = 0;
    for (int i = 0; i < fn->arity; i++) total += rr__arg_bytes(fn, task->by_ref, i);
    uint64_t words[4] = {0};
    char *to = (char *)words;
    if (total > RR__INLINE_BYTES && !(to = rr__block_new(cx, total, &task->args_place)))
        return RR_ERR_NO_MEMORY;
    rr__args_write(task, packed, to);
    if (to != (char *)words) words[0] = (uint64_t)(uintptr_t)to, total = 8;
    rr__write_words(task, words, total);
    return RR_OK;
}

/* One argument into *out, or the error. */
static rr__error *rr__arg_pack(rr__context *cx, rr__object *task, int i, const rr__arg *arg,
                               rr__packed *out) {
    rr_status status = rr__arg_check(cx, task->of.fn, i, arg, task->site, out);
    if (out->is_ref) task->by_ref |= (uint16_t)(1u << i);
    return status == RR_OK ? NULL : rr__arg_error(cx, task, i, status, arg, out->counted);
}

static RR__NOINLINE rr__error *rr__args_pack_any(rr__context *cx, rr__object *task,
                                                 const rr__arg *args) {
    const rr_function *fn = task->of.fn;
    rr__packed packed[RR__MAX_PARAMS];
    rr__error *error = NULL;
    int n = 0;
    for (; n < fn->arity && !error; n++) error = rr__arg_pack(cx, task, n, &args[n], &packed[n]);
    if (!error && rr__args_store(cx, task, packed) != RR_OK) error = cx->runtime->no_memory;
    if (!error) return NULL;
    for (int i = 0; i < n; i++)
        if (packed[i].counted) rr__drop(cx, packed[i].counted);
    return error;
}

/* Argument i of a wordy function, as a word. */
static RR__INLINE rr__error *rr__arg_word(rr__context *cx, rr__object *task, int i,
                                          const rr__arg *arg, uint64_t *word) {
    const rr_type *type = &task->of.fn->params[i];
    if (RR__LIKELY(arg->value && rr__kind_is_plain(type->kind))) {
        *word = rr__word_from(arg->value, type->size);
        return NULL;
    }
    rr__packed packed;
    rr__error *error = rr__arg_pack(cx, task, i, arg, &packed);
    if (error && packed.counted) rr__drop(cx, packed.counted);
    *word = rr__word_from(&packed.counted, sizeof packed.counted);
    return error;
}

/* Fills in the arguments; on an error none is kept. Straight into the slot if that is known to hold
   them. */
static RR__INLINE rr__error *rr__args_pack(rr__context *cx, rr__object *task, const rr__arg *args) {
    const rr_function *fn = task->of.fn;
    if (!fn->is_wordy) return rr__args_pack_any(cx, task, args);
    for (int i = 0, n = fn->arity; i < n; i++) { /* loaded once */
        uint64_t word;
        rr__error *error = rr__arg_word(cx, task, i, &args[i], &word);
        if (RR__UNLIKELY(error != NULL)) {
            while (i < n) rr__store_release(&task->words[i++], (uint64_t)0);
            rr__args_release(cx, task); /* those before this one */
            return error;
        }
        rr__store_release(&task->words[i], word); /* see rr__write_words */
    }
    return NULL;
}

/* ---- what is missing, what has failed ---- */

static rr__object *rr__args_missing(rr__object *task) {
    const rr_function *fn = task->of.fn;
    char *at = rr__args_of(task);
    for (int i = 0; task->by_ref >> i; at += rr__arg_bytes(fn, task->by_ref, i), i++)
        if ((task->by_ref >> i & 1) && !rr__is_complete(rr__counted_arg(at)))
            return rr__counted_arg(at);
    return NULL;
}

/* The failure that one of its arguments passes on; NULL if none has failed. */
static rr__error *rr__failed_argument(rr__context *cx, rr__object *task) {
    const rr_function *fn = task->of.fn;
    char *at = rr__args_of(task);
    for (int i = 0; task->by_ref >> i; at += rr__arg_bytes(fn, task->by_ref, i), i++) {
        if (!(task->by_ref >> i & 1) || !rr__has_failed(rr__counted_arg(at))) continue;
        return rr__error_after(cx->runtime, task, rr__failure(cx->runtime, rr__counted_arg(at)),
                               "its argument %d ", i + 1);
    }
    return NULL;
}

/* ---- to the body ---- */

/* The temporaries that stand for arguments which are not plain values. */
typedef union rr__view {
    rr_bytes bytes;
    rr_many many;
    rr_ref ref;
} rr__view;

/* A handle as an argument: a count of the body's own, in its scope. */
static bool rr__pass_handle(rr__context *cx, rr__object *o, rr__view *view) {
    view->ref = RR__NULL_REF;
    if (!o) return true;
    if (!rr__scope_ready(rr__self())) return false;
    rr__share(o);
    rr__scope_hold(rr__self(), cx, o, false);
    view->ref = rr__ref_to(cx, o);
    return true;
}

static rr_status rr__pass(rr__context *cx, rr__object *o, rr_type type, rr__view *view,
                          void **arg) {
    *arg = view;
    rr_status status = rr__use(cx, o);
    if (status != RR_OK) return status;
    cx = rr__here(cx);
    if (type.kind == RR__KIND_BYTES) {
        view->bytes = rr__bytes_in(o);
    } else if (type.kind == RR__KIND_MANY) {
        rr__parts *parts = o->extra.parts;
        view->many = (rr_many){parts->items, parts->count};
    } else if (type.kind == RR__KIND_ACTOR) {
        if (!rr__pass_handle(cx, rr__contained(cx, o), view)) status = RR_ERR_NO_MEMORY;
    } else {
        *arg = rr__data(o);
    }
    if (status != RR_OK) rr__unuse(cx, o);
    return status;
}

/* Gives back the pins on the first n arguments. */
static RR__NOINLINE void rr__args_unuse(rr__context *cx, rr__object *task, int n) {
    const rr_function *fn = task->of.fn;
    char *at = rr__args_of(task);
    for (int i = 0; i < n; at += rr__arg_bytes(fn, task->by_ref, i), i++) {
        rr__object *o = task->by_ref >> i & 1 ? rr__counted_arg(at) : NULL;
        if (o) rr__unuse(cx, o); /* NULL: tasks/inplace.h */
    }
}

/* Returns which argument cannot be had, with the status, or the number of them. */
static int rr__args_pass(rr__context *cx, rr__object *task, void **args, rr__view *views,
                         rr_status *status) {
    const rr_function *fn = task->of.fn;
    char *at = rr__args_of(task);
    *status = RR_OK;
    for (int i = 0; i < fn->arity; at += rr__arg_bytes(fn, task->by_ref, i), i++) {
        args[i] = at;
        if (task->by_ref >> i & 1)
            *status =
                rr__pass(rr__here(cx), rr__counted_arg(at), fn->params[i], &views[i], &args[i]);
        else if (rr__is_counted(fn, 0, i)) {
            args[i] = &views[i];
            if (!rr__pass_handle(cx, rr__counted_arg(at), &views[i])) *status = RR_ERR_NO_MEMORY;
        }
        if (*status != RR_OK) {
            rr__args_unuse(rr__here(cx), task, i);
            return i;
        }
    }
    return fn->arity;
}

static RR__NOINLINE rr__error *rr__args_error(rr__context *cx, rr__object *task, int i,
                                              rr_status status) {
    const rr_function *fn = task->of.fn;
    if (status == RR_ERR_NO_MEMORY || i < 0) return rr__error_of_status(cx->runtime, status, task);
    char *at = rr__args_of(task);
    for (int k = 0; k < i; k++) at += rr__arg_bytes(fn, task->by_ref, k);
    rr__object *o = rr__counted_arg(at);
    return rr__error_new(cx->runtime, status, task,
                         "its argument %d '%s' (made at %s) cannot be brought into memory: %s",
                         i + 1, rr__name_of(o), o->site, rr__status_why(status));
}

static RR__NOINLINE rr__error *rr__args_unpack_any(rr__context *cx, rr__object *task, void **args,
                                                   rr__view *views) {
    rr_status status;
    int i = rr__args_pass(cx, task, args, views, &status);
    return RR__LIKELY(status == RR_OK) ? NULL : rr__args_error(cx, task, i, status);
}

/* NULL, or why they cannot be had. */
static RR__INLINE rr__error *rr__args_unpack(rr__context *cx, rr__object *task, void **args,
                                             rr__view *views) {
    const rr_function *fn = task->of.fn;
    if (!fn->is_wordy || !rr__args_are_plain(task))
        return rr__args_unpack_any(cx, task, args, views);
    for (int i = 0; i < fn->arity; i++) args[i] = (void *)&task->words[i];
    return NULL;
}

// >>tasks/stream_queue

/* The queue of a stream: between a body that yields and its readers, in the control block of the
   body's task. Two counters, each written by one side alone: the body puts in without a lock, and
   readers share one (after the queue with two locks of Michael and Scott, 1996). Each side waits
   in a line, for a sign that the other one gives.
   Rules  Y1  Who puts something in, or takes it out, gives the sign to one that waits for that; who
              got one and leaves without taking anything passes it on.
          Y2  A reader says that it waits before it looks for the last time; and the body looks
              whether somebody does after it has put something in (both seq_cst). The body stands in
              its line, and is looked for there, under the lock.
          Y3  A reader marks the task as watched before it looks whether that has ended, under the
              lock under which who ends it then gives the sign to all readers (rr__stream_over).
          Y4  What is there when the last handle goes, or comes after, is dropped, and read by
              nobody: by who lets go, and says so first, or by the body, which looks for that as in
              Y2. So who clears finds no reader in the lock that does not see that.
   Locks: the shard lock of the task. */

/* Something that the body has to see to when it has put something in. */
enum rr__stream_calls { RR__IS_AWAITED = 1, RR__IS_CLOSED = 2 };

/* The reader's end, an object, counts the task; what is unread is counted here. */
struct rr__stream {
    /* Written by the body. */
    RR__ATOMIC(size_t) put; /* so many so far, by all attempts */
    size_t taken_seen;      /* of these so many at least were taken out */
    size_t now;             /* yielded by this attempt */
    size_t max_unread;      /* SIZE_MAX: no limit; fixed, as the next */
    uint64_t max_bytes;     /* UINT64_MAX: no limit, and nobody counts them */
    uint64_t put_bytes;     /* so many so far */
    rr__object **items;     /* a ring; it changes under the lock */
    size_t room;            /* there; 0 or a power of two */
    char apart[64];         /* what one side writes often lies not beside what the other does */

    /* Written by readers, under the lock. */
    RR__ATOMIC(size_t) taken;
    RR__ATOMIC(size_t) put_seen;
    RR__ATOMIC(uint64_t) taken_bytes;
    char apart_too[64];

    /* Seldom; under the lock. */
    RR__ATOMIC(int) calls;     /* enum rr__stream_calls */
    bool is_given_up;          /* nobody will read: the runtime ends */
    rr__line readers, writers; /* who waits; of the second kind there is but the body */
};

/* A queue that grows; NULL without memory. 0: no limit. */
static rr__stream *rr__stream_new(int max_unread, size_t max_bytes) {
    rr__stream *stream = RR_CALLOC(1, sizeof *stream);
    if (!stream) return NULL;
    stream->max_unread = max_unread ? (size_t)max_unread : SIZE_MAX;
    stream->max_bytes = max_bytes ? (uint64_t)max_bytes : UINT64_MAX;
    return stream;
}

/* With the slot of its task; what is unread went with the reader's end. */
static void rr__stream_free(rr__stream *stream) {
    if (stream) RR_FREE(stream->items);
    RR_FREE(stream);
}

/* Of any task: what it yields into, or NULL. */
static rr__stream *rr__stream_of(const rr__object *task) {
    const rr__control *control = rr__control_of(task);
    return control ? control->stream : NULL;
}

/* Of one that does. */
static rr__stream *rr__stream_in(const rr__object *task) { return task->extra.control->stream; }

/* ---- the queue ---- */

/* For readers, and, without the lock, for a look. */
static bool rr__stream_has_item(rr__stream *stream) {
    size_t taken = rr__load_relaxed(&stream->taken);
    return taken != rr__load_relaxed(&stream->put_seen) || taken != rr__load_seq_cst(&stream->put);
}

/* For the body: are there fewer than so many unread? */
static bool rr__stream_is_below(rr__stream *stream, size_t limit) {
    size_t put = rr__load_relaxed(&stream->put); /* its own */
    if (RR__LIKELY(put - stream->taken_seen < limit)) return true;
    stream->taken_seen = rr__load_acquire(&stream->taken);
    return put - stream->taken_seen < limit;
}
static bool rr__stream_has_space(rr__stream *stream) {
    bool is_light = stream->max_bytes == UINT64_MAX ||
                    stream->put_bytes - rr__load_acquire(&stream->taken_bytes) < stream->max_bytes;
    return is_light && rr__stream_is_below(stream, stream->max_unread);
}

static bool rr__stream_grow(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_in(task);
    size_t room = stream->room ? 2 * stream->room : 8, put = rr__load_relaxed(&stream->put);
    rr__object **items = RR_MALLOC(room * sizeof *items), **old = stream->items;
    if (!items) return false;
    rr__shard *shard = rr__shard_lock(cx->runtime, task);
    for (size_t i = rr__load_relaxed(&stream->taken); i != put; i++)
        items[i & (room - 1)] = old[i & (stream->room - 1)];
    stream->items = items, stream->room = room;
    rr__unlock(&shard->lock);
    RR_FREE(old);
    return true;
}

/* The next object, which the caller then counts; or NULL. Once the queue is closed only who clears
   it gets any: a reader that was late would miss what came before. */
static rr__object *rr__stream_take(rr__context *cx, rr__object *task, bool clears) {
    rr__stream *stream = rr__stream_in(task);
    rr__object *item = NULL;
    rr__parker *writer = NULL;
    if (!rr__stream_has_item(stream)) return NULL;
    rr__shard *shard = rr__shard_lock(cx->runtime, task);
    size_t taken = rr__load_relaxed(&stream->taken);
    bool may_take = clears || !(rr__load_relaxed(&stream->calls) & RR__IS_CLOSED);
    if (taken == rr__load_relaxed(&stream->put_seen))
        rr__store_relaxed(&stream->put_seen, rr__load_acquire(&stream->put));
    if (may_take && taken != rr__load_relaxed(&stream->put_seen)) {
        item = stream->items[taken & (stream->room - 1)];
        if (RR__UNLIKELY(stream->is_given_up)) stream->is_given_up = false;
        if (stream->max_bytes != UINT64_MAX)
            rr__store_release(&stream->taken_bytes,
                              rr__load_relaxed(&stream->taken_bytes) + rr__size_of(item));
        rr__store_release(&stream->taken, taken + 1);
        if (stream->writers.first) writer = rr__line_pop(&stream->writers);
    }
    rr__unlock(&shard->lock);
    rr__wake(cx, writer);
    return item;
}
static rr__object *rr__stream_pop(rr__context *cx, rr__object *task) {
    return rr__stream_take(cx, task, false);
}

static void rr__stream_clear(rr__context *cx, rr__object *task) {
    for (rr__object *item; (item = rr__stream_take(cx, task, true));) {
        rr__drop(cx, item);
        RR__STRESS_POINT();
    }
}

/* Gives the first reader a sign. Returns who is to be woken. Under the lock. */
static rr__parker *rr__stream_sign_locked(rr__stream *stream) {
    rr__parker *reader = stream->readers.first ? rr__line_pop(&stream->readers) : NULL;
    if (!stream->readers.first) (void)rr__and_seq_cst(&stream->calls, RR__IS_CLOSED);
    return reader;
}

/* The body is called, and has put something in (Y2, Y4). */
static RR__NOINLINE void rr__stream_answer(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_in(task);
    rr__shard *shard = rr__shard_lock(cx->runtime, task);
    rr__parker *reader = rr__stream_sign_locked(stream);
    bool is_closed = rr__load_relaxed(&stream->calls) & RR__IS_CLOSED;
    rr__unlock(&shard->lock);
    rr__wake(cx, reader);
    if (is_closed) rr__stream_clear(cx, task);
}

/* Puts an object into the queue; takes over its count if it returns RR_OK. */
static rr_status rr__stream_push(rr__context *cx, rr__object *task, rr__object *item) {
    rr__stream *stream = rr__stream_in(task);
    size_t put = rr__load_relaxed(&stream->put);                                   /* the body's */
    if (rr__load_relaxed(&stream->calls) & RR__IS_CLOSED) return RR_ERR_CANCELLED; /* or see Y4 */
    bool has_room = rr__stream_is_below(stream, stream->room) || rr__stream_grow(cx, task);
    if (!has_room) return RR_ERR_NO_MEMORY;
    stream->items[put & (stream->room - 1)] = item;
    stream->put_bytes += rr__size_of(item);
    rr__store_seq_cst(&stream->put, put + 1);
    if (RR__UNLIKELY(rr__load_seq_cst(&stream->calls))) rr__stream_answer(cx, task);
    return RR_OK;
}

/* The task has ended, and was watched. */
static void rr__stream_over(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_of(task);
    for (bool goes_on = stream != NULL; goes_on;) {
        rr__shard *shard = rr__shard_lock(cx->runtime, task);
        rr__parker *reader = rr__stream_sign_locked(stream);
        goes_on = stream->readers.first != NULL;
        rr__unlock(&shard->lock);
        rr__wake(cx, reader);
    }
}

/* Nobody reads any more; the task has been cancelled, if it had not ended. */
static void rr__stream_shut(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_in(task);
    (void)rr__or_seq_cst(&stream->calls, RR__IS_CLOSED);
    rr__stream_clear(cx, task);
}

static bool rr__stream_is_closed(rr__object *task) {
    rr__stream *stream = rr__stream_of(task);
    return stream && (rr__load_acquire(&stream->calls) & RR__IS_CLOSED);
}

/* The runtime ends, and the body waits for space that nobody will make. */
static void rr__stream_give_up(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_of(task);
    rr__shard *shard = rr__shard_of(cx->runtime, task);
    rr__parker *writer = NULL;
    if (!stream) return;
    rr__lock(&shard->lock);
    if (stream->writers.first) stream->is_given_up = true, writer = rr__line_pop(&stream->writers);
    rr__unlock(&shard->lock);
    rr__wake(cx, writer);
}

/* ---- waiting ---- */

/* The body waits until there is space. RR_ERR_CANCELLED: there will be none. */
static RR__NOINLINE rr_status rr__stream_wait_space(rr__context *cx, rr__object *task) {
    rr__stream *stream = rr__stream_in(task);
    rr__shard *shard = rr__shard_of(cx->runtime, task);
    rr_status status = RR_OK;
    while (status == RR_OK && !rr__stream_has_space(stream)) {
        rr__sleeper s = rr__sleeper_of(rr__here(cx));
        s.may_starve = s.is_for_outside = true;
        rr__lock(&shard->lock);
        bool is_given_up = stream->is_given_up,
             waits = !is_given_up && !rr__stream_has_space(stream);
        if (waits) rr__line_add(&stream->writers, &s);
        rr__unlock(&shard->lock);
        if (is_given_up) return RR_ERR_CANCELLED;
        if (!waits) break;
        rr__linked_wait(&s, NULL, -1);
        status = rr__wait_outcome(&s, RR__NULL_REF);
        if (status == RR_OK) continue; /* by the sign it has left the line */
        rr__lock(&shard->lock);
        rr__line_remove(&stream->writers, &s);
        rr__unlock(&shard->lock);
    }
    return status;
}

/* A reader leaves without an item (rule Y1). */
static void rr__stream_leave(rr__context *cx, rr__object *task, rr__sleeper *s) {
    rr__stream *stream = rr__stream_in(task);
    rr__shard *shard = rr__shard_lock(cx->runtime, task);
    rr__line_remove(&stream->readers, s);
    bool goes_on = stream->readers.first && !rr__stream_has_item(stream);
    rr__parker *next = goes_on ? NULL : rr__stream_sign_locked(stream);
    rr__unlock(&shard->lock);
    rr__wake(cx, next);
}

/* Has it ended? If not, its end is told to those that wait (rule Y3). */
static bool rr__stream_watch(rr__object *task) {
    uint64_t word = rr__load_acquire(&task->word);
    if (!(word & RR__HAS_SLEEPERS)) word = rr__or_seq_cst(&task->word, RR__HAS_SLEEPERS);
    return rr__state_of(word) >= RR__READY;
}

/* A reader waits until there may be something, or the body has ended. */
static RR__NOINLINE rr_status rr__stream_wait_item(rr__context *cx, rr__object *task,
                                                   double deadline) {
    char ring[RR__RING_TEXT];
    rr__stream *stream = rr__stream_in(task);
    rr__shard *shard = rr__shard_of(cx->runtime, task);
    rr__sleeper s = rr__sleeper_of(cx);
    rr__node node = {.object = task};
    const rr__wait wait = {.objects = &task, .nodes = &node, .n = 1, .need = 1};
    s.has_limit = deadline >= 0, s.may_starve = true, s.ring = ring, s.wait = &wait;
    rr__lock(&shard->lock);
    rr__line_add(&stream->readers, &s);
    (void)rr__or_seq_cst(&stream->calls, RR__IS_AWAITED);
    bool waits = !rr__stream_has_item(stream) && !rr__stream_watch(task);
    if (!waits) rr__line_remove(&stream->readers, &s);
    rr__unlock(&shard->lock);
    if (!waits) return RR_OK; /* who is called in vain finds nobody */
    rr__linked_wait(&s, s.has_limit ? NULL : task, deadline);
    rr_status status = rr__wait_outcome(&s, RR__NULL_REF);
    if (status != RR_OK) rr__stream_leave(rr__here(cx), task, &s);
    return status == RR_ERR_TIMEOUT ? rr__note_status(RR__NULL_REF, status) : status;
}

// >>tasks/complete

/* Completing: an object gets its value or error, once, and whoever waits for it goes on. What
   has gone before is given up here, too: what a task with options has set or taken, and what one
   has that was decided from outside (rule R4 at struct rr__object).
   Locks: the timers' and the resources', for tasks with options. */

struct rr__tasks {
    RR__ATOMIC(int64_t) pending; /* tasks that have not begun; counted only if there is a limit */
    RR__ATOMIC(uint64_t) strays_begun, strays_over; /* see rr__is_quiet */
};

/* What tasks keep of a thread. The owner's. */
struct rr__tasks_thread {
    rr__lane *lanes;      /* as a caller from outside, see tasks/lanes.h */
    rr__worklist settled; /* completed objects, whose dependents go on */
};

/* The list of what is to be settled. What failed has no size, and may still lie in another list by
   next (rr__held_refuse). */
static void rr__settled_push(rr__context *cx, rr__object *o, enum rr__state state) {
    rr__object *next = cx->tasks->settled.first;
    if (state == RR__FAILED) rr__store_relaxed(&o->info, (uint64_t)(uintptr_t)next);
    else o->next = next;
    cx->tasks->settled.first = o;
}

static rr__object *rr__settled_next(rr__object *o, enum rr__state state) {
    return state == RR__FAILED ? (rr__object *)(uintptr_t)rr__info_of(o) : o->next;
}

/* Something that the counters of tasks do not see yet, or not any more: a cancellation of which the
   owner has not heard, a field that is queued. */
static void rr__stray_begins(rr_runtime *rt) {
    rr__add_seq_cst(&rt->tasks->strays_begun, (uint64_t)1);
}
static void rr__stray_is_over(rr_runtime *rt) {
    rr__add_seq_cst(&rt->tasks->strays_over, (uint64_t)1);
    rr__signal_if_stopping(rt);
    RR__STRESS_POINT();
}

/* The owner comes with an outcome and finds that it was decided from outside (rule R4). */
static RR__NOINLINE void rr__lost(rr__context *cx, rr__object *o, enum rr__state state) {
    enum rr__counter counter = state == RR__READY ? RR__FINISHED : RR__ERRORS;
    uint64_t n = rr__load_relaxed(&cx->counters[counter]); /* only the owner writes */
    rr__store_release(&cx->counters[counter], n - 1);      /* see rr__is_quiet */
    if (state == RR__READY && cx->runtime->evicts) rr__newcomer_forget(cx, o);
    if (state == RR__READY) rr__value_free(cx, o);
    else rr__error_drop(o->data.error);
    rr__stray_is_over(cx->runtime);
    rr__drop(cx, o);
}

/* What a task with options has set or taken goes. Once, by the task's owner. */
static RR__NOINLINE void rr__control_end(rr__context *cx, rr__control *control) {
    rr_runtime *rt = cx->runtime;
    if (control->timers) {
        rr__lock(&rt->timers->lock);
        rr__timer_unset_locked(rt, &control->limit);
        rr__timer_unset_locked(rt, &control->retry);
        rt->timers->heap.promised -= control->timers;
        rr__unlock(&rt->timers->lock);
    }
    if (control->has_turn) rr__turn_end(cx, control);
}

/* It is complete, and was watched: as rr__notify. */
static rr__object *rr__tell_end(rr__context *cx, rr__object *o, uint64_t word) {
    if (word & RR__HAS_SLEEPERS) rr__stream_over(cx, o);
    return rr__notify(cx, o, word);
}

static RR__NOINLINE void rr__settle(rr__context *cx, rr__object *o, enum rr__state state) {
    rr__settled_push(cx, o, state);
    if (cx->tasks->settled.is_running) return; /* a failure passes down a chain as a loop */
    cx->tasks->settled.is_running = true;
    while ((o = cx->tasks->settled.first)) {
        uint64_t settled = rr__load_relaxed(&o->word); /* our own; no flag is added any more */
        cx->tasks->settled.first = rr__settled_next(o, rr__state_of(settled));
        rr__object *waited = rr__tell_end(cx, o, settled);
        rr__drop(cx, o); /* first: whose argument it is finds no count that is none: inplace.h */
        rr__tasks_go_on(cx, waited);
    }
    cx->tasks->settled.is_running = false;
}

/* READY or FAILED, once; takes over one count of the caller's (a task's own, the pin of rr_seal).
   The value or error is in place (R3).
   With nobody waiting both happen in one step, and nothing of the object is touched after it. */
static RR__INLINE void rr__complete(rr__context *cx, rr__object *o, enum rr__state state) {
    bool is_inline = state == RR__READY && o->place == RR__IN_SLOT;
    uint64_t add = RR__STATE(state) | (is_inline ? RR__IS_INLINE : 0);
    uint64_t word = rr__load_relaxed(&o->word), next; /* the CAS checks it */
    bool watched;
    if (RR__UNLIKELY(word & RR__HAS_CONTROL)) rr__control_end(cx, o->extra.control);
    do {
        if (RR__UNLIKELY(word & RR__IS_DECIDED)) {
            rr__lost(cx, o, state);
            return;
        }
        watched = (word & (RR__HAS_SLEEPERS | RR__HAS_DEPENDENTS)) != 0;
        next = ((word & ~RR__STATE_MASK) | add) - (watched ? 0 : 1);
    } while (!rr__cas_seq_cst(&o->word, &word, next));
    if (watched) rr__settle(cx, o, state);
    else if (RR__UNLIKELY((next & RR__COUNT_MASK) == 0)) rr__last_dropped(cx, o, next);
}

/* A task or message has begun, or ends without. */
static void rr__pending_end(rr__context *cx, rr__object *o) {
    uint8_t flags = rr__load_relaxed(&o->flags); /* its owner's */
    if (!(flags & RR__IS_PENDING)) return;
    rr__store_relaxed(&o->flags, (uint8_t)(flags & ~RR__IS_PENDING));
    rr__ops_of(o)->begun(cx, o);
}

/* The actor that a message counts, which who ends the message gives back after that; NULL: it is no
   message, or its runner owes the count (rr__run_method). */
static RR__INLINE rr__object *rr__actor_of(const rr__object *o) {
    return o->kind == RR__METHOD ? o->extra.actor : NULL;
}

/* Gives up what a decided task or message has, but for its counts. */
static void rr__task_strip(rr__context *cx, rr__object *o) {
    if (rr__control_of(o)) rr__control_end(cx, o->extra.control);
    rr__pending_end(cx, o);
    rr__args_release(cx, o);
    rr__stray_is_over(cx->runtime);
}

/* The same for who decided one that rested (R6). */
static void rr__task_unload(rr__context *cx, rr__object *o) {
    rr__object *actor = rr__actor_of(o);
    rr__task_strip(cx, o);
    uint64_t word = rr__and_seq_cst(&o->word, ~RR__IS_STRIPPED);
    if (actor && (word & RR__IS_LEFT)) rr__drop(cx, actor);
}

/* The same for its owner, if nobody has (R5). */
static void rr__task_give_up(rr__context *cx, rr__object *o) {
    if (!rr__is_bare(o)) rr__task_strip(cx, o);
}

/* Ends a task, message or object with an error; takes over one count of it. The caller owns the
   state. */
static void rr__fail_with(rr__context *cx, rr__object *o, rr__error *error) {
    if (RR__UNLIKELY(rr__is_decided(o))) {
        rr__error_drop(error);
        rr__abandon(cx, o);
        return;
    }
    if (o->kind <= RR__METHOD) {
        rr__args_release(cx, o);
        rr__count(cx, RR__ERRORS);
        rr__pending_end(cx, o);
    }
    if ((rr__load_relaxed(&o->flags) & RR__IS_TOLD) && error->status != RR_ERR_ACTOR_DEAD)
        rr__log_again(cx->runtime, RR__LINE_TOLD, RR_LOG_WARN, rr__error_message_of(error));
    rr__object *actor = rr__actor_of(o);
    o->data.error = error, o->place = RR__IN_SLOT;
    rr__complete(cx, o, RR__FAILED);
    if (actor) rr__drop(cx, actor);
    if (!cx->is_worker) rr__signal_if_stopping(cx->runtime);
}

// >>tasks/cancelling

/* Cancelling. Who cancels does not own the task: it sets a flag in the task's word, by which the
   outcome is decided, and wakes who waits; whoever has the task (a timer, the thread that runs
   its body) finds the flag with its next change of the state and gives up what the task has
   (rule R4 at struct rr__object). What is queued is claimed in the same step, and what a task has
   that rests (in the list of an argument, a mailbox, a lane) is given up at once (R5). What a body
   has called is found by a look at all slots, in each of which the maker's number stands: so a
   call only notes that, and looks whether its maker was cancelled; cancelling costs some ns a slot.
   Locks: the timers' and the resources', one after the other. */

/* How a task tells who made it: by slot and half of the id, which is enough as long as the maker
   is there; and whether that is the body of an actor, of which its origin then tells. */
#define RR__BY_ACTOR ((uint64_t)1 << 31)

static RR__INLINE uint64_t rr__parent_key(rr__object *parent) {
    uint64_t by_actor = parent->kind == RR__FUNCTION ? 0 : RR__BY_ACTOR;
    uint64_t half = rr__load_relaxed(&parent->id) & (RR__BY_ACTOR - 1); /* counted */
    return (uint64_t)parent->slot << 32 | by_actor | half;
}

/* A call from an actor's body. A method ends before what it has called does; so that this can be
   ended with the actor, its origin says which one called it. Not that of a destructor. */
static RR__NOINLINE void rr__origin_note(rr__context *cx, rr__object *task, rr__frame *frame) {
    rr__object *actor = frame->actor;
    rr__store_relaxed(rr__slot_origin(&cx->runtime->slots, task->slot),
                      frame->is_end ? 0 : rr__parent_key(actor)); /* published with word */
    if (!(rr__load_relaxed(&actor->word) & RR__HAS_CALLED))       /* set once */
        rr__or_seq_cst(&actor->word, RR__HAS_CALLED);
}

static void rr__origin_clear(rr__context *cx, rr__object *task) {
    rr__store_relaxed(rr__slot_origin(&cx->runtime->slots, task->slot), (uint64_t)0);
}

/* Who calls, into a new task. */
static RR__INLINE void rr__parent_note(rr__context *cx, rr__object *task, rr__frame *frame) {
    rr__store_relaxed(&task->info, rr__parent_key(frame->task)); /* published with word */
    if (RR__UNLIKELY(frame->actor != NULL)) rr__origin_note(cx, task, frame);
}

/* Sets the flag of a pending task, and claims what is queued, and what one that rests has, in the
   same step. Returns the state in which it was, READY if it is too late. */
static enum rr__state rr__decide_word(rr__object *o, uint64_t flag, bool *is_bare) {
    uint64_t word = rr__load_relaxed(&o->word), next; /* the CAS checks it */
    enum rr__state state;
    do {
        state = rr__state_of(word);
        if (state >= RR__READY || (word & RR__IS_DECIDED)) return RR__READY;
        *is_bare = (word & RR__IS_RESTING) && !(word & RR__IS_BARE); /* by us: R5 */
        next = word | flag | (*is_bare ? RR__IS_BARE | RR__IS_STRIPPED : 0);
        if (state == RR__QUEUED) next += RR__STATE(RR__RUNNING - RR__QUEUED);
    } while (!rr__cas_seq_cst(&o->word, &word, next));
    return state;
}

/* Decides a pending task from outside (rule R4); the caller counts it. False if it is too late.
   Counted before the state tells it. *has_begun: it may have called others. */
static bool rr__decide(rr__context *cx, rr__object *o, uint64_t flag, bool *has_begun) {
    rr_runtime *rt = cx->runtime;
    rr__stray_begins(rt);
    bool is_bare = false;
    enum rr__state state = rr__decide_word(o, flag, &is_bare);
    if (state == RR__READY) {
        rr__stray_is_over(rt);
        return false;
    }
    rr__count(cx, RR__ERRORS);
    enum rr__state now = state == RR__QUEUED ? RR__RUNNING : state;
    uint64_t word = rr__add_seq_cst(&o->word, RR__STATE(RR__FAILED) - RR__STATE(now));
    rr__tasks_go_on(cx, rr__tell_end(cx, o, word));
    bool was_tried = false, is_ours = false;
    RR__STRESS_POINT();
    if (is_bare) rr__task_unload(cx, o);
    if (word & RR__HAS_CONTROL)
        is_ours = rr__timers_revoke(rt, o->extra.control, &was_tried) ||
                  rr__turn_revoke(rt, o->extra.control);
    *has_begun = state == RR__RUNNING || was_tried;
    if (state == RR__RUNNING) rr__body_wake(cx, o);
    else if (state == RR__QUEUED || is_ours) rr__abandon(cx, o);
    else rr__ops_of(o)->decided(cx, o);
    rr__signal_if_stopping(rt);
    return true;
}

/* Was what lies in a slot called by this task, or, an actor, by one of its bodies? */
static bool rr__is_called_by(rr__context *cx, rr__object *child, uint32_t slot, rr__object *by) {
    uint64_t info = rr__load_acquire(&child->info);
    if (by->kind != RR__CONSTRUCTOR) return info == rr__parent_key(by);
    rr__origin *origin = rr__slot_origin(&cx->runtime->slots, slot);
    return (info & RR__BY_ACTOR) && rr__load_acquire(origin) == rr__parent_key(by);
}

static bool rr__cancel_tree(rr__context *cx, rr__object *o, uint64_t flag);

/* Cancels what a task, or an actor, has called, which is found by looking at all slots: so that a
   call only notes who made it. The caller counts that. */
static void rr__cancel_called(rr__context *cx, rr__object *by) {
    rr__object *child;
    for (uint32_t slot = 1; (child = rr__slot_at(cx->runtime, slot)); slot++) {
        if (!rr__is_called_by(cx, child, slot, by)) continue;
        uint64_t id = rr__load_acquire(&child->id);
        if (!id || !rr__try_retain(cx, child, id)) continue;
        bool is_task = child->kind == RR__FUNCTION || child->kind == RR__METHOD;
        if (is_task && rr__is_called_by(cx, child, slot, by) && !rr__is_complete(child))
            rr__cancel_tree(cx, child, RR__IS_CANCELLED);
        rr__drop(cx, child);
    }
}

/* Cancels a task, and, if its body runs, what that has called. Recursion as deep as running bodies
   are nested. */
static bool rr__cancel_tree(rr__context *cx, rr__object *o, uint64_t flag) {
    bool has_begun = false;
    if (!rr__decide(cx, o, flag, &has_begun)) return false;
    if (has_begun && !(flag & RR__IS_ALONE)) rr__cancel_called(cx, o);
    return true;
}

static RR__NOINLINE void rr__cancel_new(rr__context *cx, rr_ref ref) {
    rr__object *o = rr__pin(cx, ref, false);
    if (!o) return;
    rr__cancel_tree(cx, o, RR__IS_CANCELLED);
    rr__drop(cx, o);
}

/* ---- a body that was cancelled while it called ---- */

/* What it called is cancelled, too. Its flag is set before who cancels looks for what it called,
   and looked at after that is published (both seq_cst). */
static RR__INLINE bool rr__parent_is_cancelled(rr__context *cx) {
    rr__frame *frame = rr__load_relaxed(&cx->frame); /* the owner's own */
    uint64_t word = frame ? rr__load_seq_cst(&frame->task->word) : 0;
    if (RR__UNLIKELY(word & RR__IS_DECIDED)) return !(word & RR__IS_ALONE);
    return frame && rr__is_killed(frame);
}
static RR__INLINE void rr__heed_parent(rr__context *cx, rr_ref ref) {
    if (rr__parent_is_cancelled(cx)) rr__cancel_new(cx, ref);
}
static RR__INLINE rr__error *rr__parent_error(rr__context *cx, const rr__object *task) {
    if (!rr__parent_is_cancelled(cx)) return NULL;
    return rr__error_new(cx->runtime, RR_ERR_CANCELLED, task,
                         "the task that called it was cancelled, or its actor killed");
}

// >>tasks/lanes

/* Lanes: messages of one caller to one actor, from the first that waits for an argument on; so
   that messages arrive in the order in which they were sent (rule A4 in actors/mailbox.h). A
   caller has a list of its lanes: a thread from outside, a task, an actor. Here is what callers
   do with that; what goes through a lane is actors/held.h.
   Locks: the shard lock of the actor. */

/* Messages that one caller sent to one actor, from the first that waits for an argument
   on. Under the shard lock of the actor. Freed by the caller, or, if that is gone, by who
   empties it. */
struct rr__lane {
    rr__lane *next;           /* of the same caller; caller only */
    rr__lane *after, *before; /* of the same actor; for who ends it */
    rr__object *actor;
    uint64_t actor_id;
    rr__object *first, *last;
    bool is_orphan;
};

enum rr__lane_flags {
    RR__IN_LANE = 1,
    RR__HAS_ARRIVED = 2, /* its arguments are complete */
    RR__IS_REFUSED = 4,  /* its actor died before that */
    RR__IS_INSIDE = 8    /* in no lane any more: handed out by rr__crew_run */
};

/* What a message has while it is in a lane. */
struct rr__hold {
    rr__lane *lane;
    rr__object *next; /* in the lane, or, taken out of it by who ends the actor, in a list */
};

static rr__lane *rr__lane_find(rr__lane *lanes, rr__object *actor) {
    uint64_t id = rr__load_relaxed(&actor->id); /* the caller counts it */
    while (lanes && (lanes->actor != actor || lanes->actor_id != id)) lanes = lanes->next;
    return lanes;
}

/* Frees the lanes of a caller that are empty; all of them, or leaves them to who empties them, if
   the caller itself is gone. A lane that is not empty counts its actor, by its messages. */
static void rr__lanes_clean(rr__context *cx, rr__lane **lanes, bool gone) {
    while (*lanes) {
        rr__lane *lane = *lanes;
        rr__shard *shard = rr__shard_of(cx->runtime, lane->actor);
        rr__lock(&shard->lock);
        bool empty = !lane->first;
        if (gone || empty) *lanes = lane->next;
        else lanes = &lane->next;
        if (gone && !empty) lane->is_orphan = true;
        rr__unlock(&shard->lock);
        if (empty) RR_FREE(lane);
    }
}

static void rr__lanes_abandon(rr__context *cx, rr__lane *lanes) {
    rr__lanes_clean(cx, &lanes, true);
}

static rr__lane **rr__caller_lanes(rr__context *cx) {
    rr__frame *frame = rr__load_relaxed(&cx->frame);
    return frame ? frame->lanes : &cx->tasks->lanes;
}

// >>tasks/recipes

/* Recipes: what it takes to run a task again, for results that may be dropped (RR_EVICT_REBUILD): a
   task of its own that is never submitted, with the arguments of the one that has run. They have a
   budget, rr_config.lineage_bytes.
   Locks: the store's; the census'. */

static void rr__recipe_return(rr_runtime *rt, size_t bytes) {
    rr__lock(&rt->store->lock);
    rt->store->lineage_used -= bytes;
    rr__unlock(&rt->store->lock);
}

/* Its arguments are counted by it, or will not be any more. */
static void rr__recipe_counts(rr_runtime *rt, rr__object *recipe, bool counts) {
    const rr_function *fn = recipe->of.fn;
    char *at = rr__args_of(recipe);
    rr__lock(&rt->store->lock);
    for (int i = 0; recipe->by_ref >> i; at += rr__arg_bytes(fn, recipe->by_ref, i), i++) {
        rr__object *o = recipe->by_ref >> i & 1 ? rr__counted_arg(at) : NULL;
        rr__stored *s = o ? rr__stored_of(o) : NULL;
        if (s) s->lineage += counts ? 1 : -1u;
    }
    rr__unlock(&rt->store->lock);
}

/* What it takes to run a task again: a task of its own that is never submitted, with the arguments
   of this one, which it takes over. NULL if there is no need, or no memory for it. */
static RR__NOINLINE rr__object *rr__recipe_of(rr__context *cx, rr__object *task,
                                              const rr__result *result) {
    rr_runtime *rt = cx->runtime;
    const rr__control *control = rr__control_of(task);
    if (rt->config.evict != RR_EVICT_REBUILD || task->kind != RR__FUNCTION || !result->block)
        return NULL;
    if (task->of.fn->item.size || (control && control->no_rebuild)) return NULL;
    size_t bytes = sizeof *task + sizeof(rr__stored) + rr__args_size(task);
    rr__lock(&rt->store->lock);
    bool fits = bytes <= rt->config.lineage_bytes - rt->store->lineage_used;
    if (fits) rt->store->lineage_used += bytes;
    rr__unlock(&rt->store->lock);
    rr__object *recipe = fits ? rr__object_new(cx, RR__FUNCTION, task->site) : NULL;
    if (!recipe) {
        if (fits) rr__recipe_return(rt, bytes);
        return NULL;
    }
    rr__count(cx, RR__OBJECTS_GONE); /* it is not the user's */
    for (int i = 0; i < 4; i++)
        rr__store_release(&recipe->words[i], rr__load_relaxed(&task->words[i])); /* our own */
    recipe->of.fn = task->of.fn, recipe->by_ref = task->by_ref;
    recipe->args_place = task->args_place;
    rr__store_relaxed(&recipe->flags, (uint8_t)RR__IS_RECIPE);
    rr__lock(&rt->store->census_lock);
    task->by_ref = 0, task->args_place = RR__IN_SLOT;
    rr__unlock(&rt->store->census_lock);
    rr__recipe_counts(rt, recipe, true);
    RR__STRESS_POINT();
    rr__publish_with(recipe, RR__WAITING, 1, task->of.fn->result.kind, 0);
    return recipe;
}

static void rr__recipe_end(rr__context *cx, rr__object *recipe) {
    rr__recipe_counts(cx->runtime, recipe, false);
    rr__recipe_return(cx->runtime, sizeof *recipe + sizeof(rr__stored) + rr__args_size(recipe));
    rr__args_release(cx, recipe);
    rr__count(cx, RR__OBJECTS_MADE); /* for the one that is counted as gone now */
    rr__drop(cx, recipe);
}

// >>tasks/running

/* Running a body: a frame on the stack of the thread, a scope, the arguments, the call, and what it
   returned.
   Locks: none of its own. */

static RR__INLINE void rr__frame_init(rr__frame *frame, rr__object *task, rr__lane **lanes,
                                      rr__object *actor) {
    frame->task = task, frame->lanes = lanes, frame->error = NULL, frame->room = NULL;
    frame->actor = actor, frame->is_end = frame->wants_exit = false, frame->blocking = 0;
    frame->lent = 0, frame->granted = NULL, frame->crash = NULL;
}

static RR__INLINE void rr__frame_open(rr__context *cx, rr__frame *frame) {
    rr__local *self = rr__self();
    frame->outer = self->frame, frame->self = self, frame->runner = cx;
    frame->scope_start = self->scopes.start, frame->scope_depth = self->scopes.depth;
    frame->floor = self->scopes.floor;
    frame->chosen = self->chosen;
    self->context = cx, self->chosen = cx->runtime;
    self->scopes.start = self->scopes.floor = self->scopes.count;
    self->scopes.depth++;
    self->frame = frame;
    rr__store_release(&cx->frame, frame); /* pairs with rr__is_still */
}

/* It blocks: another thread may have its worker's role. */
static RR__NOINLINE void rr__block_begin(rr__frame *frame) {
    frame->blocking = 1;
    frame->self->apart++;
    if (frame->self->fiber) rr__role_give(frame->self->carrier);
    if (frame->self->granted) rr__grants_lend(frame->self, true);
}

/* It blocks no more, and takes a role again: if none is free it lets its thread go until a worker
   takes it. */
static RR__NOINLINE void rr__block_over(rr__frame *frame) {
    rr__local *self = frame->self;
    rr__context *cx = self->carrier;
    frame->blocking = 0;
    self->apart--;
    if (self->granted) rr__grants_lend(self, false);
    if (!cx || self->apart || rr__role_take(cx) || !cx->is_worker) return;
    if (rr__fiber_ready_to_go(cx)) rr__fiber_yield(self);
}

/* Ends the body's scopes. Returns the context in which it has ended. */
static RR__INLINE rr__context *rr__frame_close(rr__context *cx, rr__frame *frame) {
    rr__local *self = frame->self;
    rr__held_release_to(self, self->scopes.floor);
    if (RR__UNLIKELY(frame->blocking)) rr__block_over(frame); /* while it is there, for its CPUs */
    cx = rr__here_of(self, cx);
    self->scopes.start = frame->scope_start, self->scopes.depth = frame->scope_depth;
    self->scopes.floor = frame->floor;
    self->context = cx, self->chosen = frame->chosen;
    self->frame = frame->outer;
    rr__store_release(&cx->frame, frame->outer);
    if (frame->room) rr__value_return(cx, frame->room, frame->room_bytes, frame->room_place);
    return cx;
}

/* ---- results ---- */

static RR__INLINE rr_status rr__result_prepare(rr__context *cx, const rr_function *fn,
                                               rr__result *result) {
    result->block = NULL, result->place = RR__IN_SLOT, result->size = fn->result.size;
    if (result->size <= RR__INLINE_BYTES) return RR_OK;
    return rr__value_room(cx, result->size, &result->block, &result->place);
}

/* What was not used of it goes back, also the memory: else the limit would not be one. */
static void rr__result_shrink(rr__context *cx, rr__frame *frame, rr__result *result) {
    rr__store_return(cx->runtime, frame->room_bytes - result->size);
    uint8_t place = rr__class_of(result->size);
    bool is_tight = place == result->place &&
                    (place != RR__ON_ITS_OWN || result->size > frame->room_bytes / 4 * 3);
    void *block = is_tight ? NULL : rr__block_new(cx, result->size, &place);
    if (!block) return;
    memcpy(block, result->block, result->size);
    rr__block_free(cx, result->block, result->place);
    result->block = block, result->place = place;
}

/* Bytes: what rr_result gave is taken over, everything else copied into the store. */
static rr__error *rr__result_bytes(rr__context *cx, rr__frame *frame, rr__result *result) {
    rr_bytes bytes = result->inlined.bytes;
    rr_runtime *rt = cx->runtime;
    result->size = bytes.size, result->place = RR__ON_ITS_OWN;
    bool is_room = bytes.data && bytes.data == frame->room;
    if ((!bytes.data && bytes.size) || (is_room && bytes.size > frame->room_bytes))
        return rr__error_new(rt, RR_ERR_INVALID, frame->task, "it returned %zu bytes at %s",
                             bytes.size,
                             bytes.data ? "the room from rr_result, which is smaller" : "NULL");
    if (bytes.size == 0) return NULL;
    if (is_room) {
        result->block = frame->room, result->place = frame->room_place;
        frame->room = NULL;
        rr__result_shrink(cx, frame, result);
        return NULL;
    }
    rr_status status = rr__value_room(cx, bytes.size, &result->block, &result->place);
    if (status != RR_OK) return rr__error_of_status(rt, status, frame->task);
    memcpy(result->block, bytes.data, bytes.size);
    return NULL;
}

static rr__error *rr__result_refuse(rr__context *cx, rr__result *result, rr__error *error) {
    rr__value_return(cx, result->block, result->size, result->place);
    return error;
}

/* Between the body and the end of its scope. */
static RR__INLINE rr__error *rr__result_take(rr__context *cx, rr__frame *frame,
                                             const rr_function *fn, rr__result *result) {
    if (frame->error) return rr__result_refuse(cx, result, frame->error);
    int kind = fn->result.kind;
    if (RR__LIKELY(rr__kind_is_plain((unsigned)kind))) return NULL;
    if (kind == RR__KIND_BYTES) return rr__result_bytes(cx, frame, result);
    bool is_handle = kind == RR__KIND_REF || kind == RR__KIND_ACTOR;
    if (is_handle && !rr__result_handle(cx, result, kind == RR__KIND_ACTOR))
        return rr__error_new(cx->runtime, RR_ERR_STALE, frame->task,
                             "it returned a handle that leads to nothing: %s",
                             rr__handle_text(cx->runtime, result->inlined.ref));
    return NULL;
}

/* ---- arguments and room together (rule E6) ---- */

/* Room for the result, and the arguments (rule E6). Returns as rr__args_pass, and -1 for the
   result. */
static int rr__args_and_room(rr__context *cx, rr__object *task, void **args, rr__view *views,
                             rr__result *result, rr_status *status) {
    *status = rr__result_prepare(cx, task->of.fn, result);
    if (*status != RR_OK) return -1;
    int at = rr__args_pass(rr__after_room(cx), task, args, views, status);
    if (*status == RR_OK) return at;
    rr__value_return(rr__after_room(cx), result->block, result->size, result->place);
    result->block = NULL;
    return at;
}

/* The same, if it is possible without waiting for room. */
static int rr__args_at_once(rr__context *cx, rr__object *task, void **args, rr__view *views,
                            rr__result *result, rr_status *status) {
    rr__local *self = rr__self();
    self->is_hasty = task->by_ref != 0;
    int at = rr__args_and_room(cx, task, args, views, result, status);
    self->is_hasty = false;
    return at;
}

/* What has to be made again is, one after the other, with none of them in hand. Returns the first
   that cannot be, with the status, or -1. */
static int rr__args_remake(rr__context *cx, rr__object *task, rr_status *status) {
    const rr_function *fn = task->of.fn;
    char *at = rr__args_of(task);
    *status = RR_OK;
    for (int i = 0; task->by_ref >> i; at += rr__arg_bytes(fn, task->by_ref, i), i++) {
        rr__object *o = task->by_ref >> i & 1 ? rr__counted_arg(at) : NULL;
        if (!o || o->kind == RR__GATHER) continue;
        *status = rr__use(rr__here(cx), o);
        if (*status == RR_OK) rr__unuse(rr__here(cx), o);
        else return i;
    }
    return -1;
}

/* Where the store has no room for all of them it waits: holding none, or, one task at a time, those
   that it has (rule E6). */
static int rr__args_load(rr__context *cx, rr__object *task, void **args, rr__view *views,
                         rr__result *result, rr_status *status) {
    bool had;
    int at = rr__args_at_once(cx, task, args, views, result, status);
    if (RR__LIKELY(*status != RR_ERR_STORE_FULL) || !task->by_ref) return at;
    if (cx->runtime->config.evict == RR_EVICT_REBUILD) {
        at = rr__args_remake(cx, task, status);
        if (at < 0) at = rr__args_at_once(rr__here(cx), task, args, views, result, status);
        if (*status != RR_ERR_STORE_FULL) return at;
    }
    rr_status turn = rr__loader_begin(rr__here(cx), &had);
    if (turn == RR_OK) at = rr__args_and_room(rr__here(cx), task, args, views, result, status);
    else *status = turn;
    if (!had) rr__loader_end(rr__self());
    return at;
}

/* NULL, or why the arguments or room for the result cannot be had. Where values may leave. */
static RR__NOINLINE rr__error *rr__load(rr__context *cx, rr__object *task, void **args,
                                        rr__view *views, rr__result *result) {
    rr_status status;
    int i = rr__args_load(cx, task, args, views, result, &status);
    return RR__LIKELY(status == RR_OK) ? NULL : rr__args_error(rr__here(cx), task, i, status);
}

/* ---- the call ---- */

/* Structs that go through its stack, and are copied there, may not take more than half of it. */
static RR__NOINLINE rr__error *rr__stack_refuse(rr_runtime *rt, const rr__object *task) {
    return rr__error_new(rt, RR_ERR_INVALID, task,
                         "its arguments and its result are %zu bytes by value, which is more than "
                         "half of the %zu bytes of stack that a body finds: raise "
                         "rr_config.stack_bytes, or pass rr_bytes",
                         task->of.fn->by_value, rt->body_bytes);
}

/* Runs a body; on success *result holds what it returned. *at is the context in which it began, and
   then that in which it has ended. */
static RR__INLINE rr__error *rr__invoke(rr__context **at, rr__frame *frame, const rr_function *fn,
                                        void *state, rr__result *result) {
    rr__context *cx = *at;
    rr__object *task = frame->task;
    bool is_loaded = cx->runtime->evicts && fn->kind != RR__DESTRUCTOR;
    rr_status status = RR_OK;
    if (RR__UNLIKELY(fn->by_value > cx->runtime->body_bytes / 2))
        return rr__stack_refuse(cx->runtime, task);
    if (RR__LIKELY(!is_loaded)) status = rr__result_prepare(cx, fn, result);
    else result->block = NULL;
    if (status != RR_OK) return rr__error_of_status(cx->runtime, status, task);
    void *args[RR__MAX_PARAMS];
    rr__view views[RR__MAX_PARAMS];
    rr__frame_open(cx, frame);
    rr__error *error = NULL;
    if (RR__UNLIKELY(is_loaded)) error = rr__load(cx, task, args, views, result);
    else if (fn->kind != RR__DESTRUCTOR) error = rr__args_unpack(cx, task, args, views);
    if (RR__UNLIKELY(error != NULL)) {
        error = rr__result_refuse(rr__here(cx), result, error);
    } else {
        fn->thunk(state, args, result->block ? result->block : &result->inlined);
        error = rr__result_take(rr__frame_context(frame), frame, fn, result);
        if (RR__UNLIKELY(is_loaded)) rr__args_unuse(rr__frame_context(frame), task, fn->arity);
    }
    *at = rr__frame_close(cx, frame);
    return error;
}

/* After the body: a task's or message's arguments go, its value or error is stored. */
static RR__INLINE void rr__finish(rr__context *cx, rr__object *task, rr__error *error,
                                  rr__result *result) {
    if (error) {
        rr__fail_with(cx, task, error);
        return;
    }
    rr__object *recipe = NULL;
    if (RR__UNLIKELY(cx->runtime->evicts)) recipe = rr__recipe_of(cx, task, result);
    if (!recipe) rr__args_release(cx, task);
    task->place = result->place;
    if (RR__LIKELY(task->place == RR__IN_SLOT))
        rr__write_words(task, &result->inlined, result->size);
    else {
        rr__store_relaxed(&task->info, (uint64_t)result->size); /* published with word */
        task->data.block = result->block;
        if (RR__UNLIKELY(cx->runtime->evicts)) rr__stored_make(cx, task, recipe);
    }
    rr__count(cx, RR__FINISHED);
    rr__object *actor = rr__actor_of(task);
    rr__complete(cx, task, RR__READY);
    if (actor) rr__drop(cx, actor);
}

// >>tasks/rebuilding

/* Making dropped values again, by running their recipes on the thread that needs them; with what
   those need, as a loop, because a chain of them may be long.
   Locks: the store's. */

/* It is lost: its task has failed this time. */
static rr_status rr__rebuild_refuse(rr_runtime *rt, const rr__object *o, rr__error *error) {
    char text[RR__LOG_TEXT];
    const char *message = rr__error_message_of(error);
    snprintf(text, sizeof text, "an object made at %s could not be made again: %s", o->site,
             message);
    rr__log_again(rt, RR__LINE_LOST, RR_LOG_WARN, text);
    return rr__refuse(RR_ERR_OBJECT_LOST, "it could not be made again: %s", message);
}

/* Runs it, on this thread. */
static rr_status rr__rebuild_one(rr__context *cx, rr__stored *s) {
    rr_runtime *rt = cx->runtime;
    rr__object *o = s->object;
    rr__lane *lanes = NULL;
    rr__frame frame;
    rr__result result;
    rr__frame_init(&frame, s->recipe, &lanes, NULL);
    rr__error *error = rr__invoke(&cx, &frame, s->recipe->of.fn, NULL, &result);
    if (lanes) rr__lanes_abandon(cx, lanes);
    RR__STRESS_POINT();
    if (error) {
        rr_status status = error->status;
        bool is_lost = status != RR_ERR_STORE_FULL && status != RR_ERR_NO_MEMORY &&
                       status != RR_ERR_IO && status != RR_ERR_CANCELLED; /* it may be had later */
        if (is_lost) status = rr__rebuild_refuse(rt, o, error);
        rr__error_drop(error);
        return status;
    }
    rr__lock(&rt->store->lock);
    o->data.block = result.block, o->place = result.place;
    rr__store_relaxed(&o->info, (uint64_t)result.size); /* as before, if it is a function at all */
    rt->store->stats.objects_rebuilt++;
    rr__unlock(&rt->store->lock);
    return RR_OK;
}

/* A value that is made again, and the arguments before `next` of its recipe, which are pinned; or a
   gather among those, and its parts. */
typedef struct rr__rebuilding {
    rr__stored *stored;
    rr__object *gather;
    enum rr__residence was;
    size_t next;
} rr__rebuilding;

/* Pins what is needed, or claims it if it has to be made again itself: then it is *lost. */
static rr_status rr__rebuild_source(rr__context *cx, rr__object *o, rr__rebuilding *lost) {
    rr__stored *s = o->kind == RR__GATHER ? NULL : rr__stored_of(o);
    rr__parts *parts = o->kind == RR__GATHER ? o->extra.parts : NULL;
    rr_status status;
    if (parts) {
        status = rr__pin_or_claim(cx, &parts->word, &parts->filler, NULL, &lost->was);
        if (lost->was != RR__HERE) lost->gather = o;
        return status;
    }
    if (!s || !s->recipe) return rr__use(cx, o);
    status = rr__pin_or_claim(cx, rr__residence_at(o), &s->claimer, s->recipe, &lost->was);
    if (lost->was != RR__HERE) lost->stored = s;
    return status;
}

/* It could be made, or not. */
static void rr__rebuild_end(rr__context *cx, rr__rebuilding *step, rr_status status) {
    if (step->gather) rr__parts_claim_end(cx, step->gather, step->next, status);
    else rr__stored_claim_end(cx, step->stored, step->was, status);
}

/* Pins what it needs, from the next one on, up to one that is *lost. */
static rr_status rr__rebuild_pin(rr__context *cx, rr__rebuilding *step, rr__rebuilding *lost) {
    rr__parts *parts = step->gather ? step->gather->extra.parts : NULL;
    rr__object *recipe = step->gather ? NULL : step->stored->recipe;
    size_t count = parts ? parts->count : (size_t)recipe->of.fn->arity;
    char *at = recipe ? rr__args_of(recipe) : NULL;
    for (size_t i = parts ? step->next : 0; i < count; i++) {
        bool is_needed = i >= step->next && (parts || (recipe->by_ref >> i & 1));
        rr__object *o = !is_needed ? NULL : parts ? parts->objects[i] : rr__counted_arg(at);
        rr_status status = o ? rr__rebuild_source(rr__here(cx), o, lost) : RR_OK;
        if (status != RR_OK) return status;
        if (i >= step->next) step->next = i + 1;
        if (lost->stored || lost->gather) return RR_OK;
        if (recipe) at += rr__arg_bytes(recipe->of.fn, recipe->by_ref, (int)i);
    }
    return RR_OK;
}

/* Makes a value again that is RETURNING and the caller's, with what that needs: as a loop, because
   a chain of them may be long. On success it is here; the caller pins it. */
static rr_status rr__rebuild_with(rr__context *cx, rr__stored *root) {
    size_t n = 1, room = 16;
    rr__local *self = rr__self();
    rr__rebuilding *steps = RR_MALLOC(room * sizeof *steps);
    if (!steps) return RR_ERR_NO_MEMORY;
    steps[0] = (rr__rebuilding){root, NULL, RR__LOST, 0};
    rr_status status = RR_OK;
    while (n > 0) {
        cx = rr__here_of(self, cx);
        rr__rebuilding *step = &steps[n - 1], lost = {NULL, NULL, RR__LOST, 0};
        if (status == RR_OK) status = rr__rebuild_pin(cx, step, &lost);
        bool is_lost = lost.stored || lost.gather;
        if (is_lost && n == room) {
            rr__rebuilding *more = RR_REALLOC(steps, 2 * room * sizeof *steps);
            if (more) steps = more, room *= 2;
            else status = RR_ERR_NO_MEMORY;
            step = &steps[n - 1];
        }
        if (is_lost && status == RR_OK) {
            steps[n++] = lost;
            continue;
        }
        if (is_lost) { /* no memory to go on */
            rr__rebuild_end(cx, &lost, status);
            step->next--;
        }
        cx = rr__here_of(self, cx);
        if (step->stored) {
            if (status == RR_OK) status = rr__rebuild_one(cx, step->stored);
            cx = rr__here_of(self, cx);
            rr__args_unuse(cx, step->stored->recipe, (int)step->next);
        }
        if (--n > 0) {
            rr__rebuild_end(cx, step, status);
            if (status != RR_OK) steps[n - 1].next--; /* its argument, which is not pinned */
        }
    }
    RR_FREE(steps);
    return status;
}

static rr_status rr__rebuild(rr__context *cx, rr__stored *root) {
    rr__local *self = rr__self();
    if (self->fiber && !rr__has_stack(self)) return RR_ERR_NO_MEMORY; /* bodies ask for others */
    rr_runtime *outer = NULL;
    bool copies = rr__store_copy_is_body(cx, &outer);
    rr_status status = rr__rebuild_with(cx, root);
    if (copies) rr__store_copy_was_body(rr__here_of(self, cx), outer);
    return status;
}

// >>tasks/retries

/* Retries: a task whose body has failed is tried again, after a while.
   Locks: the timers'. */

/* How long to wait before the next attempt, in seconds: doubled each time, at most a minute, less
   up to a quarter, so that what failed together is not tried together. */
static double rr__retry_delay(const rr__control *control) {
    int doublings = control->attempt - 1 < 32 ? control->attempt - 1 : 32;
    double delay = 1e-3 * (double)control->retry_delay_ms * (double)((uint64_t)1 << doublings);
    uint64_t random = (control->task->slot * 2654435761u) ^ (uint64_t)(rr_now() * 1e9);
    random = (random ^ (random >> 31)) * 0x9e3779b97f4a7c15u; /* Fibonacci hashing, Knuth 6.4 */
    return (delay < 60 ? delay : 60) * (1 - 0.25 * (double)(random >> 40) / (double)(1 << 24));
}

static void rr__attempt_add(rr_runtime *rt, rr__control *control) {
    rr__lock(&rt->timers->lock); /* for rr__timers_revoke */
    control->attempt += control->attempt < INT_MAX - 1;
    rr__unlock(&rt->timers->lock);
}

/* The body has failed. Tries it again, if its options say so (true: it is no longer the caller's);
   else the error tells how often it was tried. Between attempts the task is WAITING, and its timer
   or, once it is unset, who unset it owns it. */
static RR__NOINLINE bool rr__retry(rr__context *cx, rr__object *task, rr__error **error) {
    rr__control *control = task->extra.control;
    rr_runtime *rt = cx->runtime;
    if (control->max_retries == 0) return false;
    if (control->attempt == control->max_retries) {
        *error = rr__error_after(rt, task, *error, "after %d attempts: ", control->attempt + 1);
        return false;
    }
    rr__error_drop(*error);
    rr__attempt_add(rt, control);
    rr__grant_return(cx, control);
    double delay = rr__retry_delay(control);
    bool is_decided = !rr__try_state(task, RR__RUNNING, RR__WAITING);
    if (is_decided || delay <= 0) {
        if (is_decided) rr__abandon(cx, task);
        else rr__enqueue(cx, task);
        return true;
    }
    rr__share(task); /* once its timer is set it may be over */
    rr__timer_set(rt, &control->retry, rr_now() + delay);
    bool unused;
    if (rr__is_decided(task) && rr__timers_revoke(rt, control, &unused)) rr__abandon(cx, task);
    rr__drop(cx, task);
    return true;
}

// >>tasks/functions

/* Calls of remote functions: what their options ask for, submitting, and running.
   Locks: none of its own. */

/* ---- options ---- */

static rr__error *rr__options_error(rr__context *cx, const rr__object *task,
                                    const rr_options *options) {
    const char *field =
        options->timeout_ms < 0       ? "timeout_ms must be 0 or more"
        : options->max_retries < -1   ? "max_retries must be -1 or more"
        : options->retry_delay_ms < 0 ? "retry_delay_ms must be 0 or more"
        : options->max_unread < 0     ? "max_unread must be 0 or more"
        : (options->max_unread || options->max_unread_bytes) && !task->of.fn->item.size
            ? "max_unread and max_unread_bytes are for streams "
              "(rr_call_stream_with)"
        : options->name && !*options->name ? "name must not be empty; NULL is its own"
        : options->blocking && options->num_cpus != 0
            ? "num_cpus means nothing with .blocking, which takes no worker"
            : NULL;
    return field ? rr__error_new(cx->runtime, RR_ERR_INVALID, task, "rr_options.%s", field) : NULL;
}

/* Gives a task, which is not published yet, what its options need. On an error, too, it has them
   until it is ended. */
static rr__error *rr__control_new(rr__context *cx, rr__object *task, const rr_options *options) {
    rr_runtime *rt = cx->runtime;
    int64_t needs[RR__STOCKS] = {0};
    size_t name_size = options->name && *options->name ? strlen(options->name) + 1 : 0;
    rr__control *control = RR_CALLOC(1, sizeof *control + name_size);
    if (!control) return rt->no_memory;
    control->task = task, task->extra.control = control;
    control->limit.control = control->retry.control = control->turn.control = control;
    if (name_size) control->name = memcpy(control + 1, options->name, name_size);
    rr__store_relaxed(&task->word, RR__HAS_CONTROL); /* nobody else is here yet */

    rr__error *error = rr__options_error(cx, task, options);
    if (!error) error = rr__needs_read(rt, task, options->num_cpus, options->resources, needs);
    if (error) return error;
    control->max_retries = options->max_retries, control->retry_delay_ms = options->retry_delay_ms;
    control->is_blocking = options->blocking, control->no_rebuild = options->no_rebuild;
    control->has_limit = options->timeout_ms != 0;
    if (task->of.fn->item.size) {
        control->stream = rr__stream_new(options->max_unread, options->max_unread_bytes);
        if (!control->stream) return rt->no_memory;
    }
    if (options->timeout_ms || (options->max_retries && options->retry_delay_ms)) {
        if (!rr__timers_promise(rt, 2)) return rt->no_memory;
        control->timers = 2;
    }
    return rr__turn_new(rt, control, needs, options->priority, false) ? NULL : rt->no_memory;
}

/* With the slot; what it has set or taken went before. */
static void rr__control_free(rr__control *control) {
    if (control) rr__stream_free(control->stream);
    RR_FREE(control);
}

/* ---- running ---- */

static void rr__run_begin(rr__context *cx, rr__frame *frame, rr__control *control) {
    rr__local *self = frame->self = rr__self();
    if (control->is_blocking) rr__block_begin(frame);
    if (control->stream) control->stream->now = 0;
    if (!control->shape) return;
    frame->granted = control;
    self->granted++;
    if (!control->shape->amounts[RR__CPU]) return;
    self->apart++;
    rr__apart_enter(cx, control);
}

/* Also when there was no room for a result, and the frame was never opened. */
static void rr__run_end(rr__frame *frame) {
    rr__local *self = frame->self;
    if (frame->blocking) rr__block_over(frame);
    if (!frame->granted) return;
    self->granted--;
    if (frame->granted->shape->amounts[RR__CPU]) self->apart--;
}

static RR__INLINE void rr__run_function(rr__context *cx, rr__object *task) {
    rr__lane *lanes = NULL;
    rr__frame frame;
    rr__result result;
    rr__frame_init(&frame, task, &lanes, NULL);
    bool has_control = (rr__load_relaxed(&task->word) & RR__HAS_CONTROL) != 0; /* fixed */
    if (RR__UNLIKELY(has_control)) rr__run_begin(cx, &frame, task->extra.control);
    if (RR__UNLIKELY(cx->runtime->config.max_pending)) rr__pending_end(cx, task);
    rr__error *error = rr__invoke(&cx, &frame, task->of.fn, NULL, &result);
    if (lanes) rr__lanes_abandon(cx, lanes);
    if (RR__UNLIKELY(has_control)) {
        rr__run_end(&frame);
        cx = rr__here_of(frame.self, cx);
    }
    if (RR__UNLIKELY(error && has_control) && rr__retry(cx, task, &error)) return;
    rr__finish(cx, task, error, &result);
}

/* ---- as a class ---- */

/* Every argument is complete: to the queue, or the failure is passed on. */
static void rr__function_ready(rr__context *cx, rr__object *task) {
    rr__error *error = rr__failed_argument(cx, task);
    if (error) rr__fail_with(cx, task, error);
    else rr__enqueue(cx, task);
}

static void rr__function_run(rr__context *cx, rr__object *task, const rr__step *until) {
    (void)until;
    rr__run_function(cx, task);
    if (RR__UNLIKELY(cx->runtime->evicts)) rr__store_leave(rr__here(cx));
}

static void rr__function_abandon(rr__context *cx, rr__object *task) {
    rr__task_give_up(cx, task);
    rr__drop(cx, task);
}

/* It waits in the list of an argument, which gives it up when that is complete. */
static void rr__function_decided(rr__context *cx, rr__object *task) { (void)cx, (void)task; }

static void rr__function_due(rr__context *cx, rr__object *task, bool is_retry) {
    if (is_retry) rr__enqueue(cx, task);
    else rr__cancel_tree(cx, task, RR__IS_LATE);
}

static void rr__function_begun(rr__context *cx, rr__object *task) {
    (void)task;
    rr__sub_seq_cst(&cx->runtime->tasks->pending, (int64_t)1);
}

static void rr__function_end(rr__context *cx, rr__object *task) {
    rr__control_free(rr__control_of(task));
    rr__outcome_free(cx, task);
}

/* ---- submitting ---- */

/* Stopping and submitting from outside go on at the same time. rr__quiesce adds up what was
   submitted and what has ended, sets has_quiesced when that is the same, and adds up again; a
   submitter counts first and then looks at has_quiesced (all seq_cst). So either rr__quiesce sees
   the count and waits for the task, or the submitter sees has_quiesced and fails it. */
static bool rr__is_too_late(rr__context *cx) {
    return rr__load_seq_cst(&cx->runtime->has_quiesced) && !rr__load_relaxed(&cx->frame);
}

/* A task that is complete but for its arguments: counts 2 (the caller's and its own), or 1. */
static RR__INLINE rr__object *rr__task_new(rr__context *cx, enum rr__kind kind,
                                           const rr_function *fn, const char *site) {
    rr__object *task = rr__object_new(cx, kind, site);
    if (!task) return NULL;
    rr__frame *frame = rr__load_relaxed(&cx->frame); /* the owner's own */
    task->of.fn = fn;
    if (frame) rr__parent_note(cx, task, frame);
    uint64_t n = rr__load_relaxed(&cx->counters[RR__SUBMITTED]); /* only the owner writes */
    if (!cx->is_worker) rr__store_seq_cst(&cx->counters[RR__SUBMITTED], n + 1); /* see above */
    else rr__store_release(&cx->counters[RR__SUBMITTED], n + 1);
    return task;
}

static rr__error *rr__call_error(rr__context *cx, rr_function *fn, rr__object *task) {
    if (rr__load_acquire(&fn->state) != RR__VALID)
        return rr__error_new(cx->runtime, RR_ERR_DUPLICATE, task,
                             "another remote function has this name; this one is at %s", fn->site);
    if (rr__is_too_late(cx)) return rr__error_of_status(cx->runtime, RR_ERR_NOT_RUNNING, task);
    return NULL;
}

static void rr__submit_failed(rr__context *cx, rr__object *task, rr__error *error, uint32_t count) {
    uint64_t flag = rr__load_relaxed(&task->word); /* RR__HAS_CONTROL; nobody else is here yet */
    if (flag) rr__control_end(cx, task->extra.control);
    task->data.error = error;
    rr__count(cx, RR__ERRORS);
    rr__publish_with(task, RR__FAILED, count - 1, task->of.fn->result.kind, flag);
    rr__signal_if_stopping(cx->runtime);
}

static void rr__pending_begin(rr__context *cx, rr__object *task) {
    rr__flag_set(task, RR__IS_PENDING);
    rr__add_seq_cst(&cx->runtime->tasks->pending, (int64_t)1);
}

/* rr_config.max_pending: a caller from outside runs tasks, or waits, until fewer are pending. A
   body goes on: it might bury itself under what waits for it. */
static RR__NOINLINE void rr__make_way(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    double length = 50e-6;
    if (rr__load_relaxed(&cx->frame)) return; /* the owner's own */
    rr__local *self = rr__self();
    bool began = rr__serve_begin(cx);
    while (rr__load_relaxed(&rt->tasks->pending) >= rt->config.max_pending) { /* a counter */
        rr__object *o = rr__fiber_ready_to_go(cx) ? rr__find_work(cx) : NULL;
        if (o) {
            rr__run_on(self, cx, o, NULL);
            length = 50e-6;
        } else if (rr__stands_still(rt)) {
            break;
        } else {
            rr__sleep(length);
            if (length < 1e-3) length *= 2;
        }
    }
    rr__serve_end(cx, began);
}

/* The options are NULL for most calls, which is known where this is compiled into. */
static RR__INLINE rr_ref rr__submit(rr__context *cx, rr_function *fn, const rr__arg *args,
                                    const rr_options *options, const char *site) {
    rr__local *self = rr__self();
    if (!rr__scope_ready(self)) return rr__status_ref(RR_ERR_NO_MEMORY);
    bool is_valid = rr__is_valid(fn);
    rr__object *task = rr__task_new(cx, RR__FUNCTION, fn, site);
    if (!task) return rr__status_ref(RR_ERR_NO_MEMORY);
    rr_ref ref = rr__ref_to(cx, task);
    rr__scope_hold(self, cx, task, false);
    rr__error *error =
        RR__LIKELY(is_valid && !rr__is_too_late(cx)) ? NULL : rr__call_error(cx, fn, task);
    if (!error) error = rr__parent_error(cx, task);
    if (!error && options) error = rr__control_new(cx, task, options);
    if (!error) error = rr__args_pack(cx, task, args);
    cx = rr__after_room(cx);
    if (error) {
        rr__submit_failed(cx, task, error, 2);
        return ref;
    }
    if (RR__UNLIKELY(cx->runtime->config.max_pending)) rr__pending_begin(cx, task);
    /* With options it is not queued before its timer is set: who cancels it may not end it. */
    bool is_ready = !task->by_ref && !options;
    rr__publish_with(task, is_ready ? RR__QUEUED : RR__WAITING, 2, fn->result.kind,
                     options ? RR__HAS_CONTROL : 0);
    if (options && options->timeout_ms > 0)
        rr__timer_set(cx->runtime, &task->extra.control->limit, rr__deadline(options->timeout_ms));
    if (is_ready) rr__push(cx, task);
    else rr__proceed(cx, task);
    rr__heed_parent(cx, ref);
    return ref;
}

// >>actors/mailbox

/* Mailboxes. The mailbox is one word in the slot: a stack of messages (Treiber 1986) that the
   runner takes whole and reverses, or the mark IDLE, whose change schedules the actor. Vyukov's
   queue would save the reversal, but needs two words and a node of its own, and a push that is
   seen only half.
   Rules  A1  A message holds a count of its actor until it has ended and the runner has settled: so
              an actor whose count is 0 has no messages, and nobody can send it one.
          A2  Who changes the mailbox from IDLE to anything else schedules the actor, and only then
              is it scheduled: so it is in one place at a time.
          A3  The mailbox word lies in the slot, not in the block that goes with the actor, and in
              a field that holds IDLE for actors only: who has made it IDLE, or dropped the last
              count, touches it once more (rr__actor_poke), when the slot may be another's.
          A4  Messages of one caller enter the mailbox in the order in which they were sent: those
              behind one that waits for an argument queue in the caller's lane, and leave it for the
              mailbox under the lane's lock.
   Locks: the shard lock of the actor. */

typedef struct rr__care rr__care;

/* The mailbox is actor->dependents: NULL (claimed by a runner, empty), a stack of messages
   (newest first), or one of these two. Pushing onto IDLE schedules the actor. */
#define RR__IDLE ((rr__object *)(uintptr_t)1)

enum { RR__MANY_MESSAGES = 10000 }; /* the log warns of them */

#define RR__ENDED UINT32_MAX /* nobody can watch it any more */

/* What an actor has beside its slot, in front of its state and in one block with that. Small: there
   may be a million of them. */
struct rr__actor {
    rr__object *first;             /* taken out of the mailbox, in order; shard lock */
    rr__lane *lanes;               /* of calls that its bodies made; runner only */
    rr__lane *senders;             /* lanes of messages to it; shard lock */
    RR__ATOMIC(rr__error *) death; /* set once, by who ends it */

    rr__care *care;              /* its options; NULL: none; fixed when it is published */
    uint32_t watch;              /* slot of the one for all who watch; 0: none; ENDED; shard lock */
    uint32_t owed;               /* counts of messages that have begun; runner only */
    RR__ATOMIC(uint16_t) others; /* counts that were no messages when last counted */
    RR__ATOMIC(uint8_t) warned;  /* so often about the length of its mailbox */
    uint8_t place;
    bool is_doomed;  /* the queue is closed for the runner; shard lock */
    bool is_counted; /* its creation has ended, one way or the other; below: runner only */
    bool is_born;    /* there is a state */
    bool has_args;   /* the constructor's arguments are still there */
    bool is_refused; /* its options cannot be; fixed when it is published */
};

/* What an actor with options has. Of the control: the name, the restarts (max_retries, attempt,
   retry) and what it needs. */
struct rr__care {
    rr__control control;
    int max_method_retries;
    int max_pending;         /* 0: no limit */
    RR__ATOMIC(int) pending; /* messages that have not begun, if there is a limit */
    bool senders_wait;       /* for room: .when_full, see actors/admission.h; fixed */
    RR__ATOMIC(int) waiting; /* those that do: in `senders`, or about to be */
    rr__line senders;        /* and in which order; shard lock */
    int max_concurrency;     /* at least 1; with more: see rr__crew_run */
    int inside;              /* methods that were handed out and have not left; shard lock */
    bool is_parked;          /* the runner waits for one of them to leave; shard lock */
    int restarts;            /* so often it was made anew; runner only */
    bool has_waited;         /* for the restart; runner only */
    rr__error *crash;        /* of one of them; shard lock */
};

/* Of a message that rests. True: the caller must schedule the actor (A2). *closed: it has ended,
   and nothing was pushed. */
static bool rr__mailbox_push(rr__object *actor, rr__object *message, bool *closed) {
    rr__object *head = rr__load_acquire(&actor->dependents);
    rr__store_release(&message->waits_on, actor);
    do {
        if ((*closed = head == RR__CLOSED)) return false;
        message->next = head == RR__IDLE ? NULL : head;
    } while (!rr__cas_seq_cst(&actor->dependents, &head, message));
    return head == RR__IDLE;
}

static rr__error *rr__dead_error(rr__context *cx, rr__object *message, rr__object *actor) {
    rr__error *death = rr__load_acquire(&actor->extra.own->death), *error;
    char times[64] = "it was not executed";
    if (message->attempt)
        snprintf(times, sizeof times, "its actor crashed in it (it was executed, %d time%s)",
                 message->attempt, message->attempt == 1 ? "" : "s");
    if (!death)
        return rr__error_new(cx->runtime, RR_ERR_ACTOR_DEAD, message, "%s: its actor has ended",
                             times);
    bool is_refused = actor->extra.own->is_refused;
    error =
        rr__error_after(cx->runtime, message, rr__error_share(death), "%s: its actor %s: ", times,
                        is_refused ? "could not be made" : "is dead");
    bool is_static = rr__load_relaxed(&error->count) == 0;
    /* From outside it came too late, as all calls that meet the end of the runtime. */
    bool is_late = death->status == RR_ERR_NOT_RUNNING && rr__is_from_outside(message);
    if (!is_static && !is_refused && !is_late) error->status = RR_ERR_ACTOR_DEAD;
    return error;
}

/* Ends messages, linked by next, that will not run. */
static void rr__refuse_all(rr__context *cx, rr__object *actor, rr__object *message) {
    for (rr__object *next; message; message = next) {
        next = message->next;
        if (rr__pick_up(cx, message))
            rr__fail_with(cx, message, rr__dead_error(cx, message, actor));
    }
}

static rr__object *rr__reversed(rr__object *list) {
    rr__object *out = NULL;
    for (rr__object *next; list; list = next) {
        next = list->next, list->next = out, out = list;
        RR__PREFETCH(list); /* its first line, for when it runs */
    }
    return out;
}

/* Takes what lies in the mailbox, in order; leaves the states IDLE and CLOSED alone. */
static rr__object *rr__mailbox_drain(rr__object *actor) {
    rr__object *head = rr__load_acquire(&actor->dependents);
    do {
        if (!head || head == RR__IDLE || head == RR__CLOSED) return NULL;
    } while (!rr__cas_seq_cst(&actor->dependents, &head, (rr__object *)NULL));
    return rr__reversed(head);
}

/* Runner only: the next message, RUNNING; NULL if there is none. Under the lock because rr_kill
   takes the queue from outside. Who ends the actor sets is_doomed before it empties the queue under
   the same lock: so no message runs after an earlier one of its caller was refused. */
static rr__object *rr__mailbox_next(rr__context *cx, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    for (;;) {
        rr__lock(&shard->lock);
        if (!a->first) a->first = rr__mailbox_drain(actor);
        rr__object *message = a->is_doomed ? NULL : a->first;
        if (message) a->first = message->next;
        rr__unlock(&shard->lock);
        if (!message || rr__try_begin(message)) return message;
        rr__abandon(cx, message); /* cancelled */
    }
}

static bool rr__mailbox_has_batch(rr__context *cx, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__shard *shard = rr__shard_lock(cx->runtime, actor);
    bool has = a->first != NULL;
    rr__unlock(&shard->lock);
    return has;
}

/* Puts a message back to where it was taken from. It is WAITING, and the mailbox's again. */
static void rr__mailbox_return(rr__context *cx, rr__object *actor, rr__object *message) {
    rr__actor *a = actor->extra.own;
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    if (!rr__try_state(message, RR__RUNNING, RR__WAITING)) {
        rr__abandon(cx, message);
        return;
    }
    rr__store_release(&message->waits_on, actor);
    rr__rest(message);
    rr__lock(&shard->lock);
    bool is_closed = a->is_doomed;
    if (!is_closed) message->next = a->first, a->first = message;
    rr__unlock(&shard->lock);
    if (is_closed && rr__pick_up(cx, message))
        rr__fail_with(cx, message, rr__dead_error(cx, message, actor));
}

/* ---- how long it is ---- */

/* Messages that have not begun. Under the shard lock, without which none leaves. */
static size_t rr__mailbox_length_locked(rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__object *head = rr__load_acquire(&actor->dependents);
    size_t n = 0;
    if (head == RR__IDLE || head == RR__CLOSED) head = NULL;
    for (rr__object *message = head; message; message = message->next) n++;
    for (rr__object *message = a->first; message; message = message->next) n++;
    for (rr__lane *lane = a->senders; lane; lane = lane->after)
        for (rr__object *m = lane->first; m; m = m->data.hold->next) n++;
    return n;
}

static size_t rr__mailbox_length(rr__context *cx, rr__object *actor) {
    rr__shard *shard = rr__shard_lock(cx->runtime, actor);
    size_t n = rr__mailbox_length_locked(actor);
    rr__unlock(&shard->lock);
    return n;
}

/* An actor with so many counts may have as many messages: says so once for 10,000, and again for
   each time twice as many; looks eight times on the way to that. Only the first time they are
   counted one by one, later what was counted beside them is taken off: that takes the lock, which
   the runner needs for each message, and their lines out of its cache. */
static RR__NOINLINE void rr__mailbox_watch(rr__context *cx, rr__object *actor, uint32_t count) {
    rr__actor *a = actor->extra.own;
    uint32_t eighth = (uint32_t)1 << (rr__highest_bit(count) - 3);
    uint8_t warned = rr__load_relaxed(&a->warned); /* counters, as all here */
    uint16_t others = rr__load_relaxed(&a->others);
    size_t limit = (size_t)RR__MANY_MESSAGES << warned, n = count > others ? count - others : 0;
    if (count % eighth || n < limit) return;
    if (!warned || others == UINT16_MAX) {
        n = rr__mailbox_length(cx, actor);
        size_t beside = count > n ? count - n : 0;
        rr__store_relaxed(&a->others, (uint16_t)(beside < UINT16_MAX ? beside : UINT16_MAX));
    }
    if (n < limit || !rr__cas_seq_cst(&a->warned, &warned, (uint8_t)(warned + 1))) return;
    rr__log(&cx->runtime->config, RR_LOG_WARN,
            "about %zu messages wait at the actor '%s' (spawned at %s): they come faster than it "
            "runs them; .max_pending is a limit",
            n, actor->of.fn->self.name, actor->site);
}

// >>actors/admission

/* Room in a mailbox that has a limit (rr_actor_options.max_pending), and senders that wait for it
   (.when_full). `pending` counts the messages that were admitted and have not begun.
   Rules  M1  Who makes `pending` less looks at `waiting` after that, and who waits adds itself to
              `waiting` before it looks for room a last time (all seq_cst): so one sees the
              other.
          M2  Room goes to the first in line, from who makes it, under the shard lock, by which he
              waits no more. While somebody does others line up behind; but not behind those that
              have room and have not gone on yet: or, the mailbox once full, each message would
              change from one sender to the next for ever (a convoy: Blasgen and others, 1979).
          M3  Who ends the actor closes its queue, and then gives all in line the sign, both under
              the shard lock: so nobody waits for a mailbox that is closed.
   Locks: the shard lock of the actor. */

static bool rr__mailbox_has_room(rr__care *care) {
    int pending = rr__load_seq_cst(&care->pending); /* M1 */
    do {
        if (pending >= care->max_pending) return false;
    } while (!rr__cas_seq_cst(&care->pending, &pending, pending + 1));
    return true;
}

/* Gives the sign to who waits: room to as many as there is room for, or, the actor ends, to all. */
static RR__NOINLINE void rr__senders_wake(rr__context *cx, rr__object *actor, bool ends) {
    rr__care *care = actor->extra.own->care;
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    for (rr__parker *parker = NULL;; rr__wake(cx, parker)) {
        rr__lock(&shard->lock);
        bool goes_on = care->senders.first && (ends || rr__mailbox_has_room(care));
        if (goes_on) parker = rr__line_pop(&care->senders), rr__sub_seq_cst(&care->waiting, 1);
        rr__unlock(&shard->lock);
        if (!goes_on) return;
    }
}

/* A message has begun, or ends without. It counts the actor. */
static void rr__mailbox_left(rr__context *cx, rr__object *actor) {
    rr__care *care = actor->extra.own->care;
    rr__sub_seq_cst(&care->pending, 1);
    if (RR__UNLIKELY(rr__load_seq_cst(&care->waiting) > 0)) rr__senders_wake(cx, actor, false);
}

/* Lines up, unless there is room, or the actor has ended. */
static bool rr__senders_join(rr__object *actor, rr__shard *shard, rr__sleeper *s, bool *ends) {
    rr__care *care = actor->extra.own->care;
    rr__lock(&shard->lock);
    *ends = actor->extra.own->is_doomed;
    rr__add_seq_cst(&care->waiting, 1); /* rule M1 */
    bool waits = !*ends && (care->senders.first || !rr__mailbox_has_room(care));
    if (waits) rr__line_add(&care->senders, s);
    else rr__sub_seq_cst(&care->waiting, 1);
    rr__unlock(&shard->lock);
    return waits;
}

/* Waits for room. A body that waits for itself by way of the actor is told so. */
static rr_status rr__sender_wait(rr__context **at, rr__object *actor) {
    char ring[RR__RING_TEXT];
    rr__context *cx = *at;
    rr__care *care = actor->extra.own->care;
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    rr__sleeper s = rr__sleeper_of(cx);
    bool ends, waits, is_thread = s.parker == &cx->parker;
    bool began = is_thread && rr__serve_begin(cx); /* rr_shutdown lets it send */
    s.may_starve = true, s.ring = ring;
    if ((waits = rr__senders_join(actor, shard, &s, &ends))) rr__linked_wait(&s, actor, -1);
    *at = cx = rr__here_of(s.self, cx);
    rr__lock(&shard->lock);
    bool has_room = !waits || s.fired > 0;
    if (!has_room) rr__line_remove(&care->senders, &s), rr__sub_seq_cst(&care->waiting, 1);
    ends = ends || actor->extra.own->is_doomed;
    rr__unlock(&shard->lock);
    rr__serve_end(cx, began);
    if (ends) return RR_ERR_ACTOR_DEAD;
    return has_room ? RR_OK : rr__wait_outcome(&s, RR__NULL_REF);
}

static bool rr__is_pending(rr__object *message) {
    return (rr__load_relaxed(&message->flags) & RR__IS_PENDING) && !rr__is_decided(message);
}

/* What senders may hope for. Of a crew's messages those that were handed out will begin. */
static rr__hope rr__mailbox_hope(rr__context *cx, rr__object *actor, rr__visit *visit, void *arg) {
    rr__actor *a = actor->extra.own;
    rr__shard *shard = rr__shard_lock(cx->runtime, actor);
    rr__object *head = rr__load_acquire(&actor->dependents);
    rr__hope hope = {0, 0, a->is_doomed};
    if (head == RR__IDLE || head == RR__CLOSED) head = NULL;
    for (rr__object *m = head; m; m = m->next) hope.queued += rr__is_pending(m);
    for (rr__object *m = a->first; m; m = m->next) hope.queued += rr__is_pending(m);
    for (rr__lane *lane = a->senders; lane; lane = lane->after)
        for (rr__object *m = lane->first; m; m = m->data.hold->next) {
            if (rr__is_pending(m)) visit(arg, m), hope.held++;
        }
    int pending = rr__load_seq_cst(&a->care->pending); /* rule M1 */
    hope.is_moving |= pending < a->care->max_pending || pending != hope.queued + hope.held;
    rr__unlock(&shard->lock);
    return hope;
}

static rr__error *rr__sender_error(rr__context *cx, rr__object *actor, rr__object *message,
                                   rr_status status) {
    if (status == RR_ERR_ACTOR_DEAD) return rr__dead_error(cx, message, actor);
    return rr__error_new(cx->runtime, status, message,
                         "it was not executed: its mailbox was full: %s", rr__self()->note.text);
}

/* One more message, if there may be one. *at: the caller's context, another one if it waited. */
static rr__error *rr__mailbox_admit(rr__context **at, rr__object *actor, rr__object *message) {
    /* The actor's block is its runner's: senders look at the slot. */
    if (RR__LIKELY(!(rr__load_relaxed(&actor->word) & RR__HAS_CARE))) return NULL; /* fixed */
    rr__care *care = actor->extra.own->care;
    if (!care->max_pending) return NULL;
    bool has_room = !rr__load_seq_cst(&care->waiting) && rr__mailbox_has_room(care);
    if (!has_room && !care->senders_wait)
        return rr__error_new((*at)->runtime, RR_ERR_MAILBOX_FULL, message,
                             "it was not executed: %d messages wait at its actor (spawned at %s), "
                             "which is its .max_pending: send later, raise that, or wait "
                             "(.when_full = RR_WAIT)",
                             care->max_pending, actor->site);
    rr_status status = has_room ? RR_OK : rr__sender_wait(at, actor);
    if (status != RR_OK) return rr__sender_error(*at, actor, message, status);
    rr__flag_set(message, RR__IS_PENDING);
    return NULL;
}

// >>actors/held

/* Held messages: those that went through a lane, because they wait for an argument or stand
   behind one that does (tasks/lanes.h). They arrive, fail, are cancelled, or their actor dies.
   Locks: the shard lock of the actor. */

/* Under the shard lock of the actor. */
static void rr__lane_unlink_locked(rr__lane *lane) {
    rr__actor *a = lane->actor->extra.own;
    if (lane->before) lane->before->after = lane->after;
    else a->senders = lane->after;
    if (lane->after) lane->after->before = lane->before;
}

/* The message leaves its lane; returns the one that was behind it there. Under the shard lock. */
static rr__object *rr__hold_end(rr__object *message) {
    rr__object *next = message->data.hold->next;
    RR_FREE(message->data.hold);
    message->data.hold = NULL;
    message->lane_flags &= (uint8_t)~RR__IN_LANE;
    return next;
}

/* Moves what has arrived at the head of a lane into the mailbox (rule A4). Under the shard lock.
   Returns messages that found the actor ended, linked by next. */
static rr__object *rr__lane_drain_locked(rr__lane *lane, bool *schedule) {
    rr__object *refused = NULL, *message;
    while ((message = lane->first) && (message->lane_flags & RR__HAS_ARRIVED)) {
        bool closed;
        lane->first = rr__hold_end(message);
        if (rr__mailbox_push(lane->actor, message, &closed)) *schedule = true;
        if (closed) message->next = refused, refused = message;
    }
    if (!lane->first) rr__lane_unlink_locked(lane);
    return rr__reversed(refused);
}

/* The message in front of this one; NULL if it is the first. Linear: for those out of turn. */
static rr__object *rr__lane_before_locked(rr__lane *lane, rr__object *message) {
    rr__object *before = NULL, *m = lane->first;
    while (m != message) before = m, m = m->data.hold->next;
    return before;
}

static void rr__lane_remove_locked(rr__lane *lane, rr__object *message) {
    rr__object *before = rr__lane_before_locked(lane, message), *after = rr__hold_end(message);
    if (before) before->data.hold->next = after;
    else lane->first = after;
    if (lane->last == message) lane->last = before;
    if (after && (after->lane_flags & RR__HAS_ARRIVED)) rr__store_release(&after->waits_on, before);
}

/* The actor died while the message waited: rr__held_refuse ends it, and leaves to us, who may be
   reading them, its arguments and its own counts. */
static void rr__held_bury(rr__context *cx, rr__object *message) {
    rr__object *actor = message->extra.actor;
    rr__args_release(cx, message);
    rr__drop(cx, message);
    rr__drop(cx, actor);
}

/* What a change of a lane has left to do, without the lock: `late` found the actor ended. */
static void rr__lane_settle(rr__context *cx, rr__object *actor, rr__lane *unused, bool schedule,
                            rr__object *late) {
    RR_FREE(unused);
    if (schedule) rr__make_claimable(cx, actor);
    rr__refuse_all(cx, actor, late);
}

static rr__lane *rr__lane_unused_locked(rr__lane *lane) {
    return lane->is_orphan && !lane->first ? lane : NULL;
}

/* A held message has its arguments (arrived), or has failed and leaves its lane. False: its actor
   died meanwhile and the message is gone. */
static bool rr__lane_step(rr__context *cx, rr__object *message, bool leaves) {
    rr__object *actor = message->extra.actor;
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    bool schedule = false;
    rr__lane *unused = NULL;
    rr__object *late = NULL;
    rr__share(actor); /* the message may be over before we are */
    rr__lock(&shard->lock);
    bool is_refused = (message->lane_flags & RR__IS_REFUSED) != 0;
    bool is_in = !is_refused && (message->lane_flags & RR__IN_LANE);
    rr__lane *lane = is_in ? message->data.hold->lane : NULL;
    message->lane_flags |= RR__HAS_ARRIVED;
    if (lane && !leaves) rr__rest(message);
    if (lane && leaves) rr__lane_remove_locked(lane, message);
    else if (lane) rr__store_release(&message->waits_on, rr__lane_before_locked(lane, message));
    if (lane) late = rr__lane_drain_locked(lane, &schedule);
    if (lane) unused = rr__lane_unused_locked(lane);
    rr__unlock(&shard->lock);
    if (is_refused) rr__held_bury(cx, message);
    else if (!is_in) rr__abandon(cx, message); /* it was cancelled: rr__lane_forget */
    rr__lane_settle(cx, actor, unused, schedule, late);
    rr__drop(cx, actor);
    return is_in;
}

/* Its owner asks. */
static bool rr__is_held(rr__object *message) {
    return (rr__load_relaxed(&message->flags) & RR__IS_HELD) != 0;
}

/* It was decided while it lay in the list of an argument, whose owner now finds that out. Who
   decided it may not have taken it out of its lane yet: then that finds that it has arrived, and
   abandons it. False: it is in no lane any more. */
static bool rr__lane_keeps(rr__context *cx, rr__object *message) {
    rr__shard *shard = rr__shard_lock(cx->runtime, message->extra.actor);
    bool is_in = (message->lane_flags & RR__IN_LANE) != 0;
    if (is_in) message->lane_flags |= RR__HAS_ARRIVED;
    rr__unlock(&shard->lock);
    return is_in;
}

static bool rr__lane_leave(rr__context *cx, rr__object *message) {
    return !rr__is_held(message) || rr__lane_step(cx, message, true);
}

/* A cancelled message does not hold back those behind it. One that has its arguments is nobody's
   then; another one still lies in the list of an argument, whose owner finds it gone. */
static void rr__lane_forget(rr__context *cx, rr__object *message) {
    rr__object *actor = message->extra.actor,
               *late = NULL; /* fixed; there as long as it is in a lane */
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    rr__lane *unused = NULL;
    bool schedule = false, has_arrived;
    rr__lock(&shard->lock);
    bool is_in = (message->lane_flags & RR__IN_LANE) != 0;
    rr__lane *lane = is_in ? message->data.hold->lane : NULL;
    has_arrived = (message->lane_flags & RR__HAS_ARRIVED) != 0;
    if (is_in) {
        rr__share(actor);
        rr__lane_remove_locked(lane, message);
        late = rr__lane_drain_locked(lane, &schedule);
        unused = rr__lane_unused_locked(lane);
    }
    rr__unlock(&shard->lock);
    if (!is_in) return;
    rr__lane_settle(cx, actor, unused, schedule, late);
    if (has_arrived) rr__abandon(cx, message);
    rr__drop(cx, actor);
}

/* A message that was cancelled while it entered its lane. */
static void rr__lane_recheck(rr__context *cx, rr_ref ref) {
    rr__object *message = rr__pin(cx, ref, false); /* told, it may be gone */
    if (message && rr__is_decided(message)) rr__lane_forget(cx, message);
    if (message) rr__drop(cx, message);
}

/* For who ends the actor: takes all messages out of its lanes. Those that have their arguments are
   added to *arrived; the others, which lie in the list of an argument, are returned with a count
   more, linked by their holds, and belong to both: see rr__held_bury. Under the shard lock. */
static rr__object *rr__lanes_empty_locked(rr__object *actor, rr__object **arrived) {
    rr__actor *a = actor->extra.own;
    rr__object *waiting = NULL;
    while (a->senders) {
        rr__lane *lane = a->senders;
        for (rr__object *message = lane->first, *next; message; message = next) {
            next = message->data.hold->next;
            if (message->lane_flags & RR__HAS_ARRIVED) {
                rr__hold_end(message);
                rr__store_release(&message->waits_on, actor); /* not one that goes before it */
                message->next = NULL, *arrived = message, arrived = &message->next;
                continue;
            }
            message->lane_flags = RR__IS_REFUSED;
            rr__share(message);
            message->data.hold->next = waiting, waiting = message;
        }
        lane->first = lane->last = NULL;
        rr__lane_unlink_locked(lane);
        if (lane->is_orphan) RR_FREE(lane);
    }
    return waiting;
}

static void rr__held_refuse(rr__context *cx, rr__object *actor, rr__object *message) {
    for (rr__object *next; message; message = next) {
        next = message->data.hold->next;
        RR_FREE(message->data.hold);
        if (rr__make_bare(message)) {
            rr__args_release(cx, message);
        } else if (rr__is_bare(message)) { /* who decided it has ended it */
            rr__drop(cx, message);
            continue;
        }
        rr__count(cx, RR__ERRORS);
        message->data.error = rr__dead_error(cx, message, actor);
        rr__complete(cx, message, RR__FAILED); /* gives back the count that was taken for this */
    }
}

/* A message for which there is nothing to wait, and which rests, goes to its actor. */
static RR__INLINE void rr__message_post(rr__context *cx, rr__object *message) {
    rr__object *actor = message->extra.actor;
    bool closed;
    if (rr__mailbox_push(actor, message, &closed)) rr__make_claimable(cx, actor);
    else if (closed && rr__pick_up(cx, message))
        rr__fail_with(cx, message, rr__dead_error(cx, message, actor));
}

/* All arguments of a message are there. */
static void rr__actor_deliver(rr__context *cx, rr__object *message) {
    if (!rr__is_held(message)) {
        rr__rest(message);
        rr__message_post(cx, message);
    } else {
        rr__lane_step(cx, message, false);
    }
}

static void rr__lane_append_locked(rr__lane *lane, rr__object *message, rr__hold *hold,
                                   bool is_ready) {
    rr__actor *a = lane->actor->extra.own;
    *hold = (rr__hold){lane, NULL};
    if (is_ready) rr__rest(message);
    message->data.hold = hold;
    rr__flag_set(message, RR__IS_HELD);
    message->lane_flags = RR__IN_LANE | (is_ready ? RR__HAS_ARRIVED : 0);
    if (lane->first) {
        lane->last->data.hold->next = message;
        if (is_ready) rr__store_release(&message->waits_on, lane->last);
    } else {
        lane->first = message;
        lane->before = NULL, lane->after = a->senders;
        if (a->senders) a->senders->before = lane;
        a->senders = lane;
    }
    lane->last = message;
}

/* Queues a message in its caller's lane if it must wait behind others, or waits itself (*entered);
   else it may go straight to the mailbox; one that waits alone, in a lane of its own. Returns NULL,
   or the error that there is no memory. */
static rr__error *rr__lane_enter(rr__context *cx, rr__object *message, bool is_ready, bool is_alone,
                                 bool *entered) {
    rr__lane **lanes = rr__caller_lanes(cx);
    *entered = false;
    if (!*lanes && is_ready) return NULL;
    rr__lanes_clean(cx, lanes, false);
    rr__object *actor = message->extra.actor;
    rr__lane *lane = is_alone ? NULL : rr__lane_find(*lanes, actor);
    if (!lane && is_ready) return NULL;
    rr__hold *hold = RR_MALLOC(sizeof *hold);
    if (hold && !lane) {
        if ((lane = RR_CALLOC(1, sizeof *lane))) {
            lane->actor = actor;
            lane->actor_id = rr__load_relaxed(&actor->id); /* counted by the message */
            lane->is_orphan = is_alone;
        }
        if (lane && !is_alone) lane->next = *lanes, *lanes = lane;
    }
    if (!hold || !lane) {
        RR_FREE(hold);
        return cx->runtime->no_memory;
    }
    rr__shard *shard = rr__shard_lock(cx->runtime, actor);
    bool is_doomed = actor->extra.own->is_doomed;        /* nobody empties its lanes any more */
    *entered = !is_doomed && (lane->first || !is_ready); /* it may have been emptied just now */
    if (*entered) rr__lane_append_locked(lane, message, hold, is_ready);
    rr__unlock(&shard->lock);
    if (!*entered) RR_FREE(hold);
    if (!*entered && is_alone) RR_FREE(lane);
    return is_doomed ? rr__dead_error(cx, message, actor) : NULL;
}

// >>actors/names

/* Names of actors.
   Locks: the global one. */

struct rr__actors {
    rr__map names; /* of living actors; under the global lock */
};

/* Living, for the table: not doomed, and counted; a count that has gone to 0 does not come back. So
   a name is free from the moment that it finds nobody, also while the destructor runs. Under the
   global lock, where what lies in the table is still an actor: its name goes before its slot. */
static bool rr__is_living(rr__object *actor) {
    uint64_t word = rr__load_acquire(&actor->word); /* pairs with rr__actor_doom */
    return (word & RR__COUNT_MASK) && !(word & RR__IS_DOOMED);
}

/* The living actor of this name, counted; or NULL. */
static rr__object *rr__name_find(rr__context *cx, const char *name) {
    rr__global_lock();
    rr__map_entry *entry = rr__map_at(&cx->runtime->actors->names, name);
    rr__object *actor = entry && rr__is_living(entry->value) ? entry->value : NULL;
    if (actor && !rr__try_retain(cx, actor, rr__load_relaxed(&actor->id))) actor = NULL;
    rr__global_unlock();
    return actor;
}

static void rr__name_remove(rr__context *cx, rr__object *actor) {
    rr__care *care = actor->extra.own->care;
    const char *name = care ? care->control.name : NULL;
    rr_runtime *rt = cx->runtime;
    if (!name) return;
    rr__global_lock();
    /* Only its own entry: another actor may bear the name by now. */
    rr__map_entry *entry = rr__map_at(&rt->actors->names, name);
    if (entry && entry->value == actor) rr__map_remove(&rt->actors->names, entry);
    rr__global_unlock();
}

/* Nobody else may have the name of a living one, nor of one that has just been given it and is not
   published yet: its word is 0 until then. Under the global lock. */
static bool rr__has_the_name(rr__object *actor) {
    return rr__is_living(actor) || rr__load_acquire(&actor->word) == 0;
}

/* Enters the name, which is a part of the actor; returns an error if a living one has it. */
static rr__error *rr__name_add(rr__context *cx, rr__object *actor, const char *name) {
    rr__care *care = actor->extra.own->care;
    rr_runtime *rt = cx->runtime;
    char *own = strcpy((char *)(care + 1), name);
    care->control.name = own;
    rr__global_lock();
    rr__map_entry *entry = rr__map_at(&rt->actors->names, name);
    bool is_taken = entry && rr__has_the_name(entry->value), is_added = false;
    if (entry && !is_taken) entry->key = own, entry->value = actor, is_added = true;
    else if (!entry) is_added = rr__map_put(&rt->actors->names, own, actor);
    rr__global_unlock();
    if (is_added) return NULL;
    if (!is_taken) return rt->no_memory;
    return rr__error_new(
        rt, RR_ERR_DUPLICATE, actor,
        "the name '%s' is taken by a living actor: choose another one, or use that "
        "(rr_find_actor)",
        name);
}

// >>actors/watching

/* Watches: objects that are complete when an actor has ended. One serves for all who watch.
   Locks: the shard lock of the actor. */

/* The watch that the actor has, counted for the caller; else, if it lives, it has this one now. */
static rr__object *rr__watch_share(rr__context *cx, rr__object *actor, rr__object *own,
                                   bool *lives) {
    rr__actor *a = actor->extra.own;
    rr__shard *shard = rr__shard_lock(cx->runtime, actor);
    *lives = a->watch != RR__ENDED;
    rr__object *watch = *lives && a->watch ? rr__slot_at(cx->runtime, a->watch) : own;
    if (*lives && watch) {
        rr__share(watch); /* for the caller, or for the actor */
        a->watch = watch->slot;
    }
    rr__unlock(&shard->lock);
    return watch;
}

/* A new watch, that nobody has a handle of yet; or NULL. */
static rr__object *rr__watch_new(rr__context *cx, const char *site, rr_status *status) {
    rr__object *watch = rr__object_new(cx, RR__VALUE, site);
    *status = RR_ERR_NO_MEMORY;
    if (!watch) return NULL;
    watch->of.type_name = "rr_exit";
    rr__store_relaxed(&watch->info, (uint64_t)sizeof(rr_exit)); /* published with word */
    *status = rr__value_room(cx, sizeof(rr_exit), &watch->data.block, &watch->place);
    cx = rr__after_room(cx);
    rr__store_copied(cx);
    if (*status != RR_OK) {
        rr__object_free(cx, watch);
        return NULL;
    }
    rr__residence_begin(watch, 0);
    memset(watch->data.block, 0, sizeof(rr_exit));
    rr__publish(watch, RR__WAITING, 1, RR__KIND_OTHER);
    return watch;
}

/* Completes a watch; takes over the actor's count of it. */
static void rr__watch_end(rr__context *cx, rr__object *watch, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__error *death = rr__load_acquire(&a->death);
    rr_exit *end = watch->data.block;
    end->status = death ? death->status : RR_OK;
    if (end->status == RR_ERR_NOT_RUNNING) end->status = RR_ERR_ACTOR_DEAD; /* of the shutdown */
    end->restarts = a->care ? a->care->restarts : 0;
    snprintf(end->reason, sizeof end->reason, "%s",
             death ? rr__error_message_of(death) : "its last handle was released");
    rr__stored_begin(cx, watch);
    rr__add_seq_cst(&watch->word, RR__STATE(RR__RUNNING - RR__WAITING)); /* nobody else owns it */
    rr__complete(cx, watch, RR__READY);
}

/* The watch of an actor, counted for the caller; made if it has none yet, and complete if it has
   ended. NULL: *status says why. */
static rr__object *rr__watch_of(rr__context *cx, rr__object *actor, const char *site,
                                rr_status *status) {
    bool lives;
    rr__object *watch = rr__watch_share(cx, actor, NULL, &lives);
    rr__object *own = watch ? NULL : rr__watch_new(cx, site, status);
    cx = rr__after_room(cx);
    if (!own) return watch;
    watch = rr__watch_share(cx, actor, own, &lives);
    if (watch != own) rr__drop(cx, own);
    if (!lives) {
        rr__share(own); /* for rr__watch_end to give back */
        rr__watch_end(cx, own, actor);
    }
    return watch;
}

// >>actors/life

/* The life of an actor:

       spawned --arguments--> QUEUED -> RUNNING (constructor) -> WAITING (idle) <-> QUEUED <-> ...
                                                                     |
       doomed (rr_kill, rr_exit_actor, failed constructor, shutdown) or its last count given back:
       the runner, set going by rr__actor_poke if need be, runs the destructor and ends it (FAILED).
       The slot stays as a grave for the handles that are left.

   Locks: rr_runtime.lock for the turn to run a destructor; the shard lock of the actor. */

/* The bytes in front of an actor's state. */
static size_t rr__actor_head(const rr_function *fn) {
    size_t align = fn->self.align > 8 ? fn->self.align : 8; /* the block has 64 */
    return (sizeof(rr__actor) + align - 1) / align * align;
}

static void *rr__state_of_actor(rr__object *actor) {
    return (char *)actor->extra.own + rr__actor_head(actor->of.fn);
}

/* Ends everything that is queued or held, for who ends the actor. */
static void rr__refuse_queued(rr__context *cx, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__shard *shard = rr__shard_lock(cx->runtime, actor);
    a->is_doomed = true;
    rr__object *list = a->first, **last = &list;
    while (*last) last = &(*last)->next;
    *last = rr__mailbox_drain(actor);
    while (*last) last = &(*last)->next;
    rr__object *waiting = rr__lanes_empty_locked(actor, last);
    a->first = NULL;
    bool has_senders = a->care && a->care->senders.first;
    rr__unlock(&shard->lock);
    if (has_senders) rr__senders_wake(cx, actor, true);
    rr__refuse_all(cx, actor, list);
    rr__held_refuse(cx, actor, waiting);
}

/* Declares an actor dead; takes over a count of the cause. Only the first one counts. What is
   queued ends at once, the rest when the runner sees it. The caller counts the actor or runs it. */
static bool rr__actor_doom(rr__context *cx, rr__object *actor, rr__error *cause) {
    rr__actor *a = actor->extra.own;
    rr__error *none = NULL;
    if (!rr__cas_seq_cst(&a->death, &none, cause)) {
        rr__error_drop(cause);
        return false;
    }
    RR__STRESS_POINT();
    rr__or_seq_cst(&actor->word, RR__IS_DOOMED); /* what rr__actor_rest looks at; after death */
    RR__STRESS_POINT();
    rr__name_remove(cx, actor);
    rr__refuse_queued(cx, actor);
    return true;
}

/* It was declared dead, or its last count went (rule A1: then nothing is queued). */
static bool rr__actor_must_end(rr__object *actor) {
    uint64_t word = rr__load_seq_cst(&actor->word);
    return (word & RR__IS_DOOMED) || (word & RR__COUNT_MASK) == 0;
}

/* An actor that waits to be made anew is set going by its timer, by who dooms it, or by who gives
   back its last count: whoever takes the flag. Touches the slot's word only, for that reason
   (rule A3). */
static void rr__actor_resume(rr__context *cx, rr__object *actor) {
    uint64_t word = rr__load_relaxed(&actor->word), next; /* the CAS checks it */
    do {
        if (!(word & RR__IS_POSTPONED)) return;
        next = word - RR__IS_POSTPONED + RR__STATE(RR__QUEUED - RR__WAITING);
    } while (!rr__cas_seq_cst(&actor->word, &word, next));
    rr__push(cx, actor);
}

/* Dooms it from inside: nothing runs after this, also if somebody else is about to doom it. */
static void rr__actor_leave(rr__context *cx, rr__object *actor, rr__error *cause) {
    if (!rr__actor_doom(cx, actor, cause)) rr__refuse_queued(cx, actor);
}

/* If it is idle, sets it going, so that it sees that it must end (rule A2). It ends on the pool,
   not in the middle of what the thread that gave back the last count was doing. */
static void rr__actor_poke(rr__context *cx, rr__object *actor) {
    rr__object *idle = RR__IDLE;
    if (rr__cas_seq_cst(&actor->dependents, &idle, (rr__object *)NULL))
        rr__make_claimable(cx, actor);
    else if (rr__actor_must_end(actor)) rr__actor_resume(cx, actor); /* or it is another one */
}

/* The same for who counts it and has doomed it: also if it waits for resources. */
static void rr__actor_rouse(rr__context *cx, rr__object *actor) {
    rr__care *care = actor->extra.own->care;
    rr__actor_poke(cx, actor);
    if (care && rr__turn_revoke(cx->runtime, &care->control)) rr__make_claimable(cx, actor);
}

/* Runs the constructor or destructor. *at: as in rr__invoke. */
static rr__error *rr__actor_body(rr__context **at, rr__object *actor, const rr_function *fn,
                                 rr__frame *frame) {
    rr__actor *a = actor->extra.own;
    rr__result result;
    rr__frame_init(frame, actor, &a->lanes, actor);
    frame->is_end = fn != actor->of.fn;
    rr__error *error = rr__invoke(at, frame, fn, rr__state_of_actor(actor), &result);
    if (!frame->crash) return error;
    rr__error_drop(error);
    return frame->crash;
}

/* The state goes: runs the destructor on it. *at: as in rr__invoke. */
static void rr__actor_unmake(rr__context **at, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    const rr_function *drop =
        rr__load_acquire(&((rr_function *)(uintptr_t)actor->of.fn)->drop); /* loaded once */
    if (a->is_born && drop) {
        rr__frame frame;
        bool is_first = rr__end_begin(*at); /* it may already run one, which waits for this */
        *at = rr__here(*at);
        rr__error *error = rr__actor_body(at, actor, drop, &frame);
        if (is_first) rr__end_over(*at);
        if (error)
            rr__log_again((*at)->runtime, RR__LINE_DROP, RR_LOG_WARN, rr__error_message_of(error));
        rr__error_drop(error);
    }
    a->is_born = false;
}

static bool rr__can_restart(const rr__actor *a) {
    const rr__care *care = a->care;
    return care &&
           (care->control.max_retries < 0 || care->control.attempt < care->control.max_retries);
}

/* The state is broken; takes over the error. The actor is to be made anew, or ends. Runner. *at: as
   in rr__invoke. */
static void rr__actor_crashed(rr__context **at, rr__object *actor, rr__error *error) {
    rr__context *cx = *at;
    rr__actor *a = actor->extra.own;
    if (!rr__can_restart(a)) {
        error = rr__error_after(cx->runtime, NULL, error, "it crashed, and .max_restarts is %d: ",
                                a->care ? a->care->control.max_retries : 0);
        if (rr__load_relaxed(&error->count)) error->status = RR_ERR_ACTOR_CRASHED; /* not static */
        rr__actor_leave(cx, actor, error);
        return;
    }
    rr__error_drop(error);
    if (rr__load_acquire(&a->death)) { /* it ends anyway; who dooms it may not be ready yet */
        rr__refuse_queued(cx, actor);
        return;
    }
    rr__actor_unmake(at, actor);
    rr__attempt_add(cx->runtime, &a->care->control);
}

static void rr__actor_args_end(rr__context *cx, rr__object *actor) {
    if (actor->extra.own->has_args) rr__args_release(cx, actor);
    actor->extra.own->has_args = false;
}

/* Runs the constructor: as the actor's first work, or again after a crash. *at: as in
   rr__invoke. */
static void rr__actor_create(rr__context **at, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__frame frame;
    bool is_first = !a->is_counted;
    if (!is_first) memset(rr__state_of_actor(actor), 0, actor->of.fn->self.size);
    if (!is_first) a->care->restarts++;
    rr__error *error = rr__actor_body(at, actor, actor->of.fn, &frame);
    rr__context *cx = *at;
    if (is_first) rr__count(cx, error ? RR__ERRORS : RR__FINISHED);
    if (!a->care || !a->care->control.max_retries) rr__actor_args_end(cx, actor);
    a->is_counted = true, a->is_born = !error;
    if (error && is_first) rr__actor_doom(cx, actor, error);
    else if (error) rr__actor_crashed(at, actor, error);
    else if (frame.wants_exit)
        rr__actor_doom(cx, actor,
                       rr__error_new(cx->runtime, RR_OK, NULL, "it left in its constructor"));
}

/* The end, once: destructor, what still came, and the slot as a grave for the handles left. */
static void rr__actor_end(rr__context *cx, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    rr__actor_unmake(&cx, actor);
    rr__actor_args_end(cx, actor);
    rr__name_remove(cx, actor);
    if (a->lanes) rr__lanes_abandon(cx, a->lanes);
    a->lanes = NULL;
    rr__refuse_queued(cx, actor);
    rr__lock(&shard->lock); /* for rr__mailbox_length_locked */
    rr__object *late = rr__swap_seq_cst(&actor->dependents, RR__CLOSED);
    uint32_t watch = a->watch;
    a->watch = RR__ENDED;
    rr__unlock(&shard->lock);
    rr__refuse_all(cx, actor, rr__reversed(late));
    if (a->care) rr__control_end(cx, &a->care->control);
    rr__store_release(&actor->waits_on, (rr__object *)NULL);
    actor->data.error = NULL;
    rr__count(cx, RR__ACTORS_GONE);
    if (watch) rr__watch_end(cx, rr__slot_at(cx->runtime, watch), actor);
    uint64_t word = rr__load_relaxed(&actor->word), next;
    do next = ((word & ~RR__STATE_MASK) | RR__STATE(RR__FAILED)) - a->owed;
    while (!rr__cas_seq_cst(&actor->word, &word, next));
    if ((next & RR__COUNT_MASK) == 0) rr__bury(cx, actor);
}

/* Leaves RUNNING, and gives back what messages that have run counted, in one step. Until then it
   cannot be freed, and after it whoever finds no count sees to its end (rr__actor_must_end). */
static void rr__actor_settle(rr__object *actor, enum rr__state state) {
    rr__actor *a = actor->extra.own;
    uint64_t owed = a->owed;
    a->owed = 0;
    rr__sub_seq_cst(&actor->word, RR__STATE(RR__RUNNING - state) + owed);
}

/* Leaves RUNNING for IDLE. False: a message came, and it is RUNNING still. */
static bool rr__actor_go_idle(rr__object *actor) {
    rr__object *none = NULL;
    rr__actor_settle(actor, RR__WAITING);
    if (rr__cas_seq_cst(&actor->dependents, &none, RR__IDLE)) return true;
    rr__add_seq_cst(&actor->word, RR__STATE(RR__RUNNING - RR__WAITING));
    return false;
}

/* Nothing to do: goes idle, and looks once more whether it must end, for who wanted that while it
   was not idle left it to the runner. True: the runner has let go. */
static bool rr__actor_rest(rr__context *cx, rr__object *actor) {
    if (!rr__actor_go_idle(actor)) return false;
    RR__STRESS_POINT();
    if (rr__actor_must_end(actor)) rr__actor_poke(cx, actor);
    return true;
}

/* Lets others have a turn, or leaves the rest of the messages to them. */
static void rr__actor_yield(rr__context *cx, rr__object *actor, bool had_turn) {
    rr__share(actor); /* once QUEUED it may end under us */
    rr__actor_settle(actor, RR__QUEUED);
    if (had_turn) rr__inbox_put(cx->runtime, actor, true);
    else rr__push(cx, actor);
    rr__drop(cx, actor);
}

/* ---- made anew ---- */

/* The actor waits to be made anew, WAITING and not idle. Its timer is set before it can be set
   going, and may therefore fire too early. */
static void rr__actor_postpone(rr__context *cx, rr__object *actor, double seconds) {
    rr_runtime *rt = cx->runtime;
    rr__entry *timer = &actor->extra.own->care->control.retry;
    uint64_t owed = actor->extra.own->owed;
    actor->extra.own->owed = 0;
    rr__share(actor); /* once it waits it may end under us */
    rr__timer_set(rt, timer, rr_now() + seconds);
    RR__STRESS_POINT();
    rr__add_seq_cst(&actor->word, RR__IS_POSTPONED - RR__STATE(RR__RUNNING - RR__WAITING) - owed);
    RR__STRESS_POINT();
    rr__lock(&rt->timers->lock);
    bool is_over = !timer->at;
    rr__unlock(&rt->timers->lock);
    if (is_over || (rr__load_seq_cst(&actor->word) & RR__IS_DOOMED)) rr__actor_resume(cx, actor);
    rr__drop(cx, actor);
}

/* Sees to it that the actor has a state. False: it has ended, or waits, and is not the runner's any
   more. *at: as in rr__invoke. */
static RR__NOINLINE bool rr__actor_make(rr__context **at, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    while (!a->is_born) {
        rr__context *cx = *at;
        rr__care *care = a->care;
        bool is_first = !a->is_counted;
        /* Who dooms it may not have come to say so in the word, nor to have its queue end. */
        bool is_dead = rr__load_acquire(&a->death) != NULL;
        if (is_dead || (!is_first && rr__actor_must_end(actor))) {
            if (is_first) rr__count(cx, RR__ERRORS);
            a->is_counted = true;
            rr__actor_end(cx, actor);
            return false;
        }
        if (!is_first && care->control.retry_delay_ms && !care->has_waited) {
            care->has_waited = true;
            rr__actor_postpone(cx, actor, rr__retry_delay(&care->control));
            return false;
        }
        if (care && care->has_waited) { /* its timer may still be set, if it was needed before */
            bool unused;
            rr__timers_revoke(cx->runtime, &care->control, &unused);
            care->has_waited = false;
        }
        rr__actor_create(at, actor);
        if (!a->is_born && !rr__actor_must_end(actor)) { /* it crashed again: others first */
            rr__actor_yield(*at, actor, true);
            return false;
        }
    }
    return true;
}

// >>actors/methods

/* Running a message.
   Locks: none of its own. */

/* The body of a message has run: what it asked for, and its outcome. The actor crashed in it:
   *crash says why. True: it is to run again, in front of what is queued. Counted by the message. */
static bool rr__method_end(rr__context *cx, rr__object *message, rr__frame *frame,
                           rr__error **error, rr__error **crash) {
    rr__object *actor = message->extra.actor;
    rr__actor *a = actor->extra.own;
    rr_runtime *rt = cx->runtime;
    if (frame->wants_exit)
        rr__actor_leave(cx, actor,
                        rr__error_new(rt, RR_OK, NULL, "it left in '%s'", message->of.fn->name));
    *crash = frame->crash;
    if (!frame->crash) return false;
    rr__error_drop(*error);
    int most = rr__can_restart(a) && !rr__load_acquire(&a->death) ? a->care->max_method_retries : 0;
    *error = NULL;
    if (most < 0 || message->attempt < most) {
        message->attempt += message->attempt < UINT8_MAX;
        return true;
    }
    int times = message->attempt + 1;
    *error = rr__error_after(rt, message, rr__error_share(frame->crash),
                             "its actor crashed in it (it was executed, %d time%s): ", times,
                             times == 1 ? "" : "s");
    return false;
}

/* *at: the context in which it begins, and then that in which it has ended. */
static RR__INLINE void rr__run_method(rr__context **at, rr__object *actor, rr__object *message) {
    rr__context *cx = *at;
    rr__actor *a = actor->extra.own;
    rr__frame frame;
    rr__result result;
    rr__error *crash;
    rr__frame_init(&frame, message, &a->lanes, actor);
    rr__store_release(&message->waits_on, (rr__object *)NULL);
    rr__store_release(&actor->waits_on, message);
    if (RR__UNLIKELY(a->care != NULL)) rr__pending_end(cx, message);
    rr__error *error = rr__invoke(at, &frame, message->of.fn, rr__state_of_actor(actor), &result);
    cx = *at;
    rr__store_release(&actor->waits_on, (rr__object *)NULL);
    if (RR__UNLIKELY(frame.wants_exit || frame.crash) &&
        rr__method_end(cx, message, &frame, &error, &crash)) {
        rr__mailbox_return(cx, actor, message);
    } else {
        message->extra.actor = NULL, a->owed++; /* given back by rr__actor_settle */
        rr__finish(cx, message, error, &result);
    }
    if (RR__UNLIKELY(frame.crash != NULL)) rr__actor_crashed(at, actor, frame.crash);
}

// >>actors/crew

/* Several methods at once. The runner of an actor with max_concurrency does not run messages: it
   hands them out as tasks, so many that that number are `inside`, from then until their bodies
   have ended.
   Rules  C1  `inside` changes under the shard lock. A runner that finds enough inside, or that must
              end or make the state anew while some are, parks: WAITING and not idle. Who leaves
              next sets it going again.
          C2  A message inside counts the actor, so that this cannot be freed, nor end by its last
              count, before the message has left.
   Locks: the shard lock of the actor. */

/* What the runner does next, under the shard lock: true if it has to park. *ends: the actor must
   end, and nobody is inside; what is asked without the lock may have become so just then. */
static bool rr__crew_next_locked(rr__object *actor, rr__object **message, bool *ends) {
    rr__actor *a = actor->extra.own;
    rr__care *care = a->care;
    *ends = rr__actor_must_end(actor);
    bool is_last = a->is_doomed || *ends || care->crash;
    *message = NULL;
    if (care->inside && (is_last || care->inside == care->max_concurrency)) {
        care->is_parked = true;
        rr__actor_settle(actor, RR__WAITING);
        return true;
    }
    if (is_last) return false;
    if (!a->first) a->first = rr__mailbox_drain(actor);
    if (!a->first) return false;
    *message = a->first, a->first = a->first->next;
    (*message)->lane_flags |= RR__IS_INSIDE;
    care->inside++;
    return false;
}

/* Methods inside, if a message has to wait for one of them to leave; else 0. */
static int rr__crew_inside(rr__context *cx, rr__object *actor) {
    rr__care *care = actor->extra.own->care;
    rr__shard *shard = rr__shard_lock(cx->runtime, actor);
    int inside = care && care->is_parked ? care->inside : 0;
    rr__unlock(&shard->lock);
    return inside;
}

/* As rr__actor_rest. Under the lock, with a look at what came back from inside: who puts back a
   message or a crash pokes after that. */
static bool rr__crew_rest(rr__context *cx, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    RR__STRESS_POINT();
    rr__lock(&shard->lock);
    bool rests = !a->first && !a->care->crash && rr__actor_go_idle(actor);
    rr__unlock(&shard->lock);
    if (rests && rr__actor_must_end(actor)) rr__actor_poke(cx, actor);
    return rests;
}

static void rr__crew_run(rr__context *cx, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    for (rr__object *message;;) {
        if (!a->is_born && !rr__actor_make(&cx, actor)) return;
        rr__lock(&shard->lock);
        bool ends, parks = rr__crew_next_locked(actor, &message, &ends);
        rr__error *crash = parks || message ? NULL : a->care->crash;
        if (crash) a->care->crash = NULL;
        rr__unlock(&shard->lock);
        RR__STRESS_POINT();
        if (parks) return;
        if (message && rr__pick_up(cx, message)) rr__make_claimable(cx, message);
        else if (message) continue; /* it was cancelled, and has left */
        else if (crash) rr__actor_crashed(&cx, actor, crash);
        else if (ends) break;
        else if (rr__crew_rest(cx, actor)) return;
    }
    rr__actor_end(cx, actor);
}

/* Its body has ended, or will not begin. The message counts the actor. */
static void rr__crew_leave(rr__context *cx, rr__object *message) {
    rr__object *actor = message->extra.actor;
    rr__care *care = actor->extra.own->care;
    rr__shard *shard = rr__shard_lock(cx->runtime, actor);
    message->lane_flags &= (uint8_t)~RR__IS_INSIDE;
    care->inside--;
    bool was_parked = care->is_parked, has_crashed = care->crash != NULL;
    care->is_parked = false;
    rr__unlock(&shard->lock);
    if (was_parked) rr__make_claimable(cx, actor);
    else if (has_crashed || rr__actor_must_end(actor)) rr__actor_poke(cx, actor);
}

/* Of several crashes at a time the first is what counts. The last one that may be ends the actor at
   once, as rr_kill does: those inside may wait for what is queued. */
static void rr__crew_crash(rr__context *cx, rr__object *actor, rr__error *crash) {
    rr__care *care = actor->extra.own->care;
    rr__shard *shard = rr__shard_of(cx->runtime, actor);
    if (!rr__can_restart(actor->extra.own)) {
        rr__actor_crashed(&cx, actor, crash); /* it ends: nothing is run */
        rr__actor_poke(cx, actor);
        return;
    }
    rr__lock(&shard->lock);
    bool is_first = !care->crash;
    if (is_first) care->crash = crash;
    rr__unlock(&shard->lock);
    if (!is_first) rr__error_drop(crash);
}

/* Runs a message that was handed out, as a task. */
static void rr__run_inside(rr__context *cx, rr__object *message) {
    rr__object *actor = message->extra.actor;
    rr__lane *lanes = NULL;
    rr__frame frame;
    rr__result result;
    rr__error *crash = NULL;
    bool again = false;
    rr__frame_init(&frame, message, &lanes, actor);
    rr__store_release(&message->waits_on, (rr__object *)NULL);
    rr__pending_end(cx, message);
    rr__error *error = rr__invoke(&cx, &frame, message->of.fn, rr__state_of_actor(actor), &result);
    if (lanes) rr__lanes_abandon(cx, lanes);
    if (frame.wants_exit || frame.crash)
        again = rr__method_end(cx, message, &frame, &error, &crash);
    if (crash) rr__crew_crash(cx, actor, crash);
    if (again) {
        rr__share(actor); /* once the message is back it may end, and the actor with it */
        rr__crew_leave(cx, message);
        rr__mailbox_return(cx, actor, message);
        rr__actor_poke(cx, actor); /* the runner may have gone idle in between */
        rr__drop(cx, actor);
        return;
    }
    rr__crew_leave(cx, message);
    rr__finish(cx, message, error, &result);
}

// >>actors/turns

/* Turns: an actor that was claimed runs messages; and what actors and messages do as classes.
   Locks: none of its own. */

/* Runs an actor that was claimed: messages until none is left, `until` is over, or others should
   have a turn. Nothing that stands behind `until` is run, also if that was cancelled in its place.
   While the actor is RUNNING it cannot be freed, whatever its count. */
static void rr__actor_run(rr__context *cx, rr__object *actor, const rr__step *until) {
    enum { TURN = 256 };
    rr__actor *a = actor->extra.own;
    if (RR__UNLIKELY(a->care && a->care->max_concurrency > 1)) {
        rr__crew_run(cx, actor);
        return;
    }
    for (int turn = 0;; turn++) {
        if (RR__UNLIKELY(!a->is_born) && !rr__actor_make(&cx, actor)) return;
        bool is_done = until && rr__step_is_over(until);
        if ((is_done || turn == TURN) && !rr__actor_must_end(actor)) {
            if (is_done && !rr__mailbox_has_batch(cx, actor) && rr__actor_rest(cx, actor)) return;
            rr__actor_yield(cx, actor, turn == TURN);
            return;
        }
        rr__object *message = rr__mailbox_next(cx, actor);
        bool is_behind = message && until && rr__step_is_over(until); /* it was cancelled */
        if (is_behind) rr__mailbox_return(cx, actor, message);
        else if (message) rr__run_method(&cx, actor, message);
        if ((!message || is_behind) && rr__actor_must_end(actor)) break;
        if (!message && rr__actor_rest(cx, actor)) return;
    }
    rr__actor_end(cx, actor);
}

/* It was doomed, by rr_kill: those of its bodies that run are told, what they have called is
   cancelled, and it ends. The caller counts it. */
static void rr__actor_kill(rr__context *cx, rr__object *actor) {
    uint64_t word = rr__or_seq_cst(&actor->word, RR__IS_KILLED);
    rr__bodies_wake(cx, actor);
    if (word & RR__HAS_CALLED) rr__cancel_called(cx, actor);
    rr__actor_rouse(cx, actor);
}

/* ---- the class of actors ---- */

/* The arguments of its constructor are there: its creation is the first thing that it does. */
static void rr__actor_ready(rr__context *cx, rr__object *actor) {
    rr__error *error = rr__failed_argument(cx, actor);
    rr__care *care = actor->extra.own->care;
    if (error) rr__actor_doom(cx, actor, error); /* never born */
    if (care && care->control.has_turn && !error) rr__admit(cx, actor, &care->control);
    else rr__make_claimable(cx, actor);
}

static void rr__actor_run_class(rr__context *cx, rr__object *actor, const rr__step *until) {
    rr__actor_run(cx, actor, until);
    if (RR__UNLIKELY(cx->runtime->evicts)) rr__store_leave(rr__here(cx));
}

static rr__control *rr__actor_options(const rr__object *actor) {
    rr__care *care = actor->extra.own->care;
    return care ? &care->control : NULL;
}

static void rr__actor_due(rr__context *cx, rr__object *actor, bool is_retry) {
    (void)is_retry; /* it has no other */
    rr__actor_resume(cx, actor);
}

static void rr__actor_free(rr__context *cx, rr__object *actor) {
    rr__actor *a = actor->extra.own;
    rr__error_drop(rr__load_relaxed(&a->death)); /* its last user */
    RR_FREE(a->care);
    rr__block_free(cx, a, a->place);
}

/* ---- the class of messages ---- */

/* Its arguments are there: to its actor, or the failure is passed on. */
static void rr__message_ready(rr__context *cx, rr__object *message) {
    rr__error *error = rr__failed_argument(cx, message);
    if (!error) rr__actor_deliver(cx, message);
    else if (rr__lane_leave(cx, message)) rr__fail_with(cx, message, error);
    else rr__error_drop(error);
}

static void rr__message_run(rr__context *cx, rr__object *message, const rr__step *until) {
    (void)until;
    rr__run_inside(cx, message);
    if (RR__UNLIKELY(cx->runtime->evicts)) rr__store_leave(rr__here(cx));
}

static void rr__message_abandon(rr__context *cx, rr__object *message) {
    rr__object *actor = rr__actor_of(message);
    if (actor && rr__is_held(message) && rr__lane_keeps(cx, message)) return;
    rr__task_give_up(cx, message);
    if (message->lane_flags & RR__IS_INSIDE) rr__crew_leave(cx, message);
    uint64_t word = rr__or_seq_cst(&message->word, RR__IS_LEFT);
    rr__drop(cx, message);
    if (actor && !(word & RR__IS_STRIPPED)) rr__drop(cx, actor); /* R6 */
}

static void rr__message_begun(rr__context *cx, rr__object *message) {
    rr__mailbox_left(cx, message->extra.actor);
}

// >>actors/spawning

/* Making actors: what their options ask for, and the block with their state.
   Locks: none of its own. */

static rr__actor *rr__actor_block(rr__context *cx, const rr_function *fn) {
    uint8_t place;
    size_t size = rr__actor_head(fn) + fn->self.size;
    rr__actor *a = rr__block_new(cx, size, &place);
    if (!a) return NULL;
    memset(a, 0, size);
    a->place = place;
    return a;
}

static rr__error *rr__actor_options_error(rr__context *cx, const rr__object *actor,
                                          const rr_actor_options *options) {
    const char *field =
        options->max_restarts < -1      ? "max_restarts must be -1 or more"
        : options->restart_delay_ms < 0 ? "restart_delay_ms must be 0 or more"
        : options->max_method_retries < -1 || options->max_method_retries > 254
            ? "max_method_retries must be -1 to 254"
        : options->max_method_retries && !options->max_restarts
            ? "max_method_retries needs max_restarts: a method that its actor crashed "
              "in runs again on a fresh state"
        : options->max_pending < 0 ? "max_pending must be 0 or more"
        : options->when_full != RR_REFUSE && options->when_full != RR_WAIT
            ? "when_full must be RR_REFUSE or RR_WAIT"
        : options->when_full && !options->max_pending
            ? "when_full needs max_pending: without a limit no mailbox is full"
        : options->max_concurrency < 0     ? "max_concurrency must be 0 or more"
        : options->name && !*options->name ? "name must not be empty; NULL is no name"
                                           : NULL;
    if (!field) return NULL;
    return rr__error_new(cx->runtime, RR_ERR_INVALID, actor, "rr_actor_options.%s", field);
}

static bool rr__actor_options_are_zero(const rr_actor_options *o) {
    return !rr__has_needs(o->num_cpus, o->resources) && !o->name && !o->max_restarts &&
           !o->restart_delay_ms && !o->max_method_retries && !o->max_pending && !o->when_full &&
           !o->max_concurrency;
}

/* Gives an actor, which is not published yet, what its options need. */
static rr__error *rr__care_new(rr__context *cx, rr__object *actor,
                               const rr_actor_options *options) {
    rr_runtime *rt = cx->runtime;
    int64_t needs[RR__STOCKS] = {0};
    if (!options || rr__actor_options_are_zero(options)) return NULL;
    size_t name_size = options->name ? strlen(options->name) + 1 : 0;
    rr__care *care = RR_CALLOC(1, sizeof *care + name_size);
    if (!care) return rt->no_memory;
    rr__control *control = &care->control;
    actor->extra.own->care = care, control->task = actor;
    control->retry.control = control->turn.control = control;
    care->max_method_retries = options->max_method_retries;
    care->max_pending = options->max_pending;
    care->max_concurrency = options->max_concurrency ? options->max_concurrency : 1;
    care->senders_wait = options->when_full == RR_WAIT;

    rr__error *error = rr__actor_options_error(cx, actor, options);
    if (!error) error = rr__needs_read(rt, actor, options->num_cpus, options->resources, needs);
    if (error) return error;
    needs[RR__CPU] = needs[RR__CPU] > RR__WHOLE ? needs[RR__CPU] - RR__WHOLE : 0;
    control->max_retries = options->max_restarts;
    control->retry_delay_ms = options->restart_delay_ms;
    if (options->max_restarts && options->restart_delay_ms) {
        if (!rr__timers_promise(rt, 1)) return rt->no_memory;
        control->timers = 1;
    }
    return rr__turn_new(rt, control, needs, 0, true) ? NULL : rt->no_memory;
}

static rr__error *rr__spawn_error(rr__context *cx, rr__object *actor, rr_function *fn,
                                  const rr_actor_options *options, const rr__arg *args) {
    rr__error *error = rr__call_error(cx, fn, actor);
    if (!error && (error = rr__care_new(cx, actor, options))) actor->extra.own->is_refused = true;
    if (!error) error = rr__args_pack(cx, actor, args);
    cx = rr__after_room(cx);
    if (error || !options || !options->name) return error;
    if ((error = rr__name_add(cx, actor, options->name))) rr__args_release(cx, actor);
    RR__STRESS_POINT();
    return error;
}

/* Where it is in its slot's word. */
static void rr__actor_publish(rr__object *actor, enum rr__state state) {
    uint64_t care = actor->extra.own->care ? RR__HAS_CARE : 0;
    rr__publish_with(actor, state, 1, RR__KIND_VOID, RR__IS_ACTOR | care);
}

/* An actor that cannot be is there all the same, dead: the calls on it tell why. */
static void rr__spawn_failed(rr__context *cx, rr__object *actor, rr__error *error) {
    rr__actor *a = actor->extra.own;
    if (a->care) rr__control_end(cx, &a->care->control);
    a->watch = RR__ENDED;
    rr__store_release(&a->death, error);
    rr__store_release(&actor->dependents, RR__CLOSED);
    rr__count(cx, RR__ERRORS);
    rr__count(cx, RR__ACTORS_GONE);
    rr__actor_publish(actor, RR__FAILED);
    rr__signal_if_stopping(cx->runtime);
}

static rr_actor rr__spawn_in(rr__context *cx, const rr_actor_options *options, rr_function *fn,
                             const rr__arg *args, const char *site) {
    rr__local *self = rr__self();
    rr__is_valid(fn);
    rr__actor *a = rr__scope_ready(self) ? rr__actor_block(cx, fn) : NULL;
    rr__object *actor = a ? rr__task_new(cx, RR__CONSTRUCTOR, fn, site) : NULL;
    if (!actor) {
        if (a) rr__block_free(cx, a, a->place);
        return rr__status_actor(RR_ERR_NO_MEMORY);
    }
    actor->extra.own = a;

    rr_actor handle = rr__actor_to(cx, actor);
    rr__scope_hold(self, cx, actor, false);
    rr__error *error = rr__spawn_error(cx, actor, fn, options, args);
    cx = rr__after_room(cx);
    if (error) {
        rr__spawn_failed(cx, actor, error);
        return handle;
    }
    a->has_args = true;
    rr__actor_publish(actor, RR__WAITING);
    rr__proceed(cx, actor);
    return handle;
}

// >>actors/sending

/* Sending messages.
   Locks: that of the actor's shard, for messages that go through a lane. */

/* Checks a message against its actor. */
static rr__error *rr__send_error(rr__context *cx, rr__object *actor, rr_function *fn,
                                 rr__object *message) {
    rr__error *error = rr__call_error(cx, fn, message);
    if (!error) error = rr__parent_error(cx, message);
    if (error) return error;

    const rr_type *self = &actor->of.fn->self; /* its name is often the same literal */
    bool is_same = fn->self.name == self->name && fn->self.size == self->size;
    if (!is_same && !rr__type_equal(fn->self, *self))
        return rr__error_new(cx->runtime, RR_ERR_TYPE, message,
                             "it is a method of '%s', but the actor is a '%s' (spawned at %s)",
                             fn->self.name, self->name, actor->site);
    uint64_t word = rr__load_acquire(&actor->word); /* in the line that the count was taken in */
    if ((word & RR__IS_DOOMED) || rr__state_of(word) == RR__FAILED)
        return rr__dead_error(cx, message, actor);
    if (RR__UNLIKELY((word & RR__COUNT_MASK) >= RR__MANY_MESSAGES))
        rr__mailbox_watch(cx, actor, (uint32_t)word);
    return NULL;
}

/* A method sends to its own actor: if rr_kill comes, that runs to its end, as any method does, and
   is nothing that the actor has called. */
static RR__INLINE bool rr__is_to_itself(rr__context *cx, const rr__object *actor) {
    rr__frame *frame = rr__load_relaxed(&cx->frame); /* the owner's own */
    return RR__UNLIKELY(frame && frame->actor == actor);
}

/* Sends; takes over the caller's count of the actor. Returns the message's slot, which is the
   caller's if it asked and must not be touched if it told; *error says what is wrong already. */
static rr__object *rr__send(rr__context *cx, rr__object *actor, rr_function *fn,
                            const rr__arg *args, bool is_told, const char *site,
                            rr_status *status) {
    rr__is_valid(fn);
    rr__object *message = rr__task_new(cx, RR__METHOD, fn, site);
    *status = RR_ERR_NO_MEMORY;
    if (!message) {
        rr__drop(cx, actor);
        rr__note_status(RR__NULL_REF, *status);
        return NULL;
    }
    rr__error *error = rr__send_error(cx, actor, fn, message);
    if (!error) error = rr__args_pack(cx, message, args);
    cx = rr__after_room(cx);
    if (!error && (error = rr__mailbox_admit(&cx, actor, message))) rr__args_release(cx, message);
    *status = error ? error->status : RR_OK;
    if (error) {
        rr__drop(cx, actor);
        rr__note(RR__NULL_REF, *status, "%s", rr__error_message_of(error));
        rr__submit_failed(cx, message, error, 2);
        return message;
    }
    rr_ref ref = rr__ref_to(cx, message); /* told, it may be gone when it is looked at again */
    message->extra.actor = actor;
    if (rr__is_to_itself(cx, actor)) rr__origin_clear(cx, message);
    if (is_told) rr__flag_set(message, RR__IS_TOLD);
    bool is_direct = !message->by_ref && !*rr__caller_lanes(cx); /* nothing to wait for */
    rr__publish_with(message, RR__WAITING, is_told ? 1 : 2, fn->result.kind,
                     is_direct ? RR__IS_RESTING : 0);
    if (RR__LIKELY(is_direct)) {
        rr__message_post(cx, message);
        rr__heed_parent(cx, ref);
        return message;
    }
    rr__object *missing = rr__args_missing(message);
    bool entered = false, is_ready = !missing;
    if (is_ready) error = rr__failed_argument(cx, message); /* it need not wait for its turn */
    /* What waits for the end of an actor is no part of any order: that may be for ever. */
    bool is_alone = missing && rr__is_watch(missing);
    if (!error) error = rr__lane_enter(cx, message, is_ready, is_alone, &entered);
    if (error) {
        *status = error->status;
        if (is_told) rr__note(RR__NULL_REF, *status, "%s", rr__error_message_of(error));
        rr__fail_with(cx, message, error);
        return is_told ? NULL : message;
    }
    if (entered) rr__lane_recheck(cx, ref);

    if (!is_ready || !entered) rr__proceed(cx, message); /* or who empties the lane delivers it */
    rr__heed_parent(cx, ref);
    return message;
}

// >>tasks/gathers

/* Gathers, objects made of others, and fields, members of others: they wait for what they are
   made of as tasks do for their arguments, and run no body. Where values may leave memory a field
   is queued before it is copied, as tasks are: that may have to wait.
   Locks: none. */

/* The parts of a gather, each counted; or NULL and the error. */
static rr__parts *rr__parts_new(rr__context *cx, const rr__object *gather, const rr_ref *refs,
                                size_t n, rr__error **error) {
    size_t each = sizeof(rr_bytes) + sizeof(rr__object *);
    rr__parts *parts =
        n > (SIZE_MAX - sizeof *parts) / each ? NULL : RR_MALLOC(sizeof *parts + n * each);
    *error = cx->runtime->no_memory;
    if (!parts) return NULL;
    memset(parts, 0, sizeof *parts);
    rr__store_relaxed(&parts->word, RR__RESIDENCE(RR__AWAY)); /* published with the gather */
    parts->objects = (rr__object **)(parts->items + n);
    for (size_t i = 0; i < n; i++) {
        if ((parts->objects[i] = rr__pin(cx, refs[i], false))) {
            parts->count++;
            continue;
        }
        *error = rr__error_new(cx->runtime, rr__handle_status(refs[i]), gather, "its part %zu: %s",
                               i + 1, rr__handle_text(cx->runtime, refs[i]));
        rr__parts_free(cx, parts, false);
        return NULL;
    }
    *error = NULL;
    return parts;
}

static rr__object *rr__missing_part(rr__object *gather) {
    rr__parts *parts = gather->extra.parts;
    for (; parts->seen < parts->count; parts->seen++)
        if (!rr__is_complete(parts->objects[parts->seen])) return parts->objects[parts->seen];
    return NULL;
}

static void rr__gather_finish(rr__context *cx, rr__object *gather) {
    rr__parts *parts = gather->extra.parts;
    for (size_t i = 0; i < parts->count; i++) {
        rr__object *part = parts->objects[i];
        if (rr__has_failed(part)) {
            rr__fail_with(cx, gather,
                          rr__error_after(cx->runtime, gather, rr__failure(cx->runtime, part),
                                          "its part %zu ", i + 1));
            return;
        }
        if (!cx->runtime->evicts) parts->items[i] = rr__part_bytes(part);
    }
    rr__complete(cx, gather, RR__READY);
}

static void rr__gather_end(rr__context *cx, rr__object *gather) {
    bool has_failed = rr__state_of(rr__load_relaxed(&gather->word)) == RR__FAILED; /* rule R2 */
    if (has_failed && !rr__is_decided(gather)) rr__error_drop(gather->data.error);
    rr__parts *parts = gather->extra.parts;
    rr__parts_free(cx, parts, parts && rr__unpin_outside(cx, gather));
}

/* One object of type rr_many; it counts its parts. */
static rr_ref rr__gather_new(rr__context *cx, const rr_ref *refs, size_t n, const char *site) {
    rr__error *error;
    rr__object *o = rr__scope_ready(rr__self()) ? rr__object_new(cx, RR__GATHER, site) : NULL;
    if (!o) return rr__status_ref(RR_ERR_NO_MEMORY);
    rr_ref ref = rr__ref_to(cx, o);
    rr__scope_hold(rr__self(), cx, o, false);
    o->of.type_name = "rr_many";
    if (n && !refs)
        error =
            rr__error_new(cx->runtime, RR_ERR_INVALID, o,
                          "rr_gather: refs is NULL, but n is %zu: pass the references, or 0", n);
    else o->extra.parts = rr__parts_new(cx, o, refs, n, &error);
    if (error) {
        o->data.error = error;
        rr__publish(o, RR__FAILED, 1, RR__KIND_MANY);
        return ref;
    }
    rr__publish(o, RR__WAITING, 2, RR__KIND_MANY);
    rr__proceed(cx, o);
    return ref;
}

/* ---- fields ---- */

/* The object that a field is a member of, counted by it until it is complete. */
static rr__object *rr__whole_of(rr__object *field) {
    return (rr__object *)(uintptr_t)rr__load_relaxed(&field->words[0]); /* the owner's own */
}

static rr__object *rr__field_missing(rr__object *field) {
    rr__object *whole = rr__whole_of(field);
    return rr__is_complete(whole) ? NULL : whole;
}

/* A field keeps, until it is complete, in its words: the whole, where in that it lies, and the name
   and size of the struct that it should be. */
static rr_status rr__field_copy(rr__context *cx, rr__object *field, rr__object *whole,
                                size_t offset) {
    size_t size = rr__info_of(field);
    rr_status status = rr__use(cx, whole);
    if (status != RR_OK) return status;
    cx = rr__after_room(cx);
    const char *from = (const char *)rr__data(whole) + offset;
    if (size <= RR__INLINE_BYTES) rr__write_words(field, from, size);
    else status = rr__value_room(cx, size, &field->data.block, &field->place);
    if (status == RR_OK && size > RR__INLINE_BYTES) memcpy(field->data.block, from, size);
    rr__unuse(rr__after_room(cx), whole);
    return status;
}

/* The struct and room for its member at once, as arguments are had (rule E6). */
static rr_status rr__field_load(rr__context *cx, rr__object *field, rr__object *whole,
                                size_t offset) {
    rr__local *self = rr__self();
    bool had;
    self->is_hasty = true;
    rr_status status = rr__field_copy(cx, field, whole, offset);
    self->is_hasty = false;
    if (status != RR_ERR_STORE_FULL) return status;
    status = rr__loader_begin(rr__here_of(self, cx), &had);
    if (status == RR_OK) status = rr__field_copy(rr__here_of(self, cx), field, whole, offset);
    if (!had) rr__loader_end(self);
    return status;
}

static rr__error *rr__field_take(rr__context *cx, rr__object *field, rr__object *whole) {
    uint64_t words[4]; /* the owner's own */
    for (int i = 0; i < 4; i++) words[i] = rr__load_relaxed(&field->words[i]);
    rr_type held = rr__type_of(whole);
    rr_type wanted = {(const char *)(uintptr_t)words[2], (uint32_t)words[3], 1, RR__KIND_OTHER};
    if (rr__has_failed(whole))
        return rr__error_after(cx->runtime, field, rr__failure(cx->runtime, whole), "its struct ");
    if (!rr__type_equal(held, wanted))
        return rr__error_new(cx->runtime, RR_ERR_TYPE, field,
                             "a member of %s was asked for, but the reference holds %s '%s' "
                             "(made at %s)",
                             wanted.name, held.name, rr__name_of(whole), whole->site);
    rr_status status = cx->runtime->evicts ? rr__field_load(cx, field, whole, (size_t)words[1])
                                           : rr__field_copy(cx, field, whole, (size_t)words[1]);
    return status == RR_OK ? NULL : rr__error_of_status(cx->runtime, status, field);
}

static void rr__field_finish(rr__context *cx, rr__object *field) {
    rr__object *whole = rr__whole_of(field);
    rr__error *error = rr__field_take(cx, field, whole);
    cx = rr__after_room(cx);
    rr__drop(cx, whole);
    if (!error) rr__stored_begin(cx, field);
    if (error) rr__fail_with(cx, field, error);
    else rr__complete(cx, field, RR__READY);
    rr__store_copied(cx); /* N3 in store/newcomers.h */
}

/* The whole is complete. */
static void rr__field_ready(rr__context *cx, rr__object *field) {
    if (!cx->runtime->evicts) {
        rr__field_finish(cx, field);
        return;
    }
    rr__stray_begins(cx->runtime);
    rr__make_claimable(cx, field);
}

static void rr__field_run(rr__context *cx, rr__object *field, const rr__step *until) {
    (void)until;
    rr_runtime *rt = cx->runtime;
    rr__field_finish(cx, field);
    rr__stray_is_over(rt);
}

/* Why there is no such member of this object. */
static rr__error *rr__field_error(rr_runtime *rt, const rr__object *field, rr_ref ref,
                                  rr_type type) {
    if (rr__kind_is_plain(type.kind))
        return rr__error_saying(rt, rr__handle_status(ref), field, rr__handle_text(rt, ref));
    return rr__error_new(rt, RR_ERR_INVALID, field,
                         "a member that is %s is no field, because structs are copied without what "
                         "it refers to: return it by itself, or in a gather",
                         type.name);
}

/* The member of a struct that lies at an offset in it. */
static rr_ref rr__field_new(rr__context *cx, rr_ref ref, const rr_type *whole, rr_type type,
                            size_t offset, const char *site) {
    rr__object *o = rr__scope_ready(rr__self()) ? rr__object_new(cx, RR__FIELD, site) : NULL;
    if (!o) return rr__status_ref(RR_ERR_NO_MEMORY);
    rr__object *of = rr__kind_is_plain(type.kind) ? rr__pin(cx, ref, false) : NULL;
    rr_ref field = rr__ref_to(cx, o);
    uint64_t words[4] = {(uintptr_t)of, offset, (uintptr_t)whole->name, whole->size};
    rr__scope_hold(rr__self(), cx, o, false);
    o->of.type_name = type.name;
    rr__store_relaxed(&o->info, (uint64_t)type.size); /* published with word */
    if (!of) {
        o->data.error = rr__field_error(cx->runtime, o, ref, type);
        rr__publish(o, RR__FAILED, 1, type.kind);
        return field;
    }
    for (int i = 0; i < 4; i++) rr__store_release(&o->words[i], words[i]); /* see rr__write_words */
    rr__publish(o, RR__WAITING, 2, type.kind);
    rr__proceed(cx, o);
    return field;
}

// >>tasks/streams

/* Streams: what a body yields while it runs, and its readers. The reader's end is an object of
   its own, which counts the task; when nobody counts that any more the body is cancelled.
   Locks: the shard lock of the task. */

/* The last handle of the reader's end went. */
static void rr__stream_close(rr__context *cx, rr__object *reader) {
    rr__object *task = reader->extra.producer;
    rr__cancel_tree(cx, task, RR__IS_CANCELLED); /* first: rr_yield says what rr_cancelled does */
    RR__STRESS_POINT();
    if (rr__stream_of(task)) rr__stream_shut(cx, task); /* or it could not be submitted */
    rr__drop(cx, task);
}

/* Waits until there is space; shut down, there will be none: then the task is cancelled. */
static rr_status rr__stream_space(rr__context *cx, rr__object *task) {
    if (RR__LIKELY(rr__stream_has_space(rr__stream_in(task)))) return RR_OK;
    rr_status status = rr__stream_wait_space(cx, task);
    if (status == RR_ERR_CANCELLED) rr__cancel_tree(rr__here(cx), task, RR__IS_CANCELLED);
    return status;
}

static rr_status rr__yield_item(rr__context *cx, rr__object *task, rr_type type, const void *value,
                                const char *site) {
    rr_status status = rr__stream_space(cx, task);
    if (status != RR_OK) return status;
    cx = rr__here(cx);
    rr__object *item = rr__object_new(cx, RR__VALUE, site);
    if (!item) return RR_ERR_NO_MEMORY;
    status = rr__value_fill(cx, item, type, value);
    cx = rr__after_room(cx);
    if (status != RR_OK) {
        rr__object_free(cx, item);
        return status;
    }
    rr__stored_begin(cx, item);
    rr__publish(item, RR__READY, 1, type.kind);
    if ((status = rr__stream_push(cx, task, item)) != RR_OK) rr__drop(cx, item);
    return status;
}

/* A yield that went wrong fails the body, because a gap would go unseen; further ones fail
   likewise. */
static rr_status rr__yield_fail(rr__frame *frame, rr_status status, const char *site,
                                const char *text) {
    if (!frame->error)
        frame->error = rr__error_new(rr__frame_context(frame)->runtime, status, frame->task,
                                     "what it yielded at %s: %s", site, text);
    return rr__note(RR__NULL_REF, status, "rr_yield at %s: %s", site, text);
}

static rr_status rr__yield_type_error(rr__frame *frame, rr_type type, const char *site) {
    char text[200];
    snprintf(text, sizeof text, "it is a stream of %s, and this is %s",
             frame->task->of.fn->item.name, type.name);
    return rr__yield_fail(frame, RR_ERR_TYPE, site, text);
}

/* ---- reading ---- */

/* It has ended and nothing is unread. */
static rr_status rr__stream_end(rr__context *cx, rr__object *task) {
    if (rr__stream_is_closed(task)) /* while the caller was here */
        return rr__note(RR__NULL_REF, RR_ERR_STALE,
                        "the stream was released while this thread was reading it");
    if (!rr__has_failed(task)) return rr__note_status(RR__NULL_REF, RR_ERR_END);
    rr__error *error = rr__failure(cx->runtime, task);
    /* RR_ERR_TIMEOUT is what a reader's own limit says, who then reads on. */
    rr_status status = error->status == RR_ERR_TIMEOUT ? RR_ERR_LATE : error->status;
    rr__note(RR__NULL_REF, status, "%s", rr__error_message_of(error));
    rr__error_drop(error);
    return status;
}

/* A thread from outside looks on for a moment: to be woken takes longer than most items do. It
   keeps its core meanwhile: whoever was given that might keep it for milliseconds. */
static bool rr__stream_spin(rr__object *task) {
    enum { BETWEEN = 16 };
    rr__stream *stream = rr__stream_in(task);
    if (rr__has_one_cpu()) return false;
    for (double end = rr_now() + RR__SPIN_TIME; rr_now() < end;)
        for (int i = 0; i < BETWEEN; i++) {
            if (rr__stream_has_item(stream) || rr__is_complete(task)) return true;
            RR__PAUSE();
        }
    return false;
}

/* The caller counts the task, and not the reader's end: so a wait ends when that goes. */
static rr_status rr__stream_next(rr__context *cx, rr__object *task, int64_t milliseconds,
                                 rr__object **item) {
    double deadline = rr__deadline(milliseconds);
    for (rr_status status = RR_OK; status == RR_OK; cx = rr__here(cx)) {
        bool has_ended = rr__is_complete(task); /* before the look at the queue */
        RR__STRESS_POINT();
        if ((*item = rr__stream_pop(cx, task))) return RR_OK;
        if (has_ended || rr__stream_is_closed(task)) return rr__stream_end(cx, task);
        if (!milliseconds) return rr__note_status(RR__NULL_REF, RR_ERR_TIMEOUT);
        if (!rr__self()->fiber && rr__stream_spin(task)) continue;
        status = rr__stream_wait_item(cx, task, deadline);
        if (status != RR_OK) return status;
        if (deadline >= 0 && rr_now() >= deadline) milliseconds = 0; /* a last look */
    }
    return RR_OK;
}

/* What comes next of a stream whose reader's end is pinned. A wait counts the task instead, so that
   it ends when that end goes. */
static rr_status rr__stream_read(rr__context *cx, rr__object *reader, int64_t milliseconds,
                                 rr__object **item) {
    rr__object *task = reader->extra.producer;
    bool has_stream = rr__stream_of(task); /* or it could not be submitted */
    if (RR__LIKELY(has_stream && (*item = rr__stream_pop(cx, task)))) {
        rr__drop(cx, reader);
        return RR_OK;
    }
    rr__share(task);
    rr__drop(cx, reader);
    rr_status status =
        has_stream ? rr__stream_next(cx, task, milliseconds, item) : rr__stream_end(cx, task);
    rr__drop(rr__here(cx), task);
    return status;
}

// >>insight/stats

/* Counters, and the report of leaks.
   Locks: the global one, and rr_runtime.lock. */

/* Objects of our own the user does not see. */
static bool rr__is_internal(const rr__object *o) {
    uint8_t flags = rr__load_relaxed(&((rr__object *)(uintptr_t)o)->flags); /* these are fixed */
    return (flags & RR__IS_RECIPE) || (o->kind == RR__FUNCTION && o->of.fn->item.size);
}

static void rr__report_leak(rr__context *cx, rr__object *o) {
    rr_type type = o->kind == RR__CONSTRUCTOR ? o->of.fn->self : rr__type_of(o);
    if (rr__is_internal(o)) return;
    uint64_t count = (rr__load_relaxed(&o->word) & RR__COUNT_MASK) - 1; /* less the visit's own */
    rr__log(&cx->runtime->config, RR_LOG_WARN,
            "never released: %s of type '%s' made at %s (%llu count%s)",
            o->kind == RR__CONSTRUCTOR ? "actor" : "object", type.name, o->site,
            (unsigned long long)count, count == 1 ? "" : "s");
}

/* What has gone is summed before what was made, so that what lives is never less than nothing. */
static void rr__stats_fill(rr_runtime *rt, rr_stats *out) {
    out->tasks_finished = rr__sum(rt, RR__FINISHED);
    out->tasks_failed = rr__sum(rt, RR__ERRORS);
    out->tasks_submitted = rr__sum(rt, RR__SUBMITTED);
    out->tasks_stolen = rr__sum(rt, RR__STOLEN);
    uint64_t gone = rr__sum(rt, RR__OBJECTS_GONE);
    out->objects_live = rr__sum(rt, RR__OBJECTS_MADE) - gone;
    gone = rr__sum(rt, RR__ACTORS_GONE);
    out->actors_live = rr__sum(rt, RR__ACTORS_MADE) - gone;
    rr__store_stats(rt, out);
    out->store_bytes_used = rr__load_relaxed(&rt->memory.live); /* a counter */
    out->store_bytes_held = rr__arena_held(&rt->arena);
    out->workers = (uint64_t)rt->workers;
    rr__lock(&rt->lock);
    out->threads = (uint64_t)rt->threads;
    rr__unlock(&rt->lock);
}

// >>store/names

/* Names of objects, and pins by hand.
   Locks: the global one. */

/* Ours: a copy. */
static char *rr__name_text(const rr__map_entry *entry) { return (char *)(uintptr_t)entry->key; }

/* Names an object, which the name then counts, or, if that is NULL, takes the name away. */
static rr_status rr__name_object(rr__context *cx, const char *name, rr__object *o) {
    rr__store *store = cx->runtime->store;
    char *copy = o ? RR_MALLOC(strlen(name) + 1) : NULL, *unused = copy;
    if (o && !copy) return RR_ERR_NO_MEMORY;
    rr__global_lock();
    rr__map_entry *entry = rr__map_at(&store->names, name);
    rr__object *before = entry ? entry->value : NULL;
    rr_status status = entry ? RR_OK : o ? RR_ERR_NO_MEMORY : RR_ERR_NOT_FOUND;
    if (entry && o) {
        entry->value = o;
    } else if (entry) {
        unused = rr__name_text(entry);
        rr__map_remove(&store->names, entry);
    } else if (o && rr__map_put(&store->names, strcpy(copy, name), o)) {
        status = RR_OK, unused = NULL;
    }
    rr__global_unlock();
    RR_FREE(unused);
    if (before) rr__drop(cx, before);
    return status;
}

/* The object of this name, counted; or NULL. */
static rr__object *rr__named_object(rr__context *cx, const char *name) {
    rr__global_lock();
    rr__map_entry *entry = rr__map_at(&cx->runtime->store->names, name);
    rr__object *o = entry ? entry->value : NULL;
    if (o) rr__share(o); /* the name counts it */
    rr__global_unlock();
    return o;
}

static void rr__names_free(rr__map *names) {
    for (size_t i = 0; i < names->room; i++)
        if (names->entries[i].key) RR_FREE(rr__name_text(&names->entries[i]));
    rr__map_free(names);
}

/* At the end of the runtime. */
static void rr__object_names_clear(rr__context *cx) {
    rr__global_lock(); /* threads outside may still ask, and give names: see rr__store_free */
    rr__map names = cx->runtime->store->names;
    cx->runtime->store->names = (rr__map){NULL, 0, 0};
    rr__global_unlock();
    for (size_t i = 0; i < names.room; i++)
        if (names.entries[i].key) rr__drop(cx, names.entries[i].value);
    rr__names_free(&names);
}

/* Pins by hand, which the value of an entry is. */
static intptr_t rr__pins_in(const rr__map_entry *entry) {
    return entry ? (intptr_t)entry->value : 0;
}

/* Counts them: how many there are now, or -1: no memory, or none to take away. */
static intptr_t rr__pins_change(rr_runtime *rt, uint64_t id, int by) {
    rr__map *pinned = &rt->store->pinned;
    rr__global_lock();
    rr__map_entry *entry = rr__map_at_number(pinned, id);
    intptr_t pins = rr__pins_in(entry) + by;
    if (entry) entry->value = (void *)pins;
    else if (by < 0 || !rr__map_put_number(pinned, id, (void *)pins)) pins = -1;
    if (entry && !pins) rr__map_remove(pinned, entry);
    rr__global_unlock();
    return pins;
}

/* ---- the store's own beginning and end ---- */

static bool rr__store_init(rr__store *store) {
    return rr__mutex_init(&store->lock) && rr__cond_init(&store->moved) &&
           rr__cond_init(&store->spill_wake) && rr__mutex_init(&store->census_lock);
}

static void rr__store_free(rr__store *store) {
    for (int i = 0; i < RR__SPILLERS; i++)
        if (store->files[i]) rr__file_close(store->files[i]);
    rr__map_free(&store->pinned);
    rr__names_free(&store->names);
    RR_FREE(store->spill_dir);
    rr__cond_destroy(&store->spill_wake);
    rr__mutex_destroy(&store->census_lock);
    rr__cond_destroy(&store->moved);
    rr__mutex_destroy(&store->lock);
}

// >>runtime/whole

/* The memory of a runtime: what each part keeps there, in one block, and what is freed at the end.
   Locks: none; nobody else knows the runtime yet, or any more. */

/* A runtime, and a context, with what each part keeps there. */
typedef struct rr__whole_runtime {
    rr_runtime runtime;
    rr__resources resources;
    rr__timers timers;
    rr__store store;
    rr__tasks tasks;
    rr__actors actors;
} rr__whole_runtime;

typedef struct rr__whole_context {
    rr__context context;
    rr__local local;
    rr__newcomers newcomers;
    rr__tasks_thread tasks;
} rr__whole_context;

static rr__context *rr__context_alloc(void) {
    rr__whole_context *whole = RR_CALLOC(1, sizeof *whole);
    if (!whole) return NULL;
    whole->context.tasks = &whole->tasks, whole->context.local = &whole->local;
    whole->context.newcomers = &whole->newcomers;
    return &whole->context;
}

static rr_runtime *rr__runtime_alloc(void) {
    rr__whole_runtime *whole = RR_CALLOC(1, sizeof *whole);
    if (!whole) return NULL;
    rr_runtime *rt = &whole->runtime;
    rt->resources = &whole->resources, rt->timers = &whole->timers, rt->store = &whole->store;
    rt->tasks = &whole->tasks, rt->actors = &whole->actors;
    return rt;
}

/* Everything that may fail before a thread runs. */
static bool rr__runtime_fill(rr_runtime *rt) {
    const char *text = rr_status_text(RR_ERR_NO_MEMORY);
    if (!(rt->no_memory = RR_CALLOC(1, sizeof *rt->no_memory + strlen(text) + 1))) return false;
    rt->no_memory->status = RR_ERR_NO_MEMORY;
    strcpy(rt->no_memory->text, text);
    rr__store_relaxed(&rt->no_memory->message, rt->no_memory->text); /* nobody else is here yet */
    rt->memory.surplus = rr__sweep_later, rt->memory.owner = rt;
    bool ok = rr__mutex_init(&rt->lock) && rr__mutex_init(&rt->fibers_lock) &&
              rr__mutex_init(&rt->end_lock) && rr__cond_init(&rt->quiet) &&
              rr__timers_init(rt->timers) && rr__resources_init(rt->resources) &&
              rr__store_init(rt->store) && rr__slots_init(&rt->slots, &rt->memory) &&
              rr__arena_init(&rt->arena, &rt->memory) && rr__mutex_init(&rt->log_lock);
    for (int i = 0; ok && i < RR__SHARDS; i++) ok = rr__mutex_init(&rt->shards[i].lock);
    return ok;
}

/* Frees what a live slot has outside the arena. No thread uses the runtime any more. */
static void rr__slot_dispose(rr_runtime *rt, rr__object *o) {
    enum rr__state state = rr__state_of(rr__load_relaxed(&o->word));
    bool has_error = state == RR__FAILED && o->kind != RR__CONSTRUCTOR && !rr__is_decided(o);
    if (has_error) rr__error_drop(o->data.error);
    rr__control_free(rr__control_of(o));
    if (o->kind == RR__CONSTRUCTOR) {
        rr__actor *a = o->extra.own;
        rr__error_drop(rr__load_relaxed(&a->death));
        RR_FREE(a->care);
        if (a->place == RR__ON_ITS_OWN) rr__big_free(a);
    } else if (o->kind == RR__GATHER) {
        RR_FREE(o->extra.parts);
    } else if (o->flags & RR__IS_RECIPE) {
        if (o->args_place == RR__ON_ITS_OWN) rr__big_free(rr__args_of(o));
    } else if ((state == RR__READY && o->place != RR__IN_SLOT) || rr__is_unsealed(o)) {
        if (o->place == RR__ON_ITS_OWN && o->data.block) rr__big_free(o->data.block);
        rr__stored_dispose(rt, o);
    }
}

static void rr__runtime_free(rr_runtime *rt) {
    rr__fibers_free(rt);
    for (uint32_t slot = 1;; slot++) {
        rr__object *o = rr__slot_at(rt, slot);
        if (!o) break;
        if (rr__load_relaxed(&o->id)) rr__slot_dispose(rt, o);
    }
    for (rr__context *cx = rr__load_relaxed(&rt->contexts), *next; cx; cx = next) {
        next = cx->next;
        rr__context_free(cx);
    }
    rr__arena_free(&rt->arena);
    rr__slots_free(&rt->slots);
    for (int i = 0; i < RR__SHARDS; i++) rr__mutex_destroy(&rt->shards[i].lock);
    rr__cond_destroy(&rt->quiet);
    rr__mutex_destroy(&rt->lock);
    rr__mutex_destroy(&rt->fibers_lock);
    rr__mutex_destroy(&rt->end_lock);
    rr__mutex_destroy(&rt->log_lock);
    rr__timers_free(rt->timers);
    rr__resources_free(rt->resources);
    rr__store_free(rt->store);
    rr__global_lock();
    rr__map_free(&rt->actors->names);
    rr__global_unlock();
    RR_FREE(rt->no_memory);
    RR_FREE(rt);
}

// >>runtime/attach

/* Attaching: a thread from outside gets a context in a runtime at its first call, and keeps the
   runtime's memory until it lets go: at its next call after the runtime has stopped, or at its
   end. So no call of such a thread can touch freed memory, and no call needs a lock for that. A
   thread is attached to what it has chosen (rr_runtime_use); that a runtime has gone meanwhile is
   found by its absence from the list, and nothing of it is looked at.
   Locks: the global one, then rr_runtime.lock. */

/* One thread less that may touch the runtime's memory; the last one frees it. */
static void rr__runtime_let_go(rr_runtime *rt) {
    rr__global_lock();
    bool is_last = --rt->holders == 0;
    for (rr_runtime **at = &rr__runtimes; is_last && *at; at = &(*at)->next_runtime)
        if (*at == rt) {
            *at = rt->next_runtime;
            break;
        }
    rr__global_unlock();
    if (is_last) rr__runtime_free(rt);
}

/* The calling thread gives its context back. What an open scope holds of a stopped runtime is gone
   with it; of a running one it is released. */
static void rr__context_detach(rr__local *self, rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    bool is_open = rr__load_acquire(&rt->phase) != RR__STOPPED;
    for (size_t i = 0; i < self->scopes.count; i++) {
        if (self->scopes.held[i].is_mark || self->scopes.held[i].of.context != cx) continue;
        rr__object *o = self->scopes.held[i].object;
        if (o && is_open && self->scopes.held[i].is_view) rr__unuse(cx, o);
        if (o && is_open) rr__drop(cx, o);
        self->scopes.held[i].object = NULL, self->scopes.held[i].is_view = false;
    }
    if (cx->tasks->lanes) rr__lanes_abandon(cx, cx->tasks->lanes);
    cx->tasks->lanes = NULL;
    rr__fibers_let_go(cx);
    rr__context **at = &self->attached;
    while (*at != cx) at = &(*at)->sibling;
    *at = cx->sibling;
    if (self->context == cx) self->context = NULL;
    rr__lock(&rt->lock);
    cx->listed = rt->vacant, rt->vacant = cx; /* with its deque: thieves empty it */
    rr__unlock(&rt->lock);
    rr__runtime_let_go(rt);
}

/* Lets go of everything that the thread holds. */
static void rr__local_clear(rr__local *self) {
    while (self->attached) rr__context_detach(self, self->attached);
    RR_FREE(self->scopes.held);
    RR_FREE(self->path.steps);
    self->path.steps = NULL, self->path.count = self->path.capacity = 0;
    self->scopes.held = NULL, self->scopes.count = self->scopes.capacity = 0;
    self->scopes.start = self->scopes.depth = 0;
}

/* Attaches the calling thread to a runtime that the caller keeps; under the global lock. */
static rr__context *rr__attach_locked(rr__local *self, rr_runtime *rt) {
    if (!rr__local_hook(self)) return NULL;

    rr__lock(&rt->lock);
    rr__context *cx = rr__context_new(rt, false);
    rr__unlock(&rt->lock);
    if (!cx) return NULL;
    rt->holders++;
    cx->sibling = self->attached, self->attached = cx;
    return cx;
}

static rr__context *rr__attached_to(rr__local *self, const rr_runtime *rt) {
    rr__context *cx = self->attached;
    if (self->carrier && self->carrier->runtime == rt) return self->carrier;
    while (cx && cx->runtime != rt) cx = cx->sibling;
    return cx;
}

/* By the thread, or by what it runs bodies on top of. */
static bool rr__is_chosen(const rr__local *self, const rr_runtime *rt) {
    const rr__frame *frame = self->frame;
    while (frame && frame->chosen != rt) frame = frame->outer;
    return self->chosen == rt || frame;
}

/* Lets go of runtimes that were stopped by others, but not of a chosen one: its calls say that it
   is not running, also when another has got its memory's address. */
static void rr__forget_stopped(rr__local *self) {
    for (rr__context *cx = self->attached, *next; cx; cx = next) {
        next = cx->sibling;
        if (!rr__is_chosen(self, cx->runtime) && !rr__load_relaxed(&cx->frame) &&
            rr__load_acquire(&cx->runtime->phase) == RR__STOPPED)
            rr__context_detach(self, cx);
    }
}

/* What the choice of a runtime that had gone already is: an address that no runtime has. */
static rr_runtime *const rr__gone = (rr_runtime *)(void *)&rr__runtimes;

/* A runtime that there is, NULL: the default one; or NULL. Under the global lock. */
static rr_runtime *rr__runtime_find_locked(const rr_runtime *chosen) {
    rr_runtime *rt = rr__runtimes;
    if (!chosen) return rr__load_acquire(&rr__default);
    while (rt && rt != chosen) rt = rt->next_runtime;
    return rt;
}

/* The calling thread in a runtime, whatever it has chosen. NULL: *status says why. */
static rr__context *rr__attach(const rr_runtime *chosen, rr_status *status) {
    rr__local *self = rr__self();
    rr__global_lock();
    rr_runtime *rt = rr__runtime_find_locked(chosen);
    rr__context *cx = rt ? rr__attached_to(self, rt) : NULL;
    bool is_new = rt && !cx && rr__load_acquire(&rt->phase) == RR__OPEN;
    if (is_new) cx = rr__attach_locked(self, rt);
    rr__global_unlock();
    if (cx && rr__load_acquire(&rt->phase) != RR__STOPPED) *status = RR_OK;
    else *status = is_new && !cx ? RR_ERR_NO_MEMORY : RR_ERR_NOT_RUNNING;
    return *status == RR_OK ? cx : NULL;
}

static rr_status rr__note_no_entry(const rr__local *self, rr_status status) {
    if (status == RR_ERR_NOT_RUNNING && self->chosen)
        return rr__note(RR__NULL_REF, status,
                        "the runtime that this thread uses (rr_runtime_use) has ended, or could "
                        "not be entered: choose another one, or NULL, the default one");
    return rr__note_status(RR__NULL_REF, status);
}

static RR__NOINLINE rr__context *rr__enter_slow(rr_status *status) {
    rr__local *self = rr__self();
    rr_status why;
    rr__forget_stopped(self);
    self->context = rr__attach(self->chosen, &why);
    if (status) *status = why == RR_OK ? RR_OK : rr__note_no_entry(self, why);
    return self->context;
}

/* The calling thread in its runtime, for reading and releasing: while the runtime is open or
   stopping. *status is RR_OK; or NULL is returned, *status says why, and rr_error_message tells.
   With NULL for it nothing is told. */
static RR__INLINE rr__context *rr__enter(rr_status *status) {
    rr__context *cx = rr__self()->context;
    if (status) *status = RR_OK;
    if (RR__LIKELY(cx && rr__load_acquire(&cx->runtime->phase) != RR__STOPPED)) return cx;
    return rr__enter_slow(status);
}

static RR__NOINLINE rr_status rr__note_stopping(void) {
    return rr__note(RR__NULL_REF, RR_ERR_NOT_RUNNING,
                    "the runtime is being shut down: it takes new work from its own tasks only");
}

/* The same for new work: a runtime that is stopping takes it from its own bodies only. *why is
   written only if NULL is returned: a store more would be seen. */
static RR__INLINE rr__context *rr__enter_to_submit(rr_status *why) {
    rr__context *cx = rr__self()->context;
    if (RR__UNLIKELY(!cx || rr__load_acquire(&cx->runtime->phase) == RR__STOPPED))
        cx = rr__enter_slow(why);
    if (RR__UNLIKELY(cx && rr__load_relaxed(&cx->runtime->phase) != RR__OPEN) &&
        !rr__load_relaxed(&cx->frame)) {
        *why = rr__note_stopping();
        return NULL;
    }
    return cx;
}

// >>runtime/configure

/* Configuration: what the program gave, completed from the environment and the defaults, and
   checked.
   Locks: none; nobody else knows the runtime yet. */

/* What the program has to change: told in the log, and to who asks rr_error_message. */
RR__PRINTF(2, 3)
static rr_status rr__bad_config(const rr_config *config, const char *format, ...) {
    char text[640];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    rr__log_text(config, RR_LOG_ERROR, text);
    return rr__note(RR__NULL_REF, RR_ERR_INVALID, "%s", text);
}

/* Reads a number from the environment into *out, if the program left it zero. */
static rr_status rr__env_number(const rr_config *config, const char *name, uint64_t max,
                                uint64_t *out) {
    const char *text = *out == 0 ? getenv(name) : NULL;
    if (!text || !*text) return RR_OK;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    *out = value;
    if (*end == 0 && errno == 0 && !strchr(text, '-') && value <= max) return RR_OK;
    return rr__bad_config(config,
                          "the environment variable %s is '%.200s': it must be a number from 0 to "
                          "%llu, in digits, or not set",
                          name, text, (unsigned long long)max);
}

static rr_status rr__configure_from_env(rr_config *c) {
    uint64_t workers = c->workers > 0 ? (uint64_t)c->workers : c->workers != 0;
    uint64_t threads = c->max_threads > 0 ? (uint64_t)c->max_threads : c->max_threads != 0;
    uint64_t bytes = c->store_bytes, lineage = c->lineage_bytes, stack = c->stack_bytes;
    uint64_t leaks = c->report_leaks, no_spill = c->no_spill;
    uint64_t pending = c->max_pending > 0 ? (uint64_t)c->max_pending : c->max_pending != 0;
    rr_status status = rr__env_number(c, "RUSTYRAY_WORKERS", 100000, &workers);
    if (status == RR_OK) status = rr__env_number(c, "RUSTYRAY_MAX_THREADS", INT_MAX, &threads);
    if (status == RR_OK) status = rr__env_number(c, "RUSTYRAY_STORE_BYTES", SIZE_MAX, &bytes);
    if (status == RR_OK) status = rr__env_number(c, "RUSTYRAY_STACK_BYTES", RR__STACK_MOST, &stack);
    if (status == RR_OK) status = rr__env_number(c, "RUSTYRAY_LINEAGE_BYTES", SIZE_MAX, &lineage);
    if (status == RR_OK) status = rr__env_number(c, "RUSTYRAY_NO_SPILL", 1, &no_spill);
    if (status == RR_OK) status = rr__env_number(c, "RUSTYRAY_REPORT_LEAKS", 1, &leaks);
    if (status == RR_OK) status = rr__env_number(c, "RUSTYRAY_MAX_PENDING", INT64_MAX, &pending);
    if (c->workers == 0) c->workers = (int)workers;
    if (c->max_threads == 0) c->max_threads = (int)threads;
    if (c->max_pending == 0) c->max_pending = (int64_t)pending;
    c->store_bytes = (size_t)bytes, c->lineage_bytes = (size_t)lineage;
    c->stack_bytes = (size_t)stack;
    c->report_leaks = leaks != 0, c->no_spill = no_spill != 0;
    return status;
}

/* "gpu=2,disk=0.5" into rr_config.resources; the names stay where text is. */
static bool rr__resources_parse(rr_config *c, char *text) {
    for (int i = 0; *text; i++) {
        char *name = text, *end, *equals = strchr(text, '=');
        if (i == RR_RESOURCES || !equals || equals == name) return false;
        *equals = 0;
        c->resources[i] = (rr_resource){name, strtod(equals + 1, &end)};
        if (end == equals + 1 || (*end && *end != ',')) return false;
        text = *end ? end + 1 : end;
    }
    return true;
}

static rr_status rr__resources_from_env(rr_runtime *rt) {
    const char *text = getenv("RUSTYRAY_RESOURCES");
    for (int i = 0; i < RR_RESOURCES; i++)
        if (rt->config.resources[i].name) return RR_OK;
    if (!text || !*text) return RR_OK;
    if (!(rt->resources->names = RR_MALLOC(strlen(text) + 1))) return RR_ERR_NO_MEMORY;
    if (rr__resources_parse(&rt->config, strcpy(rt->resources->names, text))) return RR_OK;
    return rr__bad_config(&rt->config,
                          "the environment variable RUSTYRAY_RESOURCES is '%.200s': it must look "
                          "like gpu=2,disk=0.5, with %d names at most, or not be set",
                          text, RR_RESOURCES);
}

/* The program's own names are copied, all into one block. */
static rr_status rr__stock_names_copy(rr_runtime *rt) {
    size_t size = 0;
    for (int i = 1; i < rt->resources->count; i++)
        size += strlen(rt->resources->stocks[i].name) + 1;
    char *to = rt->resources->names ? NULL : RR_MALLOC(size + 1);
    if (rt->resources->names) return RR_OK; /* from the environment: ours already */
    if (!(rt->resources->names = to)) return RR_ERR_NO_MEMORY;
    for (int i = 1; i < rt->resources->count; i++) {
        size_t n = strlen(rt->resources->stocks[i].name) + 1;
        rt->resources->stocks[i].name = memcpy(to, rt->resources->stocks[i].name, n);
        to += n;
    }
    return RR_OK;
}

static rr_status rr__configure_stocks(rr_runtime *rt) {
    rr_status status = rr__resources_from_env(rt);
    if (status != RR_OK) return status;
    const char *field = rt->resources->names ? "resources (RUSTYRAY_RESOURCES)" : "resources";
    rt->resources->stocks[RR__CPU] = (rr__stock){"cpu", (int64_t)rt->workers * RR__WHOLE, 0, 0};
    rt->resources->count = 1;
    for (int i = 0; i < RR_RESOURCES; i++) {
        const rr_resource *given = &rt->config.resources[i];
        if (!given->name) continue;
        int64_t total = rr__amount_of(given->amount);
        if (total < 0)
            return rr__bad_config(&rt->config,
                                  "rr_config.%s: %g is no amount of '%.100s': it must be 0, or "
                                  "0.0001 to 1e12",
                                  field, given->amount, given->name);
        if (!*given->name || rr__stock_find(rt, given->name) >= 0)
            return rr__bad_config(&rt->config,
                                  "rr_config.%s: the name '%.100s' must be another: names differ, "
                                  "are not empty, and not 'cpu' (that is .workers)",
                                  field, given->name);
        rt->resources->stocks[rt->resources->count++] = (rr__stock){given->name, total, 0, 0};
    }
    return rr__stock_names_copy(rt);
}

/* A folder for spilled values that was given must be one now; others may never be needed. */
static rr_status rr__spill_dir_find(rr_runtime *rt) {
    const char *dir = rt->config.spill_dir, *given;
    if (!dir || !*dir) dir = getenv("RUSTYRAY_SPILL_DIR");
    given = dir && *dir ? dir : NULL;
    if (!given) dir = getenv(RR__TEMP_VARIABLE);
    if (!dir || !*dir) dir = RR__TEMP_DIR;
    if (given && rt->evicts && rt->config.evict == RR_EVICT_SPILL && !RR__FILE_CAN_MAKE(dir))
        return rr__bad_config(&rt->config,
                              "rr_config.spill_dir (RUSTYRAY_SPILL_DIR) is '%.300s': it must be a "
                              "folder in which files can be made",
                              dir);
    if (!(rt->store->spill_dir = RR_MALLOC(strlen(dir) + 1))) return RR_ERR_NO_MEMORY;
    strcpy(rt->store->spill_dir, dir);
    return RR_OK;
}

static rr_status rr__configure_store(rr_runtime *rt) {
    rr_config *c = &rt->config;
    if (c->no_spill && c->evict == RR_EVICT_SPILL) c->evict = RR_EVICT_REBUILD;
    if (c->evict < RR_EVICT_SPILL || c->evict > RR_EVICT_DROP)
        return rr__bad_config(c,
                              "rr_config.evict is %d: it must be RR_EVICT_SPILL, RR_EVICT_REBUILD "
                              "or RR_EVICT_DROP",
                              (int)c->evict);
    rt->evicts = c->store_bytes != 0;
    if (!c->store_bytes) c->store_bytes = SIZE_MAX;
    if (!c->lineage_bytes) c->lineage_bytes = (size_t)64 << 20;
    return rr__spill_dir_find(rt);
}

/* Completes a configuration from the environment and the defaults. */
static rr_status rr__configure(rr_runtime *rt, const rr_config *given) {
    rr_config *c = &rt->config;
    if (given) *c = *given;
    rr_status status = rr__configure_from_env(c);
    if (status != RR_OK) return status;
    if (c->workers < 0 || c->workers > 100000)
        return rr__bad_config(c, "rr_config.workers is %d: it must be 0 (one per CPU) to 100000",
                              c->workers);
    rt->workers = c->workers ? c->workers : rr__cpu_count();
    if (c->max_threads < 0 || (c->max_threads && c->max_threads < rt->workers))
        return rr__bad_config(
            c,
            "rr_config.max_threads (RUSTYRAY_MAX_THREADS) is %d: it must be 0, or "
            "at least the number of workers, which is %d",
            c->max_threads, rt->workers);
    rt->max_threads = c->max_threads ? c->max_threads : rt->workers + 1024;
    status = rr__configure_store(rt);
    if (status != RR_OK) return status;
    if (c->max_pending < 0)
        return rr__bad_config(c, "rr_config.max_pending is %lld: it must be 0 (no limit) or more",
                              (long long)c->max_pending);
    if (c->stack_bytes > RR__STACK_MOST)
        return rr__bad_config(c, "rr_config.stack_bytes is %zu: it must be 0 (256 KiB) to %zu",
                              c->stack_bytes, RR__STACK_MOST);
    rt->config.max_pending = c->max_pending;
    rt->body_bytes = c->stack_bytes ? c->stack_bytes : RUSTYRAY_BODY_STACK;
    if (rt->body_bytes < RR__STACK_LEAST) rt->body_bytes = RR__STACK_LEAST;
    rt->body_bytes = (rt->body_bytes + 4095) / 4096 * 4096;
    rt->stack_bytes = rt->body_bytes + RUSTYRAY_HELP_STACK + RR__STACK_OWN;
    return rr__configure_stocks(rt);
}

// >>runtime/start

/* The start of a runtime.
   Locks: the global one, then rr_runtime.lock. */

static void rr__join_all(rr_runtime *rt) {
    rr__lock(&rt->lock);
    rr__store_seq_cst(&rt->phase, (int)RR__STOPPED);
    for (rr__context *cx = rt->parked; cx; cx = cx->listed) rr__context_wake(cx);
    rt->parked = NULL;
    rr__unlock(&rt->lock);
    rr__lock(&rt->timers->lock);
    rr__cond_signal(&rt->timers->wake);
    rr__unlock(&rt->timers->lock);
    rr__lock(&rt->store->lock);
    rr__cond_broadcast(&rt->store->spill_wake);
    rr__unlock(&rt->store->lock);
    for (rr__context *cx = rr__load_acquire(&rt->contexts); cx; cx = cx->next)
        if (cx->has_thread) rr__thread_join(&cx->thread);
}

/* One context for a thread from outside, so that the one that made the runtime can end it again. */
static rr_status rr__workers_start(rr_runtime *rt) {
    int started = 0;
    rr__lock(&rt->lock);
    rt->vacant = rr__context_new(rt, false);
    while (rt->vacant && started < rt->workers && rr__worker_add_locked(rt, NULL)) started++;
    rr__unlock(&rt->lock);
    if (started == rt->workers) return RR_OK;
    return rr__note(
        RR__NULL_REF, RR_ERR_NO_MEMORY,
        "memory or threads ran out at worker %d of %d: lower rr_config.workers, or "
        "raise the limit of threads (ulimit -u) or of memory (ulimit -v, the container)",
        started + 1, rt->workers);
}

/* Makes a runtime with its workers running, and lists it. */
static rr_status rr__runtime_make(const rr_config *config, rr_runtime **out) {
    rr_runtime *rt = rr__runtime_alloc();
    if (!rt) return rr__note_status(RR__NULL_REF, RR_ERR_NO_MEMORY);
    rr_status status = rr__configure(rt, config);
    if (status == RR_OK && !rr__runtime_fill(rt)) status = RR_ERR_NO_MEMORY;
    if (status == RR_ERR_NO_MEMORY) rr__note_status(RR__NULL_REF, status);
    if (status != RR_OK) {
        RR_FREE(rt->no_memory); /* mutexes hold no memory on the platforms that there are */
        RR_FREE(rt->resources->names);
        RR_FREE(rt->store->spill_dir);
        RR_FREE(rt);
        return status;
    }
    rr__global_lock();
    if (!++rr__homes) rr__homes = 1;
    rt->home = rr__homes, rt->holders = 1;
    rt->next_runtime = rr__runtimes, rr__runtimes = rt;
    rr__global_unlock();
    rr__store_seq_cst(&rt->idle, (uint64_t)rt->workers * RR__ONE_SEARCHING);
    *out = rt;
    return rr__workers_start(rt);
}

static bool rr__default_take(rr_runtime *rt) {
    rr_runtime *none = NULL;
    rt->is_default = true;
    return rr__cas_seq_cst(&rr__default, &none, rt);
}

static rr_status rr__note_already(void) {
    return rr__note(RR__NULL_REF, RR_ERR_ALREADY_RUNNING,
                    "the default runtime is running already: rr_shutdown ends it, and "
                    "rr_runtime_create makes another one beside it");
}

static rr_status rr__runtime_start(const rr_config *config, bool is_default, rr_runtime **out) {
    rr_runtime *rt = NULL;
    RR__ONCE(rr__global_start);
    if (is_default && rr__load_acquire(&rr__default)) return rr__note_already();
    /* Who makes it can end it, also if there is no memory then. */
    rr_status status = rr__local_hook(rr__self()) ? rr__registry_refresh() : RR_ERR_NO_MEMORY;
    if (status != RR_OK) return rr__note_status(RR__NULL_REF, status);
    status = rr__registry_report(config);
    if (status == RR_OK) status = rr__runtime_make(config, &rt);
    if (status == RR_OK && is_default && !rr__default_take(rt)) status = rr__note_already();
    if (status == RR_OK) {
        *out = rt;
        return RR_OK;
    }
    if (rt) rr__join_all(rt), rr__runtime_let_go(rt);
    return status;
}

// >>runtime/stop

/* The end of a runtime. rr_shutdown adds up what the threads submitted and finished, each in
   counters of its own, until both are the same; then actors are ended, and threads joined. What
   stands still with something left is set going step by step.
   Locks: rr_runtime.lock while it waits. */

static bool rr__is_quiet(rr_runtime *rt, bool actors_too) {
    /* A cancellation is counted by who decides, while the owner may count, and take back, what it
       comes with: so there may be none on the way while the sums are made. */
    uint64_t begun = rr__load_seq_cst(&rt->tasks->strays_begun);
    if (rr__load_seq_cst(&rt->tasks->strays_over) != begun) return false;
    /* Ended before submitted: equal sums mean that there was a moment when all had ended. */
    uint64_t ended = rr__sum(rt, RR__FINISHED) + rr__sum(rt, RR__ERRORS);
    uint64_t gone = rr__sum(rt, RR__ACTORS_GONE);
    if (ended != rr__sum(rt, RR__SUBMITTED)) return false;
    if (rr__load_seq_cst(&rt->tasks->strays_begun) != begun) return false;
    return !actors_too || gone == rr__sum(rt, RR__ACTORS_MADE);
}

/* Who made it may still be writing to its room, until the next call that says that the runtime has
   ended: so that stays until its memory goes. */
static void rr__room_abandon(rr_runtime *rt, rr__object *o) {
    if (!o->data.block) return;
    rr__store_return(rt, rr__info_of(o));
    rr__arena_abandon(&rt->arena, o->data.block, o->place);
}

static void rr__fail_unsealed(rr__context *cx, rr__object *o) {
    if (!rr__is_unsealed(o)) return;
    rr__error *error =
        rr__error_new(cx->runtime, RR_ERR_NOT_RUNNING, o,
                      "it was never sealed, and the runtime is shut down: call rr_seal before");
    if (!rr__unseal(o)) {
        rr__error_drop(error);
        return;
    }
    rr__room_abandon(cx->runtime, o);
    rr__share(o); /* for rr__fail_with to give back */
    rr__fail_with(cx, o, error);
}

/* A stream that nobody reads. */
static void rr__end_stream(rr__context *cx, rr__object *o) {
    if (o->kind == RR__FUNCTION) rr__stream_give_up(cx, o);
}

static void rr__end_actor(rr__context *cx, rr__object *o) {
    if (o->kind != RR__CONSTRUCTOR || rr__has_failed(o)) return;
    rr__error *error =
        rr__error_new(cx->runtime, RR_ERR_NOT_RUNNING, NULL, "the runtime was shut down");
    if (rr__actor_doom(cx, o, error)) rr__actor_rouse(cx, o);
}

/* It waits for resources that nobody will give back any more. */
static void rr__refuse_waiting(rr__context *cx, rr__object *o) {
    rr__control *control = o->kind == RR__FUNCTION ? rr__control_of(o) : NULL;
    if (!control || !rr__turn_revoke(cx->runtime, control)) return;
    rr__fail_with(cx, o,
                  rr__error_new(cx->runtime, RR_ERR_UNSCHEDULABLE, o,
                                "what it needs is held by tasks that wait for others, and the "
                                "runtime is shut down"));
}

static void rr__cancel_waiting(rr__context *cx, rr__object *o) {
    bool is_task = o->kind == RR__FUNCTION || o->kind == RR__METHOD;
    if (is_task && rr__state_of(rr__load_acquire(&o->word)) == RR__RUNNING)
        rr__cancel_tree(cx, o, RR__IS_CANCELLED);
}

/* All stands still with something left. First that waits for objects that nobody seals; if there is
   none, for the end of an actor, or what one holds; if there is none, for somebody who reads its
   stream; if there is none, for what bodies hold that wait themselves; and if there is none, for
   each other in a way that the search for deadlocks does not know (the end of an actor). */
static void (*const rr__unstick[])(rr__context *, rr__object *) = {
    rr__fail_unsealed, rr__end_actor, rr__end_stream, rr__refuse_waiting, rr__cancel_waiting};
enum { RR__UNSTICK_STEPS = sizeof rr__unstick / sizeof *rr__unstick };

static uint64_t rr__tasks_begun_and_ended(rr_runtime *rt) {
    return rr__sum(rt, RR__SUBMITTED) + rr__sum(rt, RR__FINISHED) + rr__sum(rt, RR__ERRORS);
}

/* Waits until all work has ended, and with it all actors, whose destructors may start more. */
static void rr__quiesce(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    bool has_ended_actors = false;
    uint64_t before = UINT64_MAX;
    for (int step = 0;;) {
        bool is_still = false;
        rr__lock(&rt->lock);
        while (!rr__is_quiet(rt, has_ended_actors) && !(is_still = rr__is_stuck(rt)))
            rr__cond_wait(&rt->quiet, &rt->lock);
        rr__unlock(&rt->lock);
        if (rr__is_quiet(rt, true)) {
            rr__store_seq_cst(&rt->has_quiesced, 1); /* see rr__is_too_late */
            if (rr__is_quiet(rt, true)) return;
            rr__store_seq_cst(&rt->has_quiesced, 0);
        } else if (rr__is_quiet(rt, false)) {
            rr__each_object(cx, rr__end_actor);
            has_ended_actors = true;
        } else if (is_still) {
            /* The next step only if the last was no help and no thread outside has begun
               anything: what that waits for was made before, so the first step sees it. */
            uint64_t now = rr__tasks_begun_and_ended(rt);
            step = now == before ? (step + 1) % RR__UNSTICK_STEPS : 0;
            before = now;
            rr__each_object(cx, rr__unstick[step]);
            rr__sleep(1e-3); /* what that has set going may take its time */
        }
    }
}

static rr_status rr__stop(rr__context *cx) {
    rr_runtime *rt = cx->runtime;
    int phase = RR__OPEN;
    if (rr__load_relaxed(&cx->frame))
        return rr__note(RR__NULL_REF, RR_ERR_INVALID,
                        "a task may not shut down its own runtime: let a thread outside do it");
    if (!rr__cas_seq_cst(&rt->phase, &phase, (int)RR__STOPPING))
        return rr__note(RR__NULL_REF, RR_ERR_NOT_RUNNING,
                        "another thread is shutting the runtime down already");
    rr__add_seq_cst(&rt->idle, RR__STOP);
    rr__quiesce(cx);
    rr__each_object(cx, rr__fail_unsealed); /* for waiters outside */
    rr__object_names_clear(cx);
    rr__join_all(rt);
    /* Now, because a body that was decided gives up what it had after rr_shutdown may go on. */
    if (rt->config.report_leaks) rr__each_object(cx, rr__report_leak);
    rr__log_end(rt);
    rr__global_lock();
    if (rr__load_relaxed(&rr__default) == rt) rr__store_release(&rr__default, (rr_runtime *)NULL);
    rr__global_unlock();
    rr__local *self = rr__self();
    if (self->chosen == rt) self->chosen = NULL;
    rr__context_detach(self, cx);
    rr__runtime_let_go(rt);
    return RR_OK;
}

// >>runtime/above

/* What the layers above do when a layer below finds that it is time: the table that core/context.h
   declares.
   Locks: none. */

static const rr__hooks rr__above = {
    .ops =
        {
            [RR__FUNCTION] = {.missing = rr__args_missing,
                              .ready = rr__function_ready,
                              .run = rr__function_run,
                              .decided = rr__function_decided,
                              .abandon = rr__function_abandon,
                              .options = rr__control_of,
                              .begun = rr__function_begun,
                              .due = rr__function_due,
                              .end = rr__function_end},
            [RR__METHOD] = {.missing = rr__args_missing,
                            .ready = rr__message_ready,
                            .run = rr__message_run,
                            .decided = rr__lane_forget,
                            .abandon = rr__message_abandon,
                            .begun = rr__message_begun,
                            .end = rr__outcome_free},
            [RR__CONSTRUCTOR] = {.missing = rr__args_missing,
                                 .ready = rr__actor_ready,
                                 .run = rr__actor_run_class,
                                 .options = rr__actor_options,
                                 .due = rr__actor_due,
                                 .unheld = rr__actor_poke,
                                 .end = rr__actor_free},
            [RR__VALUE] = {.end = rr__value_end},
            [RR__GATHER] = {.missing = rr__missing_part,
                            .ready = rr__gather_finish,
                            .end = rr__gather_end},
            [RR__FIELD] = {.missing = rr__field_missing,
                           .ready = rr__field_ready,
                           .run = rr__field_run,
                           .end = rr__outcome_free},
            [RR__STREAM] = {.end = rr__stream_close},
            [RR__FIBER] = {.run = rr__fiber_run},
        },
    .context_alloc = rr__context_alloc,
    .has_stack = rr__fiber_for_thread,
    .thread = rr__worker_main,
    .work = rr__work,
    .thread_ends = rr__local_clear,
    .inside = rr__crew_inside,
    .hope = rr__mailbox_hope,
    .users = rr__store_users,
    .deadlocks_due = rr__deadlocks_due,
    .sleep_due = rr__sleep_due,
    .room_due = rr__room_due,
    .turn_over = rr__loader_end,
    .rebuild = rr__rebuild,
    .recipe_end = rr__recipe_end,
};

// >>public/runtime

/* The public functions: checks, then one call. */

static rr_status rr__explain_start(const rr_config *config, rr_status status) {
    if (status != RR_OK && status != RR_ERR_ALREADY_RUNNING && status != RR_ERR_INVALID &&
        status != RR_ERR_DUPLICATE)
        rr__log(config, RR_LOG_ERROR, "the runtime cannot start: %s", rr__self()->note.text);
    return status;
}

rr_status rr_init(const rr_config *config) {
    rr_runtime *rt;
    return rr__explain_start(config, rr__runtime_start(config, true, &rt));
}

/* NULL: the default one. The calling thread's choice stays. */
static rr_status rr__end(const rr_runtime *runtime) {
    rr_status status;
    rr__context *cx = rr__attach(runtime, &status);
    if (!cx && status == RR_ERR_NOT_RUNNING && runtime)
        return rr__note(RR__NULL_REF, status,
                        "rr_runtime_destroy: this runtime was destroyed before");
    if (!cx) return rr__note_status(RR__NULL_REF, status);
    if (runtime && cx->runtime->is_default)
        return rr__note(RR__NULL_REF, RR_ERR_INVALID,
                        "rr_runtime_destroy: the default runtime is ended by rr_shutdown");
    rr__self()->context = cx;
    status = rr__stop(cx);
    rr__self()->context = NULL; /* looked up again by the next call */
    return status;
}

rr_status rr_shutdown(void) { return rr__end(NULL); }

rr_runtime *rr_runtime_create(const rr_config *config) {
    rr_runtime *rt;
    return rr__explain_start(config, rr__runtime_start(config, false, &rt)) == RR_OK ? rt : NULL;
}

rr_status rr_runtime_destroy(rr_runtime *runtime) {
    if (runtime) return rr__end(runtime);
    return rr__note(RR__NULL_REF, RR_ERR_INVALID,
                    "rr_runtime_destroy: NULL is no runtime; the default one is ended by "
                    "rr_shutdown");
}

rr_runtime *rr_runtime_use(rr_runtime *runtime) {
    rr__local *self = rr__self();
    rr_runtime *before = self->chosen;
    if (!RR__CAN_HOLD(self)) return before;
    self->chosen = runtime;
    rr__enter_slow(NULL); /* attaches: keeps the runtime's memory for this thread */
    if (runtime && !rr__attached_to(self, runtime)) self->chosen = rr__gone;
    return before;
}

// >>public/errors

/* Errors: their messages and codes. */

static const char *rr__failure_message(rr__context *cx, rr__object *o, rr_ref ref) {
    if (!rr__is_decided(o)) return rr__error_message_of(o->data.error);
    rr__error *error = rr__failure(cx->runtime, o);
    rr__note(ref, error->status, "%s", rr__error_message_of(error));
    rr__error_drop(error);
    return rr__self()->note.text;
}

const char *rr_error_message(rr_ref ref) {
    rr__local *self = rr__self();
    if (!ref.id && !ref.slot && self->note.is_failure) ref = self->note.of;
    if (ref.id == 0 && ref.slot) return rr_status_text(rr__status_of(ref.slot));
    rr__context *cx = rr__enter(NULL);
    rr__object *o = cx && ref.id ? rr__pin(cx, ref, false) : NULL;
    const char *message = o && rr__has_failed(o) ? rr__failure_message(cx, o, ref) : NULL;
    bool is_gone = ref.id && !o;
    if (o) rr__drop(cx, o);
    if (message) return message;
    if (self->note.text[0] && (memcmp(&self->note.of, &ref, sizeof ref) == 0 || !ref.id))
        return self->note.text;
    if (!is_gone) return "no error";
    return cx ? rr__handle_text(cx->runtime, ref) : rr_status_text(RR_ERR_NOT_RUNNING);
}

int rr_error_code(rr_ref ref) {
    rr__context *cx = rr__enter(NULL);
    rr__object *o = cx ? rr__pin(cx, ref, false) : NULL;
    if (!o) return 0;
    rr__error *error = rr__has_failed(o) && !rr__is_decided(o) ? o->data.error : NULL;
    int code = error ? error->code : 0;
    rr__drop(cx, o);
    return code;
}

// >>public/handles

/* Counts of handles, and scopes. */

static void rr__retain(rr_ref ref, bool actor) {
    rr__context *cx = rr__enter(NULL);
    rr__object *o = cx ? rr__pin(cx, ref, actor) : NULL; /* the count stays */
    if (!o) return;
    rr__local *self = rr__self();
    rr__held *held = rr__held_find(self, o);
    if (held) held->retained++;
}

/* What a scope holds is counted by it; else the object is pinned for as long as it is looked at. */
static void rr__release(rr_ref ref, bool actor) {
    rr__context *cx = rr__enter(NULL);
    rr__object *o = cx ? rr__find(cx->runtime, ref) : NULL;
    if (!o) return;
    rr__local *self = rr__self();
    rr__held *held = self->scopes.depth ? rr__held_find(self, o) : NULL;
    if (!held) {
        if (rr__pin(cx, ref, actor)) rr__drop_two(cx, o);
        return;
    }
    if (held->retained) held->retained--;
    else rr__held_clear(self, held);
    rr__drop(cx, o);
}

static void rr__keep(rr_ref ref) {
    rr__context *cx = rr__enter(NULL);
    rr__object *o = cx ? rr__find(cx->runtime, ref) : NULL;
    rr__local *self = rr__self();
    rr__held *held = o ? rr__held_find(self, o) : NULL;
    if (held) rr__held_clear(self, held);
}

/* For another thread: no scope of this one hears of it. */
static void rr__give(rr_ref ref, bool actor) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (cx) (void)rr__pin(cx, ref, actor); /* the count stays */
}

/* The count is there already, and gets a place in the scope; false if there is none for it. */
static bool rr__take(rr_ref ref, bool actor) {
    rr_status status;
    rr__local *self = rr__self();
    rr__context *cx = rr__enter(&status);
    rr__object *o = cx ? rr__pin(cx, ref, actor) : NULL;
    if (!o) return true;
    bool has_room = rr__scope_ready(self);
    if (has_room) rr__scope_hold(self, cx, o, false);
    rr__drop(cx, o);
    return has_room;
}

void rr__retain_ref(rr_ref ref) { rr__retain(ref, false); }
void rr__retain_actor(rr_actor actor) { rr__retain(rr__as_ref(actor), true); }
void rr__release_ref(rr_ref ref) { rr__release(ref, false); }
void rr__release_actor(rr_actor actor) { rr__release(rr__as_ref(actor), true); }
static rr_ref rr__ref_of(rr_stream stream) { return (rr_ref){stream.id, stream.slot, stream.home}; }
void rr__retain_stream(rr_stream stream) { rr__retain(rr__ref_of(stream), false); }
void rr__release_stream(rr_stream stream) { rr__release(rr__ref_of(stream), false); }
rr_ref rr__keep_ref(rr_ref ref) {
    rr__keep(ref);
    return ref;
}
rr_actor rr__keep_actor(rr_actor actor) {
    rr__keep(rr__as_ref(actor));
    return actor;
}
rr_stream rr__keep_stream(rr_stream stream) {
    rr__keep(rr__ref_of(stream));
    return stream;
}
rr_ref rr__give_ref(rr_ref ref) {
    rr__give(ref, false);
    return ref;
}
rr_actor rr__give_actor(rr_actor actor) {
    rr__give(rr__as_ref(actor), true);
    return actor;
}
rr_stream rr__give_stream(rr_stream stream) {
    rr__give(rr__ref_of(stream), false);
    return stream;
}
rr_ref rr__take_ref(rr_ref ref) {
    return rr__take(ref, false) ? ref : rr__status_ref(RR_ERR_NO_MEMORY);
}
rr_actor rr__take_actor(rr_actor actor) {
    return rr__take(rr__as_ref(actor), true) ? actor : rr__status_actor(RR_ERR_NO_MEMORY);
}
rr_stream rr__take_stream(rr_stream stream) {
    return rr__take(rr__ref_of(stream), false) ? stream : (rr_stream){0, RR_ERR_NO_MEMORY, 0};
}

/* There is no memory for its mark: it is closed, and those inside it hold nothing, and are none. */
static RR__NOINLINE rr_scope rr__scope_close(rr__local *self) {
    if (rr__is_closed(self)) return (rr_scope){0, 0, 0, 0};
    rr__log(rr__log_config(), RR_LOG_ERROR,
            "rr_scope_begin: no memory; until this scope ends, calls on this thread that would "
            "return a handle or a view return RR_ERR_NO_MEMORY");
    rr_scope scope = {0, self->scopes.start, self->scopes.depth, self->scopes.begun};
    self->scopes.closed = self->scopes.begun;
    self->scopes.depth = (self->scopes.depth + 1) | RR__SCOPE_CLOSED;
    return scope;
}

/* In front of what a scope holds lies an entry with its serial, by which rr_scope_end knows that it
   is still open. */
rr_scope rr_scope_begin(void) {
    rr__local *self = rr__self();
    if (!RR__CAN_HOLD(self)) return (rr_scope){0, 0, 0, 0}; /* nothing will be in it */
    if (!++self->scopes.begun) self->scopes.begun = 1;
    if (self->scopes.count == self->scopes.capacity && !rr__held_grow(self))
        return rr__scope_close(self);
    self->scopes.held[self->scopes.count++] =
        (rr__held){.of.outer = self->scopes.start, .retained = self->scopes.begun, .is_mark = true};
    rr_scope scope = {self->scopes.count, self->scopes.start, self->scopes.depth++,
                      self->scopes.begun};
    self->scopes.start = self->scopes.count;
    return scope;
}

static bool rr__scope_is_open(const rr__local *self, rr_scope scope) {
    size_t around = self->frame ? self->frame->scope_depth : 0; /* the body's own is one more */
    if (scope.start == 0)
        return rr__is_closed(self) && scope.serial == self->scopes.closed && scope.depth >= around;
    return scope.start > self->scopes.floor && scope.start <= self->scopes.start &&
           self->scopes.held[scope.start - 1].is_mark &&
           self->scopes.held[scope.start - 1].retained == scope.serial;
}

void rr_scope_end(rr_scope scope) {
    rr__local *self = rr__self();
    if (scope.serial == 0) return; /* in a closed one */
    if (!rr__scope_is_open(self, scope)) {
        rr__log_misuse("rr_scope_end: this scope is not open here; end a scope once, in the body "
                       "and on the thread that began it");
        return;
    }
    if (scope.start) rr__held_release_to(self, scope.start - 1);
    self->scopes.depth = scope.depth;
    self->scopes.start = scope.outer;
}

// >>store/reading

/* Reading a complete object: a scalar without a count, a copy, a view, a handle; and waiting for
   the objects of references.
   Locks: those of the pins. */

/* What was asked for has failed: its chain is told if somebody asks. */
static rr_status rr__note_failure(rr_ref ref, rr_status status) {
    rr__note_status(ref, status);
    rr__self()->note.is_failure = true;
    return status;
}

static rr_status rr__note_unreadable(const rr__object *o, rr_ref ref, rr_status status) {
    return rr__note(ref, status, "'%s' (made at %s) could not be brought back into memory: %s",
                    rr__name_of(o), o->site, rr__status_why(status));
}

/* A scalar in its slot, without taking a count: copied, and valid if the id is still the same. */
static RR__INLINE bool rr__read_scalar(rr__object *o, rr_ref ref, const rr_type *type, void *out) {
    uint64_t mask = RR__STATE_MASK | RR__IS_INLINE | RR__KIND_BITS(255);
    uint64_t wanted = RR__STATE(RR__READY) | RR__IS_INLINE | RR__KIND_BITS(type->kind);
    if ((rr__load_acquire(&o->word) & mask) != wanted) return false;
    if (type->kind <= RR__KIND_VOID || !rr__kind_is_plain(type->kind)) return false;
    uint64_t words[2] = {rr__load_acquire(&o->words[0]), 0}; /* before the id is read again */
    if (RR__UNLIKELY(type->size > 8)) words[1] = rr__load_acquire(&o->words[1]);
    if (rr__load_acquire(&o->id) != ref.id) return false;
    rr__copy(out, words, type->size);
    return true;
}

static rr_status rr__read_handle(rr__context *cx, rr__object *o, void *out) {
    rr__local *self = rr__self();
    if (!rr__scope_ready(self)) return rr__note_status(RR__NULL_REF, RR_ERR_NO_MEMORY);
    rr__object *inner = rr__contained(cx, o);
    memcpy(out, rr__data(o), sizeof(rr_ref));
    if (!inner) return RR_OK;
    rr__share(inner); /* o counts it, and we count o */
    rr__scope_hold(self, cx, inner, false);
    return RR_OK;
}

/* A view keeps its object, and its memory: inside a scope by a count and a pin of the scope's. One
   is enough for each. Takes over the caller's pin. */
static rr_status rr__hold_view(rr__context *cx, rr__object *o) {
    rr__local *self = rr__self();
    if (self->scopes.depth == 0) {
        if (RR__UNLIKELY(cx->runtime->evicts)) rr__pin_outside(cx, o);
        return RR_OK;
    }
    for (size_t i = self->scopes.count, k = 0; i > self->scopes.start && k < 4; i--, k++)
        if (self->scopes.held[i - 1].object == o && self->scopes.held[i - 1].is_view) {
            rr__unuse(cx, o);
            return RR_OK;
        }
    if (!rr__scope_ready(self)) {
        rr__unuse(cx, o);
        return rr__note_status(RR__NULL_REF, RR_ERR_NO_MEMORY);
    }
    uint32_t hint = rr__load_relaxed(&o->held_at); /* of the handle, which matters more */
    rr__share(o);
    rr__scope_hold(self, cx, o, true);
    rr__store_relaxed(&o->held_at, hint);
    return RR_OK;
}

static void rr__view_of(rr__object *o, rr_type type, void *out) {
    if (type.kind == RR__KIND_BYTES) {
        rr_bytes bytes = rr__bytes_in(o);
        memcpy(out, &bytes, sizeof bytes);
    } else {
        rr_many many = {o->extra.parts->items, o->extra.parts->count};
        memcpy(out, &many, sizeof many);
    }
}

static rr_status rr__read(rr__context *cx, rr__object *o, rr_ref ref, rr_type type, void *out) {
    if (rr__has_failed(o)) return rr__note_failure(ref, rr__failure_status(o));
    rr_type held = rr__type_of(o);
    if (!rr__type_equal(held, type))
        return rr__note(ref, RR_ERR_TYPE,
                        "the reference holds %s '%s' (made at %s), but %s was asked for", held.name,
                        rr__name_of(o), o->site, type.name);
    if (type.kind == RR__KIND_REF || type.kind == RR__KIND_ACTOR)
        return rr__read_handle(cx, o, out);
    bool is_view = type.kind == RR__KIND_BYTES || type.kind == RR__KIND_MANY;
    bool is_held = is_view && rr__self()->scopes.depth == 0 && rr__is_pinned_outside(cx, o);
    rr_status status = is_held ? RR_OK : rr__use(cx, o);
    if (status != RR_OK) return rr__note_unreadable(o, ref, status);
    cx = rr__after_room(cx);
    if (is_view) {
        rr__view_of(o, type, out);
        return is_held ? RR_OK : rr__hold_view(cx, o);
    }
    memcpy(out, rr__data(o), type.size);
    rr__unuse(cx, o);
    return RR_OK;
}

static RR__NOINLINE rr_status rr__get_slow(rr__context *cx, rr_ref ref, const rr_type *type,
                                           void *out, int64_t milliseconds) {
    rr__object *o = rr__pin(cx, ref, false);
    if (!o) return rr__refuse_handle(cx->runtime, ref);
    rr_status status = rr__is_complete(o) ? RR_OK : rr__await(cx, o, ref, milliseconds);
    cx = rr__here(cx);
    if (status == RR_OK && type->kind != RR__KIND_VOID) {
        status = rr__read(cx, o, ref, *type, out);
        cx = rr__after_room(cx);
        rr__store_copied(cx);
    } else if (status == RR_OK && rr__has_failed(o))
        status = rr__note_failure(ref, rr__failure_status(o));
    rr__drop(cx, o);
    return status;
}

/* ---- waiting for many ---- */

/* Pins what is not ready, NULLs for the rest; notes the indices of what is, and counts them. */
static size_t rr__wait_look(rr__context *cx, const rr_ref *refs, size_t n, size_t k,
                            rr__object **objects, size_t *ready) {
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        rr__object *o = found < k ? rr__find(cx->runtime, refs[i]) : NULL;
        if (o && !rr__is_complete(o) && rr__try_retain(cx, o, refs[i].id)) {
            objects[i] = o;
            continue;
        }
        objects[i] = NULL;
        if (found < k && ready) ready[found] = i;
        if (found < k) found++;
    }
    return found;
}

static size_t rr__wait_for(rr__context *cx, const rr_ref *refs, size_t n, size_t k, int64_t ms,
                           size_t *ready, rr__object **objects, rr__node *nodes) {
    rr__local *self = rr__self();
    size_t found = rr__wait_look(cx, refs, n, k, objects, ready);
    if (found < k && ms == 0) rr__look_again_later(self); /* what it finds then, it has next time */
    if (found < k && ms != 0) {
        rr__wait wait = {.objects = objects,
                         .nodes = nodes,
                         .n = n,
                         .need = k - found,
                         .all = k == n && ms < 0,
                         .deadline = rr__deadline(ms),
                         .order = ready ? ready + found : NULL};
        if (wait.all) rr__wait_help(self, cx, &wait);
        rr_status status = rr__wait_asleep(rr__here_of(self, cx), &wait, RR__NULL_REF);
        found += wait.need;
        if (status == RR_ERR_TIMEOUT)
            rr__note(RR__NULL_REF, status, "rr_wait: %zu of %zu were ready within %lld ms", found,
                     k, (long long)ms);
    }
    cx = rr__here_of(self, cx);
    for (size_t i = 0; i < n; i++)
        if (objects[i]) rr__drop(cx, objects[i]);
    return found;
}

/* Without memory for n nodes: waits for one after the other. Enough for all of them; of a wait for
   some it finds those that are ready by the time it has waited for the ones before. */
static size_t rr__wait_in_turn(rr__context *cx, const rr_ref *refs, size_t n, size_t k,
                               int64_t milliseconds, size_t *ready) {
    double deadline = rr__deadline(milliseconds);
    size_t found = 0;
    for (size_t i = 0; i < n && found < k; i++) {
        int64_t left = milliseconds < 0 ? -1 : (int64_t)((deadline - rr_now()) * 1e3) + 1;
        rr__object *o = rr__pin(cx, refs[i], false);
        if (o) (void)rr__await(cx, o, refs[i], milliseconds <= 0 || left > 0 ? left : 0);
        cx = rr__here(cx);
        bool is_ready = !o || rr__is_complete(o);
        if (is_ready && ready) ready[found] = i;
        found += is_ready;
        if (o) rr__drop(cx, o);
    }
    return found;
}

// >>public/reading

/* Reading objects, and waiting for them. */

static RR__INLINE rr_status rr__get_value(rr_ref ref, const rr_type *type, void *out,
                                          int64_t milliseconds) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    rr__object *o = cx ? rr__find(cx->runtime, ref) : NULL;
    if (RR__LIKELY(o != NULL)) {
        if (rr__read_scalar(o, ref, type, out)) return RR_OK;
        rr__local *self = milliseconds < 0 ? rr__self() : NULL;
        if (self && rr__run_claimable(self, cx, o) && rr__read_scalar(o, ref, type, out))
            return RR_OK;
        if (self) cx = rr__here_of(self, cx);
    }
    if (cx) status = rr__get_slow(cx, ref, type, out, milliseconds);
    if (status != RR_OK && out) memset(out, 0, type->size);
    return status;
}

rr_status rr__get(rr_ref ref, const rr_type *type, void *out, int64_t milliseconds) {
    return rr__get_value(ref, type, out, milliseconds);
}

rr_status rr_get_void(rr_ref ref) { return rr__get(ref, &(rr_type){RR__VOID_TYPE}, NULL, -1); }

/* In a body that was cancelled the value does not matter any more: it is zeros. */
static RR__NOINLINE void rr__unwrap_failed(rr_ref ref, rr_status status, const char *site) {
    if (rr_cancelled()) return;
    fprintf(stderr, "rustyray: rr_unwrap at %s: %s: %s\n", site, rr_status_name(status),
            rr_error_message(ref));
    abort();
}

void *rr__unwrap(rr_ref ref, const rr_type *type, void *out, const char *site) {
    rr_status status = rr__get_value(ref, type, out, -1);
    if (RR__UNLIKELY(status != RR_OK)) rr__unwrap_failed(ref, status, site);
    return out;
}

bool rr_ready(rr_ref ref) {
    rr__context *cx = rr__enter(NULL);
    rr__object *o = cx ? rr__find(cx->runtime, ref) : NULL;
    return !o || rr__is_complete(o);
}

size_t rr_wait(const rr_ref *refs, size_t n, size_t k, int64_t milliseconds, size_t *ready) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (k > n) k = n;
    if (!cx || k == 0) return 0;
    enum { FEW = 16 };
    rr__object *few_objects[FEW];
    rr__node few_nodes[FEW];
    size_t each = sizeof(rr__object *) + sizeof(rr__node);
    char *many = n <= FEW || n > SIZE_MAX / each ? NULL : RR_MALLOC(n * each);
    if (n > FEW && !many) return rr__wait_in_turn(cx, refs, n, k, milliseconds, ready);
    rr__node *nodes = many ? (rr__node *)(void *)many : few_nodes;
    rr__object **objects = many ? (rr__object **)(void *)(nodes + n) : few_objects;
    size_t found = rr__wait_for(cx, refs, n, k, milliseconds, ready, objects, nodes);
    RR_FREE(many);
    return found;
}

// >>tasks/inplace

/* Results in place: a body takes over the memory of an argument that nobody else counts. The count
   of the task was the last one, so the argument's object ends, and NULL stands in its place.
   Locks: those of values; the census'. */

/* Room for the result; NULL: there is none, and the body fails with that. */
static void *rr__result_room(rr__context *cx, rr__frame *frame, size_t size) {
    rr__value_return(cx, frame->room, frame->room_bytes, frame->room_place);
    frame->room_bytes = size;
    rr_status status = rr__value_room(cx, size, &frame->room, &frame->room_place);
    if (status != RR_OK && !frame->error)
        frame->error = rr__error_of_status(cx->runtime, status, frame->task);
    return frame->room;
}

/* Where the argument of a body stands that these bytes are; NULL: they are none. */
static char *rr__argument_at(rr__object *task, rr_bytes bytes) {
    const rr_function *fn = task->of.fn;
    char *at = rr__args_of(task);
    for (int i = 0; task->by_ref >> i; at += rr__arg_bytes(fn, task->by_ref, i), i++) {
        bool is_bytes = (task->by_ref >> i & 1) && fn->params[i].kind == RR__KIND_BYTES;
        rr__object *o = is_bytes ? rr__counted_arg(at) : NULL;
        if (!o) continue;
        rr_bytes own = rr__bytes_in(o);
        if (own.data == bytes.data && own.size == bytes.size) return at;
    }
    return NULL;
}

/* It may need its arguments once more: when it is tried again, or its result is made again. */
static bool rr__may_run_again(rr__context *cx, const rr__frame *frame) {
    const rr__control *control = rr__control_of(frame->task);
    bool is_retried = frame->actor ? (rr__load_relaxed(&frame->actor->word) & RR__HAS_CARE) != 0
                                   : control && control->max_retries != 0; /* fixed, both */
    bool is_rebuilt = cx->runtime->evicts && cx->runtime->config.evict == RR_EVICT_REBUILD;
    return is_retried || (is_rebuilt && !frame->actor && !(control && control->no_rebuild));
}

/* An argument goes with its object. */
static void rr__argument_clear(rr__context *cx, rr__object *task, char *at) {
    rr__store *store = cx->runtime->store;
    rr__object *none = NULL;
    if (task->args_place == RR__IN_SLOT) {
        rr__store_release(&task->words[(at - (char *)task->words) / 8], (uint64_t)0);
        return;
    }
    bool is_read = rr__load_seq_cst(&store->has_census); /* perhaps: rr__census_args */
    if (is_read) rr__lock(&store->census_lock);
    memcpy(at, &none, sizeof none);
    if (is_read) rr__unlock(&store->census_lock);
}

/* Room for the result that holds what the argument does. */
static void *rr__result_from(rr__context *cx, rr__frame *frame, rr_bytes bytes) {
    char *at = rr__argument_at(frame->task, bytes);
    uint8_t place;
    if (frame->room && bytes.data == frame->room && bytes.size == frame->room_bytes)
        return frame->room; /* it has been taken over */
    if (!at) {
        if (!frame->error)
            frame->error = rr__error_new(
                cx->runtime, RR_ERR_INVALID, frame->task,
                "rr_result_from: these %zu bytes are no argument of it: pass an rr_bytes that the "
                "body was given, as it was given",
                bytes.size);
        return NULL;
    }
    bool may_take = bytes.size > 0 && !rr__may_run_again(cx, frame);
    void *own = may_take ? rr__value_take(cx, rr__counted_arg(at), &place) : NULL;
    if (own) {
        rr__argument_clear(cx, frame->task, at);
        rr__value_return(cx, frame->room, frame->room_bytes, frame->room_place);
        frame->room = own, frame->room_bytes = bytes.size, frame->room_place = place;
        return own;
    }
    void *room = rr__result_room(cx, frame, bytes.size);
    if (room && bytes.size) memcpy(room, bytes.data, bytes.size);
    return room;
}

// >>public/objects

/* Making objects, naming and pinning them. */

rr_ref rr__put(rr_type type, const void *value, const char *site) {
    rr_status status;
    rr__context *cx = rr__enter_to_submit(&status);
    rr__object *o = cx ? rr__value_new(cx, site, &status) : NULL;
    if (!o) return rr__status_ref(status);
    status = rr__value_fill(cx, o, type, value);
    cx = rr__after_room(cx);
    if (RR__LIKELY(status == RR_OK)) return rr__value_publish(cx, o, type.kind, RR__READY);
    return rr__value_refuse(cx, o, status, type.kind,
                            rr__fill_text(cx->runtime, status, type, value));
}

rr_ref rr__put_bytes(const void *data, size_t size, const char *site) {
    rr_status status;
    rr__context *cx = rr__enter_to_submit(&status);
    rr__object *o = cx ? rr__value_new(cx, site, &status) : NULL;
    if (!o) return rr__status_ref(status);
    status = rr__bytes_fill(cx, o, rr_bytes_of(data, size));
    cx = rr__after_room(cx);
    if (RR__LIKELY(status == RR_OK)) return rr__value_publish(cx, o, RR__KIND_BYTES, RR__READY);
    return rr__value_refuse(cx, o, status, RR__KIND_BYTES,
                            status == RR_ERR_INVALID ? RR__NO_DATA : rr__status_why(status));
}

rr_ref rr__create(size_t size, void **room, const char *site) {
    rr_status status;
    void *nothing, **out = room ? room : &nothing;
    *out = NULL;
    rr__context *cx = rr__enter_to_submit(&status);
    rr__object *o = cx ? rr__value_new(cx, site, &status) : NULL;
    if (!o) return rr__status_ref(status);
    /* Room to write to even for 0 bytes: NULL means failure. */
    o->of.type_name = "rr_bytes";
    rr__store_relaxed(&o->info, (uint64_t)size); /* published with word */
    status = rr__value_room(cx, size, &o->data.block, &o->place);
    cx = rr__after_room(cx);
    rr__residence_begin(o, 0);
    if (status != RR_OK)
        return rr__value_refuse(cx, o, status, RR__KIND_BYTES, rr__status_why(status));
    *out = o->data.block;
    return rr__value_publish(cx, o, RR__KIND_BYTES, RR__WAITING);
}

rr_status rr_seal(rr_ref ref) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (!cx) return status;
    rr__object *o = rr__pin(cx, ref, false);
    if (!o) return rr__refuse_handle(cx->runtime, ref);
    if (!rr__is_unsealed(o) || !rr__unseal(o))
        status = rr__note(ref, RR_ERR_INVALID,
                          "rr_seal: the object of %s was sealed before, or was "
                          "not made by rr_create",
                          o->site);
    if (status == RR_OK) {
        rr__stored_begin(cx, o);
        rr__complete(cx, o, RR__READY); /* gives the pin back */
    } else rr__drop(cx, o);
    return status;
}

/* The body that calls, if it returns bytes; else NULL, and the log says so. */
static rr__frame *rr__frame_of_bytes(const char *misuse) {
    rr__frame *frame = rr__self()->frame;
    if (frame && frame->task->of.fn->result.kind == RR__KIND_BYTES) return frame;
    rr__log_misuse(misuse);
    return NULL;
}

void *rr_result(size_t size) {
    rr__frame *frame = rr__frame_of_bytes("rr_result: only a body that returns rr_bytes has one");
    return frame ? rr__result_room(rr__frame_context(frame), frame, size) : NULL;
}

void *rr_result_from(rr_bytes argument) {
    rr__frame *frame =
        rr__frame_of_bytes("rr_result_from: only a body that returns rr_bytes has one");
    return frame ? rr__result_from(rr__frame_context(frame), frame, argument) : NULL;
}

rr_ref rr__gather(const rr_ref *refs, size_t n, const char *site) {
    rr_status status;
    rr__context *cx = rr__enter_to_submit(&status);
    return cx ? rr__gather_new(cx, refs, n, site) : rr__status_ref(status);
}

rr_ref rr__field(rr_ref ref, const rr_type *whole, rr_type type, size_t offset, const char *site) {
    rr_status status;
    rr__context *cx = rr__enter_to_submit(&status);
    return cx ? rr__field_new(cx, ref, whole, type, offset, site) : rr__status_ref(status);
}

rr_status rr_name(const char *name, rr_ref ref) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (!cx) return status;
    if (!name || !*name) return rr__note(ref, RR_ERR_INVALID, "rr_name: name is NULL or empty");
    rr__object *o = ref.id ? rr__pin(cx, ref, false) : NULL;
    if (!o && (ref.id || ref.slot)) return rr__refuse_handle(cx->runtime, ref);
    status = rr__name_object(cx, name, o);
    if (status != RR_OK && o) rr__drop(cx, o);
    if (status == RR_ERR_NOT_FOUND)
        return rr__note(ref, status, "rr_name: no object is named '%s' any more", name);
    return status == RR_OK ? status : rr__note_status(ref, status);
}

rr_ref rr__put_as(const char *name, rr_type type, const void *value, const char *site) {
    rr_ref ref = rr__put(type, value, site);
    rr_status status = name && *name ? rr_get_void(ref) : RR_ERR_INVALID;
    if (status == RR_OK) status = rr_name(name, ref);
    else if (status != RR_ERR_INVALID) return ref; /* who had the name keeps it */
    if (status == RR_OK) return ref;
    rr__release_ref(ref);
    rr__context *cx = rr__enter(&status);
    if (!cx) return rr__status_ref(status);
    status = name && *name ? RR_ERR_NO_MEMORY : RR_ERR_INVALID;
    const char *text = "rr_put_as: name is NULL or empty: pass one, or use rr_put";
    return rr__failed_ref(cx, rr__error_saying(cx->runtime, status, NULL, text), site);
}

rr_status rr_find(const char *name, rr_ref *out) {
    rr_status status;
    rr__local *self = rr__self();
    rr__context *cx = rr__enter(&status);
    if (out) *out = RR__NULL_REF;
    if (!cx) return status;
    if (!name || !out)
        return rr__note(RR__NULL_REF, RR_ERR_INVALID, "rr_find: %s is NULL: pass %s",
                        name ? "out" : "name", name ? "where the reference goes" : "the name");
    if (!rr__scope_ready(self)) return rr__note_status(RR__NULL_REF, RR_ERR_NO_MEMORY);
    rr__object *o = rr__named_object(cx, name);
    if (!o)
        return rr__note(RR__NULL_REF, RR_ERR_NOT_FOUND,
                        "rr_find: no object is named '%s': rr_put_as and rr_name name one", name);
    rr__scope_hold(self, cx, o, false);
    *out = rr__ref_to(cx, o);
    return RR_OK;
}

bool rr_exists(const char *name) {
    rr__context *cx = name ? rr__enter(NULL) : NULL;
    rr__object *o = cx ? rr__named_object(cx, name) : NULL;
    if (o) rr__drop(cx, o);
    return o != NULL;
}

size_t rr_size(rr_ref ref) {
    rr__context *cx = rr__enter(NULL);
    rr__object *o = cx ? rr__pin(cx, ref, false) : NULL;
    if (!o) return 0;
    bool is_there = rr__is_complete(o) ? !rr__has_failed(o) : rr__is_unsealed(o);
    size_t size = is_there ? rr__bytes_of_value(o) : 0;
    rr__drop(cx, o);
    return size;
}

rr_status rr_pin(rr_ref ref) {
    rr_status status = rr_get_void(ref);
    rr__context *cx = status == RR_OK ? rr__enter(&status) : NULL;
    if (!cx) return status;
    rr__object *o = rr__pin(cx, ref, false);
    if (!o) return rr__refuse_handle(cx->runtime, ref);
    status = rr__use(cx, o);
    cx = rr__after_room(cx);
    rr__store_copied(cx);
    if (status != RR_OK) status = rr__note_unreadable(o, ref, status);
    else if (rr__pins_change(cx->runtime, ref.id, 1) < 0) {
        rr__unuse(cx, o);
        status = rr__note_status(ref, RR_ERR_NO_MEMORY);
    }
    if (status != RR_OK) rr__drop(cx, o); /* else the count stays */
    return status;
}

rr_status rr_unpin(rr_ref ref) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (!cx) return status;
    rr__object *o = rr__pin(cx, ref, false);
    if (!o) return rr__refuse_handle(cx->runtime, ref);
    if (rr__pins_change(cx->runtime, ref.id, -1) < 0) {
        status = rr__note(ref, RR_ERR_INVALID, "rr_unpin: '%s' (made at %s) is not pinned",
                          rr__name_of(o), o->site);
        rr__drop(cx, o);
        return status;
    }
    rr__unuse(cx, o);
    rr__drop(cx, o);
    rr__drop(cx, o);
    return RR_OK;
}

// >>public/tasks

/* Calling, cancelling, and what bodies ask. */

rr_ref rr__call(rr_function *fn, const rr__arg *args, size_t n, const char *site) {
    rr_status status;
    (void)n; /* checked when it was compiled */
    rr__context *cx = rr__enter_to_submit(&status);
    if (RR__UNLIKELY(!cx)) return rr__status_ref(status);
    if (RR__UNLIKELY(cx->runtime->config.max_pending)) rr__make_way(cx);
    return rr__submit(cx, fn, args, NULL, site);
}

static bool rr__options_are_zero(const rr_options *o) {
    return !rr__has_needs(o->num_cpus, o->resources) && !o->name && !o->priority &&
           !o->timeout_ms && !o->max_retries && !o->retry_delay_ms && !o->blocking &&
           !o->no_rebuild && !o->max_unread && !o->max_unread_bytes;
}

rr_ref rr__call_with(const rr_options *options, rr_function *fn, const rr__arg *args, size_t n,
                     const char *site) {
    rr_status status;
    (void)n;
    rr__context *cx = rr__enter_to_submit(&status);
    if (!cx) return rr__status_ref(status);
    if (cx->runtime->config.max_pending) rr__make_way(cx);
    return rr__options_are_zero(options) ? rr__submit(cx, fn, args, NULL, site)
                                         : rr__submit(cx, fn, args, options, site);
}

static rr_status rr__cancel(rr_ref ref, uint64_t flag) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (!cx) return status;
    rr__object *o = rr__pin(cx, ref, false);
    if (!o) return rr__refuse_handle(cx->runtime, ref);
    if (o->kind != RR__FUNCTION && o->kind != RR__METHOD)
        status = rr__note(ref, RR_ERR_INVALID, "rr_cancel: the object of %s is no task", o->site);
    else if (!rr__cancel_tree(cx, o, flag))
        status = rr__note(ref, RR_ERR_INVALID, "rr_cancel: '%s' is finished", rr__name_of(o));
    rr__drop(cx, o);
    return status;
}

rr_status rr_cancel(rr_ref ref) { return rr__cancel(ref, RR__IS_CANCELLED); }
rr_status rr_cancel_alone(rr_ref ref) { return rr__cancel(ref, RR__IS_CANCELLED | RR__IS_ALONE); }

bool rr_cancelled(void) {
    rr__frame *frame = rr__self()->frame;
    return frame && rr__frame_must_stop(frame);
}

void rr_block_begin(void) {
    rr__frame *frame = rr__self()->frame;
    if (!frame || frame->blocking == UINT16_MAX || frame->blocking++) return;
    rr__block_begin(frame);
}

void rr_block_end(void) {
    rr__frame *frame = rr__self()->frame;
    if (frame && frame->blocking && !--frame->blocking) rr__block_over(frame);
}

int rr_attempt(void) {
    rr__frame *frame = rr__self()->frame;
    rr__control *control = frame ? rr__control_of(frame->task) : NULL;
    return control                                    ? control->attempt
           : frame && frame->task->kind == RR__METHOD ? frame->task->attempt
                                                      : 0;
}

static rr__error *rr__named_error(rr__context *cx, const rr_function *fn, const char *name,
                                  const rr__named_arg *args, size_t n) {
    char suggestion[200];
    if (fn && fn->item.size)
        return rr__error_new(cx->runtime, RR_ERR_INVALID, NULL,
                             "'%s' is a stream: call it with rr_call_stream", name);
    if (!fn || fn->kind != RR__FUNCTION) {
        rr__registry_suggest(name, suggestion, sizeof suggestion);
        return rr__error_new(cx->runtime, RR_ERR_NOT_FOUND, NULL,
                             "there is no remote function '%s'%s", name, suggestion);
    }
    if (n != (size_t)fn->arity)
        return rr__error_new(cx->runtime, RR_ERR_ARITY, NULL, "'%s' has %d parameter%s, not %zu",
                             name, fn->arity, fn->arity == 1 ? "" : "s", n);
    for (size_t i = 0; i < n; i++)
        if (args[i].value.type.name && !rr__type_equal(args[i].value.type, fn->params[i]))
            return rr__error_new(cx->runtime, RR_ERR_TYPE, NULL,
                                 "argument %zu of '%s' is declared %s, but the value is %s", i + 1,
                                 name, fn->params[i].name, args[i].value.type.name);
    return NULL;
}

rr_ref rr__call_named(const char *name, const rr__named_arg *args, size_t n, const char *site) {
    rr_status status;
    rr__context *cx = rr__enter_to_submit(&status);
    if (!cx) return rr__status_ref(status);
    rr_function *fn = name ? rr__registry_find(name) : NULL;
    rr__error *error =
        name ? rr__named_error(cx, fn, name, args, n)
             : rr__error_new(cx->runtime, RR_ERR_INVALID, NULL,
                             "rr_call_named: a name is needed, as REMOTE_FN gives it");
    if (error) return rr__failed_ref(cx, error, site);
    rr__arg plain[RR__MAX_PARAMS];
    for (size_t i = 0; i < n; i++)
        plain[i] = (rr__arg){args[i].value.type.name ? args[i].value.data : NULL, args[i].ref};
    if (cx->runtime->config.max_pending) rr__make_way(cx);
    return rr__submit(cx, fn, plain, NULL, site);
}

void rr_fail(int code, const char *format, ...) {
    rr__frame *frame = rr__self()->frame;
    va_list args;
    va_start(args, format);
    if (!frame) {
        char text[512] = "rr_fail outside a task does nothing: ";
        vsnprintf(text + strlen(text), sizeof text - strlen(text), format, args);
        rr__log_misuse(text);
    } else if (!frame->error) {
        frame->error = rr__error_make(rr__frame_context(frame)->runtime, RR_ERR_TASK, code,
                                      frame->task, NULL, format, args);
    }
    va_end(args);
}

rr_status rr__yield(rr_type type, const void *value, const char *site) {
    rr__frame *frame = rr__self()->frame;
    rr__object *task = frame ? frame->task : NULL;
    rr__stream *stream = task ? rr__stream_of(task) : NULL;
    if (!stream)
        return rr__note(RR__NULL_REF, RR_ERR_INVALID, "rr_yield: only the body of a stream has it");
    if (rr__frame_must_stop(frame)) return rr__note_status(RR__NULL_REF, RR_ERR_CANCELLED);
    if (frame->error) return rr__note_status(RR__NULL_REF, frame->error->status);
    if (!rr__type_equal(type, task->of.fn->item)) return rr__yield_type_error(frame, type, site);
    if (stream->now++ < rr__load_relaxed(&stream->put)) return RR_OK; /* an earlier attempt did */
    rr_status status = rr__yield_item(rr__frame_context(frame), task, type, value, site);
    if (status == RR_OK) return RR_OK;
    if (status == RR_ERR_CANCELLED) return rr__note_status(RR__NULL_REF, status);
    return rr__yield_fail(frame, status, site,
                          rr__fill_text(rr__frame_context(frame)->runtime, status, type, value));
}

/* The reader's end of a task that was just submitted: takes over the caller's count of it. */
rr_stream rr__call_stream(const rr_options *options, rr_function *fn, const rr__arg *args, size_t n,
                          const char *site) {
    static const rr_options none;
    rr_status status;
    (void)n;
    rr__local *self = rr__self();
    rr__context *cx = rr__enter_to_submit(&status);
    if (cx && cx->runtime->config.max_pending) rr__make_way(cx);
    rr__object *reader = cx && rr__scope_ready(self) ? rr__object_new(cx, RR__STREAM, site) : NULL;
    if (!reader) return (rr_stream){0, (uint32_t)(cx ? RR_ERR_NO_MEMORY : status), 0};
    rr_ref ref = rr__submit(cx, fn, args, options ? options : &none, site);
    if (!ref.id) {
        rr__object_free(cx, reader);
        return (rr_stream){0, ref.slot, 0};
    }
    rr__keep(ref);
    reader->extra.producer = rr__find(cx->runtime, ref), reader->of.type_name = "rr_stream";
    rr__scope_hold(self, cx, reader, false);
    ref = rr__ref_to(cx, reader);
    rr__publish_with(reader, RR__READY, 1, RR__KIND_VOID, 0);
    return (rr_stream){ref.id, ref.slot, ref.home};
}

rr_status rr_next_timeout(rr_stream handle, int64_t milliseconds, rr_ref *out) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    rr__local *self = rr__self();
    if (out) *out = RR__NULL_REF;
    if (!cx) return status;
    if (!out)
        return rr__note(RR__NULL_REF, RR_ERR_INVALID,
                        "rr_next: a place is needed to put the reference");
    rr__object *reader = rr__pin(cx, rr__ref_of(handle), false), *item = NULL;
    if (!reader || reader->kind != RR__STREAM) {
        if (reader) rr__drop(cx, reader);
        return rr__refuse_handle(cx->runtime, rr__ref_of(handle));
    }
    if (!rr__scope_ready(self)) {
        rr__drop(cx, reader);
        return rr__note_status(RR__NULL_REF, RR_ERR_NO_MEMORY);
    }
    status = rr__stream_read(cx, reader, milliseconds, &item);
    if (!item) return status;
    cx = rr__here(cx);
    *out = rr__ref_to(cx, item);
    rr__scope_hold(self, cx, item, false);
    return RR_OK;
}

rr_status rr_next(rr_stream stream, rr_ref *out) { return rr_next_timeout(stream, -1, out); }

// >>public/actors

/* Actors: making them, sending to them, finding, ending and watching them. */

rr_actor rr__spawn(const rr_actor_options *options, rr_function *fn, const rr__arg *args, size_t n,
                   const char *site) {
    rr_status status;
    (void)n;
    rr__context *cx = rr__enter_to_submit(&status);
    return cx ? rr__spawn_in(cx, options, fn, args, site) : rr__status_actor(status);
}

rr_ref rr__ask(rr_actor handle, rr_function *fn, const rr__arg *args, size_t n, const char *site) {
    rr_status status;
    (void)n;
    rr__context *cx = rr__enter_to_submit(&status);
    if (!cx) return rr__status_ref(status);
    if (!rr__scope_ready(rr__self())) return rr__status_ref(RR_ERR_NO_MEMORY);
    rr_runtime *rt = cx->runtime;
    rr_ref to = rr__as_ref(handle);
    rr__object *actor = rr__pin_actor(cx, handle);
    if (!actor)
        return rr__failed_ref(cx,
                              rr__error_new(rt, rr__handle_status(to), NULL,
                                            "'%s' has no actor to go to: %s", fn->name,
                                            rr__handle_text(rt, to)),
                              site);
    rr__object *message = rr__send(cx, actor, fn, args, false, site, &status);
    if (!message) return rr__status_ref(status);
    rr__scope_hold(rr__self(), cx, message, false);
    return rr__ref_to(cx, message);
}

rr_status rr__tell(rr_actor handle, rr_function *fn, const rr__arg *args, size_t n,
                   const char *site) {
    rr_status status;
    (void)n;
    rr__context *cx = rr__enter_to_submit(&status);
    if (!cx) return status;
    rr__object *actor = rr__pin_actor(cx, handle);
    if (!actor) return rr__refuse_handle(cx->runtime, rr__as_ref(handle));
    rr__object *message = rr__send(cx, actor, fn, args, true, site, &status);
    if (message && status != RR_OK) rr__drop(rr__here(cx), message); /* it may have waited */
    return status;
}

rr_status rr_find_actor(const char *name, rr_actor *out) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (out) *out = (rr_actor){0, 0, 0};
    if (!cx) return status;
    if (!name || !out)
        return rr__note(RR__NULL_REF, RR_ERR_INVALID,
                        "rr_find_actor: a name is needed, and where to put the handle");
    if (!rr__scope_ready(rr__self())) return rr__note_status(RR__NULL_REF, RR_ERR_NO_MEMORY);
    rr__object *actor = rr__name_find(cx, name);
    if (!actor)
        return rr__note(RR__NULL_REF, RR_ERR_NOT_FOUND, "no living actor is called '%s'", name);
    rr__scope_hold(rr__self(), cx, actor, false);
    *out = rr__actor_to(cx, actor);
    return RR_OK;
}

rr_status rr_kill(rr_actor handle) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (!cx) return status;
    rr__object *actor = rr__pin_actor(cx, handle);
    if (!actor) return rr__refuse_handle(cx->runtime, rr__as_ref(handle));
    rr__error *death =
        rr__error_new(cx->runtime, RR_ERR_ACTOR_DEAD, NULL, "it was ended by rr_kill");
    if (rr__actor_doom(cx, actor, death)) rr__actor_kill(cx, actor);
    else
        status = rr__note(RR__NULL_REF, RR_ERR_ACTOR_DEAD,
                          "rr_kill: the actor '%s' (spawned at %s) has ended before",
                          actor->of.fn->self.name, actor->site);
    rr__drop(cx, actor);
    return status;
}

void rr_exit_actor(void) {
    rr__frame *frame = rr__self()->frame;
    if (frame && frame->actor) frame->wants_exit = true;
    else rr__log_misuse("rr_exit_actor outside a method does nothing");
}

void rr_crash_actor(const char *format, ...) {
    rr__frame *frame = rr__self()->frame;
    va_list args;
    va_start(args, format);
    if (!frame || !frame->actor) {
        char text[512] = "rr_crash_actor outside a method does nothing: ";
        vsnprintf(text + strlen(text), sizeof text - strlen(text), format, args);
        rr__log_misuse(text);
    } else if (!frame->crash) {
        frame->crash = rr__error_make(rr__frame_context(frame)->runtime, RR_ERR_ACTOR_CRASHED, 0,
                                      NULL, NULL, format, args);
        if (!frame->error)
            frame->error = rr__error_share(frame->crash); /* what it returns is dropped */
    }
    va_end(args);
}

rr_ref rr__watch(rr_actor handle, const char *site) {
    rr_status status;
    rr__context *cx = rr__enter_to_submit(&status);
    if (!cx) return rr__status_ref(status);
    if (!rr__scope_ready(rr__self())) return rr__status_ref(RR_ERR_NO_MEMORY);
    rr_ref of = rr__as_ref(handle);
    rr__object *actor = rr__pin_actor(cx, handle);
    rr__object *watch = actor ? rr__watch_of(cx, actor, site, &status) : NULL;
    if (!actor) status = rr__handle_status(of);
    const char *text = actor ? rr__status_why(status) : rr__handle_text(cx->runtime, of);
    if (actor) rr__drop(cx, actor);
    if (!watch) return rr__failed_ref(cx, rr__error_saying(cx->runtime, status, NULL, text), site);
    rr__scope_hold(rr__self(), cx, watch, false);
    return rr__ref_to(cx, watch);
}

// >>insight/memory

/* What keeps memory: the table of rr_write_memory. All live objects are counted, then what each
   of them counts is taken off what is held by others.
   Locks: the census', the global one and the store's, one after the other. */

/* A live object in rr_write_memory, which counts it until the row is complete. */
typedef struct rr__row {
    rr__object *object;
    size_t bytes;
    uint64_t held, argument, contained, pinned; /* held: at first all but ours */
    const char *state, *what, *site;            /* static; state NULL: it is not shown */
} rr__row;

typedef struct rr__census {
    rr_runtime *runtime;
    rr__row *rows;
    size_t count, room;
    uint32_t *row_of, slots; /* by slot: 1 + its row, or 0 */
} rr__census;

/* Not by its place: that is written when a value comes back. */
static size_t rr__bytes_seen(rr__object *o) {
    bool is_inline = (rr__load_acquire(&o->word) & RR__IS_INLINE) != 0;
    if (o->kind == RR__CONSTRUCTOR) return o->of.fn->self.size;
    if (!rr__is_complete(o) || rr__has_failed(o)) return 0;
    if (o->kind == RR__GATHER)
        return sizeof(rr__parts) + o->extra.parts->count * (sizeof(rr_bytes) + sizeof(void *));
    return is_inline && o->kind <= RR__METHOD ? o->of.fn->result.size : rr__info_of(o);
}

static bool rr__census_add(rr__census *c, rr__object *o) {
    if (c->count == c->room) {
        size_t room = c->room ? 2 * c->room : 256;
        rr__row *rows = RR_REALLOC(c->rows, room * sizeof *rows);
        if (!rows) return false;
        c->rows = rows, c->room = room;
    }
    uint64_t count = (rr__load_relaxed(&o->word) & RR__COUNT_MASK) - 1; /* less ours */
    c->rows[c->count++] = (rr__row){.object = o, .bytes = rr__bytes_seen(o), .held = count};
    c->slots = o->slot;
    return true;
}

/* Takes a count of each live object. False: no memory for that. */
static bool rr__census_begin(rr__context *cx, rr__census *c) {
    uint32_t slot = 1;
    for (rr__object *o; (o = rr__live_next(cx, &slot));) {
        if (rr__census_add(c, o)) continue;
        rr__drop(cx, o);
        return false;
    }
    c->row_of = RR_CALLOC((size_t)c->slots + 1, sizeof *c->row_of);
    for (size_t i = 0; c->row_of && i < c->count; i++)
        c->row_of[c->rows[i].object->slot] = (uint32_t)i + 1;
    return c->row_of != NULL;
}

/* The row of what lies there, if anything does: the address may be made of other data by now. */
static rr__row *rr__row_at(rr__census *c, uint64_t address) {
    uint32_t slot = rr__slot_number(c->runtime, (rr__object *)(uintptr_t)address);
    uint32_t row = slot <= c->slots ? c->row_of[slot] : 0;
    return row ? &c->rows[row - 1] : NULL;
}

static void rr__row_holds(rr__census *c, const void *object) {
    rr__row *row = rr__row_at(c, (uint64_t)(uintptr_t)object);
    if (row) row->contained++;
}

/* The arguments of a task that has not begun. If it begins meanwhile, the words of its slot are
   overwritten at some time, and rr__args_drop lets a block be until we are done. */
static void rr__census_args(rr__census *c, rr__object *task) {
    const rr_function *fn = task->of.fn;
    rr__lock(&c->runtime->store->census_lock);
    enum rr__state state = rr__state_of(rr__load_seq_cst(&task->word)); /* after has_census */
    bool has_begun = state != RR__WAITING && state != RR__QUEUED;
    const char *block = has_begun || task->args_place == RR__IN_SLOT ? NULL : rr__args_of(task);
    for (int i = 0, word = 0; !has_begun && i < fn->arity; i++) {
        uint64_t address;
        if (block) memcpy(&address, block + word * 8, sizeof address);
        else address = rr__load_relaxed(&task->words[word < 4 ? word : 0]);
        rr__row *row = rr__is_counted(fn, task->by_ref, i) ? rr__row_at(c, address) : NULL;
        if (row) row->argument++;
        word += (int)(rr__arg_bytes(fn, task->by_ref, i) / 8);
    }
    rr__unlock(&c->runtime->store->census_lock);
}

/* What an object counts. */
static void rr__census_visit(rr__context *cx, rr__census *c, rr__object *o) {
    if (o->kind == RR__FUNCTION || o->kind == RR__METHOD) rr__census_args(c, o);
    if (o->kind == RR__GATHER && o->extra.parts)
        for (size_t i = 0; i < o->extra.parts->count; i++)
            rr__row_holds(c, o->extra.parts->objects[i]);
    unsigned kind = rr__kind_in(rr__load_acquire(&o->word));
    bool is_handle = kind == RR__KIND_REF || kind == RR__KIND_ACTOR;
    if (is_handle && o->kind != RR__CONSTRUCTOR && rr__is_complete(o) && !rr__has_failed(o))
        rr__row_holds(c, rr__contained(cx, o));
}

/* Names, and pins by hand. */
static void rr__census_marks(rr__census *c) {
    rr_runtime *rt = c->runtime;
    const rr__map *names = &rt->store->names;
    rr__global_lock();
    for (size_t i = 0; i < names->room; i++)
        if (names->entries[i].key) rr__row_holds(c, names->entries[i].value);
    for (size_t i = 0; i < c->count; i++) {
        uint64_t id = rr__load_relaxed(&c->rows[i].object->id); /* we hold a count */
        c->rows[i].pinned = (uint64_t)rr__pins_in(rr__map_at_number(&rt->store->pinned, id));
    }
    rr__global_unlock();
}

/* Where a value outside its slot is; NULL: in memory. */
static const char *rr__residence_text(rr_runtime *rt, rr__object *o) {
    rr__stored *s = rt->evicts ? rr__stored_of(o) : NULL;
    if (!s) return NULL;
    rr__lock(&rt->store->lock);
    uint64_t word = rr__load_relaxed(rr__residence_at(o)); /* moves under this lock */
    enum rr__residence now = rr__residence_in(word);
    bool is_lost = now == RR__LOST || (now == RR__RETURNING && !s->file);
    rr__unlock(&rt->store->lock);
    return rr__is_at_hand(word) ? NULL : is_lost ? "dropped" : "spilled";
}

static const char *rr__state_text(rr_runtime *rt, rr__object *o) {
    uint64_t word = rr__load_acquire(&o->word);
    enum rr__state state = rr__state_of(word);
    if (o->kind == RR__CONSTRUCTOR) return state == RR__FAILED ? "ended" : "actor";
    if (state == RR__FAILED) return "failed";
    if (state != RR__READY) return state == RR__RUNNING ? "running" : "pending";
    if (o->kind == RR__GATHER) return "gather";
    if (word & RR__IS_INLINE) return "inline";
    const char *elsewhere = rr__residence_text(rt, o);
    return elsewhere ? elsewhere : "arena";
}

/* What is written of an object, which may go then. */
static void rr__row_fill(rr_runtime *rt, rr__row *row) {
    rr__object *o = row->object;
    enum rr__state state = rr__state_of(rr__load_acquire(&o->word));
    uint64_t own = state < RR__READY && o->kind <= RR__METHOD && o->kind != RR__CONSTRUCTOR;
    uint64_t known = own + row->argument + row->contained + row->pinned;
    row->held = row->held > known ? row->held - known : 0;
    row->state = rr__state_text(rt, o), row->site = o->site;
    row->what = o->kind <= RR__METHOD ? o->of.fn->name : rr__type_of(o).name;
    if (rr__is_internal(o)) row->state = NULL;
}

static int rr__row_order(const void *a, const void *b) {
    const rr__row *left = a, *right = b;
    if (left->bytes != right->bytes) return left->bytes > right->bytes ? -1 : 1;
    return (uintptr_t)left->object < (uintptr_t)right->object ? -1 : 1;
}

static void rr__rows_write(rr_runtime *rt, rr__row *rows, size_t n, FILE *file) {
    uint64_t limit = rt->evicts ? rt->config.store_bytes : 0;
    rr__lock(&rt->store->lock);
    uint64_t spilled = rt->store->stats.spill_bytes_used;
    rr__unlock(&rt->store->lock);
    if (n) qsort(rows, n, sizeof *rows, rr__row_order);
    fprintf(file, "store: %llu bytes in memory, limit %llu (0: none), %llu in files\n",
            (unsigned long long)rr__load_relaxed(&rt->memory.live), /* a counter */
            (unsigned long long)limit, (unsigned long long)spilled);
    fprintf(file, "%12s %-8s %5s %8s %9s %6s %-16s %s\n", "bytes", "state", "held", "argument",
            "contained", "pinned", "what", "made at");
    for (size_t i = 0; i < n; i++) {
        const rr__row *row = &rows[i];
        if (row->state)
            fprintf(file, "%12zu %-8s %5llu %8llu %9llu %6llu %-16s %s\n", row->bytes, row->state,
                    (unsigned long long)row->held, (unsigned long long)row->argument,
                    (unsigned long long)row->contained, (unsigned long long)row->pinned, row->what,
                    row->site);
    }
}

/* Nothing is kept alive, and nobody waits, while the file is written. */
static rr_status rr__write_memory(rr__context *cx, FILE *file) {
    rr_runtime *rt = cx->runtime;
    rr__census c = {.runtime = rt};
    rr__add_seq_cst(&rt->store->has_census, 1); /* pairs with rr__args_drop */
    bool ok = rr__census_begin(cx, &c);
    RR__STRESS_POINT();
    for (size_t i = 0; ok && i < c.count; i++) rr__census_visit(cx, &c, c.rows[i].object);
    if (ok) rr__census_marks(&c);
    for (size_t i = 0; i < c.count; i++) {
        rr__row_fill(rt, &c.rows[i]);
        rr__drop(cx, c.rows[i].object);
    }
    rr__sub_seq_cst(&rt->store->has_census, 1);
    if (ok) rr__rows_write(rt, c.rows, c.count, file);
    RR_FREE(c.rows);
    RR_FREE(c.row_of);
    return !ok ? RR_ERR_NO_MEMORY : fflush(file) || ferror(file) ? RR_ERR_IO : RR_OK;
}

// >>insight/why

/* Why something is pending: the text of rr_why, along the links of core/links.h.
   Locks: those of the resources, the timers, shards and rr_runtime.lock, one after the other. */

/* Which argument or part of o that is, from 1; 0: none. Arguments outside the slot are freed by who
   runs the body, so there it is not known. */
#define RR__WHY_UNKNOWN SIZE_MAX
static size_t rr__why_place(rr__object *o, const rr__object *next) {
    rr__parts *parts = o->kind == RR__GATHER ? o->extra.parts : NULL;
    for (size_t i = 0; parts && i < parts->count; i++)
        if (parts->objects[i] == next) return i + 1;
    if (o->args_place != RR__IN_SLOT) return RR__WHY_UNKNOWN;
    size_t at = 0;
    for (int i = 0; o->by_ref >> i; at += rr__arg_bytes(o->of.fn, o->by_ref, i) / 8, i++) {
        uint64_t word = rr__load_acquire(&o->words[at]); /* as rr__read_scalar does */
        if ((o->by_ref >> i & 1) && word == (uint64_t)(uintptr_t)next) return (size_t)i + 1;
    }
    return 0;
}

/* What comes in front of the name of what it waits for. */
static void rr__why_link(rr__text *text, rr__object *o, const rr__object *next) {
    size_t place = rr__why_place(o, next);
    const char *what = o->kind == RR__GATHER ? "part" : "argument";
    const char *comma = next->kind <= RR__METHOD ? "" : ","; /* they have no name */
    bool is_behind = o->kind == RR__METHOD && next->kind == RR__METHOD && place == 0;
    if (next->kind == RR__CONSTRUCTOR) rr__text_add(text, "waits in the mailbox of ");
    else if (place && place != RR__WHY_UNKNOWN)
        rr__text_add(text, "waits for its %s %zu%s ", what, place, comma);
    else rr__text_add(text, is_behind ? "waits behind " : "waits for ");
}

/* The resources that it waits for: those that are short, or all, if it is others' turn. */
static void rr__why_shape_locked(rr_runtime *rt, rr__text *text, const rr__shape *shape) {
    bool any_short = false, is_short[RR__STOCKS];
    for (int i = 0; i < rt->resources->count; i++) {
        const rr__stock *stock = &rt->resources->stocks[i];
        is_short[i] = shape->amounts[i] > stock->total - stock->used;
        any_short |= is_short[i];
    }
    for (int i = 0, n = 0; i < rt->resources->count; i++) {
        const rr__stock *stock = &rt->resources->stocks[i];
        if (!shape->amounts[i] || is_short[i] != any_short) continue;
        rr__text_add(text, "%s %g of '%s' (%g of %g in use)", n++ ? " and" : "waits for",
                     (double)shape->amounts[i] / RR__WHOLE, stock->name,
                     (double)stock->used / RR__WHOLE, (double)stock->total / RR__WHOLE);
    }
}

/* Whether it waits for resources, or for the workers to leave it the CPUs that it was granted. */
static bool rr__why_needs(rr_runtime *rt, rr__text *text, const rr__control *control) {
    if (!control->shape) return false;
    rr__lock(&rt->resources->lock);
    bool waits = control->turn.at && control->turn_in == &control->shape->waiting;
    int64_t cpus = control->is_granted && !control->is_apart ? control->shape->amounts[RR__CPU] : 0;
    if (waits) rr__why_shape_locked(rt, text, control->shape);
    else if (cpus)
        rr__text_add(text, "waits for the workers to leave it %g of 'cpu'",
                     (double)cpus / RR__WHOLE);
    rr__unlock(&rt->resources->lock);
    return waits || cpus;
}

/* Whether it waits for its next attempt, or an actor to be made anew. */
static bool rr__why_again(rr_runtime *rt, rr__text *text, const rr__object *o,
                          const rr__control *control) {
    rr__lock(&rt->timers->lock);
    int attempt = control->retry.at ? control->attempt + 1 : 0;
    double left = attempt ? control->retry.when - rr_now() : 0;
    rr__unlock(&rt->timers->lock);
    if (left < 0) left = 0;
    if (attempt && o->kind == RR__CONSTRUCTOR)
        rr__text_add(text, "crashed and is made anew in %.1f s", left);
    else if (attempt)
        rr__text_add(text, "failed and is tried again in %.1f s (attempt %d)", left, attempt);
    return attempt > 0;
}

/* An actor that waits for nothing of that. */
static void rr__why_idle(rr_runtime *rt, rr__text *text, const rr__object *actor) {
    const rr__care *care = actor->extra.own->care;
    rr__shard *shard = rr__shard_lock(rt, actor);
    int inside = care && care->is_parked ? care->inside : 0;
    rr__unlock(&shard->lock);
    if (inside) rr__text_add(text, "runs %d at once, as many as it may (max_concurrency)", inside);
    else rr__text_add(text, "is idle");
}

/* WAITING, but for nothing that it is linked to. */
static void rr__why_waiting(rr_runtime *rt, rr__text *text, const rr__object *o) {
    const rr__control *control = rr__options_of(o);
    if (control && rr__why_needs(rt, text, control)) return;
    if (control && rr__why_again(rt, text, o, control)) return;
    if (o->kind == RR__CONSTRUCTOR) rr__why_idle(rt, text, o);
    else rr__text_add(text, "is about to be queued");
}

/* QUEUED is what waits for nothing but a worker. */
static void rr__why_queued(rr_runtime *rt, rr__text *text, const rr__object *o) {
    const rr__control *control = rr__control_of(o);
    bool has_roles = RR__SLEEPING(rr__load_seq_cst(&rt->idle)) > 0;
    const char *how = !has_roles                ? "until a worker is free"
                      : rr__can_have_thread(rt) ? "while a worker is free to run it"
                                                : "until a thread is free: all of them block "
                                                  "(rr_config.max_threads)";
    rr__text_add(text, "is queued ");
    if (control && control->priority) rr__text_add(text, "with priority %d ", control->priority);
    rr__text_add(text, "%s", how);
}

/* It has neither a value nor an error yet, but is no task. */
static const char *rr__why_value(rr__object *o) {
    bool is_bytes = rr__kind_in(rr__load_relaxed(&o->word)) == RR__KIND_BYTES; /* fixed */
    return is_bytes ? "is not sealed yet (rr_seal)" : "comes when its actor has ended (rr_watch)";
}

static const char *rr__why_failed(rr__object *o) {
    uint64_t word = rr__load_acquire(&o->word);
    if (o->kind == RR__CONSTRUCTOR) return "has ended";
    if (word & RR__IS_CANCELLED) return "was cancelled";
    return word & RR__IS_LATE ? "is past its time limit" : "has failed";
}

/* How it is; if there is a next one, the words in front of that. */
static void rr__why_state(rr_runtime *rt, rr__text *text, rr__object *o, enum rr__state state,
                          const rr__object *next) {
    bool is_actor = o->kind == RR__CONSTRUCTOR, runs = state == RR__RUNNING;
    if (state == RR__READY) rr__text_add(text, "is complete");
    else if (state == RR__FAILED) rr__text_add(text, "%s", rr__why_failed(o));
    else if (o->kind == RR__VALUE) rr__text_add(text, "%s", rr__why_value(o));
    else if (state == RR__QUEUED) rr__why_queued(rt, text, o);
    else if (next && runs) rr__text_add(text, is_actor ? "runs " : "runs and waits for ");
    else if (next) rr__why_link(text, o, next);
    else if (runs) rr__text_add(text, is_actor ? "is busy" : "runs");
    else rr__why_waiting(rt, text, o);
}

/* What an object waits for, counted; NULL for nothing, or if that has just changed. Links of what
   is queued or over mean nothing, nor does that of a method to its actor once it runs. */
static rr__object *rr__why_next(rr__context *cx, rr__object *o, enum rr__state state) {
    bool may_wait = state == RR__WAITING || state == RR__RUNNING;
    rr__object *next = may_wait ? rr__next_link(o) : NULL;
    uint64_t id = next ? rr__load_acquire(&next->id) : 0;
    RR__STRESS_POINT();
    if (!id || !rr__try_retain(cx, next, id)) return NULL;
    RR__STRESS_POINT();
    bool is_old = state == RR__RUNNING && next->kind == RR__CONSTRUCTOR;
    if (!is_old && rr__next_link(o) == next && !rr__is_complete(o)) return next;
    rr__drop(cx, next);
    return NULL;
}

/* A sentence about an object, and what it waits for, and what that waits for. Takes over a count of
   it. */
static void rr__why(rr__context *cx, rr__object *o, rr__text *text) {
    enum { DEPTH = 16 };
    bool is_told = false; /* that it runs: by its actor */
    rr__object *next;
    for (int depth = 0; o; o = next, depth++) {
        enum rr__state state = rr__state_of(rr__load_acquire(&o->word));
        RR__STRESS_POINT();
        next = rr__why_next(cx, o, state);
        rr__describe(text, o);
        if (!is_told || next || state != RR__RUNNING) {
            rr__text_add(text, depth ? ", which " : " ");
            rr__why_state(cx->runtime, text, o, state, next);
        }
        is_told = o->kind == RR__CONSTRUCTOR && state == RR__RUNNING;
        rr__drop(cx, o);
        if (next && depth == DEPTH) { /* or in a ring */
            rr__text_add(text, "...");
            rr__drop(cx, next);
            next = NULL;
        }
    }
}

// >>public/insight

/* Looking inside. */

void rr_get_stats(rr_stats *out) {
    memset(out, 0, sizeof *out);
    rr__context *cx = rr__self()->context;
    rr__global_lock();
    rr_runtime *rt = cx ? cx->runtime : rr__runtime_find_locked(rr__self()->chosen);
    if (rt && rr__load_acquire(&rt->phase) != RR__STOPPED) rr__stats_fill(rt, out);
    rr__global_unlock();
}

rr_status rr_resources(const char *name, double *total, double *available) {
    rr_status status;
    double unused;
    total = total ? total : &unused, available = available ? available : &unused;
    *total = *available = 0;
    rr__context *cx = rr__enter(&status);
    if (!cx) return status;
    if (!name)
        return rr__note(RR__NULL_REF, RR_ERR_INVALID,
                        "rr_resources: a name is needed, \"cpu\" or one of rr_config.resources");
    if (rr__stock_figures(cx->runtime, name, total, available)) return RR_OK;
    return rr__note(RR__NULL_REF, RR_ERR_NOT_FOUND,
                    "there is no resource '%s': name it in rr_config.resources", name);
}

rr_status rr_write_memory(FILE *file) {
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (!cx) return status;
    if (!file) return rr__note(RR__NULL_REF, RR_ERR_INVALID, "rr_write_memory: a file is needed");
    status = rr__write_memory(cx, file);
    if (status == RR_ERR_IO)
        return rr__note(RR__NULL_REF, status, "rr_write_memory: the file could not be written");
    return status == RR_OK ? status : rr__note_status(RR__NULL_REF, status);
}

rr_status rr_why(rr_ref ref, char *buffer, size_t size) {
    rr_status status;
    rr__text text = {buffer, buffer ? size : 0, 0};
    rr__context *cx = rr__enter(&status);
    rr__object *o = cx ? rr__pin(cx, ref, false) : NULL;
    if (o) {
        rr__why(cx, o, &text);
        return RR_OK;
    }
    const char *refusal = cx ? rr__handle_text(cx->runtime, ref) : rr_status_text(status);
    rr__text_add(&text, "%s", refusal);
    return rr__note(ref, cx ? rr__handle_status(ref) : status, "%s", refusal);
}

// >>base/tables_end

/* The end of the implementation: stb_ds goes as it came, so that a program may include its own. */

/* ---- stb_ds goes as it came ---- */
#ifdef RR__OWN_STB_DS
#undef RR__OWN_STB_DS
#undef INCLUDE_STB_DS_H
#undef stbds_rand_seed
#undef stbds_hash_bytes
#undef stbds_hash_string
#undef stbds_stralloc
#undef stbds_strreset
#undef stbds_arrgrowf
#undef stbds_arrfreef
#undef stbds_hmfree_func
#undef stbds_hmget_key
#undef stbds_hmget_key_ts
#undef stbds_hmput_default
#undef stbds_hmput_key
#undef stbds_hmdel_key
#undef stbds_shmode_func
#undef stbds_array_header
#undef stbds_string_block
#undef stbds_string_arena
#undef stbds_hash_bucket
#undef stbds_hash_index
#undef stbds_strdup
#undef stbds_hm_find_slot
#undef stbds_is_key_equal
#undef stbds_siphash_bytes
#undef stbds_make_hash_index
#undef stbds_log2
#undef stbds_probe_position
#undef STBDS_SH_NONE
#undef STBDS_SH_DEFAULT
#undef STBDS_SH_STRDUP
#undef STBDS_SH_ARENA
#undef stbds_hash_seed
#endif
#ifdef RR__OWN_SHORT_NAMES
#undef RR__OWN_SHORT_NAMES
#undef STBDS_NO_SHORT_NAMES
#endif

#endif /* RUSTYRAY_IMPLEMENTATION */

/* MIT License

   Copyright (c) 2026 the rustyray.h authors

   Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
   associated documentation files (the "Software"), to deal in the Software without restriction,
   including without limitation the rights to use, copy, modify, merge, publish, distribute,
   sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
   furnished to do so, subject to the following conditions:

   The above copyright notice and this permission notice shall be included in all copies or
   substantial portions of the Software.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
   NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
   NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
   DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
   OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE. */
