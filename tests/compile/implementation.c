/* The unit with the implementation, included twice. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "rustyray.h"
