"""A command line of tpu.compile, answered: config and shape checked, programs compiled, the record put together."""

import argparse
import difflib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from jax.sharding import Mesh
from tqdm import tqdm

from avatar_jax import config as configs
from avatar_jax.media.errors import BadInput
from avatar_jax.mesh import AXES, make_mesh, parse_mesh
from avatar_jax.sampling.public.config import PublicConfig
from avatar_jax.sampling.public.pictures import frame_size
from avatar_jax.training.video_stage import VideoConfig
from tpu.layouts import candidates, default_mesh
from tpu.minute import costs_of, video
from tpu.programs import (
    Prepared,
    Shape,
    Variant,
    decode,
    denoise,
    encode_text,
    model_of,
    passes,
    require,
    vae_of,
)
from tpu.proof import Proof, figures, prove
from tpu.topology import Slice, devices_of
from tpu.training import stage_of, state_weight, train

BATCHES = ("data", "fsdp")
"""Axes over which rows of a batch go."""


def public_config(path: Path, overrides: list[str], options: list[str]) -> PublicConfig:
    """The `sample` of a config file.

    Raises:
        BadInput, ConfigError: it is none of a public family, or an override does not fit.
    """
    loaded = getattr(configs.load(path), "sample", None)
    if not isinstance(loaded, PublicConfig):
        others = sorted(str(p) for p in path.parent.glob("*.py") if "PublicConfig" in p.read_text())
        near = difflib.get_close_matches(str(path), others, 3, 0.0)
        rule = "the config is of a public family: its shapes are compiled without weights"
        raise BadInput(f"--config {path}", "no public model in it", rule, f"for example {', '.join(near)}")
    return configs.override(loaded, overrides, options)


def shape_of(args: argparse.Namespace, config: PublicConfig) -> Shape:
    """Height, width and frames asked for; of one side the other follows from nothing, so both are given or none."""
    if (args.height is None) != (args.width is None):
        raise BadInput("--height and --width", "one of them", "both are given, or none", "--height 480 --width 832")
    cell = vae_of(model_of(config), config).cell
    if args.height is None:
        exact = {480 * 832: (480, 832), 720 * 1280: (720, 1280)}
        wide, high = frame_size(1280, 720, config.area, cell)
        args.height, args.width = exact.get(config.area, (high, wide))
    shape = Shape(args.height, args.width, args.frames or config.window, shots=args.shots)
    require(shape, cell)
    return shape


def windows_of(args: argparse.Namespace, branches: int, mesh: dict[str, int]) -> int:
    """Windows of one call: as --batch says, or the fewest that give every part of the mesh's batch axes a row."""
    if args.batch is None:
        parts, windows = mesh["data"] * mesh["fsdp"], 1
        while windows * branches % parts:
            windows += 1
        return windows
    if args.batch % branches:
        near = max(1, round(args.batch / branches)) * branches
        rule = f"guidance makes {branches} rows of every window"
        raise BadInput("--batch", args.batch, rule, f"--batch {near}")
    return args.batch // branches


def sizes_of(spec: str, slice_: Slice) -> dict[str, int]:
    """Sizes of a mesh that uses all chips of the slice.

    Raises:
        BadInput: it does not.
    """
    try:
        sizes = parse_mesh(spec)
    except ValueError as error:
        first, *_ = str(error).split("\n")
        raise BadInput(
            "--mesh", spec, first, f"axes are {', '.join(AXES)}: --mesh data=2,seq={slice_.chips // 2}"
        ) from error
    total = 1
    for size in sizes.values():
        total *= size
    if total != slice_.chips:
        rule = f"sizes multiply to the {slice_.chips} chips of {slice_.name}, not to {total}"
        raise BadInput("--mesh", spec, rule, f"--mesh data=2,seq={slice_.chips // 2} or fsdp={slice_.chips}")
    return sizes


def variant_of(args: argparse.Namespace, config: PublicConfig) -> Variant:
    """What the command line changes about the denoiser.

    Raises:
        BadInput: there is no hearing to leave out.
    """
    if args.deaf and model_of(config).audio is None:
        raise BadInput("--deaf", config.family, "it is for families that hear", "leave it out")
    return Variant(args.depth, args.storyline, args.deaf)


def prepared(
    what: str, config: PublicConfig, shape: Shape, mesh: Mesh, variant: Variant, recipe: VideoConfig | None
) -> Prepared:
    if what == "text":
        return encode_text(config, mesh)
    if what == "vae":
        return decode(config, shape, mesh)
    return denoise(config, shape, mesh, variant) if recipe is None else train(config, shape, mesh, variant, recipe)


def answer(
    args: argparse.Namespace, config: PublicConfig, slice_: Slice, recipe: VideoConfig | None = None
) -> dict[str, Any]:
    """The record of one mesh, or of the best of several; `recipe`: what is trained, where a training step is asked."""
    variant = variant_of(args, config)
    model, shape = model_of(config, variant), shape_of(args, config)
    kept = 1.0 if recipe is None else state_weight(stage_of(config, recipe, variant))
    specs = candidates(model, slice_, kept) if args.sweep else [args.mesh or default_mesh(model, slice_, kept)]
    meshes = {spec: sizes_of(spec, slice_) for spec in specs}
    branches = passes(model, config.clips.solve) if args.what == "denoise" else 1
    shapes = {spec: replace(shape, windows=windows_of(args, branches, sizes)) for spec, sizes in meshes.items()}
    devices = devices_of(slice_)
    rows = []
    for spec in tqdm(specs, desc=f"{args.what} for {slice_.name}", unit="mesh", disable=not args.sweep):
        mesh = make_mesh(spec, devices)
        program = prepared(args.what, config, shapes[spec], mesh, variant, recipe)
        print(f"compiling {args.what} for {slice_.name}, mesh {spec or 'one chip'} ...", file=sys.stderr)
        proof = prove(program, mesh, slice_, args.keep)
        rows.append(record(args, config, shapes[spec], meshes[spec], slice_, program, proof))
    best = min(rows, key=rank)
    if args.what == "denoise" and best["fits"]:
        mesh = make_mesh(mesh_text(best["mesh"]), devices)
        seconds = None if args.no_decoder else decoder_seconds(config, shapes_for(best, shape), mesh, slice_)
        best |= minute(args, config, best, slice_, seconds)
    return best | ({"sweep": rows_told(rows)} if args.sweep else {})


def rank(row: dict[str, Any]) -> tuple[bool, float]:
    """What fits comes first, then what takes the fewest seconds for a row."""
    if not row["fits"]:
        return True, row["peak_hbm_gib"] or 0.0
    return False, row["static_s_per_step"] / row["batch"]


def rows_told(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    keys = ("mesh", "batch", "fits", "peak_hbm_gib", "static_s_per_step", "static_mfu")
    return [{key: row[key] for key in keys} for row in sorted(rows, key=rank)]


def record(
    args: argparse.Namespace,
    config: PublicConfig,
    shape: Shape,
    mesh: dict[str, int],
    slice_: Slice,
    program: Prepared,
    proof: Proof,
) -> dict[str, Any]:
    return {
        "what": args.what,
        "family": config.family,
        "topology": slice_.name,
        "height": shape.height,
        "width": shape.width,
        "frames": shape.frames,
        "batch": program.rows,
        "windows": shape.windows,
        "tokens": program.tokens,
        "mesh": mesh,
        **figures(proof, program, slice_),
        "static_s_per_video_minute": None,
    }


def mesh_text(sizes: dict[str, int]) -> str:
    return ",".join(f"{axis}={size}" for axis, size in sizes.items())


def shapes_for(row: dict[str, Any], shape: Shape) -> Shape:
    return replace(shape, windows=row["windows"])


def decoder_seconds(config: PublicConfig, shape: Shape, mesh: Mesh, slice_: Slice) -> float | None:
    """Of one call's windows; None if the decoder does not fit beside nothing else."""
    print("compiling the decoder ...", file=sys.stderr)
    proof = prove(decode(config, shape, mesh), mesh, slice_)
    return proof.step_s(slice_) if proof.fits else None


def minute(
    args: argparse.Namespace, config: PublicConfig, row: dict[str, Any], slice_: Slice, decoder_s: float | None
) -> dict[str, Any]:
    """Seconds of a minute on one slice, and of the video that was asked for on as many slices as were asked for."""
    costs = costs_of(config, model_of(config, variant_of(args, config)), row, decoder_s or 0.0)
    asked = video(config, costs, args.seconds, args.slices)
    return {
        "static_s_per_video_minute": round(video(config, costs).seconds, 3),
        "static_s_per_video": {"seconds": args.seconds, "slices": args.slices, **asked.record()},
        "decoder_included": decoder_s is not None,
    }
