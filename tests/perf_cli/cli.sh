#!/bin/sh
# The command lines of the benchmarks and tools: errors give exit code 2 and a sentence; what runs, runs clean; a launcher's
# ranks find one another; nothing is left behind.
# Arguments: all_reduce_perf, broadcast_perf, floor, tutti-run, tutti-info.
set -u
all_reduce=$1 broadcast=$2 floor=$3 run=$4 info=$5
perf=$(dirname "$all_reduce")
. "${0%/*}/expect.sh"

# The command line.
for program in "$all_reduce" "$floor" "$info" "$perf/startup" "$perf/idle" "$perf/kernel_bench"; do
  expect 2 'not expected: --bogus' "$program" --bogus
  expect 0 'Options' "$program" --help
  expect 0 "^${program##*/} (Tutti) [0-9]*\.[0-9]*\.[0-9]*\$" "$program" --version
  expect 1 'cannot write to standard output: No space left' sh -c '"$1" --help >/dev/full' sh "$program"
done
expect 0 '^tutti-run (Tutti) [0-9.]*$' "$run" --version
expect 2 "'foo' is none of int8" "$all_reduce" -d foo
expect 2 "'bar' is none of sum" "$all_reduce" -o bar
expect 2 'above the largest' "$all_reduce" -b 2K -e 1K
expect 2 'does not grow' "$all_reduce" -f 1
expect 2 'not in range' "$all_reduce" -p 0
expect 2 '1025 not in range' "$all_reduce" -p 1025
for way in '-p 2 -g 1000' '-p 2 -t 1000' '-p 20 -t 10 -g 10'; do
  expect 2 "^all_reduce_perf: 2000 ranks (.*): at most 1024" "$all_reduce" $way
  expect 0 '^1$' sh -c '"$@" 2>&1 | grep -c .' sh "$all_reduce" $way  # one line only: no process was forked
done
for value in 0 -1 nan soon 1e10; do
  expect 2 "'$value' must be above 0 and at most 1e9; see" "$all_reduce" -T $value
done
for value in foo 4Q -5 1e30 99999999999999999999 K; do
  expect 2 "^all_reduce_perf: --minbytes: '$value' is not a size: write bytes, or a number with K, M, G or T; see" "$all_reduce" -b "$value"
done
expect 2 "'x' is not a size" "$floor" --sizes 8,x
expect 2 "'4' is less than 8 bytes" "$perf/kernel_bench" 4
expect 2 "'0' is less than 1 bytes" "$all_reduce" -i 0
expect 2 "'-3' is neither a rank nor 'all'" "$broadcast" -r -3
expect 2 '^broadcast_perf: -r 2: there are only 2 ranks$' "$broadcast" -p 2 -r 2
expect 2 'is required' "$run" true
expect 2 'nothing to run' "$run" -n 2
expect 2 '1025 not in range 1 to 1024' "$run" -n 1025 true
expect 2 'x not in range' "$run" -np x true
expect 2 '1 required N' "$run" -np
expect 2 'not expected: --bogus' "$run" -n 2 --bogus true
expect 2 'leave out -p' env PMI_RANK=0 PMI_SIZE=2 "$all_reduce" -p 2
expect 1 'set TUTTI_COMM_ID' env -u TUTTI_COMM_ID OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=4 \
  OMPI_COMM_WORLD_LOCAL_SIZE=2 "$all_reduce"

# The benchmarks: forked, threads, groups, streams, aggregated, registered.
small='-b 8 -e 4K -f 16 -n 2'
for way in '-p 2' '-p 1 -t 3' '-p 2 -g 2' '-p 1 -g 3' '-p 2 -m 3' '-p 2 -y 0 -z 0' '-p 2 -R 1' '-p 3 -a 3 --no-bind'; do
  expect 0 'Out of bounds values : 0 OK' "$all_reduce" $small $way
done
expect 0 'Out of bounds values : 0 OK' "$all_reduce" $small -p 2 -d all -o all
expect 0 'Out of bounds values : 0 OK' "$broadcast" $small -p 3 -r all
for collective in all_gather_v reduce_scatter_v; do
  expect 0 'Out of bounds values : 0 OK' "$perf/${collective}_perf" $small -p 3 -d all -o all
  expect 0 'Out of bounds values : 0 OK' "$perf/${collective}_perf" $small -p 2 -g 2
done
expect 0 '^  *0  *0  *none  *none  *-1  .*  0  .*N/A' "$perf/barrier_perf" $small -p 3 -d all
expect 0 'Out of bounds values : 0 OK' "$all_reduce" $small -p 3 --as reduce+broadcast
expect 2 'nonsense not in' "$all_reduce" --as nonsense
expect 2 'not in groups or on a stream' "$all_reduce" $small --as reduce+broadcast -g 2
expect 0 '"wrong": 0' "$all_reduce" $small -p 2 --json -
expect 0 'p99' "$all_reduce" $small -p 2 --percentiles
expect 0 'no meaning on host memory' "$all_reduce" $small -p 2 -G 1
expect 0 'pull' "$floor" -p 2 -b 1K -e 1K -n 2
expect 0 '^ *24 .* pull ' "$floor" -p 2 --sizes 24,1K -n 2
expect 2 'nothing to move' "$floor" --sizes 0
for collective in all_reduce all_gather reduce_scatter broadcast reduce alltoall sendrecv; do
  expect 0 '^ *196608 .* bare ' "$floor" -p 3 --sizes 96,192K -n 2 --bare $collective
done
expect 2 'barrier is no collective' "$floor" --bare barrier
expect 0 '^ *5242880 .* mapped ' "$floor" -p 3 --sizes 96,5M -n 2 --mapped --bare none

# A file that cannot be written is an error before anything runs, and no file is created. An existing file keeps its text until the end.
folder=$(mktemp -d)
mkdir "$folder/full"
echo old >"$folder/old"
# refused FILE REASON: the error is the only output.
refused() {
  expect 2 "^all_reduce_perf: -J: cannot write $1: $2\$" "$all_reduce" $small -p 2 -J "$1"
  expect 0 '^1$' sh -c '"$@" 2>&1 | grep -c .' sh "$all_reduce" $small -p 2 -J "$1"
}
refused "$folder/none/x.json" 'No such file or directory'
refused "$folder/full" 'Is a directory'
refused "$folder/old/x.json" 'Not a directory'
expect 2 "cannot write $folder/none/x" "$run" -n 2 "$all_reduce" $small -J "$folder/none/x"
expect 1 'TUTTI_TILE' env TUTTI_TILE=x "$all_reduce" $small -p 1 -J "$folder/old"
expect 1 'TUTTI_TILE' env TUTTI_TILE=x "$all_reduce" $small -p 1 -J "$folder/new"
expect 0 '^full old *$' sh -c 'echo $(ls "$1"; [ "$(cat "$1/old")" = old ] || echo changed)' sh "$folder"
seq 100000 >"$folder/old"
expect 0 'OK' "$all_reduce" $small -p 2 -J "$folder/old"
expect 0 '^}$' tail -n 1 "$folder/old"
expect 0 '"wrong": 0' "$all_reduce" $small -p 2 -J /dev/stderr
expect 1 'cannot write /dev/full: No space left on device' "$all_reduce" $small -p 2 -J /dev/full
rm -r "$folder"
for program in "$all_reduce $small -p 2" "$floor -p 2 --sizes 8 -n 1" "$perf/idle -n 1 -l 1" "$info"; do
  expect 1 'cannot write to standard output: No space left on device' sh -c "$program >/dev/full"
done

# What TUTTI_DEBUG=INFO says of the choices.
expect 0 'AllReduce from 65536 bytes on: .*, in mapped memory' env TUTTI_DEBUG=INFO "$all_reduce" -b 64K -e 64K -n 2 -p 2 -R 1
topology=$(mktemp)
echo "host $(uname -n) nic=1Gbit" >"$topology"
expect 0 'transports: shm to 2 of 2 peers' env TUTTI_DEBUG=INFO TUTTI_TRANSPORTS=shm "$all_reduce" $small -p 3
expect 0 "topology (TUTTI_TOPO_FILE=$topology): 3 x core" env TUTTI_DEBUG=INFO TUTTI_TOPO_FILE="$topology" "$all_reduce" $small -p 3
expect 0 'AllReduce from 8 bytes on: ring, .*, forced by TUTTI_ALGO' env TUTTI_DEBUG=INFO TUTTI_ALGO=ring "$all_reduce" $small -p 3
expect 0 'AllReduce from 8 bytes on: .*, TUTTI_ALGO=bruck does not apply' env TUTTI_DEBUG=INFO TUTTI_ALGO=bruck "$all_reduce" $small -p 3
rm -f "$topology"

expect 0 'transports: shm' env TUTTI_DEBUG=info "$all_reduce" $small -p 2

# Launchers.
expect 0 'Out of bounds values : 0 OK' "$run" -n 2 "$all_reduce" $small
expect 0 'Out of bounds values : 0 OK' sh -c 'PMI_RANK=1 PMI_SIZE=2 "$@" & PMI_RANK=0 PMI_SIZE=2 "$@" && wait' \
  sh env -u TUTTI_COMM_ID "$all_reduce" $small
expect 1 'only 0 of 1 other' env -u TUTTI_COMM_ID TUTTI_INIT_TIMEOUT=0.2 PMI_RANK=0 PMI_SIZE=2 "$all_reduce" $small
expect 1 'gave no unique id' env -u TUTTI_COMM_ID TUTTI_INIT_TIMEOUT=0.2 PMI_RANK=1 PMI_SIZE=2 "$all_reduce" $small
# Placed by a launcher on fewer processors than there are, ranks are pinned if asked only.
processor=$(taskset -cp $$ | sed 's/.*: \([0-9]*\).*/\1/')
expect 0 "core $processor\$" taskset -c "$processor" "$run" -n 2 "$all_reduce" $small --bind

# tutti-run.
expect 127 'command not found' "$run" -n 2 no-such-command
expect 126 'not a program' "$run" -n 2 /
expect 7 'rank 1 (pid [0-9]*) ended with exit code 7' "$run" -n 3 sh -c '[ $TUTTI_RANK = 1 ] && exit 7; sleep 100'
expect 139 'rank 0 (pid [0-9]*) was killed by signal 11' "$run" -n 2 sh -c '[ $RANK = 0 ] && kill -SEGV $$; sleep 100'
expect 0 '^\[1\] 1 of 2$' "$run" -n 2 --tag-output sh -c 'echo $TUTTI_RANK of $WORLD_SIZE'
expect 0 '^gone$' sh -c '
  pid=$("$1" -n 1 sh -c "sleep 100 >/dev/null 2>&1 & echo \$!")
  tries=0
  while kill -0 $pid 2>/dev/null && [ "$(cut -d" " -f3 /proc/$pid/stat 2>/dev/null)" != Z ] && [ $tries -lt 10000 ]; do
    tries=$((tries + 1))
  done
  [ $tries -lt 10000 ] && echo gone' sh "$run"

for ranks in '-n 2' '-np 2' '--np 2' '--np=2' '-np=2' '--bind -np 2'; do
  expect 0 '^-np 7 of 2$' "$run" $ranks sh -c 'echo $1 $2 of $TUTTI_NRANKS' sh -np 7
done

# --print-id.
expect 0 '^TUTTI_COMM_ID=127\.0\.0\.1:[0-9]*#[0-9a-f]\{32\}$' env TUTTI_SOCKET_IFNAME=lo "$run" --print-id
expect 0 '^TUTTI_COMM_ID=localhost:[0-9]*#[0-9a-f]\{32\}$' "$run" --print-id localhost
expect 0 '^TUTTI_COMM_ID=localhost:9000#[0-9a-f]\{32\}$' "$run" --print-id localhost:9000
expect 0 '^TUTTI_COMM_ID=\[::1\]:[0-9]*#' "$run" --print-id '[::1]'
expect 2 "'no.such.host.invalid' is not known" "$run" --print-id no.such.host.invalid
expect 2 "'localhost:0': port 0 is not in 1..65535" "$run" --print-id localhost:0
expect 2 'excludes' "$run" --print-id -n 2 true
expect 2 'starts no command: leave out true' "$run" --print-id localhost true
expect 0 'Out of bounds values : 0 OK' sh -c 'export "$("$1" --print-id 127.0.0.1)" MPI_LOCALNRANKS=1; shift
  PMI_RANK=1 PMI_SIZE=2 "$@" & PMI_RANK=0 PMI_SIZE=2 "$@" && wait' sh "$run" "$all_reduce" $small
[ "$("$run" --print-id localhost:1)" != "$("$run" --print-id localhost:1)" ] || { echo 'FAILED: secrets repeat'; failures=1; }

# tutti-info.
expect 0 'TUTTI_TIMEOUT  *7  *environment' env TUTTI_TIMEOUT=7 "$info"
expect 0 '#(hidden)' env 'TUTTI_COMM_ID=127.0.0.1:1#word' "$info"
expect 0 '"transports"' "$info" --json
expect 0 'TUTTI_DEBUG  *INFO  *environment' env TUTTI_DEBUG=' info ' "$info"
expect 0 'TUTTI_TIMEOUT  *600  *default' env TUTTI_TIMEOUT= "$info"
# bad NAME VALUE TEXT: the row of that setting shows the error TEXT, as text and as JSON. All other rows are shown without an error. Standard
# error has TEXT, too.
bad() {
  expect 1 "^tutti-info: $1='$2' (environment).*$3" env "$1=$2" "$info"
  expect 1 "^    WRONG: $1='$2' (environment).*$3" env "$1=$2" "$info"
  expect 1 '^  TUTTI_SPIN_US  *200' env "$1=$2" "$info"
  expect 1 '^  shm ' env "$1=$2" "$info"
  expect 0 "^$1$" sh -c 'env "$1=$2" "$3" --json 2>/dev/null | python3 -c "
import json, sys
facts = json.load(sys.stdin)
print(*[row[\"name\"] for row in facts[\"settings\"] if \"error\" in row])
assert facts[\"transports\"] and facts[\"topology\"]"' sh "$1" "$2" "$info"
}
bad TUTTI_TIMEOUT soon 'must be a number of seconds above 0'
bad TUTTI_TRANSPORTS nope "there is no transport 'nope'; known: shm"
bad TUTTI_ALGO nope 'known: .*ring'
bad TUTTI_FAULT nope 'seed=N'
bad TUTTI_TOPO shelf:2 'unknown level'
bad TUTTI_TOPO_FILE /nowhere '/nowhere cannot be read'
bad TUTTI_CONF_FILE /nowhere 'cannot be read: No such file'
expect 0 'TUTTI_TOPO  *host:2 core:3' env TUTTI_TOPO='host:2 core:3' "$info"
expect 1 "TUTTI_COMM_ID=garbage .*there is no host:port" env 'TUTTI_COMM_ID=garbage#word' "$info"
expect 1 "WRONG: TUTTI_SOCKET_IFNAME.*matches no interface" env TUTTI_SOCKET_IFNAME=nosuch0 "$info"
expect 0 "WRONG: TUTTI_TIMEOUT.*WRONG: TUTTI_TILE" sh -c 'TUTTI_TIMEOUT=x TUTTI_TILE=x "$1" | grep WRONG | tr "\n" " "' sh "$info"

# The secret of TUTTI_COMM_ID is never printed.
conf=$(mktemp)
printf 'TUTTI_COMM_ID 127.0.0.1:9#sesame\nTUTTI_COM_ID=127.0.0.1:9#sesame\n' >"$conf"
for value in '127.0.0.1:x#sesame' '#sesame' '127.0.0.1:99999#sesame'; do
  for command in "$info" "$info --json" "$all_reduce -p 1"; do
    for file in '' "$conf"; do
      expect 0 '^0$' sh -c 'TUTTI_DEBUG=TRACE TUTTI_CONF_FILE="$1" TUTTI_COMM_ID="$2" $3 2>&1 | grep -c sesame; true' sh "$file" "$value" "$command"
    done
  done
done
rm "$conf"

conclude
