/* Guards against memory that a burst leaves behind, and against what giving it back could break:
   survivors, stale handles, the next burst. */
#define RUSTYRAY_KEEP_BYTES ((size_t)1 << 20)
#define RUSTYRAY_KEEP_SECONDS 0.02
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"

enum { TASKS = 300000, BLOCKS = 3000, MIB = 1 << 20 };

REMOTE_FN(int, burst_add, int, a, int, b) { return a + b; }
REMOTE_FN(long, burst_many, int, n) {
    long sum = 0;
    for (int i = 0; i < n; i++) rr_call(burst_add, i, 1); /* all held by this body's scope */
    for (int i = 0; i < 10; i++) sum += rr_unwrap(int, rr_call(burst_add, i, 1));
    return sum;
}

static long resident(void) {
    long unused = 0, pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (!statm || fscanf(statm, "%ld %ld", &unused, &pages) != 2) pages = 0;
    if (statm) fclose(statm);
    return pages * sysconf(_SC_PAGESIZE);
}
static void check_resident(long before, long more) {
#ifndef SANITIZED
    double end = rr_now() + 20;
    long now;
    while ((now = resident()) >= before + more && rr_now() < end) rr_sleep_ms(5);
    if (!CHECK(before == 0 || now < before + more))
        fprintf(stderr, "resident: %ld KiB, before %ld KiB\n", now / 1024, before / 1024);
#else
    (void)before, (void)more;
#endif
}

static void burst(rr_ref *refs, int n) {
    for (int i = 0; i < n; i++) refs[i] = rr_call(burst_add, i, 1);
    int wrong = 0;
    for (int i = 0; i < n; i++) wrong += rr_unwrap(int, refs[i]) != i + 1;
    CHECK(wrong == 0);
    for (int i = 0; i < n; i++) rr_release(refs[i]);
}

TEST_ALONE(slots_of_a_burst_go_back_and_are_used_again) {
    fixture f;
    fixture_start(&f, (rr_config){.workers = 2});
    rr_ref *refs = calloc(TASKS, sizeof *refs);
    memset(refs, 1, TASKS * sizeof *refs);
    long before = resident();
    for (int round = 0; round < 3; round++) {
        burst(refs, TASKS);               /* 38 MB of slots */
        check_resident(before, 16 * MIB); /* what threads hold keeps some regions of 2 MiB */
    }
    int stale = 0;
    for (int i = 0; i < TASKS; i++)
        stale += rr_get_timeout(int, refs[i], &(int){0}, 0) == RR_ERR_STALE;
    CHECK(stale == TASKS);
    CHECK(objects_settle_at(0));
    free(refs);
    fixture_stop(&f);
}

TEST_ALONE(scope_of_many_goes_back) {
    fixture f;
    fixture_start(&f, (rr_config){.workers = 2});
    long before = resident();
    for (int round = 0; round < 2; round++) {
        rr_ref r = rr_call(burst_many, TASKS);
        CHECK(rr_unwrap(long, r) == 55);
        rr_release(r);
        CHECK(objects_settle_at(0));
        check_resident(before, 40 * MIB); /* of 58; regions are 2 MiB, and malloc keeps some */
    }
    fixture_stop(&f);
}

/* Sizes of all classes, in an order of their own; every 97th block survives the others. */
static void blocks_round(uint64_t *random, rr_ref *refs, unsigned char *room) {
    size_t sizes[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        sizes[i] = 40 + test_below(random, 40000);
        memset(room, i & 255, sizes[i]);
        refs[i] = rr_put_bytes(room, sizes[i]);
    }
    for (int i = 0; i < BLOCKS; i++) {
        int k = (int)test_below(random, BLOCKS);
        if (k % 97) rr_release(refs[k]), refs[k] = (rr_ref){0, 0, 0};
    }
    for (int i = 0; i < BLOCKS; i++)
        if (i % 97 && refs[i].id) rr_release(refs[i]);
    for (int i = 0; i < BLOCKS; i += 97) {
        rr_bytes view = {0};
        CHECK(rr_get(rr_bytes, refs[i], &view) == RR_OK && view.size == sizes[i]);
        const unsigned char *p = view.data;
        CHECK(p && p[0] == (i & 255) && p[view.size - 1] == (i & 255));
        rr_release(refs[i]);
    }
}

TEST_ALONE(blocks_of_a_burst_go_back_and_survivors_stay) {
    fixture f;
    uint64_t random = test_seed;
    fixture_start(&f, (rr_config){.workers = 1});
    rr_ref *refs = calloc(BLOCKS, sizeof *refs);
    unsigned char *room = calloc(1, 40040);
    long before = resident();
    for (int round = 0; round < 4; round++) blocks_round(&random, refs, room); /* 60 MB each */
    check_resident(before, 40 * MIB); /* up to 1 MiB of each of 20 sizes is kept, and by malloc */
    rr_stats stats;
    rr_get_stats(&stats);
    CHECK(stats.store_bytes_used == 0 && stats.objects_live == 0);
    free(refs), free(room);
    fixture_stop(&f);
}

TEST_ALONE(big_blocks_are_reused_and_bounded) {
    fixture f;
    fixture_start(&f, (rr_config){.workers = 1});
    char *room = malloc(2 * MIB);
    const void *first = NULL;
    memset(room, 5, 2 * MIB);
    for (int i = 0; i < 10; i++) {
        rr_bytes view = {0};
        rr_ref ref = rr_put_bytes(room, (size_t)MIB * 3 / 2 - (size_t)i * 1000);
        CHECK(rr_get(rr_bytes, ref, &view) == RR_OK &&
              ((const char *)view.data)[view.size - 1] == 5);
        if (i == 0) first = view.data;
        CHECK(view.data == first);
        rr_release(ref);
    }
    long before = resident();
    rr_ref refs[40];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 40; i++)
            refs[i] = rr_put_bytes(room, (size_t)MIB + (size_t)(i % 7) * 999);
        for (int i = 0; i < 40; i++) rr_release(refs[i]);
        check_resident(before, 8 * MIB); /* 2 MiB may be kept */
    }
    free(room);
    fixture_stop(&f);
}

static void *burst_thread(void *runtime) {
    rr_runtime_use(runtime);
    rr_ref *refs = calloc(TASKS / 10, sizeof *refs);
    for (int round = 0; round < 3; round++) burst(refs, TASKS / 10);
    free(refs);
    return NULL;
}

TEST_ALONE(bursts_of_several_threads_at_once) {
    fixture f;
    fixture_start(&f, (rr_config){.workers = 2});
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, burst_thread, f.runtime);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    CHECK(objects_settle_at(0));
    fixture_stop(&f);
}

/* ---- threads ---- */

static atomic_int held, open_now;
REMOTE_FN(int, burst_hold, int, v) {
    held++;
    while (!open_now)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); /* keeps its thread */
    return v;
}
static bool threads_settle_at(uint64_t wanted) {
    rr_stats stats = {0};
    for (int i = 0; i < 20000 && stats.threads != wanted; i++) {
        if (i) rr_sleep_ms(1);
        rr_get_stats(&stats);
    }
    return stats.threads == wanted;
}

TEST_ALONE(threads_that_stood_in_leave_and_others_come) {
    enum { WORKERS = 2, BLOCKING = 20 };
    fixture f;
    fixture_start(&f, (rr_config){.workers = WORKERS});
    for (int round = 0; round < 3; round++) {
        rr_ref refs[BLOCKING];
        held = open_now = 0;
        for (int i = 0; i < BLOCKING; i++)
            refs[i] = rr_call_with(RR_OPTIONS(.blocking = true), burst_hold, i);
        while (held < BLOCKING) rr_sleep_ms(1);
        rr_stats stats;
        rr_get_stats(&stats);
        CHECK(stats.threads >= BLOCKING);
        open_now = 1;
        for (int i = 0; i < BLOCKING; i++) {
            CHECK(rr_unwrap(int, refs[i]) == i);
            rr_release(refs[i]);
        }
        CHECK(threads_settle_at(WORKERS));
        rr_ref r = rr_call(burst_add, round, 1);
        CHECK(rr_unwrap(int, r) == round + 1);
        rr_release(r);
    }
    fixture_stop(&f);
}

int main(int argc, char **argv) { return test_main(argc, argv); }
