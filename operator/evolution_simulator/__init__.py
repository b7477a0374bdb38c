"""A stand-in for an Evolution API server, with the broken states that real ones have.

The model (`world` and the modules it uses) is pure: no sockets, no asyncio, no clock and no randomness of its own, so
that a deterministic simulation can run the same server under simulated time. `api` turns requests into replies over
that model, `listener` puts it on a socket, `control` lets a test play the phone, the network and the database.

The server is written from what real servers of each version were seen to do, never from what an operator expects.
"""
