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
