"""OpenAI's Chat Completions: the dialect most clients and most providers speak.

Source: OpenAI API reference, "Chat Completions" (request, response object, chunk object).

Extensions other vendors made to it, read and written here so that nothing is lost on the way through:
- `reasoning_content` on messages and deltas (DeepSeek, vLLM), also read as `reasoning` (OpenRouter, Groq);
- `thinking_blocks` on messages: signed and redacted thinking, for the next turn;
- `extra_content.google.thought_signature` on tool calls (Google's compatible endpoint);
- `cache_control` on content parts and tools (OpenRouter).
"""
