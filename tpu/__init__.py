"""Proof ahead of time: programs compiled for TPU slices on any machine, and what is read off the result."""
