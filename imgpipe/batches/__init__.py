"""Batches: many files as one job, from the walk through folders to the journal.

`choices` and `preparation` come before the work, `batchrun` is the work, and `results` and `events`
tell about it. The folders hold the steps: `inputs` (sources), `naming` (outputs), `journal`
(finished outputs of earlier runs), `work` (files and the crew), `publishing` (outputs in their
places), `progress` (lines and bars), `watch` (files that arrive).
"""
