/* 03_tree_reduce: the sum of many results without waiting for any: pairs are added
   by tasks, the sums again in pairs, up to the root; and in wider steps with
   rr_gather, which makes one list out of many objects. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"

enum { LEAVES = 100, WIDTH = 8 };

REMOTE_FN(long, square, long, n) { return n * n; }
REMOTE_FN(long, add, long, a, long, b) { return a + b; }
REMOTE_FN(long, add_all, rr_many, parts) {
    long sum = 0;
    for (size_t i = 0; i < parts.count; i++) {
        long part;
        memcpy(&part, parts.items[i].data, sizeof part);
        sum += part;
    }
    return sum;
}

/* Halves the list until one reference is left: depth log2(n). */
static rr_ref reduce_pairs(rr_ref *refs, size_t n) {
    for (; n > 1; n = (n + 1) / 2) {
        for (size_t i = 0; i < n / 2; i++) refs[i] = rr_call(add, refs[2 * i], refs[2 * i + 1]);
        if (n % 2) refs[n / 2] = refs[n - 1];
    }
    return refs[0];
}

/* The same with up to WIDTH results at a time: fewer tasks, less depth. */
static rr_ref reduce_wide(rr_ref *refs, size_t n) {
    for (size_t groups; n > 1; n = groups) {
        groups = 0;
        for (size_t i = 0; i < n; i += WIDTH) {
            size_t width = n - i < WIDTH ? n - i : WIDTH;
            refs[groups++] = rr_call(add_all, rr_gather(&refs[i], width));
        }
    }
    return refs[0];
}

int main(void) {
    if (rr_init(NULL) != RR_OK) return 1;
    rr_scope scope = rr_scope_begin();

    rr_ref leaves[LEAVES], again[LEAVES];
    for (int i = 0; i < LEAVES; i++) again[i] = leaves[i] = rr_call(square, i + 1);
    rr_ref by_pairs = reduce_pairs(leaves, LEAVES);
    rr_ref by_eights = reduce_wide(again, LEAVES);

    long n = LEAVES;
    printf("by pairs:   %ld\n", rr_unwrap(long, by_pairs));
    printf("by eights:  %ld\n", rr_unwrap(long, by_eights));
    printf("by formula: %ld\n", n * (n + 1) * (2 * n + 1) / 6);

    rr_scope_end(scope);
    return rr_shutdown() == RR_OK ? 0 : 1;
}
