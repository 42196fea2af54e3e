/* demo: counts the words of many files, as map and reduce. The files become objects of
   about 256 KiB, cut between words; a task per object makes a table of its words; a
   tree of tasks merges tables over references; an actor shows progress where stderr
   is a terminal. The result is checked against a serial count of the same objects.
   Usage: demo FILE_OR_FOLDER... */
#define _POSIX_C_SOURCE 200809L /* lstat */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024, BLOCK = 64 * 1024, FAN_IN = 8, SHOWN = 20, LONGEST = 4096 };

/* ---- a table of words: open addressing, the words one after the other in an arena ---- */

typedef struct Entry {
    uint64_t count;
    size_t start; /* of the word in the arena */
    uint32_t hash, length;
} Entry;

typedef struct Table {
    Entry *entries;  /* in order of first appearance */
    uint32_t *slots; /* 0, or 1 + the index of an entry; a power of two of them */
    char *arena;
    size_t count, slot_count, arena_used, arena_size;
} Table;

static void table_free(Table *t) {
    free(t->entries);
    free(t->slots);
    free(t->arena);
    *t = (Table){0};
}

/* Room for twice the entries: a table is at most half full. */
static bool table_grow(Table *t) {
    size_t slot_count = t->slot_count ? 2 * t->slot_count : 4096;
    Entry *entries = realloc(t->entries, slot_count / 2 * sizeof *entries);
    if (entries) t->entries = entries;
    uint32_t *slots = calloc(slot_count, sizeof *slots);
    if (!entries || !slots) {
        free(slots);
        return false;
    }
    for (size_t i = 0; i < t->count; i++) {
        size_t at = entries[i].hash & (slot_count - 1);
        while (slots[at]) at = (at + 1) & (slot_count - 1);
        slots[at] = (uint32_t)i + 1;
    }
    free(t->slots);
    t->slots = slots;
    t->slot_count = slot_count;
    return true;
}

static bool arena_reserve(Table *t, size_t size) {
    if (t->arena_used + size <= t->arena_size) return true;
    size_t wanted = 2 * (t->arena_used + size) + 4096;
    char *arena = realloc(t->arena, wanted);
    if (!arena) return false;
    t->arena = arena;
    t->arena_size = wanted;
    return true;
}

/* The slot of a word: its own or the free one where it belongs. */
static uint32_t *table_slot(const Table *t, const char *word, uint32_t length, uint32_t hash) {
    for (size_t at = hash & (t->slot_count - 1);; at = (at + 1) & (t->slot_count - 1)) {
        if (!t->slots[at]) return &t->slots[at];
        const Entry *e = &t->entries[t->slots[at] - 1];
        bool same = e->hash == hash && e->length == length;
        if (same && !memcmp(t->arena + e->start, word, length)) return &t->slots[at];
    }
}

/* False if memory runs out. */
static bool table_add(Table *t, const char *word, uint32_t length, uint32_t hash, uint64_t count) {
    if (2 * t->count == t->slot_count && !table_grow(t)) return false;
    uint32_t *slot = table_slot(t, word, length, hash);
    if (!*slot) {
        if (t->count == UINT32_MAX - 1 || !arena_reserve(t, length)) return false;
        memcpy(t->arena + t->arena_used, word, length);
        t->entries[t->count] = (Entry){0, t->arena_used, hash, length};
        t->arena_used += length;
        *slot = (uint32_t)++t->count;
    }
    t->entries[*slot - 1].count += count;
    return true;
}

/* ---- words: letters, and whatever is not ASCII; ASCII letters made small ---- */

/* What a byte becomes as a part of a word; 0 if it is none. */
static inline unsigned char letter(unsigned char c) {
    unsigned char small = c | 32;
    if (small >= 'a' && small <= 'z') return small;
    return c >= 128 ? c : 0;
}

/* Counts the words of a text. What is longer than LONGEST is cut into pieces. */
static bool count_words(Table *t, const char *text, size_t size) {
    const unsigned char *at = (const unsigned char *)text, *end = at + size;
    char word[LONGEST];
    while (at < end) {
        uint32_t hash = 2166136261u, length = 0; /* FNV-1a, then mixed */
        for (unsigned char c; at < end && length < LONGEST && (c = letter(*at)); at++) {
            word[length++] = (char)c;
            hash = (hash ^ c) * 16777619u;
        }
        hash ^= hash >> 15;
        if (length && !table_add(t, word, length, hash, 1)) return false;
        while (at < end && !letter(*at)) at++;
    }
    return true;
}

/* ---- tables as objects: a header, the entries, the arena ---- */

typedef struct Header {
    size_t count, arena_used;
} Header;

static rr_bytes table_to_result(const Table *t) {
    size_t entries = t->count * sizeof *t->entries;
    size_t size = sizeof(Header) + entries + t->arena_used;
    char *room = rr_result(size);
    if (!room) return rr_bytes_of(NULL, 0); /* the task fails with the reason */
    memcpy(room, &(Header){t->count, t->arena_used}, sizeof(Header));
    if (t->count) {
        memcpy(room + sizeof(Header), t->entries, entries);
        memcpy(room + sizeof(Header) + entries, t->arena, t->arena_used);
    }
    return rr_bytes_of(room, size);
}

/* A table that looks into an object; for reading its entries only. */
static Table table_of_view(rr_bytes view) {
    Header header;
    memcpy(&header, view.data, sizeof header);
    char *entries = (char *)view.data + sizeof header;
    char *arena = entries + header.count * sizeof(Entry);
    return (Table){.entries = (Entry *)(void *)entries, .arena = arena, .count = header.count};
}

static rr_bytes finish(Table *t, bool complete) {
    rr_bytes result = rr_bytes_of(NULL, 0);
    if (complete) result = table_to_result(t);
    else rr_fail(ENOMEM, "no memory for a table of %zu words", t->count);
    table_free(t);
    return result;
}

/* ---- the tasks and the actor ---- */

typedef struct Progress {
    size_t done, total;
    bool shown;
} Progress;
REMOTE_ACTOR(Progress, create, size_t, total) {
    self->total = total;
    self->shown = isatty(2) == 1;
}
REMOTE_METHOD(void, Progress, add, size_t, bytes) {
    size_t before = self->done * 100 / self->total;
    self->done += bytes;
    size_t now = self->done * 100 / self->total;
    if (self->shown && now != before)
        fprintf(stderr, "\r%3zu%%%s", now, now == 100 ? "\r    \r" : "");
}

REMOTE_FN(rr_bytes, map_words, rr_bytes, text, rr_actor, progress) {
    Table t = {0};
    bool complete = count_words(&t, text.data, text.size);
    rr_tell(progress, Progress_add, text.size); /* the count is right without it */
    return finish(&t, complete);
}

REMOTE_FN(rr_bytes, merge_tables, rr_many, parts) {
    Table t = {0};
    bool complete = true;
    for (size_t i = 0; i < parts.count; i++) {
        Table part = table_of_view(parts.items[i]);
        for (size_t j = 0; complete && j < part.count; j++) {
            const Entry *e = &part.entries[j];
            complete = table_add(&t, part.arena + e->start, e->length, e->hash, e->count);
        }
    }
    return finish(&t, complete);
}

/* ---- input: files, cut into objects ---- */

typedef struct Input {
    char *buffer; /* what has not become an object yet */
    size_t used, size;
    rr_ref *chunks;
    size_t count, room, bytes;
    size_t files, skipped; /* skipped: what could not be read; binary files do not count */
} Input;

static bool input_reserve(Input *in, size_t more) {
    if (in->used + more <= in->size) return true;
    size_t wanted = 2 * in->size + more + CHUNK;
    char *buffer = realloc(in->buffer, wanted);
    if (!buffer) return false;
    in->buffer = buffer;
    in->size = wanted;
    return true;
}

/* Makes an object of the first bytes of the buffer. */
static bool input_cut(Input *in, size_t size) {
    if (in->count == in->room) {
        size_t room = 2 * in->room + 64;
        rr_ref *chunks = realloc(in->chunks, room * sizeof *chunks);
        if (!chunks) return false;
        in->chunks = chunks;
        in->room = room;
    }
    in->chunks[in->count++] = rr_put_bytes(in->buffer, size);
    in->bytes += size;
    in->used -= size;
    memmove(in->buffer, in->buffer + size, in->used);
    return true;
}

/* Cuts off full objects, between words; a word longer than that waits for its end. */
static bool input_cut_full(Input *in) {
    while (in->used > CHUNK) {
        size_t end = CHUNK;
        while (end > 0 && letter((unsigned char)in->buffer[end - 1])) end--;
        if (end == 0) /* the first word fills it all: up to its end, if that is here */
            for (end = CHUNK; end < in->used && letter((unsigned char)in->buffer[end]);) end++;
        if (end == in->used) return true;
        if (!input_cut(in, end)) return false;
    }
    return true;
}

static void complain(Input *in, const char *path, const char *what) {
    fprintf(stderr, "demo: %s: %s; skipped\n", path, what);
    in->skipped++;
}

/* A file is binary, and skipped, if there is a zero byte in its first block. */
static bool read_file(Input *in, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) return complain(in, path, strerror(errno)), true;
    size_t n = 0;
    bool first = true, complete = true, binary = false;
    while ((complete = input_reserve(in, BLOCK + 1)) &&
           (n = fread(in->buffer + in->used, 1, BLOCK, file)) > 0) {
        binary = first && memchr(in->buffer + in->used, 0, n);
        if (binary) break;
        first = false;
        in->used += n;
        if (!(complete = input_cut_full(in))) break;
    }
    bool broken = ferror(file);
    fclose(file);
    if (!complete) return false;
    if (binary) return true;
    if (broken) return complain(in, path, "cannot be read (to its end)"), true;
    in->buffer[in->used++] = '\n'; /* a word does not go on in the next file */
    in->files++;
    return true;
}

static bool read_path(Input *in, const char *path, bool named);

/* Folders are walked; hidden files, build folders and symbolic links in them are not. */
static bool read_folder(Input *in, const char *path) {
    struct dirent **names;
    int n = scandir(path, &names, NULL, alphasort);
    if (n < 0) return complain(in, path, strerror(errno)), true;
    bool complete = true;
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        size_t size = strlen(path) + strlen(name) + 2;
        char *inner = malloc(size);
        if (!inner) complete = false;
        if (complete && name[0] != '.' && strcmp(name, "build") != 0) {
            snprintf(inner, size, "%s/%s", path, name);
            complete = read_path(in, inner, false);
        }
        free(inner);
        free(names[i]);
    }
    free(names);
    return complete;
}

static bool read_path(Input *in, const char *path, bool named) {
    struct stat info;
    if ((named ? stat : lstat)(path, &info) != 0) return complain(in, path, strerror(errno)), true;
    if (S_ISDIR(info.st_mode)) return read_folder(in, path);
    return named || S_ISREG(info.st_mode) ? read_file(in, path) : true;
}

/* ---- the two counts ---- */

static bool count_serially(Table *t, const Input *in) {
    for (size_t i = 0; i < in->count; i++) {
        rr_bytes text;
        if (rr_get(rr_bytes, in->chunks[i], &text) != RR_OK) return false;
        if (!count_words(t, text.data, text.size)) return false;
    }
    return true;
}

/* Submits everything at once; nothing here waits for a result. */
static rr_ref count_in_parallel(const Input *in) {
    rr_ref none = {0}, *tables = malloc(in->count * sizeof *tables);
    if (!tables) return none;
    rr_actor progress = rr_spawn(Progress_create, in->bytes);
    for (size_t i = 0; i < in->count; i++) tables[i] = rr_call(map_words, in->chunks[i], progress);
    for (size_t n = in->count, groups; n > 1; n = groups) {
        groups = 0;
        for (size_t i = 0; i < n; i += FAN_IN) {
            size_t width = n - i < FAN_IN ? n - i : FAN_IN;
            rr_ref list = rr_gather(&tables[i], width), merged = rr_call(merge_tables, list);
            for (size_t j = i; j < i + width; j++) rr_release(tables[j]); /* the list counts them */
            rr_release(list); /* and the task counts the list: tables go as they are merged */
            tables[groups++] = merged;
        }
    }
    rr_ref root = tables[0];
    free(tables);
    return root;
}

static bool same_counts(const Table *serial, const Table *parallel) {
    if (serial->count != parallel->count) return false;
    for (size_t i = 0; i < parallel->count; i++) {
        const Entry *e = &parallel->entries[i];
        uint32_t slot = *table_slot(serial, parallel->arena + e->start, e->length, e->hash);
        if (!slot || serial->entries[slot - 1].count != e->count) return false;
    }
    return true;
}

static const char *sort_arena; /* of the table that is being sorted */
static int more_frequent(const void *a, const void *b) {
    const Entry *left = a, *right = b;
    if (left->count != right->count) return left->count < right->count ? 1 : -1;
    size_t shorter = left->length < right->length ? left->length : right->length;
    int order = memcmp(sort_arena + left->start, sort_arena + right->start, shorter);
    return order ? order : left->length < right->length ? -1 : 1;
}

static bool print_most_frequent(const Table *t) {
    Entry *entries = malloc(t->count * sizeof *entries + 1); /* a view is read-only: sort a copy */
    if (!entries) return false;
    if (t->count) memcpy(entries, t->entries, t->count * sizeof *entries);
    sort_arena = t->arena;
    qsort(entries, t->count, sizeof *entries, more_frequent);
    uint64_t words = 0;
    for (size_t i = 0; i < t->count; i++) words += entries[i].count;
    printf("%llu words, %zu different; the most frequent:\n", (unsigned long long)words, t->count);
    for (size_t i = 0; i < t->count && i < SHOWN; i++)
        printf("%10llu  %.*s\n", (unsigned long long)entries[i].count, (int)entries[i].length,
               t->arena + entries[i].start);
    free(entries);
    return true;
}

static int run(const Input *in) {
    double start = rr_now();
    rr_ref counted = count_in_parallel(in);
    rr_bytes view;
    if (rr_get(rr_bytes, counted, &view) != RR_OK) {
        fprintf(stderr, "demo: %s\n", rr_error_message(counted));
        return 1;
    }
    double parallel_time = rr_now() - start;
    Table parallel = table_of_view(view), serial = {0};
    start = rr_now();
    bool complete = count_serially(&serial, in);
    double serial_time = rr_now() - start;
    bool same = complete && same_counts(&serial, &parallel);
    complete = complete && print_most_frequent(&parallel);
    table_free(&serial);

    rr_stats stats;
    rr_get_stats(&stats);
    printf("tasks:  %8.1f ms on %d workers\n", parallel_time * 1e3, (int)stats.workers);
    printf("serial: %8.1f ms, %.2f times as long\n", serial_time * 1e3,
           serial_time / parallel_time);
    if (!complete) fputs("demo: memory ran out\n", stderr);
    else puts(same ? "both counts agree" : "the counts DIFFER");
    return same ? 0 : 1;
}

int main(int argc, char **argv) {
    if (rr_init(NULL) != RR_OK) return 1;
    rr_scope scope = rr_scope_begin();
    Input in = {0};
    bool complete = true;
    for (int i = 1; i < argc && complete; i++) complete = read_path(&in, argv[i], true);
    if (complete && in.used) complete = input_cut(&in, in.used);

    int status = 1;
    if (!complete) {
        fputs("demo: memory ran out while reading\n", stderr);
    } else if (!in.files) {
        fputs("demo: no text files to count; usage: demo FILE_OR_FOLDER...\n", stderr);
        status = 2;
    } else {
        printf("%zu files, %zu skipped; %zu bytes in %zu objects\n", in.files, in.skipped, in.bytes,
               in.count);
        status = run(&in);
    }
    rr_scope_end(scope);
    free(in.buffer);
    free(in.chunks);
    return rr_shutdown() == RR_OK ? status : 1;
}
