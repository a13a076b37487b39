/*
 * main() of a fuzz target where libFuzzer is not: runs the seeds, then mutations of them.
 *
 *   fuzz_x CORPUS [COUNT [SEED]]   every file of the folder, then COUNT mutated inputs
 *   fuzz_x FILE                    one input, to see a failure again
 *
 * Deterministic: the same folder, count and seed give the same inputs. An input that ends the
 * process is left in the file "crash-<target>" of the current directory.
 */
#include "base/mem.h"
#include "base/rng.h"
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEEDS_MAX = 512, INPUT_MAX = 4096, KEPT_MAX = 64 };

static struct buf seeds[SEEDS_MAX + KEPT_MAX];
static size_t seed_count;
static struct slice current;
static char crash_name[256] = "crash-input";

/* Only what a signal handler may call. */
static void keep_input(void)
{
    int fd = open(crash_name, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (fd >= 0) {
        ssize_t n = write(fd, current.data, current.len);
        (void)n;
        close(fd);
        n = write(2, "input kept in ", 14);
        n = write(2, crash_name, strlen(crash_name));
        n = write(2, "\n", 1);
    }
}

static void on_signal(int sig)
{
    keep_input();
    signal(sig, SIG_DFL);
    raise(sig);
}

#ifdef SHERD_ASAN
void __sanitizer_set_death_callback(void (*callback)(void));
#endif

static void run(struct slice bytes)
{
    /* A block of exactly that size, so that a read behind it shows. */
    uint8_t *copy = mem_alloc(bytes.len + (bytes.len == 0));
    if (bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    current = slice_make(copy, bytes.len);
    (void)LLVMFuzzerTestOneInput(copy, bytes.len);
    current = slice_make(NULL, 0);
    mem_free(copy);
}

static bool read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return false;
    }
    char chunk[4096];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0) {
        buf_put(out, chunk, n);
    }
    fclose(f);
    return true;
}

static int by_name(const struct dirent **x, const struct dirent **y)
{
    return strcmp((*x)->d_name, (*y)->d_name);
}

static void read_corpus(const char *path)
{
    struct dirent **names;
    int n = scandir(path, &names, NULL, by_name);
    for (int i = 0; i < n; i++) {
        char file[1024];
        snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && seed_count < SEEDS_MAX &&
            read_file(file, &seeds[seed_count])) {
            seed_count++;
        }
        free(names[i]);
    }
    if (n >= 0) {
        free(names);
    }
}

/* ---- mutation ---- */

static void cut(struct buf *b, size_t at, size_t n)
{
    memmove(b->data + at, b->data + at + n, b->len - at - n);
    b->len -= n;
}

static void insert(struct buf *b, size_t at, struct slice s)
{
    if (b->len + s.len > INPUT_MAX || s.len == 0) {
        return;
    }
    buf_extend(b, s.len);
    memmove(b->data + at + s.len, b->data + at, b->len - s.len - at);
    memcpy(b->data + at, s.data, s.len);
}

static void mutate_once(struct buf *b, struct rng *r)
{
    static const uint8_t special[] = {0,    1,   0x7f, 0x80, 0xff, 0xfe, 0x05, '\'', '"',
                                      '\\', '{', '}',  '(',  ')',  ',',  '-',  '9',  ' '};
    size_t at = b->len > 0 ? rng_below(r, b->len) : 0;
    const struct buf *other = &seeds[rng_below(r, seed_count)];
    uint8_t bytes[8];
    switch (b->len == 0 ? 4 : rng_below(r, 8)) {
    case 0:
        b->data[at] ^= (uint8_t)(1u << rng_below(r, 8));
        break;
    case 1:
        b->data[at] = (uint8_t)rng_next(r);
        break;
    case 2:
        b->data[at] = special[rng_below(r, sizeof special)];
        break;
    case 3:
        cut(b, at, 1 + rng_below(r, b->len - at < 8 ? b->len - at : 8));
        break;
    case 4:
        for (size_t i = 0; i < sizeof bytes; i++) {
            bytes[i] =
                rng_below(r, 2) ? (uint8_t)rng_next(r) : special[rng_below(r, sizeof special)];
        }
        insert(b, at, slice_make(bytes, 1 + rng_below(r, sizeof bytes)));
        break;
    case 5: { /* a piece of itself again */
        size_t n = 1 + rng_below(r, b->len - at < 64 ? b->len - at : 64);
        uint8_t piece[64];
        memcpy(piece, b->data + at, n);
        insert(b, at, slice_make(piece, n));
        break;
    }
    case 6: /* a piece of another seed */
        if (other->len > 0 && other != b) {
            size_t from = rng_below(r, other->len);
            insert(b, at, slice_make(other->data + from, 1 + rng_below(r, other->len - from)));
        }
        break;
    default: /* a number next to what it was */
        b->data[at] = (uint8_t)(b->data[at] + (int)rng_below(r, 9) - 4);
        break;
    }
}

static void mutations(uint64_t count, uint64_t seed)
{
    struct rng r;
    rng_seed(&r, seed);
    size_t kept = 0;
    if (seed_count == 0) {
        seed_count = 1; /* the empty input */
    }
    size_t first_kept = seed_count;
    for (uint64_t i = 0; i < count; i++) {
        struct buf b = {0};
        buf_put_slice(&b, buf_slice(&seeds[rng_below(&r, seed_count)]));
        for (uint64_t n = 1 + rng_below(&r, 6); n > 0; n--) {
            mutate_once(&b, &r);
        }
        run(buf_slice(&b));
        /* Some go on from where others came to. */
        if (rng_below(&r, 64) == 0) {
            size_t slot = first_kept + kept++ % KEPT_MAX;
            seed_count = slot + 1 > seed_count ? slot + 1 : seed_count;
            buf_clear(&seeds[slot]);
            buf_put_slice(&seeds[slot], buf_slice(&b));
        }
        buf_deinit(&b);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s CORPUS|FILE [COUNT [SEED]]\n", argv[0]);
        return 2;
    }
    const char *base = strrchr(argv[0], '/');
    snprintf(crash_name, sizeof crash_name, "crash-%s", base != NULL ? base + 1 : argv[0]);
    signal(SIGABRT, on_signal);
#ifdef SHERD_ASAN
    __sanitizer_set_death_callback(keep_input);
#else
    signal(SIGSEGV, on_signal);
#endif
    struct stat info;
    if (stat(argv[1], &info) == 0 && S_ISREG(info.st_mode)) {
        struct buf b = {0};
        if (!read_file(argv[1], &b)) {
            fprintf(stderr, "cannot read %s\n", argv[1]);
            return 2;
        }
        run(buf_slice(&b));
        buf_deinit(&b);
        return 0;
    }
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 10000;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    read_corpus(argv[1]);
    printf("%zu seeds, %llu mutations of seed %llu\n", seed_count, (unsigned long long)count,
           (unsigned long long)seed);
    fflush(stdout);
    for (size_t i = 0; i < seed_count; i++) {
        run(buf_slice(&seeds[i]));
    }
    mutations(count, seed);
    for (size_t i = 0; i < SEEDS_MAX + KEPT_MAX; i++) {
        buf_deinit(&seeds[i]);
    }
    return 0;
}
