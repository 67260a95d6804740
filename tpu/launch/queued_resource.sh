#!/usr/bin/env bash
# Ask for TPU hosts that wait in Cloud TPU's queue until there is room, and work on one jobs file when they are there.
#   PROJECT=p ZONE=us-east5-b BUCKET=b REPOSITORY=https://... tpu/launch/queued_resource.sh [HOSTS]
# Each is a slice of one host (v6e-8: eight chips), so none waits for another and losing one loses one job's part.
# Spot machines cost the least and may be taken at any time; SPOT= asks for ones that stay.
set -euo pipefail
cd "$(dirname "$0")"
TYPE="${TYPE:-v6e-8}" RUNTIME="${RUNTIME:-v2-alpha-tpuv6e}" SPOT="${SPOT---spot}"
CONFIG="${CONFIG:-configs/skyreels_a2v_19b.py}" MESH="${MESH:-data=2,fsdp=4}"

FIRST="${FIRST:-0}"

for i in $(seq "$FIRST" $((FIRST + ${1:-1} - 1))); do
  # shellcheck disable=SC2086  # SPOT is one flag or none
  gcloud compute tpus queued-resources create "avatar-$i" --node-id "avatar-$i" \
    --project "$PROJECT" --zone "$ZONE" --accelerator-type "$TYPE" --runtime-version "$RUNTIME" $SPOT \
    --metadata "^;^bucket=$BUCKET;repository=$REPOSITORY;config=$CONFIG;mesh=$MESH" \
    --metadata-from-file startup-script=startup.sh
done
gcloud compute tpus queued-resources list --project "$PROJECT" --zone "$ZONE"
