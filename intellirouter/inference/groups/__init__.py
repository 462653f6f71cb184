"""Models that are several: an ensemble asks its members at once, a cascade one after the other, and both, like any model, may
say what an answer must be like.

A group is asked like a model. Its members are asked through dispatch, each with its own place, budget and bill; what the
caller is told is their sum. `dispatcher.py` decides, `ensemble.py` and `cascade.py` act, the rest is pure.
"""
