/*
 * What `sherd local` starts in its tests in place of a server: reads the configuration as a server
 * does, answers gRPC by fake_sql.h, ends at SIGTERM. With a file "die" in its folder it ends at
 * once, with a file "deaf" it takes no notice of SIGTERM.
 */
#include "fake_sql.h"

#include "base/config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct config *config = NULL;
    if (argc != 3 || strcmp(argv[1], "--config") != 0) {
        fprintf(stderr, "usage: fake_sherdd --config FILE\n");
        return 2;
    }
    if (access("die", F_OK) == 0) {
        fprintf(stderr, "it is written that this node dies\n");
        return 7;
    }
    struct status *st = config_load(argv[2], &config);
    if (st != NULL) {
        fprintf(stderr, "%s\n", st->message);
        status_free(st);
        return 1;
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    struct fake_sql *s = fake_sql_start(config->grpc_port);
    int signum;
    do {
        (void)sigwait(&set, &signum);
    } while (access("deaf", F_OK) == 0);
    fake_sql_stop(s);
    config_free(config);
    return 0;
}
