#!/bin/sh
# tutti-sim's command line: what it prints, what it writes, and exit code 2 with a sentence for what it cannot make sense of.
# Arguments: tutti-sim, python.
set -u
sim=$1 python=$2
. "${0%/*}/../perf_cli/expect.sh"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

expect 0 'Options' "$sim" --help
expect 2 'is required' "$sim"
expect 2 'not expected: --bogus' "$sim" -t core:2 --bogus
expect 2 "unknown level 'shelf'" "$sim" -t shelf:2
expect 2 "unknown collective 'sum'" "$sim" -t core:2 -c sum
expect 2 "unknown algorithm 'unheard'" "$sim" -t core:2 -a unheard
expect 2 "'hierarchical' does not serve" "$sim" -t core:2 -a hierarchical
expect 2 "'12Q'" "$sim" -t core:2 -s 12Q
expect 2 'above the largest' "$sim" -t core:2 -b 2K -e 1K
expect 2 'does not grow' "$sim" -t core:2 -b 1K -e 2K -f 1
expect 2 'not both' "$sim" -t core:2 -s 1K -b 1K
expect 2 'is not one of 2 ranks' "$sim" -t core:2 --root 2
expect 2 'contradict' "$sim" -t core:2 --all -a ring
expect 2 'from 1 to 16' "$sim" -t core:2 --in-flight 0
expect 0 '^ *1048576  ring' "$sim" -t core:4 -c reduce --cores 2
expect 2 'below 64 bytes' "$sim" -t core:2 --tile 1
expect 2 'give one size' "$sim" -t core:2 -s 1K,2K --trace "$folder/trace.json"
expect 2 'raise it' "$sim" -t core:200 -a tree -c scatter --tile 64 -s 1
expect 2 "^tutti-sim: --trace: cannot write $folder/none/trace.json: No such file or directory\$" "$sim" -t core:2 --trace "$folder/none/trace.json"
expect 0 '^1$' sh -c '"$@" 2>&1 | grep -c .' sh "$sim" -t core:2 --trace "$folder"  # one line only: nothing was simulated
expect 2 'Is a directory' "$sim" -t core:2 --trace "$folder"
expect 2 'raise it' "$sim" -t core:200 -a tree -c scatter --tile 64 -s 1 --trace "$folder/never.json"
expect 2 'never.json' ls "$folder/never.json"
expect 0 '^tutti-sim (Tutti) [0-9.]*$' "$sim" --version

expect 0 '^ *1048576  hierarchical .*host 0 (rank 0), 1.5 MiB out' "$sim" -t 'host:4 core:2'
expect 0 '^ *65536  oneshot ' "$sim" -t core:4 -s 64K --all
expect 0 '^ *4096 ' "$sim" -t core:2 -b 1K -e 4K -f 2
expect 0 'core 1 (rank 1) *out *0  in *1000 bytes' "$sim" -t core:2 -c broadcast -s 1000 -a oneshot --links
printf 'rack r uplink=100Mbit\nhost a nic=500Mbit ranks=2\nhost b rack=r nic=500Mbit\n' >"$folder/hosts"
expect 0 '^ *1048576 .*rack' "$sim" -t "$folder/hosts"
printf 'host a nic=fast\n' >"$folder/wrong"
expect 2 'fast' "$sim" -t "$folder/wrong"
expect 0 '^ *65536  hierarchical .* rack 0 ' "$sim" -t 'rack:32 host:32 npu:1' -s 64K -a hierarchical
expect 0 '^ *16777216  hierarchical .* by closed form' "$sim" -t 'rack:32 host:32 npu:16' -s 16M -a hierarchical
expect 0 '16384 ranks are too many to simulate it: the closed form only' "$sim" -t 'rack:32 host:32 npu:16' -s 16M -a hierarchical
printf 'host n[0-1] nic=1kbit\n' >"$folder/slow"
expect 2 'longer than can be counted' "$sim" -t "$folder/slow" -s 4G
expect 2 'requires --cores' "$sim" -t "$folder/slow" --one-machine
expect 0 'instead of 128 KiB' "$sim" -t 'core:2' -s 1024G -a oneshot
expect 0 'trace of' "$sim" -t 'host:2 core:2' -s 1M --trace "$folder/trace.json"
expect 0 'combine' "$python" -c 'import json, sys; print({e["name"].split()[0] for e in json.load(open(sys.argv[1]))})' "$folder/trace.json"
conclude
