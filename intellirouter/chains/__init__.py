"""Chain definitions and the interpreter that runs them."""
