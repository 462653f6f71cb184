"""Attack an installation, and say in a table what held.

`fleet` starts its processes in one of three forms, `requests` makes odd requests out of good ones, `wires` makes odd calls of
the gRPC between roles, `campaign` sends them and looks at what comes back.
"""
