/* Guards priorities, resources and the limit on pending work: who is next, that never more is used
   than there is, that nobody waits for ever, and that everything is given back. */
#define _GNU_SOURCE
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"
#include <math.h>

/* What a test shares with its bodies, which get its address as a number. */
typedef struct desk {
    atomic_int begun, ended, runs, inside, most, count, status;
    atomic_bool open;
    atomic_int position;
    int order[64];
    rr_ref refs[32];
} desk;
static desk *desk_at(uint64_t at) { return (desk *)(uintptr_t)at; }
#define AT(d) ((uint64_t)(uintptr_t)(d))
static void nap(void) { nanosleep(&(struct timespec){0, 1000000}, NULL); }

static void use(desk *d, int amount) {
    int now = atomic_fetch_add(&d->inside, amount) + amount, seen = d->most;
    while (now > seen && !atomic_compare_exchange_weak(&d->most, &seen, now)) {
    }
}
static void enter(desk *d, int amount) {
    use(d, amount);
    d->begun++;
}
static void leave(desk *d, int amount) {
    d->inside -= amount;
    d->ended++;
}

/* Ends within 20 s. Runs nothing itself. */
static rr_status outcome(rr_ref r) {
    CHECK(rr_wait(&r, 1, 1, 20000, NULL) == 1);
    return rr_get_void(r);
}
static void all_end_well(rr_ref *refs, int n) {
    for (int i = 0; i < n; i++) CHECK(outcome(refs[i]) == RR_OK), rr_release(refs[i]);
}
static bool message_has(rr_ref r, const char *word) {
    const char *text = rr_error_message(r);
    bool found = strstr(text, word) != NULL;
    if (!found) fprintf(stderr, "no '%s' in: %s\n", word, text);
    return found;
}
/* rr_why comes to say this. */
static bool why_says(rr_ref r, const char *word) {
    char text[500] = "";
    for (int i = 0; i < 5000; i++) {
        if (rr_why(r, text, sizeof text) == RR_OK && strstr(text, word)) return true;
        nap();
    }
    fprintf(stderr, "no '%s' in: %s\n", word, text);
    return false;
}
static double available(const char *name) {
    double total = -1, free = -1;
    CHECK(rr_resources(name, &total, &free) == RR_OK && free <= total);
    return free;
}
static bool settles(const char *name, double wanted) {
    for (int i = 0; available(name) != wanted && i < 10000; i++) nap();
    if (available(name) != wanted)
        fprintf(stderr, "%s: %.9g, wanted: %.9g\n", name, available(name), wanted);
    return available(name) == wanted;
}
static bool is_all_back(const char *name) {
    double total = 0;
    CHECK(rr_resources(name, &total, NULL) == RR_OK);
    return settles(name, total);
}
/* What is in one of the lists, or counted: no task or actor. Who has begun one may not have let go
   of it yet. */
static int64_t listed(rr_runtime *rt) {
    rr__lock(&rt->resources->lock);
    size_t n = rt->resources->ready.count + rt->resources->ready.promised +
               (size_t)rt->resources->starting,
           shapes = 0;
    int64_t cpus = rt->resources->apart_cpus + rt->resources->chosen_cpus, stuck = 0;
    for (rr__shape *s = rt->resources->shapes; s; s = s->next, shapes++)
        n += s->waiting.count + s->waiting.promised + s->users;
    for (int i = 0; i < rt->resources->count; i++) stuck += rt->resources->stocks[i].stuck;
    rr__unlock(&rt->resources->lock);
    CHECK(shapes <= 64);
    return (int64_t)n + cpus + stuck + rr__load_seq_cst(&rt->tasks->pending);
}
static bool lists_settle(rr_runtime *rt) {
    for (int i = 0; listed(rt) != 0 && i < 10000; i++) nap();
    return listed(rt) == 0;
}
/* Nothing lives, nothing is used, and each task was counted once. */
static void comes_to_rest(fixture *f) {
    rr_stats s;
    CHECK(objects_settle_at(0) && actors_settle_at(0) && is_all_back("cpu"));
    const rr_resource *given = f->runtime->config.resources;
    for (int i = 0; i < RR_RESOURCES && given[i].name; i++) CHECK(is_all_back(given[i].name));
    rr_get_stats(&s);
    CHECK(s.tasks_submitted == s.tasks_finished + s.tasks_failed && s.store_bytes_used == 0);
    CHECK(lists_settle(f->runtime));
}
static void stop(fixture *f) {
    comes_to_rest(f);
    fixture_stop(f);
}

static rr_options gpu(double amount) { return RR_OPTIONS(.resources = {{"gpu", amount}}); }
static rr_options tpu(double amount) { return RR_OPTIONS(.resources = {{"tpu", amount}}); }
static rr_options cpus(double amount) { return RR_OPTIONS(.num_cpus = amount); }
static rr_options urgent(int priority) { return RR_OPTIONS(.priority = priority); }

/* Keeps what it has until the desk opens, whatever it is told. */
REMOTE_FN(int, resources_hold, uint64_t, at) {
    desk *d = desk_at(at);
    enter(d, 1);
    while (!d->open) nap();
    leave(d, 1);
    return 7;
}
REMOTE_FN(int, resources_quick, uint64_t, at, int, v) {
    desk *d = desk_at(at);
    enter(d, 1);
    d->runs++;
    leave(d, 1);
    return v;
}
REMOTE_FN(int, resources_size, uint64_t, at, rr_bytes, b) {
    return resources_quick(at, (int)b.size);
}
REMOTE_FN(int, resources_note, uint64_t, at, int, who) {
    desk *d = desk_at(at);
    int at_place = d->position++;
    if (at_place < 64) d->order[at_place] = who;
    return who;
}
static rr_ref hold(desk *d, rr_options options) {
    int begun = d->begun;
    rr_ref r = rr_call_with(options, resources_hold, AT(d));
    CHECK(becomes(&d->begun, begun + 1));
    return r;
}
static bool order_is(desk *d, int n, const int *wanted) {
    bool same = d->position == n && !memcmp(d->order, wanted, (size_t)n * sizeof *wanted);
    for (int i = 0; !same && i < n; i++) fprintf(stderr, "%d (%d) ", d->order[i], wanted[i]);
    return same;
}
/* When this has run, so has all that was ready and fitted when the worker was free. */
static void pool_catches_up(void) {
    desk d = {.begun = 0};
    rr_ref r = rr_call_with(urgent(-1000), resources_quick, AT(&d), 0);
    all_end_well(&r, 1);
}

/* ---- priorities ---- */

TEST(priority_orders_high_to_low_and_first_come_among_equals) {
    enum { COUNT = 60 };
    fixture f;
    desk d = {.begun = 0}, gate = {.begun = 0};
    uint64_t random = test_seed;
    START(&f, .workers = 1);
    rr_ref held = hold(&gate, urgent(0)), refs[COUNT];
    int priority[COUNT];
    for (int i = 0; i < COUNT; i++) {
        priority[i] = (int)test_below(&random, 7) - 3;
        refs[i] = rr_call_with(urgent(priority[i]), resources_note, AT(&d), i);
    }
    gate.open = true;
    all_end_well(refs, COUNT), all_end_well(&held, 1);
    for (int i = 1; i < COUNT; i++) {
        int a = d.order[i - 1], b = d.order[i];
        if (!CHECK(priority[a] > priority[b] || (priority[a] == priority[b] && a < b)))
            fprintf(stderr, "%d of %d before %d of %d\n", a, priority[a], b, priority[b]);
    }
    stop(&f);
}

TEST(priority_of_any_size) {
    static const int priority[6] = {0, INT_MIN, 1, INT_MAX, -1, INT_MAX - 1};
    fixture f;
    desk d = {.begun = 0}, gate = {.begun = 0};
    START(&f, .workers = 1);
    rr_ref held = hold(&gate, urgent(0)), refs[6];
    for (int i = 0; i < 6; i++)
        refs[i] = rr_call_with(urgent(priority[i]), resources_note, AT(&d), i);
    gate.open = true;
    all_end_well(refs, 6), all_end_well(&held, 1);
    CHECK(order_is(&d, 6, (int[]){3, 5, 2, 0, 4, 1}));
    stop(&f);
}

REMOTE_FN(int, resources_calls_mixed, uint64_t, at) {
    desk *d = desk_at(at);
    d->begun++;
    while (!d->open) nap();
    static const int priority[3] = {0, 2, -2};
    for (int i = 0; i < 3; i++) rr_call_with(urgent(priority[i]), resources_note, at, i);
    return 0;
}
TEST(priority_of_what_a_body_calls) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    rr_ref refs[3] = {rr_call(resources_calls_mixed, AT(&d))};
    CHECK(becomes(&d.begun, 1));
    refs[1] = rr_call_with(urgent(1), resources_note, AT(&d), 3);
    refs[2] = rr_call_with(urgent(-1), resources_note, AT(&d), 4);
    d.open = true;
    all_end_well(refs, 3);
    CHECK(objects_settle_at(0) && order_is(&d, 5, (int[]){1, 3, 0, 4, 2}));
    stop(&f);
}

REMOTE_FN(int, resources_note_size, uint64_t, at, rr_bytes, b) {
    return resources_note(at, (int)b.size);
}
TEST(priority_counts_from_when_the_arguments_are_there) {
    fixture f;
    desk d = {.begun = 0}, gate = {.begun = 0};
    START(&f, .workers = 1);
    void *room = NULL;
    rr_ref held = hold(&gate, urgent(0)), late = rr_create(9, &room), refs[4];
    refs[0] = rr_call_with(urgent(5), resources_note_size, AT(&d), late);
    refs[1] = rr_call_with(urgent(1), resources_note, AT(&d), 1);
    refs[2] = rr_call_with(urgent(-5), resources_note_size, AT(&d), late);
    refs[3] = rr_call_with(urgent(-1), resources_note, AT(&d), 2);
    CHECK(rr_seal(late) == RR_OK);
    gate.open = true;
    all_end_well(refs, 4), all_end_well(&held, 1);
    CHECK(order_is(&d, 4, (int[]){9, 1, 2, 9}));
    rr_release(late);
    stop(&f);
}

/* A second for each step of difference: the older of lower priority goes first, but not before what
   is much more urgent. On both sides of zero. */
TEST(priority_ages_by_a_step_a_second) {
    static const int early[2] = {1, -8}, late[4] = {20, 2, -1, -7};
    fixture f;
    desk d = {.begun = 0}, gate = {.begun = 0};
    START(&f, .workers = 1);
    rr_ref held = hold(&gate, urgent(0)), refs[6];
    for (int i = 0; i < 2; i++)
        refs[i] = rr_call_with(urgent(early[i]), resources_note, AT(&d), early[i]);
    rr_sleep_ms(1050);
    for (int i = 0; i < 4; i++)
        refs[i + 2] = rr_call_with(urgent(late[i]), resources_note, AT(&d), late[i]);
    gate.open = true;
    all_end_well(refs, 6), all_end_well(&held, 1);
    CHECK(order_is(&d, 6, (int[]){20, 1, 2, -1, -8, -7}));
    stop(&f);
}

/* Calls itself again and again until the desk opens: there is always one that could run. */
REMOTE_FN(int, resources_endless, uint64_t, at, int, priority, double, gpus) {
    desk *d = desk_at(at);
    rr_options options = gpu(gpus);
    if (gpus == 0) options.resources[0] = (rr_resource){0};
    options.priority = priority;
    d->count++;
    nap();
    if (!d->open) rr_call_with(options, resources_endless, at, priority, gpus);
    return 0;
}
REMOTE_FN(int, resources_note_turn, uint64_t, at, int, who) {
    desk *d = desk_at(at);
    d->order[who] = d->count; /* the turns of the others so far */
    return who;
}
TEST(priority_zero_has_turns_beside_urgent_work_without_end) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    rr_ref endless = rr_call_with(urgent(1), resources_endless, AT(&d), 1, 0.0), refs[4];
    while (d.count == 0) nap();
    for (int i = 0; i < 4; i++) refs[i] = rr_call(resources_note_turn, AT(&d), i);
    all_end_well(refs, 4);
    d.open = true;
    all_end_well(&endless, 1);
    CHECK(d.order[3] - d.order[0] <= 4 * 16); /* not one a second */
    stop(&f);
}
TEST(priority_below_zero_has_turns_beside_work_without_end) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    rr_ref endless = rr_call(resources_endless, AT(&d), 0, 0.0);
    while (d.count == 0) nap();
    rr_ref low = rr_call_with(urgent(-1), resources_note, AT(&d), 0);
    all_end_well(&low, 1);
    d.open = true;
    all_end_well(&endless, 1);
    stop(&f);
}

REMOTE_FN(int, resources_waits_for_low, uint64_t, at) {
    rr_ref high[4];
    int v = 0;
    for (int i = 0; i < 4; i++) high[i] = rr_call_with(urgent(5), resources_note, at, 1);
    rr_ref low = rr_call_with(urgent(-5), resources_note, at, 2);
    return rr_get(int, low, &v) == RR_OK && rr_wait(high, 4, 4, -1, NULL) == 4 ? v : -1;
}
TEST(waiter_runs_its_own_work_of_low_priority) {
    fixture f;
    desk d = {.begun = 0};
    int v = 0;
    START(&f, .workers = 1, .max_threads = 1); /* nobody else could */
    rr_ref r = rr_call(resources_waits_for_low, AT(&d));
    CHECK(outcome(r) == RR_OK && rr_get(int, r, &v) == RR_OK && v == 2);
    CHECK(order_is(&d, 5, (int[]){2, 1, 1, 1, 1}));
    rr_release(r);
    stop(&f);
}
TEST(waiter_outside_runs_work_of_low_priority) {
    fixture f;
    desk d = {.begun = 0}, gate = {.begun = 0};
    int v = 0;
    START(&f, .workers = 1);
    rr_ref held = hold(&gate, urgent(0)), high = rr_call_with(urgent(9), resources_note, AT(&d), 1);
    rr_ref low = rr_call_with(urgent(-9), resources_note, AT(&d), 2);
    CHECK(rr_get(int, low, &v) == RR_OK && v == 2 && !rr_ready(high));
    gate.open = true;
    all_end_well(&low, 1), all_end_well(&high, 1), all_end_well(&held, 1);
    stop(&f);
}

/* Its first attempt calls others, more and less urgent than itself. */
REMOTE_FN(int, resources_tries_again, uint64_t, at, int, who) {
    static const int priority[4] = {0, 5, -1, 2};
    resources_note(at, who);
    if (rr_attempt() == 1) return who;
    for (int i = 0; i < 4; i++) rr_call_with(urgent(priority[i]), resources_note, at, priority[i]);
    rr_fail(1, "once more");
    return 0;
}
TEST(priority_stays_with_a_retry) {
    static const int wanted[2][6] = {{9, 5, 9, 2, 0, -1}, {9, 5, 2, 0, -1, 9}};
    for (int below = 0; below < 2; below++) {
        fixture f;
        desk d = {.begun = 0};
        START(&f, .workers = 1);
        rr_options options = {.priority = below ? -3 : 3, .max_retries = 1};
        rr_ref r = rr_call_with(options, resources_tries_again, AT(&d), 9);
        all_end_well(&r, 1);
        CHECK(objects_settle_at(0) && order_is(&d, 6, wanted[below]));
        stop(&f);
    }
}

TEST(cancelled_and_late_ones_leave_the_order_of_the_rest) {
    enum { COUNT = 30 };
    fixture f;
    desk d = {.begun = 0}, gate = {.begun = 0};
    START(&f, .workers = 1);
    rr_ref held = hold(&gate, urgent(0)), refs[COUNT];
    for (int i = 0; i < COUNT; i++) {
        rr_options options = {.priority = i % 3 - 1, .timeout_ms = i % 5 == 4 ? 20 : 0};
        refs[i] = rr_call_with(options, resources_note, AT(&d), i);
    }
    for (int i = 0; i < COUNT; i += 5)
        CHECK(rr_cancel(refs[i]) == RR_OK && outcome(refs[i]) == RR_ERR_CANCELLED);
    for (int i = 4; i < COUNT; i += 5) CHECK(outcome(refs[i]) == RR_ERR_TIMEOUT);
    gate.open = true;
    int wanted[COUNT], n = 0;
    for (int priority = 1; priority >= -1; priority--)
        for (int i = priority + 1; i < COUNT; i += 3)
            if (i % 5 && i % 5 != 4) wanted[n++] = i;
    for (int i = 0; i < COUNT; i++)
        CHECK((outcome(refs[i]) == RR_OK) == (i % 5 && i % 5 != 4)), rr_release(refs[i]);
    all_end_well(&held, 1);
    CHECK(order_is(&d, n, wanted));
    stop(&f);
}

/* ---- how much at once ---- */

TEST(never_more_at_once_than_there_is) {
    enum { COUNT = 60 };
    for (int blocking = 0; blocking < 2; blocking++) {
        fixture f;
        desk d = {.begun = 0};
        START(&f, .workers = 4, .resources = {{"gpu", 2}});
        rr_options options = gpu(1);
        options.blocking = blocking;
        rr_ref refs[COUNT], held[2] = {hold(&d, options), hold(&d, options)}; /* two fit */
        CHECK(available("gpu") == 0);
        for (int i = 0; i < COUNT; i++) refs[i] = rr_call_with(options, resources_quick, AT(&d), i);
        pool_catches_up();
        CHECK(d.runs == 0 && d.inside == 2);
        d.open = true;
        all_end_well(refs, COUNT), all_end_well(held, 2);
        CHECK(d.most == 2 && d.runs == COUNT);
        stop(&f);
    }
}

TEST(parts_of_one_are_exact) {
    static const double part[4] = {0.1, 0.3333, 0.25, 0.0001};
    static const double left[4] = {0, 0.0001, 0, 0.999};
    for (int k = 0; k < 4; k++) {
        fixture f;
        desk d = {.begun = 0};
        int n = k == 0 ? 10 : k == 1 ? 3 : k == 2 ? 4 : 10;
        START(&f, .workers = 11, .resources = {{"gpu", 1}});
        rr_ref refs[10], more;
        for (int i = 0; i < n; i++) refs[i] = hold(&d, gpu(part[k]));
        if (!CHECK(fabs(available("gpu") - left[k]) < 1e-9))
            fprintf(stderr, "%d of %g: %.9g\n", n, part[k], available("gpu"));
        more = rr_call_with(gpu(0.9991), resources_quick, AT(&d), 0);
        pool_catches_up();
        CHECK(d.runs == 0);
        d.open = true;
        all_end_well(refs, n), all_end_well(&more, 1);
        stop(&f);
    }
}

TEST(fifty_thousand_parts_do_not_drift) {
    enum { COUNT = 50000, BATCH = 500 };
    static const double part[8] = {0.1, 0.3, 0.7, 1.1, 0.0001, 0.3333, 2.9, 1.0 / 7};
    fixture f;
    desk d = {.begun = 0};
    double total = 0, free = 0;
    START(&f, .workers = 2, .resources = {{"gpu", 2.9}, {"tpu", 0.3}});
    rr_ref refs[BATCH];
    for (int i = 0; i < COUNT; i++) {
        rr_options options = gpu(part[i % 8]);
        if (i % 3 == 0) options.resources[1] = (rr_resource){"tpu", 0.1};
        if (i % 5 == 0) options.num_cpus = 0.3;
        refs[i % BATCH] = rr_call_with(options, resources_quick, AT(&d), i);
        if (i % BATCH == BATCH - 1) all_end_well(refs, BATCH);
    }
    CHECK(d.runs == COUNT);
    CHECK(rr_resources("gpu", &total, &free) == RR_OK && total == 2.9 && free == total);
    CHECK(rr_resources("tpu", &total, &free) == RR_OK && total == 0.3 && free == total);
    stop(&f);
}

TEST(resources_are_back_before_the_reference_is_ready) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 1}});
    REMOTE_FN_DECLARE(int, resources_fails, int, attempts);
    rr_options again = gpu(1);
    again.max_retries = 2;
    for (int i = 0; i < 1000; i++) {
        rr_ref r = i % 3 == 0   ? rr_call_with(gpu(1), resources_quick, AT(&d), i)
                   : i % 3 == 1 ? rr_call_with(gpu(0.5), resources_fails, 99)
                                : rr_call_with(again, resources_fails, 99);
        CHECK(outcome(r) == (i % 3 ? RR_ERR_TASK : RR_OK) && available("gpu") == 1);
        rr_release(r);
    }
    stop(&f);
}
REMOTE_FN(int, resources_fails, int, attempts) {
    if (rr_attempt() < attempts) rr_fail(5, "attempt %d", rr_attempt());
    return 0;
}

TEST(all_resources_in_one_call) {
    fixture f;
    desk d = {.begun = 0};
    rr_config config = {.workers = 2};
    rr_options options = {.num_cpus = 2};
    char names[RR_RESOURCES][32];
    for (int i = 0; i < RR_RESOURCES; i++) {
        snprintf(names[i], sizeof names[i], "resource %d", i);
        config.resources[i] = (rr_resource){names[i], i + 1};
        options.resources[RR_RESOURCES - 1 - i] = (rr_resource){names[i], (i + 1) / 2.0};
    }
    fixture_start(&f, config);
    rr_ref refs[21] = {hold(&d, options)};
    for (int i = 0; i < RR_RESOURCES; i++) CHECK(available(names[i]) == (i + 1) / 2.0);
    for (int i = 1; i < 21; i++) refs[i] = rr_call_with(options, resources_quick, AT(&d), i);
    d.open = true;
    all_end_well(refs, 21);
    CHECK(d.most == 1); /* because of the CPUs */
    for (int i = 0; i < RR_RESOURCES; i++) CHECK(is_all_back(names[i]));
    stop(&f);
}

TEST(thousands_of_different_needs) {
    enum { COUNT = 4000 };
    fixture f;
    desk d = {.begun = 0}, holder = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 1}});
    static rr_ref refs[COUNT];
    rr_ref held = hold(&holder, gpu(1));
    for (int i = 0; i < COUNT; i++)
        refs[i] = rr_call_with(gpu((i + 1) / 1e4), resources_quick, AT(&d), i);
    for (int i = 0; i < COUNT; i += 7) CHECK(rr_cancel(refs[i]) == RR_OK);
    holder.open = true;
    for (int i = 0; i < COUNT; i++)
        CHECK(outcome(refs[i]) == (i % 7 ? RR_OK : RR_ERR_CANCELLED)), rr_release(refs[i]);
    all_end_well(&held, 1);
    stop(&f);
}

TEST(names_of_resources_are_copied) {
    fixture f;
    desk d = {.begun = 0};
    char total[8] = "gpu", need[8] = "gpu";
    START(&f, .workers = 1, .resources = {{total, 1}});
    strcpy(total, "none");
    rr_ref held = hold(&d, gpu(1));
    rr_ref r = rr_call_with(RR_OPTIONS(.resources = {{need, 1}}), resources_quick, AT(&d), 1);
    strcpy(need, "none");
    CHECK(!rr_ready(r) && why_says(r, "gpu"));
    d.open = true;
    all_end_well(&held, 1), all_end_well(&r, 1);
    CHECK(rr_resources("none", NULL, NULL) == RR_ERR_NOT_FOUND && available("gpu") == 1);
    f.runtime->config.resources[0].name = "gpu"; /* for comes_to_rest */
    stop(&f);
}

/* ---- who waits for whom ---- */

TEST(waiting_for_one_resource_does_not_hold_up_the_rest) {
    enum { COUNT = 40 };
    fixture f;
    desk d = {.begun = 0}, other = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 1}, {"tpu", 1}});
    rr_ref held = hold(&d, gpu(1)), waiting[COUNT], refs[COUNT];
    for (int i = 0; i < COUNT; i++) {
        rr_options options = gpu(1);
        options.priority = i % 3 * 10;
        waiting[i] = rr_call_with(options, resources_quick, AT(&d), i);
    }
    for (int i = 0; i < COUNT; i++)
        refs[i] = i % 2 ? rr_call_with(tpu(1), resources_quick, AT(&other), i)
                        : rr_call(resources_quick, AT(&other), i);
    all_end_well(refs, COUNT);
    CHECK(d.runs == 0 && !d.open);
    d.open = true;
    all_end_well(waiting, COUNT), all_end_well(&held, 1);
    CHECK(d.most == 1);
    stop(&f);
}

TEST(waiting_tasks_take_no_worker) {
    enum { COUNT = 200 };
    fixture f;
    desk d = {.begun = 0};
    rr_stats s;
    START(&f, .workers = 2, .resources = {{"gpu", 1}});
    rr_ref held = hold(&d, gpu(1)), refs[COUNT];
    for (int i = 0; i < COUNT; i++) refs[i] = rr_call_with(gpu(1), resources_quick, AT(&d), i);
    pool_catches_up();
    rr_get_stats(&s);
    CHECK(s.threads <= 3 && d.runs == 0);
    d.open = true;
    all_end_well(refs, COUNT), all_end_well(&held, 1);
    stop(&f);
}

REMOTE_FN(int, resources_large, uint64_t, at, uint64_t, small) {
    desk *d = desk_at(at);
    d->count = desk_at(small)->runs;
    desk_at(small)->open = true; /* for those without end */
    return resources_quick(at, 0);
}
/* Half of it is held, and what comes later fits into the other half. */
typedef struct crowd {
    fixture f;
    desk holder, large, small;
    rr_ref held, big, refs[100];
} crowd;
static void crowd_start(crowd *c, int64_t timeout) {
    memset(c, 0, sizeof *c);
    START(&c->f, .workers = 2, .resources = {{"gpu", 2}});
    rr_options both = gpu(2);
    both.timeout_ms = timeout;
    c->held = hold(&c->holder, gpu(1));
    c->big = rr_call_with(both, resources_large, AT(&c->large), AT(&c->small));
    for (int i = 0; i < 100; i++)
        c->refs[i] = rr_call_with(gpu(1), resources_quick, AT(&c->small), i);
}
static void crowd_end(crowd *c) {
    c->holder.open = true;
    all_end_well(&c->held, 1);
    for (int i = 0; i < 100; i++) CHECK(outcome(c->refs[i]) == RR_OK), rr_release(c->refs[i]);
    rr_release(c->big);
    CHECK(c->small.runs == 100);
    stop(&c->f);
}
TEST(large_need_is_overtaken_so_often_and_not_more) {
    crowd c;
    crowd_start(&c, 0);
    pool_catches_up();
    CHECK(c.small.runs > 0 && c.small.runs <= 32 && c.small.most == 1 && c.large.runs == 0);
    c.holder.open = true;
    CHECK(outcome(c.big) == RR_OK && c.large.count <= 32);
    crowd_end(&c);
}
TEST(cancelled_large_need_keeps_nothing_from_others) {
    crowd c;
    crowd_start(&c, 0);
    pool_catches_up();
    CHECK(rr_cancel(c.big) == RR_OK && becomes(&c.small.runs, 100)); /* while the holder holds */
    CHECK(outcome(c.big) == RR_ERR_CANCELLED && c.large.runs == 0 && c.small.most == 1);
    crowd_end(&c);
}
TEST(late_large_need_keeps_nothing_from_others) {
    crowd c;
    crowd_start(&c, 50);
    CHECK(outcome(c.big) == RR_ERR_TIMEOUT && becomes(&c.small.runs, 100));
    CHECK(c.large.runs == 0 && c.small.most == 1);
    crowd_end(&c);
}

TEST(large_need_is_met_beside_small_ones_without_end) {
    fixture f;
    desk small = {.begun = 0}, large = {.begun = 0};
    START(&f, .workers = 4, .resources = {{"gpu", 3}});
    rr_ref refs[5];
    for (int i = 0; i < 4; i++)
        refs[i] = rr_call_with(gpu(1), resources_endless, AT(&small), 0, 1.0);
    while (small.count < 10) nap();
    refs[4] = rr_call_with(gpu(3), resources_large, AT(&large), AT(&small));
    all_end_well(refs, 5);
    stop(&f);
}
TEST(many_cpus_are_had_beside_plain_work_without_end) {
    fixture f;
    desk small = {.begun = 0}, large = {.begun = 0};
    START(&f, .workers = 3);
    rr_ref refs[6];
    for (int i = 0; i < 5; i++) refs[i] = rr_call(resources_endless, AT(&small), 0, 0.0);
    while (small.count < 10) nap();
    refs[5] = rr_call_with(cpus(3), resources_large, AT(&large), AT(&small));
    all_end_well(refs, 6);
    stop(&f);
}

TEST(two_large_needs_that_cross) {
    enum { COUNT = 160 };
    fixture f;
    desk d = {.begun = 0}, small = {.begun = 0};
    START(&f, .workers = 3, .resources = {{"gpu", 2}, {"tpu", 2}});
    rr_ref held[2] = {hold(&d, gpu(1)), hold(&d, tpu(1))}, refs[COUNT], large[4];
    for (int i = 0; i < 4; i++) {
        rr_options options = {
            .resources = {{i % 2 ? "gpu" : "tpu", 2}, {i % 2 ? "tpu" : "gpu", 1}}};
        large[i] = rr_call_with(options, resources_quick, AT(&d), i);
    }
    for (int i = 0; i < COUNT; i++)
        refs[i] = rr_call_with(i % 2 ? gpu(1) : tpu(1), resources_quick, AT(&small), i);
    pool_catches_up(); /* now something is kept for each of the large ones, if not for both */
    d.open = true;
    all_end_well(held, 2), all_end_well(large, 4), all_end_well(refs, COUNT);
    stop(&f);
}

/* While what it lacks is held by what waits itself, nothing else may be kept for it. */
REMOTE_FN(int, resources_calls_in_turn, uint64_t, at) {
    desk *d = desk_at(at);
    enter(d, 1);
    while (!d->open) nap();
    for (int i = 0; i < 100; i++) {
        int v = -1;
        rr_ref r = rr_call_with(tpu(1), resources_quick, at, i);
        CHECK(rr_get(int, r, &v) == RR_OK && v == i);
    }
    leave(d, 1);
    return 1;
}
TEST(nothing_is_kept_from_those_whom_the_holder_waits_for) {
    fixture f;
    desk d = {.begun = 0}, other = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 1}, {"tpu", 1}});
    rr_options both = {.resources = {{"gpu", 1}, {"tpu", 1}}};
    rr_ref holder = rr_call_with(gpu(1), resources_calls_in_turn, AT(&d));
    CHECK(becomes(&d.begun, 1));
    rr_ref large = rr_call_with(both, resources_quick, AT(&other), 1);
    d.open = true;
    all_end_well(&holder, 1), all_end_well(&large, 1);
    stop(&f);
}

/* ---- what cannot be ---- */

/* Ends at once, with this status and these words. */
static void refused(rr_options options, rr_status status, const char *const *words) {
    desk d = {.begun = 0};
    rr_ref r = rr_call_with(options, resources_quick, AT(&d), 1);
    rr_ref next = rr_call(resources_quick, AT(&d), r);
    CHECK(rr_ready(r) && outcome(r) == status && outcome(next) == status);
    CHECK(message_has(r, "resources_quick"));
    for (; *words; words++) CHECK(message_has(r, *words) && message_has(next, *words));
    CHECK(rr_cancel(r) == RR_ERR_INVALID && d.begun == 0);
    rr_release(r), rr_release(next);
}
TEST(more_than_there_is_is_refused_at_once) {
    fixture f;
    START(&f, .workers = 2, .resources = {{"gpu", 2}, {"tpu", 0.5}});
    rr_options second = RR_OPTIONS(.resources = {{"gpu", 1}, {"tpu", 0.75}});
    refused(gpu(3), RR_ERR_UNSCHEDULABLE, (const char *[]){"gpu", "3", "2", NULL});
    refused(gpu(2.0001), RR_ERR_UNSCHEDULABLE, (const char *[]){"gpu", "2.0001", NULL});
    refused(second, RR_ERR_UNSCHEDULABLE, (const char *[]){"tpu", "0.75", "0.5", NULL});
    refused(cpus(5), RR_ERR_UNSCHEDULABLE, (const char *[]){"cpu", "5", "2", NULL});
    refused(RR_OPTIONS(.resources = {{"gq%sn", 1}}), RR_ERR_UNSCHEDULABLE,
            (const char *[]){"gq%sn", NULL});
    CHECK(!strcmp(rr_status_name(RR_ERR_UNSCHEDULABLE), "RR_ERR_UNSCHEDULABLE"));
    stop(&f);
}
TEST(amounts_that_cannot_be) {
    static const double amount[5] = {-1, -0.0001, 0.00001, 1e-300, NAN};
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 2}});
    for (int i = 0; i < 5; i++) {
        refused(gpu(amount[i]), RR_ERR_INVALID, (const char *[]){"gpu", NULL});
        refused(cpus(amount[i]), RR_ERR_INVALID, (const char *[]){"cpu", NULL});
        refused(RR_OPTIONS(.resources = {{"gpu", 1}, {"tpu", amount[i]}}), RR_ERR_INVALID,
                (const char *[]){"tpu", NULL});
    }
    static const double huge[3] = {INFINITY, 1e300, 1e15};
    for (int i = 0; i < 6; i++) { /* one or the other */
        rr_ref r =
            rr_call_with(i % 2 ? cpus(huge[i / 2]) : gpu(huge[i / 2]), resources_quick, AT(&d), 1);
        rr_status status = outcome(r);
        CHECK(status == RR_ERR_UNSCHEDULABLE || status == RR_ERR_INVALID);
        rr_release(r);
    }
    CHECK(d.begun == 0);
    stop(&f);
}
TEST(one_resource_named_twice) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 2}});
    for (int i = 1; i <= 2; i++) { /* 1.5 + 1.5 is too much, 1 + 1 is not */
        double amount = i == 1 ? 1.5 : 1;
        rr_options options = RR_OPTIONS(.resources = {{"gpu", amount}, {"gpu", amount}});
        rr_ref r = rr_call_with(options, resources_quick, AT(&d), 1);
        rr_status status = outcome(r);
        CHECK(status == RR_ERR_INVALID || status == (i == 1 ? RR_ERR_UNSCHEDULABLE : RR_OK));
        rr_release(r);
    }
    stop(&f);
}

static bool config_refused(rr_config config, const char *word) {
    fixture f = {.lock = PTHREAD_MUTEX_INITIALIZER};
    config.log = fixture_log, config.log_data = &f;
    rr_runtime *rt = rr_runtime_create(&config);
    bool told = strstr(rr_error_message((rr_ref){0}), word) && fixture_logged(&f, word);
    if (rt) CHECK(rr_runtime_destroy(rt) == RR_OK);
    return !rt && told;
}
TEST(totals_that_cannot_be) {
    rr_config bad[7] = {{.resources = {{"gpu", -1}}},
                        {.resources = {{"gpu", 1}, {"tpu", NAN}}},
                        {.resources = {{"gpu", 0.00001}}},
                        {.resources = {{"gpu", 1e300}}},
                        {.resources = {{"gpu", 1}, {"gpu", 1}}},
                        {.resources = {{"cpu", 4}}},
                        {.max_pending = -1}};
    for (int i = 0; i < 7; i++)
        if (!CHECK(config_refused(bad[i], i < 6 ? "resources" : "max_pending")))
            fprintf(stderr, "configuration %d\n", i);
}

TEST_ALONE(environment_gives_resources) {
    double total = 0, free = 0;
    setenv("RUSTYRAY_RESOURCES", "gpu=2,tpu=0.5", 1);
    CHECK(rr_init(NULL) == RR_OK);
    CHECK(rr_resources("gpu", &total, &free) == RR_OK && total == 2 && free == 2);
    CHECK(rr_resources("tpu", &total, &free) == RR_OK && total == 0.5 && free == 0.5);
    desk d = {.begun = 0};
    rr_ref r = rr_call_with(gpu(2), resources_quick, AT(&d), 1);
    all_end_well(&r, 1);
    CHECK(rr_shutdown() == RR_OK);
    CHECK(rr_init(&(rr_config){.resources = {{"fpga", 1}}}) == RR_OK); /* the program's count */
    CHECK(rr_resources("gpu", &total, &free) == RR_ERR_NOT_FOUND && total == 0 && free == 0);
    CHECK(rr_resources("fpga", &total, &free) == RR_OK && total == 1);
    CHECK(rr_shutdown() == RR_OK);
    setenv("RUSTYRAY_RESOURCES", "", 1);
    CHECK(rr_init(NULL) == RR_OK && rr_shutdown() == RR_OK);
    unsetenv("RUSTYRAY_RESOURCES");
}
TEST_ALONE(environment_of_nonsense_is_told) {
    static const char *const nonsense[] = {
        "gpu",         "gpu=",      "gpu=many",    "=2",
        "gpu=-1",      "gpu=1,,",   "gpu=2x",      "gpu=nan",
        "gpu=1,gpu=2", "gpu=1;tpu", "gpu=1 tpu=2", "a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1"};
    for (int i = 0; i < 12; i++) {
        setenv("RUSTYRAY_RESOURCES", nonsense[i], 1);
        if (!CHECK(config_refused((rr_config){0}, "RUSTYRAY_RESOURCES")))
            fprintf(stderr, "'%s' was taken\n", nonsense[i]);
    }
    unsetenv("RUSTYRAY_RESOURCES");
    setenv("RUSTYRAY_MAX_PENDING", "some", 1);
    CHECK(config_refused((rr_config){0}, "RUSTYRAY_MAX_PENDING"));
    unsetenv("RUSTYRAY_MAX_PENDING");
}

TEST(what_there_is_can_be_asked) {
    fixture f;
    desk d = {.begun = 0};
    double total = 9, free = 9;
    START(&f, .workers = 3, .resources = {{"gpu", 1.5}});
    CHECK(rr_resources("cpu", &total, &free) == RR_OK && total == 3 && free == 3);
    rr_ref held[2] = {hold(&d, gpu(0.25)), hold(&d, cpus(1.5))};
    CHECK(rr_resources("gpu", &total, &free) == RR_OK && total == 1.5 && free == 1.25);
    CHECK(settles("cpu", 0.5));
    CHECK(rr_resources("gpu", NULL, &free) == RR_OK && rr_resources("gpu", &total, NULL) == RR_OK);
    CHECK(rr_resources("gpu", NULL, NULL) == RR_OK);
    CHECK(rr_resources("tpu", &total, &free) == RR_ERR_NOT_FOUND && total == 0 && free == 0);
    CHECK(rr_resources("GPU", NULL, NULL) == RR_ERR_NOT_FOUND);
    total = free = 9;
    CHECK(rr_resources(NULL, &total, &free) != RR_OK && total == 0 && free == 0);
    total = free = 9;
    rr_runtime_use(NULL);
    CHECK(rr_resources("gpu", &total, &free) == RR_ERR_NOT_RUNNING && total == 0 && free == 0);
    rr_runtime_use(f.runtime);
    d.open = true;
    all_end_well(held, 2);
    stop(&f);
}

REMOTE_STREAM(int, resources_counts, uint64_t, at) {
    enter(desk_at(at), 1);
    for (int i = 0; rr_yield(int, i) == RR_OK; i++) {
    }
    leave(desk_at(at), 1);
}
TEST(stream_has_its_resources_until_its_body_ends) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1, .resources = {{"gpu", 1}});
    rr_options options = {.max_unread = 2, .num_cpus = 0.5, .resources = {{"gpu", 1}}};
    rr_stream s = rr_call_stream_with(options, resources_counts, AT(&d));
    rr_ref first = {0}, next = rr_call_with(gpu(1), resources_quick, AT(&d), 1);
    CHECK(rr_next(s, &first) == RR_OK && available("gpu") == 0);
    pool_catches_up(); /* while it waits for its reader the worker is free */
    CHECK(!rr_ready(next));
    rr_release(first), rr_release(s); /* the reader lets go */
    all_end_well(&next, 1);
    CHECK(d.most == 1);
    stop(&f);
}

/* ---- cancelling, deadlines, failures ---- */

TEST(cancelled_or_late_waiter_gives_up_its_arguments) {
    static char bytes[50000];
    for (int late = 0; late < 2; late++) {
        fixture f;
        desk d = {.begun = 0}, other = {.begun = 0};
        rr_stats s;
        START(&f, .workers = 2, .resources = {{"gpu", 1}});
        rr_options options = gpu(1);
        options.timeout_ms = late ? 30 : 600000;
        rr_ref held = hold(&d, gpu(1)), data = rr_put_bytes(bytes, sizeof bytes);
        rr_ref r = rr_call_with(options, resources_size, AT(&other), data);
        rr_ref behind = rr_call_with(gpu(1), resources_quick, AT(&other), 1);
        rr_release(data);
        rr_get_stats(&s);
        CHECK(late || s.store_bytes_used >= sizeof bytes);
        CHECK(late || rr_cancel(r) == RR_OK);
        CHECK(outcome(r) == (late ? RR_ERR_TIMEOUT : RR_ERR_CANCELLED));
        for (int i = 0; rr_get_stats(&s), s.store_bytes_used && i < 10000; i++) nap();
        CHECK(s.store_bytes_used == 0 && message_has(r, "resources_size"));
        CHECK(rr_cancel(r) == RR_ERR_INVALID && !rr_ready(behind));
        d.open = true;
        all_end_well(&held, 1), all_end_well(&behind, 1);
        CHECK(other.runs == 1);
        rr_release(r);
        stop(&f);
    }
}

TEST(cancelled_body_keeps_its_resources_until_it_returns) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 1}});
    rr_ref held = hold(&d, gpu(1)), next = rr_call_with(gpu(1), resources_quick, AT(&d), 1);
    CHECK(rr_cancel(held) == RR_OK && outcome(held) == RR_ERR_CANCELLED);
    pool_catches_up();
    CHECK(available("gpu") == 0 && d.begun == 1 && !rr_ready(next));
    d.open = true;
    all_end_well(&next, 1);
    CHECK(d.most == 1);
    rr_release(held);
    stop(&f);
}

TEST(resources_are_free_between_attempts) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 1}});
    rr_options options = {
        .max_retries = 1, .retry_delay_ms = 60000, .num_cpus = 2, .resources = {{"gpu", 1}}};
    rr_ref r = rr_call_with(options, resources_fails, 9);
    CHECK(why_says(r, "attempt") && settles("gpu", 1) && settles("cpu", 2));
    rr_ref other = rr_call_with(options, resources_quick, AT(&d), 1);
    all_end_well(&other, 1);
    CHECK(rr_cancel(r) == RR_OK && outcome(r) == RR_ERR_CANCELLED);
    rr_release(r);
    stop(&f);
}

REMOTE_FN(int, resources_flaky, uint64_t, at, int, failures) {
    desk *d = desk_at(at);
    enter(d, 1);
    if (rr_attempt() < failures) rr_fail(5, "attempt %d", rr_attempt());
    leave(d, 1);
    return rr_attempt();
}
TEST(retries_wait_for_their_resources_again) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 3, .resources = {{"gpu", 1}});
    rr_ref refs[30];
    for (int i = 0; i < 30; i++) {
        rr_options options = gpu(0.6);
        options.max_retries = 10, options.retry_delay_ms = i % 3;
        refs[i] = rr_call_with(options, resources_flaky, AT(&d), i % 3 ? 3 : 10);
    }
    all_end_well(refs, 30);
    CHECK(d.most == 1 && d.begun == 10 * 11 + 20 * 4);
    stop(&f);
}
TEST(retry_whose_resources_are_gone) {
    fixture f;
    desk d = {.begun = 0}, flaky = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 1}});
    rr_options options = gpu(1);
    options.max_retries = 1, options.retry_delay_ms = 20;
    rr_ref r = rr_call_with(options, resources_flaky, AT(&flaky), 1);
    CHECK(becomes(&flaky.ended, 1));
    rr_ref held = hold(&d, gpu(1)); /* most likely between the two */
    CHECK(rr_ready(r) || why_says(r, "gpu"));
    d.open = true;
    all_end_well(&r, 1), all_end_well(&held, 1);
    CHECK(flaky.begun == 2);
    stop(&f);
}

TEST(failed_argument_takes_no_resources) {
    fixture f;
    desk d = {.begun = 0}, other = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 1}});
    void *room = NULL;
    rr_ref gate = rr_create(3, &room), held = hold(&d, gpu(1));
    rr_ref bad = rr_call(resources_fails, 9);
    rr_ref refs[3] = {rr_call_with(gpu(1), resources_quick, AT(&other), bad),
                      rr_call_with(gpu(1), resources_size, AT(&other), gate),
                      rr_call_with(gpu(1), resources_quick, AT(&other), (rr_ref){0})};
    CHECK(outcome(refs[0]) == RR_ERR_TASK && outcome(refs[2]) == RR_ERR_STALE);
    d.open = true;
    all_end_well(&held, 1);
    CHECK(settles("gpu", 1)); /* a missing argument takes none either */
    CHECK(rr_seal(gate) == RR_OK && outcome(refs[1]) == RR_OK && other.runs == 1);
    for (int i = 0; i < 3; i++) rr_release(refs[i]);
    rr_release(gate), rr_release(bad);
    stop(&f);
}

/* ---- CPUs ---- */

TEST(two_cpus_take_two_workers) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 3);
    rr_ref refs[13] = {hold(&d, cpus(2)), hold(&d, cpus(1))};
    CHECK(settles("cpu", 0));
    for (int i = 2; i < 13; i++)
        refs[i] = rr_call_with(cpus(i % 3), resources_quick, AT(&d), i); /* 0 is 1 */
    rr_ref any = refs[3];
    CHECK(rr_wait(&any, 1, 1, 20, NULL) == 0 && d.begun == 2);
    d.open = true;
    all_end_well(refs, 13);
    stop(&f);
}
TEST(half_cpus_share_a_worker) {
    fixture f;
    desk d = {.begun = 0}, other = {.begun = 0};
    START(&f, .workers = 1);
    rr_ref refs[4] = {hold(&d, cpus(0.5)), hold(&d, cpus(0.25)), hold(&d, cpus(0.25))};
    CHECK(settles("cpu", 0));
    refs[3] = rr_call(resources_quick, AT(&other), 1);
    CHECK(rr_wait(&refs[3], 1, 1, 20, NULL) == 0);
    d.open = true;
    all_end_well(refs, 4);
    stop(&f);
}

TEST(half_cpus_wait_for_plain_work) {
    fixture f;
    desk d = {.begun = 0}, plain = {.begun = 0};
    START(&f, .workers = 1);
    rr_ref held = hold(&plain, urgent(0)), refs[3];
    for (int i = 0; i < 3; i++) refs[i] = rr_call_with(cpus(0.25), resources_quick, AT(&d), i);
    CHECK(rr_wait(refs, 3, 1, 20, NULL) == 0 && d.begun == 0);
    plain.open = true;
    all_end_well(refs, 3), all_end_well(&held, 1);
    stop(&f);
}

/* Adds what it takes, in ten-thousandths. */
REMOTE_FN(int, resources_weighs, uint64_t, at, int, weight) {
    enter(desk_at(at), weight);
    nap();
    leave(desk_at(at), weight);
    return weight;
}
static void weigh(bool whole, int max_threads) {
    enum { COUNT = 200 };
    fixture f;
    desk d = {.begun = 0};
    uint64_t random = test_seed;
    START(&f, .workers = 3, .max_threads = max_threads);
    rr_ref refs[COUNT];
    for (int i = 0; i < COUNT; i++) {
        int weight = 1 + (int)test_below(&random, i % 2 ? 30000 : 5000);
        if (whole) weight = 10000 * (1 + weight / 10001);
        refs[i] = i % 5 == 0 ? rr_call(resources_weighs, AT(&d), 10000)
                             : rr_call_with(cpus(weight / 1e4), resources_weighs, AT(&d), weight);
    }
    all_end_well(refs, COUNT);
    bool has_threads = max_threads == 0; /* else each begins with the role of a worker */
    if (!CHECK(d.most <= 30000 || !has_threads)) fprintf(stderr, "%d in use\n", d.most);
    stop(&f);
}
TEST(whole_cpus_in_use_are_never_more_than_workers) { weigh(true, 0); }
TEST(parts_of_cpus_in_use_are_never_more_than_workers) { weigh(false, 0); }
TEST(whole_cpus_are_had_without_further_threads) { weigh(true, 3); }
TEST(parts_of_cpus_are_had_without_further_threads) { weigh(false, 3); }

typedef enum way { GET, GET_LIMIT, WAIT_ALL, WAIT_ANY, WAIT_LIMIT, BLOCK, WAYS } way;
static void wait_for(way way, rr_ref r) {
    int v = 0;
    switch (way) {
    case GET:
        CHECK(rr_get(int, r, &v) == RR_OK);
        break;
    case GET_LIMIT:
        CHECK(rr_get_timeout(int, r, &v, 20000) == RR_OK);
        break;
    case WAIT_ALL:
        CHECK(rr_wait(&r, 1, 1, -1, NULL) == 1);
        break;
    case WAIT_ANY:
        CHECK(rr_wait((rr_ref[]){r, r}, 2, 1, -1, NULL) == 1);
        break;
    case WAIT_LIMIT:
        CHECK(rr_wait(&r, 1, 1, 20000, NULL) == 1);
        break;
    default:
        rr_block_begin();
        for (int i = 0; !rr_ready(r) && i < 20000; i++) nap();
        rr_block_end();
        CHECK(rr_ready(r));
    }
}
/* Takes all CPUs, and calls what takes all CPUs. */
REMOTE_FN(int, resources_nested, uint64_t, at, int, way, int, depth, double, amount) {
    desk *d = desk_at(at);
    enter(d, 1);
    if (depth > 0) {
        rr_ref r = rr_call_with(cpus(amount), resources_nested, at, way, depth - 1, amount);
        d->inside--;
        wait_for((enum way)way, r);
        use(d, 1); /* and has its CPUs again */
    }
    leave(d, 1);
    return depth;
}
/* Several of them: who comes back from a wait may be one too many for a while. */
static void nested(int count, bool outside) {
    for (int workers = 1; workers <= 2; workers++)
        for (int way = 0; way < WAYS; way++) {
            fixture f;
            desk d = {.begun = 0};
            START(&f, .workers = workers);
            rr_ref refs[3];
            for (int i = 0; i < count; i++)
                refs[i] =
                    rr_call_with(cpus(workers), resources_nested, AT(&d), way, 4, (double)workers);
            for (int i = 0; i < count && outside; i++) wait_for(WAIT_ALL, refs[i]);
            all_end_well(refs, count);
            if (!CHECK(d.begun == 5 * count && (count > 1 || d.most == 1)))
                fprintf(stderr, "way %d: %d ran, %d at once\n", way, d.begun, d.most);
            stop(&f);
        }
}
TEST(blocked_task_lends_its_cpus) { nested(1, false); }
TEST(blocked_tasks_lend_their_cpus) { nested(3, false); }
TEST(blocked_task_lends_its_cpus_on_a_thread_from_outside) { nested(3, true); }

TEST(helper_from_outside_runs_a_task_of_all_cpus) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 2);
    for (int i = 0; i < 300; i++) {
        rr_ref r = rr_call_with(cpus(2), resources_nested, AT(&d), GET, 1, 2.0);
        CHECK(rr_get_void(r) == RR_OK);
        rr_release(r);
    }
    stop(&f);
}

/* Waits for a gate with what it has. */
REMOTE_FN(int, resources_waits, uint64_t, at, rr_ref, gate) {
    desk *d = desk_at(at);
    enter(d, 1);
    rr_bytes view;
    CHECK(rr_get(rr_bytes, gate, &view) == RR_OK);
    leave(d, 1);
    return 1;
}
TEST(blocked_task_keeps_its_named_resources) {
    fixture f;
    desk d = {.begun = 0}, other = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 1}});
    void *room = NULL;
    rr_options both = {.num_cpus = 2, .resources = {{"gpu", 1}}};
    rr_ref gate = rr_create(1, &room), refs[3];
    refs[0] = rr_call_with(both, resources_waits, AT(&d), gate);
    CHECK(becomes(&d.begun, 1) && settles("cpu", 2) && available("gpu") == 0);
    refs[1] = rr_call_with(gpu(1), resources_quick, AT(&d), 1);
    refs[2] = rr_call_with(cpus(2), resources_quick, AT(&other), 1);
    all_end_well(&refs[2], 1); /* has the CPUs */
    CHECK(!rr_ready(refs[1]) && d.begun == 1);
    CHECK(rr_seal(gate) == RR_OK);
    all_end_well(refs, 2);
    CHECK(d.most == 1);
    rr_release(gate);
    stop(&f);
}

/* Waits for a gate and then goes on. */
REMOTE_FN(int, resources_waits_and_holds, uint64_t, at, rr_ref, gate, uint64_t, holds) {
    resources_waits(at, gate);
    return resources_hold(holds);
}
TEST(blocked_task_takes_no_more_cpus_back_than_it_had) {
    for (int parts = 0; parts < 2; parts++) {
        fixture f;
        desk d = {.begun = 0}, back = {.begun = 0}, other = {.begun = 0};
        START(&f, .workers = 3 - parts);
        void *room = NULL;
        rr_ref gate = rr_create(1, &room), refs[2];
        rr_options options = cpus(parts ? 0.5 : 2);
        refs[0] = rr_call_with(options, resources_waits_and_holds, AT(&d), gate, AT(&back));
        CHECK(becomes(&d.begun, 1) && settles("cpu", 3 - parts));
        CHECK(rr_seal(gate) == RR_OK);
        CHECK(becomes(&back.begun, 1) && settles("cpu", parts ? 1.5 : 1));
        refs[1] = rr_call(resources_quick, AT(&other), 1);
        CHECK(outcome(refs[1]) == RR_OK); /* the third worker's */
        back.open = true;
        all_end_well(refs, 2);
        rr_release(gate);
        stop(&f);
    }
}
/* After its wait it goes on at once, and others have to wait until there is room again: from when
   the workers have handed in their roles. */
static bool roles_are_handed_in(rr_runtime *rt, int64_t wanted) {
    int64_t pot = -1;
    for (int i = 0; pot != wanted && i < 10000; i++) {
        if (i) nap();
        rr__lock(&rt->resources->lock);
        pot = rt->resources->pot;
        rr__unlock(&rt->resources->lock);
    }
    return pot == wanted;
}
TEST(blocked_task_takes_its_cpus_back) {
    fixture f;
    desk d = {.begun = 0}, back = {.begun = 0}, other = {.begun = 0};
    START(&f, .workers = 2);
    void *room = NULL;
    rr_ref gate = rr_create(1, &room), refs[4];
    refs[0] = rr_call_with(cpus(2), resources_waits_and_holds, AT(&d), gate, AT(&back));
    CHECK(becomes(&d.begun, 1) && settles("cpu", 2));
    CHECK(rr_seal(gate) == RR_OK);
    CHECK(becomes(&back.begun, 1) && roles_are_handed_in(f.runtime, 2));
    refs[1] = rr_call_with(cpus(1.5), resources_quick, AT(&other), 1);
    refs[2] = rr_call_with(cpus(0.5), resources_quick, AT(&other), 1);
    refs[3] = rr_call(resources_quick, AT(&other), 1);
    CHECK(rr_wait(&refs[1], 3, 1, 20, NULL) == 0 && available("cpu") <= 0);
    back.open = true;
    all_end_well(refs, 4);
    rr_release(gate);
    stop(&f);
}

/* ---- actors ---- */

typedef struct Device {
    uint64_t at;
} Device;
REMOTE_ACTOR(Device, create, uint64_t, at, int, code) {
    self->at = at;
    enter(desk_at(at), 1);
    if (code) leave(desk_at(at), 1), rr_fail(code, "no device");
}
REMOTE_DESTRUCTOR(Device) { leave(desk_at(self->at), 1); }
REMOTE_METHOD(int, Device, add, int, v) {
    desk_at(self->at)->runs++;
    return v + 1;
}
REMOTE_METHOD(int, Device, call, uint64_t, at) {
    (void)self;
    return rr_unwrap(int, rr_call(resources_quick, at, 3));
}
REMOTE_METHOD(int, Device, leave, int, v) {
    (void)self;
    rr_exit_actor();
    return v;
}
REMOTE_METHOD(int, Device, crash, int, v) {
    (void)self;
    rr_crash_actor("broken");
    return v;
}
static rr_actor_options actor_gpu(double amount) {
    return RR_ACTOR_OPTIONS(.resources = {{"gpu", amount}});
}
static rr_actor device(desk *d, double gpus) {
    return rr_spawn_with(actor_gpu(gpus), Device_create, AT(d), 0);
}

TEST(actor_holds_its_resources_for_life) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 2}});
    rr_actor a = device(&d, 1), b = device(&d, 1), c = device(&d, 1);
    rr_ref asked = rr_ask(b, Device_add, 1), waits = rr_ask(c, Device_add, 1);
    rr_ref task = rr_call_with(gpu(1), resources_quick, AT(&d), 1);
    CHECK(outcome(asked) == RR_OK && becomes(&d.begun, 2) && available("gpu") == 0);
    CHECK(why_says(waits, "gpu") && why_says(task, "gpu") && d.begun == 2);
    rr_release(a);
    CHECK(outcome(waits) == RR_OK && d.ended == 1);
    CHECK(rr_kill(c) == RR_OK);
    all_end_well(&task, 1), all_end_well(&waits, 1), all_end_well(&asked, 1);
    rr_release(b), rr_release(c);
    CHECK(actors_settle_at(0) && d.most == 2);
    stop(&f);
}

TEST(actor_gives_back_when_it_leaves_or_was_never_born) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 1}});
    for (int i = 0; i < 20; i++) {
        rr_actor a = rr_spawn_with(actor_gpu(1), Device_create, AT(&d), i % 2);
        rr_ref r = rr_ask(a, Device_leave, 5),
               next = rr_call_with(gpu(1), resources_quick, AT(&d), 1);
        CHECK(outcome(r) == (i % 2 ? RR_ERR_ACTOR_DEAD : RR_OK) && outcome(next) == RR_OK);
        rr_release(r), rr_release(next), rr_release(a);
    }
    CHECK(d.most == 1);
    stop(&f);
}

TEST(actor_keeps_its_resources_through_restarts) {
    fixture f;
    desk d = {.begun = 0}, other = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 1}});
    rr_actor_options options = actor_gpu(1);
    options.max_restarts = 3;
    rr_actor a = rr_spawn_with(options, Device_create, AT(&d), 0);
    rr_ref next = rr_call_with(gpu(1), resources_quick, AT(&other), 1), refs[4];
    for (int i = 0; i < 4; i++) refs[i] = rr_ask(a, Device_crash, i);
    for (int i = 0; i < 4; i++) CHECK(outcome(refs[i]) == RR_ERR_ACTOR_CRASHED);
    all_end_well(&next, 1); /* once it has ended, and not between two lives */
    CHECK(d.begun == 4 && d.ended == 4 && d.most == 1);
    for (int i = 0; i < 4; i++) rr_release(refs[i]);
    options.restart_delay_ms = 60000;
    rr_actor b = rr_spawn_with(options, Device_create, AT(&d), 0);
    refs[0] = rr_ask(b, Device_crash, 1), refs[1] = rr_ask(b, Device_add, 1);
    CHECK(outcome(refs[0]) == RR_ERR_ACTOR_CRASHED && available("gpu") == 0);
    CHECK(rr_kill(b) == RR_OK); /* between two lives */
    CHECK(outcome(refs[1]) == RR_ERR_ACTOR_DEAD && settles("gpu", 1));
    rr_release(refs[0]), rr_release(refs[1]), rr_release(a), rr_release(b);
    stop(&f);
}

TEST(actor_is_killed_while_it_waits_for_resources) {
    fixture f;
    desk d = {.begun = 0}, other = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 1}});
    rr_ref held = hold(&d, gpu(1)), refs[2];
    rr_actor a = device(&other, 1), b = device(&other, 1);
    refs[0] = rr_ask(a, Device_add, 1), refs[1] = rr_ask(b, Device_add, 1);
    CHECK(why_says(refs[0], "gpu"));
    CHECK(rr_kill(a) == RR_OK);
    CHECK(outcome(refs[0]) == RR_ERR_ACTOR_DEAD && other.begun == 0 && !d.open);
    CHECK(actors_settle_at(1)); /* it ends although nothing was free */
    d.open = true;
    CHECK(outcome(refs[1]) == RR_OK && other.begun == 1);
    all_end_well(&held, 1);
    rr_release(refs[0]), rr_release(refs[1]), rr_release(a), rr_release(b);
    CHECK(actors_settle_at(0) && other.ended == 1);
    stop(&f);
}

TEST(actor_without_handles_waits_for_resources) {
    fixture f;
    desk d = {.begun = 0}, other = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 1}});
    rr_ref held = hold(&d, gpu(1));
    rr_actor a = device(&other, 1);
    CHECK(rr_tell(a, Device_add, 1) == RR_OK);
    rr_release(a);
    pool_catches_up();
    CHECK(other.begun == 0);
    d.open = true;
    all_end_well(&held, 1);
    CHECK(actors_settle_at(0) && other.runs == 1 && other.ended == 1);
    stop(&f);
}

TEST(nothing_is_kept_for_one_that_waits_for_the_end_of_an_actor) {
    fixture f;
    desk d = {.begun = 0}, other = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 1}, {"tpu", 1}});
    rr_options both = {.num_cpus = 2, .resources = {{"gpu", 1}, {"tpu", 1}}};
    rr_actor a = device(&d, 1);
    CHECK(becomes(&d.begun, 1));
    rr_ref large = rr_call_with(both, resources_quick, AT(&d), 1);
    for (int i = 0; i < 200; i++) {
        rr_ref r = rr_call_with(i % 2 ? cpus(0.5) : tpu(1), resources_quick, AT(&other), i);
        all_end_well(&r, 1);
    }
    rr_release(a);
    all_end_well(&large, 1);
    stop(&f);
}

TEST(actor_that_needs_what_is_not_there) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 1}});
    rr_actor_options bad[5] = {actor_gpu(2),
                               {.resources = {{"tpu", 1}}},
                               {.num_cpus = 3},
                               actor_gpu(-1),
                               {.num_cpus = NAN}};
    static const char *const word[5] = {"gpu", "tpu", "cpu", "gpu", "cpu"};
    for (int i = 0; i < 5; i++) {
        rr_actor a = rr_spawn_with(bad[i], Device_create, AT(&d), 0);
        rr_ref r = rr_ask(a, Device_add, 1);
        rr_status why = i < 3 ? RR_ERR_UNSCHEDULABLE : RR_ERR_INVALID;
        CHECK(rr_ready(r) && outcome(r) == why && message_has(r, word[i]));
        CHECK(rr_tell(a, Device_add, 1) == why);
        CHECK(rr_kill(a) == RR_ERR_ACTOR_DEAD);
        rr_release(r), rr_release(a);
    }
    CHECK(d.begun == 0);
    stop(&f);
}

TEST(actor_of_all_cpus_can_work_and_call) {
    fixture f;
    desk d = {.begun = 0}, other = {.begun = 0};
    START(&f, .workers = 2);
    rr_actor a = rr_spawn_with(RR_ACTOR_OPTIONS(.num_cpus = 2), Device_create, AT(&d), 0);
    rr_ref refs[2] = {rr_ask(a, Device_add, 1), rr_ask(a, Device_call, AT(&other))};
    CHECK(outcome(refs[0]) == RR_OK);
    CHECK(outcome(refs[1]) == RR_OK); /* while it waits its CPUs are lent */
    rr_ref task = rr_call_with(cpus(2), resources_quick, AT(&other), 1);
    CHECK(rr_wait(&task, 1, 1, 20, NULL) == 0);
    CHECK(rr_kill(a) == RR_OK);
    all_end_well(&task, 1), all_end_well(refs, 2);
    rr_release(a);
    stop(&f);
}

/* ---- ends of the runtime ---- */

TEST(shutdown_while_tasks_wait_for_what_idle_actors_hold) {
    for (int kept = 0; kept < 2; kept++) {
        fixture f;
        desk d = {.begun = 0}, other = {.begun = 0};
        START(&f, .workers = 2, .resources = {{"gpu", 2}});
        rr_actor a = device(&d, 2), b = device(&other, 1);
        CHECK(becomes(&d.begun, 1) && rr_tell(b, Device_add, 1) == RR_OK);
        for (int i = 0; i < 10; i++) rr_call_with(gpu(i % 2 + 1), resources_quick, AT(&other), i);
        rr_options options = gpu(1);
        options.timeout_ms = 600000, options.max_retries = 3;
        rr_call_with(options, resources_quick, AT(&other), 1);
        if (!kept) rr_release(b);
        double start = rr_now();
        fixture_stop(&f);
        CHECK(rr_now() - start < 60 && d.ended == 1 && other.runs <= 12);
        CHECK(other.begun == other.ended);
        (void)a;
    }
}

TEST(shutdown_lets_what_waits_for_resources_finish) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 2, .resources = {{"gpu", 1}});
    for (int i = 0; i < 100; i++) rr_call_with(gpu(i % 2 ? 1 : 0.3), resources_quick, AT(&d), i);
    fixture_stop(&f);
    CHECK(d.runs == 100);
}

/* ---- names ---- */

REMOTE_FN(int, resources_fails_with, rr_bytes, b) {
    rr_fail(5, "%d bytes are too few", (int)b.size);
    return 0;
}
TEST(name_of_a_task_is_what_messages_tell) {
    fixture f;
    char name[32] = "report of 50%s off";
    START(&f, .workers = 1);
    void *room = NULL;
    rr_ref gate = rr_create(3, &room);
    rr_ref r = rr_call_with(RR_OPTIONS(.name = name), resources_fails_with, gate);
    desk d = {.begun = 0};
    rr_ref next = rr_call_with(RR_OPTIONS(.name = "next"), resources_quick, AT(&d), r);
    memset(name, 'x', sizeof name - 1);
    CHECK(why_says(r, "'report of 50%s off' waits") && why_says(next, "'report of 50%s off'"));
    CHECK(why_says(next, "'next'"));
    CHECK(rr_seal(gate) == RR_OK && outcome(next) == RR_ERR_TASK);
    CHECK(message_has(r, "'report of 50%s off'") && message_has(r, "3 bytes are too few"));
    CHECK(!strstr(rr_error_message(r), "resources_fails_with"));
    CHECK(message_has(next, "'next' failed: its argument 2 'report of 50%s off' failed"));
    rr_release(gate), rr_release(r), rr_release(next);
    stop(&f);
}

TEST(name_of_a_task_however_it_ends) {
    fixture f;
    desk d = {.begun = 0}, other = {.begun = 0};
    char name[2000];
    memset(name, 'n', sizeof name), memcpy(name, "long one", 8), name[sizeof name - 1] = 0;
    START(&f, .workers = 1);
    rr_ref held = hold(&d, urgent(0)), refs[5];
    rr_options late = {.name = "late one", .timeout_ms = 10}, negative = {.name = "bad one"};
    negative.num_cpus = -1;
    refs[0] = rr_call_with(RR_OPTIONS(.name = "doomed"), resources_quick, AT(&other), 1);
    refs[1] = rr_call_with(late, resources_quick, AT(&other), 1);
    refs[2] =
        rr_call_with(RR_OPTIONS(.name = "too much", .num_cpus = 2), resources_quick, AT(&other), 1);
    refs[3] = rr_call_with(negative, resources_quick, AT(&other), 1);
    refs[4] = rr_call_with(RR_OPTIONS(.name = name), resources_fails, 9);
    CHECK(rr_cancel(refs[0]) == RR_OK && message_has(refs[0], "'doomed'"));
    CHECK(outcome(refs[1]) == RR_ERR_TIMEOUT && message_has(refs[1], "'late one'"));
    CHECK(outcome(refs[2]) == RR_ERR_UNSCHEDULABLE && message_has(refs[2], "'too much'"));
    CHECK(outcome(refs[3]) == RR_ERR_INVALID && message_has(refs[3], "'bad one'"));
    d.open = true;
    CHECK(outcome(refs[4]) == RR_ERR_TASK && message_has(refs[4], "long one"));
    for (int i = 0; i < 5; i++) rr_release(refs[i]);
    all_end_well(&held, 1);
    stop(&f);
}

/* ---- why ---- */

TEST(why_names_the_resource_that_is_missing) {
    fixture f;
    desk d = {.begun = 0};
    char text[500];
    START(&f, .workers = 2, .resources = {{"gpu", 1}, {"tpu", 1}});
    rr_options both = {.name = "both", .resources = {{"tpu", 1}, {"gpu", 0.75}}};
    rr_ref held = hold(&d, gpu(0.5)), refs[4];
    refs[0] = rr_call_with(both, resources_quick, AT(&d), 1);
    refs[1] = rr_call(resources_quick, AT(&d), refs[0]);
    refs[2] = rr_call_with(cpus(2), resources_quick, AT(&d), 1);
    CHECK(why_says(refs[0], "'both'") && why_says(refs[0], "gpu") && why_says(refs[1], "gpu"));
    CHECK(rr_why(refs[0], text, sizeof text) == RR_OK && !strstr(text, "tpu"));
    CHECK(why_says(refs[0], "0.75") && why_says(refs[0], "0.5"));
    CHECK(why_says(refs[2], "cpu"));
    d.open = true;
    all_end_well(&held, 1), all_end_well(refs, 3);
    stop(&f);
}

TEST(why_tells_that_it_is_queued_with_a_priority) {
    fixture f;
    desk d = {.begun = 0};
    START(&f, .workers = 1);
    rr_ref held = hold(&d, urgent(0)), refs[2];
    refs[0] = rr_call_with(urgent(-37), resources_quick, AT(&d), 1);
    refs[1] = rr_call_with(urgent(41), resources_quick, AT(&d), 1);
    CHECK(why_says(refs[0], "queued") && why_says(refs[0], "-37"));
    CHECK(why_says(refs[1], "queued") && why_says(refs[1], "41"));
    CHECK(why_says(held, "runs"));
    d.open = true;
    all_end_well(&held, 1), all_end_well(refs, 2);
    stop(&f);
}

/* ---- the limit on pending work ---- */

TEST(max_pending_has_the_caller_run_tasks) {
    enum { COUNT = 1000, LIMIT = 8 };
    fixture f;
    desk d = {.begun = 0}, gate = {.begun = 0};
    START(&f, .workers = 1, .max_pending = LIMIT);
    rr_ref held = hold(&gate, urgent(0));
    static rr_ref refs[COUNT];
    for (int i = 0; i < COUNT; i++) {
        rr_options options = {.priority = i % 3 - 1, .timeout_ms = i % 4 ? 0 : 600000};
        refs[i] = rr_call_with(options, resources_quick, AT(&d), i);
        CHECK(i + 1 - d.runs <= LIMIT);
    }
    CHECK(d.runs >= COUNT - LIMIT && !gate.open);
    gate.open = true;
    all_end_well(refs, COUNT), all_end_well(&held, 1);
    stop(&f);
}

/* A caller on a thread of its own: calls 20, which need what is held. */
static void calls_twenty(void *data) {
    desk *d = data;
    for (int i = 0; i < 20; i++) {
        d->refs[i] = rr_call_with(gpu(1), resources_quick, AT(d), i);
        d->count++;
    }
    d->status = 1;
}
TEST(max_pending_has_the_caller_wait) {
    enum { LIMIT = 5 };
    fixture f;
    desk d = {.begun = 0}, gate = {.begun = 0};
    outside caller;
    START(&f, .workers = 2, .max_pending = LIMIT, .resources = {{"gpu", 1}});
    rr_ref held = hold(&gate, gpu(1));
    outside_start(&caller, f.runtime, calls_twenty, &d);
    CHECK(becomes(&d.count, LIMIT));
    rr_sleep_ms(5);
    CHECK(d.count == LIMIT);
    for (int i = 0; i < 3; i++) { /* what is cancelled makes room */
        CHECK(rr_cancel(d.refs[i]) == RR_OK && becomes(&d.count, LIMIT + 1 + i));
        rr_sleep_ms(1);
        CHECK(d.count == LIMIT + 1 + i);
    }
    gate.open = true;
    outside_join(&caller);
    for (int i = 0; i < 20; i++)
        CHECK(outcome(d.refs[i]) == (i < 3 ? RR_ERR_CANCELLED : RR_OK)), rr_release(d.refs[i]);
    all_end_well(&held, 1);
    CHECK(d.runs == 17);
    stop(&f);
}

/* What is pending waits for something that the caller makes only later. */
typedef enum lack { A_VALUE, A_VALUE_THAT_A_BODY_AWAITS, AN_ACTOR_S_RESOURCES, LACKS } lack;
TEST(max_pending_lets_through_when_only_the_caller_could_make_room) {
    enum { COUNT = 50, LIMIT = 4 };
    for (int lack = 0; lack < LACKS; lack++) {
        fixture f;
        desk d = {.begun = 0}, other = {.begun = 0};
        START(&f, .workers = 2, .max_pending = LIMIT, .resources = {{"gpu", 1}});
        void *room = NULL;
        rr_ref gate = rr_create(1, &room), refs[COUNT], waits = {0};
        rr_actor a = {0};
        if (lack == A_VALUE_THAT_A_BODY_AWAITS) waits = rr_call(resources_waits, AT(&other), gate);
        if (lack == AN_ACTOR_S_RESOURCES) a = device(&other, 1);
        CHECK(lack == A_VALUE || becomes(&other.begun, 1));
        for (int i = 0; i < COUNT; i++) {
            if (lack == AN_ACTOR_S_RESOURCES)
                refs[i] = rr_call_with(gpu(1), resources_quick, AT(&d), i);
            else refs[i] = rr_call(resources_size, AT(&d), gate);
        }
        CHECK(d.runs == 0);
        CHECK(rr_seal(gate) == RR_OK);
        if (lack == AN_ACTOR_S_RESOURCES) rr_release(a);
        all_end_well(refs, COUNT);
        if (lack == A_VALUE_THAT_A_BODY_AWAITS) all_end_well(&waits, 1);
        rr_release(gate);
        stop(&f);
    }
}

REMOTE_FN(int, resources_fib, int, n) {
    if (n < 2) return n;
    int a = 0, b = 0;
    rr_ref x = rr_call(resources_fib, n - 1),
           y = rr_call_with(urgent(n % 3 - 1), resources_fib, n - 2);
    CHECK(rr_get(int, x, &a) == RR_OK && rr_get(int, y, &b) == RR_OK);
    return a + b;
}
/* Calls a lot before it makes what that waits for. */
REMOTE_FN(int, resources_calls_many, uint64_t, at) {
    rr_ref refs[60];
    void *room = NULL;
    rr_ref gate = rr_create(1, &room);
    for (int i = 0; i < 60; i++) {
        if (i % 2) refs[i] = rr_call(resources_size, at, gate);
        else refs[i] = rr_call_with(gpu(1), resources_quick, at, i);
    }
    CHECK(rr_seal(gate) == RR_OK);
    return rr_wait(refs, 60, 60, -1, NULL) == 60;
}
TEST(max_pending_lets_bodies_through) {
    for (int workers = 1; workers <= 3; workers++) {
        fixture f;
        desk d = {.begun = 0};
        int v = 0;
        START(&f, .workers = workers, .max_pending = 2, .resources = {{"gpu", 1}});
        rr_ref fib = rr_call(resources_fib, 12), refs[3];
        CHECK(outcome(fib) == RR_OK && rr_get(int, fib, &v) == RR_OK && v == 144);
        for (int i = 0; i < 3; i++) refs[i] = rr_call(resources_calls_many, AT(&d));
        all_end_well(refs, 3);
        CHECK(d.runs == 180);
        rr_release(fib);
        stop(&f);
    }
}

TEST_ALONE(environment_gives_max_pending) {
    desk d = {.begun = 0}, gate = {.begun = 0};
    rr_ref refs[50];
    setenv("RUSTYRAY_MAX_PENDING", "6", 1);
    CHECK(rr_init(&(rr_config){.workers = 1}) == RR_OK);
    rr_ref held = hold(&gate, urgent(0));
    for (int i = 0; i < 50; i++) {
        refs[i] = rr_call(resources_quick, AT(&d), i);
        CHECK(i + 1 - d.runs <= 6);
    }
    gate.open = true;
    all_end_well(refs, 50), all_end_well(&held, 1);
    CHECK(rr_shutdown() == RR_OK);
    unsetenv("RUSTYRAY_MAX_PENDING");
}

int main(int argc, char **argv) { return test_main(argc, argv); }
