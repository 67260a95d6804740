"""Apache Beam as the engine: DirectRunner here, Dataflow, Flink or Spark by their own options (docs/data.md).

Elements are lines of a file below the build's root, results come back the same way; both are small, since media never
leave the store. Workers write their own files, shards included.
"""

import base64
import pickle
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from etils import epath

from avatar_jax.media import BadInput
from data_pipeline.engine import Item, Made, one_thread

FIX = "--beam='--runner=DirectRunner'"


def to_line(value: Any) -> str:
    return base64.b64encode(pickle.dumps(value)).decode()


def from_line(line: str) -> Any:
    """Inverse of `to_line`, for files that this build has written itself."""
    return pickle.loads(base64.b64decode(line))


@dataclass(frozen=True)
class BeamEngine:
    """`root`: where workers and this process both read and write. `options`: those of the runner."""

    root: str
    options: tuple[str, ...] = ("--runner=DirectRunner",)

    def run(
        self, function: Callable[[Item], Made], items: Sequence[Item], lost: Callable[[Item], Made]
    ) -> Iterator[Made]:
        """Runners try an element again by themselves and fail as a whole in the end, so `lost` is never asked."""
        if not items:
            return
        beam, parsed = _beam(self.options)
        folder = epath.Path(self.root) / "work" / "beam" / uuid.uuid4().hex
        folder.mkdir(parents=True)
        try:
            (folder / "items.txt").write_text("".join(f"{to_line(item)}\n" for item in items))

            class Work(beam.DoFn):
                """Applies the function; counts what it did."""

                def setup(self) -> None:
                    one_thread()

                def process(self, line: str) -> Iterator[str]:
                    beam.metrics.Metrics.counter("avatar_jax", "items").inc()
                    yield to_line(function(from_line(line)))

            with beam.Pipeline(options=parsed) as pipeline:
                lines = pipeline | "items" >> beam.io.ReadFromText(str(folder / "items.txt"))
                # Without it, runners would keep one file's lines on one worker.
                made = lines | "spread" >> beam.Reshuffle() | "work" >> beam.ParDo(Work())
                _ = made | "results" >> beam.io.WriteToText(str(folder / "results"))
            for path in sorted(folder.glob("results*"), key=str):
                yield from map(from_line, path.read_text().splitlines())
        finally:
            folder.rmtree()


def _beam(options: tuple[str, ...]) -> tuple[Any, Any]:
    """The module and the parsed options.

    Raises:
        BadInput: Beam is not installed, or the options name no runner that it knows.
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
        from apache_beam.runners.runner import create_runner
    except ImportError as error:
        raise BadInput(
            "--engine beam", error, "needs the extra [pipeline]", "pip install avatar-jax[pipeline]"
        ) from error
    parsed = PipelineOptions(list(options))
    try:
        create_runner(parsed.view_as(StandardOptions).runner or "DirectRunner")
    except (ValueError, ImportError) as error:
        raise BadInput("--beam", str(error).split("\n")[0], "options of a Beam runner", FIX) from error
    return beam, parsed
