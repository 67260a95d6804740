"""report.json (what was made, how well, how fast) and manifest.json (from what, exactly)."""

import hashlib
import os
import platform
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Mesh
from tqdm import tqdm

from avatar_jax.diffusion.guidance import Guidance
from avatar_jax.distributed import first
from avatar_jax.metrics.quality import is_lifeless
from avatar_jax.sampling.windows import Denoiser, Predict, Windows

PACKAGES = ("avatar-jax", "jax", "jaxlib", "flax", "numpy", "av", "opencv-python-headless", "pillow")
WATCHED = 400
"""Small copies of frames kept for the check that a video is alive, spread over its length."""


class Lifeless(RuntimeError):
    """The finished frames are black, flat or frozen; such a video is never returned as a success."""


@dataclass
class Stopwatch:
    """Wall seconds by stage, and one progress bar over all windows and noise levels with the time left."""

    bar: tqdm
    seconds: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)
    first_step: float | None = None
    """Seconds until the first noise level was done: what loading and compiling cost."""
    cpu: float | None = None
    """CPU seconds of the whole process until then, all threads together."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        self.bar.set_description(name)
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 3)

    def expect(self, window_steps: int) -> None:
        """So much more work is known to come."""
        self.bar.total = (self.bar.total or 0) + window_steps
        self.bar.refresh()

    def moved(self, window_steps: int) -> None:
        """So much is done."""
        if self.first_step is None:
            self.first_step, self.cpu = round(time.perf_counter() - self.began, 3), round(time.process_time(), 3)
        self.bar.update(window_steps)

    def watching(self, denoise: Denoiser) -> Denoiser:
        """The same denoiser, moving the bar."""

        def bound(windows: Windows, guidance: Guidance) -> Predict:
            predict = denoise(windows, guidance)

            def counted(x: np.ndarray, t: float) -> np.ndarray:
                clean = predict(x, t)
                self.moved(len(windows))
                return clean

            return counted

        return bound


def progress_bar(quiet: bool) -> tqdm:
    layout = "{desc:>14} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"
    return tqdm(total=0, disable=quiet or not first(), bar_format=layout, dynamic_ncols=True, mininterval=0.2)


@dataclass
class FrameWatch:
    """Passes frames through, hashes them and looks whether they live. `parts`: the piece that each belongs to."""

    parts: Sequence[str]
    digest: Any = field(default_factory=hashlib.sha256)
    digests: dict[str, Any] = field(default_factory=dict)
    thumbnails: list[np.ndarray] = field(default_factory=list)

    def through(self, frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """The same frames.

        Raises:
          Lifeless: after the last of them, if they are black, flat or frozen.
        """
        every = max(1, len(self.parts) // WATCHED)
        for i, frame in enumerate(frames):
            pixels = frame.tobytes()
            self.digest.update(pixels)
            self.digests.setdefault(self.parts[i], hashlib.sha256()).update(pixels)
            if i % every == 0:
                self.thumbnails.append(frame[::4, ::4].copy())
            yield frame
        fault = is_lifeless(np.stack(self.thumbnails))
        if fault:
            raise Lifeless(f"the video came out {fault}; nothing was written")

    def hashes(self) -> dict[str, str | dict[str, str]]:
        """SHA-256 of the frames of all, and of every part, before encoding (report.json)."""
        by_part = {part: digest.hexdigest() for part, digest in self.digests.items()}
        return {"frames_sha256": self.digest.hexdigest(), "frames_sha256_by_part": by_part}


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def cost(watch: Stopwatch, took: float, seconds: float, mesh: Mesh) -> dict[str, Any]:
    """What `took` seconds of work on `mesh` for `seconds` of video cost: a part of report.json."""
    return {
        "timings_s": {**watch.seconds, "all": round(took, 3)},
        "start_s": {"program": program_age(watch.began), "first_step": watch.first_step, "cpu": watch.cpu},
        "seconds_per_video_second": round(took / seconds, 3),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "devices": [str(device.device_kind) for device in mesh.devices.ravel()],
    }


def program_age(moment: float) -> float | None:
    """Seconds from the start of this process to `moment` (of time.perf_counter); None where the system does not say."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        now = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return round(now - ticks / os.sysconf("SC_CLK_TCK") - (time.perf_counter() - moment), 3)


def origin(config: Any, mesh: Mesh, video_sha256: str) -> dict[str, Any]:
    """How a video was made and which file it is: a part of manifest.json."""
    return {
        "config": plain(config),
        "mesh": dict(mesh.shape),
        "video_sha256": video_sha256,
        "versions": versions(),
    }


def plain(value: Any) -> Any:
    """A config as JSON values."""
    return asdict(value)
