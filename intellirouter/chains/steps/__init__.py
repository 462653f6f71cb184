"""What each kind of step with an effect does: `async (spec, ports, ticket) -> plain data`, listed in `table`."""
