/* 09_word_count: map and reduce. A task per line makes a sorted list of its words, a
   tree of tasks merges lists in pairs; lists are results of any size (rr_bytes). */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include <ctype.h>
#include <stdlib.h>

static const char *const TEXT[] = {
    "The sun rose and the wind fell, and the boats went out.",
    "The boats went out to sea, and the sea was calm.",
    "At noon the wind rose. The sea rose with the wind,",
    "and some of the boats came back.",
    "",
    "At night the wind fell and the sea was calm;",
    "the rest of the boats came back, and all was well.",
};
enum { LINES = sizeof TEXT / sizeof *TEXT, LONGEST = 15, SHOWN = 8 };

typedef struct Word {
    char text[LONGEST + 1];
    int count;
} Word;

static int by_text(const void *a, const void *b) {
    return strcmp(((const Word *)a)->text, ((const Word *)b)->text);
}
static int by_count(const void *a, const void *b) {
    const Word *left = a, *right = b;
    return left->count != right->count ? right->count - left->count : by_text(a, b);
}

/* Cuts a line into words, in small letters; what is longer than LONGEST is cut off. */
static size_t split(const char *text, size_t size, Word *words) {
    size_t n = 0;
    for (size_t at = 0; at < size;) {
        size_t length = 0;
        Word word = {"", 1};
        for (; at < size && isalpha((unsigned char)text[at]); at++)
            if (length < LONGEST) word.text[length++] = (char)tolower((unsigned char)text[at]);
        if (length) words[n++] = word;
        else at++;
    }
    return n;
}

REMOTE_FN(rr_bytes, words_of, rr_bytes, line) {
    /* Words and the gaps between them take two characters at least. */
    Word *words = rr_result((line.size / 2 + 1) * sizeof *words);
    if (!words) return rr_bytes_of(NULL, 0); /* the task fails with the reason */
    size_t n = split(line.data, line.size, words), kept = 0;
    qsort(words, n, sizeof *words, by_text);
    for (size_t i = 0; i < n; i++) {
        if (kept && !by_text(&words[kept - 1], &words[i])) words[kept - 1].count++;
        else words[kept++] = words[i];
    }
    return rr_bytes_of(words, kept * sizeof *words); /* the first bytes of the room */
}

/* Merges two sorted lists; the counts of a word that is in both are added. */
REMOTE_FN(rr_bytes, merge, rr_bytes, left, rr_bytes, right) {
    const Word *a = left.data, *b = right.data;
    size_t na = left.size / sizeof *a, nb = right.size / sizeof *b, n = 0;
    Word *out = rr_result(left.size + right.size);
    if (!out) return rr_bytes_of(NULL, 0);
    for (size_t i = 0, j = 0; i < na || j < nb; n++) {
        int order = i == na ? 1 : j == nb ? -1 : by_text(&a[i], &b[j]);
        out[n] = order <= 0 ? a[i] : b[j];
        if (order == 0) out[n].count += b[j].count;
        i += order <= 0, j += order >= 0;
    }
    return rr_bytes_of(out, n * sizeof *out);
}

/* Nothing waits here: the tree stands before the first line is counted. */
static rr_ref count_words(void) {
    rr_ref lists[LINES];
    for (size_t i = 0; i < LINES; i++)
        lists[i] = rr_call(words_of, rr_bytes_of(TEXT[i], strlen(TEXT[i])));
    for (size_t n = LINES; n > 1; n = (n + 1) / 2) {
        for (size_t i = 0; i < n / 2; i++)
            lists[i] = rr_call(merge, lists[2 * i], lists[2 * i + 1]);
        if (n % 2) lists[n / 2] = lists[n - 1];
    }
    return lists[0];
}

static int print_most_frequent(rr_bytes list) {
    size_t n = list.size / sizeof(Word), total = 0;
    Word *words = malloc(list.size + 1); /* a view is read-only: sort a copy */
    if (!words) return 1;
    memcpy(words, list.data, list.size);
    qsort(words, n, sizeof *words, by_count);
    for (size_t i = 0; i < n; i++) total += (size_t)words[i].count;
    printf("%zu words, %zu different\n", total, n);
    for (size_t i = 0; i < n && i < SHOWN; i++) printf("%3d %s\n", words[i].count, words[i].text);
    free(words);
    return 0;
}

int main(void) {
    if (rr_init(NULL) != RR_OK) return 1;
    rr_scope scope = rr_scope_begin();
    rr_ref counted = count_words();
    rr_bytes list; /* a view of the object, valid until the scope ends */
    int failed = rr_get(rr_bytes, counted, &list) != RR_OK;
    if (failed) fprintf(stderr, "%s\n", rr_error_message(counted));
    else failed = print_most_frequent(list);
    rr_scope_end(scope);
    return rr_shutdown() == RR_OK && !failed ? 0 : 1;
}
