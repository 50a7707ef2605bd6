#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# attempts.sh N PROGRAM ARGS…: whether one of N runs is good. For measurements that somebody else's load on the machine can spoil,
# while what is broken fails each time.
n=$1
shift
for i in $(seq "$n"); do
        "$@" && exit 0
        echo "attempt $i of $n failed" >&2
done
exit 1
