"""The roles to one another over gRPC: `peers.proto` is the contract, `server.py` offers it on `[server] grpc_port`, `clients.py` use it.

Only `server.py` and `clients.py` import grpc, and only a node that uses it imports them.
"""
