"""How one role speaks to another: a protocol each, and clients that reach it over the network.

In one process a peer is the role's own object; across nodes it is a client here. `app/components.py` chooses.
"""
