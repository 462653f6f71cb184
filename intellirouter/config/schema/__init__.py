"""One module per TOML table; `settings.py` is the whole file.

A section lists its keys with their defaults and meaning, and checks what can be checked inside it; rules across
sections are in `config/rules.py`. Every section is frozen and refuses unknown keys.
"""
