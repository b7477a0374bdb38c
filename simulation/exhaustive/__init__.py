"""Every order of a few faults and a crash at every await, on small stages, states hashed. See docs/exhaustive.md."""
