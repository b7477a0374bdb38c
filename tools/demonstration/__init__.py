"""The demonstration: the operator's main job, played on a real control plane with a simulated Evolution API.

`script` is the story, a table of acts. `stage` builds what it is played on, `deeds` are what an act does to the world,
`facts` what must then be seen, and `performance` plays one after the other and judges them. Two audiences look on:
`screen` for a person at a terminal, `transcript` for everyone else.
"""
