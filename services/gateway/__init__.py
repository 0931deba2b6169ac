"""The gateway: HTTP in and out. Uploads become blobs and submissions; jobs become statuses and results."""
