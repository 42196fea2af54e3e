/* Guards against stacks that do not go on where they were left: values, rounding and exceptions of
   the floating point unit that a switch loses, a stack that goes on on another thread, one that
   ends in the page below it, and what a debugger sees of one. Built once more with a thread for
   each stack. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include <fenv.h>
#include <sys/wait.h>
#include "test.h"
#include "fixture.h"

typedef struct talk {
    rr__stack here, there;
    char *low;
    size_t size;
    long heard, said;
    double sum;
    bool is_over;
} talk;

static bool talk_begin(talk *t, void (*run)(void *), size_t size) {
    bool has_guard;
    memset(t, 0, sizeof *t);
    t->size = size;
    return (t->low = rr__stack_map(size, 0, &has_guard)) && rr__stack_adopt(&t->here) &&
           rr__stack_make(&t->there, t->low, size, run, t);
}
static void talk_end(talk *t) {
    rr__stack_free(&t->there);
    rr__stack_let_go(&t->here);
    rr__stack_unmap(t->low, t->size);
}
static void talk_to(talk *t) { rr__stack_switch(&t->here, &t->there); }
static void talk_back(talk *t) { rr__stack_switch(&t->there, &t->here); }

static void counts(void *data) {
    talk *t = data;
    rr__stack_begun(&t->there);
    long a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7; /* more than a call keeps registers */
    double x = 0.5;
    for (;;) {
        a += t->said, b += a, c += b, d ^= c, e += d, f ^= e, g += f, x += 0.25;
        t->heard = a + b + c + d + e + f + g, t->sum = x;
        talk_back(t);
    }
}

TEST(goes_on_with_everything_that_it_had) {
    talk t;
    CHECK(talk_begin(&t, counts, 64 << 10));
    long a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7;
    for (long i = 0; i < 1000; i++) {
        a += i, b += a, c += b, d ^= c, e += d, f ^= e, g += f;
        t.said = i;
        talk_to(&t);
        CHECK(t.heard == a + b + c + d + e + f + g && t.sum == 0.5 + 0.25 * (double)(i + 1));
    }
    talk_end(&t);
}

#if !defined(RR__STACKS_THREADS)
static void rounds_up(void *data) {
    talk *t = data;
    rr__stack_begun(&t->there);
    t->heard = fegetround();
    fesetround(FE_UPWARD);
    talk_back(t);
    t->heard = fegetround();
    talk_back(t);
}

/* As a call keeps it: each stack has its own. */
TEST(rounding_stays_with_its_stack) {
    talk t;
    CHECK(talk_begin(&t, rounds_up, 64 << 10));
    talk_to(&t);
    CHECK(t.heard == FE_TONEAREST && fegetround() == FE_TONEAREST);
    fesetround(FE_DOWNWARD);
    talk_to(&t);
    CHECK(t.heard == FE_UPWARD && fegetround() == FE_DOWNWARD);
    fesetround(FE_TONEAREST);
    talk_end(&t);
}
#endif

static void *goes_on(void *data) {
    talk *t = data;
    if (!rr__stack_adopt(&t->here)) return NULL;
    for (int i = 0; i < 100; i++) talk_to(t);
    rr__stack_let_go(&t->here);
    return NULL;
}

static void counts_switches(void *data) {
    talk *t = data;
    rr__stack_begun(&t->there);
    for (;;) t->heard++, talk_back(t);
}

TEST(goes_on_on_another_thread) {
    talk t;
    CHECK(talk_begin(&t, counts_switches, 64 << 10));
    rr__stack_let_go(&t.here);
    for (int i = 0; i < 10; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, goes_on, &t) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK(t.heard == 100 * (i + 1));
    }
    CHECK(rr__stack_adopt(&t.here));
    talk_end(&t);
}

static void fills(void *data) {
    talk *t = data;
    rr__stack_begun(&t->there);
    volatile char bytes[48 << 10];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)i;
    for (size_t i = 0; i < sizeof bytes; i++) t->heard += bytes[i] == (char)i;
    talk_back(t);
}

TEST(a_thousand_stacks_that_are_used_do_not_meet) {
    enum { MANY = 1000 };
    talk *all = calloc(MANY, sizeof *all);
    for (int i = 0; i < MANY; i++) CHECK(talk_begin(&all[i], fills, 256 << 10));
    for (int i = 0; i < MANY; i++) talk_to(&all[i]);
    for (int i = 0; i < MANY; i++) {
        CHECK(all[i].heard == 48 << 10);
        talk_end(&all[i]);
    }
    free(all);
}

#if !defined(RR__STACKS_THREADS) && !defined(SANITIZED)
static long overflows(volatile char *above, long depth) {
    volatile char here[1024];
    here[0] = (char)depth;
    return depth && above ? overflows(here, depth - 1) + here[0] : here[0];
}
static void overflows_all(void *data) {
    talk *t = data;
    rr__stack_begun(&t->there);
    t->heard = overflows((volatile char *)t, 1000);
    talk_back(t);
}

TEST(one_that_overflows_dies_and_does_not_write_elsewhere) {
    pid_t child = fork();
    if (child == 0) {
        talk t;
        signal(SIGSEGV, SIG_DFL), signal(SIGBUS, SIG_DFL);
        if (talk_begin(&t, overflows_all, 64 << 10)) talk_to(&t);
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS));
}
#endif

int main(int argc, char **argv) { return test_main(argc, argv); }
