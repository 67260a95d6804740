"""A frozen set: `SET/manifest.jsonl` with one line a case, its files' hashes and its licence. Written last, whole."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from avatar_jax.media import BadInput, unwritable

MANIFEST = "manifest.jsonl"
FILES = ("portrait", "audio", "storyline", "labels", "truth")
"""Values of a line that name a file of the set."""


@dataclass(frozen=True)
class SetCase:
    """One case. Paths are relative to the set and stay in it; `storyline`, `labels` (the truth of every frame at 25 a
    second) and `truth` (the true video) are there in the embedded edition alone."""

    case: str
    portrait: str
    audio: str
    prompt: str
    seconds: float
    licence: str
    storyline: str | None = None
    labels: str | None = None
    truth: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)

    def files(self) -> Iterator[tuple[str, str]]:
        """(what it is, path) of every file that the case has."""
        for name in FILES:
            if (path := getattr(self, name)) is not None:
                yield name, path


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name, then rename it.

    Raises:
      BadInput: it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error


def write_set(folder: Path, cases: Sequence[SetCase]) -> None:
    """Freeze a set: the manifest appears when everything that it names is there."""
    lines = "".join(json.dumps(asdict(case), ensure_ascii=False) + "\n" for case in cases)
    write_whole(folder / MANIFEST, lines.encode())


def read_set(folder: Path) -> list[SetCase]:
    """The cases of a set, in order.

    Raises:
      BadInput: there is no manifest, or a line of it is not one of ours.
    """
    path = folder / MANIFEST
    rule = "a set is a folder with manifest.jsonl, made by `benchmark compose` or `benchmark edition`"
    if not path.is_file():
        raise BadInput(f"--set {folder}", "no manifest.jsonl in it", rule, "make the set first")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise BadInput(f"--set {folder}", f"{MANIFEST} cannot be read ({error})", rule, "make the set anew") from error
    cases = [parse_case(line, f"{path.name} line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    if len({case.case for case in cases}) != len(cases):
        raise BadInput(f"--set {folder}", "two cases of one name", "names differ", "make the set anew")
    return cases


def parse_case(line: str, where: str) -> SetCase:
    """One line of a manifest.

    Raises:
      BadInput: what is wrong with it.
    """
    fix = "restore the manifest, or make the set anew"
    try:
        value: Any = json.loads(line)
    except ValueError as error:
        raise BadInput(where, f"not JSON ({error})", "one JSON object a line", fix) from error
    known = {f.name for f in fields(SetCase)}
    needed = {"case", "portrait", "audio", "prompt", "seconds", "licence"}
    if not isinstance(value, dict) or not needed <= set(value) <= known:
        raise BadInput(where, "keys are missing or unknown", f"keys are {', '.join(sorted(known))}", fix)
    case = SetCase(**value)
    for name, path in case.files():
        if not isinstance(path, str) or Path(path).is_absolute() or ".." in Path(path).parts:
            raise BadInput(where, f"{name} is {path}", "paths are relative and stay in the set", fix)
    return case


def faults_of(folder: Path, cases: Sequence[SetCase]) -> Iterator[tuple[str, str]]:
    """(case, what is wrong) of every case: files missing, changed, or without a hash or a licence; empty: all well."""
    for case in cases:
        wrong = [] if case.licence.strip() else ["no licence"]
        for name, path in case.files():
            if not (folder / path).is_file():
                wrong.append(f"{path} is missing")
            elif name not in case.sha256:
                wrong.append(f"{path} has no hash")
            elif sha256(folder / path) != case.sha256[name]:
                wrong.append(f"{path} has changed")
        yield case.case, "; ".join(wrong)
