/*
 * The store on LevelDB, by its C interface; its types, error texts and memory stop here.
 *
 * The first write that fails closes the store to writing: the tail of the write-ahead log is
 * unknown then, and LevelDB itself would append behind it (only a failed sync stops it). Every
 * later write gets the same error. Reads go on. Damage that a read meets closes the store in the
 * same way: who keeps a replica in it learns so at the next write, and must not go on as one.
 */
#include "base/check.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "fs.h"
#include "store_internal.h"

#include <errno.h>
#include <leveldb/c.h>
#include <string.h>
#include <sys/statvfs.h>

#define REBUILD_HINT                                                                               \
    "Restore the directory, or stop the node, and let it join with an empty directory and an "     \
    "unused node.id (cluster.join): its replicas are rebuilt from the others."
#define WRITE_BUFFER_DEFAULT ((size_t)16 << 20)
#define CACHE_DEFAULT ((size_t)32 << 20)
#define BLOOM_BITS 10
#define ADOPT_BYTES 2048 /* from here on a value's memory is taken over instead of copied */

struct store_ldb {
    struct store base;
    leveldb_t *db;
    char *path;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    leveldb_readoptions_t *read;
    leveldb_writeoptions_t *write;
    leveldb_writeoptions_t *write_sync;
    struct status *failure; /* atomic: of the first failed write, or NULL */
};

struct ldb_batch {
    struct store_batch base;
    leveldb_writebatch_t *batch;
};

struct ldb_iter {
    struct store_iter base;
    leveldb_iterator_t *it;
    leveldb_readoptions_t *read; /* of a snapshot, or NULL */
    struct store_ldb *store;
};

static const struct store_ops ldb_ops;

static struct store_ldb *of(struct store *s)
{
    return CONTAINER_OF(s, struct store_ldb, base);
}

static leveldb_iterator_t *iter_of(const struct store_iter *it)
{
    return ((const struct ldb_iter *)it)->it;
}

static const leveldb_snapshot_t *snap_of(const struct store_snapshot *snap)
{
    return (const leveldb_snapshot_t *)(const void *)snap;
}

/* Takes LevelDB's error text. */
static struct status *status_take(const char *path, char *err)
{
    struct status *st;
    for (char *p = err; *p != '\0'; p++) { /* it may quote a damaged file */
        *p = *p < ' ' || *p > '~' ? '?' : *p;
    }
    if (strncmp(err, "Corruption", strlen("Corruption")) == 0 ||
        (strstr(err, ".ldb: ") != NULL && strstr(err, strerror(EINVAL)) != NULL)) {
        /* A table that is shorter than its index says is no valid argument to the library. */
        st =
            status_hint(status_new(CORRUPT, "damaged data in \"%s\": %s", path, err), REBUILD_HINT);
    } else if (strstr(err, "create_if_missing is false") != NULL) {
        st = status_hint(status_new(CORRUPT, "damaged data: there is no store in \"%s\"", path),
                         REBUILD_HINT);
    } else if (strstr(err, strerror(ENOSPC)) != NULL || strstr(err, strerror(EDQUOT)) != NULL) {
        st = status_hint(status_sql(LIMIT, "53100", "no space left in \"%s\": %s", path, err),
                         "Free some space on its file system and start the server again.");
    } else {
        st = status_new(IO, "the store \"%s\" failed: %s", path, err);
        if (strstr(err, strerror(EACCES)) != NULL || strstr(err, strerror(EROFS)) != NULL) {
            st = status_hint(st, "The server's user must own the directory and all files in it, "
                                 "and its file system must be writable.");
        }
    }
    leveldb_free(err);
    return st;
}

/* The first failure stays. */
static void close_writes(struct store_ldb *s, const struct status *st)
{
    struct status *kept = status_copy(st);
    struct status *none = NULL;
    if (!__atomic_compare_exchange_n(&s->failure, &none, kept, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED)) {
        status_free(kept);
    }
}

/* Of a read. Takes LevelDB's error text. */
static struct status *read_failed(struct store_ldb *s, char *err)
{
    struct status *st = status_take(s->path, err);
    if (st->code == STATUS_CORRUPT) {
        close_writes(s, st);
    }
    return st;
}

static struct status *open_error(const char *path, char *err)
{
    if (strstr(err, "LOCK") != NULL || strstr(err, "lock ") != NULL) {
        if (strstr(err, strerror(EACCES)) == NULL && strstr(err, strerror(ENOSPC)) == NULL) {
            leveldb_free(err);
            return status_hint(status_sql(INVALID, "55006", "the directory \"%s\" is in use", path),
                               "Another server runs on it: stop that one, or set another "
                               "storage.data_dir.");
        }
    }
    return status_wrap(status_take(path, err), "could not open a store");
}

static void free_parts(struct store_ldb *s)
{
    if (s->db != NULL) {
        leveldb_close(s->db);
    }
    leveldb_options_destroy(s->options);
    leveldb_readoptions_destroy(s->read);
    leveldb_writeoptions_destroy(s->write);
    leveldb_writeoptions_destroy(s->write_sync);
    if (s->filter != NULL) {
        leveldb_filterpolicy_destroy(s->filter);
    }
    leveldb_cache_destroy(s->cache);
    status_free(s->failure);
    mem_free(s->path);
    mem_free(s);
}

struct status *store_leveldb_open(const char *path, const struct store_options *options,
                                  struct store **out_store)
{
    static const struct store_options defaults;
    const struct store_options *o = options == NULL ? &defaults : options;
    if (path[0] == '\0') {
        return status_new(INVALID, "the path of a store is empty");
    }
    if (!o->must_exist) {
        TRY(fs_make_dirs(path));
    }
    struct store_ldb *s = MEM_NEW(struct store_ldb);
    s->base.ops = &ldb_ops;
    s->path = mem_strdup(path);
    s->cache = leveldb_cache_create_lru(o->cache_bytes ? o->cache_bytes : CACHE_DEFAULT);
    s->options = leveldb_options_create();
    leveldb_options_set_create_if_missing(s->options, !o->must_exist);
    leveldb_options_set_write_buffer_size(s->options, o->write_buffer_bytes ? o->write_buffer_bytes
                                                                            : WRITE_BUFFER_DEFAULT);
    leveldb_options_set_cache(s->options, s->cache);
    leveldb_options_set_paranoid_checks(s->options, o->paranoid);
    leveldb_options_set_compression(s->options, o->compress ? leveldb_snappy_compression
                                                            : leveldb_no_compression);
    if (o->bloom) {
        s->filter = leveldb_filterpolicy_create_bloom(BLOOM_BITS);
        leveldb_options_set_filter_policy(s->options, s->filter);
    }
    s->read = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(s->read, 1);
    s->write = leveldb_writeoptions_create();
    s->write_sync = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(s->write_sync, 1);
    char *err = NULL;
    s->db = leveldb_open(s->options, path, &err);
    if (err != NULL) {
        struct status *st = open_error(path, err);
        free_parts(s);
        return st;
    }
    *out_store = &s->base;
    return NULL;
}

static void ldb_close(struct store *base)
{
    free_parts(of(base));
}

static leveldb_readoptions_t *read_at(const struct store_snapshot *snap, bool fill_cache)
{
    leveldb_readoptions_t *r = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(r, 1);
    leveldb_readoptions_set_fill_cache(r, fill_cache);
    leveldb_readoptions_set_snapshot(r, snap_of(snap));
    return r;
}

static struct status *ldb_get(struct store *base, const struct store_snapshot *snap,
                              struct slice key, struct buf *out, bool *out_found)
{
    struct store_ldb *s = of(base);
    leveldb_readoptions_t *r = snap == NULL ? s->read : read_at(snap, true);
    char *err = NULL;
    size_t len = 0;
    char *value = leveldb_get(s->db, r, (const char *)key.data, key.len, &len, &err);
    if (snap != NULL) {
        leveldb_readoptions_destroy(r);
    }
    if (err != NULL) {
        return read_failed(s, err);
    }
    buf_clear(out);
    *out_found = value != NULL;
    if (value == NULL) {
        return NULL;
    }
    if (len >= ADOPT_BYTES && len > out->cap) {
        buf_deinit(out);
        *out = (struct buf){(uint8_t *)value, len, len}; /* malloc'ed: mem_free() fits */
        return NULL;
    }
    buf_put(out, value, len);
    leveldb_free(value);
    return NULL;
}

static struct store_batch *ldb_batch_create(struct store *base)
{
    (void)base;
    struct ldb_batch *b = MEM_NEW(struct ldb_batch);
    b->base.ops = &ldb_ops;
    b->batch = leveldb_writebatch_create();
    return &b->base;
}

static void ldb_batch_destroy(struct store_batch *base)
{
    struct ldb_batch *b = (struct ldb_batch *)base;
    leveldb_writebatch_destroy(b->batch);
    mem_free(b);
}

static void ldb_batch_clear(struct store_batch *base)
{
    leveldb_writebatch_clear(((struct ldb_batch *)base)->batch);
}

static void ldb_batch_put(struct store_batch *base, struct slice key, struct slice value)
{
    leveldb_writebatch_put(((struct ldb_batch *)base)->batch, (const char *)key.data, key.len,
                           (const char *)value.data, value.len);
}

static void ldb_batch_delete(struct store_batch *base, struct slice key)
{
    leveldb_writebatch_delete(((struct ldb_batch *)base)->batch, (const char *)key.data, key.len);
}

static struct status *write_batch(struct store_ldb *s, leveldb_writebatch_t *batch, bool sync)
{
    const struct status *failure = __atomic_load_n(&s->failure, __ATOMIC_ACQUIRE);
    if (failure != NULL) {
        return status_copy(failure);
    }
    if (sync) {
        failpoint_delay(FP_DISK_SYNC);
    }
    char *err = NULL;
    leveldb_write(s->db, sync ? s->write_sync : s->write, batch, &err);
    if (err == NULL) {
        return NULL;
    }
    struct status *st = status_take(s->path, err);
    close_writes(s, st);
    return st;
}

static struct status *ldb_write(struct store *base, struct store_batch *batch, bool sync)
{
    return write_batch(of(base), ((struct ldb_batch *)batch)->batch, sync);
}

/*
 * Compacting a range that holds no key switches the memtable and waits until the old one is a table
 * file, synced and entered in the manifest. The C interface does not tell how that went; LevelDB
 * keeps the error of a failed flush and answers every later write with it, so an empty write tells.
 */
static struct status *ldb_flush(struct store *base)
{
    struct store_ldb *s = of(base);
    leveldb_compact_range(s->db, "", 0, "", 0);
    leveldb_writebatch_t *nothing = leveldb_writebatch_create();
    struct status *st = write_batch(s, nothing, false);
    leveldb_writebatch_destroy(nothing);
    return st;
}

static struct store_snapshot *ldb_snapshot_create(struct store *base)
{
    const void *snap = leveldb_create_snapshot(of(base)->db);
    return (struct store_snapshot *)(uintptr_t)snap;
}

static void ldb_snapshot_destroy(struct store *base, struct store_snapshot *snap)
{
    leveldb_release_snapshot(of(base)->db, snap_of(snap));
}

static struct store_iter *ldb_iter_create(struct store *base, const struct store_snapshot *snap)
{
    struct store_ldb *s = of(base);
    struct ldb_iter *it = MEM_NEW(struct ldb_iter);
    it->base.ops = &ldb_ops;
    it->store = s;
    it->read = snap == NULL ? NULL : read_at(snap, true);
    it->it = leveldb_create_iterator(s->db, it->read == NULL ? s->read : it->read);
    return &it->base;
}

static void ldb_iter_destroy(struct store_iter *base)
{
    struct ldb_iter *it = (struct ldb_iter *)base;
    leveldb_iter_destroy(it->it);
    if (it->read != NULL) {
        leveldb_readoptions_destroy(it->read);
    }
    mem_free(it);
}

static void ldb_iter_seek(struct store_iter *it, struct slice key)
{
    leveldb_iter_seek(iter_of(it), (const char *)key.data, key.len);
}

static void ldb_iter_seek_prev(struct store_iter *it, struct slice key)
{
    leveldb_iter_seek(iter_of(it), (const char *)key.data, key.len);
    if (leveldb_iter_valid(iter_of(it))) {
        leveldb_iter_prev(iter_of(it));
    } else {
        leveldb_iter_seek_to_last(iter_of(it));
    }
}

static void ldb_iter_next(struct store_iter *it)
{
    leveldb_iter_next(iter_of(it));
}

static void ldb_iter_prev(struct store_iter *it)
{
    leveldb_iter_prev(iter_of(it));
}

static bool ldb_iter_valid(const struct store_iter *it)
{
    return leveldb_iter_valid(iter_of(it)) != 0;
}

static struct slice ldb_iter_key(const struct store_iter *it)
{
    size_t len = 0;
    const char *p = leveldb_iter_key(iter_of(it), &len);
    return slice_make(p, len);
}

static struct slice ldb_iter_value(const struct store_iter *it)
{
    size_t len = 0;
    const char *p = leveldb_iter_value(iter_of(it), &len);
    return slice_make(p, len);
}

static struct status *ldb_iter_status(struct store_iter *base)
{
    char *err = NULL;
    leveldb_iter_get_error(iter_of(base), &err);
    return err == NULL ? NULL : read_failed(((struct ldb_iter *)base)->store, err);
}

static uint64_t ldb_free_bytes(struct store *base)
{
    struct statvfs info;
    return statvfs(of(base)->path, &info) == 0 ? (uint64_t)info.f_bavail * info.f_frsize
                                               : UINT64_MAX;
}

static uint64_t ldb_approximate_size(struct store *base, struct slice start, struct slice end)
{
    /* LevelDB has no word for "to the last key": a key above all that are in use. */
    static const uint8_t above[32] = {[0 ... 31] = 0xff};
    const char *from = (const char *)start.data;
    const char *to = end.len ? (const char *)end.data : (const char *)above;
    size_t from_len = start.len;
    size_t to_len = end.len ? end.len : sizeof(above);
    uint64_t size = 0;
    leveldb_approximate_sizes(of(base)->db, 1, &from, &from_len, &to, &to_len, &size);
    return size;
}

static void ldb_compact(struct store *base, struct slice start, struct slice end)
{
    leveldb_compact_range(of(base)->db, start.len ? (const char *)start.data : NULL, start.len,
                          end.len ? (const char *)end.data : NULL, end.len);
}

static const struct store_ops ldb_ops = {
    .close = ldb_close,
    .get = ldb_get,
    .batch_create = ldb_batch_create,
    .batch_destroy = ldb_batch_destroy,
    .batch_clear = ldb_batch_clear,
    .batch_put = ldb_batch_put,
    .batch_delete = ldb_batch_delete,
    .write = ldb_write,
    .flush = ldb_flush,
    .snapshot_create = ldb_snapshot_create,
    .snapshot_destroy = ldb_snapshot_destroy,
    .iter_create = ldb_iter_create,
    .iter_destroy = ldb_iter_destroy,
    .iter_seek = ldb_iter_seek,
    .iter_seek_prev = ldb_iter_seek_prev,
    .iter_next = ldb_iter_next,
    .iter_prev = ldb_iter_prev,
    .iter_valid = ldb_iter_valid,
    .iter_key = ldb_iter_key,
    .iter_value = ldb_iter_value,
    .iter_status = ldb_iter_status,
    .free_bytes = ldb_free_bytes,
    .approximate_size = ldb_approximate_size,
    .compact = ldb_compact,
};
