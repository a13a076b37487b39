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

expect() { # limit, then options
    limit=$1
    shift
    if out=$("$sim" --seed 1 --seeds "$limit" "$@" --expect-failure 2>/dev/null); then
        echo "$*: $(echo "$out" | tail -n 1)"
    else
        echo "$*: NOT noticed in $limit seeds: $(echo "$out" | tail -n 1)"
        failed=1
    fi
}

for bug in TXN_SKIP_VALIDATE TXN_NO_RTC TXN_ACK_FIRST_PREPARE TXN_IN_FLIGHT_INVISIBLE \
    TXN_REFRESH_BLIND TXN_GAPS_UNSEEN TXN_KEEP_UNDONE TXN_GC_EARLY \
    TSO_BACKWARD LOG_SKIP_SYNC RAFT_ACK_BEFORE_QUORUM APPLY_OUT_OF_ORDER TXN_ABORT_ON_TIMEOUT; do
    expect 100 --bug "$bug"
done
expect 300 --bug TXN_READ_COLLECTED
expect 300 --bug TXN_EARLY_COMMIT_TS
expect 300 --bug TXN_LOSE_PREPARED
expect 400 --bug TXN_FORGET_EARLY
expect 200 --workload gate --bug TXN_LOCK_ONLY_UNCHECKED
expect 100 --workload txn --bug FOLLOWER_EARLY
expect 200 --workload txn --bug CLOSE_NO_WAIT
expect 300 --workload count --bug READ_AFTER_LEASE
expect 100 --workload count --bug TXN_MOVED_UNSEEN
expect 100 --workload schema --bug SCHEMA_NO_USERS
# Not bugs: the strictly checked clients at a weaker level, to show that the checkers see the difference.
for workload in txn list skew; do
    expect 20 --workload $workload --isolation rc
    expect 20 --workload $workload --isolation rr
done

if [ "${2-}" = --long ]; then
    expect 2000 --bug TXN_NO_POISON
    expect 3000 --workload txn --bug TXN_NO_ATTEMPT
    expect 3000 --workload txn --bug CLOSE_NO_FLOOR
    expect 10000 --bug RAFT_VOTE_TWICE
fi
exit $failed
