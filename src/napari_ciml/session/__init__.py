"""What if: edits of what is asked for, the runs they lead to, what they change, and why."""
