"""Whether a video is exactly as long as its sound: floor(seconds * fps + 1/2) frames, in exact arithmetic."""

from avatar_jax.timeline import Rate, frame_count


def length_error(frames: int, samples: int, sample_rate: int, fps: Rate) -> int:
    """Frames too many (or, below 0, too few)."""
    return frames - frame_count(samples, sample_rate, fps)
