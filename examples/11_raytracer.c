/* 11_raytracer: renders spheres over a floor, a task per tile, into a PNG; an actor
   draws a progress bar where stderr is a terminal. Only + - * / and sqrt are used,
   so every compiler gets the same pixels. Usage: 11_raytracer [file.png] */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include <math.h>
#include <unistd.h>
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include "stb_image_write.h"

enum { WIDTH = 320, HEIGHT = 240, PIXELS = WIDTH * HEIGHT, SAMPLES = 2, BOUNCES = 4 };
enum { TILE = 40, ACROSS = WIDTH / TILE, TILES = ACROSS * HEIGHT / TILE };

typedef struct Vec {
    double x, y, z;
} Vec;
typedef struct Sphere {
    Vec centre, colour;
    double radius, shine; /* shine: how much of the light it mirrors, 0 to 1 */
} Sphere;
typedef struct Hit {
    double distance, shine;
    Vec point, normal, colour;
} Hit;

static const Sphere SPHERES[] = {
    {{0, 1, 6}, {0.9, 0.3, 0.2}, 1, 0.3},          {{-2.2, 0.8, 5}, {0.2, 0.6, 0.9}, 0.8, 0.2},
    {{2.1, 0.7, 4.6}, {0.3, 0.8, 0.3}, 0.7, 0.2},  {{0.9, 0.35, 3.6}, {0.9, 0.8, 0.2}, 0.35, 0.1},
    {{-0.8, 0.4, 3.4}, {0.9, 0.9, 0.9}, 0.4, 0.6}, {{1.5, 2.6, 8}, {0.6, 0.4, 0.8}, 1.4, 0.5},
};
enum { SPHERE_COUNT = sizeof SPHERES / sizeof *SPHERES };
static const Vec LIGHT = {-4, 6, -1};

static Vec add(Vec a, Vec b) { return (Vec){a.x + b.x, a.y + b.y, a.z + b.z}; }
static Vec sub(Vec a, Vec b) { return (Vec){a.x - b.x, a.y - b.y, a.z - b.z}; }
static Vec scale(Vec a, double by) { return (Vec){a.x * by, a.y * by, a.z * by}; }
static double dot(Vec a, Vec b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
static Vec unit(Vec a) { return scale(a, 1 / sqrt(dot(a, a))); }

static void meet_sphere(Vec from, Vec towards, const Sphere *s, Hit *nearest) {
    Vec offset = sub(from, s->centre);
    double half = dot(offset, towards), rest = half * half - dot(offset, offset);
    double root = rest + s->radius * s->radius;
    if (root < 0) return;
    double distance = -half - sqrt(root);
    if (distance < 1e-4 || distance >= nearest->distance) return;
    Vec point = add(from, scale(towards, distance));
    Vec normal = scale(sub(point, s->centre), 1 / s->radius);
    *nearest = (Hit){distance, s->shine, point, normal, s->colour};
}

static void meet_floor(Vec from, Vec towards, Hit *nearest) {
    if (towards.y > -1e-6) return;
    double distance = -from.y / towards.y;
    if (distance < 1e-4 || distance >= nearest->distance || distance > 40) return;
    Vec point = add(from, scale(towards, distance));
    int dark = ((int)(point.x + 1000) + (int)(point.z + 1000)) & 1;
    Vec colour = dark ? (Vec){0.25, 0.25, 0.3} : (Vec){0.85, 0.85, 0.8};
    *nearest = (Hit){distance, 0.1, point, {0, 1, 0}, colour};
}

static bool meet(Vec from, Vec towards, Hit *nearest) {
    nearest->distance = 1e9;
    for (int i = 0; i < SPHERE_COUNT; i++) meet_sphere(from, towards, &SPHERES[i], nearest);
    meet_floor(from, towards, nearest);
    return nearest->distance < 1e9;
}

/* Follows one ray and its mirror images. */
static Vec trace(Vec from, Vec towards) {
    Vec seen = {0, 0, 0};
    double weight = 1;
    for (int bounce = 0; bounce < BOUNCES; bounce++) {
        Hit hit, blocker;
        if (!meet(from, towards, &hit)) {
            double up = 0.5 * (towards.y + 1);
            return add(seen, scale((Vec){0.9 - 0.5 * up, 0.95 - 0.3 * up, 1}, weight));
        }
        Vec to_light = sub(LIGHT, hit.point);
        double away = sqrt(dot(to_light, to_light)), slope = dot(hit.normal, to_light) / away;
        bool lit = !meet(hit.point, unit(to_light), &blocker) || blocker.distance > away;
        double light = lit && slope > 0 ? 0.15 + 0.85 * slope : 0.15;
        seen = add(seen, scale(hit.colour, weight * (1 - hit.shine) * light));
        weight *= hit.shine;
        from = hit.point;
        towards = sub(towards, scale(hit.normal, 2 * dot(towards, hit.normal)));
    }
    return seen;
}

static unsigned char channel(double value) {
    return (unsigned char)(value >= 1 ? 255 : value <= 0 ? 0 : sqrt(value) * 255 + 0.5);
}

typedef struct Progress {
    int done;
    bool shown;
} Progress;
REMOTE_ACTOR(Progress, create, bool, shown) { self->shown = shown; }
REMOTE_METHOD(void, Progress, add) {
    self->done++;
    if (self->shown)
        fprintf(stderr, "\rtile %d of %d%s", self->done, TILES, self->done == TILES ? "\n" : "");
}

REMOTE_FN(rr_bytes, render, int, tile, rr_actor, progress) {
    unsigned char *out = rr_result(TILE * TILE * 3), *at = out;
    for (int i = 0; out && i < TILE * TILE; i++) {
        int x = tile % ACROSS * TILE + i % TILE, y = tile / ACROSS * TILE + i / TILE;
        Vec sum = {0, 0, 0};
        for (int s = 0; s < SAMPLES * SAMPLES; s++) {
            double right = x + (s % SAMPLES + 0.5) / SAMPLES - WIDTH / 2.0;
            double down = y + (s / SAMPLES + 0.5) / SAMPLES - HEIGHT / 2.0;
            Vec towards = {right / HEIGHT, -0.1 - down / HEIGHT, 1};
            sum = add(sum, trace((Vec){0, 1.4, -1}, unit(towards)));
        }
        sum = scale(sum, 1.0 / (SAMPLES * SAMPLES));
        *at++ = channel(sum.x), *at++ = channel(sum.y), *at++ = channel(sum.z);
    }
    if (rr_tell(progress, Progress_add) != RR_OK) rr_fail(1, "the progress actor is gone");
    return rr_bytes_of(out, TILE * TILE * 3);
}

static unsigned char image[PIXELS * 3];
int main(int argc, char **argv) {
    if (rr_init(NULL) != RR_OK) return 1;
    const char *path = argc > 1 ? argv[1] : "11_raytracer.png";
    rr_actor progress = rr_spawn(Progress_create, isatty(2) == 1);
    rr_ref tiles[TILES];
    for (int i = 0; i < TILES; i++) tiles[i] = rr_call(render, i, progress);
    for (int i = 0; i < TILES; i++) {
        const unsigned char *tile = rr_unwrap(rr_bytes, tiles[i]).data;
        for (int row = 0; row < TILE; row++, tile += TILE * 3) {
            int start = (i / ACROSS * TILE + row) * WIDTH + i % ACROSS * TILE;
            memcpy(&image[start * 3], tile, TILE * 3);
        }
        rr_release(tiles[i]); /* the tile goes, and the view of it */
    }
    if (rr_shutdown() != RR_OK) return 1;

    uint32_t checksum = 2166136261u; /* FNV-1a */
    for (int i = 0; i < PIXELS * 3; i++) checksum = (checksum ^ image[i]) * 16777619u;
    if (!stbi_write_png(path, WIDTH, HEIGHT, 3, image, WIDTH * 3)) {
        fprintf(stderr, "cannot write %s\n", path);
        return 1;
    }
    printf("%d x %d pixels, checksum %08x\n", WIDTH, HEIGHT, (unsigned)checksum);
    return 0;
}
