"""Triggers: what starts a chain by itself, other than the clock.

store      triggers in the database of the runs, and the files that were seen
arriving   webhooks: who signed what came, and which delivery it is
firing     starts the run of an occurrence: once, in the name of the trigger's owner, and not too often
folders    looks for new files in folders that the operator named
following  starts runs when others have ended, and when something is told on the bus

A run has an id made of its trigger and of what happened, so that what is told twice, or seen by several nodes, starts one run. Runs that start
runs are counted (`MAX_DEPTH`), and every trigger has a bound on its runs a minute.
"""
