"""A deploy over several hosts: the coordinator plans and drives, an agent on each host does the steps.

On the coordinator: `ssh` (one connection a host), `facts` (the look before anything of ours is there), `preflight`
(the judgement of it), `kit` (what a host needs to run an agent), `remote` (the other end of an agent), `reach` (all
hosts at once), `batches`, `cluster` (the deploy). On a host: `agent`, which does what it is told with the classes of
the local deploy.
"""
