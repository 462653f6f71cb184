"""`intellirouter diagnose`: what is wrong with this node, and what to do about it.

A check returns findings and never raises for what it looks at; it changes nothing. Checks run side by side, each under its
own deadline, so that the whole ends even when everything it asks hangs. No finding holds a secret: all text leaves
through `redact.py`.
"""
