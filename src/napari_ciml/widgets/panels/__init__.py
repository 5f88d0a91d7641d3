"""Parts of dock widgets: panels, charts, tables, dialogs and shared helpers."""
