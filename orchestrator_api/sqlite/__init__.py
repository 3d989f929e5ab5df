"""SQLite as a database backend of Django, for several processes that write."""
