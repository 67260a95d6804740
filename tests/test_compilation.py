"""Where compiled programs are kept, and that a folder that cannot be written costs a warning alone."""

from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from avatar_jax import compilation


@pytest.fixture(autouse=True)
def unchanged() -> Iterator[None]:
    before = jax.config.jax_compilation_cache_dir
    yield
    jax.config.update("jax_compilation_cache_dir", before)


def test_a_folder_in_the_users_cache_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert compilation.folder() == str(tmp_path / ".cache" / "avatar_jax" / "jax")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert compilation.keep_programs() == str(tmp_path / "x" / "avatar_jax" / "jax")
    assert jax.config.jax_compilation_cache_dir == compilation.folder() and Path(compilation.folder()).is_dir()
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "gs://bucket/cache")
    assert compilation.keep_programs() == "gs://bucket/cache"


def test_turned_off(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    assert compilation.keep_programs() == "" and jax.config.jax_compilation_cache_dir is None
    assert not capsys.readouterr().err


def test_a_folder_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert compilation.keep_programs() == "" and jax.config.jax_compilation_cache_dir is None
    told = capsys.readouterr().err
    assert told.startswith("warning: compiled programs are not kept") and len(told.splitlines()) == 1


def test_options_for_tpu_are_given_to_programs_for_tpu_alone() -> None:
    program = compilation.Program(lambda n, x: n * x, {"xla_tpu_scoped_vmem_limit_kib": "16384"}, static=(0,))
    assert program(3, jnp.float32(2)) == 6
    assert program.chosen() is program.anywhere
    device = jax.sharding.AbstractDevice(device_kind="TPU v6 lite", num_cores=1, platform="tpu")
    with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((2,), ("seq",), abstract_device=device)):
        assert program.chosen() is program.on_tpu
    with pytest.raises(jax.errors.JaxRuntimeError, match="xla_tpu_scoped_vmem_limit_kib"):
        program.on_tpu(3, jnp.float32(2))
