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
