#!/usr/bin/env bash
# The same as jobset-jobs.yaml through XPK, which makes the cluster too (pip install xpk).
#   PROJECT=p ZONE=us-east5-b BUCKET=b IMAGE=REGION-docker.pkg.dev/p/avatar/avatar-jax:v1 tpu/launch/xpk.sh [SLICES]
set -euo pipefail
SLICES="${1:-4}" CLUSTER="${CLUSTER:-avatar}" TYPE="${TYPE:-v6e-8}"
CONFIG="${CONFIG:-configs/skyreels_a2v_19b.py}" MESH="${MESH:-data=2,fsdp=4}"

xpk cluster create --cluster "$CLUSTER" --project "$PROJECT" --zone "$ZONE" --tpu-type "$TYPE" \
  --num-slices "$SLICES" --spot --enable-gcsfuse-csi-driver --enable-workload-identity
xpk storage attach avatar-bucket --cluster "$CLUSTER" --project "$PROJECT" --zone "$ZONE" --type gcsfuse \
  --bucket "$BUCKET" --mount-point /bucket --auto-mount true --readonly false --size 1
xpk workload create --workload avatar-jobs --cluster "$CLUSTER" --project "$PROJECT" --zone "$ZONE" \
  --tpu-type "$TYPE" --num-slices "$SLICES" --docker-image "$IMAGE" --max-restarts 50 \
  --env JOBS=/bucket/jobs.jsonl --env OUT=/bucket/videos --env WEIGHTS=/bucket/weights --env WORKDIR=/bucket \
  --env CONFIG="$CONFIG" --env MESH="$MESH" --command "tpu/launch/worker.sh"
