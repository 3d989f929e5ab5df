"""How the API is served: one event loop holds every connection, a pool of threads handles the requests.

A connection uses a thread only while its complete request is handled. `connections` enforces time limits of clients,
`shell` is the ASGI application between them and Django, `worker` connects both to gunicorn
(docs/decisions/0007-an-event-loop-holds-the-connections.md).
"""
