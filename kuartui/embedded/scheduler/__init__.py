"""The scheduler: filters, scores, preemption and the queue, after pkg/scheduler."""
