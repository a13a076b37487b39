/*
 * The nemesis: strikes every 50 to 450 ms with a fault drawn from the seed, until it is healed.
 */
#ifndef TEST_SIM_NEMESIS_H
#define TEST_SIM_NEMESIS_H

#include "cluster.h"

void nemesis_start(void);
/* Everything works again from here on; nodes that are down start. */
void nemesis_heal(void);
/* cluster.on_failed: a store refused a write, the process ends, as after a kill. */
void nemesis_disk_failed(struct cluster_node *n, void *ctx);

#endif
