"""What a chat model helps with, where `[[rag.assist]]` says so: other words for a question, and words about what comes in.

asking     one model, asked once, within a time
expansion  when somebody searches: `multi_query`, `hyde`
fusing     what each of the wordings found, as one
contexts   when a document comes in: a line on each chunk, a summary of the whole
kept       what was written, by what it was written about, so that nothing is paid twice

A model is asked at the Router in the name of whoever searches or left the document: its models, limits and budget hold, and it
pays. Nothing here fails a search or a document: what the model does not give is done without, and said.
"""
