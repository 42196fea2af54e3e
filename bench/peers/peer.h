// peer.h - what the C++ peers share: the amounts of work, the clock around it, and the check of the
// result. A peer passes the part that it does in its own way.
#ifndef PEER_H
#define PEER_H
#include "../bench.h"
#include "../work.h"
#include <chrono>
#include <thread>
#include <vector>

enum { ROUND = 1000, FIB_N = 27, FIB = 196418, FIB_CALLS = 832039, CELLS = 1000000 };

static inline void peer_nap() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

// W1 with a body of some microseconds: spawn(results, iterations) stores the result of n spins.
struct peer_body {
    long iterations, n;
};

static inline peer_body peer_body_of(double us, long n) {
    static const double per_us = bench_spins_per_us();
    return {long(us * per_us), n};
}

template <class F> double peer_efficiency(const peer_body &body, F spawn) {
    std::vector<uint64_t> results(body.n);
    uint64_t expected = bench_spin(body.iterations);
    double ideal = bench_ideal(body.iterations, body.n), start = bench_now();
    spawn(results, body.iterations);
    for (uint64_t result : results) BENCH_CHECK(result == expected);
    return 100 * ideal / (bench_now() - start);
}

// W1, the three of them. empty: nanoseconds per call.
static inline void peer_w1(bench_fn empty, bench_fn efficiency, long n) {
    peer_body one = peer_body_of(1, n), ten = peer_body_of(10, n / 10);
    bench_run("W1", "empty", "ns", empty, nullptr);
    bench_run("W1", "1us", "%", efficiency, &one);
    bench_run("W1", "10us", "%", efficiency, &ten);
}

// W4: fill(grid, side) computes cell[y][x] = cell[y - 1][x] + cell[y][x - 1] in a grid that has a
// first row and a first column of ones.
template <class F> double peer_wavefront(F fill) {
    const long side = bench_side(CELLS), line = side + 1;
    std::vector<uint32_t> grid(line * line, 1), row(side, 1);
    double start = bench_now();
    fill(grid, side);
    double time = bench_now() - start;
    for (long y = 0; y < side; y++)
        for (long x = 0; x < side; x++) row[x] += x ? row[x - 1] : 1;
    BENCH_CHECK(grid[side * line + side] == row[side - 1]);
    return time / double(side * side);
}

// W5: call() returns 42 by a task.
template <class F> double peer_round_trip(void *cold, F call) {
    if (cold) peer_nap();
    double start = bench_now();
    long value = call();
    double time = bench_now() - start;
    BENCH_CHECK(value == 42);
    return time;
}

static inline void peer_across(bench_fn across, long samples) {
    int cold = 1;
    bench_latency("W5", "across-hot", samples, across, nullptr);
    bench_latency("W5", "across-cold", bench_amount(200), across, &cold);
}

// The recursive programs, in milliseconds.
template <class F> double peer_sort(F quicksort) {
    std::vector<int> values(bench_amount(10000000));
    work_fill(values.data(), long(values.size()));
    double start = bench_now();
    quicksort(values.data(), long(values.size()));
    double time = bench_now() - start;
    BENCH_CHECK(work_is_sorted(values.data(), long(values.size())));
    return time * 1e-6;
}

template <class F> double peer_queens(F queens) {
    double start = bench_now();
    BENCH_CHECK(queens(0, 0, 0, 0) == QUEENS_SOLUTIONS);
    return (bench_now() - start) * 1e-6;
}

// product(m) calls work_product for each block.
template <class F> double peer_product(F product) {
    alignas(CACHE_LINE) static work_matrices m;
    work_matrices_fill(&m);
    double start = bench_now();
    product(&m);
    double time = bench_now() - start;
    BENCH_CHECK(work_product_is_right(&m));
    return time * 1e-6;
}

template <class F> double peer_tree(F build) {
    static const uint64_t expected = work_tree_sum(work_tree_build(TREE_SEED, TREE_SIZE));
    double start = bench_now();
    work_tree *root = build(TREE_SEED, TREE_SIZE);
    double time = bench_now() - start;
    BENCH_CHECK(work_tree_sum(root) == expected);
    return time * 1e-6;
}

static inline void peer_recursive(bench_fn sort, bench_fn queens, bench_fn product, bench_fn tree) {
    bench_run("recursive", "quicksort", "ms", sort, nullptr);
    bench_run("recursive", "queens", "ms", queens, nullptr);
    bench_run("recursive", "product", "ms", product, nullptr);
    bench_run("recursive", "tree", "ms", tree, nullptr);
}
#endif
