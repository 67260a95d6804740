"""Many videos from one file: each line a job, each job alone; a bad one never stops the others.

A line is {"name", "image", "audio", "prompt" | "storyline", "fps", "face", "seed"}; paths are relative to the file.
OUT/NAME is a job's folder, OUT/results.jsonl has one line per finished job. Any number of processes may work on one
file and folder at the same time; `claims` says who makes what. Running the same file again redoes only what was not
finished, after kill -9 too: a video counts as finished while its job, the content of its files and its manifest are the
same.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from avatar_jax.media import BadInput, nameable, unwritable
from avatar_jax.sampling.claims import BEATS, Claims, Lost, Worker, replace
from avatar_jax.sampling.folder import hash_of, sha256
from avatar_jax.sampling.request import Request

KEYS = {"name", "image", "audio", "prompt", "storyline", "fps", "face", "seed"}
NAME = re.compile(r"[\w][\w .+-]{0,99}")
WHOLE_FILE = 64 * 2**20
REWRITE = 2.0
"""Seconds between two writings of results.jsonl."""


@dataclass(frozen=True)
class Job:
    """One line of the file: a request, or what is wrong with the line."""

    line: int
    name: str
    request: Request | None
    fault: BadInput | None = None

    @property
    def slot(self) -> str:
        """Its name among the claims: a bad line has no name of its own, and a job's never begins like this."""
        return f"-line-{self.line}" if self.request is None else self.name


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


def key_of(job: Job, settings: Any) -> str:
    """Hash of all that a job is made from: its values, the content of its files, and `settings` of the program.

    Paths do not count: hosts may see one folder under different names.
    """
    if job.request is None:
        return hash_of(str(job.fault))
    request = job.request
    files = [path and _content(path) for path in (request.image, request.audio, request.storyline)]
    return hash_of([request.prompt, request.fps, request.face, request.seed, files, settings])


@cache
def _content(path: Path) -> str:
    return sha256(path) if path.is_file() else "none"


def proof(job: Job) -> str:
    """Of a finished video: the hash of its manifest, empty where there is none."""
    if job.request is None or not (job.request.out / "video.mp4").is_file():
        return ""
    manifest = job.request.out / "manifest.json"
    return sha256(manifest) if manifest.is_file() else ""


def run_jobs(
    jobs: Sequence[Job],
    out: Path,
    make: Callable[[Request], dict[str, Any]],
    worker: Worker | None = None,
    settings: Any = None,
) -> Iterator[dict[str, Any]]:
    """Do jobs with `make`, beside any number of other workers on the same folder, until all are done by somebody.

    Yields the result of every job that this worker did, or found finished, in that order; OUT/results.jsonl holds those
    of all, in the order of the jobs. status is "done", "bad input" or "failed" (the error of the program, not of the
    user); the last two are tried once again by a later run.

    Args:
        settings: what decides the videos beside the jobs themselves, as JSON values.

    Raises:
      BadInput: the folder for all videos cannot be used.
    """
    worker = worker or Worker()
    claims = Claims(out / ".jobs", worker)
    try:
        claims.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(out, error) from error
    # Other workers begin elsewhere in the list, so that they seldom want the same job at the same time.
    open_jobs = sorted(enumerate(jobs), key=lambda item: ((item[0] - worker.index) % worker.count, item[0]))
    again = {job.slot: record["claim"] for job in jobs if (record := claims.done(job.slot)) is not None}
    results: dict[int, dict[str, Any]] = {}
    written = time.monotonic()
    try:
        while open_jobs:
            waiting = []
            for place, job in open_jobs:
                result = attempt(job, claims, make, settings, again)
                if result is None:
                    waiting.append((place, job))
                    continue
                results[job.line] = result
                if time.monotonic() - written > REWRITE:
                    write_results(out, results)
                    written = time.monotonic()
                yield result
            if len(waiting) == len(open_jobs):
                time.sleep(min(2.0, worker.lease / BEATS))
            open_jobs = waiting
    except OSError as error:
        raise unwritable(claims.folder, error) from error
    finally:
        write_results(out, results)


def attempt(
    job: Job, claims: Claims, make: Callable[[Request], dict[str, Any]], settings: Any, again: dict[str, int]
) -> dict[str, Any] | None:
    """The result of a job: another worker's, or made now; None while somebody else is at it.

    `again`: claims whose results were there when this worker began; unless they still hold, they are made anew.
    """
    record = claims.done(job.slot)
    stale = None
    if record is not None:
        # What was recorded while this worker ran is as fresh as its own work; earlier records are checked once.
        if again.get(job.slot) != record["claim"]:
            return record["result"]
        if (
            record["result"]["status"] == "done"
            and record["key"] == key_of(job, settings)
            and record["proof"] == proof(job)
        ):
            return record["result"]
        stale = record["claim"]
    number = claims.take(job.slot, stale)
    if number is None:
        return None
    with claims.held(job.slot, number) as claim:
        result = made(job, make)
        try:
            claim.commit({"result": result, "key": key_of(job, settings), "proof": proof(job)})
        except Lost:
            return None
    return result


def made(job: Job, make: Callable[[Request], dict[str, Any]]) -> dict[str, Any]:
    """Do one job; whatever goes wrong with it is told in its result and leaves the others their turn."""
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
        result |= {"status": "failed", "error": f"{type(error).__name__}: {error}"[:2000]}
    result["took_s"] = round(time.perf_counter() - began, 2)
    return result


def write_results(out: Path, results: Mapping[int, dict[str, Any]]) -> None:
    """results.jsonl with all results known to this worker; the last worker to end knows all of them."""
    lines = [json.dumps(results[line], ensure_ascii=False) + "\n" for line in sorted(results)]
    try:
        replace(out / "results.jsonl", "".join(lines), out / ".jobs")
    except OSError as error:
        raise unwritable(out / "results.jsonl", error) from error
