#!/bin/sh
# Proves that the Raft simulator notices what it is for: with one hardening rule off, or one planted
# bug on, a seed must fail within the stated number of seeds. docs/SIMULATION.md has the figures.
#
#   raft_sim_bugs.sh path/to/raft_sim          the short list, for every build
#   raft_sim_bugs.sh path/to/raft_sim --long   the rest too: an hour or so, in a release build
set -u
sim=$1
failed=0

expect() { # limit, option, value
    if out=$("$sim" --seed 1 --seeds "$1" "$2" "$3" --expect-failure 2>/dev/null); then
        echo "$2 $3: $(echo "$out" | tail -n 1)"
    else
        echo "$2 $3: NOT noticed in $1 seeds"
        failed=1
    fi
}

for rule in 1 2 3 8 9 10 11 12 18 26; do
    expect 400 --off "$rule"
done
expect 1500 --off 22
for bug in RAFT_ACK_BEFORE_QUORUM LOG_SKIP_SYNC RAFT_VOTE_TWICE READ_AFTER_LEASE \
    APPLY_OUT_OF_ORDER; do
    expect 1500 --bug "$bug"
done

if [ "${2-}" = --long ]; then
    for rule in 6 7 14 15 16 17 23 24,25; do
        expect 100000 --off "$rule"
    done
fi
exit $failed
