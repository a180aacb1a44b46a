"""The commands: one small file a noun, and the frame that they stand in.

A command builds a request, calls, and shows. `tree` lists them all; `output` alone writes answers
and `fail` alone writes errors.
"""
