"""What people read: tables, figures, the HTML page, the timeline, comparisons."""
