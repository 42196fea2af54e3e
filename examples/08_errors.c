/* 08_errors: errors are values. They travel along references, name their first cause,
   and never take the program down. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"

enum { NEGATIVE = 77, FULL = 5 };

REMOTE_FN(int, parse, int, row) {
    if (row < 0) rr_fail(NEGATIVE, "row %d is negative", row);
    return row; /* dropped after rr_fail */
}
REMOTE_FN(int, doubled, int, value) {
    printf("doubled runs with %d\n", value);
    return 2 * value;
}
REMOTE_FN(int, report, int, first, int, second) { return first + second; }
REMOTE_FN(int, tolerant, rr_ref, wanted, int, otherwise) { /* an rr_ref is not waited for... */
    int value;
    return rr_get(int, wanted, &value) == RR_OK ? value : otherwise; /* ...so its error is data */
}

typedef struct Shelf {
    int used, size;
} Shelf;
REMOTE_ACTOR(Shelf, create, int, size) {
    if (size < 1) rr_fail(FULL, "a shelf of %d places", size);
    self->size = size;
}
REMOTE_METHOD(int, Shelf, put) {
    if (self->used == self->size) rr_fail(FULL, "all %d places are taken", self->size);
    else self->used++;
    return self->used;
}

/* What a reference holds, in one line. */
static void tell(const char *what, rr_ref ref) {
    int value;
    rr_status status = rr_get(int, ref, &value);
    if (status == RR_OK) printf("%s: %d\n", what, value);
    else printf("%s: %s, code %d\n", what, rr_status_name(status), rr_error_code(ref));
}

static void tasks(void) {
    rr_ref bad = rr_call(parse, -3);
    tell("parse", bad);

    /* Who depends on a failure does not run; the whole chain is told. */
    rr_ref top = rr_call(report, rr_call(parse, 1), rr_call(doubled, bad));
    tell("report", top);
    const char *chain = rr_error_message(top);
    const char *names[] = {"report", "doubled", "parse", "row -3 is negative"};
    for (int i = 0; i < 4; i++)
        printf("  the message names '%s': %s\n", names[i], strstr(chain, names[i]) ? "yes" : "no");
    tell("a good one", rr_call(doubled, rr_call(parse, 4)));
    tell("handled in a task", rr_call(tolerant, bad, -1));
}

static void misuse(void) {
    tell("another type", rr_call(doubled, rr_put(double, 1.5)));
    tell("a null reference", rr_call(doubled, (rr_ref){0}));
    tell("no such function", rr_call_named("dubled", RR_VALUE(int, 1)));
    tell("too few arguments", rr_call_named("doubled"));
    rr_ref gone = rr_keep(rr_put(int, 1));
    rr_release(gone);
    tell("a released reference", gone);
    rr_actor nobody;
    printf("no such actor: %s\n", rr_status_name(rr_find_actor("nobody", &nobody)));
}

static void actors(void) {
    rr_actor shelf = rr_spawn(Shelf_create, 1);
    tell("first put", rr_ask(shelf, Shelf_put));
    tell("second put", rr_ask(shelf, Shelf_put)); /* fails; the actor lives on */
    printf("kill: %s\n", rr_status_name(rr_kill(shelf)));
    tell("after the kill", rr_ask(shelf, Shelf_put));
    printf("tell: %s\n", rr_status_name(rr_tell(shelf, Shelf_put)));
    tell("never born", rr_ask(rr_spawn(Shelf_create, 0), Shelf_put)); /* the cause is passed on */
}

int main(void) {
    tell("before rr_init", rr_call(parse, 1));
    if (rr_init(NULL) != RR_OK) return 1;
    rr_scope scope = rr_scope_begin();
    tasks();
    misuse();
    actors();
    rr_scope_end(scope);
    printf("shutdown: %s\n", rr_status_name(rr_shutdown()));
    printf("once more: %s\n", rr_status_name(rr_shutdown()));
    return 0;
}
