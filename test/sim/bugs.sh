#!/bin/sh
# Proves that the simulator of whole clusters notices what it is for: with a bug planted, a seed must
# fail a consistency check or an assertion within the stated number of seeds. That a run gets stuck
# does not count. docs/SIMULATION.md has the figures.
#
#   bugs.sh path/to/sherd_sim          the short list, for every build
#   bugs.sh path/to/sherd_sim --long   also the rare ones: thousands of seeds, in a release build
#
# Not here: TXN_NO_LOW, implied by other rules (a timestamp fetched after the locks of a new leader
# is above every read that an earlier leader served: T3 and the handles cover it).
set -u
sim=$1
failed=0

expect() { # limit, option, value
    if out=$("$sim" --seed 1 --seeds "$1" "$2" "$3" --expect-failure 2>/dev/null); then
        echo "$3: $(echo "$out" | tail -n 1)"
    else
        echo "$3: NOT noticed in $1 seeds: $(echo "$out" | tail -n 1)"
        failed=1
    fi
}

for bug in TXN_SKIP_VALIDATE TXN_NO_RTC TXN_ACK_FIRST_PREPARE TXN_LOSE_PREPARED \
    TXN_IN_FLIGHT_INVISIBLE TSO_BACKWARD LOG_SKIP_SYNC RAFT_ACK_BEFORE_QUORUM \
    APPLY_OUT_OF_ORDER; do
    expect 60 --bug "$bug"
done
expect 200 --bug TXN_FORGET_EARLY
expect 60 --bug FOLLOWER_EARLY
expect 100 --bug CLOSE_NO_WAIT
expect 500 --bug TXN_ABORT_ON_TIMEOUT
# Not bugs: the strictly checked clients at a weaker level, to show that the checker sees the difference.
expect 20 --isolation rc
expect 20 --isolation rr

if [ "${2-}" = --long ]; then
    for bug in CLOSE_NO_FLOOR TXN_NO_POISON READ_AFTER_LEASE RAFT_VOTE_TWICE; do
        expect 10000 --bug "$bug"
    done
fi
exit $failed
