"""Sheets: filled-in files of known layouts, read, judged cell by cell, and written to fill in."""
