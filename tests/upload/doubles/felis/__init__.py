"""A contract double of Felis: its interface and its habits, and none of its code. It needs Python 3.8 and nothing else."""
