// tbb: the workloads with oneTBB: task_group, a flow graph for the chain and the wavefront, and the
// wavefront once more by hand, with a counter for each cell.
#include "../bench.h"
#include "../work.h"
#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>
#include <vector>

using tbb::task_group;
namespace flow = tbb::flow;

static double per_us;

static double empty(void *) {
    const long total = bench_amount(1000000), round = 1000;
    std::vector<long> results(round);
    double start = bench_now();
    for (long done = 0; done < total; done += round) {
        task_group group;
        long sum = 0;
        for (long i = 0; i < round; i++) group.run([out = &results[i], i] { *out = i; });
        group.wait();
        for (long r : results) sum += r;
        BENCH_CHECK(sum == round * (round - 1) / 2);
    }
    return (bench_now() - start) / double(total);
}

// With a future for each call, as the reference that we return.
static double empty_future(void *) {
    const long total = bench_amount(500000), round = 1000;
    std::vector<std::future<long>> results(round);
    double start = bench_now();
    for (long done = 0; done < total; done += round) {
        task_group group;
        long sum = 0;
        for (long i = 0; i < round; i++) {
            auto promise = std::make_shared<std::promise<long>>();
            results[i] = promise->get_future();
            group.run([promise, i] { promise->set_value(i); });
        }
        group.wait();
        for (auto &r : results) sum += r.get();
        BENCH_CHECK(sum == round * (round - 1) / 2);
    }
    return (bench_now() - start) / double(total);
}

struct body {
    double us;
    long n;
};

static double efficiency(void *context) {
    body b = *static_cast<body *>(context);
    long iterations = long(b.us * per_us);
    std::vector<uint64_t> results(b.n);
    uint64_t expected = bench_spin(iterations);
    task_group group;
    double start = bench_now();
    for (auto &out : results) group.run([&out, iterations] { out = bench_spin(iterations); });
    group.wait();
    for (uint64_t r : results) BENCH_CHECK(r == expected);
    return 100 * b.us * 1e3 * double(b.n) / double(bench_cores()) / (bench_now() - start);
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
    BENCH_CHECK(fib(27) == 196418);
    return (bench_now() - start) / 832039;
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

static uint32_t wavefront_expected(long side) {
    std::vector<uint32_t> row(side, 1);
    for (long y = 0; y < side; y++)
        for (long x = 0; x < side; x++) row[x] += x ? row[x - 1] : 1;
    return row[side - 1];
}

static double wavefront(void *) {
    const long side = bench_amount(2) == 2 ? 1000 : 500, line = side + 1;
    std::vector<uint32_t> grid(line * line, 1);
    double start = bench_now();
    {
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
    }
    double time = bench_now() - start;
    BENCH_CHECK(grid[side * line + side] == wavefront_expected(side));
    return time / double(side * side);
}

struct hand {
    long side, line;
    std::vector<uint32_t> grid;
    std::vector<std::atomic<int>> missing;
    task_group group;
    explicit hand(long n) : side(n), line(n + 1), grid(line * line, 1), missing(line * line) {
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
    const long side = bench_amount(2) == 2 ? 1000 : 500;
    double start = bench_now();
    hand h(side);
    h.group.run_and_wait([&h] { h.cell(h.line + 1); });
    double time = bench_now() - start;
    BENCH_CHECK(h.grid[side * h.line + side] == wavefront_expected(side));
    return time / double(side * side);
}

static void nap() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

static double helping(void *cold) {
    if (cold) nap();
    long value = 0;
    double start = bench_now();
    task_group group;
    group.run([&value] { value = 42; });
    group.wait();
    double time = bench_now() - start;
    BENCH_CHECK(value == 42);
    return time;
}

static double across(void *cold) {
    static tbb::task_arena arena;
    if (cold) nap();
    double start = bench_now();
    std::promise<long> promise;
    std::future<long> future = promise.get_future();
    arena.enqueue([&promise] { promise.set_value(42); });
    long value = future.get();
    double time = bench_now() - start;
    BENCH_CHECK(value == 42);
    return time;
}

static void quicksort(int *v, long n) {
    if (n < SORT_CUT) return work_sort(v, n);
    long low = work_partition(v, n);
    task_group group;
    group.run([=] { quicksort(v, low); });
    group.run_and_wait([=] { quicksort(v + low, n - low); });
}

static double sort(void *) {
    const long n = bench_amount(10000000);
    std::vector<int> values(n);
    work_fill(values.data(), n);
    double start = bench_now();
    quicksort(values.data(), n);
    double time = bench_now() - start;
    BENCH_CHECK(work_is_sorted(values.data(), n));
    return time * 1e-6;
}

static long queens(int row, uint32_t columns, uint32_t left, uint32_t right) {
    if (row == QUEENS_CUT) return work_queens(row, columns, left, right);
    long parts[QUEENS], solutions = 0;
    int n = 0;
    task_group group;
    for (uint32_t free = ((1u << QUEENS) - 1) & ~(columns | left | right); free; free &= free - 1) {
        uint32_t bit = free & -free;
        long *part = &parts[n++];
        group.run([=] { *part = queens(row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1); });
    }
    group.wait();
    for (int i = 0; i < n; i++) solutions += parts[i];
    return solutions;
}

static double queens12(void *) {
    double start = bench_now();
    BENCH_CHECK(queens(0, 0, 0, 0) == QUEENS_SOLUTIONS);
    return (bench_now() - start) * 1e-6;
}

static double product(void *) {
    std::vector<double> a(MATRIX * MATRIX), b(a), c(a);
    work_matrices(a.data(), b.data(), c.data());
    task_group group;
    double start = bench_now();
    for (int row = 0; row < MATRIX; row += MATRIX_CUT)
        for (int column = 0; column < MATRIX; column += MATRIX_CUT)
            group.run([&, row, column] { work_product(c.data(), a.data(), b.data(), row, column); });
    group.wait();
    double time = bench_now() - start, sum = 0;
    for (int k = 0; k < MATRIX; k++) sum += a[k] * b[k * MATRIX];
    BENCH_CHECK(c[0] == sum);
    return time * 1e-6;
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

static double tree_build(void *) {
    static uint64_t expected = work_tree_sum(work_tree_build(TREE_SEED, TREE_SIZE));
    double start = bench_now();
    work_tree *root = tree(TREE_SEED, TREE_SIZE);
    double time = bench_now() - start;
    BENCH_CHECK(work_tree_sum(root) == expected);
    return time * 1e-6;
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    per_us = bench_spins_per_us();
    int cold = 1;
    body one = {1, bench_amount(100000)}, ten = {10, bench_amount(100000) / 10};
    if (bench_wants("w1")) {
        bench_run("W1", "empty", "ns", empty, nullptr);
        bench_run("W1", "empty-future", "ns", empty_future, nullptr);
        bench_run("W1", "1us", "%", efficiency, &one);
        bench_run("W1", "10us", "%", efficiency, &ten);
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
        bench_latency("W5", "across-hot", bench_amount(10000), across, nullptr);
        bench_latency("W5", "across-cold", bench_amount(200), across, &cold);
    }
    if (bench_wants("recursive")) {
        bench_run("recursive", "quicksort", "ms", sort, nullptr);
        bench_run("recursive", "queens", "ms", queens12, nullptr);
        bench_run("recursive", "product", "ms", product, nullptr);
        bench_run("recursive", "tree", "ms", tree_build, nullptr);
    }
}
