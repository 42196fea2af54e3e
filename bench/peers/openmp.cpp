// openmp: the workloads as OpenMP tasks. Built with g++ (libgomp) and with clang++ (libomp).
// OpenMP has no futures: a task writes its result to a place, and who waits reads it.
#include "peer.h"
#include <omp.h>

static double empty(void *) {
    const long total = bench_amount(1000000);
    std::vector<long> results(ROUND);
    double start = bench_now();
#pragma omp parallel
#pragma omp single
    for (long done = 0; done < total; done += ROUND) {
        long sum = 0;
        for (long i = 0; i < ROUND; i++) {
            long *out = &results[i];
#pragma omp task firstprivate(out, i)
            *out = i;
        }
#pragma omp taskwait
        for (long i = 0; i < ROUND; i++) sum += results[i];
        BENCH_CHECK(sum == (long)ROUND * (ROUND - 1) / 2);
    }
    return (bench_now() - start) / double(total);
}

static double efficiency(void *body) {
    auto spawn = [](std::vector<uint64_t> &results, long iterations) {
#pragma omp parallel
#pragma omp single
        for (size_t i = 0; i < results.size(); i++) {
            uint64_t *out = &results[i];
#pragma omp task firstprivate(out, iterations)
            *out = bench_spin(iterations);
        }
    };
    return peer_efficiency(*static_cast<peer_body *>(body), spawn);
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
    result = fib(FIB_N);
    BENCH_CHECK(result == FIB);
    return (bench_now() - start) / FIB_CALLS;
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
    return peer_wavefront([](std::vector<uint32_t> &grid, long side) {
        const long line = side + 1;
        uint32_t *g = grid.data();
#pragma omp parallel
#pragma omp single
        for (long y = 1; y <= side; y++)
            for (long x = 1; x <= side; x++) {
                uint32_t *cell = g + y * line + x;
#pragma omp task firstprivate(cell) depend(in : cell[-line], cell[-1]) depend(out : cell[0])
                cell[0] = cell[-line] + cell[-1];
            }
    });
}

// The thread that waits runs the task itself: the round trip that helps.
static double helping(void *) {
    return peer_round_trip(nullptr, [] {
        long value = 0;
#pragma omp task shared(value)
        value = 42;
#pragma omp taskwait
        return value;
    });
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
    return peer_sort([](int *v, long n) {
#pragma omp parallel
#pragma omp single
        quicksort(v, n);
    });
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

static double queens_all(void *) {
    return peer_queens([](int row, uint32_t columns, uint32_t left, uint32_t right) {
        long n;
#pragma omp parallel
#pragma omp single
        n = queens(row, columns, left, right);
        return n;
    });
}

static double product(void *) {
    return peer_product([](work_matrices *m) {
#pragma omp parallel
#pragma omp single
        for (int row = 0; row < MATRIX; row += MATRIX_CUT)
            for (int column = 0; column < MATRIX; column += MATRIX_CUT) {
#pragma omp task firstprivate(row, column)
                work_product(m, row, column);
            }
    });
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
    return peer_tree([](uint64_t seed, long n) {
        work_tree *root;
#pragma omp parallel
#pragma omp single
        root = tree(seed, n);
        return root;
    });
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    if (bench_wants("w1")) peer_w1(empty, efficiency, bench_amount(100000));
    if (bench_wants("w2")) bench_run("W2", "fib", "ns", fib27, nullptr);
    if (bench_wants("w3")) bench_run("W3", "chain", "ns", chain, nullptr);
    if (bench_wants("w4")) bench_run("W4", "wavefront", "ns", wavefront, nullptr);
    if (bench_wants("w5")) {
#pragma omp parallel
#pragma omp single
        bench_latency("W5", "helping-hot", bench_amount(20000), helping, nullptr);
    }
    if (bench_wants("recursive")) peer_recursive(sort, queens_all, product, tree_build);
}
