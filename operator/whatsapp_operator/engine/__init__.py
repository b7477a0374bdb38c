"""The controller: what is desired, what was observed, and the loop that brings one to the other."""
