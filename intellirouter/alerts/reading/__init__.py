"""What a process measures for the rules: from its own counters, its machine, its log, and what is kept beside it."""
