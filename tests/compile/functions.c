/* A unit with remote functions and no implementation; includes the header several times. */
#include "rustyray.h"
#include "functions.h"
#include "functions.h"
#include "rustyray.h"
REMOTE_FN(int, twice, int, v) { return 2 * v; }
REMOTE_ACTOR(Total, create, int, start) { self->sum = start; }
REMOTE_METHOD(int, Total, add, int, v) { return self->sum += v; }
REMOTE_DESTRUCTOR(Total) { self->sum = 0; }
