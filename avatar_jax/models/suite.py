"""The networks of one public family side by side: each read into memory when it is first needed, and let go again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from avatar_jax.models.clip_vision import CLIPVisionConfig
from avatar_jax.models.umt5 import PromptTokenizer, UMT5Config
from avatar_jax.models.vae_stages import VAEConfig
from avatar_jax.models.video_model import VideoModelConfig
from avatar_jax.models.wav2vec2 import Wav2Vec2Config

Config = TypeVar("Config")


@dataclass
class Part(Generic[Config]):
    """One network. Its files have been checked; `read` brings its parameters onto the mesh."""

    config: Config
    read: Callable[[], Any]
    held: Any = field(default=None, repr=False)

    @property
    def params(self) -> Any:
        """Parameters, read at the first use."""
        if self.held is None:
            self.held = self.read()
        return self.held

    def free(self) -> None:
        """Let go of the parameters; the next use reads them again."""
        self.held = None


@dataclass(frozen=True)
class Suite:
    """All networks of a family. `draft` makes the blueprint: a part of its own, or the denoiser itself."""

    denoiser: Part[VideoModelConfig]
    draft: Part[VideoModelConfig]
    vae: Part[VAEConfig]
    text: Part[UMT5Config]
    tokenizer: PromptTokenizer
    image: Part[CLIPVisionConfig]
    """Reads the pictures that the denoiser is shown, and compares key frames with the portrait."""
    speech: Part[Wav2Vec2Config] | None
    """None for silent families."""
    files: dict[str, list[tuple[str, int]]]
    """Part -> names and sizes of its files: what tells one set of weights from another."""
