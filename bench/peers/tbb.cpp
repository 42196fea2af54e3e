// tbb: the workloads with oneTBB: task_group, a flow graph for the chain and the wavefront, and the
// wavefront once more by hand, with a counter for each cell.
#include "peer.h"
#include <atomic>
#include <future>
#include <memory>
#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

using tbb::task_group;
namespace flow = tbb::flow;

static double empty(void *) {
    const long total = bench_amount(1000000);
    std::vector<long> results(ROUND);
    double start = bench_now();
    for (long done = 0; done < total; done += ROUND) {
        task_group group;
        long sum = 0;
        for (long i = 0; i < ROUND; i++) group.run([out = &results[i], i] { *out = i; });
        group.wait();
        for (long r : results) sum += r;
        BENCH_CHECK(sum == (long)ROUND * (ROUND - 1) / 2);
    }
    return (bench_now() - start) / double(total);
}

// With a future for each call, as the reference that we return.
static double empty_future(void *) {
    const long total = bench_amount(500000);
    std::vector<std::future<long>> results(ROUND);
    double start = bench_now();
    for (long done = 0; done < total; done += ROUND) {
        task_group group;
        long sum = 0;
        for (long i = 0; i < ROUND; i++) {
            auto promise = std::make_shared<std::promise<long>>();
            results[i] = promise->get_future();
            group.run([promise, i] { promise->set_value(i); });
        }
        group.wait();
        for (auto &r : results) sum += r.get();
        BENCH_CHECK(sum == (long)ROUND * (ROUND - 1) / 2);
    }
    return (bench_now() - start) / double(total);
}

static double efficiency(void *body) {
    auto spawn = [](std::vector<uint64_t> &results, long iterations) {
        task_group group;
        for (auto &out : results) group.run([&out, iterations] { out = bench_spin(iterations); });
        group.wait();
    };
    return peer_efficiency(*static_cast<peer_body *>(body), spawn);
}

static long fib(int n) {
    if (n < 2) return n;
    long a, b;
    task_group group;
    group.run([&a, n] { a = fib(n - 1); });
    group.run([&b, n] { b = fib(n - 2); });
    group.wait();
    return a + b;
}

static double fib27(void *) {
    double start = bench_now();
    BENCH_CHECK(fib(FIB_N) == FIB);
    return (bench_now() - start) / FIB_CALLS;
}

using node = flow::continue_node<flow::continue_msg>;

static double chain(void *) {
    const long n = bench_amount(200000);
    long value = 0;
    double start = bench_now();
    flow::graph graph;
    std::vector<std::unique_ptr<node>> links;
    links.reserve(n);
    for (long i = 0; i < n; i++) {
        links.push_back(std::make_unique<node>(graph, [&value](flow::continue_msg) { value++; }));
        if (i) flow::make_edge(*links[i - 1], *links[i]);
    }
    links[0]->try_put(flow::continue_msg());
    graph.wait_for_all();
    BENCH_CHECK(value == n);
    links.clear();
    return (bench_now() - start) / double(n);
}

static double wavefront(void *) {
    return peer_wavefront([](std::vector<uint32_t> &grid, long side) {
        const long line = side + 1;
        flow::graph graph;
        std::vector<std::unique_ptr<node>> cells(line * line);
        for (long y = 1; y <= side; y++)
            for (long x = 1; x <= side; x++) {
                long at = y * line + x;
                cells[at] = std::make_unique<node>(graph, [&grid, at, line](flow::continue_msg) {
                    grid[at] = grid[at - line] + grid[at - 1];
                });
                if (y > 1) flow::make_edge(*cells[at - line], *cells[at]);
                if (x > 1) flow::make_edge(*cells[at - 1], *cells[at]);
            }
        cells[line + 1]->try_put(flow::continue_msg());
        graph.wait_for_all();
    });
}

struct hand {
    long side, line;
    std::vector<uint32_t> &grid;
    std::vector<std::atomic<int>> missing;
    task_group group;
    hand(std::vector<uint32_t> &cells, long n)
        : side(n), line(n + 1), grid(cells), missing(line * line) {
        for (long y = 1; y <= n; y++)
            for (long x = 1; x <= n; x++) missing[y * line + x] = (y > 1) + (x > 1);
    }
    void cell(long at) { // runs one enabled neighbour at once, spawns the other
        for (long next; at; at = next) {
            long y = at / line, x = at % line;
            next = 0;
            grid[at] = grid[at - line] + grid[at - 1];
            if (x < side && missing[at + 1].fetch_sub(1) == 1) next = at + 1;
            if (y < side && missing[at + line].fetch_sub(1) == 1) {
                if (next) group.run([this, below = at + line] { cell(below); });
                else next = at + line;
            }
        }
    }
};

static double wavefront_hand(void *) {
    return peer_wavefront([](std::vector<uint32_t> &grid, long side) {
        hand h(grid, side);
        h.group.run_and_wait([&h] { h.cell(h.line + 1); });
    });
}

static double helping(void *cold) {
    return peer_round_trip(cold, [] {
        long value = 0;
        task_group group;
        group.run([&value] { value = 42; });
        group.wait();
        return value;
    });
}

static double across(void *cold) {
    static tbb::task_arena arena;
    return peer_round_trip(cold, [] {
        std::promise<long> promise;
        std::future<long> future = promise.get_future();
        arena.enqueue([&promise] { promise.set_value(42); });
        return future.get();
    });
}

static void quicksort(int *v, long n) {
    if (n < SORT_CUT) return work_sort(v, n);
    long low = work_partition(v, n);
    task_group group;
    group.run([=] { quicksort(v, low); });
    group.run_and_wait([=] { quicksort(v + low, n - low); });
}

static double sort(void *) { return peer_sort(quicksort); }

static long queens(int row, uint32_t columns, uint32_t left, uint32_t right) {
    if (row == QUEENS_CUT) return work_queens(row, columns, left, right);
    long parts[QUEENS], solutions = 0;
    int n = 0;
    task_group group;
    for (uint32_t free = ((1u << QUEENS) - 1) & ~(columns | left | right); free; free &= free - 1) {
        uint32_t bit = free & -free;
        long *part = &parts[n++];
        group.run(
            [=] { *part = queens(row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1); });
    }
    group.wait();
    for (int i = 0; i < n; i++) solutions += parts[i];
    return solutions;
}

static double queens_all(void *) { return peer_queens(queens); }

static double product(void *) {
    return peer_product([](work_matrices *m) {
        task_group group;
        for (int row = 0; row < MATRIX; row += MATRIX_CUT)
            for (int column = 0; column < MATRIX; column += MATRIX_CUT)
                group.run([m, row, column] { work_product(m, row, column); });
        group.wait();
    });
}

static work_tree *tree(uint64_t seed, long n) {
    if (n == 0) return nullptr;
    long left = work_tree_split(seed, n);
    work_tree *lower, *upper;
    task_group group;
    group.run([&lower, seed, left] { lower = tree(seed * 2 + 1, left); });
    group.run([&upper, seed, rest = n - 1 - left] { upper = tree(seed * 2 + 2, rest); });
    work_tree *root = work_tree_node(seed);
    group.wait();
    root->left = lower, root->right = upper;
    return root;
}

static double tree_build(void *) { return peer_tree(tree); }

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    int cold = 1;
    if (bench_wants("w1")) {
        peer_w1(empty, efficiency, bench_amount(100000));
        bench_run("W1", "empty-future", "ns", empty_future, nullptr);
    }
    if (bench_wants("w2")) bench_run("W2", "fib", "ns", fib27, nullptr);
    if (bench_wants("w3")) bench_run("W3", "chain", "ns", chain, nullptr);
    if (bench_wants("w4")) {
        bench_run("W4", "wavefront", "ns", wavefront, nullptr);
        bench_run("W4", "wavefront-by-hand", "ns", wavefront_hand, nullptr);
    }
    if (bench_wants("w5")) {
        bench_latency("W5", "helping-hot", bench_amount(20000), helping, nullptr);
        bench_latency("W5", "helping-cold", bench_amount(200), helping, &cold);
        peer_across(across, bench_amount(10000));
    }
    if (bench_wants("recursive")) peer_recursive(sort, queens_all, product, tree_build);
}
