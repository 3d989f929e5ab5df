"""The channels over which the server and the clients of a federated training talk."""
