"""Control calls: one dispatcher under the Unix socket and under `/v1` on TCP."""
