/* The user's own stb_ds, with its short names, before the implementation in one unit. */
#include "stb_ds.h"
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
int stb_works(void);
int stb_works(void) {
    int *numbers = NULL;
    struct { int key, value; } *map = NULL;
    arrput(numbers, 4);
    hmput(map, 1, 5);
    int sum = numbers[0] + hmget(map, 1);
    arrfree(numbers);
    hmfree(map);
    return sum == 9;
}
