/*
 * Replica configurations: codec and history. See roster.h.
 *
 * Invariant: the items of a history ascend by index. A history is short (changes are rare, and a
 * checkpoint trims it), so lookups walk it from its end.
 */
#include "roster.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define ROSTER_FORMAT 1

void roster_address_format(char out[ROSTER_ADDRESS_SIZE], uint64_t node_id, uint64_t replica_id)
{
    snprintf(out, ROSTER_ADDRESS_SIZE, "%llu/%llu", (unsigned long long)node_id,
             (unsigned long long)replica_id);
}

static bool parse_u64(const char **pos, uint64_t *out)
{
    const char *p = *pos;
    uint64_t v = 0;
    if (*p < '0' || *p > '9') {
        return false;
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (v > (UINT64_MAX - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    *pos = p;
    *out = v;
    return true;
}

bool roster_address_parse(const char *address, uint64_t *out_node_id)
{
    uint64_t node_id;
    uint64_t replica_id;
    if (address == NULL || !parse_u64(&address, &node_id) || *address++ != '/' ||
        !parse_u64(&address, &replica_id) || *address != '\0') {
        return false;
    }
    *out_node_id = node_id;
    return true;
}

static void put_u64_le(struct buf *b, uint64_t v)
{
    for (int i = 0; i < 8; i++) {
        buf_put_u8(b, (uint8_t)(v >> (8 * i)));
    }
}

static uint64_t read_u64_le(struct reader *r)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) {
        v |= (uint64_t)read_u8(r) << (8 * i);
    }
    return v;
}

void roster_encode(const struct roster *c, struct buf *out)
{
    size_t start = out->len;
    buf_put_u8(out, ROSTER_FORMAT);
    put_u64_le(out, c->count);
    for (unsigned i = 0; i < c->count; i++) {
        char address[ROSTER_ADDRESS_SIZE];
        roster_address_format(address, c->members[i].node_id, c->members[i].replica_id);
        put_u64_le(out, c->members[i].replica_id);
        buf_put_cstr(out, address);
        buf_put_u8(out, (uint8_t)c->members[i].role);
    }
    while ((out->len - start) % 8 != 0) {
        buf_put_u8(out, 0);
    }
}

bool roster_decode(struct slice bytes, struct roster *out)
{
    struct reader r;
    reader_init(&r, bytes);
    if (read_u8(&r) != ROSTER_FORMAT) {
        return false;
    }
    uint64_t count = read_u64_le(&r);
    if (!reader_ok(&r) || count == 0 || count > ROSTER_MEMBERS_MAX) {
        return false;
    }
    struct roster c = {.count = 0};
    for (uint64_t i = 0; i < count; i++) {
        struct roster_member *m = &c.members[i];
        m->replica_id = read_u64_le(&r);
        const char *address = read_cstr(&r);
        m->role = read_u8(&r);
        if (!reader_ok(&r) || m->replica_id == 0 || roster_find(&c, m->replica_id) != NULL ||
            !roster_address_parse(address, &m->node_id)) {
            return false;
        }
        if (m->role != RAFT_VOTER && m->role != RAFT_STANDBY && m->role != RAFT_SPARE) {
            return false;
        }
        char canonical[ROSTER_ADDRESS_SIZE]; /* two members never share an address */
        roster_address_format(canonical, m->node_id, m->replica_id);
        if (strcmp(canonical, address) != 0) {
            return false;
        }
        c.count++;
    }
    *out = c;
    return true;
}

void roster_from_raft(const struct raft_configuration *rc, struct roster *out)
{
    ASSERT(rc->n <= ROSTER_MEMBERS_MAX);
    out->count = rc->n;
    for (unsigned i = 0; i < rc->n; i++) {
        out->members[i].replica_id = rc->servers[i].id;
        out->members[i].role = rc->servers[i].role;
        out->members[i].node_id = 0;
        (void)roster_address_parse(rc->servers[i].address, &out->members[i].node_id);
    }
}

void roster_to_raft(const struct roster *c, struct raft_configuration *out)
{
    raft_configuration_init(out);
    for (unsigned i = 0; i < c->count; i++) {
        char address[ROSTER_ADDRESS_SIZE];
        roster_address_format(address, c->members[i].node_id, c->members[i].replica_id);
        int rv = raft_configuration_add(out, c->members[i].replica_id, address, c->members[i].role);
        ASSERT_MSG(rv == 0, "a decoded configuration is refused: %s", raft_strerror(rv));
    }
}

const struct roster_member *roster_find(const struct roster *c, uint64_t replica_id)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (c->members[i].replica_id == replica_id) {
            return &c->members[i];
        }
    }
    return NULL;
}

unsigned roster_voter_count(const struct roster *c)
{
    unsigned n = 0;
    for (unsigned i = 0; i < c->count; i++) {
        n += c->members[i].role == RAFT_VOTER;
    }
    return n;
}

bool roster_is_voter(const struct roster *c, uint64_t replica_id)
{
    const struct roster_member *m = roster_find(c, replica_id);
    return m != NULL && m->role == RAFT_VOTER;
}

bool roster_is_sole_voter(const struct roster *c, uint64_t replica_id)
{
    return roster_is_voter(c, replica_id) && roster_voter_count(c) == 1;
}

bool roster_equal(const struct roster *a, const struct roster *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (unsigned i = 0; i < a->count; i++) {
        const struct roster_member *x = &a->members[i];
        const struct roster_member *y = &b->members[i];
        if (x->replica_id != y->replica_id || x->node_id != y->node_id || x->role != y->role) {
            return false;
        }
    }
    return true;
}

/* ---- history ---- */

void roster_history_deinit(struct roster_history *h)
{
    mem_free(h->items);
    *h = (struct roster_history){NULL, 0, 0};
}

void roster_history_push(struct roster_history *h, uint64_t index, const struct roster *c)
{
    ASSERT(index > roster_history_last_index(h));
    if (h->count == h->capacity) {
        h->capacity = h->capacity ? h->capacity * 2 : 4;
        h->items = mem_realloc(h->items, h->capacity * sizeof *h->items);
    }
    h->items[h->count].index = index;
    h->items[h->count].conf = *c;
    h->count++;
}

void roster_history_truncate(struct roster_history *h, uint64_t from_index)
{
    while (h->count > 0 && h->items[h->count - 1].index >= from_index) {
        h->count--;
    }
}

void roster_history_trim(struct roster_history *h, uint64_t index)
{
    size_t keep = 0;
    while (keep + 1 < h->count && h->items[keep + 1].index <= index) {
        keep++;
    }
    if (keep > 0) {
        memmove(h->items, h->items + keep, (h->count - keep) * sizeof *h->items);
        h->count -= keep;
    }
}

const struct roster_at *roster_history_at(const struct roster_history *h, uint64_t index)
{
    for (size_t i = h->count; i > 0; i--) {
        if (h->items[i - 1].index <= index) {
            return &h->items[i - 1];
        }
    }
    return NULL;
}

uint64_t roster_history_last_index(const struct roster_history *h)
{
    return h->count ? h->items[h->count - 1].index : 0;
}
