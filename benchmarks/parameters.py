"""Every number that a figure depends on, in one place. They are fixed: none is changed in order to reach a figure."""

from __future__ import annotations

RUNS = 3  # of each scenario but `memory`; the tables show their median and the worst of them
CORES = 2  # everything runs on these: the fleet, its Redis, the stand-in for the model, and what measures

# The fleet. What is not named here has its default.
PAGE_WORKERS = 2
PAGE_CONCURRENCY = 128  # slots a worker: 256 calls in flight, so that the cores are the limit and not the slots
SPLITTERS = 2

# The model, where it is a stand-in: it answers every call right, after this time.
MODEL_LATENCY_S = 1.0

# The documents.
PDF_PAGES = 1000
FEW_PAGES, MANY_PAGES = 1000, 5000  # between which no process of Quire may grow
IMAGES = 500
SMALL_IMAGE_KB, LARGE_IMAGE_KB = 40, 250  # a page at 75 dpi and at 150 dpi, as JPEG

# What goes wrong, and when.
FAULT_PAGES = 600
FAULT_CONCURRENCY = 32  # slots a worker: a document lasts for some kills, and a killed worker holds a share of it
KILL_EVERY_S = 2.0
KILLS_LATENCY_S = 3.0  # of the model: more than one kill finds pages in hand
REDIS_DOCUMENTS, REDIS_DOCUMENT_PAGES = 12, 50
REDIS_SUBMIT_EVERY_S = 1.0
REDIS_KILLS_S = (3.0, 9.0)  # after the first submission
REDIS_AWAY_S = 1.0
CANCEL_LATENCY_S = 10.0  # of the model: what is in flight at the cancel would be so for much longer than it may
CANCEL_WATCHED_S = 5.0
TAKEOVER_LEASE_S = 30  # the default, named because the figure rests on it
SEED = 4  # of the first run's kills; each further run has the next one

# The measuring.
SAMPLE_S = 0.5  # from sample to sample of CPU and memory: each costs 12 ms of CPU; a shorter peak may be missed
LOOK_S = 0.05  # from look to look at a job until its first page is analysed: how exactly that is known
LATER_LOOK_S = 0.25  # after that: how exactly "last page analysed" is known; "completed" comes with its own time
READY_LIMIT_S = 90
RUN_LIMIT_S = 300  # a run that takes longer is given up
DRAIN_S = 30  # so long a fleet may take to end when a run is over
