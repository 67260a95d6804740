"""How long sample.py takes to its first step, with nothing kept of earlier runs and with everything kept.

    python -m avatar_jax.evaluation.start [--image P] [--audio A] [--json] [-- more arguments of sample.py]

Runs sample.py twice on the demo's portrait, or the one given, with a compilation cache of its own: a cold start
compiles all programs, a warm start finds them. With --json the last line is one JSON object.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from avatar_jax.media import BadInput

ROOT = Path(__file__).resolve().parents[2]


def measured(command: list[str], out: Path, cache: Path) -> dict[str, float]:
    """Seconds of one run: until the program was ready, until its first step (in CPU seconds too), and in all.

    Raises:
        BadInput: sample.py refused the arguments.
    """
    kept = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cache)}
    run = [sys.executable, str(ROOT / "sample.py"), *command, "--out", str(out)]
    done = subprocess.run(run, env=kept, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BadInput("sample.py", f"status {done.returncode}", done.stderr[-120:], "see its own message")
    report = json.loads((out / "report.json").read_text())
    start = report["start_s"]
    ready, first = start["program"] or 0.0, start["first_step"] or 0.0
    seconds = {"ready_s": round(ready, 2), "first_step_s": round(ready + first, 2), "cpu_s": start["cpu"]}
    return seconds | {"all_s": report["timings_s"]["all"]}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, default=ROOT / "docs" / "demo" / "portrait.png")
    parser.add_argument("--audio", type=Path, default=ROOT / "docs" / "demo" / "speech.wav")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    args, more = parser.parse_known_args(arguments)
    command = ["--image", str(args.image), "--audio", str(args.audio), *(part for part in more if part != "--")]
    result: dict[str, Any] = {"machine": f"{platform.machine()}, {os.cpu_count()} cores"}
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        try:
            for name in ("cold", "warm"):
                result[name] = measured(command, Path(folder) / name, cache)
        except BadInput as mistake:
            print(mistake, file=sys.stderr)
            return 2
        result["cache_mb"] = round(sum(p.stat().st_size for p in cache.rglob("*") if p.is_file()) / 1e6, 1)
    for name in ("cold", "warm"):
        took = result[name]
        print(f"{name}: first step after {took['first_step_s']} s, {took['cpu_s']} CPU-s ({took['ready_s']} s to load)")
    if args.json:
        print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
