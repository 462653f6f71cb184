"""How much a caller may use: rates, budgets, places in the queue, and the ledger of what was spent.

`purse.py` leases shares of a shared counter to this process, so that most requests touch only memory; `governor.py`
takes from the purses before a request and settles after it; `gate.py` is the fair queue for a bounded number of places;
`ledger.py` writes spend down in batches. Where nothing is limited, nothing of this runs.
"""
