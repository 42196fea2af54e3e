/* 05_counter_actor: state that many tasks share. An actor runs one method at a time,
   so its state needs no lock; tasks get its handle as an argument or find it by name. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"

enum { TASKS = 8, ROUNDS = 100, SLOTS = 4 };

typedef struct Counts {
    long slots[SLOTS];
    long messages;
} Counts;

typedef struct Counter {
    Counts counts;
} Counter;

REMOTE_ACTOR(Counter, create, long, start) {
    for (int i = 0; i < SLOTS; i++) self->counts.slots[i] = start;
}
REMOTE_METHOD(void, Counter, add, int, slot, long, by) {
    if (slot < 0 || slot >= SLOTS) {
        rr_fail(1, "slot %d is not one of 0 to %d", slot, SLOTS - 1);
        return;
    }
    self->counts.slots[slot] += by;
    self->counts.messages++;
}
REMOTE_METHOD(Counts, Counter, read) { return self->counts; }
REMOTE_DESTRUCTOR(Counter) { printf("the counter ends at %ld messages\n", self->counts.messages); }

/* A handle is an argument like any other. */
REMOTE_FN(int, work, rr_actor, counter, int, task) {
    int refused = 0;
    for (int i = 0; i < ROUNDS; i++)
        refused += rr_tell(counter, Counter_add, (task + i) % SLOTS, 1) != RR_OK;
    /* What one caller sends arrives in order: when this answer is here, all of it has run. */
    Counts seen = rr_unwrap(Counts, rr_ask(counter, Counter_read));
    return refused == 0 && seen.messages >= ROUNDS;
}

/* And a name finds it anywhere in the runtime. */
REMOTE_FN(long, messages_of, rr_bytes, name) {
    char text[32] = "";
    memcpy(text, name.data, name.size < sizeof text ? name.size : sizeof text - 1);
    rr_actor counter;
    if (rr_find_actor(text, &counter) != RR_OK) {
        rr_fail(2, "there is no actor '%s'", text);
        return 0;
    }
    return rr_unwrap(Counts, rr_ask(counter, Counter_read)).messages;
}

int main(void) {
    if (rr_init(NULL) != RR_OK) return 1;
    rr_scope scope = rr_scope_begin();

    rr_actor counter = rr_spawn_with(RR_ACTOR_OPTIONS(.name = "counter"), Counter_create, 1000);
    rr_ref tasks[TASKS];
    for (int i = 0; i < TASKS; i++) tasks[i] = rr_call(work, counter, i);
    int fine = 0;
    for (int i = 0; i < TASKS; i++) fine += rr_unwrap(int, tasks[i]);
    printf("%d of %d tasks saw what they sent\n", fine, TASKS);

    Counts counts = rr_unwrap(Counts, rr_ask(counter, Counter_read));
    for (int i = 0; i < SLOTS; i++) printf("slot %d: %ld\n", i, counts.slots[i]);
    rr_ref by_name = rr_call(messages_of, rr_bytes_of("counter", strlen("counter")));
    printf("%ld messages\n", rr_unwrap(long, by_name));

    /* A method that fails is an error of that call; the actor lives on. */
    rr_ref wrong = rr_ask(counter, Counter_add, 9, 1);
    rr_status status = rr_get_void(wrong);
    printf("%s, code %d\n", rr_status_name(status), rr_error_code(wrong));

    rr_scope_end(scope); /* the last handle goes: the destructor runs, at the latest at shutdown */
    return rr_shutdown() == RR_OK ? 0 : 1;
}
