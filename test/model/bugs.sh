#!/usr/bin/env bash
# With a rule of the transaction protocol off, the explorer must find a schedule that breaks it.
#   bugs.sh EXPLORE
# Each line: the switch (base/buggify.h), the scenario that shows it first, the deviations needed at most.
set -euo pipefail
explore=$1
missed=0
while read -r bug scenario depth; do
    # Where messages come in another order than when this list was written, another one may show it.
    if found=$("$explore" --scenario "$scenario" --depth "$depth" --boots 4 --bug "$bug" --expect-failure) ||
        found=$("$explore" --depth "$depth" --boots 3 --bug "$bug" --expect-failure); then
        printf '%-26s %s\n' "$bug" "$(grep -m1 FAILED <<<"$found" | cut -c1-120)"
    else
        printf '%-26s NOT CAUGHT: %s\n' "$bug" "$(tail -1 <<<"$found")"
        missed=1
    fi
done <<'LIST'
TXN_SKIP_VALIDATE        skew            1
TXN_NO_RTC               commit          1
TXN_ACK_FIRST_PREPARE    commit          1
TXN_NO_POISON            cross           1
TXN_LOSE_PREPARED        commit          1
TXN_IN_FLIGHT_INVISIBLE  gaps            1
TXN_FORGET_EARLY         commit          1
TXN_GAPS_UNSEEN          gaps            1
TXN_LOCK_ONLY_UNCHECKED  lock-only       1
TXN_KEEP_UNDONE          savepoint       0
TXN_READ_COLLECTED       old-reader      1
TXN_NO_SCHEMA_FENCE      fence           1
LIST
exit $missed
