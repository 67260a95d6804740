#!/usr/bin/env bash
# One host of any number: takes jobs from $JOBS until all are done, and starts again after a crash. What was finished
# stays finished, what was half done is gone on with, so a restart costs one job's unfinished part at most.
#   JOBS=/bucket/jobs.jsonl OUT=/bucket/videos CONFIG=configs/skyreels_a2v_19b.py WEIGHTS=/bucket/weights \
#     MESH=data=2,fsdp=4 tpu/launch/worker.sh
set -uo pipefail
cd "$(dirname "$0")/../.."
source tpu/launch/environment.sh
[ -x .venv/bin/python ] && PATH="$PWD/.venv/bin:$PATH"
# GKE tells slices of one JobSet to work as one program, and libtpu would wait for the others. These work alone.
unset ${!MEGASCALE_@}

for attempt in 1 2 3 4 5; do
  python sample.py --jobs "$JOBS" --out "$OUT" --config "$CONFIG" --weights "$WEIGHTS" --mesh "$MESH" --lease 180 &
  child=$!
  # A spot machine gets SIGTERM half a minute before it is taken: passed on, so that the job is free for others at once.
  trap 'kill -TERM $child' TERM INT
  wait "$child"
  status=$?
  # 0: all done. 2: the request itself is wrong. 130, 143: told to stop. Another try changes none of these.
  case $status in 0 | 2 | 130 | 143) exit $status ;; esac
  echo "worker: attempt $attempt ended with status $status" >&2
  sleep 10
done
exit "$status"
