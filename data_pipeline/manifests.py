"""What a build tells of itself: a manifest for every stage, the dead-letter file, counts and times."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from data_pipeline.chain import Done
from data_pipeline.records import Record, source_id, to_lines
from data_pipeline.store import Store

ORDER = (
    "probe", "sources", "normalise", "cut", "faces", "speech", "experts", "caption", "fingerprint", "dedup", "review",
    "video", "encode",
)  # fmt: skip
"""Stages whose manifests are written, in order; shards have a list of their own."""
OF_SOURCES = ORDER[:3]


def stage_of(name: str) -> str:
    """The stage of a result: the experts' own results belong to theirs."""
    return name.partition(".")[0]


def at_stage(records: Iterable[Record], stage: str) -> list[Record]:
    """Records as they left a stage, without what came later; those that never came so far are not there."""
    place = ORDER.index(stage)
    found: dict[tuple[str, str], Record] = {}
    for record in records:
        if not any(stage_of(result.stage) == stage for result in record.results):
            continue
        results = tuple(r for r in record.results if ORDER.index(stage_of(r.stage)) <= place)
        cut = replace(record, results=results)
        if stage in OF_SOURCES:
            cut = replace(cut, id=source_id(record.source) if record.source.content else record.id, span=None)
        found[cut.id, cut.source.uri] = cut
    return list(found.values())


def write_manifests(store: Store, records: Sequence[Record], stages: Sequence[str]) -> None:
    for stage in stages:
        path = store.top / "manifests" / f"{ORDER.index(stage) + 1:02d}-{stage}.jsonl"
        store.write(path, to_lines(at_stage(records, stage)))


def dead_letters(records: Iterable[Record]) -> list[dict[str, Any]]:
    """A line for everything that did not pass, and one for every repair, with its reason; sorted."""
    rows: dict[str, dict[str, Any]] = {}
    for record in records:
        told = {"uri": record.source.uri, "content": record.source.content}
        if record.status != "passed":
            result = next(r for r in record.results if r.status == record.status)
            row = {
                **told, "id": record.id, "span": record.span, "status": record.status, "stage": result.stage,
                "reason": result.reason, "evidence_frame": result.evidence_frame,
            }  # fmt: skip
            rows[json.dumps(row)] = row
        for result in record.results:
            for note in result.notes:
                whole = result.stage in OF_SOURCES
                row = {
                    **told, "id": source_id(record.source) if whole else record.id,
                    "span": None if whole else record.span, "status": "noted", "stage": result.stage,
                    "reason": note, "evidence_frame": None,
                }  # fmt: skip
                rows[json.dumps(row)] = row
    return sorted(rows.values(), key=lambda row: (row["uri"], str(row["span"]), row["stage"], row["reason"]))


@dataclass
class Times:
    """Processor seconds of every stage, the records it worked on and the seconds of video in them."""

    spent: dict[str, tuple[int, float, float]] = field(default_factory=dict)

    def add(self, done: Done) -> tuple[Record, ...]:
        for stage, row in done.spent.items():
            self.spent[stage] = tuple(a + b for a, b in zip(self.spent.get(stage, (0, 0.0, 0.0)), row, strict=True))  # pyright: ignore[reportArgumentType]
        return done.records


def counts(records: Sequence[Record]) -> dict[str, dict[str, int]]:
    """Stage -> how many records it passed, rejected, or could not judge."""
    out: dict[str, dict[str, int]] = {}
    for stage in ORDER:
        here = at_stage(records, stage)
        worst = Counter(
            "rejected" if "rejected" in told else "unavailable" if "unavailable" in told else "passed"
            for told in ({r.status for r in record.results if stage_of(r.stage) == stage} for record in here)
        )
        if here:
            out[stage] = {name: worst[name] for name in ("passed", "rejected", "unavailable")}
    return out


def table(counted: Mapping[str, Mapping[str, int]], times: Times) -> str:
    """Counts and times as a page of text; rates are of the work of this run, stored results cost nothing."""
    lines = [f"{'stage':<13}{'passed':>8}{'rejected':>10}{'unavailable':>13}{'core s':>10}{'x real time':>13}"]
    for stage, row in counted.items():
        _, seconds, media = times.spent.get(stage, (0, 0.0, 0.0))
        rate = f"{media / seconds:.1f}" if seconds > 0 and media > 0 else "-"
        lines.append(
            f"{stage:<13}{row['passed']:>8}{row['rejected']:>10}{row['unavailable']:>13}{seconds:>10.1f}{rate:>13}"
        )
    return "\n".join(lines)
