/* The user's own stb_ds, with its short names, after the implementation in one unit. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "stb_ds.h"
int stb_works(void);
int stb_works(void) {
    int *numbers = NULL;
    struct { char *key; int value; } *map = NULL;
    arrput(numbers, 4);
    shput(map, "one", 5);
    int sum = numbers[0] + shget(map, "one");
    arrfree(numbers);
    shfree(map);
    return sum == 9;
}
