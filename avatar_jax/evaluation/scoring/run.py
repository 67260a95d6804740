"""Scores the videos of several systems, in parallel, and goes on where it was stopped."""

import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType

from tqdm import tqdm

from avatar_jax.evaluation import case as case_module
from avatar_jax.evaluation import columns, eyes
from avatar_jax.evaluation.benchmark.manifest import SetCase, faults_of, read_set, sha256
from avatar_jax.evaluation.scoring import footage, glean, known, numbers, video
from avatar_jax.evaluation.scoring.pool import each
from avatar_jax.evaluation.scoring.readers import DEFAULT, Options, open_readers
from avatar_jax.evaluation.scoring.results import CaseScore, append, read_cases, write_cases
from avatar_jax.media import BadInput, unwritable
from avatar_jax.metrics import (
    frechet,
    judging,
    jumps,
    lip_closure,
    liveness,
    motion,
    quality,
    quiet,
    sharpness,
    shots,
    syncnet_read,
)
from avatar_jax.metrics import sync as lip_sync

CASES, TRACKS = "cases.jsonl", "tracks"
JUDGES: tuple[ModuleType, ...] = (
    case_module, columns, eyes, footage, glean, known, numbers, video, frechet, judging, jumps, lip_closure, liveness,
    motion, quality, quiet, sharpness, shots, lip_sync, syncnet_read,
)  # fmt: skip
"""Whose source decides the numbers: a change there scores everything anew."""


@dataclass(frozen=True)
class Work:
    """Videos to score, cases that have none (with the reason), and the folder of the set."""

    tasks: list[video.Task]
    missing: list[CaseScore]


def score_systems(
    systems: Mapping[str, Path],
    set_folder: Path | None,
    out: Path,
    workers: int,
    options: Options = DEFAULT,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> list[CaseScore]:
    """Scores of every video in the systems' folders, in the order of systems and cases.

    Each is in out/cases.jsonl as soon as it is known, so a run that was killed goes on there; curves and features are
    in out/tracks. Nothing is read again whose video, case, readers and code are the same. A system without a video of
    a case, and a video that cannot be read, is a refused case with its reason; `say` is told of each.

    Raises:
      BadInput: a folder without videos, a set that is not as it was frozen, readers that cannot be opened, or an
        output that cannot be written.
    """
    if workers < 1:
        raise BadInput("--workers", workers, "at least one process", "--workers 2")
    work = plan(systems, set_folder, out, options)
    file = out / CASES
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(out, error) from error
    known = {score.key: score for score in read_cases(file) if score.key}
    done = {(t.system, t.case): reused(t, known[t.key]) for t in work.tasks if t.key in known and t.tracks.is_file()}
    todo = [task for task in work.tasks if (task.system, task.case) not in done]
    if todo:
        # Readers that cannot be opened are the user's mistake, to be told once and at once.
        open_readers(options)
    bar = tqdm(total=len(work.tasks), initial=len(done), desc="videos", disable=not sys.stderr.isatty())
    for task, result in each(video.score, todo, min(workers, max(1, len(todo)))):
        score = failed(task, result) if isinstance(result, Exception) else result
        append(file, score)
        done[task.system, task.case] = score
        bar.update()
    bar.close()
    scores = ordered([*done.values(), *work.missing], list(systems))
    write_cases(file, scores)
    for score in scores:
        if not score.scored:
            say(f"{score.system}/{score.case} refused: {score.reason}")
    return scores


def plan(systems: Mapping[str, Path], set_folder: Path | None, out: Path, options: Options) -> Work:
    """What there is to score; with a set its cases, else every name that any system has."""
    videos = {system: footage.videos_of(folder) for system, folder in systems.items()}
    cases = {case.case: case for case in checked_set(set_folder)} if set_folder else {}
    names = sorted(cases or {name for found in videos.values() for name in found})
    tasks, missing = [], []
    for system, found in videos.items():
        for name in names:
            line = cases.get(name)
            tags = dict(line.tags) if line else {}
            if name not in found:
                reason = f"no video of this case in {systems[system].name}"
                missing.append(CaseScore(system, name, "refused", reason, tags=tags))
                continue
            key = key_of(found[name], line, options)
            tracks = tracks_of(out, key)
            tasks.append(video.Task(system, name, found[name], tracks, key, options, set_folder, line))
        if cases:
            missing += [
                CaseScore(system, name, "refused", "no case of this name in the set")
                for name in sorted(set(found) - set(cases))
            ]
    return Work(tasks, missing)


def tracks_of(out: Path, key: str) -> Path:
    """Where the curves and features of a video lie."""
    return out / TRACKS / f"{key[:20]}.npz"


def checked_set(folder: Path) -> Sequence[SetCase]:
    """The cases of a set whose files are those that it was frozen with.

    Raises:
      BadInput: the first file that is not.
    """
    cases = read_set(folder)
    faults = [(name, fault) for name, fault in faults_of(folder, cases) if fault]
    if faults:
        name, fault = faults[0]
        got = f"case {name}: {fault}" + (f" ({len(faults) - 1} more cases)" if len(faults) > 1 else "")
        raise BadInput(f"--set {folder}", got, "a frozen set stays as it was made", "restore it, or make it anew")
    return cases


def key_of(path: Path, line: SetCase | None, options: Options) -> str:
    """Hash of everything that a score depends on."""
    report = footage.report_of(path)
    parts = [
        sha256(path),
        sha256(report) if report else "",
        json.dumps(asdict(line), sort_keys=True) if line else "",
        readers_key(options),
        code_key(),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@cache
def readers_key(options: Options) -> str:
    """Of the networks: their options, and the files that these name."""
    named = [options.judge, options.syncnet, *(Path(x) for x in (options.likeness, options.fid, options.fvd) if x)]
    files = [sha256(path) for path in named if path is not None and path.is_file()]
    return " ".join([str(options), *files])


@cache
def code_key() -> str:
    sources = "".join(inspect.getsource(module) for module in JUDGES)
    return hashlib.sha256(sources.encode()).hexdigest()


def reused(task: video.Task, score: CaseScore) -> CaseScore:
    """The same video may have got another name since."""
    return replace(score, system=task.system, case=task.case)


def failed(task: video.Task, error: Exception) -> CaseScore:
    """For what no check foresaw; not kept for the next run, which may have more luck."""
    tags = dict(task.set_case.tags) if task.set_case else {}
    return CaseScore(task.system, task.case, "refused", f"could not be scored ({error})", tags=tags)


def ordered(scores: Sequence[CaseScore], systems: Sequence[str]) -> list[CaseScore]:
    return sorted(scores, key=lambda score: (systems.index(score.system), score.case))
