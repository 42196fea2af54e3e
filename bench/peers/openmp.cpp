// openmp: the workloads as OpenMP tasks. Built with g++ (libgomp) and with clang++ (libomp).
// OpenMP has no futures: a task writes its result to a place, and who waits reads it.
#include "../bench.h"
#include "../work.h"
#include <omp.h>
#include <vector>

static double per_us;

static double empty(void *) {
    const long total = bench_amount(1000000), round = 1000;
    std::vector<long> results(round);
    double start = bench_now();
#pragma omp parallel
#pragma omp single
    for (long done = 0; done < total; done += round) {
        long sum = 0;
        for (long i = 0; i < round; i++) {
            long *out = &results[i];
#pragma omp task firstprivate(out, i)
            *out = i;
        }
#pragma omp taskwait
        for (long i = 0; i < round; i++) sum += results[i];
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
    double start = bench_now();
#pragma omp parallel
#pragma omp single
    for (long i = 0; i < b.n; i++) {
        uint64_t *out = &results[i];
#pragma omp task firstprivate(out, iterations)
        *out = bench_spin(iterations);
    }
    for (uint64_t r : results) BENCH_CHECK(r == expected);
    return 100 * b.us * 1e3 * double(b.n) / double(bench_cores()) / (bench_now() - start);
}

static long fib(int n) {
    if (n < 2) return n;
    long a, b;
#pragma omp task shared(a)
    a = fib(n - 1);
#pragma omp task shared(b)
    b = fib(n - 2);
#pragma omp taskwait
    return a + b;
}

static double fib27(void *) {
    long result;
    double start = bench_now();
#pragma omp parallel
#pragma omp single
    result = fib(27);
    BENCH_CHECK(result == 196418);
    return (bench_now() - start) / 832039;
}

static double chain(void *) {
    const long n = bench_amount(200000);
    long value = 0;
    double start = bench_now();
#pragma omp parallel
#pragma omp single
    for (long i = 0; i < n; i++) {
#pragma omp task shared(value) depend(inout : value)
        value++;
    }
    BENCH_CHECK(value == n);
    return (bench_now() - start) / double(n);
}

static double wavefront(void *) {
    const long side = bench_amount(2) == 2 ? 1000 : 500, line = side + 1;
    std::vector<uint32_t> grid(line * line, 1), expected(side, 1);
    uint32_t *g = grid.data();
    double start = bench_now();
#pragma omp parallel
#pragma omp single
    for (long y = 1; y <= side; y++)
        for (long x = 1; x <= side; x++) {
            uint32_t *cell = g + y * line + x;
#pragma omp task firstprivate(cell) depend(in : cell[-line], cell[-1]) depend(out : cell[0])
            cell[0] = cell[-line] + cell[-1];
        }
    double time = bench_now() - start;
    for (long y = 0; y < side; y++)
        for (long x = 0; x < side; x++) expected[x] += x ? expected[x - 1] : 1;
    BENCH_CHECK(g[side * line + side] == expected[side - 1]);
    return time / double(side * side);
}

// The thread that waits runs the task itself: the round trip that helps.
static double round_trip(void *) {
    long value = 0;
    double start = bench_now();
#pragma omp task shared(value)
    value = 42;
#pragma omp taskwait
    double time = bench_now() - start;
    BENCH_CHECK(value == 42);
    return time;
}

static void quicksort(int *v, long n) {
    if (n < SORT_CUT) return work_sort(v, n);
    long low = work_partition(v, n);
#pragma omp task
    quicksort(v, low);
    quicksort(v + low, n - low);
#pragma omp taskwait
}

static double sort(void *) {
    const long n = bench_amount(10000000);
    std::vector<int> values(n);
    int *v = values.data();
    work_fill(v, n);
    double start = bench_now();
#pragma omp parallel
#pragma omp single
    quicksort(v, n);
    double time = bench_now() - start;
    BENCH_CHECK(work_is_sorted(v, n));
    return time * 1e-6;
}

static long queens(int row, uint32_t columns, uint32_t left, uint32_t right) {
    if (row == QUEENS_CUT) return work_queens(row, columns, left, right);
    long parts[QUEENS], solutions = 0;
    int n = 0;
    for (uint32_t free = ((1u << QUEENS) - 1) & ~(columns | left | right); free; free &= free - 1) {
        uint32_t bit = free & -free;
        long *part = &parts[n++];
#pragma omp task firstprivate(part, bit)
        *part = queens(row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
#pragma omp taskwait
    for (int i = 0; i < n; i++) solutions += parts[i];
    return solutions;
}

static double queens12(void *) {
    long n = 0;
    double start = bench_now();
#pragma omp parallel
#pragma omp single
    n = queens(0, 0, 0, 0);
    BENCH_CHECK(n == QUEENS_SOLUTIONS);
    return (bench_now() - start) * 1e-6;
}

static double product(void *) {
    std::vector<double> a(MATRIX * MATRIX), b(a), c(a);
    work_matrices(a.data(), b.data(), c.data());
    double start = bench_now();
#pragma omp parallel
#pragma omp single
    for (int row = 0; row < MATRIX; row += MATRIX_CUT)
        for (int column = 0; column < MATRIX; column += MATRIX_CUT) {
#pragma omp task firstprivate(row, column)
            work_product(c.data(), a.data(), b.data(), row, column);
        }
    double time = bench_now() - start, sum = 0;
    for (int k = 0; k < MATRIX; k++) sum += a[k] * b[k * MATRIX];
    BENCH_CHECK(c[0] == sum);
    return time * 1e-6;
}

static work_tree *tree(uint64_t seed, long n) {
    if (n == 0) return nullptr;
    long left = work_tree_split(seed, n);
    work_tree *lower, *upper;
#pragma omp task shared(lower)
    lower = tree(seed * 2 + 1, left);
#pragma omp task shared(upper)
    upper = tree(seed * 2 + 2, n - 1 - left);
    work_tree *node = work_tree_node(seed);
#pragma omp taskwait
    node->left = lower, node->right = upper;
    return node;
}

static double tree_build(void *) {
    static uint64_t expected = work_tree_sum(work_tree_build(TREE_SEED, TREE_SIZE));
    work_tree *root;
    double start = bench_now();
#pragma omp parallel
#pragma omp single
    root = tree(TREE_SEED, TREE_SIZE);
    double time = bench_now() - start;
    BENCH_CHECK(work_tree_sum(root) == expected);
    return time * 1e-6;
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    per_us = bench_spins_per_us();
    body one = {1, bench_amount(100000)}, ten = {10, bench_amount(100000) / 10};
    if (bench_wants("w1")) {
        bench_run("W1", "empty", "ns", empty, nullptr);
        bench_run("W1", "1us", "%", efficiency, &one);
        bench_run("W1", "10us", "%", efficiency, &ten);
    }
    if (bench_wants("w2")) bench_run("W2", "fib", "ns", fib27, nullptr);
    if (bench_wants("w3")) bench_run("W3", "chain", "ns", chain, nullptr);
    if (bench_wants("w4")) bench_run("W4", "wavefront", "ns", wavefront, nullptr);
    if (bench_wants("w5")) {
#pragma omp parallel
#pragma omp single
        bench_latency("W5", "helping-hot", bench_amount(20000), round_trip, nullptr);
    }
    if (bench_wants("recursive")) {
        bench_run("recursive", "quicksort", "ms", sort, nullptr);
        bench_run("recursive", "queens", "ms", queens12, nullptr);
        bench_run("recursive", "product", "ms", product, nullptr);
        bench_run("recursive", "tree", "ms", tree_build, nullptr);
    }
}
