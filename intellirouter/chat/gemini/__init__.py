"""Google's Gemini: `generateContent` and `streamGenerateContent`, on AI Studio and on Vertex.

Source: Gemini API reference, "Generating content" and "Caching"; "Thought signatures". The model and the wish to stream
stand in the URL; a front adds them to the body as `model` and `stream`, an adapter takes them from the target.
Clients write field names in camelCase or snake_case; both are read, camelCase is written.
"""
