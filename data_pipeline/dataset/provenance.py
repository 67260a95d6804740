"""Where clips come from, by which licence they may be used, and who agreed to be seen: nothing enters a set without.

A sources file is JSON: {"NAME": {"licence": "CC-BY-4.0", "consent": "signed release, 2026-03", "origin": "https://..."}}.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from avatar_jax.media import BadInput

RULE = "every source states its licence and the consent of the people in it"
FIX = 'for example {"interviews": {"licence": "CC-BY-4.0", "consent": "signed release forms", "origin": "where"}}'

UNKNOWN = ("", "unknown", "none", "n/a", "todo")
"""What people write who do not know."""


@dataclass(frozen=True)
class Provenance:
    """One origin of clips.

    licence: an SPDX name or a sentence. consent: how the people shown agreed, or why nobody had to.
    origin: an address, a folder or a command; weight: its share in a mixture, relative to the other sources.

    Raises:
      BadInput: a name, licence or consent is missing, blank or "unknown".
    """

    name: str
    licence: str
    consent: str
    origin: str = ""
    weight: float = 1.0

    def __post_init__(self) -> None:
        for field in ("name", "licence", "consent"):
            value = getattr(self, field)
            if not isinstance(value, str) or value.strip().lower() in UNKNOWN:
                raise BadInput(f"source {self.name or '(no name)'}", f"no {field}", RULE, FIX)
        if not self.weight > 0:
            raise BadInput(f"source {self.name}", f"weight {self.weight}", "weights are above 0", "leave it out")


SYNTHETIC = Provenance(
    "synthetic",
    "Apache-2.0",
    "not needed: every face is drawn and every voice synthesised by this repository",
    "python -m data_pipeline synthetic --what set",
)


def load_sources(path: Path) -> dict[str, Provenance]:
    """The sources of a file, by name.

    Raises:
      BadInput: no such file, not JSON of the right form, or a source without licence or consent.
    """
    try:
        told = json.loads(path.read_text())
    except OSError as error:
        raise BadInput(f"sources {path}", error.strerror or error, RULE, f"write it: {FIX}") from error
    except ValueError as error:
        raise BadInput(f"sources {path}", f"not JSON ({error})", RULE, FIX) from error
    if not isinstance(told, dict) or not told or not all(isinstance(entry, dict) for entry in told.values()):
        raise BadInput(f"sources {path}", "not an object of named sources", RULE, FIX)
    return {name: _source(path, name, entry) for name, entry in told.items()}


def _source(path: Path, name: str, entry: Mapping[str, Any]) -> Provenance:
    known = ("licence", "consent", "origin", "weight")
    if unknown := sorted(entry.keys() - set(known)):
        raise BadInput(f"sources {path}, {name}", f"unknown field {unknown[0]}", f"fields: {', '.join(known)}", FIX)
    weight = entry.get("weight", 1.0)
    if not isinstance(weight, int | float) or isinstance(weight, bool):
        raise BadInput(f"sources {path}, {name}", f"weight {weight!r}", "weights are numbers above 0", "leave it out")
    return Provenance(name, entry.get("licence", ""), entry.get("consent", ""), entry.get("origin", ""), float(weight))


def save_sources(path: Path, sources: Mapping[str, Provenance]) -> None:
    """Inverse of `load_sources`; a whole file or none."""
    told = {name: {k: v for k, v in asdict(source).items() if k != "name"} for name, source in sources.items()}
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    temporary.replace(path)
