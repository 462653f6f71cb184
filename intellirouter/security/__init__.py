"""Who is calling and may they: API keys, service tokens, TLS contexts."""
