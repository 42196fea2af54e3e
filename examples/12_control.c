/* 12_control: tasks that take too long, are not wanted any more, or fail now and then.
   Options of a call limit its time and try it again; rr_cancel stops a tree of work. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include <stdatomic.h>

enum { BUSY = 503 };

/* A sleep ends at once when the task is past its limit or cancelled, and so does a wait. */
REMOTE_FN(int, answer, int, ms) {
    rr_sleep_ms(ms);
    return 42;
}

/* A tree of searches. Nobody finds anything, so the leaves go on until they are told. */
static atomic_int at_work;
REMOTE_FN(int, search, int, depth) {
    int found = 0;
    at_work++;
    if (depth > 0) {
        rr_ref left = rr_call(search, depth - 1), right = rr_call(search, depth - 1);
        found = rr_unwrap(int, left) + rr_unwrap(int, right); /* zeros once it is cancelled */
    }
    while (depth == 0 && !rr_cancelled()) rr_sleep_ms(1);
    at_work--;
    return found;
}

/* A service that is busy the first times. */
REMOTE_FN(int, fetch, int, busy) {
    printf("  attempt %d\n", rr_attempt() + 1);
    if (rr_attempt() < busy) rr_fail(BUSY, "the service is busy");
    return 100 + rr_attempt();
}

typedef struct Printer {
    int pages;
} Printer;
REMOTE_ACTOR(Printer, create) { self->pages = 0; }
REMOTE_METHOD(int, Printer, print, int, pages) { return self->pages += pages; }

/* What a reference holds, in one line. */
static void tell(const char *what, rr_ref ref) {
    int value;
    rr_status status = rr_get(int, ref, &value);
    if (status == RR_OK) printf("%s: %d\n", what, value);
    else printf("%s: %s, code %d\n", what, rr_status_name(status), rr_error_code(ref));
}

static void deadlines(void) {
    tell("in time", rr_call_with(RR_OPTIONS(.timeout_ms = 60000), answer, 1));
    rr_ref late = rr_call_with(RR_OPTIONS(.timeout_ms = 20), answer, 60000);
    tell("too late", late);
    tell("what needs it", rr_call(answer, late)); /* fails likewise, and does not run */
}

static void trees(void) {
    rr_ref top = rr_call(search, 3);
    while (at_work < 4) rr_sleep_ms(1); /* the top, two below it, a leaf or one more below those */
    printf("cancel: %s\n", rr_status_name(rr_cancel(top)));
    tell("search", top); /* at once; the bodies end when they look */
    while (at_work > 0) rr_sleep_ms(1);
    printf("at work: %d\n", (int)at_work);
    printf("cancel again: %s\n", rr_status_name(rr_cancel(top)));
}

/* A message that waits for its argument holds back later ones of the same caller, until it is
   cancelled. */
static void messages(void) {
    rr_actor printer = rr_spawn(Printer_create);
    rr_ref never = rr_call(answer, 3600000);
    rr_ref first = rr_ask(printer, Printer_print, never),
           second = rr_ask(printer, Printer_print, 2);
    printf("cancel the first: %s\n", rr_status_name(rr_cancel(first)));
    tell("first", first);
    tell("second", second);
    rr_cancel(never); /* else rr_shutdown would wait for it */
}

static void retries(void) {
    rr_options thrice = {.max_retries = 2, .retry_delay_ms = 5};
    tell("busy twice", rr_call_with(thrice, fetch, 2));
    rr_ref hopeless = rr_call_with(thrice, fetch, 1000);
    tell("busy for long", hopeless);
    printf("%s\n", rr_error_message(hopeless));
}

int main(void) {
    if (rr_init(&(rr_config){.workers = 4}) != RR_OK) return 1;
    rr_scope scope = rr_scope_begin();
    deadlines();
    trees();
    messages();
    retries();
    rr_scope_end(scope);
    return rr_shutdown() == RR_OK ? 0 : 1;
}
