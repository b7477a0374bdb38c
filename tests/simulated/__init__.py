"""The simulation shown deterministic, able to fail, and equal to the real servers."""
