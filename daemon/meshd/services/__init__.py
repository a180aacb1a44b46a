"""Where it is decided: rules, transactions, system events. Nothing here reads a socket."""
