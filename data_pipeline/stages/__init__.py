"""The stages of a build, one a file, cheap first (docs/data.md)."""
