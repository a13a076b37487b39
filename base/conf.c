/* YAML against a table of keys: see conf.h. */
#include "conf.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define WHERE_BYTES 160

struct conf {
    char *name;
    yaml_document_t document;
    bool has_document;
};

static yaml_node_t *yaml_of(struct conf_node *node)
{
    return (yaml_node_t *)(void *)node;
}

static struct conf_node *node_at(struct conf *c, int index)
{
    return (struct conf_node *)(void *)yaml_document_get_node(&c->document, index);
}

struct status *conf_error(const struct conf *c, const struct conf_node *node, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (node == NULL) {
        return status_new(INVALID, "%s: %s", c->name, text);
    }
    const yaml_node_t *y = (const yaml_node_t *)(const void *)node;
    return status_new(INVALID, "%s:%zu: %s", c->name, y->start_mark.line + 1, text);
}

static struct status *parser_error(const char *name, const yaml_parser_t *p)
{
    if (p->error == YAML_READER_ERROR) {
        return status_new(INVALID, "%s: not a text in UTF-8: %s at byte %zu", name, p->problem,
                          p->problem_offset);
    }
    return status_new(INVALID, "%s:%zu: not valid YAML: %s%s%s", name, p->problem_mark.line + 1,
                      p->problem == NULL ? "" : p->problem, p->context == NULL ? "" : " ",
                      p->context == NULL ? "" : p->context);
}

struct status *conf_parse(const char *name, struct slice text, struct conf **out_conf)
{
    static const uint8_t none[1];
    if (text.len > FILE_BYTES_MAX) {
        return status_new(INVALID, "%s: larger than %zu bytes", name, FILE_BYTES_MAX);
    }
    struct conf *c = MEM_NEW(struct conf);
    c->name = mem_strdup(name);
    yaml_parser_t parser;
    ASSERT(yaml_parser_initialize(&parser) == 1);
    yaml_parser_set_input_string(&parser, text.len ? text.data : none, text.len);
    struct status *st = NULL;
    if (yaml_parser_load(&parser, &c->document) != 1) {
        st = parser_error(name, &parser);
    } else {
        c->has_document = true;
        yaml_document_t second;
        if (yaml_document_get_root_node(&c->document) != NULL) {
            if (yaml_parser_load(&parser, &second) != 1) {
                st = parser_error(name, &parser);
            } else {
                if (yaml_document_get_root_node(&second) != NULL) {
                    st = status_new(INVALID, "%s:%zu: a second document in one file", name,
                                    second.start_mark.line + 1);
                }
                yaml_document_delete(&second);
            }
        }
    }
    yaml_parser_delete(&parser);
    if (st != NULL) {
        conf_free(c);
        return st;
    }
    *out_conf = c;
    return NULL;
}

struct status *conf_load(const char *path, struct conf **out_conf)
{
    FILE *f = fopen(path, "rbe");
    if (f == NULL) {
        return status_new(INVALID, "could not read \"%s\": %s", path, strerror(errno));
    }
    struct buf text = {0};
    struct status *st = NULL;
    size_t n;
    do {
        n = fread(buf_extend(&text, 4096), 1, 4096, f);
        text.len -= 4096 - n;
    } while (n > 0 && text.len <= FILE_BYTES_MAX);
    if (ferror(f)) {
        st = status_new(INVALID, "could not read \"%s\": %s", path, strerror(errno));
    }
    (void)fclose(f);
    if (st == NULL) {
        st = conf_parse(path, buf_slice(&text), out_conf);
    }
    buf_deinit(&text);
    return st;
}

void conf_free(struct conf *c)
{
    if (c == NULL) {
        return;
    }
    if (c->has_document) {
        yaml_document_delete(&c->document);
    }
    mem_free(c->name);
    mem_free(c);
}

/* ---- values ---- */

static bool is_null(struct conf_node *node)
{
    const yaml_node_t *y = yaml_of(node);
    if (y->type != YAML_SCALAR_NODE || y->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
        return false;
    }
    const char *text = (const char *)y->data.scalar.value;
    return text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

struct status *conf_scalar(struct conf *c, struct conf_node *value, const char *where,
                           const char **out_text)
{
    const yaml_node_t *y = yaml_of(value);
    if (y->type != YAML_SCALAR_NODE) {
        return conf_error(c, value, "\"%s\" must be a single value", where);
    }
    const char *text = (const char *)y->data.scalar.value;
    if (strlen(text) != y->data.scalar.length) {
        return conf_error(c, value, "\"%s\" holds a zero byte", where);
    }
    *out_text = text;
    return NULL;
}

/* Digits, then one of the suffixes (or none). False when it is no such thing or does not fit. */
static bool parse_number(const char *text, const char *const suffixes[], const uint64_t factors[],
                         uint64_t *out)
{
    char *end = NULL;
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    if (errno != 0) {
        return false;
    }
    uint64_t factor = 1;
    if (*end != '\0') {
        int i = 0;
        while (suffixes[i] != NULL && strcmp(suffixes[i], end) != 0) {
            i++;
        }
        if (suffixes[i] == NULL) {
            return false;
        }
        factor = factors[i];
    }
    return !__builtin_mul_overflow(n, factor, out);
}

static struct status *fill_number(struct conf *c, struct conf_node *value, const char *where,
                                  const struct conf_key *key, void *target)
{
    static const char *const none[] = {NULL};
    static const char *const time_units[] = {"s", "m", "h", "d", NULL};
    static const uint64_t time_factors[] = {1, 60, 3600, 86400};
    static const char *const size_units[] = {"B", "kB", "MB", "GB", NULL};
    static const uint64_t size_factors[] = {1, 1 << 10, 1 << 20, 1 << 30};
    const char *text = NULL;
    TRY(conf_scalar(c, value, where, &text));
    const char *const *units = none;
    const uint64_t *factors = NULL;
    const char *what = "a number";
    const char *example = "";
    if (key->kind == CONF_SECONDS) {
        units = time_units;
        factors = time_factors;
        what = "a time in seconds";
        example = ", as in 90s, 15m, 25h or 7d";
    } else if (key->kind == CONF_BYTES) {
        units = size_units;
        factors = size_factors;
        what = "a size in bytes";
        example = ", as in 64kB, 64MB or 1GB";
    }
    uint64_t n = 0;
    if (!parse_number(text, units, factors, &n) || n < key->min || n > key->max) {
        return conf_error(c, value,
                          "\"%s\" must be %s from %" PRIu64 " to %" PRIu64 "%s, not \"%.60s\"",
                          where, what, key->min, key->max, example, text);
    }
    uint8_t *at = (uint8_t *)target + key->offset;
    switch (key->kind) {
    case CONF_UINT16:
        *(uint16_t *)(void *)at = (uint16_t)n;
        break;
    case CONF_UINT32:
    case CONF_SECONDS:
        *(uint32_t *)(void *)at = (uint32_t)n;
        break;
    default:
        *(uint64_t *)(void *)at = n;
    }
    return NULL;
}

static struct status *fill_string(struct conf *c, struct conf_node *value, const char *where,
                                  const struct conf_key *key, void *target)
{
    const char *text = NULL;
    TRY(conf_scalar(c, value, where, &text));
    if (strlen(text) > key->max || text[0] == '\0') {
        return conf_error(c, value, "\"%s\" must be a text of 1 to %" PRIu64 " bytes", where,
                          key->max);
    }
    char **at = (char **)(void *)((uint8_t *)target + key->offset);
    mem_free(*at);
    *at = mem_strdup(text);
    return NULL;
}

static struct status *fill_one(struct conf *c, struct conf_node *value, const char *where,
                               const struct conf_key *key, void *target)
{
    if (is_null(value)) {
        return NULL;
    }
    switch (key->kind) {
    case CONF_MAP:
        return conf_fill_map(c, value, where, key->children, target);
    case CONF_STRING:
        return fill_string(c, value, where, key, target);
    case CONF_CUSTOM:
        return key->parse(c, value, where, target);
    default:
        return fill_number(c, value, where, key, target);
    }
}

/* ---- maps and lists ---- */

static struct status *unknown_key(struct conf *c, struct conf_node *node, const char *name,
                                  const char *where, const struct conf_key *keys)
{
    struct buf known = {0};
    for (const struct conf_key *k = keys; k->name != NULL; k++) {
        buf_printf(&known, "%s%s", known.len ? ", " : "", k->name);
    }
    buf_put_u8(&known, 0);
    struct status *st = where[0]
                            ? conf_error(c, node, "unknown key \"%.60s\" in \"%s\"", name, where)
                            : conf_error(c, node, "unknown key \"%.60s\"", name);
    st = status_hint(st, "Known keys here: %s.", (const char *)known.data);
    buf_deinit(&known);
    return st;
}

static struct status *is_repeated(struct conf *c, const yaml_node_t *map,
                                  const yaml_node_pair_t *pair, const char *name)
{
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < pair; p++) {
        const yaml_node_t *k = yaml_document_get_node(&c->document, p->key);
        if (k->type == YAML_SCALAR_NODE && strcmp((const char *)k->data.scalar.value, name) == 0) {
            return conf_error(c, node_at(c, pair->key), "\"%.60s\" is given twice", name);
        }
    }
    return NULL;
}

struct status *conf_each_pair(struct conf *c, struct conf_node *map, const char *where,
                              struct status *(*fn)(struct conf *c, struct conf_node *key,
                                                   const char *name, struct conf_node *value,
                                                   const char *where, void *target),
                              void *target)
{
    const yaml_node_t *y = yaml_of(map);
    if (y->type != YAML_MAPPING_NODE) {
        return conf_error(c, map, "\"%s\" must hold keys and values",
                          where[0] ? where : "the file");
    }
    const yaml_node_pair_t *end = y->data.mapping.pairs.top;
    for (const yaml_node_pair_t *p = y->data.mapping.pairs.start; p < end; p++) {
        const char *name = NULL;
        TRY(conf_scalar(c, node_at(c, p->key), where[0] ? where : "a key", &name));
        TRY(is_repeated(c, y, p, name));
        char inner[WHERE_BYTES];
        (void)snprintf(inner, sizeof(inner), "%s%s%.60s", where, where[0] ? "." : "", name);
        TRY(fn(c, node_at(c, p->key), name, node_at(c, p->value), inner, target));
    }
    return NULL;
}

struct filling {
    const char *where;
    const struct conf_key *keys;
    void *target;
};

static struct status *fill_pair(struct conf *c, struct conf_node *key, const char *name,
                                struct conf_node *value, const char *where, void *target)
{
    const struct filling *f = target;
    for (const struct conf_key *k = f->keys; k->name != NULL; k++) {
        if (strcmp(k->name, name) == 0) {
            return fill_one(c, value, where, k, f->target);
        }
    }
    return unknown_key(c, key, name, f->where, f->keys);
}

struct status *conf_fill_map(struct conf *c, struct conf_node *map, const char *where,
                             const struct conf_key *keys, void *target)
{
    struct filling f = {where, keys, target};
    return conf_each_pair(c, map, where, fill_pair, &f);
}

struct status *conf_each_item(struct conf *c, struct conf_node *list, const char *where,
                              struct status *(*fn)(struct conf *c, struct conf_node *item,
                                                   const char *where, void *target),
                              void *target)
{
    const yaml_node_t *y = yaml_of(list);
    if (y->type != YAML_SEQUENCE_NODE) {
        return conf_error(c, list, "\"%s\" must be a list", where);
    }
    const yaml_node_item_t *end = y->data.sequence.items.top;
    for (const yaml_node_item_t *i = y->data.sequence.items.start; i < end; i++) {
        TRY(fn(c, node_at(c, *i), where, target));
    }
    return NULL;
}

struct status *conf_fill(struct conf *c, const struct conf_key *keys, void *target)
{
    struct conf_node *root = (struct conf_node *)(void *)yaml_document_get_root_node(&c->document);
    if (root == NULL || is_null(root)) {
        return NULL;
    }
    return conf_fill_map(c, root, "", keys, target);
}
