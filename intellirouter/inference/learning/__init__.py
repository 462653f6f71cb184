"""Learning whom to ask: from a request to the target that answers it well enough for the least money and time. Sans-io.

The walk: `question.py` finds what the person asked and what the request needs; `features.py` turns the question into
numbers; `weights.py` says from them how likely each target is to succeed; `decision.py` weighs that with cost and time;
`outcome.py` says what counts as success and how much; `estimator.py` learns from outcomes; `influence.py` bounds what one
key can move. Nothing here reads a clock, a store or chance: all three are handed in, so the same input has the same
outcome. Texts never leave `question.py`: what is kept of a request is numbers.

Before any outcome is known, `prior.npz` speaks: how hard a question looks, learnt from published outcomes of two models
(`python -m scripts.difficulty_prior` makes it anew). Every target starts between these two by its price, and each
outcome moves it towards what it really does.
"""
