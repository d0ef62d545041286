"""When a pass runs, and which: the queue, its workers, what wakes them, and who may act at all."""
