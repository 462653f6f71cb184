"""Fitting a request to its target: what a vendor would refuse is said in a way that it takes.

Vendors agree on what a conversation is and differ in what of it they take: where a system message may stand, which turns
may follow one another, how long a tool's name may be, which keywords a schema may hold. `takes.py` names these differences,
`providers/takes.py` is the table of who takes what, and the other files change a canonical request accordingly:

    tools.py     tools the target has no kind for, or has under another name
    names.py     names of tools, changed on the way out and changed back in the answer; ids of calls
    schemas.py   JSON Schemas of tools and answers
    output.py    how the answer's form is asked for
    turns.py     who speaks when, and what is left of a turn
    markers.py   prompt-cache breakpoints
    parts.py     what a turn is made of: media, documents, blocks of another dialect
    settings.py  ranges, counts and lengths

A request that needs none of it comes back as the very same object, so that a client's own body still goes out as it
came; one that needs it has lost its source and is written anew. What was changed is said in a note; what cannot be fitted
raises `UnsupportedByTarget`, so that another target is asked.
"""
