"""The system under test and what a sceptic would put beside it, each as a folder of videos `OUT/SYSTEM/CASE.mp4`.

truth: the render of the truth · ours: the cascade, as sample.py runs it · still: the portrait, unmoved · shuffled: the
cascade on the next case's sound, under the case's own · shifted_late, shifted_early: ours with the pictures 3 frames
late, or early · one_pass, chained: the same networks without the cascade (`sampling.uncascaded`).

What the cascade leaves beside its videos is in `OUT/.work/SYSTEM/CASE`. Videos that are there are not made again; any
number of processes may work on one folder (`sharing` starts some).
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from itertools import repeat
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from tqdm import tqdm

from avatar_jax import compilation
from avatar_jax import config as configs
from avatar_jax.evaluation.benchmark.edition import write_sound
from avatar_jax.evaluation.benchmark.manifest import SetCase
from avatar_jax.media import BadInput, load_audio, read_frames, unwritable, write_video
from avatar_jax.mesh import make_mesh
from avatar_jax.sampling.config import SampleConfig
from avatar_jax.sampling.finder import face_finder
from avatar_jax.sampling.jobs import Job, run_jobs
from avatar_jax.sampling.pipeline import generate
from avatar_jax.sampling.request import Request, decode, prepare
from avatar_jax.sampling.student import check_walk
from avatar_jax.sampling.uncascaded import WAYS, generate_uncascaded
from avatar_jax.sampling.work import Models
from avatar_jax.timeline import frame_count

FPS = 25
SHIFT = 3
"""Frames by which pictures are moved against their sound: 120 ms."""

T = TypeVar("T")
Generate = Callable[[Request], dict[str, Any]]


@dataclass(frozen=True)
class Failure:
    """A case of which a system made no video."""

    system: str
    case: str
    reason: str


@dataclass(frozen=True)
class Studio:
    """What all systems share; `weights` is a folder of exported networks, None the shipped ones; `overrides` are those
    of sample.py. Of `cases`, every `part[1]`-th from number `part[0]` on gets its videos here."""

    set_folder: Path
    out: Path
    cases: Sequence[SetCase]
    weights: Path | None = None
    overrides: tuple[str, ...] = ()
    part: tuple[int, int] = (0, 1)
    failures: list[Failure] = field(default_factory=list)

    @cached_property
    def config(self) -> SampleConfig:
        return configs.override(SampleConfig(), self.overrides)

    @cached_property
    def mesh(self) -> Any:
        return make_mesh("")

    @cached_property
    def models(self) -> Models:
        import sample

        compilation.keep_programs()
        models = sample.load_models(self.weights, self.mesh, self.config.student)
        check_walk(self.config, SampleConfig(), models.student_steps)
        return models

    def portrait(self, case: SetCase) -> Path:
        return self.set_folder / case.portrait

    def audio(self, case: SetCase) -> Path:
        return self.set_folder / case.audio

    def video(self, system: str, case: SetCase) -> Path:
        return self.out / system / f"{case.case}.mp4"

    def work(self, system: str) -> Path:
        return self.out / ".work" / system

    def request(self, system: str, case: SetCase, audio: Path) -> Request:
        """The case's storyline where it has one, else its prompt for the director."""
        return Request(
            image=self.portrait(case),
            audio=audio,
            out=self.work(system) / case.case,
            prompt="" if case.storyline else case.prompt,
            storyline=self.set_folder / case.storyline if case.storyline else None,
            fps=str(FPS),
        )

    def lacks(self, system: str, case: SetCase) -> bool:
        return not self.video(system, case).is_file()

    def missing(self, system: str) -> list[SetCase]:
        """Of this part."""
        first, parts = self.part
        return [case for case in self.cases[first::parts] if self.lacks(system, case)]

    def film(self, system: str, case: SetCase, frames: Iterable[np.ndarray], count: int | None = None) -> None:
        """Write a video with the case's own sound; another process may be writing the same."""
        path = self.work(system) / f"{case.case}.{os.getpid()}.mp4"
        write_video(path, frames, FPS, count, self.audio(case))
        put(path, self.video(system, case))
        path.unlink()


def truth(studio: Studio, system: str) -> None:
    for case in progress(studio, system):
        if case.truth is None:
            rule = "only the embedded edition knows the truth"
            raise BadInput("system truth", f"{case.case} has none", rule, "leave truth out of --only")
        put(studio.set_folder / case.truth, studio.video(system, case))


def ours(studio: Studio, system: str) -> None:
    make = partial(generate, models=studio.models, config=studio.config, mesh=studio.mesh, quiet=True)
    for case, made in cascaded(studio, system, make, studio.audio):
        publish(studio, system, case, made)


def uncascaded(studio: Studio, system: str) -> None:
    """The way that has the system's name."""
    make = partial(generate_uncascaded, models=studio.models, config=studio.config, mesh=studio.mesh, way=system)
    for case, made in cascaded(studio, system, make, studio.audio):
        publish(studio, system, case, made)


def shuffled(studio: Studio, system: str) -> None:
    """The cascade hears the next case's sound, made as long as the case's own; the viewer hears the case's."""
    if len(studio.cases) < 2:
        raise BadInput("system shuffled", "one case", "another case's sound is needed", "--cases 2")
    follower = dict(zip([case.case for case in studio.cases], [*studio.cases[1:], studio.cases[0]], strict=True))

    def other(case: SetCase) -> Path:
        path = studio.work(system) / "sound" / f"{case.case}.wav"
        if not path.is_file():
            write_fitted(path, studio.audio(follower[case.case]), studio.audio(case))
        return path

    make = partial(generate, models=studio.models, config=studio.config, mesh=studio.mesh, quiet=True)
    for case, made in cascaded(studio, system, make, other):
        studio.film(system, case, read_frames(made))


def still(studio: Studio, system: str) -> None:
    """The portrait as the cascade would frame it."""
    finder = face_finder(studio.models.reader, studio.models.reader_params)
    for case in progress(studio, system):
        inputs = decode(studio.request(system, case, studio.audio(case)))
        portrait = prepare(inputs, "", studio.models.director, finder).framing.portrait
        side = studio.config.size
        frame = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
        count = frame_count(inputs.recording.samples, inputs.recording.sample_rate, FPS)
        studio.film(system, case, repeat(frame, count), count)


def shifted(studio: Studio, system: str, by: int) -> None:
    """Ours, `by` frames later (or earlier); the frame at the end that has nobody to follow stays."""
    for case in progress(studio, system):
        source = studio.video("ours", case)
        if not source.is_file():
            studio.failures.append(Failure(system, case.case, "ours is missing; name `ours` in --only before it"))
            continue
        studio.film(system, case, moved(read_frames(source), by))


Make = Callable[[Studio, str], None]
SYSTEMS: dict[str, Make] = {
    "truth": truth,
    "ours": ours,
    "still": still,
    "shuffled": shuffled,
    "shifted_late": partial(shifted, by=SHIFT),
    "shifted_early": partial(shifted, by=-SHIFT),
    **dict.fromkeys(WAYS, uncascaded),
}
GROUPS = {"shifted": ("shifted_late", "shifted_early")}


def named(text: str) -> list[str]:
    """The systems that `--only a,b` asks for, in the order in which they are made; all where it is empty.

    Raises:
      BadInput: a name that is none.
    """
    asked = [part.strip() for part in text.split(",") if part.strip()] or list(SYSTEMS)
    names = {name for part in asked for name in GROUPS.get(part, (part,))}
    if unknown := sorted(names - set(SYSTEMS)):
        raise BadInput("--only", unknown[0], f"systems are {', '.join([*SYSTEMS, *GROUPS])}", "correct the name")
    return [name for name in SYSTEMS if name in names]


def make_systems(studio: Studio, names: Sequence[str]) -> list[Failure]:
    """Make what is missing of these systems; returns what could not be made."""
    for name in names:
        if studio.missing(name):
            SYSTEMS[name](studio, name)
    return studio.failures


def cascaded(
    studio: Studio, system: str, make: Generate, audio: Callable[[SetCase], Path]
) -> Iterator[tuple[SetCase, Path]]:
    """(case, video) of every missing case of this part as it is made, whoever makes it: a process that is through with
    its own part helps the others."""
    mine = {case.case: case for case in studio.missing(system)}
    jobs = [
        Job(number, case.case, studio.request(system, case, audio(case)))
        for number, case in enumerate(studio.cases, 1)
        if studio.lacks(system, case)
    ]
    settings = {"config": asdict(studio.config), "weights": studio.models.hashes, "system": system}
    results = run_jobs(sorted(jobs, key=lambda job: job.name not in mine), studio.work(system), make, settings=settings)
    for result in shown(results, studio, system, len(jobs)):
        case = mine.get(result["name"])
        if case is None:
            continue
        if result["status"] == "done":
            yield case, studio.work(system) / case.case / "video.mp4"
        else:
            studio.failures.append(Failure(system, case.case, result["error"].split("\n")[0]))


def progress(studio: Studio, system: str) -> Iterator[SetCase]:
    missing = studio.missing(system)
    return (case for case in shown(missing, studio, system, len(missing)) if studio.lacks(system, case))


def shown(items: Iterable[T], studio: Studio, system: str, total: int) -> Iterable[T]:
    """The same, with a progress bar: one line a process."""
    return tqdm(items, system, total=total, position=studio.part[0], disable=not sys.stderr.isatty())


def moved(frames: Iterator[np.ndarray], by: int) -> Iterator[np.ndarray]:
    """As many frames, each shown `by` frames later; negative: earlier."""
    held = list(frames)
    last = len(held) - 1
    return (held[min(max(i - by, 0), last)] for i in range(len(held)))


def write_fitted(path: Path, sound: Path, like: Path) -> None:
    """Another recording's sound, repeated or cut to the exact length of `like`, at its rate."""
    heard, own = load_audio(sound), load_audio(like)
    rate = len(heard.mono) / float(heard.seconds)
    at = np.arange(own.samples) * rate / own.sample_rate % len(heard.mono)
    wave = np.interp(at, np.arange(len(heard.mono)), heard.mono)
    write_sound(path, np.clip(wave * 32767, -32768, 32767), own.sample_rate)


def publish(studio: Studio, system: str, case: SetCase, made: Path) -> None:
    """The video and, beside it, its report, which says where sub-clips meet."""
    video = studio.video(system, case)
    put(made.with_name("report.json"), video.with_name(f"{case.case}.report.json"))
    put(made, video)


def put(source: Path, target: Path) -> None:
    """The same file under another name, without a copy where the file system can."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        try:
            os.link(source, part)
        except OSError:
            shutil.copyfile(source, part)
        part.replace(target)
    except OSError as error:
        raise unwritable(target, error) from error
