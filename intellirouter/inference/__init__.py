"""Which model answers, and the attempts until one does."""
