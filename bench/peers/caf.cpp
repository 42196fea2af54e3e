// caf: the actor workloads with the C++ Actor Framework (event-based actors, its own scheduler).
#include "../bench.h"
#include <caf/all.hpp>
#include <memory>
#include <vector>

using caf::actor;
using caf::behavior;
using caf::event_based_actor;
using add_atom = caf::atom_constant<caf::atom("add")>;
using arm_atom = caf::atom_constant<caf::atom("arm")>;
using meet_atom = caf::atom_constant<caf::atom("meet")>;
using value_atom = caf::atom_constant<caf::atom("value")>;

static caf::actor_system *the_system;

struct player_state {
    actor next, done;
};

static behavior player(caf::stateful_actor<player_state> *self) {
    return {[=](meet_atom, const actor &next) { self->state.next = next; },
            [=](arm_atom, const actor &done) { self->state.done = done; },
            [=](int64_t left) {
                if (left > 0) self->send(self->state.next, left - 1);
                else self->send(self->state.done, left);
            }};
}

struct ring {
    std::vector<actor> players;
    int64_t passes;
    ring(size_t size, long n) : passes(n / long(size) * long(size)) {
        for (size_t i = 0; i < size; i++) players.push_back(the_system->spawn(player));
        for (size_t i = 0; i < size; i++)
            caf::anon_send(players[i], meet_atom::value, players[(i + 1) % size]);
    }
    ~ring() {
        for (auto &p : players) caf::anon_send_exit(p, caf::exit_reason::kill);
    }
};

static double ring_run(void *context) {
    ring *r = static_cast<ring *>(context);
    caf::scoped_actor self{*the_system};
    double start = bench_now();
    self->send(r->players[0], arm_atom::value, caf::actor_cast<actor>(self));
    self->send(r->players[0], r->passes);
    self->receive([](int64_t left) { BENCH_CHECK(left == 0); });
    return (bench_now() - start) / double(r->passes);
}

static behavior sink(caf::stateful_actor<std::pair<int64_t, int64_t>> *self, actor done,
                     int64_t n) {
    self->state = {n, 0};
    return {[=](add_atom, int64_t value) {
        self->state.second += value;
        if (--self->state.first == 0) self->send(done, self->state.second);
    }};
}

static void sender(event_based_actor *self, actor sink, int64_t n) {
    for (int64_t i = 1; i <= n; i++) self->send(sink, add_atom::value, i);
}

static double fan_in(void *) {
    const int64_t each = bench_amount(100000);
    caf::scoped_actor self{*the_system};
    double start = bench_now();
    actor to = the_system->spawn(sink, caf::actor_cast<actor>(self), 4 * each);
    for (int i = 0; i < 4; i++) the_system->spawn(sender, to, each);
    self->receive([&](int64_t sum) { BENCH_CHECK(sum == 4 * each * (each + 1) / 2); });
    return (bench_now() - start) / double(4 * each);
}

static behavior cell(event_based_actor *, int64_t value) {
    return {[=](value_atom) { return value; }};
}

static double bytes_each;

static double create(void *) {
    const int64_t n = bench_amount(100) * 1000;
    std::vector<actor> actors(n);
    caf::scoped_actor self{*the_system};
    double before = bench_memory(), start = bench_now();
    for (int64_t done = 0; done < n; done += 1000) {
        int64_t sum = 0;
        for (int64_t i = 0; i < 1000; i++) {
            actors[done + i] = the_system->spawn(cell, i);
            self->send(actors[done + i], value_atom::value);
        }
        for (int i = 0; i < 1000; i++) self->receive([&](int64_t value) { sum += value; });
        BENCH_CHECK(sum == 499500);
    }
    double time = bench_now() - start;
    if (bytes_each == 0) bytes_each = (bench_memory() - before) / double(n);
    return time / double(n);
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    if (!bench_wants("w6")) return 0;
    caf::actor_system_config config;
    config.set("scheduler.max-threads", size_t(bench_cores()));
    caf::actor_system system{config};
    the_system = &system;
    bench_run("W6", "create", "ns", create, nullptr);
    bench_value("W6", "bytes", "B", bytes_each);
    {
        ring two(2, bench_amount(500000));
        bench_run("W6", "ping-pong", "ns", ring_run, &two);
    }
    {
        ring many(503, bench_amount(500000) + 503);
        bench_run("W6", "ring", "ns", ring_run, &many);
    }
    bench_run("W6", "fan-in", "ns", fan_in, nullptr);
}
