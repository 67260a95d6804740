"""What a storyline says about how it was made: evidence, inferred fields, conflicts."""

from dataclasses import dataclass, field

from avatar_jax.director.storyline import Conflict, Evidence, Expert

MOST_RECORDS = 200
"""Evidence, inferred fields and conflicts are listed up to here: a long wish must not bury the shots."""
LONGEST = 300
"""Characters of a finding, of the words that it was seen in, and of each side of a conflict."""


@dataclass
class Notes:
    """Records without repetition, in the order in which they were made."""

    evidence: dict[tuple[str, str], Evidence] = field(default_factory=dict)
    inferred: list[str] = field(default_factory=list)
    conflicts: dict[tuple[str, str, str], Conflict] = field(default_factory=dict)

    def saw(self, expert: Expert, finding: str, seen_in: str) -> None:
        """Somebody found something, in these words or by these numbers."""
        if len(self.evidence) < MOST_RECORDS:
            note = Evidence(expert=expert, finding=finding[:LONGEST], seen_in=seen_in[:LONGEST])
            self.evidence.setdefault((note.finding, note.seen_in), note)

    def infer(self, path: str) -> None:
        """Nobody asked for this field or showed it."""
        if len(self.inferred) < MOST_RECORDS:
            self.inferred.append(path)

    def clash(self, path: str, chosen: str, rejected: str, reason: str) -> None:
        """Two wishes could not both hold."""
        if len(self.conflicts) < MOST_RECORDS:
            note = Conflict(path=path, chosen=chosen[:LONGEST], rejected=rejected[:LONGEST], reason=reason[:LONGEST])
            self.conflicts.setdefault((path, note.chosen, note.rejected), note)

    def records(self) -> dict[str, list]:
        """The fields of a storyline."""
        return {
            "evidence": list(self.evidence.values()),
            "inferred": self.inferred,
            "conflicts": list(self.conflicts.values()),
        }
