/* One run of a simulated cluster under faults, checked at the end. */
#ifndef TEST_SIM_SHERD_SIM_H
#define TEST_SIM_SHERD_SIM_H

#include "router/txn.h"

struct sim_options {
    int nodes;                    /* 0: three, or five every fourth seed */
    enum txn_isolation isolation; /* of the clients whose history must be strict */
    const char *workload;         /* this one alone; NULL: drawn from the seed */
    bool calm;                    /* no faults */
    bool trace;
};

/* 0 when all checks hold. A failed check prints the seed and what is wrong and ends the process.
 * One call a process. */
bool sim_has_workload(const char *name);
int sim_run_seed(uint64_t seed, const struct sim_options *options);

#endif
