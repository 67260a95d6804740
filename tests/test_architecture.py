"""The house rules that a machine can check: who may import whom, file length, no junk drawers."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = sorted(
    p
    for top in ("avatar_jax", "data_pipeline", "configs", "tpu", "tests", "train.py", "sample.py")
    for p in ([ROOT / top] if top.endswith(".py") else (ROOT / top).rglob("*.py"))
)

MAY_IMPORT: dict[str, set[str]] = {
    "shapes": set(),
    "timeline": set(),
    "media": set(),
    "config": set(),
    "mesh": {"shapes"},
    "compilation": {"mesh"},
    "peers": set(),
    "distributed": {"media", "peers"},
    "nn": {"shapes", "mesh"},
    "diffusion": {"shapes"},
    "models": {"nn", "mesh", "shapes"},
    "director": {"media", "timeline"},
    "metrics": {"models", "media", "timeline"},
    "weights": {"models", "mesh", "nn"},
    "training": {"models", "diffusion", "mesh", "timeline", "distributed"},
    "sampling": {
        "models",
        "director",
        "diffusion",
        "metrics",
        "mesh",
        "compilation",
        "media",
        "timeline",
        "distributed",
    },
    "web": {"media"},
    "evaluation": {"metrics", "media", "models", "web"},
    "data_pipeline": {"models", "metrics", "media", "mesh", "timeline", "weights", "director", "web"},
}
"""docs/architecture.md, section 1. `config` is a leaf; data_pipeline writes storylines, so it knows the director."""

JOINERS = {
    "train.py",
    "sample.py",
    "data_pipeline/experts/train.py",
    "avatar_jax/evaluation/embedded.py",
    "avatar_jax/evaluation/eyes.py",
    "avatar_jax/evaluation/scoring/known.py",
    "avatar_jax/evaluation/scoring/readers.py",
    "avatar_jax/evaluation/cascade.py",
    "avatar_jax/evaluation/benchmark/edition.py",
    "avatar_jax/evaluation/benchmark/systems.py",
    "avatar_jax/evaluation/gallery.py",
    "avatar_jax/evaluation/gatecheck.py",
    "avatar_jax/evaluation/joins.py",
    "avatar_jax/evaluation/making.py",
    "avatar_jax/evaluation/obedience.py",
    "avatar_jax/evaluation/pictures.py",
}
"""Files that may join everything, with every __main__.py, configs/, tpu/ and tests/."""


def part_of(path: Path) -> str:
    """The house part that a file belongs to: `avatar_jax/models/dit.py` -> models."""
    names = path.relative_to(ROOT).with_suffix("").parts
    return names[1] if names[0] == "avatar_jax" and len(names) > 1 else names[0]


def imported_parts(tree: ast.AST) -> set[str]:
    parts = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for module in modules:
            names = module.split(".")
            if names[0] == "avatar_jax" and len(names) > 1:
                parts.add(names[1])
            elif names[0] in ("data_pipeline", "configs", "tpu", "train", "sample"):
                parts.add(names[0])
    return parts


@pytest.mark.parametrize("path", CODE, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    relative = str(path.relative_to(ROOT))
    part = part_of(path)
    if (
        relative in JOINERS
        or path.name == "__main__.py"
        or part in ("configs", "tpu", "tests")
        or part not in MAY_IMPORT
    ):
        return
    forbidden = imported_parts(ast.parse(path.read_text())) - MAY_IMPORT[part] - {part}
    assert not forbidden, f"{relative} ({part}) may not import {sorted(forbidden)}"


def test_every_part_has_a_rule() -> None:
    parts = {part_of(p) for p in CODE if p.name != "__init__.py" and p.parts[-2] != "avatar_jax"}
    assert parts - {"configs", "tpu", "tests", "train", "sample"} <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", CODE, ids=lambda p: str(p.relative_to(ROOT)))
def test_file_is_short_and_named_for_what_it_holds(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
    assert path.stem not in ("utils", "util", "common", "helpers", "misc") and not path.stem.endswith("_v2")


IN_PROCESS = "avatar_jax/director/mllm/thinker.py"
"""The one file that runs a torch model; it is imported by name, where `--director transformers:PATH` asks for it."""


def test_core_runs_without_extras() -> None:
    """`make demo` installs the core alone: nothing that sample.py can reach imports an extra."""
    extras = {"skia", "espeakng_loader", "torch", "llguidance", "apache_beam", "mediapipe", "scenedetect"}
    for path in CODE:
        if path.relative_to(ROOT).parts[0] in ("avatar_jax", "sample.py", "configs"):
            found = {
                alias.name.split(".")[0]
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Import)
                for alias in node.names
            } | {
                node.module.split(".")[0]
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.ImportFrom) and node.module
            }
            allowed = {"torch", "llguidance"} if path.relative_to(ROOT).as_posix() == IN_PROCESS else set()
            assert not (found & extras) - allowed, f"{path} imports {found & extras}"
