/* Guards against limits and sleeps that follow the system's wall clock: set back or forward while
   somebody waits (by NTP, by hand), it must make no wait longer or shorter. The clock of this
   program's library is five seconds ahead now and then, as it was before it was set back. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <time.h>
static atomic_int ahead; /* seconds */
#define timespec_get(t, base)                                                                      \
    (clock_gettime(CLOCK_REALTIME, (t)), (t)->tv_sec += atomic_load(&ahead), (base))
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"

static bool takes(double start, double seconds) {
    double took = rr_now() - start;
    if (took < seconds - 0.005 || took > seconds + 3)
        return fprintf(stderr, "%.2f s took %.2f s\n", seconds, took), false;
    return true;
}
REMOTE_FN(int, clock_flaky, int, failures) {
    if (rr_attempt() < failures) rr_fail(1, "attempt %d", rr_attempt());
    return 7;
}
REMOTE_FN(int, clock_sleep, int, ms) { return rr_sleep_ms(ms), 1; }
REMOTE_FN(int, clock_wait, rr_ref, r, int, ms) {
    return rr_get_timeout(int, r, &(int){0}, ms) == RR_ERR_TIMEOUT;
}

TEST_ALONE(clock_that_is_set_while_somebody_waits) {
    for (int by = -5; by <= 5; by += 10) {
        fixture f;
        void *room;
        int v = 0;
        fixture_start(&f, (rr_config){.workers = 2});
        rr_ref gate = rr_create(1, &room);
        ahead = by;
        double start = rr_now();
        CHECK(rr_get_timeout(int, gate, &v, 60) == RR_ERR_TIMEOUT && takes(start, 0.06));
        start = rr_now(), rr_sleep_ms(40);
        CHECK(takes(start, 0.04));
        rr_ref refs[4] = {
            rr_call_with(RR_OPTIONS(.max_retries = 1, .retry_delay_ms = 60), clock_flaky, 1),
            rr_call(clock_sleep, 40), rr_call(clock_wait, gate, 40),
            rr_call_with(RR_OPTIONS(.timeout_ms = 50), clock_wait, gate, 9000)};
        start = rr_now();
        CHECK(rr_get(int, refs[0], &v) == RR_OK && v == 7 && takes(start, 0.045));
        CHECK(rr_get(int, refs[1], &v) == RR_OK && rr_get(int, refs[2], &v) == RR_OK && v == 1);
        CHECK(rr_get(int, refs[3], &v) == RR_ERR_TIMEOUT && takes(start, 0.05));
        ahead = 0;
        for (int i = 0; i < 4; i++) rr_release(refs[i]);
        rr_release(gate);
        fixture_stop(&f);
    }
}

int main(int argc, char **argv) { return test_main(argc, argv); }
