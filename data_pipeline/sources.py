"""What a build reads: a folder (or bucket) of raw files, with a list that says whose they are."""

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from etils import epath

from avatar_jax.media import BadInput
from data_pipeline.records import Record, Source, digest

LIST = "sources.jsonl"
NEVER = (LIST, "sources.json", "dataset.json")
LABELS = (".json", ".txt", ".md", ".png", ".jpg", ".jsonl", ".csv", ".npz")
"""Files beside videos that are not meant to be videos."""
KEYS = tuple(field.name for field in fields(Source) if field.name != "content")


def find_sources(inputs: str, licence: str = "", consent: str = "") -> list[Record]:
    """A record for every file below `inputs`; hidden files and labels are left out, everything else is looked at.

    `sources.jsonl` in the folder has a line a file: {"uri", "licence", "consent", "origin", "language", "labels"};
    `licence` and `consent` hold where it says nothing.

    Raises:
        BadInput: no such folder, nothing in it, or a damaged list.
    """
    top = epath.Path(inputs)
    if not top.is_dir():
        raise BadInput(f"input {inputs}", "no such folder", "a folder or bucket of video files", "check the path")
    told = _listed(top)
    found = [source for path in _walk(top) if (source := _source(top, path, told)) is not None]
    missing = sorted(set(told) - {source.uri for source in found if "://" not in source.uri})
    found += [told[uri] for uri in missing]
    if not found:
        raise BadInput(f"input {inputs}", "no files", "a folder or bucket of video files", "check the path")
    whole = [_completed(source, licence, consent) for source in found]
    return [Record(digest("file", inputs, source.uri, *_stamp(top, source.uri)), source) for source in whole]


def _completed(source: Source, licence: str, consent: str) -> Source:
    known = {name: value for name, value in (("licence", licence), ("consent", consent)) if value}
    return replace(source, **{name: value for name, value in known.items() if getattr(source, name) == "unknown"})


def _walk(top: Any) -> Sequence[Any]:
    """All files below, in a fixed order; names are compared as bytes, whatever they hold."""
    out, waiting = [], [top]
    while waiting:
        for path in waiting.pop().iterdir():
            if path.name.startswith("."):
                continue
            (waiting if path.is_dir() else out).append(path)
    return sorted(out, key=lambda path: str(path).encode("utf-8", "surrogateescape"))


def _source(top: Any, path: Any, told: dict[str, Source]) -> Source | None:
    uri = str(path)[len(str(top)) :].lstrip("/")
    if uri in told:
        return told[uri]
    if path.name in NEVER or path.suffix.lower() in LABELS:
        return None
    return Source(uri)


def _stamp(top: Any, uri: str) -> tuple[int, float]:
    """Size and time of a file: another file under the same name is looked at again."""
    try:
        stat = (epath.Path(uri) if "://" in uri else top / uri).stat()
    except OSError:
        return 0, 0.0
    return stat.length, float(stat.mtime)


def _listed(top: Any) -> dict[str, Source]:
    path = top / LIST
    if not path.exists():
        return {}
    found: dict[str, Source] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip():
            continue
        rule = f'lines {{"uri": "a.mp4", "licence": "CC-BY-4.0", "consent": "..."}}, keys {", ".join(KEYS)}'
        try:
            row = json.loads(line)
            source = Source(**{key: str(value) for key, value in row.items()})
            if set(row) - set(KEYS) or not source.uri:
                raise ValueError(f"keys {sorted(row)}")
        except (ValueError, TypeError, AttributeError) as error:
            raise BadInput(f"{path}, line {number}", error, rule, "correct this line") from error
        found[source.uri] = source
    return found
