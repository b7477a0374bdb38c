"""The client of the Evolution API against real sockets."""
