/*
 * The identity file `<data_dir>/identity`:
 *
 *   sherd-identity 3
 *   node 3
 *   nonce 9f3c...
 *   cluster 7d21... name
 *   member 1
 *   formed 1 0a33...
 *   formed 2 ...
 *   peer 1 10.0.0.1 7433 7434      (format 3) only where the node joined
 *   end 8c01...          checksum of all before it; format 1 had none
 */
#include "identity.h"

#include "base/buf.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static struct status *io_error(const char *what, const char *path)
{
    int e = errno;
    struct status *st = status_sql(IO, e == ENOSPC || e == EDQUOT ? "53100" : "58030",
                                   "%s \"%s\": %s", what, path, strerror(e));
    switch (e) {
    case EACCES:
    case EPERM:
    case EROFS:
        return status_hint(
            st, "The server's user must own the data directory and be able to write to it.");
    case ENOTDIR:
        return status_hint(st, "storage.data_dir must name a directory, or one to be made.");
    case ENOSPC:
    case EDQUOT:
        return status_hint(st, "Free some space on the file system.");
    default:
        return st;
    }
}

static struct status *make_dirs(const char *path)
{
    char *copy = mem_strdup(path);
    struct status *st = NULL;
    for (char *p = copy + 1; st == NULL; p++) {
        if (*p != '/' && *p != '\0') {
            continue;
        }
        char was = *p;
        *p = '\0';
        struct stat info;
        if (mkdir(copy, 0700) != 0 && errno != EEXIST) {
            st = io_error("cannot create directory", copy);
        } else if (stat(copy, &info) == 0 && !S_ISDIR(info.st_mode)) {
            errno = ENOTDIR;
            st = io_error("cannot use", copy);
        }
        *p = was;
        if (was == '\0') {
            break;
        }
    }
    mem_free(copy);
    return st;
}

/* Of everything before the line "end". */
static uint64_t checksum(const char *text)
{
    const char *end = strstr(text, "\nend");
    return end == NULL ? 0 : XXH3_64bits(text, (size_t)(end - text) + 1);
}

static struct status *damaged(const char *path)
{
    return status_hint(status_new(CORRUPT, "%s/identity is damaged", path),
                       "Restore the file from a copy, or give the node a new directory and a new "
                       "node id.");
}

static struct status *parse(const char *path, char *text, struct identity *out)
{
    bool has_end = false;
    int line = 0;
    unsigned version = 0;
    uint64_t sum = checksum(text);
    memset(out, 0, sizeof(*out));
    for (char *save = NULL, *l = strtok_r(text, "\n", &save); l != NULL;
         l = strtok_r(NULL, "\n", &save)) {
        line++;
        unsigned member;
        uint64_t a, b;
        if (line == 1) {
            if (sscanf(l, "sherd-identity %u", &version) != 1) {
                break;
            }
            if (version > IDENTITY_FORMAT) {
                return status_hint(
                    status_new(INVALID,
                               "data directory \"%s\" has format %u, this server knows up to %d",
                               path, version, IDENTITY_FORMAT),
                    "Start the newer version of sherd that wrote it.");
            }
        } else if (sscanf(l, "node %" SCNu64, &a) == 1) {
            out->node_id = a;
        } else if (sscanf(l, "nonce %" SCNx64, &a) == 1) {
            out->nonce = a;
        } else if (sscanf(l, "cluster %" SCNx64 " %63[^\n]", &a, out->cluster_name) >= 1) {
            out->cluster_id = a;
        } else if (sscanf(l, "member %u", &member) == 1) {
            out->is_member = member != 0;
        } else if (sscanf(l, "formed %" SCNu64 " %" SCNx64, &a, &b) == 2 &&
                   out->formed_count < CONFIG_PEERS_MAX) {
            out->formed[out->formed_count].node_id = a;
            out->formed[out->formed_count++].nonce = b;
        } else if (out->peer_count < CONFIG_PEERS_MAX &&
                   sscanf(l, "peer %" SCNu64 " %255s %" SCNu16 " %" SCNu16,
                          &out->peers[out->peer_count].node_id, out->peers[out->peer_count].host,
                          &out->peers[out->peer_count].grpc_port,
                          &out->peers[out->peer_count].raft_port) == 4) {
            out->peer_count++;
        } else if (version == 1 && strcmp(l, "end") == 0) {
            has_end = true;
        } else if (sscanf(l, "end %" SCNx64, &a) == 1 && a == sum) {
            has_end = true;
        } else {
            return damaged(path);
        }
    }
    return has_end && out->nonce != 0 ? NULL : damaged(path);
}

struct status *identity_save(const char *data_dir, const struct identity *id)
{
    char *path = mem_printf("%s/identity", data_dir);
    char *temp = mem_printf("%s/identity.new", data_dir);
    struct buf b = {0};
    struct status *st = NULL;
    int fd = -1, dir = -1;
    buf_printf(&b,
               "sherd-identity %d\nnode %" PRIu64 "\nnonce %" PRIx64 "\ncluster %" PRIx64
               " %s\nmember %d\n",
               IDENTITY_FORMAT, id->node_id, id->nonce, id->cluster_id, id->cluster_name,
               id->is_member);
    for (int i = 0; i < id->formed_count; i++) {
        buf_printf(&b, "formed %" PRIu64 " %" PRIx64 "\n", id->formed[i].node_id,
                   id->formed[i].nonce);
    }
    for (int i = 0; i < id->peer_count; i++) {
        const struct identity_peer *p = &id->peers[i];
        buf_printf(&b, "peer %" PRIu64 " %s %u %u\n", p->node_id, p->host, p->grpc_port,
                   p->raft_port);
    }
    buf_printf(&b, "end %" PRIx64 "\n", XXH3_64bits(b.data, b.len));
    fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        st = io_error("cannot write", temp);
        goto out;
    }
    if (write(fd, b.data, b.len) != (ssize_t)b.len || fsync(fd) != 0) {
        st = io_error("cannot write", temp);
        goto out;
    }
    if (rename(temp, path) != 0) {
        st = io_error("cannot replace", path);
        goto out;
    }
    dir = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fsync(dir) != 0) {
        st = io_error("cannot sync directory", data_dir);
    }
out:
    if (fd >= 0) {
        close(fd);
    }
    if (dir >= 0) {
        close(dir);
    }
    buf_deinit(&b);
    mem_free(path);
    mem_free(temp);
    return st;
}

struct status *identity_load(const char *data_dir, uint64_t nonce, struct identity *out)
{
    TRY(make_dirs(data_dir));
    char *path = mem_printf("%s/identity", data_dir);
    struct status *st = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        memset(out, 0, sizeof(*out));
        out->nonce = nonce | 1; /* never 0 */
        st = identity_save(data_dir, out);
        mem_free(path);
        return st;
    }
    if (fd < 0) {
        st = io_error("cannot open", path);
        mem_free(path);
        return st;
    }
    char text[32768];
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n < 0) {
        st = io_error("cannot read", path);
    } else {
        text[n] = '\0';
        st = parse(data_dir, text, out);
    }
    mem_free(path);
    if (st == NULL && access(data_dir, W_OK) != 0) {
        st = io_error("cannot write to", data_dir);
    }
    return st;
}
