"""Overrides are typed, and mistakes name what was meant."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from avatar_jax import config


@dataclass(frozen=True)
class Inner:
    rate: float = 1e-3
    kind: Literal["muon", "adamw"] = "muon"
    limit: int | None = None
    size: tuple[int, int] = (1, 2)
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    on: bool = False
    name: str = "a"
    count: int = 1


def test_overrides_take_the_declared_type() -> None:
    given = ["--inner.rate=1", "--inner.limit=7", "--inner.size=3,4", "--inner.words=x, y", "--on=true", "--name=12"]
    got = config.override(Outer(), given)
    assert got == Outer(Inner(rate=1.0, limit=7, size=(3, 4), words=("x", "y")), on=True, name="12")
    assert isinstance(got.inner.rate, float)
    assert config.override(got, ["--inner.limit=none", "--inner.kind=adamw"]).inner.limit is None


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("--inner.rte=1", "did you mean --inner.rate"),
        ("--rate=1", "did you mean --inner.rate"),
        ("--outt=x", "did you mean --out"),
        ("--zzz=1", "names begin with --count, --inner"),
        ("--inner=1", "did you mean --inner"),
        ("--count=1.5", "a whole number"),
        ("--on=perhaps", "true or false"),
        ("--inner.kind=sgd", "muon, adamw"),
        ("--inner.size=1", "2 values"),
        ("--inner.limit=x", "a whole number, or it is none"),
        ("--count", "--count=VALUE"),
        ("count=3", "options start with --"),
    ],
)
def test_mistakes_are_told_in_three_lines(argument: str, told: str) -> None:
    with pytest.raises(config.ConfigError) as caught:
        config.override(Outer(), [argument], ["--out"])
    assert told in str(caught.value)
    assert len(str(caught.value).splitlines()) == 3


def test_a_config_file_sets_config(tmp_path: Path) -> None:
    file = tmp_path / "toy.py"
    file.write_text("from tests.training.test_config import Outer\nCONFIG = Outer(count=5)\n")
    assert config.load(file).count == 5
    file.write_text("CONFIG = 3\n")
    with pytest.raises(config.ConfigError, match="sets CONFIG"):
        config.load(file)
    with pytest.raises(config.ConfigError, match=r"did you mean configs/embedded\.py"):
        config.load("configs/embeded.py")
