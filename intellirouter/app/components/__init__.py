"""How each component is opened: one file per role's own, `shared.py` for what all use, `table.py` lists them.

Whether a peer is a local object or a client over the network is decided in `peers.py`, and nowhere else.
"""
