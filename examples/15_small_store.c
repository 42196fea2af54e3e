/* 15_small_store: more data than memory. With a limit on the store, what was not used for long
   goes to files and comes back when it is asked for; a pin keeps one object in memory; a name lets
   everyone find one, and replaces it for those who look later; rr_write_memory tells what is
   there. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"

enum { MiB = 1 << 20, TILES = 12, TILE = MiB, STORE = 4 * MiB };

/* A tile of a picture that is far larger than the store. */
REMOTE_FN(rr_bytes, render, int, number) {
    unsigned char *pixels = rr_result(TILE);
    for (int i = 0; pixels && i < TILE; i++) pixels[i] = (unsigned char)(i * (number + 3));
    return rr_bytes_of(pixels, TILE);
}

/* Its argument is brought back from its file, if it was there, before the body runs. */
REMOTE_FN(uint64_t, brightness, rr_bytes, tile) {
    const unsigned char *pixels = tile.data;
    uint64_t sum = 0;
    for (size_t i = 0; i < tile.size; i++) sum += pixels[i];
    return sum;
}

typedef struct Settings {
    int version;
    double weights[16];
} Settings;

int main(void) {
    if (rr_init(&(rr_config){.store_bytes = STORE, .report_leaks = true}) != RR_OK) return 1;
    rr_scope scope = rr_scope_begin();

    rr_put_as("settings", Settings, {.version = 1}); /* the name keeps it */
    rr_ref old, tiles[TILES];
    if (rr_find("settings", &old) != RR_OK) return 1;
    rr_put_as("settings", Settings, {.version = 2}); /* who has the old one keeps that */

    for (int i = 0; i < TILES; i++) tiles[i] = rr_call(render, i);
    if (rr_pin(tiles[0]) != RR_OK) return 1; /* in use all the time: it never leaves */
    if (rr_wait(tiles, TILES, TILES, -1, NULL) != TILES) return 1;

    uint64_t sum = 0;
    for (int i = 0; i < TILES; i++) {
        rr_ref part = rr_call(brightness, tiles[i]);
        sum += rr_unwrap(uint64_t, part);
        rr_release(part);
    }
    printf("%d tiles of 1 MiB, brightness %llu\n", TILES, (unsigned long long)sum);

    rr_stats stats;
    rr_get_stats(&stats);
    printf("within the limit: %s, spilled: %s, restored: %s\n",
           stats.store_bytes_used <= STORE ? "yes" : "no", stats.objects_spilled ? "yes" : "no",
           stats.objects_restored ? "yes" : "no");

    rr_ref found;
    if (rr_find("settings", &found) != RR_OK) return 1;
    printf("settings: %d for who had them, %d now\n", rr_unwrap(Settings, old).version,
           rr_unwrap(Settings, found).version);
    rr_write_memory(stderr); /* sizes, where each is, what keeps it, the line that made it */

    rr_unpin(tiles[0]);
    rr_scope_end(scope);
    return rr_shutdown() == RR_OK ? 0 : 1;
}
