"""Mid-stream rescue: what to do when an answer breaks after the caller has seen part of it.

`said.py` follows what the caller has seen, `continuation.py` asks another target to go on from there, `stitch.py` joins
the two so that nothing is said twice. All sans-io; `inference/live.py` drives them.
"""
