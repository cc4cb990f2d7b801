"""What everything else may use: errors, ids, time, pages, settings. Imports nothing of ours."""
