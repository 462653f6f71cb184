"""The ChainEngine: stored chains, and durable runs of them.

keys       what the role's handlers need
store      chains and the owners of runs, in the database of the runs
versions   what stored chains said before, and which share of runs tries another version
library    the stored chains: checked, read, chosen for runs
service    starts runs, and shows them
steering   signals, cancels, resumes and forks them
line       the waiting line: who is started next, where not all are started at once
watching   watches runs to their end, and counts the places they take
shown      a run as clients see it
triggers/  what starts chains by itself: webhooks, events, files, the ends of runs
approvals/ runs that wait for a person: the inbox, signed links, the form as a page
hooks/     services that are told of runs, or asked before steps
edges/     nodes that work alone and forward their runs, and the centre that takes them
keeper     what a node does by the clock; `retention` is what it deletes
owners     who started which run
hearing    hears the steps of every run
live       the words of models as they come, for those who follow a run from any node
passing    the same over the bus of the nodes, as they are said
listening  where a listener of a run is, as the ids of events say it
reach      what steps reach: the other roles, on behalf of the run's owner
outside    what they reach beyond: HTTP requests and configured tools, through the outgoing door
meters     the metrics of runs and steps
open       puts these together on a database
runner     the engine as the other roles see it
api        `/v1/chains` and `/v1/nodes`; `api_runs` is `/v1/runs`
"""
