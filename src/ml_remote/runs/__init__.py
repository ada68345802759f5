"""Labs that run without anybody watching: `lab run`, `runs`, `attach`, `stop`."""
