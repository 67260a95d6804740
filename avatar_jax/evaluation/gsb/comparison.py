"""What a comparison is: DIR/comparison.json, written once, when every pair is ready to be played.

It holds which system is which, so it is not served. Votes belong to one comparison, by its `id`.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from avatar_jax.evaluation.gsb.anonymous import Facts
from avatar_jax.evaluation.scoring.results import write_text
from avatar_jax.media import BadInput

FILE, VIDEOS, VOTES = "comparison.json", "videos", "votes.sqlite"
FIX = "choose another --out"


@dataclass(frozen=True)
class Pair:
    """One case in both systems. a, b, portrait: names of files below `DIR/videos`; facts: of a and of b."""

    case: str
    a: str
    b: str
    facts: tuple[Facts, Facts]
    notes: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    prompt: str = ""
    portrait: str | None = None


@dataclass(frozen=True)
class Comparison:
    """systems: names of the first and the second. left_out: why, by case. secret: salt of the names that pages see."""

    id: str
    systems: tuple[str, str]
    seed: int
    raters: int
    pairs: tuple[Pair, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    secret: str = field(default_factory=lambda: secrets.token_hex(16))


def identity(systems: tuple[str, str], seed: int, contents: Mapping[str, Any]) -> str:
    """Digest of what votes are about; the same folders at the same seed are the same comparison on every machine."""
    told = json.dumps([systems, seed, contents], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:24]


def write(folder: Path, comparison: Comparison) -> None:
    write_text(folder / FILE, json.dumps(asdict(comparison), ensure_ascii=False, indent=1) + "\n")


def read(folder: Path) -> Comparison:
    """Raises BadInput where there is none, or it is damaged."""
    path = folder / FILE
    rule = f"the --out of an earlier `gsb A B`, with {FILE} in it"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        pairs = tuple(
            Pair(
                **{
                    **pair,
                    "facts": (Facts(**pair["facts"][0]), Facts(**pair["facts"][1])),
                    "notes": tuple(pair["notes"]),
                }
            )
            for pair in told.pop("pairs")
        )
        return Comparison(**{**told, "systems": (told["systems"][0], told["systems"][1]), "pairs": pairs})
    except FileNotFoundError as error:
        raise BadInput(f"comparison {folder}", f"no {FILE} in it", rule, "check the path") from error
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise BadInput(f"comparison {path}", f"damaged ({error})", rule, FIX) from error
