/* The user's own implementation of stb_ds. */
#define STB_DS_IMPLEMENTATION
#include "stb_ds.h"
