"""The typed contract between the daemon and its clients. A leaf: it imports nothing of ours."""
