"""One file per command, imported when it is called; the only place an error becomes an exit code."""
