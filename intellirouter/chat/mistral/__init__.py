"""Mistral's Chat Completions, as its own SDKs speak it.

Near OpenAI's, and read with its readers; what differs is here: some names (`random_seed`), content chunks
(`document_url`, `thinking`, audio and pictures as plain strings), call ids of nine characters, and streams whose calls
come whole with the usage in the last chunk: Mistral's client takes nothing else.

Source: Mistral API reference, "Chat Completion".
"""
