"""What services are asked: counters of proxies, made into numbers for people."""
