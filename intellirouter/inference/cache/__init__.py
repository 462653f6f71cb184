"""The response cache: the same request of the same tenant gets the same answer, for a while.

`key.py` says when two requests are alike, `entry.py` what is kept, `store.py` where (this process' memory, then the shared
store), `dispatcher.py` puts the cache before dispatch and answers from it when every provider is down.
"""
