"""Experts that judge clips: mouth clarity, camera switching, audio-visual sync, aesthetics (docs/data.md)."""
