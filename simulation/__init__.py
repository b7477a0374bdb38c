"""The whole controller on simulated time: one seed decides everything that happens to it.

The operator's own code runs from the work queue down to the parsing of replies. Beside it stand a simulated Kubernetes
API server and the Evolution simulator, called in this process; time jumps from one event to the next. What must never
happen is asserted at the two servers after each call, what must happen in the end once the faults have stopped. See
docs/simulation.md.
"""
