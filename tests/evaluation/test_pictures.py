"""What the drawing of frames gains, with the shipped network."""

import json

import pytest

from avatar_jax.evaluation.__main__ import main


def test_what_is_drawn_now_is_nearer_to_the_truth(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pictures", "--cases", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["cases"] == 2
    assert found["rim_patches_db"] > found["rim_smooth_db"]
    assert min(found["skin_even_db"], found["skin_painted_db"]) > 20
    assert found["fine_db"] > found["plain_db"] and found["plain_sharpness"] < found["fine_sharpness"] < 1.1


@pytest.mark.parametrize("wrong", [["--cases", "0"], ["--student=false"]])
def test_mistakes_are_told(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pictures", *wrong]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) <= 4
