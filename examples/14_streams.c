/* 14_streams: a body that gives one object after the other, which others use meanwhile. A long
   file is read piece by piece, at most four pieces ahead of the reader; each piece goes to a task.
   Who has seen enough lets go. And rr_field: one member of a result. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include <stdatomic.h>

enum { LINES = 50000, PIECE = 10000, AHEAD = 4, NO_FILE = 2 };

/* rr_yield waits while AHEAD pieces are unread, and takes no worker meanwhile. */
static atomic_int given;
REMOTE_STREAM(rr_bytes, pieces, rr_bytes, path) {
    char piece[PIECE];
    size_t size;
    FILE *in = fopen(path.data, "r");
    if (!in) {
        rr_fail(NO_FILE, "no file '%s'", (const char *)path.data);
        return;
    }
    while ((size = fread(piece, 1, sizeof piece, in)) > 0) {
        if (rr_yield(rr_bytes, rr_bytes_of(piece, size)) != RR_OK) break;
        given++;
    }
    fclose(in);
}

typedef struct Tally {
    int lines;
    int64_t digits; /* their sum */
} Tally;
REMOTE_FN(Tally, tally, rr_bytes, piece) {
    const char *text = piece.data;
    Tally t = {0, 0};
    for (size_t i = 0; i < piece.size; i++) {
        t.lines += text[i] == '\n';
        if (text[i] >= '0' && text[i] <= '9') t.digits += text[i] - '0';
    }
    return t;
}
REMOTE_FN(Tally, merge, Tally, a, Tally, b) {
    return (Tally){a.lines + b.lines, a.digits + b.digits};
}

/* From the stream to tasks, and from those to one result. */
static void count(const char *path) {
    rr_scope scope = rr_scope_begin();
    rr_options options = {.max_unread = AHEAD};
    rr_stream s = rr_call_stream_with(options, pieces, rr_bytes_of(path, strlen(path) + 1));
    rr_ref piece, sum = rr_put(Tally, {0, 0});
    int n = 0, most = 0;
    rr_status status;
    for (; (status = rr_next(s, &piece)) == RR_OK; rr_release(piece)) {
        sum = rr_call(merge, sum, rr_call(tally, piece));
        int ahead = given - ++n;
        if (ahead > most) most = ahead;
    }
    if (status == RR_ERR_END) { /* all was read */
        printf("%d pieces, %s far ahead\n", n, most <= AHEAD ? "never too" : "too");
        rr_ref lines = rr_field(int, sum, Tally, lines); /* complete when the sum is */
        rr_ref digits = rr_field(int64_t, sum, Tally, digits);
        printf("%d lines, ", rr_unwrap(int, lines));
        printf("sum of digits %lld\n", (long long)rr_unwrap(int64_t, digits));
    } else printf("%s: %s\n", rr_status_name(status), rr_error_message((rr_ref){0}));
    rr_scope_end(scope);
}

/* It would go on for ever. */
static atomic_bool has_ended;
REMOTE_STREAM(int, primes, int, from) {
    rr_status status = RR_OK;
    for (int n = from; status == RR_OK; n++) {
        int d = 2;
        while (d * d <= n && n % d) d++;
        if (d * d > n) status = rr_yield(int, n);
    }
    printf("\nthe producer: %s\n", rr_status_name(status));
    has_ended = true;
}
static void first_primes(int count) {
    rr_stream s = rr_call_stream_with(RR_OPTIONS(.max_unread = 10), primes, 1000);
    for (rr_ref r; count > 0 && rr_next(s, &r) == RR_OK; rr_release(r), count--)
        printf("%d ", rr_unwrap(int, r));
    rr_release(s); /* nobody reads any more: the body is told */
    while (!has_ended) rr_sleep_ms(1);
}

int main(void) {
    FILE *out = fopen("14_streams.txt", "w");
    if (!out || rr_init(NULL) != RR_OK) return 1;
    for (int i = 0; i < LINES; i++) fprintf(out, "line %d\n", i);
    fclose(out);
    count("14_streams.txt");
    count("no_such_file.txt");
    first_primes(8);
    remove("14_streams.txt");
    return rr_shutdown() == RR_OK ? 0 : 1;
}
