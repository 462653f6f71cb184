"""Several RagManagers as one: each has its own catalogue, files and vectors, and any of them takes any request.

`placement` (where a collection is, written down in the shared store) → `cluster` (asks this node, another or several, and makes
one answer) → `neighbour` (another node over HTTP). `forwarding` wraps the HTTP handlers; retrieval for other roles goes through
`RagService.retrieve`, which asks the cluster where there is one.

Invariants: a collection is where its placement says, and a new node never moves it. A request that one node passes on to
another says so in a header and is not passed on again.
"""
