"""The Router: the gateway clients talk to. One file per front; all of them end in `answer.py`."""
