#!/bin/sh
# Proves that the Raft simulator notices what it is for: with one hardening rule off, or one planted
# bug on, a seed must fail within the stated number of seeds. docs/SIMULATION.md has the figures.
#
#   raft_sim_bugs.sh path/to/raft_sim          every rule, where it is noticed soonest
#   raft_sim_bugs.sh path/to/raft_sim --long   the same with all kinds of trouble drawn, in a release build
#
# Not here: rules 4 and 17, which guard against messages that nothing of ours sends;
# test/unit/replication/test_rules.c shows both.
set -u
sim=$1
failed=0

expect() { # limit, then options
    limit=$1
    shift
    if out=$("$sim" --seed 1 --seeds "$limit" "$@" --expect-failure 2>/dev/null); then
        echo "$*: $(echo "$out" | tail -n 1)"
    else
        echo "$*: NOT noticed in $limit seeds"
        failed=1
    fi
}

if [ "${2-}" = --long ]; then
    for rule in 1 2 3 5 6 7 8 9 10 11 12 13 14 15 16 18 19 20 21 22 23 24 25 24,25 26; do
        expect 50000 --off "$rule"
    done
else
    for rule in 1 2 3 5 8 9 10 11 12 13 18 19 20 21 25 26; do
        expect 400 --off "$rule"
    done
    expect 8000 --profile hanging --off 6
    expect 1500 --profile hanging --off 7
    expect 200 --profile votes --off 14
    expect 1500 --profile transfers --off 15
    expect 8000 --profile hanging --off 16
    expect 2500 --profile leader --off 22
    expect 200 --profile votes --off 23
    expect 200 --profile transfers --off 24
    expect 200 --profile transfers --off 24,25
fi
for bug in RAFT_ACK_BEFORE_QUORUM LOG_SKIP_SYNC RAFT_VOTE_TWICE READ_AFTER_LEASE \
    APPLY_OUT_OF_ORDER; do
    expect 1500 --bug "$bug"
done
exit $failed
