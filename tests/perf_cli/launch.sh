#!/bin/sh
# The launchers of docs/launchers.md. Open MPI's and MPICH's mpirun run where they are installed. Of srun and torchrun the test sets the
# variables. Each launcher is tried on one host and as if on several: with PMIx, with TUTTI_COMM_ID, or with an error.
# Arguments: all_reduce_perf, tutti-run.
set -u
all_reduce=$1
tutti_run=$2
. "${0%/*}/expect.sh"
unset TUTTI_COMM_ID
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
small='-b 8 -e 4K -f 16 -n 2'
right='Out of bounds values : 0 OK'
# A port that is free now.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
address="127.0.0.1:$port#$$"

# both COMMAND...: the two ranks of a job whose launcher is played by variables; $rank is 0 or 1 in COMMAND.
both() {
  sh -c 'rank=1; eval "$1" & rank=0; eval "$1" && wait' sh "$*"
}

if command -v mpirun.openmpi >/dev/null; then
  expect 0 "$right" mpirun.openmpi --oversubscribe -n 3 "$all_reduce" $small
  expect 0 "$right" mpirun.openmpi --oversubscribe -n 3 env OMPI_COMM_WORLD_LOCAL_SIZE=1 "$all_reduce" $small
  expect 0 "$right" mpirun.openmpi --oversubscribe -n 2 -x TUTTI_COMM_ID="$address" env OMPI_COMM_WORLD_LOCAL_SIZE=1 "$all_reduce" $small
  expect 1 'gave no unique id\|PMIx' env TUTTI_INIT_TIMEOUT=1 PMIX_NAMESPACE=none PMIX_RANK=1 OMPI_COMM_WORLD_RANK=1 \
    OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_SIZE=1 "$all_reduce" $small
else
  echo 'no mpirun.openmpi (package openmpi-bin): not tried'
fi
if command -v mpirun.mpich >/dev/null; then
  expect 0 "$right" mpirun.mpich -n 3 "$all_reduce" $small
  expect 0 "$right" mpirun.mpich -n 2 env MPI_LOCALNRANKS=1 TUTTI_COMM_ID="$address" "$all_reduce" $small
  # In a batch script all inherit SLURM_PROCID=0.
  expect 0 "$right" mpirun.mpich -n 2 env SLURM_PROCID=0 SLURM_NTASKS=2 "$all_reduce" $small
  expect 1 'hydra offers no PMIx: set TUTTI_COMM_ID' mpirun.mpich -n 2 env MPI_LOCALNRANKS=1 "$all_reduce" $small
else
  echo 'no mpirun.mpich (package mpich): not tried'
fi

slurm="SLURM_JOB_ID=$$ SLURM_STEP_ID=0 SLURM_PROCID=\$rank SLURM_NTASKS=2 SLURM_LOCALID=\$rank"
expect 0 "$right" both "$slurm SLURM_STEP_NUM_NODES=1 $all_reduce $small"
expect 0 "$right" both "$slurm SLURM_STEP_NUM_NODES=2 TUTTI_COMM_ID='$address' $all_reduce $small"
expect 1 'srun offers no PMIx: set TUTTI_COMM_ID' both "$slurm SLURM_STEP_NUM_NODES=2 $all_reduce $small"
# As srun --mpi=pmi2 starts them.
pmi='PMI_RANK=$rank PMI_SIZE=2'
expect 0 "$right" both "$pmi $slurm SLURM_STEP_NUM_NODES=1 $all_reduce $small"
expect 1 'srun offers no PMIx: set TUTTI_COMM_ID' both "$pmi $slurm SLURM_STEP_NUM_NODES=2 $all_reduce $small"

# torchrun's run id is the secret of a job on several hosts.
torch="TORCHELASTIC_RUN_ID=a-long-run-id-$$-$$ MASTER_ADDR=127.0.0.1 MASTER_PORT=$((port - 1)) RANK=\$rank WORLD_SIZE=2 LOCAL_RANK=\$rank"
expect 0 "$right" both "$torch LOCAL_WORLD_SIZE=2 $all_reduce $small"
expect 0 "$right" both "SLURM_PROCID=0 SLURM_NTASKS=1 PMI_RANK=0 PMI_SIZE=1 $torch LOCAL_WORLD_SIZE=2 $all_reduce $small"
expect 0 "$right" both "$torch LOCAL_WORLD_SIZE=1 TUTTI_COMM_ID='$address' $all_reduce $small"
expect 0 "$right" both "$torch LOCAL_WORLD_SIZE=1 $all_reduce $small"
expect 1 'torchrun offers no PMIx: set TUTTI_COMM_ID' both "$torch LOCAL_WORLD_SIZE=1 MASTER_ADDR= $all_reduce $small"
for run_id in none '' 123456789012345; do
  weak="$torch TORCHELASTIC_RUN_ID=$run_id"
  expect 1 '--rdzv-id .* set TUTTI_COMM_ID=host:port#secret .*tutti-run --print-id HOST' both "$weak LOCAL_WORLD_SIZE=1 $all_reduce $small"
  expect 0 "$right" both "$weak LOCAL_WORLD_SIZE=1 TUTTI_COMM_ID='$address' $all_reduce $small"
  expect 0 "$right" both "$weak LOCAL_WORLD_SIZE=2 $all_reduce $small"
done
expect 1 'only 15 characters' both "$weak LOCAL_WORLD_SIZE=1 $all_reduce $small"
expect 0 "$right" both "$torch TORCHELASTIC_RUN_ID=1234567890123456 LOCAL_WORLD_SIZE=1 $all_reduce $small"

expect 2 'TUTTI_RANK is set, and TUTTI_NRANKS is not' env TUTTI_RANK=1 "$all_reduce" $small
expect 2 'TUTTI_NRANKS is set, and TUTTI_RANK is not' env TUTTI_NRANKS=2 "$all_reduce" $small
expect 2 'TUTTI_NRANKS=two is not a number' env TUTTI_RANK=0 TUTTI_NRANKS=two "$all_reduce" $small
expect 2 'TUTTI_RANK=2 is not below TUTTI_NRANKS=2' env TUTTI_RANK=2 TUTTI_NRANKS=2 "$all_reduce" $small

# A new network namespace is a host without any interface. With ::1 alone it is an IPv6 host.
if unshare -n true 2>/dev/null; then
  expect 0 "$right" unshare -n "$tutti_run" -n 2 "$all_reduce" $small
  expect 0 "$right" unshare -n "$all_reduce" -p 2 $small
  expect 0 "$right" unshare -n sh -c 'ip link set lo up && ip addr del 127.0.0.1/8 dev lo && exec "$@"' sh "$tutti_run" -n 2 "$all_reduce" $small
  expect 0 "$right" unshare -n sh -c 'ip link set lo up && ip addr del 127.0.0.1/8 dev lo && exec "$@"' sh "$all_reduce" -p 2 $small
else
  echo 'no network namespace can be made: not tried without interfaces'
fi

conclude
