"""Outputs of the released EchoMimicV3-Flash code on random weights, reproduced from its own files."""

from pathlib import Path

from tests.parity.golden import Golden


def test_audio_tokens_and_velocity_equal_the_released_code(tmp_path: Path) -> None:
    golden = Golden("echomimic_v3_flash", "echomimic_v3_flash_dit_tiny", tmp_path)
    assert golden.audio_error() <= 2e-5
    assert golden.velocity_error("velocity") <= 2e-5
    assert golden.velocity_error("velocity_zero_audio") > 1e-2
    assert "q_audio" not in golden.params["dit"]["blocks"]["layers"]["cross_attn"], "read by no one"
