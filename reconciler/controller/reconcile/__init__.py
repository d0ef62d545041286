"""One pass over one service: observe, assess, plan, execute, report."""
