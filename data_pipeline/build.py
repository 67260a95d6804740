"""From a folder of raw video to reviewed training shards; a run that was stopped goes on where it was.

Four passes over an engine (files; files; clips; passed clips; shards) with the two steps between them that need to see
all clips at once: duplicates, and what reviewers decided.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from avatar_jax.media import BadInput
from data_pipeline.chain import Build, Done, Stage, keys_of, rejected, run_chain
from data_pipeline.dataset import shard
from data_pipeline.dataset.card import write_card
from data_pipeline.dataset.provenance import UNKNOWN
from data_pipeline.engine import Engine
from data_pipeline.manifests import ORDER, Times, counts, dead_letters, table, write_manifests
from data_pipeline.records import Record, Result
from data_pipeline.settings import Settings
from data_pipeline.sources import find_sources
from data_pipeline.stages import shards
from data_pipeline.stages.caption import CAPTION
from data_pipeline.stages.cut import CUT
from data_pipeline.stages.dedup import deduplicated
from data_pipeline.stages.encode import ENCODE
from data_pipeline.stages.experts import EXPERTS
from data_pipeline.stages.faces import FACES
from data_pipeline.stages.fingerprint import FINGERPRINT
from data_pipeline.stages.normalise import NORMALISE
from data_pipeline.stages.probe import PROBE
from data_pipeline.stages.review import Decision, read_decisions, reviewed
from data_pipeline.stages.speech import SPEECH
from data_pipeline.stages.video import VIDEO
from data_pipeline.store import Store, alone

FILES, CLIPS, FINAL = (NORMALISE, CUT), (FACES, SPEECH, EXPERTS, CAPTION, FINGERPRINT), (VIDEO, ENCODE)
STAGES = (PROBE, *FILES, *CLIPS, *FINAL)
DECISIONS = "review/decisions.jsonl"


@dataclass(frozen=True)
class Order:
    """What is built. licence, consent: of files that the source list says nothing about. previews: write the videos
    of all clips that a reviewer should see, also of those that are held back. decisions: a file of the review."""

    inputs: str
    out: str
    settings: Settings = field(default_factory=Settings)
    licence: str = ""
    consent: str = ""
    previews: bool = False
    decisions: Path | None = None


@dataclass(frozen=True)
class Report:
    """Counts by stage, times, the finished shards and how long it took; `records` are all of them at the end."""

    counted: dict[str, dict[str, int]]
    times: Times
    shards: list[dict[str, Any]]
    seconds: float
    records: tuple[Record, ...]

    def __str__(self) -> str:
        clips = sum(row["clips"] for row in self.shards if row["shard"].startswith("media"))
        size = sum(row["bytes"] for row in self.shards) / 1e6
        last = f"{clips} clips in {len(self.shards)} shards, {size:.1f} MB, {self.seconds:.1f} s"
        return f"{table(self.counted, self.times)}\n{last}"


def make_dataset(order: Order, engine: Engine) -> Report:
    """Run the whole pipeline; what the store holds already is not done again.

    Raises:
        BadInput: the order, the source list or the decisions are wrong, or another build writes there.
        OSError: the output cannot be written.
    """
    with alone(order.out) as free:
        if not free:
            rule = "one build at a time writes to a folder"
            raise BadInput(
                f"output {order.out}", "another build is at work there", rule, "wait, or choose another --out"
            )
        return _build(order, engine)


def _build(order: Order, engine: Engine) -> Report:
    began, times, store = time.monotonic(), Times(), Store(order.out)
    store.sweep()
    build = Build(order.inputs, store, order.settings, keys_of(STAGES, order.settings))
    store.write(
        store.top / "settings.json", json.dumps({**asdict(order.settings), "keys": build.keys}, indent=1) + "\n"
    )
    decisions = _decisions(order, store)

    def through(stages: Sequence[Stage], records: Sequence[Record], what: str) -> list[Record]:
        work = partial(run_chain, build, stages)
        lost = partial(_lost, stages[0])
        going = [record for record in records if record.status != "rejected"]
        resting = [record for record in records if record.status == "rejected"]
        with tqdm(total=len(going), unit=what, desc=" ".join(stage.name for stage in stages)) as bar:
            done: list[Record] = []
            for made in engine.run(work, going, lost):
                done += times.add(made)
                bar.update()
        return sorted([*resting, *done], key=lambda r: (r.source.uri, r.span or (0, 0), r.id))

    records = through((PROBE,), find_sources(order.inputs, order.licence, order.consent), "file")
    records = through(FILES, _sources_checked(records), "file")
    write_manifests(store, records, ORDER[:4])
    records = through(CLIPS, records, "clip")
    records = reviewed(deduplicated(records, order.settings.dedup), decisions, order.settings.reviewed)
    write_manifests(store, records, ORDER[4:11])
    if order.previews:
        _write_previews(store, build, through((replace(VIDEO, needs_passed=False),), records, "clip"))
    records = through(FINAL, records, "clip")
    write_manifests(store, records, ORDER[11:])
    store.write(store.top / "dead_letter.jsonl", "".join(f"{json.dumps(row)}\n" for row in dead_letters(records)))
    finished = _write_shards(build, engine, shards.jobs(records, order.settings.shards))
    report = Report(counts(records), times, finished, time.monotonic() - began, tuple(records))
    told = {"counts": report.counted, "core_seconds": times.spent, "seconds": round(report.seconds, 2)}
    store.write(store.top / "report.json", json.dumps(told, indent=1) + "\n")
    return report


def _lost(stage: Stage, record: Record) -> Done:
    return Done((rejected(stage, record, "its worker died each time it was tried"),))


def _decisions(order: Order, store: Store) -> dict[str, Decision]:
    path = store.top / DECISIONS
    if order.decisions is not None:
        return read_decisions(order.decisions)
    return read_decisions(store.local(path)) if path.exists() else {}


def _sources_checked(records: Iterable[Record]) -> list[Record]:
    """Adds to every file whether its bytes have come under another name, and whether its licence is known."""
    first: dict[str, str] = {}
    out = []
    for record in records:
        source = record.source
        if not record.result("probe") or record.status == "rejected":
            out.append(record)
            continue
        other = first.setdefault(source.content, source.uri)
        missing = [name for name in ("licence", "consent") if getattr(source, name).strip().lower() in UNKNOWN]
        if other != source.uri:
            result = Result("sources", "1", "rejected", f"the same bytes as {other}")
        elif missing:
            result = Result("sources", "1", "unavailable", f"no {' and no '.join(missing)} is told for it")
        else:
            result = Result("sources", "1", "passed")
        out.append(record.plus(result))
    return out


def _write_previews(store: Store, build: Build, records: Sequence[Record]) -> None:
    """The list that `python -m data_pipeline review OUT` reads: all clips that are not rejected."""
    rows = []
    for record in records:
        if record.status != "rejected":
            path = store.place(build.key("video"), record.id, ".mp4")
            scores = {
                r.stage.partition(".")[2]: {
                    "value": r.score, "threshold": r.threshold, "passed": r.status == "passed"
                }
                for r in record.results
                if r.stage.startswith("experts.")
            }  # fmt: skip
            video = str(path)[len(str(store.top)) :].lstrip("/")
            rows.append(
                {"clip": record.id, "video": video, "scores": scores, "caption": record.facts("caption")["caption"]}
            )
    store.write(store.top / "clips.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))


def _write_shards(build: Build, engine: Engine, jobs: Sequence[shards.Job]) -> list[dict[str, Any]]:
    """All shards, then what TFDS and people read beside them; shards of former builds that are no longer meant go."""
    store = build.store
    write: Callable[[shards.Job], dict[str, Any]] = partial(shards.write, build=build)
    with tqdm(total=len(jobs), unit="shard", desc="shards") as bar:
        made = []
        for row in engine.run(write, jobs, _shard_lost):
            made.append(row)
            bar.update()
    made.sort(key=lambda row: row["shard"])
    wanted = {Path(row["shard"]).name for row in made}
    store.write(store.top / "shards.jsonl", "".join(f"{json.dumps(row)}\n" for row in made))
    for name in shards.SETS:
        folder = store.top / str(shard.set_folder(Path(), name))
        old = [path for path in folder.glob("*.array_record-*") if path.name not in wanted] if folder.exists() else []
        for path in old:
            path.unlink()
            (folder / "index" / shard.index_path(Path(path.name)).name).unlink(missing_ok=True)
        here = any(row["shard"].startswith(f"{name}/") for row in made)
        if folder.exists() and not here:
            (folder / "dataset_info.json").unlink(missing_ok=True)
        if here and not store.remote:
            shard.write_metadata(Path(folder))
    if made and not store.remote:
        write_card(Path(store.root))
    return made


def _shard_lost(job: shards.Job) -> dict[str, Any]:
    raise BadInput(f"shard {job.index} of {job.name}", "its worker died", "workers need memory for a clip", "see log")
