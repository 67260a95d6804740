"""The dimension key: every shape letter used in suffixes (`q_BNAK`) and jaxtyping strings, defined once.

| letter | meaning |
|---|---|
| B | batch of windows, segments or clips |
| T | video frames (or latent frames) of one window |
| P | latent patches of one frame, the pose patch of the avatar codec included |
| C | channels of one latent patch |
| N | flattened tokens of one window, N = T * P |
| D | model width |
| A | attention heads |
| K | width of one attention head |
| F | feed-forward width |
| S | shots (text prompts) that one window may attend to |
| L | text tokens of one prompt |
| E | width of a text token |
| U | audio tokens beside one frame |
| M | width of an audio token |
| H, W | height and width in pixels (or latent cells where a name says so) |
| Z | the 8 numbers of the pose token |
| X | coordinates of a token: time, row, column |

A number in a suffix is a fixed size (`frames_BHW3`). Suffixes go from the slowest axis to the fastest.
"""
