/*
 * The hardening rules: what our raft_io does so that canonical/raft 0.15.0 is safe and live.
 *
 * The library as packaged loses acknowledged writes, stalls and crashes; each of the rules below
 * closes one defect or states one duty from outside of it. They carry the numbers of the project's
 * study of the library (docs/decisions), each is one function here, and each looks at
 * raft_rule_off[n] so that the simulator can show what happens without it. What is decided
 * elsewhere because it is structure and not a test (11, 20) has its paragraph in rules.c all
 * the same.
 */
#ifndef REPLICATION_RULES_H
#define REPLICATION_RULES_H

#include "group_impl.h"

/* 1 */
bool rule_own_term_barrier(struct group *g);
/* 2 */
bool rule_hold_result(const struct group *g, const struct wire_append_result *m);
/* 3 */
uint64_t rule_clamp_result(const struct group *g, uint64_t last_index);
/* 4 */
uint64_t rule_clamp_commit(uint64_t commit, uint64_t prev_index, unsigned count);
/* 5 */
bool rule_hold_append(const struct group *g, const struct append_op *a);
bool rule_may_release(const struct group *g, const struct append_op *a);
/* 6 */
bool rule_swallow_completion(const struct group *g, const struct append_op *a);
/* 7 */
bool rule_no_tick(const struct group *g);
bool rule_drop_timeout_now(const struct group *g);
/* 8 */
bool rule_configuration_at(const struct group *g, uint64_t index, uint64_t *out_index,
                           struct roster *out);
/* 9 */
bool rule_reload_to_truncate(const struct group *g, uint64_t index);
/* 10 */
int rule_send_status(const struct group *g, const struct raft_message *m, uint64_t node_id,
                     bool *out_swallow);
bool rule_install_newcomer(struct group *g, const struct raft_message *m);
/* 12 */
bool rule_gate(const struct group *g);
/* 13 */
unsigned rule_part_size(const struct group *g, const struct raft_entry *entries, unsigned count);
/* 14 */
bool rule_may_change(const struct group *g);
/* 15 */
bool rule_drop_second_vote(const struct group *g, uint64_t candidate, const struct wire_vote *m);
/* 16 */
bool rule_drop_truncation(const struct group *g);
/* 17 */
bool rule_rebase(const struct group *g, uint64_t prev_index, unsigned count, unsigned *out_skip);
/* 18 */
bool rule_bump_sole_voter(const struct group *g, const struct log_image *image);
/* 19 */
bool rule_install_must_wait(const struct group *g);
bool rule_install_answers_at_once(void);
/* 21 */
uint64_t rule_trailing(uint64_t wanted);
/* 22 */
struct vote_patch {
    bool is_on;
    struct raft_configuration saved;
    struct raft_server self;
};
void rule_vote_as_member(struct group *g, struct vote_patch *p);
void rule_vote_as_member_end(struct group *g, struct vote_patch *p);
/* 23 */
uint64_t rule_prevote_term(const struct group *g, const struct raft_request_vote_result *m);
/* 24 */
void rule_rearm_prevote(struct group *g);
/* 25 */
void rule_forget_leader(struct group *g, uint64_t term_before, bool is_append);
/* 26 */
bool rule_stream_index(const struct group *g, uint64_t *out_index);

#endif
