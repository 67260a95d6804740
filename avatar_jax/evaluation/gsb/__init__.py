"""Blind comparison of two systems' videos: pairs without a tell, a page for raters, and what they found."""
