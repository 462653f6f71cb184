"""Hooks: services outside that are told of runs, or asked before a step.

outbox     what is still to be delivered, beside the runs in their database
delivery   delivers it: at least once, under one id, again after a failure, until it is given up
judging    passes the scores of evaluations on to whoever learns from them
notices    tells of runs that wait for somebody
governing  asks before a step, and refuses it

Deliveries are signed in the Standard Webhooks form (`security/webhook_signing.py`). An `evaluate` and an `optimise` hook are written down before the run's end is recorded, so that no kill between the two loses one.
"""
