#!/usr/bin/env bash
# Startup script of a TPU VM made by queued_resource.sh: installs once, mounts the bucket, works until all jobs are done.
# Runs as root at every boot. Metadata of the machine says what to do: bucket, repository, config, mesh.
set -euxo pipefail
meta() { curl -sf -H "Metadata-Flavor: Google" "http://metadata.google.internal/computeMetadata/v1/instance/attributes/$1"; }
export HOME=/root WORKDIR=/mnt/bucket

if ! command -v gcsfuse; then
  echo "deb https://packages.cloud.google.com/apt gcsfuse-$(lsb_release -cs) main" > /etc/apt/sources.list.d/gcsfuse.list
  curl -sf https://packages.cloud.google.com/apt/doc/apt-key.gpg > /etc/apt/trusted.gpg.d/google.asc
  apt-get update && apt-get install -y gcsfuse ffmpeg
fi
mkdir -p "$WORKDIR"
# Claims are read by other hosts: what the bucket says now counts, not what it said a minute ago.
mountpoint -q "$WORKDIR" || gcsfuse --implicit-dirs --metadata-cache-ttl-secs 0 "$(meta bucket)" "$WORKDIR"

if [ ! -d /opt/avatar-jax ]; then
  git clone --depth 1 "$(meta repository)" /opt/avatar-jax
  cd /opt/avatar-jax && python3.11 -m venv .venv && .venv/bin/pip install -e '.[tpu]'
fi
cd /opt/avatar-jax
JOBS="$WORKDIR/jobs.jsonl" OUT="$WORKDIR/videos" WEIGHTS="$WORKDIR/weights" \
  CONFIG="$(meta config)" MESH="$(meta mesh)" exec tpu/launch/worker.sh
