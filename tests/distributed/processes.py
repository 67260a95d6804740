"""Several processes of one run on this machine, each with a few host devices."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A port that is free together with the next one."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("", port + 1))
            except OSError:
                continue
            return port


def environment() -> dict[str, str]:
    """Without the suite's own host devices: `--mesh` says how many there are."""
    kept = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    return kept | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}


def start(command: Sequence[str], count: int, port: int, only: Sequence[int] | None = None) -> list[subprocess.Popen]:
    """Start `command` as processes 0 .. count - 1 (or `only` these)."""
    flags = ["--coordinator", f"localhost:{port}", "--processes", str(count)]
    return [
        subprocess.Popen(
            [sys.executable, *command, *flags, "--process", str(i)],
            env=environment(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for i in (only if only is not None else range(count))
    ]  # fmt: skip


@contextmanager
def running(*processes: subprocess.Popen):
    """None of them outlives the block."""
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


UNMET = "Gloo context initialization failed"
"""What JAX says when a process waited 30 s for another's first collective: seen on busy cores, where one is still
compiling, and once on a calm machine, cause unknown. A real disorder of collectives fails the second time, too."""


def run(command: Sequence[str], count: int, timeout: float = 300) -> list[subprocess.CompletedProcess]:
    """Run `command` as `count` processes to their end; once more where they did not meet in time."""
    done = run_once(command, count, timeout)
    return run_once(command, count, timeout) if any(UNMET in process.stderr for process in done) else done


def run_once(command: Sequence[str], count: int, timeout: float) -> list[subprocess.CompletedProcess]:
    processes = start(command, count, free_port())
    with running(*processes):
        done = []
        for process in processes:
            out, err = process.communicate(timeout=timeout)
            done.append(subprocess.CompletedProcess(process.args, process.returncode, out, err))
        return done
