"""A distilled student in a folder of weights: sampled with by default, in its own steps; another's is refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

import sample
from avatar_jax.diffusion.stages import UNGUIDED
from avatar_jax.media import BadInput
from avatar_jax.mesh import make_mesh
from avatar_jax.models.low_rank import change_of
from avatar_jax.sampling.config import SampleConfig
from avatar_jax.sampling.folder import sha256
from avatar_jax.sampling.student import SOLVED, check_walk, walked
from avatar_jax.weights import ship


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped networks and a student whose head is shifted by one."""
    out = tmp_path_factory.mktemp("weights")
    for name in ("audio", "layers", "codec", "gate", "dit"):
        shutil.copy(ship.shipped(name), out)
    teacher, _ = ship.load(out / "dit.safetensors")
    student = jax.tree.map(np.copy, teacher)
    student["dit"]["head"]["modulation"] += 1
    note = {"config": {"teacher": sha256(out / "dit.safetensors"), "student_steps": 2}}
    ship.export(change_of(teacher, student, 2), out / "distil.safetensors", note)
    return out


def test_a_student_is_sampled_with_unless_the_teacher_is_asked_for(folder: Path) -> None:
    mesh = make_mesh("", jax.devices()[:1])
    student, teacher = sample.load_models(folder, mesh), sample.load_models(folder, mesh, student=False)
    assert (student.student_steps, teacher.student_steps) == (2, None)
    assert student.hashes["distil"] == sha256(folder / "distil.safetensors") and "distil" not in teacher.hashes
    moved = student.window_params["dit"]["head"]["modulation"] - teacher.window_params["dit"]["head"]["modulation"]
    np.testing.assert_allclose(moved, 1, atol=1e-3)


def test_another_teachers_student_is_refused(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    params, note = ship.load(other / "dit.safetensors")
    ship.export(params, other / "dit.safetensors", note | {"other": True})
    with pytest.raises(BadInput, match="of another generator"):
        sample.load_models(other, make_mesh("", jax.devices()[:1]))


def test_every_part_walks_as_the_student_learned() -> None:
    config = SampleConfig()
    found = walked(config, 2)
    for name in SOLVED:
        solver = getattr(found, name).solver
        assert (solver.steps, solver.guidance) == (2, UNGUIDED)
        assert replace(getattr(found, name), solver=getattr(config, name).solver) == getattr(config, name)
    assert walked(config, None) is config


def test_steps_and_scales_that_a_student_would_not_listen_to_are_refused() -> None:
    usual = SampleConfig()
    asked = replace(usual, segment=replace(usual.segment, solver=replace(usual.segment.solver, steps=8)))
    check_walk(asked, usual, None)
    check_walk(usual, usual, 4)
    with pytest.raises(BadInput, match=r"segment\.solver was changed"):
        check_walk(asked, usual, 4)
