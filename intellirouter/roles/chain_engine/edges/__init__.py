"""Nodes that work alone and forward what they do (`mode = "hybrid"`), and the centre that takes it.

At the edge: outbox      which runs the centre does not have yet, written by the database itself with each change of a run
             telling     a run as one document
             goods       what is brought: runs; `rows` of the record of requests
             forwarding  brings what waits to the centre, whenever that is there
             link        all of it, and how it stands
At the centre: arrivals  takes what edges bring, each once, and shows it
             adopting    the rows of their records, into its own
             taking      over HTTP and gRPC alike
             heavy       what is too much to be read
Both:        naming      what an edge's is called at its centre
             api         where edges bring it, and how it stands

What the centre has of a run is what its edge said last. It never walks: signals, cancels and forks are the edge's.
"""
