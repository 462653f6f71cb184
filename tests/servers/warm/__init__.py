"""`intellirouter` in processes of its own that have imported it already.

Python and its imports are most of what a short command costs, and the tests start hundreds. One process (`server.py`) imports everything once and
forks itself for each that is asked for: a real process with its own pid, arguments, environment, folder and pipes. `WarmProcess` is one for a test
that looks after it; `client.py` is a program that stands for one in a shell. What a cold start does is shown by `cli/test_start.py`.
"""
