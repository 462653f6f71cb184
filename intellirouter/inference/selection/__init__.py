"""Strategies: in which order a model's targets are tried. Sans-io: a strategy sees numbers and returns an order.

A strategy is a function `(options, facts) -> order`, where `order` holds every index of `options` exactly once, best
first; what comes after the first is the order of failover. `option.py` says what a strategy sees, `table.py` lists them
all. State (loads, latencies, whose turn it is) is kept outside and handed in, so the same input has the same outcome;
chance comes in as `facts.chance`.
"""
