"""Detectors: each finds its kinds of things in a text, in time that grows with the text and no faster."""
