/* 07_sharing_objects: one big object, many readers, no copy. rr_create gives room in
   the store to write in place, rr_seal makes it readable for all; a task sees it as
   a view, an actor keeps a reference to it, rr_result makes a result in place. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"

enum { COUNT = 1 << 20, READERS = 4 };
static const size_t SIZE = COUNT * sizeof(uint32_t);

typedef struct Seen {
    uint64_t sum;
    uint64_t address; /* only to show that all look at the same memory */
} Seen;

static Seen sum_of(rr_bytes numbers, size_t from, size_t to) {
    const uint32_t *v = numbers.data;
    Seen seen = {0, (uint64_t)(uintptr_t)v};
    for (size_t i = from; i < to; i++) seen.sum += v[i];
    return seen;
}

/* A reference where a parameter is rr_bytes: the body gets a view of the object. */
REMOTE_FN(Seen, sum_slice, rr_bytes, numbers, size_t, from, size_t, to) {
    return sum_of(numbers, from, to);
}
/* The result is written into the store; returning it moves nothing. */
REMOTE_FN(rr_bytes, doubled, rr_bytes, numbers) {
    const uint32_t *in = numbers.data;
    uint32_t *out = rr_result(numbers.size);
    for (size_t i = 0; out && i < numbers.size / sizeof *in; i++) out[i] = 2 * in[i];
    return rr_bytes_of(out, numbers.size);
}

/* A parameter declared rr_ref is the reference itself: keep it, view it when needed. */
typedef struct Library {
    rr_ref numbers;
} Library;
REMOTE_ACTOR(Library, create, rr_ref, numbers) { self->numbers = rr_keep(numbers); }
REMOTE_DESTRUCTOR(Library) { rr_release(self->numbers); }
REMOTE_METHOD(Seen, Library, sum, size_t, from, size_t, to) {
    rr_bytes view; /* valid until this body ends */
    rr_status status = rr_get(rr_bytes, self->numbers, &view);
    if (status == RR_OK) return sum_of(view, from, to);
    rr_fail((int)status, "%s", rr_error_message(self->numbers));
    return (Seen){0, 0};
}
REMOTE_METHOD(rr_ref, Library, lend) {
    rr_retain(self->numbers); /* one count more: what a body returns is handed over */
    return self->numbers;
}

int main(void) {
    if (rr_init(NULL) != RR_OK) return 1;
    rr_scope scope = rr_scope_begin();

    void *room;
    rr_ref numbers = rr_create(SIZE, &room);
    if (!room) {
        fprintf(stderr, "%s\n", rr_error_message(numbers));
        return 1;
    }
    for (uint32_t i = 0; i < COUNT; i++) ((uint32_t *)room)[i] = i;
    if (rr_seal(numbers) != RR_OK) return 1;

    rr_ref slices[READERS];
    for (size_t i = 0; i < READERS; i++)
        slices[i] = rr_call(sum_slice, numbers, i * COUNT / READERS, (i + 1) * COUNT / READERS);
    rr_actor library = rr_spawn(Library_create, numbers);
    Seen whole = rr_unwrap(Seen, rr_ask(library, Library_sum, 0, COUNT));
    uint64_t sum = 0;
    int same = whole.address == (uint64_t)(uintptr_t)room;
    for (int i = 0; i < READERS; i++) {
        Seen seen = rr_unwrap(Seen, slices[i]);
        sum += seen.sum;
        same += seen.address == whole.address;
    }
    printf("the actor: %llu\n", (unsigned long long)whole.sum);
    printf("the tasks: %llu\n", (unsigned long long)sum);
    printf("%d of %d readers looked at the memory that main wrote\n", same, READERS + 1);

    rr_ref twice = rr_call(doubled, numbers);
    rr_bytes view;
    if (rr_get(rr_bytes, twice, &view) != RR_OK) return 1;
    printf("doubled:   %llu\n", (unsigned long long)sum_of(view, 0, COUNT).sum);

    rr_ref lent = rr_unwrap(rr_ref, rr_ask(library, Library_lend));
    rr_bytes again;
    if (rr_get(rr_bytes, lent, &again) != RR_OK) return 1;
    printf("lent:      %s\n", again.data == room ? "the same object" : "a copy");

    rr_scope_end(scope);
    return rr_shutdown() == RR_OK ? 0 : 1;
}
