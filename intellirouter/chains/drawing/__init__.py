"""Pictures of definitions and runs. Sans-io: plain data in, text out.

marks     how every step of a definition stands in a run
mermaid   a flowchart for Markdown
svg       a picture by itself
bars      a run along the time: its steps as data, and as a picture
"""
