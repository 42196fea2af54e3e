/* A small program with all that a newcomer meets: must build and run with every compiler. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"

typedef struct point {
    double x, y;
} point;
REMOTE_FN(int, add, int, a, int, b) { return a + b; }
REMOTE_FN(int, seven) { return 7; }
REMOTE_FN(point, mirror, point, p) { return (point){p.y, p.x}; }
REMOTE_FN(int, size_of, rr_bytes, b) { return (int)b.size; }
REMOTE_FN(int, count, rr_many, parts) { return (int)parts.count; }
REMOTE_FN(int, fail, int, code) {
    rr_fail(code, "code %d", code);
    return 0;
}
REMOTE_FN(int, fib, int, n) {
    if (n < 2) return n;
    rr_ref a = rr_call(fib, n - 1), b = rr_call(fib, n - 2);
    return rr_unwrap(int, a) + rr_unwrap(int, b);
}
REMOTE_FN(void, nothing, double, d) { (void)d; }

typedef struct Counter {
    long value;
} Counter;
static int dropped;
REMOTE_ACTOR(Counter, create, long, start) { self->value = start; }
REMOTE_METHOD(long, Counter, add, long, by) { return self->value += by; }
REMOTE_DESTRUCTOR(Counter) {
    (void)self;
    dropped++;
}

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) return printf("line %d: %s\n", __LINE__, #condition), 1;                 \
    } while (0)

static int tasks(void) {
    point p = {1, 2}, q = {0, 0};
    int v = 0;
    EXPECT(rr_unwrap(int, rr_call(add, rr_call(add, 2, 3), rr_call(seven))) == 12);
    EXPECT(rr_get(point, rr_call(mirror, p), &q) == RR_OK && q.x == 2 && q.y == 1);
    EXPECT(rr_unwrap(int, rr_call(fib, 12)) == 144);
    rr_unwrap(int, rr_call(seven)); /* a statement is no unused value */
    rr_unwrap(rr_bytes, rr_put_bytes("ab", 2));
    rr_unwrap(point, rr_put(point, {1, 2}));
    EXPECT(rr_unwrap(point, rr_put(point, {1, 2})).y == 2);
    EXPECT(rr_get_void(rr_call(nothing, 1)) == RR_OK);
    rr_ref bad = rr_call(add, 1, rr_call(fail, 9));
    EXPECT(rr_get(int, bad, &v) == RR_ERR_TASK && rr_error_code(bad) == 9);
    EXPECT(rr_unwrap(int, rr_call_named("add", RR_VALUE(int, 1), rr_put(int, 2))) == 3);
    EXPECT(rr_get(double, rr_put(int, 1), &(double){0}) == RR_ERR_TYPE);
    return 0;
}

static int objects(void) {
    char text[5000] = {0};
    rr_ref bytes = rr_put_bytes(text, sizeof text), parts[3];
    rr_bytes view;
    void *room;
    EXPECT(rr_unwrap(int, rr_call(size_of, bytes)) == 5000);
    EXPECT(rr_get(rr_bytes, bytes, &view) == RR_OK && view.size == sizeof text);
    rr_ref made = rr_create(3, &room);
    EXPECT(room && rr_seal(made) == RR_OK && rr_unwrap(int, rr_call(size_of, made)) == 3);
    for (int i = 0; i < 3; i++) parts[i] = rr_put(int, i);
    EXPECT(rr_unwrap(int, rr_call(count, rr_gather(parts, 3))) == 3);
    EXPECT(rr_wait(parts, 3, 3, -1, NULL) == 3);
    return 0;
}

static int actors(void) {
    rr_actor c = rr_spawn(Counter_create, 10);
    for (int i = 0; i < 100; i++) EXPECT(rr_tell(c, Counter_add, 1) == RR_OK);
    EXPECT(rr_unwrap(long, rr_ask(c, Counter_add, 1)) == 111);
    rr_release(rr_take(rr_give(c))); /* there and back */
    EXPECT(rr_kill(c) == RR_OK && rr_kill(c) == RR_ERR_ACTOR_DEAD);
    return 0;
}

int main(void) {
    EXPECT(rr_init(NULL) == RR_OK);
    rr_scope scope = rr_scope_begin();
    EXPECT(tasks() == 0 && objects() == 0 && actors() == 0);
    rr_scope_end(scope);
    EXPECT(rr_shutdown() == RR_OK && dropped == 1);
    puts("works");
    return 0;
}
