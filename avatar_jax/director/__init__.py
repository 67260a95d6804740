"""The director: from portrait, recording and wish to a storyline, and from a storyline to what each frame is told."""
