"""Finished sets of clips, which TFDS reads without TensorFlow: `OUT/media/1.0.0` and `OUT/latents/1.0.0`.

    folder = shard.set_folder(out, "media")
    shard.write_shard(examples, shard.shard_path(folder, index, count, split))      any worker, any shard
    shard.write_metadata(folder)                                                     once, when all shards are there
    card.write_card(out)                                                             README.md with histograms
    tfds.data_source("media", split="train", data_dir=out)

Examples are `schema.MediaExample` and `schema.LatentExample`; `manifest.described` fills in what a line of the
pipeline's manifest tells.
"""
