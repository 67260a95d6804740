"""One record through several stages: what is stored already is not done again, and no input stops a run."""

import errno
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from avatar_jax.media import BadInput
from data_pipeline.records import FPS, Record, Result, Source, digest
from data_pipeline.settings import Settings
from data_pipeline.store import Store

FATAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors of the output, not of an input: they end the run, which goes on later where it was."""


@dataclass(frozen=True)
class Build:
    """What every stage knows: where sources are, where results go, the settings and each stage's key."""

    inputs: str
    store: Store
    settings: Settings
    keys: Mapping[str, str] = field(default_factory=dict)

    def key(self, stage: str) -> str:
        """STAGE-KEY, the name of the stage's folder in the store."""
        return f"{stage}-{self.keys[stage]}"


def nothing(settings: Settings) -> None:
    """The settings of a stage that has none."""


@dataclass(frozen=True)
class Stage:
    """A step of the pipeline. `settings` are those that its results depend on, beside all stages before it.

    run: makes the stage's records of one record; raises BadInput where it rejects, with what is wrong.
    needs_passed: records that are unavailable pass through untouched, as rejected ones always do.
    """

    name: str
    version: str
    run: Callable[[Record, Build], list[Record]]
    settings: Callable[[Settings], Any] = nothing
    needs_passed: bool = False


@dataclass(frozen=True)
class Done:
    """What a chain made of one record: records at its end, and seconds of work and media by stage."""

    records: tuple[Record, ...]
    spent: Mapping[str, tuple[int, float, float]] = field(default_factory=dict)
    """Stage -> (records worked on, processor seconds, seconds of video); nothing where results were stored."""


def keys_of(stages: Sequence[Stage], settings: Settings) -> dict[str, str]:
    """Each stage's key, from its version and settings and the key before."""
    keys: dict[str, str] = {}
    before = ""
    for stage in stages:
        told = stage.settings(settings)
        plain = asdict(told) if hasattr(told, "__dataclass_fields__") else told
        before = keys[stage.name] = digest(stage.name, stage.version, plain, before)[:10]
    return keys


def run_chain(build: Build, stages: Sequence[Stage], record: Record) -> Done:
    """The record through the stages in order.

    Raises:
        OSError: the output cannot be written (no space, read-only).
    """
    records = [record]
    spent: dict[str, tuple[int, float, float]] = {}
    for stage in stages:
        made: list[Record] = []
        for one in records:
            if one.status == "rejected" or (stage.needs_passed and one.status != "passed"):
                made.append(one)
                continue
            known = build.store.recall(build.key(stage.name), one.id)
            if known is None:
                start = time.process_time()
                known, repeatable = _work(build, stage, one)
                if repeatable:
                    build.store.remember(build.key(stage.name), one.id, known)
                worked, seconds, media = spent.get(stage.name, (0, 0.0, 0.0))
                length = sum(map(_frames, known)) / FPS
                spent[stage.name] = worked + 1, seconds + time.process_time() - start, media + length
            else:
                # The file may have another name by now, or another licence; what it shows is the same.
                known = [Record(r.id, _named(one.source, r.source), r.span, _joined(one, r)) for r in known]
            made += known
        records = made
    return Done(tuple(records), spent)


def _frames(record: Record) -> float:
    """Frames of a clip, or of a whole source as far as is known by now."""
    seconds = record.facts("probe").get("seconds", 0.0)
    return record.frames or record.facts("normalise").get("frames") or FPS * seconds


def _named(now: Source, stored: Source) -> Source:
    return replace(now, content=stored.content, language=now.language or stored.language)


def _joined(before: Record, stored: Record) -> tuple[Result, ...]:
    """Results that the record brings along, then those that the stored stage had added."""
    had = {result.stage for result in before.results}
    return (*before.results, *(result for result in stored.results if result.stage not in had))


def _work(build: Build, stage: Stage, record: Record) -> tuple[list[Record], bool]:
    """What the stage makes of the record, and whether that may be remembered (not after an error of unknown cause)."""
    try:
        return stage.run(record, build), True
    except BadInput as mistake:
        return [rejected(stage, record, f"{mistake.got} ({mistake.rule})")], True
    except OSError as error:
        if error.errno in FATAL:
            raise
        return [rejected(stage, record, f"cannot be read: {error.strerror or type(error).__name__}")], False
    except Exception as error:
        # One file that nobody foresaw must not end a run over thousands; its reason says what to look for.
        words = " ".join(str(error).split())[:200]
        return [rejected(stage, record, f"failed with {type(error).__name__}: {words}")], False


def rejected(stage: Stage, record: Record, reason: str) -> Record:
    return record.plus(Result(stage.name, stage.version, "rejected", reason))
