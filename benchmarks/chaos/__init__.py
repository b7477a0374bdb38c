"""The chaos drill: a fleet of paired numbers on three servers, broken in many ways at once, and what it costs to heal.

    python -m benchmarks.chaos [--instances 1000] [--drill NAME ...]

Everything is real but the time scale: the operator's spans, periods and budget are a tenth of their defaults, and the
simulated servers run ten times as fast, so that ten minutes of an outage take one. A drill is over when every instance
is Ready again. What counts is the number of pairings that are lost: each was avoidable, so it must be 0.
"""
