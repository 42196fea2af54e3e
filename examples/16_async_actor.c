/* 16_async_actor: methods that wait cost no thread. Ten thousand subscribers ask one actor for the
   next price, each of its methods waits for that, and all of them go on when it is published: what
   Ray calls an async actor. A method that waits is put aside with its stack, some 6 KiB. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include <stdatomic.h>

#ifndef SUBSCRIBERS
#define SUBSCRIBERS 10000
#endif
static atomic_int waiting;

typedef struct Ticker {
    rr_ref next; /* the next price: there as a reference before anybody knows it */
} Ticker;

REMOTE_ACTOR(Ticker, create, rr_ref, next) { self->next = rr_keep(next); }
REMOTE_DESTRUCTOR(Ticker) { rr_release(self->next); }

/* Many of these run at once (.max_concurrency): each only reads the state. */
REMOTE_METHOD(int, Ticker, await_price, int, shares) {
    rr_bytes price;
    waiting++;
    if (rr_get(rr_bytes, self->next, &price) != RR_OK) {
        rr_fail(1, "there is no price: %s", rr_error_message(self->next));
        return 0;
    }
    return shares * *(const int *)price.data;
}

int main(void) {
    if (rr_init(&(rr_config){.workers = 2}) != RR_OK) return 1;
    rr_scope scope = rr_scope_begin();
    void *price;
    rr_ref next = rr_create(sizeof(int), &price);
    rr_actor ticker =
        rr_spawn_with(RR_ACTOR_OPTIONS(.max_concurrency = SUBSCRIBERS), Ticker_create, next);

    static rr_ref worth[SUBSCRIBERS];
    for (int i = 0; i < SUBSCRIBERS; i++) worth[i] = rr_ask(ticker, Ticker_await_price, i % 10);
    while (waiting < SUBSCRIBERS) rr_sleep_ms(1);

    rr_stats stats;
    rr_get_stats(&stats);
    printf("all methods of one actor wait, on %d threads\n", (int)stats.threads);

    *(int *)price = 7;
    rr_seal(next); /* it is known: all of them go on */
    int right = 0;
    for (int i = 0; i < SUBSCRIBERS; i++) right += rr_unwrap(int, worth[i]) == i % 10 * 7;
    printf("%s of them know what their shares are worth\n", right == SUBSCRIBERS ? "all" : "some");
    rr_scope_end(scope);
    return rr_shutdown() == RR_OK ? 0 : 1;
}
