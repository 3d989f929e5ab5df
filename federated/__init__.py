"""The channels over which the server and the clients of a federated training talk. For now: their names."""
