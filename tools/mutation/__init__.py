"""Mutation testing: the operator's rules are made wrong in one place at a time, and a test has to notice.

It is our own, after two libraries were looked at. mutmut 3.8 mutates no decorated function but static and class
methods, so no property, and nothing outside of functions, while most rules here stand in tables; and it looks for
sources in `.`, `src` and `source` only. cosmic-ray 8 starts the tests anew for each mutant, which takes seconds
for each of thousands.

`mutants.py` finds what can be made wrong, `install.py` makes it so in a process that has imported the code already,
`plugin.py` runs, within pytest, the tests that reach the place, each mutant in a fork of its own, and `__main__.py`
compares who survived with the mutants that are listed as equivalent.
"""
