/* 17_in_place: a rod that cools, 1,000 steps, each a task that takes the temperatures and returns
   them a step later. rr_result_from gives such a body the argument's own memory, because the caller
   has let go of it: so there is one block of memory, whatever the number of steps, and none of it
   is copied. A state that somebody has kept is copied before it is changed. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"

enum { CELLS = 1 << 17, STEPS = 1000, BLOCK = CELLS * sizeof(float) };

REMOTE_FN(rr_bytes, heated, int, from, int, to) {
    float *cells = rr_result(BLOCK);
    for (int i = 0; cells && i < CELLS; i++) cells[i] = i >= from && i < to ? 1.0f : 0.0f;
    return rr_bytes_of(cells, BLOCK);
}

/* Each cell goes half of the way to the mean of its neighbours; the ends stay cold. */
REMOTE_FN(rr_bytes, cooled, rr_bytes, rod) {
    float *cells = rr_result_from(rod), left = 0;
    for (int i = 0; cells && i < CELLS; i++) {
        float own = cells[i], right = i + 1 < CELLS ? cells[i + 1] : 0;
        cells[i] = own / 2 + (left + right) / 4;
        left = own; /* as it was */
    }
    return rr_bytes_of(cells, BLOCK);
}

REMOTE_FN(int, warm_cells, rr_bytes, rod) {
    const float *cells = rod.data;
    int n = 0;
    for (int i = 0; i < CELLS; i++) n += cells[i] > 0.01f;
    return n;
}

int main(void) {
    /* Room for the start, which is kept, the state, and one copy. */
    if (rr_init(&(rr_config){.store_bytes = 3 * BLOCK, .report_leaks = true}) != RR_OK) return 1;
    rr_ref start = rr_call(heated, CELLS / 2 - 500, CELLS / 2 + 500), rod = rr_call(cooled, start);
    for (int i = 1; i < STEPS; i++) {
        rr_ref next = rr_call(cooled, rod);
        rr_release(rod); /* now it is the task's alone */
        rod = next;
    }
    rr_ref before = rr_call(warm_cells, start), after = rr_call(warm_cells, rod);
    printf("warm cells: %d before, %d after %d steps\n", rr_unwrap(int, before),
           rr_unwrap(int, after), STEPS);

    rr_stats stats;
    rr_get_stats(&stats);
    printf("in the store: %d blocks; left it: %d\n", (int)(stats.store_bytes_used / BLOCK),
           (int)stats.objects_spilled);
    rr_release(start), rr_release(rod), rr_release(before), rr_release(after);
    return rr_shutdown() == RR_OK ? 0 : 1;
}
