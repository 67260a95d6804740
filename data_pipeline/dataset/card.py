"""The page that a set carries: what is in it, from where, by which licence, and how every score is spread."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from avatar_jax.media import BadInput
from data_pipeline.dataset import shard
from data_pipeline.dataset.schema import EXAMPLES

BINS = 40
PICTURES = "histograms"


def write_card(out: Path, title: str = "Talking-avatar clips") -> Path:
    """README.md beside the sets `media` and `latents` of `out`, with histograms/NAME.png; returns its path.

    Raises:
      BadInput: `out` holds no finished set.
    """
    folders = {name: shard.set_folder(out, name) for name in EXAMPLES}
    folders = {name: folder for name, folder in folders.items() if (folder / "dataset_info.json").exists()}
    if not folders:
        got = "no set with a dataset_info.json"
        raise BadInput(f"set {out}", got, "OUT/media/1.0.0 or OUT/latents/1.0.0", "finish the run that writes it")
    told = folders.get("media") or next(iter(folders.values()))
    lines = [line for split in shard.shards(told) for line in shard.read_index(told, split)]
    parts = [f"# {title}", "", *_sets(folders), "", *_sources(told), "", *_scores(out, lines), "", *_kinds(lines)]
    parts += ["", "## Reading it", "", "```python", "import tensorflow_datasets as tfds", ""]
    parts += [f'records = tfds.data_source("{name}", split="train", data_dir=THIS_FOLDER)' for name in folders]
    parts += ["```", "", "No TensorFlow is needed. `data_pipeline/dataset/schema.py` says what every field means.", ""]
    card, temporary = out / "README.md", out / ".README.md.part"
    temporary.write_text("\n".join(parts))
    temporary.replace(card)
    return card


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    return [f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *rows)]


def _sets(folders: dict[str, Path]) -> list[str]:
    rows = []
    for name, folder in folders.items():
        for split, paths in shard.shards(folder).items():
            lines = list(shard.read_index(folder, split))
            hours = sum(line["frames"] / line["fps"] for line in lines) / 3600
            size = sum(path.stat().st_size for path in paths) / 1e9
            rows.append((name, split, len(lines), f"{hours:.3f}", f"{size:.3f}", len(paths)))
    return _table(("set", "split", "clips", "hours", "GB", "shards"), rows)


def _sources(folder: Path) -> list[str]:
    rows = [
        (row["source"], row["licence"], row["consent"], row["clips"], f"{row['seconds'] / 3600:.3f}")
        for row in shard.provenances(folder)
    ]
    return ["## Sources", "", *_table(("source", "licence", "consent", "clips", "hours"), rows)]


def _scores(out: Path, lines: Sequence[dict[str, Any]]) -> list[str]:
    """A row and a histogram for every score; clips of which an expert could not speak are counted, not hidden."""
    names = sorted({name for line in lines for name in line["scores"]})
    told: dict[str, list[dict[str, Any]]] = {n: [x["scores"][n] for x in lines if n in x["scores"]] for n in names}
    rows, pictures = [], []
    for name, scores in told.items():
        values = np.array([score["value"] for score in scores if score["value"] is not None])
        limits = {score["threshold"] for score in scores if score["threshold"] is not None}
        spread = [f"{q:.3g}" for q in np.quantile(values, (0.05, 0.5, 0.95))] if len(values) else ["-"] * 3
        passed = sum(bool(score["passed"]) for score in scores)
        limit = ", ".join(f"{x:g}" for x in sorted(limits)) or "-"
        rows.append((name, limit, len(values), len(lines) - len(values), passed, *spread))
        pictures.append(_picture(out, name, values, limits))
    seconds = np.array([line["frames"] / line["fps"] for line in lines])
    pictures.append(_picture(out, "seconds", seconds, set()))
    head = ("expert", "threshold", "judged", "not judged", "passed", "5 %", "median", "95 %")
    images = "".join(f"![{name}]({PICTURES}/{name}.png)" for name in pictures)
    return ["## Scores", "", *(_table(head, rows) if rows else ["No expert has judged these clips."]), "", images]


def _kinds(lines: Sequence[dict[str, Any]]) -> list[str]:
    languages = Counter(line["language"] or "not said" for line in lines)
    sizes = Counter("{1} x {0}".format(*line["size"]) for line in lines)
    return [
        "## Kinds",
        "",
        *_table(("language", "clips"), languages.most_common()),
        "",
        *_table(("width x height", "clips"), sizes.most_common(20)),
    ]


def _picture(out: Path, name: str, values: np.ndarray, limits: set[float]) -> str:
    """One histogram, thresholds as lines; returns the name of its file. Drawn without a display or global state."""
    file = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
    with mpl.rc_context({"font.size": 8}):
        figure = Figure(figsize=(3.2, 2.0), dpi=100, layout="constrained")
        axes = figure.subplots()
        axes.hist(values, bins=BINS, color="#4a6fa5")
        for limit in limits:
            axes.axvline(limit, color="#c0392b", linewidth=1)
        axes.set_title(f"{name} ({len(values)} clips)")
        axes.spines[["top", "right"]].set_visible(False)
        path = out / PICTURES / f"{file}.png"
        path.parent.mkdir(exist_ok=True)
        # Without a date inside, the same scores give the same file.
        figure.savefig(path, metadata={"Software": None})
    return file
