/* Uses functions of another unit; whichever unit it is linked with has the implementation. */
#include "functions.h"
#include <stdio.h>
int stb_works(void);
int main(void) {
    if (rr_init(NULL) != RR_OK) return 1;
    rr_actor total = rr_spawn(Total_create, 1);
    int v = rr_unwrap(int, rr_ask(total, Total_add, rr_call(twice, rr_call(twice, 3))));
    if (v != 13 || rr_shutdown() != RR_OK) return 1;
#ifdef WITH_STB
    if (!stb_works()) return 1;
#endif
    puts("works");
    return 0;
}
