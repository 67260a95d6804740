"""One worker on a jobs file whose videos are made by sleeping; run as a program by the tests that kill it.

python jobs_worker.py JOBS OUT INDEX COUNT LEASE SECONDS
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from avatar_jax.sampling.claims import Worker
from avatar_jax.sampling.jobs import read_jobs, run_jobs
from avatar_jax.sampling.request import Request


def main(jobs: str, out: str, index: str, count: str, lease: str, seconds: str) -> None:
    def make(request: Request) -> dict[str, Any]:
        """Leaves a note of every beginning and every end."""
        log = Path(out).with_name("made.log")
        with log.open("a") as file:
            file.write(f"begin {request.out.name} {index} {os.getpid()}\n")
        time.sleep(float(seconds))
        request.out.mkdir(parents=True, exist_ok=True)
        (request.out / "video.mp4").write_text(f"made by {os.getpid()}")
        (request.out / "manifest.json").write_text(json.dumps({"pid": os.getpid()}))
        with log.open("a") as file:
            file.write(f"end {request.out.name} {index} {os.getpid()}\n")
        return {"frames": 1}

    worker = Worker(int(index), int(count), float(lease))
    for result in run_jobs(read_jobs(Path(jobs), Path(out)), Path(out), make, worker):
        print(result["name"], result["status"], flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
