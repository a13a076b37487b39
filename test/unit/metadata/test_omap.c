/* The ordered map against a plain model; copies see no later change; iteration keeps to its bounds.
 */
#include "omap.h"

#include "base/check.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define KEYS 300

struct model { /* value 0 = not there */
    uint64_t values[KEYS];
    size_t count;
};

static struct slice key_of(unsigned i, char *text)
{
    /* Of different lengths, some a prefix of others, one empty. */
    int len = i == 0 ? 0 : snprintf(text, 16, "%.*u%s", 1 + (int)(i % 3), i / 7, &"aaaaaaa"[i % 7]);
    return slice_make(text, (size_t)len);
}

static int by_key(unsigned a, unsigned b)
{
    char ta[16], tb[16];
    return slice_cmp(key_of(a, ta), key_of(b, tb));
}

static void model_put(struct model *m, unsigned i, uint64_t v)
{
    for (unsigned k = 0; k < KEYS; k++) { /* different numbers may make the same key */
        if (k != i && by_key(k, i) == 0 && m->values[k] != 0) {
            m->values[k] = 0;
            m->count--;
        }
    }
    m->count += (v != 0) - (m->values[i] != 0);
    m->values[i] = v;
}

struct check {
    const struct model *model;
    size_t seen;
    bool has_last;
    char last[16];
    size_t last_len;
};

static bool check_entry(void *ctx, struct omap_entry *e)
{
    struct check *c = ctx;
    struct slice key = omap_entry_key(e);
    assert_true(!c->has_last || slice_cmp(slice_make(c->last, c->last_len), key) < 0);
    memcpy(c->last, key.data, key.len);
    c->last_len = key.len;
    c->has_last = true;
    bool found = false;
    for (unsigned i = 0; i < KEYS && !found; i++) {
        char text[16];
        found = c->model->values[i] != 0 && slice_eq(key_of(i, text), key);
        assert_true(!found || c->model->values[i] == e->mod_revision);
    }
    assert_true(found);
    c->seen++;
    return true;
}

static void same(const struct omap *m, const struct model *model)
{
    struct check c = {.model = model};
    omap_check(m);
    assert_int_equal(m->count, model->count);
    omap_scan(m, slice_make(NULL, 0), check_entry, &c);
    assert_int_equal(c.seen, model->count);
}

static void random_changes_match_a_model_and_leave_copies_alone(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 42);
    struct omap map;
    struct model model = {0};
    struct omap copies[4];
    static struct model copied[4];
    omap_init(&map);
    for (int i = 0; i < 4; i++) {
        omap_init(&copies[i]);
        memset(&copied[i], 0, sizeof(copied[i]));
    }
    for (uint64_t step = 1; step <= 6000; step++) {
        unsigned i = (unsigned)rng_below(&r, KEYS);
        char text[16];
        struct slice key = key_of(i, text);
        if (rng_below(&r, 3) != 0) {
            omap_put(&map, key, slice_str("v"), step);
            model_put(&model, i, step);
        } else {
            bool was = omap_delete(&map, key);
            size_t before = model.count;
            model_put(&model, i, step);
            model_put(&model, i, 0);
            assert_int_equal(was, before > model.count);
        }
        if (step % 150 == 0) {
            size_t at = (step / 150) % 4;
            same(&copies[at], &copied[at]);
            omap_deinit(&copies[at]);
            omap_copy(&copies[at], &map);
            copied[at] = model;
            same(&map, &model);
        }
    }
    omap_clear(&map);
    for (int i = 0; i < 4; i++) {
        same(&copies[i], &copied[i]);
        omap_deinit(&copies[i]);
    }
    omap_deinit(&map);
}

static void neighbours_are_found(void **state)
{
    (void)state;
    struct omap m;
    omap_init(&m);
    for (char c = 'b'; c <= 'z'; c = (char)(c + 2)) {
        omap_put(&m, slice_make(&c, 1), slice_make(NULL, 0), 1);
    }
    assert_true(slice_eq(omap_entry_key(omap_seek(&m, slice_str("c"))), slice_str("d")));
    assert_true(slice_eq(omap_entry_key(omap_seek(&m, slice_str("d"))), slice_str("d")));
    assert_true(slice_eq(omap_entry_key(omap_after(&m, slice_str("d"))), slice_str("f")));
    assert_true(slice_eq(omap_entry_key(omap_floor(&m, slice_str("e"))), slice_str("d")));
    assert_true(slice_eq(omap_entry_key(omap_floor(&m, slice_str("d"))), slice_str("d")));
    assert_null(omap_floor(&m, slice_str("a")));
    assert_null(omap_after(&m, slice_str("z")));
    assert_null(omap_get(&m, slice_str("e")));
    omap_deinit(&m);
}

static bool count_until_three(void *ctx, struct omap_entry *e)
{
    (void)e;
    return ++*(int *)ctx < 3;
}

static void a_scan_keeps_to_its_prefix_and_ends_when_told(void **state)
{
    (void)state;
    struct omap m;
    omap_init(&m);
    const char *keys[] = {"a", "b", "b/", "b/1", "b/2", "b0", "c"};
    for (size_t i = 0; i < 7; i++) {
        omap_put(&m, slice_str(keys[i]), slice_str(keys[i]), 1);
    }
    int n = -10;
    assert_false(
        omap_scan_prefix(&m, slice_str("b/"), count_until_three, &n)); /* the end of the prefix */
    assert_int_equal(n, -7);
    n = 0;
    assert_false(omap_scan(&m, slice_make(NULL, 0), count_until_three, &n));
    assert_int_equal(n, 3);
    n = -10;
    assert_true(omap_scan(&m, slice_str("b0"), count_until_three, &n));
    assert_int_equal(n, -8);
    omap_deinit(&m);
}

static void many_sorted_keys_stay_shallow(void **state)
{
    (void)state;
    struct omap m;
    omap_init(&m);
    for (uint32_t i = 0; i < 100000; i++) {
        uint8_t key[4] = {(uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        omap_put(&m, slice_make(key, 4), slice_make(NULL, 0), i);
    }
    assert_true(omap_check(&m) < 60);
    omap_deinit(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_changes_match_a_model_and_leave_copies_alone),
        cmocka_unit_test(neighbours_are_found),
        cmocka_unit_test(a_scan_keeps_to_its_prefix_and_ends_when_told),
        cmocka_unit_test(many_sorted_keys_stay_shallow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
