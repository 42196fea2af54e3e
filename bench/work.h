/* work.h - the serial halves of the recursive programs: what is done below the cut-off, and what
   checks the results. It is compiled once, with WORK_IMPLEMENTATION, and linked with ours and with
   each peer: otherwise the compilers would be compared as well (clang vectorises at -O2). */
#ifndef WORK_H
#define WORK_H
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

enum {
    SORT_CUT = 20000,
    QUEENS = 13,
    QUEENS_SOLUTIONS = 73712,
    QUEENS_CUT = 4,
    MATRIX = 512,
    MATRIX_CUT = 64,
    PITCH = MATRIX + 8,
    CACHE_LINE = 64,
    TREE_SEED = 7,
    TREE_SIZE = 300000
};

typedef struct work_tree {
    uint64_t value;
    struct work_tree *left, *right;
} work_tree;

/* quicksort: work_partition returns the length of the lower part, 0 < it < n. */
void work_fill(int *values, long n);
long work_partition(int *values, long n);
void work_sort(int *values, long n);
int work_is_sorted(const int *values, long n);

/* n-queens with bit sets: columns and both diagonals that are taken. Returns the solutions. */
long work_queens(int row, uint32_t columns, uint32_t left, uint32_t right);

/* c += a b, in blocks of MATRIX_CUT x MATRIX_CUT: one block of c from those of a row of a and of a
   column of b. The rows are longer than MATRIX: at a distance of 4 KiB they would all fall in the
   same places of a cache, and the order in which blocks are done would decide about the time. */
typedef struct work_matrices {
    double a[MATRIX * PITCH], b[MATRIX * PITCH], c[MATRIX * PITCH];
} work_matrices;
void work_matrices_fill(work_matrices *m);
void work_product(work_matrices *m, int row, int column);
int work_product_is_right(const work_matrices *m);

/* A tree of n nodes whose shape and whose work in each node follow from a hash: uneven branches.
   work_tree_split: how many of the other n - 1 go to the left. work_tree_sum adds up the values,
   and frees the tree. */
work_tree *work_tree_node(uint64_t seed);
long work_tree_split(uint64_t seed, long n);
work_tree *work_tree_build(uint64_t seed, long n);
uint64_t work_tree_sum(work_tree *root);

#ifdef __cplusplus
}
#endif
#endif

#ifdef WORK_IMPLEMENTATION
#include <stdlib.h>

void work_fill(int *values, long n) {
    uint64_t x = 42;
    for (long i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        values[i] = (int)(x >> 33);
    }
}

/* Hoare's partition with the median of three. */
long work_partition(int *v, long n) {
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

void work_sort(int *v, long n) {
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

int work_is_sorted(const int *v, long n) {
    for (long i = 1; i < n; i++)
        if (v[i - 1] > v[i]) return 0;
    return 1;
}

long work_queens(int row, uint32_t columns, uint32_t left, uint32_t right) {
    long solutions = 0;
    uint32_t all = (1u << QUEENS) - 1;
    if (row == QUEENS) return 1;
    for (uint32_t free = all & ~(columns | left | right); free; free &= free - 1) {
        uint32_t bit = free & -free;
        solutions += work_queens(row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return solutions;
}

static void work_block(double *c, const double *a, const double *b) {
    for (int i = 0; i < MATRIX_CUT; i++)
        for (int k = 0; k < MATRIX_CUT; k++) {
            double x = a[i * PITCH + k];
            for (int j = 0; j < MATRIX_CUT; j++) c[i * PITCH + j] += x * b[k * PITCH + j];
        }
}

void work_product(work_matrices *m, int row, int column) {
    double *c = m->c + row * PITCH + column;
    for (int k = 0; k < MATRIX; k += MATRIX_CUT)
        work_block(c, m->a + row * PITCH + k, m->b + k * PITCH + column);
}

void work_matrices_fill(work_matrices *m) {
    for (int i = 0; i < MATRIX * PITCH; i++) m->a[i] = i % 7, m->b[i] = i % 5, m->c[i] = 0;
}

/* The numbers are small integers: any order of the additions gives the same. (a b) v = a (b v). */
int work_product_is_right(const work_matrices *m) {
    double v[MATRIX], bv[MATRIX], abv, cv;
    for (int i = 0; i < MATRIX; i++) v[i] = i % 11;
    for (int i = 0; i < MATRIX; i++) {
        bv[i] = 0;
        for (int k = 0; k < MATRIX; k++) bv[i] += m->b[i * PITCH + k] * v[k];
    }
    for (int i = 0; i < MATRIX; i++) {
        abv = cv = 0;
        for (int k = 0; k < MATRIX; k++)
            abv += m->a[i * PITCH + k] * bv[k], cv += m->c[i * PITCH + k] * v[k];
        if (abv != cv) return 0;
    }
    return 1;
}

static uint64_t work_hash(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

work_tree *work_tree_node(uint64_t seed) {
    work_tree *node = malloc(sizeof *node);
    if (!node) abort();
    node->left = node->right = NULL;
    node->value = seed;
    for (int i = (int)(seed % 256); i >= 0; i--) node->value = work_hash(node->value + 1);
    return node;
}

long work_tree_split(uint64_t seed, long n) { return (long)(work_hash(seed) % (uint64_t)n); }

work_tree *work_tree_build(uint64_t seed, long n) {
    if (n == 0) return NULL;
    work_tree *node = work_tree_node(seed);
    long left = work_tree_split(seed, n);
    node->left = work_tree_build(seed * 2 + 1, left);
    node->right = work_tree_build(seed * 2 + 2, n - 1 - left);
    return node;
}

uint64_t work_tree_sum(work_tree *node) {
    if (!node) return 0;
    uint64_t sum = node->value + 3 * work_tree_sum(node->left) + 5 * work_tree_sum(node->right);
    free(node);
    return sum;
}
#endif
