"""Typed settings: built-in defaults, then the file, then the environment, then flags. Only `env.py` reads the environment."""
