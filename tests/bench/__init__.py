"""What calls cost, each number beside what it is compared with: `python -m tests.bench --help`."""
