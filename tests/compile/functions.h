/* Functions of one unit, declared for another; included twice. */
#include "rustyray.h"
#ifndef FUNCTIONS_H
#define FUNCTIONS_H
typedef struct Total {
    int sum;
} Total;
REMOTE_FN_DECLARE(int, twice, int, v);
REMOTE_ACTOR_DECLARE(Total, create, int, start);
REMOTE_METHOD_DECLARE(int, Total, add, int, v);
#endif
