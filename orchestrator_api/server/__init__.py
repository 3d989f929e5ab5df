"""How the API is served: one event loop holds every connection, a kept pool of threads does what the requests ask.

A connection costs a thread only while its request, which is there as a whole, is worked on. `connections` holds clients
to their time, `shell` is the ASGI application between them and Django, `worker` ties both to gunicorn
(docs/decisions/0007-an-event-loop-holds-the-connections.md).
"""
