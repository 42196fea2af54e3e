/* 10_plugin_lib: the plug-in of 10_plugin, built as a shared object. It includes the
   header without the implementation, which is in the program that loads it. */
#include "rustyray.h"

REMOTE_FN(double, plugin_area, double, width, double, height) { return width * height; }
REMOTE_FN(double, plugin_volume, double, area, double, depth) { return area * depth; }

/* A plug-in's tasks can start tasks of their own. */
REMOTE_FN(double, plugin_areas, int, count) {
    double total = 0;
    for (int i = 1; i <= count; i++) total += rr_unwrap(double, rr_call(plugin_area, i, i));
    return total;
}
