"""The channels that carry the messages between the server and the clients of a federated training."""
