/* Guards the registry: functions that come late with a library (dlopen) work like all others,
   registering by hand is harmless, and two functions of one name are told with their places. The
   program must be linked with -rdynamic for the plug-in tests; they are skipped, visibly, where
   that or a compiler is missing. */
#define _GNU_SOURCE
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include <dlfcn.h>
#include "test.h"
#include "fixture.h"

REMOTE_FN(int, registry_add, int, a, int, b) { return a + b; }
typedef struct Box { int v; } Box;
REMOTE_ACTOR(Box, create, int, v) { self->v = v; }
REMOTE_METHOD(int, Box, get) { return self->v; }
REMOTE_DESTRUCTOR(Box) { self->v = 0; }

static bool is(rr_ref r, int wanted) {
    int v = 0;
    rr_status status = rr_get(int, r, &v);
    if (status) fprintf(stderr, "%s\n", rr_error_message(r));
    return status == RR_OK && v == wanted;
}

TEST(registering_again_is_harmless) {
    CHECK(rr_register(RR_FUNCTION(registry_add)) == RR_OK);
    CHECK(rr_register(RR_CONSTRUCTOR(Box_create)) == RR_OK);
    CHECK(rr_register(RR_METHOD(Box_get)) == RR_OK);
    CHECK(rr_register(RR_DESTRUCTOR(Box)) == RR_OK);
    fixture f;
    START(&f, .workers = 1);
    CHECK(rr_register(RR_FUNCTION(registry_add)) == RR_OK);
    CHECK(is(rr_call_named("registry_add", RR_VALUE(int, 1), RR_VALUE(int, 2)), 3));
    CHECK(is(rr_ask(rr_spawn(Box_create, 4), Box_get), 4));
    fixture_stop(&f);
}

TEST(registering_nothing_is_refused) { CHECK(rr_register(NULL) == RR_ERR_INVALID); }

static void register_often(void *unused) {
    (void)unused;
    for (int i = 0; i < 1000; i++) CHECK(rr_register(RR_FUNCTION(registry_add)) == RR_OK);
}

TEST(registering_on_several_threads) {
    outside threads[4];
    for (int i = 0; i < 4; i++) outside_start(&threads[i], NULL, register_often, NULL);
    for (int i = 0; i < 4; i++) outside_join(&threads[i]);
}

/* Plug-ins, built here. */
static const char *const PLUG = "#include \"rustyray.h\"\n"
    "typedef struct Plug { int v; } Plug;\n"
    "REMOTE_FN(int, plug_%s, int, v) { return 3 * v; }\n"
    "REMOTE_ACTOR(Plug, create_%s, int, v) { self->v = v; }\n"
    "REMOTE_METHOD(int, Plug, get_%s) { return self->v; }\n"
    "rr_ref plug_call(int v);\n"
    "rr_ref plug_call(int v) { return rr_call(plug_%s, rr_call(plug_%s, v)); }\n"
    "rr_actor plug_spawn(int v);\n"
    "rr_actor plug_spawn(int v) { return rr_spawn(Plug_create_%s, v); }\n"
    "rr_ref plug_ask(rr_actor a);\n"
    "rr_ref plug_ask(rr_actor a) { return rr_ask(a, Plug_get_%s); }\n";

static char folder[] = "/tmp/rustyray-test-XXXXXX";

static void remove_folder(void) {
    char command[200];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command)) fprintf(stderr, "cannot remove %s\n", folder);
}

/* Why plug-ins cannot be tried here, or NULL. */
static const char *no_plugins(void) {
    if (!dlsym(RTLD_DEFAULT, "rr_register")) return "the program is not linked with -rdynamic";
    const char *cc = getenv("CC");
    char command[300];
    snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", cc && *cc ? cc : "cc");
    return system(command) ? "there is no C compiler" : NULL;
}

static void *load_plugin(const char *name, const char *file) {
    char source[300], library[300], command[2000];
    const char *cc = getenv("CC"), *slash = strrchr(__FILE__, '/');
    snprintf(source, sizeof source, "%s/%s.c", folder, file);
    snprintf(library, sizeof library, "%s/%s.so", folder, file);
    FILE *out = fopen(source, "w");
    if (!CHECK(out != NULL)) return NULL;
    fprintf(out, PLUG, name, name, name, name, name, name, name);
    fclose(out);
    snprintf(command, sizeof command, "%s -std=c11 -shared -fPIC -I'%.*s/..' -o '%s' '%s'",
             cc && *cc ? cc : "cc", slash ? (int)(slash - __FILE__) : 1, slash ? __FILE__ : ".",
             library, source);
    if (!CHECK(system(command) == 0)) return NULL;
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!CHECK(handle != NULL)) fprintf(stderr, "%s\n", dlerror());
    return handle;
}

static void use_plugin(void *handle) {
    rr_ref (*call)(int), (*ask)(rr_actor);
    rr_actor (*spawn)(int);
    *(void **)&call = dlsym(handle, "plug_call");
    *(void **)&ask = dlsym(handle, "plug_ask");
    *(void **)&spawn = dlsym(handle, "plug_spawn");
    if (!CHECK(call && ask && spawn)) return;
    CHECK(is(call(2), 18));
    CHECK(is(ask(spawn(7)), 7));
}

TEST_ALONE(library_loaded_while_the_runtime_runs) {
    const char *why = no_plugins();
    if (why || !CHECK(mkdtemp(folder) != NULL)) {
        printf("skipped: plug-ins: %s\n", why ? why : "no folder");
        return;
    }
    atexit(remove_folder);
    fixture f;
    START(&f, .workers = 2);
    CHECK(rr_get_void(rr_call_named("plug_late", RR_VALUE(int, 5))) == RR_ERR_NOT_FOUND);
    void *handle = load_plugin("late", "late");
    CHECK(is(rr_call_named("plug_late", RR_VALUE(int, 5)), 15));
    CHECK(is(rr_call_named("plug_late", rr_call(registry_add, 2, 2)), 12));
    if (handle) use_plugin(handle);
    CHECK(fixture_messages(&f) == 0);
    fixture_stop(&f);
    START(&f, .workers = 1); /* and in a runtime that starts afterwards */
    CHECK(is(rr_call_named("plug_late", RR_VALUE(int, 5)), 15));
    fixture_stop(&f);
}

/* These two leave a duplicate behind, so they are the last. */
TEST_ALONE(same_name_registered_by_hand_is_refused) {
    static rr_function twin;
    memset((void *)&twin, 0, sizeof twin);
    twin.name = "registry_add", twin.thunk = rr__fn_registry_add.thunk;
    twin.params = rr__fn_registry_add.params, twin.result = rr__fn_registry_add.result;
    twin.arity = 2, twin.kind = rr__fn_registry_add.kind, twin.site = "elsewhere.c:12";
    fixture f;
    START(&f, .workers = 1);
    CHECK(rr_register(&twin) == RR_ERR_DUPLICATE);
    CHECK(is(rr_call(registry_add, 1, 2), 3)); /* what was there first stays */
    CHECK(is(rr_call_named("registry_add", RR_VALUE(int, 1), RR_VALUE(int, 2)), 3));
    fixture_stop(&f);
}

TEST_ALONE(two_functions_of_one_name_are_told_at_the_start) {
    if (!no_plugins()) load_plugin("late", "again"); /* as in late.so */
    fixture f = {.lock = PTHREAD_MUTEX_INITIALIZER};
    rr_config config = {.workers = 1, .log = fixture_log, .log_data = &f};
    CHECK(rr_init(&config) == RR_ERR_DUPLICATE);
    CHECK(fixture_logged(&f, "registry_add") && fixture_logged(&f, "elsewhere.c:12"));
    CHECK(fixture_logged(&f, "test_registry.c:"));
    if (!no_plugins()) CHECK(fixture_logged(&f, "plug_late") && fixture_logged(&f, "again.c:"));
    CHECK(rr_runtime_create(&config) == NULL);
    CHECK(strstr(rr_error_message((rr_ref){0}), "registry_add") != NULL);
    CHECK(rr_shutdown() == RR_ERR_NOT_RUNNING);
}

int main(int argc, char **argv) { return test_main(argc, argv); }
