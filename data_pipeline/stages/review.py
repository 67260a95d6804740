"""Review: decisions that people made in `python -m data_pipeline review` are applied to the clips."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avatar_jax.media import BadInput
from data_pipeline.records import Record, Result

VERSION = "1"
DECISIONS = ("accept", "reject", "disputed", "open")


@dataclass(frozen=True)
class Decision:
    """accept, reject, disputed or open, and the reasons that were given."""

    decision: str
    reasons: tuple[str, ...] = ()


def read_decisions(path: Path) -> dict[str, Decision]:
    """Decisions by clip, from the lines of the review's decisions.jsonl.

    Raises:
        BadInput: no such file, or not such lines.
    """
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        found = {row["clip"]: Decision(row["decision"], tuple(row.get("reasons", ()))) for row in rows}
    except OSError as error:
        raise BadInput(f"decisions {path}", error.strerror, "the review's decisions.jsonl", "export it") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"decisions {path}", repr(error), 'lines {"clip": .., "decision": ..}', "export again"
        ) from error
    if unknown := {d.decision for d in found.values()} - set(DECISIONS):
        raise BadInput(f"decisions {path}", sorted(unknown)[0], ", ".join(DECISIONS), "export again")
    return found


def reviewed(records: Sequence[Record], decisions: Mapping[str, Decision], needed: bool) -> list[Record]:
    """All records; rejected ones of before rest as they are.

    An accepted clip is passed even where an expert could not judge: a person did. A disputed one is held back, and
    with `needed` one that nobody has decided on.
    """
    return [record if record.status == "rejected" else _told(record, decisions, needed) for record in records]


def _told(record: Record, decisions: Mapping[str, Decision], needed: bool) -> Record:
    found = decisions.get(record.id, Decision("open"))
    why = ", ".join(found.reasons)
    if found.decision == "reject":
        result = Result("review", VERSION, "rejected", f"rejected by reviewers{': ' if why else ''}{why}")
    elif found.decision == "disputed":
        result = Result("review", VERSION, "unavailable", "reviewers disagree")
    elif found.decision == "open" and needed:
        result = Result("review", VERSION, "unavailable", "not reviewed yet")
    else:
        result = Result("review", VERSION, "passed", facts={"accepted": found.decision == "accept"})
    return record.plus(result)
