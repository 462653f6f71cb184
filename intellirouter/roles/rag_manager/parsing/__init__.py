"""From bytes to blocks. `run.py` starts `child.py` in a process with limits; `formats.py` knows the formats."""
