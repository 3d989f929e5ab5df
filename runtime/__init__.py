"""The programs that run inside pods; they import neither Django nor the rest of the service."""
