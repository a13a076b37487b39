/*
 * The state machine of tests of replication: it keeps every entry, under the key 'd' | index u64
 * BE, and counts what it is told.
 */
#ifndef TEST_LIB_LOG_FSM_H
#define TEST_LIB_LOG_FSM_H

#include "replication/group.h"

struct log_fsm {
    struct group_fsm fsm;
    size_t applied, reloaded, configs;
};

void log_fsm_init(struct log_fsm *m);

#endif
