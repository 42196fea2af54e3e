/* 13_supervisor: actors that are made anew when they have crashed. A supervisor watches its
   children and replaces the one that has ended, or all of them; .max_restarts needs none. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"

enum { CHILDREN = 3 };
typedef enum strategy { ONE_FOR_ONE, ALL_FOR_ONE } strategy;

/* Keeps a total, which a crash destroys. */
typedef struct Shop {
    int id, total;
} Shop;
REMOTE_ACTOR(Shop, create, int, id) { self->id = id; }
REMOTE_METHOD(int, Shop, sell, int, price) {
    if (price < 0) rr_crash_actor("shop %d cannot sell for %d", self->id, price);
    return self->total += price;
}

typedef struct Supervisor {
    rr_actor me, children[CHILDREN];
    int serial[CHILDREN]; /* of the child there is; what comes of earlier ones is ignored */
    int strategy, made;
} Supervisor;

/* The message `ended` waits for its argument, which is there when the child has ended. */
REMOTE_METHOD_DECLARE(void, Supervisor, ended, int, which, int, serial, rr_exit, why);
static void make_child(Supervisor *self, int which) {
    rr_release(self->children[which]);
    self->children[which] = rr_keep(rr_spawn(Shop_create, which));
    self->serial[which] = ++self->made;
    rr_tell(self->me, Supervisor_ended, which, self->made, rr_watch(self->children[which]));
}
REMOTE_ACTOR(Supervisor, create, int, strategy) { self->strategy = strategy; }
REMOTE_METHOD(void, Supervisor, start, rr_actor, me) {
    self->me = rr_keep(me);
    for (int i = 0; i < CHILDREN; i++) make_child(self, i);
}
REMOTE_METHOD(void, Supervisor, ended, int, which, int, serial, rr_exit, why) {
    if (serial != self->serial[which]) return;
    printf("  shop %d: %s, %s\n", which, rr_status_name(why.status), why.reason);
    for (int i = 0; i < CHILDREN; i++) {
        if (i != which && self->strategy == ONE_FOR_ONE) continue;
        if (i != which) rr_kill(self->children[i]);
        make_child(self, i);
    }
}
/* Children nobody else holds end then, and so does the supervisor, which held itself. */
REMOTE_METHOD(void, Supervisor, stop) {
    for (int i = 0; i < CHILDREN; i++) rr_release(self->children[i]), self->serial[i] = 0;
    rr_release(self->me);
}
REMOTE_METHOD(rr_actor, Supervisor, child, int, which) { return self->children[which]; }
REMOTE_METHOD(int, Supervisor, made) { return self->made; }

static rr_ref sell(rr_actor supervisor, int which, int price) {
    rr_actor shop = {0};
    rr_get(rr_actor, rr_ask(supervisor, Supervisor_child, which), &shop);
    return rr_ask(shop, Shop_sell, price);
}

/* Each shop sells something, shop 1 crashes, and each sells again. */
static void supervised(const char *title, strategy strategy, int made) {
    printf("%s\n", title);
    rr_actor supervisor = rr_spawn(Supervisor_create, strategy);
    rr_tell(supervisor, Supervisor_start, supervisor);
    for (int i = 0; i < CHILDREN; i++) rr_get_void(sell(supervisor, i, 10 + i));
    rr_status status = rr_get_void(sell(supervisor, 1, -1));
    while (rr_unwrap(int, rr_ask(supervisor, Supervisor_made)) < made) rr_sleep_ms(1);
    printf("  the sale: %s\n", rr_status_name(status));
    for (int i = 0; i < CHILDREN; i++)
        printf("  shop %d has sold for %d\n", i, rr_unwrap(int, sell(supervisor, i, 100)));
    rr_tell(supervisor, Supervisor_stop);
}

/* An actor that may restart by itself keeps its handle, and what is queued. */
static void restarted(void) {
    printf("max_restarts\n");
    rr_actor shop = rr_spawn_with(RR_ACTOR_OPTIONS(.max_restarts = 1), Shop_create, 7);
    int prices[6] = {10, -1, 20, 30, -2, 40};
    rr_ref sold[6], watch = rr_watch(shop);
    for (int i = 0; i < 6; i++) sold[i] = rr_ask(shop, Shop_sell, prices[i]);
    for (int i = 0, total; i < 6; i++)
        if (rr_get(int, sold[i], &total) == RR_OK) printf("  %d: %d\n", prices[i], total);
        else printf("  %d: %s\n", prices[i], rr_error_message(sold[i]));
    rr_exit why = rr_unwrap(rr_exit, watch);
    printf("  %s after %d restart\n", rr_status_name(why.status), why.restarts);
}

int main(void) {
    if (rr_init(&(rr_config){.workers = 2}) != RR_OK) return 1;
    rr_scope scope = rr_scope_begin();
    supervised("one for one", ONE_FOR_ONE, CHILDREN + 1);
    supervised("all for one", ALL_FOR_ONE, 2 * CHILDREN);
    restarted();
    rr_scope_end(scope);
    return rr_shutdown() == RR_OK ? 0 : 1;
}
