"""How fast every stage is on this machine, and what a thousand hours would take.

    python -m data_pipeline bench

One core does everything, in this process: what a fleet needs is this times the hours, divided by its cores.
"""

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from data_pipeline.build import CLIPS as OF_CLIPS
from data_pipeline.build import FILES, FINAL, PROBE, STAGES
from data_pipeline.chain import Build, Stage, keys_of, run_chain
from data_pipeline.clips import decoded, to_rgb
from data_pipeline.engine import one_thread
from data_pipeline.manifests import Times
from data_pipeline.records import Record, Result
from data_pipeline.settings import Experts, Normalise, Settings
from data_pipeline.sources import find_sources
from data_pipeline.stages.experts import expert
from data_pipeline.store import Store

HOURS = 1000
PRICES = {"spot machines": 0.010, "machines on demand": 0.040, "Dataflow batch": 0.073}
"""Assumed dollars a core and hour, memory of 4 GB a core included; look up your own."""


@dataclass(frozen=True)
class Speed:
    """Processor seconds per second of video, for each stage; frames a second and core; bytes per second of video."""

    clips: int
    seconds: float
    stages: dict[str, tuple[int, float, float]]
    decode: float
    to_rgb: float
    stored: dict[str, float]
    experts: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            f"{self.clips} clips, {self.seconds:.1f} s of video, one core; experts: {', '.join(self.experts) or 'none'}"
        ]
        lines += [f"{'stage':<13}{'clips/s':>9}{'x real time':>13}"]
        for stage, (count, spent, media) in self.stages.items():
            lines.append(f"{stage:<13}{count / spent:>9.2f}{media / spent:>13.1f}")
        total = sum(spent / media for _, spent, media in self.stages.values() if media)
        lines += [
            f"{'all':<13}{'':>9}{1 / total:>13.2f}",
            f"decoding {self.decode:.0f} frames/s a core, to RGB {self.to_rgb:.0f} frames/s a core",
            f"{HOURS} hours, every clip through every stage: {HOURS * total:.0f} core hours",
            *(f"  {name} at ${price:.3f} a core hour: ${HOURS * total * price:.0f}" for name, price in PRICES.items()),
            *(f"  {name}: {HOURS * 3600 * size / 1e12:.3f} TB" for name, size in self.stored.items()),
        ]
        return "\n".join(lines)


def measure(clips: int, size: int, seconds: float, video: Path | None) -> Speed:
    """Run every stage on drawn clips (or on one file) and take the processor's time."""
    one_thread()
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        if video is None:
            from data_pipeline.synthetic.videos import write_videos

            write_videos(raw, range(clips + 1), size, seconds=seconds)
        else:
            raw.mkdir()
            for i in range(2):
                shutil.copy(video, raw / f"{i}{video.suffix}")
        ready = tuple(name for name in Experts().names if not isinstance(expert(name), str))
        settings = Settings(experts=Experts(ready), normalise=replace(Normalise(), side=size))
        build = Build(str(raw), Store(str(Path(folder) / "out")), settings, keys_of(STAGES, settings))
        return _timed(build, find_sources(str(raw)), ready)


def _timed(build: Build, records: Sequence[Record], ready: tuple[str, ...]) -> Speed:
    def through(stages: Sequence[Stage], some: Sequence[Record], times: Times) -> list[Record]:
        told = tqdm(some, desc=" ".join(stage.name for stage in stages), leave=False)
        return [made for one in told for made in times.add(run_chain(build, stages, one))]

    known = Times()
    times = Times()
    # The first one is thrown away: it compiles.
    for some, clock in ((records[:1], known), (records[1:], times)):
        made = through((PROBE,), some, clock)
        made = through(FILES, [r.plus(Result("sources", "1", "passed")) for r in made], clock)
        made = [record for record in through(OF_CLIPS, made, clock) if record.status == "passed"]
        made = through(FINAL, made, clock)
    total = sum(record.frames for record in made) / 25
    plain, rgb = _decoding(build, records)
    return Speed(
        len(made), total, {s: row for s, row in times.spent.items() if row[2]}, plain, rgb, _stored(build), ready
    )


def _decoding(build: Build, records: Sequence[Record]) -> tuple[float, float]:
    """Frames a processor second, as decoded and as RGB, of the longest normalised file."""
    path = max(Path(build.store.root).glob("work/normalise-*/*/*.mp4"), key=lambda p: p.stat().st_size)
    rates = []
    for turn in (lambda frame: frame, to_rgb):
        count, start = 0, time.process_time()
        while time.process_time() - start < 1.0:
            for _, frame in decoded(path, 0, 10**9):
                turn(frame)
                count += 1
        rates.append(count / (time.process_time() - start))
    return rates[0], rates[1]


def _stored(build: Build) -> dict[str, float]:
    """Bytes per second of video of what the store keeps and of what the sets hold."""
    out = {}
    names = {"normalised video": "normalise-*/*/*.mp4", "normalised sound": "normalise-*/*/*.npy"}
    for name, pattern in {**names, "media set": "video-*/*/*.mp4", "latents set": "encode-*/*/*.npz"}.items():
        paths = sorted((Path(build.store.root) / "work").glob(pattern))
        frames = sum(_length(path) for path in paths)
        if frames:
            out[name] = sum(path.stat().st_size for path in paths) / (frames / 25)
    return out


def _length(path: Path) -> int:
    """Frames of a file, from the record beside it."""
    from data_pipeline.records import from_lines

    record = next(from_lines(path.with_suffix(".json").read_text()))
    return record.frames or int(record.facts("normalise")["frames"])
