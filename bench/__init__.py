"""Measurements that anybody can repeat: each prints its figures beside a limit measured in the same run."""
