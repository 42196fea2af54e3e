/* 04_pipeline: items go through stages of tasks. The stages of one item are chained
   through references; different items overlap; rr_wait keeps the number of items
   in flight bounded, so that memory stays bounded however long the stream is. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"

enum { ITEMS = 12, IN_FLIGHT = 4, SAMPLES = 4096 };

typedef struct Summary {
    int item;
    int32_t low, high;
    int64_t sum;
} Summary;

/* Stage 1: a made-up signal, written straight into the store. */
REMOTE_FN(rr_bytes, record, int, item) {
    size_t size = SAMPLES * sizeof(int32_t);
    int32_t *out = rr_result(size);
    uint32_t state = 1 + (uint32_t)item;
    for (int i = 0; out && i < SAMPLES; i++) {
        state = state * 1664525u + 1013904223u;
        out[i] = (int32_t)(state >> 16) - 32768;
    }
    return rr_bytes_of(out, size);
}

/* Stage 2: the mean of each sample and its neighbours. */
REMOTE_FN(rr_bytes, smooth, rr_bytes, signal) {
    const int32_t *in = signal.data;
    size_t n = signal.size / sizeof *in;
    int32_t *out = rr_result(signal.size);
    for (size_t i = 0; out && i < n; i++) {
        int32_t before = in[i ? i - 1 : i], after = in[i + 1 < n ? i + 1 : i];
        out[i] = (before + in[i] + after) / 3;
    }
    return rr_bytes_of(out, signal.size);
}

/* Stage 3: a few numbers. */
REMOTE_FN(Summary, summarise, int, item, rr_bytes, signal) {
    const int32_t *in = signal.data;
    Summary s = {item, INT32_MAX, INT32_MIN, 0};
    for (size_t i = 0; i < signal.size / sizeof *in; i++) {
        if (in[i] < s.low) s.low = in[i];
        if (in[i] > s.high) s.high = in[i];
        s.sum += in[i];
    }
    return s;
}

/* Nothing here waits: three tasks are submitted, one reference comes back. The scope
   lets go of the two in the middle, which then live no longer than they are needed. */
static rr_ref process(int item) {
    rr_scope scope = rr_scope_begin();
    rr_ref signal = rr_call(record, item);
    rr_ref smoothed = rr_call(smooth, signal);
    rr_ref summary = rr_keep(rr_call(summarise, item, smoothed));
    rr_scope_end(scope);
    return summary;
}

int main(void) {
    if (rr_init(NULL) != RR_OK) return 1;

    rr_ref window[IN_FLIGHT];
    for (int item = 0; item < ITEMS + IN_FLIGHT; item++) {
        rr_ref *place = &window[item % IN_FLIGHT];
        if (item >= IN_FLIGHT) { /* the oldest leaves before a new one enters */
            Summary s;
            if (rr_wait(place, 1, 1, -1, NULL) != 1 || rr_get(Summary, *place, &s) != RR_OK) {
                fprintf(stderr, "%s\n", rr_error_message(*place));
                return 1;
            }
            printf("item %2d: %6d to %5d, sum %8lld\n", s.item, (int)s.low, (int)s.high,
                   (long long)s.sum);
            rr_release(*place);
        }
        if (item < ITEMS) *place = process(item);
    }
    return rr_shutdown() == RR_OK ? 0 : 1;
}
