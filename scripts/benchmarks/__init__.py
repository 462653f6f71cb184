"""The judge of speed: everything side by side in one run, the gateway on one core, load and upstream on another.

`__main__` is the command, `cases` what is measured, `servers` what is started, `load` what sends requests, `report` the
table, the stored JSON and the comparison. Figures of one machine mean little on another; ratios to what ran beside them
do, and those are what `--check` holds.
"""
