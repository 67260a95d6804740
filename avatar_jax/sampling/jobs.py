"""Many videos from one file: each line a job, each job alone; a bad one never stops the others.

A line is {"name", "image", "audio", "prompt" | "storyline", "fps", "face", "seed"}; paths are relative to the file.
OUT/NAME is a job's folder, OUT/results.jsonl gets one line per finished job. Running the same file again redoes only
what was not finished, after kill -9 too: a video counts as finished when its own manifest says so.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avatar_jax.media import BadInput, nameable, unwritable
from avatar_jax.sampling.request import Request

KEYS = {"name", "image", "audio", "prompt", "storyline", "fps", "face", "seed"}
NAME = re.compile(r"[\w][\w .+-]{0,99}")
WHOLE_FILE = 64 * 2**20


@dataclass(frozen=True)
class Job:
    """One line of the file: a request, or what is wrong with the line."""

    line: int
    name: str
    request: Request | None
    fault: BadInput | None = None


def read_jobs(path: Path, out: Path) -> list[Job]:
    """Every line that is not blank, good or bad, in order.

    Raises:
      BadInput: the file itself cannot be read or holds no job.
    """
    rule = "--jobs names a UTF-8 file with one JSON object per line"
    try:
        if path.stat().st_size > WHOLE_FILE:
            raise BadInput(f"jobs file {path}", "more than 64 MiB", rule, "split it")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        got = "no such file" if not path.exists() else "not a text file that can be read"
        raise BadInput(f"jobs file {path}", got, rule, "check the path") from error
    jobs: list[Job] = []
    taken: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        name = f"line {number}"
        try:
            name, request = parse_line(line, number, path.parent, out)
            # Folders that differ only in case are one folder on some file systems.
            if (first := taken.setdefault(name.casefold(), number)) != number:
                raise BadInput(
                    f"job {name} on line {number}", f"line {first} has this name", "names differ", "rename it"
                )
            jobs.append(Job(number, name, request))
        except BadInput as fault:
            jobs.append(Job(number, name, None, fault))
    if not jobs:
        raise BadInput(
            f"jobs file {path}", "no job in it", rule, 'for example {"name": "a", "image": ..., "audio": ...}'
        )
    return jobs


def parse_line(line: str, number: int, base: Path, out: Path) -> tuple[str, Request]:
    """(name, request) of one line.

    Raises:
      BadInput: what is wrong with it.
    """
    where = f"jobs line {number}"
    try:
        job = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadInput(where, f"not JSON ({error})", "one JSON object per line", "correct this line") from error
    if not isinstance(job, dict):
        raise BadInput(where, type(job).__name__, "one JSON object per line", "correct this line")
    unknown = set(job) - KEYS
    if unknown:
        raise BadInput(where, f"unknown key {sorted(unknown)[0]}", f"keys are {', '.join(sorted(KEYS))}", "remove it")
    for key in ("name", "image", "audio"):
        if not isinstance(job.get(key), str) or not job[key]:
            raise BadInput(where, f"{key} is {job.get(key)!r}", "name, image and audio are texts", f"add {key}")
    for key in ("prompt", "storyline", "face"):
        if not isinstance(job.get(key, ""), str):
            raise BadInput(where, f"{key} is {job[key]!r}", f"{key} is a text", "put it in quotes")
    if not isinstance(job.get("seed", 0), int) or isinstance(job.get("seed", 0), bool):
        raise BadInput(where, f"seed is {job['seed']!r}", "a seed is a whole number", "for example 1")
    name = job["name"]
    if not NAME.fullmatch(name) or name.rstrip(". ") != name:
        rule = "a name is a folder's name: letters, digits, space, . _ + -, not ending in a dot, no slash"
        raise BadInput(where, f"name is {name!r}", rule, "choose a plain name")
    request = Request(
        image=nameable(where, base / job["image"]),
        audio=nameable(where, base / job["audio"]),
        out=nameable(where, out / name),
        prompt=job.get("prompt", ""),
        storyline=nameable(where, base / job["storyline"]) if job.get("storyline") else None,
        fps=str(job.get("fps", "25")),
        face=job.get("face"),
        seed=job.get("seed", 0),
    )
    return name, request


def run_jobs(jobs: Sequence[Job], out: Path, make: Callable[[Request], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Do every job with `make` and yield its line of results.jsonl as it is written.

    status is "done", "bad input" or "failed" (the error of the program, not of the user); jobs that an earlier run
    finished are "done" with "already_complete".

    Raises:
      BadInput: the folder for all videos cannot be used.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        results = (out / "results.jsonl").open("w", encoding="utf-8")
    except OSError as error:
        raise unwritable(out, error) from error
    with results:
        for job in jobs:
            began = time.perf_counter()
            result: dict[str, Any] = {"name": job.name, "line": job.line}
            try:
                if job.fault is not None or job.request is None:
                    raise job.fault or BadInput(job.name, "no request", "", "")
                report = make(job.request)
                kept = ("frames", "fps", "seconds", "frames_sha256", "mouth_follows_sound", "already_complete")
                result |= {"status": "done", "video": str(job.request.out / "video.mp4")}
                result |= {key: report[key] for key in kept if key in report}
            except BadInput as mistake:
                result |= {"status": "bad input", "error": str(mistake)}
            except Exception as error:
                # One job's failure, whatever it is, is told in its line and leaves the others their turn.
                result |= {"status": "failed", "error": f"{type(error).__name__}: {error}"[:2000]}
            result["took_s"] = round(time.perf_counter() - began, 2)
            try:
                results.write(json.dumps(result, ensure_ascii=False) + "\n")
                results.flush()
                os.fsync(results.fileno())
            except OSError as error:
                raise unwritable(out / "results.jsonl", error) from error
            yield result
