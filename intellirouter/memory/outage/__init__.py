"""What a node serves from while the shared store is away, and how that reaches the store afterwards.

`shadow.py` is what this process last saw of the store; `journal.py` the file, shared by the processes of a node, with
what was acknowledged meanwhile (`pending.py`) and what the store held after the last merges (`settled.py`); `local.py`
answers from all of them; `merge.py` brings the journal into the store.

What is known of a key is the later of what was seen and what was settled, then what is pending on top. What is pending
becomes settled in one transaction, so that no reader finds it in both or in neither.
"""
