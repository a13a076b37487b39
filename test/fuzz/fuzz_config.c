/* Configuration files: refused with a place, or a configuration whose values keep their promises.
 */
#include "base/config.h"
#include "fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *c;
    struct status *st = config_parse("sherd.yaml", slice_make(data, size), &c);
    if (st != NULL) {
        ASSERT(strncmp(st->message, "sherd.yaml", 10) == 0);
        (void)fuzz_refused(st);
        return 0;
    }
    ASSERT(c->node_id > 0 && c->host != NULL && c->data_dir != NULL && c->cluster_name != NULL);
    ASSERT(c->peer_count >= 0 && c->peer_count <= CONFIG_PEERS_MAX);
    ASSERT(c->election_ms >= 2 * c->heartbeat_ms && c->heartbeat_ms > 0);
    config_free(c);
    return 0;
}
