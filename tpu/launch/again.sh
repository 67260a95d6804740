#!/usr/bin/env bash
# Spot machines do not come back by themselves: ask again for each that was taken, until all jobs are done.
#   PROJECT=p ZONE=z BUCKET=b REPOSITORY=https://... tpu/launch/again.sh HOSTS
set -euo pipefail
cd "$(dirname "$0")"
jobs=$(gcloud storage cat "gs://$BUCKET/jobs.jsonl" | grep -c .)
finished() { gcloud storage cat "gs://$BUCKET/videos/results.jsonl" 2> /dev/null | grep -c '"status": "done"' || true; }

while [ "$(finished)" -lt "$jobs" ]; do
  for i in $(seq 0 $(($1 - 1))); do
    state=$(gcloud compute tpus queued-resources describe "avatar-$i" --project "$PROJECT" --zone "$ZONE" \
      --format 'value(state.state)' 2> /dev/null || echo NONE)
    case $state in
      SUSPENDED | FAILED)
        gcloud compute tpus queued-resources delete "avatar-$i" --project "$PROJECT" --zone "$ZONE" --force --quiet
        FIRST=$i ./queued_resource.sh 1
        ;;
    esac
  done
  sleep 60
done
