/*
 * The function table: the rows of func_rows.h as structs, with an index by id and two hash chains,
 * by name and by operator. The indexes are built once, before main(), and never change.
 */
#include "funcs.h"

#include "base/check.h"

#include <stdlib.h>

enum { NS = 1, STRICT = 2, VARIADIC = 4, CAST = 8 };

#define T(name) TYPE_##name
#define ARGS(...)                                                                                  \
    .nargs = (int)(sizeof((type_oid[]){0, __VA_ARGS__}) / sizeof(type_oid)) - 1,                   \
    .args = {__VA_ARGS__}
#define FUNC_ROW(id_, name_, op_, class_, vol_, flags_, defs_, res_, args_, impl_)                 \
    {.id = (id_),                                                                                  \
     .name = (name_),                                                                              \
     .op = (op_),                                                                                  \
     .class = FUNC_##class_,                                                                       \
     .volatility = FUNC_##vol_,                                                                    \
     .is_strict = ((flags_)&STRICT) != 0,                                                          \
     .is_variadic = ((flags_)&VARIADIC) != 0,                                                      \
     .is_cast = ((flags_)&CAST) != 0,                                                              \
     .needs_session = ((flags_)&NS) != 0,                                                          \
     .result = (res_),                                                                             \
     .ndefaults = (defs_),                                                                         \
     args_,                                                                                        \
     .scalar = (impl_)},
#define AGG_ROW(id_, name_, res_, args_, agg_)                                                     \
    {.id = (id_),                                                                                  \
     .name = (name_),                                                                              \
     .class = FUNC_AGGREGATE,                                                                      \
     .volatility = FUNC_IMMUTABLE,                                                                 \
     .result = (res_),                                                                             \
     args_,                                                                                        \
     .agg = &(agg_)},

static const struct func_def rows[] = {
    FUNC_ROWS_COMPARE(FUNC_ROW) FUNC_ROWS_MATH(FUNC_ROW) FUNC_ROWS_TEXT(FUNC_ROW)
        FUNC_ROWS_DATETIME(FUNC_ROW) FUNC_ROWS_ARRAY(FUNC_ROW) FUNC_ROWS_MISC(FUNC_ROW)
            FUNC_ROWS_SESSION(FUNC_ROW) FUNC_ROWS_CAST(FUNC_ROW) FUNC_ROWS_WINDOW(FUNC_ROW)
                FUNC_ROWS_AGG(AGG_ROW)};

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]), BUCKETS = 2048 };
_Static_assert(ROW_COUNT < UINT16_MAX, "chains hold row numbers in 16 bits");

/* Row number + 1; 0 = none. */
static uint16_t by_id[FUNC_ID_MAX];
static uint16_t ordered[ROW_COUNT];
static uint16_t heads[2][BUCKETS]; /* [0] by name, [1] by operator */
static uint16_t nexts[2][ROW_COUNT];

static uint32_t bucket_of(struct slice s)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < s.len; i++) {
        h = (h ^ s.data[i]) * 16777619u;
    }
    return (h ^ (h >> 15)) % BUCKETS;
}

static void chain(int which, uint16_t row, const char *key)
{
    uint32_t b = bucket_of(slice_str(key));
    nexts[which][row] = heads[which][b];
    heads[which][b] = (uint16_t)(row + 1);
}

__attribute__((constructor)) static void func_table_build(void)
{
    for (uint16_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].id >= FUNC_ID_MAX || by_id[rows[i].id] != 0) {
            abort(); /* two rows with one id: a bug that every start shows */
        }
        by_id[rows[i].id] = (uint16_t)(i + 1);
    }
    uint16_t n = 0;
    for (uint32_t id = 0; id < FUNC_ID_MAX; id++) {
        if (by_id[id] != 0) {
            ordered[n++] = (uint16_t)(by_id[id] - 1);
        }
    }
    for (uint16_t i = ROW_COUNT; i-- > 0;) { /* backwards, so that chains are in order of id */
        uint16_t row = ordered[i];
        chain(0, row, rows[row].name);
        if (rows[row].op != NULL) {
            chain(1, row, rows[row].op);
        }
    }
}

const struct func_def *func_by_id(uint32_t id)
{
    return id < FUNC_ID_MAX && by_id[id] != 0 ? &rows[by_id[id] - 1] : NULL;
}

size_t func_count(void)
{
    return ROW_COUNT;
}

const struct func_def *func_at(size_t index)
{
    ASSERT(index < ROW_COUNT);
    return &rows[ordered[index]];
}

static const struct func_def *find_from(uint16_t link, struct slice key, bool is_operator)
{
    int which = is_operator ? 1 : 0;
    for (; link != 0; link = nexts[which][link - 1]) {
        const struct func_def *f = &rows[link - 1];
        if (slice_eq(slice_str(is_operator ? f->op : f->name), key)) {
            return f;
        }
    }
    return NULL;
}

const struct func_def *func_first(struct slice name, bool is_operator)
{
    return find_from(heads[is_operator ? 1 : 0][bucket_of(name)], name, is_operator);
}

const struct func_def *func_next(const struct func_def *f, bool is_operator)
{
    return find_from(nexts[is_operator ? 1 : 0][f - rows], slice_str(is_operator ? f->op : f->name),
                     is_operator);
}
