"""Mid-stream rescue: what to do when an answer breaks after the caller has seen part of it.

`said.py` follows what the caller has seen, `continuation.py` asks another target to go on from there. What comes back is
read by `onward.py`: `stitch.py` drops what is said twice, `joint.py` mends the place where the two meet, `opening.py` and
`ending.py` judge whether the text goes on and whether it comes to an end. What does not is no answer: another target is
asked, or the caller gets an error; a part of an answer never ends as if it were whole. All sans-io; `inference/live.py`
drives them.
"""
