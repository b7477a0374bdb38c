"""The HTTP interface of an Evolution API server as plain functions: a request and the world in, a reply out."""
