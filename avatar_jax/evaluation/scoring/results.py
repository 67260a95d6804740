"""What scoring one video gave, and its file: cases.jsonl, one object a line, which a stopped run goes on from."""

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from avatar_jax.media import BadInput, unwritable

Status = Literal["scored", "refused"]
DIGITS = 6
"""Significant digits of a number in a file."""


@dataclass(frozen=True)
class CaseScore:
    """One system's video of one case.

    status: "refused" where there is nothing to score, and `reason` says why; then `metrics` is empty.
    notes: what a reader of the numbers should know, one line each.
    tags: of the set's manifest, {} without a set. metrics: by the names of `measures.MEASURES`; None does not exist.
    key: hash of everything that the numbers depend on. took_s: processor seconds that the scoring took.
    """

    system: str
    case: str
    status: Status
    reason: str | None = None
    notes: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    key: str = ""
    took_s: float = 0.0

    @property
    def scored(self) -> bool:
        return self.status == "scored"

    def value(self, name: str) -> float:
        """One metric; nan where it does not exist."""
        found = self.metrics.get(name)
        return float("nan") if found is None else found


def plain(value: Any) -> Any:
    """A JSON value with short numbers; what is not a finite number becomes null."""
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, bool) or not isinstance(value, float):
        return value
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def line_of(score: CaseScore) -> str:
    return json.dumps(plain(asdict(score)), ensure_ascii=False) + "\n"


def append(path: Path, score: CaseScore) -> None:
    """Add one line that is on the disk when this returns; half a line that an earlier kill left is cut off.

    Raises:
      BadInput: it cannot be written.
    """
    try:
        whole = path.read_bytes().rfind(b"\n") + 1 if path.is_file() else 0
        with path.open("ab") as file:
            file.truncate(whole)
            file.write(line_of(score).encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise unwritable(path, error) from error


def write_cases(path: Path, scores: Iterable[CaseScore]) -> None:
    """All lines at once, whole or not at all."""
    write_text(path, "".join(line_of(score) for score in scores))


def write_text(path: Path, text: str) -> None:
    """A text file under another name, then renamed.

    Raises:
      BadInput: it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error


def read_cases(path: Path) -> list[CaseScore]:
    """The scores of a file, in its order; of several lines for one system and case the last one counts.

    A last line that was cut by a kill is left out, and so is a missing file's every line.

    Raises:
      BadInput: any other line is not a score.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeError) as error:
        raise BadInput(f"scores {path}", error, "a text file that can be read", "choose another --out") from error
    found: dict[tuple[str, str], CaseScore] = {}
    for number, line in enumerate(lines, 1):
        try:
            score = parsed(json.loads(line))
        except (ValueError, TypeError) as error:
            if number == len(lines):
                break
            fix = "remove the file: all videos are scored again"
            raise BadInput(f"{path}, line {number}", line, "one score a line", fix) from error
        found[score.system, score.case] = score
    return list(found.values())


def parsed(value: Any) -> CaseScore:
    """A score from its JSON value; raises TypeError or ValueError where it is none."""
    if not isinstance(value, dict) or value.get("status") not in ("scored", "refused"):
        raise ValueError("no status")
    fields: dict[str, Any] = {**value, "notes": tuple(value.get("notes", ()))}
    return CaseScore(**fields)
