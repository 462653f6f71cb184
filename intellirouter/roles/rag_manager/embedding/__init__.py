"""Texts to vectors. `onnx.py` runs a sentence-transformer, `files.py` finds it, `convert.py` writes it once from its weights."""
