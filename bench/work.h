/* work.h - the serial halves of the recursive programs, the same for us and for the peers: what is
   done below the cut-off, and what checks the results. For C and C++. */
#ifndef WORK_H
#define WORK_H
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    SORT_CUT = 20000,
    QUEENS = 12,
    QUEENS_CUT = 4,
    MATRIX = 512,
    MATRIX_CUT = 64,
    TREE_SEED = 7
};
static const long QUEENS_SOLUTIONS = 14200;

/* quicksort: the first half of the values up to a pivot, the second from it on. */
static inline void work_fill(int *values, long n) {
    uint64_t x = 42;
    for (long i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        values[i] = (int)(x >> 33);
    }
}

/* Hoare's partition with the median of three. Returns the length of the lower part, 0 < it < n. */
static inline long work_partition(int *v, long n) {
    int a = v[0], b = v[n / 2], c = v[n - 1];
    int pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
    long i = -1, j = n;
    for (;;) {
        do i++;
        while (v[i] < pivot);
        do j--;
        while (v[j] > pivot);
        if (i >= j) return j + 1 < n ? j + 1 : n - 1;
        int t = v[i];
        v[i] = v[j], v[j] = t;
    }
}

static inline void work_sort(int *v, long n) {
    while (n > 16) {
        long low = work_partition(v, n);
        if (low < n - low) work_sort(v, low), v += low, n -= low;
        else work_sort(v + low, n - low), n = low;
    }
    for (long i = 1; i < n; i++) {
        int x = v[i];
        long k = i;
        for (; k > 0 && v[k - 1] > x; k--) v[k] = v[k - 1];
        v[k] = x;
    }
}

static inline int work_is_sorted(const int *v, long n) {
    for (long i = 1; i < n; i++)
        if (v[i - 1] > v[i]) return 0;
    return 1;
}

/* n-queens with bit sets: columns and both diagonals that are taken. */
static inline long work_queens(int row, uint32_t columns, uint32_t left, uint32_t right) {
    long solutions = 0;
    uint32_t all = (1u << QUEENS) - 1;
    if (row == QUEENS) return 1;
    for (uint32_t free = all & ~(columns | left | right); free; free &= free - 1) {
        uint32_t bit = free & -free;
        solutions += work_queens(row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return solutions;
}

/* Matrix product c += a b on blocks of a MATRIX x MATRIX matrix, by rows. */
static inline void work_block(double *c, const double *a, const double *b) {
    for (int i = 0; i < MATRIX_CUT; i++)
        for (int k = 0; k < MATRIX_CUT; k++) {
            double x = a[i * MATRIX + k];
            for (int j = 0; j < MATRIX_CUT; j++) c[i * MATRIX + j] += x * b[k * MATRIX + j];
        }
}

/* One block of the result, from all the blocks of a row of a and a column of b. */
static inline void work_product(double *c, const double *a, const double *b, int row, int column) {
    c += row * MATRIX + column, a += row * MATRIX, b += column;
    for (int k = 0; k < MATRIX; k += MATRIX_CUT) work_block(c, a + k, b + (long)k * MATRIX);
}

static inline void work_matrices(double *a, double *b, double *c) {
    for (int i = 0; i < MATRIX * MATRIX; i++) a[i] = i % 7, b[i] = i % 5, c[i] = 0;
}

/* A tree whose shape and whose work in each node follow from a hash: the branches are uneven. */
static inline uint64_t work_hash(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

typedef struct work_tree {
    uint64_t value;
    struct work_tree *left, *right;
} work_tree;

enum { TREE_SIZE = 300000 };

static inline work_tree *work_tree_node(uint64_t seed) {
    work_tree *node = (work_tree *)malloc(sizeof *node);
    if (!node) abort();
    node->left = node->right = NULL;
    node->value = seed;
    for (int i = (int)(seed % 256); i >= 0; i--) node->value = work_hash(node->value + 1);
    return node;
}

/* How many of the other n - 1 nodes go to the left: anything from none to all. */
static inline long work_tree_split(uint64_t seed, long n) {
    return (long)(work_hash(seed) % (uint64_t)n);
}

static inline work_tree *work_tree_build(uint64_t seed, long n) {
    if (n == 0) return NULL;
    work_tree *node = work_tree_node(seed);
    long left = work_tree_split(seed, n);
    node->left = work_tree_build(seed * 2 + 1, left);
    node->right = work_tree_build(seed * 2 + 2, n - 1 - left);
    return node;
}

/* Adds up the values of a tree, and frees it. */
static inline uint64_t work_tree_sum(work_tree *node) {
    if (!node) return 0;
    uint64_t sum = node->value + 3 * work_tree_sum(node->left) + 5 * work_tree_sum(node->right);
    free(node);
    return sum;
}
#endif
