"""The manifest's record: one clip of one source, and what every stage found of it. One JSON line each, never media.

A source is a file; until the cut stage its record spans the whole of it (`span` None), after that one record is one
clip. Frames are counted at `FPS` in the normalised source. Everything that is written here is a function of the
source's bytes and of the build's settings, so that two engines, or a run that was killed, write the same lines.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

FPS = 25
"""Frames per second of every normalised clip."""
SOUND_RATE = 16_000
"""Samples per second of its mono sound."""

Status = Literal["passed", "rejected", "unavailable"]
"""unavailable: something that should have judged could not (no weights, no face finder); it never counts as passed."""
STATUSES: tuple[str, ...] = get_args(Status)


def digest(*parts: object) -> str:
    """20 hexadecimal digits of what the parts say, as JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Source:
    """A raw file. `uri` is relative to the build's input where it lies inside; `content` is the digest of its bytes.

    licence, consent: as the source list says; "unknown" where it does not. origin: "recorded" or "synthetic".
    language: a hint from the list or the container, "" where there is none. labels: a file with the true storyline.
    """

    uri: str
    content: str = ""
    licence: str = "unknown"
    consent: str = "unknown"
    origin: str = "recorded"
    language: str = ""
    labels: str = ""


@dataclass(frozen=True)
class Result:
    """What one stage (or one expert: `experts.NAME`) says of a record.

    reason: one line, why it was rejected or is unavailable. evidence_frame: counted from the clip's first frame.
    notes: what was repaired on the way ("variable frame rate: ..."). facts: JSON values that later stages read.
    """

    stage: str
    version: str
    status: Status
    reason: str = ""
    score: float | None = None
    threshold: float | None = None
    evidence_frame: int | None = None
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """A clip (or, before the cut, a whole source). `span`: first frame and the frame after the last."""

    id: str
    source: Source
    span: tuple[int, int] | None = None
    results: tuple[Result, ...] = ()

    @property
    def status(self) -> Status:
        """The worst of its results: one rejection rejects, else one that could not judge leaves it unavailable.

        A reviewer who accepted the clip stands in for experts that could not judge, not for a missing licence.
        """
        accepted = self.facts("review").get("accepted", False)
        told = [r for r in self.results if not (accepted and r.stage.startswith("experts."))]
        found = {result.status for result in (*told, *(r for r in self.results if r.status == "rejected"))}
        return "rejected" if "rejected" in found else "unavailable" if "unavailable" in found else "passed"

    @property
    def reason(self) -> str:
        """Why the record is not passed, or ""."""
        return next((f"{r.stage}: {r.reason}" for r in self.results if r.status == self.status != "passed"), "")

    @property
    def frames(self) -> int:
        return self.span[1] - self.span[0] if self.span else 0

    def result(self, stage: str) -> Result | None:
        return next((result for result in self.results if result.stage == stage), None)

    def facts(self, stage: str) -> Mapping[str, Any]:
        """The facts of a stage, {} where it did not run."""
        found = self.result(stage)
        return found.facts if found else {}

    def plus(self, *results: Result) -> "Record":
        return replace(self, results=(*self.results, *results))

    def to_json(self) -> str:
        """One line of ASCII; file names that are not Unicode survive as lone surrogates."""
        row = {**asdict(self), "status": self.status}
        return json.dumps(row, sort_keys=True, separators=(",", ":"))


def source_id(source: Source) -> str:
    """Identity of a source: of its bytes, whatever its name."""
    return digest("source", source.content)


def clip_id(source: Source, span: tuple[int, int], normalised: str) -> str:
    """Identity of a clip: the source's content, its frames and how they were normalised; its name plays no part."""
    return digest("clip", source.content, span, normalised)


def parse_record(line: str) -> Record:
    """Inverse of `Record.to_json`.

    Raises:
        ValueError: if it is not such a line.
    """
    try:
        row = json.loads(line)
        results = tuple(Result(**{**r, "notes": tuple(r["notes"])}) for r in row["results"])
        span = None if row["span"] is None else (int(row["span"][0]), int(row["span"][1]))
        return Record(row["id"], Source(**row["source"]), span, results)
    except (KeyError, TypeError, IndexError, json.JSONDecodeError) as error:
        raise ValueError(f"not a line of a manifest ({error!r}): {line[:80]!r}") from error


def to_lines(records: Iterable[Record]) -> str:
    """A manifest: its records sorted by id and start, a line each."""
    ordered = sorted(records, key=lambda r: (r.source.content, r.span or (0, 0), r.id, r.source.uri))
    return "".join(f"{record.to_json()}\n" for record in ordered)


def from_lines(text: str) -> Iterator[Record]:
    return (parse_record(line) for line in text.splitlines() if line)
