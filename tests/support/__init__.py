"""What tests share: a real daemon, real upstreams, a real terminal."""
