/* The implementation after system headers, which have fixed by then what they declare. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
REMOTE_FN(int, same, int, v) { return v; }
int main(void) {
    if (rr_init(NULL) != RR_OK) return 1;
    if (rr_unwrap(int, rr_call(same, 3)) != 3 || rr_shutdown() != RR_OK) return 1;
    puts("works");
    return 0;
}
