"""What keeps a compute node reachable for as long as its job runs."""
