"""The four services. A role is one frozen object; roles do not import one another."""
