"""One deploy: plan, print, do.

A deploy is worked out as frozen values first (`plan`), shown to the operator, then done step by step (`deploy`).
Everything that touches a host goes through a `shell.Shell`, so that a remote host differs from this machine by one
class.
"""
