"""The fleet month: 30 simulated days of paired numbers on three servers, under four policies.

    python -m benchmarks.fleet_month --publish              # all of it, into README.md and docs/: `make month`
    python -m benchmarks.fleet_month --compare --days 1     # with and without skipping quiet time

Every policy meets the same faults at the same moments, on the model of `evolution_simulator` and on the simulated time
of `simulation`. The faults are those that users report, at rates that `rates.py` declares. What counts is judged by the
truth inside the model, never by what a policy believes.
"""
