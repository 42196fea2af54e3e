/* w7_objects: putting and getting byte objects of 64 B, 4 KiB, 1 MiB and 64 MiB. A put is timed
   with the release of the object before it; a get is a view, without a copy. What memcpy takes for
   as much is in limits.c. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "bench.h"

typedef struct object {
    size_t size;
    long n;
    char *data;
    rr_ref ref;
} object;

/* Nanoseconds for small objects, GB/s for large ones. */
enum { LARGE = 1 << 20 };
static const char *unit_of(const object *o) { return o->size < LARGE ? "ns" : "GB/s"; }
static double figure(const object *o, double start) {
    double each = (bench_now() - start) / (double)o->n;
    return o->size < LARGE ? each : (double)o->size / each;
}

static double put(void *context) {
    object *o = context;
    double start = bench_now();
    for (long i = 0; i < o->n; i++) {
        o->data[0] = (char)i;
        rr_ref next = rr_put_bytes(o->data, o->size);
        rr_release(o->ref);
        o->ref = next;
    }
    double result = figure(o, start);
    rr_bytes view = {0};
    BENCH_CHECK(rr_get(rr_bytes, o->ref, &view) == RR_OK && view.size == o->size);
    BENCH_CHECK(memcmp(view.data, o->data, o->size) == 0);
    return result;
}

static double get(void *context) {
    object *o = context;
    long sum = 0;
    enum { GETS = 100000 };
    double start = bench_now();
    for (long i = 0; i < GETS; i++) {
        rr_bytes view;
        if (rr_get(rr_bytes, o->ref, &view) == RR_OK) sum += ((const char *)view.data)[o->size - 1];
    }
    double time = bench_now() - start;
    BENCH_CHECK(sum == GETS * (long)o->data[o->size - 1]);
    return time / GETS;
}

static void measure(const char *name, size_t size, long n) {
    char puts[32], gets[32];
    snprintf(puts, sizeof puts, "put-%s", name), snprintf(gets, sizeof gets, "get-%s", name);
    object o = {size, n, malloc(size), {0}};
    BENCH_CHECK(o.data != NULL);
    memset(o.data, 7, size);
    bench_run("W7", puts, unit_of(&o), put, &o);
    bench_run("W7", gets, "ns", get, &o);
    rr_release(o.ref);
    free(o.data);
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    if (rr_init(NULL) != RR_OK) return 1;
    measure("64B", 64, bench_amount(300000));
    measure("4KiB", 4096, bench_amount(100000));
    measure("1MiB", 1 << 20, bench_amount(300));
    measure("64MiB", 64 << 20, 4);
    return rr_shutdown() != RR_OK;
}
