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
#pragma once
#include "threads.h"

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
