"""The programs that run inside pods; they know neither Django nor the rest of the service."""
