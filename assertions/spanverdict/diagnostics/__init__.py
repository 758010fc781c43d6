"""Mistakes of users as values, and YAML that remembers where every node stood."""
