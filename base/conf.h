/*
 * Configuration files in YAML, read against a table of keys: what config.c and log.c share. The one
 * place that knows libyaml.
 *
 * Every error is INVALID and begins with "file:line: ". Unknown and repeated keys, values of
 * another type and numbers out of range are refused. A key without a value ("join:") counts as not
 * given.
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include "base/slice.h"
#include "base/status.h"

#include <stddef.h>

struct conf;      /* a document that was read */
struct conf_node; /* a value in it */

enum conf_kind {
    CONF_MAP,     /* children, filling the same target */
    CONF_STRING,  /* char *, owned */
    CONF_UINT16,  /* uint16_t */
    CONF_UINT32,  /* uint32_t */
    CONF_UINT64,  /* uint64_t */
    CONF_SECONDS, /* uint32_t, from "90", "90s", "15m", "25h", "7d" */
    CONF_BYTES,   /* uint64_t, from "4096", "64kB", "64MB", "1GB" */
    CONF_CUSTOM,  /* parse() */
};

struct conf_key {
    const char *name; /* NULL ends a table */
    enum conf_kind kind;
    size_t offset; /* into the target */
    uint64_t min;
    uint64_t max; /* of a string: its length in bytes */
    const struct conf_key *children;
    struct status *(*parse)(struct conf *c, struct conf_node *value, const char *where,
                            void *target);
};

/* name is what errors say. */
struct status *conf_parse(const char *name, struct slice text,
                          struct conf **out_conf) STATUS_MUST_CHECK;
struct status *conf_load(const char *path, struct conf **out_conf) STATUS_MUST_CHECK;
void conf_free(struct conf *c);

/* Fills target from the document by the table. An empty document gives nothing. */
struct status *conf_fill(struct conf *c, const struct conf_key *keys,
                         void *target) STATUS_MUST_CHECK;

/* For parse(): a map by a table, a list, a scalar. where = dotted name of the value, for errors. */
struct status *conf_fill_map(struct conf *c, struct conf_node *map, const char *where,
                             const struct conf_key *keys, void *target) STATUS_MUST_CHECK;
struct status *conf_each_item(struct conf *c, struct conf_node *list, const char *where,
                              struct status *(*fn)(struct conf *c, struct conf_node *item,
                                                   const char *where, void *target),
                              void *target) STATUS_MUST_CHECK;
struct status *conf_each_pair(struct conf *c, struct conf_node *map, const char *where,
                              struct status *(*fn)(struct conf *c, struct conf_node *key,
                                                   const char *name, struct conf_node *value,
                                                   const char *where, void *target),
                              void *target) STATUS_MUST_CHECK;
struct status *conf_scalar(struct conf *c, struct conf_node *value, const char *where,
                           const char **out_text) STATUS_MUST_CHECK;

/* node NULL: an error of the file as a whole. */
struct status *conf_error(const struct conf *c, const struct conf_node *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
