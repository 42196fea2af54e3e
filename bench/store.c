/* store: what a limit on the store costs. Puts, views, and reads by several threads, in a store
   whose limit is never reached; gathers of 100,000; names; values that leave memory for a file and
   come back; how many reads find what they want in memory. What stands beside a row is measured in
   turn with it: the same without a limit, memcpy of as much, dd to and from a file in the same
   folder (TMPDIR or /tmp), which the page cache keeps, as it does ours. A put is timed with the
   release of the object before it. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "bench.h"
#include <math.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

enum { LARGE = 1 << 20, PAGE = 4096, MOST_SIDES = 4, MOST_THREADS = 4, GETS = 100000 };
enum { PARTS = 100000, NAMES = 10000, IN_STORE = 8, DD_BLOCK = 8 << 20, DD_BYTES = 256 << 20 };

static rr_runtime *limited; /* the default one is without a limit */
static const char *folder;

/* ---- rows that are measured in turn ---- */

typedef struct side {
    const char *what, *beside, *unit;
    bench_fn once;
    void *context;
} side;

/* A line for each, "WHAT-NAME-BESIDE"; a calm or a busy moment of the machine meets all of them. */
static void in_turn(const char *name, const side *sides, int n) {
    double *values[MOST_SIDES];
    long repeats = bench_repeats();
    for (int i = 0; i < n; i++) {
        BENCH_CHECK((values[i] = malloc((size_t)repeats * sizeof **values)) != NULL);
        sides[i].once(sides[i].context);
    }
    bench_meter start = bench_meter_start();
    for (long k = 0; k < repeats; k++)
        for (int i = 0; i < n; i++) values[i][k] = sides[i].once(sides[i].context);
    for (int i = 0; i < n; i++) {
        char variant[64];
        snprintf(variant, sizeof variant, "%s-%s%s", sides[i].what, name, sides[i].beside);
        bench_line("store", variant, sides[i].unit, values[i], repeats, -1, start);
        free(values[i]);
    }
}

/* The same work in a store with and without a limit. */
static void both(const char *what, const char *name, bench_fn once, void *with, void *without) {
    const side sides[] = {{what, "", "ns", once, with}, {what, "-unlimited", "ns", once, without}};
    in_turn(name, sides, 2);
}

/* ---- put and get, as in w7_objects ---- */

typedef struct object {
    rr_runtime *runtime;
    size_t size;
    long n;
    char *data, *room;
    rr_ref ref;
} object;

/* Nanoseconds for small objects, GB/s for large ones. */
static double figure(const object *o, double start) {
    double each = (bench_now() - start) / (double)o->n;
    return o->size < LARGE ? each : (double)o->size / each;
}

static double put(void *context) {
    object *o = context;
    rr_runtime_use(o->runtime);
    double start = bench_now();
    for (long i = 0; i < o->n; i++) {
        o->data[0] = (char)i;
        rr_ref next = rr_put_bytes(o->data, o->size);
        rr_release(o->ref);
        o->ref = next;
    }
    double result = figure(o, start);
    rr_scope scope = rr_scope_begin();
    rr_bytes view = {0};
    BENCH_CHECK(rr_get(rr_bytes, o->ref, &view) == RR_OK && view.size == o->size);
    BENCH_CHECK(memcmp(view.data, o->data, o->size) == 0);
    rr_scope_end(scope);
    return result;
}

static double copy(void *context) {
    object *o = context;
    double start = bench_now();
    for (long i = 0; i < o->n; i++) {
        o->data[0] = (char)i;
        memcpy(o->room, o->data, o->size);
        __asm__ volatile("" : : "r"(o->room) : "memory");
    }
    double result = figure(o, start);
    BENCH_CHECK(memcmp(o->room, o->data, o->size) == 0);
    return result;
}

static double get(void *context) {
    object *o = context;
    long sum = 0;
    rr_runtime_use(o->runtime);
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
    const char *unit = size < LARGE ? "ns" : "GB/s";
    char *block = aligned_alloc(PAGE, (2 * size + 3 * PAGE) / PAGE * PAGE);
    BENCH_CHECK(block != NULL);
    /* Not at the same place of a page: see limits.c. */
    char *room = block + (size + PAGE - 1) / PAGE * PAGE + PAGE / 2;
    object with = {limited, size, n, block, room, {0}}, without = {NULL, size, n, block, room, {0}};
    memset(block, 7, size), memset(room, 1, size);
    const side puts[] = {{"put", "", unit, put, &with},
                         {"put", "-unlimited", unit, put, &without},
                         {"put", "-memcpy", unit, copy, &with}};
    in_turn(name, puts, 3);
    both("get", name, get, &with, &without);
    rr_runtime_use(NULL), rr_release(without.ref);
    rr_runtime_use(limited), rr_release(with.ref);
    free(block);
}

/* ---- reads by several threads, each of a value of its own ---- */

typedef struct readers {
    rr_runtime *runtime;
    int threads;
    long share;
} readers;

static void *reader(void *context) {
    const readers *r = context;
    char data[256];
    long sum = 0;
    memset(data, 3, sizeof data);
    rr_runtime_use(r->runtime);
    rr_ref ref = rr_put_bytes(data, sizeof data);
    for (long i = 0; i < r->share; i++) {
        rr_scope scope = rr_scope_begin();
        rr_bytes view;
        if (rr_get(rr_bytes, ref, &view) == RR_OK) sum += ((const char *)view.data)[i & 255];
        rr_scope_end(scope);
    }
    BENCH_CHECK(sum == 3 * r->share);
    rr_release(ref);
    return NULL;
}

static double read_all(void *context) {
    readers *r = context;
    pthread_t ids[MOST_THREADS];
    double start = bench_now();
    for (int i = 0; i < r->threads; i++) BENCH_CHECK(pthread_create(&ids[i], NULL, reader, r) == 0);
    for (int i = 0; i < r->threads; i++) pthread_join(ids[i], NULL);
    return (bench_now() - start) / (double)(r->share * r->threads);
}

static void measure_reads(void) {
    for (int threads = 1; threads <= MOST_THREADS; threads *= 2) {
        char variant[32];
        long share = bench_amount(400000) / threads;
        readers with = {limited, threads, share}, without = {NULL, threads, share};
        snprintf(variant, sizeof variant, "%d-threads", threads);
        both("read", variant, read_all, &with, &without);
    }
}

/* ---- gathers ---- */

typedef struct parts {
    rr_runtime *runtime;
    rr_ref refs[PARTS];
} parts;

static parts *parts_new(rr_runtime *runtime) {
    parts *p = malloc(sizeof *p);
    BENCH_CHECK(p != NULL);
    rr_runtime_use(p->runtime = runtime);
    for (long i = 0; i < PARTS; i++) {
        long value[8] = {i, 1, 2, 3, 4, 5, 6, 7};
        p->refs[i] = rr_put_bytes(value, sizeof value);
    }
    return p;
}

static void parts_free(parts *p) {
    rr_runtime_use(p->runtime);
    for (long i = 0; i < PARTS; i++) rr_release(p->refs[i]);
    free(p);
}

static double gather(void *context) {
    parts *p = context;
    rr_runtime_use(p->runtime);
    double start = bench_now();
    rr_ref all = rr_gather(p->refs, PARTS);
    bool is_ready = rr_ready(all);
    rr_release(all);
    double time = bench_now() - start;
    BENCH_CHECK(is_ready);
    return time / PARTS;
}

/* All parts are looked at through one view. */
static double gather_read(void *context) {
    parts *p = context;
    long sum = 0;
    rr_many many = {0};
    rr_runtime_use(p->runtime);
    double start = bench_now();
    rr_ref all = rr_gather(p->refs, PARTS);
    rr_scope scope = rr_scope_begin();
    BENCH_CHECK(rr_get(rr_many, all, &many) == RR_OK && many.count == PARTS);
    for (size_t i = 0; i < many.count; i++) sum += *(const long *)many.items[i].data;
    rr_scope_end(scope);
    rr_release(all);
    double time = bench_now() - start;
    BENCH_CHECK(sum == (long)PARTS * (PARTS - 1) / 2);
    return time / PARTS;
}

static void measure_gathers(void) {
    parts *with = parts_new(limited), *without = parts_new(NULL);
    both("gather", "100000", gather, with, without);
    both("gather-read", "100000", gather_read, with, without);
    parts_free(with), parts_free(without);
}

/* ---- names ---- */

static char names[NAMES][16];

/* Each name for the second time: the object that had it goes. */
static double put_as(void *context) {
    rr_runtime_use(context);
    double start = bench_now();
    for (long i = 0; i < NAMES; i++) rr_release(rr_put_as(names[i], long, i));
    return (bench_now() - start) / NAMES;
}

static double find(void *context) {
    rr_ref ref;
    long sum = 0;
    rr_runtime_use(context);
    double start = bench_now();
    for (long i = 0; i < NAMES; i++) {
        BENCH_CHECK(rr_find(names[i], &ref) == RR_OK);
        sum += rr_unwrap(long, ref);
        rr_release(ref);
    }
    double time = bench_now() - start;
    BENCH_CHECK(sum == (long)NAMES * (NAMES - 1) / 2);
    return time / NAMES;
}

static void measure_names(void) {
    for (int i = 0; i < NAMES; i++) snprintf(names[i], sizeof names[i], "name %d", i);
    both("put-as", "10000", put_as, limited, NULL);
    both("find", "10000", find, limited, NULL);
}

/* ---- out of memory and back ---- */

typedef struct spill {
    size_t size;
    long n;
    char *data;
    rr_runtime *runtime;
    rr_ref *refs;
} spill;

/* What object i is to hold. */
static const char *contents(spill *s, long i) {
    memcpy(s->data, &i, sizeof i), memcpy(s->data + s->size - sizeof i, &i, sizeof i);
    return s->data;
}

static double megabytes_per_second(uint64_t bytes, double nanoseconds) {
    return (double)bytes / nanoseconds * 1e3;
}

/* Puts all of them, and counts what went to the file. */
static double spill_write(void *context) {
    spill *s = context;
    rr_stats before, after;
    rr_runtime_use(s->runtime);
    rr_get_stats(&before);
    double start = bench_now();
    for (long i = 0; i < s->n; i++) s->refs[i] = rr_put_bytes(contents(s, i), s->size);
    double time = bench_now() - start;
    rr_get_stats(&after);
    uint64_t bytes = after.spill_bytes_written - before.spill_bytes_written;
    BENCH_CHECK(bytes >= (uint64_t)(s->n - s->n / IN_STORE) * s->size);
    return megabytes_per_second(bytes, time);
}

/* Reads all of them, the oldest first, and counts what came back; then they go. The time of the
   gets alone: what was read is compared outside it. */
static double spill_read(void *context) {
    spill *s = context;
    rr_stats before, after;
    double time = 0;
    rr_runtime_use(s->runtime);
    rr_get_stats(&before);
    for (long i = 0; i < s->n; i++) {
        const char *expected = contents(s, i);
        rr_bytes view;
        rr_scope scope = rr_scope_begin();
        double start = bench_now();
        BENCH_CHECK(rr_get(rr_bytes, s->refs[i], &view) == RR_OK && view.size == s->size);
        time += bench_now() - start;
        BENCH_CHECK(memcmp(view.data, expected, s->size) == 0);
        rr_scope_end(scope);
    }
    rr_get_stats(&after);
    for (long i = 0; i < s->n; i++) rr_release(s->refs[i]);
    return megabytes_per_second(after.spill_bytes_read - before.spill_bytes_read, time);
}

typedef struct dd {
    uint64_t bytes;
    char *option, file[256];
} dd;

/* MB/s, with the start of the program. */
static double dd_run(const dd *d, const char *from, const char *to, char *option) {
    extern char **environ;
    char count[32], input[300], output[300];
    snprintf(count, sizeof count, "count=%llu", (unsigned long long)(d->bytes / DD_BLOCK));
    snprintf(input, sizeof input, "if=%s", from), snprintf(output, sizeof output, "of=%s", to);
    char *line[] = {"dd", "bs=8M", "status=none", count, input, output, option, NULL};
    pid_t child;
    int status = 1;
    double start = bench_now();
    BENCH_CHECK(posix_spawnp(&child, "dd", NULL, NULL, line, environ) == 0);
    BENCH_CHECK(waitpid(child, &status, 0) == child && status == 0);
    return megabytes_per_second(d->bytes, bench_now() - start);
}

static double dd_write(void *context) {
    const dd *d = context;
    return dd_run(d, "/dev/zero", d->file, d->option);
}

static double dd_read(void *context) {
    const dd *d = context;
    double result = dd_run(d, d->file, "/dev/null", NULL);
    BENCH_CHECK(unlink(d->file) == 0);
    return result;
}

static dd dd_of(uint64_t bytes, char *option) {
    dd d = {bytes, option, ""};
    snprintf(d.file, sizeof d.file, "%s/rustyray-bench-%ld", folder, (long)getpid());
    return d;
}

/* n objects, at least 8, of which the store holds an eighth. */
static void measure_spill(const char *name, size_t size, long n) {
    if (n < IN_STORE) n = IN_STORE;
    rr_config config = {.store_bytes = (size_t)n / IN_STORE * size, .spill_dir = folder};
    rr_runtime *runtime = rr_runtime_create(&config);
    spill s = {size, n, malloc(size), runtime, calloc((size_t)n, sizeof(rr_ref))};
    dd d = dd_of(DD_BYTES, NULL);
    BENCH_CHECK(s.data && s.refs && s.runtime);
    memset(s.data, 5, size);
    const side sides[] = {{"write", "", "MB/s", spill_write, &s},
                          {"back", "", "MB/s", spill_read, &s},
                          {"write", "-dd", "MB/s", dd_write, &d},
                          {"back", "-dd", "MB/s", dd_read, &d}};
    in_turn(name, sides, 4);
    rr_runtime_use(NULL);
    BENCH_CHECK(rr_runtime_destroy(runtime) == RR_OK);
    free(s.data), free(s.refs);
}

/* ---- what stays in memory: reads that found it there, in per cent ---- */

enum { HIT_SIZE = 16 << 10, HIT_ROOM = 256, HIT_VALUES = 2048, HIT_READS = 50000 };

typedef struct trace {
    rr_ref refs[HIT_VALUES];
    double weights[HIT_VALUES]; /* sums: of the first, of the first two, ... */
    uint64_t random;
    long next; /* of a scan */
} trace;

static double trace_random(trace *t) {
    t->random = t->random * 6364136223846793005u + 1442695040888963407u;
    return (double)(t->random >> 11) / 9007199254740992.0;
}
/* One after the other, a quarter more than there is room for. */
static long trace_loop(trace *t) { return t->next++ % (HIT_ROOM * 5 / 4); }
/* Half of what there is room for at random; every fourth read is the next one of a scan of all. */
static long trace_scan(trace *t) {
    bool is_scan = trace_random(t) < 0.25;
    return is_scan ? t->next++ % HIT_VALUES : (long)(trace_random(t) * HIT_ROOM / 2);
}
/* Zipf's law: the n-th most popular is read 1/n^0.9 times as often as the first. */
static long trace_zipf(trace *t) {
    double at = trace_random(t) * t->weights[HIT_VALUES - 1];
    long low = 0, high = HIT_VALUES - 1;
    while (low < high) {
        long middle = (low + high) / 2;
        if (t->weights[middle] < at) low = middle + 1;
        else high = middle;
    }
    return low;
}

static void measure_trace(trace *t, const char *variant, long (*next)(trace *)) {
    rr_stats before, after;
    t->random = 1, t->next = 0;
    for (long i = 0; i < 2 * HIT_READS; i++) {
        rr_scope scope = rr_scope_begin();
        rr_bytes view;
        if (i == HIT_READS) rr_get_stats(&before); /* it is warm */
        BENCH_CHECK(rr_get(rr_bytes, t->refs[next(t)], &view) == RR_OK);
        rr_scope_end(scope);
    }
    rr_get_stats(&after);
    bench_value("store", variant, "%",
                100.0 * (double)(after.store_hits - before.store_hits) / HIT_READS);
}

static void measure_hits(void) {
    const rr_config config = {.store_bytes = (size_t)HIT_ROOM * HIT_SIZE, .spill_dir = folder};
    rr_runtime *runtime = rr_runtime_create(&config);
    trace *t = calloc(1, sizeof *t);
    char *data = calloc(1, HIT_SIZE);
    BENCH_CHECK(runtime && t && data);
    rr_runtime_use(runtime);
    for (int i = 0; i < HIT_VALUES; i++) {
        t->refs[i] = rr_put_bytes(data, HIT_SIZE);
        t->weights[i] = (i ? t->weights[i - 1] : 0) + pow(i + 1, -0.9);
    }
    measure_trace(t, "hits-loop", trace_loop);
    measure_trace(t, "hits-scan", trace_scan);
    measure_trace(t, "hits-zipf", trace_zipf);
    for (int i = 0; i < HIT_VALUES; i++) rr_release(t->refs[i]);
    rr_runtime_use(NULL);
    BENCH_CHECK(rr_runtime_destroy(runtime) == RR_OK);
    free(t), free(data);
}

/* What dd takes until all is on the disk; nothing of ours waits for that. In the CSV only. */
static void measure_sync(void) {
    dd d = dd_of(DD_BYTES, "conv=fdatasync");
    bench_value("store", "write-synced-dd", "MB/s", dd_write(&d));
    dd_read(&d);
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
    const rr_config config = {.store_bytes = (size_t)8 << 30};
    folder = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    if (rr_init(NULL) != RR_OK || !(limited = rr_runtime_create(&config))) return 1;
    measure("64B", 64, bench_amount(300000));
    measure("4KiB", 4096, bench_amount(100000));
    measure("1MiB", 1 << 20, bench_amount(300));
    measure("64MiB", 64 << 20, 4);
    measure_reads();
    measure_gathers();
    measure_names();
    rr_runtime_use(NULL);
    if (rr_runtime_destroy(limited) != RR_OK || rr_shutdown() != RR_OK) return 1;
    if (rr_init(NULL) != RR_OK) return 1;
    measure_spill("4KiB", 4096, bench_amount(32768));
    measure_spill("1MiB", 1 << 20, bench_amount(512));
    measure_spill("64MiB", 64 << 20, bench_amount(16));
    measure_sync();
    measure_hits();
    return rr_shutdown() != RR_OK;
}
