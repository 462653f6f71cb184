"""Vector indexes: one protocol, Chroma embedded and over HTTP. Only `vectors/chroma*.py` imports chromadb."""
