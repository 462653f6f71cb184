"""Nodes that work alone and forward their runs (`mode = "hybrid"`), and the centre that takes them.

At the edge: outbox      which runs the centre does not have yet, written by the database itself with each change of a run
             telling     a run as one document
             forwarding  brings what waits to the centre, whenever that is there
At the centre: arrivals  takes what edges bring, each once, and shows it
Both:        api         where edges bring it, and how it stands

What the centre has of a run is what its edge said last. It never walks: signals, cancels and forks are the edge's.
"""
