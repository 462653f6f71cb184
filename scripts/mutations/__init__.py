"""A mutation campaign: the package is changed in one place at a time, and a test must notice.

Each mutant is one small fault (`faults`), a seeded sample over every place of the package (`sampling`). First every test is run once
over a package whose blocks say that they were reached (`marks`, `reach`), kept in a file. A mutant is then tried against tests that
come past its line: half of the time that is given for those of its room (that import the module, or lie in its folder), half for a
test of each other file in turn, the quickest first; a fault of a room may well be seen by who uses it. Where no test comes past in
its own process, the nearest files of the room are run whole. Every trial is a fork of one process that has collected all tests, the
change made in the functions that are there (`swap`) and in the file, for processes that tests start; what is read when the package is
imported is tried in a process that imports it anew.

A failure counts when the same test passes without the change at that moment; running out of time likewise. The tree that is changed
is a copy.
"""
