/* 10_plugin: remote functions from a shared object that is loaded while the runtime
   runs. The program knows only their names (10_plugin_lib.c has the bodies) and is
   linked with -rdynamic, so that the plug-in finds the library in it.
   Usage: 10_plugin [path of the plug-in] */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include <dlfcn.h>

/* The plug-in lies beside the program unless the caller says where. */
static const char *plugin_path(int argc, char **argv, char *room, size_t size) {
    if (argc > 1) return argv[1];
    const char *slash = strrchr(argv[0], '/');
    int folder = slash ? (int)(slash - argv[0]) : 1;
    snprintf(room, size, "%.*s/10_plugin_lib.so", folder, slash ? argv[0] : ".");
    return room;
}

static void tell(const char *what, rr_ref ref) {
    double value;
    rr_status status = rr_get(double, ref, &value);
    if (status == RR_OK) printf("%s: %.2f\n", what, value);
    else printf("%s: %s\n", what, rr_status_name(status));
}

int main(int argc, char **argv) {
    if (rr_init(NULL) != RR_OK) return 1;
    rr_scope scope = rr_scope_begin();

    tell("before", rr_call_named("plugin_area", RR_VALUE(double, 2), RR_VALUE(double, 3)));

    char room[4096];
    const char *path = plugin_path(argc, argv, room, sizeof room);
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL); /* its constructors register */
    if (!plugin) {
        fprintf(stderr, "cannot load the plug-in: %s\n", dlerror());
        return 1;
    }

    rr_ref area = rr_call_named("plugin_area", RR_VALUE(double, 2), RR_VALUE(double, 3));
    tell("area", area);
    tell("volume", rr_call_named("plugin_volume", area, rr_put(double, 10))); /* references too */
    tell("of a list", rr_call_named("plugin_areas", RR_VALUE(int, 5)));

    /* What the compiler checks in rr_call is checked here when the program runs. */
    tell("too few", rr_call_named("plugin_area", RR_VALUE(double, 2)));
    tell("another type", rr_call_named("plugin_area", RR_VALUE(int, 2), RR_VALUE(double, 3)));

    rr_scope_end(scope);
    /* No dlclose: the runtime may use what was registered until it ends. */
    return rr_shutdown() == RR_OK ? 0 : 1;
}
