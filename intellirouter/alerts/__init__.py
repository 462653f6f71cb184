"""Alerts: what is not as it should be is said once, to whom it concerns, until it is well again.

rule       a condition and its levels, and `builtin.py` the table of those that are there
sample     what a node measured; the samples of all nodes are merged into one picture
judge      rules, samples and what was known become what is known now: for-duration, hysteresis, levels (pure)
notice     what of it is told when: silences, quiet hours, steps, acknowledgement, repeats, grouping (pure)
board      what is kept of it: one document in the shared store, silences and acknowledgements beside it
message    the words
reading/   what a node measures, from its own counters, health and disk
channels/  how a message leaves: a signed webhook, a program, or any service that apprise knows
watch      the task of a node: it measures, and the one that holds the lease judges for all

What is judged is judged in one place: every process writes its samples into the shared store, and whoever holds the lease merges
them, so that three nodes say one thing once. While the store is away the least of the nodes last seen judges by its own samples.
"""
