/* recursive: programs that divide and conquer, beside the same work without tasks: quicksort of
   10^7 integers, n-queens, a matrix product in blocks, and a tree with uneven branches that is
   built with a task for every node. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "bench.h"
#include "work.h"

REMOTE_FN(void, quicksort, int *, v, long, n) {
    if (n < SORT_CUT) {
        work_sort(v, n);
        return;
    }
    long low = work_partition(v, n);
    rr_ref lower = rr_call(quicksort, v, low), upper = rr_call(quicksort, v + low, n - low);
    rr_get_void(lower), rr_get_void(upper);
}

REMOTE_FN(long, queens, int, row, uint32_t, columns, uint32_t, left, uint32_t, right) {
    if (row == QUEENS_CUT) return work_queens(row, columns, left, right);
    long solutions = 0;
    rr_ref parts[QUEENS];
    int n = 0;
    uint32_t all = (1u << QUEENS) - 1;
    for (uint32_t free = all & ~(columns | left | right); free; free &= free - 1) {
        uint32_t bit = free & -free;
        parts[n++] = rr_call(queens, row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    for (int i = 0; i < n; i++) solutions += rr_unwrap(long, parts[i]);
    return solutions;
}

REMOTE_FN(void, product, work_matrices *, m, int, row, int, column) {
    work_product(m, row, column);
}

REMOTE_FN(work_tree *, tree, uint64_t, seed, long, n) {
    if (n == 0) return NULL;
    long left = work_tree_split(seed, n);
    rr_ref lower = rr_call(tree, seed * 2 + 1, left),
           upper = rr_call(tree, seed * 2 + 2, n - 1 - left);
    work_tree *node = work_tree_node(seed);
    node->left = rr_unwrap(work_tree *, lower), node->right = rr_unwrap(work_tree *, upper);
    return node;
}

static long sort_n;
static int *values;
static _Alignas(CACHE_LINE) work_matrices matrices;
static uint64_t tree_sum;

static double sort_run(void *serial) {
    work_fill(values, sort_n);
    double start = bench_now();
    if (serial) {
        work_sort(values, sort_n);
    } else {
        rr_ref all = rr_call(quicksort, values, sort_n);
        BENCH_CHECK(rr_get_void(all) == RR_OK);
        rr_release(all);
    }
    double time = bench_now() - start;
    BENCH_CHECK(work_is_sorted(values, sort_n));
    return time * 1e-6;
}

static double queens_run(void *serial) {
    double start = bench_now();
    rr_ref all = {0};
    long n = serial ? work_queens(0, 0, 0, 0) : rr_unwrap(long, all = rr_call(queens, 0, 0, 0, 0));
    rr_release(all);
    BENCH_CHECK(n == QUEENS_SOLUTIONS);
    return (bench_now() - start) * 1e-6;
}

static double product_run(void *serial) {
    rr_ref blocks[(MATRIX / MATRIX_CUT) * (MATRIX / MATRIX_CUT)];
    int n = 0;
    work_matrices_fill(&matrices);
    double start = bench_now();
    for (int row = 0; row < MATRIX; row += MATRIX_CUT)
        for (int column = 0; column < MATRIX; column += MATRIX_CUT)
            if (serial) work_product(&matrices, row, column);
            else blocks[n++] = rr_call(product, &matrices, row, column);
    BENCH_CHECK(rr_wait(blocks, (size_t)n, (size_t)n, -1, NULL) == (size_t)n);
    for (int i = 0; i < n; i++) rr_release(blocks[i]);
    double time = bench_now() - start;
    BENCH_CHECK(work_product_is_right(&matrices));
    return time * 1e-6;
}

static double tree_run(void *serial) {
    double start = bench_now();
    rr_ref all = {0};
    work_tree *root = serial ? work_tree_build(TREE_SEED, TREE_SIZE)
                             : rr_unwrap(work_tree *, all = rr_call(tree, TREE_SEED, TREE_SIZE));
    double time = bench_now() - start;
    rr_release(all);
    uint64_t sum = work_tree_sum(root);
    if (!tree_sum) tree_sum = sum;
    BENCH_CHECK(sum == tree_sum);
    return time * 1e-6;
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    int serial = 1;
    sort_n = bench_amount(10000000);
    values = malloc((size_t)sort_n * sizeof *values);
    if (!values || rr_init(NULL) != RR_OK) return 1;
    bench_run("recursive", "quicksort-serial", "ms", sort_run, &serial);
    bench_run("recursive", "quicksort", "ms", sort_run, NULL);
    bench_run("recursive", "queens-serial", "ms", queens_run, &serial);
    bench_run("recursive", "queens", "ms", queens_run, NULL);
    bench_run("recursive", "product-serial", "ms", product_run, &serial);
    bench_run("recursive", "product", "ms", product_run, NULL);
    bench_run("recursive", "tree-serial", "ms", tree_run, &serial);
    bench_run("recursive", "tree", "ms", tree_run, NULL);
    free(values);
    return rr_shutdown() != RR_OK;
}
